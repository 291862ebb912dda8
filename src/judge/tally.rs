//! Tallies: what became of packets, counted by number.

use std::{collections::BTreeMap, net::IpAddr};

use super::{
    Judgement, TALLIES,
    fate::{Ruling, ends},
    icmp::Answer,
    times::{Spacing, Times},
};
use crate::{
    correlate::{Journey, Mark, Spans, Station, Through, Way},
    findings::Absence,
    observe::{Coverage, Flow},
};

/// What was counted of one number, one carrier, one way.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) packets: u64,
    pub(super) delivered: u64,
    pub(super) lost: u64,
    pub(super) edge: u64,
    pub(super) late: u64,
    pub(super) ambiguous: u64,
    /// Lost packets that a drop witness recorded, by the rule that took them and where they were lost.
    pub(super) dropped_by: BTreeMap<DroppedAt, u64>,
    /// Sent with a TTL that could not suffice.
    pub(super) expired: u64,
    /// The largest TTL that ran out, and where.
    pub(super) ran_out_at: Option<(u8, IpAddr)>,
    pub(super) altered: u64,
    pub(super) duplicates: u64,
    /// Runs of lost packets within a flow, and the longest of them.
    pub(super) loss_runs: u64,
    /// See above.
    pub(super) longest_run: u64,
    /// Delivered packets that arrived more than once.
    pub(super) replicated: u64,
    pub(super) reordered: u64,
    /// Distinct packets by point, in the order of the points.
    pub(super) seen: Vec<u64>,
    /// Losses by the two points (indices) between which they happened, in order of appearance.
    pub(super) lost_at: Vec<((usize, usize), u64)>,
    /// When they were first seen.
    pub(super) lost_during: Times,
    /// Between the lost packets, where they were first seen: times, and numbers of frames.
    pub(super) spacings: [Spacing; 2],
    /// The first lost packet: the point that saw it last, and its frame there.
    pub(super) first_lost: Option<(usize, u32)>,
    /// Lost packets of which some fragments came: the point where, and the first byte that did not.
    pub(super) missing_pieces: BTreeMap<(usize, u32), u64>,
    /// Lost packets that an ICMP error quotes, by the error and where they were lost.
    pub(super) answered: BTreeMap<AnswerAt, u64>,
    /// Lost packets whose ICMP error was seen where they were not, by the farthest such point.
    pub(super) answered_beyond: Vec<(usize, u64)>,
    /// Timestamps of the first packet that was lost and of the last that was delivered.
    pub(super) first_lost_ns: Option<u64>,
    /// See above.
    pub(super) last_delivered_ns: Option<u64>,
    /// Last point's time less first point's of each delivered packet, on their own clocks.
    pub(super) delays_ns: Spans,
    /// Packets at the edge, by the point of which nobody knows whether they came there, and why.
    pub(super) absent: BTreeMap<(Absence, usize), u64>,
    /// Packets at the edge that were lost if the clocks are not too far apart, if any.
    pub(super) conditional: Option<Conditional>,
    /// Of the lost ones those that were lost while everything else was.
    pub(super) lost_in_dead_time: u64,
    /// Runs of losses of whatever numbers, with nothing delivered between, that took some of this
    /// one's: so often the path had the occasion.
    pub(super) occasions: u64,
    /// Of these, those that took packets of several other numbers too.
    pub(super) shared_occasions: u64,
    /// The verdict stands if two clocks agree within so many nanoseconds, which nothing compares.
    pub(super) assumes: Option<u64>,
}

/// Packets that no point saw which was watching if clocks that nothing compares agree.
#[derive(Debug, Clone)]
pub(super) struct Conditional {
    /// How many.
    count: u64,
    /// How far the clocks may be apart for all of them, in nanoseconds.
    margin_ns: u64,
    /// Where they would have been lost.
    lost_at: Vec<((usize, usize), u64)>,
    /// When they were first seen.
    during: Times,
    /// The first: the point that saw it last, its frame there, its timestamp.
    first: (usize, u32, u64),
}

/// What was counted of each number, by [`tally_index`].
#[derive(Debug, Clone)]
pub(super) struct Tallies {
    points: usize,
    by_index: Vec<Option<Box<Tally>>>,
}

impl Tallies {
    /// Nothing was counted, of so many points.
    pub(super) fn new(points: usize) -> Self {
        Self {
            points,
            by_index: std::iter::repeat_with(|| None).take(TALLIES).collect(),
        }
    }

    pub(super) fn of(&mut self, index: usize) -> &mut Tally {
        self.by_index[index].get_or_insert_with(|| Box::new(Tally::new(self.points)))
    }

    /// What was counted, if anything; it is taken out.
    pub(super) fn take(&mut self, index: usize) -> Option<Tally> {
        self.by_index[index].take().map(|tally| *tally)
    }

    /// What was counted of numbers going one way.
    pub(super) fn of_way(&self, way: Way) -> impl Iterator<Item = &Tally> {
        let len = TALLIES / Way::BOTH.len();
        let own = &self.by_index[way.index() * len..][..len];
        own.iter().flatten().map(Box::as_ref)
    }

    /// Whether the verdict on each, by its index, assumes that clocks agree which nothing compares.
    pub(super) fn are_assumed(&self) -> Vec<bool> {
        let assumed = |tally: &Option<Box<Tally>>| tally.as_ref()?.assumes;
        let by_index = self.by_index.iter();
        by_index.map(|tally| assumed(tally).is_some()).collect()
    }

    /// What was counted of those of which anything was.
    pub(super) fn counted(&mut self) -> impl Iterator<Item = &mut Tally> {
        self.by_index.iter_mut().flatten().map(Box::as_mut)
    }
}

/// What was counted of one flow.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OfFlow {
    pub(super) judged: Judged,
    /// Packets lost in a row so far, 0 after one that was delivered.
    run: u64,
    /// How many had gone through in bulk when the last of them was lost.
    passed: u64,
}

impl OfFlow {
    /// Notes a lost packet, and says whether a new run begins with it.
    fn lose(&mut self, passed: Option<u64>) -> bool {
        let passed = passed.unwrap_or(self.passed);
        if passed > self.passed {
            self.run = 0;
        }
        self.passed = passed;
        self.run += 1;
        self.run == 1
    }
}

/// What had gone through in bulk when a packet was lost; asked in the order of their timestamps.
#[derive(Debug, Default)]
pub(super) struct PassedBefore {
    marks: Vec<Mark>,
    next: usize,
    last_point: usize,
}

impl PassedBefore {
    pub(super) fn new(marks: Vec<Mark>, points: usize) -> Self {
        Self {
            marks,
            next: 0,
            last_point: points.saturating_sub(1),
        }
    }

    /// For a packet that was first seen at this point in this flow; `None` where that is no end of
    /// the path.
    fn at(&mut self, timestamp_ns: u64, point: usize, flow: u32) -> Option<u64> {
        let behind = self.marks[self.next..].iter();
        self.next += behind
            .take_while(|mark| mark.timestamp_ns < timestamp_ns)
            .count();
        let end = |mark: &Mark| if mark.is_last { self.last_point } else { 0 };
        let behind = &self.marks[self.next..];
        let sought = (timestamp_ns, point, flow);
        // Mostly the next one.
        let of = |mark: &Mark| (mark.timestamp_ns, end(mark), mark.flow);
        let place = match behind.first() {
            Some(next) if of(next) == sought => 0,
            _ => behind.binary_search_by_key(&sought, of).ok()?,
        };
        Some(behind[place].passed)
    }
}

/// A run of losses of whatever numbers, with no HDP recorded between by the point that missed them.
#[derive(Debug, Clone, Default)]
pub(super) struct Occasion {
    /// The point, and the time from the earliest to the latest that it should have seen one of them.
    during: Option<(usize, i64, i64)>,
    /// The tallies of the numbers that lost packets.
    tallies: Vec<usize>,
}

impl Occasion {
    /// So many other numbers in one run are no accident of the order of sending.
    const SEVERAL: usize = 3;

    /// Notes a lost packet that a point should have seen at this time.
    fn lose(
        &mut self,
        index: usize,
        (point, due_ns): (usize, i64),
        coverage: &Coverage,
        tallies: &mut Tallies,
    ) {
        // From one loss to the next may be less than the coverage tells apart; all of them are not.
        let during = self.during.filter(|(of_run, ..)| *of_run == point);
        let during = during.map(|(_, from_ns, to_ns)| (from_ns.min(due_ns), to_ns.max(due_ns)));
        let during =
            during.filter(|(from_ns, to_ns)| !coverage.shows_hdp_between(*from_ns, *to_ns));
        if during.is_none() {
            self.end(tallies);
        }
        let (from_ns, to_ns) = during.unwrap_or((due_ns, due_ns));
        self.during = Some((point, from_ns, to_ns));
        if !self.tallies.contains(&index) {
            self.tallies.push(index);
        }
    }

    /// Ends the run.
    fn end(&mut self, tallies: &mut Tallies) {
        let is_shared = self.tallies.len() > Self::SEVERAL;
        for index in self.tallies.drain(..) {
            let tally = tallies.of(index);
            tally.occasions += 1;
            tally.shared_occasions += u64::from(is_shared);
        }
    }
}

/// A rule that took packets, as witnesses number them, and the two points between which they were lost.
pub(super) type DroppedAt = (usize, (usize, usize));

/// An answer to packets that were lost between two points.
pub(super) type AnswerAt = (Answer, (usize, usize));

/// Packets that were judged, and how many of them were lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) packets: u64,
    pub(crate) lost: u64,
}

impl Judged {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            packets: self.packets + other.packets,
            lost: self.lost + other.lost,
        }
    }
}

impl Tally {
    pub(super) fn new(points: usize) -> Self {
        Self {
            seen: vec![0; points],
            ..Self::default()
        }
    }

    pub(super) fn judged(&self) -> Judged {
        let survived = self.survived();
        // What was lost with everything else is not held against the number.
        let lost = self.lost - self.lost_in_dead_time;
        Judged {
            packets: self.delivered + lost + survived,
            lost,
        }
    }

    /// Packets of which nothing can be said.
    pub(super) fn unjudged(&self) -> u64 {
        self.edge + self.late + self.ambiguous
    }

    /// Packets that came beyond where others of the number were lost, and nobody knows how much farther:
    /// without them, the losses would be all that is known of it.
    pub(super) fn survived(&self) -> u64 {
        let came_beyond = |why: Absence, point: usize| {
            matches!(why, Absence::Unheard | Absence::Missed)
                || self.lost_at.iter().any(
                    |&((from, to), _)| {
                        if from < to { to < point } else { to > point }
                    },
                )
        };
        if self.lost == 0 {
            return 0;
        }
        self.absences()
            .filter(|&(why, point, _)| came_beyond(why, point))
            .map(|(.., count)| count)
            .sum()
    }

    /// The losses as often as the path had the occasion: what is lost in one go is one accident.
    pub(super) fn occasional(&self) -> Judged {
        let judged = self.judged();
        if self.occasions == 0 {
            return judged;
        }
        let lost = judged.lost.min(self.occasions);
        Judged {
            packets: judged.packets - (judged.lost - lost),
            lost,
        }
    }

    /// Packets at the edge: why, at which point, and how many.
    pub(super) fn absences(&self) -> impl Iterator<Item = (Absence, usize, u64)> {
        self.absent
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(&(why, point), &count)| (why, point, count))
    }

    /// The point that saw packets last which may have come to this one: the nearest before it that saw
    /// any.
    pub(super) fn seen_before(&self, point: usize) -> usize {
        let others = (0..self.seen.len()).filter(|&other| other != point && self.seen[other] > 0);
        others
            .min_by_key(|other| other.abs_diff(point))
            .unwrap_or(point)
    }

    /// Packets at the edge because a listener had no socket open for them.
    pub(super) fn unheard(&self) -> u64 {
        self.absences()
            .filter(|(why, ..)| *why == Absence::Unheard)
            .map(|(.., count)| count)
            .sum()
    }

    /// Counts the packets as lost that were so if two clocks agree, where nothing else is known of any.
    pub(super) fn assume(&mut self) {
        if (self.delivered, self.lost, self.late) != (0, 0, 0) || self.unheard() > 0 {
            return;
        }
        let Some(conditional) = self.conditional.take() else {
            return;
        };
        let (point, frame, timestamp_ns) = conditional.first;
        self.lost = conditional.count;
        self.edge -= conditional.count;
        for &((_, to), count) in &conditional.lost_at {
            if let Some(absent) = self.absent.get_mut(&(Absence::Unrelated, to)) {
                *absent -= count;
            }
        }
        self.first_lost = Some((point, frame));
        self.first_lost_ns = Some(timestamp_ns);
        self.lost_at = conditional.lost_at;
        self.lost_during = conditional.during;
        self.assumes = Some(conditional.margin_ns);
    }

    /// Whether a drop witness recorded all that was lost.
    pub(super) fn is_witnessed(&self) -> bool {
        let recorded: u64 = self.dropped_by.values().sum();
        recorded > 0 && recorded == self.lost
    }

    /// Takes back that a rule took a packet: it logged it, and let it pass.
    pub(super) fn was_only_logged(&mut self, rule: usize, place: (usize, usize)) {
        for (at, count) in &mut self.dropped_by {
            *count -= u64::from(*at == (rule, place));
        }
        self.dropped_by.retain(|_, count| *count > 0);
    }

    /// Takes back what was counted of a packet that was first seen at this time, and not at the end of its
    /// way.
    pub(super) fn withdraw(&mut self, ruling: Ruling, origin_ns: i64) {
        match ruling {
            Ruling::Lost(from, to) => {
                self.lost -= 1;
                // It may have been this one.
                self.lost_in_dead_time = self.lost_in_dead_time.min(self.lost);
                for (segment, count) in &mut self.lost_at {
                    *count -= u64::from(*segment == (from, to));
                }
                self.lost_at.retain(|(_, count)| *count > 0);
                self.lost_during.remove(origin_ns);
                // So it may be here.
                self.first_lost = None;
                if self.lost == 0 {
                    self.first_lost_ns = None;
                }
            }
            Ruling::Edge(point, absence) => {
                self.edge -= 1;
                if let Some(count) = self.absent.get_mut(&(absence, point)) {
                    *count -= 1;
                }
            }
            Ruling::Expired => self.expired -= 1,
            Ruling::Ambiguous => self.ambiguous -= 1,
            Ruling::Delivered | Ruling::Late | Ruling::Foreign(_) => {}
        }
    }

    /// The smallest difference between the last and the first point's times.
    pub(super) fn fastest_ns(&self) -> Option<i64> {
        self.delays_ns.min()
    }
}

impl Judgement<'_> {
    /// Counts the packets that the survey found to have been seen at every point.
    pub(super) fn through(&mut self, (first_flow, last_flow): (u32, u32), through: Through) {
        let points = self.points.len();
        let way = self.relations.way(0, first_flow);
        let (from, to, flow) = match way {
            Way::Forward => (0, points - 1, first_flow),
            Way::Reverse => (points - 1, 0, last_flow),
        };
        let arrived_ns = |offset_ns: i64| match way {
            Way::Forward => offset_ns,
            Way::Reverse => offset_ns.saturating_neg(),
        };
        let is_late = |offset_ns: i64| {
            self.clocks.lateness(way, from, to, arrived_ns(offset_ns)) > self.wait_ns
        };
        let reordered = through.reordered_ns(way == Way::Forward);
        let reordered = reordered.iter().filter(|offset| !is_late(**offset)).count() as u64;
        let packets = through.offsets_ns.len() as u64;
        let mut delays_ns = through.offsets_ns;
        if way == Way::Reverse
            || delays_ns.max().is_some_and(is_late)
            || delays_ns.min().is_some_and(is_late)
        {
            let in_time = delays_ns.iter().filter(|offset| !is_late(*offset));
            delays_ns = in_time.map(arrived_ns).collect();
        }
        if self.clocks.has_steps(way, from, to) {
            let unstepped = |delay| self.clocks.unstepped(way, from, to, delay);
            delays_ns = delays_ns.iter().map(unstepped).collect();
        }
        let delivered = delays_ns.len() as u64;

        let index = self.tally_of_flow[from][flow as usize];
        let tally = self.decided.tallies.of(index);
        tally.packets += packets;
        tally.delivered += delivered;
        tally.late += packets - delivered;
        tally.reordered += reordered;
        for seen in &mut tally.seen {
            *seen += packets;
        }
        if delivered > 0 {
            tally.last_delivered_ns = tally.last_delivered_ns.max(Some(through.last_timestamp_ns));
        }
        tally.delays_ns.append(delays_ns);
        self.decided.by_flow[from][flow as usize].judged.packets += delivered;
    }

    /// Judges one packet and counts it.
    pub(super) fn journey(&mut self, journey: &Journey) {
        let Some((first, last)) = ends(journey) else {
            return;
        };
        let ruling = self.ruling(journey, &first, &last);
        if let Ruling::Foreign(other) = ruling {
            *self.decided.foreign[first.point].entry(other).or_default() += 1;
            return;
        }
        self.note_missed(journey, &first, &last);
        for (copies, seen) in self.decided.copies.iter_mut().zip(journey.seen) {
            *copies += seen.map_or(0, |seen| u64::from(seen.copies));
        }
        let mut altered = false;
        let mut before = first;
        for station in journey.stations().skip(1) {
            let (a, b) = (before.seen.sighting, station.seen.sighting);
            altered |=
                self.decided
                    .changes
                    .note(self.points, (before.point, a), (station.point, b));
            before = station;
        }
        let (origin, end) = (first.seen.sighting, last.seen.sighting);

        let margin_ns = self.margin_ns(journey.way, ruling, &last);
        let ran_out_at = match ruling {
            Ruling::Expired => self.ran_out_at(journey),
            _ => None,
        };
        let index = self.tally_of_flow[first.point][origin.flow as usize];
        let tally = self.decided.tallies.of(index);
        tally.packets += 1;
        for (counted, seen) in tally.seen.iter_mut().zip(journey.seen) {
            *counted += u64::from(seen.is_some());
        }
        match ruling {
            Ruling::Delivered => {
                tally.delivered += 1;
                tally.altered += u64::from(altered);
                tally.duplicates += u64::from(last.seen.duplicates);
                tally.replicated += u64::from(last.seen.duplicates > 0);
                let of_flow = &mut self.decided.by_flow[first.point][origin.flow as usize];
                of_flow.judged.packets += 1;
                of_flow.run = 0;
                tally.reordered += u64::from(end.is_reordered());
                tally.last_delivered_ns = tally.last_delivered_ns.max(Some(journey.timestamp_ns));
                if first.position == 0 {
                    let delay_ns = end.time_ns.saturating_sub(origin.time_ns);
                    let (from, to) = (first.point, last.point);
                    let delay_ns = self.clocks.unstepped(journey.way, from, to, delay_ns);
                    tally.delays_ns.push(delay_ns);
                }
            }
            Ruling::Late => tally.late += 1,
            Ruling::Lost(from, to) => self.lost(journey, &first, &last, (from, to)),
            Ruling::Edge(point, absence) => {
                tally.edge += 1;
                *tally.absent.entry((absence, point)).or_default() += 1;
                if let Some(margin_ns) = margin_ns {
                    let conditional = tally.conditional.get_or_insert_with(|| Conditional {
                        count: 0,
                        margin_ns,
                        lost_at: Vec::new(),
                        during: Times::default(),
                        first: (last.point, end.frame, journey.timestamp_ns),
                    });
                    conditional.count += 1;
                    conditional.margin_ns = conditional.margin_ns.min(margin_ns);
                    add(&mut conditional.lost_at, (last.point, point));
                    conditional.during.add(origin.time_ns);
                }
                self.decided.missed[point] += u64::from(absence == Absence::Missed);
            }
            Ruling::Expired => {
                tally.expired += 1;
                tally.ran_out_at = tally.ran_out_at.max(ran_out_at);
            }
            Ruling::Ambiguous => tally.ambiguous += 1,
            Ruling::Foreign(_) => {}
        }
    }

    /// Counts a packet that was lost between these points.
    fn lost(
        &mut self,
        journey: &Journey,
        first: &Station,
        last: &Station,
        (from, to): (usize, usize),
    ) {
        let (origin, end) = (first.seen.sighting, last.seen.sighting);
        let index = self.tally_of_flow[first.point][origin.flow as usize];
        let count = self.points.len();
        let tally = self.decided.tallies.of(index);
        tally.lost += 1;
        tally.first_lost_ns.get_or_insert(journey.timestamp_ns);
        tally.first_lost.get_or_insert((from, end.frame));
        add(&mut tally.lost_at, (from, to));
        tally.lost_during.add(origin.time_ns);
        let at = [origin.time_ns, i64::from(origin.frame)];
        for (spacing, at) in tally.spacings.iter_mut().zip(at) {
            spacing.add(at);
        }
        let dead = self
            .bystanders
            .dead_time(journey.way, from, to, end.time_ns);
        tally.lost_in_dead_time += u64::from(dead.is_some());
        let Flow {
            protocol, carrier, ..
        } = *self.points[first.point].flow(origin);
        let missing = self.points[to].missing_piece(journey.timestamp_ns, protocol, carrier);
        if let Some(byte) = missing {
            *tally.missing_pieces.entry((to, byte)).or_default() += 1;
        }
        let of_flow = &mut self.decided.by_flow[first.point][origin.flow as usize];
        of_flow.judged.packets += 1;
        of_flow.judged.lost += 1;
        let passed = self
            .passed
            .at(journey.timestamp_ns, first.point, origin.flow);
        tally.loss_runs += u64::from(of_flow.lose(passed));
        tally.longest_run = tally.longest_run.max(of_flow.run);
        if dead.is_none() {
            let due_ns = self.expected_ns(journey.way, (from, end), to);
            self.decided.occasions[journey.way.index()].lose(
                index,
                (to, due_ns),
                &self.coverages[to],
                &mut self.decided.tallies,
            );
        }
        let witnesses = &self.options.witnesses;
        let rule = witnesses.rule(protocol, carrier, journey.timestamp_ns);
        let tally = self.decided.tallies.of(index);
        if let Some(rule) = rule {
            *tally.dropped_by.entry((rule, (from, to))).or_default() += 1;
        }
        let flow = self.points[first.point].flow(origin);
        let counted_at = (index, (from, to));
        let error = self.evidence.about(self.points, journey, flow, counted_at);
        if let Some(error) = error {
            let answered = (error.answer, (from, to));
            *tally.answered.entry(answered).or_default() += 1;
            if error.farthest >= journey.way.at(to, count) {
                let farthest = journey.way.at(error.farthest, count);
                add(&mut tally.answered_beyond, farthest);
            }
        }
    }

    /// Ends the runs of losses that were going on.
    pub(super) fn end_occasions(&mut self) {
        for occasion in &mut self.decided.occasions {
            occasion.end(&mut self.decided.tallies);
        }
    }

    /// How far the clocks may be apart for the packet to be lost; `None` where that is no question.
    pub(super) fn margin_ns(&self, way: Way, ruling: Ruling, last: &Station) -> Option<u64> {
        match ruling {
            Ruling::Edge(to, Absence::Unrelated) => {
                self.clock_margin(way, (last.point, last.seen.sighting), to)
            }
            _ => None,
        }
    }

    /// Counts the answers that only all lost packets together tell.
    pub(super) fn settle_answers(&mut self) {
        for settled in self.evidence.settle() {
            let tally = self.decided.tallies.of(settled.tally);
            let answered = (settled.answer, settled.lost_at);
            *tally.answered.entry(answered).or_default() += 1;
        }
    }

    /// Counts the points between the packet's first and last that were watching and missed it.
    fn note_missed(&mut self, journey: &Journey, first: &Station, last: &Station) {
        let from = (last.point, last.seen.sighting);
        for position in first.position + 1..last.position {
            let point = journey.way.at(position, self.points.len());
            if journey.seen[point].is_none() && self.was_recording(journey.way, from, point) {
                self.decided.missed[point] += 1;
            }
        }
    }
}

/// Counts one more of `key`.
fn add<K: PartialEq>(counts: &mut Vec<(K, u64)>, key: K) {
    match counts.iter_mut().find(|(counted, _)| *counted == key) {
        Some((_, count)) => *count += 1,
        None => counts.push((key, 1)),
    }
}
