//! Reading the points of a path, each in a thread of its own.
//!
//! Sightings are surveyed while the captures are being read, so that a large capture need not be
//! kept in memory. A capture that turns out to be far from the order of its timestamps, or to show
//! packets on two sides of a host, is read again, with everything kept; so everything is kept from
//! the start where a source cannot be read twice.

use std::{
    sync::Arc,
    thread::{self, ScopedJoinHandle},
};

use super::{
    Error, Event, Memory, Named, Options, Order, Points,
    capture::{Capturing, Saved},
    session::Shared,
    shared_survey::{Turn, Turns},
    sides,
};
#[cfg(feature = "libpcap")]
use crate::source::Filter;
use crate::{
    correlate::Survey,
    decode::Shortcut,
    observe::{Disorder, Observer, Point},
    source::{self, Log, Recording, Source, Summary},
};

/// Sightings in a batch: it stays in the processor's cache until it is surveyed.
const BATCH: usize = 8192;

/// Sightings that a point holds back, because earlier ones may still come.
const HELD_BACK: usize = 2048;

/// A source that is never idle reports on itself after so many frames.
const ATTEST_EVERY: u64 = 1024;

/// Sees that this build has what it needs to filter.
pub(super) fn ensure_filters(options: &Options) -> Result<(), Error> {
    if cfg!(feature = "libpcap") || options.filter.is_none() {
        Ok(())
    } else {
        Err(Error::NoFilters)
    }
}

/// Reads all points, which are files, and surveys what they saw.
pub(super) fn files(points: &Points, options: &Options) -> Result<(Vec<Point>, Survey), Error> {
    ensure_filters(options)?;
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
            .map(|point| scope.spawn(move || read(point, options)))
            .collect();
        let seen = readers.into_iter().map(join);
        seen.collect::<Result<Vec<Point>, Error>>()
    })?;
    let survey = Survey::of(&seen);
    Ok((seen, survey))
}

/// Reads one point, whatever kind of record it is.
fn read(point: &Named, options: &Options) -> Result<Point, Error> {
    match Recording::open(point.origin.clone())? {
        Recording::Capture(source) => Reader::of(point, options, *source).read(),
        Recording::Log(log) => read_log(point, options, *log),
    }
}

/// Reads one point of a session into its window.
pub(super) fn into_window(
    shared: &Arc<Shared>,
    point: usize,
    capturing: Option<Capturing>,
) -> Result<(), Error> {
    let mut failing = Failing {
        shared,
        point,
        has_failed: true,
    };
    let told = Told { shared, point };
    tell(told, capturing)?;
    failing.has_failed = false;
    Ok(())
}

/// Ends all captures with the reader that fails, by an error or a panic: the others do not wait for
/// it.
struct Failing<'a> {
    shared: &'a Shared,
    point: usize,
    has_failed: bool,
}

impl Drop for Failing<'_> {
    fn drop(&mut self) {
        if self.has_failed {
            self.shared.window.end(self.point, Summary::default());
            self.shared.end();
        }
        self.shared.leave();
    }
}

/// A point of a session, as its reader sees it.
#[derive(Clone, Copy)]
struct Told<'a> {
    shared: &'a Arc<Shared>,
    point: usize,
}

/// Lets an observer take a frame.
trait Witness {
    fn watch(&mut self, take: impl FnOnce(&mut Observer));
}

impl Witness for Observer {
    #[inline(always)]
    fn watch(&mut self, take: impl FnOnce(&mut Observer)) {
        take(self);
    }
}

impl Witness for Told<'_> {
    fn watch(&mut self, take: impl FnOnce(&mut Observer)) {
        if self.take(take) {
            self.shared.window.advance(self.point, true);
        }
    }
}

impl<'a> Told<'a> {
    /// Has a frame taken; whether the window should take in what the point has seen.
    fn take(self, take: impl FnOnce(&mut Observer)) -> bool {
        let (seen, is_enough) = self.shared.window.watch(self.point, |observer| {
            take(observer);
            observer.seen()
        });
        if self.shared.options.count.is_some_and(|count| count <= seen) {
            self.shared.end();
        }
        is_enough
    }

    /// Passes on what a source reports of itself, once all its frames were.
    fn attest(self, source: &Source) {
        self.shared.window.attest(self.point, source.summary());
    }

    fn named(self) -> &'a Named {
        &self.shared.points.as_slice()[self.point]
    }
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

/// Reads one point, whatever kind of record it is, into its window.
fn tell(told: Told<'_>, capturing: Option<Capturing>) -> Result<(), Error> {
    let (shared, point) = (told.shared, told.named());
    let options = &shared.options;
    let give_up_privileges = || match &options.sandbox {
        Some(sandbox) => sandbox().map_err(Error::Sandbox),
        None => Ok(()),
    };
    if let Some(Capturing { source, saved }) = capturing {
        give_up_privileges()?;
        return Reader::of(point, options, source).tell_live(told, saved);
    }
    let recording = Recording::open_until(point.origin.clone(), &shared.until());
    let is_over = shared.is_over();
    give_up_privileges()?;
    let recording = match recording {
        // The end came before its first byte: no reason to withhold what the others saw.
        Err(source::Error::Empty { .. }) if is_over => {
            let summary = Summary {
                warnings: vec!["nothing came from it before the end".to_owned()],
                ..Summary::default()
            };
            shared.window.end(told.point, summary);
            return Ok(());
        }
        recording => recording?,
    };
    match recording {
        Recording::Capture(source) => Reader::of(point, options, *source).tell(told),
        Recording::Log(log) => {
            let read = read_log(point, options, *log)?;
            shared.window.end_as(told.point, read);
            Ok(())
        }
    }
}

fn read_log(point: &Named, options: &Options, log: Log) -> Result<Point, Error> {
    if options.filter.is_some() {
        return Err(Error::FilterOnLog {
            origin: point.origin.clone(),
        });
    }
    let (name, source) = (point.name.clone(), point.origin.to_string());
    Ok(Point::of_log(log, name, source))
}

/// Reads and surveys at once; `None` where a capture needs everything kept.
fn rolling(points: &Points, options: &Options) -> Result<Option<(Vec<Point>, Survey)>, Error> {
    let turns = Turns::new(points.len());
    let read = |(index, point)| {
        let turn = turns.turn(index);
        Reader::open(point, options)?.by_turns(turn)
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

/// One point being read.
struct Reader<'a> {
    point: &'a Named,
    source: Source,
    decoder: Shortcut,
    #[cfg(feature = "libpcap")]
    filter: Option<Filter>,
}

impl<'a> Reader<'a> {
    fn open(point: &'a Named, options: &Options) -> Result<Self, Error> {
        let source = Source::open(point.origin.clone())?;
        Ok(Self::of(point, options, source))
    }

    fn of(point: &'a Named, options: &Options, source: Source) -> Self {
        if let Some(progress) = source.progress() {
            options.tell(Event::Reading(progress));
        }
        Self {
            point,
            source,
            decoder: Shortcut::new(options.window_ns()),
            #[cfg(feature = "libpcap")]
            filter: options
                .filter
                .as_deref()
                // The kernel applies an interface's.
                .filter(|_| !point.origin.is_live())
                .map(|filter| Filter::new(filter, &point.origin)),
        }
    }

    /// Reads one frame; `false` at the end.
    #[inline(always)]
    #[cfg_attr(not(feature = "libpcap"), allow(clippy::unnecessary_wraps))]
    fn frame(&mut self, witness: &mut impl Witness) -> Result<bool, Error> {
        let Some(frame) = self.source.next_frame() else {
            return Ok(false);
        };
        #[cfg(feature = "libpcap")]
        if let Some(filter) = &mut self.filter
            && !filter.matches(&frame)?
        {
            witness.watch(|observer| {
                observer.watch(&frame);
                observer.pass_over(&frame);
            });
            return Ok(true);
        }
        witness.watch(|observer| {
            observer.watch(&frame);
            observer.read(&frame, &mut self.decoder);
        });
        Ok(true)
    }

    /// Reads to the end.
    fn read(mut self) -> Result<Point, Error> {
        let mut observer = Observer::default();
        while self.frame(&mut observer)? {}
        self.finish(observer)
    }

    /// Reads to the end and hands in what was seen on the way, in batches.
    fn by_turns(mut self, turn: Turn) -> Result<Result<(), NeedsAll>, Error> {
        let mut observer = Observer::default();
        let mut is_first = true;
        while self.frame(&mut observer)? {
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
                turn.finish(self.finish(observer)?);
                Ok(Ok(()))
            }
            Err(disorder) => Ok(Err(disorder.into())),
        }
    }

    /// Reads to the end into a window.
    fn tell(mut self, mut told: Told) -> Result<(), Error> {
        let mut frames: u64 = 0;
        while self.frame(&mut told)? {
            if frames.is_multiple_of(ATTEST_EVERY) {
                told.attest(&self.source);
            }
            frames += 1;
        }
        self.end(told)
    }

    /// Reads an interface into a window, until it is to stop.
    fn tell_live(mut self, told: Told, mut saved: Option<Saved>) -> Result<(), Error> {
        told.attest(&self.source);
        loop {
            if told.shared.is_over() {
                self.source.stop();
            }
            let is_idle = !self.source.wait();
            if let Some(saved) = &mut saved {
                saved.drops(self.source.summary())?;
            }
            if is_idle {
                if let Some(saved) = &mut saved {
                    saved.flush()?;
                }
                told.attest(&self.source);
                continue;
            }
            let Some((frame, interface)) = self.source.next_with_interface() else {
                break;
            };
            if let Some(saved) = &mut saved {
                saved.frame(&frame, interface)?;
            }
            let number = frame.number;
            let is_enough = told.take(|observer| {
                observer.watch(&frame);
                observer.read(&frame, &mut self.decoder);
            });
            if is_enough {
                // The kernel's ring would run over.
                told.shared.window.advance(told.point, false);
            }
            if number % ATTEST_EVERY == 1 {
                told.attest(&self.source);
            }
        }
        if let Some(saved) = saved {
            saved.end(self.source.summary())?;
        }
        self.end(told)
    }

    fn finish(self, observer: Observer) -> Result<Point, Error> {
        self.ensure_known(observer.understands_nothing())?;
        let name = self.point.name.clone();
        let source = self.point.origin.to_string();
        let summary = self.source.summary().clone();
        Ok(observer.finish(name, source, summary))
    }

    /// Ends the point in its window.
    fn end(&self, Told { shared, point }: Told) -> Result<(), Error> {
        let window = &shared.window;
        let (is_unknown, _) = window.watch(point, |observer| observer.understands_nothing());
        self.ensure_known(is_unknown)?;
        window.end(point, self.source.summary().clone());
        Ok(())
    }

    /// Sees that there was something to be understood.
    fn ensure_known(&self, is_unknown: bool) -> Result<(), Error> {
        if is_unknown {
            let unknown = self.source.summary().link_types.iter();
            let unknown: Vec<_> = unknown.map(ToString::to_string).collect();
            return Err(Error::LinkType {
                origin: self.point.origin.clone(),
                link_types: unknown.join(", "),
            });
        }
        Ok(())
    }
}
