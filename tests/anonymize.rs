//! `--anonymize`: the same verdicts, and no address that was captured anywhere in what is written.
//! `--link-type raw` and packet numbers: what other programs read.
#![cfg(feature = "cli")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{
    capture::{ByteOrder, Capture, Format},
    frames::{Extension, Ip, Packet as Sent, Quote, icmp_error, udp},
    hdp_in,
    scenario::Scenario,
};
use hdp::{
    decode::{DEFAULT_WINDOW_NS, Decoder},
    findings::{Findings, Packet},
    path::{self, Annotation, Frames, Options},
    source::{Frame, LinkType, Origin, Source},
};
use tempfile::{TempDir, tempdir};

const KEY: &str = "8f1c6a0d3e5b7f90a1b2c3d4e5f60718293a4b5c6d7e8f9000112233445566aa";

/// All that one run writes.
struct Written {
    folder: TempDir,
    findings: Findings,
    packets: Vec<Packet>,
}

impl Written {
    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Judges a fixture with all that can be written.
fn run(scenario: &Scenario, options: &[&str]) -> Written {
    let folder = tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (all, lost, packets) = (file("all.pcapng"), file("lost.pcapng"), file("packets"));
    let points: Vec<String> = scenario.paths[0].iter().map(ToString::to_string).collect();
    let mut arguments = vec!["path", "--format", "json", "--annotate", &all];
    arguments.extend(["--write-lost", &lost, "--packets", &packets]);
    arguments.extend(points.iter().map(String::as_str));
    arguments.extend(options);
    let json = hdp_in(&scenario.folder, &arguments);
    let lines = fs::read_to_string(&packets).unwrap();
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let packets = lines.collect();
    fs::write(file("findings"), &json).unwrap();
    Written {
        findings: serde_json::from_str(&json).unwrap(),
        packets,
        folder,
    }
}

/// Verdict, grade and counts by direction and number.
fn verdicts(findings: &Findings) -> Vec<String> {
    let directions = findings.directions.iter();
    let numbers = directions.flat_map(|way| way.protocols.iter().map(move |number| (way, number)));
    numbers
        .map(|(way, number)| {
            let counts = [
                number.packets,
                number.delivered,
                number.lost,
                number.edge,
                number.late,
            ];
            format!(
                "{} {} {} {:?} {:?} {:?} {counts:?} {:?}",
                way.from,
                way.to,
                number.protocol,
                number.carrier,
                number.verdict,
                number.grade,
                number.lost_at
            )
        })
        .collect()
}

/// The addresses that a run shows.
fn addresses(written: &Written) -> BTreeSet<IpAddr> {
    let seen = written.packets.iter().flat_map(|packet| &packet.seen);
    let mut all: BTreeSet<String> = seen
        .flat_map(|seen| [seen.src.to_string(), seen.dst.to_string()])
        .collect();
    let numbers = written
        .findings
        .directions
        .iter()
        .flat_map(|way| &way.protocols);
    all.extend(
        numbers
            .flat_map(|number| &number.icmp)
            .map(|icmp| icmp.from.clone()),
    );
    all.iter().map(|address| address.parse().unwrap()).collect()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

#[test]
fn verdicts_stay_and_addresses_go() {
    for scenario in Scenario::all() {
        let name = scenario.name();
        let plain = run(&scenario, &[]);
        let hidden = run(&scenario, &["--anonymize-key", KEY]);
        assert_eq!(
            verdicts(&plain.findings),
            verdicts(&hidden.findings),
            "{name}"
        );
        let (before, after) = (addresses(&plain), addresses(&hidden));
        assert!(!before.is_empty() && before.len() == after.len(), "{name}");
        assert!(before.is_disjoint(&after), "{name}");
        for address in &before {
            let text = address.to_string();
            for file in ["findings", "packets"] {
                let (plain, hidden) = (plain.file(file), hidden.file(file));
                let has = |file| {
                    fs::read_to_string(file)
                        .unwrap()
                        .contains(&format!("\"{text}\""))
                };
                assert!(!has(hidden), "{name}: {text} in {file}");
                // ICMP errors' senders stand among the findings only.
                assert!(
                    file == "packets" || has(plain) || !text.is_empty(),
                    "{name}"
                );
            }
            let frames = |written: &Written| fs::read(written.file("all.pcapng")).unwrap();
            let octets = octets(*address);
            assert!(
                contains(&frames(&plain), &octets),
                "{name}: {text} is not in the captures"
            );
            for file in ["all.pcapng", "lost.pcapng"] {
                let bytes = fs::read(hidden.file(file)).unwrap();
                assert!(!contains(&bytes, &octets), "{name}: {text} in {file}");
                assert!(
                    !contains(&bytes, text.as_bytes()),
                    "{name}: {text} in {file}"
                );
            }
        }
        // The article's payload, or the alphabet where it is long, is in the frames, and is cut.
        let has_payload = |written: &Written| {
            let frames = fs::read(written.file("all.pcapng")).unwrap();
            let payloads = [
                &b"What if we did not use TCP or UDP?"[..],
                b"abcdefghijklmnopqrst",
                b"unrelated traffic",
            ];
            payloads.iter().any(|payload| contains(&frames, payload))
        };
        assert!(has_payload(&plain), "{name}: has no payload to be hidden");
        assert!(!has_payload(&hidden), "{name}");
    }
}

/// What is left of the frames is decoded as it was: as many packets under each number.
#[test]
fn anonymized_frames_are_hdp_as_before() {
    for scenario in Scenario::all() {
        let numbers = |written: &Written| -> BTreeMap<u64, u64> {
            let file = written.file("all.pcapng");
            let lines = hdp_in(
                written.folder.path(),
                &["dissect", "--format", "jsonl", file.to_str().unwrap()],
            );
            let mut numbers = BTreeMap::new();
            for line in lines.lines() {
                let packet: serde_json::Value = serde_json::from_str(line).unwrap();
                *numbers
                    .entry(packet["protocol"].as_u64().unwrap())
                    .or_default() += 1;
            }
            numbers
        };
        let plain = numbers(&run(&scenario, &[]));
        assert!(plain.len() > 1, "{}", scenario.name());
        let hidden = numbers(&run(&scenario, &["--anonymize"]));
        assert_eq!(plain, hidden, "{}", scenario.name());
    }
}

#[test]
fn reports_say_so_and_hide_the_key() {
    let scenario = &Scenario::all()[0];
    let points: Vec<String> = scenario.paths[0].iter().map(ToString::to_string).collect();
    let points: Vec<&str> = points.iter().map(String::as_str).collect();
    for format in ["table", "markdown", "json", "html"] {
        let options = ["path", "--anonymize-key", KEY, "--format", format];
        let text = hdp_in(&scenario.folder, &[&options[..], &points].concat());
        assert!(
            text.contains("addresses are replaced by others"),
            "{format}"
        );
        assert!(!text.contains(KEY) && !text.contains("10.77."), "{format}");
        // By the same key the same.
        assert_eq!(
            text,
            hdp_in(&scenario.folder, &[&options[..], &points].concat()),
            "{format}"
        );
    }
    let random = || {
        hdp_in(
            &scenario.folder,
            &[&["path", "--anonymize", "--format", "json"][..], &points].concat(),
        )
    };
    assert_ne!(random(), random());
}

/// Frame by frame, what tshark reads.
fn tshark(file: &Path, fields: &[&str]) -> Option<Vec<Vec<String>>> {
    let mut command = Command::new("tshark");
    command
        .arg("-r")
        .arg(file)
        .args(["-T", "fields", "-E", "separator=\u{1f}"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().ok()?;
    let text = String::from_utf8(output.stdout).unwrap();
    let row = |line: &str| line.split('\u{1f}').map(str::to_owned).collect();
    Some(text.lines().map(row).collect())
}

/// Equal packet numbers exactly where the comment names the same sights.
#[test]
fn packet_numbers_are_the_same_where_the_packet_is() {
    for scenario in Scenario::all() {
        let written = run(&scenario, &[]);
        let Some(frames) = tshark(
            &written.file("all.pcapng"),
            &["frame.packet_id", "frame.comment"],
        ) else {
            eprintln!("tshark is not installed: packet numbers are not read");
            return;
        };
        let mut by_number: BTreeMap<&str, &str> = BTreeMap::new();
        let mut pairs: BTreeSet<&str> = BTreeSet::new();
        for frame in &frames {
            let [number, comment] = [&frame[0], &frame[1]].map(String::as_str);
            let pair = comment
                .split("pair=")
                .nth(1)
                .map(|rest| rest.split(';').next().unwrap());
            assert_eq!(number.is_empty(), pair.is_none(), "{comment}");
            if let Some(pair) = pair {
                pairs.insert(pair);
                let known = by_number.entry(number).or_insert(pair);
                assert_eq!(*known, pair, "{}: {number}", scenario.name());
            }
        }
        assert_eq!(by_number.len(), pairs.len(), "{}", scenario.name());
        assert!(pairs.len() > 10, "{}", scenario.name());
    }
}

#[test]
fn raw_frames_open_in_tcpdump_and_tshark_with_the_same_count() {
    for scenario in Scenario::all() {
        let written = run(&scenario, &["--link-type", "raw"]);
        let file = written.file("all.pcapng");
        let counted = hdp_in(
            written.folder.path(),
            &["dissect", "--format", "jsonl", file.to_str().unwrap()],
        );
        assert!(counted.lines().count() > 10);
        let Some(frames) = tshark(&file, &["frame.number", "frame.encap_type"]) else {
            eprintln!("tshark is not installed: raw frames are not read");
            return;
        };
        assert!(
            frames.iter().all(|frame| frame[1] == "7"),
            "{}",
            scenario.name()
        );
        let tcpdump = Command::new("tcpdump")
            .arg("-nr")
            .arg(&file)
            .args(["-w", "-"])
            .output();
        let Ok(tcpdump) = tcpdump else {
            eprintln!("tcpdump is not installed: raw frames are not read");
            return;
        };
        let again = written.folder.path().join("again.pcap");
        fs::write(&again, &tcpdump.stdout).unwrap();
        let by_tcpdump = tshark(&again, &["frame.number"]).unwrap();
        assert_eq!(by_tcpdump.len(), frames.len(), "{}", scenario.name());
    }
}

/// Addresses that nothing of the capture may tell: of hosts, of routers in a route, of network cards.
const ROUTER: [u8; 4] = [192, 0, 2, 201];
const ROUTER_V6: [u8; 16] = *b"\x20\x01\x0d\xb8\xca\xfe\0\0\0\0\0\0\0\0\xbe\xef";
const CARD: [u8; 6] = [0x02, 0xc4, 0x7d, 0x91, 0x5e, 0x33];
const OTHER_CARD: [u8; 6] = [0x02, 0x6b, 0xe8, 0x24, 0xf1, 0x99];

/// A frame with such addresses beyond the IP header's own.
struct Telling {
    what: &'static str,
    link_type: u16,
    bytes: Vec<u8>,
    secrets: Vec<Vec<u8>>,
}

impl Telling {
    fn new(what: &'static str, link_type: u16, parts: &[&[u8]], secrets: &[&[u8]]) -> Self {
        Self {
            what,
            link_type,
            bytes: parts.concat(),
            secrets: secrets.iter().map(|secret| secret.to_vec()).collect(),
        }
    }
}

/// Routes, and what ICMP names.
fn telling_datagrams() -> Vec<Telling> {
    let [v4, v6] = telling_packets();
    let ip = v4.to_ip();
    let mut frames = Vec::new();
    let mut add = |what, bytes: &[u8], secret: &[u8]| {
        frames.push(Telling::new(what, 101, &[bytes], &[secret]));
    };
    for option in [7, 131, 137] {
        let mut routed = v4.clone();
        routed.ip.options = [&[option, 7, 8][..], &ROUTER].concat();
        add("IPv4 option", &routed.to_ip(), &ROUTER);
    }
    for (number, body) in [
        (43, [&[4, 0, 0, 0, 0, 0][..], &ROUTER_V6].concat()),
        (60, [&[0xc9, 16][..], &ROUTER_V6, &[1, 2, 0, 0]].concat()),
    ] {
        let mut routed = v6.clone();
        routed.ip.extensions = vec![
            Extension::new(0),
            Extension { number, body },
            Extension::new(51),
        ];
        add("extension header", &routed.to_ip(), &ROUTER_V6);
    }
    let redirect = |quoted: &[u8]| {
        let from = Ip::new([10, 9, 8, 7].into(), v4.ip.src, 1);
        let mut error = icmp_error(&from, 5, 1, quoted, Quote::Whole);
        error[24..28].copy_from_slice(&ROUTER);
        error
    };
    add("redirect", &redirect(&ip), &ROUTER);
    let other = v4
        .ip
        .carrying(89)
        .datagram(b"\x02\x01no HDP at all, no, none");
    add("redirect of others", &redirect(&other), &ROUTER);
    frames
}

/// Headers of links and tunnels.
fn telling_links() -> Vec<Telling> {
    let ip = telling_packets()[0].to_ip();
    let mut frames = Vec::new();
    let mut add = |what, link_type, parts: &[&[u8]], secrets: &[&[u8]]| {
        frames.push(Telling::new(what, link_type, parts, secrets));
    };
    let cards: &[&[u8]] = &[&CARD, &OTHER_CARD];
    let ethernet: &[&[u8]] = &[&CARD, &OTHER_CARD, &[8, 0]];
    let snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
    add("Ethernet", 1, &[&ethernet.concat(), &ip], cards);
    add(
        "switch tag",
        285,
        &[
            &CARD,
            &OTHER_CARD,
            &[0xda, 0xda, 0, 0, 0xc0, 0, 0, 0, 8, 0],
            &ip,
        ],
        cards,
    );
    add(
        "switch tag before",
        282,
        &[&[0x20, 0, 0, 1], &ethernet.concat(), &ip],
        cards,
    );
    let label = [0, 1, 1, 64];
    for (what, control_word) in [("pseudowire", &[][..]), ("control word", &[0; 4])] {
        let outer = [&OTHER_CARD[..], &CARD, &[0x88, 0x47], &label].concat();
        let parts = [&outer, control_word, &ethernet.concat(), &ip];
        add(what, 1, &parts, cards);
    }
    let between_stations = [&[8, 3, 0, 0][..], &[0xee; 18], &[0, 0], &CARD, &snap].concat();
    add("802.11", 105, &[&between_stations, &ip], &[&CARD]);
    let to_station = [
        &[8, 1, 0, 0][..],
        &CARD,
        &OTHER_CARD,
        &[0xee; 6],
        &[0, 0],
        &snap,
    ]
    .concat();
    add(
        "radiotap",
        127,
        &[&[0, 0, 8, 0, 0, 0, 0, 0], &to_station, &ip],
        cards,
    );
    add(
        "PPI",
        192,
        &[
            &[0, 0, 20, 0, 1, 0, 0, 0],
            &[5, 0, 8, 0, 0xee, 0xee],
            &CARD,
            &ethernet.concat(),
            &ip,
        ],
        cards,
    );
    let tag = [&[1, 0, 0, 1, 60, 6][..], &CARD, &[0, 1]].concat();
    let mirrored = [&tag[..], &[0xee; 12], &[8, 0], &ip].concat();
    let mirror = Ip::new([10, 9, 8, 7].into(), [10, 9, 8, 6].into(), 17);
    add(
        "TZSP",
        101,
        &[&udp(&mirror, 4000, 37_008, &mirrored)],
        &[&CARD],
    );
    frames
}

fn telling_packets() -> [Sent; 2] {
    let v4 = Sent::new(
        [198, 51, 100, 77].into(),
        [203, 0, 113, 88].into(),
        50,
        TOLD_NS,
    );
    let v6 = |end| [0x2001, 0xdb8, 0, 0xface, 0, 0, 0xfeed, end].into();
    [v4, Sent::new(v6(0x1234), v6(0x4321), 50, TOLD_NS)]
}

/// 2026-11-22T12:00:00Z.
const TOLD_NS: u64 = 1_795_348_800_000_000_000;

/// All frames of a capture that two points share, as they are annotated.
fn annotated(folder: &Path, capture: &[u8], anonymizer: Option<&str>) -> Vec<(u16, Vec<u8>)> {
    let named = ["a", "b"].map(|name| {
        let file = folder.join(name);
        fs::write(&file, capture).unwrap();
        format!("{name}={}", file.display())
    });
    let options = Options {
        anonymizer: anonymizer.map(|key| key.parse().unwrap()),
        ..Options::default()
    };
    let mut written = Vec::new();
    let annotation = Annotation {
        frames: Frames::All,
        name: "annotated".to_owned(),
        to: &mut written,
    };
    path::annotate(
        &path::points(named).unwrap(),
        &options,
        vec![annotation],
        |_| (),
    )
    .unwrap();
    let file = folder.join("annotated");
    fs::write(&file, written).unwrap();
    let mut source = Source::open(Origin::Path(file)).unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = source.next_frame() {
        frames.push((frame.link_type.0, frame.bytes.to_vec()));
    }
    frames
}

/// An address stands in other places than IP's own: routes, redirects, the headers of links.
#[test]
fn no_address_stays_in_any_header() {
    let folder = tempdir().unwrap();
    let mut hosts: Vec<Vec<u8>> = Vec::new();
    for packet in telling_packets() {
        hosts.extend([octets(packet.ip.src), octets(packet.ip.dst)]);
    }
    let mut wrong = Vec::new();
    for telling in telling_datagrams().into_iter().chain(telling_links()) {
        let Telling {
            what,
            link_type,
            bytes,
            secrets,
        } = telling;
        let mut capture = Capture::new(link_type);
        capture.push(TOLD_NS.cast_signed(), bytes.clone());
        let capture = capture.to_bytes(Format::Pcap {
            order: ByteOrder::Little,
            nanoseconds: true,
        });
        let [plain, hidden] = [None, Some(KEY)].map(|key| annotated(folder.path(), &capture, key));
        assert_eq!((plain.len(), hidden.len()), (2, 2), "{what}");
        let hosts = hosts.iter().filter(|host| contains(&bytes, host));
        for secret in secrets.iter().chain(hosts) {
            let is_in = |(_, frame): &(u16, Vec<u8>)| contains(frame, secret);
            assert!(plain.iter().all(is_in), "{what}: nothing is to be hidden");
            if hidden.iter().any(is_in) {
                wrong.push(format!("{what}: {secret:02x?} stays"));
            }
        }
        let identity = |(link_type, bytes): &(u16, Vec<u8>)| {
            let frame = Frame {
                number: 1,
                time_ns: Some(TOLD_NS.cast_signed()),
                link_type: LinkType(*link_type),
                interface: 0,
                direction: None,
                original_len: u32::try_from(plain[0].1.len()).unwrap(),
                bytes,
            };
            let datagram = Decoder::new(DEFAULT_WINDOW_NS).decode(&frame).ok()?;
            Some((datagram.protocol, datagram.header.ports()))
        };
        if identity(&plain[0]) != identity(&hidden[0]) {
            wrong.push(format!("{what}: is decoded otherwise"));
        }
        let is_hdp = what != "redirect of others";
        assert_eq!(identity(&plain[0]).is_some(), is_hdp, "{what}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
