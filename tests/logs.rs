//! Logs of the probe as points of `hdp path`: `fixtures/logs`, whose `record` says what became of
//! each number, what can befall a log, and a lab that reproduces what is known of kernels.
#![cfg(feature = "cli")]

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use crate::support::hosts::{self, Routed, file, success, text as argument, until};
use assert_cmd::Command;
use hdp::findings::{
    Carrier, ClockMethod, DelayReference, Findings, Grade, PointKind, Protocol, Reason, System,
    Verdict,
};
use hdp::report::markdown;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use tempfile::TempDir;

/// Rounds that were sent.
const ROUNDS: u64 = 10;

const POINTS: [&str; 4] = ["sent.jsonl", "client.pcap", "server.pcap", "received.jsonl"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/logs")
        .join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(fixture(name)).unwrap()
}

fn path(points: &[PathBuf]) -> Findings {
    let mut command = Command::cargo_bin("hdp").unwrap();
    let output = command
        .args(["path", "--format", "json"])
        .args(points)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(findings: &Findings, protocol: u16, carrier: Carrier) -> &Protocol {
    let mut protocols = findings.directions[0].protocols.iter();
    protocols
        .find(|p| (p.protocol, p.carrier) == (protocol, carrier))
        .unwrap_or_else(|| panic!("{protocol} has an entry"))
}

fn lost_at(protocol: &Protocol) -> Vec<(&str, &str, u64)> {
    let lost = protocol.lost_at.iter();
    lost.map(|lost| (lost.from.as_str(), lost.to.as_str(), lost.count))
        .collect()
}

#[test]
fn each_loss_is_found_in_its_segment() {
    let findings = path(&POINTS.map(fixture));
    assert!(findings.warnings.is_empty(), "{:?}", findings.warnings);
    let kinds: Vec<_> = findings.points.iter().map(|point| point.kind).collect();
    let [send, capture, listen] = [PointKind::SendLog, PointKind::Capture, PointKind::ListenLog];
    assert_eq!(kinds, [send, capture, capture, listen]);
    assert_eq!(findings.directions.len(), 1);
    let direction = &findings.directions[0];
    let numbers: Vec<_> = direction
        .protocols
        .iter()
        .map(|p| (p.protocol, p.carrier))
        .collect();
    let ip = |protocol| (protocol, Carrier::Ip);
    assert_eq!(
        numbers,
        [
            ip(0),
            (17, Carrier::Udp),
            ip(50),
            ip(89),
            ip(90),
            ip(94),
            ip(132),
            ip(253),
            ip(254),
            ip(300)
        ]
    );
    let within: Vec<_> = direction.segments.iter().map(|s| s.within).collect();
    assert_eq!(
        within,
        [Some(System::Sending), None, Some(System::Receiving)]
    );

    for (requested, call, errno, name) in [
        (0, "socket", 93, "EPROTONOSUPPORT"),
        (90, "sendto", 1, "EPERM"),
        (300, "socket", 22, "EINVAL"),
    ] {
        let refused = number(&findings, requested, Carrier::Ip);
        assert_eq!(
            (refused.verdict, refused.grade, refused.packets),
            (Verdict::Refused, Grade::Certain, 0)
        );
        let [how] = refused.refused.as_slice() else {
            panic!("{requested} is refused in one way")
        };
        assert_eq!(
            (
                how.requested,
                how.call.as_str(),
                how.errno,
                how.name.as_str(),
                how.count
            ),
            (requested, call, errno, name, ROUNDS)
        );
    }
    for (protocol, from, to) in [(50, "client", "server"), (89, "server", "received")] {
        let blocked = number(&findings, protocol, Carrier::Ip);
        // Recorded with each round in the same order.
        assert_eq!(
            (blocked.verdict, blocked.grade),
            (Verdict::Blocked, Grade::Likely)
        );
        assert!(blocked.reasons.contains(&Reason::LostAtEqualIntervals));
        let said = markdown(&findings, false).replace('\n', " ");
        assert!(said.contains("send each round in another order"), "{said}");
        assert_eq!(lost_at(blocked), [(from, to, ROUNDS)]);
    }
    let unheard = number(&findings, 94, Carrier::Ip);
    assert_eq!(unheard.verdict, Verdict::Inconclusive);
    assert_eq!((unheard.edge, unheard.unheard, unheard.lost), (10, 10, 0));
    assert!(
        unheard.reasons[0]
            .to_string()
            .contains("a listener for the number was not open at received")
    );
    for (protocol, carrier) in [ip(132), ip(253), ip(254), (17, Carrier::Udp)] {
        let passes = number(&findings, protocol, carrier);
        assert_eq!(passes.verdict, Verdict::Passes, "{protocol}");
        let packets = if carrier == Carrier::Udp { 9 } else { 1 } * ROUNDS;
        assert_eq!(passes.seen, [packets; 4]);
        assert_eq!(
            passes.delay_ns.unwrap().reference,
            DelayReference::Absolute,
            "the logs were written by one clock"
        );
        assert_eq!(passes.against_control.is_some(), carrier == Carrier::Ip);
    }
}

#[test]
fn two_logs_alone_share_a_clock() {
    let findings = path(&["sent.jsonl", "received.jsonl"].map(fixture));
    let [segment] = findings.directions[0].segments.as_slice() else {
        panic!("one segment")
    };
    assert_eq!(segment.clock.method, ClockMethod::SameHost);
    assert_eq!(segment.clock.offset_ns, Some(0));
    assert_eq!(segment.within, None, "the network lies between");
    let lost = number(&findings, 50, Carrier::Ip);
    assert_eq!(lost_at(lost), [("sent", "received", ROUNDS)]);
    assert_eq!(number(&findings, 94, Carrier::Ip).unheard, ROUNDS);
}

#[test]
fn the_kind_is_told_from_the_content() {
    let folder = TempDir::new().unwrap();
    let expected = path(&POINTS.map(fixture));
    let gzip = {
        let file = folder.path().join("sent.pcap");
        let mut out = flate2::write::GzEncoder::new(
            fs::File::create(&file).unwrap(),
            flate2::Compression::fast(),
        );
        out.write_all(text("sent.jsonl").as_bytes()).unwrap();
        out.finish().unwrap();
        file
    };
    let zstd = folder.path().join("received.pcapng");
    let packed = compress_to_vec(text("received.jsonl").as_bytes(), CompressionLevel::Fastest);
    fs::write(&zstd, packed).unwrap();
    let fifo = folder.path().join("server");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let writer = std::thread::spawn({
        let fifo = fifo.clone();
        move || fs::write(fifo, fs::read(fixture("server.pcap")).unwrap()).unwrap()
    });
    let found = path(&[gzip, fixture("client.pcap"), fifo, zstd]);
    writer.join().unwrap();
    assert_eq!(found.directions, expected.directions);
}

#[test]
fn a_log_that_was_cut_is_read_up_to_there_with_one_warning() {
    let folder = TempDir::new().unwrap();
    let cut = folder.path().join("received.jsonl");
    let whole = text("received.jsonl");
    let lines: Vec<_> = whole.lines().collect();
    // In the middle of a line, and behind one.
    for kept in [
        lines[..61].join("\n") + "\n" + &lines[61][..40],
        lines[..61].join("\n") + "\n",
    ] {
        fs::write(&cut, kept).unwrap();
        let findings = path(&[fixture("sent.jsonl"), fixture("client.pcap"), cut.clone()]);
        let [warning] = findings.warnings.as_slice() else {
            panic!("one warning: {:?}", findings.warnings)
        };
        assert!(
            warning.to_string().contains("cut after line 61"),
            "{warning}"
        );
        assert_eq!(findings.points[2].hdp, 60);
        // What the rest of the log would have said is not called lost.
        let passes = number(&findings, 253, Carrier::Ip);
        assert_eq!((passes.lost, passes.verdict), (0, Verdict::Passes));
        assert_eq!(passes.edge + passes.delivered, ROUNDS);
        assert!(passes.edge > 0);
    }
}

#[test]
fn a_socket_that_was_full_is_a_reason() {
    let folder = TempDir::new().unwrap();
    let full = folder.path().join("received.jsonl");
    let drops = (
        "\"drops\":[]",
        "\"drops\":[{\"version\":4,\"protocol\":89,\"count\":10}]",
    );
    let total = ("\"capture_drops\":0", "\"capture_drops\":10");
    let log = text("received.jsonl").replace(drops.0, drops.1);
    fs::write(&full, log.replace(total.0, total.1)).unwrap();
    let findings = path(&[fixture("sent.jsonl"), fixture("server.pcap"), full]);
    assert_eq!(findings.points[2].capture_drops, Some(10));
    let lost = number(&findings, 89, Carrier::Ip);
    let why = "the socket at received was full and lost 10 packets";
    assert!(
        lost.reasons.iter().any(|r| r.to_string() == why),
        "{:?}",
        lost.reasons
    );
}

#[test]
fn a_damaged_line_ends_the_log() {
    let folder = TempDir::new().unwrap();
    let damaged = folder.path().join("sent.jsonl");
    let mut lines: Vec<_> = text("sent.jsonl").lines().map(str::to_owned).collect();
    lines[20] = "{\"requested\":\"many\"}".to_owned();
    fs::write(&damaged, lines.join("\n")).unwrap();
    let findings = path(&[damaged.clone(), fixture("client.pcap")]);
    assert!(
        findings.warnings[0]
            .to_string()
            .starts_with("sent: line 21 is damaged"),
        "{:?}",
        findings.warnings
    );
    // What the line says is told, but obeyed by no terminal.
    lines[20] = "{\"requested\":1,\"protocol\":1,\"carrier\":\"\\u001b[31m\"}".to_owned();
    fs::write(&damaged, lines.join("\n")).unwrap();
    let findings = path(&[damaged, fixture("client.pcap")]);
    let said = findings.warnings[0].to_string();
    assert!(said.contains(r"unknown variant `\x1b[31m`"), "{said}");
    let only_start = folder.path().join("start.jsonl");
    fs::write(&only_start, "{\"hdp_log\":\"send\"").unwrap();
    let mut command = Command::cargo_bin("hdp").unwrap();
    let output = command
        .arg("path")
        .args([only_start, fixture("client.pcap")])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cut in its first line"));
}

#[test]
fn dissect_and_filters_say_that_a_log_has_no_frames() {
    let sent = fixture("sent.jsonl");
    let client = fixture("client.pcap");
    let fails = |arguments: &[&str], files: &[&PathBuf], why: &str| {
        let mut command = Command::cargo_bin("hdp").unwrap();
        let output = command.args(arguments).args(files).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    };
    fails(&["dissect"], &[&sent], "holds no frames, hdp path reads it");
    if cfg!(feature = "libpcap") {
        let filtered = ["path", "-f", "ip"];
        fails(&filtered, &[&sent, &client], "no pcap filter (-f)");
    }
}

#[test]
fn the_report_names_the_systems() {
    let mut command = Command::cargo_bin("hdp").unwrap();
    let output = command.arg("path").args(POINTS.map(fixture)).output();
    let report = String::from_utf8(output.unwrap().stdout).unwrap();
    for words in [
        "dropped inside the receiving system",
        "in sent ",
        "sendto: EPERM (1)",
        "HDP against UDP, sent → received: median ",
        "one clock at both ends",
        "10 packets under 94 IPIP came where no listener was open",
    ] {
        let flat = report.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(words.trim_end()), "{words}\n{report}");
    }
}

// --- the lab -------------------------------------------------------------------------------------

/// Sends from the client, with captures and logs at both ends, and asks where what went.
fn measure(hosts: &Routed, folder: &TempDir, listen: &[&str], send: &[&str]) -> Findings {
    let points = POINTS.map(|name| file(folder, name));
    let [sender_log, client, server, listener_log] = &points;
    let captures = [
        hosts.client.capture("router", client),
        hosts.server.capture("router", server),
    ];
    let listen = [&["--log", argument(listener_log)], listen].concat();
    let listener = hosts.server.listen(folder.path(), &listen);
    // Each capture shows that it watches before and after what it is judged by.
    let watch = |beacon: &str| {
        std::thread::sleep(std::time::Duration::from_millis(300));
        let ping = hosts
            .client
            .command("python3")
            .args(["-c", BEACON, beacon])
            .status();
        assert!(ping.unwrap().success());
        until("the captures hold the beacon", || {
            let holds = |file: &PathBuf| {
                let bytes = fs::read(file).unwrap();
                bytes
                    .windows(beacon.len())
                    .any(|window| window == beacon.as_bytes())
            };
            holds(client) && holds(server)
        });
    };
    watch("beacon before");
    let send = [
        &[
            "send",
            "10.77.2.2",
            "--interval",
            "2ms",
            "--count",
            "10",
            "--payload",
            "moo",
        ],
        send,
        &["--log", argument(sender_log)],
    ];
    success(&mut hosts.client.hdp(&send.concat()));
    watch("beacon behind");
    listener.interrupt();
    for capture in captures {
        capture.interrupt();
    }
    path(&points)
}

const BEACON: &str = "import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(sys.argv[1].encode(), ('10.77.2.2', 9))";

#[test]
fn where_the_kernel_drops() {
    let Some(hosts) = hosts::routed("kernel") else {
        return;
    };
    let drop = |hook: &str, numbers: &str| {
        format!(
            "table ip {hook} {{ chain losses {{ type filter hook {hook} priority 0; \
             ip protocol {{ {numbers} }} drop; }}; }}"
        )
    };
    hosts.client.nft(&drop("output", "200"));
    hosts.client.nft(&drop("postrouting", "201"));
    hosts.router.nft(&drop("forward", "206"));
    hosts.server.nft(&drop("prerouting", "204"));
    hosts.server.nft(&drop("input", "205"));
    let folder = TempDir::new().unwrap();
    let findings = measure(
        &hosts,
        &folder,
        &["--protocols", "0-201,203-255"],
        &[
            "--protocols",
            "0,200-206,256,263",
            "--control",
            "--seed",
            "7",
            "--no-heartbeat",
        ],
    );
    // Protocol.md's table, row by row: sent, at the client's interface, at the server's, received.
    for (protocol, seen, verdict) in [
        (200, [0, 0, 0, 0], Verdict::Refused),
        (201, [0, 0, 0, 0], Verdict::Refused),
        (202, [10, 10, 10, 0], Verdict::Inconclusive),
        (203, [10, 10, 10, 10], Verdict::Passes),
        (204, [10, 10, 10, 0], Verdict::Blocked),
        (205, [10, 10, 10, 0], Verdict::Blocked),
        (206, [10, 10, 0, 0], Verdict::Blocked),
        // 256 goes out as 0, which no raw socket of Linux's receives.
        (0, [10, 10, 10, 0], Verdict::Inconclusive),
        (263, [0, 0, 0, 0], Verdict::Refused),
    ] {
        let found = number(&findings, protocol, Carrier::Ip);
        assert_eq!(found.seen, seen, "{protocol}");
        assert_eq!(found.verdict, verdict, "{protocol}: {:?}", found.reasons);
        if verdict != Verdict::Inconclusive {
            assert_eq!(found.grade, Grade::Certain, "{protocol}");
        }
    }
    for (protocol, requested, call, errno) in [
        (200, 200, "sendto", 1),
        (201, 201, "sendto", 1),
        (0, 0, "socket", 93),
        (263, 263, "socket", 22),
    ] {
        let refused = &number(&findings, protocol, Carrier::Ip).refused;
        let how: Vec<_> = refused
            .iter()
            .map(|r| (r.requested, r.call.as_str(), r.errno, r.count))
            .collect();
        assert_eq!(how, [(requested, call, errno, ROUNDS)], "{protocol}");
    }
    for (protocol, from, to) in [
        (204, "server", "received"),
        (205, "server", "received"),
        (206, "client", "server"),
    ] {
        let lost = number(&findings, protocol, Carrier::Ip);
        assert_eq!(lost_at(lost), [(from, to, ROUNDS)]);
        assert!(lost.icmp.is_empty(), "a silent drop is silent");
    }
    let unheard = number(&findings, 202, Carrier::Ip);
    assert_eq!((unheard.unheard, unheard.lost), (ROUNDS, 0));
    let [icmp] = unheard.icmp.as_slice() else {
        panic!(
            "protocol unreachable, for nobody listens: {:?}",
            unheard.icmp
        )
    };
    assert_eq!((icmp.icmp_type, icmp.code), (3, 2));
    assert!(number(&findings, 203, Carrier::Ip).icmp.is_empty());
    assert_eq!(
        number(&findings, 17, Carrier::Udp).verdict,
        Verdict::Passes,
        "the control"
    );
}

#[test]
fn answers_go_back_as_far_as_the_client_s_capture() {
    let Some(hosts) = hosts::routed("answers") else {
        return;
    };
    // A sender's log does not hear: nothing of what comes back to it is lost for that.
    hosts.router.nft(
        "table ip losses { chain losses { type filter hook forward priority 0; \
         iifname server ip protocol 201 drop; }; }",
    );
    let folder = TempDir::new().unwrap();
    let send = ["--protocols", "200,201,253", "--control"];
    let findings = measure(&hosts, &folder, &["--reply"], &send);
    let [forth, back] = findings.directions.as_slice() else {
        panic!("two directions")
    };
    assert!(forth.protocols.iter().all(|p| p.verdict == Verdict::Passes));
    let ends = (back.from.as_str(), back.to.as_str());
    assert_eq!(ends, ("received", "client"));
    assert_eq!(back.segments.len(), 2);
    assert_eq!(back.segments[0].within, Some(System::Sending));
    let verdicts: Vec<_> = back
        .protocols
        .iter()
        .map(|p| (p.protocol, p.carrier, p.verdict, p.edge))
        .collect();
    assert_eq!(
        verdicts,
        [
            (17, Carrier::Udp, Verdict::Passes, 0),
            (200, Carrier::Ip, Verdict::Passes, 0),
            (201, Carrier::Ip, Verdict::Blocked, 0),
            (253, Carrier::Ip, Verdict::Passes, 0)
        ]
    );
    assert_eq!(lost_at(&back.protocols[2]), [("server", "client", ROUNDS)]);
}

#[test]
fn address_translation() {
    let Some(hosts) = hosts::routed("masquerade") else {
        return;
    };
    hosts.router.nft(
        "table ip nat { chain out { type nat hook postrouting priority 100; \
         oifname server masquerade; }; }",
    );
    let folder = TempDir::new().unwrap();
    let translated = [
        2, 4, 33, 41, 47, 50, 51, 89, 94, 103, 108, 112, 115, 137, 253, 255,
    ];
    let parsed = [1, 6, 17, 58, 132, 136];
    let numbers: Vec<_> = translated
        .iter()
        .chain(&parsed)
        .map(ToString::to_string)
        .collect();
    let numbers = numbers.join(",");
    let findings = measure(
        &hosts,
        &folder,
        &[],
        &["--protocols", &numbers, "--control"],
    );
    let sources = |protocol: u16, carrier| {
        let passes = number(&findings, protocol, carrier);
        assert_eq!(passes.verdict, Verdict::Passes, "{:?}", passes.reasons);
        let mut changes = passes.changes.iter();
        assert_eq!(passes.altered, 0, "HDP's bytes are untouched");
        let change = changes.find(|change| change.field == "source_address");
        change.map(|change| {
            let [from, to] = &change.between;
            let ends = (from.as_str(), to.as_str());
            assert_eq!(ends, ("client", "server"));
            (change.from.clone(), change.to.clone())
        })
    };
    let masked = Some(("10.77.1.2".to_owned(), "10.77.2.1".to_owned()));
    for protocol in translated {
        assert_eq!(sources(protocol, Carrier::Ip), masked, "{protocol}");
    }
    for protocol in parsed {
        assert_eq!(sources(protocol, Carrier::Ip), None, "{protocol}");
    }
    assert_eq!(sources(17, Carrier::Udp), masked);
}
