//! Logs as observation points: what a sender's system took, what a listener's system handed over.
//!
//! A sender's log sees what it sends and nothing else; a listener's sees what arrives under the
//! numbers that it listened to ([`Heard`]), and its own answers. Nothing is judged here: that a
//! number was refused is told as the log tells it ([`Claims`]).

use super::{Flow, Observer, Point, Stage};
use crate::{
    decode::{Encapsulation, PacketType},
    findings::PointKind,
    log::{Call, Direction, Drops, End, ListenStart, ReceivedPacket, SentPacket, Start},
    protocols::Carrier,
    source::{Line, Log},
};

/// What a log tells beyond the packets it saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    /// The kernel whose clock it read: points with the same one share a clock.
    pub boot_id: Option<String>,
    /// What the sender's system refused, by rising number.
    pub refused: Vec<Refused>,
    /// What the listener listened to; `None` of other points.
    pub heard: Option<Heard>,
    /// What the listener's sockets lost because they were full, HDP or not.
    pub overflows: Vec<Drops>,
}

/// Packets of one number that a system call refused for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The number that was asked for, which may exceed 255.
    pub requested: u16,
    /// What HDP was to ride on.
    pub carrier: Carrier,
    /// The call.
    pub call: Call,
    /// Its error number on the sender's system.
    pub errno: i32,
    /// Its symbol.
    pub name: String,
    /// How many packets.
    pub count: u64,
    /// Whether other packets of this request were sent.
    pub was_sent_too: bool,
}

/// The numbers that a listener had a socket for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Over IPv4 and over IPv6, by number.
    bare: [Vec<bool>; 2],
    /// The control, over IPv4 and over IPv6.
    control: [bool; 2],
}

impl Heard {
    fn of(start: &ListenStart) -> Self {
        let per_version = |version: u8| {
            let is_asked = start.versions.contains(&version);
            let hears = |number: u16| {
                is_asked
                    && start.protocols.contains(&number)
                    && !start
                        .unavailable
                        .iter()
                        .any(|lacking| (lacking.version, lacking.protocol) == (version, number))
            };
            (0..=255).map(hears).collect()
        };
        Self {
            bare: [per_version(4), per_version(6)],
            control: [4, 6].map(|version| start.versions.contains(&version)),
        }
    }

    /// Whether packets of this flow were listened for.
    #[must_use]
    pub(crate) fn includes(&self, flow: &Flow) -> bool {
        let version = usize::from(flow.destination.is_ipv6());
        match flow.carrier {
            Carrier::Ip => self.bare[version][usize::from(flow.protocol)],
            Carrier::Udp => self.control[version],
        }
    }
}

impl Point {
    /// Reads a log to its end.
    #[must_use]
    pub(crate) fn of_log(mut log: Log, name: String, source: String) -> Self {
        let mut observer = Observer::default();
        let mut requests = Requests::default();
        let mut drops = 0;
        let mut overflows = Vec::new();
        let (kind, origin, heard) = match log.start() {
            Start::Send(start) => (PointKind::SendLog, &start.origin, None),
            Start::Listen(start) => {
                let heard = Some(Heard::of(start));
                (PointKind::ListenLog, &start.origin, heard)
            }
        };
        let boot_id = origin.boot_id.clone();
        observer.coverage.extend(origin.started_ns);
        while let Some((number, line)) = log.next_line() {
            observer.frames += 1;
            match line {
                Line::Sent(packet) => {
                    requests.note(&packet);
                    observer.sent(number, &packet);
                }
                Line::Received(packet) => {
                    drops += u64::from(packet.drops);
                    observer.received(number, &packet);
                }
            }
        }
        let mut summary = log.summarize();
        match log.end() {
            Some(End::Send(end)) => observer.coverage.extend(end.ended_ns),
            Some(End::Listen(end)) => {
                observer.coverage.extend(end.ended_ns);
                observer.frames += end.not_hdp;
                observer.skipped.not_hdp = end.not_hdp;
                summary.capture_drops = end.capture_drops;
                overflows.clone_from(&end.drops);
            }
            None if drops > 0 => summary.capture_drops = Some(drops),
            None => {}
        }
        Self {
            kind,
            claims: Claims {
                boot_id,
                refused: requests.into_refused(),
                heard,
                overflows,
            },
            ..observer.finish(name, source, summary)
        }
    }
}

impl Observer {
    fn sent(&mut self, line: u64, packet: &SentPacket) {
        let time_ns = i64::try_from(packet.timestamp_ns).unwrap_or(i64::MAX);
        self.coverage.extend(time_ns);
        // What was refused never left: it is no sighting.
        let (None, Some(protocol), Some(source)) = (packet.errno, packet.protocol, packet.src)
        else {
            return;
        };
        let flow = self.intern(&Flow {
            source,
            destination: packet.dst,
            source_port: packet.srcport,
            destination_port: packet.dstport,
            protocol,
            carrier: packet.carrier,
            ttl: packet.ttl.unwrap_or(0),
            dscp: packet.dscp,
            ecn: 0,
            is_fragment: false,
            encapsulation: Encapsulation::default(),
            stage: stage(PacketType::Outgoing),
        });
        self.place(
            (line, time_ns),
            (flow, self.briefs[flow as usize]),
            packet.timestamp_ns,
            (None, packet.payload.as_bytes(), packet.payload_len),
        );
    }

    fn received(&mut self, line: u64, packet: &ReceivedPacket) {
        self.coverage.extend(packet.time_ns);
        let flow = self.intern(&Flow {
            source: packet.src,
            destination: packet.dst,
            source_port: packet.srcport,
            destination_port: packet.dstport,
            protocol: packet.protocol,
            carrier: packet.carrier,
            ttl: packet.ttl.unwrap_or(0),
            dscp: packet.dscp.unwrap_or(0),
            ecn: packet.ecn.unwrap_or(0),
            is_fragment: false,
            encapsulation: Encapsulation::default(),
            stage: stage(match packet.direction {
                Direction::In => PacketType::Host,
                Direction::Out => PacketType::Outgoing,
            }),
        });
        self.place(
            (line, packet.time_ns),
            (flow, self.briefs[flow as usize]),
            packet.timestamp_ns,
            (packet.ip_id, packet.payload.as_bytes(), packet.payload_len),
        );
    }
}

/// A program stands at one place of its host.
fn stage(packet_type: PacketType) -> Stage {
    Stage {
        interface: 0,
        packet_type: Some(packet_type),
    }
}

/// What became of a sender's requests.
#[derive(Debug, Default)]
struct Requests {
    sent: Vec<(u16, Carrier)>,
    refused: Vec<Refused>,
}

impl Requests {
    fn note(&mut self, packet: &SentPacket) {
        let SentPacket {
            requested, carrier, ..
        } = *packet;
        let (Some(call), Some(errno)) = (packet.call, packet.errno) else {
            if !self.sent.contains(&(requested, carrier)) {
                self.sent.push((requested, carrier));
            }
            return;
        };
        let known = self.refused.iter_mut().find(|known| {
            (known.requested, known.carrier, known.call, known.errno)
                == (requested, carrier, call, errno)
        });
        match known {
            Some(known) => known.count += 1,
            None => self.refused.push(Refused {
                requested,
                carrier,
                call,
                errno,
                name: packet.name.map(|name| name.to_string()).unwrap_or_default(),
                count: 1,
                was_sent_too: false,
            }),
        }
    }

    fn into_refused(mut self) -> Vec<Refused> {
        for refused in &mut self.refused {
            refused.was_sent_too = self.sent.contains(&(refused.requested, refused.carrier));
        }
        // Stable: several reasons stay in the order of their appearance.
        self.refused
            .sort_by_key(|refused| (refused.requested, refused.carrier));
        self.refused
    }
}
