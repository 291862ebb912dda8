//! Sides: a capture inside a forwarding host taken apart into the side where packets come in and
//! the side where they go out, as two points of the path.
//!
//! A capture on all interfaces (`-i any`), or on several at once, shows a forwarded packet twice:
//! as it comes in, and with a lower TTL as it goes out. Two points in its place tell a loss inside
//! the host from one before or behind it. "In" and "out" are named as what goes forward along the
//! path meets them; what goes back comes in where the other goes out.
//!
//! A point stays whole unless both sides are really there: nearly all packets that are known to
//! have passed must be seen on both, and where no later point could tell, every address pair that
//! came in must have gone out. Hosts at the ends, which show their own packets going out and the
//! answers coming in, bridges, bonds and mirrors, whose copies keep their TTL, and captures on one
//! interface are no such points.

use std::{collections::BTreeSet, net::IpAddr};

use crate::{
    correlate::{Relations, Survey, Way},
    decode::PacketType,
    findings::Side,
    keyed::{KeyedMap, KeyedSet},
    observe::{BystanderFlow, Flow, FlowEntry, Incomplete, Point, Sighting},
};

/// Packets that passed and are missing on one side, for each that is on both, from which on one
/// side is taken to be captured in part only: one in ten.
const TOO_MANY_MISSED: u64 = 10;

/// Sightings with the same timestamp and number that are compared with each other at the most.
const MOST_COMPARED: usize = 32;

/// Takes apart the points that show packets on two sides of a host, and surveys anew if there are
/// any.
#[must_use]
pub(super) fn take_apart(points: Vec<Point>, survey: Survey) -> (Vec<Point>, Survey) {
    let is_candidate = |point: &Point| shows_forwarding(&point.sightings, &point.flows);
    if !points.iter().any(is_candidate) {
        return (points, survey);
    }
    let relations = Relations::learn(&points, &survey);
    let sides: Vec<Option<Vec<Side>>> = (0..points.len())
        .map(|point| Host::new(&points, &relations, point).sides())
        .collect();
    if sides.iter().all(Option::is_none) {
        return (points, survey);
    }
    let points: Vec<Point> = points
        .into_iter()
        .zip(sides)
        .flat_map(|(point, sides)| match sides {
            Some(sides) => split(point, &sides),
            None => vec![point],
        })
        .collect();
    let survey = Survey::of(&points);
    (points, survey)
}

/// Whether any packet is seen twice among these sightings (by rising timestamp), as a forwarding
/// host shows it.
#[must_use]
pub(super) fn shows_forwarding(sightings: &[Sighting], flows: &[FlowEntry]) -> bool {
    let flow = |sighting: &Sighting| &flows[sighting.flow as usize].flow;
    sightings
        .chunk_by(|a, b| a.timestamp_ns == b.timestamp_ns)
        .filter(|same| same.len() > 1)
        .any(|same| {
            let same = &same[..same.len().min(MOST_COMPARED)];
            same.iter()
                .any(|a| same.iter().any(|b| forwards(flow(a), flow(b))))
        })
}

/// Where in its host a packet was seen, from the packet's point of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    ComesIn,
    GoesOut,
}

impl Role {
    /// By what the capture says of the frame.
    fn of(packet_type: PacketType) -> Self {
        match packet_type {
            PacketType::Outgoing => Self::GoesOut,
            _ => Self::ComesIn,
        }
    }

    /// The side, as what goes forward meets it.
    fn side(self, way: Way) -> Side {
        match (self, way) {
            (Self::ComesIn, Way::Forward) | (Self::GoesOut, Way::Reverse) => Side::In,
            (Self::GoesOut, Way::Forward) | (Self::ComesIn, Way::Reverse) => Side::Out,
        }
    }
}

/// Whether a host that forwards packets like the first sends them out like the second.
fn forwards(incoming: &Flow, outgoing: &Flow) -> bool {
    let is_answer = (incoming.source, incoming.destination)
        == (outgoing.destination, outgoing.source)
        && incoming.source != incoming.destination;
    let roles = [incoming, outgoing].map(|flow| flow.stage.packet_type.map(Role::of));
    let is_on_two_sides = match roles {
        [Some(first), Some(second)] => (first, second) == (Role::ComesIn, Role::GoesOut),
        // Only the TTL tells: on one interface it might be another packet.
        _ => incoming.stage.interface != outgoing.stage.interface,
    };
    is_on_two_sides
        && !is_answer
        && incoming.ttl > outgoing.ttl
        && (incoming.carrier, incoming.protocol) == (outgoing.carrier, outgoing.protocol)
}

/// A point that may have two sides, among the others.
struct Host<'a> {
    points: &'a [Point],
    index: usize,
    /// Which way its flows go.
    ways: Vec<Way>,
}

/// What a host shows of the packets that go one way.
#[derive(Debug, Default)]
struct Passage {
    /// Packets on both sides.
    on_both: u64,
    /// Packets on one side that a point on the other side of the host saw too.
    missed: u64,
    /// Address pairs of packets that only came in.
    stayed: KeyedSet<(IpAddr, IpAddr)>,
    /// Address pairs, as they came in, of packets that went out too.
    crossed: KeyedSet<(IpAddr, IpAddr)>,
}

/// What the points beyond a host saw of one timestamp.
struct Beyond<'a> {
    host: &'a Host<'a>,
    timestamp_ns: Option<u64>,
    /// The keys of it, sorted, by the way on which the points lie beyond.
    keys: [Vec<u64>; 2],
}

impl<'a> Beyond<'a> {
    fn of(host: &'a Host<'a>) -> Self {
        Self {
            host,
            timestamp_ns: None,
            keys: [Vec::new(), Vec::new()],
        }
    }

    /// Whether a point beyond the host, as packets going `way` pass them, saw a packet too; asked of packets
    /// with one timestamp after another.
    fn saw(&mut self, sighting: &Sighting, way: Way) -> bool {
        if self.timestamp_ns.replace(sighting.timestamp_ns) != Some(sighting.timestamp_ns) {
            for way in Way::BOTH {
                let keys = &mut self.keys[way.index()];
                keys.clear();
                for point in self.host.beyond(way) {
                    keys.extend(keys_of(point, sighting.timestamp_ns));
                }
                keys.sort_unstable();
            }
        }
        let key = self.host.point().keys[sighting.flow as usize];
        self.keys[way.index()].binary_search(&key).is_ok()
    }
}

/// The keys of what a point saw of one timestamp.
fn keys_of(point: &Point, timestamp_ns: u64) -> impl Iterator<Item = u64> {
    let start = point
        .sightings
        .partition_point(|other| other.timestamp_ns < timestamp_ns);
    let seen = point.sightings[start..].iter();
    let seen = seen.take_while(move |other| other.timestamp_ns == timestamp_ns);
    seen.map(|other| point.keys[other.flow as usize])
}

impl<'a> Host<'a> {
    fn new(points: &'a [Point], relations: &Relations, index: usize) -> Self {
        let ways = (0..).zip(&points[index].flows);
        let ways = ways.map(|(flow, _)| relations.way(index, flow)).collect();
        let mut host = Self {
            points,
            index,
            ways,
        };
        host.follow_translated();
        host
    }

    /// Where the host translates addresses, it alone knows some of them: such packets go the way that
    /// they go under the addresses which other points saw too.
    fn follow_translated(&mut self) {
        let point = self.point();
        let mut translated: BTreeSet<(u32, u32)> = BTreeSet::new();
        self.packets(|copies| {
            let entry = |copy: &Sighting| &point.flows[copy.flow as usize];
            for (a, b) in copies
                .iter()
                .flat_map(|a| copies.iter().map(move |b| (a, b)))
            {
                let (a, b) = (entry(a), entry(b));
                if a.pair != b.pair && forwards(&a.flow, &b.flow) {
                    translated.extend([(a.pair, b.pair), (b.pair, a.pair)]);
                }
            }
        });
        let others = (0..self.points.len()).filter(|&other| other != self.index);
        let elsewhere: KeyedSet<(IpAddr, IpAddr)> = others
            .flat_map(|other| &self.points[other].pairs)
            .copied()
            .collect();
        let is_elsewhere = |pair: u32| elsewhere.contains(&point.pairs[pair as usize]);
        let mut of_pair: Vec<Vec<usize>> = vec![Vec::new(); point.pairs.len()];
        for (flow, entry) in point.flows.iter().enumerate() {
            of_pair[entry.pair as usize].push(flow);
        }
        for (known, unknown) in translated {
            if !is_elsewhere(known) || is_elsewhere(unknown) {
                continue;
            }
            if let Some(&first) = of_pair[known as usize].first() {
                let way = self.ways[first];
                for &flow in &of_pair[unknown as usize] {
                    self.ways[flow] = way;
                }
            }
        }
    }

    fn way(&self, flow: u32) -> Way {
        self.ways[flow as usize]
    }

    fn point(&self) -> &'a Point {
        &self.points[self.index]
    }

    /// The side of each flow, if the point has two.
    fn sides(&self) -> Option<Vec<Side>> {
        let names = [Side::In, Side::Out].map(|side| name(self.point(), side));
        if self.points.iter().any(|point| names.contains(&point.name)) {
            return None;
        }
        let roles = self.roles()?;
        let passages = self.passages(&roles);
        let verdicts: Vec<bool> = Way::BOTH
            .into_iter()
            .filter_map(|way| self.is_taken_apart(way, &passages[way.index()]))
            .collect();
        let is_taken_apart = !verdicts.is_empty() && verdicts.iter().all(|verdict| *verdict);
        is_taken_apart.then(|| {
            let ways = self.ways.iter();
            let sides = roles.iter().zip(ways).map(|(role, way)| role.side(*way));
            sides.collect()
        })
    }

    /// The role of each flow; `None` if that of one cannot be told.
    fn roles(&self) -> Option<Vec<Role>> {
        let flows = &self.point().flows;
        let way = |flow: u32| self.way(flow);
        // Where the capture does not say, an interface has one role for what goes one way, and the
        // other for what goes back.
        let mut votes: KeyedMap<(Way, u32), [u64; 2]> = KeyedMap::default();
        self.packets(|copies| {
            let of_copy = |copy: &Sighting| &flows[copy.flow as usize].flow;
            for a in copies {
                for b in copies {
                    if forwards(of_copy(a), of_copy(b)) {
                        let mut vote = |copy: &Sighting, role: usize| {
                            let interface = of_copy(copy).stage.interface;
                            votes.entry((way(copy.flow), interface)).or_default()[role] += 1;
                        };
                        vote(a, 0);
                        vote(b, 1);
                    }
                }
            }
        });
        let role = |(entry, index): (&FlowEntry, u32)| {
            let stage = entry.flow.stage;
            let count = |way| votes.get(&(way, stage.interface)).copied();
            let own = count(way(index)).unwrap_or_default();
            let back = count(way(index).opposite()).unwrap_or_default();
            let by_interface = || match [own[0] + back[1], own[1] + back[0]] {
                [0, 0] => None,
                [_, 0] => Some(Role::ComesIn),
                [0, _] => Some(Role::GoesOut),
                _ => None,
            };
            stage.packet_type.map(Role::of).or_else(by_interface)
        };
        flows.iter().zip(0..).map(role).collect()
    }

    /// Calls `visit` with the sightings of each packet.
    fn packets(&self, mut visit: impl FnMut(&[Sighting])) {
        let point = self.point();
        let key = |sighting: &Sighting| point.keys[sighting.flow as usize];
        let mut sorted = Vec::new();
        for same in point
            .sightings
            .chunk_by(|a, b| a.timestamp_ns == b.timestamp_ns)
        {
            if same.iter().all(|sighting| key(sighting) == key(&same[0])) {
                visit(&same[..same.len().min(MOST_COMPARED)]);
                continue;
            }
            sorted.clear();
            sorted.extend_from_slice(same);
            sorted.sort_by_key(key);
            for packet in sorted.chunk_by(|a, b| key(a) == key(b)) {
                visit(&packet[..packet.len().min(MOST_COMPARED)]);
            }
        }
    }

    /// What is seen of the packets going each way.
    fn passages(&self, roles: &[Role]) -> [Passage; 2] {
        let point = self.point();
        let mut passages = [Passage::default(), Passage::default()];
        let mut beyond = Beyond::of(self);
        self.packets(|copies| {
            for way in Way::BOTH {
                let in_role = |role: Role| {
                    copies.iter().find(|copy| {
                        self.way(copy.flow) == way && roles[copy.flow as usize] == role
                    })
                };
                let passage = &mut passages[way.index()];
                let addresses = |copy: &Sighting| {
                    let flow = point.flow(copy);
                    (flow.source, flow.destination)
                };
                match (in_role(Role::ComesIn), in_role(Role::GoesOut)) {
                    (Some(came), Some(_)) => {
                        passage.on_both += 1;
                        passage.crossed.insert(addresses(came));
                    }
                    (Some(came), None) => {
                        passage.stayed.insert(addresses(came));
                        passage.missed += u64::from(beyond.saw(came, way));
                    }
                    (None, Some(went)) => {
                        passage.missed += u64::from(beyond.saw(went, way.opposite()));
                    }
                    (None, None) => {}
                }
            }
        });
        passages
    }

    /// The points behind this one, as packets going `way` pass them.
    fn beyond(&self, way: Way) -> &'a [Point] {
        match way {
            Way::Forward => &self.points[self.index + 1..],
            Way::Reverse => &self.points[..self.index],
        }
    }

    /// Whether what goes this way speaks for two sides; `None` where it says nothing.
    fn is_taken_apart(&self, way: Way, passage: &Passage) -> Option<bool> {
        let is_whole = passage.missed * TOO_MANY_MISSED <= passage.on_both;
        if passage.on_both == 0 {
            return (!is_whole).then_some(false);
        }
        // At the end of the path, what stays may be meant for this very host.
        let may_stay = self.beyond(way).is_empty() && !passage.stayed.is_subset(&passage.crossed);
        Some(is_whole && !may_stay)
    }
}

/// What one side of a point is called.
fn name(point: &Point, side: Side) -> String {
    format!("{} ({side})", point.name)
}

/// The two sides of a point, the one where what goes forward comes in first.
fn split(mut point: Point, sides: &[Side]) -> Vec<Point> {
    let sightings = std::mem::take(&mut point.sightings);
    let incomplete = std::mem::take(&mut point.incomplete);
    let doubtful = std::mem::take(&mut point.doubtful);
    let (flows, keys) = (
        std::mem::take(&mut point.flows),
        std::mem::take(&mut point.keys),
    );
    let part = |side: Side| {
        let mut part = point.clone();
        part.name = name(&point, side);
        part.side = Some(side);
        let mut new_flows = vec![None; flows.len()];
        let mut moved = |mut sighting: Sighting| {
            let old = sighting.flow as usize;
            sighting.flow = *new_flows[old].get_or_insert_with(|| {
                part.flows.push(flows[old]);
                part.keys.push(keys[old]);
                u32::try_from(part.flows.len() - 1).expect("no more flows than before")
            });
            sighting
        };
        let is_own = |sighting: &Sighting| sides[sighting.flow as usize] == side;
        let own = sightings.iter().copied().filter(is_own);
        part.sightings = own.map(&mut moved).collect();
        let own = incomplete.iter().filter(|piece| is_own(&piece.sighting));
        part.incomplete = own
            .map(|piece| Incomplete {
                sighting: moved(piece.sighting),
                ..*piece
            })
            .collect();
        let own = doubtful.iter().copied().filter(is_own);
        part.doubtful = own.map(&mut moved).collect();
        part.hdp = (part.sightings.len() + part.incomplete.len()) as u64;
        part.find_reordered();
        part
    };
    let mut both = [part(Side::In), part(Side::Out)];
    let side_of = sides_of_bystanders(&flows, sides);
    for part in &mut both {
        let side = part.side;
        part.bystanders.retain(|flow| side_of(flow) == side);
    }
    Vec::from(both)
}

/// On which side what is not HDP was seen: by the interface if each has one side, else as HDP between
/// the same addresses.
fn sides_of_bystanders(
    flows: &[FlowEntry],
    sides: &[Side],
) -> impl Fn(&BystanderFlow) -> Option<Side> {
    let mut of_interfaces: KeyedMap<u32, Option<Side>> = KeyedMap::default();
    let mut of_addresses: KeyedMap<(IpAddr, IpAddr, bool), Side> = KeyedMap::default();
    for (entry, &side) in flows.iter().zip(sides) {
        let Flow {
            source,
            destination,
            stage,
            ..
        } = entry.flow;
        of_interfaces
            .entry(stage.interface)
            .and_modify(|known| *known = known.filter(|known| *known == side))
            .or_insert(Some(side));
        if let Some(packet_type) = stage.packet_type {
            let goes_out = packet_type == PacketType::Outgoing;
            of_addresses.insert((source, destination, goes_out), side);
            // What goes back comes in where this goes out.
            of_addresses
                .entry((destination, source, !goes_out))
                .or_insert(side);
        }
    }
    move |flow| {
        let by_addresses = || {
            let goes_out = flow.stage.packet_type? == PacketType::Outgoing;
            of_addresses
                .get(&(flow.source, flow.destination, goes_out))
                .copied()
        };
        let by_interface = of_interfaces.get(&flow.stage.interface).copied().flatten();
        by_interface.or_else(by_addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode::Encapsulation, observe::Stage, protocols::Carrier};

    fn flow(interface: u32, packet_type: Option<PacketType>, ttl: u8) -> Flow {
        Flow {
            source: [10, 77, 1, 2].into(),
            destination: [10, 77, 2, 2].into(),
            source_port: 420,
            destination_port: 420,
            protocol: 253,
            carrier: Carrier::Ip,
            ttl,
            dscp: 0,
            ecn: 0,
            is_fragment: false,
            encapsulation: Encapsulation::default(),
            stage: Stage {
                interface,
                packet_type,
            },
        }
    }

    #[test]
    fn a_host_forwards_what_comes_in_and_goes_out_with_a_lower_ttl() {
        const IN: Option<PacketType> = Some(PacketType::Host);
        const OUT: Option<PacketType> = Some(PacketType::Outgoing);
        let came = flow(2, IN, 64);
        assert!(forwards(&came, &flow(3, OUT, 63)));
        // One interface is enough where the capture says which way a frame went.
        assert!(forwards(&came, &flow(2, OUT, 63)));
        for other in [flow(3, OUT, 64), flow(3, OUT, 65), flow(3, IN, 63)] {
            assert!(!forwards(&came, &other), "{other:?}");
        }
        assert!(!forwards(&flow(3, OUT, 64), &flow(2, IN, 63)));
        let answer = Flow {
            source: came.destination,
            destination: came.source,
            ..flow(2, OUT, 63)
        };
        assert!(!forwards(&came, &answer));
        let translated = Flow {
            source: [192, 0, 2, 1].into(),
            ..flow(3, OUT, 63)
        };
        assert!(forwards(&came, &translated));
    }

    #[test]
    fn without_in_and_out_it_takes_two_interfaces() {
        assert!(forwards(&flow(0, None, 64), &flow(1, None, 63)));
        assert!(!forwards(&flow(0, None, 64), &flow(0, None, 63)));
        assert!(!forwards(&flow(0, None, 64), &flow(1, None, 64)));
    }
}
