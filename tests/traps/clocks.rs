//! What captures tell of each other's clocks, and what they do not.

use std::{collections::BTreeMap, process::Command, thread};

use hdp::{
    findings::{Absence, Clock, ClockMethod, DelayReference, Findings, Verdict},
    hdp::Header,
};

use super::{
    path::{
        PCAPNG, SECOND, capture, findings, fixture, judged, lost, number, number_in, print,
        recorded, run, scene, sent, warns, without,
    },
    support::{
        capture::{ByteOrder, Capture, Format, OwnedFrame, Packing},
        scene::{MILLISECOND, START_NS, Scene, Sent},
        world::random::Random,
    },
};

const DAY: i64 = 86_400 * SECOND;

/// A clock beside the true one.
#[derive(Debug, Clone, Copy)]
struct Shift {
    /// From when on the clock runs at another speed.
    since_ns: i64,
    /// By how much it is fast then.
    offset_ns: i64,
    /// How much faster than the true one it runs from then on, in parts per billion.
    skew_ppb: i64,
}

impl Shift {
    /// What the clock shows at this time.
    fn of(self, true_ns: i64) -> i64 {
        let drift = i128::from(true_ns - self.since_ns) * i128::from(self.skew_ppb) / 1_000_000_000;
        true_ns + self.offset_ns + i64::try_from(drift).unwrap()
    }

    /// When it shows this, to the nanosecond.
    fn true_ns(self, shown_ns: i64) -> i64 {
        let since = i128::from(shown_ns - self.of(self.since_ns));
        let speed = i128::from(1_000_000_000 + self.skew_ppb);
        self.since_ns + i64::try_from(since * 1_000_000_000 / speed).unwrap()
    }

    fn apply(self, capture: &mut Capture) {
        for frame in &mut capture.frames {
            frame.time_ns = self.of(frame.time_ns);
        }
    }
}

/// How the clocks of the only two points relate, as the first's way tells.
fn clock(findings: &Findings) -> &Clock {
    let [segment] = findings.directions[0].segments.as_slice() else {
        panic!("one segment");
    };
    &segment.clock
}

// --- 26. The offset is known if packets crossed both ways ----------------------------------------

#[test]
fn trap_26_packets_one_way_tell_no_offset_and_no_delay_is_negative() {
    let client = recorded("router-drops", "client.pcap");
    for hours in [-3, 0, 5] {
        let mut server = recorded("router-drops", "server.pcap");
        // ICMP errors of the server's quote HDP: they are packets back.
        server
            .frames
            .retain(|frame| frame.bytes[14 + 12..][..4] != [10, 77, 2, 2]);
        let shift = Shift {
            since_ns: 0,
            offset_ns: hours * 3_600 * SECOND,
            skew_ppb: 0,
        };
        shift.apply(&mut server);
        let findings = findings(&[("client", &client), ("server", &server)]);
        let clock = clock(&findings);
        assert_eq!(clock.method, ClockMethod::OneWay);
        assert_eq!((clock.offset_ns, clock.error_ns), (None, None));
        let delays = findings.directions[0].protocols.iter();
        let delays: Vec<_> = delays.filter_map(|p| p.delay_ns).collect();
        assert!(
            delays
                .iter()
                .all(|d| d.reference == DelayReference::Minimum)
        );
        assert_eq!(delays.iter().map(|d| d.min).min(), Some(0), "{hours} h");
        // And the verdicts are what they were: 50, 51 and 132 are dropped, three of each.
        assert_eq!(lost(&findings), 9);
        assert_eq!(number(&findings, 0, 50).verdict, Verdict::Blocked);
    }
}

/// The capture without the packets of a number that come from its own destination.
fn asking(capture: &Capture, number: u8) -> Capture {
    const SOURCE: std::ops::Range<usize> = 26..30;
    let mut rest = capture.clone();
    let mut of_number = capture
        .frames
        .iter()
        .filter(|frame| number_in(capture, frame) == Some(number));
    let asker = of_number.next().unwrap().bytes[SOURCE].to_vec();
    rest.frames.retain(|frame| {
        number_in(capture, frame) != Some(number) || frame.bytes[SOURCE] == asker[..]
    });
    assert!(rest.frames.len() < capture.frames.len());
    rest
}

#[test]
fn trap_26_packets_both_ways_bound_the_offset_by_their_round_trip() {
    let client = recorded("ping-pong", "client.pcap");
    let mut server = recorded("ping-pong", "server.pcap");
    let shift = Shift {
        since_ns: 0,
        offset_ns: 5 * 3_600 * SECOND,
        skew_ppb: 0,
    };
    shift.apply(&mut server);
    let findings = findings(&[("client", &client), ("server", &server)]);
    assert_eq!(lost(&findings), 0);
    let trip = Exchanges::of(&client).shortest_round_trip(&[client.clone(), server.clone()]);
    for (direction, sign) in [(0, 1), (1, -1)] {
        let clock = &findings.directions[direction].segments[0].clock;
        assert_eq!(clock.method, ClockMethod::TwoWay);
        let (offset, error) = (clock.offset_ns.unwrap(), clock.error_ns.unwrap());
        assert!(
            offset.abs_diff(sign * shift.offset_ns) <= error,
            "{clock:?}"
        );
        assert!(2 * error <= trip + 4, "{clock:?}, {trip} ns");
        for p in &findings.directions[direction].protocols {
            assert!(p.delay_ns.unwrap().min >= 0);
        }
    }
    // No packet is lost for the five hours, and one is that is: then nothing answers it.
    let (asked, deaf) = (asking(&client, 253), without(&server, 253));
    let blocked = super::path::findings(&[("client", &asked), ("server", &deaf)]);
    assert_eq!(number(&blocked, 0, 253).verdict, Verdict::Blocked);
}

// --- 27. Skew and steps --------------------------------------------------------------------------

/// Two numbers for a minute, the one lost half-way; and what a clock makes of it.
fn a_minute(change: impl Fn(i64) -> i64) -> Findings {
    let mut packets: Vec<Sent> = Vec::new();
    for n in 0..300 {
        let jitter = n * 7_919 % 300 * 1_000;
        let mut packet = sent(n * 200 * MILLISECOND, 252, 2);
        packet.delays_ns[1] += jitter;
        packets.push(packet);
    }
    packets.extend((0..5).map(|n| sent(30_500 * MILLISECOND + n * MILLISECOND, 50, 1)));
    let mut captures = scene(2, 60_000, &packets);
    for frame in &mut captures[1].frames {
        frame.time_ns = change(frame.time_ns - START_NS) + START_NS;
    }
    let findings = judged(&captures);
    let p = number(&findings, 0, 252);
    assert_eq!((p.packets, p.delivered, p.lost), (300, 300, 0));
    for p in &findings.directions[0].protocols {
        assert!(p.delay_ns.is_none_or(|delay| delay.min >= 0));
    }
    findings
}

#[test]
fn trap_27_a_clock_that_runs_fast_or_slow_loses_nothing_and_its_skew_is_found() {
    for ppm in [-100, 0, 80] {
        let findings = a_minute(|at| at + at / 1_000_000 * ppm);
        assert_eq!(number(&findings, 0, 50).lost, 5);
        let clock = clock(&findings);
        assert_eq!(clock.steps, []);
        match clock.skew_ppm {
            None => assert_eq!(ppm, 0),
            Some(skew) => assert!((skew - ppm as f64).abs() < 2.0, "{skew}, not {ppm}"),
        }
    }
}

#[test]
fn trap_27_a_clock_that_is_set_loses_nothing_and_the_step_is_told() {
    for by in [-3_600 * SECOND, -2 * SECOND, SECOND / 2, 3_600 * SECOND] {
        let findings = a_minute(|at| if at < 20 * SECOND { at } else { at + by });
        let [step] = clock(&findings).steps[..] else {
            panic!("one step by {by}: {:?}", clock(&findings));
        };
        assert!((step.by_ns - by).abs() < MILLISECOND, "{step:?}");
        let (from, to) = (step.from_ns - START_NS, step.to_ns - START_NS);
        assert!(from <= 20 * SECOND && 20 * SECOND <= to, "{step:?}");
        assert!(warns(&findings, "a clock was set"));
        let p = number(&findings, 0, 252);
        assert!(p.delay_ns.unwrap().max < SECOND / 10, "{:?}", p.delay_ns);
        // What was lost is at the edge at worst, and what arrived is never lost.
        let p = number(&findings, 0, 50);
        assert_eq!((p.lost + p.edge, p.delivered), (5, 0));
    }
}

#[test]
fn trap_27_a_few_slow_packets_are_no_step() {
    let mut packets: Vec<Sent> = (0..300)
        .map(|n| sent(n * 200 * MILLISECOND, 252, 2))
        .collect();
    for packet in &mut packets[150..153] {
        packet.delays_ns[1] += 2 * SECOND;
    }
    let findings = judged(&scene(2, 60_000, &packets));
    assert_eq!(clock(&findings).steps, []);
    assert!(!warns(&findings, "a clock was set"));
    assert_eq!(lost(&findings), 0);
    assert!(number(&findings, 0, 252).delay_ns.unwrap().max >= 2 * SECOND);
}

/// Packets of 252 alone, every so often, with these delays to the second point.
fn captures_with_delays(every_ns: i64, delays_ns: impl Iterator<Item = i64>) -> Vec<Capture> {
    let packets = delays_ns.zip(0..).map(|(delay_ns, n)| {
        let mut packet = sent(n * every_ns, 252, 2);
        packet.delays_ns[1] = delay_ns;
        packet
    });
    let packets: Vec<Sent> = packets.collect();
    let scene = Scene {
        clocks_ns: vec![0; 2],
        packets: packets.clone(),
        length_ns: 0,
    };
    let is_hdp = |frame: &&OwnedFrame| frame.bytes[9] == 252;
    let captures: Vec<Capture> = scene.frames().iter().map(capture).collect();
    let without_pings = captures.iter().map(|all| Capture {
        frames: all.frames.iter().filter(is_hdp).cloned().collect(),
        ..all.clone()
    });
    without_pings.collect()
}

fn with_delays(every_ns: i64, delays_ns: impl Iterator<Item = i64>) -> Findings {
    judged(&captures_with_delays(every_ns, delays_ns))
}

#[test]
fn trap_40_a_clock_that_was_never_set_is_dated_by_the_other_captures() {
    let packets: Vec<Sent> = (0..5)
        .map(|n| sent((500 + n) * MILLISECOND, 50, 1))
        .collect();
    let captures = scene(2, 1_000, &packets);
    let innocent = judged(&captures);
    assert_eq!(number(&innocent, 0, 50).verdict, Verdict::Blocked);
    assert_eq!(innocent.warnings, []);
    let by_another = |index: usize, clock: fn(i64) -> i64| {
        let mut captures = captures.clone();
        for frame in &mut captures[index].frames {
            frame.time_ns = clock(frame.time_ns);
        }
        captures
    };
    for index in [0, 1] {
        let findings = judged(&by_another(index, |at| at - START_NS + 10 * SECOND));
        assert_eq!(number(&findings, 0, 50).verdict, Verdict::Blocked);
        assert_eq!(number(&findings, 0, 253).verdict, Verdict::Passes);
        assert!(warns(&findings, "its clock was never set, it shows 1970"));
    }
    // Of two such nobody knows the date: nothing is taken for HDP.
    let mut both = by_another(0, |at| at - START_NS + 10 * SECOND);
    both[1] = by_another(1, |at| at - START_NS + 20 * SECOND).remove(1);
    let findings = judged(&both);
    assert_eq!(findings.directions[0].protocols, []);
    assert!(warns(&findings, "no HDP is recognised by it"));
    assert!(!warns(&findings, "none of"));
    // With the same time again and again, whatever it is, a capture cannot say when it was watching.
    for clock in [|_| 0, |_| START_NS] {
        let findings = judged(&by_another(1, clock));
        let p = number(&findings, 0, 50);
        assert_eq!((p.verdict, p.edge), (Verdict::Inconclusive, 5));
        assert_eq!(p.edge_at[0].why, Absence::CannotShow);
        assert_eq!(number(&findings, 0, 253).verdict, Verdict::Passes);
        assert!(warns(&findings, "its clock stands still"));
    }
}

#[test]
fn trap_40_whole_seconds_are_recognised_and_judged_no_finer() {
    // The second point stops while 50 is sent; the first frame that it lacks is of the same second.
    let packets: Vec<Sent> = (0..5)
        .map(|n| sent((5_600 + n) * MILLISECOND, 50, 1))
        .collect();
    let mut captures = scene(2, 10_000, &packets);
    let findings = judged(&captures);
    assert_eq!(number(&findings, 0, 50).verdict, Verdict::Blocked);
    for frame in &mut captures[1].frames {
        frame.time_ns = frame.time_ns / SECOND * SECOND;
    }
    let findings = judged(&captures);
    assert_eq!(number(&findings, 0, 50).verdict, Verdict::Blocked);
    assert_eq!(
        findings.points[1].resolution_ns,
        Some(SECOND.unsigned_abs())
    );
    assert!(warns(&findings, "its times are whole seconds"));
    captures[1]
        .frames
        .retain(|frame| frame.time_ns < START_NS + 5 * SECOND);
    let findings = judged(&captures);
    assert_eq!(number(&findings, 0, 50).lost, 0);
}

#[test]
fn trap_44_neither_two_packets_nor_jitter_make_a_step() {
    let two = with_delays(SECOND / 2, [12, 112].map(|ms| ms * MILLISECOND).into_iter());
    assert_eq!(clock(&two).steps, []);
    assert_eq!(two.warnings, []);
    let delay = number(&two, 0, 252).delay_ns.unwrap();
    assert_eq!((delay.min, delay.max), (0, 100 * MILLISECOND));
    // A packet a second, each a little or much slower than the one before.
    let jitter = (0..60).map(|n| 10 * MILLISECOND + n * 7_919 % 80 * MILLISECOND);
    let findings = with_delays(SECOND, jitter);
    assert_eq!(clock(&findings).steps, []);
    let delay = number(&findings, 0, 252).delay_ns.unwrap();
    assert!(delay.max > 75 * MILLISECOND);
    // As long as they lie where they lay, a clock that is set shows.
    let set = (0..60).map(|n| 10 * MILLISECOND + n * 7_919 % 3 * MILLISECOND + n / 30 * SECOND / 2);
    let [step] = clock(&with_delays(SECOND, set)).steps[..] else {
        panic!("one step");
    };
    assert!((step.by_ns - SECOND / 2).abs() <= 3 * MILLISECOND);
}

#[test]
fn trap_44_what_a_link_hands_over_at_once_is_no_drift() {
    // A radio wakes every 80 ms; and a queue that fills for two seconds.
    let burst = with_delays(
        4 * MILLISECOND,
        (0..40).map(|n| (80 - n % 20 * 4) * MILLISECOND),
    );
    assert_eq!(clock(&burst).skew_ppm, None);
    let queue = with_delays(20 * MILLISECOND, (0..100).map(|n| n * 5_000));
    assert_eq!(clock(&queue).skew_ppm, None);
    let drift = with_delays(SECOND, (0..100).map(|n| n * 50_000));
    assert!((clock(&drift).skew_ppm.unwrap() - 50.0).abs() < 1.0);
    // What of the delays is drift is said beside them, where it is much.
    for (ppm, is_said) in [(50, true), (0, false)] {
        let folder = tempfile::tempdir().unwrap();
        let drifting = (0..100).map(|n| n * 1_000 * ppm + n * 7_919 % 300_000);
        let captures = captures_with_delays(SECOND, drifting);
        for (name, capture) in ["p0", "p1"].into_iter().zip(captures) {
            capture.write(&folder.path().join(name), PCAPNG, Packing::Plain);
        }
        let printed = print(folder.path(), &["p0", "p1"], &[]);
        assert_eq!(printed.contains("the clocks drifted"), is_said, "{printed}");
    }
}

#[test]
fn trap_27_times_that_a_clock_showed_twice_hide_no_gap_and_no_end() {
    // After 12 s the second point's clock is set back by 3 s.
    let judged_as = |stopped: Option<std::ops::Range<i64>>| {
        let passing = (0..300).map(|n| sent((n * 70 + 3) * MILLISECOND, 60, 2));
        let dropped = (0..5).map(|n| sent((4_000 + n * 100) * MILLISECOND, 50, 1));
        let packets: Vec<Sent> = passing.chain(dropped).collect();
        let mut captures = scene(2, 21_000, &packets);
        let frames = &mut captures[1].frames;
        frames.retain(|frame| {
            let at_ns = frame.time_ns - START_NS;
            !stopped.iter().any(|stopped| stopped.contains(&at_ns))
        });
        for frame in frames {
            if frame.time_ns - START_NS > 12 * SECOND {
                frame.time_ns -= 3 * SECOND;
            }
        }
        // Frames stay in their order: it tells of the clock.
        let folder = tempfile::tempdir().unwrap();
        for (name, capture) in ["p0", "p1"].iter().zip(&captures) {
            capture.write(&folder.path().join(name), PCAPNG, Packing::Plain);
        }
        let findings = run(folder.path(), &["p0", "p1"], &[]);
        (number(&findings, 0, 50).lost, lost(&findings))
    };
    assert_eq!(judged_as(None), (5, 5));
    // A gap before the step, whose times are shown again; one in which it happens; an end behind
    // the step that earlier times reach over.
    for stopped in [9..11, 11..14, 14..30] {
        let stopped = stopped.start * SECOND..stopped.end * SECOND;
        assert_eq!(judged_as(Some(stopped.clone())), (5, 5), "{stopped:?}");
    }
}

// --- 28. The send latency is free of clock error -------------------------------------------------

/// Capture time less HDP timestamp of each packet from this address, as `hdp dissect` tells.
fn delays(capture: &Capture, from: &str) -> Vec<i64> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("capture");
    capture.write(&file, PCAPNG, Packing::Plain);
    let output = Command::new(env!("CARGO_BIN_EXE_hdp"))
        .args(["dissect", "--format", "jsonl"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    let packets = lines
        .lines()
        .map(|line| -> serde_json::Value { serde_json::from_str(line).unwrap() });
    packets
        .filter(|packet| packet["src"] == from && packet["quoted_by"].is_null())
        .map(|packet| packet["delay_ns"].as_i64().unwrap())
        .collect()
}

#[test]
fn trap_28_at_the_senders_own_capture_the_delay_is_the_hosts_and_has_no_clock_error() {
    let client = recorded("ping-pong", "client.pcap");
    let [own, from_server] = ["10.77.1.2", "10.77.2.2"].map(|from| delays(&client, from));
    assert_eq!((own.len(), from_server.len()), (300, 300));
    let latency = 0..MILLISECOND;
    assert!(own.iter().all(|delay| latency.contains(delay)), "{own:?}");

    // A host whose clock is wrong stamps and captures by the same wrong clock: what it needed to
    // send is the same. The other's packets seem to come an hour before they were sent.
    let shift = Shift {
        since_ns: 0,
        offset_ns: -3_600 * SECOND,
        skew_ppb: 0,
    };
    let mut wrong = client.clone();
    shift.apply(&mut wrong);
    for frame in &mut wrong.frames {
        let Some(bytes) = frame.bytes.get_mut(34..46) else {
            continue;
        };
        let is_own = bytes[..4] == [1, 0xa4, 1, 0xa4] && frame.bytes[26..30] == [10, 77, 1, 2];
        if is_own {
            let (mut header, _) = Header::parse(&frame.bytes[34..]).unwrap();
            header.timestamp_ns = header
                .timestamp_ns
                .checked_add_signed(shift.offset_ns)
                .unwrap();
            frame.bytes[34..46].copy_from_slice(&header.to_bytes());
        }
    }
    assert_eq!(delays(&wrong, "10.77.1.2"), own);
    let early = delays(&wrong, "10.77.2.2");
    assert!(early.iter().all(|delay| *delay < -3_599 * SECOND));
}

#[test]
fn trap_28_from_the_senders_log_to_its_capture_is_one_host_and_one_clock() {
    let names = ["sent.jsonl", "client.pcap", "server.pcap"];
    let findings = run(&fixture("logs"), &names, &[]);
    let segments = &findings.directions[0].segments;
    assert_eq!(segments[0].within, Some(hdp::findings::System::Sending));
    assert_eq!(segments[1].within, None);
}

// --- The clock test ------------------------------------------------------------------------------

const CASES: u64 = 500;

/// Of a thousand cases in so many the true offset must lie within the error bar, and the bar within
/// the round trip.
const OF_A_THOUSAND: u64 = 990;

/// Captures that were recorded by one clock, as they would be had each point its own and had they
/// dropped some frames.
struct Case {
    /// The clock of the point that has another one: the first, or the second.
    shift: Shift,
    is_first: bool,
    /// Written in nanoseconds or in microseconds.
    unit_ns: i64,
    captures: [Capture; 2],
}

impl Case {
    fn of_seed(seed: u64, recorded: &[Capture; 2]) -> Self {
        let mut random = Random::new(seed);
        // As many milliseconds as seconds and hours.
        let most = 1_000 << random.within(0..37);
        let furthest = DAY - 60 * SECOND;
        let shift = Shift {
            since_ns: recorded[0].frames[0].time_ns,
            offset_ns: random.within(-most..most).clamp(-furthest, furthest),
            skew_ppb: random.within(-100_000..100_001),
        };
        let is_first = random.happens(500);
        let unit_ns = random.pick(&[1, 1_000]);
        let mut captures = recorded.clone();
        shift.apply(&mut captures[usize::from(!is_first)]);
        let kept = random.within(500..1_001).unsigned_abs();
        for capture in &mut captures {
            capture.frames.retain(|_| random.happens(kept));
            for frame in &mut capture.frames {
                frame.time_ns -= frame.time_ns.rem_euclid(unit_ns);
            }
        }
        Self {
            shift,
            is_first,
            unit_ns,
            captures,
        }
    }

    /// What must be added to the first point's clock, when that shows `at_ns`, to get the second's.
    fn offset_ns(&self, at_ns: i64) -> i64 {
        if self.is_first {
            self.shift.true_ns(at_ns) - at_ns
        } else {
            self.shift.of(at_ns) - at_ns
        }
    }

    fn findings(&self) -> Findings {
        let folder = tempfile::tempdir().unwrap();
        for (name, capture) in NAMES.iter().zip(&self.captures) {
            let format = Format::Pcap {
                order: ByteOrder::Little,
                nanoseconds: self.unit_ns == 1,
            };
            capture.write(&folder.path().join(name), format, Packing::Plain);
        }
        run(folder.path(), &NAMES, &[])
    }
}

const NAMES: [&str; 2] = ["client.pcap", "server.pcap"];

/// What one case showed.
struct Shown {
    is_within: bool,
    /// How wide the error bar is.
    bar_ns: u64,
    /// What no capture can tell: four times are cut to their unit.
    cut_ns: u64,
    round_trip_ns: u64,
    /// How far the skew found is off, if it was found.
    skew_off_ppm: Option<f64>,
}

impl Shown {
    fn by(case: &Case, exchanges: &Exchanges) -> Self {
        let findings = case.findings();
        let clock = clock(&findings);
        let known = (clock.offset_ns, clock.error_ns, clock.at_ns);
        let (Some(offset_ns), Some(error_ns), Some(at_ns)) = known else {
            panic!("{:?}: {clock:?}", case.shift);
        };
        let skew_ppm = case.shift.skew_ppb as f64 / 1_000.0;
        let true_ppm = if case.is_first { -skew_ppm } else { skew_ppm };
        Self {
            is_within: offset_ns.abs_diff(case.offset_ns(at_ns)) <= error_ns,
            bar_ns: 2 * error_ns,
            cut_ns: 4 * case.unit_ns.unsigned_abs(),
            round_trip_ns: exchanges.shortest_round_trip(&case.captures),
            skew_off_ppm: clock.skew_ppm.map(|skew| (skew - true_ppm).abs()),
        }
    }
}

#[test]
fn trap_26_the_true_offset_lies_within_the_error_bar_and_that_within_the_round_trip() {
    let recorded = NAMES.map(|name| recorded("ping-pong", name));
    let exchanges = Exchanges::of(&recorded[0]);
    let half = |parity: u64| {
        let seeds = (0..CASES).filter(move |seed| seed % 2 == parity);
        let cases = seeds.map(|seed| Case::of_seed(seed, &recorded));
        cases
            .map(|case| Shown::by(&case, &exchanges))
            .collect::<Vec<_>>()
    };
    let shown: Vec<Shown> = thread::scope(|scope| {
        let odd = scope.spawn(|| half(1));
        half(0).into_iter().chain(odd.join().unwrap()).collect()
    });
    let count = |is: &dyn Fn(&&Shown) -> bool| shown.iter().filter(is).count() as u64;
    let within = count(&|shown| shown.is_within);
    let narrow = count(&|shown| shown.bar_ns <= shown.round_trip_ns + shown.cut_ns);
    let skews: Vec<f64> = shown
        .iter()
        .filter_map(|shown| shown.skew_off_ppm)
        .collect();
    let worst_skew = skews.iter().copied().fold(0.0, f64::max);
    let wider = |shown: &Shown| {
        shown
            .bar_ns
            .saturating_sub(shown.round_trip_ns + shown.cut_ns)
    };
    println!(
        "{CASES} cases: the offset within the bar in {within}, the bar within the round trip in \
         {narrow}, wider by {} ns at most; skew found in {}, off by {worst_skew:.2} ppm at most",
        shown.iter().map(wider).max().unwrap_or_default(),
        skews.len()
    );
    for count in [within, narrow] {
        assert!(count * 1_000 >= CASES * OF_A_THOUSAND, "{count} of {CASES}");
    }
    assert!(worst_skew < 10.0, "{worst_skew} ppm");
}

/// The packets and answers of a recording in which none was lost.
struct Exchanges {
    /// By HDP timestamp, which exchange it belongs to and whether it is the answer.
    of: BTreeMap<u64, (usize, bool)>,
}

impl Exchanges {
    fn of(recorded: &Capture) -> Self {
        let mut of = BTreeMap::new();
        for is_answer in [false, true] {
            // Each is answered before the next one of its number is sent.
            let mut stamps: Vec<_> = recorded.frames.iter().filter_map(stamp).collect();
            stamps.retain(|stamp| stamp.is_answer == is_answer);
            stamps.sort_by_key(|stamp| (stamp.protocol, stamp.timestamp_ns));
            let ids = stamps.iter().enumerate();
            of.extend(ids.map(|(id, stamp)| (stamp.timestamp_ns, (id, is_answer))));
        }
        Self { of }
    }

    /// The shortest time from a packet's passing the first point to its answer's, less what the
    /// answer took at the second: of exchanges that are whole in both captures.
    fn shortest_round_trip(&self, captures: &[Capture; 2]) -> u64 {
        let [there, here] = captures.each_ref().map(|capture| self.spans(capture));
        let both = there
            .iter()
            .filter_map(|(id, span)| Some((span, here.get(id)?)));
        let trips = both.map(|(there, here)| there.abs_diff(*here));
        trips.min().expect("an exchange that is whole in both")
    }

    /// How long after each packet its answer passed.
    fn spans(&self, capture: &Capture) -> BTreeMap<usize, i64> {
        let mut passed: BTreeMap<usize, [Option<i64>; 2]> = BTreeMap::new();
        for frame in &capture.frames {
            if let Some(stamp) = stamp(frame) {
                let (id, is_answer) = self.of[&stamp.timestamp_ns];
                passed.entry(id).or_default()[usize::from(is_answer)] = Some(frame.time_ns);
            }
        }
        let whole = passed.into_iter();
        whole
            .filter_map(|(id, [packet, answer])| Some((id, answer? - packet?)))
            .collect()
    }
}

/// What tells one of the recording's packets.
struct Stamp {
    protocol: u8,
    is_answer: bool,
    timestamp_ns: u64,
}

fn stamp(frame: &OwnedFrame) -> Option<Stamp> {
    let protocol = frame.bytes[14 + 9];
    if !(252..=254).contains(&protocol) {
        return None;
    }
    let (header, payload) = Header::parse(&frame.bytes[14 + 20..]).ok()?;
    Some(Stamp {
        protocol,
        // Ethernet fills an answer up with zeros.
        is_answer: !payload.starts_with(b"ping"),
        timestamp_ns: header.timestamp_ns,
    })
}
