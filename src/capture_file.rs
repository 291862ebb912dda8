//! Writing captures: pcapng (draft-ietf-opsawg-pcapng), little-endian, one section.
//!
//! The counterpart of [`crate::source`]: for what this tool saw itself, on one interface in
//! nanoseconds, and for frames that other tools captured, on as many interfaces as they had. It
//! knows nothing of what the bytes mean.

use std::io::{self, Write};

use crate::source::LinkType;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

const END_OF_OPTIONS: u16 = 0;
const OPT_COMMENT: u16 = 1;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_DESCRIPTION: u16 = 3;
const IF_TSRESOL: u16 = 9;
const ISB_STARTTIME: u16 = 2;
const ISB_ENDTIME: u16 = 3;
const ISB_OSDROP: u16 = 7;

/// A pcapng file that is being written.
#[derive(Debug)]
pub struct CaptureFile<W: Write> {
    out: W,
    /// The block that is being made; kept, so that a packet costs no allocation.
    block: Vec<u8>,
    /// Nanoseconds that a unit of each interface's times has.
    units_ns: Vec<u64>,
}

/// An interface as the file describes it.
#[derive(Debug, Clone, Copy)]
pub struct Interface<'a> {
    /// How the first bytes of its frames are to be read.
    pub link_type: LinkType,
    /// `if_name`.
    pub name: Option<&'a str>,
    /// `if_description`.
    pub description: &'a str,
    /// Resolution of its times in nanoseconds; what is no power of ten is written as 1.
    pub resolution_ns: u64,
}

/// Which interface of the file, by the order in which they were described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceId(u32);

/// A frame that was captured elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct Captured<'a> {
    /// Capture time in nanoseconds since the epoch, cut to the interface's resolution.
    pub time_ns: i64,
    /// Length on the wire in bytes.
    pub original_len: u32,
    /// What was captured.
    pub bytes: &'a [u8],
    /// Options of its packet block as they stand in a little-endian file, without an end.
    pub options: &'a [u8],
    /// One more comment.
    pub comment: Option<&'a str>,
}

impl<W: Write> CaptureFile<W> {
    /// Begins the file: who wrote it, and what its one interface is.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn begin(out: W, link_type: LinkType, description: &str) -> io::Result<Self> {
        let mut file = Self::without_interface(out)?;
        file.interface(Interface {
            link_type,
            name: None,
            description,
            resolution_ns: 1,
        })?;
        Ok(file)
    }

    /// Begins the file: who wrote it.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn without_interface(out: W) -> io::Result<Self> {
        let mut file = Self {
            out,
            block: Vec::new(),
            units_ns: Vec::new(),
        };
        file.block.extend(0x1a2b_3c4d_u32.to_le_bytes());
        file.block.extend([1, 0, 0, 0]); // version 1.0
        file.block.extend(u64::MAX.to_le_bytes()); // of unknown length
        let application = concat!("hdp ", env!("CARGO_PKG_VERSION"));
        file.option(SHB_USERAPPL, application.as_bytes());
        file.option(END_OF_OPTIONS, &[]);
        file.finish(SECTION_HEADER)?;
        Ok(file)
    }

    /// Describes one more interface.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn interface(&mut self, interface: Interface<'_>) -> io::Result<InterfaceId> {
        let digits = (0..=9).find(|&digits| 10_u64.pow(9 - digits) == interface.resolution_ns);
        let digits = digits.unwrap_or(9);
        self.block.extend(interface.link_type.0.to_le_bytes());
        self.block.extend([0; 2 + 4]); // reserved; no snapshot length
        if let Some(name) = interface.name {
            self.option(IF_NAME, name.as_bytes());
        }
        self.option(IF_DESCRIPTION, interface.description.as_bytes());
        self.option(IF_TSRESOL, &digits.to_le_bytes()[..1]); // 10^-digits s
        self.option(END_OF_OPTIONS, &[]);
        self.finish(INTERFACE_DESCRIPTION)?;
        self.units_ns.push(10_u64.pow(9 - digits));
        let described = u32::try_from(self.units_ns.len()).map_err(io::Error::other)?;
        Ok(InterfaceId(described - 1))
    }

    /// Writes one frame of one of the interfaces.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn frame(&mut self, interface: InterfaceId, frame: &Captured<'_>) -> io::Result<()> {
        let unit_ns = self.units_ns[interface.0 as usize];
        let units = frame.time_ns.max(0).unsigned_abs() / unit_ns;
        self.block.extend(interface.0.to_le_bytes());
        self.units(units);
        self.block.extend(length(frame.bytes)?.to_le_bytes());
        self.block.extend(frame.original_len.to_le_bytes());
        self.block.extend(frame.bytes);
        self.pad();
        self.block.extend(frame.options);
        if let Some(comment) = frame.comment {
            self.option(OPT_COMMENT, comment.as_bytes());
        }
        if !frame.options.is_empty() || frame.comment.is_some() {
            self.option(END_OF_OPTIONS, &[]);
        }
        self.finish(ENHANCED_PACKET)
    }

    /// Writes one packet, captured whole at `time_ns` (ns since the Unix epoch).
    ///
    /// # Errors
    /// Those of `out`.
    pub fn packet(&mut self, time_ns: i64, bytes: &[u8]) -> io::Result<()> {
        let len = length(bytes)?;
        self.block.extend(0_u32.to_le_bytes());
        self.time(time_ns);
        self.block.extend(len.to_le_bytes());
        self.block.extend(len.to_le_bytes());
        self.block.extend(bytes);
        self.pad();
        self.finish(ENHANCED_PACKET)
    }

    /// Ends the file with what the interface is known to have dropped, and when it was watched.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn end(mut self, watched_ns: (i64, i64), drops: Option<u64>) -> io::Result<()> {
        self.block.extend(0_u32.to_le_bytes());
        self.time(watched_ns.1);
        for (code, time_ns) in [(ISB_STARTTIME, watched_ns.0), (ISB_ENDTIME, watched_ns.1)] {
            self.block.extend(code.to_le_bytes());
            self.block.extend(8_u16.to_le_bytes());
            self.time(time_ns);
        }
        if let Some(drops) = drops {
            self.option(ISB_OSDROP, &drops.to_le_bytes());
        }
        self.option(END_OF_OPTIONS, &[]);
        self.finish(INTERFACE_STATISTICS)?;
        self.out.flush()
    }

    /// Lets readers have what was written so far.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// A time in nanoseconds. There are none before 1970.
    fn time(&mut self, time_ns: i64) {
        self.units(time_ns.max(0).unsigned_abs());
    }

    /// The upper half of a time stands before the lower one, whatever the byte order.
    fn units(&mut self, units: u64) {
        let mut bytes = units.to_le_bytes();
        bytes.rotate_left(4);
        self.block.extend(bytes);
    }

    /// Adds an option; what does not fit into one is cut.
    fn option(&mut self, code: u16, value: &[u8]) {
        let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.block.extend(code.to_le_bytes());
        self.block.extend(len.to_le_bytes());
        self.block.extend(&value[..len.into()]);
        self.pad();
    }

    fn pad(&mut self) {
        self.block.resize(self.block.len().next_multiple_of(4), 0);
    }

    /// Writes the block between its type and lengths.
    fn finish(&mut self, block_type: u32) -> io::Result<()> {
        let len = length(&self.block)?.saturating_add(12).to_le_bytes();
        self.out.write_all(&block_type.to_le_bytes())?;
        self.out.write_all(&len)?;
        self.out.write_all(&self.block)?;
        self.block.clear();
        self.out.write_all(&len)
    }
}

fn length(bytes: &[u8]) -> io::Result<u32> {
    u32::try_from(bytes.len()).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{FrameDirection, Origin, Source};

    #[test]
    fn what_is_written_is_read_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut capture = CaptureFile::begin(&file, LinkType::RAW, "raw sockets").unwrap();
        let packets = [(1_790_000_000_123_456_789, &b"12345"[..]), (0, b"")];
        for (time_ns, bytes) in packets {
            capture.packet(time_ns, bytes).unwrap();
        }
        capture
            .end((5, 1_800_000_000_000_000_000), Some(3))
            .unwrap();

        let mut source = Source::open(Origin::Path(file.path().to_owned())).unwrap();
        for (time_ns, bytes) in packets {
            let frame = source.next_frame().unwrap();
            assert_eq!(frame.time_ns, Some(time_ns));
            assert_eq!(frame.bytes, bytes);
            assert_eq!(frame.link_type, LinkType::RAW);
        }
        assert!(source.next_frame().is_none());
        let summary = source.summary();
        assert_eq!(summary.capture_drops, Some(3));
        assert_eq!(summary.watched_ns, Some((5, 1_800_000_000_000_000_000)));
        assert_eq!(summary.resolution_ns, Some(1));
        assert!(summary.warnings.is_empty(), "{:?}", summary.warnings);
    }

    #[test]
    fn frames_keep_their_interface_length_and_options() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut capture = CaptureFile::without_interface(&file).unwrap();
        let ids = [(LinkType(1), 1_000), (LinkType::RAW, 1)].map(|(link_type, resolution_ns)| {
            let interface = Interface {
                link_type,
                name: Some("router"),
                description: "",
                resolution_ns,
            };
            capture.interface(interface).unwrap()
        });
        // epb_flags: outbound.
        let options = [2, 0, 4, 0, 2, 0, 0, 0];
        for (id, bytes) in [(ids[1], &b"12345"[..]), (ids[0], b"123")] {
            let frame = Captured {
                time_ns: 1_790_000_000_123_456_789,
                original_len: 1500,
                bytes,
                options: &options,
                comment: Some("three"),
            };
            capture.frame(id, &frame).unwrap();
        }
        capture.flush().unwrap();

        let mut source = Source::open(Origin::Path(file.path().to_owned())).unwrap();
        for (interface, link_type, time_ns, bytes) in [
            (1, LinkType::RAW, 1_790_000_000_123_456_789, &b"12345"[..]),
            (0, LinkType(1), 1_790_000_000_123_456_000, b"123"),
        ] {
            let frame = source.next_frame().unwrap();
            assert_eq!((frame.interface, frame.link_type), (interface, link_type));
            assert_eq!((frame.time_ns, frame.bytes), (Some(time_ns), bytes));
            assert_eq!(frame.original_len, 1500);
            assert_eq!(frame.direction, Some(FrameDirection::Outbound));
            let mut found = Vec::new();
            source.append_packet_options(&mut found);
            assert_eq!(found, [&options[..], b"\x01\0\x05\0three\0\0\0"].concat());
        }
        assert!(source.next_frame().is_none());
        assert!(source.summary().warnings.is_empty());
    }
}
