//! Where results go: standard output, or the file of `-o`, opened before any work is done.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use anyhow::Context;

/// Opens the file, or standard output where there is none.
pub(super) fn open(file: Option<&Path>) -> anyhow::Result<Box<dyn Write>> {
    Ok(match file {
        Some(file) => Box::new(create(file)?),
        None => Box::new(BufWriter::new(io::stdout())),
    })
}

/// Creates a file for writing.
pub(super) fn create(file: &Path) -> anyhow::Result<BufWriter<File>> {
    let created =
        File::create(file).with_context(|| format!("{}: cannot write", file.display()))?;
    Ok(BufWriter::new(created))
}
