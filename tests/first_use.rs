//! What somebody types who has just installed it: each of these went wrong once.
#![cfg(feature = "cli")]

use std::{fs, process::Stdio, thread, time::Duration};

use crate::support::{
    capture::{ByteOrder, Capture, Format, Packing},
    words,
};
use assert_cmd::{Command, cargo::cargo_bin_cmd};
use hdp::findings::{Findings, Verdict, Warning};
use tempfile::tempdir;

const CLIENT: &str = "fixtures/router-drops/client.pcap";
const SERVER: &str = "fixtures/router-drops/server.pcap";
/// The lost packet of number 50, sent at 11:48:27.945450927 and captured at 11:48:27.945456.
const LOST: &str = "HDP 50 ESP, client → server: lost between client and server";

const PCAP: Format = Format::Pcap {
    order: ByteOrder::Little,
    nanoseconds: false,
};

fn hdp(arguments: &[&str]) -> Command {
    let mut command = cargo_bin_cmd!("hdp");
    command.args(arguments);
    command
}

/// Standard output and error of a run that ends with this status.
#[track_caller]
fn run(arguments: &[&str], status: i32) -> (String, String) {
    let done = hdp(arguments).assert().code(status);
    let output = done.get_output();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

fn findings(arguments: &[&str]) -> Findings {
    let (json, _) = run(&[&["path", "--format", "json"], arguments].concat(), 0);
    serde_json::from_str(&json).unwrap()
}

/// A capture of a fixture, its clock set later.
fn shifted(file: &str, seconds: i64) -> Capture {
    let mut capture = Capture::read(file.as_ref());
    for frame in &mut capture.frames {
        frame.time_ns += seconds * 1_000_000_000;
    }
    capture
}

#[test]
fn explain_takes_every_time_as_printed() {
    for time in [
        "1795348107945450927",
        "11:48:27.945456",
        "11:48:27.945450927",
        "2026-11-22 11:48:27.945450927",
        "2026-11-22T11:48:27.945450927Z",
        "1795348107.945450927",
        // Rounded by JavaScript, and by hand.
        "1795348107945450752",
        "1795348107945451000",
        "11:48:27.945451",
    ] {
        let (text, _) = run(&["path", "--explain", time, CLIENT, SERVER], 0);
        assert_eq!(text.lines().next(), Some(LOST), "{time}");
    }
    // More than a microsecond beside it there is none.
    for time in ["1795348107945453000", "11:48:27.9453"] {
        let (_, error) = run(&["path", "--explain", time, CLIENT, SERVER], 2);
        assert!(error.contains("no point saw a packet"), "{time}: {error}");
    }
    let (_, error) = run(&["path", "--explain", "11:48:27.94", CLIENT, SERVER], 2);
    assert!(
        error.contains("9 packets were sent or captured then"),
        "{error}"
    );
}

#[test]
fn numbers_have_names_and_end_at_255() {
    let numbers = |list: &str| -> Vec<u16> {
        let findings = findings(&["--protocols", list, CLIENT, SERVER]);
        let numbers = &findings.directions[0].protocols;
        numbers.iter().map(|number| number.protocol).collect()
    };
    assert_eq!(numbers("ESP"), [50]);
    assert_eq!(numbers("esp,ah,BBN-RCC-MON,60-61"), [10, 50, 51, 60, 61]);
    for command in [&["path", CLIENT, SERVER][..], &["dissect", CLIENT]] {
        let (_, error) = run(&[command, &["--protocols", "300"]].concat(), 2);
        assert!(
            error.contains("300 is no protocol number: packets carry 0 to 255"),
            "{error}"
        );
    }
    let (_, error) = run(&["path", "--protocols", "ESPP", CLIENT, SERVER], 2);
    assert!(error.contains("'ESPP' is not a protocol number"), "{error}");
}

#[test]
fn a_bare_duration_is_seconds() {
    let with = |wait: &str| run(&["path", "--wait", wait, CLIENT, SERVER], 0).0;
    assert_eq!(with("51"), with("51s"));
    // A packet needs longer than this.
    assert_ne!(with("0.000001"), with("51s"));
}

#[test]
fn version_is_one_option_and_the_tree_another() {
    let (text, _) = run(&["--version"], 0);
    assert_eq!(text, concat!("hdp ", env!("CARGO_PKG_VERSION"), "\n"));
    run(&["-V"], 2);
    assert!(
        run(&["dissect", "-V", "-c", "1", CLIENT], 0)
            .0
            .contains("HDP")
    );
}

#[test]
fn captures_of_two_runs_are_told_apart() {
    let other = "fixtures/random-loss/server.pcap";
    let (text, _) = run(&["path", CLIENT, other], 0);
    let joined = words(&text.lines().collect::<Vec<_>>()).join(" ");
    assert!(
        joined.contains("no packet in common: different runs? (2.8 s apart)"),
        "{text}"
    );
    run(&["path", "--exit-code", CLIENT, other], 2);
    let found = findings(&[CLIENT, other]);
    let verdicts = found.directions[0].protocols.iter();
    assert!(verdicts.clone().count() > 200);
    assert!(
        verdicts
            .map(|number| number.verdict)
            .all(|verdict| verdict == Verdict::Inconclusive)
    );
    // A run in which nothing arrived is no other run: the same ping crosses.
    let folder = tempdir().unwrap();
    let mut nothing = Capture::read(SERVER.as_ref());
    let is_hdp =
        |bytes: &[u8]| !matches!(bytes.get(23), Some(1 | 6 | 17)) || bytes[34..36] == [1, 164];
    nothing.frames.retain(|frame| !is_hdp(&frame.bytes));
    let file = folder.path().join("nothing.pcap");
    nothing.write(&file, PCAP, Packing::Plain);
    let found = findings(&[CLIENT, file.to_str().unwrap()]);
    assert!(
        !found
            .warnings
            .iter()
            .any(|warning| matches!(warning, Warning::OtherRun { .. }))
    );
    let blocked = found.directions[0].protocols.iter();
    assert!(
        blocked
            .filter(|number| number.verdict == Verdict::Blocked)
            .count()
            > 240
    );
}

#[test]
fn a_clock_that_is_off_by_a_day_is_no_loss() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("late.pcap");
    shifted(SERVER, 25 * 3600).write(&file, PCAP, Packing::Plain);
    let late = file.to_str().unwrap();
    for way in [&[][..], &["--bounded"]] {
        let found = findings(&[&[CLIENT, late], way].concat());
        let lost: u64 = found.directions[0]
            .protocols
            .iter()
            .map(|number| number.lost)
            .sum();
        assert_eq!(lost, 0, "{way:?}");
        let is_told = |warning: &Warning| {
            warning
                .to_string()
                .contains("lie 25.0 h before their capture times: --window 2d")
        };
        assert!(found.warnings.iter().any(is_told), "{:?}", found.warnings);
    }
    // What it advises helps.
    let found = findings(&["--window", "2d", CLIENT, late]);
    let blocked = found.directions[0].protocols.iter();
    assert_eq!(
        blocked
            .filter(|number| number.verdict == Verdict::Blocked)
            .count(),
        3
    );
    // A capture of other traffic has no such packets.
    let other = findings(&[CLIENT, SERVER]);
    assert!(
        !other
            .warnings
            .iter()
            .any(|warning| matches!(warning, Warning::OffDate { .. }))
    );
}

#[test]
fn what_could_not_be_judged_stands_beside_what_was_lost() {
    // The server's capture starts late and stops early.
    let folder = tempdir().unwrap();
    let mut short = Capture::read(SERVER.as_ref());
    let frames = short.frames.len();
    short.frames.drain(frames - 300..);
    let file = folder.path().join("short.pcap");
    short.write(&file, PCAP, Packing::Plain);
    let (text, _) = run(&["path", CLIENT, file.to_str().unwrap()], 0);
    assert!(
        text.contains("6 of 9 packets lost, 3 could not be judged"),
        "{text}"
    );
}

#[test]
fn a_send_log_behind_a_capture_is_put_right() {
    let points =
        ["client.pcap", "sent.jsonl", "server.pcap"].map(|file| format!("fixtures/logs/{file}"));
    let points: Vec<&str> = points.iter().map(String::as_str).collect();
    let (text, _) = run(&[&["path"], &points[..]].concat(), 0);
    assert!(text.contains("sent is the log of what was sent"), "{text}");
    let (_, said) = run(&[&["path", "--order", "auto"], &points[..]].concat(), 0);
    assert!(said.contains("sent → client → server"), "{said}");
}

#[test]
fn a_ttl_change_has_both_values_and_the_hops() {
    let found = findings(&[CLIENT, SERVER]);
    let change = found.directions[0].protocols[0].changes.iter();
    let change = change.clone().find(|change| change.field == "ttl").unwrap();
    assert_eq!(
        (change.from.as_str(), change.to.as_str(), change.hops),
        ("64", "63", Some(1))
    );
}

#[test]
fn nothing_seen_is_no_success() {
    let folder = tempdir().unwrap();
    let files = ["a", "b"].map(|name| {
        let mut capture = Capture::read(CLIENT.as_ref());
        capture.frames.truncate(3);
        let file = folder.path().join(name);
        capture.write(&file, PCAP, Packing::Plain);
        file.to_str().unwrap().to_owned()
    });
    run(&["path", &files[0], &files[1]], 0);
    run(&["path", "--exit-code", &files[0], &files[1]], 1);
}

/// Root on Linux, as all that sends.
#[test]
fn a_list_in_a_loop_is_said_to_be_the_payload() {
    let send = |arguments: &[&str], input: &'static str| {
        let fixed = [
            "send",
            "127.0.0.1",
            "--protocols",
            "253",
            "--no-heartbeat",
            "-o",
            "/dev/null",
        ];
        let mut command = hdp(&[&fixed[..], arguments].concat());
        let done = command.write_stdin(input).assert().success();
        String::from_utf8(done.get_output().stderr.clone()).unwrap()
    };
    let said = send(&[], "10.77.1.2\n10.77.2.2\n");
    assert!(
        said.contains("payload: 20 bytes from standard input"),
        "{said}"
    );
    assert!(!send(&["--payload", "x"], "10.77.1.2\n").contains("standard input"));
    let said = send(&["--payload", "x", "--count", "3", "--interval", "0.9"], "");
    assert!(said.contains("sending 3 packets: about 2.7 s"), "{said}");
    assert!(!send(&["--payload", "x"], "").contains("about"));
}

/// Likewise.
#[test]
fn nothing_sent_is_an_error() {
    // Numbers that no Linux takes.
    run(
        &[
            "send",
            "127.0.0.1",
            "--protocols",
            "300",
            "--payload",
            "x",
            "--no-heartbeat",
        ],
        2,
    );
}

#[test]
fn completions_and_pages_are_made_for_every_command() {
    let commands = [
        "path",
        "dissect",
        "send",
        "trace",
        "diff",
        "interfaces",
        "completions",
        "man",
    ];
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (script, _) = run(&["completions", shell], 0);
        for command in commands {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    let folder = tempdir().unwrap();
    run(&["man", "--output", folder.path().to_str().unwrap()], 0);
    for command in commands {
        let page = folder.path().join(format!("hdp-{command}.1"));
        assert!(
            fs::read_to_string(page).unwrap().contains(".SH NAME"),
            "{command}"
        );
        assert!(
            run(&["man", command], 0).0.contains(".SH OPTIONS"),
            "{command}"
        );
    }
    run(&["man", "nothing"], 2);
}

/// What a shell offers, asked as a user asks: bash's completion function, zsh's compiler.
#[test]
fn shells_take_the_completions() {
    let (script, _) = run(&["completions", "bash"], 0);
    let ask = format!(
        "{script}\nCOMP_WORDS=(hdp di); COMP_CWORD=1; _hdp hdp di hdp; echo \"${{COMPREPLY[@]}}\""
    );
    let output = std::process::Command::new("bash")
        .args(["-c", &ask])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "dissect diff\n");
    let (script, _) = run(&["completions", "zsh"], 0);
    let folder = tempdir().unwrap();
    let file = folder.path().join("_hdp");
    fs::write(&file, script).unwrap();
    match std::process::Command::new("zsh")
        .arg("-n")
        .arg(&file)
        .status()
    {
        Ok(status) => assert!(status.success()),
        Err(_) => eprintln!("zsh is not installed: its completions are not tried"),
    }
}

/// The view over files, on a real terminal.
#[test]
fn files_are_looked_through_on_a_terminal_and_reported_then() {
    let (_, error) = run(&["path", "--view", CLIENT, SERVER], 2);
    assert!(error.contains("--view: needs a terminal"), "{error}");
    let tmux = |arguments: &[&str]| {
        let mut command = std::process::Command::new("tmux");
        command
            .args(["-L", "hdp-first-use"])
            .args(arguments)
            .stderr(Stdio::null());
        command.output()
    };
    let program = env!("CARGO_BIN_EXE_hdp");
    let line = format!("{program} path --view {CLIENT} {SERVER}; sleep 60");
    match tmux(&["new-session", "-d", "-x", "100", "-y", "30", &line]) {
        Ok(output) if output.status.success() => {}
        _ => {
            eprintln!("tmux is not installed: the view is not tried");
            return;
        }
    }
    let wait_for = |what: &str| {
        for _ in 0..600 {
            let screen = tmux(&["capture-pane", "-p"]).unwrap().stdout;
            let screen = String::from_utf8(screen).unwrap();
            if screen.contains(what) {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("{what} does not show");
    };
    wait_for("50 ESP           X blocked");
    tmux(&["send-keys", "n", "Enter"]).unwrap();
    wait_for("Last packets");
    tmux(&["send-keys", "q"]).unwrap();
    wait_for("Captures, 2026-11-22 UTC");
    tmux(&["kill-server"]).unwrap();
}

/// What netfilter dropped is no point of the path: from a pipe it is refused, or it would count as seen.
#[test]
fn a_netfilter_log_in_a_pipe_is_no_point() {
    let folder = tempdir().unwrap();
    // A client's packets as if its rules had logged them: an empty NFLOG header, then IP.
    let client = Capture::read(CLIENT.as_ref());
    let mut log = Capture::new(239);
    for frame in &client.frames {
        if frame.bytes[12..14] == [8, 0] {
            let payload = &frame.bytes[14..];
            let len = u16::try_from(4 + payload.len()).unwrap().to_le_bytes();
            let bytes = [&[2, 0, 0, 0][..], &len, &[9, 0], payload].concat();
            log.push(frame.time_ns, bytes);
        }
    }
    let file = folder.path().join("log.pcap");
    log.write(&file, PCAP, Packing::Plain);
    let bytes = fs::read(&file).unwrap();
    let mut command = hdp(&["path", CLIENT, "-"]);
    let failed = command.write_stdin(bytes).assert().code(2);
    let said = String::from_utf8_lossy(&failed.get_output().stderr).into_owned();
    assert!(
        said.contains("is what netfilter logged") && said.lines().count() == 1,
        "{said}"
    );
    // From a file it is a witness: with it alone there is one point left.
    let (_, said) = run(&["path", CLIENT, file.to_str().unwrap()], 2);
    assert!(said.contains("one observation point only"), "{said}");
}

/// tcpdump -C and -G, and dumpcap -b, begin file after file.
#[test]
fn files_of_one_capture_are_told_from_points() {
    let said = |files: &[(&str, &Capture)], more: &[&str]| -> Vec<String> {
        let folder = tempdir().unwrap();
        let written = files.iter().map(|(name, capture)| {
            let file = folder.path().join(name);
            capture.write(&file, PCAP, Packing::Plain);
            file.to_str().unwrap().to_owned()
        });
        let written: Vec<String> = written.collect();
        let files = written
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied());
        let warnings = findings(&files.collect::<Vec<_>>()).warnings;
        let said = warnings.iter().filter_map(|warning| match warning {
            Warning::GoesOn { from, to } => Some(format!("{from}, {to}: one capture")),
            Warning::OtherRun { from, to, .. } => Some(format!("{from}, {to}: other runs")),
            Warning::ClocksUnrelated { from, to, .. } => Some(format!("{from}, {to}: unrelated")),
            _ => None,
        });
        said.collect()
    };
    let whole = Capture::read(CLIENT.as_ref());
    let mut first = whole.clone();
    let mut second = whole.clone();
    second.frames = first.frames.split_off(whole.frames.len() / 2);
    assert_eq!(
        said(&[("client0", &first), ("client1", &second)], &[SERVER]),
        ["client0, client1: one capture"]
    );
    // Nothing else is said of two that have no packet in common.
    assert_eq!(
        said(&[("client0", &first), ("client1", &second)], &[]),
        ["client0, client1: one capture"]
    );
    // Points are of one time; and files of another run begin much later.
    assert_eq!(said(&[("client", &whole)], &[SERVER]), [""; 0]);
    let later = shifted(CLIENT, 3_600);
    assert_eq!(
        said(&[("client0", &whole), ("client1", &later)], &[SERVER]),
        [""; 0]
    );
    // What lies behind a router shows the same hosts, not as far away.
    let server = Capture::read(SERVER.as_ref());
    let end_ns = first.frames[first.frames.len() - 1].time_ns;
    let mut behind = server.clone();
    behind.frames.retain(|frame| frame.time_ns > end_ns);
    assert!(behind.frames.len() > 10);
    assert_eq!(
        said(&[("client", &first), ("server", &behind)], &[]),
        [""; 0]
    );
}
