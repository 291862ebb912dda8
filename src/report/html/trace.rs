//! A trace as one HTML file.

use maud::{Markup, html as markup};

use super::{document, figure, list, map, table};
use crate::{
    findings::trace::{Trace, TraceVerdict},
    protocols,
    report::trace::page::{TITLES, headline, lines, rows},
};

/// The trace as one HTML document: the answer, the hops, the map of the numbers, the evidence.
///
/// `command` is what the user ran, if that is known.
#[must_use]
pub fn trace_html(trace: &Trace, command: Option<&str>) -> String {
    let hops = rows(trace).map(|row| row.map(|cell| markup! { (cell) }));
    let warnings: Vec<String> = trace.warnings.iter().map(ToString::to_string).collect();
    document(
        &headline(trace),
        &markup! {
            (list(&lines(trace)))
            (path(trace))
            (map::draw(&map::of_trace(trace)))
            h2 { "Hops" }
            (table(&TITLES, hops))
            (evidence(trace))
            @if !warnings.is_empty() { h2 { "Warnings" } (list(&warnings)) }
            h2 { "How this was made" }
            @if let Some(command) = command { pre { (command) } }
            p { (trace.generator) ", rules of judgement " (trace.ruleset) "." }
        },
    )
}

/// The hops as a line, with the numbers that disappear behind each.
fn path(trace: &Trace) -> Markup {
    let gone = |hop: u8| {
        let numbers = trace.protocols.iter();
        let gone: Vec<u16> = numbers
            .filter(|number| number.verdict == TraceVerdict::Disappears && number.last_hop == hop)
            .map(|number| number.protocol.into())
            .collect();
        gone
    };
    let behind = |hop: u8| {
        let gone = gone(hop);
        markup! {
            li.segment.loss[!gone.is_empty()] {
                @if !gone.is_empty() { span.blocked { (protocols::fold_with_keywords(&gone)) } }
                hr;
            }
        }
    };
    let picture = markup! {
        ol {
            li.point { (trace.source) small { "this host" } }
            (behind(0))
            @for (index, hop) in trace.hops.iter().enumerate() {
                li.point {
                    @if hop.addresses.is_empty() { "*" } @else { (hop.addresses.join(", ")) }
                    small { "hop " (hop.hop) }
                }
                @if index + 1 < trace.hops.len() || !gone(hop.hop).is_empty() { (behind(hop.hop)) }
            }
        }
    };
    figure(
        "path",
        &picture,
        "The path hop by hop, and the numbers of which nothing is seen behind one.",
    )
}

/// Each number's answers and reasons.
fn evidence(trace: &Trace) -> Markup {
    let columns = ["Number", "Hops: answered of sent", "Reasons"];
    let row = |number: &crate::findings::trace::TracedProtocol| {
        let name = protocols::fold_with_keywords(&[number.protocol.into()]);
        let control = if number.carrier == crate::findings::Carrier::Udp {
            " control"
        } else {
            ""
        };
        let answers = number.answers.iter();
        let answers: Vec<_> = answers
            .map(|answers| format!("{}: {} of {}", answers.hop, answers.answered, answers.sent))
            .collect();
        let reasons: Vec<_> = number.reasons.iter().map(ToString::to_string).collect();
        [
            markup! { (name) (control) },
            markup! { (answers.join(", ")) },
            markup! { (reasons.join("; ")) },
        ]
    };
    markup! {
        h2 { "Evidence" }
        (table(&columns, trace.protocols.iter().map(row)))
    }
}
