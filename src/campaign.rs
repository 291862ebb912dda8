//! Campaigns: any number of paths, each judged as [`crate::path`] judges one.
//!
//! A manifest names the paths, a line each ([`manifest`]). They are judged at once on as many threads as
//! there are [jobs](run), in bounded memory however many they are, and each result goes into a [`Sink`]:
//! lines of JSON in the order of the manifest ([`JsonLines`]), or tables. A path that cannot be read is a
//! result like any other: its error. What comes out of a path depends on that path alone, never on the
//! others, on their order or on the jobs.
//!
//! The module deliberately knows nothing of how paths relate to each other: for that there are engines
//! that people have, which read what is written here.

#[cfg(feature = "parquet")]
pub mod folder;
mod json_lines;
pub mod manifest;

use std::{
    any::Any,
    io,
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crate::{
    findings::{Findings, Packet},
    path,
};

pub use json_lines::JsonLines;

use manifest::{Entry, Line};

/// A path and what came out of it.
#[derive(Debug)]
pub struct Judged {
    /// The how manieth it is, from 0.
    pub index: u64,
    /// The path; `None` where its line is none.
    pub entry: Option<Entry>,
    /// The time of the earliest of the points' first frames, on the captures' own clocks; `None` where
    /// there is none.
    pub begins_ns: Option<i64>,
    /// The findings, or why there are none.
    pub found: Result<Findings, String>,
}

/// Where what a thread judges goes.
pub trait Sink: Send {
    /// Whether it takes packets, which have to be kept for it.
    fn takes_packets(&self) -> bool {
        false
    }

    /// Takes the fate of one packet of a path, which begins at `begins_ns`; all packets of a path come
    /// before the path itself.
    ///
    /// # Errors
    /// Where it cannot be written, which ends the campaign.
    fn packet(&mut self, entry: &Entry, begins_ns: Option<i64>, packet: &Packet) -> io::Result<()> {
        let _ = (entry, begins_ns, packet);
        Ok(())
    }

    /// Takes a path.
    ///
    /// # Errors
    /// Where it cannot be written, which ends the campaign.
    fn path(&mut self, judged: Judged) -> io::Result<()>;

    /// Ends: no more paths come.
    ///
    /// # Errors
    /// Where what it holds cannot be written.
    fn finish(self) -> io::Result<()>;
}

/// How many paths there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub paths: u64,
    /// Those that could not be judged.
    pub failed: u64,
}

/// What the threads share.
struct Shared<'a, M> {
    lines: Mutex<(M, u64)>,
    tally: Mutex<Tally>,
    has_failed: AtomicBool,
    told: &'a (dyn Fn(Tally) + Sync),
}

/// Judges the paths of a manifest on so many threads as there are sinks, each of which gets what its
/// thread judges; `told` hears of every path. A line is taken when a thread is free.
///
/// # Errors
/// Those of the sinks, and of reading the manifest. What was judged by then is in the sinks.
pub fn run<M, S>(lines: M, sinks: Vec<S>, told: &(dyn Fn(Tally) + Sync)) -> Result<Tally, io::Error>
where
    M: Iterator<Item = io::Result<Line>> + Send,
    S: Sink,
{
    let shared = Shared {
        lines: Mutex::new((lines, 0)),
        tally: Mutex::default(),
        has_failed: AtomicBool::new(false),
        told,
    };
    let worked = thread::scope(|scope| {
        let shared = &shared;
        let threads = sinks.into_iter().map(|sink| {
            scope.spawn(move || {
                let worked = shared.work(sink);
                if worked.is_err() {
                    shared.has_failed.store(true, Ordering::Relaxed);
                }
                worked
            })
        });
        let threads: Vec<_> = threads.collect();
        let worked = threads.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        worked.collect::<Vec<io::Result<()>>>()
    });
    worked.into_iter().collect::<io::Result<()>>()?;
    let tally = *lock(&shared.tally);
    Ok(tally)
}

/// How many threads there can be at once.
#[must_use]
pub fn processors() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

impl<M: Iterator<Item = io::Result<Line>>> Shared<'_, M> {
    /// Judges paths until there are no more.
    fn work<S: Sink>(&self, mut sink: S) -> io::Result<()> {
        while !self.has_failed.load(Ordering::Relaxed)
            && let Some((index, line)) = self.next()
        {
            let judged = judge(index, line?, &mut sink)?;
            let has_failed = judged.found.is_err();
            sink.path(judged)?;
            let mut tally = lock(&self.tally);
            tally.paths += 1;
            tally.failed += u64::from(has_failed);
            (self.told)(*tally);
        }
        sink.finish()
    }

    fn next(&self) -> Option<(u64, io::Result<Line>)> {
        let mut lines = lock(&self.lines);
        let (lines, taken) = &mut *lines;
        let line = lines.next()?;
        let index = *taken;
        *taken += 1;
        Some((index, line))
    }
}

/// Judges the path that a line names.
fn judge(index: u64, line: Line, sink: &mut impl Sink) -> io::Result<Judged> {
    let mut judged = Judged {
        index,
        entry: None,
        begins_ns: None,
        found: Err(String::new()),
    };
    let entry = match line.entry {
        Ok(entry) => entry,
        Err(error) => {
            judged.found = Err(error.to_string());
            return Ok(judged);
        }
    };
    let mut written = Ok(());
    // A path that shows a fault of this program is no reason to withhold the others.
    let found = catch_unwind(AssertUnwindSafe(|| {
        find(&entry, sink, &mut judged.begins_ns, &mut written)
    }));
    judged.found = found
        .unwrap_or_else(|panic| Err(format!("internal error: {}", said(&*panic))))
        .map_err(|error| error.split_whitespace().collect::<Vec<_>>().join(" "));
    judged.entry = Some(entry);
    written.map(|()| judged)
}

fn find(
    entry: &Entry,
    sink: &mut impl Sink,
    begins_ns: &mut Option<i64>,
    written: &mut io::Result<()>,
) -> Result<Findings, String> {
    let points = entry.points()?;
    let options = entry.options()?;
    *begins_ns = points.begins_ns();
    let found = if sink.takes_packets() {
        path::packets(&points, &options, |packet| {
            if written.is_ok() {
                *written = sink.packet(entry, *begins_ns, packet);
            }
        })
    } else {
        path::findings(&points, &options)
    };
    found.map_err(|error| error.to_string())
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
