//! Capturing from interfaces, on hosts of their own, beside tcpdump and the kernel's counters.
#![cfg(feature = "cli")]
#![cfg(feature = "libpcap")]

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use crate::support::{
    capture::Capture,
    hosts::{self, file, success, text, until},
    live::{Live, hdp_in, sweep},
};
use serde_json::Value;
use tempfile::TempDir;

/// The objects of JSON Lines.
fn objects(lines: &str) -> Vec<Value> {
    let lines = lines.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_sweep_is_shown_as_tcpdump_saw_it_and_written_as_it_was_shown() {
    let Some(hosts) = hosts::hosts("live-sweep") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let (theirs, ours) = (file(&folder, "theirs.pcap"), file(&folder, "ours.pcapng"));
    let tcpdump = hosts.server.capture("eth0", &theirs);
    let dissect = Live::start(
        &hosts.server,
        &folder,
        &[
            "dissect",
            "-i",
            "eth0",
            "--format",
            "jsonl",
            "-w",
            text(&ours),
        ],
    );
    for to in ["10.77.9.2", "fd77:9::2"] {
        sweep(&hosts.client, to);
    }
    let sent = 2 * (256 + 256) - 2; // 256 is no number over IPv6
    until("tcpdump has seen the sweeps", || {
        hdp_in(&theirs).len() >= sent
    });
    until("hdp has seen the sweeps", || {
        dissect.printed().lines().count() >= sent
    });
    tcpdump.interrupt();
    let (printed, said) = dissect.interrupt();

    let shown: BTreeSet<_> = objects(&printed)
        .iter()
        .filter(|packet| packet["quoted_by"].is_null())
        .map(|packet| {
            let number = packet["protocol"].as_u64().unwrap();
            (
                packet["timestamp_ns"].as_u64().unwrap(),
                u8::try_from(number).unwrap(),
            )
        })
        .collect();
    assert_eq!(shown, hdp_in(&theirs));
    assert!(
        said.contains("frames captured, 0 dropped by the kernel\n"),
        "{said}"
    );
    assert!(!said.contains("warning"), "{said}");

    // The same packets come out of the file: times, lengths, bytes.
    let again = success(Command::new(env!("CARGO_BIN_EXE_hdp")).args([
        "dissect",
        "--format",
        "jsonl",
        text(&ours),
    ]));
    let without_place = |lines: &str| -> Vec<Value> {
        let mut packets = objects(lines);
        for packet in &mut packets {
            packet.as_object_mut().unwrap().remove("frame");
        }
        packets
    };
    let again = String::from_utf8(again.stdout).unwrap();
    assert_eq!(without_place(&again), without_place(&printed));
    // Frame by frame as tcpdump's, but for the digits that it leaves out.
    let theirs = Capture::read(&theirs).frames;
    let mut theirs = theirs.iter();
    for frame in Capture::read(&ours).frames {
        let microseconds = frame.time_ns / 1_000 * 1_000;
        assert!(
            theirs.any(|other| other.time_ns == microseconds && other.bytes == frame.bytes),
            "{frame:?}"
        );
    }
}

#[test]
fn a_capture_of_all_interfaces_goes_to_standard_output_for_others_to_read() {
    let Some(hosts) = hosts::hosts("live-any") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let arguments = ["dissect", "-i", "any", "--protocols", "253", "-w", "-"];
    let dissect = Live::start(&hosts.server, &folder, &arguments);
    success(
        &mut hosts
            .client
            .hdp(&["send", "10.77.9.2", "--protocols", "252,253"]),
    );
    let stdout = dissect.stdout.clone();
    // The packet, and the quote in the error that answers it.
    until("hdp has written both", || {
        let read = Command::new("tcpdump")
            .args(["-nr", text(&stdout)])
            .output();
        String::from_utf8(read.unwrap().stdout)
            .unwrap()
            .lines()
            .count()
            == 2
    });
    let (_, said) = dissect.interrupt();
    assert!(
        said.contains("live:any: capturing, link type LINUX_SLL2;"),
        "{said}"
    );
    let read = success(Command::new("tcpdump").args(["-nr", text(&stdout)]));
    let read = String::from_utf8(read.stdout).unwrap();
    let lines: Vec<_> = read.lines().collect();
    assert!(lines[0].contains("In  IP 10.77.9.1 > 10.77.9.2:"), "{read}");
    assert!(
        lines[1].contains("Out IP 10.77.9.2 > 10.77.9.1: ICMP"),
        "{read}"
    );
}

#[test]
fn an_interface_that_goes_away_ends_the_capture_and_what_was_read_is_kept() {
    let Some(hosts) = hosts::hosts("live-removed") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let ours = file(&folder, "ours.pcapng");
    let arguments = ["dissect", "-i", "eth0", "-w", text(&ours)];
    let mut dissect = Live::start(&hosts.server, &folder, &arguments);
    let send = |number| {
        success(
            &mut hosts
                .client
                .hdp(&["send", "10.77.9.2", "--protocols", number]),
        );
    };
    send("253");
    until("hdp has shown one", || {
        dissect.printed().contains("HDP 253")
    });
    // One that only goes down comes back.
    hosts.server.succeed(&["ip", "link", "set", "eth0", "down"]);
    hosts.server.succeed(&["ip", "link", "set", "eth0", "up"]);
    until("the cable carries", || {
        send("254");
        dissect.printed().contains("HDP 254")
    });
    hosts.server.succeed(&["ip", "link", "delete", "eth0"]);
    dissect.running.ended();
    let said = dissect.said();
    let warnings: Vec<_> = said
        .lines()
        .filter(|line| line.contains("warning"))
        .collect();
    let [warning] = warnings.as_slice() else {
        panic!("{said}");
    };
    assert!(
        warning.starts_with(
            "hdp: warning: live:eth0: the capture ended before it was told to: The interface disappeared; \
             it watched until 20"
        ),
        "{warning}"
    );
    let again = success(Command::new(env!("CARGO_BIN_EXE_hdp")).args(["dissect", text(&ours)]));
    assert_eq!(String::from_utf8(again.stdout).unwrap(), dissect.printed());
}

#[test]
fn what_the_kernel_has_no_room_for_is_counted() {
    const SENT: u64 = 100_000;
    const FLOOD: &str = "
import socket, struct, time
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 253)
raw.connect(('10.77.9.2', 0))
for _ in range(100000):
    raw.send(struct.pack('>HHQ', 420, 420, time.time_ns()))";
    let Some(hosts) = hosts::hosts("live-flood") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    // In half a megabyte it overflows where a processor is shared, in sixteen it need not; the sum
    // is the same.
    for arguments in [&["-B", "512"][..], &[]] {
        let filter = ["dissect", "-i", "eth0", "-f", "ip proto 253"];
        let dissect = Live::start(&hosts.server, &folder, &[&filter, arguments].concat());
        success(hosts.client.command("python3").args(["-c", FLOOD]));
        let (printed, said) = dissect.interrupt();
        let counts = said.lines().find(|line| line.contains("frames captured"));
        let numbers = counts
            .unwrap()
            .split(' ')
            .filter_map(|word| word.parse::<u64>().ok());
        let [captured, dropped] = numbers.collect::<Vec<_>>()[..] else {
            panic!("{said}");
        };
        assert_eq!(captured + dropped, SENT, "{said}");
        assert_eq!(printed.lines().count() as u64, captured);
    }
}

#[test]
fn captures_end_by_time_and_by_count() {
    let Some(host) = hosts::host("live-end") else {
        return;
    };
    let output = success(&mut host.hdp(&["dissect", "live:lo", "--duration", "1ms"]));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("0 HDP packets in 0 frames\n"), "{said}");
    assert!(
        said.ends_with("0 frames captured, 0 dropped by the kernel\n"),
        "{said}"
    );

    let folder = TempDir::new().unwrap();
    let mut dissect = Live::start(&host, &folder, &["dissect", "-i", "lo", "-c", "3"]);
    success(&mut host.hdp(&["send", "127.0.0.1", "--protocols", "253", "--count", "5"]));
    dissect.running.ended();
    assert_eq!(dissect.printed().lines().count(), 3);

    let sources = ["path", "live:lo", "live:any", "--count", "3"];
    let mut path = Live::start(&host, &folder, &sources);
    success(&mut host.hdp(&["send", "127.0.0.1", "--protocols", "253", "--count", "5"]));
    path.running.ended();
    assert!(
        path.printed()
            .starts_with("HDP under protocol number 253, "),
        "{}",
        path.printed()
    );
}

#[test]
fn without_the_permission_one_line_says_how_to_grant_it_and_with_it_nobody_needs_root() {
    let Some(host) = hosts::host("live-permission") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    // Nobody may look into a folder that is root's own.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let hdp = file(&folder, "hdp");
    fs::copy(env!("CARGO_BIN_EXE_hdp"), &hdp).unwrap();
    let nobody = |arguments: &[&str]| {
        let mut command = host.command("setpriv");
        command
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .args(["timeout", "--signal=INT", "60", text(&hdp)])
            .args(arguments)
            .stdin(Stdio::null());
        command
    };
    let captures: [&[&str]; 2] = [
        &["dissect", "-i", "lo", "--duration", "1ms"],
        &["path", "live:lo", "live:any", "--duration", "1ms"],
    ];
    let reason = "Operation not permitted: run as root (sudo) or grant it: \
         sudo setcap cap_net_raw,cap_net_admin=eip $(command -v hdp)";
    let interfaces = || -> Value {
        let output = success(&mut nobody(&["interfaces", "--format", "json"]));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    for arguments in captures {
        let output = nobody(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(
            String::from_utf8(output.stderr).unwrap(),
            format!("hdp: error: live:lo: cannot capture: {reason}\n")
        );
    }
    for interface in interfaces()["interfaces"].as_array().unwrap() {
        assert_eq!(interface["capture"], false);
        assert_eq!(interface["reason"], reason);
    }
    let granted = Command::new("setcap")
        .args(["cap_net_raw,cap_net_admin=eip", text(&hdp)])
        .output();
    if !granted.is_ok_and(|granted| granted.status.success()) {
        eprintln!("live-permission: half skipped, setcap does not work here");
        return;
    }
    for arguments in captures {
        success(&mut nobody(arguments));
    }
    for interface in interfaces()["interfaces"].as_array().unwrap() {
        assert_eq!(interface["capture"], true, "{interface}");
    }
}

#[test]
fn interfaces_are_told_with_what_keeps_them_from_being_captured() {
    let Some(host) = hosts::host("live-interfaces") else {
        return;
    };
    let veth = [
        "ip", "link", "add", "name", "up0", "type", "veth", "peer", "name", "down0",
    ];
    host.succeed(&veth);
    host.succeed(&["ip", "address", "add", "10.77.9.1/24", "dev", "up0"]);
    host.succeed(&["ip", "link", "set", "up0", "up"]);
    let output = success(&mut host.hdp(&["interfaces", "--format", "json"]));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |name: &str| {
        let interfaces = told["interfaces"].as_array().unwrap();
        let found = interfaces
            .iter()
            .find(|interface| interface["name"] == name);
        found.unwrap_or_else(|| panic!("{name} in {told}")).clone()
    };
    assert_eq!(
        of("up0"),
        serde_json::json!({
            "name": "up0", "up": true, "capture": true, "reason": null,
            "link_type": "EN10MB", "addresses": ["10.77.9.1"],
        })
    );
    assert_eq!(
        of("down0"),
        serde_json::json!({
            "name": "down0", "up": false, "capture": false, "reason": "That device is not up",
            "link_type": null, "addresses": [],
        })
    );
    assert_eq!(of("any")["link_type"], "LINUX_SLL2");
    assert_eq!(
        of("lo")["addresses"],
        serde_json::json!(["127.0.0.1", "::1"])
    );
}

#[test]
fn an_interface_that_cannot_be_captured_from_is_one_line() {
    let Some(host) = hosts::host("live-errors") else {
        return;
    };
    for (arguments, error) in [
        (
            &["dissect", "-i", "eth7"][..],
            "live:eth7: cannot capture: No such device exists; hdp interfaces tells where it can be",
        ),
        (
            &["dissect", "live:lo", "-f", "not a filter"],
            "live:lo: filter 'not a filter' for link type EN10MB: can't parse filter expression: \
             syntax error",
        ),
        (
            &[
                "dissect",
                "fixtures/router-drops/client.pcap",
                "--duration",
                "1s",
            ],
            "--duration: is for live captures only; give live:IFACE as a source, or leave it out",
        ),
        (
            &["dissect", "-i", "any", "--promiscuous"],
            "--promiscuous: no system has that for all interfaces at once; name one",
        ),
        (
            &["path", "live:lo", "live:lo"],
            "live:lo: given twice (also as lo); a path needs captures from different places",
        ),
        (
            &["path", "live:lo", "/nowhere"],
            "/nowhere: cannot open: No such file or directory (os error 2)",
        ),
    ] {
        let output = host.hdp(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, format!("hdp: error: {error}\n"), "{arguments:?}");
    }
}
