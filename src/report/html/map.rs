//! The 256 numbers as a square of 16 rows and 16 columns.

use maud::{Markup, html as markup};

use super::{class, figure};
use crate::{
    findings::{Carrier, Direction, Protocol, Verdict, trace::Trace},
    protocols,
    report::{
        rows::grade,
        sign::{UNSEEN, VERDICTS, like, sign},
        units::grouped,
        word,
    },
};

/// What the map says of each number: a verdict and all about it in words.
pub(super) struct Map {
    cells: Vec<Option<(Verdict, String)>>,
    /// What the verdicts are called.
    words: Vec<(Verdict, &'static str)>,
}

impl Map {
    fn new(words: Vec<(Verdict, &'static str)>) -> Self {
        Self {
            cells: vec![None; 256],
            words,
        }
    }

    fn set(&mut self, number: u16, verdict: Verdict, text: String) {
        if let Some(cell) = self.cells.get_mut(usize::from(number)) {
            *cell = Some((verdict, text));
        }
    }
}

/// The numbers straight on IP that went one way.
pub(super) fn of_direction(direction: &Direction) -> Map {
    let mut map = Map::new(VERDICTS.map(|verdict| (verdict, word(verdict))).to_vec());
    let numbers = direction.protocols.iter();
    for protocol in numbers.filter(|protocol| protocol.carrier == Carrier::Ip) {
        map.set(protocol.protocol, protocol.verdict, text(protocol));
    }
    map
}

/// The numbers of a trace.
pub(super) fn of_trace(trace: &Trace) -> Map {
    use crate::findings::trace::TraceVerdict::{Disappears, Inconclusive, Reaches, Refused};
    let words = [
        (Reaches, "reaches"),
        (Disappears, "disappears"),
        (Refused, "refused"),
        (Inconclusive, "inconclusive"),
    ];
    let word_of = |verdict| {
        let mut words = words.iter();
        words.find_map(|(of, word)| (*of == verdict).then_some(*word))
    };
    let mut map = Map::new(words.map(|(verdict, word)| (like(verdict), word)).to_vec());
    let numbers = trace.protocols.iter();
    for protocol in numbers.filter(|protocol| protocol.carrier == Carrier::Ip) {
        let name = protocols::fold_with_keywords(&[protocol.protocol.into()]);
        let why = protocol.reasons.first().map(ToString::to_string);
        let text = format!(
            "{name}: {}, {}. {}",
            word_of(protocol.verdict).unwrap_or_default(),
            grade(protocol.grade),
            why.unwrap_or_default()
        );
        map.set(protocol.protocol.into(), like(protocol.verdict), text);
    }
    map
}

fn text(protocol: &Protocol) -> String {
    let name = protocols::fold_with_keywords(&[protocol.protocol]);
    let counts = match protocol.packets {
        0 => String::new(),
        packets => format!(
            ", {} of {} arrived",
            grouped(protocol.delivered),
            grouped(packets)
        ),
    };
    let why = protocol.reasons.first().map(ToString::to_string);
    format!(
        "{name}: {}, {}{counts}. {}",
        word(protocol.verdict),
        grade(protocol.grade),
        why.unwrap_or_default()
    )
}

/// Draws the map as a table, which readers for the blind know to read.
pub(super) fn draw(map: &Map) -> Markup {
    let used = |verdict: Verdict| {
        let mut cells = map.cells.iter().flatten();
        cells.any(|(of, _)| *of == verdict)
    };
    let table = markup! {
        table {
            thead { tr { th {} @for column in 0..16 { th scope="col" { (column) } } } }
            tbody {
                @for (row, cells) in map.cells.chunks(16).enumerate() {
                    tr {
                        th scope="row" { (row * 16) }
                        @for cell in cells {
                            @match cell {
                                Some((verdict, text)) => td class=(class(*verdict)) {
                                    span aria-hidden="true" { (sign(*verdict)) }
                                    span.tip { (text) }
                                },
                                None => td { span aria-hidden="true" { (UNSEEN) } },
                            }
                        }
                    }
                }
            }
        }
        ul.legend {
            @for (verdict, word) in &map.words {
                @if used(*verdict) { li class=(class(*verdict)) { strong { (sign(*verdict)) } " " (word) } }
            }
            li { (UNSEEN) " not seen" }
        }
    };
    figure(
        "map",
        &table,
        "The 256 protocol numbers: a number is its row's heading plus its column's. The pointer on a number \
         shows what became of it.",
    )
}
