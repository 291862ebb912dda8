//! A trace as it runs: probes out, answers in, until the plan has no more questions.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use super::{
    Refusals,
    datagram::{CONTROL_FLOWS, MARKS, Mark, Template},
    exchange::Exchanges,
    plan::{Limits, Plan, Progress, Step},
    verdict,
};
use crate::{
    findings::trace::{Trace, TraceReason, TraceWarning},
    probe::{Error, Interrupt, IpOptions, Tracer},
    source::now_ns,
};

/// The largest first source port: all that probes use must lie above it.
pub const LARGEST_SOURCE_PORT: u16 = u16::MAX - CONTROL_FLOWS - MARKS;

/// Where nothing is due, answers are waited for so long before the plan is asked again.
const LOOK: Duration = Duration::from_millis(20);

/// What to trace, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to.
    pub destination: SocketAddr,
    /// Protocol numbers; the control is sent in any case.
    pub numbers: Vec<u8>,
    /// Most probes of a number for a hop.
    pub count: u32,
    /// The largest TTL that draws the path, 1 to 63.
    pub max_hops: u8,
    /// Every number to every hop, in place of looking for the one at which it disappears.
    pub all_hops: bool,
    /// Between two probes.
    pub interval: Duration,
    /// How long an answer may take.
    pub wait: Duration,
    /// Source address; the system's choice if there is none.
    pub source: Option<IpAddr>,
    /// The first source port, up to [`LARGEST_SOURCE_PORT`].
    pub source_port: u16,
    /// Differentiated services code point, 0 to 63.
    pub dscp: u8,
    /// What is behind HDP's header.
    pub payload: Vec<u8>,
}

impl Options {
    fn limits(&self) -> Limits {
        Limits {
            numbers: self.numbers.clone(),
            count: self.count.into(),
            max_hops: self.max_hops,
            all_hops: self.all_hops,
            interval: self.interval,
            wait: self.wait,
        }
    }

    /// How long it takes at most, where hops answer as fast as they are asked.
    #[must_use]
    pub fn at_most(&self) -> Duration {
        Plan::at_most(&self.limits())
    }
}

/// A trace with its sockets open.
#[derive(Debug)]
pub struct Run {
    options: Options,
    tracer: Tracer,
}

impl Run {
    /// Opens the sockets; nothing is sent yet.
    ///
    /// # Errors
    /// Those of [`Tracer::open`].
    pub fn open(options: Options, interrupt: &Interrupt) -> Result<Self, Error> {
        let ip = IpOptions {
            source: options.source,
            ..IpOptions::default()
        };
        let ports = options.source_port..options.source_port + CONTROL_FLOWS;
        let tracer = Tracer::open(options.destination, &options.numbers, &ip, ports, interrupt)?;
        Ok(Self { options, tracer })
    }

    /// Where probes come from.
    #[must_use]
    pub fn source(&self) -> IpAddr {
        self.tracer.source()
    }

    /// Sends and listens until all is known that can be, or until interrupted, which is said in the
    /// findings. Tells `packet` of every datagram that was sent or received, at a time in ns since the
    /// epoch, and `progress` how far the work is.
    ///
    /// # Errors
    /// Those of the sockets, and what `packet` returns, which ends the run.
    pub fn run(
        mut self,
        interrupt: &Interrupt,
        mut packet: impl FnMut(i64, &[u8]) -> io::Result<()>,
        mut progress: impl FnMut(&Progress),
    ) -> io::Result<Trace> {
        let ends = (self.tracer.source(), self.options.destination.ip());
        let template = Template {
            source: ends.0,
            destination: ends.1,
            dscp: self.options.dscp,
            payload: std::mem::take(&mut self.options.payload),
            source_port: self.options.source_port,
        };
        let mut plan = Plan::new(self.options.limits(), ends, fastrand::Rng::new());
        let mut exchanges = Exchanges::default();
        let mut refusals = Refusals::new();
        let mut datagram = Vec::new();
        let mut sequence = 0;
        let mut done: Option<Instant> = None;
        loop {
            let timeout = match plan.next(&exchanges, now_ns()) {
                _ if interrupt.is_set() => break,
                Step::Send {
                    carrier,
                    protocol,
                    ttl,
                } => {
                    done = None;
                    let sent_ns = now_ns();
                    let mark = Mark {
                        carrier,
                        protocol,
                        ttl,
                        sequence,
                        timestamp_ns: sent_ns.cast_unsigned(),
                    };
                    sequence += 1;
                    template.write(&mark, &mut datagram);
                    match self.tracer.send(&datagram) {
                        Ok(()) => {
                            exchanges.take(sent_ns, &datagram);
                            packet(sent_ns, &datagram)?;
                        }
                        Err(refused) => {
                            let reason = TraceReason::SenderRefused {
                                call: refused.call.name().to_owned(),
                                errno: refused.errno(),
                                name: refused.symbol().to_string(),
                                count: 1,
                            };
                            refusals.insert((carrier, protocol), reason);
                            plan.refuse(carrier, protocol);
                        }
                    }
                    self.options.interval
                }
                Step::Wait => LOOK,
                Step::Done => {
                    // What was given up may still be answered.
                    let since = *done.get_or_insert_with(Instant::now);
                    if since.elapsed() >= self.options.wait || exchanges.are_all_answered(ends) {
                        break;
                    }
                    LOOK
                }
            };
            progress(&plan.progress);
            let until = Instant::now() + timeout;
            loop {
                let left = until.saturating_duration_since(Instant::now());
                self.tracer.receive(left, |time_ns, bytes| {
                    exchanges.take(time_ns, bytes);
                    packet(time_ns, bytes)
                })?;
                if left.is_zero() || interrupt.is_set() {
                    break;
                }
            }
        }
        let warnings = interrupt.is_set().then_some(TraceWarning::Interrupted);
        let warnings = warnings.into_iter().collect();
        Ok(verdict::judge(&exchanges, ends, &refusals, warnings))
    }
}
