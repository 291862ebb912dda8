//! `hdp path --annotate` and `--write-lost`: the frames as they were captured, and on each the fate
//! that the report gives its packet.
//!
//! The files are read with the library, with tshark and with capinfos; the fates come from
//! `--packets` of the same run, which `tests/fixtures.rs` holds against the truth.
#![cfg(feature = "cli")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::support::{
    capture::{ByteOrder, Capture, Format, OwnedFrame, PacketBlock, Packing},
    scenario::Scenario,
};
use hdp::{
    findings::{Carrier, Fate, Findings, Packet},
    source::{FrameDirection, Interface, Origin, Source},
};

/// A run with everything that it wrote.
struct Run {
    folder: tempfile::TempDir,
    stderr: String,
    packets: Vec<Packet>,
}

impl Run {
    fn annotated(&self) -> PathBuf {
        self.folder.path().join("annotated.pcapng")
    }

    fn lost(&self) -> PathBuf {
        self.folder.path().join("lost.pcapng")
    }
}

fn hdp(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hdp"))
        .current_dir(folder)
        .arg("path")
        .args(arguments)
        .output()
        .unwrap()
}

/// Annotates a path of `NAME=FILE`s below a folder.
fn annotate(below: &Path, points: &[String]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (annotated, lost) = (file("annotated.pcapng"), file("lost.pcapng"));
    let (packets, report) = (file("packets.jsonl"), file("report"));
    let options = [
        "--annotate",
        &annotated,
        "--write-lost",
        &lost,
        "--packets",
        &packets,
        "-o",
        &report,
    ];
    let points = points.iter().map(String::as_str);
    let output = hdp(
        below,
        &options.into_iter().chain(points).collect::<Vec<_>>(),
    );
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{}: {stderr}", below.display());
    let packets = fs::read_to_string(packets).unwrap();
    let packets = packets
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    Run {
        folder,
        stderr,
        packets,
    }
}

/// Every fixture: its folder and its points.
fn fixtures() -> Vec<(PathBuf, Vec<String>)> {
    let mut all: Vec<_> = Scenario::all()
        .iter()
        .flat_map(|scenario| {
            scenario.paths.iter().map(|path| {
                let points = path.iter().map(ToString::to_string).collect();
                (scenario.folder.clone(), points)
            })
        })
        .collect();
    let logs = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/logs");
    let points = ["sent.jsonl", "client.pcap", "server.pcap", "received.jsonl"];
    all.push((logs, points.map(str::to_owned).to_vec()));
    all
}

/// The points of a path that are captures, by name and file.
fn capture_points(points: &[String]) -> impl Iterator<Item = (&str, &Path)> {
    points
        .iter()
        .map(|point| match point.split_once('=') {
            Some((name, file)) => (name, Path::new(file)),
            None => (point.split('.').next().unwrap(), Path::new(point)),
        })
        .filter(|(_, file)| file.extension().is_none_or(|ending| ending != "jsonl"))
}

fn names(points: &[String]) -> Vec<String> {
    let names = capture_points(points).map(|(name, _)| name.to_owned());
    names.collect()
}

const THREE_POINTS: [&str; 3] = [
    "client=client.pcap",
    "router=router.pcap",
    "server=server.pcap",
];

fn findings(folder: &Path, points: &[String]) -> Findings {
    let points: Vec<_> = points.iter().map(String::as_str).collect();
    let report = hdp(folder, &[&["--format", "json"], &points[..]].concat());
    serde_json::from_slice(&report.stdout).unwrap()
}

/// For each capture its name and those of its points, which differ where it shows two sides.
fn point_labels(folder: &Path, points: &[String]) -> Vec<Vec<String>> {
    let findings = findings(folder, points);
    let labels = names(points).into_iter().map(|name| {
        let own = findings.points.iter().filter(|p| p.capture == name);
        let own = own.map(|point| point.name.clone());
        let mut labels: Vec<String> = own.filter(|label| *label != name).collect();
        labels.push(name.clone());
        labels
    });
    labels.collect()
}

fn interfaces(capture: &Path) -> Vec<Interface> {
    let mut source = Source::open(Origin::Path(capture.to_owned())).unwrap();
    while source.next_frame().is_some() {}
    source.summary().interfaces.clone()
}

fn interface_names(capture: &Path) -> Vec<String> {
    let interfaces = interfaces(capture).into_iter();
    interfaces
        .map(|interface| interface.name.unwrap())
        .collect()
}

fn captures(folder: &Path, points: &[String]) -> Vec<Capture> {
    let files = capture_points(points).map(|(_, file)| folder.join(file));
    files.map(|file| Capture::read(&file)).collect()
}

fn is_there(program: &str, test: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there {
        eprintln!("{test}: skipped, there is no {program}");
    }
    there
}

/// The frames that hold a packet, as `hdp.pair` names them.
fn pair(packet: &Packet) -> String {
    let seen = packet.seen.iter();
    let seen: Vec<_> = seen
        .map(|seen| format!("{}:{}", seen.point, seen.frame))
        .collect();
    seen.join(",")
}

/// Fields of the frames that pass a filter, by tshark with the dissector and nobody's settings.
fn tshark(file: &Path, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
    let home = tempfile::tempdir().unwrap();
    let mut tshark = Command::new("tshark");
    tshark
        .env("HOME", home.path())
        .env("WIRESHARK_CONFIG_DIR", home.path())
        .env("TZ", "America/New_York")
        .args([
            "-n",
            "-Xlua_script:dissector.lua",
            "-Y",
            filter,
            "-T",
            "fields",
            "-r",
        ])
        .arg(file);
    for field in fields {
        tshark.args(["-e", field]);
    }
    let output = tshark.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let complaints = stderr
        .lines()
        .filter(|line| !line.starts_with("Running as user"));
    assert_eq!(complaints.collect::<Vec<_>>(), Vec::<&str>::new());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect()
}

// --- Frames --------------------------------------------------------------------------------------

#[test]
fn every_frame_is_there_as_it_was_captured() {
    for (folder, points) in fixtures() {
        let run = annotate(&folder, &points);
        let title = folder.display();
        let annotated = Capture::read(&run.annotated());
        let times: Vec<_> = annotated.frames.iter().map(|frame| frame.time_ns).collect();
        assert!(times.is_sorted(), "{title}: not in order of time");
        let names = interface_names(&run.annotated());
        let mut claimed = BTreeSet::new();
        for (labels, original) in point_labels(&folder, &points)
            .iter()
            .zip(captures(&folder, &points))
        {
            for (index, described) in original.interfaces.iter().enumerate() {
                // Under the name of the point, of a side of it, or of what belongs to neither.
                let own: BTreeSet<u32> = (0..)
                    .zip(&names)
                    .filter(|(_, name)| {
                        let label = match original.interfaces.len() {
                            1 => Some(name.as_str()),
                            _ => name.strip_suffix(&format!("/{index}")),
                        };
                        label.is_some_and(|label| labels.iter().any(|known| known == label))
                    })
                    .map(|(interface, _)| interface)
                    .collect();
                assert!(!own.is_empty(), "{title}: {labels:?} in {names:?}");
                let before = original
                    .frames
                    .iter()
                    .filter(|frame| frame.interface as usize == index);
                let after = annotated
                    .frames
                    .iter()
                    .filter(|frame| own.contains(&frame.interface));
                let before: Vec<_> = before.collect();
                let after: Vec<_> = after.collect();
                assert_eq!(after.len(), before.len(), "{title}: {labels:?}");
                for interface in &own {
                    let link_type = annotated.interfaces[*interface as usize].link_type;
                    assert_eq!(link_type, described.link_type, "{title}");
                    assert!(claimed.insert(*interface), "{title}: {names:?}");
                }
                let shift_ns = |(a, b): (&&OwnedFrame, &&OwnedFrame)| a.time_ns - b.time_ns;
                let shifts: BTreeSet<_> = after.iter().zip(&before).map(shift_ns).collect();
                assert!(
                    shifts.len() <= 1,
                    "{title}: {labels:?} shifted by {shifts:?}"
                );
                for (after, before) in after.iter().zip(&before) {
                    assert_eq!(after.bytes, before.bytes, "{title}");
                    assert_eq!(after.original_len, before.original_len, "{title}");
                    assert_eq!(after.direction, before.direction, "{title}");
                }
            }
        }
        assert_eq!(claimed.len(), names.len(), "{title}: {names:?}");
    }
}

#[test]
fn interfaces_are_named_after_points_and_keep_their_resolution() {
    let folder = Path::new("fixtures/mixed-formats");
    let run = annotate(
        folder,
        &[
            "here=client.pcap".to_owned(),
            "there=server.pcapng".to_owned(),
        ],
    );
    let described: Vec<_> = interfaces(&run.annotated())
        .into_iter()
        .map(|i| (i.name, i.resolution_ns))
        .collect();
    let [here, there] = ["here", "there"].map(|name| Some(name.to_owned()));
    assert_eq!(described, [(here, 1), (there, 1_000)]);
}

#[test]
fn each_side_of_a_host_is_an_interface() {
    let folder = Path::new("fixtures/three-points");
    let points = THREE_POINTS.map(str::to_owned);
    let run = annotate(folder, &points);
    let names = interface_names(&run.annotated());
    let sides = ["client", "router (in)", "router (out)", "router", "server"];
    assert_eq!(names, sides);
    let annotated = Capture::read(&run.annotated());
    let frames = |name: &str| {
        let interface = names.iter().position(|other| other == name).unwrap();
        let own = annotated.frames.iter();
        own.filter(|frame| frame.interface as usize == interface)
            .collect::<Vec<_>>()
    };
    // The kernel's words for what came in and what went out, in the cooked header (SLL2).
    for (name, packet_type) in [("router (in)", 0), ("router (out)", 4)] {
        let frames = frames(name);
        let of_report = findings(folder, &points).points;
        let point = of_report.iter().find(|point| point.name == name).unwrap();
        assert_eq!(frames.len() as u64, point.hdp);
        assert!(frames.iter().all(|frame| frame.bytes[10] == packet_type));
    }
    assert!(!frames("router").is_empty());
}

#[test]
fn the_order_in_which_points_are_given_changes_nothing() {
    let folder = Path::new("fixtures/three-points");
    let [client, router, server] = THREE_POINTS.map(str::to_owned);
    let right = annotate(folder, &[client.clone(), router.clone(), server.clone()]);
    let order = ["--order".to_owned(), "auto".to_owned()];
    let found = annotate(folder, &[&order[..], &[server, client, router]].concat());
    let bytes = |path: PathBuf| fs::read(path).unwrap();
    assert!(bytes(found.annotated()) == bytes(right.annotated()));
    assert!(bytes(found.lost()) == bytes(right.lost()));
    assert_eq!(found.packets, right.packets);
}

#[test]
fn the_lost_frames_are_those_of_the_last_point_that_saw_them() {
    let mut most = 0;
    for (folder, points) in fixtures() {
        let run = annotate(&folder, &points);
        let mut originals: BTreeMap<String, Capture> = BTreeMap::new();
        for (labels, original) in point_labels(&folder, &points)
            .into_iter()
            .zip(captures(&folder, &points))
        {
            let with_label = labels.into_iter().map(|label| (label, original.clone()));
            originals.extend(with_label);
        }
        let mut expected: Vec<_> = run
            .packets
            .iter()
            .filter_map(|packet| {
                let [last, _] = packet.lost_at.as_ref()?;
                let seen = packet.seen.iter().find(|seen| seen.point == *last).unwrap();
                let frame = usize::try_from(seen.frame).unwrap() - 1;
                Some(originals.get(&**last)?.frames[frame].bytes.clone())
            })
            .collect();
        let mut written: Vec<_> = Capture::read(&run.lost())
            .frames
            .into_iter()
            .map(|frame| frame.bytes)
            .collect();
        most = most.max(written.len());
        expected.sort();
        written.sort();
        assert_eq!(written, expected, "{}", folder.display());
    }
    assert!(most >= 20, "at most {most} packets were lost");
}

#[test]
fn what_a_log_saw_last_is_not_among_the_lost_frames() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["sent.jsonl", "client.pcap", "server.pcap"] {
        fs::copy(
            Path::new("fixtures/logs").join(file),
            folder.path().join(file),
        )
        .unwrap();
    }
    // Between the log and the server's capture, 50 is lost behind the log.
    let run = annotate(
        folder.path(),
        &["sent.jsonl".to_owned(), "server.pcap".to_owned()],
    );
    let lost = run
        .packets
        .iter()
        .filter(|packet| packet.fate == Fate::Lost)
        .count();
    assert!(lost > 0);
    assert_eq!(
        run.stderr,
        format!(
            "hdp: warning: sent: is a log, which holds no frames of the {lost} packets that were lost behind it\n"
        )
    );
    assert_eq!(Capture::read(&run.lost()).frames, []);
}

#[test]
fn a_capture_out_of_order_is_put_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Capture::read(Path::new("fixtures/router-drops/client.pcap"));
    client.frames.reverse();
    let format = Format::Pcap {
        order: ByteOrder::Little,
        nanoseconds: true,
    };
    client.write(&folder.path().join("client.pcap"), format, Packing::Plain);
    fs::copy(
        "fixtures/router-drops/server.pcap",
        folder.path().join("server.pcap"),
    )
    .unwrap();
    let run = annotate(
        folder.path(),
        &["client.pcap".to_owned(), "server.pcap".to_owned()],
    );
    let annotated = Capture::read(&run.annotated());
    assert!(annotated.frames.is_sorted_by_key(|frame| frame.time_ns));
    let of_client = annotated.frames.iter().filter(|frame| frame.interface == 0);
    let bytes: Vec<_> = of_client.map(|frame| &frame.bytes).collect();
    let expected: Vec<_> = client
        .frames
        .iter()
        .rev()
        .map(|frame| &frame.bytes)
        .collect();
    assert_eq!(bytes, expected);
}

#[test]
fn options_survive_a_change_of_byte_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = Capture::read(Path::new("fixtures/router-drops/client.pcap"));
    let directions = [
        Some(FrameDirection::Outbound),
        Some(FrameDirection::Inbound),
        None,
    ];
    for (frame, direction) in client.frames.iter_mut().zip(directions.into_iter().cycle()) {
        frame.direction = direction;
    }
    let format = Format::Pcapng {
        order: ByteOrder::Big,
        block: PacketBlock::Enhanced,
    };
    client.write(&folder.path().join("client.pcapng"), format, Packing::Zstd);
    fs::copy(
        "fixtures/router-drops/server.pcap",
        folder.path().join("server.pcap"),
    )
    .unwrap();
    let run = annotate(
        folder.path(),
        &["client.pcapng".to_owned(), "server.pcap".to_owned()],
    );
    let annotated = Capture::read(&run.annotated());
    let after: Vec<_> = annotated
        .frames
        .iter()
        .filter(|f| f.interface == 0)
        .map(|f| f.direction)
        .collect();
    let before: Vec<_> = client.frames.iter().map(|f| f.direction).collect();
    assert_eq!(after, before);
}

#[test]
fn comments_of_the_capture_stand_beside_the_fate() {
    let test = "comments_of_the_capture_stand_beside_the_fate";
    if !is_there("editcap", test) || !is_there("tshark", test) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Frame 96 holds the first packet of 50, frame 1 no HDP.
    let commented = folder.path().join("client.pcapng");
    let edited = Command::new("editcap")
        .args([
            "-a",
            "96:look here",
            "-a",
            "1:and here",
            "fixtures/router-drops/client.pcap",
        ])
        .arg(&commented)
        .output()
        .unwrap();
    assert!(edited.status.success(), "{edited:?}");
    fs::copy(
        "fixtures/router-drops/server.pcap",
        folder.path().join("server.pcap"),
    )
    .unwrap();
    let run = annotate(
        folder.path(),
        &["client.pcapng".to_owned(), "server.pcap".to_owned()],
    );
    let fields = ["frame.comment", "hdp.fate"];
    let comments = tshark(&run.annotated(), "frame.comment contains \"here\"", &fields);
    assert_eq!(
        comments,
        [
            ["and here", ""],
            [
                "look here,hdp: fate=lost; segment=client → server; pair=client:96",
                "lost"
            ],
        ]
    );
}

#[test]
fn what_the_capture_said_of_itself_is_said_of_its_interface() {
    let test = "what_the_capture_said_of_itself_is_said_of_its_interface";
    if !is_there("editcap", test) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let client = folder.path().join("client.pcapng");
    let edited = Command::new("editcap")
        .args(["--capture-comment", "on the roof"])
        .args([
            "fixtures/router-drops/client.pcap".as_ref(),
            client.as_path(),
        ])
        .output()
        .unwrap();
    assert!(edited.status.success(), "{edited:?}");
    let said = |file: &Path| {
        let mut source = Source::open(Origin::Path(file.to_owned())).unwrap();
        while source.next_frame().is_some() {}
        source.summary().clone()
    };
    assert_eq!(said(&client).sections[0].comments, ["on the roof"]);
    // dumpcap's: it says by what machine it was made, and when.
    let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/all-pass/server.pcapng");
    let before = said(&server);
    let [os, hardware] = [&before.sections[0].os, &before.sections[0].hardware];
    // The first point's clock is the file's.
    let run = annotate(
        folder.path(),
        &[
            format!("server={}", server.display()),
            "client=client.pcapng".to_owned(),
        ],
    );
    let after = said(&run.annotated());
    assert!(before.watched_ns.is_some());
    assert_eq!(after.watched_ns, before.watched_ns);
    assert_eq!(after.capture_drops, before.capture_drops);
    let bytes = fs::read(run.annotated()).unwrap();
    let holds = |text: &str| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(holds("on the roof"));
    assert!(holds(os.as_ref().unwrap()) && holds(hardware.as_ref().unwrap()));
}

// --- Fates ---------------------------------------------------------------------------------------

#[test]
fn tshark_lists_exactly_the_lost_packets_of_the_report() {
    if !is_there(
        "tshark",
        "tshark_lists_exactly_the_lost_packets_of_the_report",
    ) {
        return;
    }
    let mut by_fate: BTreeMap<String, usize> = BTreeMap::new();
    for (folder, points) in fixtures() {
        let run = annotate(&folder, &points);
        let captures = point_labels(&folder, &points).concat();
        // Each packet by its fate and by the frames that hold it.
        let expected: BTreeSet<(String, String)> = run
            .packets
            .iter()
            .filter(|packet| {
                packet
                    .seen
                    .iter()
                    .any(|seen| captures.iter().any(|name| **name == *seen.point))
            })
            .map(|packet| {
                let fate = serde_json::to_value(packet.fate).unwrap();
                (fate.as_str().unwrap().to_owned(), pair(packet))
            })
            .collect();
        let fields = ["hdp.fate", "hdp.pair"];
        let [lost, all] = [r#"hdp.fate == "lost""#, "hdp.fate"].map(|filter| {
            let frames = tshark(&run.annotated(), filter, &fields);
            let packets = frames.into_iter().map(|frame| {
                let [fate, pair] = frame.try_into().unwrap();
                (fate, pair)
            });
            packets.collect::<BTreeSet<(String, String)>>()
        });
        assert_eq!(all, expected, "{}", folder.display());
        let is_lost = |(fate, _): &&(String, String)| fate == "lost";
        let expected = expected.iter().filter(is_lost).cloned().collect();
        assert_eq!(lost, expected, "{}", folder.display());
        for (fate, _) in all {
            *by_fate.entry(fate).or_default() += 1;
        }
    }
    assert!(
        by_fate["lost"] > 100 && by_fate["delivered"] > 1000,
        "{by_fate:?}"
    );
}

#[test]
fn path_delays_are_those_of_the_report() {
    if !is_there("tshark", "path_delays_are_those_of_the_report") {
        return;
    }
    let mut compared = 0;
    for (folder, points) in fixtures() {
        let run = annotate(&folder, &points);
        let findings = findings(&folder, &points);
        let fields = ["hdp.ip_proto", "hdp.claim", "hdp.pair", "hdp.path_delay"];
        let filter = "hdp.ip_proto and hdp.fate == \"delivered\" and hdp.path_delay";
        let back: BTreeSet<String> = run
            .packets
            .iter()
            .filter(|packet| *packet.from != *findings.points[0].name)
            .map(pair)
            .collect();
        let mut found: BTreeMap<(String, bool, bool), BTreeSet<i64>> = BTreeMap::new();
        for frame in tshark(&run.annotated(), filter, &fields) {
            let [number, claim, pair, delay] = frame.try_into().unwrap();
            let delay_ns = delay.replace('.', "").parse().unwrap();
            let went_back = back.contains(&pair);
            let key = (number, claim.starts_with("UDP"), went_back);
            found.entry(key).or_default().insert(delay_ns);
        }
        for (went_back, direction) in [false, true].into_iter().zip(&findings.directions) {
            for protocol in &direction.protocols {
                let Some(delay) = protocol.delay_ns else {
                    continue;
                };
                let is_control = protocol.carrier == Carrier::Udp;
                let key = (protocol.protocol.to_string(), is_control, went_back);
                // A fragmented packet has its fate on the first frame, its number on the last.
                let Some(delays) = found.get(&key) else {
                    continue;
                };
                let range = (*delays.first().unwrap(), *delays.last().unwrap());
                assert_eq!(
                    range,
                    (delay.min, delay.max),
                    "{}: {key:?}",
                    folder.display()
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 2000, "{compared} numbers");
}

#[test]
fn every_frame_with_hdp_has_a_fate() {
    if !is_there("tshark", "every_frame_with_hdp_has_a_fate") {
        return;
    }
    // The router's capture holds each packet twice, in and out.
    let points = THREE_POINTS.map(str::to_owned);
    let run = annotate(Path::new("fixtures/three-points"), &points);
    let with = tshark(
        &run.annotated(),
        "hdp.ip_proto and hdp.fate",
        &["frame.number"],
    )
    .len();
    assert_eq!(with, 768 + 1524 + 759);
    assert_eq!(
        tshark(
            &run.annotated(),
            "hdp.ip_proto and not hdp.fate and not hdp.quoted",
            &["frame.number"]
        )
        .len(),
        0
    );
    // An error that quotes a packet tells of another one's fate.
    assert_eq!(
        tshark(
            &run.annotated(),
            "hdp.quoted and hdp.fate",
            &["frame.number"]
        )
        .len(),
        0
    );
}

#[test]
fn capinfos_has_nothing_to_complain_of() {
    if !is_there("capinfos", "capinfos_has_nothing_to_complain_of") {
        return;
    }
    for (folder, points) in fixtures() {
        let run = annotate(&folder, &points);
        for file in [run.annotated(), run.lost()] {
            let output = Command::new("capinfos").arg(&file).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            assert!(output.stderr.is_empty(), "{output:?}");
        }
    }
    // It does complain of a file that is cut.
    let (folder, points) = &fixtures()[0];
    let run = annotate(folder, points);
    let bytes = fs::read(run.annotated()).unwrap();
    fs::write(run.annotated(), &bytes[..bytes.len() - 5]).unwrap();
    let output = Command::new("capinfos")
        .arg(run.annotated())
        .output()
        .unwrap();
    assert!(!output.stderr.is_empty());
}

// --- What cannot be done -------------------------------------------------------------------------

#[track_caller]
fn assert_error(arguments: &[&str], error: &str) {
    let output = hdp(Path::new(env!("CARGO_MANIFEST_DIR")), arguments);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        format!("hdp: error: {error}\n")
    );
}

#[test]
fn what_cannot_be_annotated_is_named_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let result = folder.path().join("result.pcapng");
    let result = result.to_str().unwrap();
    let server = "fixtures/router-drops/server.pcap";
    for option in ["--annotate", "--write-lost"] {
        assert_error(
            &[option, result, "-", server],
            "-: annotating reads the captures twice, which only a file can be; save it to one first",
        );
        assert_error(
            &[option, server, "fixtures/router-drops/client.pcap", server],
            &format!("{server}: is a source; writing the results there would destroy it"),
        );
    }
    assert!(!Path::new(result).exists());
    let logs = ["fixtures/logs/sent.jsonl", "fixtures/logs/received.jsonl"];
    assert_error(
        &["--annotate", result, logs[0], logs[1]],
        &format!("{result}: all points are logs, which hold no frames"),
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_named() {
    let folder = "fixtures/router-drops";
    assert_error(
        &[
            "--annotate",
            "/dev/full",
            &format!("{folder}/client.pcap"),
            &format!("{folder}/server.pcap"),
        ],
        "/dev/full: cannot write: No space left on device (os error 28)",
    );
}
