//! The evidence: all counts of each number, and what its verdict rests on.

use maud::{Markup, html as markup};

use super::{badge, figures, list, table};
use crate::{
    findings::{Carrier, Direction, Findings, Input, PointKind, Protocol, Verdict},
    keyed::KeyedMap,
    protocols,
    report::{
        answer::{list_numbers, points, seen_at},
        path,
        rows::grade,
        units::{count, grouped, span},
        words,
    },
    shell,
};

pub(super) fn draw(findings: &Findings, direction: &Direction, title: Option<String>) -> Markup {
    let title = match title {
        Some(title) => format!("Evidence, {title}"),
        None => "Evidence".to_owned(),
    };
    let unclear = || {
        let numbers = direction.protocols.iter();
        numbers.filter(|protocol| protocol.verdict != Verdict::Passes)
    };
    markup! {
        section.evidence {
            h2 { (title) }
            @for protocol in unclear() { (self::number(findings, direction, protocol)) }
            h3 { "All numbers" }
            (counts(findings, direction))
            (besides(direction))
        }
    }
}

fn name(protocol: &Protocol) -> String {
    match protocol.carrier {
        Carrier::Ip => protocols::fold_with_keywords(&[protocol.protocol]),
        Carrier::Udp => "UDP control".to_owned(),
    }
}

/// A column of counts, shown where any number has something to say in it.
type Counted = (&'static str, fn(&Protocol) -> u64);

const COUNTS: [Counted; 11] = [
    ("Packets", |protocol| protocol.packets),
    ("Delivered", |protocol| protocol.delivered),
    ("Lost", |protocol| protocol.lost),
    ("Edge", |protocol| protocol.edge),
    ("Unheard", |protocol| protocol.unheard),
    ("Late", |protocol| protocol.late),
    ("Ambiguous", |protocol| protocol.ambiguous),
    ("Expired", |protocol| protocol.expired),
    ("Altered", |protocol| protocol.altered),
    ("Duplicates", |protocol| protocol.duplicates),
    ("Reordered", |protocol| protocol.reordered),
];

/// All numbers with all their counts.
fn counts(findings: &Findings, direction: &Direction) -> Markup {
    let used: Vec<Counted> = COUNTS
        .into_iter()
        .filter(|(name, of)| {
            *name == "Packets" || direction.protocols.iter().any(|number| of(number) > 0)
        })
        .collect();
    let seen: Vec<String> = points(direction)
        .map(|point| format!("Seen at {point}"))
        .collect();
    let mut columns = vec!["Number", "Verdict", "Grade"];
    columns.extend(used.iter().map(|(name, _)| *name));
    columns.extend(seen.iter().map(String::as_str));
    columns.extend(["Loss, 95 %", "Delay, median", "90 %", "99 %"]);
    let row = |protocol: &Protocol| {
        let mut cells = vec![
            markup! { (name(protocol)) },
            badge(protocol.verdict),
            markup! { span { (grade(protocol.grade)) } },
        ];
        cells.extend(
            used.iter()
                .map(|(_, of)| markup! { (grouped(of(protocol))) }),
        );
        let seen = points(direction).map(|point| seen_at(findings, protocol, point));
        cells.extend(seen.map(|seen| markup! { (grouped(seen)) }));
        let interval = protocol.loss_interval;
        let interval =
            interval.map(|[from, to]| format!("{:.1}-{:.1} %", 100.0 * from, 100.0 * to));
        cells.push(markup! { (interval.unwrap_or_default()) });
        let delay = protocol.delay_ns;
        let quantiles = delay.map(|delay| [delay.p50, delay.p90, delay.p99].map(span));
        cells.extend(quantiles.unwrap_or_default().map(|text| markup! { (text) }));
        cells
    };
    figures(&columns, direction.protocols.iter().map(row))
}

/// What else was counted, with the numbers of which it was.
fn besides(direction: &Direction) -> Markup {
    let mut facts: Vec<(String, Vec<&Protocol>)> = Vec::new();
    let mut places: KeyedMap<String, usize> = KeyedMap::default();
    for protocol in &direction.protocols {
        for fact in others(protocol) {
            let place = *places.entry(fact.clone()).or_insert(facts.len());
            match facts.get_mut(place) {
                Some((_, numbers)) => numbers.push(protocol),
                None => facts.push((fact, vec![protocol])),
            }
        }
    }
    let row = |(fact, numbers): (String, Vec<&Protocol>)| {
        [fact, list_numbers(&numbers)].map(|text| markup! { (text) })
    };
    markup! {
        @if !facts.is_empty() {
            h3 { "Besides" }
            (table(&["Of each number", "Numbers"], facts.into_iter().map(row)))
        }
    }
}

/// What else was counted of a number.
fn others(protocol: &Protocol) -> Vec<String> {
    let refused = protocol.refused.iter().map(|refusal| {
        let (call, name, errno) = (&refusal.call, &refusal.name, refusal.errno);
        let often = count(refusal.count, "time");
        format!(
            "{call} refused {}: {name} ({errno}), {often}",
            refusal.requested
        )
    });
    let icmp = protocol.icmp.iter().map(|icmp| {
        let (from, meaning) = (&icmp.from, &icmp.meaning);
        let errors = count(icmp.count, "error");
        let about = grouped(icmp.answered);
        format!(
            "ICMP {}/{} from {from} ({meaning}): {errors}, {about} about lost packets",
            icmp.icmp_type, icmp.code
        )
    });
    let changes = protocol.changes.iter().map(|change| {
        let field = change.field.replace('_', " ");
        let place = path(change.between.iter().map(String::as_str));
        let packets = count(change.count, "packet");
        match change.field.as_str() {
            "ttl" => format!("TTL {} → {}, {place}: {packets}", change.from, change.to),
            _ => format!(
                "{field} {} → {}, {place}: {packets}",
                change.from, change.to
            ),
        }
    });
    let runs = protocol.loss_runs.iter().map(|runs| {
        let often = count(runs.count, "run");
        format!(
            "{often} of losses, the longest of {}",
            grouped(runs.longest)
        )
    });
    let flows = protocol.flows.iter().map(|flow| {
        let (from, to) = (flow.srcport, flow.dstport);
        let packets = count(flow.packets, "packet");
        format!(
            "ports {from} → {to}: {} of {packets} lost",
            grouped(flow.lost)
        )
    });
    let edge = protocol
        .edge_at
        .iter()
        .map(|edge| format!("{} at the edge at {}", grouped(edge.count), edge.point));
    refused
        .chain(icmp)
        .chain(changes)
        .chain(runs)
        .chain(flows)
        .chain(edge)
        .collect()
}

/// What the verdict of a number that did not pass rests on, and how to look at its packets.
fn number(findings: &Findings, direction: &Direction, protocol: &Protocol) -> Markup {
    let reasons: Vec<String> = protocol.reasons.iter().map(ToString::to_string).collect();
    let lost = protocol.lost_at.iter().map(|lost| {
        let rules = lost.witness.iter().map(|rule| {
            let name = words::placed_rule(&rule.by);
            format!(", {} by {name} in {}", grouped(rule.count), rule.by.witness)
        });
        let place = path([lost.from.as_str(), &lost.to]);
        let beyond = lost
            .last_hop
            .as_ref()
            .map(|last| format!(", beyond hop {} ({})", last.hop, last.address));
        format!(
            "{} lost {place}{}{}",
            grouped(lost.count),
            beyond.unwrap_or_default(),
            rules.collect::<String>()
        )
    });
    let facts: Vec<String> = lost.chain(reasons).chain(others(protocol)).collect();
    let commands: Vec<String> = points(direction)
        .filter_map(|point| command(findings, protocol, point))
        .collect();
    markup! {
        h3 { (name(protocol)) ": " (badge(protocol.verdict)) ", " (grade(protocol.grade)) }
        (list(&facts))
        @if protocol.packets > 0 && !commands.is_empty() {
            pre { @for command in &commands { (command) "\n" } }
        }
    }
}

/// The command that shows a number's packets at a point that is a capture file.
fn command(findings: &Findings, protocol: &Protocol, point: &str) -> Option<String> {
    let index = findings
        .points
        .iter()
        .position(|known| known.name == point)?;
    let of = &findings.points[index];
    let is_file = |input: &Input| input.bytes.is_some();
    let is_first = !findings.points[..index]
        .iter()
        .any(|other| other.capture == of.capture);
    if of.kind != PointKind::Capture
        || !is_first
        || !findings.inputs.get(index).is_some_and(is_file)
    {
        return None;
    }
    let filter = match protocol.carrier {
        Carrier::Ip => format!("ip proto {0} or ip6 proto {0}", protocol.protocol),
        Carrier::Udp => "udp".to_owned(),
    };
    let source = shell::quoted(&of.source);
    let packed = [(".gz", "zcat"), (".zst", "zstdcat")];
    let cat = packed
        .iter()
        .find(|(ending, _)| of.source.ends_with(ending));
    Some(match cat {
        Some((_, cat)) => format!("{cat} {source} | tcpdump -nr - '{filter}'"),
        None => format!("tcpdump -nr {source} '{filter}'"),
    })
}
