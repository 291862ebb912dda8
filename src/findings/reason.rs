//! Reasons: what a verdict rests on, as data.
//!
//! Each has a `kind` and its figures. Words are made from them in [`crate::report`].

use serde::{Deserialize, Serialize};

use super::{PointKind, PortPair};

/// The rule that gave a verdict: a stable identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// All judged packets arrived.
    AllArrived,
    /// A single packet arrived.
    OnlyOneArrived,
    /// Some arrived and some were lost.
    SomeLost,
    /// Some were lost, and a listener had no socket open for the others.
    SomeLostSomeUnheard,
    /// Some were lost, and others came beyond where these were, to a point that could not tell.
    SomeLostSomeUnjudged,
    /// All judged packets were lost.
    AllLost,
    /// All packets were lost if two clocks agree that nothing compares.
    AllLostByTheClocks,
    /// All packets were lost while everything else was.
    OnlyDeadTimes,
    /// All that were sent before the first loss arrived, and none after it.
    NoneAfterFirstLoss,
    /// The sender's system took none.
    SenderRefused,
    /// No packet could be judged.
    NothingJudged,
}

/// One thing that a verdict rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reason {
    /// A single packet arrived: the first may get through where later ones do not.
    OnlyOnePacket,
    /// The sender's operating system refused the number.
    Refused {
        /// The number that was asked for.
        requested: u16,
        /// The system call.
        call: String,
        /// The error number.
        errno: i32,
        /// Its symbol.
        name: String,
        /// How often.
        count: u64,
    },
    /// Over IPv6 the number is an extension header (RFC 7045), which kernels and routers act on.
    Ipv6ExtensionHeader,
    /// A host answered lost packets with an ICMP error.
    IcmpAnswer {
        /// The host.
        from: String,
        /// 4 or 6.
        version: u8,
        /// ICMP or `ICMPv6` type.
        #[serde(rename = "type")]
        icmp_type: u8,
        /// Code within the type.
        code: u8,
        /// How many lost packets it answered.
        answered: u64,
        /// How many were lost.
        lost: u64,
        /// What the error is about, where that is not the number.
        about: Option<NotTheNumber>,
    },
    /// Some pairs of ports lost all their packets, the others next to none.
    FlowNotNumber {
        /// The pairs that lost all.
        lost: Vec<PortPair>,
        /// The others.
        came: Vec<PortPair>,
    },
    /// Packets were seen at one point and not at the other.
    SeenAndNot {
        /// The last point that saw them.
        from: String,
        /// The first that was watching and did not.
        to: String,
        /// How many.
        count: u64,
    },
    /// A drop witness recorded lost packets, and the rule that took them.
    DroppedBy {
        /// The witness.
        witness: String,
        /// The rule's prefix.
        rule: String,
        /// The hook that it is in.
        hook: Option<String>,
        /// How many.
        count: u64,
    },
    /// Some fragments of a packet came, one did not.
    MissingFragment {
        /// Where the others came.
        point: String,
        /// Offset of the first missing byte of the IP payload.
        from_byte: u32,
        /// Of how many packets.
        count: u64,
    },
    /// Where the first lost packet was seen last.
    FirstLost {
        /// The point.
        point: String,
        /// What kind of record it is.
        record: PointKind,
        /// Frame or line number.
        number: u64,
    },
    /// A point behind the loss saw ICMP errors about the packets: they came that far.
    AnsweredBeyond {
        /// The point.
        point: String,
        /// How many packets.
        count: u64,
    },
    /// A capture dropped frames itself, and which is unknown.
    CaptureDropped {
        /// The capture.
        point: String,
        /// How many frames.
        frames: u64,
    },
    /// A listener had no socket open for the number.
    Unheard {
        /// The listener.
        point: String,
        /// How many packets cannot be judged there.
        count: u64,
    },
    /// A listener's socket was full.
    SocketFull {
        /// The listener.
        point: String,
        /// How many packets it lost.
        count: u64,
    },
    /// The first packets passed, then none.
    FirstPassed {
        /// How many passed.
        count: u64,
    },
    /// No other number arrived to compare with.
    NothingToCompare,
    /// No packet compares two clocks, and the verdict stands only if they agree.
    IfClocksAgree {
        /// The point that saw the packets last.
        from: String,
        /// The one that did not.
        to: String,
        /// How far the clocks may be apart, in nanoseconds.
        within_ns: u64,
    },
    /// Packets were lost while nothing else crossed either: the path was down.
    DeadTime {
        /// How many.
        count: u64,
    },
    /// Numbers that lose packets alike, beside which the number's own losses may be chance.
    SharedLimit {
        /// The numbers.
        numbers: Vec<u16>,
        /// Lost packets of all of them.
        lost: u64,
        /// Of so many judged.
        packets: u64,
    },
    /// All losses were in a row with those of other numbers sent next to it: a gap in time and the loss
    /// of these numbers look alike.
    LostInARowWithOthers,
    /// The losses came at equal intervals, as where each round is sent in the same order: what the packets
    /// before it in the round use up, such as a rate limit, would lose it as often as a filter.
    LostAtEqualIntervals,
    /// More packets could not be judged than were: what holds for a part of the time, such as a limit
    /// that was used up before, would look like a filter.
    MostlyUnjudged {
        /// Packets that could not be judged.
        unjudged: u64,
    },
    /// The losses beside those of others.
    Chance {
        /// Who the others are.
        #[serde(default)]
        others: Others,
        /// Lost packets.
        lost: u64,
        /// Of so many judged.
        packets: u64,
        /// Lost packets of the others.
        others_lost: u64,
        /// Of so many judged.
        others_packets: u64,
        /// The chance of so many losses if the number were like the others.
        chance: f64,
        /// Of how many numbers that is asked at once.
        asked: u64,
    },
    /// The destination answered packets that a capture before it missed.
    MissedByCapture {
        /// The capture.
        point: String,
        /// How many packets.
        count: u64,
    },
    /// The snapshot length is too small to recognise such packets.
    SnapshotTooShort {
        /// The capture.
        point: String,
        /// How many packets cannot be judged there.
        count: u64,
    },
    /// A point was not watching when packets should have come by.
    NotWatching {
        /// The point.
        point: String,
        /// How many packets.
        count: u64,
        /// Whether it may have been watching, and dropped frames.
        may_have_dropped: bool,
    },
    /// Nothing compares the clocks of two points.
    ClocksUnrelated {
        /// The point that saw the packets last.
        from: String,
        /// The point of which nobody knows when it should have seen them.
        to: String,
        /// How many.
        count: u64,
    },
    /// A clock was set at about the time when packets should have come by.
    ClockSetMeanwhile {
        /// The point.
        point: String,
        /// How many.
        count: u64,
    },
    /// A capture could not have shown such packets, or not told them from others.
    CannotShow {
        /// The capture.
        point: String,
        /// How many.
        count: u64,
    },
    /// Packets arrived after the wait time.
    Late {
        /// How many.
        count: u64,
    },
    /// Packets cannot be distinguished from others with the same key.
    Ambiguous {
        /// How many.
        count: u64,
    },
    /// Packets were sent with a TTL that could not suffice.
    Expired {
        /// How many.
        count: u64,
    },
    /// Others of the number, with a smaller TTL, came so far: there it ran out.
    RanOutAt {
        /// Hops from the first point that saw them.
        hop: u8,
        /// The router that said so.
        address: String,
    },
    /// Only an ICMP error quotes the number; no point saw the packet.
    OnlyQuoted,
    /// A translator left the packets with their private source.
    Untranslated {
        /// Where they came.
        point: String,
    },
}

/// What a number's losses are compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Others {
    /// The other numbers.
    #[default]
    Numbers,
    /// What is not HDP and went the same way, where no number arrived.
    Bystanders,
}

/// What an ICMP error is about that would have befallen any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotTheNumber {
    /// The packet's size.
    Size,
    /// Its TTL or hop limit.
    Ttl,
    /// Its destination address.
    Address,
}

/// What most likely changed a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// The class of service was cleared.
    DscpBleached,
    /// The class of service was set anew.
    DscpRemarked,
    /// A queue marked congestion (RFC 3168).
    CongestionMarked,
    /// The ECN bits were cleared.
    EcnBleached,
    /// One ECT codepoint became the other.
    EctRewritten,
    /// ECN bits were set, which no router should do (RFC 3168).
    EcnSet,
    /// The datagram was cut, by its IP header's own word.
    Cut,
    /// The datagram was lengthened, by its IP header's own word.
    Lengthened,
    /// Something took the packet for one of the number's own protocol, which keeps a field in these
    /// bytes of HDP.
    TakenFor {
        /// The protocol number.
        protocol: u8,
        /// What that protocol keeps there.
        keeps: Kept,
        /// The first byte, counted from the HDP header's first.
        first_byte: u8,
        /// The last.
        last_byte: u8,
    },
}

/// What a transport protocol keeps in its header that boxes on the path rewrite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// A checksum.
    Checksum,
    /// An identifier.
    Identifier,
    /// Its ports.
    Ports,
}
