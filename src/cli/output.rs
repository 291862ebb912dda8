//! Where results go: standard output, or the file of `-o`, opened before any work is done.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;

use crate::{probe::log, report::RowFormat};

/// How a probe's results are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For reading
    #[default]
    Table,
    /// For a report
    Markdown,
    /// One row a packet or protocol number
    Csv,
    /// Everything
    Json,
}

impl From<Format> for RowFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Table => Self::Table,
            Format::Markdown => Self::Markdown,
            Format::Csv => Self::Csv,
            Format::Json => Self::Json,
        }
    }
}

/// Opens the file, or standard output where there is none.
pub(super) fn open(file: Option<&Path>) -> anyhow::Result<Box<dyn Write>> {
    Ok(match file {
        Some(file) => Box::new(create(file)?),
        None => Box::new(BufWriter::new(io::stdout())),
    })
}

/// Creates a file for writing.
pub(super) fn create(file: &Path) -> anyhow::Result<BufWriter<File>> {
    let created =
        File::create(file).with_context(|| format!("{}: cannot write", file.display()))?;
    Ok(BufWriter::new(created))
}

/// The log of a probe, if one was asked for.
pub(super) struct Log(Option<(PathBuf, BufWriter<File>)>);

impl Log {
    /// Creates the file.
    pub(super) fn create(file: Option<&Path>) -> anyhow::Result<Self> {
        let create = |file: &Path| Ok::<_, anyhow::Error>((file.to_owned(), create(file)?));
        Ok(Self(file.map(create).transpose()?))
    }

    /// Writes a line.
    pub(super) fn write(&mut self, line: &impl Serialize) -> io::Result<()> {
        self.each(|file| log::write_line(file, line))
    }

    /// Lets readers have what was written so far.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.each(Write::flush)
    }

    fn each(
        &mut self,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some((path, file)) = &mut self.0 else {
            return Ok(());
        };
        write(file).map_err(|error| {
            let message = format!("{}: cannot write: {error}", path.display());
            io::Error::new(error.kind(), message)
        })
    }
}
