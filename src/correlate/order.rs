//! The order of the points along the path, found from what packets show.
//!
//! Points are given in path order, but people and shells give them otherwise. What tells the order,
//! strongest first: a log belongs to its end; TTL falls from router to router, inside a router too
//! that shows packets coming in and going out; packets only leave a sender and only come in at a
//! receiver. Times tell nothing, for clocks may be wrong; nor does a point that saw no HDP.
//!
//! Packets that go back show the same order the other way round. Signs that contradict each other
//! decide nothing. Nothing is decided about points that no sign tells apart, such as two taps on
//! one segment: they stay as they were given.

use std::net::IpAddr;

use super::Survey;
use crate::{
    decode::PacketType,
    findings::{OrderSign, PointKind},
    keyed::KeyedMap,
    observe::Point,
};

/// No path is longer: a TTL that differs by more was set anew on the way.
pub(super) const MOST_HOPS: u8 = 32;

/// What the packets show of the points' order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proposal {
    /// Indices of the points along the path, the sender's end first. Where packets go both ways,
    /// the sender is whose log is there, else who sent first.
    pub order: Vec<usize>,
    /// Neighbours in this order that nothing tells apart: they stand as they were given.
    pub undecided: Vec<[usize; 2]>,
    /// What speaks against the order in which the points were given; nothing where packets go both
    /// ways along it.
    pub against: Option<Precedence>,
    /// The signs contradict each other, so that no order fits them all.
    pub is_contradictory: bool,
}

/// One point lies before another on the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Precedence {
    /// The one nearer to the sender.
    pub first: usize,
    /// The other.
    pub second: usize,
    /// What tells.
    pub sign: OrderSign,
}

/// Finds the order of these points, of which this is the survey.
#[must_use]
pub(crate) fn propose(points: &[Point], survey: &Survey) -> Proposal {
    let streams = Streams::find(points, survey);
    let signs = Signs::collect(points, survey, &streams);
    let decided = |a: usize, b: usize| signs.decide(points, a, b);
    let count = points.len();

    let is_turned = signs.is_turned(points);
    // Who comes first along the way that the streams call forward, or along the other one.
    let precedes = |a: usize, b: usize, turned: bool| -> Option<OrderSign> {
        let (sign, is_first) = decided(a, b)?;
        (is_first != turned).then_some(sign)
    };
    let violation = |turned: bool| {
        let pairs = (0..count).flat_map(|b| (0..b).map(move |a| (a, b)));
        let mut violations = pairs.filter_map(|(a, b)| {
            let sign = precedes(b, a, turned)?;
            Some(Precedence {
                first: b,
                second: a,
                sign,
            })
        });
        violations.next()
    };
    let mut against = violation(is_turned);
    if signs.may_be_turned(points) && violation(!is_turned).is_none() {
        against = None;
    }

    let mut order = Vec::with_capacity(count);
    let mut left: Vec<usize> = (0..count).collect();
    while !left.is_empty() {
        let is_next = |&&point: &&usize| {
            let mut others = left.iter();
            !others.any(|&other| precedes(other, point, is_turned).is_some())
        };
        let Some(&next) = left.iter().find(is_next) else {
            return Proposal {
                order: (0..count).collect(),
                undecided: Vec::new(),
                against: None,
                is_contradictory: true,
            };
        };
        left.retain(|&point| point != next);
        order.push(next);
    }
    let undecided = order
        .windows(2)
        .map(|ends| [ends[0], ends[1]])
        .filter(|&[a, b]| decided(a, b).is_none())
        .collect();
    Proposal {
        order,
        undecided,
        against,
        is_contradictory: false,
    }
}

/// Which address pairs are one stream of packets: the same before and after translation, and the
/// way back.
struct Streams {
    /// For each point, the stream of each of its address pairs.
    of_pairs: Vec<Vec<Stream>>,
}

/// A pair's group of streams that belong together, and whether it goes the other way than the
/// group's first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stream {
    group: usize,
    is_back: bool,
}

impl Streams {
    fn find(points: &[Point], survey: &Survey) -> Self {
        let mut ids: KeyedMap<(IpAddr, IpAddr), usize> = KeyedMap::default();
        let of_points: Vec<Vec<usize>> = points
            .iter()
            .map(|point| {
                let id = |pair: &(IpAddr, IpAddr)| {
                    let next = ids.len();
                    *ids.entry(*pair).or_insert(next)
                };
                point.pairs.iter().map(id).collect()
            })
            .collect();
        let mut groups = Groups::new(ids.len());
        // In their order, as whichever joins first counts.
        for (point, ids_of_point) in points.iter().zip(&of_points) {
            for (&(source, destination), &id) in point.pairs.iter().zip(ids_of_point) {
                if let Some(&back) = ids.get(&(destination, source)) {
                    groups.join(id, back, true);
                }
            }
        }
        for first in 0..points.len() {
            for second in first + 1..points.len() {
                for ((a, b), link) in survey.links(points.len(), first, second) {
                    if link.offsets.is_some() {
                        let pair = |point: usize, flow: u32| {
                            of_points[point][points[point].flows[flow as usize].pair as usize]
                        };
                        groups.join(pair(first, a), pair(second, b), false);
                    }
                }
            }
        }
        Self {
            of_pairs: of_points
                .iter()
                .map(|pairs| pairs.iter().map(|&pair| groups.find(pair)).collect())
                .collect(),
        }
    }

    fn of(&self, points: &[Point], point: usize, flow: u32) -> Stream {
        self.of_pairs[point][points[point].flows[flow as usize].pair as usize]
    }
}

/// Address pairs in groups (a union-find); what contradicts the joins before it changes nothing.
struct Groups {
    /// Each pair's parent, itself at a root, and whether it goes the other way than that.
    parents: Vec<Stream>,
    sizes: Vec<usize>,
}

impl Groups {
    fn new(pairs: usize) -> Self {
        let alone = |group| Stream {
            group,
            is_back: false,
        };
        Self {
            parents: (0..pairs).map(alone).collect(),
            sizes: vec![1; pairs],
        }
    }

    fn find(&self, pair: usize) -> Stream {
        let mut at = self.parents[pair];
        while self.parents[at.group].group != at.group {
            let above = self.parents[at.group];
            at = Stream {
                group: above.group,
                is_back: at.is_back != above.is_back,
            };
        }
        at
    }

    fn join(&mut self, a: usize, b: usize, is_back: bool) {
        let (a, b) = (self.find(a), self.find(b));
        if a.group == b.group {
            return;
        }
        let (into, from) = if self.sizes[a.group] < self.sizes[b.group] {
            (b.group, a.group)
        } else {
            (a.group, b.group)
        };
        self.parents[from] = Stream {
            group: into,
            is_back: (a.is_back != b.is_back) != is_back,
        };
        self.sizes[into] += self.sizes[from];
    }
}

/// Votes of one group of streams; positive is for "forward", which is the way of the group's first.
#[derive(Debug, Clone, Default)]
struct Votes {
    /// By first and second point: packets that say that the first comes first, less those that say
    /// the opposite.
    ttl: Vec<i64>,
    /// By point: whether forward packets were seen going out, coming in.
    leaves: Vec<bool>,
    arrives: Vec<bool>,
    /// Whether packets go forward, and back.
    goes: [bool; 2],
    packets: u64,
}

impl Votes {
    fn new(points: usize) -> Self {
        Self {
            ttl: vec![0; points * points],
            leaves: vec![false; points],
            arrives: vec![false; points],
            ..Self::default()
        }
    }

    /// Turns the group's forward round.
    fn turn(&mut self) {
        for vote in &mut self.ttl {
            *vote = -*vote;
        }
        std::mem::swap(&mut self.leaves, &mut self.arrives);
        self.goes.reverse();
    }

    fn agrees_with(&self, other: &Self) -> i64 {
        let products = self.ttl.iter().zip(&other.ttl);
        let ttl: i64 = products.map(|(a, b)| a.signum() * b.signum()).sum();
        let stage = |a: &[bool], b: &[bool]| a.iter().zip(b).filter(|(a, b)| **a && **b).count();
        let same = stage(&self.leaves, &other.leaves) + stage(&self.arrives, &other.arrives);
        let opposite = stage(&self.leaves, &other.arrives) + stage(&self.arrives, &other.leaves);
        ttl + i64::try_from(same).unwrap_or(0) - i64::try_from(opposite).unwrap_or(0)
    }

    fn add(&mut self, other: &Self) {
        for (sum, vote) in self.ttl.iter_mut().zip(&other.ttl) {
            *sum += vote;
        }
        for (any, own) in self.leaves.iter_mut().zip(&other.leaves) {
            *any |= own;
        }
        for (any, own) in self.arrives.iter_mut().zip(&other.arrives) {
            *any |= own;
        }
        for (any, own) in self.goes.iter_mut().zip(other.goes) {
            *any |= own;
        }
        self.packets += other.packets;
    }
}

/// All that tells the order.
struct Signs {
    votes: Votes,
    /// Whether the first packet that is known was sent against the votes' forward.
    first_goes_back: bool,
}

impl Signs {
    fn collect(points: &[Point], survey: &Survey, streams: &Streams) -> Self {
        let count = points.len();
        let mut groups: KeyedMap<usize, Votes> = KeyedMap::default();
        for (index, point) in points.iter().enumerate() {
            for (entry, flow) in point.flows.iter().zip(0..) {
                let stream = streams.of(points, index, flow);
                let votes = groups
                    .entry(stream.group)
                    .or_insert_with(|| Votes::new(count));
                votes.goes[usize::from(stream.is_back)] = true;
                let leaves = match entry.flow.stage.packet_type {
                    Some(PacketType::Outgoing) => true,
                    Some(PacketType::Host) => false,
                    _ => continue,
                };
                if leaves == stream.is_back {
                    votes.arrives[index] = true;
                } else {
                    votes.leaves[index] = true;
                }
            }
        }
        let heights: Vec<Vec<i16>> = points.iter().map(heights).collect();
        for first in 0..count {
            for second in first + 1..count {
                for ((a, b), link) in survey.links(count, first, second) {
                    let Some(offsets) = link.offsets else {
                        continue;
                    };
                    let stream = streams.of(points, first, a);
                    let votes = groups
                        .entry(stream.group)
                        .or_insert_with(|| Votes::new(count));
                    let packets = offsets.count.cast_signed();
                    let forward = if stream.is_back { -packets } else { packets };
                    votes.packets += offsets.count;
                    let ttl = |point: usize, flow: u32| points[point].flows[flow as usize].flow.ttl;
                    let (ttl_a, ttl_b) = (ttl(first, a), ttl(second, b));
                    if ttl_a.abs_diff(ttl_b) <= MOST_HOPS {
                        let falls = heights[first][a as usize] - heights[second][b as usize];
                        votes.ttl[first * count + second] += i64::from(falls.signum()) * forward;
                    }
                }
            }
        }
        // The group with most packets says what is forward; others are turned to fit.
        let mut in_order: Vec<(usize, Votes)> = groups.into_iter().collect();
        in_order.sort_by_key(|(group, votes)| (std::cmp::Reverse(votes.packets), *group));
        let mut sum = Votes::new(count);
        let mut turned = Vec::new();
        for (group, mut votes) in in_order {
            if sum.agrees_with(&votes) < 0 {
                votes.turn();
                turned.push(group);
            }
            sum.add(&votes);
        }
        let goes_back = |point: usize, flow: u32| {
            let stream = streams.of(points, point, flow);
            stream.is_back != turned.contains(&stream.group)
        };
        let first = points
            .iter()
            .enumerate()
            .filter_map(|(index, point)| Some((index, point.sightings.first()?)))
            .min_by_key(|(_, sighting)| sighting.timestamp_ns);
        let first_goes_back = first.is_some_and(|(index, first)| goes_back(index, first.flow));
        Self {
            votes: sum,
            first_goes_back,
        }
    }

    /// Whether the sender's end is where the votes' forward packets arrive.
    fn is_turned(&self, points: &[Point]) -> bool {
        match (self.log_says_turned(points), self.votes.goes) {
            (Some(turned), _) => turned,
            (None, [true, false]) => false,
            (None, [false, true]) => true,
            (None, _) => self.first_goes_back,
        }
    }

    /// Whether either end may be called the sender's: packets go both ways, and no log says whose
    /// experiment it was.
    fn may_be_turned(&self, points: &[Point]) -> bool {
        self.votes.goes == [true, true] && self.log_says_turned(points).is_none()
    }

    /// One sender's log, or without it one listener's, says which way is forward.
    fn log_says_turned(&self, points: &[Point]) -> Option<bool> {
        let only = |kind: PointKind| {
            let mut logs = (0..points.len()).filter(|&point| points[point].kind == kind);
            logs.next().filter(|_| logs.next().is_none())
        };
        match (only(PointKind::SendLog), only(PointKind::ListenLog)) {
            (Some(log), _) if self.role(log).is_some() => {
                Some(self.role(log) == Some(Role::Receives))
            }
            (_, Some(log)) if self.role(log).is_some() => Some(self.role(log) == Some(Role::Sends)),
            _ => None,
        }
    }

    /// What forward packets do at a point, as far as it tells.
    fn role(&self, point: usize) -> Option<Role> {
        match (self.votes.leaves[point], self.votes.arrives[point]) {
            (true, false) => Some(Role::Sends),
            (false, true) => Some(Role::Receives),
            (true, true) => Some(Role::Forwards),
            (false, false) => None,
        }
    }

    /// Which sign tells the two points apart, and whether by it `a` comes first along forward.
    fn decide(&self, points: &[Point], a: usize, b: usize) -> Option<(OrderSign, bool)> {
        let (role_a, role_b) = (self.role(a), self.role(b));
        if points[a].kind != points[b].kind {
            for (log, role, is_a) in [(a, role_a, true), (b, role_b, false)] {
                let sign = match points[log].kind {
                    PointKind::Capture | PointKind::DropWitness => continue,
                    PointKind::SendLog => OrderSign::SendLog,
                    PointKind::ListenLog => OrderSign::ListenLog,
                };
                match role {
                    Some(Role::Sends) => return Some((sign, is_a)),
                    Some(Role::Receives) => return Some((sign, !is_a)),
                    _ => {}
                }
            }
        }
        let ttl = difference(&self.votes.ttl, points.len(), a, b);
        let by_ttl = (ttl != 0).then_some(ttl > 0);
        let by_stage = match (role_a, role_b) {
            (a, b) if a == b => None,
            (Some(Role::Sends), _) | (_, Some(Role::Receives)) => Some(true),
            (_, Some(Role::Sends)) | (Some(Role::Receives), _) => Some(false),
            _ => None,
        };
        // A router that shows one of its sides only looks like an end.
        let are_both_known = role_a.is_some() && role_b.is_some();
        match (by_ttl, by_stage) {
            (Some(ttl), Some(stage)) if ttl != stage && are_both_known => None,
            (Some(is_first), _) => Some((OrderSign::Ttl, is_first)),
            (None, Some(is_first)) => Some((OrderSign::Stage, is_first)),
            (None, None) => None,
        }
    }
}

/// Votes that `a` comes before `b`, less those for the opposite.
fn difference(votes: &[i64], points: usize, a: usize, b: usize) -> i64 {
    votes[a * points + b] - votes[b * points + a]
}

/// What packets that go along do at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// They only leave.
    Sends,
    /// They come in and leave.
    Forwards,
    /// They only come in.
    Receives,
}

/// For each flow twice its TTL, or the middle between the two where the point shows the same
/// packets with one hop more or less at another place inside its host.
fn heights(point: &Point) -> Vec<i16> {
    let flow = |index: usize| &point.flows[index].flow;
    let stages = point.flows.iter().map(|entry| entry.flow.stage);
    if stages.is_sorted_by(|a, b| a == b) {
        let ttls = point.flows.iter().map(|entry| i16::from(entry.flow.ttl));
        return ttls.map(|ttl| 2 * ttl).collect();
    }
    // Translation changes one of the two ends.
    let ends = |index: usize| {
        let own = flow(index);
        let (source, destination) = (own.source, own.destination);
        [(Some(source), None), (None, Some(destination))]
    };
    // The first flow, and the first of another stage: one of them is of another than any third.
    let mut alike: KeyedMap<_, Vec<usize>> = KeyedMap::default();
    for index in 0..point.flows.len() {
        let own = flow(index);
        for end in ends(index) {
            let firsts = alike.entry((point.keys[index], end, own.ttl)).or_default();
            if firsts.len() < 2 && firsts.iter().all(|&first| flow(first).stage != own.stage) {
                firsts.push(index);
            }
        }
    }
    (0..point.flows.len())
        .map(|index| {
            let own = flow(index);
            let near = [own.ttl.checked_sub(1), own.ttl.checked_add(1)];
            let keys = near
                .into_iter()
                .flatten()
                .flat_map(|ttl| ends(index).map(|end| (point.keys[index], end, ttl)));
            let others = keys.filter_map(|key| alike.get(&key)).flatten().copied();
            let first = others.filter(|&other| flow(other).stage != own.stage).min();
            let step = first.map_or(0, |other| i16::from(flow(other).ttl) - i16::from(own.ttl));
            2 * i16::from(own.ttl) + step
        })
        .collect()
}
