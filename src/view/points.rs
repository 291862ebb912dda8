//! The path from its first point to its last: what each point sees, what each segment loses.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use super::{
    glyph::{quiet, strong},
    rates::Rate,
    state::View,
};
use crate::{
    findings::{Direction, Point, Protocol, Segment},
    report::{
        self,
        answer::list_numbers,
        sign::{VERDICTS, sign},
        units::grouped,
    },
};

/// The counts behind a point's name, and how many columns each takes.
const COUNTS: [(&str, usize); 4] = [("frames/s", 9), ("HDP/s", 8), ("HDP", 8), ("drops", 6)];

/// The points of the direction that is shown, and between them the segments with the numbers that
/// lose packets there.
pub(super) fn lines<'a>(view: &View, width: u16) -> Vec<Line<'a>> {
    let (Some(look), Some(direction)) = (&view.look, view.direction()) else {
        return Vec::new();
    };
    let points = &look.findings.points;
    let width = usize::from(width);
    let name_width = width.saturating_sub(COUNTS.iter().map(|(_, width)| width).sum());
    let counts = COUNTS.map(|(title, width)| format!("{title:>width$}"));
    let heading = format!("{:<name_width$}{}", "Point", counts.concat());
    let mut lines = vec![Line::styled(heading, strong())];
    let mut segments = direction.segments.iter();
    for name in report::answer::points(direction) {
        if let Some(point) = points.iter().find(|point| point.name == name) {
            lines.push(point_line(view, point, name_width));
        }
        if let Some(segment) = segments.next() {
            lines.extend(segment_lines(view, direction, segment, width));
        }
    }
    lines
}

fn point_line<'a>(view: &View, point: &Point, name_width: usize) -> Line<'a> {
    let rate = view.rates.of(&point.name);
    let rate = |part: fn(&Rate) -> f64| {
        rate.as_ref()
            .map_or_else(unknown, |rate| per_second(part(rate)))
    };
    let drops_style = match point.capture_drops {
        Some(1..) => view.palette.warning(),
        _ => Style::new(),
    };
    let name = shortened(&point.name, name_width.saturating_sub(1));
    let mut spans = vec![Span::raw(format!("{name:<name_width$}"))];
    let counts = [
        rate(|rate| rate.frames),
        rate(|rate| rate.hdp),
        grouped(point.hdp),
        point.capture_drops.map_or_else(unknown, grouped),
    ];
    let styles = [Style::new(), Style::new(), Style::new(), drops_style];
    for ((count, style), (_, width)) in counts.into_iter().zip(styles).zip(COUNTS) {
        spans.push(Span::styled(format!("{count:>width$}"), style));
    }
    Line::from(spans)
}

/// What was lost from a segment's beginning on: a line, and one for each verdict of its numbers.
fn segment_lines<'a>(
    view: &View,
    direction: &Direction,
    segment: &Segment,
    width: usize,
) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    let mut ends: Vec<&str> = vec![&segment.to];
    for lost in direction
        .protocols
        .iter()
        .flat_map(|protocol| &protocol.lost_at)
    {
        // Where the points between were not watching.
        if lost.from == segment.from && !ends.contains(&lost.to.as_str()) {
            ends.push(&lost.to);
        }
    }
    for to in ends {
        let lost_here = |protocol: &Protocol| -> u64 {
            let here = protocol
                .lost_at
                .iter()
                .filter(|lost| lost.from == segment.from && lost.to == to);
            here.map(|lost| lost.count).sum()
        };
        let lost: u64 = direction.protocols.iter().map(lost_here).sum();
        let before = if to == segment.to {
            String::new()
        } else {
            format!(" before {to}")
        };
        if lost == 0 {
            lines.push(Line::styled("  ↓ nothing lost", quiet()));
            continue;
        }
        lines.push(Line::raw(format!("  ↓ {} lost{before}", grouped(lost))));
        for verdict in VERDICTS {
            let numbers: Vec<&Protocol> = direction
                .protocols
                .iter()
                .filter(|protocol| protocol.verdict == verdict && lost_here(protocol) > 0)
                .collect();
            if !numbers.is_empty() {
                let numbers = report::unglued(&list_numbers(&numbers));
                let text = format!("    {} {numbers}", sign(verdict));
                let style = view.palette.verdict(verdict, None);
                lines.push(Line::styled(shortened(&text, width), style));
            }
        }
    }
    lines
}

/// Draws the lines, as far as there is room.
pub(super) fn draw(lines: &[Line], area: Rect, buffer: &mut Buffer) {
    for (y, line) in (area.y..area.bottom()).zip(lines) {
        buffer.set_line(area.x, y, line, area.width);
    }
}

/// A text that fits, its end left out if it must be.
fn shortened(text: &str, width: usize) -> String {
    if Span::raw(text).width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for character in text.chars() {
        short.push(character);
        if Span::raw(short.as_str()).width() >= width {
            short.pop();
            short.push('…');
            break;
        }
    }
    short
}

fn unknown() -> String {
    "-".to_owned()
}

/// A rate with a digit behind the point where it is small.
fn per_second(rate: f64) -> String {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rates are neither negative nor that large"
    )]
    match rate {
        ..0.05 => "0".to_owned(),
        ..99.95 => format!("{rate:.1}"),
        _ => grouped(rate.round() as u64),
    }
}
