//! Offsets: how much one point's clock shows more than another's, at any time.
//!
//! This is the one home of such offsets: judging, annotating, explaining and reporting take them
//! from here. Clocks that were set have a level before and after each step. Drift is stated
//! ([`Clock::skew_ppm`]) and not taken out of any delay.

use serde::{Deserialize, Serialize};

use super::{Clock, ClockMethod, Findings};

/// A stretch of time in which neither of two clocks was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockLevel {
    /// The first instant of which a packet shows it, on the segment's first clock.
    pub from_ns: i64,
    /// The last.
    pub to_ns: i64,
    /// The fastest packet's time at the segment's end less that at its beginning, each on its own
    /// clock: the clocks' offset and the shortest delay.
    pub fastest_ns: i64,
}

impl ClockLevel {
    fn distance(&self, at_ns: i64) -> u64 {
        if at_ns < self.from_ns {
            at_ns.abs_diff(self.from_ns)
        } else {
            at_ns.saturating_sub(self.to_ns).max(0).cast_unsigned()
        }
    }
}

/// How much longer than the fastest packet of its level one took, in nanoseconds, never negative: by
/// the fastest ones' times from point to point and its own, all on the points' own clocks. After a
/// step, the nearest level below is the packet's own. `None` without any level, and for a packet that
/// was faster than all.
#[must_use]
pub fn above_fastest(fastest_ns: impl Iterator<Item = i64>, took_ns: i64) -> Option<i64> {
    let below = fastest_ns.filter(|fastest| *fastest <= took_ns).max()?;
    Some(took_ns.saturating_sub(below))
}

impl Clock {
    /// How much longer than the fastest packet one took along the segment, by its times at both ends.
    #[must_use]
    pub fn above_fastest(&self, took_ns: i64) -> Option<i64> {
        above_fastest(self.levels.iter().map(|level| level.fastest_ns), took_ns)
    }

    /// What the end's clock shows more than the beginning's, at a time of the beginning's: the middle
    /// of what is possible where packets went both ways, as if the fastest packet had taken no time
    /// where they went one way. `None` where nothing compares the clocks.
    #[must_use]
    pub fn offset_ns_at(&self, beginning_ns: i64) -> Option<i64> {
        self.offset_by(|_| beginning_ns)
    }

    /// The same at a time of the end's clock.
    #[must_use]
    pub fn offset_ns_at_end(&self, end_ns: i64) -> Option<i64> {
        self.offset_by(|level| end_ns.saturating_sub(level.fastest_ns))
    }

    fn offset_by(&self, at_ns: impl Fn(&ClockLevel) -> i64) -> Option<i64> {
        let nearest = self
            .levels
            .iter()
            .min_by_key(|level| level.distance(at_ns(level)));
        match (self.method, self.offset_ns, nearest) {
            (ClockMethod::None, ..) => None,
            (ClockMethod::TwoWay | ClockMethod::SameHost, Some(offset_ns), nearest) => {
                let known_at_ns = self.at_ns.unwrap_or_default();
                let known = self
                    .levels
                    .iter()
                    .min_by_key(|level| level.distance(known_at_ns));
                let stepped = nearest.zip(known).map_or(0, |(nearest, known)| {
                    nearest.fastest_ns.saturating_sub(known.fastest_ns)
                });
                Some(offset_ns.saturating_add(stepped))
            }
            (_, _, nearest) => nearest.map(|nearest| nearest.fastest_ns),
        }
    }
}

impl Findings {
    /// What the clock of the point `to` shows more than that of its neighbour `from`, at a time of
    /// `to`'s clock, and what that rests on.
    #[must_use]
    pub fn clock_offset_ns(&self, from: &str, to: &str, to_ns: i64) -> Option<(i64, ClockMethod)> {
        let clock = |from: &str, to: &str| {
            let segments = self.directions.iter().flat_map(|way| &way.segments);
            let mut own = segments.filter(|segment| (&*segment.from, &*segment.to) == (from, to));
            own.find(|segment| segment.clock.offset_ns_at(0).is_some())
                .map(|segment| &segment.clock)
        };
        if let Some(clock) = clock(from, to) {
            return Some((clock.offset_ns_at_end(to_ns)?, clock.method));
        }
        let back = clock(to, from)?;
        Some((back.offset_ns_at(to_ns)?.saturating_neg(), back.method))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::RelatedBy;

    const SECOND: i64 = 1_000_000_000;

    /// The end's clock is 100 ns ahead, and from the tenth second on 3 s more.
    fn set_forward() -> Clock {
        let level = |from_ns, to_ns, fastest_ns| ClockLevel {
            from_ns,
            to_ns,
            fastest_ns,
        };
        Clock {
            method: ClockMethod::OneWay,
            offset_ns: None,
            error_ns: None,
            at_ns: None,
            skew_ppm: None,
            steps: Vec::new(),
            levels: vec![
                level(0, 10 * SECOND, 100),
                level(10 * SECOND + 5, 15 * SECOND, 3 * SECOND + 100),
            ],
            related_by: RelatedBy::default(),
        }
    }

    #[test]
    fn each_level_has_its_offset() {
        let clock = set_forward();
        for (at_ns, offset_ns) in [
            (-SECOND, 100),
            (5 * SECOND, 100),
            (10 * SECOND, 100),
            (10 * SECOND + 4, 3 * SECOND + 100),
            (20 * SECOND, 3 * SECOND + 100),
        ] {
            assert_eq!(clock.offset_ns_at(at_ns), Some(offset_ns), "{at_ns}");
            let end_ns = at_ns + offset_ns;
            assert_eq!(clock.offset_ns_at_end(end_ns), Some(offset_ns), "{at_ns}");
        }
    }

    #[test]
    fn delays_are_those_above_the_level_they_belong_to() {
        let clock = set_forward();
        assert_eq!(clock.above_fastest(130), Some(30));
        assert_eq!(clock.above_fastest(3 * SECOND + 150), Some(50));
        assert_eq!(clock.above_fastest(90), None);
    }

    #[test]
    fn what_is_known_both_ways_is_moved_by_the_steps() {
        let known = Clock {
            method: ClockMethod::TwoWay,
            offset_ns: Some(60),
            error_ns: Some(40),
            at_ns: Some(2 * SECOND),
            ..set_forward()
        };
        assert_eq!(known.offset_ns_at(SECOND), Some(60), "where it is known");
        assert_eq!(known.offset_ns_at(14 * SECOND), Some(3 * SECOND + 60));
        let unrelated = Clock {
            method: ClockMethod::None,
            levels: Vec::new(),
            related_by: RelatedBy::default(),
            ..set_forward()
        };
        assert_eq!(unrelated.offset_ns_at(SECOND), None);
    }
}
