//! Opening connections, and refusing to serve on unsafe ones.

use std::str::FromStr;
use std::time::Duration;

use kernel::{Error, ErrorCode, Result};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sea_orm::sqlx::{ConnectOptions as _, Connection as _};
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DbErr, RuntimeErr, SqlxPostgresConnector, SqlxSqliteConnector,
};

use crate::config::{Location, StoreConfig};
use crate::error::DbResult;
use crate::sqlite::SqliteConnection;

/// The oldest SQLite that is safe to serve on.
pub const OLDEST_SQLITE: (u32, u32, u32) = (3, 51, 3);

/// How many connections the event log has to itself, so that requests cannot starve it: one listens, one numbers.
const LOG_POOL: u32 = 2;
/// How long a transaction may stand idle on PostgreSQL before the server ends it.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(10);

fn refused(message: impl Into<String>) -> Error {
    Error::request(ErrorCode::Conflict, message)
}

fn connection_error(error: sea_orm::sqlx::Error) -> DbErr {
    match error {
        sea_orm::sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
        error => DbErr::Conn(RuntimeErr::SqlxError(error.into())),
    }
}

fn sqlite_options(config: &StoreConfig) -> Result<SqliteConnectOptions> {
    let Location::Sqlite { file } = &config.location else {
        return Err(Error::internal("not a SQLite location"));
    };
    Ok(SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(config.limits.acquire_timeout)
        .disable_statement_logging())
}

/// The configured settings come last: what they spoil, the checks find.
fn with_pragmas(mut options: SqliteConnectOptions, config: &StoreConfig) -> SqliteConnectOptions {
    for (key, value) in &config.pragmas {
        options = options.pragma(key.clone(), value.clone());
    }
    options
}

fn lasting_pool(connections: u32, acquire_timeout: Duration) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(acquire_timeout)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// A connection to a SQLite file that may write, for migrations and for what is to be known before serving.
pub(crate) async fn sqlite_alone(config: &StoreConfig) -> Result<DatabaseConnection, DbErr> {
    let options = sqlite_options(config).map_err(|error| DbErr::Custom(error.to_string()))?;
    let pool = lasting_pool(1, config.limits.acquire_timeout)
        .connect_with(with_pragmas(options, config))
        .await
        .map_err(connection_error)?;
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}

/// The one connection that writes to a SQLite file while serving.
///
/// # Errors
/// `CONFLICT` when its settings can lose what was acknowledged; `UNAVAILABLE` when the file cannot be opened.
pub(crate) async fn sqlite_writer(config: &StoreConfig) -> Result<SqliteConnection> {
    let config = config.clone();
    let open = move || {
        let writer = SqliteConnection::open(&config).db()?;
        check_sqlite(&writer)?;
        Ok(writer)
    };
    tokio::task::spawn_blocking(open).await.map_err(Error::internal)?
}

/// The connections that read a SQLite file, and cannot write.
pub(crate) async fn sqlite_readers(config: &StoreConfig) -> Result<DatabaseConnection> {
    let options = with_pragmas(sqlite_options(config)?, config).create_if_missing(false).pragma("query_only", "ON");
    let pool = lasting_pool(config.readers.max(1), config.limits.acquire_timeout)
        .connect_with(options)
        .await
        .map_err(connection_error)
        .db()?;
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}

fn postgres_options(config: &StoreConfig) -> Result<PgConnectOptions> {
    let Location::Postgres { url } = &config.location else {
        return Err(Error::internal("not a PostgreSQL location"));
    };
    // The address may hold a password: the error says what is wrong with it, and does not repeat it.
    let options = PgConnectOptions::from_str(url).map_err(|error| {
        refused(format!("the database URL is not `postgres://user:password@host:port/database`: {error}"))
    })?;
    Ok(options.application_name("deskwire").disable_statement_logging())
}

fn postgres_settings(config: &StoreConfig) -> [(&'static str, String); 4] {
    let milliseconds = |duration: Duration| duration.as_millis().to_string();
    [
        ("statement_timeout", milliseconds(config.limits.statement_timeout)),
        ("lock_timeout", milliseconds(config.limits.lock_wait)),
        ("idle_in_transaction_session_timeout", milliseconds(IDLE_IN_TRANSACTION)),
        ("default_transaction_isolation", "read committed".to_owned()),
    ]
}

fn postgres_pool(connections: u32, acquire_timeout: Duration) -> PgPoolOptions {
    PgPoolOptions::new().max_connections(connections).acquire_timeout(acquire_timeout).test_before_acquire(false)
}

/// The pool for reads and writes on PostgreSQL.
pub(crate) async fn postgres_pool_of(config: &StoreConfig) -> Result<DatabaseConnection> {
    postgres_connections(config, config.pool.max(2)).await
}

/// The pool of the event log on PostgreSQL.
pub(crate) async fn postgres_log_pool(config: &StoreConfig) -> Result<DatabaseConnection> {
    postgres_connections(config, LOG_POOL).await
}

async fn postgres_connections(config: &StoreConfig, connections: u32) -> Result<DatabaseConnection> {
    let options = postgres_options(config)?.options(postgres_settings(config));
    let pool = postgres_pool(connections, config.limits.acquire_timeout)
        .connect_with(options)
        .await
        .map_err(connection_error)
        .db()?;
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}

/// A single connection without time limits on statements, for migrations. It creates a SQLite file that does not exist.
///
/// # Errors
/// `UNAVAILABLE` when the database cannot be reached.
pub async fn connect_alone(config: &StoreConfig) -> Result<DatabaseConnection> {
    match &config.location {
        Location::Sqlite { file } => {
            sqlite_alone(config).await.map_err(|error| unreachable_database(file.display(), error))
        }
        Location::Postgres { .. } => {
            let options = postgres_options(config)?;
            let (host, port) = (options.get_host().to_owned(), options.get_port());
            let describe = |error| unreachable_database(format_args!("server {host}:{port}"), error);
            // A pool tries again until its time is over and then forgets why; one attempt of our own knows.
            let attempt = tokio::time::timeout(config.limits.acquire_timeout, options.connect()).await;
            let attempt = attempt
                .unwrap_or(Err(sea_orm::sqlx::Error::PoolTimedOut))
                .map_err(|error| describe(connection_error(error)))?;
            // A courtesy to the server; the connection is gone either way.
            let _ = attempt.close().await;
            let pool = postgres_pool(1, config.limits.acquire_timeout)
                .connect_with(options)
                .await
                .map_err(|error| describe(connection_error(error)))?;
            Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
        }
    }
}

fn unreachable_database(which: impl std::fmt::Display, error: DbErr) -> Error {
    Error::request(ErrorCode::Unavailable, format!("cannot open the database ({which}): {error}"))
}

/// Closes a connection of [`connect_alone`] and waits until it is closed.
pub async fn disconnect(connection: DatabaseConnection) {
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "a connection could not be closed");
    }
}

/// Runs migrations under PostgreSQL's advisory lock for them, so that only one process does. The connection must be
/// one of [`connect_alone`].
///
/// # Errors
/// Those of `work`; `UNAVAILABLE` when the lock cannot be asked for.
pub async fn exclusively<T>(connection: &DatabaseConnection, work: impl Future<Output = Result<T>>) -> Result<T> {
    connection.execute_unprepared(&format!("SELECT pg_advisory_lock({MIGRATION_LOCK})")).await.db()?;
    let result = work.await;
    connection.execute_unprepared(&format!("SELECT pg_advisory_unlock({MIGRATION_LOCK})")).await.db()?;
    result
}

/// The advisory lock of migrations: "dwmigrat" in ASCII.
const MIGRATION_LOCK: i64 = 0x6477_6d69_6772_6174;

/// Refuses to serve on a SQLite whose settings can lose what was acknowledged.
fn check_sqlite(writer: &SqliteConnection) -> Result<()> {
    let version = writer.text("SELECT sqlite_version()").db()?;
    check_version(&version)?;
    let journal = writer.text("SELECT journal_mode FROM pragma_journal_mode").db()?;
    if !journal.eq_ignore_ascii_case("wal") {
        return Err(refused(format!(
            "SQLite's journal_mode is `{journal}`, it must be `wal`: put the data folder on a local file system (network file systems do not support it) and remove any other setting of journal_mode"
        )));
    }
    let synchronous = writer.text("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous").db()?;
    if !matches!(synchronous.as_str(), "2" | "3") {
        return Err(refused(format!(
            "SQLite's synchronous is {synchronous}, it must be FULL (2) or EXTRA (3): otherwise a power failure loses acknowledged changes; remove the setting"
        )));
    }
    let foreign_keys = writer.text("SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys").db()?;
    if foreign_keys != "1" {
        return Err(refused("SQLite's foreign_keys is off, it must be on: remove the setting"));
    }
    Ok(())
}

fn check_version(version: &str) -> Result<()> {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    let found = (next(), next(), next());
    if found >= OLDEST_SQLITE {
        return Ok(());
    }
    let (major, minor, patch) = OLDEST_SQLITE;
    Err(refused(format!("SQLite is {version}, it must be {major}.{minor}.{patch} or newer")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_of_sqlite_are_refused() {
        for version in ["3.51.3", "3.52.0", "4.0.0"] {
            assert!(check_version(version).is_ok(), "{version}");
        }
        for version in ["3.51.2", "3.9.9", "2.99.99", ""] {
            assert!(check_version(version).is_err(), "{version}");
        }
    }
}
