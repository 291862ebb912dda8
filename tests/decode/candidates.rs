//! What the kernel leaves out of a live capture. That it leaves out nothing else is asserted wherever
//! a test of this folder decodes something.

use hdp::{
    decode::{DEFAULT_WINDOW_NS, candidates},
    source::{Filter, Frame, LinkType, Origin},
};

use super::{
    TIME_NS, packets,
    support::frames::{Link, arp_request, ip, udp},
    whole,
};

fn passes(frame: &Frame) -> bool {
    let expression = candidates(TIME_NS, DEFAULT_WINDOW_NS);
    Filter::new(&expression, &Origin::Stdin)
        .matches(frame)
        .unwrap()
}

/// The links for which the filter promises anything.
pub(super) fn is_promised(link_type: LinkType) -> bool {
    matches!(
        link_type,
        LinkType::EN10MB | LinkType::LINUX_SLL | LinkType::LINUX_SLL2 | LinkType::RAW
    )
}

#[test]
fn other_traffic_is_left_out() {
    for link in Link::all() {
        let [v4, v6] = packets(6, 33);
        let mut networks = vec![arp_request()];
        for packet in [v4, v6] {
            let mut tcp = packet.ip.datagram(&[0x55; 32]);
            networks.push(ip(tcp.clone()));
            // Four bytes that no header of TCP is as short as.
            tcp.truncate(tcp.len() - 28);
            networks.push(ip(tcp));
            networks.push(ip(udp(&packet.ip, 53, 4_000, b"an answer of DNS")));
        }
        for network in networks {
            if link.carries(&network) && is_promised(LinkType(link.link_type())) {
                let bytes = link.frame(&network);
                assert!(
                    !passes(&whole(link.link_type(), &bytes)),
                    "{link:?}: {bytes:02x?}"
                );
            }
        }
    }
}

#[test]
fn hdp_passes_for_a_year_and_within_the_window_only() {
    const DAY_NS: u64 = DEFAULT_WINDOW_NS;
    let passes_at = |timestamp_ns| {
        packets(50, 33).map(|mut packet| {
            packet.timestamp_ns = timestamp_ns;
            let bytes = Link::ETHERNET.frame(&ip(packet.to_ip()));
            passes(&whole(LinkType::EN10MB.0, &bytes))
        })
    };
    let now_ns = TIME_NS.unsigned_abs();
    for timestamp_ns in [
        now_ns - DAY_NS,
        now_ns,
        now_ns + DAY_NS,
        now_ns + 366 * DAY_NS,
    ] {
        assert_eq!(passes_at(timestamp_ns), [true; 2], "{timestamp_ns}");
    }
    for timestamp_ns in [0, now_ns - 2 * DAY_NS, now_ns + 368 * DAY_NS, u64::MAX] {
        assert_eq!(passes_at(timestamp_ns), [false; 2], "{timestamp_ns}");
    }
}
