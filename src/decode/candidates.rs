//! What a kernel may leave out of a live capture: the walk in terms of a pcap filter.

use super::{
    encapsulation::{TZSP_PORT, VXLAN_PORTS},
    ip::number,
};
use crate::hdp;

/// Steps in which the timestamp's upper half counts: 4.29 s.
const HALF_BITS: u32 = 32;

/// How far the capture's clock may move on, or be set forward, while the filter stands.
const YEAR_NS: u64 = 366 * 86_400 * 1_000_000_000;

/// A filter (pcap-filter(7)) for a capture that begins at `now_ns` (ns since the epoch). It passes
/// every frame in which this decoder may find something: an HDP timestamp that lies within the
/// window of any capture time in the coming year, the control's port, ICMP errors, later
/// fragments, and whatever has another header inside (VLAN, MPLS, `PPPoE`, tunnels, IPv6 extension
/// headers). It passes what tells the rest of the path from a dead one too: ICMP echoes, the beginnings
/// of TCP connections, and one of their segments in four, by sequence number.
///
/// It looks at the timestamp's upper half only, and it does not follow a clock that is set back
/// by more than the window. On links other than Ethernet, cooked and raw IP it may miss MPLS and
/// `PPPoE`.
#[must_use]
pub fn candidates(now_ns: i64, window_ns: u64) -> String {
    let now_ns = u64::try_from(now_ns).unwrap_or(0);
    let earliest = now_ns.saturating_sub(window_ns) >> HALF_BITS;
    let latest = now_ns.saturating_add(window_ns).saturating_add(YEAR_NS) >> HALF_BITS;
    let plausible =
        |half: &str| format!("({half} >= {earliest:#010x} and {half} <= {latest:#010x})");

    let or = |numbers: &[u8]| {
        let numbers: Vec<_> = numbers.iter().map(u8::to_string).collect();
        numbers.join(" or ")
    };
    let tunnels = or(&[
        number::IPV4,
        number::IPV6,
        number::GRE,
        number::AUTHENTICATION,
    ]);
    let extensions = or(&number::EXTENSIONS);
    let fragment = number::FRAGMENT;
    let port = hdp::PORT;
    let [vxlan, vxlan_of_linux] = VXLAN_PORTS;
    // A load beyond the packet's end rejects the packet, whatever comes behind it: what need not
    // have 8 bytes behind IP stands first.
    [
        // VLAN, QinQ, MPLS, PPPoE, Ethernet in Ethernet.
        "ether proto (0x8100 or 0x88a8 or 0x9100 or 0x8847 or 0x8848 or 0x8864 or 0x6558)",
        "ip[6:2] & 0x1fff != 0",
        &format!("proto ({tunnels})"),
        &format!("ip6 proto ({extensions} or {fragment})"),
        // The types that are errors.
        "(icmp and (icmp[0] = 3 or icmp[0] = 4 or icmp[0] = 5 or icmp[0] = 11 or icmp[0] = 12))",
        "(icmp6 and ip6[40] < 128)",
        // Echoes of both versions, and their replies.
        "icmp[0] = 8 or icmp[0] = 0 or (icmp6 and (ip6[40] = 128 or ip6[40] = 129))",
        &format!("udp port {port} or udp dst port ({vxlan} or {vxlan_of_linux} or {TZSP_PORT})"),
        &plausible("ip[((ip[0] & 15) << 2) + 4:4]"),
        &plausible("ip6[44:4]"),
        "tcp[13] & 2 != 0",
        "(ip6 proto 6 and ip6[53] & 2 != 0)",
        &sampled("tcp[4:4]"),
        &format!("(ip6 proto 6 and {})", sampled("ip6[44:4]")),
    ]
    .join(" or ")
}

/// Spreads sequence numbers (2^32 by the golden ratio), so that those of any connection are in the
/// sample, however they rise.
const SPREAD: u32 = 0x9e37_79b1;

/// One segment in two to the power of so many is in the sample ...
const SAMPLE_BITS: u32 = 2;

/// ... those with these upper bits, which 0 has not: padding stands where a short packet has no more.
const SAMPLE: u32 = 0b10;

/// Whether a TCP segment of this sequence number is one of the sample that [`candidates`] passes: the
/// same at every point.
#[must_use]
pub(crate) fn is_sampled(sequence: u32) -> bool {
    sequence.wrapping_mul(SPREAD) >> (u32::BITS - SAMPLE_BITS) == SAMPLE
}

/// [`is_sampled`] in terms of a filter.
fn sampled(sequence: &str) -> String {
    let shift = u32::BITS - SAMPLE_BITS;
    format!("({sequence} * {SPREAD} >> {shift} = {SAMPLE})")
}

#[cfg(all(test, feature = "libpcap"))]
mod tests {
    use super::*;
    use crate::{
        decode::DEFAULT_WINDOW_NS,
        frames_for_tests::{Link, Packet, ip},
        source::{Filter, Frame, LinkType, Origin},
    };

    /// The filter passes the segments that are counted as the sample, and no other.
    #[test]
    fn the_sample_is_the_filters() {
        let ends = [("10.0.0.1", "10.0.1.2"), ("2001:db8::1", "2001:db8:1::2")];
        let filter = candidates(1_790_000_000_123_456_789, DEFAULT_WINDOW_NS);
        let mut filter = Filter::new(&filter, &Origin::Stdin);
        for (source, destination) in ends {
            let packet = Packet::new(source.parse().unwrap(), destination.parse().unwrap(), 6, 0);
            // Those that look like HDP's timestamps pass anyway.
            for sequence in (0..2_000_u32).map(|n| n.wrapping_mul(0x0123_4567) | 1 << 31) {
                let mut segment = [0; 20];
                segment[4..8].copy_from_slice(&sequence.to_be_bytes());
                (segment[12], segment[13]) = (0x50, 0x10);
                let bytes = Link::ETHERNET.frame(&ip(packet.ip.datagram(&segment)));
                let passes = filter.matches(&Frame {
                    number: 1,
                    time_ns: Some(0),
                    link_type: LinkType::EN10MB,
                    interface: 0,
                    direction: None,
                    original_len: 74,
                    bytes: &bytes,
                });
                assert_eq!(passes.unwrap(), is_sampled(sequence), "{sequence:#x}");
            }
        }
    }
}
