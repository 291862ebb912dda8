//! `hdp send`: the article's client.

use std::{
    collections::BTreeSet,
    fmt::{self, Display},
    io::{self, IsTerminal, Read, Write},
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Outcome, output};
use crate::{
    duration, hdp, log,
    probe::{
        self, Attempt, Interrupt, IpOptions, MAX_PAYLOAD, Order, Probe, Refused, Schedule, Sender,
    },
    protocols::{self, List},
    report::{Align, Column, OrDash, Rows, span},
    source,
};

/// Send HDP under chosen protocol numbers, one packet per number and round
///
/// The payload is read from standard input unless that is a terminal, which takes the rest of a list that a
/// loop reads: give such a run --payload or </dev/null. Shows one row per packet: the
/// number that was requested, the one in the IP header, whether the system took the packet, the
/// timestamp it carries, the length of the IP datagram, and the call that failed. What goes wrong
/// for one number never stops the rest. Ctrl-C ends it with its summary and a whole log.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch")]
pub(super) struct Arguments {
    /// IPv4 or IPv6 address or host name
    #[arg(value_name = "DEST")]
    destination: String,

    /// Protocol numbers, such as 6,17,250-255 or all
    #[arg(long, value_name = "LIST", default_value = "255")]
    protocols: List,

    /// Rounds over the list
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    count: u32,

    /// Pause between packets; hosts and routers limit the rate of their ICMP errors, so a faster
    /// sweep draws fewer answers
    #[arg(long, value_name = "DURATION", default_value = "200ms", value_parser = duration::parse)]
    interval: Duration,

    /// Payload, in place of standard input
    #[arg(long, value_name = "TEXT", conflicts_with = "size")]
    payload: Option<String>,

    /// Payload of N bytes, in place of standard input
    #[arg(long, value_name = "N")]
    size: Option<usize>,

    /// Source port in the HDP header
    #[arg(long, value_name = "PORT", default_value_t = hdp::PORT)]
    src_port: u16,

    /// Destination port in the HDP header
    #[arg(long, value_name = "PORT", default_value_t = hdp::PORT)]
    dst_port: u16,

    /// Source address, one of this host's own
    #[arg(long, value_name = "ADDRESS")]
    source: Option<IpAddr>,

    /// TTL or hop limit, in place of the system's default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    ttl: Option<u8>,

    /// Differentiated services code point, 0 to 63
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..64))]
    dscp: u8,

    /// Never fragment: what exceeds the path's MTU is refused by this system (EMSGSIZE) or a router
    #[arg(long)]
    no_fragment: bool,

    /// Send the same in a valid UDP datagram to port 420 (from 420 too, where that is free and
    /// permitted), half an interval before or behind each packet: where the number is lost and the
    /// control arrives, it was the number
    #[arg(long)]
    control: bool,

    /// Draw the order of each round from N, which a run before has printed, to repeat it
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Send in rising order, as the article does, in place of another order in each round: then an
    /// outage or a rate limit looks like a range of numbers
    #[arg(long, conflicts_with = "seed")]
    in_order: bool,

    /// Do not send a control first, last and once a second between: they tell that the other end
    /// records, and compare its clock, where every number is dropped
    #[arg(long)]
    no_heartbeat: bool,

    /// Write what was done with each packet to FILE, in JSON Lines: an observation point for
    /// hdp path
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,

    /// How the rows are written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: output::Format,

    /// Write the rows to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<Outcome> {
    let out = output::open(arguments.output.as_deref())?;
    let mut log = output::Log::create(arguments.log.as_deref())?;
    let sender = Sender::open(Schedule {
        destination: resolve(&arguments.destination, arguments.source)?,
        payload: payload(arguments.payload, arguments.size)?,
        protocols: arguments.protocols,
        rounds: arguments.count,
        interval: arguments.interval,
        source_port: arguments.src_port,
        destination_port: arguments.dst_port,
        ip: IpOptions {
            source: arguments.source,
            ttl: arguments.ttl,
            dscp: arguments.dscp,
            no_fragment: arguments.no_fragment,
        },
        control: arguments.control,
        order: if arguments.in_order {
            Order::Rising
        } else {
            // Short enough to be typed.
            Order::Shuffled(arguments.seed.unwrap_or_else(|| fastrand::u32(..).into()))
        },
        heartbeat: !arguments.no_heartbeat,
    })?;
    let interrupt = Interrupt::install().context("signals")?;
    probe::drop_capabilities().context("capabilities")?;

    let start = log::Start::Send(sender.start());
    log.write(&start)?;
    let fields = log::SentPacket::FIELDS;
    let rows_are_seen = out.is_terminal();
    let mut rows = Rows::begin(out, arguments.format.into(), &COLUMNS, &fields, &start)?;
    // A row that waits in a buffer tells nobody how far it is.
    let flush_each = !arguments.interval.is_zero();
    let progress = progress(
        sender.planned(),
        arguments.interval,
        io::stderr().is_terminal() && !rows_are_seen,
    );
    let planned = planned_time(sender.planned(), arguments.interval);
    if planned >= LONG {
        let packets = sender.planned();
        eprintln!("sending {packets} packets: about {}", span(planned));
    }
    let mut summary = Summary::default();
    let run = sender.run(&interrupt, |attempt| {
        summary.add(&attempt);
        let record = sender.record(&attempt);
        log.write(&record)?;
        row(&mut rows, &attempt, &record)?;
        progress.inc(u64::from(attempt.probe != Probe::Heartbeat));
        if flush_each {
            log.flush()?;
            rows.flush()?;
        }
        Ok(())
    });
    progress.finish_and_clear();
    // Whatever ended the run, the log ends with what was done.
    let end = log::End::Send(log::SendEnd {
        ended_ns: source::now_ns(),
        sent: summary.sent,
        refused: summary.refused(),
        interrupted: !matches!(run, Ok(false)),
    });
    let ended = log.write(&end).and_then(|()| log.flush());
    let interrupted = run?;
    ended?;
    rows.end(&end)?;
    if interrupted {
        eprintln!("interrupted: {} packets were planned", sender.planned());
    }
    if let Some(seed) = sender.start().seed {
        eprintln!("order: shuffled, again by --seed {seed}");
    }
    eprint!("{summary}");
    Ok(if summary.sent == 0 {
        Outcome::NothingDone
    } else {
        Outcome::Done
    })
}

/// A run that takes longer says so before it starts.
const LONG: Duration = Duration::from_secs(2);

fn planned_time(planned: u64, interval: Duration) -> Duration {
    interval.saturating_mul(u32::try_from(planned).unwrap_or(u32::MAX))
}

/// Shows how far a long run is, where that can be seen and nothing else tells it.
fn progress(planned: u64, interval: Duration, visible: bool) -> ProgressBar {
    const MANY: u64 = 100_000;

    if !visible || (planned_time(planned, interval) < LONG && planned < MANY) {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} packets, {eta} left")
        .expect("the template is right");
    ProgressBar::new(planned).with_style(style)
}

pub(super) fn resolve(destination: &str, source: Option<IpAddr>) -> anyhow::Result<SocketAddr> {
    let addresses: Vec<_> = (destination, 0)
        .to_socket_addrs()
        .with_context(|| destination.to_owned())?
        .collect();
    let fits =
        |address: &&SocketAddr| source.is_none_or(|source| source.is_ipv4() == address.is_ipv4());
    let version = match source {
        Some(IpAddr::V4(_)) => "IPv4 ",
        Some(IpAddr::V6(_)) => "IPv6 ",
        None => "",
    };
    let address = addresses.iter().find(fits).copied();
    address.with_context(|| format!("{destination}: has no {version}address"))
}

fn payload(text: Option<String>, size: Option<usize>) -> anyhow::Result<Vec<u8>> {
    let payload = match (text, size) {
        (Some(text), _) => text.into_bytes(),
        (None, Some(size)) => (b'a'..=b'z').cycle().take(size).collect(),
        (None, None) if io::stdin().is_terminal() => Vec::new(),
        (None, None) => {
            let mut bytes = Vec::new();
            io::stdin()
                .take(MAX_PAYLOAD as u64 + 1)
                .read_to_end(&mut bytes)
                .context("payload: cannot read standard input")?;
            if !bytes.is_empty() {
                let len = bytes.len();
                eprintln!("payload: {len} bytes from standard input");
            }
            bytes
        }
    };
    ensure!(
        payload.len() <= MAX_PAYLOAD,
        "payload: an IP datagram has room for {MAX_PAYLOAD} bytes, not for more"
    );
    Ok(payload)
}

/// The article's columns.
const COLUMNS: [Column; 6] = [
    Column {
        title: "Requested",
        width: 9,
        align: Align::Right,
    },
    Column {
        title: "On wire",
        width: 7,
        align: Align::Right,
    },
    Column {
        title: "Sent",
        width: 4,
        align: Align::Left,
    },
    Column {
        title: "Timestamp (ns)",
        width: 19,
        align: Align::Right,
    },
    Column {
        title: "Bytes",
        width: 5,
        align: Align::Right,
    },
    Column {
        title: "Failure",
        width: 7,
        align: Align::Left,
    },
];

fn row<W: Write>(
    rows: &mut Rows<W>,
    attempt: &Attempt,
    record: &log::SentPacket,
) -> io::Result<()> {
    let was_sent = attempt.result.is_ok();
    rows.row(
        &[
            &Requested(attempt.probe),
            &OrDash(record.protocol),
            &if was_sent { "yes" } else { "no" },
            &OrDash(was_sent.then_some(attempt.timestamp_ns)),
            &OrDash(was_sent.then_some(attempt.byte_sum)),
            &OrDash(attempt.result.err()),
        ],
        record,
    )
}

struct Requested(Probe);

impl Display for Requested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Probe::Number(requested) => requested.fmt(f),
            Probe::Control => f.pad("control"),
            Probe::Heartbeat => f.pad("heartbeat"),
        }
    }
}

/// What a run came to.
#[derive(Debug, Default)]
struct Summary {
    sent: u64,
    /// Each kind of failure once, and what it befell.
    failures: Vec<Failure>,
}

#[derive(Debug)]
struct Failure {
    refused: Refused,
    numbers: BTreeSet<u16>,
    control: bool,
    packets: u64,
}

impl Summary {
    fn add(&mut self, attempt: &Attempt) {
        let Err(refused) = attempt.result else {
            self.sent += 1;
            return;
        };
        let alike = |failure: &Failure| failure.refused == refused;
        let index = self.failures.iter().position(alike).unwrap_or_else(|| {
            self.failures.push(Failure {
                refused,
                numbers: BTreeSet::new(),
                control: false,
                packets: 0,
            });
            self.failures.len() - 1
        });
        let failure = &mut self.failures[index];
        failure.packets += 1;
        match attempt.probe {
            Probe::Number(requested) => _ = failure.numbers.insert(requested),
            Probe::Control | Probe::Heartbeat => failure.control = true,
        }
    }

    fn refused(&self) -> u64 {
        self.failures.iter().map(|failure| failure.packets).sum()
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sent, refused) = (self.sent, self.refused());
        writeln!(f, "packets: {sent} sent, {refused} refused by this system")?;
        for failure in &self.failures {
            let numbers: Vec<_> = failure.numbers.iter().copied().collect();
            let numbers = protocols::fold_with_keywords(&numbers);
            let control = match (failure.control, numbers.is_empty()) {
                (false, _) => "",
                (true, false) => " and the control",
                (true, true) => "the control",
            };
            write!(f, "refused: {numbers}{control}: {}", failure.refused)?;
            match failure.refused.meaning() {
                Some(meaning) => writeln!(f, ": {meaning}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_no_resolver_and_a_port_is_none_of_it() {
        let resolve = |destination| resolve(destination, None);
        assert_eq!(resolve("10.77.1.2").unwrap(), ([10, 77, 1, 2], 0).into());
        assert_eq!(resolve("fd77::1").unwrap().to_string(), "[fd77::1]:0");
    }

    #[test]
    fn a_source_of_the_other_version_cannot_reach_the_destination() {
        let error = resolve("10.77.1.2", Some("fd77::1".parse().unwrap())).unwrap_err();
        assert_eq!(error.to_string(), "10.77.1.2: has no IPv6 address");
    }

    #[test]
    fn a_payload_that_no_datagram_holds_is_refused_before_anything_is_sent() {
        assert_eq!(
            payload(None, Some(28)).unwrap(),
            b"abcdefghijklmnopqrstuvwxyzab"
        );
        assert!(payload(None, Some(MAX_PAYLOAD)).is_ok());
        assert!(payload(None, Some(MAX_PAYLOAD + 1)).is_err());
    }
}
