//! A histogram of spans: as many as there may be, in a few kilobytes.
//!
//! Its classes are equally wide from one power of two to the next (as those of Gil Tene's
//! `HdrHistogram`), and are counted from a span near the smallest: what matters of a delay is how
//! far it lies above that, not what the clocks are off.

/// Classes from one power of two to the next.
const CLASSES: u64 = 1 << CLASS_BITS;

/// See above.
const CLASS_BITS: u32 = 6;

/// Spans, each known to within 1 % of its distance from the base; the extremes exactly.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    base_ns: i64,
    /// Spans from the base on, and those below it, by the class of their distance.
    above: Vec<u64>,
    below: Vec<u64>,
    count: u64,
    min_ns: i64,
    max_ns: i64,
}

impl Histogram {
    /// An empty one, for spans most of which are not below the base.
    pub(super) fn new(base_ns: i64) -> Self {
        Self {
            base_ns,
            above: Vec::new(),
            below: Vec::new(),
            count: 0,
            min_ns: i64::MAX,
            max_ns: i64::MIN,
        }
    }

    pub(super) fn add(&mut self, span_ns: i64, count: u64) {
        let classes = if span_ns < self.base_ns {
            &mut self.below
        } else {
            &mut self.above
        };
        let class = class(span_ns.abs_diff(self.base_ns));
        if classes.len() <= class {
            classes.reserve_exact(class + 1 - classes.len());
            classes.resize(class + 1, 0);
        }
        classes[class] += count;
        self.count += count;
        self.min_ns = self.min_ns.min(span_ns);
        self.max_ns = self.max_ns.max(span_ns);
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn min_ns(&self) -> i64 {
        self.min_ns
    }

    pub(super) fn max_ns(&self) -> i64 {
        self.max_ns
    }

    /// The spans, rising, each as the middle of its class, with how many there are.
    pub(super) fn classes(&self) -> impl Iterator<Item = (i64, u64)> {
        let below = self.below.iter().enumerate().rev();
        let below = below.map(|(class, count)| {
            let middle = self.base_ns.saturating_sub_unsigned(middle(class));
            (middle, *count)
        });
        let above = self.above.iter().enumerate();
        let above = above.map(|(class, count)| {
            let middle = self.base_ns.saturating_add_unsigned(middle(class));
            (middle, *count)
        });
        let within = |span_ns: i64| span_ns.clamp(self.min_ns, self.max_ns);
        let occupied = below.chain(above).filter(|(_, count)| *count > 0);
        occupied.map(move |(span_ns, count)| (within(span_ns), count))
    }

    /// Quantiles by nearest rank, for rising `qs`; the extremes exactly.
    pub(super) fn quantiles<const N: usize>(&self, qs: [f64; N]) -> [i64; N] {
        let mut classes = self.classes().peekable();
        let mut before = 0;
        qs.map(|q| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A rank.
            let rank = ((q * self.count as f64).ceil() as u64).clamp(1, self.count);
            if rank == 1 {
                return self.min_ns;
            }
            if rank == self.count {
                return self.max_ns;
            }
            while let Some((span_ns, count)) = classes.peek().copied() {
                if before + count >= rank {
                    return span_ns;
                }
                before += count;
                classes.next();
            }
            self.max_ns
        })
    }
}

/// The class of a distance: itself up to where classes get wider.
fn class(distance: u64) -> usize {
    let width = width_bits(distance);
    let class = (u64::from(width) << CLASS_BITS) + (distance >> width);
    usize::try_from(class).expect("there are fewer than 4,096")
}

/// Classes are so wide at this distance, in powers of two.
fn width_bits(distance: u64) -> u32 {
    (distance | CLASSES).ilog2() - CLASS_BITS
}

/// The middle of a class.
fn middle(class: usize) -> u64 {
    let class = class as u64;
    let width = (class >> CLASS_BITS).saturating_sub(1);
    let start = (class - (width << CLASS_BITS)) << width;
    start + ((1 << width) - 1) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_known_to_one_percent() {
        let distances = (0..63).flat_map(|bit| [0, 1, 2].map(|more| (1_u64 << bit) + more));
        for distance in distances.chain([0, 100, 12_345_678, u64::MAX / 2]) {
            let found = middle(class(distance));
            let error = found.abs_diff(distance);
            assert!(error <= distance / 100, "{distance} became {found}");
        }
    }

    #[test]
    fn classes_rise_with_the_distance() {
        let classes: Vec<usize> = (0..100_000).map(class).collect();
        assert!(classes.is_sorted());
        assert!(classes.windows(2).all(|pair| pair[1] - pair[0] <= 1));
    }

    #[test]
    fn extremes_are_exact_and_quantiles_near() {
        let mut histogram = Histogram::new(1_000_000);
        for span in 0..100_001 {
            histogram.add(999_990 + span * 10, 1);
        }
        let [min, p50, max] = histogram.quantiles([0.0, 0.5, 1.0]);
        assert_eq!((min, max), (999_990, 1_999_990));
        assert!((p50 - 1_499_990).abs() <= 5_000, "{p50}");
        assert_eq!(histogram.classes().map(|(_, n)| n).sum::<u64>(), 100_001);
    }
}
