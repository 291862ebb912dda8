//! Decoding: from a frame to the HDP datagram in it, or to the reason why there is none.
//!
//! The walk goes down link layer, encapsulations and IP, and stops at the base IP header: what
//! follows *is* the payload of the number it names. Whole-packet parsers fail here, because they
//! take HDP under 6, 17, 44 or 51 for TCP, UDP, fragments or authentication headers. At each
//! number the HDP timestamp is tested first; only where it is not plausible is the number's own
//! protocol (tunnel, ICMP error, IPv6 extension header) followed further down. The one exception
//! is a UDP header whose length field is right: that is UDP, and HDP inside it is the control.
//!
//! The module promises to decode any bytes without panicking or allocating. It judges nothing:
//! whether a packet is an arrival, a duplicate or evidence is for the later stages. Fragments are
//! not joined here; the first one is decoded, later ones are skipped with what tells their set.
//!
//! Not followed, so that HDP inside them counts as not IP or not HDP: LLC and SNAP on Ethernet, 802.1AE, PPTP's GRE, L2TP, Geneve, GTP-U, and ESP, whose content nobody can read. The control in
//! an ICMP quote of fewer than 20 bytes is not told from other UDP.

mod bystander;
mod candidates;
mod encapsulation;
mod icmp;
mod ip;
mod link;
mod rare_link;
mod rewritten;
mod shortcut;

use std::{fmt, net::IpAddr};

use arrayvec::ArrayVec;

pub(crate) use bystander::{Bystander, BystanderKind};
pub use candidates::candidates;
pub use icmp::meaning as icmp_meaning;
pub(crate) use ip::number;
pub use link::PacketType;
pub(crate) use rare_link::Logged;
pub(crate) use shortcut::{Again, Shortcut};

use crate::{
    hdp,
    protocols::Carrier,
    source::{Frame, LinkType},
};

/// How far the timestamp may lie from the capture time by default: one day, in nanoseconds.
pub const DEFAULT_WINDOW_NS: u64 = 86_400_000_000_000;

/// Dates of HDP: it is younger than its article, and a clock that shows an earlier one was never set.
/// 2024-01-01 to 2096-10-02.
const DATES_OF_HDP_NS: std::ops::Range<i64> = 1_704_067_200_000_000_000..4_000_000_000_000_000_000;

/// Which timestamps are taken for HDP's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_field_names)] // All are times.
pub struct Dates {
    window_ns: u64,
    elsewhere_ns: Option<i64>,
    /// From then on, the window holds dates of HDP only.
    surely_from_ns: i64,
}

impl From<u64> for Dates {
    /// Timestamps so near to the capture time, in nanoseconds.
    fn from(window_ns: u64) -> Self {
        let window = i64::try_from(window_ns).unwrap_or(i64::MAX);
        Self {
            window_ns,
            elsewhere_ns: None,
            surely_from_ns: DATES_OF_HDP_NS.start.saturating_add(window),
        }
    }
}

impl Dates {
    /// Or timestamps so near to this, in nanoseconds since the epoch, where a frame's time is none:
    /// because the clock was never set.
    #[must_use]
    pub fn or_near(self, elsewhere_ns: Option<i64>) -> Self {
        Self {
            elsewhere_ns,
            ..self
        }
    }

    /// So near to the capture time must they be, in nanoseconds.
    #[must_use]
    pub fn window_ns(&self) -> u64 {
        self.window_ns
    }

    /// Whether a clock that shows this was ever set.
    #[must_use]
    pub fn is_date(time_ns: i64) -> bool {
        time_ns >= DATES_OF_HDP_NS.start
    }

    /// Whether a frame captured at this time may hold HDP with this timestamp.
    #[inline]
    fn are_plausible(self, header: &hdp::Header, time_ns: Option<i64>) -> bool {
        match time_ns {
            // Whatever lies within the window is young enough.
            Some(time_ns) if time_ns >= self.surely_from_ns => {
                header.is_plausible_at(time_ns, self.window_ns)
            }
            Some(time_ns) if Self::is_date(time_ns) => {
                header.timestamp_ns >= DATES_OF_HDP_NS.start.cast_unsigned()
                    && header.is_plausible_at(time_ns, self.window_ns)
            }
            _ => self.are_plausible_undated(header, time_ns),
        }
    }

    #[cold]
    fn are_plausible_undated(self, header: &hdp::Header, time_ns: Option<i64>) -> bool {
        match (self.elsewhere_ns, time_ns) {
            (Some(elsewhere_ns), _) => header.is_plausible_at(elsewhere_ns, self.window_ns),
            (None, None) => header
                .timestamp_ns
                .try_into()
                .is_ok_and(|timestamp_ns| DATES_OF_HDP_NS.contains(&timestamp_ns)),
            (None, Some(_)) => false,
        }
    }
}

/// Headers that are followed at the most; beyond that a frame counts as malformed.
const MAX_LAYERS: usize = 24;

/// An HDP packet as one observation point saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Source address in the IP header right above HDP.
    pub source: IpAddr,
    /// Destination address in the IP header right above HDP.
    pub destination: IpAddr,
    /// The protocol number on the wire: IPv4's protocol field, or the last next-header value.
    pub protocol: u8,
    /// What HDP rode on.
    pub carrier: Carrier,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Differentiated services code point (RFC 2474).
    pub dscp: u8,
    /// Explicit congestion notification field (RFC 3168).
    pub ecn: u8,
    /// IPv4 identification, or that of an IPv6 fragment header cut to its low 16 bits.
    pub ip_id: Option<u16>,
    /// Set on the first fragment of a fragmented datagram.
    pub fragment: Option<Fragment>,
    /// The header, or what an ICMP quote left of it.
    pub header: HeaderView,
    /// The payload as far as it was captured.
    pub payload: &'a [u8],
    /// The payload's length in bytes by the IP (or UDP) header's word, whatever was captured.
    pub payload_len: u32,
    /// What lies between the link layer and the IP header right above HDP.
    pub encapsulation: Encapsulation,
    /// Cooked captures and PKTAP say how the frame met the capturing host.
    pub packet_type: Option<PacketType>,
    /// Interface index (SLL2) or a hash of its name (PKTAP), meaningful inside this capture only.
    pub interface: Option<u32>,
    /// Set when this is no packet but a quote of one in an ICMP error.
    pub quote: Option<Quote>,
}

/// The first fragment's place in its set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fragment {
    /// Identification that the pieces share.
    pub id: u32,
    /// Length of this piece of the IP payload in bytes, by the IP header's word.
    pub len: u32,
}

/// What the pieces of a fragmented datagram share (RFC 791, RFC 8200).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FragmentSet {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Protocol number of the whole.
    pub protocol: u8,
    /// Identification.
    pub id: u32,
}

/// A piece of a fragmented datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Which datagram's.
    pub set: FragmentSet,
    /// Where in the IP payload it starts, in bytes.
    pub offset: u32,
    /// Its length in bytes, by the IP header's word.
    pub len: u32,
    /// Whether the datagram ends with it.
    pub is_last: bool,
}

/// A piece without the datagram's beginning, and where it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaterPiece {
    /// The piece.
    pub piece: Piece,
    /// As [`Datagram::packet_type`].
    pub packet_type: Option<PacketType>,
    /// As [`Datagram::interface`].
    pub interface: Option<u32>,
}

/// The HDP header as far as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeaderView {
    /// All 12 bytes.
    Whole(hdp::Header),
    /// The 8 bytes that the shortest ICMP quotes hold (RFC 792): both ports and the timestamp's
    /// upper half, which counts in steps of 4.29 s.
    UpperHalf {
        /// Source port.
        source_port: u16,
        /// Destination port.
        destination_port: u16,
        /// The timestamp's upper 32 bits.
        timestamp_high: u32,
    },
}

impl HeaderView {
    /// Source and destination port.
    #[must_use]
    pub fn ports(&self) -> (u16, u16) {
        match *self {
            Self::Whole(header) => (header.source_port, header.destination_port),
            Self::UpperHalf {
                source_port,
                destination_port,
                ..
            } => (source_port, destination_port),
        }
    }
}

/// The ICMP error that quotes a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quote {
    /// Who sent the error.
    pub by: IpAddr,
    /// To whom.
    pub to: IpAddr,
    /// 4 for ICMP, 6 for `ICMPv6`.
    pub version: u8,
    /// The error's type.
    pub icmp_type: u8,
    /// The code within the type.
    pub code: u8,
}

/// Why a frame gives no HDP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Skip {
    /// There is no IP in the frame.
    #[error("not IP")]
    NotIp,
    /// It is IP, but not HDP.
    #[error("not HDP")]
    NotHdp,
    /// The capture kept too few bytes to tell.
    #[error("{layer} needs {needs} bytes, the capture kept {has}")]
    CutShort {
        /// The header that is not there whole.
        layer: LayerKind,
        /// Bytes that it takes.
        needs: usize,
        /// Bytes of it that are there.
        has: usize,
    },
    /// A header contradicts itself.
    #[error("malformed {layer}: {why}")]
    Malformed {
        /// The header.
        layer: LayerKind,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A fragment without the datagram's beginning.
    #[error("a later fragment, which has no HDP header")]
    Fragment(LaterPiece),
    /// Nobody taught this tool the link type.
    #[error("link type {0} is not supported")]
    UnsupportedLink(LinkType),
}

/// A header and where it stands in the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Which header.
    pub kind: LayerKind,
    /// Offset of its first byte in the frame.
    pub start: usize,
    /// Offset behind its last byte.
    pub end: usize,
}

/// The headers that are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)] // The names say it all.
pub enum LayerKind {
    Ethernet = 1,
    Null,
    Loop,
    Sll,
    Sll2,
    Ppp,
    Pktap,
    Vlan,
    Mpls,
    Pppoe,
    Ipv4,
    Ipv6,
    Ipv6Extension,
    Authentication,
    Gre,
    Vxlan,
    Udp,
    Icmp,
    Icmpv6,
    Hdp,
    Erspan,
    Tzsp,
    Nflog,
    Dsa,
    Hdlc,
    Juniper,
    Ipnet,
    Radiotap,
    Ieee80211,
    Ppi,
}

impl LayerKind {
    const ENCAPSULATIONS: [Self; 10] = [
        Self::Vlan,
        Self::Mpls,
        Self::Pppoe,
        Self::Ipv4,
        Self::Ipv6,
        Self::Authentication,
        Self::Gre,
        Self::Vxlan,
        Self::Erspan,
        Self::Tzsp,
    ];
}

impl fmt::Display for LayerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ethernet => "Ethernet",
            Self::Null => "BSD loopback",
            Self::Loop => "OpenBSD loopback",
            Self::Sll => "SLL",
            Self::Sll2 => "SLL2",
            Self::Ppp => "PPP",
            Self::Pktap => "PKTAP",
            Self::Vlan => "VLAN",
            Self::Mpls => "MPLS",
            Self::Pppoe => "PPPoE",
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
            Self::Ipv6Extension => "IPv6 extension header",
            Self::Authentication => "AH",
            Self::Gre => "GRE",
            Self::Vxlan => "VXLAN",
            Self::Udp => "UDP",
            Self::Icmp => "ICMP",
            Self::Icmpv6 => "ICMPv6",
            Self::Hdp => "HDP header",
            Self::Erspan => "ERSPAN",
            Self::Tzsp => "TZSP",
            Self::Nflog => "NFLOG",
            Self::Dsa => "DSA tag",
            Self::Hdlc => "Cisco HDLC",
            Self::Juniper => "Juniper header",
            Self::Ipnet => "IPNET",
            Self::Radiotap => "radiotap",
            Self::Ieee80211 => "802.11",
            Self::Ppi => "PPI",
        })
    }
}

/// The headers between the link layer and the IP header right above HDP, outermost first. For a
/// quote, those between the ICMP error's own header and the IP header quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Encapsulation(u64);

impl Encapsulation {
    fn of(layers: &[Layer]) -> Self {
        let innermost_ip = layers
            .iter()
            .rposition(|layer| matches!(layer.kind, LayerKind::Ipv4 | LayerKind::Ipv6))
            .unwrap_or(0);
        let quoted = layers
            .iter()
            .rposition(|layer| matches!(layer.kind, LayerKind::Icmp | LayerKind::Icmpv6))
            .map_or(0, |icmp| icmp + 1);
        let mut kinds = 0;
        for layer in &layers[quoted..innermost_ip] {
            if LayerKind::ENCAPSULATIONS.contains(&layer.kind) {
                kinds = kinds << 8 | layer.kind as u64;
            }
        }
        Self(kinds)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Encapsulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for byte in self.0.to_be_bytes() {
            if let Some(kind) = LayerKind::ENCAPSULATIONS
                .iter()
                .find(|kind| **kind as u8 == byte)
            {
                write!(f, "{separator}{kind}")?;
                separator = "/";
            }
        }
        if separator.is_empty() {
            f.write_str("none")
        } else {
            Ok(())
        }
    }
}

/// The decoder: a window and the layers of the last frame.
#[derive(Debug)]
pub struct Decoder {
    dates: Dates,
    layers: ArrayVec<Layer, MAX_LAYERS>,
    doubtful: Option<Doubtful>,
    not_hdp: Option<NotHdp>,
    cut_short: Option<u8>,
}

impl Decoder {
    /// A decoder that takes such timestamps, or those within so many nanoseconds of the capture time, for
    /// HDP's.
    #[must_use]
    pub fn new(dates: impl Into<Dates>) -> Self {
        Self {
            dates: dates.into(),
            layers: ArrayVec::new(),
            doubtful: None,
            not_hdp: None,
            cut_short: None,
        }
    }

    /// Finds the HDP packet in a frame, or the quote of one in an ICMP error.
    ///
    /// # Errors
    /// The [`Skip`] that says why there is none.
    #[inline]
    pub fn decode<'a>(&mut self, frame: &Frame<'a>) -> Result<Datagram<'a>, Skip> {
        self.layers.clear();
        self.doubtful = None;
        self.not_hdp = None;
        self.cut_short = None;
        let len = frame.bytes.len();
        let mut walk = Walk {
            bytes: frame.bytes,
            time_ns: frame.time_ns,
            dates: self.dates,
            layers: &mut self.layers,
            doubtful: &mut self.doubtful,
            not_hdp: &mut self.not_hdp,
            cut_short: &mut self.cut_short,
            packet_type: None,
            interface: None,
            quote: None,
        };
        let everything = Region {
            start: 0,
            end: len,
            wire_end: len.max(frame.original_len as usize),
        };
        walk.link(frame.link_type, everything)
    }

    /// The packet in the frame that was decoded last, if it is HDP at most after a box on the way
    /// wrote into its timestamp. That it was HDP can only be told by what another point saw.
    pub fn doubtful<'a>(&mut self, frame: &Frame<'a>) -> Option<Datagram<'a>> {
        self.doubtful.as_ref()?;
        let mut doubtful = self.doubtful.take();
        let Doubtful {
            ip,
            region,
            packet_type,
            interface,
        } = doubtful?;
        let walk = Walk {
            bytes: frame.bytes,
            time_ns: frame.time_ns,
            dates: self.dates,
            layers: &mut self.layers,
            doubtful: &mut doubtful,
            not_hdp: &mut self.not_hdp,
            cut_short: &mut self.cut_short,
            packet_type,
            interface,
            quote: None,
        };
        walk.doubtful(ip, region)
    }

    /// The packet in the frame that was decoded last, which is not HDP, to be known again at another
    /// point; `None` where too little tells it from others, and where nobody `wants` it by its
    /// fingerprint.
    #[inline]
    pub(crate) fn bystander(
        &self,
        frame: &Frame,
        wants: impl Fn(BystanderKind, u64) -> bool,
    ) -> Option<Bystander> {
        self.not_hdp.as_ref()?.bystander(frame.bytes, wants)
    }

    /// Of the frame that was decoded last and is not HDP: by how many nanoseconds what would be HDP's
    /// timestamp lies behind the capture time, if that is a few months at the most. Of numbers whose own
    /// headers have anything there, nothing.
    pub(crate) fn off_date_ns(&self, frame: &Frame) -> Option<i64> {
        const MOST_NS: u64 = 400 * 86_400_000_000_000;
        let NotHdp { ip, region, .. } = self.not_hdp.as_ref()?;
        if ip.fragment.is_some() || ip::number::HAVE_HEADERS.contains(&ip.protocol) {
            return None;
        }
        let bytes = &frame.bytes[region.start..region.end];
        let (header, _) = hdp::Header::parse(bytes).ok()?;
        let timestamp_ns = i64::try_from(header.timestamp_ns).ok()?;
        let off_ns = timestamp_ns.saturating_sub(frame.time_ns?);
        (off_ns.unsigned_abs() < MOST_NS).then_some(off_ns)
    }

    /// The number of the frame that was decoded last, if the capture cut it within what would be
    /// the HDP header.
    #[must_use]
    pub fn cut_short(&self) -> Option<u8> {
        self.cut_short
    }

    /// The headers of the frame that was decoded last, outermost first, also where it ended in a
    /// [`Skip`].
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }
}

/// A stretch of the frame that a header's length fields delimit.
#[derive(Debug, Clone, Copy)]
struct Region {
    start: usize,
    /// Behind the last captured byte.
    end: usize,
    /// Behind the last byte on the wire; not before `end`.
    wire_end: usize,
}

impl Region {
    fn len(self) -> usize {
        self.end - self.start
    }

    fn wire_len(self) -> usize {
        self.wire_end - self.start
    }

    /// The region behind its first `len` bytes.
    fn behind(self, len: usize) -> Self {
        Self {
            start: self.start + len,
            ..self
        }
    }

    /// The region cut to `wire_len` bytes on the wire. More than there is stays as claimed, so
    /// that a datagram cut on the way keeps the length its header states.
    fn limited_to(self, wire_len: usize) -> Self {
        let wire_end = self.start + wire_len;
        Self {
            end: self.end.min(wire_end),
            wire_end,
            ..self
        }
    }
}

/// A packet that would be HDP if its timestamp had not been written into.
#[derive(Debug, Clone, Copy)]
struct Doubtful {
    ip: ip::Ip,
    region: Region,
    packet_type: Option<PacketType>,
    interface: Option<u32>,
}

/// The innermost IP packet of a frame that is not HDP.
#[derive(Debug, Clone, Copy)]
struct NotHdp {
    ip: ip::Ip,
    region: Region,
    packet_type: Option<PacketType>,
    interface: Option<u32>,
}

/// One descent through a frame.
struct Walk<'a, 'l> {
    bytes: &'a [u8],
    time_ns: Option<i64>,
    dates: Dates,
    layers: &'l mut ArrayVec<Layer, MAX_LAYERS>,
    doubtful: &'l mut Option<Doubtful>,
    not_hdp: &'l mut Option<NotHdp>,
    cut_short: &'l mut Option<u8>,
    packet_type: Option<PacketType>,
    interface: Option<u32>,
    quote: Option<Quote>,
}

impl<'a> Walk<'a, '_> {
    /// The captured bytes of a region.
    #[inline]
    fn slice(&self, region: Region) -> &'a [u8] {
        &self.bytes[region.start..region.end]
    }

    /// The first `N` bytes of a region, which belong to `layer`.
    #[inline]
    fn head<const N: usize>(&self, region: Region, layer: LayerKind) -> Result<&'a [u8; N], Skip> {
        self.slice(region)
            .first_chunk()
            .ok_or_else(|| too_short(region, layer, N))
    }

    /// Notes that the region's first `len` bytes are a header, and returns what is behind it.
    #[inline]
    fn enter(&mut self, region: Region, layer: LayerKind, len: usize) -> Result<Region, Skip> {
        if region.len() < len {
            return Err(too_short(region, layer, len));
        }
        let entry = Layer {
            kind: layer,
            start: region.start,
            end: region.start + len,
        };
        self.layers.try_push(entry).map_err(|_| Skip::Malformed {
            layer,
            why: "nested too deeply",
        })?;
        Ok(region.behind(len))
    }

    /// A piece without the datagram's beginning: there is no HDP header in it. An ICMP error that
    /// quotes one is none itself.
    #[cold]
    fn later_piece(&self, piece: Piece) -> Skip {
        Skip::Fragment(LaterPiece {
            piece,
            packet_type: self.packet_type,
            interface: self.interface,
        })
    }

    fn is_plausible(&self, header: &hdp::Header) -> bool {
        self.dates.are_plausible(header, self.time_ns)
    }
}

/// A header of `needs` bytes does not fit: cut by the capture, or never there?
#[cold]
fn too_short(region: Region, layer: LayerKind, needs: usize) -> Skip {
    if region.wire_len() >= needs {
        Skip::CutShort {
            layer,
            needs,
            has: region.len(),
        }
    } else {
        Skip::Malformed {
            layer,
            why: "shorter than its header",
        }
    }
}
