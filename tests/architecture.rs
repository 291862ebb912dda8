//! The stages import downwards only, and no two files of a module import each other in a circle. Tests that
//! the Makefile names exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The modules of the library, lowest first: each may use those before it.
const STAGES: [&str; 27] = [
    "keyed",
    "printable",
    "hdp",
    "protocols",
    "shell",
    "duration",
    "log",
    "source",
    "decode",
    "capture_file",
    "dissect",
    "findings",
    "observe",
    "correlate",
    "judge",
    "anonymize",
    "annotate",
    "explain",
    "path",
    "probe",
    "trace",
    "diff",
    "tables",
    "report",
    "campaign",
    "view",
    "cli",
];

/// A source file: its module path, such as `judge::clocks`, and its code.
struct File {
    module: String,
    code: String,
}

impl File {
    fn new(path: &Path, text: &str) -> Self {
        let path = path.strip_prefix("src").unwrap().with_extension("");
        Self {
            module: path.to_str().unwrap().replace('/', "::"),
            code: without_tests_and_comments(text),
        }
    }

    fn stage(&self) -> &str {
        self.module.split("::").next().unwrap()
    }

    /// The first names behind `prefix::`, in groups too.
    fn names_behind(&self, prefix: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let prefix = format!("{prefix}::");
        for (at, _) in self.code.match_indices(&prefix) {
            let is_whole =
                !self.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if is_whole {
                first_names(&self.code[at + prefix.len()..], &mut names);
            }
        }
        names
    }
}

/// Adds the name that a path begins with, or the names if it is a group.
fn first_names(path: &str, names: &mut BTreeSet<String>) {
    let Some(group) = path.strip_prefix('{') else {
        let end = path.find(|c: char| !c.is_alphanumeric() && c != '_');
        names.insert(path[..end.unwrap_or(path.len())].to_owned());
        return;
    };
    let (mut depth, mut name) = (0, String::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            _ if depth > 0 => {}
            ',' => {
                names.insert(std::mem::take(&mut name));
            }
            c if c.is_whitespace() => {}
            c => name.push(c),
        }
    }
    names.insert(name);
    *names = names
        .iter()
        .map(|name| name.split("::").next().unwrap().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
}

fn without_tests_and_comments(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    let lines = text[..end].lines();
    let code = lines.map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    code.collect::<Vec<_>>().join("\n")
}

fn files(folder: &Path, into: &mut Vec<File>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push(File::new(&path, &fs::read_to_string(&path).unwrap()));
        }
    }
}

fn library() -> Vec<File> {
    let mut all = Vec::new();
    files(&PathBuf::from("src"), &mut all);
    let is_root = |file: &File| ["lib", "main"].contains(&&*file.module);
    all.retain(|file| !is_root(file) && file.stage() != "tests");
    all.retain(|file| !file.module.ends_with("tests"));
    all
}

/// Imports that run against the order of the stages.
fn upward_imports(files: &[File]) -> Vec<String> {
    let rank = |stage: &str| STAGES.iter().position(|known| *known == stage);
    let mut upward = Vec::new();
    for file in files {
        let own = rank(file.stage()).unwrap_or_else(|| panic!("{} has no place", file.module));
        for stage in file.names_behind("crate") {
            if rank(&stage).is_some_and(|other| other > own) {
                upward.push(format!("{} uses {stage}", file.module));
            }
        }
    }
    upward
}

/// Files of one folder that use each other in a circle, by the imports of siblings.
fn circles(files: &[File]) -> Vec<String> {
    let modules: BTreeSet<&str> = files.iter().map(|file| file.module.as_str()).collect();
    let mut uses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for file in files {
        let Some((parent, _)) = file.module.rsplit_once("::") else {
            continue;
        };
        let siblings = file.names_behind("super").into_iter();
        let siblings = siblings.filter_map(|name| modules.get(&*format!("{parent}::{name}")));
        uses.insert(&file.module, siblings.copied().collect());
    }
    let reaches = |from: &str, to: &str| {
        let (mut open, mut known) = (vec![from], BTreeSet::new());
        while let Some(module) = open.pop() {
            for &next in uses.get(module).into_iter().flatten() {
                if next == to {
                    return true;
                }
                if known.insert(next) {
                    open.push(next);
                }
            }
        }
        false
    };
    let in_circle = uses.keys().filter(|module| reaches(module, module));
    in_circle.map(ToString::to_string).collect()
}

#[test]
fn each_stage_uses_only_those_before_it() {
    assert_eq!(upward_imports(&library()), [""; 0]);
}

#[test]
fn every_stage_has_its_place() {
    let stages: BTreeSet<String> = library()
        .iter()
        .map(|file| file.stage().to_owned())
        .collect();
    assert_eq!(stages, STAGES.map(str::to_owned).into());
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    assert_eq!(circles(&library()), [""; 0]);
}

#[test]
fn a_planted_import_against_the_order_is_found() {
    for planted in [
        "use crate::report;",
        "use crate::{\n    findings::Findings,\n    report::{self, json},\n};",
        "fn f() { crate::report::json(); }",
    ] {
        let file = File::new(Path::new("src/judge/planted.rs"), planted);
        assert_eq!(
            upward_imports(&[file]),
            ["judge::planted uses report"],
            "{planted}"
        );
    }
    // The innocent ones: downwards, in a comment, in tests.
    for innocent in [
        "use crate::findings::Findings;",
        "/// As [`crate::report`] shows it.",
        "#[cfg(test)]\nmod tests {\n    use crate::report;\n}",
    ] {
        let file = File::new(Path::new("src/judge/planted.rs"), innocent);
        assert_eq!(upward_imports(&[file]), [""; 0], "{innocent}");
    }
}

#[test]
fn a_planted_circle_is_found() {
    let file = |module: &str, code| File::new(Path::new(&format!("src/judge/{module}.rs")), code);
    let circle = [
        file("a", "use super::{b::B, c};"),
        file("b", "use super::c::C;"),
        file("c", "use super::{\n    a::A,\n};"),
    ];
    assert_eq!(circles(&circle), ["judge::a", "judge::b", "judge::c"]);
    assert_eq!(circles(&circle[..2]), [""; 0]);
}

/// String literals that read like English, but for what a programmer is told.
fn english(file: &File) -> Vec<String> {
    let lines = file.code.lines().filter(|line| {
        let for_programmers = ["expect(", "panic!(", "unreachable!(", "assert", "reason ="];
        !for_programmers.iter().any(|told| line.contains(told))
    });
    let literals = lines.flat_map(|line| line.split('"').skip(1).step_by(2));
    let is_english = |literal: &&str| {
        let words = literal.split(' ');
        words
            .filter(|word| word.chars().all(char::is_alphabetic))
            .filter(|word| word.len() > 1)
            .count()
            > 1
    };
    literals
        .filter(is_english)
        .map(|literal| format!("{}: {literal}", file.module))
        .collect()
}

#[test]
fn judging_makes_no_sentence() {
    let silent = ["judge", "correlate", "observe"];
    let files = library();
    let files = files.iter().filter(|file| silent.contains(&file.stage()));
    assert_eq!(files.flat_map(english).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn a_planted_sentence_is_found() {
    let file = |code| File::new(Path::new("src/judge/planted.rs"), code);
    let planted = file("reasons.push(format!(\"{} seen at client\", count));");
    assert_eq!(english(&planted), ["judge::planted: {} seen at client"]);
    for innocent in [
        "point.expect(\"all points are finished\")",
        "// says \"not a sentence\"",
        "let field = \"source_address\";",
    ] {
        assert_eq!(english(&file(innocent)), [""; 0]);
    }
}

#[test]
fn the_command_line_only_parses_and_writes() {
    let mut lines = fs::read_to_string("src/cli.rs").unwrap().lines().count();
    for file in fs::read_dir("src/cli").unwrap() {
        lines += fs::read_to_string(file.unwrap().path())
            .unwrap()
            .lines()
            .count();
    }
    assert!(lines < 3_400, "{lines} lines in cli");
}

/// A filter that names no test would pass whatever happens. The Makefile's are of the whole program.
#[cfg(feature = "cli")]
#[test]
fn every_test_that_the_makefile_names_is_there() {
    use std::{env, process};

    let makefile = fs::read_to_string("Makefile").unwrap();
    let filters = makefile.lines().filter_map(|line| {
        let behind = line
            .split_once("cargo test")?
            .1
            .split_once("--test all ")?
            .1;
        behind.split_whitespace().next()
    });
    let filters: Vec<&str> = filters.collect();
    assert!(filters.len() > 3, "{filters:?}");
    for filter in filters {
        let mut command = process::Command::new(env::current_exe().unwrap());
        let listed = command.args(["--list", filter]).output().unwrap().stdout;
        assert!(
            String::from_utf8(listed).unwrap().contains(": test"),
            "{filter}"
        );
    }
}
