//! The files: what a point recorded, as the bytes of a capture.

use hdp::source::FrameDirection;

use super::{
    super::{
        capture::{
            ByteOrder, Capture, Format, Interface, ORDERS, OwnedFrame, PacketBlock, Pcapng,
            Resolution, Statistics,
        },
        frames::{Link, Network, vlan},
    },
    Random, Recorder, Shows, Watched,
    points::{Drops, Side, Tap},
};

/// A capture file and what its frames show.
#[derive(Debug)]
pub struct CaptureFile {
    pub bytes: Vec<u8>,
    /// By frame number, less one.
    pub shows: Vec<Shows>,
    /// What the file does to capture times.
    pub resolution_ns: i64,
}

/// How frames are framed.
struct Framing {
    link: Link,
    vlan: Option<u16>,
    /// Two interfaces, and a word on each frame's direction.
    has_interfaces: bool,
}

/// How the file is written.
#[derive(Debug, Clone, Copy)]
struct Style {
    format: Format,
    resolution: Resolution,
    /// When the capture began and ended, in so many words.
    states_times: bool,
    states_drops: bool,
}

impl CaptureFile {
    pub fn new(recorder: &Recorder, watched: &Watched, random: &mut Random) -> Self {
        let style = Style::draw(recorder.drops, random);
        let framing = Framing::draw(recorder.tap, style.format, random);
        let frames: Vec<OwnedFrame> = watched
            .shots
            .iter()
            .map(|shot| {
                let time_ns = recorder.clock.shows(shot.at_ns);
                framing.frame(&shot.network, shot.side, time_ns, recorder.keeps)
            })
            .collect();
        let interface = Interface {
            link_type: framing.link.link_type(),
            resolution: style.resolution,
            offset_seconds: 0,
        };
        let interfaces = vec![interface; if framing.has_interfaces { 2 } else { 1 }];
        let resolution_ns = match (style.format, style.resolution) {
            (
                Format::Pcap {
                    nanoseconds: true, ..
                },
                _,
            )
            | (Format::Pcapng { .. }, Resolution::Decimal(9)) => 1,
            _ => 1_000,
        };
        let bytes = match style.format {
            Format::Pcapng {
                order,
                block: PacketBlock::Enhanced,
            } => pcapng(order, &interfaces, &frames, (recorder, watched), style),
            format => Capture { interfaces, frames }.to_bytes(format),
        };
        Self {
            bytes,
            shows: watched.shots.iter().map(|shot| shot.shows).collect(),
            resolution_ns,
        }
    }
}

impl Style {
    fn draw(drops: Option<Drops>, random: &mut Random) -> Self {
        let order = random.pick(&ORDERS);
        let pcap = Format::Pcap {
            order,
            nanoseconds: random.happens(500),
        };
        let enhanced = Format::Pcapng {
            order,
            block: PacketBlock::Enhanced,
        };
        let obsolete = Format::Pcapng {
            order,
            block: PacketBlock::Obsolete,
        };
        let format = match drops {
            Some(Drops {
                are_counted: false, ..
            }) => pcap,
            Some(_) => enhanced,
            None => random.pick(&[pcap, pcap, enhanced, enhanced, obsolete]),
        };
        Self {
            format,
            resolution: random.pick(&[
                Resolution::Decimal(9),
                Resolution::Decimal(6),
                Resolution::Unsaid,
                Resolution::Binary(30),
            ]),
            states_times: random.happens(300),
            states_drops: random.happens(500),
        }
    }
}

impl Framing {
    fn draw(tap: Tap, format: Format, random: &mut Random) -> Self {
        let cooked = [
            Link::Sll { packet_type: 0 },
            Link::Sll2 {
                packet_type: 0,
                interface: 2,
            },
        ];
        let tells_direction = matches!(format, Format::Pcapng { .. });
        let (link, has_interfaces) = match tap {
            Tap::Any if tells_direction && random.happens(300) => (Link::ETHERNET, true),
            Tap::Any | Tap::Promiscuous => (cooked[random.below(2)].clone(), false),
            Tap::Interface | Tap::Mirror { .. } => {
                let links = [
                    Link::ETHERNET,
                    Link::Ethernet {
                        padded: true,
                        fcs: false,
                    },
                    Link::Ethernet {
                        padded: true,
                        fcs: true,
                    },
                    cooked[0].clone(),
                    cooked[1].clone(),
                ];
                (links[random.below(links.len())].clone(), false)
            }
        };
        let can_tag = matches!(link, Link::Ethernet { .. }) && random.happens(250);
        Self {
            link,
            vlan: can_tag.then_some(5),
            has_interfaces,
        }
    }

    fn frame(
        &self,
        network: &Network,
        side: Side,
        time_ns: i64,
        keeps: Option<usize>,
    ) -> OwnedFrame {
        let packet_type = match side {
            Side::In => 0,
            Side::OtherHost => 3,
            Side::Out => 4,
        };
        let interface = u32::from(side == Side::Out);
        let link = match self.link {
            Link::Sll { .. } => Link::Sll { packet_type },
            Link::Sll2 { .. } => Link::Sll2 {
                packet_type: u8::try_from(packet_type).unwrap(),
                interface: 2 + interface,
            },
            ref link => link.clone(),
        };
        let frame = match self.vlan {
            Some(id) => link.frame(&vlan(id, network)),
            None => link.frame(network),
        };
        let mut owned = OwnedFrame::new(time_ns, frame);
        if let Some(keeps) = keeps {
            let before_ip = match self.link {
                Link::Sll { .. } => 16,
                Link::Sll2 { .. } => 20,
                _ => 14 + if self.vlan.is_some() { 4 } else { 0 },
            };
            owned.bytes.truncate(before_ip + keeps);
        }
        if self.has_interfaces {
            owned.interface = interface;
            owned.direction = Some(match side {
                Side::In | Side::OtherHost => FrameDirection::Inbound,
                Side::Out => FrameDirection::Outbound,
            });
        }
        owned
    }
}

/// A capture with what pcapng can say beyond frames.
fn pcapng(
    order: ByteOrder,
    interfaces: &[Interface],
    frames: &[OwnedFrame],
    (recorder, watched): (&Recorder, &Watched),
    style: Style,
) -> Vec<u8> {
    let mut file = Pcapng::new(order);
    for interface in interfaces {
        file.interface(*interface);
    }
    let counts = recorder.drops.is_some_and(|drops| drops.are_counted);
    // Counted where it happened, or in all at the end.
    let counts_in_frames = counts && style.states_times == style.states_drops;
    for (frame, shot) in frames.iter().zip(&watched.shots) {
        let dropped = Some(shot.dropped_before).filter(|&n| counts_in_frames && n > 0);
        file.enhanced(frame, dropped);
    }
    let at = |at_ns| recorder.clock.shows(at_ns);
    let statistics = Statistics {
        ifdrop: (counts || style.states_drops).then_some(watched.dropped),
        osdrop: None,
        watched_ns: style
            .states_times
            .then(|| (at(recorder.runs.start), at(recorder.runs.end))),
    };
    file.statistics(0, statistics);
    file.into_bytes()
}
