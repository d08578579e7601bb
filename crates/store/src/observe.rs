//! What every statement leaves behind: a span, a count, and (in tests) the chance to fail; and the read handle.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sea_orm::{DbBackend, DbErr, Statement};
use tracing::Instrument;

use crate::connection::{ConnectionTrait, Done, ResultRow};
use crate::error::STATEMENT_DEADLINE;
use crate::lease::Connections;
use crate::{Engine, limit, time};

/// The names of reads and writes that [`Store::statement_count`](crate::Store::statement_count) leaves out:
/// who the caller is, where the log stands, and the background.
pub const UNCOUNTED: &[&str] = &["authentication", "log", "jobs"];

/// Counts statements and opens their spans.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    statements: AtomicU64,
    retries: AtomicU64,
    /// In how many statements of writes from now the injected fault comes; 0: never.
    #[cfg(feature = "testing")]
    fault_in: AtomicU64,
}

impl Observer {
    /// Statements so far under counted names.
    pub(crate) fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// How often the closure of a write was run again.
    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Notes that the closure of a write is run again.
    pub(crate) fn retried(&self, name: &'static str) {
        self.retries.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(name, "a write met another one and is run again");
    }

    /// Makes the n-th statement of writes from now fail (the first is 1); 0 takes it back.
    #[cfg(feature = "testing")]
    pub(crate) fn fail_statement(&self, n: u64) {
        self.fault_in.store(n, Ordering::SeqCst);
    }

    /// Whether the injected fault has yet to come.
    #[cfg(feature = "testing")]
    pub(crate) fn fault_pending(&self) -> bool {
        self.fault_in.load(Ordering::SeqCst) > 0
    }

    /// Fails when a test asked for it; called before each statement of a write, its commit included.
    pub(crate) fn fault(&self, name: &'static str) -> Result<(), DbErr> {
        #[cfg(feature = "testing")]
        if !UNCOUNTED.contains(&name)
            && self.fault_in.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)) == Ok(1)
        {
            return Err(DbErr::Custom("injected fault".into()));
        }
        let _ = name;
        Ok(())
    }

    /// Runs one statement inside its span.
    pub(crate) async fn observe<T: Rows>(
        &self,
        name: &'static str,
        sql: &str,
        work: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        if !UNCOUNTED.contains(&name) {
            self.statements.fetch_add(1, Ordering::Relaxed);
        }
        let span = tracing::debug_span!(
            target: "store::sql",
            "sql",
            name,
            statement = sql,
            rows = tracing::field::Empty,
            error = tracing::field::Empty
        );
        let started = tokio::time::Instant::now();
        let result = work.instrument(span.clone()).await;
        match &result {
            Ok(answer) => span.record("rows", answer.rows()),
            // Errors may quote values; the kind is enough here, the text goes where the error goes.
            Err(error) => span.record("error", tracing::field::debug(crate::error::classify(error))),
        };
        tracing::trace!(target: "store::sql", parent: &span, microseconds = started.elapsed().as_micros() as u64, "done");
        result
    }
}

/// How many rows an answer is about.
pub(crate) trait Rows {
    /// Rows answered or changed.
    fn rows(&self) -> u64;
}

impl Rows for Done {
    fn rows(&self) -> u64 {
        self.rows_affected()
    }
}

impl Rows for Option<ResultRow> {
    fn rows(&self) -> u64 {
        u64::from(self.is_some())
    }
}

impl Rows for Vec<ResultRow> {
    fn rows(&self) -> u64 {
        self.len() as u64
    }
}

/// A handle for reading what is committed. Cheap to clone. On SQLite it cannot write.
///
/// Each statement sees its own snapshot.
#[derive(Clone)]
pub struct Reader {
    connections: Connections,
    observer: Arc<Observer>,
    engine: Engine,
    name: &'static str,
    deadline: Duration,
}

impl Reader {
    pub(crate) fn new(
        connections: Connections,
        observer: Arc<Observer>,
        engine: Engine,
        name: &'static str,
        deadline: Duration,
    ) -> Self {
        Self { connections, observer, engine, name, deadline }
    }

    /// Which engine answers.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    async fn bounded<T: Rows>(
        &self,
        sql: &str,
        work: impl Future<Output = Result<T, DbErr>> + Send,
    ) -> Result<T, DbErr> {
        let work = async {
            // PostgreSQL counts by itself and really stops; SQLite's statement only loses its listener.
            match self.engine {
                Engine::Postgres => work.await,
                Engine::Sqlite => match tokio::time::timeout(self.deadline, work).await {
                    Ok(result) => result,
                    Err(_) => Err(DbErr::Custom(STATEMENT_DEADLINE.into())),
                },
            }
        };
        self.observer.observe(self.name, sql, work).await
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DbBackend {
        self.engine.backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<Done, DbErr> {
        let statement = limit::inline(self.engine, time::bind(self.engine, statement));
        let sql = statement.sql.clone();
        self.bounded(&sql, async { self.connections.lease().await?.execute(statement).await }).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<Done, DbErr> {
        self.bounded(sql, async { self.connections.lease().await?.execute_unprepared(sql).await }).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<ResultRow>, DbErr> {
        let statement = limit::inline(self.engine, time::bind(self.engine, statement));
        let sql = statement.sql.clone();
        self.bounded(&sql, async { self.connections.lease().await?.query_one(statement).await }).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<ResultRow>, DbErr> {
        let statement = limit::inline(self.engine, time::bind(self.engine, statement));
        let sql = statement.sql.clone();
        self.bounded(&sql, async { self.connections.lease().await?.query_all(statement).await }).await
    }
}
