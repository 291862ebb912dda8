//! The merge: groups of sightings with the same timestamp, taken apart into packets.

use super::{
    Relations, SecondChance, Survey, Way,
    copies::{self, Copy, Reading},
};
use crate::{
    observe::{Flow, Point, Sighting},
    protocols::Carrier,
};

/// One packet and where it was seen.
#[derive(Debug)]
pub(crate) struct Journey<'a> {
    /// HDP's timestamp.
    pub timestamp_ns: u64,
    /// Which way along the points it went.
    pub way: Way,
    /// For each point, in path order, where it was seen there.
    pub seen: &'a [Option<Seen<'a>>],
    /// Another packet has the same key and was not seen at the same points: which of them was
    /// seen where is unknown.
    pub is_indistinct: bool,
}

/// A point on a packet's way that saw it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Station<'a> {
    /// Place along the packet's way, from 0.
    pub position: usize,
    /// Index of the point.
    pub point: usize,
    /// What it saw.
    pub seen: Seen<'a>,
}

impl<'a> Journey<'a> {
    /// The points that saw the packet, along its way.
    #[inline]
    pub(crate) fn stations(&self) -> impl Iterator<Item = Station<'a>> + use<'a> {
        let (seen, way) = (self.seen, self.way);
        (0..seen.len()).filter_map(move |position| {
            let point = way.at(position, seen.len());
            Some(Station {
                position,
                point,
                seen: seen[point]?,
            })
        })
    }
}

/// A packet at a point that saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen<'a> {
    /// The first copy.
    pub sighting: &'a Sighting,
    /// Further sightings at the same place that the network made.
    pub duplicates: u32,
    /// Further sightings that the capture made: elsewhere in the point's host, or by a mirror.
    pub copies: u32,
}

impl<'a> Seen<'a> {
    /// Seen, and not again.
    #[must_use]
    pub(crate) fn once(sighting: &'a Sighting) -> Self {
        Self {
            sighting,
            duplicates: 0,
            copies: 0,
        }
    }
}

/// Calls `visit` with the journeys of the packets that the survey has not counted, by rising
/// timestamp.
pub(crate) fn journeys(
    points: &[Point],
    relations: &Relations,
    survey: &Survey,
    second_chance: &SecondChance,
    mut visit: impl FnMut(&Journey),
) {
    journeys_as_seen(
        points,
        relations,
        survey,
        second_chance.wait_ns,
        |journey| {
            second_chance.apply(journey, &mut visit);
        },
    );
}

/// The same, without what a second chance puts together; duplicates are waited for so long.
pub(super) fn journeys_as_seen(
    points: &[Point],
    relations: &Relations,
    survey: &Survey,
    wait_ns: u64,
    mut visit: impl FnMut(&Journey),
) {
    let mut classes = Classes::new(Habits::of(points, wait_ns));
    let mut sightings: Vec<&[Sighting]> = vec![&[]; points.len()];
    for starts in survey.rest.chunks_exact(points.len()) {
        let from = |point: usize| &points[point].sightings[starts[point] as usize..];
        let next = (0..points.len()).filter_map(|point| Some(from(point).first()?.timestamp_ns));
        let Some(timestamp_ns) = next.min() else {
            continue;
        };
        for (point, sightings) in sightings.iter_mut().enumerate() {
            let from = from(point);
            *sightings = &from[..run(from, timestamp_ns)];
        }
        classes.journeys(points, relations, timestamp_ns, &sightings, &mut visit);
    }
}

/// The journeys of all packets, those that the survey has counted too.
pub(crate) struct AllJourneys<'k> {
    relations: &'k Relations,
    second_chance: &'k SecondChance,
    habits: Habits,
}

impl<'k> AllJourneys<'k> {
    /// Those between these points, some of whose sightings may be elsewhere.
    #[must_use]
    pub(crate) fn new(
        points: &[Point],
        relations: &'k Relations,
        second_chance: &'k SecondChance,
    ) -> Self {
        Self {
            relations,
            second_chance,
            habits: Habits::of(points, second_chance.wait_ns),
        }
    }

    /// Calls `visit` with each journey in a stretch of sightings, by rising timestamp. Their flows are numbered
    /// as the points' are.
    pub(crate) fn visit(
        &self,
        points: &[Point],
        stretch: &Stretch,
        mut visit: impl FnMut(&Journey),
    ) {
        let mut visit = |journey: &Journey| self.second_chance.apply(journey, &mut visit);
        let mut classes = Classes::new(self.habits.clone());
        let mut merge = Merge::new(points, stretch);
        while let Some(group) = merge.next_group() {
            classes.journeys(
                points,
                self.relations,
                group.timestamp_ns,
                group.sightings,
                &mut visit,
            );
        }
    }
}

/// How many of the first sightings have this timestamp.
#[inline]
fn run(sightings: &[Sighting], timestamp_ns: u64) -> usize {
    sightings
        .iter()
        .take_while(|sighting| sighting.timestamp_ns == timestamp_ns)
        .count()
}

/// The sightings with one timestamp.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group<'a, 'g> {
    pub(super) timestamp_ns: u64,
    points: &'a [Point],
    /// Of each point; not all empty.
    pub(super) sightings: &'g [&'a [Sighting]],
    stretch: &'g Stretch,
    /// Of each point, those of the stretch that follow.
    ahead: &'g [&'a [Sighting]],
    /// No point has more than one.
    pub(super) is_single: bool,
}

impl<'a, 'g> Group<'a, 'g> {
    /// Sightings with one timestamp that lie in no stretch: the group has no starts.
    pub(super) fn apart(
        points: &'a [Point],
        sightings: &'g [&'a [Sighting]],
        nowhere: &'g Stretch,
    ) -> Self {
        let timestamps = sightings.iter().filter_map(|of_point| of_point.first());
        let timestamp_ns = timestamps.map(|sighting| sighting.timestamp_ns).min();
        Self {
            timestamp_ns: timestamp_ns.unwrap_or_default(),
            points,
            sightings,
            stretch: nowhere,
            ahead: &[],
            is_single: sightings.iter().all(|of_point| of_point.len() <= 1),
        }
    }

    /// Whether all sightings of the group show the same bytes.
    #[inline]
    pub(super) fn agrees(&self) -> bool {
        let mut reference: Option<(u64, &Sighting)> = None;
        for (point, sightings) in self.points.iter().zip(self.sightings) {
            for sighting in *sightings {
                let key = point.keys[sighting.flow as usize];
                match reference {
                    None => reference = Some((key, sighting)),
                    Some((same, other)) if sighting.shows_bytes_of(key, other, same) => {}
                    Some(_) => return false,
                }
            }
        }
        true
    }

    /// Whether a point saw the first piece of a packet.
    pub(super) fn has_fragment(&self) -> bool {
        let mut firsts = self.firsts();
        firsts.any(|(point, sighting)| self.points[point].flow(sighting).is_fragment)
    }

    /// For each point, the index of its first sighting, or of its next if it has none.
    pub(super) fn starts(&self) -> impl Iterator<Item = usize> {
        let behind = self.stretch.ends.iter().zip(self.sightings).zip(self.ahead);
        behind.map(|((end, here), ahead)| end - ahead.len() - here.len())
    }

    /// Whether a point saw the same bytes go to and fro, as when somebody echoes packets.
    #[inline]
    pub(super) fn goes_both_ways(&self) -> bool {
        !self.is_single
            && self
                .points
                .iter()
                .zip(self.sightings)
                .any(|(point, sightings)| {
                    let [first, others @ ..] = sightings else {
                        return false;
                    };
                    let first = point.flow(first);
                    others
                        .iter()
                        .any(|other| point.flow(other).is_reverse_of(first))
                })
    }

    /// The earliest sighting of each point that has one, unless they may be of two packets: of those
    /// another point may have seen only one.
    #[inline]
    pub(super) fn firsts(&self) -> impl Iterator<Item = (usize, &'a Sighting)> + Clone {
        let points = self.sightings.iter().enumerate();
        points.filter_map(|(index, of_point)| match of_point {
            [only] => Some((index, only)),
            several => {
                let earliest = copies::earliest_of_one(&self.points[index], several.iter());
                Some((index, earliest?))
            }
        })
    }
}

/// A stretch of all points' sightings: for each point, the indices where it starts and ends.
#[derive(Debug, Default)]
pub(crate) struct Stretch {
    starts: Vec<usize>,
    ends: Vec<usize>,
}

impl Stretch {
    pub(crate) fn all(points: &[Point]) -> Self {
        Self::behind(points, vec![0; points.len()])
    }

    /// All but so many of each point.
    pub(super) fn behind(points: &[Point], starts: Vec<usize>) -> Self {
        Self {
            starts,
            ends: points.iter().map(|point| point.sightings.len()).collect(),
        }
    }

    /// For each point, the index where the stretch ends.
    pub(super) fn ends(&self) -> &[usize] {
        &self.ends
    }

    /// What lies before a timestamp, and the rest.
    pub(super) fn split(self, points: &[Point], timestamp_ns: u64) -> [Self; 2] {
        let is_before = |sighting: &Sighting| sighting.timestamp_ns < timestamp_ns;
        let middle: Vec<usize> = points
            .iter()
            .map(|point| point.sightings.partition_point(is_before))
            .collect();
        [
            Self {
                starts: self.starts,
                ends: middle.clone(),
            },
            Self {
                starts: middle,
                ends: self.ends,
            },
        ]
    }
}

/// Goes through a stretch of all points' sightings, timestamp by timestamp.
pub(super) struct Merge<'a, 's> {
    points: &'a [Point],
    stretch: &'s Stretch,
    /// Of each point, the sightings that are still to come.
    ahead: Vec<&'a [Sighting]>,
    group: Vec<&'a [Sighting]>,
}

impl<'a, 's> Merge<'a, 's> {
    pub(super) fn new(points: &'a [Point], stretch: &'s Stretch) -> Self {
        let whole = stretch.starts.iter().zip(&stretch.ends);
        Self {
            points,
            stretch,
            ahead: points
                .iter()
                .zip(whole)
                .map(|(point, (&start, &end))| &point.sightings[start..end])
                .collect(),
            group: vec![&[]; points.len()],
        }
    }

    /// What lies ahead of each point; who takes from it what needs no group, takes whole
    /// timestamps.
    #[inline]
    pub(super) fn ahead(&mut self) -> &mut [&'a [Sighting]] {
        &mut self.ahead
    }

    /// The sightings with the next timestamp.
    #[inline]
    pub(super) fn next_group(&mut self) -> Option<Group<'a, '_>> {
        let next = self
            .ahead
            .iter()
            .filter_map(|ahead| Some(ahead.first()?.timestamp_ns));
        let timestamp_ns = next.min()?;
        let mut is_single = true;
        for (ahead, group) in self.ahead.iter_mut().zip(&mut self.group) {
            let here = run(ahead, timestamp_ns);
            (*group, *ahead) = ahead.split_at(here);
            is_single &= here <= 1;
        }
        Some(Group {
            timestamp_ns,
            points: self.points,
            stretch: self.stretch,
            sightings: &self.group,
            ahead: &self.ahead,
            is_single,
        })
    }
}

/// In what two sightings with the same timestamp agree.
#[allow(clippy::struct_excessive_bools)] // Independent signs, counted.
struct Likeness {
    carrier: bool,
    protocol: bool,
    ports: bool,
    length: bool,
    payload: bool,
    /// The length is not comparable: one of the two is a fragment.
    is_fragmented: bool,
}

impl Likeness {
    #[inline]
    fn of((a, flow_a): (&Sighting, &Flow), (b, flow_b): (&Sighting, &Flow)) -> Self {
        Self {
            carrier: flow_a.carrier == flow_b.carrier,
            protocol: flow_a.protocol == flow_b.protocol,
            ports: flow_a.source_port == flow_b.source_port
                && flow_a.destination_port == flow_b.destination_port,
            length: a.payload_len == b.payload_len,
            payload: a.may_have_payload_of(b),
            is_fragmented: flow_a.is_fragment != flow_b.is_fragment,
        }
    }

    /// One packet that something on the path has altered or cut into fragments: the timestamp
    /// and at least two more signs agree. Where no other packet has the timestamp, the number is
    /// enough; another number is none of the same packet unless all else agrees.
    fn is_altered(&self, is_only_one: bool) -> bool {
        let signs = [self.ports, self.length, self.payload];
        let agreeing = signs.iter().filter(|agrees| **agrees).count();
        self.carrier
            && match (self.protocol, is_only_one) {
                (true, true) => true,
                (true, false) => agreeing >= 1,
                (false, is_only_one) => is_only_one && agreeing == signs.len(),
            }
    }

    /// The same number with the same payload: not just any packet of the same moment.
    fn is_of_same_content(&self) -> bool {
        self.carrier && self.protocol && (self.length || self.is_fragmented) && self.payload
    }
}

/// One packet in so many that shares its timestamp with another is chance, or somebody else's.
const RARELY: u64 = 64;

/// Whether packets often share timestamps at a point: their sender's clock is coarse. Another place
/// in the point's host may show the same packet otherwise, and so may its fragments.
fn timestamps_repeat(point: &Point) -> bool {
    let are_two = |a: &Sighting, b: &Sighting| {
        let key = |sighting: &Sighting| point.keys[sighting.flow as usize];
        let [of_a, of_b] = [a, b].map(|sighting| point.flow(sighting));
        !a.shows_bytes_of(key(a), b, key(b))
            && of_a.stage == of_b.stage
            && of_a.is_fragment == of_b.is_fragment
    };
    let neighbours = point.sightings.windows(2);
    let sharing = neighbours
        .filter(|pair| pair[0].timestamp_ns == pair[1].timestamp_ns && are_two(&pair[0], &pair[1]));
    sharing.count() as u64 > point.hdp / RARELY
}

/// What the points' packets have in common.
#[derive(Debug, Clone, Default)]
struct Habits {
    /// How long a packet and its duplicates are waited for.
    wait_ns: u64,
    /// By point: whether it stands on a mirror port.
    mirrored: Vec<bool>,
    /// Packets share timestamps so often that one alone identifies none.
    timestamps_repeat: bool,
}

impl Habits {
    fn of(points: &[Point], wait_ns: u64) -> Self {
        Self {
            wait_ns,
            mirrored: points.iter().map(copies::is_mirrored).collect(),
            timestamps_repeat: points.iter().any(timestamps_repeat),
        }
    }
}

/// The packets in a group that is not one at sight; storage is reused from group to group.
#[derive(Debug, Default)]
struct Classes<'a> {
    habits: Habits,
    members: Vec<Member<'a>>,
    /// Distinct packets of the class at hand, by point.
    distinct: Vec<Vec<Seen<'a>>>,
    seen: Vec<Option<Seen<'a>>>,
    copies: Vec<Copy<'a>>,
    /// Classes that may be the altered half of several others.
    unclear: Vec<bool>,
}

/// A sighting and the class of like sightings that it belongs to.
#[derive(Debug, Clone, Copy)]
struct Member<'a> {
    class: usize,
    key: Key,
    point: usize,
    sighting: &'a Sighting,
    flow: &'a Flow,
}

/// What tells packets with the same timestamp apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    way: Way,
    carrier: Carrier,
    protocol: u8,
    ports: (u16, u16),
    payload_len: u16,
    digest: Option<u32>,
}

impl<'a> Classes<'a> {
    /// More classes than this under one timestamp are not searched for alterations: with so many
    /// candidates nothing would be the only one.
    const MOST_TO_JOIN: usize = 32;

    fn new(habits: Habits) -> Self {
        Self {
            habits,
            ..Self::default()
        }
    }

    /// Gives the journeys of the packets that have this timestamp.
    fn journeys(
        &mut self,
        points: &'a [Point],
        relations: &Relations,
        timestamp_ns: u64,
        sightings: &[&'a [Sighting]],
        visit: &mut impl FnMut(&Journey),
    ) {
        let mut all = sightings
            .iter()
            .enumerate()
            .flat_map(|(point, seen)| seen.iter().map(move |s| (point, s)));
        if let (Some((point, sighting)), None) = (all.next(), all.next()) {
            // One point saw it, once, as is usual for a packet that was lost.
            self.seen.clear();
            self.seen.resize(points.len(), None);
            self.seen[point] = Some(Seen {
                sighting,
                duplicates: 0,
                copies: 0,
            });
            let way = relations.way(point, sighting.flow);
            visit(&Journey {
                timestamp_ns,
                way,
                seen: &self.seen,
                is_indistinct: false,
            });
        } else {
            self.take_apart(points, relations, sightings);
            self.visit(points, timestamp_ns, visit);
        }
    }

    /// Puts each sighting of the group into the class of its like.
    fn take_apart(
        &mut self,
        points: &'a [Point],
        relations: &Relations,
        sightings: &[&'a [Sighting]],
    ) {
        self.members.clear();
        self.unclear.clear();
        // Where a snapshot length has hidden one payload, no payload tells packets apart.
        let mut all = sightings.iter().copied().flatten();
        let are_digests_known = all.all(|sighting| sighting.digest().is_some());
        for (index, (point, sightings)) in points.iter().zip(sightings).enumerate() {
            for sighting in *sightings {
                let flow = point.flow(sighting);
                let key = Key {
                    way: relations.way(index, sighting.flow),
                    carrier: flow.carrier,
                    protocol: flow.protocol,
                    ports: (flow.source_port, flow.destination_port),
                    payload_len: sighting.payload_len,
                    digest: sighting.digest().filter(|_| are_digests_known),
                };
                self.members.push(Member {
                    class: 0,
                    key,
                    point: index,
                    sighting,
                    flow,
                });
            }
        }
        self.members
            .sort_by_key(|member| (member.key, member.point));
        let mut count = 0;
        for class in self.members.chunk_by_mut(|a, b| a.key == b.key) {
            for member in class {
                member.class = count;
            }
            count += 1;
        }
        if (2..=Self::MOST_TO_JOIN).contains(&count) {
            self.join_altered(count);
            self.members
                .sort_by_key(|member| (member.class, member.point));
        }
    }

    /// Joins two classes that were seen at different points if they are the only candidates for
    /// each other: one packet, altered in between. With more candidates, which is which is unclear.
    fn join_altered(&mut self, count: usize) {
        let is_only_one = self.members.iter().enumerate().all(|(index, member)| {
            let mut others = self.members[..index].iter();
            others.all(|other| other.point != member.point)
        });
        self.unclear.resize(count, false);
        for class in 0..count {
            let partners = |of: usize| (0..count).filter(move |&other| of != other);
            let mut candidates = partners(class).filter(|&o| self.may_join(class, o, is_only_one));
            let Some(partner) = candidates.next() else {
                // Altered beyond recognition, or two packets?
                self.unclear[class] = partners(class).any(|other| self.may_be_one(class, other));
                continue;
            };
            let is_clear = candidates.next().is_none()
                && partners(partner)
                    .filter(|&other| self.may_join(partner, other, is_only_one))
                    .count()
                    == 1;
            if is_clear && self.is_identified(class, partner) {
                let of_partner = |member: &&mut Member| member.class == partner;
                for member in self.members.iter_mut().filter(of_partner) {
                    member.class = class;
                }
            } else {
                self.unclear[class] = true;
            }
        }
    }

    /// Whether two classes of one number were seen at different points.
    fn may_be_one(&self, a: usize, b: usize) -> bool {
        let kind = |key: Key| (key.way, key.carrier, key.protocol);
        self.of(a).all(|one| {
            self.of(b)
                .all(|other| one.point != other.point && kind(one.key) == kind(other.key))
        }) && self.of(b).next().is_some()
    }

    fn may_join(&self, a: usize, b: usize, is_only_one: bool) -> bool {
        let likeness = self.likeness(a, b);
        a != b
            && likeness.is_some_and(|likeness| likeness.is_altered(is_only_one))
            && self
                .of(a)
                .all(|one| self.of(b).all(|other| one.point != other.point))
    }

    /// Whether more than the timestamp says that two classes are one packet, where that is needed.
    fn is_identified(&self, a: usize, b: usize) -> bool {
        !self.habits.timestamps_repeat
            || self
                .likeness(a, b)
                .is_some_and(|likeness| likeness.is_of_same_content())
    }

    /// In what two classes agree that go the same way.
    fn likeness(&self, a: usize, b: usize) -> Option<Likeness> {
        let (a, b) = (self.of(a).next()?, self.of(b).next()?);
        let ends = ((a.sighting, a.flow), (b.sighting, b.flow));
        (a.key.way == b.key.way).then(|| Likeness::of(ends.0, ends.1))
    }

    /// The sightings of a class.
    fn of(&self, class: usize) -> impl Iterator<Item = &Member<'a>> {
        let members = self.members.iter();
        members.filter(move |member| member.class == class)
    }

    /// Gives the journeys of all classes.
    fn visit(&mut self, points: &'a [Point], timestamp_ns: u64, visit: &mut impl FnMut(&Journey)) {
        self.distinct.resize_with(points.len(), Vec::new);
        for class in self.members.chunk_by(|a, b| a.class == b.class) {
            for each_is_a_packet in [false, true] {
                self.distinct.iter_mut().for_each(Vec::clear);
                for at_point in class.chunk_by(|a, b| a.point == b.point) {
                    let index = at_point[0].point;
                    self.copies.clear();
                    let sightings = at_point.iter().map(|member| member.sighting);
                    let copies = sightings.map(|sighting| Copy::new(&points[index], sighting));
                    self.copies.extend(copies);
                    let reading = Reading {
                        is_mirrored: self.habits.mirrored[index],
                        each_is_a_packet,
                        tells_sources: self.habits.timestamps_repeat,
                        wait_ns: self.habits.wait_ns,
                    };
                    copies::tell_apart(&mut self.copies, reading, &mut self.distinct[index]);
                }
                if !copies::may_hide_a_loss(&self.distinct, class[0].key.way) {
                    break;
                }
            }
            let counts = self.distinct.iter().map(Vec::len);
            let packets = counts.clone().max().unwrap_or(0);
            let is_indistinct = counts
                .filter(|&count| count > 0)
                .any(|count| count != packets)
                || self
                    .unclear
                    .get(class[0].class)
                    .is_some_and(|unclear| *unclear);
            for packet in 0..packets {
                self.seen.clear();
                self.seen.extend(
                    self.distinct
                        .iter()
                        .map(|distinct| distinct.get(packet).copied()),
                );
                visit(&Journey {
                    timestamp_ns,
                    way: class[0].key.way,
                    seen: &self.seen,
                    is_indistinct,
                });
            }
        }
    }
}
