//! Verdicts: what the path does to a number, how sure that is, and on what it rests.
//!
//! Each verdict comes from one [`Rule`], by the judged packets of the number.

use std::collections::BTreeMap;

use super::{
    flows::{self, ByPorts},
    icmp::Answer,
    statistics::{self, CERTAIN, LIKELY},
    tally::{Judged, Tally},
    times::Spacing,
};
use crate::{
    correlate::Spans,
    findings::{
        Absence, AgainstControl, Assumes, Bystanders, Change, Delay, DelayReference, Duplication,
        EdgeAt, Grade, IcmpEvidence, LastHop, LossRuns, LostAt, NotTheNumber, Others, PointKind,
        PortPair, Protocol, Reason, Refusal, Rule, Verdict, WithLost, Witnessed,
    },
    observe::{Point, Witnesses},
    protocols::{self, Carrier},
};

/// A number and what is known of it beside its tally.
pub(super) struct Subject<'a> {
    pub(super) points: &'a [Point],
    pub(super) witnesses: &'a Witnesses,
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
    /// What each number adds to the path's ordinary losses: nothing if it is blocked or cut off by
    /// more than chance, for that is said of the number and not of the path.
    ordinary: Vec<Judged>,
    /// Their sum.
    total: Judged,
    /// What went the same way and is not HDP, where no HDP arrived.
    bystanders: Option<Judged>,
    /// All numbers together.
    pooled: Judged,
    /// Numbers that lose some of their packets, more than the others do.
    limited: Option<Limited>,
    /// How many numbers are asked about at once.
    asked: u64,
}

/// Numbers that lose some of their packets, more than the others do: something limits them. Of a few
/// packets each, some of them lose all.
struct Limited {
    /// The places of these, and of those beside them that lost anything.
    places: Vec<usize>,
    numbers: Vec<u16>,
    judged: Judged,
    /// How many might be among them that lost all.
    suspects: usize,
}

impl Limited {
    /// Fewer numbers share nothing.
    const SEVERAL: usize = 3;

    fn find(all: &[(u8, Judged, Verdict)], ordinary: Judged) -> Option<Self> {
        let asked = all
            .iter()
            .filter(|(_, number, _)| number.packets > 0)
            .count();
        let is_lossy = |number: Judged| {
            let rest = Judged {
                packets: ordinary.packets.saturating_sub(number.packets),
                lost: ordinary.lost.saturating_sub(number.lost),
            };
            number.lost > 0 && statistics::chance(number, rest) * (asked as f64) < LIKELY
        };
        // A full bucket lets the first through: those look cut off. All of them that way share none.
        let has_lost = |place: &usize| {
            matches!(
                all[*place].2,
                Verdict::Lossy | Verdict::Blocked | Verdict::CutOff
            )
        };
        let is_partly = |place: &usize| matches!(all[*place].2, Verdict::Lossy | Verdict::CutOff);
        let stands_out: Vec<usize> = (0..all.len())
            .filter(|place| is_partly(place) && is_lossy(all[*place].1))
            .collect();
        let is_some_lossy = stands_out
            .iter()
            .any(|&place| all[place].2 == Verdict::Lossy);
        let lossy = if is_some_lossy && stands_out.len() >= Self::SEVERAL {
            stands_out
        } else {
            Self::range(all, &stands_out, asked)?
        };
        // With those between and next to them that lost anything.
        let mut places = lossy.clone();
        for &place in &lossy {
            places.extend((0..place).rev().take_while(has_lost));
            places.extend((place + 1..all.len()).take_while(has_lost));
        }
        places.sort_unstable();
        places.dedup();
        let sum = places
            .iter()
            .fold(Judged::default(), |sum, &place| sum.and(all[place].1));
        Some(Self {
            numbers: places
                .iter()
                .map(|&place| u16::from(all[place].0))
                .collect(),
            judged: sum,
            suspects: places.len(),
            places,
        })
    }

    /// The places of those that lost anything within the range of numbers that lost most, beside all
    /// others: each by itself may have lost too little to tell.
    fn range(
        all: &[(u8, Judged, Verdict)],
        stands_out: &[usize],
        asked: usize,
    ) -> Option<Vec<usize>> {
        let is_bare = |place: &usize| all[*place].2 != Verdict::Inconclusive;
        let bare: Vec<usize> = (0..all.len()).filter(is_bare).collect();
        let sum = |places: &[usize]| {
            let judged = places.iter().map(|&place| all[place].1);
            judged.fold(Judged::default(), Judged::and)
        };
        let total = sum(&bare);
        let has_lost = |at: &usize| all[bare[*at]].1.lost > 0;
        let lossy: Vec<usize> = (0..bare.len()).filter(has_lost).collect();
        // One of them may have been lucky.
        let runs = lossy.chunk_by(|a, b| b - a <= 2);
        let is_lossy = |at: &&usize| all[bare[**at]].2 == Verdict::Lossy;
        let stands_out = |at: &usize| stands_out.contains(&bare[*at]);
        let several = runs.filter(|run| {
            let lossy = run.iter().filter(is_lossy).count();
            lossy >= Self::SEVERAL || lossy > 0 && run.len() > 1 && run.iter().any(stands_out)
        });
        let chance = |run: &&[usize]| {
            let within = sum(&bare[run[0]..=run[run.len() - 1]]);
            let rest = Judged {
                packets: total.packets - within.packets,
                lost: total.lost - within.lost,
            };
            statistics::chance(within, rest) * (asked * asked) as f64
        };
        let (run, chance) = several
            .map(|run| (run, chance(&run)))
            .min_by(|a, b| a.1.total_cmp(&b.1))?;
        (chance < LIKELY).then(|| run.iter().map(|&at| bare[at]).collect())
    }

    /// The chance that any of these numbers loses so much if all are alike.
    fn chance(&self, own: Judged) -> f64 {
        let ratio = self.judged.lost as f64 / self.judged.packets.max(1) as f64;
        let lost = i32::try_from(own.lost).unwrap_or(i32::MAX);
        (ratio.powi(lost) * self.suspects as f64).min(1.0)
    }
}

impl Comparison {
    pub(super) fn new<'t>(
        numbers: impl Iterator<Item = (u8, Carrier, &'t Tally)> + Clone,
        bystanders: Option<Bystanders>,
    ) -> Self {
        let tallies = numbers.clone().map(|(.., tally)| tally);
        let all: Vec<Judged> = tallies.clone().map(Tally::judged).collect();
        let asked = all.iter().filter(|number| number.packets > 0).count() as u64;
        let is_cut =
            |tally: &Tally| matches!(verdict(rule(tally)), Verdict::Blocked | Verdict::CutOff);
        let mut is_ordinary: Vec<bool> = tallies.clone().map(|tally| !is_cut(tally)).collect();
        let sum = |is_in: &[bool]| {
            let within = all.iter().zip(is_in).filter(|(_, is_in)| **is_in);
            within.fold(Judged::default(), |sum, (number, _)| sum.and(*number))
        };
        // A number that lost all it had by chance belongs to the others: without it, only the lucky
        // ones would be left to compare with.
        loop {
            let total = sum(&is_ordinary);
            let by_chance: Vec<usize> = (0..all.len())
                .filter(|&index| {
                    !is_ordinary[index]
                        && statistics::chance(all[index], total) * asked as f64 >= LIKELY
                })
                .collect();
            if by_chance.is_empty() {
                break;
            }
            for index in by_chance {
                is_ordinary[index] = true;
            }
        }
        let pooled = sum(&vec![true; all.len()]);
        let bystanders = bystanders.filter(|_| pooled.lost == pooled.packets);
        let total = sum(&is_ordinary);
        let ordinary = all.iter().zip(&is_ordinary);
        let bare = numbers.zip(&all).map(|((number, carrier, tally), judged)| {
            let verdict = match carrier {
                Carrier::Ip => verdict(rule(tally)),
                Carrier::Udp => Verdict::Inconclusive,
            };
            (number, *judged, verdict)
        });
        Self {
            limited: Limited::find(&bare.collect::<Vec<_>>(), total),
            total,
            bystanders: bystanders.map(|Bystanders { packets, arrived }| Judged {
                packets,
                lost: packets - arrived,
            }),
            pooled,
            ordinary: ordinary
                .map(|(number, is_in)| if *is_in { *number } else { Judged::default() })
                .collect(),
            asked,
        }
    }

    /// What one number is compared with: the ordinary losses of all others, or of what is not HDP.
    fn others(&self, index: usize) -> Judged {
        if let Some(bystanders) = self.bystanders {
            return bystanders;
        }
        let own = self.ordinary[index];
        Judged {
            packets: self.total.packets - own.packets,
            lost: self.total.lost - own.lost,
        }
    }

    /// The numbers that a number which lost all may be one of, if its losses may be theirs.
    fn limited(&self, index: usize, own: Judged) -> Option<&Limited> {
        let limited = self.limited.as_ref()?;
        let is_near = limited.places.contains(&index);
        (is_near || limited.chance(own) >= LIKELY).then_some(limited)
    }

    /// Whether the number and its place in each round of sending are one: a limit that those before it
    /// use up would lose it each time, too.
    fn is_confounded(&self, tally: &Tally, verdict: Verdict) -> bool {
        let is_even = tally.spacings.iter().any(Spacing::is_even);
        verdict == Verdict::Blocked && is_even && self.bystanders.is_none()
    }

    /// The chance of a number's losses, for all numbers that are asked about.
    fn corrected(&self, index: usize, tally: &Tally, verdict: Verdict, chance: f64) -> f64 {
        let mut own = (chance * self.asked as f64).min(1.0);
        if verdict == Verdict::Blocked
            && let Some(limited) = &self.limited
        {
            own = own.max(limited.chance(tally.occasional()));
        }
        // Where several share a limit, what is sent last of them may lose each time.
        if matches!(verdict, Verdict::Blocked | Verdict::CutOff)
            && self
                .limited
                .as_ref()
                .is_some_and(|limited| limited.places.contains(&index))
        {
            own = own.max(LIKELY / 2.0);
        }
        // In a row with others each time: nothing tells numbers from moments.
        if verdict == Verdict::Blocked && is_in_rows(tally) && self.bystanders.is_none() {
            own = own.max(LIKELY / 2.0);
        }
        if self.is_confounded(tally, verdict) {
            own = own.max(LIKELY / 2.0);
        }
        // Where no number arrives and everything else does, what befalls all befalls each.
        let is_of_all = self
            .bystanders
            .is_some_and(|others| statistics::chance(self.pooled, others) < CERTAIN);
        if is_of_all {
            own.min(LIKELY / 2.0)
        } else {
            own
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
    let rule = match rule(&tally) {
        Rule::NothingJudged if tally.packets == 0 && !subject.refused.is_empty() => {
            Rule::SenderRefused
        }
        rule => rule,
    };
    let verdict = verdict(rule);
    let others = comparison.others(index);
    let own = if comparison.bystanders.is_some() {
        tally.judged()
    } else {
        tally.occasional()
    };
    let chance = statistics::chance(own, others);
    let corrected = comparison.corrected(index, &tally, verdict, chance);
    let name = |point: usize| subject.points[point].name.clone();
    let flows = flows::port_pairs(&subject.by_ports);
    let reasons = reasons(
        (&subject, &flows),
        &tally,
        verdict,
        others,
        (chance, comparison, index),
    );
    let grade = grade(&tally, verdict, corrected)
        .max(doubt(&subject, &tally))
        .max(doubt_of_the_rest(&tally, verdict));
    let more_packets = more_packets(&tally, verdict, grade, comparison, others);
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
        edge_at: tally
            .absences()
            .map(|(why, point, count)| EdgeAt {
                point: name(point),
                why,
                count,
            })
            .collect(),
        unheard: tally.unheard(),
        late: tally.late,
        ambiguous: tally.ambiguous,
        expired: tally.expired,
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
                witness: witnessed(&subject, &tally, (from, to)),
                last_hop: tally.ran_out_at.filter(|_| tally.lost_at.len() == 1).map(
                    |(hop, address)| LastHop {
                        hop,
                        address: address.to_string(),
                    },
                ),
            })
            .collect(),
        lost_during: tally.lost_during.during(),
        delay_ns: delay(&mut tally.delays_ns, never_in_time, reference),
        seen: tally.seen,
        refused: subject.refused,
        against_control: subject.against_control,
        icmp: subject.icmp,
        changes: subject.changes,
        more_packets,
        flows,
        assumes: tally
            .assumes
            .map(|clock_error_ns| Assumes { clock_error_ns }),
        rule,
        reasons,
    }
}

fn rule(tally: &Tally) -> Rule {
    let is_dead = tally.lost_in_dead_time == tally.lost;
    match (tally.delivered, tally.lost) {
        (0, 0) => Rule::NothingJudged,
        (1, 0) => Rule::OnlyOneArrived,
        (_, 0) => Rule::AllArrived,
        // The others came as far as was looked.
        (0, _) if tally.unheard() > 0 => Rule::SomeLostSomeUnheard,
        (0, _) if tally.survived() > 0 => Rule::SomeLostSomeUnjudged,
        (0, _) if tally.assumes.is_some() => Rule::AllLostByTheClocks,
        (0, _) if is_dead => Rule::OnlyDeadTimes,
        (0, _) => Rule::AllLost,
        (_, lost) if lost >= 2 && !is_dead && tally.first_lost_ns > tally.last_delivered_ns => {
            Rule::NoneAfterFirstLoss
        }
        _ => Rule::SomeLost,
    }
}

fn verdict(rule: Rule) -> Verdict {
    match rule {
        Rule::AllArrived | Rule::OnlyOneArrived => Verdict::Passes,
        Rule::SomeLost | Rule::SomeLostSomeUnheard | Rule::SomeLostSomeUnjudged => Verdict::Lossy,
        Rule::AllLost | Rule::AllLostByTheClocks => Verdict::Blocked,
        Rule::NoneAfterFirstLoss => Verdict::CutOff,
        Rule::SenderRefused => Verdict::Refused,
        Rule::NothingJudged | Rule::OnlyDeadTimes => Verdict::Inconclusive,
    }
}

fn grade(tally: &Tally, verdict: Verdict, chance: f64) -> Grade {
    match verdict {
        // The article's own case: the first packet got through, then none.
        Verdict::Passes if tally.delivered == 1 => Grade::Weak,
        Verdict::Passes | Verdict::Refused => Grade::Certain,
        Verdict::Inconclusive => Grade::Weak,
        Verdict::Blocked if tally.assumes.is_some() => Grade::Weak,
        Verdict::Lossy | Verdict::Blocked | Verdict::CutOff => {
            if is_attested(tally) || chance < CERTAIN {
                Grade::Certain
            } else if chance < LIKELY {
                Grade::Likely
            } else {
                Grade::Weak
            }
        }
    }
}

/// Whether a number that is blocked or cut off could be judged for the lesser part only, and nobody tells why.
fn is_mostly_unjudged(tally: &Tally, verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Blocked | Verdict::CutOff)
        && tally.unjudged() > tally.judged().packets
        && !is_attested(tally)
}

/// Whether somebody tells of the losses: a host in an ICMP error, or a witness.
fn is_attested(tally: &Tally) -> bool {
    !tally.answered.is_empty() || !tally.dropped_by.is_empty()
}

/// How much of the losses may be the captures' own, by what they dropped nobody knows where. An
/// answer proves the loss of what it quotes, but not of others, nor that it was lost right there.
fn doubt(subject: &Subject, tally: &Tally) -> Grade {
    let may_be_dropped = |&((_, to), count): &((usize, usize), u64)| {
        subject.points[to].summary.unplaced_drops().min(count)
    };
    match tally.lost_at.iter().map(may_be_dropped).sum::<u64>() {
        _ if tally.is_witnessed() => Grade::Certain,
        0 => Grade::Certain,
        dropped if dropped < tally.lost || !tally.answered.is_empty() => Grade::Likely,
        _ => Grade::Weak,
    }
}

/// What was not judged may have fared otherwise.
fn doubt_of_the_rest(tally: &Tally, verdict: Verdict) -> Grade {
    if is_mostly_unjudged(tally, verdict) {
        Grade::Likely
    } else {
        Grade::Certain
    }
}

/// How many packets more would make it certain, if more of them would.
fn more_packets(
    tally: &Tally,
    verdict: Verdict,
    grade: Grade,
    comparison: &Comparison,
    others: Judged,
) -> Option<u64> {
    match (grade, verdict) {
        (_, Verdict::Blocked) if tally.assumes.is_some() => None,
        // Not more of them are missing, but another order, or captures that cover them.
        _ if comparison.is_confounded(tally, verdict) || is_mostly_unjudged(tally, verdict) => None,
        // One arrival is no pass, two are.
        (Grade::Weak, Verdict::Passes) => Some(1),
        (Grade::Certain, _) | (_, Verdict::Inconclusive) => None,
        _ => statistics::more_packets(tally.judged(), others, comparison.asked),
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
        edge_at: Vec::new(),
        unheard: 0,
        late: 0,
        ambiguous: 0,
        expired: 0,
        altered: 0,
        duplicates: 0,
        reordered: 0,
        loss_runs: None,
        duplication: None,
        seen: vec![0; points],
        lost_at: Vec::new(),
        lost_during: Vec::new(),
        loss_interval: None,
        rule: Rule::SenderRefused,
        reasons: refused.iter().map(refusal).collect(),
        refused,
        icmp: Vec::new(),
        changes: Vec::new(),
        delay_ns: None,
        against_control: None,
        more_packets: None,
        flows: Vec::new(),
        assumes: None,
    }
}

fn refusal(refusal: &Refusal) -> Reason {
    Reason::Refused {
        requested: refusal.requested,
        call: refusal.call.clone(),
        errno: refusal.errno,
        name: refusal.name.clone(),
        count: refusal.count,
    }
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
    let of_delivered = [0.5, 0.9, 0.99];
    let [a, b, c] = with_lost.map(|q| q.unwrap_or(1.0));
    let mut wanted = [0.5, 0.9, 0.99, a, b, c];
    wanted.sort_by(f64::total_cmp);
    let (least, most) = (delays_ns.min()?, delays_ns.max()?);
    let found = delays_ns.quantiles(wanted)?;
    let delay = |q: f64| {
        let place = wanted.partition_point(|wanted| *wanted < q);
        found[place].saturating_sub(zero_ns)
    };
    let [min, max] = [least, most].map(|span_ns| span_ns.saturating_sub(zero_ns));
    let [p50, p90, p99] = of_delivered.map(delay);
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
    (chance, comparison, index): (f64, &Comparison, usize),
) -> Vec<Reason> {
    let name = |point: usize| subject.points[point].name.clone();
    let mut reasons = Vec::new();
    let judged = tally.judged();
    match verdict {
        Verdict::Passes if tally.delivered == 1 => reasons.push(Reason::OnlyOnePacket),
        Verdict::Passes => {}
        Verdict::Refused => reasons.extend(subject.refused.iter().map(refusal)),
        Verdict::Inconclusive => reasons.extend(unjudged(subject, tally)),
        Verdict::Lossy | Verdict::Blocked | Verdict::CutOff => {
            if let (Some(within_ns), Some(&((from, to), _))) =
                (tally.assumes, tally.lost_at.first())
            {
                reasons.push(Reason::IfClocksAgree {
                    from: name(from),
                    to: name(to),
                    within_ns,
                });
            }
            if is_ipv6_extension(subject) {
                reasons.push(Reason::Ipv6ExtensionHeader);
            }
            reasons.extend(dropped_by(subject, tally));
            reasons.extend(answers(tally));
            reasons.extend(flows::reason(flows));
            reasons.extend(tally.lost_at.iter().map(|&((from, to), count)| {
                let (from, to) = (name(from), name(to));
                Reason::SeenAndNot { from, to, count }
            }));
            reasons.extend(tally.ran_out_at.map(|(hop, address)| Reason::RanOutAt {
                hop,
                address: address.to_string(),
            }));
            reasons.extend(tally.missing_pieces.iter().map(|(&(point, byte), &count)| {
                Reason::MissingFragment {
                    point: name(point),
                    from_byte: byte,
                    count,
                }
            }));
            reasons.extend(tally.first_lost.map(|(point, number)| Reason::FirstLost {
                point: name(point),
                record: subject.points[point].kind,
                number: number.into(),
            }));
            reasons.extend(tally.answered_beyond.iter().map(|&(point, count)| {
                let point = name(point);
                Reason::AnsweredBeyond { point, count }
            }));
            for &((_, to), _) in &tally.lost_at {
                let frames = subject.points[to].summary.unplaced_drops();
                if frames > 0 && subject.points[to].kind == PointKind::Capture {
                    let point = name(to);
                    reasons.push(Reason::CaptureDropped { point, frames });
                }
            }
            reasons.extend(unheard(subject, tally));
            reasons.extend(overflows(subject, tally));
            if verdict == Verdict::CutOff {
                reasons.push(Reason::FirstPassed {
                    count: tally.delivered,
                });
            }
            reasons.extend(dead_time(tally));
            reasons.extend(confounders(tally, verdict, comparison, index));
            let asked = comparison.asked;
            reasons.push(if others.packets == 0 {
                Reason::NothingToCompare
            } else {
                Reason::Chance {
                    others: match comparison.bystanders {
                        Some(_) => Others::Bystanders,
                        None => Others::Numbers,
                    },
                    lost: judged.lost,
                    packets: judged.packets,
                    others_lost: others.lost,
                    others_packets: others.packets,
                    chance,
                    asked,
                }
            });
        }
    }
    reasons
}

/// What else than the number may have lost its packets.
fn confounders(
    tally: &Tally,
    verdict: Verdict,
    comparison: &Comparison,
    index: usize,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if verdict != Verdict::CutOff
        && let Some(limited) = comparison.limited(index, tally.occasional())
    {
        reasons.push(Reason::SharedLimit {
            numbers: limited.numbers.clone(),
            lost: limited.judged.lost,
            packets: limited.judged.packets,
        });
    }
    if verdict == Verdict::Blocked && is_in_rows(tally) && comparison.bystanders.is_none() {
        reasons.push(Reason::LostInARowWithOthers);
    }
    if comparison.is_confounded(tally, verdict) && !is_attested(tally) {
        reasons.push(Reason::LostAtEqualIntervals);
    }
    if is_mostly_unjudged(tally, verdict) {
        reasons.push(Reason::MostlyUnjudged {
            unjudged: tally.unjudged(),
        });
    }
    reasons
}

/// The rules that took packets between two points.
fn witnessed(subject: &Subject, tally: &Tally, place: (usize, usize)) -> Vec<Witnessed> {
    let here = tally.dropped_by.iter().filter(|((_, at), _)| *at == place);
    here.map(|(&(rule, _), &count)| Witnessed {
        by: subject.witnesses.named(rule),
        count,
    })
    .collect()
}

/// The rules that took packets.
fn dropped_by(subject: &Subject, tally: &Tally) -> impl Iterator<Item = Reason> {
    let places = tally.lost_at.iter().map(|(place, _)| *place);
    // On whichever way through its host a rule took them.
    let mut counts: BTreeMap<_, u64> = BTreeMap::new();
    for Witnessed { by, count } in places.flat_map(|place| witnessed(subject, tally, place)) {
        *counts.entry((by.witness, by.rule, by.hook)).or_default() += count;
    }
    counts
        .into_iter()
        .map(|((witness, rule, hook), count)| Reason::DroppedBy {
            witness,
            rule,
            hook,
            count,
        })
}

/// The hosts that answered lost packets.
fn answers(tally: &Tally) -> impl Iterator<Item = Reason> {
    let mut counts: BTreeMap<Answer, u64> = BTreeMap::new();
    for (&(answer, _), count) in &tally.answered {
        *counts.entry(answer).or_default() += count;
    }
    let lost = tally.lost;
    counts
        .into_iter()
        .map(move |((from, version, icmp_type, code), answered)| {
            // What would have befallen any number.
            let about = match (version, icmp_type, code) {
                (4, 3, 4) | (6, 2, _) => Some(NotTheNumber::Size),
                (4, 11, 0) | (6, 3, 0) => Some(NotTheNumber::Ttl),
                (4, 3, 0 | 1 | 6 | 7) | (6, 1, 0 | 3) => Some(NotTheNumber::Address),
                _ => None,
            };
            Reason::IcmpAnswer {
                from: from.to_string(),
                version,
                icmp_type,
                code,
                answered,
                lost,
                about,
            }
        })
}

fn expired(tally: &Tally) -> Option<Reason> {
    let count = tally.expired;
    (count > 0).then_some(Reason::Expired { count })
}

/// Why nothing could be judged.
fn unjudged(subject: &Subject, tally: &Tally) -> Vec<Reason> {
    let name = |point: usize| subject.points[point].name.clone();
    let mut reasons: Vec<Reason> = unheard(subject, tally).collect();
    reasons.extend(dead_time(tally));
    for (why, index, count) in tally.absences() {
        let point = name(index);
        let is_cut_short = || subject.points[index].cut_short.contains(&subject.protocol);
        reasons.extend(match why {
            // Said before.
            Absence::Unheard => None,
            Absence::Missed => Some(Reason::MissedByCapture { point, count }),
            Absence::CannotShow if is_cut_short() => {
                Some(Reason::SnapshotTooShort { point, count })
            }
            Absence::CannotShow => Some(Reason::CannotShow { point, count }),
            Absence::Unwatched => Some(Reason::NotWatching {
                point,
                count,
                may_have_dropped: subject.points[index].summary.placed_drops > 0,
            }),
            Absence::Unsettled => Some(Reason::ClockSetMeanwhile { point, count }),
            Absence::Unrelated => Some(Reason::ClocksUnrelated {
                from: name(tally.seen_before(index)),
                to: point,
                count,
            }),
        });
    }
    if tally.late > 0 {
        reasons.push(Reason::Late { count: tally.late });
    }
    if tally.ambiguous > 0 {
        reasons.push(Reason::Ambiguous {
            count: tally.ambiguous,
        });
    }
    reasons.extend(expired(tally));
    if tally.packets == 0 {
        reasons.push(Reason::OnlyQuoted);
    }
    reasons
}

/// Where a listener's socket for the number was full: those packets had arrived.
fn overflows(subject: &Subject, tally: &Tally) -> impl Iterator<Item = Reason> {
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
    let full = listeners.map(move |point| Reason::SocketFull {
        point: point.name.clone(),
        count: of_number(point),
    });
    full.filter(|full| !matches!(full, Reason::SocketFull { count: 0, .. }))
}

/// Whether all losses were in a row with those of several other numbers.
fn is_in_rows(tally: &Tally) -> bool {
    tally.occasions > 0 && tally.shared_occasions == tally.occasions
}

/// The losses that nothing else escaped either.
fn dead_time(tally: &Tally) -> Option<Reason> {
    let count = tally.lost_in_dead_time;
    (count > 0).then_some(Reason::DeadTime { count })
}

/// Which listener had no socket open for the number.
fn unheard(subject: &Subject, tally: &Tally) -> impl Iterator<Item = Reason> {
    let deaf = tally
        .absences()
        .filter(|(why, ..)| *why == Absence::Unheard);
    deaf.map(|(_, point, count)| Reason::Unheard {
        point: subject.points[point].name.clone(),
        count,
    })
}
