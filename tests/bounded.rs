//! Bounded memory: the findings are those of file mode, however many packets there are.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufWriter, Write},
    iter,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use crate::support::{
    frames::Packet,
    scenario, scene,
    world::{self, Ingredient},
};
use hdp::{
    findings::{Carrier, Clock, Findings, Protocol, Warning},
    path::{self, Memory, Options, Points, Room, Window},
    source::{Origin, Source},
};
use tempfile::TempDir;

/// Nothing is kept that all points saw.
const LITTLE_ROOM: Room = Room {
    all: 0,
    waiting: 1 << 14,
    delays: 1 << 17,
    batch: 32,
};

/// The findings with everything kept.
fn kept(files: &[PathBuf]) -> Findings {
    findings_with(files, Memory::Unbounded)
}

fn findings_with(files: &[PathBuf], memory: Memory) -> Findings {
    let options = Options {
        memory,
        ..Options::default()
    };
    path::findings(&points(files), &options).unwrap()
}

/// The files as points called `p0`, `p1` ...
fn points(files: &[PathBuf]) -> Points {
    let named = files.iter().enumerate();
    path::points(named.map(|(index, file)| format!("p{index}={}", file.display()))).unwrap()
}

/// So many shares are read of each file.
const TURNS: u64 = 50;

/// A window that was given a share of the frames of each file in turn, to their ends.
fn window(files: &[PathBuf], room: Room) -> Window {
    let options = Options {
        memory: Memory::Bounded(room),
        ..Options::default()
    };
    let names = (0..files.len()).map(|index| format!("p{index}"));
    let window = Window::new(names, &options);
    let open = || {
        files
            .iter()
            .map(|file| Source::open(Origin::Path(file.clone())).unwrap())
    };
    let frames: Vec<u64> = open()
        .map(|mut source| iter::from_fn(|| source.next_frame().map(|_| ())).count() as u64)
        .collect();
    let mut sources: Vec<_> = open().map(Some).collect();
    // As if all had been read for the same share of the time.
    for turn in 1..=TURNS {
        for (point, reader) in sources.iter_mut().enumerate() {
            let until = frames[point] * turn / TURNS;
            while let Some(source) = reader {
                let Some(frame) = source.next_frame() else {
                    window.attest(point, source.summary());
                    window.finish(point);
                    *reader = None;
                    break;
                };
                let is_over = frame.number >= until && turn < TURNS;
                window.frame(point, &frame);
                window.attest(point, source.summary());
                if is_over {
                    break;
                }
            }
        }
    }
    window
}

/// What it found.
fn bounded(files: &[PathBuf], room: Room) -> Findings {
    window(files, room).snapshot()
}

fn clocks(findings: &mut Findings) -> impl Iterator<Item = &mut Clock> {
    let directions = findings.directions.iter_mut();
    let segments = directions.flat_map(|direction| &mut direction.segments);
    segments.map(|segment| &mut segment.clock)
}

/// Whether two clocks say the same of the same time, with error bars that differ by less than one
/// percent: where a box writes into timestamps, the narrowest bound may rest on another packet.
fn is_same_line(a: &Clock, b: &Clock) -> bool {
    let bound = |clock: &Clock| Some((clock.offset_ns?, clock.error_ns?, clock.at_ns?));
    let (Some((offset_a, error_a, at_a)), Some((offset_b, error_b, at_b))) = (bound(a), bound(b))
    else {
        return false;
    };
    let drift = b.skew_ppm.unwrap_or(0.0) * (at_a - at_b) as f64 / 1e6;
    let apart = (offset_a - offset_b) as f64 - drift;
    let rest = |clock: &Clock| (clock.method, clock.related_by, clock.steps.clone());
    rest(a) == rest(b)
        && a.skew_ppm.is_some() == b.skew_ppm.is_some()
        && apart.abs() <= error_a.min(error_b) as f64
        && error_a.abs_diff(error_b) * 100 < error_a
}

/// Holds one against the other, but for losses in a row and what bounded memory says of itself.
/// `false` where a host was taken apart, which needs all packets.
fn same_findings(files: &[PathBuf], what: &str, is_rewritten: bool) -> bool {
    let is_own = |warning: &Warning| *warning == Warning::BoundedMemory;
    let sorted = |mut findings: Findings| {
        // A window knows no files.
        findings.inputs.clear();
        let points = findings.points.iter_mut().map(|point| &mut point.source);
        let warnings = findings.warnings.iter_mut().flat_map(scene::sources);
        for source in points.chain(warnings) {
            for (index, file) in files.iter().enumerate() {
                *source = source.replace(file.to_str().unwrap(), &format!("p{index}"));
            }
        }
        // A packet whose timestamp a box wrote into relates clocks where it is known as one.
        let segments = findings
            .directions
            .iter_mut()
            .flat_map(|way| &mut way.segments);
        for level in segments.flat_map(|segment| &mut segment.clock.levels) {
            (level.from_ns, level.to_ns) = (0, 0);
        }
        findings.warnings.retain(|warning| !is_own(warning));
        findings.warnings.sort();
        let directions = findings.directions.iter_mut();
        for number in directions.flat_map(|direction| &mut direction.protocols) {
            number.loss_runs = None;
        }
        findings
    };
    let mut kept = sorted(kept(files));
    if kept.points.iter().any(|point| point.side.is_some()) {
        return false;
    }
    let bounded = sorted(bounded(files, LITTLE_ROOM));
    for (kept, bounded) in clocks(&mut kept).zip(clocks(&mut bounded.clone())) {
        if is_rewritten && is_same_line(kept, bounded) {
            kept.clone_from(bounded);
        }
    }
    if kept != bounded {
        let text = |findings| serde_json::to_string_pretty(findings).unwrap();
        let (kept, bounded) = (text(&kept), text(&bounded));
        let differing: Vec<String> = kept
            .lines()
            .zip(bounded.lines())
            .filter(|(kept, bounded)| kept != bounded)
            .map(|(kept, bounded)| format!("{} is {}", kept.trim(), bounded.trim()))
            .take(20)
            .collect();
        panic!("{what}: {differing:#?}");
    }
    true
}

#[test]
fn recorded_paths_are_judged_as_with_everything_kept() {
    let mut compared = 0;
    for scenario in scenario::Scenario::all() {
        for path in &scenario.paths {
            let files: Vec<PathBuf> = path
                .iter()
                .map(|labelled| scenario.folder.join(&labelled.file))
                .filter(|file| file.extension().is_some_and(|ending| ending != "jsonl"))
                .collect();
            compared += u32::from(same_findings(&files, &scenario.name(), false));
        }
    }
    assert!(compared >= 12, "{compared}");
}

#[test]
fn made_up_paths_are_judged_as_with_everything_kept() {
    let mut compared = 0;
    for seed in 1..=90 {
        let scenario = world::Scenario::new(seed, None);
        // What equal packets under one timestamp tell of clocks depends on which came together.
        let equals = [Ingredient::CoarseClock, Ingredient::Mirror];
        if equals.iter().any(|one| scenario.ingredients.have(*one)) {
            continue;
        }
        let folder = TempDir::new().unwrap();
        let files = written(&scenario, &folder);
        let what = format!("seed {seed} with {:?}", scenario.ingredients);
        let is_rewritten = scenario.ingredients.have(Ingredient::RewrittenTimestamp);
        compared += u32::from(same_findings(&files, &what, is_rewritten));
    }
    assert!(compared >= 30, "{compared}");
}

#[test]
fn where_room_is_short_no_more_is_called_lost_than_was() {
    let little = Room {
        all: 0,
        waiting: 128,
        delays: 64,
        batch: 16,
    };
    for seed in 1..=40 {
        let scenario = world::Scenario::new(seed, None);
        let folder = TempDir::new().unwrap();
        let files = written(&scenario, &folder);
        let (kept, bounded) = (kept(&files), bounded(&files, little));
        let of_kept = losses(&kept);
        for ((number, to), claimed) in losses(&bounded) {
            let truth = truly_lost(&scenario, number, to);
            let most = of_kept
                .get(&(number, to))
                .map_or(truth, |kept| truth.max(*kept));
            assert!(
                claimed <= most,
                "seed {seed} with {:?}, {number:?} to p{to}: {claimed} where {truth} were",
                scenario.ingredients
            );
        }
    }
}

/// A number, its carrier, and whether it goes back.
type Number = (u16, Carrier, bool);

/// The packets of each number that are said to be lost, by the point that they did not reach.
fn losses(findings: &Findings) -> BTreeMap<(Number, usize), u64> {
    // `p1`, or one of its sides: `p1 (in)`.
    let index = |name: &str| -> usize {
        let digits = name[1..].split(' ').next();
        digits.unwrap().parse().unwrap()
    };
    let mut losses = BTreeMap::new();
    for direction in &findings.directions {
        let goes_back = index(&direction.from) > index(&direction.to);
        for number in &direction.protocols {
            for lost in &number.lost_at {
                let of = (number.protocol, number.carrier, goes_back);
                *losses.entry((of, index(&lost.to))).or_default() += lost.count;
            }
        }
    }
    losses
}

/// Packets of a number that did not come as far as a point.
fn truly_lost(scenario: &world::Scenario, number: Number, to: usize) -> u64 {
    let packets = scenario.world.packets.iter();
    let lost = packets.filter(|packet| {
        let carrier = if packet.is_control {
            Carrier::Udp
        } else {
            Carrier::Ip
        };
        let protocol = u16::from(packet.sent.ip.protocol);
        (protocol, carrier, packet.is_reply) == number && packet.reaches <= packet.position(to)
    });
    lost.count() as u64
}

/// A scenario's files in a folder.
fn written(scenario: &world::Scenario, folder: &TempDir) -> Vec<PathBuf> {
    let files = scenario.files.iter().enumerate();
    files
        .map(|(point, file)| {
            let path = folder.path().join(format!("p{point}"));
            fs::write(&path, &file.bytes).unwrap();
            path
        })
        .collect()
}

/// An endless stream of packets, one every 10 µs, under 16 numbers in turn.
struct Stream {
    frame: Vec<u8>,
}

/// Of one hundred packets that reach the server one is lost.
const LOST_OF: u64 = 100;

/// The number that never reaches the server.
const BLOCKED: u8 = 50;

impl Stream {
    fn new(ttl: u8) -> Self {
        let mut packet = Packet::new([10, 77, 1, 2].into(), [10, 77, 2, 2].into(), 200, 0);
        packet.ip.ttl = ttl;
        packet.ip.id = 1;
        packet.payload = vec![b'x'; 33];
        Self {
            frame: packet.to_ip(),
        }
    }

    fn protocol(index: u64) -> u8 {
        BLOCKED + u8::try_from(index % 16).unwrap()
    }

    fn timestamp_ns(index: u64) -> u64 {
        1_795_348_800_000_000_000 + index * 10_000
    }

    fn arrives(index: u64) -> bool {
        Self::protocol(index) != BLOCKED && !(index / 16).is_multiple_of(LOST_OF)
    }

    /// Writes the packets that pass into a capture.
    fn write(
        mut self,
        to: &Path,
        packets: u64,
        delay_ns: u64,
        passes: impl Fn(u64) -> bool,
    ) -> std::io::Result<()> {
        let mut to = BufWriter::new(File::create(to)?);
        for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 262_144, 101] {
            to.write_all(&word.to_le_bytes())?;
        }
        for index in (0..packets).filter(|index| passes(*index)) {
            let timestamp_ns = Self::timestamp_ns(index);
            let time_ns = timestamp_ns + delay_ns + index * 7919 % 50_000;
            self.frame[9] = Self::protocol(index);
            self.frame[24..32].copy_from_slice(&timestamp_ns.to_be_bytes());
            let len = u64::try_from(self.frame.len()).unwrap();
            for word in [time_ns / 1_000_000_000, time_ns % 1_000_000_000, len, len] {
                to.write_all(&u32::try_from(word).unwrap().to_le_bytes())?;
            }
            to.write_all(&self.frame)?;
        }
        to.flush()
    }
}

#[test]
fn the_last_packets_of_a_number_are_known_though_others_are_forgotten() {
    const PACKETS: u64 = 40_000;
    let folder = TempDir::new().unwrap();
    let files = ["p0", "p1"].map(|name| folder.path().join(name));
    Stream::new(64)
        .write(&files[0], PACKETS, 5_000, |_| true)
        .unwrap();
    Stream::new(61)
        .write(&files[1], PACKETS, 2_000_005_000, Stream::arrives)
        .unwrap();
    let session = window(&files, LITTLE_ROOM);
    for number in [BLOCKED, BLOCKED + 1] {
        let (findings, packets) = session.snapshot_with_packets(number);
        assert_eq!(findings, session.snapshot());
        let own = (0..PACKETS).filter(|index| Stream::protocol(*index) == number);
        let own: Vec<u64> = own.collect();
        let last = own.iter().rev().take(20).rev().copied();
        assert_eq!(packets.len(), 20);
        for (packet, index) in packets.iter().zip(last) {
            assert_eq!(packet.timestamp_ns, Stream::timestamp_ns(index));
            assert_eq!(packet.seen.len(), 1 + usize::from(Stream::arrives(index)));
        }
    }
}

fn fifos(folder: &TempDir) -> [PathBuf; 2] {
    ["client", "server"].map(|name| {
        let fifo = folder.path().join(name);
        assert!(
            Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
        fifo
    })
}

fn start(fifos: &[PathBuf; 2]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_hdp"))
        .args(["path", "--format", "json"])
        .args(fifos)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn findings(child: Child) -> (Findings, String) {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    (serde_json::from_slice(&output.stdout).unwrap(), said)
}

fn numbers(findings: &Findings) -> &[Protocol] {
    assert_eq!(findings.directions.len(), 1, "{findings:?}");
    &findings.directions[0].protocols
}

/// The most memory that a process had so far, in KiB.
fn most_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn two_million_packets_through_two_fifos_take_little_memory_and_are_counted_exactly() {
    const PACKETS: u64 = 2_000_000;
    let folder = TempDir::new().unwrap();
    let [client, server] = fifos(&folder);
    let hdp = start(&[client.clone(), server.clone()]);
    let process = hdp.id();
    let writers = [
        thread::spawn(move || Stream::new(64).write(&client, PACKETS, 5_000, |_| true)),
        thread::spawn(move || {
            Stream::new(61).write(&server, PACKETS, 2_000_005_000, Stream::arrives)
        }),
    ];
    let mut most = 0;
    while !writers.iter().all(thread::JoinHandle::is_finished) {
        most = most_memory(process).map_or(most, |now| now.max(most));
        thread::sleep(Duration::from_millis(20));
    }
    for writer in writers {
        writer.join().unwrap().unwrap();
    }
    let (findings, _) = findings(hdp);
    assert!(most < 64 * 1024, "{most} KiB");
    let numbers = numbers(&findings);
    assert_eq!(numbers.len(), 16);
    for number in numbers {
        let protocol = u8::try_from(number.protocol).unwrap();
        let own = (0..PACKETS).filter(|index| Stream::protocol(*index) == protocol);
        let arrived = own.clone().filter(|index| Stream::arrives(*index));
        let (own, arrived) = (own.count() as u64, arrived.count() as u64);
        assert_eq!(number.packets, own, "{number:?}");
        assert_eq!(number.delivered, arrived, "{number:?}");
        // The last ones, of some milliseconds, may not have been watched for.
        assert_eq!(number.lost + number.edge, own - arrived, "{number:?}");
        assert!(number.edge < 20, "{number:?}");
    }
}

/// One point stands still at first, for longer than what the other sees meanwhile is remembered.
#[test]
fn a_point_that_is_told_of_long_after_the_other_makes_no_loss() {
    const PACKETS: u64 = 300_000;
    let folder = TempDir::new().unwrap();
    let [client, server] = ["client", "server"].map(|name| folder.path().join(name));
    Stream::new(64)
        .write(&client, PACKETS, 5_000, |_| true)
        .unwrap();
    Stream::new(61)
        .write(&server, PACKETS, 2_000_005_000, Stream::arrives)
        .unwrap();
    let files = [client, server];
    for late in [0, 1] {
        let window = Window::new(["client", "server"], &Options::default());
        let tell = |point: usize, frames: std::ops::Range<u64>, source: &mut Source| {
            for _ in frames {
                let Some(frame) = source.next_frame() else {
                    break;
                };
                window.frame(point, &frame);
            }
            window.attest(point, source.summary());
        };
        let mut sources =
            [0, 1].map(|point: usize| Source::open(Origin::Path(files[point].clone())).unwrap());
        for (point, source) in sources.iter_mut().enumerate() {
            tell(point, 0..20_000, source);
        }
        for point in [1 - late, late] {
            tell(point, 20_000..u64::MAX, &mut sources[point]);
            window.finish(point);
        }
        let findings = window.snapshot();
        let sum = |count: fn(&Protocol) -> u64| numbers(&findings).iter().map(count).sum::<u64>();
        let lost = (0..PACKETS)
            .filter(|index| !Stream::arrives(*index))
            .count() as u64;
        let found = sum(|p| p.lost);
        assert!(found <= lost, "late {late}: {found} of {lost}");
        assert_eq!(sum(|p| p.delivered), PACKETS - lost, "late {late}");
        // What came of the others cannot be known, and is not said to be.
        let unjudged = sum(|p| p.edge + p.ambiguous);
        assert!(unjudged > PACKETS / 2, "late {late}: {unjudged}");
    }
}

#[test]
fn a_fifo_whose_writer_dies_makes_no_loss() {
    const PACKETS: usize = 300_000;
    let packets = PACKETS as u64;
    let folder = TempDir::new().unwrap();
    let [client, server] = fifos(&folder);
    let whole = folder.path().join("whole");
    Stream::new(61)
        .write(&whole, packets, 2_000_005_000, Stream::arrives)
        .unwrap();
    // Half of it, and half of a frame.
    let mut bytes = fs::read(&whole).unwrap();
    bytes.truncate(24 + (PACKETS / 2) * (16 + 65) + 40);
    let arrived = PACKETS / 2;
    let hdp = start(&[client.clone(), server.clone()]);
    let writers = [
        thread::spawn(move || Stream::new(64).write(&client, packets, 5_000, |_| true)),
        thread::spawn(move || fs::write(server, bytes)),
    ];
    for writer in writers {
        writer.join().unwrap().unwrap();
    }
    let (findings, said) = findings(hdp);
    assert!(said.contains("server: "), "{said}");
    let sum = |count: fn(&Protocol) -> u64| numbers(&findings).iter().map(count).sum::<u64>();
    assert_eq!(sum(|p| p.packets), packets);
    assert_eq!(sum(|p| p.delivered), arrived as u64);
    // What was lost before the last that arrived, and nothing behind it.
    let came = (0..packets).filter(|index| Stream::arrives(*index));
    let last = came.take(arrived).last().unwrap();
    let missing = (0..last).filter(|index| !Stream::arrives(*index)).count() as u64;
    let found = sum(|p| p.lost);
    assert!(
        found <= missing && missing - found < 100,
        "{found} of {missing}"
    );
    assert_eq!(sum(|p| p.ambiguous), 0);
}

#[test]
fn files_in_bounded_memory_are_judged_as_without() {
    let folder = TempDir::new().unwrap();
    let [client, server] = ["client", "server"].map(|name| folder.path().join(name));
    Stream::new(64)
        .write(&client, 200_000, 5_000, |_| true)
        .unwrap();
    Stream::new(61)
        .write(&server, 200_000, 2_000_005_000, Stream::arrives)
        .unwrap();
    let run = |more: &[&str]| {
        let mut hdp = Command::new(env!("CARGO_BIN_EXE_hdp"));
        hdp.args(["path", "--format", "json"])
            .args(more)
            .args([&client, &server]);
        let child = hdp.stdout(Stdio::piped()).stderr(Stdio::piped());
        findings(child.spawn().unwrap())
    };
    let ((file, _), (bounded, said)) = (run(&[]), run(&["--bounded"]));
    assert!(said.contains("bounded memory"), "{said}");
    for (file, bounded) in numbers(&file).iter().zip(numbers(&bounded)) {
        let counts = |p: &Protocol| [p.packets, p.delivered, p.lost, p.edge, p.reordered];
        assert_eq!(counts(file), counts(bounded));
        assert_eq!(
            (file.verdict, file.grade, &file.lost_at),
            (bounded.verdict, bounded.grade, &bounded.lost_at)
        );
        let (Some(file), Some(bounded)) = (&file.delay_ns, &bounded.delay_ns) else {
            assert_eq!(file.delay_ns, bounded.delay_ns);
            continue;
        };
        for (exact, rounded) in [
            (file.min, bounded.min),
            (file.p50, bounded.p50),
            (file.p90, bounded.p90),
            (file.p99, bounded.p99),
            (file.max, bounded.max),
        ] {
            assert!(
                exact.abs_diff(rounded) <= exact.unsigned_abs() / 100 + 1,
                "{file:?} became {bounded:?}"
            );
        }
    }
}

#[test]
fn files_are_judged_alike_in_bounded_memory_however_fast_each_is_read() {
    // So little room that what a point shows is given up as soon as another is not read with it.
    const SCARCELY_ROOM: Room = Room {
        all: 0,
        waiting: 1 << 10,
        delays: 1 << 12,
        batch: 1 << 8,
    };
    let folder = TempDir::new().unwrap();
    let files: Vec<PathBuf> = (["client", "server"].iter())
        .map(|name| folder.path().join(name))
        .collect();
    Stream::new(64)
        .write(&files[0], 200_000, 5_000, |_| true)
        .unwrap();
    Stream::new(61)
        .write(&files[1], 200_000, 5_000, Stream::arrives)
        .unwrap();
    let all_kept = kept(&files);
    let running = Arc::new(());
    thread::scope(|scope| {
        // More to do than there are processors: each reader would stand still at times.
        for _ in 0..2 * thread::available_parallelism().map_or(2, usize::from) {
            let running = Arc::downgrade(&running);
            scope.spawn(move || {
                while running.upgrade().is_some() {
                    std::hint::spin_loop();
                }
            });
        }
        let running = running;
        let runs: Vec<Findings> = (0..4)
            .map(|_| findings_with(&files, Memory::Bounded(SCARCELY_ROOM)))
            .collect();
        drop(running);
        for run in &runs {
            assert_eq!(run, &runs[0]);
            for (run, kept) in numbers(run).iter().zip(numbers(&all_kept)) {
                let counts = |p: &Protocol| (p.packets, p.delivered, p.lost, p.ambiguous);
                assert_eq!(counts(run), counts(kept));
            }
        }
    });
}
