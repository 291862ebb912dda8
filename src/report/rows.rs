//! The rows and columns of the table of numbers, before any layout.

use super::{answer::list_numbers, path, units::grouped, word, words};
use crate::findings::{Direction, Grade, LostAt, PointKind, Protocol, Reason, Verdict};

/// A row: one protocol number, or several of which there is the same to say but for figures.
pub(super) struct Row<'a>(Vec<&'a Protocol>);

/// The rows of one direction: the numbers that did not pass, alike ones folded into one row; with
/// `all` a row for every number.
pub(super) fn rows(direction: &Direction, all: bool) -> Vec<Row<'_>> {
    let mut rows: Vec<Row> = Vec::new();
    for protocol in &direction.protocols {
        if all {
            rows.push(Row(vec![protocol]));
        } else if protocol.verdict != Verdict::Passes {
            match rows.iter_mut().find(|row| alike(row.0[0], protocol)) {
                Some(row) => row.0.push(protocol),
                None => rows.push(Row(vec![protocol])),
            }
        }
    }
    rows
}

/// Whether the same is to be said of two numbers, but for figures.
fn alike(a: &Protocol, b: &Protocol) -> bool {
    let key = |protocol: &Protocol| {
        let stretches = protocol.lost_at.iter();
        let stretches: Vec<_> = stretches
            .map(|lost| (lost.from.clone(), lost.to.clone()))
            .collect();
        let unjudged = [
            protocol.edge,
            protocol.late,
            protocol.ambiguous,
            protocol.expired,
        ]
        .map(|count| count > 0);
        (
            protocol.verdict,
            protocol.grade,
            protocol.delivered > 0,
            stretches,
            unjudged,
        )
    };
    let (of_a, of_b) = (shown(a), shown(b));
    key(a) == key(b)
        && of_a.len() == of_b.len()
        && of_a
            .iter()
            .zip(of_b)
            .all(|(a, b)| combined(&[a, b]).is_some())
}

/// The first reasons, which are shown.
fn shown(protocol: &Protocol) -> &[Reason] {
    &protocol.reasons[..protocol.reasons.len().min(2)]
}

/// What the same reasons of several numbers say together; `None` where they are not the same but for
/// their figures.
fn combined(reasons: &[&Reason]) -> Option<String> {
    let (first, rest) = reasons.split_first()?;
    if rest.iter().all(|reason| reason == first) {
        return Some(first.to_string());
    }
    let sum = |of: fn(&Reason) -> u64| reasons.iter().map(|reason| of(reason)).sum::<u64>();
    let same = |reason: &Reason| rest.iter().all(|other| without_figures(other) == *reason);
    let bare = without_figures(first);
    if !same(&bare) {
        return None;
    }
    Some(match bare {
        Reason::FirstLost { point, record, .. } => {
            let number = |reason: &&Reason| match reason {
                Reason::FirstLost { number, .. } => *number,
                _ => 0,
            };
            let numbers = range(reasons.iter().map(number));
            let unit = match record {
                PointKind::Capture | PointKind::DropWitness => "frames",
                PointKind::SendLog | PointKind::ListenLog => "lines",
            };
            format!("first in {unit} {numbers} of {point}")
        }
        Reason::Chance { others, .. } => {
            let chances = reasons.iter().filter_map(|reason| match reason {
                Reason::Chance { chance, .. } => Some(*chance),
                _ => None,
            });
            let most = chances.fold(0.0, f64::max);
            let others = words::whose(others);
            format!("each lost more than {others}: chance {most:.2} or less")
        }
        Reason::IfClocksAgree { from, to, .. } => {
            let within_ns = reasons.iter().filter_map(|reason| match reason {
                Reason::IfClocksAgree { within_ns, .. } => Some(*within_ns),
                _ => None,
            });
            let within_ns = within_ns.min().unwrap_or_default();
            Reason::IfClocksAgree {
                from,
                to,
                within_ns,
            }
            .to_string()
        }
        Reason::IcmpAnswer {
            from,
            version,
            icmp_type,
            code,
            about,
            ..
        } => Reason::IcmpAnswer {
            answered: sum(|reason| match reason {
                Reason::IcmpAnswer { answered, .. } => *answered,
                _ => 0,
            }),
            lost: sum(|reason| match reason {
                Reason::IcmpAnswer { lost, .. } => *lost,
                _ => 0,
            }),
            from,
            version,
            icmp_type,
            code,
            about,
        }
        .to_string(),
        bare => with_count(bare, sum(count)).to_string(),
    })
}

/// A reason without what differs from number to number.
fn without_figures(reason: &Reason) -> Reason {
    let mut bare = with_count(reason.clone(), 0);
    match &mut bare {
        Reason::FirstLost { number, .. } => *number = 0,
        Reason::IcmpAnswer { answered, lost, .. } => (*answered, *lost) = (0, 0),
        Reason::IfClocksAgree { within_ns, .. } => *within_ns = 0,
        Reason::Chance {
            lost,
            packets,
            others_lost,
            others_packets,
            chance,
            asked,
            ..
        } => {
            (*lost, *packets, *others_lost, *others_packets) = (0, 0, 0, 0);
            (*chance, *asked) = (0.0, 0);
        }
        _ => {}
    }
    bare
}

fn with_count(mut reason: Reason, to: u64) -> Reason {
    if let Some(count) = count_of(&mut reason) {
        *count = to;
    }
    reason
}

fn count(reason: &Reason) -> u64 {
    count_of(&mut reason.clone()).map_or(0, |count| *count)
}

/// The packets that a reason counts.
fn count_of(reason: &mut Reason) -> Option<&mut u64> {
    match reason {
        Reason::SeenAndNot { count, .. }
        | Reason::MissingFragment { count, .. }
        | Reason::AnsweredBeyond { count, .. }
        | Reason::Unheard { count, .. }
        | Reason::SocketFull { count, .. }
        | Reason::FirstPassed { count }
        | Reason::MissedByCapture { count, .. }
        | Reason::SnapshotTooShort { count, .. }
        | Reason::NotWatching { count, .. }
        | Reason::ClocksUnrelated { count, .. }
        | Reason::ClockSetMeanwhile { count, .. }
        | Reason::CannotShow { count, .. }
        | Reason::DeadTime { count }
        | Reason::Late { count }
        | Reason::Ambiguous { count } => Some(count),
        _ => None,
    }
}

/// `3`, or `1-3`.
fn range(numbers: impl Iterator<Item = u64> + Clone) -> String {
    let (least, most) = (numbers.clone().min(), numbers.max());
    let (least, most) = (least.unwrap_or_default(), most.unwrap_or_default());
    if least == most {
        grouped(least)
    } else {
        format!("{}-{}", grouped(least), grouped(most))
    }
}

/// A cell of the table, and the verdict that it states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) verdict: Option<Verdict>,
}

/// The cells of a row.
pub(super) fn cells(columns: &[&'static Column], row: &Row) -> Vec<Cell> {
    let cell = |column: &&Column| Cell {
        text: (column.cell)(row),
        verdict: (column.title == "Verdict").then(|| row.0[0].verdict),
    };
    columns.iter().map(cell).collect()
}

/// A column: its title and what a row has to say there.
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) cell: fn(&Row) -> String,
}

/// Number, Verdict, Sent, ... , Why.
const COLUMNS: [Column; 8] = [
    Column {
        title: "Number",
        cell: |row| list_numbers(&row.0),
    },
    Column {
        title: "Verdict",
        cell: |row| word(row.0[0].verdict).to_owned(),
    },
    Column {
        title: "Sent",
        cell: |row| row.each(|protocol| protocol.packets),
    },
    Column {
        title: "Arrived",
        cell: |row| row.each(|protocol| protocol.delivered),
    },
    Column {
        title: "Unjudged",
        cell: |row| row.unjudged(),
    },
    Column {
        title: "Lost in",
        cell: |row| row.lost_in(),
    },
    Column {
        title: "Grade",
        cell: |row| grade(row.0[0].grade).to_owned(),
    },
    Column {
        title: "Why",
        cell: |row| row.why(),
    },
];

/// The columns that these rows need: "Unjudged" only where something was not judged.
pub(super) fn columns(rows: &[Row]) -> Vec<&'static Column> {
    COLUMNS
        .iter()
        .filter(|column| {
            column.title != "Unjudged" || rows.iter().any(|row| (column.cell)(row) != NONE)
        })
        .collect()
}

/// What stands where there is nothing to say.
const NONE: &str = "-";

impl Row<'_> {
    /// What was neither delivered nor lost.
    fn unjudged(&self) -> String {
        let of = |name: &str, count: fn(&Protocol) -> u64| {
            let counts = self.0.iter().map(|protocol| count(protocol));
            (count(self.0[0]) > 0).then(|| format!("{} {name}", range(counts)))
        };
        let fates = [
            of("edge", |protocol| protocol.edge),
            of("late", |protocol| protocol.late),
            of("ambiguous", |protocol| protocol.ambiguous),
            of("expired", |protocol| protocol.expired),
        ];
        or_none(fates.into_iter().flatten(), ", ")
    }

    /// The stretches in which packets were lost, with counts where there are several.
    fn lost_in(&self) -> String {
        let lost_at = &self.0[0].lost_at;
        let stretch = |(index, lost): (usize, &LostAt)| {
            let stretch = path([lost.from.as_str(), &lost.to]);
            if lost_at.len() == 1 {
                return stretch;
            }
            let counts = self.0.iter().map(|protocol| protocol.lost_at[index].count);
            format!("{stretch}: {}", range(counts))
        };
        or_none(lost_at.iter().enumerate().map(stretch), ", ")
    }

    /// The first reasons.
    fn why(&self) -> String {
        let reasons = (0..shown(self.0[0]).len()).filter_map(|index| {
            let same: Vec<&Reason> = self.0.iter().map(|number| &number.reasons[index]).collect();
            combined(&same)
        });
        or_none(reasons, "; ")
    }

    /// A count of each number of the row.
    fn each(&self, of: fn(&Protocol) -> u64) -> String {
        let each = if self.0.len() > 1 { " each" } else { "" };
        format!(
            "{}{each}",
            range(self.0.iter().map(|protocol| of(protocol)))
        )
    }
}

fn or_none(items: impl Iterator<Item = String>, separator: &str) -> String {
    let text = items.collect::<Vec<_>>().join(separator);
    if text.is_empty() {
        NONE.to_owned()
    } else {
        text
    }
}

pub(crate) fn grade(grade: Grade) -> &'static str {
    match grade {
        Grade::Certain => "certain",
        Grade::Likely => "likely",
        Grade::Weak => "weak",
    }
}
