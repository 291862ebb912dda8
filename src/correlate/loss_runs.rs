//! What passed between losses: how many packets of a flow had gone through when one was not seen
//! everywhere.
//!
//! Packets that every point saw are counted in bulk, so that between two losses only their number
//! tells whether anything came through (RFC 3357). It is asked for at losses only: what passes
//! costs nothing.

use std::{iter, num::NonZeroU32};

use super::{FlowPairs, Through, journey::Group};

/// The number of packets that had passed, told at each packet that some point did not see.
#[derive(Debug, Clone, Default)]
pub(super) struct Passed {
    /// The pairs of each flow of the first point.
    by_first: Pairs,
    /// Those of each flow of the last point.
    by_last: Pairs,
    marks: Vec<Mark>,
}

/// The pairs that flows belong to, in rows: most flows belong to one.
#[derive(Debug, Clone, Default)]
struct Pairs {
    /// By flow, its last pair.
    last: Vec<Option<NonZeroU32>>,
    /// By pair, the one before it of the same flow.
    before: Vec<Option<NonZeroU32>>,
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

    /// The places of a flow's pairs.
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
    /// Its flow at the end of the path named by `is_last`.
    pub flow: u32,
    /// Whether the flow is that at the last point; else at the first one.
    pub is_last: bool,
    /// Packets of this flow with earlier timestamps that every point saw alike.
    pub passed: u64,
}

impl Passed {
    /// Notes the packets of a group, if some point did not see it.
    pub(super) fn note(&mut self, group: &Group, through: &FlowPairs<Through>) {
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
        for (index, sighting) in seen.iter().enumerate() {
            let flow = sighting.flow;
            if seen[..index].iter().any(|before| before.flow == flow) {
                continue;
            }
            self.marks.push(Mark {
                timestamp_ns: group.timestamp_ns,
                flow,
                is_last,
                passed: self.count((flow, is_last), through),
            });
        }
    }

    /// Learns of the pairs that were added since.
    #[inline]
    fn learn(&mut self, through: &FlowPairs<Through>) {
        for (first, last) in through.pairs_from(self.by_first.before.len()) {
            self.by_first.push(first);
            self.by_last.push(last);
        }
    }

    fn count(&self, (flow, is_last): (u32, bool), through: &FlowPairs<Through>) -> u64 {
        let pairs = if is_last {
            &self.by_last
        } else {
            &self.by_first
        };
        let counts = pairs
            .of(flow)
            .map(|place| through.at(place).offsets_ns.len());
        counts.sum::<usize>() as u64
    }

    /// Takes in the marks of the stretch behind, before what went through there is added.
    pub(super) fn append(&mut self, behind: Self, through: &FlowPairs<Through>) {
        self.learn(through);
        for mark in behind.marks {
            let before = self.count((mark.flow, mark.is_last), through);
            self.marks.push(Mark {
                passed: before + mark.passed,
                ..mark
            });
        }
    }

    /// The marks by rising timestamp.
    pub(super) fn into_marks(self) -> Vec<Mark> {
        self.marks
    }
}
