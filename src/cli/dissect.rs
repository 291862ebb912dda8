//! `hdp dissect`: every HDP packet of a capture or an interface, for a person or a script to read.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::ValueEnum;

use super::{
    Outcome,
    live::{self, Run},
    output::{self, Output},
    progress::Bar,
};
#[cfg(feature = "libpcap")]
use crate::source::Filter;
use crate::{
    capture_file::CaptureFile,
    decode::Decoder,
    dissect::{Packet, Tally, hex, json, line, tree},
    duration,
    path::{KernelFilter, capture_from, nanoseconds},
    probe, protocols,
    source::{Origin, Source, Summary, now_ns},
};

/// Decode HDP, one line per packet
///
/// Times are UTC. `delay` is the capture time less the packet's own timestamp.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Capture file (pcap, pcapng; also in gzip or zstd), FIFO, - for standard input, or live:IFACE
    #[arg(
        value_name = "SOURCE",
        required_unless_present = "interface",
        conflicts_with = "interface"
    )]
    source: Option<String>,

    /// Capture from this interface (any: from all) until Ctrl-C; the same as live:IFACE
    #[arg(short, long, value_name = "IFACE")]
    interface: Option<String>,

    /// Show every header as a tree, with the bytes it was read from
    #[arg(short = 'V', long)]
    tree: bool,

    /// Show the bytes of the whole frame, whose offsets are those of the tree
    #[arg(long)]
    hex: bool,

    /// Lines to read, or one JSON object per packet
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,

    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Write the frames of the packets that are shown to FILE, a capture (pcapng); - is standard
    /// output, in place of the lines
    #[arg(short, long, value_name = "FILE")]
    write: Option<PathBuf>,

    /// Stop after N packets
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Look only at frames that match this pcap filter
    #[cfg(feature = "libpcap")]
    #[arg(short, long, value_name = "EXPR")]
    filter: Option<String>,

    /// Show only packets under these protocol numbers, like 6,17,250-255
    #[arg(long, value_name = "LIST", value_parser = protocols::on_the_wire)]
    protocols: Option<protocols::List>,

    /// How far the timestamp may lie from the capture time to be called HDP's
    #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = duration::parse)]
    window: Duration,

    #[command(flatten)]
    live: live::Capture,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// For scripts
    Jsonl,
}

impl Arguments {
    fn print(&self, packet: &Packet<'_>, out: &mut impl io::Write) -> io::Result<()> {
        match self.format {
            Format::Jsonl => return json::write(packet, out),
            Format::Text if self.tree => tree::write(packet, out)?,
            Format::Text => line::write(packet, out)?,
        }
        if self.hex {
            hex::write(packet, out)?;
        }
        Ok(())
    }

    fn origin(&self) -> Origin {
        match (&self.source, &self.interface) {
            (_, Some(interface)) => Origin::Live(interface.clone()),
            (Some(source), None) => Origin::from_argument(source),
            (None, None) => unreachable!("one of them is required"),
        }
    }

    /// Starts to capture.
    fn capture(&self, interface: &str) -> anyhow::Result<Source> {
        #[cfg(feature = "libpcap")]
        let filter = self.filter.as_deref();
        #[cfg(not(feature = "libpcap"))]
        let filter = None;
        let filter = KernelFilter::new(filter, now_ns(), nanoseconds(self.window));
        let source = capture_from(interface, Some(&filter.expression), &self.live.options())?;
        live::say_capturing(interface, &source.summary().link_types);
        if filter.is_default {
            live::say_default_filter(&filter.expression);
        }
        Ok(source)
    }

    fn wants(&self, protocol: u8) -> bool {
        self.protocols
            .as_ref()
            .is_none_or(|list| list.on_the_wire(protocol))
    }
}

/// Prints the packets as they come, then to standard error what was passed over.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    if arguments.format == Format::Jsonl && (arguments.tree || arguments.hex) {
        bail!("--format jsonl: has neither tree nor hex dump; leave -V and --hex out");
    }
    let origin = arguments.origin();
    for path in [&arguments.output, &arguments.write].into_iter().flatten() {
        if origin.is_same_as(&Origin::Path(path.clone())) {
            bail!("{origin}: is the source; writing the results there would destroy it");
        }
    }
    let (mut source, run) = if let Origin::Live(interface) = &origin {
        let run = arguments.live.begin()?;
        (arguments.capture(interface)?, Some(run))
    } else {
        arguments.live.refuse(false)?;
        (Source::open(origin.clone())?, None)
    };
    let mut sinks = Sinks::open(arguments, &source)?;
    if run.is_some() {
        probe::drop_capabilities().context("capabilities")?;
    }

    let bar = if sinks.is_watched {
        Bar::none()
    } else {
        Bar::start()
    };
    if let Some(file) = source.progress() {
        bar.watch(file);
    }
    let tally = dissect(arguments, &mut source, &mut sinks, run.as_deref())?;
    drop(bar);
    sinks.end(source.summary())?;

    if let Some(link_type) = tally.undecodable() {
        bail!(
            "{origin}: link type {link_type} cannot be decoded; capture on an Ethernet, cooked \
             (-i any) or raw IP interface"
        );
    }
    report(&origin, source.summary(), &tally);
    Ok(Outcome::Done)
}

/// Where packets go.
struct Sinks {
    lines: Option<Output>,
    capture: Option<CaptureFile<Output>>,
    /// Somebody may be waiting for each packet.
    is_watched: bool,
}

impl Sinks {
    fn open(arguments: &Arguments, source: &Source) -> anyhow::Result<Self> {
        let write = arguments.write.as_deref();
        let to_stdout = write.is_some_and(output::is_stdout);
        let lines = if to_stdout && arguments.output.is_none() {
            None
        } else {
            Some(output::open(arguments.output.as_deref())?)
        };
        let mut capture = None;
        if let Some(file) = write {
            let out = output::open(Some(file))?;
            let capture = capture.insert(CaptureFile::begin(out)?);
            // Where it is known already, so that a capture of nothing has its interface too.
            if let Some(first) = source.summary().interfaces.first() {
                capture.interface(first, "")?;
            }
            capture.flush()?;
        }
        Ok(Self {
            is_watched: is_live(source.origin()) || lines.as_ref().is_some_and(Output::is_terminal),
            lines,
            capture,
        })
    }

    fn packet(&mut self, arguments: &Arguments, packet: &Packet<'_>) -> io::Result<()> {
        if let Some(lines) = &mut self.lines {
            arguments.print(packet, lines)?;
        }
        if let Some(capture) = &mut self.capture {
            capture.frame(&packet.frame, packet.interface)?;
        }
        if self.is_watched {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(lines) = &mut self.lines {
            lines.flush()?;
        }
        self.capture.as_mut().map_or(Ok(()), CaptureFile::flush)
    }

    fn end(mut self, summary: &Summary) -> io::Result<()> {
        self.flush()?;
        match self.capture {
            Some(capture) => capture.end(summary.watched_ns, summary.capture_drops),
            None => Ok(()),
        }
    }
}

fn dissect(
    arguments: &Arguments,
    source: &mut Source,
    sinks: &mut Sinks,
    run: Option<&Run>,
) -> anyhow::Result<Tally> {
    // The filter of a live capture is the kernel's business.
    #[cfg(feature = "libpcap")]
    let mut filter = arguments
        .filter
        .as_ref()
        .filter(|_| run.is_none())
        .map(|expression| Filter::new(expression, source.origin()));
    let mut decoder = Decoder::new(nanoseconds(arguments.window));
    let mut tally = Tally::default();
    loop {
        if run.is_some_and(Run::is_over) {
            source.stop();
        }
        if !source.wait() {
            continue;
        }
        let Some((frame, interface)) = source.next_with_interface() else {
            return Ok(tally);
        };
        #[cfg(feature = "libpcap")]
        if let Some(filter) = &mut filter
            && !filter.matches(&frame)?
        {
            continue;
        }
        let datagram = match decoder.decode(&frame) {
            Ok(datagram) => datagram,
            Err(skip) => {
                tally.skip(&skip);
                continue;
            }
        };
        if !arguments.wants(datagram.protocol) {
            tally.leave_out();
            continue;
        }
        let packet = Packet {
            frame,
            interface,
            datagram,
            layers: decoder.layers(),
        };
        sinks.packet(arguments, &packet)?;
        tally.show(&datagram);
        if arguments.count == Some(tally.shown()) {
            source.stop();
            return Ok(tally);
        }
    }
}

/// Whether packets may come later than they are asked for.
fn is_live(origin: &Origin) -> bool {
    let path = match origin {
        Origin::Stdin => Path::new("/dev/stdin"),
        Origin::Path(path) => path,
        Origin::Live(_) => return true,
    };
    fs::metadata(path).map_or(true, |metadata| !metadata.is_file())
}

/// What a reader of the results should know, to standard error.
fn report(origin: &Origin, summary: &Summary, tally: &Tally) {
    let mut lines: Vec<String> = summary
        .warnings
        .iter()
        .map(|warning| format!("hdp: warning: {origin}: {warning}"))
        .collect();
    if origin.is_live() {
        let drops = summary.capture_drops;
        lines.push(tally.to_string());
        lines.push(format!(
            "{} frames captured, {} dropped by the kernel",
            tally.frames(),
            drops.map_or("an unknown number".to_owned(), |drops| drops.to_string()),
        ));
    } else if let Some(drops @ 1..) = summary.capture_drops {
        lines.push(format!(
            "hdp: warning: {origin}: the capture itself dropped frames: {drops}"
        ));
    }
    if !origin.is_live() && (tally.skipped() > 0 || tally.shown() == 0) {
        lines.push(tally.to_string());
    }
    for line in lines {
        // Nobody may be listening.
        let _ = writeln!(io::stderr(), "{line}");
    }
}
