//! Writing captures: pcapng (draft-ietf-opsawg-pcapng), one section.
//!
//! The counterpart of [`crate::source`] for what this tool saw itself, and for what it passes on of
//! other captures. It knows nothing of what the bytes mean.

use std::io::{self, Write};

use crate::source::{Frame, FrameDirection, Interface, LinkType, Section};

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
const IF_OS: u16 = 12;
const IF_HARDWARE: u16 = 15;
pub(crate) const EPB_FLAGS: u16 = 2;
pub(crate) const EPB_DROPCOUNT: u16 = 4;
const EPB_PACKET_ID: u16 = 5;
const ISB_STARTTIME: u16 = 2;
const ISB_ENDTIME: u16 = 3;
const ISB_OSDROP: u16 = 7;

/// A pcapng file that is being written.
#[derive(Debug)]
pub(crate) struct CaptureFile<W: Write> {
    out: W,
    interfaces: Vec<Declared>,
    /// The block that is being made; kept, so that a packet costs no allocation.
    block: Vec<u8>,
}

/// The options of a block in a little-endian file, each with its code, its padding among its bytes.
pub(crate) fn options(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let &[code_low, code_high, len_low, len_high] = bytes.first_chunk()?;
        let len = usize::from(u16::from_le_bytes([len_low, len_high]));
        let (option, rest) = bytes.split_at_checked(4 + len.next_multiple_of(4))?;
        bytes = rest;
        Some((u16::from_le_bytes([code_low, code_high]), option))
    })
}

/// A frame that was captured elsewhere, with all that its block said of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Captured<'a> {
    /// Capture time in nanoseconds since the epoch, cut to the interface's resolution.
    pub time_ns: i64,
    /// Length on the wire in bytes.
    pub original_len: u32,
    /// What was captured.
    pub bytes: &'a [u8],
    /// Options of its packet block as they stand in a little-endian file, without an end. A packet
    /// number among them is another file's, and is left out.
    pub options: &'a [u8],
    /// The packet's number (`epb_packetid`), the same in every frame that holds it.
    pub packet_id: Option<u64>,
    /// One more comment.
    pub comment: Option<&'a str>,
}

/// An interface that the file has described.
#[derive(Debug, Clone, Copy)]
struct Declared {
    /// Its index in the source of its frames.
    source: u32,
    /// Nanoseconds a unit of its times.
    unit_ns: u64,
}

impl<W: Write> CaptureFile<W> {
    /// Begins the file: who wrote it.
    ///
    /// # Errors
    /// Those of `out`.
    pub(crate) fn begin(out: W) -> io::Result<Self> {
        Self::begin_with(out, "")
    }

    /// Begins the file with a comment on the whole of it, unless that is empty.
    ///
    /// # Errors
    /// Those of `out`.
    pub(crate) fn begin_with(out: W, comment: &str) -> io::Result<Self> {
        let mut file = Self {
            out,
            interfaces: Vec::new(),
            block: Vec::new(),
        };
        file.block.extend(0x1a2b_3c4d_u32.to_le_bytes());
        file.block.extend([1, 0, 0, 0]); // version 1.0
        file.block.extend(u64::MAX.to_le_bytes()); // of unknown length
        let application = concat!("hdp ", env!("CARGO_PKG_VERSION"));
        if !comment.is_empty() {
            file.option(OPT_COMMENT, comment.as_bytes());
        }
        file.option(SHB_USERAPPL, application.as_bytes());
        file.option(END_OF_OPTIONS, &[]);
        file.finish(SECTION_HEADER)?;
        Ok(file)
    }

    /// Describes the source's next interface, the first one at first.
    ///
    /// # Errors
    /// Those of `out`.
    pub(crate) fn interface(&mut self, interface: &Interface, description: &str) -> io::Result<()> {
        let source = length(&self.interfaces)?;
        self.declare(source, interface, description, None)
    }

    /// Describes the next interface, of which the section that it comes from said more: here that
    /// is the interface's, for the file has one section only.
    ///
    /// # Errors
    /// Those of `out`.
    pub(crate) fn interface_of_section(
        &mut self,
        interface: &Interface,
        description: &str,
        section: &Section,
    ) -> io::Result<()> {
        let source = length(&self.interfaces)?;
        self.declare(source, interface, description, Some(section))
    }

    fn declare(
        &mut self,
        source: u32,
        interface: &Interface,
        description: &str,
        section: Option<&Section>,
    ) -> io::Result<()> {
        // Powers of ten from seconds to nanoseconds; others are written in nanoseconds.
        let power = |tenths: &u8| 10_u64.pow(u32::from(9 - tenths));
        let tenths = (0..=9).find(|tenths| power(tenths) == interface.resolution_ns);
        let tenths = tenths.unwrap_or(9);
        self.interfaces.push(Declared {
            source,
            unit_ns: power(&tenths),
        });
        // What most systems call raw IP has another number in files.
        let link_type = match interface.link_type {
            LinkType::RAW_DLT | LinkType::RAW_OPENBSD => LinkType::RAW,
            other => other,
        };
        self.block.extend(link_type.0.to_le_bytes());
        self.block.extend([0; 2 + 4]); // reserved; no snapshot length
        if let Some(name) = &interface.name {
            self.option(IF_NAME, name.as_bytes());
        }
        if !description.is_empty() {
            self.option(IF_DESCRIPTION, description.as_bytes());
        }
        self.option(IF_TSRESOL, &[tenths]);
        if let Some(section) = section {
            for comment in &section.comments {
                self.option(OPT_COMMENT, comment.as_bytes());
            }
            if let Some(os) = &section.os {
                self.option(IF_OS, os.as_bytes());
            }
            if let Some(hardware) = &section.hardware {
                self.option(IF_HARDWARE, hardware.as_bytes());
            }
        }
        self.option(END_OF_OPTIONS, &[]);
        self.finish(INTERFACE_DESCRIPTION)
    }

    /// Writes one packet of the first interface, captured whole at `time_ns` (ns since the Unix
    /// epoch).
    ///
    /// # Errors
    /// Those of `out`.
    #[cfg(any(test, feature = "cli"))]
    pub(crate) fn packet(&mut self, time_ns: i64, bytes: &[u8]) -> io::Result<()> {
        self.enhanced((0, time_ns), length(bytes)?, bytes, None)
    }

    /// Writes a frame that the interface captured; the interface is described when its first frame
    /// comes.
    ///
    /// # Errors
    /// Those of `out`, and one for a frame without a capture time, for which there is no place.
    pub(crate) fn frame(&mut self, frame: &Frame, interface: &Interface) -> io::Result<()> {
        let Some(time_ns) = frame.time_ns else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("frame {} has no capture time to be written", frame.number),
            ));
        };
        let known = |declared: &Declared| declared.source == frame.interface;
        let index = if let Some(index) = self.interfaces.iter().position(known) {
            index
        } else {
            self.declare(frame.interface, interface, "", None)?;
            self.interfaces.len() - 1
        };
        self.enhanced(
            (index, time_ns),
            frame.original_len,
            frame.bytes,
            frame.direction,
        )
    }

    /// Writes a frame of one of the interfaces that were described, by the order in which they
    /// were.
    ///
    /// # Errors
    /// Those of `out`.
    pub(crate) fn captured(&mut self, interface: usize, frame: &Captured) -> io::Result<()> {
        let at = (interface, frame.time_ns);
        self.begin_packet(at, frame.original_len, frame.bytes)?;
        let begin = self.block.len();
        for (code, option) in options(frame.options) {
            if code != EPB_PACKET_ID {
                self.block.extend(option);
            }
        }
        if let Some(id) = frame.packet_id {
            self.option(EPB_PACKET_ID, &id.to_le_bytes());
        }
        if let Some(comment) = frame.comment {
            self.option(OPT_COMMENT, comment.as_bytes());
        }
        if self.block.len() > begin {
            self.option(END_OF_OPTIONS, &[]);
        }
        self.finish(ENHANCED_PACKET)
    }

    fn enhanced(
        &mut self,
        at: (usize, i64),
        original_len: u32,
        bytes: &[u8],
        direction: Option<FrameDirection>,
    ) -> io::Result<()> {
        self.begin_packet(at, original_len, bytes)?;
        if let Some(direction) = direction {
            let flags: u32 = match direction {
                FrameDirection::Inbound => 1,
                FrameDirection::Outbound => 2,
            };
            self.option(EPB_FLAGS, &flags.to_le_bytes());
            self.option(END_OF_OPTIONS, &[]);
        }
        self.finish(ENHANCED_PACKET)
    }

    /// An enhanced packet block up to its options.
    fn begin_packet(
        &mut self,
        (interface, time_ns): (usize, i64),
        original_len: u32,
        bytes: &[u8],
    ) -> io::Result<()> {
        let index = u32::try_from(interface).map_err(io::Error::other)?;
        self.block.extend(index.to_le_bytes());
        self.time(interface, time_ns);
        self.block.extend(length(bytes)?.to_le_bytes());
        self.block.extend(original_len.to_le_bytes());
        self.block.extend(bytes);
        self.pad();
        Ok(())
    }

    /// Ends the file with what the first interface, if there is one, is known to have dropped, and
    /// when it was watched.
    ///
    /// # Errors
    /// Those of `out`.
    pub(crate) fn end(
        mut self,
        watched_ns: Option<(i64, i64)>,
        drops: Option<u64>,
    ) -> io::Result<()> {
        if let Some(watched_ns) = watched_ns.filter(|_| !self.interfaces.is_empty()) {
            self.statistics(0, watched_ns, drops)?;
        }
        self.out.flush()
    }

    /// Says of an interface, by the order in which they were described, when it was watched and
    /// what it is known to have dropped.
    ///
    /// # Errors
    /// Those of `out`.
    pub(crate) fn statistics(
        &mut self,
        interface: usize,
        (start_ns, end_ns): (i64, i64),
        drops: Option<u64>,
    ) -> io::Result<()> {
        let index = u32::try_from(interface).map_err(io::Error::other)?;
        self.block.extend(index.to_le_bytes());
        self.time(interface, end_ns);
        for (code, time_ns) in [(ISB_STARTTIME, start_ns), (ISB_ENDTIME, end_ns)] {
            self.block.extend(code.to_le_bytes());
            self.block.extend(8_u16.to_le_bytes());
            self.time(interface, time_ns);
        }
        if let Some(drops) = drops {
            self.option(ISB_OSDROP, &drops.to_le_bytes());
        }
        self.option(END_OF_OPTIONS, &[]);
        self.finish(INTERFACE_STATISTICS)
    }

    /// Lets readers have what was written so far.
    ///
    /// # Errors
    /// Those of `out`.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// A time in the interface's unit. Its upper half stands before the lower one, whatever the
    /// byte order. There are no times before 1970.
    fn time(&mut self, interface: usize, time_ns: i64) {
        let declared = self.interfaces.get(interface);
        let unit_ns = declared.map_or(1, |declared| declared.unit_ns);
        let mut bytes = (time_ns.max(0).unsigned_abs() / unit_ns).to_le_bytes();
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

fn length<T>(bytes: &[T]) -> io::Result<u32> {
    u32::try_from(bytes.len()).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Origin, Source};

    #[test]
    fn what_is_written_is_read_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut capture = CaptureFile::begin(&file).unwrap();
        let interface = Interface {
            name: None,
            link_type: LinkType::RAW_DLT,
            resolution_ns: 1,
        };
        capture.interface(&interface, "raw sockets").unwrap();
        let packets = [(1_790_000_000_123_456_789, &b"12345"[..]), (0, b"")];
        for (time_ns, bytes) in packets {
            capture.packet(time_ns, bytes).unwrap();
        }
        capture
            .end(Some((5, 1_800_000_000_000_000_000)), Some(3))
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
    fn drops_that_were_counted_twice_lie_between() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut capture = CaptureFile::begin(&file).unwrap();
        let interface = Interface {
            name: None,
            link_type: LinkType::RAW,
            resolution_ns: 1,
        };
        capture.interface(&interface, "").unwrap();
        for (until_ns, drops) in [(10, 3), (20, 3), (30, 7), (20, 7), (50, 8)] {
            capture.statistics(0, (5, until_ns), Some(drops)).unwrap();
        }
        capture.end(Some((5, 60)), Some(8)).unwrap();

        let mut source = Source::open(Origin::Path(file.path().to_owned())).unwrap();
        assert!(source.next_frame().is_none());
        let summary = source.summary();
        assert_eq!(summary.dropped_ns, [(20, 30), (20, 50)]);
        assert_eq!((summary.capture_drops, summary.placed_drops), (Some(8), 5));
        assert_eq!(summary.watched_ns, Some((5, 60)));
    }

    #[test]
    fn frames_keep_interface_resolution_direction_and_length() {
        let interfaces = [
            ("eth0", LinkType::EN10MB, 1_000),
            ("tun0", LinkType::RAW, 1),
        ]
        .map(|(name, link_type, resolution_ns)| Interface {
            name: Some(name.to_owned()),
            link_type,
            resolution_ns,
        });
        let frames = [
            (1, 1_790_000_000_123_456_789, None, 3),
            (
                0,
                1_790_000_000_123_456_000,
                Some(FrameDirection::Outbound),
                1_500,
            ),
        ]
        .map(|(interface, time_ns, direction, original_len)| Frame {
            number: 7,
            time_ns: Some(time_ns),
            link_type: interfaces[interface as usize].link_type,
            interface,
            direction,
            original_len,
            bytes: b"123",
        });
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut capture = CaptureFile::begin(&file).unwrap();
        for frame in &frames {
            let interface = &interfaces[frame.interface as usize];
            capture.frame(frame, interface).unwrap();
        }
        let timeless = Frame {
            time_ns: None,
            ..frames[0]
        };
        let error = capture.frame(&timeless, &interfaces[1]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "frame 7 has no capture time to be written"
        );
        capture.end(None, None).unwrap();

        let mut source = Source::open(Origin::Path(file.path().to_owned())).unwrap();
        for (number, frame) in (1..).zip(frames) {
            let read = source.next_frame().unwrap();
            // Interfaces are numbered as they come.
            let expected = Frame {
                number,
                interface: 1 - frame.interface,
                ..frame
            };
            assert_eq!(format!("{read:?}"), format!("{expected:?}"));
        }
        assert!(source.next_frame().is_none());
        let [first, second] = interfaces;
        assert_eq!(source.summary().interfaces, [second, first]);
    }

    #[test]
    fn frames_keep_their_interface_length_and_options() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut capture = CaptureFile::begin(&file).unwrap();
        for (link_type, resolution_ns) in [(LinkType(1), 1_000), (LinkType::RAW, 1)] {
            let interface = Interface {
                name: Some("router".to_owned()),
                link_type,
                resolution_ns,
            };
            capture.interface(&interface, "").unwrap();
        }
        // epb_flags: outbound.
        let options = [2, 0, 4, 0, 2, 0, 0, 0];
        for (interface, bytes) in [(1, &b"12345"[..]), (0, b"123")] {
            let frame = Captured {
                time_ns: 1_790_000_000_123_456_789,
                original_len: 1500,
                bytes,
                options: &options,
                packet_id: None,
                comment: Some("three"),
            };
            capture.captured(interface, &frame).unwrap();
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
