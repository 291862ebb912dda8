//! What else was seen in one direction, a paragraph each, before any layout.

use std::net::IpAddr;

use super::{
    GLUE,
    answer::{answers, count_numbers, group_by, how_refused, list_numbers, points, seen_at, total},
    path,
    units::{count, span},
};
use crate::findings::{
    Carrier, Change, ClockMethod, Delay, DelayReference, Direction, Findings, Protocol, Verdict,
};

/// The paragraphs about one direction. What did not happen is not mentioned.
pub(super) fn remarks(findings: &Findings, direction: &Direction) -> Vec<String> {
    let mut remarks = changes(findings, direction);
    remarks.extend(answered(direction));
    remarks.extend(refused_at_times(direction));
    remarks.extend(counted("Also seen", direction, &ALSO_SEEN));
    remarks.extend(counted("Not judged", direction, &NOT_JUDGED));
    remarks.extend(delay(direction));
    remarks.extend(against_control(direction));
    remarks
}

/// Fields that address translation changes.
const TRANSLATED: [&str; 4] = [
    "source_address",
    "destination_address",
    "source_port",
    "destination_port",
];

/// A change and the number whose packets underwent it.
type Changed<'a> = (&'a Protocol, &'a Change);

/// What was changed on the way, a paragraph a stretch: translation, then everything else.
fn changes(findings: &Findings, direction: &Direction) -> Vec<String> {
    let all: Vec<Changed> = direction
        .protocols
        .iter()
        .flat_map(|protocol| {
            protocol
                .changes
                .iter()
                .map(move |change| (protocol, change))
        })
        .collect();
    let mut stretches = distinct(all.iter().map(|(_, change)| &change.between));
    stretches.sort_by_key(|[from, _]| points(direction).position(|point| point == from));

    let (translation, rest): (Vec<Changed>, Vec<Changed>) = all
        .into_iter()
        .partition(|(_, change)| TRANSLATED.contains(&change.field.as_str()));
    let mut remarks = Vec::new();
    for (title, all) in [("Translated", translation), ("Changed", rest)] {
        for &[from, to] in &stretches {
            let here: Vec<Changed> = all
                .iter()
                .filter(|(_, change)| change.between == [from.as_str(), to])
                .copied()
                .collect();
            if here.is_empty() {
                continue;
            }
            let came: Vec<_> = direction
                .protocols
                .iter()
                .filter(|protocol| seen_at(findings, protocol, to) > 0)
                .collect();
            let mut clauses = vec![fields(&here, &came)];
            clauses.extend(untranslated(&here, &came));
            let place = path([from.as_str(), to]);
            remarks.push(format!("{title}, {place}: {}.", clauses.join("; ")));
        }
    }
    remarks
}

/// The changes on one stretch, field by field.
fn fields(here: &[Changed], came: &[&Protocol]) -> String {
    let mut clauses = Vec::new();
    for field in distinct(here.iter().map(|(_, change)| &change.field)) {
        let of_field = || here.iter().filter(|(_, change)| change.field == *field);
        let values = distinct(of_field().map(|(_, change)| becomes(change)));
        if values.len() > 2 {
            let protocols = distinct(of_field().map(|&(protocol, _)| protocol));
            let (name, under) = (field_name(field), under(&protocols, came));
            clauses.push(format!("{name} in {} ways {under}", values.len()));
            continue;
        }
        for value in values {
            let same = of_field().filter(|(_, change)| becomes(change) == value);
            let protocols = distinct(same.map(|&(protocol, _)| protocol));
            clauses.push(format!("{value} {}", under(&protocols, came)));
        }
    }
    clauses.join(", ")
}

/// One change in words, without the packets it happened to.
fn becomes(change: &Change) -> String {
    let name = field_name(&change.field);
    match change.field.as_str() {
        // The drop in hops says it all; where the count began differs between systems.
        "ttl" => format!("{name} lower by {}", change.to),
        "fragmentation" if change.to == "whole" => "put together again".to_owned(),
        "fragmentation" => "fragmented".to_owned(),
        _ => format!("{name} {} →{GLUE}{}", change.from, change.to),
    }
}

fn field_name(field: &str) -> String {
    match field {
        "ttl" | "dscp" | "ecn" => field.to_uppercase(),
        "ip_id" => "IP ID".to_owned(),
        _ => field.replace('_', " "),
    }
}

/// Under which of the numbers that came so far.
fn under(protocols: &[&Protocol], came: &[&Protocol]) -> String {
    let numbers = match protocols.len() {
        1..=6 => list_numbers(protocols),
        all if all == came.len() => format!("all {}", count_numbers(protocols, "number")),
        _ => count_numbers(protocols, "number"),
    };
    format!("under {numbers}")
}

/// The numbers that crossed a stretch with their source address where others lost theirs.
fn untranslated(here: &[Changed], came: &[&Protocol]) -> Option<String> {
    let sources: Vec<_> = here
        .iter()
        .filter(|(_, change)| change.field == "source_address")
        .collect();
    let (_, first) = sources.first()?;
    let left_alone: Vec<_> = came
        .iter()
        .filter(|&came| !sources.iter().any(|(protocol, _)| protocol == came))
        .copied()
        .collect();
    if left_alone.is_empty() {
        return None;
    }
    let consequence = if is_private(&first.from) {
        ": a private source left the translator, which the Internet will drop"
    } else {
        ""
    };
    let numbers = list_numbers(&left_alone);
    Some(format!("untranslated under {numbers}{consequence}"))
}

/// Whether an address has no meaning on the Internet (RFC 1918, RFC 4193).
fn is_private(address: &str) -> bool {
    match address.parse() {
        Ok(IpAddr::V4(address)) => address.is_private(),
        Ok(IpAddr::V6(address)) => address.is_unique_local(),
        Err(_) => false,
    }
}

/// ICMP errors about numbers of which nothing was lost: those are no part of the answer.
fn answered(direction: &Direction) -> Option<String> {
    let arrived = direction
        .protocols
        .iter()
        .filter(|protocol| protocol.lost == 0 && !protocol.icmp.is_empty());
    let clauses: Vec<_> = group_by(arrived, |protocol| answers(&protocol.icmp))
        .iter()
        .map(|group| {
            format!(
                "{} {}",
                answers(&group[0].icmp).join(", "),
                under(group, &[])
            )
        })
        .collect();
    let place = path([direction.from.as_str(), &direction.to]);
    (!clauses.is_empty()).then(|| {
        format!(
            "ICMP errors without a loss, {place}: {}.",
            clauses.join("; ")
        )
    })
}

/// Refusals of numbers of which some packets went out all the same.
fn refused_at_times(direction: &Direction) -> Option<String> {
    let sent = direction
        .protocols
        .iter()
        .filter(|protocol| protocol.verdict != Verdict::Refused && !protocol.refused.is_empty());
    let clauses: Vec<_> = group_by(sent, how_refused)
        .iter()
        .map(|group| {
            let often = total(group, |protocol| {
                protocol.refused.iter().map(|refusal| refusal.count).sum()
            });
            let (how, under) = (how_refused(group[0]), under(group, &[]));
            format!("{how}, {} {under}", count(often, "time"))
        })
        .collect();
    let from = &direction.from;
    (!clauses.is_empty()).then(|| format!("Also refused in {from}: {}.", clauses.join("; ")))
}

/// A count of packets and what it is called.
type Counter = (fn(&Protocol) -> u64, &'static str);

const ALSO_SEEN: [Counter; 3] = [
    (|protocol| protocol.altered, "arrived altered"),
    (|protocol| protocol.reordered, "arrived out of order"),
    (|protocol| protocol.duplicates, "arrived again"),
];

const NOT_JUDGED: [Counter; 4] = [
    (
        |protocol| protocol.edge - protocol.unheard,
        "came too near the start or end of what the points watched in common",
    ),
    (
        |protocol| protocol.unheard,
        "came where no listener was open for the number",
    ),
    (|protocol| protocol.late, "arrived after the wait time"),
    (
        |protocol| protocol.ambiguous,
        "cannot be told from one another",
    ),
];

/// The counts that are not zero, with their numbers.
fn counted(title: &str, direction: &Direction, counters: &[Counter]) -> Option<String> {
    let clauses: Vec<_> = counters
        .iter()
        .filter_map(|(counter, words)| {
            let affected: Vec<_> = direction
                .protocols
                .iter()
                .filter(|protocol| counter(protocol) > 0)
                .collect();
            let packets = count(total(&affected, counter), "packet");
            (!affected.is_empty()).then(|| format!("{packets} {} {words}", under(&affected, &[])))
        })
        .collect();
    let place = path([direction.from.as_str(), &direction.to]);
    (!clauses.is_empty()).then(|| format!("{title}, {place}: {}.", clauses.join("; ")))
}

/// How long the packets that arrived took, the control beside the bare numbers.
fn delay(direction: &Direction) -> Option<String> {
    let of = |carrier| {
        let mut delays: Vec<Delay> = direction
            .protocols
            .iter()
            .filter(|protocol| protocol.carrier == carrier)
            .filter_map(|protocol| protocol.delay_ns)
            .collect();
        delays.sort_by_key(|delay| delay.p50);
        delays
    };
    let (bare, control) = (of(Carrier::Ip), of(Carrier::Udp));
    let mut clauses = Vec::new();
    if let (Some(fastest), Some(slowest)) = (bare.first(), bare.last()) {
        let middle = bare[bare.len() / 2];
        let (low, high) = (span(fastest.p50), span(slowest.p50));
        let range = if low == high {
            String::new()
        } else {
            format!(" ({low} to {high} by number)")
        };
        let longest = bare.iter().map(|delay| delay.max).max()?;
        clauses.push(format!(
            "median {}{range}, longest {}",
            span(middle.p50),
            span(longest)
        ));
    }
    clauses.extend(control.first().map(|delay| {
        let (median, longest) = (span(delay.p50), span(delay.max));
        format!("UDP control median {median}, longest {longest}")
    }));
    let reference = bare.first().or(control.first())?.reference;
    let place = path([direction.from.as_str(), &direction.to]);
    let clauses = clauses.join("; ");
    Some(format!(
        "Delay, {place}: {clauses}; {}.",
        counted_from(direction, reference)
    ))
}

/// Differences less likely than this are called more than chance.
const BEYOND_CHANCE: f64 = 0.05;

/// HDP straight on IP beside HDP in UDP: all numbers together, then those that stand out.
fn against_control(direction: &Direction) -> Option<String> {
    let all = direction.against_control?;
    let (difference, p) = (all.median_difference_ns?, all.p_value?);
    let told = if p < BEYOND_CHANCE {
        "more than chance"
    } else {
        "no more than chance"
    };
    let mut clauses = vec![format!(
        "median {}, {told} (p {})",
        slower(difference),
        chance(p)
    )];
    let asked: Vec<_> = direction
        .protocols
        .iter()
        .filter_map(|protocol| {
            let against = protocol.against_control?;
            Some((protocol, against.median_difference_ns?, against.p_value?))
        })
        .collect();
    // Of many numbers asked at once, some look different by chance (Bonferroni).
    let stands_out = |p: f64| p * (asked.len() as f64) < BEYOND_CHANCE;
    let apart: Vec<_> = asked
        .iter()
        .filter(|&&(_, own, p)| stands_out(p) && own.signum() != difference.signum())
        .collect();
    if !apart.is_empty() && asked.len() > 1 {
        let numbers: Vec<_> = apart.iter().map(|(protocol, ..)| *protocol).collect();
        let low = apart.iter().map(|(_, own, _)| *own).min()?;
        let high = apart.iter().map(|(_, own, _)| *own).max()?;
        let range = if slower(low) == slower(high) {
            slower(low)
        } else {
            format!("{} to {}", slower(low), slower(high))
        };
        clauses.push(format!("but {range} {}", under(&numbers, &[])));
    }
    if all.loss_control > 0.0 {
        clauses.push(format!(
            "of the UDP control {:.1} % were lost",
            100.0 * all.loss_control
        ));
    }
    let place = path([direction.from.as_str(), &direction.to]);
    Some(format!("HDP against UDP, {place}: {}.", clauses.join("; ")))
}

fn slower(difference_ns: i64) -> String {
    match difference_ns {
        0 => "the same".to_owned(),
        slower if slower > 0 => format!("{} slower", span(slower)),
        faster => format!("{} faster", span(faster.saturating_neg())),
    }
}

/// A probability as people read it.
fn chance(p: f64) -> String {
    if p < 0.001 {
        "< 0.001".to_owned()
    } else {
        format!("= {p:.3}")
    }
}

/// Whether two clocks are unrelated because nothing went back, or are one.
fn is_one_way(method: ClockMethod) -> bool {
    matches!(method, ClockMethod::OneWay | ClockMethod::SameHost)
}

/// What the delays are counted from, and how well that is known.
fn counted_from(direction: &Direction, reference: DelayReference) -> String {
    let clocks = || direction.segments.iter().map(|segment| &segment.clock);
    // The errors of the segments add up; one unknown leaves the sum unknown.
    let clock_error = || {
        let error: Option<u64> = clocks().map(|clock| clock.error_ns).sum();
        Some(span(i64::try_from(error?).ok()?))
    };
    match reference {
        DelayReference::Minimum if clocks().all(|clock| is_one_way(clock.method)) => {
            "counted from the shortest, the clocks being unrelated (packets went one way only)"
                .to_owned()
        }
        DelayReference::Minimum => match clock_error() {
            Some(error) => {
                format!("counted from the shortest, the clocks' offset being known to ± {error}")
            }
            None => "counted from the shortest, the clocks being unrelated".to_owned(),
        },
        DelayReference::Absolute if clocks().all(|clock| clock.method == ClockMethod::SameHost) => {
            "one clock at both ends".to_owned()
        }
        DelayReference::Absolute => match clock_error() {
            Some(error) => format!("the clocks' offset is known to ± {error}"),
            // Whatever is unknown of the clocks in between.
            None => "one clock at both ends".to_owned(),
        },
    }
}

/// Each value once, in the order of its first appearance.
fn distinct<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for value in values {
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    distinct
}
