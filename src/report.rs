//! Reports: the [`findings`](crate::findings) in six shapes, each a pure function from them to
//! text.
//!
//! [`table`] and [`markdown`] are for people and say the same things in the same order: the answer,
//! the numbers that did not pass, what else was seen, what the captures were like, warnings.
//! [`html`] is one file to hand on, with pictures and all evidence.
//! [`csv`] is one row a protocol number for spreadsheets; [`json`] is the findings themselves, and
//! [`packet_line`] one packet's fate as a line of JSON, [`PacketFile`] a file of them or a table. [`explanation`] is the life of one packet.
//!
//! Nothing here judges, opens a file, reads the environment or looks at a clock: what a report
//! needs is in the findings or in [`Layout`].

#[cfg(feature = "cli")]
pub(crate) mod answer;
#[cfg(feature = "cli")]
mod captures;
mod csv;
mod difference;
#[cfg(feature = "cli")]
mod explain;
#[cfg(feature = "cli")]
mod html;
#[cfg(feature = "cli")]
mod interfaces;
mod json;
#[cfg(feature = "cli")]
mod loopback;
#[cfg(feature = "cli")]
mod markdown;
mod packets;
#[cfg(feature = "cli")]
mod page;
#[cfg(feature = "cli")]
mod print;
#[cfg(feature = "cli")]
mod remarks;
#[cfg(feature = "cli")]
pub(crate) mod rows;
#[cfg(feature = "cli")]
pub(crate) mod sign;
#[cfg(feature = "cli")]
mod stream;
#[cfg(feature = "cli")]
pub(crate) mod table;
mod trace;
#[cfg(feature = "cli")]
pub(crate) mod units;
pub(crate) mod whole;
mod words;

#[cfg(all(test, feature = "cli"))]
pub(crate) mod tests;

#[cfg(feature = "cli")]
use crate::findings::Verdict;

pub use csv::csv;
pub use difference::difference_csv;
#[cfg(feature = "cli")]
pub use difference::{difference_html, difference_markdown, difference_table};
#[cfg(feature = "cli")]
pub use explain::explanation;
#[cfg(feature = "cli")]
pub use html::{html, trace_html};
#[cfg(feature = "cli")]
pub use interfaces::{interfaces_csv, interfaces_markdown, interfaces_table};
pub use json::{campaign_line, difference_json, explanation_json, json, json_of, trace_json};
#[cfg(feature = "cli")]
pub use loopback::{loopback_csv, loopback_markdown, loopback_table};
#[cfg(feature = "cli")]
pub use markdown::markdown;
pub use packets::{PacketFile, packet_line};
#[cfg(feature = "cli")]
pub use print::print_whole;
#[cfg(feature = "cli")]
pub use stream::{Align, Column, OrDash, RowFormat, Rows};
#[cfg(feature = "cli")]
pub use table::{Layout, table};
pub use trace::trace_csv;
#[cfg(feature = "cli")]
pub use trace::{trace_markdown, trace_table};
#[cfg(feature = "view")]
pub(crate) use words::icmp;

/// A span as it is printed outside of reports.
#[cfg(feature = "cli")]
pub(crate) fn span(time: std::time::Duration) -> String {
    unglued(&units::span(
        i64::try_from(time.as_nanos()).unwrap_or(i64::MAX),
    ))
}

/// The verdict as people read it.
#[cfg(feature = "cli")]
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
#[cfg(feature = "cli")]
pub(crate) fn path<'a>(points: impl IntoIterator<Item = &'a str>) -> String {
    let arrow = format!(" →{GLUE}");
    let unbroken = |point: &str| point.replace(' ', &GLUE.to_string());
    let points: Vec<_> = points.into_iter().map(unbroken).collect();
    points.join(&arrow)
}

/// A blank at which no line is wrapped: between a number and its keyword or unit, an arrow and its
/// point.
#[cfg(feature = "cli")]
const GLUE: char = '\u{a0}';

/// The text with plain blanks, once all lines are wrapped: what is printed should be found by a
/// search.
#[cfg(feature = "cli")]
pub(crate) fn unglued(text: &str) -> String {
    text.replace(GLUE, " ")
}
