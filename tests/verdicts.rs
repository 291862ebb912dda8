//! What looks like a loss and is none, what looks like one packet and is two: each beside the case
//! that it is mistaken for.

use std::time::Duration;

use hdp::{
    findings::{Carrier, Fate, Findings, Grade, Protocol, Verdict},
    path::Options,
};

use crate::support::{
    frames::Packet,
    scene::{Captured, MILLISECOND, START_NS, Scene, Sent, findings as findings_with, judged},
};

const SECOND: i64 = 1_000 * MILLISECOND;

/// A packet sent `at` after the start, that reaches as many points as the picture has ones.
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

/// A path of so many points, twenty packets under 253 that arrive, and these.
fn scene(points: usize, packets: &[Sent]) -> Scene {
    let mut all: Vec<Sent> = (0..20)
        .map(|n| sent(n * 20 * MILLISECOND, 253, points))
        .collect();
    all.extend_from_slice(packets);
    Scene {
        clocks_ns: vec![0; points],
        packets: all,
        length_ns: 400 * MILLISECOND,
    }
}

fn findings(captures: &[Vec<Captured>]) -> Findings {
    judged(captures).0
}

fn number(findings: &Findings, number: u16) -> &Protocol {
    let mut all = findings.directions[0].protocols.iter();
    all.find(|p| p.protocol == number && p.carrier == Carrier::Ip)
        .expect("the number was seen")
}

/// Changes all frames at a point that hold this packet.
fn edit(frames: &mut [Captured], sent: &Sent, mut change: impl FnMut(&mut i64, &mut Vec<u8>)) {
    let timestamp = sent.key().0.to_be_bytes();
    let mut found = false;
    for (time, bytes) in frames {
        if bytes.get(24..32) == Some(&timestamp) {
            change(time, bytes);
            found = true;
        }
    }
    assert!(found, "no such packet at this point");
}

/// Adds a changed copy of the frames that hold this packet.
fn copy(frames: &mut Vec<Captured>, sent: &Sent, change: impl FnMut(&mut i64, &mut Vec<u8>)) {
    let timestamp = sent.key().0.to_be_bytes();
    let mut copies: Vec<Captured> = frames
        .iter()
        .filter(|(_, bytes)| bytes.get(24..32) == Some(&timestamp))
        .cloned()
        .collect();
    edit(&mut copies, sent, change);
    frames.extend(copies);
    frames.sort_by_key(|(time, _)| *time);
}

#[test]
fn a_packet_missed_in_the_middle_is_delivered_and_the_point_says_so() {
    let missed = sent(5 * MILLISECOND, 50, 3);
    let mut captures = scene(3, std::slice::from_ref(&missed)).frames();
    captures[1].retain(|(_, bytes)| bytes.get(24..32) != Some(&missed.key().0.to_be_bytes()));
    let findings = findings(&captures);
    assert_eq!(number(&findings, 50).verdict, Verdict::Passes);
    assert_eq!(number(&findings, 50).seen, [1, 0, 1]);
    assert_eq!(findings.points[1].missed, 1);
    assert_eq!(
        (findings.points[0].missed, findings.points[2].missed),
        (0, 0)
    );
}

#[test]
fn a_loss_behind_a_blind_point_lies_between_the_points_that_were_watching() {
    let lost: Vec<Sent> = (0..3)
        .map(|n| sent((200 + n) * MILLISECOND, 50, 1))
        .collect();
    let mut captures = scene(3, &lost).frames();
    assert_eq!(number(&findings(&captures), 50).lost_at[0].to, "p1");
    // The middle point stops early.
    captures[1].retain(|(time, _)| *time < START_NS + 100 * MILLISECOND);
    let findings = findings(&captures);
    let lost_at = &number(&findings, 50).lost_at;
    assert_eq!(
        (
            lost_at.len(),
            lost_at[0].from.as_str(),
            lost_at[0].to.as_str()
        ),
        (1, "p0", "p2")
    );
    assert_eq!(number(&findings, 50).verdict, Verdict::Blocked);
    assert!(
        findings.directions[0]
            .segments
            .iter()
            .all(|segment| segment.lost == 0)
    );
}

#[test]
fn a_capture_without_frames_makes_everything_inconclusive() {
    let mut captures = scene(2, &[]).frames();
    captures[1].clear();
    let findings = findings(&captures);
    assert_eq!(number(&findings, 253).verdict, Verdict::Inconclusive);
    assert_eq!(number(&findings, 253).edge, 20);
    assert!(
        number(&findings, 253).reasons[0]
            .to_string()
            .contains("the clocks of p0 and p1 cannot be compared")
    );
}

#[test]
fn without_a_packet_in_common_a_loss_is_one_only_if_the_clocks_agree() {
    let mut captures = scene(2, &[]).frames();
    captures[1].retain(|(_, bytes)| bytes[9] == 1);
    let judged_with = |captures: &[Vec<Captured>], clock_error| {
        let options = Options {
            clock_error,
            ..Options::default()
        };
        findings_with(captures, &options)
    };
    let second = Some(Duration::from_secs(1));
    // Half a second on both sides is less than the clocks may be off.
    let short = judged_with(&captures, second);
    assert_eq!(number(&short, 253).verdict, Verdict::Inconclusive);
    let echo = captures[1][0].1.clone();
    for tick in (-200..300).filter(|tick| !(-50..90).contains(tick)) {
        captures[1].push((START_NS + tick * 10 * MILLISECOND, echo.clone()));
    }
    let unrelated = judged_with(&captures, None);
    assert_eq!(number(&unrelated, 253).verdict, Verdict::Blocked);
    assert_eq!(number(&unrelated, 253).grade, Grade::Weak);
    assert!(number(&unrelated, 253).assumes.is_some());
    let warned = |findings: &Findings, words: &str| {
        let mut warnings = findings.warnings.iter();
        warnings.any(|warning| warning.to_string().contains(words))
    };
    assert!(warned(&unrelated, "--clock-error"));
    let vouched = judged_with(&captures, second);
    assert_eq!(number(&vouched, 253).assumes, None);
    assert_eq!(number(&vouched, 253).verdict, Verdict::Blocked);
    assert_eq!(number(&vouched, 253).grade, Grade::Weak);
    assert!(warned(&vouched, "clocks cannot be compared"));
}

#[test]
fn late_is_not_lost() {
    let slow = sent(5 * MILLISECOND, 50, 2);
    let mut captures = scene(2, std::slice::from_ref(&slow)).frames();
    edit(&mut captures[1], &slow, |time, _| *time += 50 * SECOND);
    assert_eq!(number(&findings(&captures), 50).verdict, Verdict::Passes);
    edit(&mut captures[1], &slow, |time, _| *time += 2 * SECOND);
    let findings = findings(&captures);
    assert_eq!(
        (number(&findings, 50).late, number(&findings, 50).lost),
        (1, 0)
    );
    assert_eq!(number(&findings, 50).verdict, Verdict::Inconclusive);
}

#[test]
fn a_coarse_clock_gives_many_numbers_one_timestamp() {
    let at = 5 * MILLISECOND;
    let same = [sent(at, 50, 1), sent(at, 51, 2), sent(at, 132, 2)];
    let (findings, fates) = judged(&scene(2, &same).frames());
    assert_eq!(number(&findings, 51).verdict, Verdict::Passes);
    assert_eq!(number(&findings, 132).verdict, Verdict::Passes);
    assert_eq!(fates[&same[0].key()][0].0, Fate::Lost);
}

#[test]
fn the_same_bytes_sent_twice_are_two_packets_by_their_ip_ids() {
    let at = 5 * MILLISECOND;
    let twice = [sent(at, 50, 2), sent(at, 50, 2)];
    let both = findings(&scene(2, &twice).frames());
    assert_eq!(
        (number(&both, 50).packets, number(&both, 50).delivered),
        (2, 2)
    );
    assert_eq!(number(&both, 50).duplicates, 0);

    // One of them lost: which one cannot be told.
    let one = [sent(at, 50, 2), sent(at, 50, 1)];
    let one_arrived = findings(&scene(2, &one).frames());
    let p = number(&one_arrived, 50);
    assert_eq!((p.packets, p.delivered, p.ambiguous, p.lost), (2, 1, 1, 0));

    // Both lost: no doubt.
    let none = [sent(at, 50, 1), sent(at, 50, 1)];
    let p = findings(&scene(2, &none).frames());
    assert_eq!((number(&p, 50).packets, number(&p, 50).lost), (2, 2));
}

#[test]
fn copies_at_the_first_point_are_no_losses_at_the_last() {
    let mirrored = sent(5 * MILLISECOND, 50, 2);
    let mut captures = scene(2, std::slice::from_ref(&mirrored)).frames();
    copy(&mut captures[0], &mirrored, |time, _| *time += 3_000);
    let p = findings(&captures);
    assert_eq!((number(&p, 50).packets, number(&p, 50).delivered), (1, 1));
    assert_eq!(number(&p, 50).duplicates, 0);
    copy(&mut captures[1], &mirrored, |time, _| *time += MILLISECOND);
    assert_eq!(number(&findings(&captures), 50).duplicates, 1);
}

#[test]
fn a_forwarding_host_shows_a_packet_twice_and_neither_is_a_duplicate() {
    let through: Vec<Sent> = (0..5).map(|n| sent((5 + n) * MILLISECOND, 50, 2)).collect();
    let mut captures = scene(2, &through).frames();
    for packet in &through {
        copy(&mut captures[1], packet, |time, bytes| {
            *time += 9_000;
            bytes[8] -= 1;
        });
    }
    let findings = findings(&captures);
    assert_eq!(
        (
            number(&findings, 50).packets,
            number(&findings, 50).duplicates
        ),
        (5, 0)
    );
    assert_eq!(findings.points[1].hdp, 30);
}

#[test]
fn an_echo_of_the_same_bytes_goes_the_other_way() {
    let echoed = sent(5 * MILLISECOND, 50, 2);
    let mut captures = scene(2, std::slice::from_ref(&echoed)).frames();
    for (point, later) in [(1, MILLISECOND), (0, 3 * MILLISECOND)] {
        copy(&mut captures[point], &echoed, |time, bytes| {
            *time += later;
            let (source, destination) = ([10, 77, 1, 2], [10, 77, 2, 2]);
            bytes[12..16].copy_from_slice(&destination);
            bytes[16..20].copy_from_slice(&source);
            bytes[8] = if point == 1 { 64 } else { 63 };
        });
    }
    let findings = findings(&captures);
    assert_eq!(findings.directions.len(), 2);
    assert_eq!(number(&findings, 50).delivered, 1);
    let back = &findings.directions[1];
    assert_eq!((back.from.as_str(), back.to.as_str()), ("p1", "p0"));
    assert_eq!(
        (back.protocols[0].protocol, back.protocols[0].delivered),
        (50, 1)
    );
    assert_eq!(back.protocols[0].seen, [1, 1]);
}

#[test]
fn rewritten_ports_and_payload_are_alterations_not_losses() {
    let ports = sent(5 * MILLISECOND, 50, 2);
    let payload = sent(6 * MILLISECOND, 51, 2);
    let mut captures = scene(2, &[ports.clone(), payload.clone()]).frames();
    edit(&mut captures[1], &ports, |_, bytes| {
        bytes[20..22].copy_from_slice(&9_u16.to_be_bytes());
    });
    edit(&mut captures[1], &payload, |_, bytes| bytes[33] ^= 0xff);
    let findings = findings(&captures);
    for (protocol, field) in [(50, "source_port"), (51, "payload")] {
        let p = number(&findings, protocol);
        assert_eq!((p.delivered, p.altered, p.lost), (1, 1, 0), "{protocol}");
        assert!(
            p.changes.iter().any(|change| change.field == field),
            "{:?}",
            p.changes
        );
    }
    assert_eq!(number(&findings, 253).altered, 0);
}

#[test]
fn a_snapshot_length_is_neither_alteration_nor_loss() {
    let long: Vec<Sent> = (0..3)
        .map(|n| Sent {
            payload: vec![7; 60],
            ..sent(n * MILLISECOND + 1, 50, 2)
        })
        .collect();
    let mut captures = scene(2, &long).frames();
    for (_, bytes) in &mut captures[1] {
        bytes.truncate(40);
    }
    let findings = findings(&captures);
    let p = number(&findings, 50);
    assert_eq!((p.delivered, p.altered, p.verdict), (3, 0, Verdict::Passes));
}

#[test]
fn a_payload_shortened_on_the_way_is_a_changed_length() {
    let cut = sent(5 * MILLISECOND, 50, 2);
    let mut captures = scene(2, std::slice::from_ref(&cut)).frames();
    edit(&mut captures[1], &cut, |_, bytes| {
        bytes.truncate(36);
        bytes[2..4].copy_from_slice(&36_u16.to_be_bytes());
    });
    let findings = findings(&captures);
    let p = number(&findings, 50);
    assert_eq!((p.delivered, p.altered), (1, 1));
    let length = p
        .changes
        .iter()
        .find(|change| change.field == "length")
        .unwrap();
    assert_eq!((length.from.as_str(), length.to.as_str()), ("7", "4"));
}

#[test]
fn cut_off_means_none_after_the_first_ones() {
    let packets = |reaches: &[usize], protocol| -> Vec<Sent> {
        let at = (5..).map(|n| n * MILLISECOND);
        at.zip(reaches)
            .map(|(at, &reaches)| sent(at, protocol, reaches))
            .collect()
    };
    let mut all = packets(&[2, 1, 1, 1], 100);
    all.extend(packets(&[2, 1, 2, 1], 101));
    all.extend(packets(&[2, 2, 2, 1], 102));
    all.extend(packets(&[1, 1, 1, 1], 103));
    let findings = findings(&scene(2, &all).frames());
    assert_eq!(number(&findings, 100).verdict, Verdict::CutOff);
    assert_eq!(number(&findings, 101).verdict, Verdict::Lossy);
    assert_eq!(number(&findings, 102).verdict, Verdict::Lossy);
    assert_eq!(number(&findings, 103).verdict, Verdict::Blocked);
}

#[test]
fn many_numbers_cut_off_do_not_excuse_each_other() {
    let judged = |at: fn(i64, i64) -> i64| {
        let mut all = Vec::new();
        for round in 0..12 {
            for protocol in 90..=140_u8 {
                let at = at(i64::from(protocol) - 90, round) * MILLISECOND;
                let passes = round == 0 || !(100..=131).contains(&protocol);
                all.push(sent(at, protocol, if passes { 2 } else { 1 }));
            }
        }
        let findings = findings(&scene(2, &all).frames());
        let p = number(&findings, 100);
        (p.verdict, p.grade)
    };
    let by_rounds = judged(|number, round| 51 * round + number);
    assert_eq!(by_rounds, (Verdict::CutOff, Grade::Certain));
    // All of a number in a row: one bad moment does the same.
    let (verdict, grade) = judged(|number, round| 12 * number + round);
    assert_eq!(verdict, Verdict::CutOff);
    assert_ne!(grade, Grade::Certain);
}

#[test]
fn one_lost_probe_is_not_a_blocked_number() {
    let once: Vec<Sent> = (0..=250_u8)
        .map(|protocol| {
            sent(
                i64::from(protocol) * MILLISECOND + 1,
                protocol,
                if protocol == 50 { 1 } else { 2 },
            )
        })
        .collect();
    let findings = findings(&scene(2, &once).frames());
    let p = number(&findings, 50);
    assert_eq!((p.verdict, p.grade), (Verdict::Blocked, Grade::Weak));
    assert_eq!(
        number(&findings, 51).grade,
        Grade::Weak,
        "one arrival is not a pass for sure"
    );
    assert_eq!(number(&findings, 253).grade, Grade::Certain);
}

#[test]
fn three_lost_of_three_among_hundreds_that_arrived_is_certain() {
    let mut all: Vec<Sent> = Vec::new();
    for round in 0..3 {
        for protocol in 0..=99_u8 {
            let at = (round * 100 + i64::from(protocol)) * MILLISECOND + 1;
            all.push(sent(at, protocol, if protocol == 50 { 1 } else { 2 }));
        }
    }
    let findings = findings(&scene(2, &all).frames());
    assert_eq!(number(&findings, 50).grade, Grade::Certain);
    assert_eq!(number(&findings, 50).lost, 3);
    assert_eq!(findings.directions[0].segments[0].lost, 3);
}

#[test]
fn points_in_the_wrong_order_are_noticed_and_the_answer_is_still_right() {
    let lost: Vec<Sent> = (0..3)
        .map(|n| sent((200 + n) * MILLISECOND, 50, 1))
        .collect();
    let mut captures = scene(2, &lost).frames();
    captures.reverse();
    let findings = findings(&captures);
    assert!(findings.directions[0].protocols.is_empty());
    let back = &findings.directions[1];
    let blocked = back.protocols.iter().find(|p| p.protocol == 50).unwrap();
    assert_eq!(blocked.verdict, Verdict::Blocked);
    assert_eq!(
        (
            blocked.lost_at[0].from.as_str(),
            blocked.lost_at[0].to.as_str()
        ),
        ("p1", "p0")
    );
    assert!(
        findings
            .warnings
            .iter()
            .any(|w| w.to_string().contains("try: hdp path p1=p1 p0=p0"))
    );
}

#[test]
fn a_point_out_of_place_among_three_is_noticed() {
    let lost: Vec<Sent> = (0..3)
        .map(|n| sent((200 + n) * MILLISECOND, 50, 2))
        .collect();
    let mut captures = scene(3, &lost).frames();
    let is_noticed = |captures: &[Vec<Captured>]| {
        findings(captures)
            .warnings
            .iter()
            .any(|w| w.to_string().contains("in path order"))
    };
    assert!(!is_noticed(&captures));
    captures.swap(1, 2);
    assert!(is_noticed(&captures));
}

#[test]
fn the_same_capture_under_two_names_is_noticed() {
    let captures = scene(2, &[]).frames();
    let is_noticed = |captures: &[Vec<Captured>]| {
        findings(captures)
            .warnings
            .iter()
            .any(|w| w.to_string().contains("one capture"))
    };
    assert!(!is_noticed(&captures));
    assert!(is_noticed(&[captures[0].clone(), captures[0].clone()]));
}

#[test]
fn a_lost_extension_header_over_ipv6_names_no_filter() {
    let lost: Vec<Sent> = (0..3)
        .map(|n| sent((200 + n) * MILLISECOND, 60, 1))
        .collect();
    let mut captures = scene(2, &lost).frames();
    let names_extension = |captures: &[Vec<Captured>]| {
        let findings = findings(captures);
        let p = number(&findings, 60);
        assert_eq!(p.verdict, Verdict::Blocked);
        p.reasons
            .iter()
            .any(|reason| reason.to_string().contains("extension header"))
    };
    assert!(!names_extension(&captures), "IPv4 has none");
    let [client, server] = ["fd77:1::2", "fd77:2::2"].map(|address| address.parse().unwrap());
    for (_, bytes) in captures.iter_mut().flatten() {
        if let Ok((header, payload)) = hdp::hdp::Header::parse(&bytes[20..]) {
            let mut packet = Packet::new(client, server, bytes[9], header.timestamp_ns);
            packet.ip.ttl = bytes[8];
            packet.payload = payload.to_vec();
            *bytes = packet.to_ip();
        }
    }
    assert!(names_extension(&captures));
}

#[test]
fn a_packet_overtaken_by_a_later_one_is_reordered() {
    let slow = sent(5 * MILLISECOND, 50, 2);
    let fast = sent(6 * MILLISECOND, 50, 2);
    let other_number = sent(7 * MILLISECOND, 51, 2);
    let mut captures = scene(2, &[slow.clone(), fast, other_number]).frames();
    assert_eq!(number(&findings(&captures), 50).reordered, 0);
    edit(&mut captures[1], &slow, |time, _| *time += 4 * MILLISECOND);
    captures[1].sort_by_key(|(time, _)| *time);
    let findings = findings(&captures);
    assert_eq!(
        (
            number(&findings, 50).reordered,
            number(&findings, 50).delivered
        ),
        (1, 2)
    );
    assert_eq!(number(&findings, 51).reordered, 0);
}

#[test]
fn delays_are_counted_from_the_fastest_of_all_numbers() {
    let slow: Vec<Sent> = (0..3)
        .map(|n| {
            let mut packet = sent((5 + n) * MILLISECOND, 50, 2);
            packet.delays_ns[1] += 2 * MILLISECOND;
            packet
        })
        .collect();
    let mut scene = scene(2, &slow);
    scene.clocks_ns[1] = -3_600 * SECOND;
    let findings = findings(&scene.frames());
    assert_eq!(number(&findings, 253).delay_ns.unwrap().max, 0);
    let delay = number(&findings, 50).delay_ns.unwrap();
    assert_eq!(
        (delay.min, delay.p50, delay.max),
        (2_000_000, 2_000_000, 2_000_000)
    );
}

#[test]
fn the_control_is_a_carrier_of_its_own() {
    let mut captures = scene(2, &[]).frames();
    for n in 0..3_i64 {
        let timestamp = (START_NS + (100 + n) * MILLISECOND).cast_unsigned();
        let mut control = Packet::new([10, 77, 1, 2].into(), [10, 77, 2, 2].into(), 17, timestamp);
        let bare = control.to_ip();
        control.timestamp_ns += 1;
        let time = START_NS + (100 + n) * MILLISECOND + 5_000;
        captures[0].extend([(time, control.to_udp()), (time, bare)]);
        control.ip.ttl -= 1;
        captures[1].push((time + MILLISECOND, control.to_udp()));
    }
    for frames in &mut captures {
        frames.sort_by_key(|(time, _)| *time);
    }
    let findings = findings(&captures);
    let of_17: Vec<_> = findings.directions[0]
        .protocols
        .iter()
        .filter(|p| p.protocol == 17)
        .collect();
    assert_eq!(
        (of_17[0].carrier, of_17[0].verdict),
        (Carrier::Ip, Verdict::Blocked)
    );
    assert_eq!(
        (of_17[1].carrier, of_17[1].verdict),
        (Carrier::Udp, Verdict::Passes)
    );
}
