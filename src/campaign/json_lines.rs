//! A path in, a line out, in the order of the manifest.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    num::NonZeroUsize,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Judged, Sink, manifest::Entry};
use crate::report;

/// Bytes of lines that wait for the one before them, beyond which their threads wait too.
const MOST_HELD: usize = 32 << 20;

/// Writes a line of JSON for each path and flushes it.
#[derive(Debug)]
pub struct JsonLines<W>(Arc<Ordered<W>>);

#[derive(Debug)]
struct Ordered<W> {
    state: Mutex<State<W>>,
    /// A line was written, or cannot be.
    written: Condvar,
}

#[derive(Debug)]
struct State<W> {
    out: W,
    /// The line that is written next.
    next: u64,
    held: BTreeMap<u64, String>,
    held_bytes: usize,
    /// It cannot be written.
    has_failed: bool,
}

impl<W: Write + Send> JsonLines<W> {
    /// Sinks for so many threads, that write into `out`.
    pub fn sinks(out: W, threads: NonZeroUsize) -> Vec<Self> {
        let ordered = Arc::new(Ordered {
            state: Mutex::new(State {
                out,
                next: 0,
                held: BTreeMap::new(),
                held_bytes: 0,
                has_failed: false,
            }),
            written: Condvar::new(),
        });
        (0..threads.get())
            .map(|_| Self(Arc::clone(&ordered)))
            .collect()
    }
}

impl<W> Ordered<W> {
    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write> State<W> {
    /// Writes what is due.
    fn advance(&mut self) -> io::Result<()> {
        while let Some(line) = self.held.remove(&self.next) {
            self.held_bytes -= line.len();
            self.next += 1;
            let written = self.out.write_all(line.as_bytes());
            let flushed = written.and_then(|()| self.out.flush());
            self.has_failed |= flushed.is_err();
            flushed?;
        }
        Ok(())
    }
}

/// What a line says of its path beside what was found.
#[derive(Serialize)]
struct Path<'a> {
    id: Option<&'a str>,
    tags: Option<&'a Map<String, Value>>,
    /// What `hdp path` is run with to get the same.
    arguments: Option<Vec<String>>,
    begins_ns: Option<i64>,
}

impl<W: Write + Send> Sink for JsonLines<W> {
    fn path(&mut self, judged: Judged) -> io::Result<()> {
        let entry = judged.entry.as_ref();
        let path = Path {
            id: entry.map(|entry| entry.id.as_str()),
            tags: entry.map(|entry| &entry.tags),
            arguments: entry.map(Entry::arguments),
            begins_ns: judged.begins_ns.filter(|_| judged.found.is_ok()),
        };
        let line = report::campaign_line(&path, judged.found.as_ref().map_err(String::as_str));
        let mut state = self.0.lock();
        // Whose line is due never waits, so somebody goes on.
        while state.next != judged.index && state.held_bytes > MOST_HELD && !state.has_failed {
            state = (self.0.written)
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        // The thread that found out says so.
        if state.has_failed {
            return Ok(());
        }
        state.held_bytes += line.len();
        state.held.insert(judged.index, line);
        let advanced = state.advance();
        drop(state);
        self.0.written.notify_all();
        advanced
    }

    fn finish(self) -> io::Result<()> {
        Ok(())
    }
}
