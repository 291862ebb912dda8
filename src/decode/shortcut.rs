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
const MOST_WORDS: usize = 8;

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
    /// Masks of the first words, up to HDP's ports.
    masks: [u64; MOST_WORDS],
    used_words: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V4,
    V6,
}

/// The headers of a decoded frame.
///
/// One is looked up for every frame, each time another: what is compared first lies in one line of
/// the processor's cache.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Entry {
    /// Which shape of frames it has, by [`Shortcut::shapes`].
    shape: u32,
    interface: u32,
    headers: HeadersId,
    direction: Option<FrameDirection>,
    /// The first words, up to HDP's ports.
    words: [u64; MOST_WORDS],
}

impl Entry {
    /// No frame has this.
    const NONE: Self = Self {
        shape: u32::MAX,
        interface: 0,
        headers: HeadersId(0),
        direction: None,
        words: [0; MOST_WORDS],
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
        usize::from(number) << 4 | spread as usize
    }

    /// Whether a byte may differ between datagrams of a flow: Ethernet addresses; total length,
    /// identification and checksum; the flow label and payload length; HDP behind its ports.
    fn may_differ(&self, at: usize) -> bool {
        let is_link_address = self.link_type == LinkType::EN10MB && at < 12;
        let in_ip = at.checked_sub(self.ip_at);
        is_link_address
            || at >= self.hdp_at + hdp::field::DESTINATION_PORT.end
            || match self.version {
                Version::V4 => matches!(in_ip, Some(2..6 | 10..12)),
                Version::V6 => matches!(in_ip, Some(2..6)),
            }
    }

    fn with_masks(mut self) -> Self {
        for word in 0..self.used_words {
            let mask = std::array::from_fn(|byte| {
                if self.may_differ(word * 8 + byte) {
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
            shape: Shape {
                link_type: LinkType::EN10MB,
                version: Version::V4,
                ip_at: 14,
                hdp_at: 34,
                masks: [0; MOST_WORDS],
                used_words: 0,
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
        let entry = &self.slots[shape.slot(ip)];
        if entry.shape != self.shapes || !entry.has_headers_of(frame, shape) {
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
        let compared = hdp.start + hdp::field::DESTINATION_PORT.end;
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
        let shape = Shape {
            link_type: frame.link_type,
            version,
            ip_at: ip.start,
            hdp_at: hdp.start,
            masks: [0; MOST_WORDS],
            used_words: compared.div_ceil(8),
        }
        .with_masks();
        if shape != self.shape {
            self.shape = shape;
            self.shapes = self.shapes.wrapping_add(1);
        }
        let mut entry = Entry {
            words: [0; MOST_WORDS],
            shape: self.shapes,
            interface: frame.interface,
            direction: frame.direction,
            headers: HeadersId(self.issued),
        };
        for (word, bytes) in entry.words[..shape.used_words]
            .iter_mut()
            .zip(frame.bytes.as_chunks().0)
        {
            *word = u64::from_ne_bytes(*bytes);
        }
        let slot = &mut self.slots[shape.slot(shape.ip_start(frame.bytes)?)];
        self.issued = self.issued.checked_add(1)?;
        let headers = entry.headers;
        *slot = entry;
        Some(headers)
    }
}

impl Entry {
    #[inline(always)]
    fn has_headers_of(&self, frame: &Frame, shape: &Shape) -> bool {
        let mut difference = 0;
        let mut compare = |word: usize, bytes: &[u8; 8]| {
            difference |= (u64::from_ne_bytes(*bytes) ^ self.words[word]) & shape.masks[word];
        };
        let (words, _) = frame.bytes.as_chunks();
        // Behind the headers the masks are empty: of a frame of that length, eight words at once.
        if let Some(head) = words.first_chunk::<MOST_WORDS>() {
            (0..MOST_WORDS).for_each(|word| compare(word, &head[word]));
        } else if let Some(head) = words.get(..shape.used_words) {
            (0..)
                .zip(head)
                .for_each(|(word, bytes)| compare(word, bytes));
        } else {
            return false;
        }
        difference == 0
            && shape.link_type == frame.link_type
            && self.interface == frame.interface
            && self.direction == frame.direction
    }
}
