//! Link types that few captures have and mirrors in tunnels: frames byte by byte after the registry of
//! link types, read here and by tshark, and cut at every byte.

use std::{fs, process::Command};

use hdp::decode::Skip;

use super::{
    TIME_NS, cut, decode, packets,
    support::{
        capture::{ByteOrder, Capture, Format},
        frames::{Ip, Packet},
    },
    whole,
};

const MACS: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

/// Name, link type, and the frame around a datagram.
type Case = (&'static str, u16, Vec<u8>);

fn ether_type(packet: &Packet) -> [u8; 2] {
    if packet.ip.src.is_ipv4() {
        [8, 0]
    } else {
        [0x86, 0xdd]
    }
}

fn ethernet(packet: &Packet) -> Vec<u8> {
    [&MACS[..], &ether_type(packet), &packet.to_ip()].concat()
}

fn wifi(control: [u8; 2], packet: &Packet) -> Vec<u8> {
    let mut frame = vec![control[0], control[1], 0, 0];
    frame.extend([2; 18]);
    frame.extend([0, 0]);
    if control[1] & 3 == 3 {
        frame.extend([2; 6]);
    }
    if control[0] & 0x80 != 0 {
        frame.extend([0, 0]);
    }
    frame.extend([0xaa, 0xaa, 3, 0, 0, 0]);
    frame.extend(ether_type(packet));
    frame.extend(packet.to_ip());
    frame
}

fn nflog(packet: &Packet, prefix: &str) -> Vec<u8> {
    let datagram = packet.to_ip();
    let mut frame = vec![if packet.ip.src.is_ipv4() { 2 } else { 10 }, 0, 0, 5];
    let mut attribute = |kind: u16, value: &[u8]| {
        frame.extend(u16::try_from(value.len() + 4).unwrap().to_le_bytes());
        frame.extend(kind.to_le_bytes());
        frame.extend(value);
        frame.resize(frame.len().next_multiple_of(4), 0);
    };
    attribute(1, &[8, 0, 2, 0]);
    attribute(10, format!("{prefix}\0").as_bytes());
    attribute(4, &[0, 0, 0, 7]);
    attribute(9, &datagram);
    frame
}

fn in_ip(packet: &Packet, protocol: u8, tunnel: &[u8]) -> Vec<u8> {
    let mut outer = Ip::new(packet.ip.src, packet.ip.dst, protocol);
    outer.ttl = 61;
    [&MACS[..], &ether_type(packet), &outer.datagram(tunnel)].concat()
}

#[expect(clippy::too_many_lines, reason = "a line or two for each case")]
fn cases(packet: &Packet) -> Vec<Case> {
    let datagram = packet.to_ip();
    let around = |before: &[u8], inner: &[u8]| [before, inner].concat();
    let tagged = |tag: &[u8]| [&MACS[..], tag, &ether_type(packet), &datagram].concat();
    let mirrored = ethernet(packet);
    let gre = |header: &[u8]| in_ip(packet, 47, &around(header, &mirrored));
    let tzsp = |header: &[u8], frame: &[u8]| {
        let len = u16::try_from(8 + header.len() + frame.len()).unwrap();
        let mut udp = 50_000_u16.to_be_bytes().to_vec();
        udp.extend(37_008_u16.to_be_bytes());
        udp.extend(len.to_be_bytes());
        udp.extend([0, 0]);
        in_ip(packet, 17, &[&udp, header, frame].concat())
    };
    let family = if packet.ip.src.is_ipv4() { 2 } else { 10 };
    let ppp: &[u8] = if packet.ip.src.is_ipv4() {
        &[0, 0x21]
    } else {
        &[0, 0x57]
    };
    let mut ipnet = vec![1, family, 0, 0];
    ipnet.extend([0; 20]);
    let radiotap = [0, 0, 9, 0, 2, 0, 0, 0, 0];
    vec![
        ("NFLOG", 239, nflog(packet, "no-253 ")),
        ("Broadcom tag", 281, tagged(&[0x20, 0, 0, 1])),
        (
            "Broadcom tag before all",
            282,
            around(&[0x20, 0, 0, 1], &mirrored),
        ),
        ("Marvell tag", 284, tagged(&[0xc0, 0x20, 0, 1])),
        (
            "Marvell EtherType",
            285,
            tagged(&[0xda, 0xda, 0, 0, 0xc0, 0x20, 0, 1]),
        ),
        (
            "Cisco HDLC",
            104,
            [&[0x0f, 0][..], &ether_type(packet), &datagram].concat(),
        ),
        ("Juniper Ethernet", 178, around(b"MGC\x01", &mirrored)),
        (
            "Juniper with extensions",
            178,
            around(b"MGC\x81\0\x06\x01\x01\x01\x02\x01\x0a", &mirrored),
        ),
        (
            "Juniper without a link layer",
            178,
            around(&[b'M', b'G', b'C', 2, family, 0, 0, 0], &datagram),
        ),
        (
            "Juniper PPP",
            179,
            [&b"MGC\x01"[..], ppp, &datagram].concat(),
        ),
        ("IPNET", 226, around(&ipnet, &datagram)),
        ("802.11", 105, wifi([0x08, 1], packet)),
        (
            "802.11 QoS between access points",
            105,
            wifi([0x88, 3], packet),
        ),
        ("radiotap", 127, around(&radiotap, &wifi([0x88, 2], packet))),
        (
            "PPI around 802.11",
            192,
            around(&[0, 0, 8, 0, 105, 0, 0, 0], &wifi([0x08, 2], packet)),
        ),
        (
            "PPI around Ethernet",
            192,
            around(&[0, 0, 8, 0, 1, 0, 0, 0], &mirrored),
        ),
        ("ERSPAN I", 1, gre(&[0, 0, 0x88, 0xbe])),
        (
            "ERSPAN II",
            1,
            gre(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 1, 0, 1, 0, 0, 0, 0]),
        ),
        (
            "ERSPAN III",
            1,
            gre(&[
                0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0,
            ]),
        ),
        (
            "ERSPAN III with a subheader",
            1,
            gre(&[
                0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0,
                0, 0, 0, 0,
            ]),
        ),
        ("TZSP", 1, tzsp(&[1, 0, 0, 1, 1], &mirrored)),
        (
            "TZSP with tags",
            1,
            tzsp(&[1, 0, 0, 1, 0, 10, 1, 5, 1], &mirrored),
        ),
    ]
}

#[test]
fn hdp_is_found_behind_each_of_them() {
    for protocol in [6, 50, 253] {
        for packet in packets(protocol, 33) {
            for (name, link_type, frame) in cases(&packet) {
                let decoded = decode(&whole(link_type, &frame));
                let datagram = decoded.unwrap_or_else(|skip| panic!("{name}: {skip}"));
                assert_eq!(
                    (datagram.protocol, datagram.ttl),
                    (protocol, packet.ip.ttl),
                    "{name}"
                );
                assert_eq!(datagram.source, packet.ip.src, "{name}");
                assert_eq!(
                    datagram.header.ports(),
                    (packet.srcport, packet.dstport),
                    "{name}"
                );
                assert_eq!(datagram.payload, packet.payload, "{name}");
            }
        }
    }
}

#[test]
fn cut_at_every_byte_they_are_cut_short_or_not_hdp() {
    for packet in packets(253, 4) {
        for (name, link_type, frame) in cases(&packet) {
            let hdp_end = frame.len() - packet.payload.len();
            for len in 0..hdp_end {
                let decoded = decode(&cut(&whole(link_type, &frame), len));
                assert!(decoded.is_err(), "{name} cut to {len}: {decoded:?}");
            }
        }
    }
}

#[test]
fn what_holds_no_ip_is_no_fault() {
    let [packet, _] = packets(253, 33);
    let encrypted = wifi([0x08, 0x41], &packet);
    let beacon = [&[0x80, 0][..], &[0; 60]].concat();
    let no_payload = [2, 0, 0, 5, 8, 0, 1, 0, 8, 0, 2, 0];
    for (link_type, frame) in [(105, &encrypted[..]), (105, &beacon), (239, &no_payload)] {
        assert_eq!(decode(&whole(link_type, frame)).unwrap_err(), Skip::NotIp);
    }
}

/// What tshark makes of the same frames. It knows no switch tags in these versions, nor IPNET's families.
#[test]
fn tshark_finds_the_same_number_in_them() {
    let folder = tempfile::tempdir().unwrap();
    let [packet, _] = packets(253, 33);
    let mut compared = 0;
    for (name, link_type, frame) in cases(&packet) {
        let mut capture = Capture::new(link_type);
        capture.push(TIME_NS, frame);
        let file = folder.path().join("one.pcap");
        fs::write(
            &file,
            capture.to_bytes(Format::Pcap {
                order: ByteOrder::Little,
                nanoseconds: true,
            }),
        )
        .unwrap();
        let mut tshark = Command::new("tshark");
        tshark.env("HOME", folder.path());
        tshark.args([
            "-n",
            "-T",
            "fields",
            "-E",
            "occurrence=l",
            "-e",
            "ip.proto",
            "-e",
            "ip.ttl",
            "-r",
        ]);
        let Ok(output) = tshark.arg(&file).output() else {
            eprintln!("skipped: no tshark");
            return;
        };
        let text = String::from_utf8(output.stdout).unwrap();
        if text.trim().is_empty() {
            println!("{name}: unknown to tshark");
            continue;
        }
        assert_eq!(text.trim(), format!("253\t{}", packet.ip.ttl), "{name}");
        compared += 1;
    }
    assert!(compared >= 12, "{compared}");
}
