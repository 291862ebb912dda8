//! Live captures as commands start and end them.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

use super::duration;
#[cfg(feature = "libpcap")]
use crate::source::LiveOptions;
use crate::{
    decode,
    probe::{self, Interrupt},
    source::Source,
};

/// What can be said of a capture from an interface.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Live capture")]
pub(super) struct Capture {
    /// Stop after this time
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
    /// Sees that nothing is asked of a capture that is not there.
    pub(super) fn refuse(&self) -> anyhow::Result<()> {
        refuse_if(self.duration.is_some(), "--duration")?;
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
        let origin = crate::source::Origin::Live(interface.to_owned());
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
}
