//! How a file is packed, told from its first bytes.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use super::input::{GZIP_MAGIC, ZSTD_MAGIC};

/// How a file is packed: other programs than this one need to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// gzip (RFC 1952).
    Gzip,
    /// zstd (RFC 8878).
    Zstd,
}

impl Packing {
    /// Looks at a file's first bytes.
    ///
    /// # Errors
    /// Those of opening and reading it.
    pub fn of(file: &Path) -> io::Result<Self> {
        let mut start = Vec::new();
        let magic_len = ZSTD_MAGIC.len() as u64;
        File::open(file)?.take(magic_len).read_to_end(&mut start)?;
        Ok(if start.starts_with(&GZIP_MAGIC) {
            Self::Gzip
        } else if start.starts_with(&ZSTD_MAGIC) {
            Self::Zstd
        } else {
            Self::Plain
        })
    }
}
