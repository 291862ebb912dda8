//! Columns: what each is called, what it holds, and where a row has it.

use std::sync::Arc;

/// What the rows of one path have in common.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// What the manifest calls the path; `None` where there is none.
    pub id: Option<String>,
    /// When it begins, in nanoseconds since the epoch.
    pub begins_ns: Option<i64>,
}

/// What a column's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Int32,
    Int64,
    /// Microseconds since the epoch, UTC; cells have nanoseconds.
    Timestamp,
    Double,
    Boolean,
    Text,
}

impl Kind {
    /// As Parquet's message types name it, with the column's own name.
    pub(super) fn declared(self, name: &str) -> String {
        match self {
            Self::Int32 => format!("int32 {name};"),
            Self::Int64 => format!("int64 {name};"),
            Self::Timestamp => format!("int64 {name} (TIMESTAMP(MICROS,true));"),
            Self::Double => format!("double {name};"),
            Self::Boolean => format!("boolean {name};"),
            Self::Text => format!("binary {name} (STRING);"),
        }
    }
}

/// A value in a row.
#[derive(Debug, Clone)]
pub(super) enum Cell<'a> {
    Null,
    Integer(i64),
    Double(f64),
    Boolean(bool),
    Text(&'a str),
    /// A text that is made for the table.
    Made(String),
}

impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<i64> for Cell<'_> {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

/// What counts beyond a signed integer is as good as unknown.
impl From<u64> for Cell<'_> {
    fn from(value: u64) -> Self {
        i64::try_from(value).ok().into()
    }
}

macro_rules! small_integers {
    ($($kind:ty),*) => {
        $(impl From<$kind> for Cell<'_> {
            fn from(value: $kind) -> Self {
                Self::Integer(value.into())
            }
        })*
    };
}

small_integers!(u8, u16, u32, i32);

impl From<f64> for Cell<'_> {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl From<bool> for Cell<'_> {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a String> for Cell<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a Arc<str>> for Cell<'a> {
    fn from(value: &'a Arc<str>) -> Self {
        Self::Text(value)
    }
}

impl From<String> for Cell<'_> {
    fn from(value: String) -> Self {
        Self::Made(value)
    }
}

/// The cell of a row that has one.
pub(super) type One<R> = for<'a> fn(&'a Context, &'a R) -> Cell<'a>;

/// The cells of a row that has a list.
pub(super) type Each<R> = for<'a> fn(&'a R, &mut dyn FnMut(Cell<'a>));

/// Something that rows have.
pub(super) enum Field<R> {
    Value(&'static str, Kind, One<R>),
    List(&'static str, Kind, Each<R>),
    /// A list of structures, each with these members.
    Structures(&'static str, Vec<(&'static str, Kind, Each<R>)>),
    /// Keys and values, both texts.
    Map(&'static str, Each<R>, Each<R>),
}

impl<R> Field<R> {
    /// As Parquet's message types declare it.
    pub(super) fn declared(&self) -> String {
        match self {
            Self::Value(name, kind, _) => format!("optional {}", kind.declared(name)),
            Self::List(name, kind, _) => {
                let element = kind.declared("element");
                format!(
                    "required group {name} (LIST) {{ repeated group list {{ optional {element} }} }}"
                )
            }
            Self::Structures(name, members) => {
                let members = members.iter();
                let members = members
                    .map(|(name, kind, _)| format!("optional {}", kind.declared(name)))
                    .collect::<Vec<_>>()
                    .join(" ");
                format!(
                    "required group {name} (LIST) {{ repeated group list {{ required group element \
                     {{ {members}}} }} }}"
                )
            }
            Self::Map(name, ..) => format!(
                "required group {name} (MAP) {{ repeated group key_value {{ required binary key \
                 (STRING); optional binary value (STRING); }} }}"
            ),
        }
    }
}

/// A time as two columns: whole nanoseconds, and a timestamp. To be used where `Field` is that of a table.
macro_rules! time {
    ($name:literal, $of:expr) => {
        [
            Field::Value(
                concat!($name, "_ns"),
                $crate::tables::columns::Kind::Int64,
                $of,
            ),
            Field::Value($name, $crate::tables::columns::Kind::Timestamp, $of),
        ]
    };
}

pub(super) use time;
