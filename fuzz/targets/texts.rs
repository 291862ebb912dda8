//! What people and other programs write: lists of numbers, subjects, manifests, findings.
#![no_main]

use hdp::{campaign, diff, findings::Findings, path::Subject, protocols, report};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, bytes)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match kind % 4 {
        0 => {
            if let Ok(list) = protocols::on_the_wire(text) {
                assert!(list.iter().count() <= 256);
            }
        }
        1 => {
            let _ = text.parse::<Subject>();
        }
        2 => {
            for line in campaign::manifest::Lines::new("manifest", bytes).unique() {
                let _ = line;
            }
        }
        _ => {
            if let Ok(findings) = serde_json::from_str::<Findings>(text) {
                let difference = diff::of_paths(&findings, &findings);
                assert!(!difference.has_changes(), "findings differ from themselves");
                let _ = report::csv(&findings);
            }
        }
    }
});
