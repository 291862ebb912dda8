//! Probes and what came back: the one record that a trace is judged by, made from packets alone.
//!
//! It is filled with the datagrams that this host sent and received, or with those of a capture of the
//! same, whatever program sent them: so a capture gives the answer that the run itself gave. A probe is
//! a packet with HDP in it, or one that starts with a TTL so small that it cannot be meant to arrive.
//!
//! An ICMP error belongs to the probe whose timestamp it quotes; where it quotes 8 bytes, to the one with
//! those 8 bytes, or with that IP identification. What fits several probes belongs to none.

use std::{hash::Hash, net::IpAddr};

use super::packet::{Error, Packet};
use crate::{
    decode::{DEFAULT_WINDOW_NS, number},
    hdp::Header,
    judge::LARGEST_TTL_OF_A_TRACE,
    keyed::KeyedMap,
    protocols::Carrier,
};

/// An answer that comes later belongs to something else, ns.
const LATEST_NS: i64 = 60_000_000_000;

/// So soon after the first, the same packet again is a copy that the capture made, ns.
const COPY_NS: i64 = 1_000_000_000;

/// A packet that was sent to learn how far it gets.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Probe {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) carrier: Carrier,
    pub(super) protocol: u8,
    /// TTL or hop limit at the sender.
    pub(super) ttl: u8,
    /// When it was sent, ns since the epoch.
    pub(super) sent_ns: i64,
    pub(super) answer: Option<Answer>,
    dscp: u8,
    ecn: u8,
    ip_id: Option<u16>,
    head: [u8; 8],
    /// What identifies HDP: its timestamp and source port.
    hdp: Option<Header>,
}

/// The first thing that came back about a probe.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    /// Who sent it.
    pub(super) from: IpAddr,
    /// When it came, ns since the epoch.
    pub(super) time_ns: i64,
    pub(super) kind: AnswerKind,
    /// What the error's quote shows to be unlike the packet that was sent: field, before, after.
    pub(super) changes: Vec<(Field, String, String)>,
    /// TTL in the quote.
    pub(super) quoted_ttl: Option<u8>,
}

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerKind {
    /// The TTL ran out there.
    Expired,
    /// An error of another kind.
    Error {
        version: u8,
        icmp_type: u8,
        code: u8,
    },
    /// A packet under the same number, with the ports exchanged.
    Reply,
}

/// A field of a packet that a quote shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    SourceAddress,
    DestinationAddress,
    SourcePort,
    DestinationPort,
    Dscp,
    Ecn,
    IpId,
}

impl Field {
    /// Its name among the members of a change.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SourceAddress => "source_address",
            Self::DestinationAddress => "destination_address",
            Self::SourcePort => "source_port",
            Self::DestinationPort => "destination_port",
            Self::Dscp => "dscp",
            Self::Ecn => "ecn",
            Self::IpId => "ip_id",
        }
    }
}

impl Probe {
    /// The type of the ICMP message that the probe looks like, if nobody sends an error about one.
    pub(super) fn unreported_icmp_type(&self) -> Option<u8> {
        let icmp_type = self.head[0];
        let is_reported = match self.protocol {
            // Queries (RFC 1122, section 3.2.2.9), as far as Linux knows them.
            number::ICMP => matches!(icmp_type, 0 | 8..=10 | 13..=18),
            // Informational messages but redirects (RFC 4443, section 2.4).
            number::ICMPV6 => icmp_type >= 128 && icmp_type != 137,
            _ => true,
        };
        (!is_reported).then_some(icmp_type)
    }

    /// How long the answer took, ns.
    pub(super) fn rtt_ns(&self) -> Option<i64> {
        Some(self.answer.as_ref()?.time_ns - self.sent_ns)
    }
}

/// All probes so far, in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    probes: Vec<Probe>,
    by_timestamp: KeyedMap<(u8, u64), Vec<usize>>,
    by_head: KeyedMap<(u8, [u8; 8]), Vec<usize>>,
    by_ip_id: KeyedMap<(u8, u16), Vec<usize>>,
    by_ports: KeyedMap<(u8, u16, u16), Vec<usize>>,
    /// Errors about packets that are no known probes.
    strangers: u64,
}

impl Exchanges {
    pub(super) fn probes(&self) -> &[Probe] {
        &self.probes
    }

    /// Whether nothing more can come back to this source from the way to this destination.
    #[cfg(target_os = "linux")]
    pub(super) fn are_all_answered(&self, ends: (IpAddr, IpAddr)) -> bool {
        let own = |probe: &&Probe| (probe.source, probe.destination) == ends;
        let mut own = self.probes.iter().filter(own);
        own.all(|probe| probe.answer.is_some())
    }

    /// Errors that quote what is not here, or what looks like several probes.
    pub(super) fn strangers(&self) -> u64 {
        self.strangers
    }

    /// Takes in one IP datagram that was sent or received at `time_ns` (ns since the epoch).
    pub(super) fn take(&mut self, time_ns: i64, datagram: &[u8]) {
        let Some(packet) = Packet::parse(datagram) else {
            return;
        };
        if let Some(error) = packet.error() {
            self.error(time_ns, packet.source, &error);
            return;
        }
        let carrier = packet.carrier();
        let header = packet.header(carrier);
        let hdp = header.filter(|header| header.is_plausible_at(time_ns, DEFAULT_WINDOW_NS));
        if self.reply(time_ns, &packet, hdp) {
            return;
        }
        if hdp.is_some() || packet.ttl <= LARGEST_TTL_OF_A_TRACE {
            self.probe(time_ns, &packet, carrier, hdp);
        }
    }

    fn probe(&mut self, time_ns: i64, packet: &Packet, carrier: Carrier, hdp: Option<Header>) {
        let Some(head) = packet.head() else {
            return;
        };
        if packet.destination.is_multicast() {
            return;
        }
        let probe = Probe {
            source: packet.source,
            destination: packet.destination,
            carrier,
            protocol: packet.protocol,
            ttl: packet.ttl,
            sent_ns: time_ns,
            answer: None,
            dscp: packet.dscp,
            ecn: packet.ecn,
            ip_id: packet.ip_id,
            head,
            hdp,
        };
        let index = self.probes.len();
        let same_head = self.by_head.entry((packet.protocol, head)).or_default();
        // A capture on several interfaces shows one packet several times, on its way with a smaller TTL.
        let is_copy = same_head.iter().rev().any(|&earlier| {
            let earlier = &self.probes[earlier];
            time_ns.abs_diff(earlier.sent_ns) < COPY_NS.cast_unsigned()
                && earlier.hdp == hdp
                && earlier.ip_id == probe.ip_id
                && (hdp.is_some() || (earlier.ttl >= probe.ttl && probe.ip_id != Some(0)))
        });
        if is_copy {
            return;
        }
        same_head.push(index);
        if let Some(hdp) = hdp {
            let key = (packet.protocol, hdp.timestamp_ns);
            self.by_timestamp.entry(key).or_default().push(index);
        }
        if let Some(ip_id) = packet.ip_id.filter(|&ip_id| ip_id != 0) {
            let key = (packet.protocol, ip_id);
            self.by_ip_id.entry(key).or_default().push(index);
        }
        if let Some((from, to)) = packet.ports() {
            let key = (packet.protocol, from, to);
            self.by_ports.entry(key).or_default().push(index);
        }
        self.probes.push(probe);
    }

    /// Takes the packet for a reply to a probe, if it is one: from its destination, under its number,
    /// with its ports exchanged, those of HDP too.
    fn reply(&mut self, time_ns: i64, packet: &Packet, hdp: Option<Header>) -> bool {
        let Some((from, to)) = packet.ports() else {
            return false;
        };
        let candidates = self.by_ports.get(&(packet.protocol, to, from));
        let is_answered = |probe: &Probe| {
            (probe.destination, probe.source) == (packet.source, packet.destination)
                && (0..LATEST_NS).contains(&(time_ns - probe.sent_ns))
                && hdp.is_none_or(|hdp| probe.source_port() == Some(hdp.destination_port))
        };
        let mut candidates = candidates.into_iter().flatten().rev();
        let found = candidates.find(|&&index| is_answered(&self.probes[index]));
        let Some(&index) = found else {
            return false;
        };
        self.answer(
            index,
            Answer {
                from: packet.source,
                time_ns,
                kind: AnswerKind::Reply,
                changes: Vec::new(),
                quoted_ttl: None,
            },
        );
        true
    }

    fn error(&mut self, time_ns: i64, from: IpAddr, error: &Error) {
        let quote = &error.quote;
        let Some(index) = self.quoted(time_ns, quote) else {
            self.strangers += 1;
            return;
        };
        let kind = if error.is_expiry() {
            AnswerKind::Expired
        } else {
            AnswerKind::Error {
                version: error.version,
                icmp_type: error.icmp_type,
                code: error.code,
            }
        };
        let answer = Answer {
            from,
            time_ns,
            kind,
            changes: self.probes[index].changes(quote),
            quoted_ttl: Some(quote.ttl),
        };
        self.answer(index, answer);
    }

    fn answer(&mut self, index: usize, answer: Answer) {
        self.probes[index].answer.get_or_insert(answer);
    }

    /// The probe that is quoted.
    fn quoted(&self, time_ns: i64, quote: &Packet) -> Option<usize> {
        // A quote may be cut anywhere: whether it is UDP is told by the probe that it fits.
        for carrier in [Carrier::Udp, Carrier::Ip] {
            if let Some(header) = quote.header(carrier) {
                let key = (quote.protocol, header.timestamp_ns);
                let found = self.only(&self.by_timestamp, &key, time_ns, |probe| {
                    probe.carrier == carrier
                });
                if found.is_some() {
                    return found;
                }
            }
        }
        let fits = |probe: &Probe| quote.ip_id.is_none_or(|id| probe.ip_id == Some(id));
        let head = quote.head()?;
        let key = (quote.protocol, head);
        let by_head = self
            .only(&self.by_head, &key, time_ns, fits)
            .or_else(|| self.only(&self.by_head, &key, time_ns, |_| true));
        by_head.or_else(|| {
            let key = (quote.protocol, quote.ip_id?);
            // Translated ports, and a checksum with them.
            self.only(&self.by_ip_id, &key, time_ns, |_| true)
        })
    }

    /// The only probe of this key that fits, among those that can have been answered then.
    fn only<K: Hash + Eq>(
        &self,
        index: &KeyedMap<K, Vec<usize>>,
        key: &K,
        time_ns: i64,
        fits: impl Fn(&Probe) -> bool,
    ) -> Option<usize> {
        let in_time = |probe: &Probe| (0..LATEST_NS).contains(&(time_ns - probe.sent_ns));
        let indices = index.get(key)?.iter().copied();
        let mut fitting = indices.filter(|&index| {
            let probe = &self.probes[index];
            in_time(probe) && fits(probe)
        });
        let found = fitting.next()?;
        fitting.next().is_none().then_some(found)
    }
}

impl Probe {
    /// The source port in HDP's header.
    fn source_port(&self) -> Option<u16> {
        self.hdp.map(|hdp| hdp.source_port)
    }

    /// What a quote shows to be unlike what was sent.
    fn changes(&self, quote: &Packet) -> Vec<(Field, String, String)> {
        let mut changes = Vec::new();
        let mut compare = |field, sent: String, quoted: String| {
            if sent != quoted {
                changes.push((field, sent, quoted));
            }
        };
        compare(
            Field::SourceAddress,
            self.source.to_string(),
            quote.source.to_string(),
        );
        compare(
            Field::DestinationAddress,
            self.destination.to_string(),
            quote.destination.to_string(),
        );
        if let Some((from, to)) = quote.ports() {
            let port = |at: usize| u16::from_be_bytes([self.head[at], self.head[at + 1]]);
            compare(Field::SourcePort, port(0).to_string(), from.to_string());
            compare(Field::DestinationPort, port(2).to_string(), to.to_string());
        }
        compare(Field::Dscp, self.dscp.to_string(), quote.dscp.to_string());
        compare(Field::Ecn, self.ecn.to_string(), quote.ecn.to_string());
        if let (Some(sent), Some(quoted)) = (self.ip_id, quote.ip_id) {
            compare(Field::IpId, sent.to_string(), quoted.to_string());
        }
        changes
    }
}
