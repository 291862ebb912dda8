//! What happened lately: several values under one key, of which the oldest are forgotten.

use std::hash::Hash;

use rustc_hash::FxHashMap;

/// At most twice so many values as it was made for; the half that was entered first is forgotten
/// together.
#[derive(Debug, Clone)]
pub(super) struct Generations<K, V> {
    most: usize,
    young: Generation<K, V>,
    old: Generation<K, V>,
    /// The largest key that was forgotten.
    forgotten_to: Option<K>,
}

/// Values by their key and how many the key had before.
type Generation<K, V> = FxHashMap<(K, u32), V>;

impl<K: Copy + Ord + Hash, V> Generations<K, V> {
    /// More values of one key are not told apart.
    const MOST_OF_A_KEY: u32 = 64;

    /// An empty one that remembers the last `most` values, and no more than twice as many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            young: Generation::default(),
            old: Generation::default(),
            forgotten_to: None,
        }
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.most {
            std::mem::swap(&mut self.young, &mut self.old);
            let forgotten_to = self.young.keys().map(|(key, _)| *key).max();
            self.forgotten_to = self.forgotten_to.max(forgotten_to);
            self.young.clear();
        }
        let mut places = (0..Self::MOST_OF_A_KEY).map(|nth| (key, nth));
        if let Some(free) = places.find(|place| !self.young.contains_key(place)) {
            self.young.insert(free, value);
        }
    }

    /// The value of a key that is liked best: the one of lowest rank, of those that have a rank.
    pub(super) fn best<R: Ord>(
        &mut self,
        key: K,
        rank: impl Fn(&V) -> Option<R>,
    ) -> Option<&mut V> {
        let of_key = |generation: &Generation<K, V>| {
            let values = (0..).map_while(|nth| Some((nth, generation.get(&(key, nth))?)));
            let ranked = values.filter_map(|(nth, value)| Some((rank(value)?, nth)));
            ranked.min()
        };
        let (young, old) = (of_key(&self.young), of_key(&self.old));
        let (generation, best) = match (young, old) {
            (Some(young), Some(old)) if old < young => (&mut self.old, old),
            (Some(young), _) => (&mut self.young, young),
            (None, old) => (&mut self.old, old?),
        };
        generation.get_mut(&(key, best.1))
    }

    /// Whether a value of this key may have been forgotten.
    pub(super) fn may_have_forgotten(&self, key: K) -> bool {
        Some(key) <= self.forgotten_to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_values_are_remembered_and_the_others_known_to_be_forgotten() {
        let mut lately = Generations::new(3);
        let get = |lately: &mut Generations<i32, i32>, key| lately.best(key, |_| Some(0)).copied();
        for key in 0..10 {
            lately.insert(key, key * 2);
            for known in (0..=key).rev().take(3) {
                assert_eq!(get(&mut lately, known), Some(known * 2));
            }
        }
        for key in 0..10 {
            let is_known = get(&mut lately, key).is_some();
            assert!(is_known || lately.may_have_forgotten(key));
        }
        assert!(!lately.may_have_forgotten(10));
    }

    #[test]
    fn of_several_values_of_a_key_the_best_is_found_however_old() {
        let mut lately = Generations::new(3);
        for value in [5, 3, 4, 9] {
            lately.insert(1, value);
        }
        assert_eq!(lately.best(1, |value| Some(*value)), Some(&mut 3));
        assert_eq!(lately.best(1, |value| Some(-*value)), Some(&mut 9));
        assert_eq!(
            lately.best(1, |value| (*value == 4).then_some(0)),
            Some(&mut 4)
        );
        assert_eq!(lately.best(1, |_| None::<i32>), None);
    }
}
