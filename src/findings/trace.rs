//! What `hdp trace` has found: the object that its `--format json` prints.

use serde::{Deserialize, Serialize};

use super::{Carrier, Grade};

/// Everything that a trace has found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// As [`Findings::schema_version`](super::Findings::schema_version).
    pub schema_version: u32,
    /// `hdp X.Y.Z`.
    pub generator: String,
    /// As [`Findings::ruleset`](super::Findings::ruleset).
    pub ruleset: u32,
    /// Where the probes were sent to.
    pub destination: String,
    /// Where they came from.
    pub source: String,
    /// When the first probe was sent.
    pub first_ns: i64,
    /// When the last probe was sent, or the last answer came.
    pub last_ns: i64,
    /// The hops as the control met them, nearest first, up to the last that answered; the
    /// destination's among them where it answered.
    pub hops: Vec<Hop>,
    /// One entry a protocol number, rising; `ip` before `udp`, which is the control.
    pub protocols: Vec<TracedProtocol>,
    /// What a reader must know before trusting the rest. JSON has it in words too, as `warnings`.
    #[serde(rename = "warnings_typed")]
    pub warnings: Vec<TraceWarning>,
}

/// What answers the control that is sent with one TTL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// The TTL or hop limit at the sender.
    pub hop: u8,
    /// Who answered the control there, most frequent first; several where paths of equal cost share
    /// the load. None: silent.
    pub addresses: Vec<String>,
    /// Controls sent.
    pub sent: u64,
    /// Of these, answered.
    pub answered: u64,
    /// Round-trip times, ns; null of a silent hop.
    pub rtt_ns: Option<RoundTrips>,
    /// Whether it answered some controls only, while more of those came back that went farther.
    pub rate_limited: bool,
    /// What the quotes from this hop show to be unlike what was sent, and those of the hop before did
    /// not.
    pub changes: Vec<HopChange>,
}

/// Round-trip times in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundTrips {
    /// The shortest.
    pub min: i64,
    /// The median.
    pub p50: i64,
    /// The longest.
    pub max: i64,
}

/// A field that was changed before a hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HopChange {
    /// Which field, by the names of [`Change::field`](super::Change::field).
    pub field: String,
    /// The value that was sent; of ports, which differ from probe to probe, null.
    pub from: Option<String>,
    /// The value that was quoted.
    pub to: Option<String>,
    /// The hops between which it was changed; 0 is the sender.
    pub between: [u8; 2],
    /// In how many quotes from that hop.
    pub count: u64,
}

/// What happened to one protocol number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TracedProtocol {
    /// The number.
    pub protocol: u8,
    /// IANA's keyword, or null where the number has none.
    pub keyword: Option<String>,
    /// What HDP rode on.
    pub carrier: Carrier,
    /// How far it got.
    pub verdict: TraceVerdict,
    /// How sure that is.
    pub grade: Grade,
    /// The rule that gave the verdict.
    pub rule: TraceRule,
    /// The farthest hop that is known to have got the number; 0 is the sender.
    pub last_hop: u8,
    /// The nearest hop behind it that should have answered and did not; null where there is none.
    pub next_hop: Option<u8>,
    /// Addresses at the two; the second is missing without a `next_hop`.
    pub between: Vec<String>,
    /// What was sent with each TTL, and what came back.
    pub answers: Vec<HopAnswers>,
    /// ICMP errors about the number, but for those that say that a TTL ran out.
    pub icmp: Vec<TraceIcmp>,
    /// What quotes of the number show that those of the control do not.
    pub changes: Vec<HopChange>,
    /// What the verdict rests on. JSON has it in words too, as `reasons`.
    #[serde(rename = "reasons_typed")]
    pub reasons: Vec<TraceReason>,
}

/// How far a number gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceVerdict {
    /// The destination itself answered.
    Reaches,
    /// A hop answers the control and not the number.
    Disappears,
    /// Nobody can tell what becomes of it behind the last hop that got it.
    Inconclusive,
    /// The sender's operating system took none.
    Refused,
}

/// The rule that gave a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceRule {
    /// The destination answered.
    DestinationAnswered,
    /// Somebody on the way refused it by an ICMP error.
    IcmpRefusal,
    /// A hop that answers the control did not answer.
    SilentBehind,
    /// The last router got it; the destination answers the control, not the number.
    DestinationSilent,
    /// It got as far as the control, which nobody answers farther on.
    AsFarAsControl,
    /// Who answers the number in the destination's name sits before it.
    AnsweredFor,
    /// The control was refused alike.
    RefusedLikeControl,
    /// No control tells which hops answer at all.
    NoControl,
    /// Nobody sends errors about such packets: silence tells nothing.
    NoErrorsAboutIt,
    /// Too few probes: so few answers can be chance.
    TooFew,
    /// The sender's system took none.
    SenderRefused,
}

/// Probes of one number with one TTL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HopAnswers {
    /// The TTL; the destination's hop for all that suffice to get there, if it is known.
    pub hop: u8,
    /// How many were sent.
    pub sent: u64,
    /// How many were answered.
    pub answered: u64,
    /// By whom.
    pub from: Vec<String>,
}

/// ICMP errors of one kind from one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceIcmp {
    /// Who sent them.
    pub from: String,
    /// ICMP or `ICMPv6` type.
    #[serde(rename = "type")]
    pub icmp_type: u8,
    /// Code within the type.
    pub code: u8,
    /// The two in words.
    pub meaning: String,
    /// How many.
    pub count: u64,
}

/// One thing that a trace's verdict rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TraceReason {
    /// The destination answered.
    Answered {
        /// How: in words of ICMP, or by a packet under the number.
        how: HowAnswered,
        /// How many probes.
        count: u64,
    },
    /// A host that is not the destination refused the number.
    RefusedBy {
        /// The host.
        from: String,
        /// The hop at which it answers the control, if it does.
        hop: Option<u8>,
        /// 4 or 6.
        version: u8,
        /// Type.
        #[serde(rename = "type")]
        icmp_type: u8,
        /// Code.
        code: u8,
        /// How often.
        count: u64,
    },
    /// A hop answered the control and not the number.
    Silent {
        /// The hop.
        hop: u8,
        /// Probes of the number sent there.
        sent: u64,
        /// Controls sent there.
        control_sent: u64,
        /// Of these, answered.
        control_answered: u64,
        /// The chance of that if the number were answered like the control (Fisher's exact test).
        chance: f64,
        /// Of how many numbers that is asked at once.
        asked: u64,
    },
    /// Hops between the two are silent for the control too.
    SilentForAll {
        /// The hops.
        hops: Vec<u8>,
    },
    /// Paths of equal cost: the number's need not be the control's.
    SeveralPaths {
        /// The hop that has several addresses.
        hop: u8,
        /// The addresses.
        addresses: Vec<String>,
    },
    /// At this hop the number was answered by somebody who did not answer the control.
    OtherPath {
        /// The hop.
        hop: u8,
        /// Who answered the number.
        from: String,
    },
    /// The destination answered the control, not the number. Hosts do so that take a number without a
    /// word, or whose firewall drops it.
    DestinationSilent {
        /// Probes of the number.
        sent: u64,
    },
    /// The farthest hop that answers the control.
    ControlEnds {
        /// The hop.
        hop: u8,
    },
    /// An answer in the destination's name came from before it.
    AnsweredFor {
        /// At most so many hops from the sender.
        hop: u8,
    },
    /// The control was refused by the same host in the same way.
    ControlRefused {
        /// The host.
        from: String,
    },
    /// There was no control.
    NoControl,
    /// Nobody sends an ICMP error about an ICMP message that is none of the known queries (RFC 1122).
    NoErrorsAboutIt {
        /// The message's type, where HDP has its source port's upper half.
        #[serde(rename = "type")]
        icmp_type: u8,
    },
    /// The sender's system refused the number.
    SenderRefused {
        /// The system call.
        call: String,
        /// The error number.
        errno: i32,
        /// Its symbol.
        name: String,
        /// How often.
        count: u64,
    },
}

/// How a destination answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum HowAnswered {
    /// By an ICMP error.
    Icmp {
        /// 4 or 6.
        version: u8,
        /// Type.
        #[serde(rename = "type")]
        icmp_type: u8,
        /// Code.
        code: u8,
    },
    /// By a packet under the same number.
    Reply,
}

/// What a reader must know before trusting a trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TraceWarning {
    /// Nobody answered any control.
    NothingAnswered {
        /// Controls sent.
        sent: u64,
    },
    /// There was no control: what a silent hop means, nobody can tell.
    NoControl,
    /// The destination did not answer the control.
    DestinationSilent,
    /// The same routers answer again and again: the packets go round.
    Loop {
        /// The first hop of it.
        hop: u8,
        /// Its routers.
        addresses: Vec<String>,
    },
    /// Somebody nearer than the destination answers the control in its name.
    AnsweredFor {
        /// At most so many hops from the sender.
        hop: u8,
    },
    /// A box sets the TTL anew: the routers behind it cannot be seen.
    TtlRewritten {
        /// Behind this hop.
        hop: u8,
    },
    /// Hops that limit the rate of their answers.
    RateLimited {
        /// The hops.
        hops: Vec<u8>,
    },
    /// ICMP errors that quote none of the probes, or what looks like several.
    UnknownQuotes {
        /// How many.
        count: u64,
    },
    /// The capture holds probes to other destinations too.
    OtherDestinations {
        /// How many.
        count: u64,
        /// One of them.
        for_example: String,
    },
    /// The run was ended before all was asked.
    Interrupted,
}
