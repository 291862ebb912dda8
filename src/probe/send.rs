//! The article's client: one packet a protocol number, a raw socket for each.
//!
//! What is sent in an order that repeats cannot be told from what happens at certain times: an outage
//! or a rate limit looks like a range of numbers. So each round has its own order, and the control goes
//! before or after its number, both drawn from a seed. A control a second beside it all keeps the
//! receiver's capture provably alive, and compares its clock, where every number is dropped.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use socket2::{Domain, Socket};

use super::{
    Error, Interrupt, IpOptions,
    socket::{self, Refused},
};
use crate::{
    hdp::{self, Header},
    log::{Call, Origin, Prefix, SendStart, SentPacket},
    protocols::{Carrier, List},
    source,
};

/// Bytes of payload that fit into an IPv4 datagram behind its header and HDP's.
pub const MAX_PAYLOAD: usize = u16::MAX as usize - IPV4_HEADER_LEN - Header::LEN;

pub(super) const IPV4_HEADER_LEN: usize = 20;
pub(super) const IPV6_HEADER_LEN: usize = 40;
pub(super) const UDP_HEADER_LEN: usize = 8;

/// IANA's number for UDP, under which the control travels.
pub(super) const UDP: u8 = 17;

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
    /// What the IP header is to hold.
    pub ip: IpOptions,
    /// What follows the HDP header.
    pub payload: Vec<u8>,
    /// Whether each probe has a [`Probe::Control`] beside it, half an interval before or behind.
    pub control: bool,
    /// In which order the numbers of a round are sent.
    pub order: Order,
    /// Whether a [`Probe::Heartbeat`] is sent once a second.
    pub heartbeat: bool,
}

/// In which order the numbers of a round are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Rising, each control behind its number.
    Rising,
    /// Another one in each round, and controls before or behind their numbers, all drawn from this
    /// seed.
    Shuffled(u64),
}

/// A heartbeat is sent so often.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The first and the last one lie so far from all else: what comes near to the ends of a capture cannot
/// be judged, and they may be all that is in it.
const MARGIN: Duration = Duration::from_millis(200);

/// What a packet was meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// HDP straight on IP under the requested number, which may exceed 255.
    Number(u16),
    /// The control: HDP inside a valid UDP datagram to port [`hdp::PORT`].
    Control,
    /// The same, sent whatever else is.
    Heartbeat,
}

impl Probe {
    /// The number in the IP header: systems put the low 8 bits of a request there.
    #[must_use]
    pub fn on_the_wire(self) -> u8 {
        match self {
            Self::Number(requested) => requested.to_le_bytes()[0],
            Self::Control | Self::Heartbeat => UDP,
        }
    }

    /// The number that was asked for.
    #[must_use]
    pub fn requested(self) -> u16 {
        match self {
            Self::Number(requested) => requested,
            Self::Control | Self::Heartbeat => UDP.into(),
        }
    }

    /// What HDP rides on.
    #[must_use]
    pub fn carrier(self) -> Carrier {
        match self {
            Self::Number(_) => Carrier::Ip,
            Self::Control | Self::Heartbeat => Carrier::Udp,
        }
    }
}

/// One packet that was to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// What it was meant to be.
    pub probe: Probe,
    /// The timestamp in it, read immediately before the call, in ns since the Unix epoch; where
    /// there is no socket to call with, when its turn came.
    pub timestamp_ns: u64,
    /// The article's byte sum: the length of the IP datagram with its header, before any
    /// fragmentation.
    pub byte_sum: u32,
    /// What came of it on this host.
    pub result: Result<(), Refused>,
}

/// A schedule with its sockets open.
#[derive(Debug)]
pub struct Sender {
    schedule: Schedule,
    /// A raw socket for each requested number, rising.
    numbers: Vec<(u16, Result<Socket, Refused>)>,
    /// The socket of controls and heartbeats, if the schedule asks for either.
    control: Option<Result<Socket, Refused>>,
    source: Option<IpAddr>,
    ttl: Option<u8>,
}

impl Sender {
    /// Opens a socket for each number. One that cannot be opened shows in every round's
    /// [`Attempt`].
    ///
    /// # Errors
    /// [`Error::NotPermitted`] when no number's socket opened for want of permission;
    /// [`Error::Source`] when no packet can have the source address that was asked for.
    pub fn open(schedule: Schedule) -> Result<Self, Error> {
        let domain = Domain::for_address(schedule.destination);
        if let Some(source) = schedule.ip.source {
            socket::check_source(source).map_err(|refused| Error::Source {
                address: source,
                refused,
            })?;
        }
        socket::allow_many();
        let numbers: Vec<_> = schedule
            .protocols
            .iter()
            .map(|requested| {
                let socket = socket::raw_sender(domain, requested, &schedule.ip);
                (requested, socket)
            })
            .collect();
        Error::check_permission(numbers.iter().map(|(_, socket)| socket))?;
        let control = (schedule.control || schedule.heartbeat)
            .then(|| socket::udp_sender(domain, &schedule.ip));
        let destination = schedule.destination.ip();
        let ttl = numbers
            .iter()
            .find_map(|(_, socket)| socket::ttl(socket.as_ref().ok()?, destination));
        Ok(Self {
            source: socket::source_for(schedule.destination, &schedule.ip),
            ttl,
            schedule,
            numbers,
            control,
        })
    }

    /// The log's first line.
    #[must_use]
    pub fn start(&self) -> SendStart {
        SendStart {
            origin: Origin::here(source::now_ns()),
            destination: self.schedule.destination.ip(),
            planned: self.planned(),
            seed: match self.schedule.order {
                Order::Rising => None,
                Order::Shuffled(seed) => Some(seed),
            },
        }
    }

    /// Packets that the schedule has, with controls, without heartbeats.
    #[must_use]
    pub fn planned(&self) -> u64 {
        let probes = self.numbers.len() as u64 * u64::from(self.schedule.rounds);
        probes * if self.schedule.control { 2 } else { 1 }
    }

    /// Sends the whole schedule and tells `each` of every packet as it goes. Returns whether it
    /// was interrupted before the end.
    ///
    /// # Errors
    /// Those of waiting, and what `each` returns, which ends the run.
    pub fn run(
        &self,
        interrupt: &Interrupt,
        mut each: impl FnMut(Attempt) -> io::Result<()>,
    ) -> io::Result<bool> {
        let mut packet = vec![0; Header::LEN];
        packet.extend_from_slice(&self.schedule.payload);
        let control = self.control.as_ref();
        let pause = self.schedule.interval / if self.schedule.control { 2 } else { 1 };
        let mut beats = Beats {
            sender: self,
            interrupt,
            socket: control.filter(|_| self.schedule.heartbeat),
            next: Instant::now(),
        };
        let mut random = match self.schedule.order {
            Order::Rising => None,
            Order::Shuffled(seed) => Some(fastrand::Rng::with_seed(seed)),
        };
        let margin = if self.schedule.heartbeat {
            MARGIN
        } else {
            Duration::ZERO
        };
        let mut due = Instant::now() + margin;
        let mut round: Vec<&(u16, Result<Socket, Refused>)> = self.numbers.iter().collect();
        for _ in 0..self.schedule.rounds {
            if let Some(random) = &mut random {
                random.shuffle(&mut round);
            }
            for (requested, socket) in &round {
                let number = Some((Probe::Number(*requested), socket));
                let control = control.filter(|_| self.schedule.control);
                let mut probes = [number, control.map(|socket| (Probe::Control, socket))];
                if random.as_mut().is_some_and(fastrand::Rng::bool) {
                    probes.reverse();
                }
                for (probe, socket) in probes.into_iter().flatten() {
                    if beats.until(due, &mut packet, &mut each)? {
                        return Ok(true);
                    }
                    each(self.attempt(probe, socket, &mut packet))?;
                    due = Instant::now() + pause;
                }
            }
        }
        beats.last(pause, &mut packet, &mut each)
    }

    /// The line that the log holds of an attempt.
    #[must_use]
    pub fn record(&self, attempt: &Attempt) -> SentPacket {
        let refused = attempt.result.err();
        SentPacket {
            requested: attempt.probe.requested(),
            protocol: attempt.result.is_ok().then(|| attempt.probe.on_the_wire()),
            carrier: attempt.probe.carrier(),
            call: refused.map(|refused| refused.call),
            errno: refused.map(|refused| refused.errno()),
            name: refused.map(|refused| refused.symbol()),
            timestamp_ns: attempt.timestamp_ns,
            src: self.source,
            dst: self.schedule.destination.ip(),
            srcport: self.schedule.source_port,
            dstport: self.schedule.destination_port,
            ttl: self.ttl,
            dscp: self.schedule.ip.dscp,
            payload_len: u32::try_from(self.schedule.payload.len()).unwrap_or(u32::MAX),
            byte_sum: attempt.byte_sum,
            payload: Prefix::of(&self.schedule.payload),
        }
    }

    fn attempt(
        &self,
        probe: Probe,
        socket: &Result<Socket, Refused>,
        packet: &mut [u8],
    ) -> Attempt {
        let mut destination = self.schedule.destination;
        // IPv6 reads a raw socket's port as a protocol number; 0 leaves the socket's own.
        let (port, udp_header_len) = match probe {
            Probe::Number(_) => (0, 0),
            Probe::Control | Probe::Heartbeat => (hdp::PORT, UDP_HEADER_LEN),
        };
        destination.set_port(port);
        let ip_header_len = match destination {
            SocketAddr::V4(_) => IPV4_HEADER_LEN,
            SocketAddr::V6(_) => IPV6_HEADER_LEN,
        };
        let byte_sum = ip_header_len + udp_header_len + packet.len();
        let destination = destination.into();
        let timestamp_ns = now_ns();
        let header = Header {
            source_port: self.schedule.source_port,
            destination_port: self.schedule.destination_port,
            timestamp_ns,
        };
        packet[..Header::LEN].copy_from_slice(&header.to_bytes());
        let result = match socket {
            Ok(socket) => {
                socket::call(Call::SendTo, socket.send_to(packet, &destination)).map(drop)
            }
            Err(refused) => Err(*refused),
        };
        Attempt {
            probe,
            timestamp_ns,
            byte_sum: u32::try_from(byte_sum).unwrap_or(u32::MAX),
            result,
        }
    }
}

/// What goes on beside the schedule.
struct Beats<'a> {
    sender: &'a Sender,
    interrupt: &'a Interrupt,
    /// None where there are no heartbeats.
    socket: Option<&'a Result<Socket, Refused>>,
    next: Instant,
}

impl Beats<'_> {
    /// Waits, and sends what falls due meanwhile. Returns whether it was interrupted.
    fn until(
        &mut self,
        due: Instant,
        packet: &mut [u8],
        each: &mut impl FnMut(Attempt) -> io::Result<()>,
    ) -> io::Result<bool> {
        while let Some(socket) = self.socket.filter(|_| self.next <= due) {
            if self.wait(self.next)? {
                return Ok(true);
            }
            each(self.sender.attempt(Probe::Heartbeat, socket, packet))?;
            self.next = Instant::now() + HEARTBEAT;
        }
        self.wait(due)
    }

    /// Sends the last one.
    fn last(
        &mut self,
        pause: Duration,
        packet: &mut [u8],
        each: &mut impl FnMut(Attempt) -> io::Result<()>,
    ) -> io::Result<bool> {
        if self.socket.is_none() {
            return Ok(false);
        }
        self.next = Instant::now() + pause.clamp(MARGIN, HEARTBEAT);
        self.until(self.next, packet, each)
    }

    fn wait(&self, due: Instant) -> io::Result<bool> {
        self.interrupt
            .wait(due.saturating_duration_since(Instant::now()))
    }
}

/// The clock that is written into packets; it reads 0 before 1970 and stops in 2554.
pub(super) fn now_ns() -> u64 {
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
}
