//! Flows: what the packets of a sender have in common at one point, and where in its host they were seen.

use std::net::IpAddr;

use crate::{
    decode::{Datagram, Encapsulation, PacketType},
    protocols::Carrier,
    source::{Frame, FrameDirection},
};

/// What the packets of one flow share at one point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Flow {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// HDP source port.
    pub source_port: u16,
    /// HDP destination port.
    pub destination_port: u16,
    /// Protocol number on the wire.
    pub protocol: u8,
    /// What HDP rode on.
    pub carrier: Carrier,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Differentiated services code point.
    pub dscp: u8,
    /// Explicit congestion notification.
    pub ecn: u8,
    /// Whether these are first fragments, whose payload length is the fragment's.
    pub is_fragment: bool,
    /// What IP was wrapped in.
    pub encapsulation: Encapsulation,
    /// Where in the point's host the packets were seen.
    pub stage: Stage,
}

impl Flow {
    /// Of a datagram with these ports.
    pub(super) fn of(
        frame: &Frame,
        datagram: &Datagram,
        (source_port, destination_port): (u16, u16),
    ) -> Self {
        Self {
            source: datagram.source,
            destination: datagram.destination,
            source_port,
            destination_port,
            protocol: datagram.protocol,
            carrier: datagram.carrier,
            ttl: datagram.ttl,
            dscp: datagram.dscp,
            ecn: datagram.ecn,
            is_fragment: datagram.fragment.is_some(),
            encapsulation: datagram.encapsulation,
            stage: Stage::of(frame, datagram.packet_type, datagram.interface),
        }
    }

    /// Whether its packets go back to where the other's come from. Translation may exchange
    /// addresses, but never one for the other.
    #[must_use]
    pub(crate) fn is_reverse_of(&self, other: &Self) -> bool {
        self.source != self.destination
            && (self.source, self.destination) == (other.destination, other.source)
    }

    /// Whether one of its packets may be the reply to one of the other's, whose other address is translated.
    pub(crate) fn may_be_reverse_of(&self, other: &Self) -> bool {
        self.source != self.destination
            && (self.source == other.destination || self.destination == other.source)
    }
}

/// A place inside a point's host: a capture on all interfaces shows a forwarded packet at two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Stage {
    /// The capturing interface, meaningful in this capture only.
    pub interface: u32,
    /// In, out or overheard, where the capture tells.
    pub packet_type: Option<PacketType>,
}

impl Stage {
    /// Where a frame was captured, by its link layer or else by the capture's own record.
    pub(super) fn of(
        frame: &Frame,
        packet_type: Option<PacketType>,
        interface: Option<u32>,
    ) -> Self {
        Self {
            interface: interface.unwrap_or(frame.interface),
            packet_type: packet_type.or(frame.direction.map(|way| match way {
                FrameDirection::Inbound => PacketType::Host,
                FrameDirection::Outbound => PacketType::Outgoing,
            })),
        }
    }
}

/// A flow and what it belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlowEntry {
    /// The flow.
    pub flow: Flow,
    /// Index into [`Point::pairs`].
    pub pair: u32,
}
