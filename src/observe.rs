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
mod flow;
mod fragments;
mod log;
mod point;
mod sighting;
mod witness;

use std::{collections::BTreeSet, hash::BuildHasher, net::IpAddr};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

#[cfg(fuzzing)]
pub use both_ways::BothWays;
pub(crate) use bystanders::{BystanderFlow, BystanderSeen, Bystanders};
pub(crate) use coverage::Coverage;
pub(crate) use flow::{Flow, FlowEntry, Stage};
pub(crate) use log::{Claims, Refused};
pub(crate) use point::{IcmpSighting, LeftOut, OffDate, Point, input};
pub(crate) use sighting::{Incomplete, Sighting, Trace};
pub(crate) use witness::{Witness, Witnesses};

use crate::{
    decode::{
        Again, Datagram, FragmentSet, HeaderView, LaterPiece, PacketType, Piece, Shortcut, Skip,
    },
    findings::{PointKind, Skipped},
    keyed::KeyedMap,
    protocols::Carrier,
    source::{Frame, Summary},
};

use fragments::{First, Fragments, Key};

/// A second.
const SECOND_NS: i64 = 1_000_000_000;

/// So many frames at whole seconds are no accident, nor so many at the same time.
const NO_ACCIDENT: u64 = 16;

/// How far back a sighting is moved into its place at once; beyond that it waits for the end.
const NEARLY: usize = 64;

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
    flows_by_headers: Vec<(u32, Brief)>,
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
    /// Whether there was such a one.
    has_fractions: bool,
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
            if !self.has_fractions {
                self.note_if_whole_second(time_ns);
            }
        }
    }

    #[cold]
    fn note_if_whole_second(&mut self, time_ns: i64) {
        self.has_fractions = time_ns % SECOND_NS != 0;
        self.whole_seconds += u64::from(!self.has_fractions);
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
            Ok(datagram) => {
                self.datagram(frame, &datagram);
            }
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
        match decoder.recall(frame) {
            Some(again) => self.again(frame, &again),
            // A copy, so that the frame itself stays in registers.
            None => self.read_unlike(*frame, decoder),
        }
    }

    /// [`Observer::read`] for a frame whose headers were not there before.
    #[inline(never)]
    fn read_unlike(&mut self, frame: Frame, decoder: &mut Shortcut) {
        let frame = &frame;
        let (datagram, headers) = match decoder.walk(frame) {
            Ok(walked) => walked,
            Err(skip) => return self.skip(frame, skip, decoder),
        };
        let flow = self.datagram(frame, &datagram);
        if let (Some(flow), Some(headers)) = (flow, headers)
            && headers.index() == self.flows_by_headers.len()
        {
            let brief = self.briefs[flow as usize];
            self.flows_by_headers.push((flow, brief));
        }
    }

    /// Takes what there is in a frame that holds no HDP.
    fn skip(&mut self, frame: &Frame, skip: Skip, decoder: &mut Shortcut) {
        self.observe(frame, Err(skip));
        match skip {
            Skip::NotHdp => {
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
            Skip::CutShort { .. } => {
                if let Some(protocol) = decoder.cut_short() {
                    self.cut_short.insert(protocol);
                }
            }
            _ => {}
        }
    }

    /// Takes a datagram, and says which flow it belongs to: none where it is quoted.
    fn datagram(&mut self, frame: &Frame, datagram: &Datagram) -> Option<u32> {
        let header = match (datagram.quote, datagram.header) {
            (None, HeaderView::Whole(header)) => header,
            (Some(quote), header) => {
                self.skipped.icmp_quote += 1;
                if self
                    .most_evidence
                    .is_some_and(|most| self.icmp.len() >= most)
                {
                    self.left_out.errors += 1;
                    return None;
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
                    stage: Stage::of(frame, datagram.packet_type, datagram.interface),
                });
                return None;
            }
            // The decoder gives half a header for quotes only.
            (None, HeaderView::UpperHalf { .. }) => return None,
        };
        let flow = self.intern(&Flow::of(
            frame,
            datagram,
            (header.source_port, header.destination_port),
        ));
        let brief = self.briefs[flow as usize];
        let Datagram {
            ip_id,
            payload,
            payload_len,
            ..
        } = *datagram;
        self.sighting(
            frame,
            (flow, brief),
            header.timestamp_ns,
            (ip_id, payload, payload_len),
        );
        if datagram.fragment.is_some() {
            self.first_piece(frame, datagram, flow, header.timestamp_ns);
        }
        Some(flow)
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
            frame: sighting::short(frame.number),
        };
        let stage = Stage::of(frame, datagram.packet_type, datagram.interface);
        self.fragments
            .add(key(piece.set, stage), time_ns, &piece, Some(first));
    }

    #[cold]
    fn later_piece(&mut self, frame: &Frame, later: &LaterPiece) {
        if let Some(time_ns) = frame.time_ns {
            let stage = Stage::of(frame, later.packet_type, later.interface);
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
        let flow = self.intern(&Flow::of(frame, datagram, datagram.header.ports()));
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
        (flow, brief): (u32, Brief),
        timestamp_ns: u64,
        rest: (Option<u16>, &[u8], u32),
    ) {
        if brief.is_overheard {
            self.skipped.other_host += 1;
            return;
        }
        let Some(time_ns) = frame.time_ns else {
            self.skipped.no_time += 1;
            return;
        };
        self.place((frame.number, time_ns), (flow, brief), timestamp_ns, rest);
    }

    #[inline(always)]
    fn place(
        &mut self,
        seen: (u64, i64),
        (flow, brief): (u32, Brief),
        timestamp_ns: u64,
        rest: (Option<u16>, &[u8], u32),
    ) {
        let Progress { latest, first_ns } = &mut self.streams[brief.stream as usize];
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
        let farthest = self.sightings.len().saturating_sub(NEARLY);
        let is_later = |before: &Sighting| before.timestamp_ns > sighting.timestamp_ns;
        let mut place = self.sightings.len();
        while place > farthest && is_later(&self.sightings[place - 1]) {
            place -= 1;
        }
        if place == farthest && place > 0 {
            self.stragglers.push(sighting);
            return;
        }
        // One by one: they are few, and to move at once what was just written waits for the memory.
        self.sightings.push(sighting);
        for later in (place + 1..self.sightings.len()).rev() {
            self.sightings.swap(later - 1, later);
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

/// Pieces may come by several interfaces of a host, but not both come and go.
fn key(set: FragmentSet, stage: Stage) -> Key {
    let says_nothing = stage.packet_type.is_none();
    Key {
        set,
        packet_type: stage.packet_type,
        interface: says_nothing.then_some(stage.interface),
    }
}

/// The index of the last of `len` elements.
fn next_id(len: usize) -> u32 {
    u32::try_from(len - 1).expect("fewer than 2^32 flows fit into memory")
}

#[cfg(test)]
mod shortcut_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(timestamp_ns: u64, frame: u64) -> Sighting {
        Sighting::new((frame, 0), 0, timestamp_ns, (None, &[], 0), 0)
    }

    fn sorted(timestamps: impl IntoIterator<Item = u64>) -> Vec<(u64, u32)> {
        let mut observer = Observer::default();
        for (frame, timestamp) in (0..).zip(timestamps) {
            observer.push_out_of_order(sighting(timestamp, frame));
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
