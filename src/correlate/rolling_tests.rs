//! Surveying while reading gives what surveying at once gives, however the sightings are handed over.

use std::net::IpAddr;

use proptest::prelude::*;

use super::{Rolling, Survey};
use crate::frames_for_tests::{Ip, Packet};
use crate::{
    decode::{DEFAULT_WINDOW_NS, Decoder},
    judge::{DEFAULT_WAIT_NS, Options, judge},
    observe::{Batch, Disorder, Observer, Point},
    source::{Frame, LinkType, Summary},
};

const START_NS: i64 = 1_795_348_800_000_000_000;
const MILLISECOND: i64 = 1_000_000;

/// A capture time and a raw IP datagram.
type Captured = (i64, Vec<u8>);

/// One packet: when it is sent, its number, how many points it reaches, how much each hop adds.
type Sent = (i64, u8, usize, Vec<i64>);

fn sent(points: usize) -> impl Strategy<Value = Sent> {
    (
        0..400 * MILLISECOND,
        prop::sample::select(vec![0_u8, 6, 17, 50, 132, 253]),
        prop_oneof![3 => Just(points), 2 => 1..=points],
        prop::collection::vec(0..5 * MILLISECOND, points),
    )
}

/// What the points capture, in the order of their times, with some frames captured again later.
fn captures() -> impl Strategy<Value = Vec<Vec<Captured>>> {
    let copied_frame = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        0..30 * MILLISECOND,
    );
    (2_usize..=4).prop_flat_map(move |points| {
        let packets = prop::collection::vec(sent(points), 1..60);
        let copies = prop::collection::vec(copied_frame.clone(), 0..20);
        (packets, copies).prop_map(move |(packets, copies)| {
            let mut captures: Vec<Vec<Captured>> = vec![Vec::new(); points];
            for (id, (at_ns, protocol, reaches, hops)) in (1..).zip(packets) {
                let mut time_ns = START_NS + at_ns;
                let timestamp_ns = time_ns.cast_unsigned();
                for (hop, hop_ns) in (0_u8..).zip(&hops[..reaches]) {
                    time_ns += if hop == 0 { 10_000 } else { 10_000 + hop_ns };
                    captures[usize::from(hop)]
                        .push((time_ns, datagram(protocol, timestamp_ns, hop, id)));
                }
            }
            for (point, frame, later_ns) in copies {
                let frames = &mut captures[point.index(points)];
                if !frames.is_empty() {
                    let (time_ns, bytes) = frames[frame.index(frames.len())].clone();
                    frames.push((time_ns + later_ns, bytes));
                }
            }
            for frames in &mut captures {
                for tick in -50..90 {
                    frames.push((START_NS + tick * 10 * MILLISECOND, echo_request()));
                }
                frames.sort_by_key(|(time_ns, _)| *time_ns);
            }
            captures
        })
    })
}

fn datagram(protocol: u8, timestamp_ns: u64, hop: u8, id: u32) -> Vec<u8> {
    let [client, server]: [IpAddr; 2] = [[10, 77, 1, 2].into(), [10, 77, 2, 2].into()];
    let mut packet = Packet::new(client, server, protocol, timestamp_ns);
    packet.ip.id = id;
    packet.ip.ttl = 64 - hop;
    packet.to_ip()
}

fn echo_request() -> Vec<u8> {
    let ip = Ip::new([10, 77, 1, 2].into(), [10, 77, 2, 2].into(), 1);
    ip.datagram(&[8, 0, 0, 0, 0, 1, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8])
}

fn feed(observer: &mut Observer, number: u64, (time_ns, bytes): &Captured) {
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
    observer.observe(&frame, Decoder::new(DEFAULT_WINDOW_NS).decode(&frame));
}

fn finish(observer: Observer, index: usize) -> Point {
    let name = format!("p{index}");
    observer.finish(name.clone(), name, Summary::default())
}

fn at_once(captures: &[Vec<Captured>]) -> Vec<Point> {
    let points = captures.iter().enumerate().map(|(index, frames)| {
        let mut observer = Observer::default();
        for (number, captured) in (1..).zip(frames) {
            feed(&mut observer, number, captured);
        }
        finish(observer, index)
    });
    points.collect()
}

/// By how many packets that were sent later one was overtaken at most.
fn most_overtaken(frames: &[Captured]) -> usize {
    let timestamps: Vec<u64> = frames
        .iter()
        .filter(|(_, bytes)| *bytes != echo_request())
        .map(|(_, bytes)| u64::from_be_bytes(bytes[24..32].try_into().unwrap()))
        .collect();
    let overtaken =
        |(at, own): (usize, &u64)| timestamps[..at].iter().filter(|other| *other > own).count();
    timestamps
        .iter()
        .enumerate()
        .map(overtaken)
        .max()
        .unwrap_or(0)
}

/// Each point hands over all sightings but `held_back` whenever it has `batch` more.
fn while_reading(
    captures: &[Vec<Captured>],
    batch: usize,
    held_back: usize,
) -> Result<(Vec<Point>, Survey), Disorder> {
    let mut rolling = Rolling::new(captures.len());
    let mut points: Vec<_> = captures
        .iter()
        .map(|frames| (Observer::default(), (1_u64..).zip(frames)))
        .collect();
    while let Some(point) = rolling.slowest() {
        let (observer, frames) = &mut points[point];
        if observer.held() >= batch + held_back {
            let mut full = Batch::default();
            observer.hand_over(held_back, &mut full)?;
            rolling.add(point, &mut full);
        } else if let Some((number, captured)) = frames.next() {
            feed(observer, number, captured);
        } else {
            observer.check_end()?;
            rolling.finish(point, finish(std::mem::take(observer), point));
        }
    }
    Ok(rolling.into_parts())
}

proptest! {
    #[test]
    fn surveying_while_reading_gives_the_same_findings(
        captures in captures(),
        batch in 1..20_usize,
        held_back in 0..20_usize,
    ) {
        let options = Options {
            wait_ns: DEFAULT_WAIT_NS,
            clock_error_ns: None,
            protocols: None,
            witnesses: std::sync::Arc::default(),
        };
        let points = at_once(&captures);
        let expected = judge(&points, Survey::of(&points), &options, None);
        match while_reading(&captures, batch, held_back) {
            Ok((points, survey)) => prop_assert_eq!(expected, judge(&points, survey, &options, None)),
            Err(Disorder) => prop_assert!(
                captures.iter().any(|frames| most_overtaken(frames) > held_back),
                "disorder with {} held back", held_back
            ),
        }
    }
}
