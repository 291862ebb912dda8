//! One JSON object a packet.
//!
//! The members are a stable interface: add to it, never rename. Times are integers in nanoseconds
//! since the epoch, spans integers in nanoseconds; unknown is `null`, never 0 or "".

use std::{io, net::IpAddr};

use serde::Serialize;

use super::{Encoding, Packet, digits};
use crate::{
    decode::{PacketType, Quote, icmp_meaning},
    protocols::{self, Carrier},
};

/// A packet, member by member.
#[derive(Debug, Serialize)]
struct Record {
    /// Position in the capture, from 1 over all frames.
    frame: u64,
    /// Capture time.
    time_ns: Option<i64>,
    /// tcpdump's name of the link type.
    link_type: String,
    /// The interface's name, or `#` and the index it had on the capturing host.
    interface: Option<String>,
    src: IpAddr,
    dst: IpAddr,
    /// The number on the wire.
    protocol: u8,
    /// IANA's keyword for it.
    keyword: Option<&'static str>,
    carrier: Carrier,
    /// TTL or hop limit.
    ttl: u8,
    dscp: u8,
    ecn: u8,
    ip_id: Option<u16>,
    srcport: u16,
    dstport: u16,
    /// The sender's clock; `null` where a quote holds the upper half only.
    timestamp_ns: Option<u64>,
    /// First and last timestamp that such a quote may have held; `null` elsewhere.
    timestamp_range_ns: Option<[u64; 2]>,
    /// Capture time less timestamp; `null` in quotes.
    delay_ns: Option<i64>,
    /// By the IP (or UDP) header's word.
    payload_len: u32,
    /// What was captured of it, in hexadecimal digits.
    payload: Option<String>,
    encoding: Option<Encoding>,
    /// How the frame met the capturing host.
    direction: Option<&'static str>,
    /// Headers between the link layer and the IP header right above HDP, as `VLAN/IPv4/GRE`.
    encapsulation: Option<String>,
    /// Who sent the ICMP error that quotes the packet.
    quoted_by: Option<IpAddr>,
    icmp: Option<Icmp>,
    notes: Vec<String>,
}

/// The ICMP error that quotes the packet.
#[derive(Debug, Serialize)]
struct Icmp {
    version: u8,
    r#type: u8,
    code: u8,
    meaning: &'static str,
}

impl Record {
    fn of(packet: &Packet<'_>) -> Self {
        let Packet {
            frame, datagram, ..
        } = packet;
        let (srcport, dstport) = datagram.header.ports();
        let timestamp_ns = packet.timestamp_ns();
        let nothing_captured = datagram.payload.is_empty() && datagram.payload_len > 0;
        Self {
            frame: frame.number,
            time_ns: frame.time_ns,
            link_type: frame.link_type.to_string(),
            interface: packet.interface_label(),
            src: datagram.source,
            dst: datagram.destination,
            protocol: datagram.protocol,
            keyword: protocols::keyword(datagram.protocol),
            carrier: datagram.carrier,
            ttl: datagram.ttl,
            dscp: datagram.dscp,
            ecn: datagram.ecn,
            ip_id: datagram.ip_id,
            srcport,
            dstport,
            timestamp_ns,
            timestamp_range_ns: match timestamp_ns {
                Some(_) => None,
                None => Some(packet.timestamp_range_ns()),
            },
            delay_ns: packet.delay_ns(),
            payload_len: datagram.payload_len,
            payload: (!nothing_captured).then(|| digits(datagram.payload)),
            encoding: packet.content().encoding(),
            direction: packet.packet_type().map(direction),
            encapsulation: (!datagram.encapsulation.is_empty())
                .then(|| datagram.encapsulation.to_string()),
            quoted_by: datagram.quote.map(|quote| quote.by),
            icmp: datagram.quote.map(Icmp::of),
            notes: packet.notes(),
        }
    }
}

impl Icmp {
    fn of(quote: Quote) -> Self {
        Self {
            version: quote.version,
            r#type: quote.icmp_type,
            code: quote.code,
            meaning: icmp_meaning(quote.version, quote.icmp_type, quote.code),
        }
    }
}

fn direction(packet_type: PacketType) -> &'static str {
    match packet_type {
        PacketType::Host => "in",
        PacketType::Outgoing => "out",
        PacketType::Broadcast => "broadcast",
        PacketType::Multicast => "multicast",
        PacketType::OtherHost => "other_host",
    }
}

/// Writes the packet as one JSON object on a line of its own.
///
/// # Errors
/// Whatever `out` gives.
pub fn write(packet: &Packet<'_>, out: &mut impl io::Write) -> io::Result<()> {
    // In one piece: a serializer writes each bracket by itself.
    let mut line = serde_json::to_vec(&Record::of(packet))?;
    line.push(b'\n');
    out.write_all(&line)
}
