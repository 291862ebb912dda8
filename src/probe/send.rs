//! The article's client: one packet a protocol number, a raw socket for each.
//!
//! What leaves is not always what was handed over. Over IPv6, Linux writes the checksum of two
//! protocols into HDP: under 58 (`ICMPv6`) over bytes 2-3, the destination port; under 135
//! (Mobility Header, RFC 6275) over bytes 4-5, the upper part of the timestamp. Measured on Linux
//! 6.18.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    hdp::{self, Header},
    protocols::List,
};

/// Bytes of payload that fit into an IPv4 datagram behind its header and HDP's.
pub const MAX_PAYLOAD: usize = u16::MAX as usize - IPV4_HEADER_LEN - Header::LEN;

const IPV4_HEADER_LEN: usize = 20;
const IPV6_HEADER_LEN: usize = 40;
const UDP_HEADER_LEN: usize = 8;

/// IANA's number for UDP, under which the control travels.
const UDP: u8 = 17;

/// The only number for which systems expect the caller to write the IP header (`IPPROTO_RAW`).
const RAW: u16 = 255;

/// What to send, where to, and how fast.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Where to; the port is without meaning.
    pub destination: SocketAddr,
    /// The numbers of one round.
    pub protocols: List,
    /// Rounds over the list.
    pub rounds: u32,
    /// Pause between two probes. ICMP errors are rate-limited by whoever sends them: a fast sweep
    /// goes unanswered.
    pub interval: Duration,
    /// Source port in the HDP header.
    pub source_port: u16,
    /// Destination port in the HDP header.
    pub destination_port: u16,
    /// What follows the HDP header.
    pub payload: Vec<u8>,
    /// Whether each probe is followed by [`Probe::Control`].
    pub control: bool,
}

/// What a packet was meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// HDP straight on IP under the requested number, which may exceed 255.
    Number(u16),
    /// The control: HDP inside a valid UDP datagram between ports [`hdp::PORT`], sent at the same
    /// moment and without pause.
    Control,
}

impl Probe {
    /// The number in the IP header: systems put the low 8 bits of a request there.
    #[must_use]
    pub fn on_the_wire(self) -> u8 {
        match self {
            Self::Number(requested) => requested.to_le_bytes()[0],
            Self::Control => UDP,
        }
    }
}

/// One packet that was to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// What it was meant to be.
    pub probe: Probe,
    /// What came of it on this host.
    pub result: Result<Sent, Refused>,
}

/// A packet that the operating system took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// The timestamp that was written into it: ns since the Unix epoch.
    pub timestamp_ns: u64,
    /// The article's byte sum: the length of the IP datagram with its header, before any
    /// fragmentation.
    pub total_len: usize,
}

/// A system call that did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}: {} ({}): {}", .call.name(), self.symbol(), self.errno(), .errno.desc())]
pub struct Refused {
    /// Which one.
    pub call: Call,
    errno: Errno,
}

impl Refused {
    fn new(call: Call, error: &io::Error) -> Self {
        Self {
            call,
            errno: Errno::from_raw(error.raw_os_error().unwrap_or(0)),
        }
    }

    /// The error number on this system, as in `errno(3)`.
    #[must_use]
    pub fn errno(&self) -> i32 {
        self.errno as i32
    }

    /// Its symbol, such as `EPROTONOSUPPORT`.
    #[must_use]
    pub fn symbol(&self) -> String {
        format!("{:?}", self.errno)
    }
}

/// The system calls on a packet's way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Opening the socket.
    Socket,
    /// Switching off `IP_HDRINCL`.
    SetSockOpt,
    /// Taking the control's source port.
    Bind,
    /// Sending.
    SendTo,
}

impl Call {
    /// The call as the manual's section 2 names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::SetSockOpt => "setsockopt",
            Self::Bind => "bind",
            Self::SendTo => "sendto",
        }
    }
}

/// Why nothing can be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process may not open raw sockets (`CAP_NET_RAW` on Linux, root elsewhere).
    #[error(
        "raw sockets: Operation not permitted: run as root (sudo) or grant it: \
         sudo setcap cap_net_raw+ep $(command -v hdp)"
    )]
    NotPermitted,
}

/// A schedule with its sockets open.
#[derive(Debug)]
pub struct Sender {
    schedule: Schedule,
    /// A raw socket for each requested number, rising.
    numbers: Vec<(u16, Result<Socket, Refused>)>,
    /// The control's socket, if the schedule asks for it.
    control: Option<Result<Socket, Refused>>,
}

impl Sender {
    /// Opens a socket for each number. One that cannot be opened shows in every round's
    /// [`Attempt`].
    ///
    /// # Errors
    /// [`Error::NotPermitted`] when no number's socket opened for want of permission.
    pub fn open(schedule: Schedule) -> Result<Self, Error> {
        let domain = Domain::for_address(schedule.destination);
        let numbers: Vec<_> = schedule
            .protocols
            .iter()
            .map(|requested| (requested, raw_socket(domain, requested)))
            .collect();
        // Systems look at some numbers before they look at the permission: not all need say EPERM.
        let lacks_permission = |refused: &Refused| refused.errno == Errno::EPERM;
        if numbers.iter().all(|(_, socket)| socket.is_err())
            && numbers
                .iter()
                .any(|(_, socket)| socket.as_ref().is_err_and(lacks_permission))
        {
            return Err(Error::NotPermitted);
        }
        let control = schedule.control.then(|| udp_socket(domain));
        Ok(Self {
            schedule,
            numbers,
            control,
        })
    }

    /// Sends the whole schedule and tells `each` of every packet as it goes.
    ///
    /// # Errors
    /// Only what `each` returns, which ends the run.
    pub fn run(&self, mut each: impl FnMut(Attempt) -> io::Result<()>) -> io::Result<()> {
        let mut packet = vec![0; Header::LEN];
        packet.extend_from_slice(&self.schedule.payload);
        let mut pause = Duration::ZERO;
        for _ in 0..self.schedule.rounds {
            for (requested, socket) in &self.numbers {
                thread::sleep(pause);
                pause = self.schedule.interval;
                let probe = Probe::Number(*requested);
                each(self.attempt(probe, socket, &mut packet))?;
                if let Some(socket) = &self.control {
                    each(self.attempt(Probe::Control, socket, &mut packet))?;
                }
            }
        }
        Ok(())
    }

    fn attempt(
        &self,
        probe: Probe,
        socket: &Result<Socket, Refused>,
        packet: &mut [u8],
    ) -> Attempt {
        let result = match socket {
            Ok(socket) => self.send(probe, socket, packet),
            Err(refused) => Err(*refused),
        };
        Attempt { probe, result }
    }

    fn send(&self, probe: Probe, socket: &Socket, packet: &mut [u8]) -> Result<Sent, Refused> {
        let mut destination = self.schedule.destination;
        // IPv6 reads a raw socket's port as a protocol number; 0 leaves the socket's own.
        let (port, udp_header_len) = match probe {
            Probe::Number(_) => (0, 0),
            Probe::Control => (hdp::PORT, UDP_HEADER_LEN),
        };
        destination.set_port(port);
        let ip_header_len = match destination {
            SocketAddr::V4(_) => IPV4_HEADER_LEN,
            SocketAddr::V6(_) => IPV6_HEADER_LEN,
        };
        let destination = destination.into();
        let timestamp_ns = now_ns();
        let header = Header {
            source_port: self.schedule.source_port,
            destination_port: self.schedule.destination_port,
            timestamp_ns,
        };
        packet[..Header::LEN].copy_from_slice(&header.to_bytes());
        socket
            .send_to(packet, &destination)
            .map_err(|error| Refused::new(Call::SendTo, &error))?;
        Ok(Sent {
            timestamp_ns,
            total_len: ip_header_len + udp_header_len + packet.len(),
        })
    }
}

fn raw_socket(domain: Domain, requested: u16) -> Result<Socket, Refused> {
    let socket = Socket::new(
        domain,
        Type::RAW,
        Some(Protocol::from(i32::from(requested))),
    )
    .map_err(|error| Refused::new(Call::Socket, &error))?;
    if requested == RAW {
        match domain {
            Domain::IPV4 => socket.set_header_included_v4(false),
            _ => socket.set_header_included_v6(false),
        }
        .map_err(|error| Refused::new(Call::SetSockOpt, &error))?;
    }
    Ok(socket)
}

fn udp_socket(domain: Domain) -> Result<Socket, Refused> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))
        .map_err(|error| Refused::new(Call::Socket, &error))?;
    let any: IpAddr = match domain {
        Domain::IPV4 => Ipv4Addr::UNSPECIFIED.into(),
        _ => Ipv6Addr::UNSPECIFIED.into(),
    };
    socket
        .bind(&SocketAddr::from((any, hdp::PORT)).into())
        .map_err(|error| Refused::new(Call::Bind, &error))?;
    Ok(socket)
}

/// The clock that is written into packets; it reads 0 before 1970 and stops in 2554.
fn now_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_carries_the_low_8_bits_of_a_request_and_17_for_the_control() {
        assert_eq!(Probe::Number(255).on_the_wire(), 255);
        assert_eq!(Probe::Number(256).on_the_wire(), 0);
        assert_eq!(Probe::Number(262).on_the_wire(), 6);
        assert_eq!(Probe::Control.on_the_wire(), 17);
    }

    #[test]
    fn a_refusal_names_the_call_and_the_error_by_number_and_symbol() {
        let refused = Refused::new(Call::Socket, &Errno::EPROTONOSUPPORT.into());
        assert_eq!(refused.errno(), Errno::EPROTONOSUPPORT as i32);
        assert_eq!(refused.symbol(), "EPROTONOSUPPORT");
        assert_eq!(
            refused.to_string(),
            format!(
                "socket: EPROTONOSUPPORT ({}): Protocol not supported",
                refused.errno()
            )
        );
    }
}
