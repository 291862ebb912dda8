//! `hdp path --order`: the points as they were given, or as the packets show them.

use clap::ValueEnum;

use super::read::Planned;
use crate::{
    correlate::{Survey, propose},
    observe::Point,
};

/// In which order the points are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Order {
    /// As they are given
    #[default]
    Given,
    /// As the packets show it, by TTL and direction; as given where they do not
    Auto,
}

/// Points in an order, with their survey and their sources, from which the two sides of a host come
/// together.
pub(super) struct Ordered {
    pub(super) plan: Vec<Planned>,
    pub(super) points: Vec<Point>,
    pub(super) survey: Survey,
}

/// Puts the points, of which all sightings were kept, in path order; says so where that is another
/// than the one given, and where it cannot be told.
pub(super) fn by_packets(given: Ordered) -> Ordered {
    let Ordered {
        plan,
        points,
        survey,
    } = given;
    let proposal = propose(&points, &survey);
    let name = |point: usize| points[point].name.as_str();
    if proposal.is_contradictory {
        eprintln!(
            "hdp: warning: --order auto: what the packets show contradicts itself; the points stay \
             as given"
        );
    }
    for &[a, b] in &proposal.undecided {
        eprintln!(
            "hdp: warning: --order auto: nothing tells which of {} and {} comes first; they stay as \
             given",
            name(a),
            name(b)
        );
    }
    if proposal.order.is_sorted() {
        return Ordered {
            plan,
            points,
            survey,
        };
    }
    let names: Vec<&str> = proposal.order.iter().map(|&point| name(point)).collect();
    eprintln!("hdp: --order auto: {}", names.join(" → "));
    let mut given: Vec<Option<(Planned, Point)>> = plan.into_iter().zip(points).map(Some).collect();
    let in_order = proposal
        .order
        .iter()
        .filter_map(|&point| given[point].take());
    let (plan, points): (Vec<Planned>, Vec<Point>) = in_order.unzip();
    let survey = Survey::of(&points);
    Ordered {
        plan,
        points,
        survey,
    }
}
