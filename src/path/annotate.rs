//! Captures of the points' own frames, with what became of each packet.

use std::io::Write;

use super::{Error, Event, Options, Points};
use crate::{
    annotate::{self, Clocks, Notes, Which},
    findings::PointKind,
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

/// A result that is being written. Logs have no frames, and are left out.
pub(super) struct Writing<'a, W: Write> {
    writer: annotate::Writer<'a, W>,
    frames: Frames,
    name: String,
    options: &'a Options,
}

impl<'a, W: Write> Writing<'a, W> {
    pub(super) fn open(
        result: Annotation<W>,
        points: &'a Points,
        notes: &Notes,
        clocks: &Clocks,
        options: &'a Options,
    ) -> Result<Self, Error> {
        let Annotation { frames, name, to } = result;
        let records = notes.records().iter().enumerate();
        let captures: Vec<annotate::Capture> = records
            .filter(|(_, record)| record.kind == PointKind::Capture)
            .filter_map(|(index, record)| {
                let point = points.iter().find(|point| point.name == record.name)?;
                Some(annotate::Capture {
                    record: index,
                    origin: &point.origin,
                })
            })
            .collect();
        if captures.is_empty() {
            return Err(Error::NoFrames { name });
        }
        let job = annotate::Job {
            captures,
            dates: options.dates(),
            which: frames,
            form: annotate::Form {
                raw: options.raw_frames,
                anonymizer: options.anonymizer.as_ref(),
            },
        };
        let writer = annotate::Writer::open(to, &job, notes, clocks);
        Ok(Self {
            writer: writer.map_err(|error| of(error, &name))?,
            frames,
            name,
            options,
        })
    }

    /// Writes frames as long as they lie before these of their records.
    pub(super) fn write(
        &mut self,
        notes: &Notes,
        before: impl Fn(usize) -> u64,
    ) -> Result<(), Error> {
        let written = self.writer.write(notes, before);
        written.map_err(|error| of(error, &self.name))
    }

    /// Before which frame of a record all were written.
    pub(super) fn is_past(&self, record: usize) -> u64 {
        self.writer.is_past(record)
    }

    /// Writes all frames that are left, and says what is not among them.
    pub(super) fn finish(mut self, notes: &Notes) -> Result<(), Error> {
        self.write(notes, |_| u64::MAX)?;
        let written = self.writer.finish();
        let written = written.map_err(|error| of(error, &self.name))?;
        if written.without_ip > 0 {
            self.options.tell(Event::WithoutIp {
                name: &self.name,
                frames: written.without_ip,
            });
        }
        let records = notes.records().iter().enumerate();
        for (index, log) in records.filter(|(_, record)| record.kind != PointKind::Capture) {
            let lost = notes.lost_behind(index);
            if self.frames == Which::Lost && lost > 0 {
                self.options.tell(Event::LostBehindLog {
                    point: &log.name,
                    lost,
                });
            }
        }
        Ok(())
    }
}

fn of(error: annotate::Error, name: &str) -> Error {
    match error {
        annotate::Error::Source(error) => error.into(),
        annotate::Error::Write(error) => Error::Write {
            name: name.to_owned(),
            error,
        },
    }
}
