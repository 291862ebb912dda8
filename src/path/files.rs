//! Points that are files, each read in a thread of its own.
//!
//! Sightings are surveyed while the captures are being read, so that a large capture need not be
//! kept in memory. A capture that turns out to be far from the order of its timestamps, or to show
//! packets on two sides of a host, is read again, with everything kept.

use std::thread::{self, ScopedJoinHandle};

use super::{
    Error, Event, Memory, Options, Order, Points,
    reader::{self, Reader},
    shared_survey::{Turn, Turns},
    sides,
};
use crate::{
    correlate::Survey,
    observe::{Disorder, Observer, Point},
    source::Recording,
};

/// Sightings in a batch: it stays in the processor's cache until it is surveyed.
const BATCH: usize = 8192;

/// Sightings that a point holds back, because earlier ones may still come.
const HELD_BACK: usize = 2048;

/// Reads all points, which are files, and surveys what they saw.
pub(super) fn read(points: &Points, options: &Options) -> Result<(Vec<Point>, Survey), Error> {
    reader::ensure_filters(options)?;
    let keep_all = options.memory == Memory::Unbounded || options.order == Order::Auto;
    if !keep_all && !have_log(points)? {
        if let Some(surveyed) = rolling(points, options)? {
            return Ok(surveyed);
        }
        options.tell(Event::ReadingAgain);
    }
    let seen = thread::scope(|scope| {
        let readers: Vec<_> = points
            .iter()
            .map(|point| scope.spawn(move || reader::read(point, options)))
            .collect();
        let seen = readers.into_iter().map(join);
        seen.collect::<Result<Vec<Point>, Error>>()
    })?;
    let survey = Survey::of(&seen);
    Ok((seen, survey))
}

/// Whether one of these files is a log: those are small next to captures, and read whole.
fn have_log(points: &Points) -> Result<bool, Error> {
    for point in points.iter() {
        if let Recording::Log(_) = Recording::open(point.origin.clone())? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads and surveys at once; `None` where a capture needs everything kept.
fn rolling(points: &Points, options: &Options) -> Result<Option<(Vec<Point>, Survey)>, Error> {
    let turns = Turns::new(points.len());
    let read = |(index, point)| {
        let turn = turns.turn(index);
        by_turns(Reader::open(point, options)?, turn)
    };
    let read = thread::scope(|scope| {
        let mut points = points.iter().enumerate();
        // This thread reads too: of one more than there are processors two would share one.
        let own = points.next();
        let readers: Vec<_> = points
            .map(|point| scope.spawn(move || read(point)))
            .collect();
        let own = own.map(read);
        let read = own.into_iter().chain(readers.into_iter().map(join));
        read.collect::<Result<Vec<Result<(), NeedsAll>>, Error>>()
    })?;
    if read.iter().any(Result::is_err) {
        return Ok(None);
    }
    let (seen, survey) = turns.into_rolling().into_parts();
    // What was seen twice at a point is among what is left.
    let has_sides = |point: &Point| sides::shows_forwarding(&point.sightings, &point.flows);
    Ok((!seen.iter().any(has_sides)).then_some((seen, survey)))
}

fn join<T>(reader: ScopedJoinHandle<T>) -> T {
    reader
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A capture that cannot be surveyed while it is being read.
#[derive(Debug)]
struct NeedsAll;

impl From<Disorder> for NeedsAll {
    fn from(_: Disorder) -> Self {
        Self
    }
}

/// Reads to the end and hands in what was seen on the way, in batches.
fn by_turns(mut reader: Reader, turn: Turn) -> Result<Result<(), NeedsAll>, Error> {
    let mut observer = Observer::default();
    let mut is_first = true;
    while reader.frame(&mut observer)? {
        if observer.held() < BATCH + HELD_BACK {
            continue;
        }
        let mut batch = turn.empty();
        if let Err(disorder) = observer.hand_over(HELD_BACK, &mut batch) {
            return Ok(Err(disorder.into()));
        }
        // The earlier this is known, the less is read twice.
        let has_sides = is_first && sides::shows_forwarding(&batch.sightings, &batch.flows);
        if has_sides || turn.hand_in(batch).is_err() {
            return Ok(Err(NeedsAll));
        }
        is_first = false;
    }
    match observer.check_end() {
        Ok(()) => {
            turn.finish(reader.finish(observer)?);
            Ok(Ok(()))
        }
        Err(disorder) => Ok(Err(disorder.into())),
    }
}
