//! Durations as people write them: `250ms`, `51s`, `1d`.

use std::time::Duration;

/// Reads a number and its unit: ns, us, ms, s, m, h or d; without one it is seconds.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let not_a_duration =
        || format!("'{text}' is not a duration; write a number and a unit like 250ms, 51s, 1d");
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(unit_at.unwrap_or(text.len()));
    let unit_ns: u64 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" | "" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return Err(not_a_duration()),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = u32::try_from(part.len()).ok().filter(|digits| *digits < 19);
    let ns = digits.and_then(|digits| {
        let [whole, part]: [u128; 2] = [whole.parse().ok()?, part.parse().ok()?];
        let part = part * u128::from(unit_ns) / 10_u128.pow(digits);
        whole.checked_mul(unit_ns.into())?.checked_add(part)
    });
    let seconds = ns.and_then(|ns| u64::try_from(ns / 1_000_000_000).ok());
    let (seconds, ns) = seconds.zip(ns).ok_or_else(not_a_duration)?;
    let below = u32::try_from(ns % 1_000_000_000).unwrap_or_default();
    Ok(Duration::new(seconds, below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit() {
        for (text, duration) in [
            ("5", Duration::from_secs(5)),
            ("0.2", Duration::from_millis(200)),
            ("1.5ms", Duration::from_micros(1_500)),
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
            "ms",
            "-1s",
            ".5s",
            "1.s",
            "1.2.3",
            "1 s",
            "1sec",
            "1µs",
            "99999999999999999999999999999999999999999s",
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
