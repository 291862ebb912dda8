//! Drop witnesses among the points: they are read first, and are no points of the path.

use std::sync::Arc;

use super::{Error, Options, Points};
use crate::{
    decode::Decoder,
    observe::{Witness, Witnesses},
    source::{LinkType, Origin, Recording, Source},
};

/// The points that are on the path, with what the others witness.
///
/// What a source is, its content tells: only files can be looked into before they are read.
pub(super) fn set_apart(points: &Points, options: &Options) -> Result<Points, Error> {
    let mut all = Witnesses::default();
    let mut on_path = Vec::new();
    for (index, point) in points.iter().enumerate() {
        if let Origin::Live(interface) = &point.origin
            && interface.starts_with("nflog")
        {
            return Err(Error::LiveWitness {
                origin: point.origin.clone(),
                interface: interface.clone(),
            });
        }
        if !point.origin.is_repeatable() {
            on_path.push(index);
            continue;
        }
        let Recording::Capture(mut source) = Recording::open(point.origin.clone())? else {
            on_path.push(index);
            continue;
        };
        if is_witness(&mut source) {
            let mut decoder = Decoder::new(options.dates());
            let mut witness = Witness::new(&point.name, point.origin.to_string());
            // From its beginning: its first frame has been looked at.
            let mut source = Source::open(point.origin.clone())?;
            if options.digest {
                source.digest();
            }
            while let Some(frame) = source.next_frame() {
                if frame.link_type == LinkType::NFLOG {
                    witness.frame(&frame, &mut decoder, &mut all);
                }
            }
            witness.finish(&source.into_summary(), &mut all);
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
    let mut points = points.in_order(&on_path);
    points.witnesses = Arc::new(all);
    Ok(points)
}

/// Whether all that a capture holds was logged by a packet filter.
fn is_witness(source: &mut Source) -> bool {
    // The interfaces of pcapng are known once the first frame is.
    let _ = source.next_frame();
    is_record(source)
}

/// The same of a capture whose first frame was read.
pub(super) fn is_record(source: &Source) -> bool {
    source.summary().link_types == [LinkType::NFLOG]
}
