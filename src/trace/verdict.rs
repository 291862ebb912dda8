//! The judgement of a trace: from what was answered to how far each number gets.
//!
//! A number is said to disappear only between two hops that answer the control, by the exact chance
//! that its silence at the farther one is luck. Beyond the last router that answers, silence tells
//! nothing: a destination may take a number without a word.

use std::{collections::BTreeMap, net::IpAddr};

use super::{
    Refusals,
    exchange::{AnswerKind, Exchanges, Field, Probe},
    picture::{Asking, Meaning, Picture, Subject, meaning, most_frequent, went},
};
use crate::{
    decode::icmp_meaning,
    findings::{
        Carrier, Findings, Grade,
        trace::{
            Hop, HopAnswers, HopChange, HowAnswered, RoundTrips, Trace, TraceIcmp, TraceReason,
            TraceRule, TraceVerdict, TraceWarning, TracedProtocol,
        },
    },
    judge::{CERTAIN, LIKELY, chance},
    protocols,
};

/// What is found on the way between two addresses.
pub(super) fn judge(
    exchanges: &Exchanges,
    (source, destination): (IpAddr, IpAddr),
    refusals: &Refusals,
    mut warnings: Vec<TraceWarning>,
) -> Trace {
    let probes = exchanges.probes();
    let picture = Picture::new(probes, (source, destination), (i64::MAX, 0));
    let times = || {
        let own = probes
            .iter()
            .filter(|probe| (probe.source, probe.destination) == (source, destination));
        own.flat_map(|probe| {
            let answer = probe.answer.as_ref().map(|answer| answer.time_ns);
            std::iter::once(probe.sent_ns).chain(answer)
        })
    };
    let judge = Judge {
        asked: picture.numbers.len() as u64 + u64::from(picture.numbers.is_empty()),
        limited: limited(&picture),
        picture: &picture,
        source,
    };
    warnings.splice(0..0, judge.warnings(exchanges));
    let mut protocols: Vec<_> = judge.protocols(refusals);
    protocols.sort_by_key(|protocol| (protocol.protocol, protocol.carrier));
    Trace {
        schema_version: Findings::SCHEMA_VERSION,
        generator: concat!("hdp ", env!("CARGO_PKG_VERSION")).to_owned(),
        ruleset: Findings::RULESET,
        destination: destination.to_string(),
        source: source.to_string(),
        first_ns: times().min().unwrap_or(0),
        last_ns: times().max().unwrap_or(0),
        hops: judge.hops(),
        protocols,
        warnings,
    }
}

/// Hops that answer some controls only, while more come back of those that go farther.
pub(super) fn limited(picture: &Picture) -> Vec<u8> {
    let last = picture.destination_hop.unwrap_or(picture.farthest);
    let is_limited = |hop: u8| {
        let here = place(picture, hop).judged();
        let farther = match hop.checked_add(1) {
            Some(next) if hop < last => picture.control.within(next..=u8::MAX),
            _ => picture.control.within(1..=hop.saturating_sub(1)),
        };
        // What is silent altogether is not compared with.
        let answering = farther.answered() > 0 && here.packets > here.lost;
        answering && here.lost > 1 && chance(here, farther.judged()) < LIKELY
    };
    (1..=last).filter(|&hop| is_limited(hop)).collect()
}

/// Controls that were to end at this hop.
fn place(picture: &Picture, hop: u8) -> super::picture::Asked {
    if picture.destination_hop == Some(hop) {
        picture.control.within(hop..=u8::MAX)
    } else {
        picture.control.at(hop)
    }
}

struct Judge<'p, 'a> {
    picture: &'p Picture<'a>,
    source: IpAddr,
    /// How many numbers are asked about at once.
    asked: u64,
    limited: Vec<u8>,
}

/// A verdict and what it rests on.
struct Ruling {
    verdict: TraceVerdict,
    grade: Grade,
    rule: TraceRule,
    last_hop: u8,
    next_hop: Option<u8>,
    reasons: Vec<TraceReason>,
}

impl Ruling {
    fn inconclusive(rule: TraceRule, last_hop: u8, reason: TraceReason) -> Self {
        Self {
            verdict: TraceVerdict::Inconclusive,
            grade: Grade::Weak,
            rule,
            last_hop,
            next_hop: None,
            reasons: vec![reason],
        }
    }
}

impl Judge<'_, '_> {
    fn hops(&self) -> Vec<Hop> {
        let picture = self.picture;
        let last = picture.destination_hop.unwrap_or(picture.farthest);
        let changes = Changes::of(picture, &picture.control);
        let hops = (1..=last).map(|hop| {
            let asked = place(picture, hop);
            let is_destination = picture.destination_hop == Some(hop);
            let here = picture
                .control
                .probes
                .iter()
                .filter(|probe| probe.ttl == hop || (is_destination && probe.ttl > hop));
            let mut rtts: Vec<i64> = here.filter_map(|probe| probe.rtt_ns()).collect();
            rtts.sort_unstable();
            Hop {
                hop,
                addresses: strings(&picture.addresses(hop)),
                sent: asked.sent,
                answered: if is_destination {
                    asked.destination
                } else {
                    asked.expired
                },
                rtt_ns: rtts.first().map(|&min| RoundTrips {
                    min,
                    p50: rtts[rtts.len() / 2],
                    max: rtts[rtts.len() - 1],
                }),
                rate_limited: self.limited.contains(&hop),
                changes: changes.first_seen_at(hop),
            }
        });
        hops.collect()
    }

    fn protocols(&self, refusals: &Refusals) -> Vec<TracedProtocol> {
        let picture = self.picture;
        let nothing = Asking::default();
        let mut subjects: BTreeMap<Subject, &Asking> = picture
            .numbers
            .iter()
            .map(|(subject, asking)| (*subject, asking))
            .collect();
        if !picture.control.probes.is_empty() {
            subjects.insert((Carrier::Udp, crate::decode::number::UDP), &picture.control);
        }
        for subject in refusals.keys() {
            subjects.entry(*subject).or_insert(&nothing);
        }
        let control = Changes::of(picture, &picture.control);
        let subjects = subjects.into_iter();
        subjects
            .map(|(subject, asking)| {
                let ruling = self.rule(subject, asking, refusals);
                let own = Changes::of(picture, asking);
                let addresses = |hop: Option<u8>| self.address(asking, hop?);
                let between = [Some(ruling.last_hop), ruling.next_hop].map(addresses);
                TracedProtocol {
                    protocol: subject.1,
                    keyword: protocols::keyword(subject.1).map(str::to_owned),
                    carrier: subject.0,
                    verdict: ruling.verdict,
                    grade: ruling.grade,
                    rule: ruling.rule,
                    last_hop: ruling.last_hop,
                    next_hop: ruling.next_hop,
                    between: between.into_iter().flatten().collect(),
                    answers: self.answers(asking),
                    icmp: icmp(asking),
                    changes: match subject.0 {
                        Carrier::Ip => own.beyond(&control),
                        Carrier::Udp => Vec::new(),
                    },
                    reasons: ruling.reasons,
                }
            })
            .collect()
    }

    /// Who is at a hop, by the subject's own answers first.
    fn address(&self, asking: &Asking, hop: u8) -> Option<String> {
        if hop == 0 {
            return Some(self.source.to_string());
        }
        let own = answerers(asking, hop);
        let address = own.into_iter().chain(self.picture.addresses(hop)).next();
        address.map(|address| address.to_string())
    }

    fn rule(&self, subject: Subject, asking: &Asking, refusals: &Refusals) -> Ruling {
        let picture = self.picture;
        if let Some(refused) = refusals.get(&subject).filter(|_| asking.probes.is_empty()) {
            return Ruling {
                verdict: TraceVerdict::Refused,
                grade: Grade::Certain,
                rule: TraceRule::SenderRefused,
                last_hop: 0,
                next_hop: None,
                reasons: vec![refused.clone()],
            };
        }
        let last_hop = asking.farthest();
        let from_destination = asking.probes.iter().filter_map(|probe| {
            let answer = probe.answer.as_ref()?;
            let is_its = meaning(answer, picture.destination) == Meaning::Destination;
            is_its.then(|| (probe, answer, picture.is_from_destination(probe, answer)))
        });
        let (own, others): (Vec<_>, Vec<_>) = from_destination.partition(|(.., is_own)| *is_own);
        // Somebody nearer answers the control in its name: then it is not known where it is.
        let is_known = subject.0 == Carrier::Ip || picture.answered_for.is_none();
        if let Some((_, answer, _)) = own.first().filter(|_| is_known) {
            let how = match answer.kind {
                AnswerKind::Error {
                    version,
                    icmp_type,
                    code,
                } => HowAnswered::Icmp {
                    version,
                    icmp_type,
                    code,
                },
                _ => HowAnswered::Reply,
            };
            let went = own
                .iter()
                .filter_map(|(probe, answer, _)| went(probe, answer));
            let hop = picture.destination_hop.or(went.min());
            return Ruling {
                verdict: TraceVerdict::Reaches,
                grade: Grade::Certain,
                rule: TraceRule::DestinationAnswered,
                last_hop: hop.unwrap_or(last_hop),
                next_hop: None,
                reasons: vec![TraceReason::Answered {
                    how,
                    count: own.len() as u64,
                }],
            };
        }
        let nearest = others.iter().chain(&own);
        let nearest = nearest.filter_map(|(probe, answer, _)| went(probe, answer));
        if let Some(hop) = nearest.min() {
            let reason = TraceReason::AnsweredFor { hop };
            return Ruling::inconclusive(TraceRule::AnsweredFor, last_hop, reason);
        }
        if let Some(ruling) = self.refused_on_the_way(subject, asking, last_hop) {
            return ruling;
        }
        if subject.0 == Carrier::Udp || picture.control.probes.is_empty() {
            let (rule, reason) = if subject.0 == Carrier::Udp {
                let hop = last_hop;
                (TraceRule::AsFarAsControl, TraceReason::ControlEnds { hop })
            } else {
                (TraceRule::NoControl, TraceReason::NoControl)
            };
            return Ruling::inconclusive(rule, last_hop, reason);
        }
        let unreported = asking.probes.iter().map(|p| p.unreported_icmp_type());
        let unreported: Option<Vec<u8>> = unreported.collect();
        if let Some(&[icmp_type, ..]) = unreported.as_deref() {
            let reason = TraceReason::NoErrorsAboutIt { icmp_type };
            return Ruling::inconclusive(TraceRule::NoErrorsAboutIt, last_hop, reason);
        }
        if last_hop >= picture.farthest {
            return self.as_far_as_control(asking, last_hop);
        }
        self.silent_behind(asking, last_hop)
    }

    /// An ICMP error from somebody on the way that the control did not get.
    fn refused_on_the_way(
        &self,
        subject: Subject,
        asking: &Asking,
        last_hop: u8,
    ) -> Option<Ruling> {
        let picture = self.picture;
        let refusals = |asking: &Asking| {
            let mut counts: BTreeMap<(IpAddr, u8, u8, u8), u64> = BTreeMap::new();
            for probe in &asking.probes {
                if let Some(answer) = &probe.answer
                    && meaning(answer, picture.destination) == Meaning::Refusal
                    && let AnswerKind::Error {
                        version,
                        icmp_type,
                        code,
                    } = answer.kind
                {
                    *counts
                        .entry((answer.from, version, icmp_type, code))
                        .or_default() += 1;
                }
            }
            counts
        };
        let own = refusals(asking);
        let control = refusals(&picture.control);
        let (&(from, version, icmp_type, code), &count) =
            own.iter().max_by_key(|(_, count)| **count)?;
        let hop = picture.hop_of(from);
        let last_hop = last_hop.max(hop.unwrap_or(0));
        let reason = TraceReason::RefusedBy {
            from: from.to_string(),
            hop,
            version,
            icmp_type,
            code,
            count,
        };
        let is_control = subject.0 == Carrier::Udp;
        if control.contains_key(&(from, version, icmp_type, code)) && !is_control {
            let from = from.to_string();
            let mut ruling = Ruling::inconclusive(
                TraceRule::RefusedLikeControl,
                last_hop,
                TraceReason::ControlRefused { from },
            );
            ruling.reasons.insert(0, reason);
            return Some(ruling);
        }
        // Who refuses under an address that answers no control may sit anywhere behind.
        let next_hop = hop.and_then(|_| {
            let behind = picture.responsive().into_iter();
            behind
                .chain(picture.destination_hop)
                .find(|hop| *hop > last_hop)
        });
        Some(Ruling {
            verdict: TraceVerdict::Disappears,
            grade: Grade::Certain,
            rule: TraceRule::IcmpRefusal,
            last_hop,
            next_hop,
            reasons: vec![reason],
        })
    }

    /// The last router that answers the control answered the number too.
    fn as_far_as_control(&self, asking: &Asking, last_hop: u8) -> Ruling {
        let picture = self.picture;
        let sent = picture
            .destination_hop
            .map(|hop| asking.within(hop..=u8::MAX).sent)
            .filter(|sent| *sent > 0);
        match sent {
            Some(sent) => Ruling {
                next_hop: picture.destination_hop,
                ..Ruling::inconclusive(
                    TraceRule::DestinationSilent,
                    last_hop,
                    TraceReason::DestinationSilent { sent },
                )
            },
            None => Ruling::inconclusive(
                TraceRule::AsFarAsControl,
                last_hop,
                TraceReason::ControlEnds {
                    hop: picture.farthest,
                },
            ),
        }
    }

    /// A hop behind the last one answers the control, and not the number.
    fn silent_behind(&self, asking: &Asking, last_hop: u8) -> Ruling {
        let picture = self.picture;
        let silences = picture
            .responsive()
            .into_iter()
            .filter(|&hop| hop > last_hop && asking.at(hop).sent > 0)
            .map(|hop| {
                let number = asking.at(hop).judged();
                let control = picture.control.at(hop).judged();
                let chance = chance(number, control);
                let reason = TraceReason::Silent {
                    hop,
                    sent: number.packets,
                    control_sent: control.packets,
                    control_answered: control.packets - control.lost,
                    chance,
                    asked: self.asked,
                };
                (hop, self.grade(chance), control, reason)
            });
        // The nearest of those that tell most.
        let silent = silences
            .filter_map(|(hop, grade, control, reason)| Some((grade?, hop, control, reason)))
            .min_by_key(|(grade, hop, ..)| (*grade, *hop));
        let Some((mut grade, next_hop, control, reason)) = silent else {
            let hop = picture.farthest;
            return Ruling::inconclusive(
                TraceRule::TooFew,
                last_hop,
                TraceReason::ControlEnds { hop },
            );
        };
        let mut reasons = vec![reason];
        let between = last_hop + 1..next_hop;
        let is_silent = |hop: &u8| {
            let control = picture.control.at(*hop);
            control.sent > 0 && control.expired == 0
        };
        let hops: Vec<u8> = between.filter(is_silent).collect();
        if !hops.is_empty() {
            reasons.push(TraceReason::SilentForAll { hops });
        }
        for hop in [last_hop, next_hop] {
            let addresses = picture.addresses(hop);
            if addresses.len() > 1 {
                // The number may have gone where a router is always silent.
                if control.lost > 0 {
                    grade = grade.max(Grade::Likely);
                }
                reasons.push(TraceReason::SeveralPaths {
                    hop,
                    addresses: strings(&addresses),
                });
            }
        }
        let known = picture.addresses(last_hop);
        let others = answerers(asking, last_hop).into_iter();
        if let Some(from) = others.into_iter().find(|from| !known.contains(from)) {
            reasons.push(TraceReason::OtherPath {
                hop: last_hop,
                from: from.to_string(),
            });
        }
        Ruling {
            verdict: TraceVerdict::Disappears,
            grade,
            rule: TraceRule::SilentBehind,
            last_hop,
            next_hop: Some(next_hop),
            reasons,
        }
    }

    /// How sure such a chance makes that it is none; `None` where it may well be.
    fn grade(&self, chance: f64) -> Option<Grade> {
        let among_all = chance * self.asked as f64;
        if among_all < CERTAIN {
            Some(Grade::Certain)
        } else if among_all < LIKELY {
            Some(Grade::Likely)
        } else if chance < LIKELY {
            Some(Grade::Weak)
        } else {
            None
        }
    }

    fn answers(&self, asking: &Asking) -> Vec<HopAnswers> {
        let mut hops: BTreeMap<u8, HopAnswers> = BTreeMap::new();
        for (&ttl, asked) in &asking.by_ttl {
            let hop = self.picture.destination_hop.unwrap_or(ttl).min(ttl);
            let answers = hops.entry(hop).or_insert(HopAnswers {
                hop,
                sent: 0,
                answered: 0,
                from: Vec::new(),
            });
            answers.sent += asked.sent;
            answers.answered += asked.answered();
        }
        for (hop, answers) in &mut hops {
            let is_here = |probe: &&&Probe| {
                self.picture
                    .destination_hop
                    .unwrap_or(probe.ttl)
                    .min(probe.ttl)
                    == *hop
            };
            let here = asking.probes.iter().filter(is_here);
            let from = here.filter_map(|probe| Some(probe.answer.as_ref()?.from));
            answers.from = strings(&most_frequent(from));
        }
        hops.into_values().collect()
    }

    fn warnings(&self, exchanges: &Exchanges) -> Vec<TraceWarning> {
        let picture = self.picture;
        let mut warnings = Vec::new();
        let sent = picture.control.probes.len() as u64;
        if sent == 0 {
            warnings.push(TraceWarning::NoControl);
        } else if picture.farthest == 0
            && picture.destination_hop.is_none()
            && picture.answered_for.is_none()
        {
            warnings.push(TraceWarning::NothingAnswered { sent });
        } else if picture.destination_hop.is_none() && picture.answered_for.is_none() {
            warnings.push(TraceWarning::DestinationSilent);
        }
        if let Some((hop, addresses)) = picture.is_loop() {
            let addresses = strings(&addresses);
            warnings.push(TraceWarning::Loop { hop, addresses });
        }
        if let Some(hop) = picture.answered_for {
            warnings.push(TraceWarning::AnsweredFor { hop });
        }
        if picture.ttl_rewritten {
            let hop = picture.farthest;
            warnings.push(TraceWarning::TtlRewritten { hop });
        }
        if !self.limited.is_empty() {
            let hops = self.limited.clone();
            warnings.push(TraceWarning::RateLimited { hops });
        }
        if exchanges.strangers() > 0 {
            let count = exchanges.strangers();
            warnings.push(TraceWarning::UnknownQuotes { count });
        }
        warnings
    }
}

/// Who said that the subject's TTL ran out at a hop.
fn answerers(asking: &Asking, hop: u8) -> Vec<IpAddr> {
    let at_hop = asking.probes.iter().filter(|probe| probe.ttl == hop);
    let answers = at_hop.filter_map(|probe| probe.answer.as_ref());
    most_frequent(
        answers
            .filter(|answer| answer.kind == AnswerKind::Expired)
            .map(|answer| answer.from),
    )
}

fn strings(addresses: &[IpAddr]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

/// The ICMP errors but for those of a trace's own making.
fn icmp(asking: &Asking) -> Vec<TraceIcmp> {
    let mut counts: BTreeMap<(IpAddr, u8, u8, u8), u64> = BTreeMap::new();
    for answer in asking
        .probes
        .iter()
        .filter_map(|probe| probe.answer.as_ref())
    {
        if let AnswerKind::Error {
            version,
            icmp_type,
            code,
        } = answer.kind
        {
            let key = (answer.from, version, icmp_type, code);
            *counts.entry(key).or_default() += 1;
        }
    }
    let errors = counts.into_iter();
    errors
        .map(|((from, version, icmp_type, code), count)| TraceIcmp {
            from: from.to_string(),
            icmp_type,
            code,
            meaning: icmp_meaning(version, icmp_type, code).to_owned(),
            count,
        })
        .collect()
}

/// What the quotes from each hop show to be unlike what was sent.
struct Changes {
    /// By hop, those that answered with a quote only.
    by_hop: BTreeMap<u8, HopQuotes>,
}

#[derive(Default)]
struct HopQuotes {
    quotes: u64,
    changes: BTreeMap<(Field, Option<[String; 2]>), u64>,
}

impl Changes {
    fn of(picture: &Picture, asking: &Asking) -> Self {
        let mut by_hop: BTreeMap<u8, HopQuotes> = BTreeMap::new();
        for probe in &asking.probes {
            let Some(answer) = probe.answer.as_ref().filter(|a| a.quoted_ttl.is_some()) else {
                continue;
            };
            let hop = match meaning(answer, picture.destination) {
                Meaning::Expired => probe.ttl,
                Meaning::Destination => match picture.destination_hop {
                    Some(hop) => hop,
                    None => continue,
                },
                Meaning::Refusal => continue,
            };
            let quotes = by_hop.entry(hop).or_default();
            quotes.quotes += 1;
            for (field, sent, quoted) in &answer.changes {
                // Ports and identifications differ from probe to probe.
                let values = match field {
                    Field::SourcePort | Field::DestinationPort | Field::IpId => None,
                    _ => Some([sent.clone(), quoted.clone()]),
                };
                *quotes.changes.entry((*field, values)).or_default() += 1;
            }
        }
        Self { by_hop }
    }

    /// What most quotes from this hop show, and those from all hops behind it, but not those from the
    /// one before: what only one hop shows is that hop's way of quoting.
    fn first_seen_at(&self, hop: u8) -> Vec<HopChange> {
        let Some(here) = self.by_hop.get(&hop) else {
            return Vec::new();
        };
        let before = self.by_hop.range(..hop).next_back();
        let shows = |quotes: &HopQuotes, change: &(Field, Option<[String; 2]>)| {
            quotes.changes.get(change).copied().unwrap_or(0) * 2 > quotes.quotes
        };
        let changes = here.changes.iter().filter(|(change, _)| {
            shows(here, change)
                && before.is_none_or(|(_, quotes)| !shows(quotes, change))
                && self
                    .by_hop
                    .range(hop..)
                    .all(|(_, quotes)| shows(quotes, change))
        });
        changes
            .map(|((field, values), &count)| HopChange {
                field: field.name().to_owned(),
                from: values.as_ref().map(|[from, _]| from.clone()),
                to: values.as_ref().map(|[_, to]| to.clone()),
                between: [before.map_or(0, |(hop, _)| *hop), hop],
                count,
            })
            .collect()
    }

    /// What these show and those do not at any hop.
    fn beyond(&self, others: &Self) -> Vec<HopChange> {
        let known = |change: &HopChange| {
            let fields = others
                .by_hop
                .values()
                .flat_map(|quotes| quotes.changes.keys());
            fields.into_iter().any(|(field, values)| {
                field.name() == change.field
                    && values.as_ref().map(|[_, to]| to) == change.to.as_ref()
            })
        };
        let hops = self.by_hop.keys();
        let changes = hops.flat_map(|&hop| self.first_seen_at(hop));
        changes.filter(|change| !known(change)).collect()
    }
}
