//! Observations: everything that the points saw, ready to be judged.

use std::{cell::RefCell, io::Write};

use super::{
    Annotation, Error, Options, Order, Points, Subject, annotate::Writing, explain, listing, order,
    sides,
};
use crate::{
    annotate::Notes,
    correlate::{Relations, SecondChance, Survey},
    explain::Explanation,
    findings::{Findings, Packet},
    judge::{self, Lister, Show},
    observe::Point,
};

/// What the points saw, in path order, forwarding hosts taken apart.
pub(super) struct Observations {
    /// The sources; the two sides of a host come from one.
    points: Points,
    seen: Vec<Point>,
    survey: Survey,
    /// Whether the points hold all their sightings.
    are_all: bool,
    options: Options,
}

impl Observations {
    /// Puts points, which hold all their sightings, in order where that is asked for, and takes forwarding
    /// hosts apart.
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
            are_all: true,
            options: options.clone(),
        }
    }

    /// Points in path order, none of which is to be taken apart, that hold what the survey has not counted.
    pub(super) fn of_rest(
        points: Points,
        seen: Vec<Point>,
        survey: Survey,
        options: &Options,
    ) -> Self {
        Self {
            points,
            seen,
            survey,
            are_all: false,
            options: options.clone(),
        }
    }

    /// Whether packets can be listed in order: no sightings with other timestamps are put to any.
    pub(super) fn can_be_listed(&self) -> bool {
        let options = self.options.judging(&self.points.witnesses);
        let relations = Relations::learn(&self.seen, &self.survey);
        SecondChance::find(&self.seen, &relations, &self.survey, options.wait_ns).is_needless()
    }

    /// Judges the packets.
    pub(super) fn judge(self) -> Findings {
        let options = self.options.judging(&self.points.witnesses);
        judge::judge(&self.seen, self.survey, &options, None)
    }

    /// Judges the packets; `note` gets each of them.
    pub(super) fn list(self, note: &mut dyn FnMut(&Packet)) -> Result<Findings, Error> {
        self.judge_and(|observed, _, lister| observed.list_by(lister, note, |_| Ok(())))
    }

    /// Judges the packets, and lets `list` do so.
    fn judge_and(
        mut self,
        list: impl FnOnce(&Self, &Findings, &Lister<'_>) -> Result<(), Error>,
    ) -> Result<Findings, Error> {
        let survey = std::mem::replace(&mut self.survey, Survey::of(&[]));
        let judging = self.options.judging(&self.points.witnesses);
        let mut listed = Ok(());
        let listing = Box::new(|findings: &Findings, lister: &Lister<'_>| {
            listed = list(&self, findings, lister);
        });
        let findings = judge::judge(&self.seen, survey, &judging, Some(listing));
        listed.map(|()| findings)
    }

    /// Lists the packets. Where the points do not hold all sightings, `is_listed` is told from time to time
    /// before which frame of each point all packets were.
    fn list_by(
        &self,
        lister: &Lister<'_>,
        note: &mut dyn FnMut(&Packet),
        mut is_listed: impl FnMut(&[u64]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.are_all {
            lister.list(note);
            return Ok(());
        }
        let mut read = Ok(());
        let mut show_all = |show: &mut Show<'_>| {
            read = listing::read(
                &self.points,
                &self.seen,
                &self.options,
                show,
                &mut is_listed,
            );
        };
        lister.list_shown(&mut show_all, note);
        read
    }

    /// Tells the life of one packet.
    pub(super) fn explain(self, subject: &Subject) -> Result<Explanation, Error> {
        let seen = (self.seen.as_slice(), self.survey);
        explain::run(subject, &self.points, seen, &self.options)
    }

    /// Judges the packets, and writes the points' frames with what became of them; `note` gets each packet.
    pub(super) fn annotate<W: Write>(
        self,
        results: Vec<Annotation<W>>,
        note: &mut dyn FnMut(&Packet),
    ) -> Result<Findings, Error> {
        let notes = Notes::new(&self.seen);
        if self.are_all {
            self.annotate_at_the_end(results, notes, note)
        } else {
            self.judge_and(|observed, findings, lister| {
                observed.annotate_as_listed(results, notes, note, (findings, lister))
            })
        }
    }

    /// Writes the frames when all packets were listed.
    fn annotate_at_the_end<W: Write>(
        self,
        results: Vec<Annotation<W>>,
        mut notes: Notes,
        note: &mut dyn FnMut(&Packet),
    ) -> Result<Findings, Error> {
        let (points, options) = (self.points.clone(), self.options.clone());
        // Frames are read again, and the notes know where each packet was seen: the rest is forgotten.
        let findings = self.list(&mut |packet| {
            notes.add_times(packet);
            notes.add(packet);
            note(packet);
        })?;
        notes.sort();
        let clocks = notes.clocks(&findings);
        for result in results {
            Writing::open(result, &points, &notes, &clocks, &options)?.finish(&notes)?;
        }
        Ok(findings)
    }

    /// Lists the packets once for what the points' clocks have to do with each other, and again for each
    /// result: a frame is written when its packet was listed.
    fn annotate_as_listed<W: Write>(
        &self,
        results: Vec<Annotation<W>>,
        mut notes: Notes,
        note: &mut dyn FnMut(&Packet),
        (findings, lister): (&Findings, &Lister<'_>),
    ) -> Result<(), Error> {
        let mut note_times = |packet: &Packet| {
            notes.add_times(packet);
            note(packet);
        };
        self.list_by(lister, &mut note_times, |_| Ok(()))?;
        let clocks = notes.clocks(findings);
        for result in results {
            notes.clear();
            let writing = Writing::open(result, &self.points, &notes, &clocks, &self.options)?;
            let both = RefCell::new((&mut notes, writing));
            let mut note = |packet: &Packet| both.borrow_mut().0.add(packet);
            self.list_by(lister, &mut note, |before| {
                let (notes, writing) = &mut *both.borrow_mut();
                notes.sort();
                writing.write(notes, |record| before[record])?;
                notes.forget(|record| writing.is_past(record));
                Ok(())
            })?;
            let (notes, writing) = both.into_inner();
            writing.finish(notes)?;
        }
        Ok(())
    }
}
