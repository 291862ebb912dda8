//! The list of numbers, in the order that the user chose.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
    text::{Line, Span},
};

use super::{
    glyph::{quiet, strong},
    sort::listed,
    state::View,
};
use crate::{
    findings::{LostAt, Protocol, Verdict},
    report::{self, answer::list_numbers, rows::grade, sign::sign, units::grouped},
};

/// Columns of the number with its keyword, and of the verdict with its sign.
const NUMBER: usize = 17;
const VERDICT: usize = 14;

/// From this width on the list says where packets were lost, and why the verdict is so.
const WIDE: u16 = 90;

/// Draws the list, as far as there is room, the number under the cursor in sight.
pub(super) fn draw(view: &View, area: Rect, buffer: &mut Buffer) {
    let Some(direction) = view.direction().filter(|_| area.height > 1) else {
        return;
    };
    let listed = listed(direction, view.sort, view.all);
    let what = if view.all {
        "All numbers"
    } else {
        "Did not pass"
    };
    let heading = format!("{what}, {}", view.sort.words());
    buffer.set_line(area.x, area.y, &Line::styled(heading, strong()), area.width);
    let room = usize::from(area.height - 1);
    if listed.is_empty() {
        let nothing = if direction.protocols.is_empty() {
            "no HDP seen yet"
        } else {
            "none"
        };
        buffer.set_line(
            area.x,
            area.y + 1,
            &Line::styled(nothing, quiet()),
            area.width,
        );
        return;
    }
    let is_selected = |protocol: &Protocol| protocol.protocol == u16::from(view.cursor);
    let at = listed.iter().position(|protocol| is_selected(protocol));
    // The last line tells how many there is no room for.
    let shown = if listed.len() > room { room - 1 } else { room };
    let first = at.map_or(0, |at| (at + 1).saturating_sub(shown));
    for (y, protocol) in (area.y + 1..).zip(listed.iter().skip(first).take(shown)) {
        let mut line = row(view, protocol, area.width);
        if is_selected(protocol) {
            line = line.patch_style(Style::new().add_modifier(Modifier::REVERSED));
        }
        buffer.set_line(area.x, y, &line, area.width);
    }
    let hidden = listed.len() - listed.len().min(shown);
    if hidden > 0 {
        let more = format!("and {} more", grouped(hidden as u64));
        buffer.set_line(
            area.x,
            area.bottom() - 1,
            &Line::styled(more, quiet()),
            area.width,
        );
    }
}

/// A row of the list.
fn row<'a>(view: &View, protocol: &Protocol, width: u16) -> Line<'a> {
    let number = report::unglued(&list_numbers(&[protocol]));
    let verdict = format!(
        "{} {}",
        sign(protocol.verdict),
        report::word(protocol.verdict)
    );
    let arrived = match protocol.verdict {
        Verdict::Refused if protocol.packets == 0 => "-".to_owned(),
        _ => format!(
            "{} of {}",
            grouped(protocol.delivered),
            grouped(protocol.packets)
        ),
    };
    let style = view.palette.verdict(protocol.verdict, Some(protocol.grade));
    let mut spans = vec![
        Span::raw(format!("{number:<NUMBER$}")),
        Span::styled(format!("{verdict:<VERDICT$} "), style),
    ];
    if width >= WIDE {
        let why = protocol
            .reasons
            .first()
            .map_or_else(String::new, ToString::to_string);
        let grade = grade(protocol.grade);
        let place = places(&protocol.lost_at);
        spans.push(Span::raw(format!(
            "{arrived:<16}{grade:<9}{place:<24} {why}"
        )));
    } else {
        spans.push(Span::raw(arrived));
    }
    Line::from(spans)
}

/// Where packets were lost.
pub(super) fn places(lost_at: &[LostAt]) -> String {
    let places: Vec<_> = lost_at
        .iter()
        .map(|lost| report::unglued(&report::path([lost.from.as_str(), &lost.to])))
        .collect();
    places.join(", ")
}
