//! Annotation: the points' frames in one pcapng, each HDP packet with its fate as a comment.
//!
//! Fates are noted by frame number while the packets are judged ([`Notes`]); then the files are
//! read again and merged ([`write()`]). A comment is one line,
//!
//! ```text
//! hdp: fate=lost; segment=router (in) → router (out); pair=client:17, router (in):31
//! hdp: fate=delivered; pair=client:17, server:20; path_delay=0.000123456 s
//! ```
//!
//! which `dissector.lua` turns into fields. Points are called as in the findings; the number behind
//! a name is that of a frame in the point's capture, which the two sides of a host share.
//!
//! Each interface of a capture becomes one, and each side of a host one of its own, beside one for
//! the frames that belong to neither: what is not HDP, and fragments behind the first.
//!
//! The module promises that every frame keeps its bytes, its length on the wire and the options it
//! had, and that each interface keeps its link type and the resolution of its times. The times are
//! on the first point's clock ([`Clocks`]), and frames come in their order. It holds a note of every
//! packet in memory, and one frame a point; only a file that is not in order of time is held whole.
//!
//! What a section says of itself (comments, hardware, operating system) is said of its interfaces;
//! and when a capture of one interface was watched, with what it dropped, of the last that it became.
//! What else a capture says beyond its interfaces and packets (statistics of several interfaces, name
//! resolution) is left out.

mod clocks;
mod notes;
mod track;

use std::io::{self, Write};

pub(crate) use clocks::Clocks;
pub(crate) use notes::Notes;

use crate::{
    capture_file::{CaptureFile, Captured},
    decode::Dates,
    source::{self, Interface, Origin},
};

use track::Track;

/// A capture that is read again.
#[derive(Debug, Clone)]
pub(crate) struct Capture<'a> {
    /// Its index in [`Notes::records`].
    pub record: usize,
    /// Its file, which can be read twice.
    pub origin: &'a Origin,
}

/// What is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job<'a> {
    /// The captures in path order.
    pub captures: &'a [Capture<'a>],
    /// How far a packet's timestamp may lie from its capture time, in nanoseconds.
    pub dates: Dates,
    /// Which frames.
    pub which: Which,
}

/// Which frames are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All of all points, HDP or not.
    All,
    /// Of each lost packet the one frame that the last point which saw it captured.
    Lost,
}

/// Why there is no annotated capture.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file cannot be read again.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The result cannot be written.
    #[error("cannot write")]
    Write(#[from] io::Error),
}

/// Reads the captures again and writes their frames with the notes on them.
///
/// # Errors
/// Those of the files and of `out`.
pub(crate) fn write(
    out: impl Write,
    job: Job<'_>,
    notes: &Notes,
    clocks: &Clocks,
) -> Result<(), Error> {
    let mut file = CaptureFile::begin(out)?;
    let mut tracks = Vec::new();
    let mut described = 0;
    for capture in job.captures {
        let track = Track::open(capture, notes, clocks, job.dates)?;
        describe(&mut file, capture, &track, notes, clocks)?;
        let first_interface = described;
        described += track.strands().len();
        tracks.push((capture.record, track, first_interface));
    }
    let mut comment = String::new();
    // Points are few: the earliest is found sooner by looking at each than in a heap.
    while let Some((record, track, first_interface)) = tracks
        .iter_mut()
        .filter(|(_, track, _)| track.head().is_some())
        .min_by_key(|(_, track, _)| track.head().map(|head| head.time_ns))
    {
        let Some(head) = track.head() else { break };
        let is_wanted = job.which == Which::All || notes.is_last_sight(*record, head.number);
        if is_wanted {
            comment.clear();
            let is_noted = notes.comment((*record, head.number, head.key), &mut comment);
            let frame = Captured {
                time_ns: head.time_ns,
                original_len: head.original_len,
                bytes: &head.bytes,
                options: &head.options,
                comment: is_noted.then_some(&comment),
            };
            let side = notes.side(*record, head.number);
            let strand = track.position(head.interface, side);
            file.captured(*first_interface + strand, &frame)?;
        }
        track.advance();
    }
    for (_, track, first_interface) in &tracks {
        if let Some((watched_ns, drops)) = track.watched() {
            let last = first_interface + track.strands().len() - 1;
            file.statistics(last, watched_ns, drops)?;
        }
    }
    Ok(file.flush()?)
}

/// Describes the interfaces of a capture: called after its point or side, and by their own names
/// where it has more.
fn describe(
    file: &mut CaptureFile<impl Write>,
    capture: &Capture<'_>,
    track: &Track,
    notes: &Notes,
    clocks: &Clocks,
) -> io::Result<()> {
    let record = &notes.records()[capture.record];
    let description = format!("{}; {}", capture.origin, clocks.words(record.point));
    let is_only = track.interfaces().len() == 1;
    for strand in track.strands() {
        let place = strand.side.map_or(&*record.name, |side| notes.name(side));
        let interface = &track.interfaces()[strand.interface as usize];
        let name = match &interface.name {
            _ if is_only => place.to_owned(),
            Some(name) => format!("{place}/{name}"),
            None => format!("{place}/{}", strand.interface),
        };
        let interface = Interface {
            name: Some(name),
            ..interface.clone()
        };
        match track.section(strand.interface) {
            Some(section) => file.interface_of_section(&interface, &description, section)?,
            None => file.interface(&interface, &description)?,
        }
    }
    Ok(())
}
