//! Notes: the fate of each packet, found by the frames that hold it.

use std::{cell::Cell, fmt::Write as _};

use super::clocks::{self, Clocks, Shortest};
use crate::{
    decode::{Datagram, HeaderView},
    findings::{Carrier, Fate, Findings, Packet, PointKind},
    keyed::KeyedMap,
    observe::Point,
};

/// So many of the packets whose frames were written are remembered, and up to twice as many: copies of them
/// may come.
const REMEMBERED: usize = 1 << 16;

/// The packets' fates, taken down while they are judged.
#[derive(Debug)]
pub(crate) struct Notes {
    points: Vec<String>,
    /// Their names as comments show them.
    shown: Vec<String>,
    /// For each point the index of what it was taken from.
    record_of: Vec<usize>,
    records: Vec<Record>,
    packets: Vec<Note>,
    /// How many packets before them were forgotten, and how many sights.
    forgotten: [u32; 2],
    /// How many of the packets need no more be noted: the frames that they were seen in were written.
    written: usize,
    /// They were taken down by rising timestamp.
    is_in_order: bool,
    /// Their numbers in that order, where they were not.
    by_timestamp: Option<Vec<u32>>,
    /// Where each packet was seen, one packet behind the other.
    sights: Vec<Sight>,
    shortest: Shortest,
}

/// What one source holds: a point, or both sides of a host, whose frames are counted as one.
#[derive(Debug)]
pub(crate) struct Record {
    /// The name that the source was given.
    pub name: String,
    /// What kind of record it is.
    pub kind: PointKind,
    /// The point of the whole record, or the first of its two.
    pub(super) point: usize,
    /// How many frames it had when it was read first; those that came since are left out.
    pub(super) frames: u64,
    /// Of two sides, the one that a frame with HDP belongs to.
    sides: KeyedMap<u64, u16>,
    /// The packet that a frame holds.
    by_frame: ByFrame,
}

/// The packets that frames hold, once they are sorted: frames are asked for in their order, nearly.
#[derive(Debug, Default)]
struct ByFrame {
    /// Frames and packets.
    held: Vec<(u32, u32)>,
    /// So many of them are sorted.
    sorted: usize,
    /// Where the last one was found.
    last: Cell<usize>,
}

impl ByFrame {
    /// Sorts those that came since, which belong behind most others. Of two packets in one frame the later
    /// note counts.
    fn sort(&mut self) {
        let new = &self.held[self.sorted..];
        let Some((earliest, _)) = new.iter().min_by_key(|(frame, _)| *frame) else {
            return;
        };
        let before = |(frame, _): &(u32, u32)| frame <= earliest;
        let from = self.held[..self.sorted].partition_point(before);
        self.held[from..].sort_by_key(|(frame, _)| *frame);
        self.sorted = self.held.len();
        self.last.set(0);
    }

    /// Forgets the packets in frames before this one, once they are most.
    fn forget(&mut self, next: u64) {
        let over = self
            .held
            .partition_point(|(frame, _)| u64::from(*frame) < next);
        if 2 * over > self.held.len() {
            self.held.drain(..over);
            self.sorted -= over;
            self.last.set(0);
        }
    }

    fn packet(&self, frame: u64) -> Option<u32> {
        let frame = u32::try_from(frame).ok()?;
        let at = self.last.get();
        let is_here = |at: usize| {
            let here = self.held.get(at).is_some_and(|(held, _)| *held <= frame);
            here && self.held.get(at + 1).is_none_or(|(next, _)| frame < *next)
        };
        let at = match [at, at + 1].into_iter().find(|at| is_here(*at)) {
            Some(at) => at,
            None => self
                .held
                .partition_point(|(held, _)| *held <= frame)
                .checked_sub(1)?,
        };
        self.last.set(at);
        let (held, packet) = self.held[at];
        (held == frame).then_some(packet)
    }
}

/// One packet's fate.
#[derive(Debug)]
struct Note {
    key: Key,
    fate: Fate,
    /// Between which points it was lost.
    lost_at: Option<[u16; 2]>,
    altered: bool,
    /// Its delay along the whole path, as the findings count it.
    delay_ns: Option<i64>,
    /// Its first sight, and behind its last, counted from the first of all.
    sights: [u32; 2],
}

/// What copies of a packet have in common: a capture on all interfaces of a bridge holds it twice,
/// and only the first frame is among the findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    timestamp_ns: u64,
    protocol: u8,
    carrier: Carrier,
}

impl Key {
    /// The key of a packet in a frame; a quote in an ICMP error is none.
    pub(super) fn of(datagram: &Datagram<'_>) -> Option<Self> {
        match (datagram.header, datagram.quote) {
            (HeaderView::Whole(header), None) => Some(Self {
                timestamp_ns: header.timestamp_ns,
                protocol: datagram.protocol,
                carrier: datagram.carrier,
            }),
            _ => None,
        }
    }
}

/// One frame that holds a packet.
#[derive(Debug, Clone, Copy)]
struct Sight {
    point: u16,
    frame: u32,
}

impl Notes {
    /// Nothing yet about packets between these points, in path order, of which all sightings were
    /// kept.
    #[must_use]
    pub(crate) fn new(points: &[Point]) -> Self {
        let mut records: Vec<Record> = Vec::new();
        let mut record_of = Vec::new();
        for (index, point) in points.iter().enumerate() {
            let known = records
                .iter()
                .position(|record| record.name == point.capture);
            let record = known.unwrap_or_else(|| {
                records.push(Record {
                    name: point.capture.clone(),
                    kind: point.kind,
                    point: index,
                    frames: point.frames,
                    sides: KeyedMap::default(),
                    by_frame: ByFrame::default(),
                });
                records.len() - 1
            });
            record_of.push(record);
            if point.side.is_some() {
                let incomplete = point.incomplete.iter().map(|piece| &piece.sighting);
                let own = point.sightings.iter().chain(incomplete);
                let frames = own
                    .chain(&point.doubtful)
                    .map(|sighting| (u64::from(sighting.frame), short(index)));
                records[record].sides.extend(frames);
            }
        }
        Self {
            packets: Vec::new(),
            forgotten: [0; 2],
            written: 0,
            is_in_order: true,
            sights: Vec::new(),
            by_timestamp: None,
            shortest: Shortest::new(points.len()),
            points: points.iter().map(|point| point.name.clone()).collect(),
            shown: points.iter().map(|point| plain(&point.name)).collect(),
            record_of,
            records,
        }
    }

    /// What the points were taken from, in path order.
    #[must_use]
    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    fn index(&self, point: &str) -> Option<usize> {
        self.points.iter().position(|name| name == point)
    }

    /// Takes down when a packet passed the points.
    pub(crate) fn add_times(&mut self, packet: &Packet) {
        let (from, to) = (self.index(&packet.from), self.index(&packet.to));
        let passed = clocks::passed(packet, &self.points);
        if from <= to {
            self.shortest.note(passed);
        } else {
            self.shortest.note(passed.rev());
        }
    }

    /// Takes down one packet's fate.
    pub(crate) fn add(&mut self, packet: &Packet) {
        let first_sight = self.forgotten[1].wrapping_add(position(self.sights.len()));
        let index = |name: &str| self.index(name);
        let note = Note {
            key: Key {
                timestamp_ns: packet.timestamp_ns,
                protocol: packet.protocol,
                carrier: packet.carrier,
            },
            fate: packet.fate,
            lost_at: packet
                .lost_at
                .as_ref()
                .and_then(|[from, to]| Some([short(index(from)?), short(index(to)?)])),
            altered: packet.altered,
            delay_ns: packet.delay_ns,
            sights: [
                first_sight,
                first_sight.wrapping_add(position(packet.seen.len())),
            ],
        };
        let number = self.forgotten[0].wrapping_add(position(self.packets.len()));
        for seen in &packet.seen {
            let Some(point) = self.points.iter().position(|name| **name == *seen.point) else {
                unreachable!("packets are seen at the points only")
            };
            // Frames are counted in 32 bits where they are observed.
            let frame = u32::try_from(seen.frame).unwrap_or(u32::MAX);
            let by_frame = &mut self.records[self.record_of[point]].by_frame;
            by_frame.held.push((frame, number));
            self.sights.push(Sight {
                point: short(point),
                frame,
            });
        }
        let last = self.packets.last();
        self.is_in_order &= last.is_none_or(|last| last.key.timestamp_ns <= note.key.timestamp_ns);
        self.packets.push(note);
    }

    /// What was noted is found from now on.
    pub(crate) fn sort(&mut self) {
        for record in &mut self.records {
            record.by_frame.sort();
        }
        let timestamp = |note: &Note| note.key.timestamp_ns;
        if !self.is_in_order {
            let mut numbers: Vec<u32> = (0..position(self.packets.len())).collect();
            numbers.sort_by_key(|number| timestamp(&self.packets[*number as usize]));
            self.by_timestamp = Some(numbers);
        }
    }

    /// Forgets packets whose frames all lie before those of their records that are asked for next, but for the
    /// last, whose copies may still come. They were noted by rising timestamp.
    pub(crate) fn forget(&mut self, next_frame: impl Fn(usize) -> u64) {
        for (index, record) in self.records.iter_mut().enumerate() {
            record.by_frame.forget(next_frame(index));
        }
        let is_written = |sight: &Sight| {
            u64::from(sight.frame) < next_frame(self.record_of[usize::from(sight.point)])
        };
        let rest = &self.packets[self.written..];
        let written = rest
            .iter()
            .take_while(|note| self.sights_of(note).iter().all(is_written))
            .count();
        self.written += written;
        let mut over = self.written.saturating_sub(REMEMBERED);
        if over < REMEMBERED {
            return;
        }
        let timestamp = |place: usize| self.packets[place].key.timestamp_ns;
        while over > 0 && timestamp(over - 1) == timestamp(over) {
            over -= 1;
        }
        let sights = self.packets[..over]
            .iter()
            .map(|note| self.sights_of(note).len())
            .sum::<usize>();
        self.packets.drain(..over);
        self.sights.drain(..sights);
        self.written -= over;
        for (forgotten, more) in self.forgotten.iter_mut().zip([over, sights]) {
            *forgotten = forgotten.wrapping_add(position(more));
        }
    }

    /// Forgets all packets.
    pub(crate) fn clear(&mut self) {
        for record in &mut self.records {
            record.by_frame = ByFrame::default();
        }
        self.packets.clear();
        self.sights.clear();
        (self.forgotten, self.written) = ([0; 2], 0);
    }

    /// The note of a packet that was not forgotten.
    fn note(&self, number: u32) -> &Note {
        &self.packets[number.wrapping_sub(self.forgotten[0]) as usize]
    }

    /// The one packet of a key; none where several look the same.
    fn of_key(&self, key: Key) -> Option<u32> {
        let packet = |place: usize| match &self.by_timestamp {
            Some(numbers) => numbers[place],
            None => self.forgotten[0].wrapping_add(position(place)),
        };
        let timestamp = |number: u32| self.note(number).key.timestamp_ns;
        let (mut from, mut to) = (0, self.packets.len());
        while from < to {
            let middle = from.midpoint(to);
            if timestamp(packet(middle)) < key.timestamp_ns {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        let numbers = (from..self.packets.len()).map(packet);
        let here = numbers.take_while(|number| timestamp(*number) == key.timestamp_ns);
        let mut alike = here.filter(|number| self.note(*number).key == key);
        alike.next().filter(|_| alike.next().is_none())
    }

    /// How the points' clocks relate by what was noted and found.
    #[must_use]
    pub(crate) fn clocks(&self, findings: &Findings) -> Clocks {
        Clocks::new(findings, &self.shortest, &self.record_of)
    }

    /// Packets that were lost behind a record, as it saw them last.
    #[must_use]
    pub(crate) fn lost_behind(&self, record: usize) -> usize {
        self.packets
            .iter()
            .filter(|note| {
                note.lost_at
                    .is_some_and(|[last, _]| self.record_of[usize::from(last)] == record)
            })
            .count()
    }

    /// The side that a frame of a record belongs to; `None` of a record that is one
    /// point, and of frames that hold no HDP which passes either side.
    pub(super) fn side(&self, record: usize, frame: u64) -> Option<usize> {
        let side = self.records[record].sides.get(&frame);
        side.map(|side| usize::from(*side))
    }

    /// What a point is called.
    pub(super) fn name(&self, point: usize) -> &str {
        &self.points[point]
    }

    /// Whether a frame of a record is the last sight of a packet that was lost.
    pub(super) fn is_last_sight(&self, record: usize, frame: u64) -> bool {
        let number = self.records[record].by_frame.packet(frame);
        number.is_some_and(|number| {
            let note = self.note(number);
            let is_last = |sight: &Sight| {
                u64::from(sight.frame) == frame
                    && self.record_of[usize::from(sight.point)] == record
                    && note.lost_at.is_some_and(|[last, _]| last == sight.point)
            };
            self.sights_of(note).iter().any(is_last)
        })
    }

    /// The number of the packet in a frame of a record, or of the one that it is a copy of.
    fn number(&self, record: usize, frame: u64, key: Option<Key>) -> Option<u32> {
        if let Some(number) = self.records[record].by_frame.packet(frame) {
            return Some(number);
        }
        let number = self.of_key(key?)?;
        let mut sights = self.sights_of(self.note(number)).iter();
        sights
            .any(|sight| self.record_of[usize::from(sight.point)] == record)
            .then_some(number)
    }

    fn sights_of(&self, note: &Note) -> &[Sight] {
        let place = |sight: u32| sight.wrapping_sub(self.forgotten[1]) as usize;
        let [first, end] = note.sights.map(place);
        &self.sights[first..end]
    }

    /// Adds the comment on a frame of a record, in which a packet of this key was found, and says the
    /// packet's number, the same wherever it was seen; `None` where there is nothing to say.
    pub(super) fn comment(
        &self,
        (record, frame, key): (usize, u64, Option<Key>),
        comment: &mut String,
    ) -> Option<u64> {
        let number = self.number(record, frame, key)?;
        let note = self.note(number);
        let name = |point: u16| &self.shown[usize::from(point)];
        comment.push_str("hdp: fate=");
        comment.push_str(word(note.fate));
        if let Some([from, to]) = note.lost_at {
            let _ = write!(comment, "; segment={} → {}", name(from), name(to));
        }
        let mut separator = "; pair=";
        for sight in self.sights_of(note) {
            let _ = write!(comment, "{separator}{}:{}", name(sight.point), sight.frame);
            separator = ", ";
        }
        if let Some(delay_ns) = note.delay_ns {
            let sign = if delay_ns < 0 { "-" } else { "" };
            let ns = delay_ns.unsigned_abs();
            let (seconds, fraction) = (ns / 1_000_000_000, ns % 1_000_000_000);
            let _ = write!(comment, "; path_delay={sign}{seconds}.{fraction:09} s");
        }
        if note.altered {
            comment.push_str("; altered=yes");
        }
        Some(u64::from(number) + 1)
    }
}

/// As in the JSON.
fn word(fate: Fate) -> &'static str {
    match fate {
        Fate::Delivered => "delivered",
        Fate::Lost => "lost",
        Fate::Edge => "edge",
        Fate::Late => "late",
        Fate::Ambiguous => "ambiguous",
        Fate::Expired => "expired",
    }
}

/// A name without what separates the parts of a comment.
fn plain(name: &str) -> String {
    name.replace(|c: char| c.is_control() || matches!(c, ';' | ','), "_")
}

/// A point's index; there are no more of them than arguments.
fn short(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}

/// A place in a list; packets are counted in 32 bits where they are correlated, too.
fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::PacketSighting;

    /// A packet from the first point to the last that these points saw at these times.
    fn packet(
        names: &[&str],
        seen: &[(&str, i64)],
        fate: Fate,
        lost_at: Option<[&str; 2]>,
    ) -> Packet {
        Packet {
            from: names[0].into(),
            to: names[names.len() - 1].into(),
            timestamp_ns: 7,
            protocol: 50,
            carrier: Carrier::Ip,
            srcport: 420,
            dstport: 420,
            payload_len: 0,
            fate,
            lost_at: lost_at.map(|points| points.map(Into::into)),
            expected: None,
            delay_ns: None,
            reordered: false,
            altered: fate == Fate::Late,
            seen: (1..)
                .zip(seen)
                .map(|(frame, (point, time_ns))| PacketSighting {
                    point: (*point).into(),
                    frame,
                    time_ns: *time_ns,
                    src: "".into(),
                    dst: "".into(),
                    ttl: 64,
                    duplicates: 0,
                })
                .collect(),
        }
    }

    fn point(name: &str) -> Point {
        Point {
            name: name.to_owned(),
            capture: name.to_owned(),
            ..Point::blank()
        }
    }

    fn comments(names: &[&str], packet: &Packet) -> [String; 2] {
        let points: Vec<Point> = names.iter().map(|name| point(name)).collect();
        let mut notes = Notes::new(&points);
        notes.add(packet);
        notes.sort();
        [1, 99].map(|frame| {
            let mut comment = String::new();
            notes.comment((0, frame, None), &mut comment);
            comment
        })
    }

    #[test]
    fn a_comment_is_one_line_of_what_is_known() {
        let names = ["a", "b"];
        let lost = packet(&names, &[("a", 5)], Fate::Lost, Some(["a", "b"]));
        let [comment, elsewhere] = comments(&names, &lost);
        assert_eq!(comment, "hdp: fate=lost; segment=a → b; pair=a:1");
        assert_eq!(elsewhere, "", "another frame");

        let altered = Packet {
            delay_ns: Some(2_000_000_000),
            ..packet(&names, &[("a", 5), ("b", 2_000_000_005)], Fate::Late, None)
        };
        assert_eq!(
            comments(&names, &altered)[0],
            "hdp: fate=late; pair=a:1, b:2; path_delay=2.000000000 s; altered=yes"
        );
    }

    #[test]
    fn the_last_sight_is_in_one_record_whatever_the_frame_numbers() {
        let names = ["a", "b", "c"];
        let points: Vec<Point> = names.iter().map(|name| point(name)).collect();
        let mut notes = Notes::new(&points);
        let mut lost = packet(&names, &[("a", 5), ("b", 6)], Fate::Lost, Some(["b", "c"]));
        lost.seen[1].frame = 1;
        notes.add(&lost);
        notes.sort();
        assert!(!notes.is_last_sight(0, 1));
        assert!(notes.is_last_sight(1, 1));
    }

    #[test]
    fn a_name_does_not_break_the_line_or_its_parts() {
        let names = ["a; fate=lost, b\n", "c"];
        let edge = packet(&names, &[("a; fate=lost, b\n", 5)], Fate::Edge, None);
        assert_eq!(
            comments(&names, &edge)[0],
            "hdp: fate=edge; pair=a_ fate=lost_ b_:1"
        );
    }
}
