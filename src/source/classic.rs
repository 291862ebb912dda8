//! pcap, the classic format: one link type, microseconds or nanoseconds, either byte order.

use pcap_parser::{PcapHeader, parse_pcap_header};

use super::{Interface, LinkType, Record, Step, Summary, input::Buffer};

const HEADER_LEN: usize = 24;
const RECORD_HEADER_LEN: usize = 16;

/// More than any interface hands over (USB captures go up to 128 MiB): a larger length is damage.
pub(super) const MAX_FRAME_LEN: u32 = 128 * 1024 * 1024;

/// The magic numbers: microseconds, nanoseconds and Kuznetzov's "modified" variant, which has
/// eight more bytes a record.
const MAGICS: [u32; 3] = [0xa1b2_c3d4, 0xa1b2_3c4d, 0xa1b2_cd34];

pub(super) fn is_magic(start: &[u8]) -> bool {
    start.first_chunk().is_some_and(|bytes| {
        MAGICS.contains(&u32::from_le_bytes(*bytes)) || MAGICS.contains(&u32::from_be_bytes(*bytes))
    })
}

/// What the file's header says.
pub(super) struct Classic {
    big_endian: bool,
    /// Nanoseconds a unit of the records' fraction field.
    unit_ns: i64,
    record_header_len: usize,
    link_type: LinkType,
}

impl Classic {
    /// Reads the file's header; what is wrong with it otherwise.
    pub(super) fn open(buffer: &mut Buffer, summary: &mut Summary) -> Result<Self, String> {
        buffer.need(HEADER_LEN, "the pcap header")?;
        let (_, header): (_, PcapHeader) = parse_pcap_header(&buffer.view()[..HEADER_LEN])
            .map_err(|error| format!("damaged pcap header: {error}"))?;
        buffer.consume(HEADER_LEN);
        let nanoseconds = header.is_nanosecond_precision();
        // The upper half of the field tells about frame check sequences; those are cut off with
        // the rest of what lies behind the IP datagram.
        let link_type = LinkType((header.network.0.cast_unsigned() & 0xffff) as u16);
        let classic = Self {
            big_endian: header.is_bigendian(),
            unit_ns: if nanoseconds { 1 } else { 1_000 },
            record_header_len: RECORD_HEADER_LEN + if header.is_modified_format() { 8 } else { 0 },
            link_type,
        };
        summary.add_interface(Interface {
            name: None,
            link_type,
            resolution_ns: classic.unit_ns.unsigned_abs(),
        });
        Ok(classic)
    }

    /// The next record, if all of it is in the buffer.
    #[inline(always)]
    pub(super) fn ready(&self, view: &[u8]) -> Option<Record> {
        let [seconds, fraction, captured_len, original_len] = self.four_words(view.first_chunk()?);
        let len = captured_len as usize;
        let is_there = view.len() >= self.record_header_len + len && captured_len <= MAX_FRAME_LEN;
        is_there.then_some(Record {
            time_ns: Some(i64::from(seconds) * 1_000_000_000 + i64::from(fraction) * self.unit_ns),
            link_type: self.link_type,
            interface: 0,
            direction: None,
            original_len,
            offset: self.record_header_len,
            len,
        })
    }

    #[cold]
    pub(super) fn step(&self, buffer: &mut Buffer) -> Step {
        self.record(buffer).unwrap_or_else(Step::Broken)
    }

    fn record(&self, buffer: &mut Buffer) -> Result<Step, String> {
        if buffer.at_end()? {
            return Ok(Step::End);
        }
        buffer.need(self.record_header_len, "a record header")?;
        let Some(header) = buffer.view().first_chunk() else {
            unreachable!("a record header is at least that long")
        };
        let [_, _, captured_len, _] = self.four_words(header);
        if captured_len > MAX_FRAME_LEN {
            return Err(format!(
                "damaged at byte {}: a record claims {captured_len} bytes",
                buffer.position()
            ));
        }
        buffer.need(self.record_header_len + captured_len as usize, "a record")?;
        Ok(self.ready(buffer.view()).map_or(Step::Other, Step::Frame))
    }

    /// The record header's fields; the modified format has more behind them.
    #[inline]
    fn four_words(&self, header: &[u8; RECORD_HEADER_LEN]) -> [u32; 4] {
        let (words, _) = header.as_chunks();
        std::array::from_fn(|i| {
            let word = u32::from_le_bytes(words[i]);
            if self.big_endian {
                word.swap_bytes()
            } else {
                word
            }
        })
    }
}
