//! Connections that requests borrow, and give back without asking the server anything.
//!
//! The driver's own pool sends each connection that comes back through one more round trip to the server, which costs a short
//! read a third of its time. Here a connection stays borrowed from the pool for a while and goes from hand to hand. It goes
//! back to the pool, with all that the pool checks, when its term is over, when a statement failed otherwise than by the
//! database's own word, and when whoever had it was dropped in the middle of a statement.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::{self, AssertSqlSafe, Executor as _, PgPool, Postgres, Sqlite, SqlitePool};
use sea_orm::{ConnAcquireErr, DbErr, ExecResult, QueryResult, RuntimeErr, Statement, Values};
use sea_query_sqlx::SqlxValues;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::connection::{Done, ResultRow};

/// How long a connection stays borrowed from the pool: the pool's bounds on age and idleness are kept within this.
const TERM: Duration = Duration::from_secs(30);

/// The connections of one pool. Nobody else may borrow from it: what is idle here is missing there. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connections {
    home: Arc<Home>,
}

struct Home {
    pool: Pool,
    /// One permit for each connection that the pool may have.
    places: Arc<Semaphore>,
    acquire_timeout: Duration,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    connections: Vec<Borrowed>,
    closed: bool,
}

enum Pool {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

enum Raw {
    Postgres(PoolConnection<Postgres>),
    Sqlite(PoolConnection<Sqlite>),
}

struct Borrowed {
    raw: Raw,
    since: Instant,
}

/// One connection, for as long as this lives.
pub(crate) struct Lease {
    borrowed: Option<Borrowed>,
    home: Arc<Home>,
    /// Whether the last statement ran to its end.
    clean: bool,
    in_transaction: bool,
    /// Given back after the connection.
    _place: OwnedSemaphorePermit,
}

impl Home {
    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    /// Those of a PostgreSQL pool, but for so many that somebody keeps.
    pub(crate) fn of_postgres(pool: PgPool, kept: u32, acquire_timeout: Duration) -> Self {
        let most = pool.options().get_max_connections().saturating_sub(kept);
        Self::new(Pool::Postgres(pool), most, acquire_timeout)
    }

    /// Those of a SQLite pool.
    pub(crate) fn of_sqlite(pool: SqlitePool, acquire_timeout: Duration) -> Self {
        let most = pool.options().get_max_connections();
        Self::new(Pool::Sqlite(pool), most, acquire_timeout)
    }

    fn new(pool: Pool, most: u32, acquire_timeout: Duration) -> Self {
        let places = Arc::new(Semaphore::new(most as usize));
        Self { home: Arc::new(Home { pool, places, acquire_timeout, idle: Mutex::default() }) }
    }

    /// A connection; waits for one to come free.
    ///
    /// # Errors
    /// When none does in time, or the database cannot be reached.
    pub(crate) async fn lease(&self) -> Result<Lease, DbErr> {
        let home = &self.home;
        let waited = tokio::time::timeout(home.acquire_timeout, Arc::clone(&home.places).acquire_owned()).await;
        let Ok(Ok(place)) = waited else { return Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)) };
        let known = home.idle().connections.pop();
        let borrowed = match known {
            Some(borrowed) => borrowed,
            None => Borrowed { raw: home.pool.acquire().await.map_err(acquire_error)?, since: Instant::now() },
        };
        Ok(Lease {
            borrowed: Some(borrowed),
            home: Arc::clone(home),
            clean: true,
            in_transaction: false,
            _place: place,
        })
    }

    /// Gives the idle connections back to the pool, and each other one when it comes back.
    pub(crate) fn close(&self) {
        let mut idle = self.home.idle();
        idle.closed = true;
        idle.connections.clear();
    }
}

impl Pool {
    async fn acquire(&self) -> Result<Raw, sqlx::Error> {
        Ok(match self {
            Pool::Postgres(pool) => Raw::Postgres(pool.acquire().await?),
            Pool::Sqlite(pool) => Raw::Sqlite(pool.acquire().await?),
        })
    }
}

/// As sea-orm tells them.
fn acquire_error(error: sqlx::Error) -> DbErr {
    match error {
        sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
        sqlx::Error::PoolClosed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
        error => DbErr::Conn(RuntimeErr::SqlxError(error.into())),
    }
}

fn execution_error(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}

fn query_error(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}

/// Runs a statement's future on the connection of either engine.
macro_rules! on_either {
    ($lease:expr, |$connection:ident| $work:expr) => {{
        $lease.clean = false;
        let result = match $lease.raw()? {
            Raw::Postgres($connection) => $work,
            Raw::Sqlite($connection) => $work,
        };
        $lease.clean = matches!(&result, Ok(_) | Err(sqlx::Error::Database(_)));
        result
    }};
}

impl Lease {
    fn raw(&mut self) -> Result<&mut Raw, DbErr> {
        match &mut self.borrowed {
            Some(borrowed) => Ok(&mut borrowed.raw),
            // Taken by `drop` alone.
            None => Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)),
        }
    }

    /// Runs a statement that answers no rows.
    pub(crate) async fn execute(&mut self, statement: Statement) -> Result<Done, DbErr> {
        let (sql, values) = parts(statement);
        on_either!(self, |connection| {
            sqlx::query_with(AssertSqlSafe(sql), values)
                .execute(&mut **connection)
                .await
                .map(|done| Done::from(ExecResult::from(done)))
        })
        .map_err(execution_error)
    }

    /// Runs statements without parameters, as text.
    pub(crate) async fn execute_unprepared(&mut self, sql: &str) -> Result<Done, DbErr> {
        on_either!(self, |connection| {
            connection.execute(AssertSqlSafe(sql.to_owned())).await.map(|done| Done::from(ExecResult::from(done)))
        })
        .map_err(execution_error)
    }

    /// The first row that a statement answers.
    pub(crate) async fn query_one(&mut self, statement: Statement) -> Result<Option<ResultRow>, DbErr> {
        let (sql, values) = parts(statement);
        on_either!(self, |connection| {
            let row = sqlx::query_with(AssertSqlSafe(sql), values).fetch_optional(&mut **connection).await;
            row.map(|row| row.map(|row| ResultRow::from(QueryResult::from(row))))
        })
        .map_err(query_error)
    }

    /// All rows that a statement answers.
    pub(crate) async fn query_all(&mut self, statement: Statement) -> Result<Vec<ResultRow>, DbErr> {
        let (sql, values) = parts(statement);
        on_either!(self, |connection| {
            let rows = sqlx::query_with(AssertSqlSafe(sql), values).fetch_all(&mut **connection).await;
            rows.map(|rows| rows.into_iter().map(|row| ResultRow::from(QueryResult::from(row))).collect())
        })
        .map_err(query_error)
    }

    /// Begins a transaction. One that is neither committed nor rolled back ends with its connection.
    pub(crate) async fn begin(&mut self) -> Result<(), DbErr> {
        self.in_transaction = true;
        self.execute_unprepared("BEGIN").await.map(|_| ())
    }

    /// Commits.
    pub(crate) async fn commit(&mut self) -> Result<(), DbErr> {
        self.execute_unprepared("COMMIT").await?;
        self.in_transaction = false;
        Ok(())
    }

    /// Rolls back.
    pub(crate) async fn rollback(&mut self) -> Result<(), DbErr> {
        self.execute_unprepared("ROLLBACK").await?;
        self.in_transaction = false;
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut borrowed) = self.borrowed.take() else { return };
        if self.in_transaction {
            match &mut borrowed.raw {
                Raw::Postgres(connection) => connection.close_on_drop(),
                Raw::Sqlite(connection) => connection.close_on_drop(),
            }
            return;
        }
        if !self.clean || borrowed.since.elapsed() >= TERM {
            return;
        }
        let mut idle = self.home.idle();
        if !idle.closed {
            idle.connections.push(borrowed);
        }
    }
}

fn parts(statement: Statement) -> (String, SqlxValues) {
    (statement.sql, SqlxValues(statement.values.unwrap_or(Values(Vec::new()))))
}
