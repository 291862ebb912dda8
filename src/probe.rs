//! Probe: HDP put on the wire from this host, under chosen protocol numbers.
//!
//! The module promises that what goes wrong for one number is data ([`Refused`]) and never keeps
//! the next number from being tried, and that the timestamp in a packet was read immediately
//! before the call that sent it. Sockets live here and nowhere else.
//!
//! It deliberately does not listen, and it does not know what becomes of a packet: that a system
//! call took it says nothing of the wire.

mod send;

pub use send::{Attempt, Call, Error, MAX_PAYLOAD, Probe, Refused, Schedule, Sender, Sent};
