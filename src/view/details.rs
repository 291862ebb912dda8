//! Everything about the number under the cursor.

use ratatui::{style::Style, text::Line};

use super::{
    glyph::{quiet, strong},
    state::View,
};
use crate::{
    findings::{Carrier, DelayReference, Direction, Fate, Findings, Packet, Protocol},
    protocols,
    report::{self, answer, rows, sign::sign, units},
};

/// What is known of the number, each line at most so wide.
pub(super) fn lines<'a>(view: &View, width: u16) -> Vec<Line<'a>> {
    let number = view.cursor;
    let mut page = Page {
        width: usize::from(width.max(1)),
        lines: Vec::new(),
    };
    let keyword =
        protocols::keyword(number).map_or_else(String::new, |keyword| format!(" {keyword}"));
    page.line(&format!("{number}{keyword} (0x{number:02x})"), strong());
    let (Some(look), Some(direction)) = (&view.look, view.direction()) else {
        return page.lines;
    };
    let entries = direction
        .protocols
        .iter()
        .filter(|protocol| protocol.protocol == u16::from(number));
    let mut seen = false;
    for protocol in entries {
        seen = true;
        if protocol.carrier == Carrier::Udp {
            page.line("UDP control", strong());
        }
        page.protocol(view, &look.findings, direction, protocol);
    }
    if !seen {
        page.line("not seen", quiet());
    }
    let of_number = |packet: &&Packet| packet.protocol == number && *packet.from == *direction.from;
    let mut packets = look.packets.iter().rev().filter(of_number).peekable();
    if packets.peek().is_some() {
        page.line("", Style::new());
        page.line("Last packets", strong());
    }
    for packet in packets {
        page.line(&fate(packet), Style::new());
    }
    page.lines
}

/// The packet's first sighting and what became of it.
fn fate(packet: &Packet) -> String {
    let time = packet.seen.first().map_or_else(
        || "-".to_owned(),
        |sighting| units::exact_time_of_day(sighting.time_ns),
    );
    let control = match packet.carrier {
        Carrier::Ip => "",
        Carrier::Udp => "control ",
    };
    let fate = match packet.fate {
        Fate::Delivered => "delivered",
        Fate::Lost => "lost",
        Fate::Edge => "edge",
        Fate::Late => "late",
        Fate::Ambiguous => "ambiguous",
        Fate::Expired => "expired",
    };
    let place = match &packet.lost_at {
        Some([from, to]) => format!(", {}", report::path([&**from, to])),
        None => String::new(),
    };
    let more = [
        (packet.altered, ", altered"),
        (packet.reordered, ", reordered"),
    ];
    let more: String = more
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, word)| *word)
        .collect();
    format!("{time}  {control}{fate}{place}{more}")
}

struct Page<'a> {
    width: usize,
    lines: Vec<Line<'a>>,
}

impl Page<'_> {
    fn line(&mut self, text: &str, style: Style) {
        for line in report::table::wrap(text, self.width) {
            self.lines.push(Line::styled(report::unglued(&line), style));
        }
    }

    fn text(&mut self, text: &str) {
        self.line(text, Style::new());
    }

    fn protocol(
        &mut self,
        view: &View,
        findings: &Findings,
        direction: &Direction,
        protocol: &Protocol,
    ) {
        let verdict = protocol.verdict;
        let style = view.palette.verdict(verdict, Some(protocol.grade));
        let (word, grade) = (report::word(verdict), rows::grade(protocol.grade));
        self.line(&format!("{} {word}, {grade}", sign(verdict)), style);
        self.text(&counts(protocol));
        let seen: Vec<_> = answer::points(direction)
            .map(|point| {
                let seen = answer::seen_at(findings, protocol, point);
                format!("{point} {}", units::grouped(seen))
            })
            .collect();
        self.text(&format!("seen: {}", seen.join(", ")));
        for lost in &protocol.lost_at {
            let place = report::path([lost.from.as_str(), &lost.to]);
            self.text(&format!("lost: {place}, {}", units::grouped(lost.count)));
        }
        if let Some([low, high]) = protocol.loss_interval {
            let (low, high) = (100.0 * low, 100.0 * high);
            self.text(&format!("loss: {low:.1} % to {high:.1} % (95 %)"));
        }
        for refusal in &protocol.refused {
            let times = units::count(refusal.count, "time");
            self.text(&format!(
                "refused: {} {} ({}), {times}",
                refusal.call, refusal.name, refusal.errno
            ));
        }
        for icmp in &protocol.icmp {
            let packets = units::count(icmp.count, "packet");
            self.text(&format!("{}, {packets}", report::icmp(icmp)));
        }
        for change in &protocol.changes {
            let place = report::path(change.between.iter().map(String::as_str));
            let packets = units::count(change.count, "packet");
            let field = change.field.replace('_', " ");
            let (from, to) = (&change.from, &change.to);
            self.text(&format!("{field}: {from} to {to}, {place}, {packets}"));
        }
        if let Some(delay) = protocol.delay_ns {
            let [p50, min, max] = [delay.p50, delay.min, delay.max].map(units::span);
            let from = match delay.reference {
                DelayReference::Absolute => "",
                DelayReference::Minimum => ", above the shortest",
            };
            self.text(&format!("delay: median {p50} ({min} to {max}){from}"));
        }
        for reason in &protocol.reasons {
            for (index, line) in
                report::table::wrap(&reason.to_string(), self.width.saturating_sub(2).max(1))
                    .into_iter()
                    .enumerate()
            {
                let bullet = if index == 0 { "- " } else { "  " };
                self.lines
                    .push(Line::raw(format!("{bullet}{}", report::unglued(&line))));
            }
        }
    }
}

/// The packets by what became of them; what there is none of is left out.
fn counts(protocol: &Protocol) -> String {
    let mut counts = vec![
        format!("{} sent", units::grouped(protocol.packets)),
        format!("{} arrived", units::grouped(protocol.delivered)),
    ];
    let others = [
        (protocol.lost, "lost"),
        (protocol.edge, "edge"),
        (protocol.late, "late"),
        (protocol.ambiguous, "ambiguous"),
        (protocol.expired, "expired"),
        (protocol.altered, "altered"),
        (protocol.duplicates, "duplicates"),
        (protocol.reordered, "reordered"),
    ];
    let others = others.into_iter().filter(|&(count, _)| count > 0);
    counts.extend(others.map(|(count, what)| format!("{} {what}", units::grouped(count))));
    counts.join(", ")
}
