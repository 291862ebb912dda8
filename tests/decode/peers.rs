//! What other tools see in the same frames: tshark in a sweep, tcpdump in the fixtures.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, process::Command};

use hdp::{
    decode::{DEFAULT_WINDOW_NS, Decoder, HeaderView},
    protocols::Carrier,
    source::{Origin, Source},
};

use super::{
    TIME_NS, decode, packets,
    support::{
        capture::{ByteOrder, Capture, Format},
        frames::{Link, ip},
    },
    whole,
};

const FIELDS_V4: [&str; 10] = [
    "frame.number",
    "ip.proto",
    "ip.ttl",
    "ip.dsfield.dscp",
    "ip.dsfield.ecn",
    "ip.id",
    "ip.src",
    "ip.dst",
    "ip.len",
    "data.data",
];

const FIELDS_V6: [&str; 9] = [
    "frame.number",
    "ipv6.nxt",
    "ipv6.hlim",
    "ipv6.tclass.dscp",
    "ipv6.tclass.ecn",
    "ipv6.src",
    "ipv6.dst",
    "ipv6.plen",
    "data.data",
];

/// tshark's fields of each frame, with every number decoded as data: what follows the base header.
fn tshark(file: &Path, fields: &[&str]) -> Option<Vec<Vec<String>>> {
    let home = tempfile::tempdir().unwrap();
    let mut tshark = Command::new("tshark");
    tshark.env("HOME", home.path());
    tshark.env("WIRESHARK_CONFIG_DIR", home.path());
    tshark.args(["-n", "-d", "ip.proto==0-255,data", "-T", "fields"]);
    for field in fields {
        tshark.args(["-e", field]);
    }
    let output = tshark.arg("-r").arg(file).output().ok()?;
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    Some(
        text.lines()
            .map(|line| line.split('\t').map(str::to_owned).collect())
            .collect(),
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[test]
fn tshark_reads_the_same_in_a_sweep_of_all_numbers() {
    let folder = tempfile::tempdir().unwrap();
    for (version, fields) in [(0, &FIELDS_V4[..]), (1, &FIELDS_V6[..])] {
        let mut capture = Capture::new(1);
        for protocol in 0..=255 {
            for payload_len in super::PAYLOAD_LENS {
                let packet = &packets(protocol, payload_len)[version];
                capture.push(TIME_NS, Link::ETHERNET.frame(&ip(packet.to_ip())));
            }
        }
        let file = folder.path().join("sweep.pcap");
        let format = Format::Pcap {
            order: ByteOrder::Little,
            nanoseconds: true,
        };
        capture.write(&file, format, super::support::capture::Packing::Plain);
        let Some(lines) = tshark(&file, fields) else {
            eprintln!("skipped: there is no tshark");
            return;
        };
        let ours: Vec<Vec<String>> = capture
            .frames
            .iter()
            .enumerate()
            .map(|(i, frame)| {
                let decoded = decode(&whole(1, &frame.bytes)).unwrap();
                let HeaderView::Whole(header) = decoded.header else {
                    panic!("{decoded:?}")
                };
                let mut fields = vec![
                    (i + 1).to_string(),
                    decoded.protocol.to_string(),
                    decoded.ttl.to_string(),
                    decoded.dscp.to_string(),
                    decoded.ecn.to_string(),
                ];
                fields.extend(decoded.ip_id.map(|id| format!("{id:#06x}")));
                fields.extend([decoded.source.to_string(), decoded.destination.to_string()]);
                let ip_header = if version == 0 { 20 } else { 0 };
                fields.push((ip_header + 12 + decoded.payload_len).to_string());
                fields.push(hex(&header.to_bytes()) + &hex(decoded.payload));
                fields
            })
            .collect();
        assert_eq!(lines.len(), 3 * 256);
        for (theirs, ours) in lines.iter().zip(&ours) {
            assert_eq!(theirs, ours);
        }
    }
}

/// What a capture of a fixture holds, as the library and as `seen.json` count it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    frames: u64,
    hdp: u64,
}

/// ICMP errors by who sent them, type, code and quoted number: distinct timestamps.
type Errors = BTreeMap<(String, u8, u8, u8), Vec<u64>>;

fn read(file: &Path) -> (Seen, Errors) {
    let mut source = Source::open(Origin::Path(file.to_owned())).unwrap();
    let mut decoder = Decoder::new(DEFAULT_WINDOW_NS);
    let (mut seen, mut errors) = (Seen::default(), Errors::new());
    while let Some(frame) = source.next_frame() {
        seen.frames += 1;
        let Ok(datagram) = decoder.decode(&frame) else {
            continue;
        };
        match (datagram.quote, datagram.header) {
            (None, _) => seen.hdp += 1,
            (Some(quote), HeaderView::Whole(header)) if datagram.carrier == Carrier::Ip => {
                let key = (
                    quote.by.to_string(),
                    quote.icmp_type,
                    quote.code,
                    datagram.protocol,
                );
                errors.entry(key).or_default().push(header.timestamp_ns);
            }
            _ => {}
        }
    }
    for timestamps in errors.values_mut() {
        timestamps.sort_unstable();
        timestamps.dedup();
    }
    assert!(source.summary().warnings.is_empty());
    (seen, errors)
}

/// `50,100-131`
fn unfold(numbers: &str) -> impl Iterator<Item = u8> {
    numbers.split(',').flat_map(|run| {
        let (first, last) = run.split_once('-').unwrap_or((run, run));
        first.parse().unwrap()..=last.parse().unwrap()
    })
}

/// `seen.json` was counted by tcpdump's filters when the fixtures were recorded.
#[test]
fn tcpdump_counted_the_same_in_every_fixture() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut files = 0;
    for folder in fs::read_dir(fixtures).unwrap() {
        let folder = folder.unwrap().path();
        let Ok(json) = fs::read(folder.join("seen.json")) else {
            continue;
        };
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        for file in fs::read_dir(&folder).unwrap() {
            let file = file.unwrap().path();
            let name = file.file_name().unwrap().to_str().unwrap();
            if !name.contains(".pcap") {
                continue;
            }
            // "server.pcapng" and "server-big-endian.pcap" are the server's.
            let point = name.split(['.', '-']).next().unwrap();
            let theirs = &json["points"][point];
            let (seen, errors) = read(&file);
            let expected = Seen {
                frames: theirs["frames"].as_u64().unwrap(),
                hdp: theirs["hdp"].as_u64().unwrap(),
            };
            assert_eq!(seen, expected, "{}", file.display());
            let mut counted: Vec<_> = errors
                .into_iter()
                .map(|(key, timestamps)| (key, timestamps.len() as u64))
                .collect();
            let mut expected = Vec::new();
            for fact in json["icmp"].as_array().unwrap() {
                if fact["point"] != point {
                    continue;
                }
                let number = |name: &str| u8::try_from(fact[name].as_u64().unwrap()).unwrap();
                let from = fact["from"].as_str().unwrap();
                let quoted = fact["quoted"].as_u64().unwrap();
                for protocol in unfold(fact["protocols"].as_str().unwrap()) {
                    let key = (from.to_owned(), number("type"), number("code"), protocol);
                    expected.push((key, quoted));
                }
            }
            counted.sort_unstable();
            expected.sort_unstable();
            assert_eq!(counted, expected, "{}", file.display());
            files += 1;
        }
    }
    assert!(files >= 28, "{files} captures");
}
