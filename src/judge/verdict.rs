//! Verdicts: what the path does to a number, how sure that is, and on what it rests.

use super::{
    flows::{self, ByPorts},
    icmp::Answer,
    statistics::{self, CERTAIN, LIKELY},
    tally::{Judged, Tally},
};
use crate::{
    correlate::Spans,
    decode::icmp_meaning,
    findings::{
        AgainstControl, Change, Delay, DelayReference, Duplication, Grade, IcmpEvidence, LossRuns,
        LostAt, PointKind, PortPair, Protocol, Refusal, Verdict, WithLost,
    },
    observe::Point,
    protocols::{self, Carrier},
};

/// A number and what is known of it beside its tally.
pub(super) struct Subject<'a> {
    pub(super) points: &'a [Point],
    pub(super) protocol: u8,
    pub(super) carrier: Carrier,
    pub(super) icmp: Vec<IcmpEvidence>,
    pub(super) changes: Vec<Change>,
    pub(super) refused: Vec<Refusal>,
    pub(super) by_ports: ByPorts,
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
    let chance = statistics::chance(tally.judged(), others);
    let corrected = (chance * comparison.asked as f64).min(1.0);
    let name = |point: usize| subject.points[point].name.clone();
    let flows = flows::port_pairs(&subject.by_ports);
    let reasons = reasons(
        (&subject, &flows),
        &tally,
        verdict,
        others,
        (chance, comparison.asked),
    );
    let grade = grade(&tally, verdict, corrected).max(doubt(&subject, &tally));
    let more_packets = match (grade, verdict) {
        // One arrival is no pass, two are.
        (Grade::Weak, Verdict::Passes) => Some(1),
        (Grade::Certain, _) | (_, Verdict::Inconclusive) => None,
        _ => statistics::more_packets(tally.judged(), others, comparison.asked),
    };
    let never_in_time = tally.lost + tally.late;
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
        loss_runs: (tally.loss_runs > 0).then_some(LossRuns {
            count: tally.loss_runs,
            longest: tally.longest_run,
        }),
        duplication: (tally.delivered > 0).then(|| Duplication {
            fraction: tally.duplicates as f64 / tally.delivered as f64,
            replicated: tally.replicated as f64 / tally.delivered as f64,
        }),
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
        delay_ns: delay(&mut tally.delays_ns, never_in_time, reference),
        seen: tally.seen,
        refused: subject.refused,
        against_control: subject.against_control,
        icmp: subject.icmp,
        changes: subject.changes,
        more_packets,
        flows,
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
            if !tally.answered.is_empty() || chance < CERTAIN {
                Grade::Certain
            } else if chance < LIKELY {
                Grade::Likely
            } else {
                Grade::Weak
            }
        }
    }
}

/// How much of the losses may be the captures' own, by what they dropped nobody knows where. An
/// answer proves the loss of what it quotes, but not of others, nor that it was lost right there.
fn doubt(subject: &Subject, tally: &Tally) -> Grade {
    let may_be_dropped = |&((_, to), count): &((usize, usize), u64)| {
        subject.points[to].summary.unplaced_drops().min(count)
    };
    match tally.lost_at.iter().map(may_be_dropped).sum::<u64>() {
        0 => Grade::Certain,
        dropped if dropped < tally.lost || !tally.answered.is_empty() => Grade::Likely,
        _ => Grade::Weak,
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
        loss_runs: None,
        duplication: None,
        seen: vec![0; points],
        lost_at: Vec::new(),
        loss_interval: None,
        reasons: refused.iter().map(refusal_in_words).collect(),
        refused,
        icmp: Vec::new(),
        changes: Vec::new(),
        delay_ns: None,
        against_control: None,
        more_packets: None,
        flows: Vec::new(),
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

/// Quantiles over the delivered packets, and over so many more that never came in time.
fn delay(delays_ns: &mut Spans, never_in_time: u64, reference: Option<Reference>) -> Option<Delay> {
    let Reference { zero_ns, kind } = reference?;
    let came = delays_ns.len() as f64;
    // The rank among all, as a share of those that came; beyond them it is infinite.
    let among_all = |q: f64| {
        let rank = (q * (came + never_in_time as f64)).ceil();
        (rank <= came).then_some(rank / came)
    };
    let with_lost = [0.5, 0.9, 0.99].map(among_all);
    let of_delivered = [0.0, 0.5, 0.9, 0.99, 1.0];
    let [a, b, c] = with_lost.map(|q| q.unwrap_or(1.0));
    let mut wanted = [0.0, 0.5, 0.9, 0.99, 1.0, a, b, c];
    wanted.sort_by(f64::total_cmp);
    let found = delays_ns.quantiles(wanted)?;
    let delay = |q: f64| {
        let place = wanted.partition_point(|wanted| *wanted < q);
        found[place].saturating_sub(zero_ns)
    };
    let [min, p50, p90, p99, max] = of_delivered.map(delay);
    let [lost_p50, lost_p90, lost_p99] = with_lost.map(|q| q.map(delay));
    Some(Delay {
        min,
        p50,
        p90,
        p99,
        max,
        reference: kind,
        with_lost: WithLost {
            p50: lost_p50,
            p90: lost_p90,
            p99: lost_p99,
        },
    })
}

fn reasons(
    (subject, flows): (&Subject, &[PortPair]),
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
        Verdict::Inconclusive => reasons.extend(unjudged(subject, tally)),
        Verdict::Lossy | Verdict::Blocked | Verdict::CutOff => {
            if is_ipv6_extension(subject) {
                reasons.push(
                    "over IPv6 the number is an extension header, which kernels and routers act \
                     on: it need be no filter"
                        .to_owned(),
                );
            }
            reasons.extend(answers(tally));
            reasons.extend(flows::reason(flows));
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
            for &(point, count) in &tally.answered_beyond {
                reasons.push(format!(
                    "{} saw the errors about {}: they came that far, and the captures before \
                     missed them",
                    name(point),
                    packets(count)
                ));
            }
            for &((_, to), _) in &tally.lost_at {
                let drops = subject.points[to].summary.unplaced_drops();
                if drops > 0 && subject.points[to].kind == PointKind::Capture {
                    reasons.push(format!(
                        "the capture at {} dropped {drops} frames itself, nobody knows which",
                        name(to)
                    ));
                }
            }
            reasons.extend(unheard(subject, tally));
            reasons.extend(overflows(subject, tally));
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

/// Who refused lost packets, and why.
fn answers(tally: &Tally) -> Vec<String> {
    let mut counts: Vec<(Answer, u64)> = Vec::new();
    for &((answer, _), count) in &tally.answered {
        match counts.iter_mut().find(|(known, _)| *known == answer) {
            Some((_, sum)) => *sum += count,
            None => counts.push((answer, count)),
        }
    }
    let answers = counts.iter();
    answers
        .map(|&((from, version, icmp_type, code), count)| {
            // What would have befallen any number.
            let not_the_number = match (version, icmp_type, code) {
                (4, 3, 4) | (6, 2, _) => ": for their size, not their number",
                (4, 11, 0) | (6, 3, 0) => ": for their TTL, not their number",
                (4, 3, 0 | 1 | 6 | 7) | (6, 1, 0 | 3) => ": for their address, not their number",
                _ => "",
            };
            format!(
                "{from} answered ICMP {icmp_type}/{code} ({}) to {count} of {} lost{not_the_number}",
                icmp_meaning(version, icmp_type, code),
                tally.lost
            )
        })
        .collect()
}

/// Why nothing could be judged.
fn unjudged(subject: &Subject, tally: &Tally) -> Vec<String> {
    let name = |point: usize| subject.points[point].name.as_str();
    let mut reasons = Vec::new();
    reasons.extend(unheard(subject, tally));
    for (point, count) in tally.unseen.iter().enumerate().filter(|(_, n)| **n > 0) {
        reasons.push(format!(
            "the destination answered {}, which {} missed: not lost before",
            packets(*count),
            name(point)
        ));
    }
    for (point, count) in tally.unwatched.iter().enumerate().filter(|(_, n)| **n > 0) {
        if subject.points[point].cut_short.contains(&subject.protocol) {
            reasons.push(format!(
                "the snapshot length at {} is too small to know such packets: {} cannot be \
                 judged there",
                name(point),
                packets(*count)
            ));
            continue;
        }
        let what = if subject.points[point].summary.placed_drops > 0 {
            "was not watching, or dropped frames,"
        } else {
            "was not watching"
        };
        reasons.push(format!(
            "{} {what} when {} should have come by",
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
