//! Probes as they stand on the wire.

use std::net::IpAddr;

use etherparse::{IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, UdpHeader};

use crate::{
    decode::number,
    hdp::{self, Header},
    protocols::Carrier,
};

/// What all probes of a run have in common.
#[derive(Debug, Clone)]
pub(super) struct Template {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// Differentiated services code point.
    pub(super) dscp: u8,
    pub(super) payload: Vec<u8>,
    /// The control's first source port; HDP's follow behind [`CONTROL_FLOWS`].
    pub(super) source_port: u16,
}

/// What makes a probe this one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) carrier: Carrier,
    pub(super) protocol: u8,
    pub(super) ttl: u8,
    /// Counted over all probes.
    pub(super) sequence: u32,
    /// Read just before sending, ns since the epoch.
    pub(super) timestamp_ns: u64,
}

/// The control comes from so many ports in turn: routers choose among paths of equal cost by them.
pub(super) const CONTROL_FLOWS: u16 = 8;

/// HDP's source ports come back after so many probes.
pub(super) const MARKS: u16 = 4_096;

/// HDP's source port under ICMP's number: what stands in its place is ICMP's type and code, and nobody
/// sends an error about ICMP but where it is a query (RFC 1122, section 3.2.2; Linux too).
const ECHO_REQUEST: u16 = 8 << 8;
const ECHO_MARKS: u16 = 256;

impl Template {
    /// Writes a probe's IP datagram.
    ///
    /// # Panics
    /// Never: the caller has made sure that the payload fits a datagram.
    pub(super) fn write(&self, mark: &Mark, bytes: &mut Vec<u8>) {
        let turn = |of: u16| (mark.sequence % u32::from(of)).to_le_bytes();
        let turn = |of| {
            let [low, high, ..] = turn(of);
            u16::from_le_bytes([low, high])
        };
        let source_port = if self.source.is_ipv4() && mark.protocol == number::ICMP {
            ECHO_REQUEST + turn(ECHO_MARKS)
        } else {
            self.source_port + CONTROL_FLOWS + turn(MARKS)
        };
        let hdp = Header {
            source_port,
            destination_port: hdp::PORT,
            timestamp_ns: mark.timestamp_ns,
        };
        let mut content = hdp.to_bytes().to_vec();
        content.extend(&self.payload);
        if mark.carrier == Carrier::Udp {
            let port = self.source_port + turn(CONTROL_FLOWS);
            content.splice(0..0, self.udp_header(port, &content));
        }
        bytes.clear();
        let fits = "the payload fits a datagram";
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let len = content.len().try_into().expect(fits);
                let number = IpNumber(mark.protocol);
                let mut header =
                    Ipv4Header::new(len, mark.ttl, number, source.octets(), destination.octets())
                        .expect(fits);
                // 0 would let the system choose.
                header.identification = turn(u16::MAX) + 1;
                header.dont_fragment = false;
                header.dscp = self.dscp.try_into().expect("a code point has 6 bits");
                header.header_checksum = header.calc_header_checksum();
                bytes.extend(header.to_bytes());
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let header = Ipv6Header {
                    traffic_class: self.dscp << 2,
                    flow_label: Ipv6FlowLabel::ZERO,
                    payload_length: content.len().try_into().expect(fits),
                    next_header: IpNumber(mark.protocol),
                    hop_limit: mark.ttl,
                    source: source.octets(),
                    destination: destination.octets(),
                };
                bytes.extend(header.to_bytes());
            }
            _ => unreachable!("the source is the one that the route to the destination gives"),
        }
        bytes.extend(content);
    }

    fn udp_header(&self, source_port: u16, content: &[u8]) -> [u8; 8] {
        let fits = "the payload fits a datagram";
        let header = match (self.source, self.destination) {
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let ends = Ipv6Header {
                    source: source.octets(),
                    destination: destination.octets(),
                    ..Ipv6Header::default()
                };
                UdpHeader::with_ipv6_checksum(source_port, hdp::PORT, &ends, content)
            }
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let ends = Ipv4Header {
                    source: source.octets(),
                    destination: destination.octets(),
                    ..Ipv4Header::default()
                };
                UdpHeader::with_ipv4_checksum(source_port, hdp::PORT, &ends, content)
            }
            _ => unreachable!("the source is the one that the route to the destination gives"),
        };
        header.expect(fits).to_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::packet::Packet;

    #[test]
    fn a_probe_is_read_as_it_was_written() {
        for (source, destination) in [("10.77.1.1", "10.77.9.2"), ("fd77::1", "fd77::2")] {
            let template = Template {
                source: source.parse().unwrap(),
                destination: destination.parse().unwrap(),
                dscp: 46,
                payload: vec![b'x'; 5],
                source_port: 42_000,
            };
            for carrier in [Carrier::Ip, Carrier::Udp] {
                let protocol = if carrier == Carrier::Udp { 17 } else { 253 };
                let mark = Mark {
                    carrier,
                    protocol,
                    ttl: 7,
                    sequence: 70_000,
                    timestamp_ns: 1_790_000_000_123_456_789,
                };
                let mut bytes = Vec::new();
                template.write(&mark, &mut bytes);
                let packet = Packet::parse(&bytes).unwrap();
                assert_eq!(
                    (packet.protocol, packet.ttl, packet.dscp),
                    (protocol, 7, 46)
                );
                assert_eq!(
                    (packet.source, packet.destination),
                    (template.source, template.destination)
                );
                assert_eq!(packet.carrier(), carrier);
                let header = packet.header(carrier).unwrap();
                assert_eq!(header.timestamp_ns, mark.timestamp_ns);
                assert_eq!(header.source_port, 42_008 + (70_000 % 4_096) as u16);
                assert_eq!(header.destination_port, 420);
            }
        }
    }
}
