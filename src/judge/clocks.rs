//! Clocks: what packets seen at two points tell of the points' times.
//!
//! No clock is taken as right. A packet that one point saw should come by the other within the
//! spread of those that did, with a guard band beyond (RFC 9341).

use crate::{
    correlate::{Offsets, Relations, Way},
    findings::{Clock, ClockMethod},
    observe::Point,
};

/// The guard band where two points' clocks cannot be compared: they are taken as right so far.
const ASSUMED_CLOCK_ERROR_NS: i64 = 1_000_000_000;

/// The least guard band.
const LEAST_GUARD_NS: i64 = 1_000_000;

/// Fewer packets than this show little of how the delay spreads ...
const FEW_PACKETS: u64 = 10;

/// ... so the guard band is wider by this.
const GUARD_OF_FEW_NS: i64 = 100_000_000;

/// The stretch of one point's clock in which it sees what another saw, relative to the other's
/// time, guard band included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) from_ns: i64,
    pub(super) to_ns: i64,
}

pub(super) fn window_index(points: usize, way: Way, from: usize, to: usize) -> usize {
    (way.index() * points + from) * points + to
}

pub(super) fn windows(points: &[Point], relations: &Relations) -> Vec<Window> {
    let mut windows = Vec::new();
    for way in Way::BOTH {
        for from in 0..points.len() {
            for to in 0..points.len() {
                let resolution = |point: usize| {
                    let ns = points[point].summary.resolution_ns.unwrap_or(0);
                    i64::try_from(ns).unwrap_or(i64::MAX)
                };
                let guard = LEAST_GUARD_NS
                    .saturating_add(resolution(from))
                    .saturating_add(resolution(to));
                let one_clock = shares_clock(points, from, to);
                windows.push(window(relations, way, (from, to), one_clock, guard));
            }
        }
    }
    windows
}

pub(super) fn fastest(points: usize, relations: &Relations) -> Vec<Option<i64>> {
    let mut fastest = vec![None; 2 * points * points];
    for way in Way::BOTH {
        for from in 0..points {
            for to in 0..points {
                let offsets = relations.offsets(from, to, way);
                fastest[window_index(points, way, from, to)] =
                    offsets.map(|offsets| offsets.min_ns);
            }
        }
    }
    fastest
}

/// Whether two points are logs that read the same kernel's clock, or sides of one capture.
pub(super) fn shares_clock(points: &[Point], a: usize, b: usize) -> bool {
    let boot_id = |point: usize| points[point].claims.boot_id.as_ref();
    are_one_capture(points, a, b) || (boot_id(a).is_some() && boot_id(a) == boot_id(b))
}

/// Whether two points are sides of one capture.
pub(super) fn are_one_capture(points: &[Point], a: usize, b: usize) -> bool {
    let is_side = |point: usize| points[point].side.is_some();
    is_side(a) && is_side(b) && points[a].capture == points[b].capture
}

fn window(
    relations: &Relations,
    way: Way,
    (from, to): (usize, usize),
    one_clock: bool,
    guard_ns: i64,
) -> Window {
    // Beyond what was seen, as far again as it was seen to spread: the next packet may be slower
    // than the slowest so far.
    let spread = |offsets: Offsets, guard_ns: i64| {
        let range = offsets.max_ns.saturating_sub(offsets.min_ns);
        let three_sigma = offsets.deviation_ns().saturating_mul(3);
        let guard_ns = range.max(three_sigma).saturating_add(guard_ns);
        Window {
            from_ns: offsets.min_ns.saturating_sub(guard_ns),
            to_ns: offsets.max_ns.saturating_add(guard_ns),
        }
    };
    if let Some(offsets) = relations.offsets(from, to, way) {
        let few = offsets.count < FEW_PACKETS;
        spread(
            offsets,
            guard_ns.saturating_add(if few { GUARD_OF_FEW_NS } else { 0 }),
        )
    } else if one_clock {
        Window {
            from_ns: -guard_ns,
            to_ns: guard_ns.saturating_add(GUARD_OF_FEW_NS),
        }
    } else if let Some(offsets) = relations.offsets(from, to, way.opposite()) {
        // The clocks are known to within a round trip, which is not known.
        spread(offsets, ASSUMED_CLOCK_ERROR_NS)
    } else {
        Window {
            from_ns: -ASSUMED_CLOCK_ERROR_NS,
            to_ns: ASSUMED_CLOCK_ERROR_NS,
        }
    }
}

/// What packets tell of two neighbouring points' clocks.
pub(super) fn between(relations: &Relations, way: Way, from: usize, to: usize) -> Clock {
    let forth = relations.offsets(from, to, way);
    let back = relations.offsets(from, to, way.opposite());
    let mut clock = Clock {
        method: ClockMethod::None,
        offset_ns: None,
        error_ns: None,
        skew_ppm: None,
    };
    clock.method = match (forth, back) {
        (None, None) => ClockMethod::None,
        (Some(_), None) | (None, Some(_)) => ClockMethod::OneWay,
        (Some(forth), Some(back)) => {
            // What goes forth arrives after it was sent, what goes back was sent before it
            // arrived: the offset lies between.
            let (lowest, highest) = (back.max_ns, forth.min_ns);
            if lowest <= highest {
                let error_ns = highest.abs_diff(lowest).div_ceil(2);
                clock.offset_ns = Some(highest - (highest.abs_diff(lowest) / 2).cast_signed());
                clock.error_ns = Some(error_ns);
                ClockMethod::TwoWay
            } else {
                // The clocks have drifted by more than the round trip; no single offset fits.
                ClockMethod::OneWay
            }
        }
    };
    clock
}
