//! What comes from files and names reaches no terminal as it is: no control character, no formula.
#![cfg(feature = "cli")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::support::{
    capture::{ByteOrder, Capture, Format, PacketBlock},
    frames::Packet,
    scene::START_NS,
};

/// An interface that clears the screen, and files that colour it, turn a line round and forge another.
const INTERFACE: &[u8; 4] = b"\x1b[2J";
const FILES: [&str; 2] = ["a\u{1b}[31m\u{202e}.pcapng", "b\nforged\u{9b}.pcapng"];

/// Writes captures of one packet seen by both and one that is lost.
fn captures(folder: &Path) {
    for (hops, file) in (0..).zip(FILES) {
        let mut capture = Capture::new(101);
        for index in 0..20_i64 {
            let at = START_NS + index * 1_000_000;
            let mut packet = Packet::new(
                [10, 0, 0, 1].into(),
                [10, 0, 9, 1].into(),
                253,
                at.cast_unsigned(),
            );
            packet.ip.ttl -= hops;
            packet.payload = b"\x1b]0;title\x07 payload".to_vec();
            if hops == 0 || index != 10 {
                capture.push(at + i64::from(hops) * 1_000_000, packet.to_ip());
            }
        }
        let format = Format::Pcapng {
            order: ByteOrder::Little,
            block: PacketBlock::Enhanced,
        };
        let mut bytes = capture.to_bytes(format);
        let name = bytes
            .windows(4)
            .position(|window| window == b"eth0")
            .unwrap();
        bytes[name..name + 4].copy_from_slice(INTERFACE);
        fs::write(folder.join(file), bytes).unwrap();
    }
}

fn hdp(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hdp"))
        .current_dir(folder)
        .env("COLUMNS", "100")
        .args(arguments)
        .output()
        .unwrap()
}

fn assert_plain(output: &Output, what: &[&str]) {
    for bytes in [&output.stdout, &output.stderr] {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let is_obeyed = |c: char| {
            c.is_control() && c != '\n' && c != '\t' || ('\u{202a}'..='\u{202e}').contains(&c)
        };
        let line = text.lines().find(|line| line.contains(is_obeyed));
        assert_eq!(line, None, "{what:?}");
        assert!(
            !text.lines().any(|line| line.starts_with("forged")),
            "{what:?}: {text}"
        );
    }
}

#[test]
fn no_name_and_no_payload_reaches_the_terminal_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    captures(folder.path());
    let [a, b] = FILES;
    let explain = format!("{}:11", r"a\x1b[31m\u{202e}");
    let commands: [&[&str]; 12] = [
        &["path", a, b],
        &["path", "--format", "markdown", a, b],
        &["path", "--format", "csv", a, b],
        &["path", "--format", "json", a, b],
        &["path", "--format", "html", a, b],
        &["path", "--explain", &explain, a, b],
        &["path", "--packets", "/dev/stdout", "-o", "/dev/null", a, b],
        &["dissect", a],
        &["dissect", "--tree", "--hex", a],
        &["dissect", "--format", "jsonl", a],
        // What fails says so in one line.
        &["path", "missing\u{1b}[31m\nforged", b],
        &["dissect", "missing\u{1b}[31m\nforged"],
    ];
    for command in commands {
        let output = hdp(folder.path(), command);
        let fails = command.iter().any(|word| word.starts_with("missing"));
        assert_eq!(output.status.success(), !fails, "{command:?}: {output:?}");
        assert_plain(&output, command);
    }
    let told = hdp(folder.path(), &["path", "--explain", &explain, a, b]);
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains(r"\x1b[2J"), "the name is shown: {told}");
}

#[test]
fn no_cell_of_a_spreadsheet_is_a_formula() {
    let folder = tempfile::tempdir().unwrap();
    captures(folder.path());
    let [a, b] = FILES.map(|file| folder.path().join(file));
    let [from, to] =
        [("=2+5", &a), ("@SUM(A1)", &b)].map(|(name, file)| format!("{name}={}", file.display()));
    // The first equals sign parts name and file.
    let from = from.replacen("=2", "+2", 1);
    let output = hdp(folder.path(), &["path", "--format", "csv", &from, &to]);
    let text = String::from_utf8(output.stdout).unwrap();
    let row = text.lines().nth(1).unwrap();
    assert!(row.starts_with("'+2+5,'@SUM(A1),253,"), "{row}");
    // Numbers stay numbers.
    assert!(
        row.split(',').any(|cell| cell.parse::<i64>().is_ok()),
        "{row}"
    );
}

#[test]
fn what_another_program_reads_is_refused_with_the_command_that_converts_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("d.x")).unwrap();
    for (start, file, words) in [
        // Never over the file itself.
        (
            &b"BZh91AY&SY"[..],
            "d.x/c.pcap",
            "bzip2 -dc d.x/c.pcap > d.x/c.converted.pcap",
        ),
        (
            &b"snoop\0\0\0\0\0\0\x02\0\0\0\x04"[..],
            "sun.snoop",
            "is a snoop capture, which hdp does not read: editcap -F pcap sun.snoop sun.pcap",
        ),
        (
            b"GMBU\0\x02\x01\0",
            "a b.cap",
            "editcap -F pcap 'a b.cap' 'a b.pcap'",
        ),
        (
            b"\xfd7zXZ\0\0\x04",
            "a.pcap.xz",
            "is packed with xz, which hdp does not read: xz -dc a.pcap.xz > a.pcap",
        ),
        (b"BZh91AY&SY", "a.bz2", "bzip2 -dc a.bz2 > a.pcap"),
        (b"\x04\x22\x4d\x18\x64", "a.lz4", "lz4 -dc a.lz4 > a.pcap"),
    ] {
        fs::write(folder.path().join(file), start).unwrap();
        let output = hdp(folder.path(), &["dissect", file]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(words) && told.lines().count() == 1, "{told}");
        assert!(!output.status.success());
    }
}
