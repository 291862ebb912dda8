//! The points: which of what came by was recorded, and as what.

use std::ops::Range;

use super::{
    super::{
        frames::{Ip, Network, arp_request, ip},
        scene::{MILLISECOND, START_NS},
    },
    Clock, Ingredient, Ingredients, Packet, Random, World,
};

/// What captures at a point.
#[derive(Debug, Clone)]
pub struct Recorder {
    pub clock: Clock,
    /// True time from its first moment to its last.
    pub runs: Range<i64>,
    /// True times in which it recorded nothing.
    pub gaps: Vec<Range<i64>>,
    pub drops: Option<Drops>,
    /// How many bytes it keeps from the IP header on.
    pub keeps: Option<usize>,
    pub tap: Tap,
    /// By how much the TTL falls inside a host that passes packets on: a bridge leaves it alone.
    pub hops_inside: u8,
    /// Its capture filter keeps only IP of higher numbers.
    pub above: Option<u8>,
    /// Frames that are not HDP come by this far apart on the average.
    pub background_ns: i64,
}

/// A capture that drops frames, single ones and several in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drops {
    pub per_thousand: u64,
    /// The file says how many.
    pub are_counted: bool,
}

/// How frames reach the capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tap {
    /// One interface, each frame once.
    Interface,
    /// A mirror port that shows this share of the frames twice.
    Mirror { per_thousand: u64 },
    /// All interfaces of a host.
    Any,
    /// All interfaces, and what is sent to others.
    Promiscuous,
}

/// A frame as it met the capture.
#[derive(Debug, Clone)]
pub struct Shot {
    /// True time.
    pub at_ns: i64,
    pub shows: Shows,
    pub side: Side,
    pub network: Network,
    /// Frames dropped right before it.
    pub dropped_before: u64,
}

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// The packet of this index, on its way.
    Packet(usize),
    /// The packet of this index on its way to somebody else.
    Overheard(usize),
    /// An ICMP error that quotes it.
    Quote(usize),
    /// Another client's packet of this index.
    Other(usize),
    Background,
}

/// How a frame met the capturing host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    In,
    Out,
    OtherHost,
}

/// What a point made of a packet, from nothing to everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Record {
    /// It did not come by.
    Absent,
    NotRunning,
    InGap,
    /// The capture's filter did not want it.
    Filtered,
    /// The capture dropped it.
    Dropped,
    /// The capture kept too few bytes to know it.
    CutShort,
    Whole,
}

/// What a point recorded.
#[derive(Debug)]
pub struct Watched {
    /// In the order of the file.
    pub shots: Vec<Shot>,
    /// Of each packet.
    pub records: Vec<Record>,
    /// Frames dropped behind the last one.
    pub dropped_last: u64,
    pub dropped: u64,
}

impl Recorder {
    /// One for each point.
    pub fn all(world: &World, ingredients: &Ingredients, random: &mut Random) -> Vec<Self> {
        let have = |ingredient| ingredients.have(ingredient);
        let (points, length_ns) = (world.points, world.length_ns);
        let mut recorders: Vec<Self> = (0..points)
            .map(|point| {
                let own = Clock::draw(ingredients, length_ns, random);
                let at_sender = random.happens(500);
                let clock = match point {
                    0 if at_sender => world.senders[0].clone(),
                    last if last + 1 == points && at_sender => world.senders[1].clone(),
                    _ => own,
                };
                Self {
                    clock,
                    runs: START_NS..START_NS + length_ns,
                    gaps: Vec::new(),
                    drops: None,
                    keeps: None,
                    tap: Tap::Interface,
                    above: None,
                    hops_inside: u8::from(!have(Ingredient::OneLan)),
                    background_ns: random.within(30..70) * MILLISECOND,
                }
            })
            .collect();
        if have(Ingredient::Sparse) {
            for point in random.some_of(points) {
                recorders[point].background_ns = random.within(300..1_500) * MILLISECOND;
            }
        }
        if have(Ingredient::LateStart) {
            for point in random.some_of(points) {
                recorders[point].runs.start += length_ns * random.within(12..50) / 100;
            }
        }
        if have(Ingredient::EarlyEnd) {
            for point in random.some_of(points) {
                recorders[point].runs.end -= length_ns * random.within(12..50) / 100;
            }
        }
        if have(Ingredient::Gaps) {
            for _ in 0..random.within(1..4) {
                // Long next to what lies between frames otherwise: who looks can see it.
                let recorder = &mut recorders[random.below(points)];
                let gap_ns = recorder.background_ns * random.within(15..60);
                let start_ns = START_NS + random.within(length_ns / 8..length_ns * 7 / 8);
                recorder.gaps.push(start_ns..start_ns + gap_ns);
            }
        }
        for (ingredient, are_counted) in [
            (Ingredient::UnknownDrops, false),
            (Ingredient::KnownDrops, true),
        ] {
            if have(ingredient) {
                recorders[random.below(points)].drops = Some(Drops {
                    per_thousand: random.pick(&[2, 10, 40]),
                    are_counted,
                });
            }
        }
        // Where nothing comes back, nothing shows a filter.
        if have(Ingredient::Filtered) && !have(Ingredient::Severed) {
            recorders[1 + random.below(points - 1)].above = Some(
                random
                    .within(if have(Ingredient::Ipv6) { 58 } else { 17 }..200)
                    .try_into()
                    .unwrap(),
            );
        }
        if have(Ingredient::Snaplen) {
            let ip_len = if have(Ingredient::Ipv6) { 40 } else { 20 };
            for point in random.some_of(points) {
                recorders[point].keeps = Some(if random.happens(150) {
                    ip_len + random.below(12)
                } else {
                    // Enough for the control's HDP header too.
                    ip_len + 8 + 12 + random.below(20)
                });
            }
        }
        for (ingredient, tap) in [
            (
                Ingredient::Mirror,
                Tap::Mirror {
                    per_thousand: random.pick(&[300, 1_000]),
                },
            ),
            (Ingredient::AnyInterface, Tap::Any),
            (Ingredient::OtherHosts, Tap::Promiscuous),
        ] {
            if have(ingredient) {
                for point in random.some_of(points) {
                    recorders[point].tap = tap;
                }
            }
        }
        recorders
    }

    /// Whether it was recording at a true time.
    pub fn runs_at(&self, at_ns: i64) -> bool {
        self.runs.contains(&at_ns) && !self.gaps.iter().any(|gap| gap.contains(&at_ns))
    }

    /// What it records of the world as this point of the path.
    pub fn watch(&self, point: usize, world: &World, random: &mut Random) -> Watched {
        let mut all = self.background(random);
        for (index, packet) in world.packets.iter().enumerate() {
            self.meet(point, (index, packet), &mut all, random);
        }
        for error in &world.errors {
            let packet = &world.packets[error.about];
            for (position, at_ns, datagram) in &error.passages {
                if packet.point(*position) != point {
                    continue;
                }
                // The receiver itself answers; everybody else sees the error come.
                let side = if *position + 1 == world.points {
                    Side::Out
                } else {
                    Side::In
                };
                let shows = Shows::Quote(error.about);
                all.push(Shot::new(*at_ns, shows, side, ip(datagram.clone())));
            }
        }
        for ping in &world.pings {
            for (position, (at, at_ns, datagram)) in ping.passages.iter().enumerate() {
                if *at == point {
                    let side = if position == 0 { Side::Out } else { Side::In };
                    all.push(Shot::new(
                        *at_ns,
                        Shows::Background,
                        side,
                        ip(datagram.clone()),
                    ));
                }
            }
        }
        for (index, other) in world.others.iter().enumerate() {
            for (at, at_ns, packet) in &other.passages {
                if *at == point {
                    let datagram = ip(packet.to_ip());
                    all.push(Shot::new(*at_ns, Shows::Other(index), Side::In, datagram));
                }
            }
        }
        all.sort_by_key(|shot| shot.at_ns);
        self.keep(all, world, random)
    }

    fn background(&self, random: &mut Random) -> Vec<Shot> {
        let echo = Ip::new([10, 77, 9, 2].into(), [10, 77, 9, 3].into(), 1);
        let frames = [
            arp_request(),
            ip(echo.datagram(&[8, 0, 0, 0, 0, 1, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8])),
        ];
        let mut shots = Vec::new();
        let mut at_ns = self.runs.start;
        while at_ns < self.runs.end {
            let frame = frames[random.below(2)].clone();
            shots.push(Shot::new(at_ns, Shows::Background, Side::In, frame));
            at_ns += random.within(self.background_ns / 2..self.background_ns * 3 / 2);
        }
        shots
    }

    /// What a packet and its copy show here.
    fn meet(
        &self,
        point: usize,
        (index, packet): (usize, &Packet),
        all: &mut Vec<Shot>,
        random: &mut Random,
    ) {
        let position = packet.position(point);
        let last = packet.passages.len() - 1;
        let at_ns = packet.passages[position].at_ns;
        if position < packet.original_reaches {
            let dies_here = packet.original_reaches == position + 1 && position < last;
            let is_forwarded = !(dies_here && packet.dies_inside);
            self.come_by(at_ns, position, (index, packet), is_forwarded, all, random);
        }
        if let Some(copy) = packet.copy
            && (copy.from..copy.reaches).contains(&position)
        {
            let at_ns = at_ns + copy.later_ns;
            self.come_by(at_ns, position, (index, packet), true, all, random);
        }
        if self.tap == Tap::Promiscuous && position > 0 && random.happens(200) {
            // A hub, or a switch that does not know better, brings it here as well.
            let shows = Shows::Overheard(index);
            let at_ns = at_ns - random.within(1_000..20_000);
            let datagram = ip(packet.datagram(position, 0));
            all.push(Shot::new(at_ns, shows, Side::OtherHost, datagram));
        }
    }

    /// One passage, as often as the tap shows it.
    fn come_by(
        &self,
        at_ns: i64,
        position: usize,
        (index, packet): (usize, &Packet),
        is_forwarded: bool,
        all: &mut Vec<Shot>,
        random: &mut Random,
    ) {
        let last = packet.passages.len() - 1;
        let side = if position == 0 { Side::Out } else { Side::In };
        let shows = Shows::Packet(index);
        let datagram = ip(packet.datagram(position, 0));
        match self.tap {
            Tap::Mirror { per_thousand } if random.happens(per_thousand) => {
                let copied_ns = at_ns + random.within(1_000..60_000);
                all.push(Shot::new(copied_ns, shows, side, datagram.clone()));
            }
            Tap::Any | Tap::Promiscuous if 0 < position && position < last && is_forwarded => {
                let out_ns = at_ns + random.within(5_000..40_000);
                let out = ip(packet.datagram(position, self.hops_inside));
                all.push(Shot::new(out_ns, shows, Side::Out, out));
            }
            _ => {}
        }
        all.push(Shot::new(at_ns, shows, side, datagram));
    }

    /// What reaches the file of what met the capture.
    fn keep(&self, shots: Vec<Shot>, world: &World, random: &mut Random) -> Watched {
        let mut watched = Watched {
            shots: Vec::new(),
            records: vec![Record::Absent; world.packets.len()],
            dropped_last: 0,
            dropped: 0,
        };
        let mut dropping = 0;
        for mut shot in shots {
            let record = if !self.runs.contains(&shot.at_ns) {
                Record::NotRunning
            } else if !self.runs_at(shot.at_ns) {
                Record::InGap
            } else if self.is_filtered(&shot.network) {
                Record::Filtered
            } else {
                if let Some(drops) = self.drops
                    && dropping == 0
                    && random.happens(drops.per_thousand)
                {
                    dropping = random.pick(&[1, 1, 1, 4, 12]);
                }
                if dropping > 0 {
                    dropping -= 1;
                    Record::Dropped
                } else if self.is_cut_short(&shot.network) {
                    Record::CutShort
                } else {
                    Record::Whole
                }
            };
            if let Shows::Packet(packet) = shot.shows {
                let best = &mut watched.records[packet];
                *best = record.max(*best);
            }
            match record {
                Record::CutShort | Record::Whole => {
                    shot.dropped_before = std::mem::take(&mut watched.dropped_last);
                    watched.shots.push(shot);
                }
                Record::Dropped => {
                    watched.dropped_last += 1;
                    watched.dropped += 1;
                }
                Record::Absent | Record::NotRunning | Record::InGap | Record::Filtered => {}
            }
        }
        watched
    }

    fn is_filtered(&self, network: &Network) -> bool {
        self.above.is_some_and(|above| {
            let number = match network.bytes[0] >> 4 {
                4 => network.bytes[9],
                6 => network.bytes[6],
                _ => 0,
            };
            number <= above
        })
    }

    fn is_cut_short(&self, network: &Network) -> bool {
        const HDP_LEN: usize = 12;
        let ip_len = match network.bytes[0] >> 4 {
            4 => 20,
            6 => 40,
            _ => return false,
        };
        self.keeps.is_some_and(|keeps| keeps < ip_len + HDP_LEN)
    }
}

impl Shot {
    fn new(at_ns: i64, shows: Shows, side: Side, network: Network) -> Self {
        Self {
            at_ns,
            shows,
            side,
            network,
            dropped_before: 0,
        }
    }
}
