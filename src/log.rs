//! Logs of `hdp send` and `hdp listen`: JSON Lines, written as packets go, readable as
//! observation points.
//!
//! | line | type | told by |
//! | --- | --- | --- |
//! | first | [`Start`] | begins with `{"hdp_log":` |
//! | one a packet | [`SentPacket`] or [`ReceivedPacket`] | neither |
//! | last | [`End`] | begins with `{"hdp_log_end":` |
//!
//! A log without its last line was cut: what it holds is true, but when the run ended, and what
//! was not seen, it does not say. Members may be added; a reader passes over those it does not
//! know. Unknown is `null`.
//!
//! The same types serve writer and reader. A packet's line is written without allocating.

use std::{
    fmt::{self, Write as _},
    fs, io,
    net::IpAddr,
};

use arrayvec::{ArrayString, ArrayVec};
use nix::errno::Errno;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::protocols::Carrier;

/// The value of [`Origin::schema_version`].
pub const SCHEMA_VERSION: u32 = 1;

/// How many bytes of the payload a line holds: as many as tell packets apart when points are
/// compared.
pub const PREFIX_LEN: usize = 64;

/// The first line: whose log it is and what was meant to happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "hdp_log", rename_all = "snake_case")]
pub enum Start {
    /// Of `hdp send`: lines are [`SentPacket`]s.
    Send(SendStart),
    /// Of `hdp listen`: lines are [`ReceivedPacket`]s.
    Listen(ListenStart),
}

impl Start {
    /// Where and when.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        match self {
            Self::Send(start) => &start.origin,
            Self::Listen(start) => &start.origin,
        }
    }
}

/// Where and when a log began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Raised when a member changes its meaning, not when one is added.
    pub schema_version: u32,
    /// `hdp X.Y.Z`.
    pub generator: String,
    /// The host's own name.
    pub host: Option<String>,
    /// Linux's identity of the running kernel: logs with the same one read the same clock,
    /// whatever their hosts, containers or namespaces are called.
    pub boot_id: Option<String>,
    /// When the sockets were open, ns since the Unix epoch.
    pub started_ns: i64,
}

impl Origin {
    /// This host, at this time.
    #[must_use]
    pub fn here(started_ns: i64) -> Self {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
        Self {
            schema_version: SCHEMA_VERSION,
            generator: concat!("hdp ", env!("CARGO_PKG_VERSION")).to_owned(),
            host: nix::unistd::gethostname()
                .ok()
                .and_then(|name| name.into_string().ok()),
            boot_id: boot_id.ok().map(|id| id.trim().to_owned()),
            started_ns,
        }
    }
}

/// What a sender is about to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendStart {
    /// Where and when.
    #[serde(flatten)]
    pub origin: Origin,
    /// Where to.
    pub destination: IpAddr,
    /// Packets that the schedule has, with controls, without heartbeats.
    pub planned: u64,
    /// What each round's order was drawn from; `null` where the numbers went in rising order.
    #[serde(default)]
    pub seed: Option<u64>,
}

/// What a listener listens to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenStart {
    /// Where and when.
    #[serde(flatten)]
    pub origin: Origin,
    /// Requested numbers, rising. The control is always listened to.
    pub protocols: Vec<u16>,
    /// IP versions that were requested: 4, 6.
    pub versions: Vec<u8>,
    /// Requested numbers that this system does not hand over. That such a packet was not received
    /// says nothing of its arrival.
    pub unavailable: Vec<Unavailable>,
}

/// A number that the system does not hand to a raw socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unavailable {
    /// IP version: 4 or 6.
    pub version: u8,
    /// The number.
    pub protocol: u16,
    /// The call that failed.
    pub call: Call,
    /// Its error number on the listening system.
    pub errno: i32,
    /// Its symbol.
    pub name: Symbol,
}

/// A packet that was to be sent.
///
/// It was taken by the system if `errno` is null; otherwise nothing left, and `call`, `errno` and
/// `name` say why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentPacket {
    /// The number that was asked for, which may exceed 255; 17 for the control.
    pub requested: u16,
    /// The number in the IP header; `null` where nothing was sent.
    pub protocol: Option<u8>,
    /// What HDP rides on: `udp` is the control.
    pub carrier: Carrier,
    /// The call that failed.
    pub call: Option<Call>,
    /// Its error number on the sending system.
    pub errno: Option<i32>,
    /// Its symbol, such as `EPERM`.
    pub name: Option<Symbol>,
    /// The sender's clock immediately before the call, ns since the Unix epoch: HDP's timestamp.
    /// Where no call was made because there is no socket, when the packet's turn came.
    pub timestamp_ns: u64,
    /// Source address; `null` where the system had no route, and so none to give.
    pub src: Option<IpAddr>,
    /// Destination address.
    pub dst: IpAddr,
    /// HDP source port.
    pub srcport: u16,
    /// HDP destination port.
    pub dstport: u16,
    /// TTL or hop limit.
    pub ttl: Option<u8>,
    /// Differentiated services code point.
    pub dscp: u8,
    /// Payload length in bytes.
    pub payload_len: u32,
    /// Length of the IP datagram with its header, in bytes, before any fragmentation.
    pub byte_sum: u32,
    /// The payload's first [`PREFIX_LEN`] bytes.
    pub payload: Prefix,
}

impl SentPacket {
    /// The names of the members, in order.
    pub const FIELDS: [&str; 16] = [
        "requested",
        "protocol",
        "carrier",
        "call",
        "errno",
        "name",
        "timestamp_ns",
        "src",
        "dst",
        "srcport",
        "dstport",
        "ttl",
        "dscp",
        "payload_len",
        "byte_sum",
        "payload",
    ];
}

/// A packet that a listener received, or its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedPacket {
    /// Whether it came in or is an answer that went out.
    pub direction: Direction,
    /// When the kernel received it, ns since the Unix epoch; of an answer, its timestamp.
    pub time_ns: i64,
    /// The number in the IP header.
    pub protocol: u8,
    /// What HDP rode on: `udp` is the control.
    pub carrier: Carrier,
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// TTL or hop limit.
    pub ttl: Option<u8>,
    /// Differentiated services code point.
    pub dscp: Option<u8>,
    /// Explicit congestion notification.
    pub ecn: Option<u8>,
    /// IPv4 identification.
    pub ip_id: Option<u16>,
    /// HDP source port.
    pub srcport: u16,
    /// HDP destination port.
    pub dstport: u16,
    /// HDP's timestamp.
    pub timestamp_ns: u64,
    /// Payload length in bytes.
    pub payload_len: u32,
    /// Length of the IP datagram with its header, in bytes. IPv6 raw sockets are given no IP
    /// header: there it is 40 + what they were given.
    pub byte_sum: u32,
    /// The payload's first [`PREFIX_LEN`] bytes.
    pub payload: Prefix,
    /// Packets of this number and IP version, HDP or not, that were lost since the one before
    /// because the socket's buffer was full.
    pub drops: u32,
}

impl ReceivedPacket {
    /// The names of the members, in order.
    pub const FIELDS: [&str; 17] = [
        "direction",
        "time_ns",
        "protocol",
        "carrier",
        "src",
        "dst",
        "ttl",
        "dscp",
        "ecn",
        "ip_id",
        "srcport",
        "dstport",
        "timestamp_ns",
        "payload_len",
        "byte_sum",
        "payload",
        "drops",
    ];
}

/// Which way a packet crossed the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Received.
    In,
    /// An answer.
    Out,
}

/// The last line: the run ended on purpose, and this is what it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "hdp_log_end", rename_all = "snake_case")]
pub enum End {
    /// Of `hdp send`.
    Send(SendEnd),
    /// Of `hdp listen`.
    Listen(ListenEnd),
}

/// What a sender did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendEnd {
    /// When it ended, ns since the Unix epoch.
    pub ended_ns: i64,
    /// Packets that the system took, with controls.
    pub sent: u64,
    /// Packets that it did not take.
    pub refused: u64,
    /// Whether it ended before the schedule did.
    pub interrupted: bool,
}

/// What a listener received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenEnd {
    /// When it stopped listening, ns since the Unix epoch.
    pub ended_ns: i64,
    /// HDP packets, each with its line.
    pub received: u64,
    /// Datagrams that are not HDP.
    pub not_hdp: u64,
    /// Answers that were sent, each with its line.
    pub answered: u64,
    /// Packets lost because a socket's buffer was full: the sum of `drops`. `null` where the
    /// system does not say.
    pub capture_drops: Option<u64>,
    /// The numbers whose sockets lost packets.
    pub drops: Vec<Drops>,
}

/// The symbol of an error number, such as `EPROTONOSUPPORT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Symbol(#[serde(deserialize_with = "symbol")] ArrayString<24>);

impl Symbol {
    pub(crate) fn of(errno: Errno) -> Self {
        let mut symbol = ArrayString::new();
        // Only a symbol longer than any there is would be cut.
        let _ = write!(symbol, "{errno:?}");
        Self(symbol)
    }
}

/// What another program wrote; what is no symbol is cut.
fn symbol<'de, D: Deserializer<'de>>(from: D) -> Result<ArrayString<24>, D::Error> {
    let text = ArrayString::<24>::deserialize(from)?;
    let is_part = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let mut symbol = ArrayString::new();
    for c in text.chars().take_while(is_part) {
        symbol.push(c);
    }
    Ok(symbol)
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The system calls on a packet's way out or in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Call {
    /// Opening the socket.
    Socket,
    /// Setting what is asked of it.
    SetSockOpt,
    /// Taking the source address or port.
    Bind,
    /// Sending.
    SendTo,
}

impl Call {
    /// The call as the manual's section 2 names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::SetSockOpt => "setsockopt",
            Self::Bind => "bind",
            Self::SendTo => "sendto",
        }
    }
}

/// What one socket lost because its buffer was full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drops {
    /// IP version: 4 or 6.
    pub version: u8,
    /// The number.
    pub protocol: u8,
    /// Packets, HDP or not.
    pub count: u64,
}

/// Writes one line.
///
/// # Errors
/// Those of `out`.
pub fn write_line(out: &mut impl io::Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// The first bytes of a payload, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prefix(ArrayVec<u8, PREFIX_LEN>);

impl Prefix {
    /// The first bytes of this payload.
    #[must_use]
    pub fn of(payload: &[u8]) -> Self {
        Self(payload.iter().copied().take(PREFIX_LEN).collect())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = ArrayString::<{ 2 * PREFIX_LEN }>::new();
        for byte in &self.0 {
            // There is room for all.
            let _ = write!(text, "{byte:02x}");
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Hexadecimal)
    }
}

struct Hexadecimal;

impl de::Visitor<'_> for Hexadecimal {
    type Value = Prefix;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "up to {PREFIX_LEN} bytes in hexadecimal")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Prefix, E> {
        let invalid = || E::invalid_value(de::Unexpected::Str(text), &self);
        let digit = |digit: u8| char::from(digit).to_digit(16).ok_or_else(invalid);
        let mut bytes = ArrayVec::new();
        for pair in text.as_bytes().chunks(2) {
            let &[high, low] = pair else {
                return Err(invalid());
            };
            let byte = digit(high)? << 4 | digit(low)?;
            bytes
                .try_push(byte.to_le_bytes()[0])
                .map_err(|_| invalid())?;
        }
        Ok(Prefix(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin {
            schema_version: 1,
            generator: "hdp 0.1.0".to_owned(),
            host: Some("client".to_owned()),
            boot_id: None,
            started_ns: 1_790_000_000_000_000_000,
        }
    }

    fn line(value: &impl Serialize) -> String {
        let mut line = Vec::new();
        write_line(&mut line, value).unwrap();
        String::from_utf8(line).unwrap()
    }

    fn sent() -> SentPacket {
        SentPacket {
            requested: 256,
            protocol: Some(0),
            carrier: Carrier::Ip,
            call: None,
            errno: None,
            name: None,
            timestamp_ns: 1_790_000_000_123_456_789,
            src: Some([10, 77, 1, 2].into()),
            dst: [10, 77, 2, 2].into(),
            srcport: 420,
            dstport: 420,
            ttl: Some(64),
            dscp: 0,
            payload_len: 3,
            byte_sum: 35,
            payload: Prefix::of(b"moo"),
        }
    }

    fn received() -> ReceivedPacket {
        ReceivedPacket {
            direction: Direction::In,
            time_ns: 1_790_000_000_123_500_000,
            protocol: 253,
            carrier: Carrier::Ip,
            src: "fd77:1::2".parse().unwrap(),
            dst: "fd77:2::2".parse().unwrap(),
            ttl: Some(63),
            dscp: Some(0),
            ecn: Some(0),
            ip_id: None,
            srcport: 420,
            dstport: 420,
            timestamp_ns: 1_790_000_000_123_456_789,
            payload_len: 3,
            byte_sum: 55,
            payload: Prefix::of(b"moo"),
            drops: 0,
        }
    }

    #[test]
    fn a_senders_log_is_what_scripts_rely_on() {
        let start = Start::Send(SendStart {
            origin: origin(),
            destination: [10, 77, 2, 2].into(),
            planned: 257,
            seed: Some(7),
        });
        assert_eq!(
            line(&start),
            "{\"hdp_log\":\"send\",\"schema_version\":1,\"generator\":\"hdp 0.1.0\",\
             \"host\":\"client\",\"boot_id\":null,\"started_ns\":1790000000000000000,\
             \"destination\":\"10.77.2.2\",\"planned\":257,\"seed\":7}\n"
        );
        assert_eq!(
            line(&sent()),
            "{\"requested\":256,\"protocol\":0,\"carrier\":\"ip\",\"call\":null,\"errno\":null,\
             \"name\":null,\"timestamp_ns\":1790000000123456789,\"src\":\"10.77.1.2\",\
             \"dst\":\"10.77.2.2\",\"srcport\":420,\"dstport\":420,\"ttl\":64,\"dscp\":0,\
             \"payload_len\":3,\"byte_sum\":35,\"payload\":\"6d6f6f\"}\n"
        );
        let end = End::Send(SendEnd {
            ended_ns: 1_790_000_001_000_000_000,
            sent: 256,
            refused: 1,
            interrupted: false,
        });
        assert_eq!(
            line(&end),
            "{\"hdp_log_end\":\"send\",\"ended_ns\":1790000001000000000,\"sent\":256,\
             \"refused\":1,\"interrupted\":false}\n"
        );
        assert_eq!(serde_json::from_str::<Start>(&line(&start)).unwrap(), start);
        assert_eq!(serde_json::from_str::<End>(&line(&end)).unwrap(), end);
    }

    #[test]
    fn a_listeners_log_is_what_scripts_rely_on() {
        let start = Start::Listen(ListenStart {
            origin: origin(),
            protocols: vec![0, 253],
            versions: vec![4],
            unavailable: vec![Unavailable {
                version: 4,
                protocol: 0,
                call: Call::Socket,
                errno: 93,
                name: Symbol::of(nix::errno::Errno::EPROTONOSUPPORT),
            }],
        });
        assert_eq!(
            line(&start),
            "{\"hdp_log\":\"listen\",\"schema_version\":1,\"generator\":\"hdp 0.1.0\",\
             \"host\":\"client\",\"boot_id\":null,\"started_ns\":1790000000000000000,\
             \"protocols\":[0,253],\"versions\":[4],\"unavailable\":[{\"version\":4,\
             \"protocol\":0,\"call\":\"socket\",\"errno\":93,\"name\":\"EPROTONOSUPPORT\"}]}\n"
        );
        assert_eq!(
            line(&received()),
            "{\"direction\":\"in\",\"time_ns\":1790000000123500000,\"protocol\":253,\
             \"carrier\":\"ip\",\"src\":\"fd77:1::2\",\"dst\":\"fd77:2::2\",\"ttl\":63,\
             \"dscp\":0,\"ecn\":0,\"ip_id\":null,\"srcport\":420,\"dstport\":420,\
             \"timestamp_ns\":1790000000123456789,\"payload_len\":3,\"byte_sum\":55,\
             \"payload\":\"6d6f6f\",\"drops\":0}\n"
        );
        let end = End::Listen(ListenEnd {
            ended_ns: 1_790_000_001_000_000_000,
            received: 9,
            not_hdp: 2,
            answered: 0,
            capture_drops: Some(3),
            drops: vec![Drops {
                version: 4,
                protocol: 253,
                count: 3,
            }],
        });
        assert_eq!(
            line(&end),
            "{\"hdp_log_end\":\"listen\",\"ended_ns\":1790000001000000000,\"received\":9,\
             \"not_hdp\":2,\"answered\":0,\"capture_drops\":3,\"drops\":[{\"version\":4,\
             \"protocol\":253,\"count\":3}]}\n"
        );
        assert_eq!(serde_json::from_str::<Start>(&line(&start)).unwrap(), start);
        assert_eq!(serde_json::from_str::<End>(&line(&end)).unwrap(), end);
    }

    #[test]
    fn packets_read_back_and_the_fields_are_the_members_in_order() {
        let (sent, received) = (sent(), received());
        assert_eq!(
            serde_json::from_str::<SentPacket>(&line(&sent)).unwrap(),
            sent
        );
        assert_eq!(
            serde_json::from_str::<ReceivedPacket>(&line(&received)).unwrap(),
            received
        );
        assert_eq!(members(sent), SentPacket::FIELDS);
        assert_eq!(members(received), ReceivedPacket::FIELDS);
    }

    fn members(record: impl Serialize) -> Vec<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.serialize(record).unwrap();
        let table = writer.into_inner().unwrap();
        let mut reader = csv::Reader::from_reader(table.as_slice());
        reader
            .headers()
            .unwrap()
            .iter()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn a_payload_is_held_up_to_its_64th_byte() {
        assert_eq!(Prefix::of(&[1; 100]).as_bytes(), [1; 64]);
        for wrong in ["\"0\"", "\"0g\"", &format!("\"{}\"", "00".repeat(65)), "7"] {
            assert!(serde_json::from_str::<Prefix>(wrong).is_err(), "{wrong}");
        }
    }
}
