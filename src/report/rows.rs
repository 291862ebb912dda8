//! The rows and columns of the table of numbers, before any layout.

use super::{answer::list_numbers, path, units::grouped, word};
use crate::findings::{Direction, Grade, LostAt, Protocol, Verdict};

/// A row: one protocol number, or several of which there is exactly the same to say.
pub(super) struct Row<'a>(Vec<&'a Protocol>);

/// The rows of one direction: the numbers that did not pass, alike ones folded into one row; with
/// `all` a row for every number.
pub(super) fn rows(direction: &Direction, all: bool) -> Vec<Row<'_>> {
    let mut rows: Vec<Row> = Vec::new();
    for protocol in &direction.protocols {
        if all {
            rows.push(Row(vec![protocol]));
        } else if protocol.verdict != Verdict::Passes {
            match rows.iter_mut().find(|row| alike(row.0[0], protocol)) {
                Some(row) => row.0.push(protocol),
                None => rows.push(Row(vec![protocol])),
            }
        }
    }
    rows
}

/// Whether two numbers would have the same row but for the number.
fn alike(a: &Protocol, b: &Protocol) -> bool {
    // The reasons first, for they differ most and cost nothing to compare.
    a.reasons == b.reasons && {
        let (a, b) = (Row(vec![a]), Row(vec![b]));
        COLUMNS[1..]
            .iter()
            .all(|column| (column.cell)(&a) == (column.cell)(&b))
    }
}

/// A column: its title and what a row has to say there.
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) cell: fn(&Row) -> String,
}

/// Number, Verdict, Sent, ... , Why.
const COLUMNS: [Column; 8] = [
    Column {
        title: "Number",
        cell: |row| list_numbers(&row.0),
    },
    Column {
        title: "Verdict",
        cell: |row| word(row.0[0].verdict).to_owned(),
    },
    Column {
        title: "Sent",
        cell: |row| row.each(row.0[0].packets),
    },
    Column {
        title: "Arrived",
        cell: |row| row.each(row.0[0].delivered),
    },
    Column {
        title: "Unjudged",
        cell: |row| row.unjudged(),
    },
    Column {
        title: "Lost in",
        cell: |row| row.lost_in(),
    },
    Column {
        title: "Grade",
        cell: |row| grade(row.0[0].grade).to_owned(),
    },
    Column {
        title: "Why",
        cell: |row| row.why(),
    },
];

/// The columns that these rows need: "Unjudged" only where something was not judged.
pub(super) fn columns(rows: &[Row]) -> Vec<&'static Column> {
    COLUMNS
        .iter()
        .filter(|column| {
            column.title != "Unjudged" || rows.iter().any(|row| (column.cell)(row) != NONE)
        })
        .collect()
}

/// What stands where there is nothing to say.
const NONE: &str = "-";

impl Row<'_> {
    /// What was neither delivered nor lost.
    fn unjudged(&self) -> String {
        let first = self.0[0];
        let fates = [
            (first.edge, "edge"),
            (first.late, "late"),
            (first.ambiguous, "ambiguous"),
        ];
        let fates = fates.into_iter().filter(|&(packets, _)| packets > 0);
        or_none(
            fates.map(|(packets, fate)| format!("{} {fate}", grouped(packets))),
            ", ",
        )
    }

    /// The stretches in which packets were lost, with counts where there are several.
    fn lost_in(&self) -> String {
        let lost_at = &self.0[0].lost_at;
        let stretch = |lost: &LostAt| match lost_at.len() {
            1 => path([lost.from.as_str(), &lost.to]),
            _ => format!(
                "{}: {}",
                path([lost.from.as_str(), &lost.to]),
                grouped(lost.count)
            ),
        };
        or_none(lost_at.iter().map(stretch), ", ")
    }

    /// The first reasons.
    fn why(&self) -> String {
        or_none(
            self.0[0].reasons.iter().take(2).map(ToString::to_string),
            "; ",
        )
    }

    /// A count that holds for each number of the row.
    fn each(&self, n: u64) -> String {
        let each = if self.0.len() > 1 { " each" } else { "" };
        format!("{}{each}", grouped(n))
    }
}

fn or_none(items: impl Iterator<Item = String>, separator: &str) -> String {
    let text = items.collect::<Vec<_>>().join(separator);
    if text.is_empty() {
        NONE.to_owned()
    } else {
        text
    }
}

pub(crate) fn grade(grade: Grade) -> &'static str {
    match grade {
        Grade::Certain => "certain",
        Grade::Likely => "likely",
        Grade::Weak => "weak",
    }
}
