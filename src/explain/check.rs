//! Commands with which a reader checks, without this program, that a packet was or was not seen.

use serde::Serialize;

use super::reread::Trace;
use crate::{observe::Flow, protocols::Carrier, shell::quoted, source::Packing};

/// One such command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The point whose record it looks at; of a host's two sides, their capture.
    pub point: String,
    /// For a shell, in the directory from which the source was named.
    pub command: String,
    /// Lines that it prints to standard output.
    pub lines: u64,
}

/// What a capture is searched for.
pub(super) struct Search<'a> {
    /// The flow, here or where the packet was seen last.
    pub(super) flow: &'a Flow,
    /// The same of its bytes.
    pub(super) trace: Option<&'a Trace>,
    pub(super) timestamp_ns: u64,
}

/// The command that shows what a capture holds of the packet; `None` where tcpdump's filters do
/// not look into what IP is wrapped in.
pub(super) fn of_capture(file: &str, packing: Packing, search: &Search) -> Option<String> {
    let filter = filter(search)?;
    let file = quoted(file);
    Some(match unpacker(packing) {
        None => format!("tcpdump -nr {file} '{filter}'"),
        Some(unpack) => format!("{unpack} {file} | tcpdump -nr - '{filter}'"),
    })
}

/// The command that shows a log's line about the packet.
pub(super) fn of_log(file: &str, packing: Packing, timestamp_ns: u64) -> String {
    let file = quoted(file);
    let search = format!("grep -n '\"timestamp_ns\":{timestamp_ns},'");
    match unpacker(packing) {
        None => format!("{search} {file}"),
        Some(unpack) => format!("{unpack} {file} | {search}"),
    }
}

/// Protocol number and timestamp, the latter where HDP has it: behind its ports.
fn filter(search: &Search) -> Option<String> {
    let Flow {
        source,
        protocol,
        carrier,
        encapsulation,
        ..
    } = search.flow;
    if !encapsulation.is_empty() {
        return None;
    }
    let (ip, header_len) = if source.is_ipv4() {
        ("ip", 20)
    } else {
        ("ip6", 40)
    };
    let hdp = match (search.trace, carrier) {
        (Some(trace), _) => trace.hdp_offset(),
        (None, Carrier::Ip) => header_len,
        (None, Carrier::Udp) => header_len + 8,
    };
    let (high, low) = (search.timestamp_ns >> 32, search.timestamp_ns & 0xffff_ffff);
    let (first, second) = (hdp + 4, hdp + 8);
    // The base header of IPv6 names the first extension header, if there is one.
    let number = if header_len == hdp || ip == "ip" {
        format!("{ip} proto {protocol}")
    } else {
        ip.to_owned()
    };
    Some(format!(
        "{number} and {ip}[{first}:4] = {high:#010x} and {ip}[{second}:4] = {low:#010x}"
    ))
}

fn unpacker(packing: Packing) -> Option<&'static str> {
    match packing {
        Packing::Plain => None,
        Packing::Gzip => Some("zcat"),
        Packing::Zstd => Some("zstdcat"),
    }
}
