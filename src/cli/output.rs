//! Where results go: standard output, or the file of `-o`, opened before any work is done.

use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal as _, Write},
    path::Path,
};

use anyhow::Context;

/// An open output, buffered. Its errors say what could not be written.
pub(super) struct Output {
    name: String,
    writer: BufWriter<Box<dyn Write>>,
    is_terminal: bool,
}

/// Opens the file, or standard output where there is none.
pub(super) fn open(file: Option<&Path>) -> anyhow::Result<Output> {
    let name = file.map_or_else(
        || "standard output".to_owned(),
        |file| file.display().to_string(),
    );
    let (writer, is_terminal): (Box<dyn Write>, _) = if let Some(file) = file {
        let file = create_unbuffered(file)?;
        let is_terminal = file.is_terminal();
        (Box::new(file), is_terminal)
    } else {
        let stdout = io::stdout();
        let is_terminal = stdout.is_terminal();
        (Box::new(stdout), is_terminal)
    };
    Ok(Output {
        name,
        writer: BufWriter::new(writer),
        is_terminal,
    })
}

/// Creates a file for writing.
pub(super) fn create(file: &Path) -> anyhow::Result<BufWriter<File>> {
    Ok(BufWriter::new(create_unbuffered(file)?))
}

fn create_unbuffered(file: &Path) -> anyhow::Result<File> {
    File::create(file).with_context(|| format!("{}: cannot write", file.display()))
}

impl Output {
    /// Whether a person watches the results appear.
    pub(super) fn is_terminal(&self) -> bool {
        self.is_terminal
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer
            .write(bytes)
            .map_err(|error| cannot_write(&self.name, &error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer
            .flush()
            .map_err(|error| cannot_write(&self.name, &error))
    }
}

/// The same error with a name. It keeps its kind, by which a closed pipe is known.
fn cannot_write(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{name}: cannot write: {error}"))
}
