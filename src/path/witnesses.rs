//! Drop witnesses among the points, which are no points of the path: files are read first, netfilter's
//! log as an interface (`live:nflog:5`) while the points are.

use std::sync::Arc;

use super::{Error, Named, Options, Points};
use crate::{
    decode::Decoder,
    observe::{Witness, Witnesses},
    source::{LinkType, Origin, Recording, Source},
};

/// Packets of which a log that does not end is remembered, twice at the most.
const REMEMBERED: usize = 1 << 18;

/// The points that are on the path, with what the others witness.
///
/// What a source is, its content tells: only files can be looked into before they are read.
pub(super) fn set_apart(points: &Points, options: &Options) -> Result<Points, Error> {
    let mut on_path = Vec::new();
    let mut recorded = Vec::new();
    let mut live = Vec::new();
    for (index, point) in points.iter().enumerate() {
        if is_log(&point.origin) {
            live.push(point.clone());
        } else if is_record_of_drops(&point.origin)? {
            recorded.push(point);
        } else {
            on_path.push(index);
        }
    }
    if let ([only], true) = (on_path.as_slice(), points.len() > 1) {
        let origin = points.as_slice()[*only].origin.clone();
        return Err(Error::OnePoint { origin });
    }
    if on_path.is_empty() {
        return Err(Error::NoPoint);
    }
    let mut path = points.in_order(&on_path);
    if let (Some(witness), false) = (live.first(), path.have_streams()) {
        return Err(Error::LiveWitness {
            origin: witness.origin.clone(),
        });
    }
    let all = match live.as_slice() {
        [] => Witnesses::default(),
        _ => Witnesses::endless(REMEMBERED),
    };
    for witness in recorded {
        read_file(witness, options, &all)?;
    }
    path.witnesses = Arc::new(all);
    path.live_witnesses = live;
    Ok(path)
}

/// Whether this is netfilter's log as an interface.
fn is_log(origin: &Origin) -> bool {
    matches!(origin, Origin::Live(interface) if interface.split(':').next() == Some("nflog"))
}

/// Whether all that a file holds was logged by a packet filter.
fn is_record_of_drops(origin: &Origin) -> Result<bool, Error> {
    if !origin.is_repeatable() {
        return Ok(false);
    }
    let Recording::Capture(mut source) = Recording::open(origin.clone())? else {
        return Ok(false);
    };
    // The interfaces of pcapng are known once the first frame is.
    let _ = source.next_frame();
    Ok(is_record(&source))
}

/// The same of a capture whose first frame was read.
pub(super) fn is_record(source: &Source) -> bool {
    source.summary().link_types == [LinkType::NFLOG]
}

/// Reads a file, from its beginning.
fn read_file(point: &Named, options: &Options, all: &Witnesses) -> Result<(), Error> {
    let mut decoder = Decoder::new(options.dates());
    let mut source = Source::open(point.origin.clone())?;
    if options.digest {
        source.digest();
    }
    let name = point.origin.to_string();
    let mut witness = Witness::new(&point.name, name, source.summary(), all);
    while let Some(frame) = source.next_frame() {
        if frame.link_type == LinkType::NFLOG {
            witness.frame(&frame, &mut decoder);
        }
    }
    witness.attest(&source.into_summary());
    Ok(())
}
