//! Everyday situations, made by the kernel: what passes beside HDP tells what became of it. Captures
//! are tcpdump's on two hosts with a router between, losses nftables'.
#![cfg(feature = "cli")]

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::support::{
    capture::{ByteOrder, Capture, Format, Packing},
    hosts::{self, Routed, Running, file, lab_runs, success, text, until},
    live::{Live, Remote},
};
use hdp::findings::{Carrier, ClockMethod, Findings, Grade, Protocol, Verdict};
use tempfile::TempDir;

const FIVE_MINUTES_NS: i64 = 300_000_000_000;

/// Captures at both ends while something happens.
struct Scene {
    hosts: Routed,
    folder: TempDir,
    running: Vec<Running>,
}

impl Scene {
    fn start(test: &str, rules: &[&str], filter: &str) -> Option<Self> {
        let hosts = hosts::routed(test)?;
        for rule in rules {
            hosts.router.nft(rule);
        }
        let folder = TempDir::new().unwrap();
        let server = file(&folder, "server");
        let running = vec![
            hosts.client.capture("router", &file(&folder, "client")),
            hosts.server.capture_only(filter, "router", &server),
        ];
        Some(Self {
            hosts,
            folder,
            running,
        })
    }

    /// Sends without heartbeat, in an order of its own.
    fn send(&self, arguments: &[&str]) {
        let fixed = ["send", "10.77.2.2", "--payload", "moo", "--seed", "7"];
        success(&mut self.hosts.client.hdp(&[&fixed[..], arguments].concat()));
    }

    /// The findings on the captures, the server's by a clock that is five minutes ahead: read whole
    /// and in bounded memory.
    fn findings(mut self) -> Findings {
        for capture in self.running.drain(..) {
            capture.interrupt();
        }
        let [client, server] = ["client", "server"].map(|name| file(&self.folder, name));
        let mut shifted = Capture::read(&server);
        for frame in &mut shifted.frames {
            frame.time_ns += FIVE_MINUTES_NS;
        }
        let format = Format::Pcap {
            order: ByteOrder::Little,
            nanoseconds: true,
        };
        shifted.write(&server, format, Packing::Plain);
        let [whole, bounded] = [&[][..], &["--bounded"]].map(|more| judged(&client, &server, more));
        let verdicts = |findings: &Findings| -> Vec<(u16, Verdict, Grade)> {
            let numbers = findings.directions.iter().flat_map(|way| &way.protocols);
            numbers.map(|n| (n.protocol, n.verdict, n.grade)).collect()
        };
        assert_eq!(verdicts(&whole), verdicts(&bounded));
        whole
    }
}

/// What crosses beside HDP, from before the first packet is sent until behind the last.
struct Beside {
    running: Running,
    /// What ends when that does.
    server: Option<Running>,
    /// The client's counter of what came back, as `nstat` calls it.
    counter: &'static str,
}

impl Beside {
    fn pings(hosts: &Routed) -> Self {
        Self::start(hosts, &mut ping(hosts, "10.77.2.2"), None, "IcmpInEchoReps")
    }

    fn pings_over_ipv6(hosts: &Routed) -> Self {
        let ping = &mut ping(hosts, "fd77:2::2");
        Self::start(hosts, ping, None, "Icmp6InEchoReplies")
    }

    /// A TCP connection in which something is said and answered.
    fn connection(hosts: &Routed) -> Self {
        const SERVER: &str = "
import socket
listening = socket.create_server(('10.77.2.2', 7777))
connection, _ = listening.accept()
try:
    while line := connection.recv(100):
        connection.sendall(line.upper())
except ConnectionError:
    pass  # The client left before it had the answer.
";
        // Where the tests run in the background, a shell has SIGINT ignored.
        const CLIENT: &str = "
import signal, socket, time
signal.signal(signal.SIGINT, signal.default_int_handler)
connection = socket.create_connection(('10.77.2.2', 7777))
n = 0
try:
    while True:
        n += 1
        connection.sendall(b'line %d of a conversation' % n)
        connection.recv(100)
        time.sleep(0.04)
except KeyboardInterrupt:
    pass
";
        let python = |host: &hosts::Host, program| {
            let mut command = host.command("python3");
            command.args(["-c", program]);
            command
        };
        let server = Running::start(&mut python(&hosts.server, SERVER));
        until("the server listens", || {
            let shown = hosts.server.succeed(&["ss", "-ltn"]).stdout;
            String::from_utf8_lossy(&shown).contains(":7777")
        });
        let client = &mut python(&hosts.client, CLIENT);
        Self::start(hosts, client, Some(server), "TcpInSegs")
    }

    fn start(
        hosts: &Routed,
        command: &mut Command,
        server: Option<Running>,
        counter: &'static str,
    ) -> Self {
        let beside = Self {
            running: Running::start(command.stdout(Stdio::null())),
            server,
            counter,
        };
        beside.wait_for_more(hosts);
        beside
    }

    fn wait_for_more(&self, hosts: &Routed) {
        let count = || -> u64 {
            let nstat = hosts.client.succeed(&["nstat", "-asz", self.counter]);
            let shown = String::from_utf8(nstat.stdout).unwrap();
            let mut words = shown.split_whitespace();
            words.find(|word| *word == self.counter).unwrap();
            words.next().unwrap().parse().unwrap()
        };
        let before = count();
        until(self.counter, || count() >= before + 8);
    }

    fn end(self, hosts: &Routed) {
        self.wait_for_more(hosts);
        self.running.interrupt();
        if let Some(mut server) = self.server {
            server.ended();
        }
    }
}

fn ping(hosts: &Routed, address: &str) -> Command {
    let mut ping = hosts.client.command("ping");
    ping.args(["-q", "-i", "0.05", address]);
    ping
}

fn judged(client: &Path, server: &Path, more: &[&str]) -> Findings {
    let output = Command::new(env!("CARGO_BIN_EXE_hdp"))
        .args(["path", "--format", "json"])
        .args(more)
        .args([client, server])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(findings: &Findings, protocol: u16) -> &Protocol {
    let mut numbers = findings.directions[0].protocols.iter();
    numbers
        .find(|n| n.protocol == protocol && n.carrier == Carrier::Ip)
        .unwrap()
}

/// The offset is five minutes, and each of these numbers blocked for what it is.
fn assert_blocked(findings: &Findings, numbers: &[u16]) {
    let clock = &findings.directions[0].segments[0].clock;
    assert_eq!(clock.method, ClockMethod::TwoWay, "{clock:?}");
    let error = clock.offset_ns.unwrap().abs_diff(FIVE_MINUTES_NS);
    assert!(error <= 5_000_000, "{clock:?}");
    for &protocol in numbers {
        let p = number(findings, protocol);
        assert_eq!((p.verdict, p.delivered), (Verdict::Blocked, 0), "{p:?}");
        assert!(p.grade < Grade::Weak && p.assumes.is_none(), "{p:?}");
    }
}

const CHAIN: &str = "add table ip t; add chain ip t f { type filter hook forward priority 0; }";

/// Whatever is not ICMP, TCP or UDP is dropped.
const DROP: &str = "add rule ip t f ip protocol != { icmp, tcp, udp } drop";

/// Four numbers in four rounds, without a heartbeat.
const FOUR: [&str; 7] = [
    "--protocols",
    "50,51,132,253",
    "--count",
    "4",
    "--interval",
    "80ms",
    "--no-heartbeat",
];

/// Pings go on while four numbers are dropped, and these rules hold.
fn beside_pings(test: &str, rules: &[&str]) {
    let Some(scene) = Scene::start(test, &[&[CHAIN, DROP], rules].concat(), "") else {
        return;
    };
    let pings = Beside::pings(&scene.hosts);
    scene.send(&FOUR);
    pings.end(&scene.hosts);
    assert_blocked(&scene.findings(), &[50, 51, 132, 253]);
}

#[test]
fn nothing_arrives_but_ping() {
    beside_pings("everyday-ping", &[]);
}

const DROP_OVER_IPV6: &str = "add table ip6 t; \
     add chain ip6 t f { type filter hook forward priority 0; }; \
     add rule ip6 t f meta l4proto != { ipv6-icmp, tcp, udp } drop";

/// One ping in four is lost as well.
const ONE_IN_FOUR: &str = "add rule ip t f icmp type echo-request numgen inc mod 4 0 drop";

/// Numbers that are no extension headers of IPv6, in four rounds.
const FOUR_OVER_IPV6: [&str; 7] = [
    "--protocols",
    "50,99,132,253",
    "--count",
    "4",
    "--interval",
    "80ms",
    "--no-heartbeat",
];

#[test]
fn nothing_arrives_over_ipv6_but_ping() {
    let Some(scene) = Scene::start("everyday-ipv6", &[], "") else {
        return;
    };
    scene.hosts.speak_ipv6();
    scene.hosts.router.nft(DROP_OVER_IPV6);
    let pings = Beside::pings_over_ipv6(&scene.hosts);
    let fixed = ["send", "fd77:2::2", "--payload", "moo", "--seed", "7"];
    let send = [&fixed[..], &FOUR_OVER_IPV6].concat();
    success(&mut scene.hosts.client.hdp(&send));
    pings.end(&scene.hosts);
    assert_blocked(&scene.findings(), &[50, 99, 132, 253]);
}

/// What four dropped numbers are said to be by a path that is watched live while something else crosses,
/// from interface to interface and from a pipe to an interface.
fn live(test: &str, rules: &[&str], beside: fn(&Routed) -> Beside) {
    for from_pipe in [false, true] {
        let Some(hosts) = hosts::routed(&format!("{test}-{from_pipe}")) else {
            return;
        };
        for rule in [&[CHAIN, DROP], rules].concat() {
            hosts.router.nft(rule);
        }
        assert_blocked_live(&hosts, from_pipe, ("10.77.2.2", &FOUR), beside);
    }
}

fn assert_blocked_live(
    hosts: &Routed,
    from_pipe: bool,
    (address, arguments): (&str, &[&str]),
    beside: fn(&Routed) -> Beside,
) {
    let folder = TempDir::new().unwrap();
    let remote = from_pipe.then(|| Remote::start(&hosts.client, "router", &folder, "in"));
    let first = remote
        .as_ref()
        .map_or("in=live:client".to_owned(), |remote| {
            format!("in={}", text(&remote.fifo))
        });
    let sources = ["path", "--format", "json", &first, "out=live:server"];
    let live = Live::start(&hosts.router, &folder, &sources);
    let beside = beside(hosts);
    let fixed = ["send", address, "--payload", "moo", "--seed", "7"];
    success(&mut hosts.client.hdp(&[&fixed[..], arguments].concat()));
    beside.end(hosts);
    if let Some(remote) = remote {
        remote.end(&live, 16);
    }
    let (printed, said) = live.interrupt();
    let findings: Findings = serde_json::from_str(&printed).expect(&said);
    let numbers = arguments[1].split(',');
    for protocol in numbers.map(|number| number.parse().unwrap()) {
        let p = number(&findings, protocol);
        assert_eq!(
            (p.verdict, p.lost),
            (Verdict::Blocked, 4),
            "{from_pipe}, {p:?}"
        );
        assert!(
            p.grade < Grade::Weak && p.assumes.is_none(),
            "{from_pipe}, {p:?}"
        );
    }
}

#[test]
fn nothing_arrives_but_ping_and_a_live_path_says_so() {
    live("everyday-live", &[], Beside::pings);
}

#[test]
fn nothing_arrives_and_one_in_four_pings_is_lost_too_and_a_live_path_says_so() {
    live("everyday-livelossy", &[ONE_IN_FOUR], Beside::pings);
}

#[test]
fn nothing_arrives_over_ipv6_but_ping_and_a_live_path_says_so() {
    for from_pipe in [false, true] {
        let Some(hosts) = hosts::routed(&format!("everyday-live6-{from_pipe}")) else {
            return;
        };
        hosts.speak_ipv6();
        hosts.router.nft(DROP_OVER_IPV6);
        let sent = ("fd77:2::2", &FOUR_OVER_IPV6[..]);
        assert_blocked_live(&hosts, from_pipe, sent, Beside::pings_over_ipv6);
    }
}

#[test]
fn nothing_arrives_but_a_connection_through_a_translator_and_a_live_path_says_so() {
    live("everyday-livetcp", &[MASQUERADE], Beside::connection);
}

/// A container host shows a packet three times in a capture on all interfaces: coming in from the
/// container, coming in on its bridge, and going out, translated.
#[test]
fn a_container_host_on_all_interfaces_tells_what_it_lost_itself() {
    let Some(hosts) = hosts::routed("everyday-docker") else {
        return;
    };
    for command in [
        "ip address del 10.77.1.1/24 dev client",
        "ip link add br0 type bridge",
        "ip link set client master br0",
        "ip address add 10.77.1.1/24 dev br0",
        "ip link set br0 up",
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        hosts.router.succeed(&words);
    }
    for rule in [CHAIN, "add rule ip t f ip protocol 50 drop", MASQUERADE] {
        hosts.router.nft(rule);
    }
    until("the bridge forwards", || {
        let mut once = ping(&hosts, "10.77.2.2");
        once.args(["-c", "1"]).output().unwrap().status.success()
    });
    let folder = TempDir::new().unwrap();
    let [client, host, server] = ["client", "host", "server"].map(|name| file(&folder, name));
    let captures = [
        hosts.client.capture("router", &client),
        hosts.router.capture("any", &host),
        hosts.server.capture("router", &server),
    ];
    let pings = Beside::pings(&hosts);
    let send = [
        "send",
        "10.77.2.2",
        "--protocols",
        "50,132,200,253",
        "--count",
        "5",
        "--interval",
        "50ms",
        "--payload",
        "moo",
        "--seed",
        "7",
    ];
    success(&mut hosts.client.hdp(&send));
    pings.end(&hosts);
    for capture in captures {
        capture.interrupt();
    }
    for points in [
        &[&client, &host, &server][..],
        &[&client, &host],
        &[&host, &server],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hdp"));
        let output = success(command.args(["path", "--format", "json"]).args(points));
        let findings: Findings = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(findings.directions.len(), 1, "{points:?}");
        for p in &findings.directions[0].protocols {
            let lost: Vec<_> = p
                .lost_at
                .iter()
                .map(|l| (&*l.from, &*l.to, l.count))
                .collect();
            if p.protocol == 50 && p.carrier == Carrier::Ip {
                assert_eq!(p.verdict, Verdict::Blocked, "{points:?}: {p:?}");
                assert_eq!(lost, [("host (in)", "host (out)", 5)], "{points:?}: {p:?}");
            } else {
                assert_eq!(
                    (p.verdict, p.lost),
                    (Verdict::Passes, 0),
                    "{points:?}: {p:?}"
                );
            }
        }
    }
}

#[test]
fn nothing_arrives_and_one_in_four_pings_is_lost_too() {
    beside_pings("everyday-lossy", &[ONE_IN_FOUR]);
}

const MASQUERADE: &str = "add chain ip t n { type nat hook postrouting priority 100; }; \
                          add rule ip t n oifname \"server\" masquerade";

#[test]
fn nothing_arrives_but_a_connection_through_a_translator() {
    let Some(scene) = Scene::start("everyday-tcp", &[CHAIN, DROP, MASQUERADE], "") else {
        return;
    };
    let connection = Beside::connection(&scene.hosts);
    scene.send(&FOUR);
    connection.end(&scene.hosts);
    assert_blocked(&scene.findings(), &[50, 51, 132, 253]);
}

#[test]
fn nothing_arrives_but_the_heartbeat() {
    let Some(scene) = Scene::start("everyday-beat", &[CHAIN, DROP], "") else {
        return;
    };
    scene.send(&[
        "--protocols",
        "50,51,132,253",
        "--count",
        "10",
        "--interval",
        "100ms",
    ]);
    let findings = scene.findings();
    for protocol in [50, 51, 132, 253] {
        let p = number(&findings, protocol);
        assert_eq!((p.verdict, p.lost), (Verdict::Blocked, 10), "{p:?}");
        assert!(p.assumes.is_none(), "{p:?}");
    }
}

#[test]
fn a_filter_at_one_end_shows_by_the_pings_that_were_answered() {
    let drop = "add rule ip t f ip protocol { 2, 6 } drop";
    let Some(innocent) = Scene::start("everyday-all", &[CHAIN, drop], "") else {
        return;
    };
    let scene = Scene::start("everyday-filter", &[CHAIN, drop], "ip[9] > 17").unwrap();
    for scene in [&innocent, &scene] {
        let pings = Beside::pings(&scene.hosts);
        scene.send(&[
            "--protocols",
            "2,6,50,253",
            "--count",
            "5",
            "--interval",
            "50ms",
            "--no-heartbeat",
        ]);
        pings.end(&scene.hosts);
    }
    let all = innocent.findings();
    for protocol in [2, 6] {
        assert_eq!(number(&all, protocol).verdict, Verdict::Blocked);
    }
    let findings = scene.findings();
    for protocol in [2, 6] {
        let p = number(&findings, protocol);
        assert_eq!((p.verdict, p.lost), (Verdict::Inconclusive, 0), "{p:?}");
    }
    assert_eq!(number(&findings, 50).verdict, Verdict::Passes);
}

#[test]
fn an_outage_is_held_against_no_number() {
    let Some(scene) = Scene::start("everyday-outage", &[CHAIN], "") else {
        return;
    };
    let pings = Beside::pings(&scene.hosts);
    let send = |number: &str| {
        let count = ["--protocols", number, "--count", "20", "--interval", "40ms"];
        scene.send(&[&count[..], &["--no-heartbeat"]].concat());
    };
    send("60");
    scene.hosts.router.nft("add rule ip t f drop");
    send("61");
    scene.hosts.router.nft("flush chain ip t f");
    send("62");
    pings.end(&scene.hosts);
    let findings = scene.findings();
    let p = number(&findings, 61);
    assert_eq!(
        (p.verdict, p.delivered),
        (Verdict::Inconclusive, 0),
        "{p:?}"
    );
    for protocol in [60, 62] {
        assert_eq!(number(&findings, protocol).verdict, Verdict::Passes);
    }
}

/// `HDP_LAB_RUNS` says how often.
#[test]
fn a_token_bucket_over_a_range_blocks_no_number_for_certain() {
    let limit = "add rule ip t f ip protocol 200-219 limit rate over 5/second burst 3 packets drop";
    for seed in 1..=lab_runs().unwrap_or(3) {
        let seed = &seed.to_string();
        let Some(scene) = Scene::start(&format!("everyday-limit{seed}"), &[CHAIN, limit], "")
        else {
            return;
        };
        let fixed = [
            "send",
            "10.77.2.2",
            "--protocols",
            "180-239",
            "--count",
            "5",
            "--payload",
            "moo",
        ];
        let paced = ["--interval", "10ms", "--seed", seed];
        success(&mut scene.hosts.client.hdp(&[&fixed[..], &paced].concat()));
        let findings = scene.findings();
        let mut lost = 0;
        for p in &findings.directions[0].protocols {
            let is_limited = p.carrier == Carrier::Ip && (200..220).contains(&p.protocol);
            assert!(is_limited || p.lost == 0, "{p:?}");
            assert!(
                p.verdict != Verdict::Blocked || p.grade > Grade::Certain,
                "{p:?}"
            );
            lost += p.lost;
        }
        assert!(lost > 20, "{lost}");
        let text = serde_json::to_string(&findings).unwrap();
        assert!(text.contains("shared_limit"), "the limit is named");
    }
}
