//! Which stretches of time held something: a bit for each, of a bounded number of them.

use super::stretches::length;

/// How many stretches of time are told apart: of a day, 1.3 to 2.6 s.
const BUCKETS: u32 = 1 << 16;

/// The first stretches are so long, in powers of two of nanoseconds: 65 µs.
const FIRST_SHIFT: u32 = 16;

/// More silences than this are no exception.
const MOST_GAPS: usize = 8;

/// And none of fewer silences than this for each: traffic comes in bursts, and they have pauses.
const MANY_FOR_A_GAP: usize = 16;

/// Which stretches of time held something. They are equally long, and get longer as the time to
/// be covered does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Occupancy {
    /// A time shifted right by this is the number of its stretch.
    shift: u32,
    /// The number of the first stretch that has a bit.
    base: i64,
    /// A bit a stretch; none before the first instant is noted.
    bits: Vec<u64>,
    /// Where the stretch begins that was noted last, and how long it is: mostly the next one's too.
    last: (i64, u64),
}

impl Default for Occupancy {
    fn default() -> Self {
        Self {
            shift: FIRST_SHIFT,
            base: 0,
            bits: Vec::new(),
            last: (0, 0),
        }
    }
}

impl Occupancy {
    #[inline(always)]
    pub(super) fn note(&mut self, time_ns: i64) {
        // What is earlier wraps past the end, here and below.
        if time_ns.wrapping_sub(self.last.0).cast_unsigned() >= self.last.1 {
            self.note_another(time_ns);
        }
    }

    fn note_another(&mut self, time_ns: i64) {
        self.last = (time_ns >> self.shift << self.shift, 1 << self.shift);
        let bucket = (time_ns >> self.shift).wrapping_sub(self.base);
        let bucket = usize::try_from(bucket.cast_unsigned()).unwrap_or(usize::MAX);
        match self.bits.get_mut(bucket / 64) {
            Some(word) => *word |= 1 << (bucket % 64),
            None => self.grow_to(time_ns),
        }
    }

    #[cold]
    fn grow_to(&mut self, time_ns: i64) {
        let held: Vec<i64> = self.held().collect();
        self.last = (0, 0);
        self.bits.clear();
        self.bits.resize(BUCKETS as usize / 64, 0);
        let (Some(first), Some(last)) = (held.first(), held.last()) else {
            self.base = (time_ns >> self.shift) - i64::from(BUCKETS) / 2;
            return self.note(time_ns);
        };
        let shift = self.shift;
        let lowest = (first << shift).min(time_ns);
        let highest = (last << shift).max(time_ns);
        // Room for as much again on either side, so that growing stays rare.
        let span = |shift: u32| (highest >> shift).saturating_sub(lowest >> shift);
        while span(self.shift) >= i64::from(BUCKETS) / 2 {
            self.shift += 1;
        }
        let span = span(self.shift);
        self.base = (lowest >> self.shift) - (i64::from(BUCKETS) - span) / 2;
        for stretch in held {
            self.note(stretch << shift);
        }
        self.note(time_ns);
    }

    /// The numbers of the stretches that held something, rising.
    fn held(&self) -> impl Iterator<Item = i64> {
        let words = (self.base..).step_by(64).zip(&self.bits);
        let words = words.filter(|(_, word)| **word != 0);
        words.flat_map(|(first, word)| {
            let bits = (0..64).filter(move |bit| word >> bit & 1 == 1);
            bits.map(move |bit| first + bit)
        })
    }

    /// How long a stretch is, less a nanosecond.
    pub(super) fn within(&self) -> i64 {
        (1 << self.shift) - 1
    }

    /// Whether a stretch held something that begins between these times.
    pub(super) fn holds_any(&self, (from_ns, to_ns): (i64, i64)) -> bool {
        let bits = self.bits.len() * 64;
        let bit = |stretch: i64| {
            let bit = stretch.saturating_sub(self.base).max(0);
            usize::try_from(bit).unwrap_or(bits).min(bits)
        };
        let first = bit(from_ns.saturating_add(self.within()) >> self.shift);
        let end = bit((to_ns >> self.shift).saturating_add(1));
        if first >= end {
            return false;
        }
        // Word by word: a run of losses asks for all of its time at each of them.
        let (first_word, last_word) = (first / 64, (end - 1) / 64);
        let mut words = (first_word..).zip(&self.bits[first_word..=last_word]);
        words.any(|(index, word)| {
            let behind = if index == first_word { first % 64 } else { 0 };
            let beyond = if index == last_word {
                63 - (end - 1) % 64
            } else {
                0
            };
            word & u64::MAX << behind & u64::MAX >> beyond != 0
        })
    }

    /// The beginnings of the stretches that held something and begin between these times.
    pub(super) fn held_within(&self, (from_ns, to_ns): (i64, i64)) -> Vec<i64> {
        let starts = self.held().map(|stretch| stretch << self.shift);
        starts
            .filter(|start| (from_ns..=to_ns).contains(start))
            .collect()
    }

    /// Takes in what another holds.
    pub(super) fn append(&mut self, other: &Self) {
        for stretch in other.held() {
            self.note(stretch << other.shift);
        }
    }

    /// How many stretches held something.
    pub(super) fn count(&self) -> usize {
        self.bits
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// The silences between stretches that held something, each from the beginning of the stretch
    /// before it to the end of the one behind it.
    pub(super) fn silences(&self) -> Vec<(i64, i64)> {
        let held: Vec<i64> = self.held().collect();
        let within = self.within();
        let silent = held.windows(2).filter(|pair| pair[1] - pair[0] > 1);
        silent
            .map(|pair| (pair[0] << self.shift, pair[1] << self.shift | within))
            .collect()
    }

    /// Longer silences than this are unlike the others: so many times as long as the silence that a
    /// random instant lies in, on average. Only a few can be: what happens often is usual.
    pub(super) fn longest_usual_silence(&self, times: f64) -> f64 {
        let mut lengths: Vec<f64> = self.silences().into_iter().map(length).collect();
        lengths.sort_by(f64::total_cmp);
        let resolution = (1_i64 << self.shift) as f64;
        let count = lengths.len();
        let (mut total, mut squares) = (0.0_f64, 0.0);
        for (index, length) in lengths.iter().enumerate() {
            if index >= count - (count / MANY_FOR_A_GAP).clamp(1, MOST_GAPS) {
                let typical: f64 = if total > 0.0 { squares / total } else { 0.0 };
                let longest_usual = times * typical.max(resolution);
                if *length > longest_usual {
                    return longest_usual;
                }
            }
            total += length;
            squares += length * length;
        }
        let typical = if total > 0.0 { squares / total } else { 0.0 };
        times * typical.max(resolution)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_found_between_its_ends_and_nowhere_else() {
        let stretch = 1 << FIRST_SHIFT;
        let mut occupancy = Occupancy::default();
        let held = [5, 63, 64, 200, 1_000];
        for number in held {
            occupancy.note(number * stretch);
        }
        for from in 0..1_100 {
            for to in [
                from,
                from + 1,
                from + 63,
                from + 64,
                from + 300,
                2_000,
                1 << 40,
            ] {
                let is_held = held.iter().any(|number| (from..=to).contains(number));
                let between = (from * stretch, to * stretch);
                assert_eq!(occupancy.holds_any(between), is_held, "{from} to {to}");
            }
        }
        assert!(!occupancy.holds_any((i64::MIN, 0)) && occupancy.holds_any((i64::MIN, i64::MAX)));
        assert!(!occupancy.holds_any((stretch * 6, stretch * 5)));
        assert!(!Occupancy::default().holds_any((i64::MIN, i64::MAX)));
    }
}
