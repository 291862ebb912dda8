//! ICMP errors as witnesses: each quotes a packet that somebody refused.

use std::net::IpAddr;

use rustc_hash::FxHashMap;

use crate::{
    correlate::{Relations, Way},
    decode::{Carrier, HeaderView, icmp_meaning},
    findings::IcmpEvidence,
    observe::Point,
};

/// Who sent an error, in which ICMP (4 or 6), of which type and code.
pub(super) type Answer = (IpAddr, u8, u8, u8);

/// ICMP redirect: the packet was forwarded all the same.
const REDIRECT: (u8, u8) = (4, 5);

/// All errors, each once however many points saw it.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// Distinct packets quoted, by way, carrier, number and answer.
    counts: FxHashMap<(Way, Carrier, u8), Vec<(Answer, u64)>>,
    /// Refusals by way, number and what the quote holds of the timestamp.
    refusals: FxHashMap<(Way, u8, Timestamp), Answer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Timestamp {
    Whole(u64),
    UpperHalf(u32),
}

impl Evidence {
    pub(super) fn collect(points: &[Point], relations: &Relations) -> Self {
        let mut quotes = Vec::new();
        for error in points.iter().flat_map(|point| &point.icmp) {
            let way = relations
                .way_between(error.source, error.destination)
                .unwrap_or(Way::Forward);
            let timestamp = match error.header {
                HeaderView::Whole(header) => Timestamp::Whole(header.timestamp_ns),
                HeaderView::UpperHalf { timestamp_high, .. } => {
                    Timestamp::UpperHalf(timestamp_high)
                }
            };
            let quote = &error.quote;
            let answer: Answer = (quote.by, quote.version, quote.icmp_type, quote.code);
            quotes.push((way, error.carrier, error.protocol, answer, timestamp));
        }
        quotes.sort_unstable();
        quotes.dedup();
        let mut evidence = Self::default();
        for (way, carrier, protocol, answer, timestamp) in quotes {
            let counts = evidence.counts.entry((way, carrier, protocol)).or_default();
            match counts.last_mut() {
                Some((last, count)) if *last == answer => *count += 1,
                _ => counts.push((answer, 1)),
            }
            let (_, version, icmp_type, _) = answer;
            if (version, icmp_type) != REDIRECT {
                evidence.refusals.insert((way, protocol, timestamp), answer);
            }
        }
        evidence
    }

    /// The errors about one number, ready for the findings.
    pub(super) fn of(&self, way: Way, carrier: Carrier, protocol: u8) -> Vec<IcmpEvidence> {
        let counts = self
            .counts
            .get(&(way, carrier, protocol))
            .map_or(&[][..], Vec::as_slice);
        counts
            .iter()
            .map(|&((from, version, icmp_type, code), count)| IcmpEvidence {
                from: from.to_string(),
                icmp_type,
                code,
                meaning: icmp_meaning(version, icmp_type, code).to_owned(),
                count,
            })
            .collect()
    }

    /// The answer to the packet with this timestamp, if anybody sent one.
    #[inline]
    pub(super) fn about(&self, way: Way, protocol: u8, timestamp_ns: u64) -> Option<Answer> {
        if self.refusals.is_empty() {
            return None;
        }
        let upper_half = Timestamp::UpperHalf((timestamp_ns >> 32) as u32);
        [Timestamp::Whole(timestamp_ns), upper_half]
            .iter()
            .find_map(|timestamp| self.refusals.get(&(way, protocol, *timestamp)).copied())
    }
}
