//! What statements run on and what they answer: the same for reads and writes, whichever engine and driver.

use chrono::{DateTime, Utc};
use kernel::Uuid;
use rusqlite::types::Value as Stored;
use sea_orm::{
    DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement, StatementBuilder, TryGetable, TryGetableFromJson,
    sqlx,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::sqlite::SqliteRow;
use crate::time;

/// Runs statements: a [`Reader`](crate::Reader) or a write's [`Tx`](crate::Tx).
#[async_trait::async_trait]
pub trait ConnectionTrait: Send + Sync {
    /// The engine, as the maker of statements calls it.
    fn get_database_backend(&self) -> DbBackend;

    /// Runs a statement and leaves what it answers.
    async fn execute_raw(&self, statement: Statement) -> Result<Done, DbErr>;

    /// Runs statements without parameters, as text.
    async fn execute_unprepared(&self, sql: &str) -> Result<Done, DbErr>;

    /// The first row that a statement answers.
    async fn query_one_raw(&self, statement: Statement) -> Result<Option<ResultRow>, DbErr>;

    /// All rows that a statement answers.
    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<ResultRow>, DbErr>;

    /// As [`execute_raw`](Self::execute_raw), from a statement in the making.
    async fn execute<S: StatementBuilder>(&self, statement: &S) -> Result<Done, DbErr>
    where
        Self: Sized,
    {
        self.execute_raw(self.get_database_backend().build(statement)).await
    }

    /// As [`query_one_raw`](Self::query_one_raw), from a statement in the making.
    async fn query_one<S: StatementBuilder>(&self, statement: &S) -> Result<Option<ResultRow>, DbErr>
    where
        Self: Sized,
    {
        self.query_one_raw(self.get_database_backend().build(statement)).await
    }

    /// As [`query_all_raw`](Self::query_all_raw), from a statement in the making.
    async fn query_all<S: StatementBuilder>(&self, statement: &S) -> Result<Vec<ResultRow>, DbErr>
    where
        Self: Sized,
    {
        self.query_all_raw(self.get_database_backend().build(statement)).await
    }
}

/// What became of a statement that answers no rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    rows: u64,
}

impl Done {
    pub(crate) fn new(rows: u64) -> Self {
        Self { rows }
    }

    /// How many rows it inserted, updated or deleted.
    pub fn rows_affected(&self) -> u64 {
        self.rows
    }
}

impl From<ExecResult> for Done {
    fn from(result: ExecResult) -> Self {
        Self { rows: result.rows_affected() }
    }
}

/// One row that a statement answered.
#[derive(Debug)]
pub struct ResultRow(Source);

#[derive(Debug)]
enum Source {
    Driver(QueryResult),
    Sqlite(SqliteRow),
}

impl From<QueryResult> for ResultRow {
    fn from(row: QueryResult) -> Self {
        Self(Source::Driver(row))
    }
}

impl ResultRow {
    pub(crate) fn of_sqlite(row: SqliteRow) -> Self {
        Self(Source::Sqlite(row))
    }

    /// The row as the driver has it, unless it is one of SQLite's writer.
    pub(crate) fn driver(&self) -> Option<&QueryResult> {
        match &self.0 {
            Source::Driver(row) => Some(row),
            Source::Sqlite(_) => None,
        }
    }

    /// A value by the name of its column.
    ///
    /// # Errors
    /// When there is no such column, or its value is none of the type.
    pub fn try_get<T: Column>(&self, name: &str) -> Result<T, DbErr> {
        match &self.0 {
            Source::Driver(row) => row.try_get("", name),
            Source::Sqlite(row) => read(row.named(name), &name),
        }
    }

    /// A value by the place of its column, from 0.
    ///
    /// # Errors
    /// Those of [`try_get`](Self::try_get).
    pub fn try_get_by_index<T: Column>(&self, place: usize) -> Result<T, DbErr> {
        match &self.0 {
            Source::Driver(row) => row.try_get_by_index(place),
            Source::Sqlite(row) => read(row.at(place), &place),
        }
    }
}

fn read<T: Column>(stored: Option<&Stored>, column: &dyn std::fmt::Display) -> Result<T, DbErr> {
    let unreadable = |what: &str| {
        let text = format!("column {column} {what}");
        DbErr::Query(RuntimeErr::SqlxError(sqlx::Error::Decode(text.into()).into()))
    };
    let stored = stored.ok_or_else(|| unreadable("is not in the row"))?;
    T::of_sqlite(stored).ok_or_else(|| unreadable(&format!("is no {}", std::any::type_name::<T>())))
}

/// What can be read from a column.
pub trait Column: TryGetable {
    /// Reads it from what SQLite stores; `None` for what does not look like it.
    fn of_sqlite(stored: &Stored) -> Option<Self>;
}

impl<T: Column> Column for Option<T> {
    fn of_sqlite(stored: &Stored) -> Option<Self> {
        match stored {
            Stored::Null => Some(None),
            stored => T::of_sqlite(stored).map(Some),
        }
    }
}

/// Reads a type from one kind of stored value.
macro_rules! column {
    ($($type:ty: $($stored:pat => $value:expr),+;)+) => {$(
        impl Column for $type {
            fn of_sqlite(stored: &Stored) -> Option<Self> {
                match stored {
                    $($stored => $value,)+
                    _ => None,
                }
            }
        }
    )+};
}

column! {
    i64: Stored::Integer(value) => Some(*value);
    i32: Stored::Integer(value) => i32::try_from(*value).ok();
    bool: Stored::Integer(value) => Some(*value != 0);
    f64: Stored::Real(value) => Some(*value), Stored::Integer(value) => Some(*value as f64);
    String: Stored::Text(value) => Some(value.clone());
    Vec<u8>: Stored::Blob(value) => Some(value.clone());
    Uuid: Stored::Blob(value) => Uuid::from_slice(value).ok();
    DateTime<Utc>: Stored::Text(value) => time::parse(value);
    serde_json::Value: Stored::Text(value) => serde_json::from_str(value).ok();
}

/// What a column of JSON was written from, read without a general JSON value in between.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Document<T>(pub T);

impl<T: DeserializeOwned> TryGetableFromJson for Document<T> {}

impl<T: DeserializeOwned> Column for Document<T> {
    fn of_sqlite(stored: &Stored) -> Option<Self> {
        match stored {
            Stored::Text(text) => serde_json::from_str(text).ok(),
            _ => None,
        }
    }
}
