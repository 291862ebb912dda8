//! `hdp send`: the article's client.

use std::{
    io::{self, IsTerminal, Read, Write},
    net::{SocketAddr, ToSocketAddrs},
    time::Duration,
};

use anyhow::{Context, ensure};

use super::{Outcome, duration};
use crate::{
    hdp,
    probe::{Attempt, MAX_PAYLOAD, Probe, Schedule, Sender},
    protocols::List,
};

/// Send HDP under chosen protocol numbers, one packet a number and round
///
/// The payload is read from standard input unless that is a terminal. Shows one row a packet: the
/// number that was requested, the one in the IP header, whether the system took the packet, the
/// timestamp it carries, the length of the IP datagram, and the call that failed. What goes wrong
/// for one number never stops the rest.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// IPv4 or IPv6 address or host name
    #[arg(value_name = "DEST")]
    destination: String,
    /// Protocol numbers, such as 6,17,250-255 or all
    #[arg(long, value_name = "LIST", default_value = "255")]
    protocols: List,
    /// Rounds over the list
    #[arg(long, value_name = "N", default_value_t = 1)]
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
    /// Follow each packet by the same in a valid UDP datagram from port 420 to port 420: where the
    /// number is lost and the control arrives, it was the number
    #[arg(long)]
    control: bool,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<Outcome> {
    let sender = Sender::open(Schedule {
        destination: resolve(&arguments.destination)?,
        payload: payload(arguments.payload, arguments.size)?,
        protocols: arguments.protocols,
        rounds: arguments.count,
        interval: arguments.interval,
        source_port: arguments.src_port,
        destination_port: arguments.dst_port,
        control: arguments.control,
    })?;
    let mut out = io::stdout().lock();
    writeln!(out, "{HEADING}")?;
    let (mut sent, mut refused) = (0_u64, 0_u64);
    sender.run(|attempt| {
        match attempt.result {
            Ok(_) => sent += 1,
            Err(_) => refused += 1,
        }
        writeln!(out, "{}", row(&attempt))
    })?;
    eprintln!("packets: {sent} sent, {refused} refused by this system");
    Ok(Outcome::Done)
}

fn resolve(destination: &str) -> anyhow::Result<SocketAddr> {
    (destination, 0)
        .to_socket_addrs()
        .with_context(|| destination.to_owned())?
        .next()
        .with_context(|| format!("{destination}: has no address"))
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
            bytes
        }
    };
    ensure!(
        payload.len() <= MAX_PAYLOAD,
        "payload: an IP datagram has room for {MAX_PAYLOAD} bytes, not for more"
    );
    Ok(payload)
}

const HEADING: &str = "Requested  On wire  Sent       Timestamp (ns)  Bytes  Failure";

fn row(attempt: &Attempt) -> String {
    let requested = match attempt.probe {
        Probe::Number(requested) => requested.to_string(),
        Probe::Control => "control".to_owned(),
    };
    let none = || "-".to_owned();
    let (on_the_wire, sent, timestamp, bytes, failure) = match attempt.result {
        Ok(sent) => (
            attempt.probe.on_the_wire().to_string(),
            "yes",
            sent.timestamp_ns.to_string(),
            sent.total_len.to_string(),
            none(),
        ),
        Err(refused) => (none(), "no", none(), none(), refused.to_string()),
    };
    format!("{requested:>9}  {on_the_wire:>7}  {sent:<4}  {timestamp:>19}  {bytes:>5}  {failure}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Sent;

    #[test]
    fn rows_stand_under_the_heading() {
        let row = row(&Attempt {
            probe: Probe::Number(256),
            result: Ok(Sent {
                timestamp_ns: 1_790_000_000_123_456_789,
                total_len: 45,
            }),
        });
        assert_eq!(
            format!("{HEADING}\n{row}"),
            "Requested  On wire  Sent       Timestamp (ns)  Bytes  Failure\n      \
                 256        0  yes   1790000000123456789     45  -"
        );
    }

    #[test]
    fn an_address_needs_no_resolver_and_a_port_is_none_of_it() {
        assert_eq!(resolve("10.77.1.2").unwrap(), ([10, 77, 1, 2], 0).into());
        assert_eq!(resolve("fd77::1").unwrap().to_string(), "[fd77::1]:0");
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
