//! Live captures as commands start and end them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

use crate::{
    duration, path,
    probe::Interrupt,
    source::{LinkType, Until},
};

/// What can be said of a capture from an interface.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Live capture")]
pub(super) struct Capture {
    /// Stop capturing, and reading pipes, after this time
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    duration: Option<Duration>,

    /// Capture frames to other hosts too, as on a mirror port. Anywhere else they would count as
    /// arrivals
    #[arg(long)]
    promiscuous: bool,

    /// Size of the kernel's capture buffer in KiB; 16,384 by default
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

    /// How interfaces are to be captured from.
    pub(super) fn options(&self) -> path::Capture {
        path::Capture {
            promiscuous: self.promiscuous,
            buffer_len: self.buffer_size.map(|kib| kib * 1024),
            save: None,
        }
    }

    /// Begins the time that captures run for.
    pub(super) fn begin(&self) -> anyhow::Result<Arc<Run>> {
        // A time that no clock will show never comes.
        let until = self
            .duration
            .and_then(|duration| Instant::now().checked_add(duration));
        Ok(Arc::new(Run {
            interrupt: Interrupt::install().context("signals")?,
            until,
        }))
    }
}

/// Says that a capture has started.
pub(super) fn say_capturing(interface: &str, link_types: &[LinkType]) {
    let link_types: Vec<_> = link_types.iter().map(ToString::to_string).collect();
    eprintln!(
        "live:{interface}: capturing, link type {}; Ctrl-C ends it",
        link_types.join(", ")
    );
}

/// Names a filter that nobody asked for.
pub(super) fn say_default_filter(expression: &str) {
    eprintln!(
        "kernel filter, for what may be HDP or an ICMP error (-f '' for everything): {expression}"
    );
}

/// Sees that an option has something to work on.
pub(super) fn refuse_if(is_given: bool, option: &str) -> anyhow::Result<()> {
    ensure!(
        !is_given,
        "{option}: is for live captures only; give live:IFACE as a source, or leave it out"
    );
    Ok(())
}

/// How long captures run: until the user or the time ends them.
#[derive(Debug)]
pub(super) struct Run {
    interrupt: Interrupt,
    until: Option<Instant>,
}

impl Run {
    /// Whether captures are to stop.
    pub(super) fn is_over(&self) -> bool {
        self.interrupt.is_set() || self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// When captures stop, and pipes that are read meanwhile.
    pub(super) fn until(self: &Arc<Self>) -> Until {
        let run = Arc::clone(self);
        Arc::new(move || run.is_over())
    }
}
