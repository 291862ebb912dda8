//! The report of a trace: a line for numbers of which there is the same to say, and one a hop.

#[cfg(feature = "cli")]
pub(super) mod page;
mod words;

use serde::Serialize;

#[cfg(feature = "cli")]
pub use page::{trace_markdown, trace_table};

use super::csv::finish;
use crate::findings::{
    Carrier, Grade,
    trace::{Trace, TraceRule, TraceVerdict, TracedProtocol},
};

/// One row a protocol number (RFC 4180, but with the line ends of Unix), named like the JSON members;
/// lists are joined with `;`.
///
/// # Panics
///
/// Never: every row has the same columns, and memory takes every write.
#[must_use]
pub fn trace_csv(trace: &Trace) -> String {
    let mut writer = ::csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(Vec::new());
    writer
        .write_record(HEADER)
        .expect("writing to memory succeeds");
    for protocol in &trace.protocols {
        writer
            .serialize(Row::new(protocol))
            .expect("every row has the header's columns");
    }
    finish(writer)
}

/// The names of [`Row`]'s members.
const HEADER: [&str; 14] = [
    "protocol",
    "keyword",
    "carrier",
    "verdict",
    "grade",
    "rule",
    "last_hop",
    "next_hop",
    "last_address",
    "next_address",
    "sent",
    "answered",
    "icmp",
    "reasons",
];

#[derive(Serialize)]
struct Row<'a> {
    protocol: u8,
    keyword: Option<&'a str>,
    carrier: Carrier,
    verdict: TraceVerdict,
    grade: Grade,
    rule: TraceRule,
    last_hop: u8,
    next_hop: Option<u8>,
    last_address: Option<&'a str>,
    next_address: Option<&'a str>,
    sent: u64,
    answered: u64,
    icmp: String,
    reasons: String,
}

impl<'a> Row<'a> {
    fn new(protocol: &'a TracedProtocol) -> Self {
        let icmp = protocol.icmp.iter().map(|icmp| {
            let (from, count, meaning) = (&icmp.from, icmp.count, &icmp.meaning);
            format!("{from} {}/{} {count} {meaning}", icmp.icmp_type, icmp.code)
        });
        let reasons = protocol.reasons.iter().map(ToString::to_string);
        Self {
            protocol: protocol.protocol,
            keyword: protocol.keyword.as_deref(),
            carrier: protocol.carrier,
            verdict: protocol.verdict,
            grade: protocol.grade,
            rule: protocol.rule,
            last_hop: protocol.last_hop,
            next_hop: protocol.next_hop,
            last_address: protocol.between.first().map(String::as_str),
            next_address: protocol.between.get(1).map(String::as_str),
            sent: protocol.answers.iter().map(|answers| answers.sent).sum(),
            answered: protocol
                .answers
                .iter()
                .map(|answers| answers.answered)
                .sum(),
            icmp: icmp.collect::<Vec<_>>().join(";"),
            reasons: reasons.collect::<Vec<_>>().join(";"),
        }
    }
}
