//! Crossings: packets that are not HDP and were seen at two points.
//!
//! They compare the points' clocks as HDP does, where none of HDP arrives, and show what became of
//! everything else meanwhile. Only what was seen once at each point relates anything; and only flows
//! of which some packet was seen at both points are said to go from one to the other at all.
//!
//! Which way they go is told by the TTL, by what cooked captures say, by HDP between the same
//! addresses, by the answers to them, and last by the clocks: what goes forth arrives after it was
//! sent, and so does what comes back, so the way forth is the one with the larger difference. A flow
//! of which nothing tells that is left out.

use std::{collections::BTreeMap, net::IpAddr};

use super::{Difference, Trend, Way};
use crate::{
    decode::{BystanderKind, PacketType},
    keyed::{KeyedMap, KeyedSet},
    observe::{BystanderFlow, BystanderSeen, Point},
};

/// No path is longer: a TTL that differs by more was set anew on the way.
const MOST_HOPS: u8 = 32;

/// A crossing whose difference of times lies farther than this from those before and behind it,
/// which agree, is none: an original that only one point saw, and its repetition.
const OUTLYING_NS: u64 = 1_000_000_000;

/// A crossing's neighbours in time, on either side.
const NEIGHBOURS: usize = 2;

/// What crossed between two points, the first one before the second.
#[derive(Debug, Clone, Default)]
pub(crate) struct Crossings {
    /// By way: how the second point's time less the first's went.
    trends: [Option<Trend>; 2],
    /// By way: what was sent along, by the time at the point that it comes by first.
    passages: [Vec<Passage>; 2],
    /// How many compared the clocks.
    count: u64,
}

/// A packet that is not HDP, of a flow that crosses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Passage {
    /// When the point that it came by first saw it, on that point's clock.
    pub at_ns: i64,
    /// Whether the other point saw it.
    pub has_arrived: bool,
}

/// One bystander at one point.
type Seen<'a> = (&'a BystanderFlow, BystanderSeen);

/// A bystander that was seen once at each of two points.
#[derive(Debug, Clone, Copy)]
struct Crossing<'a> {
    first: Seen<'a>,
    second: Seen<'a>,
}

impl Crossing<'_> {
    fn difference(&self) -> Difference {
        let at_ns = self.first.1.time_ns;
        Difference {
            at_ns,
            offset_ns: self.second.1.time_ns.saturating_sub(at_ns),
        }
    }
}

/// The addresses of a flow at the first point.
type Pair = (IpAddr, IpAddr);

fn pair(flow: &BystanderFlow) -> Pair {
    (flow.source, flow.destination)
}

impl Crossings {
    /// Finds what crossed between two points; `way_of_hdp` is the way of HDP between two addresses.
    pub(super) fn find(
        first: &Point,
        second: &Point,
        way_of_hdp: impl Fn(IpAddr, IpAddr) -> Option<Way>,
    ) -> Option<Self> {
        let mut crossing: Vec<Crossing> = Vec::new();
        let mut alone: [Vec<(BystanderKind, Seen)>; 2] = [Vec::new(), Vec::new()];
        for kind in BystanderKind::ALL {
            let limit = first
                .bystanders
                .limit(kind)
                .min(second.bystanders.limit(kind));
            let at_first = sights(first, kind, limit);
            if at_first.is_empty() {
                continue;
            }
            let at_second = sights(second, kind, limit);
            let may_be_one = |a: Seen, b: Seen| {
                kind.is_known_by_itself() || share_an_address(a.0, b.0) && may_be_alike(a.0, b.0)
            };
            for (fingerprint, here) in &at_first {
                if let (Sight::Once(first), Some(Sight::Once(second))) =
                    (*here, at_second.get(fingerprint))
                    && may_be_one(first, *second)
                {
                    crossing.push(Crossing {
                        first,
                        second: *second,
                    });
                }
            }
            let sides = [(&at_first, &at_second), (&at_second, &at_first)];
            for (alone, (here, there)) in alone.iter_mut().zip(sides) {
                // A live capture takes a sample only.
                let is_whole = !there.values().all(Sight::is_candidate);
                let unmatched = here
                    .iter()
                    .filter_map(|(fingerprint, sight)| sight.unmatched_by(there.get(fingerprint)))
                    .filter(|(_, seen)| is_whole || seen.is_candidate);
                alone.extend(unmatched.map(|seen| (kind, seen)));
            }
        }
        if crossing.is_empty() {
            return None;
        }
        // In an order that does not hang on the hashing.
        crossing.sort_unstable_by_key(|crossing| {
            let Difference { at_ns, offset_ns } = crossing.difference();
            (at_ns, offset_ns, *crossing.first.0)
        });
        let crossing = without_outliers(&crossing);
        let ways = ways(&crossing, way_of_hdp);
        let mut found = Self::default();
        let mut crossed: [KeyedSet<Conversation>; 2] = Default::default();
        for crossing in &crossing {
            let Some(&way) = ways.get(&pair(crossing.first.0)) else {
                continue;
            };
            let difference = crossing.difference();
            match &mut found.trends[way.index()] {
                Some(trend) => trend.note(difference),
                none => *none = Some(Trend::of(difference)),
            }
            found.count += 1;
            let sent = match way {
                Way::Forward => crossing.first,
                Way::Reverse => crossing.second,
            };
            crossed[way.index()].insert(conversation(sent.0));
            found.passages[way.index()].push(Passage {
                at_ns: sent.1.time_ns,
                has_arrived: true,
            });
        }
        for way in Way::BOTH {
            let is_lost = |(kind, (flow, seen)): &&(BystanderKind, Seen)| {
                // A segment may be cut or joined with the next one on the way: only that it was
                // sent again shows its loss.
                let is_evident = match kind {
                    BystanderKind::Tcp => seen.is_repeated,
                    _ => seen.is_short && !seen.is_repeated,
                };
                is_evident && crossed[way.index()].contains(&conversation(flow))
            };
            let lost = alone[way.index()].iter().filter(is_lost);
            found.passages[way.index()].extend(lost.map(|(_, (_, seen))| Passage {
                at_ns: seen.time_ns,
                has_arrived: false,
            }));
            found.passages[way.index()].sort_unstable();
        }
        (found.count > 0).then_some(found)
    }

    /// How the second point's time less the first's went, over what went this way.
    pub(crate) fn trend(&self, way: Way) -> Option<&Trend> {
        self.trends[way.index()].as_ref()
    }

    /// What was sent this way, in the order of sending.
    pub(crate) fn passages(&self, way: Way) -> &[Passage] {
        &self.passages[way.index()]
    }

    /// How many packets compared the clocks.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }
}

/// What a point shows of one fingerprint.
#[derive(Debug, Clone, Copy)]
enum Sight<'a> {
    /// One packet.
    Once(Seen<'a>),
    /// The same one again and again, at one place.
    Again(Seen<'a>),
    /// Several that are not told apart.
    Several,
}

impl<'a> Sight<'a> {
    /// Whether a live capture would show it too.
    fn is_candidate(&self) -> bool {
        match self {
            Sight::Once((_, seen)) | Sight::Again((_, seen)) => seen.is_candidate,
            Sight::Several => true,
        }
    }

    /// The packet, if the other point lacks it: all of it, or one of the times that it was sent.
    fn unmatched_by(self, other: Option<&Self>) -> Option<Seen<'a>> {
        match (self, other) {
            (Sight::Once(seen) | Sight::Again(seen), None)
            | (Sight::Again(seen), Some(Sight::Once(_))) => Some(seen),
            _ => None,
        }
    }
}

/// What a point saw of a kind, up to a fingerprint.
fn sights(point: &Point, kind: BystanderKind, limit: u64) -> KeyedMap<u64, Sight<'_>> {
    const INSIDE_A_HOST_NS: u64 = 1_000_000;
    let mut sights: KeyedMap<u64, Sight> = KeyedMap::default();
    let mut all: Vec<_> = point.bystanders.of(kind).collect();
    // In an order that does not hang on the hashing.
    all.sort_unstable_by_key(|(fingerprint, flow, seen)| (*fingerprint, seen.time_ns, **flow));
    for (fingerprint, flow, seen) in all {
        if fingerprint > limit {
            continue;
        }
        let own = if seen.is_repeated {
            Sight::Again((flow, seen))
        } else {
            Sight::Once((flow, seen))
        };
        sights
            .entry(fingerprint)
            .and_modify(|known| {
                *known = match (*known, own) {
                    // At another place of the host: where it came by first counts.
                    (Sight::Once(a), Sight::Once(b))
                        if a.1.time_ns.abs_diff(b.1.time_ns) <= INSIDE_A_HOST_NS =>
                    {
                        Sight::Once(if (a.1.time_ns, a.0) <= (b.1.time_ns, b.0) {
                            a
                        } else {
                            b
                        })
                    }
                    _ => Sight::Several,
                }
            })
            .or_insert(own);
    }
    sights
}

fn share_an_address(a: &BystanderFlow, b: &BystanderFlow) -> bool {
    a.source == b.source || a.destination == b.destination
}

/// Who leaves both addresses alone leaves the rest of a flow too: pings of two runs are alike but for
/// that.
fn may_be_alike(a: &BystanderFlow, b: &BystanderFlow) -> bool {
    let is_translated = (a.source, a.destination) != (b.source, b.destination);
    is_translated || (a.ports, a.echo_id) == (b.ports, b.echo_id)
}

/// A flow wherever it is seen in its host.
type Conversation = (IpAddr, IpAddr, (u16, u16));

fn conversation(flow: &BystanderFlow) -> Conversation {
    (flow.source, flow.destination, flow.ports)
}

/// Leaves out what agrees with nothing around it.
fn without_outliers<'a>(crossings: &[Crossing<'a>]) -> Vec<Crossing<'a>> {
    let offset = |index: usize| crossings[index].difference().offset_ns;
    let is_outlier = |index: usize| {
        let from = index.saturating_sub(NEIGHBOURS);
        let to = (index + NEIGHBOURS).min(crossings.len() - 1);
        let around: Vec<i64> = (from..=to).filter(|&i| i != index).map(offset).collect();
        let (Some(&min), Some(&max)) = (around.iter().min(), around.iter().max()) else {
            return false;
        };
        around.len() >= NEIGHBOURS
            && max.abs_diff(min) <= OUTLYING_NS
            && offset(index).abs_diff(min).min(offset(index).abs_diff(max)) > OUTLYING_NS
            && !(min..=max).contains(&offset(index))
    };
    let kept = (0..crossings.len()).filter(|&index| !is_outlier(index));
    kept.map(|index| crossings[index]).collect()
}

/// The ways of the address pairs that tell theirs, as the first point knows them.
fn ways(
    crossings: &[Crossing],
    way_of_hdp: impl Fn(IpAddr, IpAddr) -> Option<Way>,
) -> BTreeMap<Pair, Way> {
    #[derive(Default)]
    struct Votes {
        ttl: i64,
        stage: i64,
        hdp: Option<Way>,
        offsets_ns: Vec<i64>,
    }
    let mut votes: BTreeMap<Pair, Votes> = BTreeMap::new();
    for crossing in crossings {
        let (a, b) = (crossing.first.0, crossing.second.0);
        let own = votes.entry(pair(a)).or_default();
        if a.ttl.abs_diff(b.ttl) <= MOST_HOPS {
            own.ttl += (i64::from(a.ttl) - i64::from(b.ttl)).signum();
        }
        let leaves = |flow: &BystanderFlow| match flow.stage.packet_type {
            Some(PacketType::Outgoing) => 1,
            Some(_) => -1,
            None => 0,
        };
        // A router that shows only where packets come in says nothing by itself.
        let stage: i64 = leaves(a) - leaves(b);
        own.stage += if stage.abs() == 2 { stage.signum() } else { 0 };
        let hdp = || way_of_hdp(b.source, b.destination);
        own.hdp = own
            .hdp
            .or_else(|| way_of_hdp(a.source, a.destination).or_else(hdp));
        own.offsets_ns.push(crossing.difference().offset_ns);
    }
    let mut ways: BTreeMap<Pair, Way> = BTreeMap::new();
    for (&pair, own) in &votes {
        let by_votes = [own.ttl, own.stage].into_iter().find_map(Way::from_votes);
        if let Some(way) = by_votes.or(own.hdp) {
            ways.insert(pair, way);
        }
    }
    let median = |offsets_ns: &[i64]| {
        let mut offsets_ns = offsets_ns.to_vec();
        offsets_ns.sort_unstable();
        offsets_ns[offsets_ns.len() / 2]
    };
    let mut by_answers: Vec<(Pair, Way)> = Vec::new();
    for (&(source, destination), own) in &votes {
        let back = (destination, source);
        if ways.contains_key(&(source, destination)) {
            continue;
        }
        let by_round_trip = || {
            let answers = votes.get(&back)?;
            let longer = median(&own.offsets_ns).cmp(&median(&answers.offsets_ns));
            Way::from_votes(longer as i64)
        };
        let way = ways.get(&back).map(|way| way.opposite());
        by_answers.extend(
            way.or_else(by_round_trip)
                .map(|way| ((source, destination), way)),
        );
    }
    ways.extend(by_answers);
    ways
}
