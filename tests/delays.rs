//! Offsets have one home: whatever the clocks did, the packets' lines, the annotated capture, the
//! explanation and the findings state the same delay of each packet.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use crate::support::capture::{ByteOrder, Capture, Format, Packing};
use hdp::{
    findings::{Delay, Fate, Findings, Packet},
    path::{self, Annotation, Frames, Memory, Options, Points, Room, Subject},
};
use tempfile::TempDir;

const MILLISECOND: i64 = 1_000_000;
const STEP: i64 = 3_000 * MILLISECOND;

/// The times that a clock shows in place of others, by the time since the capture began.
type Clock = fn(i64, half_ns: i64) -> i64;

fn right(at_ns: i64, _: i64) -> i64 {
    at_ns
}

fn set_forward(at_ns: i64, half_ns: i64) -> i64 {
    at_ns + if at_ns > half_ns { STEP } else { 0 }
}

fn set_back(at_ns: i64, half_ns: i64) -> i64 {
    at_ns - if at_ns > half_ns { STEP } else { 0 }
}

/// 200 ppm fast.
fn fast(at_ns: i64, _: i64) -> i64 {
    at_ns + at_ns / 5_000
}

fn fast_and_set(at_ns: i64, half_ns: i64) -> i64 {
    set_forward(fast(at_ns, half_ns), half_ns)
}

/// The captures of a fixture, one of them by another clock.
struct Scene {
    folder: TempDir,
    points: Points,
    /// How much faster the other clock runs.
    drift: f64,
}

impl Scene {
    fn new(fixture: &str, names: &[&str], other: (&str, Clock)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sources = names.iter().map(|name| {
            let mut capture = Capture::read(
                &Path::new("fixtures")
                    .join(fixture)
                    .join(format!("{name}.pcap")),
            );
            if *name == other.0 {
                let first = capture.frames[0].time_ns;
                let half = (capture.frames[capture.frames.len() - 1].time_ns - first) / 2;
                for frame in &mut capture.frames {
                    frame.time_ns = first + other.1(frame.time_ns - first, half);
                }
            }
            let format = Format::Pcap {
                order: ByteOrder::Little,
                nanoseconds: true,
            };
            let file = folder.path().join(format!("{name}.pcap"));
            capture.write(&file, format, Packing::Plain);
            file.to_str().unwrap().to_owned()
        });
        let sources: Vec<String> = sources.collect();
        Self {
            points: path::points(&sources).unwrap(),
            folder,
            drift: (other.1(STEP, STEP) - STEP) as f64 / STEP as f64,
        }
    }
}

/// Everything that states delays.
struct Stated {
    findings: Findings,
    packets: Vec<Packet>,
    /// By the packet's frames, as comments name them.
    comments: BTreeMap<String, i64>,
    annotated: Capture,
}

fn stated(path: &Scene) -> Stated {
    let file = path.folder.path().join("annotated.pcapng");
    let mut bytes = Vec::new();
    let mut packets = Vec::new();
    let annotation = Annotation {
        frames: Frames::All,
        name: "annotated".to_owned(),
        to: &mut bytes,
    };
    let note = |packet: &Packet| packets.push(packet.clone());
    let findings =
        path::annotate(&path.points, &Options::default(), vec![annotation], note).unwrap();
    std::fs::write(&file, &bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let comments = text.match_indices("hdp: fate=").filter_map(|(at, _)| {
        let comment = text[at..].split('\0').next().unwrap();
        let parts: BTreeMap<&str, &str> = comment
            .split("; ")
            .filter_map(|part| part.split_once('='))
            .collect();
        let delay = parts.get("path_delay")?.split_once(" s").unwrap().0;
        let (seconds, fraction) = delay.split_once('.').unwrap();
        let fraction: i64 = fraction.parse().unwrap();
        let sign = if seconds.starts_with('-') { -1 } else { 1 };
        let ns = seconds.parse::<i64>().unwrap() * 1_000_000_000 + sign * fraction;
        Some((parts["pair"].to_owned(), ns))
    });
    Stated {
        comments: comments.collect(),
        annotated: Capture::read(&file),
        findings,
        packets,
    }
}

fn pair(packet: &Packet) -> String {
    let seen = packet.seen.iter();
    let seen: Vec<_> = seen
        .map(|seen| format!("{}:{}", seen.point, seen.frame))
        .collect();
    seen.join(", ")
}

/// Checks that all agree, and returns the longest delay.
fn assert_agreement(path: &Scene) -> i64 {
    let stated = stated(path);
    let mut of_number: BTreeMap<(Arc<str>, u16), Vec<i64>> = BTreeMap::new();
    let mut checked = 0;
    for packet in &stated.packets {
        let in_comment = stated.comments.get(&pair(packet)).copied();
        assert_eq!(in_comment, packet.delay_ns, "{packet:?}");
        let Some(delay_ns) = packet.delay_ns else {
            assert!(packet.fate != Fate::Delivered || packet.seen[0].point != packet.from);
            continue;
        };
        assert!(delay_ns >= 0, "{packet:?}");
        checked += 1;
        let key = (packet.from.clone(), u16::from(packet.protocol));
        of_number.entry(key).or_default().push(delay_ns);
    }
    assert!(checked > 100, "{checked}");
    for direction in &stated.findings.directions {
        for number in &direction.protocols {
            let key = (direction.from.as_str().into(), number.protocol);
            let Some(delays) = of_number.get_mut(&key) else {
                continue;
            };
            delays.sort_unstable();
            // The smallest that at least so many percent do not exceed.
            let rank = |percent: usize| delays[(percent * delays.len()).div_ceil(100).max(1) - 1];
            let found = number.delay_ns.unwrap();
            assert_eq!(found.min, delays[0], "{number:?}");
            assert_eq!(found.max, delays[delays.len() - 1], "{number:?}");
            assert_eq!([found.p50, found.p90, found.p99], [50, 90, 99].map(rank));
        }
    }
    assert_shifted(&stated, path.drift);
    assert_explained(path, &stated);
    assert_bounded(path, &stated.findings);
    of_number.into_values().flatten().max().unwrap()
}

/// On the first point's clock, a packet's frames at two points lie as far apart as its delay says.
fn assert_shifted(stated: &Stated, drift: f64) {
    if stated.findings.points.len() > 2 {
        return;
    }
    let mut frames: [Vec<i64>; 2] = [Vec::new(), Vec::new()];
    for frame in &stated.annotated.frames {
        frames[frame.interface as usize].push(frame.time_ns);
    }
    assert!(frames.iter().all(|frames| frames.is_sorted()));
    let is_set_back = stated.findings.directions[0].segments[0]
        .clock
        .steps
        .iter()
        .any(|step| step.by_ns < 0);
    if is_set_back {
        // Its frames were put in another order, and have other numbers now.
        return;
    }
    let clock = &stated.findings.directions[0].segments[0].clock;
    let mut beyond: BTreeMap<i64, u64> = BTreeMap::new();
    for packet in &stated.packets {
        let Some(delay_ns) = packet.delay_ns.filter(|_| *packet.from == *"client") else {
            continue;
        };
        let at = |index: usize| {
            let frame = usize::try_from(packet.seen[index].frame).unwrap();
            frames[index][frame - 1]
        };
        *beyond.entry(at(1) - at(0) - delay_ns).or_default() += 1;
    }
    // Delays are counted from the fastest packet's. What that took is 0 where packets went one way.
    let [(fastest_ns, _)] = beyond.into_iter().collect::<Vec<_>>()[..] else {
        panic!("frames and delays are apart by several spans");
    };
    // A clock that drifts is off by so much at one time only.
    let times = || frames.iter().flatten().copied();
    let span_ns = times().max().unwrap() - times().min().unwrap();
    let drift_ns = span_ns as f64 * drift;
    let error_ns = clock.error_ns.unwrap_or_default() as f64 + drift_ns;
    let least = -drift_ns..=2.0 * error_ns;
    assert!(least.contains(&(fastest_ns as f64)), "{fastest_ns}");
}

/// The explanation of some packets states what the packets' lines do.
fn assert_explained(path: &Scene, stated: &Stated) {
    if stated.findings.points.len() > 2 {
        return;
    }
    let delivered = stated
        .packets
        .iter()
        .filter(|packet| packet.delay_ns.is_some());
    for packet in delivered.step_by(97) {
        let subject = Subject::Timestamp(packet.timestamp_ns);
        let explained = path::explain(&path.points, &subject, &Options::default()).unwrap();
        let arrival = &explained.packets[0].stations[1].sightings[0];
        let delay = arrival.delay.as_ref().map(|delay| delay.ns.cast_signed());
        assert_eq!(delay, packet.delay_ns, "{packet:?}");
    }
}

/// So do the findings in bounded memory, as far as they round.
fn assert_bounded(path: &Scene, kept: &Findings) {
    if kept.points.iter().any(|point| point.side.is_some()) {
        return;
    }
    let little = Room {
        all: 0,
        ..Room::default()
    };
    let options = Options {
        memory: Memory::Bounded(little),
        ..Options::default()
    };
    let bounded = path::findings(&path.points, &options).unwrap();
    let delays = |findings: &Findings| -> Vec<Option<Delay>> {
        let numbers = findings.directions.iter().flat_map(|way| &way.protocols);
        numbers.map(|number| number.delay_ns).collect()
    };
    for (kept, bounded) in delays(kept).into_iter().zip(delays(&bounded)) {
        let (Some(kept), Some(bounded)) = (kept, bounded) else {
            assert_eq!(kept, bounded);
            continue;
        };
        for (exact, rounded) in [
            (kept.min, bounded.min),
            (kept.p50, bounded.p50),
            (kept.max, bounded.max),
        ] {
            let most = exact.unsigned_abs() / 100 + 1;
            assert!(
                exact.abs_diff(rounded) <= most,
                "{kept:?} became {bounded:?}"
            );
        }
    }
}

const TWO: [&str; 2] = ["client", "server"];

#[test]
fn with_right_clocks_all_agree() {
    let longest = assert_agreement(&Scene::new("router-drops", &TWO, ("server", right)));
    assert!(longest < MILLISECOND, "{longest}");
}

#[test]
fn a_clock_that_was_set_adds_nothing_to_any_delay() {
    for clock in [set_forward as Clock, set_back] {
        for point in TWO {
            let longest = assert_agreement(&Scene::new("router-drops", &TWO, (point, clock)));
            assert!(longest < MILLISECOND, "{longest}");
        }
    }
}

#[test]
fn with_drift_all_agree() {
    for clock in [fast as Clock, fast_and_set] {
        assert_agreement(&Scene::new("router-drops", &TWO, ("server", clock)));
    }
}

#[test]
fn packets_both_ways_agree() {
    for clock in [right as Clock, set_forward] {
        assert_agreement(&Scene::new("both-ways", &TWO, ("server", clock)));
    }
}

#[test]
fn three_points_agree() {
    let three = ["client", "router", "server"];
    for clock in [right as Clock, set_forward] {
        for point in ["client", "server"] {
            assert_agreement(&Scene::new("three-points", &three, (point, clock)));
        }
    }
}
