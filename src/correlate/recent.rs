//! What happened lately: several values under one key, of which the oldest are forgotten.

use crate::keyed::KeyedMap;
use std::hash::Hash;

/// Values that were entered one after the other.
#[derive(Debug, Clone)]
struct Generation<K, V> {
    /// Those whose key was above all others when they were entered: most.
    in_order: Vec<(K, V)>,
    /// By their key and how many the key had before.
    others: KeyedMap<(K, u32), V>,
}

/// Where a generation has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    InOrder(usize),
    Other(u32),
}

impl<K: Copy + Ord + Hash, V> Generation<K, V> {
    fn new() -> Self {
        Self {
            in_order: Vec::new(),
            others: KeyedMap::default(),
        }
    }

    fn len(&self) -> usize {
        self.in_order.len() + self.others.len()
    }

    fn last(&self) -> Option<K> {
        let others = self.others.keys().map(|(key, _)| *key);
        let in_order = self.in_order.last().map(|(key, _)| *key);
        in_order.into_iter().chain(others).max()
    }

    #[inline]
    fn insert(&mut self, key: K, value: V) {
        if self.in_order.last().is_none_or(|(last, _)| *last < key) {
            self.in_order.push((key, value));
            return;
        }
        let mut places = (0..MOST_OF_A_KEY).map(|nth| (key, nth));
        if let Some(free) = places.find(|place| !self.others.contains_key(place)) {
            self.others.insert(free, value);
        }
    }

    fn best<R: Ord>(&self, key: K, rank: impl Fn(&V) -> Option<R>) -> Option<(R, Place)> {
        let in_order = self.in_order.binary_search_by_key(&key, |(key, _)| *key);
        let in_order = in_order
            .ok()
            .map(|at| (Place::InOrder(at), &self.in_order[at].1));
        let others =
            (0..).map_while(|nth| Some((Place::Other(nth), self.others.get(&(key, nth))?)));
        let values = in_order.into_iter().chain(others);
        let ranked = values.filter_map(|(place, value)| Some((rank(value)?, place)));
        ranked.min()
    }

    fn at(&mut self, key: K, place: Place) -> Option<&mut V> {
        match place {
            Place::InOrder(at) => self.in_order.get_mut(at).map(|(_, value)| value),
            Place::Other(nth) => self.others.get_mut(&(key, nth)),
        }
    }

    fn clear(&mut self) {
        self.in_order.clear();
        self.others.clear();
    }
}

/// More values of one key are not told apart.
const MOST_OF_A_KEY: u32 = 64;

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

impl<K: Copy + Ord + Hash, V> Generations<K, V> {
    /// An empty one that remembers the last `most` values, and no more than twice as many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            young: Generation::new(),
            old: Generation::new(),
            forgotten_to: None,
        }
    }

    /// Enters a value; whether those of the older half were forgotten for it.
    #[inline]
    pub(super) fn insert(&mut self, key: K, value: V) -> bool {
        let is_full = self.young.len() >= self.most;
        if is_full {
            std::mem::swap(&mut self.young, &mut self.old);
            self.forgotten_to = self.forgotten_to.max(self.young.last());
            self.young.clear();
        }
        self.young.insert(key, value);
        is_full
    }

    /// The value of a key that is liked best: the one of lowest rank, of those that have a rank.
    pub(super) fn best<R: Ord>(
        &mut self,
        key: K,
        rank: impl Fn(&V) -> Option<R>,
    ) -> Option<&mut V> {
        let (young, old) = (self.young.best(key, &rank), self.old.best(key, &rank));
        let (generation, best) = match (young, old) {
            (Some(young), Some(old)) if old < young => (&mut self.old, old),
            (Some(young), _) => (&mut self.young, young),
            (None, old) => (&mut self.old, old?),
        };
        generation.at(key, best.1)
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
