//! Changes: what became of a packet's fields between two points.
//!
//! Nearly all fields belong to flows, so what is counted per packet is only which flow at one
//! point continues as which flow at the next; the fields are compared once per such pair.

use std::collections::BTreeMap;

use super::cause;
use crate::{
    correlate::{FlowPairs, Relations, Way},
    findings::Change,
    observe::{Flow, Point, Sighting},
    protocols::Carrier,
};

/// What was counted between all pairs of points.
#[derive(Debug, Clone)]
pub(super) struct Changes {
    points: usize,
    /// By first and second point.
    transitions: Vec<FlowPairs<Transition>>,
    /// Packets whose payload or its length changed, by the two points and their flows.
    altered: BTreeMap<(usize, usize, u32, u32), BTreeMap<Alteration, u64>>,
    /// Packets whose timestamp was written into, by the same.
    rewritten: BTreeMap<(usize, usize, u32, u32), Rewritten>,
}

/// Packets whose timestamp was written into.
#[derive(Debug, Clone, Copy, Default)]
struct Rewritten {
    /// The bits of the timestamp that differ in any of them.
    bits: u64,
    count: u64,
}

/// Packets that went from one flow to another.
#[derive(Debug, Clone, Copy)]
struct Transition {
    count: u64,
    alters: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Alteration {
    Length { from: u16, to: u16 },
    Payload,
}

impl Changes {
    pub(super) fn new(count: usize) -> Self {
        Self {
            points: count,
            transitions: std::iter::repeat_with(FlowPairs::default)
                .take(count * count)
                .collect(),
            altered: BTreeMap::new(),
            rewritten: BTreeMap::new(),
        }
    }

    /// Notes packets that every point saw, which went from one flow to another between two points
    /// next to each other, first below second.
    pub(super) fn note_through(
        &mut self,
        way: Way,
        (first, second): (usize, usize),
        (flow_a, flow_b): (u32, u32),
        count: u64,
    ) {
        if count == 0 {
            return;
        }
        let ((from, flow_from), (to, flow_to)) = match way {
            Way::Forward => ((first, flow_a), (second, flow_b)),
            Way::Reverse => ((second, flow_b), (first, flow_a)),
        };
        let transitions = &mut self.transitions[from * self.points + to];
        // The packets agree in all that could be altered.
        let new = || Transition {
            count: 0,
            alters: false,
        };
        transitions.get(flow_from, flow_to, new).count += count;
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
        let transition = transitions.get(a.flow, b.flow, || Transition {
            count: 0,
            alters: alters(points[first].flow(a), points[second].flow(b)),
        });
        transition.count += 1;
        let alters = transition.alters;
        let is_rewritten = a.timestamp_ns != b.timestamp_ns;
        if is_rewritten {
            let flows = (first, second, a.flow, b.flow);
            let rewritten = self.rewritten.entry(flows).or_default();
            rewritten.bits |= a.timestamp_ns ^ b.timestamp_ns;
            rewritten.count += 1;
        }
        if a.payload_len == b.payload_len && a.may_have_payload_of(b) {
            return alters || is_rewritten;
        }
        self.note_payload(points, (first, a), (second, b)) || alters || is_rewritten
    }

    /// Notes a payload that is not the same at two points, and says whether it was altered.
    #[cold]
    fn note_payload(
        &mut self,
        points: &[Point],
        (first, a): (usize, &Sighting),
        (second, b): (usize, &Sighting),
    ) -> bool {
        let alteration = Alteration::of(points, (first, a), (second, b));
        if let Some(alteration) = alteration {
            let flows = (first, second, a.flow, b.flow);
            *self
                .altered
                .entry(flows)
                .or_default()
                .entry(alteration)
                .or_default() += 1;
        }
        alteration.is_some()
    }

    /// Whether packets that went from one point to another came with the TTL they left with; not
    /// known without packets.
    pub(super) fn keeps_ttl(
        &self,
        points: &[Point],
        relations: &Relations,
        way: Way,
        (from, to): (usize, usize),
    ) -> bool {
        let mut transitions = self.transitions[from * self.points + to]
            .iter()
            .filter(|((flow, _), _)| relations.way(from, *flow) == way)
            .map(|((a, b), _)| {
                let ttl = |point: usize, flow: u32| points[point].flows[flow as usize].flow.ttl;
                ttl(from, a) == ttl(to, b)
            })
            .peekable();
        transitions.peek().is_some() && transitions.all(|is_kept| is_kept)
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
            for ((from, to), transition) in transitions.iter() {
                if !is_subject(first, from) {
                    continue;
                }
                let a = &points[first].flows[from as usize].flow;
                let b = &points[second].flows[to as usize].flow;
                for (rank, (from, to)) in differences(a, b) {
                    *found.entry((first, second, rank, from, to)).or_default() += transition.count;
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
                    Alteration::Payload => (
                        PAYLOAD,
                        Change::AS_SENT.to_owned(),
                        Change::ALTERED.to_owned(),
                    ),
                };
                *found.entry((first, second, rank, from, to)).or_default() += count;
            }
        }
        let mut rewritten: BTreeMap<(usize, usize), Rewritten> = BTreeMap::new();
        for (&(first, second, from, _), of_flows) in &self.rewritten {
            if is_subject(first, from) {
                let all = rewritten.entry((first, second)).or_default();
                all.bits |= of_flows.bits;
                all.count += of_flows.count;
            }
        }
        for (&(first, second), all) in &rewritten {
            let (first_byte, last_byte) = bytes(all.bits);
            let to = Change::altered_bytes(first_byte, last_byte);
            let change = (first, second, TIMESTAMP, Change::AS_SENT.to_owned(), to);
            found.insert(change, all.count);
        }
        let name = |point: usize| points[point].name.clone();
        let mut flows = points.iter().flat_map(|point| &point.flows);
        let is_ipv6 =
            flows.any(|entry| entry.flow.protocol == protocol && entry.flow.destination.is_ipv6());
        found
            .into_iter()
            .map(|((first, second, rank, from, to), count)| Change {
                field: FIELDS[rank].to_owned(),
                cause: cause::of(cause::Subject {
                    carrier,
                    protocol,
                    is_ipv6,
                    field: FIELDS[rank],
                    altered_bits: rewritten.get(&(first, second)).map_or(0, |all| all.bits),
                    from: &from,
                    to: &to,
                }),
                hops: (rank == TTL).then(|| hops(&from, &to)).flatten(),
                from,
                to,
                between: [name(first), name(second)],
                count,
            })
            .collect()
    }
}

impl Alteration {
    /// How a payload differs between two points. A fragment's length is its own.
    fn of(
        points: &[Point],
        (first, a): (usize, &Sighting),
        (second, b): (usize, &Sighting),
    ) -> Option<Self> {
        let is_whole = |point: usize, s: &Sighting| !points[point].flow(s).is_fragment;
        if a.payload_len == b.payload_len {
            return (!a.may_have_payload_of(b)).then_some(Self::Payload);
        }
        let are_whole = is_whole(first, a) && is_whole(second, b);
        are_whole.then_some(Self::Length {
            from: a.payload_len,
            to: b.payload_len,
        })
    }
}

/// Whether HDP's bytes or the protocol number differ between two points.
pub(super) fn is_altered(points: &[Point], a: (usize, &Sighting), b: (usize, &Sighting)) -> bool {
    a.1.timestamp_ns != b.1.timestamp_ns
        || alters(points[a.0].flow(a.1), points[b.0].flow(b.1))
        || Alteration::of(points, a, b).is_some()
}

/// The first and the last byte of HDP that these bits of the timestamp lie in.
fn bytes(bits: u64) -> (u32, u32) {
    const TIMESTAMP_AT: u32 = 4;
    let first = TIMESTAMP_AT + bits.leading_zeros() / 8;
    let last = TIMESTAMP_AT + 7 - bits.trailing_zeros() / 8;
    (first, last)
}

/// Names of the fields, in the order in which changes are listed.
const FIELDS: [&str; 13] = [
    "source_address",
    "destination_address",
    "source_port",
    "destination_port",
    "protocol",
    "timestamp",
    "length",
    "payload",
    "dscp",
    "ecn",
    "ttl",
    "encapsulation",
    "fragmentation",
];
const TIMESTAMP: usize = 5;
const LENGTH: usize = 6;
const PAYLOAD: usize = 7;
const TTL: usize = 10;

/// By how much a TTL fell.
fn hops(from: &str, to: &str) -> Option<i16> {
    let ttl = |text: &str| text.parse::<i16>().ok();
    Some(ttl(from)? - ttl(to)?)
}

/// The fields in which two flows differ, as indices into [`FIELDS`], with the values before and
/// after.
fn differences(a: &Flow, b: &Flow) -> impl Iterator<Item = (usize, (String, String))> {
    let pieces = |flow: &Flow| {
        if flow.is_fragment {
            Change::FIRST_FRAGMENT
        } else {
            Change::WHOLE
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
        (a.dscp != b.dscp).then(|| (8, pair(&a.dscp, &b.dscp))),
        (a.ecn != b.ecn).then(|| (9, pair(&a.ecn, &b.ecn))),
        (a.ttl != b.ttl).then(|| (TTL, pair(&a.ttl, &b.ttl))),
        (a.encapsulation != b.encapsulation)
            .then(|| (11, pair(&a.encapsulation, &b.encapsulation))),
        (a.is_fragment != b.is_fragment).then(|| (12, pair(&pieces(a), &pieces(b)))),
    ]
    .into_iter()
    .flatten()
}

/// Whether HDP's ports or the protocol number differ: what the network is not supposed to touch.
fn alters(a: &Flow, b: &Flow) -> bool {
    (a.source_port, a.destination_port, a.protocol)
        != (b.source_port, b.destination_port, b.protocol)
}
