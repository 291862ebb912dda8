//! Frames built byte by byte, independent of what `src/decode` takes them apart with.
//!
//! From the inside out: a [`Packet`] gives an IP datagram (or several fragments, or the UDP
//! control), [`Ip`] carries anything, the encapsulations turn one [`Network`] payload into
//! another, and a [`Link`] makes the frame:
//!
//! ```ignore
//! let packet = Packet::new(client, server, 50, timestamp_ns);
//! let frame = Link::Ethernet { padded: true, fcs: false }.frame(&vlan(5, ip(packet.to_ip())));
//! ```

use std::net::IpAddr;

use super::capture::ByteOrder;

/// The smallest Ethernet frame without its frame check sequence.
const ETHERNET_MIN: usize = 60;

mod ethertype {
    pub(super) const IPV4: u16 = 0x0800;
    pub(super) const ETHERNET: u16 = 0x6558;
    pub(super) const VLAN: u16 = 0x8100;
    pub(super) const IPV6: u16 = 0x86dd;
    pub(super) const MPLS: u16 = 0x8847;
    pub(super) const PPPOE: u16 = 0x8864;
    pub(super) const QINQ: u16 = 0x88a8;
}

/// An HDP packet as its sender meant it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub ip: Ip,
    pub srcport: u16,
    pub dstport: u16,
    pub timestamp_ns: u64,
    pub payload: Vec<u8>,
}

impl Packet {
    /// Ports 420, the article's payload length of 33 bytes.
    pub fn new(src: IpAddr, dst: IpAddr, protocol: u8, timestamp_ns: u64) -> Self {
        Self {
            ip: Ip::new(src, dst, protocol),
            srcport: 420,
            dstport: 420,
            timestamp_ns,
            payload: b"Hello, this is an HDP packet here".to_vec(),
        }
    }

    /// HDP header and payload.
    pub fn hdp(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.srcport.to_be_bytes());
        bytes.extend(self.dstport.to_be_bytes());
        bytes.extend(self.timestamp_ns.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    /// The IP datagram.
    pub fn to_ip(&self) -> Vec<u8> {
        self.ip.datagram(&self.hdp())
    }

    /// The IP datagram in as many fragments as the MTU asks for.
    pub fn to_fragments(&self, mtu: usize) -> Vec<Vec<u8>> {
        self.ip.fragments(&self.hdp(), mtu)
    }

    /// The control: HDP in a valid UDP datagram with the same ports, whatever the protocol.
    pub fn to_udp(&self) -> Vec<u8> {
        udp(&self.ip, self.srcport, self.dstport, &self.hdp())
    }
}

/// An IP header, IPv4 or IPv6 as its addresses are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ip {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub protocol: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    pub dscp: u8,
    pub ecn: u8,
    /// IPv4 keeps the lower 16 bits; IPv6 has it in fragments only.
    pub id: u32,
    pub dont_fragment: bool,
    /// IPv4 only; filled up to 32 bits with "end of options".
    pub options: Vec<u8>,
    /// IPv6 only, in wire order.
    pub extensions: Vec<Extension>,
    /// IPv4's fragment fields, or an IPv6 fragment header behind the other extensions.
    pub fragment: Option<Fragment>,
    /// In place of the true IPv4 total length: 0 is what segmentation offload leaves.
    pub total_len: Option<u16>,
}

/// Which piece of a datagram this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// In bytes, a multiple of 8.
    pub offset: u16,
    pub more: bool,
}

/// An IPv6 extension header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    pub number: u8,
    /// Everything behind "next header" and the length.
    pub body: Vec<u8>,
}

impl Ip {
    pub fn new(src: IpAddr, dst: IpAddr, protocol: u8) -> Self {
        assert_eq!(src.is_ipv4(), dst.is_ipv4());
        Self {
            src,
            dst,
            protocol,
            ttl: 64,
            dscp: 0,
            ecn: 0,
            id: 0x1234,
            dont_fragment: false,
            options: Vec::new(),
            extensions: Vec::new(),
            fragment: None,
            total_len: None,
        }
    }

    /// The same header with another protocol number.
    pub fn carrying(&self, protocol: u8) -> Self {
        Self {
            protocol,
            ..self.clone()
        }
    }

    /// The datagram that carries `body`.
    pub fn datagram(&self, body: &[u8]) -> Vec<u8> {
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => self.ipv4(src.octets(), dst.octets(), body),
            (IpAddr::V6(src), IpAddr::V6(dst)) => self.ipv6(src.octets(), dst.octets(), body),
            _ => panic!("two IP versions in one header"),
        }
    }

    /// The datagram that carries `body`, in as many fragments as the MTU asks for.
    pub fn fragments(&self, body: &[u8], mtu: usize) -> Vec<Vec<u8>> {
        let whole = self.datagram(body);
        if whole.len() <= mtu {
            return vec![whole];
        }
        let fragment_header = if self.src.is_ipv4() { 0 } else { 8 };
        let room = (mtu - (whole.len() - body.len()) - fragment_header) / 8 * 8;
        let pieces = body.chunks(room);
        let last = pieces.len() - 1;
        pieces
            .enumerate()
            .map(|(i, piece)| {
                let fragment = Fragment {
                    offset: u16::try_from(i * room).unwrap(),
                    more: i < last,
                };
                Self {
                    fragment: Some(fragment),
                    ..self.clone()
                }
                .datagram(piece)
            })
            .collect()
    }

    fn ipv4(&self, src: [u8; 4], dst: [u8; 4], body: &[u8]) -> Vec<u8> {
        let options_len = self.options.len().next_multiple_of(4);
        let header_len = 20 + options_len;
        let total_len = u16::try_from(header_len + body.len()).unwrap();
        let fragment = self.fragment.map_or(0, |fragment| {
            u16::from(fragment.more) << 13 | (fragment.offset / 8)
        });
        let flags = u16::from(self.dont_fragment) << 14;
        let mut header = vec![
            0x40 | u8::try_from(header_len / 4).unwrap(),
            self.dscp << 2 | self.ecn,
        ];
        header.extend(self.total_len.unwrap_or(total_len).to_be_bytes());
        header.extend(low_u16(self.id).to_be_bytes());
        header.extend((flags | fragment).to_be_bytes());
        header.extend([self.ttl, self.protocol, 0, 0]);
        header.extend(src);
        header.extend(dst);
        header.extend(&self.options);
        header.resize(header_len, 0);
        let checksum = internet_checksum(&header);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        header.extend(body);
        header
    }

    fn ipv6(&self, src: [u8; 16], dst: [u8; 16], body: &[u8]) -> Vec<u8> {
        let mut extensions = self.extensions.clone();
        if let Some(fragment) = self.fragment {
            let mut body = (fragment.offset | u16::from(fragment.more))
                .to_be_bytes()
                .to_vec();
            body.extend(self.id.to_be_bytes());
            extensions.push(Extension { number: 44, body });
        }
        let mut next = self.protocol;
        let mut payload = body.to_vec();
        for extension in extensions.iter().rev() {
            let len = extension.body.len() + 2;
            let (unit, less) = match extension.number {
                44 => (len, 1), // reserved, 0
                51 => (4, 2),
                _ => (8, 1),
            };
            assert_eq!(len % unit, 0, "extension header {}", extension.number);
            let mut bytes = vec![next, u8::try_from(len / unit - less).unwrap()];
            bytes.extend(&extension.body);
            payload.splice(0..0, bytes);
            next = extension.number;
        }
        let class = u32::from(self.dscp << 2 | self.ecn);
        let mut datagram = (6 << 28 | class << 20).to_be_bytes().to_vec();
        datagram.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        datagram.extend([next, self.ttl]);
        datagram.extend(src);
        datagram.extend(dst);
        datagram.extend(payload);
        datagram
    }

    /// The checksum of an upper-layer header and its data with the pseudo-header before them.
    fn checksum_over(&self, bytes: &[u8]) -> u16 {
        let mut summed = Vec::new();
        for address in [self.src, self.dst] {
            match address {
                IpAddr::V4(address) => summed.extend(address.octets()),
                IpAddr::V6(address) => summed.extend(address.octets()),
            }
        }
        summed.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
        summed.extend([0, 0, 0, self.protocol]);
        summed.extend(bytes);
        internet_checksum(&summed)
    }
}

impl Extension {
    /// The numbers that are IPv6 extension headers as well as protocols, without 44, which
    /// [`Ip::fragment`] writes.
    pub const NUMBERS: [u8; 7] = [0, 43, 51, 60, 135, 139, 140];

    /// A small valid header of one of [`Extension::NUMBERS`].
    pub fn new(number: u8) -> Self {
        let body = match number {
            0 | 60 => vec![1, 4, 0, 0, 0, 0],            // PadN
            43 => vec![253, 0, 0, 0, 0, 0],              // experimental type, no segments left
            51 => [vec![0, 0], vec![0xaa; 20]].concat(), // SPI, sequence number, 96 bits of ICV
            135 => vec![59, 0, 0, 0, 0, 0],
            139 | 140 => vec![0; 6],
            _ => panic!("{number} is no extension header"),
        };
        Self { number, body }
    }
}

/// A UDP datagram with a valid checksum; `ip`'s protocol does not matter.
pub fn udp(ip: &Ip, srcport: u16, dstport: u16, body: &[u8]) -> Vec<u8> {
    let ip = ip.carrying(17);
    let len = u16::try_from(8 + body.len()).unwrap();
    let mut udp = Vec::new();
    for field in [srcport, dstport, len, 0] {
        udp.extend(field.to_be_bytes());
    }
    udp.extend(body);
    let checksum = match ip.checksum_over(&udp) {
        0 => 0xffff,
        checksum => checksum,
    };
    udp[6..8].copy_from_slice(&checksum.to_be_bytes());
    ip.datagram(&udp)
}

/// How much of the offending datagram an ICMP error quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quote {
    /// The IP header and 8 bytes (RFC 792).
    Eight,
    /// 128 bytes, cut or filled up with zeros, and an MPLS extension behind them (RFC 4884).
    Padded,
    /// All that fits into 576 bytes (RFC 1812) or 1280 (RFC 4443).
    Whole,
}

pub const QUOTES: [Quote; 3] = [Quote::Eight, Quote::Padded, Quote::Whole];

/// An ICMP or `ICMPv6` error, as `ip`'s addresses are; `ip`'s protocol does not matter.
pub fn icmp_error(ip: &Ip, icmp_type: u8, code: u8, quoted: &[u8], quote: Quote) -> Vec<u8> {
    const PADDED_LEN: usize = 128;
    let v4 = ip.src.is_ipv4();
    let quoted_header_len = if v4 {
        usize::from(quoted[0] & 0x0f) * 4
    } else {
        40
    };
    let room = match quote {
        Quote::Eight => quoted_header_len + 8,
        Quote::Padded => PADDED_LEN,
        Quote::Whole if v4 => 576 - 20 - 8,
        Quote::Whole => 1280 - 40 - 8,
    };
    let mut icmp = vec![icmp_type, code, 0, 0, 0, 0, 0, 0];
    icmp.extend(&quoted[..quoted.len().min(room)]);
    if quote == Quote::Padded {
        icmp.resize(8 + PADDED_LEN, 0);
        // The quote's length: in 32-bit words, and in 64-bit words elsewhere in the header.
        if v4 {
            icmp[5] = 32;
        } else {
            icmp[4] = 16;
        }
        // Version 2, checksum, one object: an incoming MPLS label.
        let mut extension = vec![0x20, 0, 0, 0, 0, 8, 1, 1, 0, 0x64, 0x01, 0x01];
        let checksum = internet_checksum(&extension);
        extension[2..4].copy_from_slice(&checksum.to_be_bytes());
        icmp.extend(extension);
    }
    let ip = ip.carrying(if v4 { 1 } else { 58 });
    let checksum = if v4 {
        internet_checksum(&icmp)
    } else {
        ip.checksum_over(&icmp)
    };
    icmp[2..4].copy_from_slice(&checksum.to_be_bytes());
    ip.datagram(&icmp)
}

/// What a link or an encapsulation carries, with the number that says what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    pub ethertype: u16,
    pub bytes: Vec<u8>,
}

/// An IP datagram, straight.
pub fn ip(datagram: Vec<u8>) -> Network {
    let ethertype = match datagram[0] >> 4 {
        4 => ethertype::IPV4,
        6 => ethertype::IPV6,
        version => panic!("IP version {version}"),
    };
    Network {
        ethertype,
        bytes: datagram,
    }
}

/// ARP: what else a capture holds.
pub fn arp_request() -> Network {
    let mut bytes = vec![0, 1, 8, 0, 6, 4, 0, 1];
    bytes.extend(MAC_A);
    bytes.extend([10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
    Network {
        ethertype: 0x0806,
        bytes,
    }
}

/// 802.1Q.
pub fn vlan(id: u16, inner: &Network) -> Network {
    tagged(ethertype::VLAN, id, inner)
}

/// 802.1ad: a service tag around an 802.1Q one.
pub fn qinq(outer_id: u16, inner_id: u16, inner: &Network) -> Network {
    tagged(ethertype::QINQ, outer_id, &vlan(inner_id, inner))
}

fn tagged(ethertype: u16, id: u16, inner: &Network) -> Network {
    Network {
        ethertype,
        bytes: [
            &id.to_be_bytes(),
            &inner.ethertype.to_be_bytes(),
            &inner.bytes[..],
        ]
        .concat(),
    }
}

/// A stack of MPLS labels, the outermost first. What is inside is not said.
pub fn mpls(labels: &[u32], inner: &Network) -> Network {
    let mut bytes = Vec::new();
    for (i, label) in labels.iter().enumerate() {
        let bottom = u32::from(i + 1 == labels.len());
        bytes.extend((label << 12 | bottom << 8 | 64).to_be_bytes());
    }
    bytes.extend(&inner.bytes);
    Network {
        ethertype: ethertype::MPLS,
        bytes,
    }
}

/// `PPPoE`, session stage.
pub fn pppoe(session: u16, inner: &Network) -> Network {
    let mut bytes = vec![0x11, 0x00];
    bytes.extend(session.to_be_bytes());
    bytes.extend(u16::try_from(inner.bytes.len() + 2).unwrap().to_be_bytes());
    bytes.extend(ppp_protocol(inner).to_be_bytes());
    bytes.extend(&inner.bytes);
    Network {
        ethertype: ethertype::PPPOE,
        bytes,
    }
}

/// GRE's optional fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GreFields {
    pub checksum: bool,
    pub key: Option<u32>,
    pub sequence: Option<u32>,
}

/// GRE, version 0; `outer`'s protocol does not matter.
pub fn gre(outer: &Ip, fields: GreFields, inner: &Network) -> Network {
    let mut flags = 0_u16;
    let mut optional = Vec::new();
    if fields.checksum {
        flags |= 0x8000;
        optional.extend([0; 4]);
    }
    if let Some(key) = fields.key {
        flags |= 0x2000;
        optional.extend(key.to_be_bytes());
    }
    if let Some(sequence) = fields.sequence {
        flags |= 0x1000;
        optional.extend(sequence.to_be_bytes());
    }
    let mut gre = flags.to_be_bytes().to_vec();
    gre.extend(inner.ethertype.to_be_bytes());
    gre.extend(optional);
    gre.extend(&inner.bytes);
    if fields.checksum {
        let checksum = internet_checksum(&gre);
        gre[4..6].copy_from_slice(&checksum.to_be_bytes());
    }
    ip(outer.carrying(47).datagram(&gre))
}

/// An Ethernet frame as GRE carries it (`gretap`).
pub fn ethernet_in_gre(inner: &Network) -> Network {
    Network {
        ethertype: ethertype::ETHERNET,
        bytes: ethernet(inner),
    }
}

/// IP in IP: protocol 4 around IPv4, 41 (6in4) around IPv6.
pub fn ip_in_ip(outer: &Ip, inner: &Network) -> Network {
    let protocol = match inner.ethertype {
        ethertype::IPV4 => 4,
        ethertype::IPV6 => 41,
        other => panic!("ethertype {other:#06x} straight in IP"),
    };
    ip(outer.carrying(protocol).datagram(&inner.bytes))
}

/// VXLAN: an Ethernet frame in UDP to port 4789.
pub fn vxlan(outer: &Ip, vni: u32, inner: &Network) -> Network {
    let mut bytes = vec![0x08, 0, 0, 0];
    bytes.extend((vni << 8).to_be_bytes());
    bytes.extend(ethernet(inner));
    ip(udp(outer, 49_152, 4_789, &bytes))
}

/// How a frame begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// `EN10MB`; padded to 60 bytes as on the wire, the frame check sequence behind it.
    Ethernet {
        padded: bool,
        fcs: bool,
    },
    /// BSD loopback: the address family as the capturing host counts and orders it.
    Null {
        order: ByteOrder,
        af_inet6: u32,
    },
    /// OpenBSD loopback.
    Loop,
    /// Nothing before IP, under one of the link types that mean that.
    Raw(u16),
    /// Linux cooked capture; the packet type is 0 to us, 1 broadcast, 2 multicast, 3 for another
    /// host, 4 from us.
    Sll {
        packet_type: u16,
    },
    Sll2 {
        packet_type: u8,
        interface: u32,
    },
    /// PPP, with FF 03 before it or not, its protocol field compressed to one byte or not.
    Ppp {
        address: bool,
        compressed: bool,
    },
    /// PPP in HDLC framing.
    PppHdlc,
    /// Apple's: the frame behind a header that names interface, direction and process.
    Pktap {
        inner: Box<Link>,
        outbound: bool,
    },
}

const MAC_A: [u8; 6] = [0x02, 0, 0, 0, 0, 0x0a];
const MAC_B: [u8; 6] = [0x02, 0, 0, 0, 0, 0x0b];

impl Link {
    /// Ethernet as a sending host captures it: neither padding nor a frame check sequence.
    pub const ETHERNET: Self = Self::Ethernet {
        padded: false,
        fcs: false,
    };

    /// Every link in every variation. [`Link::carries`] says which take a payload.
    pub fn all() -> Vec<Self> {
        let mut links = vec![Self::ETHERNET, Self::Loop, Self::PppHdlc];
        for fcs in [false, true] {
            links.push(Self::Ethernet { padded: true, fcs });
        }
        for order in super::capture::ORDERS {
            for af_inet6 in [10, 24, 28, 30] {
                links.push(Self::Null { order, af_inet6 });
            }
        }
        links.extend([12, 14, 101, 228, 229].map(Self::Raw));
        for packet_type in [0, 1, 2, 4] {
            links.push(Self::Sll {
                packet_type: packet_type.into(),
            });
            links.push(Self::Sll2 {
                packet_type,
                interface: 7,
            });
        }
        for address in [false, true] {
            for compressed in [false, true] {
                links.push(Self::Ppp {
                    address,
                    compressed,
                });
            }
        }
        for outbound in [false, true] {
            for inner in [
                Self::ETHERNET,
                Self::Raw(12),
                Self::Null {
                    order: ByteOrder::Little,
                    af_inet6: 30,
                },
            ] {
                links.push(Self::Pktap {
                    inner: Box::new(inner),
                    outbound,
                });
            }
        }
        links
    }

    /// The number in the capture file (`LINKTYPE_`).
    pub fn link_type(&self) -> u16 {
        match self {
            Self::Null { .. } => 0,
            Self::Ethernet { .. } => 1,
            Self::Ppp { .. } => 9,
            Self::PppHdlc => 50,
            Self::Loop => 108,
            Self::Sll { .. } => 113,
            Self::Pktap { .. } => 258,
            Self::Sll2 { .. } => 276,
            Self::Raw(link_type) => *link_type,
        }
    }

    /// Whether the link has a way to say that this is its payload.
    pub fn carries(&self, network: &Network) -> bool {
        let ethertype = network.ethertype;
        let is_ip = matches!(ethertype, ethertype::IPV4 | ethertype::IPV6);
        match self {
            Self::Ethernet { .. } | Self::Sll { .. } | Self::Sll2 { .. } => true,
            Self::Raw(228) => ethertype == ethertype::IPV4,
            Self::Raw(229) => ethertype == ethertype::IPV6,
            Self::Null { .. } | Self::Loop | Self::Raw(_) => is_ip,
            Self::Ppp { .. } | Self::PppHdlc => is_ip || ethertype == ethertype::MPLS,
            Self::Pktap { inner, .. } => inner.carries(network),
        }
    }

    /// The frame.
    pub fn frame(&self, network: &Network) -> Vec<u8> {
        assert!(self.carries(network), "{self:?}");
        let mut frame = self.header(network);
        frame.extend(&network.bytes);
        if let Self::Ethernet { padded, fcs } = *self {
            if padded {
                frame.resize(frame.len().max(ETHERNET_MIN), 0);
            }
            if fcs {
                let mut crc = flate2::Crc::new();
                crc.update(&frame);
                frame.extend(crc.sum().to_le_bytes());
            }
        }
        frame
    }

    fn header(&self, network: &Network) -> Vec<u8> {
        let mut header = Vec::new();
        let ethertype = network.ethertype.to_be_bytes();
        match self {
            Self::Ethernet { .. } => {
                header.extend(MAC_B);
                header.extend(MAC_A);
                header.extend(ethertype);
            }
            Self::Null { order, af_inet6 } => {
                let family = address_family(network, *af_inet6);
                header.extend(match order {
                    ByteOrder::Little => family.to_le_bytes(),
                    ByteOrder::Big => family.to_be_bytes(),
                });
            }
            Self::Loop => header.extend(address_family(network, 24).to_be_bytes()),
            Self::Raw(_) => {}
            Self::Sll { packet_type } => {
                for field in [*packet_type, 1, 6] {
                    header.extend(field.to_be_bytes()); // ..., ARPHRD_ETHER, address length
                }
                header.extend(MAC_A);
                header.extend([0, 0]);
                header.extend(ethertype);
            }
            Self::Sll2 {
                packet_type,
                interface,
            } => {
                header.extend(ethertype);
                header.extend([0, 0]);
                header.extend(interface.to_be_bytes());
                header.extend([0, 1, *packet_type, 6]); // ARPHRD_ETHER, ..., address length
                header.extend(MAC_A);
                header.extend([0, 0]);
            }
            Self::Ppp {
                address,
                compressed,
            } => {
                if *address {
                    header.extend([0xff, 0x03]);
                }
                match ppp_protocol(network).to_be_bytes() {
                    [0, low] if *compressed => header.push(low),
                    protocol => header.extend(protocol),
                }
            }
            Self::PppHdlc => {
                header.extend([0xff, 0x03]);
                header.extend(ppp_protocol(network).to_be_bytes());
            }
            Self::Pktap { inner, outbound } => {
                let behind = inner.header(network);
                header.extend(pktap(inner.link_type(), behind.len(), network, *outbound));
                header.extend(behind);
            }
        }
        header
    }
}

/// `struct pktap_header` of XNU's `bsd/net/pktap.h`, 156 bytes, little-endian as Apple's hosts are.
fn pktap(dlt: u16, inner_header_len: usize, network: &Network, outbound: bool) -> Vec<u8> {
    fn name(text: &str, len: usize) -> Vec<u8> {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(len, 0);
        bytes
    }
    let family = match network.ethertype {
        ethertype::IPV4 => 2,
        ethertype::IPV6 => 30,
        _ => 0,
    };
    let mut header = Vec::new();
    header.extend(156_u32.to_le_bytes()); // pth_length
    header.extend(1_u32.to_le_bytes()); // pth_type_next: PTH_TYPE_PACKET
    header.extend(u32::from(dlt).to_le_bytes()); // pth_dlt
    header.extend(name("en0", 24)); // pth_ifname
    header.extend(if outbound { 2_u32 } else { 1 }.to_le_bytes()); // pth_flags: PTH_FLAG_DIR_OUT, _IN
    header.extend(u32::to_le_bytes(family)); // pth_protocol_family
    header.extend(u32::try_from(inner_header_len).unwrap().to_le_bytes()); // pth_frame_pre_length
    header.extend(0_u32.to_le_bytes()); // pth_frame_post_length
    header.extend(4321_u32.to_le_bytes()); // pth_pid
    header.extend(name("hdp", 20)); // pth_comm, 17 bytes and padding
    header.extend(0_u32.to_le_bytes()); // pth_svc
    header.extend(6_u16.to_le_bytes()); // pth_iftype: Ethernet
    header.extend(0_u16.to_le_bytes()); // pth_ifunit
    header.extend((-1_i32).to_le_bytes()); // pth_epid
    header.extend(name("", 20)); // pth_ecomm, likewise
    header.resize(156, 0); // pth_flowid, pth_ipproto, pth_tstamp, pth_uuid, pth_euuid
    header
}

/// An Ethernet frame inside something else: padding is the business of a wire.
fn ethernet(inner: &Network) -> Vec<u8> {
    Link::ETHERNET.frame(inner)
}

fn address_family(network: &Network, af_inet6: u32) -> u32 {
    match network.ethertype {
        ethertype::IPV4 => 2,
        _ => af_inet6,
    }
}

fn ppp_protocol(network: &Network) -> u16 {
    match network.ethertype {
        ethertype::IPV4 => 0x0021,
        ethertype::IPV6 => 0x0057,
        ethertype::MPLS => 0x0281,
        other => panic!("ethertype {other:#06x} in PPP"),
    }
}

/// RFC 1071.
fn internet_checksum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| low.into()))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !low_u16(folded + (folded >> 16))
}

fn low_u16(value: u32) -> u16 {
    (value & 0xffff) as u16
}
