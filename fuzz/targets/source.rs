//! Any bytes as a file: all frames, all of them decoded and shown in every format.
#![no_main]

use std::io::Write;

use hdp::{
    decode::{DEFAULT_WINDOW_NS, Decoder},
    dissect::{self, Packet, Tally},
    source::{Origin, Packing, Recording},
};
use hdp_fuzz::Folder;
use libfuzzer_sys::fuzz_target;

thread_local!(static FOLDER: Folder = Folder::new());

fuzz_target!(|bytes: &[u8]| {
    let file = FOLDER.with(|folder| folder.write("source", bytes));
    let is_plain = Packing::of(&file).unwrap() == Packing::Plain;
    match Recording::open(Origin::Path(file)) {
        Err(why) => assert!(!why.to_string().contains('\u{1b}'), "an escape in an error"),
        Ok(Recording::Log(mut log)) => while log.next_line().is_some() {},
        Ok(Recording::Capture(mut source)) => {
            source.digest();
            let is_capture = [0xa1, 0xd4, 0x4d, 0x34, 0x0a].iter().any(|magic| bytes.starts_with(&[*magic]));
            assert_eq!(is_plain, is_capture, "what is no capture by itself is packed");
            let mut decoder = Decoder::new(DEFAULT_WINDOW_NS);
            let mut tally = Tally::default();
            let mut out = NoControls;
            let mut options = Vec::new();
            while let Some((frame, interface)) = source.next_with_interface() {
                match decoder.decode(&frame) {
                    Ok(datagram) => {
                        tally.show(&datagram);
                        let packet = Packet { frame, interface, datagram, layers: decoder.layers() };
                        dissect::line::write(&packet, &mut out).unwrap();
                        dissect::tree::write(&packet, &mut out).unwrap();
                        dissect::json::write(&packet, &mut out).unwrap();
                        dissect::hex::write(&packet, &mut out).unwrap();
                    }
                    Err(skip) => {
                        tally.skip(&skip);
                        let _ = decoder.doubtful(&frame);
                    }
                }
                options.clear();
                source.append_packet_options(&mut options);
                assert_eq!(options.len() % 4, 0, "options that are padded");
            }
            let summary = source.into_summary();
            let is_known = (summary.bytes, summary.sha256.is_some()) == (Some(bytes.len() as u64), true);
            assert!(is_known, "read to its end: {summary:?}");
            for warning in &summary.warnings {
                assert!(!format!("{warning}").contains('\u{1b}'), "an escape in a warning");
            }
        }
    }
});

/// Takes text that may have line breaks and nothing else of control.
struct NoControls;

impl Write for NoControls {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let control = bytes.iter().find(|byte| **byte == 0x7f || **byte < 0x20 && !matches!(byte, b'\n' | b'\t'));
        assert_eq!(control, None, "a control byte: {:?}", String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
