//! Clocks: what packets seen at two points tell of the points' times.
//!
//! No clock is taken as right. A packet that one point saw should come by the other within the
//! spread of those that did, with a guard band beyond (RFC 9341), counted anew after each step of
//! a clock. Where nothing relates two points' clocks, neither can be said to have watched for what
//! the other saw.
//!
//! How far the clocks are off is known only if packets crossed both ways: what goes forth arrives
//! after it was sent, and so does what goes back. Between the lower convex hull of the one and the
//! upper one of the other (Zhang, Liu and Xia 2002) lies every offset that a clock which runs
//! evenly can have.

use super::{
    clock_steps::{LEAST_STEP_NS, Level, SPIKE, levels},
    offset_bounds::{Bound, Hull, Slope},
};
use crate::{
    correlate::{Relations, Trend, Way},
    findings::{Clock, ClockLevel, ClockMethod, ClockStep, above_fastest},
    observe::Point,
};

/// Where packets crossed only the other way, the round trip is taken to be no longer than this.
const ASSUMED_ROUND_TRIP_NS: i64 = 1_000_000_000;

/// A few packets that took so much longer than others, or less, show no clock that was set.
const MOST_JITTER_NS: u64 = 1_000_000_000;

/// The least guard band.
const LEAST_GUARD_NS: i64 = 1_000_000;

/// Fewer packets than this show little of how the delay spreads ...
const FEW_PACKETS: u64 = 10;

/// ... so the guard band is wider by this.
const GUARD_OF_FEW_NS: i64 = 100_000_000;

/// The stretch of one point's clock in which it sees what another saw, relative to the other's
/// time, guard band included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from_ns: i64,
    pub(super) to_ns: i64,
}

/// A window while no clock was set.
#[derive(Debug, Clone, Copy)]
struct Holding {
    window: Window,
    /// When it may hold, on the clock of the point that saw the packet before.
    since_ns: i64,
    /// See above.
    until_ns: i64,
    /// Between which times packets show that it did, on that point's clock and the other's.
    known: [(i64, i64); 2],
}

impl Holding {
    fn always(window: Window) -> Self {
        Self {
            window,
            since_ns: i64::MIN,
            until_ns: i64::MAX,
            known: [(i64::MIN, i64::MAX); 2],
        }
    }
}

/// How the times of one point relate to those of another for packets going one way.
#[derive(Debug, Clone, Default)]
struct Relation {
    /// At least one holds at any time, unless there are none.
    windows: Vec<Holding>,
    /// The smallest difference of the two points' times, before and after each step.
    levels: Vec<ClockLevel>,
}

/// How the times of all points relate.
#[derive(Debug)]
pub(super) struct Clocks {
    points: usize,
    /// By way, point and other point.
    relations: Vec<Relation>,
}

impl Clocks {
    /// Learns from what was seen at several points. `wait_ns` is how long a packet may take,
    /// `error_ns` how far off clocks are at most that nothing relates, if the user knows.
    pub(super) fn learn(
        points: &[Point],
        relations: &Relations,
        wait_ns: i64,
        error_ns: Option<i64>,
    ) -> Self {
        let mut all = Vec::new();
        for way in Way::BOTH {
            for from in 0..points.len() {
                for to in 0..points.len() {
                    let relation = relation(points, relations, way, (from, to), wait_ns);
                    let unrelated = || Relation {
                        windows: error_ns
                            .map(|error| Holding::always(symmetric(error)))
                            .into_iter()
                            .collect(),
                        levels: Vec::new(),
                    };
                    all.push(relation.unwrap_or_else(unrelated));
                }
            }
        }
        Self {
            points: points.len(),
            relations: all,
        }
    }

    fn relation(&self, way: Way, from: usize, to: usize) -> &Relation {
        &self.relations[(way.index() * self.points + from) * self.points + to]
    }

    /// When point `to` should see what `from` saw at this time; `None` where nothing relates the
    /// two.
    #[inline]
    pub(super) fn window(&self, way: Way, from: usize, to: usize, at_ns: i64) -> Option<Window> {
        let windows = self.holding(way, from, to, at_ns);
        let windows = windows.map(|holding| holding.window);
        windows.reduce(|a, b| Window {
            from_ns: a.from_ns.min(b.from_ns),
            to_ns: a.to_ns.max(b.to_ns),
        })
    }

    /// The stretches on both points' clocks between that time and the next one at which packets
    /// show that the window is right; none where others show so before and after.
    pub(super) fn unknown_stretches(
        &self,
        way: Way,
        from: usize,
        to: usize,
        at_ns: i64,
    ) -> Option<[(i64, i64); 2]> {
        let mut holding = self.holding(way, from, to, at_ns);
        let (Some(only), None) = (holding.next(), holding.next()) else {
            return None;
        };
        let [here, there] = only.known;
        if at_ns < here.0 {
            let expected_ns = at_ns.saturating_add(only.window.from_ns);
            Some([(at_ns, here.0), (expected_ns, there.0)])
        } else if at_ns > here.1 {
            let expected_ns = at_ns.saturating_add(only.window.to_ns);
            Some([(here.1, at_ns), (there.1, expected_ns)])
        } else {
            None
        }
    }

    /// Whether packets going this way show that one of the two clocks was set in this stretch of
    /// point `from`'s.
    pub(super) fn were_set(&self, way: Way, from: usize, to: usize, stretch: (i64, i64)) -> bool {
        let mut steps = self.relation(way, from, to).windows.windows(2);
        steps.any(|step| {
            let [(_, before_ns), (behind_ns, _)] = [step[0].known[0], step[1].known[0]];
            before_ns.min(behind_ns) < stretch.1 && stretch.0 < before_ns.max(behind_ns)
        })
    }

    /// The windows that may hold at this time of point `from`.
    #[inline]
    fn holding(
        &self,
        way: Way,
        from: usize,
        to: usize,
        at_ns: i64,
    ) -> impl Iterator<Item = &Holding> {
        let windows = self.relation(way, from, to).windows.iter();
        windows.filter(move |holding| (holding.since_ns..=holding.until_ns).contains(&at_ns))
    }

    /// How much longer than the fastest a packet took, by the difference of the two points' times.
    #[inline]
    pub(super) fn lateness(&self, way: Way, from: usize, to: usize, difference_ns: i64) -> i64 {
        let levels = self.relation(way, from, to).levels.iter();
        above_fastest(levels.map(|level| level.fastest_ns), difference_ns).unwrap_or(0)
    }

    /// The stretches of time between the steps of the two points' clocks.
    pub(super) fn levels(&self, way: Way, from: usize, to: usize) -> Vec<ClockLevel> {
        self.relation(way, from, to).levels.clone()
    }

    /// Whether one of the two points' clocks was set.
    pub(super) fn has_steps(&self, way: Way, from: usize, to: usize) -> bool {
        self.relation(way, from, to).levels.len() > 1
    }

    /// The difference of two points' times as it would be had no clock been set since the first
    /// packet.
    pub(super) fn unstepped(&self, way: Way, from: usize, to: usize, difference_ns: i64) -> i64 {
        match self.relation(way, from, to).levels.as_slice() {
            [] | [_] => difference_ns,
            [first, ..] => {
                first
                    .fastest_ns
                    .saturating_add(self.lateness(way, from, to, difference_ns))
            }
        }
    }
}

fn symmetric(error_ns: i64) -> Window {
    Window {
        from_ns: -error_ns,
        to_ns: error_ns,
    }
}

/// Whether two points read the same kernel's clock: logs that say so, interfaces that were captured
/// from at the same time, or sides of one capture.
pub(super) fn shares_clock(points: &[Point], a: usize, b: usize) -> bool {
    let boot_id = |point: usize| points[point].claims.boot_id.as_ref();
    let is_live = |point: usize| points[point].summary.is_live;
    are_one_capture(points, a, b)
        || (boot_id(a).is_some() && boot_id(a) == boot_id(b))
        || (is_live(a) && is_live(b))
}

/// Whether two points are sides of one capture.
pub(super) fn are_one_capture(points: &[Point], a: usize, b: usize) -> bool {
    let is_side = |point: usize| points[point].side.is_some();
    is_side(a) && is_side(b) && points[a].capture == points[b].capture
}

fn resolution(point: &Point) -> i64 {
    let ns = point.summary.resolution_ns.unwrap_or(0);
    i64::try_from(ns).unwrap_or(i64::MAX)
}

fn relation(
    points: &[Point],
    relations: &Relations,
    way: Way,
    (from, to): (usize, usize),
    wait_ns: i64,
) -> Option<Relation> {
    let guard_ns = LEAST_GUARD_NS
        .saturating_add(resolution(&points[from]))
        .saturating_add(resolution(&points[to]));
    let (first, second) = (from.min(to), from.max(to));
    let mut related = if let Some(trend) = relations.trend(first, second, way) {
        let levels = levels(trend, way, wait_ns);
        let few = levels.len() > 1
            || relations
                .offsets(from, to, way)
                .is_none_or(|offsets| offsets.count < FEW_PACKETS);
        let guard_ns = guard_ns.saturating_add(if few { GUARD_OF_FEW_NS } else { 0 });
        Some(of_levels(&levels, from < to, guard_ns))
    } else if let Some(trend) = bystanders(relations, first, second, way) {
        let levels = levels(trend, way, wait_ns);
        let guard_ns = guard_ns.saturating_add(GUARD_OF_FEW_NS);
        Some(of_levels(&levels, from < to, guard_ns))
    } else if shares_clock(points, from, to) {
        let window = Window {
            from_ns: -guard_ns,
            to_ns: guard_ns.saturating_add(GUARD_OF_FEW_NS),
        };
        Some(Relation {
            windows: vec![Holding::always(window)],
            levels: Vec::new(),
        })
    } else {
        // The clocks are known to within a round trip, which is not known.
        let back = way.opposite();
        let trend = relations
            .trend(first, second, back)
            .or_else(|| bystanders(relations, first, second, back))?;
        let levels = levels(trend, way.opposite(), wait_ns);
        let relation = of_levels(&levels, from < to, ASSUMED_ROUND_TRIP_NS);
        Some(Relation {
            levels: Vec::new(),
            ..relation
        })
    }?;
    if shares_clock(points, from, to) {
        // Nothing arrives before it was sent.
        for holding in &mut related.windows {
            holding.window.from_ns = holding.window.from_ns.max(-guard_ns);
        }
    }
    Some(related)
}

/// How the difference of two points' times went over what is not HDP and went this way.
fn bystanders(relations: &Relations, first: usize, second: usize, way: Way) -> Option<&Trend> {
    relations.crossings(first, second)?.trend(way)
}

/// Windows and fastest packets by the levels of the second point's time less the first's.
fn of_levels(levels: &[Level], is_forth: bool, guard_ns: i64) -> Relation {
    let mut relation = Relation::default();
    for (index, level) in levels.iter().enumerate() {
        // Beyond what was seen, as far again as it was seen to spread: the next packet may be
        // slower than the slowest so far.
        let (min, max) = if is_forth {
            (level.min_ns, level.max_ns)
        } else {
            (level.max_ns.saturating_neg(), level.min_ns.saturating_neg())
        };
        let guard_ns = max.saturating_sub(min).saturating_add(guard_ns);
        let window = Window {
            from_ns: min.saturating_sub(guard_ns),
            to_ns: max.saturating_add(guard_ns),
        };
        // Between two levels, either may hold; and during a short one, which may be nothing but
        // slow packets.
        let since = levels[..index].iter().rev().find(|level| level.is_sure());
        let until = levels[index + 1..].iter().find(|level| level.is_sure());
        let on_this_clock = |at_ns: i64, offset_ns: i64| {
            if is_forth {
                at_ns
            } else {
                at_ns.saturating_add(offset_ns)
            }
        };
        let since_ns = since.map_or(i64::MIN, |before| {
            on_this_clock(before.to_ns, level.min_ns.min(before.min_ns))
        });
        let until_ns = until.map_or(i64::MAX, |behind| {
            on_this_clock(behind.from_ns, level.max_ns.max(behind.max_ns))
        });
        let on_first = (level.from_ns, level.to_ns);
        let on_second = (
            level.from_ns.saturating_add(level.min_ns),
            level.to_ns.saturating_add(level.max_ns),
        );
        let on_this = if is_forth {
            [on_first, on_second]
        } else {
            [on_second, on_first]
        };
        relation.windows.push(Holding {
            window,
            since_ns,
            until_ns,
            known: on_this,
        });
        relation.levels.push(ClockLevel {
            from_ns: on_this[0].0,
            to_ns: on_this[0].1,
            fastest_ns: min,
        });
    }
    let is_sure: Vec<bool> = levels.iter().map(Level::is_sure).collect();
    relation.levels = without_jitter(relation.levels, &is_sure);
    relation
}

/// The levels without those of a few packets, which may be slow, or fast beside slow ones: their delay
/// is counted as the others' is.
fn without_jitter(levels: Vec<ClockLevel>, is_sure: &[bool]) -> Vec<ClockLevel> {
    let mut kept: Vec<(ClockLevel, bool)> = Vec::new();
    for (level, &is_sure) in levels.into_iter().zip(is_sure) {
        match kept.last_mut() {
            Some((before, was_sure))
                if !(is_sure && *was_sure)
                    && before.fastest_ns.abs_diff(level.fastest_ns) <= MOST_JITTER_NS =>
            {
                before.to_ns = level.to_ns;
                before.fastest_ns = before.fastest_ns.min(level.fastest_ns);
                *was_sure |= is_sure;
            }
            _ => kept.push((level, is_sure)),
        }
    }
    kept.into_iter().map(|(level, _)| level).collect()
}

/// What packets tell of two neighbouring points' clocks. Times are those of `from`'s clock.
pub(super) fn between(
    points: &[Point],
    relations: &Relations,
    way: Way,
    (from, to): (usize, usize),
    wait_ns: i64,
) -> Clock {
    let (first, second) = (from.min(to), from.max(to));
    let [of_hdp, of_all] = [false, true].map(|with_bystanders| {
        Way::BOTH.map(|way| {
            let hdp = relations.trend(first, second, way).cloned();
            let others = bystanders(relations, first, second, way).filter(|_| with_bystanders);
            match (hdp, others) {
                (Some(mut hdp), Some(others)) => {
                    hdp.merge(others);
                    Some(hdp)
                }
                (hdp, others) => hdp.or_else(|| others.cloned()),
            }
        })
    });
    let mut clock = Clock {
        method: match (&of_all[0], &of_all[1]) {
            (None, None) => ClockMethod::None,
            _ => ClockMethod::OneWay,
        },
        offset_ns: None,
        error_ns: None,
        at_ns: None,
        skew_ppm: None,
        steps: Vec::new(),
        levels: Vec::new(),
        related_by: relations.related_by(first, second),
    };
    let levels_of = |trends: &[Option<Trend>; 2]| {
        Way::BOTH.map(|way| {
            let trend = trends[way.index()].as_ref();
            trend.map(|trend| levels(trend, way, wait_ns))
        })
    };
    // Whether a clock was set HDP tells, if there is any: its delays are of one kind.
    let of_steps = levels_of(if of_hdp.iter().any(Option::is_some) {
        &of_hdp
    } else {
        &of_all
    });
    clock.steps = told(&of_steps);
    let [forth, back] = levels_of(&of_all);
    // Of one time between two steps: before and after a step, the offsets differ.
    let (forth, back) = match (&forth, &back) {
        (Some(forth), Some(back)) => match of_one_time(forth, back) {
            Some((forth, back)) => (Some(forth), Some(back)),
            None => (Some(longest(forth)), None),
        },
        (forth, back) => (forth.as_deref().map(longest), back.as_deref().map(longest)),
    };
    let forth = forth.map(|level| Hull::lower(level.stretches.iter().map(|e| e.min)));
    let back = back.map(|level| Hull::upper(level.stretches.iter().map(|e| e.max)));
    let slope = |hull: &Option<Hull>| hull.as_ref().and_then(Hull::slope);
    clock.skew_ppm = Slope::skew(slope(&forth), slope(&back)).map(|skew| skew * 1e6);
    if let (Some(forth), Some(back)) = (&forth, &back) {
        // A time is cut to its resolution: a difference is too large by up to the first point's,
        // too small by up to the second's.
        let cut = (resolution(&points[first]), resolution(&points[second]));
        if let Some(bound) = Bound::tightest(forth, back, cut) {
            clock.method = ClockMethod::TwoWay;
            clock.offset_ns = Some(bound.offset_ns);
            clock.error_ns = Some(bound.error_ns);
            clock.at_ns = Some(bound.at_ns);
        }
    }
    if way == Way::Forward {
        clock
    } else {
        seen_from_behind(clock)
    }
}

/// The two levels, of packets each way, that are known together for the longest time.
fn of_one_time<'a>(forth: &'a [Level], back: &'a [Level]) -> Option<(&'a Level, &'a Level)> {
    let pairs = forth.iter().flat_map(|a| back.iter().map(move |b| (a, b)));
    let together = |(a, b): &(&Level, &Level)| {
        let (from_ns, to_ns) = (a.from_ns.max(b.from_ns), a.to_ns.min(b.to_ns));
        to_ns.saturating_sub(from_ns)
    };
    if let ([forth], [back]) = (forth, back) {
        return Some((forth, back));
    }
    pairs
        .filter(|pair| together(pair) >= 0)
        .max_by_key(together)
}

/// The level that is known for the longest time.
fn longest(levels: &[Level]) -> &Level {
    let length = |level: &&Level| level.to_ns.saturating_sub(level.from_ns);
    // A trend has one difference at least, so it has a level.
    levels.iter().max_by_key(length).unwrap_or(&levels[0])
}

/// The steps that packets of both ways tell, as far as they went both ways: what only one of them
/// tells is delay.
fn told(levels: &[Option<Vec<Level>>; 2]) -> Vec<ClockStep> {
    let [forth, back] = levels.each_ref().map(|levels| {
        let levels = levels.as_deref().unwrap_or_default();
        (levels, steps(levels))
    });
    let (own, other) = if back.1.len() > forth.1.len() {
        (back, forth)
    } else {
        (forth, back)
    };
    let is_shared = |step: &ClockStep| {
        let is_known = |before: bool| {
            let stretches = other.0.iter().flat_map(|level| &level.stretches);
            let own = stretches.filter(|e| {
                if before {
                    e.max.at_ns <= step.from_ns
                } else {
                    e.min.at_ns >= step.to_ns
                }
            });
            own.count() > SPIKE
        };
        let is_same = |theirs: &ClockStep| {
            theirs.from_ns <= step.to_ns
                && step.from_ns <= theirs.to_ns
                && theirs.by_ns.abs_diff(step.by_ns) <= step.by_ns.unsigned_abs() / 2
        };
        !(is_known(true) && is_known(false)) || other.1.iter().any(is_same)
    };
    own.1
        .iter()
        .filter(|step| is_shared(step))
        .copied()
        .collect()
}

/// From one level to the next, of those that are more than a few slow packets.
fn steps(levels: &[Level]) -> Vec<ClockStep> {
    let sure: Vec<&Level> = levels.iter().filter(|level| level.is_sure()).collect();
    let between = |pair: &[&Level]| ClockStep {
        from_ns: pair[0].to_ns,
        to_ns: pair[1].from_ns,
        by_ns: pair[1].min_ns.saturating_sub(pair[0].min_ns),
    };
    let steps = sure.windows(2).map(between);
    steps
        .filter(|step| step.by_ns.abs() >= LEAST_STEP_NS)
        .collect()
}

/// The same for the segment's other direction.
fn seen_from_behind(clock: Clock) -> Clock {
    let offset_ns = clock.offset_ns.unwrap_or(0);
    Clock {
        offset_ns: clock.offset_ns.map(|offset| -offset),
        at_ns: clock.at_ns.map(|at| at.saturating_add(offset_ns)),
        skew_ppm: clock.skew_ppm.map(|skew| -skew),
        steps: clock
            .steps
            .into_iter()
            .map(|step| ClockStep {
                by_ns: -step.by_ns,
                ..step
            })
            .collect(),
        ..clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{observe::Observer, source::Summary};

    #[test]
    fn interfaces_that_are_captured_together_share_a_clock_and_files_do_not() {
        let points = [true, true, false, false].map(|is_live| {
            let summary = Summary {
                is_live,
                ..Summary::default()
            };
            Observer::default().finish(String::new(), String::new(), summary)
        });
        assert!(shares_clock(&points, 0, 1));
        assert!(!shares_clock(&points, 1, 2));
        assert!(!shares_clock(&points, 2, 3));
    }
}
