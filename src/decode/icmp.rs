//! ICMP and `ICMPv6` errors: the packet they quote, and what they mean.

use super::{
    Datagram, LayerKind, Quote, Region, Skip, Walk,
    ip::{Ip, number},
};

const HEADER_LEN: usize = 8;

/// Where the extensions of RFC 4884 begin at the earliest: the quote is padded with zeros so far.
const MIN_EXTENDED_QUOTE_LEN: usize = 128;

impl<'a> Walk<'a, '_> {
    /// An ICMP error: descends into the datagram that it quotes.
    pub(super) fn icmp_error(&mut self, ip: Ip, region: Region) -> Result<Datagram<'a>, Skip> {
        let kind = match (ip.version, ip.protocol) {
            (4, number::ICMP) => LayerKind::Icmp,
            (6, number::ICMPV6) => LayerKind::Icmpv6,
            _ => return Err(Skip::NotHdp),
        };
        let &[icmp_type, code, _, _, length_v6, length_v4, _, _] =
            self.head::<HEADER_LEN>(region, kind)?;
        // The length of the quote (RFC 4884), in 4-byte words or 8-byte ones; 0 is "all there is".
        // The other errors have an address, an MTU or a pointer in its place.
        let (is_error, quote_len) = match (kind, icmp_type) {
            (LayerKind::Icmp, 3 | 11 | 12) => (true, usize::from(length_v4) * 4),
            (LayerKind::Icmpv6, 1 | 3) => (true, usize::from(length_v6) * 8),
            (LayerKind::Icmp, 4 | 5) | (LayerKind::Icmpv6, 2 | 4) => (true, 0),
            _ => (false, 0),
        };
        // An error about an error is not sent (RFC 1122, section 3.2.2).
        if !is_error || self.quote.is_some() {
            return Err(Skip::NotHdp);
        }
        self.quote = Some(Quote {
            by: ip.source,
            to: ip.destination,
            version: ip.version,
            icmp_type,
            code,
        });
        let mut quote = self.enter(region, kind, HEADER_LEN)?;
        if quote_len >= MIN_EXTENDED_QUOTE_LEN && quote_len < quote.wire_len() {
            quote = quote.limited_to(quote_len);
        }
        match self.ip(quote) {
            Ok(datagram) => Ok(datagram),
            // The capture cut the error itself.
            Err(cut @ Skip::CutShort { .. }) if quote.end < quote.wire_end => Err(cut),
            // The frame itself is a whole ICMP error; that the packet in it is not HDP, or not
            // there, is no fault of the capture.
            Err(_) => Err(Skip::NotHdp),
        }
    }
}

/// The meaning of an ICMP (`version` 4) or `ICMPv6` (6) error in words, after the IANA registries
/// "ICMP Type Numbers" and "`ICMPv6` Parameters".
#[must_use]
#[allow(clippy::match_same_arms)] // Two registries, in their own orders.
pub fn meaning(version: u8, icmp_type: u8, code: u8) -> &'static str {
    match (version, icmp_type, code) {
        (4, 3, 0) => "network unreachable",
        (4, 3, 1) => "host unreachable",
        (4, 3, 2) => "protocol unreachable",
        (4, 3, 3) => "port unreachable",
        (4, 3, 4) => "fragmentation needed and DF set",
        (4, 3, 5) => "source route failed",
        (4, 3, 6) => "destination network unknown",
        (4, 3, 7) => "destination host unknown",
        (4, 3, 8) => "source host isolated",
        (4, 3, 9) => "network administratively prohibited",
        (4, 3, 10) => "host administratively prohibited",
        (4, 3, 11) => "network unreachable for this type of service",
        (4, 3, 12) => "host unreachable for this type of service",
        (4, 3, 13) => "administratively prohibited",
        (4, 3, 14) => "host precedence violation",
        (4, 3, 15) => "precedence cutoff in effect",
        (4, 3, _) => "destination unreachable",
        (4, 4, _) => "source quench",
        (4, 5, _) => "redirect",
        (4, 11, 0) | (6, 3, 0) => "time to live exceeded",
        (4, 11, 1) | (6, 3, 1) => "fragment reassembly time exceeded",
        (4, 11, _) | (6, 3, _) => "time exceeded",
        (4, 12, _) | (6, 4, 0) => "parameter problem",
        (6, 1, 0) => "no route to destination",
        (6, 1, 1) => "administratively prohibited",
        (6, 1, 2) => "beyond scope of source address",
        (6, 1, 3) => "address unreachable",
        (6, 1, 4) => "port unreachable",
        (6, 1, 5) => "source address failed ingress/egress policy",
        (6, 1, 6) => "reject route to destination",
        (6, 1, 7) => "error in source routing header",
        (6, 1, _) => "destination unreachable",
        (6, 2, _) => "packet too big",
        (6, 4, 1) => "unrecognized next header",
        (6, 4, 2) => "unrecognized IPv6 option",
        (6, 4, _) => "parameter problem",
        _ => "unknown error",
    }
}
