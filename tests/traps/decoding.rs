//! From bytes to HDP: what whole-packet parsers trip over, and what only looks like HDP. The decoder
//! has tests of its own (`tests/decode`, `tests/source.rs`); here is what becomes of the verdicts.

use std::{fs, net::IpAddr};

use hdp::findings::{Findings, Verdict};

use super::{
    path::{findings, findings_with, lost, lost_at, number, point, run, scene, sent, warns},
    support::{
        capture::{ByteOrder, Capture, Format, Packing},
        frames::{
            Extension, GreFields, Ip, Link, Network, Packet, gre, ip, ip_in_ip, mpls, pppoe, qinq,
            udp, vlan, vxlan,
        },
        scene::{MILLISECOND, START_NS},
        world::random::Random,
    },
};

/// A path of some points on Ethernet, none of which runs any of the others' traffic.
struct Road {
    points: Vec<Capture>,
    version: u8,
}

impl Road {
    /// All points see an echo request every 10 ms, and twenty packets under 254, for a second.
    fn new(points: usize, version: u8) -> Self {
        let mut road = Self {
            points: vec![Capture::new(1); points],
            version,
        };
        let [client, server] = [[10, 77, 1, 2], [10, 77, 2, 2]].map(IpAddr::from);
        let echo = ip(Ip::new(client, server, 1).datagram(&[8, 0, 0, 0, 0, 1, 0, 1, 0, 0]));
        for tick in -100..200 {
            for capture in &mut road.points {
                capture.push(
                    START_NS + tick * 10 * MILLISECOND,
                    Link::ETHERNET.frame(&echo),
                );
            }
        }
        for n in 0..20 {
            let regular = ip(road.packet(n * 50 * MILLISECOND, 254).to_ip());
            road.pass(n * 50 * MILLISECOND, &vec![&regular; points]);
        }
        road
    }

    /// What the client sends at this time after the start: HDP without a payload.
    fn packet(&self, at_ns: i64, protocol: u8) -> Packet {
        let [client, server]: [IpAddr; 2] = match self.version {
            4 => [[10, 77, 1, 2].into(), [10, 77, 2, 2].into()],
            _ => ["fd77:1::2", "fd77:2::2"].map(|address| address.parse().unwrap()),
        };
        let timestamp_ns = (START_NS + at_ns).cast_unsigned();
        let mut packet = Packet::new(client, server, protocol, timestamp_ns);
        packet.payload.clear();
        packet
    }

    /// Something passes the first points, one after the other, in this shape at each.
    fn pass(&mut self, at_ns: i64, shapes: &[&Network]) {
        for ((capture, shape), later) in self.points.iter_mut().zip(shapes).zip(1..) {
            let time_ns = START_NS + at_ns + later * 10_000;
            capture.push(time_ns, Link::ETHERNET.frame(shape));
        }
    }

    fn findings(&self) -> Findings {
        self.findings_with(&[])
    }

    fn findings_with(&self, options: &[&str]) -> Findings {
        let named: Vec<_> = ["p0", "p1", "p2"].into_iter().zip(&self.points).collect();
        findings_with(options, &named)
    }
}

// --- 19. Whole-packet parsers fail on HDP --------------------------------------------------------

#[test]
fn trap_19_twelve_bytes_under_any_number_are_hdp_and_none_is_lost_for_what_the_number_means() {
    for version in [4, 6] {
        for lost_number in [None, Some(51)] {
            let mut road = Road::new(2, version);
            for protocol in 0..=255 {
                for round in 0..3 {
                    let at = i64::from(protocol) * MILLISECOND + round * 300 * MILLISECOND + 1;
                    let shape = ip(road.packet(at, protocol).to_ip());
                    let arrives = lost_number != Some(protocol);
                    road.pass(at, &[&shape; 2][..=usize::from(arrives)]);
                }
            }
            let findings = road.findings();
            let entries = &findings.directions[0].protocols;
            assert_eq!(entries.len(), 256, "IPv{version}");
            for p in entries {
                let packets = if p.protocol == 254 { 23 } else { 3 };
                let is_lost = lost_number.map(u16::from) == Some(p.protocol);
                let lost = if is_lost { 3 } else { 0 };
                assert_eq!((p.packets, p.lost), (packets, lost), "{}", p.protocol);
            }
            for point in &findings.points {
                assert_eq!((point.skipped.malformed, point.skipped.cut_short), (0, 0));
            }
        }
    }
}

// --- 20. Numbers that are IPv6 extension headers -------------------------------------------------

#[test]
fn trap_20_an_extension_header_is_walked_unless_hdp_stands_in_its_place() {
    for number_ in Extension::NUMBERS {
        let mut road = Road::new(2, 6);
        // A true header before HDP under 253, and HDP in the header's place.
        let mut behind = road.packet(100 * MILLISECOND, 253);
        behind.ip.extensions = vec![Extension::new(number_)];
        let instead = road.packet(110 * MILLISECOND, number_);
        for (at, packet) in [(100, behind), (110, instead)] {
            let shape = ip(packet.to_ip());
            road.pass(at * MILLISECOND, &[&shape, &shape]);
        }
        let findings = road.findings();
        for protocol in [253, number_.into()] {
            let p = number(&findings, 0, protocol);
            assert_eq!((p.packets, p.delivered), (1, 1), "{number_}");
        }
        assert_eq!(findings.directions[0].protocols.len(), 3);
    }
}

#[test]
fn trap_20_a_lost_extension_header_is_no_proof_of_a_filter() {
    let says = |version: u8, protocol: u8| {
        let mut road = Road::new(2, version);
        for n in 0..3 {
            let at = (100 + n) * MILLISECOND;
            let shape = ip(road.packet(at, protocol).to_ip());
            road.pass(at, &[&shape]);
        }
        let findings = road.findings();
        let p = number(&findings, 0, protocol.into());
        assert_eq!((p.verdict, p.lost), (Verdict::Blocked, 3));
        p.reasons
            .iter()
            .any(|reason| reason.to_string().contains("extension header"))
    };
    for protocol in [0, 43, 44, 51, 60, 135, 139, 140] {
        assert!(says(6, protocol), "{protocol}");
        assert!(!says(4, protocol), "{protocol}");
    }
    assert!(!says(6, 253));
}

// --- 21. Numbers that are tunnels ----------------------------------------------------------------

/// The same packet as the middle of the path has it.
fn tunnels(inner: &Network) -> Vec<(&'static str, Network)> {
    let [a, b] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from);
    let outer = Ip::new(a, b, 0);
    vec![
        ("VLAN", vlan(5, inner)),
        ("VLAN/VLAN", qinq(6, 5, inner)),
        ("MPLS", mpls(&[100], inner)),
        ("PPPoE", pppoe(9, inner)),
        ("GRE", gre(&outer, GreFields::default(), inner)),
        ("IP in IP", ip_in_ip(&outer, inner)),
        ("VXLAN", vxlan(&outer, 7, inner)),
    ]
}

#[test]
fn trap_21_a_tunnel_at_one_point_hides_no_packet() {
    for version in [4, 6] {
        let shape = ip(Road::new(0, version).packet(0, 253).to_ip());
        for which in 0..tunnels(&shape).len() {
            let mut road = Road::new(3, version);
            let mut name = "";
            for n in 0..6 {
                let at = (100 + n) * MILLISECOND;
                let protocol = if n < 3 { 253 } else { 50 };
                let plain = ip(road.packet(at, protocol).to_ip());
                let (tunnel, wrapped) = tunnels(&plain).swap_remove(which);
                name = tunnel;
                // 50 is lost behind the tunnel.
                let reaches = if protocol == 50 { 2 } else { 3 };
                road.pass(at, &[&plain, &wrapped, &plain][..reaches]);
            }
            let findings = road.findings();
            let p = number(&findings, 0, 253);
            assert_eq!(
                (p.verdict, &p.seen[..]),
                (Verdict::Passes, &[3, 3, 3][..]),
                "{name}"
            );
            let is_wrapped = |change: &&hdp::findings::Change| change.field == "encapsulation";
            assert_eq!(p.changes.iter().filter(is_wrapped).count(), 2, "{name}");
            assert_eq!(
                lost_at(number(&findings, 0, 50)),
                [("p1", "p2", 3)],
                "{name}"
            );
            let numbers = findings.directions[0].protocols.iter();
            let numbers: Vec<u16> = numbers.map(|p| p.protocol).collect();
            assert_eq!(
                numbers,
                [50, 253, 254],
                "{name}: the tunnel itself is no HDP"
            );
        }
    }
}

#[test]
fn trap_21_hdp_under_a_tunnels_number_is_hdp_and_what_the_tunnel_carries_is_not() {
    for protocol in [4, 41, 47, 50, 51, 97, 137] {
        let mut road = Road::new(2, 4);
        for n in 0..3 {
            let at = (100 + n) * MILLISECOND;
            let shape = ip(road.packet(at, protocol).to_ip());
            road.pass(at, &[&shape, &shape]);
            // Someone else's tunnel, which takes another way.
            let inner = road.packet(at, 17).ip;
            let inner = ip(udp(&inner, 53, 53, b"somebody else's question"));
            for (_, tunnel) in tunnels(&inner) {
                road.pass(at, &[&tunnel]);
            }
        }
        let findings = road.findings();
        let p = number(&findings, 0, protocol.into());
        assert_eq!((p.packets, p.delivered), (3, 3), "{protocol}");
        assert_eq!(lost(&findings), 0, "{protocol}");
        assert_eq!(findings.directions[0].protocols.len(), 2);
    }
}

// --- 22. Is it HDP at all? -----------------------------------------------------------------------

#[test]
fn trap_22_random_bytes_are_no_hdp_and_how_many_were_passed_over_is_told() {
    let mut random = Random::new(22);
    let mut road = Road::new(2, 4);
    for n in 0..2_000 {
        // ESP that only the client has: none of it is lost HDP.
        let header = road.packet(0, 50).ip;
        let body: Vec<u8> = (0..60).map(|_| random.byte()).collect();
        road.pass(n * 400_000, &[&ip(header.datagram(&body))]);
    }
    for n in 0..3 {
        let at = (100 + n) * MILLISECOND;
        let shape = ip(road.packet(at, 51).to_ip());
        road.pass(at, &[&shape]);
    }
    for window in ["1d", "10m"] {
        let findings = road.findings_with(&["--window", window]);
        assert_eq!(lost(&findings), 3);
        assert_eq!(number(&findings, 0, 51).lost, 3);
        // And 300 echo requests.
        assert_eq!(point(&findings, "p0").skipped.not_hdp, 2_300);
    }
}

#[test]
fn trap_22_a_clock_too_far_off_is_said_and_not_called_a_blocked_path() {
    let week = 7 * 86_400_000 * MILLISECOND;
    let lost = [0, 1, 2].map(|n| sent((5 + n) * MILLISECOND, 50, 1));
    let mut captures = scene(2, 400, &lost);
    for frame in captures.iter_mut().flat_map(|capture| &mut capture.frames) {
        frame.time_ns += week;
    }
    let points = [("p0", &captures[0]), ("p1", &captures[1])];
    let none = findings(&points);
    assert!(none.directions[0].protocols.is_empty());
    assert!(warns(&none, "--window"), "{:?}", none.warnings);
    let all = findings_with(&["--window", "8d"], &points);
    assert_eq!(number(&all, 0, 50).verdict, Verdict::Blocked);
    assert_eq!(number(&all, 0, 253).verdict, Verdict::Passes);
}

// --- 25. Capture files as they are ---------------------------------------------------------------

/// A path where 50 and later 51 are lost, in a scene's raw datagrams; all times end in 7 ns.
fn raw() -> Vec<Capture> {
    let lost = [0, 1, 2].map(|n| sent((105 + n) * MILLISECOND, 50, 1));
    let blocked = [0, 1, 2].map(|n| sent((905 + n) * MILLISECOND, 51, 1));
    let mut captures = scene(2, 1_000, &[lost, blocked].concat());
    for frame in captures.iter_mut().flat_map(|capture| &mut capture.frames) {
        frame.time_ns += 7;
    }
    captures
}

/// pcap in nanoseconds.
const PCAP: Format = Format::Pcap {
    order: ByteOrder::Little,
    nanoseconds: true,
};

#[test]
fn trap_25_raw_ip_has_many_link_types_and_nanoseconds_stay() {
    let judged_as = |link_type: u16| {
        let folder = tempfile::tempdir().unwrap();
        for (name, mut capture) in ["p0", "p1"].iter().zip(raw()) {
            capture.interfaces[0].link_type = link_type;
            capture.write(&folder.path().join(name), PCAP, Packing::Plain);
        }
        let mut findings = run(folder.path(), &["p0", "p1"], &[]);
        findings.inputs.clear();
        for point in &mut findings.points {
            assert_eq!(point.resolution_ns, Some(1));
            assert_eq!(point.first_ns, Some(START_NS - 500 * MILLISECOND + 7));
            point.link_types.clear();
        }
        findings
    };
    let raw = judged_as(101);
    assert_eq!((number(&raw, 0, 50).lost, number(&raw, 0, 51).lost), (3, 3));
    for link_type in [12, 14, 228] {
        assert_eq!(judged_as(link_type), raw, "link type {link_type}");
    }
}

#[test]
fn trap_25_a_file_cut_within_a_record_counts_up_to_there_and_nothing_behind_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let captures = raw();
    let whole = captures.iter().map(|capture| capture.to_bytes(PCAP));
    let whole: Vec<Vec<u8>> = whole.collect();
    // Half of a second: behind 50, before 51; and in the middle of a record.
    let before = captures[1].frames.iter();
    let before = before.filter(|frame| frame.time_ns < START_NS + 500 * MILLISECOND);
    let len: usize = before.map(|frame| 16 + frame.bytes.len()).sum();
    for (cut, is_warned) in [
        (24 + len, false),
        (24 + len + 7, true),
        (24 + len + 20, true),
    ] {
        fs::write(folder.path().join("p0"), &whole[0]).unwrap();
        fs::write(folder.path().join("p1"), &whole[1][..cut]).unwrap();
        let findings = run(folder.path(), &["p0", "p1"], &[]);
        assert_eq!(number(&findings, 0, 50).lost, 3, "{cut}");
        let p = number(&findings, 0, 51);
        assert_eq!((p.verdict, p.edge), (Verdict::Inconclusive, 3), "{cut}");
        let p = number(&findings, 0, 253);
        assert_eq!((p.verdict, p.lost), (Verdict::Passes, 0), "{cut}");
        assert!(p.edge > 0);
        let warned = findings
            .warnings
            .iter()
            .any(|w| w.to_string().starts_with("p1: "));
        assert_eq!(warned, is_warned, "{:?}", findings.warnings);
    }
}
