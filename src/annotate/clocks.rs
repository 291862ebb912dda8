//! The points' clocks beside the first one's.

use crate::findings::{ClockMethod, DelayReference, Direction, Findings, Packet};

/// What must be added to each point's times to have them on the first point's clock.
///
/// Between neighbours the offset is the findings', at any time. Points that no packet relates to
/// their neighbours are set beside another one, with the shortest delay counted as 0; where nothing
/// relates a point to one before it, its times stay as they are. The sides of one capture share its
/// clock.
#[derive(Debug, Clone)]
pub(crate) struct Clocks {
    findings: Findings,
    shifts: Vec<Shift>,
}

/// What is known of one point's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shift {
    /// What it is set beside; nothing of the first point, and of one that nothing relates.
    beside: Option<(usize, Offset)>,
    /// What that rests on, along the whole way to the first point.
    method: ClockMethod,
}

/// How far a clock is before another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offset {
    /// As the findings say, by time.
    Found,
    /// So far at any time.
    Constant(i64),
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
        let mut shifts = vec![Shift {
            beside: None,
            method: ClockMethod::SameHost,
        }];
        for point in 1..shortest.points {
            let mut before = record_of[..point].iter();
            if let Some(side) = before.position(|record| *record == record_of[point]) {
                shifts.push(Shift {
                    beside: Some((side, Offset::Constant(0))),
                    method: shifts[side].method,
                });
                continue;
            }
            let related = (0..point).filter_map(|before| {
                let (offset, method) = known(findings, before, point).or_else(|| {
                    let offset = Offset::Constant(shortest.offset_ns(before, point)?);
                    Some((offset, ClockMethod::OneWay))
                })?;
                Some(Shift {
                    beside: Some((before, offset)),
                    method: weaker(shifts[before].method, method),
                })
            });
            // Of the equally good ones the last, which is the nearest.
            let best = related.max_by_key(|shift| strength(shift.method));
            shifts.push(best.unwrap_or(Shift {
                beside: None,
                method: ClockMethod::None,
            }));
        }
        Self {
            findings: Findings {
                // Thousands of packets' worth of numbers are of no use here.
                directions: findings.directions.iter().map(segments_only).collect(),
                ..findings.clone()
            },
            shifts,
        }
    }

    /// Nanoseconds to be added to a time of the point's clock.
    #[must_use]
    pub(crate) fn shift_ns(&self, point: usize, at_ns: i64) -> i64 {
        let (mut point, mut on_first_ns) = (point, at_ns);
        while let Some((beside, offset)) = self.shifts[point].beside {
            let name = |point: usize| self.findings.points[point].name.as_str();
            let offset_ns = match offset {
                Offset::Constant(offset_ns) => offset_ns,
                Offset::Found => {
                    let found =
                        (self.findings).clock_offset_ns(name(beside), name(point), on_first_ns);
                    found.map_or(0, |(offset_ns, _)| offset_ns)
                }
            };
            on_first_ns = on_first_ns.saturating_sub(offset_ns);
            point = beside;
        }
        on_first_ns.saturating_sub(at_ns)
    }

    /// What was done to the point's times, in words.
    pub(super) fn words(&self, point: usize) -> String {
        let method = self.shifts[point].method;
        let at_ns = self.findings.points[point].first_ns.unwrap_or_default();
        let end_ns = self.findings.points[point].last_ns.unwrap_or_default();
        let seconds = |at_ns: i64| {
            let shift_ns = self.shift_ns(point, at_ns);
            format!(
                "{}{}.{:09} s",
                if shift_ns < 0 { '-' } else { '+' },
                shift_ns.unsigned_abs() / 1_000_000_000,
                shift_ns.unsigned_abs() % 1_000_000_000
            )
        };
        let (first, last) = (seconds(at_ns), seconds(end_ns));
        let shifted = if first == last {
            format!("times shifted by {first}")
        } else {
            format!("times shifted by {first} at first and {last} in the end, for a clock was set")
        };
        match method {
            _ if point == 0 => "all times are on this point's clock".to_owned(),
            ClockMethod::None => {
                "times as captured: nothing relates this clock to others".to_owned()
            }
            ClockMethod::SameHost => "times as captured: the clock is the first point's".to_owned(),
            ClockMethod::OneWay => format!("{shifted}: the shortest delay counts as 0"),
            ClockMethod::TwoWay => format!("{shifted}: packets went both ways"),
        }
    }
}

/// A direction without its numbers.
fn segments_only(direction: &Direction) -> Direction {
    Direction {
        segments: direction.segments.clone(),
        protocols: Vec::new(),
        from: direction.from.clone(),
        to: direction.to.clone(),
        against_control: None,
        destination: None,
        refusers: Vec::new(),
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
fn known(findings: &Findings, before: usize, point: usize) -> Option<(Offset, ClockMethod)> {
    let name = |point: usize| findings.points[point].name.as_str();
    if before == 0 && point + 1 == findings.path_points().len() && is_one(findings) {
        return Some((Offset::Constant(0), ClockMethod::SameHost));
    }
    let (_, method) = findings.clock_offset_ns(name(before), name(point), 0)?;
    Some((Offset::Found, method))
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
        let point = points.iter().position(|name| **name == *seen.point)?;
        Some((point, seen.time_ns))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three points whose segments' clocks are known so, and nothing else.
    fn findings(clocks: [(&str, Option<i64>); 2]) -> Findings {
        let level = |(_, offset_ns): (&str, Option<i64>)| {
            let fastest_ns = offset_ns.map(|offset_ns| offset_ns + 50);
            let level = |fastest_ns| serde_json::json!({ "from_ns": 0, "to_ns": 9, "fastest_ns": fastest_ns });
            fastest_ns.map(level).into_iter().collect::<Vec<_>>()
        };
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
                    "levels": level((method, offset_ns)),
                },
            })
        };
        let findings = serde_json::json!({
            "schema_version": 1, "generator": "", "ruleset": 1, "warnings_typed": [],
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
            [0, 1, 2].map(|point| clocks.shift_ns(point, 0)),
            [0, -100, -1_100]
        );
    }

    #[test]
    fn the_sides_of_a_host_share_a_clock() {
        let findings = findings([("two_way", Some(100)), ("one_way", None)]);
        let mut shortest = Shortest::new(3);
        shortest.note([(0, 0), (1, 150), (2, 170)].into_iter());
        let clocks = Clocks::new(&findings, &shortest, &[0, 1, 1]);
        assert_eq!(
            [0, 1, 2].map(|point| clocks.shift_ns(point, 0)),
            [0, -100, -100]
        );
    }

    #[test]
    fn packets_that_went_back_relate_clocks_too() {
        let findings = findings([("one_way", None), ("none", None)]);
        let mut shortest = Shortest::new(3);
        shortest.note([(1, 1_000), (0, 10)].into_iter());
        let clocks = Clocks::new(&findings, &shortest, &[0, 1, 2]);
        assert_eq!(
            [0, 1, 2].map(|point| clocks.shift_ns(point, 0)),
            [0, -990, 0]
        );
    }
}
