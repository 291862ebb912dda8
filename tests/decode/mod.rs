//! Decoding, compared with the bytes that were built: every protocol number on every link and in
//! every encapsulation, whole, cut, in fragments and quoted; what is not HDP; and other tools'
//! opinion of the same frames.

#[cfg(feature = "libpcap")]
mod candidates;
mod control;
mod cuts;
mod damage;
mod icmp;
mod numbers;
mod others;
mod peers;
mod rare_links;

use crate::support;
use std::net::IpAddr;

use crate::support::frames::{
    GreFields, Ip, Link, Network, Packet, ethernet_in_gre, gre, ip_in_ip, mpls, pppoe, qinq, vlan,
    vxlan,
};
use hdp::{
    decode::{DEFAULT_WINDOW_NS, Datagram, Decoder, HeaderView, PacketType, Skip},
    hdp::Header,
    protocols::Carrier,
    source::{Frame, LinkType},
};

/// When the frames were captured: in September 2026.
const TIME_NS: i64 = 1_790_000_000_123_456_789;

/// Payload lengths: none, the article's, and one that fills an Ethernet frame.
const PAYLOAD_LENS: [usize; 3] = [0, 33, 1_400];

/// The two ends, over IPv4 and over IPv6.
fn ends() -> [(IpAddr, IpAddr); 2] {
    [("10.0.0.1", "10.0.1.2"), ("2001:db8::1", "2001:db8:1::2")]
        .map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap()))
}

/// A packet over IPv4 and one over IPv6 that differ from those under other numbers in all fields.
fn packets(protocol: u8, payload_len: usize) -> [Packet; 2] {
    let number = u16::from(protocol);
    ends().map(|(src, dst)| {
        let mut packet = Packet::new(src, dst, protocol, TIMESTAMP_NS + u64::from(number));
        packet.ip.ttl = 255 - protocol;
        packet.ip.dscp = protocol % 64;
        packet.ip.ecn = protocol % 4;
        packet.ip.id = 0x4000 + u32::from(number);
        packet.srcport = 1_000 + number;
        packet.dstport = 2_000 + number;
        packet.payload = bytes(payload_len);
        packet
    })
}

/// What the sender's clock said, 1.5 s before the capture.
const TIMESTAMP_NS: u64 = 1_789_999_998_623_456_789;

/// Bytes that are neither zero nor all the same.
fn bytes(len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| u8::try_from(i * 7 % 251).unwrap() | 1)
        .collect()
}

/// A frame that was captured whole.
fn whole(link_type: u16, bytes: &[u8]) -> Frame<'_> {
    Frame {
        number: 1,
        time_ns: Some(TIME_NS),
        link_type: LinkType(link_type),
        interface: 0,
        direction: None,
        original_len: u32::try_from(bytes.len()).unwrap(),
        bytes,
    }
}

/// The same frame cut by a snapshot length.
fn cut<'a>(frame: &Frame<'a>, snaplen: usize) -> Frame<'a> {
    Frame {
        bytes: &frame.bytes[..snaplen],
        ..*frame
    }
}

fn decode<'a>(frame: &Frame<'a>) -> Result<Datagram<'a>, Skip> {
    let decoded = Decoder::new(DEFAULT_WINDOW_NS).decode(frame);
    #[cfg(feature = "libpcap")]
    if decoded.is_ok() {
        assert_is_candidate(frame);
    }
    decoded
}

/// That the kernel hands over to a live capture what the decoder finds something in.
#[cfg(feature = "libpcap")]
fn assert_is_candidate(frame: &Frame) {
    use hdp::source::{Filter, Origin};

    thread_local! {
        static KERNEL: std::cell::RefCell<Filter> = {
            let expression = hdp::decode::candidates(TIME_NS, DEFAULT_WINDOW_NS);
            Filter::new(&expression, &Origin::Stdin).into()
        };
    }
    // The kernel sees frames before they are cut.
    let is_whole = frame.bytes.len() == frame.original_len as usize;
    if frame.time_ns == Some(TIME_NS) && candidates::is_promised(frame.link_type) && is_whole {
        let passes = KERNEL.with_borrow_mut(|kernel| kernel.matches(frame).unwrap());
        assert!(passes, "the kernel would leave out {:02x?}", frame.bytes);
    }
}

/// What has to come out of a packet that is whole and straight on a link that says nothing.
/// The encapsulation is compared as text.
fn datagram<'a>(packet: &'a Packet, decoded: &Datagram) -> Datagram<'a> {
    Datagram {
        source: packet.ip.src,
        destination: packet.ip.dst,
        protocol: packet.ip.protocol,
        carrier: Carrier::Ip,
        ttl: packet.ip.ttl,
        dscp: packet.ip.dscp,
        ecn: packet.ip.ecn,
        ip_id: packet
            .ip
            .src
            .is_ipv4()
            .then(|| u16::try_from(packet.ip.id).unwrap()),
        fragment: None,
        header: HeaderView::Whole(header(packet)),
        payload: &packet.payload,
        payload_len: u32::try_from(packet.payload.len()).unwrap(),
        encapsulation: decoded.encapsulation,
        packet_type: None,
        interface: None,
        quote: None,
    }
}

fn header(packet: &Packet) -> Header {
    Header {
        source_port: packet.srcport,
        destination_port: packet.dstport,
        timestamp_ns: packet.timestamp_ns,
    }
}

/// What the link says of the frame beside its bytes; an interface's hash is taken as it is.
fn link_says(link: &Link, decoded: &Datagram) -> (Option<PacketType>, Option<u32>) {
    let packet_type = |value| match value {
        0 => PacketType::Host,
        1 => PacketType::Broadcast,
        2 => PacketType::Multicast,
        4 => PacketType::Outgoing,
        other => panic!("packet type {other}"),
    };
    match link {
        Link::Sll { packet_type: value } => (Some(packet_type(*value)), None),
        Link::Sll2 {
            packet_type: value,
            interface,
        } => (Some(packet_type((*value).into())), Some(*interface)),
        Link::Pktap { outbound, .. } => {
            assert!(decoded.interface.is_some());
            (
                Some(packet_type(if *outbound { 4 } else { 0 })),
                decoded.interface,
            )
        }
        _ => (None, None),
    }
}

/// A payload in every encapsulation, beside what the decoder has to call it.
fn encapsulations(inner: &Network) -> Vec<(String, Network)> {
    let mut all = vec![
        ("none".to_owned(), inner.clone()),
        ("VLAN".to_owned(), vlan(5, inner)),
        ("VLAN/VLAN".to_owned(), qinq(6, 5, inner)),
        ("MPLS".to_owned(), mpls(&[100], inner)),
        ("MPLS/MPLS/MPLS".to_owned(), mpls(&[100, 200, 300], inner)),
        ("PPPoE".to_owned(), pppoe(9, inner)),
        ("VLAN/VLAN/PPPoE".to_owned(), qinq(6, 5, &pppoe(9, inner))),
        ("VLAN/MPLS".to_owned(), vlan(5, &mpls(&[100], inner))),
    ];
    for (src, dst) in ends() {
        let outer = Ip::new(dst, src, 0);
        let name = if src.is_ipv4() { "IPv4" } else { "IPv6" };
        for fields in gre_fields() {
            all.push((format!("{name}/GRE"), gre(&outer, fields, inner)));
        }
        let bridged = ethernet_in_gre(&vlan(5, inner));
        all.extend([
            (
                format!("{name}/GRE/VLAN"),
                gre(&outer, GreFields::default(), &bridged),
            ),
            (
                format!("{name}/GRE/MPLS"),
                gre(&outer, GreFields::default(), &mpls(&[100], inner)),
            ),
            (name.to_owned(), ip_in_ip(&outer, inner)),
            (format!("{name}/VXLAN"), vxlan(&outer, 42, inner)),
            (
                format!("VLAN/{name}/VXLAN/VLAN"),
                vlan(7, &vxlan(&outer, 42, &vlan(5, inner))),
            ),
        ]);
    }
    all
}

/// Every combination of GRE's optional fields.
fn gre_fields() -> impl Iterator<Item = GreFields> {
    (0..8_u32).map(|bits| GreFields {
        checksum: bits & 1 != 0,
        key: (bits & 2 != 0).then_some(7),
        sequence: (bits & 4 != 0).then_some(1),
    })
}
