//! Explaining one packet: which one is meant, and what is needed to tell its life.

use std::{fmt, str::FromStr};

use super::{Error, Moment, Named, Options, Points, Unexplained};
use crate::{
    correlate::Survey,
    decode::Dates,
    explain::{self, Explanation, Material, Reread, Unseen, Wanted, Witness},
    findings::PointKind,
    judge,
    observe::{Point, Sighting},
    source::{Origin, Packing, Recording},
};

/// The packet to explain, written `TIMESTAMP`, `TIME` or `POINT:FRAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// By HDP's timestamp, in nanoseconds since the epoch; of a rounded one, the nearest within a
    /// microsecond.
    Timestamp(u64),
    /// By HDP's timestamp or a capture time as they are printed.
    Time(Moment),
    /// By a frame of a capture or a line of a log.
    Frame {
        /// The point's name.
        point: String,
        /// Counted from 1.
        frame: u64,
    },
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(timestamp_ns) = text.parse() {
            return Ok(Self::Timestamp(timestamp_ns));
        }
        if let Ok(moment) = text.parse() {
            return Ok(Self::Time(moment));
        }
        match text.rsplit_once(':') {
            Some((point, frame)) if !point.is_empty() => match frame.parse() {
                Ok(0) => Err(format!("'{text}': frames are counted from 1")),
                Ok(frame) => Ok(Self::Frame {
                    point: point.to_owned(),
                    frame,
                }),
                Err(_) => Err(format!("'{frame}' is no frame number; write POINT:FRAME")),
            },
            _ => Err(format!(
                "'{text}' is neither a timestamp in nanoseconds, nor a time, nor POINT:FRAME"
            )),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timestamp(timestamp_ns) => write!(f, "{timestamp_ns}"),
            Self::Time(moment) => f.write_str(moment.as_str()),
            Self::Frame { point, frame } => write!(f, "{point}:{frame}"),
        }
    }
}

/// Tells the life of the packet: `points` name the sources of those that `seen` its like.
pub(super) fn run(
    subject: &Subject,
    points: &Points,
    (seen, survey): (&[Point], Survey),
    options: &Options,
) -> Result<Explanation, Error> {
    // The two sides of a host come from one source.
    let source_of = |point: &Point| points.iter().find(|named| named.name == point.capture);
    let sources: Vec<&Named> = seen.iter().filter_map(source_of).collect();
    let wanted = wanted(subject, &sources, seen, options.dates())?;
    let mut witness = Witness::new(seen, wanted.timestamp_ns);
    let findings = judge::judge(
        seen,
        survey,
        &options.judging(&points.witnesses),
        Some(Box::new(|_, lister| {
            lister.list(&mut |packet| witness.see(packet));
        })),
    );
    let sources = sources.into_iter().map(reread);
    let mut sources = sources.collect::<Result<Vec<Reread>, Error>>()?;
    let asked = subject.to_string();
    let explanation = explain::explain(
        &asked,
        wanted,
        Material {
            points: seen,
            findings: &findings,
            witness: &witness,
            sources: &mut sources,
            dates: options.dates(),
        },
    );
    if explanation.packets.is_empty() {
        return Err(unexplained(subject, Unexplained::Unseen));
    }
    Ok(explanation)
}

fn unexplained(subject: &Subject, why: Unexplained) -> Error {
    Error::Unexplained {
        subject: subject.clone(),
        why: Box::new(why),
    }
}

/// What the subject means at these points, whose sources come in the same order.
fn wanted(
    subject: &Subject,
    sources: &[&Named],
    points: &[Point],
    dates: Dates,
) -> Result<Wanted, Error> {
    let unexplained = |why| Err(unexplained(subject, why));
    let with_timestamp = |timestamp_ns| Wanted {
        timestamp_ns,
        place: None,
    };
    let (name, frame) = match subject {
        Subject::Timestamp(timestamp_ns) => {
            let nearest = nearest(points, *timestamp_ns);
            return Ok(with_timestamp(nearest.unwrap_or(*timestamp_ns)));
        }
        Subject::Time(moment) => {
            return match at(points, moment).as_slice() {
                [] => unexplained(Unexplained::Unseen),
                [only] => Ok(with_timestamp(*only)),
                several => unexplained(Unexplained::Several {
                    timestamps: several.to_vec(),
                }),
            };
        }
        Subject::Frame { point, frame } => (point, *frame),
    };
    let is_meant = |point: &Point| point.name == *name || point.capture == *name;
    let holds_it = |point: &Point| explain::sighting(point, frame).is_some();
    let index = points
        .iter()
        .position(|point| is_meant(point) && holds_it(point))
        .or_else(|| points.iter().position(is_meant));
    let Some(index) = index else {
        return unexplained(Unexplained::NoSuchPoint {
            name: name.clone(),
            names: points.iter().map(|point| point.name.clone()).collect(),
        });
    };
    let point = &points[index];
    if let Some(sighting) = explain::sighting(point, frame) {
        return Ok(Wanted {
            timestamp_ns: sighting.timestamp_ns,
            place: Some((index, frame)),
        });
    }
    if point.kind != PointKind::Capture {
        return unexplained(Unexplained::NoPacketInLine {
            line: frame,
            point: name.clone(),
        });
    }
    if frame > point.frames {
        return unexplained(Unexplained::Beyond {
            point: name.clone(),
            frames: point.frames,
        });
    }
    let why = match reread(sources[index])? {
        Reread::Capture(mut source, _) => match Unseen::find(&mut source, dates, frame) {
            Unseen::Quote(timestamp_ns) => return Ok(with_timestamp(timestamp_ns)),
            unseen => Some(unseen),
        },
        Reread::Log(_) | Reread::Nothing => None,
    };
    unexplained(Unexplained::NotHdp {
        frame,
        point: name.clone(),
        why,
    })
}

/// Rounded digits of a time or a timestamp mean what is so near.
const ROUNDED_NS: u64 = 1_000;

/// The timestamp that was seen and lies nearest, if that is near enough to be meant.
fn nearest(points: &[Point], timestamp_ns: u64) -> Option<u64> {
    let sightings = points.iter().flat_map(|point| &point.sightings);
    let distance = |seen_ns: &u64| seen_ns.abs_diff(timestamp_ns);
    let seen_ns = sightings.map(|sighting| sighting.timestamp_ns);
    seen_ns
        .min_by_key(distance)
        .filter(|nearest| distance(nearest) < ROUNDED_NS)
}

/// The timestamps of packets that were sent or captured at a time, each once; if there is none, of the
/// nearest that rounding makes that.
fn at(points: &[Point], moment: &Moment) -> Vec<u64> {
    let sightings = || points.iter().flat_map(|point| &point.sightings);
    let distance_ns = |sighting: &Sighting| {
        let sent_ns = i64::try_from(sighting.timestamp_ns).unwrap_or(i64::MAX);
        let sent = moment.distance_ns(sent_ns);
        sent.min(moment.distance_ns(sighting.time_ns))
    };
    let least_ns = sightings().map(distance_ns).min();
    let Some(least_ns) = least_ns.filter(|least| *least < ROUNDED_NS) else {
        return Vec::new();
    };
    let meant = sightings().filter(|sighting| distance_ns(sighting) == least_ns);
    let mut timestamps: Vec<u64> = meant.map(|sighting| sighting.timestamp_ns).collect();
    timestamps.sort_unstable();
    timestamps.dedup();
    timestamps
}

/// What a source gives after it was read.
fn reread(Named { origin, .. }: &Named) -> Result<Reread, Error> {
    let path = match origin {
        Origin::Path(path) if path.is_file() => path,
        _ => return Ok(Reread::Nothing),
    };
    let packing = Packing::of(path).map_err(|error| Error::ReadAgain {
        origin: origin.clone(),
        error,
    })?;
    Ok(match Recording::open(origin.clone())? {
        Recording::Capture(source) => Reread::Capture(source, packing),
        Recording::Log(_) => Reread::Log(packing),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_a_timestamp_or_a_frame_of_a_point() {
        let frame = |point: &str, frame| Subject::Frame {
            point: point.to_owned(),
            frame,
        };
        for (text, subject) in [
            (
                "1795348800000000000",
                Subject::Timestamp(1_795_348_800_000_000_000),
            ),
            ("client:17", frame("client", 17)),
            ("a:b:3", frame("a:b", 3)),
        ] {
            assert_eq!(text.parse(), Ok(subject.clone()));
            assert_eq!(subject.to_string(), text);
        }
        for (text, why) in [
            (
                "client",
                "'client' is neither a timestamp in nanoseconds, nor a time, nor POINT:FRAME",
            ),
            (
                ":3",
                "':3' is neither a timestamp in nanoseconds, nor a time, nor POINT:FRAME",
            ),
            ("client:x", "'x' is no frame number; write POINT:FRAME"),
            ("client:0", "'client:0': frames are counted from 1"),
        ] {
            assert_eq!(text.parse::<Subject>(), Err(why.to_owned()));
        }
    }
}
