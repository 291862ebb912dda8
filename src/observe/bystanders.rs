//! Bystanders: a sample of the packets that are not HDP, such that other points have the same one.
//!
//! Whether a packet is in the sample hangs on its fingerprint alone. Each point keeps what lies below
//! a limit of its own, which falls as more comes: of two points' samples all below the lower limit is
//! in both, if it was at both points. So the sample is bounded, and what it lacks at one point was not
//! there.
//!
//! A packet seen again at the same place within a millisecond is a copy; one seen again later may be
//! any of several, and is marked as repeated.

use std::{collections::BTreeSet, net::IpAddr};

use super::Stage;
use crate::{
    decode::{Bystander, BystanderKind},
    keyed::KeyedMap,
    source::Frame,
};

/// So many packets of a kind are kept at the most; with more, half of them are forgotten.
const MOST: usize = 4096;

/// The same packet within this time is a copy of it.
const COPIES_WITHIN_NS: i64 = 1_000_000;

/// A sample of the packets that are not HDP.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bystanders {
    kinds: [Sample; BystanderKind::ALL.len()],
    numbers: BTreeSet<u8>,
}

/// Packets of one kind.
#[derive(Debug, Clone)]
struct Sample {
    /// Fingerprints up to this are kept.
    limit: u64,
    seen: KeyedMap<(u64, BystanderFlow), BystanderSeen>,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            limit: u64::MAX,
            seen: KeyedMap::default(),
        }
    }
}

/// What bystanders share that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BystanderFlow {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Ports of TCP and UDP, 0 elsewhere.
    pub ports: (u16, u16),
    /// Identifier of an ICMP echo, 0 elsewhere.
    pub echo_id: u16,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Where in the point's host they were seen.
    pub stage: Stage,
}

/// One bystander at one point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BystanderSeen {
    /// When it was captured, on the point's clock.
    pub time_ns: i64,
    /// Whether the same came again later.
    pub is_repeated: bool,
    /// As [`Bystander::is_candidate`].
    pub is_candidate: bool,
    /// As [`Bystander::is_short`].
    pub is_short: bool,
}

impl Bystanders {
    /// Whether packets with this fingerprint are in the sample.
    #[inline]
    pub(super) fn wants(&self, kind: BystanderKind, fingerprint: u64) -> bool {
        fingerprint <= self.limit(kind)
    }

    /// Notes a packet that is not HDP, of those in the sample.
    pub(super) fn note(&mut self, frame: &Frame, bystander: &Bystander) {
        let sample = &mut self.kinds[bystander.kind as usize];
        let Some(time_ns) = frame.time_ns else {
            return;
        };
        self.numbers.insert(bystander.number);
        let flow = BystanderFlow {
            source: bystander.source,
            destination: bystander.destination,
            ports: bystander.ports,
            echo_id: bystander.echo_id,
            ttl: bystander.ttl,
            stage: Stage::of(frame, bystander.packet_type, bystander.interface),
        };
        let seen = BystanderSeen {
            time_ns,
            is_repeated: false,
            is_candidate: bystander.is_candidate,
            is_short: bystander.is_short,
        };
        sample
            .seen
            .entry((bystander.fingerprint, flow))
            .and_modify(|first| {
                first.is_repeated |=
                    time_ns.abs_diff(first.time_ns).cast_signed() > COPIES_WITHIN_NS;
            })
            .or_insert(seen);
        while sample.seen.len() > MOST {
            sample.limit /= 2;
            let limit = sample.limit;
            sample
                .seen
                .retain(|(fingerprint, _), _| *fingerprint <= limit);
        }
    }

    /// The fingerprint up to which all of a kind are known.
    #[must_use]
    pub(crate) fn limit(&self, kind: BystanderKind) -> u64 {
        self.kinds[kind as usize].limit
    }

    /// What was seen of a kind, in no order.
    pub(crate) fn of(
        &self,
        kind: BystanderKind,
    ) -> impl Iterator<Item = (u64, &BystanderFlow, BystanderSeen)> {
        let seen = self.kinds[kind as usize].seen.iter();
        seen.map(|((fingerprint, flow), seen)| (*fingerprint, flow, *seen))
    }

    /// The protocol numbers that occurred.
    #[must_use]
    pub(crate) fn numbers(&self) -> &BTreeSet<u8> {
        &self.numbers
    }

    /// Keeps those of certain flows only.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(&BystanderFlow) -> bool) {
        for sample in &mut self.kinds {
            sample.seen.retain(|(_, flow), _| is_kept(flow));
        }
    }
}
