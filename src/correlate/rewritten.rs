//! The second chance: packets that something on the path wrote into where HDP has its timestamp.
//!
//! Such a packet ends under one timestamp and begins anew under another: one loss and one packet
//! out of nowhere. The two are put together again if they are the only candidates for each other:
//! the same number, way and payload, half of the timestamp as it was, and times that fit. Where
//! there are several candidates, none of them is called lost; nor is what only may go on as
//! another, because it came out of time or shorter than it was.

use super::{
    Journey, Relations, Survey, Way, journey::Seen, journey::journeys_as_seen, order::MOST_HOPS,
};
use crate::{
    keyed::{KeyedMap, KeyedSet},
    observe::{Flow, Point, Sighting},
    protocols::Carrier,
};

/// How much longer than all others a packet may have taken that is put together again: 32 bits of
/// its timestamp hardly ever agree by chance.
const SLACK_NS: i64 = 120_000_000_000;

/// The same where the lower half of the timestamp was written into, and the upper half says little:
/// beyond how far others are spread at the time, next to nothing.
const SLACK_OF_LOWER_HALF_NS: i64 = 10_000_000;

/// How far off two clocks may be that nothing relates, for the same.
const UNRELATED_NS: u64 = 1_000_000_000;

/// Where the number says that the lower half of the timestamp is written into: SCTP's checksum.
const LOWER_HALF: u8 = 132;

/// Among more packets that share what is left of the timestamp none is the only candidate.
const MOST_CANDIDATES: usize = 128;

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

/// A packet but for the half of its timestamp that was written into, and its length.
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
        let of_any_length = self.of_any_length();
        Key(
            Self {
                timestamp_ns,
                ..of_any_length
            },
            lower_half_changed,
        )
    }

    fn of_any_length(self) -> Self {
        Self {
            payload_len: 0,
            ..self
        }
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
    /// It is one of several with the same key: see [`Journey::is_indistinct`].
    is_indistinct: bool,
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

    /// Whether any point saw it with this payload.
    fn has_payload_of(&self, sighting: &Sighting) -> bool {
        let seen = self.stops.iter().flatten().map(|stop| stop.sighting);
        let own = std::iter::once(self.sighting);
        own.chain(seen)
            .any(|own| own.payload_len == sighting.payload_len && own.may_have_payload_of(sighting))
    }

    fn place(&self) -> Place {
        (self.point, self.sighting.frame)
    }
}

/// Packets that were put together again.
#[derive(Debug, Default)]
pub(crate) struct SecondChance {
    /// How long packets and their duplicates are waited for, in nanoseconds.
    pub(super) wait_ns: u64,
    /// What was seen further along the path, by where the packet was seen last under its own
    /// timestamp.
    continued: KeyedMap<Place, Start>,
    /// Where the packets continue: they are none of their own.
    taken: KeyedSet<Place>,
    /// Packets with several candidates, by where they were seen last.
    unclear: KeyedSet<Place>,
}

impl SecondChance {
    /// No packets were put together again. What comes again after `wait_ns` is no duplicate.
    #[must_use]
    pub(crate) fn none(wait_ns: u64) -> Self {
        Self {
            wait_ns,
            ..Self::default()
        }
    }

    /// Looks for them among the packets that the survey has not counted. What comes again after
    /// `wait_ns` is no duplicate.
    #[must_use]
    pub(crate) fn find(
        points: &[Point],
        relations: &Relations,
        survey: &Survey,
        wait_ns: u64,
    ) -> Self {
        let mut chance = Self::none(wait_ns);
        let any_doubtful = points.iter().any(|point| !point.doubtful.is_empty());
        if !any_doubtful && !survey.has_starts_behind_the_first(points) {
            return chance;
        }
        let starts = starts(points, relations, survey, wait_ns);
        let candidates = Candidates::of(points, relations, survey, &starts);
        let mut ends: Vec<(Place, Found)> = Vec::new();
        journeys_as_seen(points, relations, survey, wait_ns, |journey| {
            if let Some(last) = journey.stations().last()
                && last.position + 1 < points.len()
            {
                let found = candidates.for_end(journey.way, (last.point, last.seen.sighting));
                if !found.is_nothing() {
                    ends.push(((last.point, last.seen.sighting.frame), found));
                }
            }
        });
        chance.settle(&ends);
        for start in &starts {
            if let Some([_, end]) = start.undoubted
                && start.is_doubtful
                && !chance.taken.contains(&start.place())
            {
                chance.continued.insert(end, start.clone());
            }
        }
        chance
    }

    /// Whether the packet that was seen last here continues elsewhere.
    #[must_use]
    pub(crate) fn continues(&self, point: usize, sighting: &Sighting) -> bool {
        self.continued.contains_key(&(point, sighting.frame))
    }

    /// Whether no packet came under another timestamp.
    #[must_use]
    pub(crate) fn is_needless(&self) -> bool {
        self.continued.is_empty() && self.unclear.is_empty()
    }

    /// Whether the packet that was seen last here came under another timestamp, or may have.
    #[must_use]
    pub(crate) fn concerns(&self, point: usize, sighting: &Sighting) -> bool {
        let place = (point, sighting.frame);
        self.continued.contains_key(&place) || self.unclear.contains(&place)
    }

    /// Where each packet that continues elsewhere was seen last (point and frame), and the
    /// timestamps under which it continues.
    pub(crate) fn continued(
        &self,
    ) -> impl Iterator<Item = ((usize, u32), impl Iterator<Item = u64>)> {
        let timestamps = |start: &Start| -> Vec<u64> {
            let stops = start.stops.iter().flatten();
            stops.map(|stop| stop.sighting.timestamp_ns).collect()
        };
        let continued = self.continued.iter();
        continued.map(move |(place, start)| (*place, timestamps(start).into_iter()))
    }

    /// Puts those together that are the only candidates for each other.
    fn settle(&mut self, ends: &[(Place, Found)]) {
        let mut claims: KeyedMap<Place, usize> = KeyedMap::default();
        for start in ends.iter().flat_map(|(_, found)| &found.fitting) {
            *claims.entry(start.place()).or_default() += 1;
        }
        for (end, found) in ends {
            match found.fitting.as_slice() {
                [] => {}
                [start] if claims[&start.place()] == 1 => {
                    self.taken.insert(start.place());
                    self.taken.extend(start.undoubted.map(|[first, _]| first));
                    self.continued.insert(*end, (*start).clone());
                }
                several => {
                    self.unclear.insert(*end);
                    let ends = several.iter().filter_map(|start| start.undoubted);
                    self.unclear.extend(ends.map(|[_, end]| end));
                }
            }
        }
        for (end, found) in ends {
            let is_open = |start: &&Start| !self.taken.contains(&start.place());
            if found.fitting.is_empty()
                && (found.are_too_many || found.possible.iter().any(is_open))
            {
                self.unclear.insert(*end);
            }
        }
    }

    /// Calls `visit` with the journey as it was, put together again; not at all where it belongs
    /// to another's.
    #[inline]
    pub(super) fn apply(&self, journey: &Journey<'_>, visit: &mut impl FnMut(&Journey)) {
        if self.continued.is_empty() && self.unclear.is_empty() {
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
        if let Some(start) = self.continued.get(&end) {
            let seen: Vec<Option<Seen>> = journey
                .seen
                .iter()
                .zip(&start.stops)
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
                is_indistinct: journey.is_indistinct || start.is_indistinct,
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
    let mut places: KeyedMap<Packet, Vec<usize>> = KeyedMap::default();
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
        places
            .entry(packet.of_any_length())
            .or_default()
            .push(starts.len());
        starts.push(Start {
            packet,
            point: first.point,
            sighting: *first.seen.sighting,
            stops: journey.seen.iter().map(stop).collect(),
            undoubted: journey.stations().last().map(|last| {
                [first, last].map(|station| (station.point, station.seen.sighting.frame))
            }),
            is_doubtful: false,
            is_indistinct: journey.is_indistinct,
        });
    });
    for (point, entries) in points.iter().enumerate() {
        for sighting in &entries.doubtful {
            let flow = entries.flow(sighting);
            let way = relations.way_between(flow.source, flow.destination);
            let packet = Packet::of(way.unwrap_or(Way::Forward), flow, sighting);
            let alike = places.entry(packet.of_any_length()).or_default();
            // Of several with the same bytes, one that the point has not seen yet.
            let same = alike
                .iter()
                .filter(|start| starts[**start].has_payload_of(sighting))
                .min_by_key(|start| starts[**start].stops[point].is_some());
            let known = match (same, alike.as_slice()) {
                (Some(same), _) => *same,
                // Of another length, it was cut on the way.
                (None, [only]) if starts[*only].stops[point].is_none() => *only,
                _ => {
                    // Of several that were cut, any may go on as any.
                    let is_behind = |start: &usize| starts[*start].stops[point].is_none();
                    let is_indistinct = alike.iter().any(is_behind);
                    alike.push(starts.len());
                    starts.push(Start {
                        packet,
                        point,
                        sighting: *sighting,
                        stops: vec![None; points.len()],
                        undoubted: None,
                        is_doubtful: true,
                        is_indistinct,
                    });
                    starts.len() - 1
                }
            };
            starts[known].add(point, *sighting);
        }
    }
    starts
}

/// What may go on where a packet ends.
#[derive(Debug, Default)]
struct Found<'s> {
    /// In time, with the same payload; of several points' the nearest.
    fitting: Vec<&'s Start>,
    /// Out of time, or with a payload of another length.
    possible: Vec<&'s Start>,
    /// There are so many that they were not looked at.
    are_too_many: bool,
}

impl Found<'_> {
    fn is_nothing(&self) -> bool {
        self.fitting.is_empty() && self.possible.is_empty() && !self.are_too_many
    }
}

/// How well a start continues an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Possible,
    Fitting,
}

/// The starts, by what they keep of the timestamp.
struct Candidates<'a> {
    points: &'a [Point],
    relations: &'a Relations,
    by_key: KeyedMap<Key, Vec<&'a Start>>,
    /// Two points and what flows have for a key of which packets came from the one to the other
    /// as they were: nobody writes into them in between.
    untouched: KeyedSet<(usize, usize, Way, u64)>,
}

impl<'a> Candidates<'a> {
    fn of(
        points: &'a [Point],
        relations: &'a Relations,
        survey: &Survey,
        starts: &'a [Start],
    ) -> Self {
        let mut by_key: KeyedMap<Key, Vec<&Start>> = KeyedMap::default();
        for start in starts {
            for lower_half_changed in [false, true] {
                if !lower_half_changed || start.packet.protocol == LOWER_HALF {
                    let key = start.packet.key(lower_half_changed);
                    by_key.entry(key).or_default().push(start);
                }
            }
        }
        Self {
            points,
            relations,
            by_key,
            untouched: untouched(points, relations, survey),
        }
    }

    /// Those for a packet that was seen last at this point.
    fn for_end(&self, way: Way, end: (usize, &Sighting)) -> Found<'a> {
        let (point, sighting) = end;
        let packet = Packet::of(way, self.points[point].flow(sighting), sighting);
        let mut found = Found::default();
        for lower_half_changed in [false, true] {
            let Some(starts) = self.by_key.get(&packet.key(lower_half_changed)) else {
                continue;
            };
            if starts.len() > MOST_CANDIDATES {
                found.are_too_many = true;
                continue;
            }
            for start in starts {
                match self.fit(way, end, start, lower_half_changed) {
                    Some(Fit::Fitting) => found.fitting.push(start),
                    Some(Fit::Possible) => found.possible.push(start),
                    None => {}
                }
            }
        }
        // Of those at several points behind, the nearest continue it.
        let distance = |start: &&Start| start.point.abs_diff(point);
        let nearest = found.fitting.iter().map(distance).min();
        found
            .fitting
            .retain(|start| Some(distance(start)) == nearest);
        found
    }

    /// Whether the packet that ends here may be the one that starts there.
    fn fit(
        &self,
        way: Way,
        (point, end): (usize, &Sighting),
        start: &Start,
        lower_half_changed: bool,
    ) -> Option<Fit> {
        let is_behind = match way {
            Way::Forward => start.point > point,
            Way::Reverse => start.point < point,
        };
        let is_as_long = end.payload_len == start.sighting.payload_len;
        let key = self.points[point].keys[end.flow as usize];
        if !is_behind
            || end.timestamp_ns == start.sighting.timestamp_ns
            || is_as_long && !end.may_have_payload_of(&start.sighting)
            || self.has_more_hops_left(start, (point, end))
            || !self.relations.may_become(
                self.points,
                (point, end.flow),
                (start.point, start.sighting.flow),
            )
            || lower_half_changed && self.untouched.contains(&(point, start.point, way, key))
        {
            return None;
        }
        let is_in_time = if lower_half_changed {
            self.is_like_others_then(way, (point, end), start)
        } else {
            self.is_in_time(way, (point, end), start)
        };
        Some(if is_as_long && is_in_time {
            Fit::Fitting
        } else {
            Fit::Possible
        })
    }

    /// Whether the start is nearer to its sender than the end, by TTL: another sender's.
    fn has_more_hops_left(&self, start: &Start, (point, end): (usize, &Sighting)) -> bool {
        let ttl = |point: usize, sighting| self.points[point].flow(sighting).ttl;
        let more = ttl(start.point, &start.sighting).saturating_sub(ttl(point, end));
        (1..=MOST_HOPS).contains(&more)
    }

    /// Whether it took about as long as packets ever do.
    fn is_in_time(&self, way: Way, (point, end): (usize, &Sighting), start: &Start) -> bool {
        let offset_ns = start.sighting.time_ns.saturating_sub(end.time_ns);
        let offsets = self.relations.offsets(point, start.point, way);
        offsets
            .is_none_or(|offsets| is_within(offset_ns, [offsets.min_ns, offsets.max_ns], SLACK_NS))
    }

    /// Whether it took as long as others did at the time.
    fn is_like_others_then(
        &self,
        way: Way,
        (point, end): (usize, &Sighting),
        start: &Start,
    ) -> bool {
        let ends = [(point, end.time_ns), (start.point, start.sighting.time_ns)];
        let [first, second] = match way {
            Way::Forward => ends,
            Way::Reverse => [ends[1], ends[0]],
        };
        if let Some(trend) = self.relations.trend(first.0, second.0, way) {
            let offset_ns = second.1.saturating_sub(first.1);
            return is_within(offset_ns, trend.around(first.1), SLACK_OF_LOWER_HALF_NS);
        }
        // Nothing tells what a translator makes of addresses either.
        let addresses = |(point, sighting): (usize, &Sighting)| {
            let flow = self.points[point].flow(sighting);
            (flow.source, flow.destination)
        };
        first.1.abs_diff(second.1) <= UNRELATED_NS
            && addresses((point, end)) == addresses((start.point, &start.sighting))
    }
}

/// Whether an offset lies between the smallest and the largest, or beyond by no more than they are
/// apart and this slack.
fn is_within(offset_ns: i64, [min_ns, max_ns]: [i64; 2], slack_ns: i64) -> bool {
    let slack_ns = max_ns.saturating_sub(min_ns).saturating_add(slack_ns);
    (min_ns.saturating_sub(slack_ns)..=max_ns.saturating_add(slack_ns)).contains(&offset_ns)
}

/// See [`Candidates::untouched`].
fn untouched(
    points: &[Point],
    relations: &Relations,
    survey: &Survey,
) -> KeyedSet<(usize, usize, Way, u64)> {
    let mut untouched = KeyedSet::default();
    for first in 0..points.len() {
        for second in first + 1..points.len() {
            for ((flow, _), link) in survey.links(points.len(), first, second) {
                if link.offsets.is_some() {
                    let way = relations.way(first, flow);
                    let key = points[first].keys[flow as usize];
                    let (from, to) = match way {
                        Way::Forward => (first, second),
                        Way::Reverse => (second, first),
                    };
                    untouched.insert((from, to, way, key));
                }
            }
        }
    }
    untouched
}
