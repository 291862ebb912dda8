//! Companions: address pairs whose packets go the same way for certain, or opposite ways.
//!
//! Packets that came from one pair to another, through a translator, went on in the same direction;
//! what goes from a destination back to its source goes in the other. Whatever tells the way of one of
//! them tells it of all.

/// Address pairs by their index, each with the ones that it is bound to.
pub(super) struct Companions {
    /// Of each, the one that stands for it, and whether that one goes the other way.
    leads: Vec<(usize, bool)>,
    /// Of each, whether several points saw packets of it.
    are_seen: Vec<bool>,
}

impl Companions {
    /// So many, none bound to another.
    pub(super) fn new(count: usize) -> Self {
        Self {
            leads: (0..count).map(|pair| (pair, false)).collect(),
            are_seen: vec![false; count],
        }
    }

    /// Notes that one point saw packets of one as another point saw them of the other, or of the same.
    pub(super) fn see(&mut self, a: usize, b: usize) {
        self.are_seen[a] = true;
        self.are_seen[b] = true;
        self.bind(a, b, false);
    }

    /// Whether several points saw packets of it.
    pub(super) fn were_seen_on_their_way(&self, pair: usize) -> bool {
        self.are_seen[pair]
    }

    /// Notes that two go the same way, or opposite ways; what contradicts an earlier note is left out.
    pub(super) fn bind(&mut self, a: usize, b: usize, are_opposite: bool) {
        let ((a, a_turned), (b, b_turned)) = (self.lead(a), self.lead(b));
        // The first one seen stands for all.
        let (first, second) = (a.min(b), a.max(b));
        if first != second {
            self.leads[second] = (first, a_turned ^ b_turned ^ are_opposite);
        }
    }

    /// The one that stands for it, and whether that one goes the other way.
    pub(super) fn lead(&self, pair: usize) -> (usize, bool) {
        let (mut at, mut is_turned) = (pair, false);
        while self.leads[at].0 != at {
            let (next, turned) = self.leads[at];
            is_turned ^= turned;
            at = next;
        }
        (at, is_turned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_bound_goes_along_and_what_goes_back_the_other_way() {
        let mut companions = Companions::new(5);
        companions.bind(1, 3, false);
        companions.bind(4, 3, true);
        companions.bind(0, 4, false);
        assert_eq!(
            [0, 1, 3, 4].map(|pair| companions.lead(pair)),
            [(0, false), (0, true), (0, true), (0, false)]
        );
        assert_eq!(companions.lead(2), (2, false));
        // A contradiction changes nothing.
        companions.bind(0, 1, false);
        assert_eq!(companions.lead(1), (0, true));
    }
}
