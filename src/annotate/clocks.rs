//! The points' clocks beside the first one's.

use crate::findings::{ClockMethod, DelayReference, Findings, Packet};

/// What must be added to each point's times to have them on the first point's clock.
///
/// Where packets went both ways the findings bound the offset between two clocks, and the middle of
/// the bounds is taken. Where they went one way, the shortest delay counts as 0. Where nothing
/// relates a point to one before it, its times stay as they are. Points are set beside their
/// neighbours, so that no packet reaches one before it has left the other. The sides of one capture
/// share its clock.
///
/// Delays along the whole path are another matter: they are counted as the findings count them,
/// from sending where both ends read one clock, else from the shortest one of the same direction.
#[derive(Debug, Clone)]
pub(crate) struct Clocks {
    shifts: Vec<Shift>,
    shortest: Shortest,
    /// Both ends of the path read the same clock.
    is_one: bool,
}

/// What is known of one point's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shift {
    shift_ns: i64,
    method: ClockMethod,
}

/// The shortest times between points, as their clocks show them.
#[derive(Debug, Clone)]
pub(super) struct Shortest {
    points: usize,
    /// By where a packet came from and where it went.
    ns: Vec<Option<i64>>,
}

impl Shortest {
    pub(super) fn new(points: usize) -> Self {
        Self {
            points,
            ns: vec![None; points * points],
        }
    }

    /// Notes the times at which a packet was seen, in the order in which it passed the points.
    pub(super) fn note(&mut self, seen: impl Iterator<Item = (usize, i64)> + Clone) {
        let mut later = seen.clone();
        for (from, sent_ns) in seen {
            later.next();
            for (to, arrived_ns) in later.clone() {
                let took_ns = arrived_ns.saturating_sub(sent_ns);
                let shortest = &mut self.ns[from * self.points + to];
                *shortest = Some(shortest.map_or(took_ns, |ns| ns.min(took_ns)));
            }
        }
    }

    /// The shortest time from one point to another.
    fn took_ns(&self, from: usize, to: usize) -> Option<i64> {
        self.ns[from * self.points + to]
    }

    /// How far the clock at `to` is before the one at `from` if the shortest delay is 0.
    fn offset_ns(&self, from: usize, to: usize) -> Option<i64> {
        let back = || self.took_ns(to, from).map(i64::saturating_neg);
        self.took_ns(from, to).or_else(back)
    }
}

impl Clocks {
    /// `record_of` says for each point what it was taken from: points of one record share a clock.
    pub(super) fn new(findings: &Findings, shortest: &Shortest, record_of: &[usize]) -> Self {
        let is_one = is_one(findings);
        let mut shifts = vec![Shift {
            shift_ns: 0,
            method: ClockMethod::SameHost,
        }];
        for point in 1..shortest.points {
            let mut before = record_of[..point].iter();
            if let Some(side) = before.position(|record| *record == record_of[point]) {
                shifts.push(shifts[side]);
                continue;
            }
            let related = (0..point).filter_map(|before| {
                let (offset_ns, method) = known(findings, before, point)
                    .or_else(|| Some((shortest.offset_ns(before, point)?, ClockMethod::OneWay)))?;
                let base: Shift = shifts[before];
                Some(Shift {
                    shift_ns: base.shift_ns.saturating_sub(offset_ns),
                    method: weaker(base.method, method),
                })
            });
            // Of the equally good ones the last, which is the nearest.
            let best = related.max_by_key(|shift| strength(shift.method));
            shifts.push(best.unwrap_or(Shift {
                shift_ns: 0,
                method: ClockMethod::None,
            }));
        }
        Self {
            shifts,
            shortest: shortest.clone(),
            is_one,
        }
    }

    /// Nanoseconds to be added to the point's times.
    #[must_use]
    pub(crate) fn shift_ns(&self, point: usize) -> i64 {
        self.shifts[point].shift_ns
    }

    /// The delay from one end of the path to the other, as the findings count it.
    pub(super) fn delay_ns(&self, sent: (usize, i64), arrived: (usize, i64)) -> i64 {
        let took_ns = arrived.1.saturating_sub(sent.1);
        match self.shortest.took_ns(sent.0, arrived.0) {
            Some(shortest_ns) if !self.is_one => took_ns.saturating_sub(shortest_ns),
            _ => took_ns,
        }
    }

    /// What was done to the point's times, in words.
    pub(super) fn words(&self, point: usize) -> String {
        let Shift { shift_ns, method } = self.shifts[point];
        let seconds = format!(
            "{}{}.{:09} s",
            if shift_ns < 0 { '-' } else { '+' },
            shift_ns.unsigned_abs() / 1_000_000_000,
            shift_ns.unsigned_abs() % 1_000_000_000
        );
        match method {
            _ if point == 0 => "all times are on this point's clock".to_owned(),
            ClockMethod::None => {
                "times as captured: nothing relates this clock to others".to_owned()
            }
            ClockMethod::SameHost => "times as captured: the clock is the first point's".to_owned(),
            ClockMethod::OneWay => {
                format!("times shifted by {seconds}: the shortest delay counts as 0")
            }
            ClockMethod::TwoWay => format!("times shifted by {seconds}: packets went both ways"),
        }
    }
}

/// Whether delays along the path are absolute: its ends read one kernel's clock.
fn is_one(findings: &Findings) -> bool {
    findings
        .directions
        .iter()
        .flat_map(|direction| &direction.protocols)
        .filter_map(|protocol| protocol.delay_ns)
        .any(|delay| delay.reference == DelayReference::Absolute)
}

/// What the findings know of two points' clocks: neighbours', and whether both ends read the same.
fn known(findings: &Findings, before: usize, point: usize) -> Option<(i64, ClockMethod)> {
    let name = |point: usize| findings.points[point].name.as_str();
    if before == 0 && point + 1 == findings.points.len() && is_one(findings) {
        return Some((0, ClockMethod::SameHost));
    }
    let mut segments = findings
        .directions
        .iter()
        .flat_map(|direction| &direction.segments);
    let segment = segments.find(|segment| {
        (segment.from.as_str(), segment.to.as_str()) == (name(before), name(point))
    })?;
    match segment.clock.method {
        method @ (ClockMethod::TwoWay | ClockMethod::SameHost) => {
            Some((segment.clock.offset_ns.unwrap_or(0), method))
        }
        ClockMethod::OneWay | ClockMethod::None => None,
    }
}

/// How much a relation of clocks is worth beside others.
fn strength(method: ClockMethod) -> u8 {
    match method {
        ClockMethod::None => 0,
        ClockMethod::OneWay => 1,
        ClockMethod::TwoWay => 2,
        ClockMethod::SameHost => 3,
    }
}

/// What a chain of two relations rests on.
fn weaker(a: ClockMethod, b: ClockMethod) -> ClockMethod {
    if strength(a) < strength(b) { a } else { b }
}

/// Which points a packet passed and when, in the order in which it did.
pub(super) fn passed<'a>(
    packet: &'a Packet,
    points: &'a [String],
) -> impl DoubleEndedIterator<Item = (usize, i64)> + Clone + 'a {
    packet.seen.iter().filter_map(|seen| {
        let point = points.iter().position(|name| *name == seen.point)?;
        Some((point, seen.time_ns))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three points whose segments' clocks are known so, and nothing else.
    fn findings(clocks: [(&str, Option<i64>); 2]) -> Findings {
        let point = |name: &str| {
            serde_json::json!({
                "name": name, "capture": name, "side": null, "source": "", "kind": "capture",
                "link_types": [], "resolution_ns": 1, "frames": 0, "hdp": 0, "first_ns": null,
                "last_ns": null, "capture_drops": null, "missed": 0, "copies": 0, "incomplete": 0,
                "gaps": [], "skipped": crate::findings::Skipped::default(),
            })
        };
        let segment = |(from, to): (&str, &str), (method, offset_ns): (&str, Option<i64>)| {
            serde_json::json!({
                "from": from, "to": to, "lost": 0, "within": null, "translation": null, "clock": {
                    "method": method, "offset_ns": offset_ns, "error_ns": null, "at_ns": null,
                    "skew_ppm": null, "steps": [],
                },
            })
        };
        let findings = serde_json::json!({
            "schema_version": 1, "generator": "", "ruleset": 1, "warnings": [],
            "points": [point("a"), point("b"), point("c")],
            "directions": [{
                "from": "a", "to": "c", "protocols": [], "against_control": null,
                "refusers": [], "destination": null,
                "segments": [segment(("a", "b"), clocks[0]), segment(("b", "c"), clocks[1])],
            }],
        });
        serde_json::from_value(findings).unwrap()
    }

    #[test]
    fn offsets_add_up_along_the_path() {
        let findings = findings([("two_way", Some(100)), ("one_way", None)]);
        let mut shortest = Shortest::new(3);
        // The shorter one counts; the one that a did not see relates b and c all the same.
        shortest.note([(0, 0), (1, 150), (2, 1_170)].into_iter());
        shortest.note([(1, 2_000), (2, 3_000)].into_iter());
        let clocks = Clocks::new(&findings, &shortest, &[0, 1, 2]);
        assert_eq!(
            [0, 1, 2].map(|point| clocks.shift_ns(point)),
            [0, -100, -1_100]
        );
        assert_eq!(
            clocks.delay_ns((0, 0), (2, 1_200)),
            30,
            "from the shortest one"
        );
    }

    #[test]
    fn the_sides_of_a_host_share_a_clock() {
        let findings = findings([("two_way", Some(100)), ("one_way", None)]);
        let mut shortest = Shortest::new(3);
        shortest.note([(0, 0), (1, 150), (2, 170)].into_iter());
        let clocks = Clocks::new(&findings, &shortest, &[0, 1, 1]);
        assert_eq!(
            [0, 1, 2].map(|point| clocks.shift_ns(point)),
            [0, -100, -100]
        );
    }

    #[test]
    fn packets_that_went_back_relate_clocks_too() {
        let findings = findings([("one_way", None), ("none", None)]);
        let mut shortest = Shortest::new(3);
        shortest.note([(1, 1_000), (0, 10)].into_iter());
        let clocks = Clocks::new(&findings, &shortest, &[0, 1, 2]);
        assert_eq!([0, 1, 2].map(|point| clocks.shift_ns(point)), [0, -990, 0]);
        assert_eq!(clocks.delay_ns((1, 1_000), (0, 20)), 10);
    }
}
