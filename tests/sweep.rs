//! The sweep: paths made up at random whose truth is known, and no verdict may contradict it.
//!
//! Each scenario is written as capture files and read as the command line reads them. Every
//! packet's fate is then compared with what truly became of it. Seeds are fixed; the environment
//! asks for others:
//!
//! ```text
//! SWEEP_SCENARIOS=2000                     so many, from the first seed on
//! SWEEP_SEED=17                            this one alone, or the first of SWEEP_SCENARIOS
//! SWEEP_INGREDIENTS=Loss,Gaps              these in each, in place of what the seeds draw
//! SWEEP_SHOW=100                           so many scenarios with faults in full
//! ```
//!
//! A claim counts as false if it contradicts the world, not if it was bad luck: a loss in a segment
//! where the packet was not lost, or that nobody can have noticed because the point behind was not
//! recording. Two errors are beyond any tool and left out: the last frame of a packet dropped by
//! a capture that has no place to say so, and a packet that comes later than anybody waits. Where
//! the capture says that it dropped frames, a verdict that rests on those alone must not be certain.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fmt, fs,
    path::Path,
    str::FromStr,
};

use hdp::{
    findings::{Carrier, ClockMethod, Fate, Findings, Grade, Packet as Claim, Verdict},
    path::{self, Options, Points},
};

use support::world::{
    Ingredient, Ingredients, Record, Scenario, Shows,
    points::{Drops, Watched},
};

const SCENARIOS: u64 = 200;

/// How long a packet may take by default.
const WAIT_NS: u64 = 51_000_000_000;

/// Of the numbers called blocked or cut off for certain, so many at most may be singled out by nothing;
/// of those that are likely; of steps and drifts told; and of the clocks' differences, beyond their bars: a
/// capture that missed a packet and saw its duplicate compares the clocks wrongly. Gaps are counted only: an outage of the path
/// beside a capture that shows little else looks like one.
const MOST_WRONG: [f64; 5] = [0.001, 0.05, 0.05, 0.05, 0.005];

/// In a few hundred scenarios, one or two say nothing of a share.
const FEW_WRONG: f64 = 2.0;

/// Of the losses that could be known, so many at least must be found.
const LEAST_FOUND: f64 = 0.99;

#[test]
fn no_verdict_contradicts_the_truth() {
    let asked = Asked::read();
    let folder = tempfile::tempdir().unwrap();
    let mut sweep = Sweep::default();
    for seed in asked.seeds.clone() {
        let scenario = Scenario::new(seed, asked.ingredients.clone());
        let outcome = Outcome::of(&scenario, folder.path());
        sweep.add(&scenario, &outcome, &asked);
    }
    println!("{sweep}");
    assert!(
        sweep.failing == 0,
        "{} of {} scenarios have false verdicts, see above",
        sweep.failing,
        sweep.scenarios
    );
    for (what, told, most) in sweep.promises() {
        assert!(
            told.wrong as f64 <= most * told.times as f64 + FEW_WRONG,
            "{what}: {told}"
        );
    }
    let found = sweep.found as f64 / sweep.judgeable.max(1) as f64;
    assert!(
        sweep.judgeable == 0 || found >= LEAST_FOUND,
        "of {} losses that could be known only {} were found",
        sweep.judgeable,
        sweep.found
    );
}

#[test]
fn every_ingredient_occurs_and_many_scenarios_have_few() {
    const LEAST: usize = 8;
    let drawn: Vec<Ingredients> = (1..=SCENARIOS).map(Ingredients::of_seed).collect();
    for ingredient in Ingredient::all() {
        let count = drawn.iter().filter(|drawn| drawn.have(ingredient)).count();
        assert!(count >= LEAST, "{ingredient:?} is in {count} scenarios");
    }
    let few = drawn.iter().filter(|drawn| drawn.disturbing().count() <= 2);
    assert!(few.count() * 2 > drawn.len());
}

#[test]
fn a_seed_gives_the_same_files_each_time() {
    for seed in 1..=3 {
        let files = || -> Vec<Vec<u8>> {
            let files = Scenario::new(seed, None).files;
            files.into_iter().map(|file| file.bytes).collect()
        };
        assert_eq!(files(), files());
    }
}

/// What the environment asks for.
struct Asked {
    seeds: std::ops::Range<u64>,
    ingredients: Option<Ingredients>,
    show: u64,
}

impl Asked {
    fn read() -> Self {
        fn value<T: FromStr<Err: fmt::Display>>(name: &str) -> Option<T> {
            let text = env::var(name).ok()?;
            match text.parse() {
                Ok(value) => Some(value),
                Err(error) => panic!("{name}={text}: {error}"),
            }
        }
        let seed = value("SWEEP_SEED");
        let count = value("SWEEP_SCENARIOS").unwrap_or(if seed.is_some() { 1 } else { SCENARIOS });
        let first = seed.unwrap_or(1);
        Self {
            seeds: first..first + count,
            ingredients: value("SWEEP_INGREDIENTS"),
            show: value("SWEEP_SHOW").unwrap_or(10),
        }
    }
}

/// In what a verdict contradicts the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Called lost, and arrived.
    FalseLoss,
    /// Lost, but not there.
    WrongSegment,
    /// Lost, but the point that it was said not to reach was not recording then.
    Unfounded,
    /// Frames of different packets taken for one, or of one for another that was overheard.
    Mixed,
    /// Said to go against the way it went.
    WrongWay,
    /// Called late, and was not.
    FalseLate,
    /// Certain of losses that are drops of the capture, which it has counted.
    TooCertain,
    /// The fates do not add up.
    Sums,
    /// Two ways of reading give two findings.
    Engine,
    NegativeDelay,
}

/// One contradiction, in words.
struct Fault {
    kind: Kind,
    /// What the point in question made of the packet, where there is one.
    cause: Option<Record>,
    what: String,
}

/// What the engine made of a scenario.
#[derive(Default)]
struct Outcome {
    faults: Vec<Fault>,
    packets: u64,
    lost: u64,
    judgeable: u64,
    /// Losses that could be known and were not claimed, or not of the segment but of a longer
    /// stretch, and what was said of them.
    missed: Vec<(usize, Option<Fate>)>,
    /// Packets that became several.
    split: u64,
    /// Called lost because a capture dropped their last frame.
    beyond_any_tool: u64,
    /// By grade, numbers called blocked or cut off.
    verdicts: BTreeMap<Grade, Told>,
    /// Wrong ones that are likely or certain, in words.
    singled_out: Vec<String>,
    gaps: Told,
    steps: Told,
    drifts: Told,
    clocks: Told,
}

/// What was said, and how much of it was true.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    times: u64,
    wrong: u64,
}

impl Told {
    fn note(&mut self, is_true: bool) {
        self.times += 1;
        self.wrong += u64::from(!is_true);
    }

    fn add(&mut self, other: Self) {
        self.times += other.times;
        self.wrong += other.wrong;
    }
}

/// The share with the 95 % bound above (Wilson).
impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const Z: f64 = 1.96;
        let Self { times, wrong } = *self;
        let n = times.max(1) as f64;
        let p = wrong as f64 / n;
        let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let most = (p + Z * Z / (2.0 * n) + spread) / (1.0 + Z * Z / n);
        write!(
            f,
            "{wrong} of {times} wrong, {:.2} %, at most {:.2} %",
            100.0 * p,
            100.0 * most.min(1.0)
        )
    }
}

impl Outcome {
    fn of(scenario: &Scenario, folder: &Path) -> Self {
        let points = written(scenario, folder);
        let options = Options::default();
        let mut claims = Vec::new();
        let note = |claim: &Claim| claims.push(claim.clone());
        let findings = path::packets(&points, &options, note).unwrap();
        for found in &findings.points {
            let file = &scenario.files[point(&found.name)];
            if found.side.is_none() {
                assert_eq!(found.frames, file.shows.len() as u64);
            }
        }
        let mut outcome = Trial::new(scenario, &findings, &claims).hold();
        // As users read files.
        if path::findings(&points, &options).unwrap() != findings {
            outcome.faults.push(Fault {
                kind: Kind::Engine,
                cause: None,
                what: "surveyed while reading, the findings are others".to_owned(),
            });
        }
        outcome
    }
}

/// The points' files.
fn written(scenario: &Scenario, folder: &Path) -> Points {
    let files = scenario.files.iter().enumerate().map(|(index, file)| {
        let path = folder.join(format!("p{index}"));
        fs::write(&path, &file.bytes).unwrap();
        if let Ok(keep) = env::var("SWEEP_KEEP") {
            fs::write(Path::new(&keep).join(format!("p{index}")), &file.bytes).unwrap();
        }
        path.to_str().unwrap().to_owned()
    });
    path::points(files).unwrap()
}

/// Claims held against the truth.
struct Trial<'a> {
    scenario: &'a Scenario,
    findings: &'a Findings,
    claims: &'a [Claim],
    outcome: Outcome,
    /// Of each packet that has equals, by the first of them: how many are called lost.
    lost_twins: BTreeMap<usize, u64>,
    /// How many losses are counted drops, by whether they go back, number and carrier.
    counted_drops: BTreeMap<(bool, u8, Carrier), u64>,
    /// What was said of each packet.
    fates: BTreeMap<usize, Vec<Fate>>,
    /// Losses that were found between points too far apart.
    wide: BTreeSet<usize>,
}

impl<'a> Trial<'a> {
    fn new(scenario: &'a Scenario, findings: &'a Findings, claims: &'a [Claim]) -> Self {
        Self {
            scenario,
            findings,
            claims,
            outcome: Outcome::default(),
            lost_twins: BTreeMap::new(),
            counted_drops: BTreeMap::new(),
            fates: BTreeMap::new(),
            wide: BTreeSet::new(),
        }
    }

    fn hold(mut self) -> Outcome {
        for claim in self.claims {
            self.claim(claim);
        }
        self.twins();
        self.grades();
        self.verdicts();
        self.remarks();
        self.sums();
        self.delays();
        self.clocks();
        self.losses();
        self.outcome
    }

    fn fault(&mut self, kind: Kind, cause: Option<Record>, what: String) {
        self.outcome.faults.push(Fault { kind, cause, what });
    }

    fn claim(&mut self, claim: &Claim) {
        let packets = &self.scenario.world.packets;
        let shown: Vec<Shows> = claim
            .seen
            .iter()
            .map(|seen| {
                let frame = usize::try_from(seen.frame).unwrap();
                self.scenario.files[point(&seen.point)].shows[frame - 1]
            })
            .collect();
        let ids: Vec<usize> = shown
            .iter()
            .filter_map(|shown| match shown {
                Shows::Packet(id) => Some(*id),
                _ => None,
            })
            .collect();
        let others: Vec<usize> = shown
            .iter()
            .filter_map(|shown| match shown {
                Shows::Other(id) => Some(*id),
                _ => None,
            })
            .collect();
        if others.len() == shown.len() && others.iter().all(|id| *id == others[0]) {
            self.other(claim);
            return;
        }
        let is_one = ids
            .iter()
            .all(|id| packets[*id].twin == packets[ids[0]].twin);
        if ids.is_empty() || ids.len() < shown.len() || !is_one {
            let what = format!("{} shows {shown:?}", self.in_words(None, claim));
            self.fault(Kind::Mixed, None, what);
            return;
        }
        let id = if packets[ids[0]].is_reply {
            ids[0]
        } else {
            ids[ids.len() - 1]
        };
        self.fates.entry(id).or_default().push(claim.fate);
        let packet = &packets[id];
        let goes_back = point(&claim.from) > point(&claim.to);
        if goes_back != packet.is_reply {
            let what = self.in_words(Some(id), claim);
            self.fault(Kind::WrongWay, None, what);
            return;
        }
        match claim.fate {
            Fate::Lost if packet.is_unique => self.lost(id, claim),
            Fate::Lost => *self.lost_twins.entry(packet.twin).or_default() += 1,
            Fate::Late if !is_slow(self.scenario, id, packet.passages.len() - 1) => {
                let what = self.in_words(Some(id), claim);
                self.fault(Kind::FalseLate, None, what);
            }
            Fate::Delivered if !claim.seen.iter().any(|seen| seen.point == claim.to) => {
                let what = self.in_words(Some(id), claim);
                self.fault(Kind::Mixed, None, what);
            }
            // All are sent to arrive.
            Fate::Expired => {
                let what = self.in_words(Some(id), claim);
                self.fault(Kind::Mixed, None, what);
            }
            Fate::Delivered | Fate::Late | Fate::Edge | Fate::Ambiguous => {}
        }
    }

    /// Whether the loss is said to be one if two clocks agree as they do not.
    fn is_conditional(&self, claim: &Claim, from: usize, to: usize) -> bool {
        let directions = self.findings.directions.iter();
        let own = directions.filter(|direction| *direction.from == *claim.from);
        let mut numbers = own.flat_map(|direction| &direction.protocols);
        let number =
            numbers.find(|n| (n.protocol, n.carrier) == (u16::from(claim.protocol), claim.carrier));
        let Some(assumes) = number.and_then(|number| number.assumes.as_ref()) else {
            return false;
        };
        let apart = self.scenario.clock_differences(from, to);
        let most = apart.start().unsigned_abs().max(apart.end().unsigned_abs());
        most > assumes.clock_error_ns
    }

    /// Another client's packets all arrive.
    fn other(&mut self, claim: &Claim) {
        if let Some([_, to]) = &claim.lost_at {
            let to = point(to);
            if self.scenario.recorders[to].drops.is_some() {
                self.outcome.beyond_any_tool += 1;
                return;
            }
            let what = format!("another client's: {}", self.in_words(None, claim));
            self.fault(Kind::FalseLoss, None, what);
        }
    }

    /// Numbers that are called blocked or cut off, and nothing on their way singles out.
    fn verdicts(&mut self) {
        for direction in &self.findings.directions {
            let is_reply = point(&direction.from) > point(&direction.to);
            for number in &direction.protocols {
                let is_verdict = matches!(number.verdict, Verdict::Blocked | Verdict::CutOff);
                // Routers say that they prohibit what they lose here.
                let is_answered = number.icmp.iter().any(|icmp| icmp.answered > 0);
                if !is_verdict || number.assumes.is_some() || is_answered {
                    continue;
                }
                let is_wrong = number.carrier != Carrier::Ip
                    || !self
                        .scenario
                        .world
                        .singles_out(u8::try_from(number.protocol).unwrap(), is_reply);
                let of_grade = self.outcome.verdicts.entry(number.grade).or_default();
                of_grade.note(!is_wrong);
                if is_wrong && number.grade < Grade::Weak {
                    self.outcome.singled_out.push(format!(
                        "number {} is {:?}, {:?}: {} lost of {}, but nothing singles it out: {}",
                        number.protocol,
                        number.verdict,
                        number.grade,
                        number.lost,
                        number.packets,
                        number
                            .reasons
                            .iter()
                            .map(ToString::to_string)
                            .collect::<Vec<_>>()
                            .join("; ")
                    ));
                }
            }
        }
    }

    /// What is said beside the verdicts.
    fn remarks(&mut self) {
        let scenario = self.scenario;
        for found in &self.findings.points {
            let recorder = &scenario.recorders[point(&found.name)];
            for [from, to] in &found.gaps {
                let shows = |at_ns| recorder.clock.shows(at_ns);
                let mut gaps = recorder.gaps.iter();
                let is_true = recorder.drops.is_some()
                    || gaps.any(|gap| shows(gap.start) < *to && *from < shows(gap.end));
                self.outcome.gaps.note(is_true);
            }
        }
        let forward = self.findings.directions.iter().take(1);
        for segment in forward.flat_map(|direction| &direction.segments) {
            let clocks =
                [&segment.from, &segment.to].map(|name| &scenario.recorders[point(name)].clock);
            for step in &segment.clock.steps {
                let near = |at_ns: i64| {
                    let at_ns = clocks[0].shows(at_ns);
                    let near_ns = step.by_ns.abs() + 1_000_000_000;
                    (step.from_ns - near_ns..=step.to_ns + near_ns).contains(&at_ns)
                };
                let mut steps = clocks.iter().flat_map(|clock| &clock.steps);
                self.outcome.steps.note(steps.any(|step| near(step.at_ns)));
            }
            if let Some(skew_ppm) = segment.clock.skew_ppm {
                let truth = (clocks[1].skew_ppb - clocks[0].skew_ppb) as f64 / 1_000.0;
                self.outcome.drifts.note((skew_ppm - truth).abs() <= 30.0);
            }
        }
    }

    /// A packet like no other was called lost.
    fn lost(&mut self, id: usize, claim: &Claim) {
        let scenario = self.scenario;
        let packet = &scenario.world.packets[id];
        let Some([from, to]) = &claim.lost_at else {
            panic!("{claim:?} is lost nowhere");
        };
        let (from, to) = (point(from), point(to));
        if self.is_conditional(claim, from, to) {
            return;
        }
        // Between the two sides of a host, a packet is lost that the next point does not see.
        let is_inside = from == to;
        let died_inside = packet.dies_inside && packet.original_reaches == packet.reaches;
        let behind = packet.position(to);
        if is_inside && packet.reaches == behind + 1 && died_inside {
            return;
        }
        let record = match (is_inside, scenario.recorders[to].drops) {
            // What it recorded of the packet is the other side's frame.
            (true, Some(_)) => Record::Dropped,
            _ => scenario.watched[to].records[id],
        };
        let what = self.in_words(Some(id), claim);
        // What comes later than anybody waits is lost by definition.
        let is_slow = is_slow(scenario, id, behind);
        if packet.reaches > behind {
            let kind = if packet.is_lost() {
                Kind::WrongSegment
            } else {
                Kind::FalseLoss
            };
            match (record, scenario.recorders[to].drops) {
                (Record::Dropped, Some(Drops { are_counted, .. })) => {
                    self.outcome.beyond_any_tool += 1;
                    if are_counted {
                        let number = (packet.is_reply, claim.protocol, claim.carrier);
                        *self.counted_drops.entry(number).or_default() += 1;
                    }
                }
                (Record::NotRunning | Record::InGap, _) if is_slow => {
                    self.outcome.beyond_any_tool += 1;
                }
                _ => self.fault(kind, Some(record), what),
            }
            return;
        }
        let at_ns = packet.passages[behind].at_ns;
        let recorder = &scenario.recorders[to];
        if !is_slow && !recorder.runs_at(at_ns) {
            let cause = if recorder.runs.contains(&at_ns) {
                Record::InGap
            } else {
                Record::NotRunning
            };
            self.fault(Kind::Unfounded, Some(cause), what);
            return;
        }
        if packet.reaches < behind {
            self.wide.insert(id);
        }
    }

    /// Of packets that are equal, no more may be called lost than were.
    fn twins(&mut self) {
        for (twin, claimed) in std::mem::take(&mut self.lost_twins) {
            let scenario = self.scenario;
            let packets = scenario.world.packets.iter().enumerate();
            let lost = packets
                .filter(|(id, packet)| {
                    // The same that one packet is excused for: dropped by a capture, or slow.
                    let is_dropped = |watched: &Watched| watched.records[*id] == Record::Dropped;
                    packet.twin == twin
                        && (packet.is_lost()
                            || scenario.watched.iter().any(is_dropped)
                            || (1..packet.passages.len())
                                .any(|position| is_slow(scenario, *id, position)))
                })
                .count() as u64;
            if claimed > lost {
                let key = &scenario.world.packets[twin].sent;
                let what = format!(
                    "{claimed} of the equal packets {} under {} are called lost, {lost} were",
                    key.timestamp_ns, key.ip.protocol
                );
                self.fault(Kind::FalseLoss, None, what);
            }
        }
    }

    fn grades(&mut self) {
        for ((is_reply, protocol, carrier), drops) in std::mem::take(&mut self.counted_drops) {
            let directions = self.findings.directions.iter();
            let found = directions
                .filter(|direction| (point(&direction.from) > point(&direction.to)) == is_reply)
                .flat_map(|direction| &direction.protocols)
                .find(|p| p.protocol == u16::from(protocol) && p.carrier == carrier);
            if let Some(found) = found
                && found.lost == drops
                && found.grade == Grade::Certain
            {
                let what = format!(
                    "number {protocol} is {:?} for certain, and all {drops} losses are counted \
                     drops of the capture: {}",
                    found.verdict,
                    found
                        .reasons
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .join("; ")
                );
                self.fault(Kind::TooCertain, Some(Record::Dropped), what);
            }
        }
    }

    fn sums(&mut self) {
        let mut packets = 0;
        for p in self.findings.directions.iter().flat_map(|d| &d.protocols) {
            packets += p.packets;
            if p.packets != p.delivered + p.lost + p.edge + p.late + p.ambiguous {
                let what = format!("the fates of number {} do not add up", p.protocol);
                self.fault(Kind::Sums, None, what);
            }
        }
        if packets != self.claims.len() as u64 {
            let what = format!("{packets} packets counted, {} told", self.claims.len());
            self.fault(Kind::Sums, None, what);
        }
    }

    fn delays(&mut self) {
        for p in self.findings.directions.iter().flat_map(|d| &d.protocols) {
            if let Some(delay) = p.delay_ns.filter(|delay| delay.min < 0) {
                let what = format!("number {}: {delay:?}", p.protocol);
                self.fault(Kind::NegativeDelay, None, what);
            }
        }
    }

    fn clocks(&mut self) {
        for segment in self.findings.directions.iter().flat_map(|d| &d.segments) {
            let clock = &segment.clock;
            let (ClockMethod::TwoWay, Some(offset), Some(error)) =
                (clock.method, clock.offset_ns, clock.error_ns)
            else {
                continue;
            };
            let (from, to) = (point(&segment.from), point(&segment.to));
            let differences = self.scenario.clock_differences(from, to);
            let rounding =
                self.scenario.files[from].resolution_ns + self.scenario.files[to].resolution_ns;
            let error = error.cast_signed() + rounding;
            let holds =
                offset - error <= *differences.end() && *differences.start() <= offset + error;
            self.outcome.clocks.note(holds);
        }
    }

    /// How many of the losses that could be known were found.
    fn losses(&mut self) {
        for (id, packet) in self.scenario.world.packets.iter().enumerate() {
            self.outcome.packets += 1;
            self.outcome.lost += u64::from(packet.is_lost());
            let fates = self.fates.get(&id).map_or(&[][..], Vec::as_slice);
            self.outcome.split += u64::from(packet.is_unique && fates.len() > 1);
            if self.scenario.is_judgeable(id) {
                self.outcome.judgeable += 1;
                if !fates.contains(&Fate::Lost) || self.wide.contains(&id) {
                    self.outcome.missed.push((id, fates.first().copied()));
                }
            }
        }
    }

    /// A claim beside the truth, in one line.
    fn in_words(&self, id: Option<usize>, claim: &Claim) -> String {
        let lost_at = claim
            .lost_at
            .as_ref()
            .map_or(String::new(), |[from, to]| format!(" {from} → {to}"));
        let claimed = format!(
            "{} under {} {:?} claimed {:?}{lost_at}",
            claim.timestamp_ns, claim.protocol, claim.carrier, claim.fate
        );
        id.map_or(claimed.clone(), |id| {
            format!("{claimed}; {}", truth_in_words(self.scenario, id))
        })
    }
}

/// What became of a packet, in one line.
fn truth_in_words(scenario: &Scenario, id: usize) -> String {
    let packet = &scenario.world.packets[id];
    let records: Vec<Record> = scenario.watched.iter().map(|w| w.records[id]).collect();
    let truth = if packet.is_lost() {
        let (from, to) = (
            packet.point(packet.reaches - 1),
            packet.point(packet.reaches),
        );
        format!("lost p{from} → p{to}")
    } else {
        "arrived".to_owned()
    };
    format!("in truth packet {id} {truth}, recorded {records:?}")
}

/// Whether a packet came, or would have come, to this position later than anybody waits.
fn is_slow(scenario: &Scenario, id: usize, position: usize) -> bool {
    let passages = &scenario.world.packets[id].passages;
    passages[position].at_ns.abs_diff(passages[0].at_ns) > WAIT_NS
}

/// The index in a point's name.
/// The index of `p1`, or of the capture that one of its sides, `p1 (in)`, belongs to.
fn point(name: &str) -> usize {
    let digits = name[1..].split(' ').next();
    digits.unwrap().parse().unwrap()
}

/// What a whole sweep found.
#[derive(Default)]
struct Sweep {
    scenarios: u64,
    /// With faults.
    failing: u64,
    /// Losses that could be known.
    judgeable: u64,
    found: u64,
    totals: Row,
    /// With the ingredient.
    with: BTreeMap<Ingredient, Row>,
    /// With the ingredient and nothing else that disturbs.
    alone: BTreeMap<Ingredient, Row>,
    /// By kind and what the point in question did: how many, and in which scenarios first.
    kinds: BTreeMap<(Kind, Option<Record>), (u64, Vec<u64>)>,
    /// Losses that could be known and were not found, by what was said of them.
    missed: BTreeMap<Option<Fate>, (u64, Vec<u64>)>,
    shown: Vec<String>,
    verdicts: BTreeMap<Grade, Told>,
    gaps: Told,
    steps: Told,
    drifts: Told,
    clocks: Told,
}

/// Counts of some scenarios.
#[derive(Default)]
struct Row {
    scenarios: u64,
    with_faults: u64,
    faults: u64,
    packets: u64,
    lost: u64,
    judgeable: u64,
    missed: u64,
    split: u64,
    beyond_any_tool: u64,
}

impl Row {
    fn add(&mut self, outcome: &Outcome) {
        self.scenarios += 1;
        self.with_faults += u64::from(!outcome.faults.is_empty());
        self.faults += outcome.faults.len() as u64;
        self.packets += outcome.packets;
        self.lost += outcome.lost;
        self.judgeable += outcome.judgeable;
        self.missed += outcome.missed.len() as u64;
        self.split += outcome.split;
        self.beyond_any_tool += outcome.beyond_any_tool;
    }
}

impl Sweep {
    /// What was said beside the fates of packets, and which share of it may be wrong.
    fn promises(&self) -> impl Iterator<Item = (&'static str, Told, f64)> {
        let of_grade = |grade| self.verdicts.get(&grade).copied().unwrap_or_default();
        let told = [
            ("certain", of_grade(Grade::Certain)),
            ("likely", of_grade(Grade::Likely)),
            ("steps", self.steps),
            ("drifts", self.drifts),
            ("clock bars", self.clocks),
        ];
        let promises = told.into_iter().zip(MOST_WRONG);
        promises.map(|((what, told), most)| (what, told, most))
    }

    fn add(&mut self, scenario: &Scenario, outcome: &Outcome, asked: &Asked) {
        self.scenarios += 1;
        self.totals.add(outcome);
        for ingredient in scenario.ingredients.iter() {
            self.with.entry(ingredient).or_default().add(outcome);
            if scenario.ingredients.have_only(ingredient) {
                self.alone.entry(ingredient).or_default().add(outcome);
            }
        }
        for fault in &outcome.faults {
            note(&mut self.kinds, (fault.kind, fault.cause), scenario.seed);
        }
        for (_, fate) in &outcome.missed {
            note(&mut self.missed, *fate, scenario.seed);
        }
        for (grade, told) in &outcome.verdicts {
            self.verdicts.entry(*grade).or_default().add(*told);
        }
        self.gaps.add(outcome.gaps);
        self.steps.add(outcome.steps);
        self.drifts.add(outcome.drifts);
        self.clocks.add(outcome.clocks);
        self.failing += u64::from(!outcome.faults.is_empty());
        self.judgeable += outcome.judgeable;
        self.found += outcome.judgeable - outcome.missed.len() as u64;
        let has_trouble = !outcome.faults.is_empty()
            || !outcome.missed.is_empty()
            || !outcome.singled_out.is_empty();
        if has_trouble && (self.shown.len() as u64) < asked.show {
            self.shown.push(in_full(scenario, outcome));
        }
    }
}

fn note<K: Ord>(counts: &mut BTreeMap<K, (u64, Vec<u64>)>, key: K, seed: u64) {
    let (count, seeds) = counts.entry(key).or_default();
    *count += 1;
    if seeds.len() < 6 && seeds.last() != Some(&seed) {
        seeds.push(seed);
    }
}

/// What a reader needs to repeat a scenario, and the first few of its faults.
fn in_full(scenario: &Scenario, outcome: &Outcome) -> String {
    const FEW: usize = 4;
    let mut lines = vec![format!(
        "SWEEP_SEED={} SWEEP_INGREDIENTS={} ({} points, {} packets, {} faults, {} missed)",
        scenario.seed,
        scenario.ingredients,
        scenario.world.points,
        outcome.packets,
        outcome.faults.len(),
        outcome.missed.len()
    )];
    let faults = outcome.faults.iter().take(FEW);
    lines.extend(faults.map(|fault| format!("  {:?}: {}", fault.kind, fault.what)));
    let singled_out = outcome.singled_out.iter().take(FEW);
    lines.extend(singled_out.map(|wrong| format!("  Wrong: {wrong}")));
    lines.extend(outcome.missed.iter().take(FEW).map(|(id, fate)| {
        let key = &scenario.world.packets[*id].sent;
        let truth = truth_in_words(scenario, *id);
        format!(
            "  Missed: {} under {} claimed {fate:?}; {truth}",
            key.timestamp_ns, key.ip.protocol
        )
    }));
    lines.join("\n")
}

impl fmt::Display for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for shown in &self.shown {
            writeln!(f, "{shown}\n")?;
        }
        let titles = [
            "with", "faulty", "faults", "packets", "lost", "knowable", "missed", "split", "beyond",
            "alone", "faulty", "faults", "knowable", "missed",
        ];
        write!(f, "{:18}", "ingredient")?;
        for title in titles {
            write!(f, "{title:>9}")?;
        }
        writeln!(f)?;
        let none = Row::default();
        let of = |ingredient: Ingredient| {
            let with = self.with.get(&ingredient).unwrap_or(&none);
            let alone = self.alone.get(&ingredient).unwrap_or(&none);
            (format!("{ingredient:?}"), with, alone)
        };
        let rows = Ingredient::all().map(of);
        for (name, with, alone) in rows.chain([("all".to_owned(), &self.totals, &none)]) {
            write!(f, "{name:18}")?;
            let counts = [
                with.scenarios,
                with.with_faults,
                with.faults,
                with.packets,
                with.lost,
                with.judgeable,
                with.missed,
                with.split,
                with.beyond_any_tool,
                alone.scenarios,
                alone.with_faults,
                alone.faults,
                alone.judgeable,
                alone.missed,
            ];
            for count in counts {
                write!(f, "{count:>9}")?;
            }
            writeln!(f)?;
        }
        for ((kind, cause), (count, seeds)) in &self.kinds {
            let cause = cause.map_or(String::new(), |cause| format!(" ({cause:?} there)"));
            writeln!(f, "{count:>6} {kind:?}{cause}, seeds {seeds:?}")?;
        }
        for (fate, (count, seeds)) in &self.missed {
            let fate = fate.map_or("unseen".to_owned(), |fate| format!("{fate:?}"));
            writeln!(f, "{count:>6} missed, called {fate}, seeds {seeds:?}")?;
        }
        for (grade, told) in &self.verdicts {
            writeln!(f, "blocked or cut off, {grade:?}: {told}")?;
        }
        writeln!(f, "gaps: {}", self.gaps)?;
        writeln!(f, "steps: {}", self.steps)?;
        writeln!(f, "drifts: {}", self.drifts)?;
        writeln!(f, "clock bars: {}", self.clocks)?;
        Ok(())
    }
}
