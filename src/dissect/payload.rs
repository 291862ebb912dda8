//! What a payload seems to be: HDP itself does not say.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;

/// Shorter than this, many a word of a language is base64 too.
const MIN_BASE64_LEN: usize = 8;

/// What a payload seems to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content<'a> {
    /// No byte of a payload is there.
    Empty,
    /// UTF-8 without control characters other than white space.
    Text(&'a str),
    /// Text that may well be base64, for it decodes to text.
    Base64 {
        /// As it stands in the packet.
        text: &'a str,
        /// What it decodes to.
        decoded: String,
    },
    /// Anything else.
    Binary(&'a [u8]),
}

/// The kinds of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// UTF-8 text.
    Text,
    /// Possibly base64.
    Base64,
    /// Neither.
    Binary,
}

impl<'a> Content<'a> {
    /// Looks at a payload. One that is not whole may end within a character, and is never called
    /// base64.
    #[must_use]
    pub fn of(payload: &'a [u8], is_whole: bool) -> Self {
        if payload.is_empty() {
            return Self::Empty;
        }
        let Some(text) = text(payload, is_whole) else {
            return Self::Binary(payload);
        };
        match decode_base64(text) {
            Some(decoded) if is_whole => Self::Base64 { text, decoded },
            _ => Self::Text(text),
        }
    }

    /// The kind; `None` where there is nothing.
    #[must_use]
    pub fn encoding(&self) -> Option<Encoding> {
        match self {
            Self::Empty => None,
            Self::Text(_) => Some(Encoding::Text),
            Self::Base64 { .. } => Some(Encoding::Base64),
            Self::Binary(_) => Some(Encoding::Binary),
        }
    }
}

fn text(bytes: &[u8], is_whole: bool) -> Option<&str> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // The end of the bytes, not a wrong byte.
        Err(error) if !is_whole && error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let is_readable = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    (!text.is_empty() && text.chars().all(is_readable)).then_some(text)
}

/// The text behind base64, with the line ends that the `base64` command writes.
fn decode_base64(text: &str) -> Option<String> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b"\r\n".contains(b)).collect();
    if digits.len() < MIN_BASE64_LEN {
        return None;
    }
    let decoded = STANDARD.decode(digits).ok()?;
    self::text(&decoded, true)?;
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoding(payload: &[u8]) -> Option<Encoding> {
        Content::of(payload, true).encoding()
    }

    #[test]
    fn base64_is_claimed_only_where_it_decodes_to_text() {
        assert_eq!(
            Content::of(b"SGVsbG8gd29ybGQh\n", true),
            Content::Base64 {
                text: "SGVsbG8gd29ybGQh\n",
                decoded: "Hello world!".to_owned(),
            }
        );
        assert_eq!(
            encoding(b"SGVsbG8g\r\nd29ybGQh\r\n"),
            Some(Encoding::Base64)
        );
        for text in [
            &b"password"[..],
            b"SGVsbG8",
            b"SGVs",
            b"SGVsbG8gd29ybG!=",
            b"aaaaaaaaaaaa",
            b"Hello world!",
        ] {
            assert_eq!(encoding(text), Some(Encoding::Text), "{text:?}");
        }
    }

    #[test]
    fn a_payload_that_is_not_whole_is_not_base64_and_may_end_within_a_character() {
        let cut = |bytes| Content::of(bytes, false).encoding();
        assert_eq!(cut(b"SGVsbG8gd29ybGQh"), Some(Encoding::Text));
        assert_eq!(cut("caf\u{e9}".as_bytes()), Some(Encoding::Text));
        assert_eq!(cut(b"caf\xc3"), Some(Encoding::Text));
        assert_eq!(cut(b"\xc3"), Some(Encoding::Binary));
        assert_eq!(encoding(b"caf\xc3"), Some(Encoding::Binary));
    }

    #[test]
    fn control_characters_are_binary_and_nothing_is_nothing() {
        assert_eq!(encoding(b"one\n\ttwo\r\n"), Some(Encoding::Text));
        assert_eq!(encoding(b"\x1b[31m"), Some(Encoding::Binary));
        assert_eq!(encoding(&[0; 12]), Some(Encoding::Binary));
        assert_eq!(encoding(b""), None);
    }
}
