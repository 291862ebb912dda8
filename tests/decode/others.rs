//! What is not HDP, and how sure that is.
#![allow(
    clippy::single_range_in_vec_init,
    reason = "the lists of random ranges are lists, however short"
)]

use std::ops::Range;

use hdp::{
    decode::{DEFAULT_WINDOW_NS, Decoder, Skip},
    source::Frame,
};

use super::{
    TIME_NS, decode, ends, packets,
    support::frames::{
        self, Extension, GreFields, Ip, Link, Packet, arp_request, gre, icmp_error, ip, ip_in_ip,
        udp, vxlan,
    },
    whole,
};

/// How many packets of each kind of genuine traffic are tried.
const TRIES: u32 = 100_000;

/// A packet of some other protocol, and the bytes in its IP payload that differ from packet to
/// packet or from host to host.
struct Genuine {
    name: &'static str,
    datagram: Vec<u8>,
    random: Vec<Range<usize>>,
}

impl Genuine {
    /// `random` counts from the end of `header`'s base header.
    fn new(name: &'static str, header: &Ip, body: &[u8], random: &[Range<usize>]) -> Self {
        Self::of(name, header.datagram(body), random)
    }

    fn of(name: &'static str, datagram: Vec<u8>, random: &[Range<usize>]) -> Self {
        let header_len = if datagram[0] >> 4 == 4 { 20 } else { 40 };
        let random = random
            .iter()
            .map(|range| header_len + range.start..header_len + range.end)
            .collect();
        Self {
            name,
            datagram,
            random,
        }
    }
}

/// What captures hold beside HDP, with every field random that is so in real traffic.
fn genuine() -> Vec<Genuine> {
    let [(a4, b4), (a6, b6)] = ends();
    let (v4, v6) = (Ip::new(a4, b4, 0), Ip::new(a6, b6, 0));
    let igmp = [0x22, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 224, 0, 0, 251];
    let mut all = vec![Genuine::new(
        "IGMP",
        &v4.carrying(2),
        &igmp,
        &[2..4, 13..16],
    )];
    for header in [&v4, &v6] {
        all.extend(transports(header));
        all.extend(about_hosts(header));
        all.extend(tunnels(header));
    }
    all.extend(behind_ipv6_extensions(&v6));
    all
}

/// A segment of 132 bytes; random are its ports, sequence and acknowledgement number.
fn tcp() -> Vec<u8> {
    let mut tcp = vec![0; 132];
    tcp[12..14].copy_from_slice(&[0x80, 0x18]); // 32 bytes of header, PSH and ACK
    tcp[20..24].copy_from_slice(&[1, 1, 8, 10]); // timestamps
    tcp
}

fn transports(header: &Ip) -> Vec<Genuine> {
    let dns = udp(header, 50_000, 53, &[0; 40]);
    let quic = udp(header, 50_000, 443, &[0; 1_200]);
    let new = |name, protocol, body: &[u8], random: &[Range<usize>]| {
        Genuine::new(name, &header.carrying(protocol), body, random)
    };
    vec![
        new("TCP", 6, &tcp(), &[0..12, 16..18, 24..132]),
        Genuine::of("DNS", dns, &[0..2, 6..10, 20..48]),
        Genuine::of("QUIC", quic, &[0..2, 6..1_208]),
        new("SCTP", 132, &[0; 48], &[0..48]),
        new("UDP-Lite", 136, &[0; 48], &[0..4, 6..48]),
        new("DCCP", 33, &[0; 48], &[0..48]),
    ]
}

/// Ping, ICMP errors about TCP, and routers among themselves.
fn about_hosts(header: &Ip) -> Vec<Genuine> {
    let (icmp, echo, unreachable) = if header.src.is_ipv4() {
        (1, 8, 3)
    } else {
        (58, 128, 1)
    };
    let mut ping = [0; 64];
    ping[0] = echo;
    let mut ospf = [0; 44];
    ospf[..4].copy_from_slice(&[2, 1, 0, 44]);
    let quoted = header.carrying(6).datagram(&tcp());
    let at = 8 + quoted.len() - 132;
    let error = |how| icmp_error(header, unreachable, 3, &quoted, how);
    vec![
        // Checksum, identifier, sequence number, ping's own time.
        Genuine::new("ping", &header.carrying(icmp), &ping, &[2..16]),
        Genuine::of("error", error(frames::Quote::Whole), &[2..4, at..at + 132]),
        Genuine::of("8 bytes", error(frames::Quote::Eight), &[2..4, at..at + 8]),
        // Router and area, checksum, authentication.
        Genuine::new("OSPF", &header.carrying(89), &ospf, &[4..24]),
    ]
}

fn tunnels(header: &Ip) -> Vec<Genuine> {
    let inner = header.carrying(6).datagram(&tcp());
    let inner_header = inner.len() - 132;
    // What is different in each segment inside, which begins at this offset.
    let segment = |at| at + inner_header..at + inner_header + 12;
    // The identification or the flow label.
    let id = if header.src.is_ipv4() { 4..6 } else { 2..4 };
    let fields = GreFields {
        key: Some(0),
        sequence: Some(0),
        checksum: false,
    };
    let in_gre = gre(header, fields, &ip(inner.clone())).bytes;
    let in_ip = ip_in_ip(header, &ip(inner.clone())).bytes;
    let in_vxlan = vxlan(header, 42, &ip(inner)).bytes;
    let mut ah = vec![6, 4, 0, 0];
    ah.resize(24, 0);
    ah.extend(tcp());
    vec![
        Genuine::of("TCP in GRE", in_gre, &[4..12, segment(12)]),
        Genuine::of("TCP in IP", in_ip, &[id, segment(0)]),
        Genuine::of("TCP in VXLAN", in_vxlan, &[0..2, segment(8 + 8 + 14)]),
        Genuine::new("AH", &header.carrying(51), &ah, &[4..36]),
        Genuine::new("ESP", &header.carrying(50), &[0; 100], &[0..100]),
        Genuine::new("L2TPv3", &header.carrying(115), &[0; 48], &[0..48]),
    ]
}

fn behind_ipv6_extensions(header: &Ip) -> Vec<Genuine> {
    let zeros = |start: &[u8], len| [start, &vec![0; len]].concat();
    let router_alert = zeros(&[5, 2, 0, 0, 1, 0], 0);
    let home_address = zeros(&[1, 2, 0, 0, 201, 16], 16);
    let binding_update = zeros(&[5, 0, 0, 0], 26);
    let segments = zeros(&[4, 1, 1, 0, 0, 0], 32);
    let mut all = Vec::new();
    for (name, number, body, random) in [
        ("hop-by-hop", 0, router_alert, 0..0),
        ("destination options", 60, home_address, 8..24),
        ("mobility", 135, binding_update, 4..32),
        ("routing", 43, segments, 4..40),
        ("HIP", 139, zeros(&[], 38), 2..40),
    ] {
        let len = body.len() + 2;
        let mut header = header.carrying(6);
        header.extensions = vec![Extension { number, body }];
        all.push(Genuine::new(
            name,
            &header,
            &tcp(),
            &[random, len..len + 12],
        ));
    }
    let fragment = Ip {
        fragment: Some(frames::Fragment {
            offset: 0,
            more: true,
        }),
        ..header.carrying(6)
    };
    all.push(Genuine::new(
        "fragment",
        &fragment,
        &tcp(),
        &[4..20, 32..140],
    ));
    all
}

/// At most two fields a packet are read as a timestamp (a tunnel's and its content's), and each
/// is HDP's by chance with 2 x window / 2^64 = 9.4e-6, or less where part of it is not random.
#[test]
fn genuine_traffic_is_taken_for_hdp_about_once_in_a_hundred_thousand() {
    let mut random = Random(1);
    let mut decoder = Decoder::new(DEFAULT_WINDOW_NS);
    let (mut tried, mut claimed) = (0, 0);
    for mut genuine in genuine() {
        let mut of_kind = 0;
        for _ in 0..TRIES {
            for range in &genuine.random {
                random.fill(&mut genuine.datagram[range.clone()]);
            }
            match decoder.decode(&whole(101, &genuine.datagram)) {
                Ok(_) => of_kind += 1,
                Err(skip) => assert_eq!(skip, Skip::NotHdp, "{}", genuine.name),
            }
        }
        // Expected are 0.9, or 1.9 with two such fields: 12 or more have a chance of 1e-6.
        assert!(of_kind < 12, "{of_kind} times {}", genuine.name);
        tried += TRIES;
        claimed += of_kind;
    }
    let by_chance = f64::from(tried) * 2.0 * 9.4e-6;
    assert!(claimed > 0, "random fields are not random");
    assert!(f64::from(claimed) < by_chance, "{claimed} of {tried}");
}

/// Ten minutes take 0.07 in a million.
#[test]
fn a_narrow_window_takes_next_to_nothing() {
    let mut random = Random(2);
    let mut decoder = Decoder::new(600_000_000_000);
    let mut datagram = Ip::new(ends()[0].0, ends()[0].1, 6).datagram(&[0; 32]);
    let mut claimed = 0;
    for _ in 0..1_000_000 {
        random.fill(&mut datagram[20..]);
        claimed += u32::from(decoder.decode(&whole(101, &datagram)).is_ok());
    }
    assert!(claimed <= 2, "{claimed}");
}

#[test]
fn what_is_not_ip_is_told_from_what_is_not_hdp() {
    let arp = Link::ETHERNET.frame(&arp_request());
    assert_eq!(decode(&whole(1, &arp)), Err(Skip::NotIp));
    for (src, dst) in ends() {
        let outer = Ip::new(src, dst, 0);
        for tunnel in [
            gre(&outer, GreFields::default(), &arp_request()),
            gre(
                &outer,
                GreFields::default(),
                &frames::ethernet_in_gre(&arp_request()),
            ),
            vxlan(&outer, 42, &arp_request()),
        ] {
            let frame = Link::ETHERNET.frame(&tunnel);
            assert_eq!(decode(&whole(1, &frame)), Err(Skip::NotHdp));
        }
    }
    let unknown = whole(147, &arp);
    assert_eq!(
        decode(&unknown),
        Err(Skip::UnsupportedLink(unknown.link_type))
    );
}

/// A cooked capture on all interfaces holds devices whose "protocol" is no `EtherType`: 802.11
/// with radiotap, netlink, frame relay.
#[test]
fn a_cooked_frame_of_a_device_without_ethertypes_is_not_ip() {
    let [packet, _] = packets(253, 33);
    let network = ip(packet.to_ip());
    for hardware in [770_u16, 803, 824] {
        let mut sll = Link::Sll { packet_type: 0 }.frame(&network);
        sll[2..4].copy_from_slice(&hardware.to_be_bytes());
        assert_eq!(decode(&whole(113, &sll)), Err(Skip::NotIp));
        let mut sll2 = Link::Sll2 {
            packet_type: 0,
            interface: 1,
        }
        .frame(&network);
        sll2[8..10].copy_from_slice(&hardware.to_be_bytes());
        assert_eq!(decode(&whole(276, &sll2)), Err(Skip::NotIp));
    }
}

/// Enhanced GRE (PPTP), and GRE with source routes, which nobody sends.
#[test]
fn other_versions_of_gre_are_not_walked() {
    for packet in packets(253, 33) {
        let outer = Ip::new(packet.ip.src, packet.ip.dst, 0);
        let whole_gre = gre(&outer, GreFields::default(), &ip(packet.to_ip())).bytes;
        let header_len = whole_gre.len() - packet.to_ip().len() - 4;
        for (byte, bit) in [(1, 0x01), (0, 0x40)] {
            let mut other = whole_gre.clone();
            other[header_len + byte] |= bit;
            assert_eq!(decode(&whole(101, &other)), Err(Skip::NotHdp));
        }
    }
}

#[test]
fn vxlan_needs_its_flag_and_its_port() {
    for packet in packets(253, 33) {
        let outer = Ip::new(packet.ip.src, packet.ip.dst, 0);
        let bytes = vxlan(&outer, 42, &ip(packet.to_ip())).bytes;
        let udp_start = if packet.ip.src.is_ipv4() { 20 } else { 40 };
        let mut linux = bytes.clone();
        linux[udp_start + 2..udp_start + 4].copy_from_slice(&8_472_u16.to_be_bytes());
        assert!(decode(&whole(101, &linux)).is_ok());
        let mut flag = bytes.clone();
        flag[udp_start + 8] = 0;
        assert_eq!(decode(&whole(101, &flag)), Err(Skip::NotHdp));
        let mut port = bytes;
        port[udp_start + 2..udp_start + 4].copy_from_slice(&4_788_u16.to_be_bytes());
        assert_eq!(decode(&whole(101, &port)), Err(Skip::NotHdp));
    }
}

/// Whether a packet with this timestamp, captured at [`TIME_NS`], is taken for HDP.
fn is_claimed(window_ns: u64, mut packet: Packet, timestamp_ns: u64, how: How) -> bool {
    packet.timestamp_ns = timestamp_ns;
    let bytes = match how {
        How::Straight => packet.to_ip(),
        How::Control => {
            packet.dstport = 420;
            packet.to_udp()
        }
        How::Quoted(quote) => {
            let router = Ip::new(packet.ip.dst, packet.ip.src, 0);
            let (icmp_type, code) = if packet.ip.src.is_ipv4() {
                (11, 0)
            } else {
                (3, 0)
            };
            icmp_error(&router, icmp_type, code, &packet.to_ip(), quote)
        }
    };
    Decoder::new(window_ns).decode(&whole(101, &bytes)).is_ok()
}

#[derive(Debug, Clone, Copy)]
enum How {
    Straight,
    Control,
    Quoted(frames::Quote),
}

/// Some systems record what a tunnel hands up as if it were Ethernet.
#[test]
fn ip_where_a_link_layer_should_be_is_ip() {
    for packet in packets(253, 33) {
        let mut bytes = packet.to_ip();
        let decoded = |bytes: &[u8]| {
            Decoder::new(DEFAULT_WINDOW_NS)
                .decode(&whole(1, bytes))
                .is_ok()
        };
        assert!(decoded(&bytes));
        // A station's address may begin like IP: the rest must be right too.
        if bytes[0] >> 4 == 4 {
            bytes[10] ^= 1;
        } else {
            bytes.pop();
        }
        assert!(!decoded(&bytes));
    }
}

/// 2024-01-01: no HDP is older.
const EARLIEST_NS: u64 = 1_704_067_200_000_000_000;

#[test]
fn the_window_ends_where_it_says() {
    let time = TIME_NS.cast_unsigned();
    for packet in packets(253, 33) {
        for how in [
            How::Straight,
            How::Control,
            How::Quoted(frames::Quote::Whole),
        ] {
            for window in [0, 1, 600_000_000_000, DEFAULT_WINDOW_NS] {
                let claimed = |timestamp| is_claimed(window, packet.clone(), timestamp, how);
                assert!(claimed(time - window) && claimed(time) && claimed(time + window));
                assert!(!claimed(time - window - 1) && !claimed(time + window + 1));
            }
        }
        let all = |timestamp| is_claimed(u64::MAX, packet.clone(), timestamp, How::Straight);
        assert!(all(EARLIEST_NS) && all(u64::MAX >> 1));
        assert!(!all(EARLIEST_NS - 1), "before there was HDP");
        assert!(!all(u64::MAX), "beyond the year 2262");
    }
}

/// Eight bytes hold the timestamp's upper half: any lower one may have been there.
#[test]
fn the_window_of_a_short_quote_is_as_wide_as_its_doubt() {
    let time = TIME_NS.cast_unsigned();
    let (lowest, highest) = (time >> 32 << 32, time | 0xffff_ffff);
    let how = How::Quoted(frames::Quote::Eight);
    for packet in packets(253, 33) {
        for window in [0, 1, 600_000_000_000, DEFAULT_WINDOW_NS] {
            let claimed = |timestamp| is_claimed(window, packet.clone(), timestamp, how);
            assert!(
                claimed(lowest) && claimed(time) && claimed(highest),
                "{window}"
            );
            assert!(claimed(time - window) && claimed(time + window), "{window}");
            let one_half = 1 << 32;
            assert!(!claimed(time - window - one_half), "{window}");
            assert!(!claimed(time + window + one_half), "{window}");
        }
    }
}

/// A pcapng simple packet block has no time: dates from 2024 to 2096 have to do.
#[test]
fn without_a_capture_time_any_date_of_these_years_will_do() {
    for mut packet in packets(253, 33) {
        for (timestamp, is_hdp) in [
            (EARLIEST_NS - 1, false),
            (EARLIEST_NS, true),
            (TIME_NS.cast_unsigned(), true),
            (3_999_999_999_999_999_999, true),
            (4_000_000_000_000_000_000, false),
            (0, false),
        ] {
            packet.timestamp_ns = timestamp;
            let bytes = packet.to_ip();
            let frame = Frame {
                time_ns: None,
                ..whole(101, &bytes)
            };
            assert_eq!(decode(&frame).is_ok(), is_hdp, "{timestamp}");
        }
    }
}

#[test]
fn an_empty_frame_is_no_packet_on_any_link() {
    for link in Link::all() {
        let frame = whole(link.link_type(), &[]);
        assert!(decode(&frame).is_err(), "{link:?}");
    }
}

/// `SplitMix64`, seeded.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_be_bytes()[..chunk.len()]);
        }
    }
}
