//! The answer in words, before any layout: what was asked, then where each number disappeared.

use super::{
    GLUE, path,
    units::{count, grouped, span},
    words,
};
use crate::{
    findings::{
        Carrier, Direction, Findings, Grade, IcmpEvidence, LastHop, LostAt, Protocol, System,
        Verdict, Witnessed,
    },
    protocols,
};

/// One line of the answer: on this stretch, this became of these numbers, on this evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// The stretch of the path.
    pub(super) place: String,
    /// What became of the numbers; none where the line speaks of all of them.
    pub(super) verdict: Option<Verdict>,
    /// The numbers; empty without a verdict.
    pub(super) numbers: String,
    /// What that rests on.
    pub(super) evidence: String,
}

/// What was measured: how many numbers and packets, along which points, for how long.
pub(crate) fn headline(findings: &Findings) -> String {
    let mut measured: Vec<_> = findings
        .directions
        .iter()
        .flat_map(|direction| &direction.protocols)
        .filter(|protocol| protocol.packets > 0)
        .collect();
    let packets = total(&measured, |protocol| protocol.packets);
    measured.sort_by_key(|protocol| (protocol.carrier, protocol.protocol));
    measured.dedup_by_key(|protocol| (protocol.carrier, protocol.protocol));

    let mut parts = if measured.is_empty() {
        vec!["No HDP packet seen".to_owned()]
    } else {
        vec![
            format!("HDP under {}", count_numbers(&measured, "protocol number")),
            count(packets, "packet"),
        ]
    };
    let ways = findings.directions.iter().filter(|way| is_used(way));
    let back = if ways.count() > 1 { " and back" } else { "" };
    parts.push(
        path(
            findings
                .path_points()
                .iter()
                .map(|point| point.name.as_str()),
        ) + back,
    );
    // By the sender's end, whose record covers what was sent: the clocks of two points may be
    // unrelated, and one that was left running overnight says nothing.
    let sender = findings.path_points().iter().find(|point| point.hdp > 0);
    let recorded = sender.and_then(|point| point.last_ns?.checked_sub(point.first_ns?));
    parts.extend(recorded.map(span));
    parts.join(", ")
}

/// Whether there is anything to say about this direction.
pub(crate) fn is_used(direction: &Direction) -> bool {
    !direction.protocols.is_empty()
}

/// The points in the order in which this direction passes them.
pub(crate) fn points(direction: &Direction) -> impl Iterator<Item = &str> + Clone {
    let first = direction.segments.first().map(|first| first.from.as_str());
    let rest = direction.segments.iter().map(|segment| segment.to.as_str());
    first.into_iter().chain(rest)
}

/// The answer for one direction: the losses first, then the stretches without, then what the
/// sender's system refused, what could not be judged, and what passed.
pub(super) fn lines(findings: &Findings, direction: &Direction) -> Vec<Line> {
    let mut lines = Vec::new();
    for stretch in lossy_stretches(direction) {
        lines.extend(losses(direction, stretch));
    }
    lines.extend(clean_stretches(findings, direction));
    lines.extend(refusals(direction));
    lines.extend(inconclusive(direction));
    lines.extend(passing(direction));
    lines
}

/// From one point to a later one.
type Stretch<'a> = (&'a str, &'a str);

fn stretch(lost: &LostAt) -> Stretch<'_> {
    (&lost.from, &lost.to)
}

/// Every stretch in which something was lost: the segments in path order, then those across points
/// that could not tell.
fn lossy_stretches(direction: &Direction) -> Vec<Stretch<'_>> {
    let mut stretches: Vec<_> = direction
        .protocols
        .iter()
        .flat_map(|protocol| protocol.lost_at.iter().map(stretch))
        .collect();
    stretches.sort_by_key(|&stretch| {
        let start = points(direction).position(|point| point == stretch.0);
        (between(direction, stretch).count(), start)
    });
    stretches.dedup();
    stretches
}

/// The points that lie within a stretch, its ends left out.
fn between<'a>(direction: &'a Direction, (from, to): Stretch<'a>) -> impl Iterator<Item = &'a str> {
    points(direction)
        .skip_while(move |&point| point != from)
        .skip(1)
        .take_while(move |&point| point != to)
}

/// What was lost on one stretch, a line for all numbers with the same fate and evidence.
fn losses<'a>(direction: &'a Direction, stretch: Stretch<'a>) -> Vec<Line> {
    let lost = direction
        .protocols
        .iter()
        .filter(|protocol| protocol.verdict != Verdict::Inconclusive)
        .filter(|protocol| lost_on(protocol, stretch) > 0);
    let mut groups = group_by(lost, |protocol| {
        let weak = (protocol.grade == Grade::Weak, protocol.assumes.is_some());
        let rules = dropped_by(protocol, stretch);
        (
            protocol.verdict,
            weak,
            answers(protocol, is_about_lost),
            rules,
            last_hop(protocol, stretch),
        )
    });
    groups.sort_by_key(|group| match group[0].verdict {
        Verdict::Blocked => 0,
        Verdict::CutOff => 1,
        _ => 2,
    });
    groups
        .iter()
        .map(|group| Line {
            place: path([stretch.0, stretch.1]),
            verdict: Some(group[0].verdict),
            numbers: list_numbers(group),
            evidence: loss_evidence(direction, stretch, group),
        })
        .collect()
}

/// The rules that took packets of a number on one stretch, as drop witnesses recorded.
fn dropped_by(protocol: &Protocol, place: Stretch) -> Vec<String> {
    let here = protocol
        .lost_at
        .iter()
        .filter(|lost| stretch(lost) == place);
    let rules = here.flat_map(|lost| &lost.witness);
    rules
        .map(|Witnessed { by, .. }| {
            let rule = words::placed_rule(by);
            format!("dropped in {} by {rule}", by.witness)
        })
        .collect()
}

/// The farthest router on one stretch that is known to have got a number's packets.
fn last_hop<'a>(protocol: &'a Protocol, place: Stretch) -> Option<&'a LastHop> {
    let mut here = protocol.lost_at.iter();
    let here = here.find(|lost| stretch(lost) == place)?;
    here.last_hop.as_ref()
}

/// Packets of one number that were lost on one stretch.
fn lost_on(protocol: &Protocol, place: Stretch) -> u64 {
    protocol
        .lost_at
        .iter()
        .filter(|lost| stretch(lost) == place)
        .map(|lost| lost.count)
        .sum()
}

/// Whether ICMP errors are about packets that were lost.
pub(super) fn is_about_lost(icmp: &IcmpEvidence) -> bool {
    icmp.answered > 0
}

/// Who said what about a number's packets.
pub(super) fn answers(protocol: &Protocol, which: fn(&IcmpEvidence) -> bool) -> Vec<String> {
    let icmp = protocol.icmp.iter().filter(|icmp| which(icmp));
    icmp.map(words::icmp).collect()
}

fn loss_evidence(direction: &Direction, stretch: Stretch, group: &[&Protocol]) -> String {
    let first = group[0];
    let lost = total(group, |protocol| lost_on(protocol, stretch));
    let sent = total(group, |protocol| protocol.packets);
    let alike = group
        .iter()
        .all(|other| (other.packets, other.delivered) == (first.packets, first.delivered));
    let each = if group.len() > 1 { " each" } else { "" };
    let counts = match first.verdict {
        Verdict::CutOff if alike && first.delivered > 0 => {
            let passed = match first.delivered {
                1 => "the first".to_owned(),
                several => format!("the first {}", grouped(several)),
            };
            let packets = count(first.packets, "packet");
            format!("{passed} of {packets}{each} passed, then none")
        }
        Verdict::CutOff => {
            let packets = count(sent, "packet");
            format!(
                "the first passed, then none: {} of {packets} lost",
                grouped(lost)
            )
        }
        _ if lost == sent && sent == 1 => "the only packet".to_owned(),
        _ if lost == sent => format!("all {}", count(sent, "packet")),
        _ => {
            let delivered = total(group, |protocol| protocol.delivered);
            let lost_anywhere = total(group, |protocol| protocol.lost);
            let unjudged = sent.saturating_sub(delivered + lost_anywhere);
            let unjudged = match unjudged {
                0 => String::new(),
                unjudged => format!(", {} could not be judged", grouped(unjudged)),
            };
            format!(
                "{} of {} lost{unjudged}",
                grouped(lost),
                count(sent, "packet")
            )
        }
    };
    let assumes = group.iter().filter_map(|protocol| protocol.assumes);
    let within_ns = assumes.map(|assumes| assumes.clock_error_ns).min();
    let weak = match within_ns {
        Some(within_ns) => format!(", {}", words::if_clocks_agree(within_ns)),
        None if first.grade == Grade::Weak => " (weak: send more)".to_owned(),
        None => String::new(),
    };
    let blind: Vec<_> = between(direction, stretch)
        .map(|point| format!("{point} could not tell"))
        .collect();
    let mut parts = vec![counts + &weak];
    parts.extend(blind);
    let within = direction
        .segments
        .iter()
        .find(|segment| (segment.from.as_str(), segment.to.as_str()) == stretch)
        .and_then(|segment| segment.within);
    parts.extend(within.map(|system| match system {
        System::Sending => "dropped inside the sending system".to_owned(),
        System::Receiving => "dropped inside the receiving system".to_owned(),
        System::Forwarding => "dropped inside the forwarding system".to_owned(),
    }));
    parts.extend(
        last_hop(first, stretch).map(|last| format!("beyond hop {} ({})", last.hop, last.address)),
    );
    parts.extend(dropped_by(first, stretch));
    parts.extend(answers(first, is_about_lost));
    parts.join("; ")
}

/// The segments in which nothing was lost, neighbours of which the same can be said joined.
fn clean_stretches(findings: &Findings, direction: &Direction) -> Vec<Line> {
    let lossy = lossy_stretches(direction);
    let segments: Vec<_> = direction
        .segments
        .iter()
        .map(|segment| (segment.from.as_str(), segment.to.as_str()))
        .map(|segment| {
            let clean = !lossy.contains(&segment);
            (
                segment,
                clean.then(|| clean_evidence(findings, direction, segment)),
            )
        })
        .collect();
    segments
        .chunk_by(|(_, a), (_, b)| a == b)
        .filter_map(|run| {
            let ((first, _), evidence) = &run[0];
            let rest = run.iter().map(|((_, to), _)| *to);
            Some(Line {
                place: path([*first].into_iter().chain(rest)),
                verdict: None,
                numbers: String::new(),
                evidence: evidence.clone()?,
            })
        })
        .collect()
}

/// What it means that no loss is known in a segment: where nobody looked, nothing.
fn clean_evidence(findings: &Findings, direction: &Direction, segment: Stretch) -> String {
    let saw_any = |point: &str| {
        let mut seen = direction.protocols.iter();
        seen.any(|protocol| seen_at(findings, protocol, point) > 0)
    };
    let came_to = |point| {
        points(direction)
            .skip_while(|&other| other != point)
            .any(saw_any)
    };
    let blind = [segment.0, segment.1]
        .into_iter()
        .find(|&point| came_to(point) && !saw_any(point));
    let within_loss = lossy_stretches(direction).into_iter().any(|lossy| {
        between(direction, lossy).any(|point| point == segment.0 || point == segment.1)
    });
    if !came_to(segment.0) {
        "nothing came this far".to_owned()
    } else if let Some(point) = blind {
        format!("{point} saw none of the packets")
    } else if within_loss {
        "nothing lost while both were watching".to_owned()
    } else if !direction.protocols.iter().any(is_judged) {
        "nothing could be judged".to_owned()
    } else {
        "nothing lost".to_owned()
    }
}

fn is_judged(protocol: &Protocol) -> bool {
    !matches!(protocol.verdict, Verdict::Inconclusive | Verdict::Refused)
}

/// Distinct packets of one number seen at a point.
pub(crate) fn seen_at(findings: &Findings, protocol: &Protocol, point: &str) -> u64 {
    findings
        .points
        .iter()
        .zip(&protocol.seen)
        .filter(|(candidate, _)| candidate.name == point)
        .map(|(_, seen)| *seen)
        .sum()
}

/// What the sender's operating system refused, a line for each way.
fn refusals(direction: &Direction) -> Vec<Line> {
    let refused = with_verdict(direction, Verdict::Refused);
    group_by(refused, how_refused)
        .iter()
        .map(|group| Line {
            place: format!("in {}", direction.from),
            verdict: Some(Verdict::Refused),
            numbers: list_numbers(group),
            evidence: how_refused(group[0]),
        })
        .collect()
}

/// The calls that refused a number and their errors.
pub(crate) fn how_refused(protocol: &Protocol) -> String {
    let mut ways: Vec<_> = protocol
        .refused
        .iter()
        .map(|refusal| format!("{}: {} ({})", refusal.call, refusal.name, refusal.errno))
        .collect();
    ways.dedup();
    ways.join(", ")
}

/// The numbers about which nothing can be said, a line for each reason.
fn inconclusive(direction: &Direction) -> Vec<Line> {
    let unjudged = with_verdict(direction, Verdict::Inconclusive);
    group_by(unjudged, |protocol| protocol.reasons.first())
        .iter()
        .map(|group| Line {
            place: path([direction.from.as_str(), &direction.to]),
            verdict: Some(Verdict::Inconclusive),
            numbers: list_numbers(group),
            evidence: match group[0].reasons.first() {
                Some(reason) => reason.to_string(),
                None => count(total(group, |protocol| protocol.packets), "packet"),
            },
        })
        .collect()
}

/// What passed, in one line.
fn passing(direction: &Direction) -> Option<Line> {
    let passed: Vec<_> = with_verdict(direction, Verdict::Passes).collect();
    let packets: Vec<_> = direction
        .protocols
        .iter()
        .filter(|any| any.packets > 0)
        .collect();
    let arrived = total(&passed, |protocol| protocol.delivered);
    let sent = total(&passed, |protocol| protocol.packets);
    let all = if passed.len() == packets.len() {
        "all "
    } else {
        ""
    };
    let numbers = match passed.len() {
        0 => return None,
        1..=6 => list_numbers(&passed),
        _ => format!("{all}{}", count_numbers(&passed, "number")),
    };
    Some(Line {
        place: path([direction.from.as_str(), &direction.to]),
        verdict: Some(Verdict::Passes),
        numbers,
        evidence: match (arrived, sent) {
            (1, 1) => "the only packet arrived".to_owned(),
            _ if arrived == sent => format!("all {} arrived", count(sent, "packet")),
            // The rest is accounted for under "Not judged".
            _ => format!(
                "{} arrived, {} could not be judged",
                grouped(arrived),
                grouped(sent - arrived)
            ),
        },
    })
}

fn with_verdict(direction: &Direction, verdict: Verdict) -> impl Iterator<Item = &Protocol> {
    direction
        .protocols
        .iter()
        .filter(move |protocol| protocol.verdict == verdict)
}

/// The sum of a count over numbers.
pub(super) fn total(protocols: &[&Protocol], count: impl Fn(&Protocol) -> u64) -> u64 {
    protocols.iter().map(|protocol| count(protocol)).sum()
}

/// Numbers with the same key together, in the order of each group's first.
pub(super) fn group_by<'a, K: PartialEq>(
    protocols: impl IntoIterator<Item = &'a Protocol>,
    key: impl Fn(&'a Protocol) -> K,
) -> Vec<Vec<&'a Protocol>> {
    let mut groups: Vec<(K, Vec<_>)> = Vec::new();
    for protocol in protocols {
        let key = key(protocol);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, group)) => group.push(protocol),
            None => groups.push((key, vec![protocol])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// So many numbers and runs of them are listed; a report shows each with `--all`.
const MOST_LISTED: usize = 24;

/// What the control is called where numbers are listed.
const CONTROL: &str = "UDP\u{a0}control";

/// The numbers with runs folded and keywords: `50 ESP, 100-131, UDP control`.
pub(crate) fn list_numbers(protocols: &[&Protocol]) -> String {
    let (bare, control) = bare_and_control(protocols);
    let mut parts = Vec::new();
    if !bare.is_empty() {
        let items = protocols::fold_with_keywords(&bare);
        let glued = |item: &str| item.replace(' ', &GLUE.to_string());
        let items: Vec<String> = items.split(", ").map(glued).collect();
        let shown = if items.len() > MOST_LISTED {
            MOST_LISTED - 1
        } else {
            items.len()
        };
        parts.extend_from_slice(&items[..shown]);
        if shown < items.len() {
            parts.push(format!("and{GLUE}{}{GLUE}more", items.len() - shown));
        }
    }
    parts.extend(control.map(str::to_owned));
    parts.join(", ")
}

/// How many numbers: `211 numbers and the UDP control`.
pub(super) fn count_numbers(protocols: &[&Protocol], noun: &str) -> String {
    let (bare, control) = bare_and_control(protocols);
    let numbers = match bare.as_slice() {
        [] => None,
        [only] => Some(format!("{noun}{GLUE}{only}")),
        several => Some(count(several.len() as u64, noun)),
    };
    let control = control.map(|control| format!("the {control}"));
    let parts: Vec<_> = numbers.into_iter().chain(control).collect();
    parts.join(" and ")
}

/// The numbers straight on IP, rising, and whether the control is among the entries.
fn bare_and_control(protocols: &[&Protocol]) -> (Vec<u16>, Option<&'static str>) {
    let (bare, control): (Vec<&Protocol>, Vec<&Protocol>) = protocols
        .iter()
        .partition(|protocol| protocol.carrier == Carrier::Ip);
    let bare = bare.iter().map(|protocol| protocol.protocol).collect();
    (bare, (!control.is_empty()).then_some(CONTROL))
}
