//! `hdp path` on every scenario under `fixtures/`: real captures whose truth is known.
//!
//! What must come out was written by hand (`scenario.toml`) or counted without the analyzer
//! (`seen.json`). `expected.json` holds the findings themselves, so that a change of any of them
//! shows in review; `UPDATE_EXPECTED=1 cargo test --test all fixtures::` writes it anew.
#![cfg(feature = "cli")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{Debug, Display},
    fs,
    path::Path,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::support::{
    capture::{ByteOrder, Capture, Format, PacketBlock, Packing},
    frames::{Ip, Link, Network, Quote, arp_request, icmp_error, ip, udp},
    scenario::{Labelled, Scenario, SeenPackets},
};
use hdp::{
    findings::{Carrier, Direction, During, Findings, Packet as PacketFate, Protocol, Verdict},
    protocols::{self, List},
};
use serde_json::{Value, json};

#[test]
fn findings_are_true() {
    in_every_scenario(|scenario, wrong| {
        for path in &scenario.paths {
            let findings = typed(&run(scenario, path));
            check_sums(&findings, wrong);
            check_verdicts(scenario, &findings, wrong);
            check_changes(scenario, &findings, wrong);
            check_true_icmp(scenario, &findings, wrong);
        }
    });
}

#[test]
fn counts_are_those_of_tcpdump() {
    in_every_scenario(|scenario, wrong| {
        for path in &scenario.paths {
            let findings = typed(&run(scenario, path));
            check_points(scenario, &findings, wrong);
            check_packets(scenario, &findings, wrong);
            check_counted_icmp(scenario, &findings, wrong);
            check_sources(scenario, path, wrong);
        }
    });
}

#[test]
fn findings_are_the_expected_ones() {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    in_every_scenario(|scenario, wrong| {
        let file = scenario.folder.join("expected.json");
        let found = without_times_of_losses(run(scenario, &scenario.paths[0]));
        if update {
            let mut folded = fold(&found);
            folded.sort_all_objects();
            let text = serde_json::to_string_pretty(&folded).unwrap();
            fs::write(&file, text + "\n").unwrap();
        }
        match fs::read_to_string(&file) {
            Ok(text) => {
                let expected = unfold(&serde_json::from_str(&text).unwrap());
                differences("", &found, &expected, wrong);
            }
            Err(error) => wrong.push(format!("expected.json: {error}; see fixtures/README.md")),
        }
    });
}

#[test]
fn other_forms_of_the_same_captures_change_nothing() {
    in_every_scenario(|scenario, wrong| {
        let expected = run(scenario, &scenario.paths[0]);
        for path in &scenario.paths[1..] {
            let mut found = Vec::new();
            differences(
                &format!("{}: ", words(path)),
                &convertible(&run(scenario, path), Precision::Kept),
                &convertible(&expected, Precision::Kept),
                &mut found,
            );
            wrong.append(&mut found);
        }
    });
}

#[test]
fn conversion_changes_nothing() {
    let pcap = |order, nanoseconds| Format::Pcap { order, nanoseconds };
    let pcapng = |order| Format::Pcapng {
        order,
        block: PacketBlock::Enhanced,
    };
    let conversions = [
        (pcap(ByteOrder::Little, false), Packing::Plain),
        (pcap(ByteOrder::Big, false), Packing::Gzip),
        (pcap(ByteOrder::Little, true), Packing::Zstd),
        (pcap(ByteOrder::Big, true), Packing::Plain),
        (pcapng(ByteOrder::Little), Packing::Gzip),
        (pcapng(ByteOrder::Big), Packing::Plain),
        (pcapng(ByteOrder::Little), Packing::Zstd),
    ];
    in_every_scenario(|scenario, wrong| {
        let path = &scenario.paths[0];
        let original = run(scenario, path);
        let is_finer = |point: &Value| point["resolution_ns"].as_u64() < Some(1_000);
        let has_nanoseconds = items(&original["points"]).iter().any(is_finer);
        let captures = read(scenario, path);
        for (format, packing) in conversions {
            let precision = match format {
                Format::Pcap {
                    nanoseconds: false, ..
                } if has_nanoseconds => Precision::Lost,
                _ => Precision::Kept,
            };
            differences(
                &format!("{format:?} {packing:?}: "),
                &convertible(&run_on(path, &captures, format, packing), precision),
                &convertible(&original, precision),
                wrong,
            );
        }
    });
}

#[test]
fn fifos_change_nothing() {
    in_every_scenario(|scenario, wrong| {
        let path = &scenario.paths[0];
        let folder = tempfile::tempdir().unwrap();
        let mut writers = Vec::new();
        let mut fifos = Vec::new();
        for point in path {
            let fifo = folder.path().join(&point.name);
            let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
            assert!(made.success());
            let bytes = fs::read(scenario.folder.join(&point.file)).unwrap();
            fifos.push(Labelled {
                name: point.name.clone(),
                file: fifo.to_str().unwrap().to_owned(),
            });
            writers.push(thread::spawn(move || fs::write(fifo, bytes)));
        }
        // Fails where hdp does; writers that nobody reads from would wait for ever.
        let found = run_in(folder.path(), &fifos);
        for writer in writers {
            writer.join().unwrap().unwrap();
        }
        let mut expected = run(scenario, path);
        for point in points(&mut expected) {
            let fifo = fifos.iter().find(|fifo| point["capture"] == fifo.name);
            point["source"] = json!(fifo.unwrap().file);
        }
        for (input, fifo) in inputs(&mut expected).zip(inputs(&mut found.clone())) {
            assert!(fifo["bytes"].is_null() && fifo["sha256"].is_null());
            *input = fifo.clone();
        }
        differences("", &found, &expected, wrong);
    });
}

#[test]
fn unrelated_traffic_changes_nothing() {
    const ROUNDS: i64 = 40;
    in_every_scenario(|scenario, wrong| {
        let path = &scenario.paths[0];
        let mut captures = read(scenario, path);
        for capture in &mut captures {
            *capture = capture.mixed_with(&unrelated(capture, ROUNDS));
        }
        let format = Format::Pcapng {
            order: ByteOrder::Little,
            block: PacketBlock::Enhanced,
        };
        let found = run_on(path, &captures, format, Packing::Plain);
        let mut expected = run(scenario, path);
        for point in points(&mut expected) {
            for (count, more) in [
                (&["frames"][..], (UNRELATED_IP + 1) * ROUNDS),
                (&["skipped", "not_hdp"], UNRELATED_IP * ROUNDS),
                (&["skipped", "not_ip"], ROUNDS),
            ] {
                let member = count
                    .iter()
                    .fold(&mut *point, |value, key| &mut value[*key]);
                *member = json!(member.as_i64().unwrap() + more);
            }
        }
        let convertible = |findings| convertible(&without_frame_numbers(findings), Precision::Kept);
        differences("", &convertible(found), &convertible(expected), wrong);
    });
}

// --- Running -------------------------------------------------------------------------------------

/// Checks every scenario, a few at a time, and fails with all that is wrong in any of them.
fn in_every_scenario(check: impl Fn(&Scenario, &mut Vec<String>) + Sync) {
    let scenarios = Scenario::all();
    let next = AtomicUsize::new(0);
    let all_wrong = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads.min(scenarios.len()) {
            scope.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut wrong = Vec::new();
                    check(scenario, &mut wrong);
                    let name = scenario.name();
                    all_wrong
                        .lock()
                        .unwrap()
                        .extend(wrong.iter().map(|wrong| format!("{name}: {wrong}")));
                }
            });
        }
    });
    let mut all_wrong = all_wrong.into_inner().unwrap();
    all_wrong.sort();
    assert!(all_wrong.is_empty(), "\n{}", all_wrong.join("\n"));
}

fn run(scenario: &Scenario, path: &[Labelled]) -> Value {
    run_in(&scenario.folder, path)
}

fn run_in(folder: &Path, path: &[Labelled]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_hdp"))
        .current_dir(folder)
        .args(["path", "--format", "json"])
        .args(path.iter().map(ToString::to_string))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let folder = folder.display();
    assert!(
        output.status.success(),
        "{folder}: {}: {stderr}",
        words(path)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs on captures written to files of one form.
fn run_on(path: &[Labelled], captures: &[Capture], format: Format, packing: Packing) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<Labelled> = path
        .iter()
        .zip(captures)
        .map(|(point, capture)| {
            let file = point.name.clone();
            capture.write(&folder.path().join(&file), format, packing);
            Labelled {
                name: point.name.clone(),
                file,
            }
        })
        .collect();
    run_in(folder.path(), &files)
}

fn read(scenario: &Scenario, path: &[Labelled]) -> Vec<Capture> {
    path.iter()
        .map(|point| Capture::read(&scenario.folder.join(&point.file)))
        .collect()
}

fn words(path: &[Labelled]) -> String {
    path.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

fn inputs(findings: &mut Value) -> impl Iterator<Item = &mut Value> {
    findings["inputs"].as_array_mut().unwrap().iter_mut()
}

fn typed(findings: &Value) -> Findings {
    serde_json::from_value(findings.clone()).unwrap()
}

// --- What is true --------------------------------------------------------------------------------

#[allow(clippy::needless_pass_by_value)] // Mostly numbers.
fn check<T: PartialEq + Debug>(wrong: &mut Vec<String>, what: impl Display, found: T, truth: T) {
    if found != truth {
        wrong.push(format!("{what}: found {found:?}, but true is {truth:?}"));
    }
}

fn entries(findings: &Findings) -> impl Iterator<Item = (&Direction, &Protocol)> {
    findings
        .directions
        .iter()
        .flat_map(|direction| direction.protocols.iter().map(move |p| (direction, p)))
}

fn title(direction: &Direction, protocol: &Protocol) -> String {
    let carrier = match protocol.carrier {
        Carrier::Ip => "",
        Carrier::Udp => " (in UDP)",
    };
    let Direction { from, to, .. } = direction;
    format!("{from} → {to}: {}{carrier}", protocol.protocol)
}

fn check_sums(findings: &Findings, wrong: &mut Vec<String>) {
    for (direction, p) in entries(findings) {
        let sum = p.delivered + p.lost + p.edge + p.late + p.ambiguous;
        let title = title(direction, p);
        check(wrong, format!("{title}: sum of fates"), sum, p.packets);
        let lost_at: u64 = p.lost_at.iter().map(|lost| lost.count).sum();
        check(wrong, format!("{title}: sum of lost_at"), lost_at, p.lost);
        let during: u64 = p.lost_during.iter().map(|during| during.count).sum();
        check(
            wrong,
            format!("{title}: sum of lost_during"),
            during,
            p.lost,
        );
        let point = &findings.points[0];
        let (first, last) = (point.first_ns.unwrap(), point.last_ns.unwrap());
        let is_within = |during: &During| during.to_ns >= first && during.from_ns <= last;
        let is_forward = direction.from == point.name;
        if is_forward && !p.lost_during.iter().all(is_within) {
            wrong.push(format!("{title}: lost while nothing was recorded"));
        }
    }
}

fn check_verdicts(scenario: &Scenario, findings: &Findings, wrong: &mut Vec<String>) {
    let truth = &scenario.truth;
    let (first, last) = (
        &findings.points[0].name,
        &findings.points.last().unwrap().name,
    );
    let mut named = BTreeSet::new();
    for true_verdict in &truth.verdict {
        let from = true_verdict.from.as_ref().unwrap_or(first);
        let to = true_verdict.to.as_ref().unwrap_or(last);
        for &number in &true_verdict.protocols {
            let carrier = true_verdict.carrier;
            named.insert((from.clone(), carrier, number));
            let found = entries(findings).find(|(direction, p)| {
                (&direction.from, &direction.to, p.protocol, p.carrier)
                    == (from, to, number, carrier)
            });
            let Some((direction, p)) = found else {
                if true_verdict.verdict != "unseen" {
                    wrong.push(format!("{from} → {to}: {number}: no entry"));
                }
                continue;
            };
            let title = title(direction, p);
            let verdict = serde_json::to_value(p.verdict).unwrap();
            let verdict = verdict.as_str().unwrap();
            check(
                wrong,
                format!("{title}: verdict"),
                verdict,
                &true_verdict.verdict,
            );
            for (what, found, truth) in [
                (
                    "packets",
                    p.packets,
                    true_verdict.packets.or(Some(truth.packets)),
                ),
                ("delivered", p.delivered, true_verdict.delivered),
                ("lost", p.lost, true_verdict.lost),
                ("edge", p.edge, Some(true_verdict.edge)),
            ] {
                check(
                    wrong,
                    format!("{title}: {what}"),
                    found,
                    truth.unwrap_or(found),
                );
            }
            if let Some([from, to]) = &true_verdict.lost_at {
                let found: Vec<_> = p
                    .lost_at
                    .iter()
                    .map(|l| (&l.from, &l.to, l.count))
                    .collect();
                let all_there = vec![(from, to, p.lost)];
                check(wrong, format!("{title}: lost_at"), found, all_there);
            }
        }
    }
    for (direction, p) in entries(findings) {
        let is_named = named.contains(&(direction.from.clone(), p.carrier, p.protocol));
        if p.packets == 0 || p.carrier != Carrier::Ip || is_named {
            continue;
        }
        let title = title(direction, p);
        check(wrong, format!("{title}: verdict"), p.verdict, truth.others);
        check(wrong, format!("{title}: packets"), p.packets, truth.packets);
        check(wrong, format!("{title}: edge"), p.edge, truth.edge);
        if truth.others == Verdict::Passes {
            let rest = truth.packets - truth.edge;
            check(wrong, format!("{title}: delivered"), p.delivered, rest);
        }
    }
}

fn check_changes(scenario: &Scenario, findings: &Findings, wrong: &mut Vec<String>) {
    for truth in &scenario.truth.change {
        for (direction, p) in entries(findings) {
            let mut found: Vec<_> = p
                .changes
                .iter()
                .filter(|change| change.field == truth.field)
                .map(|change| (&change.from, &change.to, &change.between, change.count))
                .collect();
            let mut expected = Vec::new();
            if truth.protocols.contains(&p.protocol) {
                expected.push((&truth.from, &truth.to, &truth.between, p.packets));
            }
            found.sort();
            let what = format!("{}: {}", title(direction, p), truth.field);
            check(wrong, what, found, expected);
        }
    }
}

fn check_true_icmp(scenario: &Scenario, findings: &Findings, wrong: &mut Vec<String>) {
    for truth in &scenario.truth.icmp {
        for &number in &truth.protocols {
            let key = (number, truth.from.clone(), truth.icmp_type, truth.code);
            let found = icmp(findings).get(&key).copied().unwrap_or(0);
            if found < truth.count {
                wrong.push(format!("{key:?}: {found} ICMP errors, not {}", truth.count));
            }
        }
    }
}

/// Packets quoted by ICMP errors, by number, sender of the error, type and code.
fn icmp(findings: &Findings) -> BTreeMap<(u16, String, u8, u8), u64> {
    let mut counts = BTreeMap::new();
    for (_, p) in entries(findings).filter(|(_, p)| p.carrier == Carrier::Ip) {
        for error in &p.icmp {
            let key = (p.protocol, error.from.clone(), error.icmp_type, error.code);
            *counts.entry(key).or_default() += error.count;
        }
    }
    counts
}

// --- What was counted ----------------------------------------------------------------------------

fn check_points(scenario: &Scenario, findings: &Findings, wrong: &mut Vec<String>) {
    let truth = &scenario.truth.sightings;
    for point in &findings.points {
        let (name, seen) = (&point.name, &scenario.seen.points[&point.capture]);
        check(wrong, format!("{name}: frames"), point.frames, seen.frames);
        let sides = findings.points.iter();
        let sides = sides.filter(|side| side.capture == point.capture);
        let hdp: u64 = sides.map(|side| side.hdp).sum();
        check(wrong, format!("{}: hdp", point.capture), hdp, seen.hdp);
        let truth = truth.get(name).copied().unwrap_or(point.hdp);
        check(wrong, format!("{name}: hdp"), point.hdp, truth);
    }
}

fn check_packets(scenario: &Scenario, findings: &Findings, wrong: &mut Vec<String>) {
    let key = |from: &str, carrier, number| (from.to_owned(), carrier, number);
    let mut found: BTreeMap<_, _> = entries(findings)
        .filter(|(_, p)| p.packets > 0)
        .map(|(direction, p)| (key(&direction.from, p.carrier, p.protocol), p))
        .collect();
    for counted in &scenario.seen.packets {
        for &number in &counted.protocols {
            let title = format!("{} → {}: {number}", counted.from, counted.to);
            let p = found.remove(&key(&counted.from, counted.carrier, number));
            let nowhere = counted.seen.values().all(|&count| count == 0);
            check(
                wrong,
                format!("{title}: has no entry"),
                p.is_none(),
                nowhere,
            );
            if let Some(p) = p {
                check(wrong, format!("{title}: packets"), p.packets, counted.sent);
                check_seen(&title, p, findings, counted, wrong);
            }
        }
    }
    for ((from, carrier, number), _) in found {
        wrong.push(format!(
            "from {from}: {number} ({carrier:?}): was never there"
        ));
    }
}

/// Distinct packets by capture; where one has two sides, on the side that saw more.
fn check_seen(
    title: &str,
    protocol: &Protocol,
    findings: &Findings,
    counted: &SeenPackets,
    wrong: &mut Vec<String>,
) {
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for (point, &seen) in findings.points.iter().zip(&protocol.seen) {
        let most = found.entry(point.capture.clone()).or_default();
        *most = seen.max(*most);
    }
    check(wrong, format!("{title}: seen"), &found, &counted.seen);
}

fn check_counted_icmp(scenario: &Scenario, findings: &Findings, wrong: &mut Vec<String>) {
    // An error that passes several points quotes the same packets at each.
    let mut by_point: BTreeMap<_, Vec<u64>> = BTreeMap::new();
    for counted in &scenario.seen.icmp {
        for &number in &counted.protocols {
            let key = (
                number,
                counted.from.clone(),
                counted.icmp_type,
                counted.code,
            );
            by_point.entry(key).or_default().push(counted.quoted);
        }
    }
    let found = icmp(findings);
    for key in found.keys().chain(by_point.keys()).collect::<BTreeSet<_>>() {
        let counts = by_point.get(key).map_or(&[][..], Vec::as_slice);
        let least = counts.iter().copied().max().unwrap_or(0);
        let most = counts.iter().sum();
        let found = found.get(key).copied().unwrap_or(0);
        if !(least..=most).contains(&found) {
            wrong.push(format!(
                "{key:?}: {found} ICMP errors, not {least} to {most}"
            ));
        }
    }
}

/// Source addresses at each point, by `--packets`, whose lines must add up to the findings' packets.
fn check_sources(scenario: &Scenario, path: &[Labelled], wrong: &mut Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("packets.jsonl");
    let done = Command::new(env!("CARGO_BIN_EXE_hdp"))
        .current_dir(&scenario.folder)
        .args(["path", "-o", "/dev/null", "--packets"])
        .arg(&file)
        .args(path.iter().map(ToString::to_string))
        .status()
        .unwrap();
    assert!(done.success());
    let mut found: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    let mut lines = 0;
    for line in fs::read_to_string(&file).unwrap().lines() {
        let packet: PacketFate = serde_json::from_str(line).unwrap();
        lines += 1;
        for sighting in packet.seen {
            let number = u16::from(packet.protocol);
            let point = sighting.point.split(" (").next().unwrap().to_owned();
            let key = (packet.from.to_string(), packet.carrier, number, point);
            found
                .entry(key)
                .or_default()
                .insert(sighting.src.to_string());
        }
    }
    let mut packets = 0;
    for counted in &scenario.seen.packets {
        for &number in &counted.protocols {
            packets += counted.seen.values().max().unwrap();
            for (point, sources) in &counted.sources {
                let key = (counted.from.clone(), counted.carrier, number, point.clone());
                let found: Vec<String> = found.remove(&key).into_iter().flatten().collect();
                let what = format!("from {}: {number}: sources at {point}", counted.from);
                check(wrong, what, &found, sources);
            }
        }
    }
    check(wrong, "lines of --packets", lines, packets);
}

// --- Findings as they are stored -----------------------------------------------------------------

/// Findings as `expected.json` holds them: numbers of which the same is true share one entry, and
/// delays take a line each.
fn fold(findings: &Value) -> Value {
    let mut folded = findings.clone();
    folded.as_object_mut().unwrap().remove("generator");
    for direction in folded["directions"].as_array_mut().unwrap() {
        let mut groups: Vec<(Value, Vec<u16>, BTreeMap<String, Value>)> = Vec::new();
        for protocol in items(&direction["protocols"]) {
            let number = number(protocol);
            let mut shared = protocol.clone();
            let members = shared.as_object_mut().unwrap();
            members.remove("protocol");
            members.remove("keyword");
            let delay = delay_in_one_line(&members.remove("delay_ns").unwrap());
            if !groups.iter().any(|(group, ..)| *group == shared) {
                groups.push((shared.clone(), Vec::new(), BTreeMap::new()));
            }
            let group = groups.iter_mut().find(|(group, ..)| *group == shared);
            let (_, numbers, delays) = group.unwrap();
            numbers.push(number);
            delays.insert(format!("{number:>3}"), delay);
        }
        direction["protocols"] = groups
            .into_iter()
            .map(|(mut group, numbers, delays)| {
                group["protocols"] = json!(protocols::fold(&numbers));
                group["delay_ns"] = json!(delays);
                group
            })
            .collect();
    }
    folded
}

/// The reverse of [`fold`].
fn unfold(folded: &Value) -> Value {
    let mut findings = folded.clone();
    findings["generator"] = json!(concat!("hdp ", env!("CARGO_PKG_VERSION")));
    for direction in findings["directions"].as_array_mut().unwrap() {
        let mut protocols = Vec::new();
        for group in items(&direction["protocols"]) {
            let mut shared = group.clone();
            let members = shared.as_object_mut().unwrap();
            let numbers: List = members
                .remove("protocols")
                .unwrap()
                .as_str()
                .unwrap()
                .parse()
                .unwrap();
            let delays = members.remove("delay_ns").unwrap();
            for number in numbers.iter() {
                let mut protocol = shared.clone();
                protocol["protocol"] = json!(number);
                protocol["keyword"] = json!(u8::try_from(number).ok().and_then(protocols::keyword));
                protocol["delay_ns"] = delay_from_line(&delays[format!("{number:>3}")]);
                protocols.push(protocol);
            }
        }
        protocols.sort_by_key(|protocol| (number(protocol), protocol["carrier"] == "udp"));
        direction["protocols"] = json!(protocols);
    }
    findings
}

const QUANTILES: [&str; 5] = ["min", "p50", "p90", "p99", "max"];

/// Those over the lost packets too, where null is infinite.
const QUANTILES_WITH_LOST: [&str; 3] = ["p50", "p90", "p99"];

fn delay_in_one_line(delay: &Value) -> Value {
    if delay.is_null() {
        return Value::Null;
    }
    let quantiles = QUANTILES
        .map(|quantile| delay[quantile].to_string())
        .join(" ");
    let line = format!("{quantiles} {}", delay["reference"].as_str().unwrap());
    let with_lost = &delay["with_lost"];
    // Where nothing was lost they are the same.
    let is_same = |quantile| with_lost[quantile] == delay[quantile];
    if QUANTILES_WITH_LOST.into_iter().all(is_same) {
        return json!(line);
    }
    let with_lost = QUANTILES_WITH_LOST.map(|quantile| with_lost[quantile].to_string());
    json!(format!("{line} {}", with_lost.join(" ")))
}

fn delay_from_line(line: &Value) -> Value {
    let Some(line) = line.as_str() else {
        return Value::Null;
    };
    let mut words = line.split(' ');
    let mut delay = json!({});
    for quantile in QUANTILES {
        delay[quantile] = json!(words.next().unwrap().parse::<i64>().unwrap());
    }
    delay["reference"] = json!(words.next());
    for quantile in QUANTILES_WITH_LOST {
        delay["with_lost"][quantile] = match words.next() {
            Some(word) => serde_json::from_str(word).unwrap(),
            None => delay[quantile].clone(),
        };
    }
    delay
}

fn number(protocol: &Value) -> u16 {
    u16::try_from(protocol["protocol"].as_u64().unwrap()).unwrap()
}

// --- Findings beside findings --------------------------------------------------------------------

/// Whether a conversion kept all digits of the times.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Precision {
    Kept,
    Lost,
}

/// Findings without what tells of a capture's form rather than of its frames.
fn convertible(findings: &Value, precision: Precision) -> Value {
    let mut findings = findings.clone();
    findings["inputs"] = Value::Null;
    for point in points(&mut findings) {
        // A pcapng may say by itself when it watched and what it dropped.
        for member in [
            "source",
            "resolution_ns",
            "capture_drops",
            "first_ns",
            "last_ns",
        ] {
            point[member] = Value::Null;
        }
    }
    for direction in findings["directions"].as_array_mut().unwrap() {
        for segment in direction["segments"].as_array_mut().unwrap() {
            // The bounds are as far apart as the two resolutions make them, and so is the middle.
            segment["clock"]["error_ns"] = Value::Null;
            segment["clock"]["offset_ns"] = Value::Null;
        }
    }
    if precision == Precision::Lost {
        for direction in findings["directions"].as_array_mut().unwrap() {
            for segment in direction["segments"].as_array_mut().unwrap() {
                for member in ["at_ns", "skew_ppm", "levels"] {
                    segment["clock"][member] = Value::Null;
                }
            }
            for protocol in direction["protocols"].as_array_mut().unwrap() {
                protocol["delay_ns"] = Value::Null;
                protocol["lost_during"] = Value::Null;
                for error in protocol["icmp"].as_array_mut().unwrap() {
                    error["rtt_ns"] = Value::Null;
                }
            }
        }
    }
    findings
}

/// Times of losses differ from number to number, which would leave nothing to fold; that they are the
/// losses', [`check_sums`] sees.
fn without_times_of_losses(mut findings: Value) -> Value {
    for direction in findings["directions"].as_array_mut().unwrap() {
        for protocol in direction["protocols"].as_array_mut().unwrap() {
            protocol.as_object_mut().unwrap().remove("lost_during");
        }
    }
    findings
}

fn without_frame_numbers(mut findings: Value) -> Value {
    for direction in findings["directions"].as_array_mut().unwrap() {
        for protocol in direction["protocols"].as_array_mut().unwrap() {
            let reasons = protocol["reasons"].as_array_mut().unwrap();
            reasons.retain(|reason| !reason.as_str().unwrap().starts_with("first in frame "));
            let typed = protocol["reasons_typed"].as_array_mut().unwrap();
            typed.retain(|reason| reason["kind"] != "first_lost");
        }
    }
    findings
}

fn points(findings: &mut Value) -> impl Iterator<Item = &mut Value> {
    findings["points"].as_array_mut().unwrap().iter_mut()
}

fn items(array: &Value) -> &[Value] {
    array.as_array().unwrap()
}

/// Notes where two values differ.
fn differences(place: &str, found: &Value, expected: &Value, wrong: &mut Vec<String>) {
    match (found, expected) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
                let place = format!("{place}{key}: ");
                differences(&place, &found[key], &expected[key], wrong);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            let (a, b) = (labelled(a), labelled(b));
            for label in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
                let of =
                    |map: &BTreeMap<String, Value>| map.get(label).cloned().unwrap_or_default();
                differences(&format!("{place}{label}: "), &of(&a), &of(&b), wrong);
            }
        }
        (Value::Number(a), Value::Number(b)) if is_close(a.as_f64(), b.as_f64()) => {}
        (a, b) if a == b => {}
        (a, b) => wrong.push(format!("{place}found {a}, expected {b}")),
    }
}

/// Ratios go through the system's logarithm, whose last digits are its own.
fn is_close(a: Option<f64>, b: Option<f64>) -> bool {
    let is_ratio = |x: &f64| (0.0..=1.0).contains(x);
    a.filter(is_ratio)
        .zip(b.filter(is_ratio))
        .is_some_and(|(a, b)| (a - b).abs() < 1e-9)
}

/// An array's elements by what people call them, or by position.
fn labelled(array: &[Value]) -> BTreeMap<String, Value> {
    let label = |index: usize, value: &Value| match value {
        Value::Object(members) if members.contains_key("protocol") => {
            format!(
                "{} in {}",
                value["protocol"],
                value["carrier"].as_str().unwrap()
            )
        }
        Value::Object(members) if members.contains_key("segments") => {
            format!("{} → {}", value["from"], value["to"])
        }
        Value::Object(members) if members.contains_key("source") => value["name"].to_string(),
        _ => index.to_string(),
    };
    array
        .iter()
        .enumerate()
        .map(|(index, value)| (label(index, value), value.clone()))
        .collect()
}

// --- Unrelated traffic ---------------------------------------------------------------------------

/// How many of a round's frames hold IP; one more does not.
const UNRELATED_IP: i64 = 6;

/// What else the same hosts exchange, on the capture's own link, between its first and last frame.
fn unrelated(capture: &Capture, rounds: i64) -> Capture {
    let link_type = capture.interfaces[0].link_type;
    let link = match link_type {
        1 => Link::ETHERNET,
        276 => Link::Sll2 {
            packet_type: 0,
            interface: 2,
        },
        other => panic!("no fixture has link type {other}"),
    };
    let mut networks = datagrams("10.77.1.2", "10.77.2.2", 3);
    networks.extend(datagrams("fd77:1::2", "fd77:2::2", 1));
    networks.push(arp_request());
    assert_eq!(networks.len(), usize::try_from(UNRELATED_IP + 1).unwrap());

    let first = capture.frames.first().unwrap().time_ns;
    let last = capture.frames.last().unwrap().time_ns;
    let step = (last - first) / (rounds * (UNRELATED_IP + 1) + 1);
    let mut unrelated = Capture::new(link_type);
    for index in 0..rounds * (UNRELATED_IP + 1) {
        let network = &networks[usize::try_from(index).unwrap() % networks.len()];
        unrelated.push(first + (index + 1) * step, link.frame(network));
    }
    unrelated
}

/// TCP, UDP to a name server and an ICMP error about it.
fn datagrams(from: &str, to: &str, icmp_type: u8) -> Vec<Network> {
    let forth = Ip::new(from.parse().unwrap(), to.parse().unwrap(), 6);
    let back = Ip::new(to.parse().unwrap(), from.parse().unwrap(), 1);
    let mut tcp = [443_u16.to_be_bytes(), 40_000_u16.to_be_bytes()].concat();
    tcp.extend(1_u32.to_be_bytes()); // sequence number
    tcp.extend(2_u32.to_be_bytes()); // acknowledgement
    tcp.extend([0x50, 0x10, 0x40, 0, 0, 0, 0, 0]); // header length, ACK, window, ...
    tcp.extend(b"unrelated traffic");
    // The port that HDP's control uses makes nobody else's datagram HDP.
    let question = udp(&forth, 420, 53, b"unrelated traffic");
    vec![
        ip(forth.datagram(&tcp)),
        ip(icmp_error(&back, icmp_type, 3, &question, Quote::Whole)),
        ip(question),
    ]
}
