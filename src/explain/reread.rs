//! The second reading: the bytes of a few frames, once it is known which.

use crate::{
    decode::{Datagram, Dates, Decoder, HeaderView, Layer, LayerKind, PacketType, Skip},
    dissect::Packet,
    source::Source,
};

/// A frame that was read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trace {
    pub(super) frame: u64,
    /// Which of the host's interfaces saw it, where the capture tells.
    pub(super) interface: Option<String>,
    /// What IP was wrapped in; empty where it was not.
    pub(super) encapsulation: String,
    /// The headers from the innermost IP header on, each with its bytes.
    pub(super) headers: Vec<(LayerKind, Vec<u8>)>,
    /// HDP's payload as far as it was captured.
    pub(super) payload: Vec<u8>,
}

impl Trace {
    fn of(packet: &Packet) -> Self {
        let datagram = &packet.datagram;
        let innermost_ip = packet
            .layers
            .iter()
            .rposition(|layer| matches!(layer.kind, LayerKind::Ipv4 | LayerKind::Ipv6))
            .unwrap_or(0);
        let headers = &packet.layers[innermost_ip..];
        let bytes = |layer: &Layer| packet.frame.bytes[layer.start..layer.end].to_vec();
        Self {
            frame: packet.frame.number,
            interface: packet.interface_label(),
            encapsulation: if datagram.encapsulation.is_empty() {
                String::new()
            } else {
                datagram.encapsulation.to_string()
            },
            headers: headers
                .iter()
                .map(|layer| (layer.kind, bytes(layer)))
                .collect(),
            payload: datagram.payload.to_vec(),
        }
    }

    /// The datagram's bytes, from the IP header on.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let headers = self.headers.iter().flat_map(|(_, bytes)| bytes);
        headers.chain(&self.payload).copied().collect()
    }

    /// Offset of HDP's header from the IP header's first byte.
    pub(super) fn hdp_offset(&self) -> usize {
        let before = self
            .headers
            .iter()
            .take_while(|(kind, _)| *kind != LayerKind::Hdp);
        before.map(|(_, bytes)| bytes.len()).sum()
    }
}

/// Reads a capture from its beginning until these frames, given by rising number, were seen.
pub(super) fn read(source: &mut Source, dates: Dates, frames: &[u64]) -> Vec<Trace> {
    let mut decoder = Decoder::new(dates);
    let mut traces = Vec::new();
    let last = frames.last().copied().unwrap_or(0);
    while let Some((frame, interface)) = source.next_with_interface() {
        if frame.number > last {
            break;
        }
        if frames.binary_search(&frame.number).is_err() {
            continue;
        }
        let Ok(datagram) = decoder.decode(&frame) else {
            continue;
        };
        traces.push(Trace::of(&Packet {
            frame,
            interface,
            datagram,
            layers: decoder.layers(),
        }));
    }
    traces
}

/// What a frame is that gave no packet of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unseen {
    /// There is none of that number.
    Beyond,
    /// The decoder passed it over.
    Skipped(Skip),
    /// An ICMP error that quotes the packet with this timestamp.
    Quote(u64),
    /// An ICMP error that quotes too little for a timestamp.
    ShortQuote,
    /// HDP on its way to another host, which the interface overheard.
    Overheard,
    /// HDP without a capture time.
    Timeless,
    /// HDP that a filter left out.
    LeftOut,
}

impl Unseen {
    /// Reads a capture from its beginning to a frame, and says what that is.
    #[must_use]
    pub(crate) fn find(source: &mut Source, dates: Dates, number: u64) -> Self {
        let mut decoder = Decoder::new(dates);
        while let Some(frame) = source.next_frame() {
            if frame.number != number {
                continue;
            }
            return match decoder.decode(&frame) {
                Err(skip) => Self::Skipped(skip),
                Ok(datagram) => Self::of(frame.time_ns, &datagram),
            };
        }
        Self::Beyond
    }

    fn of(time_ns: Option<i64>, datagram: &Datagram) -> Self {
        match (datagram.quote, datagram.header) {
            (Some(_), HeaderView::Whole(header)) => Self::Quote(header.timestamp_ns),
            (Some(_), HeaderView::UpperHalf { .. }) => Self::ShortQuote,
            (None, _) if datagram.packet_type == Some(PacketType::OtherHost) => Self::Overheard,
            (None, _) if time_ns.is_none() => Self::Timeless,
            (None, _) => Self::LeftOut,
        }
    }
}
