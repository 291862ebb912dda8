//! Probe: HDP put on the wire from this host under chosen protocol numbers, and what this host
//! hands to an application that listens for it.
//!
//! The module promises that what goes wrong for one number is data ([`Refused`]) and never keeps
//! the next number from being tried, that the timestamp in a packet was read immediately before
//! the call that sent it, and that a packet costs no allocation. Sockets live here and nowhere
//! else; what both ends did they write into logs ([`crate::log`]).
//!
//! It deliberately does not know what becomes of a packet between the two ends: that a system call
//! took it says nothing of the wire.

#[cfg(target_os = "linux")]
mod ear;
mod interrupt;
#[cfg(target_os = "linux")]
mod listen;
pub mod loopback;
mod privileges;
mod send;
mod socket;
#[cfg(target_os = "linux")]
mod tracer;

use std::{io, net::IpAddr};

pub use interrupt::Interrupt;
#[cfg(target_os = "linux")]
pub use listen::{Event, Listener, Received, Round, Subject};
pub use privileges::drop_capabilities;
pub use send::{Attempt, MAX_PAYLOAD, Order, Probe, Schedule, Sender};
pub use socket::{IpOptions, Refused};
#[cfg(target_os = "linux")]
pub use tracer::Tracer;

/// Why nothing can be sent or received at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process may not open raw sockets (`CAP_NET_RAW` on Linux, root elsewhere).
    #[error(
        "raw sockets: Operation not permitted: run as root (sudo) or grant it: \
         sudo setcap cap_net_raw+ep $(command -v hdp)"
    )]
    NotPermitted,
    /// This host cannot send from the address.
    #[error("--source {address}: {refused}")]
    Source {
        /// The address that was asked for.
        address: IpAddr,
        /// What the system said.
        refused: Refused,
    },
    /// No socket opened, for reasons that lie in the numbers or in the system.
    #[error("nothing to listen to: this system hands none of these numbers to a raw socket")]
    NothingToHear,
    /// This host knows no way to the destination.
    #[error("{0}: this host has no route to it")]
    NoRoute(IpAddr),
    /// The sockets could not be watched.
    #[error("raw sockets: {0}")]
    System(io::Error),
}

impl Error {
    /// [`Error::NotPermitted`] if no socket opened, and one of them not for want of permission.
    ///
    /// Systems look at some numbers before they look at the permission: not all need say so.
    fn check_permission<'a, T: 'a>(
        sockets: impl Iterator<Item = &'a Result<T, Refused>>,
    ) -> Result<(), Self> {
        let mut not_permitted = false;
        for socket in sockets {
            match socket {
                Ok(_) => return Ok(()),
                Err(refused) => not_permitted |= refused.is_for_want_of_permission(),
            }
        }
        if not_permitted {
            Err(Self::NotPermitted)
        } else {
            Ok(())
        }
    }
}
