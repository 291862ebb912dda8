//! The test frames are what they claim to be: read back with etherparse's whole-packet parser,
//! which is right for the UDP control and wrong for bare HDP, so that the tool does not use it.

use std::net::IpAddr;

use crate::support::frames::{
    Extension, GreFields, Ip, Link, Network, Packet, QUOTES, arp_request, gre, icmp_error, ip,
    ip_in_ip, mpls, pppoe, qinq, vlan, vxlan,
};
use etherparse::{NetSlice, SlicedPacket, TransportSlice, checksum::Sum16BitWords};

const TIMESTAMP_NS: u64 = 1_790_000_000_123_456_789;

fn addresses() -> [(IpAddr, IpAddr); 2] {
    [("10.0.0.1", "10.0.1.2"), ("2001:db8::1", "2001:db8:1::2")]
        .map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap()))
}

fn packets() -> [Packet; 2] {
    addresses().map(|(src, dst)| Packet::new(src, dst, 253, TIMESTAMP_NS))
}

/// That the frame carries the control of `packet`, with valid lengths and checksums.
fn assert_control(sliced: &SlicedPacket, packet: &Packet) {
    let Some(TransportSlice::Udp(udp)) = &sliced.transport else {
        panic!("no UDP in {sliced:?}")
    };
    assert_eq!(udp.payload(), packet.hdp());
    let header = udp.to_header();
    let checksum = match sliced.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => {
            let header = ip.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum());
            assert_eq!(header.time_to_live, packet.ip.ttl);
            udp.to_header()
                .calc_checksum_ipv4(&header, udp.payload())
                .unwrap()
        }
        NetSlice::Ipv6(ip) => udp
            .to_header()
            .calc_checksum_ipv6(&ip.header().to_header(), udp.payload())
            .unwrap(),
        NetSlice::Arp(_) => panic!("ARP"),
    };
    assert_eq!(header.checksum, checksum);
}

#[test]
fn the_control_is_a_valid_udp_datagram_behind_options_extensions_and_tags() {
    for mut packet in packets() {
        packet.ip.options = vec![7, 7, 4, 0, 0, 0, 0]; // record route
        packet.ip.extensions = [0, 60, 43, 51].map(Extension::new).to_vec();
        packet.ip.dscp = 46;
        packet.ip.ecn = 1;
        let inner = ip(packet.to_udp());
        for network in [inner.clone(), vlan(5, &inner), qinq(6, 5, &inner)] {
            let frame = Link::ETHERNET.frame(&network);
            assert_control(&SlicedPacket::from_ethernet(&frame).unwrap(), &packet);
        }
    }
}

#[test]
fn fragments_put_together_again_are_the_datagram() {
    for mut packet in packets() {
        packet.payload = vec![0x5a; 3_000];
        let fragments = packet.to_fragments(1_500);
        assert_eq!(fragments.len(), 3);
        let mut joined: Vec<u8> = Vec::new();
        for bytes in &fragments {
            assert!(bytes.len() <= 1_500);
            let sliced = SlicedPacket::from_ip(bytes).unwrap();
            let payload = sliced.net.as_ref().unwrap().ip_payload_ref().unwrap();
            assert!(payload.fragmented);
            joined.extend(payload.payload);
        }
        assert_eq!(joined, packet.hdp());
        assert_eq!(packet.to_fragments(9_000), [packet.to_ip()]);
    }
}

#[test]
fn icmp_errors_quote_what_they_say() {
    for packet in packets() {
        let (icmp_type, code) = if packet.ip.src.is_ipv4() {
            (3, 2)
        } else {
            (4, 1)
        };
        let router = Ip::new(packet.ip.dst, packet.ip.src, 0);
        let quoted = packet.to_ip();
        let header_len = quoted.len() - packet.hdp().len();
        let lens = QUOTES.map(|quote| {
            let error = icmp_error(&router, icmp_type, code, &quoted, quote);
            let sliced = SlicedPacket::from_ip(&error).unwrap();
            let body = match sliced.transport.unwrap() {
                TransportSlice::Icmpv4(icmp) => {
                    assert_eq!((icmp.type_u8(), icmp.code_u8()), (3, 2));
                    // Not etherparse's own sum, which takes RFC 4884's length for zero.
                    let sum = Sum16BitWords::new().add_slice(icmp.slice());
                    assert_eq!(sum.ones_complement(), 0);
                    icmp.payload().to_vec()
                }
                TransportSlice::Icmpv6(icmp) => {
                    assert_eq!((icmp.type_u8(), icmp.code_u8()), (4, 1));
                    let (IpAddr::V6(src), IpAddr::V6(dst)) = (router.src, router.dst) else {
                        unreachable!()
                    };
                    assert!(icmp.is_checksum_valid(src.octets(), dst.octets()));
                    icmp.payload().to_vec()
                }
                other => panic!("{other:?}"),
            };
            let same = quoted.iter().zip(&body).take_while(|(a, b)| a == b).count();
            assert_eq!(same, quoted.len().min(body.len()));
            body.len()
        });
        assert_eq!(lens, [header_len + 8, 128 + 12, quoted.len()]);
    }
}

#[test]
fn every_link_carries_the_same_datagram_at_its_end() {
    for packet in packets() {
        let outer = Ip::new(packet.ip.src, packet.ip.dst, 0);
        let inner = ip(packet.to_ip());
        let keyed = GreFields {
            checksum: true,
            key: Some(7),
            sequence: Some(1),
        };
        let networks: Vec<Network> = vec![
            inner.clone(),
            vlan(5, &inner),
            qinq(6, 5, &inner),
            mpls(&[100], &inner),
            mpls(&[100, 200, 300], &inner),
            pppoe(9, &inner),
            gre(&outer, GreFields::default(), &inner),
            gre(&outer, keyed, &inner),
            ip_in_ip(&outer, &inner),
            vxlan(&outer, 42, &inner),
        ];
        for network in &networks {
            assert!(network.bytes.ends_with(&packet.to_ip()));
            for link in Link::all() {
                if link.carries(network) {
                    let frame = link.frame(network);
                    let trailer = if link
                        == (Link::Ethernet {
                            padded: true,
                            fcs: true,
                        }) {
                        4
                    } else {
                        0
                    };
                    assert!(
                        frame[..frame.len() - trailer].ends_with(&packet.to_ip()),
                        "{link:?}"
                    );
                }
            }
        }
        let short = Link::Ethernet {
            padded: true,
            fcs: true,
        }
        .frame(&arp_request());
        assert_eq!(short.len(), 64);
    }
}
