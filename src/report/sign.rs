//! A sign for each verdict: what tells them apart where there is no colour.

use crate::findings::{Verdict, trace::TraceVerdict};

/// The verdicts in the order of a legend, the best first.
pub(crate) const VERDICTS: [Verdict; 6] = [
    Verdict::Passes,
    Verdict::Lossy,
    Verdict::CutOff,
    Verdict::Blocked,
    Verdict::Refused,
    Verdict::Inconclusive,
];

/// What stands for a number of which nothing was seen.
pub(crate) const UNSEEN: &str = "·";

/// What stands for a verdict.
pub(crate) fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passes => "o",
        Verdict::Lossy => "~",
        Verdict::CutOff => "/",
        Verdict::Blocked => "X",
        Verdict::Refused => "!",
        Verdict::Inconclusive => "?",
    }
}

/// The verdict on a path that a trace's is like, and shares its sign with.
pub(crate) fn like(verdict: TraceVerdict) -> Verdict {
    match verdict {
        TraceVerdict::Reaches => Verdict::Passes,
        TraceVerdict::Disappears => Verdict::Blocked,
        TraceVerdict::Inconclusive => Verdict::Inconclusive,
        TraceVerdict::Refused => Verdict::Refused,
    }
}
