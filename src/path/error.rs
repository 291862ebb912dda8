//! What can go wrong with a path, each error with the source it concerns and a remedy.

use std::{io, path::PathBuf};

use super::Subject;
use crate::{
    decode::Skip,
    explain::Unseen,
    source::{self, Origin},
};

/// Why there are no findings. Each message is one line that names the source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A source cannot be read.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// A name without a source behind it.
    #[error("{argument}: no source behind the name; write NAME=FILE")]
    NoSource {
        /// What was given.
        argument: String,
    },
    /// A directory was given.
    #[error("{origin}: is a directory; name the capture files in it")]
    Directory {
        /// The source as the user named it.
        origin: Origin,
    },
    /// One source is two points.
    #[error("{origin}: given twice (also as {twin}); a path needs captures from different places")]
    Twice {
        /// The source as the user named it the second time.
        origin: Origin,
        /// The other point's name.
        twin: String,
    },
    /// Two points have one name.
    #[error("{argument}: the name {name} is given to two points")]
    SameName {
        /// The second of them.
        argument: String,
        /// Its name.
        name: String,
    },
    /// No point at all.
    #[error("no observation point; a path needs a capture from each end")]
    NoPoint,
    /// A single point.
    #[error(
        "{origin}: one observation point only; a path needs a capture from each end \
         (to look at one: hdp dissect {origin})"
    )]
    OnePoint {
        /// The source as the user named it.
        origin: Origin,
    },
    /// Netfilter's log as an interface, beside points that are all recorded already.
    #[error(
        "{origin}: tells what is dropped now, and all points are files; of what was dropped then only a record tells \
         (tcpdump -i nflog:5 -w dropped.pcap)"
    )]
    LiveWitness {
        /// The source as the user named it.
        origin: Origin,
    },
    /// What netfilter logged, in a pipe.
    #[error(
        "{origin}: is what netfilter logged, no point of the path; from a pipe it is not taken: save it to a file first, \
         or name the interface (live:nflog:5)"
    )]
    WitnessFromPipe {
        /// The source as the user named it.
        origin: Origin,
    },
    /// More points than bounded memory has room for.
    #[error("{points} points: in bounded memory there may be {most} at the most")]
    TooManyPoints {
        /// How many were given.
        points: usize,
        /// How many there may be.
        most: usize,
    },
    /// [`super::Order::Auto`] needs all packets, which bounded memory does not keep.
    #[error("points are put in order by all their packets, which bounded memory does not keep")]
    BoundedOrder,
    /// A pcap filter cannot be applied to a log: what only the captures left out would look lost.
    #[error(
        "{origin}: is a log, to which no pcap filter (-f) can be applied; to report some numbers \
         only there is --protocols"
    )]
    FilterOnLog {
        /// The source as the user named it.
        origin: Origin,
    },
    /// This build has no pcap filters.
    #[error("this hdp was built without libpcap, so it has no pcap filters")]
    NoFilters,
    /// No frame of the capture can be decoded.
    #[error(
        "{origin}: link type {link_types} cannot be decoded; capture on an Ethernet, cooked \
         (-i any) or raw IP interface"
    )]
    LinkType {
        /// The source as the user named it.
        origin: Origin,
        /// Its link types.
        link_types: String,
    },
    /// No system captures frames to other hosts on all interfaces at once.
    #[error("--promiscuous: no system has that for all interfaces at once; name one")]
    PromiscuousAny,
    /// A capture would be saved over a source.
    #[error("{origin}: is a source; keeping a capture there would destroy it")]
    SavedOverSource {
        /// The source.
        origin: Origin,
    },
    /// A folder for captures cannot be created.
    #[error("{}: cannot create: {error}", folder.display())]
    Create {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A result cannot be written.
    #[error("{name}: cannot write: {error}")]
    Write {
        /// The result's name.
        name: String,
        /// What the system said.
        error: io::Error,
    },
    /// A file is another one than it was when it was read first.
    #[error("{origin}: changed while it was being read; read a copy of it")]
    Changed {
        /// The file.
        origin: Origin,
    },
    /// A source that can be read once only would have to be read twice.
    #[error(
        "{origin}: annotating reads the captures twice, which only a file can be; save it to one first"
    )]
    ReadOnce {
        /// The source as the user named it.
        origin: Origin,
    },
    /// All points are logs, which hold no frames to annotate.
    #[error("{name}: all points are logs, which hold no frames")]
    NoFrames {
        /// The result that would have held them.
        name: String,
    },
    /// A source cannot be read a second time.
    #[error("{origin}: cannot read again: {error}")]
    ReadAgain {
        /// The source as the user named it.
        origin: Origin,
        /// What the system said.
        error: io::Error,
    },
    /// Privileges could not be given up.
    #[error("capabilities: {0}")]
    Sandbox(io::Error),
    /// The packet that was asked for is none.
    #[error("{subject}: {why}")]
    Unexplained {
        /// What was asked for.
        subject: Subject,
        /// Why there is nothing to explain.
        why: Box<Unexplained>,
    },
}

impl Error {
    /// Whether a result's reader went away.
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Write { error, .. } if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Why there is no packet to explain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unexplained {
    /// No point saw a packet with this timestamp.
    #[error("no point saw a packet with this timestamp")]
    Unseen,
    /// Several packets were sent or captured at that time.
    #[error("{} packets were sent or captured then; name one by its timestamp: {}", timestamps.len(), first_few(timestamps))]
    Several {
        /// Their timestamps, rising.
        timestamps: Vec<u64>,
    },
    /// There is no point of that name.
    #[error("no point is called {name}; there are {}", names.join(", "))]
    NoSuchPoint {
        /// What was asked for.
        name: String,
        /// The points' names.
        names: Vec<String>,
    },
    /// The line of a log tells of something else.
    #[error("line {line} of {point} tells of no packet that was on its way")]
    NoPacketInLine {
        /// The line, counted from 1.
        line: u64,
        /// The log's point.
        point: String,
    },
    /// The capture has fewer frames.
    #[error("{point} has {frames} frames")]
    Beyond {
        /// The capture's point.
        point: String,
        /// How many frames it has.
        frames: u64,
    },
    /// The frame holds no HDP packet.
    #[error("frame {frame} of {point} holds no HDP packet: {}", not_hdp(*why))]
    NotHdp {
        /// The frame, counted from 1.
        frame: u64,
        /// The capture's point.
        point: String,
        /// What it is instead; `None` where its source cannot be read twice.
        why: Option<Unseen>,
    },
}

fn first_few(timestamps: &[u64]) -> String {
    const FEW: usize = 4;
    let first: Vec<String> = timestamps.iter().take(FEW).map(u64::to_string).collect();
    let more = if timestamps.len() > FEW { ", ..." } else { "" };
    first.join(", ") + more
}

/// Why a frame holds no HDP packet, in words.
fn not_hdp(why: Option<Unseen>) -> String {
    let words = match why {
        None => "its source cannot be read twice, so the reason is unknown",
        Some(Unseen::Skipped(Skip::NotIp)) => "there is no IP in it",
        Some(Unseen::Skipped(Skip::NotHdp)) => {
            "it is IP, but has no HDP timestamp within --window of the capture time"
        }
        Some(Unseen::Skipped(skip)) => return skip.to_string(),
        Some(Unseen::Beyond) => "the file ends before it now",
        Some(Unseen::Quote(_)) => "it is an ICMP error",
        Some(Unseen::ShortQuote) => {
            "an ICMP error that quotes only the upper half of a timestamp, which names no packet"
        }
        Some(Unseen::Overheard) => "one for another host was overheard, which is no arrival",
        Some(Unseen::Timeless) => "it has no capture time, so it is left out",
        Some(Unseen::LeftOut) => "the filter (-f) left it out",
    };
    words.to_owned()
}
