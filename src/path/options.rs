//! What can be asked of reading and judging a path, settled before anything is read.

use std::{fmt, io, path::PathBuf, sync::Arc, time::Duration};

use super::{Points, Room};
use crate::{
    anonymize::Anonymizer,
    decode::{DEFAULT_WINDOW_NS, Dates},
    judge::{self, DEFAULT_WAIT_NS},
    observe::Witnesses,
    protocols::List,
    source::{LinkType, Progress, Until},
};

/// How points are read and judged. The default is that of `hdp path`.
#[derive(Clone)]
pub struct Options {
    /// How far the timestamp may lie from the capture time to be taken for HDP's; one day.
    pub window: Duration,
    /// An arrival later than this is late, not delivered (T<sub>max</sub> of RFC 7680); 51 s.
    pub wait: Duration,
    /// About when HDP was sent, in nanoseconds since the epoch: for captures whose clock was never set.
    /// If it is not given, captures of the other points tell, where they are files.
    pub date_ns: Option<i64>,
    /// Assume that the clocks agree within this where no packet compares them. Without it nothing
    /// is judged by such clocks.
    pub clock_error: Option<Duration>,
    /// The numbers to report; all if there is no list. The others still serve for comparison.
    pub protocols: Option<List>,
    /// In which order the points are taken.
    pub order: Order,
    /// How much is kept in memory.
    pub memory: Memory,
    /// Files are read in the thread that asks, not each in one of its own: where many paths are judged
    /// at once, each has a processor.
    pub one_thread: bool,
    /// Compute the SHA-256 of each file while it is read ([`Input::sha256`](crate::findings::Input::sha256)).
    pub digest: bool,
    /// Frames of annotated captures begin with IP, one link type for all; those without IP are left out.
    pub raw_frames: bool,
    /// Frames of annotated captures get other addresses and lose their payloads. What is returned is as
    /// it was: [`Anonymizer::of`] changes that.
    pub anonymizer: Option<Anonymizer>,
    /// Only frames that pass this pcap filter are read; the kernel applies it to interfaces.
    pub filter: Option<String>,
    /// How interfaces are captured from.
    pub capture: Capture,
    /// Interfaces and pipes end once one of them gave so many packets.
    pub count: Option<u64>,
    /// Interfaces and pipes end once this says so. It is asked several times a second by each
    /// reader. Without it a pipe ends by itself, an interface at [`Options::count`] only.
    pub until: Option<Until>,
    /// Called with what happens while points are read, from any thread.
    pub events: Option<Events>,
    /// Called by each thread of a [`Session`](super::Session) once its source is open and before it
    /// parses the first byte: the place to give up privileges.
    pub sandbox: Option<Sandbox>,
}

/// Takes what happens.
pub type Events = Arc<dyn Fn(Event<'_>) + Send + Sync>;

/// Gives up privileges of the thread that calls it.
pub type Sandbox = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// How interfaces are captured from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capture {
    /// Whether frames to other hosts are taken too, as on a mirror port. Anywhere else they would
    /// be taken for arrivals. No system has that for `any`.
    pub promiscuous: bool,
    /// Bytes that the kernel may hold for a reader that is busy; 16 MiB if not given.
    pub buffer_len: Option<u32>,
    /// A folder in which each capture is saved as `POINT.pcapng`.
    pub save: Option<PathBuf>,
}

/// In which order the points are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// As they are given.
    #[default]
    Given,
    /// As their packets show it, by TTL and direction; as given where they do not.
    Auto,
}

/// How much is kept in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Memory {
    /// Files are surveyed in bulk, pipes and interfaces in bounded memory.
    #[default]
    Automatic,
    /// Bounded for files too. Delays of numbers with many packets are rounded to 1 %, losses in a
    /// row are unknown, and copies that come much later than the packet are not counted.
    Bounded(Room),
    /// Every packet is kept, whatever the source.
    Unbounded,
}

/// What happens while points are read.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A file has been opened; how far it has been read.
    Reading(Progress),
    /// All files are being read again, because one of them is not in the order of its timestamps
    /// or shows two sides of a host.
    ReadingAgain,
    /// All files have been read, and are going to be judged.
    Read,
    /// An interface is being captured from.
    Capturing {
        /// The interface.
        interface: &'a str,
        /// The link types of its frames.
        link_types: &'a [LinkType],
    },
    /// All interfaces are being captured from, with this filter in the kernel because
    /// [`Options::filter`] gave none.
    DefaultFilter(&'a str),
    /// Under [`Order::Auto`], the packets show another order than the given one: this.
    Reordered(&'a [&'a str]),
    /// Under [`Order::Auto`], the packets contradict each other; the points stay as given.
    OrderContradictory,
    /// Under [`Order::Auto`], no packet shows which of the two points comes first; they stay as given.
    OrderUndecided([&'a str; 2]),
    /// An annotated capture whose frames begin with IP lacks these, which hold none.
    WithoutIp {
        /// The capture.
        name: &'a str,
        /// How many frames.
        frames: u64,
    },
    /// A log holds no frames of the packets that were lost behind it, so they could not be written.
    LostBehindLog {
        /// The log's point.
        point: &'a str,
        /// How many packets.
        lost: usize,
    },
}

impl Default for Options {
    fn default() -> Self {
        Self {
            window: Duration::from_nanos(DEFAULT_WINDOW_NS),
            wait: Duration::from_nanos(DEFAULT_WAIT_NS),
            date_ns: None,
            clock_error: None,
            protocols: None,
            order: Order::default(),
            memory: Memory::default(),
            one_thread: false,
            digest: false,
            raw_frames: false,
            anonymizer: None,
            filter: None,
            capture: Capture::default(),
            count: None,
            until: None,
            events: None,
            sandbox: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("window", &self.window)
            .field("wait", &self.wait)
            .field("date_ns", &self.date_ns)
            .field("clock_error", &self.clock_error)
            .field("protocols", &self.protocols)
            .field("order", &self.order)
            .field("memory", &self.memory)
            .field("one_thread", &self.one_thread)
            .field("digest", &self.digest)
            .field("raw_frames", &self.raw_frames)
            .field("anonymizer", &self.anonymizer)
            .field("filter", &self.filter)
            .field("capture", &self.capture)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// Whether the points are read in bounded memory: pipes and interfaces are, unless every packet
    /// is asked for, and files where that is.
    #[must_use]
    pub fn is_bounded(&self, points: &Points) -> bool {
        match self.memory {
            Memory::Bounded(_) => true,
            Memory::Automatic => points.have_streams() && self.order == Order::Given,
            Memory::Unbounded => false,
        }
    }

    /// The same, with every packet kept.
    pub(super) fn unbounded(&self) -> Self {
        Self {
            memory: Memory::Unbounded,
            ..self.clone()
        }
    }

    /// How the points are judged, with what drop witnesses say.
    pub(super) fn judging(&self, witnesses: &Arc<Witnesses>) -> judge::Options {
        judge::Options {
            wait_ns: nanoseconds(self.wait),
            clock_error_ns: self.clock_error.map(nanoseconds),
            protocols: self.protocols.clone(),
            witnesses: Arc::clone(witnesses),
        }
    }

    /// The same, with the date of the points' captures if none is given.
    pub(super) fn dated(&self, points: &Points) -> Self {
        Self {
            date_ns: self.date_ns.or_else(|| points.date_ns()),
            ..self.clone()
        }
    }

    /// Which timestamps are taken for HDP's.
    pub(super) fn dates(&self) -> Dates {
        Dates::from(nanoseconds(self.window)).or_near(self.date_ns)
    }

    /// Whether interfaces and pipes are to end.
    pub(super) fn is_over(&self) -> bool {
        self.until.as_ref().is_some_and(|until| until())
    }

    /// Reports what happens.
    pub(super) fn tell(&self, event: Event<'_>) {
        if let Some(events) = &self.events {
            events(event);
        }
    }
}

/// A duration in nanoseconds; what is longer than there are is as long as there are.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
