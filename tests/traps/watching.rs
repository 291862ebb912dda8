//! Absence is not loss: what a capture lacks because it was not running, had no room, looked
//! elsewhere or ended too early, beside what the path lost.

use std::{ffi::OsStr, fs};

use hdp::findings::{Grade, Point, Reason, System, Verdict};

use super::{
    path::{
        SECOND, edit, findings, fixture, holds, judged, judged_with, lost, lost_at, number, point,
        print, recorded, run, scene, sent, without,
    },
    support::{
        capture::{ByteOrder, Capture, Format, OwnedFrame, Packing, Pcapng, Statistics},
        hosts::{self, file, lab_runs, success, text},
        scene::{MILLISECOND, START_NS, Sent},
    },
};

/// Takes everything in a stretch of time, given from the scene's start, out of a capture.
fn stop(capture: &mut Capture, from_ns: i64, to_ns: i64) {
    let stretch = START_NS + from_ns..START_NS + to_ns;
    let frames = &mut capture.frames;
    frames.retain(|frame| !stretch.contains(&frame.time_ns));
}

/// So many packets of a number, one every so many milliseconds from `at_ms` on.
fn row(protocol: u8, reaches: usize, count: i64, (at_ms, step_ms): (i64, i64)) -> Vec<Sent> {
    let at = |n: i64| (at_ms + n * step_ms) * MILLISECOND + i64::from(protocol) * 1_000;
    (0..count).map(|n| sent(at(n), protocol, reaches)).collect()
}

// --- 1. Captures start and stop at different times -----------------------------------------------

#[test]
fn trap_01_what_was_sent_before_a_capture_started_or_after_it_stopped_is_no_loss() {
    let client = recorded("late-start-early-stop", "client.pcap");
    let server = recorded("late-start-early-stop", "server.pcap");
    // A recorded capture of the middle third. The router drops 50 all the time.
    let recorded = findings(&[("client", &client), ("server", &server)]);
    let p = number(&recorded, 0, 53);
    assert_eq!((p.verdict, p.delivered, p.edge), (Verdict::Passes, 4, 8));
    let p = number(&recorded, 0, 50);
    assert_eq!((p.verdict, p.lost, p.edge), (Verdict::Blocked, 4, 8));
    assert_eq!(lost(&recorded), 4);
    // As if it had dropped 53 too.
    let blocked = findings(&[("client", &client), ("server", &without(&server, 53))]);
    let p = number(&blocked, 0, 53);
    assert_eq!((p.verdict, p.lost, p.edge), (Verdict::Blocked, 4, 8));
}

#[test]
fn trap_01_a_guard_band_lies_within_both_ends_of_a_capture() {
    let delay = 1_010_000;
    let lost = sent(500 * MILLISECOND, 50, 1);
    let judged = |from_ns: i64, to_ns: i64| {
        let mut captures = scene(2, 1_000, std::slice::from_ref(&lost));
        stop(&mut captures[1], -SECOND, lost.at_ns + from_ns);
        stop(&mut captures[1], lost.at_ns + to_ns, 2 * SECOND);
        let findings = judged(&captures);
        let p = number(&findings, 0, 50);
        (p.lost, p.edge)
    };
    // It should have come by a millisecond after it was sent: as the capture starts or stops.
    assert_eq!(judged(delay - 10_000, 500 * MILLISECOND), (0, 1));
    assert_eq!(judged(-500 * MILLISECOND, delay + 10_000), (0, 1));
    assert_eq!(judged(-100 * MILLISECOND, 100 * MILLISECOND), (1, 0));
}

#[test]
fn trap_01_two_captures_with_no_time_in_common_judge_nothing() {
    let lost = row(50, 1, 3, (700, 10));
    let mut captures = scene(2, 1_000, &lost);
    let together = judged(&captures);
    assert_eq!(number(&together, 0, 50).verdict, Verdict::Blocked);
    stop(&mut captures[1], 300 * MILLISECOND, 2 * SECOND);
    stop(&mut captures[0], -SECOND, 400 * MILLISECOND);
    let apart = judged(&captures);
    assert_eq!(number(&apart, 0, 50).verdict, Verdict::Inconclusive);
    assert_eq!(super::path::lost(&apart), 0);
}

// --- 2. A capture has gaps -----------------------------------------------------------------------

#[test]
fn trap_02_a_capture_that_was_stopped_for_a_while_lost_nothing_meanwhile() {
    let stretch = (2 * SECOND, 4 * SECOND);
    // Ten numbers all the time; a firewall was told to drop 50 in the same two seconds.
    let numbers = (60..70).flat_map(|protocol| row(protocol, 2, 30, (100, 190)));
    let filtered = row(50, 1, 10, (2_200, 150));
    let around = [row(50, 2, 5, (500, 100)), row(50, 2, 5, (4_500, 100))].concat();
    let packets: Vec<Sent> = numbers.chain(filtered).chain(around).collect();
    let mut captures = scene(2, 6_000, &packets);

    let watching = judged(&captures);
    assert_eq!(lost_at(number(&watching, 0, 50)), [("p0", "p1", 10)]);
    assert_eq!((lost(&watching), gaps(&watching.points)), (10, vec![0, 0]));

    stop(&mut captures[1], stretch.0, stretch.1);
    let stopped = judged(&captures);
    assert_eq!(lost(&stopped), 0);
    let p = number(&stopped, 0, 60);
    assert_eq!((p.verdict, p.packets), (Verdict::Passes, 30));
    assert!(p.edge >= 10, "{}", p.edge);
    assert_eq!(gaps(&stopped.points), [0, 1]);
    let [[from, to]] = stopped.points[1].gaps[..] else {
        unreachable!()
    };
    let (from, to) = (from - START_NS, to - START_NS);
    assert!(from <= stretch.0 && stretch.1 <= to, "{from} to {to}");
}

#[test]
fn trap_02_a_stop_in_a_recording_is_no_loss_and_a_filter_of_all_hdp_is() {
    let client = recorded("ping-pong", "client.pcap");
    let mut stopped = recorded("ping-pong", "server.pcap");
    let mut filtered = stopped.clone();
    let middle = stopped.frames[stopped.frames.len() / 2].time_ns;
    let stretch = middle - SECOND / 2..middle + SECOND / 2;
    let is_then = |frame: &OwnedFrame| stretch.contains(&frame.time_ns);
    // An echo request every 100 ms passes beside 252 to 254.
    let is_hdp = |frame: &OwnedFrame| frame.bytes[14 + 9] >= 252;
    stopped.frames.retain(|frame| !is_then(frame));
    filtered
        .frames
        .retain(|frame| !(is_then(frame) && is_hdp(frame)));
    let findings_of = |server| findings(&[("client", &client), ("server", server)]);
    let of_stopped = findings_of(&stopped);
    assert_eq!(
        (lost(&of_stopped), gaps(&of_stopped.points)),
        (0, vec![0, 1])
    );
    let of_filtered = findings_of(&filtered);
    assert_eq!(gaps(&of_filtered.points), [0, 0]);
    for protocol in 252..=254 {
        let p = number(&of_filtered, 0, protocol);
        assert_eq!(p.verdict, Verdict::Lossy);
        assert!((30..=36).contains(&p.lost), "{}", p.lost);
    }
}

#[test]
fn trap_02_a_range_of_numbers_that_vanishes_for_a_while_beside_other_traffic_is_lost() {
    // What a firewall that is told to for two seconds does to all that is HDP.
    let is_hdp = |frame: &OwnedFrame| frame.bytes[9] != 1;
    let packets: Vec<Sent> = (60..70)
        .flat_map(|protocol| row(protocol, 2, 30, (100, 190)))
        .collect();
    let mut captures = scene(2, 6_000, &packets);
    let stretch = START_NS + 2 * SECOND..START_NS + 4 * SECOND;
    let frames = &mut captures[1].frames;
    frames.retain(|frame| !(is_hdp(frame) && stretch.contains(&frame.time_ns)));
    let findings = judged(&captures);
    assert_eq!(gaps(&findings.points), [0, 0]);
    let p = number(&findings, 0, 60);
    assert_eq!((p.verdict, p.edge), (Verdict::Lossy, 0));
    assert!(p.lost >= 10, "{}", p.lost);
}

#[test]
fn trap_02_where_only_hdp_was_captured_a_silence_of_all_numbers_is_no_loss_of_any() {
    let stretch = START_NS + 2 * SECOND..START_NS + 4 * SECOND;
    let packets: Vec<Sent> = (60..70)
        .flat_map(|protocol| row(protocol, 2, 60, (100, 95)))
        .collect();
    let mut captures = scene(2, 6_000, &packets);
    for capture in &mut captures {
        capture.frames.retain(|frame| frame.bytes[9] != 1);
    }
    let mut silent = captures.clone();
    silent[1]
        .frames
        .retain(|frame| !stretch.contains(&frame.time_ns));
    let findings = judged(&silent);
    assert_eq!((lost(&findings), gaps(&findings.points)), (0, vec![0, 1]));
    // Two of the numbers alone: those are lost.
    let is_one_of_two = |frame: &OwnedFrame| [60, 61].contains(&frame.bytes[9]);
    captures[1]
        .frames
        .retain(|frame| !(is_one_of_two(frame) && stretch.contains(&frame.time_ns)));
    let findings = judged(&captures);
    assert_eq!(gaps(&findings.points), [0, 0]);
    assert_eq!(number(&findings, 0, 60).verdict, Verdict::Lossy);
    assert_eq!(number(&findings, 0, 62).verdict, Verdict::Passes);
}

#[test]
fn trap_02_a_silence_in_which_a_packet_of_those_behind_was_missed_is_a_gap() {
    let lost = sent(515 * MILLISECOND, 50, 1);
    let mut captures = scene(3, 1_000, std::slice::from_ref(&lost));
    for capture in &mut captures {
        capture.frames.retain(|frame| frame.bytes[9] != 1);
    }
    let watching = judged(&captures);
    assert_eq!(lost_at(number(&watching, 0, 50)), [("p0", "p1", 1)]);
    stop(&mut captures[1], 400 * MILLISECOND, 600 * MILLISECOND);
    let stopped = judged(&captures);
    assert_eq!(lost_at(number(&stopped, 0, 50)), [("p0", "p2", 1)]);
    assert_eq!(gaps(&stopped.points), [0, 1, 0]);
}

/// How many gaps each point has.
fn gaps(points: &[Point]) -> Vec<usize> {
    points.iter().map(|point| point.gaps.len()).collect()
}

// --- 3. The capture itself dropped packets -------------------------------------------------------

/// What a pcapng file says of frames that its capture had no room for.
#[derive(Debug, Clone, Copy)]
enum Said {
    /// Nothing.
    Nothing,
    /// How many before the first frame that came this long after the start.
    Where(u64, i64),
    /// How many in all.
    InAll(u64),
}

/// Judges two captures, of which the second tells of drops.
fn judged_where_drops_are(captures: &[Capture], said: Said) -> hdp::findings::Findings {
    let folder = tempfile::tempdir().unwrap();
    captures[0].write(
        &folder.path().join("p0"),
        super::path::PCAPNG,
        Packing::Plain,
    );
    let mut p1 = Pcapng::new(ByteOrder::Little);
    p1.interface(captures[1].interfaces[0]);
    let mut is_told = false;
    for frame in &captures[1].frames {
        let dropped = match said {
            Said::Where(count, at_ns) if !is_told && frame.time_ns >= START_NS + at_ns => {
                is_told = true;
                Some(count)
            }
            _ => None,
        };
        p1.enhanced(frame, dropped);
    }
    if let Said::InAll(count) = said {
        let statistics = Statistics {
            ifdrop: Some(count),
            ..Statistics::default()
        };
        p1.statistics(0, statistics);
    }
    fs::write(folder.path().join("p1"), p1.into_bytes()).unwrap();
    run(folder.path(), &["p0", "p1"], &[])
}

/// A sweep in which one number was lost, all within 30 ms, and what two points captured of it.
fn three_lost_of_fifty() -> Vec<Capture> {
    let arrived = (60..110).flat_map(|protocol| row(protocol, 2, 3, (100, 300)));
    let lost = row(50, 1, 3, (500, 10));
    // Between the losses another number passes: each is one of its own.
    let between = row(111, 2, 3, (495, 10));
    let all = arrived.chain(between).chain(lost);
    scene(2, 1_000, &all.collect::<Vec<_>>())
}

/// `HDP_LAB_RUNS` says how often; of twenty runs one may seem to show a difference (p < 0.01).
#[test]
fn trap_43_the_control_measures_no_order_of_sending() {
    let Some(hosts) = hosts::hosts("control") else {
        return;
    };
    let runs = lab_runs().unwrap_or(1);
    let chances: Vec<f64> = (1..=runs).map(|run| control(&hosts, run + 2)).collect();
    eprintln!("{chances:.3?}");
    // Chance alone goes below that once in ten thousand times.
    assert!(chances.iter().all(|chance| *chance > 1e-4), "{chances:?}");
    let below = chances.iter().filter(|chance| **chance < 0.01).count();
    assert!(below <= runs.div_ceil(20), "{chances:?}");
}

/// The chance that 500 numbers and their controls with nothing in the way are delayed so differently; of
/// half a millisecond more that is found.
fn control(hosts: &hosts::Hosts, seed: usize) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let files = ["client", "server"].map(|name| file(&folder, name));
    let captures = [
        hosts.client.capture("eth0", &files[0]),
        hosts.server.capture("eth0", &files[1]),
    ];
    let pairs = [
        "--protocols",
        "253",
        "--control",
        "--count",
        "500",
        "--interval",
        "2ms",
    ];
    let seed = seed.to_string();
    let fixed = ["send", "10.77.9.2", "--payload", "moo", "--seed", &seed];
    success(&mut hosts.client.hdp(&[&fixed[..], &pairs].concat()));
    for capture in captures {
        capture.interrupt();
    }
    let [client, mut server] = files.each_ref().map(|file| Capture::read(file));
    let against = |server: &Capture| {
        let findings = findings(&[("client", &client), ("server", server)]);
        let p = number(&findings, 0, 253);
        assert_eq!(p.delivered, 500);
        p.against_control.unwrap()
    };
    let innocent = against(&server);
    let of_253: Vec<bool> = server
        .frames
        .iter()
        .map(|frame| super::path::number_in(&server, frame) == Some(253))
        .collect();
    for (frame, _) in server.frames.iter_mut().zip(of_253).filter(|(_, is)| *is) {
        frame.time_ns += 500_000;
    }
    let planted = against(&server);
    assert!(planted.p_value.unwrap() < 1e-3, "{planted:?}");
    let difference = planted.median_difference_ns.unwrap();
    assert!((300_000..700_000).contains(&difference), "{difference}");
    innocent.p_value.unwrap()
}

#[test]
fn trap_42_between_two_sections_nothing_was_recorded() {
    // Nothing but two numbers in turn: their silence tells nothing by itself.
    let passing = row(60, 2, 120, (0, 100));
    let during: Vec<Sent> = (0..8)
        .map(|n| sent((5_020 + n * 100) * MILLISECOND, 50, 1))
        .collect();
    let captures = scene(2, 0, &[passing, during].concat());
    let of_hdp = |capture: &Capture| -> Vec<OwnedFrame> {
        let is_hdp = |frame: &&OwnedFrame| frame.bytes[9] != 1;
        capture.frames.iter().filter(is_hdp).cloned().collect()
    };
    let pause = START_NS + 4_000 * MILLISECOND..START_NS + 8_000 * MILLISECOND;
    let judged = |has_sections: bool| {
        let folder = tempfile::tempdir().unwrap();
        for (name, capture) in ["p0", "p1"].into_iter().zip(&captures) {
            let mut file = Pcapng::new(ByteOrder::Little);
            file.interface(capture.interfaces[0]);
            let mut is_second = false;
            for mut frame in of_hdp(capture) {
                if name == "p1" && pause.contains(&frame.time_ns) {
                    continue;
                }
                if name == "p1" && has_sections && !is_second && frame.time_ns >= pause.end {
                    is_second = true;
                    file.section(ByteOrder::Little);
                    file.interface(capture.interfaces[0]);
                }
                frame.interface = u32::from(is_second);
                file.enhanced(&frame, None);
            }
            fs::write(folder.path().join(name), file.into_bytes()).unwrap();
        }
        run(folder.path(), &["p0", "p1"], &[])
    };
    let one = judged(false);
    assert_eq!(number(&one, 0, 50).verdict, Verdict::Blocked);
    let two = judged(true);
    let p = number(&two, 0, 50);
    assert_eq!((p.verdict, p.edge), (Verdict::Inconclusive, 8));
    assert_eq!(number(&two, 0, 60).lost, 0);
    assert_eq!(two.points[1].gaps.len(), 1);
}

#[test]
fn trap_36_losses_in_one_go_are_one_accident() {
    let arrived = (60..110).flat_map(|protocol| row(protocol, 2, 3, (100, 300)));
    let lost = row(50, 1, 3, (500, 10));
    let captures = scene(2, 1_000, &arrived.chain(lost).collect::<Vec<_>>());
    let findings = judged_where_drops_are(&captures, Said::Nothing);
    let p = number(&findings, 0, 50);
    assert_eq!((p.verdict, p.lost), (Verdict::Blocked, 3));
    assert_ne!(p.grade, Grade::Certain);
    let findings = judged_where_drops_are(&three_lost_of_fifty(), Said::Nothing);
    assert_eq!(number(&findings, 0, 50).grade, Grade::Certain);
}

/// Captures of ten rounds of 51 numbers, a millisecond each, of which 50 is lost; where it stands in each
/// round is given.
fn ten_rounds(places: [i64; 10]) -> Vec<Capture> {
    let rounds = places.iter().zip(0..).flat_map(|(place, round)| {
        let others = (60..110).map(|protocol| (i64::from(protocol - 60), protocol, 2));
        others
            .chain([(place * 5 + 2, 50, 1)])
            .map(move |(slot, protocol, reaches)| {
                let at = (100 + round * 80 + slot) * MILLISECOND;
                sent(at + i64::from(protocol) * 1_000, protocol, reaches)
            })
    });
    scene(2, 1_000, &rounds.collect::<Vec<_>>())
}

/// Each round in an order of its own.
const SHUFFLED: [i64; 10] = [3, 9, 0, 6, 1, 8, 2, 7, 5, 4];

#[test]
fn trap_36_what_always_has_the_same_place_in_a_round_is_at_most_likely() {
    let judged = |places| judged_where_drops_are(&ten_rounds(places), Said::Nothing);
    let shuffled = judged(SHUFFLED);
    let p = number(&shuffled, 0, 50);
    assert_eq!((p.verdict, p.grade), (Verdict::Blocked, Grade::Certain));
    // All in one: what a full token bucket leaves of numbers that come last.
    let in_order = judged([9; 10]);
    let p = number(&in_order, 0, 50);
    assert_eq!((p.verdict, p.lost), (Verdict::Blocked, 10));
    assert_eq!((p.grade, p.more_packets), (Grade::Likely, None));
    assert!(
        p.reasons.contains(&Reason::LostAtEqualIntervals),
        "{:?}",
        p.reasons
    );
}

#[test]
fn trap_36_what_was_judged_for_the_lesser_part_is_at_most_likely() {
    // The server's capture lacks the first rounds: a limit may have let 50 through as long as it was not
    // used up.
    let judged_without = |rounds_before: i64| {
        let mut captures = ten_rounds(SHUFFLED);
        let start = (90 + rounds_before * 80) * MILLISECOND;
        stop(&mut captures[1], -SECOND, start);
        judged_where_drops_are(&captures, Said::Nothing)
    };
    let findings = judged_without(4);
    let p = number(&findings, 0, 50);
    assert_eq!((p.verdict, p.lost, p.edge), (Verdict::Blocked, 6, 4));
    assert_eq!(p.grade, Grade::Certain);
    let findings = judged_without(6);
    let p = number(&findings, 0, 50);
    assert_eq!((p.verdict, p.lost, p.edge), (Verdict::Blocked, 4, 6));
    assert_eq!((p.grade, p.more_packets), (Grade::Likely, None));
    let why = Reason::MostlyUnjudged { unjudged: 6 };
    assert!(p.reasons.contains(&why), "{:?}", p.reasons);
}

#[test]
fn trap_03_nothing_is_judged_where_a_capture_says_that_it_dropped_frames() {
    let mut captures = three_lost_of_fifty();
    let p = judged_where_drops_are(&captures, Said::Nothing);
    assert_eq!(number(&p, 0, 50).verdict, Verdict::Blocked);
    assert_eq!(p.points[1].capture_drops, None, "unknown is not zero");
    // The capture was too busy for the 50 ms in which they came by.
    stop(&mut captures[1], 490 * MILLISECOND, 540 * MILLISECOND);
    let there = judged_where_drops_are(&captures, Said::Where(9, 540 * MILLISECOND));
    let p = number(&there, 0, 50);
    assert_eq!((p.verdict, p.edge), (Verdict::Inconclusive, 3));
    assert_eq!(there.points[1].capture_drops, Some(9));
    // Elsewhere that says nothing of them.
    let captures = three_lost_of_fifty();
    let elsewhere = judged_where_drops_are(&captures, Said::Where(9, 800 * MILLISECOND));
    let p = number(&elsewhere, 0, 50);
    assert_eq!((p.verdict, p.lost), (Verdict::Blocked, 3));
    assert_eq!(p.grade, Grade::Certain);
}

#[test]
fn trap_03_drops_that_may_have_been_anywhere_take_the_certainty_from_as_many_losses() {
    let captures = three_lost_of_fifty();
    let grade = |said| {
        let findings = judged_where_drops_are(&captures, said);
        let p = number(&findings, 0, 50);
        assert_eq!(p.verdict, Verdict::Blocked, "{said:?}");
        p.grade
    };
    assert_eq!(grade(Said::InAll(0)), Grade::Certain);
    assert_ne!(grade(Said::InAll(3)), Grade::Certain);
    assert_ne!(grade(Said::InAll(1_000)), Grade::Certain);
}

#[test]
fn trap_03_what_a_capture_does_not_count_is_unknown_and_not_zero() {
    let folder = tempfile::tempdir().unwrap();
    let captures = three_lost_of_fifty();
    let pcap = Format::Pcap {
        order: ByteOrder::Little,
        nanoseconds: true,
    };
    for (name, capture) in ["p0", "p1"].iter().zip(&captures) {
        capture.write(&folder.path().join(name), pcap, Packing::Plain);
    }
    let findings = run(folder.path(), &["p0", "p1"], &[]);
    assert_eq!(findings.points[1].capture_drops, None);
    let counted = judged_where_drops_are(&captures, Said::InAll(0));
    assert_eq!(counted.points[1].capture_drops, Some(0));
}

// --- 4. Missing in the middle, seen later --------------------------------------------------------

#[test]
fn trap_04_what_the_middle_lacks_and_the_end_has_was_missed_by_the_capture() {
    let [client, router, server] =
        ["client.pcap", "router.pcap", "server.pcap"].map(|file| recorded("three-points", file));
    // The router keeps 60 and 61; its capture has lost sight of 80 on one side and of 81 on both.
    let mut blind = without(&router, 81);
    let has_80 = |frame: &OwnedFrame| super::path::number_in(&router, frame) == Some(80);
    blind
        .frames
        .retain(|frame| !(has_80(frame) && frame.bytes[10] == 4));
    let findings = findings(&[("client", &client), ("router", &blind), ("server", &server)]);
    for (number_, seen) in [(80, [3, 3, 0, 3]), (81, [3, 0, 0, 3])] {
        let p = number(&findings, 0, number_);
        assert_eq!((p.verdict, p.delivered), (Verdict::Passes, 3));
        assert_eq!(p.seen, seen);
    }
    let missed = ["router (in)", "router (out)"].map(|name| point(&findings, name).missed);
    assert_eq!(missed, [3, 6]);
    assert_eq!(
        lost_at(number(&findings, 0, 60)),
        [("router (in)", "router (out)", 3)]
    );
}

// --- 5. Late is not lost -------------------------------------------------------------------------

#[test]
fn trap_05_late_is_not_lost_and_how_late_the_user_says() {
    let (slow, lost) = (sent(5 * MILLISECOND, 50, 2), sent(6 * MILLISECOND, 51, 1));
    let with_delay = |delay_ns: i64, options: &[&str]| {
        let mut captures = scene(2, 400, &[slow.clone(), lost.clone()]);
        edit(&mut captures[1], &slow, |frame| frame.time_ns += delay_ns);
        let findings = judged_with(options, &captures);
        let p = number(&findings, 0, 50);
        if p.late > 0 {
            assert_eq!(number(&findings, 0, 51).verdict, Verdict::Blocked);
        }
        (p.delivered, p.late, p.lost)
    };
    assert_eq!(with_delay(50 * SECOND, &[]), (1, 0, 0));
    assert_eq!(with_delay(52 * SECOND, &[]), (0, 1, 0));
    assert_eq!(with_delay(52 * SECOND, &["--wait", "60s"]), (1, 0, 0));
    assert_eq!(with_delay(2 * SECOND, &["--wait", "1s"]), (0, 1, 0));
}

#[test]
fn trap_05_a_copy_is_waited_for_as_long_as_the_packet() {
    let packet = sent(5 * MILLISECOND, 50, 2);
    let duplicates = |later_ns: i64, has_ip_id: bool| {
        let mut captures = scene(2, 400, std::slice::from_ref(&packet));
        if !has_ip_id {
            for capture in &mut captures {
                edit(capture, &packet, |frame| frame.bytes[4..6].fill(0));
            }
        }
        let frames = &mut captures[1].frames;
        let mut copy = frames.iter().find(|f| holds(f, &packet)).unwrap().clone();
        copy.time_ns += later_ns;
        frames.push(copy);
        let findings = judged(&captures);
        let p = number(&findings, 0, 50);
        assert_eq!((p.packets, p.delivered, p.late), (1, 1, 0));
        p.duplicates
    };
    for has_ip_id in [true, false] {
        assert_eq!(duplicates(50 * SECOND, has_ip_id), 1);
        assert_eq!(duplicates(52 * SECOND, has_ip_id), 0);
    }
}

// --- 8. The sender's capture is not the wire -----------------------------------------------------

#[test]
fn trap_08_sent_captured_and_on_the_wire_are_three_things() {
    let Some(hosts) = hosts::routed("wire") else {
        return;
    };
    // The kernel takes 50 and drops it before its own capture. 51 is in the sender's capture: all
    // that says is that the interface was given it.
    hosts.client.nft(
        "table netdev losses { chain losses { type filter hook egress device router priority 0; \
         ip protocol 50 drop; }; }",
    );
    hosts.router.nft(
        "table netdev losses { chain losses { type filter hook ingress device client priority 0; \
         ip protocol 51 drop; }; }",
    );
    let folder = tempfile::tempdir().unwrap();
    let [log, client, server] = ["sent", "client", "server"].map(|name| file(&folder, name));
    let captures = [
        hosts.client.capture("router", &client),
        hosts.server.capture("router", &server),
    ];
    let send = |arguments: &[&str]| {
        let arguments = [&["send", "10.77.2.2", "--count", "5"], arguments].concat();
        success(&mut hosts.client.hdp(&arguments));
    };
    // Before and behind, so that both captures are known to watch.
    let around = ["--protocols", "254", "--interval", "100ms"];
    send(&around);
    let numbers = ["--protocols", "50,51,253", "--interval", "5ms"];
    send(&[&numbers[..], &["--log", text(&log)]].concat());
    send(&around);
    hosts::until("the captures hold all packets", || {
        let of_254 = |file| {
            let frames = recorded_so_far(file);
            // ARP has a random octet where IP has the number.
            let of_254 = |bytes: &&Vec<u8>| bytes[12..14] == [8, 0] && bytes[14 + 9] == 254;
            frames.iter().filter(of_254).count()
        };
        of_254(&client) == 10 && of_254(&server) == 10
    });
    for capture in captures {
        capture.interrupt();
    }
    let findings = run(folder.path(), &["sent", "client", "server"], &[]);
    let within = findings.directions[0].segments.iter().map(|s| s.within);
    assert!(within.eq([Some(System::Sending), None]));
    let p = number(&findings, 0, 253);
    assert_eq!((p.verdict, p.seen[0]), (Verdict::Passes, 5));
    let p = number(&findings, 0, 50);
    assert!(p.refused.is_empty(), "the kernel took it");
    assert_eq!(
        (p.verdict, lost_at(p)),
        (Verdict::Blocked, vec![("sent", "client", 5)])
    );
    let p = number(&findings, 0, 51);
    assert_eq!(
        (p.verdict, lost_at(p)),
        (Verdict::Blocked, vec![("client", "server", 5)])
    );
}

/// Frames of a capture that is being written: it may be in the middle of one.
fn recorded_so_far(file: &std::path::Path) -> Vec<Vec<u8>> {
    use hdp::source::{Origin, Source};

    let mut source = Source::open(Origin::Path(file.to_owned())).unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = source.next_frame() {
        frames.push(frame.bytes.to_owned());
    }
    frames
}

// --- 9. Between A and B, not by B ----------------------------------------------------------------

#[test]
fn trap_09_a_loss_has_two_ends_and_no_culprit() {
    let mut losses = 0;
    let scenarios = fs::read_dir(fixture("")).unwrap();
    for folder in scenarios.map(|entry| entry.unwrap().path()) {
        let files = ["client.pcap", "router.pcap", "server.pcap"];
        let files: Vec<&str> = files
            .into_iter()
            .filter(|file| folder.join(file).exists())
            .collect();
        if files.len() < 2 {
            continue;
        }
        let findings = run(&folder, &files, &[]);
        let names: Vec<&str> = findings.points.iter().map(|p| p.name.as_str()).collect();
        let mut ends = Vec::new();
        for protocol in findings.directions.iter().flat_map(|d| &d.protocols) {
            let sum: u64 = protocol.lost_at.iter().map(|lost| lost.count).sum();
            assert_eq!(sum, protocol.lost);
            ends.extend(lost_at(protocol).iter().map(|(from, to, _)| {
                let place = |name: &str| names.iter().position(|point| *point == name).unwrap();
                assert_eq!(place(from).abs_diff(place(to)), 1, "{folder:?}");
                format!("{from} → {to}")
            }));
        }
        losses += ends.len();
        // The report has both ends too, and never what a point did to a packet.
        let report = print(&folder, &files, &["--format", "markdown"]);
        assert!(ends.iter().all(|ends| report.contains(ends)), "{folder:?}");
        for name in names.iter().map(OsStr::new) {
            let name = name.to_str().unwrap();
            for claim in [
                format!(" by {name}"),
                format!("{name} drop"),
                format!("{name} filter"),
            ] {
                assert!(!report.contains(&claim), "{folder:?}: {claim}");
            }
        }
    }
    assert!(losses > 10, "{losses} losses in the fixtures");
}
