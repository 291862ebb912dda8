//! `hdp diff`: two results compared.

use std::{fs, io::Read as _, io::Write as _, path::PathBuf};

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Outcome,
    output::{self, ReportFormat},
    terminal,
};
use crate::{diff, printable::printable_json, report, shell, source::Origin, source::Recording};

/// What does the path do otherwise than before? Compares two results of path or trace
///
/// BEFORE and AFTER are what hdp path or hdp trace wrote with --format json. A number has changed where
/// Fisher's exact test, or what the other numbers tell of the path, leaves less than a chance of 0.001
/// among all numbers that it has not; what differs less is listed as perhaps changed.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The earlier result, JSON; - is standard input
    before: String,

    /// The later one
    after: String,

    /// How the comparison is written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ReportFormat,

    /// Write the comparison to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Show a row for numbers that did not change too
    #[arg(long)]
    all: bool,

    /// Exit with status 1 when any protocol number changed
    #[arg(long)]
    exit_code: bool,
}

/// A result, of whichever command.
enum Read {
    Path(Box<crate::findings::Findings>),
    Trace(Box<crate::findings::trace::Trace>),
}

pub(super) fn run(arguments: &Arguments, use_color: bool) -> anyhow::Result<Outcome> {
    let (before, after) = (&arguments.before, &arguments.after);
    let difference = match (read(before)?, read(after)?) {
        (Read::Path(before), Read::Path(after)) => diff::of_paths(&before, &after),
        (Read::Trace(before), Read::Trace(after)) => diff::of_traces(&before, &after),
        _ => bail!("{before} and {after}: one is a result of hdp path, the other one of hdp trace"),
    };
    let mut out = output::open(arguments.output.as_deref())?;
    let layout = report::Layout {
        width: terminal::width(),
        color: use_color && arguments.output.is_none(),
        all: arguments.all,
        ascii: terminal::is_ascii(),
    };
    let text = match arguments.format {
        ReportFormat::Table => report::difference_table(&difference, &layout),
        ReportFormat::Markdown => report::difference_markdown(&difference, arguments.all),
        ReportFormat::Csv => report::difference_csv(&difference),
        ReportFormat::Json => report::difference_json(&difference),
        ReportFormat::Html => {
            report::difference_html(&difference, arguments.all, Some(&output::command()))
        }
    };
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(if arguments.exit_code && difference.has_changes() {
        Outcome::ExitCode
    } else {
        Outcome::Done
    })
}

/// Reads a result, told by its members.
fn read(name: &str) -> anyhow::Result<Read> {
    let mut bytes = Vec::new();
    match name {
        "-" => std::io::stdin().read_to_end(&mut bytes).map(|_| ()),
        file => fs::read(file).map(|read| bytes = read),
    }
    .with_context(|| format!("{name}: cannot read"))?;
    let value: Value = match serde_json::from_slice(&bytes) {
        Ok(value) => printable_json(value),
        Err(_) if name != "-" && Recording::open(Origin::from_argument(name)).is_ok() => {
            let name = shell::quoted(name);
            bail!(
                "{name}: is a capture or a log; two of them from different runs are no two results: hdp path \
                 --format json writes one from the captures of one run"
            )
        }
        Err(error) => bail!("{name}: is no result of hdp path or hdp trace: {error}"),
    };
    if value.get("directions").is_some() {
        Ok(Read::Path(Box::new(result(name, value)?)))
    } else if value.get("hops").is_some() {
        Ok(Read::Trace(Box::new(result(name, value)?)))
    } else {
        bail!(
            "{name}: is no result of hdp path or hdp trace: has neither directions nor hops; --format json \
             writes one"
        )
    }
}

fn result<T: DeserializeOwned>(name: &str, value: Value) -> anyhow::Result<T> {
    let generator = value.get("generator").and_then(Value::as_str);
    let generator = generator.unwrap_or("another program").to_owned();
    serde_json::from_value(value).map_err(|error| {
        anyhow::anyhow!(
            "{name}: cannot be compared: {error} (written by {generator}); judge its captures again"
        )
    })
}
