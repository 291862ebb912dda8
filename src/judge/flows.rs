//! This number or this flow: what became of packets by their ports.
//!
//! Routers that share traffic among several links choose one by a hash of addresses, ports and
//! number (RFC 2992). Where a link loses what it gets, some pairs of ports lose all their packets
//! and others none: that is said of the flow, and not of the number.

use std::collections::BTreeMap;

use super::{statistics, tally::Judged};
use crate::findings::{PortPair, Reason};

/// A split so likely among packets that are lost at random tells nothing.
const BY_CHANCE: f64 = 0.05;

/// Judged packets by ports, of one number.
pub(super) type ByPorts = BTreeMap<(u16, u16), Judged>;

/// The pairs of ports, where there are several and some packets were lost.
pub(super) fn port_pairs(by_ports: &ByPorts) -> Vec<PortPair> {
    let judged = || by_ports.iter().filter(|(_, judged)| judged.packets > 0);
    if judged().count() < 2 || judged().all(|(_, judged)| judged.lost == 0) {
        return Vec::new();
    }
    judged()
        .map(|(&(srcport, dstport), judged)| PortPair {
            srcport,
            dstport,
            packets: judged.packets,
            lost: judged.lost,
        })
        .collect()
}

/// That the losses belong to flows and not to the number, where some pairs of ports lost all
/// packets, the others next to none, and that is no chance.
pub(super) fn reason(pairs: &[PortPair]) -> Option<Reason> {
    let (lost, came): (Vec<&PortPair>, Vec<&PortPair>) =
        pairs.iter().partition(|pair| pair.lost == pair.packets);
    if lost.is_empty() || came.is_empty() {
        return None;
    }
    let sum = |pairs: &[&PortPair]| Judged {
        packets: pairs.iter().map(|pair| pair.packets).sum(),
        lost: pairs.iter().map(|pair| pair.lost).sum(),
    };
    let (of_lost, of_came) = (sum(&lost), sum(&came));
    // As likely with each choice of so many pairs.
    let chance = statistics::chance(of_lost, of_came)
        * statistics::choices(pairs.len() as u64, lost.len() as u64);
    if chance >= BY_CHANCE {
        return None;
    }
    let owned = |pairs: Vec<&PortPair>| pairs.into_iter().copied().collect();
    Some(Reason::FlowNotNumber {
        lost: owned(lost),
        came: owned(came),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(judged: &[(u64, u64)]) -> Vec<PortPair> {
        let by_ports = judged.iter().zip(1..).map(|(&(lost, packets), port)| {
            let judged = Judged { packets, lost };
            ((420, port), judged)
        });
        port_pairs(&by_ports.collect())
    }

    #[test]
    fn single_packets_tell_no_flow_from_bad_luck() {
        assert_eq!(reason(&pairs(&[(1, 1), (0, 1), (0, 1), (0, 1)])), None);
        assert_eq!(reason(&pairs(&[(3, 3), (3, 3)])), None, "the number");
        assert_eq!(reason(&pairs(&[(2, 5), (1, 5)])), None, "random losses");
        assert_eq!(reason(&pairs(&[(5, 5)])), None, "one pair tells nothing");
        assert!(pairs(&[(0, 5), (0, 5)]).is_empty());
    }

    #[test]
    fn a_flow_that_lost_all_beside_others_that_lost_none_is_named() {
        let Some(Reason::FlowNotNumber { lost, came }) = reason(&pairs(&[(5, 5), (0, 5), (0, 5)]))
        else {
            panic!("no flow is named");
        };
        let ports =
            |pairs: Vec<PortPair>| pairs.iter().map(|pair| pair.dstport).collect::<Vec<_>>();
        assert_eq!((ports(lost), ports(came)), (vec![1], vec![2, 3]));
    }
}
