//! What most likely changed a field: where the number's own protocol keeps something in
//! those bytes that boxes on the path rewrite, or the values themselves tell.
//!
//! HDP's bytes 0-3 are its ports, 4-11 its timestamp; the payload begins at 12.

use crate::{
    findings::{Cause, Kept},
    protocols::Carrier,
};

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
pub(super) fn of(subject: Subject) -> Option<Cause> {
    match subject.field {
        "dscp" if subject.to == "0" => Some(Cause::DscpBleached),
        "dscp" => Some(Cause::DscpRemarked),
        "ecn" => ecn(subject.from, subject.to),
        "length" => length(subject.from, subject.to),
        _ if subject.carrier == Carrier::Udp => None,
        "source_port" | "destination_port" => ports(subject),
        "timestamp" => timestamp(subject),
        "payload" if subject.protocol == 6 => Some(taken_for(6, Kept::Checksum, (16, 17))),
        _ => None,
    }
}

fn taken_for(protocol: u8, keeps: Kept, (first_byte, last_byte): (u8, u8)) -> Cause {
    Cause::TakenFor {
        protocol,
        keeps,
        first_byte,
        last_byte,
    }
}

fn ecn(from: &str, to: &str) -> Option<Cause> {
    match (from, to) {
        ("1" | "2", "3") => Some(Cause::CongestionMarked),
        (_, "0") => Some(Cause::EcnBleached),
        ("1", "2") | ("2", "1") => Some(Cause::EctRewritten),
        ("0", _) => Some(Cause::EcnSet),
        _ => None,
    }
}

fn length(from: &str, to: &str) -> Option<Cause> {
    let (from, to): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
    Some(if to < from {
        Cause::Cut
    } else {
        Cause::Lengthened
    })
}

fn ports(subject: Subject) -> Option<Cause> {
    let protocol = subject.protocol;
    match (protocol, subject.field) {
        (1 | 58, "destination_port") => Some(taken_for(protocol, Kept::Checksum, (2, 3))),
        (6 | 17 | 33 | 132 | 136, _) => Some(taken_for(protocol, Kept::Ports, (0, 3))),
        _ => None,
    }
}

/// Rewritten bytes of the timestamp, if none but those differ.
fn timestamp(subject: Subject) -> Option<Cause> {
    let (bytes, mask, keeps) = match subject.protocol {
        17 | 33 | 136 => ((6, 7), BYTES_6_7, Kept::Checksum),
        132 => ((8, 11), BYTES_8_11, Kept::Checksum),
        1 | 58 => ((4, 5), BYTES_4_5, Kept::Identifier),
        135 if subject.is_ipv6 => ((4, 5), BYTES_4_5, Kept::Checksum),
        _ => return None,
    };
    (subject.altered_bits & !mask == 0).then(|| taken_for(subject.protocol, keeps, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(protocol: u8, field: &str, from: &str, to: &str) -> Option<Cause> {
        let values = from.parse::<u64>().ok().zip(to.parse::<u64>().ok());
        of(Subject {
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
        assert_eq!(of(in_udp), None, "HDP lies behind the real UDP header");
        in_udp.carrier = Carrier::Ip;
        assert!(of(in_udp).is_some());
    }

    #[test]
    fn rewritten_bytes_are_named_after_who_keeps_something_there() {
        let (from, to) = (0x18ea_5b97_0000_0001_u64, 0x18ea_0000_0000_0001_u64);
        let (from, to) = (from.to_string(), to.to_string());
        for (protocol, field, keeps, bytes) in [
            (17, "timestamp", Kept::Checksum, (6, 7)),
            (136, "timestamp", Kept::Checksum, (6, 7)),
            (33, "timestamp", Kept::Checksum, (6, 7)),
            (1, "destination_port", Kept::Checksum, (2, 3)),
            (58, "destination_port", Kept::Checksum, (2, 3)),
            (6, "payload", Kept::Checksum, (16, 17)),
            (6, "source_port", Kept::Ports, (0, 3)),
        ] {
            let expected = taken_for(protocol, keeps, bytes);
            assert_eq!(explained(protocol, field, &from, &to), Some(expected));
        }
        let sctp = explained(132, "timestamp", "4294967296", "4294967297");
        assert_eq!(sctp, Some(taken_for(132, Kept::Checksum, (8, 11))));
        let icmp = explained(1, "timestamp", "0", "281474976710656");
        assert_eq!(icmp, Some(taken_for(1, Kept::Identifier, (4, 5))));
    }

    #[test]
    fn marks_are_bleached_or_remarked() {
        for (field, from, to, cause) in [
            ("dscp", "46", "0", Cause::DscpBleached),
            ("dscp", "46", "8", Cause::DscpRemarked),
            ("ecn", "2", "3", Cause::CongestionMarked),
            ("ecn", "1", "0", Cause::EcnBleached),
            ("ecn", "0", "2", Cause::EcnSet),
            ("length", "33", "20", Cause::Cut),
            ("length", "20", "33", Cause::Lengthened),
        ] {
            assert_eq!(explained(253, field, from, to), Some(cause));
        }
    }
}
