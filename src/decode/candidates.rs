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
/// headers). Of other traffic it passes what looks like that by chance, about one TCP segment in
/// 500.
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
        &format!("udp port {port} or udp dst port ({vxlan} or {vxlan_of_linux} or {TZSP_PORT})"),
        &plausible("ip[((ip[0] & 15) << 2) + 4:4]"),
        &plausible("ip6[44:4]"),
    ]
    .join(" or ")
}
