//! `dissector.lua` in the tshark that is installed: what it claims, what it leaves alone, and that
//! it reads the same as `hdp dissect`.
//!
//! tshark ends with status 0 whatever becomes of a script, so each run's standard error is read
//! too ([`Tshark::run`]), and broken scripts show that every check can fail. It runs without
//! anybody's settings, in a time zone that is not UTC. `UPDATE_EXPECTED=1` writes the golden files
//! anew.
#![cfg(feature = "cli")]

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use crate::support::{
    capture::{ByteOrder, Capture, Format, OwnedFrame, Packing},
    frames::{Extension, Ip, Link, Packet, QUOTES, Quote, icmp_error, ip, ip_in_ip, udp, vlan},
    world::Random,
};
use serde_json::Value;

const SCRIPT: &str = "dissector.lua";
const GOLDEN: &str = "tests/golden";

/// 2026-11-22T09:58:19.692123456Z.
const TIME_NS: i64 = 1_795_341_499_692_123_456;

/// What the golden files hold.
const FIELDS: [&str; 18] = [
    "frame.number",
    "hdp.ip_proto",
    "hdp.claim",
    "hdp.srcport",
    "hdp.dstport",
    "hdp.timestamp.ns",
    "hdp.delay",
    "hdp.payload.length",
    "hdp.payload",
    "hdp.payload.encoding",
    "hdp.payload.decoded",
    "hdp.short",
    "hdp.snaplen",
    "hdp.quoted",
    "hdp.timestamp.implausible",
    "hdp.timestamp.future",
    "hdp.fate",
    "hdp.path_delay",
];

/// As hdp reads: fragments as they come, where Wireshark would show the datagram at its last one,
/// and no number without a plausible timestamp.
const AS_HDP: [&str; 6] = [
    "-o",
    "ip.defragment:FALSE",
    "-o",
    "ipv6.defragment:FALSE",
    "-o",
    "hdp.numbers:",
];

// --- tshark --------------------------------------------------------------------------------------

/// tshark with a script, or without any, and without anybody's settings.
struct Tshark {
    home: tempfile::TempDir,
    script: Option<PathBuf>,
}

impl Tshark {
    fn with(script: impl Into<PathBuf>) -> Self {
        Self {
            script: Some(script.into()),
            ..Self::plain()
        }
    }

    fn plain() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            script: None,
        }
    }

    /// What it prints, or what a script did wrong: that shows on standard error alone.
    fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<String, String> {
        let mut command = Command::new("tshark");
        command
            .env("HOME", self.home.path())
            .env("WIRESHARK_CONFIG_DIR", self.home.path())
            .env("TZ", "America/New_York")
            .args(arguments);
        if let Some(script) = &self.script {
            command.arg(format!("-Xlua_script:{}", script.display()));
        }
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let is_wrong = |line: &&str| {
            ["Lua:", "doesn't exist", "Dissector bug"]
                .iter()
                .any(|sign| line.contains(sign))
        };
        match stderr.lines().find(is_wrong) {
            Some(line) => Err(line.to_owned()),
            None if !output.status.success() => Err(stderr.into_owned()),
            None => Ok(String::from_utf8(output.stdout).unwrap()),
        }
    }

    /// Fields of the frames that pass a filter, one line a frame.
    fn fields(
        &self,
        file: &Path,
        filter: &str,
        fields: &[&str],
        more: &[&str],
    ) -> Result<Vec<Vec<String>>, String> {
        let file = file.to_str().unwrap();
        let mut arguments = vec!["-n", "-r", file, "-Y", filter, "-T", "fields"];
        for field in fields {
            arguments.extend(["-e", field]);
        }
        arguments.extend(more);
        let text = self.run(&arguments)?;
        Ok(text
            .lines()
            .map(|line| line.split('\t').map(str::to_owned).collect())
            .collect())
    }
}

/// Whether there is a tshark; if not, one line says so.
fn is_there(test: &str) -> bool {
    let there = Command::new("tshark").arg("--version").output().is_ok();
    if !there {
        eprintln!("{test}: skipped, there is no tshark");
    }
    there
}

// --- Captures ------------------------------------------------------------------------------------

fn addresses(version: u8) -> (IpAddr, IpAddr) {
    let (client, server) = match version {
        4 => ("10.77.1.2", "10.77.2.2"),
        _ => ("fd77:1::2", "fd77:2::2"),
    };
    (client.parse().unwrap(), server.parse().unwrap())
}

/// HDP that was stamped 23 µs before it was captured.
fn hdp(version: u8, protocol: u8, payload: &[u8]) -> Packet {
    let (client, server) = addresses(version);
    Packet {
        payload: payload.to_vec(),
        ..Packet::new(
            client,
            server,
            protocol,
            u64::try_from(TIME_NS - 23_000).unwrap(),
        )
    }
}

/// All 256 numbers, with no payload, a short one and a long one.
fn sweep(version: u8) -> Capture {
    let mut capture = Capture::new(1);
    for payload_len in [0, 33, 1400] {
        for protocol in 0..=255 {
            let packet = hdp(version, protocol, &vec![b'x'; payload_len]);
            capture.push(TIME_NS, Link::ETHERNET.frame(&ip(packet.to_ip())));
        }
    }
    capture
}

/// What else there is on a network, some of it under HDP's port or cut by the capture.
fn genuine() -> Capture {
    let mut capture = Capture::new(1);
    let mut push = |datagram: Vec<u8>| {
        let time_ns = TIME_NS + 1_000_000 * i64::try_from(capture.frames.len()).unwrap();
        capture.push(time_ns, Link::ETHERNET.frame(&ip(datagram)));
    };
    for version in [4, 6] {
        let (client, server) = addresses(version);
        let forth = |protocol| Ip::new(client, server, protocol);
        let back = |protocol| Ip::new(server, client, protocol);
        let request = b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n";
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        push(forth(6).datagram(&tcp(40_000, 80, 1, 0, 0x02, b"")));
        push(back(6).datagram(&tcp(80, 40_000, 7, 2, 0x12, b"")));
        push(forth(6).datagram(&tcp(40_000, 80, 2, 8, 0x18, request)));
        push(back(6).datagram(&tcp(80, 40_000, 8, 38, 0x18, answer)));
        push(forth(6).datagram(&tcp(40_000, 80, 38, 48, 0x11, b"")));
        // A segment of HDP's own port, and one without anything behind the header.
        push(forth(6).datagram(&tcp(420, 420, 1, 0, 0x02, b"")));
        let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01";
        let question = udp(&forth(17), 40_001, 53, query);
        push(question.clone());
        push(udp(&forth(17), 420, 420, b"port 420 is not HDP's alone"));
        push(udp(&forth(17), 420, 53, query));
        push(udp(&forth(17), 420, 40_002, b"tiny"));
        let (echo, reply, unreachable) = if version == 4 {
            (8, 0, 3)
        } else {
            (128, 129, 1)
        };
        let icmp = if version == 4 { 1 } else { 58 };
        push(forth(icmp).datagram(&[&[echo, 0, 0, 0, 0, 1, 0, 1], &[0xaa; 48][..]].concat()));
        push(back(icmp).datagram(&[&[reply, 0, 0, 0, 0, 1, 0, 1], &[0xaa; 48][..]].concat()));
        for quote in QUOTES {
            push(icmp_error(&back(icmp), unreachable, 3, &question, quote));
        }
        push(forth(50).datagram(&[&[0, 0, 1, 2, 0, 0, 0, 9], &[0x5a; 64][..]].concat()));
        push(forth(47).datagram(&[&[0, 0, 8, 0], &back(17).datagram(&[0; 8])[..]].concat()));
        push(forth(132).datagram(&[0x1f, 0x90, 0x1f, 0x91, 0, 0, 0, 1, 0, 0, 0, 0, 3, 0, 0, 4]));
        push(forth(89).datagram(&[0x55; 44]));
        push(forth(59).datagram(&[0; 16]));
        for fragment in forth(17).fragments(&[0x33; 2000], 1280) {
            push(fragment);
        }
        if version == 6 {
            for number in Extension::NUMBERS {
                let mut with_extension = forth(17);
                with_extension.extensions.push(Extension::new(number));
                push(udp(
                    &with_extension,
                    40_003,
                    40_004,
                    b"behind an extension header",
                ));
            }
        }
        push(ip_in_ip(&forth(4), &ip(question)).bytes);
    }
    // What a short snapshot length leaves of it.
    let cut: Vec<OwnedFrame> = capture
        .frames
        .iter()
        .flat_map(|frame| [38, 46, 62].map(|len| cut(frame, len)))
        .collect();
    capture.frames.extend(cut);
    capture
}

/// A frame of which only the beginning was captured.
fn cut(frame: &OwnedFrame, len: usize) -> OwnedFrame {
    let mut frame = frame.clone();
    frame.bytes.truncate(len);
    frame
}

fn tcp(
    source: u16,
    destination: u16,
    sequence: u32,
    acknowledgement: u32,
    flags: u8,
    body: &[u8],
) -> Vec<u8> {
    let mut segment = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    segment.extend(sequence.to_be_bytes());
    segment.extend(acknowledgement.to_be_bytes());
    segment.extend([0x50, flags, 0x40, 0, 0, 0, 0, 0]);
    segment.extend(body);
    segment
}

/// What is told of HDP beside the ordinary: one packet for each thing.
fn oddities() -> Capture {
    let mut capture = Capture::new(1);
    let mut push = |datagram: Vec<u8>| {
        capture.push(TIME_NS, Link::ETHERNET.frame(&ip(datagram)));
    };
    for version in [4, 6] {
        let (client, server) = addresses(version);
        let forth = |protocol| Ip::new(client, server, protocol);
        let back = |protocol| Ip::new(server, client, protocol);
        let at = |protocol, seconds: i64| Packet {
            timestamp_ns: u64::try_from(TIME_NS + seconds * 1_000_000_000).unwrap(),
            ..hdp(version, protocol, b"hello")
        };
        push(hdp(version, 50, b"SGVsbG8gd29ybGQh\r\n").to_ip());
        push(hdp(version, 50, "Grüße, nicht base64".as_bytes()).to_ip());
        push(hdp(version, 50, b"password").to_ip());
        push(hdp(version, 50, b"").to_ip());
        // Within the window, at its edges, beyond it; 253 is HDP's whatever the time.
        for seconds in [-86_400, -86_401, 2, 86_400, 86_401] {
            push(at(50, seconds).to_ip());
            push(at(253, seconds).to_ip());
        }
        for len in [0, 1, 3, 4, 8, 11] {
            push(forth(50).datagram(&at(50, 0).hdp()[..len]));
            push(forth(253).datagram(&at(253, 0).hdp()[..len]));
        }
        // A valid UDP header of 420 bytes or not.
        push(at(17, 0).to_ip());
        push(at(17, 0).to_udp());
        push(at(17, -86_401).to_udp());
        push(udp(&forth(17), 420, 40_000, &at(17, 0).hdp()));
        push(udp(&forth(17), 40_001, 420, &at(17, 0).hdp()));
        push(udp(&forth(17), 40_001, 40_002, &at(17, 0).hdp()));
        for protocol in [6, 17, 50, 60, 253] {
            for quote in QUOTES {
                push(icmp_error(
                    &back(1),
                    if version == 4 { 3 } else { 1 },
                    0,
                    &at(protocol, 0).to_ip(),
                    quote,
                ));
            }
        }
        push(icmp_error(
            &back(1),
            if version == 4 { 3 } else { 1 },
            3,
            &at(17, 0).to_udp(),
            Quote::Whole,
        ));
        for fragment in hdp(version, 50, &[b'f'; 3000]).to_fragments(1500) {
            push(fragment);
        }
        for number in Extension::NUMBERS.into_iter().filter(|_| version == 6) {
            let mut packet = at(50, 0);
            packet.ip.extensions.push(Extension::new(number));
            push(packet.to_ip());
        }
        push(ip_in_ip(&forth(4), &ip(at(50, 0).to_ip())).bytes);
        let mut with_options = at(50, 0);
        with_options.ip.options = vec![1; 8];
        push(with_options.to_ip());
        let mut offloaded = at(50, 0);
        offloaded.ip.total_len = Some(0);
        push(offloaded.to_ip());
    }
    for protocol in [50, 253] {
        let frame = OwnedFrame::new(
            TIME_NS,
            Link::ETHERNET.frame(&ip(hdp(4, protocol, b"hello").to_ip())),
        );
        for len in 34..frame.bytes.len() {
            capture.frames.push(cut(&frame, len));
        }
    }
    let tagged = vlan(5, &ip(hdp(4, 50, b"hello").to_ip()));
    capture.push(TIME_NS, Link::ETHERNET.frame(&tagged));
    capture
}

fn write(capture: &Capture, folder: &tempfile::TempDir, name: &str) -> PathBuf {
    let file = folder.path().join(name);
    let format = Format::Pcap {
        order: ByteOrder::Little,
        nanoseconds: true,
    };
    capture.write(&file, format, Packing::Plain);
    file
}

/// Every capture of every fixture.
fn fixtures() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in fs::read_dir("fixtures").unwrap() {
        let folder = folder.unwrap().path();
        if folder.is_dir() {
            let captures = fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path());
            files.extend(captures.filter(|path| path.to_str().unwrap().contains(".pcap")));
        }
    }
    files.sort();
    assert!(files.len() >= 28, "{} captures", files.len());
    files
}

// --- A script that works, and scripts that do not ------------------------------------------------

/// What there is to complain about in a script.
#[derive(Debug, PartialEq, Eq)]
enum Complaint {
    /// tshark said so.
    Said(String),
    /// There is no protocol of the name.
    NoProtocol,
    /// Frames in which Lua failed.
    Failed(usize),
    /// Of 768 frames of a sweep over an IP version, HDP was found in fewer, or in more numbers than
    /// there are.
    Sweep {
        version: u8,
        frames: usize,
        numbers: usize,
    },
    /// tshark says something else of genuine traffic than without the script.
    Genuine(View),
}

/// Whether a list of protocols holds HDP; versions differ in what else they say of each.
fn has_hdp(protocols: &str) -> bool {
    protocols
        .lines()
        .any(|line| line.split('\t').take(3).eq(["HDP", "HDP", "hdp"]))
}

/// As `make install-dissector` leaves it, for a user who has nothing yet.
#[test]
fn installed_it_is_loaded_without_being_named() {
    if !is_there("installed_it_is_loaded_without_being_named") {
        return;
    }
    let tshark = Tshark::plain();
    let protocols = || tshark.run(&["-G", "protocols"]).unwrap();
    assert!(!has_hdp(&protocols()));
    let made = Command::new("make")
        .arg("install-dissector")
        .env("HOME", tshark.home.path())
        .env("WIRESHARK_CONFIG_DIR", tshark.home.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    assert!(has_hdp(&protocols()));
}

/// Everything that can be told of a script from outside.
fn complaints(script: &Path) -> Vec<Complaint> {
    let folder = tempfile::tempdir().unwrap();
    let tshark = Tshark::with(script);
    let mut complaints = Vec::new();
    match tshark.run(&["-G", "protocols"]) {
        Ok(protocols) if has_hdp(&protocols) => {}
        Ok(_) => complaints.push(Complaint::NoProtocol),
        Err(said) => return vec![Complaint::Said(said)],
    }
    if complaints.contains(&Complaint::NoProtocol) {
        return complaints;
    }
    for version in [4, 6] {
        let file = write(&sweep(version), &folder, "sweep.pcap");
        let fields = ["hdp.ip_proto", "_ws.lua.error"];
        let frames = match tshark.fields(&file, "hdp or _ws.lua.error", &fields, &[]) {
            Ok(frames) => frames,
            Err(said) => {
                complaints.push(Complaint::Said(said));
                continue;
            }
        };
        let (failed, found): (Vec<_>, Vec<_>) =
            frames.into_iter().partition(|fields| !fields[1].is_empty());
        if !failed.is_empty() {
            complaints.push(Complaint::Failed(failed.len()));
        }
        let frames = found.len();
        let numbers: BTreeSet<String> = found.into_iter().flatten().collect();
        let numbers = numbers.iter().filter(|number| !number.is_empty()).count();
        if (frames, numbers) != (768, 256) {
            complaints.push(Complaint::Sweep {
                version,
                frames,
                numbers,
            });
        }
    }
    for (view, without) in &*OF_GENUINE {
        match view.of(&tshark) {
            Ok(with) if with == *without => {}
            Ok(_) => complaints.push(Complaint::Genuine(*view)),
            Err(said) => complaints.push(Complaint::Said(said)),
        }
    }
    complaints
}

/// What tshark says of genuine traffic, in one way or another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    /// The packet list and every tree.
    Packets,
    /// Conversations and experts.
    Statistics,
}

/// What it says without a script.
static OF_GENUINE: LazyLock<[(View, String); 2]> = LazyLock::new(|| {
    [View::Packets, View::Statistics].map(|view| (view, view.of(&Tshark::plain()).unwrap()))
});

impl View {
    fn of(self, tshark: &Tshark) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = write(&genuine(), &folder, "genuine.pcap");
        let mut arguments = match self {
            Self::Packets => vec!["-P", "-V"],
            Self::Statistics => vec!["-q", "-z", "expert"],
        };
        if self == Self::Statistics {
            for conversations in ["conv,eth", "conv,ip", "conv,ipv6", "conv,tcp", "conv,udp"] {
                arguments.extend(["-z", conversations]);
            }
        }
        arguments.extend(["-r", file.to_str().unwrap()]);
        tshark.run(&arguments)
    }
}

#[test]
fn every_number_is_claimed_and_genuine_traffic_left_alone() {
    if is_there("every_number_is_claimed_and_genuine_traffic_left_alone") {
        assert_eq!(complaints(Path::new(SCRIPT)), []);
    }
}

#[test]
fn a_broken_script_does_not_pass() {
    if !is_there("a_broken_script_does_not_pass") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = fs::read_to_string(SCRIPT).unwrap();
    let broken = |from: &str, to: &str| {
        assert!(script.contains(from), "{from}");
        let file = folder.path().join("broken.lua");
        fs::write(&file, script.replacen(from, to, 1)).unwrap();
        complaints(&file)
    };
    let said = |complaints: &[Complaint]| matches!(complaints, [Complaint::Said(_), ..]);

    assert!(said(&complaints(&folder.path().join("missing.lua"))));
    // A syntax error, an error while loading.
    assert!(said(&broken(
        "local is_first, hdp = pcall(",
        "local is_first, hdp = = pcall("
    )));
    assert!(said(&broken("hdp.fields = ", "hdp.felds.x = ")));
    // An error in every packet that is HDP.
    let failed = broken(
        "local timestamp = time_of(range)",
        "local timestamp = time_of(nil)",
    );
    assert!(failed.contains(&Complaint::Failed(768)), "{failed:?}");
    // An error in the code that looks at every frame.
    let failed = broken(
        "local function ip_heuristic(tvb, pinfo, root)\n",
        "local function ip_heuristic(tvb, pinfo, root)\nerror('x')\n",
    );
    assert!(
        failed
            .iter()
            .any(|complaint| matches!(complaint, Complaint::Failed(_))),
        "{failed:?}"
    );
    assert!(
        failed.contains(&Complaint::Genuine(View::Packets)),
        "{failed:?}"
    );
    // Another name.
    assert_eq!(
        broken("Proto, \"hdp\", \"HDP\")", "Proto, \"hdq\", \"HDQ\")"),
        [Complaint::NoProtocol]
    );
    // Each of the layers left out.
    let without_numbers = |complaints: &[Complaint], wanted: usize| {
        complaints.iter().any(
            |complaint| matches!(complaint, Complaint::Sweep { numbers, .. } if *numbers == wanted),
        )
    };
    let missed = broken("set_preference(\"ip.try_heuristic_first\", true)", "");
    assert!(
        missed
            .iter()
            .any(|complaint| matches!(complaint, Complaint::Sweep { version: 4, .. })),
        "{missed:?}"
    );
    let missed = broken("register_postdissector(after)", "");
    assert!(without_numbers(&missed, 248), "{missed:?}");
    // A claim of genuine TCP, with the conversations that it costs.
    let greedy = broken(
        "local function is_plausible(tvb, pinfo)\n",
        "local function is_plausible(tvb, pinfo)\nif true then return true end\n",
    );
    for view in [View::Packets, View::Statistics] {
        assert!(greedy.contains(&Complaint::Genuine(view)), "{greedy:?}");
    }
}

// --- The same as hdp dissect ---------------------------------------------------------------------

/// What both say of one packet.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    number: String,
    is_quote: bool,
    ports: [String; 2],
    timestamp_ns: Option<String>,
    delay_ns: Option<i64>,
    payload_len: String,
    payload: String,
    is_base64: bool,
}

/// By frame; no frame here holds two.
type Readings = BTreeMap<u64, Reading>;

/// What tshark reads, all of it told by the timestamp.
fn by_tshark(script: &Path, file: &Path) -> Readings {
    let fields = [
        "frame.number",
        "hdp.ip_proto",
        "hdp.is_quote",
        "hdp.srcport",
        "hdp.dstport",
        "hdp.timestamp.ns",
        "hdp.delay",
        "hdp.payload.length",
        "hdp.payload",
        "hdp.payload.encoding",
    ];
    let lines = Tshark::with(script)
        .fields(file, "hdp", &fields, &AS_HDP)
        .unwrap();
    let reading = |line: Vec<String>| {
        let mut fields = line.into_iter();
        let mut next = || fields.next().unwrap();
        let frame = next().parse().unwrap();
        let reading = Reading {
            number: next(),
            is_quote: !next().is_empty(),
            ports: [next(), next()],
            timestamp_ns: Some(next()).filter(|text| !text.is_empty()),
            delay_ns: nanoseconds(&next()),
            payload_len: next(),
            payload: next(),
            is_base64: next() == "base64",
        };
        (frame, reading)
    };
    lines.into_iter().map(reading).collect()
}

/// `-0.000023000` in nanoseconds.
fn nanoseconds(seconds: &str) -> Option<i64> {
    let (whole, fraction) = seconds.split_once('.')?;
    assert_eq!(fraction.len(), 9, "{seconds}");
    Some(format!("{whole}{fraction}").parse().unwrap())
}

fn by_hdp(file: &Path) -> Readings {
    let output = Command::new(env!("CARGO_BIN_EXE_hdp"))
        .args(["dissect", "--format", "jsonl"])
        .arg(file)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let reading = |line: &str| {
        let packet: Value = serde_json::from_str(line).unwrap();
        let number = |member: &str| packet[member].to_string();
        let reading = Reading {
            number: number("protocol"),
            is_quote: !packet["quoted_by"].is_null(),
            ports: [number("srcport"), number("dstport")],
            timestamp_ns: packet["timestamp_ns"].as_u64().map(|ns| ns.to_string()),
            delay_ns: packet["delay_ns"].as_i64(),
            payload_len: number("payload_len"),
            payload: packet["payload"].as_str().unwrap_or_default().to_owned(),
            is_base64: packet["encoding"] == "base64",
        };
        (packet["frame"].as_u64().unwrap(), reading)
    };
    text.lines().map(reading).collect()
}

/// Frames that a script reads in another way than hdp does, among at least so many packets.
#[track_caller]
fn differences(script: &Path, file: &Path, least: usize) -> Vec<String> {
    let (theirs, ours) = (by_tshark(script, file), by_hdp(file));
    let name = file.display();
    assert!(ours.len() >= least, "{name}: only {} packets", ours.len());
    let frames: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    frames
        .into_iter()
        .map(|frame| (frame, theirs.get(frame), ours.get(frame)))
        .filter(|(_, theirs, ours)| theirs != ours)
        .map(|(frame, theirs, ours)| {
            format!("{name}, frame {frame}: tshark {theirs:?}, hdp {ours:?}")
        })
        .collect()
}

#[track_caller]
fn assert_same(file: &Path, least: usize) {
    let differences = differences(Path::new(SCRIPT), file, least);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn another_reading_does_not_go_unnoticed() {
    if !is_there("another_reading_does_not_go_unnoticed") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = write(&oddities(), &folder, "oddities.pcap");
    let script = fs::read_to_string(SCRIPT).unwrap();
    for (right, wrong) in [
        ("time.value - timestamp", "timestamp - time.value"),
        ("is_quote and quoted_len(tvb) or", ""),
        ("delay <= window and delay >= -window", "true"),
        ("not TRANSPARENT[number] or", "true or"),
    ] {
        let broken = folder.path().join("broken.lua");
        fs::write(&broken, script.replace(right, wrong)).unwrap();
        assert!(!differences(&broken, &file, 60).is_empty(), "{right}");
    }
}

#[test]
fn it_reads_every_fixture_as_hdp_does() {
    if is_there("it_reads_every_fixture_as_hdp_does") {
        for file in fixtures() {
            assert_same(&file, 15);
        }
    }
}

#[test]
fn it_reads_a_sweep_as_hdp_does() {
    if is_there("it_reads_a_sweep_as_hdp_does") {
        let folder = tempfile::tempdir().unwrap();
        for version in [4, 6] {
            assert_same(&write(&sweep(version), &folder, "sweep.pcap"), 768);
        }
    }
}

#[test]
fn it_reads_oddities_as_hdp_does() {
    if is_there("it_reads_oddities_as_hdp_does") {
        let folder = tempfile::tempdir().unwrap();
        assert_same(&write(&oddities(), &folder, "oddities.pcap"), 60);
    }
}

/// So many packets of all kinds, each another one.
fn generated(seed: u64, count: usize) -> Capture {
    let mut random = Random::new(seed);
    let mut capture = Capture::new(1);
    for index in 0..count {
        let version = random.pick(&[4, 6]);
        let payload: Vec<u8> = match random.below(4) {
            0 => random
                .pick(&[&b"SGVsbG8="[..], b"SGVsbG8gd29ybGQh\r\n", b"password", b""])
                .to_vec(),
            1 => (0..random.below(20)).map(|_| random.byte()).collect(),
            2 => (0..random.below(20))
                .map(|_| b' ' + random.byte() % 95)
                .collect(),
            _ => vec![random.byte(); random.below(1_300)],
        };
        let mut packet = hdp(version, random.byte(), &payload);
        let [from, to] = [random.byte(), random.byte()].map(|byte| 40_000 + u16::from(byte));
        packet.srcport = random.pick(&[420, 0, 65_535, from]);
        // A control from port 420 to one of another protocol's stays that one's in Wireshark.
        let known = if packet.srcport == 420 { to } else { 53 };
        packet.dstport = random.pick(&[420, known, to]);
        packet.ip.ttl = random.byte();
        packet.ip.id = u32::try_from(index).unwrap();
        // Most within the window, some at its edges or beyond.
        let day = 86_400_000_000_000;
        let off = match random.below(10) {
            0 => random.within(-2 * day..2 * day),
            1 => random.pick(&[-day, -day - 1, day, day + 1, 0, 1, -1]),
            _ => random.within(-2_000_000_000..1_000_000),
        };
        packet.timestamp_ns = (TIME_NS + off).cast_unsigned();
        let datagram = match random.below(16) {
            0 => packet.to_udp(),
            1 | 2 => {
                let back = Ip::new(packet.ip.dst, packet.ip.src, 1);
                let icmp_type = random.pick(if version == 4 {
                    &[3, 11, 12]
                } else {
                    &[1, 3, 4]
                });
                let code = random.byte() % 4;
                let quoted = if random.happens(200) {
                    packet.to_udp()
                } else {
                    packet.to_ip()
                };
                icmp_error(&back, icmp_type, code, &quoted, random.pick(&QUOTES))
            }
            3 if !payload.is_empty() => packet.to_fragments(96).swap_remove(0),
            4 | 5 if version == 4 => {
                packet.ip.options = vec![1; 4 * (1 + random.below(10))];
                packet.to_ip()
            }
            4 | 5 => {
                for _ in 0..=random.below(2) {
                    let number = random.pick(&Extension::NUMBERS);
                    packet.ip.extensions.push(Extension::new(number));
                }
                packet.to_ip()
            }
            6 => {
                let (client, server) = addresses(random.pick(&[4, 6]));
                let protocol = if version == 4 { 4 } else { 41 };
                ip_in_ip(&Ip::new(client, server, protocol), &ip(packet.to_ip())).bytes
            }
            // Other traffic: random bytes, some with what may be the upper half of a timestamp.
            7 => {
                let mut bytes: Vec<u8> = (0..random.below(60)).map(|_| random.byte()).collect();
                if let Some(upper) = bytes.get_mut(4..8).filter(|_| random.happens(500)) {
                    upper.copy_from_slice(&packet.timestamp_ns.to_be_bytes()[..4]);
                }
                packet.ip.datagram(&bytes)
            }
            _ => packet.to_ip(),
        };
        let mut network = ip(datagram);
        if random.happens(100) {
            network = vlan(5, &network);
        }
        let mut frame = OwnedFrame::new(TIME_NS, Link::ETHERNET.frame(&network));
        if random.happens(100) {
            frame
                .bytes
                .truncate(34 + random.below(frame.bytes.len() - 33));
        }
        capture.frames.push(frame);
    }
    capture
}

/// `make test-dissector` asks for a million.
#[test]
fn it_reads_generated_packets_as_hdp_does() {
    const IN_A_FILE: usize = 50_000;
    if !is_there("it_reads_generated_packets_as_hdp_does") {
        return;
    }
    let asked = std::env::var("HDP_DISSECTED").ok();
    let count: usize = asked.map_or(20_000, |count| count.parse().expect("a number of packets"));
    let folder = tempfile::tempdir().unwrap();
    for (seed, from) in (1..).zip((0..count).step_by(IN_A_FILE)) {
        let count = IN_A_FILE.min(count - from);
        let file = write(&generated(seed, count), &folder, "generated.pcap");
        assert_same(&file, count / 2);
    }
}

// --- Golden files --------------------------------------------------------------------------------

#[test]
fn what_it_shows_is_what_was_reviewed() {
    if !is_there("what_it_shows_is_what_was_reviewed") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for (name, file) in [
        ("oddities", write(&oddities(), &folder, "oddities.pcap")),
        ("control", "fixtures/control/client.pcap".into()),
    ] {
        let lines = Tshark::with(SCRIPT)
            .fields(&file, "hdp", &FIELDS, &[])
            .unwrap();
        let mut shown = FIELDS.join("\t") + "\n";
        for line in lines {
            shown += &(line.join("\t") + "\n");
        }
        let golden = Path::new(GOLDEN).join(name).with_extension("tsv");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&golden, &shown).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        let differs = shown
            .lines()
            .zip(expected.lines())
            .find(|(shown, expected)| shown != expected);
        if let Some((shown, expected)) = differs {
            wrong.push(format!("{name}: shown\n{shown}\nexpected\n{expected}"));
        } else if shown.lines().count() != expected.lines().count() {
            wrong.push(format!("{name}: {} packets", shown.lines().count() - 1));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

// --- Statistics, preferences, colours ------------------------------------------------------------

/// Packets and quotes by number, 256 being the control, as `-z hdp,proto` prints them.
fn counts_by_tshark(file: &Path) -> BTreeMap<u64, [u64; 2]> {
    let file = file.to_str().unwrap();
    let mut arguments = vec!["-q", "-z", "hdp,proto", "-r", file];
    arguments.extend(AS_HDP);
    let text = Tshark::with(SCRIPT).run(&arguments).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("HDP by IP protocol number"));
    assert_eq!(lines.next(), Some("Number       Packets  ICMP quotes"));
    let counts: BTreeMap<u64, [u64; 2]> = lines
        .map(|line| {
            let line = line.replace("UDP control", "256").replace("all", "257");
            let numbers: Vec<u64> = line
                .split_whitespace()
                .map(|word| word.parse().unwrap())
                .collect();
            (numbers[0], [numbers[1], numbers[2]])
        })
        .collect();
    let all = counts[&257];
    let sum = |kind: usize| -> u64 { counts.range(..257).map(|(_, counts)| counts[kind]).sum() };
    assert_eq!(all, [sum(0), sum(1)]);
    counts
        .into_iter()
        .filter(|(number, _)| *number != 257)
        .collect()
}

#[test]
fn statistics_count_what_hdp_counts() {
    if !is_there("statistics_count_what_hdp_counts") {
        return;
    }
    for file in [
        "control/client.pcap",
        "ipv6/server.pcap",
        "fragments/server.pcap",
    ] {
        let file = Path::new("fixtures").join(file);
        let output = Command::new(env!("CARGO_BIN_EXE_hdp"))
            .args(["dissect", "--format", "jsonl"])
            .arg(&file)
            .output()
            .unwrap();
        let mut ours: BTreeMap<u64, [u64; 2]> = BTreeMap::new();
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let packet: Value = serde_json::from_str(line).unwrap();
            let number = match packet["carrier"].as_str() {
                Some("udp") => 256,
                _ => packet["protocol"].as_u64().unwrap(),
            };
            ours.entry(number).or_default()[usize::from(!packet["quoted_by"].is_null())] += 1;
        }
        assert_eq!(counts_by_tshark(&file), ours, "{}", file.display());
    }
}

#[test]
fn preferences_and_decode_as_choose_what_is_claimed() {
    if !is_there("preferences_and_decode_as_choose_what_is_claimed") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut capture = Capture::new(1);
    // Stamped ten days before they were captured.
    for protocol in [6, 50, 253, 254] {
        let mut packet = hdp(4, protocol, b"SGVsbG8gd29ybGQh");
        packet.timestamp_ns -= 864_000_000_000_000;
        capture.push(TIME_NS, Link::ETHERNET.frame(&ip(packet.to_ip())));
    }
    let file = write(&capture, &folder, "old.pcap");
    let claimed = |more: &[&str]| {
        let fields = ["hdp.ip_proto"];
        let lines = Tshark::with(SCRIPT)
            .fields(&file, "hdp", &fields, more)
            .unwrap();
        lines.concat().join(" ")
    };
    assert_eq!(claimed(&[]), "253 254");
    assert_eq!(claimed(&["-o", "hdp.numbers:50,254"]), "50 254");
    assert_eq!(claimed(&["-o", "hdp.numbers:"]), "");
    assert_eq!(claimed(&["-d", "ip.proto==6,hdp"]), "6 253 254");
    assert_eq!(claimed(&["-o", "hdp.window:864001"]), "6 50 253 254");
    assert_eq!(claimed(&["-o", "hdp.window:863999"]), "253 254");
    let heuristic = [
        "-o",
        "hdp.window:864001",
        "-o",
        "ip.try_heuristic_first:FALSE",
    ];
    assert_eq!(
        claimed(&heuristic),
        "253 254",
        "the user's own setting wins"
    );
    let decoded = |more: &[&str]| {
        let fields = ["hdp.payload.decoded"];
        let lines = Tshark::with(SCRIPT)
            .fields(&file, "hdp.ip_proto == 253", &fields, more)
            .unwrap();
        lines.concat().join(" ")
    };
    assert_eq!(decoded(&[]), "48656c6c6f20776f726c6421");
    assert_eq!(decoded(&["-o", "hdp.base64:FALSE"]), "");
}

#[test]
fn colour_rules_are_filters_that_wireshark_takes() {
    if !is_there("colour_rules_are_filters_that_wireshark_takes") {
        return;
    }
    let rules = fs::read_to_string("dissector.colorfilters").unwrap();
    let file = "fixtures/control/client.pcap";
    let mut names = Vec::new();
    for rule in rules.lines().filter(|line| !line.starts_with('#')) {
        let [_, name, filter, colours] = *rule.split('@').collect::<Vec<_>>() else {
            panic!("{rule}")
        };
        assert!(colours.starts_with('[') && colours.ends_with(']'), "{rule}");
        Tshark::with(SCRIPT)
            .run(&["-r", file, "-Y", filter])
            .unwrap();
        names.push(name);
    }
    assert_eq!(
        names,
        [
            "HDP lost",
            "HDP altered",
            "HDP refused",
            "HDP delivered",
            "HDP"
        ]
    );
    let unknown = Tshark::with(SCRIPT).run(&["-r", file, "-Y", "hdp.fait == \"lost\""]);
    assert!(unknown.is_err());
}

#[test]
fn comments_of_hdp_become_fields_and_others_do_not() {
    let test = "comments_of_hdp_become_fields_and_others_do_not";
    if !is_there(test) {
        return;
    }
    if Command::new("editcap").arg("--version").output().is_err() {
        eprintln!("{test}: skipped, there is no editcap");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let plain = write(&sweep(4), &folder, "plain.pcap");
    let file = folder.path().join("commented.pcapng");
    let whole = "hdp: fate=delivered; pair=a:1, b b:20; path_delay=-1.000123456 s; altered=yes";
    let edited = Command::new("editcap")
        .args(["-a", &format!("1:{whole}")])
        .args([
            "-a",
            "2:hdp: fate=lost; segment=a → b; pair=a:2; path_delay=soon; colour=red",
        ])
        .args([
            "-a",
            "3:this is hdp: fate=lost",
            "-a",
            "4:hdp: nothing of the kind",
        ])
        .args([&plain, &file])
        .output()
        .unwrap();
    assert!(edited.status.success(), "{edited:?}");
    let fields = [
        "frame.number",
        "hdp.fate",
        "hdp.segment",
        "hdp.pair",
        "hdp.path_delay",
        "hdp.altered",
    ];
    let found = Tshark::with(SCRIPT)
        .fields(&file, "hdp.fate or hdp.pair", &fields, &[])
        .unwrap();
    // True is 1 up to 4.2.
    let found: Vec<String> = found
        .iter()
        .map(|line| line.join("|").replace("True", "1"))
        .collect();
    assert_eq!(
        found,
        [
            "1|delivered||a:1,b b:20|-1.000123456|1",
            "2|lost|a → b|a:2||"
        ]
    );
}

#[test]
fn the_script_names_its_version() {
    let script = fs::read_to_string(SCRIPT).unwrap();
    assert!(script.contains(concat!("version = \"", env!("CARGO_PKG_VERSION"), "\"")));
}

/// The column that one reads first, of every frame with HDP.
fn infos(tshark: &Tshark, file: &Path, more: &[&str]) -> Vec<String> {
    let lines = tshark.fields(file, "hdp", &["_ws.col.Info"], more);
    lines
        .unwrap()
        .into_iter()
        .map(|mut line| line.remove(0))
        .collect()
}

#[test]
fn the_info_column_says_name_number_fate_and_segment() {
    if !is_there("the_info_column_says_name_number_fate_and_segment") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = write(&sweep(4), &folder, "sweep.pcap");
    let tshark = Tshark::with(SCRIPT);
    let shown = infos(&tshark, &file, &[]);
    assert_eq!(shown.len(), 3 * 256);
    for number in 0..=255_u16 {
        let name = hdp::protocols::fold_with_keywords(&[number]);
        let begins = format!("{name}  420 → 420  Len=");
        assert!(
            shown.iter().any(|info| info.starts_with(&begins)),
            "{name}: {shown:?}"
        );
    }

    let annotated = folder.path().join("annotated.pcapng");
    let mut command = Command::new(env!("CARGO_BIN_EXE_hdp"));
    let points = ["client.pcap", "router.pcap", "server.pcap"];
    let points = points.map(|point| format!("fixtures/three-points/{point}"));
    command
        .args(["path", "-o", "/dev/null", "--annotate"])
        .arg(&annotated)
        .args(points);
    assert!(command.status().unwrap().success());
    let shown = infos(&tshark, &annotated, &[]);
    let lost = "61  420 → 420  Len=34  [lost router (in) → router (out)]";
    assert_eq!(shown.iter().filter(|info| *info == lost).count(), 3 * 2);
    let delivered = "50 ESP  420 → 420  Len=34  [delivered]";
    assert_eq!(
        shown.iter().filter(|info| *info == delivered).count(),
        3 * 4
    );
    // Without comments there is no fate.
    let plain = infos(&tshark, Path::new("fixtures/three-points/client.pcap"), &[]);
    assert!(!plain.iter().any(|info| info.contains('[')));
}

#[test]
fn loaded_twice_it_is_as_loaded_once() {
    if !is_there("loaded_twice_it_is_as_loaded_once") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = write(&sweep(4), &folder, "sweep.pcap");
    let copy = folder.path().join("copy.lua");
    fs::copy(SCRIPT, &copy).unwrap();
    let again = format!("-Xlua_script:{}", copy.display());
    let tshark = Tshark::with(SCRIPT);
    let once = infos(&tshark, &file, &[]);
    assert_eq!(infos(&tshark, &file, &[&again]), once);
    assert_eq!(once.len(), 3 * 256);
}
