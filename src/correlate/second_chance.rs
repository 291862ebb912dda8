//! The second chance: packets that something on the path wrote into where HDP has its timestamp.
//!
//! Such a packet ends under one timestamp and begins anew under another: one loss and one packet
//! out of nowhere. The two are put together again if they are the only candidates for each other:
//! the same number, way and payload, half of the timestamp as it was, and times that fit. Where
//! there are several candidates, none of them is called lost.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Journey, Relations, Survey, Way, merge::Seen, merge::journeys_as_seen};
use crate::{
    decode::Carrier,
    observe::{Flow, Point, Sighting},
};

/// How much longer than all others a packet may have taken that is put together again: 32 bits of
/// its timestamp hardly ever agree by chance.
const SLACK_NS: i64 = 120_000_000_000;

/// The same where the lower half of the timestamp was written into, and the upper half says little.
const SLACK_OF_LOWER_HALF_NS: i64 = 1_000_000_000;

/// Where the number says that the lower half of the timestamp is written into: SCTP's checksum.
const LOWER_HALF: u8 = 132;

/// A sighting, by its point and frame.
type Place = (usize, u32);

/// What tells a packet from others, and stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Packet {
    way: Way,
    carrier: Carrier,
    protocol: u8,
    payload_len: u16,
    timestamp_ns: u64,
}

/// A packet but for the half of its timestamp that was written into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key(Packet, bool);

impl Packet {
    fn of(way: Way, flow: &Flow, sighting: &Sighting) -> Self {
        Self {
            way,
            carrier: flow.carrier,
            protocol: flow.protocol,
            payload_len: sighting.payload_len,
            timestamp_ns: sighting.timestamp_ns,
        }
    }

    fn key(self, lower_half_changed: bool) -> Key {
        let timestamp_ns = if lower_half_changed {
            self.timestamp_ns >> 32
        } else {
            self.timestamp_ns & u64::from(u32::MAX)
        };
        Key(
            Self {
                timestamp_ns,
                ..self
            },
            lower_half_changed,
        )
    }
}

/// Where a packet was seen, by point.
type Stops = Vec<Option<Stop>>;

/// What a point saw of it: a [`Seen`] of its own.
#[derive(Debug, Clone, Copy)]
struct Stop {
    sighting: Sighting,
    duplicates: u32,
    copies: u32,
}

/// A packet that may continue another.
#[derive(Debug, Clone)]
struct Start {
    packet: Packet,
    /// Where it was seen first.
    point: usize,
    sighting: Sighting,
    stops: Stops,
    /// Where it was seen first and last without doubt.
    undoubted: Option<[Place; 2]>,
    /// Other points saw it too, with doubt.
    is_doubtful: bool,
}

impl Start {
    /// Takes in what another point saw of it.
    fn add(&mut self, point: usize, sighting: Sighting) {
        let is_before = match self.packet.way {
            Way::Forward => point < self.point,
            Way::Reverse => point > self.point,
        };
        self.is_doubtful = true;
        if is_before {
            (self.point, self.sighting) = (point, sighting);
        }
        match &mut self.stops[point] {
            Some(stop) => stop.duplicates += 1,
            none => {
                *none = Some(Stop {
                    sighting,
                    duplicates: 0,
                    copies: 0,
                });
            }
        }
    }

    fn place(&self) -> Place {
        (self.point, self.sighting.frame)
    }
}

/// Packets that were put together again.
#[derive(Debug, Default)]
pub struct SecondChance {
    /// How long packets and their duplicates are waited for, in nanoseconds.
    pub(super) wait_ns: u64,
    /// What was seen further along the path, by where the packet was seen last under its own
    /// timestamp.
    continued: FxHashMap<Place, Stops>,
    /// Where the packets continue: they are none of their own.
    taken: FxHashSet<Place>,
    /// Packets with several candidates, by where they were seen last.
    unclear: FxHashSet<Place>,
}

impl SecondChance {
    /// No packets were put together again. What comes again after `wait_ns` is no duplicate.
    #[must_use]
    pub fn none(wait_ns: u64) -> Self {
        Self {
            wait_ns,
            ..Self::default()
        }
    }

    /// Looks for them among the packets that the survey has not counted. What comes again after
    /// `wait_ns` is no duplicate.
    #[must_use]
    pub fn find(points: &[Point], relations: &Relations, survey: &Survey, wait_ns: u64) -> Self {
        let mut chance = Self::none(wait_ns);
        let any_doubtful = points.iter().any(|point| !point.doubtful.is_empty());
        if !any_doubtful && !survey.has_starts_behind_the_first(points) {
            return chance;
        }
        let starts = starts(points, relations, survey, wait_ns);
        let mut by_key: FxHashMap<Key, Vec<&Start>> = FxHashMap::default();
        for start in &starts {
            for lower_half_changed in [false, true] {
                let key = start.packet.key(lower_half_changed);
                if !lower_half_changed || start.packet.protocol == LOWER_HALF {
                    by_key.entry(key).or_default().push(start);
                }
            }
        }
        // For each end the starts that may continue it, and the other way round.
        let mut candidates: Vec<(Place, Vec<&Start>)> = Vec::new();
        let mut claims: FxHashMap<Place, usize> = FxHashMap::default();
        journeys_as_seen(points, relations, survey, wait_ns, |journey| {
            let Some(last) = journey.stations().last() else {
                return;
            };
            if last.position + 1 >= points.len() {
                return;
            }
            let flow = points[last.point].flow(last.seen.sighting);
            let end = (last.point, last.seen.sighting);
            let packet = Packet::of(journey.way, flow, end.1);
            let mut found: Vec<&Start> = Vec::new();
            for lower_half_changed in [false, true] {
                for start in by_key
                    .get(&packet.key(lower_half_changed))
                    .into_iter()
                    .flatten()
                {
                    let is_new = found.iter().all(|known| known.place() != start.place());
                    let slack_ns = if lower_half_changed {
                        SLACK_OF_LOWER_HALF_NS
                    } else {
                        SLACK_NS
                    };
                    if is_new && may_continue(relations, journey.way, end, start, slack_ns) {
                        found.push(start);
                    }
                }
            }
            // Of those at several points behind, the nearest continue it.
            let distance = |start: &&Start| start.point.abs_diff(last.point);
            let nearest = found.iter().map(distance).min();
            found.retain(|start| Some(distance(start)) == nearest);
            for start in &found {
                *claims.entry(start.place()).or_default() += 1;
            }
            if !found.is_empty() {
                candidates.push(((end.0, end.1.frame), found));
            }
        });
        for (end, mut found) in candidates {
            match found.pop() {
                Some(start) if found.is_empty() && claims[&start.place()] == 1 => {
                    chance.taken.insert(start.place());
                    chance.taken.extend(start.undoubted.map(|[first, _]| first));
                    chance.continued.insert(end, start.stops.clone());
                }
                last => {
                    chance.unclear.insert(end);
                    let starts = found.iter().copied().chain(last);
                    let ends = starts.filter_map(|start| start.undoubted.map(|[_, end]| end));
                    chance.unclear.extend(ends);
                }
            }
        }
        for start in &starts {
            if let Some([_, end]) = start.undoubted
                && start.is_doubtful
                && !chance.taken.contains(&start.place())
            {
                chance.continued.insert(end, start.stops.clone());
            }
        }
        chance
    }

    /// Whether the packet that was seen last here continues elsewhere.
    #[must_use]
    pub fn continues(&self, point: usize, sighting: &Sighting) -> bool {
        self.continued.contains_key(&(point, sighting.frame))
    }

    /// Whether no packet came under another timestamp.
    #[must_use]
    pub fn is_needless(&self) -> bool {
        self.continued.is_empty() && self.unclear.is_empty()
    }

    /// Whether the packet that was seen last here came under another timestamp, or may have.
    #[must_use]
    pub fn concerns(&self, point: usize, sighting: &Sighting) -> bool {
        let place = (point, sighting.frame);
        self.continued.contains_key(&place) || self.unclear.contains(&place)
    }

    /// Where each packet that continues elsewhere was seen last (point and frame), and the
    /// timestamps under which it continues.
    pub fn continued(&self) -> impl Iterator<Item = ((usize, u32), impl Iterator<Item = u64>)> {
        let timestamps = |stops: &Stops| -> Vec<u64> {
            let stops = stops.iter().flatten();
            stops.map(|stop| stop.sighting.timestamp_ns).collect()
        };
        let continued = self.continued.iter();
        continued.map(move |(place, stops)| (*place, timestamps(stops).into_iter()))
    }

    /// Calls `visit` with the journey as it was, put together again; not at all where it belongs
    /// to another's.
    #[inline]
    pub(super) fn apply(&self, journey: &Journey<'_>, visit: &mut impl FnMut(&Journey)) {
        if self.taken.is_empty() && self.unclear.is_empty() {
            return visit(journey);
        }
        let (Some(first), Some(last)) = (journey.stations().next(), journey.stations().last())
        else {
            return;
        };
        if self
            .taken
            .contains(&(first.point, first.seen.sighting.frame))
        {
            return;
        }
        let end = (last.point, last.seen.sighting.frame);
        if let Some(behind) = self.continued.get(&end) {
            let seen: Vec<Option<Seen>> = journey
                .seen
                .iter()
                .zip(behind)
                .map(|(here, behind)| {
                    here.or(behind.as_ref().map(|stop| Seen {
                        sighting: &stop.sighting,
                        duplicates: stop.duplicates,
                        copies: stop.copies,
                    }))
                })
                .collect();
            visit(&Journey {
                seen: &seen,
                ..*journey
            });
        } else if self.unclear.contains(&end) {
            visit(&Journey {
                is_indistinct: true,
                ..*journey
            });
        } else {
            visit(journey);
        }
    }
}

/// The packets that were seen first behind their sender's end, and those that are doubtful.
fn starts(points: &[Point], relations: &Relations, survey: &Survey, wait_ns: u64) -> Vec<Start> {
    let mut starts: Vec<Start> = Vec::new();
    let mut places: FxHashMap<Packet, usize> = FxHashMap::default();
    journeys_as_seen(points, relations, survey, wait_ns, |journey| {
        let Some(first) = journey.stations().next().filter(|first| first.position > 0) else {
            return;
        };
        let flow = points[first.point].flow(first.seen.sighting);
        let packet = Packet::of(journey.way, flow, first.seen.sighting);
        let stop = |seen: &Option<Seen>| {
            seen.map(|seen| Stop {
                sighting: *seen.sighting,
                duplicates: seen.duplicates,
                copies: seen.copies,
            })
        };
        places.insert(packet, starts.len());
        starts.push(Start {
            packet,
            point: first.point,
            sighting: *first.seen.sighting,
            stops: journey.seen.iter().map(stop).collect(),
            undoubted: journey.stations().last().map(|last| {
                [first, last].map(|station| (station.point, station.seen.sighting.frame))
            }),
            is_doubtful: false,
        });
    });
    for (point, entries) in points.iter().enumerate() {
        for sighting in &entries.doubtful {
            let flow = entries.flow(sighting);
            let way = relations.way_between(flow.source, flow.destination);
            let packet = Packet::of(way.unwrap_or(Way::Forward), flow, sighting);
            let known = *places.entry(packet).or_insert_with(|| {
                starts.push(Start {
                    packet,
                    point,
                    sighting: *sighting,
                    stops: vec![None; points.len()],
                    undoubted: None,
                    is_doubtful: true,
                });
                starts.len() - 1
            });
            starts[known].add(point, *sighting);
        }
    }
    starts
}

/// Whether the packet that ends here may be the one that starts there.
fn may_continue(
    relations: &Relations,
    way: Way,
    end: (usize, &Sighting),
    start: &Start,
    slack_ns: i64,
) -> bool {
    let (point, end) = end;
    let is_behind = match way {
        Way::Forward => start.point > point,
        Way::Reverse => start.point < point,
    };
    if !is_behind
        || end.timestamp_ns == start.sighting.timestamp_ns
        || !end.may_have_payload_of(&start.sighting)
    {
        return false;
    }
    let offset_ns = start.sighting.time_ns.saturating_sub(end.time_ns);
    let offsets = relations.offsets(point, start.point, way);
    offsets.is_none_or(|offsets| {
        let range = offsets.max_ns.saturating_sub(offsets.min_ns);
        let slack_ns = range.saturating_add(slack_ns);
        (offsets.min_ns.saturating_sub(slack_ns)..=offsets.max_ns.saturating_add(slack_ns))
            .contains(&offset_ns)
    })
}
