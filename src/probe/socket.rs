//! Raw sockets, what is asked of them, and the calls that fail.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use nix::{
    errno::Errno,
    sys::resource::{Resource, getrlimit, setrlimit},
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    hdp,
    log::{Call, Symbol},
};

/// The only number for which systems expect the caller to write the IP header (`IPPROTO_RAW`).
const RAW: u16 = 255;

/// A system call that did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}: {} ({}): {}", .call.name(), self.symbol(), self.errno(), .errno.desc())]
pub struct Refused {
    /// Which one.
    pub call: Call,
    errno: Errno,
}

impl Refused {
    pub(super) fn new(call: Call, error: &io::Error) -> Self {
        Self {
            call,
            errno: Errno::from_raw(error.raw_os_error().unwrap_or(0)),
        }
    }

    /// A failure as a log of this system tells it.
    pub(super) fn from_parts(call: Call, errno: i32) -> Self {
        Self {
            call,
            errno: Errno::from_raw(errno),
        }
    }

    /// The error number on this system, as in `errno(3)`.
    #[must_use]
    pub fn errno(&self) -> i32 {
        self.errno as i32
    }

    /// Its symbol.
    #[must_use]
    pub fn symbol(&self) -> Symbol {
        Symbol::of(self.errno)
    }

    /// What the failure means for a packet of HDP, where this tool knows.
    #[must_use]
    pub fn meaning(&self) -> Option<&'static str> {
        Some(match (self.call, self.errno) {
            (Call::Socket, Errno::EPROTONOSUPPORT) => {
                "this system opens no raw socket for the number"
            }
            (Call::Socket, Errno::EINVAL) => "the number is too large for this system",
            (Call::Socket, Errno::EPERM | Errno::EACCES) => "this process may not open raw sockets",
            (Call::SendTo, Errno::EPERM) => "a firewall of this host dropped it on its way out",
            (Call::SendTo, Errno::EINVAL) => "this system does not send the number",
            (Call::SendTo, Errno::EOPNOTSUPP) => "this system keeps the number to itself",
            (Call::SendTo, Errno::EMSGSIZE) => {
                "it is too large for one datagram, or for the path's MTU while it must not be \
                 fragmented"
            }
            (Call::SendTo, Errno::ENETUNREACH | Errno::EHOSTUNREACH) => {
                "this host has no route to the destination"
            }
            (Call::SendTo, Errno::EACCES) => {
                "this host's routes prohibit it, or the destination is a broadcast address"
            }
            _ => return None,
        })
    }

    pub(super) fn is_for_want_of_permission(self) -> bool {
        self.call == Call::Socket && matches!(self.errno, Errno::EPERM | Errno::EACCES)
    }
}

/// What the IP header of sent packets is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IpOptions {
    /// Source address; the system's choice if there is none.
    pub source: Option<IpAddr>,
    /// TTL or hop limit; the system's default if there is none.
    pub ttl: Option<u8>,
    /// Differentiated services code point, 0 to 63.
    pub dscp: u8,
    /// Never fragment: what exceeds the path's known MTU is refused with `EMSGSIZE`.
    pub no_fragment: bool,
}

/// Lets this process have as many sockets as it may. Some systems allow fewer by default than
/// there are protocol numbers; where that is so, opening says it.
pub(super) fn allow_many() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}

/// A raw socket that hands over and takes datagrams of one number.
pub(super) fn raw(domain: Domain, requested: u16) -> Result<Socket, Refused> {
    let protocol = Protocol::from(i32::from(requested));
    let socket = call(Call::Socket, Socket::new(domain, Type::RAW, Some(protocol)))?;
    if requested == RAW {
        let set = match domain {
            Domain::IPV4 => socket.set_header_included_v4(false),
            _ => socket.set_header_included_v6(false),
        };
        call(Call::SetSockOpt, set)?;
    }
    #[cfg(target_os = "linux")]
    linux::leave_bytes_alone(&socket, domain, requested)?;
    Ok(socket)
}

/// A raw socket that sends with these options.
pub(super) fn raw_sender(
    domain: Domain,
    requested: u16,
    options: &IpOptions,
) -> Result<Socket, Refused> {
    let socket = raw(domain, requested)?;
    apply(options, &socket, domain)?;
    if let Some(source) = options.source {
        call(
            Call::Bind,
            socket.bind(&SocketAddr::from((source, 0)).into()),
        )?;
    }
    Ok(socket)
}

/// A UDP socket that sends with these options, from HDP's port, or from another one where that is
/// taken or needs a permission that raw sockets do not.
pub(super) fn udp_sender(domain: Domain, options: &IpOptions) -> Result<Socket, Refused> {
    let socket = udp(domain)?;
    apply(options, &socket, domain)?;
    let source = options.source.unwrap_or_else(|| unspecified(domain));
    let bind = |port| socket.bind(&SocketAddr::from((source, port)).into());
    let bound = bind(hdp::PORT).or_else(|error| match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::AddrInUse => bind(0),
        _ => Err(error),
    });
    call(Call::Bind, bound)?;
    Ok(socket)
}

/// The address from which the system sends to this destination, or `None` where it has no route.
pub(super) fn source_for(destination: SocketAddr, options: &IpOptions) -> Option<IpAddr> {
    if options.source.is_some() {
        return options.source;
    }
    let socket = udp(Domain::for_address(destination)).ok()?;
    // Connecting sends nothing; it only looks up the route.
    let mut destination = destination;
    destination.set_port(hdp::PORT);
    socket.connect(&destination.into()).ok()?;
    Some(socket.local_addr().ok()?.as_socket()?.ip())
}

/// Whether packets can come from this address.
pub(super) fn check_source(source: IpAddr) -> Result<(), Refused> {
    let address = SocketAddr::from((source, 0));
    let socket = udp(Domain::for_address(address))?;
    call(Call::Bind, socket.bind(&address.into()))
}

/// The TTL or hop limit that this socket sends with.
pub(super) fn ttl(socket: &Socket, destination: IpAddr) -> Option<u8> {
    let ttl = match (destination, destination.is_multicast()) {
        (IpAddr::V4(_), false) => socket.ttl_v4(),
        (IpAddr::V4(_), true) => socket.multicast_ttl_v4(),
        (IpAddr::V6(_), false) => socket.unicast_hops_v6(),
        (IpAddr::V6(_), true) => socket.multicast_hops_v6(),
    };
    u8::try_from(ttl.ok()?).ok()
}

fn udp(domain: Domain) -> Result<Socket, Refused> {
    call(
        Call::Socket,
        Socket::new(domain, Type::DGRAM, Some(Protocol::UDP)),
    )
}

fn apply(options: &IpOptions, socket: &Socket, domain: Domain) -> Result<(), Refused> {
    let set = || {
        let v4 = domain == Domain::IPV4;
        if let Some(ttl) = options.ttl.map(u32::from) {
            if v4 {
                socket.set_ttl_v4(ttl)?;
                socket.set_multicast_ttl_v4(ttl)?;
            } else {
                socket.set_unicast_hops_v6(ttl)?;
                socket.set_multicast_hops_v6(ttl)?;
            }
        }
        if options.dscp != 0 {
            let traffic_class = u32::from(options.dscp) << 2;
            if v4 {
                socket.set_tos_v4(traffic_class)?;
            } else {
                socket.set_tclass_v6(traffic_class)?;
            }
        }
        if options.no_fragment {
            #[cfg(target_os = "linux")]
            linux::never_fragment(socket, domain)?;
            #[cfg(not(target_os = "linux"))]
            return Err(Errno::ENOPROTOOPT.into());
        }
        Ok(())
    };
    call(Call::SetSockOpt, set())
}

pub(super) fn unspecified(domain: Domain) -> IpAddr {
    match domain {
        Domain::IPV4 => Ipv4Addr::UNSPECIFIED.into(),
        _ => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Says which call an error is of.
pub(super) fn call<T>(call: Call, result: io::Result<T>) -> Result<T, Refused> {
    result.map_err(|error| Refused::new(call, &error))
}

/// Options that only Linux has, or only under these names.
#[cfg(target_os = "linux")]
mod linux {
    use std::io;

    use nix::{
        getsockopt_impl, libc, setsockopt_impl, sockopt_impl,
        sys::socket::{SetSockOpt as _, sockopt::Ipv6DontFrag},
    };
    use socket2::{Domain, Socket};

    use super::{Call, Refused, call};

    sockopt_impl!(
        /// When the system fragments what it sends over IPv4.
        Ipv4MtuDiscover,
        Both,
        libc::IPPROTO_IP,
        libc::IP_MTU_DISCOVER,
        libc::c_int
    );
    sockopt_impl!(
        /// The same over IPv6.
        Ipv6MtuDiscover,
        Both,
        libc::IPPROTO_IPV6,
        libc::IPV6_MTU_DISCOVER,
        libc::c_int
    );
    sockopt_impl!(
        /// At which byte the kernel keeps a checksum of its own in an IPv6 payload; -1: nowhere.
        ///
        /// On the level of raw sockets, because on that of IPv6 it is refused for `ICMPv6`
        /// (RFC 3542, section 3.1).
        RawChecksum,
        Both,
        libc::SOL_RAW,
        libc::IPV6_CHECKSUM,
        libc::c_int
    );

    /// Keeps the kernel from writing checksums over HDP, and from dropping HDP for the want of
    /// them.
    ///
    /// Over IPv6 it would under two numbers: 58 (`ICMPv6`) at bytes 2-3, the destination port, and
    /// 135 (Mobility Header, RFC 6275) at bytes 4-5, the upper part of the timestamp, which leaves
    /// nothing to recognize HDP by. Measured on Linux 6.18.
    pub(super) fn leave_bytes_alone(
        socket: &Socket,
        domain: Domain,
        requested: u16,
    ) -> Result<(), Refused> {
        if domain == Domain::IPV6 && matches!(requested, 58 | 135) {
            let set = RawChecksum.set(socket, &-1);
            call(Call::SetSockOpt, set.map_err(io::Error::from))?;
        }
        Ok(())
    }

    pub(super) fn never_fragment(socket: &Socket, domain: Domain) -> io::Result<()> {
        if domain == Domain::IPV4 {
            Ipv4MtuDiscover.set(socket, &libc::IP_PMTUDISC_DO)?;
        } else {
            Ipv6MtuDiscover.set(socket, &libc::IPV6_PMTUDISC_DO)?;
            Ipv6DontFrag.set(socket, &true)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_call_and_the_error_by_number_and_symbol() {
        let refused = Refused::new(Call::Socket, &Errno::EPROTONOSUPPORT.into());
        assert_eq!(refused.errno(), Errno::EPROTONOSUPPORT as i32);
        assert_eq!(refused.symbol().to_string(), "EPROTONOSUPPORT");
        assert_eq!(
            refused.to_string(),
            format!(
                "socket: EPROTONOSUPPORT ({}): Protocol not supported",
                refused.errno()
            )
        );
    }

    #[test]
    fn the_source_is_the_one_that_the_route_gives() {
        let source = source_for(([127, 0, 0, 1], 0).into(), &IpOptions::default());
        assert_eq!(source, Some([127, 0, 0, 1].into()));
    }

    #[test]
    fn an_address_of_somebody_else_is_no_source() {
        assert_eq!(check_source([127, 0, 0, 1].into()), Ok(()));
        let refused = check_source([192, 0, 2, 1].into()).unwrap_err();
        assert_eq!(refused.call, Call::Bind);
        assert_eq!(refused.symbol().to_string(), "EADDRNOTAVAIL");
    }
}
