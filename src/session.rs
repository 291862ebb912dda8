//! A session: points that are being read at the same time, and what is known of them so far.
//!
//! Each point is read in a thread of its own, which tells the session of every frame
//! ([`Session::watch`]). Whoever holds the session can ask for the findings at any time
//! ([`Session::snapshot`]), from any thread: they are those of a capture that had ended there and
//! then. What lies too near to that end to be judged is `edge`, and gets its fate in a later one.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    correlate::Survey,
    findings::{Findings, Packet},
    judge::{self, judge},
    observe::{Batch, Observer, Point},
    source::Summary,
    stages,
};

/// What a point is called, and where it is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Unique among the points.
    pub name: String,
    /// The source as the user named it.
    pub source: String,
}

/// Packets of a number that are worth looking at one by one while more are coming.
const PACKETS: usize = 20;

/// Points that are being read.
#[derive(Debug)]
pub struct Session {
    options: judge::Options,
    labels: Vec<Label>,
    /// What each point's reader has told. Never locked while waiting for anything else.
    feeds: Vec<Mutex<Feed>>,
    /// What was taken from them. Locked before any feed.
    joined: Mutex<Joined>,
}

/// One point, as its reader knows it.
#[derive(Debug, Default)]
struct Feed {
    observer: Observer,
    /// What the source says of itself, as far as it was told.
    summary: Summary,
    /// Everything but the sightings, once there is no more to come.
    finished: Option<Point>,
}

/// What all points have handed over.
#[derive(Debug)]
struct Joined {
    /// By point, in the order in which they came.
    kept: Vec<Batch>,
}

impl Session {
    /// A session of these points, in path order, of which nothing is known yet.
    #[must_use]
    pub fn new(labels: Vec<Label>, options: judge::Options) -> Self {
        Self {
            options,
            feeds: labels.iter().map(|_| Mutex::default()).collect(),
            joined: Mutex::new(Joined {
                kept: labels.iter().map(|_| Batch::default()).collect(),
            }),
            labels,
        }
    }

    /// Has a point's observer take a frame or several, however it wants to.
    #[inline]
    pub fn watch<T>(&self, point: usize, take: impl FnOnce(&mut Observer) -> T) -> T {
        take(&mut lock(&self.feeds[point]).observer)
    }

    /// Takes note of what a point's source says of itself, which must be true of all frames that
    /// the point was told of: a capture that attests when it watched has told of all it saw then.
    pub fn attest(&self, point: usize, summary: &Summary) {
        lock(&self.feeds[point]).summary.clone_from(summary);
    }

    /// Ends a point: no more frames come.
    pub fn finish(&self, point: usize, summary: Summary) {
        let Label { name, source } = self.labels[point].clone();
        let observer = std::mem::take(&mut lock(&self.feeds[point]).observer);
        self.finish_as(point, observer.finish(name, source, summary));
    }

    /// Ends a point that was read elsewhere, as logs are.
    pub fn finish_as(&self, point: usize, mut finished: Point) {
        let mut joined = lock(&self.joined);
        let sightings = std::mem::take(&mut finished.sightings);
        joined.kept[point].sightings.extend(sightings);
        lock(&self.feeds[point]).finished = Some(finished);
    }

    /// The findings so far.
    #[must_use]
    pub fn snapshot(&self) -> Findings {
        let points = self.points();
        let survey = Survey::of(&points);
        let (points, survey) = stages::take_apart(points, survey);
        judge(&points, survey, &self.options, None)
    }

    /// The findings so far, and the last few packets of a number each way, the newest last.
    #[must_use]
    pub fn snapshot_with_packets(&self, number: u8) -> (Findings, Vec<Packet>) {
        let points = self.points();
        let survey = Survey::of(&points);
        let (points, survey) = stages::take_apart(points, survey);
        let mut last: BTreeMap<String, VecDeque<Packet>> = BTreeMap::new();
        let mut note = |packet: &Packet| {
            if packet.protocol == number {
                let last = last.entry(packet.from.clone()).or_default();
                if last.len() == PACKETS {
                    last.pop_front();
                }
                last.push_back(packet.clone());
            }
        };
        let findings = judge(&points, survey, &self.options, Some(&mut note));
        (findings, last.into_values().flatten().collect())
    }

    /// A point that is finished.
    #[must_use]
    pub fn point(&self, point: usize) -> Option<Point> {
        let joined = lock(&self.joined);
        let finished = lock(&self.feeds[point]).finished.clone()?;
        let mut sightings = joined.kept[point].sightings.clone();
        sightings.sort_by_key(|sighting| sighting.timestamp_ns);
        Some(Point {
            sightings,
            ..finished
        })
    }

    /// All points as if their sources had ended now.
    fn points(&self) -> Vec<Point> {
        let mut joined = lock(&self.joined);
        // All at the same instant: what one was told before, another may not hear of after it.
        let mut feeds: Vec<MutexGuard<Feed>> = self.feeds.iter().map(lock).collect();
        for (kept, feed) in joined.kept.iter_mut().zip(&mut feeds) {
            feed.observer.give(0, kept);
        }
        let points = feeds.iter().zip(&joined.kept).zip(&self.labels);
        points
            .map(|((feed, kept), Label { name, source })| {
                let mut sightings = kept.sightings.clone();
                sightings.sort_by_key(|sighting| sighting.timestamp_ns);
                match &feed.finished {
                    Some(finished) => Point {
                        sightings,
                        ..finished.clone()
                    },
                    None => feed.observer.so_far(sightings).finish(
                        name.clone(),
                        source.clone(),
                        feed.summary.clone(),
                    ),
                }
            })
            .collect()
    }
}

/// A reader that panicked is told of where it is joined.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
