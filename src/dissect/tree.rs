//! Every header of a packet as a tree, in tshark's habit.
//!
//! Each line ends with the bytes it was read from, counted from 0 in the frame, both ends
//! included: `TTL: 64 [22]`. Lines in brackets of their own were not read but worked out.
//!
//! Where the fields lie is in the tables below, one a header, from these specifications: Ethernet
//! and VLAN (IEEE 802.3, 802.1Q), SLL, SLL2, NULL, LOOP and PKTAP (tcpdump.org's link-layer header
//! types, Apple's `pktap.h`), PPP (RFC 1661, 1662), `PPPoE` (RFC 2516), MPLS (RFC 3032), IPv4
//! (RFC 791, 2474, 3168), IPv6 (RFC 8200), AH (RFC 4302), GRE (RFC 2784, 2890), VXLAN (RFC 7348),
//! UDP (RFC 768), ICMP (RFC 792), `ICMPv6` (RFC 4443).
//!
//! The decoder has vouched for the headers' lengths; a field beyond its header's end is left out.

use std::{
    fmt, io,
    net::{Ipv4Addr, Ipv6Addr},
};

use super::{
    Content, Packet, digits, numbered,
    time::{self, ExactSpan},
};
use crate::{
    decode::{HeaderView, Layer, LayerKind, PacketType, icmp_meaning},
    hdp,
    printable::{printable, printable_bytes},
};

/// Bytes or characters of a payload that are shown.
const PREVIEW_LEN: usize = 200;

/// A field: its name, where it lies in its header, and how its bytes read.
#[derive(Clone, Copy)]
struct Field {
    name: &'static str,
    start: usize,
    len: usize,
    show: fn(&[u8]) -> String,
}

const fn field(name: &'static str, start: usize, len: usize, show: fn(&[u8]) -> String) -> Field {
    Field {
        name,
        start,
        len,
        show,
    }
}

/// The length of a field that takes what its header has left.
const REST: usize = usize::MAX;

const ETHERNET: &[Field] = &[
    field("Destination", 0, 6, mac),
    field("Source", 6, 6, mac),
    field("Type", 12, 2, ether_type),
];

const NULL: &[Field] = &[field("Family", 0, 4, |b| {
    // In the capturing host's byte order: the one that makes a small number.
    big_endian(b)
        .min(u64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]])))
        .to_string()
})];

const LOOP: &[Field] = &[field("Family", 0, 4, number)];

const SLL: &[Field] = &[
    field("Packet type", 0, 2, packet_type),
    field("Link-layer address type", 2, 2, number),
    field("Link-layer address length", 4, 2, number),
    field("Source", 6, 6, mac),
    field("Protocol", 14, 2, ether_type),
];

const SLL2: &[Field] = &[
    field("Protocol", 0, 2, ether_type),
    field("Interface index", 4, 4, number),
    field("Link-layer address type", 8, 2, number),
    field("Packet type", 10, 1, packet_type),
    field("Link-layer address length", 11, 1, number),
    field("Source", 12, 6, mac),
];

const PKTAP: &[Field] = &[
    field("Header length", 0, 4, little_endian),
    field("Link type behind", 8, 4, little_endian),
    field("Interface", 12, 24, c_string),
    field("Flags", 36, 4, |b| match b[0] & 3 {
        1 => "in".to_owned(),
        2 => "out".to_owned(),
        _ => little_endian(b),
    }),
    field("Process", 52, 4, little_endian),
    field("Command", 56, 17, c_string),
];

const VLAN: &[Field] = &[
    field("Priority", 0, 1, |b| (b[0] >> 5).to_string()),
    field("Drop eligible", 0, 1, |b| (b[0] >> 4 & 1).to_string()),
    field("Identifier", 0, 2, |b| (big_endian(b) & 0xfff).to_string()),
    field("Type", 2, 2, ether_type),
];

const MPLS: &[Field] = &[
    field("Label", 0, 3, |b| (big_endian(b) >> 4).to_string()),
    field("Traffic class", 2, 1, |b| (b[0] >> 1 & 7).to_string()),
    field("Bottom of stack", 2, 1, |b| (b[0] & 1).to_string()),
    field("TTL", 3, 1, number),
];

const PPPOE: &[Field] = &[
    field("Version", 0, 1, |b| (b[0] >> 4).to_string()),
    field("Type", 0, 1, |b| (b[0] & 0xf).to_string()),
    field("Code", 1, 1, number),
    field("Session", 2, 2, number),
    field("Length", 4, 2, number),
];

const IPV4: &[Field] = &[
    field("Version", 0, 1, |b| (b[0] >> 4).to_string()),
    field("Header length", 0, 1, |b| (4 * (b[0] & 0xf)).to_string()),
    field("DSCP", 1, 1, |b| (b[0] >> 2).to_string()),
    field("ECN", 1, 1, |b| (b[0] & 3).to_string()),
    field("Total length", 2, 2, number),
    field("Identification", 4, 2, hexadecimal),
    field("Flags", 6, 1, |b| match b[0] >> 5 {
        0 => "none".to_owned(),
        1 => "more fragments".to_owned(),
        2 => "don't fragment".to_owned(),
        bits => format!("{bits:#05b}"),
    }),
    field("Fragment offset", 6, 2, |b| {
        (8 * (big_endian(b) & 0x1fff)).to_string()
    }),
    field("TTL", 8, 1, number),
    field("Protocol", 9, 1, protocol),
    field("Header checksum", 10, 2, hexadecimal),
    field("Source", 12, 4, ipv4_address),
    field("Destination", 16, 4, ipv4_address),
    field("Options", 20, REST, digits),
];

const IPV6: &[Field] = &[
    field("Version", 0, 1, |b| (b[0] >> 4).to_string()),
    field("DSCP", 0, 2, |b| (big_endian(b) >> 6 & 0x3f).to_string()),
    field("ECN", 1, 1, |b| (b[0] >> 4 & 3).to_string()),
    field("Flow label", 1, 3, |b| {
        format!("{:#07x}", big_endian(b) & 0xf_ffff)
    }),
    field("Payload length", 4, 2, number),
    field("Next header", 6, 1, protocol),
    field("Hop limit", 7, 1, number),
    field("Source", 8, 16, ipv6_address),
    field("Destination", 24, 16, ipv6_address),
];

const IPV6_EXTENSION: &[Field] = &[
    field("Next header", 0, 1, protocol),
    field("Length", 1, 1, |b| (8 * (u32::from(b[0]) + 1)).to_string()),
    field("Data", 2, REST, digits),
];

const IPV6_FRAGMENT: &[Field] = &[
    field("Next header", 0, 1, protocol),
    field("Fragment offset", 2, 2, |b| {
        (big_endian(b) & 0xfff8).to_string()
    }),
    field("More fragments", 3, 1, |b| (b[0] & 1).to_string()),
    field("Identification", 4, 4, hexadecimal),
];

const AUTHENTICATION: &[Field] = &[
    field("Next header", 0, 1, protocol),
    field("Length", 1, 1, |b| (4 * (u32::from(b[0]) + 2)).to_string()),
    field("Security parameters index", 4, 4, hexadecimal),
    field("Sequence number", 8, 4, number),
    field("Integrity check value", 12, REST, digits),
];

const GRE: &[Field] = &[
    field("Flags and version", 0, 2, hexadecimal),
    field("Protocol type", 2, 2, ether_type),
];

/// The optional fields of GRE, four bytes each, in this order, and the flags that announce them.
const GRE_OPTIONAL: [(u8, Field); 3] = [
    (0x80, field("Checksum", 4, 2, hexadecimal)),
    (0x20, field("Key", 4, 4, hexadecimal)),
    (0x10, field("Sequence number", 4, 4, number)),
];

const VXLAN: &[Field] = &[
    field("Flags", 0, 1, hexadecimal),
    field("Network identifier", 4, 3, number),
];

const UDP: &[Field] = &[
    field("Source port", 0, 2, number),
    field("Destination port", 2, 2, number),
    field("Length", 4, 2, number),
    field("Checksum", 6, 2, hexadecimal),
];

/// ICMP and `ICMPv6` errors.
const ICMP: &[Field] = &[
    field("Type", 0, 1, number),
    field("Code", 1, 1, number),
    field("Checksum", 2, 2, hexadecimal),
    field("Rest of header", 4, 4, hexadecimal),
];

const HDP: &[Field] = &[
    field("Source port", hdp::field::SOURCE_PORT.start, 2, number),
    field(
        "Destination port",
        hdp::field::DESTINATION_PORT.start,
        2,
        number,
    ),
    field("Timestamp", hdp::field::TIMESTAMP.start, 8, |b| {
        time::date(big_endian(b))
    }),
];

/// What is left of the HDP header in an ICMP quote of 8 bytes.
const HDP_UPPER_HALF: &[Field] = &[
    HDP[0],
    HDP[1],
    field(
        "Timestamp, upper half",
        hdp::field::TIMESTAMP.start,
        4,
        |b| {
            let first = big_endian(b) << 32;
            format!(
                "{} to {}",
                time::date(first),
                time::date(first | u64::from(u32::MAX))
            )
        },
    ),
];

/// `EtherType`s that the decoder follows.
const ETHER_TYPES: [(u64, &str); 9] = [
    (0x0800, "IPv4"),
    (0x6558, "Ethernet"),
    (0x8100, "VLAN"),
    (0x86dd, "IPv6"),
    (0x8847, "MPLS"),
    (0x8848, "MPLS"),
    (0x8864, "PPPoE session"),
    (0x88a8, "VLAN"),
    (0x9100, "VLAN"),
];

/// Writes the packet as a tree, with an empty line behind it.
///
/// # Errors
/// Whatever `out` gives.
pub fn write(packet: &Packet<'_>, out: &mut impl io::Write) -> io::Result<()> {
    frame(packet, out)?;
    let mut indent = "";
    // The protocol number that the header before announced.
    let mut announced = None;
    for layer in packet.layers {
        let bytes = &packet.frame.bytes[layer.start..layer.end];
        if layer.kind == LayerKind::Hdp {
            hdp(packet, layer, indent, out)?;
            continue;
        }
        let title = title(layer.kind, bytes, announced);
        writeln!(out, "{indent}{title} {}", Bytes(layer.start, layer.end))?;
        fields(
            &table(layer.kind, bytes, announced),
            layer,
            bytes,
            indent,
            out,
        )?;
        announced = next_header(layer.kind, bytes);
        if matches!(layer.kind, LayerKind::Icmp | LayerKind::Icmpv6) {
            // What follows is what the error quotes.
            indent = "    ";
        }
    }
    trailer(packet, out)?;
    writeln!(out)
}

fn frame(packet: &Packet<'_>, out: &mut impl io::Write) -> io::Result<()> {
    let frame = &packet.frame;
    writeln!(
        out,
        "Frame {}: {} bytes on the wire, {} captured",
        frame.number,
        frame.original_len,
        frame.bytes.len()
    )?;
    match frame.time_ns {
        Some(time_ns) => writeln!(out, "    Time: {}", time::date(time_ns))?,
        None => writeln!(out, "    Time: unknown")?,
    }
    writeln!(out, "    Link type: {}", frame.link_type)?;
    write!(out, "    Interface: {}", frame.interface)?;
    match &packet.interface.name {
        Some(name) => writeln!(out, " ({})", printable(name))?,
        None => writeln!(out)?,
    }
    if let Some(packet_type) = packet.packet_type() {
        writeln!(out, "    Direction: {}", direction(packet_type))?;
    }
    Ok(())
}

fn hdp(
    packet: &Packet<'_>,
    layer: &Layer,
    indent: &str,
    out: &mut impl io::Write,
) -> io::Result<()> {
    let datagram = &packet.datagram;
    let payload = Bytes(layer.end, layer.end + datagram.payload.len());
    let (source_port, destination_port) = datagram.header.ports();
    writeln!(
        out,
        "{indent}HDP, {source_port} > {destination_port} {}",
        Bytes(layer.start, payload.1)
    )?;
    let table = match datagram.header {
        HeaderView::Whole(_) => HDP,
        HeaderView::UpperHalf { .. } => HDP_UPPER_HALF,
    };
    let bytes = &packet.frame.bytes[layer.start..layer.end];
    fields(table, layer, bytes, indent, out)?;
    if let Some(delay_ns) = packet.delay_ns() {
        writeln!(
            out,
            "{indent}    [Delay: {}, capture time less timestamp]",
            ExactSpan(delay_ns)
        )?;
    }
    let content = packet.content();
    write!(out, "{indent}    Payload: {} bytes", datagram.payload_len)?;
    match &content {
        Content::Empty => writeln!(out)?,
        Content::Text(text) => writeln!(out, ", text {} {payload}", quoted(text))?,
        Content::Base64 { text, .. } => {
            writeln!(out, ", possible base64 {} {payload}", quoted(text))?;
        }
        Content::Binary(bytes) => writeln!(out, ", binary {} {payload}", preview(bytes))?,
    }
    if let Content::Base64 { decoded, .. } = &content {
        writeln!(
            out,
            "{indent}    [Possibly decoded: {} bytes, text {}]",
            decoded.len(),
            quoted(decoded)
        )?;
    }
    for note in packet.notes() {
        writeln!(out, "{indent}    [Note: {note}]")?;
    }
    Ok(())
}

/// What the frame holds behind the datagram: Ethernet's padding, a check sequence, or the
/// extensions of an ICMP error.
fn trailer(packet: &Packet<'_>, out: &mut impl io::Write) -> io::Result<()> {
    let end = packet.frame.bytes.len();
    let start = packet.layers.last().map_or(end, |layer| layer.end) + packet.datagram.payload.len();
    if start < end {
        let bytes = &packet.frame.bytes[start..end];
        writeln!(
            out,
            "Trailer: {} bytes, {} {}",
            bytes.len(),
            preview(bytes),
            Bytes(start, end)
        )?;
    }
    Ok(())
}

fn fields(
    table: &[Field],
    layer: &Layer,
    bytes: &[u8],
    indent: &str,
    out: &mut impl io::Write,
) -> io::Result<()> {
    for field in read(table, bytes) {
        let range = Bytes(layer.start + field.start, layer.start + field.end);
        writeln!(out, "{indent}    {}: {} {range}", field.name, field.value)?;
    }
    Ok(())
}

/// A field as it stands in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadField {
    /// Its name in the tree.
    pub name: &'static str,
    /// Offset of its first byte in the header.
    pub start: usize,
    /// Offset behind its last byte.
    pub end: usize,
    /// What it says. Fields that share a byte say their own part of it.
    pub value: String,
}

/// Reads the fields of a header, in the order of the tree.
#[must_use]
pub fn read_fields(kind: LayerKind, header: &[u8]) -> Vec<ReadField> {
    read(&table(kind, header, None), header).collect()
}

/// The fields of a table that are there.
fn read(table: &[Field], header: &[u8]) -> impl Iterator<Item = ReadField> {
    table.iter().filter_map(|field| {
        let end = match field.len {
            REST => header.len(),
            len => field.start + len,
        };
        let bytes = header.get(field.start..end)?;
        (!bytes.is_empty()).then(|| ReadField {
            name: field.name,
            start: field.start,
            end,
            value: (field.show)(bytes),
        })
    })
}

/// The fields of a header.
fn table(kind: LayerKind, bytes: &[u8], announced: Option<u8>) -> Vec<Field> {
    const FRAGMENT: u8 = 44;
    match kind {
        LayerKind::Ethernet => ETHERNET,
        LayerKind::Null => NULL,
        LayerKind::Loop => LOOP,
        LayerKind::Sll => SLL,
        LayerKind::Sll2 => SLL2,
        LayerKind::Ppp => return ppp(bytes),
        LayerKind::Pktap => PKTAP,
        LayerKind::Vlan => VLAN,
        LayerKind::Mpls => MPLS,
        LayerKind::Pppoe => PPPOE,
        LayerKind::Ipv4 => IPV4,
        LayerKind::Ipv6 => IPV6,
        LayerKind::Ipv6Extension if announced == Some(FRAGMENT) => IPV6_FRAGMENT,
        LayerKind::Ipv6Extension => IPV6_EXTENSION,
        LayerKind::Authentication => AUTHENTICATION,
        LayerKind::Gre => return gre(bytes),
        LayerKind::Vxlan => VXLAN,
        LayerKind::Udp => UDP,
        LayerKind::Icmp | LayerKind::Icmpv6 => ICMP,
        LayerKind::Hdp => HDP,
        // Their names and where they stand.
        LayerKind::Erspan
        | LayerKind::Tzsp
        | LayerKind::Nflog
        | LayerKind::Dsa
        | LayerKind::Hdlc
        | LayerKind::Juniper
        | LayerKind::Ipnet
        | LayerKind::Radiotap
        | LayerKind::Ieee80211
        | LayerKind::Ppi => &[],
    }
    .to_vec()
}

/// PPP's protocol field is one byte or two, behind HDLC's address and control or not.
fn ppp(bytes: &[u8]) -> Vec<Field> {
    let hdlc = if bytes.len() > 2 { 2 } else { 0 };
    let mut fields = Vec::new();
    if hdlc > 0 {
        fields.push(field("Address and control", 0, hdlc, hexadecimal));
    }
    fields.push(field("Protocol", hdlc, bytes.len() - hdlc, hexadecimal));
    fields
}

fn gre(bytes: &[u8]) -> Vec<Field> {
    let mut fields = GRE.to_vec();
    let mut shift = 0;
    for (flag, field) in GRE_OPTIONAL {
        if bytes[0] & flag != 0 {
            fields.push(Field {
                start: field.start + shift,
                ..field
            });
            shift += 4;
        }
    }
    fields
}

/// The protocol number that a header announces.
fn next_header(kind: LayerKind, bytes: &[u8]) -> Option<u8> {
    let at = match kind {
        LayerKind::Ipv6 => 6,
        LayerKind::Ipv6Extension | LayerKind::Authentication => 0,
        _ => return None,
    };
    bytes.get(at).copied()
}

/// A header's name and what one looks for in it first.
fn title(kind: LayerKind, bytes: &[u8], announced: Option<u8>) -> String {
    match (kind, bytes) {
        (LayerKind::Ipv6Extension, _) => match announced {
            Some(number) => format!("{kind}, {}", numbered(number)),
            None => kind.to_string(),
        },
        (LayerKind::Ethernet, [destination @ .., _, _]) => {
            let (destination, source) = destination.split_at(destination.len() / 2);
            format!("{kind}, {} > {}", mac(source), mac(destination))
        }
        (LayerKind::Vlan, [high, low, ..]) => {
            format!("{kind} {}", big_endian(&[high & 0xf, *low]))
        }
        (LayerKind::Ipv4, _) => {
            let (source, destination) = (&bytes[12..16], &bytes[16..20]);
            format!(
                "{kind}, {} > {}",
                ipv4_address(source),
                ipv4_address(destination)
            )
        }
        (LayerKind::Ipv6, _) => {
            let (source, destination) = (&bytes[8..24], &bytes[24..40]);
            format!(
                "{kind}, {} > {}",
                ipv6_address(source),
                ipv6_address(destination)
            )
        }
        (LayerKind::Udp, _) => {
            format!("{kind}, {} > {}", number(&bytes[..2]), number(&bytes[2..4]))
        }
        (LayerKind::Icmp, [icmp_type, code, ..]) => {
            format!("{kind}, {}", icmp_meaning(4, *icmp_type, *code))
        }
        (LayerKind::Icmpv6, [icmp_type, code, ..]) => {
            format!("{kind}, {}", icmp_meaning(6, *icmp_type, *code))
        }
        _ => kind.to_string(),
    }
}

/// A stretch of the frame, from its first byte to before its end, written with both ends included.
struct Bytes(usize, usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(start, end) = *self;
        if start + 1 == end {
            write!(f, "[{start}]")
        } else {
            write!(f, "[{start}-{}]", end.saturating_sub(1))
        }
    }
}

fn direction(packet_type: PacketType) -> &'static str {
    match packet_type {
        PacketType::Host => "in",
        PacketType::Outgoing => "out",
        PacketType::Broadcast => "in, broadcast",
        PacketType::Multicast => "in, multicast",
        PacketType::OtherHost => "overheard, for another host",
    }
}

/// The beginning of a text in quotes, with all that a terminal would take for a command escaped.
fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(PREVIEW_LEN).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!("{shown:?}{more}")
}

/// The beginning of bytes that are no text.
fn preview(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(PREVIEW_LEN / 2)];
    let more = if shown.len() < bytes.len() { "…" } else { "" };
    format!("{}{more}", digits(shown))
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn number(bytes: &[u8]) -> String {
    big_endian(bytes).to_string()
}

fn little_endian(bytes: &[u8]) -> String {
    let number = bytes
        .iter()
        .rfold(0, |number, byte| number << 8 | u64::from(*byte));
    number.to_string()
}

fn hexadecimal(bytes: &[u8]) -> String {
    format!("0x{}", digits(bytes))
}

fn mac(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(":")
}

fn ipv4_address(bytes: &[u8]) -> String {
    match <[u8; 4]>::try_from(bytes) {
        Ok(bytes) => Ipv4Addr::from(bytes).to_string(),
        Err(_) => digits(bytes),
    }
}

fn ipv6_address(bytes: &[u8]) -> String {
    match <[u8; 16]>::try_from(bytes) {
        Ok(bytes) => Ipv6Addr::from(bytes).to_string(),
        Err(_) => digits(bytes),
    }
}

fn ether_type(bytes: &[u8]) -> String {
    let value = big_endian(bytes);
    match ETHER_TYPES.iter().find(|(known, _)| *known == value) {
        Some((_, name)) => format!("{name} ({value:#06x})"),
        None => format!("{value:#06x}"),
    }
}

fn protocol(bytes: &[u8]) -> String {
    numbered(bytes[0])
}

/// As SLL and SLL2 count.
fn packet_type(bytes: &[u8]) -> String {
    match big_endian(bytes) {
        0 => "to this host (0)".to_owned(),
        1 => "broadcast (1)".to_owned(),
        2 => "multicast (2)".to_owned(),
        3 => "to another host (3)".to_owned(),
        4 => "from this host (4)".to_owned(),
        value => value.to_string(),
    }
}

/// Text that ends at its first zero byte.
fn c_string(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    printable_bytes(text)
}
