//! `hdp path --explain`: what is told of one packet is what was judged of it, and its commands
//! show what they are said to show.
#![cfg(feature = "cli")]

use std::{fs, path::Path, process::Command};

use crate::support::{
    capture::{ByteOrder, Capture, Format, Packing},
    frames::{Ip, Packet as Sent},
    scenario::Scenario,
};
use hdp::findings::{Fate, Findings, Packet};
use serde_json::Value;

fn hdp(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_hdp"))
        .current_dir(folder)
        .arg("path")
        .args(arguments)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    assert_eq!(stderr, "", "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

/// The packets that are told of.
fn explained(folder: &Path, subject: &str, points: &[&str]) -> Vec<Value> {
    let arguments = [&["--format", "json", "--explain", subject], points].concat();
    let explanation: Value = serde_json::from_str(&hdp(folder, &arguments)).unwrap();
    assert_eq!(explanation["asked"], subject);
    explanation["packets"].as_array().unwrap().clone()
}

fn packets(folder: &Path, points: &[&str]) -> Vec<Packet> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let file = file.path().to_str().unwrap();
    hdp(
        folder,
        &[&["--format", "csv", "--packets", file], points].concat(),
    );
    let text = fs::read_to_string(file).unwrap();
    let packets = text.lines().map(|line| serde_json::from_str(line).unwrap());
    packets.collect()
}

/// The points of the report: a forwarding host's capture gives two.
fn point_names(folder: &Path, points: &[&str]) -> Vec<String> {
    let findings = hdp(folder, &[&["--format", "json"], points].concat());
    let findings: Findings = serde_json::from_str(&findings).unwrap();
    findings
        .points
        .into_iter()
        .map(|point| point.name)
        .collect()
}

/// Runs what a reader is told to run, and counts the lines.
fn lines_of(folder: &Path, command: &str) -> u64 {
    let output = Command::new("bash")
        .current_dir(folder)
        .args(["-c", command])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).lines().count() as u64
}

/// Each folder with the points of a path in it.
fn paths() -> Vec<(std::path::PathBuf, Vec<String>)> {
    let mut paths: Vec<_> = Scenario::all()
        .into_iter()
        .flat_map(|scenario| {
            let folder = scenario.folder;
            let paths = scenario.paths.into_iter();
            paths.map(move |path| {
                let points = path.iter().map(ToString::to_string).collect();
                (folder.clone(), points)
            })
        })
        .collect();
    let logs = ["sent.jsonl", "client.pcap", "server.pcap", "received.jsonl"];
    paths.push((fixture("logs"), logs.map(str::to_owned).to_vec()));
    paths
}

#[test]
fn every_packet_is_told_as_it_was_judged_and_the_commands_show_it() {
    let has_tcpdump = Command::new("tcpdump").arg("--version").output().is_ok();
    if !has_tcpdump {
        println!("commands not run: tcpdump is not installed");
    }
    let (mut told, mut run) = (0, 0);
    for (folder, points) in paths() {
        let points: Vec<&str> = points.iter().map(String::as_str).collect();
        let all = packets(&folder, &points);
        let along_the_way = point_names(&folder, &points);
        // Every lost packet, of the others the first of each fate and direction.
        let mut kinds = Vec::new();
        let chosen: Vec<&Packet> = all
            .iter()
            .filter(|packet| {
                let kind = (packet.fate, &packet.from, packet.carrier);
                let is_new = !kinds.contains(&kind);
                kinds.push(kind);
                is_new || packet.fate == Fate::Lost
            })
            .collect();
        for (index, packet) in chosen.into_iter().enumerate() {
            let place = &packet.seen[index % packet.seen.len()];
            let subject = match index % 3 {
                0 => packet.timestamp_ns.to_string(),
                _ => format!("{}:{}", place.point, place.frame),
            };
            let title = format!("{}: --explain {subject}", folder.display());
            let lives = explained(&folder, &subject, &points);
            assert_eq!(lives.len(), 1, "{title}");
            let life = &lives[0];
            let judged: Packet = serde_json::from_value(life.clone()).unwrap();
            assert_eq!(judged, *packet, "{title}");
            told += 1;
            // Each sighting that was judged is one of those that are told.
            let stations = life["stations"].as_array().unwrap();
            let mut names: Vec<&str> = stations
                .iter()
                .map(|station| station["point"].as_str().unwrap())
                .collect();
            if *packet.from != *along_the_way[0] {
                names.reverse();
            }
            assert_eq!(names, along_the_way, "{title}");
            for seen in &packet.seen {
                let station = stations.iter().find(|s| s["point"] == *seen.point);
                let mut sightings = station.unwrap()["sightings"].as_array().unwrap().iter();
                assert!(
                    sightings.any(|s| s["frame"] == seen.frame && s["time_ns"] == seen.time_ns),
                    "{title}: {}",
                    seen.point
                );
            }
            let delays = stations
                .iter()
                .flat_map(|station| station["sightings"].as_array().unwrap())
                .map(|sighting| &sighting["delay"]["ns"]);
            assert!(
                delays.into_iter().all(|ns| ns.is_null() || ns.is_u64()),
                "{title}: a negative delay"
            );
            let checks = life["checks"].as_array().unwrap();
            assert_eq!(checks.len(), points.len(), "{title}");
            if index < 12 && has_tcpdump {
                for check in checks {
                    let command = check["command"].as_str().unwrap();
                    let shown = lines_of(&folder, command);
                    assert_eq!(check["lines"], shown, "{title}: {command}");
                    run += 1;
                }
            }
        }
    }
    println!("{told} packets told, {run} commands run");
    assert!(told > 150, "{told}");
}

#[test]
fn a_frame_and_its_timestamp_mean_the_same_packet() {
    let folder = fixture("three-points");
    let points = ["client.pcap", "router.pcap", "server.pcap"];
    let by_timestamp = explained(&folder, "1795348113858516203", &points);
    // The router's second sighting of it, on its way out, is the same packet too.
    for subject in ["client:36", "router:65", "router:66", "server:24"] {
        assert_eq!(
            explained(&folder, subject, &points),
            by_timestamp,
            "{subject}"
        );
    }
}

#[test]
fn an_icmp_error_means_the_packet_that_it_quotes() {
    let folder = fixture("router-rejects");
    let points = ["client.pcap", "server.pcap"];
    assert_eq!(
        explained(&folder, "client:823", &points),
        explained(&folder, "client:822", &points)
    );
}

// --- What it looks like --------------------------------------------------------------------------

fn text(scenario: &str, subject: &str, points: &[&str]) -> String {
    hdp(
        &fixture(scenario),
        &[&["--explain", subject], points].concat(),
    )
}

#[test]
fn a_delivered_packet() {
    let points = ["client.pcap", "router.pcap", "server.pcap"];
    insta::assert_snapshot!(text("three-points", "router:65", &points));
}

#[test]
fn a_lost_packet() {
    let points = ["client.pcap", "router.pcap", "server.pcap"];
    insta::assert_snapshot!(text("three-points", "router:195", &points));
}

#[test]
fn a_packet_that_a_router_refused() {
    let points = ["client.pcap", "server.pcap"];
    insta::assert_snapshot!(text("router-rejects", "client:822", &points));
}

#[test]
fn a_translated_packet() {
    let points = ["client.pcap", "server.pcap"];
    insta::assert_snapshot!(text("masquerade", "client:100", &points));
}

#[test]
fn a_packet_at_the_edge() {
    let folder = fixture("late-start-early-stop");
    let points = ["client.pcap", "server.pcap"];
    let all = packets(&folder, &points);
    let edge = all.iter().find(|packet| packet.fate == Fate::Edge).unwrap();
    let subject = edge.timestamp_ns.to_string();
    insta::assert_snapshot!(text("late-start-early-stop", &subject, &points));
}

#[test]
fn a_packet_from_program_to_program() {
    let points = ["sent.jsonl", "client.pcap", "server.pcap", "received.jsonl"];
    let all = packets(&fixture("logs"), &points);
    let [delivered, unheard] = [132, 94].map(|number| {
        let mut own = all.iter().filter(|packet| packet.protocol == number);
        own.next().unwrap().timestamp_ns.to_string()
    });
    insta::assert_snapshot!(text("logs", &delivered, &points));
    insta::assert_snapshot!(text("logs", &unheard, &points));
}

/// A path on which a box rewrites bytes, written to two files: every packet with its frames.
struct Scene {
    folder: tempfile::TempDir,
    client: Capture,
    server: Capture,
}

const START_NS: i64 = 1_795_348_800_000_000_000;
const RAW: u16 = 101;

impl Scene {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            client: Capture::new(RAW),
            server: Capture::new(RAW),
        }
    }

    fn packet(at_ns: i64, protocol: u8) -> Sent {
        let timestamp = (START_NS + at_ns).cast_unsigned();
        let mut packet = Sent::new(
            [10, 77, 1, 2].into(),
            [10, 77, 2, 2].into(),
            protocol,
            timestamp,
        );
        packet.ip.id = u32::try_from(at_ns / 1_000_000).unwrap();
        packet
    }

    /// The packet as it leaves.
    fn leaves(&mut self, at_ns: i64, packet: &Sent) {
        self.client.push(START_NS + at_ns + 5_000, packet.to_ip());
    }

    /// The packet as it arrives.
    fn arrives(&mut self, at_ns: i64, packet: &Sent) {
        let mut packet = packet.clone();
        packet.ip.ttl -= 1;
        self.server.push(START_NS + at_ns + 95_000, packet.to_ip());
    }

    /// Packets that arrive as they were sent, around the others.
    fn with_others(mut self) -> Self {
        for n in 0..20 {
            let at_ns = n * 20_000_000;
            let packet = Self::packet(at_ns, 253);
            self.leaves(at_ns, &packet);
            self.arrives(at_ns, &packet);
        }
        let echo = Ip::new([10, 77, 1, 2].into(), [10, 77, 2, 2].into(), 1);
        for at_ns in [-900_000_000, 900_000_000] {
            let frame = echo.datagram(&[8, 0, 0, 0, 0, 1, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8]);
            self.client.push(START_NS + at_ns, frame.clone());
            self.server.push(START_NS + at_ns, frame);
        }
        self
    }

    fn write(&self) -> &Path {
        let folder = self.folder.path();
        let format = Format::Pcap {
            order: ByteOrder::Little,
            nanoseconds: true,
        };
        self.client
            .write(&folder.join("client.pcap"), format, Packing::Plain);
        self.server
            .write(&folder.join("server.pcap.zst"), format, Packing::Zstd);
        folder
    }
}

const ENDS: [&str; 2] = ["client.pcap", "server.pcap.zst"];

#[test]
fn an_altered_packet_shows_its_bytes() {
    let mut scene = Scene::new();
    let at_ns = 5_000_000;
    let mut packet = Scene::packet(at_ns, 6);
    scene.leaves(at_ns, &packet);
    // What a box does that takes HDP for TCP: another port, another checksum.
    packet.srcport = 61_001;
    packet.payload[4] = b'X';
    packet.payload[5] = b'Y';
    packet.ip.dscp = 10;
    scene.arrives(at_ns, &packet);
    let scene = scene.with_others();
    let text = hdp(
        scene.write(),
        &[&["--explain", "client:1"], &ENDS[..]].concat(),
    );
    insta::assert_snapshot!(text);
}

#[test]
fn an_altered_timestamp_means_the_packet_that_was_sent() {
    let mut scene = Scene::new();
    let at_ns = 5_000_000;
    let mut packet = Scene::packet(at_ns, 17);
    scene.leaves(at_ns, &packet);
    // Where UDP keeps its checksum, HDP has the timestamp's second two bytes.
    let sent = packet.timestamp_ns;
    packet.timestamp_ns ^= 0x0000_00ff_0000_0000;
    scene.arrives(at_ns, &packet);
    let scene = scene.with_others();
    let folder = scene.write();
    let lives = explained(folder, &sent.to_string(), &ENDS);
    assert_eq!(lives.len(), 1);
    assert_eq!(lives[0]["timestamp_ns"], sent);
    assert_eq!(lives[0]["fate"], "delivered");
    let change = &lives[0]["changes"].as_array().unwrap()[2];
    assert_eq!(change["field"], "timestamp");
    assert_eq!(change["bytes"]["offset"], 24);
    for subject in ["client:1", "server:1", &packet.timestamp_ns.to_string()] {
        assert_eq!(explained(folder, subject, &ENDS), lives, "{subject}");
    }
    for check in lives[0]["checks"].as_array().unwrap() {
        assert_eq!(check["lines"], 1);
    }
}

#[test]
fn a_timestamp_that_occurs_several_times_gives_each_packet() {
    let mut scene = Scene::new();
    let at_ns = 5_000_000;
    let [first, second] = [50, 51].map(|protocol| Scene::packet(at_ns, protocol));
    scene.leaves(at_ns, &first);
    scene.leaves(at_ns, &second);
    scene.arrives(at_ns, &second);
    let scene = scene.with_others();
    let folder = scene.write();
    let timestamp = (START_NS + at_ns).to_string();
    let fates = |subject: &str| -> Vec<(u64, String)> {
        let lives = explained(folder, subject, &ENDS);
        let fate = |life: &Value| {
            let fate = life["fate"].as_str().unwrap();
            (life["protocol"].as_u64().unwrap(), fate.to_owned())
        };
        lives.iter().map(fate).collect()
    };
    let both = [(50, "lost".to_owned()), (51, "delivered".to_owned())];
    assert_eq!(fates(&timestamp), both);
    assert_eq!(fates("client:1"), both[..1]);
    assert_eq!(fates("client:2"), both[1..]);
    assert_eq!(fates("server:1"), both[1..]);
}

#[test]
fn a_copy_is_the_packet_again() {
    let mut scene = Scene::new();
    let at_ns = 5_000_000;
    let packet = Scene::packet(at_ns, 50);
    scene.leaves(at_ns, &packet);
    scene.arrives(at_ns, &packet);
    scene.arrives(at_ns + 1_000, &packet);
    let scene = scene.with_others();
    let lives = explained(scene.write(), "server:2", &ENDS);
    let sightings = lives[0]["stations"][1]["sightings"].as_array().unwrap();
    let copies: Vec<_> = sightings
        .iter()
        .map(|seen| (&seen["frame"], &seen["duplicate"], &seen["delay"]["ns"]))
        .map(|(frame, copy, delay)| (frame.as_u64(), copy.as_bool(), delay.as_u64()))
        .collect();
    assert_eq!(
        copies,
        [
            (Some(1), Some(false), Some(0)),
            (Some(2), Some(true), Some(1_000))
        ]
    );
}

#[test]
fn what_cannot_be_read_twice_is_told_without_bytes() {
    let folder = fixture("masquerade");
    let script = "\"$0\" path --explain client:100 client=<(cat client.pcap) server.pcap";
    let output = Command::new("bash")
        .current_dir(&folder)
        .args(["-c", script, env!("CARGO_BIN_EXE_hdp")])
        .output()
        .unwrap();
    assert!(output.status.success());
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
}
