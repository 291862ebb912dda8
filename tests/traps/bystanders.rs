//! What is not HDP, and what it tells: pings through a masquerading router beside HDP, by two clocks
//! of which one is five minutes off.

use hdp::findings::{Absence, ClockMethod, Findings, Grade, Rule, Verdict};

use super::{
    path::{PCAPNG, SECOND, capture, judged, lost, lost_at, number, run, scene, sent, warns},
    support::{
        capture::Packing,
        scene::{Captured, MILLISECOND, START_NS},
    },
};

/// What the server's clock shows more.
const AHEAD: i64 = 300 * SECOND;

/// From one end to the other.
const DELAY: i64 = 5 * MILLISECOND;

const CLIENT: [u8; 4] = [10, 0, 1, 2];
const ROUTER: [u8; 4] = [192, 0, 2, 1];
const SERVER: [u8; 4] = [10, 0, 2, 2];

fn ip(source: [u8; 4], destination: [u8; 4], (protocol, ttl): (u8, u8), payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(20 + payload.len()).unwrap();
    let mut bytes = vec![0x45, 0];
    bytes.extend(len.to_be_bytes());
    bytes.extend([0, 0, 0x40, 0, ttl, protocol, 0, 0]);
    bytes.extend(source);
    bytes.extend(destination);
    bytes.extend(payload);
    bytes
}

fn echo(icmp_type: u8, sequence: u16, payload: u64) -> Vec<u8> {
    let mut bytes = vec![icmp_type, 0, 0, 0, 0, 7];
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(payload.to_be_bytes());
    bytes
}

/// Captures of client and server, the server's by its own clock.
#[derive(Default)]
struct World {
    frames: [Vec<Captured>; 2],
}

impl World {
    fn client(&mut self, at: i64, bytes: Vec<u8>) {
        self.frames[0].push((START_NS + at, bytes));
    }

    fn server(&mut self, at: i64, bytes: Vec<u8>) {
        self.frames[1].push((START_NS + at + AHEAD, bytes));
    }

    /// A ping, which the path loses or not; its payload tells it from others, if it is another one.
    fn ping(&mut self, at: i64, sequence: u16, payload: u64, arrives: bool) {
        let (request, reply) = (echo(8, sequence, payload), echo(0, sequence, payload));
        self.client(at, ip(CLIENT, SERVER, (1, 64), &request));
        if arrives {
            self.server(at + DELAY, ip(ROUTER, SERVER, (1, 62), &request));
            self.server(at + DELAY, ip(SERVER, ROUTER, (1, 64), &reply));
            self.client(at + 2 * DELAY, ip(SERVER, CLIENT, (1, 62), &reply));
        }
    }

    fn hdp(&mut self, at: i64, protocol: u8, arrives: bool) {
        let packet = hdp(START_NS + at);
        self.client(at, ip(CLIENT, SERVER, (protocol, 64), &packet));
        if arrives {
            self.server(at + DELAY, ip(ROUTER, SERVER, (protocol, 62), &packet));
        }
    }

    /// Three rounds of four numbers within the time of the pings.
    fn rounds(&mut self, arrives: bool) {
        for round in 0..3 {
            for protocol in [50, 51, 132, 253] {
                let at = (2 + round) * SECOND + i64::from(protocol) * MILLISECOND;
                self.hdp(at, protocol, arrives);
            }
        }
    }

    fn judged(&self) -> Findings {
        let mut frames = self.frames.clone();
        for frames in &mut frames {
            frames.sort_by_key(|(time, _)| *time);
        }
        judged(&frames.each_ref().map(capture))
    }
}

/// Pings every 200 ms for ten seconds, of which these arrive.
fn pings(arrives: impl Fn(u16) -> bool) -> World {
    let mut world = World::default();
    for n in 0..50 {
        let at = i64::from(n) * 200 * MILLISECOND;
        world.ping(at, n, u64::from(n) << 32 | 0xabcd, arrives(n));
    }
    world
}

fn all_blocked(findings: &Findings) {
    let clock = &findings.directions[0].segments[0].clock;
    assert_eq!(clock.method, ClockMethod::TwoWay);
    assert!(clock.offset_ns.unwrap().abs_diff(AHEAD) <= 5_000_000);
    assert!(clock.related_by.bystander > 0 && clock.related_by.hdp == 0);
    for protocol in [50, 51, 132, 253] {
        let p = number(findings, 0, protocol);
        assert_eq!((p.verdict, p.lost), (Verdict::Blocked, 3), "{p:?}");
        assert!(p.grade <= Grade::Likely, "{p:?}");
        assert_eq!(p.assumes, None);
    }
}

#[test]
fn trap_32_pings_that_cross_tell_that_nothing_of_hdp_arrived() {
    let mut innocent = pings(|_| true);
    innocent.rounds(true);
    let findings = innocent.judged();
    assert_eq!(number(&findings, 0, 50).verdict, Verdict::Passes);
    let related_by = findings.directions[0].segments[0].clock.related_by;
    assert_eq!((related_by.hdp, related_by.bystander), (12, 100));

    let mut blocked = pings(|_| true);
    blocked.rounds(false);
    all_blocked(&blocked.judged());
    let bystanders = blocked.judged().directions[0].segments[0]
        .bystanders
        .unwrap();
    assert_eq!((bystanders.packets, bystanders.arrived), (50, 50));
    // One in four lost too.
    let mut lossy = pings(|n| n % 4 != 1);
    lossy.rounds(false);
    all_blocked(&lossy.judged());
}

#[test]
fn trap_32_what_is_repeated_relates_nothing() {
    let mut world = World::default();
    for n in 0..50 {
        // One ping again and again, and the server sees another one of them.
        world.ping(n * 200 * MILLISECOND, 1, 1, n % 2 == 0);
    }
    world.rounds(false);
    let findings = world.judged();
    let clock = &findings.directions[0].segments[0].clock;
    assert_eq!(clock.method, ClockMethod::None);
    assert_eq!(clock.related_by.bystander, 0);
}

#[test]
fn without_anything_in_common_the_verdict_says_how_far_the_clocks_may_be_apart() {
    let mut world = World::default();
    world.rounds(false);
    // An empty capture claims nothing, and nobody says that it was not watching.
    let nothing = world.judged();
    let p = number(&nothing, 0, 50);
    assert_eq!((p.verdict, p.assumes), (Verdict::Inconclusive, None));
    assert!(p.reasons[0].to_string().contains("cannot be compared"));
    // The server's own frames, by a clock that is right.
    for n in 0..100 {
        let own = ip([10, 0, 2, 9], SERVER, (17, 64), &[0; 28]);
        world.frames[1].push((START_NS + n * 100 * MILLISECOND, own));
    }
    let findings = world.judged();
    let p = number(&findings, 0, 50);
    assert_eq!((p.verdict, p.grade), (Verdict::Blocked, Grade::Weak));
    assert_eq!(p.rule, Rule::AllLostByTheClocks);
    // From 2.05 s on the server's capture may begin at 0 s.
    assert_eq!(p.assumes.unwrap().clock_error_ns, 2_050_000_000);
    assert!(
        p.reasons[0]
            .to_string()
            .contains("if the clocks agree within 2 s")
    );
    // Nothing of the kind within less than 100 ms.
    world.frames[1].retain(|(time, _)| *time < START_NS + 4_300 * MILLISECOND);
    let short = world.judged();
    assert_eq!(number(&short, 0, 253).lost, 2);
}

#[test]
fn trap_33_what_is_lost_while_nothing_else_crosses_is_held_against_no_number() {
    // From 2 s to 4 s the path was down: a number that was sent only then is not blocked.
    let mut down = pings(|n| !(10..20).contains(&n));
    let mut up = pings(|_| true);
    for world in [&mut down, &mut up] {
        for n in 0..100_u8 {
            let own = ip(SERVER, [10, 0, 2, 9], (17, 64), &[n; 28]);
            world.server(i64::from(n) * 100 * MILLISECOND, own);
        }
        for n in 0..8 {
            world.hdp(2_400 * MILLISECOND + n * 100 * MILLISECOND, 50, false);
            world.hdp(5_000 * MILLISECOND + n * 100 * MILLISECOND, 253, true);
        }
    }
    let findings = down.judged();
    let p = number(&findings, 0, 50);
    assert_eq!(
        (p.verdict, p.rule),
        (Verdict::Inconclusive, Rule::OnlyDeadTimes)
    );
    assert_eq!(p.lost, 8);
    assert_eq!(number(&findings, 0, 253).verdict, Verdict::Passes);
    assert_eq!(number(&up.judged(), 0, 50).verdict, Verdict::Blocked);
}

#[test]
fn trap_34_while_a_points_own_frames_go_on_it_was_recording() {
    // Ten numbers in turn; from 4 s to 8 s either the path lost all, or the capture stood still.
    let scene = |own_frames_go_on: bool| {
        let mut world = World::default();
        for n in 0..120_u8 {
            let at = i64::from(n) * 100 * MILLISECOND;
            let is_down = (40..80).contains(&n);
            world.hdp(at, 100 + n % 10, !is_down);
            if n % 10 == 5 && (own_frames_go_on || !is_down) {
                world.server(at, ip(SERVER, [10, 0, 2, 9], (17, 64), &[n; 28]));
            }
        }
        world.judged()
    };
    let stopped = scene(false);
    assert_eq!(stopped.points[1].gaps.len(), 1);
    assert_eq!(number(&stopped, 0, 100).lost, 0);
    let down = scene(true);
    assert_eq!(down.points[1].gaps, [[0; 2]; 0]);
    assert_eq!(number(&down, 0, 100).lost, 4);
}

#[test]
fn trap_39_times_do_not_turn_the_order_round() {
    // On one LAN: no TTL falls.
    let mut world = World::default();
    for n in 0..6 {
        for (protocol, arrives) in [(50, false), (253, true)] {
            let at = n * SECOND + i64::from(protocol) * MILLISECOND;
            world.hdp(at, protocol, arrives);
        }
        world.server(
            n * SECOND,
            ip(
                SERVER,
                [10, 0, 2, 9],
                (17, 64),
                &[u8::try_from(n).unwrap(); 28],
            ),
        );
    }
    world.server(8 * SECOND, ip(SERVER, [10, 0, 2, 9], (17, 64), &[9; 28]));
    for (_, bytes) in world.frames.iter_mut().flatten() {
        bytes[8] = 64;
    }
    let [client, server] = world.frames.each_ref().map(|frames| {
        // The client's clock is the wrong one.
        let mut frames = frames.clone();
        frames.sort_by_key(|(time, _)| *time);
        frames
    });
    let early = |frames: &[Captured], by: i64| -> Vec<Captured> {
        frames
            .iter()
            .map(|(time, bytes)| (time - by, bytes.clone()))
            .collect()
    };
    let captures = [
        capture(&early(&client, 500 * SECOND)),
        capture(&early(&server, AHEAD)),
    ];
    let findings = judged(&captures);
    assert_eq!(findings.directions.len(), 1);
    assert_eq!(number(&findings, 0, 50).verdict, Verdict::Blocked);
    assert_eq!(number(&findings, 0, 253).verdict, Verdict::Passes);
    assert_eq!(findings.warnings, []);
}

/// Three rounds of four numbers, of which two are lost, within ten seconds of pings.
fn two_blocked() -> World {
    let mut world = pings(|_| true);
    for round in 0..3 {
        for protocol in [2, 6, 50, 253] {
            let at = (2 + round) * SECOND + i64::from(protocol) * MILLISECOND;
            world.hdp(at, protocol, protocol > 17);
        }
    }
    world
}

#[test]
fn trap_38_a_filter_at_one_end_shows_by_the_pings_that_were_answered() {
    let innocent = two_blocked().judged();
    assert_eq!(number(&innocent, 0, 2).verdict, Verdict::Blocked);
    assert_eq!(innocent.warnings, []);
    // `ip[9] > 17` at the server.
    let mut filtered = two_blocked();
    filtered.frames[1].retain(|(_, bytes)| bytes[9] > 17);
    let findings = filtered.judged();
    for protocol in [2, 6] {
        let p = number(&findings, 0, protocol);
        assert_eq!((p.verdict, p.lost, p.edge), (Verdict::Inconclusive, 0, 3));
        let why: Vec<_> = p
            .edge_at
            .iter()
            .map(|edge| (edge.why, edge.count))
            .collect();
        assert_eq!(why, [(Absence::CannotShow, 3)]);
    }
    assert!(warns(&findings, "p1 recorded nothing below 50"));
    // Pings that nobody answered are no evidence, nor are answers to elsewhere.
    let mut lost = two_blocked();
    lost.frames[1].retain(|(_, bytes)| bytes[9] > 17);
    let mut elsewhere = lost.frames.clone();
    lost.frames[0].retain(|(_, bytes)| bytes[9] != 1 || bytes[12..16] == CLIENT);
    assert_eq!(number(&lost.judged(), 0, 2).verdict, Verdict::Blocked);
    for (_, bytes) in elsewhere.iter_mut().flatten().filter(|(_, b)| b[9] == 1) {
        let end = if bytes[12..16] == CLIENT { 16 } else { 12 };
        bytes[end + 3] = 99;
    }
    let findings = World { frames: elsewhere }.judged();
    assert_eq!(number(&findings, 0, 2).verdict, Verdict::Blocked);
}

#[test]
fn trap_38_behind_a_filter_one_number_shows_that_the_capture_stood_still() {
    let stretch = 4 * SECOND..6 * SECOND;
    let judged_with = |is_filtered: bool| {
        let mut world = pings(|_| true);
        for at in (0..100).map(|n| n * 100 * MILLISECOND) {
            world.hdp(at + MILLISECOND, 6, false);
            world.hdp(at, 253, !stretch.contains(&at));
        }
        world.frames[1].retain(|(_, bytes)| !is_filtered || bytes[9] > 17);
        world.judged()
    };
    // Pings came by all the while: the path lost it.
    let innocent = judged_with(false);
    let p = number(&innocent, 0, 253);
    assert_eq!((p.verdict, p.lost, p.edge), (Verdict::Lossy, 20, 0));
    let findings = judged_with(true);
    let p = number(&findings, 0, 253);
    assert_eq!((p.verdict, p.lost, p.edge), (Verdict::Passes, 0, 20));
    assert_eq!(findings.points[1].gaps.len(), 1);
}

#[test]
fn trap_38_errors_and_answers_prove_what_a_capture_lacks() {
    let error = |world: &mut World, at: i64, by: [u8; 4]| {
        let mut icmp = vec![3, 2, 0, 0, 0, 0, 0, 0];
        let (_, quoted) = world.frames[0].last().unwrap().clone();
        icmp.extend(quoted);
        let error = ip(by, CLIENT, (1, 62), &icmp);
        world.client(at, error);
    };
    let scene = |by: [u8; 4]| {
        let mut world = World::default();
        for round in 0..3 {
            for protocol in [2, 6, 50, 253] {
                let at = round * SECOND + i64::from(protocol) * MILLISECOND;
                world.hdp(at, protocol, protocol > 17);
                // The errors are limited in rate: 6 gets none.
                if protocol == 2 {
                    error(&mut world, at + 2 * DELAY, by);
                }
            }
        }
        world.judged()
    };
    let by_a_router = scene([10, 0, 9, 9]);
    assert_eq!(number(&by_a_router, 0, 6).verdict, Verdict::Blocked);
    let by_the_server = scene(SERVER);
    assert_eq!(number(&by_the_server, 0, 6).verdict, Verdict::Inconclusive);
    assert!(
        warns(&by_the_server, "at least 2 packets under 2 IGMP"),
        "{:?}",
        by_the_server.warnings
    );
}

#[test]
fn trap_38_what_a_capture_in_the_middle_does_not_show_it_does_not_lose() {
    let numbers = [6, 17, 47, 88, 89, 103];
    let mut packets = Vec::new();
    for round in 0..3 {
        for (protocol, n) in numbers.into_iter().zip(0..) {
            packets.push(sent((100 + round * 200 + n) * MILLISECOND, protocol, 3));
        }
        packets.push(sent((150 + round * 200) * MILLISECOND, 50, 2));
        packets.push(sent((151 + round * 200) * MILLISECOND, 51, 1));
    }
    let mut captures = scene(3, 1_000, &packets);
    let findings = judged(&captures);
    assert_eq!(lost_at(number(&findings, 0, 50)), [("p1", "p2", 3)]);
    assert_eq!(lost_at(number(&findings, 0, 51)), [("p0", "p1", 3)]);
    // Hardware passes them on past the capture, but for those that it knows.
    captures[1]
        .frames
        .retain(|frame| matches!(frame.bytes[9], 1 | 6 | 17 | 253));
    let findings = judged(&captures);
    for protocol in [50, 51] {
        let p = number(&findings, 0, protocol);
        assert_eq!(p.verdict, Verdict::Blocked);
        assert_eq!(lost_at(p), [("p0", "p2", 3)]);
    }
    assert!(warns(&findings, "p1 recorded nothing under some numbers"));
    assert_eq!(number(&findings, 0, 47).verdict, Verdict::Passes);
}

/// Rounds of 64 numbers, one every 100 ms, beside the server's own frames every two seconds; the lower
/// half passes in the first round only, or always.
fn rounds_of_64(lower_half_is_cut_off: bool) -> World {
    let mut world = World::default();
    for round in 0..3 {
        for n in 0..64_u8 {
            let at = (round * 64 + i64::from(n)) * 100 * MILLISECOND;
            world.hdp(at, 100 + n, !lower_half_is_cut_off || round == 0 || n >= 32);
        }
    }
    for n in 0..10_u8 {
        let own = ip(SERVER, [10, 0, 2, 9], (17, 64), &[n; 28]);
        world.server(i64::from(n) * 2 * SECOND + 50 * MILLISECOND, own);
    }
    world
}

#[test]
fn trap_35_a_silence_that_lost_numbers_explain_is_no_gap() {
    // The capture stood still: the server's own frames are missing too.
    let mut stopped = rounds_of_64(false);
    let start = START_NS + AHEAD + 6_400 * MILLISECOND;
    let silence = start..start + 9_600 * MILLISECOND;
    stopped.frames[1].retain(|(time, _)| !silence.contains(time));
    let findings = stopped.judged();
    assert_eq!(findings.points[1].gaps.len(), 1);
    assert_eq!(number(&findings, 0, 100).lost, 0);

    let findings = rounds_of_64(true).judged();
    assert_eq!(findings.points[1].gaps, [[0; 2]; 0]);
    for protocol in [100, 131] {
        let p = number(&findings, 0, protocol);
        assert_eq!((p.delivered, p.lost), (1, 2), "{p:?}");
    }
}

#[test]
fn trap_37_what_only_the_last_point_saw_has_not_arrived() {
    let run = |from: i64| {
        let mut world = pings(|_| true);
        for n in 0..10 {
            world.hdp(from + n * 200 * MILLISECOND, 253, true);
        }
        world
    };
    let innocent = run(2 * SECOND).judged();
    assert_eq!(number(&innocent, 0, 253).verdict, Verdict::Passes);
    // The server's capture is that of another run, of the same clocks or others.
    for without_pings in [false, true] {
        let mut mixed = run(2 * SECOND);
        mixed.frames[1] = run(2 * SECOND + 77 * MILLISECOND).frames[1].clone();
        if without_pings {
            for frames in &mut mixed.frames {
                frames.retain(|(_, bytes)| bytes[9] != 1);
            }
        }
        let findings = mixed.judged();
        for protocol in findings.directions.iter().flat_map(|way| &way.protocols) {
            assert_eq!(protocol.delivered, 0, "{protocol:?}");
            assert_ne!(protocol.verdict, Verdict::Passes);
        }
    }
}

#[test]
fn trap_41_another_clients_packet_is_not_ours_under_another_timestamp() {
    let other = |world: &mut World, at: i64, source: [u8; 4], changed: i64| {
        let packet = hdp((START_NS + at) ^ changed);
        world.server(at + DELAY, ip(source, SERVER, (132, 62), &packet));
    };
    let scene = |source: [u8; 4]| {
        let mut world = pings(|_| true);
        for n in 0..4 {
            let at = 2 * SECOND + n * 400 * MILLISECOND;
            world.hdp(at, 253, true);
            world.hdp(at + 10 * MILLISECOND, 132, false);
            // A box has written a checksum into the lower half.
            other(&mut world, at + 10 * MILLISECOND, source, 0x1234_5678);
        }
        world.judged()
    };
    let ours = scene(ROUTER);
    assert_eq!(number(&ours, 0, 132).lost, 0);
    let anothers = scene([10, 0, 7, 7]);
    let p = number(&anothers, 0, 132);
    assert_eq!((p.verdict, p.lost), (Verdict::Blocked, 4));
    assert!(warns(&anothers, "10.0.7.7"));
}

/// HDP of ports 420 with this timestamp.
fn hdp(timestamp_ns: i64) -> Vec<u8> {
    let mut packet = [420_u16.to_be_bytes(), 420_u16.to_be_bytes()].concat();
    packet.extend(timestamp_ns.to_be_bytes());
    packet
}

#[test]
fn packet_and_answer_of_one_time_do_not_hang_on_the_order_of_the_records() {
    // Whoever answers keeps all of HDP, and a clock that counts milliseconds sees both at once; that another
    // number shares the timestamp, and is lost, has them told apart.
    let judged_in = |order: fn(&mut Vec<Captured>)| {
        let (mut at_client, mut at_server) = (Vec::new(), Vec::new());
        for n in 0..10 {
            let at = START_NS + n * 100 * MILLISECOND;
            let packet = |ttl| ip(CLIENT, SERVER, (50, ttl), &hdp(at));
            let answer = |ttl| ip(SERVER, CLIENT, (50, ttl), &hdp(at));
            at_client.push((at, packet(64)));
            at_client.push((at, ip(CLIENT, SERVER, (51, 64), &hdp(at))));
            at_server.push((at + MILLISECOND, packet(61)));
            at_server.push((at + MILLISECOND, answer(64)));
            at_client.push((at + 2 * MILLISECOND, answer(61)));
        }
        let folder = tempfile::tempdir().unwrap();
        for (name, mut frames) in [("client", at_client), ("server", at_server)] {
            order(&mut frames);
            capture(&frames).write(&folder.path().join(name), PCAPNG, Packing::Plain);
        }
        let findings = run(folder.path(), &["client", "server"], &[]);
        let ways = findings.directions.iter().map(|direction| {
            let clock = direction.segments[0].clock.clone();
            let numbers = direction.protocols.iter();
            let counts = numbers.map(|p| (p.protocol, p.delivered, p.lost, p.edge));
            (counts.collect::<Vec<_>>(), clock)
        });
        ways.collect::<Vec<_>>()
    };
    let as_sent = judged_in(|_| ());
    assert_eq!(as_sent[0].0, [(50, 10, 0, 0), (51, 0, 8, 2)]);
    assert!(as_sent[0].1.related_by.hdp > 0, "{as_sent:?}");
    assert_eq!(judged_in(|frames| frames.reverse()), as_sent);
}

#[test]
fn trap_39_who_sent_first_does_not_hang_on_the_order_of_the_records() {
    // On one LAN no TTL falls: who sent first is taken to have been answered.
    let mut packets = Vec::new();
    for n in 0..10 {
        let at = n * 100 * MILLISECOND;
        packets.push((at, ip(CLIENT, SERVER, (50, 64), &hdp(START_NS + at))));
        let at = at + MILLISECOND;
        packets.push((at, ip(SERVER, CLIENT, (51, 64), &hdp(START_NS + at))));
    }
    let judged_in = |order: fn(&mut Vec<Captured>)| {
        let mut frames: Vec<Captured> = packets
            .iter()
            .map(|(at, bytes)| (START_NS + at, bytes.clone()))
            .collect();
        order(&mut frames);
        let folder = tempfile::tempdir().unwrap();
        for name in ["p0", "p1"] {
            capture(&frames).write(&folder.path().join(name), PCAPNG, Packing::Plain);
        }
        let findings = run(folder.path(), &["p0", "p1"], &[]);
        let ways = findings.directions.iter().map(|direction| {
            let numbers = direction.protocols.iter();
            numbers
                .map(|p| (p.protocol, p.delivered))
                .collect::<Vec<_>>()
        });
        ways.collect::<Vec<_>>()
    };
    let expected = [vec![(50, 10)], vec![(51, 10)]];
    assert_eq!(judged_in(|_| ()), expected);
    assert_eq!(judged_in(|frames| frames.reverse()), expected);
    assert_eq!(judged_in(|frames| frames.swap(0, 1)), expected);
}

#[test]
fn trap_41_where_nothing_crosses_a_neighbour_of_the_server_sends_forward_too() {
    let scene = |source: [u8; 4], destination: [u8; 4]| {
        let mut world = World::default();
        for n in 0..20 {
            for protocol in [50, 51] {
                let at = n * 200 * MILLISECOND + i64::from(protocol) * MILLISECOND;
                world.hdp(at, protocol, false);
                let others = hdp(START_NS + at + MILLISECOND);
                let packet = ip(source, destination, (protocol, 64), &others);
                world.frames[1].push((START_NS + at + 2 * MILLISECOND, packet));
            }
        }
        world.judged()
    };
    // What the server sends back is lost on the way back.
    let answers = scene(SERVER, CLIENT);
    assert!(number(&answers, 1, 50).lost > 0);
    let anothers = scene([10, 0, 9, 9], SERVER);
    assert!(number(&anothers, 0, 50).lost > 0);
    for number in anothers
        .directions
        .iter()
        .skip(1)
        .flat_map(|way| &way.protocols)
    {
        assert_eq!(number.lost, 0, "{number:?}");
    }
}

#[test]
fn trap_41_where_nothing_crosses_another_senders_sctp_is_not_ours() {
    let scene = |source: [u8; 4], ttl: u8| {
        let mut world = World::default();
        for n in 0..10 {
            let at = n * 5 * SECOND;
            world.hdp(at, 132, false);
            let others = hdp((START_NS + at) ^ 0x1234_5678);
            let packet = ip(source, SERVER, (132, ttl), &others);
            world.frames[1].push((START_NS + at + MILLISECOND, packet));
        }
        world.judged()
    };
    let ours = scene(CLIENT, 62);
    assert_eq!(number(&ours, 0, 132).delivered, 10);
    for (source, ttl) in [([10, 0, 9, 9], 62), ([10, 0, 9, 9], 64), (CLIENT, 65)] {
        assert_eq!(
            number(&scene(source, ttl), 0, 132).delivered,
            0,
            "{source:?} {ttl}"
        );
    }
}

#[test]
fn trap_41_of_one_coarse_moment_the_packet_with_our_address_is_ours() {
    let scene = |has_other: bool| {
        let mut world = World::default();
        for n in 0..10 {
            let second = n * SECOND;
            for protocol in [50, 51, 52, 53] {
                let packet = hdp(START_NS + second);
                let at = second + i64::from(protocol) * MILLISECOND;
                world.client(at, ip(CLIENT, SERVER, (protocol, 64), &packet));
                if has_other {
                    // It shows at the server first.
                    let packet = ip([10, 0, 9, 9], SERVER, (protocol, 62), &packet);
                    world.server(at - 10 * MILLISECOND, packet);
                }
                world.server(at + DELAY, ip(CLIENT, SERVER, (protocol, 62), &packet));
            }
        }
        world.judged()
    };
    for has_other in [false, true] {
        let findings = scene(has_other);
        assert_eq!(lost(&findings), 0);
        for protocol in [50, 51, 52, 53] {
            let p = number(&findings, 0, protocol);
            let is_as_sent = p.changes.iter().all(|change| change.field == "ttl");
            assert!(is_as_sent, "{has_other}: {:?}", p.changes);
            assert_eq!(p.delivered, p.packets, "{p:?}");
        }
    }
}

#[test]
fn trap_41_answers_to_another_client_behind_one_translator_are_not_lost() {
    // Of each round the server answers ours, and the other's where there is one; `arrives` tells of ours.
    let scene = |has_other: bool, arrives: fn(i64) -> bool| {
        let mut world = pings(|_| true);
        for n in 0..6 {
            for protocol in [6, 50] {
                let at = 2 * SECOND + n * 400 * MILLISECOND + i64::from(protocol) * MILLISECOND;
                let is_shared = has_other && protocol == 6;
                world.hdp(at, protocol, true);
                if is_shared {
                    let request = hdp(START_NS + at + MILLISECOND);
                    let at = at + MILLISECOND + DELAY;
                    world.server(at, ip(ROUTER, SERVER, (protocol, 62), &request));
                }
                for later in (0..=1).take(1 + usize::from(is_shared)) {
                    let sent_at = at + DELAY + (2 + later) * MILLISECOND;
                    let answer = hdp(START_NS + sent_at);
                    world.server(sent_at, ip(SERVER, ROUTER, (protocol, 64), &answer));
                    if later == 0 && arrives(n) {
                        let at = sent_at + DELAY;
                        world.client(at, ip(SERVER, CLIENT, (protocol, 62), &answer));
                    }
                }
            }
        }
        world.judged()
    };
    let back = |findings: &Findings| {
        [6, 50].map(|protocol| {
            let p = number(findings, 1, protocol);
            (p.delivered, p.lost)
        })
    };
    assert_eq!(back(&scene(false, |_| true)), [(6, 0), (6, 0)]);
    assert_eq!(back(&scene(false, |n| n > 1)), [(4, 2), (4, 2)]);
    let shared = scene(true, |_| true);
    assert_eq!(back(&shared), [(6, 0), (6, 0)]);
    assert!(warns(&shared, "192.0.2.1"));
    // What the other did not ask for is lost all the same.
    assert_eq!(back(&scene(true, |n| n > 1)), [(4, 2), (4, 2)]);
}
