//! The live view: the findings so far, while interfaces and pipes are still being read.
//!
//! On a terminal [`View`] draws them in place and answers to keys; elsewhere [`Changes`] tells each
//! change of a verdict in a line. Both are given a [`Look`] at a time, and neither reads a clock,
//! the environment or a packet: the same looks and keys give the same screens. [`Screen`] is the
//! terminal itself, which gets back what it had whatever ends the process.
//!
//! The module deliberately does not know how findings come about while packets arrive, nor what a
//! report says when all is over ([`crate::report`]).

mod changes;
#[cfg(feature = "view")]
mod details;
#[cfg(feature = "view")]
mod draw;
#[cfg(feature = "view")]
mod glyph;
#[cfg(feature = "view")]
mod map;
#[cfg(feature = "view")]
mod numbers;
#[cfg(feature = "view")]
mod points;
#[cfg(feature = "view")]
mod rates;
#[cfg(feature = "view")]
mod screen;
#[cfg(feature = "view")]
mod sort;
#[cfg(feature = "view")]
mod state;

#[cfg(all(test, feature = "view"))]
mod tests;

use std::time::Duration;

use crate::findings::{Findings, Packet};

pub use changes::Changes;
#[cfg(feature = "view")]
pub use screen::Screen;
#[cfg(feature = "view")]
pub use state::{Action, View};

/// What is known at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Time since reading began.
    pub elapsed: Duration,
    /// The findings so far.
    pub findings: Findings,
    /// The last packets of single numbers with their fates, the newest last; of numbers that nobody
    /// looks at there need be none.
    pub packets: Vec<Packet>,
}
