//! The path as a line of points, with what was lost on each segment.

use maud::{Markup, html as markup};

use super::figure;
use crate::{
    findings::{Direction, Findings, LostAt, PointKind, Protocol, Segment},
    report::{
        answer::{list_numbers, points},
        path,
        units::{count, grouped},
    },
};

pub(super) fn draw(findings: &Findings, direction: &Direction) -> Markup {
    let picture = markup! {
        ol {
            @for (index, point) in points(direction).enumerate() {
                @if let Some(segment) = index.checked_sub(1).map(|before| &direction.segments[before]) {
                    (self::segment(direction, segment))
                }
                (self::point(findings, point))
            }
        }
    };
    figure("path", &picture, &sentence(direction))
}

fn point(findings: &Findings, name: &str) -> Markup {
    let point = findings.points.iter().find(|point| point.name == name);
    let what = point.map(|point| match point.kind {
        PointKind::Capture | PointKind::DropWitness => format!("{} HDP", grouped(point.hdp)),
        PointKind::SendLog => format!("{} sent", grouped(point.hdp)),
        PointKind::ListenLog => format!("{} heard", grouped(point.hdp)),
    });
    markup! { li.point { (name) small { (what.unwrap_or_default()) } } }
}

fn segment(direction: &Direction, segment: &Segment) -> Markup {
    let here = |lost: &LostAt| (&lost.from, &lost.to) == (&segment.from, &segment.to);
    let lost = losers(direction, here);
    markup! {
        li.segment.loss[segment.lost > 0] {
            @if segment.lost > 0 {
                span.blocked { (grouped(segment.lost)) " lost" }
                hr;
                small { (list_numbers(&lost)) }
            } @else {
                span { "nothing lost" }
                hr;
            }
        }
    }
}

/// The numbers that lost packets there.
fn losers(direction: &Direction, there: impl Fn(&LostAt) -> bool) -> Vec<&Protocol> {
    let numbers = direction.protocols.iter();
    numbers
        .filter(|protocol| protocol.lost_at.iter().any(&there))
        .collect()
}

/// Losses that lie across points which could not tell are in no segment.
fn sentence(direction: &Direction) -> String {
    let is_segment = |lost: &LostAt| {
        let mut segments = direction.segments.iter();
        segments.any(|segment| (&lost.from, &lost.to) == (&segment.from, &segment.to))
    };
    let mut across: Vec<(&LostAt, u64)> = Vec::new();
    let lost_at = direction
        .protocols
        .iter()
        .flat_map(|protocol| &protocol.lost_at);
    for lost in lost_at.filter(|lost| !is_segment(lost)) {
        let same =
            |(known, _): &&mut (&LostAt, u64)| (&known.from, &known.to) == (&lost.from, &lost.to);
        match across.iter_mut().find(same) {
            Some((_, sum)) => *sum += lost.count,
            None => across.push((lost, lost.count)),
        }
    }
    let mut sentences = vec![
        "The path: what each point recorded, and what was lost between two of them.".to_owned(),
    ];
    sentences.extend(across.into_iter().map(|(place, lost)| {
        let packets = count(lost, "packet");
        let place = path([place.from.as_str(), &place.to]);
        format!("{packets} more {place}: the points between could not tell where.")
    }));
    sentences.join(" ")
}
