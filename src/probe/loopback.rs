//! The article's first experiment as data: what was sent to this host itself, beside what was
//! received of it.
//!
//! Pure: it takes what [`super::Sender`] and [`super::Listener`] recorded, and opens nothing. Both
//! ends read one clock, so differences of their times are spans.

use std::net::IpAddr;

use serde::Serialize;

use crate::{
    log::{
        Call, Direction, Drops, ListenEnd, ListenStart, Origin, ReceivedPacket, SentPacket, Symbol,
    },
    protocols,
};

/// A sweep over this host itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loopback {
    /// Where and when.
    #[serde(flatten)]
    pub origin: Origin,
    /// The address that was sent to.
    pub address: IpAddr,
    /// One entry a requested number, in the order they were sent.
    pub numbers: Vec<Number>,
    /// Numbers of which a socket was full and lost packets.
    pub drops: Vec<Drops>,
}

/// What became of one requested number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Number {
    /// The number that was asked for.
    pub requested: u16,
    /// The number in the IP header; `null` where nothing was sent.
    pub protocol: Option<u8>,
    /// Source address as received.
    pub src: Option<IpAddr>,
    /// Length of the IP datagram as received, in bytes.
    pub byte_sum_received: Option<u32>,
    /// Whether it was received.
    pub received: bool,
    /// Whether the system took it.
    pub succeeded: bool,
    /// Length of the IP datagram as sent, in bytes.
    pub byte_sum_sent: Option<u32>,
    /// The call that failed.
    pub call: Option<Call>,
    /// Its error number.
    pub errno: Option<i32>,
    /// Its symbol.
    pub name: Option<Symbol>,
    /// From the timestamp to receiving, ns. Negative if the clock was set back in between.
    pub difference_ns: Option<i64>,
    /// At which stage it failed and why, as far as the system tells; `null` where it did not.
    pub failure: Option<String>,
}

impl Loopback {
    /// Sets beside each packet that was to be sent the one that was received.
    #[must_use]
    pub fn new(
        origin: Origin,
        address: IpAddr,
        sent: &[SentPacket],
        received: &[ReceivedPacket],
        listened: &ListenStart,
        ended: &ListenEnd,
    ) -> Self {
        let numbers = sent.iter().map(|sent| {
            let arrived = received.iter().find(|received| is_same(sent, received));
            Number {
                requested: sent.requested,
                protocol: sent.protocol,
                src: arrived.map(|arrived| arrived.src),
                byte_sum_received: arrived.map(|arrived| arrived.byte_sum),
                received: arrived.is_some(),
                succeeded: sent.errno.is_none(),
                byte_sum_sent: sent.protocol.map(|_| sent.byte_sum),
                call: sent.call,
                errno: sent.errno,
                name: sent.name,
                difference_ns: arrived.and_then(|arrived| difference(sent, arrived)),
                failure: match arrived {
                    Some(_) => None,
                    None => Some(why(sent, listened, ended)),
                },
            }
        });
        Self {
            origin,
            address,
            numbers: numbers.collect(),
            drops: ended.drops.clone(),
        }
    }
}

/// Whether this is the packet: the timestamp is its identity, the rest tells it from one of
/// somebody else's at the same nanosecond.
fn is_same(sent: &SentPacket, received: &ReceivedPacket) -> bool {
    received.direction == Direction::In
        && received.timestamp_ns == sent.timestamp_ns
        && Some(received.protocol) == sent.protocol
        && received.carrier == sent.carrier
        && received.payload == sent.payload
        && received.dst == sent.dst
}

fn difference(sent: &SentPacket, received: &ReceivedPacket) -> Option<i64> {
    received
        .time_ns
        .checked_sub(i64::try_from(sent.timestamp_ns).ok()?)
}

/// At which stage a packet ended.
fn why(sent: &SentPacket, listened: &ListenStart, ended: &ListenEnd) -> String {
    if let (Some(call), Some(errno), Some(name)) = (sent.call, sent.errno, sent.name) {
        let meaning = super::Refused::from_parts(call, errno).meaning();
        let meaning = meaning.map_or(String::new(), |meaning| format!(": {meaning}"));
        return format!("refused at {}: {name} ({errno}){meaning}", call.name());
    }
    let Some(protocol) = sent.protocol else {
        return "not sent".to_owned();
    };
    let version = if sent.dst.is_ipv4() { 4 } else { 6 };
    let sent_as = if u16::from(protocol) == sent.requested {
        "sent".to_owned()
    } else {
        let number = protocols::fold_with_keywords(&[protocol.into()]);
        format!("sent as {number}")
    };
    let unavailable = listened.unavailable.iter().find(|unavailable| {
        unavailable.version == version && unavailable.protocol == u16::from(protocol)
    });
    if let Some(unavailable) = unavailable {
        return format!(
            "{sent_as}, not received: this system hands {protocol} to no raw socket ({}: {} ({}))",
            unavailable.call.name(),
            unavailable.name,
            unavailable.errno,
        );
    }
    let full = |drops: &Drops| drops.version == version && drops.protocol == protocol;
    if ended.drops.iter().any(full) {
        return format!("{sent_as}, not received: the socket that listens to it was full");
    }
    format!(
        "{sent_as}, not received: a raw socket listens to it, so a firewall of this host or the \
         system itself kept it"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        log::{Prefix, SCHEMA_VERSION, Unavailable},
        protocols::Carrier,
    };
    use nix::errno::Errno;

    fn origin() -> Origin {
        Origin {
            schema_version: SCHEMA_VERSION,
            generator: "hdp".to_owned(),
            host: None,
            boot_id: None,
            started_ns: 0,
        }
    }

    fn sent(requested: u16, timestamp_ns: u64) -> SentPacket {
        SentPacket {
            requested,
            protocol: Some(requested.to_le_bytes()[0]),
            carrier: Carrier::Ip,
            call: None,
            errno: None,
            name: None,
            timestamp_ns,
            src: Some([127, 0, 0, 1].into()),
            dst: [127, 0, 0, 1].into(),
            srcport: 420,
            dstport: 420,
            ttl: Some(64),
            dscp: 0,
            payload_len: 3,
            byte_sum: 35,
            payload: Prefix::of(b"moo"),
        }
    }

    fn refused(requested: u16, call: Call, errno: Errno) -> SentPacket {
        SentPacket {
            protocol: None,
            call: Some(call),
            errno: Some(errno as i32),
            name: Some(Symbol::of(errno)),
            ..sent(requested, 1)
        }
    }

    fn received(protocol: u8, timestamp_ns: u64) -> ReceivedPacket {
        ReceivedPacket {
            direction: Direction::In,
            time_ns: i64::try_from(timestamp_ns).unwrap() + 23_000,
            protocol,
            carrier: Carrier::Ip,
            src: [127, 0, 0, 1].into(),
            dst: [127, 0, 0, 1].into(),
            ttl: Some(64),
            dscp: Some(0),
            ecn: Some(0),
            ip_id: Some(7),
            srcport: 420,
            dstport: 420,
            timestamp_ns,
            payload_len: 3,
            byte_sum: 35,
            payload: Prefix::of(b"moo"),
            drops: 0,
        }
    }

    /// What each packet's failure is.
    fn failures(sent: &[SentPacket], received: &[ReceivedPacket]) -> Vec<Option<String>> {
        let listened = ListenStart {
            origin: origin(),
            protocols: (0..=255).collect(),
            versions: vec![4],
            unavailable: vec![Unavailable {
                version: 4,
                protocol: 0,
                call: Call::Socket,
                errno: 93,
                name: Symbol::of(Errno::EPROTONOSUPPORT),
            }],
        };
        let ended = ListenEnd {
            ended_ns: 0,
            received: 0,
            not_hdp: 0,
            answered: 0,
            capture_drops: Some(1),
            drops: vec![Drops {
                version: 4,
                protocol: 9,
                count: 1,
            }],
        };
        let address = [127, 0, 0, 1].into();
        let loopback = Loopback::new(origin(), address, sent, received, &listened, &ended);
        let failures = loopback.numbers.into_iter().map(|number| number.failure);
        failures.collect()
    }

    #[test]
    fn a_packet_is_known_by_its_timestamp_and_number() {
        let packets = [sent(3, 100), sent(4, 200), sent(5, 300)];
        let arrived = [received(4, 200), received(3, 100), received(6, 300)];
        let failures = failures(&packets, &arrived);
        assert_eq!(failures[..2], [None, None]);
        assert!(failures[2].is_some());
    }

    #[test]
    fn an_answer_is_no_arrival() {
        let answer = ReceivedPacket {
            direction: Direction::Out,
            ..received(3, 100)
        };
        assert!(failures(&[sent(3, 100)], &[answer])[0].is_some());
    }

    #[test]
    fn a_failure_names_its_stage() {
        let packets = [
            refused(0, Call::Socket, Errno::EPROTONOSUPPORT),
            refused(253, Call::SendTo, Errno::EPERM),
            sent(256, 100),
            sent(9, 200),
            sent(253, 300),
        ];
        let failures = failures(&packets, &[]).into_iter().map(Option::unwrap);
        let errno = Errno::EPROTONOSUPPORT as i32;
        assert_eq!(
            failures.collect::<Vec<_>>(),
            [
                &format!(
                    "refused at socket: EPROTONOSUPPORT ({errno}): this system opens no raw \
                     socket for the number"
                ),
                "refused at sendto: EPERM (1): a firewall of this host dropped it on its way out",
                "sent as 0 HOPOPT, not received: this system hands 0 to no raw socket (socket: \
                 EPROTONOSUPPORT (93))",
                "sent, not received: the socket that listens to it was full",
                "sent, not received: a raw socket listens to it, so a firewall of this host or \
                 the system itself kept it",
            ]
        );
    }
}
