//! Sources: captures as sequences of [`Frame`]s.
//!
//! A source is a capture file, a log of the probe, or an interface that is captured from while it
//! is read ([`Origin::Live`]). A capture file is pcap (microseconds or nanoseconds, either byte
//! order) or pcapng, plain or in gzip or zstd, as a file, a FIFO or standard input; so is a [`Log`].
//! The kind of a file is told from the content, never from the name ([`Recording`]).
//!
//! The module promises constant memory (one buffer, grown only to the largest record), that every
//! frame before a cut or a damaged record is delivered, and that the reason why reading ended
//! early stands in [`Summary::warnings`]. It knows nothing of IP: what the bytes of a frame mean
//! is [`crate::decode`]'s business.

mod classic;
mod devices;
#[cfg(feature = "libpcap")]
mod filter;
mod input;
mod link_type;
#[cfg(feature = "libpcap")]
mod live;
mod log;
mod magic;
mod packing;
mod pcapng;
mod zstd;

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

pub use devices::Device;
#[cfg(feature = "libpcap")]
pub use devices::devices;
#[cfg(feature = "libpcap")]
pub use filter::Filter;
pub use input::Progress;
pub use link_type::LinkType;
#[cfg(feature = "libpcap")]
pub use live::LiveOptions;
pub use log::{Line, Log};
pub use packing::Packing;

use crate::{printable::printable, shell};
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
    /// How the first bytes of its frames are to be read.
    pub link_type: LinkType,
    /// Timestamp resolution in nanoseconds.
    pub resolution_ns: u64,
}

/// What a section of a pcapng capture says of itself; pcap files have none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Section {
    /// Its first interface, counted over all sections.
    pub first_interface: u32,
    /// Comments on the whole of it (`opt_comment`).
    pub comments: Vec<String>,
    /// The hardware that captured it (`shb_hardware`).
    pub hardware: Option<String>,
    /// The operating system that did (`shb_os`).
    pub os: Option<String>,
}

/// What a capture says of itself beyond its frames.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The interfaces so far; [`Frame::interface`] is the index.
    pub interfaces: Vec<Interface>,
    /// The sections so far, from the first one on that says anything.
    pub sections: Vec<Section>,
    /// Link types of the interfaces, each once, in order of appearance.
    pub link_types: Vec<LinkType>,
    /// The coarsest timestamp resolution among the interfaces, in nanoseconds; `None` until an
    /// interface is known.
    pub resolution_ns: Option<u64>,
    /// Frames the capture is known to have dropped (pcapng interface statistics and
    /// `epb_dropcount`; live, what the kernel and the interface's driver counted so far); `None`
    /// where it does not say, which is not 0.
    pub capture_drops: Option<u64>,
    /// Stretches in which it dropped some of them, ns since the epoch: each from the frame before to
    /// the frame behind (`epb_dropcount`), or from one count to the next (interface statistics;
    /// live).
    pub dropped_ns: Vec<(i64, i64)>,
    /// Stretches between recordings that lie behind one another in a file (pcapng sections), ns since
    /// the epoch: nobody watched then.
    pub paused_ns: Vec<(i64, i64)>,
    /// How many of the drops those stretches are about.
    pub placed_drops: u64,
    /// When the capture says it began and ended (`isb_starttime`, `isb_endtime`), ns since the
    /// epoch. Live, from its start until when all that came has been given out or counted as
    /// dropped.
    pub watched_ns: Option<(i64, i64)>,
    /// Whether this process captured it from an interface: then its times are those of this host's
    /// clock, and it has not watched beyond [`Summary::watched_ns`].
    pub is_live: bool,
    /// Whether reading ended where there should have been more: what came last may have been read out of
    /// place.
    pub is_damaged: bool,
    /// Bytes of the file, once it has been read; `None` of pipes and interfaces.
    pub bytes: Option<u64>,
    /// Their SHA-256 in hexadecimal, if [`Source::digest`] asked for it.
    pub sha256: Option<String>,
    /// Why reading ended before the end of the file, or what had to be passed over.
    pub warnings: Vec<String>,
}

impl Summary {
    fn add_interface(&mut self, interface: Interface) {
        if !self.link_types.contains(&interface.link_type) {
            self.link_types.push(interface.link_type);
        }
        let coarsest = self.resolution_ns.unwrap_or(0).max(interface.resolution_ns);
        self.resolution_ns = Some(coarsest);
        self.interfaces.push(interface);
    }

    /// Takes over what its source says further on, without copying again what it said before.
    pub(crate) fn catch_up(&mut self, further_on: &Self) {
        // But for its last element, a list only grows.
        fn grown<T: Clone>(known: &mut Vec<T>, all: &[T]) -> Vec<T> {
            let mut known = std::mem::take(known);
            known.truncate(known.len().min(all.len()).saturating_sub(1));
            known.extend_from_slice(&all[known.len()..]);
            known
        }
        *self = Self {
            interfaces: grown(&mut self.interfaces, &further_on.interfaces),
            sections: grown(&mut self.sections, &further_on.sections),
            dropped_ns: grown(&mut self.dropped_ns, &further_on.dropped_ns),
            paused_ns: grown(&mut self.paused_ns, &further_on.paused_ns),
            link_types: further_on.link_types.clone(),
            sha256: further_on.sha256.clone(),
            warnings: further_on.warnings.clone(),
            ..*further_on
        };
    }

    /// Frames the capture is known to have dropped, nobody knows when.
    #[must_use]
    pub fn unplaced_drops(&self) -> u64 {
        self.capture_drops
            .unwrap_or(0)
            .saturating_sub(self.placed_drops)
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
    /// A network interface of this host, written `live:IFACE`; `any` is all of them.
    Live(String),
}

impl Origin {
    /// Reads what the user typed: `-` is standard input, `live:IFACE` an interface, all else a
    /// path. A file of such a name has a path too: `./live:eth0`.
    #[must_use]
    pub fn from_argument(argument: &str) -> Self {
        match (argument, argument.strip_prefix("live:")) {
            ("-", _) => Self::Stdin,
            (_, Some(interface)) => Self::Live(interface.to_owned()),
            (path, None) => Self::Path(PathBuf::from(path)),
        }
    }

    /// Whether frames come from an interface while they are read.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Live(_))
    }

    /// Whether it can be read a second time: pipes and interfaces give what they have once.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        match self {
            Self::Stdin | Self::Live(_) => false,
            Self::Path(path) => path.is_file(),
        }
    }

    /// Whether `other` names the same file or FIFO, by device and inode, or both are standard input.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Stdin, Self::Stdin) => true,
            (Self::Live(a), Self::Live(b)) => a == b,
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
            Self::Path(path) => f.write_str(&printable(&path.to_string_lossy())),
            Self::Live(interface) => write!(f, "live:{}", printable(interface)),
        }
    }
}

/// Why there is no capture, and what to do about it.
const NOT_PERMITTED: &str = "Operation not permitted: run as root (sudo) or grant it: \
    sudo setcap cap_net_raw,cap_net_admin=eip $(command -v hdp)";

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
    /// There is no such file, but an interface of that name.
    #[error("{origin}: no such file; to capture from the interface of that name: live:{origin}")]
    Interface {
        /// The source as the user named it.
        origin: Origin,
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
    /// The content is a capture in another format, or packed by what is not unpacked here.
    #[error("{origin}: is {format}, which hdp does not read: {remedy}")]
    Foreign {
        /// The source as the user named it.
        origin: Origin,
        /// What it is.
        format: &'static str,
        /// The command that makes a capture of it.
        remedy: String,
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
    /// There is no live capture in this build.
    #[error(
        "{origin}: this hdp was built without libpcap, so it cannot capture; \
         record with tcpdump -w and give the file"
    )]
    NoLibpcap {
        /// The source as the user named it.
        origin: Origin,
    },
    /// The process may not capture (on Linux, it lacks `CAP_NET_RAW`).
    #[error("{origin}: cannot capture: {NOT_PERMITTED}")]
    NotPermitted {
        /// The source as the user named it.
        origin: Origin,
    },
    /// The interface cannot be captured from.
    #[error("{origin}: cannot capture: {why}; hdp interfaces tells where it can be")]
    Capture {
        /// The source as the user named it.
        origin: Origin,
        /// libpcap's own words.
        why: String,
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

impl Error {
    /// Why a file could not be opened.
    pub(crate) fn of_opening(origin: &Origin, error: io::Error) -> Self {
        let origin = origin.clone();
        let is_interface = |path: &Path| nix::net::if_::if_nametoindex(path).is_ok();
        match &origin {
            Origin::Path(path) if error.kind() == io::ErrorKind::NotFound && is_interface(path) => {
                Self::Interface { origin }
            }
            _ => Self::Open { origin, error },
        }
    }
}

impl Error {
    fn foreign(origin: Origin, foreign: &magic::Foreign) -> Self {
        let word = |path: &Path| shell::quoted(&path.to_string_lossy());
        let (from, to) = match &origin {
            Origin::Path(path) => (format!(" {}", word(path)), word(&beside(path))),
            _ => (String::new(), "capture.pcap".to_owned()),
        };
        let remedy = match foreign.converter {
            magic::Converter::Editcap if from.is_empty() => format!("editcap -F pcap - {to}"),
            magic::Converter::Editcap => format!("editcap -F pcap{from} {to}"),
            magic::Converter::Unpack(command) => format!("{command}{from} > {to}"),
        };
        let format = foreign.format;
        Self::Foreign {
            origin,
            format,
            remedy,
        }
    }
}

/// What a file converted to pcap may be called: never like the file itself, which the shell would empty.
fn beside(path: &Path) -> PathBuf {
    let stem = path.with_extension("");
    let named = stem.with_extension("pcap");
    if named == path {
        stem.with_extension("converted.pcap")
    } else {
        named
    }
}

#[cfg(feature = "libpcap")]
impl Error {
    /// What libpcap said when a capture was to begin. It has no error numbers, but its words for
    /// the want of permission are few.
    fn capture(origin: &Origin, error: pcap::Error) -> Self {
        let (origin, why) = (origin.clone(), filter::words(error));
        let lower = why.to_lowercase();
        if lower.contains("permi") || lower.contains("cap_net_raw") {
            Self::NotPermitted { origin }
        } else {
            Self::Capture { origin, why }
        }
    }
}

/// Whether nobody wants to wait for a pipe any longer; asked ten times a second, from the thread
/// that reads it.
pub type Until = Arc<dyn Fn() -> bool + Send + Sync>;

/// The clock that kernels stamp frames with: ns since the epoch.
#[must_use]
pub fn now_ns() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.map_or(0, |time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX))
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
        Self::of(origin, None)
    }

    /// [`Recording::open`]; a pipe ends, even before its header, once `until` says so.
    ///
    /// # Errors
    /// Any [`Error`] but [`Error::Filter`].
    pub fn open_until(origin: Origin, until: &Until) -> Result<Self, Error> {
        Self::of(origin, Some(until))
    }

    fn of(origin: Origin, until: Option<&Until>) -> Result<Self, Error> {
        if origin.is_live() {
            let source = Source::open(origin)?;
            return Ok(Self::Capture(Box::new(source)));
        }
        let mut buffer = input::open(&origin, until)?;
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
    #[cfg(feature = "libpcap")]
    Live(Box<live::Live>),
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

impl Record {
    #[inline(always)]
    fn frame<'a>(&self, number: u64, view: &'a [u8]) -> Frame<'a> {
        Frame {
            number,
            time_ns: self.time_ns,
            link_type: self.link_type,
            interface: self.interface,
            direction: self.direction,
            original_len: self.original_len,
            bytes: &view[self.offset..self.offset + self.len],
        }
    }
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
        #[cfg(feature = "libpcap")]
        if let Origin::Live(interface) = &origin {
            return Self::open_live(interface, &LiveOptions::default());
        }
        let buffer = input::open(&origin, None)?;
        Self::of(origin, buffer)
    }

    /// Starts to capture from an interface. The capture ends when [`Source::stop`] is called or
    /// the interface is removed; until then [`Source::next_frame`] waits where nothing comes.
    ///
    /// # Errors
    /// [`Error::NotPermitted`], [`Error::Capture`] and [`Error::Filter`].
    #[cfg(feature = "libpcap")]
    pub fn open_live(interface: &str, options: &LiveOptions) -> Result<Self, Error> {
        let origin = Origin::Live(interface.to_owned());
        let mut summary = Summary::default();
        let live = live::Live::open(&origin, interface, options, &mut summary)?;
        Ok(Self {
            origin,
            buffer: Buffer::without_input(),
            format: Format::Live(Box::new(live)),
            frames: 0,
            summary,
            given_out: 0,
            ended: false,
        })
    }

    fn of(origin: Origin, mut buffer: Buffer) -> Result<Self, Error> {
        let mut summary = Summary::default();
        let format = match buffer.fill(4).map(|_| buffer.view()) {
            Err(error) => return Err(Error::Read { origin, error }),
            Ok([]) => return Err(Error::Empty { origin }),
            Ok(start) if start.starts_with(&magic::PCAPNG) => {
                Format::Pcapng(pcapng::Pcapng::default())
            }
            Ok(start) if magic::is_classic(start) => {
                match classic::Classic::open(&mut buffer, &mut summary) {
                    Ok(classic) => Format::Classic(classic),
                    Err(what) => return Err(Error::Header { origin, what }),
                }
            }
            Ok(start) if start.starts_with(&magic::PCAPNG_AS_TEXT) => {
                let what =
                    "it was transferred as text (CR LF in place of LF); transfer it again as \
                            binary"
                        .to_owned();
                return Err(Error::Header { origin, what });
            }
            Ok(_) => {
                if log::is_log(&mut buffer) {
                    return Err(Error::Log { origin });
                }
                // What could not be read does not matter here: the message shows what could.
                let _ = buffer.fill(magic::FOREIGN_LEN);
                if let Some(foreign) = magic::foreign(buffer.view()) {
                    return Err(Error::foreign(origin, &foreign));
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
    /// [`Source::summary`] says why. From a pipe or an interface it waits until there is either.
    #[inline(always)]
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        match self.ready() {
            Some(record) => Some(self.frame(&record)),
            None => self.frame_behind(),
        }
    }

    /// Gives out frames as long as a look is enough for the next one and `wants` says so of the one before;
    /// [`Source::next_frame`] finds those that need more.
    #[inline(always)]
    pub(crate) fn frames_at_hand(&mut self, mut wants: impl FnMut(Frame<'_>) -> bool) {
        self.buffer.consume(std::mem::take(&mut self.given_out));
        let Format::Classic(classic) = &mut self.format else {
            return;
        };
        let view = self.buffer.view();
        let mut rest = view;
        while let Some(record) = classic.ready(rest) {
            self.frames += 1;
            let frame = record.frame(self.frames, rest);
            rest = &rest[record.offset + record.len..];
            if !wants(frame) {
                break;
            }
        }
        let len = view.len() - rest.len();
        self.buffer.consume(len);
    }

    /// [`Source::next_frame`] with the interface that captured it.
    pub fn next_with_interface(&mut self) -> Option<(Frame<'_>, &Interface)> {
        let record = match self.ready() {
            Some(record) => record,
            None => self.read_on()?,
        };
        // Each reader names only interfaces that it has described.
        let interface = &self.summary.interfaces[record.interface as usize];
        Some((self.frame(&record), interface))
    }

    /// Waits for the next frame, or for the end: a tenth of a second at the most where the source
    /// is an interface, and then `false` where there is neither. A file needs no waiting for.
    ///
    /// After `false`, [`Summary::watched_ns`] says until when nothing is missing.
    pub fn wait(&mut self) -> bool {
        match &mut self.format {
            #[cfg(feature = "libpcap")]
            Format::Live(live) if !self.ended => live.wait(&mut self.summary),
            _ => true,
        }
    }

    /// Ends a capture that is running: what came until now is still given out, then `None`. A file
    /// ends where it ends.
    pub fn stop(&mut self) {
        #[cfg(feature = "libpcap")]
        if let Format::Live(live) = &mut self.format {
            live.stop(&mut self.summary);
        }
    }

    /// The next record, where a look is enough; [`Source::read_on`] finds the others.
    #[inline(always)]
    fn ready(&mut self) -> Option<Record> {
        self.buffer.consume(std::mem::take(&mut self.given_out));
        let Format::Classic(classic) = &mut self.format else {
            return None;
        };
        let record = classic.ready(self.buffer.view())?;
        self.give_out(&record);
        Some(record)
    }

    #[inline(always)]
    fn give_out(&mut self, record: &Record) {
        self.frames += 1;
        self.given_out = record.offset + record.len;
    }

    #[inline(never)]
    fn frame_behind(&mut self) -> Option<Frame<'_>> {
        let record = self.read_on()?;
        Some(self.frame(&record))
    }

    /// Reads on to the next record; `None` at the end.
    fn read_on(&mut self) -> Option<Record> {
        while !self.ended {
            let step = match &mut self.format {
                Format::Classic(classic) => classic.step(&mut self.buffer, &mut self.summary),
                Format::Pcapng(pcapng) => pcapng.step(&mut self.buffer, &mut self.summary),
                #[cfg(feature = "libpcap")]
                Format::Live(live) => live.step(&mut self.buffer, &mut self.summary),
            };
            match step {
                Step::Frame(record) => {
                    self.give_out(&record);
                    return Some(record);
                }
                Step::Other => {}
                Step::End => self.ended = true,
                Step::Broken(why) => {
                    self.ended = true;
                    self.summary.warnings.push(why);
                    self.summary.is_damaged = true;
                }
            }
        }
        None
    }

    #[inline(always)]
    fn frame(&self, record: &Record) -> Frame<'_> {
        record.frame(self.frames, self.buffer.view())
    }

    /// The source as the user named it.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// How far the file has been read; `None` of pipes and interfaces, whose length nobody knows.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        self.buffer.progress()
    }

    /// What the capture has said of itself so far; complete once [`Source::next_frame`] has given
    /// `None`.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Begins to compute the SHA-256 of the file, if it is one: packed where it is packed.
    pub fn digest(&mut self) {
        self.buffer.digest();
    }

    /// [`Source::summary`] with the file's length and digest, for which a file that was not read to its
    /// end is.
    #[must_use]
    pub fn into_summary(mut self) -> Summary {
        let (bytes, sha256) = self.buffer.identity();
        Summary {
            bytes,
            sha256,
            ..self.summary
        }
    }
}
