//! Findings as tables in Apache Parquet, for engines that read columns: a row for each path that was
//! judged ([`Runs`]), for each direction and protocol number ([`Verdicts`]), for each packet ([`Packets`]).
//!
//! Nothing is unsigned, and no time has nanoseconds as a type, which Spark refuses: beside each `*_ns`, an
//! integer, stands the same time in microseconds, as a timestamp in UTC. Names are those of the JSON,
//! flat; `from` and `to`, which SQL keeps for itself, are `from_point` and `to_point`. New columns come
//! last. What is unknown is null.
//!
//! The module deliberately knows nothing of files but how to fill one: where they lie, and when they are
//! complete, is up to its user.

mod background;
mod columns;
mod file;
mod packets;
mod runs;
mod verdicts;

pub use background::Background;
pub use columns::Context;
pub use file::{Error, Table};
pub use packets::{ManyPackets, Packets};
pub use runs::{Run, Runs};
pub use verdicts::{VerdictOf, Verdicts};
