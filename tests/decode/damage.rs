//! Any bytes: no panic, and nothing that is not in the frame.

use hdp::{
    decode::{DEFAULT_WINDOW_NS, Datagram, Decoder, HeaderView, Skip},
    source::Frame,
};
use proptest::{collection::vec, prelude::*, sample::Index};

use super::{
    TIME_NS, encapsulations, packets,
    support::frames::{Ip, Link, QUOTES, icmp_error, ip},
    whole,
};

/// All link types that are decoded, and one that is not.
const LINK_TYPES: [u16; 15] = [
    0, 1, 9, 12, 14, 50, 101, 108, 113, 147, 149, 228, 229, 258, 276,
];

/// Decodes, and holds the decoder to what it promises of any frame.
fn decode_checked<'a>(frame: &Frame<'a>) -> Result<Datagram<'a>, Skip> {
    let mut decoder = Decoder::new(DEFAULT_WINDOW_NS);
    let result = decoder.decode(frame);
    // Headers stand one behind the other.
    let mut end = 0;
    for layer in decoder.layers() {
        assert!(end <= layer.start && layer.start < layer.end);
        assert!(layer.end <= frame.bytes.len());
        end = layer.end;
    }
    match &result {
        Ok(datagram) => {
            let start = end;
            let payload = &frame.bytes[start..start + datagram.payload.len()];
            assert_eq!(datagram.payload, payload);
            assert!(datagram.payload.len() <= datagram.payload_len as usize);
            match datagram.header {
                HeaderView::Whole(header) => {
                    assert_eq!(header.to_bytes(), frame.bytes[start - 12..start]);
                    assert!(header.is_plausible_at(TIME_NS, DEFAULT_WINDOW_NS));
                }
                HeaderView::UpperHalf { .. } => {
                    assert!(datagram.quote.is_some() && datagram.payload.is_empty());
                }
            }
        }
        Err(Skip::CutShort { needs, has, .. }) => assert!(has < needs),
        Err(_) => {}
    }
    // A decoder that has seen other frames decides the same.
    assert_eq!(decoder.decode(frame), result);
    result
}

/// A valid frame: straight, encapsulated, or a quote.
fn valid(link: &Link, protocol: u8, which: Index) -> Vec<u8> {
    let mut networks = Vec::new();
    for packet in packets(protocol, 33) {
        networks.extend(encapsulations(&ip(packet.to_ip())).into_iter().map(|n| n.1));
        let router = Ip::new(packet.ip.dst, packet.ip.src, 0);
        let icmp_type = if packet.ip.src.is_ipv4() { 11 } else { 3 };
        for how in QUOTES {
            networks.push(ip(icmp_error(&router, icmp_type, 0, &packet.to_ip(), how)));
        }
    }
    networks.retain(|network| link.carries(network));
    link.frame(which.get(&networks))
}

proptest! {
    #[test]
    fn random_bytes_on_every_link_type(bytes in vec(any::<u8>(), 0..200), longer in 0_u32..2_000) {
        for link_type in LINK_TYPES {
            let frame = whole(link_type, &bytes);
            let _ = decode_checked(&frame);
            let _ = decode_checked(&Frame { original_len: frame.original_len + longer, ..frame });
            // A capture's own header may be wrong too.
            let _ = decode_checked(&Frame { original_len: 0, ..frame });
        }
    }

    #[test]
    fn damaged_packets(
        link in any::<Index>(),
        protocol: u8,
        which: Index,
        damage in vec((any::<Index>(), any::<u8>()), 1..6),
        kept: Index,
    ) {
        let links = Link::all();
        let link = link.get(&links);
        let mut bytes = valid(link, protocol, which);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let frame = whole(link.link_type(), &bytes);
        let _ = decode_checked(&frame);
        let _ = decode_checked(&super::cut(&frame, kept.index(bytes.len())));
    }

    #[test]
    fn a_cut_gives_a_prefix_or_cut_short(
        link in any::<Index>(),
        protocol: u8,
        which: Index,
        kept: Index,
    ) {
        let links = Link::all();
        let link = link.get(&links);
        let bytes = valid(link, protocol, which);
        let frame = whole(link.link_type(), &bytes);
        let all = decode_checked(&frame).unwrap();
        match decode_checked(&super::cut(&frame, kept.index(bytes.len()))) {
            Ok(part) => {
                prop_assert!(all.payload.starts_with(part.payload));
                prop_assert_eq!(all.payload_len, part.payload_len);
                prop_assert_eq!(all.header.ports(), part.header.ports());
            }
            Err(skip) => prop_assert!(matches!(skip, Skip::CutShort { .. }), "{}", skip),
        }
    }
}
