//! Ctrl-C and its relatives: the run ends with its summary and a whole log instead of the process.

use std::{
    io::{self, PipeReader},
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
    low_level::pipe,
};

/// Becomes set, for good, when the user asks the process to end (`SIGINT`, `SIGTERM`).
///
/// A second such signal changes nothing: programs like timeout(1) send each one twice.
#[derive(Debug)]
pub struct Interrupt {
    flag: Arc<AtomicBool>,
    /// Becomes readable with the flag, and stays so: nobody reads it.
    readable: PipeReader,
}

impl Interrupt {
    /// Catches the signals from now on.
    ///
    /// # Errors
    /// Those of making a pipe.
    pub fn install() -> io::Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        let (readable, writable) = io::pipe()?;
        for signal in [SIGINT, SIGTERM] {
            flag::register(signal, Arc::clone(&flag))?;
            pipe::register(signal, writable.try_clone()?)?;
        }
        Ok(Self { flag, readable })
    }

    /// Whether it was asked for.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// Waits, and says whether it is set before the time is over.
    ///
    /// # Errors
    /// Those of `poll(2)`.
    pub fn wait(&self, time: Duration) -> io::Result<bool> {
        /// What `poll(2)`, which counts milliseconds, leaves to a sleep.
        const SHORT: Duration = Duration::from_millis(5);

        // A time that no clock will show never comes.
        let until = Instant::now().checked_add(time);
        loop {
            let left = until.map_or(time, |until| {
                until.saturating_duration_since(Instant::now())
            });
            if self.is_set() || left.is_zero() {
                return Ok(self.is_set());
            }
            let Some(long) = left.checked_sub(SHORT).filter(|long| !long.is_zero()) else {
                thread::sleep(left);
                continue;
            };
            let timeout = PollTimeout::try_from(long).unwrap_or(PollTimeout::MAX);
            let mut readable = [PollFd::new(self.readable.as_fd(), PollFlags::POLLIN)];
            match poll(&mut readable, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Interrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.readable.as_fd()
    }
}
