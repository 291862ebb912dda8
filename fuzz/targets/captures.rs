//! Any bytes as the captures of two points: what holds of all findings.
#![no_main]

use hdp_fuzz::{Files, Folder, hold, readings_agree, twice_loses_nothing};
use libfuzzer_sys::fuzz_target;

thread_local!(static FOLDER: Folder = Folder::new());

/// What is put between the two.
const BETWEEN: &[u8] = b"=NEXT=";

fuzz_target!(|bytes: &[u8]| {
    let at = bytes.windows(BETWEEN.len()).position(|window| window == BETWEEN);
    FOLDER.with(|folder| match at {
        Some(at) => {
            let captures = [bytes[..at].to_vec(), bytes[at + BETWEEN.len()..].to_vec()];
            let files = Files::of(folder, &captures);
            if let Some((findings, _)) = hold(&files.points) {
                readings_agree(&files.points, &findings);
            }
        }
        None => twice_loses_nothing(folder, bytes),
    });
});
