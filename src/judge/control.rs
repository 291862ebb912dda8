//! HDP straight on IP beside the control: how much longer it took, and whether that is more than
//! chance.
//!
//! The control went the same way at the same time, between the same clocks: the difference of two
//! medians needs no clock to be right, only to run evenly.

use super::{statistics, tally::Tally};
use crate::findings::AgainstControl;

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
        let mut delays_ns = thinned(&tally.delays_ns);
        let [median_ns] = statistics::quantiles(&mut delays_ns, [0.5])?;
        let judged = tally.judged();
        Some(Self {
            delays_ns,
            median_ns,
            loss: judged.lost as f64 / judged.packets.max(1) as f64,
        })
    }

    /// Numbers beside the control, all their packets together.
    pub(super) fn against<'t>(&self, numbers: impl Iterator<Item = &'t Tally>) -> AgainstControl {
        let delays_ns: Vec<i64> = numbers
            .flat_map(|tally| tally.delays_ns.iter().copied())
            .collect();
        let mut delays_ns = thinned(&delays_ns);
        let median = statistics::quantiles(&mut delays_ns, [0.5]);
        AgainstControl {
            median_difference_ns: median.map(|[median]| median.saturating_sub(self.median_ns)),
            p_value: statistics::rank_test(&delays_ns, &self.delays_ns),
            loss_control: self.loss,
        }
    }
}

fn thinned(delays_ns: &[i64]) -> Vec<i64> {
    let step = delays_ns.len().div_ceil(ENOUGH).max(1);
    delays_ns.iter().copied().step_by(step).collect()
}
