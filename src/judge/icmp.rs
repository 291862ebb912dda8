//! ICMP errors as witnesses: each quotes a packet that somebody refused.
//!
//! An error crosses several points on its way back, and a capture on all interfaces shows it at
//! several places of one host. Quotes of the whole header are told apart by the timestamp. Those of
//! 8 bytes (RFC 792) hold its upper half, 4.29 s, and no more: how many errors there were is then
//! the largest number that any one place saw, for no place can see more than there are.
//!
//! The module promises never to call more packets answered than there are errors. That nobody
//! answered is never evidence: hosts limit the rate of their errors (RFC 1812, section 4.3.2.8).

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::order;
use crate::{
    correlate::{Journey, Relations, Spans, Way},
    decode::{HeaderView, PacketType, icmp_meaning},
    findings::{IcmpEvidence, PointKind, Quoted, RoundTrip, Side},
    keyed::{KeyedMap, KeyedSet},
    observe::{Flow, IcmpSighting, Point, Sighting, Stage},
    protocols::Carrier,
};

/// Who sent an error, in which ICMP (4 or 6), of which type and code.
pub(super) type Answer = (IpAddr, u8, u8, u8);

/// What an error is about: a number that went one way.
type Subject = (Way, Carrier, u8);

/// HDP's ports.
type Ports = (u16, u16);

/// Of the hosts that quote the same half of a timestamp with the same ports, so many may be about a
/// packet. Errors of more are counted, and answer none: with so many nothing tells which is whose.
const MOST_ABOUT_ONE: usize = 64;

/// Whether an error says that its packet went no further. After a redirect it was forwarded all
/// the same, and a source quench is sent for packets that were forwarded too (RFC 6633).
fn is_refusal((_, version, icmp_type, _): Answer) -> bool {
    !matches!((version, icmp_type), (4, 4 | 5))
}

/// All errors, each once however many points saw it.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    accounts: Vec<Account>,
    /// The accounts of each number, by rising answer.
    of_subject: KeyedMap<Subject, Vec<usize>>,
    /// Timestamps that refusals quote whole.
    quoted: KeyedSet<(Subject, u64)>,
    /// Refusals that quote them, by HDP's ports where the error was seen.
    whole: KeyedMap<(Subject, u64, Ports), Wholes>,
    /// Upper halves of timestamps that refusals quote.
    quoted_halves: KeyedSet<(Subject, u32)>,
    /// Refusals that quote them, by HDP's ports where the errors were seen, as indices into `halves`.
    of_half: KeyedMap<(Subject, u32, Ports), Vec<usize>>,
    halves: Vec<Halves>,
    /// What errors with one half, the same ports and seen at the same point may be about.
    groups: Vec<Group>,
    /// Lost packets that such a refusal may be about, counted.
    candidates: usize,
    /// Timestamps that the very host quotes which the packets were for: they arrived there.
    arrived: KeyedSet<(Subject, u64)>,
}

/// All errors of one kind from one host about one number.
#[derive(Debug)]
struct Account {
    answer: Answer,
    count: u64,
    /// How the packets looked to that host; what differs among them is unknown.
    quoted: Quoted,
    /// For each point, whether it saw any of them.
    seen_at: Vec<bool>,
    /// From the packet's departure at the sender's capture to the error's arrival there.
    rtts_ns: Spans,
    answered: u64,
}

/// Errors that quote one whole timestamp with the same ports, each about a packet of its own.
#[derive(Debug, Default)]
struct Wholes {
    all: Vec<Whole>,
    /// So many of them have their packets.
    spent: usize,
    /// Who says first that a TTL ran out.
    expiry: Option<IpAddr>,
}

/// An error that quotes a whole timestamp.
#[derive(Debug, Clone, Copy)]
struct Whole {
    account: usize,
    /// The sender's capture, and when the first came by there.
    arrival: Option<(usize, i64)>,
    /// The farthest position along the way at which one was seen.
    farthest: usize,
}

/// Errors that quote one upper half of a timestamp, as the place saw them that saw most.
#[derive(Debug)]
struct Halves {
    account: usize,
    group: usize,
    /// Times and quoted IP IDs, by rising time.
    errors: Vec<(i64, Option<u16>)>,
    /// When the last one came that quotes an IP ID.
    last_of_id: BTreeMap<u16, i64>,
}

/// Lost packets with the same upper half of a timestamp and the same ports, as one point saw them.
#[derive(Debug)]
struct Group {
    ports: Ports,
    point: usize,
    is_senders: bool,
    candidates: Vec<Candidate>,
    /// Those that have no error yet, as positions by rising time, and by IP ID; some have got one in
    /// another group since.
    free: BTreeSet<usize>,
    by_id: BTreeSet<(u16, usize)>,
}

impl Group {
    /// Ready to give candidates to errors.
    fn index(&mut self) {
        self.candidates.sort_by_key(|candidate| candidate.time_ns);
        self.free = (0..self.candidates.len()).collect();
        let positions = self.candidates.iter().enumerate();
        self.by_id = positions
            .map(|(at, candidate)| (candidate.ip_id, at))
            .collect();
    }

    /// The candidate that an error of a time is about, and whether its IP ID says so; it is free no more.
    fn take(
        &mut self,
        time_ns: i64,
        ip_id: Option<u16>,
        is_taken: &[bool],
    ) -> Option<(Candidate, bool)> {
        let before = self
            .candidates
            .partition_point(|candidate| candidate.time_ns <= time_ns);
        loop {
            let same = ip_id.and_then(|id| self.by_id.range((id, 0)..(id, before)).next_back());
            let by_own_id = same.map(|&(_, at)| at);
            let at = by_own_id.or_else(|| self.free.range(..before).next_back().copied())?;
            let candidate = self.candidates[at];
            self.free.remove(&at);
            self.by_id.remove(&(candidate.ip_id, at));
            if !is_taken[candidate.id] {
                return Some((candidate, by_own_id.is_some()));
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    id: usize,
    /// The tally that counted the packet.
    tally: usize,
    /// Between which points it was lost.
    lost_at: (usize, usize),
    time_ns: i64,
    ip_id: u16,
}

/// What a quote of 8 bytes holds of a packet's timestamp.
fn upper_half(journey: &Journey) -> u32 {
    (journey.timestamp_ns >> 32) as u32
}

/// A lost packet that an error is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    pub(super) answer: Answer,
    /// The farthest position along the way at which the error was seen: the packet came beyond it.
    pub(super) farthest: usize,
}

/// A lost packet that one of several errors is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settled {
    pub(super) tally: usize,
    pub(super) lost_at: (usize, usize),
    pub(super) answer: Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Timestamp {
    Whole(u64),
    UpperHalf(u32),
}

/// An error at one place of one point.
#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    subject: Subject,
    answer: Answer,
    timestamp: Timestamp,
    ports: (u16, u16),
    /// Position of the point along the way.
    position: usize,
    point: usize,
    stage: Stage,
    error: &'a IcmpSighting,
}

impl Entry<'_> {
    /// What the errors have in common that quote the same part of a timestamp.
    fn key(&self) -> (Subject, Answer, Timestamp) {
        (self.subject, self.answer, self.timestamp)
    }

    fn place(&self) -> (usize, Stage) {
        (self.position, self.stage)
    }
}

impl Evidence {
    pub(super) fn collect(points: &[Point], relations: &Relations) -> Self {
        let mut entries = entries(points, relations);
        entries.sort_by_key(|entry| (entry.key(), entry.place(), entry.error.time_ns));
        let mut evidence = Self::default();
        let of_account = |a: &Entry, b: &Entry| (a.subject, a.answer) == (b.subject, b.answer);
        let mut sent: Option<(Subject, Option<u8>)> = None;
        for same in entries.chunk_by(of_account) {
            let subject = same[0].subject;
            let ttl = match sent {
                Some((known, ttl)) if known == subject => ttl,
                _ => ttl_at_sender(points, relations, subject),
            };
            sent = Some((subject, ttl));
            evidence.open(points, ttl, same);
        }
        evidence
    }

    /// Takes in all errors of one kind from one host about one number, all of whose packets left with
    /// this TTL, if they had one.
    fn open(&mut self, points: &[Point], sent_ttl: Option<u8>, errors: &[Entry]) {
        let (subject, answer, _) = errors[0].key();
        let index = self.accounts.len();
        let mut seen_at = vec![false; points.len()];
        let mut count = 0;
        let mut quoted: Option<Quoted> = None;
        for same in errors.chunk_by(|a, b| a.timestamp == b.timestamp) {
            for error in same {
                seen_at[error.point] = true;
            }
            // Nearest to who quotes it, where nothing has translated it back yet.
            if let Some(nearest) = same.iter().max_by_key(|error| error.position) {
                let own = quote(nearest.error);
                quoted = Some(match quoted {
                    Some(all) => common(all, &own),
                    None => own,
                });
            }
            count += match same[0].timestamp {
                Timestamp::Whole(timestamp_ns) => {
                    self.note_whole(points, (subject, timestamp_ns), index, same)
                }
                Timestamp::UpperHalf(high) => {
                    self.note_halves(points, (subject, high), index, same)
                }
            };
        }
        let mut quoted = quoted.unwrap_or_default();
        quoted.hops = quoted.ttl.and_then(|ttl| sent_ttl?.checked_sub(ttl));
        self.accounts.push(Account {
            answer,
            count,
            quoted,
            seen_at,
            rtts_ns: Spans::default(),
            answered: 0,
        });
        self.of_subject.entry(subject).or_default().push(index);
    }

    /// Errors that quote the same timestamp: as many as packets with other ports were quoted at
    /// one place.
    fn note_whole(
        &mut self,
        points: &[Point],
        key: (Subject, u64),
        account: usize,
        errors: &[Entry],
    ) -> u64 {
        let places = errors.chunk_by(|a, b| a.place() == b.place());
        let ports = |place: &[Entry]| place.iter().map(|e| e.ports).collect::<BTreeSet<_>>();
        let most = places.map(ports).max_by_key(BTreeSet::len);
        let most = most.unwrap_or_default();
        if errors
            .iter()
            .any(|e| e.error.quote.by == e.error.destination)
        {
            self.arrived.insert(key);
        }
        if is_refusal(errors[0].answer) {
            let sender = senders_capture(points, key.0.0);
            let farthest = errors.iter().map(|error| error.position).max();
            let mut arrivals: BTreeMap<Ports, (usize, i64)> = BTreeMap::new();
            for error in errors.iter().filter(|e| Some(e.point) == sender) {
                if let Some(time_ns) = error.error.time_ns {
                    let first = arrivals
                        .entry(error.ports)
                        .or_insert((error.point, time_ns));
                    first.1 = first.1.min(time_ns);
                }
            }
            self.quoted.insert(key);
            for ports in &most {
                let same = self.whole.entry((key.0, key.1, *ports)).or_default();
                same.expiry = same.expiry.or_else(|| expiry(errors[0].answer));
                same.all.push(Whole {
                    account,
                    arrival: arrivals.get(ports).copied(),
                    farthest: farthest.unwrap_or_default(),
                });
            }
        }
        most.len() as u64
    }

    /// Errors that quote the same half of a timestamp: as many as one place saw. Such that quote
    /// the same IP ID there are copies.
    fn note_halves(
        &mut self,
        points: &[Point],
        key: (Subject, u32),
        account: usize,
        errors: &[Entry],
    ) -> u64 {
        let places = errors.chunk_by(|a, b| a.place() == b.place());
        // Of equal ones the first along the way: what was lost was seen there, if anywhere.
        let most = places.map(without_copies).rev().max_by_key(Vec::len);
        let most = most.unwrap_or_default();
        let count = most.len() as u64;
        // A host answers packets that were sent to itself when they have arrived: such an error
        // need not be about one that was lost.
        let by_others = |error: &&Entry| error.error.quote.by != error.error.destination;
        let of_lost: Vec<&Entry> = most.into_iter().filter(by_others).collect();
        let mut by_ports: BTreeMap<Ports, Vec<(i64, Option<u16>)>> = BTreeMap::new();
        for error in &of_lost {
            let of_ports = by_ports.entry(error.ports).or_default();
            of_ports.extend(
                error
                    .error
                    .time_ns
                    .map(|time_ns| (time_ns, error.error.ip_id)),
            );
        }
        if is_refusal(errors[0].answer) {
            for (ports, mut errors) in by_ports {
                let point = of_lost[0].point;
                errors.sort_unstable();
                self.quoted_halves.insert(key);
                let alike = self.of_half.entry((key.0, key.1, ports)).or_default();
                if alike.len() == MOST_ABOUT_ONE {
                    continue;
                }
                let mut groups = alike.iter().map(|&half| self.halves[half].group);
                let group = groups.find(|&group| self.groups[group].point == point);
                let group = group.unwrap_or_else(|| {
                    self.groups.push(Group {
                        ports,
                        point,
                        is_senders: senders_capture(points, key.0.0) == Some(point),
                        candidates: Vec::new(),
                        free: BTreeSet::new(),
                        by_id: BTreeSet::new(),
                    });
                    self.groups.len() - 1
                });
                alike.push(self.halves.len());
                let of_id = errors
                    .iter()
                    .filter_map(|&(time_ns, id)| Some((id?, time_ns)));
                self.halves.push(Halves {
                    account,
                    group,
                    last_of_id: of_id.collect(),
                    errors,
                });
            }
        }
        count
    }

    /// Whether some error may be about a packet.
    pub(super) fn concerns(&self, journey: &Journey, flow: &Flow) -> bool {
        let subject = (journey.way, flow.carrier, flow.protocol);
        let upper_half = (journey.timestamp_ns >> 32) as u32;
        self.quoted.contains(&(subject, journey.timestamp_ns))
            || self.quoted_halves.contains(&(subject, upper_half))
    }

    /// The refusal of a lost packet, if an error quotes its timestamp. Where one may quote its half,
    /// [`Evidence::settle`] tells later.
    #[inline]
    pub(super) fn about(
        &mut self,
        points: &[Point],
        journey: &Journey,
        flow: &Flow,
        (tally, lost_at): (usize, (usize, usize)),
    ) -> Option<Answered> {
        if self.whole.is_empty() && self.of_half.is_empty() {
            return None;
        }
        let subject = (journey.way, flow.carrier, flow.protocol);
        self.whole_about(points, journey, subject).or_else(|| {
            self.note_candidate(points, journey, subject, (tally, lost_at));
            None
        })
    }

    fn whole_about(
        &mut self,
        points: &[Point],
        journey: &Journey,
        subject: Subject,
    ) -> Option<Answered> {
        if !self.quoted.contains(&(subject, journey.timestamp_ns)) {
            return None;
        }
        let keys = ports(points, journey).map(|ports| (subject, journey.timestamp_ns, ports));
        // Of several places the one whose error comes first.
        let first = |key: &(Subject, u64, Ports)| {
            let same = self.whole.get(key)?;
            Some((same.all.get(same.spent)?.account, *key))
        };
        let (_, key) = keys
            .filter_map(|key| first(&key))
            .min_by_key(|(account, _)| *account)?;
        let same = self.whole.get_mut(&key)?;
        let error = same.all[same.spent];
        same.spent += 1;
        let account = &mut self.accounts[error.account];
        account.answered += 1;
        let departure = |point: usize| Some(journey.seen[point]?.sighting.time_ns);
        if let Some((point, arrived_ns)) = error.arrival
            && let Some(left_ns) = departure(point)
            && arrived_ns >= left_ns
        {
            account.rtts_ns.push(arrived_ns - left_ns);
        }
        Some(Answered {
            answer: account.answer,
            farthest: error.farthest,
        })
    }

    fn note_candidate(
        &mut self,
        points: &[Point],
        journey: &Journey,
        subject: Subject,
        (tally, lost_at): (usize, (usize, usize)),
    ) {
        let half = upper_half(journey);
        if !self.quoted_halves.contains(&(subject, half)) {
            return;
        }
        let id = self.candidates;
        for ports in ports(points, journey) {
            let alike = self.of_half.get(&(subject, half, ports));
            for &index in alike.into_iter().flatten() {
                let group = &mut self.groups[self.halves[index].group];
                let is_noted = group.candidates.last().is_some_and(|last| last.id == id);
                let Some(seen) = seen_with(points, journey, group).filter(|_| !is_noted) else {
                    continue;
                };
                self.candidates = id + 1;
                group.candidates.push(Candidate {
                    id,
                    tally,
                    lost_at,
                    time_ns: seen.time_ns,
                    ip_id: seen.ip_id,
                });
            }
        }
    }

    /// Who said that the packet's TTL ran out, if an error quotes its timestamp, or half of it and the
    /// packet's IP ID.
    pub(super) fn expiry(
        &self,
        points: &[Point],
        journey: &Journey,
        flow: &Flow,
    ) -> Option<IpAddr> {
        let subject = (journey.way, flow.carrier, flow.protocol);
        let mut by_whole = ports(points, journey).filter_map(|ports| {
            let same = self.whole.get(&(subject, journey.timestamp_ns, ports));
            same?.expiry
        });
        by_whole.next().or_else(|| {
            let half = upper_half(journey);
            let alike = ports(points, journey)
                .filter_map(|ports| self.of_half.get(&(subject, half, ports)));
            alike.flatten().find_map(|&index| {
                let half = &self.halves[index];
                let group = &self.groups[half.group];
                let seen = seen_with(points, journey, group).filter(|seen| seen.ip_id != 0)?;
                let last_ns = half.last_of_id.get(&seen.ip_id)?;
                expiry(self.accounts[half.account].answer).filter(|_| seen.time_ns <= *last_ns)
            })
        })
    }

    /// Whether the host that the packet was for quotes it: then it passed every capture before.
    #[inline]
    pub(super) fn proves_arrival(&self, journey: &Journey, flow: &Flow) -> bool {
        let subject = (journey.way, flow.carrier, flow.protocol);
        !self.arrived.is_empty() && self.arrived.contains(&(subject, journey.timestamp_ns))
    }

    /// Gives each error that quotes half a timestamp its packet: of the lost ones that it may be
    /// about, the one whose IP ID it quotes, else the nearest that came by before it. Each packet
    /// is answered once, and each error answers one.
    pub(super) fn settle(&mut self) -> Vec<Settled> {
        let mut is_taken = vec![false; self.candidates];
        let mut settled = Vec::new();
        for group in &mut self.groups {
            group.index();
        }
        for half in &self.halves {
            let account = &mut self.accounts[half.account];
            let group = &mut self.groups[half.group];
            for &(time_ns, ip_id) in &half.errors {
                let ip_id = ip_id.filter(|&id| id != 0);
                let Some((packet, by_own_id)) = group.take(time_ns, ip_id, &is_taken) else {
                    continue;
                };
                if by_own_id && group.is_senders {
                    account.rtts_ns.push(time_ns - packet.time_ns);
                }
                is_taken[packet.id] = true;
                account.answered += 1;
                settled.push(Settled {
                    tally: packet.tally,
                    lost_at: packet.lost_at,
                    answer: account.answer,
                });
            }
        }
        settled
    }

    /// The errors about one number, ready for the findings.
    pub(super) fn of(
        &mut self,
        points: &[Point],
        way: Way,
        carrier: Carrier,
        protocol: u8,
    ) -> Vec<IcmpEvidence> {
        let of_subject = self.of_subject.remove(&(way, carrier, protocol));
        let mut finding = |index: usize| {
            let account = &mut self.accounts[index];
            let (from, version, icmp_type, code) = account.answer;
            let seen_at = points.iter().zip(&account.seen_at);
            IcmpEvidence {
                from: from.to_string(),
                icmp_type,
                code,
                meaning: icmp_meaning(version, icmp_type, code).to_owned(),
                count: account.count,
                refuses: is_refusal(account.answer),
                answered: account.answered,
                quoted: account.quoted.clone(),
                rtt_ns: account
                    .rtts_ns
                    .quantiles([0.0, 0.5])
                    .map(|[min, p50]| RoundTrip { min, p50 }),
                seen_at: seen_at
                    .filter(|(_, seen)| **seen)
                    .map(|(point, _)| point.name.clone())
                    .collect(),
            }
        };
        let indices = of_subject.into_iter().flatten();
        indices.map(&mut finding).collect()
    }
}

/// All errors that the points saw.
fn entries<'a>(points: &'a [Point], relations: &Relations) -> Vec<Entry<'a>> {
    let mut entries = Vec::new();
    for (index, point) in points.iter().enumerate() {
        for error in &point.icmp {
            let way = relations
                .way_between(error.source, error.destination)
                .unwrap_or(Way::Forward);
            if point.side.is_some_and(|side| side != side_of(error, way)) {
                continue;
            }
            let quote = &error.quote;
            entries.push(Entry {
                subject: (way, error.carrier, error.protocol),
                answer: (quote.by, quote.version, quote.icmp_type, quote.code),
                timestamp: match error.header {
                    HeaderView::Whole(header) => Timestamp::Whole(header.timestamp_ns),
                    HeaderView::UpperHalf { timestamp_high, .. } => {
                        Timestamp::UpperHalf(timestamp_high)
                    }
                },
                ports: error.header.ports(),
                position: match way {
                    Way::Forward => index,
                    Way::Reverse => points.len() - 1 - index,
                },
                point: index,
                stage: error.stage,
                error,
            });
        }
    }
    entries
}

/// The side of a forwarding host on which an error was seen that goes back along a way; both sides
/// know of all that the host's capture shows. What the host sends itself leaves it only.
fn side_of(error: &IcmpSighting, way: Way) -> Side {
    let has_come_in = error
        .stage
        .packet_type
        .is_some_and(|packet_type| packet_type != PacketType::Outgoing);
    match (way, has_come_in) {
        (Way::Forward, false) | (Way::Reverse, true) => Side::In,
        (Way::Forward, true) | (Way::Reverse, false) => Side::Out,
    }
}

/// Errors at one place, by rising time, without such as quote an IP ID that another quotes too.
fn without_copies<'e, 'a>(place: &'e [Entry<'a>]) -> Vec<&'e Entry<'a>> {
    let mut ids = BTreeSet::new();
    let is_first = |error: &&Entry| match error.error.ip_id {
        // Senders of unfragmented packets may leave it empty (RFC 6864).
        None | Some(0) => true,
        Some(id) => ids.insert((error.ports, id)),
    };
    place.iter().filter(is_first).collect()
}

/// How an error's packet looked to who quotes it.
fn quote(error: &IcmpSighting) -> Quoted {
    Quoted {
        ttl: Some(error.ttl),
        hops: None,
        source: Some(error.source.to_string()),
        destination: Some(error.destination.to_string()),
        dscp: Some(error.dscp),
        ecn: Some(error.ecn),
    }
}

/// What two have in common.
fn common(a: Quoted, b: &Quoted) -> Quoted {
    fn same<T: PartialEq>(a: Option<T>, b: Option<&T>) -> Option<T> {
        a.filter(|a| Some(a) == b)
    }
    Quoted {
        ttl: same(a.ttl, b.ttl.as_ref()),
        hops: None,
        source: same(a.source, b.source.as_ref()),
        destination: same(a.destination, b.destination.as_ref()),
        dscp: same(a.dscp, b.dscp.as_ref()),
        ecn: same(a.ecn, b.ecn.as_ref()),
    }
}

/// The first capture along the way: errors come back there after the whole way.
fn senders_capture(points: &[Point], way: Way) -> Option<usize> {
    let is_capture = |&point: &usize| points[point].kind == PointKind::Capture;
    // What stands behind another capture is not the sender's.
    order(points.len(), way).find(is_capture)
}

/// The TTL with which all packets of a number passed the sender's capture.
fn ttl_at_sender(
    points: &[Point],
    relations: &Relations,
    (way, carrier, protocol): Subject,
) -> Option<u8> {
    let sender = senders_capture(points, way)?;
    let flows = points[sender].flows.iter().zip(0..);
    let mut ttls = flows
        .filter(|(entry, index)| {
            (entry.flow.carrier, entry.flow.protocol) == (carrier, protocol)
                && relations.way(sender, *index) == way
        })
        .map(|(entry, _)| entry.flow.ttl);
    let ttl = ttls.next()?;
    ttls.all(|other| other == ttl).then_some(ttl)
}

/// The ports that a packet had at the points that saw it, each once.
fn ports(points: &[Point], journey: &Journey) -> impl Iterator<Item = Ports> + use<> {
    let at = journey.stations().map(|station| {
        let flow = points[station.point].flow(station.seen.sighting);
        (flow.source_port, flow.destination_port)
    });
    at.collect::<BTreeSet<Ports>>().into_iter()
}

/// The sighting of a packet at the point that saw errors, if its ports were theirs there.
fn seen_with<'a>(points: &[Point], journey: &Journey<'a>, group: &Group) -> Option<&'a Sighting> {
    let seen = journey.seen[group.point]?.sighting;
    let flow = points[group.point].flow(seen);
    ((flow.source_port, flow.destination_port) == group.ports).then_some(seen)
}

/// Who says by an error that a TTL ran out.
fn expiry((from, version, icmp_type, code): Answer) -> Option<IpAddr> {
    matches!((version, icmp_type, code), (4, 11, 0) | (6, 3, 0)).then_some(from)
}
