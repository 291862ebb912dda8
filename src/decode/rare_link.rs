//! Link layers that few captures have: netfilter's log, switch tags, serial lines, radio.
//!
//! Layouts are those of the registry of link types (<https://www.tcpdump.org/linktypes.html>).

use super::{Datagram, LayerKind, Region, Skip, Walk};
use crate::source::LinkType;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// Behind two MAC addresses.
const ETHERNET_TYPE_AT: usize = 12;

/// LLC with SNAP and no organization: an `EtherType` follows (RFC 1042).
const SNAP: [u8; 6] = [0xaa, 0xaa, 0x03, 0, 0, 0];

impl<'a> Walk<'a, '_> {
    /// Netfilter's log: the address family, then attributes of which one is the datagram.
    pub(super) fn nflog(&mut self, region: Region) -> Result<Datagram<'a>, Skip> {
        let &[family, version, ..] = self.head::<4>(region, LayerKind::Nflog)?;
        if version != 0 {
            return Err(unknown_version(LayerKind::Nflog));
        }
        let attributes = nflog_attributes(self.slice(region));
        let payload = attributes
            .into_iter()
            .flatten()
            .find(|attribute| attribute.kind == PAYLOAD);
        let Some(payload) = payload else {
            return Err(Skip::NotIp);
        };
        // What netfilter copied is what there is: the frame's own length counts the attributes.
        let behind = self.enter(region, LayerKind::Nflog, payload.start)?;
        match family {
            AF_INET => self.ipv4(behind),
            AF_INET6 => self.ipv6(behind),
            _ => Err(Skip::NotIp),
        }
    }

    /// A switch's tag of so many bytes in front of the `EtherType`, or of all.
    pub(super) fn dsa(
        &mut self,
        region: Region,
        (at, len): (usize, usize),
    ) -> Result<Datagram<'a>, Skip> {
        if at == 0 {
            let behind = self.enter(region, LayerKind::Dsa, len)?;
            return self.ethernet(behind);
        }
        let behind = self.enter(region, LayerKind::Dsa, ETHERNET_TYPE_AT + len)?;
        let ether_type = *self.head::<2>(behind, LayerKind::Ethernet)?;
        let behind = self.enter(behind, LayerKind::Ethernet, 2)?;
        self.ether_type(u16::from_be_bytes(ether_type), behind)
    }

    /// Cisco's HDLC: address, control, `EtherType`.
    pub(super) fn cisco_hdlc(&mut self, region: Region) -> Result<Datagram<'a>, Skip> {
        const UNICAST: u8 = 0x0f;
        const MULTICAST: u8 = 0x8f;

        let &[address, control, high, low] = self.head::<4>(region, LayerKind::Hdlc)?;
        if !matches!(address, UNICAST | MULTICAST) || control != 0 {
            return Err(Skip::Malformed {
                layer: LayerKind::Hdlc,
                why: "unknown address or control byte",
            });
        }
        let behind = self.enter(region, LayerKind::Hdlc, 4)?;
        self.ether_type(u16::from_be_bytes([high, low]), behind)
    }

    /// Juniper's header: a magic number, flags, and extensions where the flags say so; then the frame,
    /// unless the flags say that it has no link layer: then an address family.
    pub(super) fn juniper(
        &mut self,
        link_type: LinkType,
        region: Region,
    ) -> Result<Datagram<'a>, Skip> {
        const MAGIC: [u8; 3] = *b"MGC";
        const NO_LINK_LAYER: u8 = 0x02;
        const EXTENSIONS: u8 = 0x80;

        let &[a, b, c, flags] = self.head::<4>(region, LayerKind::Juniper)?;
        if [a, b, c] != MAGIC {
            return Err(Skip::Malformed {
                layer: LayerKind::Juniper,
                why: "no magic number",
            });
        }
        let mut len = 4;
        if flags & EXTENSIONS != 0 {
            let extensions = *self.head::<2>(region.behind(len), LayerKind::Juniper)?;
            len += 2 + usize::from(u16::from_be_bytes(extensions));
        }
        if flags & NO_LINK_LAYER != 0 {
            let behind = self.enter(region, LayerKind::Juniper, len + 4)?;
            return self.nothing_but_ip(behind);
        }
        let behind = self.enter(region, LayerKind::Juniper, len)?;
        match link_type {
            LinkType::JUNIPER_PPP => self.ppp(behind),
            _ => self.ethernet(behind),
        }
    }

    /// Solaris' IPNET: 24 bytes of zones and interfaces, then IP.
    pub(super) fn ipnet(&mut self, region: Region) -> Result<Datagram<'a>, Skip> {
        let behind = self.enter(region, LayerKind::Ipnet, 24)?;
        self.nothing_but_ip(behind)
    }

    /// Radiotap: a header that states its own length, then 802.11.
    pub(super) fn radiotap(&mut self, region: Region) -> Result<Datagram<'a>, Skip> {
        let &[version, _, low, high] = self.head::<4>(region, LayerKind::Radiotap)?;
        if version != 0 {
            return Err(unknown_version(LayerKind::Radiotap));
        }
        let len = usize::from(u16::from_le_bytes([low, high]));
        let behind = self.enter(region, LayerKind::Radiotap, len)?;
        self.ieee802_11(behind)
    }

    /// 802.11: data frames that are not encrypted.
    pub(super) fn ieee802_11(&mut self, region: Region) -> Result<Datagram<'a>, Skip> {
        const VERSION: u8 = 0x03;
        const TYPE: u8 = 0x0c;
        const DATA: u8 = 0x08;
        const NO_DATA: u8 = 0x40;
        const QOS: u8 = 0x80;
        const BOTH_SYSTEMS: u8 = 0x03;
        const PROTECTED: u8 = 0x40;
        const ORDER: u8 = 0x80;

        let &[control, flags] = self.head::<2>(region, LayerKind::Ieee80211)?;
        if control & VERSION != 0 {
            return Err(unknown_version(LayerKind::Ieee80211));
        }
        if control & TYPE != DATA || control & NO_DATA != 0 || flags & PROTECTED != 0 {
            return Err(Skip::NotIp);
        }
        let mut len = 24;
        if flags & BOTH_SYSTEMS == BOTH_SYSTEMS {
            len += 6;
        }
        if control & QOS != 0 {
            len += if flags & ORDER != 0 { 6 } else { 2 };
        }
        let behind = self.enter(region, LayerKind::Ieee80211, len)?;
        let llc = *self.head::<8>(behind, LayerKind::Ieee80211)?;
        if llc[..6] != SNAP {
            return Err(Skip::NotIp);
        }
        self.ether_type(u16::from_be_bytes([llc[6], llc[7]]), behind.behind(8))
    }

    /// PPI: a header that states its own length and the link type behind it.
    pub(super) fn ppi(&mut self, region: Region) -> Result<Datagram<'a>, Skip> {
        let &[version, _, low, high, a, b, c, d] = self.head::<8>(region, LayerKind::Ppi)?;
        if version != 0 {
            return Err(unknown_version(LayerKind::Ppi));
        }
        let len = usize::from(u16::from_le_bytes([low, high]));
        let link_type = u32::from_le_bytes([a, b, c, d]);
        let behind = self.enter(region, LayerKind::Ppi, len.max(8))?;
        match LinkType(u16::try_from(link_type).unwrap_or(u16::MAX)) {
            LinkType::PPI => Err(Skip::Malformed {
                layer: LayerKind::Ppi,
                why: "PPI inside PPI",
            }),
            link_type => self.link(link_type, behind),
        }
    }
}

fn unknown_version(layer: LayerKind) -> Skip {
    Skip::Malformed {
        layer,
        why: "unknown version",
    }
}

/// The attribute of a netfilter log that holds the datagram (`NFULA_PAYLOAD`).
const PAYLOAD: u16 = 9;
/// The one that holds a rule's prefix (`NFULA_PREFIX`).
const PREFIX: u16 = 10;
/// The one that holds the hook (`NFULA_PACKET_HDR`).
const PACKET_HEADER: u16 = 1;
/// The index of the interface that the packet came in by (`NFULA_IFINDEX_INDEV`), in network order.
const IN_INTERFACE: u16 = 4;
/// The same of the one that it goes out by (`NFULA_IFINDEX_OUTDEV`).
const OUT_INTERFACE: u16 = 5;

/// An attribute of a netfilter log: where its value stands in the frame.
#[derive(Debug, Clone, Copy)]
struct Attribute {
    kind: u16,
    start: usize,
    end: usize,
}

/// The attributes behind the header of 4 bytes, as far as they are there. Length and kind stand in the
/// byte order of the host that logged: the first attribute, which is short, tells which.
fn nflog_attributes(bytes: &[u8]) -> Option<impl Iterator<Item = Attribute> + '_> {
    let first: [u8; 2] = bytes.get(4..6)?.try_into().ok()?;
    let is_little = u16::from_le_bytes(first) <= u16::from_be_bytes(first);
    let number = move |bytes: [u8; 2]| {
        if is_little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        }
    };
    let mut at = 4;
    Some(std::iter::from_fn(move || {
        let &[a, b, c, d] = bytes.get(at..)?.first_chunk()?;
        let len = usize::from(number([a, b]));
        if len < 4 {
            return None;
        }
        let attribute = Attribute {
            // The highest bits are flags.
            kind: number([c, d]) & 0x3fff,
            start: at + 4,
            end: (at + len).min(bytes.len()),
        };
        at += len.next_multiple_of(4);
        Some(attribute)
    }))
}

/// What a netfilter log says of a packet beside the packet itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Logged<'a> {
    /// The rule's prefix, without blanks around it.
    pub prefix: &'a str,
    /// The hook in which the rule is.
    pub hook: Option<&'static str>,
    /// The index of the interface that the packet came in by.
    pub in_interface: Option<u32>,
    /// The index of the one that it was to go out by.
    pub out_interface: Option<u32>,
}

impl<'a> Logged<'a> {
    /// What is said in a frame of link type NFLOG.
    pub(crate) fn read(frame: &'a [u8]) -> Self {
        let mut logged = Self {
            prefix: "",
            hook: None,
            in_interface: None,
            out_interface: None,
        };
        let index = |value: &[u8]| value.try_into().ok().map(u32::from_be_bytes);
        for attribute in nflog_attributes(frame).into_iter().flatten() {
            let value = frame
                .get(attribute.start..attribute.end)
                .unwrap_or_default();
            match attribute.kind {
                PREFIX => {
                    let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
                    logged.prefix = str::from_utf8(text).unwrap_or_default().trim();
                }
                PACKET_HEADER => {
                    logged.hook = value.get(2).and_then(|hook| {
                        Some(match hook {
                            0 => "prerouting",
                            1 => "input",
                            2 => "forward",
                            3 => "output",
                            4 => "postrouting",
                            _ => return None,
                        })
                    });
                }
                IN_INTERFACE => logged.in_interface = index(value),
                OUT_INTERFACE => logged.out_interface = index(value),
                _ => {}
            }
        }
        logged
    }
}
