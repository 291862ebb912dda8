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
};

/// Captures to be written from the points' own frames.
pub(super) struct Frames {
    files: Vec<(Which, PathBuf, BufWriter<File>)>,
    pub(super) notes: Notes,
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
        let points = plan.iter().map(|planned| planned.name.clone()).collect();
        Ok((!files.is_empty()).then(|| Self {
            files,
            notes: Notes::new(points),
        }))
    }

    /// Reads the captures again. Logs have no frames, and are left out.
    pub(super) fn write(
        self,
        plan: &[Planned],
        findings: &Findings,
        window_ns: u64,
    ) -> anyhow::Result<()> {
        let is_capture = |point: &usize| findings.points[*point].kind == PointKind::Capture;
        let (captures, logs): (Vec<usize>, Vec<usize>) = (0..plan.len()).partition(is_capture);
        let captures: Vec<_> = captures
            .into_iter()
            .map(|point| annotate::Capture {
                point,
                name: &plan[point].name,
                origin: &plan[point].origin,
            })
            .collect();
        ensure!(
            !captures.is_empty(),
            "{}: all points are logs, which hold no frames",
            self.files[0].1.display()
        );
        let clocks = self.notes.clocks(findings);
        for (which, path, file) in self.files {
            let job = annotate::Job {
                captures: &captures,
                window_ns,
                which,
            };
            annotate::write(file, job, &self.notes, &clocks).map_err(|error| match error {
                Error::Source(error) => error.into(),
                error @ Error::Write(_) => {
                    anyhow::Error::new(error).context(path.display().to_string())
                }
            })?;
            for log in &logs {
                let lost = self.notes.lost_behind(*log);
                if which == Which::Lost && lost > 0 {
                    eprintln!(
                        "hdp: warning: {}: is a log, which holds no frames of the {lost} packets \
                         that were lost behind it",
                        plan[*log].name
                    );
                }
            }
        }
        Ok(())
    }
}
