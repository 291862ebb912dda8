//! Anonymized captures read back: each frame is where it was, no longer than it was, and is the same HDP.
#![no_main]

use std::{net::IpAddr, path::PathBuf};

use hdp::{
    decode::{DEFAULT_WINDOW_NS, Datagram, Decoder},
    path::{self, Annotation, Frames, Options, Points},
    source::{Origin, Source},
};
use hdp_fuzz::{
    ByteOrder, Capture, Files, Folder, Format, Interface, OwnedFrame, Packet, PacketBlock, Resolution, START_NS,
    made_frames,
};
use libfuzzer_sys::fuzz_target;

const KEY: &str = "8f1c6a0d3e5b7f90a1b2c3d4e5f60718293a4b5c6d7e8f9000112233445566aa";

thread_local!(static FOLDER: Folder = Folder::new());

/// What anonymizing leaves alone of a frame in which HDP is found.
fn identity(datagram: &Datagram) -> impl PartialEq + std::fmt::Debug + use<> {
    let quote = datagram.quote.map(|quote| (quote.version, quote.icmp_type, quote.code));
    (
        (datagram.protocol, datagram.carrier, datagram.header, datagram.payload_len),
        (datagram.ttl, datagram.dscp, datagram.ecn, datagram.ip_id, datagram.fragment),
        (datagram.encapsulation, datagram.packet_type, quote),
    )
}

fn annotated(folder: &Folder, points: &Points, key: Option<&str>) -> Option<Source> {
    let options = Options {
        anonymizer: key.map(|key| key.parse().unwrap()),
        one_thread: true,
        ..Options::default()
    };
    let mut written = Vec::new();
    let annotation = Annotation { frames: Frames::All, name: "annotated".to_owned(), to: &mut written };
    path::annotate(points, &options, vec![annotation], |_| ()).ok()?;
    let file: PathBuf = folder.write(key.map_or("plain", |_| "hidden"), &written);
    Some(Source::open(Origin::Path(file)).unwrap())
}

/// What a frame's bytes may stand before, so that most of what can be before HDP is found soon.
fn behind(how: u8) -> Vec<u8> {
    let ends: [IpAddr; 2] = match how >> 1 & 3 {
        1 => [[198, 51, 100, 77].into(), [203, 0, 113, 88].into()],
        2 => [1, 2].map(|end| [0x2001, 0xdb8, 0, 0, 0, 0, 0xfeed, end].into()),
        _ => return Vec::new(),
    };
    Packet::new(ends[0], ends[1], 50, START_NS.cast_unsigned()).to_ip()
}

fuzz_target!(|bytes: &[u8]| {
    let mut capture = Capture { interfaces: Vec::new(), frames: Vec::new() };
    for (number, made) in (1..).zip(made_frames(bytes)) {
        let interface = capture.interfaces.iter().position(|interface| interface.link_type == made.link_type);
        let interface = interface.unwrap_or_else(|| {
            let link_type = made.link_type;
            let resolution = Resolution::Decimal(9);
            capture.interfaces.push(Interface { link_type, resolution, offset_seconds: 0 });
            capture.interfaces.len() - 1
        });
        let behind = behind(made.how);
        capture.frames.push(OwnedFrame {
            time_ns: START_NS + number,
            interface: u32::try_from(interface).unwrap(),
            original_len: made.original_len() + u32::try_from(behind.len()).unwrap(),
            bytes: [made.bytes, behind].concat(),
            direction: None,
        });
    }
    if capture.frames.is_empty() {
        return;
    }
    let file = capture.to_bytes(Format::Pcapng { order: ByteOrder::Little, block: PacketBlock::Enhanced });
    FOLDER.with(|folder| {
        let files = Files::of(folder, &[file.clone(), file]);
        let plain = annotated(folder, &files.points, None);
        let hidden = annotated(folder, &files.points, Some(KEY));
        assert_eq!(plain.is_some(), hidden.is_some());
        let (Some(mut plain), Some(mut hidden)) = (plain, hidden) else { return };
        let mut decoders = [(); 2].map(|()| Decoder::new(DEFAULT_WINDOW_NS));
        let mut count = 0;
        while let Some(before) = plain.next_frame() {
            let after = hidden.next_frame().expect("as many frames");
            assert_eq!((before.time_ns, before.original_len), (after.time_ns, after.original_len));
            assert_eq!(before.link_type, after.link_type);
            assert!(after.bytes.len() <= before.bytes.len());
            let [of_plain, of_hidden] = &mut decoders;
            if let Ok(found) = of_plain.decode(&before) {
                let again = of_hidden.decode(&after).expect("HDP as before");
                assert_eq!(identity(&found), identity(&again));
            }
            count += 1;
        }
        assert!(hidden.next_frame().is_none());
        assert_eq!(count, 2 * capture.frames.len());
    });
});
