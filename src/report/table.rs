//! The report for a terminal, as wide as asked.

use anstyle::{AnsiColor, Style};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, TableStyle, Width};
use textwrap::{Options, WordSplitter, core::display_width};

use super::{answer::Line, captures::Capture, page::Block, rows::Cell, unglued, word};
use crate::findings::{Findings, Verdict};

/// How a report is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Columns of the terminal; below 40 lines may become longer.
    pub width: usize,
    /// Whether escape sequences colour the verdicts; the words are the same without.
    pub color: bool,
    /// Whether every number gets a row, also those that passed.
    pub all: bool,
    /// Whether the text is plain ASCII.
    pub ascii: bool,
}

/// The report for a terminal: the answer, the numbers that did not pass, what else was seen, what
/// the captures were like, warnings.
#[must_use]
pub fn table(findings: &Findings, layout: &Layout) -> String {
    render(super::page::page(findings, layout.all), layout)
}

/// The blocks of a page for a terminal.
pub(super) fn render(blocks: Vec<Block>, layout: &Layout) -> String {
    let mut page = Page {
        layout,
        text: String::new(),
    };
    for block in blocks {
        page.block(if layout.ascii {
            block.in_ascii()
        } else {
            block
        });
    }
    unglued(&page.text)
}

/// Below this many columns places stand on a line of their own.
const NARROW: usize = 64;

/// The text so far.
struct Page<'a> {
    layout: &'a Layout,
    text: String,
}

impl Page<'_> {
    fn block(&mut self, block: Block) {
        if !self.text.is_empty() && !matches!(block, Block::Command { .. }) {
            self.blank();
        }
        match block {
            Block::Headline(text) => self.bold(&text),
            Block::Answer(lines) => self.answer(&lines),
            Block::Numbers {
                title,
                columns,
                rows,
            } => {
                if let Some(title) = title {
                    self.bold(&title);
                }
                self.numbers(&columns, &rows);
            }
            Block::Remarks(remarks) => {
                for remark in &remarks {
                    self.paragraph("", "  ", remark);
                }
            }
            Block::Command { why, command } => {
                self.paragraph("", "  ", &why);
                self.command("  ", &command);
            }
            Block::Captures { title, points } => {
                self.bold(&title);
                self.captures(&points);
            }
            Block::Warnings(warnings) => {
                self.bold("Warnings");
                for warning in &warnings {
                    self.paragraph(" - ", "   ", warning);
                }
            }
        }
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// A paragraph that stands out where that is possible.
    fn bold(&mut self, text: &str) {
        for line in wrap(text, self.layout.width) {
            let line = self.styled(Style::new().bold(), &line);
            self.line(&line);
        }
    }

    fn paragraph(&mut self, first: &str, indent: &str, text: &str) {
        let width = self.layout.width.saturating_sub(display_width(indent));
        for (i, line) in wrap(text, width).iter().enumerate() {
            let indent = if i == 0 { first } else { indent };
            self.line(&format!("{indent}{line}"));
        }
    }

    /// Something to be copied: it stays one command, however it is wrapped.
    fn command(&mut self, indent: &str, command: &str) {
        let room = self.layout.width.saturating_sub(display_width(indent) + 2);
        let options = Options::new(room).break_words(false);
        let options = options.word_splitter(WordSplitter::NoHyphenation);
        let lines = textwrap::wrap(command, options);
        let lines = lines.join(&format!(" \\\n{indent}"));
        self.line(&format!("{indent}{lines}"));
    }

    fn styled(&self, style: Style, text: &str) -> String {
        if self.layout.color {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    /// The lines of the answer: place, verdict, numbers and evidence in columns as far as the width
    /// allows, else below each other.
    fn answer(&mut self, lines: &[Line]) {
        let widest = |text: fn(&Line) -> usize| lines.iter().map(text).max().unwrap_or(0);
        let place = widest(|line| display_width(&line.place));
        let verdict = widest(|line| line.verdict.map_or(0, |verdict| word(verdict).len())) + 2;
        let stacked = self.layout.width < NARROW || place > self.layout.width * 2 / 5;
        let indent = if stacked { 2 } else { place + 3 };

        let rest = self.layout.width.saturating_sub(indent + verdict).max(16);
        let numbers = widest(|line| display_width(&line.numbers));
        let evidence = widest(|line| line.verdict.map_or(0, |_| display_width(&line.evidence)));
        // Each column its natural width if that fits, else the numbers less than half of it.
        let numbers = if numbers + 2 + evidence <= rest {
            numbers
        } else {
            numbers.min(rest * 2 / 5)
        };

        let mut last_place = "";
        for line in lines {
            let mut lead = format!("{:indent$}", "");
            if line.place != last_place {
                if stacked {
                    self.paragraph("", "  ", &line.place);
                } else {
                    lead = padded(&line.place, indent);
                }
            }
            last_place = &line.place;
            let Some(is) = line.verdict else {
                self.paragraph(&lead, &format!("{:indent$}", ""), &line.evidence);
                continue;
            };
            lead += &self.styled(style(is), word(is));
            lead += &" ".repeat(verdict - word(is).len());
            let hanging = " ".repeat(indent + verdict);
            if stacked {
                let both = format!("{}: {}", line.numbers, line.evidence);
                self.paragraph(&lead, &hanging, &both);
                continue;
            }
            let left = wrap(&line.numbers, numbers);
            let right = wrap(&line.evidence, rest - numbers - 2);
            for i in 0..left.len().max(right.len()) {
                let lead = if i == 0 { &lead } else { &hanging };
                let column = |column: &[String]| column.get(i).cloned().unwrap_or_default();
                let (left, right) = (column(&left), column(&right));
                self.line(&format!("{lead}{}  {right}", padded(&left, numbers)));
            }
        }
    }

    /// The table of numbers.
    fn numbers(&mut self, titles: &[&str], rows: &[Vec<Cell>]) {
        let mut cells: Vec<Vec<String>> =
            vec![titles.iter().map(|title| (*title).to_owned()).collect()];
        cells.extend(
            rows.iter()
                .map(|row| row.iter().map(|cell| cell.text.clone()).collect()),
        );
        let mut verdict_at = titles.iter().position(|title| *title == "Verdict");
        let widths = widths(&cells, self.layout.width).unwrap_or_else(|| {
            cells = cells
                .iter()
                .map(|row| in_two_columns(&cells[0], row))
                .collect();
            // There the verdict begins the second one.
            verdict_at = Some(1);
            let number = natural(&cells, 0).min(16);
            let rest = self.layout.width.saturating_sub(number + 2 * PADDING);
            vec![number, rest.max(16)]
        });
        let verdict_at = verdict_at.map_or(0, |column| {
            widths[..column]
                .iter()
                .map(|width| width + PADDING)
                .sum::<usize>()
                + 1
        });
        // One row at a time, so that its verdict is known where its first line is drawn.
        for (index, row) in cells.iter().enumerate() {
            let verdict = index
                .checked_sub(1)
                .and_then(|index| rows[index].iter().find_map(|cell| cell.verdict));
            for (number, line) in grid(std::slice::from_ref(row), &widths).lines().enumerate() {
                let verdict = verdict.filter(|_| number == 0);
                let line = self.with_verdict(&line, verdict_at, verdict);
                self.line(&line);
            }
        }
    }

    /// A line of the table with the verdict that stands at column `at` set apart.
    fn with_verdict(&self, line: &str, at: usize, verdict: Option<Verdict>) -> String {
        let Some(verdict) = verdict else {
            return line.to_owned();
        };
        let (at, _) = line.char_indices().nth(at).unwrap_or((line.len(), ' '));
        let (before, rest) = line.split_at(at);
        let (word, behind) = rest.split_at(word(verdict).len());
        format!("{before}{}{behind}", self.styled(style(verdict), word))
    }

    /// One line a point, or a paragraph where that is too wide.
    fn captures(&mut self, points: &[Capture]) {
        let cells: Vec<Vec<_>> = points
            .iter()
            .map(|point| {
                let Capture {
                    name,
                    frames,
                    time,
                    format,
                    gaps,
                } = point;
                [name, frames, time, format, gaps]
                    .map(String::clone)
                    .to_vec()
            })
            .collect();
        let mut widths: Vec<_> = (0..4).map(|column| natural(&cells, column)).collect();
        let taken: usize = widths.iter().map(|width| width + PADDING).sum();
        let rest = self.layout.width.saturating_sub(taken + PADDING);
        if rest >= natural(&cells, 4).min(16) {
            widths.push(rest);
            for line in grid(&cells, &widths).lines() {
                self.line(&line);
            }
            return;
        }
        let in_line = taken <= self.layout.width;
        let heads: Vec<_> = cells.iter().map(|row| row[..4].to_vec()).collect();
        let lines: Vec<_> = grid(&heads, &widths).lines().collect();
        for (line, row) in lines.iter().zip(&cells) {
            if in_line {
                self.line(line);
                let indent = " ".repeat(widths[0] + PADDING + 1);
                self.paragraph(&indent, &indent, &row[4]);
            } else {
                self.line(&format!(" {}", row[0]));
                let facts = row[1..]
                    .iter()
                    .map(String::as_str)
                    .filter(|fact| !fact.is_empty());
                self.paragraph("   ", "   ", &facts.collect::<Vec<_>>().join("; "));
            }
        }
    }
}

/// Blank columns around each cell of a grid.
pub(super) const PADDING: usize = 2;

/// The width of a column whose cells are not wrapped.
pub(super) fn natural(cells: &[Vec<String>], column: usize) -> usize {
    cells
        .iter()
        .map(|row| display_width(&row[column]))
        .max()
        .unwrap_or(0)
}

/// The width of a column whose cells are wrapped at every blank.
fn narrowest(cells: &[Vec<String>], column: usize) -> usize {
    let words = cells.iter().flat_map(|row| row[column].split(' '));
    words.map(display_width).max().unwrap_or(0)
}

/// The widths of the columns if they fit: natural ones, but the last takes what is left, and where
/// that is little, numbers and stretches are wrapped.
fn widths(cells: &[Vec<String>], available: usize) -> Option<Vec<usize>> {
    const COMFORTABLE: usize = 28;
    const ENOUGH: usize = 20;

    let last = cells[0].len() - 1;
    let mut widths: Vec<_> = (0..last).map(|column| natural(cells, column)).collect();
    widths[0] = widths[0].min(24).max(narrowest(cells, 0));
    let left = |widths: &[usize]| {
        let taken: usize = widths.iter().map(|width| width + PADDING).sum();
        available.saturating_sub(taken + PADDING)
    };
    let wanted = natural(cells, last).min(COMFORTABLE);
    for column in [0, last - 2] {
        if left(&widths) < wanted {
            widths[column] = narrowest(cells, column);
        }
    }
    let rest = left(&widths);
    widths.push(rest);
    (rest >= wanted.min(ENOUGH)).then_some(widths)
}

/// A row for narrow terminals: the number, and all else below each other.
fn in_two_columns(titles: &[String], row: &[String]) -> Vec<String> {
    if titles == row {
        return vec![row[0].clone(), row[1].clone()];
    }
    let facts = titles.iter().zip(row).filter(|(_, cell)| *cell != "-");
    let mut counts = Vec::new();
    let mut why = String::new();
    for (title, cell) in facts.skip(1) {
        match title.as_str() {
            "Verdict" | "Grade" => counts.push(cell.clone()),
            "Why" => why = format!("\n{cell}"),
            _ => counts.push(format!("{} {cell}", title.to_lowercase())),
        }
    }
    vec![row[0].clone(), counts.join(", ") + &why]
}

/// Cells in columns of the given widths, wrapped where they are longer, without any lines.
pub(super) fn grid(cells: &[Vec<String>], widths: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(TableStyle::new());
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.add_rows(cells);
    for (column, width) in table.column_iter_mut().zip(widths) {
        let width = u16::try_from(width + PADDING).unwrap_or(u16::MAX);
        column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
    }
    table
}

/// The colour of a verdict: a second sign beside its word.
fn style(verdict: Verdict) -> Style {
    let color = match verdict {
        Verdict::Passes => AnsiColor::Green,
        Verdict::Lossy | Verdict::Inconclusive => AnsiColor::Yellow,
        Verdict::Blocked | Verdict::CutOff | Verdict::Refused => AnsiColor::Red,
    };
    color.on_default()
}

/// Text with blanks up to a width in terminal columns, which are not always characters.
fn padded(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(display_width(text));
    format!("{text}{}", " ".repeat(missing))
}

pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    // Protocol keywords and runs have hyphens that are no place to break.
    let options = Options::new(width).word_splitter(WordSplitter::NoHyphenation);
    textwrap::wrap(text, options)
        .into_iter()
        .map(String::from)
        .collect()
}
