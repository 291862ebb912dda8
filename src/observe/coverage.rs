//! Coverage: when a point was watching.
//!
//! A point was watching from its first frame to its last, HDP or not, but for its blind spots: the
//! stretches around frames that the capture itself dropped, and the gaps, in which nothing at all
//! was recorded though traffic other than HDP had been regular. A silence in a capture that shows
//! little but HDP proves nothing by itself; [`Coverage::silences`] lists the long ones for those
//! who know what should have come by.
//!
//! Frames may come in any order: what is kept of them is which stretches of time held some. Where
//! their times go back and on from there, the clock was set back (or a file was written behind
//! another): of the times that it showed twice, nobody knows which of the two a frame was recorded at,
//! nor what was recorded at the other.

use occupancy::Occupancy;
use stretches::{Stretches, length, overlap, overlapping};

mod occupancy;
mod stretches;

/// Traffic of which fewer stretches held a frame than this is not called regular.
const REGULAR: usize = 16;

/// A silence this many times longer than the one that a random instant lies in is no chance.
const UNUSUAL: f64 = 8.0;

/// A silence this many times longer is worth a question.
const REMARKABLE: f64 = 3.0;

/// Times that go back by less are disorder.
const LEAST_TURN_NS: i64 = 10_000_000;

/// A frame that is so far off from the one before may be none, where a capture is damaged.
const DAY_NS: u64 = 86_400_000_000_000;

/// Where they go back more often than this, the file is not in the order of time at all.
const MOST_TURNS: usize = 8;

/// A clock that was set back shows at least so many frames before and after at times between.
const FEW_FRAMES: usize = 8;

/// When a point was watching.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Coverage {
    /// What others than frames say.
    stated: Ends,
    /// It was not watching outside of this, whatever frames there are.
    limits: Option<(i64, i64)>,
    order: Order,
    recorded: Occupancy,
    /// Frames that do not hang on whether HDP gets through.
    background: Occupancy,
    /// Sightings of HDP, from the first frame on that is neither HDP nor about it: before that, all that
    /// was recorded.
    hdp: Option<Occupancy>,
    blind_spots: Stretches,
    /// In order.
    gaps: Vec<(i64, i64)>,
    /// What the clock showed twice.
    shown_twice: Stretches,
    /// What the clock showed twice, or may have left out.
    breaks: Stretches,
}

/// The first and the last instant; the first behind the last where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ends {
    first_ns: i64,
    last_ns: i64,
}

impl Default for Ends {
    fn default() -> Self {
        Self {
            first_ns: i64::MAX,
            last_ns: i64::MIN,
        }
    }
}

impl Ends {
    fn is_empty(self) -> bool {
        self.first_ns > self.last_ns
    }

    fn extend(&mut self, time_ns: i64) {
        self.first_ns = self.first_ns.min(time_ns);
        self.last_ns = self.last_ns.max(time_ns);
    }
}

/// What the order of the frames tells of their clock.
#[derive(Debug, Clone, PartialEq)]
struct Order {
    ends: Ends,
    /// The latest time since the last turn; before the first frame, the end of time.
    latest_ns: i64,
    /// Where times went back: to there, from there.
    turns: Vec<(i64, i64)>,
    /// What was recorded up to each turn since the one before.
    before: Vec<Occupancy>,
    /// The last frame that was more than a day off from the one before, and the first and last times of
    /// those before it, or before the row of such frames that it ends.
    far_off: Option<(i64, Ends)>,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            ends: Ends::default(),
            latest_ns: i64::MAX,
            turns: Vec::new(),
            before: Vec::new(),
            far_off: None,
        }
    }
}

impl Order {
    /// The first and the last time of any frame.
    fn ends(&self) -> Ends {
        let mut ends = self.ends;
        if !ends.is_empty() {
            ends.extend(self.latest_ns);
        }
        ends
    }

    /// Puts together what was recorded between the turns, and says which times the clock may have
    /// shown twice: where frames before a turn and frames behind it reach over the same times.
    fn settle(&mut self, recorded: &mut Occupancy) -> Vec<(i64, i64)> {
        let mut shown_twice = Vec::new();
        let before = std::mem::take(&mut self.before);
        for (mut before, turn) in before.into_iter().zip(&self.turns).rev() {
            let reach = |occupancy: &Occupancy| {
                let held = occupancy.held_within(*turn);
                Some((*held.first()?, *held.last()?)).filter(|_| held.len() >= FEW_FRAMES)
            };
            if let (Some(a), Some(b)) = (reach(&before), reach(recorded))
                && overlap(a, b)
            {
                shown_twice.push(*turn);
            }
            before.append(recorded);
            *recorded = before;
        }
        if self.turns.len() > MOST_TURNS {
            shown_twice.clear();
        }
        shown_twice
    }
}

impl Coverage {
    /// Notes that the point was watching at this instant.
    pub(super) fn extend(&mut self, time_ns: i64) {
        self.stated.extend(time_ns);
    }

    /// Notes a frame.
    #[inline(always)]
    pub(super) fn note(&mut self, time_ns: i64) {
        // What is earlier wraps to what is far ahead.
        let ahead = time_ns.wrapping_sub(self.order.latest_ns).cast_unsigned();
        if ahead <= DAY_NS {
            self.order.latest_ns = time_ns;
        } else {
            self.note_out_of_line(time_ns);
        }
        self.recorded.note(time_ns);
    }

    /// Notes that a frame is earlier than one before it, more than a day later, or the first.
    #[cold]
    fn note_out_of_line(&mut self, time_ns: i64) {
        let before = self.order.ends();
        if !before.is_empty() && time_ns.abs_diff(self.order.latest_ns) > DAY_NS {
            let row = self
                .order
                .far_off
                .filter(|row| row.0 == self.order.latest_ns);
            let before = row.map_or(before, |(_, before)| before);
            self.order.far_off = Some((time_ns, before));
        }
        if time_ns >= self.order.latest_ns {
            self.order.latest_ns = time_ns;
        } else {
            self.note_earlier(time_ns);
        }
    }

    /// Leaves out the last frames where each is more than a day off from the one before: in a damaged
    /// capture they may be none.
    pub(super) fn leave_out_last_frames_far_off(&mut self) {
        if let Some((time_ns, before)) = self.order.far_off
            && time_ns == self.order.latest_ns
        {
            self.limit_to(before.first_ns, before.last_ns);
        }
    }

    /// Notes that a frame is earlier than one before it, or the first.
    #[cold]
    fn note_earlier(&mut self, time_ns: i64) {
        let order = &mut self.order;
        if order.ends.is_empty() {
            order.latest_ns = time_ns;
        } else if order.latest_ns.saturating_sub(time_ns) > LEAST_TURN_NS
            && order.turns.len() <= MOST_TURNS
        {
            order.turns.push((time_ns, order.latest_ns));
            order.before.push(std::mem::take(&mut self.recorded));
            order.ends.extend(order.latest_ns);
            order.latest_ns = time_ns;
        }
        order.ends.extend(time_ns);
    }

    /// Notes that the capture began or ended here, with a silence before or after its frames like
    /// any other.
    pub(super) fn note_end(&mut self, time_ns: i64) {
        self.extend(time_ns);
        self.recorded.note(time_ns);
    }

    fn ends(&self) -> Ends {
        let (stated, of_frames) = (self.stated, self.order.ends());
        let (from_ns, to_ns) = self.limits.unwrap_or((i64::MIN, i64::MAX));
        Ends {
            first_ns: stated.first_ns.min(of_frames.first_ns).max(from_ns),
            last_ns: stated.last_ns.max(of_frames.last_ns).min(to_ns),
        }
    }

    /// Notes that a frame was no HDP, nor about HDP.
    pub(super) fn note_background(&mut self, time_ns: i64) {
        if self.hdp.is_none() {
            self.hdp = Some(self.recorded.clone());
        }
        self.background.note(time_ns);
    }

    /// Notes that a frame was HDP.
    #[inline(always)]
    pub(super) fn note_hdp(&mut self, time_ns: i64) {
        if let Some(hdp) = &mut self.hdp {
            hdp.note(time_ns);
        }
    }

    /// Finds the gaps, once all frames are noted; `dropped` are the stretches in which the capture
    /// dropped frames, `paused` those between one recording and the next.
    pub(super) fn complete(&mut self, dropped: &[(i64, i64)], paused: &[(i64, i64)]) {
        let shown_twice = self.order.settle(&mut self.recorded);
        self.shown_twice.extend(shown_twice.iter().copied());
        self.breaks.extend(shown_twice.iter().copied());
        self.blind_spots.extend(shown_twice);
        self.blind_spots.extend(dropped.iter().copied());
        let mut unwatched = Stretches::default();
        unwatched.extend(paused.iter().copied());
        let mut gaps = self.unlike_the_background();
        gaps.retain(|gap| !unwatched.overlaps(*gap));
        gaps.extend(paused);
        self.add_gaps(&gaps);
    }

    /// Takes in gaps, as far as they are new: those that show by what other points saw too.
    pub(crate) fn add_gaps(&mut self, gaps: &[(i64, i64)]) {
        let more = gaps.iter().copied();
        self.gaps.extend(more.clone());
        self.gaps.sort_unstable();
        self.gaps.dedup();
        self.blind_spots.extend(more.clone());
        self.breaks.extend(more);
    }

    /// Silences of all traffic that are long beside those of the traffic other than HDP.
    fn unlike_the_background(&self) -> Vec<(i64, i64)> {
        if self.background.count() < REGULAR {
            return Vec::new();
        }
        // Where that traffic had not begun or was over, its silence says nothing.
        let mut background = self.background.clone();
        if let (Some(first), Some(last)) = (self.first_ns(), self.last_ns()) {
            background.note(first);
            background.note(last);
        }
        let longest_usual = background.longest_usual_silence(UNUSUAL);
        let of_background = background.silences();
        let mut gaps = self.recorded.silences();
        gaps.retain(|&gap| {
            let around = overlapping(&of_background, gap).iter();
            let around: f64 = around.map(|silence| length(*silence)).sum();
            length(gap) > longest_usual && around - length(gap) <= longest_usual
        });
        gaps
    }

    /// The long silences between the first and the last frame. The traffic other than HDP may be
    /// too little to tell whether they are gaps.
    #[must_use]
    pub(crate) fn silences(&self) -> Vec<(i64, i64)> {
        let longest_usual = self.recorded.longest_usual_silence(REMARKABLE);
        let mut silences = self.recorded.silences();
        silences.retain(|silence| length(*silence) > longest_usual);
        silences
    }

    /// Stretches in which nothing was recorded, though something should have been.
    #[must_use]
    pub(crate) fn gaps(&self) -> &[(i64, i64)] {
        &self.gaps
    }

    /// Whether a stretch is one of the gaps.
    #[must_use]
    pub(crate) fn has_gap(&self, stretch: (i64, i64)) -> bool {
        self.gaps.binary_search(&stretch).is_ok()
    }

    /// Time of the first frame, ns since the epoch on the point's clock.
    #[must_use]
    pub(crate) fn first_ns(&self) -> Option<i64> {
        let ends = self.ends();
        (!ends.is_empty()).then_some(ends.first_ns)
    }

    /// Time of the last frame.
    #[must_use]
    pub(crate) fn last_ns(&self) -> Option<i64> {
        let ends = self.ends();
        (!ends.is_empty()).then_some(ends.last_ns)
    }

    /// Takes it that the point was not watching before `from_ns` or after `to_ns`.
    pub(super) fn limit_to(&mut self, from_ns: i64, to_ns: i64) {
        self.limits = Some((from_ns, to_ns));
    }

    /// Whether nothing was recorded before `from_ns` or after `to_ns`.
    pub(super) fn is_within(&self, from_ns: i64, to_ns: i64) -> bool {
        let ends = self.ends();
        ends.is_empty() || from_ns <= ends.first_ns && ends.last_ns <= to_ns
    }

    /// Whether the point was watching during all of `from_ns..=to_ns`.
    #[inline]
    #[must_use]
    pub(crate) fn contains(&self, from_ns: i64, to_ns: i64) -> bool {
        let ends = self.ends();
        ends.first_ns <= from_ns
            && to_ns <= ends.last_ns
            && !self.blind_spots.touches((from_ns, to_ns))
    }

    /// Whether so long a silence is nothing unusual for the traffic other than HDP, as far as there is
    /// any.
    #[must_use]
    pub(crate) fn is_usual(&self, silence: (i64, i64)) -> bool {
        self.background.count() >= FEW_FRAMES
            && length(silence) <= self.background.longest_usual_silence(REMARKABLE)
    }

    /// Whether what ended one silence before the next began was no HDP: frames that do not hang on
    /// what the path lets through.
    #[must_use]
    pub(crate) fn are_parted_by_background(&self, a: (i64, i64), b: (i64, i64)) -> bool {
        let stretch = self.recorded.within();
        a.1 <= b.0.saturating_add(stretch) && !self.shows_hdp_between(a.1 - stretch, b.0)
    }

    /// Whether HDP was recorded in this stretch.
    #[must_use]
    pub(crate) fn shows_hdp_between(&self, from_ns: i64, to_ns: i64) -> bool {
        let hdp = self.hdp.as_ref().unwrap_or(&self.recorded);
        let latest = to_ns.saturating_sub(hdp.within());
        from_ns <= latest && hdp.holds_any((from_ns, latest))
    }

    /// How much earlier or later all of `from_ns..=to_ns` might have been, in nanoseconds, with the
    /// point watching all the same; `None` where it was not watching anyway.
    #[must_use]
    pub(crate) fn margin(&self, from_ns: i64, to_ns: i64) -> Option<u64> {
        if !self.contains(from_ns, to_ns) {
            return None;
        }
        let ends = self.ends();
        let [before, behind] = self.blind_spots.beside(from_ns);
        let before = before.map_or(ends.first_ns, |spot| spot.1.max(ends.first_ns));
        let behind = behind.map_or(ends.last_ns, |spot| spot.0.min(ends.last_ns));
        Some(from_ns.abs_diff(before).min(behind.abs_diff(to_ns)))
    }

    /// Whether the clock showed this time only once: it was not set back over it.
    #[must_use]
    pub(crate) fn showed_once(&self, at_ns: i64) -> bool {
        !self.shown_twice.touches((at_ns, at_ns))
    }

    /// Whether the clock ran on all the while: it was not set back, nor can it have been set
    /// forward, which looks like a gap.
    #[must_use]
    pub(crate) fn clock_runs_on(&self, from_ns: i64, to_ns: i64) -> bool {
        !self.breaks.touches((from_ns, to_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;
    const START: i64 = 1_795_348_800 * SECOND;

    /// Background every 100 ms of a minute but for the silences, HDP every 50 ms.
    fn capture(silences: &[(i64, i64)], has_background: bool) -> Coverage {
        let mut coverage = Coverage::default();
        for at in (0..1200).map(|tick| tick * SECOND / 20) {
            if silences.iter().any(|&(from, to)| (from..to).contains(&at)) {
                continue;
            }
            coverage.note(START + at);
            if has_background && at % (SECOND / 10) == 0 {
                coverage.note_background(START + at);
            }
        }
        coverage.complete(&[], &[]);
        coverage
    }

    #[test]
    fn a_capture_without_gaps_has_none() {
        assert_eq!(capture(&[], true).gaps(), []);
        assert_eq!(capture(&[], false).gaps(), []);
        assert_eq!(capture(&[], false).silences(), []);
    }

    #[test]
    fn a_silence_of_regular_traffic_is_a_gap() {
        let coverage = capture(
            &[(10 * SECOND, 13 * SECOND), (40 * SECOND, 50 * SECOND)],
            true,
        );
        let [first, second] = coverage.gaps() else {
            panic!("two gaps, not {:?}", coverage.gaps());
        };
        assert!(first.0 <= START + 10 * SECOND && START + 13 * SECOND <= first.1);
        assert!(length(*second) < 10.3e9);
        assert!(coverage.contains(START + SECOND, START + 9 * SECOND));
        assert!(!coverage.contains(START + 11 * SECOND, START + 12 * SECOND));
        assert!(!coverage.contains(START + 9 * SECOND, START + 11 * SECOND));
        assert!(!coverage.contains(START + 12 * SECOND, START + 20 * SECOND));
        assert!(coverage.contains(START + 14 * SECOND, START + 39 * SECOND));
    }

    #[test]
    fn traffic_that_is_over_makes_no_gaps() {
        let mut coverage = Coverage::default();
        for tick in 0..600 {
            let at = START + tick * SECOND / 10;
            if tick < 50 {
                coverage.note(at);
                coverage.note_background(at);
            } else if tick % 20 == 0 {
                coverage.note(at);
            }
        }
        coverage.complete(&[], &[]);
        assert_eq!(coverage.gaps(), []);
    }

    #[test]
    fn a_silence_of_hdp_alone_is_no_gap_but_is_known() {
        let coverage = capture(&[(10 * SECOND, 13 * SECOND)], false);
        assert_eq!(coverage.gaps(), []);
        assert_eq!(coverage.silences().len(), 1);
        assert!(coverage.contains(START + 11 * SECOND, START + 12 * SECOND));
    }

    #[test]
    fn the_order_of_frames_does_not_matter() {
        let times: Vec<i64> = (0..5000).map(|i| START + i * i * 1000).collect();
        let noted = |times: &mut dyn Iterator<Item = i64>| {
            let mut coverage = Coverage::default();
            times.for_each(|time| coverage.note(time));
            coverage.recorded.held_within((i64::MIN, i64::MAX))
        };
        let forth = noted(&mut times.iter().copied());
        let back = noted(&mut times.iter().rev().copied());
        // The stretches may have other lengths, never other beginnings.
        assert_eq!(
            forth.first().map(|t| t >> 20),
            back.first().map(|t| t >> 20)
        );
        assert!(forth.len() > 1000 && back.len() > 1000);
    }

    #[test]
    fn times_far_apart_are_noted_too() {
        let mut coverage = Coverage::default();
        for time in [START, i64::MAX, 0, i64::MIN, START] {
            coverage.note(time);
        }
        coverage.complete(&[], &[]);
        assert_eq!(coverage.recorded.count(), 4);
        assert_eq!(
            (coverage.first_ns(), coverage.last_ns()),
            (Some(i64::MIN), Some(i64::MAX))
        );
    }

    #[test]
    fn where_frames_were_dropped_nothing_was_watched() {
        let mut coverage = Coverage::default();
        (0..100).for_each(|i| coverage.note(i * 10));
        coverage.complete(&[(500, 510), (505, 530)], &[]);
        assert!(coverage.contains(400, 499));
        assert!(!coverage.contains(400, 501));
        assert!(!coverage.contains(520, 525));
        assert!(coverage.contains(531, 900));
        assert_eq!(coverage.gaps(), []);
    }

    #[test]
    fn times_that_a_clock_showed_twice_are_not_watched() {
        let noted = |times: &[(i64, i64)]| {
            let mut coverage = Coverage::default();
            let frames = |&(from, to): &(i64, i64)| (from..to).step_by(10);
            let times = times.iter().flat_map(frames);
            times.for_each(|ms| coverage.note(START + ms * SECOND / 1000));
            coverage.complete(&[], &[]);
            coverage
        };
        let is_watched = |coverage: &Coverage, second: i64| {
            coverage.contains(START + second * SECOND, START + second * SECOND + 1)
        };
        // After 30 s, back to 25 s.
        let set_back = noted(&[(0, 30_000), (25_000, 40_000)]);
        for (at, is_once) in [(20, true), (26, false), (29, false), (31, true), (39, true)] {
            assert_eq!(is_watched(&set_back, at), is_once, "{at} s");
            assert_eq!(set_back.showed_once(START + at * SECOND), is_once);
            let (from_ns, to_ns) = (START + at * SECOND, START + 39 * SECOND);
            assert_eq!(set_back.clock_runs_on(from_ns, to_ns), at > 30);
        }
        assert_eq!(set_back.first_ns(), Some(START));
        // Milliseconds are disorder; so are single frames, and what happens all the time; and what
        // comes behind in the file, but lies before and after in time, was shown once.
        let merged: Vec<_> = (0..60).flat_map(|n| [(n + 1, n + 2), (n, n + 1)]).collect();
        let merged: Vec<_> = merged.iter().map(|(a, b)| (a * 1000, b * 1000)).collect();
        for disorder in [
            &[(0, 30_000), (29_991, 40_000)][..],
            &[(0, 20_000), (35_000, 35_010), (20_000, 40_000)],
            &[(0, 35_000), (20_000, 20_010), (35_000, 40_000)],
            &[(20_000, 30_000), (0, 20_000), (30_000, 40_000)],
            &merged,
        ] {
            let coverage = noted(disorder);
            assert!((0..39).all(|second| is_watched(&coverage, second)));
        }
    }

    #[test]
    fn coverage_holds_its_ends_and_nothing_beyond() {
        let mut coverage = Coverage::default();
        assert!(!coverage.contains(0, 0));
        coverage.note(20);
        coverage.note(10);
        assert!(coverage.contains(10, 20));
        assert!(!coverage.contains(9, 20));
        assert!(!coverage.contains(10, 21));
    }
}
