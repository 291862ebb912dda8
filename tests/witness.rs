//! Drop witnesses: what nftables logged to NFLOG, as tcpdump recorded it, beside captures of both ends.
//! Root on Linux.
#![cfg(all(feature = "cli", target_os = "linux"))]

use std::path::{Path, PathBuf};

use crate::support::{
    hosts::{self, Routed, text},
    live::Live,
};
use hdp::{
    findings::{Carrier, Findings, Grade, PointKind, Protocol, Reason, Verdict},
    path::{self, Memory, Options, Room},
};
use tempfile::tempdir;

/// What takes which number on the router, or on the server for `input`: hook, number, prefix.
const RULES: [(&str, u16, &str); 8] = [
    ("prerouting", 101, "way-in "),
    ("prerouting", 102, "first "),
    ("forward", 103, "no-103 "),
    ("forward", 104, "no-104 "),
    ("postrouting", 105, "way-out "),
    ("postrouting", 106, "last "),
    ("input", 107, "local "),
    ("output", 108, "own "),
];

/// Logged and let through.
const ACCEPTED: u16 = 110;

fn plant(hosts: &Routed) {
    for (place, (hook, number, prefix)) in RULES.iter().enumerate() {
        let host = match *hook {
            "input" => &hosts.server,
            "output" => &hosts.client,
            _ => &hosts.router,
        };
        host.nft(&format!(
            "table ip t{place} {{
                chain rules {{
                    type filter hook {hook} priority {place};
                    ip protocol {ACCEPTED} log group 5 prefix \"seen \" queue-threshold 1 accept;
                    ip protocol {number} log group 5 prefix \"{prefix}\" queue-threshold 1 drop;
                }}
            }}"
        ));
    }
}

/// Records at both ends and what the three hosts dropped while the numbers are sent; returns the files:
/// client, server, and the witnesses on client, router, server.
fn record(hosts: &Routed, folder: &Path) -> Vec<PathBuf> {
    let file = |name: &str| folder.join(format!("{name}.pcap"));
    let files: Vec<PathBuf> = ["client", "server", "w-client", "w-router", "w-server"]
        .map(file)
        .into();
    let captures = [
        hosts.client.capture("router", &files[0]),
        hosts.server.capture("router", &files[1]),
        hosts.client.capture("nflog:5", &files[2]),
        hosts.router.capture("nflog:5", &files[3]),
        hosts.server.capture("nflog:5", &files[4]),
    ];
    let ping = || {
        hosts
            .client
            .succeed(&["ping", "-c", "2", "-i", "0.2", "10.77.2.2"])
    };
    ping();
    let mut send = hosts
        .client
        .hdp(&["send", "10.77.2.2", "--protocols", "100-112"]);
    hosts::success(send.args(["--count", "5", "--interval", "10ms", "--payload", "x"]));
    ping();
    // The kernel hands logged packets over in batches, of a second at the most.
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    for capture in captures {
        capture.interrupt();
    }
    files
}

fn number(findings: &Findings, protocol: u16) -> &Protocol {
    let mut numbers = findings.directions[0].protocols.iter();
    let found = numbers.find(|n| n.protocol == protocol && n.carrier == Carrier::Ip);
    found.unwrap()
}

#[test]
fn each_lost_packet_names_the_rule_that_took_it() {
    let Some(hosts) = hosts::routed("witness") else {
        return;
    };
    let folder = tempdir().unwrap();
    plant(&hosts);
    let files = record(&hosts, folder.path());
    let sources: Vec<String> = ["client", "server", "from-client", "router", "from-server"]
        .iter()
        .zip(&files)
        .map(|(name, file)| format!("{name}={}", text(file)))
        .collect();
    let with = path::points(&sources).unwrap();
    let without = path::points(&sources[..2]).unwrap();
    for memory in [Memory::Automatic, Memory::Bounded(Room::default())] {
        let options = Options {
            memory,
            ..Options::default()
        };
        let plain = path::findings(&without, &options).unwrap();
        let findings = path::findings(&with, &options).unwrap();
        let kinds: Vec<_> = findings.points.iter().map(|point| point.kind).collect();
        let witness = PointKind::DropWitness;
        let capture = PointKind::Capture;
        assert_eq!(kinds, [capture, capture, witness, witness, witness]);
        for protocol in 100..=112 {
            // Not even sent.
            if protocol == 108 {
                continue;
            }
            let (plain, found) = (number(&plain, protocol), number(&findings, protocol));
            assert_eq!(
                (plain.verdict, plain.lost),
                (found.verdict, found.lost),
                "{protocol}"
            );
            let rules: Vec<_> = found
                .lost_at
                .iter()
                .flat_map(|lost| &lost.witness)
                .collect();
            let planted = RULES
                .iter()
                .find(|(hook, number, _)| *number == protocol && *hook != "input");
            let Some((hook, _, prefix)) = planted else {
                // Behind the server's capture, or logged and let through.
                assert_eq!(
                    (found.verdict, rules.len()),
                    (Verdict::Passes, 0),
                    "{found:#?}"
                );
                continue;
            };
            assert_eq!((found.verdict, found.lost), (Verdict::Blocked, 5));
            assert_eq!(found.grade, Grade::Certain);
            let [rule] = rules.as_slice() else {
                panic!("{found:#?}")
            };
            assert_eq!(
                (rule.by.witness.as_str(), rule.by.rule.as_str()),
                ("router", prefix.trim())
            );
            assert_eq!((rule.by.hook.as_deref(), rule.count), (Some(*hook), 5));
            let says = |reason: &Reason| matches!(reason, Reason::DroppedBy { count: 5, .. });
            assert!(found.reasons.iter().any(says));
        }
    }
    let arguments: Vec<&str> = std::iter::once("path")
        .chain(sources.iter().map(String::as_str))
        .collect();
    let report = hosts::success(&mut hosts.client.hdp(&arguments));
    let report = String::from_utf8(report.stdout).unwrap();
    let said = report.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        said.contains("dropped in router by rule no-103 (forward, interface"),
        "{report}"
    );
    assert!(said.contains("client → server"), "{report}");
    // The server's own log proves nothing of the way there.
    let alone = hosts
        .client
        .hdp(&["path", &sources[0], &sources[3]])
        .output()
        .unwrap();
    let said = String::from_utf8(alone.stderr).unwrap();
    assert!(said.contains("one observation point only"), "{said}");
    // Of what was dropped then, a log that is listened to now tells nothing.
    let late = hosts
        .router
        .hdp(&["path", &sources[0], "live:nflog:5", &sources[1]])
        .output()
        .unwrap();
    let said = String::from_utf8(late.stderr).unwrap();
    assert!(said.contains("tells what is dropped now"), "{said}");
}

#[test]
fn what_a_router_drops_while_its_interfaces_are_watched_names_its_rule() {
    let Some(hosts) = hosts::routed("witness-live") else {
        return;
    };
    let folder = tempdir().unwrap();
    plant(&hosts);
    let saved = folder.path().join("saved");
    let sources = ["live:client", "drops=live:nflog:5", "live:server"];
    let keep = ["path", "--format", "json", "--save", text(&saved)];
    let live = Live::start(&hosts.router, &folder, &[&keep[..], &sources].concat());
    let mut send = hosts
        .client
        .hdp(&["send", "10.77.2.2", "--protocols", "100-112"]);
    hosts::success(send.args(["--count", "5", "--interval", "10ms", "--payload", "x"]));
    // At once: netfilter may still hold back what it logged.
    let (printed, _) = live.interrupt();
    let heard: Findings = serde_json::from_str(&printed).unwrap();
    let saved = ["client", "server", "drops"].map(|name| saved.join(format!("{name}.pcapng")));
    let saved = path::points(saved.iter().map(|file| text(file))).unwrap();
    let recorded = path::findings(&saved, &Options::default()).unwrap();
    let index = |interface: &str| {
        let file = format!("/sys/class/net/{interface}/ifindex");
        let read = hosts.router.succeed(&["cat", &file]);
        let read = String::from_utf8(read.stdout).unwrap();
        read.trim().parse::<u32>().unwrap()
    };
    let (client, server) = (index("client"), index("server"));
    for findings in [&heard, &recorded] {
        let kinds: Vec<_> = findings.points.iter().map(|point| point.kind).collect();
        let [capture, witness] = [PointKind::Capture, PointKind::DropWitness];
        assert_eq!(kinds, [capture, capture, witness]);
        // Six numbers are dropped, and one is logged in each of the six tables.
        assert_eq!(findings.points[2].hdp, 6 * 5 + 6 * 5);
        for (hook, protocol, prefix) in RULES {
            if matches!(hook, "input" | "output") {
                continue;
            }
            let found = number(findings, protocol);
            assert_eq!((found.verdict, found.lost), (Verdict::Blocked, 5));
            let rules = found.lost_at.iter().flat_map(|lost| &lost.witness);
            let rules: Vec<_> = rules.collect();
            let [rule] = rules.as_slice() else {
                panic!("{found:#?}")
            };
            let by = &rule.by;
            assert_eq!(
                (by.witness.as_str(), by.rule.as_str()),
                ("drops", prefix.trim())
            );
            // Where it goes out is not known before it is routed; where it came in some kernels no longer know then.
            let interfaces = match hook {
                "prerouting" => (Some(client), None),
                "forward" => (Some(client), Some(server)),
                _ => (by.in_interface, Some(server)),
            };
            assert_eq!((by.in_interface, by.out_interface), interfaces, "{hook}");
            assert_eq!((by.hook.as_deref(), rule.count), (Some(hook), 5));
        }
        for protocol in [100, 110, 111, 112] {
            assert_eq!(number(findings, protocol).verdict, Verdict::Passes);
            assert_eq!(number(findings, protocol).lost_at, []);
        }
    }
}
