//! `hdp loopback`: the article's first experiment in one command.

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::ControlFlow,
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, ensure};

use super::{Outcome, output, terminal};
use crate::{
    decode::DEFAULT_WINDOW_NS,
    hdp,
    log::ReceivedPacket,
    probe::{
        self, Interrupt, IpOptions, Listener, MAX_PAYLOAD, Order, Round, Schedule, Sender, Subject,
        loopback::Loopback,
    },
    protocols::List,
    report,
};

/// How long a packet may take from one socket of this host to another.
const PATIENCE: Duration = Duration::from_millis(200);

/// What this system does with each protocol number: sends to itself and listens at once
///
/// The article's first experiment. Shows for each number whether this system took the packet,
/// whether it handed it to a raw socket that listens, and where it ended if not.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Protocol numbers, such as 6,17,250-256
    #[arg(long, value_name = "LIST", default_value = "0-256")]
    protocols: List,

    /// Over IPv6 in place of IPv4
    #[arg(long)]
    ipv6: bool,

    /// Payload of N bytes
    #[arg(long, value_name = "N", default_value_t = 32)]
    size: usize,

    /// A row for each number, also where there is the same to say
    #[arg(long)]
    all: bool,

    /// How the table is written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: output::Format,

    /// Write the table to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    ensure!(
        arguments.size <= MAX_PAYLOAD,
        "--size: an IP datagram has room for {MAX_PAYLOAD} bytes, not for more"
    );
    let mut out = output::open(arguments.output.as_deref())?;
    let loopback = sweep(arguments)?;
    let width = terminal::width();
    let text = match arguments.format {
        output::Format::Table => report::loopback_table(&loopback, arguments.all, width),
        output::Format::Markdown => report::loopback_markdown(&loopback, arguments.all),
        output::Format::Csv => report::loopback_csv(&loopback),
        output::Format::Json => report::json_of(&loopback),
    };
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(Outcome::Done)
}

fn sweep(arguments: &Arguments) -> anyhow::Result<Loopback> {
    let (version, address): (_, IpAddr) = if arguments.ipv6 {
        (6, Ipv6Addr::LOCALHOST.into())
    } else {
        (4, Ipv4Addr::LOCALHOST.into())
    };
    let interrupt = Interrupt::install().context("signals")?;
    // What 256 is sent as is listened to as well.
    let on_the_wire = |n: &u8| arguments.protocols.on_the_wire(*n);
    let mut listener = Listener::open(
        Subject {
            protocols: (0..=u8::MAX).filter(on_the_wire).map(u16::from).collect(),
            versions: vec![version],
            window_ns: DEFAULT_WINDOW_NS,
            answer: false,
        },
        &interrupt,
    )?;
    let sender = Sender::open(Schedule {
        destination: (address, 0).into(),
        protocols: arguments.protocols.clone(),
        rounds: 1,
        interval: Duration::ZERO,
        source_port: hdp::PORT,
        destination_port: hdp::PORT,
        ip: IpOptions::default(),
        payload: (b'a'..=b'z').cycle().take(arguments.size).collect(),
        control: false,
        order: Order::Rising,
        heartbeat: false,
    })?;
    probe::drop_capabilities().context("capabilities")?;

    let mut sent = Vec::new();
    let mut received = Vec::new();
    let interrupted = sender.run(&interrupt, |attempt| {
        sent.push(sender.record(&attempt));
        receive(&mut listener, Duration::ZERO, &mut received).map(drop)
    })?;
    ensure!(!interrupted, "interrupted");
    while received.len() < sent.len()
        && receive(&mut listener, PATIENCE, &mut received)? != Round::Nothing
    {}
    let start = listener.start();
    Ok(Loopback::new(
        start.origin.clone(),
        address,
        &sent,
        &received,
        &start,
        &listener.end(),
    ))
}

/// Takes what has come.
fn receive(
    listener: &mut Listener,
    timeout: Duration,
    received: &mut Vec<ReceivedPacket>,
) -> io::Result<Round> {
    listener.receive(timeout, |event| {
        received.push(event.record);
        Ok(ControlFlow::Continue(()))
    })
}
