//! Any bytes as the captures of two points: what holds of all findings.
#![no_main]

use hdp_fuzz::{Folder, two_files};
use libfuzzer_sys::fuzz_target;

thread_local!(static FOLDER: Folder = Folder::new());

fuzz_target!(|bytes: &[u8]| FOLDER.with(|folder| two_files(folder, bytes)));
