//! Answers to others: packets that go back to an address which several senders share.
//!
//! Behind a translator two senders have one address, and what answers the other one never comes to
//! ours. For each packet of the other that a point saw, one answer under its number that was seen there
//! afterwards, and nowhere else, is nobody's loss. Whose answer it was is not known: only that there is
//! one that was not ours.

use std::{collections::BTreeSet, net::IpAddr};

use super::{
    Judgement,
    fate::{Ruling, ends},
    order,
};
use crate::{
    correlate::{Journey, Station, Way},
    keyed::{KeyedMap, KeyedSet},
    observe::Point,
};

/// While packets are still coming, so many of others may wait for their answers under one number; the
/// oldest are forgotten.
const MOST_WAITING: usize = 64;

/// So many that were answered are told from those yet to be, in all.
const MOST_ANSWERED: usize = 4096;

/// Packets of others, and the answers to them.
#[derive(Debug, Clone, Default)]
pub(super) struct Askers {
    /// By point: times and frames of those that no answer was found to.
    waiting: KeyedMap<(usize, Line), BTreeSet<(i64, u32)>>,
    answered: BTreeSet<Place>,
    /// Where the answers were seen.
    answers: KeyedSet<Place>,
}

/// A point and a frame there.
type Place = (usize, u32);

/// Source, destination and number.
type Line = (IpAddr, IpAddr, u8);

/// A packet: when and where it was seen, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    time_ns: i64,
    place: Place,
    line: Line,
}

impl Askers {
    /// Whether what was seen here first, and then nowhere, answers another.
    #[inline]
    pub(super) fn are_answered_by(&self, point: usize, frame: u32) -> bool {
        !self.answers.is_empty() && self.answers.contains(&(point, frame))
    }

    /// Takes in a packet of another, which may be known.
    fn ask(&mut self, asked: Seen) {
        if !self.answered.contains(&asked.place) {
            let (point, frame) = asked.place;
            let waiting = self.waiting.entry((point, asked.line)).or_default();
            waiting.insert((asked.time_ns, frame));
        }
    }

    /// Finds the answers among packets that were seen at one point only, by the time at which they were.
    fn answer(&mut self, mut alone: Vec<Seen>) {
        alone.sort_unstable();
        for seen in alone {
            let (source, destination, number) = seen.line;
            let (point, _) = seen.place;
            let asked_by = (point, (destination, source, number));
            if let Some(waiting) = self.waiting.get_mut(&asked_by)
                && let Some(&(time_ns, frame)) = waiting.first()
                && time_ns <= seen.time_ns
            {
                waiting.pop_first();
                self.answered.insert((point, frame));
                self.answers.insert(seen.place);
            }
        }
    }

    /// Forgets the oldest.
    fn forget(&mut self) {
        for waiting in self.waiting.values_mut() {
            while waiting.len() > MOST_WAITING {
                waiting.pop_first();
            }
        }
        while self.answered.len() > MOST_ANSWERED {
            self.answered.pop_first();
        }
    }
}

impl Judgement<'_> {
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
        let mut addresses = Addresses::of(self.points);
        journeys(&mut |journey| {
            let Some((first, last)) = ends(journey) else {
                return;
            };
            let sighting = first.seen.sighting;
            let flow = self.points[first.point].flow(sighting);
            let seen = Seen {
                time_ns: sighting.time_ns,
                place: (first.point, sighting.frame),
                line: (flow.source, flow.destination, flow.protocol),
            };
            match self.ruling(journey, &first, &last) {
                Ruling::Foreign(_) if addresses.is_translated(journey, &first) => asked.push(seen),
                Ruling::Lost(..) if last.position == 0 && is_decided(journey) => alone.push(seen),
                _ => {}
            }
        });
        let askers = &mut self.decided.askers;
        askers.answers.clear();
        for asked in asked {
            askers.ask(asked);
        }
        askers.answer(alone);
        askers.forget();
    }
}

/// The addresses that each point saw.
struct Addresses<'a> {
    points: &'a [Point],
    /// By point, once they are asked for.
    known: Vec<Option<KeyedSet<IpAddr>>>,
}

impl<'a> Addresses<'a> {
    fn of(points: &'a [Point]) -> Self {
        Self {
            points,
            known: vec![None; points.len()],
        }
    }

    /// Whether no point before the one that saw a packet first knows its source: a translator stands
    /// between, behind which several may share the address.
    fn is_translated(&mut self, journey: &Journey, first: &Station) -> bool {
        let source = self.points[first.point].flow(first.seen.sighting).source;
        let mut before = order(self.points.len(), journey.way).take(first.position);
        first.position > 0 && !before.any(|point| self.knows(point, source))
    }

    fn knows(&mut self, point: usize, address: IpAddr) -> bool {
        let known = self.known[point].get_or_insert_with(|| {
            let pairs = self.points[point].pairs.iter();
            pairs.flat_map(|pair| [pair.0, pair.1]).collect()
        });
        known.contains(&address)
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
        let seen = |time_ns, frame, line| Seen {
            time_ns,
            place: (1, frame),
            line,
        };
        askers.ask(seen(10, 4, (ours, server, 6)));
        let answer = |time_ns, frame, number| seen(time_ns, frame, (server, ours, number));
        askers.answer(vec![
            answer(9, 3, 6),
            answer(12, 7, 6),
            answer(11, 6, 17),
            answer(11, 5, 6),
        ]);
        // It is known by now.
        askers.ask(seen(10, 4, (ours, server, 6)));
        askers.answer(vec![answer(13, 8, 6)]);
        assert!(!askers.are_answered_by(1, 8));
        let answered = [3, 5, 6, 7].map(|frame| askers.are_answered_by(1, frame));
        assert_eq!(answered, [false, true, false, false]);
        assert!(!askers.are_answered_by(0, 5));
    }
}
