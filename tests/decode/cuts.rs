//! Lengths: padding, segmentation offload, snapshot lengths and fragments.

use hdp::{
    decode::{Datagram, FragmentSet, HeaderView, LaterPiece, Piece, Skip},
    protocols::Carrier,
};

use super::{
    bytes, cut, datagram, decode, encapsulations, header, packets,
    support::frames::{Link, ip, vlan},
    whole,
};

#[test]
fn ethernet_padding_and_fcs_are_not_payload() {
    for padded in [false, true] {
        for fcs in [false, true] {
            let link = Link::Ethernet { padded, fcs };
            for payload_len in 0..20 {
                for protocol in [0, 17, 50, 255] {
                    for packet in packets(protocol, payload_len) {
                        for network in [ip(packet.to_ip()), vlan(5, &ip(packet.to_ip()))] {
                            let frame = link.frame(&network);
                            let decoded = decode(&whole(1, &frame)).unwrap();
                            assert_eq!(decoded, datagram(&packet, &decoded));
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn with_length_0_as_offload_leaves_it_the_frame_counts() {
    for protocol in 0..=255 {
        let [mut v4, v6] = packets(protocol, 1_400);
        v4.ip.total_len = Some(0);
        let frame = Link::ETHERNET.frame(&ip(v4.to_ip()));
        let decoded = decode(&whole(1, &frame)).unwrap();
        assert_eq!(decoded, datagram(&v4, &decoded));

        let mut datagram_v6 = v6.to_ip();
        datagram_v6[4..6].fill(0);
        let frame = Link::ETHERNET.frame(&ip(datagram_v6));
        let decoded = decode(&whole(1, &frame)).unwrap();
        assert_eq!(decoded, datagram(&v6, &decoded));
    }
}

/// At every cut it is either "cut short" or the packet with the beginning of its payload, and
/// the latter as soon as the HDP header is there.
fn assert_every_cut(link_type: u16, frame: &[u8], expected: &Datagram, hdp_end: usize) {
    let frame = whole(link_type, frame);
    for snaplen in 0..=frame.bytes.len() {
        let context = || format!("{expected:?} on {link_type}, {snaplen} bytes kept");
        match decode(&cut(&frame, snaplen)) {
            Ok(decoded) => {
                assert!(snaplen >= hdp_end, "{}", context());
                let kept = (snaplen - hdp_end).min(expected.payload.len());
                let expected = Datagram {
                    payload: &expected.payload[..kept],
                    encapsulation: decoded.encapsulation,
                    ..*expected
                };
                assert_eq!(decoded, expected, "{}", context());
            }
            Err(Skip::CutShort { needs, has, .. }) => {
                assert!(snaplen < hdp_end && has < needs, "{}", context());
            }
            Err(other) => panic!("{}: {other}", context()),
        }
    }
}

/// Where the payload begins, which is nowhere else in the frame.
fn payload_start(frame: &[u8], payload: &[u8]) -> usize {
    frame
        .windows(payload.len())
        .position(|window| window == payload)
        .unwrap()
}

#[test]
fn a_snapshot_length_gives_a_prefix_or_says_cut_short() {
    for protocol in [0, 1, 4, 6, 17, 41, 43, 44, 47, 50, 51, 58, 60, 255] {
        for mut packet in packets(protocol, 33) {
            packet.ip.options = vec![1; 8];
            let inner = ip(packet.to_ip());
            let on_every_link = Link::all()
                .into_iter()
                .map(|link| (link.clone(), inner.clone()));
            let in_every_encapsulation = encapsulations(&inner)
                .into_iter()
                .map(|(_, network)| (Link::ETHERNET, network));
            for (link, network) in on_every_link.chain(in_every_encapsulation) {
                if link.carries(&network) {
                    let frame = link.frame(&network);
                    let decoded = decode(&whole(link.link_type(), &frame)).unwrap();
                    let (packet_type, interface) = super::link_says(&link, &decoded);
                    let expected = Datagram {
                        packet_type,
                        interface,
                        ..datagram(&packet, &decoded)
                    };
                    let hdp_end = payload_start(&frame, &packet.payload);
                    assert_every_cut(link.link_type(), &frame, &expected, hdp_end);
                }
            }
        }
    }
}

#[test]
fn a_snapshot_length_cuts_the_control_and_extension_headers_alike() {
    for mut packet in packets(17, 33) {
        packet.dstport = 420;
        packet.ip.extensions = super::support::frames::Extension::NUMBERS
            .map(super::support::frames::Extension::new)
            .to_vec();
        let frame = Link::ETHERNET.frame(&ip(packet.to_udp()));
        let decoded = decode(&whole(1, &frame)).unwrap();
        let expected = Datagram {
            carrier: Carrier::Udp,
            ..datagram(&packet, &decoded)
        };
        let hdp_end = payload_start(&frame, &packet.payload);
        assert_every_cut(1, &frame, &expected, hdp_end);
    }
}

#[test]
fn the_first_fragment_is_the_packet_and_later_ones_are_none() {
    for protocol in 0..=255 {
        for mut packet in packets(protocol, 3_000) {
            packet.ip.id = if packet.ip.src.is_ipv4() {
                0x9876
            } else {
                0xaabb_9876
            };
            let room = if packet.ip.src.is_ipv4() {
                1_480
            } else {
                1_448
            };
            for (i, bytes) in (0..).zip(packet.to_fragments(1_500)) {
                let decoded = decode(&whole(101, &bytes));
                if i > 0 {
                    let piece = Piece {
                        set: FragmentSet {
                            source: packet.ip.src,
                            destination: packet.ip.dst,
                            protocol,
                            id: packet.ip.id,
                        },
                        offset: i * room,
                        len: room.min(3_012 - i * room),
                        is_last: i == 2,
                    };
                    let later = LaterPiece {
                        piece,
                        packet_type: None,
                        interface: None,
                    };
                    assert_eq!(decoded, Err(Skip::Fragment(later)), "{protocol}");
                    continue;
                }
                let decoded = decoded.unwrap_or_else(|skip| panic!("{protocol}: {skip}"));
                let expected = Datagram {
                    ip_id: Some(0x9876),
                    fragment: Some(hdp::decode::Fragment {
                        id: packet.ip.id,
                        len: room,
                    }),
                    payload: &packet.payload[..room as usize - 12],
                    payload_len: room - 12,
                    ..datagram(&packet, &decoded)
                };
                assert_eq!(decoded, expected);
            }
        }
    }
}

/// A datagram that somebody shortened without touching its length: the header's word counts.
#[test]
fn a_frame_shorter_than_its_ip_header_says_keeps_the_stated_length() {
    for packet in packets(50, 100) {
        let datagram = packet.to_ip();
        let shorter = &datagram[..datagram.len() - 60];
        let decoded = decode(&whole(101, shorter)).unwrap();
        assert_eq!(decoded.header, HeaderView::Whole(header(&packet)));
        assert_eq!(decoded.payload, &packet.payload[..40]);
        assert_eq!(decoded.payload_len, 100);
    }
}

#[test]
fn fewer_than_12_bytes_on_the_wire_are_not_hdp() {
    for len in 0..12 {
        for packet in packets(255, 0) {
            let datagram = packet.ip.datagram(&packet.hdp()[..len]);
            for link in Link::all() {
                let network = ip(datagram.clone());
                if link.carries(&network) {
                    let frame = link.frame(&network);
                    let decoded = decode(&whole(link.link_type(), &frame));
                    assert_eq!(decoded, Err(Skip::NotHdp), "{link:?}");
                }
            }
        }
    }
}

#[test]
fn impossible_lengths_are_malformed_and_no_packet() {
    let [mut packet, _] = packets(255, 33);
    for total_len in 1..20 {
        packet.ip.total_len = Some(total_len);
        let decoded = decode(&whole(101, &packet.to_ip())).map(|_| ());
        assert!(
            matches!(decoded, Err(Skip::Malformed { .. })),
            "{decoded:?}"
        );
    }
    let label = [0, 6, 0x40, 64]; // not the bottom of the stack
    let mut stack = bytes(12);
    stack.extend([0x88, 0x47]);
    stack.extend(label.repeat(100));
    let decoded = decode(&whole(1, &stack)).map(|_| ());
    assert!(
        matches!(decoded, Err(Skip::Malformed { .. })),
        "{decoded:?}"
    );
}
