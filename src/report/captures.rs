//! What each observation point's record was like, before any layout.

use super::units::{count, day, grouped, time_of_day};
use crate::findings::{Findings, Point, PointKind, Side, Skipped};

/// The records of all points.
pub(super) struct Captures {
    /// The day in UTC if all records lie within one.
    day: Option<String>,
    /// One a point, in path order; one for both sides of a forwarding host.
    pub(super) points: Vec<Capture>,
}

/// What one point's record was like, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Capture {
    /// The label that the record was given.
    pub(super) name: String,
    /// Frames and HDP among them.
    pub(super) frames: String,
    /// First to last frame, in UTC.
    pub(super) time: String,
    /// Link types and timestamp resolution.
    pub(super) format: String,
    /// What was not captured, not decoded, or missed.
    pub(super) gaps: String,
}

impl Captures {
    /// The heading, with the day if it is one for all.
    pub(super) fn title(&self) -> String {
        match &self.day {
            Some(day) => format!("Captures, {day} UTC"),
            None => "Captures, UTC".to_owned(),
        }
    }
}

/// The records of all points, in path order.
pub(super) fn captures(findings: &Findings) -> Captures {
    let days: Vec<_> = findings
        .points
        .iter()
        .flat_map(|point| [point.first_ns, point.last_ns])
        .flatten()
        .map(day)
        .collect();
    let only = days
        .first()
        .filter(|&first| days.iter().all(|day| day == first));
    Captures {
        day: only.cloned(),
        points: findings
            .points
            .iter()
            .filter(|point| point.side != Some(Side::Out))
            .map(|point| {
                let parts: Vec<&Point> = findings
                    .points
                    .iter()
                    .filter(|part| part.capture == point.capture)
                    .collect();
                Capture {
                    name: point.capture.clone(),
                    frames: frames(&parts),
                    time: time(point, only.is_some()),
                    format: format(point),
                    gaps: gaps(&parts),
                }
            })
            .collect(),
    }
}

/// How much there is, and how much of that is HDP.
fn frames(parts: &[&Point]) -> String {
    let (all, kind) = (parts[0].frames, parts[0].kind);
    let hdp = grouped(parts.iter().map(|part| part.hdp).sum());
    match kind {
        PointKind::Capture if parts.len() > 1 => {
            format!("{}, {hdp} HDP, each packet in and out", count(all, "frame"))
        }
        PointKind::Capture => format!("{}, {hdp} HDP", count(all, "frame")),
        PointKind::DropWitness => format!("{}, {hdp} HDP, logged by rules", count(all, "frame")),
        PointKind::SendLog => format!("{}, {hdp} sent", count(all, "request")),
        PointKind::ListenLog => format!("{}, {hdp} HDP", count(all, "packet")),
    }
}

/// From the first frame to the last, with days unless they are given elsewhere.
fn time(point: &Point, day_is_known: bool) -> String {
    let (Some(first), Some(last)) = (point.first_ns, point.last_ns) else {
        return "-".to_owned();
    };
    let with_day = |time| format!("{} {}", day(time), time_of_day(time));
    if day_is_known {
        format!("{}-{}", time_of_day(first), time_of_day(last))
    } else if day(first) == day(last) {
        format!("{}-{}", with_day(first), time_of_day(last))
    } else {
        format!("{} - {}", with_day(first), with_day(last))
    }
}

fn format(point: &Point) -> String {
    let mut parts = match point.kind {
        PointKind::Capture | PointKind::DropWitness => point.link_types.clone(),
        PointKind::SendLog => vec!["send log".to_owned()],
        PointKind::ListenLog => vec!["listen log".to_owned()],
    };
    parts.extend(point.resolution_ns.map(|ns| match ns {
        1 => "ns".to_owned(),
        1_000 => "µs".to_owned(),
        1_000_000 => "ms".to_owned(),
        1_000_000_000 => "s".to_owned(),
        other => format!("{} ns", grouped(other)),
    }));
    if parts.is_empty() {
        return "-".to_owned();
    }
    parts.join(", ")
}

fn gaps(sides: &[&Point]) -> String {
    let point = sides[0];
    let mut parts = Vec::new();
    match (point.kind, point.capture_drops) {
        (_, Some(0)) => parts.push("no drops".to_owned()),
        (PointKind::ListenLog, Some(drops)) => {
            parts.push(format!("{} lost in full sockets", grouped(drops)));
        }
        (_, Some(drops)) => parts.push(format!("{} dropped by the capture", grouped(drops))),
        (PointKind::Capture | PointKind::DropWitness, None) => {
            parts.push("drops unknown".to_owned());
        }
        // A log has nothing to drop.
        (PointKind::SendLog | PointKind::ListenLog, None) => {}
    }
    if let [[from, to], others @ ..] = point.gaps.as_slice() {
        let (from, to) = (time_of_day(*from), time_of_day(*to));
        let more = match others.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        parts.push(format!("recorded nothing {from}-{to}{more}: stopped?"));
    }
    for side in sides.iter().filter(|side| side.missed > 0) {
        let packets = count(side.missed, "packet");
        let of_side = match side.side {
            Some(Side::In) => " coming in",
            Some(Side::Out) => " going out",
            None => "",
        };
        parts.push(format!("missed {packets} seen before and after{of_side}"));
    }
    let copies: u64 = sides.iter().map(|side| side.copies).sum();
    if copies > 0 {
        let noun = if copies == 1 { "copy" } else { "copies" };
        parts.push(format!("{} {noun} by the capture", grouped(copies)));
    }
    let incomplete: u64 = sides.iter().map(|side| side.incomplete).sum();
    if incomplete > 0 {
        let packets = count(incomplete, "packet");
        parts.push(format!("{packets} incomplete, a fragment is missing"));
    }
    if point.skipped.fragment > 0 {
        parts.push(count(point.skipped.fragment, "later fragment"));
    }
    let skipped = skipped(point.skipped);
    if !skipped.is_empty() {
        parts.push(format!("skipped {}", skipped.join(", ")));
    }
    parts.join("; ")
}

/// The reasons that occurred, without later fragments: those are joined to the first.
fn skipped(skipped: Skipped) -> Vec<String> {
    let plural = |n, one, many| if n == 1 { one } else { many };
    [
        (skipped.not_ip, "not IP"),
        (skipped.not_hdp, "not HDP"),
        (skipped.cut_short, "cut short by the capture"),
        (skipped.malformed, "malformed"),
        (skipped.unsupported_link, "of an unsupported link type"),
        (
            skipped.icmp_quote,
            plural(skipped.icmp_quote, "ICMP quote", "ICMP quotes"),
        ),
        (skipped.other_host, "for other hosts"),
        (skipped.no_time, "without a time"),
    ]
    .into_iter()
    .filter(|&(frames, _)| frames > 0)
    .map(|(frames, reason)| format!("{} {reason}", grouped(frames)))
    .collect()
}
