//! Manifests: JSON Lines, a path each.
//!
//! ```json
//! { "id": "a-b-1", "points": ["client=a.pcap", "server=b.pcap"], "options": { "wait": "5s" }, "tags": { "site": "a" } }
//! ```
//!
//! `points` are what `hdp path` takes, but files alone; `options` are its flags by their long names. Both
//! names of files and tags are the user's own: a file is opened as it is named, from the folder that the
//! program was started in.

use std::{
    borrow::Cow,
    fs::{self, File},
    io::{self, BufRead, BufReader},
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::{
    duration,
    keyed::KeyedSet,
    path::{self, Memory, Options, Order, Points, Room},
    printable::printable,
    protocols,
};

/// One path.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What the user calls it; unique in a manifest.
    pub id: String,
    /// The observation points, each `[NAME=]FILE`, in path order.
    points: Vec<String>,
    /// How it is read and judged.
    #[serde(default)]
    options: Asked,
    /// What the user wants to find beside the results.
    #[serde(default)]
    pub tags: Map<String, Value>,
}

/// Flags of `hdp path`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    window: Option<Scalar>,
    wait: Option<Scalar>,
    #[serde(alias = "clock-error")]
    clock_error: Option<Scalar>,
    protocols: Option<Scalar>,
    order: Option<Scalar>,
    filter: Option<Scalar>,
    #[serde(default)]
    bounded: bool,
}

/// A value as a flag takes it: `"5s"`, `5`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Number(serde_json::Number),
}

impl Scalar {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        }
    }
}

impl Entry {
    /// The points, none of them opened yet.
    ///
    /// # Errors
    /// Those of [`path::points`], and where one is no file.
    pub(super) fn points(&self) -> Result<Points, String> {
        for source in &self.points {
            let (_, origin) = source.split_once('=').unwrap_or(("", source));
            if origin.starts_with("live:") || origin == "-" {
                return Err(format!(
                    "{source}: is no file; a campaign reads files alone"
                ));
            }
        }
        let points = path::points(&self.points).map_err(|error| error.to_string())?;
        if let Some(pipe) = points.iter().find(|point| !point.origin.is_repeatable()) {
            let pipe = &pipe.origin;
            return Err(format!("{pipe}: is a pipe; a campaign reads files alone"));
        }
        Ok(points)
    }

    /// How the path is read and judged, in the thread that asks.
    ///
    /// # Errors
    /// Where a flag has a value that it does not take.
    pub(super) fn options(&self) -> Result<Options, String> {
        let asked = &self.options;
        let default = Options {
            digest: true,
            one_thread: true,
            ..Options::default()
        };
        let duration = |flag: &str, given: &Option<Scalar>| {
            let parse = |given: &Scalar| duration::parse(&given.text());
            given
                .as_ref()
                .map(parse)
                .transpose()
                .map_err(|error| format!("options: {flag}: {error}"))
        };
        let or = |given: Option<Duration>, default| given.unwrap_or(default);
        let protocols = asked.protocols.as_ref();
        let protocols = protocols.map(|list| protocols::on_the_wire(&list.text()));
        Ok(Options {
            window: or(duration("window", &asked.window)?, default.window),
            wait: or(duration("wait", &asked.wait)?, default.wait),
            clock_error: duration("clock_error", &asked.clock_error)?,
            protocols: protocols
                .transpose()
                .map_err(|error| format!("options: protocols: {error}"))?,
            order: match asked.order.as_ref().map(Scalar::text).as_deref() {
                None | Some("given") => Order::Given,
                Some("auto") => Order::Auto,
                Some(other) => {
                    return Err(format!(
                        "options: order: '{other}' is neither given nor auto"
                    ));
                }
            },
            filter: asked.filter.as_ref().map(Scalar::text),
            memory: if asked.bounded {
                Memory::Bounded(Room::default())
            } else {
                Memory::Automatic
            },
            ..default
        })
    }

    /// The arguments with which `hdp path` does the same.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let Asked {
            window,
            wait,
            clock_error,
            protocols,
            order,
            filter,
            bounded,
        } = &self.options;
        let valued = [
            ("--window", window),
            ("--wait", wait),
            ("--clock-error", clock_error),
            ("--protocols", protocols),
            ("--order", order),
            ("--filter", filter),
        ];
        let valued = valued.into_iter();
        let valued =
            valued.filter_map(|(flag, value)| Some([flag.to_owned(), value.as_ref()?.text()]));
        let switches = bounded.then(|| "--bounded".to_owned());
        let flags = valued.flatten().chain(switches);
        flags.chain(self.points.iter().cloned()).collect()
    }
}

/// A line of a manifest.
#[derive(Debug)]
pub struct Line {
    /// Counted from 1, empty lines too.
    pub number: u64,
    /// The path that it names.
    pub entry: Result<Entry, Error>,
}

/// What is wrong with a line. Its words have the manifest's name and the line's number.
#[derive(Debug, thiserror::Error)]
#[error("{manifest}:{line}: {why}")]
pub struct Error {
    manifest: String,
    line: u64,
    why: String,
}

/// The lines of a manifest, of which memory holds one; empty ones are passed over.
#[derive(Debug)]
pub struct Lines<R> {
    name: String,
    from: R,
    number: u64,
    text: Vec<u8>,
    /// Those so far, where the same one twice is an error.
    known: Option<KeyedSet<u128>>,
}

impl<R: BufRead> Lines<R> {
    /// Lines that are read from a manifest of this name.
    pub fn new(name: impl Into<String>, from: R) -> Self {
        Self {
            name: name.into(),
            from,
            number: 0,
            text: Vec::new(),
            known: None,
        }
    }

    /// The same, where a line with an `id` that was there before is an error. Takes 32 bytes or so a path.
    #[must_use]
    pub fn unique(self) -> Self {
        Self {
            known: Some(KeyedSet::default()),
            ..self
        }
    }

    fn entry(&mut self) -> Result<Entry, Error> {
        let error = |why: String| Error {
            manifest: self.name.clone(),
            line: self.number,
            why,
        };
        let entry: Entry = serde_json::from_slice(&self.text).map_err(|parsing| {
            let text = parsing.to_string();
            // Its line is always the first.
            let why = printable(text.split(" at line ").next().unwrap_or(&text));
            let at = match parsing.column() {
                0 => String::new(),
                column => format!(", at column {column}"),
            };
            error(format!(
                "is no path ({why}{at}); a line is {{\"id\": \"a\", \"points\": [\"client=a.pcap\", \"server=b.pcap\"]}}"
            ))
        })?;
        if entry.id.is_empty() {
            return Err(error("the id is empty".to_owned()));
        }
        if let Cow::Owned(shown) = printable(&entry.id) {
            return Err(error(format!(
                "the id {shown} has a character that is no text"
            )));
        }
        if let Some(known) = &mut self.known
            && !known.insert(fingerprint(entry.id.as_bytes()))
        {
            return Err(error(format!(
                "id {}: a line before has the same",
                entry.id
            )));
        }
        Ok(entry)
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.text.clear();
            self.number += 1;
            match self.from.read_until(b'\n', &mut self.text) {
                Ok(0) => return None,
                Ok(_) if self.text.trim_ascii().is_empty() => {}
                Ok(_) => {
                    let (number, entry) = (self.number, self.entry());
                    return Some(Ok(Line { number, entry }));
                }
                Err(error) => {
                    let why = format!("{}: cannot read: {error}", self.name);
                    return Some(Err(io::Error::new(error.kind(), why)));
                }
            }
        }
    }
}

/// What standard input is called in errors.
const STDIN: &str = "standard input";

/// Opens a manifest; `-` is standard input.
///
/// # Errors
/// Where it cannot be opened.
pub fn open(name: &str) -> io::Result<Lines<Box<dyn BufRead + Send>>> {
    if name == "-" {
        return Ok(Lines::new(STDIN, Box::new(BufReader::new(io::stdin()))));
    }
    let file = File::open(name)
        .map_err(|error| io::Error::new(error.kind(), format!("{name}: cannot open: {error}")))?;
    Ok(Lines::new(name, Box::new(BufReader::new(file))))
}

/// How many paths a manifest names, each of them once and well; `None` where it can only be read once, and what is
/// wrong with a line is the result of that line.
///
/// # Errors
/// Where it cannot be read, and those of lines and of `look`, which sees each path.
pub fn look_through(
    name: &str,
    mut look: impl FnMut(&Entry) -> io::Result<()>,
) -> io::Result<Option<u64>> {
    let is_stream = |file: fs::Metadata| !file.is_file() && !file.is_dir();
    if name == "-" || fs::metadata(name).is_ok_and(is_stream) {
        return Ok(None);
    }
    let mut paths = 0;
    for line in open(name)?.unique() {
        look(&line?.entry.map_err(io::Error::other)?)?;
        paths += 1;
    }
    Ok(Some(paths))
}

/// Bytes that stand for a text, of which many are to be remembered.
pub(super) fn fingerprint(text: &[u8]) -> u128 {
    let digest = Sha256::digest(text);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    u128::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Result<Entry, String>> {
        let lines = Lines::new("m", text.as_bytes()).unique();
        lines
            .map(|line| line.unwrap().entry.map_err(|error| error.to_string()))
            .collect()
    }

    #[test]
    fn a_line_is_a_path_with_the_flags_that_path_has() {
        let text = r#"
            {"id": "a", "points": ["c=1", "2"]}

            {"id": "b", "points": [], "tags": {"n": 1}, "options": {"wait": 5, "clock-error": "1ms", "bounded": true}}"#;
        let all = lines(text);
        assert_eq!(all.len(), 2);
        let [first, second] = [0, 1].map(|n| all[n].clone().unwrap());
        assert_eq!(first.arguments(), ["c=1", "2"]);
        assert_eq!(first.options().unwrap().wait, Options::default().wait);
        assert_eq!(
            second.arguments(),
            ["--wait", "5", "--clock-error", "1ms", "--bounded"]
        );
        let options = second.options().unwrap();
        assert_eq!(options.wait, Duration::from_secs(5));
        assert_eq!(options.clock_error, Some(Duration::from_millis(1)));
        assert!(matches!(options.memory, Memory::Bounded(_)));
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said_with_its_place() {
        let said = |text: &str| lines(text).pop().unwrap().unwrap_err();
        assert!(
            said("\n{\"id\": \"a\", \"points\": [}")
                .starts_with("m:2: is no path (expected value, at column 24); a line is {\"id\"")
        );
        assert!(said("{\"points\": []}").starts_with("m:1: is no path (missing field `id`"));
        assert!(
            said("{\"id\": \"a\", \"points\": [], \"tag\": 1}").contains("unknown field `tag`")
        );
        assert!(
            said("{\"id\": \"a\", \"points\": [], \"\\u001b[31m\": 1}")
                .contains(r"field `\x1b[31m`")
        );
        assert!(
            said("{\"id\": \"a\", \"points\": [], \"options\": {\"waits\": 1}}")
                .contains("unknown field `waits`")
        );
        let twice = "{\"id\": \"a\", \"points\": []}\n".repeat(2);
        assert_eq!(said(&twice), "m:2: id a: a line before has the same");
        assert_eq!(
            said("{\"id\": \"\", \"points\": []}"),
            "m:1: the id is empty"
        );
    }

    #[test]
    fn values_that_no_flag_takes_are_refused_by_its_name() {
        let said = |options: &str| {
            let text = format!("{{\"id\": \"a\", \"points\": [], \"options\": {options}}}");
            let entry = lines(&text).pop().unwrap().unwrap();
            entry.options().unwrap_err()
        };
        assert!(
            said("{\"wait\": \"long\"}").starts_with("options: wait: 'long' is not a duration")
        );
        assert!(said("{\"order\": \"up\"}").contains("neither given nor auto"));
        assert!(said("{\"protocols\": \"300\"}").starts_with("options: protocols: "));
    }
}
