//! What the database says when it fails, in the words of the product.

use kernel::{Error, ErrorCode, Result};
use sea_orm::sqlx::{self, error::DatabaseError};
use sea_orm::{DbErr, RuntimeErr};

use crate::sqlite::SqliteFailure;

/// Turns a database error into one of the product's, for use with `?`.
///
/// ```ignore
/// let row = tx.query_one(&statement).await.db()?;
/// ```
pub trait DbResult<T> {
    /// The value, or the error as [`to_error`] tells it.
    ///
    /// # Errors
    /// `UNAVAILABLE` or `DEADLINE_EXCEEDED` when the same call may go through a moment later, else `INTERNAL`.
    fn db(self) -> Result<T>;
}

impl<T> DbResult<T> for std::result::Result<T, DbErr> {
    fn db(self) -> Result<T> {
        self.map_err(to_error)
    }
}

/// The message of a statement that took longer than its limit in this process.
pub(crate) const STATEMENT_DEADLINE: &str = "the statement took longer than its deadline";

/// What a database error means to the one who called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The transaction met another one; run again, it may go through.
    Serialization,
    /// A lock was not to be had in time.
    LockTimeout,
    /// A statement took too long.
    Deadline,
    /// The database is busy, gone, full or read-only.
    Unavailable,
    /// Anything else: a fault of ours.
    Fault,
}

/// Reads the kind of failure off the driver's error.
pub(crate) fn classify(error: &DbErr) -> Failure {
    match error {
        DbErr::ConnectionAcquire(_) => Failure::Unavailable,
        DbErr::Custom(text) if text == STATEMENT_DEADLINE => Failure::Deadline,
        // A server that is going down or coming up may answer a newcomer with anything.
        DbErr::Conn(RuntimeErr::SqlxError(error)) if matches!(**error, sqlx::Error::Protocol(_)) => {
            Failure::Unavailable
        }
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => classify_sqlx(error),
        DbErr::Conn(_) => Failure::Unavailable,
        _ => Failure::Fault,
    }
}

fn classify_sqlx(error: &sqlx::Error) -> Failure {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            if let Some(failure) = error.try_downcast_ref::<SqliteFailure>() {
                classify_sqlite(failure.code())
            } else if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
                code.parse().map_or(Failure::Fault, classify_sqlite)
            } else {
                classify_sqlstate(&code)
            }
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Failure::Unavailable,
        _ => Failure::Fault,
    }
}

/// By SQLite's (extended) result code.
fn classify_sqlite(code: i32) -> Failure {
    const PRIMARY: i32 = 0xff;
    match code & PRIMARY {
        // BUSY, LOCKED, NOMEM, READONLY, IOERR, FULL, CANTOPEN
        5 | 6 | 7 | 8 | 10 | 13 | 14 => Failure::Unavailable,
        // INTERRUPT
        9 => Failure::Deadline,
        _ => Failure::Fault,
    }
}

/// By PostgreSQL's SQLSTATE.
fn classify_sqlstate(code: &str) -> Failure {
    match code {
        // serialization_failure, deadlock_detected
        "40001" | "40P01" => Failure::Serialization,
        // lock_not_available
        "55P03" => Failure::LockTimeout,
        // query_canceled: the statement timeout
        "57014" => Failure::Deadline,
        // read_only_sql_transaction; the server goes down, or came back; idle in transaction for too long
        "25006" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => Failure::Unavailable,
        // connection exception; insufficient resources (disk full, too many connections); system error
        _ if ["08", "53", "58"].iter().any(|class| code.starts_with(class)) => Failure::Unavailable,
        _ => Failure::Fault,
    }
}

/// A database error as the product tells it. What the client may not know goes to the log.
pub fn to_error(error: DbErr) -> Error {
    match classify(&error) {
        Failure::Fault => Error::internal(error),
        Failure::Deadline => {
            tracing::warn!(%error, "a statement took too long");
            Error::request(ErrorCode::DeadlineExceeded, "the database took too long to answer; try again in a moment")
        }
        Failure::Serialization | Failure::LockTimeout => {
            tracing::info!(%error, "a statement met another transaction");
            unavailable("others are changing the same records; try again in a moment")
        }
        Failure::Unavailable => {
            tracing::warn!(%error, "the database is not available");
            unavailable("the database is not available; try again in a moment")
        }
    }
}

/// A retryable refusal.
pub(crate) fn unavailable(message: &str) -> Error {
    Error::request(ErrorCode::Unavailable, message)
}

fn database_error(error: &DbErr) -> Option<&dyn DatabaseError> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => match &**error {
            sqlx::Error::Database(error) => Some(&**error),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a value that must be unique is taken.
pub fn is_unique_violation(error: &DbErr) -> bool {
    unique_violation(error).is_some()
}

/// Whether a row that is referred to does not exist.
pub fn is_foreign_key_violation(error: &DbErr) -> bool {
    database_error(error).is_some_and(|error| error.is_foreign_key_violation())
}

/// Which value was taken, as far as the engine tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UniqueViolation {
    /// The constraint's or index's name: always on PostgreSQL; on SQLite of indexes on expressions only.
    pub constraint: Option<String>,
    /// The columns, in the constraint's order; empty for an index on expressions on SQLite.
    pub columns: Vec<String>,
}

impl UniqueViolation {
    /// Whether this is about the column, on either engine.
    pub fn involves(&self, column: &str) -> bool {
        self.columns.iter().any(|name| name == column)
    }
}

/// What is taken, when the error says that a value that must be unique is.
pub fn unique_violation(error: &DbErr) -> Option<UniqueViolation> {
    let error = database_error(error)?;
    if !error.is_unique_violation() {
        return None;
    }
    if let Some(postgres) = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
        return Some(UniqueViolation {
            constraint: postgres.constraint().map(str::to_owned),
            columns: postgres.detail().map(columns_in_detail).unwrap_or_default(),
        });
    }
    Some(read_sqlite_message(error.message()))
}

/// From PostgreSQL's `Key (tenant_id, name)=(…) already exists.`
fn columns_in_detail(detail: &str) -> Vec<String> {
    detail
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(")="))
        .map(|(columns, _)| columns.split(", ").map(|column| column.trim_matches('"').to_owned()).collect())
        .unwrap_or_default()
}

/// From SQLite's `UNIQUE constraint failed: team.tenant_id, team.name` or `… failed: index 'team_name'`.
fn read_sqlite_message(message: &str) -> UniqueViolation {
    let subject = message.rsplit_once("failed: ").map_or("", |(_, subject)| subject);
    match subject.strip_prefix("index '") {
        Some(name) => UniqueViolation { constraint: Some(name.trim_end_matches('\'').to_owned()), columns: Vec::new() },
        None => UniqueViolation {
            constraint: None,
            columns: subject
                .split(", ")
                .filter_map(|column| column.split_once('.'))
                .map(|(_, column)| column.to_owned())
                .collect(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_engines_name_the_columns() {
        assert_eq!(columns_in_detail("Key (tenant_id, name)=(1, x) already exists."), ["tenant_id", "name"]);
        let violation = read_sqlite_message("UNIQUE constraint failed: team.tenant_id, team.name");
        assert!(violation.involves("name"));
        assert!(!violation.involves("slug"));
        let violation = read_sqlite_message("UNIQUE constraint failed: index 'team_name'");
        assert_eq!(violation.constraint.as_deref(), Some("team_name"));
    }

    #[test]
    fn a_server_that_is_coming_up_is_no_fault_of_ours() {
        let strange =
            || RuntimeErr::SqlxError(sqlx::Error::Protocol("unexpected response from SSLRequest: 0x45".into()).into());
        assert_eq!(classify(&DbErr::Conn(strange())), Failure::Unavailable);
        assert_eq!(classify(&DbErr::Query(strange())), Failure::Fault, "on an open connection it is one");
    }

    #[test]
    fn a_full_disk_is_no_fault_of_ours() {
        assert_eq!(classify_sqlite(13), Failure::Unavailable);
        // IOERR_WRITE, an extended code
        assert_eq!(classify_sqlite(778), Failure::Unavailable);
        assert_eq!(classify_sqlstate("53100"), Failure::Unavailable);
        assert_eq!(classify_sqlstate("42601"), Failure::Fault);
        assert_eq!(classify_sqlite(1), Failure::Fault);
    }
}
