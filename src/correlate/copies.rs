//! Copies: sightings with the same bytes at one point, told apart into packets.
//!
//! A point shows a packet again for three reasons. It stands at several places of one host (other
//! interface, direction, TTL or encapsulation), or a mirror port copies what it sees: those are
//! *copies*, made by the capture. The network duplicated it: a *duplicate*. Or the sender sent two
//! packets with the same bytes, which another IP ID at the same place says, and nothing says where
//! there is no IP ID.

use std::{cmp::Reverse, net::IpAddr};

use super::{Seen, Way};
use crate::{
    decode::Encapsulation,
    observe::{Point, Sighting, Stage},
};

/// How far apart a mirror's copies are at the most: what two ports of a switch need for one packet.
const MIRRORED_WITHIN_NS: u64 = 100_000;

/// A sighting among others with the same bytes at its point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Copy<'a> {
    place: Place,
    source: IpAddr,
    sighting: &'a Sighting,
}

/// Where in the point's host, by what differs between its places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    stage: Stage,
    ttl: u8,
    encapsulation: Encapsulation,
}

impl<'a> Copy<'a> {
    pub(super) fn new(point: &Point, sighting: &'a Sighting) -> Self {
        let flow = point.flow(sighting);
        Self {
            place: Place {
                stage: flow.stage,
                ttl: flow.ttl,
                encapsulation: flow.encapsulation,
            },
            source: flow.source,
            sighting,
        }
    }

    /// Whether it has an IP ID that means anything.
    fn has_id(&self) -> bool {
        self.sighting.ip_id != 0
    }
}

/// How a point's further sightings of the same bytes are to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// What is the same and microseconds away is the mirror's copy.
    pub(super) is_mirrored: bool,
    /// What has no IP ID is a packet of its own, not a duplicate.
    pub(super) each_is_a_packet: bool,
    /// What comes from another address to the same place is a packet of its own.
    pub(super) tells_sources: bool,
    /// What comes so much later than the first is waited for no more (RFC 5560): no duplicate.
    pub(super) wait_ns: u64,
}

/// Whether a point stands on a mirror port that shows most packets twice. Now and then a packet
/// twice is the network's doing.
pub(super) fn is_mirrored(point: &Point) -> bool {
    let twins = point.twins + twins(&point.sightings);
    twins > 0 && twins * 2 >= point.hdp.saturating_sub(twins)
}

/// How many of a point's sightings, by rising timestamp, a mirror port may have made.
pub(super) fn twins(sightings: &[Sighting]) -> u64 {
    let neighbours = sightings.windows(2);
    neighbours
        .filter(|pair| are_twins(&pair[0], &pair[1]))
        .count() as u64
}

/// The same bytes in the same headers, microseconds apart.
fn are_twins(a: &Sighting, b: &Sighting) -> bool {
    a.timestamp_ns == b.timestamp_ns
        && a.shows_bytes_of(a.flow.into(), b, b.flow.into())
        && a.ip_id == b.ip_id
        && a.time_ns.abs_diff(b.time_ns) <= MIRRORED_WITHIN_NS
}

/// How far apart sightings of one packet at a point are taken for one moment.
const MOMENT_NS: u64 = 100_000_000;

/// The earliest of a point's sightings with the same bytes, if they are of one packet as far as that
/// shows, and of one moment. Of those that were captured at the same time it is the one that every point
/// would take, in whatever order their records are.
pub(super) fn earliest_of_one<'a>(
    point: &Point,
    mut sightings: impl Iterator<Item = &'a Sighting> + Clone,
) -> Option<&'a Sighting> {
    let earliest = sightings.clone().min_by_key(|sighting| {
        let flow = point.flow(sighting);
        let (addresses, hops_left) = ((flow.source, flow.destination), flow.ttl);
        (sighting.time_ns, addresses, Reverse(hops_left))
    })?;
    let is_copy = |copy: &Sighting| {
        copy.ip_id == earliest.ip_id && copy.time_ns.abs_diff(earliest.time_ns) <= MOMENT_NS
    };
    sightings.all(is_copy).then_some(earliest)
}

/// Sorts sightings with the same bytes at one point into distinct packets with their duplicates
/// and copies. The place that shows most packets speaks for the point, of several the earliest.
pub(super) fn tell_apart<'a>(
    copies: &mut [Copy<'a>],
    reading: Reading,
    distinct: &mut Vec<Seen<'a>>,
) {
    let source = |copy: &Copy| reading.tells_sources.then_some(copy.source);
    let packet = |copy: &Copy| (copy.place, copy.sighting.ip_id, source(copy));
    copies.sort_by_key(|copy| (packet(copy), copy.sighting.time_ns));
    let is_same = |a: &Copy, b: &Copy| packet(a) == packet(b);
    let packets = |place: &[Copy]| place.chunk_by(is_same).count();
    let earliest = |place: &[Copy]| place.iter().map(|copy| copy.sighting.time_ns).min();
    let place = copies
        .chunk_by(|a, b| a.place == b.place)
        .max_by_key(|place| (packets(place), Reverse(earliest(place))))
        .unwrap_or_default();
    let first = distinct.len();
    for same in place.chunk_by(is_same) {
        let start = distinct.len();
        for (index, copy) in same.iter().enumerate() {
            let sighting = copy.sighting;
            let is_copy =
                reading.is_mirrored && index > 0 && are_twins(same[index - 1].sighting, sighting);
            match distinct[start..].last_mut() {
                Some(seen) if is_copy => seen.copies += 1,
                Some(seen) if copy.has_id() || !reading.each_is_a_packet => {
                    let later_ns = sighting.time_ns.abs_diff(seen.sighting.time_ns);
                    seen.duplicates += u32::from(later_ns <= reading.wait_ns);
                }
                _ => distinct.push(Seen {
                    sighting,
                    duplicates: 0,
                    copies: 0,
                }),
            }
        }
    }
    if let Some(seen) = distinct.get_mut(first) {
        seen.copies += u32::try_from(copies.len() - place.len()).unwrap_or(u32::MAX);
    }
}

/// Whether a packet may have been lost behind its like: no IP ID tells them apart, and a point
/// shows more of them than one behind it.
pub(super) fn may_hide_a_loss(distinct: &[Vec<Seen>], way: Way) -> bool {
    let count = |seen: &Vec<Seen>| match seen.as_slice() {
        [only] if only.sighting.ip_id == 0 => Some(only.duplicates),
        _ => None,
    };
    let counts = distinct.iter().filter_map(count);
    match way {
        Way::Forward => !counts.is_sorted(),
        Way::Reverse => !counts.rev().is_sorted(),
    }
}
