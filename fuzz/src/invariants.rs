//! What must hold of all findings, whatever was captured.

use std::collections::BTreeMap;

use hdp::{
    findings::{Carrier, Findings, Packet},
    path::{self, Error, Memory, Options, Points, Room},
    report,
};

use crate::{Files, Folder, files::options};

/// Of one number in one direction: packets, delivered, lost, edge, late, ambiguous, expired, duplicates.
pub type Counts = BTreeMap<(usize, u16, Carrier), [u64; 8]>;

/// What findings count.
pub fn counts(findings: &Findings) -> Counts {
    let directions = findings.directions.iter().enumerate();
    directions
        .flat_map(|(way, direction)| direction.protocols.iter().map(move |p| (way, p)))
        .map(|(way, p)| {
            let counts = [
                p.packets, p.delivered, p.lost, p.edge, p.late, p.ambiguous, p.expired, p.duplicates,
            ];
            ((way, p.protocol, p.carrier), counts)
        })
        .collect()
}

/// The findings of points, and each packet's fate; nothing where they cannot be read.
///
/// # Panics
/// Where fates do not add up, or packets do not add up to what is counted, or a report cannot be read back.
pub fn hold(points: &Points) -> Option<(Findings, Vec<Packet>)> {
    let mut packets = Vec::new();
    let findings = match path::packets(points, &options(), |packet| packets.push(packet.clone())) {
        Ok(findings) => findings,
        Err(why) => {
            told(&why);
            return None;
        }
    };
    for (number, [sent, delivered, lost, edge, late, ambiguous, expired, _]) in counts(&findings) {
        let sum = delivered + lost + edge + late + ambiguous + expired;
        assert_eq!(sent, sum, "the fates of {number:?} do not add up");
    }
    let json = report::json(&findings);
    let again: Findings = serde_json::from_str(&json).expect("findings can be read back");
    assert_eq!(report::json(&again), json, "findings read back are the same");
    assert!(!json.bytes().any(is_control), "a control byte in JSON");
    let csv = report::csv(&findings);
    assert!(!csv.bytes().any(is_control), "a control byte in CSV");
    Some((findings, packets))
}

fn is_control(byte: u8) -> bool {
    byte == 0x7f || byte < 0x20 && byte != b'\n' && byte != b'\r'
}

fn told(why: &Error) {
    let text = why.to_string();
    assert!(!text.is_empty());
    assert!(!text.bytes().any(|byte| byte == 0x1b), "an escape in an error: {text:?}");
}

/// That bounded memory finds what everything kept finds.
pub fn readings_agree(points: &Points, kept: &Findings) {
    let options = Options {
        memory: Memory::Bounded(Room::default()),
        ..options()
    };
    match path::findings(points, &options) {
        Ok(bounded) => assert_eq!(counts(kept), counts(&bounded), "kept, then bounded"),
        Err(why) => panic!("bounded: {why}"),
    }
}

/// That records in the opposite order are the same capture, where each has a time of its own.
pub fn orders_agree(folder: &Folder, frames: &[Vec<(i64, Vec<u8>)>], kept: &Findings) {
    let reversed: Vec<Vec<u8>> = frames
        .iter()
        .map(|frames| {
            let frames: Vec<_> = frames.iter().rev().cloned().collect();
            crate::pcap(&frames)
        })
        .collect();
    let files = Files::of(folder, &reversed);
    let (findings, _) = hold(&files.points).expect("the same frames");
    assert_eq!(counts(kept), counts(&findings), "as they were, then reversed");
}

/// That between a capture and itself nothing is lost, but for what it shows to be lost inside its host.
pub fn twice_loses_nothing(folder: &Folder, capture: &[u8]) {
    let files = Files::of(folder, &[capture.to_vec(), capture.to_vec()]);
    let Some((findings, _)) = hold(&files.points) else {
        return;
    };
    let capture_of = |name: &str| {
        let point = findings.points.iter().find(|point| point.name == name);
        point.expect("a point of that name").capture.clone()
    };
    let protocols = findings.directions.iter().flat_map(|direction| &direction.protocols);
    for protocol in protocols {
        for at in &protocol.lost_at {
            assert_eq!(
                capture_of(&at.from),
                capture_of(&at.to),
                "{} lost between a capture and itself",
                protocol.protocol
            );
        }
    }
}
