//! The merge: groups of sightings with the same timestamp, taken apart into packets.

use std::ops::Range;

use super::{Relations, Way};
use crate::{
    decode::Carrier,
    observe::{Flow, Point, Sighting, Stage},
};

/// One packet and where it was seen.
#[derive(Debug)]
pub struct Journey<'a> {
    /// HDP's timestamp.
    pub timestamp_ns: u64,
    /// Which way along the points it went.
    pub way: Way,
    /// For each point, in path order, where it was seen there.
    pub seen: &'a [Option<Seen>],
    /// Another packet has the same key and was not seen at the same points: which of them was
    /// seen where is unknown.
    pub is_indistinct: bool,
}

/// A packet at a point that saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Index into [`Point::sightings`] of the first copy.
    pub sighting: usize,
    /// Further copies at the same place inside the point's host.
    pub duplicates: u32,
}

/// Calls `visit` with the journey of every distinct packet, by rising timestamp.
pub fn journeys(points: &[Point], relations: &Relations, mut visit: impl FnMut(&Journey)) {
    let mut seen = vec![None; points.len()];
    let mut classes = Classes::default();
    groups(points, |timestamp_ns, group| {
        if is_plain(points, group) {
            let mut way = None;
            for (point, range) in group.iter().enumerate() {
                seen[point] = (!range.is_empty()).then(|| {
                    let sighting = &points[point].sightings[range.start];
                    way.get_or_insert_with(|| relations.way(point, sighting.flow));
                    Seen {
                        sighting: range.start,
                        duplicates: 0,
                    }
                });
            }
            let way = way.unwrap_or(Way::Forward);
            visit(&Journey {
                timestamp_ns,
                way,
                seen: &seen,
                is_indistinct: false,
            });
        } else {
            classes.take_apart(points, relations, group);
            classes.visit(points, timestamp_ns, &mut seen, &mut visit);
        }
    });
}

/// Calls `visit` with each timestamp and, for each point, the range of its sightings that have it.
pub(super) fn groups(points: &[Point], mut visit: impl FnMut(u64, &[Range<usize>])) {
    let mut group: Vec<Range<usize>> = vec![0..0; points.len()];
    loop {
        let mut next = None;
        for (point, range) in points.iter().zip(&group) {
            if let Some(sighting) = point.sightings.get(range.end) {
                let timestamp = sighting.timestamp_ns;
                next = Some(next.map_or(timestamp, |next: u64| next.min(timestamp)));
            }
        }
        let Some(timestamp) = next else { return };
        for (point, range) in points.iter().zip(&mut group) {
            range.start = range.end;
            while point
                .sightings
                .get(range.end)
                .is_some_and(|s| s.timestamp_ns == timestamp)
            {
                range.end += 1;
            }
        }
        visit(timestamp, &group);
    }
}

/// Whether the group is one packet at sight: no point has it twice, and the sightings agree.
#[inline]
fn is_plain(points: &[Point], group: &[Range<usize>]) -> bool {
    group.iter().all(|range| range.len() <= 1) && agrees(points, group)
}

/// Whether all sightings of the group show the same bytes.
#[inline]
pub(super) fn agrees(points: &[Point], group: &[Range<usize>]) -> bool {
    let mut first: Option<(&Sighting, &Flow)> = None;
    for (point, range) in points.iter().zip(group) {
        for sighting in &point.sightings[range.clone()] {
            let flow = point.flow(sighting);
            match first {
                None => first = Some((sighting, flow)),
                Some(first) if Likeness::of(first, (sighting, flow)).is_same() => {}
                Some(_) => return false,
            }
        }
    }
    true
}

/// In what two sightings with the same timestamp agree.
#[allow(clippy::struct_excessive_bools)] // Five independent signs, counted.
struct Likeness {
    carrier: bool,
    protocol: bool,
    ports: bool,
    length: bool,
    payload: bool,
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
        }
    }

    /// One packet, unchanged.
    #[inline]
    fn is_same(&self) -> bool {
        self.carrier && self.protocol && self.ports && self.length && self.payload
    }

    /// One packet that something on the path has altered or cut into fragments: the timestamp
    /// and at least two more signs agree.
    fn is_altered(&self) -> bool {
        let signs = [self.protocol, self.ports, self.length, self.payload];
        self.carrier && signs.iter().filter(|agrees| **agrees).count() >= 2
    }
}

/// The packets in a group that is not plain; storage is reused from group to group.
#[derive(Debug, Default)]
struct Classes {
    members: Vec<Member>,
    /// Distinct packets of the class at hand, by point.
    distinct: Vec<Vec<Seen>>,
    copies: Vec<Copy>,
}

/// A sighting and the class of like sightings that it belongs to.
#[derive(Debug, Clone, Copy)]
struct Member {
    class: usize,
    key: Key,
    point: usize,
    sighting: usize,
}

/// What tells packets with the same timestamp apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    way: Way,
    carrier: Carrier,
    protocol: u8,
    ports: (u16, u16),
    payload_len: u16,
    digest: Option<[u8; 3]>,
}

/// A sighting in the order in which copies are told from packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Copy {
    place: (Stage, u8),
    ip_id: u16,
    time_ns: i64,
    sighting: usize,
}

impl Classes {
    /// More classes than this under one timestamp are not searched for alterations: with so many
    /// candidates nothing would be the only one.
    const MOST_TO_JOIN: usize = 32;

    /// Puts each sighting of the group into the class of its like.
    fn take_apart(&mut self, points: &[Point], relations: &Relations, group: &[Range<usize>]) {
        self.members.clear();
        // Where a snapshot length has hidden one payload, no payload tells packets apart.
        let are_digests_known = points.iter().zip(group).all(|(point, range)| {
            point.sightings[range.clone()]
                .iter()
                .all(|s| s.digest().is_some())
        });
        for (index, range) in group.iter().enumerate() {
            let point = &points[index];
            for sighting in range.clone() {
                let seen = &point.sightings[sighting];
                let flow = point.flow(seen);
                let key = Key {
                    way: relations.way(index, seen.flow),
                    carrier: flow.carrier,
                    protocol: flow.protocol,
                    ports: (flow.source_port, flow.destination_port),
                    payload_len: seen.payload_len,
                    digest: seen.digest().filter(|_| are_digests_known),
                };
                self.members.push(Member {
                    class: 0,
                    key,
                    point: index,
                    sighting,
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
            self.join_altered(points, count);
            self.members
                .sort_by_key(|member| (member.class, member.point));
        }
    }

    /// Joins two classes that were seen at different points if they are the only candidates for
    /// each other: one packet, altered in between.
    fn join_altered(&mut self, points: &[Point], count: usize) {
        for class in 0..count {
            let mut partners = (0..count).filter(|&other| self.may_join(points, class, other));
            let (Some(partner), None) = (partners.next(), partners.next()) else {
                continue;
            };
            let back = (0..count)
                .filter(|&other| self.may_join(points, partner, other))
                .count();
            if back == 1 {
                for member in self
                    .members
                    .iter_mut()
                    .filter(|member| member.class == partner)
                {
                    member.class = class;
                }
            }
        }
    }

    fn may_join(&self, points: &[Point], a: usize, b: usize) -> bool {
        let of = |class| {
            self.members
                .iter()
                .filter(move |member| member.class == class)
        };
        let (Some(first_a), Some(first_b)) = (of(a).next(), of(b).next()) else {
            return false;
        };
        let get = |member: &Member| {
            let sighting = &points[member.point].sightings[member.sighting];
            (sighting, points[member.point].flow(sighting))
        };
        a != b
            && first_a.key.way == first_b.key.way
            && Likeness::of(get(first_a), get(first_b)).is_altered()
            && of(a).all(|one| of(b).all(|other| one.point != other.point))
    }

    /// Gives the journeys of all classes.
    fn visit(
        &mut self,
        points: &[Point],
        timestamp_ns: u64,
        seen: &mut [Option<Seen>],
        visit: &mut impl FnMut(&Journey),
    ) {
        self.distinct.resize_with(points.len(), Vec::new);
        for class in self.members.chunk_by(|a, b| a.class == b.class) {
            self.distinct.iter_mut().for_each(Vec::clear);
            for at_point in class.chunk_by(|a, b| a.point == b.point) {
                let point = at_point[0].point;
                let sightings = at_point.iter().map(|member| member.sighting);
                self.copies.clear();
                self.copies
                    .extend(sightings.map(|index| Copy::of(&points[point], index)));
                tell_copies_apart(&mut self.copies, &mut self.distinct[point]);
            }
            let counts = self.distinct.iter().map(Vec::len);
            let packets = counts.clone().max().unwrap_or(0);
            let is_indistinct = counts
                .filter(|&count| count > 0)
                .any(|count| count != packets);
            for packet in 0..packets {
                for (seen, distinct) in seen.iter_mut().zip(&self.distinct) {
                    *seen = distinct.get(packet).copied();
                }
                visit(&Journey {
                    timestamp_ns,
                    way: class[0].key.way,
                    seen,
                    is_indistinct,
                });
            }
        }
    }
}

impl Copy {
    fn of(point: &Point, index: usize) -> Self {
        let sighting = &point.sightings[index];
        let flow = point.flow(sighting);
        Self {
            place: (flow.stage, flow.ttl),
            ip_id: sighting.ip_id,
            time_ns: sighting.time_ns,
            sighting: index,
        }
    }
}

/// Sorts sightings with the same bytes at one point into distinct packets with their duplicates.
///
/// A capture shows a packet again when it crosses the host (other interface, direction or TTL),
/// when it is mirrored, and when the network duplicated it: the same packet each time. Only
/// another IP ID *at the same place* says that the sender sent two packets with the same bytes.
/// The place that shows most packets speaks for the point, of several the earliest.
fn tell_copies_apart(copies: &mut [Copy], distinct: &mut Vec<Seen>) {
    copies.sort_unstable();
    let packets = |place: &[Copy]| place.chunk_by(|a, b| a.ip_id == b.ip_id).count();
    let earliest = |place: &[Copy]| place.iter().map(|copy| copy.time_ns).min();
    let place = copies
        .chunk_by(|a, b| a.place == b.place)
        .max_by_key(|place| (packets(place), std::cmp::Reverse(earliest(place))));
    for packet in place
        .into_iter()
        .flat_map(|place| place.chunk_by(|a, b| a.ip_id == b.ip_id))
    {
        distinct.push(Seen {
            sighting: packet[0].sighting,
            duplicates: u32::try_from(packet.len() - 1).unwrap_or(u32::MAX),
        });
    }
}
