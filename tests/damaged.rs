//! Files that are cut or have a wrong byte: read as far as they go, without a panic, and no packet called
//! lost that the whole file shows delivered.
//!
//! Of every fixture some sixty cuts are tried, and one wrong value a byte; `HDP_DAMAGE=all` tries each
//! (`make test-damage`). Most cuts of a capture leave the frames that the cut one byte before left, and
//! whoever reads a capture has its frames only from [`Source`]: of such a row of cuts all are read, the
//! first and the last are judged, annotated and dissected too.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZero,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use hdp::{
    decode::{DEFAULT_WINDOW_NS, Decoder},
    dissect,
    findings::{Fate, Findings, Packet},
    path::{self, Annotation, Frames, Memory, Options, Room},
    source::{Origin, Source, Summary},
};

use crate::support::scenario::Scenario;

/// So many cuts of a file that is not cut everywhere.
const CUTS: usize = 60;

/// Headers of the file and of its first records: so many bytes are damaged.
const HEADERS: usize = 120;

/// What identifies a packet: timestamp, number, ports.
type Key = (u64, u8, u16, u16);

fn key(packet: &Packet) -> Key {
    (
        packet.timestamp_ns,
        packet.protocol,
        packet.srcport,
        packet.dstport,
    )
}

fn is_all() -> bool {
    env::var("HDP_DAMAGE").is_ok_and(|asked| asked == "all")
}

/// A path, one of whose files is damaged in turn.
struct Damaged {
    folder: tempfile::TempDir,
    /// The points' files, by name.
    files: Vec<(String, PathBuf)>,
    /// Which of them is damaged.
    index: usize,
    whole: Vec<u8>,
    delivered: BTreeSet<Key>,
    /// Of each number what was lost.
    lost: BTreeMap<u8, u64>,
}

fn options() -> Options {
    Options {
        one_thread: true,
        ..Options::default()
    }
}

fn judge(points: &[String], options: &Options) -> Option<(Findings, Vec<Packet>)> {
    let points = path::points(points).unwrap();
    let mut packets = Vec::new();
    // A file may be no capture any more.
    let findings = path::packets(&points, options, |packet| packets.push(packet.clone())).ok()?;
    Some((findings, packets))
}

impl Damaged {
    fn new(scenario: &Scenario, path: usize, index: usize) -> Self {
        let named = scenario.paths[path].iter();
        let files: Vec<(String, PathBuf)> = named
            .map(|point| (point.name.clone(), scenario.folder.join(&point.file)))
            .collect();
        let whole = fs::read(&files[index].1).unwrap();
        let mut damaged = Self {
            folder: tempfile::tempdir().unwrap(),
            files,
            index,
            whole,
            delivered: BTreeSet::new(),
            lost: BTreeMap::new(),
        };
        let (_, packets) = judge(&damaged.points(&damaged.whole), &options()).unwrap();
        for packet in &packets {
            match packet.fate {
                Fate::Delivered => drop(damaged.delivered.insert(key(packet))),
                Fate::Lost => *damaged.lost.entry(packet.protocol).or_default() += 1,
                _ => {}
            }
        }
        damaged
    }

    fn points(&self, bytes: &[u8]) -> Vec<String> {
        let file = self.write(bytes);
        let named = self.files.iter().enumerate();
        let file = |index: usize, own: &PathBuf| {
            if index == self.index {
                file.clone()
            } else {
                own.clone()
            }
        };
        named
            .map(|(index, (name, own))| format!("{name}={}", file(index, own).display()))
            .collect()
    }

    /// The file that is damaged. Removed first, for a file system may see to it that a file that is written
    /// anew reaches the disk.
    fn write(&self, bytes: &[u8]) -> PathBuf {
        let file = self.folder.path().join("damaged");
        let _ = fs::remove_file(&file);
        fs::write(&file, bytes).unwrap();
        file
    }

    /// What `Source` tells of the file cut here; of a log, which it does not read, each cut is another.
    fn told(file: &Path, at: usize) -> u64 {
        let mut told = DefaultHasher::new();
        let Ok(mut source) = Source::open(Origin::Path(file.to_owned())) else {
            at.hash(&mut told);
            return told.finish();
        };
        while let Some(frame) = source.next_frame() {
            (frame.number, frame.time_ns, frame.interface).hash(&mut told);
            (frame.direction, frame.original_len, frame.bytes).hash(&mut told);
        }
        // Where the file ends shows in these alone.
        let summary = Summary {
            bytes: None,
            warnings: Vec::new(),
            ..source.summary().clone()
        };
        format!("{summary:?}").hash(&mut told);
        told.finish()
    }

    /// The cuts that are judged: of each row that leaves the same frames the first and the last.
    fn cuts(&self) -> Vec<usize> {
        let len = self.whole.len();
        if !is_all() {
            // No multiple of a record's length: the places within records vary.
            return (0..len).step_by((len / CUTS).max(1) | 1).collect();
        }
        let path = self.write(&self.whole);
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        let cut = |at: usize| {
            file.set_len(at as u64).unwrap();
            Self::told(&path, at)
        };
        let mut told: Vec<u64> = (0..len).rev().map(cut).collect();
        told.reverse();
        let is_end = |at: &usize| {
            let neighbours = [at.checked_sub(1), Some(at + 1)];
            let told_there = |neighbour: Option<usize>| neighbour.and_then(|at| told.get(at));
            neighbours
                .into_iter()
                .any(|neighbour| told_there(neighbour) != Some(&told[*at]))
        };
        (0..len).filter(is_end).collect()
    }

    /// Reads it in all ways, and tells what is claimed falsely. `what` was done to it, which so many
    /// packets may not have survived.
    fn check(&self, bytes: &[u8], what: &str, unrecognisable: usize) -> Option<String> {
        let points = self.points(bytes);
        let (_, packets) = judge(&points, &options())?;
        let lost = packets.iter().filter(|packet| packet.fate == Fate::Lost);
        let of_delivered = lost.filter(|packet| self.delivered.contains(&key(packet)));
        let falsely: Vec<&Packet> = of_delivered.collect();
        if falsely.len() > unrecognisable {
            return Some(format!(
                "{what}: {} lost, as {:?}",
                falsely.len(),
                falsely[0]
            ));
        }
        let bounded = Options {
            memory: Memory::Bounded(Room::default()),
            ..options()
        };
        let parsed = path::points(&points).unwrap();
        let findings = path::findings(&parsed, &bounded).unwrap();
        for number in findings.directions.iter().flat_map(|way| &way.protocols) {
            let number_of = u8::try_from(number.protocol).unwrap_or(17);
            let known = self.lost.get(&number_of).copied().unwrap_or(0);
            let most = known + unrecognisable as u64;
            if number.lost > most {
                return Some(format!("{what}, bounded: {number:?}"));
            }
        }
        let mut written = Vec::new();
        let annotation = Annotation {
            frames: Frames::All,
            name: "annotated".to_owned(),
            to: &mut written,
        };
        path::annotate(&parsed, &options(), vec![annotation], |_| {}).unwrap();
        assert!(!written.is_empty(), "{what}");
        dissect_all(&self.folder.path().join("damaged"));
        None
    }
}

fn dissect_all(file: &Path) {
    let mut source = Source::open(Origin::Path(file.to_owned())).unwrap();
    let mut decoder = Decoder::new(DEFAULT_WINDOW_NS);
    let mut out = Vec::new();
    while let Some((frame, interface)) = source.next_with_interface() {
        if let Ok(datagram) = decoder.decode(&frame) {
            let layers = decoder.layers();
            let packet = dissect::Packet {
                frame,
                interface,
                datagram,
                layers,
            };
            out.clear();
            dissect::line::write(&packet, &mut out).unwrap();
            dissect::tree::write(&packet, &mut out).unwrap();
            dissect::json::write(&packet, &mut out).unwrap();
        }
    }
}

/// Every path of every scenario, each of its files in turn, as many at once as there are processors: what
/// is claimed falsely of those that are meant, sorted by what was done. Where all is tried, each file once.
fn each(
    mut is_meant: impl FnMut(&str) -> bool,
    check: impl Fn(&str, Damaged) -> Vec<String> + Sync,
) -> Vec<String> {
    let scenarios = Scenario::all();
    let mut files = Vec::new();
    let mut known = BTreeSet::new();
    for scenario in &scenarios {
        for path in 0..scenario.paths.len() {
            for index in 0..scenario.paths[path].len() {
                let file = &scenario.paths[path][index].file;
                let name = format!("{}/{file}", scenario.name());
                if (known.insert(name.clone()) || !is_all()) && is_meant(&name) {
                    files.push((name, scenario, path, index));
                }
            }
        }
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut wrong = Vec::new();
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (name, scenario, path, index) = file;
            wrong.extend(check(name, Damaged::new(scenario, *path, *index)));
        }
        wrong
    };
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let mut wrong: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let found = workers.into_iter().map(|worker| worker.join().unwrap());
        found.flatten().collect()
    });
    wrong.sort();
    wrong
}

fn assert_none(wrong: &[String]) {
    assert!(
        wrong.is_empty(),
        "{} false claims:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn a_file_that_is_cut_anywhere_loses_nothing_that_it_shows() {
    let check = |name: &str, damaged: Damaged| {
        let cuts = damaged.cuts();
        println!(
            "{name}: {} cuts judged of {}",
            cuts.len(),
            damaged.whole.len()
        );
        let check = |at| damaged.check(&damaged.whole[..at], &format!("{name} cut at {at}"), 0);
        cuts.into_iter().filter_map(check).collect()
    };
    assert_none(&each(|_| true, check));
}

#[test]
fn a_wrong_byte_in_a_header_loses_one_packet_at_the_most() {
    let mut files = 0;
    let is_meant = |name: &str| {
        files += usize::from(!name.contains(".gz"));
        files <= 10 && !name.contains(".gz")
    };
    let check = |name: &str, damaged: Damaged| {
        let mut wrong = Vec::new();
        let values = if is_all() { 1..=0xff } else { 0xff..=0xff };
        for at in 0..HEADERS.min(damaged.whole.len()) {
            for value in values.clone() {
                let mut bytes = damaged.whole.clone();
                bytes[at] ^= value;
                // A packet with another address or timestamp is another one.
                wrong.extend(damaged.check(&bytes, &format!("{name}, byte {at} ^ {value}"), 1));
            }
        }
        println!("{name}: {} wrong bytes gave a false claim", wrong.len());
        for claim in &wrong {
            println!("{claim}");
        }
        wrong
    };
    assert_none(&each(is_meant, check));
}

/// What is read out of place behind a wrong length may be several frames, of any time: of none of them
/// the capture was watching. Where nothing is damaged, a far time is one.
#[test]
fn frames_of_far_times_before_damage_are_no_coverage() {
    let record = |seconds: u32| {
        let words = [seconds, 0, 4, 4];
        [&words.map(u32::to_le_bytes).concat()[..], &[0; 4]].concat()
    };
    let check = |name: &str, damaged: Damaged| {
        let times = [3_690_921_766, 3, 2_000_000_000];
        let far = times.map(record).concat();
        let row = [&damaged.whole[..], &far, b"cut"].concat();
        let end = [&damaged.whole[..], &far].concat();
        let until = |bytes: &[u8]| {
            let points = damaged.points(bytes);
            let points = path::points(&points).unwrap();
            let findings = path::findings(&points, &options()).unwrap();
            let until = findings.points[damaged.index].last_ns.unwrap();
            (until, damaged.check(bytes, name, 0))
        };
        let (last_ns, wrong) = until(&damaged.whole);
        assert_eq!(wrong, None);
        let (until_ns, wrong) = until(&row);
        assert_eq!(until_ns, last_ns);
        assert_eq!(until(&end).0, 3_690_921_766 * 1_000_000_000);
        Vec::from_iter(wrong)
    };
    let wrong = each(|name| name == "control/server.pcap", check);
    assert_none(&wrong);
}

/// Frames that are read as another link's: most cannot be, and the few that can are no HDP.
#[test]
fn a_wrong_link_type_loses_nothing() {
    const LINK_TYPES: [u8; 16] = [
        0, 9, 12, 50, 101, 104, 105, 108, 109, 113, 127, 178, 192, 226, 228, 239,
    ];
    let files = AtomicUsize::new(0);
    let check = |name: &str, damaged: Damaged| {
        let mut wrong = Vec::new();
        // A pcap of Ethernet, in micro- or nanoseconds.
        let is_pcap = matches!(damaged.whole[..], [0xd4, 0xc3, ..] | [0x4d, 0x3c, ..]);
        if !is_pcap || damaged.whole[20] != 1 {
            return wrong;
        }
        files.fetch_add(1, Ordering::Relaxed);
        for link_type in LINK_TYPES {
            let mut bytes = damaged.whole.clone();
            bytes[20] = link_type;
            wrong.extend(damaged.check(&bytes, &format!("{name} of link type {link_type}"), 0));
        }
        wrong
    };
    assert_none(&each(|_| true, check));
    assert!(files.into_inner() >= 10);
}
