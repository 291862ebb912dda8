//! Captures of the points' own frames, with what became of each packet.

use std::io::Write;

use super::{Error, Event, Options, Points};
use crate::{
    annotate::{self, Notes, Which},
    findings::{Findings, PointKind},
};

pub use crate::annotate::Which as Frames;

/// A capture to be made from the points' own frames.
#[derive(Debug)]
pub struct Annotation<W> {
    /// Which frames it holds.
    pub frames: Frames,
    /// What errors call it.
    pub name: String,
    /// Where it goes, a pcapng.
    pub to: W,
}

/// Sees that all sources can be read a second time.
pub(super) fn ensure_repeatable(points: &Points) -> Result<(), Error> {
    match points.iter().find(|point| !point.origin.is_repeatable()) {
        Some(point) => Err(Error::ReadOnce {
            origin: point.origin.clone(),
        }),
        None => Ok(()),
    }
}

/// Reads the captures again, with the notes on their packets. Logs have no frames, and are left
/// out.
pub(super) fn write<W: Write>(
    results: Vec<Annotation<W>>,
    points: &Points,
    notes: &Notes,
    findings: &Findings,
    options: &Options,
) -> Result<(), Error> {
    let records = || notes.records().iter().enumerate();
    let captures: Vec<_> = records()
        .filter(|(_, record)| record.kind == PointKind::Capture)
        .filter_map(|(index, record)| {
            let point = points.iter().find(|point| point.name == record.name)?;
            Some(annotate::Capture {
                record: index,
                origin: &point.origin,
            })
        })
        .collect();
    let clocks = notes.clocks(findings);
    for Annotation { frames, name, to } in results {
        if captures.is_empty() {
            return Err(Error::NoFrames { name });
        }
        let job = annotate::Job {
            captures: &captures,
            dates: options.dates(),
            which: frames,
            form: annotate::Form {
                raw: options.raw_frames,
                anonymizer: options.anonymizer.as_ref(),
            },
        };
        let written = match annotate::write(to, job, notes, &clocks) {
            Ok(written) => written,
            Err(annotate::Error::Source(error)) => return Err(error.into()),
            Err(annotate::Error::Write(error)) => return Err(Error::Write { name, error }),
        };
        if written.without_ip > 0 {
            options.tell(Event::WithoutIp {
                name: &name,
                frames: written.without_ip,
            });
        }
        for (index, log) in records().filter(|(_, record)| record.kind != PointKind::Capture) {
            let lost = notes.lost_behind(index);
            if frames == Which::Lost && lost > 0 {
                options.tell(Event::LostBehindLog {
                    point: &log.name,
                    lost,
                });
            }
        }
    }
    Ok(())
}
