//! Any lines as the logs of a sender and a listener, beside captures that saw nothing.
#![no_main]

use hdp_fuzz::{Files, Folder, hold, readings_agree, twice_loses_nothing};
use libfuzzer_sys::fuzz_target;

thread_local!(static FOLDER: Folder = Folder::new());

const BETWEEN: &[u8] = b"=NEXT=";

fuzz_target!(|bytes: &[u8]| {
    let at = bytes.windows(BETWEEN.len()).position(|window| window == BETWEEN);
    FOLDER.with(|folder| {
        let (sender, listener) = match at {
            Some(at) => (&bytes[..at], &bytes[at + BETWEEN.len()..]),
            None => {
                twice_loses_nothing(folder, bytes);
                return;
            }
        };
        let files = Files::of(folder, &[sender.to_vec(), listener.to_vec()]);
        if let Some((findings, _)) = hold(&files.points) {
            readings_agree(&files.points, &findings);
        }
    });
});
