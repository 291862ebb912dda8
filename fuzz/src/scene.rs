//! A path with packets on it, drawn from bytes, and what its points captured of them. What truly became
//! of each packet is known.

use std::net::IpAddr;

use arbitrary::Arbitrary;

use crate::{
    START_NS,
    support::frames::{Ip, Packet, QUOTES, icmp_error},
};

const UDP: u8 = 17;
const NUMBERS: [u8; 8] = [0, 6, 17, 50, 51, 132, 253, 255];
const MOST_PACKETS: usize = 80;

/// What is drawn.
#[derive(Debug, Arbitrary)]
pub struct Scene {
    /// 0.1 s that each point's clock is ahead; their number is that of the points, less two.
    clocks: [i8; 4],
    points: u8,
    packets: Vec<Sent>,
    /// Echo requests that all points see, every so many milliseconds; none where 0.
    pings: u8,
}

#[derive(Debug, Arbitrary)]
struct Sent {
    /// Units of 50 us after the one before.
    after: u8,
    number: u8,
    ports: u8,
    payload: u8,
    reaches: u8,
    /// Units of 100 us a hop.
    delay: u8,
    is_reply: bool,
    over_udp: bool,
    v6: bool,
    kind: Kind,
}

/// What is odd about a packet.
#[derive(Debug, Arbitrary)]
enum Kind {
    Plain,
    /// As the one before, with the same timestamp.
    Alike,
    /// A point records it twice, so many units of 100 us apart.
    Doubled(u8, u8),
    /// From this point on another source.
    Translated(u8),
    /// In fragments of 8 bytes and more.
    Fragmented(u8),
    /// Whoever dropped it says so; how much is quoted, which router.
    Refused(u8, u8),
    /// From this point on other bytes in place of the timestamp's last.
    Rewritten(u8, u8),
}

/// Whether a scene has packets of this kind.
pub enum Errors {
    /// Any.
    Any,
    /// None but plain packets and those that are refused.
    RefusedOnly,
}

/// One packet's truth.
pub struct Truth {
    pub timestamp_ns: u64,
    pub number: u8,
    /// Whether all points saw it as it was sent.
    pub arrives: bool,
}

impl Scene {
    /// What each point captured, in order of time, and the truth.
    pub fn captures(&self, errors: &Errors) -> (Vec<Vec<(i64, Vec<u8>)>>, Vec<Truth>) {
        let points = usize::from(self.points % 3) + 2;
        let mut captures = vec![Vec::new(); points];
        let mut truth = Vec::new();
        let mut at_ns: i64 = 500_000_000;
        for (id, sent) in (1..).zip(self.packets.iter().take(MOST_PACKETS)) {
            let kind = match (errors, &sent.kind) {
                (Errors::Any, kind) | (_, kind @ Kind::Refused(..)) => kind,
                _ => &Kind::Plain,
            };
            if !matches!(kind, Kind::Alike) {
                at_ns += i64::from(sent.after) * 50_000 + 1;
            }
            truth.push(self.carry(sent, kind, (id, at_ns), &mut captures));
        }
        let clocks = self.clocks.map(|clock| i64::from(clock) * 100_000_000);
        for (frames, clock) in captures.iter_mut().zip(clocks) {
            if self.pings > 0 {
                let step = i64::from(self.pings) * 1_000_000;
                for n in 0..(at_ns + 500_000_000) / step {
                    let sequence = u8::try_from(n % 200).unwrap();
                    let ip = Ip::new([10, 0, 0, 1].into(), [10, 0, 9, 1].into(), 1);
                    let echo = ip.datagram(&[8, 0, 0, 0, 0, 1, 0, sequence, 1, 2, 3, 4, 5, 6, 7, 8]);
                    frames.push((START_NS + n * step, echo));
                }
            }
            for (time, _) in frames.iter_mut() {
                *time += clock;
            }
            frames.sort_by_key(|(time, _)| *time);
        }
        (captures, truth)
    }

    fn carry(
        &self,
        sent: &Sent,
        kind: &Kind,
        (id, at_ns): (u32, i64),
        captures: &mut [Vec<(i64, Vec<u8>)>],
    ) -> Truth {
        let points = captures.len();
        let reaches = usize::from(sent.reaches) % (points + 2);
        let reaches = reaches.clamp(1, points);
        let time = START_NS + at_ns;
        let (src, dst) = ends(sent.v6, sent.is_reply);
        let mut packet = Packet::new(src, dst, NUMBERS[usize::from(sent.number) % 8], time.cast_unsigned());
        packet.ip.id = id;
        packet.srcport = 420 + u16::from(sent.ports % 3);
        packet.payload.truncate(usize::from(sent.payload % 34));
        let mut arrives = reaches == points;
        for hop in 0..reaches {
            let point = if sent.is_reply { points - 1 - hop } else { hop };
            let mut here = packet.clone();
            here.ip.ttl = 64 - u8::try_from(hop).unwrap();
            match kind {
                Kind::Translated(at) if hop > usize::from(at % 4) => {
                    here.ip.src = ends(sent.v6, !sent.is_reply).1;
                    here.srcport = 1000 + u16::from(sent.ports);
                    arrives = false;
                }
                Kind::Rewritten(at, by) if hop > usize::from(at % 4) => {
                    here.timestamp_ns ^= u64::from(*by);
                    arrives &= *by == 0;
                }
                _ => {}
            }
            let seen = time + i64::try_from(hop).unwrap() * i64::from(sent.delay) * 100_000 + 3_000;
            let frames = match kind {
                Kind::Fragmented(room) if !sent.over_udp => {
                    let header = if sent.v6 { 48 } else { 20 };
                    here.to_fragments(header + 8 + usize::from(room % 5) * 8)
                }
                _ if sent.over_udp => vec![here.to_udp()],
                _ => vec![here.to_ip()],
            };
            if let Kind::Doubled(which, later) = kind
                && usize::from(which % 4) == hop
            {
                let again = seen + i64::from(*later) * 100_000;
                captures[point].push((again, frames[0].clone()));
            }
            captures[point].extend(frames.into_iter().map(|bytes| (seen, bytes)));
        }
        if let Kind::Refused(quoted, router) = kind
            && reaches < points
        {
            let quoted_bytes = if sent.over_udp { packet.to_udp() } else { packet.to_ip() };
            let from: IpAddr = if sent.v6 {
                [0x2001, 0xdb8, 0, 0, 0, 0, 5, u16::from(*router)].into()
            } else {
                [10, 5, 0, *router].into()
            };
            let (icmp_type, code) = if sent.v6 { (1, 1) } else { (3, 2) };
            let error = Ip::new(from, src, 1);
            let bytes = icmp_error(&error, icmp_type, code, &quoted_bytes, QUOTES[usize::from(quoted % 3)]);
            for hop in 0..reaches {
                let point = if sent.is_reply { points - 1 - hop } else { hop };
                let back = time + i64::from(sent.delay) * 400_000 + 5_000;
                captures[point].push((back, bytes.clone()));
            }
        }
        Truth {
            timestamp_ns: packet.timestamp_ns,
            // The control's own number is in its payload, if anywhere.
            number: if sent.over_udp { UDP } else { packet.ip.protocol },
            arrives,
        }
    }
}

fn ends(v6: bool, is_reply: bool) -> (IpAddr, IpAddr) {
    let (a, b): (IpAddr, IpAddr) = if v6 {
        ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(), [0x2001, 0xdb8, 0, 0, 0, 0, 9, 1].into())
    } else {
        ([10, 0, 0, 1].into(), [10, 0, 9, 1].into())
    };
    if is_reply { (b, a) } else { (a, b) }
}
