//! Link layers: what stands before IP, by link type.

use std::hash::{Hash, Hasher};

use etherparse::{Ethernet2HeaderSlice, Ipv4HeaderSlice, Ipv6HeaderSlice, SingleVlanHeaderSlice};
use rustc_hash::FxHasher;

use super::{Datagram, LayerKind, Region, Skip, Walk};
use crate::source::LinkType;

/// How a frame met the capturing host, as cooked captures and PKTAP tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PacketType {
    /// Sent to this host.
    Host,
    /// Broadcast by somebody else.
    Broadcast,
    /// Multicast by somebody else.
    Multicast,
    /// Sent to somebody else: overheard, no arrival.
    OtherHost,
    /// Sent by this host.
    Outgoing,
}

impl PacketType {
    /// The value in an SLL or SLL2 header.
    fn from_sll(value: u16) -> Option<Self> {
        Some(match value {
            0 => Self::Host,
            1 => Self::Broadcast,
            2 => Self::Multicast,
            3 => Self::OtherHost,
            4 => Self::Outgoing,
            _ => return None,
        })
    }
}

const ETHER_TYPE_IPV4: u16 = 0x0800;
const ETHER_TYPE_IPV6: u16 = 0x86dd;
const ETHER_TYPE_ETHERNET: u16 = 0x6558;
const ETHER_TYPES_VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const ETHER_TYPES_MPLS: [u16; 2] = [0x8847, 0x8848];
const ETHER_TYPE_PPPOE_SESSION: u16 = 0x8864;

/// Hardware types (`ARPHRD_`) whose cooked frames have no `EtherType` in its place: frame relay,
/// 802.11 with radiotap, netlink.
const HARDWARE_WITHOUT_ETHER_TYPE: [u16; 3] = [770, 803, 824];

const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;
/// Unicast and multicast (RFC 3032).
const PPP_MPLS: [u16; 2] = [0x0281, 0x0283];
/// ROHC, OSI, `AppleTalk`, IPX, Van Jacobson's headers, bridging, multilink, encryption and compression:
/// there may be IP in them that cannot be read (IANA, PPP DLL protocol numbers). And link quality reports.
const PPP_OTHERS: [u16; 13] = [
    0x0003, 0x0005, 0x0023, 0x0029, 0x002b, 0x002d, 0x002f, 0x0031, 0x003d, 0x0053, 0x00fb, 0x00fd,
    0xc025,
];
const NO_PPP: Skip = Skip::Malformed {
    layer: LayerKind::Ppp,
    why: "no protocol number",
};

/// `AF_INET` is 2 everywhere; `AF_INET6` is 10 on Linux, 23 on Windows, 24 on NetBSD and OpenBSD,
/// 28 on FreeBSD, 30 on macOS.
const ADDRESS_FAMILIES: [u32; 6] = [2, 10, 23, 24, 28, 30];

impl<'a> Walk<'a, '_> {
    #[inline]
    pub(super) fn link(&mut self, link: LinkType, region: Region) -> Result<Datagram<'a>, Skip> {
        match link {
            LinkType::EN10MB => self.ethernet(region),
            LinkType::LINUX_SLL2 => self.sll2(region),
            LinkType::LINUX_SLL => self.sll(region),
            LinkType::RAW | LinkType::RAW_DLT | LinkType::RAW_OPENBSD => {
                self.nothing_but_ip(region)
            }
            LinkType::IPV4 => self.ipv4(region),
            LinkType::IPV6 => self.ipv6(region),
            LinkType::NULL => self.loopback(region, LayerKind::Null),
            LinkType::LOOP => self.loopback(region, LayerKind::Loop),
            LinkType::PPP | LinkType::PPP_HDLC => self.ppp(region),
            LinkType::PKTAP | LinkType::PKTAP_USER2 => self.pktap(region),
            LinkType::NFLOG => self.nflog(region),
            LinkType::DSA_TAG_BRCM | LinkType::DSA_TAG_DSA => self.dsa(region, (12, 4)),
            LinkType::DSA_TAG_BRCM_PREPEND => self.dsa(region, (0, 4)),
            LinkType::DSA_TAG_EDSA => self.dsa(region, (12, 8)),
            LinkType::C_HDLC => self.cisco_hdlc(region),
            LinkType::JUNIPER_ETHER | LinkType::JUNIPER_PPP => self.juniper(link, region),
            LinkType::IPNET => self.ipnet(region),
            LinkType::IEEE802_11 => self.ieee802_11(region),
            LinkType::IEEE802_11_RADIO => self.radiotap(region),
            LinkType::PPI => self.ppi(region),
            unknown => Err(Skip::UnsupportedLink(unknown)),
        }
    }

    #[inline]
    pub(super) fn ethernet(&mut self, region: Region) -> Result<Datagram<'a>, Skip> {
        let header = Ethernet2HeaderSlice::from_slice(self.slice(region))
            .map_err(|_| super::too_short(region, LayerKind::Ethernet, 14))?;
        let behind = self.enter(region, LayerKind::Ethernet, header.slice().len())?;
        match self.ether_type(header.ether_type().0, behind) {
            Err(Skip::NotIp) if self.is_bare_ip(region) => {
                self.layers.pop();
                self.ip(region)
            }
            found => found,
        }
    }

    /// Whether IP begins where a link layer should: some systems record what a tunnel hands up that way,
    /// in a capture of Ethernet.
    #[cold]
    fn is_bare_ip(&self, region: Region) -> bool {
        let bytes = self.slice(region);
        match bytes.first().map(|first| first >> 4) {
            Some(4) => Ipv4HeaderSlice::from_slice(bytes).is_ok_and(|header| {
                usize::from(header.total_len()) <= region.wire_len()
                    && header.to_header().calc_header_checksum() == header.header_checksum()
            }),
            Some(6) => Ipv6HeaderSlice::from_slice(bytes).is_ok_and(|header| {
                header.slice().len() + usize::from(header.payload_length()) == region.wire_len()
            }),
            _ => false,
        }
    }

    /// What an `EtherType` announces.
    #[inline]
    pub(super) fn ether_type(
        &mut self,
        ether_type: u16,
        region: Region,
    ) -> Result<Datagram<'a>, Skip> {
        match ether_type {
            ETHER_TYPE_IPV4 => self.ipv4(region),
            ETHER_TYPE_IPV6 => self.ipv6(region),
            ETHER_TYPE_ETHERNET => self.ethernet(region),
            ETHER_TYPE_PPPOE_SESSION => self.pppoe(region),
            vlan if ETHER_TYPES_VLAN.contains(&vlan) => {
                let header = SingleVlanHeaderSlice::from_slice(self.slice(region))
                    .map_err(|_| super::too_short(region, LayerKind::Vlan, 4))?;
                let behind = self.enter(region, LayerKind::Vlan, header.slice().len())?;
                self.ether_type(header.ether_type().0, behind)
            }
            mpls if ETHER_TYPES_MPLS.contains(&mpls) => self.mpls(region),
            _ => Err(Skip::NotIp),
        }
    }

    /// Linux cooked capture: packet type, hardware type, address, protocol.
    fn sll(&mut self, region: Region) -> Result<Datagram<'a>, Skip> {
        let header = self.head::<16>(region, LayerKind::Sll)?;
        let packet_type = u16::from_be_bytes([header[0], header[1]]);
        self.packet_type = PacketType::from_sll(packet_type);
        let behind = self.enter(region, LayerKind::Sll, 16)?;
        let [hardware, protocol] =
            [2, 14].map(|at| u16::from_be_bytes([header[at], header[at + 1]]));
        self.cooked(LayerKind::Sll, (packet_type, hardware), protocol, behind)
    }

    /// Linux cooked capture version 2: protocol, interface index, hardware type, packet type,
    /// address.
    fn sll2(&mut self, region: Region) -> Result<Datagram<'a>, Skip> {
        let header = self.head::<20>(region, LayerKind::Sll2)?;
        self.interface = Some(u32::from_be_bytes([
            header[4], header[5], header[6], header[7],
        ]));
        let packet_type = u16::from(header[10]);
        self.packet_type = PacketType::from_sll(packet_type);
        let behind = self.enter(region, LayerKind::Sll2, 20)?;
        let [hardware, protocol] =
            [8, 0].map(|at| u16::from_be_bytes([header[at], header[at + 1]]));
        self.cooked(LayerKind::Sll2, (packet_type, hardware), protocol, behind)
    }

    /// What a cooked header announces.
    #[inline]
    fn cooked(
        &mut self,
        layer: LayerKind,
        (packet_type, hardware): (u16, u16),
        protocol: u16,
        region: Region,
    ) -> Result<Datagram<'a>, Skip> {
        // <linux/if_packet.h> knows eight.
        if packet_type > 7 {
            return Err(Skip::Malformed {
                layer,
                why: "unknown packet type",
            });
        }
        if HARDWARE_WITHOUT_ETHER_TYPE.contains(&hardware) {
            return Err(Skip::NotIp);
        }
        self.ether_type(protocol, region)
    }

    /// BSD loopback: four bytes of address family, in the capturing host's order for NULL, in
    /// network order for LOOP. The IP version decides; the family only has to be one.
    fn loopback(&mut self, region: Region, kind: LayerKind) -> Result<Datagram<'a>, Skip> {
        let family = *self.head::<4>(region, kind)?;
        let either_order = [u32::from_be_bytes(family), u32::from_le_bytes(family)];
        if !either_order
            .iter()
            .any(|family| ADDRESS_FAMILIES.contains(family))
        {
            // All are small; what stands here is another link's, or damaged.
            let is_family = either_order.iter().any(|family| *family <= 0xff);
            return Err(if is_family {
                Skip::NotIp
            } else {
                Skip::Malformed {
                    layer: kind,
                    why: "no address family",
                }
            });
        }
        let behind = self.enter(region, kind, 4)?;
        self.nothing_but_ip(behind)
    }

    /// PPP, with or without the HDLC address and control bytes, protocol field compressed or not
    /// (RFC 1661, RFC 1662).
    pub(super) fn ppp(&mut self, region: Region) -> Result<Datagram<'a>, Skip> {
        let hdlc = match self.slice(region) {
            [0xff, 0x03, ..] => 2,
            // The capture ends in the middle: no protocol field starts like this.
            [0xff] => return Err(super::too_short(region, LayerKind::Ppp, 2)),
            _ => 0,
        };
        let first = self.head::<1>(region.behind(hdlc), LayerKind::Ppp)?[0];
        let (protocol, len) = if first & 1 == 1 {
            (u16::from(first), hdlc + 1)
        } else {
            let field = *self.head::<2>(region.behind(hdlc), LayerKind::Ppp)?;
            (u16::from_be_bytes(field), hdlc + 2)
        };
        let behind = self.enter(region, LayerKind::Ppp, len)?;
        match protocol {
            PPP_IPV4 => self.ipv4(behind),
            PPP_IPV6 => self.ipv6(behind),
            mpls if PPP_MPLS.contains(&mpls) => self.mpls(behind),
            other if PPP_OTHERS.contains(&other) => Err(Skip::NotIp),
            control if control & 0x8001 == 0x8001 => {
                // Code, identifier and length (RFC 1661, section 5).
                let [.., high, low] = *self.head::<4>(behind, LayerKind::Ppp)?;
                let len = usize::from(u16::from_be_bytes([high, low]));
                let is_control = (4..=behind.wire_len()).contains(&len);
                Err(if is_control { Skip::NotIp } else { NO_PPP })
            }
            _ => Err(NO_PPP),
        }
    }

    /// `PPPoE` session (RFC 2516): six bytes, then PPP's protocol field.
    fn pppoe(&mut self, region: Region) -> Result<Datagram<'a>, Skip> {
        let header = self.head::<6>(region, LayerKind::Pppoe)?;
        if header[0] != 0x11 || header[1] != 0 {
            return Err(Skip::Malformed {
                layer: LayerKind::Pppoe,
                why: "not a session packet",
            });
        }
        let behind = self.enter(region, LayerKind::Pppoe, 6)?;
        self.ppp(behind)
    }

    /// MPLS label stack (RFC 3032): behind the bottom label IP, or a pseudowire's Ethernet, with
    /// a control word before it or not (RFC 4448). A MAC address that begins with 4 or 6 is taken
    /// for IP, one that begins with two zeros for the control word, as routers do that hash.
    fn mpls(&mut self, mut region: Region) -> Result<Datagram<'a>, Skip> {
        loop {
            let label = self.head::<4>(region, LayerKind::Mpls)?;
            region = self.enter(region, LayerKind::Mpls, 4)?;
            if label[2] & 1 == 1 {
                break;
            }
        }
        match *self.head::<4>(region, LayerKind::Mpls)? {
            [first, ..] if matches!(first >> 4, 4 | 6) => self.ip(region),
            [0, 0, ..] => self.ethernet(region.behind(4)),
            _ => self.ethernet(region),
        }
    }

    /// Apple's PKTAP: a little-endian header that names the link type of the frame behind it.
    fn pktap(&mut self, region: Region) -> Result<Datagram<'a>, Skip> {
        const DIRECTION_IN: u32 = 1;
        const DIRECTION_OUT: u32 = 2;
        let header = self.head::<40>(region, LayerKind::Pktap)?;
        let word = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let (len, link_type, name, flags) = (word(0), word(8), &header[12..36], word(36));
        if len < 40 {
            return Err(Skip::Malformed {
                layer: LayerKind::Pktap,
                why: "shorter than its header",
            });
        }
        self.packet_type = match flags & (DIRECTION_IN | DIRECTION_OUT) {
            DIRECTION_IN => Some(PacketType::Host),
            DIRECTION_OUT => Some(PacketType::Outgoing),
            _ => None,
        };
        let mut hasher = FxHasher::default();
        name.hash(&mut hasher);
        self.interface = Some((hasher.finish() >> 32) as u32);
        let behind = self.enter(region, LayerKind::Pktap, len as usize)?;
        match LinkType(u16::try_from(link_type).unwrap_or(u16::MAX)) {
            LinkType::PKTAP | LinkType::PKTAP_USER2 => Err(Skip::Malformed {
                layer: LayerKind::Pktap,
                why: "PKTAP inside PKTAP",
            }),
            link_type => self.link(link_type, behind),
        }
    }
}
