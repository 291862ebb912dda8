//! The fate of every packet from files that are read again, stretch by stretch: what it is with everything
//! kept, byte for byte, in memory that depends on how far the points are apart.

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use hdp::{
    findings::{Fate, Findings, Packet},
    path::{self, Annotation, Error, Event, Frames, Memory, Options, Points},
};

use crate::support::{
    capture::{ByteOrder, Capture, Format, Packing},
    frames::{Ip, Packet as Sent},
    scene::START_NS,
};

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [10, 0, 9, 1];

/// Several batches: a stretch has 8,192 sightings or so.
const PACKETS: u32 = 40_000;

const STEP_NS: i64 = 200_000;

const FORMAT: Format = Format::Pcap {
    order: ByteOrder::Little,
    nanoseconds: true,
};

/// A pseudorandom number below a bound, the same for the same packet.
fn random(index: u32, salt: u32, below: u32) -> u32 {
    let mut x = u64::from(index) << 32 | u64::from(salt) << 8 | 1;
    for _ in 0..3 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    u32::try_from(x % u64::from(below)).unwrap()
}

/// What both ends see: packets of which some share a timestamp, are lost, overtaken, seen twice or answered;
/// other traffic; the server's clock ahead by three seconds.
fn captures() -> [Vec<(i64, Vec<u8>)>; 2] {
    let mut seen = [Vec::new(), Vec::new()];
    for index in 0..PACKETS {
        let timestamp = START_NS + i64::from(index / 2) * 2 * STEP_NS;
        let is_reply = random(index, 1, 10) == 0;
        let ends = if is_reply { [1, 0] } else { [0, 1] };
        let [source, destination] = ends.map(|end| [CLIENT, SERVER][end]);
        let protocol = 200 + u8::try_from(index % 5).unwrap();
        let own_timestamp = timestamp + [0, 3_000_000_000][ends[0]];
        let mut packet = Sent::new(
            source.into(),
            destination.into(),
            protocol,
            own_timestamp.cast_unsigned(),
        );
        packet.ip.id = index & 0xffff;
        packet.payload = index.to_be_bytes()[..random(index, 2, 5) as usize].to_vec();
        let sent = timestamp + i64::from(random(index, 3, 50_000));
        let arrives = random(index, 4, 30) > 0 && !(protocol == 203 && index > PACKETS / 2);
        let late = i64::from(random(index, 5, 3_000_000)) + 1_000_000;
        let times = [sent, sent + late];
        for (hop, (end, time)) in ends.into_iter().zip(times).enumerate() {
            if hop == 1 && !arrives {
                continue;
            }
            packet.ip.ttl = 64 - u8::try_from(hop * 3).unwrap();
            let time = time + [0, 3_000_000_000][end];
            seen[end].push((time, packet.to_ip()));
            if random(index, 6, 40) == 0 {
                seen[end].push((time + 2_000_000, packet.to_ip()));
            }
        }
        if index % 7 == 0 {
            let other = Ip::new(CLIENT.into(), SERVER.into(), 1);
            let echo = other.datagram(&[8, 0, 0, 0, 0, 1, 0, 1]);
            seen[0].push((sent, echo.clone()));
            seen[1].push((sent + 3_000_500_000, echo));
        }
    }
    for frames in &mut seen {
        frames.sort_by_key(|(time, _)| *time);
    }
    seen
}

/// Files of both ends.
struct Recorded {
    folder: tempfile::TempDir,
}

impl Recorded {
    fn new(captures: [Vec<(i64, Vec<u8>)>; 2]) -> Self {
        let recorded = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for (name, frames) in ["client", "server"].iter().zip(captures) {
            recorded.write(name, frames);
        }
        recorded
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, frames: Vec<(i64, Vec<u8>)>) {
        let mut capture = Capture::new(101);
        for (time_ns, bytes) in frames {
            capture.push(time_ns, bytes);
        }
        capture.write(&self.file(name), FORMAT, Packing::Plain);
    }

    fn points(&self) -> Points {
        let named =
            ["client", "server"].map(|name| format!("{name}={}", self.file(name).display()));
        path::points(named).unwrap()
    }

    fn list(&self, options: &Options) -> Result<(Findings, Vec<Packet>), Error> {
        let mut packets = Vec::new();
        let findings = path::packets(&self.points(), options, |packet| {
            packets.push(packet.clone());
        })?;
        Ok((findings, packets))
    }

    /// The packets, and both annotations.
    fn annotate(&self, options: &Options) -> (Vec<Packet>, [Vec<u8>; 2]) {
        let mut written = [Vec::new(), Vec::new()];
        let results = written.iter_mut().zip([Frames::All, Frames::Lost]);
        let results = results.map(|(to, frames)| Annotation {
            frames,
            name: format!("{frames:?}"),
            to,
        });
        let results = results.collect();
        let mut packets = Vec::new();
        let note = |packet: &Packet| packets.push(packet.clone());
        path::annotate(&self.points(), options, results, note).unwrap();
        (packets, written)
    }
}

fn kept() -> Options {
    Options {
        memory: Memory::Unbounded,
        ..Options::default()
    }
}

/// Options under which `read` happens when the files were read for the first time; and whether everything
/// had to be kept.
fn once_read(read: impl Fn() + Send + Sync + 'static) -> (Options, Arc<AtomicBool>) {
    let is_kept = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&is_kept);
    let events = move |event: Event| match event {
        Event::Read => read(),
        Event::ReadingAgain => noted.store(true, Ordering::Relaxed),
        _ => {}
    };
    let options = Options {
        events: Some(Arc::new(events)),
        ..Options::default()
    };
    (options, is_kept)
}

fn list_and_annotate_alike(recorded: &Recorded, is_to_be_kept: bool) {
    let (options, is_kept) = once_read(|| {});
    let listed = recorded.list(&options).unwrap();
    assert_eq!(is_kept.load(Ordering::Relaxed), is_to_be_kept);
    let expected = recorded.list(&kept()).unwrap();
    assert_eq!(listed.0, expected.0);
    assert_eq!(listed.1.len(), expected.1.len());
    let mut both = listed.1.iter().zip(&expected.1);
    assert_eq!(both.find(|(listed, kept)| listed != kept), None);
    let (packets, annotated) = recorded.annotate(&Options::default());
    assert!(packets == expected.1);
    let (_, expected) = recorded.annotate(&kept());
    assert!(annotated == expected, "annotated otherwise");
}

#[test]
fn it_is_what_it_is_with_everything_kept() {
    let recorded = Recorded::new(captures());
    list_and_annotate_alike(&recorded, false);
    let (_, packets) = recorded.list(&Options::default()).unwrap();
    for fate in [Fate::Delivered, Fate::Lost, Fate::Edge] {
        let count = packets.iter().filter(|packet| packet.fate == fate).count();
        assert!(count > 2, "{count} {fate:?}");
    }
}

#[test]
fn what_is_far_out_of_order_is_kept() {
    let [client, mut server] = captures();
    let half = server.len() / 2;
    server.rotate_left(half);
    list_and_annotate_alike(&Recorded::new([client, server]), true);
}

#[test]
fn a_capture_may_go_on_meanwhile() {
    let [mut client, server] = captures();
    let late = client.split_off(client.len() - 20_000);
    let recorded = Recorded::new([client, server]);
    let expected = recorded.list(&kept()).unwrap();
    let annotated = recorded.annotate(&kept());

    let mut more = Capture::new(101);
    for (time_ns, bytes) in late {
        more.push(time_ns, bytes);
    }
    let more = more.to_bytes(FORMAT).split_off(24);
    let file = recorded.file("client");
    let goes_on = Arc::new(AtomicBool::new(true));
    let (options, _) = once_read(move || {
        if goes_on.swap(false, Ordering::Relaxed) {
            let mut file = fs::OpenOptions::new().append(true).open(&file).unwrap();
            file.write_all(&more).unwrap();
        }
    });
    let (packets, written) = recorded.annotate(&options);
    assert!(packets == expected.1);
    assert!(written == annotated.1, "what came since is left out");
}

#[test]
fn another_file_in_the_place_of_one_is_no_answer() {
    let recorded = Recorded::new(captures());
    let [_, server] = captures();
    let file = recorded.file("server");
    let same = fs::read(&file).unwrap();
    let (options, _) = once_read({
        let file = file.clone();
        move || fs::write(&file, &same).unwrap()
    });
    recorded.list(&options).expect("the same bytes");

    let from_elsewhere = server.into_iter().map(|(time_ns, mut bytes)| {
        bytes[12] = 172;
        (time_ns, bytes)
    });
    let elsewhere = Recorded::new([Vec::new(), from_elsewhere.collect()]);
    let other = fs::read(elsewhere.file("server")).unwrap();
    let (options, _) = once_read(move || fs::write(&file, &other).unwrap());
    let error = recorded.list(&options).unwrap_err();
    assert!(matches!(error, Error::Changed { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("changed while it was being read")
    );
}

#[cfg(feature = "cli")]
#[test]
fn memory_does_not_depend_on_how_many_packets_there_are() {
    let plain = |index: u32, hop: u8| {
        let sent = START_NS + i64::from(index) * STEP_NS;
        let mut packet = Sent::new(CLIENT.into(), SERVER.into(), 253, sent.cast_unsigned());
        packet.ip.ttl = 64 - hop;
        (sent + i64::from(hop) * 1_000_000, packet.to_ip())
    };
    for way in [["--annotate", "annotated"], ["--packets", "packets"]] {
        let [few, many] = [200_000, 800_000].map(|count| {
            let ends = [0, 1].map(|hop| (0..count).map(|index| plain(index, hop)).collect());
            let recorded = Recorded::new(ends);
            crate::hostile::measure(recorded.folder.path(), &way).1
        });
        // Their delays are kept once, for exact quantiles.
        assert!(many < few + 5_000_000, "{way:?}: {few}, then {many} bytes");
    }
}
