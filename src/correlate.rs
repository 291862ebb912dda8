//! Correlation: sightings of the same packet at several points become one [`Journey`].
//!
//! Packets are matched in the order of the senders' timestamps, by a merge of the points' sorted
//! sightings: no capture clock needs to be known, and nothing is hashed. The timestamp is a key
//! that may repeat; protocol number, ports, length and a digest of the payload break ties.
//! Addresses stay out of it, because translation changes them; so does the IP ID (RFC 6864).
//!
//! Two passes run over the same merge. [`Relations::learn`] finds out which way address pairs
//! travel and how capture times relate; [`journeys`] gives each packet's journey. What became of
//! a packet is [`crate::judge`]'s business.

mod merge;
mod relations;

pub use merge::{Journey, Seen, journeys};
pub use relations::{Offsets, Relations, Way};
