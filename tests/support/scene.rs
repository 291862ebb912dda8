//! Scenes: packets on a path whose truth is known, as frames at each point.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use hdp::{
    findings::{Fate, Findings, Packet as PacketFindings, Warning},
    path::{self, Memory, Options, Points, Room, Window},
    source::{Frame, LinkType, Summary},
};
use proptest::{prelude::*, sample::Index};
use tempfile::TempDir;

use super::{
    capture::{ByteOrder, Capture, Format, Packing},
    frames::{Ip, Packet},
};

/// When scenes begin: 2026-11-22T12:00:00Z, ns since the epoch.
pub const START_NS: i64 = 1_795_348_800_000_000_000;

pub const MILLISECOND: i64 = 1_000_000;

/// A frame at a point: its capture time there and a raw IP datagram.
pub type Captured = (i64, Vec<u8>);

/// One packet and its truth.
#[derive(Debug, Clone)]
pub struct Sent {
    /// After the scene's start.
    pub at_ns: i64,
    pub protocol: u8,
    /// Against the order of the points.
    pub is_reply: bool,
    /// How many points see it, counted from its sender's end.
    pub reaches: usize,
    /// From its sending to each point it reaches, in the order it reaches them.
    pub delays_ns: Vec<i64>,
    pub payload: Vec<u8>,
}

impl Sent {
    /// Identity in the findings.
    pub fn key(&self) -> (u64, u8) {
        ((START_NS + self.at_ns).cast_unsigned(), self.protocol)
    }
}

/// A path with what was sent along it.
#[derive(Debug, Clone)]
pub struct Scene {
    /// What each point's clock shows more than the senders'.
    pub clocks_ns: Vec<i64>,
    pub packets: Vec<Sent>,
    /// From the first packet's sending to the last one's.
    pub length_ns: i64,
}

impl Scene {
    /// Everything that each point captures: the packets, and an echo request every 10 ms from
    /// half a second before to half a second after.
    pub fn frames(&self) -> Vec<Vec<Captured>> {
        let points = self.clocks_ns.len();
        let mut frames = vec![Vec::new(); points];
        for (id, sent) in (1..).zip(&self.packets) {
            for hop in 0..sent.reaches {
                let point = if sent.is_reply { points - 1 - hop } else { hop };
                let time = START_NS + sent.at_ns + sent.delays_ns[hop] + self.clocks_ns[point];
                frames[point].push((time, datagram(sent, hop, id)));
            }
        }
        for (point, frames) in frames.iter_mut().enumerate() {
            let mut at = -500 * MILLISECOND;
            while at < self.length_ns + 500 * MILLISECOND {
                frames.push((START_NS + at + self.clocks_ns[point], echo_request()));
                at += 10 * MILLISECOND;
            }
            frames.sort_by_key(|(time, _)| *time);
        }
        frames
    }
}

fn datagram(sent: &Sent, hop: usize, id: u32) -> Vec<u8> {
    let [client, server]: [IpAddr; 2] = [[10, 77, 1, 2].into(), [10, 77, 2, 2].into()];
    let (src, dst) = if sent.is_reply {
        (server, client)
    } else {
        (client, server)
    };
    let mut packet = Packet::new(src, dst, sent.protocol, sent.key().0);
    packet.ip.id = id;
    packet.ip.ttl = 64 - u8::try_from(hop).unwrap();
    packet.payload.clone_from(&sent.payload);
    packet.to_ip()
}

fn echo_request() -> Vec<u8> {
    let ip = Ip::new([10, 77, 1, 2].into(), [10, 77, 2, 2].into(), 1);
    ip.datagram(&[8, 0, 0, 0, 0, 1, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8])
}

/// The points' captures as files, called `p0`, `p1` ...
pub struct Files {
    folder: TempDir,
    pub points: Points,
}

impl Files {
    /// Writes what the points captured.
    pub fn of(captures: &[Vec<Captured>]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let written = captures.iter().enumerate().map(|(index, frames)| {
            let mut capture = Capture::new(101);
            for (time_ns, bytes) in frames {
                capture.push(*time_ns, bytes.clone());
            }
            let file = folder.path().join(format!("p{index}"));
            let format = Format::Pcap {
                order: ByteOrder::Little,
                nanoseconds: true,
            };
            capture.write(&file, format, Packing::Plain);
            file.to_str().unwrap().to_owned()
        });
        let files: Vec<String> = written.collect();
        Self {
            points: path::points(&files).unwrap(),
            folder,
        }
    }

    /// Findings as if the files lay in the current folder.
    fn without_folder(&self, mut findings: Findings) -> Findings {
        let folder = format!("{}/", self.folder.path().display());
        findings.inputs.clear();
        let points = findings.points.iter_mut().map(|point| &mut point.source);
        let warnings = findings.warnings.iter_mut().flat_map(sources);
        for source in points.chain(warnings) {
            *source = source.replace(&folder, "");
        }
        findings
    }
}

/// The sources that a warning names.
pub fn sources(warning: &mut Warning) -> impl Iterator<Item = &mut String> {
    let order = match warning {
        Warning::Misplaced { order, .. } => order.as_mut_slice(),
        _ => &mut [],
    };
    order.iter_mut().map(|named| &mut named.source)
}

/// The findings on captures, without what files were read from.
pub fn findings(captures: &[Vec<Captured>], options: &Options) -> Findings {
    let files = Files::of(captures);
    files.without_folder(path::findings(&files.points, options).unwrap())
}

/// The findings of a window that is given each point's frames in turn, so many at a time as `by`
/// says, and asked for its findings on the way.
pub fn findings_bounded(captures: &[Vec<Captured>], room: Room, by: &[usize]) -> Findings {
    let names = (0..captures.len()).map(|index| format!("p{index}"));
    let options = Options {
        memory: Memory::Bounded(room),
        ..Options::default()
    };
    let window = Window::new(names, &options);
    let summary = Summary {
        link_types: vec![LinkType::RAW],
        resolution_ns: Some(1),
        ..Summary::default()
    };
    for point in 0..captures.len() {
        window.attest(point, &summary);
    }
    let mut left: Vec<(u64, &[Captured])> = captures
        .iter()
        .map(|frames| (1, frames.as_slice()))
        .collect();
    for (turn, count) in (0..).zip(by.iter().cycle()) {
        if left.iter().all(|(_, frames)| frames.is_empty()) {
            break;
        }
        let point = turn % captures.len();
        let (number, frames) = &mut left[point];
        let (now, later) = frames.split_at(frames.len().min(count % 50 + 1));
        if now.is_empty() {
            continue;
        }
        for captured in now {
            window.frame(point, &frame(*number, captured));
            *number += 1;
        }
        *frames = later;
        if later.is_empty() {
            window.finish(point);
        }
        if turn % 7 == 0 {
            let _ = window.snapshot();
        }
    }
    let mut findings = window.snapshot();
    findings.inputs.clear();
    findings
}

/// What a point captured, as a frame.
pub fn frame(number: u64, (time_ns, bytes): &Captured) -> Frame<'_> {
    Frame {
        number,
        time_ns: Some(*time_ns),
        link_type: LinkType::RAW,
        interface: 0,
        direction: None,
        original_len: u32::try_from(bytes.len()).unwrap(),
        bytes,
    }
}

/// A packet's fate, and between which points it was lost.
pub type Verdict = (Fate, Option<[Arc<str>; 2]>);

/// The findings, and every packet's fate by timestamp and number.
pub fn judged(captures: &[Vec<Captured>]) -> (Findings, BTreeMap<(u64, u8), Vec<Verdict>>) {
    let mut fates: BTreeMap<_, Vec<Verdict>> = BTreeMap::new();
    let note = |packet: &PacketFindings| {
        let fate = (packet.fate, packet.lost_at.clone());
        fates
            .entry((packet.timestamp_ns, packet.protocol))
            .or_default()
            .push(fate);
    };
    let files = Files::of(captures);
    let findings = path::packets(&files.points, &Options::default(), note).unwrap();
    let findings = files.without_folder(findings);
    for protocol in findings
        .directions
        .iter()
        .flat_map(|direction| &direction.protocols)
    {
        let p = protocol;
        assert_eq!(
            p.packets,
            p.delivered + p.lost + p.edge + p.late + p.ambiguous + p.expired,
            "the fates of protocol {} do not add up",
            p.protocol
        );
    }
    (findings, fates)
}

/// Scenes of 2 to 4 points, clocks off by up to an hour, delays with up to 5 ms of jitter a hop,
/// traffic both ways, losses in any segment.
pub fn scenes() -> impl Strategy<Value = Scene> {
    (2_usize..=4).prop_flat_map(|points| {
        let hour = 3_600_000 * MILLISECOND;
        let clocks = prop::collection::vec(-hour..hour, points);
        let packets = prop::collection::vec(packet(points), 1..60);
        (clocks, packets).prop_map(|(clocks_ns, mut packets)| {
            packets.sort_by_key(|sent| sent.at_ns);
            // One sender writes no timestamp twice.
            packets.dedup_by_key(|sent| sent.at_ns);
            Scene {
                clocks_ns,
                packets,
                length_ns: 400 * MILLISECOND,
            }
        })
    })
}

fn packet(points: usize) -> impl Strategy<Value = Sent> {
    let hops = prop::collection::vec((10_000..20_000_i64, 0..5 * MILLISECOND), points);
    (
        0..400 * MILLISECOND,
        prop::sample::select(vec![0_u8, 1, 6, 17, 47, 50, 51, 132, 253, 255]),
        prop::bool::weighted(0.2),
        prop_oneof![3 => Just(points), 2 => 1..=points],
        hops,
        prop::collection::vec(any::<u8>(), 0..90),
    )
        .prop_map(|(at_ns, protocol, is_reply, reaches, hops, payload)| {
            let delays_ns = hops
                .iter()
                .enumerate()
                .scan(0, |sum, (hop, (fixed, jitter))| {
                    // The sender's own capture is microseconds away.
                    *sum += if hop == 0 { *fixed } else { *fixed + *jitter };
                    Some(*sum)
                })
                .collect();
            Sent {
                at_ns,
                protocol,
                is_reply,
                reaches,
                delays_ns,
                payload,
            }
        })
}

/// A frame that a point captures again: which point, which frame, how much later.
pub type Copied = (Index, Index, i64);

pub fn copied() -> impl Strategy<Value = Copied> {
    (any::<Index>(), any::<Index>(), 0..30 * MILLISECOND)
}

pub fn copy(captures: &mut [Vec<Captured>], copies: &[Copied]) {
    let points = captures.len();
    for (point, frame, later) in copies {
        let frames = &mut captures[point.index(points)];
        let (time, bytes) = frames[frame.index(frames.len())].clone();
        frames.push((time + later, bytes));
    }
    for frames in captures {
        frames.sort_by_key(|(time, _)| *time);
    }
}
