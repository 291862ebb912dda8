//! `hdp path`: what was typed, what it means, and the stages in their order.

#[cfg(feature = "view")]
use std::collections::{BTreeMap, VecDeque};
use std::{
    fs::File,
    io::{BufWriter, Write},
    mem,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use anyhow::{anyhow, ensure};
use clap::ValueEnum;

use super::{
    Outcome, heap, live,
    output::{self, Output, ReportFormat},
    progress::Bar,
    terminal, view,
};
use crate::{
    anonymize::Anonymizer,
    duration,
    explain::Explanation,
    findings::{Findings, Packet, Verdict, Warning},
    path::{self, Annotation, Event, Frames, Memory, Options, Points, Room, Session, Subject},
    probe, protocols,
    report::{self, PacketFile, whole::Unfinished},
    source::Origin,
    trace,
};

/// Where did each protocol number disappear? Compares captures from along a path
///
/// Each SOURCE is an observation point, in path order, the sender's end first: a capture file
/// (pcap or pcapng, also in gzip or zstd) or a log of hdp send or hdp listen, a FIFO such as <(ssh server cat server.pcap), - for
/// standard input, or live:IFACE, which is captured from until Ctrl-C. What the file is called does not matter. A capture of what netfilter logged (tcpdump -i nflog:5, or
/// live:nflog:5 beside interfaces) is a drop witness, no point of the path: it names the rule that took a packet.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch")]
pub(super) struct Arguments {
    /// Observation points in path order; NAME labels the point in the report
    #[arg(value_name = "[NAME=]SOURCE", required = true)]
    sources: Vec<String>,

    /// Take the points in the order given, or in the order that their packets show
    #[arg(long, value_enum, default_value_t, value_name = "ORDER")]
    order: Order,

    /// How the findings are written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ReportFormat,

    /// Write the findings to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Write the fate of every packet to FILE, one JSON object per line, or as a table where it is called
    /// something.parquet; - is standard output, instead of the report
    #[arg(long, value_name = "FILE")]
    packets: Option<PathBuf>,

    /// Write all captures into FILE, one pcapng on the first point's clock, the fate of each packet
    /// as a comment on its frames; - is standard output, instead of the report
    #[arg(long, value_name = "FILE")]
    annotate: Option<PathBuf>,

    /// Write the frames of the lost packets into FILE, as the last point that saw them captured them
    #[arg(long, value_name = "FILE")]
    write_lost: Option<PathBuf>,

    /// In --annotate and --write-lost, frames as captured, or beginning with IP: one link type, which
    /// tcpdump, Zeek and Suricata need
    #[arg(long, value_enum, default_value_t, value_name = "TYPE")]
    link_type: LinkType,

    /// Replace addresses in all that is written, prefixes kept, by a random key; cut payloads of frames
    #[arg(long, conflicts_with = "explain")]
    anonymize: bool,

    /// The same by this key, 64 hexadecimal digits: then addresses become the same ones again
    #[arg(long, value_name = "KEY", conflicts_with = "explain")]
    anonymize_key: Option<Anonymizer>,

    /// Explain one packet instead: by its HDP timestamp, a time as it is printed, or a frame of a point
    ///
    /// Where it was seen, what changed on the way, what became of it, and how to check that.
    #[arg(long, value_name = "TIMESTAMP|TIME|POINT:FRAME", conflicts_with_all = ["packets", "annotate", "write_lost", "protocols", "all", "exit_code"])]
    explain: Option<Subject>,

    /// Report only these numbers, such as 6,17,250-255; the others still serve for comparison
    #[arg(long, value_name = "LIST", value_parser = protocols::on_the_wire)]
    protocols: Option<protocols::List>,

    /// Take a packet for HDP if its timestamp lies within this of its capture time
    #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = duration::parse)]
    window: std::time::Duration,

    /// An arrival later than this is late, not delivered (Tmax of RFC 7680)
    #[arg(long, value_name = "DURATION", default_value = "51s", value_parser = duration::parse)]
    wait: std::time::Duration,

    /// Assume the clocks agree within this where no packet compares them; otherwise nothing is judged
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    clock_error: Option<std::time::Duration>,

    /// Leave out the SHA-256 of the files, which json and html have: where reading is fast, it takes longer
    #[arg(long)]
    no_digest: bool,

    /// Look through the findings of files on the terminal before they are written, as pipes and interfaces
    /// are while they are read
    #[cfg(feature = "view")]
    #[arg(long, conflicts_with_all = ["bounded", "explain", "annotate", "write_lost", "packets", "anonymize", "anonymize_key"])]
    view: bool,

    /// Show a row for each number, including those that passed
    #[arg(long)]
    all: bool,

    /// Exit with status 1 when any protocol number did not pass
    #[arg(long)]
    exit_code: bool,

    /// Look only at frames that pass this pcap filter
    #[cfg(feature = "libpcap")]
    #[arg(short, long, value_name = "EXPR")]
    filter: Option<String>,

    /// Read files in bounded memory, as pipes and interfaces always are
    ///
    /// Two points take 64 MiB at most, however many packets there are. Packets that every point saw are
    /// forgotten at once, the others once their fate is certain. In return, delays of numbers with
    /// many packets are rounded to 1 %, runs of losses are unknown, and copies that come much later
    /// than the packet are not counted.
    #[arg(long, conflicts_with_all = ["packets", "annotate", "write_lost", "explain"])]
    bounded: bool,

    #[command(flatten)]
    live: live::Capture,

    /// Stop once N packets were captured at a point, or read from a pipe
    #[arg(short, long, value_name = "N", help_heading = "Live capture", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Save each capture as DIR/POINT.pcapng
    #[arg(long, value_name = "DIR", help_heading = "Live capture")]
    save: Option<PathBuf>,
}

/// How frames are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum LinkType {
    /// As they were captured
    #[default]
    Captured,
    /// From their IP header on; those without are left out
    Raw,
}

/// In which order the points are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Order {
    /// As they are given
    #[default]
    Given,
    /// As the packets show it, by TTL and direction; as given where they do not
    Auto,
}

impl From<Order> for path::Order {
    fn from(order: Order) -> Self {
        match order {
            Order::Given => Self::Given,
            Order::Auto => Self::Auto,
        }
    }
}

impl Arguments {
    fn anonymizer(&self) -> Option<Anonymizer> {
        let random = || self.anonymize.then(Anonymizer::random);
        self.anonymize_key.clone().or_else(random)
    }

    /// What is asked of reading and judging.
    fn options(&self, points: &Points) -> anyhow::Result<Options> {
        ensure!(
            !(self.bounded && self.order == Order::Auto),
            "--bounded: points are put in order by all their packets; leave out --order auto"
        );
        let needs_packets = self.explain.is_some() || self.packets.is_some();
        let mut options = Options {
            window: self.window,
            wait: self.wait,
            clock_error: self.clock_error,
            protocols: self.protocols.clone(),
            order: self.order.into(),
            digest: !self.no_digest
                && matches!(self.format, ReportFormat::Json | ReportFormat::Html),
            memory: match (self.bounded, needs_packets && points.have_streams()) {
                (true, _) => Memory::Bounded(Room::default()),
                (false, true) => Memory::Unbounded,
                (false, false) => Memory::Automatic,
            },
            raw_frames: self.link_type == LinkType::Raw,
            anonymizer: self.anonymizer(),
            #[cfg(feature = "libpcap")]
            filter: self.filter.clone(),
            capture: path::Capture {
                save: self.save.clone(),
                ..self.live.options()
            },
            count: self.count,
            ..Options::default()
        };
        let has_streams = points.have_streams();
        if !points.have_interfaces() {
            self.live.refuse(has_streams)?;
            live::refuse_if(self.count.is_some() && !has_streams, "--count")?;
            live::refuse_if(self.save.is_some(), "--save")?;
        }
        let bar = if has_streams {
            Bar::none()
        } else {
            Bar::start()
        };
        options.events = Some(Arc::new(move |event| say(&bar, event)));
        if has_streams {
            options.until = Some(self.live.begin()?.until());
            options.sandbox = Some(Arc::new(probe::drop_capabilities));
        }
        Ok(options)
    }
}

/// Says what happens on standard error.
fn say(bar: &Bar, event: Event) {
    match event {
        Event::Reading(file) => bar.watch(file),
        Event::ReadingAgain => bar.start_over(),
        Event::Read => bar.end(),
        Event::Capturing {
            interface,
            link_types,
        } => live::say_capturing(interface, link_types),
        Event::DefaultFilter(expression) => live::say_default_filter(expression),
        Event::Reordered(names) => eprintln!("hdp: --order auto: {}", names.join(" → ")),
        Event::OrderContradictory => eprintln!(
            "hdp: warning: --order auto: the packets contradict each other; the points stay as given"
        ),
        Event::OrderUndecided([a, b]) => eprintln!(
            "hdp: warning: --order auto: no packet shows which of {a} and {b} comes first; they \
             stay as given"
        ),
        Event::WithoutIp { name, frames } => {
            eprintln!("hdp: {name}: {frames} frames without IP are left out");
        }
        Event::LostBehindLog { point, lost } => eprintln!(
            "hdp: warning: {point}: is a log, which holds no frames of the {lost} packets that were \
             lost behind it"
        ),
    }
}

/// Where results go, all opened before anything is read.
struct Results {
    out: Output,
    packets: Option<PacketFile>,
    frames: Vec<(Annotation<BufWriter<File>>, Unfinished)>,
}

impl Results {
    fn open(arguments: &Arguments, points: &Points) -> anyhow::Result<Self> {
        let output = arguments.output.as_deref();
        let packets = arguments.packets.as_deref();
        let frames = [
            (Frames::All, arguments.annotate.as_deref()),
            (Frames::Lost, arguments.write_lost.as_deref()),
        ];
        let results = [packets, output, frames[0].1, frames[1].1];
        let results = results.into_iter().flatten();
        keep_sources(points, results.clone())?;
        let on_stdout = results.filter(|file| output::is_stdout(file)).count();
        ensure!(
            on_stdout <= 1,
            "-: standard output takes one result; give the others files"
        );
        let instead = (on_stdout > 0).then_some(Path::new("/dev/null"));
        let mut annotations = Vec::new();
        for (frames, file) in frames {
            let Some(file) = file else { continue };
            let (to, unfinished) = Unfinished::begin(file)?;
            let annotation = Annotation {
                frames,
                name: file.display().to_string(),
                to: BufWriter::new(to),
            };
            annotations.push((annotation, unfinished));
        }
        Ok(Self {
            out: output::open(output.or(instead))?,
            packets: packets.map(PacketFile::create).transpose()?,
            frames: annotations,
        })
    }
}

/// The error with what else can be done with a single capture that holds a trace.
fn with_trace(error: path::Error) -> anyhow::Error {
    if let path::Error::OnePoint { origin } = &error
        && origin.is_repeatable()
        && let Ok((trace, _)) = trace::read(origin.clone(), None)
        && trace.hops.iter().any(|hop| hop.answered > 0)
    {
        return anyhow::anyhow!("{error}; it holds a trace: hdp trace --read {origin}");
    }
    error.into()
}

pub(super) fn run(arguments: &Arguments, use_color: bool) -> anyhow::Result<Outcome> {
    ensure!(
        arguments.explain.is_none()
            || matches!(arguments.format, ReportFormat::Table | ReportFormat::Json),
        "--explain: writes a table or json"
    );
    let points = path::points(&arguments.sources).map_err(with_trace)?;
    let mut results = Results::open(arguments, &points)?;
    let layout = report::Layout {
        width: terminal::width(),
        color: use_color && arguments.output.is_none(),
        all: arguments.all,
        ascii: terminal::is_ascii(),
    };
    let options = arguments.options(&points)?;
    if let Some(subject) = &arguments.explain {
        let explanation = explain(&points, subject, &options)?;
        let text = match arguments.format {
            ReportFormat::Json => report::explanation_json(&explanation),
            _ => report::explanation(&explanation, &layout),
        };
        results.out.write_all(text.as_bytes())?;
        results.out.flush()?;
        return Ok(Outcome::Done);
    }
    #[cfg(feature = "view")]
    if arguments.view && !points.have_streams() {
        let findings = browse(&points, &options)?;
        let command = output::command();
        return write(&findings, (arguments, &command), &layout, &mut results.out);
    }
    let findings = find(&points, &options, &mut results)?;
    let command = match &options.anonymizer {
        Some(anonymizer) => anonymizer.text(&output::command_without("--anonymize-key")),
        None => output::command(),
    };
    write(&findings, (arguments, &command), &layout, &mut results.out)
}

fn explain(points: &Points, subject: &Subject, options: &Options) -> anyhow::Result<Explanation> {
    let explanation = if points.have_streams() {
        watch(points, options)?.explain(subject)
    } else {
        path::explain(points, subject, options)
    };
    explanation.map_err(|error| match error {
        path::Error::Unexplained { .. } => anyhow!("--explain {error}"),
        error => error.into(),
    })
}

/// Reads the points, and writes what is asked for of each packet.
fn find(points: &Points, options: &Options, results: &mut Results) -> anyhow::Result<Findings> {
    let mut packets = results.packets.take();
    let has_packets = packets.is_some();
    let note = |packet: &Packet| {
        if let Some(packets) = &mut packets {
            match &options.anonymizer {
                Some(anonymizer) => packets.write(&anonymizer.of(packet)),
                None => packets.write(packet),
            }
        }
    };
    let frames = mem::take(&mut results.frames).into_iter();
    let (frames, unfinished): (Vec<_>, Vec<_>) = frames.unzip();
    let findings = if !frames.is_empty() {
        let findings = path::annotate(points, options, frames, note)?;
        unfinished.into_iter().try_for_each(Unfinished::finish)?;
        findings
    } else if points.have_streams() {
        let session = watch(points, options)?;
        match options.memory {
            Memory::Unbounded => session.packets(note)?,
            _ => session.finish()?,
        }
    } else if has_packets {
        path::packets(points, options, note)?
    } else {
        if options.is_bounded(points) {
            heap::share();
        }
        path::findings(points, options)?
    };
    packets.map(PacketFile::finish).transpose()?;
    Ok(match &options.anonymizer {
        Some(anonymizer) => {
            let mut findings = anonymizer.of(&findings);
            findings.warnings.push(Warning::Anonymized);
            findings
        }
        None => findings,
    })
}

/// Reads files, and shows what was found until the user leaves.
#[cfg(feature = "view")]
fn browse(points: &Points, options: &Options) -> anyhow::Result<Findings> {
    /// The last packets of a number that are shown beside it.
    const PACKETS: usize = 16;
    let mut last: BTreeMap<(Arc<str>, u8), VecDeque<Packet>> = BTreeMap::new();
    let findings = path::packets(points, options, |packet| {
        let of_number = last
            .entry((packet.from.clone(), packet.protocol))
            .or_default();
        if of_number.len() == PACKETS {
            of_number.pop_front();
        }
        of_number.push_back(packet.clone());
    })?;
    let packets: Vec<Packet> = last.into_values().flatten().collect();
    view::browse(findings.clone(), &packets)?;
    Ok(findings)
}

/// Reads pipes and interfaces, and shows meanwhile what is known.
fn watch(points: &Points, options: &Options) -> anyhow::Result<Session> {
    heap::share();
    let session = path::watch(points, options)?;
    thread::scope(|scope| {
        scope.spawn(|| view::show(&session, points.have_interfaces()));
    });
    Ok(session)
}

/// Writes the findings as they are asked for. What only the table says of its own, standard error
/// does.
fn write(
    findings: &Findings,
    (arguments, command): (&Arguments, &str),
    layout: &report::Layout,
    out: &mut Output,
) -> anyhow::Result<Outcome> {
    if arguments.format != ReportFormat::Table {
        for warning in &findings.warnings {
            eprintln!("hdp: warning: {warning}");
        }
    }
    let text = match arguments.format {
        ReportFormat::Table => report::table(findings, layout),
        ReportFormat::Markdown => report::markdown(findings, arguments.all),
        ReportFormat::Csv => report::csv(findings),
        ReportFormat::Json => report::json(findings),
        ReportFormat::Html => report::html(findings, Some(command)),
    };
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(outcome(findings, arguments.exit_code))
}

fn outcome(findings: &Findings, exit_code: bool) -> Outcome {
    let is_other_run =
        |warning: &Warning| matches!(warning, Warning::OtherRun { .. } | Warning::GoesOn { .. });
    if exit_code && findings.warnings.iter().any(is_other_run) {
        return Outcome::NothingDone;
    }
    let protocols = findings.directions.iter();
    let protocols = protocols.flat_map(|direction| &direction.protocols);
    let mut verdicts = protocols.map(|protocol| protocol.verdict).peekable();
    // Where there is none, nothing could be judged.
    let is_empty = verdicts.peek().is_none();
    if exit_code && (is_empty || verdicts.any(|verdict| verdict != Verdict::Passes)) {
        Outcome::ExitCode
    } else {
        Outcome::Done
    }
}

/// Sees that no result is written over a source.
fn keep_sources<'a>(
    points: &Points,
    results: impl Iterator<Item = &'a Path>,
) -> anyhow::Result<()> {
    for result in results {
        let result = Origin::Path(result.to_owned());
        ensure!(
            !points.contain(&result),
            "{result}: is a source; writing the results there would destroy it"
        );
    }
    Ok(())
}
