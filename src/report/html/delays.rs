//! Delays by number beside the control's, the lost packets' infinite.

use maud::{Markup, html as markup};

use super::{
    axis::{SpanAxis, tenth},
    class, figure,
};
use crate::{
    findings::{Carrier, Delay, DelayReference, Direction, Protocol},
    protocols,
    report::units::{grouped, span},
};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 950.0;
/// The control stands before the numbers.
const CONTROL: f64 = 84.0;
const NUMBERS: f64 = 110.0;
/// Bars of infinite delays hang from the top to here.
const INFINITE: f64 = 44.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 240.0;
const HEIGHT: f64 = 262.0;

/// Nothing where nothing arrived.
pub(super) fn draw(direction: &Direction) -> Markup {
    let delays = || {
        let numbers = direction.protocols.iter();
        numbers.filter_map(|protocol| protocol.delay_ns)
    };
    let Some(reference) = delays().map(|delay| delay.reference).next() else {
        return markup! {};
    };
    let spans = delays().flat_map(|delay| [delay.min, delay.p50, delay.p99]);
    let axis = SpanAxis::over(spans, BOTTOM, TOP);
    let control = direction
        .protocols
        .iter()
        .find(|protocol| protocol.carrier == Carrier::Udp);
    let median = control
        .and_then(|control| control.delay_ns)
        .map(|delay| delay.p50);
    let picture = markup! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label="Delays by protocol number" {
            @for (decade, name) in axis.marks() {
                @let y = axis.y(decade);
                line.rule x1=(LEFT) x2=(RIGHT) y1=(y) y2=(y) {}
                text.quiet x=(LEFT - 6.0) y=(y + 4.0) text-anchor="end" { (name) }
            }
            line.rule x1=(LEFT) x2=(RIGHT) y1=(INFINITE) y2=(INFINITE) {}
            text.quiet x=(LEFT - 6.0) y=(INFINITE - 10.0) text-anchor="end" { "never" }
            @for number in (0..=255_u16).step_by(16) {
                text.quiet x=(x(number)) y=(BOTTOM + 16.0) text-anchor="middle" { (number) }
            }
            @if let Some(median) = median {
                @let y = axis.y(median);
                line.control x1=(LEFT) x2=(RIGHT) y1=(y) y2=(y) {}
                text.quiet x=(CONTROL) y=(BOTTOM + 16.0) text-anchor="middle" { "UDP" }
            }
            @for protocol in &direction.protocols { (self::number(&axis, protocol)) }
        }
    };
    let from = match reference {
        DelayReference::Absolute => "from the first point to the last",
        DelayReference::Minimum => "above the fastest packet's, from the first point to the last",
    };
    let control = match median {
        Some(median) => format!(
            " The dashed line is the UDP control's median, {}.",
            span(median)
        ),
        None => String::new(),
    };
    let sentence = format!(
        "Delay of each number's packets {from}: a line from the smallest to the 99th percentile, a dot at the \
         median. Lost packets take for ever: the bar at the top is their share.{control}"
    );
    figure("delays", &picture, &sentence)
}

fn x(number: u16) -> f64 {
    tenth(NUMBERS + f64::from(number.min(255)) * (RIGHT - 6.0 - NUMBERS) / 255.0)
}

fn number(axis: &SpanAxis, protocol: &Protocol) -> Markup {
    if protocol.packets == 0 {
        return markup! {};
    }
    let x = match protocol.carrier {
        Carrier::Ip => x(protocol.protocol),
        Carrier::Udp => CONTROL,
    };
    let never = protocol.lost + protocol.late;
    let share = never as f64 / (never + protocol.delivered).max(1) as f64;
    let height = tenth((INFINITE - 6.0) * share);
    let delay = protocol.delay_ns;
    markup! {
        g {
            title { (text(protocol, delay.as_ref())) }
            @if let Some(delay) = delay {
                line.range x1=(x) x2=(x) y1=(axis.y(delay.min)) y2=(axis.y(delay.p99)) {}
                @match delay.with_lost.p50 {
                    Some(median) => circle.median cx=(x) cy=(axis.y(median)) r="2.2" {},
                    None => circle.median cx=(x) cy=(INFINITE) r="2.2" {},
                }
            }
            @if never > 0 {
                rect class=(class(protocol.verdict)) x=(tenth(x - 1.5)) y="6" width="3" height=(height.max(2.0)) fill="currentColor" {}
            }
        }
    }
}

fn text(protocol: &Protocol, delay: Option<&Delay>) -> String {
    let name = match protocol.carrier {
        Carrier::Ip => protocols::fold_with_keywords(&[protocol.protocol]),
        Carrier::Udp => "UDP control".to_owned(),
    };
    let delay = match delay {
        Some(delay) => format!(
            "median {}, 90 % {}, 99 % {}",
            span(delay.p50),
            span(delay.p90),
            span(delay.p99)
        ),
        None => "none arrived".to_owned(),
    };
    let lost = match protocol.lost {
        0 => String::new(),
        lost => format!(", {} lost", grouped(lost)),
    };
    format!("{name}: {delay}{lost}")
}
