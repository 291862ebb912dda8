//! Clocks that are wrong in the ways that clocks are.

use super::super::scene::{MILLISECOND, START_NS};
use super::{Ingredient, Ingredients, Random};

/// No two clocks differ by more than a day: beyond that, a timestamp is not taken for HDP's.
const MOST_OFFSET_NS: i64 = 43_000_000 * MILLISECOND;

/// A host's clock.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// What it shows more than the true time, when the scenario starts.
    pub offset_ns: i64,
    /// Parts per billion that it runs too fast.
    pub skew_ppb: i64,
    pub steps: Vec<Step>,
}

/// Somebody sets a clock.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// True time.
    pub at_ns: i64,
    pub by_ns: i64,
}

impl Clock {
    /// A clock as the ingredients allow, in a scenario of this length.
    pub fn draw(ingredients: &Ingredients, length_ns: i64, random: &mut Random) -> Self {
        let offset_ns = match random.below(4) {
            0 => 0,
            1 => random.within(-20 * MILLISECOND..20 * MILLISECOND),
            2 => random.within(-5_000 * MILLISECOND..5_000 * MILLISECOND),
            _ => random.within(-MOST_OFFSET_NS..MOST_OFFSET_NS),
        };
        let skew_ppb = if ingredients.have(Ingredient::Skew) {
            random.within(-100_000..100_001)
        } else {
            0
        };
        let steps = if ingredients.have(Ingredient::Steps) && random.happens(500) {
            (0..random.within(1..3))
                .map(|_| Step {
                    at_ns: START_NS + random.within(length_ns / 5..length_ns * 4 / 5),
                    by_ns: {
                        let most = random.pick(&[20, 200, 5_000]) * MILLISECOND;
                        random.within(-most..most)
                    },
                })
                .collect()
        } else {
            Vec::new()
        };
        Self {
            offset_ns,
            skew_ppb,
            steps,
        }
    }

    /// What it shows at a true time.
    pub fn shows(&self, at_ns: i64) -> i64 {
        let since = i128::from(at_ns - START_NS);
        let drift = i64::try_from(since * i128::from(self.skew_ppb) / 1_000_000_000).unwrap();
        let steps = self.steps.iter().filter(|step| step.at_ns <= at_ns);
        at_ns + self.offset_ns + drift + steps.map(|step| step.by_ns).sum::<i64>()
    }
}
