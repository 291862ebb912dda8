//! Annotated captures read back: the same frames; and the same bytes from files that are read again as with
//! everything kept.
#![no_main]

use hdp::{
    findings::Packet,
    path::{self, Annotation, Frames, Memory, Options, Points},
    source::{Origin, Source},
};
use hdp_fuzz::{Errors, Files, Folder, Scene, hold, pcap};
use libfuzzer_sys::fuzz_target;

thread_local!(static FOLDER: Folder = Folder::new());

fn annotate(points: &Points, memory: Memory) -> (Vec<Packet>, Vec<u8>) {
    let options = Options { memory, ..Options::default() };
    let (mut packets, mut written) = (Vec::new(), Vec::new());
    let annotation = Annotation { frames: Frames::All, name: "annotated".to_owned(), to: &mut written };
    path::annotate(points, &options, vec![annotation], |packet| packets.push(packet.clone())).unwrap();
    (packets, written)
}

fuzz_target!(|scene: Scene| {
    let (captures, _) = scene.captures(&Errors::Any);
    let bytes: Vec<Vec<u8>> = captures.iter().map(|frames| pcap(frames)).collect();
    FOLDER.with(|folder| {
        let files = Files::of(folder, &bytes);
        let (_, packets) = hold(&files.points).expect("captures that are whole");
        let (listed, written) = annotate(&files.points, Memory::Automatic);
        assert_eq!(listed, packets);
        assert!((listed, written.clone()) == annotate(&files.points, Memory::Unbounded));
        let file = folder.write("annotated", &written);
        let mut source = Source::open(Origin::Path(file)).unwrap();
        // Times are shifted by what is known of the clocks.
        let mut before: Vec<&Vec<u8>> = captures.iter().flatten().map(|(_, bytes)| bytes).collect();
        let mut after = Vec::new();
        while let Some(frame) = source.next_frame() {
            after.push(frame.bytes.to_vec());
        }
        assert!(source.summary().warnings.is_empty(), "{:?}", source.summary().warnings);
        before.sort();
        after.sort();
        assert!(before.into_iter().eq(after.iter()), "the same frames");
    });
});
