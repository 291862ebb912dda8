//! The same packet at two points, however it was changed, and two packets, however alike.

use hdp::findings::{Findings, Protocol, Verdict};

use super::{
    path::{
        edit, findings, judged, lost, lost_at, number, number_in, point, recorded, scene, sent,
        without,
    },
    support::{
        capture::{Capture, OwnedFrame},
        scene::{MILLISECOND, START_NS, Sent},
    },
};

/// Where HDP begins: behind Ethernet and IPv4 in recorded captures, behind IPv4 in scenes.
const RECORDED_HDP: usize = 14 + 20;
const SCENE_HDP: usize = 20;

/// The fields that changed in packets of a number, and in how many.
fn changes(protocol: &Protocol) -> Vec<(&str, u64)> {
    let changes = protocol.changes.iter();
    changes
        .filter(|change| change.field != "ttl")
        .map(|change| (change.field.as_str(), change.count))
        .collect()
}

// --- 10. Addresses stay out of the key -----------------------------------------------------------

#[test]
fn trap_10_a_translated_packet_is_the_same_packet() {
    let client = recorded("masquerade", "client.pcap");
    let server = recorded("masquerade", "server.pcap");
    let translated = findings(&[("client", &client), ("server", &server)]);
    assert_eq!(lost(&translated), 0);
    let p = number(&translated, 0, 253);
    assert_eq!((p.verdict, p.packets, p.altered), (Verdict::Passes, 3, 0));
    assert_eq!(changes(p), [("source_address", 3)]);
    // 17 the router forwards untranslated, as it does not know what it is.
    assert_eq!(changes(number(&translated, 0, 17)), []);
    // As if it had not forwarded 17 and 253.
    let server = without(&without(&server, 253), 17);
    let blocked = findings(&[("client", &client), ("server", &server)]);
    for protocol in [17, 253] {
        let p = number(&blocked, 0, protocol);
        assert_eq!(lost_at(p), [("client", "server", 3)]);
    }
    assert_eq!(lost(&blocked), 6);
}

#[test]
fn trap_10_translated_ports_and_both_addresses_are_changes_too() {
    let packets = [0, 1, 2].map(|n| sent((5 + n) * MILLISECOND, 50, 2));
    let mut captures = scene(2, 400, &packets);
    for packet in &packets {
        edit(&mut captures[1], packet, |frame| {
            frame.bytes[12..16].copy_from_slice(&[198, 51, 100, 7]);
            frame.bytes[16..20].copy_from_slice(&[203, 0, 113, 9]);
            frame.bytes[SCENE_HDP..][..2].copy_from_slice(&40_000_u16.to_be_bytes());
        });
    }
    let findings = judged(&captures);
    let p = number(&findings, 0, 50);
    assert_eq!((p.delivered, p.lost, p.altered), (3, 0, 3));
    let mut changes = changes(p);
    changes.sort_unstable();
    assert_eq!(
        changes,
        [
            ("destination_address", 3),
            ("source_address", 3),
            ("source_port", 3)
        ]
    );
}

// --- 11. Timestamps repeat -----------------------------------------------------------------------

#[test]
fn trap_11_packets_with_one_timestamp_are_told_apart_by_all_else() {
    let at = 5 * MILLISECOND;
    let mut packets = [50, 51, 52, 52, 52].map(|protocol| sent(at, protocol, 2));
    packets[3].payload = b"another".to_vec();
    packets[4].payload = b"a longer one".to_vec();
    let all = judged(&scene(2, 400, &packets));
    assert_eq!(lost(&all), 0);
    for (protocol, count) in [(50, 1), (51, 1), (52, 3)] {
        let p = number(&all, 0, protocol);
        assert_eq!((p.packets, p.delivered, p.duplicates), (count, count, 0));
    }
    // One of each kind lost: by its number, by its payload, by its length.
    for lost in [0, 3, 4] {
        let mut packets = packets.clone();
        packets[lost].reaches = 1;
        let findings = judged(&scene(2, 400, &packets));
        let p = number(&findings, 0, packets[lost].protocol.into());
        assert_eq!((p.lost, p.ambiguous), (1, 0), "{lost}");
        assert_eq!(super::path::lost(&findings), 1);
    }
}

#[test]
fn trap_11_what_cannot_be_told_apart_is_ambiguous_and_not_lost() {
    let twins = |second_reaches| {
        let packets = [2, second_reaches].map(|reaches| sent(5 * MILLISECOND, 50, reaches));
        let findings = judged(&scene(2, 400, &packets));
        let p = number(&findings, 0, 50);
        (p.packets, p.delivered, p.ambiguous, p.lost)
    };
    assert_eq!(twins(2), (2, 2, 0, 0));
    assert_eq!(twins(1), (2, 1, 1, 0));
}

#[test]
fn trap_11_a_clock_set_back_gives_the_same_times_again() {
    // The sender's clock goes back by 200 ms half-way: the second half repeats its times.
    let packets: Vec<_> = (0..20)
        .flat_map(|n| {
            [
                sent(n * 10 * MILLISECOND, 50, 2),
                sent(n * 10 * MILLISECOND, 51, 2),
            ]
        })
        .collect();
    let mut captures = scene(2, 400, &packets);
    let is_second = |frame: &OwnedFrame| frame.bytes[9] == 51;
    for capture in &mut captures {
        for frame in capture.frames.iter_mut().filter(|frame| is_second(frame)) {
            frame.time_ns += 200 * MILLISECOND;
        }
    }
    let all = judged(&captures);
    assert_eq!(lost(&all), 0);
    // One of the second half is lost, and none of the first.
    let mut count = 0;
    captures[1].frames.retain(|frame| {
        count += u32::from(is_second(frame));
        !(is_second(frame) && count == 7)
    });
    let one_lost = judged(&captures);
    assert_eq!((number(&one_lost, 0, 51).lost, lost(&one_lost)), (1, 1));
}

#[test]
fn trap_11_a_packet_and_a_reply_of_one_coarse_moment_are_two() {
    let packet = |is_reply, reaches| Sent {
        is_reply,
        ..sent(105 * MILLISECOND, 50, reaches)
    };
    let others = (0..20).map(|n| Sent {
        is_reply: n % 2 == 0,
        ..sent((n * 10 + 10) * MILLISECOND, 60, 2)
    });
    let judged_behind = |translates: bool, of_the_moment: &[Sent]| {
        let packets: Vec<Sent> = others.clone().chain(of_the_moment.to_vec()).collect();
        let mut captures = scene(2, 400, &packets);
        let of_client: [u8; 4] = captures[0].frames[0].bytes[16..20].try_into().unwrap();
        for frame in captures[1].frames.iter_mut().filter(|_| translates) {
            let address = if frame.bytes[12..16] == of_client {
                12
            } else {
                16
            };
            frame.bytes[address..address + 4].copy_from_slice(&[192, 0, 2, 1]);
        }
        let findings = judged(&captures);
        let each = findings.directions.iter().enumerate();
        let numbers = each.map(|(way, _)| {
            let mut all = findings.directions[way].protocols.iter();
            all.find(|p| p.protocol == 50)
                .map(|p| (p.delivered, p.lost))
        });
        numbers.collect::<Vec<_>>()
    };
    for translates in [false, true] {
        let judged_as = |of_the_moment: &[Sent]| judged_behind(translates, of_the_moment);
        assert_eq!(judged_as(&[packet(false, 2)]), [Some((1, 0)), None]);
        let both = [packet(false, 2), packet(true, 2)];
        assert_eq!(judged_as(&both), [Some((1, 0)), Some((1, 0))]);
        // Each end saw only what itself sent: the same bytes, once at each.
        let neither = [packet(false, 1), packet(true, 1)];
        assert_eq!(judged_as(&neither), [Some((0, 1)), Some((0, 1))]);
    }
}

#[test]
fn trap_11_by_a_coarse_clock_another_packet_of_the_moment_is_not_the_same_one() {
    // One point saw this payload, the other that one, of one number and one timestamp.
    let judged_as = |apart_ms: [i64; 4]| {
        let moments = (0..40).zip(apart_ms.into_iter().cycle());
        let moments = moments.map(|(n, apart_ms)| n / 4 * 40 + apart_ms);
        let others = moments.zip(0..).map(|(at_ms, n)| Sent {
            payload: format!("packet {n}").into_bytes(),
            ..sent(at_ms * MILLISECOND, 60, 2)
        });
        let odd = sent(205 * MILLISECOND, 50, 2);
        let packets: Vec<Sent> = others.chain([odd.clone()]).collect();
        let mut captures = scene(2, 600, &packets);
        edit(&mut captures[1], &odd, |frame| {
            frame.bytes[SCENE_HDP + 12..].fill(b'x');
        });
        let findings = judged(&captures);
        assert_eq!(lost(&findings), 0);
        let p = number(&findings, 0, 50);
        (p.packets, p.delivered, p.altered, p.ambiguous)
    };
    assert_eq!(judged_as([1, 11, 21, 31]), (1, 1, 1, 0));
    // What only the second point saw is nobody's arrival.
    assert_eq!(judged_as([1, 1, 1, 1]), (1, 0, 0, 1));
}

// --- 12. Boxes rewrite bytes in the timestamp ----------------------------------------------------

/// What a box makes of the bytes at this offset in HDP, in a recorded capture of the server's.
fn rewritten(protocol: u8, offset: usize, len: usize) -> [Capture; 2] {
    let client = recorded("router-drops", "client.pcap");
    let server = recorded("router-drops", "server.pcap");
    let mut box_behind = server.clone();
    for (frame, recorded) in box_behind.frames.iter_mut().zip(&server.frames) {
        if number_in(&server, recorded) == Some(protocol) && is_hdp(recorded) {
            // A checksum: different from packet to packet.
            for (at, byte) in frame.bytes[RECORDED_HDP + offset..][..len]
                .iter_mut()
                .enumerate()
            {
                *byte ^= 0x5a ^ recorded.bytes[RECORDED_HDP + 11 - at];
            }
        }
    }
    [client, box_behind]
}

/// Whether a recorded frame is one of the sweep's.
fn is_hdp(frame: &OwnedFrame) -> bool {
    let ports = [0x01, 0xa4, 0x01, 0xa4];
    frame.bytes.get(RECORDED_HDP..RECORDED_HDP + 4) == Some(&ports)
}

fn judged_rewritten(protocol: u8, offset: usize, len: usize) -> Findings {
    let [client, server] = rewritten(protocol, offset, len);
    findings(&[("client", &client), ("server", &server)])
}

#[test]
fn trap_12_a_timestamp_that_a_box_wrote_into_is_one_packet_delivered_and_altered() {
    for (protocol, offset, len, field) in [
        (17, 6, 2, "timestamp"),
        (136, 6, 2, "timestamp"),
        (33, 6, 2, "timestamp"),
        (1, 4, 2, "timestamp"),
        (58, 4, 2, "timestamp"),
        (6, 16, 2, "payload"),
        (17, 0, 4, "source_port"),
    ] {
        let findings = judged_rewritten(protocol, offset, len);
        let p = number(&findings, 0, protocol.into());
        let counts = (p.packets, p.delivered, p.altered, p.lost);
        assert_eq!(counts, (3, 3, 3, 0), "{protocol}, bytes from {offset}");
        let mut changes = p.changes.iter();
        assert!(changes.any(|change| change.field == field), "{protocol}");
        // Those that the router truly drops.
        assert_eq!(lost(&findings), 9);
    }
}

#[test]
fn trap_12_with_several_candidates_none_is_called_lost() {
    // An SCTP checksum leaves of the timestamp what packets share for 4.29 s.
    let packets = [0, 1, 2].map(|n| sent((5 + n * 40) * MILLISECOND, 132, 2));
    let mut captures = scene(2, 400, &packets);
    for packet in &packets {
        edit(&mut captures[1], packet, |frame| {
            for byte in &mut frame.bytes[SCENE_HDP + 8..][..4] {
                *byte = byte.wrapping_mul(7) ^ 0x3c;
            }
        });
    }
    let findings = judged(&captures);
    let p = number(&findings, 0, 132);
    assert_eq!((p.lost, p.packets - p.delivered), (0, p.ambiguous), "{p:?}");
    // Of a single one there is no doubt whether it came.
    let lost = judged(&scene(2, 400, &[sent(5 * MILLISECOND, 132, 1)]));
    assert_eq!(number(&lost, 0, 132).lost, 1);
}

#[test]
fn trap_12_two_packets_that_differ_in_more_stay_a_loss_and_a_stranger() {
    let [client, server] = rewritten(17, 6, 2);
    let mut strangers = server.clone();
    for (frame, recorded) in strangers.frames.iter_mut().zip(&server.frames) {
        if number_in(&server, recorded) == Some(17) && is_hdp(recorded) {
            // Not only the checksum: the payload is another one.
            frame.bytes[RECORDED_HDP + 12..].fill(b'x');
        }
    }
    let findings = findings(&[("client", &client), ("server", &strangers)]);
    let p = number(&findings, 0, 17);
    assert_eq!((p.lost, p.altered), (3, 0), "{p:?}");
    assert_eq!(lost_at(p), [("client", "server", 3)]);
}

#[test]
fn trap_12_a_lower_half_that_no_box_writes_into_tells_two_packets_apart() {
    // SCTP has its checksum there; under 253 nobody has anything.
    let judged_as = |protocol: u8| {
        let packet = sent(5 * MILLISECOND, protocol, 2);
        let mut captures = scene(2, 400, std::slice::from_ref(&packet));
        edit(&mut captures[1], &packet, |frame| {
            frame.bytes[SCENE_HDP + 8..][..4].copy_from_slice(&[1, 2, 3, 4]);
        });
        let findings = judged(&captures);
        let p = number(&findings, 0, protocol.into());
        (p.packets, p.altered, p.lost)
    };
    assert_eq!(judged_as(252), (1, 0, 1));
    assert_eq!(judged_as(132), (1, 1, 0));
}

#[test]
fn trap_12_what_was_written_into_and_came_late_or_cut_may_have_arrived() {
    // What 17 and 132 have where HDP has its timestamp.
    let judged_as = |protocol: u8, is_late: bool, is_cut: bool| {
        let packet = sent(5 * MILLISECOND, protocol, 2);
        let mut captures = scene(2, 400, std::slice::from_ref(&packet));
        edit(&mut captures[1], &packet, |frame| {
            let written = if protocol == 132 { 8..12 } else { 6..8 };
            for byte in &mut frame.bytes[SCENE_HDP..][written] {
                *byte ^= 0x5a;
            }
            if is_late {
                frame.time_ns += 200 * 1_000 * MILLISECOND;
            }
            if is_cut {
                frame.bytes.truncate(SCENE_HDP + 12 + 3);
                let len = u8::try_from(frame.bytes.len()).unwrap();
                frame.bytes[2..4].copy_from_slice(&[0, len]);
            }
        });
        let findings = judged(&captures);
        let p = number(&findings, 0, protocol.into());
        (p.altered, p.ambiguous, p.lost)
    };
    for protocol in [17, 132] {
        assert_eq!(judged_as(protocol, false, false), (1, 0, 0), "{protocol}");
        assert_eq!(judged_as(protocol, true, false), (0, 1, 0), "{protocol}");
        assert_eq!(judged_as(protocol, false, true), (0, 1, 0), "{protocol}");
    }
}

#[test]
fn trap_12_where_a_number_passes_as_it_is_nobody_writes_into_it() {
    // A packet under SCTP's number that was lost, and one that the first capture missed.
    let judged_as = |others: i64| {
        let packets: Vec<_> = (0..=others)
            .map(|n| sent((5 + n * 40) * MILLISECOND, 132, 2))
            .collect();
        let mut captures = scene(2, 400, &packets);
        edit(&mut captures[1], &packets[0], |frame| {
            frame.bytes[SCENE_HDP + 8..][..4].copy_from_slice(&[1, 2, 3, 4]);
        });
        let findings = judged(&captures);
        let p = number(&findings, 0, 132);
        (p.delivered, p.altered, p.lost)
    };
    assert_eq!(judged_as(0), (1, 1, 0));
    assert_eq!(judged_as(3), (3, 0, 1));
}

#[test]
fn trap_12_at_another_delay_than_others_the_rest_of_a_timestamp_is_too_little() {
    let judged_as = |later_ms: i64| {
        let packet = sent(5 * MILLISECOND, 132, 2);
        let mut captures = scene(2, 900, std::slice::from_ref(&packet));
        edit(&mut captures[1], &packet, |frame| {
            frame.bytes[SCENE_HDP + 8..][..4].copy_from_slice(&[1, 2, 3, 4]);
            frame.time_ns += later_ms * MILLISECOND;
        });
        let findings = judged(&captures);
        let p = number(&findings, 0, 132);
        (p.altered, p.ambiguous, p.lost)
    };
    assert_eq!(judged_as(0), (1, 0, 0));
    assert_eq!(judged_as(500), (0, 1, 0));
}

// --- 13. The IP ID is never a key ----------------------------------------------------------------

#[test]
fn trap_13_an_ip_id_that_was_rewritten_or_never_set_makes_no_other_packet() {
    let packets = [0, 1, 2].map(|n| sent((5 + n) * MILLISECOND, 50, 2));
    for make in [|_: u16| 0_u16, |id: u16| id.wrapping_mul(40_503) ^ 0xbeef] {
        let mut captures = scene(2, 400, &packets);
        for frame in &mut captures[1].frames {
            let id = u16::from_be_bytes([frame.bytes[4], frame.bytes[5]]);
            frame.bytes[4..6].copy_from_slice(&make(id).to_be_bytes());
        }
        let findings = judged(&captures);
        assert_eq!(lost(&findings), 0);
        let p = number(&findings, 0, 50);
        assert_eq!((p.packets, p.delivered, p.altered), (3, 3, 0));
    }
}

#[test]
fn trap_13_one_ip_id_for_all_packets_makes_them_no_duplicates() {
    let mut packets = [0, 1, 2, 3].map(|n| sent((5 + n) * MILLISECOND, 50, 2));
    packets[2].reaches = 1;
    let mut captures = scene(2, 400, &packets);
    for frame in captures.iter_mut().flat_map(|capture| &mut capture.frames) {
        frame.bytes[4..6].fill(7);
    }
    let findings = judged(&captures);
    let p = number(&findings, 0, 50);
    let counts = (p.packets, p.delivered, p.lost, p.duplicates);
    assert_eq!(counts, (4, 3, 1, 0));
    assert_eq!(point(&findings, "p0").copies, 0);
    assert_eq!(
        findings.points[0].first_ns,
        Some(START_NS - 500 * MILLISECOND)
    );
}
