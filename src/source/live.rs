//! Frames from an interface as they come, through libpcap.
//!
//! The kernel's ring is the only queue: nothing is taken from it before it is asked for, and what
//! it has no room for the kernel counts ([`Summary::capture_drops`]). So no frame is lost silently,
//! however slow the reader is, and which stretches of time lack some is known
//! ([`Summary::dropped_ns`]).
//!
//! A capture that runs knows that it is watching, also where nothing comes:
//! [`Summary::watched_ns`] moves on with the clock, and every frame that came before its end has
//! been given out by then, or is counted as dropped. An interface that goes down has no frames to be missed; libpcap
//! (since 1.10) waits until it is up again. One that is removed ends the capture.

use std::{
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pcap::{Active, Capture, Linktype, Precision, Stat};

use super::{
    Error, Interface, LinkType, Origin, Record, Step, Summary, filter, input::Buffer, now_ns,
};

/// How long the kernel collects frames before it hands them over, in milliseconds: short to a
/// person, and long enough for the ring's 64 blocks (of 256 KiB) to bridge three seconds of a
/// reader that is held up, although each may hold one frame only.
const DELIVERY_MS: i32 = 50;

/// After this time every frame has been handed over for sure.
const DELIVERED: Duration = Duration::from_nanos(DELIVERED_NS.unsigned_abs());

const DELIVERED_NS: i64 = 3 * DELIVERY_MS as i64 * 1_000_000;

/// How long [`Live::wait`] waits at the most.
const PATIENCE_MS: u8 = 100;

/// How often the kernel is asked for what it dropped, in nanoseconds of capture time ...
const COUNT_EVERY_NS: i64 = 100_000_000;

/// ... and after so many frames at the latest: until then nobody knows what is missing.
const COUNT_EVERY: u32 = 1024;

/// tcpdump's: more than any frame.
const SNAPSHOT_LEN: i32 = 262_144;

/// Linux has counted nanoseconds since before libpcap could ask for them. Elsewhere they may be
/// refused, which the bindings do not tell.
const PRECISION: (Precision, u64) = if cfg!(target_os = "linux") {
    (Precision::Nano, 1)
} else {
    (Precision::Micro, 1_000)
};

/// How an interface is captured from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveOptions {
    /// The pcap filter that the kernel applies; `None` takes every frame.
    pub filter: Option<String>,
    /// Whether the interface takes frames to other hosts too, as on a mirror port. Nothing tells
    /// them from arrivals, but in a cooked capture. `any` cannot.
    pub promiscuous: bool,
    /// Bytes that the kernel may hold for a reader that is busy.
    pub buffer_len: u32,
}

impl LiveOptions {
    /// Three seconds of trickle or 16 MiB of flood.
    pub const BUFFER_LEN: u32 = 16 * 1024 * 1024;
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            filter: None,
            promiscuous: false,
            buffer_len: Self::BUFFER_LEN,
        }
    }
}

/// An interface that is being captured from.
pub(super) struct Live {
    capture: Capture<Active>,
    link_type: LinkType,
    /// What its times count in.
    resolution_ns: u64,
    /// What [`Live::wait`] found and [`Live::step`] has not taken yet.
    ahead: Option<Step>,
    /// The bytes of the frame ahead.
    bytes: Vec<u8>,
    /// When [`Live::stop`] was called.
    stopped: Option<Stopped>,
    /// When libpcap failed, and its words. What the kernel had collected is still to come.
    failed: Option<(Instant, String)>,
    /// What the kernel said last; it counts modulo 2^32.
    counted: Option<Stat>,
    /// When it was asked, by its clock.
    counted_ns: i64,
    /// When to ask it again, ns since the epoch.
    count_at_ns: i64,
    /// Frames given out since it was asked.
    uncounted: u32,
    /// All frames up to this time were given out.
    given_out_ns: i64,
}

#[derive(Clone, Copy)]
struct Stopped {
    at: Instant,
    time_ns: i64,
}

impl Live {
    /// Starts the capture.
    pub(super) fn open(
        origin: &Origin,
        interface: &str,
        options: &LiveOptions,
        summary: &mut Summary,
    ) -> Result<Self, Error> {
        let refused = |error| Error::capture(origin, error);
        let capture = Capture::from_device(interface).map_err(refused)?;
        // libpcap's own makers of frames know microseconds alone, and are not asked.
        let (precision, resolution_ns) = match interface.split(':').next() {
            Some("nflog") => (Precision::Micro, 1_000),
            _ => PRECISION,
        };
        let mut capture = capture
            .precision(precision)
            .promisc(options.promiscuous)
            .snaplen(SNAPSHOT_LEN)
            .buffer_size(i32::try_from(options.buffer_len).unwrap_or(i32::MAX))
            .timeout(DELIVERY_MS)
            .open()
            .map_err(refused)?;
        // The later cooked header names the interface of each frame.
        let sll2 = Linktype(i32::from(LinkType::LINUX_SLL2.0));
        if capture.get_datalink() == Linktype(i32::from(LinkType::LINUX_SLL.0))
            && capture
                .list_datalinks()
                .is_ok_and(|known| known.contains(&sll2))
        {
            capture.set_datalink(sll2).map_err(refused)?;
        }
        // Numbers beyond 16 bits are no file's.
        let link_type = LinkType(u16::try_from(capture.get_datalink().0).unwrap_or(u16::MAX));
        if let Some(expression) = &options.filter {
            capture
                .filter(expression, true)
                .map_err(|error| Error::Filter {
                    origin: origin.clone(),
                    expression: expression.clone(),
                    link_type,
                    why: filter::words(error),
                })?;
        }
        let capture = capture.setnonblock().map_err(refused)?;
        summary.add_interface(Interface {
            name: Some(interface.to_owned()),
            link_type,
            resolution_ns,
        });
        let start_ns = now_ns();
        summary.watched_ns = Some((start_ns, start_ns));
        summary.is_live = true;
        let mut live = Self {
            capture,
            link_type,
            resolution_ns,
            ahead: None,
            bytes: Vec::new(),
            stopped: None,
            failed: None,
            counted: None,
            counted_ns: start_ns,
            count_at_ns: i64::MIN,
            uncounted: 0,
            given_out_ns: start_ns,
        };
        live.count(start_ns, summary);
        Ok(live)
    }

    /// Waits for something, at most a tenth of a second; `false` where nothing came.
    pub(super) fn wait(&mut self, summary: &mut Summary) -> bool {
        if self.ahead.is_some() || self.look(summary) {
            return true;
        }
        let mut readable = [PollFd::new(self.capture.as_fd(), PollFlags::POLLIN)];
        // Whatever keeps it from waiting, the next look tells.
        let _ = poll(&mut readable, PollTimeout::from(PATIENCE_MS));
        self.look(summary)
    }

    /// The next frame, or the end.
    pub(super) fn step(&mut self, buffer: &mut Buffer, summary: &mut Summary) -> Step {
        let step = loop {
            if let Some(step) = self.ahead.take() {
                break step;
            }
            self.wait(summary);
        };
        if let Step::Frame(_) = step {
            buffer.hold(&mut self.bytes);
        }
        step
    }

    /// Ends the capture now: what came before is still given out.
    pub(super) fn stop(&mut self, summary: &mut Summary) {
        if self.stopped.is_none() {
            let time_ns = now_ns();
            self.stopped = Some(Stopped {
                at: Instant::now(),
                time_ns,
            });
            // What came until now is not given out yet.
            self.count(self.given_out_ns, summary);
        }
    }

    /// Looks for something to give out, without waiting.
    fn look(&mut self, summary: &mut Summary) -> bool {
        self.ahead = match self.capture.next_packet() {
            Ok(packet) => {
                let time_ns = time_ns(packet.header, self.resolution_ns);
                if self.stopped.is_some_and(|stop| stop.time_ns < time_ns) {
                    self.end(summary)
                } else {
                    self.bytes.clear();
                    self.bytes.extend_from_slice(packet.data);
                    let original_len = packet.header.len;
                    // It may be older than the first look at the clock.
                    if let Some((start, _)) = &mut summary.watched_ns {
                        *start = time_ns.min(*start);
                    }
                    self.uncounted += 1;
                    self.watched(time_ns, summary);
                    Some(Step::Frame(Record {
                        time_ns: Some(time_ns),
                        link_type: self.link_type,
                        interface: 0,
                        direction: None,
                        original_len,
                        offset: 0,
                        len: self.bytes.len(),
                    }))
                }
            }
            Err(error) if has_nothing_yet(&error) && self.failed.is_some() => self.broken(summary),
            Err(error) if has_nothing_yet(&error) => {
                self.watched(now_ns().saturating_sub(DELIVERED_NS), summary);
                match self.stopped {
                    Some(stop) if stop.at.elapsed() > DELIVERED => self.end(summary),
                    _ => None,
                }
            }
            Err(error) => {
                let now = || (Instant::now(), filter::words(error));
                self.failed.get_or_insert_with(now);
                self.broken(summary)
            }
        };
        self.ahead.is_some()
    }

    /// The end that nobody asked for, once the kernel has handed over what it had collected.
    fn broken(&mut self, summary: &mut Summary) -> Option<Step> {
        let (_, why) = self.failed.take_if(|(at, _)| at.elapsed() > DELIVERED)?;
        self.count(self.given_out_ns, summary);
        let until = summary.watched_ns.map_or(0, |(_, until)| until);
        let until = jiff::Timestamp::from_nanosecond(until.into()).unwrap_or_default();
        Some(Step::Broken(format!(
            "the capture ended before it was told to: {why}; it watched until {until}"
        )))
    }

    /// The end that was asked for.
    fn end(&mut self, summary: &mut Summary) -> Option<Step> {
        let stop = self.stopped?;
        self.count(stop.time_ns, summary);
        Some(Step::End)
    }

    /// All frames up to this time were given out: asks now and then for drops.
    #[inline]
    fn watched(&mut self, time_ns: i64, summary: &mut Summary) {
        self.given_out_ns = time_ns.max(self.given_out_ns);
        if time_ns >= self.count_at_ns || self.uncounted >= COUNT_EVERY {
            self.count(time_ns, summary);
        }
    }

    /// Adds what the kernel and the interface dropped since the last time. Nothing that came up to
    /// this time is missing then.
    #[cold]
    fn count(&mut self, time_ns: i64, summary: &mut Summary) {
        self.count_at_ns = time_ns.saturating_add(COUNT_EVERY_NS);
        self.uncounted = 0;
        let asked_ns = now_ns();
        if let Ok(stat) = self.capture.stats() {
            self.add_drops(stat, asked_ns, summary);
        }
        let (start, until) = summary.watched_ns.unwrap_or((time_ns, time_ns));
        summary.watched_ns = Some((start, until.max(time_ns)));
    }

    /// Adds what is more than it was the last time.
    fn add_drops(&mut self, stat: Stat, asked_ns: i64, summary: &mut Summary) {
        let before_ns = std::mem::replace(&mut self.counted_ns, asked_ns);
        let before = self.counted.replace(stat);
        let since = |count: fn(&Stat) -> u32| {
            let before = before.as_ref().map_or(0, count);
            u64::from(count(&stat).wrapping_sub(before))
        };
        let drops = since(|stat| stat.dropped) + since(|stat| stat.if_dropped);
        summary.add_drops(drops);
        if drops == 0 {
            return;
        }
        summary.placed_drops = summary.placed_drops.saturating_add(drops);
        // The kernel was still counting while it answered.
        let until_ns = now_ns();
        match summary.dropped_ns.last_mut() {
            Some(last) if before_ns <= last.1 => last.1 = until_ns,
            _ => summary.dropped_ns.push((before_ns, until_ns)),
        }
    }
}

/// Whether libpcap only says that nothing has come. Of netfilter's log it reports that as the failure
/// that a socket which does not block reports.
fn has_nothing_yet(error: &pcap::Error) -> bool {
    match error {
        pcap::Error::TimeoutExpired => true,
        pcap::Error::PcapError(why) => why.ends_with("Resource temporarily unavailable"),
        _ => false,
    }
}

/// libpcap puts nanoseconds where the type says microseconds, if asked to.
#[allow(
    clippy::useless_conversion,
    reason = "the members are narrower on other systems"
)]
fn time_ns(header: &pcap::PacketHeader, resolution_ns: u64) -> i64 {
    let unit_ns = resolution_ns.cast_signed();
    i64::from(header.ts.tv_sec) * 1_000_000_000 + i64::from(header.ts.tv_usec) * unit_ns
}
