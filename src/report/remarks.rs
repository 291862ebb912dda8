//! What else was seen in one direction, a paragraph each, before any layout.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
};

use super::{
    GLUE,
    answer::{answers, count_numbers, group_by, how_refused, list_numbers, points, seen_at, total},
    path,
    units::{count, grouped, span},
};
use crate::{
    findings::{
        Absence, Bystanders, Carrier, Change, ClockMethod, Delay, DelayReference, Direction,
        Duplication, Findings, Grade, IcmpEvidence, PointKind, Protocol, Reason, Segment, Verdict,
        WithLost,
    },
    protocols, shell,
};

/// Something to say about one direction.
pub(super) enum Remark {
    /// In a paragraph.
    Paragraph(String),
    /// With something to run.
    Command { why: String, command: String },
}

/// The remarks about one direction. What did not happen is not mentioned.
pub(super) fn remarks(findings: &Findings, direction: &Direction) -> Vec<Remark> {
    let mut remarks = changes(findings, direction);
    remarks.extend(refused_by(direction));
    remarks.extend(answered(direction));
    remarks.extend(silence(direction));
    remarks.extend(refused_at_times(direction));
    remarks.extend(counted("Also seen", direction, &ALSO_SEEN));
    remarks.extend(loss_runs(direction));
    remarks.extend(duplication(direction));
    remarks.extend(counted("Not judged", direction, &NOT_JUDGED));
    remarks.extend(same_place(direction));
    remarks.extend(bystanders(direction));
    remarks.extend(delay(direction));
    remarks.extend(against_control(direction));
    let remarks = remarks.into_iter().map(Remark::Paragraph);
    let commands = send_more(direction).into_iter();
    remarks
        .chain(commands.chain(read_trace(findings, direction)))
        .collect()
}

/// What the sender's capture tells of packets that were sent to expire.
fn read_trace(findings: &Findings, direction: &Direction) -> Option<Remark> {
    let has_trace = direction
        .protocols
        .iter()
        .any(|protocol| protocol.expired > 0);
    let mut points = findings.points.iter();
    let sender = points.find(|point| point.name == direction.from)?;
    (has_trace && sender.kind == PointKind::Capture).then(|| Remark::Command {
        why: "A trace is among the packets. At which hop each number disappears:".to_owned(),
        command: format!("hdp trace --read {}", shell::quoted(&sender.source)),
    })
}

/// The numbers that the order of sending keeps from being certain.
fn same_place(direction: &Direction) -> Option<String> {
    let at_one_place = |protocol: &&Protocol| {
        protocol.grade != Grade::Certain && protocol.reasons.contains(&Reason::LostAtEqualIntervals)
    };
    let numbers: Vec<&Protocol> = direction.protocols.iter().filter(at_one_place).collect();
    let place = path([direction.from.as_str(), &direction.to]);
    (!numbers.is_empty()).then(|| {
        format!(
            "Lost at equal intervals, as if each round is sent in the same order, {place}: {}. A rate limit that \
             what comes before uses up would look the same: send each round in another order, as hdp send does.",
            list_numbers(&numbers)
        )
    })
}

/// What became of everything else, where that is what HDP is compared with.
fn bystanders(direction: &Direction) -> Vec<String> {
    let is_alone = direction
        .protocols
        .iter()
        .all(|number| number.delivered == 0);
    let crossed = direction.segments.iter().filter(|_| is_alone);
    let told = |segment: &Segment| {
        let Bystanders { packets, arrived } = segment.bystanders?;
        let place = path([segment.from.as_str(), &segment.to]);
        let became = match packets - arrived {
            0 => format!("all {} arrived", count(packets, "packet")),
            _ => format!(
                "{} of {} arrived",
                grouped(arrived),
                count(packets, "packet")
            ),
        };
        let clock = &segment.clock;
        let offset = clock
            .offset_ns
            .zip(clock.error_ns)
            .map(|(offset_ns, error_ns)| {
                let error = span(i64::try_from(error_ns).unwrap_or(i64::MAX));
                let ahead = if offset_ns < 0 { "behind" } else { "ahead" };
                format!(
                    "; by them the clock of {} is {} {ahead}, ±{GLUE}{error}",
                    segment.to,
                    span(offset_ns.saturating_abs())
                )
            });
        let offset = offset
            .filter(|_| clock.related_by.hdp == 0)
            .unwrap_or_default();
        Some(format!("Other traffic, {place}: {became}{offset}."))
    };
    crossed.filter_map(told).collect()
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
            let mut clauses = vec![fields(findings, &here, &came)];
            if title == "Translated" {
                clauses.extend(untranslated(direction, [from, to]));
            }
            let place = path([from.as_str(), to]);
            remarks.push(format!("{title}, {place}: {}.", clauses.join("; ")));
        }
    }
    remarks
}

/// The changes on one stretch, field by field.
fn fields(findings: &Findings, here: &[Changed], came: &[&Protocol]) -> String {
    let mut clauses = Vec::new();
    let mut explanations = Vec::new();
    for field in distinct(here.iter().map(|(_, change)| &change.field)) {
        let of_field = || here.iter().filter(|(_, change)| change.field == *field);
        let values = distinct(of_field().map(|(_, change)| becomes(change)));
        if values.len() > 2 {
            let protocols = distinct_numbers(of_field().map(|&(protocol, _)| protocol));
            let (name, under) = (field_name(field), under(&protocols, came));
            let packets = of_field().map(|(_, change)| change.count).sum();
            let packets = count(packets, "packet");
            clauses.push(format!(
                "{name} in {} ways {under} ({packets})",
                values.len()
            ));
        } else {
            for value in values {
                let same = || of_field().filter(|(_, change)| becomes(change) == value);
                let protocols = distinct_numbers(same().map(|&(protocol, _)| protocol));
                let part = some_only(findings, &protocols, same().copied());
                clauses.push(format!("{value} {}{part}", under(&protocols, came)));
            }
        }
        let explained =
            of_field().filter_map(|(protocol, change)| Some((*protocol, change.cause?)));
        let explained: Vec<_> = explained.collect();
        for why in distinct(explained.iter().map(|(_, why)| *why)) {
            let protocols = explained.iter().filter(|(_, own)| *own == why);
            let protocols = distinct_numbers(protocols.map(|(protocol, _)| *protocol));
            let (name, under) = (field_name(field), under(&protocols, came));
            explanations.push(format!("; {name} {under}: {why}"));
        }
    }
    clauses.join(", ") + &explanations.concat()
}

/// How many packets were changed, where others of the same numbers came unchanged.
fn some_only<'a>(
    findings: &Findings,
    protocols: &[&Protocol],
    mut changed: impl Iterator<Item = Changed<'a>> + Clone,
) -> String {
    let packets = changed.clone().map(|(_, change)| change.count).sum();
    let Some((_, change)) = changed.next() else {
        return String::new();
    };
    let [_, to] = &change.between;
    let came = total(protocols, |protocol| seen_at(findings, protocol, to));
    if packets >= came {
        return String::new();
    }
    format!(" ({} of {})", grouped(packets), count(came, "packet"))
}

/// One change in words, without the packets it happened to.
fn becomes(change: &Change) -> String {
    let name = field_name(&change.field);
    match change.field.as_str() {
        // The drop in hops says it all; where the count began differs between systems.
        "ttl" => format!("{name} lower by {}", change.hops.unwrap_or_default()),
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

/// The numbers that crossed a segment with their own source address beside others without.
fn untranslated(direction: &Direction, [from, to]: [&str; 2]) -> Option<String> {
    let mut segments = direction.segments.iter();
    let segment =
        segments.find(|segment| (segment.from.as_str(), segment.to.as_str()) == (from, to));
    let translation = segment?.translation.as_ref()?;
    let left_alone: Vec<_> = direction
        .protocols
        .iter()
        .filter(|protocol| {
            protocol.carrier == Carrier::Ip && translation.untranslated.contains(&protocol.protocol)
        })
        .collect();
    if left_alone.is_empty() {
        return None;
    }
    let consequence = if translation.left_private {
        ": a private source left the translator, which the Internet will drop"
    } else {
        ""
    };
    let numbers = list_numbers(&left_alone);
    Some(format!("untranslated under {numbers}{consequence}"))
}

/// Errors that say that a lost packet went no further.
fn refuses_lost(icmp: &IcmpEvidence) -> bool {
    icmp.refuses && icmp.answered > 0
}

/// So many hosts that refuse packets are told of one by one.
const MOST_HOSTS: usize = 16;

/// Who refused lost packets, how they looked there, and how long the way there and back took.
fn refused_by(direction: &Direction) -> Option<String> {
    let errors = direction.protocols.iter().flat_map(|protocol| {
        let refusals = protocol.icmp.iter().filter(|icmp| refuses_lost(icmp));
        refusals.map(move |icmp| (protocol, icmp))
    });
    let mut hosts: Vec<(&str, Vec<(&Protocol, &IcmpEvidence)>)> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for (protocol, icmp) in errors {
        let host = *known.entry(&icmp.from).or_insert(hosts.len());
        if host == hosts.len() {
            hosts.push((&icmp.from, Vec::new()));
        }
        hosts[host].1.push((protocol, icmp));
    }
    let untold = hosts.len().saturating_sub(MOST_HOSTS);
    let mut clauses: Vec<_> = hosts
        .iter()
        .take(MOST_HOSTS)
        .map(|(host, own)| {
            let own = || own.iter().copied();
            let protocols = distinct_numbers(own().map(|(protocol, _)| protocol));
            let looks = looked(own().map(|(_, icmp)| icmp));
            let mut medians: Vec<i64> = own()
                .filter_map(|(_, icmp)| icmp.rtt_ns)
                .map(|rtt| rtt.p50)
                .collect();
            medians.sort_unstable();
            let rtt = medians.get(medians.len() / 2).map(|median| {
                format!(
                    "answers {} after {}'s packets",
                    span(*median),
                    direction.from
                )
            });
            let details: Vec<_> = looks.into_iter().chain(rtt).collect();
            let details = if details.is_empty() {
                String::new()
            } else {
                format!(" ({})", details.join("; "))
            };
            format!("{host} {}{details}", under(&protocols, &[]))
        })
        .collect();
    if untold > 0 {
        clauses.push(format!("and {}", count(untold as u64, "more host")));
    }
    let place = path([direction.from.as_str(), &direction.to]);
    (!clauses.is_empty()).then(|| format!("Refused by, {place}: {}.", clauses.join("; ")))
}

/// How packets looked to the host that quotes them, as far as all quotes agree.
fn looked<'a>(errors: impl Iterator<Item = &'a IcmpEvidence> + Clone) -> Option<String> {
    fn agreed<T: Clone + Hash + Eq>(values: impl IntoIterator<Item = Option<T>>) -> Option<T> {
        match distinct(values).as_mut_slice() {
            [only] => only.take(),
            _ => None,
        }
    }
    let ttl = agreed(errors.clone().map(|icmp| icmp.quoted.ttl))?;
    let source = agreed(errors.clone().map(|icmp| icmp.quoted.source.as_deref()));
    let hops = agreed(errors.map(|icmp| icmp.quoted.hops));
    let lower = match hops {
        Some(0) => ", as sent".to_owned(),
        Some(hops) => format!(", lower by {hops}"),
        None => String::new(),
    };
    let source = source.map(|source| format!(" from {source}"));
    Some(format!(
        "came there{} with TTL {ttl}{lower}",
        source.unwrap_or_default()
    ))
}

/// What silence means where a host answered some packets and not others: nothing.
fn silence(direction: &Direction) -> Option<String> {
    let clauses: Vec<_> = direction
        .refusers
        .iter()
        .filter(|refuser| refuser.rate_limited != Some(false))
        .map(|refuser| {
            let looks = match refuser.rate_limited {
                Some(_) => "its answers are rate-limited",
                None => "perhaps a limited rate",
            };
            let which = match refuser.lost {
                0 => "that came to it",
                lost if lost == refuser.of => "lost there",
                _ => "that came to it or were lost before",
            };
            format!(
                "{} answered {} of {} {which}: {looks}",
                refuser.from,
                grouped(refuser.errors),
                count(refuser.of, "packet")
            )
        })
        .collect();
    let place = path([direction.from.as_str(), &direction.to]);
    (!clauses.is_empty())
        .then(|| format!("No answer is no evidence, {place}: {}.", clauses.join("; ")))
}

/// The command that sends what is missing to be certain.
fn send_more(direction: &Direction) -> Option<Remark> {
    let destination = direction.destination.as_ref()?;
    let unsure = || {
        let mut protocols = direction.protocols.iter();
        std::iter::from_fn(move || {
            protocols
                .find(|protocol| protocol.more_packets.is_some() && protocol.carrier == Carrier::Ip)
        })
    };
    let more = unsure()
        .filter_map(|protocol| protocol.more_packets)
        .max()?;
    // Linux sends 0 on request of 256 only.
    let on_linux = |number: u16| if number == 0 { 256 } else { number };
    let mut numbers: Vec<u16> = unsure()
        .map(|protocol| on_linux(protocol.protocol))
        .collect();
    numbers.sort_unstable();
    let numbers = protocols::fold(&numbers).replace(", ", ",");
    let command = format!("hdp send {destination} --protocols {numbers} --count {more}");
    let place = path([direction.from.as_str(), &direction.to]);
    Some(Remark::Command {
        why: format!("Too few packets to be certain, {place}. Send more:"),
        command,
    })
}

/// ICMP errors about packets that were not lost: those are no part of the answer.
fn answered(direction: &Direction) -> Option<String> {
    let is_trace = direction
        .protocols
        .iter()
        .any(|protocol| protocol.expired > 0);
    let about_others: fn(&IcmpEvidence) -> bool = if is_trace {
        // A trace asks for these.
        |icmp| icmp.count > icmp.answered && !icmp.is_expiry()
    } else {
        |icmp| icmp.count > icmp.answered
    };
    let quoted = direction
        .protocols
        .iter()
        .filter(|protocol| protocol.icmp.iter().any(about_others));
    let clauses: Vec<_> = group_by(quoted, |protocol| answers(protocol, about_others))
        .iter()
        .map(|group| {
            format!(
                "{} {}",
                answers(group[0], about_others).join(", "),
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

const NOT_JUDGED: [Counter; 9] = [
    (
        |protocol| at_edge(protocol, Absence::Unwatched),
        "sent outside the time that both captures cover",
    ),
    (
        |protocol| at_edge(protocol, Absence::Unrelated),
        "sent at a time that nothing relates to the clock of the capture behind",
    ),
    (
        |protocol| at_edge(protocol, Absence::Unsettled),
        "sent about when a clock was set",
    ),
    (
        |protocol| at_edge(protocol, Absence::CannotShow),
        "sent to a capture that cannot show such packets",
    ),
    (
        |protocol| at_edge(protocol, Absence::Missed),
        "missed by the capture at the destination, which answered them",
    ),
    (
        |protocol| at_edge(protocol, Absence::Unheard),
        "came where no listener was open for the number",
    ),
    (|protocol| protocol.late, "arrived after the wait time"),
    (
        |protocol| protocol.ambiguous,
        "cannot be told from one another",
    ),
    (
        |protocol| protocol.expired,
        "sent with a TTL that could not suffice, as a trace does",
    ),
];

fn at_edge(protocol: &Protocol, why: Absence) -> u64 {
    let edge = protocol.edge_at.iter().filter(|edge| edge.why == why);
    edge.map(|edge| edge.count).sum()
}

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

/// How many packets in a row were lost at the most, of numbers that lost some here and there.
fn loss_runs(direction: &Direction) -> Option<String> {
    const SHOWN: usize = 3;
    let longest = |protocol: &Protocol| protocol.loss_runs.map(|runs| runs.longest);
    let lossy = direction.protocols.iter().filter(|protocol| {
        protocol.verdict == Verdict::Lossy && protocol.lost > 1 && protocol.loss_runs.is_some()
    });
    let mut groups = group_by(lossy, longest);
    groups.sort_by_key(|group| std::cmp::Reverse(longest(group[0])));
    let clauses = groups.iter().take(SHOWN).filter_map(|group| {
        let longest = longest(group[0])?;
        Some(format!("{} {}", grouped(longest), under(group, &[])))
    });
    let mut clauses: Vec<_> = clauses.collect();
    if groups.len() > SHOWN {
        clauses.push("fewer under the others".to_owned());
    }
    let place = path([direction.from.as_str(), &direction.to]);
    (!clauses.is_empty()).then(|| {
        let clauses = clauses.join(", ");
        format!("Lost in a row, {place}: at most {clauses}.")
    })
}

/// How much arrived more than once, over all numbers.
fn duplication(direction: &Direction) -> Option<String> {
    let of = |share: fn(&Duplication) -> f64| -> f64 {
        let protocols = direction.protocols.iter();
        protocols
            .filter_map(|p| Some(share(p.duplication.as_ref()?) * p.delivered as f64))
            .sum()
    };
    let (copies, replicated) = (of(|d| d.fraction), of(|d| d.replicated));
    let arrived: u64 = direction.protocols.iter().map(|p| p.delivered).sum();
    let percent = |packets: f64| format!("{:.1}{GLUE}%", 100.0 * packets / arrived as f64);
    let place = path([direction.from.as_str(), &direction.to]);
    (copies > 0.0).then(|| {
        format!(
            "Duplicates, {place}: {} of the packets that arrived came more than once; extra copies \
             make {} of them (RFC 5560).",
            percent(replicated),
            percent(copies)
        )
    })
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
    clauses.extend(with_lost(direction));
    let delays = bare.iter().chain(&control);
    clauses.extend(drift(direction, delays.map(|delay| delay.max).max()?));
    let reference = bare.first().or(control.first())?.reference;
    let place = path([direction.from.as_str(), &direction.to]);
    let clauses = clauses.join("; ");
    Some(format!(
        "Delay, {place}: {clauses}; {}.",
        counted_from(direction, reference)
    ))
}

/// How far the clocks came apart meanwhile, where that is much of the delays: it is in them.
fn drift(direction: &Direction, longest_ns: i64) -> Option<String> {
    let clocks = || direction.segments.iter().map(|segment| &segment.clock);
    let ppm: f64 = clocks().filter_map(|clock| clock.skew_ppm).sum();
    let levels = || clocks().flat_map(|clock| &clock.levels);
    let from_ns = levels().map(|level| level.from_ns).min()?;
    let to_ns = levels().map(|level| level.to_ns).max()?;
    #[allow(clippy::cast_possible_truncation)] // A small part of a span.
    let apart_ns = (to_ns.saturating_sub(from_ns) as f64 * ppm.abs() / 1e6) as i64;
    let is_much = apart_ns > 0 && apart_ns >= longest_ns / 10;
    is_much.then(|| {
        let (apart, ppm) = (span(apart_ns), ppm.abs().round());
        format!(
            "the clocks drifted {apart} apart meanwhile ({ppm}{GLUE}ppm), which is in these figures"
        )
    })
}

/// Which quantiles are infinite if lost packets are said to take for ever (RFC 7679).
fn with_lost(direction: &Direction) -> Option<String> {
    let infinite = |quantile: fn(&WithLost) -> Option<i64>| -> Vec<&Protocol> {
        let protocols = direction.protocols.iter();
        let is_infinite = |protocol: &&Protocol| {
            let delay = protocol.delay_ns.as_ref();
            delay.is_some_and(|delay| quantile(&delay.with_lost).is_none())
        };
        protocols.filter(is_infinite).collect()
    };
    let clauses = [
        ("99th percentile", infinite(|all| all.p99)),
        ("median", infinite(|all| all.p50)),
    ];
    let clauses: Vec<_> = clauses
        .iter()
        .filter(|(_, protocols)| !protocols.is_empty())
        .map(|(name, protocols)| format!("the {name} {} is infinite", under(protocols, &[])))
        .collect();
    (!clauses.is_empty()).then(|| {
        format!(
            "counting lost packets as infinitely late, {}",
            clauses.join(", ")
        )
    })
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
            "above the fastest packet; clock offset unknown (packets went one way only)".to_owned()
        }
        DelayReference::Minimum => match clock_error() {
            Some(error) => {
                format!("above the fastest packet; clock offset known to ±{GLUE}{error}")
            }
            None => "above the fastest packet; clock offset unknown".to_owned(),
        },
        DelayReference::Absolute if clocks().all(|clock| clock.method == ClockMethod::SameHost) => {
            "one clock at both ends".to_owned()
        }
        DelayReference::Absolute => match clock_error() {
            Some(error) => format!("clock offset known to ±{GLUE}{error}"),
            // Whatever is unknown of the clocks in between.
            None => "one clock at both ends".to_owned(),
        },
    }
}

/// Each value once, in the order of its first appearance.
fn distinct<T: Clone + Hash + Eq>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut known = HashSet::new();
    let values = values.into_iter();
    values.filter(|value| known.insert(value.clone())).collect()
}

/// Each number once, in the order of its first appearance.
fn distinct_numbers<'a>(protocols: impl IntoIterator<Item = &'a Protocol>) -> Vec<&'a Protocol> {
    let mut known = HashSet::new();
    let protocols = protocols.into_iter();
    protocols
        .filter(|protocol| known.insert((protocol.carrier, protocol.protocol)))
        .collect()
}
