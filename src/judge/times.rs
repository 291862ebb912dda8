//! When things happened, in a few stretches of time however many things there are.

use crate::findings::During;

/// Stretches at most.
const MOST: usize = 32;

/// Times, counted in stretches of equal length that begin at its multiples. The length is the smallest
/// power of two, in nanoseconds, with which there are no more than [`MOST`]: it does not depend on the
/// order in which the times come.
#[derive(Debug, Clone, Default)]
pub(super) struct Times {
    /// The length's exponent.
    exponent: u32,
    /// By rising index.
    counts: Vec<(i64, u64)>,
}

impl Times {
    pub(super) fn add(&mut self, time_ns: i64) {
        let index = time_ns >> self.exponent;
        match self
            .counts
            .binary_search_by_key(&index, |(index, _)| *index)
        {
            Ok(place) => self.counts[place].1 += 1,
            Err(place) => self.counts.insert(place, (index, 1)),
        }
        while self.counts.len() > MOST {
            self.exponent += 1;
            for (index, _) in &mut self.counts {
                *index >>= 1;
            }
            self.counts.dedup_by(|(index, count), (before, sum)| {
                let is_same = index == before;
                *sum += if is_same { *count } else { 0 };
                is_same
            });
        }
    }

    /// Takes back what was added.
    pub(super) fn remove(&mut self, time_ns: i64) {
        let index = time_ns >> self.exponent;
        if let Ok(place) = self
            .counts
            .binary_search_by_key(&index, |(index, _)| *index)
        {
            self.counts[place].1 -= 1;
            if self.counts[place].1 == 0 {
                self.counts.remove(place);
            }
        }
    }

    /// The stretches in which there was something, rising.
    pub(super) fn during(&self) -> Vec<During> {
        let stretch = |&(index, count): &(i64, u64)| {
            let from_ns = index << self.exponent;
            During {
                from_ns,
                to_ns: from_ns | !(-1 << self.exponent),
                count,
            }
        };
        self.counts.iter().map(stretch).collect()
    }
}

/// Where the first of many things are along something that they rise on: times, or numbers of frames.
#[derive(Debug, Clone, Default)]
pub(super) struct Spacing(Vec<i64>);

impl Spacing {
    /// Enough to tell.
    const MOST: usize = 64;
    /// With fewer distances, chance makes all of them equal too often.
    const FEWEST: usize = 6;

    pub(super) fn add(&mut self, at: i64) {
        if self.0.len() < Self::MOST {
            self.0.push(at);
        }
    }

    /// Whether the distances are too equal for things that have any place in each round: nearly all of
    /// them within an eighth of their median, where any place would bring a quarter of them there. That
    /// is chance in fewer than one of a thousand.
    pub(super) fn is_even(&self) -> bool {
        let ends = self.0.iter().zip(self.0.iter().skip(1));
        let mut distances: Vec<u64> = ends.map(|(a, b)| a.abs_diff(*b)).collect();
        if distances.len() < Self::FEWEST {
            return false;
        }
        distances.sort_unstable();
        let median = distances[distances.len() / 2];
        let others = distances
            .iter()
            .filter(|distance| distance.abs_diff(median) > median / 8);
        others.count() <= (distances.len() - Self::FEWEST) / 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_is_what_has_its_place_in_each_round_and_not_what_has_any() {
        let spacing = |times: &[i64]| {
            let mut spacing = Spacing::default();
            for time in times {
                spacing.add(*time);
            }
            spacing.is_even()
        };
        let round = [0, 5_786, 11_592, 17_267, 22_955, 29_054, 34_611];
        assert!(spacing(&round));
        assert!(!spacing(&round[1..]), "five may be chance");
        // A long round, and one missing here and there.
        let without = |missing: &[i64]| {
            let rounds = (0..20).filter(|round| !missing.contains(round));
            let times = rounds
                .map(|round| round * 1_000 + round % 3 * 30 + if round > 8 { 7_000 } else { 0 });
            spacing(&times.collect::<Vec<_>>())
        };
        assert!(without(&[4, 11]));
        assert!(!without(&[4, 11, 14]));
        // Each round in another order.
        let any = [300, 1_900, 2_100, 3_700, 4_200, 5_900, 6_100, 7_000, 8_800];
        assert!(!spacing(&any));
        assert!(!spacing(&[]));
    }

    #[test]
    fn few_times_are_exact_and_many_joined_in_whatever_order_they_come() {
        let mut few = Times::default();
        for time in [7, 5, 7] {
            few.add(time);
        }
        let exact = |from_ns, count| During {
            from_ns,
            to_ns: from_ns,
            count,
        };
        assert_eq!(few.during(), [exact(5, 1), exact(7, 2)]);
        few.remove(5);
        assert_eq!(few.during(), [exact(7, 2)]);

        let times: Vec<i64> = (0..1000)
            .map(|time| time * 1_000_003 - 500_000_000)
            .collect();
        let of = |times: &mut dyn Iterator<Item = &i64>| {
            let mut all = Times::default();
            times.for_each(|time| all.add(*time));
            all.during()
        };
        let all = of(&mut times.iter());
        assert_eq!(all, of(&mut times.iter().rev()));
        assert!(all.len() > MOST / 2 && all.len() <= MOST, "{}", all.len());
        assert_eq!(all.iter().map(|during| during.count).sum::<u64>(), 1000);
        assert!(all[0].from_ns <= times[0] && times[999] <= all[all.len() - 1].to_ns);
    }
}
