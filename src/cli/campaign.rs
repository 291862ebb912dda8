//! `hdp campaign`: any number of paths.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal as _},
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Outcome, heap, output};
use crate::campaign::{
    self, JsonLines, Tally,
    manifest::{Line, Lines},
};

/// What do thousands of paths do to each protocol number? Judges each as hdp path does
///
/// MANIFEST is JSON Lines, a path each: { "id": "a-1", "points": ["client=a.pcap", "server=b.pcap"],
/// "options": { "wait": "5s" }, "tags": { "site": "a" } }. Options are those of hdp path by their long
/// names: window, wait, clock_error, protocols, order, filter, bounded. A path that cannot be read gives
/// its error as its result, and the others go on.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The paths; - is standard input, of which each line is answered as it comes
    #[arg(value_name = "MANIFEST")]
    manifest: String,

    /// How the results are written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,

    /// Write the lines to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Judge so many paths at once; as many as there are processors if not given
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,

    /// Exit with status 1 when any path could not be read
    #[arg(long)]
    exit_code: bool,
}

/// How results are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a path, in the order of the manifest: id, tags, error, and what path --format json has
    #[default]
    Jsonl,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let name = arguments.manifest.as_str();
    // What can be read twice is looked through before anything is judged.
    let is_stream = name == "-" || !Path::new(name).is_file();
    let paths = if is_stream {
        None
    } else {
        Some(look_through(name)?)
    };
    let jobs = arguments.jobs.unwrap_or_else(campaign::processors);
    heap::share();
    let lines = Lines::new(name, open(name)?);
    let bar = Bar::start(paths);
    let told = |tally| bar.tell(tally);
    let tally = match arguments.format {
        Format::Jsonl => {
            let out = output::open(arguments.output.as_deref())?;
            campaign::run(lines, JsonLines::sinks(out, jobs), &told)?
        }
    };
    bar.end();
    Ok(if arguments.exit_code && tally.failed > 0 {
        Outcome::ExitCode
    } else {
        Outcome::Done
    })
}

fn open(name: &str) -> anyhow::Result<Box<dyn BufRead + Send>> {
    if name == "-" {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file = File::open(name).with_context(|| format!("{name}: cannot open"))?;
    Ok(Box::new(BufReader::new(file)))
}

/// How many paths a manifest names, each of them well.
fn look_through(name: &str) -> anyhow::Result<u64> {
    let mut paths = 0;
    for line in Lines::new(name, open(name)?).unique() {
        let Line { entry, .. } = line?;
        entry?;
        paths += 1;
    }
    Ok(paths)
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

    fn end(self) {
        self.0.finish_and_clear();
    }
}
