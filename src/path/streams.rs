//! Points that are read into a [`Window`]: pipes and interfaces each in a thread of its own, files in
//! bounded memory by turns in one.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    Error, Named, Options, Points, Window,
    capture::{Capturing, Saved},
    reader::{self, Reader, Witness},
    window::Pace,
    witnesses,
};
use crate::{
    decode::{Decoder, Shortcut},
    observe::{self, Observer},
    source::{self, Frame, Log, Recording, Source, Summary, Until},
};

/// A source that is never idle reports on itself after so many frames.
const ATTEST_EVERY: u64 = 1024;

/// And so long after the last time, where they come more slowly: a loss is judged no sooner.
const ATTEST_AFTER_NS: i64 = 100_000_000;

/// How long after the end of a capture netfilter may still hold back what it logged before it: a
/// second, unless the rule says otherwise (`NFULNL_TIMEOUT_DEFAULT`).
const HELD_BACK: Duration = Duration::from_millis(1_200);

/// What the readers of a session share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) points: Points,
    pub(super) options: Options,
    pub(super) window: Window,
    /// Somebody has ended the session.
    has_ended: AtomicBool,
    /// Readers that have not come to their ends.
    reading: Mutex<usize>,
    /// A reader has come to its end.
    read: Condvar,
}

impl Shared {
    pub(super) fn new(points: &Points, options: &Options, window: Window) -> Self {
        Self {
            window,
            points: points.clone(),
            options: options.clone(),
            has_ended: AtomicBool::new(false),
            reading: Mutex::new(points.len()),
            read: Condvar::new(),
        }
    }

    /// Waits until all points are read, no longer than `time`; whether they are.
    pub(super) fn wait(&self, time: Duration) -> bool {
        let reading = self.reading.lock();
        let reading = reading.unwrap_or_else(PoisonError::into_inner);
        let waited = (self.read).wait_timeout_while(reading, time, |reading| *reading > 0);
        *waited.unwrap_or_else(PoisonError::into_inner).0 == 0
    }

    /// Whether interfaces and pipes are to end.
    pub(super) fn is_over(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed) || self.options.is_over()
    }

    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
    }

    /// When a pipe ends that does not by itself.
    pub(super) fn until(self: &Arc<Self>) -> Until {
        let shared = Arc::clone(self);
        Arc::new(move || shared.is_over())
    }

    fn give_up_privileges(&self) -> Result<(), Error> {
        match &self.options.sandbox {
            Some(sandbox) => sandbox().map_err(Error::Sandbox),
            None => Ok(()),
        }
    }

    /// A reader has come to its end.
    pub(super) fn leave(&self) {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        *reading -= 1;
        drop(reading);
        self.read.notify_all();
    }
}

/// Reads one point of a session into its window.
pub(super) fn read(
    shared: &Arc<Shared>,
    point: usize,
    capturing: Option<Capturing>,
) -> Result<(), Error> {
    let mut failing = Failing::new(shared, point);
    let told = Told { shared, point };
    tell(told, capturing)?;
    failing.has_failed = false;
    Ok(())
}

/// Reads the points of a session, which are files, into its window by turns: none waits for another, and
/// whenever something is decided the same is known of each, however fast or slow they are read.
pub(super) fn read_by_turns(shared: &Arc<Shared>) -> Result<(), Error> {
    let points = shared.points.as_slice();
    let mut failing: Vec<Failing> = (0..points.len())
        .map(|point| Failing::new(shared, point))
        .collect();
    let open = |point: &Named| Recording::open(point.origin.clone());
    let recordings = points.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    shared.give_up_privileges()?;
    let mut readers = Vec::with_capacity(points.len());
    for (point, recording) in recordings.into_iter().enumerate() {
        let told = Told { shared, point };
        readers.push(match recording {
            Recording::Capture(source) => Some(Reader::of(told.named(), &shared.options, *source)),
            Recording::Log(log) => {
                tell_log(told, *log)?;
                failing[point].has_failed = false;
                None
            }
        });
    }
    while let Some(point) = shared.window.next() {
        let told = Told { shared, point };
        let reader = readers[point].as_mut().expect("it has not ended");
        if !tell_some(reader, told)? {
            let reader = readers[point].take().expect("it has not ended before");
            end(reader, told)?;
            failing[point].has_failed = false;
        }
    }
    Ok(())
}

/// Listens to a drop witness of a session.
pub(super) fn listen(
    shared: &Arc<Shared>,
    index: usize,
    capturing: Capturing,
) -> Result<(), Error> {
    shared.give_up_privileges()?;
    let heard = listen_on(shared, index, capturing);
    if heard.is_err() {
        shared.end();
    }
    heard
}

/// Ends all captures with the reader that fails, by an error or a panic: the others do not wait for
/// it.
struct Failing<'a> {
    shared: &'a Shared,
    point: usize,
    has_failed: bool,
}

impl<'a> Failing<'a> {
    fn new(shared: &'a Shared, point: usize) -> Self {
        Self {
            shared,
            point,
            has_failed: true,
        }
    }
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

impl Witness for Told<'_> {
    fn read(&mut self, frame: &Frame, decoder: &mut Shortcut) {
        let is_enough = self.take(|observer| Witness::read(observer, frame, decoder));
        self.advance(is_enough);
    }

    #[cfg(feature = "libpcap")]
    fn pass_over(&mut self, frame: &Frame) {
        let is_enough = self.take(|observer| Witness::pass_over(observer, frame));
        self.advance(is_enough);
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

    /// Has the window take in what the point has seen, where that is enough.
    fn advance(self, is_enough: bool) {
        if is_enough {
            self.shared.window.advance(self.point, Pace::Waits);
        }
    }

    /// Passes on what a source reports of itself, once all its frames were.
    fn attest(self, source: &Source) {
        self.shared.window.attest(self.point, source.summary());
    }

    fn named(self) -> &'a Named {
        &self.shared.points.as_slice()[self.point]
    }
}

/// Reads one point, whatever kind of record it is, into its window.
fn tell(told: Told<'_>, capturing: Option<Capturing>) -> Result<(), Error> {
    let (shared, point) = (told.shared, told.named());
    let options = &shared.options;
    if let Some(Capturing { source, saved }) = capturing {
        shared.give_up_privileges()?;
        let reader = Reader::of(point, options, source);
        return tell_live(reader, told, saved);
    }
    let recording = Recording::open_until(point.origin.clone(), &shared.until());
    let is_over = shared.is_over();
    shared.give_up_privileges()?;
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
        Recording::Capture(source) => tell_all(Reader::of(point, options, *source), told),
        Recording::Log(log) => tell_log(told, *log),
    }
}

/// Reads a log into a window.
fn tell_log(told: Told<'_>, log: Log) -> Result<(), Error> {
    let read = reader::read_log(told.named(), &told.shared.options, log)?;
    told.shared.window.end_as(told.point, read);
    Ok(())
}

/// Reads some frames into a window, and has it take in what the point has seen, where that is enough; `false`
/// at the end.
fn tell_some(reader: &mut Reader, told: Told) -> Result<bool, Error> {
    let window = &told.shared.window;
    let mut read = Ok(true);
    let is_enough = told.take(|observer| {
        for _ in 0..ATTEST_EVERY {
            read = reader.frame(observer);
            if !matches!(read, Ok(true)) || window.is_enough(observer) {
                break;
            }
        }
    });
    told.attest(&reader.source);
    if is_enough {
        window.advance(told.point, Pace::TakesTurns);
    }
    read
}

/// Reads to the end into a window.
fn tell_all(mut reader: Reader, mut told: Told) -> Result<(), Error> {
    let mut frames: u64 = 0;
    while reader.frame(&mut told)? {
        // Files were looked into before; the interfaces of pcapng are known once the first frame is.
        if frames == 0 && witnesses::is_record(&reader.source) {
            let origin = told.named().origin.clone();
            return Err(Error::WitnessFromPipe { origin });
        }
        if frames.is_multiple_of(ATTEST_EVERY) {
            told.attest(&reader.source);
        }
        frames += 1;
    }
    end(reader, told)
}

/// Reads an interface into a window, until it is to stop.
fn tell_live(mut reader: Reader, told: Told, mut saved: Option<Saved>) -> Result<(), Error> {
    told.attest(&reader.source);
    let until_ns = |source: &Source| source.summary().watched_ns.map_or(0, |(_, until)| until);
    let mut attested_ns = until_ns(&reader.source);
    loop {
        if told.shared.is_over() {
            reader.source.stop();
        }
        let is_idle = !reader.source.wait();
        if let Some(saved) = &mut saved {
            saved.drops(reader.source.summary())?;
        }
        if is_idle {
            if let Some(saved) = &mut saved {
                saved.flush()?;
            }
            told.attest(&reader.source);
            continue;
        }
        let Some((frame, interface)) = reader.source.next_with_interface() else {
            break;
        };
        if let Some(saved) = &mut saved {
            saved.frame(&frame, interface)?;
        }
        let number = frame.number;
        let is_enough = told.take(|observer| {
            observer.watch(&frame);
            observer.read(&frame, &mut reader.decoder);
        });
        if is_enough {
            // The kernel's ring would run over.
            told.shared.window.advance(told.point, Pace::GoesOn);
        }
        // Between frames that come all the time nothing else tells that the interface was watched.
        let now_ns = until_ns(&reader.source);
        if number % ATTEST_EVERY == 1 || now_ns.saturating_sub(attested_ns) >= ATTEST_AFTER_NS {
            told.attest(&reader.source);
            attested_ns = now_ns;
        }
    }
    if let Some(saved) = saved {
        saved.end(reader.source.summary())?;
    }
    end(reader, told)
}

/// Listens to netfilter's log until the points are read, and a little longer: what it logged last it
/// tells last.
fn listen_on(shared: &Shared, index: usize, capturing: Capturing) -> Result<(), Error> {
    let Capturing {
        mut source,
        mut saved,
    } = capturing;
    let point = &shared.points.live_witnesses[index];
    let mut decoder = Decoder::new(shared.options.dates());
    let name = point.origin.to_string();
    let mut witness = observe::Witness::new(
        &point.name,
        name,
        source.summary(),
        &shared.points.witnesses,
    );
    let mut read_since = None;
    loop {
        if shared.wait(Duration::ZERO) {
            let since: &mut Instant = read_since.get_or_insert_with(Instant::now);
            if since.elapsed() > HELD_BACK {
                source.stop();
            }
        }
        if !source.wait() {
            if let Some(saved) = &mut saved {
                saved.flush()?;
            }
            witness.attest(source.summary());
            continue;
        }
        let Some((frame, interface)) = source.next_with_interface() else {
            break;
        };
        if let Some(saved) = &mut saved {
            saved.frame(&frame, interface)?;
        }
        witness.frame(&frame, &mut decoder);
    }
    if let Some(saved) = saved {
        saved.end(source.summary())?;
    }
    witness.attest(&source.into_summary());
    Ok(())
}

/// Ends the point in its window.
fn end(reader: Reader, Told { shared, point }: Told) -> Result<(), Error> {
    let window = &shared.window;
    let (is_unknown, _) = window.watch(point, |observer| observer.understands_nothing());
    reader.ensure_known(is_unknown)?;
    window.end(point, reader.source.into_summary());
    Ok(())
}
