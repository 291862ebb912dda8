//! What the sender's system refused, by the entry it belongs to.

use crate::{
    correlate::Way,
    findings::Refusal,
    observe::{Point, Refused},
    protocols::Carrier,
};

/// Refusals that no entry has taken yet, by rising number.
#[derive(Debug)]
pub(super) struct Refusals(Vec<Refused>);

impl Refusals {
    /// The refusals of the senders at this way's beginning.
    pub(super) fn collect(points: &[Point], way: Way) -> Self {
        // Who sends along the path stands before all others, who sends against it behind.
        let sends = |index: usize| match way {
            Way::Forward => index + 1 < points.len(),
            Way::Reverse => index + 1 == points.len(),
        };
        let senders = points.iter().enumerate().filter(|&(index, _)| sends(index));
        let mut refused: Vec<Refused> = senders
            .flat_map(|(_, point)| point.claims.refused.iter().cloned())
            .collect();
        refused.sort_by_key(|refused| (refused.requested, refused.carrier));
        Self(refused)
    }

    /// The refusals that belong to a number on the wire: of requests for it, and of requests above
    /// 255 that were sent under it at other times.
    pub(super) fn take(&mut self, protocol: u8, carrier: Carrier) -> Vec<Refusal> {
        self.0
            .extract_if(.., |refused| {
                refused.carrier == carrier
                    && refused.requested.to_le_bytes()[0] == protocol
                    && (refused.requested <= 255 || refused.was_sent_too)
            })
            .map(finding)
            .collect()
    }

    /// What is left: requests above 255 that were always refused.
    pub(super) fn into_requests(self) -> Vec<(u16, Carrier, Vec<Refusal>)> {
        let key = |refused: &Refused| (refused.requested, refused.carrier);
        self.0
            .chunk_by(|a, b| key(a) == key(b))
            .map(|same| {
                let (requested, carrier) = key(&same[0]);
                let refused = same.iter().cloned().map(finding).collect();
                (requested, carrier, refused)
            })
            .collect()
    }
}

fn finding(refused: Refused) -> Refusal {
    Refusal {
        requested: refused.requested,
        call: refused.call.name().to_owned(),
        errno: refused.errno,
        name: refused.name,
        count: refused.count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Call;

    fn refused(requested: u16, carrier: Carrier, was_sent_too: bool) -> Refused {
        Refused {
            requested,
            carrier,
            call: Call::SendTo,
            errno: 1,
            name: "EPERM".to_owned(),
            count: 3,
            was_sent_too,
        }
    }

    #[test]
    fn a_request_above_255_has_its_own_entry_only_if_it_was_never_sent() {
        let mut point = Point::blank();
        point.claims.refused = vec![
            refused(1, Carrier::Ip, false),
            refused(17, Carrier::Udp, true),
            refused(257, Carrier::Ip, true),
            refused(258, Carrier::Ip, false),
        ];
        let points = [point, Point::blank()];
        let mut refusals = Refusals::collect(&points, Way::Forward);
        let requested =
            |refusals: Vec<Refusal>| refusals.iter().map(|r| r.requested).collect::<Vec<_>>();
        assert_eq!(requested(refusals.take(1, Carrier::Ip)), [1, 257]);
        assert!(refusals.take(2, Carrier::Ip).is_empty());
        assert!(refusals.take(17, Carrier::Ip).is_empty());
        assert_eq!(requested(refusals.take(17, Carrier::Udp)), [17]);
        let left = refusals.into_requests();
        assert_eq!(left.len(), 1);
        assert_eq!((left[0].0, left[0].1), (258, Carrier::Ip));
        assert!(Refusals::collect(&points, Way::Reverse).0.is_empty());
    }
}
