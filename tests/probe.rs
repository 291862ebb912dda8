//! `hdp send`, `hdp listen` and `hdp loopback` on hosts of their own, beside programs that know
//! nothing of them: tcpdump and Python's sockets.
#![cfg(feature = "cli")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::support::{
    capture::Capture,
    hosts::{self, Host, file, success, text, until},
};
use hdp::{
    findings::Carrier,
    hdp::Header,
    log::{Direction, End, ReceivedPacket, SendStart, SentPacket, Start},
};
use serde_json::Value;
use tempfile::TempDir;

/// A log, taken apart.
struct Log<T> {
    start: Start,
    packets: Vec<T>,
    end: End,
}

fn log<T: serde::de::DeserializeOwned>(file: &Path) -> Log<T> {
    let text = fs::read_to_string(file).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    let end = serde_json::from_str(lines.pop().unwrap()).unwrap();
    let start = serde_json::from_str(lines.remove(0)).unwrap();
    let packets = lines.iter().map(|line| serde_json::from_str(line).unwrap());
    Log {
        start,
        packets: packets.collect(),
        end,
    }
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The number and the payload of each IP datagram in a capture, told without the tool's decoder.
fn datagrams(file: &Path) -> Vec<(u8, Vec<u8>)> {
    let frames = Capture::read(file).frames.into_iter();
    frames
        .filter_map(|frame| {
            let ip = &frame.bytes[14..];
            match ip[0] >> 4 {
                4 => {
                    let total_len = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
                    Some((ip[9], ip[20..total_len].to_vec()))
                }
                6 => Some((ip[6], ip[40..].to_vec())),
                _ => None,
            }
        })
        .collect()
}

/// The timestamp in the HDP datagrams of a capture, by number, each once: an interface to itself
/// shows what it sends and what it receives in one.
fn captured_timestamps(file: &Path, payload: &[u8]) -> BTreeMap<u64, u8> {
    let hdp = datagrams(file)
        .into_iter()
        .filter(|(_, bytes)| bytes.len() == Header::LEN + payload.len() && bytes.ends_with(payload))
        .map(|(number, bytes)| (u64::from_be_bytes(bytes[4..12].try_into().unwrap()), number));
    hdp.collect()
}

fn python(host: &Host, script: &str) -> Command {
    let mut command = host.command("timeout");
    command.args(["60", "python3", "-c", script]);
    command
}

// --- hdp loopback --------------------------------------------------------------------------------

fn loopback_agrees_with_a_capture(test: &str, ipv6: bool) {
    let Some(host) = hosts::host(test) else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let capture = file(&folder, "lo.pcap");
    let tcpdump = host.capture("lo", &capture);
    let version: &[&str] = if ipv6 { &["--ipv6"] } else { &[] };
    let arguments = [&["loopback", "--size", "29", "--format", "json"], version].concat();
    let output = success(&mut host.hdp(&arguments));
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
    let numbers = findings["numbers"].as_array().unwrap();
    let succeeded: Vec<_> = numbers
        .iter()
        .filter(|number| number["succeeded"] == true)
        .map(|number| u8::try_from(number["protocol"].as_u64().unwrap()).unwrap())
        .collect();
    let payload: Vec<u8> = (b'a'..=b'z').cycle().take(29).collect();
    until("tcpdump has seen the last", || {
        captured_timestamps(&capture, &payload).len() >= succeeded.len()
    });
    tcpdump.interrupt();
    let mut captured: Vec<_> = captured_timestamps(&capture, &payload)
        .into_values()
        .collect();
    captured.sort_unstable();
    let mut expected = succeeded.clone();
    expected.sort_unstable();
    assert_eq!(captured, expected, "what was sent is what a capture shows");

    let of = |requested: u64| {
        numbers
            .iter()
            .find(|n| n["requested"] == requested)
            .unwrap()
    };
    assert_eq!(numbers.len(), 257);
    assert_eq!(of(0)["call"], "socket");
    assert_eq!(of(0)["errno"], 93);
    for requested in 1..=255 {
        let number = of(requested);
        assert_eq!(number["received"], true, "{number}");
        assert_eq!(number["byte_sum_received"], number["byte_sum_sent"]);
        let difference_ns = number["difference_ns"].as_i64().unwrap();
        assert!((0..1_000_000_000).contains(&difference_ns), "{number}");
    }
    assert_eq!(of(256)["received"], false);
    if ipv6 {
        assert_eq!(
            (&of(256)["call"], &of(256)["errno"]),
            (&"sendto".into(), &22.into())
        );
    } else {
        assert_eq!(
            (&of(256)["succeeded"], &of(256)["protocol"]),
            (&true.into(), &0.into())
        );
        let failure = of(256)["failure"].as_str().unwrap();
        assert!(failure.starts_with("sent as 0 HOPOPT, not received: this system hands 0 to no"));
    }
}

#[test]
fn loopback_agrees_with_a_capture_of_the_same_time() {
    loopback_agrees_with_a_capture("loopback4", false);
}

#[test]
fn loopback_over_ipv6_agrees_with_a_capture_of_the_same_time() {
    loopback_agrees_with_a_capture("loopback6", true);
}

#[test]
fn loopback_tells_what_a_firewall_kept() {
    let Some(host) = hosts::host("firewall") else {
        return;
    };
    for rule in [
        "add table inet t",
        "add chain inet t out { type filter hook output priority 0; }",
        "add chain inet t in { type filter hook input priority 0; }",
        "add rule inet t out ip protocol 50 drop",
        "add rule inet t in ip protocol 253 drop",
    ] {
        host.succeed(&["nft", rule]);
    }
    let output = success(&mut host.hdp(&["loopback", "--protocols", "50,51,253"]));
    let table = String::from_utf8(output.stdout).unwrap();
    for sentence in [
        "1 of 3 protocol numbers went through 127.0.0.1\n",
        "50 ESP: refused at sendto: EPERM (1): a firewall of this host dropped it on its way out.",
        "253: sent, not received: a raw socket listens to it, so a firewall of this host",
    ] {
        assert!(table.contains(sentence), "{sentence} in\n{table}");
    }
}

// --- somebody else's client and server -----------------------------------------------------------

#[test]
fn packets_of_somebody_elses_client_are_received_and_logged() {
    const CLIENT: &str = r#"
import socket, struct, sys, time
for number in [1, 6, 17, 50, 253, 255]:
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, number)
    raw.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 0)
    raw.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 7)
    hdp = struct.pack(">HHQ", 1, 2, time.time_ns())
    raw.sendto(hdp + b"python", ("10.77.9.2", 0))
    raw.sendto(b"this is longer than HDP, and something else", ("10.77.9.2", 0))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.sendto(struct.pack(">HHQ", 3, 4, time.time_ns()) + b"udp", ("10.77.9.2", 420))
udp.sendto(b"this is longer than HDP, and something else", ("10.77.9.2", 420))
raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 254)
raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, 46 << 2)
raw.sendto(struct.pack(">HHQ", 5, 6, time.time_ns()) + b"x" * 100, ("fd77:9::2", 0))
"#;
    let Some(hosts) = hosts::hosts("client") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let (log_file, capture) = (file(&folder, "log"), file(&folder, "capture"));
    let listen = ["--log", text(&log_file), "--write", text(&capture)];
    let mut listener = hosts
        .server
        .listen(folder.path(), &[&listen[..], &["--count", "8"]].concat());
    success(&mut python(&hosts.client, CLIENT));
    let said = listener.ended();

    let log = log::<ReceivedPacket>(&log_file);
    let of = |number, carrier| {
        let mut found = log
            .packets
            .iter()
            .filter(move |p| (p.protocol, p.carrier) == (number, carrier));
        let packet = found.next().unwrap_or_else(|| panic!("{number}: {said}"));
        assert!(found.next().is_none());
        packet
    };
    for number in [1, 6, 17, 50, 253, 255] {
        let packet = of(number, Carrier::Ip);
        assert_eq!((packet.srcport, packet.dstport), (1, 2));
        assert_eq!(packet.payload.as_bytes(), b"python");
        assert_eq!((packet.byte_sum, packet.payload_len), (38, 6));
        assert_eq!(packet.src.to_string(), "10.77.9.1");
        assert_eq!(packet.dst.to_string(), "10.77.9.2");
        assert_eq!((packet.ttl, packet.dscp), (Some(7), Some(0)));
        let delay = packet.time_ns - i64::try_from(packet.timestamp_ns).unwrap();
        assert!((0..5_000_000_000).contains(&delay), "{delay}");
    }
    let control = of(17, Carrier::Udp);
    assert_eq!((control.srcport, control.dstport), (3, 4));
    assert_eq!((control.byte_sum, control.payload_len), (43, 3));
    let ipv6 = of(254, Carrier::Ip);
    assert_eq!(ipv6.src.to_string(), "fd77:9::1");
    assert_eq!(ipv6.dst.to_string(), "fd77:9::2");
    assert_eq!((ipv6.ttl, ipv6.dscp), (Some(64), Some(46)));
    assert_eq!((ipv6.byte_sum, ipv6.payload_len), (152, 100));
    assert_eq!(
        ipv6.payload.as_bytes(),
        [b'x'; 64],
        "as many bytes as the digest takes"
    );
    let (Start::Listen(start), End::Listen(end)) = (log.start, log.end) else {
        panic!("a listener's log");
    };
    assert_eq!(end.received, 8);
    assert_eq!(end.capture_drops, Some(0));
    assert_eq!(start.unavailable.len(), 2, "0 over IPv4 and IPv6");

    // Somebody else reads the capture.
    let read = success(Command::new("tcpdump").args(["-nr", text(&capture)]));
    assert_eq!(String::from_utf8(read.stdout).unwrap().lines().count(), 8);
}

#[test]
fn packets_of_send_are_what_the_protocol_says_byte_by_byte() {
    const SERVER: &str = r#"
import socket, sys
sockets = []
for family in (socket.AF_INET, socket.AF_INET6):
    for number in (1, 6, 58, 135, 253, 255):
        raw = socket.socket(family, socket.SOCK_RAW, number)
        raw.settimeout(10)
        if family == socket.AF_INET6 and number in (58, 135):
            raw.setsockopt(255, 7, -1)
        sockets.append((family, number, raw))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("10.77.9.2", 420))
udp.settimeout(10)
print("ready", flush=True)
for family, number, raw in sockets:
    # ICMPv6 has business of its own.
    while not (bytes := raw.recv(65535)).endswith(b"moo"):
        pass
    print(number, bytes.hex(), flush=True)
for _ in range(6):
    print("udp", udp.recv(65535).hex(), flush=True)
"#;
    let Some(hosts) = hosts::hosts("server") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let heard = file(&folder, "heard");
    let mut server = python(&hosts.server, SERVER)
        .stdout(fs::File::create(&heard).unwrap())
        .spawn()
        .unwrap();
    until("the server listens", || {
        fs::read_to_string(&heard).unwrap().contains("ready")
    });
    let mut packets = Vec::new();
    for (to, more) in [("10.77.9.2", "--control"), ("fd77:9::2", "--no-fragment")] {
        let log_file = file(&folder, "log");
        let mut send = hosts
            .client
            .hdp(&["send", to, "--protocols", "1,6,58,135,253,255", more]);
        send.args([
            "--payload",
            "moo",
            "--interval",
            "0s",
            "--src-port",
            "7",
            "--dst-port",
            "65535",
        ]);
        send.args(["--ttl", "9", "--dscp", "46", "--log", text(&log_file)]);
        success(&mut send);
        packets.extend(log::<SentPacket>(&log_file).packets);
    }
    assert!(server.wait().unwrap().success());

    let heard = fs::read_to_string(heard).unwrap();
    let mut heard = heard.lines().skip(1);
    let (controls, bare): (Vec<_>, Vec<_>) = packets
        .iter()
        .partition(|packet| packet.carrier == Carrier::Udp);
    let hex = |packet: &SentPacket| format!("0007ffff{:016x}6d6f6f", packet.timestamp_ns);
    for packet in bare {
        let (number, bytes) = heard.next().unwrap().split_once(' ').unwrap();
        assert_eq!(number, packet.requested.to_string());
        if packet.dst.is_ipv4() {
            let (ip, hdp) = bytes.split_at(40);
            assert_eq!(hdp, hex(packet), "{number}");
            assert_eq!(&ip[2..4], "b8", "DSCP 46");
            assert_eq!(&ip[16..18], "09", "TTL");
            assert_eq!(usize::try_from(packet.byte_sum).unwrap(), bytes.len() / 2);
        } else {
            assert_eq!(bytes, hex(packet), "{number} over IPv6");
        }
    }
    assert_eq!(controls.len(), 6);
    for packet in controls {
        assert_eq!(heard.next().unwrap(), format!("udp {}", hex(packet)));
    }
}

// --- both ends -----------------------------------------------------------------------------------

#[test]
fn a_sweep_over_ipv6_arrives_and_the_kernel_leaves_its_bytes_alone() {
    let Some(hosts) = hosts::hosts("sweep6") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let (sent_file, heard_file) = (file(&folder, "sent"), file(&folder, "heard"));
    let capture = file(&folder, "wire.pcap");
    let tcpdump = hosts.server.capture("eth0", &capture);
    let listener = hosts
        .server
        .listen(folder.path(), &["--log", text(&heard_file)]);
    success(&mut hosts.client.hdp(&[
        "send",
        "fd77:9::2",
        "--protocols",
        "0-256",
        "--interval",
        "1ms",
        "--payload",
        "moo",
        "--log",
        text(&sent_file),
    ]));
    let sent = log::<SentPacket>(&sent_file);
    let taken: BTreeMap<u64, u8> = sent
        .packets
        .iter()
        .filter_map(|packet| Some((packet.timestamp_ns, packet.protocol?)))
        .collect();
    assert_eq!(
        taken.values().copied().collect::<Vec<_>>(),
        (1..=255).collect::<Vec<_>>()
    );
    until("the sweep has arrived", || {
        captured_timestamps(&capture, b"moo").len() == 255
    });
    listener.interrupt();
    tcpdump.interrupt();
    assert_eq!(captured_timestamps(&capture, b"moo"), taken, "on the wire");
    let heard = log::<ReceivedPacket>(&heard_file).packets;
    let heard: BTreeMap<u64, u8> = heard.iter().map(|p| (p.timestamp_ns, p.protocol)).collect();
    assert_eq!(heard, taken, "at the application");
}

#[test]
fn a_hundred_thousand_packets_at_full_speed_are_accounted_for() {
    let Some(hosts) = hosts::hosts("speed") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let (sent_file, heard_file) = (file(&folder, "sent"), file(&folder, "heard"));
    let listen = ["--protocols", "253", "--log", text(&heard_file)];
    let listener = hosts.server.listen(folder.path(), &listen);
    success(&mut hosts.client.hdp(&[
        "send",
        "10.77.9.2",
        "--protocols",
        "253",
        "--count",
        "100000",
        "--interval",
        "0s",
        "--payload",
        "moo",
        "--log",
        text(&sent_file),
        "--output",
        "/dev/null",
    ]));
    listener.interrupt();
    let sent = log::<SentPacket>(&sent_file);
    let heard = log::<ReceivedPacket>(&heard_file);
    let (End::Send(sent_end), End::Listen(heard_end)) = (sent.end, heard.end) else {
        panic!("a sender's and a listener's log");
    };
    assert_eq!(sent.packets.len(), 100_000);
    assert_eq!(sent_end.sent, 100_000);
    assert_eq!(heard_end.received, heard.packets.len() as u64);
    assert_eq!(
        heard_end.received + heard_end.capture_drops.unwrap(),
        sent_end.sent
    );
    let told: u64 = heard.packets.iter().map(|p| u64::from(p.drops)).sum();
    assert!(told <= heard_end.capture_drops.unwrap());
    // Each one that came is one that was sent, and none came twice.
    let mut timestamps: Vec<_> = sent.packets.iter().map(|p| p.timestamp_ns).collect();
    timestamps.sort_unstable();
    let mut left = timestamps.iter();
    let mut arrived: Vec<_> = heard.packets.iter().map(|p| p.timestamp_ns).collect();
    arrived.sort_unstable();
    assert!(
        arrived
            .iter()
            .all(|timestamp| left.any(|sent| sent == timestamp))
    );
}

#[test]
fn each_round_has_its_own_order_and_a_heartbeat_goes_beside_it() {
    const MARGIN_NS: u64 = 200_000_000;
    let Some(host) = hosts::host("order") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let sent = |seed: &str, more: &[&str]| {
        let log_file = file(&folder, "log");
        let fixed = [
            "send",
            "127.0.0.1",
            "--protocols",
            "100-119",
            "--count",
            "3",
        ];
        let fast = [
            "--interval",
            "4ms",
            "--payload",
            "moo",
            "--log",
            text(&log_file),
        ];
        let seed = ["--seed", seed];
        success(&mut host.hdp(&[&fixed[..], &fast, &seed, more].concat()));
        log::<SentPacket>(&log_file)
    };
    let requested = |log: &Log<SentPacket>| -> Vec<u16> {
        let bare = log.packets.iter().filter(|p| p.carrier == Carrier::Ip);
        bare.map(|packet| packet.requested).collect()
    };
    let first = sent("7", &[]);
    let Start::Send(SendStart { seed, planned, .. }) = &first.start else {
        panic!("a sender's log");
    };
    assert_eq!((*seed, *planned), (Some(7), 60));
    let order = requested(&first);
    let rounds: Vec<&[u16]> = order.chunks(20).collect();
    for round in &rounds {
        let mut sorted = round.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, (100..120).collect::<Vec<_>>());
        assert!(!round.is_sorted());
    }
    assert!(rounds[0] != rounds[1] && rounds[1] != rounds[2]);
    assert_eq!(order, requested(&sent("7", &[])));
    assert_ne!(order, requested(&sent("8", &[])));

    // The heartbeats enclose the numbers, far enough for these to be judged.
    let [start, bare @ .., end] = &first.packets[..] else {
        panic!("{:?}", first.packets);
    };
    for beat in [start, end] {
        assert_eq!((beat.carrier, beat.requested), (Carrier::Udp, 17));
    }
    assert!(bare[0].timestamp_ns - start.timestamp_ns >= MARGIN_NS);
    assert!(end.timestamp_ns - bare[bare.len() - 1].timestamp_ns >= MARGIN_NS);
    let second = first.packets.iter().filter(|p| p.carrier == Carrier::Udp);
    let second: Vec<u64> = second.map(|packet| packet.timestamp_ns).collect();
    assert!(
        second
            .windows(2)
            .all(|pair| pair[1] - pair[0] <= 2_000_000_000)
    );

    // A control goes before or behind its number, and never at once with it.
    let pairs = sent("7", &["--control", "--no-heartbeat"]).packets;
    let (mut before, mut behind) = (0, 0);
    for pair in pairs.chunks(2) {
        match (pair[0].carrier, pair[1].carrier) {
            (Carrier::Udp, Carrier::Ip) => before += 1,
            (Carrier::Ip, Carrier::Udp) => behind += 1,
            alike => panic!("{alike:?}"),
        }
        assert!(pair[1].timestamp_ns - pair[0].timestamp_ns >= 2_000_000);
    }
    assert_eq!(before + behind, 60);
    assert!(before.min(behind) >= 10, "{before} before, {behind} behind");
}

#[test]
fn answers_are_never_answered_and_only_hdp_is() {
    let Some(hosts) = hosts::hosts("reply") else {
        return;
    };
    let folders = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let logs = [file(&folders[0], "log"), file(&folders[1], "log")];
    let listen = |host: &Host, index: usize| {
        let arguments = ["--reply", "--log", text(&logs[index])];
        host.listen(folders[index].path(), &arguments)
    };
    // Both ends answer: a packet that is answered twice would go round for ever.
    let listeners = [listen(&hosts.client, 0), listen(&hosts.server, 1)];
    for to in ["10.77.9.2", "fd77:9::2"] {
        success(&mut hosts.client.hdp(&[
            "send",
            to,
            "--protocols",
            "1-255",
            "--interval",
            "1ms",
            "--payload",
            "moo",
            "--src-port",
            "7",
            "--control",
        ]));
        success(&mut hosts.client.hdp(&["send", to, "--size", "0"]));
    }
    let noise = "import socket
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 253)
raw.sendto(b'no HDP, and long enough', ('10.77.9.2', 0))";
    success(&mut python(&hosts.client, noise));
    let [client, server] = listeners.map(hosts::Running::interrupt);
    let (client_log, server_log) = (
        log::<ReceivedPacket>(&logs[0]),
        log::<ReceivedPacket>(&logs[1]),
    );
    let (End::Listen(client_end), End::Listen(server_end)) = (client_log.end, server_log.end)
    else {
        panic!("listeners' logs");
    };
    // 255 numbers and as many controls, over both versions.
    assert_eq!(server_end.answered, 4 * 255, "{server}");
    assert_eq!(
        server_end.received,
        4 * 255 + 2,
        "and the two without payload: {server}"
    );
    assert_eq!(client_end.received, 4 * 255, "{client}");
    assert_eq!(client_end.answered, 0, "{client}");
    let went = server_log
        .packets
        .iter()
        .filter(|p| p.direction == Direction::Out);
    let went: BTreeMap<_, _> = went.map(|p| (p.timestamp_ns, p)).collect();
    for came in &client_log.packets {
        let answer = went[&came.timestamp_ns];
        assert_eq!((came.srcport, came.dstport), (420, 7));
        assert_eq!(
            (came.protocol, came.carrier),
            (answer.protocol, answer.carrier)
        );
        assert_eq!((came.src, came.dst), (answer.src, answer.dst));
        assert_eq!((came.byte_sum, came.ttl), (answer.byte_sum, answer.ttl));
        assert_eq!(came.payload_len, 0);
    }
}

// --- the edges -----------------------------------------------------------------------------------

#[test]
fn a_run_that_is_interrupted_ends_with_a_whole_log() {
    let Some(host) = hosts::host("interrupt") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let log_file = file(&folder, "log");
    let mut send = host.hdp(&[
        "send",
        "127.0.0.1",
        "--count",
        "1000",
        "--interval",
        "1h",
        "--log",
        text(&log_file),
    ]);
    let running = hosts::Running::start(send.stdout(Stdio::null()).stderr(Stdio::piped()));
    until("one packet is sent", || {
        fs::read_to_string(&log_file).is_ok_and(|log| log.lines().count() == 2)
    });
    let said = running.interrupt();
    assert!(said.contains("packets: 1 sent, 0 refused"), "{said}");
    let log = log::<SentPacket>(&log_file);
    assert_eq!(log.packets.len(), 1);
    let End::Send(end) = log.end else {
        panic!("a sender's log");
    };
    assert!(end.interrupted);
}

#[test]
fn without_the_permission_each_command_says_how_to_grant_it_and_with_it_none_needs_root() {
    let Some(host) = hosts::host("permission") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    // Nobody may look into a folder that is root's own.
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(folder.path(), open).unwrap();
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
    let commands: [&[&str]; 3] = [
        &["send", "127.0.0.1", "--control", "--interval", "1ms"],
        &["listen", "--duration", "10ms"],
        &["loopback"],
    ];
    for arguments in commands {
        let output = nobody(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(
            said(&output),
            "hdp: error: raw sockets: Operation not permitted: run as root (sudo) or grant it: \
             sudo setcap cap_net_raw+ep $(command -v hdp)\n"
        );
    }
    let granted = Command::new("setcap")
        .args(["cap_net_raw+ep", text(&hdp)])
        .output();
    if !granted.is_ok_and(|granted| granted.status.success()) {
        eprintln!("permission: half skipped, setcap does not work here");
        return;
    }
    for arguments in commands {
        success(&mut nobody(arguments));
    }
}

#[test]
fn capabilities_are_gone_once_the_sockets_are_open() {
    let Some(host) = hosts::host("drop") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let log_file = file(&folder, "log");
    let listener = host.listen(folder.path(), &["--log", text(&log_file)]);
    until("it listens", || {
        fs::read_to_string(&log_file).is_ok_and(|log| log.ends_with('\n'))
    });
    // `timeout` has one child.
    let children = format!("/proc/{0}/task/{0}/children", listener.id());
    let child = fs::read_to_string(children).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", child.trim())).unwrap();
    for set in ["CapEff", "CapPrm", "CapInh"] {
        assert!(
            status.contains(&format!("{set}:\t0000000000000000\n")),
            "{status}"
        );
    }
    // A full disk, a closed folder: nothing that was opened before is lost.
    listener.interrupt();
}
