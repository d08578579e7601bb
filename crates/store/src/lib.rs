//! SQLite and PostgreSQL behind one handle: reads, writes, the event log, cursors and durable jobs.
//!
//! - [`Store::read`] answers a handle for what is committed; [`Store::write`] runs a closure in a transaction with
//!   everything that belongs to a change: events, jobs and the idempotency record commit with the rows or not at all.
//! - A dry run is the same path, rolled back. A replayed idempotency key answers what the first call did.
//! - The [`EventLog`] has positions without gaps in commit order on both engines.
//! - The store knows no domain. The only differences between the engines that other crates see are in
//!   [`Engine`], and they have no reason to look.
//!
//! What is absent: nothing in a write's closure can reach the pool, nothing here reads the system clock, and no
//! time is ever asked of the database.

pub mod config;
mod connect;
mod connection;
mod cursor;
mod error;
mod event;
mod idempotency;
mod job;
mod lease;
mod limit;
mod lock;
mod log;
mod observe;
pub mod query;
mod reaction;
mod retention;
mod secret;
mod sequencer;
mod sqlite;
pub mod text;
pub mod time;
mod tx;
mod write;
mod writer;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use kernel::{Actor, ActorKind, Channel, Clock, Ctx, Error, Grants, Mutation, Result, Uuid};
use sea_orm::DatabaseConnection;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

pub use config::{Engine, Limits, Location, StoreConfig};
pub use connect::{OLDEST_SQLITE, connect_alone, disconnect, exclusively};
pub use connection::{Column, ConnectionTrait, Document, Done, ResultRow};
pub use cursor::CursorSealer;
pub use error::{DbResult, UniqueViolation, is_foreign_key_violation, is_unique_violation, to_error, unique_violation};
pub use event::{Audience, Change, Event, NewEvent, PastEvent};
pub use job::{EXPIRE_IDEMPOTENCY, Job, JobHandlers, JobOutcome, NewJob};
pub use kernel;
pub use lock::{LockFile, lock_path};
pub use log::{EventLog, LogPage};
pub use observe::{Reader, UNCOUNTED};
pub use reaction::{MAX_REACTION_DEPTH, Reaction};
pub use retention::{FORGET_EVENTS, sweep_again};
/// What a connection of [`connect_alone`] is asked by.
pub use sea_orm::{ConnectionTrait as DriverConnection, Statement as DriverStatement};
pub use tx::{RecordRef, Tx};
pub use write::{Along, Written};

use lease::Connections;
use observe::Observer;
use reaction::Reactions;
use secret::ServerSecret;
use sequencer::Sequencer;
use write::{Aftermath, Answer, PostgresWriter, Work, work_of};
use writer::SqliteWriter;

/// One database, whichever engine. Cheap to clone; all clones share connections and background tasks, which end
/// with [`Store::close`] or with the last clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    engine: Engine,
    clock: Clock,
    pub(crate) limits: Arc<Limits>,
    observer: Arc<Observer>,
    /// The pools, to be closed at the end.
    pools: Vec<DatabaseConnection>,
    /// What is borrowed from them.
    connections: Connections,
    background: Connections,
    writes: WritePath,
    reactions: Reactions,
    #[cfg(feature = "testing")]
    sequencer: Option<Sequencer>,
    log: EventLog,
    cursors: CursorSealer,
    secret: ServerSecret,
    pub(crate) jobs: Arc<tokio::sync::Notify>,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop_at_last: DropGuard,
    lock: Mutex<Option<LockFile>>,
}

enum WritePath {
    Sqlite(SqliteWriter),
    Postgres(Box<PostgresWriter>),
}

/// Takes the lock of a SQLite location; PostgreSQL needs none.
///
/// # Errors
/// `CONFLICT` that names the process that holds it.
pub fn take_lock(location: &Location, clock: &Clock) -> Result<Option<LockFile>> {
    match location {
        Location::Sqlite { file } => LockFile::take(file, clock).map(Some),
        Location::Postgres { .. } => Ok(None),
    }
}

impl Store {
    /// Opens a migrated database for serving.
    ///
    /// # Errors
    /// `CONFLICT` when another server holds the SQLite file, when its settings are unsafe, or when the database was
    /// never migrated; `UNAVAILABLE` when it cannot be reached.
    pub async fn open(config: StoreConfig, clock: Clock) -> Result<Self> {
        let lock = take_lock(&config.location, &clock)?;
        Self::open_with(config, clock, lock).await
    }

    /// Opens a migrated database for an administrative command, beside a server that may be running on it. Its
    /// writes reach that server's readers within a poll.
    ///
    /// # Errors
    /// Those of [`Store::open`], but for the lock.
    pub async fn open_beside(config: StoreConfig, clock: Clock) -> Result<Self> {
        Self::open_with(config, clock, None).await
    }

    async fn open_with(config: StoreConfig, clock: Clock, lock: Option<LockFile>) -> Result<Self> {
        let engine = config.location.engine();
        let limits = Arc::new(config.limits.clone());
        let observer = Arc::new(Observer::default());
        let (writes, writer) = match engine {
            Engine::Sqlite => {
                let writer = connect::sqlite_writer(&config).await?;
                (connect::sqlite_alone(&config).await.db()?, Some(writer))
            }
            Engine::Postgres => (connect::postgres_pool_of(&config).await?, None),
        };
        let platform = secret::load(&writes, engine, &clock).await?;
        let wait = limits.acquire_timeout;
        let (reads, log_pool) = match engine {
            Engine::Sqlite => (connect::sqlite_readers(&config).await?, None),
            Engine::Postgres => (writes.clone(), Some(connect::postgres_log_pool(&config).await?)),
        };
        let connections = match engine {
            Engine::Sqlite => Connections::of_sqlite(reads.get_sqlite_connection_pool().clone(), wait),
            Engine::Postgres => Connections::of_postgres(reads.get_postgres_connection_pool().clone(), 0, wait),
        };
        let background = match &log_pool {
            // The listener keeps its own.
            Some(pool) => Connections::of_postgres(pool.get_postgres_connection_pool().clone(), 1, wait),
            None => connections.clone(),
        };

        let log_reader =
            |connections| Reader::new(connections, Arc::clone(&observer), engine, "log", limits.statement_timeout);
        let log = EventLog::new(
            log_reader(connections.clone()),
            log_reader(background.clone()),
            platform.epoch,
            platform.position,
            platform.oldest,
        );
        let cursors = CursorSealer::new(&platform.secret, platform.epoch, log.oldest());
        let jobs = Arc::new(tokio::sync::Notify::new());
        let aftermath = Aftermath { log: log.clone(), jobs: Arc::clone(&jobs) };

        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(log::follow(log.clone(), log_pool.clone(), limits.log_poll, stop.clone()));
        let sequencer = log_pool.is_some().then(|| Sequencer {
            connections: background.clone(),
            observer: Arc::clone(&observer),
            log: log.clone(),
            batch: limits.sequencer_batch,
        });
        if let Some(sequencer) = sequencer.clone() {
            tasks.spawn(sequencer.serve(limits.log_poll, stop.clone()));
        }
        let reactions = Reactions::default();
        let writes = match writer {
            Some(connection) => {
                // That one has read who this server is. What writes from here on is the writer's alone.
                connect::disconnect(writes).await;
                let (writer, task) = SqliteWriter::new(
                    config,
                    connection,
                    Arc::clone(&observer),
                    Arc::clone(&limits),
                    aftermath,
                    reactions.clone(),
                    stop.clone(),
                );
                tasks.spawn(writer::on_a_thread_of_its_own(task)?);
                WritePath::Sqlite(writer)
            }
            None => WritePath::Postgres(Box::new(PostgresWriter {
                connections: connections.clone(),
                observer: Arc::clone(&observer),
                limits: Arc::clone(&limits),
                aftermath,
                reactions: reactions.clone(),
            })),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                engine,
                clock,
                limits,
                observer,
                pools: std::iter::once(reads).chain(log_pool).collect(),
                connections,
                background,
                writes,
                reactions,
                #[cfg(feature = "testing")]
                sequencer,
                log,
                cursors,
                secret: platform.secret,
                jobs,
                tasks,
                _stop_at_last: stop.clone().drop_guard(),
                stop,
                lock: Mutex::new(lock),
            }),
        })
    }

    /// Which engine holds the data.
    pub fn engine(&self) -> Engine {
        self.inner.engine
    }

    /// The clock of this process.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// The bounds that this store works under.
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// A handle for reading; `name` labels its spans and counts (see [`UNCOUNTED`]).
    pub fn read(&self, name: &'static str) -> Reader {
        let inner = &self.inner;
        Reader::new(
            inner.connections.clone(),
            Arc::clone(&inner.observer),
            inner.engine,
            name,
            inner.limits.statement_timeout,
        )
    }

    /// One write. The closure runs in a transaction, perhaps more than once, and awaits only `tx`; its answer comes
    /// after the commit. A caller that stops waiting changes nothing of it.
    ///
    /// `ctx.mutation` decides about idempotency and dry run; `name` is the mutation in the key's scope.
    ///
    /// # Errors
    /// The closure's; `UNAVAILABLE` (retryable) when the commit failed or others were always faster;
    /// `DEADLINE_EXCEEDED` when the closure took too long; `IDEMPOTENCY_MISMATCH` and `IDEMPOTENCY_IN_PROGRESS`.
    /// After each of them nothing was stored, except that a connection lost during a commit leaves open whether it was:
    /// the same call with the same key tells.
    pub async fn write<T, F>(&self, ctx: &Ctx, name: &'static str, work: F) -> Result<Written<T>>
    where
        T: Send + 'static,
        F: for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        self.write_any(ctx.clone(), name, work_of(work)).await?.of_type()
    }

    /// Boxed: what an `async fn` does is compiled by each crate that awaits it.
    fn write_any(&self, ctx: Ctx, name: &'static str, work: Work) -> BoxFuture<'_, Result<Written<Answer>>> {
        match &self.inner.writes {
            WritePath::Sqlite(writer) => Box::pin(writer.write(ctx, name, work)),
            WritePath::Postgres(writer) => {
                let writer = writer.clone();
                // A task of its own: a dropped request leaves no transaction half way.
                let write = async move { writer.write(ctx, name, work).await }.in_current_span();
                let task = self.inner.tasks.spawn(write);
                let ended =
                    move |error| Error::internal(format!("the task of {name} ended without an answer: {error}"));
                Box::pin(async move { task.await.map_err(ended)? })
            }
        }
    }

    /// What earlier writes of this actor under this name with these idempotency keys recorded, in the order of the keys: for a call that
    /// is made of several writes, and is answered again.
    ///
    /// # Errors
    /// Database errors.
    pub async fn events_of_calls(&self, ctx: &Ctx, name: &'static str, keys: &[String]) -> Result<Vec<Event>> {
        let ids = idempotency::events_of(&self.read("idempotency.events"), ctx, name, keys).await?;
        let mut events = HashMap::new();
        for part in ids.chunks(config::MAX_LOG_READ as usize) {
            events.extend(self.log().by_ids(ctx.tenant, part).await?.into_iter().map(|event| (event.id, event)));
        }
        Ok(ids.iter().filter_map(|id| events.remove(id)).collect())
    }

    /// Registers what runs at the end of every write over the events that it emitted, in this order. The first registration
    /// stands.
    pub fn react_with(&self, reactions: Vec<Arc<dyn Reaction>>) {
        self.inner.reactions.register(reactions);
    }

    /// Statements so far under names other than [`UNCOUNTED`]; transaction control is not counted.
    pub fn statement_count(&self) -> u64 {
        self.inner.observer.statements()
    }

    /// How often closures of writes were run again because others were faster.
    pub fn retry_count(&self) -> u64 {
        self.inner.observer.retries()
    }

    /// The event log.
    pub fn log(&self) -> &EventLog {
        &self.inner.log
    }

    /// Makes and reads cursors.
    pub fn cursors(&self) -> &CursorSealer {
        &self.inner.cursors
    }

    /// A key for one purpose, the same on all replicas and over restarts.
    pub fn secret(&self, purpose: &str) -> [u8; 32] {
        self.inner.secret.derive(purpose)
    }

    /// The context of what the store itself does in a tenant. The actor has the tenant's id and no grants.
    pub fn system_ctx(&self, tenant: Uuid, request_id: &str) -> Ctx {
        Ctx {
            tenant,
            actor: Actor { id: tenant, kind: ActorKind::System },
            grants: Arc::new(Grants::default()),
            channel: Channel::System,
            request_id: request_id.into(),
            clock: self.inner.clock.clone(),
            mutation: Mutation::default(),
        }
    }

    /// Runs due jobs until `shutdown`, then waits for those that are running. Several loops, in one process or in
    /// many, share the work.
    pub async fn run_jobs(&self, handlers: JobHandlers, shutdown: CancellationToken) {
        job::Worker::new(self.clone(), handlers).serve(shutdown).await;
    }

    /// Finishes the writes that are under way, ends the background tasks, closes all connections and gives the lock
    /// back. Other clones answer `UNAVAILABLE` from then on.
    pub async fn close(self) {
        let inner = &self.inner;
        inner.stop.cancel();
        inner.tasks.close();
        inner.tasks.wait().await;
        inner.connections.close();
        inner.background.close();
        for connection in &inner.pools {
            if let Err(error) = connection.close_by_ref().await {
                tracing::warn!(%error, "a connection could not be closed");
            }
        }
        inner.lock.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
    }
}

/// Fault injection, for tests.
#[cfg(feature = "testing")]
impl Store {
    /// Makes the n-th statement of writes from now fail (from 1; the commit counts); 0 takes it back.
    pub fn fail_statement(&self, n: u64) {
        self.inner.observer.fail_statement(n);
    }

    /// Whether the injected fault has yet to come.
    pub fn fault_pending(&self) -> bool {
        self.inner.observer.fault_pending()
    }

    /// Numbers all committed events now (PostgreSQL; nothing to do on SQLite); answers how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn number_events(&self) -> Result<u64> {
        match &self.inner.sequencer {
            Some(sequencer) => sequencer.number_all().await,
            None => Ok(0),
        }
    }
}
