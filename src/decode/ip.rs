//! IP: the base header, then the number it names, HDP first.

use std::net::IpAddr;

use etherparse::{Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, err::ipv4, err::ipv6};

use super::{
    Datagram, Doubtful, Encapsulation, Fragment, FragmentSet, HeaderView, LayerKind, NotHdp, Piece,
    Region, Skip, Walk, rewritten,
};
use crate::hdp;
use crate::protocols::Carrier;

/// IP protocol numbers whose own protocol is followed where HDP is not plausible.
pub(crate) mod number {
    pub(crate) const ICMP: u8 = 1;
    pub(crate) const IPV4: u8 = 4;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
    pub(crate) const IPV6: u8 = 41;
    pub(crate) const GRE: u8 = 47;
    pub(crate) const AUTHENTICATION: u8 = 51;
    pub(crate) const ICMPV6: u8 = 58;
    pub(crate) const FRAGMENT: u8 = 44;
    /// What most traffic is.
    pub(crate) const HAVE_HEADERS: [u8; 4] = [TCP, UDP, ICMP, ICMPV6];
    /// Extension headers that state their length in units of 8 bytes: hop-by-hop, routing,
    /// destination options, mobility, HIP, shim6 (RFC 8200, RFC 7045).
    pub(crate) const EXTENSIONS: [u8; 6] = [0, 43, 60, 135, 139, 140];
}

/// What the shortest ICMP quotes hold of a packet behind its IP header (RFC 792).
const QUOTED_AT_LEAST: usize = 8;

/// What the base header (and the extension headers behind it) said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ip {
    pub(super) version: u8,
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) protocol: u8,
    pub(super) ttl: u8,
    dscp: u8,
    ecn: u8,
    id: Option<u16>,
    pub(super) fragment: Option<Fragment>,
}

impl<'a> Walk<'a, '_> {
    /// IP of the version that the first nibble names.
    #[inline]
    pub(super) fn ip(&mut self, region: Region) -> Result<Datagram<'a>, Skip> {
        match self.head::<1>(region, LayerKind::Ipv4)?[0] >> 4 {
            4 => self.ipv4(region),
            6 => self.ipv6(region),
            _ => Err(Skip::NotIp),
        }
    }

    /// IP where nothing else can be: what is none shows that the link layer is another, or damaged.
    #[inline]
    pub(super) fn nothing_but_ip(&mut self, region: Region) -> Result<Datagram<'a>, Skip> {
        match self.ip(region) {
            Err(Skip::NotIp) => Err(Skip::Malformed {
                layer: LayerKind::Ipv4,
                why: "version is neither 4 nor 6",
            }),
            found => found,
        }
    }

    #[inline]
    pub(super) fn ipv4(&mut self, region: Region) -> Result<Datagram<'a>, Skip> {
        let header =
            Ipv4HeaderSlice::from_slice(self.slice(region)).map_err(|error| match error {
                ipv4::HeaderSliceError::Len(error) => {
                    super::too_short(region, LayerKind::Ipv4, error.required_len)
                }
                ipv4::HeaderSliceError::Content(_) => Skip::Malformed {
                    layer: LayerKind::Ipv4,
                    why: "version or header length is wrong",
                },
            })?;
        let header_len = header.slice().len();
        // Total length 0 is a segment that the network card was left to cut (TSO): the frame's
        // length counts. Otherwise the IP header's word does; what lies behind is padding or FCS.
        let region = match usize::from(header.total_len()) {
            0 => region,
            len if len < header_len => {
                return Err(Skip::Malformed {
                    layer: LayerKind::Ipv4,
                    why: "total length is shorter than the header",
                });
            }
            len => region.limited_to(len),
        };
        let behind = self.enter(region, LayerKind::Ipv4, header_len)?;
        let id = header.identification();
        let len = u32::try_from(behind.wire_len()).unwrap_or(u32::MAX);
        if header.fragments_offset().value() != 0 {
            return Err(self.later_piece(Piece {
                set: FragmentSet {
                    source: header.source_addr().into(),
                    destination: header.destination_addr().into(),
                    protocol: header.protocol().0,
                    id: id.into(),
                },
                offset: u32::from(header.fragments_offset().value()) * 8,
                len,
                is_last: !header.more_fragments(),
            }));
        }
        let ip = Ip {
            version: 4,
            source: header.source_addr().into(),
            destination: header.destination_addr().into(),
            protocol: header.protocol().0,
            ttl: header.ttl(),
            dscp: header.dcp().value(),
            ecn: header.ecn().value(),
            id: Some(id),
            fragment: header
                .more_fragments()
                .then_some(Fragment { id: id.into(), len }),
        };
        self.payload(ip, behind)
    }

    #[inline]
    pub(super) fn ipv6(&mut self, region: Region) -> Result<Datagram<'a>, Skip> {
        let header =
            Ipv6HeaderSlice::from_slice(self.slice(region)).map_err(|error| match error {
                ipv6::HeaderSliceError::Len(error) => {
                    super::too_short(region, LayerKind::Ipv6, error.required_len)
                }
                ipv6::HeaderSliceError::Content(_) => Skip::Malformed {
                    layer: LayerKind::Ipv6,
                    why: "version is wrong",
                },
            })?;
        let header_len = header.slice().len();
        let region = match usize::from(header.payload_length()) {
            0 => region,
            len => region.limited_to(header_len + len),
        };
        let behind = self.enter(region, LayerKind::Ipv6, header_len)?;
        let ip = Ip {
            version: 6,
            source: header.source_addr().into(),
            destination: header.destination_addr().into(),
            protocol: header.next_header().0,
            ttl: header.hop_limit(),
            dscp: header.dscp().value(),
            ecn: header.ecn().value(),
            id: None,
            fragment: None,
        };
        self.payload(ip, behind)
    }

    /// What the IP header's number announces: HDP if its timestamp is plausible, else the
    /// number's own protocol.
    #[inline]
    pub(super) fn payload(&mut self, ip: Ip, region: Region) -> Result<Datagram<'a>, Skip> {
        if region.len() < hdp::Header::LEN {
            return self.short_payload(ip, region);
        }
        let bytes = self.slice(region);
        if self.is_zero_filled(region) {
            return self.short_payload(ip, region);
        }
        if ip.protocol == number::UDP && self.is_udp(ip, region) {
            return self
                .udp(ip, region)
                .inspect_err(|_| self.note_not_hdp(ip, region));
        }
        if let Some(header) = self.plausible_header(bytes) {
            return self.hdp(ip, Carrier::Ip, header, region);
        }
        match ip.protocol {
            number::ICMP | number::ICMPV6 => self.icmp_error(ip, region),
            number::IPV4 => self.ipv4(region),
            number::IPV6 => self.ipv6(region),
            number::GRE => self.gre(region),
            number::AUTHENTICATION => self.authentication(ip, region),
            number::FRAGMENT if ip.version == 6 => self.ipv6_fragment(ip, region),
            extension if ip.version == 6 && number::EXTENSIONS.contains(&extension) => {
                self.ipv6_extension(ip, region)
            }
            _ => Err(Skip::NotHdp),
        }
        .inspect_err(|_| {
            if rewritten::bits(ip.protocol).is_some() {
                self.note_doubtful(ip, region);
            }
            self.note_not_hdp(ip, region);
        })
    }

    /// Notes a packet that is not HDP, the innermost of the frame.
    #[inline]
    fn note_not_hdp(&mut self, ip: Ip, region: Region) {
        if self.quote.is_none() && self.not_hdp.is_none() {
            *self.not_hdp = Some(NotHdp {
                ip,
                region,
                packet_type: self.packet_type,
                interface: self.interface,
            });
        }
    }

    /// Notes a packet whose timestamp is not plausible, but would be if a box on the way had not
    /// taken the packet for what its number means and written into it.
    #[cold]
    fn note_doubtful(&mut self, ip: Ip, region: Region) {
        let Ok((header, _)) = hdp::Header::parse(self.slice(region)) else {
            return;
        };
        let is_doubtful = self.quote.is_none()
            && ip.fragment.is_none()
            && self.time_ns.is_some_and(|time_ns| {
                rewritten::may_be(
                    ip.protocol,
                    header.timestamp_ns,
                    time_ns,
                    self.dates.window_ns,
                )
            });
        if is_doubtful {
            *self.doubtful = Some(Doubtful {
                ip,
                region,
                packet_type: self.packet_type,
                interface: self.interface,
            });
        }
    }

    /// The packet that was noted.
    pub(super) fn doubtful(&self, ip: Ip, region: Region) -> Option<Datagram<'a>> {
        let (header, _) = hdp::Header::parse(self.slice(region)).ok()?;
        let behind = region.behind(hdp::Header::LEN);
        Some(self.datagram(ip, Carrier::Ip, HeaderView::Whole(header), behind))
    }

    /// Whether the region, 12 bytes or more, starts with a UDP header whose length field is right.
    /// HDP under 17 has the upper bits of its timestamp there, which read as 6,279 to 6,390 bytes
    /// in 2026: HDP of exactly that length is given up for the sake of all UDP. A first fragment
    /// knows only that the whole is longer; there the timestamp decides.
    #[inline]
    fn is_udp(&self, ip: Ip, region: Region) -> bool {
        let bytes = self.slice(region);
        let length = usize::from(u16::from_be_bytes([bytes[4], bytes[5]]));
        if ip.fragment.is_some() {
            length > region.wire_len() && self.plausible_header(bytes).is_none()
        } else {
            length == region.wire_len()
        }
    }

    /// The HDP header at the region's start, if its timestamp is plausible.
    #[inline]
    pub(super) fn plausible_header(&self, bytes: &[u8]) -> Option<hdp::Header> {
        let (header, _) = hdp::Header::parse(bytes).ok()?;
        self.is_plausible(&header).then_some(header)
    }

    #[inline]
    pub(super) fn hdp(
        &mut self,
        ip: Ip,
        carrier: Carrier,
        header: hdp::Header,
        region: Region,
    ) -> Result<Datagram<'a>, Skip> {
        let behind = self.enter(region, LayerKind::Hdp, hdp::Header::LEN)?;
        Ok(self.datagram(ip, carrier, HeaderView::Whole(header), behind))
    }

    #[inline]
    fn datagram(
        &self,
        ip: Ip,
        carrier: Carrier,
        header: HeaderView,
        payload: Region,
    ) -> Datagram<'a> {
        Datagram {
            source: ip.source,
            destination: ip.destination,
            protocol: ip.protocol,
            carrier,
            ttl: ip.ttl,
            dscp: ip.dscp,
            ecn: ip.ecn,
            ip_id: ip.id,
            fragment: ip.fragment,
            header,
            payload: self.slice(payload),
            payload_len: u32::try_from(payload.wire_len()).unwrap_or(u32::MAX),
            encapsulation: Encapsulation::of(self.layers),
            packet_type: self.packet_type,
            interface: self.interface,
            quote: self.quote,
        }
    }

    /// Fewer captured bytes than an HDP header: a short ICMP quote, a cut, or another protocol.
    #[cold]
    fn short_payload(&mut self, ip: Ip, region: Region) -> Result<Datagram<'a>, Skip> {
        if region.wire_len() < hdp::Header::LEN {
            return Err(Skip::NotHdp);
        }
        match self.slice(region).first_chunk() {
            Some(bytes) if self.quote.is_some() => self.upper_half(ip, *bytes, region),
            _ => {
                if self.quote.is_none() {
                    *self.cut_short = Some(ip.protocol);
                }
                Err(super::too_short(region, LayerKind::Hdp, hdp::Header::LEN))
            }
        }
    }

    /// Whether a quote ends behind the 8 bytes that are RFC 792's minimum, although zeros follow:
    /// some routers keep no more and fill up to the 128 bytes that RFC 4884 asks for.
    #[inline]
    fn is_zero_filled(&self, region: Region) -> bool {
        self.quote.is_some()
            && self.slice(region)[QUOTED_AT_LEAST..]
                .iter()
                .all(|b| *b == 0)
    }

    /// A quote of 8 bytes. The lower half of the timestamp may have been anything.
    #[cold]
    fn upper_half(
        &mut self,
        ip: Ip,
        bytes: [u8; QUOTED_AT_LEAST],
        region: Region,
    ) -> Result<Datagram<'a>, Skip> {
        let [a, b, c, d, high @ ..] = bytes;
        let timestamp_high = u32::from_be_bytes(high);
        let lowest = u64::from(timestamp_high) << 32;
        let capture_time = self.time_ns.and_then(|time_ns| u64::try_from(time_ns).ok());
        let header = hdp::Header {
            source_port: u16::from_be_bytes([a, b]),
            destination_port: u16::from_be_bytes([c, d]),
            timestamp_ns: capture_time.map_or(lowest, |time_ns| {
                time_ns.clamp(lowest, lowest | u64::from(u32::MAX))
            }),
        };
        if !self.is_plausible(&header) {
            return Err(Skip::NotHdp);
        }
        let view = HeaderView::UpperHalf {
            source_port: header.source_port,
            destination_port: header.destination_port,
            timestamp_high,
        };
        self.enter(region, LayerKind::Hdp, QUOTED_AT_LEAST)?;
        let nothing = Region {
            start: region.end,
            ..region
        };
        let mut datagram = self.datagram(ip, Carrier::Ip, view, nothing);
        let payload_len = region.wire_len() - hdp::Header::LEN;
        datagram.payload_len = u32::try_from(payload_len).unwrap_or(u32::MAX);
        Ok(datagram)
    }

    /// An IPv6 extension header of the usual form: next header, length in 8-byte units.
    fn ipv6_extension(&mut self, ip: Ip, region: Region) -> Result<Datagram<'a>, Skip> {
        let &[next, units] = self.head::<2>(region, LayerKind::Ipv6Extension)?;
        let len = (usize::from(units) + 1) * 8;
        let behind = self.enter(region, LayerKind::Ipv6Extension, len)?;
        self.payload(
            Ip {
                protocol: next,
                ..ip
            },
            behind,
        )
    }

    /// The IPv6 fragment header (RFC 8200, section 4.5).
    fn ipv6_fragment(&mut self, ip: Ip, region: Region) -> Result<Datagram<'a>, Skip> {
        let header = Ipv6FragmentHeaderSlice::from_slice(self.slice(region))
            .map_err(|_| super::too_short(region, LayerKind::Ipv6Extension, 8))?;
        let behind = self.enter(region, LayerKind::Ipv6Extension, header.slice().len())?;
        let id = header.identification();
        let len = u32::try_from(behind.wire_len()).unwrap_or(u32::MAX);
        if header.fragment_offset().value() != 0 {
            return Err(self.later_piece(Piece {
                set: FragmentSet {
                    source: ip.source,
                    destination: ip.destination,
                    protocol: header.next_header().0,
                    id,
                },
                offset: u32::from(header.fragment_offset().value()) * 8,
                len,
                is_last: !header.more_fragments(),
            }));
        }
        let ip = Ip {
            protocol: header.next_header().0,
            id: Some((id & 0xffff) as u16),
            fragment: header.more_fragments().then_some(Fragment { id, len }),
            ..ip
        };
        self.payload(ip, behind)
    }

    /// The authentication header (RFC 4302): transparent, length in 4-byte units less 2.
    fn authentication(&mut self, ip: Ip, region: Region) -> Result<Datagram<'a>, Skip> {
        let &[next, units] = self.head::<2>(region, LayerKind::Authentication)?;
        let len = (usize::from(units) + 2) * 4;
        if len < 12 || region.wire_len() < len {
            return Err(Skip::NotHdp);
        }
        let behind = self.enter(region, LayerKind::Authentication, len)?;
        self.payload(
            Ip {
                protocol: next,
                ..ip
            },
            behind,
        )
    }
}
