//! HDP straight on IP beside the control: how much longer it took, and whether that is more than
//! chance.
//!
//! The control went the same way at the same time, between the same clocks: the difference of two
//! medians needs no clock to be right, only to run evenly.

use super::{statistics, tally::Tally};
use crate::{correlate::Spans, findings::AgainstControl};

/// More delays than this are thinned out evenly: the answer no longer depends on them.
const ENOUGH: usize = 2000;

/// The control's packets that went one way.
#[derive(Debug)]
pub(super) struct Control {
    delays_ns: Vec<i64>,
    median_ns: i64,
    loss: f64,
}

impl Control {
    /// `None` where nothing of it arrived.
    pub(super) fn of(tally: &Tally) -> Option<Self> {
        let delays_ns = thinned(tally.delays_ns.iter(), tally.delays_ns.len());
        let median_ns = median(&delays_ns)?;
        let judged = tally.judged();
        Some(Self {
            delays_ns,
            median_ns,
            loss: judged.lost as f64 / judged.packets.max(1) as f64,
        })
    }

    /// Numbers beside the control, all their packets together.
    pub(super) fn against<'t>(
        &self,
        numbers: impl Iterator<Item = &'t Tally> + Clone,
    ) -> AgainstControl {
        let count = numbers.clone().map(|tally| tally.delays_ns.len()).sum();
        let delays_ns = thinned(numbers.flat_map(|tally| tally.delays_ns.iter()), count);
        AgainstControl {
            median_difference_ns: median(&delays_ns)
                .map(|median| median.saturating_sub(self.median_ns)),
            p_value: statistics::rank_test(&delays_ns, &self.delays_ns),
            loss_control: self.loss,
        }
    }
}

fn thinned(delays_ns: impl Iterator<Item = i64>, count: usize) -> Vec<i64> {
    let step = count.div_ceil(ENOUGH).max(1);
    delays_ns.step_by(step).collect()
}

fn median(delays_ns: &[i64]) -> Option<i64> {
    let mut delays_ns: Spans = delays_ns.iter().copied().collect();
    delays_ns.quantiles([0.5]).map(|[median]| median)
}
