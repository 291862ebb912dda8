//! Where along the path did each IP protocol number disappear?
//!
//! HDP is a transport protocol put straight on IP under any protocol number. This library matches its
//! packets between captures from along a path, and finds where each number disappeared:
//!
//! ```no_run
//! let points = hdp::path::points(["client=a.pcap", "b.pcap"])?;
//! let findings = hdp::path::findings(&points, &hdp::path::Options::default())?;
//! print!("{}", hdp::report::json(&findings));
//! # Ok::<(), hdp::path::Error>(())
//! ```
//!
//! [`path`] is the door to all of this. [`dissect`] shows single packets, [`probe`] sends and receives
//! them, [`trace`] finds the hop at which a number disappears, [`report`] writes what was found, [`campaign`] does that for any number of
//! paths. Features: `libpcap` for capture filters and live capture, `parquet` for tables, `cli` for the program and the reports that are
//! drawn for a terminal.
//!
//! Data flows one way, and each stage sees only what the ones before it give:
//!
//! ```text
//! source ──► decode ──► observe ──► correlate ──► judge ──► findings ──► report
//!  Frame     Datagram    Sighting     Journey      Verdict                table | markdown | csv | json | html
//!              └──► dissect ───────────────────────────────────────────► text | tree | jsonl
//!   └─ the files once more, with the findings ──► annotate, explain ───► pcapng | text | json
//! hdp (the protocol, a leaf) ◄── probe (send, listen, loopback) ◄── trace (from the sender alone)
//!   path: points, reading, sessions, sides; the one door to all of this       cli, view: what a person types and sees
//! ```

mod annotate;
pub mod anonymize;
pub mod campaign;
mod capture_file;
#[cfg(feature = "cli")]
pub mod cli;
mod correlate;
pub mod decode;
pub mod diff;
pub mod dissect;
mod duration;
pub mod explain;
pub mod findings;
#[cfg(test)]
mod frames_for_tests;
pub mod hdp;
mod judge;
mod keyed;
pub mod log;
mod observe;
pub mod path;
mod printable;
pub mod probe;
pub mod protocols;
pub mod report;
mod shell;
pub mod source;
#[cfg(feature = "parquet")]
pub mod tables;
pub mod trace;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod view;

/// For `fuzz/`, which compares two ways to the same result.
#[cfg(fuzzing)]
#[doc(hidden)]
pub use observe::BothWays;
