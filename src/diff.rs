//! Two results compared: what the path does otherwise than before.
//!
//! Chance alone makes two runs over the same path differ. A number has *changed* where Fisher's exact
//! test says that its losses would hardly differ so if it were treated alike, corrected over all numbers
//! that could show a change (Holm 1979, Tarone 1990): of a thousand pairs of results from paths that did
//! not change, one has a change that is none. One that lost nothing in one of the results has changed too
//! where the others, which all fare alike, tell that this is as rare (`beside`). What differs more than
//! one number alone would by chance, but not more than one of so many, has *perhaps* changed.
//!
//! The module promises that verdicts alone are never compared: with three packets a number, blocked and
//! passing lie within chance of each other. It deliberately knows nothing of captures: two of them from
//! different runs are no two results.

mod beside;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::beside::{Both, Weighed, weigh};
use crate::{
    findings::{
        Carrier, Change, Delay, Direction, Findings, Grade, Protocol, Verdict,
        trace::{Hop, Trace, TraceVerdict, TracedProtocol},
    },
    judge::{CERTAIN, Judged, LIKELY, chance},
};

/// What differs between two results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// As [`Findings::schema_version`].
    pub schema_version: u32,
    /// `hdp X.Y.Z`.
    pub generator: String,
    /// The earlier result.
    pub before: Origin,
    /// The later one.
    pub after: Origin,
    /// Every number of either, by direction.
    pub numbers: Vec<Compared>,
    /// What is changed on the way in one of the results only.
    pub changes: Vec<ChangeOfChanges>,
    /// Delays, side by side: no claim, since two runs share no clock.
    pub delays: Vec<Delays>,
    /// What a reader must know before trusting the rest. JSON has it in words too, as `warnings`.
    #[serde(rename = "warnings_typed")]
    pub warnings: Vec<Caution>,
}

/// A result that was compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The `hdp` that made it.
    pub generator: String,
    /// Its rules of judgement.
    pub ruleset: u32,
    /// When it begins, on the clock of its first point.
    pub first_ns: Option<i64>,
    /// When it ends.
    pub last_ns: Option<i64>,
}

/// A number in both results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// From which end.
    pub from: String,
    /// To which.
    pub to: String,
    /// The number.
    pub protocol: u16,
    /// IANA's keyword, or null where it has none.
    pub keyword: Option<String>,
    /// What HDP rode on.
    pub carrier: Carrier,
    /// What became of it.
    pub outcome: Outcome,
    /// How it fared before; null where it was not sent.
    pub before: Option<State>,
    /// How it fares after.
    pub after: Option<State>,
    /// The chance of losses so different if nothing changed, two-sided, of this number alone; null where
    /// no packets are compared.
    pub p_value: Option<f64>,
    /// The same, corrected over all numbers that could show a change; or the chance beside what the other
    /// numbers tell of the path, corrected over all, where that is smaller.
    pub p_adjusted: Option<f64>,
    /// How many times as many packets, faring alike, would make a change certain; null where one is, and
    /// where no reasonable number would.
    pub times_more: Option<u32>,
}

/// Whether a number is treated otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is.
    Changed,
    /// It fared otherwise, which chance may have done.
    Perhaps,
    /// Nothing tells of a change.
    Same,
    /// It was sent before only.
    OnlyBefore,
    /// It was sent after only.
    OnlyAfter,
}

/// How a number fared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The verdict, as the result has it.
    pub verdict: String,
    /// How sure that is.
    pub grade: Grade,
    /// Packets that were judged; 0 in a trace.
    pub judged: u64,
    /// Of these, those that arrived.
    pub delivered: u64,
    /// Between which points, or hops, most was lost; null where nothing was.
    pub lost_between: Option<[String; 2]>,
}

/// A change on the way, which numbers undergo in one of the results only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeOfChanges {
    /// The field, as [`Change::field`] names it; `address` of a hop.
    pub field: String,
    /// Between which points or hops.
    pub between: [String; 2],
    /// What it was before: values, or `as sent`.
    pub before: String,
    /// What it is after.
    pub after: String,
    /// Under which numbers; empty for hops.
    pub protocols: Vec<u16>,
}

/// Delays of one direction over numbers that arrived both times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delays {
    /// From which end.
    pub from: String,
    /// To which.
    pub to: String,
    /// The median of the numbers' medians before, in nanoseconds.
    pub before_ns: i64,
    /// After.
    pub after_ns: i64,
    /// Numbers compared.
    pub numbers: u64,
    /// Of these, those whose median is larger after.
    pub longer: u64,
}

/// Why a comparison may say less than it seems.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Caution {
    /// The results were judged by different rules.
    Rulesets {
        /// Those of the earlier result.
        before: u32,
        /// Those of the later one.
        after: u32,
    },
    /// Both were made from the same files.
    SameInputs,
    /// The points have other names: directions were compared in their order.
    OtherPoints {
        /// Of the earlier result.
        before: Vec<String>,
        /// Of the later one.
        after: Vec<String>,
    },
    /// A direction is in one of the results only.
    OneWay {
        /// From which end.
        from: String,
        /// To which.
        to: String,
    },
    /// The traces lead to different hosts.
    OtherDestination {
        /// Of the earlier result.
        before: String,
        /// Of the later one.
        after: String,
    },
}

impl Difference {
    /// Whether any number is treated otherwise.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.numbers
            .iter()
            .any(|number| number.outcome == Outcome::Changed)
    }

    fn new(before: Origin, after: Origin) -> Self {
        let mut warnings = Vec::new();
        if before.ruleset != after.ruleset {
            warnings.push(Caution::Rulesets {
                before: before.ruleset,
                after: after.ruleset,
            });
        }
        Self {
            schema_version: Findings::SCHEMA_VERSION,
            generator: concat!("hdp ", env!("CARGO_PKG_VERSION")).to_owned(),
            before,
            after,
            numbers: Vec::new(),
            changes: Vec::new(),
            delays: Vec::new(),
            warnings,
        }
    }
}

/// Compares two results of a path.
#[must_use]
pub fn of_paths(before: &Findings, after: &Findings) -> Difference {
    let mut all = Difference::new(origin(before), origin(after));
    let old_digests = digests(before).filter(|digests| !digests.is_empty());
    if old_digests.is_some() && old_digests == digests(after) {
        all.warnings.push(Caution::SameInputs);
    }
    let names = |findings: &Findings| -> Vec<String> {
        let points = findings.path_points().iter();
        points.map(|point| point.name.clone()).collect()
    };
    let (old, new) = (names(before), names(after));
    let by_name = old == new;
    if !by_name {
        all.warnings.push(Caution::OtherPoints {
            before: old,
            after: new,
        });
    }
    let twin = |index: usize, direction: &Direction, others: &'_ [Direction]| {
        let same = |other: &Direction| (&other.from, &other.to) == (&direction.from, &direction.to);
        if by_name {
            others.iter().position(same)
        } else {
            (index < others.len()).then_some(index)
        }
    };
    let mut weighed = Vec::new();
    for (index, direction) in after.directions.iter().enumerate() {
        match twin(index, direction, &before.directions) {
            Some(old) => weighed.extend(compare(&before.directions[old], direction, &mut all)),
            None => all.warnings.push(one_way(direction)),
        }
    }
    for (index, direction) in before.directions.iter().enumerate() {
        if twin(index, direction, &after.directions).is_none() {
            all.warnings.push(one_way(direction));
        }
    }
    settle(&mut all.numbers, &weighed);
    all
}

/// What all inputs were, if that is known.
fn digests(findings: &Findings) -> Option<Vec<String>> {
    findings
        .inputs
        .iter()
        .map(|input| input.sha256.clone())
        .collect()
}

fn one_way(direction: &Direction) -> Caution {
    Caution::OneWay {
        from: direction.from.clone(),
        to: direction.to.clone(),
    }
}

fn origin(findings: &Findings) -> Origin {
    let first = findings.points.first();
    Origin {
        generator: findings.generator.clone(),
        ruleset: findings.ruleset,
        first_ns: first.and_then(|point| point.first_ns),
        last_ns: first.and_then(|point| point.last_ns),
    }
}

/// One direction of two results; what the other numbers tell of each is returned.
fn compare(before: &Direction, after: &Direction, all: &mut Difference) -> Vec<Weighed> {
    let key = |protocol: &Protocol| (protocol.protocol, protocol.carrier);
    let mut pairs: BTreeMap<_, (Option<&Protocol>, Option<&Protocol>)> = BTreeMap::new();
    for protocol in &before.protocols {
        pairs.entry(key(protocol)).or_default().0 = Some(protocol);
    }
    for protocol in &after.protocols {
        pairs.entry(key(protocol)).or_default().1 = Some(protocol);
    }
    let mut unlike: Vec<ChangeOfChanges> = Vec::new();
    let mut medians: Vec<(i64, i64)> = Vec::new();
    let mut both: Vec<Both> = Vec::new();
    for ((protocol, carrier), (old, new)) in pairs {
        let any = old.or(new);
        let mut compared = Compared {
            from: after.from.clone(),
            to: after.to.clone(),
            protocol,
            keyword: any.and_then(|any| any.keyword.clone()),
            carrier,
            outcome: Outcome::Same,
            before: old.map(state),
            after: new.map(state),
            p_value: None,
            p_adjusted: None,
            times_more: None,
        };
        match (old, new) {
            (Some(old), Some(new)) => {
                judge(old, new, &mut compared);
                both.push(Both::of(all.numbers.len(), carrier, old, new));
                if old.delivered > 0 && new.delivered > 0 {
                    compare_changes(old, new, &mut unlike);
                }
                medians.extend(both_medians(old.delay_ns.as_ref(), new.delay_ns.as_ref()));
            }
            (Some(_), None) => compared.outcome = Outcome::OnlyBefore,
            (None, _) => compared.outcome = Outcome::OnlyAfter,
        }
        all.numbers.push(compared);
    }
    all.changes.append(&mut unlike);
    let of = |side: fn(&(i64, i64)) -> i64| {
        let mut sorted: Vec<i64> = medians.iter().map(side).collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    };
    if let (Some(before_ns), Some(after_ns)) = (of(|pair| pair.0), of(|pair| pair.1)) {
        all.delays.push(Delays {
            from: after.from.clone(),
            to: after.to.clone(),
            before_ns,
            after_ns,
            numbers: medians.len() as u64,
            longer: medians.iter().filter(|(old, new)| new > old).count() as u64,
        });
    }
    weigh(&both)
}

/// Medians that are counted from the same thing.
fn both_medians(old: Option<&Delay>, new: Option<&Delay>) -> Option<(i64, i64)> {
    let (old, new) = old.zip(new)?;
    (old.reference == new.reference).then_some((old.p50, new.p50))
}

fn judged(protocol: &Protocol) -> Judged {
    Judged {
        packets: protocol.delivered + protocol.lost,
        lost: protocol.lost,
    }
}

fn state(protocol: &Protocol) -> State {
    let most = protocol.lost_at.iter().max_by_key(|lost| lost.count);
    State {
        verdict: name_of(protocol.verdict),
        grade: protocol.grade,
        judged: judged(protocol).packets,
        delivered: protocol.delivered,
        lost_between: most.map(|lost| [lost.from.clone(), lost.to.clone()]),
    }
}

/// A verdict as JSON has it.
fn name_of(verdict: impl Serialize) -> String {
    let value = serde_json::to_value(verdict).ok();
    value
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// What can be said of a number by itself; [`settle`] corrects it over all.
fn judge(old: &Protocol, new: &Protocol, compared: &mut Compared) {
    let (before, after) = (judged(old), judged(new));
    if before.packets > 0 && after.packets > 0 {
        compared.p_value = Some(two_sided(before, after));
    }
    // An error of the sender's system is no matter of chance.
    let is_refused = |protocol: &Protocol| protocol.verdict == Verdict::Refused;
    if is_refused(old) != is_refused(new) {
        compared.outcome = Outcome::Changed;
    }
    let place = |protocol: &Protocol| match protocol.lost_at.as_slice() {
        [only] if protocol.verdict == Verdict::Blocked && protocol.grade == Grade::Certain => {
            Some((only.from.clone(), only.to.clone()))
        }
        _ => None,
    };
    // All of it is lost elsewhere.
    if let (Some(old), Some(new)) = (place(old), place(new))
        && old != new
    {
        compared.outcome = Outcome::Changed;
    }
}

/// Fisher's exact test, two-sided by doubling the smaller tail.
fn two_sided(before: Judged, after: Judged) -> f64 {
    (2.0 * chance(before, after).min(chance(after, before))).min(1.0)
}

/// Corrects all chances over each other and says what has changed: step by step as Holm (1979) does, over
/// the numbers only whose losses, however they had fallen, could have had so small a chance (Tarone 1990):
/// those that lost nothing either time cannot seem to have changed. What was weighed against the others is
/// corrected over all (Bonferroni).
fn settle(numbers: &mut [Compared], weighed: &[Weighed]) {
    let mut tested: Vec<Tested> = numbers
        .iter()
        .enumerate()
        .filter_map(|(index, number)| Tested::of(index, number))
        .collect();
    tested.sort_by(|a, b| a.chance.total_cmp(&b.chance));
    let mut largest: f64 = 0.0;
    for (rank, test) in tested.iter().enumerate() {
        let able = |other: &&Tested| other.least <= test.chance;
        let among = tested[rank..].iter().filter(able).count();
        largest = largest.max((test.chance * among as f64).min(1.0));
        let beside = weighed.iter().find(|weighed| weighed.index == test.index);
        let beside = beside.map_or(1.0, |beside| beside.chance * tested.len() as f64);
        let adjusted = largest.min(beside);
        let number = &mut numbers[test.index];
        number.p_adjusted = Some(adjusted);
        if adjusted < CERTAIN {
            number.outcome = Outcome::Changed;
        } else if number.outcome == Outcome::Same {
            let flipped = number.before.as_ref().zip(number.after.as_ref());
            let flipped =
                flipped.is_some_and(|(old, new)| (old.delivered == 0) != (new.delivered == 0));
            if test.chance < LIKELY || flipped {
                number.outcome = Outcome::Perhaps;
                // With more packets all that lost some could.
                let among = tested.iter().filter(|test| test.least < 1.0).count();
                number.times_more = times_more(number, among);
            }
        }
    }
}

/// A number that is tested for a change.
struct Tested {
    index: usize,
    chance: f64,
    /// The smallest chance that so many losses among so many packets could have had.
    least: f64,
}

impl Tested {
    fn of(index: usize, number: &Compared) -> Option<Self> {
        let chance = number.p_value?;
        let [old, new] = [number.before.as_ref()?, number.after.as_ref()?];
        let lost = (old.judged - old.delivered) + (new.judged - new.delivered);
        // As many of them as can be in one of the results.
        let all_in = |one: &State, other: &State| {
            let in_one = lost.min(one.judged);
            let of = |state: &State, lost: u64| Judged {
                packets: state.judged,
                lost,
            };
            two_sided(of(one, in_one), of(other, lost - in_one))
        };
        Some(Self {
            index,
            chance,
            least: all_in(old, new).min(all_in(new, old)),
        })
    }
}

/// How many times as many packets, faring alike, make a number's change certain among so many.
fn times_more(number: &Compared, among: usize) -> Option<u32> {
    const MOST: u32 = 100;
    let (old, new) = (number.before.as_ref()?, number.after.as_ref()?);
    let of = |state: &State, times: u32| Judged {
        packets: state.judged * u64::from(times),
        lost: (state.judged - state.delivered) * u64::from(times),
    };
    (2..=MOST).find(|&times| two_sided(of(old, times), of(new, times)) * (among as f64) < CERTAIN)
}

/// Fields of which values are compared; of the others, whether they are changed at all: addresses and
/// ports differ from run to run.
const VALUES: [&str; 4] = ["ttl", "dscp", "ecn", "protocol"];
const PRESENCE: [&str; 4] = [
    "source_address",
    "destination_address",
    "source_port",
    "destination_port",
];

/// What most packets of a number undergo in one of the results only.
fn compare_changes(old: &Protocol, new: &Protocol, all: &mut Vec<ChangeOfChanges>) {
    let usual = |protocol: &Protocol| -> BTreeMap<(String, [String; 2]), String> {
        let changes = protocol.changes.iter();
        let usual = changes.filter(|change| change.count * 2 > protocol.delivered);
        usual
            .filter_map(|change| {
                Some((
                    (change.field.clone(), change.between.clone()),
                    value(change)?,
                ))
            })
            .collect()
    };
    let (old_changes, new_changes) = (usual(old), usual(new));
    let mut places: Vec<_> = old_changes.keys().chain(new_changes.keys()).collect();
    places.sort_unstable();
    places.dedup();
    for place in places {
        let of = |changes: &BTreeMap<_, String>| {
            changes
                .get(place)
                .cloned()
                .unwrap_or_else(|| Change::AS_SENT.to_owned())
        };
        let (before, after) = (of(&old_changes), of(&new_changes));
        if before == after {
            continue;
        }
        let (field, between) = place.clone();
        let same = |known: &&mut ChangeOfChanges| {
            (&known.field, &known.between, &known.before, &known.after)
                == (&field, &between, &before, &after)
        };
        match all.iter_mut().find(same) {
            Some(known) => known.protocols.push(old.protocol),
            None => all.push(ChangeOfChanges {
                field,
                between,
                before,
                after,
                protocols: vec![old.protocol],
            }),
        }
    }
}

/// What a change does, as far as two runs can be compared by it.
fn value(change: &Change) -> Option<String> {
    let field = change.field.as_str();
    if field == "ttl" {
        Some(format!("lower by {}", change.hops?))
    } else if VALUES.contains(&field) {
        Some(format!("{} → {}", change.from, change.to))
    } else if PRESENCE.contains(&field) {
        Some("translated".to_owned())
    } else {
        None
    }
}

/// Compares two traces.
#[must_use]
pub fn of_traces(before: &Trace, after: &Trace) -> Difference {
    let origin = |trace: &Trace| Origin {
        generator: trace.generator.clone(),
        ruleset: trace.ruleset,
        first_ns: Some(trace.first_ns),
        last_ns: Some(trace.last_ns),
    };
    let mut all = Difference::new(origin(before), origin(after));
    if before.destination != after.destination {
        all.warnings.push(Caution::OtherDestination {
            before: before.destination.clone(),
            after: after.destination.clone(),
        });
    }
    let key = |number: &TracedProtocol| (number.protocol, number.carrier);
    let mut pairs: BTreeMap<_, (Option<&TracedProtocol>, Option<&TracedProtocol>)> =
        BTreeMap::new();
    for number in &before.protocols {
        pairs.entry(key(number)).or_default().0 = Some(number);
    }
    for number in &after.protocols {
        pairs.entry(key(number)).or_default().1 = Some(number);
    }
    for ((protocol, carrier), (old, new)) in pairs {
        let outcome = match (old, new) {
            (Some(old), Some(new)) => traced(old, new),
            (Some(_), None) => Outcome::OnlyBefore,
            (None, _) => Outcome::OnlyAfter,
        };
        all.numbers.push(Compared {
            from: after.source.clone(),
            to: after.destination.clone(),
            protocol: protocol.into(),
            keyword: old.or(new).and_then(|any| any.keyword.clone()),
            carrier,
            outcome,
            before: old.map(state_of_traced),
            after: new.map(state_of_traced),
            p_value: None,
            p_adjusted: None,
            times_more: None,
        });
    }
    all.changes = hops(&before.hops, &after.hops);
    all
}

fn state_of_traced(number: &TracedProtocol) -> State {
    let hop = |hop: u8| format!("hop {hop}");
    let is_gone = number.verdict == TraceVerdict::Disappears;
    State {
        verdict: name_of(number.verdict),
        grade: number.grade,
        judged: 0,
        delivered: 0,
        lost_between: number
            .next_hop
            .filter(|_| is_gone)
            .map(|next| [hop(number.last_hop), hop(next)]),
    }
}

/// Verdicts of traces rest on tests that were corrected over the numbers.
fn traced(old: &TracedProtocol, new: &TracedProtocol) -> Outcome {
    let differs = if old.verdict == new.verdict {
        // The stretches on which it disappears have no hop in common.
        let behind = |a: &TracedProtocol, b: &TracedProtocol| {
            a.next_hop.is_some_and(|next| next <= b.last_hop)
        };
        old.verdict == TraceVerdict::Disappears && (behind(old, new) || behind(new, old))
    } else {
        true
    };
    let is_certain = |number: &TracedProtocol| {
        number.grade == Grade::Certain && number.verdict != TraceVerdict::Inconclusive
    };
    match (differs, is_certain(old) && is_certain(new)) {
        (false, _) => Outcome::Same,
        (true, true) => Outcome::Changed,
        (true, false) => Outcome::Perhaps,
    }
}

/// Hops that other hosts answer from.
fn hops(before: &[Hop], after: &[Hop]) -> Vec<ChangeOfChanges> {
    let name = |hop: Option<&Hop>| match hop {
        Some(hop) if !hop.addresses.is_empty() => hop.addresses.join(", "),
        _ => "silent".to_owned(),
    };
    let unlike = (0..before.len().max(after.len())).filter_map(|index| {
        let (old, new) = (before.get(index), after.get(index));
        let has_common = old.zip(new).is_some_and(|(old, new)| {
            old.addresses
                .iter()
                .any(|address| new.addresses.contains(address))
        });
        let (old, new) = (name(old), name(new));
        // A hop that is silent once may have limited its answers.
        if has_common || old == new || old == "silent" || new == "silent" {
            return None;
        }
        let hop = |hop: usize| format!("hop {hop}");
        Some(ChangeOfChanges {
            field: "address".to_owned(),
            between: [hop(index), hop(index + 1)],
            before: old,
            after: new,
            protocols: Vec::new(),
        })
    });
    unlike.collect()
}
