//! Points that are files, each read in a thread of its own, or all in one.
//!
//! Sightings are surveyed while the captures are being read, so that a large capture need not be
//! kept in memory. A capture that turns out to be far from the order of its timestamps, or to show
//! packets on two sides of a host, is read again, with everything kept.

use std::thread::{self, ScopedJoinHandle};

use super::{
    Error, Event, Memory, Named, Options, Order, Points,
    reader::{self, Reader},
    shared_survey::{Turn, Turns},
    sides,
};
use crate::{
    correlate::{Rolling, Survey},
    observe::{Batch, Disorder, Observer, Point},
    source::Recording,
};

/// Sightings in a batch: it stays in the processor's cache until it is surveyed.
const BATCH: usize = 8192;

/// Sightings that a point holds back, because earlier ones may still come.
const HELD_BACK: usize = 2048;

/// Reads all points, which are files, and surveys what they saw. The points hold what the survey has not
/// counted.
pub(super) fn read(points: &Points, options: &Options) -> Result<(Vec<Point>, Survey), Error> {
    match read_rolling(points, options)? {
        Some(surveyed) => Ok(surveyed),
        None => read_all(points, options),
    }
}

/// The same as long as nothing more needs to be kept; `None` where it does.
pub(super) fn read_rolling(
    points: &Points,
    options: &Options,
) -> Result<Option<(Vec<Point>, Survey)>, Error> {
    reader::ensure_filters(options)?;
    let keep_all = options.memory == Memory::Unbounded || options.order == Order::Auto;
    if keep_all || have_log(points)? {
        return Ok(None);
    }
    let surveyed = rolling(points, options)?;
    if surveyed.is_none() {
        options.tell(Event::ReadingAgain);
    }
    Ok(surveyed)
}

/// Reads and surveys all points, which hold all that they saw.
fn read_all(points: &Points, options: &Options) -> Result<(Vec<Point>, Survey), Error> {
    let seen = if options.one_thread {
        points
            .iter()
            .map(|point| reader::read(point, options))
            .collect::<Result<Vec<Point>, Error>>()?
    } else {
        thread::scope(|scope| {
            let readers: Vec<_> = points
                .iter()
                .map(|point| scope.spawn(move || reader::read(point, options)))
                .collect();
            let seen = readers.into_iter().map(join);
            seen.collect::<Result<Vec<Point>, Error>>()
        })?
    };
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
    let rolling = if options.one_thread {
        by_one(points, options)?
    } else {
        by_turns(points, options)?
    };
    let Some((seen, survey)) = rolling.map(Rolling::into_parts) else {
        return Ok(None);
    };
    // What was seen twice at a point is among what is left.
    let has_sides = |point: &Point| sides::shows_forwarding(&point.sightings, &point.flows);
    Ok((!seen.iter().any(has_sides)).then_some((seen, survey)))
}

/// One thread reads the point that the survey waits for.
fn by_one(points: &Points, options: &Options) -> Result<Option<Rolling>, Error> {
    let readers = points.iter().map(|point| Surveyed::open(point, options));
    let mut readers = readers
        .map(|reader| reader.map(Some))
        .collect::<Result<Vec<_>, Error>>()?;
    let mut rolling = Rolling::new(points.len());
    let mut batch = Batch::default();
    while let Some(point) = rolling.slowest() {
        let reader = readers[point].as_mut().expect("it has not ended");
        match reader.read(&mut batch)? {
            Ok(true) => rolling.add(point, &mut batch),
            Ok(false) => {
                let ended = readers[point].take().expect("it has not ended before");
                rolling.finish(point, ended.end()?);
            }
            Err(NeedsAll) => return Ok(None),
        }
    }
    Ok(Some(rolling))
}

/// A thread for each point.
fn by_turns(points: &Points, options: &Options) -> Result<Option<Rolling>, Error> {
    let turns = Turns::new(points.len());
    let read = |(index, point)| {
        let turn = turns.turn(index);
        take_turns(Surveyed::open(point, options)?, turn)
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
    let is_complete = read.iter().all(Result::is_ok);
    Ok(is_complete.then(|| turns.into_rolling()))
}

fn join<T>(reader: ScopedJoinHandle<T>) -> T {
    reader
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A capture that cannot be surveyed while it is being read.
#[derive(Debug)]
pub(super) struct NeedsAll;

impl From<Disorder> for NeedsAll {
    fn from(_: Disorder) -> Self {
        Self
    }
}

/// A point that is read in batches.
pub(super) struct Surveyed<'a> {
    reader: Reader<'a>,
    observer: Observer,
    is_first: bool,
}

impl<'a> Surveyed<'a> {
    pub(super) fn open(point: &'a Named, options: &Options) -> Result<Self, Error> {
        Ok(Self {
            reader: Reader::open(point, options)?,
            observer: Observer::default(),
            is_first: true,
        })
    }

    /// The earliest frame that was read and not handed over, or the next one.
    pub(super) fn earliest_frame(&self) -> u64 {
        self.observer.earliest_frame()
    }

    /// Reads until a batch is full; `false` at the end.
    pub(super) fn read(&mut self, batch: &mut Batch) -> Result<Result<bool, NeedsAll>, Error> {
        let wants_more = |observer: &Observer| observer.held() < BATCH + HELD_BACK;
        while wants_more(&self.observer) {
            self.reader.frames_at_hand(&mut self.observer, wants_more);
            if wants_more(&self.observer) && !self.reader.frame(&mut self.observer)? {
                return Ok(self
                    .observer
                    .check_end()
                    .map(|()| false)
                    .map_err(Into::into));
            }
        }
        if let Err(disorder) = self.observer.hand_over(HELD_BACK, batch) {
            return Ok(Err(disorder.into()));
        }
        // The earlier this is known, the less is read twice.
        let is_first = std::mem::replace(&mut self.is_first, false);
        let has_sides = is_first && sides::shows_forwarding(&batch.sightings, &batch.flows);
        Ok(if has_sides { Err(NeedsAll) } else { Ok(true) })
    }

    /// The point, with what it still holds.
    pub(super) fn end(self) -> Result<Point, Error> {
        self.reader.finish(self.observer)
    }
}

/// Reads to the end and hands in what was seen on the way.
fn take_turns(mut surveyed: Surveyed, turn: Turn) -> Result<Result<(), NeedsAll>, Error> {
    loop {
        let mut batch = turn.empty();
        match surveyed.read(&mut batch)? {
            Ok(true) => {
                if turn.hand_in(batch).is_err() {
                    return Ok(Err(NeedsAll));
                }
            }
            Ok(false) => break,
            Err(needs_all) => return Ok(Err(needs_all)),
        }
    }
    turn.finish(surveyed.end()?);
    Ok(Ok(()))
}
