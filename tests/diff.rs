//! `hdp diff`: what differs between two results, and what only seems to.
#![cfg(feature = "cli")]

use std::{fs, path::Path, process::Command, sync::OnceLock};

use assert_cmd::cargo::cargo_bin_cmd;
use fastrand::Rng;
use hdp::{
    diff::{self, Caution, Difference, Outcome},
    findings::{Carrier, Findings, Grade, LossRuns, LostAt, Verdict, trace::Trace},
};
use tempfile::tempdir;

fn fixture(folder: &str, command: &[&str]) -> Vec<u8> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let output = Command::new(env!("CARGO_BIN_EXE_hdp"))
        .current_dir(fixtures.join(folder))
        .args(command)
        .args(["--format", "json"])
        .output()
        .unwrap();
    output.stdout
}

/// 256 numbers over two points, all of which pass.
fn base() -> &'static Findings {
    static BASE: OnceLock<Findings> = OnceLock::new();
    BASE.get_or_init(|| {
        let json = fixture("all-pass", &["path", "client.pcap.gz", "server.pcapng"]);
        serde_json::from_slice(&json).unwrap()
    })
}

/// The same path with so many packets lost of each number, of so many.
fn result(packets: u64, mut lost: impl FnMut(u16) -> u64) -> Findings {
    let mut findings = base().clone();
    findings.inputs.clear();
    for number in &mut findings.directions[0].protocols {
        let lost = lost(number.protocol);
        (number.packets, number.lost, number.delivered) = (packets, lost, packets - lost);
        number.verdict = match lost {
            0 => Verdict::Passes,
            _ if lost == packets => Verdict::Blocked,
            _ => Verdict::Lossy,
        };
        number.lost_at = (lost > 0)
            .then(|| LostAt {
                from: "client".to_owned(),
                to: "server".to_owned(),
                count: lost,
                witness: Vec::new(),
                last_hop: None,
            })
            .into_iter()
            .collect();
    }
    findings
}

/// Numbers with an outcome.
fn with(difference: &Difference, outcome: Outcome) -> Vec<u16> {
    let numbers = difference.numbers.iter();
    let numbers = numbers.filter(|number| number.outcome == outcome);
    numbers.map(|number| number.protocol).collect()
}

/// How many of a number's packets are lost where each is with such a chance.
fn drawn(random: &mut Rng, packets: u64, share: f64) -> u64 {
    (0..packets).filter(|_| random.f64() < share).count() as u64
}

/// How many of a thousand pairs over a path of such loss ratios, the same in both results, have a change.
/// The ratios are made anew for each pair.
fn false_changes(
    seed: u64,
    packets: &[u64],
    mut ratios: impl FnMut(&mut Rng, usize) -> Vec<f64>,
) -> usize {
    let mut random = Rng::with_seed(seed);
    let is_changed = |pair: usize| {
        let packets = packets[pair % packets.len()];
        let ratios = ratios(&mut random, pair);
        let mut run = || {
            result(packets, |number| {
                drawn(&mut random, packets, ratios[usize::from(number)])
            })
        };
        let (before, after) = (run(), run());
        diff::of_paths(&before, &after).has_changes()
    };
    (0..1000).map(is_changed).filter(|&changed| changed).count()
}

#[test]
fn of_a_thousand_pairs_over_equal_paths_at_most_one_has_a_change() {
    // The path's loss, and numbers that it treats worse, both times alike.
    let wrong = false_changes(14, &[3, 10, 20, 100], |random, pair| {
        let common = [0.0, 0.01, 0.1, 0.5][pair / 4 % 4];
        let of = |number| {
            if number % 16 == 0 {
                random.f64()
            } else {
                common
            }
        };
        (0..256).map(of).collect()
    });
    assert!(wrong <= 1, "{wrong} of 1,000 pairs");
}

/// What the others tell is believed, and misleads most where there is a single number of the kind that
/// they do not tell of.
#[test]
fn what_the_others_tell_makes_no_change_of_equal_paths() {
    type Ratios = fn(&mut Rng, usize) -> Vec<f64>;
    let paths: [(&str, usize, Ratios); 7] = [
        // 14 of 10,000.
        ("one lossy number", 4, |random, _| {
            let mut all = vec![0.0; 256];
            all[100] = random.f64();
            all
        }),
        ("a little lost of all", 1, |_, _| vec![0.002; 256]),
        ("one in a hundred lost of all", 1, |_, _| vec![0.01; 256]),
        ("a tenth lost of all", 1, |_, _| vec![0.1; 256]),
        ("two lossy numbers", 1, |random, _| {
            let mut all = vec![0.0; 256];
            (all[7], all[100]) = (random.f64(), random.f64());
            all
        }),
        ("twenty numbers share a limit", 1, |random, _| {
            let share = random.f64();
            (0..256)
                .map(|number| {
                    if (200..220).contains(&number) {
                        share
                    } else {
                        0.001
                    }
                })
                .collect()
        }),
        ("each number another ratio", 1, |random, _| {
            (0..256).map(|_| random.f64().powi(4)).collect()
        }),
    ];
    for (seed, (path, most, ratios)) in (1..).zip(paths) {
        let wrong = false_changes(seed, &[20], ratios);
        eprintln!("{path}: {wrong}");
        assert!(wrong <= most, "{path}: {wrong} of 1,000 pairs");
    }
}

#[test]
fn what_stops_arriving_is_found_and_nothing_else() {
    for number in 0..256 {
        let before = result(20, |_| 0);
        let after = result(20, |other| if other == number { 20 } else { 0 });
        let difference = diff::of_paths(&before, &after);
        assert_eq!(with(&difference, Outcome::Changed), [number]);
        assert_eq!(with(&difference, Outcome::Same).len(), 255);
        // The other way round it is found too.
        let back = diff::of_paths(&after, &before);
        assert_eq!(with(&back, Outcome::Changed), [number]);
    }
}

/// Six of twenty may be lost by chance to one of 256 numbers that lose as much: it is listed, and no
/// change. With more packets it is one.
#[test]
fn what_loses_as_others_do_is_listed_as_perhaps_and_certain_with_more_packets() {
    let run = |times: u64, lost: u64| {
        let lossy = |number| if number % 16 == 0 { 3 * times } else { 0 };
        let before = result(
            20 * times,
            |number| if number == 50 { 0 } else { lossy(number) },
        );
        let after = result(
            20 * times,
            |number| if number == 50 { lost } else { lossy(number) },
        );
        diff::of_paths(&before, &after)
    };
    let few = run(1, 6);
    assert_eq!(with(&few, Outcome::Perhaps), [50]);
    assert!(!few.has_changes());
    let times = u64::from(few.numbers[50].times_more.unwrap());
    assert!((2..5).contains(&times), "{times}");
    assert_eq!(with(&run(times, 6 * times), Outcome::Changed), [50]);
    assert_eq!(
        with(&run(times - 1, 6 * (times - 1)), Outcome::Perhaps),
        [50]
    );
}

#[test]
fn six_of_twenty_lost_are_a_change_where_the_others_lose_nothing() {
    let run = |numbers: fn(u16) -> u64| diff::of_paths(&result(20, |_| 0), &result(20, numbers));
    for number in 0..256 {
        let after = result(20, |other| if other == number { 6 } else { 0 });
        let difference = diff::of_paths(&result(20, |_| 0), &after);
        assert_eq!(with(&difference, Outcome::Changed), [number]);
        let back = diff::of_paths(&after, &result(20, |_| 0));
        assert_eq!(with(&back, Outcome::Changed), [number]);
    }
    let few = run(|number| if number < 8 { 6 } else { 0 });
    assert_eq!(with(&few, Outcome::Changed), [0, 1, 2, 3, 4, 5, 6, 7]);
    // Five are not so many, and where all lose more, none is unlike the others.
    assert!(!run(|number| if number == 50 { 5 } else { 0 }).has_changes());
    assert!(!run(|number| [0, 1, 2, 3, 6][usize::from(number % 5)]).has_changes());
}

/// An outage takes them all at once, unless others came through in between: of that the result is certain.
#[test]
fn what_was_lost_in_a_row_counts_as_one_loss_where_the_result_is_not_certain() {
    let after = |runs: u64, grade: Grade| {
        let mut after = result(20, |number| if number == 50 { 6 } else { 0 });
        let number = &mut after.directions[0].protocols[50];
        number.grade = grade;
        number.loss_runs = Some(LossRuns {
            count: runs,
            longest: 7 - runs,
        });
        diff::of_paths(&result(20, |_| 0), &after)
    };
    assert_eq!(with(&after(6, Grade::Likely), Outcome::Changed), [50]);
    assert_eq!(with(&after(3, Grade::Certain), Outcome::Changed), [50]);
    assert_eq!(with(&after(3, Grade::Likely), Outcome::Perhaps), [50]);
}

/// Of numbers of which each packet is lost with a chance of 0.3, where none was before.
#[test]
fn of_numbers_that_lose_three_in_ten_more_than_half_are_found() {
    let mut random = Rng::with_seed(20);
    let changed = |random: &mut Rng, others: f64| -> usize {
        let mut run = |loss: f64| {
            result(20, |number| {
                let ratio = if number < 8 { loss } else { others };
                drawn(random, 20, ratio)
            })
        };
        let before = run(0.0);
        let changed = with(&diff::of_paths(&before, &run(0.3)), Outcome::Changed);
        changed.iter().filter(|&&number| number < 8).count()
    };
    for (others, least) in [(0.0, 80), (0.002, 80)] {
        let found: usize = (0..20).map(|_| changed(&mut random, others)).sum();
        eprintln!("{others}: {found} of 160");
        assert!(
            found > least,
            "{found} of 160 where {others} is lost of the others"
        );
    }
}

#[test]
fn three_packets_tell_no_change_and_say_how_many_would() {
    let after = result(3, |number| if number == 50 { 3 } else { 0 });
    let difference = diff::of_paths(&result(3, |_| 0), &after);
    assert_eq!(with(&difference, Outcome::Perhaps), [50]);
    assert_eq!(difference.numbers[50].times_more, Some(3));
}

/// Numbers that lose nothing either time could not seem to have changed, and cost the others nothing.
#[test]
fn a_number_that_loses_half_is_found_where_the_others_lose_nothing() {
    let run = |others: u64| {
        let after = result(20, |number| if number == 50 { 10 } else { others });
        diff::of_paths(
            &result(20, |number| if number == 50 { 0 } else { others }),
            &after,
        )
    };
    assert_eq!(with(&run(0), Outcome::Changed), [50]);
    // Among 256 that lose half themselves it may be one of those.
    assert_eq!(with(&run(10), Outcome::Perhaps), [50]);
}

#[test]
fn a_loss_that_moves_along_the_path_is_a_change() {
    let lost_in = |from: &str, to: &str, grade: Grade| {
        let mut findings = result(20, |number| if number == 50 { 20 } else { 0 });
        let number = &mut findings.directions[0].protocols[50];
        number.grade = grade;
        (number.lost_at[0].from, number.lost_at[0].to) = (from.to_owned(), to.to_owned());
        findings
    };
    let before = lost_in("client", "router", Grade::Certain);
    let after = lost_in("router", "server", Grade::Certain);
    assert_eq!(
        with(&diff::of_paths(&before, &after), Outcome::Changed),
        [50]
    );
    let unsure = lost_in("router", "server", Grade::Weak);
    assert!(!diff::of_paths(&before, &unsure).has_changes());
}

#[test]
fn numbers_of_one_result_only_are_no_change() {
    let mut after = result(20, |_| 0);
    after.directions[0]
        .protocols
        .retain(|number| number.protocol != 7);
    let difference = diff::of_paths(&result(20, |_| 0), &after);
    assert_eq!(with(&difference, Outcome::OnlyBefore), [7]);
    assert_eq!(
        with(
            &diff::of_paths(&after, &result(20, |_| 0)),
            Outcome::OnlyAfter
        ),
        [7]
    );
    assert!(!difference.has_changes());
}

#[test]
fn a_translation_that_began_is_told_with_its_numbers() {
    let before = base();
    let json = fixture("masquerade", &["path", "client.pcap", "server.pcap"]);
    let after: Findings = serde_json::from_slice(&json).unwrap();
    let difference = diff::of_paths(before, &after);
    let translated = &difference.changes[0];
    assert_eq!(
        (translated.field.as_str(), translated.after.as_str()),
        ("source_address", "translated")
    );
    assert!(translated.protocols.len() > 200);
    assert!(diff::of_paths(&after, &after).changes.is_empty());
}

#[test]
fn other_rules_names_and_files_are_told() {
    let mut after = base().clone();
    after.ruleset += 1;
    let said = |after: &Findings| diff::of_paths(base(), after).warnings;
    assert!(matches!(
        said(&after)[..],
        [Caution::Rulesets { .. }, Caution::SameInputs]
    ));
    after = base().clone();
    after.inputs.clear();
    after.points[0].name = "laptop".to_owned();
    after.directions[0].from = "laptop".to_owned();
    assert!(matches!(said(&after)[..], [Caution::OtherPoints { .. }]));
    assert_eq!(diff::of_paths(base(), &after).numbers.len(), 256);
}

#[test]
fn traces_differ_where_both_are_certain() {
    let json = fixture("trace", &["trace", "--read", "client.pcap"]);
    let before: Trace = serde_json::from_slice(&json).unwrap();
    let same = diff::of_traces(&before, &before);
    assert!(with(&same, Outcome::Changed).is_empty() && with(&same, Outcome::Perhaps).is_empty());
    let mut after = before.clone();
    let number = |trace: &mut Trace, protocol: u8| {
        let numbers = trace.protocols.iter();
        let mut numbers = numbers.enumerate();
        let found = numbers
            .find(|(_, number)| (number.protocol, number.carrier) == (protocol, Carrier::Ip));
        found.unwrap().0
    };
    // 50 disappears behind hop 4; now behind hop 6. 253 reaches; now it is not known to.
    let index = number(&mut after, 50);
    (
        after.protocols[index].last_hop,
        after.protocols[index].next_hop,
    ) = (6, Some(8));
    let index = number(&mut after, 253);
    after.protocols[index].verdict = hdp::findings::trace::TraceVerdict::Inconclusive;
    let difference = diff::of_traces(&before, &after);
    assert_eq!(with(&difference, Outcome::Changed), [50]);
    assert_eq!(with(&difference, Outcome::Perhaps), [253]);
}

#[test]
fn the_program_compares_files_and_says_what_is_none() {
    let folder = tempdir().unwrap();
    let write = |name: &str, findings: &Findings| {
        let json = serde_json::to_string(findings).unwrap();
        fs::write(folder.path().join(name), json).unwrap();
    };
    write("before", &result(20, |_| 0));
    write(
        "after",
        &result(20, |number| if number == 50 { 20 } else { 0 }),
    );
    let hdp = |arguments: &[&str]| {
        let mut command = cargo_bin_cmd!("hdp");
        command
            .current_dir(folder.path())
            .arg("diff")
            .args(arguments);
        command
    };
    let text = |arguments: &[&str], code: i32| {
        let done = hdp(arguments).assert().code(code);
        String::from_utf8(done.get_output().stdout.clone()).unwrap()
    };
    let table = text(&["before", "after"], 0);
    assert!(
        table.starts_with("1 of 256 protocol numbers changed"),
        "{table}"
    );
    assert!(
        table.contains("50 ESP") && !table.contains("51 AH"),
        "{table}"
    );
    assert!(text(&["before", "after", "--all"], 0).contains("Not changed"));
    text(&["before", "after", "--exit-code"], 1);
    text(&["before", "before", "--exit-code"], 0);
    let csv = text(&["before", "after", "--format", "csv"], 0);
    assert_eq!(csv.lines().count(), 257);
    assert!(text(&["before", "after", "--format", "markdown"], 0).contains("| 50 ESP"));
    assert!(text(&["before", "after", "--format", "html"], 0).contains("<td>50 ESP</td>"));
    let json = text(&["before", "after", "--format", "json"], 0);
    let json: Difference = serde_json::from_str(&json).unwrap();
    assert!(json.has_changes());

    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/router-drops/client.pcap");
    for (file, says) in [
        (
            capture.to_str().unwrap(),
            "two of them from different runs are no two results",
        ),
        ("nothing", "cannot read"),
        ("/dev/null", "is no result"),
    ] {
        let failed = hdp(&["before", file]).assert().code(2);
        let stderr = String::from_utf8_lossy(&failed.get_output().stderr).into_owned();
        assert!(
            stderr.contains(says) && stderr.lines().count() == 1,
            "{stderr}"
        );
    }
}
