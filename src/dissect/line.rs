//! One line a packet, in tcpdump's habit.
//!
//! ```text
//! 09:58:19.692123456 IP 10.77.1.2.420 > 10.77.2.2.420: HDP 50 ESP, ttl 64, ts 2026-11-22T09:58:19.692100000Z, delay +23.5 µs, length 33
//! 09:58:19.692400000 IP 10.77.1.1 > 10.77.1.2: ICMP administratively prohibited, quotes IP 10.77.1.2.420 > 10.77.2.2.420: HDP 47 GRE, ...
//! ```
//!
//! | part | when |
//! | --- | --- |
//! | time of day, UTC | `-` without a capture time |
//! | interface (`#3`), `In` `Out` `B` `M` `P` | where the frame itself tells, as in `-i any` captures; the letters are tcpdump's: broadcast, multicast, for another host |
//! | `VLAN/IPv4/GRE` | headers between the link layer and the IP header right above HDP |
//! | `HDP 50 ESP` | straight on IP under that number; `HDP/UDP` inside UDP, the control |
//! | `ts ... +0-4.29 s` | a quote of 8 bytes, which holds the timestamp's upper half only |
//! | `delay` | capture time less timestamp, in no quote |
//! | `length 33, 20 captured` | payload bytes by the IP header's word, and those that are there; `quoted` in a quote |

use std::{fmt, io, net::IpAddr};

use super::{
    Packet, numbered,
    time::{self, Span},
};
use crate::{
    decode::{HeaderView, PacketType, icmp_meaning},
    protocols::Carrier,
};

/// Writes the packet as one line.
///
/// # Errors
/// Whatever `out` gives.
pub fn write(packet: &Packet<'_>, out: &mut impl io::Write) -> io::Result<()> {
    let frame = &packet.frame;
    match frame.time_ns {
        Some(time_ns) => write!(
            out,
            "{} ",
            time::time_of_day(time_ns, packet.interface.resolution_ns)
        )?,
        None => write!(out, "- ")?,
    }
    // A name that belongs to the file would be the same in every line.
    if packet.datagram.interface.is_some()
        && let Some(interface) = packet.interface_label()
    {
        write!(out, "{interface} ")?;
    }
    if let Some(packet_type) = packet.packet_type() {
        write!(out, "{} ", letters(packet_type))?;
    }
    if let Some(quote) = packet.datagram.quote {
        let icmp = if quote.version == 4 { "ICMP" } else { "ICMP6" };
        write!(
            out,
            "{} {} > {}: {icmp} {}, quotes ",
            ip(quote.by),
            quote.by,
            quote.to,
            icmp_meaning(quote.version, quote.icmp_type, quote.code)
        )?;
    }
    writeln!(out, "{}", Summary(packet))
}

/// The packet itself, without the frame around it.
struct Summary<'a>(&'a Packet<'a>);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(packet) = self;
        let datagram = &packet.datagram;
        if !datagram.encapsulation.is_empty() {
            write!(f, "{} ", datagram.encapsulation)?;
        }
        let (source_port, destination_port) = datagram.header.ports();
        write!(
            f,
            "{} {}.{source_port} > {}.{destination_port}: ",
            ip(datagram.source),
            datagram.source,
            datagram.destination
        )?;
        match datagram.carrier {
            Carrier::Ip => write!(f, "HDP {}", numbered(datagram.protocol))?,
            Carrier::Udp => write!(f, "HDP/UDP")?,
        }
        let hops_left = match datagram.source {
            IpAddr::V4(_) => "ttl",
            IpAddr::V6(_) => "hlim",
        };
        let [first_ns, _] = packet.timestamp_range_ns();
        let date = time::date(first_ns);
        write!(f, ", {hops_left} {}, ts {date}", datagram.ttl)?;
        if let HeaderView::UpperHalf { .. } = datagram.header {
            write!(f, " +0-4.29 s")?;
        }
        if let Some(delay_ns) = packet.delay_ns() {
            write!(f, ", delay {}", Span(delay_ns))?;
        }
        write!(f, ", length {}", datagram.payload_len)?;
        if datagram.payload.len() < datagram.payload_len as usize {
            let there = if datagram.quote.is_some() {
                "quoted"
            } else {
                "captured"
            };
            write!(f, ", {} {there}", datagram.payload.len())?;
        }
        if let Some(fragment) = datagram.fragment {
            write!(f, ", first fragment, id {:#06x}", fragment.id)?;
        }
        Ok(())
    }
}

fn ip(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "IP",
        IpAddr::V6(_) => "IP6",
    }
}

/// As tcpdump abbreviates them.
fn letters(packet_type: PacketType) -> &'static str {
    match packet_type {
        PacketType::Host => "In",
        PacketType::Outgoing => "Out",
        PacketType::Broadcast => "B",
        PacketType::Multicast => "M",
        PacketType::OtherHost => "P",
    }
}
