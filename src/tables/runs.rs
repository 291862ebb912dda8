//! The table `runs`: a row a path, judged or not.

use std::fs::File;

use super::{
    columns::{
        Cell, Context, Each,
        Kind::{Int32, Int64, Text},
        time,
    },
    file::{Error, Table},
};
use crate::findings::{Findings, Input, Point};

/// A row of [`Runs`]: what a path was judged from, by what, and what came out of it in sum.
#[derive(Debug, Default)]
pub struct Run {
    /// Names and values that the user gave it.
    pub tags: Vec<(String, String)>,
    /// What `hdp path` is run with to get the same.
    pub arguments: Vec<String>,
    /// Why it could not be judged.
    pub error: Option<String>,
    points: Vec<Point>,
    inputs: Vec<Input>,
    warnings: Vec<String>,
    /// Packets, and lost ones, over all numbers and directions.
    counts: Option<(u64, u64)>,
}

impl Run {
    /// Takes what findings say of the path as a whole.
    #[must_use]
    pub fn of(self, findings: &Findings) -> Self {
        let numbers = findings.directions.iter();
        let numbers = numbers.flat_map(|direction| &direction.protocols);
        let counts = numbers.map(|number| (number.packets, number.lost));
        Self {
            points: findings.points.clone(),
            inputs: findings.inputs.clone(),
            warnings: findings.warnings.iter().map(ToString::to_string).collect(),
            counts: Some(counts.fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1))),
            ..self
        }
    }

    fn ends_ns(&self) -> Option<i64> {
        self.points.iter().filter_map(|point| point.last_ns).max()
    }
}

/// What was judged.
pub type Runs = Table<Run>;

impl Table<Run> {
    /// Begins the table in a file.
    ///
    /// # Errors
    /// Those of the file.
    pub fn runs(file: File) -> Result<Self, Error> {
        Self::begin("runs", fields(), file)
    }

    /// Adds a path.
    pub fn run(&mut self, context: &Context, run: &Run) {
        self.push(context, run);
    }
}

/// A member of each item of a list.
macro_rules! each {
    ($list:ident: $item:ty, $name:literal, $kind:expr, $of:expr) => {{
        let each: Each<Run> = |run, take| {
            let of: for<'a> fn(&'a $item) -> Cell<'a> = $of;
            for item in &run.$list {
                take(of(item));
            }
        };
        ($name, $kind, each)
    }};
}

type Field = super::columns::Field<Run>;

fn fields() -> Vec<Field> {
    let mut fields = vec![
        Field::Value("id", Text, |path, _| path.id.as_ref().into()),
        Field::Map(
            "tags",
            |run, take| run.tags.iter().for_each(|(name, _)| take(name.into())),
            |run, take| run.tags.iter().for_each(|(_, value)| take(value.into())),
        ),
        Field::List("arguments", Text, |run, take| {
            run.arguments.iter().for_each(|word| take(word.into()));
        }),
        Field::Value("generator", Text, |_, _| {
            concat!("hdp ", env!("CARGO_PKG_VERSION")).into()
        }),
        Field::Value("schema_version", Int32, |_, _| {
            Findings::SCHEMA_VERSION.into()
        }),
        Field::Value("ruleset", Int32, |_, _| Findings::RULESET.into()),
    ];
    fields.extend(time!("begins", |path, _| path.begins_ns.into()));
    fields.extend(time!("ends", |_, run| run.ends_ns().into()));
    fields.extend([
        Field::Value("packets", Int64, |_, run| {
            run.counts.map(|(packets, _)| packets).into()
        }),
        Field::Value("lost", Int64, |_, run| {
            run.counts.map(|(_, lost)| lost).into()
        }),
        Field::Structures(
            "points",
            vec![
                each!(points: Point, "name", Text, |point| (&point.name).into()),
                each!(points: Point, "source", Text, |point| (&point.source).into()),
                each!(points: Point, "frames", Int64, |point| point.frames.into()),
                each!(points: Point, "hdp", Int64, |point| point.hdp.into()),
                each!(points: Point, "capture_drops", Int64, |point| point.capture_drops.into()),
                each!(points: Point, "first_ns", Int64, |point| point.first_ns.into()),
                each!(points: Point, "last_ns", Int64, |point| point.last_ns.into()),
            ],
        ),
        Field::Structures(
            "inputs",
            vec![
                each!(inputs: Input, "source", Text, |input| (&input.source).into()),
                each!(inputs: Input, "bytes", Int64, |input| input.bytes.into()),
                each!(inputs: Input, "sha256", Text, |input| input.sha256.as_ref().into()),
            ],
        ),
        Field::List("warnings", Text, |run, take| {
            run.warnings.iter().for_each(|warning| take(warning.into()));
        }),
        Field::Value("error", Text, |_, run| run.error.as_ref().into()),
    ]);
    fields
}
