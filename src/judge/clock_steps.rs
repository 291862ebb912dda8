//! Levels: the stretches of time between the steps of two points' clocks.
//!
//! While neither clock steps, the difference of two points' times moves by delay and drift only.
//! Where all differences of one stretch lie beyond all of the stretch before it, by more than the
//! two can explain, a clock was set. A few slow packets do the same for a moment; what comes back
//! to where it was is no step.

use crate::correlate::{Extremes, Trend, Way};

/// A clock that is not set runs no faster or slower than this: more than an operating system slews
/// it by (500 ppm).
pub(super) const MAX_SKEW: f64 = 500e-6;

/// So few stretches may be a few slow packets.
pub(super) const SPIKE: usize = 2;

/// A smaller step is taken for delay.
pub(super) const LEAST_STEP_NS: i64 = 10_000_000;

/// A stretch of time without steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Level {
    /// First and last instant at which the level is known, on the first point's clock.
    pub(super) from_ns: i64,
    /// See above.
    pub(super) to_ns: i64,
    /// The smallest difference of the two points' times.
    pub(super) min_ns: i64,
    /// The largest, of packets that were in time.
    pub(super) max_ns: i64,
    /// What the level consists of.
    pub(super) stretches: Vec<Extremes>,
}

impl Level {
    /// Whether it is more than a few slow packets may be.
    pub(super) fn is_sure(&self) -> bool {
        self.stretches.len() > SPIKE
    }

    fn of(stretches: Vec<Extremes>, way: Way, wait_ns: i64) -> Self {
        let instants = |extremes: &Extremes| [extremes.min.at_ns, extremes.max.at_ns];
        let at: Vec<i64> = stretches.iter().flat_map(instants).collect();
        let (min_ns, max_ns) = in_time(&stretches, way, wait_ns);
        Self {
            from_ns: at.iter().copied().min().unwrap_or_default(),
            to_ns: at.iter().copied().max().unwrap_or_default(),
            min_ns,
            max_ns,
            stretches,
        }
    }
}

/// The range of the differences, without those of packets that came after the wait time.
fn in_time(stretches: &[Extremes], way: Way, wait_ns: i64) -> (i64, i64) {
    let mins = stretches.iter().map(|e| e.min.offset_ns);
    let maxes = stretches.iter().map(|e| e.max.offset_ns);
    match way {
        Way::Forward => {
            let min = mins.clone().min().unwrap_or_default();
            let latest = min.saturating_add(wait_ns);
            let max = mins.chain(maxes).filter(|offset| *offset <= latest).max();
            (min, max.unwrap_or(min))
        }
        // What goes back comes to the first point later: its difference is smaller.
        Way::Reverse => {
            let max = maxes.clone().max().unwrap_or_default();
            let latest = max.saturating_sub(wait_ns);
            let min = mins.chain(maxes).filter(|offset| *offset >= latest).min();
            (min.unwrap_or(max), max)
        }
    }
}

/// Takes a trend apart where a clock was set.
pub(super) fn levels(trend: &Trend, way: Way, wait_ns: i64) -> Vec<Level> {
    let stretches: Vec<Extremes> = trend.extremes().collect();
    let spread = jitter(&stretches);
    let mut runs: Vec<Vec<Extremes>> = Vec::new();
    for (index, &here) in stretches.iter().enumerate() {
        let Some(run) = runs.last_mut() else {
            runs.push(vec![here]);
            continue;
        };
        let before = run[run.len() - 1];
        if are_apart(before, here, spread) {
            runs.push(vec![here]);
        } else if let Some(&next) = stretches.get(index + 1)
            && are_apart(before, next, spread)
            && run.len() > 1
        {
            // The step lies in this stretch, which shows both levels: it belongs to neither.
        } else {
            run.push(here);
        }
    }
    drop_spikes(&mut runs, spread);
    let level = |run| Level::of(run, way, wait_ns);
    runs.into_iter().map(level).collect()
}

/// How far differences usually lie apart: half of the stretches spread no more than this, and three
/// quarters of them begin no farther from where the one before began.
fn jitter(stretches: &[Extremes]) -> i64 {
    let spread = |e: &Extremes| e.max.offset_ns.saturating_sub(e.min.offset_ns);
    let within = quantile(stretches.iter().map(spread), 1, 2);
    let moved = |pair: &[Extremes]| {
        let [a, b] = [pair[0].min, pair[1].min];
        let moved = a.offset_ns.abs_diff(b.offset_ns);
        i64::try_from(moved.saturating_sub(drift(a.at_ns.abs_diff(b.at_ns)))).unwrap_or(i64::MAX)
    };
    within.max(quantile(stretches.windows(2).map(moved), 3, 4))
}

/// The value below which so many of so many parts lie.
fn quantile(values: impl Iterator<Item = i64>, parts: usize, of: usize) -> i64 {
    let mut values: Vec<i64> = values.collect();
    values.sort_unstable();
    let index = values.len().saturating_sub(1) * parts / of;
    values.get(index).copied().unwrap_or_default()
}

/// How far clocks come apart at the most that are not set, in this time.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A small part of a span.
fn drift(elapsed_ns: u64) -> u64 {
    (elapsed_ns as f64 * MAX_SKEW) as u64
}

/// Whether no delay or drift explains how far two stretches' differences lie apart.
fn are_apart(a: Extremes, b: Extremes, spread: i64) -> bool {
    let drift = drift(a.max.at_ns.abs_diff(b.min.at_ns)).cast_signed();
    let slack = spread
        .saturating_mul(4)
        .max(LEAST_STEP_NS)
        .saturating_add(drift);
    let above = |low: Extremes, high: Extremes| {
        high.min.offset_ns.saturating_sub(low.max.offset_ns) > slack
    };
    above(a, b) || above(b, a)
}

/// Takes out short runs between two that belong together: slow packets, no steps.
fn drop_spikes(runs: &mut Vec<Vec<Extremes>>, spread: i64) {
    let mut index = 1;
    while index + 1 < runs.len() {
        let before = runs[index - 1][runs[index - 1].len() - 1];
        let behind = runs[index + 1][0];
        if runs[index].len() <= SPIKE && !are_apart(before, behind, spread) {
            let behind = runs.remove(index + 1);
            let spike = runs.remove(index);
            runs[index - 1].extend(spike);
            runs[index - 1].extend(behind);
        } else {
            index += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::correlate::Difference;

    const SECOND: i64 = 1_000_000_000;
    const WAIT: i64 = 51 * SECOND;

    /// A minute of differences, one every 10 ms, up to 3 ms above what `offset` says.
    fn trend(offset: impl Fn(i64) -> i64) -> Trend {
        let mut differences = (0..6_000_i64).map(|tick| Difference {
            at_ns: tick * SECOND / 100,
            offset_ns: offset(tick * SECOND / 100) + tick * 7919 % 3_000_000,
        });
        let mut trend = Trend::of(differences.next().unwrap());
        differences.for_each(|difference| trend.note(difference));
        trend
    }

    fn ranges(trend: &Trend) -> Vec<(i64, i64)> {
        let levels = levels(trend, Way::Forward, WAIT);
        levels
            .iter()
            .map(|level| (level.min_ns, level.max_ns))
            .collect()
    }

    #[test]
    fn steady_and_drifting_clocks_have_one_level() {
        assert_eq!(ranges(&trend(|_| 5)).len(), 1);
        assert_eq!(ranges(&trend(|at| at / 10_000)).len(), 1);
    }

    #[test]
    fn slow_packets_are_no_step() {
        let once = trend(|at| if at == 30 * SECOND { 20 * SECOND } else { 0 });
        assert_eq!(ranges(&once).len(), 1);
        assert!(ranges(&once)[0].1 >= 20 * SECOND);
        let late = trend(|at| if at == 30 * SECOND { 60 * SECOND } else { 0 });
        assert!(ranges(&late)[0].1 < SECOND);
        let congested = trend(|at| if (10..30).contains(&(at / SECOND)) { 40_000_000 } else { 0 } + at % 7);
        assert!(ranges(&congested).iter().all(|range| range.1 < 50_000_000));
    }

    #[test]
    fn a_step_begins_a_level_forth_and_back() {
        for by in [-3600 * SECOND, -2 * SECOND, SECOND / 10, 3600 * SECOND] {
            let found = ranges(&trend(|at| if at < 31 * SECOND { 0 } else { by }));
            assert_eq!(found.len(), 2, "a step by {by}: {found:?}");
            assert!((found[0].0, found[0].1) < (1000, 3_000_000));
            assert!((by..by + 3_000_000).contains(&found[1].0));
            assert!(found[1].1 < by + 3_000_000);
        }
    }

    #[test]
    fn two_steps_make_three_levels() {
        let found = ranges(&trend(|at| match at / SECOND {
            ..20 => 0,
            20..45 => 5 * SECOND,
            _ => -SECOND,
        }));
        assert_eq!(found.len(), 3);
    }
}
