//! `hdp trace`: at which hop each number disappears, from the sender alone.

use std::{io::Write as _, net::IpAddr, path::PathBuf, time::Duration};

use super::{Outcome, output, send, terminal};
use crate::{duration, findings::trace::Trace, protocols::List, report, source::Origin, trace};

/// At which hop each protocol number disappears, from the sender alone
///
/// A control, HDP in a valid UDP datagram with a rising TTL, draws the path. Each number is then sent
/// to the destination and to the hops that answer the control, again where it is not answered, until
/// its silence cannot be luck. Says "between hop 3 and hop 4", with the chance it rests on, and nothing
/// of hops that do not answer the control. Ctrl-C ends it with what is known.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// IPv4 or IPv6 address or host name; with --read, which of a capture's destinations
    #[arg(value_name = "DEST", required_unless_present = "read")]
    destination: Option<String>,

    /// Read a capture of a trace in place of making one, by whatever program: - is standard input
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["write", "protocols"])]
    read: Option<String>,

    /// Protocol numbers, such as 50,51,132 or 0-255
    #[arg(long, value_name = "LIST", default_value = "all")]
    protocols: List,

    /// Most probes of a number for a hop
    #[arg(short, long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    count: u32,

    /// The largest TTL or hop limit that draws the path
    #[arg(short, long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u8).range(1..64))]
    max_hops: u8,

    /// Pause between probes
    #[arg(long, value_name = "DURATION", default_value = "50ms", value_parser = duration::parse)]
    interval: Duration,

    /// How long an answer may take
    #[arg(short, long, value_name = "DURATION", default_value = "2s", value_parser = duration::parse)]
    wait: Duration,

    /// Send every number to every hop, in place of looking for the hop at which it disappears
    #[arg(long)]
    all_hops: bool,

    /// Payload
    #[arg(
        long,
        value_name = "TEXT",
        conflicts_with = "size",
        default_value = "hdp trace"
    )]
    payload: String,

    /// Payload of N bytes
    #[arg(long, value_name = "N")]
    size: Option<usize>,

    /// The first of the source ports that tell probes apart: eight of the control's UDP, then those in
    /// HDP's header
    #[arg(long, value_name = "PORT", default_value_t = 42_000)]
    src_port: u16,

    /// Source address, one of this host's own
    #[arg(long, value_name = "ADDRESS")]
    source: Option<IpAddr>,

    /// Differentiated services code point, 0 to 63
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..64))]
    dscp: u8,

    /// Write probes and answers to FILE, a capture (pcapng) that --read takes
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,

    /// How the answer is written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: output::ReportFormat,

    /// Write the answer to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(arguments: Arguments, use_color: bool) -> anyhow::Result<Outcome> {
    let mut out = output::open(arguments.output.as_deref())?;
    let layout = report::Layout {
        width: terminal::width(),
        color: use_color && arguments.output.is_none(),
        all: false,
        ascii: terminal::is_ascii(),
    };
    let format = arguments.format;
    let trace = match &arguments.read {
        Some(file) => read(file, &arguments)?,
        None => live(arguments)?,
    };
    let text = match format {
        output::ReportFormat::Table => report::trace_table(&trace, &layout),
        output::ReportFormat::Markdown => report::trace_markdown(&trace),
        output::ReportFormat::Csv => report::trace_csv(&trace),
        output::ReportFormat::Json => report::trace_json(&trace),
        output::ReportFormat::Html => report::trace_html(&trace, Some(&output::command())),
    };
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(Outcome::Done)
}

fn read(file: &str, arguments: &Arguments) -> anyhow::Result<Trace> {
    let destination = arguments.destination.as_deref();
    let destination = destination
        .map(|name| send::resolve(name, None))
        .transpose()?;
    let destination = destination.map(|address| address.ip());
    let (trace, warnings) = trace::read(Origin::from_argument(file), destination)?;
    for warning in warnings {
        eprintln!("hdp: warning: {file}: {warning}");
    }
    Ok(trace)
}

#[cfg(not(target_os = "linux"))]
fn live(_: Arguments) -> anyhow::Result<Trace> {
    anyhow::bail!("trace: probes are sent from Linux only; --read FILE takes a capture of some")
}

#[cfg(target_os = "linux")]
fn live(arguments: Arguments) -> anyhow::Result<Trace> {
    use std::io::{self, IsTerminal as _};

    use anyhow::Context;
    use indicatif::{ProgressBar, ProgressStyle};

    use crate::{
        probe::{self, Interrupt},
        report::span,
        source::now_ns,
        trace::{Progress, Run},
    };

    let write = arguments.write.clone();
    let options = options(arguments)?;
    let destination = options.destination.ip();
    let mut capture = write.as_deref().map(begin_capture).transpose()?;
    let count = options.numbers.len();
    let at_most = span(options.at_most());
    let interrupt = Interrupt::install().context("signals")?;
    let run = Run::open(options, &interrupt)?;
    probe::drop_capabilities().context("capabilities")?;
    let numbers = if count == 1 { "number" } else { "numbers" };
    eprintln!(
        "tracing {count} {numbers} to {destination}: {at_most} at most, longer where hops limit the \
         rate of their answers"
    );
    let bar = if io::stderr().is_terminal() {
        let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} numbers{msg}");
        ProgressBar::new(count as u64).with_style(style.expect("the template is right"))
    } else {
        ProgressBar::hidden()
    };
    let progress = |progress: &Progress| {
        bar.set_position(progress.settled as u64);
        let what = match progress.protocol {
            Some(protocol) => format!("number {protocol}"),
            None => "control".to_owned(),
        };
        let left = span(progress.left);
        bar.set_message(format!(
            ", {what} with TTL {}, about {left} left",
            progress.ttl
        ));
    };
    let packet = |time_ns, bytes: &[u8]| match &mut capture {
        Some(capture) => capture.packet(time_ns, bytes),
        None => Ok(()),
    };
    let started_ns = now_ns();
    let trace = run.run(&interrupt, packet, progress);
    bar.finish_and_clear();
    let trace = trace?;
    if let Some(capture) = capture {
        capture.end(Some((started_ns, now_ns())), None)?;
    }
    Ok(trace)
}

#[cfg(target_os = "linux")]
fn options(arguments: Arguments) -> anyhow::Result<trace::Options> {
    use anyhow::{Context as _, ensure};

    use crate::{
        probe::MAX_PAYLOAD,
        trace::{LARGEST_SOURCE_PORT, Options},
    };

    /// The control's UDP header takes as much.
    const UDP_HEADER_LEN: usize = 8;

    let most = MAX_PAYLOAD - UDP_HEADER_LEN;
    let payload: Vec<u8> = match arguments.size {
        Some(size) => {
            ensure!(
                size <= most,
                "--size: a probe has room for {most} bytes, not for more"
            );
            (b'a'..=b'z').cycle().take(size).collect()
        }
        None => arguments.payload.into_bytes(),
    };
    ensure!(
        payload.len() <= most,
        "--payload: a probe has room for {most} bytes, not for more"
    );
    ensure!(
        arguments.src_port <= LARGEST_SOURCE_PORT,
        "--src-port: probes take the ports behind it too; {LARGEST_SOURCE_PORT} is the largest"
    );
    let numbers: Result<Vec<u8>, _> = arguments.protocols.iter().map(u8::try_from).collect();
    let numbers = numbers
        .ok()
        .context("--protocols: numbers go up to 255 on the wire")?;
    let destination = arguments.destination.as_deref().unwrap_or_default();
    Ok(Options {
        destination: send::resolve(destination, arguments.source)?,
        numbers,
        count: arguments.count,
        max_hops: arguments.max_hops,
        all_hops: arguments.all_hops,
        interval: arguments.interval,
        wait: arguments.wait,
        source: arguments.source,
        source_port: arguments.src_port,
        dscp: arguments.dscp,
        payload,
    })
}

/// Begins the capture, whose one interface is the sockets.
#[cfg(target_os = "linux")]
fn begin_capture(
    file: &std::path::Path,
) -> anyhow::Result<crate::capture_file::CaptureFile<output::Output>> {
    use crate::{
        capture_file::CaptureFile,
        source::{Interface, LinkType},
    };

    let mut capture = CaptureFile::begin(output::open(Some(file))?)?;
    let sockets = Interface {
        name: None,
        link_type: LinkType::RAW,
        resolution_ns: 1,
    };
    capture.interface(&sockets, "probes and answers at raw sockets")?;
    Ok(capture)
}
