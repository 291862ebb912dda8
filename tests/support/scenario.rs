//! The scenarios under `fixtures/`: what is true of each, and what was counted in its captures.
//!
//! `fixtures/README.md` describes the two files; both were made without the analyzer.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use hdp::{
    findings::{Carrier, Verdict},
    protocols::List,
};
use serde::Deserialize;

/// One folder.
#[derive(Debug)]
pub struct Scenario {
    pub folder: PathBuf,
    /// The alternatives, each the arguments of `hdp path`.
    pub paths: Vec<Vec<Labelled>>,
    pub truth: Truth,
    pub seen: Seen,
}

/// `NAME=FILE`.
#[derive(Debug, Clone)]
pub struct Labelled {
    pub name: String,
    pub file: String,
}

impl fmt::Display for Labelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.file)
    }
}

impl Scenario {
    /// All of them, by name.
    pub fn all() -> Vec<Self> {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        let mut folders: Vec<PathBuf> = fs::read_dir(&fixtures)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.join("scenario.toml").exists())
            .collect();
        folders.sort();
        assert!(!folders.is_empty(), "{} is empty", fixtures.display());
        folders.into_iter().map(Self::read).collect()
    }

    fn read(folder: PathBuf) -> Self {
        #[derive(Deserialize)]
        struct File {
            path: Vec<PathArguments>,
            truth: Truth,
        }
        #[derive(Deserialize)]
        struct PathArguments {
            points: Vec<String>,
        }
        let text = |name| fs::read_to_string(folder.join(name)).unwrap();
        let File { path, truth } = toml::from_str(&text("scenario.toml"))
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let labelled = |argument: &String| {
            let (name, file) = argument.split_once('=').unwrap();
            Labelled {
                name: name.to_owned(),
                file: file.to_owned(),
            }
        };
        Self {
            paths: path
                .iter()
                .map(|path| path.points.iter().map(labelled).collect())
                .collect(),
            truth,
            seen: serde_json::from_str(&text("seen.json")).unwrap(),
            folder,
        }
    }

    pub fn name(&self) -> String {
        self.folder.file_name().unwrap().to_string_lossy().into()
    }
}

/// `[truth]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truth {
    pub others: Verdict,
    pub packets: u64,
    #[serde(default)]
    pub edge: u64,
    #[serde(default)]
    pub sightings: BTreeMap<String, u64>,
    #[serde(default)]
    pub verdict: Vec<TrueVerdict>,
    #[serde(default)]
    pub change: Vec<TrueChange>,
    #[serde(default)]
    pub icmp: Vec<TrueIcmp>,
}

/// `[[truth.verdict]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrueVerdict {
    #[serde(deserialize_with = "list")]
    pub protocols: Vec<u16>,
    pub from: Option<String>,
    pub to: Option<String>,
    #[serde(default = "ip")]
    pub carrier: Carrier,
    /// A verdict, or `unseen`.
    pub verdict: String,
    pub lost_at: Option<[String; 2]>,
    pub packets: Option<u64>,
    pub delivered: Option<u64>,
    pub lost: Option<u64>,
    #[serde(default)]
    pub edge: u64,
}

/// `[[truth.change]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrueChange {
    #[serde(deserialize_with = "list")]
    pub protocols: Vec<u16>,
    pub field: String,
    pub from: String,
    pub to: String,
    pub between: [String; 2],
}

/// `[[truth.icmp]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrueIcmp {
    #[serde(deserialize_with = "list")]
    pub protocols: Vec<u16>,
    pub from: String,
    #[serde(rename = "type")]
    pub icmp_type: u8,
    pub code: u8,
    pub count: u64,
}

/// `seen.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    pub points: BTreeMap<String, SeenPoint>,
    pub packets: Vec<SeenPackets>,
    pub icmp: Vec<SeenIcmp>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenPoint {
    pub frames: u64,
    pub hdp: u64,
}

/// What holds for each of some numbers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenPackets {
    #[serde(deserialize_with = "list")]
    pub protocols: Vec<u16>,
    pub from: String,
    pub to: String,
    pub carrier: Carrier,
    pub sent: u64,
    /// Distinct packets by point.
    pub seen: BTreeMap<String, u64>,
    /// Source addresses by point, sorted.
    pub sources: BTreeMap<String, Vec<String>>,
}

/// Distinct packets of each number that errors at a point quote.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenIcmp {
    #[serde(deserialize_with = "list")]
    pub protocols: Vec<u16>,
    pub point: String,
    pub from: String,
    #[serde(rename = "type")]
    pub icmp_type: u8,
    pub code: u8,
    pub quoted: u64,
}

fn ip() -> Carrier {
    Carrier::Ip
}

/// `50,100-131`.
fn list<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u16>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let list: List = text.parse().map_err(serde::de::Error::custom)?;
    Ok(list.iter().collect())
}
