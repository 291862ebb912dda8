//! Gaps that only show by what other points saw: a stopped capture in which little but HDP was
//! to be seen.
//!
//! A point that records nothing for a while may have been stopped, or the path may have lost what
//! was sent. Where the silence swallowed packets of several numbers that the point saw before
//! *and* after it, it was no filter that came with the numbers: either everything was lost, or
//! nothing was recorded. Which of the two cannot be told, so nothing is called lost.

use std::collections::BTreeSet;

use super::{clocks::Clocks, order};
use crate::{
    correlate::{Journey, Relations, Survey, Way, journeys},
    decode::Carrier,
    observe::{Coverage, Point},
};

/// A silence that swallowed fewer numbers than this may be the loss of just those.
const SEVERAL: usize = 3;

/// A number that travels one way.
type Subject = (Way, Carrier, u8);

/// First and last timestamp of what a point saw of each number.
type Spans = std::collections::BTreeMap<Subject, (u64, u64)>;

/// A silence of a point, and what should have come by in it.
struct Silence {
    point: usize,
    from_ns: i64,
    to_ns: i64,
    swallowed: BTreeSet<(Subject, u64)>,
}

/// What each point watched, less the gaps found.
pub(super) fn coverages(
    points: &[Point],
    relations: &Relations,
    survey: &Survey,
    clocks: &Clocks,
) -> Vec<Coverage> {
    let mut coverages: Vec<Coverage> = points.iter().map(|p| p.coverage.clone()).collect();
    let of_point = |(point, coverage): (usize, &Coverage)| {
        let silences = coverage.silences().into_iter();
        silences.map(move |(from_ns, to_ns)| Silence {
            point,
            from_ns,
            to_ns,
            swallowed: BTreeSet::new(),
        })
    };
    let mut silences: Vec<Silence> = coverages.iter().enumerate().flat_map(of_point).collect();
    if silences.is_empty() {
        return coverages;
    }
    let mut seen: Vec<Spans> = vec![Spans::new(); points.len()];
    for ((first_flow, _), through) in survey.through() {
        let subject = subject(points, relations, 0, first_flow);
        for seen in &mut seen {
            note(seen, subject, through.first_timestamp_ns);
            note(seen, subject, through.last_timestamp_ns);
        }
    }
    journeys(points, relations, survey, |journey| {
        let Some(first) = journey.stations().next() else {
            return;
        };
        let subject = subject(points, relations, first.point, first.seen.sighting.flow);
        for (seen, at) in seen.iter_mut().zip(journey.seen) {
            if at.is_some() {
                note(seen, subject, journey.timestamp_ns);
            }
        }
        for silence in &mut silences {
            if is_swallowed(points.len(), clocks, journey, silence) {
                silence.swallowed.insert((subject, journey.timestamp_ns));
            }
        }
    });
    for silence in silences {
        let before_and_after = |(subject, timestamp): &(Subject, u64)| {
            let span = seen[silence.point].get(subject);
            span.is_some_and(|(first, last)| first < timestamp && timestamp < last)
        };
        let swallowed = silence
            .swallowed
            .iter()
            .filter(|packet| before_and_after(packet));
        let numbers: BTreeSet<Subject> = swallowed.map(|(subject, _)| *subject).collect();
        if numbers.len() >= SEVERAL {
            coverages[silence.point].add_gap((silence.from_ns, silence.to_ns));
        }
    }
    coverages
}

fn subject(points: &[Point], relations: &Relations, point: usize, flow: u32) -> Subject {
    let way = relations.way(point, flow);
    let flow = &points[point].flows[flow as usize].flow;
    (way, flow.carrier, flow.protocol)
}

fn note(seen: &mut Spans, subject: Subject, timestamp_ns: u64) {
    let span = seen.entry(subject).or_insert((timestamp_ns, timestamp_ns));
    *span = (span.0.min(timestamp_ns), span.1.max(timestamp_ns));
}

/// Whether the packet should have come by the silent point during the silence.
fn is_swallowed(points: usize, clocks: &Clocks, journey: &Journey, silence: &Silence) -> bool {
    if journey.seen[silence.point].is_some() {
        return false;
    }
    let order = order(points, journey.way);
    let Some(position) = order.iter().position(|&point| point == silence.point) else {
        return false;
    };
    let before = journey
        .stations()
        .take_while(|station| station.position < position);
    before.last().is_some_and(|station| {
        let at_ns = station.seen.sighting.time_ns;
        let window = clocks.window(journey.way, station.point, silence.point, at_ns);
        window.is_some_and(|window| {
            let middle = window.from_ns.midpoint(window.to_ns);
            (silence.from_ns..=silence.to_ns).contains(&at_ns.saturating_add(middle))
        })
    })
}
