//! One row a direction and protocol number, for spreadsheets and scripts.

use std::borrow::Cow;

use serde::Serialize;

use crate::findings::{Carrier, DelayReference, Direction, Findings, Grade, Protocol, Verdict};

/// The findings as CSV (RFC 4180, but with the line ends of Unix): a header, then one row a direction
/// and protocol number.
///
/// Columns are named like the JSON members; new ones come last. What is unknown is an empty field,
/// and so is an infinite delay; `icmp_rtt_ns` is the shortest of all errors'. Lists are joined
/// with `;`, in an item's members with blanks: `router→server 3` in `lost_at`, `10.77.1.1 3/13 2
/// administratively prohibited` in `icmp`.
///
/// # Panics
///
/// Never: every row has the header's columns, and memory takes every write.
#[must_use]
pub fn csv(findings: &Findings) -> String {
    // The header is written by hand because it must be there without any row too.
    let mut writer = ::csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(Vec::new());
    writer
        .write_record(HEADER)
        .expect("writing to memory succeeds");
    for direction in &findings.directions {
        for protocol in &direction.protocols {
            writer
                .serialize(Row::new(direction, protocol))
                .expect("every row has the header's columns");
        }
    }
    finish(writer)
}

/// What was written, with every cell as it is meant: what begins like a formula and is no number has an
/// apostrophe before it, which spreadsheets take for "this is text".
pub(super) fn finish(writer: ::csv::Writer<Vec<u8>>) -> String {
    let bytes = writer.into_inner().expect("writing to memory succeeds");
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(bytes.as_slice());
    let records = reader.records();
    let records: Vec<::csv::StringRecord> = records
        .collect::<Result<_, _>>()
        .expect("what was written can be read");
    let mut writer = ::csv::WriterBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_writer(Vec::new());
    for record in &records {
        writer
            .write_record(record.iter().map(|cell| as_text(cell).into_owned()))
            .expect("writing to memory succeeds");
    }
    let bytes = writer.into_inner().expect("writing to memory succeeds");
    String::from_utf8(bytes).expect("all fields are text")
}

fn as_text(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@']) && cell.parse::<f64>().is_err() && cell != "-" {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

/// The names of [`Row`]'s members.
const HEADER: [&str; 46] = [
    "from",
    "to",
    "protocol",
    "keyword",
    "carrier",
    "verdict",
    "grade",
    "packets",
    "delivered",
    "lost",
    "edge",
    "late",
    "ambiguous",
    "altered",
    "duplicates",
    "reordered",
    "seen",
    "lost_at",
    "loss_interval_low",
    "loss_interval_high",
    "refused",
    "icmp",
    "changes",
    "delay_ns_min",
    "delay_ns_p50",
    "delay_ns_p90",
    "delay_ns_p99",
    "delay_ns_max",
    "delay_ns_reference",
    "reasons",
    "unheard",
    "control_median_difference_ns",
    "control_p_value",
    "control_loss",
    "more_packets",
    "duplication_fraction",
    "replicated",
    "delay_ns_p50_with_lost",
    "delay_ns_p90_with_lost",
    "delay_ns_p99_with_lost",
    "icmp_answered",
    "icmp_rtt_ns",
    "flows",
    "loss_runs",
    "loss_runs_longest",
    "expired",
];

#[derive(Serialize)]
struct Row<'a> {
    from: &'a str,
    to: &'a str,
    protocol: u16,
    keyword: Option<&'a str>,
    carrier: Carrier,
    verdict: Verdict,
    grade: Grade,
    packets: u64,
    delivered: u64,
    lost: u64,
    edge: u64,
    late: u64,
    ambiguous: u64,
    altered: u64,
    duplicates: u64,
    reordered: u64,
    seen: String,
    lost_at: String,
    loss_interval_low: Option<f64>,
    loss_interval_high: Option<f64>,
    refused: String,
    icmp: String,
    changes: String,
    delay_ns_min: Option<i64>,
    delay_ns_p50: Option<i64>,
    delay_ns_p90: Option<i64>,
    delay_ns_p99: Option<i64>,
    delay_ns_max: Option<i64>,
    delay_ns_reference: Option<DelayReference>,
    reasons: String,
    unheard: u64,
    control_median_difference_ns: Option<i64>,
    control_p_value: Option<f64>,
    control_loss: Option<f64>,
    more_packets: Option<u64>,
    duplication_fraction: Option<f64>,
    replicated: Option<f64>,
    delay_ns_p50_with_lost: Option<i64>,
    delay_ns_p90_with_lost: Option<i64>,
    delay_ns_p99_with_lost: Option<i64>,
    icmp_answered: u64,
    icmp_rtt_ns: Option<i64>,
    flows: String,
    loss_runs: Option<u64>,
    loss_runs_longest: Option<u64>,
    expired: u64,
}

impl<'a> Row<'a> {
    fn new(direction: &'a Direction, protocol: &'a Protocol) -> Self {
        let delay = protocol.delay_ns;
        let control = protocol.against_control;
        Self {
            from: &direction.from,
            to: &direction.to,
            protocol: protocol.protocol,
            keyword: protocol.keyword.as_deref(),
            carrier: protocol.carrier,
            verdict: protocol.verdict,
            grade: protocol.grade,
            packets: protocol.packets,
            delivered: protocol.delivered,
            lost: protocol.lost,
            edge: protocol.edge,
            late: protocol.late,
            ambiguous: protocol.ambiguous,
            altered: protocol.altered,
            duplicates: protocol.duplicates,
            reordered: protocol.reordered,
            seen: list(&protocol.seen, u64::to_string),
            lost_at: list(&protocol.lost_at, |lost| {
                format!("{}→{} {}", lost.from, lost.to, lost.count)
            }),
            loss_interval_low: protocol.loss_interval.map(|[low, _]| low),
            loss_interval_high: protocol.loss_interval.map(|[_, high]| high),
            refused: list(&protocol.refused, |refusal| {
                format!(
                    "{} {} {} {} {}",
                    refusal.requested, refusal.call, refusal.errno, refusal.name, refusal.count
                )
            }),
            icmp: list(&protocol.icmp, |icmp| {
                format!(
                    "{} {}/{} {} {}",
                    icmp.from, icmp.icmp_type, icmp.code, icmp.count, icmp.meaning
                )
            }),
            changes: list(&protocol.changes, |change| {
                let [before, after] = &change.between;
                format!(
                    "{} {}→{} {before}→{after} {}",
                    change.field, change.from, change.to, change.count
                )
            }),
            delay_ns_min: delay.map(|delay| delay.min),
            delay_ns_p50: delay.map(|delay| delay.p50),
            delay_ns_p90: delay.map(|delay| delay.p90),
            delay_ns_p99: delay.map(|delay| delay.p99),
            delay_ns_max: delay.map(|delay| delay.max),
            delay_ns_reference: delay.map(|delay| delay.reference),
            reasons: list(&protocol.reasons, ToString::to_string),
            unheard: protocol.unheard,
            control_median_difference_ns: control.and_then(|control| control.median_difference_ns),
            control_p_value: control.and_then(|control| control.p_value),
            control_loss: control.map(|control| control.loss_control),
            more_packets: protocol.more_packets,
            duplication_fraction: protocol.duplication.map(|copies| copies.fraction),
            replicated: protocol.duplication.map(|copies| copies.replicated),
            delay_ns_p50_with_lost: delay.and_then(|delay| delay.with_lost.p50),
            delay_ns_p90_with_lost: delay.and_then(|delay| delay.with_lost.p90),
            delay_ns_p99_with_lost: delay.and_then(|delay| delay.with_lost.p99),
            icmp_answered: protocol.icmp.iter().map(|icmp| icmp.answered).sum(),
            icmp_rtt_ns: protocol
                .icmp
                .iter()
                .filter_map(|icmp| Some(icmp.rtt_ns?.min))
                .min(),
            loss_runs: protocol.loss_runs.map(|runs| runs.count),
            loss_runs_longest: protocol.loss_runs.map(|runs| runs.longest),
            expired: protocol.expired,
            flows: list(&protocol.flows, |pair| {
                format!(
                    "{}→{} {} of {} lost",
                    pair.srcport, pair.dstport, pair.lost, pair.packets
                )
            }),
        }
    }
}

/// Items joined with `;`.
fn list<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
    items.iter().map(text).collect::<Vec<_>>().join(";")
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use super::*;
    use crate::report::tests::router_drops_some;

    #[test]
    fn the_header_names_the_members_of_a_row() {
        let findings = router_drops_some();
        let direction = &findings.directions[0];
        let mut writer = ::csv::Writer::from_writer(Vec::new());
        writer
            .serialize(Row::new(direction, &direction.protocols[0]))
            .unwrap();
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        assert_eq!(text.lines().next().unwrap(), HEADER.join(","));
    }
}
