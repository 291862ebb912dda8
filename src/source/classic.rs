//! pcap, the classic format: one link type, microseconds or nanoseconds, either byte order.

use pcap_parser::{PcapHeader, parse_pcap_header};

use super::{Interface, LinkType, Record, Step, Summary, input::Buffer, magic};

const HEADER_LEN: usize = 24;
const RECORD_HEADER_LEN: usize = 16;

/// More than any interface hands over (USB captures go up to 128 MiB): a larger length is damage.
pub(super) const MAX_FRAME_LEN: u32 = 128 * 1024 * 1024;

/// A record that follows another by more seconds is none, where it is doubtful whether there is one.
const A_DAY: u32 = 86_400;

/// Microseconds in a second: more is no fraction of one.
const MOST_MICROSECONDS: u32 = 999_999;

/// So much of what follows damage is looked at for its cause.
const LOOKED_AT: usize = 4096;

/// What the file's header says.
pub(super) struct Classic {
    big_endian: bool,
    /// Nanoseconds a unit of the records' fraction field.
    unit_ns: i64,
    /// A larger fraction is none.
    most_units: u32,
    record_header_len: usize,
    /// Whether a captured length was wrong, which is said once.
    has_wrong_len: bool,
    link_type: LinkType,
    /// The file's number among those that were joined.
    interface: u32,
    /// The coarsest resolution of those before it.
    coarsest_before_ns: Option<u64>,
    /// Time of the last record.
    last_ns: Option<i64>,
    /// Of the last one in the files before, until this one's first is read.
    earlier_ns: Option<i64>,
    /// What was joined behind the first file.
    joined: Option<Joined>,
}

/// Files behind the first one, which are told of in one warning.
#[derive(Debug, Clone, Copy)]
struct Joined {
    /// Where the first of them begins.
    at: u64,
    /// The warning's place among the summary's.
    warning: usize,
    /// How many there are.
    files: u64,
}

impl Joined {
    fn warning(self) -> String {
        let Self { at, files, .. } = self;
        let first =
            format!("at byte {at} another capture file begins, joined behind the one before");
        match files {
            1 => first,
            _ => format!("{first}, and {} more behind it", files - 1),
        }
    }
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
        let mut classic = Self {
            big_endian: header.is_bigendian(),
            unit_ns: if nanoseconds { 1 } else { 1_000 },
            most_units: if nanoseconds {
                u32::MAX
            } else {
                MOST_MICROSECONDS
            },
            record_header_len: RECORD_HEADER_LEN + if header.is_modified_format() { 8 } else { 0 },
            has_wrong_len: false,
            link_type,
            interface: u32::try_from(summary.interfaces.len()).unwrap_or(u32::MAX),
            coarsest_before_ns: summary.resolution_ns,
            last_ns: None,
            earlier_ns: None,
            joined: None,
        };
        summary.add_interface(Interface {
            name: None,
            link_type,
            resolution_ns: classic.unit_ns.unsigned_abs(),
        });
        if classic.counts_nanoseconds(buffer.view()) {
            classic.count_nanoseconds(summary);
        }
        Ok(classic)
    }

    /// Whether most of the records in view, of two at least, have fractions that are none of its unit.
    /// Of a single one that may be damage.
    fn counts_nanoseconds(&self, view: &[u8]) -> bool {
        let mut rest = view;
        let (mut all, mut beyond) = (0, 0);
        while let Some(header) = rest.first_chunk() {
            let [_, fraction, captured_len, original_len] = self.four_words(header);
            let Some(next) = rest.get(self.record_header_len + captured_len as usize..) else {
                break;
            };
            if captured_len > original_len {
                break;
            }
            all += 1;
            beyond += usize::from(fraction > self.most_units);
            rest = next;
        }
        all >= 2 && beyond * 2 > all
    }

    /// The header says microseconds, the records say otherwise.
    fn count_nanoseconds(&mut self, summary: &mut Summary) {
        self.unit_ns = 1;
        self.most_units = u32::MAX;
        let warning = "its header says microseconds, but its times have fractions above 999999: read as \
             nanoseconds";
        if !summary.warnings.iter().any(|known| known == warning) {
            summary.warnings.push(warning.to_owned());
        }
        if let Some(interface) = summary.interfaces.get_mut(self.interface as usize) {
            interface.resolution_ns = 1;
        }
        summary.resolution_ns = self.coarsest_before_ns.max(Some(1));
    }

    /// The next record, if all of it is in the buffer and nothing is strange about it.
    #[inline(always)]
    pub(super) fn ready(&mut self, view: &[u8]) -> Option<Record> {
        let [seconds, fraction, captured_len, original_len] = self.four_words(view.first_chunk()?);
        let len = captured_len as usize;
        let is_usual = captured_len.wrapping_sub(1) < MAX_FRAME_LEN
            && captured_len <= original_len
            && fraction <= self.most_units;
        if view.len() < self.record_header_len + len || !is_usual {
            return None;
        }
        Some(self.take(seconds, fraction, len, original_len))
    }

    #[inline(always)]
    fn take(&mut self, seconds: u32, fraction: u32, len: usize, original_len: u32) -> Record {
        let time_ns = i64::from(seconds) * 1_000_000_000 + i64::from(fraction) * self.unit_ns;
        self.last_ns = Some(time_ns);
        Record {
            time_ns: Some(time_ns),
            link_type: self.link_type,
            interface: self.interface,
            direction: None,
            original_len,
            offset: self.record_header_len,
            len,
        }
    }

    #[cold]
    pub(super) fn step(&mut self, buffer: &mut Buffer, summary: &mut Summary) -> Step {
        self.record(buffer, summary).unwrap_or_else(Step::Broken)
    }

    fn record(&mut self, buffer: &mut Buffer, summary: &mut Summary) -> Result<Step, String> {
        if buffer.at_end()? {
            return Ok(Step::End);
        }
        buffer.need(self.record_header_len, "a record header")?;
        let Some(header) = buffer.view().first_chunk() else {
            unreachable!("a record header is at least that long")
        };
        let words @ [seconds, fraction, mut captured_len, original_len] = self.four_words(header);
        let at = buffer.position();
        if self.ends_at_original_len(words, buffer)? {
            if !std::mem::replace(&mut self.has_wrong_len, true) {
                summary.warnings.push(format!(
                    "damaged at byte {at}: a record claims {captured_len} bytes of a packet of \
                     {original_len}, behind which the next one begins: read as {original_len}"
                ));
            }
            captured_len = original_len;
        }
        if captured_len == 0 && magic::is_classic(buffer.view()) {
            return self.join(buffer, summary);
        }
        if captured_len == 0 && original_len == 0 && is_nothing_but_zeros(buffer)? {
            return Err(format!(
                "zeros from byte {at} on: the disk was full, or the machine went down; what is before \
                 them was read"
            ));
        }
        if captured_len > MAX_FRAME_LEN {
            let cause = cause_of_damage(buffer);
            return Err(format!(
                "damaged at byte {at}: a record claims {captured_len} bytes{cause}"
            ));
        }
        if fraction > self.most_units {
            if self.counts_nanoseconds(buffer.view()) {
                self.count_nanoseconds(summary);
            } else {
                self.most_units = u32::MAX;
            }
        }
        let len = captured_len as usize;
        buffer.need(self.record_header_len + len, "a record")?;
        let record = self.take(seconds, fraction, len, original_len);
        if let (Some(until), Some(now)) = (self.earlier_ns.take(), record.time_ns)
            && until < now
        {
            summary.paused_ns.push((until, now));
        }
        Ok(Step::Frame(record))
    }

    /// Whether a record that claims more bytes than its packet had ends where the packet does: the next
    /// record begins there, or the file ends.
    fn ends_at_original_len(
        &self,
        [seconds, _, captured_len, original_len]: [u32; 4],
        buffer: &mut Buffer,
    ) -> Result<bool, String> {
        if original_len == 0 || captured_len <= original_len || original_len > MAX_FRAME_LEN {
            return Ok(false);
        }
        let end = self.record_header_len + original_len as usize;
        if !buffer.has(end + RECORD_HEADER_LEN)? {
            return Ok(buffer.view().len() == end);
        }
        let Some(next) = buffer.view()[end..].first_chunk() else {
            unreachable!("a record header is at least that long")
        };
        let [next_seconds, fraction, captured_len, original_len] = self.four_words(next);
        Ok(next_seconds.abs_diff(seconds) <= A_DAY
            && fraction <= self.most_units
            && (1..=original_len).contains(&captured_len)
            && captured_len <= MAX_FRAME_LEN)
    }

    /// Goes on with the file that was joined behind this one: a recording of its own.
    fn join(&mut self, buffer: &mut Buffer, summary: &mut Summary) -> Result<Step, String> {
        let at = buffer.position();
        let next = Self::open(buffer, summary)?;
        let before = self.joined.unwrap_or_else(|| {
            summary.warnings.push(String::new());
            Joined {
                at,
                warning: summary.warnings.len() - 1,
                files: 0,
            }
        });
        let joined = Joined {
            files: before.files + 1,
            ..before
        };
        summary.warnings[joined.warning] = joined.warning();
        *self = Self {
            has_wrong_len: self.has_wrong_len,
            earlier_ns: self.last_ns.or(self.earlier_ns),
            joined: Some(joined),
            ..next
        };
        Ok(Step::Other)
    }

    /// The record header's fields; the modified format has more behind them.
    #[inline]
    fn four_words(&self, header: &[u8; RECORD_HEADER_LEN]) -> [u32; 4] {
        let (words, _) = header.as_chunks();
        let words = |word: fn([u8; 4]) -> u32| std::array::from_fn(|i| word(words[i]));
        if self.big_endian {
            words(u32::from_be_bytes)
        } else {
            words(u32::from_le_bytes)
        }
    }
}

/// Whether zeros are all that is left of the file.
fn is_nothing_but_zeros(buffer: &mut Buffer) -> Result<bool, String> {
    const ENOUGH: usize = 64;
    // Of a short rest all counts.
    buffer
        .fill(ENOUGH)
        .map_err(|error| format!("cannot be read any further: {error}"))?;
    let view = buffer.view();
    Ok(view.iter().take(LOOKED_AT).all(|&byte| byte == 0))
}

/// What most likely damaged the file, by what follows; nothing where that does not tell.
fn cause_of_damage(buffer: &Buffer) -> &'static str {
    let view = &buffer.view()[..buffer.view().len().min(LOOKED_AT)];
    if view.starts_with(&magic::PCAPNG) {
        return ": a pcapng file was joined behind it; give the two by themselves";
    }
    let feeds = view.windows(2).filter(|pair| pair[1] == b'\n');
    let (all, behind_returns) = feeds.fold((0, 0), |(all, behind), pair| {
        (all + 1, behind + usize::from(pair[0] == b'\r'))
    });
    if all >= 4 && behind_returns == all {
        ": it was transferred as text (CR LF in place of LF); transfer it again as binary"
    } else {
        ""
    }
}
