//! `hdp path`: what was typed, what it means, and the stages in their order.

use std::{
    fs::{self, File},
    io::{self, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;

use super::{
    Outcome, duration, explain,
    frames::Frames,
    heap,
    live::{self, Captures, KernelFilter},
    order::{self, Order, Ordered},
    output::{self, Output},
    progress::Bar,
    read::{self, Planned, Settings},
};
use crate::{
    annotate::Notes,
    correlate::{Places, Survey},
    findings::{Findings, Packet, Verdict},
    judge,
    observe::Point,
    protocols, report,
    session::{Label, Room, Session},
    source::Origin,
    stages,
};

/// Width of the table where there is no terminal.
const WIDTH_WITHOUT_TERMINAL: usize = 100;

/// Where did each protocol number disappear? Compares captures from along a path
///
/// Each SOURCE is an observation point, in path order, the sender's end first: a capture file
/// (pcap or pcapng, also in gzip or zstd) or a log of hdp send or hdp listen, a FIFO such as <(ssh server cat server.pcap), - for
/// standard input, or live:IFACE, which is captured from until Ctrl-C. What the file is called does not matter.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Observation points in path order; NAME labels the point in the report
    #[arg(value_name = "[NAME=]SOURCE", required = true)]
    sources: Vec<String>,

    /// Whether the points are in path order as given, or are put in order by what their packets show
    #[arg(long, value_enum, default_value_t, value_name = "ORDER")]
    order: Order,

    /// How the findings are written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,

    /// Write the findings to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Write the fate of every packet to FILE, one JSON object a line
    #[arg(long, value_name = "FILE")]
    packets: Option<PathBuf>,

    /// Write all captures into FILE, one pcapng on the first point's clock, the fate of each packet
    /// as a comment on its frames
    #[arg(long, value_name = "FILE")]
    annotate: Option<PathBuf>,

    /// Write the frames of the lost packets into FILE, as the last point that saw them captured them
    #[arg(long, value_name = "FILE")]
    write_lost: Option<PathBuf>,

    /// Tell the life of one packet instead: by its HDP timestamp, or by a frame of a point
    ///
    /// Where it was seen, what was changed on the way, what became of it and how to check that.
    #[arg(long, value_name = "TIMESTAMP|POINT:FRAME", conflicts_with_all = ["packets", "annotate", "write_lost", "protocols", "all", "exit_code"])]
    explain: Option<explain::Subject>,

    /// Report these numbers only, such as 6,17,250-255; the others still serve for comparison
    #[arg(long, value_name = "LIST")]
    protocols: Option<protocols::List>,

    /// How far the timestamp may lie from the capture time to be taken for HDP's
    #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = duration::parse)]
    window: std::time::Duration,

    /// An arrival later than this is late, not delivered (Tmax of RFC 7680)
    #[arg(long, value_name = "DURATION", default_value = "51s", value_parser = duration::parse)]
    wait: std::time::Duration,

    /// Clocks that no packet relates are right within this; otherwise nothing is judged by them
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    clock_error: Option<std::time::Duration>,

    /// Show the numbers that passed one by one too
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
    /// However many packets there are, 64 MiB are enough for two points. Packets that all points saw
    /// alike are forgotten at once, the others once their fate is certain. What that costs: delays of
    /// numbers with many packets are rounded to 1 %, losses in a row are not told, and copies that
    /// come much later than the packet are not counted.
    #[arg(long, conflicts_with_all = ["packets", "annotate", "write_lost", "explain"])]
    bounded: bool,

    #[command(flatten)]
    live: live::Capture,

    /// Stop once N packets were captured at a point, or read from a pipe
    #[arg(short, long, value_name = "N", help_heading = "Live capture", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Keep what is captured in DIR, a file (pcapng) for each point, named after it
    #[arg(long, value_name = "DIR", help_heading = "Live capture")]
    save: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For reading
    #[default]
    Table,
    /// For a report
    Markdown,
    /// One row a protocol number
    Csv,
    /// Everything
    Json,
}

impl Arguments {
    /// How what the points saw is judged.
    fn judging(&self) -> judge::Options {
        judge::Options {
            wait_ns: nanoseconds(self.wait),
            clock_error_ns: self.clock_error.map(nanoseconds),
            protocols: self.protocols.clone(),
        }
    }

    /// How the points that are interfaces are captured, and pipes are read, if there are any.
    fn captures(&self, plan: &[Planned]) -> anyhow::Result<Option<Captures<'_>>> {
        let (live, recorded): (Vec<_>, Vec<_>) =
            plan.iter().partition(|planned| planned.origin.is_live());
        if live.is_empty() {
            // A pipe may be as endless as an interface.
            let has_pipes = !plan
                .iter()
                .all(|planned| read::can_be_repeated(&planned.origin));
            self.live.refuse(has_pipes)?;
            live::refuse_if(self.count.is_some() && !has_pipes, "--count")?;
            live::refuse_if(self.save.is_some(), "--save")?;
            if !has_pipes {
                return Ok(None);
            }
        }
        #[cfg(feature = "libpcap")]
        let filter = self.filter.as_deref();
        #[cfg(not(feature = "libpcap"))]
        let filter = None;
        let captures = Captures {
            capture: &self.live,
            filter: KernelFilter::new(filter, nanoseconds(self.window)),
            run: Arc::new(self.live.begin()?),
            count: self.count,
            save: self.save.as_deref(),
        };
        for file in live.iter().filter_map(|planned| captures.saved_as(planned)) {
            let file = Origin::Path(file);
            ensure!(
                !recorded.iter().any(|other| other.origin.is_same_as(&file)),
                "{file}: is a source; keeping a capture there would destroy it"
            );
        }
        Ok(Some(captures))
    }
}

/// Where results go, all opened before anything is read.
struct Results {
    out: Output,
    packets: Option<(PathBuf, BufWriter<File>)>,
    frames: Option<Frames>,
}

impl Results {
    fn open(arguments: &Arguments, plan: &[Planned]) -> anyhow::Result<Self> {
        let output = arguments.output.as_deref();
        let packets = arguments.packets.as_deref();
        let annotate = arguments.annotate.as_deref();
        let write_lost = arguments.write_lost.as_deref();
        keep_sources(plan, [output, packets, annotate, write_lost])?;
        let frames = Frames::plan(plan, annotate, write_lost)?;
        let out = output::open(output)?;
        let packets = packets
            .map(|path| anyhow::Ok((path.to_owned(), output::create(path)?)))
            .transpose()?;
        Ok(Self {
            out,
            packets,
            frames,
        })
    }

    /// Whether each packet is asked for.
    fn need_packets(&self) -> bool {
        self.packets.is_some() || self.frames.is_some()
    }
}

pub(super) fn run(arguments: &Arguments, use_color: bool) -> anyhow::Result<Outcome> {
    ensure!(
        arguments.explain.is_none() || matches!(arguments.format, Format::Table | Format::Json),
        "--explain: writes a table or json"
    );
    let plan = plan(&arguments.sources)?;
    let mut results = Results::open(arguments, &plan)?;
    let options = arguments.judging();
    let layout = report::Layout {
        width: width(arguments.output.is_none()),
        color: use_color && arguments.output.is_none(),
        all: arguments.all,
    };
    let ordered = match read(arguments, plan, results.need_packets(), &options)? {
        Read::Packets(ordered) => ordered,
        Read::Findings(findings) => return write(&findings, arguments, &layout, &mut results.out),
    };
    let window_ns = nanoseconds(arguments.window);
    if let Some(subject) = &arguments.explain {
        let points = (ordered.points.as_slice(), ordered.survey);
        let explanation = explain::run(subject, &ordered.plan, points, &options, window_ns)?;
        let text = match arguments.format {
            Format::Json => report::json(&explanation),
            _ => report::explanation(&explanation, &layout),
        };
        results.out.write_all(text.as_bytes())?;
        results.out.flush()?;
        return Ok(Outcome::Done);
    }
    let findings = judged(ordered, &options, window_ns, &mut results)?;
    write(&findings, arguments, &layout, &mut results.out)
}

/// Writes the findings as they are asked for. What only the table says of its own, standard error
/// does.
fn write(
    findings: &Findings,
    arguments: &Arguments,
    layout: &report::Layout,
    out: &mut Output,
) -> anyhow::Result<Outcome> {
    if arguments.format != Format::Table {
        for warning in &findings.warnings {
            eprintln!("hdp: warning: {warning}");
        }
    }
    let text = match arguments.format {
        Format::Table => report::table(findings, layout),
        Format::Markdown => report::markdown(findings, arguments.all),
        Format::Csv => report::csv(findings),
        Format::Json => report::json(findings),
    };
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(outcome(findings, arguments.exit_code))
}

/// What reading gives.
enum Read {
    /// Every packet, in order.
    Packets(Ordered),
    /// The findings, of packets that are forgotten.
    Findings(Findings),
}

/// Reads the points: in bounded memory where they may be endless and not every packet is needed, or
/// where that is asked for.
fn read(
    arguments: &Arguments,
    plan: Vec<Planned>,
    need_packets: bool,
    options: &judge::Options,
) -> anyhow::Result<Read> {
    ensure!(
        !(arguments.bounded && arguments.order == Order::Auto),
        "--bounded: points are put in order by all their packets; leave out --order auto"
    );
    let live = arguments.captures(&plan)?;
    let settings = Settings {
        window_ns: nanoseconds(arguments.window),
        #[cfg(feature = "libpcap")]
        filter: arguments.filter.clone(),
        keep_all: need_packets || arguments.explain.is_some() || arguments.order == Order::Auto,
        bar: if live.is_none() {
            Bar::start()
        } else {
            Bar::none()
        },
        live,
    };
    if settings.live.is_none() && !arguments.bounded {
        let (points, survey) = read::points(&plan, &settings)?;
        drop(settings);
        return Ok(Read::Packets(in_order(arguments, plan, points, survey)));
    }
    ensure!(
        plan.len() <= Places::MOST,
        "{} points: in bounded memory there may be {} at the most",
        plan.len(),
        Places::MOST
    );
    let room = if settings.keep_all {
        Room::for_all()
    } else {
        Room::default()
    };
    let labels = plan.iter().map(|planned| Label {
        name: planned.name.clone(),
        source: planned.origin.to_string(),
    });
    heap::share();
    let session = Session::new(labels.collect(), options.clone(), room);
    read::into_session(&plan, &settings, &session)?;
    if !settings.keep_all {
        return Ok(Read::Findings(session.snapshot()));
    }
    drop(settings);
    let points = session.into_points().context("nothing was forgotten")?;
    let survey = Survey::of(&points);
    Ok(Read::Packets(in_order(arguments, plan, points, survey)))
}

/// Puts points in order where that is asked for, and takes forwarding hosts apart.
fn in_order(
    arguments: &Arguments,
    plan: Vec<Planned>,
    points: Vec<Point>,
    survey: Survey,
) -> Ordered {
    let given = Ordered {
        plan,
        points,
        survey,
    };
    let ordered = match arguments.order {
        Order::Given => given,
        Order::Auto => order::by_packets(given),
    };
    let (points, survey) = stages::take_apart(ordered.points, ordered.survey);
    Ordered {
        plan: ordered.plan,
        points,
        survey,
    }
}

/// Judges the packets, and writes what was asked for of each.
fn judged(
    ordered: Ordered,
    options: &judge::Options,
    window_ns: u64,
    results: &mut Results,
) -> anyhow::Result<Findings> {
    let Ordered {
        plan,
        points,
        survey,
    } = ordered;
    let frames = results.frames.take();
    let mut notes = frames.as_ref().map(|_| Notes::new(&points));
    let mut packets = results.packets.take();
    let mut written: io::Result<()> = Ok(());
    let need_packets = frames.is_some() || packets.is_some();
    let mut note = |packet: &Packet| {
        if let (Some((_, file)), Ok(())) = (&mut packets, &written) {
            written = report::packet_line(packet, file);
        }
        if let Some(notes) = &mut notes {
            notes.add(packet);
        }
    };
    let note: &mut dyn FnMut(&Packet) = &mut note;
    let findings = judge::judge(&points, survey, options, need_packets.then_some(note));
    if let Some((path, mut file)) = packets {
        written
            .and_then(|()| file.flush())
            .with_context(|| format!("{}: cannot write", path.display()))?;
    }
    if let (Some(frames), Some(notes)) = (frames, notes) {
        frames.write(&plan, &notes, &findings, window_ns)?;
    }
    Ok(findings)
}

fn outcome(findings: &Findings, exit_code: bool) -> Outcome {
    let mut protocols = findings
        .directions
        .iter()
        .flat_map(|direction| &direction.protocols);
    if exit_code && protocols.any(|protocol| protocol.verdict != Verdict::Passes) {
        Outcome::SomeDidNotPass
    } else {
        Outcome::Done
    }
}

/// Columns of the terminal that the table goes to.
fn width(to_stdout: bool) -> usize {
    if to_stdout && io::stdout().is_terminal() {
        comfy_table::Table::new()
            .width()
            .map_or(WIDTH_WITHOUT_TERMINAL, usize::from)
    } else {
        WIDTH_WITHOUT_TERMINAL
    }
}

fn nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What the arguments mean, checked before any packet is read.
fn plan(sources: &[String]) -> anyhow::Result<Vec<Planned>> {
    let mut plan: Vec<Planned> = Vec::new();
    let mut labels: Vec<Option<&str>> = Vec::new();
    for argument in sources {
        let (label, source) = split_label(argument);
        ensure!(
            !source.is_empty(),
            "{argument}: no source behind the name; write NAME=FILE"
        );
        let origin = Origin::from_argument(source);
        if let Origin::Path(path) = &origin {
            let metadata = fs::metadata(path).with_context(|| format!("{origin}: cannot open"))?;
            ensure!(
                !metadata.is_dir(),
                "{origin}: is a directory; name the capture files in it"
            );
        }
        if let Some(twin) = plan
            .iter()
            .find(|planned| planned.origin.is_same_as(&origin))
        {
            bail!(
                "{origin}: given twice (also as {}); a path needs captures from different places",
                twin.name
            );
        }
        if let Some(label) = label {
            ensure!(
                !labels.contains(&Some(label)),
                "{argument}: the name {label} is given to two points"
            );
        }
        let name = label.map_or_else(|| default_name(&origin, plan.len()), str::to_owned);
        labels.push(label);
        plan.push(Planned { name, origin });
    }
    if let [only] = plan.as_slice() {
        bail!(
            "{}: one observation point only; a path needs a capture from each end \
             (to look at one: hdp dissect {})",
            only.origin,
            only.origin
        );
    }
    make_unique(&mut plan, &labels);
    Ok(plan)
}

/// Sees that no result is written over a source.
fn keep_sources(plan: &[Planned], results: [Option<&Path>; 4]) -> anyhow::Result<()> {
    for result in results.into_iter().flatten() {
        let result = Origin::Path(result.to_owned());
        ensure!(
            !plan
                .iter()
                .any(|planned| planned.origin.is_same_as(&result)),
            "{result}: is a source; writing the results there would destroy it"
        );
    }
    Ok(())
}

/// Splits `NAME=SOURCE`. A name has no `/`, so `./a=b.pcap` is a file; so is `a=b.pcap` if there
/// is one.
fn split_label(argument: &str) -> (Option<&str>, &str) {
    match argument.split_once('=') {
        Some((name, source))
            if !name.is_empty() && !name.contains('/') && !Path::new(argument).exists() =>
        {
            (Some(name), source)
        }
        _ => (None, argument),
    }
}

/// The file's stem without what tells of its format; a pipe is called after its place.
fn default_name(origin: &Origin, index: usize) -> String {
    let pipe = || format!("pipe{}", index + 1);
    let path = match origin {
        Origin::Stdin => return "stdin".to_owned(),
        Origin::Live(interface) => return interface.clone(),
        Origin::Path(path) => path,
    };
    if path.starts_with("/dev/fd") || path.starts_with("/proc") {
        return pipe();
    }
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return pipe();
    };
    let mut stem = name;
    for ending in [".gz", ".zst", ".pcapng", ".pcap", ".cap", ".dmp", ".jsonl"] {
        stem = stem
            .strip_suffix(ending)
            .filter(|stem| !stem.is_empty())
            .unwrap_or(stem);
    }
    stem.to_owned()
}

/// Numbers the names that the user did not choose where they repeat.
fn make_unique(plan: &mut [Planned], labels: &[Option<&str>]) {
    for index in 0..plan.len() {
        if labels[index].is_some() {
            continue;
        }
        let wanted = plan[index].name.clone();
        let mut name = wanted.clone();
        let mut number = 1;
        while plan
            .iter()
            .enumerate()
            .any(|(other, p)| p.name == name && (other < index || labels[other].is_some()))
        {
            number += 1;
            name = format!("{wanted}-{number}");
        }
        plan[index].name = name;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_slash() {
        assert_eq!(split_label("client=a.pcap"), (Some("client"), "a.pcap"));
        assert_eq!(split_label("./a=b.pcap"), (None, "./a=b.pcap"));
        assert_eq!(split_label("=b.pcap"), (None, "=b.pcap"));
        assert_eq!(split_label("a.pcap"), (None, "a.pcap"));
    }

    #[test]
    fn names_are_stems_made_unique() {
        let name = |path: &str| default_name(&Origin::from_argument(path), 1);
        assert_eq!(name("/tmp/client.pcap.gz"), "client");
        assert_eq!(name("a.b.pcapng"), "a.b");
        assert_eq!(name(".pcap"), ".pcap");
        assert_eq!(name("-"), "stdin");
        assert_eq!(name("/dev/fd/63"), "pipe2");

        let point = |name: &str| Planned {
            name: name.to_owned(),
            origin: Origin::Stdin,
        };
        let mut plan = [point("a"), point("a"), point("a-2"), point("b")];
        make_unique(&mut plan, &[None, None, None, Some("b")]);
        assert_eq!(plan.map(|p| p.name), ["a", "a-2", "a-2-2", "b"]);
    }
}
