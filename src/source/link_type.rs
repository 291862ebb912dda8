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
    /// OpenBSD loopback: the address family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux "cooked" capture, as `tcpdump -i any` made until 2020.
    pub const LINUX_SLL: Self = Self(113);
    /// Apple's PKTAP as the number that `DLT_USER2` has, which macOS's tcpdump writes.
    pub const PKTAP_USER2: Self = Self(149);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Apple's PKTAP: the frame behind a header that names interface and process.
    pub const PKTAP: Self = Self(258);
    /// Linux "cooked" capture version 2, which `tcpdump -i any` makes today.
    pub const LINUX_SLL2: Self = Self(276);

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
            _ => return None,
        })
    }
}

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => f.pad(&format!("LINKTYPE_{}", self.0)),
        }
    }
}
