//! The report as one HTML file, to hand on: the blocks of the page, pictures, and all evidence.
//!
//! The file asks for nothing: no script, no font, no picture from elsewhere. It follows the reader's
//! light or dark setting, and prints on A4. Templates escape every text, and what a file, a name or the
//! network put into one shows as text. Colour alone carries nothing: verdicts have signs and words.

mod axis;
mod delays;
mod evidence;
mod map;
mod path_line;
mod provenance;
mod timeline;
mod trace;

use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use super::{
    answer::{Line, is_used},
    captures::Capture,
    page::{Block, page},
    path,
    rows::Cell,
    sign::sign,
    unglued, word,
};
use crate::findings::{Direction, Findings, Verdict};

pub use trace::trace_html;

/// The style sheet, within the file.
const STYLE: &str = include_str!("html/style.css");

/// The report as one HTML document: the answer, pictures, the evidence of each number, what was read.
///
/// `command` is what the user ran, if that is known.
#[must_use]
pub fn html(findings: &Findings, command: Option<&str>) -> String {
    let mut blocks = page(findings, false).into_iter();
    let headline = match blocks.next() {
        Some(Block::Headline(headline)) => headline,
        _ => String::new(),
    };
    // The answers, and what follows the pictures: remarks, captures, warnings.
    let (answers, rest): (Vec<Block>, Vec<Block>) =
        blocks.partition(|block| matches!(block, Block::Answer(_)));
    let used: Vec<&Direction> = findings
        .directions
        .iter()
        .filter(|way| is_used(way))
        .collect();
    let several = used.len() > 1;
    let title =
        |direction: &Direction| several.then(|| path([direction.from.as_str(), &direction.to]));
    document(
        &headline,
        &markup! {
            @for block in &answers { (self::block(block)) }
            @for direction in &used {
                section {
                    @if let Some(title) = title(direction) { h2 { (title) } }
                    (path_line::draw(findings, direction))
                    (map::draw(&map::of_direction(direction)))
                    (timeline::draw(findings, direction))
                    (delays::draw(direction))
                }
            }
            @for block in &rest { (self::block(block)) }
            @for direction in &used { (evidence::draw(findings, direction, title(direction))) }
            (provenance::draw(findings, command))
        },
    )
}

/// The blocks of a page as one HTML document.
pub(super) fn render(blocks: &[Block], command: Option<&str>) -> String {
    let headline = match blocks.first() {
        Some(Block::Headline(headline)) => headline.as_str(),
        _ => "",
    };
    document(
        headline,
        &markup! {
            @for block in blocks.iter().skip(1) { (self::block(block)) }
            @if let Some(command) = command { h2 { "How this was made" } pre { (command) } }
        },
    )
}

/// A whole document.
fn document(headline: &str, body: &Markup) -> String {
    let document = markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (headline) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { h1 { (headline) } (body) } }
        }
    };
    shown(&unglued(&document.into_string()))
}

/// The text with the signs of control characters in place of these, which HTML has no place for.
fn shown(text: &str) -> String {
    let sign = |character: char| match u32::from(character) {
        0x0a => character,
        control @ 0..0x20 => char::from_u32(0x2400 + control).unwrap_or(character),
        0x7f..0xa0 => char::REPLACEMENT_CHARACTER,
        _ => character,
    };
    text.chars().map(sign).collect()
}

fn block(block: &Block) -> Markup {
    match block {
        Block::Headline(text) => markup! { h1 { (text) } },
        Block::Answer(lines) => answer(lines),
        Block::Numbers {
            title,
            columns,
            rows,
        } => numbers(title.as_deref(), columns, rows),
        Block::Remarks(texts) => markup! { @for text in texts { p { (text) } } },
        Block::Command { why, command } => markup! { p { (why) } pre { (command) } },
        Block::Captures { title, points } => captures(title, points),
        Block::Warnings(warnings) => markup! {
            h2 { "Warnings" }
            (list(warnings))
        },
    }
}

fn list(texts: &[String]) -> Markup {
    markup! { ul { @for text in texts { li { (text) } } } }
}

/// The lines of the answer.
fn answer(lines: &[Line]) -> Markup {
    markup! {
        ul.answer {
            @for line in lines {
                li {
                    span.place { (line.place) }
                    @if let Some(verdict) = line.verdict { " " (badge(verdict)) " " strong { (line.numbers) } }
                    " " span.why { (line.evidence) }
                }
            }
        }
    }
}

/// A verdict: its sign and its word.
fn badge(verdict: Verdict) -> Markup {
    markup! {
        span class={ "badge " (class(verdict)) } {
            span aria-hidden="true" { (sign(verdict)) " " } (word(verdict))
        }
    }
}

/// What colours a verdict.
fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passes => "passes",
        Verdict::Lossy => "lossy",
        Verdict::CutOff => "cut-off",
        Verdict::Blocked => "blocked",
        Verdict::Refused => "refused",
        Verdict::Inconclusive => "inconclusive",
    }
}

fn numbers(title: Option<&str>, columns: &[&str], rows: &[Vec<Cell>]) -> Markup {
    let cell = |cell: &Cell| {
        let words = || markup! { (cell.text) };
        cell.verdict.map_or_else(words, badge)
    };
    markup! {
        @if let Some(title) = title { h2 { (title) } }
        (table(columns, rows.iter().map(|row| row.iter().map(cell))))
    }
}

/// A table that may be wider than a telephone.
fn table<R: IntoIterator<Item = Markup>>(
    columns: &[&str],
    rows: impl Iterator<Item = R>,
) -> Markup {
    table_of("texts", columns, rows)
}

/// A table of figures, but for its first columns.
fn figures<R: IntoIterator<Item = Markup>>(
    columns: &[&str],
    rows: impl Iterator<Item = R>,
) -> Markup {
    table_of("figures", columns, rows)
}

fn table_of<R: IntoIterator<Item = Markup>>(
    class: &str,
    columns: &[&str],
    rows: impl Iterator<Item = R>,
) -> Markup {
    markup! {
        div.wide {
            table class=(class) {
                thead { tr { @for column in columns { th scope="col" { (column) } } } }
                tbody { @for row in rows { tr { @for cell in row { td { (cell) } } } } }
            }
        }
    }
}

fn captures(title: &str, points: &[Capture]) -> Markup {
    let cells = |point: &Capture| {
        [
            &point.name,
            &point.frames,
            &point.time,
            &point.format,
            &point.gaps,
        ]
        .map(|text| markup! { (text) })
    };
    let columns = ["Point", "Frames", "Time", "Format", "Gaps"];
    markup! {
        h2 { (title) }
        (table(&columns, points.iter().map(cells)))
    }
}

/// A picture and the sentence under it.
fn figure(class: &str, picture: &Markup, sentence: &str) -> Markup {
    markup! {
        figure class=(class) {
            div.wide { (picture) }
            figcaption { (sentence) }
        }
    }
}
