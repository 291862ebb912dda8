//! Counts, spans and times as people read them.

use jiff::Timestamp;

use super::GLUE;

/// A count with its noun: `1 packet`, `1,200 packets`.
pub(crate) fn count(n: u64, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{}{GLUE}{noun}{plural}", grouped(n))
}

/// A count with its digits in groups of three: `1,200`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let groups: Vec<_> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(String::from_utf8_lossy)
        .collect();
    groups.join(",")
}

/// A span in the unit that suits it, with three digits: `23 µs`, `1.24 ms`, `68.8 s`, `2 h 5 min`.
///
/// Negative spans do not exist; they read as none at all.
pub(crate) fn span(nanoseconds: i64) -> String {
    const SECOND: u64 = 1_000_000_000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;

    let ns = u64::try_from(nanoseconds).unwrap_or(0);
    let two_units = |large: u64, small: u64, names: [&str; 2]| {
        let (whole, rest) = (ns / large, ns % large / small);
        if rest == 0 {
            format!("{whole}{GLUE}{}", names[0])
        } else {
            format!("{whole}{GLUE}{}{GLUE}{rest}{GLUE}{}", names[0], names[1])
        }
    };
    match ns {
        DAY.. => two_units(DAY, HOUR, ["d", "h"]),
        HOUR.. => two_units(HOUR, MINUTE, ["h", "min"]),
        _ if ns >= 100 * SECOND => two_units(MINUTE, SECOND, ["min", "s"]),
        _ => three_digits(ns),
    }
}

/// Below 100 s: one unit and three digits, no zeros behind the point.
fn three_digits(ns: u64) -> String {
    let mut rounded = ns;
    let mut step = 1;
    while rounded >= 1000 {
        // Always from the original, so that nothing is rounded twice.
        step *= 10;
        rounded = (ns + step / 2) / step;
    }
    let ns = rounded * step;
    let (unit, name) = match ns {
        1_000_000_000.. => (1_000_000_000_u64, "s"),
        1_000_000.. => (1_000_000, "ms"),
        1_000.. => (1_000, "µs"),
        _ => (1, "ns"),
    };
    format!("{}{GLUE}{name}", ns as f64 / unit as f64)
}

/// The time of day in UTC, in milliseconds: `09:58:19.692`.
pub(crate) fn time_of_day(epoch_ns: i64) -> String {
    calendar(epoch_ns, "%T%.3f")
}

/// The time of day in UTC, in microseconds or, where that is not all, in nanoseconds.
pub(crate) fn exact_time_of_day(epoch_ns: i64) -> String {
    let format = if epoch_ns % 1_000 == 0 {
        "%T%.6f"
    } else {
        "%T%.9f"
    };
    calendar(epoch_ns, format)
}

/// The day in UTC: `2026-03-01`.
pub(crate) fn day(epoch_ns: i64) -> String {
    calendar(epoch_ns, "%F")
}

fn calendar(epoch_ns: i64, format: &str) -> String {
    // The years 1677 to 2262 of an i64 lie well within those of the calendar.
    Timestamp::from_nanosecond(epoch_ns.into())
        .map(|time| time.strftime(format).to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::unglued;

    #[test]
    fn spans_read_as_people_write_them() {
        for (ns, text) in [
            (0, "0 ns"),
            (-5, "0 ns"),
            (999, "999 ns"),
            (23_000, "23 µs"),
            (23_456, "23.5 µs"),
            (999_499, "999 µs"),
            (999_500, "1 ms"),
            (1_240_000, "1.24 ms"),
            (68_763_000_000, "68.8 s"),
            (99_999_000_000, "100 s"),
            (100_000_000_000, "1 min 40 s"),
            (180_000_000_000, "3 min"),
            (7_500_000_000_000, "2 h 5 min"),
            (90_000_000_000_000, "1 d 1 h"),
        ] {
            assert_eq!(unglued(&span(ns)), text);
        }
    }

    #[test]
    fn counts_carry_their_noun_and_group_their_digits() {
        assert_eq!(unglued(&count(0, "packet")), "0 packets");
        assert_eq!(unglued(&count(1, "packet")), "1 packet");
        assert_eq!(unglued(&count(1200, "packet")), "1,200 packets");
        assert_eq!(grouped(1_000_000), "1,000,000");
        assert_eq!(grouped(999), "999");
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(day(1_772_359_099_692_345_678), "2026-03-01");
        assert_eq!(time_of_day(1_772_359_099_692_345_678), "09:58:19.692");
        let exact = exact_time_of_day;
        assert_eq!(exact(1_772_359_099_692_345_678), "09:58:19.692345678");
        assert_eq!(exact(1_772_359_099_692_340_000), "09:58:19.692340");
        assert_eq!(day(i64::MIN), "1677-09-21");
        assert_eq!(day(i64::MAX), "2262-04-11");
    }
}
