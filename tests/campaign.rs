//! Campaigns: each path as `hdp path` judges it, in lines and in tables, whatever the jobs, and whatever
//! happens to some of the paths or to the program.
#![cfg(feature = "cli")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

const HDP: &str = env!("CARGO_BIN_EXE_hdp");

/// Captures of a path whose truth is known.
fn capture(fixture: &str) -> String {
    format!("{}/fixtures/{fixture}", env!("CARGO_MANIFEST_DIR"))
}

fn hdp(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(HDP);
    command.current_dir(folder).args(arguments);
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    hdp(folder, arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Some paths that are judged, of two or three points.
fn good(count: usize) -> Vec<Value> {
    let points = [
        ["client=CLIENT", "router=ROUTER", "server=SERVER"].as_slice(),
        &["client=CLIENT", "server=SERVER"],
        &["router=ROUTER", "server=SERVER"],
    ];
    let name = |point: &str| {
        let file = |name: &str| capture(&format!("three-points/{name}.pcap"));
        point
            .replace("CLIENT", &file("client"))
            .replace("ROUTER", &file("router"))
            .replace("SERVER", &file("server"))
    };
    (0..count)
        .map(|n| {
            let points: Vec<String> = points[n % 3].iter().map(|point| name(point)).collect();
            json!({"id": format!("path {n}"), "points": points, "tags": {"n": n, "of": "good"}})
        })
        .collect()
}

fn write_lines(file: &Path, paths: &[Value]) {
    let mut lines: Vec<String> = paths.iter().map(Value::to_string).collect();
    lines.push(String::new());
    fs::write(file, lines.join("\n")).unwrap();
}

fn manifest(folder: &Path, paths: &[Value]) {
    write_lines(&folder.join("manifest.jsonl"), paths);
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_line_has_what_path_finds() {
    let folder = TempDir::new().unwrap();
    let paths = good(3);
    manifest(folder.path(), &paths);
    let found = run(folder.path(), &["campaign", "manifest.jsonl"]);
    assert!(found.status.success(), "{}", said(&found));
    let lines = lines(&found);
    assert_eq!(lines.len(), 3);
    for (mut line, path) in lines.into_iter().zip(&paths) {
        let members = line.as_object_mut().unwrap();
        assert_eq!(members.remove("id").as_ref(), Some(&path["id"]));
        assert_eq!(members.remove("tags").as_ref(), Some(&path["tags"]));
        assert_eq!(members.remove("error"), Some(Value::Null));
        let begins_ns = members.remove("begins_ns").unwrap().as_i64().unwrap();
        let arguments = members.remove("arguments").unwrap();
        let arguments: Vec<&str> = arguments
            .as_array()
            .unwrap()
            .iter()
            .map(|word| word.as_str().unwrap())
            .collect();
        let same = run(
            folder.path(),
            &[&["path", "--format", "json"], arguments.as_slice()].concat(),
        );
        let same: Value = serde_json::from_slice(&same.stdout).unwrap();
        assert_eq!(line, same);
        let first = same["points"].as_array().unwrap().iter();
        let first = first.map(|point| point["first_ns"].as_i64().unwrap());
        assert_eq!(first.min(), Some(begins_ns));
    }
}

#[test]
fn options_are_those_of_path() {
    let folder = TempDir::new().unwrap();
    let mut path = good(1).pop().unwrap();
    path["options"] =
        json!({"protocols": "6,ESP", "wait": 3, "clock-error": "1s", "bounded": true});
    manifest(folder.path(), &[path]);
    let found = lines(&run(folder.path(), &["campaign", "manifest.jsonl"])).remove(0);
    let flags = [
        "--wait",
        "3",
        "--clock-error",
        "1s",
        "--protocols",
        "6,ESP",
        "--bounded",
    ];
    let arguments = found["arguments"].as_array().unwrap();
    assert_eq!(arguments[..flags.len()], flags.map(Value::from));
    let numbers = found["directions"][0]["protocols"].as_array().unwrap();
    let numbers: Vec<_> = numbers.iter().map(|number| &number["protocol"]).collect();
    assert_eq!(numbers, [6, 50]);
}

#[test]
fn neither_the_jobs_nor_the_order_change_a_line() {
    let folder = TempDir::new().unwrap();
    let mut paths = good(24);
    manifest(folder.path(), &paths);
    let with = |jobs: &str| {
        let found = run(
            folder.path(),
            &["campaign", "manifest.jsonl", "--jobs", jobs],
        );
        assert!(found.status.success());
        found.stdout
    };
    let one = with("1");
    assert_eq!(one.split_inclusive(|byte| *byte == b'\n').count(), 24);
    assert!(one == with("5"), "five jobs write other lines");
    let file = ["campaign", "manifest.jsonl", "-o", "lines.jsonl"];
    assert!(run(folder.path(), &file).stdout.is_empty());
    assert!(one == fs::read(folder.path().join("lines.jsonl")).unwrap());
    paths.reverse();
    manifest(folder.path(), &paths);
    let reversed = with("3");
    let turned: Vec<&[u8]> = one.split_inclusive(|byte| *byte == b'\n').rev().collect();
    assert!(reversed == turned.concat(), "the order changes a line");
}

#[test]
fn a_line_is_answered_before_the_next_one_comes() {
    let folder = TempDir::new().unwrap();
    let mut running = hdp(folder.path(), &["campaign", "-", "--format", "jsonl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to = running.stdin.take().unwrap();
    let mut from = BufReader::new(running.stdout.take().unwrap()).lines();
    let wrong = [
        ("{\"id\": 1}", "standard input:4: is no path (invalid type"),
        ("what?", "standard input:5: is no path (expected value"),
        (
            "{\"id\": \"x\", \"points\": [\"live:lo\", \"-\"]}",
            "live:lo: is no file",
        ),
        (
            "{\"id\": \"x\", \"points\": [\"a=/dev/null\", \"b=nowhere\"]}",
            "nowhere: cannot open",
        ),
        (
            "{\"id\": \"x\", \"points\": [], \"options\": {\"wait\": \"soon\"}}",
            "no observation point",
        ),
    ];
    let right = good(2).into_iter().map(|path| (path.to_string(), None));
    let wrong = wrong.map(|(line, why)| (line.to_owned(), Some(why)));
    for (line, error) in right.chain([(String::new(), None)]).chain(wrong) {
        writeln!(to, "{line}").unwrap();
        if line.is_empty() {
            continue;
        }
        let answer: Value = serde_json::from_str(&from.next().unwrap().unwrap()).unwrap();
        match error {
            None => assert_eq!(answer["error"], Value::Null),
            Some(why) => {
                let said = answer["error"].as_str().unwrap();
                assert!(said.starts_with(why), "{said}");
                assert!(answer.get("directions").is_none());
            }
        }
    }
    drop(to);
    assert!(from.next().is_none());
    assert!(running.wait().unwrap().success());
}

#[test]
fn a_manifest_is_looked_through_before_anything_is_judged() {
    let folder = TempDir::new().unwrap();
    let mut paths = good(3);
    paths[2]["id"] = paths[0]["id"].clone();
    manifest(folder.path(), &paths);
    for (arguments, why) in [
        (
            vec!["campaign", "manifest.jsonl"],
            "manifest.jsonl:3: id path 0: a line before has the same",
        ),
        (
            vec!["campaign", "nowhere.jsonl"],
            "nowhere.jsonl: cannot open",
        ),
        (vec!["campaign", "."], ".: cannot read: Is a directory"),
        (vec!["campaign"], "required arguments were not provided"),
    ] {
        let found = run(folder.path(), &arguments);
        assert_eq!(found.status.code(), Some(2));
        assert!(found.stdout.is_empty());
        let said = said(&found);
        assert!(
            said.starts_with("hdp: error: ") && said.contains(why),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    fs::write(folder.path().join("empty.jsonl"), "\n").unwrap();
    let none = run(folder.path(), &["campaign", "empty.jsonl"]);
    assert!(none.status.success() && none.stdout.is_empty());
}

/// Ten ways in which a path can be broken, and what its error says.
fn broken(folder: &Path) -> Vec<(Value, &'static str)> {
    let good = capture("three-points/client.pcap");
    let whole = fs::read(&good).unwrap();
    let mut other_link = whole.clone();
    other_link[20..24].copy_from_slice(&147_u32.to_le_bytes());
    let write = |name: &str, bytes: &[u8]| {
        fs::write(folder.join(name), bytes).unwrap();
        name.to_owned()
    };
    let second = |name: String| vec![good.clone(), name];
    let secret = write("secret.pcap", &whole);
    let mut permissions = fs::metadata(folder.join(&secret)).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0);
    fs::set_permissions(folder.join(&secret), permissions).unwrap();
    let empty_gzip = {
        let packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.finish().unwrap()
    };
    fs::create_dir(folder.join("folder")).unwrap();
    [
        (
            second("nowhere.pcap".to_owned()),
            "nowhere.pcap: cannot open: No such file",
        ),
        (
            second(write("empty.pcap", b"")),
            "empty.pcap: is empty, without even",
        ),
        (
            second(write("text.pcap", b"This is no capture.\n")),
            "text.pcap: is no capture: begins with the text",
        ),
        (
            second(write("link.pcap", &other_link)),
            "link.pcap: link type LINKTYPE_147 cannot be decoded",
        ),
        (vec![good.clone()], "one observation point only"),
        (
            second(secret),
            "secret.pcap: cannot open: Permission denied",
        ),
        (
            second(write("cut.pcap", &whole[..10])),
            "cut.pcap: cut off at byte 0",
        ),
        (second("folder".to_owned()), "folder: is a directory"),
        (second(good.clone()), "given twice (also as client)"),
        (
            second(write("nothing.pcap.gz", &empty_gzip)),
            "nothing.pcap.gz: is empty",
        ),
    ]
    .into_iter()
    .enumerate()
    .map(|(n, (points, why))| (json!({"id": format!("broken {n}"), "points": points}), why))
    .collect()
}

/// The program, as somebody whom permissions concern.
fn as_nobody(folder: &Path, arguments: &[&str]) -> Output {
    let is_root = fs::read(folder.join("secret.pcap")).is_ok();
    if !is_root {
        return run(folder, arguments);
    }
    Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", HDP])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

#[test]
fn broken_paths_are_rows_with_their_errors_and_the_others_go_on() {
    let folder = TempDir::new().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(folder.path(), open).unwrap();
    let broken = broken(folder.path());
    let mut paths = good(20);
    for (n, (path, _)) in broken.iter().enumerate() {
        paths.insert(2 * n, path.clone());
    }
    manifest(folder.path(), &paths);
    let found = as_nobody(
        folder.path(),
        &["campaign", "manifest.jsonl", "--jobs", "3"],
    );
    assert!(found.status.success(), "{}", said(&found));
    let lines = lines(&found);
    let ids = |of: &[Value]| of.iter().map(|path| path["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&lines), ids(&paths));
    let errors: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["error"].as_str())
        .collect();
    assert_eq!(errors.len(), 10, "{errors:#?}");
    for (error, (_, why)) in errors.iter().zip(&broken) {
        assert!(error.contains(why), "{error:?} does not say {why:?}");
        assert!(!error.contains('\n'));
    }
    let code = as_nobody(
        folder.path(),
        &["campaign", "manifest.jsonl", "--exit-code"],
    );
    assert_eq!(code.status.code(), Some(1));
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let folder = TempDir::new().unwrap();
    manifest(folder.path(), &good(30));
    let mut running = hdp(folder.path(), &["campaign", "manifest.jsonl"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(running.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    let ended = running.wait_with_output().unwrap();
    assert!(
        ended.status.success() && ended.stderr.is_empty(),
        "{}",
        said(&ended)
    );
}

#[cfg(feature = "parquet")]
mod tables {
    use std::{collections::BTreeMap, fs::File, path::PathBuf, thread, time::Duration};

    use parquet::{
        file::reader::{FileReader as _, SerializedFileReader},
        record::Field,
    };

    use super::*;

    /// A field as JSON has it.
    fn value(field: &Field) -> Value {
        match field {
            Field::Null => Value::Null,
            Field::Bool(value) => (*value).into(),
            Field::Int(value) => (*value).into(),
            Field::Long(value) | Field::TimestampMicros(value) => (*value).into(),
            Field::Double(value) => (*value).into(),
            Field::Str(value) => value.as_str().into(),
            Field::Group(row) => {
                let members = row.get_column_iter();
                members
                    .map(|(name, field)| (name.clone(), value(field)))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }
            Field::ListInternal(list) => list.elements().iter().map(value).collect(),
            Field::MapInternal(map) => {
                let entries = map.entries().iter();
                entries
                    .map(|(key, of)| (value(key).as_str().unwrap().to_owned(), value(of)))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }
            other => panic!("{other:?} has no place in a table"),
        }
    }

    fn rows(file: &Path) -> Vec<Value> {
        let reader = SerializedFileReader::new(File::open(file).unwrap()).unwrap();
        let rows = reader.get_row_iter(None).unwrap();
        rows.map(|row| value(&Field::Group(row.unwrap()))).collect()
    }

    fn parts(folder: &Path) -> Vec<PathBuf> {
        let Ok(dates) = fs::read_dir(folder) else {
            return Vec::new();
        };
        let files = dates.flat_map(|date| fs::read_dir(date.unwrap().path()).unwrap());
        files.map(|file| file.unwrap().path()).collect()
    }

    /// All rows of a table, with their dates, in an order of their own.
    fn table(folder: &Path, name: &str) -> Vec<String> {
        let mut all = Vec::new();
        for part in parts(&folder.join(name)) {
            let date = part
                .parent()
                .unwrap()
                .file_name()
                .unwrap()
                .to_str()
                .unwrap();
            all.extend(rows(&part).into_iter().map(|row| format!("{date} {row}")));
        }
        all.sort();
        all
    }

    fn json_of(row: &str) -> Value {
        serde_json::from_str(row.split_once(' ').unwrap().1).unwrap()
    }

    #[test]
    fn tables_have_what_the_lines_have() {
        let folder = TempDir::new().unwrap();
        let mut paths = good(7);
        paths.push(
            json!({"id": "gone", "points": ["a=nowhere", "b=nowhere too"], "tags": {"of": "bad"}}),
        );
        manifest(folder.path(), &paths);
        let lines = lines(&run(folder.path(), &["campaign", "manifest.jsonl"]));
        let arguments = ["campaign", "manifest.jsonl", "-o", "tables", "--packets"];
        let written = run(folder.path(), &arguments);
        assert_eq!(said(&written), "hdp: tables: 7 paths judged, 1 failed\n");
        assert!(written.stdout.is_empty());
        let tables = folder.path().join("tables");
        let runs: BTreeMap<String, Value> = table(&tables, "runs")
            .iter()
            .map(|row| json_of(row))
            .map(|row| (row["id"].as_str().unwrap().to_owned(), row))
            .collect();
        assert_eq!(runs.len(), 8);
        let mut numbers = 0;
        let verdicts: BTreeMap<_, Value> = table(&tables, "verdicts")
            .iter()
            .map(|row| json_of(row))
            .map(|row| {
                let key =
                    ["id", "from_point", "protocol", "carrier"].map(|name| row[name].to_string());
                (key, row)
            })
            .collect();
        for line in &lines {
            let row = &runs[line["id"].as_str().unwrap()];
            for name in ["arguments", "begins_ns", "error", "generator", "ruleset"] {
                assert_eq!(row[name], line[name], "{name}");
            }
            if line["error"].is_string() {
                assert_eq!(
                    (&row["packets"], &row["inputs"]),
                    (&Value::Null, &json!([]))
                );
                continue;
            }
            assert_eq!(row["inputs"], line["inputs"]);
            assert_eq!(row["tags"]["of"], "good");
            let begins = row["begins_ns"].as_i64().unwrap();
            assert_eq!(row["begins"].as_i64(), Some(begins.div_euclid(1_000)));
            let directions = line["directions"].as_array().unwrap();
            let all = directions.iter().flat_map(|direction| {
                let numbers = direction["protocols"].as_array().unwrap();
                numbers.iter().map(move |number| (direction, number))
            });
            let mut sums = [0, 0];
            for (direction, number) in all {
                numbers += 1;
                let key = [
                    &line["id"],
                    &direction["from"],
                    &number["protocol"],
                    &number["carrier"],
                ];
                let row = &verdicts[&key.map(Value::to_string)];
                for name in [
                    "keyword",
                    "verdict",
                    "grade",
                    "packets",
                    "delivered",
                    "lost",
                    "edge",
                    "late",
                    "ambiguous",
                    "expired",
                    "altered",
                    "duplicates",
                    "reordered",
                    "reasons",
                    "more_packets",
                ] {
                    assert_eq!(row[name], number[name], "{name}");
                }
                assert_eq!(row["delay_p50_ns"], number["delay_ns"]["p50"]);
                assert_eq!(row["loss_interval_high"], number["loss_interval"][1]);
                assert_eq!(row["lost_from"], number["lost_at"][0]["from"]);
                sums[0] += number["packets"].as_u64().unwrap();
                sums[1] += number["lost"].as_u64().unwrap();
            }
            assert_eq!([&row["packets"], &row["lost"]], [&sums[0], &sums[1]]);
            let packets = parts(&tables.join("packets"));
            let packets = packets.iter().flat_map(|part| rows(part));
            let of_path = packets.filter(|packet| packet["id"] == line["id"]);
            assert_eq!(of_path.count() as u64, sums[0]);
        }
        assert_eq!(verdicts.len(), numbers);
    }

    #[test]
    fn a_table_of_packets_has_what_the_lines_have() {
        let folder = TempDir::new().unwrap();
        let points = ["client", "router", "server"]
            .map(|name| capture(&format!("three-points/{name}.pcap")));
        for name in ["packets.jsonl", "packets.parquet"] {
            let mut arguments = vec!["path", "--packets", name];
            arguments.extend(points.iter().map(String::as_str));
            assert!(run(folder.path(), &arguments).status.success());
        }
        let text = fs::read_to_string(folder.path().join("packets.jsonl")).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let rows = rows(&folder.path().join("packets.parquet"));
        assert_eq!(rows.len(), lines.len());
        for (row, line) in rows.iter().zip(&lines) {
            for name in [
                "protocol",
                "carrier",
                "timestamp_ns",
                "srcport",
                "dstport",
                "payload_len",
                "fate",
                "delay_ns",
                "reordered",
                "altered",
            ] {
                assert_eq!(row[name], line[name], "{name}");
            }
            assert_eq!(
                [&row["id"], &row["from_point"]],
                [&Value::Null, &line["from"]]
            );
            let lost = &line["lost_at"];
            assert_eq!([&row["lost_from"], &row["lost_to"]], [&lost[0], &lost[1]]);
            let expected = &line["expected"];
            assert_eq!(row["expected_from_ns"], expected["from_ns"]);
            let mut seen = row["seen"].clone();
            for at in seen.as_array_mut().unwrap() {
                let time = at.as_object_mut().unwrap().remove("time").unwrap();
                assert_eq!(
                    time.as_i64().unwrap(),
                    at["time_ns"].as_i64().unwrap() / 1_000
                );
            }
            assert_eq!(seen, line["seen"]);
        }
    }

    #[test]
    fn killed_and_started_again_the_tables_are_the_same() {
        let folder = TempDir::new().unwrap();
        let mut paths = good(60);
        paths.push(json!({"id": "gone", "points": ["a=nowhere", "b=nowhere too"]}));
        manifest(folder.path(), &paths);
        let whole = ["campaign", "manifest.jsonl", "--packets", "-o", "whole"];
        assert!(run(folder.path(), &whole).status.success());
        let again = ["campaign", "manifest.jsonl", "--packets", "-o", "again"];
        let tables = folder.path().join("again");
        let mut random = fastrand::Rng::with_seed(15);
        let mut killed = 0;
        for _ in 0..10 {
            let mut running = hdp(folder.path(), &again)
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            thread::sleep(Duration::from_millis(random.u64(50..1_000)));
            running.kill().unwrap();
            killed += usize::from(running.wait().unwrap().code().is_none());
            // Whatever is there is whole, and there once.
            let runs = table(&tables, "runs");
            let ids: Vec<Value> = runs.iter().map(|row| json_of(row)["id"].clone()).collect();
            for id in &ids {
                assert_eq!(ids.iter().filter(|other| *other == id).count(), 1, "{id}");
            }
        }
        assert!(killed > 0, "it was always done before it was killed");
        let last = run(folder.path(), &again);
        assert!(last.status.success(), "{}", said(&last));
        for name in ["runs", "verdicts", "packets"] {
            let [whole, again] = ["whole", "again"].map(|of| table(&folder.path().join(of), name));
            assert_eq!(whole.len(), again.len(), "{name}");
            assert!(whole == again, "{name} differs");
        }
        let nothing = run(folder.path(), &again);
        assert_eq!(
            said(&nothing),
            "hdp: again: 0 paths judged, 1 failed; 60 were done before\n"
        );
        // What was missing is there now.
        fs::copy(
            capture("three-points/client.pcap"),
            folder.path().join("nowhere"),
        )
        .unwrap();
        fs::copy(
            capture("three-points/server.pcap"),
            folder.path().join("nowhere too"),
        )
        .unwrap();
        let there = run(folder.path(), &again);
        assert_eq!(
            said(&there),
            "hdp: again: 1 paths judged, none failed; 60 were done before\n"
        );
        assert_eq!(table(&tables, "runs").len(), 61);
    }

    #[test]
    fn what_a_killed_program_has_left_is_no_row_and_goes() {
        let folder = TempDir::new().unwrap();
        manifest(folder.path(), &good(3));
        let arguments = ["campaign", "manifest.jsonl", "-o", "tables"];
        assert!(run(folder.path(), &arguments).status.success());
        let tables = folder.path().join("tables");
        let before = table(&tables, "verdicts");
        // A part that came into one table, and not into the runs; and half of one.
        let part = parts(&tables.join("verdicts")).remove(0);
        let orphan = part.with_file_name("part-orphan.parquet");
        fs::copy(&part, &orphan).unwrap();
        fs::write(tables.join("_unfinished/verdicts-half"), "PAR1").unwrap();
        assert!(run(folder.path(), &arguments).status.success());
        assert!(!orphan.exists());
        assert_eq!(fs::read_dir(tables.join("_unfinished")).unwrap().count(), 0);
        assert_eq!(table(&tables, "verdicts"), before);
    }

    #[test]
    fn a_folder_that_is_not_this_campaigns_is_left_alone() {
        let folder = TempDir::new().unwrap();
        let mut paths = good(2);
        manifest(folder.path(), &paths);
        fs::create_dir(folder.path().join("foreign")).unwrap();
        fs::write(folder.path().join("foreign/file"), "mine").unwrap();
        let begun = ["campaign", "manifest.jsonl", "-o", "begun"];
        assert!(run(folder.path(), &begun).status.success());
        paths[1]["options"] = json!({"wait": "1s"});
        write_lines(&folder.path().join("other.jsonl"), &paths);
        for (arguments, why) in [
            (
                ["manifest.jsonl", "-o", "foreign", "--jobs=1"],
                "foreign: is not empty and no campaign's",
            ),
            (
                ["manifest.jsonl", "-o", "begun", "--packets"],
                "begun: was begun without packets",
            ),
            (
                ["other.jsonl", "-o", "begun", "--jobs=1"],
                "begun: path path 1 was judged from other files",
            ),
            (
                ["manifest.jsonl", "--format", "jsonl", "--packets"],
                "--packets: is a table",
            ),
            (
                ["manifest.jsonl", "--format", "parquet", "--jobs=1"],
                "name a folder for the tables with -o",
            ),
            (
                ["manifest.jsonl", "-o", "manifest.jsonl", "--jobs=1"],
                "manifest.jsonl: is the manifest",
            ),
        ] {
            let refused = run(
                folder.path(),
                &[&["campaign"], arguments.as_slice()].concat(),
            );
            assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
            let said = said(&refused);
            assert!(said.contains(why) && said.lines().count() == 1, "{said}");
        }
        assert_eq!(
            fs::read_to_string(folder.path().join("foreign/file")).unwrap(),
            "mine"
        );
        // Two at once.
        let mut first = hdp(folder.path(), &["campaign", "-", "-o", "busy"])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mark = folder.path().join("busy/_unfinished");
        while !mark.exists() {
            thread::sleep(Duration::from_millis(10));
        }
        let second = run(folder.path(), &["campaign", "manifest.jsonl", "-o", "busy"]);
        assert!(
            said(&second).contains("busy: another hdp is writing there"),
            "{}",
            said(&second)
        );
        drop(first.stdin.take());
        assert!(first.wait().unwrap().success());
    }
}
