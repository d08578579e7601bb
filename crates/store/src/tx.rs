//! The transaction that a write's closure works in: statements, events, jobs, and nothing beyond.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use kernel::{Ctx, Error, Id, Result, Timestamp, random};
use sea_orm::{DbBackend, DbErr, Statement, StatementBuilder};
use tokio::sync::Mutex;

use crate::Engine;
use crate::config::{MAX_EVENTS_PER_WRITE, MAX_JOBS_PER_WRITE};
use crate::connection::{ConnectionTrait, Done, ResultRow};
use crate::error::{DbResult, Failure, classify, unavailable};
use crate::event::{self, Event, NewEvent};
use crate::job::{self, NewJob};
use crate::lease::Lease;
use crate::observe::{Observer, Rows};
use crate::reaction::Reactions;
use crate::sqlite::SqliteConnection;
use crate::write::Along;

/// A record and the version that a write left it at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordRef {
    /// The record's id with its type.
    pub id: Id,
    /// Its version after the write.
    pub version: i32,
}

/// Where a write's statements run.
#[derive(Clone)]
pub(crate) enum Session {
    /// SQLite: the transaction of the group.
    Group(Arc<Shared>),
    /// PostgreSQL: a connection of its own, in a transaction.
    Own(Arc<Mutex<Lease>>),
}

impl Session {
    async fn execute(&self, statement: Statement) -> Result<Done, DbErr> {
        match self {
            Session::Group(shared) => shared.run(|connection| connection.execute(&statement)).await,
            Session::Own(lease) => lease.lock().await.execute(statement).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<Done, DbErr> {
        match self {
            Session::Group(shared) => shared.run(|connection| connection.execute_unprepared(sql)).await,
            Session::Own(lease) => lease.lock().await.execute_unprepared(sql).await,
        }
    }

    async fn query_one(&self, statement: Statement) -> Result<Option<ResultRow>, DbErr> {
        match self {
            Session::Group(shared) => {
                shared.run(|connection| connection.query(&statement, 1)).await.map(|mut rows| rows.pop())
            }
            Session::Own(lease) => lease.lock().await.query_one(statement).await,
        }
    }

    async fn query_all(&self, statement: Statement) -> Result<Vec<ResultRow>, DbErr> {
        match self {
            Session::Group(shared) => shared.run(|connection| connection.query(&statement, usize::MAX)).await,
            Session::Own(lease) => lease.lock().await.query_all(statement).await,
        }
    }
}

/// What the members of a group of writes on SQLite share: its transaction, which is the only one that writes.
pub(crate) struct Shared {
    connection: Arc<std::sync::Mutex<SqliteConnection>>,
    /// The last position of the log that was given: read with the first event, written before the commit.
    last: std::sync::Mutex<Option<i64>>,
    /// Whether the present member's savepoint is still to be opened, which its first statement does.
    opening: AtomicBool,
}

/// A statement that lasted so long lets the clock be looked at: it blocks the thread, and with it the deadline of its closure.
const LONG: Duration = Duration::from_millis(1);

impl Shared {
    pub(crate) fn new(connection: Arc<std::sync::Mutex<SqliteConnection>>) -> Self {
        Self { connection, last: std::sync::Mutex::default(), opening: AtomicBool::new(false) }
    }

    /// The last position that was given; `None` while none was.
    pub(crate) fn last(&self) -> Option<i64> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on from here; back, when a member of the group is rolled back.
    pub(crate) fn set_last(&self, last: Option<i64>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }

    /// Has a savepoint opened by the next statement.
    pub(crate) fn open_with_next(&self) {
        self.opening.store(true, Ordering::Relaxed);
    }

    /// Whether the savepoint was opened; from here on no statement opens it.
    pub(crate) fn opened(&self) -> bool {
        !self.opening.swap(false, Ordering::Relaxed)
    }

    /// Runs statements of the group's own.
    pub(crate) fn control(&self, statements: &[&str]) -> Result<(), DbErr> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        statements.iter().try_for_each(|sql| connection.run(sql))
    }

    /// Writes down how far the log has come.
    pub(crate) fn write_head(&self) -> Result<(), DbErr> {
        let Some(last) = self.last() else { return Ok(()) };
        let sql = "UPDATE log_head SET position = ?";
        let statement = Statement::from_sql_and_values(Engine::Sqlite.backend(), sql, [last.into()]);
        self.connection.lock().unwrap_or_else(PoisonError::into_inner).execute(&statement).map(|_| ())
    }

    /// Runs a member's statement.
    async fn run<T>(&self, statement: impl FnOnce(&SqliteConnection) -> Result<T, DbErr>) -> Result<T, DbErr> {
        // Nothing else here ever waits: without this a closure of many statements would go on beyond its deadline.
        tokio::task::consume_budget().await;
        let begun = Instant::now();
        let result = {
            let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
            if self.opening.swap(false, Ordering::Relaxed) {
                connection.run("SAVEPOINT member")?;
            }
            statement(&connection)
        };
        if begun.elapsed() >= LONG {
            // Twice: the first time sets the deadline's timer, if nothing did before, the second finds it over.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        }
        result
    }
}

/// A write's transaction.
///
/// Statements run through [`ConnectionTrait`]. A failed statement ends the write on both engines (PostgreSQL
/// aborts the transaction): answer an error then, a plain one or [`Error::Refused`] when the failure tells the
/// user something.
pub struct Tx {
    session: Session,
    observer: Arc<Observer>,
    engine: Engine,
    reactions: Reactions,
    ctx: Ctx,
    name: &'static str,
    now: Timestamp,
    events: Vec<NewEvent>,
    jobs: Vec<NewJob>,
    along: Vec<Along>,
    answer: Option<RecordRef>,
    /// What goes along with the events.
    held_back: std::sync::Mutex<Option<Statement>>,
    failed: AtomicBool,
    again: AtomicBool,
}

impl Tx {
    pub(crate) fn new(
        session: Session,
        observer: Arc<Observer>,
        engine: Engine,
        reactions: Reactions,
        ctx: Ctx,
        name: &'static str,
    ) -> Self {
        let now = ctx.now();
        Self {
            session,
            observer,
            engine,
            reactions,
            ctx,
            name,
            now,
            events: Vec::new(),
            jobs: Vec::new(),
            along: Vec::new(),
            answer: None,
            held_back: std::sync::Mutex::default(),
            failed: AtomicBool::new(false),
            again: AtomicBool::new(false),
        }
    }

    /// Who writes, for which tenant, through what.
    pub fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    /// The time of this write: the same from its first statement to its last.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Which engine runs it.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// A new id for a record that this write creates.
    pub fn new_id(&self) -> kernel::Uuid {
        random::new_id(self.now)
    }

    /// Records what happened. The events are inserted in this order at the end of the closure (after the row
    /// updates of their subjects) and show in the log after the commit.
    pub fn emit(&mut self, event: NewEvent) {
        self.events.push(event);
    }

    /// The events declared so far.
    pub fn emitted(&self) -> &[NewEvent] {
        &self.events
    }

    /// The same, for reactions that add to them what they bring about.
    pub fn emitted_mut(&mut self) -> &mut [NewEvent] {
        &mut self.events
    }

    /// Runs the reactions on what was emitted.
    pub(crate) async fn react(&mut self) -> Result<()> {
        let reactions = self.reactions.clone();
        reactions.run(self).await
    }

    /// Says which record a replay of this idempotency key answers with. Every write that may carry a key says it.
    pub fn answers_with(&mut self, record: RecordRef) {
        self.answer = Some(record);
    }

    /// Has the answer tell a value that a reaction brought about.
    pub fn tell_along(&mut self, along: Along) {
        self.along.push(along);
    }

    pub(crate) fn take_along(&mut self) -> Vec<Along> {
        std::mem::take(&mut self.along)
    }

    /// Has a job done after the commit. A pending job of the same tenant, kind and unique key is replaced.
    pub fn enqueue(&mut self, job: NewJob) {
        self.jobs.push(job);
    }

    /// Those of these unique keys for which the tenant has a job of this kind that is pending or running, in no particular order. One
    /// that was put aside does not count.
    ///
    /// # Errors
    /// Database errors.
    pub async fn keys_with_jobs(&self, kind: &str, keys: &[String]) -> Result<Vec<String>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.query_all_raw(job::with_keys(self.engine, self.ctx.tenant, kind, keys)).await.db()?;
        rows.iter().map(|row| row.try_get("unique_key").db()).collect()
    }

    /// The error to answer when a compare-and-set without `expectedVersion` met no row: the write is run again
    /// from the start, a bounded number of times. Without luck the caller gets `UNAVAILABLE`.
    pub fn retry(&self) -> Error {
        self.again.store(true, Ordering::Relaxed);
        unavailable("others are changing the same record; try again in a moment")
    }

    /// The name of the write.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn answer(&self) -> Option<RecordRef> {
        self.answer
    }

    /// Whether a statement failed.
    pub(crate) fn failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Whether the write should be run again.
    pub(crate) fn wants_retry(&self) -> bool {
        self.again.load(Ordering::Relaxed)
    }

    /// Inserts the declared events and answers them as the log will.
    pub(crate) async fn record_events(&mut self) -> Result<Vec<Event>> {
        if self.events.is_empty() {
            self.send_held_back().await.db()?;
            return Ok(Vec::new());
        }
        if self.events.len() > MAX_EVENTS_PER_WRITE {
            return Err(Error::internal(format!(
                "{} emitted {} events; at most {MAX_EVENTS_PER_WRITE} fit one write",
                self.name,
                self.events.len()
            )));
        }
        let declared = std::mem::take(&mut self.events);
        let mut events: Vec<Event> = declared.into_iter().map(|event| self.recorded(event)).collect();
        if let Session::Group(shared) = &self.session {
            let shared = Arc::clone(shared);
            self.number(&shared, &mut events).await?;
        }
        for batch in events.chunks(event::INSERT_BATCH) {
            let beside = self.take_held_back();
            self.execute_raw(event::insert(self.engine, batch, beside)?).await.db()?;
        }
        if self.ctx.mutation.dry_run {
            // The numbers go back with the roll-back.
            events.iter_mut().for_each(|event| event.position = None);
        }
        Ok(events)
    }

    /// On SQLite the one writer numbers in the transaction itself: nobody else can be between.
    async fn number(&self, shared: &Shared, events: &mut [Event]) -> Result<()> {
        let mut last = match shared.last() {
            Some(last) => last,
            None => {
                let sql = "SELECT position FROM log_head";
                let row = self.query_one_raw(Statement::from_string(self.engine.backend(), sql)).await.db()?;
                row.ok_or_else(|| Error::internal("the log has no head"))?.try_get("position").db()?
            }
        };
        for event in events.iter_mut() {
            last += 1;
            event.position = Some(last);
        }
        shared.set_last(Some(last));
        Ok(())
    }

    fn recorded(&self, event: NewEvent) -> Event {
        Event {
            id: self.new_id(),
            position: None,
            tenant: self.ctx.tenant,
            actor: event.actor.unwrap_or(self.ctx.actor),
            channel: self.ctx.channel.clone(),
            kind: event.kind.to_owned(),
            subject_kind: event.subject_kind.to_owned(),
            subject: event.subject,
            version: event.version,
            audience: event.audience,
            changes: event.changes,
            facts: event.facts,
            payload: event.payload,
            occurred_at: event.occurred_at.unwrap_or(self.now),
            recorded_at: self.now,
            request_id: self.ctx.request_id.to_string(),
        }
    }

    /// Inserts the enqueued jobs; answers whether there were any.
    pub(crate) async fn record_jobs(&mut self) -> Result<bool> {
        if self.jobs.len() > MAX_JOBS_PER_WRITE {
            return Err(Error::internal(format!(
                "{} enqueued {} jobs; at most {MAX_JOBS_PER_WRITE} fit one write",
                self.name,
                self.jobs.len()
            )));
        }
        let jobs = std::mem::take(&mut self.jobs);
        for job in &jobs {
            self.execute_raw(job::insert(self.engine, self.new_id(), job, self.now)).await.db()?;
        }
        Ok(!jobs.is_empty())
    }

    /// Runs statements that change rows and of which none needs the answer of another; on SQLite they count as one.
    ///
    /// # Errors
    /// Database errors of the first that failed; those behind it did not run.
    pub(crate) async fn execute_each<S: StatementBuilder>(&self, statements: &[S]) -> Result<(), DbErr> {
        let built = statements.iter().map(|statement| statement.build(&self.engine.backend()));
        self.execute_each_raw(&built.collect::<Vec<_>>()).await
    }

    /// The same for statements as they are sent.
    ///
    /// # Errors
    /// Database errors of the first that failed; those behind it did not run.
    pub async fn execute_each_raw(&self, statements: &[Statement]) -> Result<(), DbErr> {
        let Session::Group(shared) = &self.session else {
            for statement in statements {
                self.execute_raw(statement.clone()).await?;
            }
            return Ok(());
        };
        let sql = statements.first().map_or("", |first| &first.sql);
        let work = shared.run(|connection| {
            let mut rows = 0;
            for statement in statements {
                rows += connection.execute(statement)?.rows_affected();
            }
            Ok(Done::new(rows))
        });
        self.run(sql, work).await.map(|_| ())
    }

    /// Has a statement that changes rows sent along with the events, which saves PostgreSQL a way there and back; any other statement
    /// sends it first. On SQLite, where there is no such way, it runs at once.
    ///
    /// # Errors
    /// Database errors, which on PostgreSQL the statement that it goes with has.
    pub async fn execute_with_events(&self, statement: Statement) -> Result<(), DbErr> {
        match self.engine {
            Engine::Sqlite => self.execute_raw(statement).await.map(drop),
            Engine::Postgres => {
                self.send_held_back().await?;
                *self.held_back.lock().unwrap_or_else(PoisonError::into_inner) = Some(statement);
                Ok(())
            }
        }
    }

    fn take_held_back(&self) -> Option<Statement> {
        self.held_back.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn send_held_back(&self) -> Result<(), DbErr> {
        let Some(statement) = self.take_held_back() else { return Ok(()) };
        let sql = statement.sql.clone();
        self.run_alone(&sql, self.session.execute(statement)).await.map(drop)
    }

    async fn run<T: Rows>(&self, sql: &str, work: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        self.send_held_back().await?;
        self.run_alone(sql, work).await
    }

    async fn run_alone<T: Rows>(&self, sql: &str, work: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let work = async {
            self.observer.fault(self.name)?;
            work.await
        };
        let result = self.observer.observe(self.name, sql, work).await;
        if let Err(error) = &result {
            self.failed.store(true, Ordering::Relaxed);
            if classify(error) == Failure::Serialization {
                self.again.store(true, Ordering::Relaxed);
            }
        }
        result
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Tx {
    fn get_database_backend(&self) -> DbBackend {
        self.engine.backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<Done, DbErr> {
        let sql = statement.sql.clone();
        self.run(&sql, self.session.execute(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<Done, DbErr> {
        self.run(sql, self.session.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<ResultRow>, DbErr> {
        let sql = statement.sql.clone();
        self.run(&sql, self.session.query_one(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<ResultRow>, DbErr> {
        let sql = statement.sql.clone();
        self.run(&sql, self.session.query_all(statement)).await
    }
}
