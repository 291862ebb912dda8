//! Files for the front door, which reads nothing else; in memory where the system has a place for that.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
};

use hdp::path::{self, Options, Points};

use crate::{
    invariants::{hold, readings_agree, twice_loses_nothing},
    support::capture::{ByteOrder, Capture, Format},
};

/// A folder of this process, emptied by what comes next.
pub struct Folder(PathBuf);

impl Folder {
    /// Of one target.
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let below = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = below.join(format!("hdp-fuzz-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// Writes a file; its path.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let file = self.0.join(name);
        fs::write(&file, bytes).unwrap();
        file
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

/// Captures as files, which are points called `p0`, `p1` ...
pub struct Files {
    pub points: Points,
}

impl Files {
    /// Writes them into the folder.
    pub fn of(folder: &Folder, captures: &[Vec<u8>]) -> Self {
        let named = captures.iter().enumerate().map(|(index, bytes)| {
            let name = format!("p{index}");
            format!("{name}={}", folder.write(&name, bytes).display())
        });
        let named: Vec<String> = named.collect();
        Self {
            points: path::points(named).unwrap(),
        }
    }
}

/// Frames of raw IP as a pcap that counts nanoseconds.
pub fn pcap(frames: &[(i64, Vec<u8>)]) -> Vec<u8> {
    let mut capture = Capture::new(101);
    for (time_ns, bytes) in frames {
        capture.push(*time_ns, bytes.clone());
    }
    capture.to_bytes(Format::Pcap {
        order: ByteOrder::Little,
        nanoseconds: true,
    })
}

/// Options for files that are read in this thread.
pub(crate) fn options() -> Options {
    Options {
        one_thread: true,
        ..Options::default()
    }
}

/// What is put between two files in one input, and between other pieces of one.
const BETWEEN: &[u8] = b"=NEXT=";

/// What stands between those.
pub fn pieces(bytes: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(BETWEEN.len()).position(|window| window == BETWEEN) {
        pieces.push(&rest[..at]);
        rest = &rest[at + BETWEEN.len()..];
    }
    pieces.push(rest);
    pieces
}

/// Any bytes as two files, or as one that is given twice: what holds of all findings.
pub fn two_files(folder: &Folder, bytes: &[u8]) {
    let [first, second] = pieces(bytes)[..] else {
        twice_loses_nothing(folder, bytes);
        return;
    };
    let files = Files::of(folder, &[first.to_vec(), second.to_vec()]);
    if let Some((findings, _)) = hold(&files.points) {
        readings_agree(&files.points, &findings);
    }
}
