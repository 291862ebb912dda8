//! Times as reports print them, taken as the stretch of time that their digits leave open.

use std::str::FromStr;

use jiff::civil::Date;

const SECOND_NS: i64 = 1_000_000_000;
const DAY_NS: i64 = 86_400 * SECOND_NS;

/// A printed time: `11:48:27.945`, with or without a day, or seconds since the epoch as tcpdump -tt has
/// them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    text: String,
    /// Nanoseconds since the epoch, or since midnight where no day is given.
    from_ns: i64,
    /// The last digit's worth.
    digit_ns: i64,
    is_of_any_day: bool,
}

impl Moment {
    /// How far a time since the epoch lies outside of it, in nanoseconds; 0 within.
    pub(super) fn distance_ns(&self, time_ns: i64) -> u64 {
        let time_ns = if self.is_of_any_day {
            time_ns.rem_euclid(DAY_NS)
        } else {
            time_ns
        };
        let end_ns = self.from_ns.saturating_add(self.digit_ns - 1);
        if time_ns < self.from_ns {
            self.from_ns.abs_diff(time_ns)
        } else {
            time_ns.saturating_sub(end_ns).max(0).unsigned_abs()
        }
    }

    /// The text as it was typed.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Moment {
    /// It is no time.
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let bare = text
            .trim()
            .trim_end_matches("UTC")
            .trim_end_matches('Z')
            .trim_end();
        let (day, time) = match bare.split_once(['T', ' ']) {
            Some((day, time)) => (Some(day), time.trim()),
            None => (None, bare),
        };
        let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
        let digits = u32::try_from(fraction.len()).map_err(|_| ())?;
        if digits > 9 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(());
        }
        let digit_ns = 10_i64.pow(9 - digits);
        let fraction_ns = fraction.parse().unwrap_or(0_i64) * digit_ns;
        let is_clock = seconds.contains(':');
        // A whole number is a timestamp.
        if !is_clock && (day.is_some() || fraction.is_empty()) {
            return Err(());
        }
        let seconds = if is_clock {
            since_midnight(seconds)
        } else {
            seconds.parse().ok()
        };
        let seconds: i64 = seconds.ok_or(())?;
        let midnight_ns = match day {
            Some(day) => midnight_ns(day).ok_or(())?,
            None => 0,
        };
        let from_ns = seconds.checked_mul(SECOND_NS).ok_or(())?;
        let from_ns = from_ns
            .checked_add(fraction_ns)
            .and_then(|ns| ns.checked_add(midnight_ns));
        Ok(Self {
            text: text.to_owned(),
            from_ns: from_ns.ok_or(())?,
            digit_ns,
            is_of_any_day: is_clock && day.is_none(),
        })
    }
}

/// Seconds of `11:48:27`.
fn since_midnight(text: &str) -> Option<i64> {
    let parts: Vec<&str> = text.split(':').collect();
    let [hours, minutes, seconds] = parts.try_into().ok()?;
    let number = |text: &str, below: i64| {
        let is_plain = text.len() == 2 && text.bytes().all(|digit| digit.is_ascii_digit());
        let number: i64 = text.parse().ok().filter(|_| is_plain)?;
        (number < below).then_some(number)
    };
    Some(number(hours, 24)? * 3600 + number(minutes, 60)? * 60 + number(seconds, 61)?)
}

fn midnight_ns(day: &str) -> Option<i64> {
    let date: Date = day.parse().ok()?;
    let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    i64::try_from(midnight.timestamp().as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22 11:48:27.945450927 UTC.
    const TIME_NS: i64 = 1_795_348_107_945_450_927;

    #[test]
    fn every_printed_time_holds_what_it_was_printed_from() {
        for text in [
            "11:48:27.945",
            "11:48:27.945450",
            "11:48:27.945450927",
            "11:48:27",
            "2026-11-22 11:48:27.945450927",
            "2026-11-22 11:48:27.945450927 UTC",
            "2026-11-22T11:48:27.945450927Z",
            "2026-11-22 11:48:27.945",
            "1795348107.945450927",
            "1795348107.945450",
        ] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!(moment.distance_ns(TIME_NS), 0, "{text}");
            assert!(moment.distance_ns(TIME_NS - SECOND_NS) > 0, "{text}");
            assert!(moment.distance_ns(TIME_NS + SECOND_NS) > 0, "{text}");
        }
        let rounded: Moment = "11:48:27.945451".parse().unwrap();
        assert_eq!(rounded.distance_ns(TIME_NS), 73);
    }

    #[test]
    fn nothing_else_is_a_time() {
        for text in [
            "",
            "1795348107945450927",
            "client:17",
            "25:00:00",
            "1:2:3",
            "11:48",
            "2026-13-01 00:00:00",
            "12:00:00.x",
        ] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}
