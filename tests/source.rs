//! Capture files of every kind, whole, cut and damaged, against what was written into them.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc,
    thread,
};

use crate::support::capture::{
    ByteOrder, Capture, Format, Interface, ORDERS, OwnedFrame, PACKINGS, PacketBlock, Packing,
    Pcapng, Resolution, Statistics,
};
use hdp::source::{Error, FrameDirection, LinkType, Origin, Source, Summary};
use proptest::prelude::*;
use tempfile::TempDir;

const START_NS: i64 = 1_790_000_000_123_456_789;

/// A frame as the source gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    number: u64,
    time_ns: Option<i64>,
    link_type: LinkType,
    interface: u32,
    direction: Option<FrameDirection>,
    original_len: u32,
    bytes: Vec<u8>,
}

/// A whole capture as the source gave it.
#[derive(Debug)]
struct Read {
    frames: Vec<Seen>,
    summary: Summary,
}

fn read(path: &Path) -> Result<Read, Error> {
    let mut source = Source::open(Origin::Path(path.to_owned()))?;
    let mut frames = Vec::new();
    while let Some(frame) = source.next_frame() {
        frames.push(Seen {
            number: frame.number,
            time_ns: frame.time_ns,
            link_type: frame.link_type,
            interface: frame.interface,
            direction: frame.direction,
            original_len: frame.original_len,
            bytes: frame.bytes.to_owned(),
        });
    }
    assert!(source.next_frame().is_none(), "the end is the end");
    let summary = source.summary().clone();
    Ok(Read { frames, summary })
}

/// A place for the files of one test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("capture")
    }

    fn read(&self, bytes: &[u8]) -> Result<Read, Error> {
        fs::write(self.path(), bytes).unwrap();
        read(&self.path())
    }

    /// Reads what must be readable to its clean end.
    fn read_whole(&self, bytes: &[u8]) -> Read {
        let read = self.read(bytes).unwrap();
        assert_eq!(read.summary.warnings, Vec::<String>::new());
        read
    }
}

/// Frames of all small lengths, one of them cut by the snapshot length, going both ways.
fn capture() -> Capture {
    let mut capture = Capture::new(1);
    for len in 0..20_u8 {
        let mut frame = OwnedFrame::new(
            START_NS + i64::from(len) * 1_000_000_007,
            (0..len).collect::<Vec<u8>>(),
        );
        frame.direction = match len % 3 {
            0 => None,
            1 => Some(FrameDirection::Inbound),
            _ => Some(FrameDirection::Outbound),
        };
        capture.frames.push(frame);
    }
    capture.frames[7].original_len = 1_514;
    capture
}

/// What reading gives back of frames that lie in a file of this format.
fn expected(capture: &Capture, format: Format) -> Vec<Seen> {
    (1..)
        .zip(&capture.frames)
        .map(|(number, frame)| {
            let interface = capture.interfaces[frame.interface as usize];
            let (time_ns, direction) = match format {
                Format::Pcap {
                    nanoseconds: true, ..
                } => (frame.time_ns, None),
                Format::Pcap { .. } => (frame.time_ns / 1_000 * 1_000, None),
                Format::Pcapng { .. } => (interface.rounded(frame.time_ns), frame.direction),
            };
            Seen {
                number,
                time_ns: Some(time_ns),
                link_type: LinkType(interface.link_type),
                interface: frame.interface,
                direction,
                original_len: frame.original_len,
                bytes: frame.bytes.clone(),
            }
        })
        .collect()
}

#[test]
fn every_format_in_every_packing_yields_the_same_frames() {
    let folder = Folder::new();
    let capture = capture();
    for format in Format::WITH_TIME {
        for packing in PACKINGS {
            let read = folder.read_whole(&packing.pack(&capture.to_bytes(format)));
            assert_eq!(
                read.frames,
                expected(&capture, format),
                "{format:?} {packing:?}"
            );
            assert_eq!(read.summary.link_types, [LinkType::EN10MB]);
            let resolution_ns = match format {
                Format::Pcap {
                    nanoseconds: false, ..
                } => 1_000,
                _ => 1,
            };
            assert_eq!(read.summary.resolution_ns, Some(resolution_ns));
            assert_eq!(read.summary.capture_drops, None, "nothing said is not zero");
            assert_eq!(read.summary.watched_ns, None);
        }
    }
}

#[test]
fn a_file_converted_is_the_same_capture() {
    let folder = Folder::new();
    let capture = capture();
    let format = Format::Pcapng {
        order: ByteOrder::Big,
        block: PacketBlock::Enhanced,
    };
    capture.write(&folder.path(), format, Packing::Gzip);
    assert_eq!(Capture::read(&folder.path()), capture);
}

#[test]
fn an_empty_capture_is_a_capture() {
    let folder = Folder::new();
    for format in Format::WITH_TIME {
        for packing in PACKINGS {
            let read = folder.read_whole(&packing.pack(&Capture::new(101).to_bytes(format)));
            assert_eq!(read.frames, []);
            assert_eq!(read.summary.link_types, [LinkType::RAW]);
        }
    }
    let read = folder.read_whole(&Pcapng::new(ByteOrder::Big).into_bytes());
    assert_eq!(read.frames, []);
    assert_eq!(read.summary, Summary::default());
}

#[test]
fn simple_packet_blocks_carry_no_time_and_belong_to_the_first_interface() {
    let folder = Folder::new();
    let mut capture = capture();
    capture.frames.remove(7); // cut by a snapshot length that the block does not tell
    capture.interfaces.push(Interface::new(101));
    for order in ORDERS {
        let block = PacketBlock::Simple;
        let read = folder.read_whole(&capture.to_bytes(Format::Pcapng { order, block }));
        assert_eq!(read.frames.len(), capture.frames.len());
        for (seen, frame) in read.frames.iter().zip(&capture.frames) {
            assert_eq!(seen.time_ns, None);
            assert_eq!((seen.interface, seen.link_type), (0, LinkType::EN10MB));
            assert_eq!(seen.direction, None);
            assert_eq!(seen.bytes, frame.bytes);
        }
    }
}

#[test]
fn every_resolution_and_offset_gives_the_time_that_was_meant() {
    let folder = Folder::new();
    let interfaces = [
        (Resolution::Unsaid, 0),
        (Resolution::Decimal(0), 0),
        (Resolution::Decimal(3), 0),
        (Resolution::Decimal(6), 3_600),
        (Resolution::Decimal(9), -3_600),
        // Picoseconds since the epoch do not fit into 64 bits, those of this year do.
        (Resolution::Decimal(12), 1_789_000_000),
        (Resolution::Binary(0), 0),
        (Resolution::Binary(10), -1),
        (Resolution::Binary(20), 1),
        (Resolution::Binary(32), 0),
        (Resolution::Binary(40), 1_789_000_000),
    ];
    let mut capture = Capture::new(1);
    capture.interfaces.clear();
    for (index, (resolution, offset_seconds)) in (0..).zip(interfaces) {
        capture.interfaces.push(Interface {
            link_type: 1,
            resolution,
            offset_seconds,
        });
        capture.frames.push(OwnedFrame {
            interface: index,
            ..OwnedFrame::new(START_NS, [1, 2, 3])
        });
    }
    let whole_second = START_NS / 1_000_000_000 * 1_000_000_000;
    assert_eq!(capture.interfaces[1].rounded(START_NS), whole_second);
    for order in ORDERS {
        for block in [PacketBlock::Enhanced, PacketBlock::Obsolete] {
            let format = Format::Pcapng { order, block };
            let read = folder.read_whole(&capture.to_bytes(format));
            assert_eq!(read.frames, expected(&capture, format), "{format:?}");
            assert_eq!(
                read.summary.resolution_ns,
                Some(1_000_000_000),
                "the coarsest"
            );
        }
    }
}

#[test]
fn sections_have_their_own_interfaces_and_byte_order() {
    let folder = Folder::new();
    let interface = |link_type, exponent| Interface {
        resolution: Resolution::Decimal(exponent),
        ..Interface::new(link_type)
    };
    let frame = |interface, link_type| {
        let frame = OwnedFrame {
            interface,
            ..OwnedFrame::new(START_NS, [link_type])
        };
        (frame, LinkType(link_type.into()))
    };
    for order in ORDERS {
        let mut file = Pcapng::new(order);
        let mut frames = Vec::new();
        let mut add = |file: &mut Pcapng, (frame, link_type)| {
            file.enhanced(&frame, None);
            frames.push((frame.interface, link_type));
        };
        file.interface(interface(1, 9));
        file.interface(interface(101, 6));
        add(&mut file, frame(1, 101));
        add(&mut file, frame(0, 1));
        // An interface may be described after the first frames.
        file.interface(interface(113, 9));
        add(&mut file, frame(2, 113));
        file.section(ByteOrder::Big);
        file.interface(interface(0, 9));
        add(&mut file, frame(3, 0));
        file.section(ByteOrder::Little);
        file.section(ByteOrder::Big);
        file.interface(interface(101, 9));
        add(&mut file, frame(4, 101));
        let read = folder.read_whole(&file.into_bytes());
        let seen: Vec<_> = read
            .frames
            .iter()
            .map(|frame| (frame.interface, frame.link_type))
            .collect();
        assert_eq!(seen, frames);
        assert_eq!(
            read.summary.link_types,
            [
                LinkType::EN10MB,
                LinkType::RAW,
                LinkType::LINUX_SLL,
                LinkType::NULL
            ]
        );
        assert_eq!(read.summary.resolution_ns, Some(1_000));
    }
}

#[test]
fn blocks_and_options_of_other_kinds_are_passed_over() {
    let folder = Folder::new();
    let frame = &capture().frames[4];
    for order in ORDERS {
        let mut file = Pcapng::new(order);
        file.block(0x0000_000a, b"decryption secrets");
        file.interface(Interface::new(1));
        file.block(4, &[0; 4]); // name resolution
        file.enhanced(frame, Some(0));
        file.block(0x8000_0001, b"");
        let read = folder.read_whole(&file.into_bytes());
        assert_eq!(read.frames.len(), 1);
        assert_eq!(read.frames[0].direction, frame.direction);
    }
}

#[test]
fn drops_are_counted_once_wherever_the_capture_counts_them() {
    let folder = Folder::new();
    let frame = |interface| OwnedFrame {
        interface,
        ..OwnedFrame::new(START_NS, [0; 60])
    };
    let statistics = |ifdrop, osdrop| Statistics {
        ifdrop,
        osdrop,
        watched_ns: None,
    };
    for order in ORDERS {
        let drops = |write: &dyn Fn(&mut Pcapng)| {
            let mut file = Pcapng::new(order);
            file.interface(Interface::new(1));
            file.interface(Interface::new(1));
            write(&mut file);
            let read = folder.read_whole(&file.into_bytes());
            read.summary.capture_drops
        };
        assert_eq!(drops(&|file| file.enhanced(&frame(0), None)), None);
        assert_eq!(
            drops(&|file| file.statistics(0, statistics(None, None))),
            None
        );
        assert_eq!(
            drops(&|file| file.statistics(0, statistics(Some(0), None))),
            Some(0)
        );
        assert_eq!(
            drops(&|file| file.statistics(1, statistics(Some(3), Some(4)))),
            Some(7)
        );
        assert_eq!(drops(&|file| file.enhanced(&frame(1), Some(5))), Some(5));
        assert_eq!(drops(&|file| file.obsolete(&frame(1), 6)), Some(6));
        assert_eq!(
            drops(&|file| file.obsolete(&frame(1), 0xffff)),
            None,
            "0xffff: not known"
        );
        // Statistics are totals since the start: the blocks before them are not added again.
        let total = drops(&|file| {
            file.enhanced(&frame(0), Some(2));
            file.statistics(0, statistics(Some(1), Some(2)));
            file.enhanced(&frame(1), Some(10));
            file.statistics(0, statistics(Some(1), Some(4)));
            file.statistics(1, statistics(None, Some(10)));
        });
        assert_eq!(total, Some(5 + 10));
        // Interfaces of another section are other interfaces.
        let total = drops(&|file| {
            file.statistics(0, statistics(Some(3), None));
            file.section(order);
            file.interface(Interface::new(1));
            file.statistics(2, statistics(Some(4), None));
        });
        assert_eq!(total, Some(7));
        // Damage counts much, and adds up to no panic.
        let total = drops(&|file| {
            file.enhanced(&frame(0), Some(u64::MAX));
            file.enhanced(&frame(0), Some(u64::MAX));
            file.statistics(1, statistics(Some(u64::MAX), Some(u64::MAX)));
        });
        assert_eq!(total, Some(u64::MAX));
    }
}

#[test]
fn statistics_say_when_the_capture_began_and_ended() {
    let folder = Folder::new();
    for order in ORDERS {
        let mut file = Pcapng::new(order);
        for offset_seconds in [0, 7] {
            file.interface(Interface {
                offset_seconds,
                ..Interface::new(1)
            });
        }
        for (interface, start, end) in [(0, 50, 70), (1, 40, 60)] {
            file.statistics(
                interface,
                Statistics {
                    watched_ns: Some((START_NS + start, START_NS + end)),
                    ..Statistics::default()
                },
            );
        }
        let read = folder.read_whole(&file.into_bytes());
        assert_eq!(
            read.summary.watched_ns,
            Some((START_NS + 40, START_NS + 70))
        );
    }
}

#[test]
fn pcap_records_of_the_modified_format_are_longer() {
    let folder = Folder::new();
    let format = Format::Pcap {
        order: ByteOrder::Little,
        nanoseconds: false,
    };
    let one = Capture {
        frames: vec![capture().frames[3].clone()],
        ..capture()
    };
    let mut bytes = one.to_bytes(format);
    bytes[..4].copy_from_slice(&0xa1b2_cd34_u32.to_le_bytes());
    bytes.splice(24 + 16..24 + 16, [0xee; 8]);
    assert_eq!(folder.read_whole(&bytes).frames, expected(&one, format));
}

#[test]
fn the_upper_half_of_a_pcap_link_type_is_not_part_of_it() {
    let folder = Folder::new();
    for order in ORDERS {
        let nanoseconds = true;
        let mut bytes = capture().to_bytes(Format::Pcap { order, nanoseconds });
        // "Frames end in a check sequence of 4 bytes."
        bytes[if order == ByteOrder::Little { 23 } else { 20 }] = 0x44;
        assert_eq!(
            folder.read_whole(&bytes).summary.link_types,
            [LinkType::EN10MB]
        );
    }
}

#[test]
fn a_frame_bigger_than_the_buffer_is_read() {
    let folder = Folder::new();
    let mut capture = Capture::new(1);
    for (i, len) in (0..).zip([100, 300_000, 40_000, 2_000_000, 0, 256 * 1024]) {
        capture.push(START_NS + i, vec![0xa5; len]);
    }
    for format in Format::WITH_TIME {
        for packing in PACKINGS {
            let read = folder.read_whole(&packing.pack(&capture.to_bytes(format)));
            assert!(
                read.frames == expected(&capture, format),
                "{format:?} {packing:?}"
            );
        }
    }
}

#[test]
fn a_file_cut_anywhere_yields_every_whole_frame_and_one_warning() {
    let folder = Folder::new();
    let mut capture = capture();
    capture.frames.drain(..3);
    capture.frames.truncate(4);
    for format in Format::WITH_TIME {
        let bytes = capture.to_bytes(format);
        let frames = expected(&capture, format);
        // Where the file would end if it held only so many frames.
        let ends: Vec<usize> = (0..=frames.len())
            .map(|count| {
                let mut shorter = capture.clone();
                shorter.frames.truncate(count);
                shorter.to_bytes(format).len()
            })
            .collect();
        let header_len = match format {
            Format::Pcap { .. } => 24,
            Format::Pcapng { order, .. } => Pcapng::new(order).into_bytes().len(),
        };
        for cut in 0..=bytes.len() {
            let context = format!("{format:?} cut at {cut} of {}", bytes.len());
            let read = match folder.read(&bytes[..cut]) {
                Ok(read) => read,
                Err(error) => {
                    assert!(cut < header_len, "{context}: {error}");
                    let expected = match cut {
                        0 => matches!(error, Error::Empty { .. }),
                        1..4 => matches!(error, Error::NotACapture { .. }),
                        _ => matches!(error, Error::Header { .. }),
                    };
                    assert!(expected, "{context}: {error:?}");
                    assert_is_one_line(&error, &folder.path());
                    continue;
                }
            };
            assert!(cut >= header_len, "{context}");
            let whole = ends
                .iter()
                .filter(|&&end| end <= cut)
                .count()
                .saturating_sub(1);
            assert_eq!(read.frames, frames[..whole], "{context}");
            let is_clean = cut == header_len || ends.contains(&cut);
            let warnings = &read.summary.warnings;
            assert_eq!(
                warnings.len(),
                usize::from(!is_clean),
                "{context}: {warnings:?}"
            );
        }
    }
}

/// Frames that no compressor makes smaller, so that a cut in the packed file is a cut as far into
/// the capture.
fn incompressible(frames: i64) -> Capture {
    let mut capture = Capture::new(1);
    let mut state = 1_u64;
    for i in 0..frames {
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        })
        .take(1_000)
        .collect();
        capture.push(START_NS + i * 1_000, bytes);
    }
    capture
}

#[test]
fn a_packed_file_cut_anywhere_keeps_what_came_before() {
    let folder = Folder::new();
    let capture = incompressible(1_500);
    let format = Format::Pcap {
        order: ByteOrder::Little,
        nanoseconds: true,
    };
    let frames = expected(&capture, format);
    for packing in [Packing::Gzip, Packing::Zstd] {
        let packed = packing.pack(&capture.to_bytes(format));
        let len = packed.len();
        for cut in (0..len).step_by(len / 40).chain(len - 12..len) {
            let context = format!("{packing:?} cut at {cut} of {len}");
            match folder.read(&packed[..cut]) {
                Err(error) => {
                    // Not even a block of the packing is there.
                    assert!(cut < 140_000, "{context}: {error}");
                    assert_is_one_line(&error, &folder.path());
                }
                Ok(read) => {
                    assert!(frames.starts_with(&read.frames), "{context}");
                    assert_eq!(read.summary.warnings.len(), 1, "{context}");
                    // zstd unpacks blocks of 128 KiB.
                    let least = (cut / 1_024).saturating_sub(if packing == Packing::Zstd {
                        260
                    } else {
                        64
                    });
                    let got = read.frames.len();
                    assert!(got >= least, "{context}: {got} frames, at least {least}");
                }
            }
        }
    }
}

#[test]
fn packed_files_in_one_another_are_one_capture() {
    let folder = Folder::new();
    let capture = capture();
    let format = Format::WITH_TIME[1];
    let bytes = capture.to_bytes(format);
    for packing in [Packing::Gzip, Packing::Zstd] {
        let parts = [&bytes[..100], &bytes[100..]].map(|part| packing.pack(part));
        assert_eq!(
            folder.read_whole(&parts.concat()).frames,
            expected(&capture, format),
            "{packing:?}"
        );
    }
}

#[test]
fn skippable_zstd_frames_hold_nothing_and_a_wrong_checksum_is_damage() {
    let folder = Folder::new();
    let capture = capture();
    let format = Format::WITH_TIME[1];
    let bytes = capture.to_bytes(format);
    let parts = [&bytes[..100], &bytes[100..]].map(|part| Packing::Zstd.pack(part));
    let skippable = [&[0x5c, 0x2a, 0x4d, 0x18, 5, 0, 0, 0][..], b"index"].concat();
    let mut packed = [&parts[0], &skippable, &parts[1], &skippable]
        .map(Vec::as_slice)
        .concat();
    let frames = expected(&capture, format);
    assert_eq!(folder.read_whole(&packed).frames, frames);

    let has_checksum = parts[1][4] & 4 != 0;
    assert!(has_checksum, "nothing to damage");
    let checksum = packed.len() - skippable.len() - 1;
    packed[checksum] ^= 1;
    let read = folder.read(&packed).unwrap();
    assert_eq!(read.frames, frames);
    let [warning] = &*read.summary.warnings else {
        panic!("{:?}", read.summary.warnings)
    };
    assert!(warning.contains("checksum"), "{warning}");
}

#[test]
fn damage_ends_the_reading_with_a_warning_that_says_where() {
    let folder = Folder::new();
    let capture = capture();
    for order in ORDERS {
        let huge = 0x7fff_fff0_u32;
        let huge = match order {
            ByteOrder::Little => huge.to_le_bytes(),
            ByteOrder::Big => huge.to_be_bytes(),
        };
        let mut file = Pcapng::new(order);
        file.interface(Interface::new(1));
        file.enhanced(&capture.frames[5], None);
        let mut bytes = file.into_bytes();
        let at = bytes.len();
        bytes.extend([[6; 4], huge, [0; 4]].concat());
        let read = folder.read(&bytes).unwrap();
        assert_eq!(read.frames.len(), 1);
        let warning = format!("damaged at byte {at}: a block claims 2147483632 bytes");
        assert_eq!(read.summary.warnings, [warning]);

        let nanoseconds = true;
        let mut bytes = capture.to_bytes(Format::Pcap { order, nanoseconds });
        let at = bytes.len();
        bytes.extend([[0; 4], [0; 4], huge, huge].concat());
        let read = folder.read(&bytes).unwrap();
        assert_eq!(read.frames.len(), capture.frames.len());
        let warning = format!("damaged at byte {at}: a record claims 2147483632 bytes");
        assert_eq!(read.summary.warnings, [warning]);
    }
}

/// A record that claims more bytes than its packet had ends with the packet where that is followed by
/// another record or the end: what it would swallow is read.
#[test]
fn a_record_that_claims_its_neighbours_ends_with_its_packet() {
    let folder = Folder::new();
    let capture = capture();
    for order in ORDERS {
        for nanoseconds in [true, false] {
            let format = Format::Pcap { order, nanoseconds };
            let whole = capture.to_bytes(format);
            let to_bytes = |len: u32| match order {
                ByteOrder::Little => len.to_le_bytes(),
                ByteOrder::Big => len.to_be_bytes(),
            };
            // Of frames 3, 19 and 20: a part of the next, all of the next, more than there can be.
            for (index, claimed) in [(2, 10), (2, 2 + 16 + 3), (18, u32::MAX), (19, 20)] {
                let mut before = capture.clone();
                before.frames.truncate(index);
                let at = before.to_bytes(format).len();
                let mut bytes = whole.clone();
                bytes[at + 8..at + 12].copy_from_slice(&to_bytes(claimed));
                let read = folder.read(&bytes).unwrap();
                assert_eq!(read.frames, expected(&capture, format));
                let warning = format!(
                    "damaged at byte {at}: a record claims {claimed} bytes of a packet of {index}, \
                     behind which the next one begins: read as {index}"
                );
                assert_eq!(read.summary.warnings, [warning]);
            }
            // Where the packet's own length is what is wrong, or no writer meant it, the record holds
            // what it claims.
            let mut shorter = capture.clone();
            shorter.frames[15].original_len = 9;
            shorter.frames[16].original_len = 0;
            let read = folder.read_whole(&shorter.to_bytes(format));
            assert_eq!(read.frames, expected(&shorter, format));
            for frame in &mut shorter.frames {
                frame.original_len = frame.original_len.saturating_sub(4);
            }
            let read = folder.read_whole(&shorter.to_bytes(format));
            assert_eq!(read.frames, expected(&shorter, format));
        }
    }
}

const CLASSIC: Format = Format::Pcap {
    order: ByteOrder::Little,
    nanoseconds: true,
};

/// However many they are, and whether anything was recorded or not.
#[test]
fn files_joined_behind_one_another_are_told_of_once() {
    const EMPTY: usize = 300_000;
    let folder = Folder::new();
    let mut later = capture();
    for frame in &mut later.frames {
        frame.time_ns += 3_600_000_000_000;
    }
    let first = capture().to_bytes(CLASSIC);
    let at = first.len();
    let header = &first[..24];
    let bytes = [&first[..], &header.repeat(EMPTY), &later.to_bytes(CLASSIC)].concat();
    let read = folder.read(&bytes).unwrap();
    let warning = format!(
        "at byte {at} another capture file begins, joined behind the one before, and {EMPTY} more \
         behind it"
    );
    assert_eq!(read.summary.warnings, [warning]);
    let time = |index: usize| read.frames[index].time_ns.unwrap();
    assert_eq!(read.frames.len(), 40);
    assert_eq!(read.summary.paused_ns, [(time(19), time(20))]);
}

#[test]
fn files_joined_behind_one_another_are_recordings_of_their_own() {
    let folder = Folder::new();
    let capture = capture();
    let mut later = capture.clone();
    for frame in &mut later.frames {
        frame.time_ns += 3_600_000_000_000;
    }
    for order in ORDERS {
        for nanoseconds in [true, false] {
            let behind = Format::Pcap { order, nanoseconds };
            let first = capture.to_bytes(CLASSIC);
            let at = first.len();
            let read = folder
                .read(&[first, later.to_bytes(behind)].concat())
                .unwrap();
            let warning =
                format!("at byte {at} another capture file begins, joined behind the one before");
            assert_eq!(read.summary.warnings, [warning]);
            let frames = expected(&capture, CLASSIC);
            let number = frames.len() as u64;
            let behind = expected(&later, behind).into_iter().map(|seen| Seen {
                number: seen.number + number,
                interface: 1,
                ..seen
            });
            assert_eq!(
                read.frames,
                frames.into_iter().chain(behind).collect::<Vec<_>>()
            );
            let pause = (
                read.frames[19].time_ns.unwrap(),
                read.frames[20].time_ns.unwrap(),
            );
            assert_eq!(read.summary.paused_ns, [pause]);
        }
    }
    // Of two kinds, the second is named.
    let pcapng = Format::Pcapng {
        order: ByteOrder::Little,
        block: PacketBlock::Enhanced,
    };
    for (first, second, kind) in [
        (CLASSIC, pcapng, "a pcapng file"),
        (pcapng, CLASSIC, "a pcap file"),
    ] {
        let bytes = [capture.to_bytes(first), later.to_bytes(second)].concat();
        let read = folder.read(&bytes).unwrap();
        assert_eq!(read.frames.len(), 20);
        let [warning] = &read.summary.warnings[..] else {
            panic!("{:?}", read.summary.warnings);
        };
        assert!(
            warning.contains(&format!("{kind} was joined behind it")),
            "{warning}"
        );
    }
}

#[test]
fn accidents_are_called_by_their_names() {
    let folder = Folder::new();
    let capture = capture();
    let whole = capture.to_bytes(CLASSIC);
    let zeros = folder
        .read(&[whole.clone(), vec![0; 5_000]].concat())
        .unwrap();
    assert_eq!(zeros.frames.len(), 20);
    assert!(zeros.summary.warnings[0].starts_with(&format!("zeros from byte {} on", whole.len())));
    // An empty frame is none of them.
    let mut empty = capture.clone();
    empty.frames.truncate(1);
    assert!(empty.frames[0].bytes.is_empty());
    let read = folder.read(&empty.to_bytes(CLASSIC)).unwrap();
    assert_eq!((read.frames.len(), read.summary.warnings.len()), (1, 0));

    let as_text = |bytes: &[u8]| -> Vec<u8> {
        let text = bytes.iter().flat_map(|&byte| match byte {
            b'\n' => vec![b'\r', b'\n'],
            other => vec![other],
        });
        text.collect()
    };
    let mut many = Capture::new(1);
    for n in 0..200_u8 {
        many.push(START_NS + i64::from(n), vec![n; 60]);
    }
    let read = folder.read(&as_text(&many.to_bytes(CLASSIC))).unwrap();
    assert!(read.summary.warnings[0].contains("transferred as text"));
    let pcapng = Format::Pcapng {
        order: ByteOrder::Little,
        block: PacketBlock::Enhanced,
    };
    let error = folder.read(&as_text(&many.to_bytes(pcapng))).unwrap_err();
    assert!(error.to_string().contains("transferred as text"), "{error}");
}

#[test]
fn fractions_beyond_a_million_are_nanoseconds_whatever_the_header_says() {
    let folder = Folder::new();
    let capture = capture();
    for order in ORDERS {
        let format = |nanoseconds| Format::Pcap { order, nanoseconds };
        let mut bytes = capture.to_bytes(format(true));
        let header = capture.to_bytes(format(false));
        bytes[..4].copy_from_slice(&header[..4]);
        let read = folder.read(&bytes).unwrap();
        assert_eq!(read.frames, expected(&capture, format(true)));
        assert_eq!(read.summary.resolution_ns, Some(1));
        assert!(read.summary.warnings[0].contains("read as nanoseconds"));
    }
}

#[test]
fn block_lengths_without_their_padding_are_rounded_up() {
    let folder = Folder::new();
    let capture = capture();
    let mut file = Pcapng::new(ByteOrder::Little);
    file.interface(Interface::new(1));
    let mut bytes = file.into_bytes();
    let header_len = bytes.len();
    for frame in &capture.frames[1..] {
        let mut file = Pcapng::new(ByteOrder::Little);
        file.interface(Interface::new(1));
        file.enhanced(frame, None);
        let mut block = file.into_bytes().split_off(header_len);
        let padding =
            u32::try_from(frame.bytes.len().next_multiple_of(4) - frame.bytes.len()).unwrap();
        let len = u32::try_from(block.len()).unwrap() - padding;
        let end = block.len() - 4;
        block[4..8].copy_from_slice(&len.to_le_bytes());
        block[end..].copy_from_slice(&len.to_le_bytes());
        bytes.extend(block);
    }
    let read = folder.read(&bytes).unwrap();
    assert_eq!(read.frames.len(), capture.frames.len() - 1);
    assert_eq!(read.summary.warnings, [""; 0]);
}

#[test]
fn a_packet_of_an_interface_that_was_not_described_is_damage() {
    let folder = Folder::new();
    let mut file = Pcapng::new(ByteOrder::Little);
    file.interface(Interface::new(1));
    file.enhanced(&capture().frames[5], None);
    file.section(ByteOrder::Little);
    // An enhanced packet block without a byte of a frame.
    file.block(6, &[0; 20]);
    let read = folder.read(&file.into_bytes()).unwrap();
    assert_eq!(read.frames.len(), 1);
    assert_eq!(
        read.summary.warnings,
        ["damaged: a packet of interface 0, but 0 were described"]
    );
}

fn assert_is_one_line(error: &Error, path: &Path) {
    let message = error.to_string();
    assert!(!message.contains('\n'), "{message}");
    assert!(
        message.starts_with(&format!("{}: ", path.display())),
        "{message}"
    );
}

#[test]
fn what_is_no_capture_is_an_error_that_names_it() {
    let folder = Folder::new();
    let path = folder.path();
    let name = path.display().to_string();

    let error = read(&path).unwrap_err();
    assert!(matches!(error, Error::Open { .. }));
    assert_eq!(
        error.to_string(),
        format!("{name}: cannot open: No such file or directory (os error 2)")
    );

    let error = read(folder.0.path()).unwrap_err();
    assert!(matches!(error, Error::Directory { .. }));
    assert_is_one_line(&error, folder.0.path());

    let error = folder.read(b"").unwrap_err();
    assert!(matches!(error, Error::Empty { .. }));
    assert_is_one_line(&error, &path);
    for packing in [Packing::Gzip, Packing::Zstd] {
        let error = folder.read(&packing.pack(b"")).unwrap_err();
        assert!(matches!(error, Error::Empty { .. }), "{packing:?}: {error}");
    }

    let text = b"Dear diary,\ntoday I captured nothing.\n";
    for packing in PACKINGS {
        let error = folder.read(&packing.pack(text)).unwrap_err();
        assert!(matches!(error, Error::NotACapture { .. }));
        assert_eq!(
            error.to_string(),
            format!(
                "{name}: is no capture: begins with the text \"Dear diary,\\ntoda\", \
                 not with a pcap or pcapng header"
            )
        );
    }
    for text in [
        &b"\n"[..],
        b"a",
        b"caf\xc3\xa9",
        b"\x7fELF\x02\x01\x01\0\0\0",
    ] {
        let error = folder.read(text).unwrap_err();
        assert!(matches!(error, Error::NotACapture { .. }));
        assert_is_one_line(&error, &path);
    }
}

#[test]
fn a_fifo_fed_in_small_pieces_is_read_as_it_comes() {
    let folder = Folder::new();
    let path = folder.path();
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let capture = capture();
    for format in Format::WITH_TIME {
        let mut first = capture.clone();
        first.frames.truncate(10);
        let first_len = first.to_bytes(format).len();
        let (go_on, may_go_on) = mpsc::channel();
        let writer = thread::spawn({
            let bytes = capture.to_bytes(format);
            let path = path.clone();
            move || {
                let mut fifo = fs::File::create(path).unwrap();
                for piece in bytes[..first_len].chunks(5) {
                    fifo.write_all(piece).unwrap();
                }
                // Frames that have come must be given out before more of them come.
                may_go_on.recv().unwrap();
                for piece in bytes[first_len..].chunks(1) {
                    fifo.write_all(piece).unwrap();
                }
            }
        });
        let mut source = Source::open(Origin::Path(path.clone())).unwrap();
        let frames = expected(&capture, format);
        for (index, frame) in frames.iter().enumerate() {
            if index == 10 {
                go_on.send(()).unwrap();
            }
            let seen = source.next_frame().unwrap();
            assert_eq!((seen.number, seen.time_ns), (frame.number, frame.time_ns));
            assert_eq!(seen.bytes, frame.bytes);
        }
        assert!(source.next_frame().is_none());
        assert!(source.summary().warnings.is_empty());
        writer.join().unwrap();
    }
}

#[test]
fn a_packed_fifo_is_read_to_its_end() {
    let folder = Folder::new();
    let path = folder.path();
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    let capture = incompressible(700);
    let format = Format::WITH_TIME[1];
    for packing in [Packing::Gzip, Packing::Zstd] {
        let bytes = packing.pack(&capture.to_bytes(format));
        let writer = thread::spawn({
            let path = path.clone();
            move || {
                let mut fifo = fs::File::create(path).unwrap();
                for piece in bytes.chunks(1_001) {
                    fifo.write_all(piece).unwrap();
                }
            }
        });
        let read = read(&path).unwrap();
        assert!(read.frames == expected(&capture, format), "{packing:?}");
        assert_eq!(read.summary.warnings, Vec::<String>::new());
        writer.join().unwrap();
    }
}

#[test]
fn origins_know_when_they_are_the_same_file() {
    let folder = Folder::new();
    let path = folder.path();
    let link = folder.0.path().join("link");
    fs::write(&path, b"a").unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let hard_link = folder.0.path().join("hard link");
    fs::hard_link(&path, &hard_link).unwrap();
    let other = folder.0.path().join("other");
    fs::write(&other, b"a").unwrap();
    let missing = Origin::Path(folder.0.path().join("missing"));
    let [path, link, hard_link, other] = [path, link, hard_link, other].map(Origin::Path);
    assert!(path.is_same_as(&path));
    assert!(path.is_same_as(&link));
    assert!(path.is_same_as(&hard_link));
    assert!(!path.is_same_as(&other));
    assert!(!path.is_same_as(&missing));
    assert!(missing.is_same_as(&missing));
    assert!(Origin::from_argument("-").is_same_as(&Origin::Stdin));
    assert!(!Origin::from_argument("./-").is_same_as(&Origin::Stdin));
}

#[cfg(feature = "libpcap")]
#[test]
fn filters_are_compiled_for_each_link_type() {
    use crate::support::frames::{Link, Packet, ip, vlan};
    use hdp::source::Filter;

    let [a, b] = ["10.0.0.1", "10.0.0.2"].map(|address| address.parse().unwrap());
    let packet = |protocol| ip(Packet::new(a, b, protocol, 1_790_000_000_000_000_000).to_ip());
    let mut capture = Capture {
        interfaces: Vec::new(),
        frames: Vec::new(),
    };
    for link in Link::all() {
        let libpcap_finds_ip = match link {
            // Without the address bytes, libpcap looks for the protocol in the wrong place.
            Link::Ppp {
                address,
                compressed,
            } => address && !compressed,
            Link::Pktap { .. } | Link::Raw(229) => false,
            _ => true,
        };
        if !libpcap_finds_ip {
            continue;
        }
        let interface = u32::try_from(capture.interfaces.len()).unwrap();
        capture.interfaces.push(Interface::new(link.link_type()));
        for protocol in [17, 253] {
            capture.frames.push(OwnedFrame {
                interface,
                ..OwnedFrame::new(START_NS, link.frame(&packet(protocol)))
            });
        }
    }
    capture.push(START_NS, Link::ETHERNET.frame(&vlan(5, &packet(253))));
    let folder = Folder::new();
    capture.write(&folder.path(), Format::WITH_TIME[2], Packing::Plain);
    let origin = Origin::Path(folder.path());
    let mut source = Source::open(origin.clone()).unwrap();
    let mut filter = Filter::new("ip proto 253", &origin);
    while let Some(frame) = source.next_frame() {
        let is_wanted = frame.number % 2 == 0;
        assert_eq!(filter.matches(&frame).unwrap(), is_wanted, "{frame:?}");
    }

    let mut source = Source::open(origin.clone()).unwrap();
    let error = Filter::new("no such\nfilter", &origin)
        .matches(&source.next_frame().unwrap())
        .unwrap_err();
    assert!(matches!(error, Error::Filter { .. }));
    assert!(error.to_string().contains("EN10MB"), "{error}");
}

/// A pcapng file with every kind of block and option that is read.
fn rich_pcapng(order: ByteOrder) -> Vec<u8> {
    let capture = capture();
    let mut file = Pcapng::new(order);
    file.interface(Interface {
        offset_seconds: 5,
        ..Interface::new(1)
    });
    file.enhanced(&capture.frames[4], Some(3));
    file.obsolete(&capture.frames[5], 2);
    file.simple(&capture.frames[6]);
    file.statistics(
        0,
        Statistics {
            ifdrop: Some(1),
            osdrop: Some(2),
            watched_ns: Some((START_NS, START_NS + 1)),
        },
    );
    file.section(order);
    file.interface(Interface {
        resolution: Resolution::Binary(20),
        ..Interface::new(101)
    });
    file.enhanced(
        &OwnedFrame {
            interface: 1,
            ..capture.frames[8].clone()
        },
        None,
    );
    file.into_bytes()
}

#[test]
fn no_byte_of_a_file_can_be_changed_into_a_panic() {
    let folder = Folder::new();
    let mut capture = capture();
    capture.frames.truncate(3);
    let mut files: Vec<_> = Format::WITH_TIME[..2]
        .iter()
        .map(|&format| capture.to_bytes(format))
        .collect();
    files.extend(ORDERS.map(rich_pcapng));
    for bytes in files {
        for at in 0..bytes.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= change;
                check_damaged(&folder, &damaged);
            }
        }
    }
}

#[test]
fn no_byte_of_a_packed_file_can_be_changed_into_a_panic() {
    let folder = Folder::new();
    let bytes = capture().to_bytes(Format::WITH_TIME[2]);
    for packing in [Packing::Gzip, Packing::Zstd] {
        let packed = packing.pack(&bytes);
        for at in 0..packed.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut damaged = packed.clone();
                damaged[at] ^= change;
                check_damaged(&folder, &damaged);
            }
        }
    }
}

/// Reads what may be damaged: the outcome is frames and at most one warning, or one line.
fn check_damaged(folder: &Folder, bytes: &[u8]) {
    match folder.read(bytes) {
        Ok(read) => assert!(
            read.summary.warnings.len() <= 1,
            "{:?}",
            read.summary.warnings
        ),
        Err(error) => assert_is_one_line(&error, &folder.path()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn garbage_never_panics(
        start in prop::sample::select(vec![
            &b""[..],
            b"\xd4\xc3\xb2\xa1",
            b"\xa1\xb2\x3c\x4d",
            b"\x34\xcd\xb2\xa1",
            b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a",
            b"\x0a\x0d\x0d\x0a\0\0\0\x1c\x1a\x2b\x3c\x4d",
            b"\x1f\x8b\x08\0",
            b"\x28\xb5\x2f\xfd",
        ]),
        garbage in prop::collection::vec(any::<u8>(), 0..2_000),
    ) {
        check_damaged(&Folder::new(), &[start, &garbage].concat());
    }

    #[test]
    fn damage_takes_nothing_from_the_frames_before_it(
        format in prop::sample::select(Format::WITH_TIME.to_vec()),
        whole in 0_usize..20,
        offset in any::<prop::sample::Index>(),
        damage in prop::collection::vec(any::<u8>(), 1..8),
    ) {
        let capture = capture();
        let mut before = capture.clone();
        before.frames.truncate(whole);
        let from = before.to_bytes(format).len();
        let mut bytes = capture.to_bytes(format);
        let at = from + offset.index(bytes.len() - from);
        for (byte, damage) in bytes[at..].iter_mut().zip(damage) {
            *byte = damage;
        }
        let read = Folder::new().read(&bytes).unwrap();
        prop_assert!(read.frames.starts_with(&expected(&before, format)));
        prop_assert!(read.summary.warnings.len() <= 1);
    }
}
