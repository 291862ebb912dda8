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
    stretches: Stretches,
    /// What each point saw of the packets that need judging one by one.
    kept: Vec<Vec<Sighting>>,
}

impl Rolling {
    /// A survey of so many points, of which nothing is known yet.
    #[must_use]
    pub(crate) fn new(points: usize) -> Self {
        Self {
            survey: Survey::new(points),
            stretches: Stretches::new(points),
            kept: vec![Vec::new(); points],
        }
    }

    /// The unfinished point that holds up the others, `None` when all are finished.
    #[must_use]
    pub(crate) fn slowest(&self) -> Option<usize> {
        self.stretches.slowest()
    }

    /// Takes a batch of a point's sightings, and leaves it empty.
    pub(crate) fn add(&mut self, point: usize, batch: &mut Batch) {
        let (survey, kept) = (&mut self.survey, &mut self.kept);
        self.stretches.add(point, batch, |points, stretch| {
            survey.add(points, stretch, Some(kept));
        });
    }

    /// Takes a point that has handed over all batches but the sightings it still holds.
    pub(crate) fn finish(&mut self, point: usize, finished: Point) {
        let (survey, kept) = (&mut self.survey, &mut self.kept);
        self.stretches.finish(point, finished, |points, stretch| {
            survey.add(points, stretch, Some(kept));
        });
    }

    /// The points, each with the sightings that are left, and the survey.
    ///
    /// # Panics
    /// If a point is not finished.
    #[must_use]
    pub(crate) fn into_parts(mut self) -> (Vec<Point>, Survey) {
        self.survey.link_through();
        let finished = self.stretches.finished.into_iter().zip(self.kept);
        let points = finished
            .map(|(point, sightings)| Point {
                sightings,
                ..point.expect("all points are finished")
            })
            .collect();
        (points, self.survey)
    }
}

/// Sightings of points that are being read, stretch by stretch: what is complete is shown once, by rising
/// timestamp, and forgotten.
#[derive(Debug)]
pub(crate) struct Stretches {
    /// What each point has handed over: behind what was shown, what was not yet.
    windows: Vec<Point>,
    /// How many of each were shown.
    shown: Vec<usize>,
    /// Nothing with an earlier timestamp comes any more; `None` before the first batch.
    complete_to: Vec<Option<u64>>,
    finished: Vec<Option<Point>>,
}

impl Stretches {
    /// Those of so many points, of which nothing is known yet.
    #[must_use]
    pub(crate) fn new(points: usize) -> Self {
        Self {
            windows: std::iter::repeat_with(Point::blank).take(points).collect(),
            shown: vec![0; points],
            complete_to: vec![None; points],
            finished: std::iter::repeat_with(|| None).take(points).collect(),
        }
    }

    /// The unfinished point that holds up the others, `None` when all are finished.
    #[must_use]
    pub(crate) fn slowest(&self) -> Option<usize> {
        let unfinished = (0..self.windows.len()).filter(|&point| self.finished[point].is_none());
        unfinished.min_by_key(|&point| self.complete_to[point])
    }

    /// The earliest frame of a point whose sighting was not shown yet.
    #[must_use]
    pub(crate) fn earliest_frame(&self, point: usize) -> Option<u32> {
        let ahead = &self.windows[point].sightings[self.shown[point]..];
        ahead.iter().map(|sighting| sighting.frame).min()
    }

    /// Takes a batch of a point's sightings, and leaves it empty.
    pub(crate) fn add(
        &mut self,
        point: usize,
        batch: &mut Batch,
        mut show: impl FnMut(&[Point], &Stretch),
    ) {
        let window = &mut self.windows[point];
        window.flows.append(&mut batch.flows);
        window.keys.append(&mut batch.keys);
        let begun = self.complete_last(point, &batch.sightings, &mut show);
        self.complete_to[point] = batch.sightings.last().map(|last| last.timestamp_ns);
        let window = &mut self.windows[point];
        if window.sightings.len() == self.shown[point] {
            // Nothing is left there: they change places, which copies nothing.
            window.sightings.clear();
            std::mem::swap(&mut window.sightings, &mut batch.sightings);
            self.shown[point] = begun;
        } else {
            window.sightings.drain(..self.shown[point]);
            self.shown[point] = 0;
            window.sightings.extend(batch.sightings.drain(begun..));
            batch.sightings.clear();
        }
        self.advance(&mut show);
    }

    /// Adds what a batch has of the last timestamp that the point has handed over before, which is complete
    /// with it, and says how many there are.
    fn complete_last(
        &mut self,
        point: usize,
        batch: &[Sighting],
        show: &mut impl FnMut(&[Point], &Stretch),
    ) -> usize {
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
        self.advance(show);
        begun
    }

    /// Takes a point that has handed over all batches but the sightings it still holds.
    pub(crate) fn finish(
        &mut self,
        point: usize,
        mut finished: Point,
        mut show: impl FnMut(&[Point], &Stretch),
    ) {
        let window = &mut self.windows[point];
        window.sightings.append(&mut finished.sightings);
        let known = window.flows.len();
        window.flows.extend_from_slice(&finished.flows[known..]);
        window.keys.extend_from_slice(&finished.keys[known..]);
        self.complete_to[point] = Some(u64::MAX);
        self.finished[point] = Some(finished);
        self.advance(&mut show);
    }

    /// Shows what is complete.
    fn advance(&mut self, show: &mut impl FnMut(&[Point], &Stretch)) {
        let Some(complete_to) = self.complete_to.iter().copied().min().flatten() else {
            return;
        };
        let starts = std::mem::take(&mut self.shown);
        let ahead = Stretch::behind(&self.windows, starts);
        let [complete, _] = ahead.split(&self.windows, complete_to);
        show(&self.windows, &complete);
        self.shown = complete.ends().to_vec();
    }
}
