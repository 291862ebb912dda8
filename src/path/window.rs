//! A window: points that are being read at the same time, in bounded memory, and what is known of
//! them so far.
//!
//! Each point's frames come from a thread of its own ([`Window::frame`]), those of files by turns from
//! one ([`Window::next`]); the findings are there at any time ([`Window::snapshot`]), from any thread:
//! they are those of captures that had ended there and then. What lies too near to that end to be
//! judged is `edge`, and gets its fate in a later snapshot.
//!
//! As long as there are few sightings they are all kept, and the findings are those of
//! [`crate::judge`], to the letter. From then on packets that all points saw alike are counted
//! and forgotten; the others wait ([`Pending`]) until their fate is certain ([`Ledger`]). A point
//! that is read faster than others is held up rather than that a fate is guessed, unless it must not
//! be, or nothing has come from the others for as long as a packet may take ([`Pace`]). What is decided
//! so hangs on how fast the points are read; where files are read by turns, on nothing but the files.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Memory, Named, Options, Points, sides};
use crate::{
    correlate::{Pending, Places, Survey},
    decode::{Dates, Shortcut},
    findings::{Findings, Packet},
    judge::{self, Decision, Ledger, Listing, Reading, Urgency, conclude, judge},
    observe::{Batch, Observer, Point, Sighting},
    source::{Frame, Summary},
};

/// How much a window keeps, in sightings (32 bytes each).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// With so many in all, none is forgotten.
    pub all: usize,
    /// From so many that wait on, those are decided that can be; beyond four times as many, some
    /// must be.
    pub waiting: usize,
    /// So many packets that all points saw have delays of their own, before these are rounded.
    pub delays: usize,
    /// So many that a point was told of are taken in together.
    pub batch: usize,
}

impl Room {
    /// Nothing is forgotten.
    #[must_use]
    pub fn for_all() -> Self {
        Self {
            all: usize::MAX,
            ..Self::default()
        }
    }
}

impl Room {
    /// So many ICMP errors of a point are kept, and as many packets that something wrote into.
    fn evidence(self) -> usize {
        self.waiting.saturating_mul(4)
    }

    /// So many sightings are held at the least before some are decided that should wait.
    fn most_held(self) -> usize {
        self.waiting.saturating_mul(4)
    }
}

impl Default for Room {
    /// Less than 64 MiB in all, for two points.
    fn default() -> Self {
        Self {
            all: 1 << 15,
            waiting: 1 << 13,
            delays: 1 << 20,
            batch: 1 << 12,
        }
    }
}

/// How long a point that is held up waits before it is looked at anew.
const REVIEW: Duration = Duration::from_millis(500);

/// How long one that is ahead lets the others come up with it before anything is decided for want of
/// room: as a rule they are being read.
const PATIENCE: Duration = Duration::from_millis(20);

/// Packets of a number that are worth looking at one by one while more are coming.
const PACKETS: usize = 20;

/// So many of the last sightings of each point are known for that, and up to twice as many: more than
/// there are packets of 256 numbers worth looking at.
const RECENT: usize = 1 << 13;

/// What the reader of a point does where that is ahead of others, and there is no room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// It goes on.
    GoesOn,
    /// It waits until the others have come up.
    Waits,
    /// It reads the others next: see [`Window::next`].
    TakesTurns,
}

/// Points whose frames come one by one, from whatever a program captures them with.
///
/// ```
/// use hdp::{path::{Options, Window}, source::{Origin, Source}};
///
/// # std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/three-points")).unwrap();
/// let window = Window::new(["client", "server"], &Options::default());
/// for (point, file) in ["client.pcap", "server.pcap"].into_iter().enumerate() {
///     let mut source = Source::open(Origin::Path(file.into()))?;
///     while let Some(frame) = source.next_frame() {
///         window.frame(point, &frame);
///     }
///     window.finish(point);
/// }
/// let findings = window.snapshot();
/// # assert!(!findings.directions.is_empty());
/// # Ok::<(), hdp::source::Error>(())
/// ```
#[derive(Debug)]
pub struct Window {
    options: judge::Options,
    room: Room,
    labels: Vec<Label>,
    dates: Dates,
    /// What each point's reader has told. Never locked while waiting for anything else.
    feeds: Vec<Mutex<Feed>>,
    /// What was taken from them. Locked before any feed.
    taken: Mutex<Taken>,
    /// Something was taken or decided, or a point has ended.
    moved: Condvar,
}

/// What a point is called, and where it is read from.
#[derive(Debug, Clone)]
struct Label {
    name: String,
    source: String,
}

/// One point, as its reader knows it.
#[derive(Debug, Default)]
struct Feed {
    observer: Observer,
    /// There once a caller has handed in a frame of its own.
    decoder: Option<Box<Shortcut>>,
    /// What the source says of itself, as far as it was told.
    summary: Summary,
    /// A point that was read elsewhere, but for its sightings.
    elsewhere: Option<Point>,
    /// No more frames come.
    has_ended: bool,
    /// A batch that was taken in, and is empty.
    spare: Batch,
}

/// What was taken from all points.
#[derive(Debug)]
enum Taken {
    /// Everything, by point, in the order in which it came.
    All(Vec<Batch>),
    /// What needs to be known of it.
    Some(Box<Bounded>),
}

#[derive(Debug)]
struct Bounded {
    pending: Pending<Decision>,
    decided: Ledger,
    /// When so many wait, some are decided. To decide takes as long as there is to know, so a share of
    /// that must have come before.
    decide_at: usize,
    /// When so many are held, some are decided that should wait; likewise.
    full_at: usize,
    /// Before so many are held, or a point ends, it is hardly worth while to look anew at what could
    /// not be decided.
    review_at: usize,
    /// Whether most of that waits for points that are still being read.
    is_held_up: bool,
    /// How often something was taken in.
    taken: u64,
    /// The points whose readers wait for others.
    at_rest: Places,
    /// The last sightings of each point, by rising timestamp or nearly so.
    recent: Vec<Vec<Sighting>>,
}

impl Window {
    /// A window of these points, in path order, of which nothing is known yet. Of the options those
    /// for judging count, and how much memory there is.
    ///
    /// # Panics
    /// Where there are fewer than two points, or more than bounded memory has room for.
    #[must_use]
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>, options: &Options) -> Self {
        let label = |name: S| {
            let name = name.into();
            Label {
                source: name.clone(),
                name,
            }
        };
        let labels: Vec<Label> = names.into_iter().map(label).collect();
        assert!(
            (2..=Places::MOST).contains(&labels.len()),
            "{} points",
            labels.len()
        );
        let room = match options.memory {
            Memory::Automatic => Room::default(),
            Memory::Bounded(room) => room,
            Memory::Unbounded => Room::for_all(),
        };
        Self::of_labels(labels, options.judging(&Arc::default()), options, room)
    }

    /// A window of points that are read from sources.
    pub(super) fn of(points: &Points, options: &Options, room: Room) -> Self {
        let label = |point: &Named| Label {
            name: point.name.clone(),
            source: point.origin.to_string(),
        };
        let labels = points.iter().map(label).collect();
        Self::of_labels(labels, options.judging(&points.witnesses), options, room)
    }

    fn of_labels(
        labels: Vec<Label>,
        judging: judge::Options,
        options: &Options,
        room: Room,
    ) -> Self {
        let nothing = labels.iter().map(|_| Batch::default()).collect();
        let feed = |_| {
            let mut feed = Feed::default();
            if room.all < usize::MAX {
                feed.observer.bound_evidence(room.evidence());
            }
            Mutex::new(feed)
        };
        Self {
            options: judging,
            dates: options.dates(),
            room,
            feeds: labels.iter().map(feed).collect(),
            taken: Mutex::new(Taken::All(nothing)),
            moved: Condvar::new(),
            labels,
        }
    }

    /// Takes a point's next frame.
    pub fn frame(&self, point: usize, frame: &Frame<'_>) {
        let mut feed = lock(&self.feeds[point]);
        let Feed {
            observer, decoder, ..
        } = &mut *feed;
        let decoder = decoder.get_or_insert_with(|| Box::new(Shortcut::new(self.dates)));
        observer.watch(frame);
        observer.read(frame, decoder);
        let is_enough = self.is_enough(observer);
        drop(feed);
        if is_enough {
            self.advance(point, Pace::GoesOn);
        }
    }

    /// Ends a point: no more frames come.
    pub fn finish(&self, point: usize) {
        let summary = lock(&self.feeds[point]).summary.clone();
        self.end(point, summary);
    }

    /// Has a point's observer take a frame or several, however it wants to; and whether it holds
    /// enough to be taken in then.
    #[inline]
    pub(super) fn watch<T>(
        &self,
        point: usize,
        take: impl FnOnce(&mut Observer) -> T,
    ) -> (T, bool) {
        let observer = &mut lock(&self.feeds[point]).observer;
        let taken = take(observer);
        (taken, self.is_enough(observer))
    }

    /// Whether a point's observer holds enough to be taken in.
    #[inline]
    pub(super) fn is_enough(&self, observer: &Observer) -> bool {
        observer.held() >= self.room.batch + self.held_back()
    }

    /// Sightings that a point holds back for those with earlier timestamps: what comes in order is
    /// taken in fastest.
    fn held_back(&self) -> usize {
        self.room.batch / 4
    }

    /// Takes note of what a point's source says of itself, which must be true of all frames that
    /// the point was told of: a capture that attests when it watched has told of all it saw then.
    /// What it said before stands: its lists only grow.
    pub fn attest(&self, point: usize, summary: &Summary) {
        lock(&self.feeds[point]).summary.catch_up(summary);
    }

    /// The point to be read next where one thread reads all: of those that others have come up with, the one
    /// of which the least is held. `None` once all have ended.
    #[must_use]
    pub(super) fn next(&self) -> Option<usize> {
        let taken = lock(&self.taken);
        let is_open = |point: &usize| !lock(&self.feeds[*point]).has_ended;
        let open = (0..self.feeds.len()).filter(is_open);
        open.min_by_key(|&point| {
            let is_ahead = taken.coming(point) > self.room.batch;
            (is_ahead, taken.held(point))
        })
    }

    /// Takes in what a point was told of. While there is no room, a [`Pace::Waits`] waits for other points
    /// that are behind.
    pub(super) fn advance(&self, point: usize, pace: Pace) {
        let taken = lock(&self.taken);
        let mut feed = lock(&self.feeds[point]);
        let mut batch = std::mem::take(&mut feed.spare);
        feed.observer.give(self.held_back(), &mut batch);
        drop(feed);
        self.take_in(taken, point, batch, pace);
    }

    /// Ends a point, with what its source reports of itself.
    pub(super) fn end(&self, point: usize, summary: Summary) {
        let mut batch = Batch::default();
        let taken = lock(&self.taken);
        let mut feed = lock(&self.feeds[point]);
        feed.observer.give(0, &mut batch);
        feed.summary = summary;
        feed.has_ended = true;
        drop(feed);
        self.take_in(taken, point, batch, Pace::GoesOn);
    }

    /// Ends a point that was read elsewhere, as logs are.
    pub(super) fn end_as(&self, point: usize, mut read: Point) {
        let batch = Batch {
            sightings: std::mem::take(&mut read.sightings),
            flows: read.flows.clone(),
            keys: read.keys.clone(),
        };
        let taken = lock(&self.taken);
        let mut feed = lock(&self.feeds[point]);
        feed.elsewhere = Some(read);
        feed.has_ended = true;
        drop(feed);
        self.take_in(taken, point, batch, Pace::GoesOn);
    }

    /// The findings so far.
    #[must_use]
    pub fn snapshot(&self) -> Findings {
        let mut taken = lock(&self.taken);
        let (points, _) = self.points(&mut taken, Taken::sightings, Observer::so_far);
        match &*taken {
            Taken::All(_) => {
                drop(taken);
                self.judge(points, None)
            }
            Taken::Some(bounded) => {
                let Bounded {
                    pending, decided, ..
                } = &**bounded;
                let survey = pending.survey(&points);
                let decided = self.complete(decided.clone(), &points, &survey, pending);
                drop(taken);
                conclude(&points, survey, &self.options, decided, None)
            }
        }
    }

    /// The findings once all points are finished; the window knows nothing of them any more.
    #[must_use]
    pub(super) fn take_findings(&self) -> Findings {
        let mut taken = lock(&self.taken);
        let (points, _) = self.points(&mut taken, Taken::lend, std::mem::take);
        match std::mem::replace(&mut *taken, Taken::All(Vec::new())) {
            Taken::All(_) => self.judge(points, None),
            Taken::Some(bounded) => {
                let Bounded {
                    mut pending,
                    decided,
                    ..
                } = *bounded;
                let survey = pending.take_survey(&points);
                let decided = self.complete(decided, &points, &survey, &pending);
                drop(pending);
                conclude(&points, survey, &self.options, decided, None)
            }
        }
    }

    /// What is decided, with what came of packets that are no longer known.
    fn complete(
        &self,
        decided: Ledger,
        points: &[Point],
        survey: &Survey,
        pending: &Pending<Decision>,
    ) -> Ledger {
        decided.with(
            (points, survey, &self.options),
            pending.again(),
            pending.returned(),
            pending.stale(),
        )
    }

    /// The findings so far, and the last few packets of a number each way, the newest last.
    #[must_use]
    pub fn snapshot_with_packets(&self, number: u8) -> (Findings, Vec<Packet>) {
        let mut taken = lock(&self.taken);
        let (points, _) = self.points(&mut taken, Taken::recent, Observer::so_far);
        let has_forgotten = matches!(&*taken, Taken::Some(_));
        drop(taken);
        // What is older was forgotten at some point.
        let oldest = |point: &Point| point.sightings.first().map(|first| first.timestamp_ns);
        let from_ns = points.iter().filter_map(oldest).max();
        let from_ns = from_ns.filter(|_| has_forgotten).unwrap_or_default();
        let mut last: BTreeMap<Arc<str>, VecDeque<Packet>> = BTreeMap::new();
        let mut note = |packet: &Packet| {
            if packet.protocol == number && packet.timestamp_ns >= from_ns {
                let last = last.entry(packet.from.clone()).or_default();
                if last.len() == PACKETS {
                    last.pop_front();
                }
                last.push_back(packet.clone());
            }
        };
        let findings = self.judge(points, Some(&mut note));
        let packets = last.into_values().flatten().collect();
        if has_forgotten {
            (self.snapshot(), packets)
        } else {
            (findings, packets)
        }
    }

    /// The points, if no packet was forgotten, once all are finished.
    #[must_use]
    pub(super) fn take_points(&self) -> Option<Vec<Point>> {
        let mut taken = lock(&self.taken);
        let is_complete = matches!(&*taken, Taken::All(_));
        is_complete.then(|| self.points(&mut taken, Taken::lend, std::mem::take).0)
    }

    /// Judges points of which everything is known.
    fn judge(&self, points: Vec<Point>, note: Option<&mut dyn FnMut(&Packet)>) -> Findings {
        let survey = Survey::of(&points);
        let (points, survey) = sides::take_apart(points, survey);
        let listing = note.map(|note| -> Listing<'_> { Box::new(|_, lister| lister.list(note)) });
        judge(&points, survey, &self.options, listing)
    }

    /// Takes in a batch, and decides what there is no need or no room to wait for.
    fn take_in(&self, mut taken: MutexGuard<Taken>, point: usize, mut batch: Batch, pace: Pace) {
        taken.add(point, &mut batch);
        lock(&self.feeds[point]).spare = batch;
        taken.bound(self.room);
        if let Taken::Some(bounded) = &mut *taken {
            for (point, feed) in self.feeds.iter().enumerate() {
                if lock(feed).has_ended {
                    bounded.pending.end(point);
                }
            }
            if pace == Pace::GoesOn {
                bounded.review_at = 0;
            }
        }
        self.moved.notify_all();
        let must_make_room = |taken: &Taken| taken.is_full() && taken.is_ahead(point);
        if self.is_due(&taken) && !must_make_room(&taken) {
            self.decide(&mut taken, Urgency::None);
        }
        if pace == Pace::Waits && must_make_room(&taken) {
            taken = self.let_come_up(taken, point);
        }
        let patience = Duration::from_nanos(self.options.wait_ns);
        let (mut seen, mut waiting_since) = (taken.taken(), Instant::now());
        let mut still = taken.is_held_up();
        // A point that is behind makes room by going on.
        while must_make_room(&taken) {
            let is_held_up = still
                .take()
                .unwrap_or_else(|| self.decide(&mut taken, Urgency::UnlessHeldUp));
            if !taken.is_full() {
                break;
            }
            if pace == Pace::TakesTurns {
                if !is_held_up || taken.is_overfull() {
                    self.decide(&mut taken, Urgency::Now);
                }
                break;
            }
            if seen != taken.taken() {
                (seen, waiting_since) = (taken.taken(), Instant::now());
            }
            let waits = pace == Pace::Waits && is_held_up && self.has_others(&taken, point);
            if !waits || waiting_since.elapsed() > patience {
                self.decide(&mut taken, Urgency::Now);
                break;
            }
            taken = self.rest(taken, point, REVIEW, |taken| must_make_room(taken));
            // The others come up with this one in turn, and even so nothing more can be decided.
            if taken.is_overfull() {
                self.decide(&mut taken, Urgency::Now);
            }
        }
        self.moved.notify_all();
    }

    /// Waits as long as other points come up with one that is ahead, until they have.
    fn let_come_up<'a>(
        &self,
        mut taken: MutexGuard<'a, Taken>,
        point: usize,
    ) -> MutexGuard<'a, Taken> {
        while self.has_others(&taken, point) {
            let known = taken.taken();
            let is_ahead = |taken: &Taken| taken.coming(point) > self.room.batch;
            let waits = |taken: &mut Taken| is_ahead(taken) && taken.taken() == known;
            taken = self.rest(taken, point, PATIENCE, waits);
            if !is_ahead(&taken) || taken.taken() == known {
                break;
            }
        }
        taken
    }

    /// Waits so long at the most, as long as it has to.
    fn rest<'a>(
        &self,
        mut taken: MutexGuard<'a, Taken>,
        point: usize,
        time: Duration,
        has_to: impl FnMut(&mut Taken) -> bool,
    ) -> MutexGuard<'a, Taken> {
        taken.rest(point, true);
        // Who waits for this point waits for nothing now.
        self.moved.notify_all();
        let waited = self.moved.wait_timeout_while(taken, time, has_to);
        taken = waited.unwrap_or_else(PoisonError::into_inner).0;
        taken.rest(point, false);
        taken
    }

    /// Whether another point is still being read, and does not wait itself.
    fn has_others(&self, taken: &Taken, point: usize) -> bool {
        let mut others = self.feeds.iter().enumerate();
        others.any(|(other, feed)| {
            let waits = taken.is_at_rest(other) && taken.is_ahead(other);
            other != point && !waits && !lock(feed).has_ended
        })
    }

    fn is_due(&self, taken: &Taken) -> bool {
        match taken {
            Taken::All(_) => false,
            Taken::Some(bounded) => {
                bounded.waiting() > bounded.decide_at
                    || bounded.pending.surveyed() > self.room.delays
            }
        }
    }

    /// Decides what can be decided, or half of it all; whether most of what is left waits for points
    /// that are behind.
    fn decide(&self, taken: &mut Taken, urgency: Urgency) -> bool {
        let (points, open) = self.points(taken, Taken::lend, Observer::so_far);
        let Taken::Some(bounded) = taken else {
            return false;
        };
        let reading = Reading {
            open: &open,
            urgency,
        };
        let Bounded {
            pending, decided, ..
        } = &mut **bounded;
        let survey = pending.take_survey(&points);
        let settled = decided.decide(&points, survey, &self.options, reading, pending);
        for (point, told) in points.into_iter().enumerate() {
            let mut sightings = told.sightings;
            if !told.incomplete.is_empty() {
                sightings.extend(told.incomplete.iter().map(|lacking| lacking.sighting));
                sightings.sort_by_key(|sighting| sighting.timestamp_ns);
            }
            pending.put_back(point, sightings);
        }
        pending.settle(&settled.timestamps);
        for feed in &self.feeds {
            lock(feed).observer.forget_incomplete(&settled.timestamps);
        }
        let flows = bounded.pending.flows();
        bounded.decide_at = (2 * bounded.waiting())
            .max(flows / 2)
            .max(self.room.waiting);
        let held = bounded.held();
        bounded.review_at = held + held / 4;
        bounded.is_held_up = settled.is_held_up;
        if urgency.makes_room(settled.is_held_up) {
            let next = held + flows.max(held / 2);
            // What is held up is decided at half as many again.
            let next = if settled.is_held_up {
                next / 3 * 2
            } else {
                next
            };
            bounded.full_at = next.max(self.room.most_held());
            // Packets come so fast that none can be decided before the room is full.
            bounded.decide_at = bounded.decide_at.max(bounded.full_at);
        }
        settled.is_held_up
    }

    /// All points as if their sources had ended now, with the sightings that are still known, and
    /// which of them go on.
    fn points(
        &self,
        taken: &mut Taken,
        sightings: impl Fn(&mut Taken, usize) -> Vec<Sighting>,
        observer: impl Fn(&mut Observer) -> Observer,
    ) -> (Vec<Point>, Vec<bool>) {
        // Lock all feeds together, so that no point is seen later than another.
        let mut feeds: Vec<MutexGuard<Feed>> = self.feeds.iter().map(lock).collect();
        for (point, feed) in feeds.iter_mut().enumerate() {
            let mut batch = Batch::default();
            feed.observer.give(0, &mut batch);
            taken.add(point, &mut batch);
        }
        taken.flush();
        let open = feeds.iter().map(|feed| !feed.has_ended).collect();
        let points = feeds.iter_mut().zip(&self.labels).enumerate();
        let points = points.map(|(index, (feed, label))| {
            let sightings = sightings(taken, index);
            let twins = taken.twins(index);
            let mut summary = feed.summary.clone();
            // As if it had not watched meanwhile.
            summary.paused_ns.extend(taken.forgotten_ns(index));
            match &feed.elsewhere {
                Some(read) => Point {
                    sightings,
                    twins,
                    ..read.clone()
                },
                None => Point {
                    twins,
                    ..observer(&mut feed.observer).holding(sightings).finish(
                        label.name.clone(),
                        label.source.clone(),
                        summary,
                    )
                },
            }
        });
        (points.collect(), open)
    }
}

impl Taken {
    fn add(&mut self, point: usize, batch: &mut Batch) {
        match self {
            Self::All(kept) => {
                let kept = &mut kept[point];
                kept.sightings.append(&mut batch.sightings);
                kept.flows.append(&mut batch.flows);
                kept.keys.append(&mut batch.keys);
            }
            Self::Some(bounded) => {
                bounded.add(point, batch);
            }
        }
    }

    /// Forgets what need not be known, from a number of sightings on.
    fn bound(&mut self, room: Room) {
        let Self::All(kept) = self else { return };
        let all: usize = kept.iter().map(|batch| batch.sightings.len()).sum();
        if all <= room.all {
            return;
        }
        let mut bounded = Bounded {
            decided: Ledger::new(kept.len()),
            pending: Pending::new(kept.len()),
            decide_at: room.waiting,
            full_at: room.most_held(),
            review_at: 0,
            is_held_up: false,
            taken: 0,
            at_rest: Places::default(),
            recent: vec![Vec::new(); kept.len()],
        };
        for (point, batch) in kept.iter_mut().enumerate() {
            bounded.add(point, &mut std::mem::take(batch));
        }
        *self = Self::Some(Box::new(bounded));
    }

    /// Lets all that has come wait for its fate.
    fn flush(&mut self) {
        if let Self::Some(bounded) = self {
            bounded.pending.flush();
        }
    }

    /// Sightings of a point that are held.
    fn held(&self, point: usize) -> usize {
        match self {
            Self::All(kept) => kept[point].sightings.len(),
            Self::Some(bounded) => bounded.pending.held().nth(point).unwrap_or_default(),
        }
    }

    /// Sightings of a point that others have not come to.
    fn coming(&self, point: usize) -> usize {
        match self {
            Self::All(_) => 0,
            Self::Some(bounded) => bounded.pending.coming(point),
        }
    }

    /// Notes whether a point's reader waits for others.
    fn rest(&mut self, point: usize, rests: bool) {
        if let Self::Some(bounded) = self {
            let at_rest = &mut bounded.at_rest;
            *at_rest = if rests {
                at_rest.with(point)
            } else {
                at_rest.without(point)
            };
        }
    }

    /// Whether so much is held that some must be decided.
    fn is_full(&self) -> bool {
        matches!(self, Self::Some(bounded) if bounded.held() > bounded.full_at)
    }

    /// Whether what is held waits for points that are still being read, where too little has come to
    /// look at it anew.
    fn is_held_up(&self) -> Option<bool> {
        match self {
            Self::Some(bounded) if bounded.held() < bounded.review_at => Some(bounded.is_held_up),
            _ => None,
        }
    }

    /// Whether half as much again is held as should be.
    fn is_overfull(&self) -> bool {
        matches!(self, Self::Some(bounded) if bounded.held() > bounded.full_at / 2 * 3)
    }

    fn is_at_rest(&self, point: usize) -> bool {
        matches!(self, Self::Some(bounded) if bounded.at_rest.contains(point))
    }

    fn taken(&self) -> u64 {
        match self {
            Self::All(_) => 0,
            Self::Some(bounded) => bounded.taken,
        }
    }

    /// Of a point's sightings that were forgotten those that a mirror port may have made.
    fn twins(&self, point: usize) -> u64 {
        match self {
            Self::All(_) => 0,
            Self::Some(bounded) => bounded.pending.twins(point),
        }
    }

    /// When a point saw what is not known any more, and others have not come to.
    fn forgotten_ns(&self, point: usize) -> &[(i64, i64)] {
        match self {
            Self::All(_) => &[],
            Self::Some(bounded) => bounded.pending.forgotten_ns(point),
        }
    }

    /// Whether more of this point's sightings wait than of any other's.
    fn is_ahead(&self, point: usize) -> bool {
        let Self::Some(bounded) = self else {
            return false;
        };
        let held: Vec<usize> = bounded.pending.held().collect();
        held.iter().max() == Some(&held[point])
    }

    /// A point's sightings that are still known, by rising timestamp.
    fn sightings(&mut self, point: usize) -> Vec<Sighting> {
        match self {
            Self::All(kept) => {
                let mut sightings = kept[point].sightings.clone();
                sightings.sort_by_key(|sighting| sighting.timestamp_ns);
                sightings
            }
            Self::Some(bounded) => bounded.pending.sightings(point).to_vec(),
        }
    }

    /// The same, to be put back.
    fn lend(&mut self, point: usize) -> Vec<Sighting> {
        match self {
            Self::All(kept) => {
                let mut sightings = std::mem::take(&mut kept[point].sightings);
                sightings.sort_by_key(|sighting| sighting.timestamp_ns);
                sightings
            }
            Self::Some(bounded) => bounded.pending.lend(point),
        }
    }

    /// A point's last sightings, by rising timestamp: all of them, if none was forgotten.
    fn recent(&mut self, point: usize) -> Vec<Sighting> {
        match self {
            Self::All(_) => self.sightings(point),
            Self::Some(bounded) => {
                let mut sightings = bounded.recent[point].clone();
                sightings.sort_by_key(|sighting| sighting.timestamp_ns);
                sightings
            }
        }
    }
}

impl Bounded {
    fn add(&mut self, point: usize, batch: &mut Batch) {
        self.taken += 1;
        let recent = &mut self.recent[point];
        let new = batch.sightings.len().min(RECENT);
        if recent.len() + new > 2 * RECENT {
            recent.drain(..recent.len() - (RECENT - new));
        }
        recent.extend_from_slice(&batch.sightings[batch.sightings.len() - new..]);
        self.pending.add(point, batch);
    }

    /// Sightings that are held.
    fn held(&self) -> usize {
        self.pending.held().sum()
    }

    fn waiting(&self) -> usize {
        self.pending.waiting().sum()
    }
}

/// A reader that panicked is told of where it is joined.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
