//! When each capture was watching, and when lost packets were sent, on one time axis.

use maud::{Markup, html as markup};

use super::{
    axis::{TimeAxis, tenth},
    figure,
};
use crate::{
    findings::{ClockMethod, Direction, During, Findings, LostAt, Point, Protocol},
    report::{
        answer::points,
        path,
        units::{count, grouped, span, time_of_day},
    },
};

const WIDTH: f64 = 960.0;
/// Where names end and time begins.
const LEFT: f64 = 240.0;
const RIGHT: f64 = 950.0;
/// From row to row.
const ROW: f64 = 24.0;
/// The tallest mark of lost packets.
const TALLEST: f64 = 18.0;

/// A point's record, on the first point's clock.
struct Watch<'a> {
    point: &'a Point,
    from_ns: i64,
    to_ns: i64,
    /// Added to the point's own times.
    shift_ns: i64,
}

/// Nothing where no point recorded a time.
pub(super) fn draw(findings: &Findings, direction: &Direction) -> Markup {
    let watches = watches(findings, direction);
    let losses: Vec<(String, Vec<(During, &Protocol)>)> = losses(direction);
    let times = watches
        .iter()
        .flat_map(|watch| [watch.from_ns, watch.to_ns]);
    let (Some(from_ns), Some(to_ns)) = (times.clone().min(), times.max()) else {
        return markup! {};
    };
    let axis = TimeAxis {
        from_ns,
        to_ns,
        left: LEFT,
        right: RIGHT,
    };
    let rows = watches.len() + losses.len();
    let bottom = 10.0 + ROW * rows as f64;
    let height = bottom + 24.0;
    let row = |index: usize| 10.0 + ROW * index as f64;
    let picture = markup! {
        svg viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label="When the captures were watching, and when lost packets were sent" {
            @for (time, name) in axis.marks() {
                @let x = axis.x(time);
                line.rule x1=(x) x2=(x) y1="4" y2=(bottom) {}
                @if x < RIGHT - 40.0 {
                    text.quiet x=(x) y=(bottom + 16.0) text-anchor="middle" { (name) }
                }
            }
            @for (index, watch) in watches.iter().enumerate() { (self::watch(&axis, watch, row(index))) }
            @for (index, (place, lost)) in losses.iter().enumerate() {
                (self::strip(&axis, place, lost, row(watches.len() + index)))
            }
        }
    };
    figure(
        "timeline",
        &picture,
        &sentence(direction, !losses.is_empty()),
    )
}

/// Each record in path order, shifted to the first one's clock as far as clocks are related.
fn watches<'a>(findings: &'a Findings, direction: &Direction) -> Vec<Watch<'a>> {
    let mut shift_ns = 0_i64;
    let mut watches: Vec<Watch> = Vec::new();
    for (index, name) in points(direction).enumerate() {
        let Some(point) = findings.points.iter().find(|point| point.name == name) else {
            continue;
        };
        let (Some(first_ns), Some(last_ns)) = (point.first_ns, point.last_ns) else {
            continue;
        };
        if let Some(segment) = index
            .checked_sub(1)
            .map(|before| &direction.segments[before])
        {
            let ahead_ns = segment.clock.offset_ns_at_end(first_ns);
            shift_ns = shift_ns.saturating_sub(ahead_ns.unwrap_or_default());
        }
        // Both sides of a host are one record.
        if watches
            .iter()
            .any(|watch| watch.point.capture == point.capture)
        {
            continue;
        }
        watches.push(Watch {
            point,
            from_ns: first_ns.saturating_add(shift_ns),
            to_ns: last_ns.saturating_add(shift_ns),
            shift_ns,
        });
    }
    watches
}

/// When the packets that were lost on each stretch were sent; a number that lost packets on several
/// stands on the one where it lost most.
fn losses(direction: &Direction) -> Vec<(String, Vec<(During, &Protocol)>)> {
    let mut strips: Vec<(&LostAt, Vec<(During, &Protocol)>)> = Vec::new();
    for protocol in &direction.protocols {
        let Some(most) = protocol.lost_at.iter().max_by_key(|lost| lost.count) else {
            continue;
        };
        let lost = protocol
            .lost_during
            .iter()
            .map(|during| (*during, protocol));
        let same =
            |(known, _): &&mut (&LostAt, _)| (&known.from, &known.to) == (&most.from, &most.to);
        match strips.iter_mut().find(same) {
            Some((_, strip)) => strip.extend(lost),
            None => strips.push((most, lost.collect())),
        }
    }
    let order = |name: &str| points(direction).position(|point| point == name);
    strips.sort_by_key(|(place, _)| (order(&place.from), order(&place.to)));
    strips
        .into_iter()
        .map(|(place, strip)| {
            (
                format!("lost {}", path([place.from.as_str(), &place.to])),
                strip,
            )
        })
        .collect()
}

fn watch(axis: &TimeAxis, watch: &Watch, y: f64) -> Markup {
    let (left, right) = (axis.x(watch.from_ns), axis.x(watch.to_ns));
    let own = |time: i64| axis.x(time.saturating_add(watch.shift_ns));
    let gap = |gap: &[i64; 2]| {
        let [from, to] = *gap;
        let (left, right) = (own(from), own(to));
        markup! {
            rect x=(left) y=(y + 3.0) width=(tenth((right - left).max(1.5))) height="14" fill="var(--paper)" stroke="var(--lossy)" {
                title { "stopped " (time_of_day(from)) "-" (time_of_day(to)) }
            }
        }
    };
    let drops = match watch.point.capture_drops {
        Some(drops @ 1..) => format!(", {} dropped", grouped(drops)),
        _ => String::new(),
    };
    let text = format!(
        "{}: {}-{}{drops}",
        watch.point.capture,
        time_of_day(watch.point.first_ns.unwrap_or_default()),
        time_of_day(watch.point.last_ns.unwrap_or_default()),
    );
    markup! {
        text x=(LEFT - 10.0) y=(y + 14.0) text-anchor="end" { (short(&watch.point.capture)) (drops) }
        rect.watching x=(left) y=(y + 3.0) width=(tenth((right - left).max(1.5))) height="14" { title { (text) } }
        @for stopped in &watch.point.gaps { (gap(stopped)) }
    }
}

/// Lost packets as marks, the taller the more in the same tenth of a percent of the time.
fn strip(axis: &TimeAxis, place: &str, lost: &[(During, &Protocol)], y: f64) -> Markup {
    // By where they stand: two pixels wide.
    let mut marks: Vec<(u32, u64, Vec<u16>)> = Vec::new();
    for (during, protocol) in lost {
        let middle = during.from_ns + (during.to_ns - during.from_ns) / 2;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 960"
        )]
        let place = (axis.x(middle) / 2.0) as u32;
        match marks.binary_search_by_key(&place, |(place, ..)| *place) {
            Ok(index) => {
                marks[index].1 += during.count;
                marks[index].2.push(protocol.protocol);
            }
            Err(index) => marks.insert(index, (place, during.count, vec![protocol.protocol])),
        }
    }
    let most = marks.iter().map(|(_, count, _)| *count).max().unwrap_or(1);
    let all: u64 = lost.iter().map(|(during, _)| during.count).sum();
    markup! {
        text x=(LEFT - 10.0) y=(y + 14.0) text-anchor="end" { (short(place)) }
        g.lost aria-label=(format!("{place}: {}", count(all, "packet"))) {
            @for (place, lost, numbers) in &marks {
                @let height = tenth(3.0 + (TALLEST - 3.0) * *lost as f64 / most as f64);
                rect x=(place * 2) y=(tenth(y + 20.0 - height)) width="2" height=(height) {
                    title { (grouped(*lost)) " lost: " (names(numbers)) }
                }
            }
        }
    }
}

/// A few numbers by name, of many how many.
fn names(numbers: &[u16]) -> String {
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    match numbers.len() {
        ..=6 => crate::protocols::fold_with_keywords(&numbers),
        more => count(more as u64, "number"),
    }
}

/// What fits before the axis.
fn short(name: &str) -> String {
    const MOST: usize = 36;
    if name.chars().count() <= MOST {
        return name.to_owned();
    }
    name.chars().take(MOST - 1).chain(['…']).collect()
}

fn sentence(direction: &Direction, has_losses: bool) -> String {
    let clocks = direction.segments.iter().map(|segment| &segment.clock);
    let unrelated = clocks
        .clone()
        .any(|clock| clock.offset_ns.is_none() && clock.levels.is_empty());
    let one_way = clocks
        .clone()
        .any(|clock| clock.method == ClockMethod::OneWay);
    let error = clocks.filter_map(|clock| clock.error_ns).max();
    let clock = if unrelated {
        "nothing compares some of the clocks, so that each record stands by its own".to_owned()
    } else if one_way {
        "all on the first point's clock, as if the fastest packet had taken no time".to_owned()
    } else {
        let error = i64::try_from(error.unwrap_or_default()).unwrap_or(i64::MAX);
        format!("all on the first point's clock, within {}", span(error))
    };
    let losses = if has_losses {
        ", and when the packets were sent that were lost"
    } else {
        ""
    };
    format!("When each record was taken (UTC), framed where it was stopped{losses}; {clock}.")
}
