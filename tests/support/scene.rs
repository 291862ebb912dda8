//! Scenes: packets on a path whose truth is known, as frames at each point.

use std::{collections::BTreeMap, net::IpAddr};

use hdp::{
    correlate::{Rolling, Survey},
    decode::{DEFAULT_WINDOW_NS, Decoder},
    findings::{Fate, Findings, Packet as PacketFindings},
    judge::{self, DEFAULT_WAIT_NS, judge},
    observe::{Batch, Disorder, Observer, Point},
    session::{Label, Room, Session},
    source::{Frame, LinkType, Summary},
};

use super::frames::{Ip, Packet};

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

/// What the points make of their frames, named `p0`, `p1` ...
pub fn observe(captures: &[Vec<Captured>]) -> Vec<Point> {
    captures
        .iter()
        .enumerate()
        .map(|(index, frames)| {
            let mut observer = Observer::default();
            feed(&mut observer, 1, frames);
            finish(observer, index)
        })
        .collect()
}

/// The same in a rolling survey: each point hands over all sightings but `held_back` whenever it
/// has `batch` more.
pub fn observe_rolling(
    captures: &[Vec<Captured>],
    batch: usize,
    held_back: usize,
) -> Result<(Vec<Point>, Survey), Disorder> {
    let mut rolling = Rolling::new(captures.len());
    let mut points: Vec<_> = captures
        .iter()
        .map(|frames| (Observer::default(), 1, frames.as_slice()))
        .collect();
    while let Some(point) = rolling.slowest() {
        let (observer, number, frames) = &mut points[point];
        if observer.held() >= batch + held_back {
            let mut full = Batch::default();
            observer.hand_over(held_back, &mut full)?;
            rolling.add(point, &mut full);
        } else if let Some((next, rest)) = frames.split_first() {
            feed(observer, *number, std::slice::from_ref(next));
            (*number, *frames) = (*number + 1, rest);
        } else {
            observer.check_end()?;
            rolling.finish(point, finish(std::mem::take(observer), point));
        }
    }
    Ok(rolling.into_parts())
}

/// The findings of a session that is told of each point's frames in turn, so many at a time as `by`
/// says, and asked for its findings on the way.
pub fn findings_bounded(
    captures: &[Vec<Captured>],
    options: judge::Options,
    room: Room,
    by: &[usize],
) -> Findings {
    let label = |index| {
        let name = format!("p{index}");
        Label {
            name: name.clone(),
            source: name,
        }
    };
    let session = Session::new((0..captures.len()).map(label).collect(), options, room);
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
        let ((), is_enough) = session.watch(point, |observer| feed(observer, *number, now));
        if is_enough {
            session.advance(point, false);
        }
        *number += now.len() as u64;
        *frames = later;
        if later.is_empty() {
            session.finish(point, Summary::default());
        }
        if turn % 7 == 0 {
            let _ = session.snapshot();
        }
    }
    session.snapshot()
}

fn feed(observer: &mut Observer, first_number: u64, frames: &[Captured]) {
    let mut decoder = Decoder::new(DEFAULT_WINDOW_NS);
    for (number, (time_ns, bytes)) in (first_number..).zip(frames) {
        let frame = Frame {
            number,
            time_ns: Some(*time_ns),
            link_type: LinkType::RAW,
            interface: 0,
            direction: None,
            original_len: u32::try_from(bytes.len()).unwrap(),
            bytes,
        };
        observer.watch(&frame);
        observer.observe(&frame, decoder.decode(&frame));
    }
}

fn finish(observer: Observer, index: usize) -> Point {
    let name = format!("p{index}");
    observer.finish(name.clone(), name, Summary::default())
}

/// The findings of what was surveyed.
pub fn findings(points: &[Point], survey: Survey) -> Findings {
    judge(points, survey, &OPTIONS, None)
}

/// What scenes are judged by.
pub const OPTIONS: judge::Options = judge::Options {
    wait_ns: DEFAULT_WAIT_NS,
    clock_error_ns: None,
    protocols: None,
};

/// A packet's fate, and between which points it was lost.
pub type Verdict = (Fate, Option<[String; 2]>);

/// The findings, and every packet's fate by timestamp and number.
pub fn judged(points: &[Point]) -> (Findings, BTreeMap<(u64, u8), Vec<Verdict>>) {
    let mut fates: BTreeMap<_, Vec<Verdict>> = BTreeMap::new();
    let mut note = |packet: &PacketFindings| {
        let fate = (packet.fate, packet.lost_at.clone());
        fates
            .entry((packet.timestamp_ns, packet.protocol))
            .or_default()
            .push(fate);
    };
    let findings = judge(points, Survey::of(points), &OPTIONS, Some(&mut note));
    for protocol in findings
        .directions
        .iter()
        .flat_map(|direction| &direction.protocols)
    {
        let p = protocol;
        assert_eq!(
            p.packets,
            p.delivered + p.lost + p.edge + p.late + p.ambiguous,
            "the fates of protocol {} do not add up",
            p.protocol
        );
    }
    (findings, fates)
}
