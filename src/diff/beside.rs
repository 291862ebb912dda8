//! What the other numbers tell of one that lost nothing in one result and some in the other.
//!
//! By itself, twenty packets tell little: a number that always loses 15 of a hundred has none of twenty
//! lost and then six or more in three of a thousand pairs of results. How rare such numbers are on the
//! path, the others tell: where all of them fare alike, a number is taken to be as they are, or else, once
//! among all of them, one of which nothing is known.
//!
//! The module promises a chance of that kind only where the others of the better result do fare alike, and
//! where the number is unlike them in the worse one. It deliberately says nothing of numbers that lost
//! some both times: they could seem to have changed in as many ways as there are pairs of few and many.

use std::collections::BTreeMap;

use statrs::{
    distribution::{Binomial, DiscreteCDF},
    function::factorial::ln_binomial,
};

use super::{judged, two_sided};
use crate::{
    findings::{Carrier, Grade, Protocol},
    judge::{Judged, LIKELY, chance},
};

/// A number of both results, by its place among all.
pub(super) struct Both {
    index: usize,
    carrier: Carrier,
    before: Judged,
    after: Judged,
}

impl Both {
    pub(super) fn of(index: usize, carrier: Carrier, old: &Protocol, new: &Protocol) -> Self {
        // What was lost in a row may have one cause, and counts as one loss, unless the result is certain
        // all the same that it was the number: then others came through in between.
        let apart = |protocol: &Protocol| {
            let runs = protocol.loss_runs.map_or(protocol.lost, |runs| runs.count);
            let judged = judged(protocol);
            if protocol.grade == Grade::Certain {
                judged
            } else {
                Judged {
                    lost: runs.min(judged.lost),
                    ..judged
                }
            }
        };
        Self {
            index,
            carrier,
            before: apart(old),
            after: apart(new),
        }
    }

    /// How it fared in the earlier result, or in the later one.
    fn fared(&self, after: bool) -> Judged {
        if after { self.after } else { self.before }
    }

    /// Whether it lost some in the later result, or in the earlier one; `None` unless it lost some in one
    /// of them only, more than chance alone would have it.
    fn lost_after(&self) -> Option<bool> {
        let is_told = self.before.packets > 0
            && self.after.packets > 0
            && two_sided(self.before, self.after) < LIKELY;
        match (is_told, self.before.lost, self.after.lost) {
            (true, 0, _) => Some(true),
            (true, _, 0) => Some(false),
            _ => None,
        }
    }
}

/// The chance of a number's losses beside what the others tell of the path.
pub(super) struct Weighed {
    pub(super) index: usize,
    pub(super) chance: f64,
}

/// Weighs each number of a direction against the others of its carrier.
pub(super) fn weigh(numbers: &[Both]) -> Vec<Weighed> {
    let mut all = Vec::new();
    let mut common_ratios: BTreeMap<(Carrier, bool), Option<f64>> = BTreeMap::new();
    for number in numbers {
        let Some(after) = number.lost_after() else {
            continue;
        };
        let alike = || {
            numbers
                .iter()
                .filter(|other| other.carrier == number.carrier)
        };
        let common = common_ratios
            .entry((number.carrier, after))
            .or_insert_with(|| {
                let others: Vec<Judged> = alike().map(|other| other.fared(!after)).collect();
                common_ratio(&others)
            });
        let Some(ratio) = *common else { continue };
        let others = alike().filter(|other| other.index != number.index);
        let worse = number.fared(after);
        let rare = 1.0 / alike().count() as f64;
        let none_of = number.fared(!after).packets;
        let both_times =
            (1.0 - rare) * of_ratio(ratio, none_of, worse) + rare * of_any(none_of, worse);
        let unlike_others = chance(worse, sum(others.map(|other| other.fared(after))));
        all.push(Weighed {
            index: number.index,
            // It might have lost nothing in the other result instead.
            chance: (2.0 * both_times).max(unlike_others),
        });
    }
    all
}

fn sum(numbers: impl Iterator<Item = Judged>) -> Judged {
    numbers.fold(Judged::default(), Judged::and)
}

/// The loss ratio of numbers that fare alike; `None` where their losses scatter more than chance would
/// have them (the index of dispersion of Fisher 1925, with the variance it has where few are lost, at
/// 5 %). One loss more than there was is reckoned with.
fn common_ratio(numbers: &[Judged]) -> Option<f64> {
    const SCATTER: f64 = 1.645;
    let all = sum(numbers.iter().copied());
    let ratio = all.lost as f64 / all.packets as f64;
    if all.lost > 0 && all.lost < all.packets {
        let (mut excess, mut variance) = (1.0, 0.0);
        for number in numbers.iter().filter(|number| number.packets > 0) {
            let expected = number.packets as f64 * ratio;
            let unlike = number.lost as f64 - expected;
            excess += unlike * unlike / (expected * (1.0 - ratio)) - 1.0;
            variance += 2.0 + 1.0 / expected;
        }
        if excess > SCATTER * f64::sqrt(variance) {
            return None;
        }
    }
    Some((all.lost + 1) as f64 / (all.packets + 1) as f64)
}

/// The chance that none of so many packets is lost in one result and at least so many in the other, each
/// with this chance; 1 where there are more packets than can be reckoned with.
fn of_ratio(ratio: f64, none_of: u64, worse: Judged) -> f64 {
    let none = (none_of as f64 * (-ratio).ln_1p()).exp();
    let many = Binomial::new(ratio, worse.packets).map(|many| many.sf(worse.lost - 1));
    many.map_or(1.0, |many| none * many)
}

/// The same where every chance of a loss is as likely as any other: the sum over k lost ones of
/// C(n, k) B(k + 1, m + n - k + 1).
fn of_any(none_of: u64, worse: Judged) -> f64 {
    let both = none_of + worse.packets;
    let terms = (worse.lost..=worse.packets).map(|lost| {
        (ln_binomial(worse.packets, lost) - ln_binomial(both, lost)).exp() / (both + 1) as f64
    });
    terms.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(packets: u64, lost: u64) -> Judged {
        Judged { packets, lost }
    }

    /// By hand, in fractions.
    #[test]
    fn without_knowledge_every_ratio_is_as_likely() {
        let chance = of_any(20, of(20, 6));
        assert!((chance - 4.104_88e-4).abs() < 1e-9, "{chance}");
        assert!((of_any(20, of(20, 0)) - 1.0 / 21.0).abs() < 1e-12);
    }

    #[test]
    fn a_ratio_is_common_where_losses_scatter_as_chance_has_them() {
        let path = |lost: fn(u64) -> u64| {
            let numbers: Vec<Judged> = (0..256).map(|number| of(20, lost(number))).collect();
            common_ratio(&numbers)
        };
        assert_eq!(path(|_| 0), Some(1.0 / 5121.0));
        assert_eq!(path(|_| 20), Some(1.0));
        assert_eq!(
            path(|number| u64::from(number % 5 == 0)),
            Some(53.0 / 5121.0)
        );
        // One loses more than the rest, or sixteen do, of which none is much.
        assert_eq!(path(|number| if number == 7 { 4 } else { 0 }), None);
        assert_eq!(path(|number| if number % 16 == 0 { 2 } else { 0 }), None);
    }
}
