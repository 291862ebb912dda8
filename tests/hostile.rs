//! Captures made to cost: what a million of them would take is told by a few thousand and by four times
//! as many. Each way of reading takes at most what sorting them would take, and bounded memory.
//!
//! Time is the processor's, of the program alone, so that it is the same on a machine that is busy.
#![cfg(feature = "cli")]

use std::{collections::BTreeMap, fs, net::IpAddr, path::Path, process::Command};

use hdp::{
    findings::Warning,
    path::{self, Memory, Options, Room},
};

use crate::support::{
    capture::{ByteOrder, Capture, Format, Interface, OwnedFrame, Pcapng},
    frames::{Fragment, Ip, Packet, Quote, icmp_error},
    scene::START_NS,
};

/// Records of a capture in the smaller pair.
const FEW: u32 = 5_000;

/// The same for bounded memory, which keeps everything up to 32,768 sightings.
const FEW_BOUNDED: u32 = 40_000;

/// Four times as many may take so many times as long: sorting takes 4.7, every one against every one 16.
/// Readers that wait for others on a busy machine look a few more times at what is there: up to 8.
const GROWTH: f64 = 9.0;

/// What a run may take whatever it reads, and so little that no growth shows; seconds.
const BASE_S: f64 = 0.1;

/// What a run may hold, bytes: whatever it reads, and for each record of the larger pair. A flow of one
/// packet is remembered by its addresses, ports and trend at either point; where everything is kept, so is
/// each ICMP error.
const MEMORY: u64 = 32 << 20;
const MEMORY_OF_RECORD: u64 = 3 << 10;
const MEMORY_OF_RECORD_BOUNDED: u64 = 2 << 10;

type Frames = Vec<(i64, Vec<u8>)>;

/// So many frames at each end.
type Make = fn(u32) -> [Frames; 2];

/// What a capture of some frames looks like as a file.
type File = fn(&Frames) -> Vec<u8>;

/// Takes a command, and prints the seconds of processor it took and the most memory that it held.
const MEASURE: &str = "import resource, subprocess, sys
status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL, timeout=300)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(status, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)";

fn assert_cheap(make: Make) {
    assert_cheap_as(pcap, make);
}

fn assert_cheap_as(file: File, make: Make) {
    let folder = tempfile::tempdir().unwrap();
    let ways: [(u32, &[&str]); 6] = [
        (FEW, &[]),
        (FEW, &["--format", "html"]),
        (FEW, &["--annotate", "annotated.pcapng"]),
        (FEW, &["--packets", "packets.jsonl"]),
        (FEW, &["--explain", "client:1"]),
        (FEW_BOUNDED, &["--bounded"]),
    ];
    let mut taken = BTreeMap::new();
    for factor in [1, 4] {
        for (index, (few, way)) in ways.iter().enumerate() {
            if index == 0 || ways[index - 1].0 != *few {
                write(folder.path(), file, factor * few, make);
            }
            taken.insert((index, factor), measure(folder.path(), way));
        }
    }
    let mut told = Vec::new();
    let mut is_cheap = true;
    for (index, (records, way)) in ways.iter().enumerate() {
        let [few, many] = [1, 4].map(|factor| taken[&(index, factor)]);
        let of_record = match *records {
            FEW_BOUNDED => MEMORY_OF_RECORD_BOUNDED,
            _ => MEMORY_OF_RECORD,
        };
        let memory = MEMORY + of_record * 4 * u64::from(*records);
        let holds = many.0 <= BASE_S + GROWTH * few.0.max(BASE_S / 4.0) && many.1 <= memory;
        is_cheap &= holds;
        told.push(format!(
            "{way:?}: {few:?} s and bytes, four times as many {many:?}; {holds}"
        ));
    }
    assert!(is_cheap, "{}", told.join("\n"));
}

/// The same of one way of reading and of more records, where a few do not show it.
fn assert_grows_little(file: File, few: u32, way: &[&str], make: Make) {
    let folder = tempfile::tempdir().unwrap();
    let [few, many] = [few, 4 * few].map(|count| {
        write(folder.path(), file, count, make);
        measure(folder.path(), way).0
    });
    let holds = many <= BASE_S + GROWTH * few.max(BASE_S / 4.0);
    assert!(holds, "{few} s, four times as many {many} s");
}

fn write(folder: &Path, file: File, count: u32, make: Make) {
    for (name, frames) in ["client", "server"].iter().zip(make(count)) {
        fs::write(folder.join(name), file(&frames)).unwrap();
    }
}

fn pcap(frames: &Frames) -> Vec<u8> {
    written(RAW, frames)
}

fn written(link_type: u16, frames: &Frames) -> Vec<u8> {
    let mut capture = Capture::new(link_type);
    for (time_ns, bytes) in frames {
        capture.push(*time_ns, bytes.as_slice());
    }
    capture.to_bytes(Format::Pcap {
        order: ByteOrder::Little,
        nanoseconds: true,
    })
}

/// A Linux cooked frame of a packet type: 0 what came in, 4 what went out.
fn cook(packet_type: u8, datagram: Vec<u8>) -> Vec<u8> {
    let header = [0, packet_type, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0];
    [header.to_vec(), datagram].concat()
}

fn cooked(frames: &Frames) -> Vec<u8> {
    written(113, frames)
}

/// As if the capture had been stopped and started again at each frame.
fn recordings_of_one_frame(frames: &Frames) -> Vec<u8> {
    frames
        .iter()
        .flat_map(|frame| pcap(&vec![frame.clone()]))
        .collect()
}

/// As if the capture had dropped some before each frame.
fn with_drops(frames: &Frames) -> Vec<u8> {
    let mut file = Pcapng::new(ByteOrder::Little);
    file.interface(Interface::new(RAW));
    for (time_ns, bytes) in frames {
        file.enhanced(&OwnedFrame::new(*time_ns, bytes.as_slice()), Some(1));
    }
    file.into_bytes()
}

/// Seconds of processor and the most bytes that `hdp path` takes on two files in a folder.
pub(crate) fn measure(folder: &Path, way: &[&str]) -> (f64, u64) {
    let output = Command::new("python3")
        .current_dir(folder)
        .args(["-c", MEASURE, env!("CARGO_BIN_EXE_hdp"), "path"])
        .args(way)
        .args(["client", "server"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let told: Vec<&str> = told.split_whitespace().collect();
    let [status, seconds, bytes] = told[..] else {
        panic!("{output:?}");
    };
    // What is asked for may not be one packet.
    assert!(
        status == "0" || way.contains(&"--explain"),
        "{way:?}: {output:?}"
    );
    (seconds.parse().unwrap(), bytes.parse().unwrap())
}

// --- what is sent --------------------------------------------------------------------------------

/// Link type: IP and nothing before it.
const RAW: u16 = 101;
const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [10, 0, 9, 1];
const STEP_NS: i64 = 1_000_000;

/// A packet, its timestamp so many microseconds after the start.
fn packet(at: u32) -> Packet {
    let timestamp = START_NS + i64::from(at) * STEP_NS;
    let mut packet = Packet::new(CLIENT.into(), SERVER.into(), 253, timestamp.cast_unsigned());
    packet.ip.id = at;
    packet.payload = b"moo".to_vec();
    packet
}

fn at(index: u32) -> i64 {
    START_NS + i64::from(index) * STEP_NS + 500
}

/// What both ends see, the server 5 ms later and behind two routers.
fn both(count: u32, make: impl Fn(u32) -> Packet) -> [Frames; 2] {
    [(0, 0), (2, 5_000_000)].map(|(hops, later)| {
        let seen = (0..count).map(|index| {
            let mut packet = make(index);
            packet.ip.ttl -= hops;
            (at(index) + later, packet.to_ip())
        });
        seen.collect()
    })
}

/// A pseudo-random number of an index.
fn scattered(index: u32) -> u32 {
    let mixed = (u64::from(index) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u32::try_from((mixed ^ (mixed >> 29)) >> 32).unwrap()
}

fn address(first: u8, index: u32) -> IpAddr {
    let [_, b, c, d] = index.to_be_bytes();
    [first, b, c, d].into()
}

fn ports(packet: &mut Packet, index: u32) {
    packet.srcport = u16::try_from(index % 60_000).unwrap() + 1;
    packet.dstport = u16::try_from(index / 60_000).unwrap() + 420;
}

/// All but every fiftieth, so that a capture was watching all the time.
fn lose_most(frames: &mut Frames) {
    *frames = frames.iter().step_by(50).cloned().collect();
}

/// Packets of which the client hears an ICMP error each.
fn refused(
    count: u32,
    quote: Quote,
    make: impl Fn(u32) -> Packet,
    router: fn(u32) -> IpAddr,
) -> [Frames; 2] {
    let [mut client, _] = both(count, &make);
    for index in 0..count {
        let error = Ip::new(router(index), CLIENT.into(), 1);
        let bytes = icmp_error(&error, 3, 2, &make(index).to_ip(), quote);
        client.push((at(index) + 10_000_000, bytes));
    }
    client.sort_by_key(|(time, _)| *time);
    let [_, mut server] = both(count, make);
    lose_most(&mut server);
    [client, server]
}

fn one_router(_: u32) -> IpAddr {
    [10, 0, 5, 1].into()
}

/// Fragments of one datagram or many.
fn fragments(count: u32, make: impl Fn(u32) -> (u32, Fragment)) -> [Frames; 2] {
    let [mut client, mut server] = both(20, packet);
    for index in 0..count {
        let (id, fragment) = make(index);
        let mut packet = packet(index);
        packet.ip.id = id;
        packet.ip.fragment = Some(fragment);
        let bytes = packet.ip.datagram(&packet.hdp()[..12]);
        client.push((at(index), bytes.clone()));
        server.push((at(index) + 5_000_000, bytes));
    }
    client.sort_by_key(|(time, _)| *time);
    server.sort_by_key(|(time, _)| *time);
    [client, server]
}

// --- the tests -----------------------------------------------------------------------------------

#[test]
fn clients_each_with_an_address_of_its_own() {
    assert_cheap(|count| {
        both(count, |index| {
            let mut packet = packet(index);
            packet.ip.src = address(11, index);
            packet
        })
    });
}

#[test]
fn errors_from_ever_new_routers() {
    assert_cheap(|count| refused(count, Quote::Whole, packet, |index| address(12, index)));
}

#[test]
fn errors_about_one_packet_from_ever_new_routers() {
    assert_cheap(|count| {
        refused(
            count,
            Quote::Whole,
            |_| packet(0),
            |index| address(12, index),
        )
    });
}

#[test]
fn short_quotes_of_many_ports() {
    assert_cheap(|count| {
        let make = |index| {
            let mut packet = packet(index);
            ports(&mut packet, index);
            packet
        };
        refused(count, Quote::Eight, make, one_router)
    });
}

#[test]
fn short_quotes_of_the_same_ports() {
    assert_cheap(|count| refused(count, Quote::Eight, packet, one_router));
}

#[test]
fn quotes_of_one_timestamp_and_many_ports() {
    assert_cheap(|count| {
        let make = |index| {
            let mut packet = packet(0);
            packet.ip.id = index;
            ports(&mut packet, index);
            packet
        };
        refused(count, Quote::Whole, make, one_router)
    });
}

#[test]
fn quotes_of_one_packet_again_and_again() {
    assert_cheap(|count| refused(count, Quote::Whole, |_| packet(0), one_router));
}

#[test]
fn one_timestamp_with_two_payloads() {
    assert_cheap(|count| {
        both(count, |index| {
            let mut packet = packet(0);
            packet.ip.id = index;
            packet.payload = if index % 2 == 0 {
                b"moo".to_vec()
            } else {
                b"baa".to_vec()
            };
            packet
        })
    });
}

#[test]
fn one_timestamp_with_ever_new_payloads() {
    assert_cheap(|count| {
        both(count, |index| {
            let mut packet = packet(0);
            packet.ip.id = index;
            packet.payload = index.to_be_bytes().to_vec();
            packet
        })
    });
}

#[test]
fn one_timestamp_with_ever_new_ports() {
    assert_cheap(|count| {
        both(count, |index| {
            let mut packet = packet(0);
            ports(&mut packet, index);
            packet
        })
    });
}

#[test]
fn one_packet_again_and_again() {
    assert_cheap(|count| both(count, |_| packet(0)));
}

#[test]
fn tails_of_one_datagram() {
    assert_cheap(|count| {
        fragments(count, |_| {
            (
                7,
                Fragment {
                    offset: 64,
                    more: true,
                },
            )
        })
    });
}

#[test]
fn tails_of_one_datagram_anywhere() {
    assert_cheap(|count| {
        fragments(count, |index| {
            let offset = u16::try_from(scattered(index) % 8_000).unwrap() * 8;
            (7, Fragment { offset, more: true })
        })
    });
}

#[test]
fn heads_of_one_datagram() {
    assert_cheap(|count| {
        fragments(count, |_| {
            (
                7,
                Fragment {
                    offset: 0,
                    more: true,
                },
            )
        })
    });
}

#[test]
fn heads_without_tails() {
    assert_cheap(|count| {
        fragments(count, |index| {
            (
                index,
                Fragment {
                    offset: 0,
                    more: true,
                },
            )
        })
    });
}

/// UDP-Lite, whose checksum lies in the timestamp's upper half.
const WRITTEN_INTO: u8 = 136;

fn under(protocol: u8, index: u32) -> Packet {
    let mut packet = packet(index);
    packet.ip.protocol = protocol;
    packet
}

/// Packets whose checksum was written on the way.
fn rewritten(count: u32, make: impl Fn(u32) -> Packet) -> [Frames; 2] {
    let [client, mut server] = both(count, make);
    for (_, bytes) in &mut server {
        bytes[26..28].copy_from_slice(&[0xff; 2]);
    }
    [client, server]
}

#[test]
fn one_rewritten_packet_again_and_again() {
    assert_cheap(|count| rewritten(count, |_| under(WRITTEN_INTO, 0)));
}

#[test]
fn rewritten_packets() {
    assert_cheap(|count| rewritten(count, |index| under(WRITTEN_INTO, index)));
}

#[test]
fn flows_of_one_packet_each_that_a_translator_changes() {
    assert_cheap(|count| {
        let make = |index: u32, src: [u8; 4], other: u16| {
            let mut packet = packet(index);
            packet.ip.src = src.into();
            ports(&mut packet, index);
            packet.srcport ^= other;
            packet
        };
        let [client, _] = both(count, |index| make(index, CLIENT, 0));
        let [_, server] = both(count, |index| make(index, [198, 51, 100, 1], 0x155));
        [client, server]
    });
}

/// A report of what is to be said of ever new ports.
#[test]
fn flows_of_one_packet_each_as_html() {
    assert_grows_little(pcap, 20_000, &["--format", "html"], |count| {
        let [client, server] = both(count, |index| {
            let mut packet = packet(index);
            ports(&mut packet, index);
            packet
        });
        [client, every_other(server)]
    });
}

/// What passed before a loss is counted at each of them: with fewer flows it does not show what looking for
/// the new ones takes.
#[test]
fn flows_of_one_packet_each_of_which_every_other_is_lost() {
    assert_grows_little(pcap, 200_000, &[], |count| {
        let [client, server] = both(count, |index| {
            let mut packet = packet(index);
            ports(&mut packet, index);
            packet
        });
        [client, every_other(server)]
    });
}

/// A flow that a translator gives ever new addresses.
fn spread(count: u32) -> [Frames; 2] {
    let [client, _] = both(count, packet);
    let [_, server] = both(count, |index| {
        let mut packet = packet(index);
        packet.ip.src = address(11, index);
        packet
    });
    [client, server]
}

fn every_other(frames: Frames) -> Frames {
    frames.into_iter().step_by(2).collect()
}

#[test]
fn a_flow_that_goes_on_as_ever_new_ones_of_which_every_other_packet_is_lost() {
    assert_grows_little(pcap, 40_000, &[], |count| {
        let [client, server] = spread(count);
        [client, every_other(server)]
    });
}

/// The same flow seen by the last point, and lost before the first one.
#[test]
fn a_flow_that_was_ever_new_ones_of_which_every_other_packet_is_unseen() {
    assert_grows_little(pcap, 40_000, &[], |count| {
        let [one, many] = spread(count);
        [every_other(many), one]
    });
}

#[test]
fn one_timestamp_with_ever_new_ports_of_which_none_arrives() {
    assert_grows_little(pcap, 40_000, &[], |count| {
        let [client, _] = both(count, |index| {
            let mut packet = packet(0);
            ports(&mut packet, index);
            packet
        });
        // What arrives shows that the server was watching.
        let [at_client, at_server] = both(count, packet).map(|frames| {
            let few = frames.into_iter().skip(1).step_by(count as usize / 20);
            few.collect::<Frames>()
        });
        let mut client = [client, at_client].concat();
        client.sort_by_key(|(time, _)| *time);
        [client, at_server]
    });
}

/// A router's capture of all its interfaces, in Linux cooked frames: what comes in, and half of it going out.
#[test]
fn one_timestamp_with_ever_new_ports_through_a_router() {
    assert_grows_little(cooked, 80_000, &[], |count| {
        let make = |index: u32, ttl: u8| {
            let mut packet = packet(0);
            packet.ip.ttl = ttl;
            ports(&mut packet, index);
            packet
        };
        let [mut router, server] = [64, 63].map(|ttl| {
            let seen = (0..count).map(|index| (at(index), cook(0, make(index, ttl).to_ip())));
            seen.collect::<Frames>()
        });
        let going_out = (0..count).step_by(2);
        router.extend(going_out.map(|index| (at(index) + 1_000, cook(4, make(index, 63).to_ip()))));
        router.sort_by_key(|(time, _)| *time);
        [router, server]
    });
}

/// Hosts that another path leads from: the far end may answer them.
#[test]
fn packets_of_ever_new_hosts_that_only_the_far_end_saw() {
    assert_grows_little(pcap, 80_000, &[], |count| {
        // Each is two flows.
        let count = count / 2;
        let [mut client, mut server] = both(count, |index| {
            let mut packet = packet(index);
            packet.ip.src = address(11, index);
            packet
        });
        let others = (0..count).map(|index| {
            let mut packet = packet(index);
            packet.ip.src = address(12, index);
            packet.timestamp_ns += 1_000;
            (at(index) + 5_001_000, packet.to_ip())
        });
        server.extend(others);
        server.sort_by_key(|(time, _)| *time);
        let answer = |hops: u8| {
            let timestamp = START_NS + i64::from(count) * STEP_NS;
            let mut packet = Packet::new(
                SERVER.into(),
                address(11, 0),
                253,
                timestamp.cast_unsigned(),
            );
            packet.ip.ttl -= hops;
            packet.to_ip()
        };
        let last = at(count) + 10_000_000;
        server.push((last, answer(0)));
        client.push((last + 5_000_000, answer(2)));
        [client, server]
    });
}

#[test]
fn recordings_of_one_packet_each() {
    assert_grows_little(recordings_of_one_frame, 80_000, &["--bounded"], |count| {
        let [client, server] = both(count, packet);
        [client, every_other(server)]
    });
}

#[test]
fn a_capture_that_drops_some_before_each_packet() {
    assert_cheap_as(with_drops, |count| {
        let [client, server] = both(count, packet);
        [client, every_other(server)]
    });
}

#[test]
fn in_no_order() {
    assert_cheap(|count| {
        let mut ends = both(count, packet);
        for frames in &mut ends {
            let mut order: Vec<u32> = (0..count).collect();
            order.sort_by_key(|&index| scattered(index));
            *frames = order
                .iter()
                .map(|&index| frames[index as usize].clone())
                .collect();
        }
        ends
    });
}

#[test]
fn ends_each_with_an_address_of_its_own() {
    assert_cheap(|count| {
        both(count, |index| {
            let mut packet = packet(index);
            packet.ip.src = address(11, index);
            packet.ip.dst = address(12, scattered(index));
            packet
        })
    });
}

#[test]
fn short_quotes_of_the_same_ports_by_ever_new_routers() {
    assert_cheap(|count| refused(count, Quote::Eight, packet, |index| address(12, index)));
}

#[test]
fn clients_whose_packets_are_all_lost() {
    assert_cheap(|count| {
        let make = |index| {
            let mut packet = packet(index);
            packet.ip.src = address(11, index);
            packet
        };
        let [client, mut server] = both(count, make);
        lose_most(&mut server);
        [client, server]
    });
}

#[test]
fn one_packet_an_hour() {
    const HOUR: i64 = 3_600_000_000;
    assert_cheap(|count| {
        let ends = both(count, |index| {
            let mut packet = packet(index);
            packet.timestamp_ns += u64::from(index) * HOUR.cast_unsigned() * 1_000 / 8;
            packet
        });
        ends.map(|frames| {
            let frames = frames.into_iter().zip(0..);
            frames
                .map(|((time, bytes), n)| (time + n * HOUR * 1_000 / 8, bytes))
                .collect()
        })
    });
}

#[test]
fn a_clock_that_steps_at_every_packet() {
    assert_cheap(|count| {
        let [client, mut server] = both(count, packet);
        for (index, (time, _)) in (0..).zip(&mut server) {
            *time += i64::from(scattered(index));
        }
        [client, server]
    });
}

#[test]
fn every_other_packet_lost() {
    assert_cheap(|count| {
        let [client, server] = both(count, |index| {
            let mut packet = packet(index);
            packet.ip.protocol = index.to_le_bytes()[0];
            packet
        });
        let server = server.into_iter().zip(0_u32..);
        let came = server.filter(|(_, index)| scattered(*index).is_multiple_of(2));
        [client, came.map(|(frame, _)| frame).collect()]
    });
}

/// HDP, and before each packet of it one of something else.
fn beside(count: u32, other: impl Fn(u32) -> Vec<u8>) -> [Frames; 2] {
    both(count, packet).map(|mut frames| {
        frames.extend((0..count).map(|index| (at(index) + 300, other(index))));
        frames.sort_by_key(|(time, _)| *time);
        frames
    })
}

fn segment(index: u32) -> Vec<u8> {
    let mut tcp = [[0x30, 0x39, 0, 80], index.to_be_bytes()].concat();
    tcp.extend([0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0]);
    Ip::new(address(13, index), SERVER.into(), 6).datagram(&tcp)
}

#[test]
fn other_traffic_of_ever_new_hosts() {
    assert_cheap(|count| beside(count, segment));
}

/// A number that is filtered while the server records other traffic: what the tool is for.
#[test]
fn a_packet_that_is_lost_costs_little_more_than_one_that_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let of = |make: Make| {
        write(folder.path(), pcap, 320_000, make);
        measure(folder.path(), &[]).0
    };
    let arriving = of(|count| beside(count, segment));
    let lost = of(|count| {
        let [client, server] = beside(count, segment);
        let is_hdp = |(_, bytes): &&(i64, Vec<u8>)| bytes[9] == 253;
        let arriving: Frames = server.iter().filter(is_hdp).cloned().collect();
        let mut came: Frames = server.iter().filter(|it| !is_hdp(it)).cloned().collect();
        came.extend([arriving[0].clone(), arriving[arriving.len() - 1].clone()]);
        came.sort_by_key(|(time, _)| *time);
        [client, came]
    });
    assert!(
        lost <= BASE_S + 4.0 * arriving,
        "{lost} s, {arriving} s where they arrive"
    );
}

#[test]
fn pings_of_ever_new_hosts() {
    assert_cheap(|count| {
        beside(count, |index| {
            let echo = [[8, 0, 0, 0], index.to_be_bytes(), [1, 2, 3, 4]].concat();
            Ip::new(address(13, index), SERVER.into(), 1).datagram(&echo)
        })
    });
}

/// Each silence of all traffic is held against those of the other traffic, of which the fewer packets make
/// more: what is told apart gets longer as the capture does.
#[test]
fn as_many_silences_as_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let [few, many] = [20_000, 80_000].map(|count| {
        write(folder.path(), pcap, count, |count| beside(count, segment));
        measure(folder.path(), &[]).0
    });
    assert!(few <= BASE_S + many, "{few} s, four times as many {many} s");
}

#[test]
fn one_packet_with_every_ttl() {
    assert_cheap(|count| {
        both(count, |index| {
            let mut packet = packet(index / 200);
            packet.ip.ttl = 255 - u8::try_from(index % 200).unwrap();
            packet
        })
    });
}

#[test]
fn what_is_quiet_costs_little() {
    // The control: nothing odd.
    assert_cheap(|count| both(count, packet));
}

/// Bounded memory forgets most of such packets, but none of a number of which it knows no other: that
/// number would have lost a packet that came by, rewritten.
#[test]
fn a_flood_of_rewritten_packets_hides_no_other_number() {
    const OTHER: u8 = 33;
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), pcap, 80_000, |count| {
        let number = |index| if index == 0 { OTHER } else { WRITTEN_INTO };
        rewritten(count, |index| under(number(index), index))
    });
    let ends =
        ["client", "server"].map(|end| format!("{end}={}", folder.path().join(end).display()));
    for (memory, is_bounded) in [
        (Memory::Unbounded, false),
        (Memory::Bounded(Room::default()), true),
    ] {
        let options = Options {
            memory,
            ..Options::default()
        };
        let found = path::findings(&path::points(&ends).unwrap(), &options).unwrap();
        let is_left_out = |warning: &Warning| matches!(warning, Warning::LeftOut { .. });
        let left_out = found.warnings.iter().any(is_left_out);
        let [rewritten, flood] = &found.directions[0].protocols[..] else {
            panic!("{:?}", found.directions);
        };
        assert_eq!((rewritten.protocol, rewritten.delivered), (OTHER.into(), 1));
        assert_eq!(flood.lost, 0);
        let has_all = flood.delivered == 79_999;
        assert_eq!((left_out, has_all), (is_bounded, !is_bounded));
    }
}
