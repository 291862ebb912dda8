//! Frames of any link type: the decoder and its shortcut find the same point.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use hdp::{
    BothWays,
    source::{Frame, FrameDirection, LinkType},
};
use libfuzzer_sys::fuzz_target;

/// Each link type that is decoded, and one that is not.
const LINK_TYPES: [u16; 14] = [0, 1, 9, 12, 101, 105, 108, 109, 113, 127, 149, 228, 229, 276];

#[derive(Debug, Arbitrary)]
struct Seen {
    /// An exclusive or on a byte of the frame before, where it has that; most frames of a flow differ
    /// in little.
    changed: Option<[u8; 6]>,
    link_type: u8,
    direction: Option<bool>,
    cut: u8,
    bytes: Vec<u8>,
}

fuzz_target!(|bytes: &[u8]| {
    let mut drawn = Unstructured::new(bytes);
    let Ok(seen) = Vec::<Seen>::arbitrary(&mut drawn) else { return };
    let mut both = BothWays::default();
    let mut before: (u16, Vec<u8>) = (101, Vec::new());
    for (number, seen) in (1..).zip(&seen) {
        let now = match seen.changed {
            Some(changes) if !before.1.is_empty() => {
                for change in changes.chunks(2) {
                    let at = usize::from(change[0]) % before.1.len();
                    before.1[at] ^= change[1];
                }
                before
            }
            _ => (LINK_TYPES[usize::from(seen.link_type) % LINK_TYPES.len()], seen.bytes.clone()),
        };
        let frame = Frame {
            number,
            time_ns: Some(hdp_fuzz::START_NS + i64::try_from(number).unwrap()),
            link_type: LinkType(now.0),
            interface: 0,
            direction: seen.direction.map(|is_in| {
                if is_in { FrameDirection::Inbound } else { FrameDirection::Outbound }
            }),
            original_len: u32::try_from(now.1.len()).unwrap() + u32::from(seen.cut),
            bytes: &now.1,
        };
        both.see(&frame);
        before = now;
    }
    both.assert_alike("fuzzed");
});
