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
//! Each frame that holds a packet has the packet's number (`epb_packetid`), the same one at every point;
//! numbers that a capture brought along are of another file, and are left out.
//!
//! The module promises that every frame keeps its bytes, its length on the wire and the other options it
//! had, unless another [`Form`] is asked for, and that each interface keeps its link type and the resolution of its times. The times are
//! on the first point's clock ([`Clocks`]), and frames come in their order. It holds one frame a point, and
//! notes of the packets that were listed and not written; only a file that is not in order of time is held whole.
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
    anonymize::Anonymizer,
    capture_file::{CaptureFile, Captured},
    decode::Dates,
    source::{self, Interface, LinkType, Origin},
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
#[derive(Debug, Clone)]
pub(crate) struct Job<'a> {
    /// The captures in path order.
    pub captures: Vec<Capture<'a>>,
    /// How far a packet's timestamp may lie from its capture time, in nanoseconds.
    pub dates: Dates,
    /// Which frames.
    pub which: Which,
    /// What becomes of each.
    pub form: Form<'a>,
}

/// The one interface of frames that begin with IP. libpcap up to 1.10.4 takes a second one of this link type
/// for another type.
const RAW: Interface = Interface {
    name: None,
    link_type: LinkType::RAW,
    resolution_ns: 1,
};

/// What becomes of each frame.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Form<'a> {
    /// Whether frames begin with IP and are all of one interface, for programs that read one link type a
    /// file; what holds none is left out.
    pub raw: bool,
    /// Replaces addresses, and cuts payloads.
    pub anonymizer: Option<&'a Anonymizer>,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Written {
    /// Frames without IP that were left out.
    pub without_ip: u64,
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
pub(crate) struct Writer<'a, W: Write> {
    file: CaptureFile<W>,
    /// Each with its record and its first interface.
    tracks: Vec<(usize, Track, usize)>,
    which: Which,
    form: Form<'a>,
    written: Written,
    comment: String,
}

impl<'a, W: Write> Writer<'a, W> {
    /// Reads the captures once, and describes them.
    ///
    /// # Errors
    /// Those of the files and of `out`.
    pub(crate) fn open(
        out: W,
        job: &Job<'a>,
        notes: &Notes,
        clocks: &Clocks,
    ) -> Result<Self, Error> {
        let mut file = match job.form.anonymizer {
            Some(_) => {
                CaptureFile::begin_with(out, "hdp: addresses are replaced, payloads are cut")?
            }
            None => CaptureFile::begin(out)?,
        };
        let mut tracks = Vec::new();
        let mut described = 0;
        for capture in &job.captures {
            let track = Track::open(capture, notes, clocks, job.dates)?;
            let first_interface = described;
            if !job.form.raw {
                describe(&mut file, (capture, &track), notes, clocks, job.form)?;
                described += track.strands().len();
            }
            tracks.push((capture.record, track, first_interface));
        }
        if job.form.raw {
            file.interface(&RAW, "frames of all points from their IP headers on")?;
        }
        Ok(Self {
            file,
            tracks,
            which: job.which,
            form: job.form,
            written: Written::default(),
            comment: String::new(),
        })
    }

    /// Writes the frames up to the first one that lies not before the frame `before` of its record.
    ///
    /// # Errors
    /// Those of the files and of the result.
    pub(crate) fn write(
        &mut self,
        notes: &Notes,
        before: impl Fn(usize) -> u64,
    ) -> Result<(), Error> {
        // Points are few: the earliest is found sooner by looking at each than in a heap.
        while let Some((record, track, first_interface)) = self
            .tracks
            .iter_mut()
            .filter(|(_, track, _)| track.head().is_some())
            .min_by_key(|(_, track, _)| track.head().map(|head| head.time_ns))
        {
            let Some(head) = track.head() else { break };
            if head.number >= before(*record) {
                break;
            }
            let strand = track.position(head.interface, notes.side(*record, head.number));
            let Some(head) = track.head_mut() else { break };
            let is_wanted = self.which == Which::All || notes.is_last_sight(*record, head.number);
            let has_form = is_wanted && head.take_form(self.form);
            self.written.without_ip += u64::from(is_wanted && !has_form);
            if has_form {
                self.comment.clear();
                let packet_id = notes.comment((*record, head.number, head.key), &mut self.comment);
                if let Some(anonymizer) = self.form.anonymizer {
                    self.comment = anonymizer.text(&self.comment);
                }
                let frame = Captured {
                    time_ns: head.time_ns,
                    original_len: head.original_len,
                    bytes: &head.bytes,
                    options: &head.options,
                    packet_id,
                    comment: packet_id.is_some().then_some(&self.comment),
                };
                let interface = if self.form.raw {
                    0
                } else {
                    *first_interface + strand
                };
                self.file.captured(interface, &frame)?;
            }
            track.advance();
        }
        Ok(())
    }

    /// Before which frame of a record all were written.
    #[must_use]
    pub(crate) fn is_past(&self, record: usize) -> u64 {
        let track = self.tracks.iter().find(|(of, ..)| *of == record);
        track.map_or(u64::MAX, |(_, track, _)| track.is_past())
    }

    /// Ends the result with what the captures say of themselves.
    ///
    /// # Errors
    /// Those of the result.
    pub(crate) fn finish(mut self) -> Result<Written, Error> {
        for (_, track, first_interface) in &self.tracks {
            if let Some((watched_ns, drops)) = track.watched().filter(|_| !self.form.raw) {
                let last = first_interface + track.strands().len() - 1;
                self.file.statistics(last, watched_ns, drops)?;
            }
        }
        self.file.flush()?;
        Ok(self.written)
    }
}

/// Describes the interfaces of a capture: called after its point or side, and by their own names
/// where it has more.
fn describe(
    file: &mut CaptureFile<impl Write>,
    (capture, track): (&Capture<'_>, &Track),
    notes: &Notes,
    clocks: &Clocks,
    form: Form<'_>,
) -> io::Result<()> {
    let record = &notes.records()[capture.record];
    let text = |text: &str| match form.anonymizer {
        Some(anonymizer) => anonymizer.text(text),
        None => text.to_owned(),
    };
    let description = format!("{}; {}", capture.origin, clocks.words(record.point));
    let description = text(&description);
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
            name: Some(text(&name)),
            ..interface.clone()
        };
        // What a section says of itself is free text.
        let section = track.section(strand.interface);
        match section.filter(|_| form.anonymizer.is_none()) {
            Some(section) => file.interface_of_section(&interface, &description, section)?,
            None => file.interface(&interface, &description)?,
        }
    }
    Ok(())
}
