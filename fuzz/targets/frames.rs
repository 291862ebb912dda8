//! Frames of any link type: the decoder and its shortcut find the same point, and where they find anything, a
//! live capture's filter lets it through.
#![no_main]

use std::cell::RefCell;

use hdp::{
    BothWays,
    decode::{DEFAULT_WINDOW_NS, Decoder, LayerKind, candidates},
    source::{Filter, Frame, FrameDirection, LinkType, Origin},
};
use hdp_fuzz::{START_NS, made_frames};
use libfuzzer_sys::fuzz_target;

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

fuzz_target!(|bytes: &[u8]| {
    let mut both = BothWays::default();
    for (number, made) in (1..).zip(made_frames(bytes)) {
        let frame = Frame {
            number,
            time_ns: Some(START_NS + i64::try_from(number).unwrap()),
            link_type: LinkType(made.link_type),
            interface: 0,
            direction: match made.how >> 1 & 3 {
                0 => Some(FrameDirection::Inbound),
                1 => Some(FrameDirection::Outbound),
                _ => None,
            },
            original_len: made.original_len(),
            bytes: &made.bytes,
        };
        both.see(&frame);
        assert_passes(&frame);
    }
    both.assert_alike("fuzzed");
});
