//! HDP, the protocol: a 12-byte header straight on IP, under any IP protocol number.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------------------------------+-------------------------------+
//! |          Source Port          |       Destination Port        |
//! +-------------------------------+-------------------------------+
//! |                                                               |
//! +           Timestamp (nanoseconds since the Unix epoch)        +
//! |                                                               |
//! +---------------------------------------------------------------+
//! |                          Payload ...                          |
//! +---------------------------------------------------------------+
//! ```
//!
//! All fields are big-endian (network order). There is no length, no checksum and no sequence
//! number: the payload is what the IP datagram carries beyond these 12 bytes. The timestamp is
//! the sender's clock, read just before sending; it is also the identity of the packet, because
//! nothing on the path has a reason to touch it.
//!
//! | bytes | field | type | unit |
//! | --- | --- | --- | --- |
//! | [`0..2`](field::SOURCE_PORT) | source port | `u16` | |
//! | [`2..4`](field::DESTINATION_PORT) | destination port | `u16` | |
//! | [`4..12`](field::TIMESTAMP) | timestamp | `u64` | ns since the Unix epoch, UTC |
//! | [`12..`](field::PAYLOAD) | payload | bytes | |
//!
//! Source: the article "What would happen if we didn't use TCP or UDP?", which invented HDP.
//!
//! The module promises that [`Header::parse`] never panics and that [`Header::to_bytes`] gives
//! back the bytes that were parsed. It knows nothing of IP, of captures, or of whether given
//! bytes *are* HDP: [`Header::is_plausible_at`] is the only test there is, and the caller chooses
//! the window.

use nom::{IResult, Parser, bytes::complete::take};

/// The port that the article's client and server use on both sides.
pub const PORT: u16 = 420;

/// The protocol number that the article's server listens to.
pub const PROTOCOL: u8 = 255;

/// Where each field lies, counted from the first byte of the header.
pub mod field {
    use std::ops::{Range, RangeFrom};

    /// Source port.
    pub const SOURCE_PORT: Range<usize> = 0..2;
    /// Destination port.
    pub const DESTINATION_PORT: Range<usize> = 2..4;
    /// Timestamp.
    pub const TIMESTAMP: Range<usize> = 4..12;
    /// Payload.
    pub const PAYLOAD: RangeFrom<usize> = 12..;
}

/// The HDP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// Source port, as the sender wrote it.
    pub source_port: u16,
    /// Destination port, as the sender wrote it.
    pub destination_port: u16,
    /// Nanoseconds since the Unix epoch on the sender's clock, read just before sending.
    pub timestamp_ns: u64,
}

/// There are fewer bytes than a header takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("HDP header needs {} bytes, got {got}", Header::LEN)]
pub struct TooShort {
    /// Bytes that were there, less than [`Header::LEN`].
    pub got: usize,
}

impl Header {
    /// Length of the header in bytes.
    pub const LEN: usize = 12;

    /// Reads the header and returns it with the payload, which is everything behind it.
    ///
    /// # Errors
    /// [`TooShort`] when `bytes` holds fewer than [`Header::LEN`] bytes.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<(Self, &[u8]), TooShort> {
        match header(bytes) {
            Ok((payload, header)) => Ok((header, payload)),
            Err(_) => Err(TooShort { got: bytes.len() }),
        }
    }

    /// The header as it stands on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[field::SOURCE_PORT].copy_from_slice(&self.source_port.to_be_bytes());
        bytes[field::DESTINATION_PORT].copy_from_slice(&self.destination_port.to_be_bytes());
        bytes[field::TIMESTAMP].copy_from_slice(&self.timestamp_ns.to_be_bytes());
        bytes
    }

    /// Whether the timestamp lies within `window_ns` of `time_ns`, both in nanoseconds since the
    /// epoch: the only sign by which HDP is told from other bytes.
    ///
    /// A window of one day takes 9 random packets in a million for HDP, ten minutes 0.07.
    #[inline]
    #[must_use]
    pub fn is_plausible_at(&self, time_ns: i64, window_ns: u64) -> bool {
        i64::try_from(self.timestamp_ns)
            .is_ok_and(|timestamp| timestamp.abs_diff(time_ns) <= window_ns)
    }
}

#[inline]
fn header(bytes: &[u8]) -> IResult<&[u8], Header> {
    // All of it first, so that lengths are compared once.
    let (payload, bytes) = take(Header::LEN).parse(bytes)?;
    let (bytes, source_port) = big_endian(bytes)?;
    let (bytes, destination_port) = big_endian(bytes)?;
    let (_, timestamp_ns) = big_endian(bytes)?;
    let header = Header {
        source_port: u16::from_be_bytes(source_port),
        destination_port: u16::from_be_bytes(destination_port),
        timestamp_ns: u64::from_be_bytes(timestamp_ns),
    };
    Ok((payload, header))
}

/// The bytes of one field. nom's own number parsers go byte by byte.
#[inline]
fn big_endian<const N: usize>(bytes: &[u8]) -> IResult<&[u8], [u8; N]> {
    take(N).map_res(<[u8; N]>::try_from).parse(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 16] = [
        0x01, 0xa4, 0x01, 0xa5, 0x18, 0xea, 0x7c, 0x5d, 0xcf, 0x35, 0x5c, 0x40, b'a', b'b', b'c',
        b'd',
    ];

    #[test]
    fn parses_the_fields_in_wire_order_and_leaves_the_payload() {
        let (header, payload) = Header::parse(&BYTES).unwrap();
        assert_eq!(header.source_port, 420);
        assert_eq!(header.destination_port, 421);
        assert_eq!(header.timestamp_ns, 0x18ea_7c5d_cf35_5c40);
        assert_eq!(payload, b"abcd");
        assert_eq!(header.to_bytes(), BYTES[..Header::LEN]);
    }

    #[test]
    fn every_shorter_length_says_what_was_needed_and_what_was_there() {
        for got in 0..Header::LEN {
            let error = Header::parse(&BYTES[..got]).unwrap_err();
            assert_eq!(error, TooShort { got });
            assert_eq!(
                error.to_string(),
                format!("HDP header needs 12 bytes, got {got}")
            );
        }
    }

    #[test]
    fn the_window_is_inclusive_and_never_overflows() {
        let at = |timestamp_ns| Header {
            source_port: PORT,
            destination_port: PORT,
            timestamp_ns,
        };
        assert!(at(1_000).is_plausible_at(1_010, 10));
        assert!(at(1_020).is_plausible_at(1_010, 10));
        assert!(!at(1_021).is_plausible_at(1_010, 10));
        assert!(!at(u64::MAX).is_plausible_at(i64::MAX, u64::MAX));
        assert!(!at(u64::MAX).is_plausible_at(-1, 1));
        assert!(at(0).is_plausible_at(i64::MIN, u64::MAX));
    }
}
