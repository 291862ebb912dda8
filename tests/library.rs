//! The library gives what the program gives, through the example programs that users start from.
#![cfg(feature = "cli")]

#[path = "../examples/findings.rs"]
#[allow(dead_code, reason = "its main is not run here")]
mod findings;
#[path = "../examples/follow.rs"]
#[allow(dead_code, reason = "its main is not run here")]
mod follow;

use std::{fs, process::Command, thread};

use crate::support::{hosts::success, scenario::Scenario};
use hdp::findings::{Fate, Packet};
use tempfile::TempDir;

/// What the program prints.
fn program(arguments: &[String]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hdp"));
    command
        .args(["path", "--format", "json", "--no-digest"])
        .args(arguments);
    String::from_utf8(success(&mut command).stdout).unwrap()
}

#[test]
fn findings_are_those_of_the_program_to_the_byte() {
    for scenario in Scenario::all() {
        for path in &scenario.paths {
            let sources: Vec<String> = path
                .iter()
                .map(|point| {
                    let file = scenario.folder.join(&point.file);
                    format!("{}={}", point.name, file.display())
                })
                .collect();
            for bounded in [false, true] {
                let mut arguments = sources.clone();
                if bounded {
                    arguments.insert(0, "--bounded".to_owned());
                }
                let library = findings::findings(&arguments).unwrap();
                assert!(library == program(&arguments), "{arguments:?}");
            }
        }
    }
}

#[test]
fn packets_from_two_pipes_come_with_their_fates() {
    let folder = TempDir::new().unwrap();
    let files = ["client", "server"].map(|name| format!("fixtures/three-points/{name}.pcap"));
    let lines = folder.path().join("packets.jsonl");
    let mut command = Command::new(env!("CARGO_BIN_EXE_hdp"));
    command.args(["path", "--packets"]).arg(&lines).args(&files);
    success(&mut command);
    let all: Vec<Packet> = fs::read_to_string(&lines)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let lost = all.iter().find(|packet| packet.fate == Fate::Lost).unwrap();
    let delivered = all.iter().find(|packet| packet.fate == Fate::Delivered);
    for number in [lost.protocol, delivered.unwrap().protocol] {
        let pipes: Vec<String> = ["client", "server"]
            .map(|name| {
                let pipe = folder.path().join(format!("{name}-{number}"));
                success(Command::new("mkfifo").arg(&pipe));
                pipe.to_str().unwrap().to_owned()
            })
            .into();
        let writers: Vec<_> = files
            .iter()
            .zip(&pipes)
            .map(|(file, pipe)| {
                let (bytes, pipe) = (fs::read(file).unwrap(), pipe.clone());
                thread::spawn(move || fs::write(pipe, bytes).unwrap())
            })
            .collect();
        let mut written = Vec::new();
        follow::follow(number, &pipes, &mut written).unwrap();
        for writer in writers {
            writer.join().unwrap();
        }
        let expected: Vec<String> = all
            .iter()
            .filter(|packet| packet.protocol == number && packet.fate != Fate::Edge)
            .map(|packet| {
                let seen: Vec<&str> = packet.seen.iter().map(|seen| &*seen.point).collect();
                let (timestamp_ns, fate) = (packet.timestamp_ns, packet.fate);
                let seen = seen
                    .join(", ")
                    .replace("client", &format!("client-{number}"));
                let seen = seen.replace("server", &format!("server-{number}"));
                format!("{timestamp_ns} {fate:?} seen at {seen}\n")
            })
            .collect();
        assert!((1..=20).contains(&expected.len()), "{}", expected.len());
        assert_eq!(String::from_utf8(written).unwrap(), expected.concat());
    }
}

/// Found by fuzzing: without exact parsing of floats this number came back as its neighbour, and two
/// results that were the same differed.
#[test]
fn a_probability_that_is_read_back_is_the_same() {
    for text in [
        "0.20668684008071112",
        "5e-324",
        "0.1",
        "1.7976931348623157e308",
    ] {
        let value: f64 = serde_json::from_str(text).unwrap();
        assert_eq!(
            value.to_bits(),
            text.parse::<f64>().unwrap().to_bits(),
            "{text}"
        );
    }
}
