//! Writes a pair of captures of the same HDP packets, from the sender's end and from the
//! receiver's, and prints what is true of them.
//!
//! The same arguments give the same files on every machine: the numbers come from `SplitMix64` and
//! from integers only.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    thread,
};

use clap::Parser;

/// The numbers that the path between the two ends lets nothing through of.
const BLOCKED: [u8; 3] = [50, 51, 132];
const START_NS: u64 = 1_790_000_000_000_000_000;
/// How far the server's clock is ahead.
const CLOCK_OFFSET_NS: u64 = 1_700_000_000;
/// How far the clock of the server's sender is ahead of the client's, where both send.
const APART_NS: u64 = 20 * 3_600 * 1_000_000_000;

const FIRST_TTL: u8 = 64;
const LAST_TTL: u8 = 61;

/// Writes client.pcap and server.pcap into a folder, where they may be FIFOs, and prints their truth
/// as JSON.
#[derive(Parser)]
#[allow(clippy::struct_excessive_bools)] // Options that exclude nothing.
struct Arguments {
    /// Where to write the two captures.
    folder: PathBuf,
    /// How many packets the client sends, over the protocol numbers in turn.
    #[arg(long, default_value_t = 1_000_000)]
    packets: u32,
    /// Bytes behind the HDP header.
    #[arg(long, default_value_t = 33)]
    payload: u16,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The server's file from its last record to its first.
    #[arg(long, conflicts_with = "shuffled")]
    reversed: bool,
    /// The server's file in no order.
    #[arg(long)]
    shuffled: bool,
    /// Packets of a million that are lost.
    #[arg(long, default_value_t = 5_000)]
    lost: u64,
    /// Packets of a million that arrive twice.
    #[arg(long, default_value_t = 100)]
    doubled: u64,
    /// The smallest delay of the path, in milliseconds.
    #[arg(long, default_value_t = 5)]
    delay: u64,
    /// Every packet has other ports.
    #[arg(long)]
    flows: bool,
    /// The server sends every other packet, by a clock that is 20 hours ahead.
    #[arg(long)]
    both: bool,
}

impl Arguments {
    /// Whether the server sends a packet.
    fn goes_back(&self, record: Record) -> bool {
        self.both && record.index % 2 == 1
    }
}

/// A packet as one end's capture recorded it.
#[derive(Clone, Copy)]
struct Record {
    time_ns: u64,
    /// HDP's own timestamp.
    timestamp_ns: u64,
    /// Which packet: says the protocol and the IP ID.
    index: u32,
}

impl Record {
    fn protocol(self) -> u8 {
        self.index.to_le_bytes()[0]
    }
}

#[derive(Clone, Copy, Default)]
struct Truth {
    sent: u64,
    delivered: u64,
    duplicates: u64,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let mut random = Random(arguments.seed);
    let mut sent = send(arguments.packets, &mut random);
    sent.sort_by_key(|record| record.time_ns);
    let (mut client, mut server, truth) = carry(&arguments, &sent, &mut random);
    client.sort_by_key(|record| record.time_ns);
    server.sort_by_key(|record| record.time_ns);
    if arguments.reversed {
        server.reverse();
    } else if arguments.shuffled {
        shuffle(&mut server, &mut random);
    }
    let write = |name: &str, records: &[Record], ttls| {
        let path = arguments.folder.join(name);
        write_pcap(&path, records, ttls, &arguments)
    };
    // At the same time, as into FIFOs whose reader wants both.
    thread::scope(|scope| {
        let client = scope.spawn(|| write("client.pcap", &client, [FIRST_TTL, LAST_TTL]));
        write("server.pcap", &server, [LAST_TTL, FIRST_TTL])?;
        client.join().expect("writing does not panic")
    })?;
    print_truth(client.len() + server.len(), &truth)
}

/// The packets as the capture beside their sender saw them, in the order in which they were sent.
fn send(packets: u32, random: &mut Random) -> Vec<Record> {
    let mut timestamp_ns = START_NS;
    (0..packets)
        .map(|index| {
            timestamp_ns += 1 + random.below(40_000);
            // From reading the clock to the capture; now and then the sender was interrupted, and
            // another of its threads came first.
            let interrupted = random.happens(1_000);
            let latency_ns = 2_000 + random.below(if interrupted { 100_000 } else { 4_000 });
            Record {
                time_ns: timestamp_ns + latency_ns,
                timestamp_ns,
                index,
            }
        })
        .collect()
}

/// What the client and the server see of the packets, and the truth for each protocol number.
fn carry(
    arguments: &Arguments,
    sent: &[Record],
    random: &mut Random,
) -> (Vec<Record>, Vec<Record>, [Truth; 256]) {
    let mut client = Vec::with_capacity(sent.len());
    let mut server = Vec::with_capacity(sent.len());
    let mut truth = [Truth::default(); 256];
    for &record in sent {
        // Times are the client's until all have arrived.
        let mut record = record;
        let goes_back = arguments.goes_back(record);
        let [here, there] = if goes_back {
            record.timestamp_ns += APART_NS;
            [&mut server, &mut client]
        } else {
            [&mut client, &mut server]
        };
        here.push(record);
        let protocol = record.protocol();
        let truth = &mut truth[usize::from(protocol)];
        truth.sent += 1;
        // Each twice as long as the one before is half as likely: up to 2 ms.
        let jitter_ns = random.below(8_000) << random.next().leading_zeros().min(8);
        let lost = random.happens(arguments.lost);
        let duplicated = random.happens(arguments.doubled);
        if lost || BLOCKED.contains(&protocol) {
            continue;
        }
        truth.delivered += 1;
        let arrival = Record {
            time_ns: record.time_ns + arguments.delay * 1_000_000 + jitter_ns,
            ..record
        };
        there.push(arrival);
        if duplicated {
            truth.duplicates += 1;
            // Not at once, which would be the mark of a mirror port.
            let later_ns = 3_000_000 + random.below(2_000_000);
            there.push(Record {
                time_ns: arrival.time_ns + later_ns,
                ..arrival
            });
        }
    }
    for record in &mut server {
        record.time_ns += CLOCK_OFFSET_NS;
    }
    (client, server, truth)
}

/// Fisher and Yates.
fn shuffle(records: &mut [Record], random: &mut Random) {
    for end in (1..records.len()).rev() {
        let other = random.below(end as u64 + 1);
        records.swap(end, usize::try_from(other).expect("below the length"));
    }
}

/// pcap in nanoseconds, little-endian: Ethernet, IPv4, HDP. The TTLs are those of what the client sends
/// and of what goes back.
fn write_pcap(
    path: &Path,
    records: &[Record],
    ttls: [u8; 2],
    arguments: &Arguments,
) -> io::Result<()> {
    const ETHERNET: usize = 14;
    const IPV4: usize = 20;
    const HDP: usize = 12;

    let total_len = u16::try_from(IPV4 + HDP).expect("small") + arguments.payload;
    let mut frame = vec![0; ETHERNET + usize::from(total_len)];
    frame[..ETHERNET].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00]);
    let (ip, hdp) = frame[ETHERNET..].split_at_mut(IPV4);
    ip[0] = 0x45;
    ip[2..4].copy_from_slice(&total_len.to_be_bytes());
    hdp[..4].copy_from_slice(&[1, 0xa4, 1, 0xa4]); // ports 420
    for (byte, letter) in hdp[HDP..].iter_mut().zip((b'a'..=b'z').cycle()) {
        *byte = letter;
    }
    let frame_len = u32::try_from(frame.len()).expect("small");

    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for word in [0xa1b2_3c4d, 0x0004_0002, 0, 0, 262_144, 1] {
        file.write_all(&u32::to_le_bytes(word))?;
    }
    for record in records {
        let (ip, hdp) = frame[ETHERNET..].split_at_mut(IPV4);
        ip[4..6].copy_from_slice(&record.index.to_be_bytes()[2..]);
        let goes_back = arguments.goes_back(*record);
        ip[8] = ttls[usize::from(goes_back)];
        ip[9] = record.protocol();
        let mut ends = [[10, 0, 0, 1], [10, 0, 1, 2]];
        if goes_back {
            ends.reverse();
        }
        ip[12..20].copy_from_slice(ends.as_flattened());
        if arguments.flows {
            hdp[..4].copy_from_slice(&record.index.to_le_bytes());
        }
        ip[10..12].fill(0);
        let checksum = internet_checksum(ip);
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());
        hdp[4..HDP].copy_from_slice(&record.timestamp_ns.to_be_bytes());
        let [seconds, nanoseconds] = [
            record.time_ns / 1_000_000_000,
            record.time_ns % 1_000_000_000,
        ]
        .map(|part| u32::try_from(part).expect("before 2106"));
        for word in [seconds, nanoseconds, frame_len, frame_len] {
            file.write_all(&word.to_le_bytes())?;
        }
        file.write_all(&frame)?;
    }
    file.flush()
}

/// RFC 1071, over an even number of bytes.
fn internet_checksum(header: &[u8]) -> u16 {
    let words = header
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    !words.fold(0, |sum: u16, word| {
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}

fn print_truth(records: usize, truth: &[Truth; 256]) -> io::Result<()> {
    let protocols: Vec<_> = (0..)
        .zip(truth)
        .filter(|(_, truth)| truth.sent > 0)
        .map(|(protocol, truth): (u16, _)| {
            serde_json::json!({
                "protocol": protocol,
                "sent": truth.sent,
                "delivered": truth.delivered,
                "lost": truth.sent - truth.delivered,
                "duplicates": truth.duplicates,
            })
        })
        .collect();
    let truth = serde_json::json!({ "records": records, "protocols": protocols });
    writeln!(io::stdout(), "{truth}")
}

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn happens(&mut self, per_million: u64) -> bool {
        self.below(1_000_000) < per_million
    }
}
