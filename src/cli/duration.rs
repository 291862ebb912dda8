//! Durations as people write them: `250ms`, `51s`, `1d`.

use std::time::Duration;

/// Reads a whole number and its unit: ns, us, ms, s, m, h or d.
///
/// A bare number is refused, because the next reader of a script cannot know its unit.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let not_a_duration =
        || format!("'{text}' is not a duration; write a number and a unit like 250ms, 51s, 1d");
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit())
        .ok_or_else(not_a_duration)?;
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().map_err(|_| not_a_duration())?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
    match unit {
        "ns" => Some(Duration::from_nanos(number)),
        "us" => Some(Duration::from_micros(number)),
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(60 * 60),
        "d" => seconds(24 * 60 * 60),
        _ => None,
    }
    .ok_or_else(not_a_duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit() {
        for (text, duration) in [
            ("7ns", Duration::from_nanos(7)),
            ("20us", Duration::from_micros(20)),
            ("250ms", Duration::from_millis(250)),
            ("0s", Duration::ZERO),
            ("51s", Duration::from_secs(51)),
            ("10m", Duration::from_secs(600)),
            ("2h", Duration::from_secs(7_200)),
            ("1d", Duration::from_secs(86_400)),
        ] {
            assert_eq!(parse(text), Ok(duration), "{text}");
        }
    }

    #[test]
    fn all_else_is_refused_with_an_example() {
        for wrong in [
            "",
            "5",
            "ms",
            "-1s",
            "1.5s",
            "1 s",
            "1sec",
            "1µs",
            "99999999999999999999s",
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(
                error.starts_with(&format!("'{wrong}' is not a duration")),
                "{error}"
            );
        }
        // Fits as a number, but not in seconds.
        assert!(parse("18446744073709551615d").is_err());
    }
}
