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

/// So much of any other payload does, and with fewer than eight bytes nothing is told from its like.
const OF_PAYLOAD: usize = 32;

/// The half of a fingerprint that a few bytes of the packet make: by the upper bits samples are chosen, and
/// most packets of a capture are in none, which is found out first.
const UPPER: u64 = 0xffff_ffff_0000_0000;

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
    #[inline(never)]
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
        let mut upper = 0;
        let (kind, ports) = match ip.protocol {
            TCP => {
                let header: &[u8; 20] = bytes.first_chunk()?;
                let kind = kind_of_tcp(header);
                upper = mixed(u64::from_le_bytes(*header[4..].first_chunk()?)) & UPPER;
                if !wants(kind, upper) {
                    return None;
                }
                tcp(header, bytes, region.wire_len(), &mut hasher)?;
                is_candidate = kind == BystanderKind::TcpStart || is_sampled(be32(header, 4));
                (kind, (be16(header, 0), be16(header, 2)))
            }
            ICMP | ICMPV6 => {
                echo_id = echo(bytes, &mut hasher)?;
                (BystanderKind::Echo, (0, 0))
            }
            UDP => {
                let payload = bytes.get(8..)?;
                upper = upper_of(payload, region.wire_len())?;
                if !wants(BystanderKind::Udp, upper) {
                    return None;
                }
                count(payload, region.wire_len(), &mut hasher);
                (BystanderKind::Udp, (be16(bytes, 0), be16(bytes, 2)))
            }
            other => {
                upper = upper_of(bytes, region.wire_len())?;
                if !wants(BystanderKind::Other, upper) {
                    return None;
                }
                hasher.write_u8(other);
                count(bytes, region.wire_len(), &mut hasher);
                (BystanderKind::Other, (0, 0))
            }
        };
        let fingerprint = match upper {
            0 => mixed(hasher.finish()),
            upper => upper | mixed(hasher.finish()) & !UPPER,
        };
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

fn kind_of_tcp(header: &[u8; 20]) -> BystanderKind {
    const SYN: u8 = 0x02;
    if header[13] & SYN == 0 {
        BystanderKind::Tcp
    } else {
        BystanderKind::TcpStart
    }
}

/// Takes sequence and acknowledgement numbers, flags, payload and its length into account.
fn tcp(header: &[u8; 20], bytes: &[u8], wire_len: usize, hasher: &mut FxHasher) -> Option<()> {
    const WITHOUT_ECN: u8 = 0x3f;
    let header_len = usize::from(header[12] >> 4) * 4;
    let payload_len = wire_len.checked_sub(header_len)?;
    let payload = bytes.get(header_len..)?;
    let flags = header[13] & WITHOUT_ECN;
    hasher.write(&header[4..12]);
    hasher.write(payload.get(..payload_len.min(OF_TCP_PAYLOAD))?);
    hasher.write_u64(payload_len as u64 | u64::from(flags) << 32);
    Some(())
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from(be16(bytes, at)) << 16 | u32::from(be16(bytes, at + 2))
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

/// The upper half for a payload, of its first eight bytes and the last eight of those that count: one or the
/// other differs from packet to packet, whatever the protocol. `None` where there are too few of them.
fn upper_of(payload: &[u8], wire_len: usize) -> Option<u64> {
    let first = u64::from_le_bytes(*payload.first_chunk()?);
    let last = payload[..payload.len().min(OF_PAYLOAD)].last_chunk()?;
    let last = u64::from_le_bytes(*last).rotate_left(u64::BITS / 2);
    Some(mixed(first ^ last ^ wire_len as u64) & UPPER)
}

/// Takes the first bytes and the length into account.
fn count(payload: &[u8], wire_len: usize, hasher: &mut FxHasher) {
    hasher.write_usize(wire_len);
    hasher.write(&payload[..payload.len().min(OF_PAYLOAD)]);
}

/// Spreads the hash over all bits: the upper ones choose the sample (the finalizer of `MurmurHash3`).
fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}
