//! What the view looks like. The snapshots are the specification: read them as a user would.

use std::time::Duration;

use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::Buffer,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    style::{Color, Modifier},
};

use super::{Action, Look, View, draw};
use crate::{
    findings::{Carrier, Fate, Findings, Packet, PacketSighting},
    report::tests::{both_directions, nothing_seen, router_drops_some},
};

const SIZES: [(u16, u16); 2] = [(80, 24), (200, 60)];

/// What is known after 12 s, when the last packet of 50 was lost.
fn look(findings: Findings) -> Look {
    let sighting = |point: &str, time_ns| PacketSighting {
        point: point.into(),
        frame: 96,
        time_ns,
        src: "10.77.1.2".into(),
        dst: "10.77.2.2".into(),
        ttl: 64,
        duplicates: 0,
    };
    let packet = |time_ns| Packet {
        from: "client".into(),
        to: "server".into(),
        timestamp_ns: 1_772_359_099_692_000_000,
        protocol: 50,
        carrier: Carrier::Ip,
        srcport: 420,
        dstport: 420,
        payload_len: 34,
        fate: Fate::Lost,
        lost_at: Some(["router".into(), "server".into()]),
        expected: None,
        delay_ns: None,
        reordered: false,
        altered: false,
        seen: vec![
            sighting("client", time_ns),
            sighting("router", time_ns + 41_000),
        ],
    };
    Look {
        elapsed: Duration::from_secs(12),
        findings,
        packets: (0..3)
            .map(|round| packet(1_772_359_099_692_345_000 + round * 1_000_000_000))
            .collect(),
    }
}

/// A view that has been shown the findings growing.
fn shown(findings: &Findings, color: bool) -> View {
    let mut view = View::new(color);
    let mut before = findings.clone();
    for point in &mut before.points {
        point.hdp /= 2;
        point.frames /= 2;
    }
    view.update(Look {
        elapsed: Duration::from_secs(10),
        ..look(before)
    });
    view.update(look(findings.clone()));
    view
}

fn press(view: &mut View, keys: &[KeyCode]) {
    for &key in keys {
        assert_eq!(view.key(KeyEvent::from(key)), Action::Nothing, "{key:?}");
    }
}

/// To number 50.
const TO_50: [KeyCode; 5] = [
    KeyCode::Down,
    KeyCode::Down,
    KeyCode::Down,
    KeyCode::Right,
    KeyCode::Right,
];

fn drawn(view: &mut View, (width, height): (u16, u16)) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| draw::draw(view, frame.area(), frame.buffer_mut()))
        .unwrap();
    terminal
}

/// The characters on the screen, without what styles say.
fn text(view: &mut View, size: (u16, u16)) -> String {
    let terminal = drawn(view, size);
    let buffer = terminal.backend().buffer();
    let lines = buffer.content.chunks(usize::from(size.0)).map(|row| {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_path_with_losses_at_both_sizes() {
    for size in SIZES {
        let mut view = shown(&router_drops_some(), false);
        let name = |what| format!("{what}_{}x{}", size.0, size.1);
        press(&mut view, &TO_50);
        insta::assert_snapshot!(name("losses"), text(&mut view, size));
        press(&mut view, &[KeyCode::Enter]);
        insta::assert_snapshot!(name("details"), text(&mut view, size));
        press(&mut view, &[KeyCode::Char('?'), KeyCode::Char(' ')]);
        insta::assert_snapshot!(name("help_paused"), text(&mut view, size));
    }
}

#[test]
fn the_beginning_and_a_path_without_hdp() {
    insta::assert_snapshot!("first_80x24", text(&mut View::new(false), SIZES[0]));
    let mut view = shown(&nothing_seen(), false);
    press(&mut view, &[KeyCode::Char('w')]);
    insta::assert_snapshot!("nothing_seen_80x24", text(&mut view, SIZES[0]));
}

#[test]
fn the_other_direction_is_a_key_away() {
    let mut view = shown(&both_directions(), false);
    press(&mut view, &[KeyCode::Char('r'), KeyCode::Char('a')]);
    insta::assert_snapshot!("way_back_80x24", text(&mut view, SIZES[0]));
}

#[test]
fn any_size_is_drawn() {
    let mut view = shown(&router_drops_some(), true);
    for key in [
        KeyCode::Null,
        KeyCode::Enter,
        KeyCode::Char('w'),
        KeyCode::Char('?'),
    ] {
        press(&mut view, &[key]);
        for width in (0..90).step_by(7).chain([79, 80, 149, 150, 300]) {
            for height in (0..24).step_by(3).chain([23, 24, 43, 44, 70]) {
                drawn(&mut view, (width, height));
            }
        }
    }
    press(&mut view, &[KeyCode::Char('?')]);
    insta::assert_snapshot!("losses_60x12", text(&mut view, (60, 12)));
}

/// The style of the first cell of a number on the small map.
fn cell(buffer: &Buffer, number: u16) -> (&str, Color, Modifier) {
    let cell = &buffer[(4 + number % 16 * 2, 4 + number / 16)];
    (cell.symbol(), cell.fg, cell.modifier)
}

#[test]
fn colours_are_a_second_sign_only() {
    for color in [false, true] {
        let mut view = shown(&router_drops_some(), color);
        let terminal = drawn(&mut view, SIZES[0]);
        let buffer = terminal.backend().buffer();
        let some = |color_of| if color { color_of } else { Color::Reset };
        let plain = Modifier::empty();
        assert_eq!(cell(buffer, 1), ("o", some(Color::Green), plain));
        assert_eq!(cell(buffer, 50), ("X", some(Color::Red), plain));
        // An ICMP error makes it certain.
        assert_eq!(cell(buffer, 47), ("X", some(Color::Red), Modifier::BOLD));
        assert_eq!(cell(buffer, 100), ("/", some(Color::Magenta), plain));
        assert_eq!(cell(buffer, 200), ("~", some(Color::Yellow), plain));
        let refused = Modifier::BOLD | Modifier::REVERSED;
        assert_eq!(cell(buffer, 0), ("!", some(Color::Blue), refused));
        let colors = buffer.content.iter().filter(|cell| cell.fg != Color::Reset);
        assert_eq!(colors.count() > 0, color);
    }
}

#[test]
fn the_cursor_goes_round_and_jumps_along_the_list() {
    let mut view = shown(&router_drops_some(), false);
    press(&mut view, &[KeyCode::Left]);
    assert_eq!(view.cursor, 255);
    press(&mut view, &[KeyCode::Down, KeyCode::Right]);
    assert_eq!(view.cursor, 16);
    // The blocked ones come first.
    let mut jumps = Vec::new();
    for key in ['n', 'n', 'n', 'n', 'n', 'N'] {
        press(&mut view, &[KeyCode::Char(key)]);
        jumps.push(view.cursor);
    }
    assert_eq!(jumps, [47, 50, 51, 132, 100, 132]);
    // By losses the whole first, by number the refused 0.
    press(&mut view, &[KeyCode::Char('s'), KeyCode::Char('s')]);
    press(&mut view, &[KeyCode::Char('N')]);
    assert_eq!(view.cursor, 131);
}

#[test]
fn a_pause_keeps_what_is_shown_and_rates_are_right_behind_it() {
    let findings = router_drops_some();
    let mut view = shown(&findings, false);
    press(&mut view, &[KeyCode::Char('p')]);
    let paused = text(&mut view, SIZES[0]);
    let mut later = look(findings.clone());
    later.elapsed += Duration::from_secs(100);
    for point in &mut later.findings.points {
        point.hdp += 51_200;
    }
    view.update(later.clone());
    assert_eq!(text(&mut view, SIZES[0]), paused);
    press(&mut view, &[KeyCode::Char('p')]);
    view.update(later);
    let shown = text(&mut view, SIZES[0]);
    assert!(shown.contains("1 min 52 s"), "{shown}");
    let rates: Vec<_> = shown
        .lines()
        .filter_map(|line| line.split_once("  client "))
        .map(|(_, counts)| counts.split_whitespace().take(2).collect::<Vec<_>>())
        .collect();
    // 51,200 packets in 100 s.
    assert_eq!(rates, [["0", "512"]]);
}

#[test]
fn keys_end_it() {
    let mut view = shown(&router_drops_some(), false);
    assert_eq!(view.key(KeyEvent::from(KeyCode::Char('q'))), Action::End);
    press(&mut view, &[KeyCode::Enter, KeyCode::Esc]);
    assert_eq!(view.key(KeyEvent::from(KeyCode::Esc)), Action::End);
    let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(view.key(ctrl_c), Action::Interrupt);
}
