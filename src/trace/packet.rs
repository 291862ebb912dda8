//! A datagram as a trace sees it: the IP header, whatever is behind it, and the quote of an ICMP error.
//!
//! A trace asks of a packet only who sent it to whom, under which number, with which TTL: the base IP
//! header says all of that, also where the number is one that others would follow further down, and
//! where an ICMP error quotes no more than 8 bytes behind it.

use std::net::IpAddr;

use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice, UdpHeaderSlice};

use crate::{decode::number, hdp, protocols::Carrier};

/// An IP datagram, or what a quote left of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet<'a> {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) protocol: u8,
    /// TTL or hop limit.
    pub(super) ttl: u8,
    pub(super) dscp: u8,
    pub(super) ecn: u8,
    /// IPv4's identification; IPv6 has none.
    pub(super) ip_id: Option<u16>,
    /// What is behind the IP header, as far as it is there.
    pub(super) payload: &'a [u8],
}

/// An ICMP error and the packet that it is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Error<'a> {
    /// 4 for ICMP, 6 for `ICMPv6`.
    pub(super) version: u8,
    pub(super) icmp_type: u8,
    pub(super) code: u8,
    pub(super) quote: Packet<'a>,
}

impl<'a> Packet<'a> {
    /// Reads an IP header; `None` where there is none, and of fragments behind the first, which hold
    /// nothing to know them by.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => {
                let header = Ipv4HeaderSlice::from_slice(bytes).ok()?;
                if header.fragments_offset().value() > 0 {
                    return None;
                }
                let start = header.slice().len();
                let end = usize::from(header.total_len()).clamp(start, bytes.len());
                Some(Self {
                    source: header.source_addr().into(),
                    destination: header.destination_addr().into(),
                    protocol: header.protocol().0,
                    ttl: header.ttl(),
                    dscp: header.dcp().value(),
                    ecn: header.ecn().value(),
                    ip_id: Some(header.identification()),
                    payload: &bytes[start..end],
                })
            }
            6 => {
                let header = Ipv6HeaderSlice::from_slice(bytes).ok()?;
                let start = header.slice().len();
                let end = start + usize::from(header.payload_length());
                let class = header.traffic_class();
                Some(Self {
                    source: header.source_addr().into(),
                    destination: header.destination_addr().into(),
                    protocol: header.next_header().0,
                    ttl: header.hop_limit(),
                    dscp: class >> 2,
                    ecn: class & 0b11,
                    ip_id: None,
                    payload: &bytes[start..end.min(bytes.len())],
                })
            }
            _ => None,
        }
    }

    /// The ICMP error that this datagram is, if it is one about a packet.
    pub(super) fn error(&self) -> Option<Error<'a>> {
        let version = if self.source.is_ipv4() { 4 } else { 6 };
        let &[icmp_type, code, ..] = self.payload else {
            return None;
        };
        let is_error = match (version, self.protocol) {
            // Neither redirects nor source quenches: such packets went on.
            (4, number::ICMP) => matches!(icmp_type, 3 | 11 | 12),
            (6, number::ICMPV6) => matches!(icmp_type, 1..=4),
            _ => false,
        };
        if !is_error {
            return None;
        }
        Some(Error {
            version,
            icmp_type,
            code,
            quote: Packet::parse(self.payload.get(8..)?)?,
        })
    }

    /// What HDP would ride on: UDP where the datagram is a valid one, by its length; else IP.
    pub(super) fn carrier(&self) -> Carrier {
        let is_udp = self.protocol == number::UDP
            && UdpHeaderSlice::from_slice(self.payload)
                .is_ok_and(|udp| usize::from(udp.length()) == self.payload.len());
        if is_udp { Carrier::Udp } else { Carrier::Ip }
    }

    /// The HDP header that would be there, whether or not it is one.
    pub(super) fn header(&self, carrier: Carrier) -> Option<hdp::Header> {
        let hdp = self.payload.get(offset(carrier)..)?;
        Some(hdp::Header::parse(hdp).ok()?.0)
    }

    /// The first 8 bytes behind the IP header, which every error quotes (RFC 792).
    pub(super) fn head(&self) -> Option<[u8; 8]> {
        self.payload.first_chunk().copied()
    }

    /// The first two fields of 16 bits: ports, in all protocols that have any.
    pub(super) fn ports(&self) -> Option<(u16, u16)> {
        let &[a, b, c, d] = self.payload.first_chunk()?;
        Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
    }
}

impl Error<'_> {
    /// Whether the packet's TTL ran out on its way; not, whether its fragments came too late.
    pub(super) fn is_expiry(&self) -> bool {
        matches!(
            (self.version, self.icmp_type, self.code),
            (4, 11, 0) | (6, 3, 0)
        )
    }
}

/// Where HDP begins behind the IP header.
fn offset(carrier: Carrier) -> usize {
    match carrier {
        Carrier::Ip => 0,
        Carrier::Udp => 8,
    }
}
