//! What one point shows of a packet: on two sides of a host, twice, for somebody else, in pieces or
//! cut. Captures are written to files and given to the program, as users do.

use std::net::IpAddr;

use hdp::{
    findings::{ClockMethod, Findings, Side, System, Verdict, Warning},
    source::{Origin, Source},
};

use super::{
    path::{findings, lost_at, names, number, point, run},
    support::{
        capture::{Capture, Interface, OwnedFrame},
        frames::{GreFields, Ip, Link, Network, Packet, Quote, gre, icmp_error, ip, vlan, vxlan},
        hosts::{self, file, success},
        scene::{MILLISECOND, START_NS},
    },
};

const MICROSECOND: i64 = 1_000;

/// How a router was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// On all interfaces, with their indices.
    Sll2,
    /// On all interfaces, without.
    Sll,
    /// On two interfaces, into one pcapng, which says of no frame whether it came or went.
    TwoInterfaces,
}

const FORMS: [Form; 3] = [Form::Sll2, Form::Sll, Form::TwoInterfaces];

/// Where on the router: the interface towards the client or towards the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    Client = 0,
    Server = 1,
}

impl Form {
    fn capture(self) -> Capture {
        match self {
            Self::Sll2 => Capture::new(276),
            Self::Sll => Capture::new(113),
            Self::TwoInterfaces => Capture {
                interfaces: vec![Interface::new(1); 2],
                frames: Vec::new(),
            },
        }
    }

    fn frame(self, time_ns: i64, port: Port, is_outgoing: bool, network: &Network) -> OwnedFrame {
        let packet_type = if is_outgoing { 4 } else { 0 };
        let link = match self {
            Self::Sll2 => Link::Sll2 {
                packet_type,
                interface: port as u32 + 2,
            },
            Self::Sll => Link::Sll {
                packet_type: packet_type.into(),
            },
            Self::TwoInterfaces => Link::ETHERNET,
        };
        let mut frame = OwnedFrame::new(time_ns, link.frame(network));
        if self == Self::TwoInterfaces {
            frame.interface = port as u32;
        }
        frame
    }
}

/// Client, router and server, and what they capture.
struct Net {
    form: Form,
    client: Capture,
    router: Capture,
    server: Capture,
}

/// How far a packet comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Sender,
    RouterIn,
    RouterOut,
    Receiver,
}

impl Net {
    /// All points see an echo request every 10 ms from 2.5 s before the first packet to 4.5 s
    /// after it: wider than clocks may be off.
    fn new(form: Form) -> Self {
        let echo = ip(Ip::new(address(1), address(2), 1).datagram(&[8, 0, 0, 0, 0, 1, 0, 1, 0, 0]));
        let mut net = Self {
            form,
            client: Capture::new(1),
            router: form.capture(),
            server: Capture::new(1),
        };
        for n in 0..700 {
            let time = START_NS + (n * 10 - 2_500) * MILLISECOND;
            for capture in [&mut net.client, &mut net.server] {
                capture.push(time, Link::ETHERNET.frame(&echo));
            }
            let frame = form.frame(time, Port::Client, false, &echo);
            net.router.frames.push(frame);
        }
        net
    }

    /// Sends a packet, from the server if its source is the server's.
    fn send(&mut self, packet: &Packet, reach: Reach) {
        let mut packet = packet.clone();
        let is_reply = packet.ip.src == address(2);
        let (sender, receiver, came, went) = if is_reply {
            (
                &mut self.server,
                &mut self.client,
                Port::Server,
                Port::Client,
            )
        } else {
            (
                &mut self.client,
                &mut self.server,
                Port::Client,
                Port::Server,
            )
        };
        let time = packet.timestamp_ns.cast_signed();
        let frame = |packet: &Packet| Link::ETHERNET.frame(&ip(packet.to_ip()));
        sender.push(time + 10 * MICROSECOND, frame(&packet));
        if reach >= Reach::RouterIn {
            let network = ip(packet.to_ip());
            let frame = self
                .form
                .frame(time + 100 * MICROSECOND, came, false, &network);
            self.router.frames.push(frame);
        }
        packet.ip.ttl -= 1;
        if reach >= Reach::RouterOut {
            let network = ip(packet.to_ip());
            let frame = self
                .form
                .frame(time + 110 * MICROSECOND, went, true, &network);
            self.router.frames.push(frame);
        }
        if reach == Reach::Receiver {
            receiver.push(time + 200 * MICROSECOND, frame(&packet));
        }
    }

    /// Twenty packets under 253 that arrive, and as many answers if asked for.
    fn with_traffic(form: Form, both_ways: bool) -> Self {
        let mut net = Self::new(form);
        for n in 0..20 {
            net.send(&packet(20 * n, 253), Reach::Receiver);
            if both_ways {
                net.send(&answer(20 * n + 5, 253), Reach::Receiver);
            }
        }
        net
    }

    fn points(&self) -> [(&str, &Capture); 3] {
        [
            ("client", &self.client),
            ("router", &self.router),
            ("server", &self.server),
        ]
    }

    fn findings(&self) -> Findings {
        findings(&self.points())
    }
}

fn address(host: u8) -> IpAddr {
    [10, 77, host, 2].into()
}

/// Sent by the client so many milliseconds after the start, with an IP ID of its own.
fn packet(at_ms: i64, protocol: u8) -> Packet {
    let timestamp_ns = (START_NS + at_ms * MILLISECOND).cast_unsigned();
    let mut packet = Packet::new(address(1), address(2), protocol, timestamp_ns);
    packet.ip.id = u32::try_from(at_ms).unwrap() + 1;
    packet
}

/// Sent by the server.
fn answer(at_ms: i64, protocol: u8) -> Packet {
    let mut answer = packet(at_ms, protocol);
    (answer.ip.src, answer.ip.dst) = (address(2), address(1));
    answer
}

/// Adds to a point what is not on Ethernet or has another time; frames need no order.
fn add(capture: &mut Capture, packet: &Packet, later_ns: i64, frame: Vec<u8>) {
    capture.push(packet.timestamp_ns.cast_signed() + later_ns, frame);
}

const WHOLE: [&str; 3] = ["client", "router", "server"];
const APART: [&str; 4] = ["client", "router (in)", "router (out)", "server"];

// --- Two sides of a host -------------------------------------------------------------------------

#[test]
fn trap_14_one_interface_of_a_router_is_one_point() {
    for form in FORMS {
        let mut net = Net::with_traffic(form, false);
        let went_out = |frame: &OwnedFrame| match form {
            Form::Sll2 => frame.bytes[10] == 4,
            Form::Sll => frame.bytes[1] == 4,
            Form::TwoInterfaces => frame.interface == 1,
        };
        net.router.frames.retain(|frame| !went_out(frame));
        let findings = net.findings();
        assert_eq!(names(&findings), WHOLE, "{form:?}");
        assert_eq!(number(&findings, 0, 253).verdict, Verdict::Passes);
    }
}

#[test]
fn trap_14_a_side_captured_in_part_keeps_the_point_whole() {
    for form in FORMS {
        // A quarter of what passes leaves by an interface that nobody captured.
        let mut net = Net::with_traffic(form, false);
        let mut count = 0;
        net.router.frames.retain(|frame| {
            let goes_out = frame.time_ns % MILLISECOND == 110 * MICROSECOND;
            count += i32::from(goes_out);
            !goes_out || count % 4 != 0
        });
        let findings = net.findings();
        assert_eq!(names(&findings), WHOLE, "{form:?}");
        assert_eq!(number(&findings, 0, 253).lost, 0);
    }
}

#[test]
fn trap_14_a_router_is_two_points_and_what_it_keeps_is_lost_between_them() {
    for form in FORMS {
        let mut net = Net::with_traffic(form, false);
        for n in 0..3 {
            net.send(&packet(100 + n, 50), Reach::Sender);
            net.send(&packet(110 + n, 51), Reach::RouterIn);
            net.send(&packet(120 + n, 52), Reach::RouterOut);
        }
        let findings = net.findings();
        assert_eq!(names(&findings), APART, "{form:?}");
        for (protocol, from, to) in [
            (50, "client", "router (in)"),
            (51, "router (in)", "router (out)"),
            (52, "router (out)", "server"),
        ] {
            let p = number(&findings, 0, protocol);
            assert_eq!(p.verdict, Verdict::Blocked);
            assert_eq!(lost_at(p), [(from, to, 3)], "{form:?}");
        }
        let inside = &findings.directions[0].segments[1];
        assert_eq!(inside.within, Some(System::Forwarding));
        assert_eq!(inside.clock.method, ClockMethod::SameHost);
        assert_eq!(inside.lost, 3);
        let [side_in, side_out] = ["router (in)", "router (out)"].map(|n| point(&findings, n));
        assert_eq!(
            [side_in.side, side_out.side],
            [Some(Side::In), Some(Side::Out)]
        );
        for side in [side_in, side_out] {
            assert_eq!((&*side.capture, &*side.source), ("router", "router"));
            assert_eq!((side.missed, side.copies), (0, 0));
        }
        assert_eq!([side_in.hdp, side_out.hdp], [26, 23]);
        assert!(findings.warnings.is_empty(), "{:?}", findings.warnings);
        let ttl = number(&findings, 0, 253).changes.iter();
        let ttl: Vec<_> = ttl.map(|change| &change.between).collect();
        assert_eq!(ttl, [&["router (in)", "router (out)"]]);
    }
}

#[test]
fn trap_16_sides_are_told_by_direction_and_not_by_in_and_out_alone() {
    for form in FORMS {
        let mut net = Net::with_traffic(form, true);
        for n in 0..3 {
            net.send(&packet(110 + n, 51), Reach::RouterIn);
            net.send(&answer(120 + n, 52), Reach::RouterIn);
            net.send(&answer(130 + n, 53), Reach::RouterOut);
            net.send(&answer(140 + n, 54), Reach::Sender);
        }
        let findings = net.findings();
        assert_eq!(names(&findings), APART, "{form:?}");
        let forth = number(&findings, 0, 51);
        assert_eq!(lost_at(forth), [("router (in)", "router (out)", 3)]);
        for (protocol, from, to) in [
            (52, "router (out)", "router (in)"),
            (53, "router (in)", "client"),
            (54, "server", "router (out)"),
        ] {
            let back = number(&findings, 1, protocol);
            assert_eq!(lost_at(back), [(from, to, 3)], "{form:?}");
        }
        for direction in [0, 1] {
            let p = number(&findings, direction, 253);
            assert_eq!((p.verdict, p.packets), (Verdict::Passes, 20));
            assert_eq!(p.seen, [20; 4]);
        }
        assert!(findings.warnings.is_empty(), "{:?}", findings.warnings);
    }
}

#[test]
fn trap_16_a_router_at_the_end_of_the_path_has_two_sides_too() {
    let mut net = Net::with_traffic(Form::Sll2, true);
    for n in 0..3 {
        net.send(&packet(110 + n, 51), Reach::RouterIn);
    }
    let [client, router, server] = net.points();
    for (points, from, to) in [
        ([client, router], "router (in)", "router (out)"),
        ([router, server], "router (in)", "router (out)"),
        ([router, client], "router (out)", "router (in)"),
    ] {
        let findings = findings(&points);
        let lost = findings.directions.iter().flat_map(|d| &d.protocols);
        let lost: Vec<_> = lost.filter(|p| p.lost > 0).collect();
        assert_eq!(lost.len(), 1);
        assert_eq!(lost_at(lost[0]), [(from, to, 3)]);
        let arrived = lost[0].protocol == 51;
        assert!(arrived, "{lost:?}");
    }
}

#[test]
fn trap_16_packets_that_cross_one_after_the_other_are_in_order_on_each_side() {
    // In, in, out, out: among each other the second one is before the first.
    let order = |of_two: [i64; 2]| {
        let mut net = Net::new(Form::Sll2);
        let packets = [packet(100, 253), packet(100, 253)];
        for (n, (mut packet, place)) in (0..).zip(packets.into_iter().zip(of_two)) {
            packet.timestamp_ns += n * 1_000;
            packet.ip.id += u32::try_from(n).unwrap();
            net.send(&packet, Reach::Sender);
            for (is_outgoing, port, later) in [
                (false, Port::Client, 100 + n.cast_signed()),
                (true, Port::Server, 110 + place),
            ] {
                packet.ip.ttl -= u8::from(is_outgoing);
                let time = START_NS + 100 * MILLISECOND + later * MICROSECOND;
                let network = ip(packet.to_ip());
                let frame = net.form.frame(time, port, is_outgoing, &network);
                net.router.frames.push(frame);
            }
        }
        let findings = findings(&[("client", &net.client), ("router", &net.router)]);
        assert_eq!(names(&findings), APART[..3]);
        number(&findings, 0, 253).reordered
    };
    assert_eq!(order([0, 1]), 0);
    assert_eq!(order([1, 0]), 1);
}

#[test]
fn trap_14_a_host_that_also_forwards_keeps_what_is_meant_for_it() {
    // The server at the path's end forwards 253 into a container and takes 50 itself.
    let mut net = Net::with_traffic(Form::Sll2, false);
    for n in 0..3 {
        let mut own = packet(100 + n, 50);
        own.ip.dst = [10, 77, 1, 1].into();
        net.send(&own, Reach::RouterIn);
    }
    let [client, router, _] = net.points();
    let findings = findings(&[client, router]);
    assert_eq!(names(&findings), ["client", "router"]);
    assert_eq!(number(&findings, 0, 50).verdict, Verdict::Passes);
}

#[test]
fn trap_14_ends_with_their_own_packets_and_answers_are_not_taken_apart() {
    // The answer holds the same bytes, and its TTL is lower than that of what came: an echo.
    let mut net = Net::new(Form::Sll2);
    for n in 0..20 {
        let mut request = packet(20 * n, 253);
        request.ip.ttl = 127;
        let mut answer = request.clone();
        (answer.ip.src, answer.ip.dst) = (address(2), address(1));
        answer.ip.ttl = 64;
        let time = |later: i64| request.timestamp_ns.cast_signed() + later * MICROSECOND;
        let mut show = |later, port, is_outgoing, packet: &Packet| {
            let network = ip(packet.to_ip());
            let frame = Form::Sll2.frame(time(later), port, is_outgoing, &network);
            net.router.frames.push(frame);
        };
        show(0, Port::Client, false, &request);
        show(5, Port::Client, true, &answer);
        request.ip.ttl += 1;
        answer.ip.ttl -= 1;
        add(
            &mut net.client,
            &request,
            0,
            Link::ETHERNET.frame(&ip(request.to_ip())),
        );
        add(
            &mut net.client,
            &request,
            300 * MICROSECOND,
            Link::ETHERNET.frame(&ip(answer.to_ip())),
        );
    }
    let findings = findings(&[("client", &net.client), ("server", &net.router)]);
    assert_eq!(names(&findings), ["client", "server"]);
    assert_eq!(findings.directions.len(), 2);
    for direction in [0, 1] {
        assert_eq!(number(&findings, direction, 253).delivered, 20);
    }
}

#[test]
fn trap_14_address_translation_between_the_sides_is_a_change_inside_the_router() {
    let mut net = Net::with_traffic(Form::Sll2, false);
    let translated = [10, 77, 2, 1];
    for frame in net
        .router
        .frames
        .iter_mut()
        .filter(|frame| frame.bytes[10] == 4)
    {
        frame.bytes[20 + 12..20 + 16].copy_from_slice(&translated);
    }
    for frame in &mut net.server.frames {
        frame.bytes[14 + 12..14 + 16].copy_from_slice(&translated);
    }
    let findings = net.findings();
    assert_eq!(names(&findings), APART);
    let changes = &number(&findings, 0, 253).changes;
    let source = changes.iter().find(|c| c.field == "source_address");
    assert_eq!(
        source.unwrap().between,
        ["router (in)", "router (out)"].map(str::to_owned)
    );
}

#[test]
fn trap_39_a_translating_router_at_the_end_of_the_path_has_two_sides_and_nothing_comes_back() {
    // Nothing lost, then three inside; either end of the path, with answers and without.
    for has_answers in [false, true] {
        for lost in [0, 3] {
            let mut net = Net::with_traffic(Form::Sll2, has_answers);
            for n in 0..lost {
                net.send(&packet(110 + n, 51), Reach::RouterIn);
            }
            let translated = [192, 0, 2, 1];
            for frame in &mut net.router.frames {
                let is_outer = frame.bytes[4..8] == [0, 0, 0, 3];
                let is_echo = frame.bytes[20 + 9] == 1;
                if is_outer && !is_echo {
                    // What goes out comes from the router, what comes back is for it.
                    let end = if frame.bytes[10] == 4 { 12 } else { 16 };
                    frame.bytes[20 + end..20 + end + 4].copy_from_slice(&translated);
                }
            }
            let [client, router, _] = net.points();
            let found = findings(&[client, router]);
            assert_eq!(names(&found), ["client", "router (in)", "router (out)"]);
            assert_eq!(found.directions.len(), 1 + usize::from(has_answers));
            let lost_in = |way: usize| -> u64 {
                found.directions[way].protocols.iter().map(|p| p.lost).sum()
            };
            assert_eq!(lost_in(0), u64::try_from(lost).unwrap());
            assert!(!has_answers || lost_in(1) == 0);
            if lost > 0 {
                let p = number(&found, 0, 51);
                assert_eq!(lost_at(p), [("router (in)", "router (out)", 3)]);
            }
        }
    }
}

#[test]
fn trap_14_a_large_router_capture_is_taken_apart_as_a_small_one() {
    // More than is surveyed while the files are being read.
    let mut net = Net::new(Form::Sll);
    for n in 0..12_000 {
        let mut packet = packet(1, 253);
        packet.timestamp_ns += n * 100_000;
        packet.ip.id = u32::try_from(n % 60_000).unwrap();
        let reach = match n {
            7_000..7_005 => Reach::RouterIn,
            _ => Reach::Receiver,
        };
        net.send(&packet, reach);
    }
    let findings = net.findings();
    assert_eq!(names(&findings), APART);
    let p = number(&findings, 0, 253);
    assert_eq!((p.packets, p.delivered), (12_000, 11_995));
    assert_eq!(lost_at(p), [("router (in)", "router (out)", 5)]);
}

// --- Copies and duplicates -----------------------------------------------------------------------

#[test]
fn trap_14_a_bridge_shows_copies_with_the_same_ttl_and_stays_one_point() {
    let mut net = Net::new(Form::Sll2);
    for n in 0..20 {
        let packet = packet(20 * n, 253);
        net.send(&packet, Reach::Receiver);
    }
    // A bridge: on the port, on the bridge itself, and out of the other port as it came.
    net.router.frames.retain(|frame| frame.bytes[20 + 9] != 253);
    for n in 0..20 {
        let packet = packet(20 * n, 253);
        for (interface, packet_type, later) in [(2, 0, 100), (9, 0, 101), (3, 4, 103)] {
            let link = Link::Sll2 {
                packet_type,
                interface,
            };
            add(
                &mut net.router,
                &packet,
                later * MICROSECOND,
                link.frame(&ip(packet.to_ip())),
            );
        }
    }
    let findings = net.findings();
    assert_eq!(names(&findings), WHOLE);
    let p = number(&findings, 0, 253);
    assert_eq!((p.packets, p.delivered, p.duplicates), (20, 20, 0));
    let bridge = point(&findings, "router");
    assert_eq!((bridge.hdp, bridge.copies), (60, 40));
}

#[test]
fn trap_14_a_mirror_shows_copies_and_the_network_duplicates() {
    let twice = |later_ns: i64, share: usize| {
        let mut net = Net::with_traffic(Form::Sll2, false);
        let doubled: Vec<OwnedFrame> = net
            .server
            .frames
            .iter()
            .filter(|frame| frame.bytes[14 + 9] == 253)
            .step_by(share)
            .map(|frame| OwnedFrame {
                time_ns: frame.time_ns + later_ns,
                ..frame.clone()
            })
            .collect();
        net.server.frames.extend(doubled);
        let findings = net.findings();
        let p = number(&findings, 0, 253);
        assert_eq!((p.packets, p.delivered, p.lost), (20, 20, 0));
        let server = point(&findings, "server");
        assert_eq!(server.hdp, 20 + p.duplicates + server.copies);
        (p.duplicates, server.copies)
    };
    assert_eq!(twice(3 * MICROSECOND, 1), (0, 20), "a mirror");
    assert_eq!(
        twice(3 * MILLISECOND, 1),
        (20, 0),
        "milliseconds are no mirror's"
    );
    assert_eq!(
        twice(3 * MICROSECOND, 7),
        (3, 0),
        "now and then is no mirror's"
    );
}

#[test]
fn trap_14_inside_a_tunnel_and_bare_is_one_packet() {
    let outer = Ip::new([10, 77, 9, 1].into(), [10, 77, 9, 2].into(), 47);
    let tunnels: [&dyn Fn(&Network) -> Network; 3] = [
        &|inner| gre(&outer, GreFields::default(), inner),
        &|inner| vxlan(&outer, 7, inner),
        &|inner| vlan(7, inner),
    ];
    for tunnel in tunnels {
        let mut net = Net::with_traffic(Form::Sll2, false);
        let mut in_tunnel = Vec::new();
        for n in 0..20 {
            let mut packet = packet(20 * n, 253);
            packet.ip.ttl -= 1;
            let frame = Link::ETHERNET.frame(&tunnel(&ip(packet.to_ip())));
            let time = packet.timestamp_ns.cast_signed() + 190 * MICROSECOND;
            in_tunnel.push(OwnedFrame::new(time, frame));
        }
        net.server.frames.extend(in_tunnel);
        let findings = net.findings();
        let p = number(&findings, 0, 253);
        assert_eq!((p.packets, p.delivered, p.duplicates), (20, 20, 0));
        assert_eq!(point(&findings, "server").copies, 20);
    }
}

#[test]
fn trap_06_a_duplicate_does_not_make_up_for_a_loss() {
    // As many sightings before as behind: one packet lost, another one twice.
    let mut net = Net::with_traffic(Form::Sll2, false);
    let twice = packet(101, 50);
    net.send(&twice, Reach::Receiver);
    net.send(&packet(102, 50), Reach::RouterOut);
    let mut again = twice.clone();
    again.ip.ttl -= 1;
    add(
        &mut net.server,
        &again,
        2 * MILLISECOND,
        Link::ETHERNET.frame(&ip(again.to_ip())),
    );
    let findings = net.findings();
    let p = number(&findings, 0, 50);
    assert_eq!((p.packets, p.delivered, p.lost, p.duplicates), (2, 1, 1, 1));
    assert_eq!(lost_at(p), [("router (out)", "server", 1)]);
}

#[test]
fn trap_06_without_an_ip_id_a_loss_behind_the_same_bytes_is_ambiguous() {
    let send = |id: u32, at_the_server: usize| {
        let mut net = Net::with_traffic(Form::Sll2, false);
        let mut same = packet(101, 50);
        same.ip.id = id;
        net.send(&same, Reach::Sender);
        net.send(&same, Reach::Sender);
        same.ip.ttl -= 1;
        for n in 0..at_the_server {
            let later = MILLISECOND * (i64::try_from(n).unwrap() + 1);
            let frame = Link::ETHERNET.frame(&ip(same.to_ip()));
            add(&mut net.server, &same, later, frame);
        }
        let findings = findings(&[("client", &net.client), ("server", &net.server)]);
        let p = number(&findings, 0, 50);
        let fates = (p.packets, p.delivered, p.ambiguous, p.lost);
        (fates, p.duplicates)
    };
    // An IP ID says that it is one packet twice.
    assert_eq!(send(7, 1), ((1, 1, 0, 0), 0));
    assert_eq!(send(0, 2), ((1, 1, 0, 0), 1));
    assert_eq!(send(0, 1), ((2, 1, 1, 0), 0));
    assert_eq!(send(0, 0), ((1, 0, 0, 1), 0));
}

#[test]
fn trap_15_frames_for_other_hosts_are_no_arrivals() {
    let overhear = |packets: std::ops::Range<i64>| {
        let mut net = Net::with_traffic(Form::Sll2, false);
        let link = Link::Sll2 {
            packet_type: 3,
            interface: 2,
        };
        for n in packets {
            let packet = packet(20 * n, 253);
            let frame = link.frame(&ip(packet.to_ip()));
            add(&mut net.router, &packet, 90 * MICROSECOND, frame);
        }
        net
    };
    // A switch that floods: what is overheard beside what comes in counts for nothing.
    let findings_of_all = overhear(0..20).findings();
    assert_eq!(names(&findings_of_all), APART);
    assert_eq!(
        point(&findings_of_all, "router (in)").skipped.other_host,
        20
    );
    assert_eq!(number(&findings_of_all, 0, 253).verdict, Verdict::Passes);
    assert!(findings_of_all.warnings.is_empty());

    // A tap that sees nothing else is neither an arrival nor a place of losses, and is told so.
    let mut net = overhear(0..20);
    let is_overheard = |frame: &OwnedFrame| frame.bytes[10] == 3;
    let is_echo = |frame: &OwnedFrame| frame.bytes[20 + 9] == 1;
    net.router
        .frames
        .retain(|frame| is_overheard(frame) || is_echo(frame));
    let [client, tap, server] = net.points();
    let beside = findings(&[client, tap, server]);
    assert_eq!(number(&beside, 0, 253).verdict, Verdict::Passes);
    let at_the_end = findings(&[client, tap]);
    let p = number(&at_the_end, 0, 253);
    assert_eq!((p.verdict, p.lost), (Verdict::Inconclusive, 0));
    for findings in [&beside, &at_the_end] {
        let warned = findings.warnings.iter();
        assert_eq!(
            warned
                .filter(|w| w.to_string().contains("for other hosts"))
                .count(),
            1,
            "{:?}",
            findings.warnings
        );
    }
}

// --- Padding and cuts ----------------------------------------------------------------------------

#[test]
fn trap_17_padding_and_check_sequence_are_no_payload() {
    let mut net = Net::with_traffic(Form::Sll2, false);
    let link = Link::Ethernet {
        padded: true,
        fcs: true,
    };
    for n in 0..3 {
        let mut short = packet(100 + n, 50);
        short.payload = vec![7];
        net.send(&short, Reach::RouterOut);
        short.ip.ttl -= 1;
        let frame = link.frame(&ip(short.to_ip()));
        assert_eq!(frame.len(), 64);
        add(&mut net.server, &short, MILLISECOND, frame);
    }
    let findings = net.findings();
    let p = number(&findings, 0, 50);
    assert_eq!((p.delivered, p.altered, p.verdict), (3, 0, Verdict::Passes));
    assert!(
        p.changes.iter().all(|change| change.field == "ttl"),
        "{:?}",
        p.changes
    );
}

#[test]
fn trap_18_what_a_snapshot_length_hides_was_not_cut_on_the_path() {
    let cut = |len: usize| {
        let mut net = Net::with_traffic(Form::Sll2, false);
        for frame in &mut net.server.frames {
            frame.bytes.truncate(len);
        }
        net.findings()
    };
    // Ethernet, IP and HDP headers, and 8 bytes of a payload of 32.
    let with_header = cut(14 + 20 + 12 + 8);
    let p = number(&with_header, 0, 253);
    assert_eq!((p.delivered, p.altered), (20, 0));
    assert_eq!(point(&with_header, "server").skipped.cut_short, 0);
    // Too little to know the packets by: counted, nobody's loss, and told.
    let without = cut(14 + 20 + 8);
    assert_eq!(point(&without, "server").skipped.cut_short, 20);
    let p = number(&without, 0, 253);
    assert_eq!((p.verdict, p.lost), (Verdict::Inconclusive, 0));
    let warned = |w: &Warning| w.to_string().contains("snapshot length");
    assert!(without.warnings.iter().any(warned));
}

#[test]
fn trap_18_a_packet_cut_on_the_path_has_another_length() {
    let mut net = Net::with_traffic(Form::Sll2, false);
    let whole = packet(101, 50);
    net.send(&whole, Reach::RouterOut);
    let mut cut = whole.clone();
    cut.ip.ttl -= 1;
    cut.payload.truncate(9);
    add(
        &mut net.server,
        &cut,
        MILLISECOND,
        Link::ETHERNET.frame(&ip(cut.to_ip())),
    );
    let findings = net.findings();
    let p = number(&findings, 0, 50);
    assert_eq!((p.delivered, p.altered, p.lost), (1, 1, 0));
    let length = p.changes.iter().find(|change| change.field == "length");
    let length = length.unwrap();
    assert_eq!((length.from.as_str(), length.to.as_str()), ("33", "9"));
    assert_eq!(length.between[1], "server");
    assert_eq!(point(&findings, "server").skipped.cut_short, 0);
}

// --- Fragments -----------------------------------------------------------------------------------

/// 3,012 bytes of HDP, three fragments at an MTU of 1,500.
fn long(at_ms: i64, protocol: u8, version: u8) -> Packet {
    let mut packet = packet(at_ms, protocol);
    if version == 6 {
        packet.ip.src = "fd77:1::2".parse().unwrap();
        packet.ip.dst = "fd77:2::2".parse().unwrap();
    }
    packet.payload = (0..3_000_u16).map(|n| n.to_be_bytes()[1]).collect();
    packet
}

/// What the last point sees of a packet that the client sent whole: the pieces with these numbers,
/// in this order, a microsecond apart.
fn arrive(net: &mut Net, packet: &Packet, pieces: &[usize]) {
    net.send(packet, Reach::Sender);
    let mut packet = packet.clone();
    packet.ip.ttl -= 1;
    let fragments = packet.to_fragments(1_500);
    assert_eq!(fragments.len(), 3);
    for (n, &piece) in (0..).zip(pieces) {
        let frame = Link::ETHERNET.frame(&ip(fragments[piece].clone()));
        let later = 200 * MICROSECOND + n * MICROSECOND;
        add(&mut net.server, &packet, later, frame);
    }
}

fn ends(net: &Net) -> Findings {
    findings(&[("client", &net.client), ("server", &net.server)])
}

#[test]
fn trap_23_a_packet_fragmented_on_the_way_is_one_packet_and_came_with_all_its_pieces() {
    for version in [4, 6] {
        let mut net = Net::with_traffic(Form::Sll2, false);
        for (n, order) in (0..).zip([[0, 1, 2], [2, 1, 0], [1, 0, 2]]) {
            arrive(&mut net, &long(100 + n, 50, version), &order);
        }
        // Pieces that came twice make no second packet.
        arrive(&mut net, &long(110, 50, version), &[0, 1, 1, 2]);
        let findings = ends(&net);
        let p = number(&findings, 0, 50);
        assert_eq!((p.packets, p.delivered, p.lost), (4, 4, 0), "IPv{version}");
        assert_eq!((p.altered, p.duplicates), (0, 0));
        let how = p.changes.iter().find(|c| c.field == "fragmentation");
        let how = how.expect("fragmented between client and server");
        assert_eq!(
            (how.from.as_str(), how.to.as_str()),
            ("whole", "first fragment")
        );
        assert_eq!(
            (&how.between[0][..], &how.between[1][..], how.count),
            ("client", "server", 4)
        );
        let server = point(&findings, "server");
        assert_eq!((server.incomplete, server.skipped.fragment), (0, 9));
    }
}

#[test]
fn trap_23_a_lost_piece_is_a_lost_packet_and_is_named() {
    for version in [4, 6] {
        // Behind an IPv6 header there is a fragment header too.
        let piece_len = if version == 4 { 1_480 } else { 1_448 };
        for (pieces, missing) in [
            (&[0, 2][..], piece_len),
            (&[0, 1], 2 * piece_len),
            (&[0], piece_len),
        ] {
            let mut net = Net::with_traffic(Form::Sll2, false);
            arrive(&mut net, &long(100, 50, version), pieces);
            arrive(&mut net, &long(101, 50, version), &[0, 1, 2]);
            let findings = ends(&net);
            let p = number(&findings, 0, 50);
            assert_eq!((p.packets, p.delivered), (2, 1), "IPv{version} {pieces:?}");
            assert_eq!(lost_at(p), [("client", "server", 1)]);
            let reason = format!(
                "of 1 packet some fragments came to server, the piece from byte {missing} did not"
            );
            assert!(
                p.reasons.iter().any(|r| r.to_string() == reason),
                "{:?}",
                p.reasons
            );
            let server = point(&findings, "server");
            assert_eq!((server.hdp, server.incomplete), (22, 1));
        }
    }
}

#[test]
fn trap_23_without_the_first_piece_the_packet_is_lost_like_any_other() {
    let mut net = Net::with_traffic(Form::Sll2, false);
    arrive(&mut net, &long(100, 50, 4), &[1, 2]);
    let findings = ends(&net);
    let p = number(&findings, 0, 50);
    assert_eq!((p.packets, p.lost), (1, 1));
    assert!(
        !p.reasons
            .iter()
            .any(|reason| reason.to_string().contains("piece"))
    );
    assert_eq!(point(&findings, "server").incomplete, 0);
}

#[test]
fn trap_23_a_piece_that_only_one_capture_lacks_is_no_loss() {
    let mut net = Net::with_traffic(Form::Sll2, false);
    let packet = long(100, 50, 4);
    arrive(&mut net, &packet, &[0, 1, 2]);
    // The router's capture lacks the middle one on one side, and all is there behind it.
    for (port, is_outgoing, pieces) in [
        (Port::Client, false, &[0, 1, 2][..]),
        (Port::Server, true, &[0, 2]),
    ] {
        let mut packet = packet.clone();
        packet.ip.ttl -= u8::from(is_outgoing);
        let fragments = packet.to_fragments(1_500);
        for &piece in pieces {
            let time = packet.timestamp_ns.cast_signed() + 100 * MICROSECOND;
            let network = ip(fragments[piece].clone());
            let frame = net.form.frame(time, port, is_outgoing, &network);
            net.router.frames.push(frame);
        }
    }
    let findings = net.findings();
    assert_eq!(names(&findings), APART);
    let p = number(&findings, 0, 50);
    assert_eq!((p.packets, p.delivered, p.lost), (1, 1, 0));
    assert_eq!(p.seen, [1, 1, 0, 1]);
    let of_sides = ["router (in)", "router (out)"].map(|name| {
        let side = point(&findings, name);
        (side.incomplete, side.missed)
    });
    assert_eq!(of_sides, [(0, 0), (1, 1)]);
}

#[test]
fn trap_23_a_piece_lost_inside_a_router_is_lost_there() {
    let mut net = Net::with_traffic(Form::Sll2, false);
    let packet = long(100, 50, 4);
    arrive(&mut net, &packet, &[0, 2]);
    for (port, is_outgoing, pieces) in [
        (Port::Client, false, &[0, 1, 2][..]),
        (Port::Server, true, &[0, 2]),
    ] {
        let mut packet = packet.clone();
        packet.ip.ttl -= u8::from(is_outgoing);
        let fragments = packet.to_fragments(1_500);
        for &piece in pieces {
            let time = packet.timestamp_ns.cast_signed() + 100 * MICROSECOND;
            let network = ip(fragments[piece].clone());
            let frame = net.form.frame(time, port, is_outgoing, &network);
            net.router.frames.push(frame);
        }
    }
    let findings = net.findings();
    let p = number(&findings, 0, 50);
    assert_eq!(lost_at(p), [("router (in)", "router (out)", 1)]);
}

#[test]
fn trap_23_a_piece_quoted_in_an_icmp_error_has_not_come() {
    let mut net = Net::with_traffic(Form::Sll2, false);
    let packet = long(100, 50, 4);
    arrive(&mut net, &packet, &[0, 2]);
    // The router cannot send the middle piece on and says so; the error passes the server's port.
    let router = Ip::new([10, 77, 1, 1].into(), packet.ip.src, 1);
    let lost = &packet.to_fragments(1_500)[1];
    let error = icmp_error(&router, 11, 1, lost, Quote::Whole);
    add(
        &mut net.server,
        &packet,
        MILLISECOND,
        Link::ETHERNET.frame(&ip(error)),
    );
    let findings = ends(&net);
    assert_eq!(number(&findings, 0, 50).lost, 1);
}

#[test]
fn trap_23_a_capture_that_is_surveyed_while_it_is_read_knows_its_incomplete_packets() {
    let mut net = Net::new(Form::Sll2);
    arrive(&mut net, &long(1, 50, 4), &[0, 1, 2]);
    arrive(&mut net, &long(2, 50, 4), &[0, 2]);
    for n in 0..12_000 {
        let mut packet = packet(3, 253);
        packet.timestamp_ns += n * 100_000;
        net.send(&packet, Reach::Receiver);
    }
    let findings = ends(&net);
    let p = number(&findings, 0, 50);
    assert_eq!((p.packets, p.delivered, p.lost), (2, 1, 1));
    assert_eq!(number(&findings, 0, 253).delivered, 12_000);
}

#[test]
fn trap_23_pieces_that_a_real_router_drops_are_lost_inside_it() {
    let Some(hosts) = hosts::routed("fragments") else {
        return;
    };
    hosts.router.nft(
        "table ip losses { chain losses { type filter hook forward priority 0; \
         ip protocol 50 ip frag-off & 0x1fff != 0 drop; }; }",
    );
    let folder = tempfile::tempdir().unwrap();
    let [client, router, server] = WHOLE.map(|name| file(&folder, name));
    let captures = [
        hosts.client.capture("router", &client),
        hosts.router.capture("any", &router),
        hosts.server.capture("router", &server),
    ];
    let send = |arguments: &[&str]| {
        let arguments = [&["send", "10.77.2.2"], arguments].concat();
        success(&mut hosts.client.hdp(&arguments));
    };
    // Before and behind, so that all points are known to watch.
    let small = ["--protocols", "254", "--count", "5", "--interval", "100ms"];
    send(&small);
    let large = ["--protocols", "50,253", "--count", "5", "--interval", "2ms"];
    send(&[&large[..], &["--size", "3000"]].concat());
    send(&small);
    hosts::until("the server's capture holds all packets", || {
        // It may be in the middle of one.
        let mut source = Source::open(Origin::Path(server.clone())).unwrap();
        let mut count = 0;
        while let Some(frame) = source.next_frame() {
            count += i32::from(frame.bytes[12..14] == [8, 0] && frame.bytes[14 + 9] == 254);
        }
        count == 10
    });
    for capture in captures {
        capture.interrupt();
    }
    let findings = run(folder.path(), &WHOLE, &[]);
    assert_eq!(names(&findings), APART);
    let p = number(&findings, 0, 50);
    assert_eq!(p.seen, [5, 5, 0, 0], "{:?}", p.reasons);
    assert_eq!(lost_at(p), [("router (in)", "router (out)", 5)]);
    let piece = "the piece from byte 1480 did not";
    assert!(
        p.reasons
            .iter()
            .any(|reason| reason.to_string().contains(piece))
    );
    assert_eq!(number(&findings, 0, 253).seen, [5; 4]);
    assert_eq!(number(&findings, 0, 254).seen, [10; 4]);
}
