//! Trends: how the difference of two points' times went, over time.
//!
//! Clocks run unevenly fast, and step. Of many differences a trend keeps the smallest and the
//! largest of each stretch of time, with their instants: they bound the clocks' offset, show its
//! slope, and where it jumps.

/// Into so many stretches the time is divided at most; into half as many at least, once it is
/// long enough.
const STRETCHES: u16 = 64;

/// The first stretches are so long, in powers of two of nanoseconds: 1 ms.
const FIRST_SHIFT: u32 = 20;

/// A difference of two points' times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The first point's time, ns since the epoch.
    pub at_ns: i64,
    /// The second point's time of the same packet, less that.
    pub offset_ns: i64,
}

/// The extremes of one stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extremes {
    /// The smallest difference.
    pub min: Difference,
    /// The largest.
    pub max: Difference,
}

impl Extremes {
    fn times(&self) -> [i64; 2] {
        [self.min.at_ns, self.max.at_ns]
    }

    fn of(difference: Difference) -> Self {
        Self {
            min: difference,
            max: difference,
        }
    }

    /// Takes in one more. Of the same differences the earliest stays, in whatever order they come.
    #[inline]
    fn note(&mut self, difference: Difference) {
        let is_earlier = |than: &Difference| {
            difference.offset_ns == than.offset_ns && difference.at_ns < than.at_ns
        };
        let Self { min, max } = self;
        if difference.offset_ns < min.offset_ns || is_earlier(min) {
            *min = difference;
        }
        if difference.offset_ns > max.offset_ns || is_earlier(max) {
            *max = difference;
        }
    }
}

/// How the difference of two points' times went.
#[derive(Debug, Clone)]
pub(crate) struct Trend {
    /// A time shifted right by this is the number of its stretch.
    shift: u32,
    /// The number of the first stretch that there may be, of [`STRETCHES`].
    lowest: i64,
    /// The number of the first stretch that is held.
    base: i64,
    /// Those from the first to the last with a difference: most trends are those of one packet.
    stretches: Vec<Option<Extremes>>,
}

/// Trends are the same where they tell the same, in whatever order it was noted.
impl PartialEq for Trend {
    fn eq(&self, other: &Self) -> bool {
        self.extremes().eq(other.extremes())
    }
}

impl Eq for Trend {}

impl Trend {
    /// The trend of one difference.
    #[must_use]
    pub(crate) fn of(difference: Difference) -> Self {
        let base = difference.at_ns >> FIRST_SHIFT;
        Self {
            shift: FIRST_SHIFT,
            lowest: base - i64::from(STRETCHES) / 2,
            base,
            stretches: vec![Some(Extremes::of(difference))],
        }
    }

    /// Takes in one more.
    #[inline]
    pub(crate) fn note(&mut self, difference: Difference) {
        let stretch = (difference.at_ns >> self.shift).wrapping_sub(self.base);
        // Times before the base wrap past the end.
        let stretch = usize::try_from(stretch.cast_unsigned()).unwrap_or(usize::MAX);
        match self.stretches.get_mut(stretch) {
            Some(Some(extremes)) => extremes.note(difference),
            Some(none) => *none = Some(Extremes::of(difference)),
            None => self.grow_to(difference),
        }
    }

    #[cold]
    fn grow_to(&mut self, difference: Difference) {
        let number = difference.at_ns >> self.shift;
        let room = self.lowest..self.lowest + i64::from(STRETCHES);
        if room.contains(&number) {
            self.hold(number);
        } else {
            let known: Vec<Extremes> = self.extremes().collect();
            let times = known.iter().flat_map(Extremes::times);
            let (earliest, span);
            (self.shift, earliest, span) = divided(self.shift, times.chain([difference.at_ns]));
            self.base = earliest >> self.shift;
            self.lowest = self.base - (i64::from(STRETCHES) - span) / 2;
            self.stretches.clear();
            self.hold(self.base + span);
            for extremes in known {
                self.note(extremes.min);
                self.note(extremes.max);
            }
        }
        self.note(difference);
    }

    /// Holds the stretch of this number too.
    fn hold(&mut self, number: i64) {
        let before = usize::try_from(self.base - number).unwrap_or(0);
        self.stretches
            .splice(0..0, std::iter::repeat_n(None, before));
        self.base = self.base.min(number);
        let last = usize::try_from(number - self.base).unwrap_or(0);
        self.stretches
            .resize((last + 1).max(self.stretches.len()), None);
    }

    /// Takes in another.
    pub(crate) fn merge(&mut self, other: &Self) {
        for extremes in other.extremes() {
            self.note(extremes.min);
            self.note(extremes.max);
        }
    }

    /// The smallest and the largest difference of the stretches around a time of the first point's.
    #[must_use]
    pub(crate) fn around(&self, at_ns: i64) -> [i64; 2] {
        const ON_EITHER_SIDE: usize = 2;
        let all: Vec<Extremes> = self.extremes().collect();
        let behind = all.partition_point(|extremes| extremes.min.at_ns < at_ns);
        let to = (behind + ON_EITHER_SIDE).min(all.len());
        let near = &all[behind.saturating_sub(ON_EITHER_SIDE)..to];
        let min = near.iter().map(|extremes| extremes.min.offset_ns).min();
        let max = near.iter().map(|extremes| extremes.max.offset_ns).max();
        // A trend has one difference at least.
        [min, max].map(Option::unwrap_or_default)
    }

    /// The extremes of each stretch that has any, in order of time. The stretches are as long as the
    /// whole is divided into, in whatever order it was noted.
    pub(crate) fn extremes(&self) -> impl Iterator<Item = Extremes> {
        let known = self.stretches.iter().flatten();
        let times = known.clone().flat_map(Extremes::times);
        let (shift, ..) = divided(self.shift, times);
        let mut all: Vec<Extremes> = Vec::with_capacity(self.stretches.len());
        for extremes in known {
            match all.last_mut() {
                Some(last) if last.min.at_ns >> shift == extremes.min.at_ns >> shift => {
                    last.note(extremes.min);
                    last.note(extremes.max);
                }
                _ => all.push(*extremes),
            }
        }
        all.into_iter()
    }
}

/// How long the stretches are that times are divided into, at least this long; the first of the times,
/// and how many stretches the last lies behind it.
fn divided(mut shift: u32, times: impl Iterator<Item = i64>) -> (u32, i64, i64) {
    let (mut lowest, mut highest) = (i64::MAX, i64::MIN);
    for time in times {
        (lowest, highest) = (lowest.min(time), highest.max(time));
    }
    let span = |shift: u32| (highest >> shift).saturating_sub(lowest >> shift);
    while span(shift) >= i64::from(STRETCHES) / 2 {
        shift += 1;
    }
    (shift, lowest, span(shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trend(differences: impl IntoIterator<Item = (i64, i64)>) -> Trend {
        let mut all = differences
            .into_iter()
            .map(|(at_ns, offset_ns)| Difference { at_ns, offset_ns });
        let mut trend = Trend::of(all.next().unwrap());
        all.for_each(|difference| trend.note(difference));
        trend
    }

    #[test]
    fn extremes_are_kept_however_long_it_takes_and_in_whatever_order() {
        let second = 1_000_000_000;
        let differences = (0..10_000_i64).map(|i| (i * second, (i * 7919) % 1000 - 500));
        let forth = trend(differences.clone());
        let back = trend(differences.rev());
        for trend in [&forth, &back] {
            let extremes: Vec<_> = trend.extremes().collect();
            assert!(extremes.len() > usize::from(STRETCHES) / 4);
            assert_eq!(extremes.iter().map(|e| e.min.offset_ns).min(), Some(-500));
            assert_eq!(extremes.iter().map(|e| e.max.offset_ns).max(), Some(499));
            assert!(extremes.is_sorted_by_key(|e| e.min.at_ns));
        }
    }

    #[test]
    fn around_a_time_only_what_is_near_counts() {
        let trend = trend((0..32).map(|i| (i << 24, i)));
        assert_eq!(trend.around(16 << 24), [14, 17]);
        assert_eq!(trend.around(i64::MIN), [0, 1]);
        assert_eq!(trend.around(i64::MAX), [30, 31]);
    }

    #[test]
    fn merging_is_noting_both() {
        let mut one = trend([(0, 5), (1 << 40, 9)]);
        one.merge(&trend([(1 << 39, -3), (1 << 41, 2)]));
        let offsets: Vec<i64> = one.extremes().map(|e| e.min.offset_ns).collect();
        assert_eq!(offsets, [5, -3, 9, 2]);
    }

    #[test]
    fn times_far_apart_are_noted_too() {
        let trend = trend([(0, 1), (i64::MAX, 2), (i64::MIN, 3)]);
        assert_eq!(trend.extremes().count(), 3);
    }
}
