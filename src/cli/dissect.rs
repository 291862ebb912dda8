//! `hdp dissect`: every HDP packet of a capture, for a person or a script to read.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::bail;
use clap::ValueEnum;

use super::{
    Outcome, duration,
    output::{self, Output},
};
#[cfg(feature = "libpcap")]
use crate::source::Filter;
use crate::{
    decode::Decoder,
    dissect::{Packet, Tally, hex, json, line, tree},
    protocols,
    source::{Origin, Source, Summary},
};

/// Decode HDP, one line a packet
///
/// Times are UTC. `delay` is the capture time less the packet's own timestamp.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Capture file (pcap, pcapng; also in gzip or zstd), FIFO, or - for standard input
    #[arg(value_name = "SOURCE")]
    source: String,

    /// Show every header as a tree, with the bytes it was read from
    #[arg(short = 'V', long)]
    tree: bool,

    /// Show the bytes of the whole frame, whose offsets are those of the tree
    #[arg(long)]
    hex: bool,

    /// Lines to read, or one JSON object a packet
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,

    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Stop after N packets
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Look only at frames that match this pcap filter
    #[cfg(feature = "libpcap")]
    #[arg(short, long, value_name = "EXPR")]
    filter: Option<String>,

    /// Show only packets under these protocol numbers, like 6,17,250-255
    #[arg(long, value_name = "LIST")]
    protocols: Option<protocols::List>,

    /// How far the timestamp may lie from the capture time to be called HDP's
    #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = duration::parse)]
    window: Duration,
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
    let origin = Origin::from_argument(&arguments.source);
    if let Some(path) = &arguments.output
        && origin.is_same_as(&Origin::Path(path.clone()))
    {
        bail!("{origin}: is the source; writing the results there would destroy it");
    }
    let is_live = is_live(&origin);
    let mut source = Source::open(origin.clone())?;
    let mut output = output::open(arguments.output.as_deref())?;
    let is_watched = is_live || output.is_terminal();

    let tally = dissect(arguments, &mut source, &mut output, is_watched)?;
    output.flush()?;

    if let Some(link_type) = tally.undecodable() {
        bail!(
            "{origin}: link type {link_type} cannot be decoded; capture on an Ethernet, cooked \
             (-i any) or raw IP interface"
        );
    }
    report(&origin, source.summary(), &tally);
    Ok(Outcome::Done)
}

fn dissect(
    arguments: &Arguments,
    source: &mut Source,
    output: &mut Output,
    is_watched: bool,
) -> anyhow::Result<Tally> {
    #[cfg(feature = "libpcap")]
    let mut filter = arguments
        .filter
        .as_ref()
        .map(|expression| Filter::new(expression, source.origin()));
    let window_ns = u64::try_from(arguments.window.as_nanos()).unwrap_or(u64::MAX);
    let mut decoder = Decoder::new(window_ns);
    let mut tally = Tally::default();
    while let Some((frame, interface)) = source.next_with_interface() {
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
        arguments.print(&packet, output)?;
        if is_watched {
            output.flush()?;
        }
        tally.show(&datagram);
        if arguments.count == Some(tally.shown()) {
            break;
        }
    }
    Ok(tally)
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
    if let Some(drops @ 1..) = summary.capture_drops {
        lines.push(format!(
            "hdp: warning: {origin}: the capture itself dropped frames: {drops}"
        ));
    }
    if tally.skipped() > 0 || tally.shown() == 0 {
        lines.push(tally.to_string());
    }
    for line in lines {
        // Nobody may be listening.
        let _ = writeln!(io::stderr(), "{line}");
    }
}
