//! Many spans of time, exact, in four bytes each; or in a few kilobytes, rounded.

mod histogram;

use histogram::Histogram;

/// Differences between two points' times, in nanoseconds. They lie near each other whatever the
/// clocks are off, so what is kept of one is how far it lies from where the first one put zero;
/// the few farther than 2 s are kept whole.
#[derive(Debug, Clone)]
pub(crate) struct Spans {
    base_ns: i64,
    near: Vec<u32>,
    /// The smallest of them, and the largest: the first is above the second where there are none.
    least: u32,
    most: u32,
    others: Option<Box<Others>>,
}

/// What is rare, so that the rest of [`Spans`] is small.
#[derive(Debug, Clone, Default)]
struct Others {
    far_ns: Vec<i64>,
    /// Those that were rounded.
    rounded: Option<Histogram>,
}

impl Default for Spans {
    fn default() -> Self {
        Self {
            base_ns: 0,
            near: Vec::new(),
            least: u32::MAX,
            most: 0,
            others: None,
        }
    }
}

impl Spans {
    const MIDDLE: i64 = 1 << 31;

    /// Adds one.
    #[inline(always)]
    pub(crate) fn push(&mut self, span_ns: i64) {
        match self.above_base(span_ns) {
            Some(near) if (self.least..=self.most).contains(&near) => self.near.push(near),
            _ => self.push_unlike(span_ns),
        }
    }

    #[cold]
    fn push_unlike(&mut self, span_ns: i64) {
        if self.is_empty() {
            self.base_ns = span_ns.saturating_sub(Self::MIDDLE);
        }
        match self.above_base(span_ns) {
            Some(near) => {
                self.least = self.least.min(near);
                self.most = self.most.max(near);
                self.near.push(near);
            }
            None => self.others.get_or_insert_default().far_ns.push(span_ns),
        }
    }

    #[inline(always)]
    fn above_base(&self, span_ns: i64) -> Option<u32> {
        u32::try_from(span_ns.checked_sub(self.base_ns)?).ok()
    }

    fn far_ns(&self) -> &[i64] {
        self.others.as_ref().map_or(&[], |others| &others.far_ns)
    }

    fn rounded(&self) -> Option<&Histogram> {
        self.others.as_ref()?.rounded.as_ref()
    }

    /// How many there are.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        let rounded = self.rounded().map_or(0, Histogram::count);
        #[allow(clippy::cast_possible_truncation)] // A count of things that were there.
        let rounded = rounded as usize;
        self.near.len() + self.far_ns().len() + rounded
    }

    /// Whether there are none.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, in nanoseconds, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = i64> {
        let base_ns = self.base_ns;
        let near = self.near.iter().map(move |near| base_ns + i64::from(*near));
        let exact = near.chain(self.far_ns().iter().copied());
        exact.chain(self.rounded().into_iter().flat_map(|rounded| {
            let classes = rounded.classes();
            #[allow(clippy::cast_possible_truncation)] // As above.
            classes.flat_map(|(span_ns, count)| std::iter::repeat_n(span_ns, count as usize))
        }))
    }

    /// How many of them take memory each.
    #[must_use]
    pub(crate) fn exact(&self) -> usize {
        self.near.len() + self.far_ns().len()
    }

    /// Rounds them, so that they take no more memory however many come: beyond the extremes, each is
    /// known to within 1 % of its distance from the smallest so far.
    pub(crate) fn round(&mut self) {
        let Some(min_ns) = self.min() else { return };
        let rounded = self
            .others
            .as_mut()
            .and_then(|others| others.rounded.take());
        let mut rounded = rounded.unwrap_or_else(|| Histogram::new(min_ns));
        self.iter().for_each(|span_ns| rounded.add(span_ns, 1));
        *self = Self {
            base_ns: self.base_ns,
            others: Some(Box::new(Others {
                far_ns: Vec::new(),
                rounded: Some(rounded),
            })),
            ..Self::default()
        };
    }

    /// The smallest.
    #[must_use]
    pub(crate) fn min(&self) -> Option<i64> {
        let near = self.near_ns(self.least);
        let rounded = self.rounded().into_iter().map(Histogram::min_ns);
        let exact = near.into_iter().chain(self.far_ns().iter().copied());
        exact.chain(rounded).min()
    }

    /// The largest.
    #[must_use]
    pub(crate) fn max(&self) -> Option<i64> {
        let near = self.near_ns(self.most);
        let rounded = self.rounded().into_iter().map(Histogram::max_ns);
        let exact = near.into_iter().chain(self.far_ns().iter().copied());
        exact.chain(rounded).max()
    }

    /// One of those that lie near, if there are any.
    fn near_ns(&self, near: u32) -> Option<i64> {
        (!self.near.is_empty()).then(|| self.base_ns + i64::from(near))
    }

    /// Takes in others.
    pub(crate) fn append(&mut self, others: Self) {
        if self.is_empty() {
            *self = others;
        } else {
            others.iter().for_each(|span_ns| self.push(span_ns));
        }
    }

    /// Quantiles by nearest rank, for rising `qs`: of each, the smallest span that at least that
    /// share of them does not exceed. `None` without spans.
    pub(crate) fn quantiles<const N: usize>(&mut self, qs: [f64; N]) -> Option<[i64; N]> {
        if self.rounded().is_some() {
            self.round();
            return self.rounded().map(|rounded| rounded.quantiles(qs));
        }
        if self.far_ns().is_empty() {
            let base_ns = self.base_ns;
            return quantiles(&self.near, (self.least, self.most), qs)
                .map(|values| values.map(|near| base_ns + i64::from(near)));
        }
        let mut all: Vec<i64> = self.iter().collect();
        all.sort_unstable();
        Some(qs.map(|q| all[rank(q, all.len())]))
    }
}

impl Extend<i64> for Spans {
    fn extend<T: IntoIterator<Item = i64>>(&mut self, spans_ns: T) {
        spans_ns.into_iter().for_each(|span_ns| self.push(span_ns));
    }
}

impl FromIterator<i64> for Spans {
    fn from_iter<T: IntoIterator<Item = i64>>(spans_ns: T) -> Self {
        let mut spans = Self::default();
        spans.extend(spans_ns);
        spans
    }
}

/// The rank of a quantile among so many values, from 0.
fn rank(q: f64, count: usize) -> usize {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A rank in the slice.
    let rank = (q * count as f64).ceil() as usize;
    rank.clamp(1, count) - 1
}

/// Quantiles of many values, between the least and the most of them, for rising `qs`: they are counted by
/// classes of equal width, and only those of the few classes that quantiles fall into are compared.
fn quantiles<const N: usize>(
    values: &[u32],
    (least, most): (u32, u32),
    qs: [f64; N],
) -> Option<[u32; N]> {
    const CLASSES: usize = 1024;
    /// Neighbours are alike, and to count in one place again and again is slow.
    const COUNTERS: usize = 4;
    if values.is_empty() {
        return None;
    }
    let width_bits = (u32::BITS - (most - least).leading_zeros()).saturating_sub(CLASSES.ilog2());
    let class = |value: u32| ((value - least) >> width_bits) as usize % CLASSES;
    let mut counts = [[0_u32; COUNTERS]; CLASSES];
    for neighbours in values.chunks(COUNTERS) {
        for (nth, value) in neighbours.iter().enumerate() {
            counts[class(*value)][nth] += 1;
        }
    }
    let counts = counts.map(|counters| counters.iter().map(|&count| count as usize).sum::<usize>());
    let mut is_wanted = [false; CLASSES];
    let (mut first, mut below, mut wanted_below) = (0, 0, 0);
    let places = qs.map(|q| {
        let rank = rank(q, values.len());
        while below + counts[first] <= rank {
            below += counts[first];
            wanted_below += usize::from(is_wanted[first]) * counts[first];
            first += 1;
        }
        is_wanted[first] = true;
        wanted_below + rank - below
    });
    // Each is written, and the next over it if it was not wanted: a branch would go wrong too often.
    let mut wanted = vec![0; wanted_below + counts[first] + 1];
    let mut count = 0;
    for value in values {
        wanted[count] = *value;
        count += usize::from(is_wanted[class(*value)]);
    }
    let wanted = &mut wanted[..count];
    let mut from = 0;
    Some(places.map(|place| {
        // What lies before one quantile lies before the next.
        let (_, found, _) = wanted[from..].select_nth_unstable(place - from);
        from = place;
        *found
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_come_back_as_they_were() {
        let day = 86_400_000_000_000;
        let given = [day, day + 5, day - 5, 0, -day, i64::MAX, i64::MIN, day + 1];
        let spans: Spans = given.into_iter().collect();
        let mut back: Vec<i64> = spans.iter().collect();
        let mut given = given.to_vec();
        back.sort_unstable();
        given.sort_unstable();
        assert_eq!(back, given);
        assert_eq!(spans.len(), given.len());
        assert_eq!((spans.min(), spans.max()), (Some(i64::MIN), Some(i64::MAX)));
    }

    #[test]
    fn extremes_at_first_are_kept_too() {
        for first in [i64::MIN, i64::MAX, 0] {
            let mut spans: Spans = [first, 1, -1].into_iter().collect();
            spans.append([first].into_iter().collect());
            assert_eq!(spans.iter().filter(|&span| span == first).count(), 2);
            assert_eq!(spans.len(), 4);
        }
    }

    #[test]
    fn rounded_spans_keep_their_number_and_extremes() {
        let base = 86_400_000_000_000;
        let mut exact: Spans = (0..10_000).map(|i| base + i * i).collect();
        let mut spans = exact.clone();
        spans.round();
        // More come behind, and are rounded with the others.
        exact.extend([base - 7, base + 5_000_000]);
        spans.extend([base - 7, base + 5_000_000]);
        assert_eq!(spans.len(), 10_002);
        assert_eq!(spans.iter().count(), 10_002);
        assert_eq!((spans.min(), spans.max()), (exact.min(), exact.max()));
        let qs = [0.0, 0.5, 0.9, 0.99, 1.0];
        let pairs = exact.quantiles(qs).into_iter().zip(spans.quantiles(qs));
        for (exact, rounded) in pairs.flat_map(|(a, b)| a.into_iter().zip(b)) {
            assert!(rounded.abs_diff(exact) <= exact.abs_diff(base) / 100);
        }
    }

    #[test]
    fn quantiles_of_many_are_those_of_the_sorted_values() {
        let qs = [0.0, 0.001, 0.5, 0.5, 0.9, 0.99, 0.9999, 1.0];
        for (count, spread) in [(1, 1), (2, 1), (3, u64::MAX), (1000, 7), (5000, 1 << 31)] {
            let mut state = 1_u64;
            let mut given: Vec<i64> = (0..count)
                .map(|_| {
                    state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                    ((state >> 32) % spread).cast_signed()
                })
                .collect();
            let mut spans: Spans = given.iter().copied().collect();
            let found = spans.quantiles(qs).unwrap();
            given.sort_unstable();
            assert_eq!(found, qs.map(|q| given[rank(q, given.len())]));
        }
    }

    #[test]
    fn quantiles_are_values_that_occurred() {
        let quantiles_of = |values: &[i64]| {
            let mut spans: Spans = values.iter().copied().collect();
            spans.quantiles([0.0, 0.5, 0.99, 1.0])
        };
        assert_eq!(quantiles_of(&[30, 10, 20, 40]), Some([10, 20, 40, 40]));
        assert_eq!(quantiles_of(&[7]), Some([7; 4]));
        assert_eq!(quantiles_of(&[]), None);
        let day = 86_400_000_000_000;
        assert_eq!(quantiles_of(&[0, day, -day]), Some([-day, 0, day, day]));
    }
}
