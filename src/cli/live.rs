//! Live captures as commands start and end them.

use std::{
    fs::{self, File},
    io::{self, BufWriter},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

use super::{duration, output, read::Planned};
#[cfg(feature = "libpcap")]
use crate::source::LiveOptions;
use crate::{
    capture_file::CaptureFile,
    decode,
    probe::{self, Interrupt},
    source::{Frame, Interface, Origin, Source, Summary, Until},
};

/// What can be said of a capture from an interface.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Live capture")]
pub(super) struct Capture {
    /// Stop after this time; pipes are read no longer either
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    duration: Option<Duration>,

    /// Take frames to other hosts too, as a mirror port asks for. Anywhere else they would be taken
    /// for arrivals
    #[arg(long)]
    promiscuous: bool,

    /// KiB that the kernel may hold while hdp is busy; 16,384 if not given
    #[arg(short = 'B', long, value_name = "KIB", value_parser = clap::value_parser!(u32).range(1..=2_097_151))]
    buffer_size: Option<u32>,
}

impl Capture {
    /// Sees that nothing is asked of a capture that is not there; a time may be set to pipes too.
    pub(super) fn refuse(&self, has_pipes: bool) -> anyhow::Result<()> {
        refuse_if(self.duration.is_some() && !has_pipes, "--duration")?;
        refuse_if(self.promiscuous, "--promiscuous")?;
        refuse_if(self.buffer_size.is_some(), "--buffer-size")
    }

    /// Starts to capture and tells so. The kernel applies the filter.
    #[cfg(feature = "libpcap")]
    pub(super) fn open(&self, interface: &str, filter: &str) -> anyhow::Result<Source> {
        ensure!(
            !(self.promiscuous && interface == "any"),
            "--promiscuous: no system has that for all interfaces at once; name one"
        );
        let buffer_len = self.buffer_size.map(|kib| kib * 1024);
        let options = LiveOptions {
            filter: Some(filter.to_owned()),
            promiscuous: self.promiscuous,
            buffer_len: buffer_len.unwrap_or(LiveOptions::BUFFER_LEN),
        };
        let source = Source::open_live(interface, &options)?;
        let summary = source.summary();
        let link_types: Vec<_> = summary.link_types.iter().map(ToString::to_string).collect();
        eprintln!(
            "{}: capturing, link type {}; Ctrl-C ends it",
            source.origin(),
            link_types.join(", ")
        );
        Ok(source)
    }

    /// Says that it cannot be done.
    #[cfg(not(feature = "libpcap"))]
    #[allow(clippy::unused_self, reason = "called like the one that does it")]
    pub(super) fn open(&self, interface: &str, _: &str) -> anyhow::Result<Source> {
        let origin = Origin::Live(interface.to_owned());
        Ok(Source::open(origin)?)
    }

    /// Begins the time that captures run for.
    pub(super) fn begin(&self) -> anyhow::Result<Run> {
        // A time that no clock will show never comes.
        let until = self
            .duration
            .and_then(|duration| Instant::now().checked_add(duration));
        Ok(Run {
            interrupt: Interrupt::install().context("signals")?,
            until,
            ended: AtomicBool::new(false),
        })
    }
}

/// What kernels are to pass.
#[derive(Debug)]
pub(super) struct KernelFilter {
    pub(super) expression: String,
    is_default: bool,
}

impl KernelFilter {
    /// What the user wants to see, or what may be HDP within the window.
    pub(super) fn new(given: Option<&str>, window_ns: u64) -> Self {
        Self {
            expression: given.map_or_else(
                || decode::candidates(probe::now_ns(), window_ns),
                str::to_owned,
            ),
            is_default: given.is_none(),
        }
    }

    /// Tells of a filter that nobody asked for.
    pub(super) fn tell(&self) {
        if self.is_default {
            eprintln!(
                "kernel filter, for what may be HDP or an ICMP error (-f '' for everything): {}",
                self.expression
            );
        }
    }
}

/// Sees that an option has something to work on.
pub(super) fn refuse_if(is_given: bool, option: &str) -> anyhow::Result<()> {
    ensure!(
        !is_given,
        "{option}: is for live captures only; give live:IFACE as a source, or leave it out"
    );
    Ok(())
}

/// How long captures run: until the user or the time ends them, or a thread that reads them.
#[derive(Debug)]
pub(super) struct Run {
    interrupt: Interrupt,
    until: Option<Instant>,
    ended: AtomicBool,
}

impl Run {
    /// Whether captures are to stop.
    pub(super) fn is_over(&self) -> bool {
        self.interrupt.is_set()
            || self.ended.load(Ordering::Relaxed)
            || self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Has all captures stop.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// When pipes end that are read meanwhile.
    pub(super) fn for_pipes(self: &Arc<Self>) -> Until {
        let run = Arc::clone(self);
        Arc::new(move || run.is_over())
    }
}

/// How those points of a path are captured that are interfaces, and how long pipes are read.
#[derive(Debug)]
pub(super) struct Captures<'a> {
    pub(super) capture: &'a Capture,
    pub(super) filter: KernelFilter,
    pub(super) run: Arc<Run>,
    /// All end when one has seen so many packets.
    pub(super) count: Option<u64>,
    /// A folder for what is captured, a file for each point.
    pub(super) save: Option<&'a Path>,
}

impl Captures<'_> {
    /// Starts the captures, and the files that keep them; `None` for other points.
    pub(super) fn open(&self, plan: &[Planned]) -> anyhow::Result<Vec<Option<Capturing>>> {
        let mut captures = Vec::new();
        for planned in plan {
            let Origin::Live(interface) = &planned.origin else {
                captures.push(None);
                continue;
            };
            let source = self.capture.open(interface, &self.filter.expression)?;
            let saved = self.saved_as(planned);
            let saved = saved.map(|path| Saved::create(path, &source)).transpose()?;
            captures.push(Some(Capturing { source, saved }));
        }
        if captures.iter().any(Option::is_some) {
            self.filter.tell();
        }
        Ok(captures)
    }

    /// Where the capture of a point is kept, if anywhere.
    pub(super) fn saved_as(&self, planned: &Planned) -> Option<PathBuf> {
        let file = format!("{}.pcapng", planned.name);
        self.save.map(|folder| folder.join(file))
    }
}

/// A capture that is running.
pub(super) struct Capturing {
    pub(super) source: Source,
    pub(super) saved: Option<Saved>,
}

/// The file that keeps what is captured; its errors name it.
pub(super) struct Saved {
    path: PathBuf,
    file: CaptureFile<BufWriter<File>>,
    /// Drops that the file tells of.
    drops: u64,
}

impl Saved {
    fn create(path: PathBuf, source: &Source) -> anyhow::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("{}: cannot create", folder.display()))?;
        }
        let file = CaptureFile::begin(output::create(&path)?)?;
        let mut saved = Self {
            path,
            file,
            drops: 0,
        };
        for interface in &source.summary().interfaces {
            saved.try_to(|file| file.interface(interface, ""))?;
        }
        Ok(saved)
    }

    /// Adds a frame.
    pub(super) fn frame(&mut self, frame: &Frame, interface: &Interface) -> anyhow::Result<()> {
        self.try_to(|file| file.frame(frame, interface))
    }

    /// Says in which stretch the capture dropped frames, if it has dropped more.
    pub(super) fn drops(&mut self, summary: &Summary) -> anyhow::Result<()> {
        let drops = (self.drops, summary.capture_drops.unwrap_or(0));
        if drops.0 == drops.1 {
            return Ok(());
        }
        self.drops = drops.1;
        let (Some((start, _)), Some(&(from, to))) = (summary.watched_ns, summary.dropped_ns.last())
        else {
            return Ok(());
        };
        self.try_to(|file| {
            file.statistics(0, (start, from), Some(drops.0))?;
            file.statistics(0, (start, to), Some(drops.1))
        })
    }

    /// Lets readers have what was written so far.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        self.try_to(CaptureFile::flush)
    }

    /// Ends the file with what the capture says of itself.
    pub(super) fn end(self, summary: &Summary) -> anyhow::Result<()> {
        let Self { path, file, .. } = self;
        file.end(summary.watched_ns, summary.capture_drops)
            .with_context(|| cannot_write(&path))
    }

    fn try_to(
        &mut self,
        write: impl FnOnce(&mut CaptureFile<BufWriter<File>>) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        write(&mut self.file).with_context(|| cannot_write(&self.path))
    }
}

fn cannot_write(path: &Path) -> String {
    format!("{}: cannot write", path.display())
}
