//! A colour for each verdict, beside the sign that alone tells them apart ([`sign`](crate::report::sign)).

use ratatui::style::{Color, Modifier, Style};

use crate::findings::{Grade, Verdict};

/// How things look: with colours, or with what every terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Palette {
    pub(super) color: bool,
}

impl Palette {
    /// A verdict; a certain one is bold.
    pub(super) fn verdict(self, verdict: Verdict, grade: Option<Grade>) -> Style {
        let style = self.foreground(match verdict {
            Verdict::Passes => Color::Green,
            Verdict::Lossy => Color::Yellow,
            Verdict::CutOff => Color::Magenta,
            Verdict::Blocked => Color::Red,
            Verdict::Refused => Color::Blue,
            Verdict::Inconclusive => Color::Cyan,
        });
        if grade == Some(Grade::Certain) && verdict != Verdict::Passes {
            style.add_modifier(Modifier::BOLD)
        } else {
            style
        }
    }

    /// What needs attention.
    pub(super) fn warning(self) -> Style {
        self.foreground(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    fn foreground(self, color: Color) -> Style {
        if self.color {
            Style::new().fg(color)
        } else {
            Style::new()
        }
    }
}

/// What is there for orientation only.
pub(super) fn quiet() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

/// A heading.
pub(super) fn strong() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}
