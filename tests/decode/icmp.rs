//! HDP that ICMP and `ICMPv6` errors quote.

use std::net::IpAddr;

use hdp::{
    decode::{Datagram, HeaderView, Quote, Skip},
    protocols::Carrier,
};

use super::{
    PAYLOAD_LENS, cut, datagram, decode, encapsulations, header, packets,
    support::frames::{self, Extension, GreFields, Ip, Link, Packet, QUOTES, gre, icmp_error, ip},
    whole,
};

/// The errors that routers and hosts send about numbers they do not like.
fn errors(packet: &Packet) -> &'static [(u8, u8)] {
    if packet.ip.src.is_ipv4() {
        &[(3, 2), (3, 13), (4, 0), (11, 0), (12, 0)]
    } else {
        &[(1, 1), (2, 0), (3, 0), (4, 1)]
    }
}

/// A router on the way, and its error to the packet's sender.
fn router(packet: &Packet) -> Ip {
    let router: IpAddr = if packet.ip.src.is_ipv4() {
        "192.0.2.1".parse().unwrap()
    } else {
        "2001:db8:ff::1".parse().unwrap()
    };
    Ip::new(router, packet.ip.src, 0)
}

fn quote_of(packet: &Packet, icmp_type: u8, code: u8) -> Quote {
    let router = router(packet);
    Quote {
        by: router.src,
        to: router.dst,
        version: if packet.ip.src.is_ipv4() { 4 } else { 6 },
        icmp_type,
        code,
    }
}

/// The packet as a quote of `quoted_len` payload bytes shows it.
fn quoted<'a>(
    packet: &'a Packet,
    decoded: &Datagram,
    quote: Quote,
    quoted_len: Option<usize>,
) -> Datagram<'a> {
    let whole = datagram(packet, decoded);
    let Some(quoted_len) = quoted_len else {
        return Datagram {
            header: upper_half(packet),
            payload: &[],
            quote: Some(quote),
            ..whole
        };
    };
    Datagram {
        payload: &packet.payload[..quoted_len.min(packet.payload.len())],
        quote: Some(quote),
        ..whole
    }
}

fn upper_half(packet: &Packet) -> HeaderView {
    HeaderView::UpperHalf {
        source_port: packet.srcport,
        destination_port: packet.dstport,
        timestamp_high: (packet.timestamp_ns >> 32) as u32,
    }
}

#[test]
fn every_number_is_found_in_every_kind_of_quote() {
    for protocol in 0..=255 {
        for payload_len in PAYLOAD_LENS {
            for packet in packets(protocol, payload_len) {
                for how in QUOTES {
                    for &(icmp_type, code) in errors(&packet) {
                        // RFC 4884 gives a length to these alone: 32 bits are the MTU or pointer
                        // in the others of ICMPv6, and ICMP has nothing to extend in 4.
                        if how == frames::Quote::Padded && matches!(icmp_type, 2 | 4) {
                            continue;
                        }
                        let error =
                            icmp_error(&router(&packet), icmp_type, code, &packet.to_ip(), how);
                        let header_len = packet.to_ip().len() - packet.hdp().len() + 12;
                        let room = match (how, packet.ip.src) {
                            (frames::Quote::Eight, _) => None,
                            (frames::Quote::Padded, _) => Some(128 - header_len),
                            (frames::Quote::Whole, IpAddr::V4(_)) => Some(576 - 28 - header_len),
                            (frames::Quote::Whole, IpAddr::V6(_)) => Some(1_280 - 48 - header_len),
                        };
                        let frame = Link::ETHERNET.frame(&ip(error));
                        let decoded = decode(&whole(1, &frame)).unwrap_or_else(|skip| {
                            panic!("{protocol}, {icmp_type}/{code}, {how:?}: {skip}")
                        });
                        let quote = quote_of(&packet, icmp_type, code);
                        assert_eq!(decoded, quoted(&packet, &decoded, quote, room));
                    }
                }
            }
        }
    }
}

#[test]
fn errors_arrive_on_every_link_and_in_every_encapsulation() {
    for protocol in [1, 6, 17, 50, 58, 253] {
        for packet in packets(protocol, 33) {
            let (icmp_type, code) = errors(&packet)[0];
            for how in QUOTES {
                let error = icmp_error(&router(&packet), icmp_type, code, &packet.to_ip(), how);
                let found = |link: &Link, network: &frames::Network| {
                    let frame = link.frame(network);
                    let frame = whole(link.link_type(), &frame);
                    let decoded = decode(&frame).unwrap_or_else(|s| panic!("{link:?}: {s}"));
                    assert_eq!(decoded.quote, Some(quote_of(&packet, icmp_type, code)));
                    assert_eq!(decoded.protocol, protocol);
                    assert_eq!(decoded.header.ports(), (packet.srcport, packet.dstport));
                    assert_eq!(decoded.payload_len, 33);
                };
                for (_, network) in encapsulations(&ip(error.clone())) {
                    found(&Link::ETHERNET, &network);
                }
                for link in Link::all() {
                    let network = ip(error.clone());
                    if link.carries(&network) {
                        found(&link, &network);
                    }
                }
            }
        }
    }
}

/// The error is sent without tags or tunnels of the quoted packet, and says nothing of them.
#[test]
fn the_error_is_no_encapsulation_but_a_quoted_tunnel_is() {
    for packet in packets(50, 33) {
        let (icmp_type, code) = errors(&packet)[0];
        let tunnel = gre(&packet.ip, GreFields::default(), &ip(packet.to_ip()));
        let name = if packet.ip.src.is_ipv4() {
            "IPv4"
        } else {
            "IPv6"
        };
        for (quoted, encapsulation) in [
            (packet.to_ip(), "none".to_owned()),
            (tunnel.bytes, format!("{name}/GRE")),
        ] {
            let error = icmp_error(
                &router(&packet),
                icmp_type,
                code,
                &quoted,
                frames::Quote::Whole,
            );
            let frame = Link::ETHERNET.frame(&frames::vlan(5, &ip(error)));
            let decoded = decode(&whole(1, &frame)).unwrap();
            assert_eq!(decoded.encapsulation.to_string(), encapsulation);
            assert_eq!(decoded.payload, packet.payload);
        }
    }
}

/// Some routers keep 8 bytes and fill the quote up with zeros: the lower half of the timestamp
/// was never there.
#[test]
fn zeros_behind_eight_bytes_are_no_header_and_no_payload() {
    for protocol in 0..=255 {
        for payload_len in PAYLOAD_LENS {
            for packet in packets(protocol, payload_len) {
                let (icmp_type, code) = errors(&packet)[0];
                let mut zeroed = packet.to_ip();
                let kept = zeroed.len() - packet.hdp().len() + 8;
                zeroed[kept..].fill(0);
                for how in [frames::Quote::Padded, frames::Quote::Whole] {
                    let error = icmp_error(&router(&packet), icmp_type, code, &zeroed, how);
                    let decoded = decode(&whole(101, &error)).unwrap();
                    let quote = quote_of(&packet, icmp_type, code);
                    assert_eq!(decoded, quoted(&packet, &decoded, quote, None));
                }
            }
        }
    }
}

/// A redirect has the gateway's address where others have the quote's length: 10.77.2.1 would be
/// 308 bytes.
#[test]
fn a_redirects_gateway_is_no_length() {
    let [packet, _] = packets(50, 1_400);
    let mut error = icmp_error(
        &router(&packet),
        5,
        1,
        &packet.to_ip(),
        frames::Quote::Whole,
    );
    error[24..28].copy_from_slice(&[10, 77, 2, 1]);
    let decoded = decode(&whole(101, &error)).unwrap();
    assert_eq!(decoded.payload, &packet.payload[..576 - 28 - 32]);
}

#[test]
fn the_control_is_found_in_quotes_that_hold_its_header() {
    for mut packet in packets(17, 33) {
        packet.srcport = 420;
        let (icmp_type, code) = errors(&packet)[0];
        for how in QUOTES {
            let error = icmp_error(&router(&packet), icmp_type, code, &packet.to_udp(), how);
            let decoded = decode(&whole(101, &error));
            if how == frames::Quote::Eight {
                assert_eq!(decoded, Err(Skip::NotHdp));
                continue;
            }
            let decoded = decoded.unwrap();
            let expected = Datagram {
                carrier: Carrier::Udp,
                quote: Some(quote_of(&packet, icmp_type, code)),
                ..datagram(&packet, &decoded)
            };
            assert_eq!(decoded, expected);
        }
    }
}

#[test]
fn quoted_extension_headers_are_walked() {
    let [_, mut packet] = packets(50, 33);
    packet.ip.extensions = [0, 60, 43].map(Extension::new).to_vec();
    let error = icmp_error(
        &router(&packet),
        4,
        1,
        &packet.to_ip(),
        frames::Quote::Whole,
    );
    let decoded = decode(&whole(101, &error)).unwrap();
    let quote = quote_of(&packet, 4, 1);
    assert_eq!(decoded, quoted(&packet, &decoded, quote, Some(33)));
}

#[test]
fn what_is_no_error_or_quotes_no_hdp_is_not_hdp() {
    for packet in packets(253, 33) {
        let router = router(&packet);
        let not_errors: &[u8] = if packet.ip.src.is_ipv4() {
            &[0, 8, 13, 14]
        } else {
            &[128, 129, 133, 135]
        };
        for &icmp_type in not_errors {
            let echo = icmp_error(&router, icmp_type, 0, &packet.to_ip(), frames::Quote::Whole);
            assert_eq!(decode(&whole(101, &echo)), Err(Skip::NotHdp));
        }
        let (icmp_type, code) = errors(&packet)[0];
        let mut old = packet.clone();
        old.timestamp_ns -= 2 * 86_400_000_000_000;
        let mut later = packet.clone();
        later.payload = super::bytes(3_000);
        let later = later.to_fragments(1_500).remove(1);
        // An error about an error (RFC 1122, section 3.2.2).
        let nested = icmp_error(
            &router,
            icmp_type,
            code,
            &packet.to_ip(),
            frames::Quote::Whole,
        );
        for quoted in [old.to_ip(), later, nested, vec![0x45; 3]] {
            for how in QUOTES {
                if quoted.len() < 40 && how == frames::Quote::Eight {
                    continue;
                }
                let error = icmp_error(&router, icmp_type, code, &quoted, how);
                assert_eq!(decode(&whole(101, &error)), Err(Skip::NotHdp), "{how:?}");
            }
        }
    }
}

/// ICMP is IPv4's and `ICMPv6` IPv6's.
#[test]
fn each_version_has_its_own_icmp() {
    for packet in packets(253, 33) {
        let (icmp_type, code) = errors(&packet)[0];
        let error = icmp_error(
            &router(&packet),
            icmp_type,
            code,
            &packet.to_ip(),
            frames::Quote::Whole,
        );
        let header_len = if packet.ip.src.is_ipv4() { 20 } else { 40 };
        let other = if packet.ip.src.is_ipv4() { 58 } else { 1 };
        let wrong = router(&packet)
            .carrying(other)
            .datagram(&error[header_len..]);
        assert_eq!(decode(&whole(101, &wrong)), Err(Skip::NotHdp));
    }
}

#[test]
fn a_capture_that_cuts_the_quote_says_so() {
    for packet in packets(50, 33) {
        let (icmp_type, code) = errors(&packet)[0];
        for how in [frames::Quote::Padded, frames::Quote::Whole] {
            let error = icmp_error(&router(&packet), icmp_type, code, &packet.to_ip(), how);
            let frame = Link::ETHERNET.frame(&ip(error));
            let frame = whole(1, &frame);
            let payload_start = frame
                .bytes
                .windows(33)
                .position(|window| window == packet.payload)
                .unwrap();
            for snaplen in 0..frame.bytes.len() {
                match decode(&cut(&frame, snaplen)) {
                    Ok(decoded) => {
                        assert!(snaplen + 4 >= payload_start);
                        if snaplen < payload_start {
                            assert_eq!(decoded.header, upper_half(&packet));
                        } else {
                            assert_eq!(decoded.header, HeaderView::Whole(header(&packet)));
                        }
                        assert!(packet.payload.starts_with(decoded.payload));
                        assert_eq!(decoded.payload_len, 33);
                    }
                    Err(skip) => assert!(
                        matches!(skip, Skip::CutShort { .. }) && snaplen + 4 < payload_start,
                        "{how:?}, {snaplen}: {skip}"
                    ),
                }
            }
        }
    }
}
