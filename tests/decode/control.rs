//! The control: HDP inside a valid UDP datagram with either port 420.

use hdp::{
    decode::{Datagram, Skip},
    protocols::Carrier,
};

use super::{
    PAYLOAD_LENS, datagram, decode, encapsulations, header, packets,
    support::frames::{Extension, Link, Packet, ip, udp},
    whole,
};

fn assert_control(bytes: &[u8], link_type: u16, packet: &Packet) {
    let decoded = decode(&whole(link_type, bytes)).unwrap();
    let expected = Datagram {
        protocol: 17,
        carrier: Carrier::Udp,
        ..datagram(packet, &decoded)
    };
    assert_eq!(decoded, expected);
}

#[test]
fn either_port_makes_it_the_control() {
    for payload_len in PAYLOAD_LENS {
        for mut packet in packets(17, payload_len) {
            for (srcport, dstport) in [(420, 420), (420, 50_000), (50_000, 420)] {
                (packet.srcport, packet.dstport) = (srcport, dstport);
                for (_, network) in encapsulations(&ip(packet.to_udp())) {
                    assert_control(&Link::ETHERNET.frame(&network), 1, &packet);
                }
                for fcs in [false, true] {
                    let link = Link::Ethernet { padded: true, fcs };
                    assert_control(&link.frame(&ip(packet.to_udp())), 1, &packet);
                }
            }
        }
    }
}

#[test]
fn options_and_extension_headers_may_stand_before_the_control() {
    for mut packet in packets(17, 33) {
        packet.dstport = 420;
        packet.ip.options = vec![1; 8];
        packet.ip.extensions = Extension::NUMBERS.map(Extension::new).to_vec();
        assert_control(&packet.to_udp(), 101, &packet);
    }
}

#[test]
fn on_other_ports_or_without_a_header_it_is_just_udp() {
    for packet in packets(17, 33) {
        for (srcport, dstport) in [(50_000, 53), (421, 419), (49_152, 4_790)] {
            let bytes = udp(&packet.ip, srcport, dstport, &packet.hdp());
            assert_eq!(decode(&whole(101, &bytes)), Err(Skip::NotHdp));
        }
        for len in 0..12 {
            let bytes = udp(&packet.ip, 420, 420, &packet.hdp()[..len]);
            assert_eq!(decode(&whole(101, &bytes)), Err(Skip::NotHdp));
        }
        let text = udp(&packet.ip, 420, 420, b"smpte timecode, port 420's own");
        assert_eq!(decode(&whole(101, &text)), Err(Skip::NotHdp));
    }
}

/// Bare HDP under 17 with port 420 is HDP on IP, whatever length its timestamp reads as.
#[test]
fn bare_hdp_under_17_is_not_the_control() {
    for mut packet in packets(17, 33) {
        (packet.srcport, packet.dstport) = (420, 420);
        let bytes = packet.to_ip();
        let decoded = decode(&whole(101, &bytes)).unwrap();
        assert_eq!(decoded, datagram(&packet, &decoded));
    }
}

/// The UDP header states the length of the whole datagram, the first fragment holds a part of it.
#[test]
fn the_first_fragment_of_the_control_is_the_control() {
    for mut packet in packets(17, 3_000) {
        (packet.srcport, packet.dstport) = (420, 420);
        let whole_udp = packet.to_udp();
        let header_len = whole_udp.len() - 8 - packet.hdp().len();
        let mut ip = packet.ip.clone();
        ip.protocol = 17;
        for (i, piece) in ip
            .fragments(&whole_udp[header_len..], 1_500)
            .iter()
            .enumerate()
        {
            let decoded = decode(&whole(101, piece));
            if i > 0 {
                assert!(matches!(decoded, Err(Skip::Fragment(_))), "{decoded:?}");
                continue;
            }
            let decoded = decoded.unwrap();
            assert_eq!(decoded.carrier, Carrier::Udp);
            assert_eq!(
                decoded.header,
                hdp::decode::HeaderView::Whole(header(&packet))
            );
            assert!(packet.payload.starts_with(decoded.payload));
            assert_eq!(decoded.payload_len, 3_000);
            assert!(decoded.fragment.is_some());
        }
    }
}
