//! Sightings: one packet at one point, in 32 bytes.

use std::hash::Hasher as _;

use rustc_hash::FxHasher;

/// How many payload bytes the digest covers: enough for every field that a box on the path is
/// known to rewrite, few enough that a long packet costs no more than a short one.
const DIGEST_LEN: usize = 64;

/// One HDP packet at one point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// HDP's timestamp, the packet's identity.
    pub timestamp_ns: u64,
    /// Capture time on the point's clock, ns since the epoch.
    pub time_ns: i64,
    /// Frame number in the capture, line number in a log.
    pub frame: u32,
    /// Index into [`Point::flows`].
    pub flow: u32,
    /// Payload length in bytes by the IP header's word; 65,535 stands for more too.
    pub payload_len: u16,
    /// IPv4 identification, 0 where there is none. Never a key (RFC 6864); it tells a copy from
    /// another packet with the same bytes at the same point.
    pub ip_id: u16,
    /// 24 bits of digest above 8 bits of flags.
    digest_and_flags: u32,
}

impl Sighting {
    /// The flag of [`Sighting::is_reordered`].
    pub(super) const REORDERED: u32 = 1;
    const DIGEST_UNKNOWN: u32 = 2;
    const FLAG_BITS: u32 = 8;

    /// Of a frame's number and capture time, its flow, HDP's timestamp, the IPv4 identification and the payload
    /// with its length on the wire.
    #[inline(always)]
    pub(super) fn new(
        (number, time_ns): (u64, i64),
        flow: u32,
        timestamp_ns: u64,
        (ip_id, payload, payload_len): (Option<u16>, &[u8], u32),
        mut flags: u32,
    ) -> Self {
        let covered = payload.len().min(DIGEST_LEN);
        if covered < DIGEST_LEN && covered < payload_len as usize {
            flags |= Self::DIGEST_UNKNOWN;
        }
        Self {
            timestamp_ns,
            time_ns,
            frame: short(number),
            flow,
            payload_len: u16::try_from(payload_len).unwrap_or(u16::MAX),
            ip_id: ip_id.unwrap_or(0),
            digest_and_flags: digest(&payload[..covered]) << Self::FLAG_BITS | flags,
        }
    }

    /// Whether a packet of the same stream with a later timestamp came before it (RFC 4737).
    #[must_use]
    pub(crate) fn is_reordered(&self) -> bool {
        self.digest_and_flags & Self::REORDERED != 0
    }

    /// Says so.
    pub(super) fn set_reordered(&mut self, is_reordered: bool) {
        self.digest_and_flags &= !Self::REORDERED;
        self.digest_and_flags |= u32::from(is_reordered);
    }

    /// A digest of the payload's first 64 bytes, or `None` where the capture kept fewer of them
    /// than there are.
    #[must_use]
    pub(crate) fn digest(&self) -> Option<u32> {
        let is_known = self.digest_and_flags & Self::DIGEST_UNKNOWN == 0;
        is_known.then_some(self.digest_and_flags >> Self::FLAG_BITS)
    }

    /// Whether two sightings with the same timestamp show the same bytes: their flows agree in the
    /// key, and payload and length are the same as far as they are known.
    #[inline]
    #[must_use]
    pub(crate) fn shows_bytes_of(&self, key: u64, other: &Self, other_key: u64) -> bool {
        key == other_key && self.payload_len == other.payload_len && self.may_have_payload_of(other)
    }

    /// Whether the payloads may be the same: equal as far as [`Sighting::digest`] goes, or unknown.
    #[inline]
    #[must_use]
    pub(crate) fn may_have_payload_of(&self, other: &Self) -> bool {
        (self.digest_and_flags ^ other.digest_and_flags) >> Self::FLAG_BITS == 0
            || (self.digest_and_flags | other.digest_and_flags) & Self::DIGEST_UNKNOWN != 0
    }
}

/// What is left of a sighting to know the packet's copies by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace {
    digest_and_flags: u32,
    payload_len: u16,
    ip_id: u16,
}

impl Trace {
    /// Of a sighting.
    #[must_use]
    pub(crate) fn of(sighting: &Sighting) -> Self {
        Self {
            digest_and_flags: sighting.digest_and_flags,
            payload_len: sighting.payload_len,
            ip_id: sighting.ip_id,
        }
    }

    /// Whether a sighting with the same timestamp may be of the same packet. Another IP ID speaks
    /// for another packet (a translator may have changed it, but none is told of copies by that).
    #[must_use]
    pub(crate) fn may_be_of(self, sighting: &Sighting) -> bool {
        let other = Self::of(sighting);
        let differ = (self.digest_and_flags ^ other.digest_and_flags) >> Sighting::FLAG_BITS != 0;
        let flags = self.digest_and_flags | other.digest_and_flags;
        self.payload_len == other.payload_len
            && self.ip_id == other.ip_id
            && (!differ || flags & Sighting::DIGEST_UNKNOWN != 0)
    }
}

/// A fragmented packet of which a piece did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Incomplete {
    /// Its first piece.
    pub sighting: Sighting,
    /// Offset of the first byte of the IP payload that is missing.
    pub missing_from: u32,
}

/// A frame number as sightings hold it.
pub(super) fn short(frame: u64) -> u32 {
    u32::try_from(frame).unwrap_or(u32::MAX)
}

/// 24 bits.
fn digest(payload: &[u8]) -> u32 {
    let mut hasher = FxHasher::default();
    hasher.write(payload);
    (hasher.finish() >> 40) as u32
}
