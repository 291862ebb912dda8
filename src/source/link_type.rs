//! Link types: how the first bytes of a frame are to be read.

use std::fmt;

/// A link-layer header type, as a pcap or pcapng file stores it (`LINKTYPE_` values).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: the address family in the capturing host's byte order.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const EN10MB: Self = Self(1);
    /// PPP.
    pub const PPP: Self = Self(9);
    /// Raw IP, the value that libpcap uses inside most systems and writes into some files.
    pub const RAW_DLT: Self = Self(12);
    /// Raw IP, as OpenBSD numbers it.
    pub const RAW_OPENBSD: Self = Self(14);
    /// PPP in HDLC framing.
    pub const PPP_HDLC: Self = Self(50);
    /// Raw IP.
    pub const RAW: Self = Self(101);
    /// Cisco's HDLC.
    pub const C_HDLC: Self = Self(104);
    /// 802.11.
    pub const IEEE802_11: Self = Self(105);
    /// OpenBSD loopback: the address family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux "cooked" capture, as `tcpdump -i any` made until 2020.
    pub const LINUX_SLL: Self = Self(113);
    /// 802.11 behind a radiotap header.
    pub const IEEE802_11_RADIO: Self = Self(127);
    /// Apple's PKTAP as the number that `DLT_USER2` has, which macOS's tcpdump writes.
    pub const PKTAP_USER2: Self = Self(149);
    /// Ethernet behind Juniper's header.
    pub const JUNIPER_ETHER: Self = Self(178);
    /// PPP behind Juniper's header.
    pub const JUNIPER_PPP: Self = Self(179);
    /// Any link type behind a PPI header.
    pub const PPI: Self = Self(192);
    /// Solaris' IPNET.
    pub const IPNET: Self = Self(226);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// What a rule of Linux' netfilter logged.
    pub const NFLOG: Self = Self(239);
    /// Apple's PKTAP: the frame behind a header that names interface and process.
    pub const PKTAP: Self = Self(258);
    /// Linux "cooked" capture version 2, which `tcpdump -i any` makes today.
    pub const LINUX_SLL2: Self = Self(276);
    /// Ethernet with a Broadcom switch's tag before the `EtherType`.
    pub const DSA_TAG_BRCM: Self = Self(281);
    /// The same before all.
    pub const DSA_TAG_BRCM_PREPEND: Self = Self(282);
    /// Ethernet with a Marvell switch's tag.
    pub const DSA_TAG_DSA: Self = Self(284);
    /// The same behind an `EtherType` of its own.
    pub const DSA_TAG_EDSA: Self = Self(285);

    /// The name that tcpdump prints, where this tool knows the link type.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::NULL => "NULL",
            Self::EN10MB => "EN10MB",
            Self::PPP => "PPP",
            Self::PPP_HDLC => "PPP_SERIAL",
            Self::RAW | Self::RAW_DLT | Self::RAW_OPENBSD => "RAW",
            Self::LOOP => "LOOP",
            Self::LINUX_SLL => "LINUX_SLL",
            Self::IPV4 => "IPV4",
            Self::IPV6 => "IPV6",
            Self::PKTAP | Self::PKTAP_USER2 => "PKTAP",
            Self::LINUX_SLL2 => "LINUX_SLL2",
            Self::C_HDLC => "C_HDLC",
            Self::IEEE802_11 => "IEEE802_11",
            Self::IEEE802_11_RADIO => "IEEE802_11_RADIO",
            Self::JUNIPER_ETHER => "JUNIPER_ETHER",
            Self::JUNIPER_PPP => "JUNIPER_PPP",
            Self::PPI => "PPI",
            Self::IPNET => "IPNET",
            Self::NFLOG => "NFLOG",
            Self::DSA_TAG_BRCM => "DSA_TAG_BRCM",
            Self::DSA_TAG_BRCM_PREPEND => "DSA_TAG_BRCM_PREPEND",
            Self::DSA_TAG_DSA => "DSA_TAG_DSA",
            Self::DSA_TAG_EDSA => "DSA_TAG_EDSA",
            _ => return None,
        })
    }
}

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => match known_to_libpcap(*self) {
                Some(name) => f.pad(&format!("{name} (LINKTYPE_{})", self.0)),
                None => f.pad(&format!("LINKTYPE_{}", self.0)),
            },
        }
    }
}

/// tcpdump's name of a link type that is not decoded here. From 104 on its numbers are those of files.
#[cfg(feature = "libpcap")]
fn known_to_libpcap(link_type: LinkType) -> Option<String> {
    let number = Some(link_type.0).filter(|number| *number >= 104)?;
    pcap::Linktype(number.into()).get_name().ok()
}

#[cfg(not(feature = "libpcap"))]
fn known_to_libpcap(_: LinkType) -> Option<String> {
    None
}
