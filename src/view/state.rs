//! What the view shows, and what keys make of that.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{
    Look,
    glyph::Palette,
    rates::Rates,
    sort::{self, Sort},
};
use crate::findings::Direction;

/// The view on a terminal: what it was shown last, and what the user has chosen to see of it.
#[derive(Debug)]
pub struct View {
    pub(super) palette: Palette,
    pub(super) look: Option<Look>,
    pub(super) rates: Rates,
    /// The number that the cursor is on.
    pub(super) cursor: u8,
    /// Which of the directions is shown.
    pub(super) direction: usize,
    pub(super) sort: Sort,
    /// Whether the numbers that pass are listed too.
    pub(super) all: bool,
    pub(super) pane: Pane,
    /// The number whose details were drawn last, if any were.
    pub(super) details_of: Option<u8>,
    /// Lines of the pane that are scrolled past.
    pub(super) scrolled: usize,
    /// The display stands still.
    pub(super) paused: bool,
    /// Reading was told to end.
    pub(super) ending: bool,
}

/// What stands beside the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pane {
    /// The points and the numbers.
    Numbers,
    /// Everything about the number under the cursor.
    Details,
    /// What a reader must know before trusting the rest.
    Warnings,
    /// The keys.
    Help,
}

/// What a key asks of the one who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing: it was the view's business, or nobody's.
    Nothing,
    /// End the reading and report.
    End,
    /// What Ctrl-C does where there is no view: interrupt this process and its companions.
    Interrupt,
}

impl View {
    /// A view that has been shown nothing. Without colour the signs alone tell the verdicts apart.
    #[must_use]
    pub fn new(color: bool) -> Self {
        Self {
            palette: Palette { color },
            look: None,
            rates: Rates::default(),
            cursor: 0,
            direction: 0,
            sort: Sort::Worst,
            all: false,
            pane: Pane::Numbers,
            details_of: None,
            scrolled: 0,
            paused: false,
            ending: false,
        }
    }

    /// Takes what is known now, unless the display is paused.
    pub fn update(&mut self, look: Look) {
        if self.paused {
            return;
        }
        self.rates.note(&look);
        self.look = Some(look);
    }

    /// Tells that reading is coming to its end.
    pub fn end(&mut self) {
        self.ending = true;
    }

    /// The number whose packets are worth giving with the next look, if any are shown.
    #[must_use]
    pub fn watched(&self) -> Option<u8> {
        self.details_of
    }

    /// The direction that is shown.
    pub(super) fn direction(&self) -> Option<&Direction> {
        let directions = &self.look.as_ref()?.findings.directions;
        directions
            .get(self.direction)
            .or_else(|| directions.first())
    }

    /// Does what a key stands for.
    pub fn key(&mut self, key: KeyEvent) -> Action {
        if key.kind == KeyEventKind::Release {
            return Action::Nothing;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Action::Interrupt,
                _ => Action::Nothing,
            };
        }
        match key.code {
            KeyCode::Char('q') => return Action::End,
            KeyCode::Esc if self.pane == Pane::Numbers => return Action::End,
            KeyCode::Esc => self.show(Pane::Numbers),
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('a') => self.all = !self.all,
            KeyCode::Char('r') => self.turn(),
            KeyCode::Char('n') => self.jump(true),
            KeyCode::Char('N') => self.jump(false),
            KeyCode::Enter => self.toggle(Pane::Details),
            KeyCode::Char('w') => self.toggle(Pane::Warnings),
            KeyCode::Char('?' | 'h') => self.toggle(Pane::Help),
            KeyCode::Left => self.move_by(-1),
            KeyCode::Right => self.move_by(1),
            KeyCode::Up => self.move_by(-16),
            KeyCode::Down => self.move_by(16),
            KeyCode::PageUp => self.scrolled = self.scrolled.saturating_sub(PAGE),
            KeyCode::PageDown => self.scrolled = self.scrolled.saturating_add(PAGE),
            _ => {}
        }
        Action::Nothing
    }

    fn show(&mut self, pane: Pane) {
        self.pane = pane;
        self.scrolled = 0;
    }

    fn toggle(&mut self, pane: Pane) {
        self.show(if self.pane == pane {
            Pane::Numbers
        } else {
            pane
        });
    }

    /// Shows the other direction, if there is one.
    fn turn(&mut self) {
        let directions = self
            .look
            .as_ref()
            .map_or(0, |look| look.findings.directions.len());
        self.direction = (self.direction + 1) % directions.max(1);
        self.scrolled = 0;
    }

    /// Moves the cursor over the map, whose end is followed by its beginning.
    fn move_by(&mut self, steps: i8) {
        self.cursor = self.cursor.wrapping_add_signed(steps);
        self.scrolled = 0;
    }

    /// Moves the cursor to the next number in the list, or the one before.
    fn jump(&mut self, forward: bool) {
        let Some(direction) = self.direction() else {
            return;
        };
        let listed = sort::listed(direction, self.sort, self.all);
        let mut numbers: Vec<u8> = listed
            .iter()
            .filter_map(|protocol| u8::try_from(protocol.protocol).ok())
            .collect();
        // Number 17 may be there twice, with the control.
        numbers.dedup();
        let at = numbers.iter().position(|&number| number == self.cursor);
        let to = match (at, forward) {
            (None, true) => 0,
            (None, false) => numbers.len().saturating_sub(1),
            (Some(at), true) => (at + 1) % numbers.len(),
            (Some(at), false) => (at + numbers.len() - 1) % numbers.len(),
        };
        if let Some(&number) = numbers.get(to) {
            self.cursor = number;
            self.scrolled = 0;
        }
    }
}

/// Lines that a page key scrolls.
const PAGE: usize = 8;
