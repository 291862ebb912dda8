//! Tunnels that HDP may be inside of: GRE, VXLAN; and UDP, which carries the control.

use etherparse::UdpHeaderSlice;

use super::{Datagram, LayerKind, Region, Skip, Walk, ip::Ip};
use crate::hdp;
use crate::protocols::Carrier;

/// IANA's port for VXLAN (RFC 7348), and the one that Linux took before there was one.
pub(super) const VXLAN_PORTS: [u16; 2] = [4789, 8472];

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
        let behind = self.enter(region, LayerKind::Gre, 4 + 4 * optional)?;
        in_tunnel(self.ether_type(u16::from_be_bytes([header[2], header[3]]), behind))
    }
}

/// The frame is IP, whatever a tunnel in it carries.
fn in_tunnel(decoded: Result<Datagram, Skip>) -> Result<Datagram, Skip> {
    match decoded {
        Err(Skip::NotIp) => Err(Skip::NotHdp),
        other => other,
    }
}
