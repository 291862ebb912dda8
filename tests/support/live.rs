//! `hdp` with interfaces as its sources, and what goes by them.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
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
