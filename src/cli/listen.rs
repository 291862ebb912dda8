//! `hdp listen`: the article's server.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Write as _},
    fs,
    io::{self, Write},
    ops::ControlFlow,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};

use super::{Outcome, output};
use crate::{
    capture_file::CaptureFile,
    duration,
    findings::Carrier,
    log::{self, Direction, ListenEnd, ListenStart, ReceivedPacket},
    path::nanoseconds,
    probe::{self, Event, Interrupt, Listener, Round, Subject},
    protocols::{self, List},
    report::{self, Align, Column, Rows},
    source::{Interface, LinkType},
};

/// Receive HDP as an application on this host would, from a raw socket for each number
///
/// Shows one row per packet: the protocol number, when the kernel received it, where it came from and
/// the length of the IP datagram. The control (HDP in UDP to port 420) is received too. Ctrl-C ends
/// it with a summary and a whole log.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Protocol numbers, such as 6,17,250-255 or all
    #[arg(long, value_name = "LIST", default_value = "all")]
    protocols: List,

    /// Answer each packet with HDP under the same number, addresses and ports exchanged, so that
    /// captures see both directions. Answers have no payload, and what has none is not answered:
    /// no answer is ever answered
    #[arg(long)]
    reply: bool,

    /// Print each packet whole (IP header, HDP header, data) in place of a row
    #[arg(short = 'V', long, conflicts_with = "format")]
    whole: bool,

    /// Write what was received to FILE, in JSON Lines: an observation point for hdp path
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,

    /// Write the packets that were received to FILE, a capture (pcapng). IPv6 sockets are given no
    /// IP header: there it is rebuilt
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,

    /// Stop after N packets
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Stop after this time
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    duration: Option<Duration>,

    /// Create FILE once packets are listened for
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,

    /// How far the timestamp may lie from the time of receiving to be taken for HDP's
    #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = duration::parse)]
    window: Duration,

    /// How the rows are written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: output::Format,

    /// Write the rows to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    ensure!(
        arguments.protocols.iter().all(|number| number <= 255),
        "--protocols: no packet carries a number above 255; one that was sent as 256 carries 0"
    );
    let out = output::open(arguments.output.as_deref())?;
    let mut log = output::Log::create(arguments.log.as_deref())?;
    let write = arguments.write.as_deref();
    let capture = write.map(|file| output::open(Some(file))).transpose()?;
    let interrupt = Interrupt::install().context("signals")?;
    let mut listener = Listener::open(
        Subject {
            protocols: arguments.protocols.clone(),
            versions: vec![4, 6],
            window_ns: nanoseconds(arguments.window),
            answer: arguments.reply,
        },
        &interrupt,
    )?;
    // A time that no clock will show never comes.
    let until = arguments
        .duration
        .and_then(|duration| Instant::now().checked_add(duration));
    // While the process may still write wherever it was told to.
    if let Some(file) = &arguments.ready_file {
        fs::write(file, "").with_context(|| format!("{}: cannot write", file.display()))?;
    }
    probe::drop_capabilities().context("capabilities")?;

    let start = listener.start();
    eprint!("{}", Greeting(&start));
    if let Some(refused) = listener.port_refused() {
        eprintln!(
            "note: UDP port {} could not be taken ({refused}); unless another program has it, \
             this host answers each control with 'port unreachable'",
            crate::hdp::PORT
        );
    }
    let started_ns = start.origin.started_ns;
    let start = log::Start::Listen(start);
    log.write(&start)?;
    let fields = ReceivedPacket::FIELDS;
    // The whole print is for people and stands where rows would.
    let columns: &[Column] = if arguments.whole { &[] } else { &COLUMNS };
    let mut sinks = Sinks {
        rows: Rows::begin(out, arguments.format.into(), columns, &fields, &start)?,
        log,
        capture: capture.map(begin_capture).transpose()?,
        whole: arguments.whole.then(String::new),
        left: arguments.count,
        received: BTreeMap::new(),
    };
    sinks.flush()?;
    let run = listen(&mut listener, &interrupt, until, &mut sinks);
    // Whatever ended the run, the log ends with what was done.
    let counts = listener.end();
    let summary = Summary {
        end: &counts,
        received: &sinks.received,
        unanswered: arguments.reply.then_some(listener.unanswered()),
    };
    let summary = summary.to_string();
    let ended = sinks.end(counts, started_ns);
    run?;
    ended?;
    eprint!("{summary}");
    Ok(Outcome::Done)
}

/// Begins the capture, whose one interface is the sockets.
fn begin_capture(out: output::Output) -> io::Result<CaptureFile<output::Output>> {
    let mut capture = CaptureFile::begin(out)?;
    let sockets = Interface {
        name: None,
        link_type: LinkType::RAW,
        resolution_ns: 1,
    };
    capture.interface(
        &sockets,
        "what raw sockets were given; IPv6 headers are rebuilt",
    )?;
    Ok(capture)
}

/// Receives until the user, the time or the count ends it.
fn listen(
    listener: &mut Listener,
    interrupt: &Interrupt,
    until: Option<Instant>,
    sinks: &mut Sinks<impl Write>,
) -> io::Result<()> {
    /// How long what is still queued at the end may take.
    const LAST: Duration = Duration::from_secs(2);

    let mut end: Option<Instant> = None;
    loop {
        let now = Instant::now();
        if end.is_none() && (interrupt.is_set() || until.is_some_and(|until| now >= until)) {
            end = Some(now + LAST);
        }
        match listener.receive(Duration::ZERO, |event| sinks.take(&event))? {
            Round::Something if end.is_none_or(|end| now < end) => continue,
            Round::Nothing if end.is_none() => {}
            Round::Nothing | Round::Something | Round::Enough => return Ok(()),
        }
        // There is time now to let readers see.
        sinks.flush()?;
        let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(now));
        if listener.receive(left, |event| sinks.take(&event))? == Round::Enough {
            return Ok(());
        }
    }
}

/// Where packets go.
struct Sinks<W: Write> {
    rows: Rows<W>,
    log: output::Log,
    capture: Option<CaptureFile<output::Output>>,
    /// The text of one packet, if packets are printed whole.
    whole: Option<String>,
    /// Packets that are still wanted.
    left: Option<u64>,
    /// Packets received of each number.
    received: BTreeMap<(Carrier, u8), u64>,
}

impl<W: Write> Sinks<W> {
    fn take(&mut self, event: &Event) -> io::Result<ControlFlow<()>> {
        let record = &event.record;
        self.log.write(record)?;
        match (&mut self.whole, event.received) {
            (Some(text), Some(received)) => {
                text.clear();
                report::print_whole(text, received.datagram, received.hdp_at)
                    .and_then(|()| text.write_char('\n'))
                    .map_err(io::Error::other)?;
                self.rows.text(text)?;
            }
            (Some(_), None) => {}
            (None, _) => row(&mut self.rows, record)?,
        }
        let Some(received) = event.received else {
            return Ok(self.is_enough());
        };
        if let Some(capture) = &mut self.capture {
            capture.packet(record.time_ns, received.datagram)?;
        }
        let count = self.received.entry((record.carrier, record.protocol));
        *count.or_default() += 1;
        self.left = self.left.map(|left| left - 1);
        Ok(self.is_enough())
    }

    fn is_enough(&self) -> ControlFlow<()> {
        match self.left {
            Some(0) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.log.flush()?;
        if let Some(capture) = &mut self.capture {
            capture.flush()?;
        }
        self.rows.flush()
    }

    fn end(mut self, counts: ListenEnd, started_ns: i64) -> io::Result<()> {
        let watched_ns = (started_ns, counts.ended_ns);
        let drops = counts.capture_drops;
        let end = log::End::Listen(counts);
        self.log.write(&end)?;
        self.log.flush()?;
        if let Some(capture) = self.capture {
            capture.end(Some(watched_ns), drops)?;
        }
        self.rows.end(&end)
    }
}

/// The article's columns, and what else there is to know.
const COLUMNS: [Column; 5] = [
    Column {
        title: "Protocol",
        width: 8,
        align: Align::Right,
    },
    Column {
        title: "Received (ns)",
        width: 19,
        align: Align::Right,
    },
    Column {
        title: "Source IP",
        width: 15,
        align: Align::Left,
    },
    Column {
        title: "Bytes",
        width: 5,
        align: Align::Right,
    },
    Column {
        title: "Notes",
        width: 5,
        align: Align::Left,
    },
];

fn row<W: Write>(rows: &mut Rows<W>, record: &ReceivedPacket) -> io::Result<()> {
    rows.row(
        &[
            &record.protocol,
            &record.time_ns,
            &record.src,
            &record.byte_sum,
            &Notes(record),
        ],
        record,
    )
}

struct Notes<'a>(&'a ReceivedPacket);

impl Display for Notes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let is_answer = self.0.direction == Direction::Out;
        for (applies, note) in [
            (is_answer, "answer"),
            (self.0.carrier == Carrier::Udp, "control"),
        ] {
            if applies {
                write!(f, "{separator}{note}")?;
                separator = ", ";
            }
        }
        if self.0.drops > 0 {
            write!(f, "{separator}{} lost before", self.0.drops)?;
        } else if separator.is_empty() {
            write!(f, "-")?;
        }
        Ok(())
    }
}

/// What is said before the first packet.
struct Greeting<'a>(&'a ListenStart);

impl Display for Greeting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.0;
        for version in &start.versions {
            let missing = |n: &&u16| {
                start
                    .unavailable
                    .iter()
                    .any(|u| u.version == *version && u.protocol == **n)
            };
            let heard: Vec<_> = start
                .protocols
                .iter()
                .filter(|n| !missing(n))
                .copied()
                .collect();
            if !heard.is_empty() {
                let numbers = protocols::fold_with_keywords(&heard);
                writeln!(f, "listening over IPv{version} to {numbers}")?;
            }
        }
        let mut rest = start.unavailable.as_slice();
        while let [first, ..] = rest {
            let alike =
                |u: &&log::Unavailable| u.version == first.version && u.errno == first.errno;
            let count = rest.iter().take_while(alike).count();
            let numbers: Vec<_> = rest[..count].iter().map(|u| u.protocol).collect();
            writeln!(
                f,
                "not handed over by this system over IPv{}: {} ({}: {})",
                first.version,
                protocols::fold_with_keywords(&numbers),
                first.call.name(),
                first.name,
            )?;
            rest = &rest[count..];
        }
        Ok(())
    }
}

/// What a run came to.
struct Summary<'a> {
    end: &'a ListenEnd,
    received: &'a BTreeMap<(Carrier, u8), u64>,
    /// If answers were asked for.
    unanswered: Option<u64>,
}

impl Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.end;
        write!(
            f,
            "packets: {} HDP received, {} not HDP",
            end.received, end.not_hdp
        )?;
        match end.capture_drops {
            Some(drops) => writeln!(f, ", {drops} lost because a socket was full")?,
            None => writeln!(f, ", losses unknown")?,
        }
        if let Some(unanswered) = self.unanswered {
            let answered = end.answered;
            write!(f, "answers: {answered} sent")?;
            if unanswered > 0 {
                write!(
                    f,
                    ", {unanswered} not: the packet had no payload, or the system refused"
                )?;
            }
            writeln!(f)?;
        }
        let numbers: Vec<_> = self
            .received
            .keys()
            .filter(|(carrier, _)| *carrier == Carrier::Ip)
            .map(|(_, number)| u16::from(*number))
            .collect();
        let controls = self.received.get(&(Carrier::Udp, 17));
        match (numbers.is_empty(), controls) {
            (true, None) => {}
            (true, Some(_)) => writeln!(f, "received: the control")?,
            (false, control) => {
                let numbers = protocols::fold_with_keywords(&numbers);
                let control = if control.is_some() {
                    " and the control"
                } else {
                    ""
                };
                writeln!(f, "received: {numbers}{control}")?;
            }
        }
        for drops in &end.drops {
            writeln!(
                f,
                "lost because the socket was full: {} of number {} over IPv{}, HDP or not",
                drops.count, drops.protocol, drops.version
            )?;
        }
        Ok(())
    }
}
