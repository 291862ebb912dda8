//! What the kernel leaves out of a live capture. That it leaves out nothing else is asserted wherever
//! a test of this folder decodes something.

use hdp::{
    decode::{DEFAULT_WINDOW_NS, candidates},
    source::{Filter, Frame, LinkType, Origin},
};

use super::{
    TIME_NS, packets,
    support::frames::{Link, Network, Packet, arp_request, ip, udp},
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

/// Pings, beginnings of connections and one segment in four: what tells a path on which nothing arrives
/// from a capture that stands still.
#[test]
fn a_sample_of_what_else_crosses_passes() {
    const ACK: u8 = 0x10;
    const SYN: u8 = 0x02;
    let segment = |packet: &Packet, sequence: u32, flags: u8| {
        let mut tcp = vec![0; 20];
        tcp[4..8].copy_from_slice(&sequence.to_be_bytes());
        (tcp[12], tcp[13]) = (0x50, flags);
        ip(packet.ip.datagram(&tcp))
    };
    let passes = |network: &Network| {
        let links = Link::all();
        let links = links
            .iter()
            .filter(|link| link.carries(network) && is_promised(LinkType(link.link_type())));
        let passed: Vec<bool> = links
            .map(|link| passes(&whole(link.link_type(), &link.frame(network))))
            .collect();
        assert!(
            passed.iter().all(|one| *one == passed[0]),
            "every link alike"
        );
        passed[0]
    };
    for packet in packets(6, 33) {
        for flags in [SYN, SYN | ACK] {
            assert!((0..100).all(|n| passes(&segment(&packet, n * 77, flags))));
        }
        // However sequence numbers rise.
        for step in [1, 100, 536, 1448, 4096, 65_536] {
            let sampled = (0..800).filter(|n| passes(&segment(&packet, n * step, ACK)));
            let sampled = sampled.count();
            assert!(
                (160..=240).contains(&sampled),
                "{sampled} of 800, {step} apart"
            );
        }
    }
    for (number, types) in [(1, [8, 0]), (58, [128, 129])] {
        let [v4, v6] = packets(number, 33);
        let packet = if number == 1 { v4 } else { v6 };
        for echo in types {
            let mut message = vec![0x55; 40];
            (message[0], message[1]) = (echo, 0);
            assert!(passes(&ip(packet.ip.datagram(&message))), "type {echo}");
        }
    }
}
