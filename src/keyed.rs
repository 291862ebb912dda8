//! Maps whose keys come from packets and files.
//!
//! Whoever sends the packets chooses the keys. Hashed by a function that everybody knows they could all
//! be made to fall together, and each lookup go through all of them; so the hash has a key of its own
//! in each process. The order of such a map is another in each run: nothing may hang on it.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

/// A map by a keyed hash.
pub(crate) type KeyedMap<K, V> = HashMap<K, V, RandomState>;

/// A set by a keyed hash.
pub(crate) type KeyedSet<K> = HashSet<K, RandomState>;
