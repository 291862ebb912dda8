//! What the report was made from: clocks, inputs, the command, the rules.

use maud::{Markup, html as markup};

use super::{figures, table};
use crate::{
    findings::{Clock, ClockMethod, Findings, Input, Point, Refuser, Segment},
    report::{
        path,
        units::{grouped, span},
    },
};

pub(super) fn draw(findings: &Findings, command: Option<&str>) -> Markup {
    markup! {
        (clocks(findings))
        (inputs(findings))
        h2 { "How this was made" }
        @if let Some(command) = command { pre { (command) } }
        p {
            (findings.generator) ", rules of judgement " (findings.ruleset)
            ". The same inputs give the same verdicts with the same rules."
        }
    }
}

/// How the points' clocks were related.
fn clocks(findings: &Findings) -> Markup {
    let columns = ["Segment", "Clocks", "Compared by", "Other packets"];
    let segments = findings
        .directions
        .iter()
        .flat_map(|direction| &direction.segments);
    let row = |segment: &Segment| {
        let by = segment.clock.related_by;
        let compared = [
            (by.hdp, "HDP"),
            (by.icmp_quote, "quoted in ICMP errors"),
            (by.bystander, "other packets"),
        ];
        let compared = compared.iter().filter(|(count, _)| *count > 0);
        let compared: Vec<_> = compared
            .map(|(count, what)| format!("{} {what}", grouped(*count)))
            .collect();
        [
            path([segment.from.as_str(), &segment.to]),
            relation(&segment.clock),
            compared.join(", "),
            segment.bystanders.map_or_else(String::new, |others| {
                format!(
                    "{} of {} arrived",
                    grouped(others.arrived),
                    grouped(others.packets)
                )
            }),
        ]
        .map(|text| markup! { (text) })
    };
    markup! {
        h2 { "Clocks" }
        (table(&columns, segments.map(row)))
        (refusers(findings))
    }
}

/// Hosts that answered with ICMP errors.
fn refusers(findings: &Findings) -> Markup {
    let refusers = findings
        .directions
        .iter()
        .flat_map(|direction| &direction.refusers);
    let columns = [
        "Refused by",
        "Errors",
        "Of packets",
        "Of these lost",
        "Limits its answers",
    ];
    let row = |refuser: &Refuser| {
        let limits = match refuser.rate_limited {
            Some(true) => "yes",
            Some(false) => "no",
            None => "unknown",
        };
        let counts = [refuser.errors, refuser.of, refuser.lost].map(grouped);
        let [errors, of, lost] = counts;
        [refuser.from.clone(), errors, of, lost, limits.to_owned()].map(|text| markup! { (text) })
    };
    markup! {
        @if refusers.clone().next().is_some() { (figures(&columns, refusers.map(row))) }
    }
}

fn relation(clock: &Clock) -> String {
    let offset = match (clock.method, clock.offset_ns, clock.error_ns) {
        (ClockMethod::None, ..) => "unrelated".to_owned(),
        (ClockMethod::SameHost, ..) => "one clock".to_owned(),
        (_, Some(offset), error) => {
            let sign = if offset < 0 { "-" } else { "+" };
            let offset = span(i64::try_from(offset.unsigned_abs()).unwrap_or(i64::MAX));
            let error = i64::try_from(error.unwrap_or_default()).unwrap_or(i64::MAX);
            format!("{sign}{offset} ± {}", span(error))
        }
        (..) => "packets went one way: known but for the shortest delay".to_owned(),
    };
    let drift = clock.skew_ppm.filter(|ppm| *ppm != 0.0);
    let drift = drift.map(|ppm| format!("{ppm:+.1} ppm"));
    let steps = clock.steps.iter().map(|step| {
        let by = span(i64::try_from(step.by_ns.unsigned_abs()).unwrap_or(i64::MAX));
        format!("set {}{by}", if step.by_ns < 0 { "-" } else { "+" })
    });
    let parts = std::iter::once(offset).chain(drift).chain(steps);
    parts.collect::<Vec<_>>().join(", ")
}

/// What was read, so that anybody can see whether a file is the same.
fn inputs(findings: &Findings) -> Markup {
    let columns = ["Point", "Source", "Bytes", "SHA-256", "Frames"];
    let row = |(point, input): (&Point, &Input)| {
        let unknown = || "-".to_owned();
        [
            markup! { (point.name) },
            markup! { code { (input.source) } },
            markup! { (input.bytes.map_or_else(unknown, grouped)) },
            markup! { code { (input.sha256.clone().unwrap_or_else(unknown)) } },
            markup! { (grouped(point.frames)) },
        ]
    };
    markup! {
        h2 { "Inputs" }
        (table(&columns, findings.points.iter().zip(&findings.inputs).map(row)))
        (skipped(&findings.points))
    }
}

/// Frames that gave no HDP packet.
fn skipped(points: &[Point]) -> Markup {
    let columns = [
        "Point",
        "HDP",
        "Not IP",
        "Not HDP",
        "Cut short",
        "Malformed",
        "Fragments",
        "Unknown link",
        "ICMP quotes",
        "For others",
        "No time",
        "Missed",
        "Copies",
        "Incomplete",
    ];
    let row = |point: &Point| {
        let skipped = &point.skipped;
        let counts = [
            point.hdp,
            skipped.not_ip,
            skipped.not_hdp,
            skipped.cut_short,
            skipped.malformed,
            skipped.fragment,
            skipped.unsupported_link,
            skipped.icmp_quote,
            skipped.other_host,
            skipped.no_time,
            point.missed,
            point.copies,
            point.incomplete,
        ];
        let name = markup! { (point.name) };
        std::iter::once(name).chain(counts.map(|count| markup! { (grouped(count)) }))
    };
    figures(&columns, points.iter().map(row))
}
