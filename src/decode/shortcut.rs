//! The shortcut: nearly every frame of a capture has the headers of one that came before.
//!
//! [`Shortcut`] finds what [`Decoder`] finds. Where a frame agrees with a decoded one in every byte
//! up to HDP's ports, but for lengths, identification, checksum and link addresses, it takes over
//! what was decoded then and reads only what may differ. A sweep over 256 numbers costs a
//! comparison of five words a frame instead of a walk down its headers.
//!
//! Frames with anything unusual (tunnels, fragments, extension headers, UDP, quotes) always take
//! the walk.

use super::{Bystander, BystanderKind, Datagram, Dates, Decoder, LayerKind, Skip, ip::number};
use crate::protocols::Carrier;
use crate::{
    hdp,
    source::{Frame, FrameDirection, LinkType},
};

/// Words of the headers that are compared at the most: 64 bytes.
const MOST_WORDS: usize = NEAR_WORDS + FAR_WORDS;

/// So many suffice for IP in Ethernet.
const NEAR_WORDS: usize = 6;

const FAR_WORDS: usize = 2;

/// Ethernet's addresses, which are not compared.
const LINK_ADDRESSES: usize = 12;

/// Entries: 16 for each protocol number.
const SLOTS: usize = 4096;

/// The bytes of an IP header that are read: all of it that is looked at lies within them.
type IpStart = [u8; 24];

/// Headers that were seen before, numbered from 0. Datagrams with the same number come from the
/// same interface and differ in IP ID, lengths, timestamp and payload only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct HeadersId(u32);

impl HeadersId {
    /// The number, for an array of what is known of each.
    #[must_use]
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a datagram does not share with the earlier ones that have the same headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Again<'a> {
    /// Which headers.
    pub headers: HeadersId,
    /// IPv4 identification.
    pub ip_id: Option<u16>,
    /// HDP's timestamp, ns since the epoch on the sender's clock.
    pub timestamp_ns: u64,
    /// The payload as far as it was captured.
    pub payload: &'a [u8],
    /// The payload's length by the IP header's word.
    pub payload_len: u32,
}

/// A decoder that remembers.
#[derive(Debug)]
pub(crate) struct Shortcut {
    decoder: Decoder,
    slots: Vec<Entry>,
    /// The words behind those in the slots, where shapes have so many.
    far_words: Vec<[u64; FAR_WORDS]>,
    /// The shape of the frame remembered last: mostly that of the next one too.
    shape: Shape,
    /// How often the shape has changed; what was remembered before cannot be compared with.
    shapes: u32,
    issued: u32,
}

/// Where a frame's headers are, and which of their bytes must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    link_type: LinkType,
    version: Version,
    ip_at: usize,
    hdp_at: usize,
    /// Where the words begin that are compared.
    words_at: usize,
    /// Masks of these words, up to HDP's ports.
    masks: [u64; MOST_WORDS],
    used_words: usize,
    /// In so many bytes, from the words on, all words that the slots hold can be compared at once.
    near_len: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V4,
    V6,
}

/// The headers of a decoded frame.
///
/// One is looked up for every frame, each time another: it is one line of the processor's cache.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Entry {
    /// Which shape of frames it has, by [`Shortcut::shapes`].
    shape: u32,
    interface: u32,
    headers: HeadersId,
    direction: Option<FrameDirection>,
    /// The words up to HDP's ports, without what may differ.
    words: [u64; NEAR_WORDS],
}

impl Entry {
    /// No frame has this.
    const NONE: Self = Self {
        shape: u32::MAX,
        interface: 0,
        headers: HeadersId(0),
        direction: None,
        words: [0; NEAR_WORDS],
    };
}

impl Shape {
    /// The IP header's beginning in a frame of this shape.
    #[inline]
    fn ip_start<'a>(&self, bytes: &'a [u8]) -> Option<&'a IpStart> {
        bytes.get(self.ip_at..)?.first_chunk()
    }

    /// Where a frame of this shape is remembered.
    #[inline]
    fn slot(&self, ip: &IpStart) -> usize {
        // The last four bytes of the source address.
        let (number, ttl, source) = match self.version {
            Version::V4 => (ip[9], ip[8], [ip[12], ip[13], ip[14], ip[15]]),
            Version::V6 => (ip[6], ip[7], [ip[20], ip[21], ip[22], ip[23]]),
        };
        let spread = u32::from_le_bytes(source)
            .wrapping_add(u32::from(ttl))
            .wrapping_mul(0x9e37_79b1)
            >> 28;
        // The numbers of one sender lie side by side: otherwise they would share a few lines of the cache.
        (spread as usize) << 8 | usize::from(number)
    }

    /// Whether a byte may differ between datagrams of a flow: total length, identification and checksum; the
    /// flow label and payload length; HDP behind its ports. (Ethernet addresses lie before the words.)
    fn may_differ(&self, at: usize) -> bool {
        let in_ip = at.checked_sub(self.ip_at);
        at >= self.hdp_at + hdp::field::DESTINATION_PORT.end
            || match self.version {
                Version::V4 => matches!(in_ip, Some(2..6 | 10..12)),
                Version::V6 => matches!(in_ip, Some(2..6)),
            }
    }

    fn with_masks(mut self) -> Self {
        for word in 0..self.used_words {
            let mask = std::array::from_fn(|byte| {
                if self.may_differ(self.words_at + word * 8 + byte) {
                    0
                } else {
                    0xff
                }
            });
            self.masks[word] = u64::from_ne_bytes(mask);
        }
        self
    }
}

impl Shortcut {
    /// A decoder that takes such timestamps, or those within so many nanoseconds of the capture time, for
    /// HDP's.
    #[must_use]
    pub(crate) fn new(dates: impl Into<Dates>) -> Self {
        Self {
            decoder: Decoder::new(dates),
            slots: vec![Entry::NONE; SLOTS],
            far_words: vec![[0; FAR_WORDS]; SLOTS],
            shape: Shape {
                link_type: LinkType::EN10MB,
                version: Version::V4,
                ip_at: 14,
                hdp_at: 34,
                words_at: LINK_ADDRESSES,
                masks: [0; MOST_WORDS],
                used_words: 0,
                near_len: usize::MAX,
            },
            shapes: 0,
            issued: 0,
        }
    }

    /// [`Decoder::doubtful`] of the frame that was decoded last.
    pub(crate) fn doubtful<'a>(&mut self, frame: &Frame<'a>) -> Option<Datagram<'a>> {
        self.decoder.doubtful(frame)
    }

    /// [`Decoder::off_date_ns`] of the frame that was decoded last, which had none at hand.
    pub(crate) fn off_date_ns(&self, frame: &Frame) -> Option<i64> {
        self.decoder.off_date_ns(frame)
    }

    /// [`Decoder::bystander`] of the frame that was decoded last, which had none at hand.
    #[inline]
    pub(crate) fn bystander(
        &self,
        frame: &Frame,
        wants: impl Fn(BystanderKind, u64) -> bool,
    ) -> Option<Bystander> {
        self.decoder.bystander(frame, wants)
    }

    /// [`Decoder::cut_short`] of the frame that was decoded last, which had none at hand.
    #[must_use]
    pub(crate) fn cut_short(&self) -> Option<u8> {
        self.decoder.cut_short()
    }

    /// Finds the HDP packet in a frame whose headers are those of one before.
    #[inline(always)]
    pub(crate) fn recall<'a>(&self, frame: &Frame<'a>) -> Option<Again<'a>> {
        let shape = &self.shape;
        let ip = shape.ip_start(frame.bytes)?;
        let slot = shape.slot(ip);
        let entry = &self.slots[slot];
        if entry.shape != self.shapes
            || shape.link_type != frame.link_type
            || entry.interface != frame.interface
            || entry.direction != frame.direction
            || !self.has_words_of(frame, slot)
        {
            return None;
        }
        let be16 = |at: usize| u16::from_be_bytes([ip[at], ip[at + 1]]);
        let (wire_len, ip_id) = match shape.version {
            Version::V4 => (be16(2), Some(be16(4))),
            Version::V6 => (be16(4).checked_add(40)?, None),
        };
        let hdp_in_ip = shape.hdp_at - shape.ip_at;
        let payload_len = usize::from(wire_len).checked_sub(hdp_in_ip + hdp::Header::LEN)?;
        let end = frame.bytes.len().min(shape.ip_at + usize::from(wire_len));
        let captured = frame.bytes.get(shape.hdp_at..end)?;
        let (header, payload) = hdp::Header::parse(captured).ok()?;
        if !self.decoder.dates.are_plausible(&header, frame.time_ns) {
            return None;
        }
        Some(Again {
            headers: entry.headers,
            ip_id,
            timestamp_ns: header.timestamp_ns,
            payload,
            payload_len: u32::try_from(payload_len).ok()?,
        })
    }

    /// Whether a frame of the shape remembered last has the words of the entry in a slot.
    #[inline(always)]
    fn has_words_of(&self, frame: &Frame, slot: usize) -> bool {
        let shape = &self.shape;
        let Some(compared) = frame.bytes.get(shape.words_at..) else {
            return false;
        };
        let (words, _) = compared.as_chunks();
        let entry = &self.slots[slot];
        let mut difference = 0;
        let mut compare = |bytes: &[u8; 8], mask: u64, known: u64| {
            difference |= u64::from_ne_bytes(*bytes) & mask ^ known;
        };
        // Behind the headers the masks are empty: of a frame of that length, all words at once.
        if compared.len() >= shape.near_len
            && let Some(near) = words.first_chunk::<NEAR_WORDS>()
        {
            for ((bytes, mask), known) in near.iter().zip(shape.masks).zip(entry.words) {
                compare(bytes, mask, known);
            }
        } else if let Some(words) = words.get(..shape.used_words) {
            let known = entry.words.iter().chain(&self.far_words[slot]);
            for ((bytes, mask), known) in words.iter().zip(shape.masks).zip(known) {
                compare(bytes, mask, *known);
            }
        } else {
            return false;
        }
        difference == 0
    }

    /// Finds the HDP packet in a frame, or the quote of one in an ICMP error, down all its headers. If these get
    /// a number, [`Shortcut::recall`] will know their like.
    ///
    /// # Errors
    /// The [`Skip`] that says why there is none.
    #[cold]
    pub(crate) fn walk<'a>(
        &mut self,
        frame: &Frame<'a>,
    ) -> Result<(Datagram<'a>, Option<HeadersId>), Skip> {
        let datagram = self.decoder.decode(frame)?;
        let headers = self.remember(frame, &datagram);
        Ok((datagram, headers))
    }

    /// Keeps what was decoded, if nothing about it is unusual.
    fn remember(&mut self, frame: &Frame, datagram: &Datagram) -> Option<HeadersId> {
        let &[ref outer @ .., ip, hdp] = self.decoder.layers() else {
            return None;
        };
        let (version, ip_len) = match ip.kind {
            LayerKind::Ipv4 => (Version::V4, ip.end - ip.start),
            LayerKind::Ipv6 => (Version::V6, 40),
            _ => return None,
        };
        let words_at = match frame.link_type {
            LinkType::EN10MB => LINK_ADDRESSES,
            _ => 0,
        };
        let compared = (hdp.start + hdp::field::DESTINATION_PORT.end).saturating_sub(words_at);
        // Whether IP begins in place of Ethernet's header hangs on lengths and checksum.
        let is_bare = frame.link_type == LinkType::EN10MB && ip.start == 0;
        // An outer datagram may end before the inner one's length says, and before the frame does.
        let is_in_another = outer
            .iter()
            .any(|layer| matches!(layer.kind, LayerKind::Ipv4 | LayerKind::Ipv6));
        let is_usual = hdp.kind == LayerKind::Hdp
            && !is_bare
            && !is_in_another
            && hdp.start == ip.start + ip_len
            && datagram.carrier == Carrier::Ip
            && datagram.protocol != number::UDP
            && datagram.quote.is_none()
            && datagram.fragment.is_none()
            && compared <= MOST_WORDS * 8;
        if !is_usual {
            return None;
        }
        let used_words = compared.div_ceil(8);
        let shape = Shape {
            link_type: frame.link_type,
            version,
            ip_at: ip.start,
            hdp_at: hdp.start,
            words_at,
            masks: [0; MOST_WORDS],
            used_words,
            near_len: if used_words <= NEAR_WORDS {
                NEAR_WORDS * 8
            } else {
                usize::MAX
            },
        }
        .with_masks();
        if shape != self.shape {
            self.shape = shape;
            self.shapes = self.shapes.wrapping_add(1);
        }
        let mut words = [0; MOST_WORDS];
        let (compared, _) = frame.bytes.get(words_at..)?.as_chunks();
        for ((word, mask), bytes) in words.iter_mut().zip(shape.masks).zip(compared) {
            *word = u64::from_ne_bytes(*bytes) & mask;
        }
        let (near, far) = words.split_first_chunk()?;
        let slot = shape.slot(shape.ip_start(frame.bytes)?);
        let headers = HeadersId(self.issued);
        self.issued = self.issued.checked_add(1)?;
        self.slots[slot] = Entry {
            shape: self.shapes,
            interface: frame.interface,
            headers,
            direction: frame.direction,
            words: *near,
        };
        self.far_words[slot] = *far.first_chunk()?;
        Some(headers)
    }
}
