//! A trace for reading: what became of the numbers, and the path.

use comfy_table::{CellAlignment, ContentArrangement, Table, TableStyle, presets::ASCII_MARKDOWN};

use crate::{
    findings::{
        Carrier, Grade,
        trace::{Hop, Trace, TraceReason, TraceRule, TraceVerdict, TracedProtocol},
    },
    protocols,
    report::{
        markdown::escape,
        page::ascii,
        table::Layout,
        unglued,
        units::{count, span},
    },
};

/// The trace for a terminal.
#[must_use]
pub fn trace_table(trace: &Trace, layout: &Layout) -> String {
    let wrap = |text: &str| {
        let options = textwrap::Options::new(layout.width).subsequent_indent("  ");
        textwrap::fill(
            text,
            options.word_splitter(textwrap::WordSplitter::NoHyphenation),
        )
    };
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(layout.width).unwrap_or(u16::MAX))
        .set_header(TITLES);
    for row in rows(trace) {
        table.add_row(row);
    }
    align(&mut table);
    let mut blocks = vec![wrap(&headline(trace))];
    let lines: Vec<_> = lines(trace).iter().map(|line| wrap(line)).collect();
    blocks.push(lines.join("\n"));
    if !trace.hops.is_empty() {
        blocks.push(table.to_string());
    }
    let warnings = trace.warnings.iter();
    let warnings: Vec<_> = warnings
        .map(|text| wrap(&format!("warning: {text}")))
        .collect();
    blocks.push(warnings.join("\n"));
    blocks.retain(|block| !block.is_empty());
    let text = unglued(&blocks.join("\n\n"));
    let text = if layout.ascii { ascii(&text) } else { text };
    text.lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

/// The same as Markdown.
#[must_use]
pub fn trace_markdown(trace: &Trace) -> String {
    let list = |lines: Vec<String>| {
        let items = lines.iter().map(|line| format!("- {}", escape(line)));
        items.collect::<Vec<_>>().join("\n")
    };
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(TITLES);
    for row in rows(trace) {
        table.add_row(row.map(|cell| escape(&cell)));
    }
    align(&mut table);
    let mut blocks = vec![format!("**{}**", escape(&headline(trace)))];
    blocks.push(list(lines(trace)));
    if !trace.hops.is_empty() {
        blocks.push(table.to_string());
    }
    let warnings: Vec<_> = trace.warnings.iter().map(ToString::to_string).collect();
    if !warnings.is_empty() {
        blocks.push(format!("### Warnings\n\n{}", list(warnings)));
    }
    blocks.retain(|block| !block.is_empty());
    unglued(&blocks.join("\n\n")) + "\n"
}

pub(in crate::report) const TITLES: [&str; 5] =
    ["Hop", "Address", "Round trip", "Control", "Notes"];

fn align(table: &mut Table) {
    for column in [0, 2, 3] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// Numbers straight on IP.
fn numbers(trace: &Trace) -> impl Iterator<Item = &TracedProtocol> {
    let numbers = trace.protocols.iter();
    numbers.filter(|protocol| protocol.carrier == Carrier::Ip)
}

pub(in crate::report) fn headline(trace: &Trace) -> String {
    let of = |verdict| {
        numbers(trace)
            .filter(|number| number.verdict == verdict)
            .count() as u64
    };
    let all = numbers(trace).count() as u64;
    let mut parts = Vec::new();
    for (verdict, of_one, of_several) in [
        (TraceVerdict::Reaches, "reaches it", "reach it"),
        (
            TraceVerdict::Disappears,
            "disappears on the way",
            "disappear on the way",
        ),
        (TraceVerdict::Inconclusive, "inconclusive", "inconclusive"),
        (
            TraceVerdict::Refused,
            "refused by this system",
            "refused by this system",
        ),
    ] {
        match of(verdict) {
            0 => {}
            1 => parts.push(format!("1 {of_one}")),
            several => parts.push(format!("{several} {of_several}")),
        }
    }
    let parts = if parts.is_empty() {
        String::new()
    } else {
        format!(": {}", parts.join(", "))
    };
    format!(
        "{} to {} from {}{parts}",
        count(all, "protocol number"),
        trace.destination,
        trace.source
    )
}

/// A line for numbers of which there is the same to say: those that disappear first, nearest first.
pub(in crate::report) fn lines(trace: &Trace) -> Vec<String> {
    let mut groups: Vec<Vec<&TracedProtocol>> = Vec::new();
    let mut sorted: Vec<_> = numbers(trace).collect();
    sorted.sort_by_key(|number| key(number));
    for number in sorted {
        match groups.last_mut() {
            Some(group) if key(group[0]) == key(number) => group.push(number),
            _ => groups.push(vec![number]),
        }
    }
    groups.iter().map(|group| line(trace, group)).collect()
}

/// What numbers share that stand in one line.
fn key(number: &TracedProtocol) -> (u8, u8, Option<u8>, TraceRule, Grade, Option<String>) {
    let rank = match number.verdict {
        TraceVerdict::Disappears => 0,
        TraceVerdict::Inconclusive => 1,
        TraceVerdict::Refused => 2,
        TraceVerdict::Reaches => 3,
    };
    // Where it is said in the same words, in the same line.
    let said = match number.reasons.first() {
        Some(TraceReason::RefusedBy {
            from,
            version,
            icmp_type,
            code,
            ..
        }) => Some(format!("{from} {version} {icmp_type} {code}")),
        Some(TraceReason::SenderRefused { .. }) => Some(number.reasons[0].to_string()),
        _ => None,
    };
    (
        rank,
        number.last_hop,
        number.next_hop,
        number.rule,
        number.grade,
        said,
    )
}

fn line(trace: &Trace, group: &[&TracedProtocol]) -> String {
    let first = group[0];
    let numbers: Vec<u16> = group.iter().map(|number| number.protocol.into()).collect();
    let numbers = protocols::fold_with_keywords(&numbers);
    let several = group.len() > 1;
    let s = if several { "" } else { "s" };
    let place = |hop: u8, address: Option<&String>| match (hop, address) {
        (0, _) => "this host".to_owned(),
        (hop, Some(address)) => format!("hop {hop} ({address})"),
        (hop, None) => format!("hop {hop}"),
    };
    let last = place(first.last_hop, first.between.first());
    let next = first.next_hop.map(|hop| place(hop, first.between.get(1)));
    let evidence = evidence(group);
    match first.verdict {
        TraceVerdict::Reaches => format!(
            "{numbers}: reach{} {}",
            if several { "" } else { "es" },
            trace.destination
        ),
        TraceVerdict::Refused => format!("{numbers}: {evidence}"),
        TraceVerdict::Disappears => {
            let place = match next {
                Some(next) => format!("between {last} and {next}"),
                None => format!("behind {last}"),
            };
            let grade = match first.grade {
                Grade::Certain => "certain",
                Grade::Likely => "likely",
                Grade::Weak => "weak: more probes would tell (--count)",
            };
            format!("{numbers}: disappear{s} {place}; {grade}: {evidence}")
        }
        TraceVerdict::Inconclusive => format!("{numbers}: got as far as {last}: {evidence}"),
    }
}

/// The reasons of a line's numbers: of one, as they are; of several, what is true of all.
fn evidence(group: &[&TracedProtocol]) -> String {
    let mut reasons = group[0].reasons.clone();
    let numbers = group.iter().flat_map(|number| &number.reasons);
    let others: Vec<_> = numbers.collect();
    for reason in &mut reasons {
        match reason {
            TraceReason::Silent {
                sent,
                control_sent,
                control_answered,
                chance,
                ..
            } => {
                for other in &others {
                    if let TraceReason::Silent {
                        sent: its_sent,
                        control_sent: its_control_sent,
                        control_answered: its_control_answered,
                        chance: its_chance,
                        ..
                    } = other
                        && its_chance > chance
                    {
                        (*sent, *chance) = (*its_sent, *its_chance);
                        (*control_sent, *control_answered) =
                            (*its_control_sent, *its_control_answered);
                    }
                }
            }
            TraceReason::RefusedBy { count, .. } => {
                *count = others
                    .iter()
                    .map(|other| match other {
                        TraceReason::RefusedBy { count, .. } => *count,
                        _ => 0,
                    })
                    .sum();
            }
            _ => {}
        }
    }
    let reasons: Vec<_> = reasons.iter().map(ToString::to_string).collect();
    reasons.join("; ")
}

/// A row a hop.
pub(in crate::report) fn rows(trace: &Trace) -> impl Iterator<Item = [String; 5]> {
    trace.hops.iter().map(|hop| {
        let addresses = if hop.addresses.is_empty() {
            "*".to_owned()
        } else {
            hop.addresses.join(", ")
        };
        let rtt = hop
            .rtt_ns
            .map_or_else(|| "-".to_owned(), |rtt| span(rtt.p50));
        [
            hop.hop.to_string(),
            addresses,
            rtt,
            format!("{} of {}", hop.answered, hop.sent),
            notes(trace, hop),
        ]
    })
}

fn notes(trace: &Trace, hop: &Hop) -> String {
    let mut notes = Vec::new();
    let of = |verdict| {
        let numbers = numbers(trace);
        let here = numbers.filter(|number| number.verdict == verdict && number.last_hop == hop.hop);
        here.map(|number| u16::from(number.protocol))
            .collect::<Vec<_>>()
    };
    let gone = of(TraceVerdict::Disappears);
    if !gone.is_empty() {
        notes.push(format!(
            "the last to see {}",
            protocols::fold_with_keywords(&gone)
        ));
    }
    let reached = of(TraceVerdict::Reaches).len() as u64;
    if reached > 0 {
        let numbers = count(reached, "number");
        notes.push(format!(
            "{numbers} reach{} it",
            if reached == 1 { "es" } else { "" }
        ));
    }
    for change in &hop.changes {
        notes.push(match (&change.from, &change.to) {
            (Some(from), Some(to)) => format!(
                "{} {from} → {to} behind hop {}",
                words_of(&change.field),
                change.between[0]
            ),
            _ => format!(
                "{} changed behind hop {}",
                words_of(&change.field),
                change.between[0]
            ),
        });
    }
    if hop.rate_limited {
        notes.push("limits its answers".to_owned());
    }
    notes.join("; ")
}

/// The name of a field as people write it.
fn words_of(field: &str) -> String {
    match field {
        "dscp" => "DSCP".to_owned(),
        "ecn" => "ECN".to_owned(),
        "ip_id" => "IP ID".to_owned(),
        other => other.replace('_', " "),
    }
}
