//! The README tells the truth: what stands in its `console` blocks behind `$` is run, and must
//! print what stands under it.
//!
//! `hdp` is the binary under test; `…` on a line of its own stands for lines left out, at the end
//! of a line for the rest of it. Commands need the fixtures only. Those whose program is not
//! installed are passed over, and so are make's, of which the echoed `target/demo/hdp` is run.
#![cfg(feature = "cli")]

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What a newcomer reads first, and what it refers to.
fn documents() -> Vec<PathBuf> {
    let docs = fs::read_dir("docs")
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|ending| ending == "md"));
    let mut all: Vec<PathBuf> = docs.collect();
    all.sort();
    all.insert(0, PathBuf::from("README.md"));
    assert!(all.len() > 8, "{all:?}");
    all
}

/// What make prints before it runs the demo.
const ECHOED: &str = "target/demo/hdp ";

#[derive(Debug)]
struct Example {
    /// The file, and the line in it.
    place: String,
    command: String,
    output: Vec<String>,
}

/// The commands of all `console` blocks.
fn examples(document: &Path) -> Vec<Example> {
    let markdown = fs::read_to_string(document).unwrap();
    let mut examples: Vec<Example> = Vec::new();
    let mut in_console = false;
    for (number, line) in (1..).zip(markdown.lines()) {
        if line.starts_with("```") {
            in_console = line == "```console";
            continue;
        }
        if !in_console {
            continue;
        }
        let command = line
            .strip_prefix("$ ")
            .or_else(|| line.starts_with(ECHOED).then_some(line));
        if let Some(command) = command {
            examples.push(Example {
                place: format!("{}:{number}", document.display()),
                command: command.replacen(ECHOED, "hdp ", 1),
                output: Vec::new(),
            });
        } else {
            let example = examples.last_mut();
            let example = example
                .unwrap_or_else(|| panic!("{}:{number}: no command yet", document.display()));
            example.output.push(line.to_owned());
        }
    }
    examples
}

fn run(command: &str) -> Vec<String> {
    let hdp = Path::new(env!("CARGO_BIN_EXE_hdp"));
    let mut path = OsString::from(hdp.parent().unwrap());
    path.push(":");
    path.push(env::var_os("PATH").unwrap_or_default());
    // tshark without anybody's settings and scripts.
    let home = tempfile::tempdir().unwrap();
    let output = Command::new("bash")
        .args(["-c", command])
        .env("PATH", path)
        .env("TZ", "UTC")
        .env("HOME", home.path())
        .env("WIRESHARK_CONFIG_DIR", home.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        !text.is_empty(),
        "`{command}` printed nothing but {}",
        String::from_utf8_lossy(&output.stderr)
    );
    text.trim_end().lines().map(str::to_owned).collect()
}

/// Whether the lines are those that are shown, what is left out aside.
fn shows<S: AsRef<str>>(shown: &[S], lines: &[String]) -> bool {
    let Some((first, shown)) = shown.split_first() else {
        return lines.is_empty();
    };
    let first = first.as_ref();
    if first == "…" {
        return (0..=lines.len()).any(|left_out| shows(shown, &lines[left_out..]));
    }
    let Some((line, lines)) = lines.split_first() else {
        return false;
    };
    let line = line.trim_end();
    let is_same = match first.strip_suffix('…') {
        Some(beginning) => line.starts_with(beginning),
        None => line == first,
    };
    is_same && shows(shown, lines)
}

fn is_installed(program: &str) -> bool {
    let paths = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&paths).any(|folder| folder.join(program).exists())
}

#[test]
fn every_command_prints_what_the_readme_shows() {
    let examples: Vec<Example> = documents().iter().flat_map(|path| examples(path)).collect();
    let mut checked = 0;
    let mut wrong = Vec::new();
    for Example {
        place,
        command,
        output,
    } in &examples
    {
        let missing = ["jq", "tcpdump", "tshark"]
            .into_iter()
            .find(|program| command.split_whitespace().any(|word| word == *program))
            .filter(|program| !is_installed(program));
        if let Some(program) = missing {
            println!("{place}: skipped, {program} is not installed");
            continue;
        }
        if command.starts_with("make ")
            || (cfg!(not(feature = "libpcap"))
                && (command.contains(" -f ") || command.ends_with("--help")))
        {
            continue;
        }
        checked += 1;
        let lines = run(command);
        if !shows(output, &lines) {
            wrong.push(format!("{place}: $ {command}\n{}", lines.join("\n")));
        }
    }
    assert!(
        wrong.is_empty(),
        "the documents do not show what these print:\n\n{}",
        wrong.join("\n\n")
    );
    assert!(checked >= 20, "only {checked} commands found");
}

#[test]
fn what_is_left_out_is_marked() {
    let lines = ["a", "b", "c d"].map(str::to_owned);
    for shown in [
        &["a", "b", "c d"][..],
        &["a", "…", "c d"],
        &["…", "c …"],
        &["a", "…"],
        &["…", "a", "b", "…", "c d", "…"],
    ] {
        assert!(shows(shown, &lines), "{shown:?}");
    }
    for shown in [
        &["a", "b"][..],
        &["a", "c d"],
        &["b", "…"],
        &["…", "b"],
        &[],
    ] {
        assert!(!shows(shown, &lines), "{shown:?}");
    }
}

#[test]
fn the_readme_is_short() {
    let words = fs::read_to_string("README.md").unwrap();
    let words = words.split_whitespace().count();
    assert!(words <= 1_500, "{words} words");
}

#[test]
fn links_lead_somewhere() {
    let mut checked = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        let folder = document.parent().unwrap();
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split(')').next().unwrap();
            if target.starts_with("http") {
                continue;
            }
            let file = target.split('#').next().unwrap();
            assert!(
                folder.join(file).exists(),
                "{}: {target}",
                document.display()
            );
            checked += 1;
        }
    }
    assert!(checked > 10, "{checked}");
}
