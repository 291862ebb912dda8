//! Gaps that only show by what other points saw: a stopped capture in which little but HDP was
//! to be seen.
//!
//! A point that records nothing for a while may have been stopped, or the path may have lost what
//! was sent. Where the silence swallowed packets of several numbers that the point saw at other
//! times, and that were not lost again later, it was no filter of numbers: either everything was
//! lost, or nothing was recorded. Which of the two cannot be told, so nothing is called lost. Where
//! it swallowed a packet that a point behind did see, nothing was recorded. Behind a capture filter
//! that leaves a number or two to show that the point was recording, one number is enough.
//!
//! The point's own other traffic tells more: a silence that is usual for it is none of the capture,
//! and where its frames alone part several silences that swallowed packets each, the point was
//! recording all the while, and the path lost them.

use std::collections::BTreeSet;

use super::{
    Known, TALLIES,
    clocks::{Clocks, Window},
    recorders::{Passed, Recorders},
    tally_index,
};
use crate::{
    correlate::{Journey, Relations, SecondChance, Station, Survey, Way, journeys},
    keyed::KeyedMap,
    observe::{Coverage, Point},
};

/// A silence that swallowed fewer numbers than this may be the loss of just those.
const SEVERAL: usize = 3;

/// A silence that chance explains no better than this was no loss of each packet by itself.
const NO_CHANCE: f64 = 1e-6;

/// A silence that swallowed fewer packets tells nothing of its neighbours.
const SWALLOWED: usize = 2;

/// A silence of a point, and what should have come by in it.
struct Silence {
    point: usize,
    from_ns: i64,
    to_ns: i64,
    /// Number, carrier and way as one index, and the timestamp.
    swallowed: Vec<(usize, u64)>,
    /// The same of what points behind saw all the same.
    missed: Vec<usize>,
    /// The capture says that it dropped frames: where, if not here?
    has_dropped: bool,
    /// How many numbers it must have swallowed to be no loss of just those.
    several: usize,
}

/// What a point saw of one number that travels one way.
#[derive(Debug, Clone, Copy, Default)]
struct Record {
    seen: u64,
    /// Seen elsewhere, not here.
    unseen: u64,
    /// Of these, seen behind, outside of any long silence: the capture missed them.
    missed: u64,
    /// Timestamp of the last one seen.
    last_seen_ns: u64,
    /// Timestamp of the last one unseen.
    last_unseen_ns: u64,
}

/// What was learnt from packets that are no longer known, by point.
#[derive(Debug, Clone)]
pub(super) struct History {
    /// By way, carrier and number.
    records: Vec<Vec<Record>>,
    gaps: Vec<Vec<(i64, i64)>>,
}

impl History {
    /// Nothing, of so many points.
    pub(super) fn new(points: usize) -> Self {
        Self {
            records: vec![vec![Record::default(); TALLIES]; points],
            gaps: vec![Vec::new(); points],
        }
    }

    /// Notes packets that every point saw.
    pub(super) fn through(&mut self, subject: usize, packets: u64, last_timestamp_ns: u64) {
        note_through(&mut self.records, subject, packets, last_timestamp_ns);
    }

    /// Notes a packet.
    pub(super) fn journey(&mut self, points: &[Point], known: &Known, journey: &Journey) {
        let Some(subject) = subject_of(points, &known.relations, journey) else {
            return;
        };
        note_journey(&mut self.records, subject, journey, |point| {
            let (station, expected) = expected(&known.clocks, journey, point)?;
            let is_due = known.coverages[point].contains(expected.from_ns, expected.to_ns);
            is_due.then(|| Unseen::of(journey.way, &station, point))
        });
    }

    /// Notes the gaps that were found by what other points saw: packets were judged by them.
    pub(super) fn keep_gaps(&mut self, points: &[Point], coverages: &[Coverage]) {
        for ((gaps, coverage), point) in self.gaps.iter_mut().zip(coverages).zip(points) {
            let found = coverage.gaps().iter().copied();
            *gaps = found.filter(|gap| !point.coverage.has_gap(*gap)).collect();
        }
    }

    /// When each point watched, less the gaps found, and what it missed meanwhile.
    pub(super) fn watches(
        &self,
        points: &[Point],
        relations: &Relations,
        survey: &Survey,
        second_chance: &SecondChance,
        clocks: &Clocks,
    ) -> Watches {
        let mut coverages: Vec<Coverage> = points.iter().map(|p| p.coverage.clone()).collect();
        for (coverage, gaps) in coverages.iter_mut().zip(&self.gaps) {
            coverage.add_gaps(gaps);
        }
        let records = self.records.clone();
        find(
            coverages,
            records,
            points,
            (relations, survey, second_chance, clocks),
        )
    }
}

fn note_through(records: &mut [Vec<Record>], subject: usize, packets: u64, last_timestamp_ns: u64) {
    for records in records {
        let record = &mut records[subject];
        record.seen += packets;
        record.last_seen_ns = record.last_seen_ns.max(last_timestamp_ns);
    }
}

/// What a point did not see that should have come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unseen {
    /// Nor did any point behind, or it was during a long silence.
    Lost,
    /// A point behind did.
    Missed,
}

impl Unseen {
    fn of(way: Way, nearest: &Station, point: usize) -> Self {
        if is_before(way, nearest, point) {
            Self::Lost
        } else {
            Self::Missed
        }
    }
}

/// Notes where a packet was seen, and where it was not though it should have been: `unseen` tells of a
/// point that did not see it.
fn note_journey(
    records: &mut [Vec<Record>],
    subject: usize,
    journey: &Journey,
    mut unseen: impl FnMut(usize) -> Option<Unseen>,
) {
    let timestamp_ns = journey.timestamp_ns;
    for (point, (records, seen)) in records.iter_mut().zip(journey.seen).enumerate() {
        let record = &mut records[subject];
        if seen.is_some() {
            record.seen += 1;
            record.last_seen_ns = record.last_seen_ns.max(timestamp_ns);
        } else if let Some(unseen) = unseen(point) {
            record.unseen += 1;
            record.missed += u64::from(unseen == Unseen::Missed);
            record.last_unseen_ns = record.last_unseen_ns.max(timestamp_ns);
        }
    }
}

/// When each point watched, and what it missed.
pub(super) struct Watches {
    /// Less the gaps found.
    pub(super) coverages: Vec<Coverage>,
    /// By point and number: what came by, and how much of it the point missed while it was recording
    /// other packets.
    pub(super) passed: Vec<KeyedMap<u8, Passed>>,
}

/// Takes out the gaps that show by what other points saw.
fn find(
    mut coverages: Vec<Coverage>,
    mut records: Vec<Vec<Record>>,
    points: &[Point],
    (relations, survey, second_chance, clocks): (&Relations, &Survey, &SecondChance, &Clocks),
) -> Watches {
    let of_point = |(point, coverage): (usize, &Coverage)| {
        let mut silences = coverage.silences();
        silences.retain(|silence| !coverage.has_gap(*silence));
        let has_dropped = points[point].summary.unplaced_drops() > 0;
        silences.into_iter().map(move |(from_ns, to_ns)| Silence {
            point,
            from_ns,
            to_ns,
            swallowed: Vec::new(),
            missed: Vec::new(),
            has_dropped,
            several: SEVERAL,
        })
    };
    let mut silences: Vec<Silence> = coverages.iter().enumerate().flat_map(of_point).collect();
    let has_middle = points.len() > 2;
    if silences.is_empty() && !has_middle {
        let passed = vec![KeyedMap::default(); points.len()];
        return Watches { coverages, passed };
    }
    for ((first_flow, _), through) in survey.through() {
        let subject = subject(points, relations, 0, first_flow);
        let packets = through.offsets_ns.len() as u64;
        note_through(&mut records, subject, packets, through.last_timestamp_ns);
    }
    journeys(points, relations, survey, second_chance, |journey| {
        let Some(subject) = subject_of(points, relations, journey) else {
            return;
        };
        note_journey(&mut records, subject, journey, |point| {
            let (station, expected) = expected(clocks, journey, point)?;
            let unseen = Unseen::of(journey.way, &station, point);
            let Some(silence) = silence_around(&mut silences, point, expected) else {
                // Where nobody was watching, it may have come by.
                let was_due = coverages[point].contains(expected.from_ns, expected.to_ns);
                return was_due.then_some(unseen);
            };
            match unseen {
                Unseen::Lost => silence.swallowed.push((subject, journey.timestamp_ns)),
                Unseen::Missed => silence.missed.push(subject),
            }
            Some(Unseen::Lost)
        });
    });
    let passed = (0..points.len()).map(|point| passed(&records[point], &silences, point));
    let passed: Vec<KeyedMap<u8, Passed>> = passed.collect();
    let recorders = Recorders::learn(points, relations, clocks, &coverages, passed.clone());
    for silence in &mut silences {
        if recorders.hides_any(silence.point) && recorded(&records[silence.point]) < SEVERAL {
            silence.several = 1;
        }
        let hidden = |subject: &usize| {
            let of_number = passed[silence.point].get(&number_of(*subject));
            of_number.is_some_and(|passed| passed.is_hidden())
        };
        silence.missed.retain(|subject| !hidden(subject));
        silence.swallowed.retain(|(subject, _)| !hidden(subject));
    }
    let mut gaps: Vec<Vec<(i64, i64)>> = vec![Vec::new(); points.len()];
    let swallowed = silences.iter().enumerate();
    for (index, silence) in swallowed {
        let coverage = &coverages[silence.point];
        // Nobody knows what a point missed of which it did not say so itself.
        let is_parted = is_one_of_several(&silences, index, coverage);
        // Where its own traffic often pauses for as long, only numbers that came again tell.
        let came_again = coverage.is_usual(silence.span());
        let is_shown = silence.has_missed() || !is_parted;
        if is_shown && silence.is_gap(&records[silence.point], came_again) {
            gaps[silence.point].push(silence.span());
        }
    }
    for (coverage, gaps) in coverages.iter_mut().zip(&gaps) {
        coverage.add_gaps(gaps);
    }
    Watches { coverages, passed }
}

/// The silence of a point, of all in order, during which what was expected in this window most probably
/// came by.
fn silence_around(
    silences: &mut [Silence],
    point: usize,
    expected: Window,
) -> Option<&mut Silence> {
    let middle_ns = expected.from_ns.midpoint(expected.to_ns);
    let begun = silences.partition_point(|it| (it.point, it.from_ns) <= (point, middle_ns));
    let silence = silences[..begun].last_mut()?;
    (silence.point == point && middle_ns <= silence.to_ns).then_some(silence)
}

/// What came by a point of each number, and how much of it the point missed. What it missed in one
/// silence counts once: the capture may have stopped.
fn passed(records: &[Record], silences: &[Silence], point: usize) -> KeyedMap<u8, Passed> {
    let mut passed: KeyedMap<u8, Passed> = KeyedMap::default();
    for (subject, record) in records.iter().enumerate() {
        if record.seen + record.missed > 0 {
            let of_number = passed.entry(number_of(subject)).or_default();
            of_number.packets += record.seen + record.missed;
            of_number.lacking += record.missed;
        }
    }
    for silence in silences.iter().filter(|silence| silence.point == point) {
        let missed: BTreeSet<u8> = silence.missed.iter().copied().map(number_of).collect();
        for number in missed {
            let of_number = passed.entry(number).or_default();
            of_number.packets += 1;
            of_number.lacking += 1;
        }
    }
    passed
}

/// Whether the silence before or behind swallowed packets too, and only frames that are not HDP part
/// the two: a capture does not stop several times in a row, and go on for those.
fn is_one_of_several(silences: &[Silence], index: usize, coverage: &Coverage) -> bool {
    let own = &silences[index];
    let is_neighbour = |other: &Silence| {
        let (a, b) = if other.from_ns < own.from_ns {
            (other, own)
        } else {
            (own, other)
        };
        other.point == own.point
            && other.swallowed.len() >= SWALLOWED
            && coverage.are_parted_by_background(a.span(), b.span())
    };
    let before = index.checked_sub(1).map(|before| &silences[before]);
    let behind = silences.get(index + 1);
    own.swallowed.len() >= SWALLOWED && [before, behind].into_iter().flatten().any(is_neighbour)
}

impl Silence {
    fn span(&self) -> (i64, i64) {
        (self.from_ns, self.to_ns)
    }

    /// Whether nothing was recorded: it swallowed a packet that was not lost, or numbers that passed
    /// at other times, more of them than are usually lost.
    fn is_gap(&self, records: &[Record], came_again: bool) -> bool {
        self.has_missed() || self.has_swallowed_all(records, came_again)
    }

    fn has_missed(&self) -> bool {
        self.has_dropped || !self.missed.is_empty()
    }

    fn has_swallowed_all(&self, records: &[Record], came_again: bool) -> bool {
        let last_ns = self.swallowed.iter().map(|(_, timestamp)| *timestamp).max();
        let passes = |(subject, timestamp): &&(usize, u64)| {
            let record = &records[*subject];
            // A number that passed before and was lost again later has been cut off.
            let was_lost_again = Some(record.last_unseen_ns) > last_ns;
            record.last_seen_ns > *timestamp || record.seen > 0 && !was_lost_again && !came_again
        };
        let mut subjects: Vec<usize> = self
            .swallowed
            .iter()
            .filter(passes)
            .map(|(subject, _)| *subject)
            .collect();
        let packets = subjects.len() as u64;
        subjects.sort_unstable();
        subjects.dedup();
        let sum = |count: fn(&Record) -> u64| -> u64 {
            subjects
                .iter()
                .map(|&subject| count(&records[subject]))
                .sum()
        };
        let lost_elsewhere = sum(|record| record.unseen).saturating_sub(packets);
        let elsewhere = lost_elsewhere + sum(|record| record.seen);
        let usually_lost = lost_elsewhere as f64 / elsewhere.max(1) as f64;
        subjects.len() >= self.several && usually_lost.powf(packets as f64) < NO_CHANCE
    }
}

/// How many numbers were seen.
fn recorded(records: &[Record]) -> usize {
    let subjects = records.iter().enumerate();
    let seen = subjects.filter(|(_, record)| record.seen > 0);
    seen.map(|(subject, _)| number_of(subject))
        .collect::<BTreeSet<u8>>()
        .len()
}

/// The subject of a packet.
fn subject_of(points: &[Point], relations: &Relations, journey: &Journey) -> Option<usize> {
    let first = journey.stations().next()?;
    let flow = first.seen.sighting.flow;
    if relations.is_foreign(first.point, flow) {
        return None;
    }
    Some(subject(points, relations, first.point, flow))
}

/// The number of a subject, as [`tally_index`] makes it.
fn number_of(subject: usize) -> u8 {
    subject.to_le_bytes()[0]
}

pub(super) fn subject(points: &[Point], relations: &Relations, point: usize, flow: u32) -> usize {
    let way = relations.way(point, flow);
    let flow = &points[point].flows[flow as usize].flow;
    tally_index(way, flow.carrier, flow.protocol)
}

/// When a point should have seen a packet that it did not see, by what the nearest point behind it
/// saw, or else the nearest one before it.
fn expected<'a>(
    clocks: &Clocks,
    journey: &Journey<'a>,
    point: usize,
) -> Option<(Station<'a>, Window)> {
    let is_before = |station: &Station| is_before(journey.way, station, point);
    let before = journey.stations().take_while(is_before).last();
    let behind = || journey.stations().find(|station| !is_before(station));
    let station = behind().or(before)?;
    let at_ns = station.seen.sighting.time_ns;
    let window = clocks.window(journey.way, station.point, point, at_ns)?;
    Some((
        station,
        Window {
            from_ns: at_ns.saturating_add(window.from_ns),
            to_ns: at_ns.saturating_add(window.to_ns),
        },
    ))
}

/// Whether a packet going this way comes by the station before it comes by the point.
fn is_before(way: Way, station: &Station, point: usize) -> bool {
    match way {
        Way::Forward => station.point < point,
        Way::Reverse => station.point > point,
    }
}
