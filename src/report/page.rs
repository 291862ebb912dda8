//! The page: what a report says, as a list of blocks that each format renders in its own way.
//!
//! The table and Markdown show the same page. A block holds text without any layout, and what a
//! format needs to set parts of it apart, such as the verdict that a cell states.

use super::{
    answer::{Line, headline, is_used, lines},
    captures::{Capture, captures},
    path,
    remarks::{Remark, remarks},
    rows::{Cell, cells, columns, rows},
};
use crate::findings::Findings;

/// A part of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    /// What was measured.
    Headline(String),
    /// Where numbers disappeared, one direction's lines.
    Answer(Vec<Line>),
    /// The numbers that did not pass, one direction's.
    Numbers {
        /// The direction, where there are several.
        title: Option<String>,
        /// A title for each column.
        columns: Vec<&'static str>,
        rows: Vec<Vec<Cell>>,
    },
    /// What else was seen, a paragraph each.
    Remarks(Vec<String>),
    /// Something to run, and why.
    Command { why: String, command: String },
    /// What the records were like.
    Captures { title: String, points: Vec<Capture> },
    /// What to know before trusting the rest.
    Warnings(Vec<String>),
}

/// The page of these findings. `all` gives every number a row, also those that passed.
pub(super) fn page(findings: &Findings, all: bool) -> Vec<Block> {
    let used = || findings.directions.iter().filter(|way| is_used(way));
    let several = used().count() > 1;
    let mut blocks = vec![Block::Headline(headline(findings))];
    blocks.extend(used().map(|direction| Block::Answer(lines(findings, direction))));
    for direction in used() {
        let rows = rows(direction, all);
        if !rows.is_empty() {
            let columns = columns(&rows);
            blocks.push(Block::Numbers {
                title: several.then(|| path([direction.from.as_str(), &direction.to])),
                rows: rows.iter().map(|row| cells(&columns, row)).collect(),
                columns: columns.iter().map(|column| column.title).collect(),
            });
        }
        let mut paragraphs = Vec::new();
        let mut commands = Vec::new();
        for remark in remarks(findings, direction) {
            match remark {
                Remark::Paragraph(text) => paragraphs.push(text),
                Remark::Command { why, command } => commands.push(Block::Command { why, command }),
            }
        }
        if !paragraphs.is_empty() {
            blocks.push(Block::Remarks(paragraphs));
        }
        blocks.extend(commands);
    }
    let captures = captures(findings);
    blocks.push(Block::Captures {
        title: captures.title(),
        points: captures.points,
    });
    if !findings.warnings.is_empty() {
        let warnings = findings.warnings.iter().map(ToString::to_string);
        blocks.push(Block::Warnings(warnings.collect()));
    }
    blocks
}

impl Block {
    /// The same block in plain ASCII.
    pub(super) fn in_ascii(mut self) -> Self {
        self.texts()
            .into_iter()
            .for_each(|text| *text = ascii(text));
        self
    }

    fn texts(&mut self) -> Vec<&mut String> {
        match self {
            Self::Headline(text) => vec![text],
            Self::Answer(lines) => lines
                .iter_mut()
                .flat_map(|line| [&mut line.place, &mut line.numbers, &mut line.evidence])
                .collect(),
            Self::Numbers { title, rows, .. } => {
                let cells = rows.iter_mut().flatten().map(|cell| &mut cell.text);
                title.iter_mut().chain(cells).collect()
            }
            Self::Remarks(texts) | Self::Warnings(texts) => texts.iter_mut().collect(),
            Self::Command { why, command } => vec![why, command],
            Self::Captures { title, points } => {
                let texts = points.iter_mut().flat_map(|point| {
                    [
                        &mut point.name,
                        &mut point.frames,
                        &mut point.time,
                        &mut point.format,
                        &mut point.gaps,
                    ]
                });
                std::iter::once(title).chain(texts).collect()
            }
        }
    }
}

/// The text in plain ASCII, for terminals that show nothing else: what has a usual spelling gets
/// it, everything else becomes `?`. Blanks at which no line is wrapped stay.
pub(crate) fn ascii(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '→' => plain.push_str("->"),
            '←' => plain.push_str("<-"),
            '±' => plain.push_str("+/-"),
            'µ' => plain.push('u'),
            '≥' => plain.push_str(">="),
            '≤' => plain.push_str("<="),
            '–' | '—' | '−' => plain.push('-'),
            '…' => plain.push_str("..."),
            '×' => plain.push('x'),
            '∞' => plain.push_str("inf"),
            super::GLUE => plain.push(super::GLUE),
            _ if character.is_ascii() => plain.push(character),
            _ => plain.push('?'),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_usual_spelling_keeps_its_sense() {
        assert_eq!(
            ascii("a → b: 3 µs ± 1, Zürich"),
            "a -> b: 3 us +/- 1, Z?rich"
        );
    }
}
