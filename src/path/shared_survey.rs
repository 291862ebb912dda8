//! Files that are read and surveyed at once, by as many threads as there are files.
//!
//! A reader that is ahead of the others would have to wait for them. It surveys what all have handed
//! in instead, so that no processor rests while another has two things to do: a thread of its own
//! for the survey left a quarter of two processors unused (measured).

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use crate::{
    correlate::Rolling,
    observe::{Batch, Point},
};

/// With so many batches waiting, a reader is ahead.
const AHEAD: usize = 4;

/// What readers share.
#[derive(Debug)]
pub(super) struct Turns {
    /// Never locked while the survey is being locked.
    tray: Mutex<Tray>,
    /// Something was handed in or taken out, or a reader has ended.
    changed: Condvar,
    /// Whoever surveys has it.
    rolling: Mutex<Rolling>,
}

#[derive(Debug)]
struct Tray {
    /// By point, what was handed in and is not surveyed yet.
    handed_in: Vec<VecDeque<HandedIn>>,
    /// By point, batches that are empty again.
    empty: Vec<Vec<Batch>>,
    /// How often something was handed in.
    count: u64,
    /// Readers that have not ended.
    reading: usize,
    /// There will be no survey.
    is_stopped: bool,
}

#[derive(Debug)]
enum HandedIn {
    Batch(Batch),
    /// The point, with the sightings that it still held.
    End(Box<Point>),
}

/// A reader's part in the survey. If it is dropped before it has finished, the others stop too.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    point: usize,
    has_finished: bool,
}

/// There will be no survey.
#[derive(Debug)]
pub(super) struct Stopped;

impl Turns {
    pub(super) fn new(points: usize) -> Self {
        Self {
            tray: Mutex::new(Tray {
                handed_in: std::iter::repeat_with(VecDeque::new).take(points).collect(),
                empty: std::iter::repeat_with(Vec::new).take(points).collect(),
                count: 0,
                reading: points,
                is_stopped: false,
            }),
            changed: Condvar::new(),
            rolling: Mutex::new(Rolling::new(points)),
        }
    }

    /// The part of the one that reads this point; each point has one.
    pub(super) fn turn(&self, point: usize) -> Turn<'_> {
        Turn {
            turns: self,
            point,
            has_finished: false,
        }
    }

    /// The survey, once all have finished.
    pub(super) fn into_rolling(self) -> Rolling {
        self.survey();
        self.rolling
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn tray(&self) -> MutexGuard<'_, Tray> {
        self.tray.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands in, and surveys as long as the reader `is_needless` elsewhere.
    fn hand_in(&self, point: usize, handed_in: HandedIn, is_needless: impl Fn(&Tray) -> bool) {
        let mut tray = self.tray();
        tray.handed_in[point].push_back(handed_in);
        tray.count += 1;
        self.changed.notify_all();
        while is_needless(&tray) && !tray.is_stopped {
            let known = tray.count;
            drop(tray);
            self.survey();
            // Who has found nothing to survey, or another at it, looks again when there is more.
            let waits =
                |tray: &mut Tray| is_needless(tray) && !tray.is_stopped && tray.count == known;
            let waited = self.changed.wait_while(self.tray(), waits);
            tray = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Surveys what is there, unless another does.
    fn survey(&self) {
        let Ok(mut rolling) = self.rolling.try_lock() else {
            return;
        };
        while let Some(point) = rolling.slowest() {
            let next = self.tray().handed_in[point].pop_front();
            match next {
                Some(HandedIn::Batch(mut batch)) => {
                    rolling.add(point, &mut batch);
                    self.tray().empty[point].push(batch);
                }
                Some(HandedIn::End(finished)) => rolling.finish(point, *finished),
                None => break,
            }
            self.changed.notify_all();
        }
    }
}

impl Turn<'_> {
    /// Hands in a batch, and surveys if this reader is ahead.
    pub(super) fn hand_in(&self, batch: Batch) -> Result<(), Stopped> {
        let point = self.point;
        let is_ahead = |tray: &Tray| tray.handed_in[point].len() >= AHEAD;
        self.turns.hand_in(point, HandedIn::Batch(batch), is_ahead);
        if self.turns.tray().is_stopped {
            return Err(Stopped);
        }
        Ok(())
    }

    /// A batch to fill.
    pub(super) fn empty(&self) -> Batch {
        let batch = self.turns.tray().empty[self.point].pop();
        batch.unwrap_or_default()
    }

    /// Hands in the point, which has handed in all batches, and surveys until all have ended.
    pub(super) fn finish(mut self, finished: Point) {
        self.turns.tray().reading -= 1;
        let end = HandedIn::End(Box::new(finished));
        self.turns.hand_in(self.point, end, |tray| tray.reading > 0);
        self.has_finished = true;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.has_finished {
            self.turns.tray().is_stopped = true;
            self.turns.changed.notify_all();
        }
    }
}
