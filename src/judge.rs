//! Judgement: from journeys to fates of packets, from fates to verdicts of protocol numbers.
//!
//! The module promises never to call a packet lost unless the point that did not see it was
//! watching when it should have come by: inside that point's coverage, less a guard band for the
//! clocks and the spread of the delay (RFC 9341). Everything else is `edge`. It has no clock, reads
//! no file and prints nothing: the same points give the same findings.
//!
//! It deliberately does not say *which box* lost a packet: "lost between A and B" is all that two
//! captures can show (RFC 7872, appendix).

mod askers;
mod bystanders;
mod cause;
mod changes;
mod clock_steps;
mod clocks;
mod control;
mod fate;
mod flows;
mod gaps;
mod hops;
mod icmp;
mod ledger;
mod offset_bounds;
mod packets;
mod recorders;
mod refusals;
mod refusers;
mod statistics;
mod tally;
mod times;
mod translation;
mod verdict;
mod warnings;

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, thread};

use crate::{
    correlate::{AllJourneys, Relations, SecondChance, Survey, Way, journeys, propose},
    findings::{
        Clock, ClockMethod, DelayReference, Direction, Findings, IcmpEvidence,
        Point as PointFindings, PointKind, Protocol, Refusal, Segment, System, Warning,
    },
    keyed::KeyedMap,
    observe::{self, Coverage, Point, Witnesses},
    protocols::{self, Carrier},
};

use bystanders::Bystanders;
use clocks::Clocks;
use control::Control;
use flows::ByPorts;
use gaps::Watches;
use hops::Hops;
use icmp::Evidence;
use recorders::Recorders;
use refusals::Refusals;
use tally::{PassedBefore, Tally};
use verdict::Reference;

pub(crate) use fate::Decision;
pub(crate) use hops::LARGEST_TTL_OF_A_TRACE;
pub(crate) use ledger::{Ledger, Reading, Urgency};
pub(crate) use packets::{Lister, Listing, Show};
pub(crate) use statistics::{CERTAIN, LIKELY, chance};
pub(crate) use tally::Judged;

/// How long a packet may take before it counts as late: 51 s is safe (RFC 6703, section 4.1.1).
pub(crate) const DEFAULT_WAIT_NS: u64 = 51_000_000_000;

/// Exact quantiles of so many delays are worth a thread.
const WORTH_A_THREAD: u64 = 100_000;

/// What the user decides about judging.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// A packet that takes this much longer than the fastest is late, in nanoseconds.
    pub wait_ns: u64,
    /// How far apart two points' clocks are at most, in nanoseconds, where no packet relates them;
    /// `None` where that is not known, and nothing can be judged.
    pub clock_error_ns: Option<u64>,
    /// Numbers to report; all where `None`. The others still serve for comparison.
    pub protocols: Option<protocols::List>,
    /// What systems on the path recorded of packets that they dropped.
    pub witnesses: Arc<Witnesses>,
}

/// Judges what the points saw, in path order, and lists the fate of every packet where that is asked for.
#[must_use]
pub(crate) fn judge(
    points: &[Point],
    survey: Survey,
    options: &Options,
    listing: Option<Listing<'_>>,
) -> Findings {
    conclude(points, survey, options, Ledger::new(points.len()), listing)
}

/// The same, of points some of whose packets were decided before and are no longer known. The
/// survey may have forgotten what went through all points.
#[must_use]
pub(crate) fn conclude(
    points: &[Point],
    mut survey: Survey,
    options: &Options,
    decided: Ledger,
    listing: Option<Listing<'_>>,
) -> Findings {
    let known = Known::learn(points, &survey, options, &decided);
    let Known {
        relations,
        second_chance,
        ..
    } = &known;
    let mut judgement = Judgement::new(points, options, &known, decided, &[]);
    judgement.passed = PassedBefore::new(survey.take_passed(), points.len());
    let misplaced = warnings::misplaced(points, &propose(points, &survey));
    let suspicions = warnings::suspicions(points, &survey, relations, misplaced.is_some());
    for second in 1..points.len() {
        for (flows, link) in survey.links(points.len(), second - 1, second) {
            let way = relations.way(second - 1, flows.0);
            judgement
                .decided
                .changes
                .note_through(way, (second - 1, second), flows, link.through);
        }
    }
    for (flows, through) in survey.take_through() {
        judgement.through(flows, through);
    }
    judgement.find_answers_to_others(
        |visit| journeys(points, relations, &survey, second_chance, visit),
        |_| true,
    );
    journeys(points, relations, &survey, second_chance, |journey| {
        judgement.journey(journey);
    });
    judgement.end_occasions();
    judgement.settle_answers();
    judgement.assume();
    judgement.references = Way::BOTH.map(|way| judgement.reference(way));
    judgement.complete();
    let findings = judgement.finish(misplaced, suspicions);
    if let Some(listing) = listing {
        let lister = Lister {
            judgement: &judgement,
            journeys: AllJourneys::new(points, relations, second_chance),
        };
        listing(&findings, &lister);
    }
    findings
}

/// What the points have to do with each other, and who was watching when.
struct Known {
    relations: Relations,
    second_chance: SecondChance,
    clocks: Clocks,
    coverages: Vec<Coverage>,
    bystanders: Bystanders,
    recorders: Recorders,
    hops: Hops,
    wait_ns: i64,
}

impl Known {
    fn learn(points: &[Point], survey: &Survey, options: &Options, decided: &Ledger) -> Self {
        let relations = Relations::learn(points, survey);
        let second_chance = SecondChance::find(points, &relations, survey, options.wait_ns);
        let wait_ns = i64::try_from(options.wait_ns).unwrap_or(i64::MAX);
        let error_ns = options
            .clock_error_ns
            .map(|ns| i64::try_from(ns).unwrap_or(i64::MAX));
        let clocks = Clocks::learn(points, &relations, wait_ns, error_ns);
        let Watches { coverages, passed } =
            decided
                .history
                .watches(points, &relations, survey, &second_chance, &clocks);
        let bystanders = Bystanders::judge(&relations, &clocks, &coverages);
        let recorders = Recorders::learn(points, &relations, &clocks, &coverages, passed);
        let hops = Hops::learn(points, &relations, survey);
        Self {
            relations,
            second_chance,
            clocks,
            coverages,
            bystanders,
            recorders,
            hops,
            wait_ns,
        }
    }
}

/// A number with its carrier, what was counted of it, the ICMP errors about it, and what the
/// sender's system refused.
type Tallied = (u8, Carrier, Tally, Vec<IcmpEvidence>, Vec<Refusal>);

/// The judging of one set of points.
struct Judgement<'a> {
    points: &'a [Point],
    options: &'a Options,
    relations: &'a Relations,
    evidence: Evidence,
    /// When each point was watching.
    coverages: &'a [Coverage],
    clocks: &'a Clocks,
    bystanders: &'a Bystanders,
    recorders: &'a Recorders,
    hops: &'a Hops,
    /// For each way, the position of the last point that can see what comes.
    reach: [usize; 2],
    wait_ns: i64,
    /// For each point and flow, the index of its tally.
    tally_of_flow: Vec<Vec<usize>>,
    /// Points that are still being read; none where all are known to the end.
    open: &'a [bool],
    decided: Ledger,
    /// For each way, what delays are counted from.
    references: [Option<Reference>; 2],
    /// For each tally, whether its verdict assumes that clocks agree.
    assumed: Vec<bool>,
    /// What had gone through in bulk at each loss; nothing where packets were decided before.
    passed: PassedBefore,
}

/// The position of the last point that can see what comes along: a sender's log sees only what
/// goes from it.
fn reach(points: &[Point], way: Way) -> usize {
    let sees = |point: usize| points[point].kind != PointKind::SendLog;
    let reach = order(points.len(), way).rposition(sees).unwrap_or_default();
    // Between two sender's logs nothing arrives, nor is it lost.
    reach.max(1).min(points.len().saturating_sub(1))
}

impl<'a> Judgement<'a> {
    fn new(
        points: &'a [Point],
        options: &'a Options,
        known: &'a Known,
        mut decided: Ledger,
        open: &'a [bool],
    ) -> Self {
        decided.make_room(points);
        Self {
            points,
            options,
            relations: &known.relations,
            evidence: decided.evidence(points, &known.relations),
            coverages: &known.coverages,
            clocks: &known.clocks,
            bystanders: &known.bystanders,
            recorders: &known.recorders,
            hops: &known.hops,
            reach: Way::BOTH.map(|way| reach(points, way)),
            wait_ns: known.wait_ns,
            tally_of_flow: tallies_of_flows(points, &known.relations),
            open,
            decided,
            references: [None; 2],
            assumed: Vec::new(),
            passed: PassedBefore::default(),
        }
    }

    /// Calls lost what was so if clocks agree that nothing compares.
    fn assume(&mut self) {
        for tally in self.decided.tallies.counted() {
            tally.assume();
        }
        self.assumed = self.decided.tallies.are_assumed();
    }

    /// Makes the findings of all that was counted, which is taken out.
    fn finish(&mut self, misplaced: Option<Warning>, suspicions: Vec<Warning>) -> Findings {
        let is_misplaced = misplaced.is_some();
        let mut warnings = self.warnings();
        warnings.extend(self.recorders.warnings(self.points));
        warnings.extend(self.decided.warnings(self.points));
        warnings.extend(misplaced);
        warnings.extend(suspicions);
        let forward = self.direction(Way::Forward);
        let reverse = self.direction(Way::Reverse);
        let is_against = forward.protocols.is_empty() && !reverse.protocols.is_empty();
        if is_against && !is_misplaced {
            warnings.push(Warning::AgainstOrder {
                from: reverse.from.clone(),
                to: reverse.to.clone(),
            });
        }
        let mut directions = vec![forward];
        if !reverse.protocols.is_empty() {
            directions.push(reverse);
        }
        for direction in &directions {
            let comparable = direction.protocols.iter().any(|p| p.packets > 0);
            for segment in &direction.segments {
                let (from, to) = (|| segment.from.clone(), || segment.to.clone());
                let ends = [&segment.from, &segment.to];
                let mut blind = self.points.iter().filter(|point| fate::is_blind(point));
                let has_times = !blind.any(|point| ends.contains(&&point.name));
                let is_one_capture = warnings.iter().any(|warning| match warning {
                    Warning::GoesOn { from, to } => ends.contains(&from) && ends.contains(&to),
                    _ => false,
                });
                let is_unrelated = comparable && has_times && !is_one_capture;
                if is_unrelated && segment.clock.method == ClockMethod::None {
                    let assumed = self.options.clock_error_ns.is_some();
                    let (from, to) = (from(), to());
                    warnings.push(match self.runs_apart_ns(&segment.from, &segment.to) {
                        Some(apart_ns) if !assumed => Warning::OtherRun { from, to, apart_ns },
                        _ => Warning::ClocksUnrelated { from, to, assumed },
                    });
                }
                if !segment.clock.steps.is_empty() {
                    warnings.push(Warning::ClockSet {
                        from: from(),
                        to: to(),
                        steps: segment.clock.steps.len() as u64,
                    });
                }
            }
        }
        warnings.dedup();
        let records = self.options.witnesses.records().into_iter();
        let (records, recorded): (Vec<_>, Vec<_>) = records.unzip();
        Findings {
            schema_version: Findings::SCHEMA_VERSION,
            generator: concat!("hdp ", env!("CARGO_PKG_VERSION")).to_owned(),
            ruleset: Findings::RULESET,
            points: (0..self.points.len())
                .map(|p| self.point_findings(p))
                .chain(records)
                .collect(),
            inputs: self
                .points
                .iter()
                .map(|point| observe::input(&point.source, &point.summary))
                .chain(recorded)
                .collect(),
            directions,
            warnings,
        }
    }

    /// Two points that both saw HDP of one sender, and none that the other saw, most likely recorded two
    /// runs: how much later the second one's begins, by their own clocks.
    fn runs_apart_ns(&self, from: &str, to: &str) -> Option<i64> {
        let of = |name: &str| self.points.iter().find(|point| point.name == name);
        let (from, to) = (of(from)?, of(to)?);
        let senders = |point: &Point| -> BTreeSet<IpAddr> {
            let flows = point.flows.iter();
            flows.map(|entry| entry.flow.source).collect()
        };
        let is_capture = |point: &Point| point.kind == PointKind::Capture && point.hdp > 0;
        let share_a_sender = !senders(from).is_disjoint(&senders(to));
        let first_ns = |point: &Point| point.coverage.first_ns();
        (is_capture(from) && is_capture(to) && share_a_sender)
            .then(|| Some(first_ns(to)?.saturating_sub(first_ns(from)?)))
            .flatten()
    }

    fn point_findings(&self, index: usize) -> PointFindings {
        let point = &self.points[index];
        let coverage = &self.coverages[index];
        let gaps = coverage.gaps().iter().map(|&(from, to)| [from, to]);
        PointFindings {
            name: point.name.clone(),
            capture: point.capture.clone(),
            side: point.side,
            source: point.source.clone(),
            kind: point.kind,
            link_types: point
                .summary
                .link_types
                .iter()
                .map(ToString::to_string)
                .collect(),
            resolution_ns: point.summary.resolution_ns,
            frames: point.frames,
            hdp: point.hdp,
            first_ns: coverage.first_ns(),
            last_ns: coverage.last_ns(),
            gaps: gaps.collect(),
            capture_drops: point.summary.capture_drops,
            missed: self.decided.missed[index],
            copies: self.decided.copies[index],
            incomplete: point.incomplete.len() as u64 + point.left_out.incomplete,
            skipped: point.skipped,
        }
    }

    /// The points that packets going `way` pass, as far as any can see them.
    fn way_order(&self, way: Way) -> Vec<usize> {
        let reach = self.reach[way.index()];
        order(self.points.len(), way).take(reach + 1).collect()
    }

    /// Whether the user wants to hear of this number.
    fn is_reported(&self, protocol: u8) -> bool {
        let listed = self.options.protocols.as_ref();
        listed.is_none_or(|list| list.on_the_wire(protocol))
    }

    fn direction(&mut self, way: Way) -> Direction {
        let order = self.way_order(way);
        let names: Vec<&str> = order
            .iter()
            .map(|&point| self.points[point].name.as_str())
            .collect();
        let mut refusals = Refusals::collect(self.points, way);
        let tallies = self.tallied(way, &mut refusals);
        let reference = self.references[way.index()];
        let numbers: Vec<_> = tallies
            .iter()
            .filter(|(protocol, ..)| self.is_reported(*protocol))
            .map(|(_, carrier, tally, icmp, _)| (*carrier, tally, icmp.as_slice()))
            .collect();
        let refusers = refusers::find(&numbers);
        let by_ports = self.by_ports(way);
        let (start, end) = (order[0], order[order.len() - 1]);
        let bystanders = self.bystanders.counts(way, start, end);
        let counted = tallies
            .iter()
            .map(|(protocol, carrier, tally, ..)| (*protocol, *carrier, tally));
        let comparison = verdict::Comparison::new(counted, bystanders);
        let control = tallies
            .iter()
            .find(|(_, carrier, ..)| *carrier == Carrier::Udp)
            .and_then(|(_, _, tally, ..)| Control::of(tally));
        let bare = tallies
            .iter()
            .filter(|(protocol, carrier, ..)| {
                *carrier == Carrier::Ip && self.is_reported(*protocol)
            })
            .map(|(_, _, tally, ..)| tally);
        let against_control = control.as_ref().map(|control| control.against(bare));
        let changes = &self
            .decided
            .changes
            .by_tally(self.points, &self.tally_of_flow);
        let by_ports = &by_ports;
        let finding = |(index, (protocol, carrier, tally, icmp, refused)): (usize, Tallied)| {
            let against_control = control
                .as_ref()
                .filter(|_| carrier == Carrier::Ip && tally.packets > 0)
                .map(|control| control.against(std::iter::once(&tally)));
            let subject = verdict::Subject {
                points: self.points,
                witnesses: &self.options.witnesses,
                protocol,
                carrier,
                icmp,
                changes: changes.of(self.points, way, carrier, protocol),
                refused,
                by_ports: by_ports
                    .get(&(protocol, carrier))
                    .cloned()
                    .unwrap_or_default(),
                against_control,
            };
            verdict::protocol(subject, tally, &comparison, index, reference)
        };
        let mut reported: Vec<_> = tallies
            .into_iter()
            .enumerate()
            .filter(|(_, (protocol, ..))| self.is_reported(*protocol))
            .collect();
        let packets = reported.iter().map(|(_, (_, _, tally, ..))| tally.packets);
        let mut protocols: Vec<Protocol> = if packets.sum::<u64>() < WORTH_A_THREAD {
            reported.into_iter().map(finding).collect()
        } else {
            let second_half = reported.split_off(reported.len() / 2);
            thread::scope(|scope| {
                let second_half =
                    scope.spawn(|| second_half.into_iter().map(finding).collect::<Vec<_>>());
                let mut protocols: Vec<_> = reported.into_iter().map(finding).collect();
                let second_half = second_half.join();
                protocols
                    .extend(second_half.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
                protocols
            })
        };
        let listed = self.options.protocols.as_ref();
        protocols.extend(refusals.into_requests().into_iter().filter_map(
            |(requested, carrier, refused)| {
                let is_reported = listed.is_none_or(|list| list.contains(requested));
                is_reported.then(|| {
                    verdict::refused_request(self.points.len(), requested, carrier, refused)
                })
            },
        ));
        let segments = self.segments(way, &order, &protocols);
        for segment in &segments {
            translation::explain_losses(segment, &mut protocols);
        }
        Direction {
            from: names.first().copied().unwrap_or_default().to_owned(),
            to: names.last().copied().unwrap_or_default().to_owned(),
            segments,
            protocols,
            against_control,
            destination: translation::destination((self.points, self.relations), way, order[0]),
            refusers,
        }
    }

    /// All that was counted and said of each number that went one way, in rising order.
    fn tallied(&mut self, way: Way, refusals: &mut Refusals) -> Vec<Tallied> {
        let mut tallies = Vec::new();
        for protocol in 0..=255_u8 {
            for carrier in [Carrier::Ip, Carrier::Udp] {
                let tally = self
                    .decided
                    .tallies
                    .take(tally_index(way, carrier, protocol));
                let icmp = self.evidence.of(self.points, way, carrier, protocol);
                let refused = refusals.take(protocol, carrier);
                if tally.is_some() || !icmp.is_empty() || !refused.is_empty() {
                    let tally = tally.unwrap_or_else(|| Tally::new(self.points.len()));
                    tallies.push((protocol, carrier, tally, icmp, refused));
                }
            }
        }
        tallies
    }

    /// The judged packets of each number by their ports, where any were lost.
    fn by_ports(&self, way: Way) -> KeyedMap<(u8, Carrier), ByPorts> {
        let mut by_ports: KeyedMap<_, ByPorts> = KeyedMap::default();
        for (index, point) in self.points.iter().enumerate() {
            let flows = point
                .flows
                .iter()
                .zip(&self.decided.by_flow[index])
                .zip(0..);
            for ((entry, of_flow), flow) in flows {
                let judged = of_flow.judged;
                if judged.packets == 0 || self.relations.way(index, flow) != way {
                    continue;
                }
                let flow = &entry.flow;
                let of_number = by_ports.entry((flow.protocol, flow.carrier)).or_default();
                let ports = (flow.source_port, flow.destination_port);
                let sum = of_number.entry(ports).or_default();
                sum.packets += judged.packets;
                sum.lost += judged.lost;
            }
        }
        by_ports
    }

    /// The stretches between the points that packets going `way` pass in this order.
    fn segments(&self, way: Way, order: &[usize], protocols: &[Protocol]) -> Vec<Segment> {
        order
            .windows(2)
            .map(|ends| {
                let (from, to) = (
                    self.points[ends[0]].name.clone(),
                    self.points[ends[1]].name.clone(),
                );
                let lost = protocols
                    .iter()
                    .flat_map(|protocol| &protocol.lost_at)
                    .filter(|lost| lost.from == from && lost.to == to)
                    .map(|lost| lost.count)
                    .sum();
                let clock = if clocks::shares_clock(self.points, ends[0], ends[1]) {
                    Clock {
                        method: ClockMethod::SameHost,
                        offset_ns: Some(0),
                        error_ns: Some(0),
                        at_ns: None,
                        skew_ppm: Some(0.0),
                        steps: Vec::new(),
                        levels: Vec::new(),
                        related_by: self
                            .relations
                            .related_by(ends[0].min(ends[1]), ends[0].max(ends[1])),
                    }
                } else {
                    let of_steps = clocks::between(
                        self.points,
                        self.relations,
                        way,
                        (ends[0], ends[1]),
                        self.wait_ns,
                    );
                    Clock {
                        levels: self.clocks.levels(way, ends[0], ends[1]),
                        ..of_steps
                    }
                };
                let within = self.within(way, ends[0], ends[1]);
                let translation = translation::between(
                    (self.points, self.relations),
                    way,
                    (ends[0], ends[1]),
                    protocols,
                );
                Segment {
                    from,
                    to,
                    lost,
                    clock,
                    within,
                    translation,
                    bystanders: self.bystanders.counts(way, ends[0], ends[1]),
                }
            })
            .collect()
    }

    /// What delays from the first to the last point are counted from, once all packets are counted.
    fn reference(&self, way: Way) -> Option<Reference> {
        let order = self.way_order(way);
        let fastest_ns = self
            .decided
            .tallies
            .of_way(way)
            .filter_map(Tally::fastest_ns)
            .min();
        if clocks::shares_clock(self.points, order[0], order[order.len() - 1]) {
            Some(Reference {
                zero_ns: 0,
                kind: DelayReference::Absolute,
            })
        } else {
            fastest_ns.map(|zero_ns| Reference {
                zero_ns,
                kind: DelayReference::Minimum,
            })
        }
    }

    /// The one system that lies between two sides of a capture, or between a program's log and the
    /// capture next to it: no router lowered the TTL of any packet that was seen at both.
    fn within(&self, way: Way, from: usize, to: usize) -> Option<System> {
        if clocks::are_one_capture(self.points, from, to) {
            return Some(System::Forwarding);
        }
        let system = match (self.points[from].kind, self.points[to].kind) {
            (PointKind::SendLog | PointKind::ListenLog, PointKind::Capture) => System::Sending,
            (PointKind::Capture, PointKind::ListenLog) => System::Receiving,
            _ => return None,
        };
        let one_hop = self
            .decided
            .changes
            .keeps_ttl(self.points, self.relations, way, (from, to));
        one_hop.then_some(system)
    }
}

/// Tallies there are: by way, carrier and number.
const TALLIES: usize = 2 * 2 * 256;

fn tally_index(way: Way, carrier: Carrier, protocol: u8) -> usize {
    let carrier = match carrier {
        Carrier::Ip => 0,
        Carrier::Udp => 1,
    };
    (way.index() * 2 + carrier) * 256 + usize::from(protocol)
}

fn tallies_of_flows(points: &[Point], relations: &Relations) -> Vec<Vec<usize>> {
    let of_point = |(point, entries): (usize, &Point)| {
        let flows = entries.flows.iter().zip(0..);
        flows
            .map(|(entry, flow)| {
                tally_index(
                    relations.way(point, flow),
                    entry.flow.carrier,
                    entry.flow.protocol,
                )
            })
            .collect()
    };
    points.iter().enumerate().map(of_point).collect()
}

/// The points in the order in which packets going `way` pass them.
fn order(
    points: usize,
    way: Way,
) -> impl DoubleEndedIterator<Item = usize> + ExactSizeIterator + Clone {
    (0..points).map(move |position| way.at(position, points))
}
