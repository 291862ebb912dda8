//! Drop witnesses: records of what a system threw away, not of what passed.
//!
//! Linux' netfilter logs packets by rule (link type NFLOG). Such a record proves what two captures never
//! can: which rule took a packet. It is no point of a path, and changes no verdict: a packet that is seen
//! later was logged, not dropped.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::{
    decode::{Decoder, HeaderView, Logged},
    findings::{Input, PointKind, Skipped, WitnessRule},
    protocols::Carrier,
    source::{Frame, Summary},
};

/// What all drop witnesses of a path say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Witnesses {
    rules: Vec<WitnessRule>,
    by_packet: FxHashMap<(u8, Carrier, u64), usize>,
    /// The records themselves, as points that are none.
    pub(crate) records: Vec<crate::findings::Point>,
    /// What they were read from.
    pub(crate) inputs: Vec<Input>,
}

/// One witness that is being read.
#[derive(Debug)]
pub(crate) struct Witness {
    name: String,
    source: String,
    rules: BTreeMap<(String, Option<&'static str>), usize>,
    frames: u64,
    hdp: u64,
    first_ns: Option<i64>,
    last_ns: Option<i64>,
    skipped: Skipped,
}

impl Witness {
    pub(crate) fn new(name: &str, source: String) -> Self {
        Self {
            name: name.to_owned(),
            source,
            rules: BTreeMap::new(),
            frames: 0,
            hdp: 0,
            first_ns: None,
            last_ns: None,
            skipped: Skipped::default(),
        }
    }

    /// Takes in a frame of link type NFLOG.
    pub(crate) fn frame(&mut self, frame: &Frame, decoder: &mut Decoder, all: &mut Witnesses) {
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
        let name = &self.name;
        let key = (logged.prefix.to_owned(), logged.hook);
        let rule = *self.rules.entry(key).or_insert_with(|| {
            all.rules.push(WitnessRule {
                witness: name.clone(),
                rule: logged.prefix.to_owned(),
                hook: logged.hook.map(str::to_owned),
            });
            all.rules.len() - 1
        });
        // A packet that several rules log was taken by the last that did.
        let key = (datagram.protocol, datagram.carrier, header.timestamp_ns);
        all.by_packet.insert(key, rule);
    }

    /// Ends the record.
    pub(crate) fn finish(self, summary: &Summary, all: &mut Witnesses) {
        let link_types = summary.link_types.iter().map(ToString::to_string);
        all.inputs.push(super::input(&self.source, summary));
        all.records.push(crate::findings::Point {
            name: self.name.clone(),
            capture: self.name,
            side: None,
            source: self.source,
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
        });
    }
}

impl Witnesses {
    /// The rule that took a packet, if any was logged.
    pub(crate) fn rule(&self, protocol: u8, carrier: Carrier, timestamp_ns: u64) -> Option<usize> {
        if self.by_packet.is_empty() {
            return None;
        }
        self.by_packet
            .get(&(protocol, carrier, timestamp_ns))
            .copied()
    }

    /// What a rule is called.
    pub(crate) fn named(&self, rule: usize) -> &WitnessRule {
        &self.rules[rule]
    }
}
