//! Anonymized results: other addresses, and no payloads.
//!
//! Addresses become others by a key, the same one each time, and two that share a prefix share one as
//! long afterwards (ipcrypt-pfx): networks stay networks, and which is which nobody can tell without the
//! key. Frames end behind the last header that is understood. Hardware addresses are zero, as is what IPv6's
//! extension headers say, where routes stand; options of IPv4 do nothing. Checksums that cover an address
//! are zero but for IPv4's own, which is computed again.
//!
//! The module promises that no IP address of a text or of a header that the decoder knows stays. It
//! deliberately leaves names alone: points, files and interfaces are called as the user calls them, but
//! for addresses in their names. Timestamps and ports stay: they are what packets are matched by.

use std::{fmt, net::IpAddr, ops::Range, str::FromStr, sync::Arc};

use ipcrypt_rs::IpcryptPfx;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::decode::{Layer, LayerKind, number};

/// Bytes of a key.
const KEY_LEN: usize = 32;

/// Replaces addresses by a key.
#[derive(Clone)]
pub struct Anonymizer(Arc<IpcryptPfx>);

impl fmt::Debug for Anonymizer {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Anonymizer")
    }
}

impl FromStr for Anonymizer {
    type Err = String;

    /// By a key in hexadecimal.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("the key has {} hexadecimal digits", 2 * KEY_LEN);
        let digits: Option<Vec<u8>> = text
            .chars()
            .map(|digit| {
                digit
                    .to_digit(16)
                    .and_then(|digit| u8::try_from(digit).ok())
            })
            .collect();
        let digits = digits.ok_or_else(wrong)?;
        let bytes: Vec<u8> = digits
            .chunks_exact(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect();
        let key = <[u8; KEY_LEN]>::try_from(bytes).map_err(|_| wrong())?;
        if digits.len() != 2 * KEY_LEN || key[..KEY_LEN / 2] == key[KEY_LEN / 2..] {
            return Err(wrong() + ", its halves unlike");
        }
        Ok(Self(Arc::new(IpcryptPfx::new(key))))
    }
}

impl Anonymizer {
    /// By a key that nobody knows.
    #[must_use]
    pub fn random() -> Self {
        Self(Arc::new(IpcryptPfx::new_random()))
    }

    /// The address that stands for this one.
    #[must_use]
    pub fn address(&self, address: IpAddr) -> IpAddr {
        self.0.encrypt_ipaddr(address)
    }

    /// A text with other addresses.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let is_of_address = |c: char| c.is_ascii_hexdigit() || c == '.' || c == ':';
        let mut replaced = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(is_of_address) {
            replaced.push_str(&rest[..start]);
            rest = &rest[start..];
            let end = rest.find(|c| !is_of_address(c)).unwrap_or(rest.len());
            self.run(&rest[..end], &mut replaced);
            rest = &rest[end..];
        }
        replaced.push_str(rest);
        replaced
    }

    /// A run of hexadecimal digits, points and colons: an address may have a port behind it, letters of a
    /// name before it, or end a sentence.
    fn run(&self, run: &str, replaced: &mut String) {
        let may_have_one = run.matches('.').count() >= 3 || run.matches(':').count() >= 2;
        let (mut copied_to, mut at) = (0, 0);
        while at < run.len() && may_have_one {
            match address_at(run, at) {
                Some((len, address)) => {
                    replaced.push_str(&run[copied_to..at]);
                    replaced.push_str(&self.address(address).to_string());
                    at += len;
                    copied_to = at;
                }
                None => at += 1,
            }
        }
        replaced.push_str(&run[copied_to..]);
    }

    /// Findings, packets and whatever else is text and figures, with other addresses.
    ///
    /// # Panics
    /// Never: what was serialized is deserialized, with other texts in place of texts.
    #[must_use]
    pub fn of<T: Serialize + DeserializeOwned>(&self, object: &T) -> T {
        let mut value = serde_json::to_value(object).expect("all keys are strings");
        self.value(&mut value);
        serde_json::from_value(value).expect("only texts have changed")
    }

    fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.value(value)),
            Value::Object(members) => members.values_mut().for_each(|value| self.value(value)),
            _ => {}
        }
    }

    /// Changes a frame in which these headers were found, outermost first: other addresses, nothing
    /// behind the headers.
    pub(crate) fn frame(&self, bytes: &mut Vec<u8>, layers: &[Layer]) {
        const LOCALLY_ADMINISTERED: u8 = 2;
        let mut end = 0;
        // The number of the header behind the last one, of IPv6.
        let mut next = 0;
        let mut behind_label = None;
        for layer in layers {
            let header_end = layer.end.min(bytes.len());
            let Some(header) = bytes.get_mut(layer.start..header_end) else {
                continue;
            };
            end = end.max(header_end);
            self.header(layer.kind, next, header);
            // Zeros behind an MPLS label begin a control word (RFC 4448).
            if layer.kind == LayerKind::Ethernet
                && behind_label == Some(layer.start)
                && let Some(first) = header.first_mut()
            {
                *first = LOCALLY_ADMINISTERED;
            }
            behind_label = (layer.kind == LayerKind::Mpls).then_some(layer.end);
            next = match layer.kind {
                LayerKind::Ipv6 => header.get(6),
                LayerKind::Ipv6Extension | LayerKind::Authentication => header.first(),
                _ => None,
            }
            .copied()
            .unwrap_or_default();
        }
        // Later fragments begin with payload.
        let is_first = |header: &[u8]| u16::from_be_bytes([header[6], header[7]]) << 3 == 0;
        let protocol = match layers.last() {
            Some(layer) if layer.kind == LayerKind::Ipv4 => {
                let header = bytes.get(layer.start..layer.end);
                header
                    .filter(|header| is_first(header))
                    .map(|header| header[9])
            }
            Some(layer) if layer.kind == LayerKind::Ipv6 => bytes.get(layer.start + 6).copied(),
            _ => None,
        };
        // Enough of other packets that their flows are known.
        let transport = bytes.get_mut(end..).unwrap_or_default();
        end += match protocol {
            Some(number::TCP) => {
                hide(transport, 16..18);
                20
            }
            Some(number::UDP) => self.known(LayerKind::Udp, transport),
            Some(number::ICMP) => self.known(LayerKind::Icmp, transport),
            Some(number::ICMPV6) => self.known(LayerKind::Icmpv6, transport),
            _ => 0,
        };
        bytes.truncate(end);
    }

    /// Changes a header of eight bytes that no decoding has come to; its length.
    fn known(&self, kind: LayerKind, behind: &mut [u8]) -> usize {
        self.header(kind, 0, behind);
        8
    }

    /// Changes what tells addresses in a header; `extension` is the number of an extension header.
    fn header(&self, kind: LayerKind, extension: u8, header: &mut [u8]) {
        const ROUTING: u8 = 43;
        const NO_OPERATION: u8 = 1;
        const REDIRECT: u8 = 5;
        let len = header.len();
        match kind {
            LayerKind::Ipv4 if len >= 20 => {
                self.replace::<4>(header, [12, 16]);
                header[20..].fill(NO_OPERATION);
                let checksum = ipv4_checksum(header);
                header[10..12].copy_from_slice(&checksum.to_be_bytes());
            }
            LayerKind::Ipv6 if len >= 40 => self.replace::<16>(header, [8, 24]),
            LayerKind::Ipv6Extension if extension == number::FRAGMENT => {}
            LayerKind::Ipv6Extension if extension == ROUTING => hide(header, 4..len),
            LayerKind::Ipv6Extension => hide(header, 2..len),
            LayerKind::Udp => hide(header, 6..8),
            LayerKind::Icmp | LayerKind::Icmpv6 => {
                hide(header, 2..4);
                if kind == LayerKind::Icmp && header.first() == Some(&REDIRECT) {
                    self.replace::<4>(header, [4]);
                }
            }
            LayerKind::Gre if header.first().is_some_and(|flags| flags & 0x80 != 0) => {
                hide(header, 4..6);
            }
            // A switch's tag may stand behind the addresses, and the type behind that.
            LayerKind::Ethernet | LayerKind::Dsa if len > 12 => hide(header, 0..12),
            LayerKind::Sll => hide(header, 6..14),
            LayerKind::Sll2 => hide(header, 12..20),
            LayerKind::Ieee80211 => {
                hide(header, 4..22);
                // Between two stations that serve others there is a fourth address.
                if header.get(1).is_some_and(|flags| flags & 3 == 3) {
                    hide(header, 24..30);
                }
            }
            // Fields may tell which device it was, and where.
            LayerKind::Ppi => hide(header, 8..len),
            LayerKind::Tzsp => hide(header, 4..len.saturating_sub(1)),
            _ => {}
        }
    }

    fn replace<const N: usize>(&self, header: &mut [u8], places: impl IntoIterator<Item = usize>)
    where
        [u8; N]: Into<IpAddr>,
    {
        for at in places {
            let Some(field) = header.get_mut(at..at + N) else {
                continue;
            };
            let Ok(address) = <[u8; N]>::try_from(&*field) else {
                continue;
            };
            match self.address(address.into()) {
                IpAddr::V4(other) if N == 4 => field.copy_from_slice(&other.octets()),
                IpAddr::V6(other) if N == 16 => field.copy_from_slice(&other.octets()),
                // An IPv4-mapped address of an IPv6 header, or what became one.
                IpAddr::V4(other) => {
                    field.copy_from_slice(&other.to_ipv6_mapped().octets()[16 - N..]);
                }
                IpAddr::V6(_) => field.fill(0),
            }
        }
    }
}

/// The longest address that begins at a place of a text: how long it is, and which.
fn address_at(text: &str, start: usize) -> Option<(usize, IpAddr)> {
    /// An IPv6 address that ends like one of IPv4.
    const LONGEST: usize = 45;
    let text_at = |range: Range<usize>| text.as_bytes().get(range).unwrap_or_default();
    let is_digit = |at: Range<usize>| text_at(at).iter().any(u8::is_ascii_digit);
    let is_hexadecimal = |at: Range<usize>| text_at(at).iter().any(u8::is_ascii_hexdigit);
    let last = text.len().min(start + LONGEST);
    (start + 2..=last).rev().find_map(|end| {
        let part = &text[start..end];
        let address = part.parse::<IpAddr>().ok()?;
        let is_whole = match address {
            // No part of a longer number.
            IpAddr::V4(_) => !is_digit(end..end + 1) && !is_digit(start.saturating_sub(1)..start),
            // `::` alone stands in many texts.
            IpAddr::V6(_) => !is_hexadecimal(end..end + 1) && is_hexadecimal(start..end),
        };
        is_whole.then_some((end - start, address))
    })
}

fn hide(header: &mut [u8], field: Range<usize>) {
    let end = field.end.min(header.len());
    if let Some(field) = header.get_mut(field.start..end) {
        field.fill(0);
    }
}

/// The header's checksum (RFC 1071), its own field taken as zero.
fn ipv4_checksum(header: &[u8]) -> u16 {
    let words = header.chunks(2).enumerate().map(|(index, pair)| {
        let word = u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
        if index == 5 { 0 } else { word }
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn addresses_in_texts_are_others_and_all_else_stays() {
        let key: Anonymizer = KEY.parse().unwrap();
        let other = |text: &str| key.address(text.parse().unwrap()).to_string();
        let (v4, v6) = (other("10.77.1.1"), other("fd77::1"));
        assert_ne!(v4, "10.77.1.1");
        for (text, expected) in [
            ("10.77.1.1 answered.", format!("{v4} answered.")),
            ("from 10.77.1.1.", format!("from {v4}.")),
            ("(fd77::1), 10.77.1.1:420", format!("({v6}), {v4}:420")),
            (
                "11:48:27.388 at hdp::path, 50 ESP, 1.5 s",
                "11:48:27.388 at hdp::path, 50 ESP, 1.5 s".to_owned(),
            ),
            ("", String::new()),
            ("node10.77.1.1.pcap", format!("node{v4}.pcap")),
            ("10.77.1.1b, 10.77.1.1.2", format!("{v4}b, {v4}.2")),
            ("edgefd77::1.a", format!("edge{v6}.a")),
            ("[fd77::1]:420 10.77.1.1/24", format!("[{v6}]:420 {v4}/24")),
            (
                "10.77.1.1234, 02:c4:7d:91:5e:33, 0.7.1",
                "10.77.1.1234, 02:c4:7d:91:5e:33, 0.7.1".to_owned(),
            ),
        ] {
            assert_eq!(key.text(text), expected);
        }
    }

    #[test]
    fn prefixes_are_kept_and_the_key_decides() {
        let key: Anonymizer = KEY.parse().unwrap();
        let address = |key: &Anonymizer, text: &str| match key.address(text.parse().unwrap()) {
            IpAddr::V4(address) => u32::from(address),
            IpAddr::V6(_) => 0,
        };
        let shared = |a: &str, b: &str| (address(&key, a) ^ address(&key, b)).leading_zeros();
        assert_eq!(shared("10.77.1.1", "10.77.1.2"), 30);
        assert_eq!(shared("10.77.1.1", "10.77.2.1"), 22);
        assert_eq!(shared("10.77.1.1", "192.0.2.1"), 0);
        let again: Anonymizer = KEY.parse().unwrap();
        assert_eq!(address(&again, "10.77.1.1"), address(&key, "10.77.1.1"));
        assert_ne!(
            address(&Anonymizer::random(), "10.77.1.1"),
            address(&key, "10.77.1.1")
        );
        for wrong in ["", "0102", &"00".repeat(32), &KEY[1..], "x"] {
            assert!(wrong.parse::<Anonymizer>().is_err(), "{wrong}");
        }
    }
}
