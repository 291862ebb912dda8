//! Refusers: the hosts that answer with ICMP errors, and how their answers look in all.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::tally::Tally;
use crate::{
    findings::{IcmpEvidence, Refuser},
    protocols::Carrier,
};

/// What one host said.
#[derive(Default)]
struct Answers {
    /// Of each number that it refused, by its index: how many.
    own: BTreeMap<usize, u64>,
    /// Where packets were lost that it answered.
    stretches: BTreeSet<(usize, usize)>,
    /// Numbers that it refused though they came to it.
    arrive: BTreeSet<Carrier>,
}

/// The hosts that refused packets of these numbers, and how their answers look in all.
pub(super) fn find(numbers: &[(Carrier, &Tally, &[IcmpEvidence])]) -> Vec<Refuser> {
    let mut hosts: BTreeMap<(Option<IpAddr>, &str), Answers> = BTreeMap::new();
    for (number, (carrier, _, icmp)) in numbers.iter().enumerate() {
        for error in icmp.iter().filter(|error| error.refuses) {
            let host = (error.from.parse().ok(), error.from.as_str());
            let answers = hosts.entry(host).or_default();
            *answers.own.entry(number).or_default() += error.count;
            if error.quoted.destination.as_ref() == Some(&error.from) {
                answers.arrive.insert(*carrier);
            }
        }
    }
    let mut stretches: BTreeMap<IpAddr, BTreeSet<(usize, usize)>> = BTreeMap::new();
    for (_, tally, _) in numbers {
        for ((from, ..), stretch) in tally.answered.keys() {
            stretches.entry(*from).or_default().insert(*stretch);
        }
    }
    for ((address, _), answers) in &mut hosts {
        let own = address.and_then(|address| stretches.remove(&address));
        answers.stretches = own.unwrap_or_default();
    }
    let hosts = hosts.iter();
    hosts
        .map(|((_, host), answers)| refuser(host, answers, numbers))
        .collect()
}

/// Where it is, packets are lost that it answers; what arrives at it, it may answer too.
fn refuser(
    host: &str,
    answers: &Answers,
    numbers: &[(Carrier, &Tally, &[IcmpEvidence])],
) -> Refuser {
    let (mut errors, mut of, mut all_lost) = (0, 0, 0);
    let (mut in_part, mut several_in_full) = (false, false);
    for (number, (carrier, tally, _)) in numbers.iter().enumerate() {
        let own = answers.own.get(&number).copied().unwrap_or(0);
        let lost_at = tally.lost_at.iter();
        let lost: u64 = lost_at
            .filter(|(stretch, _)| answers.stretches.contains(stretch))
            .map(|(_, count)| count)
            .sum();
        let arrived = if answers.arrive.contains(carrier) {
            tally.delivered
        } else {
            0
        };
        let packets = (lost + arrived).max(own);
        errors += own;
        of += packets;
        all_lost += lost;
        in_part |= 0 < own && own < packets;
        several_in_full |= 1 < own && own == packets;
    }
    Refuser {
        from: host.to_owned(),
        errors,
        of,
        lost: all_lost,
        rate_limited: if in_part {
            Some(true)
        } else if several_in_full || errors == of {
            Some(false)
        } else {
            None
        },
    }
}
