//! `hdp dissect` as its users and their scripts meet it: what goes in, what comes out, how it ends.
#![cfg(feature = "cli")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

/// 2026-11-22T09:58:19Z.
const SECONDS: u32 = 1_795_341_499;
const MICROSECONDS: u32 = 692_123;

const EN10MB: u16 = 1;
const RAW: u16 = 101;
const USER0: u16 = 147;

/// A little-endian pcap file in microseconds.
fn pcap(link_type: u16, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
    file.extend([0; 8]);
    file.extend(262_144_u32.to_le_bytes());
    file.extend(u32::from(link_type).to_le_bytes());
    for frame in frames {
        file.extend(record(frame));
    }
    file
}

fn record(frame: &[u8]) -> Vec<u8> {
    let len = u32::try_from(frame.len()).unwrap();
    let words = [SECONDS, MICROSECONDS, len, len].map(u32::to_le_bytes);
    [words.concat(), frame.to_vec()].concat()
}

/// IPv4 with the payload `hello`, stamped 23 µs before the capture time.
fn hdp_under(protocol: u8) -> Vec<u8> {
    let timestamp_ns = u64::from(SECONDS) * 1_000_000_000 + 692_100_000;
    let mut packet = vec![
        0x45, 0, 0, 37, 0, 1, 0, 0, 64, protocol, 0, 0, 10, 77, 1, 2, 10, 77, 2, 2,
    ];
    packet.extend([1, 0xa4, 1, 0xa4]);
    packet.extend(timestamp_ns.to_be_bytes());
    packet.extend(b"hello");
    packet
}

/// IPv4 that carries something else.
fn other() -> Vec<u8> {
    let mut packet = hdp_under(6);
    packet[24..].fill(0x55);
    packet
}

fn line(protocol: &str) -> String {
    format!(
        "09:58:19.692123 IP 10.77.1.2.420 > 10.77.2.2.420: HDP {protocol}, ttl 64, \
         ts 2026-11-22T09:58:19.692100000Z, delay +23 µs, length 5\n"
    )
}

fn spawn(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_hdp"))
        .arg("dissect")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What the command says to a capture on standard input.
fn dissect(arguments: &[&str], capture: &[u8]) -> Output {
    let mut child = spawn(&[&["-"], arguments].concat());
    // A command that ends early closes the pipe, as it may.
    let _ = child.stdin.take().unwrap().write_all(capture);
    child.wait_with_output().unwrap()
}

#[track_caller]
fn assert_output(output: &Output, status: i32, stdout: &str, stderr: &str) {
    assert_eq!(String::from_utf8_lossy(&output.stderr), stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), stdout);
    assert_eq!(output.status.code(), Some(status));
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn one_line_a_packet_and_silence_where_nothing_was_skipped() {
    let capture = pcap(RAW, &[hdp_under(50), hdp_under(253)]);
    let lines = line("50 ESP") + &line("253");
    assert_output(&dissect(&[], &capture), 0, &lines, "");
}

#[test]
fn what_was_skipped_is_counted_on_standard_error() {
    let capture = pcap(RAW, &[other(), hdp_under(50), other(), vec![0; 20]]);
    assert_output(
        &dissect(&[], &capture),
        0,
        &line("50 ESP"),
        "1 HDP packet in 4 frames; skipped: 2 not HDP, 1 malformed\n",
    );
}

#[test]
fn an_empty_capture_is_a_capture() {
    for link_type in [EN10MB, USER0] {
        let output = dissect(&[], &pcap(link_type, &[]));
        assert_output(&output, 0, "", "0 HDP packets in 0 frames\n");
    }
}

#[test]
fn count_stops_after_so_many_packets() {
    let capture = pcap(RAW, &[hdp_under(50), hdp_under(51), hdp_under(52)]);
    let lines = line("50 ESP") + &line("51 AH");
    assert_output(&dissect(&["-c", "2"], &capture), 0, &lines, "");
}

#[test]
fn protocols_choose_by_the_number_on_the_wire() {
    let capture = pcap(RAW, &[hdp_under(50), hdp_under(0), hdp_under(255)]);
    assert_output(
        &dissect(&["--protocols", "255,hopopt"], &capture),
        0,
        &(line("0 HOPOPT") + &line("255 Reserved")),
        "2 HDP packets in 3 frames; skipped: 1 under other protocol numbers\n",
    );
}

#[test]
#[cfg(feature = "libpcap")]
fn a_filter_chooses_frames() {
    let capture = pcap(RAW, &[hdp_under(50), other(), hdp_under(51)]);
    let filter = ["-f", "ip proto 50"];
    assert_output(&dissect(&filter, &capture), 0, &line("50 ESP"), "");
}

#[test]
#[cfg(feature = "libpcap")]
fn a_filter_that_libpcap_does_not_take_is_an_error() {
    let output = dissect(&["-f", "ip porto 50"], &pcap(RAW, &[hdp_under(50)]));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("hdp: error: -: filter 'ip porto 50' for link type RAW: "),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_window_chooses_what_is_called_hdp() {
    let capture = pcap(RAW, &[hdp_under(50)]);
    assert_output(
        &dissect(&["--window", "20us"], &capture),
        0,
        "",
        "0 HDP packets in 1 frame; skipped: 1 not HDP\n",
    );
}

#[test]
fn tree_and_hex_share_their_offsets() {
    let output = dissect(&["-V", "--hex"], &pcap(RAW, &[hdp_under(50)]));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        stdout.contains("    Payload: 5 bytes, text \"hello\" [32-36]\n"),
        "{stdout}"
    );
    assert!(
        stdout.ends_with("\t0x0020:  6865 6c6c 6f                             hello\n"),
        "{stdout}"
    );
}

#[test]
fn every_line_of_jsonl_has_the_members_of_the_contract() {
    let output = dissect(&["--format", "jsonl"], &pcap(RAW, &[hdp_under(50)]));
    let packet: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for (member, value) in serde_json::json!({
        "frame": 1, "time_ns": 1_795_341_499_692_123_000_i64, "link_type": "RAW",
        "interface": null, "src": "10.77.1.2", "dst": "10.77.2.2", "protocol": 50,
        "carrier": "ip", "ttl": 64, "dscp": 0, "ecn": 0, "ip_id": 1, "srcport": 420,
        "dstport": 420, "timestamp_ns": 1_795_341_499_692_100_000_i64, "delay_ns": 23_000,
        "payload_len": 5, "payload": "68656c6c6f", "encoding": "text", "quoted_by": null,
        "notes": [],
    })
    .as_object()
    .unwrap()
    {
        assert_eq!(packet.get(member), Some(value), "{member}");
    }
}

#[test]
fn a_tree_in_jsonl_is_refused() {
    let output = dissect(&["--format", "jsonl", "-V"], &pcap(RAW, &[]));
    let error =
        "hdp: error: --format jsonl: has neither tree nor hex dump; leave -V and --hex out\n";
    assert_output(&output, 2, "", error);
}

#[test]
fn a_link_type_that_nobody_decodes_is_an_error() {
    let capture = pcap(USER0, &[hdp_under(50), hdp_under(51)]);
    assert_output(
        &dissect(&[], &capture),
        2,
        "",
        "hdp: error: -: link type LINKTYPE_147 cannot be decoded; capture on an Ethernet, \
         cooked (-i any) or raw IP interface\n",
    );
}

#[test]
fn a_file_cut_within_a_record_gives_what_came_before() {
    let mut capture = pcap(RAW, &[hdp_under(50), hdp_under(51)]);
    capture.truncate(capture.len() - 3);
    let output = dissect(&[], &capture);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("hdp: warning: -: cut off at byte 77: "),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), line("50 ESP"));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn what_is_no_capture_is_named() {
    for (capture, words) in [
        (&b""[..], "-: is empty"),
        (b"hello, world\n", "-: is no capture"),
    ] {
        let output = dissect(&[], capture);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            stderr.starts_with(&format!("hdp: error: {words}")),
            "{stderr}"
        );
        assert_eq!(stderr.lines().count(), 1);
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn a_missing_source_leaves_the_output_alone() {
    let results = scratch("dissect-results-of-yesterday");
    fs::write(&results, "precious").unwrap();
    let output = spawn(&["/nonexistent.pcap", "-o", results.to_str().unwrap()])
        .wait_with_output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(fs::read_to_string(&results).unwrap(), "precious");
}

#[test]
fn the_source_is_never_its_own_output() {
    let source = scratch("dissect-own-output.pcap");
    let capture = pcap(RAW, &[hdp_under(50)]);
    fs::write(&source, &capture).unwrap();
    let name = source.to_str().unwrap();
    let output = spawn(&[name, "-o", name]).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(fs::read(&source).unwrap(), capture);
}

#[test]
fn output_goes_to_the_file_that_is_named() {
    let results = scratch("dissect-results");
    let name = results.to_str().unwrap();
    let capture = pcap(RAW, &[hdp_under(50)]);
    assert_output(&dissect(&["-o", name], &capture), 0, "", "");
    assert_eq!(fs::read_to_string(&results).unwrap(), line("50 ESP"));
}

#[test]
fn what_is_shown_is_written_with_its_own_link_type_and_resolution() {
    let frames = [hdp_under(50), other(), hdp_under(51), hdp_under(50)];
    let capture = pcap(RAW, &frames);
    let written = scratch("dissect-written.pcapng");
    let file = written.to_str().unwrap();
    let shown = line("50 ESP");
    let only = ["--protocols", "50"];
    assert_output(
        &dissect(&[&only[..], &["-w", file]].concat(), &capture),
        0,
        &shown.repeat(2),
        "2 HDP packets in 4 frames; skipped: 1 not HDP, 1 under other protocol numbers\n",
    );
    // Microseconds stay microseconds: the lines are the same, to the digit.
    let bytes = fs::read(&written).unwrap();
    assert_output(&dissect(&[], &bytes), 0, &shown.repeat(2), "");
    // On standard output it takes the place of the lines.
    let output = dissect(&[&only[..], &["-w", "-"]].concat(), &capture);
    assert_eq!(output.stdout, bytes);
}

#[test]
#[cfg(target_os = "linux")]
fn an_output_that_cannot_be_written_is_named() {
    let capture = pcap(RAW, &vec![hdp_under(50); 1000]);
    let output = dissect(&["-o", "/dev/full"], &capture);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("hdp: error: /dev/full: cannot write: "),
        "{stderr}"
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_closed_pipe_ends_quietly() {
    for format in ["text", "jsonl"] {
        let mut child = spawn(&["-", "--format", format]);
        drop(child.stdout.take());
        let capture = pcap(RAW, &vec![hdp_under(50); 1000]);
        let _ = child.stdin.take().unwrap().write_all(&capture);
        assert_output(&child.wait_with_output().unwrap(), 0, "", "");
    }
}

#[test]
fn a_line_appears_as_soon_as_its_packet_has() {
    let mut child = spawn(&["-"]);
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdin.write_all(&pcap(RAW, &[])).unwrap();
    for _ in 0..2 {
        stdin.write_all(&record(&hdp_under(50))).unwrap();
        let mut shown = String::new();
        stdout.read_line(&mut shown).unwrap();
        assert_eq!(shown, line("50 ESP"));
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}
