//! Tunnels that HDP may be inside of: GRE, ERSPAN, VXLAN, TZSP; and UDP, which carries the control.

use etherparse::UdpHeaderSlice;

use super::{Datagram, LayerKind, Region, Skip, Walk, ip::Ip};
use crate::hdp;
use crate::protocols::Carrier;

/// IANA's port for VXLAN (RFC 7348), and the one that Linux took before there was one.
pub(super) const VXLAN_PORTS: [u16; 2] = [4789, 8472];

/// The port of TZSP, by which switches and access points mirror what they carry.
pub(super) const TZSP_PORT: u16 = 37_008;

/// GRE's protocol types of mirrored frames: ERSPAN I and II, III.
const ERSPAN: u16 = 0x88be;
const ERSPAN_III: u16 = 0x22eb;

impl<'a> Walk<'a, '_> {
    /// A valid UDP datagram: the control if either port is HDP's, or VXLAN.
    pub(super) fn udp(&mut self, ip: Ip, region: Region) -> Result<Datagram<'a>, Skip> {
        let header = UdpHeaderSlice::from_slice(self.slice(region))
            .map_err(|_| super::too_short(region, LayerKind::Udp, 8))?;
        // A fragment's UDP header states the length of the whole; so does the control's payload.
        let region = region.limited_to(usize::from(header.length()));
        let behind = self.enter(region, LayerKind::Udp, header.slice().len())?;
        let (source, destination) = (header.source_port(), header.destination_port());
        if source == hdp::PORT || destination == hdp::PORT {
            let bytes = self.slice(behind);
            return match self.plausible_header(bytes) {
                Some(header) => self.hdp(ip, Carrier::Udp, header, behind),
                None if bytes.len() < hdp::Header::LEN && behind.wire_len() >= hdp::Header::LEN => {
                    Err(super::too_short(behind, LayerKind::Hdp, hdp::Header::LEN))
                }
                None => Err(Skip::NotHdp),
            };
        }
        if destination == TZSP_PORT {
            return self.tzsp(behind);
        }
        if VXLAN_PORTS.contains(&destination) {
            return self.vxlan(behind);
        }
        Err(Skip::NotHdp)
    }

    /// VXLAN (RFC 7348): eight bytes with the "network identifier is valid" flag, then Ethernet.
    fn vxlan(&mut self, region: Region) -> Result<Datagram<'a>, Skip> {
        if self.head::<8>(region, LayerKind::Vxlan)?[0] & 0x08 == 0 {
            return Err(Skip::NotHdp);
        }
        let behind = self.enter(region, LayerKind::Vxlan, 8)?;
        in_tunnel(self.ethernet(behind))
    }

    /// GRE (RFC 2784, RFC 2890): flags, `EtherType`, then checksum, key and sequence number as the
    /// flags say.
    pub(super) fn gre(&mut self, region: Region) -> Result<Datagram<'a>, Skip> {
        const CHECKSUM: u16 = 0x8000;
        const ROUTING: u16 = 0x4000;
        const KEY: u16 = 0x2000;
        const SEQUENCE: u16 = 0x1000;
        const VERSION: u16 = 0x0007;
        let header = self.head::<4>(region, LayerKind::Gre)?;
        let flags = u16::from_be_bytes([header[0], header[1]]);
        if flags & (ROUTING | VERSION) != 0 {
            return Err(Skip::NotHdp);
        }
        let optional = [CHECKSUM, KEY, SEQUENCE]
            .iter()
            .filter(|flag| flags & **flag != 0)
            .count();
        let protocol = u16::from_be_bytes([header[2], header[3]]);
        let behind = self.enter(region, LayerKind::Gre, 4 + 4 * optional)?;
        in_tunnel(match protocol {
            // Type I has no header of its own, and no sequence numbers.
            ERSPAN if flags & SEQUENCE == 0 => self.erspan(behind, 0),
            ERSPAN => self.erspan(behind, 8),
            ERSPAN_III => self.erspan_iii(behind),
            protocol => self.ether_type(protocol, behind),
        })
    }

    /// A mirrored frame behind an ERSPAN header of so many bytes (draft-foschiano-erspan).
    fn erspan(&mut self, region: Region, len: usize) -> Result<Datagram<'a>, Skip> {
        let behind = self.enter(region, LayerKind::Erspan, len)?;
        self.ethernet(behind)
    }

    /// The third type: 12 bytes, and 8 more where the last bit says so; the frame may be IP alone.
    fn erspan_iii(&mut self, region: Region) -> Result<Datagram<'a>, Skip> {
        const IP_FRAME: u8 = 2;

        let header = self.head::<12>(region, LayerKind::Erspan)?;
        let len = if header[11] & 1 == 1 { 20 } else { 12 };
        let behind = self.enter(region, LayerKind::Erspan, len)?;
        if header[10] >> 2 & 0x1f == IP_FRAME {
            return self.ip(behind);
        }
        self.ethernet(behind)
    }

    /// TZSP: a header of 4 bytes, tagged fields up to the one that ends them, then the frame.
    fn tzsp(&mut self, region: Region) -> Result<Datagram<'a>, Skip> {
        const VERSION: u8 = 1;
        const PADDING: u8 = 0;
        const END: u8 = 1;
        const ETHERNET: u16 = 1;
        const IEEE802_11: u16 = 18;

        let &[version, _, high, low] = self.head::<4>(region, LayerKind::Tzsp)?;
        if version != VERSION {
            return Err(Skip::NotHdp);
        }
        let mut len = 4;
        loop {
            let tag = self.head::<1>(region.behind(len.min(region.len())), LayerKind::Tzsp)?[0];
            len += 1;
            match tag {
                END => break,
                PADDING => {}
                _ => {
                    let field = region.behind(len.min(region.len()));
                    len += 1 + usize::from(self.head::<1>(field, LayerKind::Tzsp)?[0]);
                }
            }
        }
        let behind = self.enter(region, LayerKind::Tzsp, len)?;
        in_tunnel(match u16::from_be_bytes([high, low]) {
            ETHERNET => self.ethernet(behind),
            IEEE802_11 => self.ieee802_11(behind),
            _ => Err(Skip::NotHdp),
        })
    }
}

/// The frame is IP, whatever a tunnel in it carries.
fn in_tunnel(decoded: Result<Datagram, Skip>) -> Result<Datagram, Skip> {
    match decoded {
        Err(Skip::NotIp) => Err(Skip::NotHdp),
        other => other,
    }
}
