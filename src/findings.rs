//! Findings: the answer as data, the one thing that every report shows.
//!
//! The types serialize to the object that `hdp path --format json` prints. Its members are a
//! stable interface: add to it, never rename. Times are integers in nanoseconds since the epoch,
//! spans integers in nanoseconds; unknown is `null`, never 0 or "".
//!
//! The module deliberately knows nothing of how a verdict is reached (`judge`) nor of how
//! it is shown ([`crate::report`]).

mod offset;
mod reason;
pub mod trace;
mod warning;

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

pub use offset::{ClockLevel, above_fastest};
pub use reason::{Cause, Kept, NotTheNumber, Others, Reason, Rule};
pub use warning::{ClockFault, NamedSource, OrderSign, Warning};

pub use crate::protocols::Carrier;

/// Everything `hdp path` has found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// Version of this structure; raised when a member changes its meaning, not when one is added.
    pub schema_version: u32,
    /// `hdp X.Y.Z`.
    pub generator: String,
    /// Version of the rules of judgement; raised whenever the same input may give another verdict.
    pub ruleset: u32,
    /// The observation points in path order, the sender's end first; behind them drop witnesses, which
    /// are no part of the path.
    pub points: Vec<Point>,
    /// What each of the points was read from, in the order of the points: to show that a file is the one that
    /// was judged.
    #[serde(default)]
    pub inputs: Vec<Input>,
    /// The direction along the points first; the reverse one too if HDP was seen going that way.
    pub directions: Vec<Direction>,
    /// What a reader must know before trusting the rest. JSON has it in words too, as `warnings`.
    #[serde(rename = "warnings_typed")]
    pub warnings: Vec<Warning>,
}

impl Findings {
    /// The value of [`Findings::schema_version`].
    pub const SCHEMA_VERSION: u32 = 1;

    /// The points of the path, without drop witnesses.
    #[must_use]
    pub fn path_points(&self) -> &[Point] {
        let is_witness = |point: &Point| point.kind == PointKind::DropWitness;
        let end = self.points.iter().position(is_witness);
        &self.points[..end.unwrap_or(self.points.len())]
    }

    /// The value of [`Findings::ruleset`].
    pub const RULESET: u32 = 12;
}

/// The source of a point, as bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The file or interface as the user named it.
    pub source: String,
    /// Bytes of the file, as it is: packed where it is packed. Null for pipes and interfaces.
    pub bytes: Option<u64>,
    /// SHA-256 (FIPS 180-4) of these bytes in hexadecimal, computed while they were read; null for pipes and
    /// interfaces, and where nobody asked.
    pub sha256: Option<String>,
}

/// What one observation point recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// The label, unique among the points.
    pub name: String,
    /// The label that its capture was given: `name`, unless the capture shows packets on two sides
    /// of a forwarding host and this is one of them.
    pub capture: String,
    /// Which of the two sides it is; null for a whole capture or a log.
    pub side: Option<Side>,
    /// The file or interface as the user named it.
    pub source: String,
    /// What kind of record it is.
    pub kind: PointKind,
    /// tcpdump's names of the link types, each once.
    pub link_types: Vec<String>,
    /// Timestamp resolution in nanoseconds, the coarsest among the interfaces.
    pub resolution_ns: Option<u64>,
    /// Frames read; of a log, the packets that it tells of, refused ones and those not HDP too.
    pub frames: u64,
    /// Sightings of HDP, with duplicates and fragments' first pieces, without ICMP quotes.
    pub hdp: u64,
    /// Time of the first frame, HDP or not.
    pub first_ns: Option<i64>,
    /// Time of the last frame, HDP or not.
    pub last_ns: Option<i64>,
    /// Stretches in which the capture was most likely stopped: nothing was recorded, though
    /// something should have been. Each from its start to its end; nothing is judged in them.
    pub gaps: Vec<[i64; 2]>,
    /// Frames that the capture is known to have dropped.
    pub capture_drops: Option<u64>,
    /// Distinct packets that were seen before and after this point but not at it.
    pub missed: u64,
    /// Of `hdp`: packets seen again at another place of the point's host (interface, direction, TTL,
    /// encapsulation), or through a mirror port. What the network duplicated is not among them.
    pub copies: u64,
    /// Of `hdp`: first fragments of packets of which another fragment is missing. Those have not come.
    pub incomplete: u64,
    /// Frames that gave no HDP packet, by reason.
    pub skipped: Skipped,
}

/// The sides of a forwarding host, as what goes along the path from its first point meets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Where it comes in, and what goes back goes out.
    In,
    /// Where it goes out.
    Out,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::In => "in",
            Self::Out => "out",
        })
    }
}

/// The kinds of observation points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PointKind {
    /// Frames from an interface.
    Capture,
    /// The log of `hdp send`.
    SendLog,
    /// The log of `hdp listen`.
    ListenLog,
    /// A record of what a system dropped (`NFLOG`): no point of the path.
    DropWitness,
}

/// Frames that gave no HDP packet, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// No IP in it (ARP, LLDP).
    pub not_ip: u64,
    /// IP, but not HDP: the timestamp lies outside the window, or there are fewer than 12 bytes.
    pub not_hdp: u64,
    /// The capture kept too few bytes to tell (snapshot length).
    pub cut_short: u64,
    /// A header contradicts itself.
    pub malformed: u64,
    /// A later fragment: it carries the protocol number, but no HDP header. Those of HDP packets are
    /// joined to the first.
    pub fragment: u64,
    /// A link type that this tool does not decode.
    pub unsupported_link: u64,
    /// An ICMP error that quotes HDP: evidence, but no arrival.
    pub icmp_quote: u64,
    /// A frame for another host (cooked capture): overheard, but no arrival.
    pub other_host: u64,
    /// A frame without a capture time (pcapng simple packet block).
    pub no_time: u64,
}

/// What happened to the packets that went one way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Direction {
    /// The sender's end.
    pub from: String,
    /// The receiver's end.
    pub to: String,
    /// The stretches between neighbouring points, in this direction's order.
    pub segments: Vec<Segment>,
    /// One entry a protocol number with at least one packet or refusal, rising; `ip` before `udp`.
    pub protocols: Vec<Protocol>,
    /// All numbers straight on IP together, beside the control; null without a control that arrived.
    pub against_control: Option<AgainstControl>,
    /// Where most of the numbers' flows are sent to, as the first point saw it; null without packets.
    pub destination: Option<String>,
    /// One entry a host that refused packets by ICMP errors.
    pub refusers: Vec<Refuser>,
}

/// A host that refused packets by ICMP errors, under any number. Its silence is no evidence: hosts
/// limit the rate of such errors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refuser {
    /// Who sent the errors.
    pub from: String,
    /// How many errors.
    pub errors: u64,
    /// The packets it could have answered: those lost where others were lost that it answered,
    /// and, if it answered packets that arrived, those that arrived.
    pub of: u64,
    /// How many of these were lost.
    pub lost: u64,
    /// Whether it answered some packets of a number and others not, as who limits the rate of its
    /// errors does; null where too few packets of each number were sent to tell.
    pub rate_limited: Option<bool>,
}

/// The stretch between two neighbouring points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// The point where the segment begins.
    pub from: String,
    /// The point where the segment ends.
    pub to: String,
    /// Packets of all numbers lost in it.
    pub lost: u64,
    /// How the two points' clocks relate.
    pub clock: Clock,
    /// The one system within which the segment lies, as far as that shows.
    pub within: Option<System>,
    /// Whose source address was translated; null where none was.
    pub translation: Option<Translation>,
    /// What became of packets that are not HDP and went this way; null where none did.
    #[serde(default)]
    pub bystanders: Option<Bystanders>,
}

/// Which numbers straight on IP crossed a segment with another source address, and which with
/// their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Translation {
    /// Numbers with packets whose source address was another behind the segment.
    pub translated: Vec<u16>,
    /// Numbers that came through and none of whose packets was translated.
    pub untranslated: Vec<u16>,
    /// The untranslated ones' source addresses behind the segment.
    pub untranslated_sources: Vec<String>,
    /// Whether all of these are private (RFC 1918, 6598, 4193): the Internet drops what has such a
    /// source. False where nothing came untranslated.
    pub left_private: bool,
}

/// An operating system as a part of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum System {
    /// From the sending program to its interface: no router in between.
    Sending,
    /// From the interface to the receiving program.
    Receiving,
    /// From one side of a forwarding host to the other.
    Forwarding,
}

/// How the clock at a segment's end relates to the one at its beginning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    /// What the relation rests on.
    pub method: ClockMethod,
    /// What must be added to the beginning's clock to get the end's, in nanoseconds.
    pub offset_ns: Option<i64>,
    /// The true offset lies within `offset_ns` ± this.
    pub error_ns: Option<u64>,
    /// When the offset was so, on the beginning's clock: clocks drift.
    pub at_ns: Option<i64>,
    /// How much faster the end's clock runs, in parts per million; null where delay hides it.
    pub skew_ppm: Option<f64>,
    /// Where one of the clocks was set.
    pub steps: Vec<ClockStep>,
    /// The stretches of time between the steps, by the packets that went along the segment; none
    /// where none did.
    #[serde(default)]
    pub levels: Vec<ClockLevel>,
    /// How many packets compare the clocks.
    #[serde(default)]
    pub related_by: RelatedBy,
}

/// How many packets compare two clocks, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelatedBy {
    /// HDP that was seen at both points, whichever way it went.
    pub hdp: u64,
    /// ICMP errors that quote HDP, seen at both.
    pub icmp_quote: u64,
    /// Bystanders: other packets, seen at both; of many, a sample.
    pub bystander: u64,
}

/// What became of packets that are not HDP, of flows that cross the segment; of many, a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bystanders {
    /// Seen at the segment's beginning while its end was watching.
    pub packets: u64,
    /// Of these, seen at its end.
    pub arrived: u64,
}

/// A clock that was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockStep {
    /// The last instant before it from which a packet tells.
    pub from_ns: i64,
    /// The first instant behind it.
    pub to_ns: i64,
    /// By how much the end's clock then showed more than before, beside the beginning's.
    pub by_ns: i64,
}

/// What is known of two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockMethod {
    /// No packet was seen at both points.
    None,
    /// Packets went one way only: delays are known relative to the smallest.
    OneWay,
    /// Packets went both ways: the offset is bounded.
    TwoWay,
    /// Both points read the same clock.
    SameHost,
}

/// What happened to the packets of one protocol number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Protocol {
    /// The number on the wire; above 255 only where the sender's system refused the request.
    pub protocol: u16,
    /// IANA's keyword, or null where the number has none.
    pub keyword: Option<String>,
    /// What HDP rode on.
    pub carrier: Carrier,
    /// What the path does to the number.
    pub verdict: Verdict,
    /// How sure that is.
    pub grade: Grade,
    /// Distinct packets: `delivered + lost + edge + late + ambiguous + expired`.
    pub packets: u64,
    /// Seen at the last point.
    pub delivered: u64,
    /// Seen before a segment, not after it, while the point behind it was watching.
    pub lost: u64,
    /// Too near the start or end of what the points watched in common to be judged.
    pub edge: u64,
    /// Of `edge`: at which point, and why.
    #[serde(default)]
    pub edge_at: Vec<EdgeAt>,
    /// Of `edge`: came as far as a listener that had no socket open for the number.
    pub unheard: u64,
    /// Arrived after the wait time.
    pub late: u64,
    /// Not to be told from another packet with the same key.
    pub ambiguous: u64,
    /// Sent with a TTL that could not suffice, as a trace does on purpose; never part of a verdict.
    #[serde(default)]
    pub expired: u64,
    /// Of the delivered: HDP's bytes or the protocol number differ between points.
    pub altered: u64,
    /// Extra copies at the last point.
    pub duplicates: u64,
    /// Of the delivered: arrived after a packet that was sent later (RFC 4737).
    pub reordered: u64,
    /// Losses in a row; null where nothing was lost.
    pub loss_runs: Option<LossRuns>,
    /// Copies among the packets that arrived; null where none did.
    pub duplication: Option<Duplication>,
    /// Distinct packets seen at each point, in the order of the points.
    pub seen: Vec<u64>,
    /// Where the lost packets were lost.
    pub lost_at: Vec<LostAt>,
    /// When packets that were lost had been sent, rising.
    #[serde(default)]
    pub lost_during: Vec<During>,
    /// Exact 95 % interval (Clopper-Pearson) of the loss ratio among the judged packets.
    pub loss_interval: Option<[f64; 2]>,
    /// What the sender's operating system refused.
    pub refused: Vec<Refusal>,
    /// ICMP errors that quote packets of this number.
    pub icmp: Vec<IcmpEvidence>,
    /// What was changed on the way.
    pub changes: Vec<Change>,
    /// Delay from the first point to the last over the delivered packets.
    pub delay_ns: Option<Delay>,
    /// The number beside the control; null for the control itself, and where none arrived.
    pub against_control: Option<AgainstControl>,
    /// How many more packets would make the verdict certain if they fared like these; null where it
    /// is certain, and where no number of them would.
    pub more_packets: Option<u64>,
    /// The judged packets by HDP's ports at the first point that saw them, where some were lost and
    /// several pairs of ports were used; else empty.
    pub flows: Vec<PortPair>,
    /// What the verdict rests on that nothing shows; null where it needs no such thing.
    #[serde(default)]
    pub assumes: Option<Assumes>,
    /// The rule that gave the verdict.
    pub rule: Rule,
    /// What the verdict rests on. JSON has it in words too, as `reasons`.
    #[serde(rename = "reasons_typed")]
    pub reasons: Vec<Reason>,
}

/// What must be true for a verdict to stand, though no packet shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assumes {
    /// The clocks of the points between which packets were lost are no farther apart, in nanoseconds.
    pub clock_error_ns: u64,
}

/// The packets of one number that had the same ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortPair {
    /// HDP source port.
    pub srcport: u16,
    /// HDP destination port.
    pub dstport: u16,
    /// Delivered and lost ones.
    pub packets: u64,
    /// The lost ones.
    pub lost: u64,
}

/// Runs of lost packets with none delivered between them, in the order of sending, among packets
/// of one flow: with the same addresses and ports (RFC 3357).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossRuns {
    /// How many runs, of one packet or more.
    pub count: u64,
    /// Packets in the longest.
    pub longest: u64,
}

/// Copies of packets at the last point (RFC 5560).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Duplication {
    /// Extra copies for each packet that arrived (section 5.1).
    pub fraction: f64,
    /// The share of the packets that arrived more than once (section 5.2).
    pub replicated: f64,
}

/// HDP straight on IP beside HDP in UDP that went the same way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AgainstControl {
    /// Median delay less the control's median; null where nothing arrived.
    pub median_difference_ns: Option<i64>,
    /// The chance of delays at least so different if there were no difference (Mann and Whitney
    /// 1947, two-sided); null where nothing arrived.
    pub p_value: Option<f64>,
    /// The share of the control's judged packets that was lost.
    pub loss_control: f64,
}

/// What the path does to a protocol number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All judged packets arrived.
    Passes,
    /// Some were lost.
    Lossy,
    /// All judged packets were lost.
    Blocked,
    /// The first ones passed, then none.
    CutOff,
    /// The sender's operating system took none.
    Refused,
    /// Nothing could be judged.
    Inconclusive,
}

impl Verdict {
    /// As JSON names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passes => "passes",
            Self::Lossy => "lossy",
            Self::Blocked => "blocked",
            Self::CutOff => "cut_off",
            Self::Refused => "refused",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// How sure a verdict is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// An errno, an ICMP error, or p < 0.001 against the losses of the other numbers.
    Certain,
    /// p < 0.05.
    Likely,
    /// Fewer packets than that takes.
    Weak,
}

impl Grade {
    /// As JSON names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Likely => "likely",
            Self::Weak => "weak",
        }
    }
}

/// Packets lost between two points, neighbours unless the ones between were not watching.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostAt {
    /// The last point that saw them.
    pub from: String,
    /// The first point after it that was watching and did not see them.
    pub to: String,
    /// How many.
    pub count: u64,
    /// Of these, those that a drop witness recorded, and the rules that took them.
    #[serde(default)]
    pub witness: Vec<Witnessed>,
    /// The farthest router between the two that answered packets of the number whose TTL ran out, as those of a
    /// trace do: the others went at least as far. Null where none did, and where the number was lost on
    /// several stretches.
    #[serde(default)]
    pub last_hop: Option<LastHop>,
}

/// A router that a number's packets came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastHop {
    /// How many hops it lies behind the sender.
    pub hop: u8,
    /// Where its answers came from.
    pub address: String,
}

/// Packets that were first seen within a stretch of time, on the clock of the point that saw them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct During {
    /// The first nanosecond of it.
    pub from_ns: i64,
    /// The last; stretches of many packets are longer, so that there are few.
    pub to_ns: i64,
    /// How many packets.
    pub count: u64,
}

/// Packets that a rule took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witnessed {
    /// By which rule.
    #[serde(flatten)]
    pub by: WitnessRule,
    /// How many.
    pub count: u64,
}

/// A rule of a packet filter, as it logged what it took.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WitnessRule {
    /// The drop witness's name.
    pub witness: String,
    /// The prefix that the rule logs with.
    pub rule: String,
    /// The hook that it is in: `forward`, `input`, ...; null where the record does not say.
    pub hook: Option<String>,
    /// The index of the interface that the packets came in by, as `ip link` numbers them on that
    /// host; null where the record does not say, as of packets that the host itself sent.
    pub in_interface: Option<u32>,
    /// The index of the one that they were to go out by; null before that is decided.
    pub out_interface: Option<u32>,
}

/// Packets of which nobody knows whether they came to a point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeAt {
    /// The point.
    pub point: String,
    /// Why nobody knows.
    pub why: Absence,
    /// How many.
    pub count: u64,
}

/// Why nobody knows whether a packet came to a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Absence {
    /// The point was not watching.
    Unwatched,
    /// Nothing compares its clock with that of the point before.
    Unrelated,
    /// One of the two clocks was set at about that time.
    Unsettled,
    /// It could not have shown such packets, or did not tell them from others.
    CannotShow,
    /// It missed the packet: its destination answered.
    Missed,
    /// It is a listener that had no socket open for such packets.
    Unheard,
}

/// A system call that refused a protocol number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The number that was asked for.
    pub requested: u16,
    /// `socket` or `sendto`.
    pub call: String,
    /// The error number on the sender's system.
    pub errno: i32,
    /// Its symbol, such as `EPROTONOSUPPORT`.
    pub name: String,
    /// How often.
    pub count: u64,
}

/// ICMP errors of one kind from one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IcmpEvidence {
    /// Who sent them.
    pub from: String,
    /// ICMP or `ICMPv6` type.
    #[serde(rename = "type")]
    pub icmp_type: u8,
    /// Code within the type.
    pub code: u8,
    /// The two in words.
    pub meaning: String,
    /// How many errors there were, each once however many points saw it; as many as the point
    /// shows that saw most, where 8-byte quotes do not tell them apart.
    pub count: u64,
    /// Whether they say that the packet went no further; not so a redirect.
    pub refuses: bool,
    /// How many lost packets they answer; the others are about packets that were not lost, or not
    /// seen.
    pub answered: u64,
    /// How the packets looked to the host that quotes them, before anything on the way back
    /// translated the quote; a member in which they differ is null.
    pub quoted: Quoted,
    /// From a lost packet's passing the sender's capture to the error's: one clock, the whole way.
    /// Null where no error about a lost packet passed it, or 8 bytes do not tell which packet's.
    pub rtt_ns: Option<RoundTrip>,
    /// The points that saw any of the errors, in path order: the host lies beyond all of them.
    pub seen_at: Vec<String>,
}

impl IcmpEvidence {
    /// Whether they say that a TTL or hop limit ran out (not: that fragments came too late).
    #[must_use]
    pub fn is_expiry(&self) -> bool {
        let is_v6 = self.from.contains(':');
        matches!(
            (is_v6, self.icmp_type, self.code),
            (false, 11, 0) | (true, 3, 0)
        )
    }
}

/// A packet's IP header as an ICMP error quotes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quoted {
    /// TTL or hop limit there.
    pub ttl: Option<u8>,
    /// How much lower that is than at the sender's capture.
    pub hops: Option<u8>,
    /// Source address there.
    pub source: Option<String>,
    /// Destination address there.
    pub destination: Option<String>,
    /// Differentiated services code point there.
    pub dscp: Option<u8>,
    /// Explicit congestion notification there.
    pub ecn: Option<u8>,
}

/// Round-trip times in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundTrip {
    /// The shortest.
    pub min: i64,
    /// The median.
    pub p50: i64,
}

/// A field that was changed between two points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which field: `source_address`, `ttl`, ...
    pub field: String,
    /// The value before.
    pub from: String,
    /// The value after.
    pub to: String,
    /// Of `ttl`, by how much it is lower; null of other fields.
    #[serde(default)]
    pub hops: Option<i16>,
    /// The two points.
    pub between: [String; 2],
    /// In how many packets.
    pub count: u64,
    /// What most likely did it, where the number's own protocol or the values say; null elsewhere.
    /// JSON has it in words too, as `explanation`.
    pub cause: Option<Cause>,
}

impl Change {
    /// The value before of what is not kept: a timestamp, a payload.
    pub const AS_SENT: &str = "as sent";
    /// The value after of a payload.
    pub const ALTERED: &str = "altered";
    /// The value of a fragmented packet's `fragmentation`.
    pub const FIRST_FRAGMENT: &str = "first fragment";
    /// That of a packet in one piece.
    pub const WHOLE: &str = "whole";

    /// The value after of a timestamp, by HDP's bytes that differ.
    pub(crate) fn altered_bytes(first: u32, last: u32) -> String {
        if first == last {
            format!("byte {first} altered")
        } else {
            format!("bytes {first}-{last} altered")
        }
    }
}

/// Exact quantiles of the delay in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delay {
    /// The smallest.
    pub min: i64,
    /// The median.
    pub p50: i64,
    /// The 90th percentile.
    pub p90: i64,
    /// The 99th percentile.
    pub p99: i64,
    /// The largest.
    pub max: i64,
    /// What the delays are counted from.
    pub reference: DelayReference,
    /// The same over the lost and late packets too, which take for ever.
    pub with_lost: WithLost,
}

/// Exact quantiles of the delay with what never came in time counted as infinite (RFC 7679,
/// section 4.1); infinite is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithLost {
    /// The median.
    pub p50: Option<i64>,
    /// The 90th percentile.
    pub p90: Option<i64>,
    /// The 99th percentile.
    pub p99: Option<i64>,
}

/// What delays are counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DelayReference {
    /// From sending: the clocks' offset is known.
    Absolute,
    /// From the smallest delay of any number in this direction: the clocks are unrelated.
    Minimum,
}

impl DelayReference {
    /// As JSON names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Absolute => "absolute",
            Self::Minimum => "minimum",
        }
    }
}

/// One packet's fate, as `--packets` writes it, one JSON object per line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// The sender's end of the direction it went.
    pub from: Arc<str>,
    /// The receiver's end.
    pub to: Arc<str>,
    /// The identity: HDP's timestamp.
    pub timestamp_ns: u64,
    /// The number on the wire.
    pub protocol: u8,
    /// What HDP rode on.
    pub carrier: Carrier,
    /// HDP source port where it was first seen.
    pub srcport: u16,
    /// HDP destination port where it was first seen.
    pub dstport: u16,
    /// Bytes behind the HDP header where it was first seen.
    pub payload_len: u32,
    /// What became of it.
    pub fate: Fate,
    /// The stretch in which it was lost, or null.
    pub lost_at: Option<[Arc<str>; 2]>,
    /// For a lost packet and one at the edge: where it should have been seen next, and when.
    pub expected: Option<Expected>,
    /// Of a packet that arrived and was seen at the first point: its delay from there to the last,
    /// counted as [`Protocol::delay_ns`] is; null of all others.
    pub delay_ns: Option<i64>,
    /// Arrived after a packet that was sent later.
    pub reordered: bool,
    /// HDP's bytes or the protocol number differ between points.
    pub altered: bool,
    /// One entry a point that saw it, in the order of the points.
    pub seen: Vec<PacketSighting>,
}

/// Where and when a packet should have been seen that was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// The point behind the last one that saw it.
    pub point: Arc<str>,
    /// From when on it should have come by, on that point's clock, guard band included; null where
    /// nothing relates the clock to that of the point before.
    pub from_ns: Option<i64>,
    /// Until when.
    pub to_ns: Option<i64>,
    /// The point is a listener that had no socket open for the number.
    pub unheard: bool,
}

/// Where one packet was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketSighting {
    /// The point's name.
    pub point: Arc<str>,
    /// Frame number in the capture, line number in a log, counted from 1.
    pub frame: u64,
    /// Capture time on the point's own clock.
    pub time_ns: i64,
    /// Source address there.
    pub src: Arc<str>,
    /// Destination address there.
    pub dst: Arc<str>,
    /// TTL or hop limit there.
    pub ttl: u8,
    /// Copies beyond the first.
    pub duplicates: u32,
}

/// What became of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Seen at the last point.
    Delivered,
    /// Lost in a segment.
    Lost,
    /// Too near the start or end of the common window.
    Edge,
    /// Arrived after the wait time.
    Late,
    /// Not to be told from another packet.
    Ambiguous,
    /// Sent with a TTL that could not suffice.
    Expired,
}

impl Fate {
    /// As JSON names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Lost => "lost",
            Self::Edge => "edge",
            Self::Late => "late",
            Self::Ambiguous => "ambiguous",
            Self::Expired => "expired",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Fate::{Ambiguous, Delivered, Edge, Expired, Late, Lost},
        Verdict::{Blocked, CutOff, Inconclusive, Lossy, Passes, Refused},
        *,
    };

    #[test]
    fn names_are_those_of_json() {
        fn named<T: Serialize>(all: &[(T, &str)]) {
            for (value, name) in all {
                assert_eq!(serde_json::to_value(value).unwrap(), *name);
            }
        }
        let verdicts = [Passes, Lossy, Blocked, CutOff, Refused, Inconclusive];
        named(&verdicts.map(|verdict| (verdict, verdict.name())));
        named(&[Grade::Certain, Grade::Likely, Grade::Weak].map(|grade| (grade, grade.name())));
        let fates = [Delivered, Lost, Edge, Late, Ambiguous, Expired];
        named(&fates.map(|fate| (fate, fate.name())));
        named(&[Carrier::Ip, Carrier::Udp].map(|carrier| (carrier, carrier.name())));
        let references = [DelayReference::Absolute, DelayReference::Minimum];
        named(&references.map(|reference| (reference, reference.name())));
    }
}
