//! How fast frames and HDP come at each point, from the counts of successive looks.

use std::{collections::VecDeque, time::Duration};

use super::Look;

/// How long a rate looks back: long enough to be read, short enough to show that a sender stopped.
const WINDOW: Duration = Duration::from_secs(2);

/// The counts of the last looks.
#[derive(Debug, Default)]
pub(super) struct Rates(VecDeque<Sample>);

#[derive(Debug)]
struct Sample {
    elapsed: Duration,
    points: Vec<(String, Counts)>,
}

#[derive(Debug, Clone, Copy)]
struct Counts {
    frames: u64,
    hdp: u64,
}

/// What came at a point in a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate {
    pub(super) frames: f64,
    pub(super) hdp: f64,
}

impl Rates {
    /// Takes the counts of a look.
    pub(super) fn note(&mut self, look: &Look) {
        let points = look.findings.points.iter();
        self.0.push_back(Sample {
            elapsed: look.elapsed,
            points: points
                .map(|point| {
                    let (frames, hdp) = (point.frames, point.hdp);
                    (point.name.clone(), Counts { frames, hdp })
                })
                .collect(),
        });
        // One of the samples stays that are older than the window: it is where the window begins.
        while self
            .0
            .get(1)
            .is_some_and(|second| second.elapsed + WINDOW <= look.elapsed)
        {
            self.0.pop_front();
        }
    }

    /// The rates at a point; `None` before there are two looks at it.
    pub(super) fn of(&self, point: &str) -> Option<Rate> {
        let counts = |sample: &Sample| {
            let found = sample.points.iter().find(|(name, _)| name == point);
            found.map(|&(_, counts)| (sample.elapsed, counts))
        };
        let (start, before) = self.0.iter().find_map(counts)?;
        let (end, after) = counts(self.0.back()?)?;
        let seconds = end.checked_sub(start)?.as_secs_f64();
        let per_second = |before: u64, after: u64| after.saturating_sub(before) as f64 / seconds;
        (seconds > 0.0).then(|| Rate {
            frames: per_second(before.frames, after.frames),
            hdp: per_second(before.hdp, after.hdp),
        })
    }
}
