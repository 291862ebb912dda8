//! What the terminal shows: how wide it is, and whether only ASCII.

use std::{
    env,
    io::{self, IsTerminal as _},
};

/// Columns where nothing says how many there are.
const WIDTH: usize = 100;

/// What no terminal is narrower or wider than; `COLUMNS` beyond is a mistake.
const SANE: std::ops::RangeInclusive<usize> = 20..=10_000;

/// Columns to fill: those of `COLUMNS` where it is set, else the terminal's on standard output, else
/// 100.
pub(super) fn width() -> usize {
    let said = env::var("COLUMNS").ok();
    let said = said.and_then(|columns| columns.trim().parse().ok());
    let seen = || {
        let size = io::stdout()
            .is_terminal()
            .then(terminal_size::terminal_size);
        size.flatten().map(|(width, _)| usize::from(width.0))
    };
    said.filter(|width| SANE.contains(width))
        .or_else(seen)
        .unwrap_or(WIDTH)
}

/// Whether the locale has no characters beyond ASCII: by `LC_ALL`, else `LC_CTYPE`, else `LANG`, the
/// first that is set and not empty (POSIX, section 8.2). Where none is, nothing speaks against UTF-8.
pub(super) fn is_ascii() -> bool {
    let set = |name: &&str| env::var(name).is_ok_and(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find(set);
    let locale = locale.and_then(|name| env::var(name).ok());
    locale.is_some_and(|locale| {
        let locale = locale.to_lowercase();
        !(locale.contains("utf-8") || locale.contains("utf8"))
    })
}
