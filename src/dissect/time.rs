//! Times and spans in words. All times are UTC: a capture is read far from where it was made.

use std::fmt;

use jiff::{Timestamp, tz::TimeZone};

const NS_PER_SECOND: u64 = 1_000_000_000;

/// A date and time to the nanosecond, `2026-11-22T09:58:19.692100000Z`.
pub(super) fn date(time_ns: impl Into<i128>) -> String {
    format!("{:.9}", timestamp(time_ns.into()))
}

/// A time of day with as many digits as the capture's resolution has, `09:58:19.692123`. A time
/// that says more than the resolution claims is shown whole.
pub(super) fn time_of_day(time_ns: i64, resolution_ns: u64) -> String {
    let unit_ns = |digits: u32| 10_u64.pow(9 - digits);
    let digits = (0..9)
        .find(|&digits| unit_ns(digits) <= resolution_ns)
        .filter(|&digits| time_ns.unsigned_abs().is_multiple_of(unit_ns(digits)))
        .unwrap_or(9);
    let time = TimeZone::UTC.to_datetime(timestamp(time_ns.into())).time();
    format!("{time:.digits$}", digits = digits as usize)
}

/// Any number of nanoseconds that fits 64 bits, signed or not, lies between the years 1677 and
/// 2554, and jiff's calendar reaches from -9999 to 9999.
fn timestamp(time_ns: i128) -> Timestamp {
    Timestamp::from_nanosecond(time_ns).unwrap_or_default()
}

/// A signed span with a unit that suits it and three digits that count: `+23.5 µs`, `-1.02 s`.
pub(super) struct Span(pub(super) i64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        let ns = self.0.unsigned_abs();
        // Three digits, but never less than whole seconds.
        let insignificant = ns.checked_ilog10().unwrap_or(0).saturating_sub(2);
        let step_ns = 10_u64.pow(insignificant).min(NS_PER_SECOND);
        let ns = (ns + step_ns / 2) / step_ns * step_ns;
        let (unit_ns, unit) = match ns {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            1_000_000..NS_PER_SECOND => (1_000_000, "ms"),
            _ => (NS_PER_SECOND, "s"),
        };
        let (whole, fraction) = (ns / unit_ns, ns % unit_ns);
        if fraction == 0 {
            return write!(f, "{sign}{whole} {unit}");
        }
        let fraction = format!("{fraction:0width$}", width = unit_ns.ilog10() as usize);
        let fraction = fraction.trim_end_matches('0');
        write!(f, "{sign}{whole}.{fraction} {unit}")
    }
}

/// A signed span in seconds to the nanosecond: `+0.000023456 s`.
pub(super) struct ExactSpan(pub(super) i64);

impl fmt::Display for ExactSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        let ns = self.0.unsigned_abs();
        let (seconds, fraction) = (ns / NS_PER_SECOND, ns % NS_PER_SECOND);
        write!(f, "{sign}{seconds}.{fraction:09} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_keep_three_digits_and_their_sign() {
        for (ns, text) in [
            (0, "+0 ns"),
            (-400, "-400 ns"),
            (1_000, "+1 µs"),
            (23_456, "+23.5 µs"),
            (999_499, "+999 µs"),
            (999_999, "+1 ms"),
            (1_050_000, "+1.05 ms"),
            (-1_020_000_000, "-1.02 s"),
            (1_234_567_890_123, "+1235 s"),
            (i64::MIN, "-9223372037 s"),
        ] {
            assert_eq!(Span(ns).to_string(), text);
        }
    }

    #[test]
    fn exact_spans_are_exact() {
        assert_eq!(ExactSpan(23_456).to_string(), "+0.000023456 s");
        assert_eq!(ExactSpan(-1_500_000_000).to_string(), "-1.500000000 s");
        assert_eq!(ExactSpan(i64::MIN).to_string(), "-9223372036.854775808 s");
    }

    #[test]
    fn a_time_of_day_has_the_captures_digits() {
        let time_ns = 1_795_341_499_692_123_000;
        assert_eq!(time_of_day(time_ns, 1_000), "09:58:19.692123");
        assert_eq!(time_of_day(time_ns, 1), "09:58:19.692123000");
        assert_eq!(time_of_day(time_ns + 1, 1_000), "09:58:19.692123001");
        // if_tsresol 2^-20: neither digits of its own nor a lie.
        assert_eq!(time_of_day(time_ns + 456, 953), "09:58:19.692123456");
        assert_eq!(
            time_of_day(1_795_341_499_000_000_000, 1_000_000_000),
            "09:58:19"
        );
        assert_eq!(time_of_day(-1_000, 1_000), "23:59:59.999999");
    }

    #[test]
    fn every_time_has_a_date() {
        assert_eq!(date(0_u64), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(
            date(1_795_341_499_692_123_000_u64),
            "2026-11-22T09:58:19.692123000Z"
        );
        assert_eq!(date(u64::MAX), "2554-07-21T23:34:33.709551615Z");
        assert_eq!(date(i64::MIN), "1677-09-21T00:12:43.145224192Z");
    }
}
