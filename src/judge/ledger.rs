//! What was decided of packets that are no longer known: judging goes on while captures are being
//! read, so that memory need not hold every packet that some point did not see.
//!
//! A packet is decided once all points that are being read have come past the time at which they
//! would have told of it, with the wait time on top, by what is known of the clocks by then. Where
//! there is no room to wait so long, the oldest are decided before: lost only where the next point
//! has come past the time and was watching, otherwise `ambiguous`. What comes all the same puts
//! that right ([`Ledger::admit`]).

use std::{collections::BTreeMap, net::IpAddr};

use super::{
    Judgement, Known, Options, TALLIES,
    askers::Askers,
    changes::Changes,
    fate::{Decision, Ruling, ends},
    gaps::{History, subject},
    icmp::Evidence,
    tally::{Occasion, OfFlow, Tallies},
    tally_index,
};
use crate::{
    correlate::{
        Again, Copies, GivenUp, Journey, Pending, Places, Relations, Returned, SecondChance, Seen,
        Station, Survey, Way, journeys,
    },
    findings::{Absence, Warning},
    keyed::{KeyedMap, KeyedSet},
    observe::{Point, Sighting},
};

/// Delays of more packets of a number than this are rounded.
const MOST_EXACT: usize = 1024;

/// What was decided of packets that are no longer known.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    /// By way, carrier and number.
    pub(super) tallies: Tallies,
    /// By point and flow, the judged packets whose first sighting that is.
    pub(super) by_flow: Vec<Vec<OfFlow>>,
    pub(super) changes: Changes,
    pub(super) missed: Vec<u64>,
    pub(super) copies: Vec<u64>,
    /// By way, the losses since any HDP came.
    pub(super) occasions: [Occasion; 2],
    /// By point, packets of other senders, and answers to them.
    pub(super) foreign: Vec<BTreeMap<IpAddr, u64>>,
    pub(super) askers: Askers,
    pub(super) history: History,
    /// Lost packets that ICMP errors may be about.
    refused: Vec<Kept>,
    /// By way, carrier and number: whether something writes where HDP has its timestamp, so that a
    /// packet may come under another one.
    rewritten: Vec<bool>,
    /// At the same index: whether packets were decided before all points had been read that far, so
    /// that a part of one may be taken for another.
    parted: Vec<bool>,
    /// Whether any packets were forgotten.
    has_forgotten: bool,
    /// Packets that are ambiguous because there was no room to wait for them.
    unsure: u64,
    /// Further sightings of packets that are no longer known.
    again: Vec<(Again, Copies)>,
    /// Sightings that were left out, by point.
    stale: Vec<u64>,
}

/// A lost packet that was decided, and that ICMP errors may be about.
#[derive(Debug, Clone)]
struct Kept {
    timestamp_ns: u64,
    way: Way,
    /// By point.
    seen: Vec<Option<Sighting>>,
    first_point: usize,
    /// Its tally, and between which points it was lost.
    counted_at: (usize, (usize, usize)),
}

impl Kept {
    fn with_journey(&self, visit: impl FnOnce(&Journey)) {
        let seen = self.seen.iter();
        let seen: Vec<Option<Seen>> = seen.map(|seen| seen.as_ref().map(Seen::once)).collect();
        visit(&Journey {
            timestamp_ns: self.timestamp_ns,
            way: self.way,
            seen: &seen,
            is_indistinct: false,
        });
    }
}

/// Whether half of the packets, the oldest, must be decided for want of room to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// There is room.
    None,
    /// Yes, but where most wait for points that have not been read so far.
    UnlessHeldUp,
    /// Yes.
    Now,
}

impl Urgency {
    /// Whether half must be decided.
    #[must_use]
    pub(crate) fn makes_room(self, is_held_up: bool) -> bool {
        match self {
            Self::None => false,
            Self::UnlessHeldUp => !is_held_up,
            Self::Now => true,
        }
    }
}

/// How far the points have been read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading<'a> {
    /// By point, whether more frames may come.
    pub open: &'a [bool],
    pub urgency: Urgency,
}

/// What was done with the packets that wait.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// The timestamps of those that were decided, rising: they need not be known any longer.
    pub timestamps: Vec<u64>,
    /// Whether most of the others wait for points that have not been read so far.
    pub is_held_up: bool,
}

impl Ledger {
    /// Nothing is decided, of so many points.
    #[must_use]
    pub(crate) fn new(points: usize) -> Self {
        Self {
            tallies: Tallies::new(points),
            by_flow: vec![Vec::new(); points],
            changes: Changes::new(points),
            missed: vec![0; points],
            copies: vec![0; points],
            occasions: <[Occasion; 2]>::default(),
            foreign: vec![BTreeMap::new(); points],
            askers: Askers::default(),
            history: History::new(points),
            refused: Vec::new(),
            rewritten: vec![false; TALLIES],
            parted: vec![false; TALLIES],
            has_forgotten: false,
            unsure: 0,
            again: Vec::new(),
            stale: vec![0; points],
        }
    }

    /// Makes room for all flows of the points.
    pub(super) fn make_room(&mut self, points: &[Point]) {
        for (by_flow, point) in self.by_flow.iter_mut().zip(points) {
            by_flow.resize(point.flows.len(), OfFlow::default());
        }
    }

    /// All ICMP errors, less those that are about packets that were decided.
    pub(super) fn evidence(&self, points: &[Point], relations: &Relations) -> Evidence {
        let mut evidence = Evidence::collect(points, relations);
        for kept in &self.refused {
            kept.with_journey(|journey| {
                if let Some(first) = journey.seen[kept.first_point] {
                    let flow = points[kept.first_point].flow(first.sighting);
                    // The answer was counted when the packet was decided.
                    let _ = evidence.about(points, journey, flow, kept.counted_at);
                }
            });
        }
        evidence
    }

    /// Decides what can be decided. The survey is that of the packets that are pending, with those
    /// that wait, which the points hold, as its rest; what they must be known by if they come all the
    /// same is noted there.
    pub(crate) fn decide(
        &mut self,
        points: &[Point],
        mut survey: Survey,
        options: &Options,
        reading: Reading,
        pending: &mut Pending<Decision>,
    ) -> Settled {
        let known = Known::learn(points, &survey, options, self);
        let decided = std::mem::replace(self, Self::new(0));
        let mut judgement = Judgement::new(points, options, &known, decided, reading.open);
        judgement.note_rewritten(&known, &survey);
        let (over, is_held_up) = judgement.over(&known, &survey, reading);
        for (flows, through) in survey.take_through() {
            let subject = subject(points, &known.relations, 0, flows.0);
            let packets = through.offsets_ns.len() as u64;
            let history = &mut judgement.decided.history;
            history.through(subject, packets, through.last_timestamp_ns);
            judgement.through(flows, through);
        }
        for returned in pending.take_returned() {
            judgement.admit(&returned);
        }
        let Known {
            relations,
            second_chance,
            ..
        } = &known;
        judgement.find_answers_to_others(
            |visit| journeys(points, relations, &survey, second_chance, visit),
            |journey| over.binary_search(&journey.timestamp_ns).is_ok(),
        );
        survey.keep_rest(points, &over);
        journeys(points, relations, &survey, second_chance, |journey| {
            let Some((first, last)) = ends(journey) else {
                return;
            };
            let ruling = judgement.ruling(journey, &first, &last);
            judgement.journey(journey);
            if judgement.is_unreached(journey) {
                let index = judgement.tally_index_of(&first);
                judgement.decided.parted[index] = true;
                for station in journey.stations() {
                    pending.note_unmet(station.point, station.seen.sighting.time_ns);
                }
            }
            let history = &mut judgement.decided.history;
            history.journey(points, &known, journey);
            if let Ruling::Lost(from, to) = ruling {
                judgement.keep_refused(journey, first.point, (from, to));
            }
            let is_unsure = ruling == Ruling::Ambiguous && !journey.is_indistinct;
            judgement.decided.unsure += u64::from(is_unsure);
            if let [Some(first), .., Some(last)] = journey.seen {
                pending.conclude(first, last);
            } else {
                pending.give_up(GivenUp {
                    point: first.point,
                    sighting: *first.seen.sighting,
                    ruling: Decision {
                        way: journey.way,
                        ruling,
                    },
                    seen_by: journey
                        .stations()
                        .fold(Places::default(), |seen, station| seen.with(station.point)),
                    came_to: Places::default(),
                });
            }
        });
        *self = judgement.decided;
        self.history.keep_gaps(points, &known.coverages);
        self.has_forgotten = true;
        for tally in self.tallies.counted() {
            if tally.delays_ns.exact() > MOST_EXACT {
                tally.delays_ns.round();
            }
        }
        Settled {
            timestamps: over,
            is_held_up,
        }
    }

    /// The same with what was seen of packets that are no longer known: further sightings, such as
    /// came all the same after they were given up, and such as were left out.
    #[must_use]
    pub(crate) fn with(
        mut self,
        (points, survey, options): (&[Point], &Survey, &Options),
        again: impl Iterator<Item = (Again, Copies)>,
        returned: &[Returned<Decision>],
        stale: &[u64],
    ) -> Self {
        self.again = again.collect();
        self.stale.copy_from_slice(stale);
        self.has_forgotten = true;
        if returned.is_empty() {
            return self;
        }
        let known = Known::learn(points, survey, options, &self);
        let mut judgement = Judgement::new(points, options, &known, self, &[]);
        for returned in returned {
            judgement.admit(returned);
        }
        judgement.decided
    }

    /// What a reader must know of the packets that were forgotten.
    pub(super) fn warnings(&self, points: &[Point]) -> Vec<Warning> {
        let forgotten = self.has_forgotten.then_some(Warning::BoundedMemory);
        let unsure = (self.unsure > 0).then_some(Warning::NoRoomToWait {
            packets: self.unsure,
        });
        let stale = points.iter().zip(&self.stale).filter(|(_, n)| **n > 0);
        let stale = stale.map(|(point, &packets)| Warning::Stale {
            point: point.name.clone(),
            packets,
        });
        let others = points
            .iter()
            .zip(&self.foreign)
            .flat_map(|(point, foreign)| {
                foreign
                    .iter()
                    .map(|(sender, packets)| Warning::OtherSender {
                        point: point.name.clone(),
                        sender: sender.to_string(),
                        packets: *packets,
                    })
            });
        let of_memory = forgotten.into_iter().chain(unsure).chain(stale);
        of_memory.chain(others).collect()
    }
}

impl Judgement<'_> {
    /// The timestamps of the packets that can be decided, or must be, and whether most of the
    /// others wait for points that have not been read so far.
    fn over(&self, known: &Known, survey: &Survey, reading: Reading) -> (Vec<u64>, bool) {
        struct Group {
            timestamp_ns: u64,
            is_over: bool,
            is_reached: bool,
            age_ns: i64,
            packets: usize,
        }
        let mut groups: Vec<Group> = Vec::with_capacity(survey.rest_len(self.points.len()));
        let mut unreached = 0;
        let mut last_seen: KeyedMap<(usize, u32), u64> = KeyedMap::default();
        let as_seen = SecondChance::none(self.options.wait_ns);
        journeys(self.points, &known.relations, survey, &as_seen, |journey| {
            let timestamp_ns = journey.timestamp_ns;
            let (is_ripe, age_ns) = (self.is_ripe(journey), self.age_ns(journey));
            let is_reached = !self.is_unreached(journey);
            unreached += usize::from(!is_reached);
            match groups.last_mut() {
                Some(group) if group.timestamp_ns == timestamp_ns => {
                    group.is_over &= is_ripe;
                    group.is_reached &= is_reached;
                    group.age_ns = group.age_ns.min(age_ns);
                    group.packets += 1;
                }
                _ => groups.push(Group {
                    timestamp_ns,
                    is_over: is_ripe,
                    is_reached,
                    age_ns,
                    packets: 1,
                }),
            }
            if let Some(last) = journey.stations().last()
                && known
                    .second_chance
                    .continues(last.point, last.seen.sighting)
            {
                last_seen.insert((last.point, last.seen.sighting.frame), timestamp_ns);
            }
        });
        let is_over = |group: &&Group| group.is_over;
        let is_held_up = unreached > groups.len() / 2;
        let packets = |group: &Group| group.packets;
        let all: usize = groups.iter().map(packets).sum();
        let ripe: usize = groups.iter().filter(is_over).map(packets).sum();
        if reading.urgency.makes_room(is_held_up) && 2 * ripe < all {
            // What a point may tell of any moment goes last, and where there is much else not at all.
            groups
                .sort_unstable_by_key(|group| (!group.is_reached, std::cmp::Reverse(group.age_ns)));
            let mut decided = 0;
            for group in &mut groups {
                let most = if group.is_reached { all / 2 } else { all / 4 };
                group.is_over |= decided < most;
                decided += group.packets;
            }
        }
        let over = groups.iter().filter(is_over);
        let mut over: Vec<u64> = over.map(|group| group.timestamp_ns).collect();
        drop(groups);
        over.sort_unstable();
        // What belongs together is decided together.
        let mut kept: KeyedSet<u64> = KeyedSet::default();
        for (end, starts) in known.second_chance.continued() {
            let parts: Vec<u64> = last_seen
                .get(&end)
                .copied()
                .into_iter()
                .chain(starts)
                .collect();
            if !parts.iter().all(|part| over.binary_search(part).is_ok()) {
                kept.extend(parts);
            }
        }
        over.retain(|timestamp_ns| !kept.contains(timestamp_ns));
        (over, is_held_up)
    }

    /// Notes which numbers have packets that came under another timestamp, or may have.
    fn note_rewritten(&mut self, known: &Known, survey: &Survey) {
        let rewritten = &mut self.decided.rewritten;
        for (point, of_flow) in self.points.iter().zip(&self.tally_of_flow) {
            for sighting in &point.doubtful {
                rewritten[of_flow[sighting.flow as usize]] = true;
            }
        }
        if known.second_chance.is_needless() {
            return;
        }
        let as_seen = SecondChance::none(self.options.wait_ns);
        let tally_of_flow = &self.tally_of_flow;
        journeys(self.points, &known.relations, survey, &as_seen, |journey| {
            if let Some(last) = journey.stations().last()
                && known.second_chance.concerns(last.point, last.seen.sighting)
            {
                rewritten[tally_of_flow[last.point][last.seen.sighting.flow as usize]] = true;
            }
        });
    }

    /// Whether a packet may be a part of one whose other parts were decided before, or are yet to
    /// come.
    pub(super) fn may_be_a_part(&self, journey: &Journey, last: &Station) -> bool {
        let index = self.tally_index_of(last);
        let (parted, rewritten) = (self.decided.parted[index], self.decided.rewritten[index]);
        let is_first_behind = journey
            .stations()
            .next()
            .is_some_and(|first| first.position > 0);
        let is_early = || !self.open.is_empty() && !self.is_ripe(journey);
        parted && (rewritten || is_first_behind) || rewritten && is_early()
    }

    fn tally_index_of(&self, station: &Station) -> usize {
        self.tally_of_flow[station.point][station.seen.sighting.flow as usize]
    }

    /// Keeps a packet that was lost, if ICMP errors may be about it: more of them may come.
    fn keep_refused(&mut self, journey: &Journey, first_point: usize, lost_at: (usize, usize)) {
        let Some(first) = journey.seen[first_point] else {
            return;
        };
        let flow = first.sighting.flow;
        if !self
            .evidence
            .concerns(journey, self.points[first_point].flow(first.sighting))
        {
            return;
        }
        self.decided.refused.push(Kept {
            timestamp_ns: journey.timestamp_ns,
            way: journey.way,
            seen: journey
                .seen
                .iter()
                .map(|seen| seen.map(|seen| *seen.sighting))
                .collect(),
            first_point,
            counted_at: (self.tally_of_flow[first_point][flow as usize], lost_at),
        });
    }

    /// Puts right what was decided of a packet that came all the same.
    fn admit(&mut self, returned: &Returned<Decision>) {
        let given_up = &returned.given_up;
        let (from, origin) = (given_up.point, given_up.sighting);
        let Decision { way, ruling } = given_up.ruling;
        let (to, end) = (returned.point, returned.sighting);
        let last = way.at(self.reach[way.index()], self.points.len());
        let has_been = |point| given_up.seen_by.contains(point) || given_up.came_to.contains(point);
        if let Ruling::Foreign(other) = ruling {
            if !has_been(to) {
                self.admit_foreign(returned, other);
            }
            return;
        }
        let is_late = self.is_late(way, (from, &origin), (to, &end));
        let delay_ns = end.time_ns.saturating_sub(origin.time_ns);
        let delay_ns = self.clocks.unstepped(way, from, to, delay_ns);
        let flow = self.points[from].flow(&origin);
        let index = tally_index(way, flow.carrier, flow.protocol);
        let tally = self.decided.tallies.of(index);
        if has_been(to) {
            tally.duplicates += u64::from(to == last);
            tally.replicated += u64::from(to == last);
            return;
        }
        tally.seen[to] += 1;
        if has_been(last) {
            return;
        }
        let ruling = if given_up.came_to.is_empty() {
            ruling
        } else {
            Ruling::Ambiguous
        };
        tally.withdraw(ruling, origin.time_ns);
        let witnesses = &self.options.witnesses;
        let rule = witnesses.rule(flow.protocol, flow.carrier, origin.timestamp_ns);
        if let (Ruling::Lost(from, to), Some(rule)) = (ruling, rule) {
            tally.was_only_logged(rule, (from, to));
        }
        let judged = &mut self.decided.by_flow[from][origin.flow as usize].judged;
        match ruling {
            Ruling::Lost(..) => {
                judged.packets -= 1;
                judged.lost -= 1;
            }
            Ruling::Edge(point, Absence::Missed) => self.decided.missed[point] -= 1,
            _ => {}
        }
        if to != last {
            tally.ambiguous += 1;
        } else if is_late {
            tally.late += 1;
        } else {
            tally.delivered += 1;
            judged.packets += 1;
            tally.reordered += u64::from(end.is_reordered());
            tally.last_delivered_ns = tally.last_delivered_ns.max(Some(end.timestamp_ns));
            if from == way.at(0, self.points.len()) {
                tally.delays_ns.push(delay_ns);
            }
        }
    }

    /// Puts right what was decided of a packet that its sender's end turns out to have seen too: it is no
    /// other sender's. When it was at the last point is not known any more, nor its delay.
    fn admit_foreign(&mut self, returned: &Returned<Decision>, other: IpAddr) {
        let given_up = &returned.given_up;
        let (from, origin) = (given_up.point, given_up.sighting);
        let way = given_up.ruling.way;
        let [start, last] =
            [0, self.reach[way.index()]].map(|position| way.at(position, self.points.len()));
        let has_been = |point| given_up.seen_by.contains(point) || given_up.came_to.contains(point);
        let was_admitted = has_been(start);
        if from == start || !(was_admitted || returned.point == start) {
            return;
        }
        let flow = self.points[from].flow(&origin);
        let tally = self
            .decided
            .tallies
            .of(tally_index(way, flow.carrier, flow.protocol));
        tally.seen[returned.point] += 1;
        if !was_admitted {
            for (point, seen) in tally.seen.iter_mut().enumerate() {
                *seen += u64::from(has_been(point));
            }
            tally.packets += 1;
            tally.ambiguous += 1;
            let foreign = self.decided.foreign[from].entry(other).or_default();
            *foreign -= 1;
            if *foreign == 0 {
                self.decided.foreign[from].remove(&other);
            }
        }
        let arrived_before = was_admitted && has_been(last);
        if !arrived_before && (has_been(last) || returned.point == last) {
            tally.ambiguous -= 1;
            tally.delivered += 1;
            tally.last_delivered_ns = tally.last_delivered_ns.max(Some(origin.timestamp_ns));
            let of_flow = &mut self.decided.by_flow[from][origin.flow as usize];
            of_flow.judged.packets += 1;
        }
    }

    /// Counts further sightings of packets that are no longer known: at the same place of the
    /// point's host the network made them, elsewhere the capture did. What was lost in a row is not
    /// known any more if packets were forgotten.
    pub(super) fn complete(&mut self) {
        if self.decided.has_forgotten {
            for tally in self.decided.tallies.counted() {
                tally.loss_runs = 0;
            }
        }
        for (again, count) in std::mem::take(&mut self.decided.again) {
            let Again {
                point,
                flow,
                second_flow,
            } = again;
            let way = self.relations.way(point, flow);
            let end = way.at(self.reach[way.index()], self.points.len());
            let place = |flow: u32| {
                let flow = &self.points[point].flows[flow as usize].flow;
                (flow.stage, flow.ttl, flow.encapsulation)
            };
            if place(flow) != place(second_flow) {
                self.decided.copies[point] += count.sightings;
            } else if point == end {
                let index = self.tally_of_flow[point][flow as usize];
                let tally = self.decided.tallies.of(index);
                tally.duplicates += count.sightings;
                tally.replicated += count.packets;
            }
        }
    }
}
