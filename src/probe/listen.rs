//! The article's server: what an application on this host is given, a raw socket for each number.
//!
//! Linux gives every raw socket of a number a copy of each datagram under it, reassembled, before
//! the number's own protocol sees it: HDP arrives under TCP's, UDP's and ICMP's numbers too.
//! Measured on Linux 6.18: over IPv4 and IPv6 each of 1-255 is handed over, 0 is not
//! (`EPROTONOSUPPORT`), and a socket for 256 to 262 opens but is never given anything. Over IPv6 the
//! header is not handed over; it is rebuilt here from what the socket tells beside the payload,
//! with a flow label of 0.
//!
//! The control is taken from the raw socket of UDP's number too: so its header is known, and
//! nothing but `CAP_NET_RAW` is needed. A UDP socket that is never read only keeps the system from
//! answering it with "port unreachable".

mod answer;

use std::{io, net::SocketAddr, ops::ControlFlow, time::Duration};

use nix::{
    errno::Errno,
    sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
};
use socket2::{Protocol, Socket, Type};

use super::{
    Error, Interrupt, Refused,
    ear::{Arrival, Buffers, Ear, domain},
    send::UDP,
    socket::{allow_many, call, unspecified},
};
use crate::{
    decode::{Datagram, Decoder, HeaderView},
    hdp::{self, Header},
    log::{
        Call, Direction, Drops, ListenEnd, ListenStart, Origin, Prefix, ReceivedPacket, Unavailable,
    },
    protocols::{Carrier, List},
    source::{Frame, LinkType, now_ns},
};

/// Datagrams that are taken from one socket before the next one has its turn.
const BATCH: usize = 64;

/// Sockets that are looked at in one round.
const READY: usize = 64;

/// The token of [`Interrupt`] among the sockets' indices.
const INTERRUPT: u64 = u64::MAX;

/// What to listen to.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Numbers; the control is listened to in any case.
    pub protocols: List,
    /// Over which versions of IP: 4, 6.
    pub versions: Vec<u8>,
    /// How far a timestamp may lie from the time of receiving to be taken for HDP's, ns.
    pub window_ns: u64,
    /// Whether to answer; see [`Listener::receive`].
    pub answer: bool,
}

/// Raw sockets that are listened to.
#[derive(Debug)]
pub struct Listener {
    subject: Subject,
    origin: Origin,
    ears: Vec<Ear>,
    unavailable: Vec<Unavailable>,
    /// Hold UDP's port, so that the system does not answer controls.
    quiet: Vec<Result<Socket, Refused>>,
    epoll: Epoll,
    decoder: Decoder,
    buffers: Buffers,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    received: u64,
    not_hdp: u64,
    answered: u64,
    unanswered: u64,
}

/// An HDP packet that was received, or the answer to one.
#[derive(Debug)]
pub struct Event<'a> {
    /// The log's line.
    pub record: ReceivedPacket,
    /// What was received; `None` of an answer.
    pub received: Option<Received<'a>>,
}

/// The bytes of a packet that was received.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// The IP datagram with its header.
    pub datagram: &'a [u8],
    /// Where in it HDP begins.
    pub hdp_at: usize,
}

/// What a look at the sockets came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// Nothing was waiting.
    Nothing,
    /// There was something, and there may be more.
    Something,
    /// The caller has enough.
    Enough,
}

impl Listener {
    /// Opens a socket for each number and version. Those that the system does not hand over are
    /// in [`Listener::start`].
    ///
    /// # Errors
    /// [`Error::NotPermitted`] when no socket opened for want of permission;
    /// [`Error::NothingToHear`] when none opened for another reason; [`Error::System`] when the
    /// sockets cannot be watched.
    pub fn open(subject: Subject, interrupt: &Interrupt) -> Result<Self, Error> {
        allow_many();
        let mut opened = Vec::new();
        for &version in &subject.versions {
            for protocol in 0..=u8::MAX {
                if protocol == UDP || subject.protocols.contains(protocol.into()) {
                    opened.push((version, protocol, Ear::open(version, protocol)));
                }
            }
        }
        Error::check_permission(opened.iter().map(|(.., ear)| ear))?;
        let mut ears = Vec::new();
        let mut unavailable = Vec::new();
        for (version, protocol, ear) in opened {
            match ear {
                Ok(ear) => ears.push(ear),
                Err(refused) if subject.protocols.contains(protocol.into()) => {
                    unavailable.push(Unavailable {
                        version,
                        protocol: protocol.into(),
                        call: refused.call,
                        errno: refused.errno(),
                        name: refused.symbol(),
                    });
                }
                Err(_) => {}
            }
        }
        if ears.is_empty() {
            return Err(Error::NothingToHear);
        }
        let quiet = subject.versions.iter().map(|&v| quiet(v)).collect();
        Ok(Self {
            epoll: watch(&ears, interrupt).map_err(|errno| Error::System(errno.into()))?,
            origin: Origin::here(now_ns()),
            decoder: Decoder::new(subject.window_ns),
            subject,
            ears,
            unavailable,
            quiet,
            buffers: Buffers::default(),
            counts: Counts::default(),
        })
    }

    /// The log's first line.
    #[must_use]
    pub fn start(&self) -> ListenStart {
        ListenStart {
            origin: self.origin.clone(),
            protocols: self.subject.protocols.iter().collect(),
            versions: self.subject.versions.clone(),
            unavailable: self.unavailable.clone(),
        }
    }

    /// Why this system may answer each control with "port unreachable", if it does: UDP's port
    /// could not be taken.
    #[must_use]
    pub fn port_refused(&self) -> Option<Refused> {
        self.quiet
            .iter()
            .find_map(|quiet| quiet.as_ref().err())
            .copied()
    }

    /// HDP packets that were to be answered and were not: they had no payload, came from or went to
    /// several hosts at once, or the system did not take the answer.
    #[must_use]
    pub fn unanswered(&self) -> u64 {
        self.counts.unanswered
    }

    /// Waits for datagrams up to `timeout` or until interrupted, takes some that are there, and
    /// tells `each` of every HDP packet among them.
    ///
    /// If the subject asks for answers, each is followed by its own: HDP under the same number,
    /// addresses and ports exchanged, with a new timestamp. **An answer has no payload, and what
    /// has no payload is not answered**: so no answer is ever answered, by whatever listener and
    /// over whatever way it comes, and an answer is always shorter than what it answers.
    ///
    /// # Errors
    /// Those of `epoll_wait(2)` and `recvmsg(2)`, and what `each` returns, which ends the round.
    pub fn receive(
        &mut self,
        timeout: Duration,
        mut each: impl FnMut(Event) -> io::Result<ControlFlow<()>>,
    ) -> io::Result<Round> {
        let mut ready = [EpollEvent::empty(); READY];
        let timeout = EpollTimeout::try_from(timeout).unwrap_or(EpollTimeout::MAX);
        let count = match self.epoll.wait(&mut ready, timeout) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        let mut round = Round::Nothing;
        let indices = ready[..count]
            .iter()
            .filter(|event| event.data() != INTERRUPT)
            .filter_map(|event| usize::try_from(event.data()).ok());
        for index in indices {
            for _ in 0..BATCH {
                match self.take(index, &mut each)? {
                    Round::Nothing => break,
                    Round::Something => round = Round::Something,
                    Round::Enough => return Ok(Round::Enough),
                }
            }
        }
        Ok(round)
    }

    /// The log's last line.
    #[must_use]
    pub fn end(&self) -> ListenEnd {
        let drops = self.ears.iter().map(|ear| {
            Some(Drops {
                version: ear.version,
                protocol: ear.protocol,
                count: ear.drops()?,
            })
        });
        let drops: Option<Vec<_>> = drops.collect();
        let total = |drops: &Vec<Drops>| drops.iter().map(|drops| drops.count).sum();
        ListenEnd {
            ended_ns: now_ns(),
            received: self.counts.received,
            not_hdp: self.counts.not_hdp,
            answered: self.counts.answered,
            capture_drops: drops.as_ref().map(total),
            drops: drops
                .into_iter()
                .flatten()
                .filter(|drops| drops.count > 0)
                .collect(),
        }
    }

    /// Takes one datagram from a socket.
    fn take(
        &mut self,
        index: usize,
        each: &mut impl FnMut(Event) -> io::Result<ControlFlow<()>>,
    ) -> io::Result<Round> {
        let ear = &mut self.ears[index];
        let Some(arrival) = ear.receive(&mut self.buffers)? else {
            return Ok(Round::Nothing);
        };
        let decoded = self.decoder.decode(&frame(&arrival)).ok();
        let bare = self.subject.protocols.contains(ear.protocol.into());
        let Some((datagram, header)) = decoded.and_then(|datagram| own(datagram, ear, bare)) else {
            self.counts.not_hdp += 1;
            return Ok(Round::Something);
        };
        self.counts.received += 1;
        let hdp_at = arrival.bytes.len() - datagram.payload.len() - Header::LEN;
        let event = Event {
            record: record(&arrival, &datagram, &header, ear.tell_drops(&arrival)),
            received: Some(Received {
                datagram: arrival.bytes,
                hdp_at,
            }),
        };
        if each(event)?.is_break() {
            return Ok(Round::Enough);
        }
        if !self.subject.answer {
            return Ok(Round::Something);
        }
        let Ok(record) = answer::answer(ear, &arrival, &datagram, &header, hdp_at) else {
            self.counts.unanswered += 1;
            return Ok(Round::Something);
        };
        self.counts.answered += 1;
        let event = Event {
            record,
            received: None,
        };
        Ok(match each(event)? {
            ControlFlow::Continue(()) => Round::Something,
            ControlFlow::Break(()) => Round::Enough,
        })
    }
}

/// The datagram as the decoder takes it.
fn frame<'a>(arrival: &Arrival<'a>) -> Frame<'a> {
    Frame {
        number: 0,
        time_ns: Some(arrival.time_ns),
        link_type: LinkType::RAW,
        interface: 0,
        direction: None,
        original_len: u32::try_from(arrival.bytes.len()).unwrap_or(u32::MAX),
        bytes: arrival.bytes,
    }
}

/// The packet, if it is HDP under the socket's own number and not further inside, and straight on
/// IP only if that is listened to.
fn own<'a>(datagram: Datagram<'a>, ear: &Ear, bare: bool) -> Option<(Datagram<'a>, Header)> {
    let HeaderView::Whole(header) = datagram.header else {
        return None;
    };
    let is_own = datagram.quote.is_none()
        && datagram.encapsulation.is_empty()
        && datagram.protocol == ear.protocol
        && (bare || datagram.carrier == Carrier::Udp);
    is_own.then_some((datagram, header))
}

fn record(arrival: &Arrival, datagram: &Datagram, header: &Header, drops: u32) -> ReceivedPacket {
    ReceivedPacket {
        direction: Direction::In,
        time_ns: arrival.time_ns,
        protocol: datagram.protocol,
        carrier: datagram.carrier,
        src: datagram.source,
        dst: datagram.destination,
        ttl: Some(datagram.ttl),
        dscp: Some(datagram.dscp),
        ecn: Some(datagram.ecn),
        ip_id: datagram.ip_id,
        srcport: header.source_port,
        dstport: header.destination_port,
        timestamp_ns: header.timestamp_ns,
        payload_len: datagram.payload_len,
        byte_sum: u32::try_from(arrival.bytes.len()).unwrap_or(u32::MAX),
        payload: Prefix::of(datagram.payload),
        drops,
    }
}

/// Watches the sockets, each known by its index, and the interrupt.
fn watch(ears: &[Ear], interrupt: &Interrupt) -> nix::Result<Epoll> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(interrupt, EpollEvent::new(EpollFlags::EPOLLIN, INTERRUPT))?;
    for (index, ear) in (0..).zip(ears) {
        epoll.add(ear, EpollEvent::new(EpollFlags::EPOLLIN, index))?;
    }
    Ok(epoll)
}

/// A UDP socket on HDP's port that nobody reads: what comes is dropped at its smallest buffer.
fn quiet(version: u8) -> Result<Socket, Refused> {
    let domain = domain(version);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP));
    let socket = call(Call::Socket, socket)?;
    let ask = || {
        if version == 6 {
            socket.set_only_v6(true)?;
        }
        socket.set_recv_buffer_size(0)
    };
    call(Call::SetSockOpt, ask())?;
    let address = SocketAddr::from((unspecified(domain), hdp::PORT));
    call(Call::Bind, socket.bind(&address.into()))?;
    Ok(socket)
}
