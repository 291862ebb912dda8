//! Where everything stands on a terminal of a given size.
//!
//! From 80 columns and 24 rows on, the map stands on the left, and on the right the path and the
//! list of numbers, or the pane that was asked for. A large terminal has room for a larger map and
//! for details beside the list; on a small one the map gives way to the list, which can be read in
//! any room that is left.

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
    style::{Modifier, Style},
    text::{Line, Span},
};

use super::{
    details,
    glyph::{quiet, strong},
    map::{self, Size},
    numbers, points,
    state::{Pane, View},
};
use crate::{
    findings::Findings,
    report::{self, answer, sign::sign, units},
};

/// Columns between the map and what stands beside it.
const GUTTER: u16 = 3;

/// What must fit beside the map.
const BESIDE: u16 = 40;

/// Lines above the map, and below it without the legend.
const ABOVE: u16 = 2;
const BELOW: u16 = 2;

/// A terminal at least so large shows details beside the list.
const LARGE: (u16, u16) = (150, 44);

/// Draws the view.
pub(super) fn draw(view: &mut View, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let legend = map::legend(view, area.width);
    let legend_height = u16::try_from(legend.len()).unwrap_or(u16::MAX);
    let is_large = area.width >= LARGE.0 && area.height >= LARGE.1;
    let size = if is_large { Size::Large } else { Size::Small };
    let (map_width, map_height) = size.extent();
    let has_map = area.width >= map_width + GUTTER + BESIDE
        && area.height >= ABOVE + map_height + legend_height + BELOW;
    let [head, middle, foot] = Layout::vertical([
        Constraint::Length(ABOVE),
        Constraint::Fill(1),
        Constraint::Length(if has_map { legend_height + BELOW } else { 1 }),
    ])
    .areas(area);
    let has_details = match view.pane {
        Pane::Numbers => is_large,
        Pane::Details => true,
        Pane::Warnings | Pane::Help => false,
    };
    view.details_of = has_details.then_some(view.cursor);
    heading(view, head, buffer);
    if !has_map {
        keys(view, foot, buffer);
        beside(view, middle, buffer);
        return;
    }
    let [left, _, right] = Layout::horizontal([
        Constraint::Length(map_width),
        Constraint::Length(GUTTER),
        Constraint::Fill(1),
    ])
    .areas(middle);
    map::draw(view, size, left, buffer);
    if is_large {
        large(view, right, buffer);
    } else {
        beside(view, right, buffer);
    }
    let [selected_at, legend_at, keys_at] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(legend_height),
        Constraint::Length(1),
    ])
    .areas(foot);
    buffer.set_line(
        selected_at.x,
        selected_at.y,
        &selected(view),
        selected_at.width,
    );
    points::draw(&legend, legend_at, buffer);
    keys(view, keys_at, buffer);
}

/// The path, how long it has been watched, and what is to be known of the view itself.
fn heading(view: &View, area: Rect, buffer: &mut Buffer) {
    let seconds = view.look.as_ref().map(|look| look.elapsed.as_secs());
    let elapsed = match seconds.map(i64::try_from) {
        Some(Ok(seconds @ 1..)) => units::span(seconds.saturating_mul(1_000_000_000)),
        _ => String::new(),
    };
    let warnings = view
        .look
        .as_ref()
        .map_or(0, |look| look.findings.warnings.len());
    let mut right = Vec::new();
    if warnings > 0 {
        let warnings = report::unglued(&units::count(warnings as u64, "warning"));
        right.push(Span::styled(
            format!("{warnings} (w)"),
            view.palette.warning(),
        ));
    }
    if view.ending {
        right.push(Span::styled("ending", strong()));
    } else if view.paused {
        let reversed = Style::new().add_modifier(Modifier::REVERSED);
        right.push(Span::styled(" paused ", reversed));
    }
    right.push(Span::raw(report::unglued(&elapsed)));
    let right = right.into_iter().flat_map(|span| [Span::raw("  "), span]);
    let right: Line = right.collect();
    let taken = u16::try_from(right.width())
        .unwrap_or(u16::MAX)
        .min(area.width);
    let path = match view.direction() {
        Some(direction) => report::unglued(&report::path(answer::points(direction))),
        None => "waiting for the first packets".to_owned(),
    };
    buffer.set_line(
        area.x,
        area.y,
        &Line::styled(path, strong()),
        area.width - taken,
    );
    buffer.set_line(area.right() - taken, area.y, &right, taken);
    if let (Some(look), 2..) = (&view.look, area.height) {
        let summary = report::unglued(&summary(&look.findings));
        buffer.set_line(area.x, area.y + 1, &Line::raw(summary), area.width);
    }
}

/// What there is in all, without the path, which stands above.
fn summary(findings: &Findings) -> String {
    let headline = answer::headline(findings);
    let parts: Vec<_> = headline.split(", ").take(2).collect();
    let other = match findings.directions.len() {
        0 | 1 => "",
        _ => "; both ways (r)",
    };
    format!("{}{other}", parts.join(", "))
}

/// The number under the cursor in a line.
fn selected<'a>(view: &View) -> Line<'a> {
    let number = view.cursor;
    let entry = view.direction().and_then(|way| map::entry(way, number));
    let name = crate::protocols::fold_with_keywords(&[number.into()]);
    let Some(protocol) = entry else {
        return Line::raw(format!("{name}: not seen"));
    };
    let verdict = protocol.verdict;
    let style = view.palette.verdict(verdict, Some(protocol.grade));
    let arrived = match protocol.refused.first() {
        Some(_) if protocol.packets == 0 => answer::how_refused(protocol),
        _ => format!(
            "{} of {} arrived",
            units::grouped(protocol.delivered),
            units::grouped(protocol.packets)
        ),
    };
    let places = numbers::places(&protocol.lost_at);
    let places = if places.is_empty() {
        String::new()
    } else {
        format!("; lost {places}")
    };
    let grade = report::rows::grade(protocol.grade);
    Line::from(vec![
        Span::raw(format!("{name}: ")),
        Span::styled(
            format!("{} {}", sign(verdict), report::word(verdict)),
            style,
        ),
        Span::raw(format!(", {grade}; {arrived}{places}")),
    ])
}

fn keys(view: &View, area: Rect, buffer: &mut Buffer) {
    let pause = if view.paused { "p go on" } else { "p pause" };
    let keys = format!("q end  {pause}  s sort  a all  ←↑↓→ number  n next  ⏎ details  ? help");
    buffer.set_line(area.x, area.y, &Line::styled(keys, quiet()), area.width);
}

/// One pane at a time.
fn beside(view: &mut View, area: Rect, buffer: &mut Buffer) {
    if view.pane != Pane::Numbers {
        pane(view, area, buffer);
        return;
    }
    let path = points::lines(view, area.width);
    // The list keeps a few rows however long the path is.
    let most = area.height.saturating_sub(5);
    let height = u16::try_from(path.len()).unwrap_or(u16::MAX).min(most);
    let [path_at, _, list_at] = Layout::vertical([
        Constraint::Length(height),
        Constraint::Length(u16::from(height > 0)),
        Constraint::Fill(1),
    ])
    .areas(area);
    points::draw(&path, path_at, buffer);
    numbers::draw(view, list_at, buffer);
}

/// The path, the list, and below them a pane.
fn large(view: &mut View, area: Rect, buffer: &mut Buffer) {
    let path = points::lines(view, area.width.min(100));
    let height = u16::try_from(path.len())
        .unwrap_or(u16::MAX)
        .min(area.height / 3);
    let [path_at, _, list_at, _, pane_at] = Layout::vertical([
        Constraint::Length(height),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
        Constraint::Fill(1),
    ])
    .areas(area);
    points::draw(&path, path_at, buffer);
    numbers::draw(view, list_at, buffer);
    pane(view, pane_at, buffer);
}

/// What was asked for, scrolled as far as there is something to see.
fn pane(view: &mut View, area: Rect, buffer: &mut Buffer) {
    let lines = match view.pane {
        Pane::Numbers | Pane::Details => details::lines(view, area.width),
        Pane::Warnings => warnings(view, area.width),
        Pane::Help => help(),
    };
    let most = lines.len().saturating_sub(usize::from(area.height));
    view.scrolled = view.scrolled.min(most);
    points::draw(&lines[view.scrolled..], area, buffer);
    if view.scrolled < most && area.height > 0 {
        let more = Line::styled("PgDn: more", quiet());
        let line = " ".repeat(usize::from(area.width));
        let y = area.bottom() - 1;
        buffer.set_stringn(area.x, y, line, usize::from(area.width), Style::new());
        buffer.set_line(area.x, y, &more, area.width);
    }
}

fn warnings<'a>(view: &View, width: u16) -> Vec<Line<'a>> {
    let mut lines = vec![Line::styled("Warnings", strong())];
    let warnings = view
        .look
        .as_ref()
        .map_or(&[][..], |look| &look.findings.warnings);
    if warnings.is_empty() {
        lines.push(Line::styled("none", quiet()));
    }
    for warning in warnings {
        let wrapped = report::table::wrap(
            &warning.to_string(),
            usize::from(width.saturating_sub(2).max(1)),
        );
        for (index, line) in wrapped.into_iter().enumerate() {
            let bullet = if index == 0 { "- " } else { "  " };
            lines.push(Line::raw(format!("{bullet}{}", report::unglued(&line))));
        }
    }
    lines
}

fn help<'a>() -> Vec<Line<'a>> {
    let mut lines = vec![Line::styled("Keys", strong())];
    lines.extend(
        [
            "q, Ctrl-C    end, with the full report",
            "p, space     pause: the capture goes on",
            "arrows       choose a number on the map",
            "n, N         the next in the list, back",
            "Enter        all about the number",
            "s            sort the list otherwise",
            "a            list what passes too",
            "r            the other direction",
            "w            warnings",
            "PgUp, PgDn   scroll",
            "Esc          back; in the list, end",
            "?            this help",
        ]
        .map(Line::raw),
    );
    lines.extend([
        Line::default(),
        Line::raw("A number on the map is its row's heading"),
        Line::raw("plus its column's."),
    ]);
    lines
}
