//! Magic numbers: how capture files begin.

/// The block type of a section header, the same in both byte orders.
pub(super) const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// The same with CR LF in place of LF: made to be recognised.
pub(super) const PCAPNG_AS_TEXT: [u8; 4] = *b"\r\n\r\r";

/// The magic numbers: microseconds, nanoseconds and Kuznetzov's "modified" variant, which has
/// eight more bytes a record.
const CLASSIC: [u32; 3] = [0xa1b2_c3d4, 0xa1b2_3c4d, 0xa1b2_cd34];

/// Whether a file that begins so is of the classic format.
pub(super) fn is_classic(start: &[u8]) -> bool {
    start.first_chunk().is_some_and(|bytes| {
        CLASSIC.contains(&u32::from_le_bytes(*bytes))
            || CLASSIC.contains(&u32::from_be_bytes(*bytes))
    })
}

/// What a file is that is no pcap, and the command that makes one of it.
pub(super) struct Foreign {
    /// Its format's name.
    pub(super) format: &'static str,
    /// What to run on it; its result is a capture.
    pub(super) converter: Converter,
}

/// A command that makes a capture of something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Converter {
    /// Wireshark's, which reads the format.
    Editcap,
    /// One that unpacks to its standard output.
    Unpack(&'static str),
}

/// So many bytes tell which format it is.
pub(super) const FOREIGN_LEN: usize = 48;

/// The formats that Wireshark reads and hdp does not, and what captures are packed with.
const FOREIGN: [(&[u8], &str, Converter); 16] = [
    (b"snoop\0\0\0", "a snoop capture", Converter::Editcap),
    (
        b"GMBU",
        "a Microsoft Network Monitor capture",
        Converter::Editcap,
    ),
    (
        b"RTSS",
        "a Microsoft Network Monitor capture",
        Converter::Editcap,
    ),
    (b"iptrace 1.0", "an AIX iptrace", Converter::Editcap),
    (b"iptrace 2.0", "an AIX iptrace", Converter::Editcap),
    (b"TRSNIFF data", "a Sniffer capture", Converter::Editcap),
    (b"XCP\0", "a NetXRay or Sniffer capture", Converter::Editcap),
    (b"\xfd7zXZ\0", "packed with xz", Converter::Unpack("xz -dc")),
    (b"BZh", "packed with bzip2", Converter::Unpack("bzip2 -dc")),
    (
        b"\x04\x22\x4d\x18",
        "packed with lz4",
        Converter::Unpack("lz4 -dc"),
    ),
    (
        b"\x02\x21\x4c\x18",
        "packed with lz4",
        Converter::Unpack("lz4 -dc"),
    ),
    (b"LZIP", "packed with lzip", Converter::Unpack("lzip -dc")),
    (
        b"\x1f\x9d",
        "packed with compress",
        Converter::Unpack("gzip -dc"),
    ),
    (
        b"PK\x03\x04",
        "a zip archive",
        Converter::Unpack("unzip -p"),
    ),
    (
        b"7z\xbc\xaf\x27\x1c",
        "a 7z archive",
        Converter::Unpack("7z x -so"),
    ),
    (
        b"Rar!\x1a\x07",
        "a rar archive",
        Converter::Unpack("unrar p -inul"),
    ),
];

/// What a file is that begins so, where that is known.
pub(super) fn foreign(start: &[u8]) -> Option<Foreign> {
    let known = FOREIGN.iter().find(|(magic, ..)| start.starts_with(magic));
    match known {
        Some(&(_, format, converter)) => Some(Foreign { format, converter }),
        None => is_erf(start).then_some(Foreign {
            format: "an ERF capture, as it seems",
            converter: Converter::Editcap,
        }),
    }
}

/// Whether two records of the Extensible Record Format follow one another. It has no magic number: a
/// record begins with a time in 1/2^32 s, least significant byte first, its type, flags, and its length.
fn is_erf(start: &[u8]) -> bool {
    /// 2001, when there was no such format before.
    const FIRST: u32 = 978_307_200;
    const HEADER_LEN: usize = 16;
    let record = |at: usize| {
        let header = start.get(at..at + HEADER_LEN)?;
        let seconds = u32::from_le_bytes(header[4..8].try_into().ok()?);
        let len = usize::from(u16::from_be_bytes(header[10..12].try_into().ok()?));
        // Types up to 48 are defined; the highest bit announces an extension header.
        let is_type = (1..=48).contains(&(header[8] & 0x7f));
        (seconds > FIRST && is_type && len >= HEADER_LEN).then_some((seconds, len))
    };
    let Some((first, len)) = record(0) else {
        return false;
    };
    // A short first record shows the second too.
    match record(len) {
        Some((second, _)) => second.abs_diff(first) < 86_400,
        None => {
            start.len() < len + HEADER_LEN
                && start[9] & 0x40 == 0
                && start[8] & 0x80 == 0
                && len < 1 << 14
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_read_is_told_by_how_it_begins() {
        let name = |start: &[u8]| foreign(start).map(|foreign| foreign.format);
        assert_eq!(name(b"snoop\0\0\0\0\0\0\x02"), Some("a snoop capture"));
        assert_eq!(name(b"\xfd7zXZ\0\0"), Some("packed with xz"));
        assert_eq!(name(b"hello, world, this is a text of some length"), None);
        assert_eq!(name(&[0; 48]), None);
        // A time of 2026, type 2 (Ethernet), one record of 24 bytes and another.
        let record = [
            0, 0, 0, 0, 0, 0xc2, 0x12, 0x6a, 2, 4, 0, 24, 0, 0, 0, 6, 0, 0, 1, 2, 3, 4, 5, 6,
        ];
        assert_eq!(
            name(&[record, record].concat()),
            Some("an ERF capture, as it seems")
        );
    }
}
