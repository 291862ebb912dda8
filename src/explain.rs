//! Explanation: the life of one packet, from what was judged of it and from its bytes.
//!
//! The fates are those of `judge`, and nothing is judged here again: a `Witness` sees
//! every packet that `judge` reports and keeps the one that is asked for. Captures hold far more
//! bytes than can be kept, so those of its frames come from a second reading. What cannot be read
//! twice (a pipe, an interface) and what has no bytes (a log) is told without.
//!
//! [`Explanation`] serializes to the object that `hdp path --explain … --format json` prints: times
//! are integers in nanoseconds since the epoch, each on the clock of its point, and unknown is
//! `null`.

mod check;
mod diff;
mod reread;
mod witness;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use check::Check;
pub use diff::{ChangedBytes, FieldChange};
pub use reread::Unseen;
pub(crate) use witness::{Wanted, Witness};

use crate::{
    decode::{Dates, HeaderView, PacketType, icmp_meaning},
    dissect::digits,
    findings::{Clock, ClockMethod, DelayReference, Findings, Packet, PointKind, Warning},
    observe::{Flow, Point, Sighting},
    protocols::{self, Carrier},
    source::{Packing, Source},
};

use check::Search;
use reread::Trace;

/// Of packets, of sightings of one at one point and of ICMP errors about one no more are told: whoever
/// sends under one timestamp again and again is told by a hundred as by a million.
pub const MOST_TOLD: usize = 100;

/// What became of the packets that were asked for, and how that shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// As of the findings.
    pub schema_version: u32,
    /// `hdp X.Y.Z`.
    pub generator: String,
    /// What was asked for, as typed.
    pub asked: String,
    /// Several where a timestamp occurs in several packets; [`MOST_TOLD`] at the most.
    pub packets: Vec<Life>,
    /// So many more have that timestamp.
    pub untold: u64,
    /// What a reader must know before trusting the rest. JSON has it in words too, as `warnings`.
    #[serde(rename = "warnings_typed")]
    pub warnings: Vec<Warning>,
}

/// The life of one packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Life {
    /// What `--packets` says of it.
    #[serde(flatten)]
    pub packet: Packet,
    /// IANA's keyword of its number, or null.
    pub keyword: Option<String>,
    /// The points along its way, those that did not see it too.
    pub stations: Vec<Station>,
    /// Of a packet that was not seen where it was expected: those sent next before and after it
    /// that were.
    pub neighbours: Option<[Option<Neighbour>; 2]>,
    /// ICMP errors that quote it; [`MOST_TOLD`] at the most.
    pub icmp: Vec<IcmpError>,
    /// So many more errors quote it.
    pub icmp_untold: u64,
    /// What became of its fields, along its way.
    pub changes: Vec<FieldChange>,
    /// How to check what each capture and log holds of it without this program.
    pub checks: Vec<Check>,
}

/// A point on a packet's way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Station {
    /// Its name.
    pub point: String,
    /// What kind of record it is.
    pub kind: PointKind,
    /// Whether the bytes were read from the source again; they cannot be from a pipe, and a log
    /// has none.
    pub read_again: bool,
    /// When it began to record, on its own clock.
    pub first_ns: Option<i64>,
    /// When it ended.
    pub last_ns: Option<i64>,
    /// When it recorded nothing in between, though it should have.
    pub gaps: Vec<[i64; 2]>,
    /// Each time it saw the packet, in the order of its record; [`MOST_TOLD`] at the most.
    pub sightings: Vec<StationSighting>,
    /// So many more times it saw the packet.
    pub untold: u64,
}

/// One time that a point saw a packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StationSighting {
    /// Frame number in the capture, line number in a log.
    pub frame: u64,
    /// Capture time on the point's own clock.
    pub time_ns: i64,
    /// Time since the sighting before; null for the first one and where that is unknown.
    pub delay: Option<SightingDelay>,
    /// The interface, where the capture names it; `#3` is the index that it had on its host.
    pub interface: Option<String>,
    /// How the packet met the point's host, where the record tells.
    pub stage: Option<StageName>,
    /// Source address.
    pub src: String,
    /// Destination address.
    pub dst: String,
    /// TTL or hop limit; null in a log that does not tell it.
    pub ttl: Option<u8>,
    /// Seen at the same place inside the host before: a copy.
    pub duplicate: bool,
    /// The datagram from its IP header on, as far as it was captured, in hexadecimal.
    pub bytes: Option<String>,
}

/// How a packet met a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StageName {
    /// It came in.
    In,
    /// It went out.
    Out,
}

/// The time between two sightings of a packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SightingDelay {
    /// In nanoseconds, never negative.
    pub ns: u64,
    /// Whether both times are of one clock; if not, the delay is that beyond the fastest packet's.
    pub reference: DelayReference,
    /// The sighting before.
    pub since: Place,
    /// Of how many packets the fastest is the fastest; null for one clock.
    pub packets: Option<u64>,
}

/// A frame of a capture or a line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The point.
    pub point: String,
    /// Frame or line number.
    pub frame: u64,
}

/// Another packet, seen at both ends of the stretch where the one in question was lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Neighbour {
    /// Its timestamp.
    pub timestamp_ns: u64,
    /// Its number on the wire.
    pub protocol: u8,
    /// What HDP rode on.
    pub carrier: Carrier,
    /// Where it was seen.
    pub seen: [Place; 2],
}

/// An ICMP error that quotes a packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IcmpError {
    /// The point that saw the error; of a host's two sides, their capture.
    pub point: String,
    /// Its frame there.
    pub frame: u64,
    /// When, on that point's clock.
    pub time_ns: Option<i64>,
    /// Who sent it.
    pub from: String,
    /// ICMP or `ICMPv6` type.
    #[serde(rename = "type")]
    pub icmp_type: u8,
    /// Code within the type.
    pub code: u8,
    /// The two in words.
    pub meaning: String,
    /// Whether it quotes the whole timestamp. An upper half alone is that of all packets sent
    /// within 4.29 s.
    pub exact: bool,
}

/// What the source of a point still gives after it was read to its end.
pub(crate) enum Reread {
    /// A capture in a file, from its beginning.
    Capture(Box<Source>, Packing),
    /// A log in a file.
    Log(Packing),
    /// Nothing: a pipe.
    Nothing,
}

/// What an explanation is made from.
pub(crate) struct Material<'a> {
    /// The points, in path order, with all their sightings.
    pub points: &'a [Point],
    /// What was judged of them.
    pub findings: &'a Findings,
    /// Who saw every packet of that judgement.
    pub witness: &'a Witness<'a>,
    /// What the points' sources still give.
    pub sources: &'a mut [Reread],
    /// The decoder's window, in nanoseconds.
    pub dates: Dates,
}

/// Finds the sighting of a frame or line of a point; `None` where it is no HDP packet's.
#[must_use]
pub(crate) fn sighting(point: &Point, frame: u64) -> Option<&Sighting> {
    point
        .sightings
        .iter()
        .find(|sighting| u64::from(sighting.frame) == frame)
}

/// What a point saw with this timestamp.
fn with_timestamp(point: &Point, timestamp_ns: u64) -> impl Iterator<Item = &Sighting> {
    let from = point
        .sightings
        .partition_point(|sighting| sighting.timestamp_ns < timestamp_ns);
    point.sightings[from..]
        .iter()
        .take_while(move |sighting| sighting.timestamp_ns == timestamp_ns)
}

/// Explains what was asked for; without packets where no point saw such.
#[must_use]
pub(crate) fn explain(asked: &str, wanted: Wanted, material: Material) -> Explanation {
    let Material {
        points,
        findings,
        witness,
        sources,
        dates,
    } = material;
    let claims = Claims::new(&witness.found, points);
    let (meant, mut untold) = claims.meant_by(wanted, points);
    let mut journeys: Vec<Journey> = meant
        .iter()
        .map(|packet| Journey::of(packet, points, &claims, witness.is_reverse(packet)))
        .collect();
    if let Some((point, frame)) = wanted.place {
        journeys.retain(|journey| {
            let mut stops = journey.stops.iter();
            stops.any(|stop| stop.point == point && u64::from(stop.sighting.frame) == frame)
        });
        if journeys.len() < MOST_TOLD {
            untold = 0;
        }
    }
    let traces: Vec<Vec<Trace>> = sources
        .iter_mut()
        .enumerate()
        .map(|(point, source)| {
            let Reread::Capture(source, _) = source else {
                return Vec::new();
            };
            let stops = journeys.iter().flat_map(|journey| &journey.stops);
            let mut frames: Vec<u64> = stops
                .filter(|stop| stop.point == point)
                .map(|stop| u64::from(stop.sighting.frame))
                .collect();
            frames.sort_unstable();
            reread::read(source, dates, &frames)
        })
        .collect();
    let told = Telling {
        points,
        findings,
        witness,
        sources,
        traces: &traces,
    };
    Explanation {
        schema_version: Findings::SCHEMA_VERSION,
        generator: findings.generator.clone(),
        asked: asked.to_owned(),
        packets: journeys.iter().map(|journey| told.life(journey)).collect(),
        untold,
        warnings: findings.warnings.clone(),
    }
}

/// By which frames and lines the packets that may be meant were judged.
struct Claims<'a> {
    all: &'a [Packet],
    /// By point, each sighting by which one was judged, by its frame.
    seen: Vec<BTreeMap<u64, &'a Sighting>>,
    /// By point and frame, which packets.
    judged: BTreeMap<(usize, u64), Vec<usize>>,
}

impl<'a> Claims<'a> {
    fn new(all: &'a [Packet], points: &'a [Point]) -> Self {
        let mut judged: BTreeMap<(usize, u64), Vec<usize>> = BTreeMap::new();
        for (packet, of) in all.iter().enumerate() {
            let at = points.iter().enumerate();
            for (point, frame) in at.filter_map(|(at, point)| Some((at, frame_at(of, point)?))) {
                judged.entry((point, frame)).or_default().push(packet);
            }
        }
        let sightings = |(at, point): (usize, &'a Point)| {
            let framed = point.sightings.iter();
            framed
                .map(|sighting| (u64::from(sighting.frame), sighting))
                .filter(|(frame, _)| judged.contains_key(&(at, *frame)))
                .collect()
        };
        let seen = points.iter().enumerate().map(sightings).collect();
        Self { all, seen, judged }
    }

    /// The sighting by which a packet was judged at a point.
    fn judged(&self, packet: &Packet, index: usize, point: &Point) -> Option<&'a Sighting> {
        self.seen[index].get(&frame_at(packet, point)?).copied()
    }

    /// Whether a packet other than this one was judged by the sighting.
    fn has_another(&self, packet: &Packet, point: usize, sighting: &Sighting) -> bool {
        let by = self.judged.get(&(point, u64::from(sighting.frame)));
        by.is_some_and(|by| by.iter().any(|&other| self.all[other] != *packet))
    }

    /// The packets that are to be told, and how many are not. Of a frame those that it may have shown,
    /// the likeliest first.
    fn meant_by(&self, wanted: Wanted, points: &[Point]) -> (Vec<&'a Packet>, u64) {
        let mut meant: Vec<&Packet> = self.all.iter().collect();
        if let Some((point, frame)) = wanted.place
            && let Some(shown) = sighting(&points[point], frame)
        {
            let of = &points[point];
            let key = |sighting: &Sighting| of.keys[sighting.flow as usize];
            let mut alike: Vec<(&Packet, &Sighting)> = meant
                .into_iter()
                .filter_map(|packet| Some((packet, self.judged(packet, point, of)?)))
                .filter(|(_, judged)| shown.shows_bytes_of(key(shown), judged, key(judged)))
                .collect();
            alike.sort_by_key(|(_, judged)| {
                (judged.frame != shown.frame, judged.ip_id != shown.ip_id)
            });
            meant = alike.into_iter().map(|(packet, _)| packet).collect();
        }
        let untold = meant.len().saturating_sub(MOST_TOLD);
        meant.truncate(MOST_TOLD);
        (meant, untold as u64)
    }
}

/// The frame by which a packet was judged at a point.
fn frame_at(packet: &Packet, point: &Point) -> Option<u64> {
    let seen = packet.seen.iter().find(|seen| *seen.point == *point.name);
    seen.map(|seen| seen.frame)
}

/// Every time that a packet was seen.
struct Journey<'a> {
    packet: &'a Packet,
    /// The points along its way.
    order: Vec<usize>,
    /// Along its way, by rising frame at each point.
    stops: Vec<Stop<'a>>,
    /// By point, how many more times it was seen.
    untold: Vec<u64>,
}

/// One time that a packet was seen.
#[derive(Clone, Copy)]
struct Stop<'a> {
    point: usize,
    sighting: &'a Sighting,
    flow: &'a Flow,
    /// The one by which the packet was judged at its point.
    is_judged: bool,
    is_duplicate: bool,
}

impl<'a> Journey<'a> {
    fn of(packet: &'a Packet, points: &'a [Point], claims: &Claims<'a>, is_reverse: bool) -> Self {
        let mut order: Vec<usize> = (0..points.len()).collect();
        if is_reverse {
            order.reverse();
        }
        let mut journey = Self {
            packet,
            order,
            stops: Vec::new(),
            untold: vec![0; points.len()],
        };
        for index in journey.order.clone() {
            let (stops, untold) = stops(packet, index, &points[index], claims);
            journey.stops.extend(stops);
            journey.untold[index] = untold;
        }
        journey
    }

    fn at(&self, point: usize) -> impl Iterator<Item = &Stop<'a>> {
        self.stops.iter().filter(move |stop| stop.point == point)
    }
}

/// Each time that a point saw a packet: where it was judged, and all sightings like that one which
/// no other packet claims. How many more there are.
fn stops<'a>(
    packet: &Packet,
    index: usize,
    point: &'a Point,
    claims: &Claims<'a>,
) -> (Vec<Stop<'a>>, u64) {
    let Some(judged) = claims.judged(packet, index, point) else {
        return (Vec::new(), 0);
    };
    let key = |sighting: &Sighting| point.keys[sighting.flow as usize];
    let way = |sighting: &Sighting| {
        let flow = point.flow(sighting);
        (flow.source, flow.destination)
    };
    let (source, destination) = way(judged);
    let alike: Vec<&Sighting> = with_timestamp(point, judged.timestamp_ns)
        .filter(|sighting| sighting.shows_bytes_of(key(sighting), judged, key(judged)))
        .filter(|sighting| way(sighting) != (destination, source))
        .collect();
    let is_claimed = alike
        .iter()
        .any(|sighting| claims.has_another(packet, index, sighting));
    let mut own: Vec<&Sighting> = alike
        .into_iter()
        // Only the IP ID then says which copy is whose.
        .filter(|sighting| !is_claimed || sighting.ip_id == judged.ip_id)
        .collect();
    own.sort_by_key(|sighting| sighting.frame);
    let untold = own.len().saturating_sub(MOST_TOLD);
    if untold > 0 {
        own.truncate(MOST_TOLD);
        if own[MOST_TOLD - 1].frame < judged.frame {
            own[MOST_TOLD - 1] = judged;
        }
    }
    let mut places = BTreeSet::new();
    let stops = own.into_iter().map(|sighting| {
        let flow = point.flow(sighting);
        Stop {
            point: index,
            sighting,
            flow,
            is_judged: sighting.frame == judged.frame,
            is_duplicate: !places.insert((flow.stage, flow.ttl)),
        }
    });
    (stops.collect(), untold as u64)
}

/// Makes lives of journeys.
struct Telling<'a> {
    points: &'a [Point],
    findings: &'a Findings,
    witness: &'a Witness<'a>,
    sources: &'a [Reread],
    /// By point, by rising frame number.
    traces: &'a [Vec<Trace>],
}

impl Telling<'_> {
    fn life(&self, journey: &Journey) -> Life {
        let packet = journey.packet;
        let (icmp, icmp_untold) = self.icmp(packet);
        let stations = journey
            .order
            .iter()
            .map(|&point| self.station(journey, point));
        Life {
            packet: packet.clone(),
            keyword: protocols::keyword(packet.protocol).map(ToString::to_string),
            stations: stations.collect(),
            neighbours: self.neighbours(journey),
            icmp,
            icmp_untold,
            changes: self.changes(journey),
            checks: self.checks(journey),
        }
    }

    /// Whether a point is the side of a host whose capture the first side has stood for.
    fn is_second_side(&self, point: &Point) -> bool {
        let mut before = self
            .points
            .iter()
            .take_while(|other| other.name != point.name);
        before.any(|other| other.capture == point.capture)
    }

    fn name(&self, point: usize) -> String {
        self.points[point].name.clone()
    }

    fn place(&self, stop: &Stop) -> Place {
        Place {
            point: self.name(stop.point),
            frame: u64::from(stop.sighting.frame),
        }
    }

    fn trace(&self, stop: &Stop) -> Option<&Trace> {
        let traces = self.traces.get(stop.point)?;
        let frame = u64::from(stop.sighting.frame);
        let at = traces.binary_search_by_key(&frame, |trace| trace.frame);
        traces.get(at.ok()?)
    }

    fn station(&self, journey: &Journey, index: usize) -> Station {
        let (point, recorded) = (&self.points[index], &self.findings.points[index]);
        let sightings = journey.at(index).map(|stop| {
            let trace = self.trace(stop);
            let Flow {
                source,
                destination,
                ttl,
                stage,
                ..
            } = stop.flow;
            StationSighting {
                frame: u64::from(stop.sighting.frame),
                time_ns: stop.sighting.time_ns,
                delay: self.delay(journey, stop),
                interface: trace.and_then(|trace| trace.interface.clone()),
                stage: stage.packet_type.map(|packet_type| match packet_type {
                    PacketType::Outgoing => StageName::Out,
                    _ => StageName::In,
                }),
                src: source.to_string(),
                dst: destination.to_string(),
                ttl: Some(*ttl).filter(|_| point.kind == PointKind::Capture || *ttl > 0),
                duplicate: stop.is_duplicate,
                bytes: trace.map(|trace| digits(&trace.bytes())),
            }
        });
        Station {
            point: self.name(index),
            kind: point.kind,
            read_again: matches!(self.sources[index], Reread::Capture(..)),
            first_ns: recorded.first_ns,
            last_ns: recorded.last_ns,
            gaps: recorded.gaps.clone(),
            sightings: sightings.collect(),
            untold: journey.untold[index],
        }
    }

    /// The time since the sighting before: by one clock inside a point, and from point to point
    /// between those sightings by which the packet was judged.
    fn delay(&self, journey: &Journey, stop: &Stop) -> Option<SightingDelay> {
        let took_ns = |before: &Stop| stop.sighting.time_ns.checked_sub(before.sighting.time_ns);
        let same_point = journey
            .at(stop.point)
            .take_while(|before| before.sighting.frame < stop.sighting.frame)
            .last();
        if let Some(before) = same_point {
            return Some(SightingDelay {
                ns: u64::try_from(took_ns(before)?).ok()?,
                reference: DelayReference::Absolute,
                since: self.place(before),
                packets: None,
            });
        }
        let at = journey
            .order
            .iter()
            .position(|&point| point == stop.point)?;
        let mut judged = journey.stops.iter().filter(|before| before.is_judged);
        let before = judged.rfind(|before| journey.order[..at].contains(&before.point))?;
        let (from, to) = (self.name(before.point), self.name(stop.point));
        let clocks = self.clocks(journey, &from, &to);
        let shares_clock =
            matches!(clocks.as_slice(), [clock] if clock.method == ClockMethod::SameHost);
        let since = self.place(before);
        if shares_clock {
            return Some(SightingDelay {
                ns: u64::try_from(took_ns(before)?).ok()?,
                reference: DelayReference::Absolute,
                since,
                packets: None,
            });
        }
        let stretch = self.witness.stretch(journey.packet, &from, &to)?;
        let beyond = match clocks.as_slice() {
            [clock] => clock.above_fastest(took_ns(before)?)?,
            // The fastest packet may have crossed before a clock was set.
            several if several.iter().any(|clock| !clock.steps.is_empty()) => return None,
            _ => took_ns(before)?.checked_sub(stretch.fastest_ns)?,
        };
        Some(SightingDelay {
            ns: u64::try_from(beyond).ok()?,
            reference: DelayReference::Minimum,
            since,
            packets: Some(stretch.packets),
        })
    }

    /// What is known of the clocks on the segments between two points along a packet's way.
    fn clocks(&self, journey: &Journey, from: &str, to: &str) -> Vec<&Clock> {
        let ways = self.findings.directions.iter();
        let way = ways.filter(|way| *way.from == *journey.packet.from);
        let segments = way.flat_map(|way| &way.segments);
        let mut between = Vec::new();
        for segment in segments.skip_while(|segment| segment.from != from) {
            between.push(&segment.clock);
            if segment.to == to {
                break;
            }
        }
        between
    }

    fn neighbours(&self, journey: &Journey) -> Option<[Option<Neighbour>; 2]> {
        let expected = journey.packet.expected.as_ref()?;
        let from = self.name(journey.stops.last()?.point);
        let none = || Some([None, None]);
        let Some(stretch) = self.witness.stretch(journey.packet, &from, &expected.point) else {
            return none();
        };
        let neighbours = stretch.neighbours.map(|crossing| {
            let crossing = crossing?;
            let [at, behind] = crossing.frames;
            let place = |point: &str, frame| Place {
                point: point.to_owned(),
                frame,
            };
            Some(Neighbour {
                timestamp_ns: crossing.timestamp_ns,
                protocol: crossing.protocol,
                carrier: crossing.carrier,
                seen: [place(&from, at), place(&expected.point, behind)],
            })
        });
        Some(neighbours)
    }

    /// The first errors that quote a packet, and how many more do.
    fn icmp(&self, packet: &Packet) -> (Vec<IcmpError>, u64) {
        let mut errors = Vec::new();
        let mut untold = 0;
        for point in self
            .points
            .iter()
            .filter(|point| !self.is_second_side(point))
        {
            for error in &point.icmp {
                if (error.protocol, error.carrier) != (packet.protocol, packet.carrier) {
                    continue;
                }
                let exact = match error.header {
                    HeaderView::Whole(header) if header.timestamp_ns == packet.timestamp_ns => true,
                    HeaderView::UpperHalf { timestamp_high, .. }
                        if u64::from(timestamp_high) == packet.timestamp_ns >> 32
                            && error.header.ports() == (packet.srcport, packet.dstport) =>
                    {
                        false
                    }
                    _ => continue,
                };
                if errors.len() == MOST_TOLD {
                    untold += 1;
                    continue;
                }
                let quote = &error.quote;
                errors.push(IcmpError {
                    point: point.capture.clone(),
                    frame: error.frame,
                    time_ns: error.time_ns,
                    from: quote.by.to_string(),
                    icmp_type: quote.icmp_type,
                    code: quote.code,
                    meaning: icmp_meaning(quote.version, quote.icmp_type, quote.code).to_owned(),
                    exact,
                });
            }
        }
        (errors, untold)
    }

    /// What changed from sighting to sighting, copies aside.
    fn changes(&self, journey: &Journey) -> Vec<FieldChange> {
        let stops: Vec<&Stop> = journey
            .stops
            .iter()
            .filter(|stop| !stop.is_duplicate)
            .collect();
        stops
            .windows(2)
            .flat_map(|ends| {
                let [a, b] = [ends[0], ends[1]];
                diff::changes(
                    [&self.place(a), &self.place(b)],
                    [a.flow, b.flow],
                    [self.trace(a), self.trace(b)],
                )
            })
            .collect()
    }

    fn checks(&self, journey: &Journey) -> Vec<Check> {
        let Some(last) = journey.stops.last() else {
            return Vec::new();
        };
        let check = |&index: &usize| {
            let point = &self.points[index];
            if self.is_second_side(point) {
                return None;
            }
            let sides = || {
                let all = self.points.iter().enumerate();
                all.filter(|(_, other)| other.capture == point.capture)
            };
            let mut stops = sides().flat_map(|(side, _)| journey.at(side));
            let stop = stops.next().unwrap_or(last);
            let timestamp_ns = stop.sighting.timestamp_ns;
            let command = match &self.sources[index] {
                Reread::Nothing => return None,
                Reread::Log(packing) => check::of_log(&point.source, *packing, timestamp_ns),
                Reread::Capture(_, packing) => {
                    let search = Search {
                        flow: stop.flow,
                        trace: self.trace(stop),
                        timestamp_ns,
                    };
                    check::of_capture(&point.source, *packing, &search)?
                }
            };
            let is_shown = |flow: &Flow| {
                point.kind != PointKind::Capture
                    || (flow.protocol, flow.carrier) == (stop.flow.protocol, stop.flow.carrier)
            };
            let shown = sides().flat_map(|(_, side)| {
                let same = with_timestamp(side, timestamp_ns);
                same.filter(|sighting| is_shown(side.flow(sighting)))
            });
            Some(Check {
                point: point.capture.clone(),
                command,
                lines: shown.count() as u64,
            })
        };
        journey.order.iter().filter_map(check).collect()
    }
}
