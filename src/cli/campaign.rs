//! `hdp campaign`: any number of paths.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, IsTerminal as _},
    num::NonZeroUsize,
    path::PathBuf,
};

use anyhow::Context as _;
#[cfg(feature = "parquet")]
use anyhow::ensure;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Outcome, output};
use crate::campaign::{
    self, JsonLines, Tally,
    manifest::{Entry, Line, Lines},
};
#[cfg(feature = "parquet")]
use crate::{campaign::folder::Folder, findings::Findings, report::units::grouped};

/// What do thousands of paths do to each protocol number? Judges each as hdp path does
///
/// MANIFEST is JSON Lines, a path each, with the FILEs that hdp path would be given: { "id": "a-1", "points":
/// ["a.pcap", "b.pcap"], "options": { "wait": "5s" }, "tags": { "site": "a" } }. Options are those of
/// hdp path by their long names: window, wait, clock-error, protocols, order, filter, bounded. A path that
/// cannot be read gives its error as its result, and the others go on.
#[derive(Debug, clap::Args)]
#[expect(clippy::doc_link_with_quotes, reason = "what a user reads is JSON")]
pub(super) struct Arguments {
    /// The paths; - is standard input, of which each line is answered as it comes
    #[arg(value_name = "MANIFEST")]
    manifest: String,

    /// How the results are written
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,

    /// The folder of the tables, or the FILE that lines are written to instead of standard output
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// Write the table of packets too, a row for each
    #[cfg(feature = "parquet")]
    #[arg(long)]
    packets: bool,

    /// Judge so many paths at once; as many as there are processors if not given
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,

    /// Exit with status 1 when any path could not be read
    #[arg(long)]
    exit_code: bool,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a path, in the order of the manifest: id, tags, error, and what path --format json
    /// has; where there is no -o
    Jsonl,
    /// Tables in -o DIR, DIR/TABLE/date=YYYY-MM-DD/*.parquet: runs, verdicts, packets. Started again, it does
    /// what is missing
    #[cfg(feature = "parquet")]
    Parquet,
}

impl Arguments {
    fn format(&self) -> Format {
        #[cfg(feature = "parquet")]
        if self.output.is_some() {
            return self.format.unwrap_or(Format::Parquet);
        }
        self.format.unwrap_or(Format::Jsonl)
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let name = arguments.manifest.as_str();
    let jobs = arguments.jobs.unwrap_or_else(campaign::processors);
    let tally = match arguments.format() {
        Format::Jsonl => {
            #[cfg(feature = "parquet")]
            ensure!(
                !arguments.packets,
                "--packets: is a table; name a folder for tables with -o, without --format jsonl"
            );
            let paths = look_through(name, |_| Ok(()))?;
            let out = output::open(arguments.output.as_deref())?;
            let bar = Bar::start(paths);
            let sinks = JsonLines::sinks(out, jobs);
            campaign::run(lines(name)?, sinks, &|tally| bar.tell(tally))?
        }
        #[cfg(feature = "parquet")]
        Format::Parquet => into_tables(arguments, jobs)?,
    };
    Ok(if arguments.exit_code && tally.failed > 0 {
        Outcome::ExitCode
    } else {
        Outcome::Done
    })
}

#[cfg(feature = "parquet")]
fn into_tables(arguments: &Arguments, jobs: NonZeroUsize) -> anyhow::Result<Tally> {
    let name = arguments.manifest.as_str();
    let folder = arguments
        .output
        .as_deref()
        .context("--format parquet: name a folder for the tables with -o")?;
    let tables = Folder::open(folder, arguments.packets)?;
    let mut done = 0;
    let paths = look_through(name, |entry| {
        done += u64::from(tables.holds(entry)?);
        Ok(())
    })?;
    for ruleset in tables
        .rulesets()
        .filter(|&of| of != i64::from(Findings::RULESET))
    {
        eprintln!(
            "hdp: warning: {}: has paths that were judged by ruleset {ruleset}; this is {}",
            folder.display(),
            Findings::RULESET
        );
    }
    let missing = lines(name)?.unique().filter_map(|line| {
        let entry = line.as_ref().ok().and_then(|line| line.entry.as_ref().ok());
        match entry.map_or(Ok(false), |entry| tables.holds(entry)) {
            Ok(true) => None,
            Ok(false) => Some(line),
            Err(error) => Some(Err(io::Error::other(error))),
        }
    });
    let bar = Bar::start(paths.map(|paths| paths - done));
    let tally = campaign::run(missing, tables.sinks(jobs), &|tally| bar.tell(tally))?;
    drop(bar);
    let folder = folder.display();
    let judged = grouped(tally.paths - tally.failed);
    let failed = match tally.failed {
        0 => "none".to_owned(),
        failed => grouped(failed),
    };
    let before = match done {
        0 => String::new(),
        done => format!("; {} were done before", grouped(done)),
    };
    eprintln!("hdp: {folder}: {judged} paths judged, {failed} failed{before}");
    Ok(tally)
}

/// What standard input is called in errors.
const STDIN: &str = "standard input";

fn lines(name: &str) -> anyhow::Result<Lines<Box<dyn BufRead + Send>>> {
    let said = if name == "-" { STDIN } else { name };
    Ok(Lines::new(said, open(name)?))
}

fn open(name: &str) -> anyhow::Result<Box<dyn BufRead + Send>> {
    if name == "-" {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file = File::open(name).with_context(|| format!("{name}: cannot open"))?;
    Ok(Box::new(BufReader::new(file)))
}

/// How many paths a manifest names, each of them well; `None` where it can only be read once, and its
/// errors are results.
fn look_through(
    name: &str,
    mut look: impl FnMut(&Entry) -> anyhow::Result<()>,
) -> anyhow::Result<Option<u64>> {
    if name == "-" || fs::metadata(name).is_ok_and(|file| !file.is_file() && !file.is_dir()) {
        return Ok(None);
    }
    let mut paths = 0;
    for line in lines(name)?.unique() {
        let Line { entry, .. } = line?;
        look(&entry?)?;
        paths += 1;
    }
    Ok(Some(paths))
}

/// How many paths are done, on a terminal.
struct Bar(ProgressBar);

impl Bar {
    fn start(paths: Option<u64>) -> Self {
        if !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let (bar, style) = match paths {
            Some(paths) => (
                ProgressBar::new(paths),
                "{wide_bar} {human_pos} of {human_len} paths{msg}, {eta} left",
            ),
            None => (ProgressBar::no_length(), "{human_pos} paths{msg}"),
        };
        let style = ProgressStyle::with_template(style).expect("the template is right");
        Self(bar.with_style(style))
    }

    fn tell(&self, tally: Tally) {
        self.0.set_position(tally.paths);
        if tally.failed > 0 {
            self.0.set_message(format!(", {} failed", tally.failed));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
