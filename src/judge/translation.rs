//! Translation: which numbers crossed a segment with another source address, and which with their
//! own beside them. Nothing need be known of the translator.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use crate::{
    correlate::{Relations, Way},
    findings::{Protocol, Reason, Segment, Translation},
    observe::Point,
    protocols::Carrier,
};

/// Whose source address changed between two neighbouring points, beside whose did not; `None`
/// where none did.
pub(super) fn between(
    (points, relations): (&[Point], &Relations),
    way: Way,
    (from, to): (usize, usize),
    protocols: &[Protocol],
) -> Option<Translation> {
    let ends = [&points[from].name, &points[to].name];
    let changes_source = |protocol: &Protocol| {
        let mut changes = protocol.changes.iter();
        changes.any(|change| {
            change.field == "source_address" && [&change.between[0], &change.between[1]] == ends
        })
    };
    let is_translated = |protocol: &&Protocol| {
        let here = number_at(protocol, &points[from].name);
        let as_here = |other: &&Protocol| {
            other.protocol == here && other.carrier == protocol.carrier && changes_source(other)
        };
        changes_source(protocol) || protocols.iter().any(|other| as_here(&other))
    };
    if !protocols.iter().any(|protocol| is_translated(&protocol)) {
        return None;
    }
    let came = protocols.iter().filter(|protocol| {
        protocol.carrier == Carrier::Ip && protocol.seen[from] > 0 && protocol.seen[to] > 0
    });
    let (translated, untranslated): (Vec<&Protocol>, Vec<&Protocol>) =
        came.partition(|protocol| is_translated(protocol));
    let numbers = |protocols: &[&Protocol]| protocols.iter().map(|p| p.protocol).collect();
    let flows = points[to].flows.iter().zip(0..);
    let sources: BTreeSet<IpAddr> = flows
        .filter(|(entry, index)| {
            let number = u16::from(entry.flow.protocol);
            entry.flow.carrier == Carrier::Ip
                && relations.way(to, *index) == way
                && untranslated.iter().any(|p| p.protocol == number)
        })
        .map(|(entry, _)| entry.flow.source)
        .collect();
    Some(Translation {
        translated: numbers(&translated),
        untranslated: numbers(&untranslated),
        left_private: !sources.is_empty() && sources.iter().all(is_private),
        untranslated_sources: sources.iter().map(ToString::to_string).collect(),
    })
}

/// Under which number the packets of another come to a point: ICMP has one in each version of IP
/// (RFC 7915).
fn number_at(protocol: &Protocol, point: &str) -> u16 {
    let mut changes = protocol.changes.iter();
    let became = changes.find(|change| change.field == "protocol" && change.between[1] == point);
    let number = became.and_then(|change| change.to.parse().ok());
    number.unwrap_or(protocol.protocol)
}

/// Whether an address has no meaning on the Internet (RFC 1918, RFC 6598, RFC 4193).
fn is_private(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let is_shared = address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64;
            address.is_private() || is_shared
        }
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

/// Adds to what was lost behind a translator that it had left it with a private source.
pub(super) fn explain_losses(segment: &Segment, protocols: &mut [Protocol]) {
    let Some(translation) = segment.translation.as_ref().filter(|t| t.left_private) else {
        return;
    };
    let lost_behind = protocols.iter_mut().filter(|protocol| {
        protocol.carrier == Carrier::Ip
            && translation.untranslated.contains(&protocol.protocol)
            && protocol.lost_at.iter().any(|lost| lost.from == segment.to)
    });
    for protocol in lost_behind {
        let point = segment.to.clone();
        protocol.reasons.insert(0, Reason::Untranslated { point });
    }
}

/// Where most flows of these numbers go, as one point sees it.
pub(super) fn destination(
    (points, relations): (&[Point], &Relations),
    way: Way,
    point: usize,
) -> Option<String> {
    let mut flows: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for (entry, index) in points[point].flows.iter().zip(0..) {
        if relations.way(point, index) == way {
            *flows.entry(entry.flow.destination).or_default() += 1;
        }
    }
    let most = flows.into_iter().max_by_key(|(_, flows)| *flows);
    most.map(|(destination, _)| destination.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_those_of_the_three_rfcs() {
        for (address, private) in [
            ("10.77.1.2", true),
            ("172.31.0.1", true),
            ("172.32.0.1", false),
            ("192.168.1.1", true),
            ("100.63.255.255", false),
            ("100.64.0.1", true),
            ("100.127.255.255", true),
            ("100.128.0.1", false),
            ("203.0.113.7", false),
            ("fd77:1::2", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_private(&address.parse().unwrap()), private, "{address}");
        }
    }
}
