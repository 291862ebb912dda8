//! The report as Markdown, for issues, wikis and merge requests.

use comfy_table::{Table, presets::ASCII_MARKDOWN};

use super::{
    answer::Line,
    page::{Block, page},
    unglued, word,
};
use crate::findings::Findings;

/// The report as Markdown: the same findings in the same order as [`super::table()`].
///
/// `all` gives every number a row, also those that passed.
#[must_use]
pub fn markdown(findings: &Findings, all: bool) -> String {
    render(page(findings, all))
}

/// The blocks of a page as Markdown.
pub(super) fn render(blocks: Vec<Block>) -> String {
    let blocks: Vec<String> = blocks.into_iter().map(block).collect();
    unglued(&blocks.join("\n\n")) + "\n"
}

fn block(block: Block) -> String {
    match block {
        Block::Headline(text) => format!("**{}**", escape(&text)),
        Block::Answer(lines) => list(lines.iter().map(item)),
        Block::Numbers {
            title,
            columns,
            rows,
        } => {
            let title = title.map(|title| format!("### {}\n\n", escape(&title)));
            let rows = rows.into_iter();
            let rows = rows.map(|row| row.into_iter().map(|cell| cell.text));
            title.unwrap_or_default() + &table(columns, rows)
        }
        Block::Remarks(texts) => {
            let texts: Vec<_> = texts.iter().map(|text| escape(text)).collect();
            texts.join("\n\n")
        }
        Block::Command { why, command } => format!("{}\n\n    {command}", escape(&why)),
        Block::Captures { title, points } => {
            let points = points.into_iter().map(|point| {
                [
                    point.name,
                    point.frames,
                    point.time,
                    point.format,
                    point.gaps,
                ]
            });
            let columns = ["Point", "Frames", "Time", "Format", "Gaps"];
            format!("### {title}\n\n{}", table(columns, points))
        }
        Block::Warnings(warnings) => {
            let warnings = warnings.iter().map(|warning| escape(warning));
            format!("### Warnings\n\n{}", list(warnings))
        }
    }
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
