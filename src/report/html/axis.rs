//! Axes: where values lie, and at which round values marks stand.

use crate::report::units;

const SECOND: i64 = 1_000_000_000;

/// The steps between marks of a time axis, from a microsecond on, in nanoseconds.
const TIME_STEPS: [i64; 33] = [
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    30 * SECOND,
    60 * SECOND,
    5 * 60 * SECOND,
    15 * 60 * SECOND,
    3600 * SECOND,
    3 * 3600 * SECOND,
    12 * 3600 * SECOND,
    86_400 * SECOND,
    7 * 86_400 * SECOND,
    30 * 86_400 * SECOND,
    365 * 86_400 * SECOND,
];

/// Marks at most.
const MOST: i64 = 7;

/// Time from left to right.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeAxis {
    pub(super) from_ns: i64,
    pub(super) to_ns: i64,
    /// Where the two lie.
    pub(super) left: f64,
    pub(super) right: f64,
}

impl TimeAxis {
    pub(super) fn x(&self, time_ns: i64) -> f64 {
        let span = self.to_ns.saturating_sub(self.from_ns).max(1) as f64;
        let part = time_ns.saturating_sub(self.from_ns) as f64 / span;
        tenth(self.left + part.clamp(0.0, 1.0) * (self.right - self.left))
    }

    /// Round times and what they are called.
    pub(super) fn marks(&self) -> Vec<(i64, String)> {
        let span = self.to_ns.saturating_sub(self.from_ns);
        let step = TIME_STEPS.iter().find(|&&step| span / step < MOST);
        let step = *step.unwrap_or(&TIME_STEPS[TIME_STEPS.len() - 1]);
        let first = self.from_ns.div_euclid(step) + i64::from(self.from_ns.rem_euclid(step) > 0);
        (0..MOST)
            .map(|mark| (first + mark).saturating_mul(step))
            .take_while(|&time| time <= self.to_ns)
            .map(|time| (time, name(time, step)))
            .collect()
    }
}

/// A time as exact as the step between marks needs.
fn name(time_ns: i64, step_ns: i64) -> String {
    if step_ns >= 86_400 * SECOND {
        return units::day(time_ns);
    }
    let whole = if step_ns < 1_000_000 {
        units::exact_time_of_day(time_ns)
    } else {
        units::time_of_day(time_ns)
    };
    match whole.split_once('.') {
        Some((seconds, _)) if step_ns >= SECOND => seconds.to_owned(),
        _ => whole,
    }
}

/// Spans from the bottom up, in decades: delays lie orders of magnitude apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct SpanAxis {
    /// The decades' exponents, in nanoseconds.
    pub(super) from: i32,
    pub(super) to: i32,
    pub(super) bottom: f64,
    pub(super) top: f64,
}

impl SpanAxis {
    /// The decades that these spans lie in.
    pub(super) fn over(spans_ns: impl Iterator<Item = i64>, bottom: f64, top: f64) -> Self {
        let (mut from, mut to) = (i32::MAX, i32::MIN);
        for span in spans_ns.filter(|span| *span > 0) {
            let decade = span.ilog10().cast_signed();
            from = from.min(decade);
            to = to.max(decade + 1);
        }
        if from > to {
            (from, to) = (3, 4);
        }
        Self {
            from,
            to,
            bottom,
            top,
        }
    }

    /// What lies below the axis stands at its bottom.
    pub(super) fn y(&self, span_ns: i64) -> f64 {
        let decades = (span_ns.max(1) as f64).log10() - f64::from(self.from);
        let part = decades / f64::from((self.to - self.from).max(1));
        tenth(self.bottom + part.clamp(0.0, 1.0) * (self.top - self.bottom))
    }

    /// A mark for each decade.
    pub(super) fn marks(&self) -> impl Iterator<Item = (i64, String)> {
        (self.from..=self.to).map(|decade| {
            let span = 10_i64.saturating_pow(decade.cast_unsigned());
            (span, units::span(span))
        })
    }
}

/// Rounded to tenths: a picture has no finer places.
pub(super) fn tenth(place: f64) -> f64 {
    (place * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_few() {
        let from_ns = 1_700_000_000 * SECOND + 123;
        for span in [
            1_500,
            40_000_000,
            9 * SECOND,
            4_000 * SECOND,
            90 * 86_400 * SECOND,
        ] {
            let axis = TimeAxis {
                from_ns,
                to_ns: from_ns + span,
                left: 0.0,
                right: 100.0,
            };
            let marks = axis.marks();
            assert!((1..=7).contains(&marks.len()), "{span}: {marks:?}");
            assert!(
                marks
                    .iter()
                    .all(|(time, _)| (from_ns..=axis.to_ns).contains(time))
            );
        }
        let axis = TimeAxis {
            from_ns,
            to_ns: from_ns + 9 * SECOND,
            left: 0.0,
            right: 100.0,
        };
        assert_eq!(axis.marks()[0].1, "22:13:22");
        assert!((axis.x(from_ns) - 0.0).abs() < 0.05);
        assert!((axis.x(axis.to_ns + 5) - 100.0).abs() < 0.05);
    }

    #[test]
    fn spans_lie_by_decades() {
        let axis = SpanAxis::over([0, 12_000, 3_400_000].into_iter(), 100.0, 0.0);
        assert_eq!((axis.from, axis.to), (4, 7));
        assert!((axis.y(0) - 100.0).abs() < 0.05);
        assert!((axis.y(10_000_000) - 0.0).abs() < 0.05);
        assert_eq!(axis.marks().count(), 4);
    }
}
