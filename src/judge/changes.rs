//! Changes: what became of a packet's fields between two points.
//!
//! Nearly all fields belong to flows, so what is counted per packet is only which flow at one
//! point continues as which flow at the next; the fields are compared once per such pair.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use super::{TALLIES, cause, tally_index};
use crate::{
    correlate::{FlowPairs, Relations, Way},
    decode::Encapsulation,
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

    /// The changes that packets underwent, by the tally of each point's flows.
    pub(super) fn by_tally(&self, points: &[Point], tally_of_flow: &[Vec<usize>]) -> ByTally {
        let mut underwent = vec![Underwent::default(); TALLIES];
        for (index, transitions) in self.transitions.iter().enumerate() {
            let (first, second) = (index / self.points, index % self.points);
            for ((from, to), transition) in transitions.iter() {
                let a = &points[first].flows[from as usize].flow;
                let b = &points[second].flows[to as usize].flow;
                let of_tally = &mut underwent[tally_of_flow[first][from as usize]];
                for change in differences(a, b) {
                    of_tally.count((first, second), change, transition.count);
                }
            }
        }
        for (&(first, second, from, _), alterations) in &self.altered {
            let of_tally = &mut underwent[tally_of_flow[first][from as usize]];
            for (&alteration, &count) in alterations {
                let change = match alteration {
                    Alteration::Length { from, to } => {
                        (LENGTH, Value::Number(from), Value::Number(to))
                    }
                    Alteration::Payload => (PAYLOAD, Value::AsSent, Value::Altered),
                };
                of_tally.count((first, second), change, count);
            }
        }
        for (&(first, second, from, _), of_flows) in &self.rewritten {
            let of_tally = &mut underwent[tally_of_flow[first][from as usize]];
            let all = of_tally.rewritten.entry((first, second)).or_default();
            all.bits |= of_flows.bits;
            all.count += of_flows.count;
        }
        let mut over_ipv6 = [false; 256];
        for entry in points.iter().flat_map(|point| &point.flows) {
            over_ipv6[usize::from(entry.flow.protocol)] |= entry.flow.destination.is_ipv6();
        }
        ByTally {
            underwent,
            over_ipv6,
        }
    }
}

/// The changes that packets underwent, by tally.
pub(super) struct ByTally {
    underwent: Vec<Underwent>,
    /// By number, whether any of its packets were IPv6.
    over_ipv6: [bool; 256],
}

/// A field that changed. Their order is that of places on the path, then fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Changed {
    /// The two points.
    between: (usize, usize),
    /// An index into [`FIELDS`].
    field: usize,
    from: Value,
    to: Value,
}

/// The changes that the packets of one tally underwent.
#[derive(Clone, Default)]
struct Underwent {
    counts: BTreeMap<Changed, u64>,
    rewritten: BTreeMap<(usize, usize), Rewritten>,
}

impl Underwent {
    fn count(
        &mut self,
        between: (usize, usize),
        (field, from, to): (usize, Value, Value),
        count: u64,
    ) {
        let changed = Changed {
            between,
            field,
            from,
            to,
        };
        *self.counts.entry(changed).or_default() += count;
    }
}

/// What a field held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Address(IpAddr),
    Number(u16),
    Encapsulation(Encapsulation),
    Fragment,
    Whole,
    AsSent,
    Altered,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Encapsulation(encapsulation) => encapsulation.fmt(f),
            Self::Fragment => f.write_str(Change::FIRST_FRAGMENT),
            Self::Whole => f.write_str(Change::WHOLE),
            Self::AsSent => f.write_str(Change::AS_SENT),
            Self::Altered => f.write_str(Change::ALTERED),
        }
    }
}

impl ByTally {
    /// Those of one number.
    pub(super) fn of(
        &self,
        points: &[Point],
        way: Way,
        carrier: Carrier,
        protocol: u8,
    ) -> Vec<Change> {
        let tally = tally_index(way, carrier, protocol);
        let Underwent { counts, rewritten } = &self.underwent[tally];
        // Ordered by place on the path, then field.
        let mut found: BTreeMap<(usize, usize, usize, String, String), u64> = BTreeMap::new();
        for (changed, count) in counts {
            let (first, second) = changed.between;
            let [from, to] = [changed.from, changed.to].map(|value| value.to_string());
            let change = (first, second, changed.field, from, to);
            *found.entry(change).or_default() += count;
        }
        for (&(first, second), all) in rewritten {
            let (first_byte, last_byte) = bytes(all.bits);
            let to = Change::altered_bytes(first_byte, last_byte);
            let change = (first, second, TIMESTAMP, Change::AS_SENT.to_owned(), to);
            found.insert(change, all.count);
        }
        let name = |point: usize| points[point].name.clone();
        found
            .into_iter()
            .map(|((first, second, field, from, to), count)| Change {
                field: FIELDS[field].to_owned(),
                cause: cause::of(cause::Subject {
                    carrier,
                    protocol,
                    is_ipv6: self.over_ipv6[usize::from(protocol)],
                    field: FIELDS[field],
                    altered_bits: rewritten.get(&(first, second)).map_or(0, |all| all.bits),
                    from: &from,
                    to: &to,
                }),
                hops: (field == TTL).then(|| hops(&from, &to)).flatten(),
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
fn differences(a: &Flow, b: &Flow) -> impl Iterator<Item = (usize, Value, Value)> {
    use Value::{Address, Number};
    let number = |of: fn(&Flow) -> u16| (Number(of(a)), Number(of(b)));
    let encapsulation = |flow: &Flow| Value::Encapsulation(flow.encapsulation);
    let pieces = |flow: &Flow| {
        if flow.is_fragment {
            Value::Fragment
        } else {
            Value::Whole
        }
    };
    let pairs = [
        (0, (Address(a.source), Address(b.source))),
        (1, (Address(a.destination), Address(b.destination))),
        (2, number(|flow| flow.source_port)),
        (3, number(|flow| flow.destination_port)),
        (4, number(|flow| flow.protocol.into())),
        (8, number(|flow| flow.dscp.into())),
        (9, number(|flow| flow.ecn.into())),
        (TTL, number(|flow| flow.ttl.into())),
        (11, (encapsulation(a), encapsulation(b))),
        (12, (pieces(a), pieces(b))),
    ];
    let pairs = pairs.into_iter().filter(|(_, (from, to))| from != to);
    pairs.map(|(field, (from, to))| (field, from, to))
}

/// Whether HDP's ports or the protocol number differ: what the network is not supposed to touch.
fn alters(a: &Flow, b: &Flow) -> bool {
    (a.source_port, a.destination_port, a.protocol)
        != (b.source_port, b.destination_port, b.protocol)
}
