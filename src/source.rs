//! Sources: captures as sequences of [`Frame`]s.
//!
//! A capture file is pcap (microseconds or nanoseconds, either byte order) or pcapng, plain or in
//! gzip or zstd, as a file, a FIFO or standard input; so is a [`Log`] of the probe. The kind is told
//! from the content, never from the name ([`Recording`]).
//!
//! The module promises constant memory (one buffer, grown only to the largest record), that every
//! frame before a cut or a damaged record is delivered, and that the reason why reading ended
//! early stands in [`Summary::warnings`]. It knows nothing of IP: what the bytes of a frame mean
//! is [`crate::decode`]'s business.

mod classic;
#[cfg(feature = "libpcap")]
mod filter;
mod input;
mod link_type;
mod log;
mod packing;
mod pcapng;

use std::{fmt, fs, io, os::unix::fs::MetadataExt as _, path::PathBuf};

#[cfg(feature = "libpcap")]
pub use filter::Filter;
pub use link_type::LinkType;
pub use log::{Line, Log};
pub use packing::Packing;

use input::Buffer;

/// One captured frame, borrowed from the source's buffer.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Position in the source, counted from 1 over all frames, as Wireshark counts.
    pub number: u64,
    /// Capture time in nanoseconds since the epoch on the capturing host's clock. `None` for a
    /// pcapng simple packet block, which carries none.
    pub time_ns: Option<i64>,
    /// How the first bytes are to be read.
    pub link_type: LinkType,
    /// Index of the capturing interface in the source, from 0 over all pcapng sections; always 0
    /// in a pcap file.
    pub interface: u32,
    /// Whether the frame came in or went out, where the capture's own record says so
    /// (`epb_flags`).
    pub direction: Option<FrameDirection>,
    /// Length on the wire in bytes; more than `bytes.len()` where the snapshot length cut it.
    pub original_len: u32,
    /// What was captured.
    pub bytes: &'a [u8],
}

/// Which way a frame crossed the capturing interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameDirection {
    /// Received by the interface.
    Inbound,
    /// Sent by the interface.
    Outbound,
}

/// A capturing interface, as far as the capture describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name on the capturing host (`if_name`); pcap files have no place for one.
    pub name: Option<String>,
    /// Timestamp resolution in nanoseconds.
    pub resolution_ns: u64,
}

/// What a capture says of itself beyond its frames.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The interfaces so far; [`Frame::interface`] is the index.
    pub interfaces: Vec<Interface>,
    /// Link types of the interfaces, each once, in order of appearance.
    pub link_types: Vec<LinkType>,
    /// The coarsest timestamp resolution among the interfaces, in nanoseconds; `None` until an
    /// interface is known.
    pub resolution_ns: Option<u64>,
    /// Frames the capture is known to have dropped (pcapng interface statistics and
    /// `epb_dropcount`); `None` where it does not say, which is not 0.
    pub capture_drops: Option<u64>,
    /// When the capture says it began and ended (`isb_starttime`, `isb_endtime`), ns since the
    /// epoch.
    pub watched_ns: Option<(i64, i64)>,
    /// Why reading ended before the end of the file, or what had to be passed over.
    pub warnings: Vec<String>,
}

impl Summary {
    fn add_interface(&mut self, link_type: LinkType, interface: Interface) {
        if !self.link_types.contains(&link_type) {
            self.link_types.push(link_type);
        }
        let coarsest = self.resolution_ns.unwrap_or(0).max(interface.resolution_ns);
        self.resolution_ns = Some(coarsest);
        self.interfaces.push(interface);
    }

    fn add_drops(&mut self, drops: u64) {
        self.capture_drops = Some(self.capture_drops.unwrap_or(0).saturating_add(drops));
    }
}

/// Where a capture comes from, as the user named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Standard input, written `-`.
    Stdin,
    /// A file, a FIFO or a device.
    Path(PathBuf),
}

impl Origin {
    /// Reads what the user typed: `-` is standard input, all else a path.
    #[must_use]
    pub fn from_argument(argument: &str) -> Self {
        if argument == "-" {
            Self::Stdin
        } else {
            Self::Path(PathBuf::from(argument))
        }
    }

    /// Whether `other` names the same file or FIFO, by device and inode, or both are standard input.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Stdin, Self::Stdin) => true,
            (Self::Path(a), Self::Path(b)) => {
                let identity = |path| fs::metadata(path).map(|file| (file.dev(), file.ino()));
                a == b || matches!((identity(a), identity(b)), (Ok(a), Ok(b)) if a == b)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("-"),
            Self::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Why a source could not be read at all. Each message names the source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be opened.
    #[error("{origin}: cannot open: {error}")]
    Open {
        /// The source as the user named it.
        origin: Origin,
        /// What the system said.
        error: io::Error,
    },
    /// The first bytes could not be read.
    #[error("{origin}: cannot read: {error}")]
    Read {
        /// The source as the user named it.
        origin: Origin,
        /// What the system said.
        error: io::Error,
    },
    /// There is a directory of that name.
    #[error("{origin}: is a directory; name the capture file in it")]
    Directory {
        /// The source as the user named it.
        origin: Origin,
    },
    /// There is not a single byte.
    #[error("{origin}: is empty, without even a capture header; was the capture stopped with -w?")]
    Empty {
        /// The source as the user named it.
        origin: Origin,
    },
    /// The content is not a capture.
    #[error("{origin}: is no capture: begins with {start}, not with a pcap or pcapng header")]
    NotACapture {
        /// The source as the user named it.
        origin: Origin,
        /// The first bytes, readable.
        start: String,
    },
    /// The content is a log, which has no frames.
    #[error("{origin}: is a log of hdp send or hdp listen: it holds no frames, hdp path reads it")]
    Log {
        /// The source as the user named it.
        origin: Origin,
    },
    /// The capture's own header is damaged or cut.
    #[error("{origin}: {what}")]
    Header {
        /// The source as the user named it.
        origin: Origin,
        /// What is wrong with it.
        what: String,
    },
    /// libpcap does not take the filter for this link type.
    #[error("{origin}: filter '{expression}' for link type {link_type}: {why}")]
    Filter {
        /// The source as the user named it.
        origin: Origin,
        /// The filter as typed.
        expression: String,
        /// The link type it was compiled for.
        link_type: LinkType,
        /// libpcap's own words.
        why: String,
    },
}

/// What one observation point recorded, of whichever kind.
pub enum Recording {
    /// Frames from an interface.
    Capture(Box<Source>),
    /// What a program sent or received.
    Log(Box<Log>),
}

impl Recording {
    /// Opens a source and reads its header.
    ///
    /// # Errors
    /// Any [`Error`] but [`Error::Filter`].
    pub fn open(origin: Origin) -> Result<Self, Error> {
        let mut buffer = input::open(&origin)?;
        if log::is_log(&mut buffer) {
            let log = Log::open(&origin, buffer)?;
            return Ok(Self::Log(Box::new(log)));
        }
        Source::of(origin, buffer).map(|source| Self::Capture(Box::new(source)))
    }
}

/// An open capture.
pub struct Source {
    origin: Origin,
    buffer: Buffer,
    format: Format,
    frames: u64,
    summary: Summary,
    /// Bytes of the view up to the end of the frame that was given out last.
    given_out: usize,
    /// Nothing more comes. A packed input that failed once may give bytes again when asked again.
    ended: bool,
}

enum Format {
    Classic(classic::Classic),
    Pcapng(pcapng::Pcapng),
}

/// What a format's reader finds: a frame without its bytes, which stay in the buffer.
#[derive(Debug, Clone, Copy)]
struct Record {
    time_ns: Option<i64>,
    link_type: LinkType,
    interface: u32,
    direction: Option<FrameDirection>,
    original_len: u32,
    /// Where in the buffer's current view the bytes start, and how many there are.
    offset: usize,
    len: usize,
}

/// What the next step through a capture found.
enum Step {
    /// A frame.
    Frame(Record),
    /// A block without a frame.
    Other,
    /// The end, clean.
    End,
    /// The end, before its time; why.
    Broken(String),
}

impl Source {
    /// Opens a capture and reads its header.
    ///
    /// # Errors
    /// Any [`Error`] but [`Error::Filter`]; [`Error::Log`] where [`Recording::open`] would do.
    pub fn open(origin: Origin) -> Result<Self, Error> {
        let buffer = input::open(&origin)?;
        Self::of(origin, buffer)
    }

    fn of(origin: Origin, mut buffer: Buffer) -> Result<Self, Error> {
        let mut summary = Summary::default();
        let format = match buffer.fill(4).map(|_| buffer.view()) {
            Err(error) => return Err(Error::Read { origin, error }),
            Ok([]) => return Err(Error::Empty { origin }),
            Ok(start) if start.starts_with(&pcapng::MAGIC) => {
                Format::Pcapng(pcapng::Pcapng::default())
            }
            Ok(start) if classic::is_magic(start) => {
                match classic::Classic::open(&mut buffer, &mut summary) {
                    Ok(classic) => Format::Classic(classic),
                    Err(what) => return Err(Error::Header { origin, what }),
                }
            }
            Ok(_) => {
                if log::is_log(&mut buffer) {
                    return Err(Error::Log { origin });
                }
                let start = input::readable_start(&mut buffer);
                return Err(Error::NotACapture { origin, start });
            }
        };
        let mut source = Self {
            origin,
            buffer,
            format,
            frames: 0,
            summary,
            given_out: 0,
            ended: false,
        };
        // A pcapng file whose very first block is damaged is no capture.
        if let Format::Pcapng(pcapng) = &mut source.format
            && let Step::Broken(what) = pcapng.step(&mut source.buffer, &mut source.summary)
        {
            return Err(Error::Header {
                origin: source.origin,
                what,
            });
        }
        Ok(source)
    }

    /// The next frame, or `None` at the end of the capture. Where the end came before its time,
    /// [`Source::summary`] says why.
    #[inline(always)]
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        let record = self.next_record()?;
        Some(self.frame(&record))
    }

    /// [`Source::next_frame`] with the interface that captured it.
    pub fn next_with_interface(&mut self) -> Option<(Frame<'_>, &Interface)> {
        let record = self.next_record()?;
        // Each reader names only interfaces that it has described.
        let interface = &self.summary.interfaces[record.interface as usize];
        Some((self.frame(&record), interface))
    }

    #[inline(always)]
    fn next_record(&mut self) -> Option<Record> {
        self.buffer.consume(std::mem::take(&mut self.given_out));
        let ready = match &self.format {
            Format::Classic(classic) => classic.ready(self.buffer.view()),
            Format::Pcapng(_) => None,
        };
        let record = match ready {
            Some(record) => record,
            None => self.step_to_record()?,
        };
        self.frames += 1;
        self.given_out = record.offset + record.len;
        Some(record)
    }

    /// Reads on to the next record; `None` at the end.
    fn step_to_record(&mut self) -> Option<Record> {
        while !self.ended {
            let step = match &mut self.format {
                Format::Classic(classic) => classic.step(&mut self.buffer),
                Format::Pcapng(pcapng) => pcapng.step(&mut self.buffer, &mut self.summary),
            };
            match step {
                Step::Frame(record) => return Some(record),
                Step::Other => {}
                Step::End => self.ended = true,
                Step::Broken(why) => {
                    self.ended = true;
                    self.summary.warnings.push(why);
                }
            }
        }
        None
    }

    #[inline(always)]
    fn frame(&self, record: &Record) -> Frame<'_> {
        Frame {
            number: self.frames,
            time_ns: record.time_ns,
            link_type: record.link_type,
            interface: record.interface,
            direction: record.direction,
            original_len: record.original_len,
            bytes: &self.buffer.view()[record.offset..record.offset + record.len],
        }
    }

    /// The source as the user named it.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What the capture has said of itself so far; complete once [`Source::next_frame`] has given
    /// `None`.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }
}
