//! The order of the points, found from packets: whatever order is given, the right one comes out,
//! and a right one draws no warning.

use std::{
    net::IpAddr,
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
};

use crate::support::{
    capture::{ByteOrder, Capture, Format, Interface, OwnedFrame, PacketBlock, Packing},
    frames::Packet,
    scenario::Scenario,
    scene::{MILLISECOND, START_NS},
};
use hdp::{
    path::{self, Event, Options},
    source::FrameDirection,
};
use serde_json::Value;

/// All orders of so many things, the first is the given one.
fn permutations(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = permutations(count - 1);
    let with_last_at = |at: usize| {
        let insert = move |order: &Vec<usize>| {
            let mut order = order.clone();
            order.insert(at, count - 1);
            order
        };
        shorter.iter().map(insert).collect::<Vec<_>>()
    };
    (0..count).rev().flat_map(with_last_at).collect()
}

#[test]
fn there_are_as_many_orders_as_there_should_be() {
    let all = permutations(4);
    assert_eq!(all[0], [0, 1, 2, 3]);
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!((all.len(), distinct.len()), (24, 24));
}

// --- Fixtures ------------------------------------------------------------------------------------

/// Folders with the points of a path, in the right order.
fn paths() -> Vec<(PathBuf, Vec<String>)> {
    let mut paths: Vec<_> = Scenario::all()
        .into_iter()
        .map(|scenario| {
            let points = scenario.paths[0].iter().map(ToString::to_string);
            (scenario.folder.clone(), points.collect())
        })
        .collect();
    let logs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/logs");
    for points in [
        &["sent.jsonl", "client.pcap", "server.pcap", "received.jsonl"][..],
        &["sent.jsonl", "received.jsonl"],
        &["client.pcap", "received.jsonl"],
        &["sent.jsonl", "server.pcap"],
    ] {
        let points = points.iter().map(|point| (*point).to_owned());
        paths.push((logs.clone(), points.collect()));
    }
    paths
}

fn run(folder: &PathBuf, options: &[&str], points: &[&String]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_hdp"))
        .current_dir(folder)
        .args(["path", "--format", "json"])
        .args(options)
        .args(points)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{points:?}: {stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The warnings that speak of the points' order.
fn about_order(findings: &Value) -> Vec<&str> {
    let warnings = findings["warnings"].as_array().unwrap();
    let warnings = warnings.iter().map(|text| text.as_str().unwrap());
    let speaks_of_it =
        |text: &&str| text.contains("path order") || text.contains("order of the points");
    warnings.filter(speaks_of_it).collect()
}

#[test]
fn any_order_gives_the_findings_of_the_right_one() {
    for (folder, points) in paths() {
        let right: Vec<&String> = points.iter().collect();
        let expected = run(&folder, &[], &right);
        for order in permutations(points.len()) {
            let given: Vec<&String> = order.iter().map(|&point| &points[point]).collect();
            let found = run(&folder, &["--order", "auto"], &given);
            assert_eq!(found, expected, "{}: {given:?}", folder.display());
        }
    }
}

#[test]
fn a_right_order_draws_no_warning_and_a_wrong_one_draws_the_command() {
    for (folder, points) in paths() {
        let title = folder.display();
        let right: Vec<&String> = points.iter().collect();
        let expected = run(&folder, &[], &right);
        assert_eq!(about_order(&expected), [""; 0], "{title}");
        // Both ends are senders there: either may be called the first.
        if ["both-ways", "ping-pong"]
            .iter()
            .any(|both| folder.ends_with(both))
        {
            continue;
        }
        for order in permutations(points.len()).into_iter().skip(1) {
            let given: Vec<&String> = order.iter().map(|&point| &points[point]).collect();
            let findings = run(&folder, &[], &given);
            let about_order = about_order(&findings);
            let [warning] = about_order.as_slice() else {
                panic!("{title}: {given:?}: {about_order:?}");
            };
            let (_, command) = warning.split_once("try: hdp path ").unwrap();
            let output = Command::new("bash")
                .current_dir(&folder)
                .args(["-c", &format!("\"$0\" path --format json {command}")])
                .arg(env!("CARGO_BIN_EXE_hdp"))
                .output()
                .unwrap();
            let tried: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(tried["directions"], expected["directions"], "{title}");
        }
    }
}

#[test]
fn two_senders_may_be_given_either_way_round() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/both-ways");
    let [client, server] = ["client.pcap", "server.pcap"].map(str::to_owned);
    let findings = run(&folder, &[], &[&server, &client]);
    assert_eq!(about_order(&findings), [""; 0]);
}

#[test]
fn what_is_told_of_the_order_goes_to_standard_error() {
    let folder = "fixtures/three-points";
    let stderr = |points: [&str; 3]| {
        let output = Command::new(env!("CARGO_BIN_EXE_hdp"))
            .current_dir(folder)
            .args(["path", "--order", "auto"])
            .args(points)
            .output()
            .unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(stderr(["client.pcap", "router.pcap", "server.pcap"]), "");
    assert_eq!(
        stderr(["server.pcap", "client.pcap", "router.pcap"]),
        "hdp: --order auto: client → router → server\n"
    );
}

// --- Scenes --------------------------------------------------------------------------------------

const CLIENT: [u8; 4] = [10, 77, 1, 2];
const SERVER: [u8; 4] = [10, 77, 2, 2];

/// One HDP packet as a point saw it.
#[derive(Clone, Copy)]
struct Seen {
    /// After the scene's start, by the sender's clock.
    sent_ns: i64,
    /// From then to its capture, by the point's clock.
    later_ns: i64,
    ttl: u8,
    is_reply: bool,
    direction: Option<FrameDirection>,
}

/// A capture and the name of its point.
struct Point {
    name: String,
    capture: Capture,
}

fn point(name: &str, seen: &[Seen]) -> Point {
    let mut capture = Capture::new(101);
    capture.interfaces.push(Interface::new(101));
    for seen in seen {
        let [client, server]: [IpAddr; 2] = [CLIENT.into(), SERVER.into()];
        let (source, destination) = if seen.is_reply {
            (server, client)
        } else {
            (client, server)
        };
        let timestamp = (START_NS + seen.sent_ns).cast_unsigned();
        let mut packet = Packet::new(source, destination, 253, timestamp);
        packet.ip.ttl = seen.ttl;
        capture.frames.push(OwnedFrame {
            interface: u32::from(seen.direction == Some(FrameDirection::Outbound)),
            direction: seen.direction,
            ..OwnedFrame::new(START_NS + seen.sent_ns + seen.later_ns, packet.to_ip())
        });
    }
    Point {
        name: name.to_owned(),
        capture,
    }
}

/// Twenty packets that pass a point, unless it is to see other ones.
fn passing(name: &str, ttl: u8, later_ns: i64) -> Point {
    passing_as(name, &[(ttl, None)], later_ns)
}

/// Twenty packets, each seen several times at a point.
fn passing_as(name: &str, times: &[(u8, Option<FrameDirection>)], later_ns: i64) -> Point {
    let seen: Vec<Seen> = (0..20)
        .flat_map(|n| {
            times
                .iter()
                .zip(0..)
                .map(move |(&(ttl, direction), time)| Seen {
                    sent_ns: n * 10 * MILLISECOND,
                    later_ns: later_ns + time * 1_000,
                    ttl,
                    is_reply: false,
                    direction,
                })
        })
        .collect();
    point(name, &seen)
}

fn replies(name: &str, ttl: u8, later_ns: i64) -> Point {
    let seen: Vec<Seen> = (0..20)
        .map(|n| Seen {
            sent_ns: n * 10 * MILLISECOND,
            later_ns,
            ttl,
            is_reply: true,
            direction: None,
        })
        .collect();
    point(name, &seen)
}

/// What is found of the points' order.
#[derive(Default)]
struct Proposal {
    /// The points by their place in what was given.
    order: Vec<usize>,
    /// Pairs of which nothing shows which comes first.
    undecided: Vec<[usize; 2]>,
    /// The warning that the given order is wrong.
    against: Option<String>,
}

fn proposal(points: &[Point]) -> Proposal {
    let folder = tempfile::tempdir().unwrap();
    let sources = points.iter().map(|Point { name, capture }| {
        let file = folder.path().join(name);
        let format = Format::Pcapng {
            order: ByteOrder::Little,
            block: PacketBlock::Enhanced,
        };
        capture.write(&file, format, Packing::Plain);
        format!("{name}={}", file.display())
    });
    let sources = path::points(sources.collect::<Vec<_>>()).unwrap();
    let names: Vec<String> = points.iter().map(|point| point.name.clone()).collect();
    let found = Arc::new(Mutex::new(Proposal {
        order: (0..points.len()).collect(),
        ..Proposal::default()
    }));
    let events = {
        let found = Arc::clone(&found);
        move |event: Event| {
            let index = |name: &str| names.iter().position(|known| known == name).unwrap();
            let mut found = found.lock().unwrap();
            match event {
                Event::Reordered(names) => {
                    found.order = names.iter().map(|name| index(name)).collect();
                }
                Event::OrderUndecided([a, b]) => found.undecided.push([index(a), index(b)]),
                _ => {}
            }
        }
    };
    let auto = Options {
        order: path::Order::Auto,
        events: Some(Arc::new(events)),
        ..Options::default()
    };
    path::findings(&sources, &auto).unwrap();
    drop(auto);
    let as_given = path::findings(&sources, &Options::default()).unwrap();
    let mut against = as_given.warnings.iter().map(ToString::to_string);
    let mut found = Arc::into_inner(found).unwrap().into_inner().unwrap();
    found.against = against.rfind(|warning| warning.contains("not in path order"));
    found
}

/// The names in the order that is found, whatever order the points are made in.
#[track_caller]
fn assert_found(make: &[&dyn Fn() -> Point]) {
    let right: Vec<String> = make.iter().map(|make| make().name).collect();
    for order in permutations(make.len()) {
        let points: Vec<Point> = order.iter().map(|&point| make[point]()).collect();
        let given: Vec<&str> = points.iter().map(|point| point.name.as_str()).collect();
        let proposal = proposal(&points);
        let found: Vec<&str> = proposal.order.iter().map(|&point| given[point]).collect();
        assert_eq!(found, right, "given {given:?}");
        assert_eq!(proposal.undecided, [[0; 2]; 0], "given {given:?}");
        let is_right = given == right;
        assert_eq!(proposal.against.is_none(), is_right, "given {given:?}");
    }
}

const IN: Option<FrameDirection> = Some(FrameDirection::Inbound);
const OUT: Option<FrameDirection> = Some(FrameDirection::Outbound);
const WRONG_CLOCK: i64 = 3_600_000 * MILLISECOND;

#[test]
fn ttl_tells_whatever_the_clocks_say() {
    assert_found(&[
        &|| passing("client", 64, WRONG_CLOCK),
        &|| passing("first", 63, 10_000),
        &|| passing("second", 62, -WRONG_CLOCK),
        &|| passing("server", 61, 0),
    ]);
}

#[test]
fn a_router_that_shows_both_of_its_sides_lies_between_equal_ttls() {
    assert_found(&[
        &|| passing("client", 64, WRONG_CLOCK),
        &|| passing_as("router", &[(64, IN), (63, OUT)], 10_000),
        &|| passing("server", 63, -WRONG_CLOCK),
    ]);
}

#[test]
fn on_one_segment_direction_tells_sender_from_receiver() {
    assert_found(&[
        &|| passing_as("sender", &[(64, OUT)], WRONG_CLOCK),
        &|| passing("tap", 64, 10_000),
        &|| passing_as("receiver", &[(64, IN)], 0),
    ]);
}

#[test]
fn packets_that_go_back_only_begin_at_their_sender() {
    assert_found(&[
        &|| replies("server", 64, 10_000),
        &|| replies("router", 63, WRONG_CLOCK),
        &|| replies("client", 62, 0),
    ]);
}

#[test]
fn a_point_without_hdp_stays_where_it_is_given() {
    let client = || passing("client", 64, 10_000);
    let router = || passing("router", 63, 20_000);
    let server = || point("server", &[]);
    for points in [
        [client(), router(), server()],
        [client(), server(), router()],
        [server(), client(), router()],
    ] {
        let proposal = proposal(&points);
        assert_eq!(proposal.order, [0, 1, 2]);
        assert_eq!(proposal.against, None);
    }
}

#[test]
fn times_tell_no_order() {
    let sender = || passing("sender", 64, 10_000);
    let receiver = || passing("receiver", 64, 50_000);
    for points in [[sender(), receiver()], [receiver(), sender()]] {
        let proposal = proposal(&points);
        assert_eq!(proposal.undecided, [[0, 1]]);
        assert_eq!(proposal.against, None);
    }
}

#[test]
fn taps_on_one_segment_stay_as_they_are_given() {
    let [a, b] = [("a", 40_000), ("b", 90_000)];
    for [(first, later), (second, latest)] in [[a, b], [b, a]] {
        let points = [passing(first, 63, later), passing(second, 63, latest)];
        let proposal = proposal(&points);
        assert_eq!(proposal.order, [0, 1]);
        assert_eq!(proposal.undecided, [[0, 1]]);
        assert_eq!(proposal.against, None);
    }
}

#[test]
fn a_ttl_that_was_set_anew_says_nothing() {
    let points = [
        passing_as("client", &[(64, OUT)], 10_000),
        passing_as("server", &[(255, IN)], 50_000),
    ];
    assert_eq!(proposal(&points).against, None);
    assert_eq!(proposal(&points).undecided, [[0; 2]; 0]);
}

#[test]
fn signs_that_contradict_each_other_decide_nothing() {
    // TTL falls to a point that only sends.
    let points = [
        passing_as("a", &[(64, IN)], 10_000),
        passing_as("b", &[(63, OUT)], 50_000),
    ];
    let both = proposal(&points);
    assert_eq!((both.order, both.undecided), (vec![0, 1], vec![[0, 1]]));
    assert_eq!(both.against, None);
}

#[test]
fn a_sender_whose_packets_are_answered_comes_first_or_last() {
    let end = |name: &str, ttl: u8, back: u8| {
        let seen: Vec<Seen> = (0..20)
            .flat_map(|n| {
                [(ttl, false), (back, true)].map(|(ttl, is_reply)| Seen {
                    sent_ns: n * 10 * MILLISECOND + i64::from(is_reply) * MILLISECOND,
                    later_ns: 10_000,
                    ttl,
                    is_reply,
                    direction: None,
                })
            })
            .collect();
        point(name, &seen)
    };
    let ends = || {
        [
            end("client", 64, 62),
            end("middle", 63, 63),
            end("server", 62, 64),
        ]
    };
    for order in permutations(3) {
        let mut points: Vec<Option<Point>> = ends().into_iter().map(Some).collect();
        let given: Vec<Point> = order.iter().map(|&at| points[at].take().unwrap()).collect();
        let names: Vec<&str> = given.iter().map(|point| point.name.as_str()).collect();
        let proposal = proposal(&given);
        let found: Vec<&str> = proposal.order.iter().map(|&at| names[at]).collect();
        // Who asked first is the sender.
        assert_eq!(found, ["client", "middle", "server"]);
        let fits = ["clientmiddleserver", "servermiddleclient"].contains(&&*names.concat());
        assert_eq!(proposal.against.is_none(), fits, "{names:?}");
    }
}
