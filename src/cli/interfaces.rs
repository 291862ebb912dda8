//! `hdp interfaces`: what can be captured from here.

#[cfg(feature = "libpcap")]
use std::io::Write as _;
use std::path::PathBuf;

#[cfg(feature = "libpcap")]
use super::terminal;
use super::{Outcome, output};
#[cfg(feature = "libpcap")]
use crate::{report, source};

/// What can be captured from here, and why not where not
///
/// Each interface is captured from for a moment, in silence.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// How the table is written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: output::Format,

    /// Write the table to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[cfg(feature = "libpcap")]
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    use serde::Serialize;

    #[derive(Serialize)]
    struct Answer {
        schema_version: u32,
        generator: &'static str,
        interfaces: Vec<source::Device>,
    }

    let mut out = output::open(arguments.output.as_deref())?;
    let devices = source::devices().map_err(|why| anyhow::anyhow!("interfaces: {why}"))?;
    let width = terminal::width();
    let text = match arguments.format {
        output::Format::Table => report::interfaces_table(&devices, width),
        output::Format::Markdown => report::interfaces_markdown(&devices),
        output::Format::Csv => report::interfaces_csv(&devices),
        output::Format::Json => report::json_of(&Answer {
            schema_version: 1,
            generator: concat!("hdp ", env!("CARGO_PKG_VERSION")),
            interfaces: devices,
        }),
    };
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(Outcome::Done)
}

/// Says that nothing can.
#[cfg(not(feature = "libpcap"))]
pub(super) fn run(_: &Arguments) -> anyhow::Result<Outcome> {
    anyhow::bail!("interfaces: this hdp was built without libpcap, so it captures from none")
}
