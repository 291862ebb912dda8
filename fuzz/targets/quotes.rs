//! ICMP errors about packets that were sent, and the bytes behind them changed at will.
#![no_main]

use arbitrary::Arbitrary;
use hdp_fuzz::{Errors, Files, Folder, Scene, hold, pcap, readings_agree};
use libfuzzer_sys::fuzz_target;

thread_local!(static FOLDER: Folder = Folder::new());

#[derive(Debug, Arbitrary)]
struct Input {
    scene: Scene,
    /// Which frame, which byte, what on it.
    changes: Vec<(u16, u8, u8)>,
    /// Which frame, how many bytes are left of it.
    cuts: Vec<(u16, u8)>,
}

fuzz_target!(|input: Input| {
    let (mut captures, _) = input.scene.captures(&Errors::RefusedOnly);
    let mut errors: Vec<&mut Vec<u8>> = captures
        .iter_mut()
        .flatten()
        .map(|(_, bytes)| bytes)
        .filter(|bytes| matches!((bytes[0] >> 4, bytes[9], bytes[6]), (4, 1, _) | (6, _, 58)))
        .collect();
    if !errors.is_empty() {
        let count = errors.len();
        for &(frame, at, by) in &input.changes {
            let bytes = &mut errors[usize::from(frame) % count];
            let at = usize::from(at) % bytes.len();
            bytes[at] ^= by;
        }
        for &(frame, len) in &input.cuts {
            errors[usize::from(frame) % count].truncate(usize::from(len).max(20));
        }
    }
    let bytes: Vec<Vec<u8>> = captures.iter().map(|frames| pcap(frames)).collect();
    FOLDER.with(|folder| {
        let files = Files::of(folder, &bytes);
        let (findings, _) = hold(&files.points).expect("captures that are whole");
        readings_agree(&files.points, &findings);
    });
});
