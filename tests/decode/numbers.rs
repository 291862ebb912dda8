//! 256 of 256 numbers.

use hdp::decode::{DEFAULT_WINDOW_NS, Datagram, Decoder, LayerKind};

use super::{
    PAYLOAD_LENS, datagram, decode, encapsulations, link_says, packets,
    support::frames::{Extension, Fragment, Link, Network, Packet, ip, mpls},
    whole,
};

/// That the frame gives exactly the packet.
fn assert_decodes(link: &Link, network: &Network, packet: &Packet, encapsulation: &str) {
    let bytes = link.frame(network);
    let frame = whole(link.link_type(), &bytes);
    let context = || format!("{} in {encapsulation} on {link:?}", packet.ip.protocol);
    let decoded = decode(&frame).unwrap_or_else(|skip| panic!("{}: {skip}", context()));
    assert_eq!(decoded.encapsulation.to_string(), encapsulation);
    let (packet_type, interface) = link_says(link, &decoded);
    let expected = Datagram {
        packet_type,
        interface,
        ..datagram(packet, &decoded)
    };
    assert_eq!(decoded, expected, "{}", context());
}

#[test]
fn every_number_on_every_link_with_every_payload() {
    for protocol in 0..=255 {
        for payload_len in PAYLOAD_LENS {
            for packet in packets(protocol, payload_len) {
                let network = ip(packet.to_ip());
                for link in Link::all() {
                    if link.carries(&network) {
                        assert_decodes(&link, &network, &packet, "none");
                    }
                }
            }
        }
    }
}

#[test]
fn every_number_in_every_encapsulation_with_every_payload() {
    for protocol in 0..=255 {
        for payload_len in PAYLOAD_LENS {
            for packet in packets(protocol, payload_len) {
                for (name, network) in encapsulations(&ip(packet.to_ip())) {
                    assert_decodes(&Link::ETHERNET, &network, &packet, &name);
                }
            }
        }
    }
}

/// Numbers that mean something to somebody, and some that do not.
const TELLING: [u8; 20] = [
    0, 1, 4, 6, 17, 41, 43, 44, 47, 50, 51, 58, 59, 60, 132, 135, 136, 139, 253, 255,
];

#[test]
fn every_encapsulation_on_every_link() {
    for protocol in TELLING {
        for packet in packets(protocol, 33) {
            for (name, network) in encapsulations(&ip(packet.to_ip())) {
                for link in Link::all() {
                    if link.carries(&network) {
                        assert_decodes(&link, &network, &packet, &name);
                    }
                }
            }
        }
    }
}

/// RFC 4448: Ethernet straight behind the labels, or behind a control word of four bytes.
#[test]
fn mpls_pseudowires_carry_ethernet() {
    for protocol in TELLING {
        for packet in packets(protocol, 33) {
            let ethernet = Link::ETHERNET.frame(&ip(packet.to_ip()));
            for control_word in [&[][..], &[0, 0, 0, 1]] {
                let inner = Network {
                    ethertype: 0, // MPLS does not say
                    bytes: [control_word, &ethernet].concat(),
                };
                let network = mpls(&[100, 200], &inner);
                assert_decodes(&Link::ETHERNET, &network, &packet, "MPLS/MPLS");
            }
        }
    }
}

#[test]
fn ipv4_options_are_not_payload() {
    for options_len in 1..=40 {
        for protocol in 0..=255 {
            let [mut packet, _] = packets(protocol, 33);
            packet.ip.options = vec![1; options_len]; // no operation
            assert_decodes(&Link::ETHERNET, &ip(packet.to_ip()), &packet, "none");
        }
    }
}

#[test]
fn ipv6_extension_headers_are_walked_to_every_number() {
    let single = Extension::NUMBERS.map(|number| vec![Extension::new(number)]);
    let all = Extension::NUMBERS.map(Extension::new).to_vec();
    let mut long = Extension::new(60);
    long.body = [vec![1, 254], vec![0; 254], vec![0; 6]].concat();
    let mut chains = single.to_vec();
    chains.extend([all.clone(), [all.clone(), all].concat(), vec![long]]);
    for chain in chains {
        for protocol in 0..=255 {
            for payload_len in [0, 33] {
                let [_, mut packet] = packets(protocol, payload_len);
                packet.ip.extensions.clone_from(&chain);
                assert_decodes(&Link::ETHERNET, &ip(packet.to_ip()), &packet, "none");
            }
        }
    }
}

/// RFC 6946: a fragment header on a datagram that is whole.
#[test]
fn an_atomic_fragment_is_a_whole_packet_with_an_id() {
    for protocol in 0..=255 {
        let [_, mut packet] = packets(protocol, 33);
        packet.ip.id = 0xaabb_ccdd;
        packet.ip.fragment = Some(Fragment {
            offset: 0,
            more: false,
        });
        let bytes = packet.to_ip();
        let decoded = decode(&whole(229, &bytes)).unwrap();
        let expected = Datagram {
            ip_id: Some(0xccdd),
            ..datagram(&packet, &decoded)
        };
        assert_eq!(decoded, expected);
    }
}

/// RFC 2675: the length stands in a hop-by-hop option, the base header says 0.
#[test]
fn a_jumbogram_is_as_long_as_its_frame() {
    for protocol in 0..=255 {
        let [_, mut packet] = packets(protocol, 1_400);
        let len = u32::try_from(8 + packet.hdp().len()).unwrap();
        packet.ip.extensions = vec![Extension {
            number: 0,
            body: [vec![0xc2, 4], len.to_be_bytes().to_vec()].concat(),
        }];
        let mut bytes = packet.to_ip();
        bytes[4..6].fill(0);
        let decoded = decode(&whole(229, &bytes)).unwrap();
        assert_eq!(decoded, datagram(&packet, &decoded));
    }
}

#[test]
fn the_layers_say_where_each_header_stands() {
    let [packet, _] = packets(50, 33);
    let network = super::vlan(5, &ip(packet.to_ip()));
    let bytes = Link::ETHERNET.frame(&network);
    let mut decoder = Decoder::new(DEFAULT_WINDOW_NS);
    decoder.decode(&whole(1, &bytes)).unwrap();
    let layers: Vec<_> = decoder
        .layers()
        .iter()
        .map(|layer| (layer.kind, layer.start, layer.end))
        .collect();
    assert_eq!(
        layers,
        [
            (LayerKind::Ethernet, 0, 14),
            (LayerKind::Vlan, 14, 18),
            (LayerKind::Ipv4, 18, 38),
            (LayerKind::Hdp, 38, 50),
        ]
    );
}
