//! Where results go: standard output, or the file that `--output` names.

use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal as _, Write},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// An open output, buffered.
pub(super) struct Output {
    path: Option<PathBuf>,
    writer: BufWriter<Box<dyn Write>>,
    is_terminal: bool,
}

impl Output {
    /// Creates the file, or takes standard output. To be called before the work, so that hours of
    /// it do not end in a name that cannot be written.
    pub(super) fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let (inner, is_terminal): (Box<dyn Write>, bool) = match path {
            Some(path) => {
                let file = File::create(path)
                    .with_context(|| format!("{}: cannot create", path.display()))?;
                let is_terminal = file.is_terminal();
                (Box::new(file), is_terminal)
            }
            None => (Box::new(io::stdout()), io::stdout().is_terminal()),
        };
        Ok(Self {
            path: path.map(Path::to_owned),
            writer: BufWriter::new(inner),
            is_terminal,
        })
    }

    /// Whether a person watches the results appear.
    pub(super) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Lets `print` write, and says of an error where it was.
    pub(super) fn write(
        &mut self,
        print: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        print(&mut self.writer).with_context(|| self.cannot_write())
    }

    /// Hands on what is buffered.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        self.writer.flush().with_context(|| self.cannot_write())
    }

    fn cannot_write(&self) -> String {
        match &self.path {
            Some(path) => format!("{}: cannot write", path.display()),
            None => "standard output: cannot write".to_owned(),
        }
    }
}
