//! Convex hulls of differences of two points' times: the bounds of what the clocks' offset can be.

use super::clock_steps::MAX_SKEW;
use crate::correlate::Difference;

/// From so many differences on their slope may say something about the clocks ...
const ENOUGH_FOR_SKEW: usize = 8;

/// ... if they span so much time: queues fill and drain faster.
const LEAST_SPAN_NS: i64 = 5_000_000_000;

/// Oscillators that are off by more are broken, and clocks are not slewed faster.
const MOST_SKEW: f64 = 1000e-6;

/// Differences follow a clock's drift all the time: in each of so many parts of it.
const PARTS: i64 = 4;

/// A slope that makes the difference grow by no more than so many times what remains besides it
/// is not told from delay.
const SIGNIFICANT: f64 = 4.0;

/// The side of differences on which the offset lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Packets forth: delay adds to the offset, which lies below.
    Lower,
    /// Packets back: delay is taken from it, it lies above.
    Upper,
}

/// Half of the convex hull of differences, over time.
#[derive(Debug, Clone)]
pub(super) struct Hull {
    side: Side,
    /// All differences, by time.
    all: Vec<Difference>,
    /// Corners, by time.
    corners: Vec<Difference>,
}

impl Hull {
    /// Of packets forth.
    pub(super) fn lower(differences: impl Iterator<Item = Difference>) -> Self {
        Self::new(Side::Lower, differences)
    }

    /// Of packets back.
    pub(super) fn upper(differences: impl Iterator<Item = Difference>) -> Self {
        Self::new(Side::Upper, differences)
    }

    fn new(side: Side, differences: impl Iterator<Item = Difference>) -> Self {
        let mut all: Vec<Difference> = differences.collect();
        all.sort_by_key(|difference| (difference.at_ns, difference.offset_ns));
        let mut corners: Vec<Difference> = Vec::new();
        for &next in &all {
            // Of several at one instant the outermost counts.
            if let Some(last) = corners.last()
                && last.at_ns == next.at_ns
            {
                if side == Side::Lower {
                    continue;
                }
                corners.pop();
            }
            while let [.., a, b] = corners[..]
                && !is_corner(side, a, b, next)
            {
                corners.pop();
            }
            corners.push(next);
        }
        Self { side, all, corners }
    }

    /// The bound at an instant, in nanoseconds: on the hull between its ends; beyond them as far
    /// off as clocks that run unevenly may have come.
    fn at(&self, at_ns: i64) -> f64 {
        let (first, last) = (self.corners[0], self.corners[self.corners.len() - 1]);
        let away = |end: Difference| {
            let drift = MAX_SKEW * end.at_ns.abs_diff(at_ns) as f64;
            match self.side {
                Side::Lower => end.offset_ns as f64 + drift,
                Side::Upper => end.offset_ns as f64 - drift,
            }
        };
        if at_ns <= first.at_ns {
            return away(first);
        }
        if at_ns >= last.at_ns {
            return away(last);
        }
        let behind = self.corners.partition_point(|corner| corner.at_ns < at_ns);
        let (a, b) = (self.corners[behind - 1], self.corners[behind]);
        a.offset_ns as f64 + slope(a, b) * (at_ns - a.at_ns) as f64
    }

    /// The bound at an instant if the clocks need not run evenly.
    fn at_unevenly(&self, at_ns: i64) -> f64 {
        let bounds = self.all.iter().map(|difference| {
            let drift = MAX_SKEW * difference.at_ns.abs_diff(at_ns) as f64;
            match self.side {
                Side::Lower => difference.offset_ns as f64 + drift,
                Side::Upper => -(difference.offset_ns as f64 - drift),
            }
        });
        let tightest = bounds.fold(f64::INFINITY, f64::min);
        match self.side {
            Side::Lower => tightest,
            Side::Upper => -tightest,
        }
    }

    /// The slope of the hull where half of the differences lie before and half behind, which is that
    /// of the line nearest to all of them. `None` where there are too few.
    pub(super) fn slope(&self) -> Option<Slope> {
        if self.all.len() < ENOUGH_FOR_SKEW {
            return None;
        }
        let (first, last) = (self.all[0], self.all[self.all.len() - 1]);
        let sum: i128 = self.all.iter().map(|d| i128::from(d.at_ns)).sum();
        let mean = i64::try_from(sum / self.all.len() as i128).ok()?;
        let behind = self.corners.partition_point(|corner| corner.at_ns < mean);
        let edge = self.corners.get(behind.checked_sub(1)?..=behind)?;
        let slope = slope(edge[0], edge[1]);
        let rest = |difference: &Difference| {
            let on_line =
                edge[0].offset_ns as f64 + slope * (difference.at_ns - edge[0].at_ns) as f64;
            (difference.offset_ns as f64 - on_line).abs()
        };
        let mut rests: Vec<f64> = self.all.iter().map(rest).collect();
        rests.sort_by(f64::total_cmp);
        let span_ns = last.at_ns.saturating_sub(first.at_ns);
        let part = |n: i64| first.at_ns + span_ns / PARTS * n;
        let nearest_of_part = |n: i64| {
            let own = self
                .all
                .iter()
                .filter(|d| (part(n)..=part(n + 1)).contains(&d.at_ns));
            own.map(rest).fold(f64::INFINITY, f64::min)
        };
        Some(Slope {
            rise: slope,
            span_ns,
            rest_ns: rests[rests.len() / 2],
            farthest_ns: (0..PARTS).map(nearest_of_part).fold(0.0, f64::max),
        })
    }
}

/// How differences rise over time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slope {
    /// Nanoseconds a nanosecond.
    rise: f64,
    span_ns: i64,
    /// Half of the differences lie no farther from the line.
    rest_ns: f64,
    /// The differences of each part of the time come so near to it.
    farthest_ns: f64,
}

impl Slope {
    /// How much faster the second clock runs, by packets forth and packets back; `None` where the
    /// delay hides it, and where it may be delay itself: a queue that fills.
    pub(super) fn skew(forth: Option<Self>, back: Option<Self>) -> Option<f64> {
        let clear = |slope: &Self| slope.is_a_clocks();
        let skew = match (forth.filter(clear), back.filter(clear)) {
            (Some(forth), Some(back)) => forth.rise.midpoint(back.rise),
            (Some(only), None) | (None, Some(only)) => only.rise,
            (None, None) => return None,
        };
        let agrees = |slope: Self| {
            let apart = (slope.rise - skew).abs() * slope.span_ns as f64;
            apart <= SIGNIFICANT * slope.rest_ns.max(1.0)
        };
        forth.into_iter().chain(back).all(agrees).then_some(skew)
    }

    fn is_a_clocks(&self) -> bool {
        let grown = self.rise.abs() * self.span_ns as f64;
        self.span_ns >= LEAST_SPAN_NS
            && self.rise.abs() <= MOST_SKEW
            && grown > SIGNIFICANT * self.rest_ns
            && grown > SIGNIFICANT * self.farthest_ns
    }
}

/// Nanoseconds a nanosecond.
fn slope(a: Difference, b: Difference) -> f64 {
    b.offset_ns.saturating_sub(a.offset_ns) as f64 / (b.at_ns.saturating_sub(a.at_ns)).max(1) as f64
}

/// Whether `b` lies outside of the line from `a` to `c`.
fn is_corner(side: Side, a: Difference, b: Difference, c: Difference) -> bool {
    match side {
        Side::Lower => slope(a, b) < slope(b, c),
        Side::Upper => slope(a, b) > slope(b, c),
    }
}

/// Between what the offset of the second clock lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_field_names)] // All are times.
pub(super) struct Bound {
    /// When, on the first point's clock.
    pub(super) at_ns: i64,
    /// The middle.
    pub(super) offset_ns: i64,
    /// How far the true offset is from it at most.
    pub(super) error_ns: u64,
}

impl Bound {
    /// The bound where it is tightest; `None` where the clocks ran so unevenly that there is none.
    /// `cut` says how much a difference may be too large, and too small, by the clocks' resolution.
    pub(super) fn tightest(forth: &Hull, back: &Hull, cut: (i64, i64)) -> Option<Self> {
        let corners = || forth.corners.iter().chain(&back.corners).map(|c| c.at_ns);
        let every = || forth.all.iter().chain(&back.all).map(|d| d.at_ns);
        let evenly = |at| (back.at(at), forth.at(at));
        let unevenly = |at| (back.at_unevenly(at), forth.at_unevenly(at));
        Self::among(corners(), evenly, cut).or_else(|| Self::among(every(), unevenly, cut))
    }

    fn among(
        instants: impl Iterator<Item = i64>,
        bounds: impl Fn(i64) -> (f64, f64),
        (too_large, too_small): (i64, i64),
    ) -> Option<Self> {
        let mut tightest: Option<(f64, f64, i64)> = None;
        for at in instants {
            let (lowest, highest) = bounds(at);
            let (lowest, highest) = (lowest - too_large as f64, highest + too_small as f64);
            if lowest > highest {
                return None;
            }
            if tightest.is_none_or(|(low, high, _)| highest - lowest < high - low) {
                tightest = Some((lowest, highest, at));
            }
        }
        let (lowest, highest, at_ns) = tightest?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Spans, positive.
        Some(Self {
            at_ns,
            offset_ns: lowest.midpoint(highest).round() as i64,
            error_ns: ((highest - lowest) / 2.0).ceil() as u64 + 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// What packets tell of a clock that is off by `offset_ns` and runs `ppm` too fast, if they take
    /// at least `least_ns`.
    fn differences(offset_ns: i64, ppm: i64, least_ns: i64) -> impl Iterator<Item = Difference> {
        (0..600).map(move |tick| {
            let at_ns = tick * SECOND / 10;
            let delay = least_ns + tick * 7919 % 100 * least_ns.abs() / 50 * least_ns.signum();
            Difference {
                at_ns,
                offset_ns: offset_ns + at_ns / 1_000_000 * ppm + delay,
            }
        })
    }

    #[test]
    fn the_offset_lies_within_the_bound_and_the_bound_within_the_round_trip() {
        for (offset, ppm) in [(0, 0), (86_400 * SECOND, 100), (-5 * SECOND, -80)] {
            let forth = Hull::lower(differences(offset, ppm, 40_000));
            let back = Hull::upper(differences(offset, ppm, -60_000));
            let bound = Bound::tightest(&forth, &back, (0, 0)).unwrap();
            let truth = offset + bound.at_ns / 1_000_000 * ppm;
            assert!(
                bound.offset_ns.abs_diff(truth) <= bound.error_ns,
                "{bound:?}, not {truth}"
            );
            assert!(bound.error_ns <= 51_000);
        }
    }

    #[test]
    fn skew_is_found_where_delay_does_not_hide_it() {
        let slope = |ppm, least| Hull::lower(differences(7, ppm, least)).slope();
        let back = |ppm| Hull::upper(differences(7, ppm, -40_000)).slope();
        let skew = Slope::skew(slope(50, 40_000), None).unwrap();
        assert!((skew - 50e-6).abs() < 1e-6, "{skew}");
        let skew = Slope::skew(None, back(-50)).unwrap();
        assert!((skew + 50e-6).abs() < 1e-6, "{skew}");
        assert_eq!(Slope::skew(slope(0, 40_000), None), None);
        assert!(Slope::skew(slope(50, 40_000), back(50)).is_some());
    }

    #[test]
    fn what_may_be_a_queue_is_no_skew() {
        let lower =
            |differences: &mut dyn Iterator<Item = Difference>| Hull::lower(differences).slope();
        // What goes back shows that no clock drifts.
        let forth = lower(&mut differences(7, 50, 40_000));
        let back = Hull::upper(differences(7, 0, -40_000)).slope();
        assert_eq!(Slope::skew(forth, back), None);
        // More than any clock does.
        assert_eq!(
            Slope::skew(lower(&mut differences(7, 2_000, 40_000)), None),
            None
        );
        // Over a second, and in one go.
        let short = &mut differences(7, 500, 40_000).take(10);
        assert_eq!(Slope::skew(lower(short), None), None);
        let step = &mut differences(7, 0, 40_000).map(|d| Difference {
            offset_ns: d.offset_ns + if d.at_ns > 30 * SECOND { 5_000_000 } else { 0 },
            ..d
        });
        assert_eq!(Slope::skew(lower(step), None), None);
    }

    #[test]
    fn packets_back_long_after_those_forth_bound_the_offset_loosely() {
        let forth = Hull::lower(differences(0, 0, 40_000));
        let back = Hull::upper(differences(0, 0, -40_000).map(|d| Difference {
            at_ns: d.at_ns + 1000 * SECOND,
            ..d
        }));
        let bound = Bound::tightest(&forth, &back, (0, 0)).unwrap();
        assert!(bound.error_ns > 100_000_000);
    }

    #[test]
    fn clocks_that_step_have_no_bound() {
        let forth = Hull::lower(differences(0, 0, 40_000));
        let back = Hull::upper(differences(SECOND, 0, -40_000));
        assert_eq!(Bound::tightest(&forth, &back, (0, 0)), None);
    }
}
