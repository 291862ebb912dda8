//! Writing captures: pcapng with nanoseconds (draft-ietf-opsawg-pcapng), one interface.
//!
//! The counterpart of [`crate::source`] for what this tool saw itself. It knows nothing of what the
//! bytes mean.

use std::io::{self, Write};

use crate::source::LinkType;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

const END_OF_OPTIONS: u16 = 0;
const SHB_USERAPPL: u16 = 4;
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
}

impl<W: Write> CaptureFile<W> {
    /// Begins the file: who wrote it, and what its one interface is.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn begin(out: W, link_type: LinkType, description: &str) -> io::Result<Self> {
        let mut file = Self {
            out,
            block: Vec::new(),
        };
        file.block.extend(0x1a2b_3c4d_u32.to_le_bytes());
        file.block.extend([1, 0, 0, 0]); // version 1.0
        file.block.extend(u64::MAX.to_le_bytes()); // of unknown length
        let application = concat!("hdp ", env!("CARGO_PKG_VERSION"));
        file.option(SHB_USERAPPL, application.as_bytes());
        file.option(END_OF_OPTIONS, &[]);
        file.finish(SECTION_HEADER)?;
        file.block.extend(link_type.0.to_le_bytes());
        file.block.extend([0; 2 + 4]); // reserved; no snapshot length
        file.option(IF_DESCRIPTION, description.as_bytes());
        file.option(IF_TSRESOL, &[9]); // 10^-9 s
        file.option(END_OF_OPTIONS, &[]);
        file.finish(INTERFACE_DESCRIPTION)?;
        Ok(file)
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

    /// The upper half of a time stands before the lower one, whatever the byte order. There are no
    /// times before 1970.
    fn time(&mut self, time_ns: i64) {
        let mut bytes = time_ns.max(0).to_le_bytes();
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
    use crate::source::{Origin, Source};

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
}
