//! Warnings: what a reader must know before trusting the findings, as data.

use serde::{Deserialize, Serialize};

/// One warning, with its figures. Words are made from it in [`crate::report`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Warning {
    /// A source reports something of itself, such as a cut or damage.
    Source {
        /// The capture or log.
        point: String,
        /// Its own words.
        message: String,
    },
    /// A capture holds no frame.
    NoFrames {
        /// The capture.
        point: String,
        /// Whether it states that it was watching all the same.
        was_watching: bool,
    },
    /// Frames of a link type that is not decoded.
    UnsupportedLink {
        /// The capture.
        point: String,
        /// How many frames.
        frames: u64,
        /// The link types.
        link_types: Vec<String>,
    },
    /// HDP packets without a capture time are left out.
    NoCaptureTime {
        /// The capture.
        point: String,
        /// How many packets.
        packets: u64,
    },
    /// All HDP packets were for other hosts.
    AllOverheard {
        /// The capture.
        point: String,
        /// How many packets.
        packets: u64,
    },
    /// All packets that may be HDP were cut before the end of its header.
    AllCutShort {
        /// The capture.
        point: String,
        /// How many packets.
        packets: u64,
    },
    /// None of the IP packets is HDP.
    NoHdp {
        /// The capture.
        point: String,
        /// How many IP packets.
        packets: u64,
    },
    /// More packets than bounded memory keeps.
    BoundedMemory,
    /// Bounded memory had no room for all that a capture tells of packets beside themselves.
    LeftOut {
        /// The capture.
        point: String,
        /// ICMP errors that are not looked at, nor counted.
        errors: u64,
        /// Packets that may go on as others whose timestamps something wrote into, no longer known.
        rewritten: u64,
    },
    /// Packets are ambiguous because bounded memory had no room to wait for them.
    NoRoomToWait {
        /// How many packets.
        packets: u64,
    },
    /// Packets came too late to know whether they are copies, and are left out.
    Stale {
        /// The point.
        point: String,
        /// How many packets.
        packets: u64,
    },
    /// The points are not in path order.
    Misplaced {
        /// The point that comes first.
        first: String,
        /// The point that comes after it.
        second: String,
        /// What shows it.
        sign: OrderSign,
        /// The captures in the order that the packets show.
        order: Vec<NamedSource>,
    },
    /// The TTL rises along the path.
    TtlRises {
        /// From this point ...
        from: String,
        /// ... to this one.
        to: String,
        /// In how many packets.
        packets: u64,
    },
    /// Two points saw packets at the very same times.
    SameTimes {
        /// One point.
        from: String,
        /// The other.
        to: String,
        /// How many packets.
        packets: u64,
    },
    /// One capture begins where another ends, and shows hosts at the same distance.
    GoesOn {
        /// The earlier one.
        from: String,
        /// The one that goes on.
        to: String,
    },
    /// All HDP goes against the order of the points.
    AgainstOrder {
        /// Where it comes from.
        from: String,
        /// Where it goes.
        to: String,
    },
    /// No packet was seen at both points, so their clocks cannot be compared.
    ClocksUnrelated {
        /// One point.
        from: String,
        /// The other.
        to: String,
        /// Whether the clocks are assumed to agree all the same (`--clock-error`).
        assumed: bool,
    },
    /// Packets look like HDP but for their timestamps, which lie alike far from their capture times, beyond
    /// the window: a clock is off.
    OffDate {
        /// The point.
        point: String,
        /// How many.
        packets: u64,
        /// How far their timestamps lie behind their capture times, in nanoseconds; negative: before.
        off_ns: i64,
    },
    /// Addresses are others than they were.
    Anonymized,
    /// Both points saw HDP of one sender, and no packet that the other saw: most likely they recorded
    /// different runs.
    OtherRun {
        /// One point.
        from: String,
        /// The other.
        to: String,
        /// How much later the other's record begins, by their own clocks, in nanoseconds.
        apart_ns: i64,
    },
    /// Packets of a sender, or answers to it, that passed no point before this one, though others did:
    /// they are not judged.
    OtherSender {
        /// The point.
        point: String,
        /// The sender's address.
        sender: String,
        /// How many.
        packets: u64,
    },
    /// A capture recorded nothing under some numbers, though such packets came by: it has no say about
    /// those, nor about others of which it recorded nothing.
    Unrecorded {
        /// The capture.
        point: String,
        /// The numbers that came by all the same.
        unrecorded: Vec<u8>,
        /// How many such packets at least.
        packets: u64,
        /// The numbers that it did record.
        recorded: Vec<u8>,
    },
    /// The times of a capture show that its clock is no good.
    ClockFault {
        /// The capture.
        point: String,
        /// What is wrong.
        fault: ClockFault,
        /// HDP packets that were recognised all the same.
        hdp: u64,
    },
    /// A clock was set, or the path changed as abruptly.
    ClockSet {
        /// One point.
        from: String,
        /// The other.
        to: String,
        /// How often.
        steps: u64,
    },
}

/// What is wrong with a capture's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum ClockFault {
    /// It was never set: it shows a date before there was HDP.
    NeverSet {
        /// Time of the first frame, in nanoseconds since the epoch.
        first_ns: i64,
    },
    /// All frames have the same time.
    StandsStill,
    /// It counts whole seconds, whatever unit the capture states.
    WholeSeconds,
}

/// What shows which of two points comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderSign {
    /// The first is the log of what was sent.
    SendLog,
    /// The second is the log of what was received.
    ListenLog,
    /// The TTL is higher at the first.
    Ttl,
    /// Packets leave their host at the first, or come in at the second and go no further.
    Stage,
}

/// A capture or log as it was given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NamedSource {
    /// Its point's name.
    pub name: String,
    /// The source as the user named it.
    pub source: String,
}
