//! The world: what truly happened to each packet, and when, whoever looked.

use std::{
    collections::HashMap,
    net::IpAddr,
    ops::{Range, RangeInclusive},
};

use super::{
    super::{
        frames::{self, Ip, Quote, icmp_error},
        scene::{MILLISECOND, START_NS},
    },
    Clock, Ingredient, Ingredients, Random,
};

const SECOND: i64 = 1_000 * MILLISECOND;

/// Nothing is sent so near to the start and the end.
pub const LEAD_NS: i64 = 2 * SECOND;

/// What a slow packet takes longer than the others: longer than anybody waits.
const SLOW_NS: std::ops::Range<i64> = 53 * SECOND..70 * SECOND;

/// Translators take HDP under these numbers for the transport that belongs there, find it
/// invalid, and forward it as it is (measured, Linux).
const UNTRANSLATED: [u8; 6] = [1, 6, 17, 58, 132, 136];

/// A path and everything that was sent along it.
#[derive(Debug)]
pub struct World {
    pub points: usize,
    /// From the scenario's start to its end, in true time; the start is
    /// [`START_NS`](super::super::scene::START_NS).
    pub length_ns: i64,
    /// Between point i and point i + 1.
    pub segments: Vec<Segment>,
    /// The clocks that timestamps come from: of who sends in the order of the points, and of who
    /// replies.
    pub senders: [Clock; 2],
    /// In the order of sending.
    pub packets: Vec<Packet>,
    pub errors: Vec<IcmpError>,
    /// Requests and answers, in the order of sending.
    pub pings: Vec<Ping>,
    /// Another client's packets, which all arrive.
    pub others: Vec<Other>,
}

/// The stretch between two points.
#[derive(Debug, Clone, Default)]
pub struct Segment {
    /// Routers on it.
    pub hops: u8,
    pub delay_ns: i64,
    pub jitter_ns: i64,
    /// Of what goes in the order of the points, and of what goes back.
    filters: [Filter; 2],
    /// The client is known under another address behind it.
    translates: bool,
    rewrites: Option<Rewrite>,
    /// Payloads of this number are cut to this length, or changed in it.
    changes_payload: Option<(u8, PayloadChange)>,
    resets_dscp: bool,
}

/// An echo request or reply.
#[derive(Debug, Clone)]
pub struct Ping {
    /// For each point that it reached: when, and as what datagram.
    pub passages: Vec<(usize, i64, Vec<u8>)>,
}

/// A packet of another client.
#[derive(Debug, Clone)]
pub struct Other {
    /// For each point from the one where it joins: when, and as what.
    pub passages: Vec<(usize, i64, frames::Packet)>,
}

/// What a segment loses of what goes one way.
#[derive(Debug, Clone, Default)]
struct Filter {
    loss_per_thousand: u64,
    blocked: Vec<u8>,
    /// A number, and how many packets of it pass before none does.
    cut_off: Option<(u8, usize)>,
    /// In true time.
    outages: Vec<Range<i64>>,
    limit: Option<Limit>,
}

/// A token bucket over a range of numbers.
#[derive(Debug, Clone)]
struct Limit {
    numbers: RangeInclusive<u8>,
    /// Nanoseconds until a token comes.
    every_ns: i64,
    /// Tokens that the bucket holds.
    burst: i64,
}

impl Filter {
    /// Whether a number is singled out here.
    fn singles_out(&self, number: u8) -> bool {
        self.loss_per_thousand == 1_000
            || self.blocked.contains(&number)
            || self.cut_off.is_some_and(|(cut_off, _)| cut_off == number)
    }
}

/// What filters remember.
#[derive(Debug, Default)]
struct Memory {
    /// Packets of the number that is cut off, by segment and way.
    passed: HashMap<(usize, bool), usize>,
    /// Tokens in nanoseconds of their coming, and when that was so.
    tokens: HashMap<(usize, bool), (i64, i64)>,
}

/// How a box rewrites what it takes for a transport's fields.
#[derive(Debug, Clone, Copy)]
struct Rewrite {
    /// The checksums of UDP, UDP-Lite and DCCP at bytes 6-7, of SCTP at 8-11: HDP's timestamp.
    timestamps: bool,
    /// The checksum of ICMP at bytes 2-3: HDP's destination port.
    ports: bool,
    /// Adapted to what the box changed, the same difference each time (RFC 1624); otherwise
    /// calculated anew.
    difference: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
enum PayloadChange {
    CutTo(usize),
    /// Bytes 16-17 behind IP: TCP's checksum.
    Checksum,
}

/// A packet and its truth.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)] // Five facts, none of which follows from others.
pub struct Packet {
    pub is_reply: bool,
    /// HDP inside a valid UDP datagram.
    pub is_control: bool,
    /// What the sender made, timestamp included.
    pub sent: frames::Packet,
    /// For each point along its way, when it was there and as what; behind the last point that it
    /// reached, when it would have been.
    pub passages: Vec<Passage>,
    /// How many points along its way it reached, in at least one copy.
    pub reaches: usize,
    /// How many points the packet itself reached.
    pub original_reaches: usize,
    /// Where it was lost, if it was: still inside the host of the last point it reached?
    pub dies_inside: bool,
    pub copy: Option<NetworkCopy>,
    /// The first packet that nobody can tell from this one by its bytes above IP; itself where
    /// there is none before it.
    pub twin: usize,
    /// No packet shares its timestamp.
    pub is_alone: bool,
    /// No packet is like it in that.
    pub is_unique: bool,
}

/// A packet at a point.
#[derive(Debug, Clone)]
pub struct Passage {
    /// True time.
    pub at_ns: i64,
    pub packet: frames::Packet,
}

/// A second packet that the network made of one.
#[derive(Debug, Clone, Copy)]
pub struct NetworkCopy {
    /// The first position along the way that it comes to.
    pub from: usize,
    /// How many points the packet that was copied or its copy reached, whoever came further.
    pub reaches: usize,
    pub later_ns: i64,
}

/// An ICMP error on its way back to the sender.
#[derive(Debug, Clone)]
pub struct IcmpError {
    /// Index of the packet that it quotes.
    pub about: usize,
    /// For each position along that packet's way that it comes by: when, and as what datagram.
    pub passages: Vec<(usize, i64, Vec<u8>)>,
}

impl Packet {
    pub fn is_lost(&self) -> bool {
        self.reaches < self.passages.len()
    }

    /// The position along its way of one of so many points.
    pub fn position(&self, point: usize) -> usize {
        along(self.is_reply, self.passages.len(), point)
    }

    /// The point at a position along its way.
    pub fn point(&self, position: usize) -> usize {
        along(self.is_reply, self.passages.len(), position)
    }

    /// The datagram at a position along its way, with so much less TTL.
    pub fn datagram(&self, position: usize, ttl_less: u8) -> Vec<u8> {
        let mut packet = self.passages[position].packet.clone();
        packet.ip.ttl -= ttl_less;
        if self.is_control {
            packet.to_udp()
        } else {
            packet.to_ip()
        }
    }

    /// Whether HDP's bytes or its length changed between two positions.
    pub fn is_altered(&self, from: usize, to: usize) -> bool {
        let bytes = |position: usize| self.passages[position].packet.hdp();
        bytes(from) != bytes(to)
    }
}

/// Point and position, either from the other.
fn along(is_reply: bool, points: usize, index: usize) -> usize {
    if is_reply { points - 1 - index } else { index }
}

/// The segment that lies behind a position along the way.
fn segment_behind(is_reply: bool, points: usize, position: usize) -> usize {
    if is_reply {
        points - 2 - position
    } else {
        position
    }
}

/// Who talks to whom.
struct Addresses {
    client: IpAddr,
    /// What the translator makes of it.
    translated: IpAddr,
    server: IpAddr,
    router: IpAddr,
}

impl Addresses {
    fn new(ipv6: bool) -> Self {
        let address = |host: u16| -> IpAddr {
            if ipv6 {
                [0x2001, 0xdb8, 0, 0, 0, 0, 0, host].into()
            } else {
                [10, 77, host.to_be_bytes()[0], host.to_be_bytes()[1]].into()
            }
        };
        Self {
            client: address(0x0102),
            translated: address(0x0201),
            server: address(0x0302),
            router: address(0x0401),
        }
    }
}

impl World {
    pub fn new(ingredients: &Ingredients, random: &mut Random) -> Self {
        let have = |ingredient| ingredients.have(ingredient);
        let points = random.count(2..6);
        let length_ns = SECOND
            * if have(Ingredient::Slow) {
                random.within(150..220)
            } else if have(Ingredient::Sparse) {
                random.within(60..120)
            } else {
                random.within(12..40)
            };
        let numbers = numbers(ingredients, random);
        let segments = segments((points, length_ns), &numbers, ingredients, random);
        let senders = [(); 2].map(|()| Clock::draw(ingredients, length_ns, random));
        let mut packets = send(&numbers, length_ns, &senders, ingredients, random);
        let addresses = Addresses::new(have(Ingredient::Ipv6));
        let mut memory = Memory::default();
        for packet in &mut packets {
            packet.travel(points, &segments, &addresses, ingredients, random);
            packet.meet_filters(&segments, &mut memory, ingredients, random);
        }
        // Who sees only the beginning of a payload, or what a box left of it, knows none of it.
        let hides = [Ingredient::Snaplen, Ingredient::ChangedPayload];
        tell_apart(&mut packets, !hides.iter().any(|hides| have(*hides)));
        let errors = if have(Ingredient::IcmpErrors) {
            answers(&packets, &addresses, random)
        } else {
            Vec::new()
        };
        let pings = if have(Ingredient::Pings) || have(Ingredient::Filtered) {
            pings((points, length_ns), &segments, &addresses, random)
        } else {
            Vec::new()
        };
        let others = if have(Ingredient::SecondSender) {
            others(&numbers, (points, length_ns), &segments, &addresses, random)
        } else {
            Vec::new()
        };
        Self {
            points,
            length_ns,
            segments,
            senders,
            packets,
            errors,
            pings,
            others,
        }
    }
}

/// The numbers that are sent, each once; the control counts as 17 with a flag.
fn numbers(ingredients: &Ingredients, random: &mut Random) -> Vec<(u8, bool)> {
    let mut numbers: Vec<u8> = (0..random.within(6..16)).map(|_| random.byte()).collect();
    let special = [
        Ingredient::Nat,
        Ingredient::RewrittenTimestamp,
        Ingredient::RewrittenPort,
        Ingredient::ChangedPayload,
    ];
    if special.iter().any(|special| ingredients.have(*special)) {
        numbers.extend([1, 6, 17, 33, 58, 132, 136]);
    }
    numbers.sort_unstable();
    numbers.dedup();
    let mut numbers: Vec<(u8, bool)> = numbers.into_iter().map(|n| (n, false)).collect();
    if ingredients.have(Ingredient::Control) {
        numbers.push((17, true));
    }
    numbers
}

fn segments(
    (points, length_ns): (usize, i64),
    numbers: &[(u8, bool)],
    ingredients: &Ingredients,
    random: &mut Random,
) -> Vec<Segment> {
    let have = |ingredient| ingredients.have(ingredient);
    let count = points - 1;
    let mut segments: Vec<Segment> = (0..count)
        .map(|_| {
            let delay_ns = random.pick(&[200_000, 3 * MILLISECOND, 30 * MILLISECOND]);
            let jitter_ns = if have(Ingredient::Jitter) {
                random.pick(&[2, 10, 80]) * MILLISECOND
            } else {
                delay_ns / 10
            };
            let hops = random.byte() % 3 + 1;
            Segment {
                hops: if have(Ingredient::OneLan) { 0 } else { hops },
                delay_ns,
                jitter_ns,
                ..Segment::default()
            }
        })
        .collect();
    let any_number = |random: &mut Random| numbers[random.below(numbers.len())].0;
    for way in 0..2 {
        if have(Ingredient::Loss) {
            for segment in random.some_of(count) {
                segments[segment].filters[way].loss_per_thousand = random.pick(&[5, 20, 80]);
            }
        }
        if have(Ingredient::Blocked) {
            for _ in 0..random.within(1..4) {
                let number = any_number(random);
                let segment = random.below(count);
                segments[segment].filters[way].blocked.push(number);
            }
        }
        if have(Ingredient::CutOff) {
            let number = any_number(random);
            let segment = random.below(count);
            segments[segment].filters[way].cut_off = Some((number, random.count(1..6)));
        }
    }
    if have(Ingredient::Severed) {
        let way = random.below(2);
        segments[random.below(count)].filters[way].loss_per_thousand = 1_000;
    }
    if have(Ingredient::Outage) {
        let segment = random.below(count);
        let start_ns = START_NS + random.within(length_ns / 6..length_ns * 2 / 3);
        let outage = start_ns..start_ns + random.within(SECOND..length_ns / 6);
        for filter in &mut segments[segment].filters {
            filter.outages.push(outage.clone());
        }
    }
    if have(Ingredient::RateLimit) {
        let first = any_number(random);
        let limit = Limit {
            numbers: first..=first.saturating_add(random.byte() % 64 + 16),
            every_ns: random.within(2..20) * 100 * MILLISECOND,
            burst: random.within(1..4),
        };
        segments[random.below(count)].filters[0].limit = Some(limit);
    }
    if have(Ingredient::Nat) {
        segments[random.below(count)].translates = true;
    }
    let (timestamps, ports) = (
        have(Ingredient::RewrittenTimestamp),
        have(Ingredient::RewrittenPort),
    );
    if timestamps || ports {
        let difference = random
            .happens(500)
            .then(|| (random.next() >> 32) as u32 | 1);
        segments[random.below(count)].rewrites = Some(Rewrite {
            timestamps,
            ports,
            difference,
        });
    }
    if have(Ingredient::ChangedPayload) {
        let change = if random.happens(500) {
            (6, PayloadChange::Checksum)
        } else {
            let number = any_number(random);
            (number, PayloadChange::CutTo(random.count(0..20)))
        };
        segments[random.below(count)].changes_payload = Some(change);
    }
    if have(Ingredient::Dscp) {
        segments[random.below(count)].resets_dscp = true;
    }
    segments
}

/// What the senders make, in the order of sending; nothing has left yet.
fn send(
    numbers: &[(u8, bool)],
    length_ns: i64,
    senders: &[Clock; 2],
    ingredients: &Ingredients,
    random: &mut Random,
) -> Vec<Packet> {
    let have = |ingredient| ingredients.have(ingredient);
    let addresses = Addresses::new(have(Ingredient::Ipv6));
    let count = random.within(150..600);
    let interval_ns = (length_ns - 2 * LEAD_NS) / count;
    let coarse = have(Ingredient::CoarseClock);
    let tick_ns = random.pick(&[MILLISECOND, 16 * MILLISECOND]);
    let burst = if coarse { random.within(2..7) } else { 1 };
    let tells_itself = random.happens(500);
    let replies_per_thousand = if have(Ingredient::Replies) {
        random.pick(&[100, 300, 500])
    } else {
        0
    };
    let ttl = random.pick(&[64, 128, 255]);
    let dscp = if have(Ingredient::Dscp) { 46 } else { 0 };
    let mut packets = Vec::new();
    for index in 0..count {
        let first_of_burst = index / burst * burst;
        let spread_ns = if coarse { 20_000 } else { interval_ns };
        let at_ns = START_NS
            + LEAD_NS
            + first_of_burst * interval_ns
            + (index - first_of_burst) * 20_000
            + random.within(0..spread_ns.max(1));
        let is_reply = random.happens(replies_per_thousand);
        let any = random.below(numbers.len());
        let in_order = usize::try_from(index).unwrap() % numbers.len();
        let in_turn = have(Ingredient::InOrder);
        let (number, is_control) = numbers[if in_turn { in_order } else { any }];
        let clock = &senders[usize::from(is_reply)];
        let mut timestamp_ns = clock.shows(at_ns);
        if coarse {
            timestamp_ns -= timestamp_ns.rem_euclid(tick_ns);
        }
        let (src, dst) = if is_reply {
            (addresses.server, addresses.client)
        } else {
            (addresses.client, addresses.server)
        };
        let mut sent = frames::Packet::new(src, dst, number, timestamp_ns.cast_unsigned());
        sent.ip.ttl = ttl;
        sent.ip.dscp = dscp;
        sent.ip.id = u32::try_from(index).unwrap() + 1;
        if tells_itself {
            sent.payload = format!("{index:06} of many").into_bytes();
            sent.payload.resize(6 + random.below(80), b'.');
        }
        packets.push(Packet {
            is_reply,
            is_control,
            sent,
            passages: vec![Passage {
                at_ns: at_ns + random.within(5_000..60_000),
                packet: frames::Packet::new(src, dst, number, 0),
            }],
            reaches: 0,
            original_reaches: 0,
            dies_inside: random.happens(500),
            copy: None,
            twin: 0,
            is_alone: true,
            is_unique: true,
        });
    }
    packets
}

impl Packet {
    /// Goes along the whole path, as if nothing lost it.
    fn travel(
        &mut self,
        points: usize,
        segments: &[Segment],
        addresses: &Addresses,
        ingredients: &Ingredients,
        random: &mut Random,
    ) {
        let slow_at = (ingredients.have(Ingredient::Slow) && random.happens(8))
            .then(|| random.below(points - 1));
        let behind_translator = segments.iter().any(|segment| segment.translates);
        let is_translated = behind_translator
            && (self.is_control || !UNTRANSLATED.contains(&self.sent.ip.protocol));
        let mut at_ns = self.passages[0].at_ns;
        let mut packet = self.sent.clone();
        if self.is_reply && is_translated {
            packet.ip.dst = addresses.translated;
        }
        self.passages[0].packet = packet.clone();
        for position in 0..points - 1 {
            let segment = &segments[segment_behind(self.is_reply, points, position)];
            at_ns += segment.delay_ns + random.within(0..segment.jitter_ns.max(1));
            if slow_at == Some(position) {
                at_ns += random.within(SLOW_NS);
            }
            packet.ip.ttl -= segment.hops;
            if segment.translates && is_translated {
                if self.is_reply {
                    packet.ip.dst = addresses.client;
                } else {
                    packet.ip.src = addresses.translated;
                }
            }
            if segment.resets_dscp {
                packet.ip.dscp = 0;
            }
            if !self.is_control {
                segment.alter(&mut packet, random);
            }
            self.passages.push(Passage {
                at_ns,
                packet: packet.clone(),
            });
        }
    }

    /// Decides how far it comes, and its copy.
    fn meet_filters(
        &mut self,
        segments: &[Segment],
        memory: &mut Memory,
        ingredients: &Ingredients,
        random: &mut Random,
    ) {
        let points = self.passages.len();
        let copies = ingredients.have(Ingredient::Duplicates) && random.happens(60);
        let copied_at = copies.then(|| random.below(points - 1));
        self.original_reaches = self.walk(0, segments, memory, random);
        self.reaches = self.original_reaches;
        if let Some(before) = copied_at
            && self.original_reaches > before + 1
        {
            let reaches = self.walk(before + 1, segments, memory, random);
            self.reaches = self.reaches.max(reaches);
            self.copy = Some(NetworkCopy {
                from: before + 1,
                reaches,
                later_ns: random.within(MILLISECOND / 2..5 * MILLISECOND),
            });
        }
    }

    /// How many points are reached by what starts at this position.
    fn walk(
        &self,
        start: usize,
        segments: &[Segment],
        memory: &mut Memory,
        random: &mut Random,
    ) -> usize {
        let points = self.passages.len();
        for position in start..points - 1 {
            let index = segment_behind(self.is_reply, points, position);
            let filter = &segments[index].filters[usize::from(self.is_reply)];
            let number = self.sent.ip.protocol;
            let is_cut_off = filter.cut_off.is_some_and(|(cut_off, passes)| {
                let passed = memory.passed.entry((index, self.is_reply)).or_default();
                *passed += usize::from(cut_off == number);
                cut_off == number && *passed > passes
            });
            let is_filtered = !self.is_control && (is_cut_off || filter.blocked.contains(&number));
            let at_ns = self.passages[position].at_ns;
            let is_down = filter.outages.iter().any(|outage| outage.contains(&at_ns));
            let is_limited = filter.limit.as_ref().is_some_and(|limit| {
                let most_ns = limit.every_ns * limit.burst;
                let (tokens_ns, since_ns) = memory
                    .tokens
                    .entry((index, self.is_reply))
                    .or_insert((most_ns, at_ns));
                *tokens_ns = (*tokens_ns + (at_ns - *since_ns).max(0)).min(most_ns);
                *since_ns = at_ns;
                let is_meant = !self.is_control && limit.numbers.contains(&number);
                let has_token = *tokens_ns >= limit.every_ns;
                if is_meant && has_token {
                    *tokens_ns -= limit.every_ns;
                }
                is_meant && !has_token
            });
            if is_filtered || is_down || is_limited || random.happens(filter.loss_per_thousand) {
                return position + 1;
            }
        }
        points
    }
}

impl Segment {
    fn alter(&self, packet: &mut frames::Packet, random: &mut Random) {
        let number = packet.ip.protocol;
        if let Some(rewrite) = self.rewrites {
            let mut changed = |value: u32| match rewrite.difference {
                Some(difference) => value.wrapping_add(difference),
                None => (random.next() >> 32) as u32,
            };
            let mut bytes = packet.timestamp_ns.to_be_bytes();
            match number {
                17 | 33 | 136 if rewrite.timestamps => {
                    let checksum = u32::from_be_bytes([0, 0, bytes[2], bytes[3]]);
                    bytes[2..4].copy_from_slice(&changed(checksum).to_be_bytes()[2..]);
                    packet.timestamp_ns = u64::from_be_bytes(bytes);
                }
                132 if rewrite.timestamps => {
                    let checksum = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
                    bytes[4..].copy_from_slice(&changed(checksum).to_be_bytes());
                    packet.timestamp_ns = u64::from_be_bytes(bytes);
                }
                1 | 58 if rewrite.ports => {
                    let [.., high, low] = changed(packet.dstport.into()).to_be_bytes();
                    packet.dstport = u16::from_be_bytes([high, low]);
                }
                _ => {}
            }
        }
        match self.changes_payload {
            Some((of, PayloadChange::CutTo(len))) if of == number => packet.payload.truncate(len),
            Some((of, PayloadChange::Checksum)) if of == number => {
                // HDP's header takes the first 12 of the 16 bytes before it.
                if let Some(checksum) = packet.payload.get_mut(4..6) {
                    checksum.copy_from_slice(&random.next().to_be_bytes()[..2]);
                }
            }
            _ => {}
        }
    }
}

/// Pings from end to end, a few a second.
fn pings(
    (points, length_ns): (usize, i64),
    segments: &[Segment],
    addresses: &Addresses,
    random: &mut Random,
) -> Vec<Ping> {
    let is_v6 = addresses.client.is_ipv6();
    let interval_ns = random.pick(&[100, 250, 1_000]) * MILLISECOND;
    let mut pings = Vec::new();
    let mut at_ns = START_NS + random.within(0..interval_ns);
    let mut sequence: u16 = 0;
    while at_ns < START_NS + length_ns {
        sequence = sequence.wrapping_add(1);
        let mut arrival = Some(at_ns);
        for is_reply in [false, true] {
            let Some(sent_ns) = arrival.take() else { break };
            let mut body = match (is_v6, is_reply) {
                (false, false) => vec![8, 0, 0, 0, 0, 9],
                (false, true) => vec![0, 0, 0, 0, 0, 9],
                (true, false) => vec![128, 0, 0, 0, 0, 9],
                (true, true) => vec![129, 0, 0, 0, 0, 9],
            };
            body.extend(sequence.to_be_bytes());
            body.extend(at_ns.to_be_bytes());
            body.resize(56, 7);
            let mut ping = Ping {
                passages: Vec::new(),
            };
            let mut now_ns = sent_ns;
            let mut ttl = 64;
            let mut translates = is_reply && segments.iter().any(|segment| segment.translates);
            for position in 0..points {
                let client = if translates {
                    addresses.translated
                } else {
                    addresses.client
                };
                let (src, dst) = if is_reply {
                    (addresses.server, client)
                } else {
                    (client, addresses.server)
                };
                let mut ip = Ip::new(src, dst, if is_v6 { 58 } else { 1 });
                ip.ttl = ttl;
                let point = along(is_reply, points, position);
                ping.passages.push((point, now_ns, ip.datagram(&body)));
                if position + 1 == points {
                    arrival = Some(now_ns + random.within(20_000..200_000));
                    break;
                }
                let segment = &segments[segment_behind(is_reply, points, position)];
                let filter = &segment.filters[usize::from(is_reply)];
                let is_down = filter.outages.iter().any(|outage| outage.contains(&now_ns));
                if is_down || random.happens(filter.loss_per_thousand) {
                    break;
                }
                now_ns += segment.delay_ns + random.within(0..segment.jitter_ns.max(1));
                ttl -= segment.hops;
                translates ^= segment.translates;
            }
            pings.push(ping);
        }
        at_ns += interval_ns + random.within(0..MILLISECOND);
    }
    pings
}

/// What another client sends to the same server from somewhere on the path.
fn others(
    numbers: &[(u8, bool)],
    (points, length_ns): (usize, i64),
    segments: &[Segment],
    addresses: &Addresses,
    random: &mut Random,
) -> Vec<Other> {
    let joins = 1 + random.below(points - 1);
    let client = match addresses.client {
        IpAddr::V4(_) => [10, 77, 9, 9].into(),
        IpAddr::V6(_) => [0x2001, 0xdb8, 0, 0, 0, 0, 9, 9].into(),
    };
    let count = random.within(30..120);
    let mut others = Vec::new();
    for index in 0..count {
        let (number, is_control) = numbers[random.below(numbers.len())];
        if is_control {
            continue;
        }
        let sent_ns = START_NS + LEAD_NS + index * (length_ns - 2 * LEAD_NS) / count;
        let mut packet =
            frames::Packet::new(client, addresses.server, number, sent_ns.cast_unsigned());
        packet.ip.id = 0x8000 + u32::try_from(index).unwrap();
        packet.ip.ttl = 64;
        let mut at_ns = sent_ns + random.within(5_000..60_000);
        let mut passages = Vec::new();
        for point in joins..points {
            passages.push((point, at_ns, packet.clone()));
            if let Some(segment) = segments.get(point) {
                at_ns += segment.delay_ns + random.within(0..segment.jitter_ns.max(1));
                packet.ip.ttl -= segment.hops;
                segment.alter(&mut packet, random);
            }
        }
        others.push(Other { passages });
    }
    others
}

impl World {
    /// Whether a number is singled out anywhere on its way.
    pub fn singles_out(&self, number: u8, is_reply: bool) -> bool {
        let filters = self
            .segments
            .iter()
            .map(|s| &s.filters[usize::from(is_reply)]);
        let mut filters = filters;
        filters.any(|filter| filter.singles_out(number))
    }
}

/// Finds out which packets share what with others, payloads only where they can be seen.
fn tell_apart(packets: &mut [Packet], by_payload: bool) {
    let mut first: HashMap<_, usize> = HashMap::new();
    let mut of_key: HashMap<_, usize> = HashMap::new();
    let mut of_timestamp: HashMap<u64, usize> = HashMap::new();
    let key = |packet: &Packet| {
        let sent = &packet.sent;
        (
            (packet.is_reply, packet.is_control, sent.ip.protocol),
            (sent.srcport, sent.dstport, sent.timestamp_ns),
            by_payload.then(|| sent.payload.clone()),
        )
    };
    for (index, packet) in packets.iter().enumerate() {
        first.entry(key(packet)).or_insert(index);
        *of_key.entry(key(packet)).or_default() += 1;
        *of_timestamp.entry(packet.sent.timestamp_ns).or_default() += 1;
    }
    for packet in packets {
        let key = key(packet);
        packet.twin = first[&key];
        packet.is_unique = of_key[&key] == 1;
        packet.is_alone = of_timestamp[&packet.sent.timestamp_ns] == 1;
    }
}

/// The ICMP errors about some of the packets: of the router that dropped a lost one, of the
/// receiver that did not want what arrived.
fn answers(packets: &[Packet], addresses: &Addresses, random: &mut Random) -> Vec<IcmpError> {
    let quote = random.pick(&[Quote::Eight, Quote::Whole]);
    let mut errors = Vec::new();
    for (about, packet) in packets.iter().enumerate() {
        let answered_per_thousand = if packet.is_lost() { 300 } else { 20 };
        if !random.happens(answered_per_thousand) {
            continue;
        }
        let last = packet.reaches - 1;
        let (by, kind, code) = match (packet.is_lost(), packet.sent.ip.src) {
            (true, IpAddr::V4(_)) => (addresses.router, 3, 13),
            (true, IpAddr::V6(_)) => (addresses.router, 1, 1),
            (false, IpAddr::V4(_)) => (packet.passages[last].packet.ip.dst, 3, 2),
            (false, IpAddr::V6(_)) => (packet.passages[last].packet.ip.dst, 4, 1),
        };
        let quoted_ttl = packet.passages[last].packet.ip.ttl - 1;
        let mut at_ns = packet.passages[last].at_ns + random.within(100_000..MILLISECOND);
        let mut passages = Vec::new();
        for position in (0..=last).rev() {
            // Translated back on the way, with what it quotes.
            let mut quoted = packet.clone();
            quoted.passages[position].packet.ip.ttl = quoted_ttl;
            let mut ip = Ip::new(by, packet.passages[position].packet.ip.src, 1);
            ip.ttl = 64 - u8::try_from(last - position).unwrap();
            let datagram = icmp_error(&ip, kind, code, &quoted.datagram(position, 0), quote);
            passages.push((position, at_ns, datagram));
            at_ns += random.within(MILLISECOND..5 * MILLISECOND);
        }
        errors.push(IcmpError { about, passages });
    }
    errors
}
