//! pcapng: sections, interfaces with their own link types and resolutions, several packet blocks.
//!
//! pcap-parser reads the blocks that describe (section, interface, statistics). The packet blocks
//! are read here, because a capture of millions of them must not cost an allocation each, and
//! because the obsolete packet block and big-endian option values are not pcap-parser's.
//!
//! Source: draft-ietf-opsawg-pcapng; block and option names are the draft's.

use pcap_parser::{
    OptionCode, PcapNGOption, parse_interfacedescriptionblock_be,
    parse_interfacedescriptionblock_le, parse_interfacestatisticsblock_be,
    parse_interfacestatisticsblock_le,
};

use super::{
    Format, FrameDirection, Interface, LinkType, Record, Section, Source, Step, Summary,
    classic::MAX_FRAME_LEN, input::Buffer, magic,
};
use crate::printable::printable_bytes;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

const BLOCK_HEADER_LEN: usize = 8;
const BLOCK_TRAILER_LEN: usize = 4;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

const OPTION_COMMENT: u16 = 1;
/// Of the section header block alone.
const OPTION_HARDWARE: u16 = 2;
const OPTION_OS: u16 = 3;
/// Of packet blocks alone.
const OPTION_FLAGS: u16 = 2;
/// Of the enhanced packet block alone.
const OPTION_DROPCOUNT: u16 = 4;
const OPTION_PACKETID: u16 = 5;
const OPTION_QUEUE: u16 = 6;
/// Begin with a number: whose option it is.
const OPTIONS_CUSTOM: [u16; 4] = [2988, 2989, 19372, 19373];

/// State of the section being read.
#[derive(Default)]
pub(super) struct Pcapng {
    order: ByteOrder,
    /// Interfaces of this section.
    interfaces: Vec<SectionInterface>,
    /// Interfaces of the sections before it.
    interfaces_before: u32,
    /// What is left of the block that holds the current frame, behind the frame.
    rest_of_block: usize,
    /// The latest time in the sections before this one.
    earlier_until_ns: Option<i64>,
    /// The latest time in this section.
    until_ns: Option<i64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum ByteOrder {
    #[default]
    Little,
    Big,
}

impl ByteOrder {
    #[inline]
    fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    #[inline]
    fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }

    #[inline]
    fn u32_at(self, bytes: &[u8], at: usize) -> u32 {
        self.u32([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
    }
}

/// What it takes to read an interface's packets.
struct SectionInterface {
    link_type: LinkType,
    snaplen: u32,
    clock: Clock,
    /// Drops of this interface that the summary has counted already.
    drops: u64,
    /// When they were counted last.
    counted_ns: Option<i64>,
    /// Time of its last frame.
    last_ns: Option<i64>,
}

/// How an interface counts time (`if_tsresol`, `if_tsoffset`).
#[derive(Clone, Copy)]
struct Clock {
    /// Units a second; a power of ten or of two.
    units_per_second: u64,
    offset_seconds: i64,
}

impl Clock {
    #[inline]
    fn nanoseconds(self, units: u64) -> i64 {
        let nanoseconds = match self.units_per_second {
            1_000_000_000 => i128::from(units),
            1_000_000 => i128::from(units) * 1_000,
            per_second => i128::from(units) * 1_000_000_000 / i128::from(per_second),
        };
        let nanoseconds = nanoseconds + i128::from(self.offset_seconds) * 1_000_000_000;
        // A time beyond the year 2262 is damage; it stays at the end of the scale.
        i64::try_from(nanoseconds).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX })
    }

    fn resolution_ns(self) -> u64 {
        (1_000_000_000 / self.units_per_second).max(1)
    }
}

impl Pcapng {
    /// Reads one block. A frame's bytes stay in the buffer until the next call.
    #[inline]
    pub(super) fn step(&mut self, buffer: &mut Buffer, summary: &mut Summary) -> Step {
        buffer.consume(std::mem::take(&mut self.rest_of_block));
        self.block(buffer, summary).unwrap_or_else(Step::Broken)
    }

    #[inline]
    fn block(&mut self, buffer: &mut Buffer, summary: &mut Summary) -> Result<Step, String> {
        if buffer.at_end()? {
            return Ok(Step::End);
        }
        buffer.need(BLOCK_HEADER_LEN + 4, "a block header")?;
        let view = buffer.view();
        if view.starts_with(&magic::PCAPNG) {
            self.order = match u32::from_le_bytes([view[8], view[9], view[10], view[11]]) {
                BYTE_ORDER_MAGIC => ByteOrder::Little,
                magic if magic.swap_bytes() == BYTE_ORDER_MAGIC => ByteOrder::Big,
                magic => {
                    return Err(format!(
                        "damaged at byte {}: byte-order magic {magic:08x} in a section header",
                        buffer.position()
                    ));
                }
            };
        }
        if magic::is_classic(view) {
            return Err(format!(
                "at byte {} a pcap file was joined behind it; give the two by themselves",
                buffer.position()
            ));
        }
        let kind = self.order.u32_at(view, 0);
        let total_len = self.order.u32_at(view, 4);
        if !(12..=MAX_FRAME_LEN).contains(&total_len) {
            return Err(format!(
                "damaged at byte {}: a block claims {total_len} bytes",
                buffer.position()
            ));
        }
        // Some writers leave the padding out of the length.
        let total_len = total_len.next_multiple_of(4) as usize;
        buffer.need(total_len, "a block")?;
        let block = &buffer.view()[..total_len];
        let found = match kind {
            ENHANCED_PACKET => self.enhanced_packet(block)?,
            SIMPLE_PACKET => self.simple_packet(block)?,
            OBSOLETE_PACKET => self.obsolete_packet(block)?,
            SECTION_HEADER => {
                self.interfaces_before += u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX);
                self.interfaces.clear();
                self.earlier_until_ns = self.earlier_until_ns.max(self.until_ns.take());
                let section = self.section_header(block);
                let silent = Section {
                    first_interface: self.interfaces_before,
                    ..Section::default()
                };
                // A silent one ends the one before it.
                if section != silent || !summary.sections.is_empty() {
                    summary.sections.push(section);
                }
                None
            }
            INTERFACE_DESCRIPTION => {
                self.interface_description(block, summary)?;
                None
            }
            INTERFACE_STATISTICS => {
                self.interface_statistics(block, summary)?;
                None
            }
            _ => None,
        };
        let Some((record, drops)) = found else {
            buffer.consume(total_len);
            return Ok(Step::Other);
        };
        let id = record.interface - self.interfaces_before;
        let interface = &mut self.interfaces[id as usize];
        let before_ns = std::mem::replace(&mut interface.last_ns, record.time_ns);
        if drops > 0 {
            interface.drops = interface.drops.saturating_add(drops);
            summary.add_drops(drops);
            if let (Some(before), Some(now)) = (before_ns.or(record.time_ns), record.time_ns) {
                summary.placed_drops = summary.placed_drops.saturating_add(drops);
                summary.dropped_ns.push((before.min(now), before.max(now)));
            }
        }
        if self.until_ns.is_none()
            && let (Some(until), Some(now)) = (self.earlier_until_ns, record.time_ns)
            && until < now
        {
            summary.paused_ns.push((until, now));
        }
        self.until_ns = self.until_ns.max(record.time_ns);
        self.rest_of_block = total_len - record.offset - record.len;
        Ok(Step::Frame(record))
    }

    fn section_header(&self, block: &[u8]) -> Section {
        const FIXED: usize = 24;
        let options = block.get(FIXED..block.len() - BLOCK_TRAILER_LEN);
        let mut section = Section {
            first_interface: self.interfaces_before,
            ..Section::default()
        };
        for (code, value) in (Options {
            order: self.order,
            rest: options.unwrap_or_default(),
        }) {
            let text = printable_bytes(value);
            match code {
                _ if text.is_empty() => {}
                OPTION_COMMENT => section.comments.push(text),
                OPTION_HARDWARE => section.hardware = Some(text),
                OPTION_OS => section.os = Some(text),
                _ => {}
            }
        }
        section
    }

    fn interface(&self, id: u32) -> Result<&SectionInterface, String> {
        self.interfaces.get(id as usize).ok_or_else(|| {
            format!(
                "damaged: a packet of interface {id}, but {} were described",
                self.interfaces.len()
            )
        })
    }

    #[inline]
    fn enhanced_packet(&self, block: &[u8]) -> Result<Option<(Record, u64)>, String> {
        if block.len() < 32 {
            return Err("damaged: an enhanced packet block without its fixed part".into());
        }
        let id = self.order.u32_at(block, 8);
        let time =
            u64::from(self.order.u32_at(block, 12)) << 32 | u64::from(self.order.u32_at(block, 16));
        self.timed_packet(block, id, time)
    }

    fn obsolete_packet(&self, block: &[u8]) -> Result<Option<(Record, u64)>, String> {
        if block.len() < 32 {
            return Err("damaged: a packet block without its fixed part".into());
        }
        let id = u32::from(self.order.u16([block[8], block[9]]));
        let drops = self.order.u16([block[10], block[11]]);
        let time =
            u64::from(self.order.u32_at(block, 12)) << 32 | u64::from(self.order.u32_at(block, 16));
        let packet = self.timed_packet(block, id, time)?;
        // 0xffff says that the count is not known.
        Ok(packet.map(|(record, _)| (record, if drops == u16::MAX { 0 } else { drops.into() })))
    }

    #[inline]
    fn timed_packet(
        &self,
        block: &[u8],
        id: u32,
        time: u64,
    ) -> Result<Option<(Record, u64)>, String> {
        const FIXED: usize = 28;
        let interface = self.interface(id)?;
        let captured_len = self.order.u32_at(block, 20) as usize;
        let original_len = self.order.u32_at(block, 24);
        let room = block.len() - FIXED - BLOCK_TRAILER_LEN;
        if captured_len > room {
            return Err(format!(
                "damaged: a packet of {captured_len} bytes in a block with room for {room}"
            ));
        }
        let options_at = FIXED + captured_len.next_multiple_of(4);
        let options = &block[options_at.min(block.len() - 4)..block.len() - BLOCK_TRAILER_LEN];
        let mut direction = None;
        let mut drops = 0;
        for (code, value) in (Options {
            order: self.order,
            rest: options,
        }) {
            if code == OPTION_FLAGS
                && let Ok(flags) = value.try_into()
            {
                direction = match self.order.u32(flags) & 0b11 {
                    1 => Some(FrameDirection::Inbound),
                    2 => Some(FrameDirection::Outbound),
                    _ => None,
                };
            } else if code == OPTION_DROPCOUNT
                && let Ok(count) = value.try_into()
            {
                drops = self.order.u64(count);
            }
        }
        let record = Record {
            time_ns: Some(interface.clock.nanoseconds(time)),
            link_type: interface.link_type,
            interface: self.interfaces_before + id,
            direction,
            original_len,
            offset: FIXED,
            len: captured_len,
        };
        Ok(Some((record, drops)))
    }

    fn simple_packet(&self, block: &[u8]) -> Result<Option<(Record, u64)>, String> {
        const FIXED: usize = 12;
        if block.len() < FIXED + BLOCK_TRAILER_LEN {
            return Err("damaged: a simple packet block without its fixed part".into());
        }
        let interface = self.interface(0)?;
        let original_len = self.order.u32_at(block, 8);
        let room = block.len() - FIXED - BLOCK_TRAILER_LEN;
        let snaplen = if interface.snaplen == 0 {
            u32::MAX
        } else {
            interface.snaplen
        };
        let record = Record {
            time_ns: None,
            link_type: interface.link_type,
            interface: self.interfaces_before,
            direction: None,
            original_len,
            offset: FIXED,
            len: room.min(original_len.min(snaplen) as usize),
        };
        Ok(Some((record, 0)))
    }

    fn interface_description(&mut self, block: &[u8], summary: &mut Summary) -> Result<(), String> {
        let (_, description) = match self.order {
            ByteOrder::Little => parse_interfacedescriptionblock_le(block),
            ByteOrder::Big => parse_interfacedescriptionblock_be(block),
        }
        .map_err(|_| "damaged interface description".to_owned())?;
        let units_per_second = match description.if_tsresol {
            binary if binary & 0x80 != 0 => 1_u64.checked_shl(u32::from(binary & 0x7f)),
            decimal => 10_u64.checked_pow(u32::from(decimal)),
        };
        let Some(units_per_second) = units_per_second else {
            return Err(format!(
                "interface {} counts time in units too small to follow (if_tsresol {:#04x})",
                self.interfaces.len(),
                description.if_tsresol
            ));
        };
        let offset_seconds = option(&description.options, OptionCode::IfTsoffset)
            .map_or(0, |value| self.order.u64(value).cast_signed());
        let clock = Clock {
            units_per_second,
            offset_seconds,
        };
        let link_type = LinkType(u16::try_from(description.linktype.0).unwrap_or(u16::MAX));
        summary.add_interface(Interface {
            name: name(&description.options),
            link_type,
            resolution_ns: clock.resolution_ns(),
        });
        self.interfaces.push(SectionInterface {
            link_type,
            snaplen: description.snaplen,
            clock,
            drops: 0,
            counted_ns: None,
            last_ns: None,
        });
        Ok(())
    }

    fn interface_statistics(&mut self, block: &[u8], summary: &mut Summary) -> Result<(), String> {
        let (_, statistics) = match self.order {
            ByteOrder::Little => parse_interfacestatisticsblock_le(block),
            ByteOrder::Big => parse_interfacestatisticsblock_be(block),
        }
        .map_err(|_| "damaged interface statistics".to_owned())?;
        let order = self.order;
        let Some(interface) = self.interfaces.get_mut(statistics.if_id as usize) else {
            return Ok(());
        };
        let count = |code| option(&statistics.options, code).map(|value| order.u64(value));
        let (ifdrop, osdrop) = (count(OptionCode::IsbIfDrop), count(OptionCode::IsbOsDrop));
        if ifdrop.or(osdrop).is_some() {
            let total = ifdrop.unwrap_or(0).saturating_add(osdrop.unwrap_or(0));
            // Statistics are totals: they count what blocks before them have counted already.
            let more = total.saturating_sub(interface.drops);
            interface.drops += more;
            summary.add_drops(more);
            let high_and_low = u64::from(statistics.ts_high) << 32 | u64::from(statistics.ts_low);
            let now = interface.clock.nanoseconds(high_and_low);
            let before = interface.counted_ns.replace(now);
            if let Some(before) = before.filter(|before| more > 0 && *before <= now) {
                summary.placed_drops = summary.placed_drops.saturating_add(more);
                summary.dropped_ns.push((before, now));
            }
        }
        let clock = interface.clock;
        let time = |code| {
            option::<8>(&statistics.options, code).map(|value| {
                let high = order.u32_at(&value, 0);
                let low = order.u32_at(&value, 4);
                clock.nanoseconds(u64::from(high) << 32 | u64::from(low))
            })
        };
        if let (Some(start), Some(end)) =
            (time(OptionCode::IsbStartTime), time(OptionCode::IsbEndTime))
        {
            let (first, last) = summary.watched_ns.unwrap_or((start, end));
            summary.watched_ns = Some((first.min(start), last.max(end)));
        }
        Ok(())
    }
}

impl Source {
    /// Adds the options of the packet block that held the frame given out last (comments, flags,
    /// ...) to `options`, as they stand in a little-endian file, without the one that ends them. A
    /// pcap file has none.
    pub fn append_packet_options(&self, options: &mut Vec<u8>) {
        let Format::Pcapng(pcapng) = &self.format else {
            return;
        };
        // Each packet block has its fixed part, a multiple of 4 bytes, before the frame, and
        // padding, options and its length again behind it.
        let block_end = self.given_out + pcapng.rest_of_block;
        let start = self.given_out.next_multiple_of(4);
        let rest = self
            .buffer
            .view()
            .get(start..block_end.saturating_sub(BLOCK_TRAILER_LEN));
        for (code, value) in (Options {
            order: pcapng.order,
            rest: rest.unwrap_or_default(),
        }) {
            // Its length was a u16 too.
            let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
            options.extend(code.to_le_bytes());
            options.extend(len.to_le_bytes());
            let number = match code {
                OPTION_FLAGS | OPTION_DROPCOUNT | OPTION_PACKETID | OPTION_QUEUE => value.len(),
                code if OPTIONS_CUSTOM.contains(&code) => value.len().min(4),
                _ => 0,
            };
            let (number, bytes) = value.split_at(number);
            match pcapng.order {
                ByteOrder::Little => options.extend(number),
                ByteOrder::Big => options.extend(number.iter().rev()),
            }
            options.extend(bytes);
            options.resize(options.len().next_multiple_of(4), 0);
        }
    }
}

/// The interface's name; what is not UTF-8 in it is shown as such.
fn name(options: &[PcapNGOption]) -> Option<String> {
    let option = options
        .iter()
        .find(|option| option.code == OptionCode::IfName)?;
    let name = printable_bytes(option.as_bytes().ok()?);
    (!name.is_empty()).then_some(name)
}

/// The value of an option of exactly `N` bytes.
fn option<const N: usize>(options: &[PcapNGOption], code: OptionCode) -> Option<[u8; N]> {
    let option = options.iter().find(|option| option.code == code)?;
    option.as_bytes().ok()?.try_into().ok()
}

/// The options of a packet block, read where they stand.
struct Options<'a> {
    order: ByteOrder,
    rest: &'a [u8],
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let &[a, b, c, d, ref values @ ..] = self.rest else {
            return None;
        };
        let code = self.order.u16([a, b]);
        let len = usize::from(self.order.u16([c, d]));
        if code == 0 || values.len() < len {
            return None;
        }
        self.rest = &values[len.next_multiple_of(4).min(values.len())..];
        Some((code, &values[..len]))
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;

    #[test]
    fn every_resolution_gives_the_same_nanoseconds() {
        let clock = |units_per_second| Clock {
            units_per_second,
            offset_seconds: 5,
        };
        assert_eq!(clock(1).nanoseconds(3), 8_000_000_000);
        assert_eq!(clock(1_000_000).nanoseconds(3_000_001), 8_000_001_000);
        assert_eq!(
            clock(1_000_000_000).nanoseconds(3_000_000_001),
            8_000_000_001
        );
        assert_eq!(
            clock(10_u64.pow(12)).nanoseconds(3_000_000_001_999),
            8_000_000_001
        );
        assert_eq!(clock(1 << 32).nanoseconds(3 << 32 | 1 << 31), 8_500_000_000);
        assert_eq!(clock(1).nanoseconds(u64::MAX), i64::MAX);
    }
}
