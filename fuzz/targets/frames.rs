//! Frames of any link type: the decoder and its shortcut find the same point, and where they find anything, a
//! live capture's filter lets it through.
#![no_main]

use std::cell::RefCell;

use hdp::{
    BothWays,
    decode::{DEFAULT_WINDOW_NS, Decoder, LayerKind, candidates},
    source::{Filter, Frame, FrameDirection, LinkType, Origin},
};
use hdp_fuzz::{START_NS, pieces};
use libfuzzer_sys::fuzz_target;

/// Each link type that is decoded, and one that is not.
const LINK_TYPES: [u16; 27] = [
    0, 1, 9, 12, 14, 50, 101, 104, 105, 108, 113, 127, 149, 178, 179, 192, 226, 228, 229, 239, 258, 276, 281, 282,
    284, 285, 147,
];

/// Ethernet, cooked and raw IP; of others the filter promises less.
const FILTERED: [u16; 8] = [1, 12, 14, 101, 113, 228, 229, 276];

thread_local!(static FILTER: RefCell<Filter> = RefCell::new(Filter::new(
    &candidates(START_NS, DEFAULT_WINDOW_NS),
    &Origin::Stdin,
)));

/// Sees that a frame in which HDP is found passes the filter, as the kernel has it: whole, and with the header
/// of its link.
fn assert_passes(frame: &Frame) {
    let is_whole = usize::try_from(frame.original_len) == Ok(frame.bytes.len());
    if !is_whole || !FILTERED.contains(&frame.link_type.0) {
        return;
    }
    let mut decoder = Decoder::new(DEFAULT_WINDOW_NS);
    let is_found = decoder.decode(frame).is_ok();
    let has_link = frame.link_type != LinkType::EN10MB
        || decoder.layers().first().is_some_and(|layer| layer.kind == LayerKind::Ethernet);
    if is_found && has_link {
        let passes = FILTER.with_borrow_mut(|filter| filter.matches(frame));
        assert!(passes.unwrap(), "{frame:?} {:?}", decoder.layers());
    }
}

// A piece is a frame: its link type, how it came, and its bytes or what differs from the frame before, as
// most frames of a flow differ in little.
fuzz_target!(|bytes: &[u8]| {
    let mut both = BothWays::default();
    let mut before: (u16, Vec<u8>) = (101, Vec::new());
    for (number, piece) in (1..).zip(pieces(bytes)) {
        let [link_type, how, rest @ ..] = piece else { continue };
        if how & 1 == 0 {
            before = (LINK_TYPES[usize::from(*link_type) % LINK_TYPES.len()], rest.to_vec());
        } else if !before.1.is_empty() {
            for change in rest.chunks_exact(2) {
                let at = usize::from(change[0]) % before.1.len();
                before.1[at] ^= change[1];
            }
        }
        let frame = Frame {
            number,
            time_ns: Some(START_NS + i64::try_from(number).unwrap()),
            link_type: LinkType(before.0),
            interface: 0,
            direction: match how >> 1 & 3 {
                0 => Some(FrameDirection::Inbound),
                1 => Some(FrameDirection::Outbound),
                _ => None,
            },
            original_len: u32::try_from(before.1.len()).unwrap() + u32::from(how >> 3),
            bytes: &before.1,
        };
        both.see(&frame);
        assert_passes(&frame);
    }
    both.assert_alike("fuzzed");
});
