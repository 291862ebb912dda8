//! Packets of one protocol number as they come from two pipes, each with its fate.
//!
//! ```text
//! cargo run --example follow -- 253 <(ssh client tcpdump -U -w - -i eth0) <(ssh server tcpdump -U -w - -i eth0)
//! ```
//!
//! A line appears once the fate of a packet is known: a loss when the second end has captured
//! something later than the packet.

use std::{env, error::Error, io, time::Duration};

use hdp::{
    findings::{Fate, Findings, Packet},
    path::{self, Options, Session},
};

/// How often to look.
const INTERVAL: Duration = Duration::from_millis(500);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let number = arguments.next().ok_or("which protocol number?")?.parse()?;
    let sources: Vec<String> = arguments.collect();
    let findings = follow(number, &sources, &mut io::stdout())?;
    for warning in &findings.warnings {
        eprintln!("warning: {warning}");
    }
    Ok(())
}

/// Writes a line for each packet of the number, until both pipes have ended.
///
/// # Errors
/// Where a source cannot be read.
#[allow(unreachable_pub, reason = "a test calls it")]
pub fn follow(
    number: u8,
    sources: &[String],
    out: &mut impl io::Write,
) -> Result<Findings, Box<dyn Error>> {
    let points = path::points(sources)?;
    let session = path::watch(&points, &Options::default())?;
    let mut written = 0;
    while !session.wait(INTERVAL) {
        written = write_new(&session, number, written, out)?;
    }
    write_new(&session, number, written, out)?;
    Ok(session.finish()?)
}

/// Writes the packets that were sent after `written`, up to the first whose fate is open; returns
/// the timestamp of the last one written.
fn write_new(
    session: &Session,
    number: u8,
    mut written: u64,
    out: &mut impl io::Write,
) -> io::Result<u64> {
    let (_, packets) = session.snapshot_with_packets(number);
    let new = packets
        .iter()
        .filter(|packet| packet.timestamp_ns > written);
    let new: Vec<&Packet> = new.take_while(|packet| packet.fate != Fate::Edge).collect();
    for packet in new {
        let seen: Vec<&str> = packet.seen.iter().map(|seen| &*seen.point).collect();
        writeln!(
            out,
            "{} {:?} seen at {}",
            packet.timestamp_ns,
            packet.fate,
            seen.join(", ")
        )?;
        written = packet.timestamp_ns;
    }
    Ok(written)
}
