//! Rows that are written as packets go, by commands whose end is not known when they begin.
//!
//! For people a row is cells in columns of a fixed width, because later rows are not known when
//! earlier ones are written. For programs it is the record itself: its members are the columns of
//! CSV, and JSON is one object that holds the log's first line, the packets, and its last line.
//! No row costs an allocation.

use std::{
    fmt::{self, Display, Write as _},
    io::{self, Write},
};

use serde::Serialize;

/// A column as people see it.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its heading.
    pub title: &'static str,
    /// How many characters it takes; what is longer moves the rest of its row.
    pub width: usize,
    /// Which side cells stand at.
    pub align: Align,
}

/// Which side cells stand at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowFormat {
    /// Columns for reading.
    Table,
    /// A table for a report.
    Markdown,
    /// One record a line, with the names of its members above (RFC 4180).
    Csv,
    /// One object: the members of the log's first line, `packets`, and `summary`, the last line.
    Json,
}

/// Rows on their way to `out`. Without columns people see no rows, only what [`Rows::text`] writes.
pub struct Rows<W: Write> {
    shape: Shape<W>,
    columns: &'static [Column],
    cell: String,
}

enum Shape<W: Write> {
    Table(W),
    Markdown(W),
    Csv(Box<csv::Writer<W>>),
    Json { out: W, is_first: bool },
}

impl<W: Write> Rows<W> {
    /// Writes what stands above the rows: `columns` for people, `fields` in CSV, the members of
    /// `start` in JSON.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn begin(
        out: W,
        format: RowFormat,
        columns: &'static [Column],
        fields: &[&str],
        start: &impl Serialize,
    ) -> io::Result<Self> {
        let mut rows = Self {
            shape: match format {
                RowFormat::Table => Shape::Table(out),
                RowFormat::Markdown => Shape::Markdown(out),
                RowFormat::Csv => Shape::Csv(Box::new(
                    csv::WriterBuilder::new()
                        .has_headers(false)
                        .from_writer(out),
                )),
                RowFormat::Json => Shape::Json {
                    out,
                    is_first: true,
                },
            },
            columns,
            cell: String::new(),
        };
        let titles = |column: usize| columns[column].title;
        match &mut rows.shape {
            Shape::Table(_) => rows.people(|cell, column| cell.write_str(titles(column)))?,
            Shape::Markdown(_) => {
                rows.people(|cell, column| cell.write_str(titles(column)))?;
                rows.people(|cell, column| {
                    let width = columns[column].width.max(2);
                    match columns[column].align {
                        Align::Left => write!(cell, "{:-<width$}", ""),
                        Align::Right => write!(cell, "{:->width$}", ":"),
                    }
                })?;
            }
            Shape::Csv(writer) => writer.write_record(fields)?,
            Shape::Json { out, .. } => {
                let mut object = serde_json::to_vec(start)?;
                // The object goes on.
                object.pop();
                out.write_all(&object)?;
                out.write_all(b",\"packets\":[")?;
            }
        }
        Ok(rows)
    }

    /// Writes one row: `cells` for people, `record` for programs.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn row(&mut self, cells: &[&dyn Display], record: &impl Serialize) -> io::Result<()> {
        match &mut self.shape {
            Shape::Table(_) | Shape::Markdown(_) => {
                self.people(|cell, column| write!(cell, "{}", cells[column]))
            }
            Shape::Csv(writer) => writer.serialize(record).map_err(io::Error::from),
            Shape::Json { out, is_first } => {
                out.write_all(if *is_first { b"\n" } else { b",\n" })?;
                *is_first = false;
                Ok(serde_json::to_writer(out, record)?)
            }
        }
    }

    /// Writes text that people read between rows; programs get none of it.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        match &mut self.shape {
            Shape::Table(out) | Shape::Markdown(out) => out.write_all(text.as_bytes()),
            Shape::Csv(_) | Shape::Json { .. } => Ok(()),
        }
    }

    /// Lets the reader have what was written so far.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn flush(&mut self) -> io::Result<()> {
        match &mut self.shape {
            Shape::Table(out) | Shape::Markdown(out) | Shape::Json { out, .. } => out.flush(),
            Shape::Csv(writer) => writer.flush(),
        }
    }

    /// Writes what stands below the rows: in JSON, the `summary`.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn end(mut self, summary: &impl Serialize) -> io::Result<()> {
        if let Shape::Json { out, .. } = &mut self.shape {
            out.write_all(b"\n],\"summary\":")?;
            serde_json::to_writer(&mut *out, summary)?;
            out.write_all(b"}\n")?;
        }
        self.flush()
    }

    /// Writes a line of cells, each made by `write`.
    fn people(&mut self, write: impl Fn(&mut String, usize) -> fmt::Result) -> io::Result<()> {
        let (out, [before, between, after]) = match &mut self.shape {
            Shape::Table(out) => (out, ["", "  ", "\n"]),
            Shape::Markdown(out) => (out, ["| ", " | ", " |\n"]),
            Shape::Csv(_) | Shape::Json { .. } => return Ok(()),
        };
        let Some(last) = self.columns.len().checked_sub(1) else {
            return Ok(());
        };
        let mut separator = before;
        for (index, column) in self.columns.iter().enumerate() {
            self.cell.clear();
            write(&mut self.cell, index).map_err(io::Error::other)?;
            let (cell, width) = (&self.cell, column.width);
            match column.align {
                // Nothing stands behind the last cell of a table but the line's end.
                Align::Left if index == last && after == "\n" => write!(out, "{separator}{cell}")?,
                Align::Left => write!(out, "{separator}{cell:<width$}")?,
                Align::Right => write!(out, "{separator}{cell:>width$}")?,
            }
            separator = between;
        }
        out.write_all(after.as_bytes())
    }
}

/// A cell that has nothing to say is a dash.
pub struct OrDash<T>(
    /// What there may be to say.
    pub Option<T>,
);

impl<T: Display> Display for OrDash<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [
        Column {
            title: "Number",
            width: 6,
            align: Align::Right,
        },
        Column {
            title: "From",
            width: 9,
            align: Align::Left,
        },
        Column {
            title: "Failure",
            width: 7,
            align: Align::Left,
        },
    ];

    #[derive(Serialize)]
    struct Record {
        number: u8,
        failure: Option<&'static str>,
    }

    #[derive(Serialize)]
    struct Start {
        hdp_log: &'static str,
    }

    fn written(format: RowFormat) -> String {
        let mut out = Vec::new();
        let start = Start { hdp_log: "send" };
        let fields = ["number", "failure"];
        let mut rows = Rows::begin(&mut out, format, &COLUMNS, &fields, &start).unwrap();
        for (number, failure) in [(255, None), (50, Some("a, b"))] {
            let cells: [&dyn Display; 3] = [&number, &"127.0.0.1", &OrDash(failure)];
            rows.row(&cells, &Record { number, failure }).unwrap();
        }
        rows.end(&7).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_has_columns() {
        assert_eq!(
            written(RowFormat::Table),
            "Number  From       Failure\n   255  127.0.0.1  -\n    50  127.0.0.1  a, b\n"
        );
    }

    #[test]
    fn markdown_has_bars() {
        assert_eq!(
            written(RowFormat::Markdown),
            "| Number | From      | Failure |\n| -----: | --------- | ------- |\n\
             |    255 | 127.0.0.1 | -       |\n|     50 | 127.0.0.1 | a, b    |\n"
        );
    }

    #[test]
    fn csv_has_the_records_members_and_quotes_commas() {
        assert_eq!(
            written(RowFormat::Csv),
            "number,failure\n255,\n50,\"a, b\"\n"
        );
    }

    #[test]
    fn json_is_one_object_that_begins_as_the_log_does() {
        assert_eq!(
            written(RowFormat::Json),
            "{\"hdp_log\":\"send\",\"packets\":[\n{\"number\":255,\"failure\":null},\n\
             {\"number\":50,\"failure\":\"a, b\"}\n],\"summary\":7}\n"
        );
    }
}
