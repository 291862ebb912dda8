//! Fates: whether a packet arrived, was lost, or nobody knows.
//!
//! A packet is lost only where a point was watching when it should have come by and did not see it.

use std::net::IpAddr;

use super::{Judgement, order};
use crate::{
    correlate::{Journey, Station, Way},
    findings::{Absence, ClockFault, PointKind},
    observe::{Flow, Point, Sighting},
};

/// A fate with what it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ruling {
    /// Seen at the end of its way.
    Delivered,
    /// The same, after the wait time.
    Late,
    /// Lost between two points.
    Lost(usize, usize),
    /// Nobody knows whether it came to the point.
    Edge(usize, Absence),
    /// Sent with a TTL that could not suffice.
    Expired,
    /// Cannot be told from another packet, or cannot be told yet.
    Ambiguous,
    /// Another sender's, or the answer to one.
    Foreign(IpAddr),
}

/// Whether a point was watching for a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watched {
    Surely,
    Not(Absence),
}

/// Where nothing compares two clocks, a packet is taken to need no longer than this from one point to
/// the next.
const ASSUMED_DELAY_NS: i64 = 250_000_000;

/// What stands only if two clocks agree within less than this, is not said.
const LEAST_MARGIN_NS: u64 = 100_000_000;

/// A ruling as it was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Which way the packet was taken to go: more is known of that later.
    pub(super) way: Way,
    pub(super) ruling: Ruling,
}

impl Judgement<'_> {
    /// What became of a packet that was seen first and last at these stations.
    pub(super) fn ruling(&self, journey: &Journey, first: &Station, last: &Station) -> Ruling {
        let (origin, end) = (first.seen.sighting, last.seen.sighting);
        if let Some(other) = self.other_sender(journey, first, last) {
            Ruling::Foreign(other)
        } else if last.position >= self.reach[journey.way.index()] {
            if self.is_late(journey.way, (first.point, origin), (last.point, end)) {
                Ruling::Late
            } else {
                Ruling::Delivered
            }
        } else if journey.is_indistinct {
            Ruling::Ambiguous
        } else {
            let ruling = self.lost_or_edge(journey, last);
            match ruling {
                Ruling::Lost(_, next) | Ruling::Edge(next, _)
                    if self.is_expired(journey, last, next) =>
                {
                    Ruling::Expired
                }
                _ => ruling,
            }
        }
    }

    /// The other sender of a packet that did not pass the points before the one that saw it first, or
    /// whom it answers.
    fn other_sender(&self, journey: &Journey, first: &Station, last: &Station) -> Option<IpAddr> {
        let sighting = first.seen.sighting;
        let flow = self.points[first.point].flow(sighting);
        let is_foreign = self.relations.is_foreign(first.point, sighting.flow);
        if first.position == 0 {
            let has_passed = last.position > 0;
            let is_answer = || {
                self.decided
                    .askers
                    .are_answered_by(first.point, sighting.frame)
            };
            return (!has_passed && (is_foreign || is_answer())).then_some(flow.destination);
        }
        // Behind a translator others have the same address.
        let is_unseen = || {
            let mut before = order(self.points.len(), journey.way).take(first.position);
            before.any(|before| {
                self.points[before].summary.unplaced_drops() == 0
                    && self.was_watching(journey.way, (first.point, sighting), before)
            })
        };
        (is_foreign || is_unseen()).then_some(flow.source)
    }

    /// The fate of a packet that was not seen at the last point, by who was watching for it.
    fn lost_or_edge(&self, journey: &Journey, last: &Station) -> Ruling {
        let way = journey.way;
        let reach = self.reach[way.index()];
        let behind = order(self.points.len(), way)
            .take(reach + 1)
            .skip(last.position + 1);
        let from = (last.point, last.seen.sighting);
        match behind
            .clone()
            .find(|&next| self.was_watching(way, from, next))
        {
            Some(next) if self.was_missed(journey, last, next) => {
                Ruling::Edge(next, Absence::Missed)
            }
            Some(_) if self.may_be_a_part(journey, last) => Ruling::Ambiguous,
            Some(next) => Ruling::Lost(last.point, next),
            None if self.may_still_come(way, from, behind) => Ruling::Ambiguous,
            None => {
                let next = way.at(last.position + 1, self.points.len());
                Ruling::Edge(next, self.absence(journey, last, next))
            }
        }
    }

    /// Why nobody knows whether a packet came to a point that was not watching.
    fn absence(&self, journey: &Journey, last: &Station, point: usize) -> Absence {
        let flow =
            ends(journey).map(|(first, _)| self.points[first.point].flow(first.seen.sighting));
        if flow.is_some_and(|flow| is_unheard(self.points, point, flow)) {
            Absence::Unheard
        } else if self.was_missed(journey, last, point) {
            Absence::Missed
        } else {
            match self.watched(journey.way, (last.point, last.seen.sighting), point) {
                Watched::Not(absence) => absence,
                Watched::Surely => Absence::Unwatched,
            }
        }
    }

    /// How far the clocks of two points may be apart, in nanoseconds, with `to` all the same watching
    /// when it should have seen what `from` saw; `None` where it would not have been anyway.
    pub(super) fn clock_margin(
        &self,
        way: Way,
        (from, sighting): (usize, &Sighting),
        to: usize,
    ) -> Option<u64> {
        debug_assert!(
            self.clocks
                .window(way, from, to, sighting.time_ns)
                .is_none()
        );
        // An empty capture may be one of nothing.
        if self.points[to].frames == 0 {
            return None;
        }
        let from_ns = sighting.time_ns;
        let to_ns = from_ns.saturating_add(ASSUMED_DELAY_NS);
        let margin = self.coverages[to].margin(from_ns, to_ns)?;
        (margin >= LEAST_MARGIN_NS).then_some(margin)
    }

    /// Whether a point that is being read has not come as far as it should see what `from` saw.
    fn may_still_come(
        &self,
        way: Way,
        (from, sighting): (usize, &Sighting),
        mut behind: impl Iterator<Item = usize>,
    ) -> bool {
        behind.any(|next| {
            let is_open = self.open.get(next).is_some_and(|open| *open);
            is_open && !self.has_passed(next, self.due(way, (from, sighting), next))
        })
    }

    /// When point `to` should have seen what `from` saw, most probably.
    pub(super) fn expected_ns(
        &self,
        way: Way,
        (from, sighting): (usize, &Sighting),
        to: usize,
    ) -> i64 {
        let window = self.clocks.window(way, from, to, sighting.time_ns);
        let after_ns = window.map_or(0, |window| window.from_ns.midpoint(window.to_ns));
        sighting.time_ns.saturating_add(after_ns)
    }

    /// When point `to` should be done with what `from` saw, on its own clock.
    fn due(&self, way: Way, (from, sighting): (usize, &Sighting), to: usize) -> Option<i64> {
        let window = self.clocks.window(way, from, to, sighting.time_ns)?;
        Some(sighting.time_ns.saturating_add(window.to_ns))
    }

    fn has_passed(&self, point: usize, due_ns: Option<i64>) -> bool {
        due_ns.is_some() && self.coverages[point].last_ns() >= due_ns
    }

    /// Whether a packet has got its fate for good: no point that is being read may tell of it any
    /// more, not even after the wait time.
    pub(super) fn is_ripe(&self, journey: &Journey) -> bool {
        self.is_reached(journey, self.wait_ns)
    }

    /// Whether some point has not been read as far as the packet should have come by.
    pub(super) fn is_unreached(&self, journey: &Journey) -> bool {
        !self.is_reached(journey, 0)
    }

    /// Whether all points that are being read have come past the time at which they should see the
    /// packet, by so much.
    fn is_reached(&self, journey: &Journey, by_ns: i64) -> bool {
        let Some(last) = journey.stations().last() else {
            return true;
        };
        let seen = (last.point, last.seen.sighting);
        (0..self.points.len()).all(|point| {
            let due_ns = if point == last.point {
                Some(seen.1.time_ns)
            } else {
                self.due(journey.way, seen, point)
            };
            !self.open.get(point).is_some_and(|open| *open)
                || self.has_passed(point, due_ns.map(|due_ns| due_ns.saturating_add(by_ns)))
        })
    }

    /// How long ago a packet was seen last, on the clock of the point that did.
    pub(super) fn age_ns(&self, journey: &Journey) -> i64 {
        let last = journey.stations().last();
        last.map_or(0, |last| {
            let until_ns = self.coverages[last.point].last_ns();
            let until_ns = until_ns.unwrap_or(last.seen.sighting.time_ns);
            until_ns.saturating_sub(last.seen.sighting.time_ns)
        })
    }

    /// Whether a capture that did not see the packet missed it: the packet came to its destination,
    /// which answered. Of a program inside that host an answer proves nothing.
    fn was_missed(&self, journey: &Journey, last: &Station, point: usize) -> bool {
        let flow = self.points[last.point].flow(last.seen.sighting);
        self.points[point].kind == PointKind::Capture && self.evidence.proves_arrival(journey, flow)
    }

    /// Whether point `to` was watching when it should have seen what `from` saw.
    #[inline]
    pub(super) fn was_watching(&self, way: Way, from: (usize, &Sighting), to: usize) -> bool {
        self.watched(way, from, to) == Watched::Surely
    }

    fn watched(&self, way: Way, (from, sighting): (usize, &Sighting), to: usize) -> Watched {
        let number = self.points[from].flow(sighting).protocol;
        match self.recording(way, (from, sighting), to) {
            // Nor does such a capture tell when it began.
            Watched::Surely | Watched::Not(Absence::Unwatched)
                if self.recorders.hides(to, number) =>
            {
                Watched::Not(Absence::CannotShow)
            }
            watched => watched,
        }
    }

    /// Whether point `to` was recording then, whatever numbers it shows.
    pub(super) fn was_recording(&self, way: Way, from: (usize, &Sighting), to: usize) -> bool {
        self.recording(way, from, to) == Watched::Surely
    }

    fn recording(&self, way: Way, (from, sighting): (usize, &Sighting), to: usize) -> Watched {
        let flow = self.points[from].flow(sighting);
        if self.points[to].kind != PointKind::Capture && !sees(self.points, to, flow) {
            return Watched::Not(Absence::Unwatched);
        }
        if is_blind(&self.points[to]) || self.points[to].cut_short.contains(&flow.protocol) {
            return Watched::Not(Absence::CannotShow);
        }
        let at_ns = sighting.time_ns;
        let Some(window) = self.clocks.window(way, from, to, at_ns) else {
            return Watched::Not(Absence::Unrelated);
        };
        let (from_ns, to_ns) = (
            at_ns.saturating_add(window.from_ns),
            at_ns.saturating_add(window.to_ns),
        );
        if !self.coverages[to].contains(from_ns, to_ns) {
            Watched::Not(Absence::Unwatched)
        } else if !self.clocks_are_known(way, from, to, at_ns) {
            Watched::Not(Absence::Unsettled)
        } else {
            Watched::Surely
        }
    }

    /// Whether the relation of two points' clocks is known for what `from` saw at this time: neither
    /// can have been set since the last packet before that shows it, or until the next one.
    fn clocks_are_known(&self, way: Way, from: usize, to: usize, at_ns: i64) -> bool {
        let runs_on = |point: usize, (from_ns, to_ns): (i64, i64)| {
            self.coverages[point].clock_runs_on(from_ns, to_ns)
        };
        let may_hold = |[here, there]: [(i64, i64); 2]| {
            let mut ways = Way::BOTH.into_iter();
            runs_on(from, here)
                && runs_on(to, there)
                && !ways.any(|way| self.clocks.were_set(way, from, to, here))
        };
        self.coverages[from].showed_once(at_ns)
            && !self.clocks.were_set(way, from, to, (at_ns, at_ns))
            && self
                .clocks
                .unknown_stretches(way, from, to, at_ns)
                .is_none_or(may_hold)
    }

    #[inline]
    pub(super) fn is_late(
        &self,
        way: Way,
        (from, origin): (usize, &Sighting),
        (to, end): (usize, &Sighting),
    ) -> bool {
        let difference_ns = end.time_ns.saturating_sub(origin.time_ns);
        self.clocks.lateness(way, from, to, difference_ns) > self.wait_ns
    }
}

/// Whether a point could not have told that a packet came: all its HDP was for other hosts, too
/// short to be known, or beyond the window; most of it cannot be read; or nobody knows when: it tells no times, or
/// its clock stands still.
pub(super) fn is_blind(point: &Point) -> bool {
    let skipped = &point.skipped;
    let unread = skipped.malformed + skipped.unsupported_link;
    let shows_none = skipped.other_host > 0
        || skipped.cut_short > 0
        || skipped.no_time > 0
        || 2 * unread > point.frames;
    point.hdp == 0 && (shows_none || point.off_date.is_likely())
        || point.clock_fault() == Some(ClockFault::StandsStill)
}

/// Whether the point, a log, would tell of a packet that comes from elsewhere.
fn sees(points: &[Point], point: usize, flow: &Flow) -> bool {
    points[point].kind != PointKind::SendLog && !is_unheard(points, point, flow)
}

/// Whether the point is a listener that had no socket open for such packets.
pub(super) fn is_unheard(points: &[Point], point: usize, flow: &Flow) -> bool {
    let heard = points[point].claims.heard.as_ref();
    heard.is_some_and(|heard| !heard.includes(flow))
}

/// The first and the last station of a packet's journey.
pub(super) fn ends<'a>(journey: &Journey<'a>) -> Option<(Station<'a>, Station<'a>)> {
    let first = journey.stations().next()?;
    let last = journey.stations().last()?;
    Some((first, last))
}
