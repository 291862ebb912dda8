//! Verdicts: what the path does to a number, how sure that is, and on what it rests.

use super::{
    statistics,
    tally::{Judged, Tally},
};
use crate::{
    correlate::Spans,
    decode::{Carrier, icmp_meaning},
    findings::{
        AgainstControl, Change, Delay, DelayReference, Grade, IcmpEvidence, LostAt, PointKind,
        Protocol, Refusal, Verdict,
    },
    observe::Point,
    protocols,
};

/// A number and what is known of it beside its tally.
pub(super) struct Subject<'a> {
    pub(super) points: &'a [Point],
    pub(super) protocol: u8,
    pub(super) carrier: Carrier,
    pub(super) icmp: Vec<IcmpEvidence>,
    pub(super) changes: Vec<Change>,
    pub(super) refused: Vec<Refusal>,
    pub(super) against_control: Option<AgainstControl>,
}

/// What delays are counted from: an instant on the points' own clocks, and how it is called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reference {
    pub(super) zero_ns: i64,
    pub(super) kind: DelayReference,
}

/// The losses of all numbers going one way, for comparing one with the others.
pub(super) struct Comparison {
    /// What each number adds to the path's ordinary losses: nothing if it is blocked or cut off,
    /// for that is said of the number and not of the path.
    ordinary: Vec<Judged>,
    /// Their sum.
    total: Judged,
    /// How many numbers are asked about at once.
    asked: u64,
}

impl Comparison {
    pub(super) fn new<'t>(tallies: impl Iterator<Item = &'t Tally> + Clone) -> Self {
        let ordinary: Vec<Judged> = tallies
            .clone()
            .map(|tally| match verdict(tally) {
                Verdict::Blocked | Verdict::CutOff => Judged::default(),
                _ => tally.judged(),
            })
            .collect();
        Self {
            total: Judged {
                packets: ordinary.iter().map(|number| number.packets).sum(),
                lost: ordinary.iter().map(|number| number.lost).sum(),
            },
            ordinary,
            asked: tallies.filter(|tally| tally.judged().packets > 0).count() as u64,
        }
    }

    /// The ordinary losses of all numbers but one.
    fn others(&self, index: usize) -> Judged {
        let own = self.ordinary[index];
        Judged {
            packets: self.total.packets - own.packets,
            lost: self.total.lost - own.lost,
        }
    }
}

/// All there is to say about one number. `index` is its place in the comparison.
pub(super) fn protocol(
    subject: Subject,
    mut tally: Tally,
    comparison: &Comparison,
    index: usize,
    reference: Option<Reference>,
) -> Protocol {
    let verdict = match verdict(&tally) {
        Verdict::Inconclusive if tally.packets == 0 && !subject.refused.is_empty() => {
            Verdict::Refused
        }
        verdict => verdict,
    };
    let others = comparison.others(index);
    let judged = tally.judged();
    let chance = statistics::chance(judged, others);
    let corrected = |chance: f64| (chance * comparison.asked as f64).min(1.0);
    // What a capture dropped, nobody knows when, may have been these very packets.
    let undoubted = Judged {
        lost: judged.lost - doubted(&subject, &tally),
        ..judged
    };
    let grade = if undoubted == judged {
        grade(&tally, verdict, corrected(chance))
    } else {
        let chance_of_rest = corrected(statistics::chance(undoubted, others));
        let of_rest = grade(&tally, verdict, chance_of_rest);
        let of_all = grade(&tally, verdict, corrected(chance));
        of_rest.min(of_all.max(Grade::Likely))
    };
    let name = |point: usize| subject.points[point].name.clone();
    let reasons = reasons(
        &subject,
        &tally,
        verdict,
        others,
        (chance, comparison.asked),
    );
    Protocol {
        protocol: u16::from(subject.protocol),
        keyword: protocols::keyword(subject.protocol).map(str::to_owned),
        carrier: subject.carrier,
        verdict,
        grade,
        packets: tally.packets,
        delivered: tally.delivered,
        lost: tally.lost,
        edge: tally.edge,
        unheard: tally.unheard.iter().sum(),
        late: tally.late,
        ambiguous: tally.ambiguous,
        altered: tally.altered,
        duplicates: tally.duplicates,
        reordered: tally.reordered,
        loss_interval: statistics::loss_interval(tally.judged()),
        lost_at: tally
            .lost_at
            .iter()
            .map(|&((from, to), count)| LostAt {
                from: name(from),
                to: name(to),
                count,
            })
            .collect(),
        delay_ns: delay(&mut tally.delays_ns, reference),
        seen: tally.seen,
        refused: subject.refused,
        against_control: subject.against_control,
        icmp: subject.icmp,
        changes: subject.changes,
        reasons,
    }
}

fn verdict(tally: &Tally) -> Verdict {
    match (tally.delivered, tally.lost) {
        (0, 0) => Verdict::Inconclusive,
        (_, 0) => Verdict::Passes,
        // The others came as far as was looked.
        (0, _) if tally.unheard.iter().any(|unheard| *unheard > 0) => Verdict::Lossy,
        (0, _) => Verdict::Blocked,
        (_, lost) if lost >= 2 && tally.first_lost_ns > tally.last_delivered_ns => Verdict::CutOff,
        _ => Verdict::Lossy,
    }
}

fn grade(tally: &Tally, verdict: Verdict, chance: f64) -> Grade {
    match verdict {
        // The article's own case: the first packet got through, then none.
        Verdict::Passes if tally.delivered == 1 => Grade::Weak,
        Verdict::Passes | Verdict::Refused => Grade::Certain,
        Verdict::Inconclusive => Grade::Weak,
        Verdict::Lossy | Verdict::Blocked | Verdict::CutOff => {
            if !tally.answered.is_empty() || chance < 0.001 {
                Grade::Certain
            } else if chance < 0.05 {
                Grade::Likely
            } else {
                Grade::Weak
            }
        }
    }
}

/// Whether the number is that of an IPv6 extension header (IANA's registry of them, RFC 7045) and
/// was seen over IPv6.
fn is_ipv6_extension(subject: &Subject) -> bool {
    const EXTENSION_HEADERS: [u8; 8] = [0, 43, 44, 51, 60, 135, 139, 140];
    let mut flows = subject.points.iter().flat_map(|point| &point.flows);
    EXTENSION_HEADERS.contains(&subject.protocol)
        && subject.carrier == Carrier::Ip
        && flows.any(|entry| entry.flow.protocol == subject.protocol && entry.flow.source.is_ipv6())
}

/// A request that has no number on the wire, and was refused.
pub(super) fn refused_request(
    points: usize,
    requested: u16,
    carrier: Carrier,
    refused: Vec<Refusal>,
) -> Protocol {
    Protocol {
        protocol: requested,
        keyword: None,
        carrier,
        verdict: Verdict::Refused,
        grade: Grade::Certain,
        packets: 0,
        delivered: 0,
        lost: 0,
        edge: 0,
        unheard: 0,
        late: 0,
        ambiguous: 0,
        altered: 0,
        duplicates: 0,
        reordered: 0,
        seen: vec![0; points],
        lost_at: Vec::new(),
        loss_interval: None,
        reasons: refused.iter().map(refusal_in_words).collect(),
        refused,
        icmp: Vec::new(),
        changes: Vec::new(),
        delay_ns: None,
        against_control: None,
    }
}

fn refusal_in_words(refusal: &Refusal) -> String {
    let Refusal {
        requested,
        call,
        errno,
        name,
        count,
    } = refusal;
    let meaning = match (call.as_str(), name.as_str()) {
        ("sendto", "EPERM") => ": a firewall on the sending system, most likely",
        _ => "",
    };
    format!("{call} refused {requested} with {name} ({errno}), {count} of {count}{meaning}")
}

fn delay(delays_ns: &mut Spans, reference: Option<Reference>) -> Option<Delay> {
    let Reference { zero_ns, kind } = reference?;
    let [min, p50, p90, p99, max] = delays_ns
        .quantiles([0.0, 0.5, 0.9, 0.99, 1.0])?
        .map(|delay| delay.saturating_sub(zero_ns));
    Some(Delay {
        min,
        p50,
        p90,
        p99,
        max,
        reference: kind,
    })
}

fn reasons(
    subject: &Subject,
    tally: &Tally,
    verdict: Verdict,
    others: Judged,
    (chance, asked): (f64, u64),
) -> Vec<String> {
    let name = |point: usize| subject.points[point].name.as_str();
    let mut reasons = Vec::new();
    let judged = tally.judged();
    match verdict {
        Verdict::Passes if tally.delivered == 1 => reasons
            .push("only one packet: the first may get through where later ones do not".to_owned()),
        Verdict::Passes => {}
        Verdict::Refused => reasons.extend(subject.refused.iter().map(refusal_in_words)),
        Verdict::Inconclusive => {
            reasons.extend(unheard(subject, tally));
            for (point, count) in tally.unwatched.iter().enumerate().filter(|(_, n)| **n > 0) {
                reasons.push(format!(
                    "{} was not watching when {} should have come by",
                    name(point),
                    packets(*count)
                ));
            }
            if tally.late > 0 {
                reasons.push(format!("{} came after the wait time", packets(tally.late)));
            }
            if tally.ambiguous > 0 {
                reasons.push(format!(
                    "{} cannot be told from others",
                    packets(tally.ambiguous)
                ));
            }
            if tally.packets == 0 {
                reasons.push("only an ICMP error quotes it; no point saw the packet".to_owned());
            }
        }
        Verdict::Lossy | Verdict::Blocked | Verdict::CutOff => {
            if is_ipv6_extension(subject) {
                reasons.push(
                    "over IPv6 the number is an extension header, which kernels and routers act \
                     on: it need be no filter"
                        .to_owned(),
                );
            }
            for &((from, version, icmp_type, code), count) in &tally.answered {
                reasons.push(format!(
                    "{from} answered ICMP {icmp_type}/{code} ({}) to {count} of {} lost",
                    icmp_meaning(version, icmp_type, code),
                    tally.lost
                ));
            }
            for &((from, to), count) in &tally.lost_at {
                reasons.push(format!(
                    "{count} seen at {} and not at {}",
                    name(from),
                    name(to)
                ));
            }
            for &((point, byte), count) in &tally.missing_pieces {
                reasons.push(format!(
                    "of {} some fragments came to {}, the piece from byte {byte} did not",
                    packets(count),
                    name(point)
                ));
            }
            if let Some((point, number)) = tally.first_lost {
                let unit = match subject.points[point].kind {
                    PointKind::Capture => "frame",
                    PointKind::SendLog | PointKind::ListenLog => "line",
                };
                reasons.push(format!("first in {unit} {number} of {}", name(point)));
            }
            reasons.extend(unheard(subject, tally));
            reasons.extend(overflows(subject, tally));
            reasons.extend(drops(subject, tally));
            if verdict == Verdict::CutOff {
                reasons.push(format!("the first {} passed, then none", tally.delivered));
            }
            reasons.push(if others.packets == 0 {
                "no other number arrived to compare with".to_owned()
            } else {
                format!(
                    "{} of {} lost where the other numbers lost {} of {}: chance {}{}",
                    judged.lost,
                    judged.packets,
                    others.lost,
                    others.packets,
                    in_words(chance),
                    if asked > 1 {
                        format!(", asked of {asked} numbers")
                    } else {
                        String::new()
                    }
                )
            });
        }
    }
    reasons
}

/// Where a listener's socket for the number was full: those packets had arrived.
fn overflows(subject: &Subject, tally: &Tally) -> Vec<String> {
    let of_number = |point: &Point| -> u64 {
        let overflows = point.claims.overflows.iter();
        overflows
            .filter(|overflow| overflow.protocol == subject.protocol)
            .map(|overflow| overflow.count)
            .sum()
    };
    let listeners = tally
        .lost_at
        .iter()
        .map(|((_, to), _)| &subject.points[*to]);
    listeners
        .filter(|point| of_number(point) > 0)
        .map(|point| {
            format!(
                "the socket at {} was full and lost {}",
                point.name,
                packets(of_number(point))
            )
        })
        .collect()
}

/// How many of the losses may be frames that a capture dropped at a time which it does not say.
fn doubted(subject: &Subject, tally: &Tally) -> u64 {
    let lost_at = tally.lost_at.iter();
    lost_at
        .map(|&((_, to), count)| count.min(unplaced_drops(&subject.points[to])))
        .sum()
}

/// Frames that a capture dropped at a time which it does not say.
fn unplaced_drops(point: &Point) -> u64 {
    match point.kind {
        PointKind::Capture => point.summary.unplaced_drops,
        PointKind::SendLog | PointKind::ListenLog => 0,
    }
}

/// Which captures may have dropped what was lost.
fn drops(subject: &Subject, tally: &Tally) -> Vec<String> {
    let captures = tally
        .lost_at
        .iter()
        .map(|((_, to), _)| &subject.points[*to]);
    captures
        .filter(|point| unplaced_drops(point) > 0)
        .map(|point| {
            format!(
                "the capture at {} dropped {} and does not say when: these may be among them",
                point.name,
                packets(unplaced_drops(point))
            )
        })
        .collect()
}

/// Which listener had no socket open for the number.
fn unheard(subject: &Subject, tally: &Tally) -> Vec<String> {
    let deaf = subject.points.iter().zip(&tally.unheard);
    deaf.filter(|(_, count)| **count > 0)
        .map(|(point, count)| {
            format!(
                "a listener for the number was not open at {}: {} cannot be judged there",
                point.name,
                packets(*count)
            )
        })
        .collect()
}

fn packets(count: u64) -> String {
    if count == 1 {
        "1 packet".to_owned()
    } else {
        format!("{count} packets")
    }
}

/// A probability as people read it.
fn in_words(chance: f64) -> String {
    if chance >= 0.001 {
        format!("{chance:.3}")
    } else {
        format!("{chance:.0e}")
    }
}
