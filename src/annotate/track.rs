//! One capture, read a second time: its frames in order of time, on the first point's clock.

use std::{collections::BTreeSet, sync::Arc, vec};

use super::{
    Capture, Clocks, Form,
    notes::{Key, Notes, Record},
};
use crate::{
    capture_file::{EPB_DROPCOUNT, EPB_FLAGS, options},
    decode::{Dates, Decoder, Layer, LayerKind},
    source::{Error, Frame, Interface, Section, Source, Summary},
};

/// A capture of which one frame at a time is in memory, unless it is out of order.
pub(super) struct Track {
    /// What the capture said of itself.
    summary: Summary,
    clock: OnFirst,
    strands: Vec<Strand>,
    rest: Rest,
    head: Option<Head>,
}

/// What of a capture stays together: the frames of one interface, or of those the ones that belong
/// to one side of a host. A capture's strands follow its interfaces; of one interface, the sides
/// come first, in path order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Strand {
    /// Index among the capture's interfaces.
    pub(super) interface: u32,
    /// The point that is the side.
    pub(super) side: Option<usize>,
}

impl Strand {
    /// By which strands are sorted.
    fn rank(&self) -> (u32, usize) {
        (self.interface, self.side.unwrap_or(usize::MAX))
    }
}

/// The next frame.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    pub(super) number: u64,
    /// On the first point's clock.
    pub(super) time_ns: i64,
    pub(super) interface: u32,
    pub(super) original_len: u32,
    pub(super) bytes: Vec<u8>,
    /// Of the packet block, as a little-endian file has them.
    pub(super) options: Vec<u8>,
    /// The packet in it.
    pub(super) key: Option<Key>,
    /// Its headers, outermost first.
    layers: Vec<Layer>,
}

impl Head {
    /// Takes the form that is asked for; `false` where it has none such.
    pub(super) fn take_form(&mut self, form: Form<'_>) -> bool {
        if let Some(anonymizer) = form.anonymizer {
            anonymizer.frame(&mut self.bytes, &self.layers);
            // Flags and drops are figures; comments and names are not.
            let kept: Vec<u8> = options(&self.options)
                .filter(|(code, _)| [EPB_FLAGS, EPB_DROPCOUNT].contains(code))
                .flat_map(|(_, option)| option.iter().copied())
                .collect();
            self.options = kept;
        }
        if !form.raw {
            return true;
        }
        let is_ip = |layer: &&Layer| matches!(layer.kind, LayerKind::Ipv4 | LayerKind::Ipv6);
        let Some(start) = self.layers.iter().find(is_ip).map(|layer| layer.start) else {
            return false;
        };
        self.bytes.drain(..start);
        let cut = u32::try_from(start).unwrap_or(u32::MAX);
        self.original_len = self.original_len.saturating_sub(cut);
        true
    }
}

/// The frames behind the next one.
enum Rest {
    /// In the file.
    Unread(Box<Reader>),
    /// All of them, sorted.
    Sorted(vec::IntoIter<Head>),
}

/// Reads frame after frame.
struct Reader {
    source: Source,
    /// So many frames are read at the most.
    frames: u64,
    decoder: Decoder,
    clock: OnFirst,
    /// The last time that was read, for the frames that have none.
    time_ns: i64,
}

impl Track {
    /// Reads the capture once, to see what interfaces and strands it has and whether it is in
    /// order, and opens it again.
    pub(super) fn open(
        capture: &Capture<'_>,
        notes: &Notes,
        clocks: &Clocks,
        dates: Dates,
    ) -> Result<Self, Error> {
        let &Record { point, frames, .. } = &notes.records()[capture.record];
        let mut source = Source::open(capture.origin.clone())?;
        let mut is_in_order = true;
        let mut latest_ns = i64::MIN;
        let mut sides: BTreeSet<(u32, Option<usize>)> = BTreeSet::new();
        while let Some(frame) = source.next_frame().filter(|frame| frame.number <= frames) {
            let time_ns = frame.time_ns.map_or(latest_ns, |time_ns| {
                time_ns.saturating_add(clocks.shift_ns(point, time_ns))
            });
            is_in_order &= time_ns >= latest_ns;
            latest_ns = time_ns;
            sides.insert((frame.interface, notes.side(capture.record, frame.number)));
        }
        let summary = source.summary().clone();
        let interfaces = &summary.interfaces;
        // An interface that saw nothing is described too.
        for interface in (0..).take(interfaces.len()) {
            if sides
                .range((interface, None)..)
                .next()
                .is_none_or(|next| next.0 > interface)
            {
                sides.insert((interface, None));
            }
        }
        let strand = |(interface, side)| Strand { interface, side };
        let mut strands: Vec<Strand> = sides.into_iter().map(strand).collect();
        strands.sort_by_key(Strand::rank);
        let resolutions_ns = interfaces.iter().map(|interface| interface.resolution_ns);
        let clock = OnFirst {
            clocks: Arc::new(clocks.clone()),
            point,
            resolutions_ns: resolutions_ns.collect(),
        };
        let reader = Reader {
            source: Source::open(capture.origin.clone())?,
            frames,
            decoder: Decoder::new(dates),
            clock: clock.clone(),
            time_ns: 0,
        };
        let mut track = Self {
            summary,
            clock,
            strands,
            rest: if is_in_order {
                Rest::Unread(Box::new(reader))
            } else {
                Rest::Sorted(reader.sorted())
            },
            head: Some(Head::default()),
        };
        track.advance();
        Ok(track)
    }

    /// The interfaces, by [`Strand::interface`].
    pub(super) fn interfaces(&self) -> &[Interface] {
        &self.summary.interfaces
    }

    /// What was said of the section that an interface belongs to.
    pub(super) fn section(&self, interface: u32) -> Option<&Section> {
        let mut sections = self.summary.sections.iter();
        sections.rfind(|section| section.first_interface <= interface)
    }

    /// When a capture of one interface was watched, on the first point's clock, and what it is known
    /// to have dropped; `None` where it does not say when.
    pub(super) fn watched(&self) -> Option<((i64, i64), Option<u64>)> {
        if self.interfaces().len() != 1 {
            return None;
        }
        let (start_ns, end_ns) = self.summary.watched_ns?;
        let shifted = |ns: i64| self.clock.of(0, ns);
        Some((
            (shifted(start_ns), shifted(end_ns)),
            self.summary.capture_drops,
        ))
    }

    /// The strands, in the order in which they are described.
    pub(super) fn strands(&self) -> &[Strand] {
        &self.strands
    }

    /// The index of the strand of this interface and side.
    pub(super) fn position(&self, interface: u32, side: Option<usize>) -> usize {
        let wanted = Strand { interface, side };
        let found = self
            .strands
            .binary_search_by_key(&wanted.rank(), Strand::rank);
        found.expect("each frame's strand was found when the capture was read first")
    }

    /// The next frame, if there is one.
    pub(super) fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// The same, to be given another form.
    pub(super) fn head_mut(&mut self) -> Option<&mut Head> {
        self.head.as_mut()
    }

    /// All frames before this one were next before.
    pub(super) fn is_past(&self) -> u64 {
        match (&self.head, &self.rest) {
            (None, _) => u64::MAX,
            (Some(head), Rest::Unread(_)) => head.number,
            // In order of time, numbers are in none.
            (Some(_), Rest::Sorted(_)) => 0,
        }
    }

    /// Goes on to the frame after the next.
    pub(super) fn advance(&mut self) {
        match &mut self.rest {
            Rest::Unread(reader) => {
                let has_more = self.head.as_mut().is_some_and(|head| reader.read(head));
                if !has_more {
                    self.head = None;
                }
            }
            Rest::Sorted(heads) => self.head = heads.next(),
        }
    }
}

impl Reader {
    /// Reads the next frame into what held the last one; `false` at the end.
    fn read(&mut self, head: &mut Head) -> bool {
        let known = |frame: &Frame| frame.number <= self.frames;
        let Some(frame) = self.source.next_frame().filter(known) else {
            return false;
        };
        self.time_ns = frame.time_ns.unwrap_or(self.time_ns);
        let datagram = self.decoder.decode(&frame);
        head.key = datagram.ok().as_ref().and_then(Key::of);
        head.number = frame.number;
        head.time_ns = self.clock.of(frame.interface, self.time_ns);
        head.interface = frame.interface;
        head.original_len = frame.original_len;
        head.bytes.clear();
        head.bytes.extend(frame.bytes);
        head.layers.clear();
        head.layers.extend(self.decoder.layers());
        head.options.clear();
        self.source.append_packet_options(&mut head.options);
        true
    }

    fn sorted(mut self) -> vec::IntoIter<Head> {
        let mut heads = Vec::new();
        let mut head = Head::default();
        while self.read(&mut head) {
            heads.push(head.clone());
        }
        heads.sort_by_key(|head| head.time_ns);
        heads.into_iter()
    }
}

/// Times of a capture on the first point's clock.
#[derive(Debug, Clone)]
struct OnFirst {
    clocks: Arc<Clocks>,
    point: usize,
    /// By interface.
    resolutions_ns: Vec<u64>,
}

impl OnFirst {
    /// The time, as the interface counts it.
    fn of(&self, interface: u32, time_ns: i64) -> i64 {
        let shift_ns = self.clocks.shift_ns(self.point, time_ns);
        let resolution_ns = self.resolutions_ns.get(interface as usize).copied();
        time_ns.saturating_add(rounded(shift_ns, resolution_ns.unwrap_or(1)))
    }
}

/// The multiple of the resolution that is nearest.
fn rounded(ns: i64, resolution_ns: u64) -> i64 {
    let step = i64::try_from(resolution_ns).unwrap_or(i64::MAX).max(1);
    ns.saturating_add(step / 2)
        .div_euclid(step)
        .saturating_mul(step)
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn a_shift_is_rounded_to_the_resolution() {
        for (ns, resolution_ns, shift_ns) in [
            (1_499, 1_000, 1_000),
            (1_500, 1_000, 2_000),
            (-1_499, 1_000, -1_000),
            (-1_501, 1_000, -2_000),
            (-7, 1, -7),
        ] {
            assert_eq!(rounded(ns, resolution_ns), shift_ns, "{ns}");
        }
    }
}
