//! Paths between interfaces and pipes while packets go by, on hosts of their own, beside tcpdump
//! and the kernel's counters.
#![cfg(feature = "cli")]
#![cfg(feature = "libpcap")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::support::{
    hosts::{self, Routed, Running, file, send_signal, success, text, until},
    live::{Live, Remote, hdp_in, sweep},
    words,
};
use hdp::{
    findings::{Carrier, ClockMethod, DelayReference, Fate, Findings, Protocol, Verdict},
    path::{self, Options},
    source::{Origin, Source},
};
use tempfile::TempDir;

/// A router that drops some numbers.
fn routed(test: &str, dropped: &str) -> Option<Routed> {
    let hosts = hosts::routed(test)?;
    hosts.router.nft("add table ip t");
    hosts
        .router
        .nft("add chain ip t f { type filter hook forward priority 0; }");
    hosts
        .router
        .nft(&format!("add rule ip t f ip protocol {{ {dropped} }} drop"));
    Some(hosts)
}

fn json(printed: &str) -> Findings {
    serde_json::from_str(printed).unwrap_or_else(|why| panic!("{why}: {printed}"))
}

/// What the tool finds in files.
fn offline(sources: &[(&str, &Path)]) -> Findings {
    let sources = sources
        .iter()
        .map(|(name, file)| format!("{name}={}", text(file)));
    let mut command = Command::new(env!("CARGO_BIN_EXE_hdp"));
    let output = success(command.args(["path", "--format", "json"]).args(sources));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn numbers(findings: &Findings) -> &[Protocol] {
    assert_eq!(findings.directions.len(), 1, "{findings:?}");
    &findings.directions[0].protocols
}

fn number(findings: &Findings, protocol: u16) -> &Protocol {
    let mut numbers = numbers(findings).iter();
    let is_it = |p: &&Protocol| (p.protocol, p.carrier) == (protocol, Carrier::Ip);
    numbers.find(is_it).unwrap()
}

/// Sees that each packet has one fate.
fn accounted(findings: &Findings) {
    for p in numbers(findings) {
        let fates = p.delivered + p.lost + p.edge + p.late + p.ambiguous;
        assert_eq!(p.packets, fates, "{p:?}");
    }
}

fn sum(findings: &Findings, count: fn(&Protocol) -> u64) -> u64 {
    numbers(findings).iter().map(count).sum()
}

/// Holds one against the other, and shows what differs.
fn same(one: &Findings, other: &Findings) {
    if one == other {
        return;
    }
    let text = |findings| serde_json::to_string_pretty(findings).unwrap();
    let (one, other) = (text(one), text(other));
    let differing: Vec<String> = one
        .lines()
        .zip(other.lines())
        .filter(|(one, other)| one != other)
        .map(|(one, other)| format!("{} is {}", one.trim(), other.trim()))
        .take(20)
        .collect();
    panic!("{differing:#?}");
}

/// Takes out where the sources are.
fn without_sources(mut findings: Findings) -> Findings {
    findings.inputs.clear();
    for point in &mut findings.points {
        point.source.clear();
    }
    findings
}

/// Takes out what is said of clocks, too: interfaces that are captured from at the same time share
/// one, which their files do not tell.
fn but_for_clocks(findings: Findings) -> Findings {
    let mut findings = without_sources(findings);
    for direction in &mut findings.directions {
        for segment in &mut direction.segments {
            segment.clock.method = ClockMethod::None;
            segment.clock.offset_ns = None;
            segment.clock.error_ns = None;
            segment.clock.at_ns = None;
            segment.clock.skew_ppm = None;
            segment.clock.levels.clear();
        }
        let delays = || {
            direction
                .protocols
                .iter()
                .filter_map(|p| p.delay_ns.as_ref())
        };
        let shortest = delays().map(|delay| delay.min).min().unwrap_or(0);
        for delay in direction
            .protocols
            .iter_mut()
            .filter_map(|p| p.delay_ns.as_mut())
        {
            delay.reference = DelayReference::Minimum;
            for delay_ns in [
                &mut delay.min,
                &mut delay.p50,
                &mut delay.p90,
                &mut delay.p99,
                &mut delay.max,
            ] {
                *delay_ns -= shortest;
            }
            let with_lost = &mut delay.with_lost;
            for delay in [&mut with_lost.p50, &mut with_lost.p90, &mut with_lost.p99] {
                *delay = delay.map(|delay| delay - shortest);
            }
        }
    }
    findings
}

/// What became of each number: all of the findings that does not hang on how finely times were
/// taken, nor on what came by before and after.
fn verdicts(findings: &Findings) -> BTreeMap<(u16, String), String> {
    let of_number = |p: &Protocol| {
        let lost_at: Vec<_> = p
            .lost_at
            .iter()
            .map(|l| (&l.from, &l.to, l.count))
            .collect();
        let of = (p.protocol, format!("{:?}", p.carrier));
        let counts = [
            p.packets,
            p.delivered,
            p.lost,
            p.edge,
            p.altered,
            p.duplicates,
        ];
        let seen = (&p.seen, counts, lost_at);
        (of, format!("{:?} {:?} {seen:?}", p.verdict, p.grade))
    };
    numbers(findings).iter().map(of_number).collect()
}

/// Sees that three of the swept numbers were lost in one segment and all others passed.
fn three_are_blocked(findings: &Findings, (from, to): (&str, &str)) {
    accounted(findings);
    let blocked: Vec<_> = numbers(findings)
        .iter()
        .filter(|p| p.verdict == Verdict::Blocked)
        .map(|p| (p.protocol, p.lost, p.edge))
        .collect();
    assert_eq!(blocked, [(50, 1, 0), (51, 1, 0), (132, 1, 0)]);
    for p in numbers(findings) {
        if p.verdict == Verdict::Blocked {
            let [lost] = p.lost_at.as_slice() else {
                panic!("{p:?}");
            };
            assert_eq!((lost.from.as_str(), lost.to.as_str()), (from, to));
        } else {
            assert_eq!(p.verdict, Verdict::Passes, "{p:?}");
        }
    }
    assert_eq!(numbers(findings).len(), 256 + 1, "and the control");
    let segments = findings.directions[0].segments.iter();
    for segment in segments {
        let expected = u64::from((segment.from.as_str(), segment.to.as_str()) == (from, to)) * 3;
        assert_eq!(segment.lost, expected, "{segment:?}");
    }
}

const DROPPED: &str = "50, 51, 132";

/// Packets of a sweep: 1 to 256 (which is 0 on the wire), and the controls of these and of 0, for which
/// the system has no socket.
const SWEPT: usize = 2 * 257 - 1;

/// Starts a path on the router with `--save`.
fn start(hosts: &Routed, folder: &TempDir, sources: &[&str]) -> (Live, PathBuf) {
    let saved = file(folder, "saved");
    let arguments = ["path", "--format", "json", "--save", text(&saved)];
    let path = Live::start(&hosts.router, folder, &[&arguments, sources].concat());
    (path, saved)
}

#[test]
fn a_path_between_interfaces_is_judged_as_its_captures_are() {
    let Some(hosts) = routed("live-path", DROPPED) else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let beside = ["client", "server"].map(|interface| {
        let file = file(&folder, &format!("{interface}.pcap"));
        (hosts.router.capture(interface, &file), file)
    });
    let (path, saved) = start(&hosts, &folder, &["in=live:client", "live:server"]);
    sweep(&hosts.client, "10.77.2.2");
    // Nothing is on its way any more, and nothing has to be waited for.
    let (printed, said) = path.interrupt();
    let live = json(&printed);
    three_are_blocked(&live, ("in", "server"));
    for (point, name) in live.points.iter().zip(["in", "server"]) {
        assert_eq!(point.name, name);
        assert_eq!(point.capture_drops, Some(0), "{said}");
        assert_eq!(point.resolution_ns, Some(1));
    }

    // One clock: delays are what they are.
    let clock = &live.directions[0].segments[0].clock;
    assert_eq!(
        (clock.method, clock.offset_ns, clock.error_ns),
        (ClockMethod::SameHost, Some(0), Some(0))
    );
    for delay in numbers(&live).iter().filter_map(|p| p.delay_ns.as_ref()) {
        assert_eq!(delay.reference, DelayReference::Absolute);
        assert!(delay.min > 0 && delay.min <= delay.p50 && delay.p50 <= delay.max);
    }

    let saved = offline(&[
        ("in", &saved.join("in.pcapng")),
        ("server", &saved.join("server.pcapng")),
    ]);
    let clock = &saved.directions[0].segments[0].clock;
    assert_ne!(clock.method, ClockMethod::SameHost, "no file says so");
    same(&but_for_clocks(live.clone()), &but_for_clocks(saved));

    let [before, behind] = beside.map(|(tcpdump, file)| {
        until("tcpdump has written all", || {
            hdp_in(&file).len() >= SWEPT - 3
        });
        tcpdump.interrupt();
        file
    });
    assert_eq!(hdp_in(&before).len(), SWEPT);
    assert_eq!(hdp_in(&behind).len(), SWEPT - 3);
    let theirs = offline(&[("in", &before), ("server", &behind)]);
    assert_eq!(verdicts(&live), verdicts(&theirs));
}

#[test]
fn an_interface_and_a_pipe_are_judged_as_their_captures_are() {
    let Some(hosts) = routed("live-pipe", DROPPED) else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let before = file(&folder, "before.pcap");
    let tcpdump = hosts.router.capture("client", &before);
    let server = Remote::start(&hosts.server, "router", &folder, "server");
    let sources = ["client=live:client", text(&server.fifo)];
    let (path, saved) = start(&hosts, &folder, &sources);
    sweep(&hosts.client, "10.77.2.2");
    let behind = server.end(&path, SWEPT - 3);
    let (printed, _) = path.interrupt();
    let live = json(&printed);
    three_are_blocked(&live, ("client", "server"));
    let client = saved.join("client.pcapng");
    let saved = offline(&[("client", &client), ("server", &behind)]);
    same(&without_sources(live.clone()), &without_sources(saved));

    until("tcpdump has written all", || hdp_in(&before).len() == SWEPT);
    tcpdump.interrupt();
    let theirs = offline(&[("client", &before), ("server", &behind)]);
    assert_eq!(verdicts(&live), verdicts(&theirs));
}

#[test]
fn two_interfaces_of_a_router_and_a_pipe_behind_it_tell_where_it_was() {
    let Some(hosts) = routed("live-three", DROPPED) else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let server = Remote::start(&hosts.server, "router", &folder, "server");
    let sources = ["in=live:client", "out=live:server", text(&server.fifo)];
    let (path, saved) = start(&hosts, &folder, &sources);
    sweep(&hosts.client, "10.77.2.2");
    let behind = server.end(&path, SWEPT - 3);
    let (printed, _) = path.interrupt();
    let live = json(&printed);
    three_are_blocked(&live, ("in", "out"));
    let [inside, outside] = live.directions[0].segments.as_slice() else {
        panic!("{printed}");
    };
    assert_eq!(inside.clock.method, ClockMethod::SameHost);
    assert_ne!(outside.clock.method, ClockMethod::SameHost);
    let (into, out) = (saved.join("in.pcapng"), saved.join("out.pcapng"));
    let saved = offline(&[("in", &into), ("out", &out), ("server", &behind)]);
    same(&but_for_clocks(live), &but_for_clocks(saved));
}

#[test]
fn all_interfaces_of_a_router_between_two_pipes_tell_that_it_was_the_router() {
    let Some(hosts) = routed("live-any", DROPPED) else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let client = Remote::start(&hosts.client, "router", &folder, "client");
    let server = Remote::start(&hosts.server, "router", &folder, "server");
    let sources = [text(&client.fifo), "router=live:any", text(&server.fifo)];
    let (path, saved) = start(&hosts, &folder, &sources);
    sweep(&hosts.client, "10.77.2.2");
    let before = client.end(&path, SWEPT);
    let behind = server.end(&path, SWEPT - 3);
    let (printed, _) = path.interrupt();
    let live = json(&printed);
    three_are_blocked(&live, ("router (in)", "router (out)"));
    let router = saved.join("router.pcapng");
    let saved = offline(&[
        ("client", &before),
        ("router", &router),
        ("server", &behind),
    ]);
    same(&without_sources(live), &without_sources(saved));
}

/// Sends HDP under 16 numbers from 200 on as fast as it can, so many packets.
const FLOOD: &str = "
import socket, struct, sys, time
sockets = []
for number in range(200, 216):
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, number)
    raw.connect(('10.77.2.2', 0))
    sockets.append(raw)
for packet in range(int(sys.argv[1])):
    sockets[packet % 16].send(struct.pack('>HHQ', 420, 420, time.time_ns()))";

/// The one of them that the router drops.
const BLOCKED: u16 = 207;

/// A router that drops [`BLOCKED`], and a server that answers nothing.
fn floodable(test: &str) -> Option<Routed> {
    let hosts = routed(test, &BLOCKED.to_string())?;
    hosts.server.nft("add table ip t");
    hosts
        .server
        .nft("add chain ip t i { type filter hook input priority 0; policy drop; }");
    Some(hosts)
}

fn flood(hosts: &Routed, packets: u64) {
    let mut flood = hosts.client.command("python3");
    success(flood.args(["-c", FLOOD, &packets.to_string()]));
}

/// Sees that of a flood each packet is accounted for, and nothing but the blocked number lost.
fn flood_is_accounted(findings: &Findings, sent: u64) {
    accounted(findings);
    let passed = sent - sent / 16;
    for (point, came) in findings.points.iter().zip([sent, passed]) {
        let dropped = point.capture_drops.unwrap();
        assert_eq!(point.hdp + dropped, came, "{point:?}");
    }
    let [before, behind] = findings.points.as_slice() else {
        panic!("{findings:?}");
    };
    assert_eq!(sum(findings, |p| p.seen[0]), before.hdp);
    assert_eq!(sum(findings, |p| p.seen[1]), behind.hdp);
    assert_eq!(sum(findings, |p| p.delivered), behind.hdp);
    assert_eq!(numbers(findings).len(), 16);
    for p in numbers(findings) {
        if p.protocol == BLOCKED {
            assert_eq!((p.verdict, p.delivered), (Verdict::Blocked, 0), "{p:?}");
        } else {
            // Whatever did not come, the kernel had no room for.
            assert_eq!((p.verdict, p.lost), (Verdict::Passes, 0), "{p:?}");
        }
    }
    let edge = sum(findings, |p| p.edge);
    if behind.capture_drops == Some(0) {
        assert_eq!(edge, 0);
        assert_eq!(
            number(findings, BLOCKED).lost,
            number(findings, BLOCKED).seen[0]
        );
    }
}

/// How many blocked packets are not judged in files though they were sent outside of the stretches of which
/// the server's lacks some. Each may have come by in one of those.
fn unjudged_beside(findings: &Findings, saved: &Path) -> u64 {
    let [client, server] = ["client.pcapng", "server.pcapng"].map(|file| saved.join(file));
    let mut source = Source::open(Origin::Path(server.clone())).unwrap();
    while source.next_frame().is_some() {}
    let mut blind = source.summary().dropped_ns.clone();
    blind.extend(
        findings.points[1]
            .gaps
            .iter()
            .map(|[from, to]| (*from, *to)),
    );
    let named = [("client", &client), ("server", &server)];
    let points = path::points(named.map(|(name, file)| format!("{name}={}", text(file))));
    let mut beside = 0;
    let options = Options::default();
    path::packets(&points.unwrap(), &options, |packet| {
        if packet.protocol != u8::try_from(BLOCKED).unwrap() || packet.fate != Fate::Edge {
            return;
        }
        let expected = packet.expected.as_ref().unwrap();
        let within = (expected.from_ns.unwrap(), expected.to_ns.unwrap());
        let in_blind = |(from_ns, to_ns): (i64, i64)| {
            let mut blind = blind.iter();
            blind.any(|stretch| from_ns <= stretch.1 && stretch.0 <= to_ns)
        };
        assert!(in_blind(within), "{packet:?}, {blind:?}");
        let sent_ns = packet.seen[0].time_ns;
        beside += u64::from(!in_blind((sent_ns, sent_ns)));
    })
    .unwrap();
    beside
}

#[test]
fn of_a_flood_every_packet_is_accounted_for() {
    const SENT: u64 = 100_000;
    let Some(hosts) = floodable("live-flood") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let arguments = ["path", "--format", "json", "live:client", "live:server"];
    let path = Live::start(&hosts.router, &folder, &arguments);
    flood(&hosts, SENT);
    let (printed, _) = path.interrupt();
    flood_is_accounted(&json(&printed), SENT);
}

#[test]
fn what_the_kernel_has_no_room_for_is_no_loss() {
    const SENT: u64 = 30_000;
    let Some(hosts) = floodable("live-full") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let saved = file(&folder, "saved");
    let arguments = ["path", "--format", "json", "live:client", "live:server"];
    // Room for some ten thousand.
    let more = ["-B", "2048", "--save", text(&saved)];
    let path = Live::start(&hosts.router, &folder, &[&arguments[..], &more].concat());
    flood(&hosts, SENT);
    send_signal("STOP", path.process());
    flood(&hosts, SENT);
    send_signal("CONT", path.process());
    flood(&hosts, SENT);
    let (printed, said) = path.interrupt();
    let live = json(&printed);
    flood_is_accounted(&live, 3 * SENT);
    for point in &live.points {
        assert!(point.capture_drops > Some(1_000), "{said}");
    }
    assert!(
        number(&live, BLOCKED).lost > 0,
        "outside of the stretch that lacks some"
    );
    let kept = offline(&[
        ("client", &saved.join("client.pcapng")),
        ("server", &saved.join("server.pcapng")),
    ]);
    flood_is_accounted(&kept, 3 * SENT);
    // Of two interfaces it is known that they share a clock, of their files it is not: beside the stretches
    // that lack some, some more packets are lost for certain.
    let [known, unknown] = [&live, &kept].map(|findings| number(findings, BLOCKED));
    assert_eq!(known.lost + known.edge, unknown.lost + unknown.edge);
    let (more, beside) = (known.lost - unknown.lost, unjudged_beside(&kept, &saved));
    assert!(more <= beside, "{more} more are lost, not {beside}");
    let others = |findings| {
        let mut verdicts = verdicts(findings);
        verdicts.retain(|(protocol, _), _| *protocol != BLOCKED);
        verdicts
    };
    assert_eq!(others(&live), others(&kept));
}

/// Sends so many packets of a number, 1 ms apart.
fn send(hosts: &Routed, number: u16, count: u64) {
    success(&mut sending(hosts, &number.to_string(), count));
}

fn sending(hosts: &Routed, numbers: &str, count: u64) -> Command {
    let count = count.to_string();
    let fixed = ["send", "10.77.2.2", "--interval", "1ms", "--payload", "moo"];
    let chosen = ["--protocols", numbers, "--count", &count];
    let mut command = hosts.client.hdp(&[&fixed[..], &chosen].concat());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn a_pipe_whose_tcpdump_is_killed_makes_no_loss_and_the_rest_goes_on() {
    let Some(hosts) = routed("live-killed", DROPPED) else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let server = Remote::start(&hosts.server, "router", &folder, "server");
    let sources = ["client=live:client", text(&server.fifo)];
    let (path, _) = start(&hosts, &folder, &sources);
    let mut sender = Running::start(&mut sending(&hosts, "40-60", 40));
    until("some have arrived", || server.came() > 300);
    let behind = server.kill(&path);
    sender.ended();
    let (printed, said) = path.interrupt();
    let findings = json(&printed);
    accounted(&findings);
    let came = hdp_in(&behind).len() as u64;
    let sent = 21 * 40;
    assert!(came < sent - 3 * 40, "it was killed in the middle");
    assert_eq!(findings.points[0].hdp, sent, "{said}");
    assert_eq!(sum(&findings, |p| p.packets), sent);
    assert_eq!(sum(&findings, |p| p.delivered), came);
    for p in numbers(&findings) {
        if [50, 51].contains(&p.protocol) {
            // Of those that were sent before.
            assert_eq!((p.verdict, p.delivered), (Verdict::Blocked, 0), "{p:?}");
            assert!(p.lost < 40 && p.edge > 0, "{p:?}");
        } else {
            assert_eq!((p.verdict, p.lost), (Verdict::Passes, 0), "{p:?}");
        }
    }
}

#[test]
fn an_interface_that_goes_down_and_comes_up_again_goes_on_being_watched() {
    let Some(hosts) = routed("live-down", DROPPED) else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let (path, _) = start(&hosts, &folder, &["in=live:client", "out=live:server"]);
    send(&hosts, 252, 5);
    hosts
        .router
        .succeed(&["ip", "link", "set", "server", "down"]);
    send(&hosts, 253, 5);
    hosts.router.succeed(&["ip", "link", "set", "server", "up"]);
    until("the cable carries", || hosts.are_up());
    send(&hosts, 254, 5);
    let (printed, _) = path.interrupt();
    let findings = json(&printed);
    accounted(&findings);
    for passed in [252, 254] {
        let p = number(&findings, passed);
        assert_eq!(
            (p.verdict, p.delivered, p.packets),
            (Verdict::Passes, 5, 5),
            "{p:?}"
        );
    }
    // Nothing goes by an interface that is down: those were lost indeed.
    let p = number(&findings, 253);
    assert_eq!((&p.seen[..], p.lost + p.edge), (&[5, 0][..], 5), "{p:?}");
}

#[test]
fn an_interface_that_is_removed_makes_no_loss_and_the_rest_goes_on() {
    let Some(hosts) = routed("live-removed", DROPPED) else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let (mut path, _) = start(&hosts, &folder, &["in=live:client", "out=live:server"]);
    send(&hosts, 50, 5);
    send(&hosts, 252, 20);
    hosts.router.succeed(&["ip", "link", "delete", "server"]);
    for unwatched in [50, 253] {
        send(&hosts, unwatched, 5);
    }
    // With the last one, it ends by itself.
    hosts.router.succeed(&["ip", "link", "delete", "client"]);
    path.running.ended();
    let findings = json(&path.printed());
    accounted(&findings);
    for (point, hdp) in findings.points.iter().zip([35, 20]) {
        assert_eq!(point.hdp, hdp);
        let why = format!(
            "{}: the capture ended before it was told to: The interface disappeared; it watched until 20",
            point.name
        );
        let warnings = findings.warnings.iter();
        assert_eq!(
            warnings
                .filter(|warning| warning.to_string().starts_with(&why))
                .count(),
            1,
            "{findings:?}"
        );
    }
    let p = number(&findings, 252);
    assert_eq!((p.verdict, p.delivered), (Verdict::Passes, 20), "{p:?}");
    let p = number(&findings, 253);
    assert_eq!((p.verdict, p.edge), (Verdict::Inconclusive, 5), "{p:?}");
    let p = number(&findings, 50);
    assert_eq!((p.lost, p.edge), (5, 5), "{p:?}");
}

#[test]
fn a_loss_is_judged_while_packets_keep_coming() {
    let Some(hosts) = routed("live-steady", DROPPED) else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let sources = ["path", "in=live:client", "out=live:server"];
    let path = Live::start(&hosts.router, &folder, &sources);
    // Never a silence in which an interface could say that it had been watching, for 20 s.
    let mut command = hosts
        .client
        .hdp(&["send", "10.77.2.2", "--interval", "20ms"]);
    command.args([
        "--protocols",
        "50,253",
        "--count",
        "500",
        "--payload",
        "moo",
    ]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let sender = Running::start(&mut command);
    until("the loss is told", || {
        path.said().contains("50 ESP  blocked")
    });
    let state = fs::read_to_string(format!("/proc/{}/stat", sender.id())).unwrap();
    assert!(
        !state.contains(") Z "),
        "it was told before the last packet: {state}"
    );
    sender.interrupt();
    let (printed, said) = path.interrupt();
    assert!(printed.contains("50 ESP"), "{said}");
}

#[test]
fn a_signal_amid_traffic_brings_the_whole_report() {
    let Some(hosts) = routed("live-signal", DROPPED) else {
        return;
    };
    for signal in ["INT", "TERM"] {
        let folder = TempDir::new().unwrap();
        let server = Remote::start(&hosts.server, "router", &folder, "server");
        let sources = ["client=live:client", "out=live:server", text(&server.fifo)];
        let (path, _) = start(&hosts, &folder, &sources);
        let sender = Running::start(&mut sending(&hosts, "0-255", 20));
        until("some have arrived", || server.came() > 300);
        let (printed, said) = path.end_by(signal);
        sender.interrupt();
        server.abandon();
        let findings = json(&printed);
        accounted(&findings);
        assert_eq!(findings.points.len(), 3);
        assert!(sum(&findings, |p| p.delivered) >= 250, "{said}");
        for p in numbers(&findings) {
            assert!(p.lost == 0 || [50, 51, 132].contains(&p.protocol), "{p:?}");
        }
    }
}

#[test]
fn a_point_that_watched_and_saw_nothing_is_not_said_to_have_been_blind() {
    let Some(hosts) = routed("live-nothing", "200-255") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let (path, _) = start(&hosts, &folder, &["in=live:client", "out=live:server"]);
    send(&hosts, 253, 5);
    // Behind the time that the others may take.
    send(&hosts, 254, 150);
    // The clock is the same: that it watched at the time is known without any packet.
    let (printed, _) = path.interrupt();
    let findings = json(&printed);
    let p = number(&findings, 253);
    assert_eq!((p.verdict, p.lost), (Verdict::Blocked, 5), "{p:?}");
    assert_eq!(
        words(&findings.warnings),
        ["out: it was watching, and no frame came that it was to record"]
    );
}
