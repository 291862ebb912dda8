//! Two results compared, in every format.

use std::fmt;

use serde::Serialize;

use super::csv::finish;
use crate::{
    diff::{Caution, Compared, Difference, Outcome, State},
    findings::{Carrier, Grade},
};

#[cfg(feature = "cli")]
pub use page::{difference_html, difference_markdown, difference_table};

impl fmt::Display for Caution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rulesets { before, after } => write!(
                f,
                "the results were judged by different rules ({before} and {after}), which may be what changed: \
                 judge the older captures again"
            ),
            Self::SameInputs => f.write_str("both results were made from the same files"),
            Self::OtherPoints { before, after } => write!(
                f,
                "the points have other names ({} and {}): directions are compared in their order",
                before.join(" → "),
                after.join(" → ")
            ),
            Self::OneWay { from, to } => {
                write!(f, "{from} → {to}: is in one of the results only")
            }
            Self::OtherDestination { before, after } => {
                write!(
                    f,
                    "the traces lead to different hosts: {before} and {after}"
                )
            }
        }
    }
}

/// One row a number and direction (RFC 4180, but with the line ends of Unix), named like the JSON
/// members.
///
/// # Panics
///
/// Never: every row has the same columns, and memory takes every write.
#[must_use]
pub fn difference_csv(difference: &Difference) -> String {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    for number in &difference.numbers {
        writer
            .serialize(Row::new(number))
            .expect("every row has the same columns");
    }
    finish(writer)
}

#[derive(Serialize)]
struct Row<'a> {
    from: &'a str,
    to: &'a str,
    protocol: u16,
    keyword: Option<&'a str>,
    carrier: Carrier,
    outcome: Outcome,
    before_verdict: Option<&'a str>,
    before_grade: Option<Grade>,
    before_judged: Option<u64>,
    before_delivered: Option<u64>,
    after_verdict: Option<&'a str>,
    after_grade: Option<Grade>,
    after_judged: Option<u64>,
    after_delivered: Option<u64>,
    p_value: Option<f64>,
    p_adjusted: Option<f64>,
}

impl<'a> Row<'a> {
    fn new(number: &'a Compared) -> Self {
        let verdict = |state: &'a Option<State>| state.as_ref().map(|state| state.verdict.as_str());
        let (before, after) = (number.before.as_ref(), number.after.as_ref());
        Self {
            from: &number.from,
            to: &number.to,
            protocol: number.protocol,
            keyword: number.keyword.as_deref(),
            carrier: number.carrier,
            outcome: number.outcome,
            before_verdict: verdict(&number.before),
            before_grade: before.map(|state| state.grade),
            before_judged: before.map(|state| state.judged),
            before_delivered: before.map(|state| state.delivered),
            after_verdict: verdict(&number.after),
            after_grade: after.map(|state| state.grade),
            after_judged: after.map(|state| state.judged),
            after_delivered: after.map(|state| state.delivered),
            p_value: number.p_value,
            p_adjusted: number.p_adjusted,
        }
    }
}

/// For reading.
#[cfg(feature = "cli")]
mod page {
    use crate::{
        diff::{ChangeOfChanges, Compared, Delays, Difference, Outcome, State},
        findings::Carrier,
        protocols,
        report::{
            GLUE, html, markdown,
            page::Block,
            path,
            rows::{Cell, grade},
            table::{self, Layout},
            units::{count, day, grouped, span, time_of_day},
            words,
        },
    };

    /// The comparison for a terminal.
    #[must_use]
    pub fn difference_table(difference: &Difference, layout: &Layout) -> String {
        table::render(blocks(difference, layout.all), layout)
    }

    /// The same as Markdown; `all` gives every number a row.
    #[must_use]
    pub fn difference_markdown(difference: &Difference, all: bool) -> String {
        markdown::render(blocks(difference, all))
    }

    /// The same as one HTML document; `command` is what the user ran.
    #[must_use]
    pub fn difference_html(difference: &Difference, all: bool, command: Option<&str>) -> String {
        html::render(&blocks(difference, all), command)
    }

    fn blocks(difference: &Difference, all: bool) -> Vec<Block> {
        let mut blocks = vec![Block::Headline(headline(difference))];
        for (outcome, title) in [
            (Outcome::Changed, "Changed"),
            (
                Outcome::Perhaps,
                "Perhaps changed: within what chance does to one of so many numbers",
            ),
            (Outcome::Same, "Not changed"),
        ] {
            let rows = rows(difference, outcome);
            if !rows.is_empty() && (all || outcome != Outcome::Same) {
                blocks.push(Block::Numbers {
                    title: Some(title.to_owned()),
                    columns: vec!["Number", "Before", "After", "Grade", "Why"],
                    rows,
                });
            }
        }
        let mut remarks = Vec::new();
        for (outcome, when) in [
            (Outcome::OnlyBefore, "before only"),
            (Outcome::OnlyAfter, "after only"),
        ] {
            let numbers = with(difference, outcome);
            if !numbers.is_empty() {
                remarks.push(format!("Sent {when}: {}.", list(&numbers)));
            }
        }
        remarks.extend(difference.changes.iter().map(change));
        remarks.extend(difference.delays.iter().map(delay));
        if !remarks.is_empty() {
            blocks.push(Block::Remarks(remarks));
        }
        if !difference.warnings.is_empty() {
            let warnings = difference.warnings.iter().map(ToString::to_string);
            blocks.push(Block::Warnings(warnings.collect()));
        }
        blocks
    }

    fn with(difference: &Difference, outcome: Outcome) -> Vec<&Compared> {
        let numbers = difference.numbers.iter();
        numbers.filter(|number| number.outcome == outcome).collect()
    }

    fn headline(difference: &Difference) -> String {
        let compared = difference.numbers.iter();
        let compared = compared.filter(|number| number.before.is_some() && number.after.is_some());
        let all = compared.count() as u64;
        let of = |outcome| with(difference, outcome).len() as u64;
        let (changed, perhaps) = (of(Outcome::Changed), of(Outcome::Perhaps));
        let numbers = count(all, "protocol number");
        let what = match (changed, perhaps) {
            (0, 0) => format!("None of {numbers} changed"),
            (0, perhaps) => format!("{} of {numbers} may have changed", grouped(perhaps)),
            (changed, 0) => format!("{} of {numbers} changed", grouped(changed)),
            (changed, perhaps) => format!(
                "{} of {numbers} changed, {} may have",
                grouped(changed),
                grouped(perhaps)
            ),
        };
        let when = |origin: &crate::diff::Origin| {
            let first = origin.first_ns?;
            let time = time_of_day(first);
            let seconds = time.split('.').next().unwrap_or_default();
            Some(format!("{}{GLUE}{seconds}", day(first)))
        };
        match (when(&difference.before), when(&difference.after)) {
            (Some(before), Some(after)) => format!("{what}, from {before} to {after} UTC"),
            _ => what,
        }
    }

    /// A row for numbers of which there is the same to say.
    fn rows(difference: &Difference, outcome: Outcome) -> Vec<Vec<Cell>> {
        let mut groups: Vec<([String; 4], Vec<&Compared>)> = Vec::new();
        for number in with(difference, outcome) {
            let texts = texts(number);
            match groups.iter_mut().find(|(known, _)| *known == texts) {
                Some((_, numbers)) => numbers.push(number),
                None => groups.push((texts, vec![number])),
            }
        }
        let cell = |text: String| Cell {
            text,
            verdict: None,
        };
        groups
            .into_iter()
            .map(|(texts, numbers)| {
                let first = std::iter::once(list(&numbers));
                first.chain(texts).map(cell).collect()
            })
            .collect()
    }

    fn texts(number: &Compared) -> [String; 4] {
        let of = |state: Option<&State>| state.map_or_else(|| "-".to_owned(), fared);
        let is_changed = number.outcome == Outcome::Changed;
        let grade = match number.outcome {
            Outcome::Changed => "certain",
            Outcome::Perhaps => "weak",
            _ => "-",
        };
        let chance = match (number.p_value, number.p_adjusted) {
            (Some(alone), Some(adjusted)) if is_changed && adjusted < 0.001 => {
                // The others tell more than they cost.
                let over = if adjusted < alone {
                    "as the other numbers fare"
                } else {
                    "over all numbers"
                };
                let [alone, adjusted] = [alone, adjusted].map(words::probability);
                Some(format!(
                    "chance {alone} if nothing changed, {adjusted} {over}"
                ))
            }
            (Some(alone), _) => Some(format!("chance {}", words::probability(alone))),
            // A trace's verdicts, each tested by itself.
            _ => None,
        };
        let elsewhere = is_changed && number.p_adjusted.is_none_or(|adjusted| adjusted >= 0.001);
        let why = match (elsewhere, chance, number.times_more) {
            (true, ..) => "both verdicts are certain, and they differ".to_owned(),
            (_, Some(chance), Some(times)) => {
                format!("{chance}; {times} times as many packets would tell")
            }
            (_, Some(chance), None) => chance,
            _ => format!(
                "{}, {}",
                grade_of(number.before.as_ref()),
                grade_of(number.after.as_ref())
            ),
        };
        [
            of(number.before.as_ref()),
            of(number.after.as_ref()),
            grade.to_owned(),
            why,
        ]
    }

    fn grade_of(state: Option<&State>) -> &'static str {
        state.map_or("-", |state| grade(state.grade))
    }

    /// `blocked, 0 of 20, client → server`.
    fn fared(state: &State) -> String {
        let mut parts = vec![state.verdict.replace('_', " ")];
        if state.judged > 0 {
            let (delivered, judged) = (grouped(state.delivered), grouped(state.judged));
            parts.push(format!("{delivered} of {judged}"));
        }
        let place = state.lost_between.as_ref();
        parts.extend(place.map(|[from, to]| path([from.as_str(), to])));
        parts.join(", ")
    }

    fn list(numbers: &[&Compared]) -> String {
        let bare: Vec<u16> = numbers
            .iter()
            .filter(|number| number.carrier == Carrier::Ip)
            .map(|number| number.protocol)
            .collect();
        let mut parts = Vec::new();
        if !bare.is_empty() {
            parts.push(protocols::fold_with_keywords(&bare));
        }
        if bare.len() < numbers.len() {
            parts.push(format!("UDP{GLUE}control"));
        }
        parts.join(", ")
    }

    fn change(change: &ChangeOfChanges) -> String {
        let field = match change.field.as_str() {
            "ttl" => "TTL".to_owned(),
            "dscp" | "ecn" => change.field.to_uppercase(),
            field => field.replace('_', " "),
        };
        let place = path(change.between.iter().map(String::as_str));
        let under = match change.protocols.as_slice() {
            [] => String::new(),
            numbers => format!(", under {}", protocols::fold_with_keywords(numbers)),
        };
        let mut text = format!(
            "{field} {} (before: {}), {place}{under}.",
            change.after, change.before
        );
        if let Some(first) = text.get(..1) {
            text.replace_range(..1, &first.to_uppercase());
        }
        text
    }

    fn delay(delays: &Delays) -> String {
        let place = path([delays.from.as_str(), &delays.to]);
        format!(
            "Delay, {place}: median {} (before: {}); longer under {} of {} numbers.",
            span(delays.after_ns),
            span(delays.before_ns),
            grouped(delays.longer),
            grouped(delays.numbers)
        )
    }
}
