//! `hdp path` as its users and their scripts meet it: what can be typed, what comes out, how it
//! ends. What the findings must be is the business of `tests/fixtures.rs`.
#![cfg(feature = "cli")]

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
    process::{self, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    capture::{ByteOrder, Capture, Format, Packing},
    frames::{Link, arp_request},
    words,
};
use assert_cmd::{Command, cargo::cargo_bin_cmd};
use hdp::findings::{Fate, Findings, Packet, Verdict};
use tempfile::TempDir;

const CLIENT: &str = "fixtures/router-drops/client.pcap";
const SERVER: &str = "fixtures/router-drops/server.pcap";

const PCAP: Format = Format::Pcap {
    order: ByteOrder::Little,
    nanoseconds: false,
};

fn hdp_path() -> Command {
    let mut command = cargo_bin_cmd!("hdp");
    command.arg("path");
    command
}

/// Both streams of a run that did its work.
fn done<S: AsRef<str>>(arguments: &[S]) -> (String, String) {
    let arguments = arguments.iter().map(AsRef::as_ref);
    let done = hdp_path().args(arguments).assert().success();
    let output = done.get_output();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

fn findings(arguments: &[&str]) -> Findings {
    let (stdout, _) = done(&[&["--format", "json"], arguments].concat());
    serde_json::from_str(&stdout).unwrap()
}

/// What stands behind `hdp: error: ` where the work could not be done.
#[track_caller]
fn error_of(command: &mut Command) -> String {
    let failed = command.assert().code(2).stdout("");
    let stderr = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
    let message = stderr
        .strip_prefix("hdp: error: ")
        .unwrap_or_else(|| panic!("{stderr}"));
    let line = message.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "{stderr}");
    line.to_owned()
}

#[track_caller]
fn error(arguments: &[&str]) -> String {
    error_of(hdp_path().args(arguments))
}

fn verdicts(findings: &Findings, direction: usize) -> Vec<(u16, Verdict, u64, u64)> {
    findings.directions[direction]
        .protocols
        .iter()
        .map(|p| (p.protocol, p.verdict, p.packets, p.lost))
        .collect()
}

/// Files that come and go with a test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), content).unwrap();
        self.name(name)
    }
}

// --- Sources -------------------------------------------------------------------------------------

#[test]
fn what_is_no_capture_is_named() {
    let folder = Folder::new();
    let missing = folder.name("missing.pcap");
    let directory = folder.0.path().to_str().unwrap();
    let empty = folder.file("empty.pcap", "");
    let text = folder.file("notes.pcap", "Monday: captured on both ends.\n");
    let header = folder.file("header.pcap", &fs::read(SERVER).unwrap()[..20]);
    for (source, why) in [
        (
            missing.as_str(),
            "cannot open: No such file or directory (os error 2)",
        ),
        (
            "lo",
            "no such file; to capture from the interface of that name: live:lo",
        ),
        (directory, "is a directory; name the capture files in it"),
        (
            &empty,
            "is empty, without even a capture header; was the capture stopped with -w?",
        ),
        (
            &text,
            "is no capture: begins with the text \"Monday: captured\", \
             not with a pcap or pcapng header",
        ),
        (
            &header,
            "cut off at byte 0: the pcap header needs 24 bytes, 20 are there",
        ),
    ] {
        assert_eq!(error(&[CLIENT, source]), format!("{source}: {why}"));
        assert_eq!(error(&[source, SERVER]), format!("{source}: {why}"));
    }
}

#[test]
fn an_unreadable_file_is_named() {
    let folder = Folder::new();
    let file = folder.file("secret.pcap", fs::read(SERVER).unwrap());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = hdp_path();
    if fs::read(&file).is_ok() {
        // This is root, whom permissions do not stop; without these capabilities they do.
        let without = "-dac_override,-dac_read_search";
        let mut unprivileged = Command::new("setpriv");
        unprivileged.args(["--bounding-set", without, "--inh-caps", without]);
        if !unprivileged
            .arg("true")
            .ok()
            .is_ok_and(|done| done.status.success())
        {
            eprintln!("skipped: root cannot drop capabilities here");
            return;
        }
        command = Command::new("setpriv");
        command.args(["--bounding-set", without, "--inh-caps", without]);
        command.args([env!("CARGO_BIN_EXE_hdp"), "path"]);
    }
    assert_eq!(
        error_of(command.args([CLIENT, &file])),
        format!("{file}: cannot open: Permission denied (os error 13)")
    );
}

#[test]
fn a_capture_without_frames_makes_everything_inconclusive() {
    let folder = Folder::new();
    let nothing = folder.file("nothing.pcap", Capture::new(1).to_bytes(PCAP));
    let findings = findings(&[CLIENT, &nothing]);
    assert_eq!(
        findings.warnings[0].to_string(),
        "nothing: the capture holds no frame, so nothing shows that it was watching; \
         capture all traffic, not only HDP"
    );
    let protocols = &findings.directions[0].protocols;
    assert_eq!(protocols.len(), 256);
    for p in protocols {
        assert_eq!(
            (p.verdict, p.packets, p.edge),
            (Verdict::Inconclusive, 3, 3)
        );
    }
}

#[test]
fn captures_without_hdp_are_no_error() {
    let folder = Folder::new();
    let mut capture = Capture::new(1);
    capture.push(
        1_795_348_800_000_000_000,
        Link::ETHERNET.frame(&arp_request()),
    );
    let a = folder.file("a.pcap", capture.to_bytes(PCAP));
    let b = folder.file("b.pcap", capture.to_bytes(PCAP));
    assert!(findings(&[&a, &b]).directions[0].protocols.is_empty());
    let (table, _) = done(&[&a, &b]);
    assert!(table.contains("No HDP packet seen"), "{table}");
}

#[test]
fn the_same_file_twice_is_refused_however_it_is_named() {
    let folder = Folder::new();
    let file = folder.file("client.pcap", fs::read(CLIENT).unwrap());
    let (soft, hard) = (folder.name("soft.pcap"), folder.name("hard.pcap"));
    symlink(&file, &soft).unwrap();
    fs::hard_link(&file, &hard).unwrap();
    let dotted = folder.name("./client.pcap");
    let why = "given twice (also as client); a path needs captures from different places";
    for again in [&file, &soft, &hard, &dotted] {
        assert_eq!(error(&[&file, again]), format!("{again}: {why}"));
    }
    assert!(error(&["-", "-"]).starts_with("-: given twice"));
}

#[test]
fn one_point_is_no_path() {
    assert_eq!(
        error(&[CLIENT]),
        format!(
            "{CLIENT}: one observation point only; a path needs a capture from each end \
             (to look at one: hdp dissect {CLIENT})"
        )
    );
}

#[test]
fn a_link_type_that_nobody_decodes_is_named() {
    let folder = Folder::new();
    let mut capture = Capture::new(195);
    capture.push(1_795_348_800_000_000_000, [0; 40]);
    let zigbee = folder.file("zigbee.pcap", capture.to_bytes(PCAP));
    assert_eq!(
        error(&[CLIENT, &zigbee]),
        format!(
            "{zigbee}: link type IEEE802_15_4 (LINKTYPE_195) cannot be decoded; \
             capture on an Ethernet, cooked (-i any) or raw IP interface"
        )
    );
}

#[test]
fn a_capture_cut_within_a_record_gives_what_came_before() {
    let folder = Folder::new();
    let mut bytes = fs::read(SERVER).unwrap();
    bytes.truncate(bytes.len() - 10);
    let cut = folder.file("server.pcap", &bytes);
    let whole = findings(&[CLIENT, SERVER]);
    let findings = findings(&[CLIENT, &cut]);
    assert_eq!(findings.points[1].frames, whole.points[1].frames - 1);
    assert_eq!(verdicts(&findings, 0), verdicts(&whole, 0));
    let [warning] = &findings.warnings[..] else {
        panic!("{:?}", findings.warnings);
    };
    assert!(
        warning.to_string().starts_with("server: cut off at byte "),
        "{warning}"
    );

    // Every format says so: beside the findings or in them.
    for format in ["csv", "json", "markdown"] {
        let (_, stderr) = done(&["--format", format, CLIENT, &cut]);
        assert_eq!(stderr, format!("hdp: warning: {warning}\n"), "{format}");
    }
    let (table, stderr) = done(&[CLIENT, &cut]);
    assert!(table.contains("server: cut off at byte "), "{table}");
    assert_eq!(stderr, "");
}

#[test]
fn points_in_the_wrong_order_give_the_right_answer_and_a_warning() {
    let right = findings(&[CLIENT, SERVER]);
    let wrong = findings(&[SERVER, CLIENT]);
    assert!(wrong.directions[0].protocols.is_empty());
    assert_eq!(
        (
            wrong.directions[1].from.as_str(),
            wrong.directions[1].to.as_str()
        ),
        ("client", "server")
    );
    assert_eq!(verdicts(&wrong, 1), verdicts(&right, 0));
    assert_eq!(
        words(&wrong.warnings),
        [format!(
            "the points are not in path order: the TTL falls from client to server; \
             try: hdp path client={CLIENT} server={SERVER}"
        )]
    );
    let (table, _) = done(&[SERVER, CLIENT]);
    assert!(table.contains("client → server"), "{table}");
    assert!(table.contains("50 ESP, 51 AH, 132 SCTP"), "{table}");
}

#[test]
fn where_nothing_tells_the_order_the_given_one_stays_and_that_is_said() {
    let folder = Folder::new();
    let mut capture = Capture::new(1);
    capture.push(
        1_795_348_800_000_000_000,
        Link::ETHERNET.frame(&arp_request()),
    );
    let a = folder.file("a.pcap", capture.to_bytes(PCAP));
    let b = folder.file("b.pcap", capture.to_bytes(PCAP));
    let (table, stderr) = done(&["--order", "auto", &b, &a]);
    assert!(table.contains("No HDP packet seen"), "{table}");
    assert_eq!(
        stderr,
        "hdp: warning: --order auto: no packet shows which of b and a comes first; \
         they stay as given\n"
    );
}

#[test]
fn the_order_of_fifos_is_found_too() {
    let given = "\"$0\" path --format json <(cat \"$1\") <(cat \"$2\")";
    Command::new("bash")
        .args(["-c", given, env!("CARGO_BIN_EXE_hdp"), SERVER, CLIENT])
        .assert()
        .success()
        .stderr(
            "hdp: warning: the points are not in path order: the TTL falls from pipe2 to pipe1; \
             try --order auto, or give them so: pipe2, pipe1\n",
        );
    let script = "\"$0\" path --order auto --format json <(cat \"$1\") <(cat \"$2\")";
    let done = Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_hdp"), SERVER, CLIENT])
        .assert()
        .success()
        .stderr("hdp: --order auto: pipe2 → pipe1\n");
    let found: Findings = serde_json::from_slice(&done.get_output().stdout).unwrap();
    let expected = findings(&[CLIENT, SERVER]);
    assert_eq!(verdicts(&found, 0), verdicts(&expected, 0));
}

#[test]
fn two_fifos_are_points_like_others() {
    let expected = findings(&[CLIENT, SERVER]);
    let script = "\"$0\" path --format json <(cat \"$1\") <(cat \"$2\")";
    let done = Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_hdp"), CLIENT, SERVER])
        .assert()
        .success()
        .stderr("");
    let findings: Findings = serde_json::from_slice(&done.get_output().stdout).unwrap();
    let names = findings.points.iter().map(|point| point.name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["pipe1", "pipe2"]);
    assert_eq!(verdicts(&findings, 0), verdicts(&expected, 0));
}

#[test]
fn pipes_that_do_not_end_are_read_for_a_time_or_to_a_count() {
    let expected = findings(&[CLIENT, SERVER]);
    for (option, until) in [("--duration", "2s"), ("--count", "700")] {
        // The writers hold the pipes open.
        let script = "\"$0\" path --format json \"$1\" \"$2\" <(exec 2>&1; cat \"$3\"; exec sleep 40) <(exec 2>&1; cat \"$4\"; exec sleep 40)";
        let binary = env!("CARGO_BIN_EXE_hdp");
        let start = Instant::now();
        let done = Command::new("bash")
            .args(["-c", script, binary, option, until, CLIENT, SERVER])
            .assert()
            .success();
        assert!(start.elapsed() < Duration::from_secs(30), "{option}");
        let findings: Findings = serde_json::from_slice(&done.get_output().stdout).unwrap();
        if option == "--duration" {
            assert_eq!(verdicts(&findings, 0), verdicts(&expected, 0));
        } else {
            // Whichever was read so far first ends both.
            assert!(findings.points.iter().any(|point| point.hdp >= 700));
        }
    }
}

#[test]
fn a_pipe_that_gives_nothing_before_the_end_withholds_nothing_of_the_others() {
    let script = "\"$0\" path --format json --duration 1s \"$1\" <(exec sleep 20 2>&1)";
    let done = Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_hdp"), CLIENT])
        .assert()
        .success();
    let findings: Findings = serde_json::from_slice(&done.get_output().stdout).unwrap();
    assert_eq!(
        (findings.points[0].hdp, findings.points[1].frames),
        (768, 0)
    );
    let lost = findings.directions[0].protocols.iter().map(|p| p.lost);
    assert_eq!(lost.sum::<u64>(), 0);
    let said = format!("{:?}", findings.warnings);
    assert!(
        said.contains("nothing came from it before the end"),
        "{said}"
    );
}

#[test]
fn a_fifo_that_is_written_after_the_other_was_read_does_not_block() {
    let folder = Folder::new();
    let fifos = ["client", "server"].map(|name| folder.name(name));
    for fifo in &fifos {
        assert!(
            process::Command::new("mkfifo")
                .arg(fifo)
                .status()
                .unwrap()
                .success()
        );
    }
    let writer = thread::spawn({
        let [client, server] = fifos.clone();
        move || {
            fs::write(server, fs::read(SERVER).unwrap()).unwrap();
            fs::write(client, fs::read(CLIENT).unwrap()).unwrap();
        }
    });
    let [client, server] = &fifos;
    let findings = findings(&[client, server]);
    writer.join().unwrap();
    assert_eq!(findings.points[0].name, "client");
    assert_eq!(findings.points[1].frames, 900);
}

#[test]
fn standard_input_is_a_point() {
    let packed = Packing::Zstd.pack(&fs::read(CLIENT).unwrap());
    let done = hdp_path()
        .args(["--format", "json", "-", SERVER])
        .write_stdin(packed)
        .assert()
        .success();
    let read: Findings = serde_json::from_slice(&done.get_output().stdout).unwrap();
    assert_eq!(
        (read.points[0].name.as_str(), read.points[0].source.as_str()),
        ("stdin", "-")
    );
    assert_eq!(
        verdicts(&read, 0),
        verdicts(&findings(&[CLIENT, SERVER]), 0)
    );
}

// --- Names ---------------------------------------------------------------------------------------

#[test]
fn names_are_given_or_made_from_the_files() {
    let folder = Folder::new();
    let with_sign = folder.file("a=b.pcap", fs::read(SERVER).unwrap());
    let other = "fixtures/both-ways/client.pcap";
    for (points, names) in [
        ([CLIENT, SERVER], ["client", "server"]),
        ([CLIENT, other], ["client", "client-2"]),
        (
            [
                &format!("office={CLIENT}"),
                &format!("data centre={SERVER}"),
            ],
            ["office", "data centre"],
        ),
        (
            [&format!("client={SERVER}"), CLIENT],
            ["client", "client-2"],
        ),
        ([CLIENT, &with_sign], ["client", "a=b"]),
    ] {
        let findings = findings(&points);
        let found: Vec<_> = findings
            .points
            .iter()
            .map(|point| point.name.as_str())
            .collect();
        assert_eq!(found, names, "{points:?}");
    }
}

#[test]
fn a_name_given_twice_is_refused() {
    let (a, b) = (format!("end={CLIENT}"), format!("end={SERVER}"));
    assert_eq!(
        error(&[&a, &b]),
        format!("{b}: the name end is given to two points")
    );
}

// --- Results -------------------------------------------------------------------------------------

#[test]
fn a_line_a_packet_adds_up_to_the_findings() {
    let folder = Folder::new();
    let file = folder.name("packets.jsonl");
    let findings = findings(&["--packets", &file, CLIENT, SERVER]);
    let packets: Vec<Packet> = fs::read_to_string(&file)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(packets.len(), 768);
    for p in &findings.directions[0].protocols {
        let own = || {
            packets
                .iter()
                .filter(|packet| u16::from(packet.protocol) == p.protocol)
        };
        let with = |fate| own().filter(|packet| packet.fate == fate).count() as u64;
        let found = (
            own().count() as u64,
            with(Fate::Delivered),
            with(Fate::Lost),
            with(Fate::Edge),
        );
        assert_eq!(
            found,
            (p.packets, p.delivered, p.lost, p.edge),
            "{}",
            p.protocol
        );
        for (index, point) in findings.points.iter().enumerate() {
            let seen = own()
                .filter(|packet| packet.seen.iter().any(|seen| *seen.point == *point.name))
                .count() as u64;
            assert_eq!(seen, p.seen[index], "{} at {}", p.protocol, point.name);
        }
    }
}

#[test]
fn the_exit_code_tells_on_request() {
    hdp_path().args([CLIENT, SERVER]).assert().code(0);
    let with = |more: &[&str]| {
        let arguments = [&["--exit-code", CLIENT, SERVER], more].concat();
        hdp_path().args(arguments).assert()
    };
    with(&[]).code(1).stderr("");
    with(&["--protocols", "1-49"]).code(0);
    with(&["--protocols", "1-50"]).code(1);
}

#[test]
fn protocols_chooses_what_is_reported_and_not_what_is_compared_with() {
    let folder = Folder::new();
    let file = folder.name("packets.jsonl");
    let all = findings(&[CLIENT, SERVER]);
    let some = findings(&[
        "--protocols",
        "50,132-133,HOPOPT",
        "--packets",
        &file,
        CLIENT,
        SERVER,
    ]);
    let chosen = |number: u16| [0, 50, 132, 133].contains(&number);
    let expected: Vec<_> = all.directions[0]
        .protocols
        .iter()
        .filter(|p| chosen(p.protocol))
        .cloned()
        .collect();
    assert_eq!(some.directions[0].protocols, expected);
    for line in fs::read_to_string(&file).unwrap().lines() {
        let packet: Packet = serde_json::from_str(line).unwrap();
        assert!(chosen(packet.protocol.into()), "{line}");
    }
}

#[test]
#[cfg(feature = "libpcap")]
fn a_filter_leaves_out_packets_and_not_what_shows_that_a_point_was_watching() {
    let all = findings(&[CLIENT, SERVER]);
    let some = findings(&["--filter", "ip[9] == 50 or ip[9] == 253", CLIENT, SERVER]);
    assert_eq!(some.points[1].frames, all.points[1].frames);
    assert_eq!(
        verdicts(&some, 0),
        [(50, Verdict::Blocked, 3, 3), (253, Verdict::Passes, 3, 0)]
    );
    assert_eq!(
        error(&["-f", "ip proto", CLIENT, SERVER]),
        format!(
            "{CLIENT}: filter 'ip proto' for link type EN10MB: \
             can't parse filter expression: syntax error"
        )
    );
}

#[test]
fn what_cannot_be_explained_is_said_in_one_line() {
    for (subject, why) in [
        (
            "nowhere:17",
            "no point is called nowhere; there are client, server",
        ),
        ("client:910", "client has 909 frames"),
        ("1", "no point saw a packet with this timestamp"),
        (
            "client:1",
            "frame 1 of client holds no HDP packet: it is IP, but has no HDP timestamp within \
             --window of the capture time",
        ),
    ] {
        assert_eq!(
            error(&["--explain", subject, CLIENT, SERVER]),
            format!("--explain {subject}: {why}")
        );
    }
    let folder = Folder::new();
    let mut capture = Capture::new(1);
    capture.push(
        1_795_348_800_000_000_000,
        Link::ETHERNET.frame(&arp_request()),
    );
    let arp = folder.file("arp.pcap", capture.to_bytes(PCAP));
    assert_eq!(
        error(&["--explain", "arp:1", CLIENT, &arp]),
        "--explain arp:1: frame 1 of arp holds no HDP packet: there is no IP in it"
    );
    let fragments = ["client", "server"].map(|end| format!("fragments/{end}.pcap"));
    let [client, server] = fragments.map(|file| format!("fixtures/{file}"));
    let skipped = (1..60).find_map(|frame| {
        let subject = format!("client:{frame}");
        let output = hdp_path()
            .args(["--explain", &subject, &client, &server])
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        stderr
            .strip_suffix(": a later fragment, which has no HDP header\n")
            .map(|rest| (rest.to_owned(), frame))
    });
    let (message, frame) = skipped.expect("a later fragment");
    assert_eq!(
        message,
        format!(
            "hdp: error: --explain client:{frame}: frame {frame} of client holds no HDP packet"
        )
    );
    let logs = ["sent.jsonl", "received.jsonl"].map(|log| format!("fixtures/logs/{log}"));
    let [sent, received] = &logs;
    assert_eq!(
        error(&["--explain", "sent:2", sent, received]),
        "--explain sent:2: line 2 of sent tells of no packet that was on its way"
    );
    assert_eq!(
        error(&["--explain", "sent:3", "--format", "csv", sent, received]),
        "--explain: writes a table or json"
    );
}

#[test]
#[cfg(feature = "libpcap")]
fn a_frame_that_the_filter_left_out_is_not_explained() {
    let subject = ["--explain", "client:96"];
    done(&[&subject[..], &["-f", "ip proto 50", CLIENT, SERVER]].concat());
    assert_eq!(
        error(&[&subject[..], &["-f", "ip proto 51", CLIENT, SERVER]].concat()),
        "--explain client:96: frame 96 of client holds no HDP packet: the filter (-f) left it out"
    );
}

#[test]
fn output_goes_to_the_file_that_is_named() {
    let folder = Folder::new();
    let file = folder.file("findings", "what was there before, and longer than nothing");
    for format in ["table", "markdown", "csv", "json"] {
        let (expected, _) = done(&["--format", format, CLIENT, SERVER]);
        let (stdout, stderr) = done(&["--format", format, "-o", &file, CLIENT, SERVER]);
        assert_eq!((stdout.as_str(), stderr.as_str()), ("", ""));
        assert_eq!(fs::read_to_string(&file).unwrap(), expected);
    }
}

#[test]
fn no_result_is_written_over_a_source() {
    let folder = Folder::new();
    let bytes = fs::read(SERVER).unwrap();
    let file = folder.file("server.pcap", &bytes);
    let link = folder.name("link");
    symlink(&file, &link).unwrap();
    for option in ["--output", "--packets"] {
        for result in [&file, &link] {
            assert_eq!(
                error(&[option, result, CLIENT, &file]),
                format!("{result}: is a source; writing the results there would destroy it")
            );
        }
    }
    assert_eq!(fs::read(&file).unwrap(), bytes);
}

#[test]
fn results_that_cannot_be_written_are_named() {
    let folder = Folder::new();
    let nowhere = folder.name("missing/file");
    for option in ["--output", "--packets"] {
        assert_eq!(
            error(&[option, &nowhere, CLIENT, SERVER]),
            format!("{nowhere}: cannot write: No such file or directory (os error 2)")
        );
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error() {
    let full = "cannot write: No space left on device (os error 28)";
    for (options, name) in [
        (["--output", "/dev/full"], "/dev/full"),
        (["--packets", "/dev/full"], "/dev/full"),
    ] {
        let arguments = [&options[..], &[CLIENT, SERVER]].concat();
        assert_eq!(error(&arguments), format!("{name}: {full}"));
    }
    let stdout = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let failed = process::Command::new(env!("CARGO_BIN_EXE_hdp"))
        .args(["path", CLIENT, SERVER])
        .stdout(stdout)
        .output()
        .unwrap();
    assert_eq!(failed.status.code(), Some(2));
    let stderr = String::from_utf8(failed.stderr).unwrap();
    assert_eq!(stderr, format!("hdp: error: standard output: {full}\n"));
}

#[test]
fn a_closed_pipe_ends_quietly() {
    for format in ["table", "markdown", "csv", "json"] {
        let mut child = process::Command::new(env!("CARGO_BIN_EXE_hdp"))
            .args(["path", "--all", "--format", format, CLIENT, SERVER])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{format}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{format}");
    }
    Command::new("bash")
        .args(["-c", "set -o pipefail; \"$0\" path \"$1\" \"$2\" | head -1"])
        .args([env!("CARGO_BIN_EXE_hdp"), CLIENT, SERVER])
        .assert()
        .success()
        .stderr("");
}

#[test]
fn colour_is_where_it_is_wanted() {
    let is_coloured = |options: &[&str], no_color: bool| {
        let mut command = hdp_path();
        command.args(options).args([CLIENT, SERVER]);
        command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
        if no_color {
            command.env("NO_COLOR", "1");
        }
        command
            .assert()
            .success()
            .get_output()
            .stdout
            .contains(&0x1b)
    };
    assert!(is_coloured(&["--color", "always"], false));
    assert!(
        is_coloured(&["--color", "always"], true),
        "what was typed counts"
    );
    assert!(!is_coloured(&["--color", "never"], false));
    assert!(!is_coloured(&[], false), "a pipe is no terminal");
    assert!(!is_coloured(&[], true));
    for format in ["markdown", "csv", "json"] {
        assert!(
            !is_coloured(&["--color", "always", "--format", format], false),
            "{format}"
        );
    }
}

#[test]
fn colour_carries_no_meaning_of_its_own() {
    let (coloured, _) = done(&["--color", "always", CLIENT, SERVER]);
    let (plain, _) = done(&["--color", "never", CLIENT, SERVER]);
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
}

// --- Usage ---------------------------------------------------------------------------------------

#[test]
fn wrong_arguments_are_one_line_too() {
    for (arguments, message) in [
        (
            &[][..],
            "the following required arguments were not provided: <[NAME=]SOURCE>...",
        ),
        (
            &["--format", "xml", CLIENT, SERVER],
            "invalid value 'xml' for '--format <FORMAT>' \
             [possible values: table, markdown, csv, json, html]; \
             tip: a similar value exists: 'html'",
        ),
        (
            &["--protocls", "50", CLIENT, SERVER],
            "unexpected argument '--protocls' found; \
             tip: a similar argument exists: '--protocols'",
        ),
        (
            &["--protocols", "50-40", CLIENT, SERVER],
            "invalid value '50-40' for '--protocols <LIST>': the range 50-40 runs backwards",
        ),
        (
            &["--explain", "client", CLIENT, SERVER],
            "invalid value 'client' for '--explain <TIMESTAMP|TIME|POINT:FRAME>': \
             'client' is neither a timestamp in nanoseconds, nor a time, nor POINT:FRAME",
        ),
        (
            &["--explain", "client:1", "--all", CLIENT, SERVER],
            "the argument '--explain <TIMESTAMP|TIME|POINT:FRAME>' cannot be used with '--all'",
        ),
        (
            &["--wait", "51x", CLIENT, SERVER],
            "invalid value '51x' for '--wait <DURATION>': '51x' is not a duration; \
             write a number and a unit like 250ms, 51s, 1d",
        ),
    ] {
        assert_eq!(error(arguments), message);
    }
    assert_eq!(
        error_of(cargo_bin_cmd!("hdp").arg("paht")),
        "unrecognized subcommand 'paht'; tip: a similar subcommand exists: 'path'"
    );
}

#[test]
fn help_and_version_are_results() {
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["path", "--help"],
        &["help", "path"],
    ] {
        let asked = cargo_bin_cmd!("hdp")
            .args(arguments)
            .assert()
            .success()
            .stderr("");
        assert!(!asked.get_output().stdout.is_empty());
    }
    // Nothing typed: the help, but nothing was done.
    let nothing = cargo_bin_cmd!("hdp").assert().code(2).stdout("");
    assert!(!nothing.get_output().stderr.is_empty());
}

#[cfg(not(feature = "libpcap"))]
#[test]
fn without_libpcap_one_line_says_that_nothing_can_be_captured() {
    let error = |arguments: &[&str]| error_of(cargo_bin_cmd!("hdp").args(arguments));
    for arguments in [&["dissect", "-i", "lo"][..], &["path", "live:lo", CLIENT]] {
        assert_eq!(
            error(arguments),
            "live:lo: this hdp was built without libpcap, so it cannot capture; record with \
             tcpdump -w and give the file"
        );
    }
    assert_eq!(
        error(&["interfaces"]),
        "interfaces: this hdp was built without libpcap, so it captures from none"
    );
}

#[test]
fn the_table_is_as_wide_as_columns_says_and_ascii_in_a_locale_of_ascii() {
    let table = |columns: &str, locale: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_hdp"))
            .current_dir("fixtures/three-points")
            .env("COLUMNS", columns)
            .env("LC_ALL", locale)
            .args(["path", "client.pcap", "router.pcap", "server.pcap"])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let widest = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap();
    for width in [60, 80, 100, 200] {
        for locale in ["C.UTF-8", "C"] {
            let text = table(&width.to_string(), locale);
            assert!(widest(&text) <= width, "{width}: {text}");
            assert_eq!(text.is_ascii(), locale == "C", "{text}");
        }
    }
    assert!(widest(&table("200", "C")) > 100);
    // Nonsense is no width.
    for nonsense in ["0", "wide", ""] {
        assert_eq!(table(nonsense, "C"), table("100", "C"));
    }
}

#[test]
fn what_goes_to_standard_output_goes_there_instead_of_the_report() {
    let folder = TempDir::new().unwrap();
    let [client, server] = [CLIENT, SERVER].map(|file| fs::canonicalize(file).unwrap());
    let run = |arguments: &[&str]| {
        let mut command = hdp_path();
        let sources = [&client, &server];
        command.current_dir(&folder).args(arguments).args(sources);
        command
    };
    let printed = |arguments: &[&str]| {
        let done = run(arguments).assert().success();
        done.get_output().stdout.clone()
    };
    let written = |file: &str| fs::read(folder.path().join(file)).unwrap();
    let report = printed(&[]);
    assert_eq!(printed(&["-o", "-"]), report);
    for option in ["--packets", "--annotate", "--write-lost"] {
        assert_eq!(printed(&[option, "file"]), report, "{option}");
        let instead = printed(&[option, "-"]);
        assert!(
            instead == written("file") && instead.len() > 1_000,
            "{option}"
        );
        assert!(
            printed(&[option, "-", "-o", "report"]) == instead,
            "{option}"
        );
        assert_eq!(written("report"), report, "{option}");
    }
    assert!(!folder.path().join("-").exists());
    for twice in [
        ["--packets", "-", "-o", "-"],
        ["--packets", "-", "--annotate", "-"],
    ] {
        let error = error_of(&mut run(&twice));
        assert_eq!(
            error,
            "-: standard output takes one result; give the others files"
        );
    }
}
