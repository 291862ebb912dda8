//! One raw socket that tells what it received, when, and what it dropped.

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, AsRawFd as _, BorrowedFd},
};

use etherparse::Ipv6Header;
use nix::{
    cmsg_space,
    errno::Errno,
    getsockopt_impl, libc, sockopt_impl,
    sys::{
        socket::{
            ControlMessage, ControlMessageOwned, GetSockOpt as _, MsgFlags, SetSockOpt as _,
            SockaddrStorage, recvmsg, sendmsg, sockopt,
        },
        time::TimeSpec,
    },
};
use socket2::{Domain, Socket};

use super::{
    Refused,
    send::IPV6_HEADER_LEN,
    socket::{self, call},
};
use crate::{log::Call, source::now_ns};

/// What is asked of the system for each socket; it gives what it may. It is the longest burst that
/// survives while this process does something else.
const RECEIVE_BUFFER_LEN: usize = 2 * 1024 * 1024;

/// The longest datagram: an IPv6 header and the most that its length field can state.
const LONGEST: usize = IPV6_HEADER_LEN + u16::MAX as usize;

sockopt_impl!(
    /// Counters of a socket (`SK_MEMINFO_VARS` of them).
    MemoryInfo,
    GetOnly,
    libc::SOL_SOCKET,
    libc::SO_MEMINFO,
    [u32; 9]
);
/// Which of them counts what was dropped (`SK_MEMINFO_DROPS`).
const DROPS: usize = 8;

/// A raw socket of one number over one version of IP.
#[derive(Debug)]
pub(super) struct Ear {
    socket: Socket,
    pub(super) version: u8,
    pub(super) protocol: u8,
    /// What it sends with.
    pub(super) ttl: Option<u8>,
    /// How many of its drops were told with a packet.
    told_drops: u32,
}

/// Where datagrams are received into.
#[derive(Debug)]
pub(super) struct Buffers {
    /// Room for an IPv6 header, and what a socket gives.
    datagram: Vec<u8>,
    control: Vec<u8>,
}

/// A datagram that was received.
#[derive(Debug)]
pub(super) struct Arrival<'a> {
    /// The IP datagram with its header.
    pub(super) bytes: &'a [u8],
    /// When the kernel received it, ns since the Unix epoch.
    pub(super) time_ns: i64,
    /// The kernel's count of what the socket had dropped when it queued this.
    pub(super) drops: u32,
    /// Index of the interface it came in by; 0 over IPv4, where nothing needs it.
    pub(super) interface: u32,
}

impl Ear {
    pub(super) fn open(version: u8, protocol: u8) -> Result<Self, Refused> {
        let domain = domain(version);
        let socket = socket::raw(domain, protocol.into())?;
        let ask = || {
            // Only the superuser may exceed the system's limit.
            if sockopt::RcvBufForce
                .set(&socket, &RECEIVE_BUFFER_LEN)
                .is_err()
            {
                sockopt::RcvBuf.set(&socket, &RECEIVE_BUFFER_LEN)?;
            }
            sockopt::ReceiveTimestampns.set(&socket, &true)?;
            sockopt::RxqOvfl.set(&socket, &1)?;
            if version == 6 {
                sockopt::Ipv6RecvPacketInfo.set(&socket, &true)?;
                sockopt::Ipv6RecvHopLimit.set(&socket, &true)?;
                sockopt::Ipv6RecvTClass.set(&socket, &true)?;
            }
            Ok(())
        };
        call(Call::SetSockOpt, ask())?;
        Ok(Self {
            ttl: socket::ttl(&socket, socket::unspecified(domain)),
            socket,
            version,
            protocol,
            told_drops: 0,
        })
    }

    /// Receives one datagram, or `None` if none is waiting.
    pub(super) fn receive<'a>(&self, buffers: &'a mut Buffers) -> io::Result<Option<Arrival<'a>>> {
        let mut iov = [IoSliceMut::new(&mut buffers.datagram[IPV6_HEADER_LEN..])];
        let message = match recvmsg::<SockaddrStorage>(
            self.socket.as_raw_fd(),
            &mut iov,
            Some(&mut buffers.control),
            MsgFlags::MSG_DONTWAIT,
        ) {
            Ok(message) => message,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut time_ns = None;
        let mut drops = self.told_drops;
        let mut interface = 0;
        let mut header = Ipv6Header {
            next_header: self.protocol.into(),
            payload_length: u16::try_from(message.bytes).unwrap_or(u16::MAX),
            ..Ipv6Header::default()
        };
        for control in message.cmsgs()? {
            match control {
                ControlMessageOwned::ScmTimestampns(time) => time_ns = nanoseconds(time),
                ControlMessageOwned::RxqOvfl(count) => drops = count,
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    header.destination = info.ipi6_addr.s6_addr;
                    interface = info.ipi6_ifindex;
                }
                ControlMessageOwned::Ipv6HopLimit(limit) => {
                    header.hop_limit = u8::try_from(limit).unwrap_or(0);
                }
                ControlMessageOwned::Ipv6TClass(class) => {
                    header.traffic_class = u8::try_from(class).unwrap_or(0);
                }
                _ => {}
            }
        }
        let end = IPV6_HEADER_LEN + message.bytes;
        let source = message.address.as_ref();
        if let Some(source) = source.and_then(SockaddrStorage::as_sockaddr_in6) {
            header.source = source.ip().octets();
        }
        let start = if self.version == 6 {
            buffers.datagram[..IPV6_HEADER_LEN].copy_from_slice(&header.to_bytes());
            0
        } else {
            IPV6_HEADER_LEN
        };
        Ok(Some(Arrival {
            bytes: &buffers.datagram[start..end],
            time_ns: time_ns.unwrap_or_else(now_ns),
            drops,
            interface,
        }))
    }

    /// Takes nothing but what this host sends.
    pub(super) fn hear_only(&self, peer: SocketAddr) -> io::Result<()> {
        let mut peer = peer;
        peer.set_port(0);
        self.socket.connect(&peer.into())
    }

    /// What the socket dropped before this datagram and has not told yet.
    pub(super) fn tell_drops(&mut self, arrival: &Arrival) -> u32 {
        let told = std::mem::replace(&mut self.told_drops, arrival.drops);
        arrival.drops.wrapping_sub(told)
    }

    /// What the socket dropped so far because its buffer was full; `None` where the system does
    /// not say. It knows of the drops behind the last datagram too, which none can tell.
    pub(super) fn drops(&self) -> Option<u64> {
        let info = MemoryInfo.get(&self.socket).ok()?;
        Some(info[DROPS].into())
    }

    /// Sends from one of this host's addresses. It costs an allocation, inside `nix`.
    pub(super) fn send(
        &self,
        own: IpAddr,
        peer: IpAddr,
        interface: u32,
        parts: &[IoSlice],
    ) -> nix::Result<()> {
        let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::empty());
        let peer = SockaddrStorage::from(SocketAddr::from((peer, 0)));
        match own {
            IpAddr::V4(own) => {
                let source = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr {
                        s_addr: u32::from_ne_bytes(own.octets()),
                    },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                let source = [ControlMessage::Ipv4PacketInfo(&source)];
                sendmsg(fd, parts, &source, flags, Some(&peer))?;
            }
            IpAddr::V6(own) => {
                let is_link_local = own.is_unicast_link_local();
                let source = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr {
                        s6_addr: own.octets(),
                    },
                    // Such an address means something on its own link only.
                    ipi6_ifindex: if is_link_local { interface } else { 0 },
                };
                let source = [ControlMessage::Ipv6PacketInfo(&source)];
                sendmsg(fd, parts, &source, flags, Some(&peer))?;
            }
        }
        Ok(())
    }
}

impl AsFd for Ear {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Self {
            datagram: vec![0; LONGEST],
            control: cmsg_space!(TimeSpec, u32, libc::in6_pktinfo, i32, i32),
        }
    }
}

pub(super) fn domain(version: u8) -> Domain {
    if version == 4 {
        Domain::IPV4
    } else {
        Domain::IPV6
    }
}

fn nanoseconds(time: TimeSpec) -> Option<i64> {
    time.tv_sec()
        .checked_mul(1_000_000_000)?
        .checked_add(time.tv_nsec())
}
