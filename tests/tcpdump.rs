//! Verdicts can be checked without this program: what the reasons say is counted again by tcpdump
//! in the captures, and in logs line by line.
#![cfg(feature = "cli")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{scenario::Scenario, words};
use hdp::findings::{Carrier, Direction, Findings, Packet, PointKind, Protocol, Side, Verdict};

fn is_installed() -> bool {
    let counts = Command::new("tcpdump").arg("--version").output();
    counts.is_ok_and(|output| output.status.success())
}

/// What a command of the shell prints.
fn shell(folder: &Path, command: &str) -> String {
    let output = Command::new("bash")
        .current_dir(folder)
        .args(["-c", command])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Packets that pass the filter, by tcpdump's own count.
fn count(folder: &Path, source: &str, filter: &str) -> u64 {
    let printed = shell(folder, &format!("tcpdump --count -nr {source} '{filter}'"));
    number_before(&printed, " packet").unwrap_or_else(|| panic!("{source}: {filter}: {printed}"))
}

/// Whether one frame of a capture passes the filter: one more of the first `frame` than of those
/// before it.
fn passes(folder: &Path, file: &str, frame: u64, filter: &str) -> bool {
    let of_the_first = |frames: u64| {
        if frames == 0 {
            return 0;
        }
        let first = format!("<(tcpdump -r {file} -c {frames} -w - 2>/dev/null)");
        count(folder, &first, filter)
    };
    of_the_first(frame) == of_the_first(frame - 1) + 1
}

/// The number that stands right before some words.
fn number_before(text: &str, words: &str) -> Option<u64> {
    let (before, _) = text.split_once(words)?;
    before.split_whitespace().last()?.parse().ok()
}

/// A number's packets in one direction, as its addresses tell them from those that go back.
struct Subject<'a> {
    folder: &'a Path,
    findings: &'a Findings,
    protocol: &'a Protocol,
    destination: String,
    goes_back: bool,
}

impl Subject<'_> {
    /// What finds the packets at a point: of a host's two sides, the kernel says which it was.
    fn filter(&self, point: &hdp::findings::Point) -> String {
        let side = match (point.side, self.goes_back) {
            (None, _) => "",
            (Some(Side::In), false) | (Some(Side::Out), true) => " and inbound",
            (Some(Side::Out), false) | (Some(Side::In), true) => " and outbound",
        };
        let ip = if self.destination.contains(':') {
            "ip6"
        } else {
            "ip"
        };
        format!(
            "{ip} proto {} and dst host {}{side}",
            self.protocol.protocol, self.destination
        )
    }

    /// How many packets tcpdump finds at a point, or how many lines of a log tell of one.
    fn count(&self, point: &str) -> u64 {
        let point = self.point(point);
        match point.kind {
            PointKind::Capture => count(self.folder, &point.source, &self.filter(point)),
            PointKind::SendLog | PointKind::ListenLog | PointKind::DropWitness => {
                let number = self.protocol.protocol;
                let line = format!("\"protocol\":{number},\"carrier\":\"ip\"");
                self.lines(&point.source, &[&line])
            }
        }
    }

    /// Lines of a log that hold all of these.
    fn lines(&self, log: &str, parts: &[&str]) -> u64 {
        let text = fs::read_to_string(self.folder.join(log)).unwrap();
        let lines = text.lines();
        lines
            .filter(|line| parts.iter().all(|part| line.contains(part)))
            .count() as u64
    }

    fn point(&self, name: &str) -> &hdp::findings::Point {
        let mut points = self.findings.points.iter();
        points.find(|point| point.name == name).unwrap()
    }

    /// Whether each packet is one frame or line at each point.
    fn is_simple(&self) -> bool {
        let p = self.protocol;
        p.edge + p.late + p.ambiguous + p.duplicates == 0
    }

    /// Checks the reasons of losses, and returns how many checks there were.
    fn check_losses(&self, title: &str) -> usize {
        let mut checks = 0;
        let mut told = 0;
        for reason in &words(&self.protocol.reasons) {
            if let Some((seen, missed)) = between(reason) {
                let lost = number_before(reason, " seen at ").unwrap();
                told += lost;
                if self.is_simple() {
                    let counted = [self.count(seen), self.count(missed)];
                    assert_eq!(
                        counted[0] - counted[1],
                        lost,
                        "{title}: {reason}: tcpdump counts {counted:?}"
                    );
                    checks += 1;
                }
            }
            if let Some(place) = reason.strip_prefix("first in frame ") {
                let (frame, point) = place.split_once(" of ").unwrap();
                let point = self.point(point);
                let frame = frame.parse().unwrap();
                assert!(
                    passes(self.folder, &point.source, frame, &self.filter(point)),
                    "{title}: {reason}: tcpdump finds no such packet there"
                );
                checks += 1;
            }
        }
        assert_eq!(told, self.protocol.lost, "{title}: each loss has its place");
        checks
    }

    /// Checks that the sender's log tells of each refusal.
    fn check_refusals(&self, title: &str) -> usize {
        let logs = self.findings.points.iter();
        let mut logs = logs.filter(|point| point.kind == PointKind::SendLog);
        let log = logs.next().unwrap();
        for refusal in &self.protocol.refused {
            let requested = format!("\"requested\":{},", refusal.requested);
            let error = format!("\"errno\":{},\"name\":\"{}\"", refusal.errno, refusal.name);
            assert_eq!(
                self.lines(&log.source, &[&requested, &error]),
                refusal.count,
                "{title}"
            );
        }
        self.protocol.refused.len()
    }

    /// Checks that packets for which nobody listened came as far as the captures show.
    fn check_unheard(&self, title: &str) -> usize {
        let captures = self.findings.points.iter();
        let captures = captures.filter(|point| point.kind == PointKind::Capture);
        captures
            .map(|point| assert_eq!(self.count(&point.name), self.protocol.unheard, "{title}"))
            .count()
    }
}

/// The two points of "3 seen at client and not at server".
fn between(reason: &str) -> Option<(&str, &str)> {
    let (_, places) = reason.split_once(" seen at ")?;
    places.split_once(" and not at ")
}

fn run(folder: &Path, points: &[String]) -> (Findings, Vec<Packet>) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_hdp"))
        .current_dir(folder)
        .args(["path", "--format", "json", "--packets"])
        .arg(file.path())
        .args(points)
        .output()
        .unwrap();
    let packets = fs::read_to_string(file.path()).unwrap();
    let packets = packets
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    (
        serde_json::from_slice(&output.stdout).unwrap(),
        packets.collect(),
    )
}

/// Where packets of a number go in one direction: translation changes their source only.
fn destination(packets: &[Packet], direction: &Direction, protocol: &Protocol) -> String {
    let mut own = packets.iter().filter(|packet| {
        u16::from(packet.protocol) == protocol.protocol && *packet.from == *direction.from
    });
    own.next()
        .map(|packet| packet.seen[0].dst.to_string())
        .unwrap_or_default()
}

#[test]
fn the_reasons_of_every_verdict_are_those_that_tcpdump_finds() {
    if !is_installed() {
        println!("skipped: tcpdump is not installed");
        return;
    }
    let mut paths: Vec<(PathBuf, Vec<String>)> = Scenario::all()
        .into_iter()
        .map(|scenario| {
            let points = scenario.paths[0].iter().map(ToString::to_string);
            (scenario.folder.clone(), points.collect())
        })
        .collect();
    let logs = ["sent.jsonl", "client.pcap", "server.pcap", "received.jsonl"];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/logs");
    paths.push((folder, logs.map(str::to_owned).to_vec()));

    let mut checked = 0;
    for (folder, points) in &paths {
        let (findings, packets) = run(folder, points);
        for direction in &findings.directions {
            for protocol in &direction.protocols {
                if protocol.verdict == Verdict::Passes {
                    continue;
                }
                let title = format!(
                    "{}: {} → {}: {}",
                    folder.display(),
                    direction.from,
                    direction.to,
                    protocol.protocol
                );
                assert_eq!(protocol.carrier, Carrier::Ip, "{title}");
                let subject = Subject {
                    folder,
                    findings: &findings,
                    protocol,
                    destination: destination(&packets, direction, protocol),
                    goes_back: direction.from != findings.points[0].name,
                };
                let checks = match protocol.verdict {
                    Verdict::Refused => subject.check_refusals(&title),
                    Verdict::Inconclusive => subject.check_unheard(&title),
                    _ => subject.check_losses(&title),
                };
                assert!(checks > 0, "{title}: nothing can be checked");
                checked += checks;
            }
        }
    }
    // Fewer would mean that the reasons are no longer understood here.
    assert!(checked > 100, "{checked}");
}
