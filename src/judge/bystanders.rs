//! Bystanders: what became of everything else while HDP was sent.
//!
//! Other packets that crossed, or were lost where one of their flow had crossed, show what the path
//! lost anyway. Where so many of them were lost in a row that chance does not explain it, the path was
//! dead for a time: what HDP it lost then says nothing about a number.
//!
//! Where HDP was recorded meanwhile, the path was not dead.

use super::clocks::Clocks;
use crate::{
    correlate::{Passage, Relations, Way},
    findings::Bystanders as Counts,
    observe::Coverage,
};

/// A row of losses that is less likely than this was no chance.
const NO_CHANCE: f64 = 0.01;

/// What became of what is not HDP, for each way and two points.
#[derive(Debug, Default)]
pub(super) struct Bystanders {
    points: usize,
    by_segment: Vec<OfSegment>,
}

/// What went from one point to another.
#[derive(Debug, Default, Clone)]
struct OfSegment {
    packets: u64,
    arrived: u64,
    /// When nothing else crossed, on the clock of the point that packets come by first; each from the
    /// last that arrived before to the first that arrived behind.
    dead: Vec<(i64, i64)>,
}

impl Bystanders {
    /// Counts what was sent along while the point behind was watching.
    pub(super) fn judge(relations: &Relations, clocks: &Clocks, coverages: &[Coverage]) -> Self {
        let points = coverages.len();
        let mut by_segment = vec![OfSegment::default(); 2 * points * points];
        for way in Way::BOTH {
            for first in 0..points {
                for second in first + 1..points {
                    let Some(crossings) = relations.crossings(first, second) else {
                        continue;
                    };
                    let (from, to) = match way {
                        Way::Forward => (first, second),
                        Way::Reverse => (second, first),
                    };
                    let was_watching = |passage: &&Passage| {
                        passage.has_arrived
                            || clocks
                                .window(way, from, to, passage.at_ns)
                                .is_some_and(|window| {
                                    coverages[to].contains(
                                        passage.at_ns.saturating_add(window.from_ns),
                                        passage.at_ns.saturating_add(window.to_ns),
                                    )
                                })
                    };
                    let judged = crossings.passages(way).iter().filter(was_watching);
                    let mut segment = OfSegment::of(&judged.copied().collect::<Vec<_>>());
                    segment.dead.retain(|&(from_ns, to_ns)| {
                        let start = clocks.window(way, from, to, from_ns);
                        let end = clocks.window(way, from, to, to_ns);
                        let there = start.zip(end).map(|(start, end)| {
                            let from_ns = from_ns.saturating_add(start.to_ns);
                            (from_ns, to_ns.saturating_add(end.from_ns))
                        });
                        there.is_some_and(|(from_ns, to_ns)| {
                            !coverages[to].shows_hdp_between(from_ns, to_ns)
                        })
                    });
                    by_segment[index(points, way, from, to)] = segment;
                }
            }
        }
        Self { points, by_segment }
    }

    fn of(&self, way: Way, from: usize, to: usize) -> &OfSegment {
        &self.by_segment[index(self.points, way, from, to)]
    }

    /// What was sent this way from one point to another; `None` where nothing was.
    pub(super) fn counts(&self, way: Way, from: usize, to: usize) -> Option<Counts> {
        let OfSegment {
            packets, arrived, ..
        } = *self.of(way, from, to);
        (packets > 0).then_some(Counts { packets, arrived })
    }

    /// The stretch of time around this one in which nothing else crossed, on the clock of `from`.
    pub(super) fn dead_time(
        &self,
        way: Way,
        from: usize,
        to: usize,
        at_ns: i64,
    ) -> Option<(i64, i64)> {
        let dead = &self.of(way, from, to).dead;
        let next = dead.partition_point(|dead| dead.1 <= at_ns);
        dead.get(next).copied().filter(|dead| dead.0 < at_ns)
    }
}

fn index(points: usize, way: Way, from: usize, to: usize) -> usize {
    (way.index() * points + from) * points + to
}

impl OfSegment {
    /// Of packets in the order of sending.
    fn of(passages: &[Passage]) -> Self {
        let packets = passages.len() as u64;
        let arrived = passages
            .iter()
            .filter(|passage| passage.has_arrived)
            .count() as u64;
        let usually_lost = (packets - arrived) as f64 / packets.max(1) as f64;
        let mut dead = Vec::new();
        let mut end = 0;
        for row in passages.chunk_by(|a, b| a.has_arrived == b.has_arrived) {
            let start = end;
            end += row.len();
            // At the ends nobody knows how long it was so.
            let before = start.checked_sub(1).and_then(|before| passages.get(before));
            let (Some(before), Some(behind), false) =
                (before, passages.get(end), row[0].has_arrived)
            else {
                continue;
            };
            let length = i32::try_from(row.len()).unwrap_or(i32::MAX);
            if packets as f64 * usually_lost.powi(length) < NO_CHANCE {
                dead.push((before.at_ns, behind.at_ns));
            }
        }
        Self {
            packets,
            arrived,
            dead,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second apart; `.` arrived, `x` lost.
    fn dead(fates: &str) -> Vec<(i64, i64)> {
        let passages: Vec<Passage> = fates
            .bytes()
            .zip(0..)
            .map(|(fate, at_ns)| Passage {
                at_ns,
                has_arrived: fate == b'.',
            })
            .collect();
        OfSegment::of(&passages).dead
    }

    #[test]
    fn a_row_of_losses_that_is_no_chance_is_a_dead_time() {
        assert_eq!(
            dead(&[".".repeat(20), "xxxx".to_owned(), ".".repeat(30)].concat()),
            [(19, 24)]
        );
    }

    #[test]
    fn scattered_losses_are_none() {
        assert_eq!(dead(&"...x".repeat(50)), []);
        assert_eq!(dead(&"..x.x...xx.....x..".repeat(5)), []);
        // The same row where half of all is lost.
        assert_eq!(dead(&".x.xxxx.x.x.x".repeat(4)), []);
        assert_eq!(dead("...xxx"), []);
    }
}
