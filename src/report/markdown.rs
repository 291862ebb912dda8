//! The report as Markdown, for issues, wikis and merge requests.

use comfy_table::{Table, presets::ASCII_MARKDOWN};

use super::{
    answer::{Line, headline, is_used, lines},
    captures::captures,
    path,
    remarks::remarks,
    rows::{columns, rows},
    unglued, word,
};
use crate::findings::Findings;

/// The report as Markdown: the same findings in the same order as [`super::table()`].
///
/// `all` gives every number a row, also those that passed.
#[must_use]
pub fn markdown(findings: &Findings, all: bool) -> String {
    let mut blocks = vec![format!("**{}**", escape(&headline(findings)))];
    let used = || findings.directions.iter().filter(|way| is_used(way));
    for direction in used() {
        blocks.push(list(lines(findings, direction).iter().map(item)));
    }
    let several = used().count() > 1;
    for direction in used() {
        let rows = rows(direction, all);
        if !rows.is_empty() {
            if several {
                blocks.push(format!(
                    "### {}",
                    escape(&path([direction.from.as_str(), &direction.to]))
                ));
            }
            let columns = columns(&rows);
            let header = columns.iter().map(|column| column.title);
            blocks.push(table(
                header,
                rows.iter()
                    .map(|row| columns.iter().map(|column| (column.cell)(row))),
            ));
        }
        blocks.extend(
            remarks(findings, direction)
                .iter()
                .map(|remark| escape(remark)),
        );
    }
    let captures = captures(findings);
    blocks.push(format!("### {}", captures.title()));
    blocks.push(table(
        ["Point", "Frames", "Time", "Format", "Gaps"],
        captures.points.into_iter().map(|point| {
            [
                point.name,
                point.frames,
                point.time,
                point.format,
                point.gaps,
            ]
        }),
    ));
    if !findings.warnings.is_empty() {
        blocks.push("### Warnings".to_owned());
        blocks.push(list(
            findings
                .warnings
                .iter()
                .map(|warning| escape(&warning.to_string())),
        ));
    }
    unglued(&blocks.join("\n\n")) + "\n"
}

fn item(line: &Line) -> String {
    let (place, evidence) = (escape(&line.place), escape(&line.evidence));
    match line.verdict {
        Some(verdict) => {
            let (verdict, numbers) = (word(verdict), escape(&line.numbers));
            format!("{place}: **{verdict}** {numbers}: {evidence}")
        }
        None => format!("{place}: {evidence}"),
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    items
        .map(|item| format!("- {item}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn table<R: IntoIterator<Item = String>>(
    header: impl IntoIterator<Item = &'static str>,
    rows: impl Iterator<Item = R>,
) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(header);
    for row in rows {
        table.add_row(row.into_iter().map(|cell| escape(&cell)));
    }
    table.to_string()
}

/// Names and reasons are not markup, whatever characters they have.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '|' | '*' | '`' | '<' | '[' => escaped.extend(['\\', character]),
            '\n' | '\r' => escaped.push(' '),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_not_markup() {
        assert_eq!(escape("a|b *c*\n<d>"), r"a\|b \*c\* \<d>");
    }
}
