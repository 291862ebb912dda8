//! The rolling survey: sightings are surveyed as they come, and only the rest is kept.
//!
//! Each point hands over its sightings in batches of rising timestamps. What lies before the last
//! timestamp of every point's latest batch is complete, can be surveyed, and is forgotten if all
//! points saw it alike. Memory then depends on how far the points are apart and on how many
//! packets need judging one by one, not on the captures' size.
//!
//! The result is that of [`Survey::of`] on the same sightings; only the sightings that it has
//! counted are no longer there.

use super::{Survey, journey::Stretch};
use crate::observe::{Batch, Point, Sighting};

/// A survey of points that are still being read.
#[derive(Debug)]
pub(crate) struct Rolling {
    survey: Survey,
    /// What each point has handed over: behind what is surveyed, what is not yet.
    windows: Vec<Point>,
    /// How many of each were surveyed.
    surveyed: Vec<usize>,
    /// Nothing with an earlier timestamp comes any more; `None` before the first batch.
    complete_to: Vec<Option<u64>>,
    /// What each point saw of the packets that need judging one by one.
    kept: Vec<Vec<Sighting>>,
    finished: Vec<Option<Point>>,
}

impl Rolling {
    /// A survey of so many points, of which nothing is known yet.
    #[must_use]
    pub(crate) fn new(points: usize) -> Self {
        Self {
            survey: Survey::new(points),
            windows: std::iter::repeat_with(Point::blank).take(points).collect(),
            surveyed: vec![0; points],
            complete_to: vec![None; points],
            kept: vec![Vec::new(); points],
            finished: std::iter::repeat_with(|| None).take(points).collect(),
        }
    }

    /// The unfinished point that holds up the others, `None` when all are finished.
    #[must_use]
    pub(crate) fn slowest(&self) -> Option<usize> {
        let unfinished = (0..self.windows.len()).filter(|&point| self.finished[point].is_none());
        unfinished.min_by_key(|&point| self.complete_to[point])
    }

    /// Takes a batch of a point's sightings, and leaves it empty.
    pub(crate) fn add(&mut self, point: usize, batch: &mut Batch) {
        let window = &mut self.windows[point];
        window.flows.append(&mut batch.flows);
        window.keys.append(&mut batch.keys);
        let begun = self.complete_last(point, &batch.sightings);
        self.complete_to[point] = batch.sightings.last().map(|last| last.timestamp_ns);
        let window = &mut self.windows[point];
        if window.sightings.len() == self.surveyed[point] {
            // Nothing is left there: they change places, which copies nothing.
            window.sightings.clear();
            std::mem::swap(&mut window.sightings, &mut batch.sightings);
            self.surveyed[point] = begun;
        } else {
            window.sightings.drain(..self.surveyed[point]);
            self.surveyed[point] = 0;
            window.sightings.extend(batch.sightings.drain(begun..));
            batch.sightings.clear();
        }
        self.advance();
    }

    /// Adds what a batch has of the last timestamp that the point has handed over before, which is complete
    /// with it, and says how many there are.
    fn complete_last(&mut self, point: usize, batch: &[Sighting]) -> usize {
        let window = &mut self.windows[point];
        let Some(last) = window.sightings.last() else {
            return 0;
        };
        let last_ns = last.timestamp_ns;
        let begun = batch.partition_point(|sighting| sighting.timestamp_ns <= last_ns);
        let Some(next) = batch.get(begun) else {
            return 0;
        };
        window.sightings.extend_from_slice(&batch[..begun]);
        self.complete_to[point] = Some(next.timestamp_ns);
        self.advance();
        begun
    }

    /// Takes a point that has handed over all batches but the sightings it still holds.
    pub(crate) fn finish(&mut self, point: usize, mut finished: Point) {
        let window = &mut self.windows[point];
        window.sightings.append(&mut finished.sightings);
        let known = window.flows.len();
        window.flows.extend_from_slice(&finished.flows[known..]);
        window.keys.extend_from_slice(&finished.keys[known..]);
        self.complete_to[point] = Some(u64::MAX);
        self.finished[point] = Some(finished);
        self.advance();
    }

    /// Surveys what is complete.
    fn advance(&mut self) {
        let Some(complete_to) = self.complete_to.iter().copied().min().flatten() else {
            return;
        };
        let starts = std::mem::take(&mut self.surveyed);
        let ahead = Stretch::behind(&self.windows, starts);
        let [complete, _] = ahead.split(&self.windows, complete_to);
        self.survey
            .add(&self.windows, &complete, Some(&mut self.kept));
        self.surveyed = complete.ends().to_vec();
    }

    /// The points, each with the sightings that are left, and the survey.
    ///
    /// # Panics
    /// If a point is not finished.
    #[must_use]
    pub(crate) fn into_parts(mut self) -> (Vec<Point>, Survey) {
        self.survey.link_through();
        let finished = self.finished.into_iter().zip(self.kept);
        let points = finished
            .map(|(point, sightings)| Point {
                sightings,
                ..point.expect("all points are finished")
            })
            .collect();
        (points, self.survey)
    }
}
