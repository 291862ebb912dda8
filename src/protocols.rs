//! Protocol numbers: lists as people write them, IANA's names, and what HDP rides on.

mod iana;

use std::{collections::BTreeSet, fmt::Write as _, str::FromStr};

use serde::{Deserialize, Serialize};

pub use iana::{keyword, name};

/// What HDP rode on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carrier {
    /// Straight on IP.
    Ip,
    /// Inside a valid UDP datagram: the control.
    Udp,
}

impl Carrier {
    /// As JSON names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Udp => "udp",
        }
    }
}

/// A set of protocol numbers as the user requests them, rising.
///
/// Written `6,17,ESP,250-255` or `all` (0-255); a number may be written as IANA's keyword. Requests go beyond 255 because systems accept some
/// (Linux sends 256 as protocol 0); see [`List::on_the_wire`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List(BTreeSet<u16>);

/// The largest number that can be requested; Linux refuses all above 262 anyway.
pub const MAX_REQUEST: u16 = 511;

impl List {
    /// The requested numbers, rising.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().copied()
    }

    /// Whether the list requests this number.
    #[must_use]
    pub fn contains(&self, requested: u16) -> bool {
        self.0.contains(&requested)
    }

    /// Whether a packet with this number on the wire can come from a request in the list: systems
    /// put the low 8 bits of a request there.
    #[must_use]
    pub fn on_the_wire(&self, protocol: u8) -> bool {
        self.0
            .iter()
            .any(|requested| requested.to_le_bytes()[0] == protocol)
    }
}

impl FromIterator<u16> for List {
    fn from_iter<I: IntoIterator<Item = u16>>(requests: I) -> Self {
        Self(requests.into_iter().collect())
    }
}

impl FromStr for List {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self((0..=255).collect()));
        }
        let mut numbers = BTreeSet::new();
        for part in text.split(',') {
            // Keywords have hyphens too.
            let (first, last) = match (iana::number(part.trim()), part.split_once('-')) {
                (None, Some((first, last))) => (number(first)?, number(last)?),
                _ => (number(part)?, number(part)?),
            };
            if first > last {
                return Err(format!("the range {part} runs backwards"));
            }
            numbers.extend(first..=last);
        }
        Ok(Self(numbers))
    }
}

/// A list of numbers that packets carry: 255 is the largest.
///
/// # Errors
/// Where it is no list, or holds a larger number.
pub fn on_the_wire(text: &str) -> Result<List, String> {
    let list: List = text.parse()?;
    if let Some(number) = list.iter().find(|number| *number > 255) {
        return Err(format!(
            "{number} is no protocol number: packets carry 0 to 255"
        ));
    }
    Ok(list)
}

fn number(text: &str) -> Result<u16, String> {
    if let Some(number) = iana::number(text.trim()) {
        return Ok(number.into());
    }
    match text.trim().parse() {
        Ok(number) if number <= MAX_REQUEST => Ok(number),
        Ok(number) => Err(format!(
            "{number} is above {MAX_REQUEST}, the largest number that can be requested"
        )),
        Err(_) => Err(format!(
            "'{text}' is not a protocol number; write a list like 6,17,ESP,250-255"
        )),
    }
}

/// Writes rising numbers with runs of three and more folded: `50, 51, 100-131`.
#[must_use]
pub fn fold(numbers: &[u16]) -> String {
    let mut text = String::new();
    for run in numbers.chunk_by(|a, b| a + 1 == *b) {
        let separate = if run.len() < 3 { run } else { &run[..1] };
        for number in separate {
            let comma = if text.is_empty() { "" } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(text, "{comma}{number}");
        }
        if let [_, _, .., last] = run {
            let _ = write!(text, "-{last}");
        }
    }
    text
}

/// Beyond so many items a list is read as a shape, and keywords would only blur it.
const FEW: usize = 8;

/// Like [`fold`], with IANA's keywords beside the numbers where the list is short:
/// `50 ESP, 51 AH, 100-131`.
#[must_use]
pub fn fold_with_keywords(numbers: &[u16]) -> String {
    let folded = fold(numbers);
    let items: Vec<_> = folded.split(", ").collect();
    if items.len() > FEW {
        return folded;
    }
    let with_keyword = |item: &&str| match item.parse().ok().and_then(keyword) {
        Some(keyword) => format!("{item} {keyword}"),
        None => (*item).to_owned(),
    };
    items
        .iter()
        .map(with_keyword)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_as_people_write_them() {
        let list: List = "6,17,250-255".parse().unwrap();
        assert_eq!(
            list.iter().collect::<Vec<_>>(),
            [6, 17, 250, 251, 252, 253, 254, 255]
        );
        assert_eq!("all".parse::<List>().unwrap().iter().count(), 256);
        assert_eq!("0-256".parse::<List>().unwrap().iter().count(), 257);
        for wrong in ["", "x", "-1", "5-", "9-3", "512", "1,,2"] {
            assert!(wrong.parse::<List>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_request_of_256_is_protocol_0_on_the_wire() {
        let list: List = "256".parse().unwrap();
        assert!(list.on_the_wire(0));
        assert!(!list.on_the_wire(1));
    }

    #[test]
    fn runs_fold_from_three_on() {
        assert_eq!(fold(&[50, 51, 100, 101, 102, 255]), "50, 51, 100-102, 255");
        assert_eq!(fold(&[7]), "7");
        assert_eq!(fold(&[]), "");
    }

    #[test]
    fn short_lists_carry_keywords() {
        assert_eq!(
            fold_with_keywords(&[50, 51, 61, 100, 101, 102, 255, 263]),
            "50 ESP, 51 AH, 61, 100-102, 255 Reserved, 263"
        );
        assert_eq!(
            fold_with_keywords(&[1, 3, 5, 7, 9, 11, 13, 15, 17]),
            "1, 3, 5, 7, 9, 11, 13, 15, 17"
        );
        assert_eq!(fold_with_keywords(&[]), "");
    }
}
