//! What the reports look like, over findings made by hand.
//!
//! The snapshots are the specification: read them as a user would.

use super::*;
use crate::{
    findings::{
        Absence, Carrier, Cause, Change, Clock, ClockMethod, Delay, DelayReference, Direction,
        Duplication, During, EdgeAt, Expected, Fate, Findings, Grade, IcmpEvidence, Input,
        LossRuns, LostAt, Others, Packet, PacketSighting, Point, PointKind, Protocol, Quoted,
        Reason, Refusal, Refuser, RelatedBy, RoundTrip, Rule, Segment, Skipped, Translation,
        Verdict, Warning, WithLost, WitnessRule, Witnessed,
    },
    protocols::keyword,
};

/// 2026-03-01 09:58:19.692 UTC.
const START: i64 = 1_772_359_099_692_000_000;
const MILLISECOND: i64 = 1_000_000;

fn point(name: &str, hdp: u64) -> Point {
    Point {
        name: name.to_owned(),
        capture: name.to_owned(),
        side: None,
        source: format!("{name}.pcap"),
        kind: PointKind::Capture,
        link_types: vec!["EN10MB".to_owned()],
        resolution_ns: Some(1),
        frames: hdp + 96,
        hdp,
        first_ns: Some(START),
        last_ns: Some(START + 68_763 * MILLISECOND),
        capture_drops: None,
        gaps: Vec::new(),
        missed: 0,
        copies: 0,
        incomplete: 0,
        skipped: Skipped {
            not_ip: 6,
            not_hdp: 90,
            ..Skipped::default()
        },
    }
}

fn input(name: &str) -> Input {
    Input {
        source: format!("{name}.pcap"),
        bytes: Some(70_000),
        sha256: Some("5f".repeat(32)),
    }
}

/// Points with that many packets of that many numbers at the first.
fn findings(points: &[&str], protocols: Vec<Protocol>) -> Findings {
    let hdp = |i: usize| protocols.iter().map(|protocol| protocol.seen[i]).sum();
    Findings {
        schema_version: Findings::SCHEMA_VERSION,
        generator: "hdp 0.1.0".to_owned(),
        ruleset: Findings::RULESET,
        points: points
            .iter()
            .enumerate()
            .map(|(i, name)| point(name, hdp(i)))
            .collect(),
        inputs: points.iter().map(|name| input(name)).collect(),
        directions: vec![direction(points, protocols)],
        warnings: Vec::new(),
    }
}

fn direction(points: &[&str], mut protocols: Vec<Protocol>) -> Direction {
    protocols.sort_by_key(|protocol| (protocol.protocol, protocol.carrier));
    let segments = points
        .windows(2)
        .map(|ends| Segment {
            from: ends[0].to_owned(),
            to: ends[1].to_owned(),
            lost: protocols
                .iter()
                .flat_map(|protocol| &protocol.lost_at)
                .filter(|lost| lost.from == ends[0] && lost.to == ends[1])
                .map(|lost| lost.count)
                .sum(),
            clock: Clock {
                method: ClockMethod::OneWay,
                offset_ns: None,
                error_ns: None,
                skew_ppm: None,
                at_ns: None,
                steps: Vec::new(),
                levels: Vec::new(),
                related_by: RelatedBy::default(),
            },
            within: None,
            translation: None,
            bystanders: None,
        })
        .collect();
    Direction {
        from: points[0].to_owned(),
        to: points[points.len() - 1].to_owned(),
        segments,
        protocols,
        against_control: None,
        destination: Some("10.77.2.2".to_owned()),
        refusers: Vec::new(),
    }
}

/// A number whose packets were seen so often at each of the points, none missed in between.
fn unwatched(count: u64) -> Vec<EdgeAt> {
    vec![EdgeAt {
        point: "server".to_owned(),
        why: Absence::Unwatched,
        count,
    }]
}

fn number(points: &[&str], protocol: u16, seen: &[u64]) -> Protocol {
    let (packets, delivered) = (seen[0], seen[seen.len() - 1]);
    let lost_at = (0..seen.len() - 1)
        .filter(|&i| seen[i] > seen[i + 1])
        .map(|i| LostAt {
            from: points[i].to_owned(),
            to: points[i + 1].to_owned(),
            count: seen[i] - seen[i + 1],
            witness: Vec::new(),
            last_hop: None,
        })
        .collect();
    let verdict = match delivered {
        0 => Verdict::Blocked,
        _ if delivered < packets => Verdict::Lossy,
        _ => Verdict::Passes,
    };
    let reasons = match verdict {
        Verdict::Blocked | Verdict::Lossy => vec![Reason::Chance {
            others: Others::Numbers,
            lost: packets - delivered,
            packets,
            others_lost: 2,
            others_packets: 100,
            chance: 0.012,
            asked: 1,
        }],
        _ => Vec::new(),
    };
    let jitter = i64::from(protocol % 7) * 1_000;
    Protocol {
        protocol,
        keyword: u8::try_from(protocol)
            .ok()
            .and_then(keyword)
            .map(str::to_owned),
        carrier: Carrier::Ip,
        verdict,
        grade: if verdict == Verdict::Passes {
            Grade::Certain
        } else {
            Grade::Likely
        },
        packets,
        delivered,
        lost: packets - delivered,
        edge: 0,
        edge_at: Vec::new(),
        unheard: 0,
        late: 0,
        ambiguous: 0,
        expired: 0,
        altered: 0,
        duplicates: 0,
        reordered: 0,
        loss_runs: (delivered < packets).then_some(LossRuns {
            count: 1,
            longest: packets - delivered,
        }),
        duplication: (delivered > 0).then_some(Duplication {
            fraction: 0.0,
            replicated: 0.0,
        }),
        seen: seen.to_vec(),
        lost_at,
        lost_during: Vec::new(),
        loss_interval: (packets == 3 && delivered == 3).then_some([0.0, 0.7076]),
        refused: Vec::new(),
        icmp: Vec::new(),
        changes: Vec::new(),
        delay_ns: (delivered > 0).then_some(Delay {
            min: 23_000,
            p50: 58_000 + jitter,
            p90: 80_000 + jitter,
            p99: 400_000,
            max: 1_240_000,
            reference: DelayReference::Minimum,
            with_lost: WithLost {
                p50: (packets < 2 * delivered).then_some(58_000 + jitter),
                p90: (packets == delivered).then_some(80_000 + jitter),
                p99: (packets == delivered).then_some(400_000),
            },
        }),
        against_control: None,
        more_packets: (delivered < packets).then_some(2),
        flows: Vec::new(),
        assumes: None,
        rule: Rule::AllArrived,
        reasons,
    }
}

fn control(points: &[&str], seen: &[u64]) -> Protocol {
    Protocol {
        carrier: Carrier::Udp,
        ..number(points, 17, seen)
    }
}

const THREE: [&str; 3] = ["client", "router", "server"];
const TWO: [&str; 2] = ["client", "server"];

/// 1-255, three packets each, and what `change` makes of each.
fn sweep(points: &[&str], change: impl Fn(u16) -> Option<Protocol>) -> Vec<Protocol> {
    let seen = vec![3; points.len()];
    (1..=255)
        .map(|protocol| change(protocol).unwrap_or_else(|| number(points, protocol, &seen)))
        .collect()
}

/// The example of the project's aims: a router that drops, rejects, cuts off and loses.
pub(crate) fn router_drops_some() -> Findings {
    let mut protocols = sweep(&THREE, |protocol| match protocol {
        47 => Some(Protocol {
            grade: Grade::Certain,
            icmp: vec![IcmpEvidence {
                from: "10.77.1.1".to_owned(),
                icmp_type: 3,
                code: 13,
                meaning: "administratively prohibited".to_owned(),
                count: 2,
                refuses: true,
                answered: 2,
                quoted: Quoted {
                    ttl: Some(63),
                    hops: Some(1),
                    source: Some("10.77.1.2".to_owned()),
                    destination: Some("10.77.2.2".to_owned()),
                    dscp: Some(0),
                    ecn: Some(0),
                },
                rtt_ns: Some(RoundTrip {
                    min: 120_000,
                    p50: 143_000,
                }),
                seen_at: vec!["client".to_owned()],
            }],
            more_packets: None,
            reasons: vec![Reason::IcmpAnswer {
                from: "10.77.1.1".to_owned(),
                version: 4,
                icmp_type: 3,
                code: 13,
                answered: 2,
                lost: 3,
                about: None,
            }],
            ..number(&THREE, 47, &[3, 3, 0])
        }),
        50 | 51 | 132 => Some(number(&THREE, protocol, &[3, 3, 0])),
        100..=131 => Some(Protocol {
            verdict: Verdict::CutOff,
            reasons: vec![Reason::FirstPassed { count: 1 }],
            ..number(&THREE, protocol, &[3, 3, 1])
        }),
        200 | 201 | 203..=205 | 208..=210 => Some(number(&THREE, protocol, &[3, 3, 2])),
        _ => None,
    });
    protocols.push(control(&THREE, &[3, 3, 3]));
    let refusal = Refusal {
        requested: 0,
        call: "socket".to_owned(),
        errno: 93,
        name: "EPROTONOSUPPORT".to_owned(),
        count: 3,
    };
    protocols.push(Protocol {
        verdict: Verdict::Refused,
        grade: Grade::Certain,
        refused: vec![refusal],
        delay_ns: None,
        reasons: vec![Reason::Refused {
            requested: 0,
            call: "socket".to_owned(),
            errno: 93,
            name: "EPROTONOSUPPORT".to_owned(),
            count: 3,
        }],
        ..number(&THREE, 0, &[0, 0, 0])
    });
    let mut findings = findings(&THREE, protocols);
    findings.points[0].link_types = vec!["LINUX_SLL2".to_owned()];
    findings.points[1].link_types = vec!["LINUX_SLL2".to_owned()];
    findings.points[1].resolution_ns = Some(1000);
    findings.points[2].capture_drops = Some(0);
    findings.directions[0].refusers = vec![Refuser {
        from: "10.77.1.1".to_owned(),
        errors: 2,
        of: 83,
        lost: 83,
        rate_limited: Some(true),
    }];
    findings
}

/// Everything arrives.
fn everything_passes() -> Findings {
    findings(&TWO, sweep(&TWO, |_| None))
}

/// Two captures without HDP, the second without any frame.
pub(crate) fn nothing_seen() -> Findings {
    let mut findings = findings(&TWO, Vec::new());
    let empty = &mut findings.points[1];
    (empty.frames, empty.first_ns, empty.last_ns) = (0, None, None);
    empty.skipped = Skipped::default();
    findings.warnings = vec![Warning::NoFrames {
        point: "server".to_owned(),
        was_watching: false,
    }];
    findings
}

/// The router's capture was stopped while 50 and 51 were sent; 7 and 8 came when it had ended.
fn blind_middle() -> Findings {
    let across = |protocol| Protocol {
        seen: vec![3, 0, 0],
        lost_at: vec![LostAt {
            from: "client".to_owned(),
            to: "server".to_owned(),
            count: 3,
            witness: Vec::new(),
            last_hop: None,
        }],
        ..number(&THREE, protocol, &[3, 3, 0])
    };
    let mut protocols = sweep(&THREE, |protocol| match protocol {
        50 | 51 => Some(across(protocol)),
        60 => Some(number(&THREE, 60, &[3, 0, 0])),
        7 | 8 => Some(Protocol {
            verdict: Verdict::Inconclusive,
            grade: Grade::Weak,
            edge: 3,
            edge_at: unwatched(3),
            lost: 0,
            lost_at: Vec::new(),
            reasons: vec![Reason::NotWatching {
                point: "server".to_owned(),
                count: 3,
                may_have_dropped: false,
            }],
            ..number(&THREE, protocol, &[3, 0, 0])
        }),
        89 => Some(Protocol {
            edge: 1,
            edge_at: unwatched(1),
            delivered: 2,
            ..number(&THREE, 89, &[3, 3, 3])
        }),
        _ => None,
    });
    protocols[9].seen = vec![3, 0, 3];
    let mut findings = findings(&THREE, protocols);
    findings.points[1].missed = 3;
    findings.points[1].skipped.fragment = 12;
    findings.warnings = vec![Warning::Source {
        point: "router".to_owned(),
        message: "the file was cut in the middle of a record".to_owned(),
    }];
    findings
}

/// A sweep and its echo, of which the way back loses 6 and repeats some.
pub(crate) fn both_directions() -> Findings {
    let back = ["server", "client"];
    let mut findings = findings(&TWO, sweep(&TWO, |_| None));
    let mut answers = vec![number(&back, 6, &[3, 0]), number(&back, 253, &[3, 3])];
    for protocol in &mut answers {
        // The order of the points, not of the direction.
        protocol.seen.reverse();
    }
    answers[1].duplicates = 2;
    answers[1].duplication = Some(Duplication {
        fraction: 2.0 / 3.0,
        replicated: 1.0 / 3.0,
    });
    answers[1].reordered = 1;
    findings.directions.push(direction(&back, answers));
    let protocols = findings
        .directions
        .iter_mut()
        .flat_map(|way| &mut way.protocols);
    for delay in protocols.filter_map(|protocol| protocol.delay_ns.as_mut()) {
        delay.reference = DelayReference::Absolute;
    }
    for segment in findings
        .directions
        .iter_mut()
        .flat_map(|way| &mut way.segments)
    {
        segment.clock = Clock {
            method: ClockMethod::TwoWay,
            offset_ns: Some(-1_500_000),
            error_ns: Some(41_000),
            skew_ppm: None,
            at_ns: None,
            steps: Vec::new(),
            levels: Vec::new(),
            related_by: RelatedBy::default(),
        };
    }
    findings
}

/// A masquerading router, which leaves six numbers untranslated.
fn masquerade() -> Findings {
    let change = |field: &str, from: &str, to: &str| Change {
        field: field.to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
        hops: None,
        between: ["router".to_owned(), "server".to_owned()],
        count: 3,
        cause: None,
    };
    let mut protocols = sweep(&THREE, |_| None);
    protocols.push(control(&THREE, &[3, 3, 3]));
    for protocol in &mut protocols {
        let bare = protocol.carrier == Carrier::Ip;
        if !(bare && [1, 6, 17, 58, 132, 136].contains(&protocol.protocol)) {
            protocol
                .changes
                .push(change("source_address", "10.77.1.2", "10.77.2.1"));
        }
        if !bare {
            protocol.changes.push(change("source_port", "420", "61234"));
        }
        protocol.changes.push(Change {
            hops: Some(1),
            ..change("ttl", "64", "63")
        });
    }
    let mut findings = findings(&THREE, protocols);
    let untranslated = [1, 6, 17, 58, 132, 136];
    findings.directions[0].segments[1].translation = Some(Translation {
        translated: (1..=255)
            .filter(|number| !untranslated.contains(number))
            .collect(),
        untranslated: untranslated.to_vec(),
        untranslated_sources: vec!["10.77.1.2".to_owned()],
        left_private: true,
    });
    findings
}

/// Five points with long names; two of them lose, the last captured by the second.
fn long_path() -> Findings {
    let points = [
        "laptop-in-the-kitchen",
        "home-router-wan",
        "provider-edge-frankfurt",
        "datacentre-firewall",
        "server",
    ];
    let mut protocols = sweep(&points, |protocol| match protocol {
        0..=99 => Some(number(&points, protocol, &[3, 3, 3, 0, 0])),
        100..=199 => Some(number(&points, protocol, &[3, 1, 1, 1, 0])),
        _ => None,
    });
    protocols.push(control(&points, &[3, 3, 3, 3, 3]));
    findings(&points, protocols)
}

/// All that is mentioned only where it happened, logs as points, a blind one between, and a night.
fn odds_and_ends() -> Findings {
    let points = ["sent", "client", "received"];
    let icmp = IcmpEvidence {
        from: "2001:db8::1".to_owned(),
        icmp_type: 1,
        code: 4,
        meaning: "port unreachable".to_owned(),
        count: 1,
        refuses: true,
        answered: 0,
        quoted: Quoted::default(),
        rtt_ns: None,
        seen_at: vec!["client".to_owned()],
    };
    let refusal = Refusal {
        requested: 17,
        call: "sendto".to_owned(),
        errno: 1,
        name: "EPERM".to_owned(),
        count: 2,
    };
    let marked = |to: &str| Change {
        field: "dscp".to_owned(),
        from: "0".to_owned(),
        to: to.to_owned(),
        hops: None,
        between: ["sent".to_owned(), "received".to_owned()],
        count: 1,
        cause: Some(Cause::DscpRemarked),
    };
    let mut protocols = vec![
        Protocol {
            icmp: vec![icmp],
            altered: 1,
            ..number(&points, 1, &[1, 0, 1])
        },
        Protocol {
            verdict: Verdict::Blocked,
            grade: Grade::Weak,
            lost_at: vec![LostAt {
                from: "sent".to_owned(),
                to: "received".to_owned(),
                count: 1,
                witness: Vec::new(),
                last_hop: None,
            }],
            ..number(&points, 6, &[1, 0, 0])
        },
        Protocol {
            refused: vec![refusal],
            late: 1_200,
            ambiguous: 2,
            packets: 1_205,
            changes: vec![marked("8"), marked("10"), marked("46")],
            ..number(&points, 17, &[3, 0, 3])
        },
        Protocol {
            duplicates: 1,
            duplication: Some(Duplication {
                fraction: 1.0 / 3.0,
                replicated: 1.0 / 3.0,
            }),
            reordered: 1,
            ..control(&points, &[3, 0, 3])
        },
    ];
    for passes in [0, 2, 3] {
        protocols[passes].lost_at.clear();
    }
    let mut findings = findings(&points, protocols);
    for (point, kind) in [(0, PointKind::SendLog), (2, PointKind::ListenLog)] {
        let log = &mut findings.points[point];
        (log.kind, log.frames) = (kind, log.hdp);
        (log.link_types, log.resolution_ns, log.skipped) = (Vec::new(), None, Skipped::default());
    }
    findings.points[1].capture_drops = Some(1_234_567);
    findings.points[1].resolution_ns = Some(100);
    findings.points[2].last_ns = Some(START + 86_400_000 * MILLISECOND);
    findings
}

/// A case: what it is called and how it is made.
type Case = (&'static str, fn() -> Findings);

const ALL: [Case; 8] = [
    ("odds_and_ends", odds_and_ends),
    ("router_drops_some", router_drops_some),
    ("everything_passes", everything_passes),
    ("nothing_seen", nothing_seen),
    ("blind_middle", blind_middle),
    ("both_directions", both_directions),
    ("masquerade", masquerade),
    ("long_path", long_path),
];

fn plain(findings: &Findings, width: usize) -> String {
    table(
        findings,
        &Layout {
            width,
            color: false,
            all: false,
            ascii: false,
        },
    )
}

#[test]
fn tables() {
    for (name, findings) in ALL {
        for width in [40, 60, 80, 100, 200] {
            insta::assert_snapshot!(format!("{name}_{width}"), plain(&findings(), width));
        }
    }
}

/// One packet each of all numbers, of which the first ones arrive and then none: the article's own
/// experiment. Each lost packet has a frame number of its own.
fn one_packet_each() -> Findings {
    let number = |protocol: u16| {
        let arrives = protocol < 41;
        let of_number = number(&TWO, protocol, &[1, u64::from(arrives)]);
        let reasons = if arrives {
            vec![Reason::OnlyOnePacket]
        } else {
            vec![
                Reason::SeenAndNot {
                    from: "client".to_owned(),
                    to: "server".to_owned(),
                    count: 1,
                },
                Reason::FirstLost {
                    point: "client".to_owned(),
                    record: PointKind::Capture,
                    number: u64::from(protocol) + 4,
                },
            ]
        };
        Protocol {
            grade: Grade::Weak,
            reasons,
            more_packets: Some(1),
            ..of_number
        }
    };
    findings(&TWO, (0..=255).map(number).collect())
}

#[test]
fn the_article_s_case_fits_a_screen() {
    let findings = one_packet_each();
    for width in [60, 80, 100, 200] {
        let text = plain(&findings, width);
        assert!(text.lines().count() <= 40, "{width}: {text}");
        insta::assert_snapshot!(format!("one_packet_each_{width}"), text);
    }
    let all = Layout {
        width: 200,
        color: false,
        all: true,
        ascii: false,
    };
    // Each number has its row, and its own frame.
    let text = table(&findings, &all);
    assert!(text.contains("first in frame 45 of client") && text.contains("first in frame 259 of"));
}

#[test]
fn every_second_number_lost_fits_a_screen_too() {
    let mut findings = one_packet_each();
    for (index, protocol) in findings.directions[0].protocols.iter_mut().enumerate() {
        let lost = u64::from(index % 2 == 0);
        let of_number = number(&TWO, protocol.protocol, &[1, 1 - lost]);
        *protocol = Protocol {
            grade: Grade::Weak,
            ..of_number
        };
    }
    for width in [60, 80, 100, 200] {
        let text = plain(&findings, width);
        assert!(text.lines().count() <= 50, "{width}: {text}");
    }
}

#[test]
fn what_differs_in_more_than_figures_has_rows_of_its_own() {
    let mut findings = one_packet_each();
    findings.directions[0].protocols[100].grade = Grade::Likely;
    findings.directions[0].protocols[101].reasons.truncate(1);
    let text = plain(&findings, 100);
    let starts = |number: &str| {
        text.lines()
            .any(|line| line.starts_with(&format!(" {number}")))
    };
    assert!(starts("100") && starts("101"), "{text}");
}

#[test]
fn no_line_is_wider_than_the_terminal_and_no_word_is_broken() {
    for (name, findings) in ALL {
        let findings = findings();
        let words: std::collections::BTreeSet<String> = plain(&findings, 4_000)
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        for width in [60, 80, 100, 200] {
            for line in plain(&findings, width).lines() {
                let is = textwrap::core::display_width(line);
                assert!(is <= width, "{name} at {width}: {is} columns: {line}");
                // A command goes on behind a backslash; narrow tables join cells by commas.
                let pieces = line.split_whitespace().filter(|word| *word != "\\");
                for word in pieces {
                    let bare = word.trim_end_matches([',', ':', ';']);
                    let known = |word: &str| words.iter().any(|known| known.contains(word));
                    let title = ["verdict", "sent", "arrived", "unjudged", "lost", "grade"];
                    assert!(
                        known(bare) || title.contains(&bare),
                        "{name} at {width}: {word} is no word of the report"
                    );
                }
            }
        }
    }
}

#[test]
fn without_utf_8_the_report_is_ascii() {
    for (name, findings) in ALL {
        let layout = Layout {
            width: 80,
            color: false,
            all: false,
            ascii: true,
        };
        let text = table(&findings(), &layout);
        assert!(text.is_ascii(), "{name}: {text}");
        assert!(text.lines().all(|line| line.len() <= 80), "{name}: {text}");
        insta::assert_snapshot!(format!("{name}_ascii"), text);
    }
}

#[test]
fn the_other_formats() {
    for (name, findings) in ALL {
        insta::assert_snapshot!(format!("{name}_markdown"), markdown(&findings(), false));
    }
    let few = few_numbers();
    insta::assert_snapshot!("few_numbers_csv", csv(&few));
    insta::assert_snapshot!("few_numbers_json", json(&few));
    insta::assert_snapshot!("nothing_seen_csv", csv(&nothing_seen()));
}

/// The numbers of [`router_drops_some`] that are not like all others.
fn few_numbers() -> Findings {
    let mut findings = router_drops_some();
    findings.directions[0]
        .protocols
        .retain(|protocol| [0, 17, 47, 50, 100, 200, 253].contains(&protocol.protocol));
    findings
}

#[test]
fn with_all_every_number_has_a_row() {
    let layout = Layout {
        width: 100,
        color: false,
        all: true,
        ascii: false,
    };
    insta::assert_snapshot!("few_numbers_all", table(&few_numbers(), &layout));
}

#[test]
fn color_adds_escapes_and_nothing_else() {
    for (_, findings) in ALL {
        for width in [40, 60, 80, 100, 200] {
            let findings = findings();
            let colored = table(
                &findings,
                &Layout {
                    width,
                    color: true,
                    all: false,
                    ascii: false,
                },
            );
            assert!(colored.contains('\u{1b}'));
            assert_eq!(without_escapes(&colored), plain(&findings, width));
        }
    }
    let layout = Layout {
        width: 80,
        color: true,
        all: false,
        ascii: false,
    };
    let red = table(&few_numbers(), &layout).matches("\u{1b}[31m").count();
    // Two lines of the answer say blocked, one cut off, one refused; so does the table.
    assert_eq!(red, 8);
}

/// Escape sequences here are all of the kind `ESC [ ... m`.
fn without_escapes(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    first
        + &parts
            .filter_map(|part| part.split_once('m'))
            .map(|(_, rest)| rest)
            .collect::<String>()
}

#[test]
fn lines_are_no_longer_than_the_width() {
    for (name, findings) in ALL {
        for width in 40..140 {
            for line in plain(&findings(), width).lines() {
                // A list of numbers in a command is not cut.
                if !line.trim().trim_end_matches(" \\").contains(' ') {
                    continue;
                }
                assert!(line.chars().count() <= width, "{name} at {width}: {line}");
            }
        }
    }
}

#[test]
fn nothing_is_said_of_what_did_not_happen() {
    let text = plain(&everything_passes(), 80);
    for word in [
        "Also seen",
        "Not judged",
        "Changed",
        "Translated",
        "ICMP",
        "Warnings",
        "Number",
    ] {
        assert!(!text.contains(word), "{word}");
    }
}

#[test]
fn all_formats_tell_the_same_numbers() {
    let findings = few_numbers();
    let layout = Layout {
        width: 120,
        color: false,
        all: true,
        ascii: false,
    };
    let (table, markdown) = (table(&findings, &layout), markdown(&findings, true));
    let csv = csv(&findings);
    let json = json(&findings);
    for protocol in &findings.directions[0].protocols {
        let (number, sent) = (protocol.protocol.to_string(), protocol.packets.to_string());
        let arrived = protocol.delivered.to_string();
        let label = match (protocol.carrier, &protocol.keyword) {
            (Carrier::Udp, _) => "UDP control".to_owned(),
            (Carrier::Ip, Some(keyword)) => format!("{number} {keyword}"),
            (Carrier::Ip, None) => number.clone(),
        };
        let start = format!(" {label}  {} {sent} {arrived} ", word(protocol.verdict));
        let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ") + " ";
        let has = |text: &str, start: &str| {
            text.lines()
                .any(|line| squeezed(line).starts_with(&squeezed(start)))
        };
        assert!(has(&table, &start), "{start} in\n{table}");
        let row = format!(
            "| {label} | {} | {sent} | {arrived} |",
            word(protocol.verdict)
        );
        assert!(has(&markdown, &row), "{row} in\n{markdown}");

        let verdict = serde_json::to_value(protocol.verdict).unwrap();
        let verdict = verdict.as_str().unwrap();
        let mut rows = ::csv::Reader::from_reader(csv.as_bytes());
        let header = rows.headers().unwrap().clone();
        let column = |name: &str| header.iter().position(|column| column == name).unwrap();
        let carrier = if protocol.carrier == Carrier::Udp {
            "udp"
        } else {
            "ip"
        };
        assert!(rows.records().map(Result::unwrap).any(|row| {
            [
                ("protocol", number.as_str()),
                ("carrier", carrier),
                ("verdict", verdict),
            ]
            .iter()
            .chain(&[("packets", sent.as_str()), ("delivered", &arrived)])
            .all(|(name, value)| row[column(name)] == **value)
        }));
    }
    assert_eq!(serde_json::from_str::<Findings>(&json).unwrap(), findings);
}

#[test]
fn json_gives_the_findings_back() {
    for (name, findings) in ALL {
        let text = json(&findings());
        assert!(text.ends_with("}\n"));
        assert_eq!(
            serde_json::from_str::<Findings>(&text).unwrap(),
            findings(),
            "{name}"
        );
    }
}

#[test]
fn a_packet_is_one_line() {
    let packet = Packet {
        from: "client".into(),
        to: "server".into(),
        timestamp_ns: 1_772_359_099_692_345_678,
        protocol: 50,
        carrier: Carrier::Ip,
        srcport: 420,
        dstport: 420,
        payload_len: 33,
        fate: Fate::Lost,
        lost_at: Some(["router".into(), "server".into()]),
        expected: Some(Expected {
            point: "server".into(),
            from_ns: Some(START),
            to_ns: Some(START + 1_000_000),
            unheard: false,
        }),
        delay_ns: None,
        reordered: false,
        altered: false,
        seen: vec![PacketSighting {
            point: "client".into(),
            frame: 17,
            time_ns: START,
            src: "10.77.1.2".into(),
            dst: "10.77.2.2".into(),
            ttl: 64,
            duplicates: 0,
        }],
    };
    let mut text = Vec::new();
    packet_line(&packet, &mut text).unwrap();
    packet_line(&packet, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text.lines().count(), 2);
    for line in text.lines() {
        assert_eq!(serde_json::from_str::<Packet>(line).unwrap(), packet);
    }
}

/// Every number lossy at all of four points, its losses all the time.
fn lossy_everywhere() -> Findings {
    let points = ["client", "in", "out", "server"];
    let protocols = (0..256).map(|protocol| Protocol {
        lost_during: (0..32)
            .map(|stretch| During {
                from_ns: 1_700_000_000_000_000_000 + stretch * 1_000_000_000,
                to_ns: 1_700_000_000_000_000_000 + stretch * 1_000_000_000 + 999_999_999,
                count: 40,
            })
            .collect(),
        ..number(&points, protocol, &[4000, 3600, 3200, 2720])
    });
    let mut findings = findings(&points, protocols.collect());
    findings.directions[0]
        .protocols
        .push(control(&points, &[4000, 4000, 4000, 4000]));
    findings
}

#[test]
fn a_million_packets_under_all_numbers_at_four_points_are_a_small_file() {
    let text = html(&lossy_everywhere(), None);
    assert!(text.len() < 500_000, "{}", text.len());
}

#[test]
fn markup_and_control_characters_show_as_text_in_html() {
    const NASTY: &str = "<img src=x onerror=alert(1)>\"'&\u{1b}]0;x\u{7}";
    let mut findings = router_drops_some();
    let nasty = || NASTY.to_owned();
    for point in &mut findings.points {
        (point.name, point.capture, point.source) = (nasty(), nasty(), nasty());
        point.link_types = vec![nasty()];
    }
    findings.inputs = vec![
        Input {
            source: nasty(),
            ..input("x")
        };
        3
    ];
    let direction = &mut findings.directions[0];
    (direction.from, direction.to) = (nasty(), nasty());
    for segment in &mut direction.segments {
        (segment.from, segment.to) = (nasty(), nasty());
    }
    for number in &mut direction.protocols {
        for lost in &mut number.lost_at {
            (lost.from, lost.to) = (nasty(), nasty());
            lost.witness = vec![Witnessed {
                by: WitnessRule {
                    witness: nasty(),
                    rule: nasty(),
                    hook: None,
                    in_interface: None,
                    out_interface: None,
                },
                count: 1,
            }];
        }
        for icmp in &mut number.icmp {
            (icmp.from, icmp.meaning) = (nasty(), nasty());
        }
        number.changes = vec![Change {
            field: "payload".to_owned(),
            from: nasty(),
            to: nasty(),
            hops: None,
            between: [nasty(), nasty()],
            count: 1,
            cause: None,
        }];
    }
    let text = html(&findings, Some(NASTY));
    assert!(text.contains("&lt;img src=x"), "nothing planted");
    let markup = |tag: &str| text.contains(&format!("<{tag}"));
    assert!(!markup("img") && !markup("script"));
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
    // Where it stands in an attribute, it stays there.
    assert!(text.contains("&quot;") && !text.contains(NASTY));
}
