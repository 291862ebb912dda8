//! The witness: watches all packets go by, and remembers the one that is asked for, its neighbours
//! and how fast packets crossed each stretch.

use std::collections::BTreeSet;

use super::with_timestamp;
use crate::{
    findings::{Carrier, Packet},
    observe::Point,
};

/// Which packets are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// HDP's timestamp, as it was sent or as a point saw it.
    pub timestamp_ns: u64,
    /// Only the packet that was seen there: the index of a point, and a frame or line.
    pub place: Option<(usize, u64)>,
}

/// Another packet that was seen at the same two points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crossing {
    pub(super) timestamp_ns: u64,
    pub(super) protocol: u8,
    pub(super) carrier: Carrier,
    /// Its frames at the first and at the second point along its way.
    pub(super) frames: [u64; 2],
}

/// What packets tell that were seen at two points and went one way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stretch {
    /// How many.
    pub(super) packets: u64,
    /// The second point's time less the first's: the smallest of all.
    pub(super) fastest_ns: i64,
    /// The last one sent before the packet that is asked for, and the first one sent after it.
    pub(super) neighbours: [Option<Crossing>; 2],
}

/// Watches all packets go by.
#[derive(Debug)]
pub(crate) struct Witness<'a> {
    /// Names of the points, in path order.
    points: Vec<&'a str>,
    timestamp_ns: u64,
    /// Points and frames that have this timestamp: on the way it may have been altered.
    frames: BTreeSet<(usize, u64)>,
    /// By way (0 along the points), first and second point.
    stretches: Vec<Stretch>,
    /// The packets that may be meant.
    pub(super) found: Vec<Packet>,
}

impl<'a> Witness<'a> {
    /// Waits for the packets with a timestamp, be it the one that was sent or one that a point saw.
    #[must_use]
    pub(crate) fn new(points: &'a [Point], timestamp_ns: u64) -> Self {
        let names = points.iter().map(|point| point.name.as_str()).collect();
        let frames = points.iter().enumerate().flat_map(|(index, point)| {
            let sightings = with_timestamp(point, timestamp_ns);
            sightings.map(move |sighting| (index, u64::from(sighting.frame)))
        });
        Self::waiting_for(names, timestamp_ns, frames.collect())
    }

    fn waiting_for(
        points: Vec<&'a str>,
        timestamp_ns: u64,
        frames: BTreeSet<(usize, u64)>,
    ) -> Self {
        Self {
            timestamp_ns,
            frames,
            stretches: vec![Stretch::default(); 2 * points.len() * points.len()],
            points,
            found: Vec::new(),
        }
    }

    /// Sees one packet; they may come in any order.
    pub(crate) fn see(&mut self, packet: &Packet) {
        let is_meant = packet.timestamp_ns == self.timestamp_ns
            || packet.seen.iter().any(|seen| {
                let point = self.points.iter().position(|name| **name == *seen.point);
                point.is_some_and(|point| self.frames.contains(&(point, seen.frame)))
            });
        if is_meant {
            self.found.push(packet.clone());
        }
        let asked_ns = self.timestamp_ns;
        let is_reverse = self.is_reverse(packet);
        // In the order of the points; the way of a packet that goes back is the other one.
        for (index, first) in packet.seen.iter().enumerate() {
            for second in &packet.seen[index + 1..] {
                let (from, to) = if is_reverse {
                    (second, first)
                } else {
                    (first, second)
                };
                let Some(stretch) = self.index(is_reverse, &from.point, &to.point) else {
                    continue;
                };
                let stretch = &mut self.stretches[stretch];
                let took_ns = to.time_ns.saturating_sub(from.time_ns);
                stretch.fastest_ns = match stretch.packets {
                    0 => took_ns,
                    _ => stretch.fastest_ns.min(took_ns),
                };
                stretch.packets += 1;
                let crossing = Crossing {
                    timestamp_ns: packet.timestamp_ns,
                    protocol: packet.protocol,
                    carrier: packet.carrier,
                    frames: [from.frame, to.frame],
                };
                let [before, after] = &mut stretch.neighbours;
                if packet.timestamp_ns < asked_ns {
                    if before.is_none_or(|known| known.timestamp_ns <= packet.timestamp_ns) {
                        *before = Some(crossing);
                    }
                } else if packet.timestamp_ns > asked_ns
                    && after.is_none_or(|known| known.timestamp_ns > packet.timestamp_ns)
                {
                    *after = Some(crossing);
                }
            }
        }
    }

    /// Whether a packet goes against the order of the points.
    pub(super) fn is_reverse(&self, packet: &Packet) -> bool {
        self.points.first() != Some(&&*packet.from)
    }

    /// What is known of the stretch between two points, for packets that go like this one.
    pub(super) fn stretch(&self, packet: &Packet, from: &str, to: &str) -> Option<&Stretch> {
        let index = self.index(self.is_reverse(packet), from, to)?;
        Some(&self.stretches[index]).filter(|stretch| stretch.packets > 0)
    }

    fn index(&self, is_reverse: bool, from: &str, to: &str) -> Option<usize> {
        let place = |name: &str| self.points.iter().position(|point| *point == name);
        let count = self.points.len();
        Some((usize::from(is_reverse) * count + place(from)?) * count + place(to)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{Fate, PacketSighting};

    /// A packet from `a` to `b`, seen at those with a time.
    fn packet(timestamp_ns: u64, seen: &[(&str, u64, i64)]) -> Packet {
        Packet {
            from: "a".into(),
            to: "b".into(),
            timestamp_ns,
            protocol: 50,
            carrier: Carrier::Ip,
            srcport: 420,
            dstport: 420,
            payload_len: 0,
            fate: Fate::Delivered,
            lost_at: None,
            expected: None,
            delay_ns: None,
            reordered: false,
            altered: false,
            seen: seen
                .iter()
                .map(|&(point, frame, time_ns)| PacketSighting {
                    point: point.into(),
                    frame,
                    time_ns,
                    src: "".into(),
                    dst: "".into(),
                    ttl: 64,
                    duplicates: 0,
                })
                .collect(),
        }
    }

    #[test]
    fn neighbours_are_the_nearest_in_the_order_of_sending_whatever_order_they_come_in() {
        let mut witness = Witness::waiting_for(vec!["a", "b"], 50, BTreeSet::new());
        for (timestamp, frame) in [(70, 7), (10, 1), (60, 6), (40, 4), (20, 2)] {
            witness.see(&packet(timestamp, &[("a", frame, 0), ("b", frame, 9)]));
        }
        // Seen at one point only: no neighbour at both.
        witness.see(&packet(49, &[("a", 5, 0)]));
        let asked = packet(50, &[("a", 3, 0)]);
        witness.see(&asked);
        let stretch = witness.stretch(&asked, "a", "b").unwrap();
        let frames = stretch
            .neighbours
            .map(|neighbour| neighbour.unwrap().frames);
        assert_eq!(frames, [[4, 4], [6, 6]]);
        assert_eq!(witness.found, [asked]);
    }

    #[test]
    fn the_fastest_is_the_smallest_difference_of_any_packet_also_below_zero() {
        let mut witness = Witness::waiting_for(vec!["a", "b"], 1, BTreeSet::new());
        for (timestamp, there) in [(1, -3), (2, -9), (3, 4)] {
            witness.see(&packet(timestamp, &[("a", 1, 0), ("b", 1, there)]));
        }
        let asked = packet(1, &[]);
        let stretch = witness.stretch(&asked, "a", "b").unwrap();
        assert_eq!((stretch.packets, stretch.fastest_ns), (3, -9));
        assert!(witness.stretch(&asked, "b", "a").is_none());
    }
}
