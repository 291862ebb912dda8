//! Makes a campaign whose truth is known: captures of many paths in two weeks, the manifest that names
//! them, and what is true of them.
//!
//! Each pair of hosts sends ten packets under each of the 256 numbers, in both weeks, through three networks
//! of forty. A network blocks some numbers: it answers that it is prohibited, or says nothing, and then
//! one of the ten packets was sent to expire there, as a trace does. In the second week two networks have
//! changed their minds. One pair in three has a third capture behind its first network, one in eight
//! loses one packet in fifty for no reason.
//!
//! The same arguments give the same files on every machine: the numbers come from `fastrand` and from
//! integers only.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use clap::Parser;
use hdp::hdp::Header;

/// Writes captures, manifest.jsonl, truth.csv (what was lost, and where) and networks.csv (whose each
/// router is) into a folder.
#[derive(Parser)]
struct Arguments {
    /// Where to write.
    folder: PathBuf,
    /// Pairs of hosts; each is a path in each of the two weeks.
    #[arg(long, default_value_t = 500)]
    pairs: u32,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

const ROUNDS: u64 = 10;
const NETWORKS: u8 = 40;
/// Monday, 16 November 2026, 12:00 UTC.
const START_NS: i64 = 1_794_830_400_000_000_000;
const SECOND: i64 = 1_000_000_000;
const WEEK: i64 = 7 * 86_400 * SECOND;
const CLIENT_TTL: u8 = 64;

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let folder = &arguments.folder;
    fs::create_dir_all(folder)?;
    let mut random = fastrand::Rng::with_seed(arguments.seed);
    let networks: Vec<Network> = (0..NETWORKS)
        .map(|number| Network::new(number, &mut random))
        .collect();
    let create = |name: &str| Ok::<_, io::Error>(BufWriter::new(File::create(folder.join(name))?));

    let mut owners = create("networks.csv")?;
    writeln!(owners, "address,asn,name")?;
    for network in &networks {
        let [a, b, c, d] = network.router();
        let (asn, number) = (network.asn(), network.number);
        writeln!(owners, "{a}.{b}.{c}.{d},{asn},network {number}")?;
    }
    owners.flush()?;

    let mut manifest = create("manifest.jsonl")?;
    let mut truth = create("truth.csv")?;
    writeln!(
        truth,
        "id,protocol,lost,expired,blocked,lost_from,lost_to,asn"
    )?;
    for pair in 0..arguments.pairs {
        let path = PathOf::new(pair, &mut random);
        for week in 0..2 {
            path.write(
                week,
                &networks,
                folder,
                &mut random,
                (&mut manifest, &mut truth),
            )?;
        }
    }
    manifest.flush()?;
    truth.flush()
}

/// A network on the way, with one router.
struct Network {
    number: u8,
    blocks: [BTreeSet<u8>; 2],
    answers: bool,
}

impl Network {
    fn new(number: u8, random: &mut fastrand::Rng) -> Self {
        let count = if number.is_multiple_of(4) {
            0
        } else {
            random.usize(1..12)
        };
        let blocks: BTreeSet<u8> = (0..count).map(|_| random.u8(..)).collect();
        let mut later = blocks.clone();
        match number {
            // Nothing was blocked before, then SCTP is.
            8 => later.extend([132]),
            7 => later.clear(),
            _ => {}
        }
        Self {
            number,
            blocks: [blocks, later],
            answers: number % 2 == 1,
        }
    }

    fn router(&self) -> [u8; 4] {
        [198, 18, self.number, 1]
    }

    /// Of those that are for private use (RFC 6996).
    fn asn(&self) -> u32 {
        4_200_000_000 + u32::from(self.number)
    }
}

/// A pair of hosts.
struct PathOf {
    pair: u32,
    through: [u8; 3],
    has_middle: bool,
    lost_per_million: u32,
    clock_ns: i64,
}

/// What became of a packet.
enum Fate {
    /// Came to the last host.
    Arrived,
    /// Was lost behind the last network.
    Lost,
    /// A network, by its place on the way, has dropped it.
    Blocked(usize),
    /// It ran out there.
    Expired(usize),
}

/// What is true of one number.
#[derive(Default, Clone)]
struct Truth {
    lost: u64,
    expired: u64,
    blocked_by: Option<usize>,
}

impl PathOf {
    fn new(pair: u32, random: &mut fastrand::Rng) -> Self {
        let mut through: Vec<u8> = (0..NETWORKS).collect();
        random.shuffle(&mut through);
        Self {
            pair,
            through: [through[0], through[1], through[2]],
            has_middle: pair.is_multiple_of(3),
            lost_per_million: if pair % 8 == 5 { 20_000 } else { 0 },
            clock_ns: random.i64(-SECOND..SECOND),
        }
    }

    fn client(&self) -> [u8; 4] {
        let [_, _, high, low] = self.pair.to_be_bytes();
        [10, 1, high, low]
    }

    fn server(&self) -> [u8; 4] {
        let [_, _, high, low] = self.pair.to_be_bytes();
        [10, 2, high, low]
    }

    fn write(
        &self,
        week: usize,
        networks: &[Network],
        folder: &Path,
        random: &mut fastrand::Rng,
        (manifest, truth): (&mut impl Write, &mut impl Write),
    ) -> io::Result<()> {
        let id = format!("w{}-p{:04}", 47 + week, self.pair);
        let captures = folder.join("captures").join(&id);
        fs::create_dir_all(&captures)?;
        let mut names = vec!["client", "exchange", "server"];
        if !self.has_middle {
            names.remove(1);
        }
        let mut files = Vec::new();
        for name in &names {
            files.push(Pcap::create(&captures.join(format!("{name}.pcap")))?);
        }
        let points: Vec<String> = names
            .iter()
            .map(|name| format!("{name}={}", captures.join(format!("{name}.pcap")).display()))
            .collect();
        let line = serde_json::json!({
            "id": id,
            "points": points,
            "tags": {"week": (47 + week).to_string(), "pair": format!("p{:04}", self.pair)},
        });
        writeln!(manifest, "{line}")?;

        let through = self.through.map(|number| &networks[usize::from(number)]);
        let counted = self.send(week, through, &mut files, random)?;
        for file in files {
            file.finish()?;
        }
        for (protocol, of) in counted.iter().enumerate() {
            let is_blocked = of.blocked_by.is_some();
            if !is_blocked && of.lost == 0 {
                continue;
            }
            // Behind the last network, or where one blocks.
            let is_first = of.blocked_by == Some(0);
            let (from, to) = match (self.has_middle, is_first) {
                (true, true) => ("client", "exchange"),
                (true, false) => ("exchange", "server"),
                (false, _) => ("client", "server"),
            };
            let asn = of.blocked_by.map(|place| through[place].asn().to_string());
            let asn = asn.unwrap_or_default();
            let (lost, expired) = (of.lost, of.expired);
            writeln!(
                truth,
                "{id},{protocol},{lost},{expired},{is_blocked},{from},{to},{asn}"
            )?;
        }
        Ok(())
    }

    /// Writes what the points see of all packets, and of pings before and after them.
    fn send(
        &self,
        week: usize,
        through: [&Network; 3],
        files: &mut [Pcap],
        random: &mut fastrand::Rng,
    ) -> io::Result<Vec<Truth>> {
        let start_ns = START_NS
            + i64::from(self.pair % 20) * 1_000 * SECOND
            + if week == 1 { WEEK } else { 0 };
        let mut frames: Vec<Vec<(i64, Vec<u8>)>> = vec![Vec::new(); files.len()];
        let mut counted = vec![Truth::default(); 256];
        let mut numbers: Vec<u8> = (0..=255).collect();
        let mut at_ns = start_ns + 2 * SECOND;
        for round in 0..ROUNDS {
            random.shuffle(&mut numbers);
            for &protocol in &numbers {
                at_ns += random.i64(800_000..1_200_000);
                let blocker = through
                    .iter()
                    .position(|network| network.blocks[week].contains(&protocol));
                let truth = &mut counted[usize::from(protocol)];
                truth.blocked_by = blocker;
                let fate = match blocker {
                    Some(place) if !through[place].answers && round == ROUNDS - 1 => {
                        truth.expired += 1;
                        Fate::Expired(place)
                    }
                    Some(place) => {
                        truth.lost += 1;
                        Fate::Blocked(place)
                    }
                    None if random.u32(..1_000_000) < self.lost_per_million => {
                        truth.lost += 1;
                        Fate::Lost
                    }
                    None => Fate::Arrived,
                };
                self.carry((at_ns, protocol), &fate, through, &mut frames, random);
            }
        }
        let end_ns = at_ns + 2 * SECOND;
        let mut ping_ns = start_ns;
        while ping_ns < end_ns {
            for (point, frames) in frames.iter_mut().enumerate() {
                let echo = [8, 0, 0, 0, 0, 1, 0, 1, 1, 2, 3, 4];
                let hops = self.hops(point);
                let echo = ip(self.client(), self.server(), (1, CLIENT_TTL - hops), &echo);
                frames.push((self.seen_at(ping_ns, point, 0), echo));
            }
            ping_ns += SECOND / 10;
        }
        for (file, frames) in files.iter_mut().zip(&mut frames) {
            frames.sort_by_key(|(time_ns, _)| *time_ns);
            for (time_ns, bytes) in frames {
                file.frame(*time_ns, bytes)?;
            }
        }
        Ok(counted)
    }

    /// Routers before a point.
    fn hops(&self, point: usize) -> u8 {
        match (point, self.has_middle) {
            (0, _) => 0,
            (1, true) => 2,
            _ => 5,
        }
    }

    /// When a point sees what was sent at a time, on its own clock.
    fn seen_at(&self, at_ns: i64, point: usize, jitter_ns: i64) -> i64 {
        let hops = i64::from(self.hops(point));
        let clock_ns = if hops == 5 { self.clock_ns } else { 0 };
        let jitter_ns = if point == 0 { 5_000 } else { jitter_ns };
        at_ns + hops * 4_000_000 + jitter_ns + clock_ns
    }

    /// Has the points see a packet, and what a router says of it.
    fn carry(
        &self,
        (at_ns, protocol): (i64, u8),
        fate: &Fate,
        through: [&Network; 3],
        frames: &mut [Vec<(i64, Vec<u8>)>],
        random: &mut fastrand::Rng,
    ) {
        let last = frames.len() - 1;
        // The first router is the client's own; each network has one behind it.
        let hop_of = |place: usize| u8::try_from(place).expect("below three") + 2;
        let reaches = match fate {
            Fate::Arrived => last,
            Fate::Lost => last - 1,
            Fate::Blocked(place) | Fate::Expired(place) => {
                usize::from(self.has_middle && *place > 0)
            }
        };
        let ttl = match fate {
            Fate::Expired(place) => hop_of(*place),
            _ => CLIENT_TTL,
        };
        let timestamp_ns = u64::try_from(at_ns).expect("after 1970");
        let header = Header {
            source_port: hdp::hdp::PORT,
            destination_port: hdp::hdp::PORT,
            timestamp_ns,
        };
        let packet = |hops: u8| {
            let ttl = (protocol, ttl - hops);
            ip(self.client(), self.server(), ttl, &header.to_bytes())
        };
        for (point, frames) in frames.iter_mut().enumerate().take(reaches + 1) {
            let time_ns = self.seen_at(at_ns, point, random.i64(10_000..200_000));
            frames.push((time_ns, packet(self.hops(point))));
        }
        let (place, kind) = match fate {
            Fate::Blocked(place) if through[*place].answers => (*place, [3, 13]),
            Fate::Expired(place) => (*place, [11, 0]),
            _ => return,
        };
        let mut error = vec![kind[0], kind[1], 0, 0, 0, 0, 0, 0];
        error.extend(packet(hop_of(place) - 1));
        let error = ip(through[place].router(), self.client(), (1, 60), &error);
        let back_ns = i64::from(hop_of(place)) * 8_000_000;
        for (point, frames) in frames.iter_mut().enumerate().take(reaches + 1) {
            let earlier_ns = i64::from(self.hops(point)) * 4_000_000;
            frames.push((at_ns + back_ns - earlier_ns, error.clone()));
        }
    }
}

fn ip(source: [u8; 4], destination: [u8; 4], (protocol, ttl): (u8, u8), payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(20 + payload.len())
        .expect("small")
        .to_be_bytes();
    let mut bytes = vec![0x45, 0, len[0], len[1], 0, 0, 0x40, 0, ttl, protocol, 0, 0];
    bytes.extend(source);
    bytes.extend(destination);
    let sum: u32 = bytes
        .chunks_exact(2)
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let checksum = !u16::try_from((sum & 0xffff) + (sum >> 16)).expect("folded twice");
    bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// pcap in nanoseconds, frames that begin with IP.
struct Pcap(BufWriter<File>);

impl Pcap {
    fn create(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 262_144, 101] {
            file.write_all(&word.to_le_bytes())?;
        }
        Ok(Self(file))
    }

    fn frame(&mut self, time_ns: i64, bytes: &[u8]) -> io::Result<()> {
        let part = |part: i64| u32::try_from(part).expect("before 2106");
        let len = u32::try_from(bytes.len()).expect("small");
        let time = [part(time_ns / SECOND), part(time_ns % SECOND)];
        for word in [time[0], time[1], len, len] {
            self.0.write_all(&word.to_le_bytes())?;
        }
        self.0.write_all(bytes)
    }

    fn finish(mut self) -> io::Result<()> {
        self.0.flush()
    }
}
