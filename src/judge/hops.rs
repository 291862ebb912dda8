//! Hops: by how much the TTL falls from one point to the next, and which packets cannot have come so far.
//!
//! What a trace sends with a TTL that could not suffice is not lost. It is told by what others needed to
//! get to the next point; where nothing got there, by an ICMP error that says so, of small TTLs only: a
//! full one that runs out went round in a loop, and is lost.

use std::net::IpAddr;

use super::Judgement;
use crate::{
    correlate::{Journey, Relations, Station, Survey, Way},
    observe::Point,
};

/// A packet that starts with more than this was sent to arrive.
pub(crate) const LARGEST_TTL_OF_A_TRACE: u8 = 32;

/// The fall of the TTL between neighbouring points.
#[derive(Debug)]
pub(super) struct Hops {
    /// For each way, the least from the point at a position to the next; `None` where nothing told.
    falls: [Vec<Option<u8>>; 2],
}

impl Hops {
    pub(super) fn learn(points: &[Point], relations: &Relations, survey: &Survey) -> Self {
        let mut falls = [(); 2].map(|()| vec![None; points.len().saturating_sub(1)]);
        for second in 1..points.len() {
            for (flows, _) in survey.links(points.len(), second - 1, second) {
                let way = relations.way(second - 1, flows.0);
                let ttl = |point: usize, flow: u32| points[point].flows[flow as usize].flow.ttl;
                let (near, far) = (ttl(second - 1, flows.0), ttl(second, flows.1));
                let (position, fall) = match way {
                    Way::Forward => (second - 1, near.checked_sub(far)),
                    Way::Reverse => (points.len() - 1 - second, far.checked_sub(near)),
                };
                let Some(fall) = fall else {
                    continue;
                };
                let least: &mut Option<u8> = &mut falls[way.index()][position];
                *least = Some(least.map_or(fall, |least| least.min(fall)));
            }
        }
        Self { falls }
    }

    /// By how much the TTL falls at least from one position to a later one.
    fn between(&self, way: Way, from: usize, to: usize) -> Option<u8> {
        let falls = self.falls[way.index()].get(from..to)?;
        let sum = falls
            .iter()
            .try_fold(0_u8, |sum, fall| sum.checked_add((*fall)?));
        // A larger one is no distance: a box on the way sets the TTL anew.
        sum.filter(|sum| (1..=LARGEST_TTL_OF_A_TRACE).contains(sum))
    }
}

impl Judgement<'_> {
    /// Whether a packet could not come to the point that should have seen it next.
    pub(super) fn is_expired(&self, journey: &Journey, last: &Station, next: usize) -> bool {
        let way = journey.way;
        let ttl = self.points[last.point].flow(last.seen.sighting).ttl;
        let next = way.at(next, self.points.len());
        let needs = self.hops.between(way, last.position, next);
        needs.is_some_and(|needs| ttl > 0 && ttl <= needs)
            || (ttl <= LARGEST_TTL_OF_A_TRACE && self.ran_out_at(journey).is_some())
    }

    /// Who said that a packet's TTL ran out there, and with which TTL it was seen first.
    pub(super) fn ran_out_at(&self, journey: &Journey) -> Option<(u8, IpAddr)> {
        let first = journey.stations().next()?;
        let flow = self.points[first.point].flow(first.seen.sighting);
        let from = self.evidence.expiry(self.points, journey, flow)?;
        (flow.ttl > 0).then_some((flow.ttl, from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fall_that_is_no_distance_makes_no_packet_expire() {
        let falls = vec![Some(8), Some(4), None, Some(190), Some(100)];
        let hops = Hops {
            falls: [falls, Vec::new()],
        };
        let between = |from, to| hops.between(Way::Forward, from, to);
        assert_eq!(between(0, 1), Some(8));
        assert_eq!(between(0, 2), Some(12));
        assert_eq!(between(1, 3), None);
        assert_eq!(between(3, 4), None);
        assert_eq!(between(3, 5), None);
        assert_eq!(between(4, 9), None);
        assert_eq!(hops.between(Way::Reverse, 0, 1), None);
    }
}
