//! Warnings: what a reader must know before trusting the findings.

use std::cmp::Ordering;

use super::Judgement;
use crate::{
    correlate::{Precedence, Proposal, Relations, Sign, Survey, Way},
    findings::{PointKind, Side},
    observe::Point,
    shell,
};

impl Judgement<'_> {
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        // What is true of a capture is said once, not of both its sides.
        let captures = self.points.iter();
        for point in captures.filter(|point| point.side != Some(Side::Out)) {
            let name = &point.capture;
            warnings.extend(
                point
                    .summary
                    .warnings
                    .iter()
                    .map(|why| format!("{name}: {why}")),
            );
            if point.kind != PointKind::Capture {
                continue;
            }
            if point.frames == 0 {
                // Some say by themselves when they watched.
                let why = match point.summary.watched_ns {
                    Some(_) => "it was watching, and no frame came that it was to record",
                    None => {
                        "the capture holds no frame, so nothing shows that it was watching; \
                         capture all traffic, not only HDP"
                    }
                };
                warnings.push(format!("{name}: {why}"));
            }
            let skipped = &point.skipped;
            if skipped.unsupported_link > 0 {
                let unknown = point
                    .summary
                    .link_types
                    .iter()
                    .filter(|link| link.name().is_none());
                let names: Vec<String> = unknown.map(ToString::to_string).collect();
                warnings.push(format!(
                    "{name}: {} frames of link type {} cannot be decoded",
                    skipped.unsupported_link,
                    names.join(", ")
                ));
            }
            if skipped.no_time > 0 {
                warnings.push(format!(
                    "{name}: {} HDP packets have no capture time (simple packet blocks) and are left out",
                    skipped.no_time
                ));
            }
            if point.hdp == 0 && skipped.other_host > 0 {
                warnings.push(format!(
                    "{name}: all {} HDP packets were for other hosts: what is overheard has not \
                     arrived, so nothing is judged there; capture the mirror port's own interface \
                     in place of any",
                    skipped.other_host
                ));
            } else if point.hdp == 0 && skipped.cut_short > 0 {
                warnings.push(format!(
                    "{name}: {} packets were cut before the end of HDP's header and none is whole, so \
                     nothing is judged there; capture with a longer snapshot length (-s)",
                    skipped.cut_short
                ));
            } else if point.hdp == 0 && skipped.not_hdp > 0 {
                warnings.push(format!(
                    "{name}: none of {} IP packets is HDP; if some should be, is the sender's clock \
                     off by more than --window?",
                    skipped.not_hdp
                ));
            }
        }
        warnings
    }
}

/// What speaks against the points being in path order, with the command that puts them right. It
/// speaks of captures, for which of a host's sides is which hangs on the order.
pub(super) fn misplaced(points: &[Point], proposal: &Proposal) -> Option<String> {
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
    let why = match sign {
        Sign::SendLog => format!("{first} is the log of what was sent"),
        Sign::ListenLog => format!("{second} is the log of what was received"),
        Sign::Ttl => format!("the TTL falls from {first} to {second}"),
        Sign::Stage => format!("packets leave {first} and come in at {second}"),
        Sign::Nearness => {
            format!("packets were captured nearer to their timestamps at {first} than at {second}")
        }
        Sign::Silence => format!("{first} saw HDP that never came to {second}"),
    };
    let mut in_order: Vec<&Point> = Vec::new();
    for point in proposal.order.iter().map(|&point| &points[point]) {
        if in_order.iter().all(|other| other.capture != point.capture) {
            in_order.push(point);
        }
    }
    // A shell's <(...) goes by another name the next time.
    let is_nameless = |point: &Point| point.source.starts_with("/dev/fd/");
    let remedy = if in_order.iter().any(|point| is_nameless(point)) {
        let names: Vec<&str> = in_order.iter().map(|point| &*point.capture).collect();
        format!("try --order auto, or give them so: {}", names.join(", "))
    } else {
        let words: Vec<String> = in_order
            .iter()
            .map(|point| shell::quoted(&format!("{}={}", point.capture, point.source)))
            .collect();
        format!("try: hdp path {}", words.join(" "))
    };
    Some(format!("the points are not in path order: {why}; {remedy}"))
}

/// What speaks against the points being neighbours in path order, or different places at all.
pub(super) fn suspicions(
    points: &[Point],
    survey: &Survey,
    relations: &Relations,
    is_misplaced: bool,
) -> Vec<String> {
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
        let (from, to) = (&points[first].name, &points[second].name);
        if rises > falls && !is_misplaced {
            suspicions.push(format!(
                "the TTL of {rises} packets rises between {from} and {to}: are the points in path order?"
            ));
        }
        if are_captures && same > 1 && falls + rises == 0 {
            suspicions.push(format!(
                "{from} and {to} saw {same} packets at the very same times: are they one capture?"
            ));
        }
    }
    suspicions
}

#[cfg(test)]
mod tests {
    use crate::{
        correlate::Survey,
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
        };
        let findings = judge(&points, Survey::of(&points), &options, None);
        let [one, other] = findings.warnings.as_slice() else {
            panic!("{:?}", findings.warnings);
        };
        assert_eq!(
            one,
            "one: it was watching, and no frame came that it was to record"
        );
        assert!(other.starts_with("other: the capture holds no frame"));
        assert_eq!(findings.points[0].last_ns, Some(10));
    }
}
