//! Points: what the user named, checked before any source is opened, and what each is called.

use std::{fs, path::Path, sync::Arc};

use super::Error;
use crate::{
    decode::Dates,
    observe::Witnesses,
    printable::printable,
    source::{self, Origin, Recording, Source},
};

/// The observation points of a path, in path order, the sender's end first.
#[derive(Debug, Clone)]
pub struct Points {
    path: Vec<Named>,
    /// What drop witnesses say that were given among them.
    pub(super) witnesses: Arc<Witnesses>,
    /// Those of them that are interfaces: what they say comes while the points are read.
    pub(super) live_witnesses: Vec<Named>,
}

/// Points are the same where their sources and names are.
impl PartialEq for Points {
    fn eq(&self, other: &Self) -> bool {
        (&self.path, &self.live_witnesses) == (&other.path, &other.live_witnesses)
    }
}

impl Eq for Points {}

/// A source and the name of its point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Unique among the points.
    pub name: String,
    /// Where it is read from.
    pub origin: Origin,
}

impl Points {
    pub(super) fn new<S: AsRef<str>>(sources: impl IntoIterator<Item = S>) -> Result<Self, Error> {
        let sources: Vec<S> = sources.into_iter().collect();
        let mut points: Vec<Named> = Vec::new();
        let mut labels: Vec<Option<&str>> = Vec::new();
        for argument in sources.iter().map(AsRef::as_ref) {
            let (label, source) = split_label(argument);
            if source.is_empty() {
                let argument = argument.to_owned();
                return Err(Error::NoSource { argument });
            }
            let origin = Origin::from_argument(source);
            ensure_readable(&origin)?;
            if let Some(twin) = points.iter().find(|point| point.origin.is_same_as(&origin)) {
                let twin = twin.name.clone();
                return Err(Error::Twice { origin, twin });
            }
            if let Some(name) = label.filter(|_| labels.contains(&label)) {
                return Err(Error::SameName {
                    argument: argument.to_owned(),
                    name: name.to_owned(),
                });
            }
            let name = label.map_or_else(|| default_name(&origin, points.len()), str::to_owned);
            let name = printable(&name).into_owned();
            labels.push(label);
            points.push(Named { name, origin });
        }
        match points.as_slice() {
            [] => return Err(Error::NoPoint),
            [only] => {
                let origin = only.origin.clone();
                return Err(Error::OnePoint { origin });
            }
            _ => {}
        }
        make_unique(&mut points, &labels);
        Ok(Self {
            path: points,
            witnesses: Arc::default(),
            live_witnesses: Vec::new(),
        })
    }

    /// The points in path order.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Named> {
        self.path.iter()
    }

    /// How many there are, two at least.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.path.len()
    }

    /// Whether one of them is a pipe or an interface, which give what they have once and may be
    /// endless.
    #[must_use]
    pub fn have_streams(&self) -> bool {
        !self.path.iter().all(|point| point.origin.is_repeatable())
    }

    /// Whether one of them is an interface.
    #[must_use]
    pub fn have_interfaces(&self) -> bool {
        self.path.iter().any(|point| point.origin.is_live())
    }

    /// Whether one of them is read from this file.
    #[must_use]
    pub fn contain(&self, origin: &Origin) -> bool {
        self.path
            .iter()
            .any(|point| point.origin.is_same_as(origin))
    }

    /// When one of the captures begins whose clock was set, if another one's was not.
    pub(super) fn date_ns(&self) -> Option<i64> {
        let files = self
            .path
            .iter()
            .filter(|point| point.origin.is_repeatable());
        let first_ns = files.filter_map(|point| {
            let mut source = Source::open(point.origin.clone()).ok()?;
            source.next_frame()?.time_ns
        });
        let (dated, undated): (Vec<i64>, Vec<i64>) = first_ns.partition(|&ns| Dates::is_date(ns));
        dated.first().copied().filter(|_| !undated.is_empty())
    }

    /// The earliest of the points' first frames or lines, in nanoseconds since the epoch on the clock of
    /// each; `None` where they are no files, or have none with a time.
    pub(crate) fn begins_ns(&self) -> Option<i64> {
        let files = self
            .path
            .iter()
            .filter(|point| point.origin.is_repeatable());
        let first_ns = |point: &Named| match Recording::open(point.origin.clone()).ok()? {
            Recording::Capture(mut source) => source.next_frame()?.time_ns,
            Recording::Log(log) => Some(log.start().origin().started_ns),
        };
        files.filter_map(first_ns).min()
    }

    pub(super) fn as_slice(&self) -> &[Named] {
        &self.path
    }

    /// The same points in another order.
    pub(super) fn in_order(&self, order: &[usize]) -> Self {
        Self {
            path: order
                .iter()
                .map(|&point| self.path[point].clone())
                .collect(),
            witnesses: Arc::clone(&self.witnesses),
            live_witnesses: self.live_witnesses.clone(),
        }
    }
}

fn ensure_readable(origin: &Origin) -> Result<(), Error> {
    let Origin::Path(path) = origin else {
        return Ok(());
    };
    let origin = origin.clone();
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(Error::Directory { origin }),
        Ok(_) => Ok(()),
        Err(error) => Err(source::Error::of_opening(&origin, error).into()),
    }
}

/// Splits `NAME=SOURCE`. A name has no `/`, so `./a=b.pcap` is a file; so is `a=b.pcap` if there
/// is one.
fn split_label(argument: &str) -> (Option<&str>, &str) {
    match argument.split_once('=') {
        Some((name, source))
            if !name.is_empty() && !name.contains('/') && !Path::new(argument).exists() =>
        {
            (Some(name), source)
        }
        _ => (None, argument),
    }
}

/// The file's stem without what tells of its format; a pipe is called after its place.
fn default_name(origin: &Origin, index: usize) -> String {
    let pipe = || format!("pipe{}", index + 1);
    let path = match origin {
        Origin::Stdin => return "stdin".to_owned(),
        Origin::Live(interface) => return interface.clone(),
        Origin::Path(path) => path,
    };
    if path.starts_with("/dev/fd") || path.starts_with("/proc") {
        return pipe();
    }
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return pipe();
    };
    let mut stem = name;
    for ending in [".gz", ".zst", ".pcapng", ".pcap", ".cap", ".dmp", ".jsonl"] {
        stem = stem
            .strip_suffix(ending)
            .filter(|stem| !stem.is_empty())
            .unwrap_or(stem);
    }
    stem.to_owned()
}

/// Numbers the names that the user did not choose where they repeat.
fn make_unique(points: &mut [Named], labels: &[Option<&str>]) {
    for index in 0..points.len() {
        if labels[index].is_some() {
            continue;
        }
        let wanted = points[index].name.clone();
        let mut name = wanted.clone();
        let mut number = 1;
        while points
            .iter()
            .enumerate()
            .any(|(other, point)| point.name == name && (other < index || labels[other].is_some()))
        {
            number += 1;
            name = format!("{wanted}-{number}");
        }
        points[index].name = name;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_slash() {
        assert_eq!(split_label("client=a.pcap"), (Some("client"), "a.pcap"));
        assert_eq!(split_label("./a=b.pcap"), (None, "./a=b.pcap"));
        assert_eq!(split_label("=b.pcap"), (None, "=b.pcap"));
        assert_eq!(split_label("a.pcap"), (None, "a.pcap"));
    }

    #[test]
    fn names_are_stems_made_unique() {
        let name = |path: &str| default_name(&Origin::from_argument(path), 1);
        assert_eq!(name("/tmp/client.pcap.gz"), "client");
        assert_eq!(name("a.b.pcapng"), "a.b");
        assert_eq!(name(".pcap"), ".pcap");
        assert_eq!(name("-"), "stdin");
        assert_eq!(name("/dev/fd/63"), "pipe2");

        let named = |name: &str| Named {
            name: name.to_owned(),
            origin: Origin::Stdin,
        };
        let mut points = [named("a"), named("a"), named("a-2"), named("b")];
        make_unique(&mut points, &[None, None, None, Some("b")]);
        assert_eq!(points.map(|point| point.name), ["a", "a-2", "a-2-2", "b"]);
    }
}
