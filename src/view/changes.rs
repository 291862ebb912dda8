//! Changes of verdicts as lines, where there is no terminal to draw on.

use std::collections::BTreeMap;

use super::Look;
use crate::{
    findings::{Carrier, LostAt, Protocol, Verdict},
    report::{self, answer::list_numbers, units},
};

/// Which numbers had which verdict when it was last told.
#[derive(Debug, Default)]
pub struct Changes(BTreeMap<Subject, Verdict>);

/// A number that goes one way.
type Subject = (String, u16, Carrier);

/// What several numbers may have in common.
type Place<'a> = (Verdict, Vec<[&'a str; 2]>);

impl Changes {
    /// One line for what changed since the last look: the time in UTC, the numbers, their new
    /// verdict, where they are lost, and how many of their packets arrived. Numbers that changed
    /// alike share a line. That nothing can be judged yet is no change.
    #[must_use]
    pub fn since_last(&mut self, look: &Look, now_ns: i64) -> Vec<String> {
        let mut lines = Vec::new();
        let several = look.findings.directions.len() > 1;
        for direction in &look.findings.directions {
            let mut changed: Vec<(Place, Vec<&Protocol>)> = Vec::new();
            for protocol in &direction.protocols {
                let subject = (direction.from.clone(), protocol.protocol, protocol.carrier);
                let before = self.0.insert(subject, protocol.verdict);
                let is_news = match before {
                    None => protocol.verdict != Verdict::Inconclusive,
                    Some(before) => before != protocol.verdict,
                };
                if !is_news {
                    continue;
                }
                let place = (protocol.verdict, stretches(&protocol.lost_at));
                match changed.iter_mut().find(|(other, _)| *other == place) {
                    Some((_, alike)) => alike.push(protocol),
                    None => changed.push((place, vec![protocol])),
                }
            }
            for ((verdict, stretches), alike) in changed {
                let places: Vec<_> = stretches.into_iter().map(report::path).collect();
                let sum = |count: fn(&Protocol) -> u64| -> String {
                    units::grouped(alike.iter().map(|protocol| count(protocol)).sum())
                };
                let mut parts = vec![
                    units::time_of_day(now_ns),
                    list_numbers(&alike),
                    report::word(verdict).to_owned(),
                ];
                if several && places.is_empty() {
                    parts.push(report::path([direction.from.as_str(), &direction.to]));
                }
                parts.extend((!places.is_empty()).then(|| places.join(", ")));
                parts.push(match verdict {
                    Verdict::Refused => report::answer::how_refused(alike[0]),
                    _ => format!("{} of {}", sum(|p| p.delivered), sum(|p| p.packets)),
                });
                lines.push(report::unglued(&parts.join("  ")));
            }
        }
        lines
    }
}

fn stretches(lost_at: &[LostAt]) -> Vec<[&str; 2]> {
    lost_at
        .iter()
        .map(|lost| [lost.from.as_str(), &lost.to])
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::report::tests::router_drops_some;

    #[test]
    fn numbers_that_change_alike_share_a_line_and_what_stays_is_not_repeated() {
        let mut changes = Changes::default();
        let mut look = Look {
            elapsed: Duration::ZERO,
            findings: router_drops_some(),
            packets: Vec::new(),
        };
        let judged = look.findings.clone();
        for protocol in &mut look.findings.directions[0].protocols {
            protocol.verdict = Verdict::Inconclusive;
        }
        let at_ns = 1_772_359_099_692_000_000;
        assert_eq!(changes.since_last(&look, at_ns), [""; 0]);
        look.findings = judged;
        insta::assert_snapshot!(changes.since_last(&look, at_ns).join("\n"));
        assert_eq!(changes.since_last(&look, at_ns), [""; 0]);
        look.findings.directions[0].protocols[251].verdict = Verdict::Inconclusive;
        assert_eq!(
            changes.since_last(&look, at_ns),
            ["09:58:19.692  250  inconclusive  3 of 3"]
        );
    }
}
