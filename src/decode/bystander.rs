//! Bystanders: packets that are not HDP, known again at another point by what address translation
//! leaves alone.
//!
//! TCP has its sequence and acknowledgement numbers, flags and payload; ICMP echo its sequence number
//! and payload; everything else only its first bytes and its length, UDP without its ports and
//! checksum. Addresses, ports, TTL, IP ID and checksums are no part of it: a translator changes them.
//! Neither are TCP's options, window and ECN bits, which boxes on the way rewrite.

use std::{hash::Hasher, net::IpAddr};

use rustc_hash::FxHasher;

use super::{
    NotHdp, PacketType,
    candidates::is_sampled,
    ip::number::{ICMP, ICMPV6, TCP, UDP},
};

/// So much of TCP's payload counts: the sequence number tells most.
const OF_TCP_PAYLOAD: usize = 16;

/// So much of any other payload does, and with fewer bytes than [`LEAST_PAYLOAD`] nothing is told
/// from its like.
const OF_PAYLOAD: usize = 32;

/// See above.
const LEAST_PAYLOAD: usize = 8;

/// How a bystander is known again. Each kind is sampled by itself, so that much of one leaves room
/// for a little of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum BystanderKind {
    /// An ICMP echo request or reply of either version.
    Echo,
    /// The beginning of a TCP connection, or the answer to it.
    TcpStart,
    /// Another TCP segment.
    Tcp,
    /// UDP.
    Udp,
    /// Anything else.
    Other,
}

impl BystanderKind {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Echo,
        Self::TcpStart,
        Self::Tcp,
        Self::Udp,
        Self::Other,
    ];

    /// Whether the fingerprint tells packets of any two hosts apart, so that no address need agree.
    #[must_use]
    pub(crate) fn is_known_by_itself(self) -> bool {
        matches!(self, Self::Tcp | Self::TcpStart)
    }
}

/// IP payloads of up to so many bytes go through every link whole: less than the 576 bytes that every
/// host takes (RFC 791).
const SHORT: usize = 512;

/// A packet that is not HDP, as one observation point saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bystander {
    /// How it is known again.
    pub kind: BystanderKind,
    /// Its protocol number.
    pub number: u8,
    /// What translation leaves alone, hashed; the same at every point.
    pub fingerprint: u64,
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Source and destination port of TCP and UDP, 0 elsewhere.
    pub ports: (u16, u16),
    /// Identifier of an ICMP echo, which a translator may change with the addresses; 0 elsewhere.
    pub echo_id: u16,
    /// Whether the filter of a live capture passes it, which takes a sample of TCP's segments.
    pub is_candidate: bool,
    /// Whether no link or offload on the way cuts it, nor joins it with others: it stays one packet.
    pub is_short: bool,
    /// TTL or hop limit.
    pub ttl: u8,
    /// As [`super::Datagram::packet_type`].
    pub packet_type: Option<PacketType>,
    /// As [`super::Datagram::interface`].
    pub interface: Option<u32>,
}

impl NotHdp {
    /// What tells the packet from others; `None` where too little does, for what goes to many hosts at
    /// once, and where nobody `wants` it by its fingerprint.
    #[inline]
    pub(super) fn bystander(
        &self,
        frame: &[u8],
        wants: impl Fn(BystanderKind, u64) -> bool,
    ) -> Option<Bystander> {
        let Self { ip, region, .. } = *self;
        if ip.fragment.is_some() || is_to_many(ip.destination) {
            return None;
        }
        let bytes = &frame[region.start..region.end];
        let mut hasher = FxHasher::default();
        let mut echo_id = 0;
        let mut is_candidate = true;
        let (kind, ports) = match ip.protocol {
            TCP => {
                let (kind, ports, sequence) = tcp(bytes, region.wire_len(), &mut hasher)?;
                is_candidate = kind == BystanderKind::TcpStart || is_sampled(sequence);
                (kind, ports)
            }
            ICMP | ICMPV6 => {
                echo_id = echo(bytes, &mut hasher)?;
                (BystanderKind::Echo, (0, 0))
            }
            UDP => {
                let payload = bytes.get(8..)?;
                count(payload, region.wire_len(), &mut hasher)?;
                let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
                (BystanderKind::Udp, (port(0), port(2)))
            }
            other => {
                hasher.write_u8(other);
                count(bytes, region.wire_len(), &mut hasher)?;
                (BystanderKind::Other, (0, 0))
            }
        };
        let fingerprint = mixed(hasher.finish());
        wants(kind, fingerprint).then(|| Bystander {
            kind,
            number: ip.protocol,
            fingerprint,
            source: ip.source,
            destination: ip.destination,
            ports,
            echo_id,
            is_candidate,
            is_short: region.wire_len() <= SHORT,
            ttl: ip.ttl,
            packet_type: self.packet_type,
            interface: self.interface,
        })
    }
}

/// Broadcasts to all that look like one are told by their multiplicity.
fn is_to_many(destination: IpAddr) -> bool {
    match destination {
        IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_multicast(),
    }
}

/// The kind, ports and sequence number.
fn tcp(
    bytes: &[u8],
    wire_len: usize,
    hasher: &mut FxHasher,
) -> Option<(BystanderKind, (u16, u16), u32)> {
    const SYN: u8 = 0x02;
    const WITHOUT_ECN: u8 = 0x3f;
    let header: &[u8; 20] = bytes.first_chunk()?;
    let header_len = usize::from(header[12] >> 4) * 4;
    let payload_len = wire_len.checked_sub(header_len)?;
    let payload = bytes.get(header_len..)?;
    let flags = header[13] & WITHOUT_ECN;
    // Word by word: this is done for every segment of a capture.
    let captured = payload.get(..payload_len.min(OF_TCP_PAYLOAD))?;
    let mut first = [0; OF_TCP_PAYLOAD];
    first[..captured.len()].copy_from_slice(captured);
    let words = header[4..12]
        .as_chunks()
        .0
        .iter()
        .chain(first.as_chunks().0);
    for word in words {
        hasher.write_u64(u64::from_le_bytes(*word));
    }
    hasher.write_u64(payload_len as u64 | u64::from(flags) << 32);
    let kind = if flags & SYN == 0 {
        BystanderKind::Tcp
    } else {
        BystanderKind::TcpStart
    };
    let port = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let sequence = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    Some((kind, (port(0), port(2)), sequence))
}

/// Echo of both versions alike, since one may be translated into the other (RFC 7915). Its identifier.
fn echo(bytes: &[u8], hasher: &mut FxHasher) -> Option<u16> {
    let header: &[u8; 8] = bytes.first_chunk()?;
    let is_reply = match header[0] {
        8 | 128 => false,
        0 | 129 => true,
        _ => return None,
    };
    let payload = &bytes[8..];
    hasher.write_u8(u8::from(is_reply));
    hasher.write(&header[6..8]);
    hasher.write(&payload[..payload.len().min(OF_PAYLOAD)]);
    Some(u16::from_be_bytes([header[4], header[5]]))
}

/// Takes the first bytes and the length into account, if there are enough of them.
fn count(payload: &[u8], wire_len: usize, hasher: &mut FxHasher) -> Option<()> {
    if payload.len() < LEAST_PAYLOAD {
        return None;
    }
    hasher.write_usize(wire_len);
    hasher.write(payload.get(..payload.len().min(OF_PAYLOAD))?);
    Some(())
}

/// Spreads the hash over all bits: the upper ones choose the sample (the finalizer of `MurmurHash3`).
fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}
