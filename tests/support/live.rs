//! `hdp` with interfaces as its sources, and what goes by them.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::{self, JoinHandle},
};

use tempfile::TempDir;

use super::{
    capture::Capture,
    hosts::{Host, Running, file, success, until},
};

/// `hdp` with an interface as its source, running.
pub struct Live {
    pub running: Running,
    pub stdout: PathBuf,
    stderr: PathBuf,
}

impl Live {
    /// Starts it and waits until it captures.
    pub fn start(host: &Host, folder: &TempDir, arguments: &[&str]) -> Self {
        let (stdout, stderr) = (file(folder, "stdout"), file(folder, "stderr"));
        let mut command = host.hdp(arguments);
        command
            .stdout(File::create(&stdout).unwrap())
            .stderr(File::create(&stderr).unwrap());
        let live = Self {
            running: Running::start(&mut command),
            stdout,
            stderr,
        };
        // Written once all captures run.
        until("hdp captures", || {
            let said = live.said();
            said.contains("kernel filter") || arguments.contains(&"-f") && said.contains("Ctrl-C")
        });
        live
    }

    pub fn said(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap()
    }

    pub fn printed(&self) -> String {
        fs::read_to_string(&self.stdout).unwrap()
    }

    /// The process itself, beneath the one that bounds its time.
    pub fn process(&self) -> u32 {
        let bounding = self.running.id();
        let children = format!("/proc/{bounding}/task/{bounding}/children");
        let children = fs::read_to_string(children).unwrap();
        children.trim().parse().unwrap()
    }

    /// Whether it has a file or FIFO open.
    pub fn holds(&self, path: &Path) -> bool {
        let open = fs::read_dir(format!("/proc/{}/fd", self.process())).unwrap();
        let mut open = open.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
        open.any(|target| target == path)
    }

    /// Ends it as Ctrl-C would; what it printed, and what it said.
    pub fn interrupt(self) -> (String, String) {
        self.end_by("INT")
    }

    /// Ends it by a signal; what it printed, and what it said.
    pub fn end_by(self, signal: &str) -> (String, String) {
        self.running.end_by(signal);
        let bytes = fs::read(self.stdout).unwrap();
        // It may be a capture.
        let printed = String::from_utf8_lossy(&bytes).into_owned();
        (printed, fs::read_to_string(self.stderr).unwrap())
    }
}

/// tcpdump on a host, its capture sent through a FIFO as `<(ssh HOST tcpdump -U -w -)` would, and
/// kept beside.
pub struct Remote {
    tcpdump: Running,
    pub fifo: PathBuf,
    kept: PathBuf,
    copier: JoinHandle<()>,
}

impl Remote {
    /// Starts it; it writes once somebody reads the FIFO.
    pub fn start(host: &Host, interface: &str, folder: &TempDir, name: &str) -> Self {
        let fifo = file(folder, name);
        success(Command::new("mkfifo").arg(&fifo));
        let (kept, said) = (
            file(folder, &format!("{name}.pcap")),
            file(folder, &format!("{name}.said")),
        );
        let mut command = host.command("tcpdump");
        command
            .args(["-i", interface, "-U", "--immediate-mode", "-s", "2048"])
            .args(["-B", "16384", "-w", "-"])
            .stdout(Stdio::piped())
            .stderr(File::create(&said).unwrap());
        let mut tcpdump = Running::start(&mut command);
        until("tcpdump captures", || {
            fs::read_to_string(&said).unwrap().contains("listening on")
        });
        let mut from = tcpdump.stdout();
        let mut keep = File::create(&kept).unwrap();
        let to = fifo.clone();
        let copier = thread::spawn(move || {
            let mut to = File::options().write(true).open(to).unwrap();
            let mut bytes = vec![0; 1 << 16];
            loop {
                match from.read(&mut bytes).unwrap() {
                    0 => return,
                    len => {
                        keep.write_all(&bytes[..len]).unwrap();
                        // Who reads it may have been told to end.
                        let _ = to.write_all(&bytes[..len]);
                    }
                }
            }
        });
        Self {
            tcpdump,
            fifo,
            kept,
            copier,
        }
    }

    /// How many packets of HDP it has written so far.
    pub fn came(&self) -> usize {
        const HEADER: u64 = 24;
        let len = fs::metadata(&self.kept).unwrap().len();
        if len < HEADER {
            0
        } else {
            hdp_in(&self.kept).len()
        }
    }

    /// Ends it once it has written what is waited for and that was read.
    pub fn end(self, path: &Live, packets: usize) -> PathBuf {
        until("tcpdump has written all", || self.came() == packets);
        self.tcpdump.interrupt();
        self.copier.join().unwrap();
        until("hdp has read it", || !path.holds(&self.fifo));
        self.kept
    }

    /// Ends it in the middle of a packet, for all it knows.
    pub fn kill(self, path: &Live) -> PathBuf {
        let (fifo, kept) = (self.fifo.clone(), self.kept.clone());
        self.abandon();
        until("hdp has read it", || !path.holds(&fifo));
        kept
    }

    /// The same, where nobody may be reading any more.
    pub fn abandon(self) {
        self.tcpdump.kill();
        self.copier.join().unwrap();
    }
}

/// Every number once, and its control.
pub fn sweep(from: &Host, to: &str) {
    success(&mut from.hdp(&[
        "send",
        to,
        "--protocols",
        "0-256",
        "--control",
        "--interval",
        "1ms",
        "--payload",
        "moo",
        "--output",
        "/dev/null",
    ]));
}

/// What HDP there is in a capture of Ethernet, with its number, told without the tool's decoder.
pub fn hdp_in(capture: &Path) -> BTreeSet<(u64, u8)> {
    let frames = Capture::read(capture).frames.into_iter();
    let ip = frames.map(|frame| frame.bytes[14..].to_vec());
    ip.filter_map(|ip| {
        let (number, behind) = match ip[0] >> 4 {
            4 => (ip[9], &ip[20..]),
            6 => (ip[6], &ip[40..]),
            _ => return None,
        };
        let starts = [0, 8].map(|at| behind.get(at..at + 15));
        let mut hdp = starts.into_iter().flatten();
        let hdp = hdp.find(|hdp| hdp.ends_with(b"moo") && hdp[..4] == [1, 0xa4, 1, 0xa4])?;
        let timestamp = hdp[4..12].try_into().unwrap();
        Some((u64::from_be_bytes(timestamp), number))
    })
    .collect()
}
