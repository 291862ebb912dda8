//! What passed between losses: how many packets of a flow had gone through when one was not seen
//! everywhere.
//!
//! Packets that every point saw are counted in bulk, so that between two losses only their number
//! tells whether anything came through (RFC 3357). It is asked for at losses only: what passes
//! costs nothing.

use std::{iter, num::NonZeroU32};

use super::{FlowPairs, Through, journey::Group};
use crate::keyed::KeyedMap;

/// Of a flow with more pairs than this, those known are closed and not looked at again: a flow may go on
/// as ever new ones, and each of its packets be lost.
const MOST_OPEN: usize = 64;

/// The number of packets that had passed, told at each packet that some point did not see.
#[derive(Debug, Clone, Default)]
pub(super) struct Passed {
    /// The pairs of each flow of the first point, and of each of the last one.
    ends: [Pairs; 2],
    marks: Vec<Mark>,
    /// The flows of one group.
    flows: Vec<u32>,
}

/// The pairs that flows belong to, in rows: most flows belong to one.
#[derive(Debug, Clone, Default)]
struct Pairs {
    /// By flow, its last pair that is open.
    last: Vec<Option<NonZeroU32>>,
    /// By pair, the one before it of the same flow.
    before: Vec<Option<NonZeroU32>>,
    /// By flow, how many packets the pairs have that are closed.
    closed: KeyedMap<u32, u64>,
}

impl Pairs {
    /// Adds the next pair, which a flow belongs to.
    fn push(&mut self, flow: u32) {
        let flow = flow as usize;
        if self.last.len() <= flow {
            self.last.resize(flow + 1, None);
        }
        self.before.push(self.last[flow]);
        // Counted from 1.
        let place =
            u32::try_from(self.before.len()).expect("fewer than 2^32 pairs fit into memory");
        self.last[flow] = NonZeroU32::new(place);
    }

    /// How many packets of a flow have passed.
    fn count(&mut self, flow: u32, through: &mut FlowPairs<Through>) -> u64 {
        let (mut passed, mut open) = (0, 0);
        for place in self.of(flow) {
            passed += through.at(place).offsets_ns.len() as u64;
            open += 1;
        }
        if open > MOST_OPEN {
            self.of(flow).for_each(|place| through.close(place));
            self.last[flow as usize] = None;
            let closed = self.closed.entry(flow).or_default();
            *closed += passed;
            return *closed;
        }
        passed + self.closed.get(&flow).copied().unwrap_or_default()
    }

    /// The places of a flow's pairs that are open.
    fn of(&self, flow: u32) -> impl Iterator<Item = u32> {
        let last = self.last.get(flow as usize).copied().flatten();
        let row = iter::successors(last, |place| self.before[place.get() as usize - 1]);
        row.map(|place| place.get() - 1)
    }
}

/// How many packets of a flow had passed by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The timestamp of the packet that some point did not see.
    pub timestamp_ns: u64,
    /// Whether the flow is that at the last point; else at the first one.
    pub is_last: bool,
    /// Its flow at that end of the path.
    pub flow: u32,
    /// Packets of this flow with earlier timestamps that every point saw alike.
    pub passed: u64,
}

impl Passed {
    /// Notes the packets of a group, if some point did not see it.
    pub(super) fn note(&mut self, group: &Group, through: &mut FlowPairs<Through>) {
        let [first, .., last] = group.sightings else {
            return;
        };
        if !group.sightings.iter().any(|seen| seen.is_empty()) {
            return;
        }
        self.learn(through);
        let (seen, is_last) = if first.is_empty() {
            (last, true)
        } else {
            (first, false)
        };
        self.flows.clear();
        self.flows.extend(seen.iter().map(|sighting| sighting.flow));
        self.flows.sort_unstable();
        self.flows.dedup();
        for &flow in &self.flows {
            self.marks.push(Mark {
                timestamp_ns: group.timestamp_ns,
                is_last,
                flow,
                passed: self.ends[usize::from(is_last)].count(flow, through),
            });
        }
    }

    /// Learns of the pairs that were added since.
    #[inline]
    fn learn(&mut self, through: &FlowPairs<Through>) {
        let [by_first, by_last] = &mut self.ends;
        for (first, last) in through.pairs_from(by_first.before.len()) {
            by_first.push(first);
            by_last.push(last);
        }
    }

    /// Takes in the marks of the stretch behind, before what went through there is added.
    pub(super) fn append(&mut self, behind: Self, through: &mut FlowPairs<Through>) {
        self.learn(through);
        for mark in behind.marks {
            let before = self.ends[usize::from(mark.is_last)].count(mark.flow, through);
            self.marks.push(Mark {
                passed: before + mark.passed,
                ..mark
            });
        }
    }

    /// The marks by rising timestamp, and those of one by rising flow, all at one end of the path.
    pub(super) fn into_marks(self) -> Vec<Mark> {
        self.marks
    }
}
