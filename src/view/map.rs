//! The 256 numbers as a square of 16 rows and 16 columns.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
    text::{Line, Span},
};

use super::{glyph::quiet, state::View};
use crate::{
    findings::{Carrier, Direction, Protocol, Verdict},
    report::{
        self,
        sign::{UNSEEN, VERDICTS, sign},
        units::grouped,
    },
};

/// Columns that a row's heading takes: the number it begins with.
const HEADING: u16 = 4;

/// How large the map is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// Two columns a number.
    Small,
    /// Three columns a number, and a line above each row.
    Large,
}

impl Size {
    fn columns(self) -> u16 {
        match self {
            Self::Small => 2,
            Self::Large => 3,
        }
    }

    fn rows(self) -> u16 {
        match self {
            Self::Small => 1,
            Self::Large => 2,
        }
    }

    /// Columns and rows of all of it.
    pub(super) fn extent(self) -> (u16, u16) {
        (HEADING + 16 * self.columns(), 2 + 16 * self.rows())
    }
}

/// The entry of a number straight on IP.
pub(super) fn entry(direction: &Direction, number: u8) -> Option<&Protocol> {
    direction
        .protocols
        .iter()
        .find(|protocol| protocol.carrier == Carrier::Ip && protocol.protocol == u16::from(number))
}

/// Draws the map. What is in a row and a column is the sum of their headings.
pub(super) fn draw(view: &View, size: Size, area: Rect, buffer: &mut Buffer) {
    for column in 0..16_u16 {
        let x = area.x + HEADING + column * size.columns();
        // Two digits stand above each other.
        if column >= 10 {
            buffer.set_stringn(x, area.y, "1", 1, quiet());
        }
        buffer.set_stringn(x, area.y + 1, (column % 10).to_string(), 1, quiet());
    }
    let mut cells: [Option<&Protocol>; 256] = [None; 256];
    let protocols = view.direction().map_or(&[][..], |way| &way.protocols);
    for protocol in protocols {
        if let (Carrier::Ip, Some(cell)) = (
            protocol.carrier,
            cells.get_mut(usize::from(protocol.protocol)),
        ) {
            *cell = Some(protocol);
        }
    }
    for (number, protocol) in (0..=255_u8).zip(cells) {
        let (row, column) = (u16::from(number / 16), u16::from(number % 16));
        let y = area.y + 2 + row * size.rows();
        if column == 0 {
            buffer.set_stringn(area.x, y, format!("{number:>3}"), 3, quiet());
        }
        let (sign, style) = match protocol {
            Some(protocol) => (
                sign(protocol.verdict),
                view.palette.verdict(protocol.verdict, Some(protocol.grade)),
            ),
            None => (UNSEEN, quiet()),
        };
        let style = if number == view.cursor {
            style.add_modifier(Modifier::REVERSED)
        } else {
            style
        };
        let x = area.x + HEADING + column * size.columns();
        buffer.set_stringn(x, y, sign, 1, style);
    }
}

/// What the signs mean, and how many numbers there are of each, in as many lines as that takes.
pub(super) fn legend<'a>(view: &View, width: u16) -> Vec<Line<'a>> {
    let protocols = view.direction().map_or(&[][..], |way| &way.protocols);
    let bare = || {
        let on_ip = |protocol: &&Protocol| protocol.carrier == Carrier::Ip;
        protocols.iter().filter(on_ip)
    };
    let item = |verdict: Verdict| {
        let of_it = bare()
            .filter(|protocol| protocol.verdict == verdict)
            .count();
        let count = match of_it {
            0 => String::new(),
            some => format!(" {}", grouped(some as u64)),
        };
        let text = format!("{} {}{count}", sign(verdict), report::word(verdict));
        (text, view.palette.verdict(verdict, None))
    };
    let unseen = (format!("{UNSEEN} unseen"), quiet());
    let mut lines: Vec<Line> = vec![Line::default()];
    for (text, style) in VERDICTS.map(item).into_iter().chain([unseen]) {
        let taken = lines.last().map_or(0, Line::width);
        if taken > 0 && taken + 2 + text.chars().count() > usize::from(width) {
            lines.push(Line::default());
        }
        if let Some(line) = lines.last_mut() {
            if !line.spans.is_empty() {
                line.push_span(Span::styled("  ", Style::new()));
            }
            line.push_span(Span::styled(text, style));
        }
    }
    lines
}
