//! Timestamps that a box on the path wrote into, because it took the packet for what its number
//! means: where UDP, UDP-Lite and DCCP keep their checksum, and ICMP its identifier, HDP keeps
//! parts of the timestamp's upper half.

use std::ops::Range;

/// How far an otherwise untouched lower part may lie from the capture time's, in nanoseconds:
/// 0.4 % of random packets do.
const NEAR_NS: u64 = 600_000_000_000;

/// The bits of the timestamp that boxes write into under a number. SCTP's checksum lies in the
/// lower half, which leaves the timestamp plausible.
#[inline]
pub(super) fn bits(protocol: u8) -> Option<Range<u32>> {
    match protocol {
        // DCCP, UDP, UDP-Lite: bytes 6 and 7.
        33 | 17 | 136 => Some(32..48),
        // The identifier of ICMP and ICMPv6, the checksum of Mobility: bytes 4 and 5.
        1 | 58 | 135 => Some(48..64),
        _ => None,
    }
}

/// Whether the timestamp would be plausible with other bits where boxes write.
pub(super) fn may_be(protocol: u8, timestamp_ns: u64, time_ns: i64, window_ns: u64) -> bool {
    let (Some(bits), Ok(now)) = (self::bits(protocol), u64::try_from(time_ns)) else {
        return false;
    };
    if bits.end < u64::BITS {
        // All timestamps with these upper bits, from the first to the last.
        let first = timestamp_ns >> bits.end << bits.end;
        let last = first | ((1 << bits.end) - 1);
        first <= now.saturating_add(window_ns) && now.saturating_sub(window_ns) <= last
    } else {
        let lower = (1_u64 << bits.start) - 1;
        let apart = (timestamp_ns & lower).abs_diff(now & lower);
        apart.min(lower + 1 - apart) <= NEAR_NS.min(window_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_348_800_123_456_789;
    const DAY: u64 = 86_400_000_000_000;

    fn may(protocol: u8, timestamp_ns: u64) -> bool {
        may_be(protocol, timestamp_ns, NOW.cast_signed(), DAY)
    }

    #[test]
    fn other_numbers_are_not_written_into() {
        assert!(!may(253, NOW ^ 0x1234 << 32));
        assert!(!may(132, NOW ^ 0x1234 << 48));
    }

    #[test]
    fn only_where_the_number_has_its_fields_bits_may_differ() {
        assert!(may(17, NOW ^ 0x1234 << 32));
        assert!(!may(17, NOW ^ 0x1234 << 48));
        assert!(may(1, NOW ^ 0x1234 << 48));
        assert!(!may(1, NOW ^ 0x1234 << 32));
    }

    #[test]
    fn few_random_packets_pass() {
        let mut random = 1_u64;
        let mut passed = [0; 2];
        for _ in 0..200_000 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let timestamp = random ^ random >> 31;
            passed[0] += u32::from(may(17, timestamp));
            passed[1] += u32::from(may(1, timestamp));
        }
        assert!(passed[0] < 20 && passed[1] < 2_000, "{passed:?}");
    }
}
