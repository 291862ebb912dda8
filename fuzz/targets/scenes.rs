//! Made-up paths: no packet that arrived is called lost, and how the files are read changes nothing.
#![no_main]

use std::collections::BTreeMap;

use hdp::findings::Fate;
use hdp_fuzz::{Errors, Files, Folder, Scene, hold, orders_agree, pcap, readings_agree, twice_loses_nothing};
use libfuzzer_sys::fuzz_target;

thread_local!(static FOLDER: Folder = Folder::new());

fuzz_target!(|scene: Scene| {
    let (captures, truth) = scene.captures(&Errors::Any);
    let bytes: Vec<Vec<u8>> = captures.iter().map(|frames| pcap(frames)).collect();
    FOLDER.with(|folder| {
        let files = Files::of(folder, &bytes);
        let (findings, packets) = hold(&files.points).expect("captures that are whole");
        // Of packets with one identity any may be the one that was lost.
        let mut arrives: BTreeMap<(u64, u8), bool> = BTreeMap::new();
        for sent in &truth {
            *arrives.entry((sent.timestamp_ns, sent.number)).or_insert(true) &= sent.arrives;
        }
        for packet in &packets {
            if arrives.get(&(packet.timestamp_ns, packet.protocol)) == Some(&true) {
                assert_ne!(packet.fate, Fate::Lost, "{packet:?} arrived");
            }
        }
        readings_agree(&files.points, &findings);
        orders_agree(folder, &captures, &findings);
        for capture in &bytes {
            twice_loses_nothing(folder, capture);
        }
    });
});
