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

use crate::support::{hdp_in, scenario::Scenario};
use hdp::findings::{Findings, Packet};
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
