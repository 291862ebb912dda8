//! Statistics: exact ones, since a sweep has few packets a number.

use statrs::{
    distribution::{Beta, ContinuousCDF},
    function::factorial::ln_binomial,
    stats_tests::{
        Alternative,
        mannwhitneyu::{MannWhitneyUMethod, mannwhitneyu},
    },
};

use super::tally::Judged;

/// The exact 95 % interval of a loss ratio (Clopper and Pearson 1934); `None` without packets.
pub(super) fn loss_interval(judged: Judged) -> Option<[f64; 2]> {
    const TAIL: f64 = 0.025;
    let Judged { packets, lost } = judged;
    if packets == 0 {
        return None;
    }
    let quantile = |lost: u64, kept: u64, p: f64| match (lost, kept) {
        // Beta(1, n) and Beta(n, 1) have their quantiles in closed form.
        (1, kept) => 1.0 - (1.0 - p).powf(1.0 / kept as f64),
        (lost, 1) => p.powf(1.0 / lost as f64),
        _ => Beta::new(lost as f64, kept as f64).map_or(f64::NAN, |beta| beta.inverse_cdf(p)),
    };
    let kept = packets - lost;
    let low = if lost == 0 {
        0.0
    } else {
        quantile(lost, kept + 1, TAIL)
    };
    let high = if kept == 0 {
        1.0
    } else {
        quantile(lost + 1, kept, 1.0 - TAIL)
    };
    Some([low, high])
}

/// The chance that at least so many of a number's packets are lost if they are treated like the
/// others': Fisher's exact test, one-sided.
pub(crate) fn chance(subject: Judged, others: Judged) -> f64 {
    let packets = subject.packets + others.packets;
    let lost = subject.lost + others.lost;
    let of_subject = |k: u64| {
        ln_binomial(lost, k) + ln_binomial(packets - lost, subject.packets - k)
            - ln_binomial(packets, subject.packets)
    };
    // How many times as likely one more lost packet is.
    let ratio = |k: u64| {
        let kept = subject.packets - k;
        (lost - k) as f64 / (k + 1) as f64 * kept as f64 / (packets - lost + 1 - kept) as f64
    };
    // From the number asked about away from the likeliest one, the terms fall faster than a
    // geometric series: few of them are a sum's worth, be they too small for a number at all.
    let tail = |first: u64, ratios: &mut dyn Iterator<Item = f64>| {
        let mut term = of_subject(first).exp();
        let mut sum = term;
        for ratio in ratios {
            term *= ratio;
            sum += term;
            if term <= sum * 1e-12 {
                break;
            }
        }
        sum
    };
    let least = subject.packets.saturating_sub(packets - lost);
    let most = lost.min(subject.packets);
    let likeliest =
        (u128::from(subject.packets) + 1) * (u128::from(lost) + 1) / (u128::from(packets) + 2);
    if u128::from(subject.lost) > likeliest {
        tail(subject.lost, &mut (subject.lost..most).map(ratio)).min(1.0)
    } else if subject.lost > least {
        let below = (least..subject.lost - 1).rev().map(|k| 1.0 / ratio(k));
        (1.0 - tail(subject.lost - 1, &mut { below })).max(0.0)
    } else {
        1.0
    }
}

/// A verdict is certain below this chance ...
pub(crate) const CERTAIN: f64 = 0.001;

/// ... and likely below this one.
pub(crate) const LIKELY: f64 = 0.05;

/// In how many ways `k` of `n` can be chosen.
pub(super) fn choices(n: u64, k: u64) -> f64 {
    ln_binomial(n, k).exp()
}

/// How many more packets of a number would make its losses certain if the same share of them were
/// lost, beside the others' and among so many numbers; `None` where no reasonable number would.
///
/// The chance is smallest just where one more packet is lost, so only such numbers are asked about.
pub(super) fn more_packets(subject: Judged, others: Judged, asked: u64) -> Option<u64> {
    /// Nobody sends more to learn about one number.
    const MOST: u64 = 10_000;
    // The same share as the others' or less is theirs, however many packets show it.
    if subject.lost == 0 || subject.lost * others.packets <= others.lost * subject.packets {
        return None;
    }
    // The fewest packets of which so many more are lost.
    let more = |lost: u64| (lost * subject.packets).div_ceil(subject.lost);
    let is_certain = |lost: &u64| {
        let packets = subject.packets + more(*lost);
        let lost = subject.lost + lost;
        chance(Judged { packets, lost }, others) * (asked as f64) < CERTAIN
    };
    let most = MOST * subject.lost / subject.packets;
    let mut enough = 1;
    while enough <= most && !is_certain(&enough) {
        enough *= 2;
    }
    if enough > most {
        return None;
    }
    let (mut too_few, mut enough) = (enough / 2, enough);
    while enough - too_few > 1 {
        let middle = too_few.midpoint(enough);
        if is_certain(&middle) {
            enough = middle;
        } else {
            too_few = middle;
        }
    }
    // Rounding up whole packets makes the chance fall in uneven steps.
    let least = enough.saturating_sub(subject.lost).max(1);
    (least..=enough).find(is_certain).map(more)
}

/// The chance that two samples differ so much in rank if they were drawn alike (Mann and Whitney
/// 1947), two-sided, by the normal approximation; `None` where one is empty.
pub(super) fn rank_test(a: &[i64], b: &[i64]) -> Option<f64> {
    // statrs 0.19 has an exact test too: of two samples as long as each other, or the first
    // shorter, it gives the chance of the opposite.
    let method = MannWhitneyUMethod::AsymptoticInclContinuityCorrection;
    let (_, chance) = mannwhitneyu(a, b, method, Alternative::TwoSided).ok()?;
    // All values the same: nothing to rank.
    Some(if chance.is_nan() { 1.0 } else { chance })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(lost: u64, packets: u64) -> Judged {
        Judged { packets, lost }
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-4, "{a} is not {b}");
    }

    #[test]
    fn the_interval_is_that_of_the_tables() {
        // R: binom.test(3, 10)$conf.int; for 0 and n of n the closed forms.
        let [low, high] = loss_interval(judged(3, 10)).unwrap();
        close(low, 0.066_739_5);
        close(high, 0.652_452_8);
        assert_eq!(
            loss_interval(judged(0, 3)).unwrap()[0].to_bits(),
            0.0_f64.to_bits()
        );
        close(
            loss_interval(judged(0, 3)).unwrap()[1],
            1.0 - 0.025_f64.powf(1.0 / 3.0),
        );
        close(
            loss_interval(judged(3, 3)).unwrap()[0],
            0.025_f64.powf(1.0 / 3.0),
        );
        assert_eq!(loss_interval(judged(0, 0)), None);
    }

    #[test]
    fn the_chance_is_fishers() {
        // R: phyper(2, 2, 8, 3, lower.tail = FALSE) and its kin, by hand.
        close(chance(judged(3, 3), judged(0, 7)), 1.0 / 120.0);
        close(chance(judged(0, 3), judged(5, 7)), 1.0);
        close(chance(judged(1, 1), judged(0, 252)), 1.0 / 253.0);
        close(chance(judged(3, 3), judged(0, 0)), 1.0);
        close(chance(judged(1, 3), judged(1, 7)), 8.0 / 15.0);
        close(chance(judged(2, 3), judged(5, 7)), 98.0 / 120.0);
        close(chance(judged(1, 1), judged(1, 1)), 1.0);
        let of_millions = chance(judged(40_000, 40_000), judged(100_000, 10_000_000));
        assert!(of_millions < 1e-300);
    }

    #[test]
    fn more_packets_are_the_fewest_that_make_it_certain() {
        // Three of three lost where 9 others arrived: 1 / C(12 + n, 9) is 1 / 715, then 1 / 2002.
        assert_eq!(more_packets(judged(3, 3), judged(0, 9), 1), Some(2));
        for (subject, others, asked) in [
            (judged(1, 1), judged(0, 252), 253),
            (judged(3, 3), judged(1, 30), 11),
            (judged(4, 12), judged(20, 240), 31),
            (judged(2, 7), judged(3, 100), 4),
        ] {
            let share = subject.lost as f64 / subject.packets as f64;
            let is_certain = |more: u64| {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let lost = (more as f64 * share + 1e-9) as u64;
                let fared = judged(subject.lost + lost, subject.packets + more);
                chance(fared, others) * asked as f64 <= CERTAIN
            };
            let fewest = (1..1000).find(|more| is_certain(*more));
            assert_eq!(more_packets(subject, others, asked), fewest);
        }
    }

    #[test]
    fn no_number_of_packets_tells_like_losses_apart() {
        assert_eq!(more_packets(judged(3, 9), judged(100, 300), 5), None);
        assert_eq!(more_packets(judged(3, 3), judged(0, 0), 1), None);
        assert_eq!(more_packets(judged(0, 3), judged(5, 30), 5), None);
    }

    #[test]
    fn the_rank_test_is_that_of_the_tables() {
        // R: wilcox.test(1:3, 4:6, exact = FALSE)$p.value and its kin.
        for (a, b) in [([1, 2, 3], [4, 5, 6]), ([4, 5, 6], [1, 2, 3])] {
            close(rank_test(&a, &b).unwrap(), 0.080_855_6);
        }
        close(rank_test(&[1, 3, 5], &[2, 4]).unwrap(), 1.0);
        close(rank_test(&[7; 20], &[7; 20]).unwrap(), 1.0);
        let (early, late): (Vec<i64>, Vec<i64>) = ((0..50).collect(), (50..100).collect());
        assert!(rank_test(&early, &late).unwrap() < 1e-15);
        assert_eq!(rank_test(&[], &[1]), None);
    }
}
