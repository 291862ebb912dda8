//! What happened lately: a map that forgets the oldest when it is full.

use std::hash::Hash;

use rustc_hash::FxHashMap;

/// A map of at most twice so many entries as it was made for; the half that was entered first is
/// forgotten together.
#[derive(Debug, Clone)]
pub(super) struct Generations<K, V> {
    most: usize,
    young: FxHashMap<K, V>,
    old: FxHashMap<K, V>,
    /// The largest key that was forgotten.
    forgotten_to: Option<K>,
}

impl<K: Copy + Ord + Hash, V> Generations<K, V> {
    /// An empty one that remembers the last `most` entries, and no more than twice as many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            young: FxHashMap::default(),
            old: FxHashMap::default(),
            forgotten_to: None,
        }
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.most {
            std::mem::swap(&mut self.young, &mut self.old);
            let forgotten_to = self.young.keys().copied().max();
            self.forgotten_to = self.forgotten_to.max(forgotten_to);
            self.young.clear();
        }
        self.young.insert(key, value);
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let young = self.young.get_mut(key);
        young.or_else(|| self.old.get_mut(key))
    }

    /// Whether an entry with this key may have been forgotten.
    pub(super) fn may_have_forgotten(&self, key: &K) -> bool {
        Some(*key) <= self.forgotten_to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_entries_are_remembered_and_the_others_known_to_be_forgotten() {
        let mut lately = Generations::new(3);
        for key in 0..10 {
            lately.insert(key, key * 2);
            for known in (0..=key).rev().take(3) {
                assert_eq!(lately.get(&known), Some(&(known * 2)));
            }
        }
        for key in 0..10 {
            let is_known = lately.get(&key).is_some();
            assert!(is_known || lately.may_have_forgotten(&key));
        }
        assert!(!lately.may_have_forgotten(&10));
        *lately.get_mut(&9).unwrap() = 1;
        assert_eq!(lately.get(&9), Some(&1));
    }
}
