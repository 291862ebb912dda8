//! The plan: which probe is sent next, by what is known so far.
//!
//! The control draws the path first. Then each number is sent to the destination and with the TTL of the
//! farthest hop that answers the control; what does not come back is looked for by halving the hops
//! between the last that answered and the first that did not. A hop is asked again until its silence
//! cannot be luck. All that is due is sent in random order, controls among it, so that a rate limit, a
//! burst of loss or an outage hits both alike; a hop whose controls stay away is asked more slowly.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use super::{
    exchange::{Exchanges, Probe},
    picture::{Asking, Picture, Subject},
};
use crate::{
    decode::number,
    judge::{CERTAIN, chance},
    protocols::Carrier,
};

/// The TTL of what is meant to arrive.
pub(super) const FULL_TTL: u8 = 64;

/// Controls that each hop gets to draw the path.
const CONTROLS: u64 = 3;

/// Behind the last hop that answers, so many are asked again.
const SILENT_TAIL: u8 = 2;

/// After so many unanswered probes a hop counts as silent to a number, until more is known.
const SILENT: u64 = 2;

/// So often a destination is asked that got the number and says nothing: it need not.
const DESTINATION: u64 = 4;

/// Probes of one number with one TTL that are on their way at once.
const AT_ONCE: u64 = 2;

/// So many probes are chosen at once, by what was known then.
const AHEAD: usize = 10;

/// How long to ask and how often.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) numbers: Vec<u8>,
    /// Most probes of a number for a hop.
    pub(super) count: u64,
    pub(super) max_hops: u8,
    /// Every number to every hop.
    pub(super) all_hops: bool,
    /// Between two probes.
    pub(super) interval: Duration,
    /// How long an answer may take.
    pub(super) wait: Duration,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Send this.
    Send {
        carrier: Carrier,
        protocol: u8,
        ttl: u8,
    },
    /// Nothing is due: answers are on their way, or a hop has to recover.
    Wait,
    /// All is known that can be.
    Done,
}

/// How far the work is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Probes sent.
    pub sent: u64,
    /// Numbers about which nothing more is asked.
    pub settled: usize,
    /// All numbers.
    pub numbers: usize,
    /// The number asked about last; `None` of the control.
    pub protocol: Option<u8>,
    /// The TTL it was sent with.
    pub ttl: u8,
    /// About how long it will still take.
    pub left: Duration,
}

pub(super) struct Plan {
    limits: Limits,
    ends: (IpAddr, IpAddr),
    random: fastrand::Rng,
    refused: BTreeSet<Subject>,
    paces: BTreeMap<u8, Pace>,
    is_path_drawn: bool,
    /// What is sent next, last first.
    queue: Vec<(Carrier, u8, u8)>,
    pub(super) progress: Progress,
}

/// How fast a hop may be asked.
#[derive(Debug, Clone, Copy, Default)]
struct Pace {
    gap_ns: i64,
    /// By controls from then on.
    since_ns: i64,
}

impl Pace {
    const SLOWER_NS: i64 = 250_000_000;
    /// Linux lets a destination have one error a second.
    const SLOWEST_NS: i64 = 1_100_000_000;
    /// So many controls in a row are looked at.
    const CONTROLS: usize = 4;
}

/// What is to be asked about a number.
enum Question {
    /// Nothing more.
    Settled,
    /// With each of these TTLs.
    Ask(Vec<u8>),
    /// With this one, until it cannot be luck.
    Confirm(u8),
}

impl Plan {
    pub(super) fn new(limits: Limits, ends: (IpAddr, IpAddr), random: fastrand::Rng) -> Self {
        Self {
            progress: Progress {
                numbers: limits.numbers.len(),
                ..Progress::default()
            },
            limits,
            ends,
            random,
            refused: BTreeSet::new(),
            paces: BTreeMap::new(),
            is_path_drawn: false,
            queue: Vec::new(),
        }
    }

    /// How long it takes at most, where hops answer as fast as they are asked.
    pub(super) fn at_most(limits: &Limits) -> Duration {
        let halvings = u64::from(limits.max_hops.max(2).ilog2()) + 1;
        let per_number = 2 + SILENT * halvings + 2 * limits.count;
        let path = (CONTROLS + 1) * u64::from(limits.max_hops);
        let probes = path + limits.numbers.len() as u64 * per_number;
        let probes = u32::try_from(probes).unwrap_or(u32::MAX);
        limits.interval.saturating_mul(probes) + limits.wait * 4
    }

    /// The sender's system does not take this number, or the control.
    pub(super) fn refuse(&mut self, carrier: Carrier, protocol: u8) {
        self.refused.insert((carrier, protocol));
    }

    pub(super) fn next(&mut self, exchanges: &Exchanges, now_ns: i64) -> Step {
        if let Some((carrier, protocol, ttl)) = self.queue.pop() {
            return self.send(carrier, protocol, ttl);
        }
        let probes = exchanges.probes();
        let patience_ns = patience_ns(probes, self.limits.wait);
        let picture = Picture::new(probes, self.ends, (now_ns, patience_ns));
        self.progress.sent = picture.control.probes.len() as u64
            + picture
                .numbers
                .values()
                .map(|n| n.probes.len() as u64)
                .sum::<u64>();
        self.slow_down(&picture, (now_ns, patience_ns));
        let is_control_refused = self.refused.contains(&(Carrier::Udp, number::UDP));
        if !self.is_path_drawn && !is_control_refused {
            match self.draw(&picture) {
                Some(ttl) if self.may_ask(&picture, ttl, now_ns) => {
                    return self.send(Carrier::Udp, number::UDP, ttl);
                }
                None if picture.control.within(1..=u8::MAX).waiting == 0 => {
                    self.is_path_drawn = true;
                }
                _ => return Step::Wait,
            }
        }
        let mut due: Vec<(u8, u8)> = Vec::new();
        let mut open = 0;
        let mut confirmed: BTreeMap<u8, u64> = BTreeMap::new();
        let nothing = Asking::default();
        let mut left = 0;
        for &protocol in &self.limits.numbers {
            if self.refused.contains(&(Carrier::Ip, protocol)) {
                continue;
            }
            let asking = picture.numbers.get(&(Carrier::Ip, protocol));
            let asking = asking.unwrap_or(&nothing);
            let mut ttls = match self.question(&picture, asking) {
                Question::Settled => continue,
                Question::Ask(ttls) => ttls,
                Question::Confirm(ttl) => {
                    let sent = confirmed.entry(ttl).or_default();
                    *sent = (*sent).max(asking.at(ttl).sent);
                    vec![ttl]
                }
            };
            let most = self.limits.count.max(SILENT);
            ttls.retain(|ttl| asking.at(*ttl).sent < most);
            if ttls.is_empty() {
                continue;
            }
            open += 1;
            left += if asking.probes.is_empty() {
                2
            } else {
                self.limits.count
            };
            let may = |ttl: &u8| asking.at(*ttl).waiting < AT_ONCE;
            due.extend(ttls.into_iter().filter(may).map(|ttl| (protocol, ttl)));
        }
        self.progress.settled = self.limits.numbers.len() - open;
        let left = u32::try_from(left).unwrap_or(u32::MAX);
        self.progress.left = self.limits.interval.saturating_mul(left);
        let controls = self.controls(&picture, &confirmed);
        let is_settled = open == 0 && controls.is_empty();
        let mut controls: Vec<u8> = controls
            .into_iter()
            .filter(|&ttl| picture.control.at(ttl).waiting < AT_ONCE)
            .collect();
        due.retain(|&(_, ttl)| self.may_ask(&picture, ttl, now_ns));
        controls.retain(|&ttl| self.may_ask(&picture, ttl, now_ns));
        self.queue(due, controls);
        match self.queue.pop() {
            Some((carrier, protocol, ttl)) => self.send(carrier, protocol, ttl),
            None if is_settled => Step::Done,
            None => Step::Wait,
        }
    }

    /// Puts some of what is due into the queue: numbers and controls in random order, at most one for a
    /// hop that is asked slowly.
    fn queue(&mut self, mut due: Vec<(u8, u8)>, mut controls: Vec<u8>) {
        let mut slow: BTreeSet<u8> = BTreeSet::new();
        while self.queue.len() < AHEAD && !(due.is_empty() && controls.is_empty()) {
            let is_control = !controls.is_empty() && (due.is_empty() || self.random.u8(..3) == 0);
            let next = if is_control {
                let ttl = controls.swap_remove(self.random.usize(..controls.len()));
                (Carrier::Udp, number::UDP, ttl)
            } else {
                let (protocol, ttl) = due.swap_remove(self.random.usize(..due.len()));
                (Carrier::Ip, protocol, ttl)
            };
            if !self.paces.contains_key(&next.2) || slow.insert(next.2) {
                self.queue.push(next);
            }
        }
    }

    fn send(&mut self, carrier: Carrier, protocol: u8, ttl: u8) -> Step {
        self.progress.protocol = (carrier == Carrier::Ip).then_some(protocol);
        self.progress.ttl = ttl;
        Step::Send {
            carrier,
            protocol,
            ttl,
        }
    }

    /// The next control that draws the path; `None` when it is drawn, but for what is on its way.
    fn draw(&self, picture: &Picture) -> Option<u8> {
        let control = &picture.control;
        let all = control.within(1..=u8::MAX);
        let is_end_known = all.destination > 0 || all.refused >= CONTROLS;
        let max_hops = self.limits.max_hops;
        let first = (1..=max_hops).find(|ttl| control.at(*ttl).sent == 0);
        if let Some(first) = first.filter(|_| !is_end_known) {
            return Some(first);
        }
        let end = picture
            .destination_hop
            .map_or(picture.farthest + SILENT_TAIL, |hop| hop - 1);
        let again = (1..=end.min(max_hops)).find(|ttl| control.at(*ttl).sent < CONTROLS);
        again.or_else(|| (control.at(FULL_TTL).sent < CONTROLS).then_some(FULL_TTL))
    }

    fn question(&self, picture: &Picture, asking: &Asking) -> Question {
        let responsive = picture.responsive();
        let last = responsive.last().copied();
        let mut first = vec![FULL_TTL];
        first.extend(last);
        first.retain(|ttl| asking.at(*ttl).sent == 0);
        if !first.is_empty() {
            return Question::Ask(first);
        }
        if self.limits.all_hops {
            let open = |ttl: &u8| {
                let asked = asking.at(*ttl);
                asked.expired == 0 && asked.unanswered() + asked.refused < self.limits.count
            };
            let open: Vec<u8> = responsive.iter().copied().filter(open).collect();
            if !open.is_empty() {
                return Question::Ask(open);
            }
        }
        let is_reached = asking.probes.iter().any(|probe| {
            let answer = probe.answer.as_ref();
            answer.is_some_and(|answer| picture.is_from_destination(probe, answer))
        });
        if is_reached {
            return Question::Settled;
        }
        let farthest = asking.farthest();
        if last.is_none_or(|last| farthest >= last) {
            let most = if picture.destination_hop.is_some() {
                self.limits.count.min(DESTINATION)
            } else {
                SILENT
            };
            let full = asking.at(FULL_TTL);
            return if full.sent - full.waiting < most && full.refused < SILENT {
                Question::Ask(vec![FULL_TTL])
            } else {
                Question::Settled
            };
        }
        let is_silent = |ttl: u8| {
            let asked = asking.at(ttl);
            asked.unanswered() >= SILENT || asked.refused + asked.destination > 0
        };
        let mut beyond = responsive.iter().copied().filter(|hop| *hop > farthest);
        let Some(silent) = beyond.find(|hop| is_silent(*hop)) else {
            return Question::Ask(last.into_iter().collect());
        };
        let between: Vec<u8> = responsive
            .iter()
            .copied()
            .filter(|hop| (farthest + 1..silent).contains(hop))
            .collect();
        if let Some(&middle) = between.get(between.len() / 2) {
            return Question::Ask(vec![middle]);
        }
        let asked = asking.at(silent);
        let all = asking.within(1..=u8::MAX);
        if asked.refused + asked.destination > 0 || all.refused >= SILENT {
            return Question::Settled;
        }
        let chance = chance(asked.judged(), picture.control.at(silent).judged());
        let is_certain = chance * (self.limits.numbers.len() as f64) < CERTAIN;
        if is_certain || asked.unanswered() >= self.limits.count {
            Question::Settled
        } else {
            Question::Confirm(silent)
        }
    }

    /// Where controls are wanting: a quarter of what the numbers were sent there, and more than any
    /// number where its silence is being confirmed.
    fn controls(&self, picture: &Picture, confirmed: &BTreeMap<u8, u64>) -> Vec<u8> {
        const SHARE: u64 = 4;
        const MORE: u64 = 4;

        let tests = |ttl: u8| {
            picture
                .numbers
                .values()
                .map(|asking| asking.at(ttl).sent)
                .sum::<u64>()
        };
        let mut ttls = picture.responsive();
        ttls.push(FULL_TTL);
        if self.refused.contains(&(Carrier::Udp, number::UDP)) {
            ttls.clear();
        }
        ttls.retain(|&ttl| {
            let ahead = confirmed.get(&ttl).map_or(0, |sent| sent + MORE);
            let wanted = CONTROLS.max(tests(ttl).div_ceil(SHARE)).max(ahead);
            // Where nobody answers, more of the same tells nothing.
            let is_answered = picture.control.at(ttl).answered() > 0;
            is_answered && picture.control.at(ttl).sent < wanted
        });
        ttls
    }

    fn may_ask(&self, picture: &Picture, ttl: u8, now_ns: i64) -> bool {
        let Some(pace) = self.paces.get(&ttl) else {
            return true;
        };
        let all = picture.numbers.values().chain([&picture.control]);
        let last = all
            .filter_map(|asking| asking.probes.iter().rev().find(|probe| probe.ttl == ttl))
            .map(|probe| probe.sent_ns)
            .max();
        last.is_none_or(|last| now_ns - last >= pace.gap_ns)
    }

    /// Asks a hop more slowly that has answered and answers few controls now.
    fn slow_down(&mut self, picture: &Picture, (now_ns, patience_ns): (i64, i64)) {
        for (&ttl, asked) in &picture.control.by_ttl {
            if asked.answered() == 0 || asked.unanswered() < 2 {
                continue;
            }
            let pace = self.paces.get(&ttl).copied().unwrap_or_default();
            let here = picture.control.probes.iter().rev();
            let decided = here.filter(|probe| {
                probe.ttl == ttl
                    && probe.sent_ns >= pace.since_ns
                    && (probe.answer.is_some() || now_ns - probe.sent_ns >= patience_ns)
            });
            let latest: Vec<_> = decided.take(Pace::CONTROLS).collect();
            let silent = latest.iter().filter(|probe| probe.answer.is_none()).count();
            if silent >= 2 {
                let slower = (pace.gap_ns * 2).clamp(Pace::SLOWER_NS, Pace::SLOWEST_NS);
                let pace = Pace {
                    gap_ns: slower,
                    since_ns: now_ns,
                };
                self.paces.insert(ttl, pace);
            }
        }
    }
}

/// How long a probe is waited for before its answer counts as missing, for now: ns.
fn patience_ns(probes: &[Probe], wait: Duration) -> i64 {
    const LEAST_NS: i64 = 500_000_000;
    let wait_ns = i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX);
    let slowest = probes.iter().filter_map(Probe::rtt_ns).max().unwrap_or(0);
    (slowest.saturating_mul(2) + LEAST_NS / 2)
        .max(LEAST_NS)
        .min(wait_ns)
}
