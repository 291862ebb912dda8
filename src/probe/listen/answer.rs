//! Answers: HDP back under the same number, such that no answer is ever answered.

use std::{io::IoSlice, net::IpAddr};

use arrayvec::ArrayVec;
use etherparse::{UdpHeader, UdpHeaderSlice};

use crate::{
    decode::Datagram,
    hdp::Header,
    log::{Direction, Prefix, ReceivedPacket},
    probe::ear::{Arrival, Ear},
    probe::send::{self, IPV4_HEADER_LEN, IPV6_HEADER_LEN, UDP_HEADER_LEN},
    protocols::Carrier,
};

/// A packet that is not answered.
pub(super) struct Unanswered;

/// Answers a packet through the socket that received it, from the address it was sent to: the
/// header with its ports exchanged and a new timestamp, and nothing behind it. What has no payload
/// itself may be an answer and gets none.
pub(super) fn answer(
    ear: &Ear,
    arrival: &Arrival,
    datagram: &Datagram,
    header: &Header,
    hdp_at: usize,
) -> Result<ReceivedPacket, Unanswered> {
    let (own, peer) = (datagram.destination, datagram.source);
    if datagram.payload_len == 0 || !is_one_host(own) || !is_one_host(peer) {
        return Err(Unanswered);
    }
    let timestamp_ns = send::now_ns();
    let answer = Header {
        source_port: header.destination_port,
        destination_port: header.source_port,
        timestamp_ns,
    };
    let hdp = answer.to_bytes();
    let udp_header = match datagram.carrier {
        Carrier::Ip => ArrayVec::new(),
        Carrier::Udp => udp_header(own, peer, &arrival.bytes[..hdp_at], &hdp).ok_or(Unanswered)?,
    };
    let parts = [IoSlice::new(&udp_header), IoSlice::new(&hdp)];
    ear.send(own, peer, arrival.interface, &parts)
        .map_err(|_| Unanswered)?;
    let ip_header_len = match own {
        IpAddr::V4(_) => IPV4_HEADER_LEN,
        IpAddr::V6(_) => IPV6_HEADER_LEN,
    };
    let byte_sum = ip_header_len + udp_header.len() + Header::LEN;
    Ok(ReceivedPacket {
        direction: Direction::Out,
        time_ns: i64::try_from(timestamp_ns).unwrap_or(i64::MAX),
        protocol: datagram.protocol,
        carrier: datagram.carrier,
        src: own,
        dst: peer,
        ttl: ear.ttl,
        dscp: Some(0),
        ecn: Some(0),
        ip_id: None,
        srcport: answer.source_port,
        dstport: answer.destination_port,
        timestamp_ns,
        payload_len: 0,
        byte_sum: u32::try_from(byte_sum).unwrap_or(u32::MAX),
        payload: Prefix::default(),
        drops: 0,
    })
}

/// What came from or went to several hosts, or to none in particular, has nobody to answer it.
fn is_one_host(address: IpAddr) -> bool {
    !address.is_multicast()
        && !address.is_unspecified()
        && !matches!(address, IpAddr::V4(v4) if v4.is_broadcast())
}

/// The header of a control's answer, of which `before` ends with the control's own.
fn udp_header(
    own: IpAddr,
    peer: IpAddr,
    before: &[u8],
    payload: &[u8],
) -> Option<ArrayVec<u8, UDP_HEADER_LEN>> {
    let control = UdpHeaderSlice::from_slice(before.last_chunk::<UDP_HEADER_LEN>()?).ok()?;
    let (from, to) = (control.destination_port(), control.source_port());
    let mut header = UdpHeader::without_ipv4_checksum(from, to, payload.len()).ok()?;
    let checksum = match (own, peer) {
        (IpAddr::V4(own), IpAddr::V4(peer)) => {
            header.calc_checksum_ipv4_raw(own.octets(), peer.octets(), payload)
        }
        (IpAddr::V6(own), IpAddr::V6(peer)) => {
            header.calc_checksum_ipv6_raw(own.octets(), peer.octets(), payload)
        }
        _ => return None,
    };
    header.checksum = checksum.ok()?;
    Some(header.to_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_hosts_are_not_answered() {
        for (address, one) in [
            ("10.77.1.2", true),
            ("127.0.0.1", true),
            ("fd77::1", true),
            ("0.0.0.0", false),
            ("255.255.255.255", false),
            ("224.0.0.1", false),
            ("::", false),
            ("ff02::1", false),
        ] {
            assert_eq!(is_one_host(address.parse().unwrap()), one, "{address}");
        }
    }

    #[test]
    fn a_controls_answer_exchanges_its_ports() {
        let (own, peer) = ([10, 77, 2, 2].into(), [10, 77, 1, 2].into());
        let control = UdpHeader {
            source_port: 50_000,
            destination_port: 420,
            length: 20,
            checksum: 0,
        };
        let answer = udp_header(own, peer, &control.to_bytes(), &[0; 12]).unwrap();
        let answer = UdpHeaderSlice::from_slice(&answer).unwrap().to_header();
        assert_eq!((answer.source_port, answer.destination_port), (420, 50_000));
        assert_eq!(answer.length, 20);
        let checksum = answer.calc_checksum_ipv4_raw([10, 77, 2, 2], [10, 77, 1, 2], &[0; 12]);
        assert_eq!(answer.checksum, checksum.unwrap());
    }
}
