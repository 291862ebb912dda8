//! What the points have to do with each other: which way traffic goes, how capture times relate.

use std::{cell::LazyCell, net::IpAddr};

use super::{Crossings, Difference, Spans, Survey, Trend, companions::Companions};
use crate::{
    decode::{HeaderView, PacketType, Quote},
    findings::{RelatedBy, Side},
    hdp,
    keyed::{KeyedMap, KeyedSet},
    observe::{IcmpSighting, Point},
};

/// Initial TTL values of the systems in use; a packet that has one was sent right here.
const INITIAL_TTLS: [u8; 3] = [64, 128, 255];

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

    /// The point at a position along the way, of so many points; or the position of a point.
    #[inline]
    #[must_use]
    pub(crate) fn at(self, place: usize, points: usize) -> usize {
        match self {
            Self::Forward => place,
            Self::Reverse => points - 1 - place,
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
    pair_ways: KeyedMap<(IpAddr, IpAddr), Way>,
    /// By point and flow: whether others sent such packets, or were sent them.
    foreign: Vec<Vec<bool>>,
    /// Address pairs at two points that had a packet in common.
    linked: Linked,
    /// For each two points (first below second) and way: second's time less first's.
    offsets: KeyedMap<(usize, usize, Way), Offsets>,
    /// The same, over time.
    trends: KeyedMap<(usize, usize, Way), Trend>,
    /// For each two points, how many ICMP errors crossed.
    errors: KeyedMap<(usize, usize), u64>,
    /// For each two points, what crossed of everything that is not HDP.
    crossings: KeyedMap<(usize, usize), Crossings>,
}

/// Packets of a point with the same addresses, number, carrier and ports: the index of the address
/// pair, and the flow's part of a packet's key.
type Channel = (u32, u64);

/// Which packets two points saw of each other's.
#[derive(Debug, Default)]
struct Linked {
    /// Address pairs that had a packet in common.
    pairs: KeyedSet<((usize, u32), (usize, u32))>,
    /// The other points that saw packets of an address pair.
    by_pair: KeyedSet<(usize, u32, usize)>,
    /// The same of a channel.
    by_channel: KeyedSet<(usize, Channel, usize)>,
}

impl Linked {
    fn find(points: &[Point], survey: &Survey) -> Self {
        let mut linked = Self::default();
        for first in 0..points.len() {
            for second in first + 1..points.len() {
                for ((a, b), link) in survey.links(points.len(), first, second) {
                    if link.offsets.is_none() {
                        continue;
                    }
                    let (a, b) = (channel(&points[first], a), channel(&points[second], b));
                    let pairs = ((first, a.0), (second, b.0));
                    linked.pairs.extend([pairs, (pairs.1, pairs.0)]);
                    linked
                        .by_pair
                        .extend([(first, a.0, second), (second, b.0, first)]);
                    linked
                        .by_channel
                        .extend([(first, a, second), (second, b, first)]);
                }
            }
        }
        linked
    }

    /// See [`Relations::is_foreign`]: of each flow of a point.
    fn foreign(&self, points: &[Point], ways: &[Vec<Way>], point: usize) -> Vec<bool> {
        let own = &points[point];
        let sees = |other: &usize, way: Way| ways[*other].contains(&way);
        // Points that packets going this way pass before this one, or behind it.
        let beside = |way: Way, is_before: bool| {
            if (way == Way::Forward) == is_before {
                0..point
            } else {
                point + 1..points.len()
            }
        };
        let has_senders = Way::BOTH.map(|way| beside(way, true).any(|other| sees(&other, way)));
        let mut numbers: KeyedSet<Channel> = KeyedSet::default();
        let mut channels: KeyedMap<Channel, Way> = KeyedMap::default();
        for flow in 0..index_of_next(own) {
            let way = ways[point][flow as usize];
            let channel = channel(own, flow);
            channels.insert(channel, way);
            let is_linked = |other| self.by_channel.contains(&(point, channel, other));
            if beside(way, true).any(is_linked) {
                numbers.insert(number(channel));
            }
        }
        let pairs: KeyedMap<(IpAddr, IpAddr), u32> = own.pairs.iter().copied().zip(0..).collect();
        // What comes from elsewhere than the points before, though they saw what goes this way: from
        // other addresses, or from other ports than those that came from there under the number.
        let comes_from_elsewhere = |channel: Channel, way: Way| {
            let by_pair = |other| self.by_pair.contains(&(point, channel.0, other));
            let by_channel = |other| self.by_channel.contains(&(point, channel, other));
            has_senders[way.index()]
                && (!beside(way, true).any(by_pair)
                    || numbers.contains(&number(channel)) && !beside(way, true).any(by_channel))
        };
        let goes_elsewhere = |channel: Channel, way: Way| {
            let (source, destination) = own.pairs[channel.0 as usize];
            let back = pairs.get(&(destination, source));
            let back = back.map(|&pair| (pair, with_ports_exchanged(channel.1)));
            let is_linked = |other| self.by_channel.contains(&(point, channel, other));
            back.is_some_and(|back| {
                let way_back = channels.get(&back);
                way_back.is_some_and(|&way_back| {
                    way_back != way && comes_from_elsewhere(back, way_back)
                })
            }) && !beside(way, false).any(is_linked)
        };
        (0..index_of_next(own))
            .map(|flow| {
                let (channel, way) = (channel(own, flow), ways[point][flow as usize]);
                comes_from_elsewhere(channel, way) || goes_elsewhere(channel, way)
            })
            .collect()
    }
}

fn index_of_next(point: &Point) -> u32 {
    u32::try_from(point.flows.len()).expect("flows are numbered by 32 bits")
}

fn channel(point: &Point, flow: u32) -> Channel {
    let flow = flow as usize;
    (point.flows[flow].pair, point.keys[flow])
}

/// The same without its ports.
fn number((pair, key): Channel) -> Channel {
    (pair, key >> 32)
}

fn with_ports_exchanged(key: u64) -> u64 {
    key >> 32 << 32 | (key & 0xffff) << 16 | key >> 16 & 0xffff
}

/// Signs of an address pair's way, strongest first; positive is forward.
#[derive(Debug, Clone, Copy, Default)]
struct Votes {
    /// TTL falls along the path.
    ttl: i64,
    /// The first point sends what goes forward, the last one receives it.
    packet_type: i64,
    /// Whether the TTL is fresh where a sender of what goes forward is, and where one of what goes back
    /// is. Fresh at both ends it tells nothing, whatever a translator makes of the addresses between.
    fresh: [bool; 2],
    /// What goes forth arrives later than it was sent, and so does what comes back.
    round_trip: i64,
}

impl Votes {
    /// Takes in those of packets that go the same way, or the other way.
    fn add(&mut self, other: &Self, are_opposite: bool) {
        let sign = if are_opposite { -1 } else { 1 };
        self.ttl += sign * other.ttl;
        self.packet_type += sign * other.packet_type;
        self.round_trip += sign * other.round_trip;
        for way in Way::BOTH {
            self.fresh[along(way, are_opposite).index()] |= other.fresh[way.index()];
        }
    }

    /// By what packets show on their way.
    fn strong(&self) -> Option<Way> {
        let votes = [self.ttl, self.packet_type, self.round_trip];
        votes.into_iter().find_map(Way::from_votes)
    }

    /// By what only one point shows: a neighbour's packets look like a host's own.
    fn weak(&self) -> Option<Way> {
        match self.fresh {
            [true, false] => Some(Way::Forward),
            [false, true] => Some(Way::Reverse),
            _ => None,
        }
    }
}

impl Relations {
    /// Learns from all packets that were one at sight.
    #[must_use]
    pub(crate) fn learn(points: &[Point], survey: &Survey) -> Self {
        let mut pair_ids: KeyedMap<(IpAddr, IpAddr), usize> = KeyedMap::default();
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
        let addresses: Vec<(IpAddr, IpAddr)> = {
            let mut by_id = vec![None; votes.len()];
            for (addresses, id) in &pair_ids {
                by_id[*id] = Some(*addresses);
            }
            by_id.into_iter().flatten().collect()
        };
        let back = |(source, destination)| pair_ids.get(&(destination, source)).copied();
        let back = addresses.iter().map(|pair| back(*pair)).collect();
        let passing = Passing::find(points, survey, &pairs_of_flows, back);
        let offsets = compare_points(points, survey, &pairs_of_flows, &passing, &mut votes);
        vote_by_round_trips(&offsets, &addresses, &pair_ids, &mut votes);
        let companions = companions(
            points,
            survey,
            &pairs_of_flows,
            &passing,
            &addresses,
            &pair_ids,
        );
        let by_start = || pairs_by_start(points, &pair_ids);
        let pair_ways = ways_of_pairs(&addresses, &votes, &companions, by_start);
        let by_pair: Vec<Way> = addresses.iter().map(|pair| pair_ways[pair]).collect();

        let mut by_way: KeyedMap<(usize, usize, Way), Offsets> = KeyedMap::default();
        for ((first, second, pair), offsets) in offsets {
            by_way
                .entry((first, second, by_pair[pair]))
                .and_modify(|sum| sum.merge(&offsets))
                .or_insert(offsets);
        }
        let mut trends: KeyedMap<(usize, usize, Way), Trend> = KeyedMap::default();
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
        let way_of_quoted =
            |error: &IcmpSighting| way_between(&pair_ways, error.source, error.destination);
        let mut errors: KeyedMap<(usize, usize), u64> = KeyedMap::default();
        for (first, second, way, difference) in crossing_errors(points, way_of_quoted) {
            *errors.entry((first, second)).or_default() += 1;
            trends
                .entry((first, second, way))
                .and_modify(|trend| trend.note(difference))
                .or_insert_with(|| Trend::of(difference));
        }
        let crossings = crossings(points, &pair_ways);
        let linked = Linked::find(points, survey);
        let of_flows = |flows: &Vec<usize>| flows.iter().map(|&pair| by_pair[pair]).collect();
        let ways: Vec<Vec<Way>> = pairs_of_flows.iter().map(of_flows).collect();
        Self {
            foreign: (0..points.len())
                .map(|point| linked.foreign(points, &ways, point))
                .collect(),
            linked,
            ways,
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
        way_between(&self.pair_ways, source, destination)
    }

    /// How point `second`'s capture time less point `first`'s went, first before second in path
    /// order, over the packets going `way` that were seen at both.
    #[must_use]
    pub(crate) fn trend(&self, first: usize, second: usize, way: Way) -> Option<&Trend> {
        self.trends.get(&(first, second, way))
    }

    /// Whether a flow of a point is another sender's, or the answers to one: no packet between its
    /// addresses was seen at the points that it should have passed, where others were.
    #[inline]
    #[must_use]
    pub(crate) fn is_foreign(&self, point: usize, flow: u32) -> bool {
        self.foreign[point][flow as usize]
    }

    /// Whether packets of one flow at one point may come to another as those of another flow there,
    /// by the addresses of those that did.
    #[must_use]
    pub(crate) fn may_become(
        &self,
        points: &[Point],
        (from, before): (usize, u32),
        (to, behind): (usize, u32),
    ) -> bool {
        let pair = |point: usize, flow: u32| points[point].flows[flow as usize].pair;
        let (before, behind) = ((from, pair(from, before)), (to, pair(to, behind)));
        let addresses = |(point, pair): (usize, u32)| points[point].pairs[pair as usize];
        // What a translator leaves alone keeps its addresses beside those that it translates.
        if addresses(before) == addresses(behind) {
            return true;
        }
        self.linked.pairs.contains(&(before, behind))
            || !self.linked.by_pair.contains(&(from, before.1, to))
                && !self.linked.by_pair.contains(&(to, behind.1, from))
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

/// Which way packets between any two addresses go: by what they show on their way, or else by the end
/// at which the addresses are, or else by what one point shows alone. Where nothing tells, what the
/// first point saw first goes forward.
fn ways_of_pairs(
    addresses: &[(IpAddr, IpAddr)],
    votes: &[Votes],
    companions: &Companions,
    by_start: impl FnOnce() -> Vec<usize>,
) -> KeyedMap<(IpAddr, IpAddr), Way> {
    let if_first_goes_forward = LazyCell::new(|| {
        let mut of_leads = vec![None; votes.len()];
        for pair in by_start() {
            let (lead, is_turned) = companions.lead(pair);
            of_leads[lead].get_or_insert(along(Way::Forward, is_turned));
        }
        of_leads
    });
    let mut sums: Vec<Votes> = vec![Votes::default(); votes.len()];
    for (pair, own) in votes.iter().enumerate() {
        let (lead, is_turned) = companions.lead(pair);
        sums[lead].add(own, is_turned);
    }
    let mut of_leads: Vec<Option<Way>> = sums.iter().map(Votes::strong).collect();
    learn_by_ends(addresses, companions, &mut of_leads);
    // What several points saw says more than what one did: a neighbour's packets look like a host's own.
    for (pair, _) in addresses.iter().enumerate() {
        let (lead, _) = companions.lead(pair);
        if of_leads[lead].is_none() && companions.were_seen_on_their_way(pair) {
            // No router between the points has taken a hop off: who sent first was asked by the other.
            of_leads[lead] = if_first_goes_forward[lead];
        }
    }
    learn_by_ends(addresses, companions, &mut of_leads);
    // Of neighbours of either end that send to one address, those of the first end are the senders.
    for way in Way::BOTH {
        for (of_lead, sum) in of_leads.iter_mut().zip(&sums) {
            *of_lead = of_lead.or_else(|| sum.weak().filter(|weak| *weak == way));
        }
        learn_by_ends(addresses, companions, &mut of_leads);
    }
    let ways = addresses.iter().enumerate().map(|(pair, addresses)| {
        let (lead, is_turned) = companions.lead(pair);
        let way = of_leads[lead].or_else(|| if_first_goes_forward[lead]);
        (*addresses, along(way.unwrap_or(Way::Forward), is_turned))
    });
    ways.collect()
}

/// All address pairs, point by point, in the order in which their first packets were captured, whatever
/// the order of the records.
fn pairs_by_start(points: &[Point], pair_ids: &KeyedMap<(IpAddr, IpAddr), usize>) -> Vec<usize> {
    let of_point = |point: &Point| {
        let mut pairs: Vec<_> = point.pairs.iter().zip(&point.pair_starts_ns).collect();
        pairs.sort_by_key(|(addresses, start_ns)| (**start_ns, **addresses));
        pairs
            .into_iter()
            .map(|(addresses, _)| pair_ids[addresses])
            .collect::<Vec<_>>()
    };
    points.iter().flat_map(of_point).collect()
}

fn along(way: Way, is_turned: bool) -> Way {
    if is_turned { way.opposite() } else { way }
}

/// Learns ways of others from those known: an address that packets going forward go to is at the far
/// end, and what else goes there goes forward too.
fn learn_by_ends(
    addresses: &[(IpAddr, IpAddr)],
    companions: &Companions,
    of_leads: &mut [Option<Way>],
) {
    let mut is_far: KeyedMap<IpAddr, bool> = KeyedMap::default();
    for (pair, (source, destination)) in addresses.iter().enumerate() {
        let (lead, is_turned) = companions.lead(pair);
        if let Some(way) = of_leads[lead] {
            let goes_forward = along(way, is_turned) == Way::Forward;
            is_far.insert(*source, !goes_forward);
            is_far.insert(*destination, goes_forward);
        }
    }
    let by_ends = |(source, destination): &(IpAddr, IpAddr)| {
        let far = match (is_far.get(source), is_far.get(destination)) {
            (None, Some(&far)) | (Some(false), Some(&far @ true)) => far,
            (Some(&far), None) | (Some(&far @ true), Some(false)) => !far,
            _ => return None,
        };
        Some(if far { Way::Forward } else { Way::Reverse })
    };
    for (pair, addresses) in addresses.iter().enumerate() {
        let (lead, is_turned) = companions.lead(pair);
        of_leads[lead] = of_leads[lead].or_else(|| Some(along(by_ends(addresses)?, is_turned)));
    }
}

/// Which address pairs are bound to each other: by packets that two points saw of both, and by going
/// back.
fn companions(
    points: &[Point],
    survey: &Survey,
    pairs_of_flows: &[Vec<usize>],
    passing: &Passing,
    addresses: &[(IpAddr, IpAddr)],
    pair_ids: &KeyedMap<(IpAddr, IpAddr), usize>,
) -> Companions {
    let mut companions = Companions::new(addresses.len());
    for first in 0..points.len() {
        for second in first + 1..points.len() {
            for ((a, b), link) in survey.links(points.len(), first, second) {
                let pair = |point: usize, flow: u32| pairs_of_flows[point][flow as usize];
                let pairs = [pair(first, a), pair(second, b)];
                if link.offsets.is_some() && !passing.is_chance([first, second], pairs) {
                    companions.see(pairs[0], pairs[1]);
                }
            }
        }
    }
    for (pair, (source, destination)) in addresses.iter().enumerate() {
        let back = pair_ids.get(&(*destination, *source));
        if let Some(&back) = back.filter(|&&back| back != pair) {
            companions.bind(pair, back, true);
        }
    }
    companions
}

/// Which way packets between two addresses go, if such were seen, or such that go back.
fn way_between(
    pair_ways: &KeyedMap<(IpAddr, IpAddr), Way>,
    source: IpAddr,
    destination: IpAddr,
) -> Option<Way> {
    let forth = pair_ways.get(&(source, destination)).copied();
    forth.or_else(|| Some(pair_ways.get(&(destination, source))?.opposite()))
}

/// What crossed between any two points of everything that is not HDP.
fn crossings(
    points: &[Point],
    pair_ways: &KeyedMap<(IpAddr, IpAddr), Way>,
) -> KeyedMap<(usize, usize), Crossings> {
    let way_of_hdp =
        |source: IpAddr, destination: IpAddr| way_between(pair_ways, source, destination);
    let mut crossings = KeyedMap::default();
    for first in 0..points.len() {
        for second in first + 1..points.len() {
            let found = Crossings::find(&points[first], &points[second], way_of_hdp);
            crossings.extend(found.map(|found| ((first, second), found)));
        }
    }
    crossings
}

/// Compares the times of what went between two addresses with those of what came back.
fn vote_by_round_trips(
    offsets: &KeyedMap<(usize, usize, usize), Offsets>,
    addresses: &[(IpAddr, IpAddr)],
    pair_ids: &KeyedMap<(IpAddr, IpAddr), usize>,
    votes: &mut [Votes],
) {
    for (&(first, second, pair), forth) in offsets {
        let (source, destination) = addresses[pair];
        let back = pair_ids.get(&(destination, source));
        if let Some(back) = back.and_then(|&back| offsets.get(&(first, second, back))) {
            let shorter = (
                forth.min_ns.cmp(&back.min_ns),
                forth.max_ns.cmp(&back.max_ns),
            );
            if shorter.0 == shorter.1 {
                votes[pair].round_trip += shorter.0 as i64;
            }
        }
    }
}

/// What ICMP errors tell that were seen at two points: they go the other way than the packets that
/// they quote. Only such count as quote the whole header, and were seen once at each point.
fn crossing_errors(
    points: &[Point],
    way: impl Fn(&IcmpSighting) -> Option<Way>,
) -> Vec<(usize, usize, Way, Difference)> {
    type Identity = (Quote, hdp::Header, u8);
    let mut seen: KeyedMap<Identity, Vec<Vec<&IcmpSighting>>> = KeyedMap::default();
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
    crossing.sort_unstable_by_key(|(first, second, way, difference)| {
        let Difference { at_ns, offset_ns } = *difference;
        (*first, *second, at_ns, offset_ns, *way)
    });
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
            votes.fresh[usize::from(index > 0)] = true;
        }
    }
}

/// What becomes of address pairs between two points.
struct Passing {
    /// By the two points and the pair at either: how many packets.
    counts: KeyedMap<([usize; 2], [usize; 2]), u64>,
    /// By pair: the one that goes back.
    back: Vec<Option<usize>>,
}

impl Passing {
    /// Nothing where no packet seems to have changed its addresses: nothing is asked then.
    fn find(
        points: &[Point],
        survey: &Survey,
        pairs_of_flows: &[Vec<usize>],
        back: Vec<Option<usize>>,
    ) -> Self {
        let mut counts = KeyedMap::default();
        for first in 0..points.len() {
            for second in first + 1..points.len() {
                let links = || {
                    survey
                        .links(points.len(), first, second)
                        .map(|((a, b), link)| {
                            let ends = [(first, a), (second, b)];
                            let pairs =
                                ends.map(|(point, flow)| pairs_of_flows[point][flow as usize]);
                            (pairs, link)
                        })
                };
                if links().all(|([a, b], _)| a == b) {
                    continue;
                }
                for (pairs, link) in links() {
                    if let Some(offsets) = link.offsets {
                        *counts.entry(([first, second], pairs)).or_insert(0) += offsets.count;
                    }
                }
            }
        }
        Self { counts, back }
    }

    /// Whether packets of one pair at one point, and of another one at the other, were alike by chance:
    /// two senders whose clocks count seconds, or packet and reply. More of either pass both points as
    /// they are, or more of one are what becomes of the other's way back.
    fn is_chance(&self, points: [usize; 2], pairs: [usize; 2]) -> bool {
        let count = |pairs| self.counts.get(&(points, pairs)).copied().unwrap_or(0);
        let [a, b] = pairs;
        let as_it_is = pairs.map(|pair| Some([pair; 2]));
        let of_way_back = [
            self.back[a].map(|back| [back, b]),
            self.back[b].map(|back| [a, back]),
        ];
        let mut others = as_it_is.into_iter().chain(of_way_back).flatten();
        a != b && others.any(|other| count(other) > count(pairs))
    }
}

/// Compares TTLs and times of the packets that were one at sight, point by point.
fn compare_points(
    points: &[Point],
    survey: &Survey,
    pairs_of_flows: &[Vec<usize>],
    passing: &Passing,
    votes: &mut [Votes],
) -> KeyedMap<(usize, usize, usize), Offsets> {
    let mut offsets: KeyedMap<(usize, usize, usize), Offsets> = KeyedMap::default();
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
                if passing.is_chance([first, second], pairs) {
                    continue;
                }
                for pair in pairs {
                    votes[pair].ttl += falls * of_link.count.cast_signed();
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
