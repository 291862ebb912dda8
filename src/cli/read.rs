//! Reading the points of a path, each in a thread of its own.
//!
//! Sightings are surveyed while the captures are being read, so that a large capture need not be
//! kept in memory. A capture that turns out to be far from the order of its timestamps, or to show
//! packets on two sides of a host, is read again, with everything kept; so everything is kept from
//! the start where a source cannot be read twice. Interfaces are captured from by their kernel
//! before any point is read, and end together.

use std::{
    sync::mpsc::{Receiver, SyncSender, channel, sync_channel},
    thread::{self, ScopedJoinHandle},
};

use anyhow::{Context as _, bail};

use super::{
    live::{Captures, Capturing, Saved},
    progress::Bar,
    view::Watching,
};
#[cfg(feature = "libpcap")]
use crate::source::Filter;
use crate::{
    correlate::{Rolling, Survey},
    decode::Shortcut,
    observe::{Batch, Disorder, Observer, Point},
    probe,
    session::Session,
    source::{Log, Origin, Recording, Source},
    stages,
};

/// Sightings in a batch: it stays in the processor's cache until it is surveyed.
const BATCH: usize = 8192;

/// Sightings that a point holds back, because earlier ones may still come.
const HELD_BACK: usize = 2048;

/// After so many frames a source that is never idle is asked what it says of itself.
const ATTEST_EVERY: u64 = 1024;

/// Batches that may wait for the other points.
const WAITING: usize = 4;

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
    /// What is known so far is shown meanwhile; there if [`Settings::live`] is.
    pub(super) watching: Option<Watching>,
}

/// Reads all points and surveys what they saw.
pub(super) fn points(
    plan: &[Planned],
    settings: &Settings,
) -> anyhow::Result<(Vec<Point>, Survey)> {
    let can_be_read_twice = plan.iter().all(|planned| can_be_repeated(&planned.origin));
    if can_be_read_twice
        && !settings.keep_all
        && !has_log(plan)?
        && let Some(surveyed) = rolling(plan, settings)?
    {
        return Ok(surveyed);
    }
    settings.bar.start_over();
    // All captures run before the first point is read.
    let capturing = match &settings.live {
        Some(live) => live.open(plan)?,
        None => plan.iter().map(|_| None).collect(),
    };
    let session = settings.watching.as_ref();
    let session = session.map(|watching| watching.session(plan));
    let points = thread::scope(|scope| {
        // Until all is read, however that ends.
        let _reading = match (&session, &settings.live) {
            (Some(session), Some(live)) => Some(Watching::start(scope, plan, session, &live.run)),
            _ => None,
        };
        let readers: Vec<_> = plan
            .iter()
            .zip(capturing)
            .enumerate()
            .map(|(index, (planned, capturing))| {
                let told = session.as_ref().map(|session| Told { session, index });
                scope.spawn(move || {
                    let mut failing = Failing(settings.live.as_ref());
                    let point = read(planned, settings, capturing, told)?;
                    failing.0 = None;
                    Ok(point)
                })
            })
            .collect();
        readers
            .into_iter()
            .map(join)
            .collect::<anyhow::Result<Vec<Point>>>()
    })?;
    let survey = Survey::of(&points);
    Ok((points, survey))
}

/// Ends all captures with the one that fails, by an error or a panic.
struct Failing<'a>(Option<&'a Captures<'a>>);

impl Drop for Failing<'_> {
    fn drop(&mut self) {
        if let Some(live) = self.0 {
            live.run.end();
        }
    }
}

/// Who is told what is being read of a point, for others to look at meanwhile.
#[derive(Clone, Copy)]
struct Told<'a> {
    session: &'a Session,
    /// The point's place in the session.
    index: usize,
}

impl Told<'_> {
    /// Tells what a source says of itself, once all its frames were.
    fn attest(self, source: &Source) {
        self.session.attest(self.index, source.summary());
    }
}

/// Has a frame taken by the observer, or by the session's where that is told.
#[inline(always)]
fn taken_by<T>(
    observer: &mut Observer,
    told: Option<Told>,
    take: impl FnOnce(&mut Observer) -> T,
) -> T {
    match told {
        None => take(observer),
        Some(Told { session, index }) => session.watch(index, take),
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

/// Reads one point, whatever kind of record it is. Beside captures that are running, this thread
/// keeps no capability for what it parses.
fn read(
    planned: &Planned,
    settings: &Settings,
    capturing: Option<Capturing>,
    told: Option<Told>,
) -> anyhow::Result<Point> {
    if let (Some(capturing), Some(live)) = (capturing, &settings.live) {
        probe::drop_capabilities().context("capabilities")?;
        let mut reader = Reader::of(planned, settings, capturing.source);
        reader.told = told;
        return reader.read_live(live, capturing.saved);
    }
    let recording = match &settings.live {
        Some(live) => Recording::open_until(planned.origin.clone(), &live.run.for_pipes())?,
        None => Recording::open(planned.origin.clone())?,
    };
    if settings.live.is_some() {
        probe::drop_capabilities().context("capabilities")?;
    }
    match recording {
        Recording::Capture(source) => {
            let mut reader = Reader::of(planned, settings, *source);
            reader.told = told;
            reader.read()
        }
        Recording::Log(log) => {
            let point = read_log(planned, settings, *log)?;
            if let Some(Told { session, index }) = told {
                session.finish_as(index, point.clone());
            }
            Ok(point)
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
    thread::scope(|scope| {
        let mut readers = Vec::new();
        for planned in plan {
            let (full_sender, full) = sync_channel(WAITING);
            let (empties, empty) = channel();
            let reader = scope
                .spawn(move || Reader::open(planned, settings)?.in_batches(&full_sender, &empty));
            readers.push((Some(reader), full, empties));
        }
        let mut rolling = Rolling::new(plan.len());
        while let Some(point) = rolling.slowest() {
            let (reader, full, empties) = &mut readers[point];
            if let Ok(mut batch) = full.recv() {
                rolling.add(point, &mut batch);
                // The reader may be done and want no more.
                let _ = empties.send(batch);
                continue;
            }
            let Some(reader) = reader.take() else { break };
            match join(reader)? {
                Ok(finished) => rolling.finish(point, finished),
                // The other readers stop when they find nobody who takes their batches.
                Err(NeedsAll) => return Ok(None),
            }
        }
        let (points, survey) = rolling.into_parts();
        // What was seen twice at a point is among what is left.
        let has_sides = |point: &Point| stages::shows_forwarding(&point.sightings, &point.flows);
        Ok((!points.iter().any(has_sides)).then_some((points, survey)))
    })
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
    /// Sees what is read, unless that is told.
    observer: Observer,
    told: Option<Told<'a>>,
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
            observer: Observer::default(),
            told: None,
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
    fn frame(&mut self) -> anyhow::Result<bool> {
        let Some(frame) = self.source.next_frame() else {
            return Ok(false);
        };
        #[cfg(feature = "libpcap")]
        if let Some(filter) = &mut self.filter
            && !filter.matches(&frame)?
        {
            taken_by(&mut self.observer, self.told, |observer| {
                observer.watch(&frame);
                observer.pass_over(&frame);
            });
            return Ok(true);
        }
        taken_by(&mut self.observer, self.told, |observer| {
            observer.watch(&frame);
            observer.read(&frame, &mut self.decoder);
        });
        if let Some(told) = self.told
            && frame.number % ATTEST_EVERY == 1
        {
            told.attest(&self.source);
        }
        Ok(true)
    }

    fn read(mut self) -> anyhow::Result<Point> {
        while self.frame()? {}
        self.finish()
    }

    /// Reads an interface until it is told to stop.
    fn read_live(mut self, live: &Captures, mut saved: Option<Saved>) -> anyhow::Result<Point> {
        loop {
            if live.run.is_over() {
                self.source.stop();
            }
            if !self.source.wait() {
                if let Some(saved) = &mut saved {
                    saved.flush()?;
                }
                if let Some(told) = self.told {
                    told.attest(&self.source);
                }
                continue;
            }
            let Some((frame, interface)) = self.source.next_with_interface() else {
                break;
            };
            if let Some(saved) = &mut saved {
                saved.frame(&frame, interface)?;
            }
            let seen = taken_by(&mut self.observer, self.told, |observer| {
                observer.watch(&frame);
                observer.read(&frame, &mut self.decoder);
                observer.seen()
            });
            if live.count.is_some_and(|count| count <= seen) {
                live.run.end();
            }
            if let Some(told) = self.told
                && frame.number % ATTEST_EVERY == 1
            {
                told.attest(&self.source);
            }
        }
        if let Some(saved) = saved {
            saved.end(self.source.summary())?;
        }
        self.finish()
    }

    /// Reads to the end and hands over what was seen on the way, in batches that come back empty.
    fn in_batches(
        mut self,
        full: &SyncSender<Batch>,
        empty: &Receiver<Batch>,
    ) -> anyhow::Result<Result<Point, NeedsAll>> {
        let mut is_first = true;
        while self.frame()? {
            if self.observer.held() < BATCH + HELD_BACK {
                continue;
            }
            let mut batch = empty.try_recv().unwrap_or_default();
            if let Err(disorder) = self.observer.hand_over(HELD_BACK, &mut batch) {
                return Ok(Err(disorder.into()));
            }
            // The earlier this is known, the less is read twice.
            let has_sides = is_first && stages::shows_forwarding(&batch.sightings, &batch.flows);
            if has_sides || full.send(batch).is_err() {
                return Ok(Err(NeedsAll));
            }
            is_first = false;
        }
        match self.observer.check_end() {
            Ok(()) => self.finish().map(Ok),
            Err(disorder) => Ok(Err(disorder.into())),
        }
    }

    fn finish(self) -> anyhow::Result<Point> {
        let name = self.planned.name.clone();
        let source = self.planned.origin.to_string();
        let summary = self.source.summary().clone();
        let point = match self.told {
            None => self.observer.finish(name, source, summary),
            Some(Told { session, index }) => {
                session.finish(index, summary);
                session
                    .point(index)
                    .context("the point was just finished")?
            }
        };
        if point.frames > 0 && point.skipped.unsupported_link == point.frames {
            let unknown: Vec<_> = point
                .summary
                .link_types
                .iter()
                .map(ToString::to_string)
                .collect();
            bail!(
                "{}: link type {} cannot be decoded; capture on an Ethernet, cooked (-i any) or \
                 raw IP interface",
                point.source,
                unknown.join(", ")
            );
        }
        Ok(point)
    }
}
