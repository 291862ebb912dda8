//! `--annotate` and `--write-lost` of `hdp path`: captures made of the points' own frames.

use std::{
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
};

use anyhow::ensure;

use super::{
    output,
    read::{self, Planned},
};
use crate::{
    annotate::{self, Error, Notes, Which},
    findings::{Findings, PointKind},
    source::Origin,
};

/// Captures to be written from the points' own frames; created before anything is read.
pub(super) struct Frames {
    files: Vec<(Which, PathBuf, BufWriter<File>)>,
}

impl Frames {
    /// Creates the files, if the points can be read again for them.
    pub(super) fn plan(
        plan: &[Planned],
        annotate: Option<&Path>,
        write_lost: Option<&Path>,
    ) -> anyhow::Result<Option<Self>> {
        let mut files = Vec::new();
        for (option, which, path) in [
            ("--annotate", Which::All, annotate),
            ("--write-lost", Which::Lost, write_lost),
        ] {
            let Some(path) = path else { continue };
            for Planned { origin, .. } in plan {
                ensure!(
                    read::can_be_repeated(origin),
                    "{origin}: {option} reads the captures twice, which only a file can be; save \
                     it to one first"
                );
            }
            files.push((which, path.to_owned(), output::create(path)?));
        }
        Ok((!files.is_empty()).then_some(Self { files }))
    }

    /// Reads the captures again, with the notes on their packets. Logs have no frames, and are
    /// left out.
    pub(super) fn write(
        self,
        plan: &[Planned],
        notes: &Notes,
        findings: &Findings,
        window_ns: u64,
    ) -> anyhow::Result<()> {
        let records = || notes.records().iter().enumerate();
        let captures: Vec<_> = records()
            .filter(|(_, record)| record.kind == PointKind::Capture)
            .filter_map(|(index, record)| {
                Some(annotate::Capture {
                    record: index,
                    origin: origin(plan, &record.name)?,
                })
            })
            .collect();
        ensure!(
            !captures.is_empty(),
            "{}: all points are logs, which hold no frames",
            self.files[0].1.display()
        );
        let clocks = notes.clocks(findings);
        for (which, path, file) in self.files {
            let job = annotate::Job {
                captures: &captures,
                window_ns,
                which,
            };
            annotate::write(file, job, notes, &clocks).map_err(|error| match error {
                Error::Source(error) => error.into(),
                error @ Error::Write(_) => {
                    anyhow::Error::new(error).context(path.display().to_string())
                }
            })?;
            for (index, log) in records().filter(|(_, record)| record.kind != PointKind::Capture) {
                let lost = notes.lost_behind(index);
                if which == Which::Lost && lost > 0 {
                    eprintln!(
                        "hdp: warning: {}: is a log, which holds no frames of the {lost} packets \
                         that were lost behind it",
                        log.name
                    );
                }
            }
        }
        Ok(())
    }
}

/// The source of that name.
fn origin<'a>(plan: &'a [Planned], name: &str) -> Option<&'a Origin> {
    let planned = plan.iter().find(|planned| planned.name == name);
    planned.map(|planned| &planned.origin)
}
