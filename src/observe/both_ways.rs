//! The same frames, observed through the decoder and through its shortcut, for tests and fuzzing: both
//! find the same point.

use std::net::IpAddr;

use super::{Flow, Observer, Point, Sighting};
use crate::{
    decode::{DEFAULT_WINDOW_NS, Decoder, Shortcut},
    source::{Frame, Summary},
};

/// Two observers of the same frames.
#[derive(Debug)]
pub struct BothWays {
    decoder: Decoder,
    walked: Observer,
    shortcut: Shortcut,
    cut: Observer,
    /// Frames that did take the shortcut.
    recalled: u64,
}

impl Default for BothWays {
    fn default() -> Self {
        Self {
            decoder: Decoder::new(DEFAULT_WINDOW_NS),
            walked: Observer::default(),
            shortcut: Shortcut::new(DEFAULT_WINDOW_NS),
            cut: Observer::default(),
            recalled: 0,
        }
    }
}

impl BothWays {
    /// Shows both a frame.
    pub fn see(&mut self, frame: &Frame) {
        self.walked.watch(frame);
        self.walked.observe(frame, self.decoder.decode(frame));
        self.cut.watch(frame);
        self.recalled += u64::from(self.shortcut.recall(frame).is_some());
        self.cut.read(frame, &mut self.shortcut);
    }

    /// How many frames took the shortcut.
    ///
    /// # Panics
    /// Where the two did not see the same.
    #[track_caller]
    pub fn assert_alike(self, what: &str) -> u64 {
        let finish =
            |observer: Observer| observer.finish(String::new(), String::new(), Summary::default());
        let (walked, cut) = (finish(self.walked), finish(self.cut));
        for (a, b) in resolved(&walked).zip(resolved(&cut)) {
            assert_eq!(a, b, "{what}, frame {}: walked, then shortcut", a.0.frame);
        }
        assert_eq!(walked.sightings.len(), cut.sightings.len(), "{what}");
        assert_eq!(walked.frames, cut.frames, "{what}");
        assert_eq!(walked.coverage, cut.coverage, "{what}");
        assert_eq!(walked.skipped, cut.skipped, "{what}");
        assert_eq!(walked.icmp, cut.icmp, "{what}");
        self.recalled
    }
}

/// Sightings with what their indices stand for in place of the indices.
fn resolved(point: &Point) -> impl Iterator<Item = (Sighting, Flow, u64, (IpAddr, IpAddr))> {
    point.sightings.iter().map(|sighting| {
        let flow = sighting.flow as usize;
        let mut sighting = *sighting;
        sighting.flow = 0;
        let entry = &point.flows[flow];
        let addresses = point.pairs[entry.pair as usize];
        (sighting, entry.flow, point.keys[flow], addresses)
    })
}
