//! What each printer makes of each kind of packet: one snapshot a case, so that the line, the tree,
//! the bytes and the object are reviewed side by side.

use super::{Packet, hex, json, line, tree};
use crate::{
    decode::{DEFAULT_WINDOW_NS, Decoder},
    hdp::{self, Header},
    source::{Frame, FrameDirection, Interface, LinkType},
};

/// 2026-11-22T09:58:19.692123456Z.
const TIME_NS: i64 = 1_795_341_499_692_123_456;
const HEADER: Header = Header {
    source_port: hdp::PORT,
    destination_port: hdp::PORT,
    timestamp_ns: 1_795_341_499_692_100_000,
};
const TEXT: &[u8] = b"What if we didn't use TCP or UDP?";

const CLIENT: [u8; 4] = [10, 77, 1, 2];
const SERVER: [u8; 4] = [10, 77, 2, 2];
const ROUTER: [u8; 4] = [10, 77, 1, 1];

fn hdp(payload: &[u8]) -> Vec<u8> {
    [&HEADER.to_bytes(), payload].concat()
}

/// The first 20 bytes are the header, as a sender without options writes it.
fn ipv4(source: [u8; 4], destination: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let fixed = [
        0x45, 0xb8, high, low, 0x12, 0x34, 0x40, 0, 64, protocol, 0xab, 0xcd,
    ];
    [&fixed, &source[..], &destination, payload].concat()
}

fn ipv6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let fixed = [0x60, 0, 0x12, 0x34, high, low, next_header, 64];
    let address = |last| [0xfd, 0, 0, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    [&fixed[..], &address(1), &address(2), payload].concat()
}

fn udp(payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(8 + payload.len()).unwrap().to_be_bytes();
    [&[0x01, 0xa4, 0x01, 0xa4, high, low, 0xbe, 0xef], payload].concat()
}

fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let addresses = [0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1];
    [&addresses[..], &ether_type.to_be_bytes(), payload].concat()
}

fn administratively_prohibited(quote: &[u8]) -> Vec<u8> {
    let icmp = [&[3, 13, 0xfc, 0xf2, 0, 0, 0, 0], quote].concat();
    ipv4(ROUTER, CLIENT, 1, &icmp)
}

fn frame(bytes: &[u8]) -> Frame<'_> {
    Frame {
        number: 1,
        time_ns: Some(TIME_NS),
        link_type: LinkType::EN10MB,
        interface: 0,
        direction: None,
        original_len: u32::try_from(bytes.len()).unwrap(),
        bytes,
    }
}

const NANOSECONDS: Interface = Interface {
    name: None,
    link_type: LinkType::EN10MB,
    resolution_ns: 1,
};

/// What all printers say of a frame.
fn shown(frame: Frame<'_>, interface: &Interface) -> String {
    let mut decoder = Decoder::new(DEFAULT_WINDOW_NS);
    let datagram = decoder.decode(&frame).unwrap();
    let packet = Packet {
        frame,
        interface,
        datagram,
        layers: decoder.layers(),
    };
    let mut out = Vec::new();
    line::write(&packet, &mut out).unwrap();
    out.push(b'\n');
    tree::write(&packet, &mut out).unwrap();
    hex::write(&packet, &mut out).unwrap();
    out.push(b'\n');
    json::write(&packet, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Compares what all printers say of a frame with the snapshot of that name.
fn check(name: &str, frame: Frame<'_>, interface: &Interface) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, shown(frame, interface)));
}

#[test]
fn ipv4_255_with_padding_behind_it() {
    let padded = [&ipv4(CLIENT, SERVER, 255, &hdp(b"ab"))[..], &[0; 12]].concat();
    check("ipv4", frame(&ethernet(0x0800, &padded)), &NANOSECONDS);
}

#[test]
fn ipv6_58_in_a_file_of_microseconds_with_a_name() {
    let bytes = ethernet(0x86dd, &ipv6(58, &hdp(TEXT)));
    let frame = Frame {
        time_ns: Some(TIME_NS - 456),
        direction: Some(FrameDirection::Outbound),
        ..frame(&bytes)
    };
    let interface = Interface {
        name: Some("eth0".to_owned()),
        link_type: LinkType::EN10MB,
        resolution_ns: 1_000,
    };
    check("ipv6", frame, &interface);
}

#[test]
fn ipv6_behind_an_extension_header_and_a_fragment_header() {
    let fragment = [&[50, 0, 0, 1, 0xde, 0xad, 0xbe, 0xef], &hdp(TEXT)[..]].concat();
    let options = [&[44, 0, 1, 4, 0, 0, 0, 0], &fragment[..]].concat();
    let bytes = ethernet(0x86dd, &ipv6(60, &options));
    check("ipv6_extensions", frame(&bytes), &NANOSECONDS);
}

#[test]
fn the_control() {
    let bytes = ethernet(0x0800, &ipv4(CLIENT, SERVER, 17, &udp(&hdp(TEXT))));
    check("control", frame(&bytes), &NANOSECONDS);
}

#[test]
fn inside_vlan_and_gre() {
    let inner = ipv4(CLIENT, SERVER, 50, &hdp(TEXT));
    // With key and sequence number.
    let gre = [&[0x30, 0, 8, 0, 0, 0, 0, 7, 0, 0, 0, 9], &inner[..]].concat();
    let outer = ipv4([10, 77, 1, 1], [10, 77, 2, 1], 47, &gre);
    let vlan = [&[0x60, 77, 8, 0], &outer[..]].concat();
    let bytes = ethernet(0x8100, &vlan);
    check("vlan_gre", frame(&bytes), &NANOSECONDS);
}

#[test]
fn an_icmp_quote_of_8_bytes() {
    let quote = &ipv4(CLIENT, SERVER, 47, &hdp(TEXT))[..28];
    let bytes = ethernet(0x0800, &administratively_prohibited(quote));
    check("icmp_quote_of_8_bytes", frame(&bytes), &NANOSECONDS);
}

#[test]
fn a_whole_icmp_quote() {
    let quote = ipv4(CLIENT, SERVER, 253, &hdp(TEXT));
    let bytes = ethernet(0x0800, &administratively_prohibited(&quote));
    check("icmp_quote", frame(&bytes), &NANOSECONDS);
}

#[test]
fn a_payload_that_the_snapshot_length_cut() {
    let whole = ethernet(0x0800, &ipv4(CLIENT, SERVER, 132, &hdp(TEXT)));
    let cut = Frame {
        bytes: &whole[..66],
        ..frame(&whole)
    };
    check("cut_by_snapshot_length", cut, &NANOSECONDS);
}

#[test]
fn a_payload_in_base64() {
    let payload = b"V2hhdCBpZiB3ZSBkaWRuJ3QgdXNlIFRDUD8=\n";
    let bytes = ethernet(0x0800, &ipv4(CLIENT, SERVER, 253, &hdp(payload)));
    check("base64", frame(&bytes), &NANOSECONDS);
}

#[test]
fn a_first_fragment() {
    let mut datagram = ipv4(CLIENT, SERVER, 253, &hdp(TEXT));
    // More fragments.
    datagram[6] = 0x20;
    let bytes = ethernet(0x0800, &datagram);
    check("first_fragment", frame(&bytes), &NANOSECONDS);
}

#[test]
fn a_future_timestamp_overheard_in_a_cooked_capture() {
    let cooked = [
        0x08, 0, 0, 0, 0, 0, 0, 3, 0, 1, 3, 6, 2, 0, 0, 0, 0, 1, 0, 0,
    ];
    let bytes = [&cooked[..], &ipv4(CLIENT, SERVER, 6, &hdp(b""))].concat();
    let frame = Frame {
        time_ns: Some(TIME_NS - 1_500_000_000),
        link_type: LinkType::LINUX_SLL2,
        ..frame(&bytes)
    };
    check("overheard_future", frame, &NANOSECONDS);
}

#[test]
fn a_frame_without_a_capture_time() {
    let bytes = ipv4(CLIENT, SERVER, 51, &hdp(&[0, 1, 2, 0xff]));
    let frame = Frame {
        time_ns: None,
        link_type: LinkType::RAW,
        ..frame(&bytes)
    };
    check("no_capture_time", frame, &NANOSECONDS);
}

#[test]
fn names_from_a_capture_reach_no_terminal_unescaped() {
    let interface = Interface {
        name: Some("\u{1b}[31mred".to_owned()),
        link_type: LinkType::EN10MB,
        resolution_ns: 1,
    };
    let bytes = ethernet(0x0800, &ipv4(CLIENT, SERVER, 255, &hdp(b"\x1b[31mred")));
    assert!(!shown(frame(&bytes), &interface).contains('\u{1b}'));
}

#[test]
fn delays_follow_the_resolution_before_they_are_called_the_future() {
    let bytes = ethernet(0x0800, &ipv4(CLIENT, SERVER, 255, &hdp(b"")));
    let early = |by_ns: i64, resolution_ns| {
        let frame = Frame {
            time_ns: Some(HEADER.timestamp_ns.cast_signed() - by_ns),
            ..frame(&bytes)
        };
        let interface = Interface {
            name: None,
            link_type: LinkType::EN10MB,
            resolution_ns,
        };
        shown(frame, &interface).contains("future timestamp")
    };
    assert!(!early(0, 1));
    assert!(!early(999, 1_000));
    assert!(early(999, 1));
}
