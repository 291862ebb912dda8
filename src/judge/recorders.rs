//! Recorders: which numbers a capture cannot show.
//!
//! A capture filter, an offloading network card or sampling hides packets that came by. It shows by
//! what came all the same: points before and behind saw packets that the capture lacks, or the
//! destination that lies at or behind it answered what the capture never recorded. Such a capture has
//! no say about the numbers that it hides, nor about those of which it never recorded a packet.
//!
//! Answers prove an arrival only where the destination's address is the same at the capture: else a
//! translator on the way may have answered.

use std::{collections::BTreeSet, net::IpAddr};

use super::clocks::Clocks;
use crate::{
    correlate::{Relations, Way},
    decode::{
        BystanderKind, HeaderView,
        number::{ICMP, ICMPV6, TCP},
    },
    findings::{PointKind, Warning},
    keyed::{KeyedMap, KeyedSet},
    observe::{BystanderFlow, Coverage, Point, Sighting},
};

/// Fewer packets that a capture lacks are no evidence.
const FEW: u64 = 2;

/// What each point demonstrably does not record.
#[derive(Debug, Default)]
pub(super) struct Recorders {
    by_point: Vec<Recorder>,
}

/// What a point records.
#[derive(Debug, Default)]
struct Recorder {
    /// Numbers of which it has any packet, HDP or not.
    recorded: BTreeSet<u8>,
    /// By number: packets that came by for certain, and those of them that it lacks.
    passed: KeyedMap<u8, Passed>,
    /// By number, whether it has no say about it; nothing where it has about all.
    hidden: Vec<bool>,
}

/// Packets that came by a point.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Passed {
    /// How many.
    pub(super) packets: u64,
    /// How many of them the point lacks.
    pub(super) lacking: u64,
}

impl Passed {
    /// Whether most is hidden.
    pub(super) fn is_hidden(self) -> bool {
        self.packets >= FEW && self.lacking * 2 > self.packets
    }
}

impl Recorders {
    /// Learns from what the points saw of each other's packets.
    pub(super) fn learn(
        points: &[Point],
        relations: &Relations,
        clocks: &Clocks,
        coverages: &[Coverage],
        mut passed: Vec<KeyedMap<u8, Passed>>,
    ) -> Self {
        let by_point = (0..points.len()).map(|point| {
            let own = &points[point];
            let mut recorder = Recorder::default();
            if own.kind != PointKind::Capture || own.hdp == 0 {
                return recorder;
            }
            let sides = points.iter().filter(|other| other.capture == own.capture);
            recorder.recorded = sides.flat_map(recorded).collect();
            recorder.passed = std::mem::take(&mut passed[point]);
            for other in (0..points.len()).filter(|&other| other != point) {
                if points[other].kind == PointKind::Capture {
                    let answered = Answered {
                        points,
                        relations,
                        clocks,
                        coverage: &coverages[point],
                        from: other,
                        to: point,
                    };
                    for (number, packets) in answered.unrecorded(&recorder.recorded) {
                        let passed = recorder.passed.entry(number).or_default();
                        passed.packets += packets;
                        passed.lacking += packets;
                    }
                }
            }
            let hidden: Vec<bool> = (0..=255).map(|number| recorder.hides(number)).collect();
            if hidden.contains(&true) {
                recorder.hidden = hidden;
            }
            recorder
        });
        Self {
            by_point: by_point.collect(),
        }
    }

    /// Whether a point has no say about packets under a number.
    #[inline]
    pub(super) fn hides(&self, point: usize, number: u8) -> bool {
        let hidden = self.by_point[point].hidden.get(usize::from(number));
        hidden.copied().unwrap_or(false)
    }

    /// Whether there are numbers that a point does not record.
    pub(super) fn hides_any(&self, point: usize) -> bool {
        !self.by_point[point].hidden.is_empty()
    }

    /// What the reader must know of them.
    pub(super) fn warnings(&self, points: &[Point]) -> Vec<Warning> {
        let captures = points.iter().zip(&self.by_point);
        let warning = |(point, recorder): (&Point, &Recorder)| {
            let unrecorded: BTreeSet<u8> = recorder.unrecorded().collect();
            let packets = unrecorded
                .iter()
                .map(|number| recorder.passed[number].lacking)
                .sum();
            (!unrecorded.is_empty()).then(|| Warning::Unrecorded {
                point: point.capture.clone(),
                unrecorded: unrecorded.into_iter().collect(),
                packets,
                recorded: recorder.recorded.iter().copied().collect(),
            })
        };
        captures.filter_map(warning).collect()
    }
}

impl Recorder {
    fn hides(&self, number: u8) -> bool {
        match self.passed.get(&number) {
            Some(passed) if passed.packets >= FEW => passed.is_hidden(),
            _ if self.recorded.contains(&number) => self.samples(),
            _ => self.samples() || self.unrecorded().next().is_some(),
        }
    }

    /// The numbers that came by, of which it has nothing at all.
    fn unrecorded(&self) -> impl Iterator<Item = u8> {
        let hidden = self.passed.iter().filter(|(_, passed)| passed.is_hidden());
        hidden
            .map(|(number, _)| *number)
            .filter(|number| !self.recorded.contains(number))
    }

    /// Whether it lacks most of the packets of the numbers that it does record.
    fn samples(&self) -> bool {
        let of_recorded = self
            .passed
            .iter()
            .filter(|(number, _)| self.recorded.contains(number));
        let sum = of_recorded.fold(Passed::default(), |sum, (_, passed)| Passed {
            packets: sum.packets + passed.packets,
            lacking: sum.lacking + passed.lacking,
        });
        sum.is_hidden()
    }
}

/// The numbers of which a point has any packet. A filter is the whole capture's.
fn recorded(point: &Point) -> BTreeSet<u8> {
    let mut recorded = point.bystanders.numbers().clone();
    recorded.extend(point.flows.iter().map(|entry| entry.flow.protocol));
    recorded.extend(&point.cut_short);
    let icmp = point
        .icmp
        .iter()
        .map(|error| icmp_number(error.quote.version == 6));
    recorded.extend(icmp);
    recorded
}

/// What one point saw answered by the destination that lies at another, or behind it.
struct Answered<'a> {
    points: &'a [Point],
    relations: &'a Relations,
    clocks: &'a Clocks,
    coverage: &'a Coverage,
    from: usize,
    to: usize,
}

impl Answered<'_> {
    /// Packets that came to the other point while it was watching, which never recorded their
    /// number, by number.
    fn unrecorded(&self, recorded: &BTreeSet<u8>) -> KeyedMap<u8, u64> {
        let way = if self.from < self.to {
            Way::Forward
        } else {
            Way::Reverse
        };
        let here = &self.points[self.from];
        let destinations = self.destinations(way);
        let mut packets: KeyedMap<u8, u64> = KeyedMap::default();
        if destinations.is_empty() {
            return packets;
        }
        let mut note = |number: u8, was_watching: bool| {
            if !recorded.contains(&number) && was_watching {
                *packets.entry(number).or_default() += 1;
            }
        };
        // What boxes on the way answer in its place is left out: lookups of names, and TCP by a reset.
        for kind in [BystanderKind::Echo, BystanderKind::TcpStart] {
            let seen = || here.bystanders.of(kind);
            let flows: KeyedSet<_> = seen().map(|(_, flow, _)| conversation(flow)).collect();
            for (_, flow, seen) in seen() {
                let (source, destination, (from, to)) = conversation(flow);
                let answers = (destination, source, (to, from));
                if destinations.contains(&destination) && flows.contains(&answers) {
                    note(number(kind, flow), self.was_watching(way, seen.time_ns));
                }
            }
        }
        // Errors of the destination itself, about packets that it got.
        let mut quoted = KeyedSet::default();
        for error in &here.icmp {
            if let (HeaderView::Whole(header), Some(time_ns)) = (error.header, error.time_ns)
                && error.quote.by == error.destination
                && destinations.contains(&error.destination)
                && quoted.insert((error.protocol, header.timestamp_ns))
            {
                note(error.protocol, self.was_watching(way, time_ns));
            }
        }
        // What it sent itself.
        let is_answer = |sighting: &&Sighting| {
            let flow = here.flow(sighting);
            !recorded.contains(&flow.protocol)
                && destinations.contains(&flow.source)
                && self.relations.way(self.from, sighting.flow) != way
        };
        if here
            .flows
            .iter()
            .any(|entry| !recorded.contains(&entry.flow.protocol))
        {
            for sighting in here.sightings.iter().filter(is_answer) {
                note(
                    here.flow(sighting).protocol,
                    self.was_watching(way, sighting.time_ns),
                );
            }
        }
        packets
    }

    /// Where HDP goes this way, as both points know it.
    fn destinations(&self, way: Way) -> KeyedSet<IpAddr> {
        let of_point = |point: usize| {
            let flows = self.points[point].flows.iter().zip(0..);
            let along = flows.filter(move |(_, flow)| self.relations.way(point, *flow) == way);
            along.map(|(entry, _)| entry.flow.destination)
        };
        let here: KeyedSet<IpAddr> = of_point(self.from).collect();
        of_point(self.to)
            .filter(|address| here.contains(address))
            .collect()
    }

    /// Whether the other point was watching about a round trip after this time.
    fn was_watching(&self, way: Way, time_ns: i64) -> bool {
        let window = self.clocks.window(way, self.from, self.to, time_ns);
        window.is_some_and(|window| {
            self.coverage.contains(
                time_ns.saturating_add(window.from_ns),
                time_ns.saturating_add(window.to_ns),
            )
        })
    }
}

fn icmp_number(is_v6: bool) -> u8 {
    if is_v6 { ICMPV6 } else { ICMP }
}

fn number(kind: BystanderKind, flow: &BystanderFlow) -> u8 {
    match kind {
        BystanderKind::Echo => icmp_number(flow.source.is_ipv6()),
        _ => TCP,
    }
}

fn conversation(flow: &BystanderFlow) -> (IpAddr, IpAddr, (u16, u16)) {
    (flow.source, flow.destination, flow.ports)
}
