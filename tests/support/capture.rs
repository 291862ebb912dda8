//! Captures in memory, written as pcap or pcapng in every variation that the tool reads.
//!
//! The writers know nothing of `src/source`; only [`Capture::read`] goes through it.

use std::{fs, io::Write as _, path::Path};

use hdp::source::{FrameDirection, Origin, Source};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

/// A capture in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    pub interfaces: Vec<Interface>,
    pub frames: Vec<OwnedFrame>,
}

/// A captured frame that borrows nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedFrame {
    /// Nanoseconds since the epoch.
    pub time_ns: i64,
    /// Index into [`Capture::interfaces`].
    pub interface: u32,
    /// Length on the wire.
    pub original_len: u32,
    pub bytes: Vec<u8>,
    pub direction: Option<FrameDirection>,
}

/// An interface as a pcapng section describes it; a pcap file keeps the link type alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface {
    pub link_type: u16,
    /// `if_tsresol`.
    pub resolution: Resolution,
    /// `if_tsoffset`, seconds.
    pub offset_seconds: i64,
}

/// Units of a second, as `if_tsresol` writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// No `if_tsresol` at all, which means microseconds.
    Unsaid,
    /// Ten to the minus this.
    Decimal(u8),
    /// Two to the minus this.
    Binary(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    Little,
    Big,
}

/// A file format with its variations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Pcap {
        order: ByteOrder,
        nanoseconds: bool,
    },
    Pcapng {
        order: ByteOrder,
        block: PacketBlock,
    },
}

/// Which pcapng block carries a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketBlock {
    Enhanced,
    /// Without time, interface (always the first) and direction.
    Simple,
    Obsolete,
}

/// What is wrapped around the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Gzip,
    Zstd,
}

pub const ORDERS: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];
pub const PACKINGS: [Packing; 3] = [Packing::Plain, Packing::Gzip, Packing::Zstd];

impl Capture {
    /// An empty capture of one interface that counts nanoseconds.
    pub fn new(link_type: u16) -> Self {
        Self {
            interfaces: vec![Interface::new(link_type)],
            frames: Vec::new(),
        }
    }

    /// Adds a frame of the first interface that was captured whole.
    pub fn push(&mut self, time_ns: i64, bytes: impl Into<Vec<u8>>) {
        self.frames.push(OwnedFrame::new(time_ns, bytes));
    }

    /// Reads a capture file through the library, to convert it.
    pub fn read(path: &Path) -> Self {
        let mut source = Source::open(Origin::Path(path.to_owned())).unwrap();
        let mut interfaces = Vec::new();
        let mut frames = Vec::new();
        while let Some(frame) = source.next_frame() {
            let index = frame.interface as usize;
            // An interface without a frame takes the link type of the next one that has some.
            while interfaces.len() <= index {
                interfaces.push(Interface::new(frame.link_type.0));
            }
            interfaces[index].link_type = frame.link_type.0;
            frames.push(OwnedFrame {
                time_ns: frame
                    .time_ns
                    .expect("only frames with a time can be converted"),
                interface: frame.interface,
                original_len: frame.original_len,
                bytes: frame.bytes.to_owned(),
                direction: frame.direction,
            });
        }
        let summary = source.summary();
        assert!(summary.warnings.is_empty(), "{:?}", summary.warnings);
        if interfaces.is_empty() {
            // An empty pcapng need not describe an interface.
            let link_type = summary
                .link_types
                .first()
                .map_or(1, |link_type| link_type.0);
            interfaces.push(Interface::new(link_type));
        }
        Self { interfaces, frames }
    }

    /// This capture with the frames of `other` among its own, in order of time; of frames with
    /// the same time, its own come first.
    pub fn mixed_with(&self, other: &Self) -> Self {
        let mut mixed = self.clone();
        let first = u32::try_from(mixed.interfaces.len()).unwrap();
        mixed.interfaces.extend(&other.interfaces);
        mixed
            .frames
            .extend(other.frames.iter().map(|frame| OwnedFrame {
                interface: first + frame.interface,
                ..frame.clone()
            }));
        mixed.frames.sort_by_key(|frame| frame.time_ns);
        mixed
    }

    /// The file's bytes.
    pub fn to_bytes(&self, format: Format) -> Vec<u8> {
        match format {
            Format::Pcap { order, nanoseconds } => self.pcap(order, nanoseconds),
            Format::Pcapng { order, block } => self.pcapng(order, block),
        }
    }

    /// Writes the file.
    pub fn write(&self, path: &Path, format: Format, packing: Packing) {
        fs::write(path, packing.pack(&self.to_bytes(format))).unwrap();
    }

    fn pcap(&self, order: ByteOrder, nanoseconds: bool) -> Vec<u8> {
        let link_type = self.interfaces[0].link_type;
        assert!(
            self.interfaces.iter().all(|i| i.link_type == link_type),
            "a pcap file has one link type"
        );
        let (magic, unit) = if nanoseconds {
            (0xa1b2_3c4d, 1)
        } else {
            (0xa1b2_c3d4, 1_000)
        };
        let mut file = Writer::new(order);
        file.u32(magic);
        file.u16(2);
        file.u16(4);
        file.u32(0);
        file.u32(0);
        file.u32(262_144);
        file.u32(link_type.into());
        for frame in &self.frames {
            let seconds = frame.time_ns.div_euclid(1_000_000_000);
            file.u32(u32::try_from(seconds).expect("pcap times lie between 1970 and 2106"));
            file.u32(u32::try_from(frame.time_ns.rem_euclid(1_000_000_000) / unit).unwrap());
            file.u32(frame.captured_len());
            file.u32(frame.original_len);
            file.bytes.extend(&frame.bytes);
        }
        file.bytes
    }

    fn pcapng(&self, order: ByteOrder, block: PacketBlock) -> Vec<u8> {
        let mut file = Pcapng::new(order);
        for interface in &self.interfaces {
            file.interface(*interface);
        }
        for frame in &self.frames {
            match block {
                PacketBlock::Enhanced => file.enhanced(frame, None),
                PacketBlock::Simple => file.simple(frame),
                PacketBlock::Obsolete => file.obsolete(frame, 0),
            }
        }
        file.into_bytes()
    }
}

impl OwnedFrame {
    /// A frame of the first interface that was captured whole.
    pub fn new(time_ns: i64, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self {
            time_ns,
            interface: 0,
            original_len: u32::try_from(bytes.len()).unwrap(),
            bytes,
            direction: None,
        }
    }

    fn captured_len(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap()
    }

    /// `epb_flags`.
    fn flags(&self) -> Option<u32> {
        self.direction.map(|direction| match direction {
            FrameDirection::Inbound => 1,
            FrameDirection::Outbound => 2,
        })
    }
}

impl Interface {
    /// Counts nanoseconds from the epoch.
    pub fn new(link_type: u16) -> Self {
        Self {
            link_type,
            resolution: Resolution::Decimal(9),
            offset_seconds: 0,
        }
    }

    /// The time in this interface's units, as packet blocks write it.
    fn units(self, time_ns: i64) -> u64 {
        let since = i128::from(time_ns) - i128::from(self.offset_seconds) * 1_000_000_000;
        let units = (since * i128::from(self.resolution.per_second())).div_euclid(1_000_000_000);
        units
            .try_into()
            .expect("a time that the interface's units can say")
    }

    /// What is left of a time once it was written in this interface's units.
    pub fn rounded(self, time_ns: i64) -> i64 {
        let per_second = i128::from(self.resolution.per_second());
        let since = i128::from(self.units(time_ns)) * 1_000_000_000 / per_second;
        i64::try_from(since).unwrap() + self.offset_seconds * 1_000_000_000
    }
}

impl Resolution {
    fn per_second(self) -> u64 {
        match self {
            Self::Unsaid => 1_000_000,
            Self::Decimal(exponent) => 10_u64.pow(exponent.into()),
            Self::Binary(exponent) => 1 << exponent,
        }
    }
}

impl Format {
    /// pcap in microseconds and nanoseconds, pcapng with enhanced and obsolete packet blocks, each
    /// in both byte orders: all that keep the frames' times.
    pub const WITH_TIME: [Self; 8] = {
        const fn of(order: ByteOrder) -> [Format; 4] {
            [
                Format::Pcap {
                    order,
                    nanoseconds: false,
                },
                Format::Pcap {
                    order,
                    nanoseconds: true,
                },
                Format::Pcapng {
                    order,
                    block: PacketBlock::Enhanced,
                },
                Format::Pcapng {
                    order,
                    block: PacketBlock::Obsolete,
                },
            ]
        }
        let [a, b, c, d] = of(ByteOrder::Little);
        let [e, f, g, h] = of(ByteOrder::Big);
        [a, b, c, d, e, f, g, h]
    };
}

impl Packing {
    pub fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => bytes.to_owned(),
            Self::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Self::Zstd => compress_to_vec(bytes, CompressionLevel::Fastest),
        }
    }
}

/// A pcapng file, written block by block.
pub struct Pcapng {
    file: Writer,
    /// Interfaces described in all sections so far.
    interfaces: Vec<Interface>,
    /// Where in them this section's begin.
    section_start: usize,
}

/// What an interface statistics block may say.
#[derive(Debug, Clone, Copy, Default)]
pub struct Statistics {
    pub ifdrop: Option<u64>,
    pub osdrop: Option<u64>,
    /// `isb_starttime` and `isb_endtime`, nanoseconds since the epoch.
    pub watched_ns: Option<(i64, i64)>,
}

impl Pcapng {
    /// A file with the header of its first section.
    pub fn new(order: ByteOrder) -> Self {
        let mut file = Self {
            file: Writer::new(order),
            interfaces: Vec::new(),
            section_start: 0,
        };
        file.section(order);
        file
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.file.bytes
    }

    /// Section header block. The interfaces described from here on belong to it.
    pub fn section(&mut self, order: ByteOrder) {
        self.file.order = order;
        self.section_start = self.interfaces.len();
        let mut body = Writer::new(order);
        body.u32(0x1a2b_3c4d);
        body.u16(1);
        body.u16(0);
        body.u64(u64::MAX); // the section's length: not said
        body.option(4, b"hdp tests");
        body.end_of_options();
        self.block(0x0a0d_0d0a, &body.bytes);
    }

    /// Interface description block.
    pub fn interface(&mut self, interface: Interface) {
        self.interfaces.push(interface);
        let mut body = Writer::new(self.file.order);
        body.u16(interface.link_type);
        body.u16(0);
        body.u32(262_144);
        body.option(2, b"eth0"); // if_name
        match interface.resolution {
            Resolution::Unsaid => {}
            Resolution::Decimal(exponent) => body.option(9, &[exponent]),
            Resolution::Binary(exponent) => body.option(9, &[0x80 | exponent]),
        }
        if interface.offset_seconds != 0 {
            body.option_u64(14, interface.offset_seconds.cast_unsigned());
        }
        body.end_of_options();
        self.block(1, &body.bytes);
    }

    /// Enhanced packet block, with `epb_flags` where the direction is known and `epb_dropcount`
    /// where it is given.
    pub fn enhanced(&mut self, frame: &OwnedFrame, dropcount: Option<u64>) {
        let mut body = Writer::new(self.file.order);
        body.u32(u32::try_from(self.id(frame)).unwrap());
        self.timed(&mut body, frame);
        if let Some(flags) = frame.flags() {
            body.option_u32(2, flags);
        }
        if let Some(count) = dropcount {
            body.option_u64(4, count);
        }
        body.end_of_options();
        self.block(6, &body.bytes);
    }

    /// The packet block that the enhanced one replaced; `drops` is 0xffff where not known.
    pub fn obsolete(&mut self, frame: &OwnedFrame, drops: u16) {
        let mut body = Writer::new(self.file.order);
        body.u16(u16::try_from(self.id(frame)).unwrap());
        body.u16(drops);
        self.timed(&mut body, frame);
        if let Some(flags) = frame.flags() {
            body.option_u32(2, flags);
            body.end_of_options();
        }
        self.block(2, &body.bytes);
    }

    /// Simple packet block: the section's first interface, no time, no direction.
    pub fn simple(&mut self, frame: &OwnedFrame) {
        assert_eq!(self.id(frame), 0, "a simple packet block has no interface");
        let mut body = Writer::new(self.file.order);
        body.u32(frame.original_len);
        body.padded(&frame.bytes);
        self.block(3, &body.bytes);
    }

    /// Interface statistics block of one of the file's interfaces, counted over all sections.
    pub fn statistics(&mut self, interface: u32, statistics: Statistics) {
        let described = self.interfaces[interface as usize];
        let mut body = Writer::new(self.file.order);
        body.u32(interface - u32::try_from(self.section_start).unwrap());
        body.u64_high_first(0);
        if let Some((start, end)) = statistics.watched_ns {
            for (code, time_ns) in [(2, start), (3, end)] {
                let mut time = Writer::new(self.file.order);
                time.u64_high_first(described.units(time_ns));
                body.option(code, &time.bytes);
            }
        }
        if let Some(count) = statistics.ifdrop {
            body.option_u64(5, count);
        }
        if let Some(count) = statistics.osdrop {
            body.option_u64(7, count);
        }
        body.end_of_options();
        self.block(5, &body.bytes);
    }

    /// A block of any type; `body` is filled up to 32 bits.
    pub fn block(&mut self, kind: u32, body: &[u8]) {
        let len = u32::try_from(12 + body.len().next_multiple_of(4)).unwrap();
        self.file.u32(kind);
        self.file.u32(len);
        self.file.padded(body);
        self.file.u32(len);
    }

    /// The frame's interface as its section counts.
    fn id(&self, frame: &OwnedFrame) -> usize {
        frame.interface as usize - self.section_start
    }

    /// What enhanced and obsolete packet blocks have in common.
    fn timed(&self, body: &mut Writer, frame: &OwnedFrame) {
        let interface = self.interfaces[frame.interface as usize];
        body.u64_high_first(interface.units(frame.time_ns));
        body.u32(u32::try_from(frame.bytes.len()).unwrap());
        body.u32(frame.original_len);
        body.padded(&frame.bytes);
    }
}

/// Bytes with integers in one byte order.
struct Writer {
    order: ByteOrder,
    bytes: Vec<u8>,
}

impl Writer {
    fn new(order: ByteOrder) -> Self {
        Self {
            order,
            bytes: Vec::new(),
        }
    }

    fn u16(&mut self, value: u16) {
        self.bytes.extend(match self.order {
            ByteOrder::Little => value.to_le_bytes(),
            ByteOrder::Big => value.to_be_bytes(),
        });
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend(match self.order {
            ByteOrder::Little => value.to_le_bytes(),
            ByteOrder::Big => value.to_be_bytes(),
        });
    }

    fn u64(&mut self, value: u64) {
        self.bytes.extend(match self.order {
            ByteOrder::Little => value.to_le_bytes(),
            ByteOrder::Big => value.to_be_bytes(),
        });
    }

    /// Two 32-bit words, the upper half first in either byte order: how pcapng writes times.
    fn u64_high_first(&mut self, value: u64) {
        self.u32((value >> 32) as u32);
        self.u32((value & 0xffff_ffff) as u32);
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        self.u16(code);
        self.u16(u16::try_from(value.len()).unwrap());
        self.padded(value);
    }

    fn option_u32(&mut self, code: u16, value: u32) {
        self.u16(code);
        self.u16(4);
        self.u32(value);
    }

    fn option_u64(&mut self, code: u16, value: u64) {
        self.u16(code);
        self.u16(8);
        self.u64(value);
    }

    fn end_of_options(&mut self) {
        self.u32(0);
    }
}
