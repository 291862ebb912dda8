//! What decoding and observing take from the allocator: nothing a packet.
//!
//! Alone in its binary, because the allocator counts for the whole process.
#![allow(
    unsafe_code,
    reason = "an allocator can only be counted by being one, and GlobalAlloc is unsafe"
)]

mod support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use hdp::{
    decode::{DEFAULT_WINDOW_NS, Decoder},
    observe::Observer,
    source::{Frame, LinkType},
};
use support::frames::{
    GreFields, Ip, Link, Packet, QUOTES, arp_request, gre, icmp_error, ip, mpls, pppoe, qinq, vxlan,
};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations_in(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    work();
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

const TIME_NS: i64 = 1_790_000_000_123_456_789;
const PACKETS: usize = 10_000;

/// Frames of every kind: all numbers on all links, tunnels, quotes, fragments, the control, cut
/// ones, and what is not HDP.
fn frames() -> Vec<(u16, Vec<u8>)> {
    let mut frames = Vec::new();
    for (src, dst) in [("10.0.0.1", "10.0.1.2"), ("2001:db8::1", "2001:db8:1::2")] {
        let (src, dst): (IpAddr, IpAddr) = (src.parse().unwrap(), dst.parse().unwrap());
        for protocol in 0..=255 {
            let packet = Packet::new(src, dst, protocol, TIME_NS.cast_unsigned());
            let mut datagrams = vec![packet.to_ip(), packet.to_udp()];
            datagrams.extend(packet.to_fragments(60));
            let outer = Ip::new(dst, src, 0);
            let icmp_type = if src.is_ipv4() { 11 } else { 3 };
            for quote in QUOTES {
                datagrams.push(icmp_error(&outer, icmp_type, 0, &packet.to_ip(), quote));
            }
            let tcp = Ip::new(src, dst, 6).datagram(&[0xee; 40]);
            datagrams.push(tcp);
            let inner = ip(packet.to_ip());
            let mut networks: Vec<_> = datagrams.into_iter().map(ip).collect();
            networks.extend([
                arp_request(),
                qinq(6, 5, &inner),
                mpls(&[1, 2, 3], &inner),
                pppoe(9, &inner),
                gre(&outer, GreFields::default(), &inner),
                vxlan(&outer, 42, &inner),
            ]);
            let links = Link::all();
            let link = &links[usize::from(protocol) % links.len()];
            for network in networks.iter().filter(|network| link.carries(network)) {
                let frame = link.frame(network);
                frames.push((link.link_type(), frame[..frame.len() / 2].to_vec()));
                frames.push((link.link_type(), frame));
            }
        }
    }
    frames
}

fn frame(number: u64, link_type: u16, bytes: &[u8]) -> Frame<'_> {
    Frame {
        number,
        time_ns: Some(TIME_NS),
        link_type: LinkType(link_type),
        interface: 0,
        direction: None,
        original_len: 2_000,
        bytes,
    }
}

#[test]
fn nothing_is_allocated_per_packet() {
    let frames = frames();
    let mut decoder = Decoder::new(DEFAULT_WINDOW_NS);

    // Decoding, whatever it is: not once.
    let mut found = 0;
    let decoding = allocations_in(|| {
        for (link_type, bytes) in &frames {
            found += u32::from(decoder.decode(&frame(1, *link_type, bytes)).is_ok());
        }
    });
    assert!(
        found > 2_000 && frames.len() > 6_000,
        "{found} of {}",
        frames.len()
    );
    assert_eq!(decoding, 0);

    // Observing: a flow that is new costs its place in the tables, so each is shown once first.
    // From then on only the two lists of what was seen grow, packets and ICMP errors: by doubling,
    // so that the count of allocations does not depend on the count of packets.
    let mut observer = Observer::default();
    let mut observe = |number, link_type, bytes: &[u8]| {
        let frame = frame(number, link_type, bytes);
        observer.watch(&frame);
        observer.observe(&frame, decoder.decode(&frame));
    };
    for (link_type, bytes) in &frames {
        observe(1, *link_type, bytes);
    }
    let again = frames.iter().cycle().take(PACKETS);
    let observing = allocations_in(|| {
        for (number, (link_type, bytes)) in (1..).zip(again) {
            observe(number, *link_type, bytes);
        }
    });
    // The lists grow to at most three times their length: that is two doublings each.
    assert!(PACKETS <= 2 * frames.len());
    assert!(observing <= 4, "{observing} for {PACKETS} packets");
}
