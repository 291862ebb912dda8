//! Words for a POSIX shell: what a reader is told to type must come through as it is.

use std::fmt::Write as _;

use crate::printable::is_obeyed;

/// The word, in quotes where the shell would take it for something else.
#[must_use]
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:,@%=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else if word.contains(is_obeyed) {
        // Quotes of POSIX 2024 and of every shell in use, for what a terminal would obey.
        let mut quoted = "$'".to_owned();
        for c in word.chars() {
            match c {
                '\'' | '\\' => quoted.extend(['\\', c]),
                c if is_obeyed(c) => {
                    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                        let _ = write!(quoted, "\\x{byte:02x}");
                    }
                }
                c => quoted.push(c),
            }
        }
        quoted + "'"
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_through_a_shell_as_they_are() {
        for (word, shown) in [
            ("a/b-1.pcap", "a/b-1.pcap"),
            ("data centre.pcap", "'data centre.pcap'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            ("$(x)", "'$(x)'"),
            ("it's\u{1b}[m\\", r"$'it\'s\x1b[m\\'"),
            ("\u{202e}", r"$'\xe2\x80\xae'"),
        ] {
            assert_eq!(quoted(word), shown);
        }
    }
}
