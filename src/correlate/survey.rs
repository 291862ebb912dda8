//! The survey: one pass over all sightings that counts in bulk what needs no judging.
//!
//! Most packets were seen at every point, once, with the same bytes. Such a packet needs no
//! [`super::Journey`] of its own: it is counted under the flows it belonged to. What is left, the
//! packets that some point did not see, saw twice or saw otherwise, is noted for the second pass.

use std::thread;

use super::{
    Difference, FlowPairs, Offsets, Spans, Trend, copies,
    journey::{Group, Merge, Stretch},
    loss_runs::{Mark, Passed},
};
use crate::observe::{Flow, Point, Sighting};

/// Of more packets with one timestamp none is compared with all others.
const MOST_TO_LINK: usize = 32;

/// From so many sightings on, a second thread takes less time than it costs.
const WORTH_A_THREAD: usize = 100_000;

/// What the first pass found.
#[derive(Debug, Clone)]
pub(crate) struct Survey {
    /// For each two points (first below second, at `first * points + second`): what packets tell
    /// that were one at sight.
    pub(super) links: Vec<FlowPairs<Link>>,
    /// At the same index, by the first point's address pairs: how the times went.
    trends: Vec<Vec<Option<Trend>>>,
    /// Packets that every point saw, by their flows at the first and the last point.
    through: FlowPairs<Through>,
    /// What had passed when a packet was not seen everywhere.
    passed: Passed,
    /// For each group of sightings that is left, the index of each point's next sighting.
    pub(super) rest: Vec<u32>,
}

/// What packets tell that went from one flow to another.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Link {
    /// The second point's times less the first's.
    pub offsets: Option<Offsets>,
    /// How many of the packets were seen at every point.
    pub through: u64,
}

/// Packets that every point saw once, unaltered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Through {
    /// The first point's address pair.
    pair: u32,
    /// The last point's time less the first's, in nanoseconds on their own clocks.
    pub offsets_ns: Spans,
    /// The same of those that were reordered where they arrived, if there are any.
    reordered: Option<Box<Reordered>>,
    /// The last of their timestamps.
    pub last_timestamp_ns: u64,
}

/// By how much times differ of packets that were reordered where they arrived: at the last point, or at the
/// first one for packets that go back.
#[derive(Debug, Clone, Default)]
struct Reordered {
    at_last_ns: Vec<i64>,
    at_first_ns: Vec<i64>,
}

/// Whether one of these values, which rise, is asked for, where what is asked for rises too.
pub(super) fn among(rising: &[u64]) -> impl FnMut(u64) -> bool {
    let mut rest = rising.iter().peekable();
    move |value| {
        while rest.next_if(|&&next| next < value).is_some() {}
        rest.peek() == Some(&&value)
    }
}

impl Survey {
    /// Surveys the points' sightings, two halves at once where there are many.
    #[must_use]
    pub(crate) fn of(points: &[Point]) -> Self {
        let all = Stretch::all(points);
        let most = points.iter().max_by_key(|point| point.sightings.len());
        match most {
            Some(most) if most.sightings.len() >= WORTH_A_THREAD => {
                let middle = most.sightings[most.sightings.len() / 2].timestamp_ns;
                let [first, second] = all.split(points, middle);
                let [mut survey, mut behind] = [Self::new(points.len()), Self::new(points.len())];
                thread::scope(|scope| {
                    scope.spawn(|| behind.add(points, &second, None));
                    survey.add(points, &first, None);
                });
                survey.append(behind);
                survey.link_through();
                survey
            }
            _ => {
                let mut survey = Self::new(points.len());
                survey.add(points, &all, None);
                survey.link_through();
                survey
            }
        }
    }

    pub(super) fn new(points: usize) -> Self {
        Self {
            links: std::iter::repeat_with(FlowPairs::default)
                .take(points * points)
                .collect(),
            trends: vec![Vec::new(); points * points],
            through: FlowPairs::default(),
            passed: Passed::default(),
            rest: Vec::new(),
        }
    }

    /// Surveys a stretch behind all others. Where the points' sightings are going to be forgotten,
    /// those of the rest go into `kept`, and the rest refers to them there.
    pub(super) fn add(
        &mut self,
        points: &[Point],
        stretch: &Stretch,
        mut kept: Option<&mut [Vec<Sighting>]>,
    ) {
        let count = points.len();
        let mut merge = Merge::new(points, stretch);
        loop {
            if let ([p, q], [of_p, of_q]) = (points, merge.ahead()) {
                self.skip_alike([p, q], [of_p, of_q], u64::MAX, is_any, |_, _| ());
            }
            let Some(group) = merge.next_group() else {
                break;
            };
            let agrees = group.agrees();
            let is_through = agrees && self.note_if_through(points, &group, is_any);
            // What went through both of two points is linked at the end, by the bulk.
            if agrees && !(is_through && count == 2) && !group.goes_both_ways() {
                self.link(points, &group, |_, _| Some(is_through));
            }
            if !agrees {
                self.link_alike(points, &group, |_, _| true);
            }
            if is_through {
                continue;
            }
            self.passed.note(&group, &mut self.through);
            match &mut kept {
                None => self.rest.extend(group.starts().map(index)),
                Some(kept) => {
                    for (kept, sightings) in kept.iter_mut().zip(group.sightings) {
                        self.rest.push(index(kept.len()));
                        kept.extend_from_slice(sightings);
                    }
                }
            }
        }
    }

    /// Surveys in bulk what every point saw alike, of a stretch behind all others, and calls `visit` with
    /// such a packet's sightings at the ends of the path. All else goes into `left`, as it is, as do
    /// packets `apart`, whose timestamps rise, and first fragments, which may turn out to lack another.
    pub(super) fn take_alike(
        &mut self,
        points: &[Point],
        stretch: &Stretch,
        mut apart: &[u64],
        mut visit: impl FnMut(&Sighting, &Sighting),
        left: &mut [Vec<Sighting>],
    ) {
        let mut merge = Merge::new(points, stretch);
        loop {
            if let ([p, q], [of_p, of_q]) = (points, merge.ahead()) {
                let until_ns = apart.first().copied().unwrap_or(u64::MAX);
                self.skip_alike([p, q], [of_p, of_q], until_ns, is_whole, &mut visit);
            }
            let Some(group) = merge.next_group() else {
                break;
            };
            while let [first, others @ ..] = apart
                && *first < group.timestamp_ns
            {
                apart = others;
            }
            let is_through = apart.first() != Some(&group.timestamp_ns)
                && group.agrees()
                && !group.has_fragment()
                && self.note_if_through(points, &group, is_whole);
            if !is_through {
                for (left, sightings) in left.iter_mut().zip(group.sightings) {
                    left.extend_from_slice(sightings);
                }
                continue;
            }
            if points.len() > 2 {
                self.link(points, &group, |_, _| Some(true));
            }
            if let [[first], .., [last]] = group.sightings {
                visit(first, last);
            }
        }
    }

    /// Surveys a group that one point has added to, apart from all stretches; whether it is a packet
    /// that every point saw alike, which is counted then. `news` are what the point has added, which
    /// had none of the group before if `is_new`. A first fragment may turn out to lack another: it is not counted.
    pub(super) fn join(
        &mut self,
        points: &[Point],
        group: &Group,
        point: usize,
        (is_new, news): (bool, &[Sighting]),
    ) -> bool {
        let agrees = group.agrees();
        let is_through =
            agrees && !group.has_fragment() && self.note_if_through(points, group, is_whole);
        if is_new && agrees && !(is_through && points.len() == 2) && !group.goes_both_ways() {
            self.link(points, group, |first, second| {
                (first == point || second == point).then_some(is_through)
            });
        }
        if !agrees {
            let is_news = |at: usize, sighting: &Sighting| {
                let mut news = news.iter();
                at == point && news.any(|new| new.frame == sighting.frame)
            };
            self.link_alike(points, group, |(first, a), (second, b)| {
                is_news(first, a) || is_news(second, b)
            });
        }
        if is_through && points.len() > 2 {
            self.pass_on(group, point);
        }
        is_through
    }

    /// Notes that a packet was seen at every point, for the flows that were linked before one did.
    fn pass_on(&mut self, group: &Group, newest: usize) {
        let points = group.sightings.len();
        let mut firsts = group.firsts().filter(|(point, _)| *point != newest);
        while let Some((first, a)) = firsts.next() {
            for (second, b) in firsts.clone() {
                let link = self.links[first * points + second].get(a.flow, b.flow, Link::default);
                link.through += 1;
            }
        }
    }

    /// How many timestamps there are in the rest.
    #[must_use]
    pub(crate) fn rest_len(&self, points: usize) -> usize {
        self.rest.len() / points
    }

    /// Keeps of the rest what has one of these timestamps, which rise.
    pub(crate) fn keep_rest(&mut self, points: &[Point], timestamps: &[u64]) {
        let mut is_wanted = among(timestamps);
        let mut kept = 0;
        for group in (0..self.rest.len()).step_by(points.len()) {
            let starts = group..group + points.len();
            let firsts = points.iter().zip(&self.rest[starts.clone()]);
            let firsts = firsts.filter_map(|(point, &start)| point.sightings.get(start as usize));
            let timestamp_ns = firsts.map(|first| first.timestamp_ns).min();
            if timestamp_ns.is_some_and(&mut is_wanted) {
                self.rest.copy_within(starts, kept);
                kept += points.len();
            }
        }
        self.rest.truncate(kept);
    }

    /// Notes all sightings that the points hold as the rest.
    pub(super) fn note_rest(&mut self, points: &[Point]) {
        self.rest.clear();
        let all = Stretch::all(points);
        let sightings = points
            .iter()
            .map(|point| point.sightings.len())
            .sum::<usize>();
        // Most groups are one packet that one point saw.
        self.rest.reserve_exact(sightings * points.len());
        let mut merge = Merge::new(points, &all);
        while let Some(group) = merge.next_group() {
            self.rest.extend(group.starts().map(index));
        }
    }

    /// Counts what comes next at two points as long as both saw it alike, once, before a timestamp:
    /// nearly always.
    #[inline(always)]
    fn skip_alike(
        &mut self,
        [p, q]: [&Point; 2],
        [of_p, of_q]: [&mut &[Sighting]; 2],
        until_ns: u64,
        counts: impl Fn(&Flow, &Flow) -> bool + Copy,
        mut visit: impl FnMut(&Sighting, &Sighting),
    ) {
        let (mut ahead_p, mut ahead_q) = (*of_p, *of_q);
        while let ([a, next_a, ..], [b, next_b, ..]) = (ahead_p, ahead_q)
            && a.timestamp_ns == b.timestamp_ns
            && a.timestamp_ns < until_ns
            && a.timestamp_ns != next_a.timestamp_ns
            && b.timestamp_ns != next_b.timestamp_ns
            && a.shows_bytes_of(p.keys[a.flow as usize], b, q.keys[b.flow as usize])
            && let Some((pair, offset_ns)) = self.note_through([p, q], a, b, counts)
        {
            note_trend(&mut self.trends[1], pair, a, offset_ns);
            visit(a, b);
            (ahead_p, ahead_q) = (&ahead_p[1..], &ahead_q[1..]);
        }
        (*of_p, *of_q) = (ahead_p, ahead_q);
    }

    /// Links the flows of what went through two points.
    pub(super) fn link_through(&mut self) {
        let [_, links, _, _] = self.links.as_mut_slice() else {
            return;
        };
        for ((from, to), through) in self.through.iter() {
            let link = Link {
                offsets: Offsets::of_all(&through.offsets_ns),
                through: through.offsets_ns.len() as u64,
            };
            links.get(from, to, Link::default).append(link);
        }
    }

    /// Takes in the survey of the stretch behind this one's.
    fn append(&mut self, behind: Self) {
        for (links, behind) in self.links.iter_mut().zip(behind.links) {
            links.append(behind, Link::append);
        }
        self.passed.append(behind.passed, &mut self.through);
        self.through.append(behind.through, Through::append);
        for (trends, behind) in self.trends.iter_mut().zip(behind.trends) {
            for (pair, trend) in behind.into_iter().enumerate() {
                let Some(trend) = trend else { continue };
                match at(trends, pair) {
                    Some(known) => known.merge(&trend),
                    none => *none = Some(trend),
                }
            }
        }
        self.rest.extend(behind.rest);
    }

    /// Links the first sightings at each two points that are to be linked; `pair` tells so by
    /// whether the packet is one that every point saw.
    #[inline]
    fn link(
        &mut self,
        points: &[Point],
        group: &Group,
        pair: impl Fn(usize, usize) -> Option<bool>,
    ) {
        let mut firsts = group.firsts();
        while let Some((first, a)) = firsts.next() {
            for (second, b) in firsts.clone() {
                if let Some(is_through) = pair(first, second) {
                    self.link_two(points, [(first, a), (second, b)], is_through);
                }
            }
        }
    }

    /// Links what shows the same bytes at two points, unless it is packet and reply.
    #[inline]
    fn link_two(
        &mut self,
        points: &[Point],
        [(first, a), (second, b)]: [(usize, &Sighting); 2],
        is_through: bool,
    ) {
        let index = first * points.len() + second;
        let ends = [first, second].map(|point| &points[point]);
        let new = || (!are_opposite(ends, a, b)).then(Link::default);
        if let Some(link) = self.links[index].get_if(a.flow, b.flow, new) {
            let offset_ns = b.time_ns.saturating_sub(a.time_ns);
            link.note(offset_ns, is_through);
            note_trend(
                &mut self.trends[index],
                ends[0].flows[a.flow as usize].pair,
                a,
                offset_ns,
            );
        }
    }

    /// Links what shows the same bytes, where several packets share a timestamp: what is the only
    /// one of its kind at both of two points, if those are to be linked.
    #[cold]
    fn link_alike(
        &mut self,
        points: &[Point],
        group: &Group,
        pair: impl Fn((usize, &Sighting), (usize, &Sighting)) -> bool,
    ) {
        let many = group.sightings.iter().map(|of_point| of_point.len()).max();
        if many > Some(MOST_TO_LINK) {
            return;
        }
        let key = |point: usize, s: &Sighting| points[point].keys[s.flow as usize];
        for first in 0..points.len() {
            for second in first + 1..points.len() {
                for a in group.sightings[first] {
                    let alike = |point: usize| {
                        let of_point = group.sightings[point].iter();
                        let alike = of_point
                            .filter(move |s| a.shows_bytes_of(key(first, a), s, key(point, s)));
                        copies::earliest_of_one(&points[point], alike)
                    };
                    if let (Some(earliest), Some(b)) = (alike(first), alike(second))
                        && std::ptr::eq(earliest, a)
                        && pair((first, a), (second, b))
                    {
                        self.link_two(points, [(first, a), (second, b)], false);
                    }
                }
            }
        }
    }

    /// Counts a group that agrees if it is a packet that every point saw, once.
    #[inline]
    fn note_if_through(
        &mut self,
        points: &[Point],
        group: &Group,
        counts: impl Fn(&Flow, &Flow) -> bool,
    ) -> bool {
        let ([[first], .., [last]], [p, .., q]) = (group.sightings, points) else {
            return false;
        };
        if !group.is_single || group.sightings.iter().any(|s| s.is_empty()) {
            return false;
        }
        let noted = self.note_through([p, q], first, last, counts);
        if let (Some((pair, offset_ns)), [_, _]) = (noted, points) {
            note_trend(&mut self.trends[1], pair, first, offset_ns);
        }
        noted.is_some()
    }

    /// Counts what the first and the last point saw alike, unless they may be packet and reply, or flows
    /// that do not count: the first point's address pair, and by how much their times differ.
    #[inline(always)]
    fn note_through(
        &mut self,
        [p, q]: [&Point; 2],
        first: &Sighting,
        last: &Sighting,
        counts: impl Fn(&Flow, &Flow) -> bool,
    ) -> Option<(u32, i64)> {
        let place = match self.through.recent(first.flow, last.flow) {
            Some(place) => place,
            None => self.place_through([p, q], first, last, counts)?,
        };
        let through = self.through.at_mut(place);
        let offset_ns = last.time_ns.saturating_sub(first.time_ns);
        through.offsets_ns.push(offset_ns);
        through.last_timestamp_ns = through.last_timestamp_ns.max(first.timestamp_ns);
        if last.is_reordered() || first.is_reordered() {
            through.note_reordered((first, last), offset_ns);
        }
        Some((through.pair, offset_ns))
    }

    /// Where what goes through as these flows is counted, unless they do not count.
    #[cold]
    fn place_through(
        &mut self,
        [p, q]: [&Point; 2],
        first: &Sighting,
        last: &Sighting,
        counts: impl Fn(&Flow, &Flow) -> bool,
    ) -> Option<u32> {
        let entry = &p.flows[first.flow as usize];
        let [at_first, at_last] = [&entry.flow, q.flow(last)];
        self.through.place(first.flow, last.flow, || {
            let is_through = !at_first.may_be_reverse_of(at_last) && counts(at_first, at_last);
            is_through.then(|| Through {
                pair: entry.pair,
                ..Through::default()
            })
        })
    }

    /// Whether any packet was seen first at another point than its sender's end, as far as that
    /// shows without knowing which way packets go.
    pub(super) fn has_starts_behind_the_first(&self, points: &[Point]) -> bool {
        self.rest.chunks_exact(points.len()).any(|starts| {
            let next = |point: usize| {
                let next = points[point].sightings.get(starts[point] as usize);
                next.map(|sighting| sighting.timestamp_ns)
            };
            let earliest = (0..points.len()).filter_map(next).min();
            next(0) != earliest || next(points.len() - 1) != earliest
        })
    }

    /// What packets tell that went from flow to flow between two points, first below second.
    pub(crate) fn links(
        &self,
        points: usize,
        first: usize,
        second: usize,
    ) -> impl Iterator<Item = ((u32, u32), &Link)> {
        self.links[first * points + second].iter()
    }

    /// How the second point's times less the first's went, by the first point's address pairs.
    pub(crate) fn trends(
        &self,
        points: usize,
        first: usize,
        second: usize,
    ) -> impl Iterator<Item = (usize, &Trend)> {
        let trends = self.trends[first * points + second].iter().enumerate();
        trends.filter_map(|(pair, trend)| Some((pair, trend.as_ref()?)))
    }

    /// The packets that every point saw, by their flows at the first and the last point.
    pub(crate) fn through(&self) -> impl Iterator<Item = ((u32, u32), &Through)> {
        self.through.iter()
    }

    /// What had passed when a packet was not seen everywhere, by rising timestamp. It is no longer
    /// in the survey then.
    pub(crate) fn take_passed(&mut self) -> Vec<Mark> {
        std::mem::take(&mut self.passed).into_marks()
    }

    /// The same survey. This one knows how clocks relate then, and nothing more of the packets that every
    /// point saw.
    pub(super) fn take_complete(&mut self) -> Self {
        let through = std::mem::take(&mut self.through);
        Self {
            through,
            ..self.clone()
        }
    }

    /// The packets that every point saw, by their flows at the first and the last point. They are
    /// no longer in the survey then.
    pub(crate) fn take_through(&mut self) -> Vec<((u32, u32), Through)> {
        self.through.take()
    }
}

/// Notes by how much the times of one of an address pair's packets differ at two points.
#[inline(always)]
fn note_trend(trends: &mut Vec<Option<Trend>>, pair: u32, a: &Sighting, offset_ns: i64) {
    let pair = pair as usize;
    let difference = Difference {
        at_ns: a.time_ns,
        offset_ns,
    };
    match trends.get_mut(pair) {
        Some(Some(trend)) => trend.note(difference),
        _ => *at(trends, pair) = Some(Trend::of(difference)),
    }
}

/// The element at an index, which is made where there is none.
fn at<T: Default>(elements: &mut Vec<T>, index: usize) -> &mut T {
    if elements.len() <= index {
        elements.resize_with(index + 1, T::default);
    }
    &mut elements[index]
}

fn is_any(_: &Flow, _: &Flow) -> bool {
    true
}

/// Neither is the first piece of a packet, which may turn out to lack another.
fn is_whole(first: &Flow, last: &Flow) -> bool {
    !first.is_fragment && !last.is_fragment
}

/// Whether two points saw the same bytes go to and fro: where clocks are coarse, a packet and a
/// reply that each was seen at one of them only.
#[cold]
fn are_opposite([p, q]: [&Point; 2], first: &Sighting, last: &Sighting) -> bool {
    p.flow(first).is_reverse_of(q.flow(last))
}

fn index(index: usize) -> u32 {
    u32::try_from(index).expect("fewer than 2^32 sightings fit into memory")
}

impl Through {
    fn append(&mut self, mut behind: Self) {
        self.offsets_ns.append(behind.offsets_ns);
        if let Some(behind) = &mut behind.reordered {
            let reordered = self.reordered.get_or_insert_default();
            reordered.at_last_ns.append(&mut behind.at_last_ns);
            reordered.at_first_ns.append(&mut behind.at_first_ns);
        }
        self.last_timestamp_ns = self.last_timestamp_ns.max(behind.last_timestamp_ns);
    }

    #[inline]
    fn note_reordered(&mut self, (first, last): (&Sighting, &Sighting), offset_ns: i64) {
        let reordered = self.reordered.get_or_insert_default();
        if last.is_reordered() {
            reordered.at_last_ns.push(offset_ns);
        }
        if first.is_reordered() {
            reordered.at_first_ns.push(offset_ns);
        }
    }

    /// The last point's time less the first's of those that were reordered at the last point, or at the first.
    pub(crate) fn reordered_ns(&self, at_last: bool) -> &[i64] {
        match &self.reordered {
            Some(reordered) if at_last => &reordered.at_last_ns,
            Some(reordered) => &reordered.at_first_ns,
            None => &[],
        }
    }
}

impl Link {
    fn append(&mut self, behind: Self) {
        self.through += behind.through;
        match (&mut self.offsets, behind.offsets) {
            (Some(offsets), Some(behind)) => offsets.merge(&behind),
            (None, offsets) => self.offsets = offsets,
            (Some(_), None) => {}
        }
    }

    #[inline]
    fn note(&mut self, offset_ns: i64, is_through: bool) {
        self.through += u64::from(is_through);
        match &mut self.offsets {
            Some(offsets) => offsets.add(offset_ns),
            none => *none = Some(Offsets::of(offset_ns)),
        }
    }
}
