//! Random numbers that a seed determines for good.

use std::ops::Range;

/// `SplitMix64`: ten lines that no upgrade of a library changes, so that a seed in a bug report
/// stays worth something.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed);
        // Neighbouring seeds shall have nothing in common.
        Self(random.next())
    }

    /// A sequence of its own for one purpose.
    pub fn fork(&self, purpose: &str) -> Self {
        let mixed = purpose.bytes().fold(self.0, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self::new(mixed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Evenly from a range that is not empty.
    pub fn within(&mut self, range: Range<i64>) -> i64 {
        let width = range.end.abs_diff(range.start);
        range.start.wrapping_add_unsigned(self.next() % width)
    }

    /// Evenly from `0..limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    /// A length as drawn from a range of `i64`, which holds no negative one.
    pub fn count(&mut self, range: Range<i64>) -> usize {
        usize::try_from(self.within(range)).unwrap()
    }

    pub fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// True in this share of the cases.
    pub fn happens(&mut self, per_thousand: u64) -> bool {
        self.next() % 1_000 < per_thousand
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Some of `0..count`: each with an even chance, one at the least.
    pub fn some_of(&mut self, count: usize) -> Vec<usize> {
        let always = self.below(count);
        (0..count)
            .filter(|&index| self.happens(500) || index == always)
            .collect()
    }
}
