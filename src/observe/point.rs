//! Points: everything that one of them recorded, once it has been read.

use std::{collections::BTreeSet, net::IpAddr};

use super::{
    Bystanders, Claims, Coverage, Flow, FlowEntry, Incomplete, NO_ACCIDENT, Observer, SECOND_NS,
    Sighting, Stage,
};
use crate::{
    decode::{Dates, HeaderView, Quote},
    findings::{ClockFault, Input, PointKind, Side, Skipped},
    keyed::KeyedMap,
    protocols::Carrier,
    source::Summary,
};

/// An ICMP error that quotes an HDP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IcmpSighting {
    /// Frame number of the error in the capture.
    pub frame: u64,
    /// When it was captured, on the point's clock.
    pub time_ns: Option<i64>,
    /// The error.
    pub quote: Quote,
    /// What the quote holds of the header.
    pub header: HeaderView,
    /// The quoted number.
    pub protocol: u8,
    /// What the quoted HDP rode on.
    pub carrier: Carrier,
    /// The quoted source address.
    pub source: IpAddr,
    /// The quoted destination address.
    pub destination: IpAddr,
    /// The quoted TTL or hop limit.
    pub ttl: u8,
    /// The quoted differentiated services code point.
    pub dscp: u8,
    /// The quoted explicit congestion notification.
    pub ecn: u8,
    /// The quoted IPv4 identification; `None` where there is none.
    pub ip_id: Option<u16>,
    /// Where in the point's host the error was seen.
    pub stage: Stage,
}

/// What a record was read from, once it has been.
pub(crate) fn input(source: &str, summary: &Summary) -> Input {
    Input {
        source: source.to_owned(),
        bytes: summary.bytes,
        sha256: summary.sha256.clone(),
    }
}

/// Packets that would be HDP if the capture's clock, or the sender's, were off by more than the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OffDate {
    /// How far the first one's timestamp lies behind its capture time, in nanoseconds.
    pub off_ns: i64,
    /// Those within an hour of it.
    pub packets: u64,
    /// The others: those of chance are not alike.
    others: u64,
}

impl OffDate {
    /// Fewer are chance.
    const LEAST: u64 = 3;

    pub(super) fn note(&mut self, off_ns: i64) {
        const ALIKE_NS: u64 = 3_600_000_000_000;
        if self.packets == 0 {
            self.off_ns = off_ns;
        }
        if off_ns.abs_diff(self.off_ns) <= ALIKE_NS {
            self.packets += 1;
        } else {
            self.others += 1;
        }
    }

    /// Whether they are HDP, most likely.
    pub(crate) fn is_likely(self) -> bool {
        self.packets >= Self::LEAST && self.packets > self.others
    }
}

/// Everything that one observation point recorded.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    /// The label, unique among the points.
    pub name: String,
    /// The label that its capture was given: [`Point::name`], unless this is one side of it.
    pub capture: String,
    /// Which side of its capture's host it is, where `path::sides` took that apart.
    pub side: Option<Side>,
    /// The source as the user named it.
    pub source: String,
    /// What kind of record it is.
    pub kind: PointKind,
    /// What the source says of itself.
    pub summary: Summary,
    /// Frames read.
    pub frames: u64,
    /// When it was watching.
    pub coverage: Coverage,
    /// Frames that gave no sighting.
    pub skipped: Skipped,
    /// Sightings in all.
    pub hdp: u64,
    /// Sightings by rising timestamp; of equal ones, in the order of the capture.
    pub sightings: Vec<Sighting>,
    /// Of the sightings that are no longer among them, in bounded memory, those that a mirror port
    /// may have made.
    pub twins: u64,
    /// First fragments by rising timestamp, of packets that are no sightings: a piece is missing.
    pub incomplete: Vec<Incomplete>,
    /// What sightings share.
    pub flows: Vec<FlowEntry>,
    /// For each flow, number, carrier and ports in one word: its part of a packet's key.
    pub keys: Vec<u64>,
    /// The (source, destination) address pairs of the flows.
    pub pairs: Vec<(IpAddr, IpAddr)>,
    /// For each pair, when its first packet was captured.
    pub pair_starts_ns: Vec<i64>,
    /// ICMP errors that quote HDP, in the order of the capture.
    pub icmp: Vec<IcmpSighting>,
    /// What is HDP only if a box on the way wrote into its timestamp, in the order of the capture.
    pub doubtful: Vec<Sighting>,
    /// What is no longer among these, in bounded memory.
    pub left_out: LeftOut,
    /// What is HDP only if a clock is off by more than the window.
    pub off_date: OffDate,
    /// Numbers of which frames were cut within what would be the HDP header: whether such a packet
    /// was seen here nobody can tell.
    pub cut_short: BTreeSet<u8>,
    /// A sample of the packets that are not HDP.
    pub bystanders: Bystanders,
    /// What a program's log tells beyond its packets; nothing of a capture.
    pub claims: Claims,
}

/// What bounded memory has no room for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// ICMP errors: the last.
    pub errors: u64,
    /// What is HDP only if its timestamp was written into: the first.
    pub doubtful: u64,
    /// Packets that lack a piece, and have been decided.
    pub incomplete: u64,
}

impl Point {
    /// A point that has seen nothing.
    pub(crate) fn blank() -> Self {
        Observer::default().finish(String::new(), String::new(), Summary::default())
    }

    /// What is wrong with the capture's clock, as far as its own times show it.
    #[must_use]
    pub(crate) fn clock_fault(&self) -> Option<ClockFault> {
        if self.kind != PointKind::Capture || self.frames < 1 {
            return None;
        }
        let (first_ns, last_ns) = (self.coverage.first_ns()?, self.coverage.last_ns()?);
        if first_ns == last_ns && self.frames >= NO_ACCIDENT {
            Some(ClockFault::StandsStill)
        } else if !Dates::is_date(first_ns) {
            Some(ClockFault::NeverSet { first_ns })
        } else if self.summary.resolution_ns == Some(SECOND_NS.unsigned_abs()) {
            Some(ClockFault::WholeSeconds)
        } else {
            None
        }
    }

    /// The flow of a sighting of this point.
    #[inline]
    #[must_use]
    pub(crate) fn flow(&self, sighting: &Sighting) -> &Flow {
        &self.flows[sighting.flow as usize].flow
    }

    /// What is missing of a packet of which not all pieces came.
    #[must_use]
    pub(crate) fn missing_piece(
        &self,
        timestamp_ns: u64,
        protocol: u8,
        carrier: Carrier,
    ) -> Option<u32> {
        let key = |sighting: &Sighting| {
            let flow = self.flow(sighting);
            (sighting.timestamp_ns, flow.carrier, flow.protocol)
        };
        let wanted = (timestamp_ns, carrier, protocol);
        let at = self
            .incomplete
            .partition_point(|incomplete| key(&incomplete.sighting) < wanted);
        let incomplete = self.incomplete.get(at)?;
        (key(&incomplete.sighting) == wanted).then_some(incomplete.missing_from)
    }

    /// Finds anew which sightings a later packet of the same stream came before, as when only
    /// some of them are left.
    pub(crate) fn find_reordered(&mut self) {
        let mut latest: KeyedMap<(u32, u64), u64> = KeyedMap::default();
        let mut in_order: Vec<usize> = (0..self.sightings.len()).collect();
        in_order.sort_by_key(|&index| self.sightings[index].frame);
        for index in in_order {
            let sighting = &mut self.sightings[index];
            let flow = sighting.flow as usize;
            // Number and carrier, without the ports.
            let stream = (self.flows[flow].pair, self.keys[flow] >> 32);
            let latest = latest.entry(stream).or_default();
            sighting.set_reordered(sighting.timestamp_ns < *latest);
            *latest = sighting.timestamp_ns.max(*latest);
        }
    }
}
