//! Packets one by one: the fate of each, for `--packets`.

use super::{
    Judgement, changes,
    fate::{Ruling, ends, is_unheard},
    order,
};
use crate::{
    correlate::{Journey, Station, Way},
    findings::{Expected, Fate, Packet, PacketSighting},
};

impl Judgement<'_> {
    /// The delay along the whole path, as the quantiles of its number count it.
    fn delay_ns(&self, way: Way, ruling: Ruling, first: &Station, last: &Station) -> Option<i64> {
        if first.position != 0 || !matches!(ruling, Ruling::Delivered | Ruling::Late) {
            return None;
        }
        let sent_ns = first.seen.sighting.time_ns;
        let took_ns = last.seen.sighting.time_ns.saturating_sub(sent_ns);
        let took_ns = self.clocks.unstepped(way, first.point, last.point, took_ns);
        let reference = self.references[way.index()]?;
        Some(took_ns.saturating_sub(reference.zero_ns))
    }

    /// The ruling if the clocks agree as the verdict of the packet's number assumes.
    fn assumed(
        &self,
        ruling: Ruling,
        journey: &Journey,
        first: &Station,
        last: &Station,
    ) -> Ruling {
        let index = self.tally_of_flow[first.point][first.seen.sighting.flow as usize];
        let assumes = self
            .decided
            .tallies
            .get(index)
            .and_then(|tally| tally.assumes);
        let margin_ns = self.margin_ns(journey.way, ruling, last);
        match ruling {
            Ruling::Edge(to, _) if assumes.is_some() && margin_ns.is_some() => {
                Ruling::Lost(last.point, to)
            }
            _ => ruling,
        }
    }

    /// The fate of one packet, unless its number is not reported.
    pub(super) fn packet(&self, journey: &Journey) -> Option<Packet> {
        let points = self.points;
        let order = order(points.len(), journey.way);
        let name = |point: usize| points[point].name.clone();
        let (first, last) = ends(journey)?;
        let (origin, end) = (first.seen.sighting, last.seen.sighting);
        let flow = points[first.point].flow(origin);
        if !self.is_reported(flow.protocol) {
            return None;
        }
        let ruling = self.assumed(self.ruling(journey, &first, &last), journey, &first, &last);
        let fate = match ruling {
            Ruling::Delivered => Fate::Delivered,
            Ruling::Late => Fate::Late,
            Ruling::Lost(..) => Fate::Lost,
            Ruling::Edge(..) => Fate::Edge,
            Ruling::Expired => Fate::Expired,
            Ruling::Ambiguous => Fate::Ambiguous,
            Ruling::Foreign(_) => return None,
        };
        let is_delivered = ruling == Ruling::Delivered;
        let stations: Vec<_> = journey.stations().collect();
        let is_altered = stations.windows(2).any(|ends| {
            let at = |station: usize| (ends[station].point, ends[station].seen.sighting);
            changes::is_altered(points, at(0), at(1))
        });
        Some(Packet {
            from: name(order[0]),
            to: name(order[self.reach[journey.way.index()]]),
            timestamp_ns: journey.timestamp_ns,
            protocol: flow.protocol,
            carrier: flow.carrier,
            srcport: flow.source_port,
            dstport: flow.destination_port,
            payload_len: u32::from(origin.payload_len),
            fate,
            lost_at: match ruling {
                Ruling::Lost(from, to) => Some([name(from), name(to)]),
                _ => None,
            },
            expected: match ruling {
                Ruling::Lost(_, point) | Ruling::Edge(point, _) => {
                    Some(self.expected(journey.way, &last, point))
                }
                _ => None,
            },
            delay_ns: self.delay_ns(journey.way, ruling, &first, &last),
            reordered: is_delivered && end.is_reordered(),
            altered: is_delivered && is_altered,
            seen: journey
                .seen
                .iter()
                .zip(points)
                .filter_map(|(seen, point)| {
                    let seen = (*seen)?;
                    let flow = point.flow(seen.sighting);
                    Some(PacketSighting {
                        point: point.name.clone(),
                        frame: u64::from(seen.sighting.frame),
                        time_ns: seen.sighting.time_ns,
                        src: flow.source.to_string(),
                        dst: flow.destination.to_string(),
                        ttl: flow.ttl,
                        duplicates: seen.duplicates,
                    })
                })
                .collect(),
        })
    }

    /// When `point` should have seen what was seen last at a station before it.
    fn expected(&self, way: Way, last: &Station, point: usize) -> Expected {
        let sighting = last.seen.sighting;
        let at_ns = sighting.time_ns;
        let window = self.clocks.window(way, last.point, point, at_ns);
        Expected {
            point: self.points[point].name.clone(),
            from_ns: window.map(|window| at_ns.saturating_add(window.from_ns)),
            to_ns: window.map(|window| at_ns.saturating_add(window.to_ns)),
            unheard: is_unheard(self.points, point, self.points[last.point].flow(sighting)),
        }
    }
}
