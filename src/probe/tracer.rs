//! The sockets of a trace: whole IP datagrams out, and whatever may be an answer in.
//!
//! One raw socket sends under every number, since the IP header is written by the caller: so a probe has
//! the TTL and the identification that it is to be known by. ICMP errors come from anybody; packets under
//! the numbers themselves are taken from the destination only.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    ops::Range,
    time::Duration,
};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use socket2::{Domain, Protocol, Socket, Type};

use super::{
    Error, Interrupt, IpOptions, Refused,
    ear::{Buffers, Ear},
    socket::{self, call},
};
use crate::{decode::number, log::Call};

/// The number of a raw socket that only sends (`IPPROTO_RAW`).
const RAW: i32 = 255;

/// Sockets that are looked at in one round.
const READY: usize = 64;

/// The token of [`Interrupt`] among the sockets' indices.
const INTERRUPT: u64 = u64::MAX;

/// Sockets that send probes and take answers.
#[derive(Debug)]
pub struct Tracer {
    source: IpAddr,
    destination: SocketAddr,
    out: Socket,
    ears: Vec<Ear>,
    /// Hold the control's ports, so that the system does not answer replies to it.
    _ports: Vec<Socket>,
    epoll: Epoll,
    buffers: Buffers,
}

impl Tracer {
    /// Opens all sockets. Answers under a number that the system hands to nobody are not seen.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] for want of permission; [`Error::Source`] when no packet can have the
    /// source address that was asked for; [`Error::NoRoute`] without a way to the destination;
    /// [`Error::System`] when the sockets cannot be watched.
    pub fn open(
        destination: SocketAddr,
        numbers: &[u8],
        options: &IpOptions,
        control_ports: Range<u16>,
        interrupt: &Interrupt,
    ) -> Result<Self, Error> {
        if let Some(address) = options.source {
            socket::check_source(address).map_err(|refused| Error::Source { address, refused })?;
        }
        socket::allow_many();
        let domain = Domain::for_address(destination);
        let (version, icmp) = match destination {
            SocketAddr::V4(_) => (4, number::ICMP),
            SocketAddr::V6(_) => (6, number::ICMPV6),
        };
        let out = call(
            Call::Socket,
            Socket::new(domain, Type::RAW, Some(Protocol::from(RAW))),
        );
        let icmp_ear = Ear::open(version, icmp);
        Error::check_permission(std::iter::once(&icmp_ear))?;
        let out =
            out.map_err(|refused| Error::System(io::Error::from_raw_os_error(refused.errno())))?;
        let source =
            socket::source_for(destination, options).ok_or(Error::NoRoute(destination.ip()))?;
        let mut ears = vec![
            icmp_ear
                .map_err(|refused| Error::System(io::Error::from_raw_os_error(refused.errno())))?,
        ];
        let others = numbers.iter().copied().chain([number::UDP]);
        let mut others: Vec<u8> = others.filter(|other| *other != icmp).collect();
        others.sort_unstable();
        others.dedup();
        for other in others {
            if let Ok(ear) = Ear::open(version, other)
                && ear.hear_only(destination).is_ok()
            {
                ears.push(ear);
            }
        }
        let hold = |port| {
            let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP)).ok()?;
            socket.set_recv_buffer_size(0).ok()?;
            socket.bind(&SocketAddr::from((source, port)).into()).ok()?;
            Some(socket)
        };
        let watch = || {
            let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
            epoll.add(interrupt, EpollEvent::new(EpollFlags::EPOLLIN, INTERRUPT))?;
            for (index, ear) in (0..).zip(&ears) {
                epoll.add(ear, EpollEvent::new(EpollFlags::EPOLLIN, index))?;
            }
            nix::Result::Ok(epoll)
        };
        let epoll = watch().map_err(|errno| Error::System(errno.into()))?;
        Ok(Self {
            source,
            destination,
            out,
            ears,
            _ports: control_ports.filter_map(hold).collect(),
            epoll,
            buffers: Buffers::default(),
        })
    }

    /// The address that probes come from.
    #[must_use]
    pub fn source(&self) -> IpAddr {
        self.source
    }

    /// Sends an IP datagram with its header; the system writes an IPv4 header's checksum.
    ///
    /// # Errors
    /// [`Refused`] where the system does not take it.
    pub fn send(&self, datagram: &[u8]) -> Result<(), Refused> {
        let mut destination = self.destination;
        // IPv6 reads a raw socket's port as a protocol number.
        destination.set_port(0);
        call(
            Call::SendTo,
            self.out.send_to(datagram, &destination.into()),
        )
        .map(drop)
    }

    /// Waits up to `timeout` or until interrupted, and tells `each` of every datagram that came: when,
    /// in ns since the epoch, and its bytes with the IP header.
    ///
    /// # Errors
    /// Those of `epoll_wait(2)` and `recvmsg(2)`, and what `each` returns.
    pub fn receive(
        &mut self,
        timeout: Duration,
        mut each: impl FnMut(i64, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut ready = [EpollEvent::empty(); READY];
        let timeout = EpollTimeout::try_from(timeout).unwrap_or(EpollTimeout::MAX);
        let count = match self.epoll.wait(&mut ready, timeout) {
            Ok(count) => count,
            Err(nix::errno::Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for event in &ready[..count] {
            let index = usize::try_from(event.data()).unwrap_or(usize::MAX);
            let Some(ear) = self.ears.get(index) else {
                continue;
            };
            loop {
                match ear.receive(&mut self.buffers) {
                    Ok(Some(arrival)) => each(arrival.time_ns, arrival.bytes)?,
                    Ok(None) => break,
                    // An ICMP error about a packet to the one peer; the first socket has it whole.
                    Err(_) if index > 0 => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}
