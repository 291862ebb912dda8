//! The path as the answers draw it: who answers the control at which hop, and where the destination is.
//!
//! What a hop's silence means is told by the control alone. What a name means is told by distance: an
//! error quotes the TTL with which its packet came, so `sent - quoted + 1` is how many hops it went; an
//! answer in the destination's name from before a router that the control met is somebody else's.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::exchange::{Answer, AnswerKind, Probe};
use crate::{judge::Judged, protocols::Carrier};

/// HDP's number and carrier.
pub(super) type Subject = (Carrier, u8);

/// What an answer is to a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The TTL ran out there.
    Expired,
    /// From the destination, or in its name.
    Destination,
    /// Somebody on the way refused it.
    Refusal,
}

/// What was sent with one TTL, and what came back of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) sent: u64,
    pub(super) expired: u64,
    pub(super) destination: u64,
    pub(super) refused: u64,
    /// Sent so late that the answer may still be on its way.
    pub(super) waiting: u64,
}

impl Asked {
    pub(super) fn answered(&self) -> u64 {
        self.expired + self.destination + self.refused
    }

    /// Probes of which no answer can come any more.
    pub(super) fn unanswered(&self) -> u64 {
        self.sent - self.answered() - self.waiting
    }

    /// Those whose fate is known, as a sample of losses.
    pub(super) fn judged(&self) -> Judged {
        Judged {
            packets: self.sent - self.waiting,
            lost: self.unanswered(),
        }
    }
}

/// One number, or the control.
#[derive(Debug, Clone, Default)]
pub(super) struct Asking<'a> {
    /// In the order in which they were sent.
    pub(super) probes: Vec<&'a Probe>,
    pub(super) by_ttl: BTreeMap<u8, Asked>,
}

impl Asking<'_> {
    /// With this TTL.
    pub(super) fn at(&self, ttl: u8) -> Asked {
        self.by_ttl.get(&ttl).copied().unwrap_or_default()
    }

    /// With a TTL within these.
    pub(super) fn within(&self, ttls: std::ops::RangeInclusive<u8>) -> Asked {
        let mut sum = Asked::default();
        if ttls.is_empty() {
            return sum;
        }
        for (_, asked) in self.by_ttl.range(ttls) {
            sum.sent += asked.sent;
            sum.expired += asked.expired;
            sum.destination += asked.destination;
            sum.refused += asked.refused;
            sum.waiting += asked.waiting;
        }
        sum
    }

    /// The farthest hop at which a TTL ran out; 0 where none did.
    pub(super) fn farthest(&self) -> u8 {
        let far = self.by_ttl.iter().rev();
        far.map(|(ttl, asked)| (*ttl, asked.expired))
            .find(|(_, expired)| *expired > 0)
            .map_or(0, |(ttl, _)| ttl)
    }
}

/// The path between two addresses.
#[derive(Debug)]
pub(super) struct Picture<'a> {
    pub(super) destination: IpAddr,
    pub(super) control: Asking<'a>,
    pub(super) numbers: BTreeMap<Subject, Asking<'a>>,
    /// The farthest hop at which a control's TTL ran out; 0 where none did.
    pub(super) farthest: u8,
    /// How many hops it is to the destination, if it answers the control.
    pub(super) destination_hop: Option<u8>,
    /// At most so many hops away somebody answers the control in the destination's name.
    pub(super) answered_for: Option<u8>,
    /// A quote of the destination has a larger TTL than was sent: a box behind the routers that
    /// answer set it anew.
    pub(super) ttl_rewritten: bool,
}

impl<'a> Picture<'a> {
    /// The path from `source` to `destination`, by what is known at `now_ns`: of probes that were sent
    /// less than `patience_ns` before, an answer may still come.
    pub(super) fn new(
        probes: &'a [Probe],
        (source, destination): (IpAddr, IpAddr),
        (now_ns, patience_ns): (i64, i64),
    ) -> Self {
        let mut control = Asking::default();
        let mut numbers: BTreeMap<Subject, Asking> = BTreeMap::new();
        let own = probes
            .iter()
            .filter(|probe| (probe.source, probe.destination) == (source, destination));
        for probe in own {
            let asking = match probe.carrier {
                Carrier::Udp => &mut control,
                Carrier::Ip => numbers.entry((probe.carrier, probe.protocol)).or_default(),
            };
            asking.probes.push(probe);
            let asked = asking.by_ttl.entry(probe.ttl).or_default();
            asked.sent += 1;
            match &probe.answer {
                Some(answer) => match meaning(answer, destination) {
                    Meaning::Expired => asked.expired += 1,
                    Meaning::Destination => asked.destination += 1,
                    Meaning::Refusal => asked.refused += 1,
                },
                None => asked.waiting += u64::from(now_ns - probe.sent_ns < patience_ns),
            }
        }
        let mut picture = Self {
            destination,
            farthest: control.farthest(),
            control,
            numbers,
            destination_hop: None,
            answered_for: None,
            ttl_rewritten: false,
        };
        picture.place_destination();
        picture
    }

    fn place_destination(&mut self) {
        let mut nearest: Option<u8> = None;
        for probe in &self.control.probes {
            let Some(answer) = &probe.answer else {
                continue;
            };
            if meaning(answer, self.destination) == Meaning::Destination {
                let hops = went(probe, answer);
                self.ttl_rewritten |= hops.is_none();
                let hops = hops.unwrap_or(probe.ttl);
                nearest = Some(nearest.map_or(hops, |nearest| nearest.min(hops)));
            }
        }
        let numbers = self.numbers.values().map(Asking::farthest).max();
        let farthest = self.farthest.max(numbers.unwrap_or(0));
        // Paths of equal cost may differ by a hop.
        match nearest {
            Some(hop) if farthest > hop => self.answered_for = Some(hop),
            hop => self.destination_hop = hop,
        }
    }

    /// Whether the destination itself gave this answer, as far as distance tells.
    pub(super) fn is_from_destination(&self, probe: &Probe, answer: &Answer) -> bool {
        let numbers = self.numbers.values().map(Asking::farthest).max();
        let farthest = self.farthest.max(numbers.unwrap_or(0));
        meaning(answer, self.destination) == Meaning::Destination
            && went(probe, answer).is_none_or(|hops| hops >= farthest)
    }

    /// The hops at which the control is answered by routers, rising.
    pub(super) fn responsive(&self) -> Vec<u8> {
        let before = self.destination_hop.unwrap_or(u8::MAX);
        let hops = self.control.by_ttl.iter();
        hops.filter(|(ttl, asked)| **ttl < before && asked.expired > 0)
            .map(|(ttl, _)| *ttl)
            .collect()
    }

    /// Who answers the control at this hop, most frequent first.
    pub(super) fn addresses(&self, hop: u8) -> Vec<IpAddr> {
        if self.destination_hop == Some(hop) {
            return vec![self.destination];
        }
        let at_hop = self.control.probes.iter().filter(|probe| probe.ttl == hop);
        let answers = at_hop.filter_map(|probe| probe.answer.as_ref());
        most_frequent(
            answers
                .filter(|answer| answer.kind == AnswerKind::Expired)
                .map(|answer| answer.from),
        )
    }

    /// The hop at which a router answers the control, by its address.
    pub(super) fn hop_of(&self, address: IpAddr) -> Option<u8> {
        self.responsive()
            .into_iter()
            .find(|&hop| self.addresses(hop).contains(&address))
    }

    /// Where the same router comes back after another one: the first hop of a loop, and its routers.
    pub(super) fn is_loop(&self) -> Option<(u8, Vec<IpAddr>)> {
        if self.destination_hop.is_some() {
            return None;
        }
        let hops: Vec<_> = self.responsive();
        let at: Vec<BTreeSet<IpAddr>> = hops
            .iter()
            .map(|&hop| self.addresses(hop).into_iter().collect())
            .collect();
        for first in 0..hops.len() {
            for again in first + 2..hops.len() {
                let is_again = at[first].intersection(&at[again]).next().is_some();
                let between = &at[first + 1..again];
                if is_again && between.iter().all(|other| other.is_disjoint(&at[first])) {
                    let routers = at[first..again].iter().flatten().copied();
                    return Some((
                        hops[first],
                        routers.collect::<BTreeSet<_>>().into_iter().collect(),
                    ));
                }
            }
        }
        None
    }
}

/// What an answer is, if packets are for `destination`.
pub(super) fn meaning(answer: &Answer, destination: IpAddr) -> Meaning {
    match answer.kind {
        AnswerKind::Expired => Meaning::Expired,
        _ if answer.from == destination => Meaning::Destination,
        AnswerKind::Reply => Meaning::Destination,
        AnswerKind::Error { .. } => Meaning::Refusal,
    }
}

/// How many hops a probe went until it was answered: by the TTL that is quoted; without a quote, at most
/// as many as its TTL allows. `None` where the quote has more than was sent.
pub(super) fn went(probe: &Probe, answer: &Answer) -> Option<u8> {
    match answer.quoted_ttl {
        // Some routers quote the TTL after they took one from it.
        Some(0) | None => Some(probe.ttl),
        Some(quoted) => Some(probe.ttl.checked_sub(quoted)?.saturating_add(1)),
    }
}

/// Each once, the most frequent first.
pub(super) fn most_frequent(addresses: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut counts: BTreeMap<IpAddr, u64> = BTreeMap::new();
    for address in addresses {
        *counts.entry(address).or_default() += 1;
    }
    let mut addresses: Vec<_> = counts.into_iter().collect();
    addresses.sort_by_key(|&(address, count)| (std::cmp::Reverse(count), address));
    addresses.into_iter().map(|(address, _)| address).collect()
}
