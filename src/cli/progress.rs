//! How far files have been read, on a terminal, where that takes long enough to wonder.

use std::{
    io::{self, IsTerminal as _},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::source::Progress;

/// What takes less time shows nothing.
const LONG: Duration = Duration::from_secs(1);

/// How often the bar moves.
const STEP: Duration = Duration::from_millis(100);

/// A bar on standard error, drawn by a thread of its own that looks at how far the readers are;
/// gone when dropped. Without a terminal there is none.
pub(super) struct Bar(Option<(Sender<Event>, JoinHandle<()>)>);

enum Event {
    /// A file is being read.
    File(Progress),
    /// All files are going to be read again.
    Again,
    /// All files have been read.
    End,
}

impl Bar {
    /// Starts to watch over readers.
    pub(super) fn start() -> Self {
        Self(io::stderr().is_terminal().then(|| {
            let (events, told) = channel();
            (events, thread::spawn(move || draw(&told)))
        }))
    }

    /// No bar, where it would stand among other lines.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Adds a file that is being read.
    pub(super) fn watch(&self, file: Progress) {
        self.tell(Event::File(file));
    }

    /// Forgets all files, because they are read again.
    pub(super) fn start_over(&self) {
        self.tell(Event::Again);
    }

    /// Goes, because nothing is being read any more.
    pub(super) fn end(&self) {
        self.tell(Event::End);
    }

    fn tell(&self, event: Event) {
        if let Self(Some((events, _))) = self {
            // A bar that is gone misses nothing.
            let _ = events.send(event);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some((events, thread)) = self.0.take() {
            drop(events);
            let _ = thread.join();
        }
    }
}

/// Draws until nobody can tell anything any more.
fn draw(told: &Receiver<Event>) {
    let start = Instant::now();
    let mut files: Vec<Progress> = Vec::new();
    let mut bar: Option<ProgressBar> = None;
    loop {
        match told.recv_timeout(STEP) {
            Ok(Event::File(file)) => files.push(file),
            Ok(Event::Again) => files.clear(),
            Err(RecvTimeoutError::Timeout) if start.elapsed() < LONG => {}
            Err(RecvTimeoutError::Timeout) => {
                let bar = bar.get_or_insert_with(|| {
                    let style = "{wide_bar} {bytes} of {total_bytes}, {eta} left";
                    ProgressBar::new(0).with_style(
                        ProgressStyle::with_template(style).expect("the template is right"),
                    )
                });
                bar.set_length(files.iter().map(Progress::len).sum());
                bar.set_position(files.iter().map(Progress::read).sum());
            }
            Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}
