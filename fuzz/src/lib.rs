//! What the targets share: scenes made from bytes, files for the front door, and what must hold of all
//! findings.

#[allow(dead_code, unreachable_pub, reason = "the tests' own; the targets use a part of it")]
#[path = "../../tests/support"]
mod support {
    pub mod capture;
    pub mod frames;
}

mod files;
mod frames;
mod invariants;
mod scene;

pub use files::{Files, Folder, pcap, two_files};
pub use frames::{Made, made_frames};
pub use invariants::{Counts, counts, hold, orders_agree, readings_agree, twice_loses_nothing};
pub use scene::{Errors, Scene};
pub use support::{
    capture::{ByteOrder, Capture, Format, Interface, OwnedFrame, PacketBlock, Resolution},
    frames::Packet,
};

/// 2026-11-22T12:00:00Z, ns since the epoch.
pub const START_NS: i64 = 1_795_348_800_000_000_000;
