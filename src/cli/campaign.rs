//! `hdp campaign`: any number of paths.

use std::{
    io::{self, IsTerminal as _},
    num::NonZeroUsize,
    path::PathBuf,
};

#[cfg(feature = "parquet")]
use anyhow::Context as _;
use anyhow::ensure;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

use super::{Outcome, output};
#[cfg(feature = "parquet")]
use crate::{campaign::folder::Folder, findings::Findings, report::units::grouped};
use crate::{
    campaign::{self, JsonLines, Tally, manifest},
    source::Origin,
};

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

    /// The folder of the tables, or the FILE that lines are written to (something.jsonl)
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
    /// has; where there is no -o, or -o something.jsonl
    Jsonl,
    /// Tables in -o DIR, DIR/TABLE/date=YYYY-MM-DD/*.parquet: runs, verdicts, packets. Started again, it does
    /// what is missing
    #[cfg(feature = "parquet")]
    Parquet,
}

impl Arguments {
    fn format(&self) -> Format {
        #[cfg(feature = "parquet")]
        if let Some(output) = &self.output
            && output.extension().is_none_or(|ending| ending != "jsonl")
        {
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
            let paths = manifest::look_through(name, |_| Ok(()))?;
            let manifest = Origin::from_argument(name);
            if let Some(output) = &arguments.output {
                ensure!(
                    !manifest.is_same_as(&Origin::Path(output.clone())),
                    "{name}: is the manifest; writing the lines there would destroy it"
                );
            }
            let out = output::open(arguments.output.as_deref())?;
            let bar = Bar::start(paths);
            let sinks = JsonLines::sinks(out, jobs);
            campaign::run(manifest::open(name)?, sinks, &|tally| bar.tell(tally))?
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
    let paths = manifest::look_through(name, |entry| {
        done += u64::from(tables.holds(entry).map_err(io::Error::other)?);
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
    let missing = tables.missing(manifest::open(name)?.unique());
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
        Self(bar.with_style(style).with_finish(ProgressFinish::AndClear))
    }

    fn tell(&self, tally: Tally) {
        self.0.set_position(tally.paths);
        if tally.failed > 0 {
            self.0.set_message(format!(", {} failed", tally.failed));
        }
    }
}
