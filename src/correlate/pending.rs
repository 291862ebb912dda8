//! Pending packets: what some points have told of, and others may still.
//!
//! Sightings come in whatever order their points are read. As long as points keep step, what they saw
//! alike is surveyed in bulk; else a packet is complete as soon as every point has seen it alike. It is
//! surveyed then and forgotten, but for what its copies are known by. The others wait, until whoever
//! judges them takes them out. So memory depends on how many packets wait, not on how many there were.
//!
//! What comes late is never taken for another packet: a sighting finds the packet it belongs to
//! among those that wait, those that were complete lately and those that were given up lately. Where
//! none of them can be known any more it is left out and counted ([`Pending::stale`]), or the time at
//! which another point may have seen its packet counts as not watched ([`Pending::forgotten_ns`]).

use arrayvec::ArrayVec;

use super::{
    Survey,
    copies::twins,
    journey::{Group, Seen, Stretch},
    recent::Generations,
    survey::among,
};
use crate::keyed::KeyedMap;
use crate::observe::{Batch, Point, Sighting, Trace};

/// So many of the last complete packets are known by their copies.
const COMPLETE: usize = (1 << 16) / 8 * 7;

/// So many of the last packets that were given up are known by what arrives all the same.
const GIVEN_UP: usize = (1 << 14) / 8 * 7;

/// How a complete packet was seen at both ends of the path.
#[derive(Debug, Clone, Copy)]
struct Complete {
    first_flow: u32,
    last_flow: u32,
    first: Trace,
    last: Trace,
    /// It was seen again at one of them.
    came_again: bool,
}

impl Complete {
    fn of(first: &Sighting, last: &Sighting) -> Self {
        Self {
            first_flow: first.flow,
            last_flow: last.flow,
            first: Trace::of(first),
            last: Trace::of(last),
            came_again: false,
        }
    }
}

/// Further sightings of packets that were complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Again {
    /// One of the path's ends.
    pub point: usize,
    /// The flow there that the packet came with.
    pub flow: u32,
    /// The one that it came with again.
    pub second_flow: u32,
}

/// How often packets came again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Copies {
    /// Further sightings.
    pub sightings: u64,
    /// Packets that had not come again before.
    pub packets: u64,
}

/// Some of a path's points.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Places(u64);

impl Places {
    /// No more points than this can be told apart.
    pub(crate) const MOST: usize = 64;

    /// Adds a point.
    #[must_use]
    pub(crate) fn with(self, point: usize) -> Self {
        debug_assert!(point < Self::MOST);
        Self(self.0 | 1 << point)
    }

    /// Takes a point out.
    #[must_use]
    pub(crate) fn without(self, point: usize) -> Self {
        Self(self.0 & !(1 << point))
    }

    /// Whether the point is among them.
    #[must_use]
    pub(crate) fn contains(self, point: usize) -> bool {
        self.0 >> point & 1 == 1
    }

    /// Whether there are none.
    #[must_use]
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A packet that was judged though some point had not seen it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GivenUp<T> {
    /// Where it was seen first.
    pub point: usize,
    /// What was seen there.
    pub sighting: Sighting,
    /// What became of it.
    pub ruling: T,
    /// The points that saw it before it was judged.
    pub seen_by: Places,
    /// Those that saw it behind that.
    pub came_to: Places,
}

/// When points saw packets that were given up before some point had come to them.
#[derive(Debug, Clone)]
struct Unmet {
    /// By point, the stretches of time of those that are known still, in either half, the younger first.
    known_ns: [Vec<Option<(i64, i64)>>; 2],
    /// By point, those of others.
    forgotten_ns: Vec<Vec<(i64, i64)>>,
}

impl Unmet {
    fn new(points: usize) -> Self {
        Self {
            known_ns: [vec![None; points], vec![None; points]],
            forgotten_ns: vec![Vec::new(); points],
        }
    }

    fn note(&mut self, point: usize, time_ns: i64) {
        let (from_ns, to_ns) = self.known_ns[0][point].get_or_insert((time_ns, time_ns));
        *from_ns = time_ns.min(*from_ns);
        *to_ns = time_ns.max(*to_ns);
    }

    /// What is in the older half is forgotten.
    fn forget_older(&mut self) {
        self.known_ns.swap(0, 1);
        for (known_ns, forgotten_ns) in self.known_ns[0].iter_mut().zip(&mut self.forgotten_ns) {
            let Some((from_ns, to_ns)) = known_ns.take() else {
                continue;
            };
            match forgotten_ns.last_mut() {
                Some(last) if last.0 <= to_ns && from_ns <= last.1 => {
                    *last = (from_ns.min(last.0), to_ns.max(last.1));
                }
                _ => forgotten_ns.push((from_ns, to_ns)),
            }
        }
    }
}

/// A packet that was given up and came all the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Returned<T> {
    /// The packet, as it was known before.
    pub given_up: GivenUp<T>,
    /// Where it came.
    pub point: usize,
    /// What was seen there.
    pub sighting: Sighting,
}

/// Packets that points which are being read have told of. `T` is what became of those that were
/// given up.
#[derive(Debug)]
pub(crate) struct Pending<T> {
    /// Flows and keys of the points, and their sightings that others have not come to, by rising
    /// timestamp.
    points: Vec<Point>,
    /// Those that wait, likewise.
    waiting: Vec<Vec<Sighting>>,
    /// The timestamp up to which each point has come, as far as its sightings come in their order.
    come_to: Vec<u64>,
    /// The points that tell of nothing more.
    ended: Places,
    survey: Survey,
    /// Complete packets of which the survey holds the delay.
    surveyed: usize,
    complete: Generations<u64, Complete>,
    given_up: Generations<u64, GivenUp<T>>,
    /// Where those were seen that some point had not come to.
    unmet: Unmet,
    again: KeyedMap<Again, Copies>,
    returned: Vec<Returned<T>>,
    stale: Vec<u64>,
    /// By point, of the sightings that were forgotten those that a mirror port may have made.
    twins: Vec<u64>,
    /// Nothing with a later timestamp was complete or given up.
    over_to: u64,
    /// Room for those that wait and may be touched.
    tails: Vec<Vec<Sighting>>,
    /// Room for what was not seen alike.
    left: Vec<Vec<Sighting>>,
}

impl<T: Copy> Pending<T> {
    /// No packets, of so many points.
    ///
    /// # Panics
    /// If there are more than [`Places::MOST`].
    #[must_use]
    pub(crate) fn new(points: usize) -> Self {
        assert!(points <= Places::MOST, "{points} points");
        Self {
            points: std::iter::repeat_with(Point::blank).take(points).collect(),
            waiting: vec![Vec::new(); points],
            come_to: vec![0; points],
            ended: Places::default(),
            survey: Survey::new(points),
            surveyed: 0,
            complete: Generations::new(COMPLETE),
            given_up: Generations::new(GIVEN_UP),
            unmet: Unmet::new(points),
            again: KeyedMap::default(),
            returned: Vec::new(),
            stale: vec![0; points],
            twins: vec![0; points],
            over_to: 0,
            tails: vec![Vec::new(); points],
            left: vec![Vec::new(); points],
        }
    }

    /// Takes what a point has seen, and leaves the batch empty.
    pub(crate) fn add(&mut self, point: usize, batch: &mut Batch) {
        let told = &mut self.points[point];
        told.flows.append(&mut batch.flows);
        told.keys.append(&mut batch.keys);
        let sightings = &mut batch.sightings;
        let rises = sightings.is_sorted_by_key(|sighting| sighting.timestamp_ns);
        if !rises {
            sightings.sort_by_key(|sighting| sighting.timestamp_ns);
        }
        let come_to = &mut self.come_to[point];
        let coming = &mut told.sightings;
        if coming.is_empty()
            && sightings
                .first()
                .is_some_and(|first| first.timestamp_ns >= *come_to)
        {
            std::mem::swap(coming, sightings);
        } else {
            // What comes late goes to those that it belongs to: among what has come, or what waits.
            let first_ns = coming.first().map_or(*come_to, |first| first.timestamp_ns);
            let older = sightings.partition_point(|sighting| sighting.timestamp_ns < first_ns);
            coming.extend_from_slice(&sightings[older..]);
            if sightings
                .get(older)
                .is_some_and(|next| next.timestamp_ns < *come_to)
            {
                coming.sort_by_key(|sighting| sighting.timestamp_ns);
            }
            sightings.truncate(older);
        }
        if let Some(last) = coming.last() {
            *come_to = last.timestamp_ns.max(*come_to);
        }
        self.place(point, sightings);
        sightings.clear();
        self.survey_coming(self.all_have_come_to());
    }

    /// A point tells of nothing more.
    pub(crate) fn end(&mut self, point: usize) {
        if self.ended.contains(point) {
            return;
        }
        self.ended = self.ended.with(point);
        self.survey_coming(self.all_have_come_to());
    }

    /// Nothing with an earlier timestamp comes any more, if sightings come in their order.
    fn all_have_come_to(&self) -> u64 {
        let open = (0..self.points.len()).filter(|&point| !self.ended.contains(point));
        open.map(|point| self.come_to[point])
            .min()
            .unwrap_or(u64::MAX)
    }

    /// Has all that has come wait that is not complete, though other points may not have come so far.
    pub(crate) fn flush(&mut self) {
        self.survey_coming(u64::MAX);
    }

    /// How many sightings are held, by point: those that wait, and those that others have not come to.
    pub(crate) fn held(&self) -> impl Iterator<Item = usize> {
        let waiting = self.waiting().enumerate();
        waiting.map(|(point, waiting)| waiting + self.coming(point))
    }

    /// Flows of all points.
    pub(crate) fn flows(&self) -> usize {
        self.points.iter().map(|point| point.flows.len()).sum()
    }

    /// Sightings of a point that others have not come to.
    pub(crate) fn coming(&self, point: usize) -> usize {
        self.points[point].sightings.len()
    }

    /// Surveys what has come with timestamps before this one.
    fn survey_coming(&mut self, to_ns: u64) {
        let earliest = |point: &Point| point.sightings.first().map(|first| first.timestamp_ns);
        let earliest = self.points.iter().filter_map(earliest).min();
        let Some(earliest_ns) = earliest.filter(|&earliest| earliest < to_ns) else {
            return;
        };
        // What is not newer than all that is over may be of a packet that was complete, what has a
        // timestamp that waits of that packet.
        let old_to_ns = self.over_to.saturating_add(1).min(to_ns);
        let [old, stretch] = Stretch::all(&self.points).split(&self.points, old_to_ns);
        let [stretch, _] = stretch.split(&self.points, to_ns);
        let mut left = std::mem::take(&mut self.left);
        for ((left, point), &end) in left.iter_mut().zip(&self.points).zip(old.ends()) {
            left.extend_from_slice(&point.sightings[..end]);
        }
        let mut apart: Vec<u64> = Vec::new();
        for waiting in &self.waiting {
            let start = waiting.partition_point(|sighting| sighting.timestamp_ns < earliest_ns);
            let end = waiting.partition_point(|sighting| sighting.timestamp_ns < to_ns);
            apart.extend(
                waiting[start..end]
                    .iter()
                    .map(|sighting| sighting.timestamp_ns),
            );
        }
        apart.sort_unstable();
        let mut over_to = self.over_to;
        let (complete, surveyed) = (&mut self.complete, &mut self.surveyed);
        let note = |first: &Sighting, last: &Sighting| {
            over_to = first.timestamp_ns;
            *surveyed += 1;
            complete.insert(first.timestamp_ns, Complete::of(first, last));
        };
        self.survey
            .take_alike(&self.points, &stretch, &apart, note, &mut left);
        for (point, &end) in self.points.iter_mut().zip(stretch.ends()) {
            point.sightings.drain(..end);
        }
        for (point, left) in left.iter_mut().enumerate() {
            self.place(point, left);
            left.clear();
        }
        self.over_to = self.over_to.max(over_to);
        self.left = left;
    }

    /// Puts a point's sightings, by rising timestamp, to those that wait.
    fn place(&mut self, point: usize, sightings: &[Sighting]) {
        let Some(first) = sightings.first() else {
            return;
        };
        // What waits and has earlier timestamps stays as it is.
        let from = first.timestamp_ns;
        let mut tails = std::mem::take(&mut self.tails);
        for (tail, waiting) in tails.iter_mut().zip(&mut self.waiting) {
            let start = waiting.partition_point(|sighting| sighting.timestamp_ns < from);
            tail.clear();
            tail.extend(waiting.drain(start..));
        }
        let mut ahead: Vec<&[Sighting]> = tails.iter().map(Vec::as_slice).collect();
        let mut group: Vec<&[Sighting]> = vec![&[]; self.points.len()];
        let mut joined: Vec<Sighting> = Vec::new();
        let same = |a: &Sighting, b: &Sighting| a.timestamp_ns == b.timestamp_ns;
        for news in sightings.chunk_by(same) {
            let timestamp_ns = news[0].timestamp_ns;
            for ((ahead, group), waiting) in ahead.iter_mut().zip(&mut group).zip(&mut self.waiting)
            {
                let before = ahead
                    .iter()
                    .take_while(|sighting| sighting.timestamp_ns < timestamp_ns);
                let (before, from) = ahead.split_at(before.count());
                waiting.extend_from_slice(before);
                let here = from
                    .iter()
                    .take_while(|sighting| sighting.timestamp_ns == timestamp_ns);
                (*group, *ahead) = from.split_at(here.count());
            }
            let is_new = group[point].is_empty();
            joined.clear();
            joined.extend_from_slice(group[point]);
            if timestamp_ns > self.over_to {
                joined.extend_from_slice(news);
            } else {
                let waits = group.iter().any(|sightings| !sightings.is_empty());
                let left = news.iter().copied();
                joined.extend(left.filter(|new| !self.is_over(point, new, waits)));
            }
            let mut group: ArrayVec<&[Sighting], { Places::MOST }> =
                group.iter().copied().collect();
            group[point] = &joined;
            if !self.complete(point, (is_new, news), &group) {
                for (waiting, sightings) in self.waiting.iter_mut().zip(&group) {
                    waiting.extend_from_slice(sightings);
                }
            }
        }
        for (waiting, ahead) in self.waiting.iter_mut().zip(ahead) {
            waiting.extend_from_slice(ahead);
        }
        self.tails = tails;
    }

    /// Surveys the group that a point's sightings were put into; whether it was a packet that is
    /// complete.
    fn complete(
        &mut self,
        point: usize,
        (is_new, news): (bool, &[Sighting]),
        sightings: &[&[Sighting]],
    ) -> bool {
        let [first, ..] = sightings else { return false };
        let nowhere = Stretch::default();
        let group = Group::apart(&self.points, sightings, &nowhere);
        let is_complete = self
            .survey
            .join(&self.points, &group, point, (is_new, news));
        if let ([first, ..], [.., [last, ..]], true) = (first, sightings, is_complete) {
            self.surveyed += 1;
            self.over_to = self.over_to.max(first.timestamp_ns);
            let complete = Complete::of(first, last);
            self.complete.insert(first.timestamp_ns, complete);
        }
        is_complete
    }

    /// Whether a sighting is a further one of a packet that was complete or given up; what none can
    /// tell is left out. `waits`: a packet with the timestamp waits.
    fn is_over(&mut self, point: usize, new: &Sighting, waits: bool) -> bool {
        let flow = |point: usize, flow: u32| &self.points[point].flows[flow as usize].flow;
        let key = |point: usize, flow: u32| self.points[point].keys[flow as usize];
        let own = (key(point, new.flow), flow(point, new.flow));
        // An echo goes back under the same timestamp.
        let is_same = |other: usize, of: u32| {
            let back = (own.1.destination, own.1.source);
            let there = flow(other, of);
            own.0 == key(other, of) && (there.source, there.destination) != back
        };
        let last = self.points.len() - 1;
        let is_complete = |complete: &Complete| {
            let is_alike = match point {
                0 => complete.first.may_be_of(new),
                point if point == last => complete.last.may_be_of(new),
                // The points in between are held against either end.
                _ => complete.first.may_be_of(new) || complete.last.may_be_of(new),
            };
            (is_alike && is_same(0, complete.first_flow)).then_some(())
        };
        if let Some(complete) = self.complete.best(new.timestamp_ns, is_complete) {
            let flow = match point {
                0 => complete.first_flow,
                point if point == last => complete.last_flow,
                _ => return true,
            };
            let again = Again {
                point,
                flow,
                second_flow: new.flow,
            };
            let copies = self.again.entry(again).or_default();
            copies.sightings += 1;
            copies.packets += u64::from(!complete.came_again);
            complete.came_again = true;
            return true;
        }
        // Rather one that has not been here than another, rather one that looks the same.
        let rank = |given_up: &GivenUp<T>| {
            let sighting = &given_up.sighting;
            let has_been = given_up.seen_by.contains(point) || given_up.came_to.contains(point);
            let differs = !Trace::of(sighting).may_be_of(new);
            is_same(given_up.point, sighting.flow).then_some((has_been, differs))
        };
        if let Some(given_up) = self.given_up.best(new.timestamp_ns, rank) {
            self.returned.push(Returned {
                given_up: *given_up,
                point,
                sighting: *new,
            });
            given_up.came_to = given_up.came_to.with(point);
            return true;
        }
        let is_forgotten = self.complete.may_have_forgotten(new.timestamp_ns)
            || self.given_up.may_have_forgotten(new.timestamp_ns);
        // What is newer than all of its stream cannot have been here before.
        let is_stale = is_forgotten && !waits && new.is_reordered();
        self.stale[point] += u64::from(is_stale);
        is_stale
    }

    /// How many sightings wait, by point.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = usize> {
        self.waiting.iter().map(Vec::len)
    }

    /// Complete packets of which the survey holds the delay.
    #[must_use]
    pub(crate) fn surveyed(&self) -> usize {
        self.surveyed
    }

    /// Further sightings of complete packets, with how many there were.
    pub(crate) fn again(&self) -> impl Iterator<Item = (Again, Copies)> {
        self.again.iter().map(|(again, count)| (*again, *count))
    }

    /// Sightings that were left out, by point: they came so late that nothing tells any more whether
    /// they are copies.
    #[must_use]
    pub(crate) fn stale(&self) -> &[u64] {
        &self.stale
    }

    /// Of a point's sightings that were forgotten those that a mirror port may have made.
    #[must_use]
    pub(crate) fn twins(&self, point: usize) -> u64 {
        self.twins[point]
    }

    /// Packets that were given up and came all the same, since the last time this was asked.
    pub(crate) fn take_returned(&mut self) -> Vec<Returned<T>> {
        std::mem::take(&mut self.returned)
    }

    /// Those that were not asked for yet.
    #[must_use]
    pub(crate) fn returned(&self) -> &[Returned<T>] {
        &self.returned
    }

    /// The sightings that wait at a point, by rising timestamp.
    #[must_use]
    pub(crate) fn sightings(&self, point: usize) -> &[Sighting] {
        &self.waiting[point]
    }

    /// The same, which the pending packets are without until they are put back.
    pub(crate) fn lend(&mut self, point: usize) -> Vec<Sighting> {
        std::mem::take(&mut self.waiting[point])
    }

    /// Puts back what was lent of a point, by rising timestamp.
    pub(crate) fn put_back(&mut self, point: usize, sightings: Vec<Sighting>) {
        self.waiting[point] = sightings;
    }

    /// A survey of all packets that were complete, with the others as its rest, which `points` hold.
    #[must_use]
    pub(crate) fn survey(&self, points: &[Point]) -> Survey {
        let mut survey = self.survey.clone();
        survey.link_through();
        survey.note_rest(points);
        survey
    }

    /// The same, after which the survey knows how clocks relate, and nothing more of the packets
    /// that were complete.
    pub(crate) fn take_survey(&mut self, points: &[Point]) -> Survey {
        self.surveyed = 0;
        self.survey.link_through();
        let mut survey = self.survey.take_complete();
        survey.note_rest(points);
        survey
    }

    /// Forgets the packets with these timestamps, which rise.
    pub(crate) fn settle(&mut self, timestamps: &[u64]) {
        for (waiting, forgotten) in self.waiting.iter_mut().zip(&mut self.twins) {
            let before = twins(waiting);
            let mut is_settled = among(timestamps);
            waiting.retain(|sighting| !is_settled(sighting.timestamp_ns));
            *forgotten += before - twins(waiting);
        }
    }

    /// Notes a packet that is judged, though some point has not seen it.
    pub(crate) fn give_up(&mut self, given_up: GivenUp<T>) {
        let timestamp_ns = given_up.sighting.timestamp_ns;
        self.over_to = self.over_to.max(timestamp_ns);
        if self.given_up.insert(timestamp_ns, given_up) {
            self.unmet.forget_older();
        }
    }

    /// The same of one that some point had not come to, which was seen at a point at this time.
    pub(crate) fn note_unmet(&mut self, point: usize, time_ns: i64) {
        self.unmet.note(point, time_ns);
    }

    /// The stretches of a point's time of which is not known any more what it saw that others had not come
    /// to: such a packet of theirs may have been among it.
    #[must_use]
    pub(crate) fn forgotten_ns(&self, point: usize) -> &[(i64, i64)] {
        &self.unmet.forgotten_ns[point]
    }

    /// Notes a packet that is judged, and that both ends of the path saw.
    pub(crate) fn conclude(&mut self, first: &Seen, last: &Seen) {
        let timestamp_ns = first.sighting.timestamp_ns;
        self.over_to = self.over_to.max(timestamp_ns);
        let complete = Complete {
            came_again: first.duplicates + last.duplicates > 0,
            ..Complete::of(first.sighting, last.sighting)
        };
        self.complete.insert(timestamp_ns, complete);
    }
}
