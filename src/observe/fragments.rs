//! Fragments: which fragmented packets came in all their pieces.
//!
//! Only the first piece carries HDP's header and becomes a sighting. The others are joined to it by
//! addresses, protocol number and identification (RFC 791, RFC 8200); a packet that lacks a piece
//! has not come (RFC 7680, section 4). Pieces are counted by the lengths in their IP headers, so a
//! snapshot length hides none.

use std::collections::BTreeMap;

use crate::decode::{FragmentSet, PacketType, Piece};
use crate::keyed::KeyedMap;

/// How long the pieces of a datagram are waited for: an identification is not used anew within
/// that time (RFC 6864; RFC 8200 gives reassembly a minute).
const JOINED_WITHIN_NS: u64 = 60_000_000_000;

/// From so many open sets on, those that nothing can join any more are looked for.
const MANY_SETS: usize = 1024;

/// The pieces that one place of the host saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) set: FragmentSet,
    pub(super) packet_type: Option<PacketType>,
    /// Where the capture does not say whether a frame came or went, its interface does.
    pub(super) interface: Option<u32>,
}

/// A packet's first piece, which is a sighting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct First {
    pub(super) timestamp_ns: u64,
    pub(super) frame: u32,
}

/// A packet that lacks a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lacking {
    pub(super) first: First,
    /// Offset of the first byte of the IP payload that did not come.
    pub(super) missing_from: u32,
}

/// All sets of pieces that a point saw.
#[derive(Debug, Clone, Default)]
pub(super) struct Fragments {
    open: KeyedMap<Key, Set>,
    lacking: Vec<Lacking>,
    /// So many open sets are looked through for old ones.
    many: usize,
}

#[derive(Debug, Clone)]
struct Set {
    since_ns: i64,
    /// Several where the capture or the network doubled the piece.
    firsts: Vec<First>,
    /// What came of the IP payload: where each stretch begins, and where it ends.
    came: BTreeMap<u32, u32>,
    /// Where the last piece ends.
    end: Option<u32>,
}

impl Set {
    /// Takes in a piece of the payload, and joins it to what it touches.
    fn add(&mut self, mut start: u32, mut end: u32) {
        while let Some((&other, &other_end)) = self.came.range(..=end).next_back()
            && other_end >= start
        {
            self.came.remove(&other);
            start = start.min(other);
            end = end.max(other_end);
        }
        self.came.insert(start, end);
    }

    /// The first byte that did not come; `None` when the set is whole.
    fn missing_from(&self) -> Option<u32> {
        let covered = self.came.get(&0).copied().unwrap_or(0);
        (self.end != Some(covered)).then_some(covered)
    }
}

impl Fragments {
    /// Takes a piece, the first of a packet or a later one.
    pub(super) fn add(&mut self, key: Key, time_ns: i64, piece: &Piece, first: Option<First>) {
        let is_another = |set: &Set| {
            let is_old = set.since_ns.abs_diff(time_ns) > JOINED_WITHIN_NS;
            // All that are known have the same.
            let mut known = set.firsts.first().into_iter().zip(first);
            is_old || known.any(|(known, new)| known.timestamp_ns != new.timestamp_ns)
        };
        if self.open.get(&key).is_some_and(is_another)
            && let Some(before) = self.open.remove(&key)
        {
            self.close(before);
        }
        if self.open.len() >= self.many.max(MANY_SETS) {
            self.close_old(time_ns);
        }
        let set = self.open.entry(key).or_insert_with(|| Set {
            since_ns: time_ns,
            firsts: Vec::new(),
            came: BTreeMap::new(),
            end: None,
        });
        set.firsts.extend(first);
        let end = piece.offset.saturating_add(piece.len);
        set.add(piece.offset, end);
        if piece.is_last {
            set.end = Some(end);
        }
        if set.missing_from().is_none() {
            self.open.remove(&key);
        }
    }

    fn close_old(&mut self, time_ns: i64) {
        let old = self
            .open
            .extract_if(|_, set| set.since_ns.abs_diff(time_ns) > JOINED_WITHIN_NS);
        let old: Vec<Set> = old.map(|(_, set)| set).collect();
        for set in old {
            self.close(set);
        }
        self.many = 2 * self.open.len();
    }

    /// Takes note of what is missing from a set that nothing joins any more.
    fn close(&mut self, set: Set) {
        let Some(missing_from) = set.missing_from() else {
            return;
        };
        let firsts = set.firsts.into_iter();
        self.lacking.extend(firsts.map(|first| Lacking {
            first,
            missing_from,
        }));
    }

    /// Forgets those that lack a piece and have one of these timestamps, which rise; how many.
    pub(super) fn forget(&mut self, timestamps: &[u64]) -> u64 {
        let before = self.lacking.len();
        self.lacking.retain(|lacking| {
            timestamps
                .binary_search(&lacking.first.timestamp_ns)
                .is_err()
        });
        (before - self.lacking.len()) as u64
    }

    /// The packets that lack a piece, now that no more come.
    pub(super) fn lacking(&mut self) -> &[Lacking] {
        for (_, set) in std::mem::take(&mut self.open) {
            self.close(set);
        }
        &self.lacking
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key {
        set: FragmentSet {
            source: std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 77, 1, 2)),
            destination: std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 77, 2, 2)),
            protocol: 50,
            id: 7,
        },
        packet_type: None,
        interface: None,
    };

    /// Adds pieces given as start, length and whether they are the last, all at one time.
    fn add(
        fragments: &mut Fragments,
        time_ns: i64,
        timestamp_ns: u64,
        pieces: &[(u32, u32, bool)],
    ) {
        for &(offset, len, is_last) in pieces {
            let first = First {
                timestamp_ns,
                frame: 1,
            };
            let piece = Piece {
                set: KEY.set,
                offset,
                len,
                is_last,
            };
            fragments.add(KEY, time_ns, &piece, (offset == 0).then_some(first));
        }
    }

    fn missing(pieces: &[(u32, u32, bool)]) -> Vec<u32> {
        let mut fragments = Fragments::default();
        add(&mut fragments, 0, 1, pieces);
        let lacking = fragments.lacking().iter();
        lacking.map(|lacking| lacking.missing_from).collect()
    }

    #[test]
    fn a_set_is_whole_in_any_order_and_with_any_overlap() {
        let pieces = [(0, 1480, false), (1480, 1480, false), (2960, 52, true)];
        let [a, b, c] = pieces;
        for order in [[a, b, c], [c, b, a], [b, c, a], [a, c, b]] {
            assert!(missing(&order).is_empty(), "{order:?}");
        }
        assert!(missing(&[a, b, b, c]).is_empty());
        assert!(missing(&[a, (720, 2240, false), c]).is_empty());
    }

    #[test]
    fn what_is_missing_is_named_by_its_first_byte() {
        let [a, b, c] = [(0, 1480, false), (1480, 1480, false), (2960, 52, true)];
        assert_eq!(missing(&[a]), [1480]);
        assert_eq!(missing(&[a, c]), [1480]);
        assert_eq!(missing(&[b, a]), [2960]);
        // Without the first piece nothing is known to be HDP.
        assert!(missing(&[b, c]).is_empty());
    }

    #[test]
    fn an_identification_is_used_anew() {
        let mut fragments = Fragments::default();
        let later = JOINED_WITHIN_NS.cast_signed() + 1;
        add(&mut fragments, 0, 1, &[(0, 1480, false)]);
        // Too late to belong to it.
        add(&mut fragments, later, 1, &[(1480, 52, true)]);
        add(&mut fragments, 2 * later, 2, &[(0, 1480, false)]);
        // Another packet under the same identification, soon.
        add(
            &mut fragments,
            2 * later,
            3,
            &[(0, 1480, false), (1480, 52, true)],
        );
        let mut lacking: Vec<_> = fragments
            .lacking()
            .iter()
            .map(|l| l.first.timestamp_ns)
            .collect();
        lacking.sort_unstable();
        assert_eq!(lacking, [1, 2]);
    }

    #[test]
    fn unrelated_pieces_are_not_kept_for_ever() {
        let mut fragments = Fragments::default();
        for id in 0..10 * u32::try_from(MANY_SETS).unwrap() {
            let set = FragmentSet { id, ..KEY.set };
            let piece = Piece {
                set,
                offset: 8,
                len: 8,
                is_last: false,
            };
            fragments.add(
                Key { set, ..KEY },
                i64::from(id) * 100_000_000,
                &piece,
                None,
            );
        }
        assert!(fragments.open.len() <= 2 * MANY_SETS);
        assert!(fragments.lacking().is_empty());
    }
}
