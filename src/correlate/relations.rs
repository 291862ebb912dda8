//! What the points have to do with each other: which way traffic goes, how capture times relate.

use std::net::IpAddr;

use rustc_hash::FxHashMap;

use super::{Crossings, Difference, Spans, Survey, Trend};
use crate::{
    decode::{HeaderView, PacketType, Quote},
    findings::{RelatedBy, Side},
    hdp,
    observe::{IcmpSighting, Point},
};

/// Initial TTL values of the systems in use; a packet that has one was sent right here.
pub(super) const INITIAL_TTLS: [u8; 3] = [64, 128, 255];

/// A way along the points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Way {
    /// In the order of the points, as the user gave them.
    Forward,
    /// Against it.
    Reverse,
}

impl Way {
    /// Both, forward first.
    pub(crate) const BOTH: [Self; 2] = [Self::Forward, Self::Reverse];

    /// 0 or 1.
    #[must_use]
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Forward => 0,
            Self::Reverse => 1,
        }
    }

    /// The other one.
    #[must_use]
    pub(crate) fn opposite(self) -> Self {
        match self {
            Self::Forward => Self::Reverse,
            Self::Reverse => Self::Forward,
        }
    }

    pub(super) fn from_votes(forward_less_reverse: i64) -> Option<Self> {
        match forward_less_reverse {
            0 => None,
            votes if votes > 0 => Some(Self::Forward),
            _ => Some(Self::Reverse),
        }
    }
}

/// Statistics of one point's capture time less another's, over packets seen at both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Offsets {
    /// How many packets.
    pub count: u64,
    /// Smallest difference in nanoseconds.
    pub min_ns: i64,
    /// Largest difference.
    pub max_ns: i64,
}

impl Offsets {
    pub(super) fn of(offset_ns: i64) -> Self {
        Self {
            count: 1,
            min_ns: offset_ns,
            max_ns: offset_ns,
        }
    }

    /// Of many differences, or `None` of none.
    pub(super) fn of_all(offsets_ns: &Spans) -> Option<Self> {
        Some(Self {
            count: offsets_ns.len() as u64,
            min_ns: offsets_ns.min()?,
            max_ns: offsets_ns.max()?,
        })
    }

    #[inline]
    pub(super) fn add(&mut self, offset_ns: i64) {
        self.count += 1;
        self.min_ns = self.min_ns.min(offset_ns);
        self.max_ns = self.max_ns.max(offset_ns);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// The same, seen from the other point.
    fn reversed(&self) -> Self {
        Self {
            min_ns: -self.max_ns,
            max_ns: -self.min_ns,
            ..*self
        }
    }
}

/// What was learnt from the packets that were seen at several points.
#[derive(Debug)]
pub(crate) struct Relations {
    /// The way of each flow, by point.
    ways: Vec<Vec<Way>>,
    /// The way of each address pair that occurs anywhere.
    pair_ways: FxHashMap<(IpAddr, IpAddr), Way>,
    /// For each two points (first below second) and way: second's time less first's.
    offsets: FxHashMap<(usize, usize, Way), Offsets>,
    /// The same, over time.
    trends: FxHashMap<(usize, usize, Way), Trend>,
    /// For each two points, how many ICMP errors crossed.
    errors: FxHashMap<(usize, usize), u64>,
    /// For each two points, what crossed of everything that is not HDP.
    crossings: FxHashMap<(usize, usize), Crossings>,
}

/// Signs of an address pair's way, strongest first; positive is forward.
#[derive(Debug, Clone, Copy, Default)]
struct Votes {
    /// TTL falls along the path.
    ttl: i64,
    /// The first point sends what goes forward, the last one receives it.
    packet_type: i64,
    /// Near the sender, capture time and timestamp are close.
    nearness: i64,
    /// At the sender's end the TTL is fresh.
    initial_ttl: i64,
}

impl Votes {
    fn strongest(&self) -> Option<Way> {
        [self.ttl, self.packet_type, self.nearness, self.initial_ttl]
            .into_iter()
            .find_map(Way::from_votes)
    }
}

impl Relations {
    /// Learns from all packets that were one at sight.
    #[must_use]
    pub(crate) fn learn(points: &[Point], survey: &Survey) -> Self {
        let mut pair_ids: FxHashMap<(IpAddr, IpAddr), usize> = FxHashMap::default();
        let mut votes: Vec<Votes> = Vec::new();
        // For each point, the index into `votes` of each of its flows.
        let mut pairs_of_flows: Vec<Vec<usize>> = Vec::new();
        for (index, point) in points.iter().enumerate() {
            let pairs: Vec<usize> = point
                .pairs
                .iter()
                .map(|addresses| {
                    *pair_ids.entry(*addresses).or_insert_with(|| {
                        votes.push(Votes::default());
                        votes.len() - 1
                    })
                })
                .collect();
            let of_flows = point.flows.iter().map(|entry| pairs[entry.pair as usize]);
            pairs_of_flows.push(of_flows.collect());
            vote_by_flows(index, points, &pairs_of_flows[index], &mut votes);
        }
        let offsets = compare_points(points, survey, &pairs_of_flows, &mut votes);

        let addresses: Vec<(IpAddr, IpAddr)> = {
            let mut by_id = vec![None; votes.len()];
            for (addresses, id) in &pair_ids {
                by_id[*id] = Some(*addresses);
            }
            by_id.into_iter().flatten().collect()
        };
        let pair_ways: FxHashMap<_, _> = addresses
            .iter()
            .zip(&votes)
            .map(|(&(source, destination), own)| {
                let back = pair_ids.get(&(destination, source)).map(|&id| votes[id]);
                (
                    (source, destination),
                    way_of(*own, back.unwrap_or_default()),
                )
            })
            .collect();
        let ways_of_pairs: Vec<Way> = addresses.iter().map(|pair| pair_ways[pair]).collect();

        let mut by_way: FxHashMap<(usize, usize, Way), Offsets> = FxHashMap::default();
        for ((first, second, pair), offsets) in offsets {
            by_way
                .entry((first, second, ways_of_pairs[pair]))
                .and_modify(|sum| sum.merge(&offsets))
                .or_insert(offsets);
        }
        let mut trends: FxHashMap<(usize, usize, Way), Trend> = FxHashMap::default();
        for first in 0..points.len() {
            for second in first + 1..points.len() {
                for (pair, trend) in survey.trends(points.len(), first, second) {
                    let way = pair_ways[&points[first].pairs[pair]];
                    trends
                        .entry((first, second, way))
                        .and_modify(|sum| sum.merge(trend))
                        .or_insert_with(|| trend.clone());
                }
            }
        }
        let way_between = |error: &IcmpSighting| {
            let back = pair_ways.get(&(error.destination, error.source)).copied();
            let forth = pair_ways.get(&(error.source, error.destination)).copied();
            forth.or(back.map(Way::opposite))
        };
        let mut errors: FxHashMap<(usize, usize), u64> = FxHashMap::default();
        for (first, second, way, difference) in crossing_errors(points, way_between) {
            *errors.entry((first, second)).or_default() += 1;
            trends
                .entry((first, second, way))
                .and_modify(|trend| trend.note(difference))
                .or_insert_with(|| Trend::of(difference));
        }
        let way_of_hdp = |source: IpAddr, destination: IpAddr| {
            let back = || Some(pair_ways.get(&(destination, source))?.opposite());
            pair_ways.get(&(source, destination)).copied().or_else(back)
        };
        let mut crossings = FxHashMap::default();
        for first in 0..points.len() {
            for second in first + 1..points.len() {
                let found = Crossings::find(&points[first], &points[second], way_of_hdp);
                crossings.extend(found.map(|found| ((first, second), found)));
            }
        }
        Self {
            ways: pairs_of_flows
                .iter()
                .map(|flows| flows.iter().map(|&pair| ways_of_pairs[pair]).collect())
                .collect(),
            pair_ways,
            offsets: by_way,
            trends,
            errors,
            crossings,
        }
    }

    /// Which way a flow of a point goes.
    #[inline]
    #[must_use]
    pub(crate) fn way(&self, point: usize, flow: u32) -> Way {
        self.ways[point][flow as usize]
    }

    /// Which way packets between two addresses go, if such were seen, or such that go back.
    #[must_use]
    pub(crate) fn way_between(&self, source: IpAddr, destination: IpAddr) -> Option<Way> {
        self.pair_ways
            .get(&(source, destination))
            .copied()
            .or_else(|| {
                self.pair_ways
                    .get(&(destination, source))
                    .map(|way| way.opposite())
            })
    }

    /// How point `second`'s capture time less point `first`'s went, first before second in path
    /// order, over the packets going `way` that were seen at both.
    #[must_use]
    pub(crate) fn trend(&self, first: usize, second: usize, way: Way) -> Option<&Trend> {
        self.trends.get(&(first, second, way))
    }

    /// What crossed between two points, first before second in path order, of everything that is not
    /// HDP.
    #[must_use]
    pub(crate) fn crossings(&self, first: usize, second: usize) -> Option<&Crossings> {
        self.crossings.get(&(first, second))
    }

    /// How many packets compare the clocks of two points, first before second.
    #[must_use]
    pub(crate) fn related_by(&self, first: usize, second: usize) -> RelatedBy {
        let offsets = |way| self.offsets.get(&(first, second, way));
        RelatedBy {
            hdp: Way::BOTH
                .into_iter()
                .filter_map(offsets)
                .map(|offsets| offsets.count)
                .sum(),
            icmp_quote: self.errors.get(&(first, second)).copied().unwrap_or(0),
            bystander: self.crossings(first, second).map_or(0, Crossings::count),
        }
    }

    /// Point `to`'s capture time less point `from`'s, over the packets going `way` that were seen
    /// at both.
    #[must_use]
    pub(crate) fn offsets(&self, from: usize, to: usize, way: Way) -> Option<Offsets> {
        if from < to {
            self.offsets.get(&(from, to, way)).copied()
        } else {
            self.offsets.get(&(to, from, way)).map(Offsets::reversed)
        }
    }
}

/// The way by an address pair's own votes and those of the packets that go back, whichever are
/// stronger.
fn way_of(own: Votes, back: Votes) -> Way {
    let both = Votes {
        ttl: own.ttl - back.ttl,
        packet_type: own.packet_type - back.packet_type,
        nearness: own.nearness - back.nearness,
        initial_ttl: own.initial_ttl - back.initial_ttl,
    };
    both.strongest().unwrap_or(Way::Forward)
}

/// What ICMP errors tell that were seen at two points: they go the other way than the packets that
/// they quote. Only such count as quote the whole header, and were seen once at each point.
fn crossing_errors(
    points: &[Point],
    way: impl Fn(&IcmpSighting) -> Option<Way>,
) -> Vec<(usize, usize, Way, Difference)> {
    type Identity = (Quote, hdp::Header, u8);
    let mut seen: FxHashMap<Identity, Vec<Vec<&IcmpSighting>>> = FxHashMap::default();
    for (index, point) in points.iter().enumerate() {
        for error in &point.icmp {
            if let HeaderView::Whole(header) = error.header
                && way(error).is_some_and(|quoted| is_of_side(point, error, quoted.opposite()))
            {
                let identity = (error.quote, header, error.protocol);
                let at = seen
                    .entry(identity)
                    .or_insert_with(|| vec![Vec::new(); points.len()]);
                at[index].push(error);
            }
        }
    }
    let mut crossing = Vec::new();
    for at in seen.values() {
        for first in 0..points.len() {
            for second in first + 1..points.len() {
                if let ([a], [b]) = (at[first].as_slice(), at[second].as_slice())
                    && let (Some(at_ns), Some(then_ns)) = (a.time_ns, b.time_ns)
                    && let Some(way) = way(a)
                {
                    let difference = Difference {
                        at_ns,
                        offset_ns: then_ns.saturating_sub(at_ns),
                    };
                    crossing.push((first, second, way.opposite(), difference));
                }
            }
        }
    }
    // In an order that does not hang on the hashing.
    crossing.sort_by_key(|(first, second, _, difference)| (*first, *second, difference.at_ns));
    crossing
}

/// Whether an error going this way was seen on the side of the host that the point is; what goes
/// back comes in where the rest goes out.
fn is_of_side(point: &Point, error: &IcmpSighting, way: Way) -> bool {
    let (Some(side), Some(packet_type)) = (point.side, error.stage.packet_type) else {
        return true;
    };
    let comes_in = packet_type != PacketType::Outgoing;
    (side == Side::In) == (comes_in == (way == Way::Forward))
}

/// What the flows of one point tell by themselves; only the path's ends know where they stand.
fn vote_by_flows(index: usize, points: &[Point], pairs: &[usize], votes: &mut [Votes]) {
    let toward_here = match index {
        0 => -1,
        last if last + 1 == points.len() => 1,
        _ => return,
    };
    for (entry, &pair) in points[index].flows.iter().zip(pairs) {
        let votes = &mut votes[pair];
        match entry.flow.stage.packet_type {
            Some(PacketType::Outgoing) => votes.packet_type -= toward_here,
            Some(_) => votes.packet_type += toward_here,
            None => {}
        }
        if INITIAL_TTLS.contains(&entry.flow.ttl) {
            votes.initial_ttl -= toward_here;
        }
    }
}

/// Compares TTLs and times of the packets that were one at sight, point by point.
fn compare_points(
    points: &[Point],
    survey: &Survey,
    pairs_of_flows: &[Vec<usize>],
    votes: &mut [Votes],
) -> FxHashMap<(usize, usize, usize), Offsets> {
    let mut offsets: FxHashMap<(usize, usize, usize), Offsets> = FxHashMap::default();
    for first in 0..points.len() {
        for second in first + 1..points.len() {
            for ((flow_a, flow_b), link) in survey.links(points.len(), first, second) {
                let Some(of_link) = link.offsets else {
                    continue;
                };
                let ttl = |point: usize, flow: u32| {
                    i64::from(points[point].flows[flow as usize].flow.ttl)
                };
                let falls = (ttl(first, flow_a) - ttl(second, flow_b)).signum();
                let pairs = [
                    pairs_of_flows[first][flow_a as usize],
                    pairs_of_flows[second][flow_b as usize],
                ];
                for pair in pairs {
                    votes[pair].ttl += falls * of_link.count.cast_signed();
                    votes[pair].nearness += link.nearer_first;
                }
                offsets
                    .entry((first, second, pairs[0]))
                    .and_modify(|sum| sum.merge(&of_link))
                    .or_insert(of_link);
            }
        }
    }
    offsets
}
