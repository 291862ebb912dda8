//! Bytes from a file, a FIFO or standard input, unpacked where they are packed.

use std::{
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::{self, BufRead, Read},
    os::{
        fd::AsFd as _,
        unix::fs::{FileExt as _, FileTypeExt as _, OpenOptionsExt as _},
    },
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use sha2::{Digest as _, Sha256};

use super::{Error, Origin, Until, zstd};

/// The best size measured for a warm file; more does not help, less costs system calls.
const BUFFER_LEN: usize = 256 * 1024;

pub(super) const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
pub(super) const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How soon the end of waiting for a pipe is noticed, in milliseconds.
const ATTENTION_MS: u8 = 100;

/// Opens the source and sees whether it is packed. A pipe ends early when `until` says so.
pub(super) fn open(origin: &Origin, until: Option<&Until>) -> Result<Buffer, Error> {
    let open_error = |error| Error::of_opening(origin, error);
    let mut file_read = None;
    let raw: Box<dyn Read + Send> = match origin {
        Origin::Stdin => match until {
            None => Box::new(io::stdin()),
            Some(until) => {
                let stdin = io::stdin().as_fd().try_clone_to_owned();
                Box::new(Pipe {
                    file: stdin.map_err(open_error)?.into(),
                    until: until.clone(),
                })
            }
        },
        Origin::Path(path) => {
            let mut options = OpenOptions::new();
            options.read(true);
            let is_fifo = || path.metadata().is_ok_and(|file| file.file_type().is_fifo());
            let until = until.filter(|_| is_fifo());
            if until.is_some() {
                // Otherwise opening it waits for a writer.
                options.custom_flags(OFlag::O_NONBLOCK.bits());
            }
            let file = options.open(path).map_err(open_error)?;
            let metadata = file.metadata().map_err(open_error)?;
            if metadata.is_dir() {
                return Err(Error::Directory {
                    origin: origin.clone(),
                });
            }
            if metadata.is_file() {
                let counted = Counted {
                    file,
                    progress: Progress {
                        read: Arc::default(),
                        len: metadata.len(),
                    },
                    digest: None,
                };
                let counted = file_read.insert(Arc::new(Mutex::new(counted)));
                Box::new(SharedFile(Arc::clone(counted)))
            } else if let Some(until) = until {
                let until = until.clone();
                Box::new(Pipe { file, until })
            } else {
                Box::new(file)
            }
        }
        // No input; where there is libpcap, nobody asks for it here.
        Origin::Live(_) => {
            return Err(Error::NoLibpcap {
                origin: origin.clone(),
            });
        }
    };
    let read_error = |error| Error::Read {
        origin: origin.clone(),
        error,
    };
    let mut buffer = Buffer::new(raw);
    buffer.fill(ZSTD_MAGIC.len()).map_err(read_error)?;
    if buffer.view().starts_with(&GZIP_MAGIC) {
        buffer = Buffer::new(Box::new(flate2::read::MultiGzDecoder::new(buffer)));
    } else if buffer.view().starts_with(&ZSTD_MAGIC) {
        buffer = Buffer::new(Box::new(zstd::Frames::new(buffer)));
    }
    buffer.file = file_read;
    Ok(buffer)
}

/// How far a file has been read, for others to watch while that goes on.
#[derive(Debug, Clone)]
pub struct Progress {
    read: Arc<AtomicU64>,
    len: u64,
}

impl Progress {
    /// Bytes of the file read so far; of a packed file, packed ones.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes of the file when it was opened.
    #[allow(clippy::len_without_is_empty)] // No collection.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }
}

/// A pipe that ends with its writers, or when nobody wants to wait any longer.
struct Pipe {
    file: File,
    until: Until,
}

impl Read for Pipe {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !(self.until)() {
            let mut readable = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
            match poll(&mut readable, PollTimeout::from(ATTENTION_MS)) {
                Ok(0) | Err(Errno::EINTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            match self.file.read(out) {
                // Another reader of the same pipe was faster.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
        Ok(0)
    }
}

/// A file that counts what is read of it, a buffer at a time, and digests it where that is asked for.
struct Counted {
    file: File,
    progress: Progress,
    digest: Option<Sha256>,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = self.file.read(out)?;
        self.progress.read.fetch_add(len as u64, Ordering::Relaxed);
        if let Some(digest) = &mut self.digest {
            digest.update(&out[..len]);
        }
        Ok(len)
    }
}

impl Counted {
    /// Digests what has been read already, which is not much.
    fn begin_digest(&mut self) -> io::Result<Sha256> {
        let mut digest = Sha256::new();
        let mut bytes = vec![0; BUFFER_LEN];
        let (mut at, end) = (0, self.progress.read());
        while at < end {
            let len = usize::try_from(end - at).unwrap_or(BUFFER_LEN);
            let len = len.min(BUFFER_LEN);
            self.file.read_exact_at(&mut bytes[..len], at)?;
            digest.update(&bytes[..len]);
            at += len as u64;
        }
        Ok(digest)
    }

    /// Reads what nobody has read, and says how long the file is and what its digest is.
    fn identity(&mut self) -> (u64, Option<String>) {
        if self.digest.is_none() {
            return (self.progress.len, None);
        }
        let rest = io::copy(self, &mut io::sink());
        let digest = self.digest.take().filter(|_| rest.is_ok());
        let sha256 = digest.map(|digest| {
            let bytes = digest.finalize();
            bytes.iter().fold(String::new(), |mut text, byte| {
                // Writing to a String cannot fail.
                let _ = write!(text, "{byte:02x}");
                text
            })
        });
        (self.progress.read(), sha256)
    }
}

/// The same file, for the buffer to read and for others to ask.
struct SharedFile(Arc<Mutex<Counted>>);

impl Read for SharedFile {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        locked(&self.0).read(out)
    }
}

fn locked(file: &Mutex<Counted>) -> MutexGuard<'_, Counted> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A window over the input: what was read and not yet consumed.
pub(super) struct Buffer {
    input: Box<dyn Read + Send>,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes of the input before those in memory.
    before: u64,
    /// Where the bytes come from, if that is a file.
    file: Option<Arc<Mutex<Counted>>>,
}

impl Buffer {
    fn new(input: Box<dyn Read + Send>) -> Self {
        Self {
            input,
            bytes: vec![0; BUFFER_LEN],
            start: 0,
            end: 0,
            before: 0,
            file: None,
        }
    }

    /// Has no input; is given all its bytes by [`Buffer::hold`].
    #[cfg(feature = "libpcap")]
    pub(super) fn without_input() -> Self {
        Self {
            bytes: Vec::new(),
            ..Self::new(Box::new(io::empty()))
        }
    }

    /// Takes these bytes for the view, and gives its old memory for them.
    #[cfg(feature = "libpcap")]
    pub(super) fn hold(&mut self, bytes: &mut Vec<u8>) {
        std::mem::swap(&mut self.bytes, bytes);
        self.before += self.start as u64;
        self.start = 0;
        self.end = self.bytes.len();
    }

    /// How far the file has been read, if it is one.
    pub(super) fn progress(&self) -> Option<Progress> {
        let file = self.file.as_deref();
        file.map(|file| locked(file).progress.clone())
    }

    /// Begins to digest the file, if it is one.
    pub(super) fn digest(&mut self) {
        if let Some(file) = self.file.as_deref() {
            let mut file = locked(file);
            // Without what was read there is no digest; whoever reads on is told why.
            file.digest = file.begin_digest().ok();
        }
    }

    /// The file's length and, if it was asked for in time, its SHA-256 in hexadecimal.
    pub(super) fn identity(&mut self) -> (Option<u64>, Option<String>) {
        let Some(file) = self.file.as_deref() else {
            return (None, None);
        };
        let (bytes, sha256) = locked(file).identity();
        (Some(bytes), sha256)
    }

    /// What can be looked at now.
    #[inline]
    pub(super) fn view(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Position of the view's first byte in the (unpacked) input.
    pub(super) fn position(&self) -> u64 {
        self.before + self.start as u64
    }

    /// Forgets the first `len` bytes of the view.
    #[inline]
    pub(super) fn consume(&mut self, len: usize) {
        debug_assert!(len <= self.end - self.start);
        self.start += len;
    }

    /// Reads on until the view holds `len` bytes; `false` when the input ends before that.
    #[inline]
    pub(super) fn fill(&mut self, len: usize) -> io::Result<bool> {
        if self.end - self.start >= len {
            return Ok(true);
        }
        self.read_on(len)
    }

    #[cold]
    fn read_on(&mut self, len: usize) -> io::Result<bool> {
        self.bytes.copy_within(self.start..self.end, 0);
        self.before += self.start as u64;
        self.end -= self.start;
        self.start = 0;
        while self.end < len {
            if self.end == self.bytes.len() {
                // Not at once to `len`, which may be what damage claims.
                self.bytes.resize(2 * self.bytes.len(), 0);
            }
            match self.input.read(&mut self.bytes[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// [`Buffer::fill`] in a reader's words: whether `len` bytes of `what` are there, or why not.
    #[inline]
    pub(super) fn need(&mut self, len: usize, what: &str) -> Result<(), String> {
        if self.end - self.start >= len {
            return Ok(());
        }
        self.need_more(len, what)
    }

    #[cold]
    fn need_more(&mut self, len: usize, what: &str) -> Result<(), String> {
        match self.read_on(len) {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!(
                "cut off at byte {}: {what} needs {len} bytes, {} are there",
                self.position(),
                self.view().len()
            )),
            Err(error) => Err(self.cannot_read_on(&error)),
        }
    }

    /// Whether the input is at its end, or why that cannot be told.
    #[inline]
    pub(super) fn at_end(&mut self) -> Result<bool, String> {
        self.has(1).map(|more| !more)
    }

    /// Whether the input holds so many bytes more, which are in view then, or why that cannot be told.
    #[inline]
    pub(super) fn has(&mut self, len: usize) -> Result<bool, String> {
        self.fill(len).map_err(|error| self.cannot_read_on(&error))
    }

    #[cold]
    fn cannot_read_on(&self, error: &io::Error) -> String {
        format!("cannot read on at byte {}: {error}", self.position())
    }
}

impl Read for Buffer {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end {
            return self.input.read(out);
        }
        let len = out.len().min(self.end - self.start);
        out[..len].copy_from_slice(&self.view()[..len]);
        self.consume(len);
        Ok(len)
    }
}

impl BufRead for Buffer {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.fill(1)?;
        Ok(self.view())
    }

    fn consume(&mut self, len: usize) {
        self.consume(len);
    }
}

/// The first bytes of something that is no capture, for an error message.
pub(super) fn readable_start(buffer: &mut Buffer) -> String {
    // What could not be read does not matter here: the message shows what could.
    let _ = buffer.fill(16);
    let start = &buffer.view()[..buffer.view().len().min(16)];
    if start
        .iter()
        .all(|b| (b' '..=b'~').contains(b) || b.is_ascii_whitespace())
    {
        format!("the text {:?}", String::from_utf8_lossy(start))
    } else {
        let hex: Vec<String> = start.iter().take(8).map(|b| format!("{b:02x}")).collect();
        format!("the bytes {}", hex.join(" "))
    }
}
