//! ICMP errors as witnesses, statistics, translation and changes.

use std::{fs, net::IpAddr};

use hdp::{
    findings::{Carrier, Findings, Grade, IcmpEvidence, Protocol, Verdict},
    path::Options,
    report,
};

use super::path::{capture, findings as findings_of_captures, run};
use crate::support::{
    capture::{ByteOrder, Interface, Pcapng, Statistics},
    frames::{Ip, Packet, Quote, icmp_error},
    scene::{Captured, MILLISECOND, START_NS, Scene, Sent, findings as scene_findings, judged},
};

/// From a packet's passing the first point to the error's.
const THERE_AND_BACK: i64 = 7 * MILLISECOND;

/// A packet that reaches so many points.
fn sent(at_ns: i64, protocol: u8, reaches: usize) -> Sent {
    Sent {
        at_ns,
        protocol,
        is_reply: false,
        reaches,
        delays_ns: (0..4).map(|hop| 10_000 + hop * MILLISECOND).collect(),
        payload: b"payload".to_vec(),
    }
}

/// So many packets of a number, 10 ms apart, of which none comes farther.
fn lost(protocol: u8, count: i64, reaches: usize) -> Vec<Sent> {
    let at = |n| n * 10 * MILLISECOND + i64::from(protocol) * 1_000;
    (0..count).map(|n| sent(at(n), protocol, reaches)).collect()
}

/// A path of so many points, twenty packets under 253 that arrive, and these.
fn scene(points: usize, packets: &[Sent]) -> Vec<Vec<Captured>> {
    let mut all: Vec<Sent> = (0..20)
        .map(|n| sent(n * 20 * MILLISECOND, 253, points))
        .collect();
    all.extend_from_slice(packets);
    let scene = Scene {
        clocks_ns: vec![0; points],
        packets: all,
        length_ns: 400 * MILLISECOND,
    };
    scene.frames()
}

fn findings(captures: &mut [Vec<Captured>]) -> Findings {
    for frames in captures.iter_mut() {
        frames.sort_by_key(|(time, _)| *time);
    }
    judged(captures).0
}

fn number(findings: &Findings, number: u16) -> &Protocol {
    let mut all = findings.directions[0].protocols.iter();
    all.find(|p| p.protocol == number && p.carrier == Carrier::Ip)
        .expect("the number was seen")
}

fn only_icmp(findings: &Findings, of: u16) -> &IcmpEvidence {
    match number(findings, of).icmp.as_slice() {
        [only] => only,
        other => panic!("{other:?}"),
    }
}

fn reasons(findings: &Findings, of: u16) -> String {
    let reasons = number(findings, of).reasons.iter();
    reasons
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

fn table(findings: &Findings) -> String {
    let layout = report::Layout {
        width: 1000,
        color: false,
        all: false,
        ascii: false,
    };
    report::table(findings, &layout)
}

/// The frame of a packet at a point.
fn frame_of(frames: &[Captured], sent: &Sent) -> Captured {
    let timestamp = sent.key().0.to_be_bytes();
    let mut found = frames
        .iter()
        .filter(|(_, bytes)| bytes.get(24..32) == Some(&timestamp) && bytes[9] == sent.protocol);
    found.next().expect("the point saw it").clone()
}

/// An error about a packet, from a host that got it with a lower TTL.
struct Error {
    by: [u8; 4],
    kind: (u8, u8),
    quote: Quote,
    /// Quoted without one, as senders of unfragmented packets may.
    without_ip_id: bool,
}

const REJECTED: Error = Error {
    by: [10, 77, 1, 1],
    kind: (3, 13),
    quote: Quote::Whole,
    without_ip_id: false,
};

impl Error {
    /// Adds the error to the first points, that being farthest from its sender first.
    fn answer(&self, captures: &mut [Vec<Captured>], points: usize, sent: &Sent) {
        let (time, mut quoted) = frame_of(&captures[0], sent);
        quoted[8] -= 1;
        if self.without_ip_id {
            quoted[4..6].fill(0);
        }
        let ip = Ip::new(self.by.into(), [10, 77, 1, 2].into(), 1);
        let error = icmp_error(&ip, self.kind.0, self.kind.1, &quoted, self.quote);
        for (point, frames) in captures[..points].iter_mut().enumerate() {
            let earlier = i64::try_from(point).unwrap() * MILLISECOND;
            frames.push((time + THERE_AND_BACK - earlier, error.clone()));
        }
    }
}

// --- 7. Silence is not filtering -----------------------------------------------------------------

#[test]
fn trap_03_an_answer_gives_no_certainty_to_losses_that_a_capture_may_have_dropped() {
    let packets = lost(50, 3, 1);
    let mut captures = scene(2, &packets);
    REJECTED.answer(&mut captures, 1, &packets[0]);
    let grade = |drops: Option<u64>| {
        let folder = tempfile::tempdir().unwrap();
        for (name, frames) in ["p0", "p1"].into_iter().zip(&captures) {
            let mut file = Pcapng::new(ByteOrder::Little);
            file.interface(Interface::new(101));
            for frame in &capture(frames).frames {
                file.enhanced(frame, None);
            }
            if name == "p1" && drops.is_some() {
                let statistics = Statistics {
                    ifdrop: drops,
                    osdrop: None,
                    watched_ns: None,
                };
                file.statistics(0, statistics);
            }
            fs::write(folder.path().join(name), file.into_bytes()).unwrap();
        }
        let findings = run(folder.path(), &["p0", "p1"], &[]);
        assert_eq!(findings.points[1].capture_drops, drops);
        let p = number(&findings, 50);
        assert_eq!((p.verdict, p.lost), (Verdict::Blocked, 3));
        p.grade
    };
    for none in [None, Some(0)] {
        assert_eq!(grade(none), Grade::Certain);
    }
    assert_eq!(grade(Some(3)), Grade::Likely);
}

#[test]
fn trap_07_silence_weighs_nothing_beside_answers() {
    let all: Vec<Sent> = (0..=251_u8).flat_map(|p| lost(p, 1, 1)).collect();
    let mut captures = scene(2, &all);
    let before = findings(&mut captures);
    for answered in &all[..6] {
        REJECTED.answer(&mut captures, 1, answered);
    }
    let after = findings(&mut captures);
    for silent in 6..=251 {
        let (before, after) = (number(&before, silent), number(&after, silent));
        assert_eq!(before, after, "{silent}: nobody said anything about it");
    }
    for answered in 0..6 {
        let p = number(&after, answered);
        assert_eq!((p.verdict, p.grade), (Verdict::Blocked, Grade::Certain));
    }
    let [refuser] = after.directions[0].refusers.as_slice() else {
        panic!("one host answers")
    };
    assert_eq!((refuser.errors, refuser.of, refuser.lost), (6, 252, 252));
    assert_eq!(refuser.rate_limited, None, "of one packet each, who knows");
    let said = "10.77.1.1 answered 6 of 252 packets lost there";
    assert_eq!(table(&after).matches(said).count(), 1);
}

#[test]
fn trap_07_who_rejects_one_number_and_drops_another_has_no_limit() {
    let (rejected, dropped) = (lost(47, 3, 1), lost(50, 3, 1));
    let mut captures = scene(2, &[rejected.clone(), dropped].concat());
    for packet in &rejected {
        REJECTED.answer(&mut captures, 1, packet);
    }
    let all_answered = findings(&mut captures);
    assert_eq!(
        all_answered.directions[0].refusers[0].rate_limited,
        Some(false)
    );
    assert!(!table(&all_answered).contains("No answer is no evidence"));

    let mut captures = scene(2, &rejected);
    REJECTED.answer(&mut captures, 1, &rejected[1]);
    let one_answered = findings(&mut captures);
    assert_eq!(
        one_answered.directions[0].refusers[0].rate_limited,
        Some(true)
    );
    assert!(table(&one_answered).contains("its answers are rate-limited"));
    assert!(reasons(&one_answered, 47).contains("to 1 of 3 lost"));
}

#[test]
fn trap_07_a_redirect_and_a_source_quench_refuse_nothing() {
    for kind in [(5, 1), (4, 0)] {
        let packets = lost(50, 1, 1);
        let mut captures = scene(2, &packets);
        let silent = findings(&mut captures);
        let error = Error { kind, ..REJECTED };
        error.answer(&mut captures, 1, &packets[0]);
        let findings = findings(&mut captures);
        let (p, silent) = (number(&findings, 50), number(&silent, 50));
        assert_eq!((p.grade, &p.reasons), (silent.grade, &silent.reasons));
        let icmp = only_icmp(&findings, 50);
        assert_eq!((icmp.count, icmp.answered, icmp.refuses), (1, 0, false));
        assert!(findings.directions[0].refusers.is_empty());
    }
}

// --- 24. What a quote holds ----------------------------------------------------------------------

#[test]
fn trap_24_short_quotes_answer_no_more_packets_than_there_are_errors() {
    for without_ip_id in [false, true] {
        let packets = lost(50, 6, 1);
        let mut captures = scene(2, &packets);
        for answered in [0, 2, 3] {
            let error = Error {
                quote: Quote::Eight,
                without_ip_id,
                ..REJECTED
            };
            error.answer(&mut captures, 1, &packets[answered]);
        }
        let findings = findings(&mut captures);
        let icmp = only_icmp(&findings, 50);
        assert_eq!((icmp.count, icmp.answered), (3, 3), "{without_ip_id}");
        assert!(reasons(&findings, 50).contains("to 3 of 6 lost"));
        // Whose error it was, only the IP ID tells.
        let rtt = icmp.rtt_ns.map(|rtt| (rtt.min, rtt.p50));
        let known = (!without_ip_id).then_some((THERE_AND_BACK, THERE_AND_BACK));
        assert_eq!(rtt, known);
    }
}

#[test]
fn trap_24_short_quotes_that_come_together_answer_a_packet_each() {
    for (errors, answered) in [(1, 1), (3, 3), (9, 6)] {
        let packets = lost(50, 6, 1);
        let mut captures = scene(2, &packets);
        let error = Error {
            quote: Quote::Eight,
            without_ip_id: true,
            ..REJECTED
        };
        for _ in 0..errors {
            error.answer(&mut captures, 1, &packets[5]);
        }
        let findings = findings(&mut captures);
        let icmp = only_icmp(&findings, 50);
        assert_eq!((icmp.count, icmp.answered), (errors, answered));
    }
}

#[test]
fn trap_24_an_error_that_crosses_points_is_one() {
    for quote in [Quote::Eight, Quote::Padded, Quote::Whole] {
        let packets = lost(50, 4, 2);
        let mut captures = scene(3, &packets);
        for answered in &packets[..2] {
            let error = Error {
                quote,
                without_ip_id: true,
                ..REJECTED
            };
            error.answer(&mut captures, 2, answered);
        }
        let findings = findings(&mut captures);
        let icmp = only_icmp(&findings, 50);
        assert_eq!((icmp.count, icmp.answered), (2, 2), "{quote:?}");
        assert_eq!(icmp.seen_at, ["p0", "p1"]);
        assert_eq!(number(&findings, 50).lost_at[0].from, "p1");
    }
}

#[test]
fn trap_24_a_short_quote_is_about_no_later_packet_and_no_other_half() {
    let mut packets = vec![sent(5_000 * MILLISECOND, 50, 1)];
    packets.extend(lost(50, 1, 1));
    let mut captures = scene(2, &packets);
    // Somebody else's packet of the same number and time, that the point did not see.
    let unseen = sent(2 * MILLISECOND, 50, 1);
    let mut elsewhere = scene(2, std::slice::from_ref(&unseen));
    let error = Error {
        quote: Quote::Eight,
        without_ip_id: true,
        ..REJECTED
    };
    error.answer(&mut elsewhere, 1, &unseen);
    let (time, bytes) = elsewhere[0].pop().unwrap();
    captures[0].push((START_NS - MILLISECOND, bytes.clone()));
    let findings_early = findings(&mut captures);
    assert_eq!(only_icmp(&findings_early, 50).answered, 0, "it came before");

    captures[0].push((time, bytes));
    let icmp = findings(&mut captures);
    let icmp = only_icmp(&icmp, 50);
    assert_eq!((icmp.count, icmp.answered), (2, 1));
}

#[test]
fn trap_24_what_a_destination_says_in_8_bytes_is_about_what_arrived() {
    let mut packets: Vec<Sent> = lost(50, 12, 2);
    packets[0].reaches = 1;
    let mut captures = scene(2, &packets);
    let unreachable = Error {
        by: [10, 77, 2, 2],
        kind: (3, 2),
        quote: Quote::Eight,
        without_ip_id: true,
    };
    for arrived in &packets[1..5] {
        unreachable.answer(&mut captures, 2, arrived);
    }
    let findings = findings(&mut captures);
    let icmp = only_icmp(&findings, 50);
    assert_eq!((icmp.count, icmp.answered), (4, 0));
    assert_ne!(number(&findings, 50).grade, Grade::Certain);
}

#[test]
fn trap_24_the_control_is_not_answered_for_the_bare_number() {
    let mut captures = scene(2, &lost(17, 3, 1));
    let sent = lost(17, 3, 1);
    for packet in &sent {
        let (client, server): (IpAddr, IpAddr) = ([10, 77, 1, 2].into(), [10, 77, 2, 2].into());
        // The same timestamp in UDP, refused for its port.
        let mut control = Packet::new(client, server, 17, packet.key().0);
        control.payload = b"payload".to_vec();
        let ip = Ip::new(server, client, 1);
        let error = icmp_error(&ip, 3, 3, &control.to_udp(), Quote::Whole);
        captures[0].push((START_NS + packet.at_ns + MILLISECOND, error));
    }
    let findings = findings(&mut captures);
    let bare = number(&findings, 17);
    assert!(bare.icmp.is_empty());
    assert!(
        !bare
            .reasons
            .iter()
            .any(|reason| reason.to_string().contains("answered"))
    );
}

#[test]
fn trap_24_a_quote_tells_who_refused_why_and_how_the_packet_looked_there() {
    for quote in [Quote::Padded, Quote::Whole] {
        let packets = lost(50, 3, 1);
        let mut captures = scene(2, &packets);
        for packet in &packets {
            let error = Error { quote, ..REJECTED };
            error.answer(&mut captures, 1, packet);
        }
        let findings = findings(&mut captures);
        let icmp = only_icmp(&findings, 50);
        assert_eq!(icmp.rtt_ns.unwrap().min, THERE_AND_BACK);
        assert_eq!((icmp.quoted.ttl, icmp.quoted.hops), (Some(63), Some(1)));
        assert_eq!(icmp.quoted.source.as_deref(), Some("10.77.1.2"));
        assert_eq!(icmp.quoted.dscp, Some(0));
        assert_eq!(
            number(&findings, 50).reasons[0].to_string(),
            "10.77.1.1 answered ICMP 3/13 (administratively prohibited) to 3 of 3 lost"
        );
        assert_eq!(number(&findings, 50).grade, Grade::Certain);
        let text = table(&findings);
        let refused = "10.77.1.1 under 50 ESP (came there from 10.77.1.2 with TTL 63, lower by 1; \
                       answers 7 ms after p0's packets)";
        assert!(text.contains(refused), "{text}");
    }
}

#[test]
fn trap_24_a_short_quote_of_what_was_sent_to_expire_tells_by_its_ip_id() {
    for (without_ip_id, kind, expired) in
        [(false, (11, 0), 3), (true, (11, 0), 0), (false, (3, 13), 0)]
    {
        let packets = lost(50, 6, 1);
        let mut captures = scene(2, &packets);
        for (_, bytes) in &mut captures[0] {
            if bytes[9] == 50 {
                bytes[8] = 3;
            }
        }
        let error = Error {
            kind,
            quote: Quote::Eight,
            without_ip_id,
            ..REJECTED
        };
        for answered in [1, 2, 4] {
            error.answer(&mut captures, 1, &packets[answered]);
        }
        let findings = findings(&mut captures);
        let found = number(&findings, 50);
        assert_eq!(
            (found.expired, found.lost),
            (expired, 6 - expired),
            "{kind:?}"
        );
    }
}

#[test]
fn trap_24_a_parameter_problem_answers_over_ipv6() {
    let packets = lost(200, 2, 1);
    let mut captures = scene(2, &packets);
    let [client, router, server] =
        ["fd77:1::2", "fd77:1::1", "fd77:2::2"].map(|address| address.parse().unwrap());
    for (_, bytes) in captures.iter_mut().flatten() {
        if let Ok((header, payload)) = hdp::hdp::Header::parse(&bytes[20..]) {
            let mut packet = Packet::new(client, server, bytes[9], header.timestamp_ns);
            packet.ip.ttl = bytes[8];
            packet.payload = payload.to_vec();
            *bytes = packet.to_ip();
        }
    }
    let mut errors = Vec::new();
    for (quote, packet) in [Quote::Eight, Quote::Whole].into_iter().zip(&packets) {
        let mut quoted = Packet::new(client, server, 200, packet.key().0);
        quoted.ip.ttl = 63;
        let time = START_NS + packet.at_ns + THERE_AND_BACK;
        let error = icmp_error(&Ip::new(router, client, 58), 4, 1, &quoted.to_ip(), quote);
        errors.push((time, error));
    }
    captures[0].extend(errors);
    let findings = findings(&mut captures);
    let icmp = only_icmp(&findings, 200);
    assert_eq!((icmp.count, icmp.answered), (2, 2));
    assert_eq!(icmp.meaning, "unrecognized next header");
    assert_eq!(icmp.quoted.hops, Some(1));
}

#[test]
fn trap_24_an_error_seen_behind_the_loss_says_that_the_packet_came_there() {
    let packets = lost(50, 3, 1);
    let mut captures = scene(2, &packets);
    for packet in &packets {
        REJECTED.answer(&mut captures, 1, packet);
    }
    let before = findings(&mut captures);
    assert!(!reasons(&before, 50).contains("came that far"));
    let mut captures = scene(2, &packets);
    for packet in &packets {
        REJECTED.answer(&mut captures, 2, packet);
    }
    let behind = findings(&mut captures);
    assert!(
        reasons(&behind, 50).contains("p1 saw the errors about 3 packets: they came that far"),
        "{}",
        reasons(&behind, 50)
    );
}

#[test]
fn trap_24_both_sides_of_a_host_know_of_an_error_and_one_of_them_saw_it() {
    let packets = lost(50, 3, 2);
    let mut captures = scene(3, &packets);
    for packet in &packets {
        REJECTED.answer(&mut captures, 2, packet);
    }
    // What came in and what went out, by two interfaces of one host.
    let [client, inside, outside] = [0, 1, 2].map(|point| capture(&captures[point]));
    let host = inside.mixed_with(&outside);
    let findings = findings_of_captures(&[("p0", &client), ("p1", &host)]);
    assert_eq!(findings.points[2].name, "p1 (out)");
    let icmp = only_icmp(&findings, 50);
    assert_eq!((icmp.count, icmp.answered), (3, 3));
    assert_eq!(icmp.seen_at, ["p0", "p1 (in)"]);
    assert!(!reasons(&findings, 50).contains("came that far"));
}

// --- 29. One probe lost is not a blocked number --------------------------------------------------

#[test]
fn trap_29_so_many_more_packets_make_it_certain_and_one_less_does_not() {
    let judged_with = |more: i64| {
        let mut all: Vec<Sent> = (60..100).flat_map(|p| lost(p, 3, 2)).collect();
        all.extend(lost(50, 1 + more, 1));
        findings(&mut scene(2, &all))
    };
    let once = judged_with(0);
    let p = number(&once, 50);
    assert_eq!((p.verdict, p.grade), (Verdict::Blocked, Grade::Weak));
    let more = p.more_packets.unwrap();
    let text = table(&once);
    let command = format!("hdp send 10.77.2.2 --protocols 50 --count {more}\n");
    assert_eq!(text.matches(&command).count(), 1, "{text}");

    let more = i64::try_from(more).unwrap();
    assert!(more > 0);
    assert_ne!(number(&judged_with(more - 1), 50).grade, Grade::Certain);
    let enough = judged_with(more);
    let p = number(&enough, 50);
    assert_eq!((p.grade, p.more_packets), (Grade::Certain, None));
    assert!(!table(&enough).contains("hdp send"));
}

#[test]
fn trap_29_losses_like_the_others_ask_for_no_more_packets() {
    let third = |protocol: u8| -> Vec<Sent> {
        let mut packets = lost(protocol, 9, 2);
        for packet in packets.iter_mut().step_by(3) {
            packet.reaches = 1;
        }
        packets
    };
    let all: Vec<Sent> = (60..80).flat_map(third).collect();
    let findings = findings(&mut scene(2, &all));
    let p = number(&findings, 60);
    assert_eq!((p.verdict, p.grade), (Verdict::Lossy, Grade::Weak));
    let more = p.more_packets;
    assert!(more.is_none_or(|more| more > 50), "{more:?}");
}

#[test]
fn trap_29_one_arrival_asks_for_another() {
    let findings = findings(&mut scene(2, &lost(50, 1, 2)));
    let p = number(&findings, 50);
    assert_eq!((p.grade, p.more_packets), (Grade::Weak, Some(1)));
}

// --- 30. Lost packets take for ever --------------------------------------------------------------

#[test]
fn trap_30_quantiles_over_all_packets_are_infinite_where_lost_ones_are() {
    let mut packets = lost(50, 10, 2);
    let whole = findings(&mut scene(2, &packets));
    let delay = number(&whole, 50).delay_ns.unwrap();
    assert_eq!(delay.with_lost.p50, Some(delay.p50));
    assert_eq!(delay.with_lost.p99, Some(delay.p99));

    packets[9].reaches = 1;
    let one_lost = findings(&mut scene(2, &packets));
    let delay = number(&one_lost, 50).delay_ns.unwrap();
    assert!(delay.with_lost.p50.is_some());
    assert_eq!(delay.with_lost.p90, Some(delay.max), "the 9th of 10");
    assert_eq!(delay.with_lost.p99, None);
    assert!(table(&one_lost).contains("the 99th percentile under 50 ESP is infinite"));

    for packet in &mut packets[4..] {
        packet.reaches = 1;
    }
    let most_lost = findings(&mut scene(2, &packets));
    let delay = number(&most_lost, 50).delay_ns.unwrap();
    assert_eq!(delay.with_lost.p50, None);
}

#[test]
fn trap_30_runs_of_losses_end_where_a_packet_came_through() {
    let runs = |picture: &str, is_reply: bool, points: usize| {
        let mut packets = lost(50, i64::try_from(picture.len()).unwrap(), points);
        for (packet, came) in packets.iter_mut().zip(picture.chars()) {
            packet.is_reply = is_reply;
            packet.reaches = if came == '1' { points } else { 1 };
        }
        // Other numbers' packets in between, and other numbers' losses.
        packets.extend(lost(60, 8, points));
        packets.extend(lost(61, 8, 1));
        let findings = findings(&mut scene(points, &packets));
        let direction = findings.directions.iter().find(|direction| {
            let mut numbers = direction.protocols.iter();
            numbers.any(|p| p.protocol == 50)
        });
        let mut numbers = direction.unwrap().protocols.iter();
        let p = numbers.find(|p| p.protocol == 50).unwrap();
        p.loss_runs.map(|runs| (runs.count, runs.longest))
    };
    for points in [2, 3] {
        for is_reply in [false, true] {
            for (picture, expected) in [
                ("1111", None),
                ("0111", Some((1, 1))),
                ("0101010", Some((4, 1))),
                ("0011000", Some((2, 3))),
                ("1000011", Some((1, 4))),
                ("00000", Some((1, 5))),
            ] {
                if is_reply && !picture.contains('1') {
                    // Nothing shows how the clocks relate that way.
                    continue;
                }
                let found = runs(picture, is_reply, points);
                assert_eq!(found, expected, "{picture} {is_reply} {points}");
            }
        }
    }
}

#[test]
fn trap_30_runs_of_losses_are_the_same_surveyed_in_halves_and_while_reading() {
    // So many that two threads survey them, with losses where the halves meet.
    const PACKETS: i64 = 100_400;
    let packets: Vec<Sent> = (0..PACKETS)
        .map(|n| {
            let meets = (n - PACKETS / 2).abs() < 300 && n % 7 < 3;
            sent(n * 3_000, 50, if meets || n % 1000 == 5 { 1 } else { 2 })
        })
        .collect();
    let captures = scene(2, &packets);
    let runs = |findings: Findings| number(&findings, 50).loss_runs.unwrap();
    let in_halves = runs(judged(&captures).0);
    let while_reading = scene_findings(&captures, &Options::default());
    assert_eq!(in_halves, runs(while_reading));
    let mut expected = (0, 0);
    let mut run = 0;
    for packet in &packets {
        run = if packet.reaches == 1 { run + 1 } else { 0 };
        expected.0 += u64::from(run == 1);
        expected.1 = expected.1.max(run);
    }
    assert_eq!((in_halves.count, in_halves.longest), expected);
}

#[test]
fn trap_30_a_run_of_losses_is_one_of_its_flow() {
    let findings = spread_findings(|n| n % 3 == 1, 3);
    let runs = number(&findings, 50).loss_runs.unwrap();
    assert_eq!(
        (runs.count, runs.longest),
        (1, 4),
        "the others are other flows"
    );
}

#[test]
fn trap_30_copies_and_packets_with_copies_are_two_figures() {
    let packets = lost(50, 4, 2);
    let mut captures = scene(2, &packets);
    let none = findings(&mut captures);
    let copies = |findings: &Findings| {
        let copies = number(findings, 50).duplication.unwrap();
        (copies.fraction, copies.replicated)
    };
    assert_eq!(copies(&none), (0.0, 0.0));
    assert!(!table(&none).contains("Duplicates"));
    let (time, bytes) = frame_of(&captures[1], &packets[0]);
    for later in 1..=3 {
        captures[1].push((time + later * MILLISECOND, bytes.clone()));
    }
    let thrice = findings(&mut captures);
    assert_eq!(copies(&thrice), (0.75, 0.25));
    let nothing = findings(&mut scene(2, &lost(50, 4, 1)));
    assert_eq!(number(&nothing, 50).duplication, None);
}

// --- 31. This number or this flow ----------------------------------------------------------------

/// Gives the packets of a number one of several destination ports in turn.
fn spread(captures: &mut [Vec<Captured>], packets: &[Sent], ports: u16) {
    for (n, packet) in (0..).zip(packets) {
        let timestamp = packet.key().0.to_be_bytes();
        for (_, bytes) in captures.iter_mut().flatten() {
            if bytes.get(24..32) == Some(&timestamp) {
                let port: u16 = 1000 + n % ports;
                bytes[22..24].copy_from_slice(&port.to_be_bytes());
            }
        }
    }
}

fn spread_findings(lost_if: impl Fn(usize) -> bool, ports: u16) -> Findings {
    let mut packets = lost(50, 12, 2);
    for (n, packet) in packets.iter_mut().enumerate() {
        packet.reaches = if lost_if(n) { 1 } else { 2 };
    }
    let mut captures = scene(2, &packets);
    spread(&mut captures, &packets, ports);
    findings(&mut captures)
}

#[test]
fn trap_31_a_number_that_is_lost_under_all_ports_is_no_flow() {
    for findings in [
        spread_findings(|_| true, 3),
        spread_findings(|n| n < 6, 3),
        spread_findings(|n| n == 5, 12),
        spread_findings(|n| n % 3 == 0, 1),
    ] {
        assert!(!reasons(&findings, 50).contains("the flow, not the number"));
    }
    assert!(
        number(&spread_findings(|n| n % 3 == 0, 1), 50)
            .flows
            .is_empty()
    );
}

#[test]
fn trap_31_a_number_that_is_lost_under_some_ports_only_is_a_flow() {
    let findings = spread_findings(|n| n % 3 == 1, 3);
    let p = number(&findings, 50);
    assert_eq!(p.verdict, Verdict::Lossy);
    let flows: Vec<_> = p
        .flows
        .iter()
        .map(|pair| (pair.srcport, pair.dstport, pair.lost, pair.packets))
        .collect();
    assert_eq!(
        flows,
        [(420, 1000, 0, 4), (420, 1001, 4, 4), (420, 1002, 0, 4)]
    );
    assert!(
        p.reasons.iter().any(|reason| reason.to_string()
            == "the flow, not the number: all 4 lost under the ports 420 → 1001, 0 of 8 under \
                420 → 1000, 420 → 1002"),
        "{:?}",
        p.reasons
    );
    assert!(table(&findings).contains("the flow, not the number"));
}

// --- Translation and changes ---------------------------------------------------------------------

/// Gives all packets but those of some numbers another source from the second point on.
fn translate(captures: &mut [Vec<Captured>], source: [u8; 4], but: &[u8]) {
    for (_, bytes) in captures[1..].iter_mut().flatten() {
        if bytes[12..16] == [10, 77, 1, 2] && !but.contains(&bytes[9]) {
            bytes[12..16].copy_from_slice(&source);
        }
    }
}

#[test]
fn an_untranslated_private_source_that_is_lost_behind_the_translator_is_named() {
    let packets = || [lost(50, 3, 2), lost(51, 3, 2), lost(60, 3, 3)].concat();
    let mut captures = scene(3, &packets());
    let plain = findings(&mut captures);
    let segments = &plain.directions[0].segments;
    assert!(segments.iter().all(|segment| segment.translation.is_none()));

    translate(&mut captures, [203, 0, 113, 7], &[50, 1]);
    let findings = findings(&mut captures);
    let segments = &findings.directions[0].segments;
    let translation = segments[0].translation.as_ref().unwrap();
    assert!(segments[1].translation.is_none());
    assert_eq!(translation.translated, [51, 60, 253]);
    assert_eq!(translation.untranslated, [50]);
    assert_eq!(translation.untranslated_sources, ["10.77.1.2"]);
    assert!(translation.left_private);
    assert!(!reasons(&findings, 51).contains("untranslated"));
    assert_eq!(
        number(&findings, 50).reasons[0].to_string(),
        "came to p1 with its private source untranslated, which the Internet drops"
    );
    assert!(table(&findings).contains(
        "untranslated under 50 ESP: a private source left the translator, which the Internet will \
         drop"
    ));
}

#[test]
fn an_untranslated_public_source_is_not_said_to_be_dropped() {
    let mut captures = scene(3, &[lost(50, 3, 2), lost(60, 3, 3)].concat());
    for (_, bytes) in captures.iter_mut().flatten() {
        if bytes[12..16] == [10, 77, 1, 2] {
            bytes[12..16].copy_from_slice(&[198, 51, 100, 2]);
        }
    }
    for (_, bytes) in captures[1..].iter_mut().flatten() {
        if bytes[9] != 50 {
            bytes[12..16].copy_from_slice(&[203, 0, 113, 7]);
        }
    }
    let findings = findings(&mut captures);
    let segment = &findings.directions[0].segments[0];
    let translation = segment.translation.as_ref().unwrap();
    assert_eq!(translation.untranslated, [50]);
    assert!(!translation.left_private);
    assert!(!table(&findings).contains("private"));
    assert!(!reasons(&findings, 50).contains("private"));
}

#[test]
fn a_bleached_class_is_said_in_words_and_how_many_packets_lost_it() {
    let packets = lost(60, 4, 2);
    let mut captures = scene(2, &packets);
    for (_, bytes) in captures.iter_mut().flatten() {
        bytes[1] = 46 << 2;
    }
    let marked = findings(&mut captures);
    assert!(!table(&marked).contains("DSCP"));
    let timestamp = packets[1].key().0.to_be_bytes();
    for (_, bytes) in &mut captures[1] {
        if bytes.get(24..32) == Some(&timestamp) {
            bytes[1] = 0;
        }
    }
    let text = table(&findings(&mut captures));
    assert!(
        text.contains("DSCP 46 → 0 under 60 IPv6-Opts (1 of 4 packets)"),
        "{text}"
    );
    assert!(text.contains("DSCP under 60 IPv6-Opts: bleached"), "{text}");
}

#[test]
fn a_port_where_icmp_keeps_its_checksum_is_explained_and_one_under_253_is_not() {
    let mut captures = scene(2, &lost(1, 3, 2));
    let ports = |findings: &Findings, of| {
        let changes = number(findings, of).changes.iter();
        let mut ports = changes.filter(|change| change.field == "destination_port");
        ports.next().unwrap().cause.map(|cause| cause.to_string())
    };
    for (_, bytes) in &mut captures[1] {
        // Not the echo requests.
        if bytes[20..22] == [1, 164] {
            bytes[22..24].copy_from_slice(&7_u16.to_be_bytes());
        }
    }
    let findings = findings(&mut captures);
    assert_eq!(ports(&findings, 253), None);
    let explained = ports(&findings, 1).unwrap();
    assert!(
        explained.contains("where ICMP keeps its checksum"),
        "{explained}"
    );
    assert!(table(&findings).contains(&explained));
}

#[test]
fn bytes_inside_the_timestamp_are_explained_where_the_number_has_a_checksum_there() {
    let rewritten = |protocol: u8, at: std::ops::Range<usize>| {
        let mut packets = lost(protocol, 5, 2);
        for (n, packet) in (0..).zip(&mut packets) {
            packet.payload = vec![n; 7];
        }
        let mut captures = scene(2, &packets);
        for packet in &packets {
            let timestamp = packet.key().0.to_be_bytes();
            for (_, bytes) in &mut captures[1] {
                if bytes.get(24..32) == Some(&timestamp) && bytes[9] == protocol {
                    bytes[20..][at.clone()]
                        .iter_mut()
                        .for_each(|byte| *byte ^= 1);
                }
            }
        }
        let findings = findings(&mut captures);
        let p = number(&findings, protocol.into());
        assert_eq!((p.delivered, p.altered, p.lost), (5, 5, 0), "{protocol}");
        let mut changes = p.changes.iter();
        let change = changes.find(|change| change.field == "timestamp").unwrap();
        assert_eq!((change.from.as_str(), change.count), ("as sent", 5));
        (
            change.to.clone(),
            change.cause.map(|cause| cause.to_string()),
            table(&findings),
        )
    };
    // SCTP's checksum is longer than what was written here, but not what UDP keeps.
    let (to, explanation, _) = rewritten(132, 9..10);
    assert_eq!(to, "byte 9 altered");
    assert!(explanation.unwrap().contains("SCTP"));
    for (protocol, at, to, keeper) in [
        (17, 6..8, "bytes 6-7 altered", "UDP keeps its checksum"),
        (132, 8..12, "bytes 8-11 altered", "SCTP keeps its checksum"),
    ] {
        let (found, explanation, text) = rewritten(protocol, at);
        assert_eq!(found, to);
        let explanation = explanation.unwrap();
        assert!(explanation.contains(keeper), "{explanation}");
        assert!(text.contains(&explanation), "{text}");
    }
}
