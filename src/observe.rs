//! Observation points: what was seen where, as small owned values in the order of the senders'
//! timestamps.
//!
//! Borrowing ends here. A datagram becomes a 32-byte [`Sighting`]; what it shares with its
//! neighbours (addresses, ports, TTL ...) is kept once, as a [`Flow`]. Captures hold HDP nearly in
//! the order of its timestamps, so keeping that order costs a look at the neighbour; a capture in
//! any other order is sorted at the end.
//!
//! The module knows when its point was watching ([`Coverage`]), and nothing of other points.

#[cfg(any(test, fuzzing))]
#[cfg_attr(test, allow(unreachable_pub))] // Public to fuzz/ alone.
mod both_ways;
mod bystanders;
mod coverage;
mod fragments;
mod log;
mod witness;

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, Hasher},
    net::IpAddr,
};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use rustc_hash::FxHasher;

#[cfg(fuzzing)]
pub use both_ways::BothWays;
pub(crate) use bystanders::{BystanderFlow, BystanderSeen, Bystanders};
pub(crate) use coverage::Coverage;
pub(crate) use log::{Claims, Refused};
pub(crate) use witness::{Witness, Witnesses};

use crate::{
    decode::{
        Again, Datagram, Dates, Decoded, Encapsulation, FragmentSet, HeaderView, LaterPiece,
        PacketType, Piece, Quote, Shortcut, Skip,
    },
    findings::{ClockFault, Input, PointKind, Side, Skipped},
    keyed::KeyedMap,
    protocols::Carrier,
    source::{Frame, FrameDirection, Summary},
};

use fragments::{First, Fragments, Key};

/// How many payload bytes the digest covers: enough for every field that a box on the path is
/// known to rewrite, few enough that a long packet costs no more than a short one.
const DIGEST_LEN: usize = 64;

/// A second.
const SECOND_NS: i64 = 1_000_000_000;

/// So many frames at whole seconds are no accident, nor so many at the same time.
const NO_ACCIDENT: u64 = 16;

/// How far back a sighting is moved into its place at once; beyond that it waits for the end.
const NEARLY: usize = 64;

/// One HDP packet at one point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// HDP's timestamp, the packet's identity.
    pub timestamp_ns: u64,
    /// Capture time on the point's clock, ns since the epoch.
    pub time_ns: i64,
    /// Frame number in the capture, line number in a log.
    pub frame: u32,
    /// Index into [`Point::flows`].
    pub flow: u32,
    /// Payload length in bytes by the IP header's word; 65,535 stands for more too.
    pub payload_len: u16,
    /// IPv4 identification, 0 where there is none. Never a key (RFC 6864); it tells a copy from
    /// another packet with the same bytes at the same point.
    pub ip_id: u16,
    /// 24 bits of digest above 8 bits of flags.
    digest_and_flags: u32,
}

impl Sighting {
    const REORDERED: u32 = 1;
    const DIGEST_UNKNOWN: u32 = 2;
    const FLAG_BITS: u32 = 8;

    #[inline(always)]
    fn new(
        (number, time_ns): (u64, i64),
        flow: u32,
        timestamp_ns: u64,
        (ip_id, payload, payload_len): (Option<u16>, &[u8], u32),
        mut flags: u32,
    ) -> Self {
        let covered = payload.len().min(DIGEST_LEN);
        if covered < DIGEST_LEN && covered < payload_len as usize {
            flags |= Self::DIGEST_UNKNOWN;
        }
        Self {
            timestamp_ns,
            time_ns,
            frame: short(number),
            flow,
            payload_len: u16::try_from(payload_len).unwrap_or(u16::MAX),
            ip_id: ip_id.unwrap_or(0),
            digest_and_flags: digest(&payload[..covered]) << Self::FLAG_BITS | flags,
        }
    }

    /// Whether a packet of the same stream with a later timestamp came before it (RFC 4737).
    #[must_use]
    pub(crate) fn is_reordered(&self) -> bool {
        self.digest_and_flags & Self::REORDERED != 0
    }

    /// A digest of the payload's first 64 bytes, or `None` where the capture kept fewer of them
    /// than there are.
    #[must_use]
    pub(crate) fn digest(&self) -> Option<u32> {
        let is_known = self.digest_and_flags & Self::DIGEST_UNKNOWN == 0;
        is_known.then_some(self.digest_and_flags >> Self::FLAG_BITS)
    }

    /// Whether two sightings with the same timestamp show the same bytes: their flows agree in the
    /// key, and payload and length are the same as far as they are known.
    #[inline]
    #[must_use]
    pub(crate) fn shows_bytes_of(&self, key: u64, other: &Self, other_key: u64) -> bool {
        key == other_key && self.payload_len == other.payload_len && self.may_have_payload_of(other)
    }

    /// Whether the payloads may be the same: equal as far as [`Sighting::digest`] goes, or unknown.
    #[inline]
    #[must_use]
    pub(crate) fn may_have_payload_of(&self, other: &Self) -> bool {
        (self.digest_and_flags ^ other.digest_and_flags) >> Self::FLAG_BITS == 0
            || (self.digest_and_flags | other.digest_and_flags) & Self::DIGEST_UNKNOWN != 0
    }
}

/// What is left of a sighting to know the packet's copies by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace {
    digest_and_flags: u32,
    payload_len: u16,
    ip_id: u16,
}

impl Trace {
    /// Of a sighting.
    #[must_use]
    pub(crate) fn of(sighting: &Sighting) -> Self {
        Self {
            digest_and_flags: sighting.digest_and_flags,
            payload_len: sighting.payload_len,
            ip_id: sighting.ip_id,
        }
    }

    /// Whether a sighting with the same timestamp may be of the same packet. Another IP ID speaks
    /// for another packet (a translator may have changed it, but none is told of copies by that).
    #[must_use]
    pub(crate) fn may_be_of(self, sighting: &Sighting) -> bool {
        let other = Self::of(sighting);
        let differ = (self.digest_and_flags ^ other.digest_and_flags) >> Sighting::FLAG_BITS != 0;
        let flags = self.digest_and_flags | other.digest_and_flags;
        self.payload_len == other.payload_len
            && self.ip_id == other.ip_id
            && (!differ || flags & Sighting::DIGEST_UNKNOWN != 0)
    }
}

/// A fragmented packet of which a piece did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Incomplete {
    /// Its first piece.
    pub sighting: Sighting,
    /// Offset of the first byte of the IP payload that is missing.
    pub missing_from: u32,
}

/// What the packets of one flow share at one point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Flow {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// HDP source port.
    pub source_port: u16,
    /// HDP destination port.
    pub destination_port: u16,
    /// Protocol number on the wire.
    pub protocol: u8,
    /// What HDP rode on.
    pub carrier: Carrier,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Differentiated services code point.
    pub dscp: u8,
    /// Explicit congestion notification.
    pub ecn: u8,
    /// Whether these are first fragments, whose payload length is the fragment's.
    pub is_fragment: bool,
    /// What IP was wrapped in.
    pub encapsulation: Encapsulation,
    /// Where in the point's host the packets were seen.
    pub stage: Stage,
}

impl Flow {
    /// Whether its packets go back to where the other's come from. Translation may exchange
    /// addresses, but never one for the other.
    #[must_use]
    pub(crate) fn is_reverse_of(&self, other: &Self) -> bool {
        self.source != self.destination
            && (self.source, self.destination) == (other.destination, other.source)
    }

    /// Whether one of its packets may be the reply to one of the other's, whose other address is translated.
    pub(crate) fn may_be_reverse_of(&self, other: &Self) -> bool {
        self.source != self.destination
            && (self.source == other.destination || self.destination == other.source)
    }
}

/// A place inside a point's host: a capture on all interfaces shows a forwarded packet at two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Stage {
    /// The capturing interface, meaningful in this capture only.
    pub interface: u32,
    /// In, out or overheard, where the capture tells.
    pub packet_type: Option<PacketType>,
}

/// A flow and what it belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlowEntry {
    /// The flow.
    pub flow: Flow,
    /// Index into [`Point::pairs`].
    pub pair: u32,
}

/// What every sighting needs of its flow; small, so that those of all numbers stay in the cache.
#[derive(Debug, Clone, Copy)]
struct Brief {
    stream: u32,
    is_overheard: bool,
}

/// What was seen of a stream so far.
#[derive(Debug, Clone)]
struct Progress {
    /// Its latest timestamp.
    latest: u64,
    /// When its first packet was captured, whatever the order of the records.
    first_ns: i64,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            latest: 0,
            first_ns: i64::MAX,
        }
    }
}

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

    fn note(&mut self, off_ns: i64) {
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
            sighting.digest_and_flags &= !Sighting::REORDERED;
            if sighting.timestamp_ns < *latest {
                sighting.digest_and_flags |= Sighting::REORDERED;
            }
            *latest = sighting.timestamp_ns.max(*latest);
        }
    }
}

/// Sightings that a point hands over while it is being read.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// By rising timestamp, none before the last of the batch before.
    pub sightings: Vec<Sighting>,
    /// Flows that were not handed over with an earlier batch.
    pub flows: Vec<FlowEntry>,
    /// Their part of packets' keys.
    pub keys: Vec<u64>,
}

/// A sighting belongs before others that were handed over already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Disorder;

/// Collects one point's sightings as its frames come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observer {
    frames: u64,
    coverage: Coverage,
    skipped: Skipped,
    /// By rising timestamp.
    sightings: Vec<Sighting>,
    /// Sightings whose place is far before the end, in the order of the capture.
    stragglers: Vec<Sighting>,
    hdp: u64,
    /// The latest timestamp of all.
    newest_ns: u64,
    /// The last timestamp in a batch.
    handed_over_to: u64,
    flows_handed_over: usize,
    flows: Vec<FlowEntry>,
    briefs: Vec<Brief>,
    keys: Vec<u64>,
    ids: Ids,
    /// The flow of the datagrams with certain headers, by their number.
    flows_by_headers: Vec<u32>,
    pairs: Vec<(IpAddr, IpAddr)>,
    /// Of each stream: an address pair under one number.
    streams: Vec<Progress>,
    icmp: Vec<IcmpSighting>,
    doubtful: Vec<Sighting>,
    /// So many ICMP errors are kept, and as many doubtful packets; all where it is not said.
    most_evidence: Option<usize>,
    left_out: LeftOut,
    off_date: OffDate,
    cut_short: BTreeSet<u8>,
    bystanders: Bystanders,
    fragments: Fragments,
    /// How many frames there were before the first whose time is no whole second.
    whole_seconds: u64,
}

/// What numbers an observer has given: what is numbered is among its flows, pairs and streams.
#[derive(Debug, Clone, Default)]
struct Ids {
    /// Of flows, by a hash of theirs.
    flows: HashTable<u32>,
    hashing: RandomState,
    pairs: KeyedMap<(IpAddr, IpAddr), u32>,
    streams: KeyedMap<(u32, u8, Carrier), u32>,
}

impl Observer {
    /// Notes that the point was watching when it recorded this frame, whatever is in it.
    #[inline]
    pub(crate) fn watch(&mut self, frame: &Frame) {
        self.frames += 1;
        if let Some(time_ns) = frame.time_ns {
            self.coverage.note(time_ns);
            if self.whole_seconds + 1 == self.frames && time_ns % SECOND_NS == 0 {
                self.whole_seconds += 1;
            }
        }
    }

    /// Notes that a frame was passed over unread: traffic that has nothing to do with HDP.
    pub(crate) fn pass_over(&mut self, frame: &Frame) {
        if let Some(time_ns) = frame.time_ns {
            self.coverage.note_background(time_ns);
        }
    }

    /// Takes what was decoded from a frame.
    #[inline]
    pub(crate) fn observe(&mut self, frame: &Frame, decoded: Result<Datagram, Skip>) {
        match decoded {
            Ok(datagram) => self.datagram(frame, &datagram),
            Err(skip) => {
                let count = match skip {
                    Skip::NotIp => &mut self.skipped.not_ip,
                    Skip::NotHdp => &mut self.skipped.not_hdp,
                    Skip::CutShort { .. } => &mut self.skipped.cut_short,
                    Skip::Malformed { .. } => &mut self.skipped.malformed,
                    Skip::Fragment(later) => {
                        self.later_piece(frame, &later);
                        &mut self.skipped.fragment
                    }
                    Skip::UnsupportedLink(_) => &mut self.skipped.unsupported_link,
                };
                *count += 1;
                // Fragments are HDP's own.
                if !matches!(skip, Skip::Fragment(_)) {
                    self.pass_over(frame);
                }
            }
        }
    }

    /// Decodes a frame and takes what is in it.
    #[inline(always)]
    pub(crate) fn read(&mut self, frame: &Frame, decoder: &mut Shortcut) {
        let result = decoder.decode(frame);
        let skip = result.as_ref().err().copied();
        self.observe_decoded(frame, result);
        match skip {
            Some(Skip::NotHdp) => {
                let wants = |kind, fingerprint| self.bystanders.wants(kind, fingerprint);
                if let Some(bystander) = decoder.bystander(frame, wants)
                    && bystander.packet_type != Some(PacketType::OtherHost)
                {
                    self.bystanders.note(frame, &bystander);
                }
                if let Some(datagram) = decoder.doubtful(frame) {
                    self.doubt(frame, &datagram);
                }
                if let Some(off_ns) = decoder.off_date_ns(frame) {
                    self.off_date.note(off_ns);
                }
            }
            Some(Skip::CutShort { .. }) => {
                if let Some(protocol) = decoder.cut_short() {
                    self.cut_short.insert(protocol);
                }
            }
            _ => {}
        }
    }

    /// [`Observer::observe`] for what a [`crate::decode::Shortcut`] found.
    #[inline(always)]
    pub(crate) fn observe_decoded(&mut self, frame: &Frame, decoded: Result<Decoded, Skip>) {
        match decoded {
            Ok(Decoded::Again(again)) => self.again(frame, &again),
            Ok(Decoded::First(datagram, headers)) => {
                self.observe(frame, Ok(datagram));
                if headers.is_some_and(|headers| headers.index() == self.flows_by_headers.len()) {
                    let flow = flow(frame, &datagram, datagram.header.ports());
                    let flow = self.intern(&flow);
                    self.flows_by_headers.push(flow);
                }
            }
            Err(skip) => self.observe(frame, Err(skip)),
        }
    }

    fn datagram(&mut self, frame: &Frame, datagram: &Datagram) {
        let header = match (datagram.quote, datagram.header) {
            (None, HeaderView::Whole(header)) => header,
            (Some(quote), header) => {
                self.skipped.icmp_quote += 1;
                if self
                    .most_evidence
                    .is_some_and(|most| self.icmp.len() >= most)
                {
                    self.left_out.errors += 1;
                    return;
                }
                self.icmp.push(IcmpSighting {
                    frame: frame.number,
                    time_ns: frame.time_ns,
                    quote,
                    header,
                    protocol: datagram.protocol,
                    carrier: datagram.carrier,
                    source: datagram.source,
                    destination: datagram.destination,
                    ttl: datagram.ttl,
                    dscp: datagram.dscp,
                    ecn: datagram.ecn,
                    ip_id: datagram.ip_id,
                    stage: stage(frame, datagram.packet_type, datagram.interface),
                });
                return;
            }
            // The decoder gives half a header for quotes only.
            (None, HeaderView::UpperHalf { .. }) => return,
        };
        let flow = self.intern(&flow(
            frame,
            datagram,
            (header.source_port, header.destination_port),
        ));
        let Datagram {
            ip_id,
            payload,
            payload_len,
            ..
        } = *datagram;
        self.sighting(
            frame,
            flow,
            header.timestamp_ns,
            (ip_id, payload, payload_len),
        );
        if datagram.fragment.is_some() {
            self.first_piece(frame, datagram, flow, header.timestamp_ns);
        }
    }

    /// A sighting that is whole only with later fragments.
    #[cold]
    fn first_piece(&mut self, frame: &Frame, datagram: &Datagram, flow: u32, timestamp_ns: u64) {
        let (Some(fragment), Some(time_ns)) = (datagram.fragment, frame.time_ns) else {
            return;
        };
        if self.briefs[flow as usize].is_overheard {
            return;
        }
        let piece = Piece {
            set: FragmentSet {
                source: datagram.source,
                destination: datagram.destination,
                protocol: datagram.protocol,
                id: fragment.id,
            },
            offset: 0,
            len: fragment.len,
            is_last: false,
        };
        let first = First {
            timestamp_ns,
            frame: short(frame.number),
        };
        let stage = stage(frame, datagram.packet_type, datagram.interface);
        self.fragments
            .add(key(piece.set, stage), time_ns, &piece, Some(first));
    }

    #[cold]
    fn later_piece(&mut self, frame: &Frame, later: &LaterPiece) {
        if let Some(time_ns) = frame.time_ns {
            let stage = stage(frame, later.packet_type, later.interface);
            let key = key(later.piece.set, stage);
            self.fragments.add(key, time_ns, &later.piece, None);
        }
    }

    /// Takes a packet that is HDP only if a box on the way wrote into its timestamp.
    #[cold]
    pub(crate) fn doubt(&mut self, frame: &Frame, datagram: &Datagram) {
        let (Some(time_ns), HeaderView::Whole(header)) = (frame.time_ns, datagram.header) else {
            return;
        };
        let flow = self.intern(&flow(frame, datagram, datagram.header.ports()));
        if !self.briefs[flow as usize].is_overheard {
            let seen = (frame.number, time_ns);
            let rest = (datagram.ip_id, datagram.payload, datagram.payload_len);
            let sighting = Sighting::new(seen, flow, header.timestamp_ns, rest, 0);
            self.doubtful.push(sighting);
            if self
                .most_evidence
                .is_some_and(|most| self.doubtful.len() > 2 * most)
            {
                self.forget_doubtful();
            }
        }
    }

    /// Forgets the older half of what is doubtful, but for one of each number: no packet of a number that
    /// something writes into is lost for certain.
    #[cold]
    fn forget_doubtful(&mut self) {
        let newer = self.doubtful.split_off(self.doubtful.len() / 2);
        let number = |sighting: &Sighting| {
            let flow = &self.flows[sighting.flow as usize].flow;
            (flow.carrier, flow.protocol)
        };
        let mut known: BTreeSet<_> = newer.iter().map(number).collect();
        let before = self.doubtful.len();
        self.doubtful
            .retain(|sighting| known.insert(number(sighting)));
        self.left_out.doubtful += (before - self.doubtful.len()) as u64;
        self.doubtful.extend(newer);
    }

    #[inline(always)]
    fn again(&mut self, frame: &Frame, again: &Again) {
        let flow = self.flows_by_headers[again.headers.index()];
        let Again {
            ip_id,
            payload,
            payload_len,
            ..
        } = *again;
        self.sighting(
            frame,
            flow,
            again.timestamp_ns,
            (ip_id, payload, payload_len),
        );
    }

    #[inline(always)]
    fn sighting(
        &mut self,
        frame: &Frame,
        flow: u32,
        timestamp_ns: u64,
        (ip_id, payload, payload_len): (Option<u16>, &[u8], u32),
    ) {
        let brief = self.briefs[flow as usize];
        if brief.is_overheard {
            self.skipped.other_host += 1;
            return;
        }
        let Some(time_ns) = frame.time_ns else {
            self.skipped.no_time += 1;
            return;
        };
        self.place(
            (frame.number, time_ns),
            flow,
            timestamp_ns,
            (ip_id, payload, payload_len),
        );
    }

    #[inline(always)]
    fn place(
        &mut self,
        seen: (u64, i64),
        flow: u32,
        timestamp_ns: u64,
        rest: (Option<u16>, &[u8], u32),
    ) {
        let stream = self.briefs[flow as usize].stream as usize;
        let Progress { latest, first_ns } = &mut self.streams[stream];
        let mut flags = 0;
        if timestamp_ns < *latest {
            flags |= Sighting::REORDERED;
        }
        *latest = timestamp_ns.max(*latest);
        *first_ns = seen.1.min(*first_ns);
        // Made where it is put: on the way through memory, its small fields would be waited for.
        let sighting = || Sighting::new(seen, flow, timestamp_ns, rest, flags);
        self.hdp += 1;
        self.coverage.note_hdp(seen.1);
        if timestamp_ns >= self.newest_ns {
            self.newest_ns = timestamp_ns;
            self.sightings.push(sighting());
        } else {
            self.push_out_of_order(sighting());
        }
    }

    fn intern(&mut self, flow: &Flow) -> u32 {
        let Ids {
            flows: ids,
            hashing,
            ..
        } = &self.ids;
        let hash = hashing.hash_one(flow);
        if let Some(&id) = ids.find(hash, |&id| self.flows[id as usize].flow == *flow) {
            return id;
        }
        let addresses = (flow.source, flow.destination);
        let pair = *self.ids.pairs.entry(addresses).or_insert_with(|| {
            self.pairs.push(addresses);
            next_id(self.pairs.len())
        });
        let stream = (pair, flow.protocol, flow.carrier);
        let stream = *self.ids.streams.entry(stream).or_insert_with(|| {
            self.streams.push(Progress::default());
            next_id(self.streams.len())
        });
        let key = u64::from(flow.carrier == Carrier::Udp) << 40
            | u64::from(flow.protocol) << 32
            | u64::from(flow.source_port) << 16
            | u64::from(flow.destination_port);
        self.keys.push(key);
        let is_overheard = flow.stage.packet_type == Some(PacketType::OtherHost);
        self.briefs.push(Brief {
            stream,
            is_overheard,
        });
        self.flows.push(FlowEntry { flow: *flow, pair });
        let id = next_id(self.flows.len());
        let Ids { flows, hashing, .. } = &mut self.ids;
        let hash_of = |&id: &u32| hashing.hash_one(self.flows[id as usize].flow);
        flows.insert_unique(hash, id, hash_of);
        id
    }

    /// Puts the sighting behind all with the same or an earlier timestamp, as long as that place
    /// is near the end.
    fn push_out_of_order(&mut self, sighting: Sighting) {
        let is_later = |before: &Sighting| before.timestamp_ns > sighting.timestamp_ns;
        let farthest = self.sightings.len().saturating_sub(NEARLY);
        let behind = self.sightings[farthest..]
            .iter()
            .rposition(|before| !is_later(before));
        match behind {
            Some(behind) => self.sightings.insert(farthest + behind + 1, sighting),
            None if farthest == 0 => self.sightings.insert(0, sighting),
            None => self.stragglers.push(sighting),
        }
    }

    /// Puts the stragglers into their places: sorted, then merged from the end, in place.
    fn take_in_stragglers(&mut self) {
        let Some(filler) = self.stragglers.first().copied() else {
            return;
        };
        self.stragglers
            .sort_by_key(|straggler| straggler.timestamp_ns);
        let mut unmoved = self.sightings.len();
        let mut to = unmoved + self.stragglers.len();
        self.sightings.resize(to, filler);
        // A straggler came after all sightings with its timestamp: it goes behind them.
        while let Some(straggler) = self.stragglers.last() {
            to -= 1;
            if unmoved > 0 && self.sightings[unmoved - 1].timestamp_ns > straggler.timestamp_ns {
                unmoved -= 1;
                self.sightings[to] = self.sightings[unmoved];
            } else {
                self.sightings[to] = *straggler;
                self.stragglers.pop();
            }
        }
    }

    /// How many sightings there were, handed over or not.
    #[inline]
    #[must_use]
    pub(crate) fn seen(&self) -> u64 {
        self.hdp
    }

    /// Whether there were frames, all of link types that are not decoded.
    #[must_use]
    pub(crate) fn understands_nothing(&self) -> bool {
        self.frames > 0 && self.skipped.unsupported_link == self.frames
    }

    /// How many sightings have not been handed over.
    #[inline]
    #[must_use]
    pub(crate) fn held(&self) -> usize {
        self.sightings.len() + self.stragglers.len()
    }

    /// The earliest frame whose sighting was not handed over; if there is none, the next one.
    #[must_use]
    pub(crate) fn earliest_frame(&self) -> u64 {
        let held = self.sightings.iter().chain(&self.stragglers);
        let earliest = held.map(|sighting| u64::from(sighting.frame)).min();
        earliest.unwrap_or(self.frames + 1)
    }

    /// Hands over all sightings but the last `keep`, into an empty batch.
    ///
    /// # Errors
    /// [`Disorder`] when a sighting came later than `keep` allows for.
    pub(crate) fn hand_over(&mut self, keep: usize, batch: &mut Batch) -> Result<(), Disorder> {
        self.take_in_stragglers();
        self.check_order()?;
        self.give(keep, batch);
        Ok(())
    }

    /// Hands over all sightings but the last `keep` behind those of a batch, wherever they belong.
    pub(crate) fn give(&mut self, keep: usize, batch: &mut Batch) {
        self.take_in_stragglers();
        let ready = self.sightings.len().saturating_sub(keep);
        if batch.sightings.is_empty() {
            // All but the last change places, with the few that stay copied.
            batch.sightings.extend_from_slice(&self.sightings[ready..]);
            std::mem::swap(&mut self.sightings, &mut batch.sightings);
            batch.sightings.truncate(ready);
        } else {
            batch.sightings.extend(self.sightings.drain(..ready));
        }
        batch
            .flows
            .extend_from_slice(&self.flows[self.flows_handed_over..]);
        batch
            .keys
            .extend_from_slice(&self.keys[self.flows_handed_over..]);
        self.flows_handed_over = self.flows.len();
        self.handed_over_to = batch
            .sightings
            .last()
            .map_or(self.handed_over_to, |s| s.timestamp_ns);
    }

    /// The same observer, for [`Observer::finish`]: it does not know again what it has numbered.
    #[must_use]
    pub(crate) fn so_far(&mut self) -> Self {
        let ids = std::mem::take(&mut self.ids);
        let so_far = self.clone();
        self.ids = ids;
        so_far
    }

    /// The same observer, had it handed over nothing but kept these sightings, by rising timestamp.
    /// It must hold none of its own.
    #[must_use]
    pub(crate) fn holding(self, sightings: Vec<Sighting>) -> Self {
        debug_assert_eq!(self.held(), 0, "what is held is handed over first");
        Self { sightings, ..self }
    }

    /// Keeps no more than so many ICMP errors, and about as many doubtful packets.
    pub(crate) fn bound_evidence(&mut self, most: usize) {
        self.most_evidence = Some(most);
    }

    /// Forgets which packets with these timestamps, which rise, lack a piece.
    pub(crate) fn forget_incomplete(&mut self, timestamps: &[u64]) {
        self.left_out.incomplete += self.fragments.forget(timestamps);
    }

    /// Whether all sightings that are still held belong behind those that were handed over.
    ///
    /// # Errors
    /// [`Disorder`] when one does not.
    pub(crate) fn check_order(&self) -> Result<(), Disorder> {
        let held = self.sightings.first().into_iter().chain(&self.stragglers);
        let earliest = held.map(|sighting| sighting.timestamp_ns).min();
        if earliest.is_some_and(|earliest| earliest < self.handed_over_to) {
            Err(Disorder)
        } else {
            Ok(())
        }
    }

    /// Whether all that was handed over may stay, now that no more frames come.
    ///
    /// # Errors
    /// [`Disorder`] when a sighting that is still held belongs before it, or when it holds the first
    /// piece of a packet of which another piece is missing.
    pub(crate) fn check_end(&mut self) -> Result<(), Disorder> {
        self.check_order()?;
        let handed_over_to = self.handed_over_to;
        let mut lacking = self.fragments.lacking().iter();
        if lacking.any(|lacking| lacking.first.timestamp_ns <= handed_over_to) {
            return Err(Disorder);
        }
        Ok(())
    }

    /// The sightings of which a piece is missing, taken out from among the others, in the order of
    /// timestamp, carrier and number.
    fn take_out_incomplete(&mut self) -> Vec<Incomplete> {
        let lacking = self.fragments.lacking();
        if lacking.is_empty() {
            return Vec::new();
        }
        let missing_from: KeyedMap<First, u32> = lacking
            .iter()
            .map(|lacking| (lacking.first, lacking.missing_from))
            .collect();
        let first = |sighting: &Sighting| First {
            timestamp_ns: sighting.timestamp_ns,
            frame: sighting.frame,
        };
        let incomplete = self
            .sightings
            .extract_if(.., |sighting| missing_from.contains_key(&first(sighting)));
        let mut incomplete: Vec<Incomplete> = incomplete
            .map(|sighting| Incomplete {
                sighting,
                missing_from: missing_from[&first(&sighting)],
            })
            .collect();
        incomplete.sort_by_key(|Incomplete { sighting, .. }| {
            let flow = &self.flows[sighting.flow as usize].flow;
            (sighting.timestamp_ns, flow.carrier, flow.protocol)
        });
        incomplete
    }

    /// The point, complete.
    #[must_use]
    pub(crate) fn finish(mut self, name: String, source: String, mut summary: Summary) -> Point {
        self.take_in_stragglers();
        let incomplete = self.take_out_incomplete();
        // A live capture may have dropped frames since it last said until when it watched.
        if let Some((start, end)) = summary.watched_ns.filter(|_| summary.is_live) {
            self.coverage.limit_to(start, end);
        }
        if summary.is_damaged {
            self.coverage.leave_out_last_frames_far_off();
        }
        // dumpcap up to 4.0 states these times in microseconds on interfaces that count nanoseconds:
        // what does not enclose the capture's own frames is not believed.
        if let Some((start, end)) = summary.watched_ns
            && self.coverage.is_within(start, end)
        {
            // A silence up to the first frame is one like others.
            self.coverage.note_end(start);
            self.coverage.note_end(end);
        }
        self.coverage
            .complete(&summary.dropped_ns, &summary.paused_ns);
        let stands_still = self.coverage.first_ns() == self.coverage.last_ns();
        let is_coarse =
            self.whole_seconds >= NO_ACCIDENT && self.whole_seconds == self.frames && !stands_still;
        if is_coarse {
            summary.resolution_ns = Some(SECOND_NS.unsigned_abs());
        }
        let mut pair_starts_ns = vec![i64::MAX; self.pairs.len()];
        for (entry, brief) in self.flows.iter().zip(&self.briefs) {
            let start_ns = &mut pair_starts_ns[entry.pair as usize];
            *start_ns = self.streams[brief.stream as usize].first_ns.min(*start_ns);
        }
        Point {
            capture: name.clone(),
            name,
            side: None,
            source,
            kind: PointKind::Capture,
            summary,
            frames: self.frames,
            coverage: self.coverage,
            skipped: self.skipped,
            hdp: self.hdp,
            twins: 0,
            sightings: self.sightings,
            incomplete,
            flows: self.flows,
            keys: self.keys,
            pairs: self.pairs,
            pair_starts_ns,
            icmp: self.icmp,
            doubtful: self.doubtful,
            left_out: self.left_out,
            off_date: self.off_date,
            cut_short: self.cut_short,
            bystanders: self.bystanders,
            claims: Claims::default(),
        }
    }
}

fn flow(frame: &Frame, datagram: &Datagram, (source_port, destination_port): (u16, u16)) -> Flow {
    Flow {
        source: datagram.source,
        destination: datagram.destination,
        source_port,
        destination_port,
        protocol: datagram.protocol,
        carrier: datagram.carrier,
        ttl: datagram.ttl,
        dscp: datagram.dscp,
        ecn: datagram.ecn,
        is_fragment: datagram.fragment.is_some(),
        encapsulation: datagram.encapsulation,
        stage: stage(frame, datagram.packet_type, datagram.interface),
    }
}

/// Where in the host a frame was captured, by its link layer or else by the capture's own record.
fn stage(frame: &Frame, packet_type: Option<PacketType>, interface: Option<u32>) -> Stage {
    Stage {
        interface: interface.unwrap_or(frame.interface),
        packet_type: packet_type.or(frame.direction.map(|way| match way {
            FrameDirection::Inbound => PacketType::Host,
            FrameDirection::Outbound => PacketType::Outgoing,
        })),
    }
}

/// Pieces may come by several interfaces of a host, but not both come and go.
fn key(set: FragmentSet, stage: Stage) -> Key {
    let says_nothing = stage.packet_type.is_none();
    Key {
        set,
        packet_type: stage.packet_type,
        interface: says_nothing.then_some(stage.interface),
    }
}

/// A frame number as sightings hold it.
fn short(frame: u64) -> u32 {
    u32::try_from(frame).unwrap_or(u32::MAX)
}

/// The index of the last of `len` elements.
fn next_id(len: usize) -> u32 {
    u32::try_from(len - 1).expect("fewer than 2^32 flows fit into memory")
}

/// 24 bits.
fn digest(payload: &[u8]) -> u32 {
    let mut hasher = FxHasher::default();
    hasher.write(payload);
    (hasher.finish() >> 40) as u32
}

#[cfg(test)]
mod shortcut_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(timestamp_ns: u64, frame: u32) -> Sighting {
        Sighting {
            timestamp_ns,
            time_ns: 0,
            frame,
            flow: 0,
            payload_len: 0,
            ip_id: 0,
            digest_and_flags: 0,
        }
    }

    fn sorted(timestamps: impl IntoIterator<Item = u64>) -> Vec<(u64, u32)> {
        let mut observer = Observer::default();
        for (frame, timestamp) in timestamps.into_iter().enumerate() {
            observer.push_out_of_order(sighting(timestamp, u32::try_from(frame).unwrap()));
        }
        let point = observer.finish(String::new(), String::new(), Summary::default());
        point
            .sightings
            .iter()
            .map(|s| (s.timestamp_ns, s.frame))
            .collect()
    }

    #[test]
    fn a_sighting_is_32_bytes() {
        assert_eq!(size_of::<Sighting>(), 32);
    }

    #[test]
    fn any_order_gives_rising_timestamps_and_the_first_copy_stays_first() {
        assert_eq!(sorted([3, 1, 2, 1]), [(1, 1), (1, 3), (2, 2), (3, 0)]);
        let reversed = sorted((0..1_000).rev());
        assert!(reversed.is_sorted());
        let far = sorted((1..200).chain([0, 0]));
        assert_eq!(far[..2], [(0, 199), (0, 200)]);
        assert!(far.is_sorted());
    }

    #[test]
    fn a_capture_that_states_when_it_watched_must_hold_its_own_frames() {
        let covered = |watched_ns| {
            let mut observer = Observer::default();
            observer.coverage.extend(1_795_348_084_370_531_366);
            observer.coverage.extend(1_795_348_086_326_628_316);
            let summary = Summary {
                watched_ns: Some(watched_ns),
                ..Summary::default()
            };
            let point = observer.finish(String::new(), String::new(), summary);
            (point.coverage.first_ns(), point.coverage.last_ns())
        };
        let wider = (1_795_348_084_000_000_000, 1_795_348_087_000_000_000);
        assert_eq!(covered(wider), (Some(wider.0), Some(wider.1)));
        // What dumpcap 4.0 wrote: microseconds.
        assert_eq!(
            covered((1_795_348_084_367_724, 1_795_348_086_363_431)),
            (
                Some(1_795_348_084_370_531_366),
                Some(1_795_348_086_326_628_316)
            )
        );
    }
}
