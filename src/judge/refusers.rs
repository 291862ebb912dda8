//! Refusers: the hosts that answer with ICMP errors, and how their answers look in all.

use std::net::IpAddr;

use super::tally::Tally;
use crate::{
    findings::{IcmpEvidence, Refuser},
    protocols::Carrier,
};

/// The hosts that refused packets of these numbers, and how their answers look in all.
pub(super) fn find(numbers: &[(Carrier, &Tally, &[IcmpEvidence])]) -> Vec<Refuser> {
    let mut hosts: Vec<&str> = Vec::new();
    for error in numbers.iter().flat_map(|(.., icmp)| *icmp) {
        if error.refuses && !hosts.contains(&error.from.as_str()) {
            hosts.push(&error.from);
        }
    }
    hosts.sort_by_key(|host| host.parse::<IpAddr>().ok());
    hosts.iter().map(|host| refuser(host, numbers)).collect()
}

fn refuser(host: &str, numbers: &[(Carrier, &Tally, &[IcmpEvidence])]) -> Refuser {
    let by_host = |icmp: &&IcmpEvidence| icmp.refuses && icmp.from == host;
    // Where it is, packets are lost that it answers; what arrives at it, it may answer too.
    let mut stretches = Vec::new();
    let mut arrive = Vec::new();
    for (carrier, tally, icmp) in numbers {
        let answered = tally.answered.iter();
        let by_host_too = answered.filter(|(((from, ..), _), _)| from.to_string() == host);
        stretches.extend(by_host_too.map(|((_, stretch), _)| *stretch));
        let is_destination = |icmp: &IcmpEvidence| icmp.quoted.destination.as_deref() == Some(host);
        if icmp.iter().filter(by_host).any(is_destination) {
            arrive.push(*carrier);
        }
    }
    let (mut errors, mut of, mut all_lost) = (0, 0, 0);
    let (mut in_part, mut several_in_full) = (false, false);
    for (carrier, tally, icmp) in numbers {
        let own: u64 = icmp.iter().filter(by_host).map(|icmp| icmp.count).sum();
        let lost_at = tally.lost_at.iter();
        let lost: u64 = lost_at
            .filter(|(stretch, _)| stretches.contains(stretch))
            .map(|(_, count)| count)
            .sum();
        let arrived = if arrive.contains(carrier) {
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
