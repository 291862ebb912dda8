//! Text from captures, logs and names: what a terminal would obey is shown instead.
//!
//! Whatever comes from outside as text goes through here once, where it is read. Control characters
//! could set colours and titles or forge a line, directional ones turn a line round, and none has a
//! place in a name or a comment (Unicode 15, categories Cc and Cf).

use std::{borrow::Cow, fmt::Write};

use serde_json::Value;

/// The text with each such character written out: `\x1b`, `\u{202e}`.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        let _ = match c {
            '\t' | '\n' | '\r' => write!(shown, "{}", c.escape_default()),
            c if !is_obeyed(c) => {
                shown.push(c);
                Ok(())
            }
            c if c.is_ascii() => write!(shown, "\\x{:02x}", u32::from(c)),
            c => write!(shown, "\\u{{{:x}}}", u32::from(c)),
        };
    }
    Cow::Owned(shown)
}

/// Bytes that should be UTF-8, without the zeros that fill a field up.
pub(crate) fn printable_bytes(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    printable(text.trim_end_matches('\0')).into_owned()
}

/// All texts in what was read as JSON, members' names too.
pub(crate) fn printable_json(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(printable(&text).into_owned()),
        Value::Array(values) => values.into_iter().map(printable_json).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (printable(&name).into_owned(), printable_json(value)))
            .collect(),
        other => other,
    }
}

/// Whether a terminal would do something else than show it.
pub(crate) fn is_obeyed(c: char) -> bool {
    // Zero width, line and paragraph separators, embeddings, overrides and isolates.
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown() {
        for (text, shown) in [
            ("eth0", "eth0"),
            ("größe 寸 →", "größe 寸 →"),
            ("\u{1b}]0;title\u{7}", r"\x1b]0;title\x07"),
            ("a\nb\tc\r", r"a\nb\tc\r"),
            ("\u{9b}31m", r"\u{9b}31m"),
            ("\u{202e}exe.pcap", r"\u{202e}exe.pcap"),
            ("\u{7f}", r"\x7f"),
        ] {
            assert_eq!(printable(text), shown);
        }
        assert_eq!(printable_bytes(b"eth0\0\0"), "eth0");
        assert_eq!(printable_bytes(b"\xff\x1b"), "\u{fffd}\\x1b");
    }

    #[test]
    fn so_it_is_in_json() {
        let value = serde_json::json!({"\u{1b}": ["\u{1b}", 1, {"a": "b"}]});
        let shown = serde_json::json!({r"\x1b": [r"\x1b", 1, {"a": "b"}]});
        assert_eq!(printable_json(value), shown);
    }
}
