//! Drop witnesses: records of what a system threw away, not of what passed.
//!
//! Linux' netfilter logs packets by rule (link type NFLOG). Such a record proves what two captures never
//! can: which rule took a packet. It is no point of a path, and changes no verdict: a packet that is seen
//! later was logged, not dropped.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    decode::{Decoder, HeaderView, Logged},
    findings::{Input, Point, PointKind, Skipped, WitnessRule},
    keyed::KeyedMap,
    printable::printable,
    protocols::Carrier,
    source::{Frame, Summary},
};

/// What all drop witnesses of a path say; while interfaces are captured from, what they have said so
/// far.
#[derive(Debug, Default)]
pub(crate) struct Witnesses(Mutex<Statements>);

#[derive(Debug, Default)]
struct Statements {
    rules: Vec<WitnessRule>,
    by_packet: Recent,
    records: Vec<(Point, Input)>,
}

/// A packet as a header tells it, without its addresses: a rule may stand behind a translator.
type Key = (u8, Carrier, u64);

/// The rules that took the last packets. Of a capture that does not end the oldest are forgotten.
#[derive(Debug)]
struct Recent {
    newer: KeyedMap<Key, usize>,
    older: KeyedMap<Key, usize>,
    /// How many the newer ones are at the most.
    most: usize,
}

impl Recent {
    fn add(&mut self, key: Key, rule: usize) {
        if self.newer.len() >= self.most {
            self.older = mem::take(&mut self.newer);
        }
        self.newer.insert(key, rule);
    }

    fn get(&self, key: Key) -> Option<usize> {
        self.newer
            .get(&key)
            .or_else(|| self.older.get(&key))
            .copied()
    }
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            newer: KeyedMap::default(),
            older: KeyedMap::default(),
            most: usize::MAX,
        }
    }
}

/// One witness that is being read.
#[derive(Debug)]
pub(crate) struct Witness<'a> {
    all: &'a Witnesses,
    /// Which of all records this is.
    index: usize,
    name: String,
    source: String,
    rules: BTreeMap<(String, Place), usize>,
    frames: u64,
    hdp: u64,
    first_ns: Option<i64>,
    last_ns: Option<i64>,
    skipped: Skipped,
}

/// Where in its host a rule met a packet: hook, and the interfaces' indices.
type Place = (Option<&'static str>, Option<u32>, Option<u32>);

impl<'a> Witness<'a> {
    pub(crate) fn new(name: &str, source: String, summary: &Summary, all: &'a Witnesses) -> Self {
        let mut witness = Self {
            all,
            index: 0,
            name: name.to_owned(),
            source,
            rules: BTreeMap::new(),
            frames: 0,
            hdp: 0,
            first_ns: None,
            last_ns: None,
            skipped: Skipped::default(),
        };
        let record = witness.record(summary);
        let records = &mut all.lock().records;
        witness.index = records.len();
        records.push(record);
        witness
    }

    /// Takes in a frame of link type NFLOG.
    pub(crate) fn frame(&mut self, frame: &Frame, decoder: &mut Decoder) {
        self.frames += 1;
        self.first_ns = self.first_ns.or(frame.time_ns);
        self.last_ns = frame.time_ns.or(self.last_ns);
        let Ok(datagram) = decoder.decode(frame) else {
            self.skipped.not_hdp += 1;
            return;
        };
        let (HeaderView::Whole(header), None) = (datagram.header, datagram.quote) else {
            self.skipped.icmp_quote += 1;
            return;
        };
        self.hdp += 1;
        let logged = Logged::read(frame.bytes);
        let place = (logged.hook, logged.in_interface, logged.out_interface);
        let mut all = self.all.lock();
        let name = &self.name;
        let rule = printable(logged.prefix).into_owned();
        let key = (rule.clone(), place);
        let rule = *self.rules.entry(key).or_insert_with(|| {
            all.rules.push(WitnessRule {
                witness: name.clone(),
                rule,
                hook: logged.hook.map(str::to_owned),
                in_interface: logged.in_interface,
                out_interface: logged.out_interface,
            });
            all.rules.len() - 1
        });
        // A packet that several rules log was taken by the last that did.
        let key = (datagram.protocol, datagram.carrier, header.timestamp_ns);
        all.by_packet.add(key, rule);
    }

    /// Takes note of what the record's source says of itself.
    pub(crate) fn attest(&mut self, summary: &Summary) {
        let record = self.record(summary);
        self.all.lock().records[self.index] = record;
    }

    /// The record as a point that is none, and what it is read from.
    fn record(&self, summary: &Summary) -> (Point, Input) {
        let link_types = summary.link_types.iter().map(ToString::to_string);
        let point = Point {
            name: self.name.clone(),
            capture: self.name.clone(),
            side: None,
            source: self.source.clone(),
            kind: PointKind::DropWitness,
            link_types: link_types.collect(),
            resolution_ns: summary.resolution_ns,
            frames: self.frames,
            hdp: self.hdp,
            first_ns: self.first_ns,
            last_ns: self.last_ns,
            gaps: Vec::new(),
            capture_drops: summary.capture_drops,
            missed: 0,
            copies: 0,
            incomplete: 0,
            skipped: self.skipped,
        };
        (point, super::input(&self.source, summary))
    }
}

impl Witnesses {
    /// Witnesses that may go on for ever: of the packets that rules took the last are known, at least
    /// so many of them.
    pub(crate) fn endless(packets: usize) -> Self {
        let witnesses = Self::default();
        witnesses.lock().by_packet.most = packets;
        witnesses
    }

    /// The rule that took a packet, if any was logged.
    pub(crate) fn rule(&self, protocol: u8, carrier: Carrier, timestamp_ns: u64) -> Option<usize> {
        self.lock().by_packet.get((protocol, carrier, timestamp_ns))
    }

    /// What a rule is called.
    pub(crate) fn named(&self, rule: usize) -> WitnessRule {
        self.lock().rules[rule].clone()
    }

    /// The records themselves, as points that are none, and what they are read from.
    pub(crate) fn records(&self) -> Vec<(Point, Input)> {
        self.lock().records.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Statements> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
