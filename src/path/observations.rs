//! Observations: everything that the points saw, ready to be judged.

use std::io::Write;

use super::{Annotation, Error, Options, Order, Points, Subject, annotate, explain, order, sides};
use crate::{
    annotate::Notes,
    correlate::Survey,
    explain::Explanation,
    findings::{Findings, Packet},
    judge,
    observe::Point,
};

/// What the points saw, in path order, forwarding hosts taken apart.
pub(super) struct Observations {
    /// The sources; the two sides of a host come from one.
    points: Points,
    seen: Vec<Point>,
    survey: Survey,
    options: Options,
}

impl Observations {
    /// Puts points in order where that is asked for, and takes forwarding hosts apart.
    pub(super) fn new(points: Points, seen: Vec<Point>, survey: Survey, options: &Options) -> Self {
        let (points, seen, survey) = match options.order {
            Order::Given => (points, seen, survey),
            Order::Auto => order::by_packets(points, seen, survey, options),
        };
        let (seen, survey) = sides::take_apart(seen, survey);
        Self {
            points,
            seen,
            survey,
            options: options.clone(),
        }
    }

    /// Judges the packets; `note` gets each of them.
    pub(super) fn judge(self, note: Option<&mut dyn FnMut(&Packet)>) -> Findings {
        judge::judge(
            &self.seen,
            self.survey,
            &self.options.judging(&self.points.witnesses),
            note,
        )
    }

    /// Tells the life of one packet.
    pub(super) fn explain(self, subject: &Subject) -> Result<Explanation, Error> {
        let seen = (self.seen.as_slice(), self.survey);
        explain::run(subject, &self.points, seen, &self.options)
    }

    /// Judges the packets, and writes the points' frames with what became of them.
    pub(super) fn annotate<W: Write>(
        self,
        results: Vec<Annotation<W>>,
        note: &mut dyn FnMut(&Packet),
    ) -> Result<Findings, Error> {
        let mut notes = Notes::new(&self.seen);
        let mut both = |packet: &Packet| {
            notes.add(packet);
            note(packet);
        };
        let findings = judge::judge(
            &self.seen,
            self.survey,
            &self.options.judging(&self.points.witnesses),
            Some(&mut both),
        );
        // Frames are read again, and the notes know where each packet was seen.
        drop(self.seen);
        notes.sort();
        annotate::write(results, &self.points, &notes, &findings, &self.options)?;
        Ok(findings)
    }
}
