//! `hdp path` as a user runs it: on capture files, with findings as JSON.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use hdp::findings::{Carrier, Findings, Point, Protocol};

use super::support::{
    capture::{ByteOrder, Capture, Format, OwnedFrame, PacketBlock, Packing},
    scene::{Captured, MILLISECOND, Scene, Sent},
};

pub(super) const SECOND: i64 = 1_000 * MILLISECOND;

/// pcapng in nanoseconds.
pub(super) const PCAPNG: Format = Format::Pcapng {
    order: ByteOrder::Little,
    block: PacketBlock::Enhanced,
};

/// The binary's findings on these captures, which are given the names in path order. Frames need
/// no order.
pub(super) fn findings(points: &[(&str, &Capture)]) -> Findings {
    findings_with(&[], points)
}

/// The same with further arguments.
pub(super) fn findings_with(options: &[&str], points: &[(&str, &Capture)]) -> Findings {
    let folder = tempfile::tempdir().unwrap();
    for (name, capture) in points {
        let mut capture = (*capture).clone();
        capture.frames.sort_by_key(|frame| frame.time_ns);
        capture.write(&folder.path().join(name), PCAPNG, Packing::Plain);
    }
    let names: Vec<&str> = points.iter().map(|(name, _)| *name).collect();
    let findings = run(folder.path(), &names, options);
    // What is reported packet by packet is what was surveyed while reading.
    let options = [options, &["--packets", "packets.jsonl"]].concat();
    assert_eq!(findings, run(folder.path(), &names, &options));
    findings
}

/// The binary's findings on files in this folder.
pub(super) fn run(folder: &Path, names: &[&str], options: &[&str]) -> Findings {
    let options = [&["--format", "json"], options].concat();
    serde_json::from_str(&print(folder, names, &options)).unwrap()
}

/// What the binary prints of files in this folder.
pub(super) fn print(folder: &Path, names: &[&str], options: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_hdp"))
        .current_dir(folder)
        .arg("path")
        .args(options)
        .args(names)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A folder of recorded captures.
pub(super) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

/// A recorded capture.
pub(super) fn recorded(scenario: &str, file: &str) -> Capture {
    Capture::read(&fixture(scenario).join(file))
}

/// The protocol number of an IPv4 datagram on Ethernet or SLL2.
pub(super) fn number_in(capture: &Capture, frame: &OwnedFrame) -> Option<u8> {
    let ip = match capture.interfaces[frame.interface as usize].link_type {
        1 => 14,
        276 => 20,
        other => panic!("link type {other}"),
    };
    (frame.bytes.get(ip) == Some(&0x45)).then(|| frame.bytes[ip + 9])
}

/// The capture without the datagrams of a number.
pub(super) fn without(capture: &Capture, number: u8) -> Capture {
    let mut rest = capture.clone();
    rest.frames
        .retain(|frame| number_in(capture, frame) != Some(number));
    assert!(rest.frames.len() < capture.frames.len());
    rest
}

/// The point of that name.
pub(super) fn point<'a>(findings: &'a Findings, name: &str) -> &'a Point {
    let mut points = findings.points.iter();
    points.find(|point| point.name == name).unwrap()
}

/// Names of all points.
pub(super) fn names(findings: &Findings) -> Vec<&str> {
    let points = findings.points.iter();
    points.map(|point| point.name.as_str()).collect()
}

/// What became of a number straight on IP.
pub(super) fn number(findings: &Findings, direction: usize, number: u16) -> &Protocol {
    let mut all = findings.directions[direction].protocols.iter();
    all.find(|p| p.protocol == number && p.carrier == Carrier::Ip)
        .unwrap_or_else(|| panic!("no packet of {number}"))
}

/// Between which points the packets of a number were lost.
pub(super) fn lost_at(protocol: &Protocol) -> Vec<(&str, &str, u64)> {
    let lost_at = protocol.lost_at.iter();
    lost_at
        .map(|lost| (lost.from.as_str(), lost.to.as_str(), lost.count))
        .collect()
}

/// All packets that were lost, of any number, either way.
pub(super) fn lost(findings: &Findings) -> u64 {
    let protocols = findings.directions.iter().flat_map(|d| &d.protocols);
    protocols.map(|protocol| protocol.lost).sum()
}

/// Whether a warning has these words.
pub(super) fn warns(findings: &Findings, words: &str) -> bool {
    let mut warnings = findings.warnings.iter();
    warnings.any(|warning| warning.to_string().contains(words))
}

// --- Made up -------------------------------------------------------------------------------------

/// A packet that reaches so many points, a millisecond from each to the next.
pub(super) fn sent(at_ns: i64, protocol: u8, reaches: usize) -> Sent {
    Sent {
        at_ns,
        protocol,
        is_reply: false,
        reaches,
        delays_ns: (0..4).map(|hop| 10_000 + hop * MILLISECOND).collect(),
        payload: b"payload".to_vec(),
    }
}

/// What a path of so many points captures of these packets and of so many milliseconds of packets
/// under 253 that arrive, one every 20 ms; and an echo request every 10 ms.
pub(super) fn scene(points: usize, length_ms: i64, packets: &[Sent]) -> Vec<Capture> {
    let regular = (0..length_ms / 20).map(|n| sent(n * 20 * MILLISECOND, 253, points));
    let scene = Scene {
        clocks_ns: vec![0; points],
        packets: regular.chain(packets.iter().cloned()).collect(),
        length_ns: length_ms * MILLISECOND,
    };
    scene.frames().iter().map(capture).collect()
}

/// Raw IP datagrams as a capture.
#[allow(clippy::ptr_arg, reason = "mapped over what a scene gives")]
pub(super) fn capture(frames: &Vec<Captured>) -> Capture {
    let mut capture = Capture::new(101);
    for (time_ns, bytes) in frames {
        capture.push(*time_ns, bytes.clone());
    }
    capture
}

/// The findings on captures called `p0`, `p1` ...
pub(super) fn judged(captures: &[Capture]) -> Findings {
    judged_with(&[], captures)
}

/// The same with further arguments.
pub(super) fn judged_with(options: &[&str], captures: &[Capture]) -> Findings {
    let named: Vec<_> = ["p0", "p1", "p2", "p3"].into_iter().zip(captures).collect();
    findings_with(options, &named)
}

/// Whether a frame of a scene holds this packet.
pub(super) fn holds(frame: &OwnedFrame, sent: &Sent) -> bool {
    frame.bytes.get(24..32) == Some(&sent.key().0.to_be_bytes()) && frame.bytes[9] == sent.protocol
}

/// Changes the one frame that holds this packet.
pub(super) fn edit(capture: &mut Capture, sent: &Sent, change: impl FnOnce(&mut OwnedFrame)) {
    let mut frames = capture.frames.iter_mut();
    change(frames.find(|frame| holds(frame, sent)).unwrap());
    assert!(!frames.any(|frame| holds(frame, sent)));
}
