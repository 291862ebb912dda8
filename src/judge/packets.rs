//! Packets one by one: the fate of each, for `--packets`.

use std::sync::Arc;

use super::{
    Judgement, changes,
    fate::{Ruling, ends, is_unheard},
};
use crate::{
    correlate::{AllJourneys, Journey, Station, Stretch, Way},
    findings::{Expected, Fate, Findings, Packet, PacketSighting},
    observe::{Point, Sighting},
};

/// What shows sightings to another: points that hold some, and a stretch of those.
pub(crate) type Show<'a> = dyn FnMut(&[Point], &Stretch) + 'a;

/// Who wants to know the fate of every packet, once the findings are known.
pub(crate) type Listing<'a> = Box<dyn FnOnce(&Findings, &Lister<'_>) + 'a>;

/// Tells the fate of every packet, as often as it is asked.
pub(crate) struct Lister<'a> {
    pub(super) judgement: &'a Judgement<'a>,
    pub(super) journeys: AllJourneys<'a>,
}

impl Lister<'_> {
    /// Tells `note` of each packet, by rising timestamp, where the points hold all their sightings.
    pub(crate) fn list(&self, note: &mut dyn FnMut(&Packet)) {
        let points = self.judgement.points;
        self.list_shown(&mut |show| show(points, &Stretch::all(points)), note);
    }

    /// The same, where the points hold only the sightings that the survey has not counted, and `show_all`
    /// shows those of all packets, stretch by stretch.
    pub(crate) fn list_shown(
        &self,
        show_all: &mut dyn FnMut(&mut Show<'_>),
        note: &mut dyn FnMut(&Packet),
    ) {
        let mut texts = Texts::of(self.judgement.points);
        show_all(&mut |points, stretch| {
            self.journeys.visit(points, stretch, |journey| {
                if let Some(packet) = self.judgement.packet(journey, &mut texts) {
                    note(&packet);
                }
            });
        });
    }
}

/// Texts that many packets have in common.
pub(super) struct Texts<'a> {
    points: &'a [Point],
    names: Vec<Arc<str>>,
    /// For each point and flow, its source and destination; made when they are first asked for.
    addresses: Vec<Vec<Option<[Arc<str>; 2]>>>,
}

impl<'a> Texts<'a> {
    pub(super) fn of(points: &'a [Point]) -> Self {
        Self {
            points,
            names: points
                .iter()
                .map(|point| point.name.as_str().into())
                .collect(),
            addresses: vec![Vec::new(); points.len()],
        }
    }

    fn name(&self, point: usize) -> Arc<str> {
        Arc::clone(&self.names[point])
    }

    fn addresses(&mut self, point: usize, sighting: &Sighting) -> [Arc<str>; 2] {
        let known = &mut self.addresses[point];
        let index = sighting.flow as usize;
        if known.len() <= index {
            known.resize(index + 1, None);
        }
        let made = known[index].get_or_insert_with(|| {
            let flow = self.points[point].flow(sighting);
            [flow.source, flow.destination].map(|address| address.to_string().into())
        });
        made.clone()
    }
}

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
        let assumes = self.assumed.get(index).is_some_and(|assumed| *assumed);
        let margin_ns = self.margin_ns(journey.way, ruling, last);
        match ruling {
            Ruling::Edge(to, _) if assumes && margin_ns.is_some() => Ruling::Lost(last.point, to),
            _ => ruling,
        }
    }

    /// The fate of one packet, unless its number is not reported.
    pub(super) fn packet(&self, journey: &Journey, texts: &mut Texts) -> Option<Packet> {
        let points = self.points;
        let way = journey.way;
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
        let steps = journey.stations().zip(journey.stations().skip(1));
        let is_altered = is_delivered && { steps }.any(|(from, to)| {
            let seen = (from.point, from.seen.sighting);
            changes::is_altered(points, seen, (to.point, to.seen.sighting))
        });
        let mut seen = Vec::with_capacity(points.len());
        for (point, at) in journey.seen.iter().enumerate() {
            let Some(at) = at else { continue };
            let [src, dst] = texts.addresses(point, at.sighting);
            seen.push(PacketSighting {
                point: texts.name(point),
                frame: u64::from(at.sighting.frame),
                time_ns: at.sighting.time_ns,
                src,
                dst,
                ttl: points[point].flow(at.sighting).ttl,
                duplicates: at.duplicates,
            });
        }
        Some(Packet {
            from: texts.name(way.at(0, points.len())),
            to: texts.name(way.at(self.reach[way.index()], points.len())),
            timestamp_ns: journey.timestamp_ns,
            protocol: flow.protocol,
            carrier: flow.carrier,
            srcport: flow.source_port,
            dstport: flow.destination_port,
            payload_len: u32::from(origin.payload_len),
            fate,
            lost_at: match ruling {
                Ruling::Lost(from, to) => Some([texts.name(from), texts.name(to)]),
                _ => None,
            },
            expected: match ruling {
                Ruling::Lost(_, point) | Ruling::Edge(point, _) => {
                    Some(self.expected(way, &last, point, texts))
                }
                _ => None,
            },
            delay_ns: self.delay_ns(way, ruling, &first, &last),
            reordered: is_delivered && end.is_reordered(),
            altered: is_altered,
            seen,
        })
    }

    /// When `point` should have seen what was seen last at a station before it.
    fn expected(&self, way: Way, last: &Station, point: usize, texts: &Texts) -> Expected {
        let sighting = last.seen.sighting;
        let at_ns = sighting.time_ns;
        let window = self.clocks.window(way, last.point, point, at_ns);
        Expected {
            point: texts.name(point),
            from_ns: window.map(|window| at_ns.saturating_add(window.from_ns)),
            to_ns: window.map(|window| at_ns.saturating_add(window.to_ns)),
            unheard: is_unheard(self.points, point, self.points[last.point].flow(sighting)),
        }
    }
}
