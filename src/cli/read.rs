//! Reading the points of a path, each in a thread of its own.
//!
//! Sightings are surveyed while the captures are being read, so that a large capture need not be
//! kept in memory. A capture that turns out to be far from the order of its timestamps, or to show
//! packets on two sides of a host, is read again, with everything kept; so everything is kept from
//! the start where a source cannot be read twice. Interfaces are captured from by their kernel
//! before any point is read, and end together.

use std::thread::{self, ScopedJoinHandle};

use anyhow::{Context as _, bail};

use super::{
    live::{Captures, Capturing, Saved},
    progress::Bar,
    turns::{Turn, Turns},
    view,
};
#[cfg(feature = "libpcap")]
use crate::source::Filter;
use crate::{
    correlate::Survey,
    decode::Shortcut,
    observe::{Disorder, Observer, Point},
    probe,
    session::Session,
    source::{self, Log, Origin, Recording, Source, Summary},
    stages,
};

/// Sightings in a batch: it stays in the processor's cache until it is surveyed.
const BATCH: usize = 8192;

/// Sightings that a point holds back, because earlier ones may still come.
const HELD_BACK: usize = 2048;

/// After so many frames a source that is never idle is asked what it says of itself.
const ATTEST_EVERY: u64 = 1024;

/// A point to be read: what an argument means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) origin: Origin,
}

/// How the points are read.
pub(super) struct Settings<'a> {
    /// How far the timestamp may lie from the capture time, in nanoseconds.
    pub(super) window_ns: u64,
    /// The pcap filter that frames must pass.
    #[cfg(feature = "libpcap")]
    pub(super) filter: Option<String>,
    /// Every packet is going to be reported.
    pub(super) keep_all: bool,
    /// Shows how far the files are read.
    pub(super) bar: Bar,
    /// How interfaces are captured from, and pipes read; there if one of the points is either.
    pub(super) live: Option<Captures<'a>>,
}

/// Reads all points, which are files, and surveys what they saw.
pub(super) fn points(
    plan: &[Planned],
    settings: &Settings,
) -> anyhow::Result<(Vec<Point>, Survey)> {
    if !settings.keep_all
        && !has_log(plan)?
        && let Some(surveyed) = rolling(plan, settings)?
    {
        return Ok(surveyed);
    }
    settings.bar.start_over();
    let points = thread::scope(|scope| {
        let readers: Vec<_> = plan
            .iter()
            .map(|planned| scope.spawn(move || read(planned, settings)))
            .collect();
        let points = readers.into_iter().map(join);
        points.collect::<anyhow::Result<Vec<Point>>>()
    })?;
    let survey = Survey::of(&points);
    Ok((points, survey))
}

/// Reads one point, whatever kind of record it is.
fn read(planned: &Planned, settings: &Settings) -> anyhow::Result<Point> {
    match Recording::open(planned.origin.clone())? {
        Recording::Capture(source) => Reader::of(planned, settings, *source).read(),
        Recording::Log(log) => read_log(planned, settings, *log),
    }
}

/// Reads all points into a session, and shows meanwhile what it knows, where somebody watches.
pub(super) fn into_session(
    plan: &[Planned],
    settings: &Settings,
    session: &Session,
) -> anyhow::Result<()> {
    // All captures run before the first point is read.
    let capturing = match &settings.live {
        Some(live) => live.open(plan)?,
        None => plan.iter().map(|_| None).collect(),
    };
    thread::scope(|scope| {
        // Until all is read, however that ends.
        let _watched = settings
            .live
            .as_ref()
            .map(|live| view::watch(scope, plan, session, &live.run));
        let readers: Vec<_> = plan
            .iter()
            .zip(capturing)
            .enumerate()
            .map(|(index, (planned, capturing))| {
                scope.spawn(move || {
                    let mut failing = Failing {
                        live: settings.live.as_ref(),
                        session,
                        index,
                        has_failed: true,
                    };
                    let told = Told {
                        session,
                        index,
                        live: settings.live.as_ref(),
                    };
                    tell(planned, settings, capturing, told)?;
                    failing.has_failed = false;
                    Ok(())
                })
            })
            .collect();
        readers.into_iter().try_for_each(join)
    })
}

/// Ends all captures with the reader that fails, by an error or a panic: the others do not wait for
/// it.
struct Failing<'a> {
    live: Option<&'a Captures<'a>>,
    session: &'a Session,
    index: usize,
    has_failed: bool,
}

impl Drop for Failing<'_> {
    fn drop(&mut self) {
        if self.has_failed {
            self.session.finish(self.index, Summary::default());
            if let Some(live) = self.live {
                live.run.end();
            }
        }
    }
}

/// Who is told what is being read of a point.
#[derive(Clone, Copy)]
struct Told<'a> {
    session: &'a Session,
    /// The point's place in the session.
    index: usize,
    /// Ended when a point has seen enough.
    live: Option<&'a Captures<'a>>,
}

/// Who has an observer take frames.
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
            self.session.advance(self.index, true);
        }
    }
}

impl Told<'_> {
    /// Has a frame taken; whether the session should take in what the point has told it.
    fn take(self, take: impl FnOnce(&mut Observer)) -> bool {
        let (seen, is_enough) = self.session.watch(self.index, |observer| {
            take(observer);
            observer.seen()
        });
        if let Some(live) = self.live
            && live.count.is_some_and(|count| count <= seen)
        {
            live.run.end();
        }
        is_enough
    }

    /// Tells what a source says of itself, once all its frames were.
    fn attest(self, source: &Source) {
        self.session.attest(self.index, source.summary());
    }
}

/// Whether a source can be read a second time: pipes and interfaces give what they have once.
pub(super) fn can_be_repeated(origin: &Origin) -> bool {
    match origin {
        Origin::Stdin | Origin::Live(_) => false,
        Origin::Path(path) => path.is_file(),
    }
}

/// Whether one of these files is a log: those are small next to captures, and read whole.
fn has_log(plan: &[Planned]) -> anyhow::Result<bool> {
    for planned in plan {
        if let Recording::Log(_) = Recording::open(planned.origin.clone())? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads one point, whatever kind of record it is, into a session. Beside captures that are running,
/// this thread keeps no capability for what it parses.
fn tell(
    planned: &Planned,
    settings: &Settings,
    capturing: Option<Capturing>,
    told: Told,
) -> anyhow::Result<()> {
    if let (Some(capturing), Some(live)) = (capturing, &settings.live) {
        probe::drop_capabilities().context("capabilities")?;
        let reader = Reader::of(planned, settings, capturing.source);
        return reader.tell_live(told, live, capturing.saved);
    }
    let (recording, is_over) = match &settings.live {
        Some(live) => {
            let recording = Recording::open_until(planned.origin.clone(), &live.run.for_pipes());
            (recording, live.run.is_over())
        }
        None => (Recording::open(planned.origin.clone()), false),
    };
    if settings.live.is_some() {
        probe::drop_capabilities().context("capabilities")?;
    }
    let recording = match recording {
        // The end came before its first byte: no reason to withhold what the others saw.
        Err(source::Error::Empty { .. }) if is_over => {
            told.session.finish(
                told.index,
                Summary {
                    warnings: vec!["nothing came from it before the end".to_owned()],
                    ..Summary::default()
                },
            );
            return Ok(());
        }
        recording => recording?,
    };
    match recording {
        Recording::Capture(source) => Reader::of(planned, settings, *source).tell(told),
        Recording::Log(log) => {
            let point = read_log(planned, settings, *log)?;
            told.session.finish_as(told.index, point);
            Ok(())
        }
    }
}

#[cfg_attr(
    not(feature = "libpcap"),
    allow(clippy::unnecessary_wraps, unused_variables)
)]
fn read_log(planned: &Planned, settings: &Settings, log: Log) -> anyhow::Result<Point> {
    #[cfg(feature = "libpcap")]
    if settings.filter.is_some() {
        // What only the captures leave out would look lost.
        bail!(
            "{}: is a log, to which no pcap filter (-f) can be applied; to report some numbers only \
             there is --protocols",
            planned.origin
        );
    }
    let (name, source) = (planned.name.clone(), planned.origin.to_string());
    Ok(Point::of_log(log, name, source))
}

/// Reads and surveys at once; `None` where a capture needs everything kept.
fn rolling(plan: &[Planned], settings: &Settings) -> anyhow::Result<Option<(Vec<Point>, Survey)>> {
    let turns = Turns::new(plan.len());
    let read = |(point, planned)| {
        let turn = turns.turn(point);
        Reader::open(planned, settings)?.by_turns(turn)
    };
    let read = thread::scope(|scope| {
        let mut points = plan.iter().enumerate();
        // This thread reads too: of one more than there are processors two would share one.
        let own = points.next();
        let readers: Vec<_> = points
            .map(|point| scope.spawn(move || read(point)))
            .collect();
        let own = own.map(read);
        let read = own.into_iter().chain(readers.into_iter().map(join));
        read.collect::<anyhow::Result<Vec<Result<(), NeedsAll>>>>()
    })?;
    if read.iter().any(Result::is_err) {
        return Ok(None);
    }
    let (points, survey) = turns.into_rolling().into_parts();
    // What was seen twice at a point is among what is left.
    let has_sides = |point: &Point| stages::shows_forwarding(&point.sightings, &point.flows);
    Ok((!points.iter().any(has_sides)).then_some((points, survey)))
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
    planned: &'a Planned,
    source: Source,
    decoder: Shortcut,
    #[cfg(feature = "libpcap")]
    filter: Option<Filter>,
}

impl<'a> Reader<'a> {
    fn open(planned: &'a Planned, settings: &Settings) -> anyhow::Result<Self> {
        let source = Source::open(planned.origin.clone())?;
        Ok(Self::of(planned, settings, source))
    }

    #[cfg_attr(not(feature = "libpcap"), allow(unused_variables))]
    fn of(planned: &'a Planned, settings: &Settings, source: Source) -> Self {
        settings.bar.watch(source.progress());
        Self {
            planned,
            source,
            decoder: Shortcut::new(settings.window_ns),
            #[cfg(feature = "libpcap")]
            filter: settings
                .filter
                .as_deref()
                // An interface's is the kernel's business.
                .filter(|_| !planned.origin.is_live())
                .map(|filter| Filter::new(filter, &planned.origin)),
        }
    }

    /// Reads one frame; `false` at the end.
    #[inline(always)]
    #[cfg_attr(not(feature = "libpcap"), allow(clippy::unnecessary_wraps))]
    fn frame(&mut self, witness: &mut impl Witness) -> anyhow::Result<bool> {
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
    fn read(mut self) -> anyhow::Result<Point> {
        let mut observer = Observer::default();
        while self.frame(&mut observer)? {}
        self.finish(observer)
    }

    /// Reads to the end and hands in what was seen on the way, in batches.
    fn by_turns(mut self, turn: Turn) -> anyhow::Result<Result<(), NeedsAll>> {
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
            let has_sides = is_first && stages::shows_forwarding(&batch.sightings, &batch.flows);
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

    /// Reads to the end into a session.
    fn tell(mut self, mut told: Told) -> anyhow::Result<()> {
        let mut frames: u64 = 0;
        while self.frame(&mut told)? {
            if frames.is_multiple_of(ATTEST_EVERY) {
                told.attest(&self.source);
            }
            frames += 1;
        }
        self.end(told)
    }

    /// Reads an interface into a session, until it is told to stop.
    fn tell_live(
        mut self,
        told: Told,
        live: &Captures,
        mut saved: Option<Saved>,
    ) -> anyhow::Result<()> {
        told.attest(&self.source);
        loop {
            if live.run.is_over() {
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
                told.session.advance(told.index, false);
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

    fn finish(self, observer: Observer) -> anyhow::Result<Point> {
        self.ensure_known(observer.understands_nothing())?;
        let name = self.planned.name.clone();
        let source = self.planned.origin.to_string();
        let summary = self.source.summary().clone();
        Ok(observer.finish(name, source, summary))
    }

    /// Ends the point in its session.
    fn end(&self, Told { session, index, .. }: Told) -> anyhow::Result<()> {
        let (is_unknown, _) = session.watch(index, |observer| observer.understands_nothing());
        self.ensure_known(is_unknown)?;
        session.finish(index, self.source.summary().clone());
        Ok(())
    }

    /// Sees that there was something to be understood.
    fn ensure_known(&self, is_unknown: bool) -> anyhow::Result<()> {
        if is_unknown {
            let unknown = self.source.summary().link_types.iter();
            let unknown: Vec<_> = unknown.map(ToString::to_string).collect();
            bail!(
                "{}: link type {} cannot be decoded; capture on an Ethernet, cooked (-i any) or \
                 raw IP interface",
                self.planned.origin,
                unknown.join(", ")
            );
        }
        Ok(())
    }
}
