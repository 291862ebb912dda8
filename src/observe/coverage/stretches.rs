//! Stretches of time that are looked up by time.

/// A set of instants, as stretches of it, nanoseconds since the epoch, both ends of each in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stretches {
    /// In order, none touching another.
    stretches: Vec<(i64, i64)>,
}

impl Stretches {
    /// Takes in more, in any order.
    pub(super) fn extend(&mut self, more: impl IntoIterator<Item = (i64, i64)>) {
        self.stretches.extend(more);
        self.stretches.sort_unstable();
        self.stretches.dedup_by(|next, before| {
            let touches = next.0 <= before.1;
            if touches {
                before.1 = before.1.max(next.1);
            }
            touches
        });
    }

    /// Whether it has an instant of a stretch.
    pub(super) fn touches(&self, (from_ns, to_ns): (i64, i64)) -> bool {
        let [_, behind] = self.beside(from_ns);
        behind.is_some_and(|stretch| stretch.0 <= to_ns)
    }

    /// Whether it has more than an end of a stretch.
    pub(super) fn overlaps(&self, stretch: (i64, i64)) -> bool {
        !overlapping(&self.stretches, stretch).is_empty()
    }

    /// The last stretch that is over before an instant, and the next one, which may have it.
    pub(super) fn beside(&self, at_ns: i64) -> [Option<(i64, i64)>; 2] {
        let next = self.stretches.partition_point(|stretch| stretch.1 < at_ns);
        let before = next.checked_sub(1).map(|before| self.stretches[before]);
        [before, self.stretches.get(next).copied()]
    }
}

/// Those of some stretches that overlap one, where both their beginnings and their ends rise.
pub(super) fn overlapping(stretches: &[(i64, i64)], with: (i64, i64)) -> &[(i64, i64)] {
    let first = stretches.partition_point(|stretch| stretch.1 <= with.0);
    let rest = &stretches[first..];
    &rest[..rest.partition_point(|stretch| stretch.0 < with.1)]
}

/// Whether two stretches have more in common than an end.
pub(super) fn overlap(a: (i64, i64), b: (i64, i64)) -> bool {
    a.0 < b.1 && b.0 < a.1
}

/// How long a stretch is, in nanoseconds.
pub(super) fn length((from_ns, to_ns): (i64, i64)) -> f64 {
    to_ns.saturating_sub(from_ns) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_touches_is_one_stretch() {
        let mut stretches = Stretches::default();
        stretches.extend([(30, 40), (10, 20)]);
        assert_eq!(stretches.beside(25), [Some((10, 20)), Some((30, 40))]);
        assert!(stretches.touches((20, 25)) && !stretches.touches((21, 29)));
        assert!(!stretches.overlaps((20, 30)) && stretches.overlaps((20, 31)));
        stretches.extend([(20, 30)]);
        assert_eq!(stretches.beside(25), [None, Some((10, 40))]);
        assert_eq!(stretches.beside(41), [Some((10, 40)), None]);
    }
}
