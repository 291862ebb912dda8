//! A folder of tables, `TABLE/date=YYYY-MM-DD/part-*.parquet`, that grows by whole parts.
//!
//! A part has the same name in each table and lies complete in all of them before it lies in `runs`, which
//! makes it count: what is in another table without that was left behind by a program that was killed, and
//! is removed when the campaign is started again. Until it is complete a part lies in `_unfinished`, which
//! engines pass over, as they do names that begin with `_`.
//!
//! The date is that on which a path begins, in UTC. Paths without one, and those that could not be judged, lie
//! under [`UNDATED`], and their `begins_ns` is null: the name that Hive gives to null is one that
//! pandas does not read. They are done anew when the campaign is started again, since what was missing may
//! be there then.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, TryLockError},
    io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use parquet::{
    errors::ParquetError,
    file::reader::{FileReader as _, SerializedFileReader},
    record::{Field, ListAccessor as _},
};
use serde::Deserialize;

use super::{
    Judged, Sink,
    manifest::{Entry, Line, fingerprint},
};
use crate::{
    findings::Packet,
    keyed::KeyedMap,
    tables::{self, Context, Packets, Run, Runs, Verdicts},
};

/// Holds the folder for one program at a time, and says what is in it.
const MARK: &str = "_campaign.json";
const UNFINISHED: &str = "_unfinished";
/// The date of what has none.
pub const UNDATED: &str = "1970-01-01";
const PART_ENDING: &str = ".parquet";

/// Rows that a thread holds in memory at the most, over all tables.
const MOST_ROWS: usize = 8 * 1024;

/// Dates of which a thread holds a part open at the most.
const MOST_OPEN: usize = 32;

/// After so many paths what is open is completed: so much is done again after a kill.
const MOST_PATHS: usize = 512;

/// After so long it is completed too; each time after twice as long, so that there are few parts ...
const PATIENCE: Duration = Duration::from_millis(250);

/// ... and after this at the latest.
const MOST_PATIENCE: Duration = Duration::from_secs(32);

/// What keeps a folder from being used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not a campaign's.
    #[error("{}: is not empty and no campaign's; name a new folder", folder.display())]
    Foreign {
        /// The folder.
        folder: PathBuf,
    },
    /// Another program is at it.
    #[error("{}: another hdp is writing there", folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// It was begun with other tables.
    #[error(
        "{}: was begun {} packets; do the same, or name a new folder", folder.display(),
        if *had_packets { "with" } else { "without" }
    )]
    OtherTables {
        /// The folder.
        folder: PathBuf,
        /// Whether it has packets.
        had_packets: bool,
    },
    /// A path was judged from other files or with other options under the same id.
    #[error(
        "{}: path {id} was judged from other files or with other options; give it another id, or name a new folder",
        folder.display()
    )]
    OtherPath {
        /// The folder.
        folder: PathBuf,
        /// The path.
        id: String,
    },
    /// A file or folder in it cannot be read or written.
    #[error("{}: {error}", place.display())]
    Io {
        /// The file or folder.
        place: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A table in it cannot be read.
    #[error("{}: cannot be read: {error}", place.display())]
    Table {
        /// The file.
        place: PathBuf,
        /// Why.
        error: ParquetError,
    },
}

/// What a folder says of itself.
#[derive(Debug, Deserialize)]
struct Mark {
    packets: bool,
}

/// A folder of tables, held by this program.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    has_packets: bool,
    /// The paths that are in it: by their ids, what they were judged from.
    done: KeyedMap<u128, u128>,
    /// Rulesets that they were judged by.
    rulesets: BTreeSet<i64>,
    /// Locked while it is open.
    _mark: File,
}

impl Folder {
    /// Opens a folder, or makes it; with the table `packets` or without. What a killed program has left
    /// unfinished is removed.
    ///
    /// # Errors
    /// Where it is not a campaign's, is in use, or cannot be read or written.
    pub fn open(path: &Path, has_packets: bool) -> Result<Self, Error> {
        let at = |place: &Path| {
            let place = place.to_owned();
            move |error| Error::Io { place, error }
        };
        fs::create_dir_all(path).map_err(at(path))?;
        let mark_path = path.join(MARK);
        let is_new = !mark_path.exists();
        if is_new && fs::read_dir(path).map_err(at(path))?.next().is_some() {
            let folder = path.to_owned();
            return Err(Error::Foreign { folder });
        }
        let mut options = File::options();
        let mark = options.read(true).write(true).create(true).truncate(false);
        let mark = mark.open(&mark_path).map_err(at(&mark_path))?;
        match mark.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let folder = path.to_owned();
                return Err(Error::Busy { folder });
            }
            Err(TryLockError::Error(error)) => return Err(at(&mark_path)(error)),
        }
        // A program that was killed at its very beginning has made it and not filled it.
        let text = fs::read(&mark_path).map_err(at(&mark_path))?;
        if text.is_empty() {
            let said = serde_json::json!({
                "generator": concat!("hdp ", env!("CARGO_PKG_VERSION")),
                "packets": has_packets,
            });
            fs::write(&mark_path, said.to_string()).map_err(at(&mark_path))?;
        } else {
            let said: Mark = serde_json::from_slice(&text)
                .map_err(|error| at(&mark_path)(io::Error::other(error)))?;
            if said.packets != has_packets {
                return Err(Error::OtherTables {
                    folder: path.to_owned(),
                    had_packets: said.packets,
                });
            }
        }
        let mut folder = Self {
            path: path.to_owned(),
            has_packets,
            done: KeyedMap::default(),
            rulesets: BTreeSet::new(),
            _mark: mark,
        };
        folder.clean()?;
        folder.read_done()?;
        Ok(folder)
    }

    /// Removes what does not count, and what is done anew.
    fn clean(&self) -> Result<(), Error> {
        let at = |place: &Path| {
            let place = place.to_owned();
            move |error| Error::Io { place, error }
        };
        let unfinished = self.path.join(UNFINISHED);
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(at(&unfinished))?;
        }
        fs::create_dir(&unfinished).map_err(at(&unfinished))?;
        let runs = self.parts("runs")?;
        let counts: BTreeSet<_> = runs.iter().map(|part| part_of(part)).collect();
        for table in ["packets", "verdicts", "runs"] {
            for part in self.parts(table)? {
                let name = part_of(&part);
                let is_undated = name.0.as_deref() == Some(&*partition(None));
                if is_undated || !counts.contains(&name) {
                    fs::remove_file(&part).map_err(at(&part))?;
                }
            }
        }
        Ok(())
    }

    /// Remembers the paths that are done.
    fn read_done(&mut self) -> Result<(), Error> {
        for part in self.parts("runs")? {
            let at = |error| Error::Table {
                place: part.clone(),
                error,
            };
            let file = File::open(&part).map_err(|error| Error::Io {
                place: part.clone(),
                error,
            })?;
            let reader = SerializedFileReader::new(file).map_err(at)?;
            for row in reader.get_row_iter(None).map_err(at)? {
                let (mut id, mut from) = (None, None);
                for (name, value) in row.map_err(at)?.get_column_iter() {
                    match (name.as_str(), value) {
                        ("id", Field::Str(value)) => id = Some(fingerprint(value.as_bytes())),
                        ("arguments", Field::ListInternal(words)) => {
                            let words = (0..words.len()).map(|n| words.get_string(n));
                            let words = words.collect::<Result<Vec<_>, _>>().map_err(at)?;
                            from = Some(fingerprint_of(words.into_iter()));
                        }
                        ("ruleset", Field::Int(ruleset)) => {
                            self.rulesets.insert((*ruleset).into());
                        }
                        _ => {}
                    }
                }
                if let (Some(id), Some(from)) = (id, from) {
                    self.done.insert(id, from);
                }
            }
        }
        Ok(())
    }

    /// The files of a table.
    fn parts(&self, table: &str) -> Result<Vec<PathBuf>, Error> {
        let mut parts = Vec::new();
        let table = self.path.join(table);
        for date in entries(&table)? {
            for part in entries(&date)? {
                if part
                    .to_str()
                    .is_some_and(|name| name.ends_with(PART_ENDING))
                {
                    parts.push(part);
                }
            }
        }
        Ok(parts)
    }

    /// Whether a path is in the tables.
    ///
    /// # Errors
    /// [`Error::OtherPath`].
    pub fn holds(&self, entry: &Entry) -> Result<bool, Error> {
        let done = self.done.get(&fingerprint(entry.id.as_bytes()));
        match done {
            None => Ok(false),
            Some(from) if *from == fingerprint_of(entry.arguments().iter()) => Ok(true),
            Some(_) => Err(Error::OtherPath {
                folder: self.path.clone(),
                id: entry.id.clone(),
            }),
        }
    }

    /// The lines of a manifest whose paths are not in the tables.
    ///
    /// # Errors
    /// Those of [`Folder::holds`] are among the items.
    pub fn missing(
        &self,
        lines: impl Iterator<Item = io::Result<Line>>,
    ) -> impl Iterator<Item = io::Result<Line>> {
        lines.filter_map(|line| {
            let entry = line.as_ref().ok().and_then(|line| line.entry.as_ref().ok());
            match entry.map_or(Ok(false), |entry| self.holds(entry)) {
                Ok(true) => None,
                Ok(false) => Some(line),
                Err(error) => Some(Err(io::Error::other(error))),
            }
        })
    }

    /// Rulesets that the paths in it were judged by.
    pub fn rulesets(&self) -> impl Iterator<Item = i64> {
        self.rulesets.iter().copied()
    }

    /// Sinks for so many threads.
    #[must_use]
    pub fn sinks(&self, threads: NonZeroUsize) -> Vec<Tables<'_>> {
        let since = jiff::Timestamp::now().as_nanosecond();
        let sinks = (0..threads.get()).map(|thread| Tables {
            folder: self,
            name: format!("part-{since:x}-{thread}"),
            parts: 0,
            open: BTreeMap::new(),
            paths: 0,
            since: Instant::now(),
            patience: PATIENCE,
        });
        sinks.collect()
    }
}

/// The files and folders in a folder; none where there is none.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let at = |error| Error::Io {
        place: folder.to_owned(),
        error,
    };
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).map_err(at)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    paths.collect::<io::Result<_>>().map_err(at)
}

/// The date and the name of a part, which are the same in each table.
fn part_of(part: &Path) -> (Option<String>, Option<String>) {
    let text = |path: Option<&std::ffi::OsStr>| Some(path?.to_str()?.to_owned());
    (
        text(part.parent().and_then(Path::file_name)),
        text(part.file_name()),
    )
}

/// What stands for several words.
fn fingerprint_of<'a>(words: impl Iterator<Item = &'a String>) -> u128 {
    let words: Vec<&str> = words.map(String::as_str).collect();
    fingerprint(words.join("\0").as_bytes())
}

/// The folder of a date.
fn partition(begins_ns: Option<i64>) -> String {
    let date = begins_ns.and_then(|ns| {
        let time = jiff::Timestamp::from_nanosecond(ns.into()).ok()?;
        Some(jiff::tz::Offset::UTC.to_datetime(time).date())
    });
    match date {
        Some(date) => format!("date={date}"),
        None => format!("date={UNDATED}"),
    }
}

/// What one thread writes.
#[derive(Debug)]
pub struct Tables<'a> {
    folder: &'a Folder,
    /// That of its parts, but for their numbers.
    name: String,
    parts: usize,
    /// By the folder of the date.
    open: BTreeMap<String, Part>,
    /// Paths in what is open.
    paths: usize,
    since: Instant,
    patience: Duration,
}

/// A part that is not complete yet.
#[derive(Debug)]
struct Part {
    name: String,
    runs: Runs,
    verdicts: Verdicts,
    packets: Option<Packets>,
}

impl Part {
    fn begin(folder: &Folder, name: String) -> io::Result<Self> {
        let create = |table: &str| {
            let path = unfinished(folder, table, &name);
            File::create(&path).map_err(|error| named(&path, &error))
        };
        let packets = folder.has_packets.then(|| create("packets")).transpose()?;
        Ok(Self {
            runs: Runs::runs(create("runs")?).map_err(io::Error::other)?,
            verdicts: Verdicts::verdicts(create("verdicts")?).map_err(io::Error::other)?,
            packets: packets
                .map(Packets::packets)
                .transpose()
                .map_err(io::Error::other)?,
            name,
        })
    }

    fn held(&self) -> usize {
        let packets = self.packets.as_ref().map_or(0, Packets::held);
        self.runs.held() + self.verdicts.held() + packets
    }

    fn write_groups(&mut self) -> Result<(), tables::Error> {
        self.verdicts.write_group()?;
        self.packets.as_mut().map_or(Ok(()), Packets::write_group)
    }

    /// Puts the part where it counts: into `runs` last.
    fn complete(self, folder: &Folder, date: &str) -> io::Result<()> {
        let Self {
            name,
            runs,
            verdicts,
            packets,
        } = self;
        let has_packets = packets.is_some();
        let packets = packets.map_or(Ok(()), Packets::finish);
        packets
            .and_then(|()| verdicts.finish())
            .and_then(|()| runs.finish())
            .map_err(|error| named(&unfinished(folder, "*", &name), &io::Error::other(error)))?;
        let tables = ["packets", "verdicts", "runs"];
        for table in &tables[usize::from(!has_packets)..] {
            let place = folder.path.join(table).join(date);
            fs::create_dir_all(&place).map_err(|error| named(&place, &error))?;
            let part = place.join(format!("{name}{PART_ENDING}"));
            fs::rename(unfinished(folder, table, &name), &part)
                .and_then(|()| File::open(&place)?.sync_all())
                .map_err(|error| named(&part, &error))?;
        }
        Ok(())
    }
}

fn unfinished(folder: &Folder, table: &str, name: &str) -> PathBuf {
    folder.path.join(UNFINISHED).join(format!("{table}-{name}"))
}

fn named(place: &Path, error: &io::Error) -> io::Error {
    let why = format!("{}: cannot write: {error}", place.display());
    io::Error::new(error.kind(), why)
}

impl Tables<'_> {
    fn part(&mut self, begins_ns: Option<i64>) -> io::Result<&mut Part> {
        let date = partition(begins_ns);
        if !self.open.contains_key(&date) {
            if self.open.len() >= MOST_OPEN {
                self.complete()?;
            }
            let name = format!("{}-{}", self.name, self.parts);
            self.parts += 1;
            let part = Part::begin(self.folder, name)?;
            self.open.insert(date.clone(), part);
        }
        Ok(self.open.get_mut(&date).expect("it is open now"))
    }

    /// Writes the rows of the part that holds most, while too many are held.
    fn bound(&mut self) -> io::Result<()> {
        let held: usize = self.open.values().map(Part::held).sum();
        if held >= MOST_ROWS
            && let Some(largest) = self.open.values_mut().max_by_key(|part| part.held())
        {
            largest.write_groups().map_err(io::Error::other)?;
        }
        Ok(())
    }

    fn complete(&mut self) -> io::Result<()> {
        for (date, part) in std::mem::take(&mut self.open) {
            part.complete(self.folder, &date)?;
        }
        self.paths = 0;
        self.since = Instant::now();
        self.patience = MOST_PATIENCE.min(2 * self.patience);
        Ok(())
    }
}

impl Sink for Tables<'_> {
    fn takes_packets(&self) -> bool {
        self.folder.has_packets
    }

    fn packet(&mut self, entry: &Entry, begins_ns: Option<i64>, packet: &Packet) -> io::Result<()> {
        let part = self.part(begins_ns)?;
        let packets = part.packets.as_mut().expect("the folder has packets");
        let context = Context {
            id: Some(entry.id.clone()),
            begins_ns,
        };
        packets.packet(&context, packet);
        if packets.held() >= MOST_ROWS {
            self.bound()?;
        }
        Ok(())
    }

    fn path(&mut self, judged: Judged) -> io::Result<()> {
        let begins_ns = judged.begins_ns.filter(|_| judged.found.is_ok());
        let part = self.part(begins_ns)?;
        let context = Context {
            id: judged.entry.as_ref().map(|entry| entry.id.clone()),
            begins_ns,
        };
        let mut run = Run::default();
        if let Some(entry) = judged.entry {
            run.arguments = entry.arguments();
            let tags = entry.tags.into_iter();
            let tags = tags.map(|(name, value)| match value {
                serde_json::Value::String(text) => (name, text),
                other => (name, other.to_string()),
            });
            run.tags = tags.collect();
        }
        match judged.found {
            Ok(findings) => {
                part.runs.run(&context, &run.of(&findings));
                part.verdicts.path(&context, findings);
            }
            Err(error) => {
                run.error = Some(error);
                part.runs.run(&context, &run);
            }
        }
        self.paths += 1;
        if self.paths >= MOST_PATHS || self.since.elapsed() >= self.patience {
            return self.complete();
        }
        self.bound()
    }

    fn finish(mut self) -> io::Result<()> {
        self.complete()
    }
}
