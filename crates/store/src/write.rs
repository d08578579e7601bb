//! One attempt at a write, the same on both engines; and the whole of a write on PostgreSQL.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kernel::{Ctx, Error, ErrorCode, Result, random};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::Engine;
use crate::config::Limits;
use crate::error::{DbResult, unavailable};
use crate::event::Event;
use crate::idempotency::{self, CallKey};
use crate::lease::Connections;
use crate::log::EventLog;
use crate::observe::Observer;
use crate::reaction::Reactions;
use crate::tx::{RecordRef, Session, Tx};

/// A value of a record that a reaction brought about: for whoever answers the record as it is after the write.
#[derive(Clone, Debug, PartialEq)]
pub struct Along {
    /// The record.
    pub subject: Uuid,
    /// The field; also one that the record's type does not have.
    pub field: &'static str,
    /// Its value now.
    pub value: predicate::Value,
}

/// What a write answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Written<T> {
    /// The work was done now (in a dry run: done and taken back).
    Fresh {
        /// What the closure answered.
        value: T,
        /// The events it emitted, in order.
        events: Vec<Event>,
        /// What reactions brought about that the closure's answer does not tell.
        along: Vec<Along>,
    },
    /// An earlier call with the same idempotency key has done it.
    Replayed {
        /// The record it answered with, and the version it left it at.
        record: RecordRef,
        /// The ids of the events it emitted, in order.
        events: Vec<Uuid>,
    },
}

impl<T> Written<T> {
    /// What the closure answered, when the work was done now.
    pub fn fresh(self) -> Option<T> {
        match self {
            Written::Fresh { value, .. } => Some(value),
            Written::Replayed { .. } => None,
        }
    }
}

/// What a closure answers, whatever its type. Writes are the same for all of them from here on, so that they are compiled once
/// and not anew for each closure.
pub(crate) type Answer = Box<dyn Any + Send>;

/// The closure of a write.
pub(crate) type Work = Box<dyn for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<Answer>> + Send>;

/// The closure as all of them are run.
pub(crate) fn work_of<T, F>(mut work: F) -> Work
where
    T: Send + 'static,
    F: for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
{
    Box::new(move |tx| {
        let answer = work(tx);
        Box::pin(async move { Ok(Box::new(answer.await?) as Answer) })
    })
}

impl Written<Answer> {
    /// With the closure's own answer, whose type is that of [`work_of`].
    pub(crate) fn of_type<T: 'static>(self) -> Result<Written<T>> {
        Ok(match self {
            Written::Fresh { value, events, along } => {
                let value = value.downcast().map_err(|_| Error::internal("a closure answered for another"))?;
                Written::Fresh { value: *value, events, along }
            }
            Written::Replayed { record, events } => Written::Replayed { record, events },
        })
    }
}

/// What a commit sets off in this process.
#[derive(Clone)]
pub(crate) struct Aftermath {
    pub(crate) log: EventLog,
    pub(crate) jobs: Arc<tokio::sync::Notify>,
}

/// What a committed write leaves to be set off.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traces {
    /// Whether it emitted events.
    pub(crate) events: bool,
    /// The position of its last event, where that is known already.
    pub(crate) position: Option<i64>,
    /// Whether it enqueued jobs.
    pub(crate) jobs: bool,
}

impl Aftermath {
    /// Called after the commit, never before.
    pub(crate) fn committed(&self, traces: Traces) {
        if traces.events {
            self.log.committed(traces.position);
        }
        if traces.jobs {
            self.jobs.notify_one();
        }
    }
}

/// Runs the closure once inside its transaction, with all that belongs to it, but for the commit.
pub(crate) async fn attempt(tx: &mut Tx, limits: &Limits, work: &mut Work) -> Result<(Written<Answer>, Traces)> {
    let call = CallKey::of(tx.ctx(), tx.name())?;
    if let Some(call) = &call
        && let Some(earlier) = idempotency::claim(tx, call, limits).await?
    {
        return Ok((Written::Replayed { record: earlier.record, events: earlier.events }, Traces::default()));
    }
    let steps = AssertUnwindSafe(steps(tx, call.as_ref(), work)).catch_unwind();
    match tokio::time::timeout(limits.closure_deadline, steps).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => {
            Err(Error::internal(format!("the closure of {} panicked: {}", tx.name(), panic_text(&panic))))
        }
        Err(_) => {
            tracing::warn!(name = tx.name(), "a write took longer than its deadline");
            Err(Error::request(
                ErrorCode::DeadlineExceeded,
                "the change took too long and was not made; try again in a moment",
            ))
        }
    }
}

async fn steps(tx: &mut Tx, call: Option<&CallKey>, work: &mut Work) -> Result<(Written<Answer>, Traces)> {
    let value = work(tx).await?;
    tx.react().await?;
    if tx.failed() {
        // PostgreSQL has aborted the transaction and would answer the commit with a silent roll-back.
        return Err(Error::internal(format!("a statement of {} failed and its closure went on", tx.name())));
    }
    let events = tx.record_events().await?;
    let jobs = tx.record_jobs().await?;
    if let Some(call) = call {
        idempotency::complete(tx, call, &events).await?;
    }
    let traces = Traces { events: !events.is_empty(), position: events.last().and_then(|event| event.position), jobs };
    Ok((Written::Fresh { value, events, along: tx.take_along() }, traces))
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// The pause before a further attempt: some milliseconds, more with each, never the same for two.
pub(crate) fn retry_pause(attempt: u32) -> Duration {
    const UNIT: u64 = 4;
    Duration::from_millis(1 + random::below(UNIT << attempt.min(6)))
}

/// Writes on PostgreSQL: each write a transaction of its own, READ COMMITTED.
#[derive(Clone)]
pub(crate) struct PostgresWriter {
    pub(crate) connections: Connections,
    pub(crate) observer: Arc<Observer>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) aftermath: Aftermath,
    pub(crate) reactions: Reactions,
}

impl PostgresWriter {
    /// The whole of one write.
    pub(crate) async fn write(&self, ctx: Ctx, name: &'static str, mut work: Work) -> Result<Written<Answer>> {
        for number in 1.. {
            match self.once(&ctx, name, &mut work).await {
                Err(Failed { again: true, .. }) if number < self.limits.write_attempts => {
                    self.observer.retried(name);
                    tokio::time::sleep(retry_pause(number)).await;
                }
                Err(failed) => return Err(failed.error),
                Ok(written) => return Ok(written),
            }
        }
        Err(unavailable("the change could not be made; try again in a moment"))
    }

    async fn once(
        &self,
        ctx: &Ctx,
        name: &'static str,
        work: &mut Work,
    ) -> std::result::Result<Written<Answer>, Failed> {
        let mut lease = self.connections.lease().await.db()?;
        lease.begin().await.db()?;
        let lease = Arc::new(Mutex::new(lease));
        let session = Session::Own(Arc::clone(&lease));
        let observer = Arc::clone(&self.observer);
        let mut tx = Tx::new(session, observer, Engine::Postgres, self.reactions.clone(), ctx.clone(), name);
        let result = attempt(&mut tx, &self.limits, work).await;
        let again = tx.wants_retry();
        drop(tx);
        let lease =
            Arc::into_inner(lease).ok_or_else(|| Error::internal("a write's transaction outlived its closure"))?;
        let mut lease = lease.into_inner();
        match result {
            Ok((written, _)) if ctx.mutation.dry_run => {
                lease.rollback().await.db()?;
                Ok(written)
            }
            Ok((written, traces)) => {
                self.observer.fault(name).db()?;
                lease.commit().await.db()?;
                self.aftermath.committed(traces);
                Ok(written)
            }
            Err(error) => {
                // In the background: a statement that still runs on the server delays nobody.
                tokio::spawn(async move {
                    if let Err(error) = lease.rollback().await {
                        tracing::debug!(%error, "a transaction ends with its connection");
                    }
                });
                Err(Failed { error, again })
            }
        }
    }
}

/// Why an attempt failed, and whether another one may go through.
struct Failed {
    error: Error,
    again: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, again: false }
    }
}
