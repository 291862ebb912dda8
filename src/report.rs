//! Reports: the [`findings`](crate::findings) in five shapes, each a pure function from them to
//! text.
//!
//! [`table`] and [`markdown`] are for people and say the same things in the same order: the answer,
//! the numbers that did not pass, what else was seen, what the captures were like, warnings.
//! [`csv`] is one row a protocol number for spreadsheets; [`json`] is the findings themselves, and
//! [`packet_line`] one packet's fate as a line of JSON. [`explanation`] is the life of one packet.
//!
//! Nothing here judges, opens a file, reads the environment or looks at a clock: what a report
//! needs is in the findings or in [`Layout`].

pub(crate) mod answer;
mod captures;
mod csv;
mod explain;
mod interfaces;
mod json;
mod live;
mod loopback;
mod markdown;
mod packets;
mod print;
mod remarks;
pub(crate) mod rows;
pub(crate) mod table;
pub(crate) mod units;
mod words;

#[cfg(test)]
pub(crate) mod tests;

use crate::findings::Verdict;

pub use csv::csv;
pub use explain::explanation;
pub use interfaces::{interfaces_csv, interfaces_markdown, interfaces_table};
pub use json::{explanation_json, json, json_of};
pub use live::{Align, Column, OrDash, RowFormat, Rows};
pub use loopback::{loopback_csv, loopback_markdown, loopback_table};
pub use markdown::markdown;
pub use packets::packet_line;
pub use print::print_whole;
pub use table::{Layout, table};
pub(crate) use words::icmp;

/// The verdict as people read it.
pub(crate) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passes => "passes",
        Verdict::Lossy => "lossy",
        Verdict::Blocked => "blocked",
        Verdict::CutOff => "cut off",
        Verdict::Refused => "refused",
        Verdict::Inconclusive => "inconclusive",
    }
}

/// Points as a path: `client → router → server`.
pub(crate) fn path<'a>(points: impl IntoIterator<Item = &'a str>) -> String {
    let arrow = format!(" →{GLUE}");
    let unbroken = |point: &str| point.replace(' ', &GLUE.to_string());
    let points: Vec<_> = points.into_iter().map(unbroken).collect();
    points.join(&arrow)
}

/// A blank at which no line is wrapped: between a number and its keyword or unit, an arrow and its
/// point.
const GLUE: char = '\u{a0}';

/// The text with plain blanks, once all lines are wrapped: what is printed should be found by a
/// search.
pub(crate) fn unglued(text: &str) -> String {
    text.replace(GLUE, " ")
}
