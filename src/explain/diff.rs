//! What changed between two sightings of one packet, field by field, with its bytes.

use super::{Place, reread::Trace};
use crate::{
    decode::LayerKind,
    dissect::{digits, read_fields},
    observe::Flow,
};
use serde::Serialize;

/// Fewer equal bytes than this between two changed ones of the payload are told with them.
const GAP: usize = 4;

/// A field that two sightings of one packet, next to each other on its way, do not share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// The two sightings.
    pub between: [Place; 2],
    /// Which field: those of the findings' changes by the same name, the others by theirs in
    /// `hdp dissect -V`, in small letters with underscores.
    pub field: String,
    /// What it said before.
    pub from: String,
    /// What it said after.
    pub to: String,
    /// Its bytes; null where a sighting is a log's, or could not be read again.
    pub bytes: Option<ChangedBytes>,
}

/// The bytes of a field before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedBytes {
    /// Where they begin, counted from the first byte of the IP header before the change.
    pub offset: usize,
    /// Before, in hexadecimal.
    pub from: String,
    /// After.
    pub to: String,
}

/// A field's values and bytes, before it is known where the change happened.
type Difference = (String, [String; 2], Option<ChangedBytes>);

/// The fields in which two sightings differ, in the order of the bytes.
pub(super) fn changes(
    between: [&Place; 2],
    flows: [&Flow; 2],
    traces: [Option<&Trace>; 2],
) -> Vec<FieldChange> {
    let differences = match traces {
        [Some(a), Some(b)] => of_traces(a, b),
        _ => of_flows(flows),
    };
    differences
        .into_iter()
        .map(|(field, [from, to], bytes)| FieldChange {
            between: between.map(Clone::clone),
            field,
            from,
            to,
            bytes,
        })
        .collect()
}

/// What can be told without bytes. A TTL of 0 is one that a log does not know.
fn of_flows([a, b]: [&Flow; 2]) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut compare = |field: &str, a: String, b: String| {
        if a != b {
            differences.push((field.to_owned(), [a, b], None));
        }
    };
    if a.ttl != 0 && b.ttl != 0 {
        compare("ttl", a.ttl.to_string(), b.ttl.to_string());
    }
    compare("protocol", a.protocol.to_string(), b.protocol.to_string());
    compare("source_address", a.source.to_string(), b.source.to_string());
    let destinations = [a.destination, b.destination].map(|address| address.to_string());
    let [a_to, b_to] = destinations;
    compare("destination_address", a_to, b_to);
    let ports = |flow: &Flow| [flow.source_port, flow.destination_port].map(|p| p.to_string());
    let ([a_source, a_destination], [b_source, b_destination]) = (ports(a), ports(b));
    compare("source_port", a_source, b_source);
    compare("destination_port", a_destination, b_destination);
    differences
}

fn of_traces(a: &Trace, b: &Trace) -> Vec<Difference> {
    let mut differences = Vec::new();
    let shown = |trace: &Trace| match trace.encapsulation.as_str() {
        "" => "none".to_owned(),
        encapsulation => encapsulation.to_owned(),
    };
    if a.encapsulation != b.encapsulation {
        let values = [shown(a), shown(b)];
        differences.push(("encapsulation".to_owned(), values, None));
    }
    let kinds =
        |trace: &Trace| -> Vec<LayerKind> { trace.headers.iter().map(|(kind, _)| *kind).collect() };
    if kinds(a) != kinds(b) {
        let names = |trace: &Trace| {
            let names: Vec<_> = kinds(trace).iter().map(ToString::to_string).collect();
            names.join("/")
        };
        differences.push(("headers".to_owned(), [names(a), names(b)], None));
    }
    let mut offset = 0;
    for (kind, before) in &a.headers {
        let same = b.headers.iter().find(|(other, _)| other == kind);
        if let Some((_, after)) = same {
            differences.extend(of_header(*kind, offset, before, after));
        }
        offset += before.len();
    }
    differences.extend(of_payload(offset, &a.payload, &b.payload));
    differences
}

/// The fields of a header that say something else.
fn of_header(kind: LayerKind, offset: usize, a: &[u8], b: &[u8]) -> Vec<Difference> {
    let (fields_a, fields_b) = (read_fields(kind, a), read_fields(kind, b));
    let mut differences = Vec::new();
    for before in &fields_a {
        let after = fields_b.iter().find(|after| after.name == before.name);
        let Some(after) = after.filter(|after| after.value != before.value) else {
            continue;
        };
        let bytes = ChangedBytes {
            offset: offset + before.start,
            from: digits(&a[before.start..before.end]),
            to: digits(&b[after.start..after.end]),
        };
        let values = [before.value.clone(), after.value.clone()];
        differences.push((name(kind, before.name), values, Some(bytes)));
    }
    differences
}

/// The name of a field in the findings' manner.
fn name(kind: LayerKind, field: &str) -> String {
    let is_ip = matches!(kind, LayerKind::Ipv4 | LayerKind::Ipv6);
    match field {
        "Source" if is_ip => "source_address".to_owned(),
        "Destination" if is_ip => "destination_address".to_owned(),
        "Identification" if is_ip => "ip_id".to_owned(),
        "Hop limit" => "ttl".to_owned(),
        "Next header" if is_ip => "protocol".to_owned(),
        field => {
            let name = field.to_lowercase().replace(' ', "_");
            match kind {
                LayerKind::Udp => format!("udp_{name}"),
                _ => name,
            }
        }
    }
}

/// Stretches of the payload that differ, as far as both captures kept it.
fn of_payload(offset: usize, a: &[u8], b: &[u8]) -> Vec<Difference> {
    let differing: Vec<usize> = (0..a.len().min(b.len()))
        .filter(|&at| a[at] != b[at])
        .collect();
    differing
        .chunk_by(|at, next| next - at <= GAP)
        .map(|run| {
            let range = run[0]..run[run.len() - 1] + 1;
            let [from, to] = [&a[range.clone()], &b[range.clone()]].map(digits);
            let bytes = ChangedBytes {
                offset: offset + range.start,
                from: from.clone(),
                to: to.clone(),
            };
            ("payload".to_owned(), [from, to], Some(bytes))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(a: &[u8], b: &[u8]) -> Vec<(usize, String, String)> {
        let bytes = of_payload(32, a, b)
            .into_iter()
            .map(|(_, _, bytes)| bytes.unwrap());
        bytes
            .map(|bytes| (bytes.offset, bytes.from, bytes.to))
            .collect()
    }

    #[test]
    fn a_payload_is_compared_as_far_as_both_have_it() {
        assert_eq!(told(b"abcd", b"abcd"), []);
        assert_eq!(told(b"abcd", b"ab"), []);
        assert_eq!(told(b"abcd", b"aBc"), [(33, "62".into(), "42".into())]);
    }

    #[test]
    fn changed_bytes_near_each_other_are_one_stretch() {
        assert_eq!(
            told(b"x123y1234567z", b"X123Y1234567Z"),
            [
                (32, "7831323379".into(), "5831323359".into()),
                (44, "7a".into(), "5a".into())
            ]
        );
    }

    #[test]
    fn fields_that_share_a_byte_are_told_apart() {
        let mut a = vec![0x45, 0, 0, 46, 0, 1, 0x40, 0, 64, 50, 0, 0];
        a.extend([10, 77, 1, 2, 10, 77, 2, 2]);
        let mut b = a.clone();
        b[1] = 0b11;
        let found = of_header(LayerKind::Ipv4, 0, &a, &b);
        assert_eq!(found.len(), 1);
        let (field, values, bytes) = &found[0];
        assert_eq!(field, "ecn");
        assert_eq!(*values, ["0", "3"]);
        assert_eq!(bytes.as_ref().unwrap().offset, 1);
    }
}
