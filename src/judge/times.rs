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

#[cfg(test)]
mod tests {
    use super::*;

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
