//! Dissection: one HDP packet and the frame it was seen in, for a person or a script to read.
//!
//! [`mod@line`] is one line per packet in tcpdump's habit, [`tree`] every header with its byte ranges in
//! tshark's, [`hex`] the bytes, [`json`] one object per packet. [`Tally`] counts what was shown and
//! what was not, and why.
//!
//! The printers are pure: they take a [`Packet`] and write into what they are given. What all of
//! them say alike (the delay, the notes, what a payload seems to be) is settled here, so that the
//! line, the tree and the object never disagree.

pub mod hex;
pub mod json;
pub mod line;
mod payload;
mod tally;
mod time;
pub mod tree;

pub use payload::{Content, Encoding};
pub use tally::Tally;
pub use tree::read_fields;

use crate::{
    decode::{Datagram, HeaderView, Layer, LayerKind, PacketType},
    printable::{printable, printable_bytes},
    protocols,
    source::{Frame, FrameDirection, Interface},
};

/// A decoded packet with all that a printer shows of it.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// The frame it was seen in.
    pub frame: Frame<'a>,
    /// The interface that captured the frame.
    pub interface: &'a Interface,
    /// What the decoder found.
    pub datagram: Datagram<'a>,
    /// The headers it went through, outermost first.
    pub layers: &'a [Layer],
}

impl<'a> Packet<'a> {
    /// The timestamp, if all of it is there.
    fn timestamp_ns(&self) -> Option<u64> {
        match self.datagram.header {
            HeaderView::Whole(header) => Some(header.timestamp_ns),
            HeaderView::UpperHalf { .. } => None,
        }
    }

    /// The first and the last timestamp that the header may have held: one and the same but where
    /// only its upper half is there.
    fn timestamp_range_ns(&self) -> [u64; 2] {
        match self.datagram.header {
            HeaderView::Whole(header) => [header.timestamp_ns; 2],
            HeaderView::UpperHalf { timestamp_high, .. } => {
                let first = u64::from(timestamp_high) << 32;
                [first, first | u64::from(u32::MAX)]
            }
        }
    }

    /// Capture time less timestamp in nanoseconds. A quote has none: it was captured on the error's
    /// way back.
    fn delay_ns(&self) -> Option<i64> {
        if self.datagram.quote.is_some() {
            return None;
        }
        let timestamp_ns = i64::try_from(self.timestamp_ns()?).ok()?;
        self.frame.time_ns?.checked_sub(timestamp_ns)
    }

    /// What the payload seems to be.
    fn content(&self) -> Content<'a> {
        let payload = self.datagram.payload;
        let is_whole =
            payload.len() == self.datagram.payload_len as usize && self.datagram.fragment.is_none();
        Content::of(payload, is_whole)
    }

    /// The interface that saw the packet: by name where the capture has one, else by the index it
    /// had on the capturing host (`#3`), which means nothing on any other.
    #[must_use]
    pub fn interface_label(&self) -> Option<String> {
        match self.layers.first() {
            Some(layer) if layer.kind == LayerKind::Pktap => {
                let name = self.frame.bytes.get(layer.start + 12..layer.start + 36)?;
                let name = name.split(|byte| *byte == 0).next()?;
                Some(printable_bytes(name))
            }
            Some(layer) if layer.kind == LayerKind::Sll2 => {
                Some(format!("#{}", self.datagram.interface?))
            }
            _ => self
                .interface
                .name
                .as_deref()
                .map(|name| printable(name).into_owned()),
        }
    }

    /// How the frame met the capturing host, as far as its own headers or the capture's say.
    #[must_use]
    pub fn packet_type(&self) -> Option<PacketType> {
        self.datagram
            .packet_type
            .or(self.frame.direction.map(|direction| match direction {
                FrameDirection::Inbound => PacketType::Host,
                FrameDirection::Outbound => PacketType::Outgoing,
            }))
    }

    /// What a reader must know before trusting the rest, one clause each.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let datagram = &self.datagram;
        let (there, claimed) = (datagram.payload.len(), datagram.payload_len as usize);
        if let HeaderView::UpperHalf { .. } = datagram.header {
            notes.push("quote holds 8 bytes: timestamp's upper half only".to_owned());
        } else if there < claimed {
            let cause = if self.frame.bytes.len() < self.frame.original_len as usize {
                "payload cut by the snapshot length"
            } else if datagram.quote.is_some() {
                "payload cut by the quote"
            } else {
                "payload shorter than the IP header states"
            };
            notes.push(format!("{cause}: {there} of {claimed} bytes"));
        }
        if let Some(fragment) = datagram.fragment {
            notes.push(format!("first fragment of datagram {:#06x}", fragment.id));
        }
        if datagram.packet_type == Some(PacketType::OtherHost) {
            notes.push("sent to another host: overheard".to_owned());
        }
        if self.frame.time_ns.is_none() {
            notes.push("no capture time: told from other bytes by its date alone".to_owned());
        }
        // A capture time is cut to its resolution, so that much before the timestamp is no future.
        let resolution_ns = i64::try_from(self.interface.resolution_ns).unwrap_or(i64::MAX);
        if self
            .delay_ns()
            .is_some_and(|delay| delay < resolution_ns.saturating_neg())
        {
            notes.push("future timestamp".to_owned());
        }
        notes
    }
}

/// A protocol number with IANA's keyword: `50 ESP`, `253`.
fn numbered(protocol: u8) -> String {
    match protocols::keyword(protocol) {
        Some(keyword) => format!("{protocol} {keyword}"),
        None => protocol.to_string(),
    }
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn digits(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 0xf)]);
    }
    text
}

#[cfg(test)]
mod tests;
