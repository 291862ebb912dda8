//! [`Order::Auto`](super::Order::Auto): the points as their packets show them.

use super::{Event, Options, Points};
use crate::{
    correlate::{Survey, propose},
    observe::Point,
};

/// Puts the points, of which all sightings were kept, in path order; reports an order other than
/// the given one, and what the packets do not show.
pub(super) fn by_packets(
    points: Points,
    seen: Vec<Point>,
    survey: Survey,
    options: &Options,
) -> (Points, Vec<Point>, Survey) {
    let proposal = propose(&seen, &survey);
    let name = |point: usize| seen[point].name.as_str();
    if proposal.is_contradictory {
        options.tell(Event::OrderContradictory);
    }
    for &[a, b] in &proposal.undecided {
        options.tell(Event::OrderUndecided([name(a), name(b)]));
    }
    if proposal.order.is_sorted() {
        return (points, seen, survey);
    }
    let names: Vec<&str> = proposal.order.iter().map(|&point| name(point)).collect();
    options.tell(Event::Reordered(&names));
    let points = points.in_order(&proposal.order);
    let mut given: Vec<Option<Point>> = seen.into_iter().map(Some).collect();
    let in_order = proposal
        .order
        .iter()
        .filter_map(|&point| given[point].take());
    let seen: Vec<Point> = in_order.collect();
    let survey = Survey::of(&seen);
    (points, seen, survey)
}
