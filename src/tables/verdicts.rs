//! The table `verdicts`: a row a direction, protocol number and carrier.

use std::fs::File;

use super::{
    columns::{
        Context, Each,
        Kind::{Double, Int32, Int64, Text},
        time,
    },
    file::{Error, Table},
};
use crate::findings::{Findings, IcmpEvidence, LostAt, Protocol, Witnessed};

/// A row of [`Verdicts`]: one protocol number one way.
#[derive(Debug)]
pub struct VerdictOf {
    from: String,
    to: String,
    protocol: Protocol,
}

impl VerdictOf {
    /// Where most packets were lost, the first such.
    fn worst(&self) -> Option<&LostAt> {
        let most = self.protocol.lost_at.iter().map(|lost| lost.count).max()?;
        self.protocol.lost_at.iter().find(|lost| lost.count == most)
    }

    /// The rule that took most packets there, the first such.
    fn rule(&self) -> Option<&Witnessed> {
        let rules = &self.worst()?.witness;
        let most = rules.iter().map(|rule| rule.count).max()?;
        rules.iter().find(|rule| rule.count == most)
    }

    /// The errors that answer most lost packets, the first such.
    fn answer(&self) -> Option<&IcmpEvidence> {
        let icmp = &self.protocol.icmp;
        let most = icmp.iter().map(|icmp| icmp.answered).max()?;
        icmp.iter().find(|icmp| icmp.answered == most && most > 0)
    }
}

/// What the paths do to the numbers.
pub type Verdicts = Table<VerdictOf>;

impl Table<VerdictOf> {
    /// Begins the table in a file.
    ///
    /// # Errors
    /// Those of the file.
    pub fn verdicts(file: File) -> Result<Self, Error> {
        Self::begin("verdicts", fields(), file)
    }

    /// Adds the rows of a path.
    pub fn path(&mut self, context: &Context, findings: Findings) {
        for direction in findings.directions {
            for protocol in direction.protocols {
                let row = VerdictOf {
                    from: direction.from.clone(),
                    to: direction.to.clone(),
                    protocol,
                };
                self.push(context, &row);
            }
        }
    }
}

/// A count, or another number, that [`Protocol`] has under the same name.
macro_rules! member {
    ($name:ident) => {
        Field::Value(stringify!($name), Int64, |_, row: &VerdictOf| {
            row.protocol.$name.into()
        })
    };
}

/// A member of each place of losses.
macro_rules! lost {
    ($name:literal, $kind:expr, $of:expr) => {{
        let each: Each<VerdictOf> = |row, take| {
            let of: for<'a> fn(&'a LostAt) -> super::columns::Cell<'a> = $of;
            for lost in &row.protocol.lost_at {
                take(of(lost));
            }
        };
        ($name, $kind, each)
    }};
}

type Field = super::columns::Field<VerdictOf>;

#[expect(clippy::too_many_lines, reason = "a line or two for each column")]
fn fields() -> Vec<Field> {
    let mut fields = vec![Field::Value("id", Text, |path, _| path.id.as_ref().into())];
    fields.extend(time!("begins", |path, _| path.begins_ns.into()));
    fields.extend([
        Field::Value("from_point", Text, |_, row| (&row.from).into()),
        Field::Value("to_point", Text, |_, row| (&row.to).into()),
        Field::Value("protocol", Int32, |_, row| row.protocol.protocol.into()),
        Field::Value("keyword", Text, |_, row| {
            row.protocol.keyword.as_ref().into()
        }),
        Field::Value("carrier", Text, |_, row| row.protocol.carrier.name().into()),
        Field::Value("verdict", Text, |_, row| row.protocol.verdict.name().into()),
        Field::Value("grade", Text, |_, row| row.protocol.grade.name().into()),
        member!(packets),
        member!(delivered),
        member!(lost),
        member!(edge),
        member!(late),
        member!(ambiguous),
        member!(expired),
        member!(unheard),
        member!(altered),
        member!(duplicates),
        member!(reordered),
        Field::Value("loss_interval_low", Double, |_, row| {
            row.protocol.loss_interval.map(|[low, _]| low).into()
        }),
        Field::Value("loss_interval_high", Double, |_, row| {
            row.protocol.loss_interval.map(|[_, high]| high).into()
        }),
        // Where most were lost, and who is to blame.
        Field::Value("lost_from", Text, |_, row| {
            row.worst().map(|lost| &lost.from).into()
        }),
        Field::Value("lost_to", Text, |_, row| {
            row.worst().map(|lost| &lost.to).into()
        }),
        Field::Value("lost_there", Int64, |_, row| {
            row.worst().map(|lost| lost.count).into()
        }),
        Field::Value("last_hop", Int32, |_, row| {
            let hop = row.worst().and_then(|lost| lost.last_hop.as_ref());
            hop.map(|last| last.hop).into()
        }),
        Field::Value("last_hop_address", Text, |_, row| {
            let hop = row.worst().and_then(|lost| lost.last_hop.as_ref());
            hop.map(|last| &last.address).into()
        }),
        Field::Value("witness", Text, |_, row| {
            row.rule().map(|rule| &rule.by.witness).into()
        }),
        Field::Value("witness_rule", Text, |_, row| {
            row.rule().map(|rule| &rule.by.rule).into()
        }),
        Field::Value("witness_hook", Text, |_, row| {
            row.rule().and_then(|rule| rule.by.hook.as_ref()).into()
        }),
        Field::Value("icmp_from", Text, |_, row| {
            row.answer().map(|icmp| &icmp.from).into()
        }),
        Field::Value("icmp_type", Int32, |_, row| {
            row.answer().map(|icmp| icmp.icmp_type).into()
        }),
        Field::Value("icmp_code", Int32, |_, row| {
            row.answer().map(|icmp| icmp.code).into()
        }),
        Field::Value("icmp_meaning", Text, |_, row| {
            row.answer().map(|icmp| &icmp.meaning).into()
        }),
        Field::Value("icmp_answered", Int64, |_, row| {
            let icmp = row.protocol.icmp.iter();
            icmp.map(|icmp| icmp.answered).sum::<u64>().into()
        }),
        Field::Value("refused", Int64, |_, row| {
            let refused = row.protocol.refused.iter();
            refused.map(|refused| refused.count).sum::<u64>().into()
        }),
        Field::Value("errno", Int32, |_, row| {
            row.protocol.refused.first().map(|first| first.errno).into()
        }),
        Field::Value("errno_name", Text, |_, row| {
            row.protocol.refused.first().map(|first| &first.name).into()
        }),
        Field::Value("delay_min_ns", Int64, |_, row| {
            row.protocol.delay_ns.map(|delay| delay.min).into()
        }),
        Field::Value("delay_p50_ns", Int64, |_, row| {
            row.protocol.delay_ns.map(|delay| delay.p50).into()
        }),
        Field::Value("delay_p90_ns", Int64, |_, row| {
            row.protocol.delay_ns.map(|delay| delay.p90).into()
        }),
        Field::Value("delay_p99_ns", Int64, |_, row| {
            row.protocol.delay_ns.map(|delay| delay.p99).into()
        }),
        Field::Value("delay_max_ns", Int64, |_, row| {
            row.protocol.delay_ns.map(|delay| delay.max).into()
        }),
        Field::Value("delay_reference", Text, |_, row| {
            let delay = row.protocol.delay_ns;
            delay.map(|delay| delay.reference.name()).into()
        }),
        member!(more_packets),
        Field::Structures(
            "lost_at",
            vec![
                lost!("from_point", Text, |lost| (&lost.from).into()),
                lost!("to_point", Text, |lost| (&lost.to).into()),
                lost!("count", Int64, |lost| lost.count.into()),
            ],
        ),
        Field::List("reasons", Text, |row, take| {
            for reason in &row.protocol.reasons {
                take(reason.to_string().into());
            }
        }),
    ]);
    fields
}
