//! Changes: what became of a packet's fields between two points.
//!
//! Nearly all fields belong to flows, so what is counted per packet is only which flow at one
//! point continues as which flow at the next; the fields are compared once per such pair.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::{
    correlate::{Relations, Way},
    decode::Carrier,
    findings::Change,
    observe::{Flow, Point, Sighting},
};

/// Transitions between the flows of all pairs of points.
#[derive(Debug)]
pub(super) struct Changes {
    points: usize,
    /// By first and second point.
    transitions: Vec<Transitions>,
    /// Packets whose payload or its length changed, by the two points and their flows.
    altered: BTreeMap<(usize, usize, u32, u32), BTreeMap<Alteration, u64>>,
}

/// How often a flow of one point went on as a flow of another.
#[derive(Debug, Default)]
struct Transitions {
    /// By flow of the first point: the flow it went on as last.
    recent: Vec<Option<Transition>>,
    counts: FxHashMap<(u32, u32), u64>,
}

#[derive(Debug, Clone, Copy)]
struct Transition {
    to: u32,
    count: u64,
    alters: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Alteration {
    Length { from: u16, to: u16 },
    Payload,
}

impl Changes {
    pub(super) fn new(points: usize) -> Self {
        let transitions = std::iter::repeat_with(Transitions::default);
        Self {
            points,
            transitions: transitions.take(points * points).collect(),
            altered: BTreeMap::new(),
        }
    }

    /// Notes how a packet looked at two points, and says whether HDP's bytes or the protocol
    /// number differ.
    #[inline]
    pub(super) fn note(
        &mut self,
        points: &[Point],
        (first, a): (usize, &Sighting),
        (second, b): (usize, &Sighting),
    ) -> bool {
        let transitions = &mut self.transitions[first * self.points + second];
        let from = a.flow as usize;
        if transitions.recent.len() <= from {
            transitions.recent.resize(points[first].flows.len(), None);
        }
        let transition = match &mut transitions.recent[from] {
            Some(transition) if transition.to == b.flow => transition,
            slot => {
                if let Some(old) = slot.take() {
                    *transitions.counts.entry((a.flow, old.to)).or_default() += old.count;
                }
                let alters = alters(points[first].flow(a), points[second].flow(b));
                slot.insert(Transition {
                    to: b.flow,
                    count: 0,
                    alters,
                })
            }
        };
        transition.count += 1;
        let is_whole = |point: usize, s: &Sighting| !points[point].flow(s).is_fragment;
        let mut alteration = None;
        if a.payload_len != b.payload_len {
            if is_whole(first, a) && is_whole(second, b) {
                alteration = Some(Alteration::Length {
                    from: a.payload_len,
                    to: b.payload_len,
                });
            }
        } else if !a.may_have_payload_of(b) {
            alteration = Some(Alteration::Payload);
        }
        if let Some(alteration) = alteration {
            let flows = (first, second, a.flow, b.flow);
            *self
                .altered
                .entry(flows)
                .or_default()
                .entry(alteration)
                .or_default() += 1;
        }
        transition.alters || alteration.is_some()
    }

    /// The changes that packets of one number underwent.
    pub(super) fn of(
        &self,
        points: &[Point],
        relations: &Relations,
        way: Way,
        carrier: Carrier,
        protocol: u8,
    ) -> Vec<Change> {
        // Ordered by place on the path, then field.
        let mut found: BTreeMap<(usize, usize, usize, String, String), u64> = BTreeMap::new();
        let is_subject = |point: usize, flow: u32| {
            let entry = &points[point].flows[flow as usize].flow;
            entry.protocol == protocol
                && entry.carrier == carrier
                && relations.way(point, flow) == way
        };
        for (index, transitions) in self.transitions.iter().enumerate() {
            let (first, second) = (index / self.points, index % self.points);
            for ((from, to), count) in transitions.all() {
                if !is_subject(first, from) {
                    continue;
                }
                let a = &points[first].flows[from as usize].flow;
                let b = &points[second].flows[to as usize].flow;
                for (rank, (from, to)) in differences(a, b) {
                    *found.entry((first, second, rank, from, to)).or_default() += count;
                }
            }
        }
        for (&(first, second, from, _), alterations) in &self.altered {
            if !is_subject(first, from) {
                continue;
            }
            for (&alteration, count) in alterations {
                let (rank, from, to) = match alteration {
                    Alteration::Length { from, to } => (LENGTH, from.to_string(), to.to_string()),
                    Alteration::Payload => (PAYLOAD, "as sent".to_owned(), "altered".to_owned()),
                };
                *found.entry((first, second, rank, from, to)).or_default() += count;
            }
        }
        let name = |point: usize| points[point].name.clone();
        found
            .into_iter()
            .map(|((first, second, rank, from, to), count)| Change {
                field: FIELDS[rank].to_owned(),
                from,
                to,
                between: [name(first), name(second)],
                count,
            })
            .collect()
    }
}

impl Transitions {
    fn all(&self) -> impl Iterator<Item = ((u32, u32), u64)> + '_ {
        let recent = self
            .recent
            .iter()
            .zip(0..)
            .filter_map(|(transition, from)| {
                let transition = (*transition)?;
                Some(((from, transition.to), transition.count))
            });
        recent.chain(self.counts.iter().map(|(flows, count)| (*flows, *count)))
    }
}

/// Names of the fields, in the order in which changes are listed.
const FIELDS: [&str; 12] = [
    "source_address",
    "destination_address",
    "source_port",
    "destination_port",
    "protocol",
    "length",
    "payload",
    "dscp",
    "ecn",
    "ttl",
    "encapsulation",
    "fragmentation",
];
const LENGTH: usize = 5;
const PAYLOAD: usize = 6;

/// The fields in which two flows differ, as indices into [`FIELDS`], with the values before and
/// after.
fn differences(a: &Flow, b: &Flow) -> impl Iterator<Item = (usize, (String, String))> {
    let hops = i16::from(a.ttl) - i16::from(b.ttl);
    let pieces = |flow: &Flow| {
        if flow.is_fragment {
            "first fragment"
        } else {
            "whole"
        }
    };
    let pair = |a: &dyn ToString, b: &dyn ToString| (a.to_string(), b.to_string());
    [
        (a.source != b.source).then(|| (0, pair(&a.source, &b.source))),
        (a.destination != b.destination).then(|| (1, pair(&a.destination, &b.destination))),
        (a.source_port != b.source_port).then(|| (2, pair(&a.source_port, &b.source_port))),
        (a.destination_port != b.destination_port)
            .then(|| (3, pair(&a.destination_port, &b.destination_port))),
        (a.protocol != b.protocol).then(|| (4, pair(&a.protocol, &b.protocol))),
        (a.dscp != b.dscp).then(|| (7, pair(&a.dscp, &b.dscp))),
        (a.ecn != b.ecn).then(|| (8, pair(&a.ecn, &b.ecn))),
        (hops != 0).then(|| (9, pair(&a.ttl, &hops))),
        (a.encapsulation != b.encapsulation)
            .then(|| (10, pair(&a.encapsulation, &b.encapsulation))),
        (a.is_fragment != b.is_fragment).then(|| (11, pair(&pieces(a), &pieces(b)))),
    ]
    .into_iter()
    .flatten()
}

/// Whether HDP's ports or the protocol number differ: what the network is not supposed to touch.
fn alters(a: &Flow, b: &Flow) -> bool {
    (a.source_port, a.destination_port, a.protocol)
        != (b.source_port, b.destination_port, b.protocol)
}
