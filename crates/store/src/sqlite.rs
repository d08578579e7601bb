//! SQLite's connection that writes. Its statements run where they are asked for, on the writer's thread: the driver that
//! reads has a thread of its own for each connection, and two switches between threads cost more than most statements do.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use kernel::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{CachedStatement, Connection, OpenFlags};
use sea_orm::sea_query::OptionEnum;
use sea_orm::sqlx::error::{DatabaseError, ErrorKind};
use sea_orm::{DbErr, RuntimeErr, Statement, Value as Bound, sqlx};

use crate::config::{Location, StoreConfig};
use crate::connection::{Done, ResultRow};
use crate::time;

/// How many prepared statements are kept.
const PREPARED: usize = 128;

/// The settings of the connection that writes. What a savepoint takes back stays in memory, for it is small and many; and the
/// log in front of the file may grow to 16 MB before it is worked into it, since most of its pages are written over and
/// over.
const SETTINGS: [(&str, &str); 5] = [
    ("foreign_keys", "ON"),
    ("journal_mode", "WAL"),
    ("synchronous", "FULL"),
    ("temp_store", "MEMORY"),
    ("wal_autocheckpoint", "4000"),
];

/// A connection to a SQLite file, without a thread of its own: each call lasts as long as the statement does.
pub(crate) struct SqliteConnection {
    connection: Connection,
}

impl SqliteConnection {
    /// Opens the file, and makes one that does not exist. The settings are those of [`connect`](crate::connect), the configured ones last.
    pub(crate) fn open(config: &StoreConfig) -> Result<Self, DbErr> {
        let Location::Sqlite { file } = &config.location else {
            return Err(DbErr::Custom("not a SQLite location".into()));
        };
        // Reads and writes, no lock around each call: by default.
        let connection =
            Connection::open_with_flags(file, OpenFlags::default()).map_err(|error| failure(error, DbErr::Conn))?;
        connection.busy_timeout(config.limits.acquire_timeout).map_err(|error| failure(error, DbErr::Conn))?;
        connection.set_prepared_statement_cache_capacity(PREPARED);
        // Plans do not depend on values: else each that is bound to a `LIMIT ?` has its statement prepared anew.
        let stable = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true);
        stable.map_err(|error| failure(error, DbErr::Conn))?;
        let opened = Self { connection };
        let configured = config.pragmas.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        for (key, value) in SETTINGS.into_iter().chain(configured) {
            opened.run(&format!("PRAGMA {key} = {value}"))?;
        }
        Ok(opened)
    }

    /// Runs one statement without parameters.
    pub(crate) fn run(&self, sql: &str) -> Result<(), DbErr> {
        let run = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.raw_query();
            while rows.next()?.is_some() {}
            Ok(())
        };
        run().map_err(|error| failure(error, DbErr::Exec))
    }

    /// The one text that a statement answers.
    pub(crate) fn text(&self, sql: &str) -> Result<String, DbErr> {
        let text = self.connection.query_one(sql, (), |row| row.get(0));
        text.map_err(|error| failure(error, DbErr::Query))
    }

    /// Runs statements without parameters, as text.
    pub(crate) fn execute_unprepared(&self, sql: &str) -> Result<Done, DbErr> {
        self.connection.execute_batch(sql).map_err(|error| failure(error, DbErr::Exec))?;
        Ok(Done::new(self.connection.changes()))
    }

    /// Runs a statement and leaves what it answers.
    pub(crate) fn execute(&self, statement: &Statement) -> Result<Done, DbErr> {
        let run = || {
            let mut prepared = self.connection.prepare_cached(&statement.sql)?;
            bind(&mut prepared, statement)?;
            let mut rows = prepared.raw_query();
            while rows.next()?.is_some() {}
            drop(rows);
            Ok(Done::new(self.connection.changes()))
        };
        run().map_err(|error| failure(error, DbErr::Exec))
    }

    /// The rows that a statement answers, up to `most`.
    pub(crate) fn query(&self, statement: &Statement, most: usize) -> Result<Vec<ResultRow>, DbErr> {
        let run = || {
            let mut prepared = self.connection.prepare_cached(&statement.sql)?;
            bind(&mut prepared, statement)?;
            let columns = prepared.column_count();
            let mut names: Option<Arc<str>> = None;
            let mut rows = prepared.raw_query();
            let mut read = Vec::new();
            while read.len() < most
                && let Some(row) = rows.next()?
            {
                let names = names.get_or_insert_with(|| row.as_ref().column_names().join(SEPARATOR).into());
                let mut values = Vec::with_capacity(columns);
                for place in 0..columns {
                    values.push(Value::try_from(row.get_ref(place)?)?);
                }
                read.push(ResultRow::of_sqlite(SqliteRow { names: Arc::clone(names), values }));
            }
            Ok(read)
        };
        run().map_err(|error| failure(error, DbErr::Query))
    }
}

/// Between the names of columns. No name has it: the statements are ours.
const SEPARATOR: &str = "\u{1f}";

/// One row, as SQLite keeps values.
#[derive(Debug)]
pub(crate) struct SqliteRow {
    names: Arc<str>,
    values: Vec<Value>,
}

impl SqliteRow {
    /// A value by the place of its column.
    pub(crate) fn at(&self, place: usize) -> Option<&Value> {
        self.values.get(place)
    }

    /// A value by the name of its column.
    pub(crate) fn named(&self, name: &str) -> Option<&Value> {
        self.at(self.names.split(SEPARATOR).position(|known| known == name)?)
    }
}

/// Binds the values: by the number that a parameter has (`$3`), else one after the other.
fn bind(prepared: &mut CachedStatement<'_>, statement: &Statement) -> rusqlite::Result<()> {
    let values = statement.values.as_ref().map_or(&[][..], |values| &values.0);
    let numbered = statement.sql.contains('$');
    let mut next = 0;
    for parameter in 1..=prepared.parameter_count() {
        let number = match prepared.parameter_name(parameter) {
            Some(name) if numbered => name.get(1..).and_then(|number| number.parse::<usize>().ok()),
            _ => None,
        };
        let place = match number {
            Some(number) => number.saturating_sub(1),
            None => next,
        };
        next = place + 1;
        let value = values.get(place).ok_or(rusqlite::Error::InvalidParameterCount(values.len(), place + 1))?;
        prepared.raw_bind_parameter(parameter, stored(value)?)?;
    }
    Ok(())
}

/// A value as it is stored, which is as the driver that reads takes it for.
fn stored(value: &Bound) -> rusqlite::Result<ToSqlOutput<'_>> {
    let integer = |value: Option<i64>| ToSqlOutput::Owned(value.map_or(Value::Null, Value::Integer));
    let real = |value: Option<f64>| ToSqlOutput::Owned(value.map_or(Value::Null, Value::Real));
    let text = |value: Option<String>| ToSqlOutput::Owned(value.map_or(Value::Null, Value::Text));
    let time = |value: Option<Timestamp>| text(value.map(time::text));
    let nothing = ToSqlOutput::Borrowed(ValueRef::Null);
    Ok(match value {
        Bound::Bool(value) => integer(value.map(i64::from)),
        Bound::TinyInt(value) => integer(value.map(i64::from)),
        Bound::SmallInt(value) => integer(value.map(i64::from)),
        Bound::Int(value) => integer(value.map(i64::from)),
        Bound::BigInt(value) => integer(*value),
        Bound::TinyUnsigned(value) => integer(value.map(i64::from)),
        Bound::SmallUnsigned(value) => integer(value.map(i64::from)),
        Bound::Unsigned(value) => integer(value.map(i64::from)),
        Bound::BigUnsigned(value) => integer(value.map(i64::try_from).transpose().map_err(unbindable)?),
        Bound::Float(value) => real(value.map(f64::from)),
        Bound::Double(value) => real(*value),
        Bound::Char(value) => text(value.map(String::from)),
        Bound::String(Some(value)) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
        Bound::Enum(OptionEnum::Some(value)) => text(Some(value.value.to_string())),
        Bound::Bytes(Some(value)) => ToSqlOutput::Borrowed(ValueRef::Blob(value)),
        Bound::Uuid(Some(value)) => ToSqlOutput::Borrowed(ValueRef::Blob(value.as_bytes())),
        Bound::Json(value) => text(value.as_ref().map(|value| value.to_string())),
        Bound::ChronoDateTimeUtc(value) => time(*value),
        Bound::ChronoDateTimeWithTimeZone(value) => time(value.map(|value| value.to_utc())),
        Bound::String(None) | Bound::Enum(OptionEnum::None(_)) | Bound::Bytes(None) | Bound::Uuid(None) => nothing,
        other => return Err(unbindable(format!("SQLite stores no {other:?}").as_str())),
    })
}

fn unbindable<E: Into<Box<dyn StdError + Send + Sync>>>(error: E) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(error.into())
}

/// What SQLite says when it fails, as the other driver tells it.
#[derive(Debug)]
pub(crate) struct SqliteFailure {
    code: i32,
    message: String,
}

impl SqliteFailure {
    /// The extended result code.
    pub(crate) fn code(&self) -> i32 {
        self.code
    }
}

impl fmt::Display for SqliteFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(code: {}) {}", self.code, self.message)
    }
}

impl StdError for SqliteFailure {}

impl DatabaseError for SqliteFailure {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.code.to_string().into())
    }

    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        // SQLITE_CONSTRAINT with what it was, in the second byte.
        match self.code {
            2067 | 1555 => ErrorKind::UniqueViolation,
            787 => ErrorKind::ForeignKeyViolation,
            1299 => ErrorKind::NotNullViolation,
            275 => ErrorKind::CheckViolation,
            _ => ErrorKind::Other,
        }
    }
}

/// The error as those of the other driver are told. The statement's text stays out of it.
fn failure(error: rusqlite::Error, told: fn(RuntimeErr) -> DbErr) -> DbErr {
    let (code, message) = match error {
        rusqlite::Error::SqliteFailure(error, message) => {
            (error.extended_code, message.unwrap_or_else(|| error.to_string()))
        }
        other => return DbErr::Custom(other.to_string()),
    };
    let failure = sqlx::Error::Database(Box::new(SqliteFailure { code, message }));
    told(RuntimeErr::SqlxError(failure.into()))
}

#[cfg(test)]
mod tests {
    use kernel::Uuid;

    use super::*;
    use crate::{Engine, is_foreign_key_violation, unique_violation};

    fn connection(folder: &tempfile::TempDir) -> SqliteConnection {
        let file = folder.path().join("test.sqlite");
        SqliteConnection::open(&StoreConfig::new(Location::Sqlite { file })).unwrap()
    }

    fn statement(sql: &str, values: Vec<Bound>) -> Statement {
        Statement::from_sql_and_values(Engine::Sqlite.backend(), sql, values)
    }

    #[test]
    fn parameters_are_bound_by_number_or_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let connection = connection(&folder);
        let read =
            |sql: &str, values: Vec<Bound>| connection.query(&statement(sql, values), 1).map(|mut rows| rows.remove(0));
        let row = read("SELECT ? AS a, ? AS b", vec![1.into(), "two".into()]).unwrap();
        assert_eq!((row.try_get::<i64>("a").unwrap(), row.try_get::<String>("b").unwrap()), (1, "two".into()));
        let row = read("SELECT $2 AS b, $1 AS a, $2 AS c, '$9' AS d", vec![1.into(), 2.into()]).unwrap();
        let all: Vec<i64> = ["a", "b", "c"].map(|name| row.try_get(name).unwrap()).to_vec();
        assert_eq!(all, [1, 2, 2]);
        assert!(read("SELECT ?, ?", vec![1.into()]).is_err(), "a value is missing");
    }

    #[test]
    fn what_is_bound_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let connection = connection(&folder);
        let id = Uuid::from_u128(7);
        let json = serde_json::json!({ "a": [1, null, "ü"] });
        let at = chrono::DateTime::UNIX_EPOCH + chrono::Duration::microseconds(1_700_000_000_000_001);
        let values: Vec<Bound> = vec![
            id.into(),
            json.clone().into(),
            at.into(),
            true.into(),
            0.5.into(),
            vec![1_u8, 0].into(),
            Option::<i32>::None.into(),
        ];
        let rows = connection.query(&statement("SELECT ?, ?, ?, ?, ?, ?, ?", values), 5).unwrap();
        let row = &rows[0];
        assert_eq!(row.try_get_by_index::<Uuid>(0).unwrap(), id);
        assert_eq!(row.try_get_by_index::<serde_json::Value>(1).unwrap(), json);
        assert_eq!(row.try_get_by_index::<Timestamp>(2).unwrap(), at);
        assert_eq!(row.try_get_by_index::<String>(2).unwrap(), time::text(at));
        assert!(row.try_get_by_index::<bool>(3).unwrap());
        assert_eq!(row.try_get_by_index::<f64>(4).unwrap(), 0.5);
        assert_eq!(row.try_get_by_index::<Vec<u8>>(5).unwrap(), [1, 0]);
        assert_eq!(row.try_get_by_index::<Option<i32>>(6).unwrap(), None);
        assert!(row.try_get_by_index::<i32>(6).is_err(), "nothing is not a number");
        assert!(row.try_get_by_index::<i64>(1).is_err(), "a text is not a number");
        assert!(row.try_get_by_index::<i64>(7).is_err(), "there is no such column");
        assert!(row.try_get::<i64>("missing").is_err());
    }

    #[test]
    fn failures_are_told_as_by_the_driver_that_reads() {
        let folder = tempfile::tempdir().unwrap();
        let connection = connection(&folder);
        connection.run("CREATE TABLE team (id INTEGER PRIMARY KEY, name TEXT UNIQUE, above INTEGER REFERENCES team (id)) STRICT").unwrap();
        let insert =
            |values: Vec<Bound>| connection.execute(&statement("INSERT INTO team (name, above) VALUES (?, ?)", values));
        assert_eq!(insert(vec!["a".into(), Option::<i64>::None.into()]).unwrap().rows_affected(), 1);
        let taken = insert(vec!["a".into(), Option::<i64>::None.into()]).unwrap_err();
        assert!(unique_violation(&taken).unwrap().involves("name"));
        assert!(is_foreign_key_violation(&insert(vec!["b".into(), 99.into()]).unwrap_err()));
        assert!(unique_violation(&connection.run("SELECT nonsense").unwrap_err()).is_none());
    }
}
