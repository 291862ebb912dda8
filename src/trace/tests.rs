//! Traces over made-up paths: real bytes, a clock that costs nothing, and routers that do what real ones
//! are known to do. The real thing is traced in `tests/trace.rs`.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use etherparse::{IpNumber, Ipv4Header};

use super::{
    Refusals,
    datagram::{Mark, Template},
    exchange::Exchanges,
    packet::Packet,
    plan::{Limits, Plan, Step},
    verdict,
};
use crate::{
    findings::{
        Carrier, Grade,
        trace::{Trace, TraceRule, TraceVerdict, TraceWarning, TracedProtocol},
    },
    protocols,
};

const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const DESTINATION: Ipv4Addr = Ipv4Addr::new(10, 77, 99, 2);
const START_NS: i64 = 1_790_000_000_000_000_000;
const HOP_NS: i64 = 2_000_000;

/// A router, or a box that takes itself for one.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a habit")]
struct Router {
    /// Never says that a TTL ran out.
    silent: bool,
    /// Answers so many a second, and as many at once.
    limit: Option<f64>,
    tokens: f64,
    refilled_ns: i64,
    /// Drops these before it looks at the TTL.
    drops_in: Vec<u8>,
    /// Drops these behind that.
    drops_out: Vec<u8>,
    /// Refuses these with ICMP 3/13 where it would forward them.
    refuses: Vec<u8>,
    /// Loses so many of a thousand of whatever comes.
    loss: u16,
    /// Answers under another address for odd source ports.
    twin: bool,
    /// The twin is silent.
    twin_silent: bool,
    /// Clears the DSCP of what it forwards.
    bleaches: bool,
    /// Gives what it forwards this TTL.
    new_ttl: Option<u8>,
    /// Answers these in the destination's name, with ICMP 3/2, and UDP with 3/3.
    answers_for: Vec<u8>,
    /// Writes into the source address of what it forwards.
    translates: bool,
    /// Errors are sent with the TTL that the packet had left.
    copies_ttl: bool,
}

#[derive(Debug, Clone)]
struct Net {
    routers: Vec<Router>,
    /// What the destination says nothing about; `None`: anything.
    mute: Option<Vec<u8>>,
    /// The destination's errors have the TTL that the packet had left.
    copies_ttl: bool,
    /// Behind these routers the packets come back to the first of them.
    goes_round: Option<(usize, usize)>,
    quote_len: usize,
    random: fastrand::Rng,
}

impl Net {
    fn of(hops: usize) -> Self {
        Self {
            routers: vec![Router::default(); hops],
            mute: Some(Vec::new()),
            copies_ttl: false,
            goes_round: None,
            quote_len: 548,
            random: fastrand::Rng::with_seed(7),
        }
    }

    fn address(router: usize, twin: bool) -> Ipv4Addr {
        let host = if twin { 3 } else { 2 };
        Ipv4Addr::new(10, 77, u8::try_from(router).unwrap() + 1, host)
    }

    /// What comes back of a datagram, and when.
    fn answer(&mut self, sent_ns: i64, datagram: &[u8]) -> Option<(i64, Vec<u8>)> {
        let packet = Packet::parse(datagram)?;
        let (protocol, carrier) = (packet.protocol, packet.carrier());
        let flow = u16::from_be_bytes([packet.payload[0], packet.payload[1]]);
        let mut ttl = packet.ttl;
        let mut bytes = datagram.to_vec();
        let mut at = 0;
        for step in 0..255_i64 {
            let time_ns = sent_ns + (step + 1) * HOP_NS;
            if let Some((first, last)) = self.goes_round
                && at > last
            {
                at = first;
            }
            if at >= self.routers.len() {
                let is_mute = self
                    .mute
                    .as_ref()
                    .is_none_or(|mute| mute.contains(&protocol));
                let code = if carrier == Carrier::Udp { 3 } else { 2 };
                let reply_ttl = if self.copies_ttl { ttl } else { 64 };
                let arrives = i64::from(reply_ttl) > step;
                return (!is_mute && arrives).then(|| {
                    (
                        time_ns + step * HOP_NS,
                        self.error(DESTINATION, 3, code, ttl, &bytes),
                    )
                });
            }
            let twin = self.routers[at].twin && flow % 2 == 1;
            let address = Self::address(at, twin);
            let loss = self.routers[at].loss;
            if self.random.u16(..1000) < loss {
                return None;
            }
            let is_bare = carrier == Carrier::Ip;
            let router = &mut self.routers[at];
            if is_bare && router.drops_in.contains(&protocol) {
                return None;
            }
            if router.answers_for.contains(&protocol) {
                let code = if carrier == Carrier::Udp { 3 } else { 2 };
                return Some((time_ns, self.error(DESTINATION, 3, code, ttl, &bytes)));
            }
            if ttl <= 1 {
                let may = match router.limit {
                    None => true,
                    Some(rate) => {
                        let since = (time_ns - router.refilled_ns) as f64 / 1e9;
                        router.tokens = (router.tokens + since * rate).min(6.0);
                        router.refilled_ns = time_ns;
                        let may = router.tokens >= 1.0;
                        router.tokens -= if may { 1.0 } else { 0.0 };
                        may
                    }
                };
                // A copied TTL of 1 does not get anywhere.
                let is_silent = router.silent || (twin && router.twin_silent);
                let is_silent = is_silent || (router.copies_ttl && step > 0);
                return (may && !is_silent).then(|| {
                    (
                        time_ns + step * HOP_NS,
                        self.error(address, 11, 0, ttl, &bytes),
                    )
                });
            }
            if is_bare && router.refuses.contains(&protocol) {
                return Some((
                    time_ns + step * HOP_NS,
                    self.error(address, 3, 13, ttl, &bytes),
                ));
            }
            if is_bare && router.drops_out.contains(&protocol) {
                return None;
            }
            ttl -= 1;
            if let Some(new) = router.new_ttl {
                ttl = new;
            }
            if router.bleaches {
                bytes[1] = 0;
            }
            if router.translates {
                bytes[12..16].copy_from_slice(&[10, 77, 200, 1]);
            }
            at += 1;
        }
        None
    }

    fn error(&self, from: Ipv4Addr, icmp_type: u8, code: u8, ttl: u8, quoted: &[u8]) -> Vec<u8> {
        let mut quoted = quoted.to_vec();
        quoted[8] = ttl;
        quoted.truncate(20 + self.quote_len);
        let len = u16::try_from(8 + quoted.len()).unwrap();
        let header = Ipv4Header::new(len, 64, IpNumber(1), from.octets(), SOURCE.octets()).unwrap();
        let mut bytes = header.to_bytes().to_vec();
        bytes.extend([icmp_type, code, 0, 0, 0, 0, 0, 0]);
        bytes.extend(quoted);
        bytes
    }

    fn trace(&mut self, numbers: &[u8]) -> Trace {
        self.trace_with(limits(numbers))
    }

    fn trace_with(&mut self, limits: Limits) -> Trace {
        let ends = (IpAddr::from(SOURCE), IpAddr::from(DESTINATION));
        let template = Template {
            source: ends.0,
            destination: ends.1,
            dscp: 46,
            payload: b"hdp trace".to_vec(),
            source_port: 42_000,
        };
        let interval_ns = i64::try_from(limits.interval.as_nanos()).unwrap();
        let mut plan = Plan::new(limits, ends, fastrand::Rng::with_seed(self.random.u64(..)));
        let mut exchanges = Exchanges::default();
        let mut coming: Vec<(i64, Vec<u8>)> = Vec::new();
        let mut now_ns = START_NS;
        let mut datagram = Vec::new();
        for sequence in 0.. {
            assert!(sequence < 100_000, "the plan comes to no end");
            let pause_ns = match plan.next(&exchanges, now_ns) {
                Step::Send {
                    carrier,
                    protocol,
                    ttl,
                } => {
                    let mark = Mark {
                        carrier,
                        protocol,
                        ttl,
                        sequence,
                        timestamp_ns: now_ns.cast_unsigned(),
                    };
                    template.write(&mark, &mut datagram);
                    exchanges.take(now_ns, &datagram);
                    coming.extend(self.answer(now_ns, &datagram));
                    interval_ns
                }
                Step::Wait => 20_000_000,
                Step::Done => break,
            };
            now_ns += pause_ns;
            coming.sort();
            let later = coming.partition_point(|(time_ns, _)| *time_ns <= now_ns);
            for (time_ns, bytes) in coming.drain(..later) {
                exchanges.take(time_ns, &bytes);
            }
        }
        for (time_ns, bytes) in coming {
            exchanges.take(time_ns, &bytes);
        }
        verdict::judge(&exchanges, ends, &Refusals::new(), Vec::new())
    }
}

fn limits(numbers: &[u8]) -> Limits {
    Limits {
        numbers: numbers.to_vec(),
        count: 10,
        max_hops: 30,
        all_hops: false,
        interval: Duration::from_millis(50),
        wait: Duration::from_secs(2),
    }
}

fn number(trace: &Trace, protocol: u8) -> &TracedProtocol {
    let number = trace.protocols.iter();
    let mut number = number.filter(|number| number.carrier == Carrier::Ip);
    number.find(|number| number.protocol == protocol).unwrap()
}

/// Verdict, last hop, next hop.
fn place(trace: &Trace, protocol: u8) -> (TraceVerdict, u8, Option<u8>) {
    let number = number(trace, protocol);
    (number.verdict, number.last_hop, number.next_hop)
}

use TraceVerdict::{Disappears, Inconclusive, Reaches};

#[test]
fn a_drop_at_each_hop_is_placed_before_or_behind_it() {
    for hop in 1..=8_u8 {
        let mut net = Net::of(8);
        net.routers[usize::from(hop) - 1].drops_in = vec![50];
        net.routers[usize::from(hop) - 1].drops_out = vec![51];
        let trace = net.trace(&[50, 51, 253]);
        assert_eq!(place(&trace, 50), (Disappears, hop - 1, Some(hop)));
        assert_eq!(number(&trace, 50).grade, Grade::Certain);
        if hop < 8 {
            assert_eq!(place(&trace, 51), (Disappears, hop, Some(hop + 1)));
        } else {
            // The destination may take it without a word.
            assert_eq!(place(&trace, 51), (Inconclusive, 8, Some(9)));
            assert_eq!(number(&trace, 51).rule, TraceRule::DestinationSilent);
        }
        assert_eq!(place(&trace, 253), (Reaches, 9, None));
        assert_eq!(trace.hops.len(), 9);
        assert_eq!(trace.warnings, []);
    }
}

#[test]
fn errors_that_quote_8_bytes_tell_as_much() {
    let mut net = Net::of(8);
    net.quote_len = 8;
    net.routers[4].drops_in = vec![50];
    let trace = net.trace(&[50, 253]);
    assert_eq!(place(&trace, 50), (Disappears, 4, Some(5)));
    assert_eq!(place(&trace, 253), (Reaches, 9, None));
}

#[test]
fn silent_hops_make_the_segment_longer() {
    let mut net = Net::of(8);
    net.routers[2].silent = true;
    net.routers[3].silent = true;
    net.routers[3].drops_in = vec![50];
    let trace = net.trace(&[50, 253]);
    assert_eq!(place(&trace, 50), (Disappears, 2, Some(5)));
    assert!(trace.hops[2].addresses.is_empty());
}

#[test]
fn a_destination_that_drops_all_is_no_loss() {
    let mut net = Net::of(8);
    net.mute = None;
    net.routers[5].drops_in = vec![50];
    let trace = net.trace(&[50, 253]);
    assert_eq!(place(&trace, 50), (Disappears, 5, Some(6)));
    assert_eq!(place(&trace, 253), (Inconclusive, 8, None));
    assert_eq!(number(&trace, 253).rule, TraceRule::AsFarAsControl);
    assert_eq!(trace.warnings, [TraceWarning::DestinationSilent]);
}

#[test]
fn a_refusal_is_a_proof_and_names_who_refused() {
    let mut net = Net::of(8);
    net.routers[3].refuses = vec![50];
    let trace = net.trace(&[50, 253]);
    assert_eq!(place(&trace, 50), (Disappears, 4, Some(5)));
    assert_eq!(number(&trace, 50).rule, TraceRule::IcmpRefusal);
    assert_eq!(number(&trace, 50).between[0], "10.77.4.2");
}

#[test]
fn what_quotes_show_is_placed_at_its_hop() {
    let mut net = Net::of(8);
    net.routers[2].bleaches = true;
    net.routers[4].translates = true;
    let trace = net.trace(&[253]);
    let changes: Vec<_> = trace
        .hops
        .iter()
        .flat_map(|hop| {
            hop.changes
                .iter()
                .map(|change| (hop.hop, change.field.as_str()))
        })
        .collect();
    assert_eq!(changes, [(4, "dscp"), (6, "source_address")]);
}

// The boxes that lie.

#[test]
fn a_destination_that_copies_the_ttl_is_no_farther_than_it_is() {
    let mut net = Net::of(8);
    net.copies_ttl = true;
    net.routers[4].drops_in = vec![50];
    let trace = net.trace(&[50, 253]);
    assert_eq!(place(&trace, 50), (Disappears, 4, Some(5)));
    assert_eq!(place(&trace, 253), (Reaches, 9, None));
    assert_eq!(trace.hops.len(), 9);
}

#[test]
fn a_router_that_copies_the_ttl_is_silent() {
    let mut net = Net::of(8);
    net.routers[4].copies_ttl = true;
    net.routers[4].drops_in = vec![50];
    let trace = net.trace(&[50]);
    assert_eq!(place(&trace, 50), (Disappears, 4, Some(6)));
}

#[test]
fn who_answers_the_control_for_the_destination_moves_no_hop() {
    let mut net = Net::of(8);
    net.routers[2].answers_for = vec![17];
    net.routers[4].drops_in = vec![50];
    let trace = net.trace(&[50, 253]);
    // The control knows two hops only.
    let (verdict, last_hop, next_hop) = place(&trace, 50);
    assert_eq!((verdict, last_hop), (Inconclusive, 2));
    assert!(
        next_hop
            .is_none_or(|hop| hop > 4 || number(&trace, 50).rule == TraceRule::DestinationSilent)
    );
    assert_eq!(number(&trace, 253).verdict, Reaches);
}

#[test]
fn who_answers_a_number_for_the_destination_is_not_the_destination() {
    let mut net = Net::of(8);
    net.routers[2].answers_for = vec![50];
    let trace = net.trace(&[50, 253]);
    assert_eq!(number(&trace, 50).verdict, Inconclusive);
    assert_eq!(number(&trace, 50).rule, TraceRule::AnsweredFor);
    assert_eq!(number(&trace, 253).verdict, Reaches);
}

#[test]
fn behind_a_box_that_sets_the_ttl_anew_nothing_is_told() {
    let mut net = Net::of(8);
    net.routers[2].new_ttl = Some(64);
    net.routers[5].drops_in = vec![50];
    let trace = net.trace(&[50, 253]);
    let (verdict, last_hop, _) = place(&trace, 50);
    assert_eq!((verdict, last_hop), (Inconclusive, 3));
    assert_eq!(number(&trace, 253).verdict, Reaches);
    assert!(
        trace
            .warnings
            .contains(&TraceWarning::TtlRewritten { hop: 3 })
    );
}

#[test]
fn a_loop_is_named_and_loses_no_number() {
    let mut net = Net::of(8);
    net.goes_round = Some((3, 4));
    net.routers[1].drops_in = vec![50];
    let trace = net.trace(&[50, 253]);
    assert_eq!(place(&trace, 50), (Disappears, 1, Some(2)));
    assert_eq!(number(&trace, 253).verdict, Inconclusive);
    let is_loop = |warning: &TraceWarning| matches!(warning, TraceWarning::Loop { hop: 4, .. });
    assert!(trace.warnings.iter().any(is_loop), "{:?}", trace.warnings);
}

#[test]
fn of_two_paths_a_silent_branch_makes_no_certain_hop() {
    let mut net = Net::of(8);
    net.routers[3].twin = true;
    net.routers[3].twin_silent = true;
    net.routers[4].drops_in = vec![50];
    let trace = net.trace(&[50, 253]);
    assert_eq!(place(&trace, 50), (Disappears, 4, Some(5)));
}

#[test]
fn a_run_takes_as_long_as_it_says_at_most() {
    for numbers in [vec![253], (0..=255).collect()] {
        let mut net = Net::of(8);
        // Nothing gets beyond the last router.
        net.routers[7].drops_in.clone_from(&numbers);
        net.routers[7].drops_in.retain(|number| *number != 17);
        let limits = limits(&numbers);
        let at_most = Plan::at_most(&limits);
        let trace = net.trace_with(limits);
        let took = u64::try_from(trace.last_ns - trace.first_ns).unwrap();
        assert!(
            Duration::from_nanos(took) <= at_most,
            "{took} > {at_most:?}"
        );
    }
}

/// What is true of a number on a path: the hop before the drop, and the hop behind.
fn truth(net: &Net, protocol: u8) -> Option<(u8, u8)> {
    for (at, router) in (1..).zip(&net.routers) {
        if router.drops_in.contains(&protocol) {
            return Some((at - 1, at));
        }
        if router.drops_out.contains(&protocol) || router.refuses.contains(&protocol) {
            return Some((at, at + 1));
        }
    }
    None
}

/// Thousands of paths, each with several of these at once.
#[test]
fn no_path_shows_a_number_to_disappear_where_it_does_not() {
    let paths = std::env::var("TRACE_PATHS").map_or(400, |paths| paths.parse().unwrap());
    let mut counts: BTreeMap<(TraceVerdict, Grade), (u32, u32)> = BTreeMap::new();
    for seed in 0..paths {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut net = Net::of(random.usize(1..14));
        net.random = random.fork();
        net.quote_len = [8, 28, 548][random.usize(..3)];
        net.copies_ttl = random.u8(..10) == 0;
        let numbers: Vec<u8> = (0..random.u8(1..30)).map(|_| random.u8(..)).collect();
        let numbers: std::collections::BTreeSet<u8> =
            numbers.into_iter().filter(|n| *n != 17).collect();
        let numbers: Vec<u8> = numbers.into_iter().collect();
        if numbers.is_empty() {
            continue;
        }
        net.mute = match random.u8(..5) {
            0 => None,
            1 => Some(numbers.iter().copied().filter(|_| random.bool()).collect()),
            _ => Some(Vec::new()),
        };
        let loss = if random.u8(..3) == 0 {
            random.u16(..30)
        } else {
            0
        };
        for router in &mut net.routers {
            router.silent = random.u8(..6) == 0;
            router.limit = (random.u8(..5) == 0).then(|| [1.0, 5.0, 10.0][random.usize(..3)]);
            router.tokens = 6.0;
            router.refilled_ns = START_NS;
            router.loss = loss;
            router.twin = random.u8(..8) == 0;
            router.twin_silent = router.twin && random.u8(..4) == 0;
            router.bleaches = random.u8(..8) == 0;
            let some = |random: &mut fastrand::Rng| -> Vec<u8> {
                if random.u8(..6) == 0 {
                    numbers
                        .iter()
                        .copied()
                        .filter(|_| random.u8(..4) == 0)
                        .collect()
                } else {
                    Vec::new()
                }
            };
            router.drops_in = some(&mut random);
            router.drops_out = some(&mut random);
            router.refuses = some(&mut random);
        }
        let trace = net.trace(&numbers);
        for &protocol in &numbers {
            let found = number(&trace, protocol);
            let truth = truth(&net, protocol);
            let is_right = match (found.verdict, truth) {
                (Reaches, truth) => truth.is_none(),
                (Disappears, None) => false,
                (Disappears, Some((before, behind))) => {
                    found.last_hop <= before && found.next_hop.is_none_or(|next| next >= behind)
                }
                // Nothing is claimed.
                _ => true,
            };
            let count = counts.entry((found.verdict, found.grade)).or_default();
            count.0 += 1;
            count.1 += u32::from(!is_right);
            if !is_right && std::env::var_os("TRACE_SHOW").is_some() {
                println!(
                    "{seed}: {} {truth:?} {found:?}",
                    protocols::fold(&[protocol.into()])
                );
            }
        }
    }
    println!("{counts:?}");
    for (&(verdict, grade), &(all, wrong)) in &counts {
        let most = match grade {
            Grade::Certain => all / 1000,
            Grade::Likely => all / 20,
            Grade::Weak => all / 4,
        };
        assert!(wrong <= most, "{verdict:?} {grade:?}: {wrong} of {all}");
    }
    let all = |verdict| -> u32 {
        let of = counts.iter().filter(|((of, _), _)| *of == verdict);
        of.map(|(_, (all, _))| all).sum()
    };
    assert!(all(Reaches) > 100 && all(Disappears) > 100, "{counts:?}");
}
