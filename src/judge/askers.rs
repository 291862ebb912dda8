//! Answers to others: packets that go back to an address which several senders share.
//!
//! Behind a translator two senders have one address, and what answers the other one never comes to
//! ours. For each packet of the other that a point saw, one answer under its number that was seen there
//! afterwards, and nowhere else, is nobody's loss. Whose answer it was is not known: only that there is
//! one that was not ours.

use std::{collections::BTreeMap, net::IpAddr};

use rustc_hash::FxHashSet;

use super::{
    Judgement,
    fate::{Ruling, ends},
    order,
};
use crate::correlate::{Journey, Station, Way};

/// So many packets of others may wait for their answers; the oldest are forgotten.
const MOST: usize = 4096;

/// Packets of others, and the answers to them.
#[derive(Debug, Clone, Default)]
pub(super) struct Askers {
    /// By point and frame.
    asked: BTreeMap<Place, Asked>,
    /// Where the answers were seen.
    answers: FxHashSet<Place>,
}

/// A point and a frame there.
type Place = (usize, u32);

/// Source, destination and number.
type Line = (IpAddr, IpAddr, u8);

/// A packet of another sender.
#[derive(Debug, Clone, Copy)]
struct Asked {
    line: Line,
    time_ns: i64,
    /// An answer was found.
    is_answered: bool,
}

impl Askers {
    /// Whether what was seen here first, and then nowhere, answers another.
    #[inline]
    pub(super) fn are_answered_by(&self, point: usize, frame: u32) -> bool {
        !self.answers.is_empty() && self.answers.contains(&(point, frame))
    }

    /// Finds the answers among packets that were seen at one point only, by the time at which they were.
    fn answer(&mut self, mut alone: Vec<(i64, Place, Line)>) {
        alone.sort_unstable_by_key(|(time_ns, place, _)| (*time_ns, *place));
        for (time_ns, place, (source, destination, number)) in alone {
            let line = (destination, source, number);
            let here = self.asked.range_mut((place.0, 0)..=(place.0, u32::MAX));
            let mut before = here.map(|(_, asked)| asked).filter(|asked| {
                asked.line == line && !asked.is_answered && asked.time_ns <= time_ns
            });
            if let Some(asked) = before.next() {
                asked.is_answered = true;
                self.answers.insert(place);
            }
        }
    }
}

impl Judgement<'_> {
    /// Whether no point before the one that saw a packet first knows its source: a translator stands
    /// between, behind which several may share the address.
    fn is_translated(&self, journey: &Journey, first: &Station) -> bool {
        let source = self.points[first.point].flow(first.seen.sighting).source;
        let before = &order(self.points.len(), journey.way)[..first.position];
        let knows = |point: &usize| {
            let mut pairs = self.points[*point].pairs.iter();
            pairs.any(|pair| source == pair.0 || source == pair.1)
        };
        !before.is_empty() && !before.iter().any(knows)
    }

    /// Finds the answers to others among the packets that are to be decided.
    pub(super) fn find_answers_to_others(
        &mut self,
        journeys: impl FnOnce(&mut dyn FnMut(&Journey)),
        is_decided: impl Fn(&Journey) -> bool,
    ) {
        let goes = |way: Way| {
            let mut flows = (self.points.iter().enumerate())
                .flat_map(|(point, own)| (0..).zip(&own.flows).map(move |(flow, _)| (point, flow)));
            flows.any(|(point, flow)| self.relations.way(point, flow) == way)
        };
        if !Way::BOTH.into_iter().all(goes) {
            return;
        }
        let mut asked = Vec::new();
        let mut alone = Vec::new();
        journeys(&mut |journey| {
            let Some((first, last)) = ends(journey) else {
                return;
            };
            let sighting = first.seen.sighting;
            let flow = self.points[first.point].flow(sighting);
            let place = (first.point, sighting.frame);
            let line = (flow.source, flow.destination, flow.protocol);
            match self.ruling(journey, &first, &last) {
                Ruling::Foreign(_) if self.is_translated(journey, &first) => {
                    let time_ns = sighting.time_ns;
                    asked.push((
                        place,
                        Asked {
                            line,
                            time_ns,
                            is_answered: false,
                        },
                    ));
                }
                Ruling::Lost(..) if last.position == 0 && is_decided(journey) => {
                    alone.push((sighting.time_ns, place, line));
                }
                _ => {}
            }
        });
        let askers = &mut self.decided.askers;
        askers.answers.clear();
        for (place, asked) in asked {
            askers.asked.entry(place).or_insert(asked);
        }
        if !askers.asked.is_empty() {
            askers.answer(alone);
        }
        while askers.asked.len() > MOST {
            askers.asked.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_packet_of_another_excuses_one_answer_that_came_after_it() {
        let [ours, server]: [IpAddr; 2] =
            ["203.0.113.9", "198.51.100.7"].map(|a| a.parse().unwrap());
        let mut askers = Askers::default();
        let asked = Asked {
            line: (ours, server, 6),
            time_ns: 10,
            is_answered: false,
        };
        askers.asked.insert((1, 4), asked);
        let answer = |time_ns, frame, number| (time_ns, (1, frame), (server, ours, number));
        askers.answer(vec![
            answer(9, 3, 6),
            answer(12, 7, 6),
            answer(11, 6, 17),
            answer(11, 5, 6),
        ]);
        let answered = [3, 5, 6, 7].map(|frame| askers.are_answered_by(1, frame));
        assert_eq!(answered, [false, true, false, false]);
        assert!(!askers.are_answered_by(0, 5));
    }
}
