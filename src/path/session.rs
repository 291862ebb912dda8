//! A session: all points being read at once, in threads, into a [`Window`] that can be looked into
//! meanwhile.

use std::{
    mem,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    Error, Memory, Options, Order, Points, Room, Subject, Window, capture,
    observations::Observations,
    reader,
    streams::{self, Shared},
};
use crate::{
    correlate::{Places, Survey},
    explain::Explanation,
    findings::{Findings, Packet},
    observe::Point,
};

/// Points that are being read. Dropping it ends the captures.
#[derive(Debug)]
pub struct Session {
    shared: Arc<Shared>,
    readers: Vec<JoinHandle<Result<(), Error>>>,
    /// Those of drop witnesses, which end after the points.
    listeners: Vec<JoinHandle<Result<(), Error>>>,
}

impl Session {
    pub(super) fn start(points: &Points, options: &Options) -> Result<Self, Error> {
        let room = match options.memory {
            Memory::Bounded(_) if options.order == Order::Auto => return Err(Error::BoundedOrder),
            Memory::Bounded(room) => room,
            Memory::Automatic if options.order == Order::Given => Room::default(),
            Memory::Automatic | Memory::Unbounded => Room::for_all(),
        };
        if points.len() > Places::MOST {
            return Err(Error::TooManyPoints {
                points: points.len(),
                most: Places::MOST,
            });
        }
        reader::ensure_filters(options)?;
        let (captures, logs) = capture::start(points, options)?;
        let window = Window::of(points, options, room);
        let shared = Arc::new(Shared::new(points, options, window));
        let listeners = logs.into_iter().enumerate().map(|(index, log)| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || streams::listen(&shared, index, log))
        });
        let listeners = listeners.collect();
        let readers = if options.is_bounded(points) && !points.have_streams() {
            let shared = Arc::clone(&shared);
            vec![thread::spawn(move || streams::read_by_turns(&shared))]
        } else {
            let readers = captures.into_iter().enumerate().map(|(point, capturing)| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || streams::read(&shared, point, capturing))
            });
            readers.collect()
        };
        Ok(Self {
            shared,
            readers,
            listeners,
        })
    }

    /// The findings so far.
    #[must_use]
    pub fn snapshot(&self) -> Findings {
        self.shared.window.snapshot()
    }

    /// The findings so far, and the last few packets of a number each way, the newest last.
    #[must_use]
    pub fn snapshot_with_packets(&self, number: u8) -> (Findings, Vec<Packet>) {
        self.shared.window.snapshot_with_packets(number)
    }

    /// Ends interfaces and pipes, as [`Options::until`] does. What was captured is still read.
    pub fn end(&self) {
        self.shared.end();
    }

    /// Whether interfaces and pipes are about to end.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.shared.is_over()
    }

    /// Waits until all points are read, no longer than `time`; whether they are.
    #[must_use]
    pub fn wait(&self, time: Duration) -> bool {
        self.shared.wait(time)
    }

    /// Waits until all points are read.
    ///
    /// # Errors
    /// Those of reading, the first point's first.
    ///
    /// # Panics
    /// Where a reader did.
    pub fn finish(mut self) -> Result<Findings, Error> {
        self.join()?;
        if self.is_bounded() {
            return Ok(self.shared.window.take_findings());
        }
        Ok(self.into_observations()?.judge())
    }

    /// [`Session::finish`], with the fate of every packet; [`Memory::Unbounded`] keeps them.
    ///
    /// # Errors
    /// Those of reading.
    ///
    /// # Panics
    /// Where a reader did, and where packets were forgotten.
    pub fn packets(self, mut note: impl FnMut(&Packet)) -> Result<Findings, Error> {
        self.into_observations()?.list(&mut note)
    }

    /// Waits until all points are read, and tells the life of one packet; [`Memory::Unbounded`]
    /// keeps them.
    ///
    /// # Errors
    /// Those of reading, and [`Error::Unexplained`].
    ///
    /// # Panics
    /// Where a reader did, and where packets were forgotten.
    pub fn explain(self, subject: &Subject) -> Result<Explanation, Error> {
        self.into_observations()?.explain(subject)
    }

    fn is_bounded(&self) -> bool {
        self.shared.options.is_bounded(&self.shared.points)
    }

    pub(super) fn into_observations(mut self) -> Result<Observations, Error> {
        self.join()?;
        let seen: Vec<Point> = self
            .shared
            .window
            .take_points()
            .expect("all packets were kept");
        let survey = Survey::of(&seen);
        let Shared {
            points, options, ..
        } = &*self.shared;
        Ok(Observations::new(points.clone(), seen, survey, options))
    }

    fn join(&mut self) -> Result<(), Error> {
        // All of them, so that no thread outlives an error.
        let mut threads = mem::take(&mut self.readers);
        threads.append(&mut self.listeners);
        let read: Vec<Result<(), Error>> = threads.into_iter().map(join).collect();
        read.into_iter().collect()
    }
}

fn join<T>(reader: JoinHandle<T>) -> T {
    reader
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end();
    }
}
