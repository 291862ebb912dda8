//! Which numbers are listed, and in which order.

use crate::findings::{Direction, Protocol, Verdict};

/// What the list begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// The verdict that needs most attention, then the number.
    Worst,
    /// The most packets lost.
    Lost,
    /// The smallest number.
    Number,
}

impl Sort {
    /// The next in turn.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Worst => Self::Lost,
            Self::Lost => Self::Number,
            Self::Number => Self::Worst,
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Worst => "worst first",
            Self::Lost => "most lost first",
            Self::Number => "by number",
        }
    }
}

/// The numbers in that order; without `all`, those that did not pass.
pub(super) fn listed(direction: &Direction, sort: Sort, all: bool) -> Vec<&Protocol> {
    let mut listed: Vec<&Protocol> = direction
        .protocols
        .iter()
        .filter(|protocol| all || protocol.verdict != Verdict::Passes)
        .collect();
    // The sorts are stable: what is equal stays in the order of the numbers.
    match sort {
        Sort::Number => {}
        Sort::Lost => listed.sort_by_key(|protocol| std::cmp::Reverse(protocol.lost)),
        Sort::Worst => listed.sort_by_key(|protocol| severity(protocol.verdict)),
    }
    listed
}

fn severity(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Blocked => 0,
        Verdict::CutOff => 1,
        Verdict::Lossy => 2,
        Verdict::Refused => 3,
        Verdict::Inconclusive => 4,
        Verdict::Passes => 5,
    }
}
