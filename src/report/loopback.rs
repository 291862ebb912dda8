//! The article's merged table: what this host's system does with each number.

use comfy_table::{CellAlignment, ContentArrangement, Table, TableStyle, presets::ASCII_MARKDOWN};

use super::{csv::finish, markdown::escape};
use crate::{
    probe::loopback::{Loopback, Number},
    protocols,
};

/// The table for reading, at most `width` characters wide: numbers of which there is the same to
/// say share a row, unless `all`.
#[must_use]
pub fn loopback_table(loopback: &Loopback, all: bool, width: usize) -> String {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX))
        .set_header(TITLES);
    for row in rows(loopback, all) {
        table.add_row(cells(&row));
    }
    align(&mut table);
    let mut text = format!("{}\n\n{table}\n", headline(loopback));
    let failures = failures(loopback);
    if !failures.is_empty() {
        text.push('\n');
    }
    for failure in failures {
        text += &textwrap::fill(
            &failure,
            textwrap::Options::new(width).subsequent_indent("  "),
        );
        text.push('\n');
    }
    text.lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

/// The same as Markdown.
#[must_use]
pub fn loopback_markdown(loopback: &Loopback, all: bool) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(TITLES);
    for row in rows(loopback, all) {
        table.add_row(cells(&row).iter().map(|cell| escape(cell)));
    }
    align(&mut table);
    let headline = escape(&headline(loopback));
    let mut blocks = vec![format!("**{headline}**"), table.to_string()];
    let failures = failures(loopback);
    if !failures.is_empty() {
        let items: Vec<_> = failures
            .iter()
            .map(|failure| format!("- {}", escape(failure)))
            .collect();
        blocks.push(items.join("\n"));
    }
    blocks.join("\n\n") + "\n"
}

/// One row a requested number (RFC 4180), with the members of [`Number`] as columns.
///
/// # Panics
///
/// Never: every row has the same columns, and memory takes every write.
#[must_use]
pub fn loopback_csv(loopback: &Loopback) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for number in &loopback.numbers {
        writer
            .serialize(number)
            .expect("every row has the same columns");
    }
    finish(writer)
}

/// The article's columns.
const TITLES: [&str; 8] = [
    "Number",
    "Source IP",
    "Bytes received",
    "Received",
    "Sent",
    "Bytes sent",
    "Failure",
    "Time difference (µs)",
];

fn align(table: &mut Table) {
    for column in [2, 5, 7] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn headline(loopback: &Loopback) -> String {
    let received = loopback.numbers.iter().filter(|n| n.received).count();
    let all = loopback.numbers.len();
    format!(
        "{received} of {all} protocol numbers went through {}",
        loopback.address
    )
}

/// The numbers row by row.
fn rows(loopback: &Loopback, all: bool) -> Vec<Vec<&Number>> {
    let mut rows: Vec<Vec<&Number>> = Vec::new();
    for number in &loopback.numbers {
        match rows.iter_mut().find(|row| !all && alike(row[0], number)) {
            Some(row) => row.push(number),
            None => rows.push(vec![number]),
        }
    }
    rows
}

/// Whether there is the same to say of two numbers, but for the number and the time.
fn alike(a: &Number, b: &Number) -> bool {
    let said = |number: &Number| {
        (
            number.src,
            number.byte_sum_received,
            number.byte_sum_sent,
            number.call,
            number.errno,
            // "Sent as 0" is another thing than "sent".
            number.protocol.map(u16::from) == Some(number.requested),
        )
    };
    said(a) == said(b)
}

fn cells(row: &[&Number]) -> [String; 8] {
    let first = row[0];
    let numbers: Vec<_> = row.iter().map(|number| number.requested).collect();
    let numbers = protocols::fold_with_keywords(&numbers);
    let sent = match first.protocol {
        Some(protocol) if u16::from(protocol) != first.requested && row.len() == 1 => {
            format!("yes, as {protocol}")
        }
        _ => yes(first.succeeded),
    };
    let failure = match (first.call, first.name, first.errno) {
        (Some(call), Some(name), Some(errno)) => format!("{}: {name} ({errno})", call.name()),
        _ => NONE.to_owned(),
    };
    [
        numbers,
        or_none(first.src),
        or_none(first.byte_sum_received),
        yes(first.received),
        sent,
        or_none(first.byte_sum_sent),
        failure,
        differences(row),
    ]
}

/// What stands where there is nothing to say.
const NONE: &str = "-";

fn or_none<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| value.to_string())
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

/// The time difference in µs; of several, the smallest, the median and the largest.
fn differences(row: &[&Number]) -> String {
    let mut spans: Vec<_> = row.iter().filter_map(|n| n.difference_ns).collect();
    spans.sort_unstable();
    let microseconds = |nanoseconds: i64| (nanoseconds as f64 / 1_000.0).round();
    match spans.as_slice() {
        [] => NONE.to_owned(),
        [one] => microseconds(*one).to_string(),
        [least, .., most] => format!(
            "{} to {}, median {}",
            microseconds(*least),
            microseconds(*most),
            microseconds(spans[spans.len() / 2])
        ),
    }
}

/// A sentence for the numbers that failed alike.
fn failures(loopback: &Loopback) -> Vec<String> {
    let mut failures: Vec<(&str, Vec<u16>)> = Vec::new();
    for number in &loopback.numbers {
        let Some(failure) = number.failure.as_deref() else {
            continue;
        };
        match failures.iter_mut().find(|(other, _)| *other == failure) {
            Some((_, numbers)) => numbers.push(number.requested),
            None => failures.push((failure, vec![number.requested])),
        }
    }
    let sentences = failures.iter().map(|(failure, numbers)| {
        format!("{}: {failure}.", protocols::fold_with_keywords(numbers))
    });
    sentences.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Origin;

    fn number(requested: u16) -> Number {
        Number {
            requested,
            protocol: Some(requested.to_le_bytes()[0]),
            src: Some([127, 0, 0, 1].into()),
            byte_sum_received: Some(373),
            received: true,
            succeeded: true,
            byte_sum_sent: Some(373),
            call: None,
            errno: None,
            name: None,
            difference_ns: Some(20_400 + i64::from(requested) * 1_000),
            failure: None,
        }
    }

    fn loopback() -> Loopback {
        let as_0 = Number {
            src: None,
            byte_sum_received: None,
            received: false,
            difference_ns: None,
            failure: Some("sent as 0 HOPOPT, not received: it is handed to nobody".to_owned()),
            ..number(256)
        };
        Loopback {
            origin: Origin {
                schema_version: 1,
                generator: "hdp".to_owned(),
                host: None,
                boot_id: None,
                started_ns: 0,
            },
            address: [127, 0, 0, 1].into(),
            numbers: vec![number(3), number(4), number(5), as_0],
            drops: Vec::new(),
        }
    }

    #[test]
    fn numbers_fold_and_each_failure_has_its_sentence() {
        insta::assert_snapshot!(loopback_table(&loopback(), false, 120));
        insta::assert_snapshot!(loopback_markdown(&loopback(), false));
    }

    #[test]
    fn with_all_each_number_has_its_row_and_its_own_time() {
        insta::assert_snapshot!(loopback_table(&loopback(), true, 120));
    }

    #[test]
    fn csv_has_a_row_a_number() {
        let text = loopback_csv(&loopback());
        assert_eq!(
            text.lines().next().unwrap(),
            "requested,protocol,src,byte_sum_received,received,succeeded,byte_sum_sent,call,\
             errno,name,difference_ns,failure"
        );
        assert_eq!(text.lines().count(), 5);
    }
}
