//! The shortcut finds what the decoder finds: the same frames, observed both ways, give the same
//! point. All frames of all fixtures, frames that differ in one byte, and sequences of everything
//! that the decoder knows.

use std::{fs, net::IpAddr, path::PathBuf};

use super::both_ways::BothWays;
use crate::{
    decode::DEFAULT_WINDOW_NS,
    source::{Frame, FrameDirection, LinkType, Origin, Source},
};
use proptest::prelude::*;

use crate::frames_for_tests::{
    Extension, Fragment, GreFields, Link, Network, Packet, QUOTES, arp_request, ethernet_in_gre,
    gre, icmp_error, ip, ip_in_ip, mpls, pppoe, qinq, vlan, vxlan,
};

/// When the frames were captured, 1.5 s after their senders' timestamps.
const TIME_NS: i64 = 1_790_000_000_123_456_789;
const TIMESTAMP_NS: u64 = 1_789_999_998_623_456_789;

fn frame<'a>(number: u64, link: &Link, bytes: &'a [u8]) -> Frame<'a> {
    Frame {
        number,
        time_ns: Some(TIME_NS),
        link_type: LinkType(link.link_type()),
        interface: 0,
        direction: None,
        original_len: u32::try_from(bytes.len()).unwrap(),
        bytes,
    }
}

fn ends() -> [(IpAddr, IpAddr); 2] {
    [("10.0.0.1", "10.0.1.2"), ("2001:db8::1", "2001:db8:1::2")]
        .map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap()))
}

fn fixtures() -> Vec<PathBuf> {
    let folders = fs::read_dir("fixtures").unwrap();
    let mut files: Vec<PathBuf> = folders
        .map(|folder| folder.unwrap().path())
        .filter(|folder| folder.is_dir())
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .map(|file| file.unwrap().path())
        .filter(|file| file.to_str().unwrap().contains(".pcap"))
        .collect();
    files.sort();
    files
}

#[test]
fn in_every_fixture() {
    let files = fixtures();
    assert!(files.len() > 20, "{files:?}");
    let mut recalled = 0;
    for file in files {
        let mut both = BothWays::default();
        let mut source = Source::open(Origin::Path(file.clone())).unwrap();
        while let Some(frame) = source.next_frame() {
            both.see(&frame);
        }
        recalled += both.assert_alike(file.to_str().unwrap());
    }
    assert!(recalled > 5_000, "{recalled} frames took the shortcut");
}

/// A flow, and frames that differ from it in one byte: in the IP header and the ports every value
/// that a byte can have, before and behind them every bit.
#[test]
fn when_one_byte_differs() {
    for (src, dst) in ends() {
        for protocol in [0, 6, 50, 253] {
            for link in Link::all() {
                let packet = Packet::new(src, dst, protocol, TIMESTAMP_NS);
                let datagram = packet.to_ip();
                let network = ip(datagram.clone());
                if !link.carries(&network) {
                    continue;
                }
                let all_values = protocol == 253 && link == Link::ETHERNET;
                let usual = link.frame(&network);
                let ip_at = usual
                    .windows(datagram.len())
                    .position(|bytes| bytes == datagram)
                    .unwrap();
                let ports = ip_at + datagram.len() - packet.hdp().len()..;
                let mut both = BothWays::default();
                let mut number = 0;
                for at in 0..ports.start + 14 {
                    for value in 0..=u8::MAX {
                        let flipped = value ^ usual[at];
                        if !(all_values && (ip_at..ports.start + 4).contains(&at)
                            || flipped.is_power_of_two())
                        {
                            continue;
                        }
                        let mut other = usual.clone();
                        other[at] = value;
                        for bytes in [&usual, &other] {
                            number += 1;
                            both.see(&frame(number, &link, bytes));
                        }
                    }
                }
                both.assert_alike(&format!("{link:?}, {protocol} from {src}"));
            }
        }
    }
}

/// Frames of Ethernet that begin with IP, where a link address could be.
#[test]
fn when_one_byte_differs_and_no_link_layer_is_there() {
    for (src, dst) in ends() {
        let usual = Packet::new(src, dst, 253, TIMESTAMP_NS).to_ip();
        let mut both = BothWays::default();
        for (at, value) in
            (0..usual.len()).flat_map(|at| (0..=u8::MAX).map(move |value| (at, value)))
        {
            let mut other = usual.clone();
            other[at] = value;
            for (number, bytes) in [&usual, &other].into_iter().enumerate() {
                both.see(&frame(number as u64, &Link::ETHERNET, bytes));
            }
        }
        both.assert_alike(&format!("bare, from {src}"));
    }
}

/// A datagram that says it is longer than the tunnel's, in a frame that is longer too.
#[test]
fn when_a_tunnel_ends_before_the_datagram_in_it() {
    for (src, dst) in ends() {
        let inner = ip(Packet::new(src, dst, 253, TIMESTAMP_NS).to_ip());
        let outer = Packet::new(
            "192.0.2.1".parse().unwrap(),
            "192.0.2.2".parse().unwrap(),
            4,
            0,
        );
        let mut tunnelled = Link::ETHERNET.frame(&ip_in_ip(&outer.ip, &inner));
        // Less than the inner one's payload.
        let [high, low] = (u16::from_be_bytes([tunnelled[16], tunnelled[17]]) - 8).to_be_bytes();
        (tunnelled[16], tunnelled[17]) = (high, low);
        let mut both = BothWays::default();
        for number in 1..=3 {
            both.see(&frame(number, &Link::ETHERNET, &tunnelled));
        }
        both.assert_alike(&format!("from {src}"));
    }
}

/// What a packet is made into.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Plain,
    Control,
    Options(usize),
    Extensions(u8),
    FirstFragment,
    LaterFragment,
    /// What segmentation offload leaves.
    NoTotalLength,
    Quoted(usize),
    Vlan,
    QinQ,
    Mpls,
    Pppoe,
    Gre,
    GreEthernet,
    IpInIp,
    Vxlan,
    Arp,
}

/// One frame: what it holds, which link it is on, how it was captured.
#[derive(Debug, Clone)]
struct Seen {
    packet: Packet,
    shape: Shape,
    link: Link,
    snaplen: usize,
    interface: u32,
    direction: Option<FrameDirection>,
    time_ns: Option<i64>,
}

impl Seen {
    fn network(&self) -> Network {
        let mut packet = self.packet.clone();
        let outer = packet.ip.carrying(0);
        match self.shape {
            Shape::Control => return ip(packet.to_udp()),
            Shape::Options(len) => packet.ip.options = vec![1; len],
            Shape::Extensions(number) => packet.ip.extensions = vec![Extension::new(number)],
            Shape::FirstFragment | Shape::LaterFragment => {
                let is_first = matches!(self.shape, Shape::FirstFragment);
                packet.ip.fragment = Some(Fragment {
                    offset: if is_first { 0 } else { 1_480 },
                    more: is_first,
                });
            }
            Shape::NoTotalLength => packet.ip.total_len = Some(0),
            Shape::Quoted(quote) => {
                let (icmp_type, code) = if outer.src.is_ipv4() { (3, 2) } else { (4, 1) };
                let quoted = packet.to_ip();
                return ip(icmp_error(&outer, icmp_type, code, &quoted, QUOTES[quote]));
            }
            _ => {}
        }
        let inner = ip(packet.to_ip());
        match self.shape {
            Shape::Vlan => vlan(5, &inner),
            Shape::QinQ => qinq(6, 5, &inner),
            Shape::Mpls => mpls(&[100, 200], &inner),
            Shape::Pppoe => pppoe(9, &inner),
            Shape::Gre => gre(&outer, GreFields::default(), &inner),
            Shape::GreEthernet => gre(&outer, GreFields::default(), &ethernet_in_gre(&inner)),
            Shape::IpInIp => ip_in_ip(&outer, &inner),
            Shape::Vxlan => vxlan(&outer, 42, &inner),
            Shape::Arp => arp_request(),
            _ => inner,
        }
    }
}

fn shapes() -> impl Strategy<Value = Shape> {
    let unusual = prop_oneof![
        1 => Just(Shape::Control),
        1 => prop::sample::select(vec![4_usize, 8, 40]).prop_map(Shape::Options),
        1 => prop::sample::select(Extension::NUMBERS.to_vec()).prop_map(Shape::Extensions),
        3 => Just(Shape::FirstFragment),
        3 => Just(Shape::LaterFragment),
        1 => Just(Shape::NoTotalLength),
        1 => (0..QUOTES.len()).prop_map(Shape::Quoted),
        1 => Just(Shape::Vlan),
        1 => Just(Shape::QinQ),
        1 => Just(Shape::Mpls),
        1 => Just(Shape::Pppoe),
        1 => Just(Shape::Gre),
        1 => Just(Shape::GreEthernet),
        1 => Just(Shape::IpInIp),
        1 => Just(Shape::Vxlan),
        1 => Just(Shape::Arp),
    ];
    prop_oneof![2 => Just(Shape::Plain), 1 => unusual]
}

/// Packets of few flows that resemble each other: most share all but one or two fields.
fn packets(numbers: Vec<u8>) -> impl Strategy<Value = Packet> {
    let header = (
        prop::sample::select(ends().to_vec()),
        prop::bool::weighted(0.2),
        prop::sample::select(numbers),
        prop_oneof![3 => Just(64_u8), 1 => any::<u8>()],
        (
            prop_oneof![5 => Just(0_u8), 1 => 0..64_u8],
            prop_oneof![5 => Just(0_u8), 1 => 0..4_u8],
        ),
        any::<u16>(),
        any::<bool>(),
    );
    let body = (
        prop_oneof![5 => Just(420_u16), 1 => any::<u16>()],
        prop_oneof![5 => Just(420_u16), 1 => any::<u16>()],
        prop_oneof![
            8 => 0..2_000_000_000_u64,
            1 => Just(DEFAULT_WINDOW_NS), // still plausible ...
            1 => Just(DEFAULT_WINDOW_NS * 2), // ... and no longer
        ],
        prop::collection::vec(any::<u8>(), 0..80),
    );
    (header, body).prop_map(|(header, (srcport, dstport, after_ns, payload))| {
        let ((mut src, mut dst), is_reply, number, ttl, (dscp, ecn), id, dont_fragment) = header;
        if is_reply {
            (src, dst) = (dst, src);
        }
        let mut packet = Packet::new(src, dst, number, TIMESTAMP_NS + after_ns);
        packet.ip.ttl = ttl;
        packet.ip.dscp = dscp;
        packet.ip.ecn = ecn;
        packet.ip.id = id.into();
        packet.ip.dont_fragment = dont_fragment;
        packet.srcport = srcport;
        packet.dstport = dstport;
        packet.payload = payload;
        packet
    })
}

fn captures() -> impl Strategy<Value = Vec<Seen>> {
    let links = prop::collection::vec(prop::sample::select(Link::all()), 1..=2);
    // Packet type 3: for another host.
    let overheard = [
        Link::Sll { packet_type: 3 },
        Link::Sll2 {
            packet_type: 3,
            interface: 7,
        },
    ];
    let links = (
        links,
        prop::option::weighted(0.1, prop::sample::select(overheard.to_vec())),
    )
        .prop_map(|(mut links, overheard)| {
            links.extend(overheard);
            links
        });
    let numbers = prop::collection::vec(any::<u8>(), 1..=3);
    (links, numbers).prop_flat_map(|(links, numbers)| {
        let seen = (
            packets(numbers),
            shapes(),
            prop::sample::select(links),
            prop_oneof![4 => Just(usize::MAX), 1 => 0..120_usize],
            prop_oneof![5 => Just(0_u32), 1 => Just(1)],
            prop_oneof![
                5 => Just(None),
                1 => Just(Some(FrameDirection::Inbound)),
                1 => Just(Some(FrameDirection::Outbound)),
            ],
            prop_oneof![12 => Just(Some(TIME_NS)), 1 => Just(None)],
        )
            .prop_map(
                |(packet, shape, link, snaplen, interface, direction, time_ns)| Seen {
                    packet,
                    shape,
                    link,
                    snaplen,
                    interface,
                    direction,
                    time_ns,
                },
            );
        prop::collection::vec(seen, 1..100)
    })
}

proptest! {
    #[test]
    fn in_any_sequence(capture in captures()) {
        let mut both = BothWays::default();
        for (number, seen) in (1..).zip(&capture) {
            let network = seen.network();
            if !seen.link.carries(&network) {
                continue;
            }
            let whole = seen.link.frame(&network);
            let kept = &whole[..whole.len().min(seen.snaplen)];
            both.see(&Frame {
                interface: seen.interface,
                direction: seen.direction,
                time_ns: seen.time_ns,
                original_len: u32::try_from(whole.len()).unwrap(),
                ..frame(number, &seen.link, kept)
            });
        }
        both.assert_alike("a generated capture");
    }
}
