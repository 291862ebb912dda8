//! Counting by pairs of flows: the flow of a packet at one point and the one at another.

use crate::keyed::KeyedMap;
use std::collections::hash_map::Entry;

/// A value for each flow of one point and the flow that it went on as at another.
///
/// A flow mostly goes on as the flow it went on as before, so that one is found without hashing.
#[derive(Debug, Clone)]
pub(crate) struct FlowPairs<T> {
    /// By flow of the first point: the flow it went on as last, and where its value is.
    recent: Vec<Option<(u32, u32)>>,
    places: KeyedMap<(u32, u32), u32>,
    values: Vec<((u32, u32), T)>,
}

impl<T> Default for FlowPairs<T> {
    fn default() -> Self {
        Self {
            recent: Vec::new(),
            places: KeyedMap::default(),
            values: Vec::new(),
        }
    }
}

impl<T> FlowPairs<T> {
    /// The value of flow `from` going on as flow `to`, made by `new` the first time.
    #[inline(always)]
    pub(crate) fn get(&mut self, from: u32, to: u32, new: impl FnOnce() -> T) -> &mut T {
        match self.get_if(from, to, || Some(new())) {
            Some(value) => value,
            None => unreachable!("a value was made"),
        }
    }

    /// The same, but of pairs of which `new` makes a value; of others it is asked each time.
    #[inline(always)]
    pub(super) fn get_if(
        &mut self,
        from: u32,
        to: u32,
        new: impl FnOnce() -> Option<T>,
    ) -> Option<&mut T> {
        let place = match self.recent(from, to) {
            Some(place) => place,
            None => self.place(from, to, new)?,
        };
        Some(self.at_mut(place))
    }

    /// The place of a pair's value, where `from` went on as `to` before.
    #[inline(always)]
    pub(super) fn recent(&self, from: u32, to: u32) -> Option<u32> {
        let (recent, place) = (*self.recent.get(from as usize)?)?;
        (recent == to).then_some(place)
    }

    /// The place of a pair's value, made by `new` where there is none.
    #[cold]
    pub(super) fn place(
        &mut self,
        from: u32,
        to: u32,
        new: impl FnOnce() -> Option<T>,
    ) -> Option<u32> {
        let place = match self.places.entry((from, to)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => {
                self.values.push(((from, to), new()?));
                let place = self.values.len() - 1;
                let place = u32::try_from(place).expect("fewer than 2^32 pairs fit into memory");
                *unknown.insert(place)
            }
        };
        let from = from as usize;
        if self.recent.len() <= from {
            self.recent.resize(from + 1, None);
        }
        self.recent[from] = Some((to, place));
        Some(place)
    }

    /// The value of the pair at a place in the order of [`FlowPairs::iter`], which is that of their
    /// first occurrence.
    pub(super) fn at(&self, place: u32) -> &T {
        &self.values[place as usize].1
    }

    /// The same, to be changed.
    #[inline(always)]
    pub(super) fn at_mut(&mut self, place: u32) -> &mut T {
        &mut self.values[place as usize].1
    }

    /// Closes a pair's value: what occurs of the pair from now on makes another, behind all others.
    pub(super) fn close(&mut self, place: u32) {
        let (from, to) = self.values[place as usize].0;
        if self.places.get(&(from, to)) == Some(&place) {
            self.places.remove(&(from, to));
        }
        if let Some(recent) = self.recent.get_mut(from as usize)
            && *recent == Some((to, place))
        {
            *recent = None;
        }
    }

    /// The pairs that occurred for the first time behind so many others.
    #[inline]
    pub(super) fn pairs_from(&self, place: usize) -> impl Iterator<Item = (u32, u32)> {
        self.values[place..].iter().map(|(flows, _)| *flows)
    }

    /// All pairs that occurred, with their values: one that was closed may occur again.
    pub(crate) fn iter(&self) -> impl Iterator<Item = ((u32, u32), &T)> {
        self.values.iter().map(|(flows, value)| (*flows, value))
    }

    /// Takes in the values of another, by `join` where both have one.
    pub(crate) fn append(&mut self, other: Self, join: impl Fn(&mut T, T)) {
        for ((from, to), value) in other.values {
            match self.places.get(&(from, to)) {
                Some(&place) => join(&mut self.values[place as usize].1, value),
                None => {
                    self.place(from, to, || Some(value));
                }
            }
        }
    }

    /// The same by value; none are left.
    pub(crate) fn take(&mut self) -> Vec<((u32, u32), T)> {
        self.recent.fill(None);
        self.places.clear();
        std::mem::take(&mut self.values)
    }
}
