//! Warnings: what a reader must know before trusting the findings.

use std::{cmp::Ordering, net::IpAddr};

use super::Judgement;
use crate::{
    correlate::{Precedence, Proposal, Relations, Survey, Way},
    findings::{ClockFault, NamedSource, PointKind, Side, Warning},
    keyed::KeyedSet,
    observe::Point,
};

impl Judgement<'_> {
    /// What each capture and log makes doubtful by itself.
    pub(super) fn warnings(&self) -> Vec<Warning> {
        // What is true of a capture is said once, not of both its sides.
        let captures = self.points.iter();
        let captures = captures.filter(|point| point.side != Some(Side::Out));
        captures.flat_map(of_source).collect()
    }
}

fn of_source(source: &Point) -> Vec<Warning> {
    let point = || source.capture.clone();
    let messages = source.summary.warnings.iter();
    let mut warnings: Vec<Warning> = messages
        .map(|message| Warning::Source {
            point: point(),
            message: message.clone(),
        })
        .collect();
    if source.kind != PointKind::Capture {
        return warnings;
    }
    if source.frames == 0 {
        warnings.push(Warning::NoFrames {
            point: point(),
            // Some say by themselves when they watched.
            was_watching: source.summary.watched_ns.is_some(),
        });
    }
    let fault = source.clock_fault();
    warnings.extend(fault.map(|fault| Warning::ClockFault {
        point: point(),
        fault,
        hdp: source.hdp,
    }));
    let left_out = &source.left_out;
    if left_out.errors + left_out.doubtful > 0 {
        warnings.push(Warning::LeftOut {
            point: point(),
            errors: left_out.errors,
            rewritten: left_out.doubtful,
        });
    }
    let skipped = &source.skipped;
    if skipped.unsupported_link > 0 {
        let link_types = source.summary.link_types.iter();
        let unknown = link_types.filter(|link| link.name().is_none());
        warnings.push(Warning::UnsupportedLink {
            point: point(),
            frames: skipped.unsupported_link,
            link_types: unknown.map(ToString::to_string).collect(),
        });
    }
    if skipped.no_time > 0 {
        warnings.push(Warning::NoCaptureTime {
            point: point(),
            packets: skipped.no_time,
        });
    }
    if source.off_date.is_likely() {
        warnings.push(Warning::OffDate {
            point: point(),
            packets: source.off_date.packets,
            off_ns: source.off_date.off_ns,
        });
    } else if source.hdp == 0 && skipped.other_host > 0 {
        warnings.push(Warning::AllOverheard {
            point: point(),
            packets: skipped.other_host,
        });
    } else if source.hdp == 0 && skipped.cut_short > 0 {
        warnings.push(Warning::AllCutShort {
            point: point(),
            packets: skipped.cut_short,
        });
    } else if source.hdp == 0
        && skipped.not_hdp > 0
        && skipped.no_time == 0
        && !matches!(fault, Some(ClockFault::NeverSet { .. }))
    {
        warnings.push(Warning::NoHdp {
            point: point(),
            packets: skipped.not_hdp,
        });
    }
    warnings
}

/// What speaks against the points being in path order. It speaks of captures, for which of a host's
/// sides is which hangs on the order.
pub(super) fn misplaced(points: &[Point], proposal: &Proposal) -> Option<Warning> {
    let Precedence {
        first,
        second,
        sign,
    } = proposal.against?;
    let (first, second) = (&points[first], &points[second]);
    let (first, second) = if first.capture == second.capture {
        (&first.name, &second.name)
    } else {
        (&first.capture, &second.capture)
    };
    let mut order: Vec<NamedSource> = Vec::new();
    for point in proposal.order.iter().map(|&point| &points[point]) {
        if order.iter().all(|other| other.name != point.capture) {
            order.push(NamedSource {
                name: point.capture.clone(),
                source: point.source.clone(),
            });
        }
    }
    Some(Warning::Misplaced {
        first: first.clone(),
        second: second.clone(),
        sign,
        order,
    })
}

/// What speaks against the points being neighbours in path order, or different places at all.
pub(super) fn suspicions(
    points: &[Point],
    survey: &Survey,
    relations: &Relations,
    is_misplaced: bool,
) -> Vec<Warning> {
    let mut suspicions = Vec::new();
    for second in 1..points.len() {
        let first = second - 1;
        let (mut falls, mut rises, mut same) = (0, 0, 0);
        for ((from, to), link) in survey.links(points.len(), first, second) {
            let Some(offsets) = link.offsets else {
                continue;
            };
            let ttl = |point: usize, flow: u32| points[point].flows[flow as usize].flow.ttl;
            let (before, after) = match relations.way(first, from) {
                Way::Forward => (ttl(first, from), ttl(second, to)),
                Way::Reverse => (ttl(second, to), ttl(first, from)),
            };
            match before.cmp(&after) {
                Ordering::Greater => falls += offsets.count,
                Ordering::Less => rises += offsets.count,
                Ordering::Equal if (offsets.min_ns, offsets.max_ns) == (0, 0) => {
                    same += offsets.count;
                }
                Ordering::Equal => {}
            }
        }
        // A listener on the capturing host gets the kernel's very time.
        let are_captures = [first, second]
            .iter()
            .all(|&p| points[p].kind == PointKind::Capture);
        let (from, to) = (points[first].name.clone(), points[second].name.clone());
        if rises > falls && !is_misplaced {
            suspicions.push(Warning::TtlRises {
                from,
                to,
                packets: rises,
            });
        } else if are_captures && same > 1 && falls + rises == 0 {
            suspicions.push(Warning::SameTimes {
                from,
                to,
                packets: same,
            });
        }
    }
    suspicions.extend(continuations(points));
    suspicions
}

/// Captures that begin where another ends, as files do that tcpdump begins anew by size or time: they show the
/// same hosts at the same distance. Captures of two points are of the same time.
fn continuations(points: &[Point]) -> Vec<Warning> {
    let captures = || {
        let captures = points.iter().filter(|point| {
            point.kind == PointKind::Capture && point.side.is_none() && !point.summary.is_live
        });
        captures.filter_map(|point| {
            let coverage = &point.coverage;
            Some((point, coverage.first_ns()?, coverage.last_ns()?))
        })
    };
    let mut continuations = Vec::new();
    for (earlier, began_ns, ended_ns) in captures() {
        let next = captures()
            .filter(|(_, first_ns, _)| *first_ns >= ended_ns)
            .min_by_key(|(_, first_ns, last_ns)| (*first_ns, *last_ns));
        let Some((later, first_ns, last_ns)) = next.filter(|next| !std::ptr::eq(next.0, earlier))
        else {
            continue;
        };
        let longer_ns = ended_ns.abs_diff(began_ns).max(last_ns.abs_diff(first_ns));
        if first_ns.abs_diff(ended_ns) < longer_ns && show_same_hosts(earlier, later) {
            continuations.push(Warning::GoesOn {
                from: earlier.name.clone(),
                to: later.name.clone(),
            });
        }
    }
    continuations
}

/// Whether two points saw packets between the same addresses with the same TTL.
fn show_same_hosts(one: &Point, other: &Point) -> bool {
    let seen = |point: &Point| -> KeyedSet<(IpAddr, IpAddr, u8)> {
        let flows = point.flows.iter().map(|entry| &entry.flow);
        flows
            .map(|flow| (flow.source, flow.destination, flow.ttl))
            .collect()
    };
    !seen(one).is_disjoint(&seen(other))
}

#[cfg(test)]
mod tests {
    use crate::{
        correlate::Survey,
        findings::Warning,
        judge::{DEFAULT_WAIT_NS, Options, judge},
        observe::Observer,
        source::Summary,
    };

    #[test]
    fn a_capture_without_a_frame_was_watching_if_it_says_so() {
        let points = [("one", Some((5, 10))), ("other", None)].map(|(name, watched_ns)| {
            let summary = Summary {
                watched_ns,
                ..Summary::default()
            };
            Observer::default().finish(name.to_owned(), String::new(), summary)
        });
        let options = Options {
            wait_ns: DEFAULT_WAIT_NS,
            clock_error_ns: None,
            protocols: None,
            witnesses: std::sync::Arc::default(),
        };
        let findings = judge(&points, Survey::of(&points), &options, None);
        let no_frames = |point: &str, was_watching| Warning::NoFrames {
            point: point.to_owned(),
            was_watching,
        };
        assert_eq!(
            findings.warnings,
            [no_frames("one", true), no_frames("other", false)]
        );
        assert_eq!(findings.points[0].last_ns, Some(10));
    }
}
