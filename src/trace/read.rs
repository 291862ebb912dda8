//! A trace from a capture, whatever program made the probes.

use std::{collections::BTreeMap, net::IpAddr};

use super::{
    Refusals,
    exchange::{AnswerKind, Exchanges},
    verdict,
};
use crate::{
    decode::{DEFAULT_WINDOW_NS, Decoder, LayerKind},
    findings::trace::{Trace, TraceWarning},
    source::{self, Origin, Source},
};

/// Why a capture holds no trace.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The capture cannot be read.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// There is nothing in it that a trace sends.
    #[error(
        "{origin}: holds no probes: no HDP, and no packets with a small TTL that ICMP errors quote \
         ({frames} frames)"
    )]
    NoProbes {
        /// The capture.
        origin: String,
        /// Frames read.
        frames: u64,
    },
    /// There is a trace in it, but not to there.
    #[error("{origin}: holds no probes to {destination}, but to {found}")]
    OtherDestination {
        /// The capture.
        origin: String,
        /// What was asked for.
        destination: IpAddr,
        /// One that is there.
        found: IpAddr,
    },
}

/// What a capture of a trace shows: of the one to `destination`, or of the one with most answers. Also
/// returns the warnings of reading.
///
/// # Errors
/// [`Error`]; a capture that ends early gives what was read, with a warning.
pub fn read(origin: Origin, destination: Option<IpAddr>) -> Result<(Trace, Vec<String>), Error> {
    let name = origin.to_string();
    let mut source = Source::open(origin)?;
    let mut decoder = Decoder::new(DEFAULT_WINDOW_NS);
    let mut exchanges = Exchanges::default();
    let mut frames = 0;
    while let Some(frame) = source.next_frame() {
        frames += 1;
        let Some(time_ns) = frame.time_ns else {
            continue;
        };
        let _ = decoder.decode(&frame);
        let mut layers = decoder.layers().iter();
        let ip = layers.find(|layer| matches!(layer.kind, LayerKind::Ipv4 | LayerKind::Ipv6));
        if let Some(ip) = ip {
            exchanges.take(time_ns, &frame.bytes[ip.start..]);
        }
    }
    // By pair of addresses: how many probes were answered on the way, and how many there are.
    let mut pairs: BTreeMap<(IpAddr, IpAddr), (u64, u64)> = BTreeMap::new();
    for probe in exchanges.probes() {
        let (expired, sent) = pairs.entry((probe.source, probe.destination)).or_default();
        let answer = probe.answer.as_ref();
        *expired += u64::from(answer.is_some_and(|a| a.kind == AnswerKind::Expired));
        *sent += 1;
    }
    let most = pairs
        .iter()
        .filter(|((_, to), _)| destination.is_none_or(|wanted| wanted == *to))
        .max_by_key(|(_, counts)| **counts);
    let Some((&ends, _)) = most else {
        return Err(match (destination, pairs.keys().next()) {
            (Some(destination), Some(&(_, found))) => Error::OtherDestination {
                origin: name,
                destination,
                found,
            },
            _ => Error::NoProbes {
                origin: name,
                frames,
            },
        });
    };
    let others = pairs
        .iter()
        .filter(|(pair, (expired, _))| **pair != ends && *expired > 0);
    let others: Vec<_> = others.map(|((_, to), _)| to).collect();
    let warning = others.first().filter(|_| destination.is_none());
    let warning = warning.map(|example| TraceWarning::OtherDestinations {
        count: others.len() as u64,
        for_example: example.to_string(),
    });
    let warnings = warning.into_iter().collect();
    let trace = verdict::judge(&exchanges, ends, &Refusals::new(), warnings);
    Ok((trace, source.summary().warnings.clone()))
}
