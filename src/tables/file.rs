//! A table in one file: rows are taken, and written by the group.

use crate::keyed::KeyedMap;
use std::{fmt, fs::File, io::BufWriter, mem, sync::Arc};

use parquet::{
    basic::{Compression, Encoding},
    column::writer::ColumnWriter,
    data_type::ByteArray,
    errors::ParquetError,
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::{parser::parse_message_type, types::ColumnPath},
};

use super::columns::{Cell, Context, Each, Field, Kind, One};

/// Texts that a column remembers at the most, so that one that comes again is not copied.
const KNOWN_TEXTS: usize = 4096;

/// What keeps a table from being written.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] ParquetError);

/// A table that is being written; its rows are made from `R`s.
pub struct Table<R> {
    pub(super) rows: Rows<R>,
    pub(super) writer: Writer,
}

/// Rows that are held, column by column.
pub(super) struct Rows<R> {
    columns: Vec<Column<R>>,
    count: usize,
}

/// The file of a table.
pub(super) struct Writer(SerializedFileWriter<BufWriter<File>>);

struct Column<R> {
    of: Of<R>,
    kind: Kind,
    /// The level of a value that is there.
    defined: i16,
    values: Values,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
}

enum Of<R> {
    One(One<R>),
    Each(Each<R>),
}

enum Values {
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Double(Vec<f64>),
    Boolean(Vec<bool>),
    Text(Vec<ByteArray>, KeyedMap<Box<str>, ByteArray>),
}

impl<R> fmt::Debug for Table<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("columns", &self.rows.columns.len())
            .field("rows", &self.rows.count)
            .finish_non_exhaustive()
    }
}

impl<R> Table<R> {
    /// Begins a table in a file.
    pub(super) fn begin(name: &str, fields: Vec<Field<R>>, file: File) -> Result<Self, Error> {
        Ok(Self {
            writer: Writer::begin(name, &fields, file)?,
            rows: Rows::of(fields),
        })
    }

    /// Takes a row.
    pub(super) fn push(&mut self, context: &Context, row: &R) {
        self.rows.push(context, row);
    }

    /// Rows that are held and not written yet.
    #[must_use]
    pub fn held(&self) -> usize {
        self.rows.count
    }

    /// Writes the rows that are held, as one group.
    ///
    /// # Errors
    /// Those of the file.
    pub fn write_group(&mut self) -> Result<(), Error> {
        self.writer.write(&mut self.rows)
    }

    /// Ends the file, and sees that it is on the disk.
    ///
    /// # Errors
    /// Those of the file.
    pub fn finish(mut self) -> Result<(), Error> {
        self.write_group()?;
        self.writer.finish()
    }
}

impl<R> Rows<R> {
    pub(super) fn of(fields: Vec<Field<R>>) -> Self {
        let mut columns = Vec::new();
        for field in fields {
            match field {
                Field::Value(_, kind, of) => columns.push(Column::new(kind, 1, Of::One(of))),
                Field::List(_, kind, of) => columns.push(Column::new(kind, 2, Of::Each(of))),
                Field::Structures(_, members) => columns.extend(
                    { members.into_iter() }.map(|(_, kind, of)| Column::new(kind, 2, Of::Each(of))),
                ),
                Field::Map(_, keys, values) => {
                    columns.push(Column::new(Kind::Text, 1, Of::Each(keys)));
                    columns.push(Column::new(Kind::Text, 2, Of::Each(values)));
                }
            }
        }
        Self { columns, count: 0 }
    }

    pub(super) fn push(&mut self, context: &Context, row: &R) {
        for column in &mut self.columns {
            column.take(context, row);
        }
        self.count += 1;
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }
}

impl Writer {
    fn begin<R>(name: &str, fields: &[Field<R>], file: File) -> Result<Self, Error> {
        let declared: String = fields.iter().map(Field::declared).collect();
        let schema = parse_message_type(&format!("message {name} {{ {declared} }}"))?;
        let mut properties = WriterProperties::builder()
            .set_created_by(concat!("hdp ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::SNAPPY)
            // A group is as large as the rows that are held.
            .set_max_row_group_row_count(None);
        for field in fields {
            match field {
                Field::Value(name, kind, _) => {
                    properties = rising(properties, *kind, ColumnPath::from(*name));
                }
                Field::Structures(list, members) => {
                    for (name, kind, _) in members {
                        let path = [list, "list", "element", name].map(str::to_owned);
                        properties = rising(properties, *kind, ColumnPath::new(path.into()));
                    }
                }
                Field::List(..) | Field::Map(..) => {}
            }
        }
        let file = BufWriter::new(file);
        let file = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties.build()))?;
        Ok(Self(file))
    }

    /// Writes rows as one group; none are left.
    pub(super) fn write<R>(&mut self, rows: &mut Rows<R>) -> Result<(), Error> {
        if mem::take(&mut rows.count) == 0 {
            return Ok(());
        }
        let mut group = self.0.next_row_group()?;
        for column in &mut rows.columns {
            column.write(&mut group)?;
        }
        group.close()?;
        Ok(())
    }

    pub(super) fn finish(self) -> Result<(), Error> {
        let file = self.0.into_inner()?;
        let file = file
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error);
        file.and_then(|file| file.sync_all())
            .map_err(|error| Error(error.into()))
    }
}

/// Whole numbers that mostly differ from row to row, and little: differences are smaller than a dictionary.
fn rising(
    properties: parquet::file::properties::WriterPropertiesBuilder,
    kind: Kind,
    column: ColumnPath,
) -> parquet::file::properties::WriterPropertiesBuilder {
    let is_time = kind == Kind::Timestamp || column.string().ends_with("_ns");
    if !is_time {
        return properties;
    }
    properties
        .set_column_dictionary_enabled(column.clone(), false)
        .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED)
}

impl<R> Column<R> {
    fn new(kind: Kind, defined: i16, of: Of<R>) -> Self {
        let values = match kind {
            Kind::Int32 => Values::Int32(Vec::new()),
            Kind::Int64 | Kind::Timestamp => Values::Int64(Vec::new()),
            Kind::Double => Values::Double(Vec::new()),
            Kind::Boolean => Values::Boolean(Vec::new()),
            Kind::Text => Values::Text(Vec::new(), KeyedMap::default()),
        };
        Self {
            of,
            kind,
            defined,
            values,
            definitions: Vec::new(),
            repetitions: Vec::new(),
        }
    }

    #[inline]
    fn take(&mut self, context: &Context, row: &R) {
        let Self {
            of,
            kind,
            defined,
            values,
            definitions,
            repetitions,
        } = self;
        match of {
            Of::One(of) => {
                let is_there = values.push(*kind, of(context, row));
                definitions.push(i16::from(is_there));
            }
            Of::Each(of) => {
                let mut repetition = 0;
                of(row, &mut |cell| {
                    let is_there = values.push(*kind, cell);
                    definitions.push(if is_there { *defined } else { 1 });
                    repetitions.push(repetition);
                    repetition = 1;
                });
                if repetition == 0 {
                    definitions.push(0);
                    repetitions.push(0);
                }
            }
        }
    }

    fn write(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, BufWriter<File>>,
    ) -> Result<(), Error> {
        let mut writer = group.next_column()?.expect("the schema has each column");
        let definitions = Some(self.definitions.as_slice());
        let repetitions = match self.of {
            Of::One(_) => None,
            Of::Each(_) => Some(self.repetitions.as_slice()),
        };
        match (&self.values, writer.untyped()) {
            (Values::Int32(values), ColumnWriter::Int32ColumnWriter(to)) => {
                to.write_batch(values, definitions, repetitions)?
            }
            (Values::Int64(values), ColumnWriter::Int64ColumnWriter(to)) => {
                to.write_batch(values, definitions, repetitions)?
            }
            (Values::Double(values), ColumnWriter::DoubleColumnWriter(to)) => {
                to.write_batch(values, definitions, repetitions)?
            }
            (Values::Boolean(values), ColumnWriter::BoolColumnWriter(to)) => {
                to.write_batch(values, definitions, repetitions)?
            }
            (Values::Text(values, _), ColumnWriter::ByteArrayColumnWriter(to)) => {
                to.write_batch(values, definitions, repetitions)?
            }
            _ => unreachable!("the schema is made from the columns"),
        };
        writer.close()?;
        self.values.clear();
        self.definitions.clear();
        self.repetitions.clear();
        Ok(())
    }
}

impl Values {
    /// Takes a cell; `false` for one that is empty, which has no value.
    #[inline]
    fn push(&mut self, kind: Kind, cell: Cell) -> bool {
        match (self, cell) {
            (_, Cell::Null) => return false,
            (Self::Int32(values), Cell::Integer(value)) => {
                let Ok(value) = i32::try_from(value) else {
                    return false;
                };
                values.push(value);
            }
            (Self::Int64(values), Cell::Integer(value)) => values.push(match kind {
                Kind::Timestamp => value.div_euclid(1_000),
                _ => value,
            }),
            (Self::Double(values), Cell::Double(value)) => values.push(value),
            (Self::Boolean(values), Cell::Boolean(value)) => values.push(value),
            (Self::Text(values, known), Cell::Text(text)) => {
                // Mostly it is that of the row before, or of the point before.
                let recent = values.iter().rev().take(2);
                let mut recent = recent.filter(|value| value.data() == text.as_bytes());
                if let Some(value) = recent.next().cloned() {
                    values.push(value);
                    return true;
                }
                if let Some(value) = known.get(text) {
                    values.push(value.clone());
                    return true;
                }
                let value = ByteArray::from(text.as_bytes().to_vec());
                if known.len() < KNOWN_TEXTS {
                    known.insert(text.into(), value.clone());
                }
                values.push(value);
            }
            (Self::Text(values, _), Cell::Made(text)) => {
                values.push(ByteArray::from(text.into_bytes()));
            }
            (_, cell) => unreachable!("{cell:?} in a column of {kind:?}"),
        }
        true
    }

    fn clear(&mut self) {
        match self {
            Self::Int32(values) => values.clear(),
            Self::Int64(values) => values.clear(),
            Self::Double(values) => values.clear(),
            Self::Boolean(values) => values.clear(),
            Self::Text(values, known) => {
                values.clear();
                if known.len() >= KNOWN_TEXTS {
                    known.clear();
                }
            }
        }
    }
}
