//! What most likely changed a field, in words: where the number's own protocol keeps something in
//! those bytes that boxes on the path rewrite, or the values themselves tell.
//!
//! HDP's bytes 0-3 are its ports, 4-11 its timestamp; the payload begins at 12.

use crate::protocols::Carrier;

/// A change to be explained.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) carrier: Carrier,
    pub(super) protocol: u8,
    pub(super) is_ipv6: bool,
    pub(super) field: &'a str,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    /// Of a timestamp, the bits that differ in any packet.
    pub(super) altered_bits: u64,
}

/// Bytes of the timestamp, as a mask of its 64 bits: those that lie there are bytes 4-11.
const BYTES_4_5: u64 = 0xffff_0000_0000_0000;
const BYTES_6_7: u64 = 0x0000_ffff_0000_0000;
const BYTES_8_11: u64 = 0x0000_0000_ffff_ffff;

/// What most likely did it; `None` where nothing is known to.
pub(super) fn explanation(subject: Subject) -> Option<String> {
    match subject.field {
        "dscp" => Some(dscp(subject.to).to_owned()),
        "ecn" => Some(ecn(subject.from, subject.to)?.to_owned()),
        "length" => Some(length(subject.from, subject.to)?.to_owned()),
        _ if subject.carrier == Carrier::Udp => None,
        "source_port" | "destination_port" => ports(subject),
        "timestamp" => timestamp(subject),
        "payload" if subject.protocol == 6 => Some(
            "HDP's bytes 16-17, in the payload, are where TCP keeps its checksum; something took \
             it for TCP"
                .to_owned(),
        ),
        _ => None,
    }
}

fn dscp(to: &str) -> &'static str {
    if to == "0" {
        "bleached, the class is cleared on the way"
    } else {
        "remarked, the class is set anew on the way"
    }
}

fn ecn(from: &str, to: &str) -> Option<&'static str> {
    match (from, to) {
        ("1" | "2", "3") => Some("congestion experienced, a queue on the way marked it"),
        (_, "0") => Some("bleached, the bits are cleared on the way"),
        ("1", "2") | ("2", "1") => Some("rewritten, one ECT codepoint became the other"),
        ("0", _) => Some("set on the way, which no router should do (RFC 3168)"),
        _ => None,
    }
}

fn length(from: &str, to: &str) -> Option<&'static str> {
    let (from, to): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
    Some(if to < from {
        "cut on the way, not by a capture, for the IP header itself says so"
    } else {
        "lengthened on the way, for the IP header itself says so"
    })
}

fn ports(subject: Subject) -> Option<String> {
    match (subject.protocol, subject.field) {
        (1 | 58, "destination_port") => Some(format!(
            "HDP's bytes 2-3, its destination port, are where {} keeps its checksum; something \
             took it for that",
            name(subject.protocol)
        )),
        (6 | 17 | 33 | 132 | 136, _) => Some(format!(
            "HDP's ports lie where {} keeps its own; something translated them as such",
            name(subject.protocol)
        )),
        _ => None,
    }
}

/// Rewritten bytes of the timestamp, if none but those differ.
fn timestamp(subject: Subject) -> Option<String> {
    let (bytes, mask, what) = match subject.protocol {
        17 | 33 | 136 => ("6-7", BYTES_6_7, "its checksum"),
        132 => ("8-11", BYTES_8_11, "its checksum"),
        1 | 58 => ("4-5", BYTES_4_5, "its identifier"),
        135 if subject.is_ipv6 => ("4-5", BYTES_4_5, "its checksum"),
        _ => return None,
    };
    (subject.altered_bits & !mask == 0).then(|| {
        format!(
            "HDP's bytes {bytes}, inside the timestamp, are where {} keeps {what}; something took \
             it for that",
            name(subject.protocol)
        )
    })
}

fn name(protocol: u8) -> &'static str {
    match protocol {
        1 => "ICMP",
        6 => "TCP",
        17 => "UDP",
        33 => "DCCP",
        58 => "ICMPv6",
        132 => "SCTP",
        135 => "Mobile IPv6",
        _ => "UDP-Lite",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(protocol: u8, field: &str, from: &str, to: &str) -> Option<String> {
        let values = from.parse::<u64>().ok().zip(to.parse::<u64>().ok());
        explanation(Subject {
            altered_bits: values.map_or(0, |(from, to)| from ^ to),
            carrier: Carrier::Ip,
            protocol,
            is_ipv6: false,
            field,
            from,
            to,
        })
    }

    #[test]
    fn what_no_protocol_explains_stays_unexplained() {
        for (protocol, field) in [
            (253, "timestamp"),
            (253, "source_port"),
            (253, "payload"),
            (17, "payload"),
            (132, "payload"),
            (1, "source_port"),
            (135, "timestamp"),
            (17, "ttl"),
            (17, "source_address"),
        ] {
            assert_eq!(
                explained(protocol, field, "a", "b"),
                None,
                "{protocol} {field}"
            );
        }
        // Bytes that the checksum does not cover changed too.
        let (from, to) = (0x18ea_5b97_0000_0001_u64, 0x18ea_0000_0000_0002_u64);
        assert_eq!(
            explained(17, "timestamp", &from.to_string(), &to.to_string()),
            None
        );
        let mut in_udp = Subject {
            carrier: Carrier::Udp,
            protocol: 17,
            is_ipv6: false,
            field: "timestamp",
            from: "a",
            to: "b",
            altered_bits: BYTES_6_7,
        };
        assert_eq!(
            explanation(in_udp),
            None,
            "HDP lies behind the real UDP header"
        );
        in_udp.carrier = Carrier::Ip;
        assert!(explanation(in_udp).is_some());
    }

    #[test]
    fn rewritten_bytes_are_named_after_who_keeps_something_there() {
        let (from, to) = (0x18ea_5b97_0000_0001_u64, 0x18ea_0000_0000_0001_u64);
        let (from, to) = (from.to_string(), to.to_string());
        for (protocol, field, words) in [
            (
                17,
                "timestamp",
                "bytes 6-7, inside the timestamp, are where UDP keeps its checksum",
            ),
            (136, "timestamp", "where UDP-Lite keeps its checksum"),
            (33, "timestamp", "where DCCP keeps its checksum"),
            (
                1,
                "destination_port",
                "bytes 2-3, its destination port, are where ICMP keeps",
            ),
            (58, "destination_port", "where ICMPv6 keeps its checksum"),
            (
                6,
                "payload",
                "bytes 16-17, in the payload, are where TCP keeps",
            ),
            (6, "source_port", "where TCP keeps its own"),
        ] {
            let explained = explained(protocol, field, &from, &to).unwrap();
            assert!(explained.contains(words), "{explained}");
        }
        let sctp = explained(132, "timestamp", "4294967296", "4294967297").unwrap();
        assert!(sctp.contains("bytes 8-11"), "{sctp}");
        let icmp = explained(1, "timestamp", "0", "281474976710656").unwrap();
        assert!(
            icmp.contains("bytes 4-5") && icmp.contains("its identifier"),
            "{icmp}"
        );
    }

    #[test]
    fn marks_are_bleached_or_remarked() {
        for (field, from, to, word) in [
            ("dscp", "46", "0", "bleached"),
            ("dscp", "46", "8", "remarked"),
            ("ecn", "2", "3", "congestion experienced"),
            ("ecn", "1", "0", "bleached"),
            ("ecn", "0", "2", "set on the way"),
            ("length", "33", "20", "cut on the way, not by a capture"),
        ] {
            let explained = explained(253, field, from, to).unwrap();
            assert!(explained.contains(word), "{field} {from} {to}: {explained}");
        }
    }
}
