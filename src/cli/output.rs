//! Where results go: standard output, or the file of `-o`, opened before any work is done.

use std::{
    env,
    fs::File,
    io::{self, BufWriter, IsTerminal as _, Write},
    path::Path,
};

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;

use crate::{log, report::RowFormat, shell};

/// How results are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For reading
    #[default]
    Table,
    /// For a report
    Markdown,
    /// One row per packet or protocol number
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

/// How a report is written, which may be one to hand on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    /// For reading
    #[default]
    Table,
    /// For a wiki or an issue
    Markdown,
    /// One row per protocol number
    Csv,
    /// Everything
    Json,
    /// One file to hand on, with pictures and all evidence
    Html,
}

/// What the user ran.
pub(super) fn command() -> String {
    command_without("")
}

/// The same without the value of an option, which is a secret.
pub(super) fn command_without(secret: &str) -> String {
    let mut words = vec!["hdp".to_owned()];
    let mut is_secret = false;
    for word in env::args_os().skip(1) {
        let word = word.to_string_lossy();
        let hides = !secret.is_empty() && word.starts_with(secret);
        words.push(match (is_secret, hides) {
            (true, _) => "KEY".to_owned(),
            (_, true) => secret.to_owned(),
            _ => shell::quoted(&word),
        });
        // The value stands behind a blank, or behind an equals sign in the same word.
        is_secret = hides && !word.contains('=');
    }
    words.join(" ")
}

/// An open output, buffered. Its errors say what could not be written.
pub(super) struct Output {
    name: String,
    writer: BufWriter<Box<dyn Write + Send>>,
    is_terminal: bool,
}

/// Whether the file that was named is standard output.
pub(super) fn is_stdout(file: &Path) -> bool {
    file == Path::new("-")
}

/// Opens the file, or standard output where there is none or it is `-`.
pub(super) fn open(file: Option<&Path>) -> anyhow::Result<Output> {
    let file = file.filter(|file| !is_stdout(file));
    let name = file.map_or_else(
        || "standard output".to_owned(),
        |file| file.display().to_string(),
    );
    let (writer, is_terminal): (Box<dyn Write + Send>, _) = if let Some(file) = file {
        let file = create(file)?;
        let is_terminal = file.is_terminal();
        (Box::new(file), is_terminal)
    } else {
        let stdout = io::stdout();
        let is_terminal = stdout.is_terminal();
        (Box::new(stdout), is_terminal)
    };
    Ok(Output {
        name,
        writer: BufWriter::new(writer),
        is_terminal,
    })
}

fn create(file: &Path) -> anyhow::Result<File> {
    File::create(file).with_context(|| format!("{}: cannot write", file.display()))
}

impl Output {
    /// Whether a person watches the results appear.
    pub(super) fn is_terminal(&self) -> bool {
        self.is_terminal
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer
            .write(bytes)
            .map_err(|error| cannot_write(&self.name, &error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer
            .flush()
            .map_err(|error| cannot_write(&self.name, &error))
    }
}

/// The same error with a name. It keeps its kind, by which a closed pipe is known.
fn cannot_write(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{name}: cannot write: {error}"))
}

/// The log of a probe, if one was asked for.
pub(super) struct Log(Option<Output>);

impl Log {
    /// Creates the file.
    pub(super) fn create(file: Option<&Path>) -> anyhow::Result<Self> {
        Ok(Self(file.map(|file| open(Some(file))).transpose()?))
    }

    /// Writes a line.
    pub(super) fn write(&mut self, line: &impl Serialize) -> io::Result<()> {
        match &mut self.0 {
            Some(out) => log::write_line(out, line),
            None => Ok(()),
        }
    }

    /// Lets readers have what was written so far.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.0.as_mut().map_or(Ok(()), Write::flush)
    }
}
