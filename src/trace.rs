//! Trace: at which hop each protocol number disappears, from the sender alone.
//!
//! The control, HDP inside a valid UDP datagram with a rising TTL, draws the path; each number is then
//! sent to the hops that answer the control, until its silence at one of them cannot be luck.
//!
//! The module promises that a run and a capture of it are judged alike: both are nothing but datagrams
//! to it. It names no hop that the control did not reach, and says *between* two hops, never *by* one: a
//! router may drop before or after it looks at the TTL (RFC 7872).
//!
//! It deliberately does not know the way back: errors about all numbers are ICMP and come back alike,
//! which the control shows. What a destination does with a number that it never answers, it cannot know.

#[cfg(target_os = "linux")]
mod datagram;
mod exchange;
mod packet;
mod picture;
#[cfg(target_os = "linux")]
mod plan;
mod read;
#[cfg(target_os = "linux")]
mod run;
#[cfg(all(test, target_os = "linux"))]
mod tests;
mod verdict;

use std::collections::BTreeMap;

use crate::findings::trace::TraceReason;
use picture::Subject;

#[cfg(target_os = "linux")]
pub use plan::Progress;
pub use read::{Error, read};
#[cfg(target_os = "linux")]
pub use run::{LARGEST_SOURCE_PORT, Options, Run};

/// What the sender's system refused, with the reason that says so.
type Refusals = BTreeMap<Subject, TraceReason>;
