//! Files that are read again, for the packets that the survey has counted in bulk.
//!
//! Who wants to know the fate of every packet gets them stretch by stretch, and memory depends on how far the
//! points are apart, not on the captures' size.

use super::{Error, Options, Points, files::Surveyed};
use crate::{
    correlate::Stretches,
    judge::Show,
    observe::{Batch, FlowEntry, Point, Sighting},
    source::Origin,
};

/// Reads the points' files as they were `seen`, and shows their sightings. `is_shown` is told from time to
/// time before which frame of each point all were.
///
/// # Errors
/// Those of reading and of `is_shown`, and [`Error::Changed`].
pub(super) fn read(
    points: &Points,
    seen: &[Point],
    options: &Options,
    show: &mut Show<'_>,
    mut is_shown: impl FnMut(&[u64]) -> Result<(), Error>,
) -> Result<(), Error> {
    let options = &Options {
        events: None,
        digest: false,
        ..options.clone()
    };
    let readers = points.iter().map(|point| Surveyed::open(point, options));
    let mut readers = readers
        .map(|reader| reader.map(Some))
        .collect::<Result<Vec<_>, Error>>()?;
    let origins: Vec<&Origin> = points.iter().map(|point| &point.origin).collect();
    let changed = |point: usize| Error::Changed {
        origin: origins[point].clone(),
    };
    let mut known = vec![0; seen.len()];
    let mut shown = vec![0; seen.len()];
    let mut stretches = Stretches::new(seen.len());
    let mut batch = Batch::default();
    while let Some(point) = stretches.slowest() {
        let reader = readers[point].as_mut().expect("it has not ended");
        let goes_on = reader.read(&mut batch)?.map_err(|_| changed(point))?;
        if goes_on {
            let (sightings, flows) = (&mut batch.sightings, &mut batch.flows);
            forget_later(&seen[point], sightings);
            flows.truncate(seen[point].flows.len() - known[point]);
            batch.keys.truncate(flows.len());
            if !begin_so(&seen[point].flows[known[point]..], &batch.flows) {
                return Err(changed(point));
            }
            known[point] += batch.flows.len();
            stretches.add(point, &mut batch, &mut *show);
        } else {
            let ended = readers[point].take();
            let mut ended = ended.expect("it has not ended before").end()?;
            forget_later(&seen[point], &mut ended.sightings);
            ended.flows.truncate(seen[point].flows.len());
            ended.keys.truncate(ended.flows.len());
            if !begin_so(&seen[point].flows, &ended.flows) {
                return Err(changed(point));
            }
            stretches.finish(point, ended, &mut *show);
        }
        for (index, (shown, reader)) in shown.iter_mut().zip(&readers).enumerate() {
            let unread = reader.as_ref().map_or(u64::MAX, Surveyed::earliest_frame);
            let ahead = stretches.earliest_frame(index).map(u64::from);
            *shown = ahead.map_or(unread, |ahead| ahead.min(unread));
        }
        is_shown(&shown)?;
    }
    Ok(())
}

/// Forgets what came after the point was read first: a capture may go on meanwhile.
fn forget_later(seen: &Point, sightings: &mut Vec<Sighting>) {
    sightings.retain(|sighting| u64::from(sighting.frame) <= seen.frames);
}

/// Whether the flows that were known begin with these.
fn begin_so(known: &[FlowEntry], flows: &[FlowEntry]) -> bool {
    let mut both = known.iter().zip(flows);
    both.all(|(known, flow)| known.flow == flow.flow)
}
