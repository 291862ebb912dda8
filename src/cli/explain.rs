//! `hdp path --explain`: which packet was meant, and what is needed to tell its life.

use std::{fmt, str::FromStr};

use anyhow::{Context as _, bail};

use super::read::Planned;
use crate::{
    correlate::Survey,
    decode::Skip,
    explain::{self, Explanation, Material, Reread, Unseen, Wanted, Witness},
    findings::{Packet, PointKind},
    judge,
    observe::Point,
    source::{Origin, Packing, Recording},
};

/// The packet that is asked for, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    /// HDP's timestamp.
    Timestamp(u64),
    /// A frame of a capture or a line of a log.
    Frame { point: String, frame: u64 },
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(timestamp_ns) = text.parse() {
            return Ok(Self::Timestamp(timestamp_ns));
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
                "'{text}' is neither a timestamp in nanoseconds nor POINT:FRAME"
            )),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timestamp(timestamp_ns) => write!(f, "{timestamp_ns}"),
            Self::Frame { point, frame } => write!(f, "{point}:{frame}"),
        }
    }
}

/// Tells the life of the packet: `plan` names the sources of the points.
pub(super) fn run(
    subject: &Subject,
    plan: &[Planned],
    (points, survey): (&[Point], Survey),
    options: &judge::Options,
    window_ns: u64,
) -> anyhow::Result<Explanation> {
    // The two sides of a host come from one source.
    let plan: Vec<&Planned> = points
        .iter()
        .filter_map(|point| of_point(plan, point))
        .collect();
    let wanted = wanted(subject, &plan, points, window_ns)?;
    let mut witness = Witness::new(points, wanted.timestamp_ns);
    let mut see = |packet: &Packet| witness.see(packet);
    let findings = judge::judge(points, survey, options, Some(&mut see));
    let mut sources = plan
        .iter()
        .map(|planned| reread(planned))
        .collect::<anyhow::Result<Vec<Reread>>>()?;
    let asked = subject.to_string();
    let explanation = explain::explain(
        &asked,
        wanted,
        Material {
            points,
            findings: &findings,
            witness: &witness,
            sources: &mut sources,
            window_ns,
        },
    );
    if explanation.packets.is_empty() {
        bail!("--explain {subject}: no point saw a packet with this timestamp");
    }
    Ok(explanation)
}

fn of_point<'a>(plan: &'a [Planned], point: &Point) -> Option<&'a Planned> {
    plan.iter().find(|planned| planned.name == point.capture)
}

/// What the subject means at these points, whose sources the plan names in the same order.
fn wanted(
    subject: &Subject,
    plan: &[&Planned],
    points: &[Point],
    window_ns: u64,
) -> anyhow::Result<Wanted> {
    let with_timestamp = |timestamp_ns| Wanted {
        timestamp_ns,
        place: None,
    };
    let (name, frame) = match subject {
        Subject::Timestamp(timestamp_ns) => return Ok(with_timestamp(*timestamp_ns)),
        Subject::Frame { point, frame } => (point, *frame),
    };
    let is_meant = |point: &Point| point.name == *name || point.capture == *name;
    let holds_it = |point: &Point| explain::sighting(point, frame).is_some();
    let index = points
        .iter()
        .position(|point| is_meant(point) && holds_it(point))
        .or_else(|| points.iter().position(is_meant));
    let Some(index) = index else {
        let names: Vec<&str> = points.iter().map(|point| point.name.as_str()).collect();
        bail!(
            "--explain {subject}: no point is called {name}; there are {}",
            names.join(", ")
        );
    };
    let point = &points[index];
    if let Some(sighting) = explain::sighting(point, frame) {
        return Ok(Wanted {
            timestamp_ns: sighting.timestamp_ns,
            place: Some((index, frame)),
        });
    }
    if point.kind != PointKind::Capture {
        bail!("--explain {subject}: line {frame} of {name} tells of no packet that was on its way");
    }
    if frame > point.frames {
        bail!("--explain {subject}: {name} has {} frames", point.frames);
    }
    let holds_none = |why: &dyn fmt::Display| {
        anyhow::anyhow!("--explain {subject}: frame {frame} of {name} holds no HDP packet: {why}")
    };
    let Reread::Capture(mut source, _) = reread(plan[index])? else {
        return Err(holds_none(
            &"why cannot be told, for its source cannot be read twice",
        ));
    };
    Err(match Unseen::find(&mut source, window_ns, frame) {
        Unseen::Quote(timestamp_ns) => return Ok(with_timestamp(timestamp_ns)),
        Unseen::Skipped(Skip::NotIp) => holds_none(&"there is no IP in it"),
        Unseen::Skipped(Skip::NotHdp) => {
            holds_none(&"it is IP, but has no HDP timestamp within --window of the capture time")
        }
        Unseen::Skipped(skip) => holds_none(&skip),
        Unseen::Beyond => holds_none(&"the file ends before it now"),
        Unseen::ShortQuote => holds_none(
            &"an ICMP error that quotes only the upper half of a timestamp, which names no packet",
        ),
        Unseen::Overheard => holds_none(&"one for another host was overheard, which is no arrival"),
        Unseen::Timeless => holds_none(&"it has no capture time, so it is left out"),
        Unseen::LeftOut => holds_none(&"the filter (-f) left it out"),
    })
}

/// What a source gives after it was read.
fn reread(planned: &Planned) -> anyhow::Result<Reread> {
    let path = match &planned.origin {
        Origin::Path(path) if path.is_file() => path,
        _ => return Ok(Reread::Nothing),
    };
    let packing =
        Packing::of(path).with_context(|| format!("{}: cannot read again", planned.origin))?;
    Ok(match Recording::open(planned.origin.clone())? {
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
                "'client' is neither a timestamp in nanoseconds nor POINT:FRAME",
            ),
            (
                ":3",
                "':3' is neither a timestamp in nanoseconds nor POINT:FRAME",
            ),
            ("client:x", "'x' is no frame number; write POINT:FRAME"),
            ("client:0", "'client:0': frames are counted from 1"),
        ] {
            assert_eq!(text.parse::<Subject>(), Err(why.to_owned()));
        }
    }
}
