//! Fates: what became of each packet, counted by number.

use std::net::IpAddr;

use super::{Judgement, order, tally_index, window_index};
use crate::{
    correlate::{Journey, Seen, Way},
    findings::{Fate, Packet, PacketSighting},
    observe::Sighting,
};

/// What was counted of one number, one carrier, one way.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) packets: u64,
    pub(super) delivered: u64,
    pub(super) lost: u64,
    pub(super) edge: u64,
    pub(super) late: u64,
    pub(super) ambiguous: u64,
    pub(super) altered: u64,
    pub(super) duplicates: u64,
    pub(super) reordered: u64,
    /// Distinct packets by point, in the order of the points.
    pub(super) seen: Vec<u64>,
    /// Losses by the two points (indices) between which they happened, in order of appearance.
    pub(super) lost_at: Vec<((usize, usize), u64)>,
    /// The first lost packet: the point that saw it last, and its frame there.
    pub(super) first_lost: Option<(usize, u32)>,
    /// Lost packets that an ICMP error quotes, by its sender, version, type and code.
    pub(super) answered: Vec<((IpAddr, u8, u8, u8), u64)>,
    /// A packet was delivered after another, sent earlier, had been lost.
    pub(super) arrived_after_loss: bool,
    /// Last point's time less first point's of each delivered packet, on their own clocks.
    pub(super) delays_ns: Vec<i64>,
    /// Packets at the edge, by the point that was not watching for them.
    pub(super) unwatched: Vec<u64>,
}

/// Packets that were judged, and how many of them were lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) packets: u64,
    pub(super) lost: u64,
}

impl Tally {
    pub(super) fn new(points: usize) -> Self {
        Self {
            seen: vec![0; points],
            unwatched: vec![0; points],
            ..Self::default()
        }
    }

    pub(super) fn judged(&self) -> Judged {
        Judged {
            packets: self.delivered + self.lost,
            lost: self.lost,
        }
    }

    /// The smallest difference between the last and the first point's times.
    pub(super) fn fastest_ns(&self) -> Option<i64> {
        self.delays_ns.iter().copied().min()
    }
}

/// A fate with what it rests on.
enum Ruling {
    Delivered,
    Late,
    /// Lost between two points.
    Lost(usize, usize),
    /// The point was not watching.
    Edge(usize),
    Ambiguous,
}

impl Judgement<'_, '_> {
    /// Judges one packet and counts it.
    #[inline]
    pub(super) fn journey(&mut self, journey: &Journey) {
        let points = self.points;
        let count = points.len();
        // Positions along the packet's way; `at` maps them to points.
        let at = |position: usize| match journey.way {
            Way::Forward => position,
            Way::Reverse => count - 1 - position,
        };
        let seen = |position: usize| journey.seen[at(position)];
        let sighting = |position: usize| -> Option<(&Sighting, Seen)> {
            let seen = seen(position)?;
            Some((&points[at(position)].sightings[seen.sighting], seen))
        };
        let (Some(first), Some(last)) = (
            (0..count).find(|&position| seen(position).is_some()),
            (0..count).rev().find(|&position| seen(position).is_some()),
        ) else {
            return;
        };
        let (Some((origin, _)), Some((end, end_seen))) = (sighting(first), sighting(last)) else {
            return;
        };
        let flow = points[at(first)].flow(origin);

        let ruling = if last + 1 == count {
            if self.is_late(journey.way, (at(first), origin), (at(last), end)) {
                Ruling::Late
            } else {
                Ruling::Delivered
            }
        } else if journey.is_indistinct {
            Ruling::Ambiguous
        } else {
            let watching = (last + 1..count)
                .find(|&next| self.was_watching(journey.way, (at(last), end), at(next)));
            match watching {
                Some(next) => Ruling::Lost(at(last), at(next)),
                None => Ruling::Edge(at(last + 1)),
            }
        };

        for position in first + 1..last {
            if seen(position).is_none()
                && self.was_watching(journey.way, (at(last), end), at(position))
            {
                self.missed[at(position)] += 1;
            }
        }
        let mut altered = false;
        let mut before = (at(first), origin);
        for position in first + 1..=last {
            if let Some((after, _)) = sighting(position) {
                let after = (at(position), after);
                altered |= self.changes.note(points, before, after);
                before = after;
            }
        }

        let index = tally_index(journey.way, flow.carrier, flow.protocol);
        let tally = self.tallies[index].get_or_insert_with(|| Box::new(Tally::new(count)));
        tally.packets += 1;
        for (seen, counted) in journey.seen.iter().zip(&mut tally.seen) {
            *counted += u64::from(seen.is_some());
        }
        match ruling {
            Ruling::Delivered => {
                tally.delivered += 1;
                tally.altered += u64::from(altered);
                tally.duplicates += u64::from(end_seen.duplicates);
                tally.reordered += u64::from(end.is_reordered());
                tally.arrived_after_loss |= tally.lost > 0;
                if first == 0 {
                    tally
                        .delays_ns
                        .push(end.time_ns.saturating_sub(origin.time_ns));
                }
            }
            Ruling::Late => tally.late += 1,
            Ruling::Lost(from, to) => {
                tally.lost += 1;
                tally.first_lost.get_or_insert((from, end.frame));
                add(&mut tally.lost_at, (from, to));
                let answer = self
                    .evidence
                    .about(journey.way, flow.protocol, journey.timestamp_ns);
                if let Some(error) = answer {
                    add(&mut tally.answered, error);
                }
            }
            Ruling::Edge(point) => {
                tally.edge += 1;
                tally.unwatched[point] += 1;
            }
            Ruling::Ambiguous => tally.ambiguous += 1,
        }
        if self.packet.is_some() {
            self.report_packet(journey, &ruling, altered);
        }
    }

    /// Whether point `to` was watching when it should have seen what `from` saw.
    #[inline]
    fn was_watching(&self, way: Way, (from, sighting): (usize, &Sighting), to: usize) -> bool {
        let window = self.windows[window_index(self.points.len(), way, from, to)];
        self.points[to].coverage.contains(
            sighting.time_ns.saturating_add(window.from_ns),
            sighting.time_ns.saturating_add(window.to_ns),
        )
    }

    #[inline]
    fn is_late(
        &self,
        way: Way,
        (from, origin): (usize, &Sighting),
        (to, end): (usize, &Sighting),
    ) -> bool {
        let fastest = self.fastest_ns[window_index(self.points.len(), way, from, to)];
        fastest.is_some_and(|fastest| {
            end.time_ns
                .saturating_sub(origin.time_ns)
                .saturating_sub(fastest)
                > self.wait_ns
        })
    }

    #[cold]
    fn report_packet(&mut self, journey: &Journey, ruling: &Ruling, altered: bool) {
        let points = self.points;
        let order = order(points.len(), journey.way);
        let name = |point: usize| points[point].name.clone();
        let sightings: Vec<(usize, &Sighting, u32)> = journey
            .seen
            .iter()
            .enumerate()
            .filter_map(|(point, seen)| {
                let seen = (*seen)?;
                Some((
                    point,
                    &points[point].sightings[seen.sighting],
                    seen.duplicates,
                ))
            })
            .collect();
        let in_order =
            |pick: &dyn Fn(&[usize]) -> Option<usize>| pick(&order).map(name).unwrap_or_default();
        let first = order
            .iter()
            .find_map(|point| sightings.iter().find(|(seen_at, _, _)| seen_at == point));
        let Some(&(first_point, origin, _)) = first else {
            return;
        };
        let flow = points[first_point].flow(origin);
        let delivered = matches!(ruling, Ruling::Delivered);
        let packet = Packet {
            from: in_order(&|order| order.first().copied()),
            to: in_order(&|order| order.last().copied()),
            timestamp_ns: journey.timestamp_ns,
            protocol: flow.protocol,
            carrier: flow.carrier,
            srcport: flow.source_port,
            dstport: flow.destination_port,
            payload_len: u32::from(origin.payload_len),
            fate: match ruling {
                Ruling::Delivered => Fate::Delivered,
                Ruling::Late => Fate::Late,
                Ruling::Lost(..) => Fate::Lost,
                Ruling::Edge(_) => Fate::Edge,
                Ruling::Ambiguous => Fate::Ambiguous,
            },
            lost_at: match *ruling {
                Ruling::Lost(from, to) => Some([name(from), name(to)]),
                _ => None,
            },
            reordered: delivered
                && order.last().is_some_and(|last| {
                    sightings
                        .iter()
                        .any(|(point, end, _)| point == last && end.is_reordered())
                }),
            altered: delivered && altered,
            seen: sightings
                .iter()
                .map(|&(point, sighting, duplicates)| {
                    let flow = points[point].flow(sighting);
                    PacketSighting {
                        point: name(point),
                        frame: u64::from(sighting.frame),
                        time_ns: sighting.time_ns,
                        src: flow.source.to_string(),
                        dst: flow.destination.to_string(),
                        ttl: flow.ttl,
                        duplicates,
                    }
                })
                .collect(),
        };
        let is_reported = self
            .options
            .protocols
            .as_ref()
            .is_none_or(|list| list.on_the_wire(packet.protocol));
        if let Some(report) = self.packet.as_mut().filter(|_| is_reported) {
            report(&packet);
        }
    }
}

/// Counts one more of `key`.
fn add<K: PartialEq>(counts: &mut Vec<(K, u64)>, key: K) {
    match counts.iter_mut().find(|(counted, _)| *counted == key) {
        Some((_, count)) => *count += 1,
        None => counts.push((key, 1)),
    }
}
