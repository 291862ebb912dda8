//! The report to hand on: what stands in it, and that a browser asks for nothing else.
#![cfg(feature = "cli")]

use std::{collections::BTreeSet, env, fs, path::Path, process::Command};

use crate::support::{hdp_in, scenario::Scenario};
use serde_json::Value;
use tempfile::tempdir;

/// Each fixture's name, folder and the arguments that judge it.
fn fixtures() -> Vec<(String, std::path::PathBuf, Vec<String>)> {
    let mut all = Vec::new();
    for scenario in Scenario::all() {
        for (index, path) in scenario.paths.iter().enumerate() {
            let mut arguments = vec!["path".to_owned()];
            arguments.extend(path.iter().map(ToString::to_string));
            let name = format!("{}-{index}", scenario.name());
            all.push((name, scenario.folder.clone(), arguments));
        }
    }
    let trace = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/trace");
    let arguments = ["trace", "--read", "client.pcap"].map(str::to_owned);
    all.push(("trace".to_owned(), trace, arguments.to_vec()));
    all
}

fn written(folder: &Path, arguments: &[String], format: &str) -> String {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    hdp_in(folder, &[&arguments[..], &["--format", format]].concat())
}

/// A count as reports write it.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().collect();
    let groups = groups
        .iter()
        .map(|group| std::str::from_utf8(group).unwrap());
    groups.collect::<Vec<_>>().join(",")
}

/// Members that are no counts.
const NO_COUNTS: [&str; 24] = [
    "schema_version",
    "ruleset",
    "resolution_ns",
    "protocol",
    "requested",
    "errno",
    "type",
    "code",
    "ttl",
    "hops",
    "dscp",
    "ecn",
    "srcport",
    "dstport",
    "delay_ns",
    "lost_during",
    "reasons_typed",
    "warnings_typed",
    "levels",
    "steps",
    "against_control",
    "more_packets",
    "cause",
    "quoted",
];

/// All counts of a JSON object, by where they stand.
fn counts(value: &Value, place: &str, all: &mut Vec<(String, u64)>) {
    match value {
        Value::Number(number) => all.extend(number.as_u64().map(|count| (place.to_owned(), count))),
        Value::Array(values) => values.iter().for_each(|value| counts(value, place, all)),
        Value::Object(members) => {
            for (name, member) in members {
                if !name.ends_with("_ns") && !NO_COUNTS.contains(&name.as_str()) {
                    counts(member, &format!("{place}.{name}"), all);
                }
            }
        }
        _ => {}
    }
}

/// The text between the tags.
fn text(html: &str) -> String {
    let mut text = String::new();
    for part in html.split('<').skip(1) {
        text.push(' ');
        text += part.split_once('>').map_or("", |(_, text)| text);
    }
    text
}

/// The numbers that stand in a text by themselves.
fn figures(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_digit() && c != ',')
        .map(|word| word.trim_matches(','))
        .collect()
}

#[test]
fn every_count_of_the_json_stands_in_it() {
    for (name, folder, arguments) in fixtures() {
        let html = written(&folder, &arguments, "html");
        let text = text(&html);
        let figures = figures(&text);
        let json: Value = serde_json::from_str(&written(&folder, &arguments, "json")).unwrap();
        let mut all = Vec::new();
        counts(&json, "", &mut all);
        assert!(all.len() > 100, "{name}: {all:?}");
        for (place, count) in all {
            assert!(
                figures.contains(grouped(count).as_str()),
                "{name}: {place}: {count} is not in the report"
            );
        }
        assert!(!figures.contains("87,654"), "{name}: a count that is none");
    }
}

/// A row of the table of all numbers, by the number's name.
fn row<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let table = html.split("All numbers</h3>").nth(1).unwrap();
    let table = table.split("</table>").next().unwrap();
    let start = format!("<tr><td>{name}</td>");
    let row = table
        .split_once(&start)
        .unwrap_or_else(|| panic!("{name}"))
        .1;
    let row = row.split("</tr>").next().unwrap();
    row.split("<td>")
        .skip(1)
        .map(|cell| cell.trim_end_matches("</td>"))
        .collect()
}

#[test]
fn the_counts_of_a_number_stand_in_its_row() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/three-points");
    let points = [
        "path",
        "client.pcap",
        "router.pcap",
        "server.pcap",
        "--format",
        "html",
    ];
    let html = hdp_in(&folder, &points);
    // Packets, delivered, lost, and seen at the client, both sides of the router, and the server.
    assert_eq!(
        row(&html, "60 IPv6-Opts")[2..9],
        ["3", "0", "3", "3", "3", "0", "0"]
    );
    assert_eq!(
        row(&html, "59 IPv6-NoNxt")[2..9],
        ["3", "3", "0", "3", "3", "3", "3"]
    );
}

#[test]
fn it_asks_for_nothing_and_runs_nothing() {
    for (name, folder, arguments) in fixtures() {
        let html = written(&folder, &arguments, "html");
        assert!(html.starts_with("<!DOCTYPE html>"), "{name}");
        for outside in [
            "<script", "<link", "<img", "<iframe", " src=", " href=", "url(", "@import", "http",
        ] {
            assert!(!html.contains(outside), "{name}: {outside}");
        }
        let opened = |tag: &str| html.matches(&format!("<{tag}")).count();
        for tag in ["table", "figure", "section", "svg", "ul", "ol", "h2"] {
            assert_eq!(
                opened(tag),
                html.matches(&format!("</{tag}>")).count(),
                "{name}: {tag}"
            );
        }
    }
}

#[test]
fn inputs_are_those_of_sha256sum() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/all-pass");
    let sum = Command::new("sha256sum")
        .arg("client.pcap.gz")
        .current_dir(&folder)
        .output();
    let sum = String::from_utf8(sum.unwrap().stdout).unwrap();
    let sum = sum.split(' ').next().unwrap();
    let points = ["path", "client.pcap.gz", "server.pcapng"];
    for way in [&[][..], &["--bounded"]] {
        let json = hdp_in(&folder, &[&points[..], &["--format", "json"], way].concat());
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["inputs"][0]["sha256"], sum, "{way:?}");
        let bytes = fs::metadata(folder.join("client.pcap.gz")).unwrap().len();
        assert_eq!(json["inputs"][0]["bytes"], bytes, "{way:?}");
        assert_eq!(json["inputs"][1]["source"], "server.pcapng", "{way:?}");
    }
    assert!(hdp_in(&folder, &[&points[..], &["--format", "html"]].concat()).contains(sum));
    let without = hdp_in(
        &folder,
        &[&points[..], &["--format", "json", "--no-digest"]].concat(),
    );
    let without: Value = serde_json::from_str(&without).unwrap();
    assert!(without["inputs"][0]["sha256"].is_null());
}

/// What a browser asked for and complained of, opening a file.
fn browse(chromium: &str, file: &Path) -> Vec<String> {
    let folder = tempdir().unwrap();
    let log = folder.path().join("net.json");
    let mut command = Command::new(chromium);
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
        ])
        .args(["--enable-logging=stderr", "--dump-dom"])
        .arg(format!(
            "--user-data-dir={}",
            folder.path().join("user").display()
        ))
        .arg(format!("--log-net-log={}", log.display()))
        .arg(format!("file://{}", file.display()));
    let output = command.output().unwrap();
    let document = String::from_utf8_lossy(&output.stdout);
    assert!(document.contains("</main>"), "the browser showed nothing");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let complaints = stderr.lines().filter(|line| line.contains(":CONSOLE"));
    let mut found: Vec<String> = complaints.map(str::to_owned).collect();
    let log: Value = serde_json::from_str(&fs::read_to_string(log).unwrap()).unwrap();
    for event in log["events"].as_array().unwrap() {
        // The browser's own: updates, dictionaries, the time.
        let own = ["google", "gvt1.com"];
        if let Some(url) = event["params"]["url"].as_str()
            && !own.iter().any(|own| url.contains(own))
        {
            found.push(url.to_owned());
        }
    }
    found
}

/// Opens the file of every fixture in headless Chromium: `make test-browser`.
#[test]
fn a_browser_asks_for_nothing_and_complains_of_nothing() {
    let Ok(chromium) = env::var("HDP_BROWSER") else {
        eprintln!("skipped: HDP_BROWSER names no browser; make test-browser installs one");
        return;
    };
    let folder = tempdir().unwrap();
    let file = folder.path().join("report.html");
    for (name, fixture, arguments) in fixtures() {
        fs::write(&file, written(&fixture, &arguments, "html")).unwrap();
        assert_eq!(browse(&chromium, &file), Vec::<String>::new(), "{name}");
    }
    let asks = "<main><img src='http://127.0.0.1:9/x.png'><script>nothing()</script></main>";
    fs::write(&file, asks).unwrap();
    let found = browse(&chromium, &file);
    let has = |what: &str| found.iter().any(|found| found.contains(what));
    assert!(has("127.0.0.1:9") && has("CONSOLE"), "{found:?}");
}
