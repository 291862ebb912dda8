//! The article's whole print of a received packet: IP header, HDP header, data.

use std::fmt::{self, Write};

use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice, UdpHeaderSlice};

use crate::{dissect::Content, hdp::Header};

/// Writes an IP datagram whose HDP header begins at byte `hdp_at`, field by field.
///
/// Fields are named as in the article. Data that is no text stands there in hexadecimal, so that
/// nothing a sender chose can steer a terminal. Bytes that are no headers are left out.
///
/// # Errors
/// Those of `out`.
pub fn print_whole(out: &mut impl Write, datagram: &[u8], hdp_at: usize) -> fmt::Result {
    let (before, from_hdp) = datagram.split_at(hdp_at.min(datagram.len()));
    let ip_header_len = ip_header(out, before)?;
    if let Ok(udp) = UdpHeaderSlice::from_slice(&before[ip_header_len..]) {
        writeln!(out, "~~~ UDP Header ~~~")?;
        writeln!(out, "Source Port: {}", udp.source_port())?;
        writeln!(out, "Destination Port: {}", udp.destination_port())?;
        writeln!(out, "Length: {}", udp.length())?;
        writeln!(out, "Checksum: {}", udp.checksum())?;
    }
    let Ok((header, payload)) = Header::parse(from_hdp) else {
        return Ok(());
    };
    writeln!(out, "~~~ HDP Header & Data ~~~")?;
    writeln!(out, "Source Port: {}", header.source_port)?;
    writeln!(out, "Destination Port: {}", header.destination_port)?;
    writeln!(out, "Timestamp: {}", header.timestamp_ns)?;
    match Content::of(payload, true) {
        Content::Empty => writeln!(out, "Data: none"),
        Content::Text(text) | Content::Base64 { text, .. } => {
            let end = if text.ends_with('\n') { "" } else { "\n" };
            write!(out, "Data: {text}{end}")
        }
        Content::Binary(bytes) => {
            write!(out, "Data (hex):")?;
            for byte in bytes {
                write!(out, " {byte:02x}")?;
            }
            writeln!(out)
        }
    }
}

/// Writes the IP header, and returns its length.
fn ip_header(out: &mut impl Write, bytes: &[u8]) -> Result<usize, fmt::Error> {
    if let Ok(ip) = Ipv4HeaderSlice::from_slice(bytes) {
        let flags = u8::from(ip.dont_fragment()) << 1 | u8::from(ip.more_fragments());
        writeln!(out, "~~~ IP Header ~~~")?;
        writeln!(out, "Version: {}", ip.version())?;
        writeln!(out, "IHL: {}", ip.ihl())?;
        writeln!(out, "DSCP: {}", ip.dcp().value())?;
        writeln!(out, "ECN: {}", ip.ecn().value())?;
        writeln!(out, "Total Length: {}", ip.total_len())?;
        writeln!(out, "Identification: {}", ip.identification())?;
        writeln!(out, "Flags: {flags}")?;
        writeln!(out, "Fragment Offset: {}", ip.fragments_offset().value())?;
        writeln!(out, "TTL: {}", ip.ttl())?;
        writeln!(out, "Protocol: {}", ip.protocol().0)?;
        writeln!(out, "Header Checksum: {}", ip.header_checksum())?;
        writeln!(out, "Source IP: {}", ip.source_addr())?;
        writeln!(out, "Destination IP: {}", ip.destination_addr())?;
        return Ok(ip.slice().len());
    }
    if let Ok(ip) = Ipv6HeaderSlice::from_slice(bytes) {
        writeln!(out, "~~~ IP Header ~~~")?;
        writeln!(out, "Version: {}", ip.version())?;
        writeln!(out, "DSCP: {}", ip.dscp().value())?;
        writeln!(out, "ECN: {}", ip.ecn().value())?;
        writeln!(out, "Payload Length: {}", ip.payload_length())?;
        writeln!(out, "Next Header: {}", ip.next_header().0)?;
        writeln!(out, "Hop Limit: {}", ip.hop_limit())?;
        writeln!(out, "Source IP: {}", ip.source_addr())?;
        writeln!(out, "Destination IP: {}", ip.destination_addr())?;
        return Ok(ip.slice().len());
    }
    Ok(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{IpNumber, Ipv4Header, Ipv6Header, UdpHeader};

    const HDP: Header = Header {
        source_port: 420,
        destination_port: 421,
        timestamp_ns: 1_739_640_243_546_134_000,
    };

    fn whole(before: &[&[u8]], payload: &[u8]) -> String {
        let before = before.concat();
        let datagram = [&before, &HDP.to_bytes()[..], payload].concat();
        let mut text = String::new();
        print_whole(&mut text, &datagram, before.len()).unwrap();
        text
    }

    fn ipv4(protocol: u8, payload_len: u16) -> Ipv4Header {
        let (client, server) = ([10, 77, 1, 2], [10, 77, 2, 2]);
        let mut ip = Ipv4Header::new(payload_len, 63, IpNumber(protocol), client, server).unwrap();
        ip.identification = 36_455;
        ip.header_checksum = ip.calc_header_checksum();
        ip
    }

    #[test]
    fn ipv4_is_the_articles_print() {
        assert_eq!(
            whole(&[&ipv4(255, 16).to_bytes()], b"moo\n"),
            "~~~ IP Header ~~~\nVersion: 4\nIHL: 5\nDSCP: 0\nECN: 0\nTotal Length: 36\n\
             Identification: 36455\nFlags: 2\nFragment Offset: 0\nTTL: 63\nProtocol: 255\n\
             Header Checksum: 38102\nSource IP: 10.77.1.2\nDestination IP: 10.77.2.2\n\
             ~~~ HDP Header & Data ~~~\nSource Port: 420\nDestination Port: 421\n\
             Timestamp: 1739640243546134000\nData: moo\n"
        );
    }

    #[test]
    fn a_control_shows_its_udp_header_and_data_without_an_end_of_line_gets_one() {
        let udp = UdpHeader {
            source_port: 420,
            destination_port: 420,
            length: 23,
            checksum: 7,
        };
        let text = whole(&[&ipv4(17, 23).to_bytes(), &udp.to_bytes()], b"moo");
        assert!(text.contains(
            "~~~ UDP Header ~~~\nSource Port: 420\nDestination Port: 420\nLength: 23\n\
             Checksum: 7\n~~~ HDP"
        ));
        assert!(text.ends_with("Data: moo\n"));
    }

    #[test]
    fn ipv6_shows_the_fields_that_it_has() {
        let ip = Ipv6Header {
            traffic_class: 0xb8,
            payload_length: 12,
            next_header: IpNumber(253),
            hop_limit: 64,
            ..Ipv6Header::default()
        };
        assert_eq!(
            whole(&[&ip.to_bytes()], b""),
            "~~~ IP Header ~~~\nVersion: 6\nDSCP: 46\nECN: 0\nPayload Length: 12\n\
             Next Header: 253\nHop Limit: 64\nSource IP: ::\nDestination IP: ::\n\
             ~~~ HDP Header & Data ~~~\nSource Port: 420\nDestination Port: 421\n\
             Timestamp: 1739640243546134000\nData: none\n"
        );
    }

    #[test]
    fn data_steers_no_terminal_and_anything_may_come() {
        let text = whole(&[&ipv4(255, 17).to_bytes()], b"\x1b[2J\0");
        assert!(text.ends_with("Data (hex): 1b 5b 32 4a 00\n"));
        let mut text = String::new();
        for len in 0..40 {
            print_whole(&mut text, &[0x46; 40][..len], 30).unwrap();
        }
    }
}
