//! `hdp trace` over eight real routers: network namespaces, veth, nftables. Root on Linux.
#![cfg(all(feature = "cli", target_os = "linux"))]

use std::{fs, path::Path, process::Stdio, sync::Mutex, thread};

use crate::support::hosts::{AHEAD, BEHIND, Chain, Host, chain, success, text};
use hdp::findings::{
    Carrier, Grade, Reason, Verdict,
    trace::{Trace, TraceRule, TraceVerdict, TraceWarning, TracedProtocol},
};
use tempfile::tempdir;

const SERVER: &str = "10.77.8.2";
const SERVER_6: &str = "fd77:8::2";

/// What `hdp trace` on this host finds.
fn trace(host: &Host, destination: &str, arguments: &[&str]) -> Trace {
    let mut command = host.hdp(&["trace", destination, "--format", "json", "--wait", "1s"]);
    let output = success(command.args(arguments).stderr(Stdio::null()));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn read(file: &Path) -> Trace {
    let trace = hdp::trace::read(hdp::source::Origin::from_argument(text(file)), None);
    trace.unwrap().0
}

fn number(trace: &Trace, protocol: u8) -> &TracedProtocol {
    let numbers = trace.protocols.iter();
    let mut numbers = numbers.filter(|number| number.carrier == Carrier::Ip);
    numbers.find(|number| number.protocol == protocol).unwrap()
}

/// Verdict, last hop, next hop.
fn place(trace: &Trace, protocol: u8) -> (TraceVerdict, u8, Option<u8>) {
    let number = number(trace, protocol);
    (number.verdict, number.last_hop, number.next_hop)
}

/// A rule of a host's packet filter, in a table of its own.
fn rule(host: &Host, family: &str, name: &str, (hook, priority): (&str, i32), rule: &str) {
    host.nft(&format!(
        "table {family} {name} {{
            chain rules {{
                type filter hook {hook} priority {priority}; {rule};
            }}
        }}"
    ));
}

/// Before anything else that a host does with a packet.
const WAY_IN: (&str, i32) = ("prerouting", -300);
const FORWARD: (&str, i32) = ("forward", 0);

/// Drops two numbers at a router: one before it looks at the TTL, one behind that.
fn plant(router: &Host) {
    rule(
        router,
        "inet",
        "planted_in",
        WAY_IN,
        "meta l4proto 253 drop",
    );
    rule(
        router,
        "inet",
        "planted_out",
        ("postrouting", 0),
        "meta l4proto 254 drop",
    );
}

fn unplant(router: &Host) {
    router.nft("delete table inet planted_in");
    router.nft("delete table inet planted_out");
}

use TraceVerdict::{Disappears, Inconclusive, Reaches};

/// A drop at each hop in turn. `HDP_TRACE_RUNS` says how many traces; without it each hop once over IPv4
/// and once over IPv6.
#[test]
fn drops_planted_at_each_hop_are_placed() {
    let runs = std::env::var("HDP_TRACE_RUNS").map_or(16, |runs| runs.parse::<usize>().unwrap());
    let next = Mutex::new(0);
    let run = |chain: &Chain| loop {
        let run = {
            let mut next = next.lock().unwrap();
            *next += 1;
            *next - 1
        };
        if run >= runs {
            break;
        }
        let hop = u8::try_from(run / 2 % 8 + 1).unwrap();
        let destination = [SERVER, SERVER_6][run % 2];
        let router = &chain.routers[usize::from(hop) - 1];
        plant(router);
        let trace = trace(&chain.client, destination, &["--protocols", "252-254"]);
        unplant(router);
        assert_eq!(
            place(&trace, 253),
            (Disappears, hop - 1, Some(hop)),
            "{trace:#?}"
        );
        assert_eq!(number(&trace, 253).grade, Grade::Certain);
        if hop < 8 {
            assert_eq!(
                place(&trace, 254),
                (Disappears, hop, Some(hop + 1)),
                "{trace:#?}"
            );
        } else {
            assert_eq!(place(&trace, 254), (Inconclusive, 8, Some(9)), "{trace:#?}");
            assert_eq!(number(&trace, 254).rule, TraceRule::DestinationSilent);
        }
        assert_eq!(place(&trace, 252), (Reaches, 9, None));
        assert_eq!(trace.warnings, []);
    };
    thread::scope(|scope| {
        for worker in 0..4 {
            let run = &run;
            scope.spawn(move || chain(&format!("drops{worker}")).iter().for_each(run));
        }
    });
}

/// What differs between the versions of IP.
struct Version {
    server: &'static str,
    client: &'static str,
    /// As nft calls it.
    ip: &'static str,
    icmp: &'static str,
    /// The kernel's own limit: six errors at once, then one a second.
    limit: &'static str,
    multipath: &'static str,
    /// A host's address in a net between two routers.
    address: fn(u8, u8) -> String,
    prefix_len: u8,
}

const VERSIONS: [Version; 2] = [
    Version {
        server: SERVER,
        client: "10.77.0.1",
        ip: "ip",
        icmp: "icmp",
        limit: "net.ipv4.icmp_ratelimit=1000",
        multipath: "net.ipv4.fib_multipath_hash_policy=1",
        address: |net, host| format!("10.77.{net}.{host}"),
        prefix_len: 24,
    },
    Version {
        server: SERVER_6,
        client: "fd77:0::1",
        ip: "ip6",
        icmp: "icmpv6",
        limit: "net.ipv6.icmp.ratelimit=1000",
        multipath: "net.ipv6.fib_multipath_hash_policy=1",
        address: |net, host| format!("fd77:{net}::{host}"),
        prefix_len: 64,
    },
];

impl Version {
    /// The words of `ip`, for this version.
    fn route<'a>(&self, words: &[&'a str]) -> Vec<&'a str> {
        let version = if self.ip == "ip6" { "-6" } else { "-4" };
        [&["ip", version, "route"], words].concat()
    }
}

/// Runs a scenario over both versions, each `HDP_TRACE_ROUNDS` times, or once.
fn in_rounds(name: &str, scenario: impl Fn(&Version, &Chain) + Sync) {
    let rounds = std::env::var("HDP_TRACE_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap());
    let scenario = &scenario;
    thread::scope(|scope| {
        for version in &VERSIONS {
            let name = format!("{name}-{}", version.ip);
            scope.spawn(move || {
                for _ in 0..rounds {
                    let Some(chain) = chain(&name) else { return };
                    scenario(version, &chain);
                }
            });
        }
    });
}

#[test]
fn hops_that_are_silent_or_limit_their_answers_are_not_named() {
    in_rounds("silent", |version, chain| {
        for hop in [3, 4] {
            let answers = format!("{} type time-exceeded drop", version.icmp);
            rule(
                &chain.routers[hop - 1],
                version.ip,
                "mute",
                ("output", 0),
                &answers,
            );
        }
        chain.routers[5].succeed(&["sysctl", "-qw", version.limit]);
        plant(&chain.routers[3]);
        let trace = trace(&chain.client, version.server, &["--protocols", "252-254"]);
        assert_eq!(place(&trace, 253), (Disappears, 2, Some(5)), "{trace:#?}");
        assert_eq!(place(&trace, 254), (Disappears, 2, Some(5)), "{trace:#?}");
        assert_eq!(place(&trace, 252), (Reaches, 9, None));
        for hop in [3, 4] {
            assert!(trace.hops[hop - 1].addresses.is_empty());
        }
    });
}

#[test]
fn where_the_last_router_limits_its_answers_the_right_hop_is_found() {
    in_rounds("limit", |version, chain| {
        for hop in [5, 8] {
            chain.routers[hop - 1].succeed(&["sysctl", "-qw", version.limit]);
        }
        plant(&chain.routers[4]);
        let arguments = ["--protocols", "240-254", "--count", "6"];
        let trace = trace(&chain.client, version.server, &arguments);
        for protocol in 240..=252 {
            assert_eq!(place(&trace, protocol), (Reaches, 9, None), "{trace:#?}");
        }
        for (protocol, before) in [(253, 4), (254, 5)] {
            let (verdict, last_hop, next_hop) = place(&trace, protocol);
            let is_between = last_hop <= before && next_hop > Some(before);
            assert!(verdict == Inconclusive || is_between, "{trace:#?}");
        }
    });
}

/// A NAT that keeps no state, since one that does translates the quotes back.
#[test]
fn a_translation_and_a_cleared_code_point_are_placed_at_their_hops() {
    in_rounds("changes", |version, chain| {
        let (ip, client, server) = (version.ip, version.client, version.server);
        let translated = (version.address)(5, 77);
        let clear = format!("{ip} daddr {server} {ip} dscp set 0");
        rule(&chain.routers[1], ip, "bleach", FORWARD, &clear);
        let out = format!("{ip} saddr {client} {ip} saddr set {translated}");
        let back = format!("{ip} daddr {translated} {ip} daddr set {client}");
        rule(&chain.routers[4], ip, "out", ("postrouting", 0), &out);
        rule(&chain.routers[4], ip, "back", WAY_IN, &back);
        let via = (version.address)(5, 1);
        chain.routers[5].succeed(&version.route(&["add", &translated, "via", &via]));
        let arguments = ["--protocols", "252,253", "--dscp", "46"];
        let trace = trace(&chain.client, server, &arguments);
        let changes: Vec<_> = trace
            .hops
            .iter()
            .flat_map(|hop| &hop.changes)
            .map(|change| (change.field.as_str(), change.between, change.to.as_deref()))
            .collect();
        assert_eq!(
            changes,
            [
                ("dscp", [2, 3], Some("0")),
                ("source_address", [5, 6], Some(translated.as_str()))
            ],
            "{trace:#?}"
        );
        assert_eq!(place(&trace, 253), (Reaches, 9, None));
    });
}

/// Two cables between the routers at hops 4 and 5 and a router more on one of them.
#[test]
fn over_two_paths_of_equal_cost_no_wrong_hop_is_named() {
    in_rounds("ecmp", |version, chain| {
        let (near, far) = (&chain.routers[3], &chain.routers[4]);
        for (host, device, end) in [(near, AHEAD, 11), (far, BEHIND, 12)] {
            let address = format!("{}/{}", (version.address)(4, end), version.prefix_len);
            host.succeed(
                &["ip", "address", "add", &address, "dev", device, "nodad"]
                    [..6 + usize::from(version.ip == "ip6")],
            );
        }
        near.succeed(&["sysctl", "-qw", version.multipath]);
        let (one, other) = ((version.address)(4, 2), (version.address)(4, 12));
        let hops = [
            "replace", "default", "nexthop", "via", &one, "nexthop", "via", &other,
        ];
        near.succeed(&version.route(&hops));
        plant(&chain.routers[5]);
        let trace = trace(&chain.client, version.server, &["--protocols", "252-254"]);
        assert_eq!(place(&trace, 253), (Disappears, 5, Some(6)), "{trace:#?}");
        assert_eq!(place(&trace, 254), (Disappears, 6, Some(7)), "{trace:#?}");
        assert_eq!(place(&trace, 252), (Reaches, 9, None));
    });
}

#[test]
fn a_destination_that_drops_all_and_one_that_replies() {
    in_rounds("ends", |version, chain| {
        let folder = tempdir().unwrap();
        plant(&chain.routers[6]);
        let listener = chain.server.listen(folder.path(), &["--reply"]);
        let replied = trace(&chain.client, version.server, &["--protocols", "6,252-254"]);
        listener.interrupt();
        // TCP's number too: the listener hears it before TCP does.
        for protocol in [6, 252] {
            assert_eq!(
                place(&replied, protocol),
                (Reaches, 9, None),
                "{replied:#?}"
            );
        }
        assert_eq!(place(&replied, 253), (Disappears, 6, Some(7)));
        let wall = format!("{} saddr {} drop", version.ip, version.client);
        rule(&chain.server, version.ip, "wall", WAY_IN, &wall);
        let dropped = trace(&chain.client, version.server, &["--protocols", "6,252-254"]);
        for protocol in [6, 252] {
            assert_eq!(
                place(&dropped, protocol),
                (Inconclusive, 8, None),
                "{dropped:#?}"
            );
            assert_eq!(number(&dropped, protocol).rule, TraceRule::AsFarAsControl);
        }
        assert_eq!(place(&dropped, 253), (Disappears, 6, Some(7)));
        assert_eq!(dropped.warnings, [TraceWarning::DestinationSilent]);
    });
}

/// What answers get lost on the way back is nobody's loss on the way there.
#[test]
fn replies_that_are_dropped_on_the_way_back_make_no_hop() {
    in_rounds("back", |version, chain| {
        let folder = tempdir().unwrap();
        let listener = chain.server.listen(folder.path(), &["--reply"]);
        let replies = "iifname ahead meta l4proto 253 drop";
        rule(&chain.routers[3], version.ip, "back", WAY_IN, replies);
        let trace = trace(&chain.client, version.server, &["--protocols", "252,253"]);
        listener.interrupt();
        assert_eq!(place(&trace, 252), (Reaches, 9, None));
        assert_eq!(place(&trace, 253), (Inconclusive, 8, Some(9)), "{trace:#?}");
    });
}

/// What was written, and what tcpdump saw of the same run, give the run's answer.
#[test]
fn a_capture_of_a_run_gives_its_answer() {
    for destination in [SERVER, SERVER_6] {
        let Some(chain) = chain("read") else { return };
        let folder = tempdir().unwrap();
        let (written, captured) = (folder.path().join("w.pcapng"), folder.path().join("c.pcap"));
        plant(&chain.routers[2]);
        let refuse = "meta l4proto 50 reject with icmpx type admin-prohibited";
        rule(&chain.routers[4], "inet", "refuse", FORWARD, refuse);
        let tcpdump = chain.client.capture(AHEAD, &captured);
        let arguments = ["--protocols", "1,50,58,252-254", "--write", text(&written)];
        let live = trace(&chain.client, destination, &arguments);
        tcpdump.interrupt();
        assert_eq!(place(&live, 50), (Disappears, 5, Some(6)), "{live:#?}");
        assert_eq!(place(&live, 254), (Disappears, 3, Some(4)), "{live:#?}");
        assert_eq!(read(&written).hops, live.hops);
        assert_eq!(read(&written).protocols, live.protocols);
        assert_eq!(read(&captured).protocols, live.protocols);
    }
}

/// `traceroute -P 253` sends no HDP and no control.
#[test]
fn a_capture_of_traceroute_shows_its_hops_and_that_a_control_is_missing() {
    let Some(chain) = chain("other") else { return };
    let version = chain.client.command("traceroute").arg("--version").output();
    if !version.is_ok_and(|version| version.status.success()) {
        eprintln!("skipped: no traceroute");
        return;
    }
    let folder = tempdir().unwrap();
    let captured = folder.path().join("c.pcap");
    let tcpdump = chain.client.capture(AHEAD, &captured);
    let mut traceroute = chain.client.command("traceroute");
    success(traceroute.args(["-n", "-P", "253", "-q", "2", "-w", "1", SERVER]));
    tcpdump.interrupt();
    let trace = read(&captured);
    assert_eq!(place(&trace, 253), (Reaches, 9, None), "{trace:#?}");
    assert!(
        trace.warnings.contains(&TraceWarning::NoControl),
        "{trace:#?}"
    );
}

#[test]
fn what_a_user_does_wrong_is_said_in_one_line() {
    let Some(chain) = chain("wrong") else { return };
    let folder = tempdir().unwrap();
    let empty = folder.path().join("empty.pcap");
    fs::write(&empty, []).unwrap();
    for (arguments, said) in [
        (&["trace"][..], "DEST"),
        (
            &["trace", "10.77.8.2", "--protocols", "300"],
            "--protocols: numbers go up to 255",
        ),
        (&["trace", "nowhere.invalid"], "nowhere.invalid"),
        (
            &["trace", "10.77.8.2", "--source", "192.0.2.1"],
            "--source 192.0.2.1",
        ),
        (
            &["trace", "10.77.8.2", "--size", "70000"],
            "--size: a probe has room for",
        ),
        (&["trace", "--read", "missing.pcap"], "missing.pcap"),
        (
            &["trace", "--read", "fixtures/README.md"],
            "fixtures/README.md",
        ),
    ] {
        let output = chain.client.hdp(arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(
            stderr.starts_with("hdp: error: ") && stderr.contains(said),
            "{stderr}"
        );
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

/// Both ends record a trace: what was sent to expire is not lost, and where a number disappears the last
/// hop that it was seen at is said.
#[test]
fn a_path_calls_nothing_lost_that_was_sent_to_expire() {
    let Some(chain) = chain("both") else { return };
    let folder = tempdir().unwrap();
    let (client, server) = (folder.path().join("c.pcap"), folder.path().join("s.pcap"));
    rule(
        &chain.routers[3],
        "ip",
        "planted",
        FORWARD,
        "ip protocol 50 drop",
    );
    let captures = [
        chain.client.capture(AHEAD, &client),
        chain.server.capture(BEHIND, &server),
    ];
    let ping = || {
        chain
            .client
            .succeed(&["ping", "-c", "2", "-i", "0.2", SERVER])
    };
    ping();
    trace(
        &chain.client,
        SERVER,
        &["--protocols", "50,252,253", "--count", "6"],
    );
    ping();
    for capture in captures {
        capture.interrupt();
    }
    let points = hdp::path::points([text(&client), text(&server)]).unwrap();
    for memory in [
        hdp::path::Memory::Automatic,
        hdp::path::Memory::Bounded(hdp::path::Room::default()),
    ] {
        let options = hdp::path::Options {
            memory,
            ..hdp::path::Options::default()
        };
        let findings = hdp::path::findings(&points, &options).unwrap();
        let [direction, ..] = findings.directions.as_slice() else {
            panic!()
        };
        for number in &direction.protocols {
            let sum = number.delivered + number.lost + number.edge + number.late;
            assert_eq!(sum + number.ambiguous + number.expired, number.packets);
            assert!(number.expired > 0, "{number:#?}");
            if number.protocol == 50 {
                assert!(number.lost > 0 && number.delivered == 0);
                let alive = |reason: &Reason| matches!(reason, Reason::RanOutAt { hop: 4, address } if address == "10.77.3.2");
                assert!(number.reasons.iter().any(alive), "{number:#?}");
                let last = number.lost_at[0].last_hop.as_ref().unwrap();
                assert_eq!((last.hop, last.address.as_str()), (4, "10.77.3.2"));
            } else {
                assert_eq!(
                    (number.lost, number.verdict),
                    (0, Verdict::Passes),
                    "{number:#?}"
                );
            }
        }
    }
    let path = chain
        .client
        .hdp(&["path", text(&client), text(&server)])
        .output()
        .unwrap();
    let said = String::from_utf8(path.stdout).unwrap();
    assert!(said.contains("beyond hop 4 (10.77.3.2)"), "{said}");
    // One of them alone points to what it is good for.
    let alone = chain.client.hdp(&["path", text(&client)]).output().unwrap();
    let said = String::from_utf8(alone.stderr).unwrap();
    assert!(said.contains("hdp trace --read"), "{said}");
}
