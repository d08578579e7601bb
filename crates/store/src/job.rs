//! Jobs: work to be done later, enqueued inside a write and so never lost nor done for nothing.
//!
//! A job runs at least once: its worker may die between doing the work and saying so. Handlers use unique keys or
//! versions where twice is wrong. A pending job of the same tenant, kind and unique key is replaced by the new one;
//! one that is running is not, and the next waits until it has ended.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kernel::{Error, Result, Timestamp, random};
use sea_orm::{Statement, Value as Bound};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::Limits;
use crate::connection::{ConnectionTrait, ResultRow};
use crate::error::{DbResult, is_unique_violation};
use crate::retention::sweep_again;
use crate::write::panic_text;
use crate::{Engine, Reader, Store, Tx, Written, idempotency};

/// The name under which jobs read and write.
const NAME: &str = "jobs";
/// The kind of the store's own job.
pub const EXPIRE_IDEMPOTENCY: &str = "idempotency.expire";
/// How much of a failure's text is kept, in characters.
const MAX_ERROR: usize = 1_000;

/// A job to enqueue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Which handler does it, such as `ticket.autoclose`.
    pub kind: &'static str,
    /// The tenant it belongs to; [`Uuid::nil`] for the server itself.
    pub tenant: Uuid,
    /// With the same key, a pending job is replaced instead of a second one added.
    pub unique_key: Option<String>,
    /// Not before this.
    pub run_at: Timestamp,
    /// What the handler needs to know.
    pub payload: Value,
}

/// A job that a worker has claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: Uuid,
    /// The tenant it belongs to; [`Uuid::nil`] for the server itself.
    pub tenant: Uuid,
    /// Which handler does it.
    pub kind: String,
    /// Its unique key.
    pub unique_key: Option<String>,
    /// When it was due.
    pub run_at: Timestamp,
    /// What the handler needs to know.
    pub payload: Value,
    /// Which attempt this is, from 1.
    pub attempt: i32,
    /// Names the claim; another worker's claim of the same job has another one.
    owner: Uuid,
}

/// What becomes of a job whose handler has succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobOutcome {
    /// It is done and forgotten.
    Done,
    /// It recurs: due again at this time.
    Again(Timestamp),
}

type Handler = Arc<dyn Fn(Store, Job) -> Pin<Box<dyn Future<Output = Result<JobOutcome>> + Send>> + Send + Sync>;

/// Who does which kind of job.
#[derive(Clone, Default)]
pub struct JobHandlers {
    handlers: HashMap<&'static str, Handler>,
    recurring: Vec<&'static str>,
}

impl JobHandlers {
    /// No handlers yet. [`Store::run_jobs`] adds the store's own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Has jobs of this kind done by `handler`. An error has the job tried again later, a bounded number of times.
    #[must_use]
    pub fn on<F, R>(mut self, kind: &'static str, handler: F) -> Self
    where
        F: Fn(Store, Job) -> R + Send + Sync + 'static,
        R: Future<Output = Result<JobOutcome>> + Send + 'static,
    {
        self.handlers.insert(kind, Arc::new(move |store, job| Box::pin(handler(store, job))));
        self
    }

    /// The same for a job of the server itself that is always there: enqueued when a worker starts and none is
    /// pending or running. Its handler answers [`JobOutcome::Again`].
    #[must_use]
    pub fn recurring<F, R>(mut self, kind: &'static str, handler: F) -> Self
    where
        F: Fn(Store, Job) -> R + Send + Sync + 'static,
        R: Future<Output = Result<JobOutcome>> + Send + 'static,
    {
        self.recurring.push(kind);
        self.on(kind, handler)
    }

    /// With the store's own handlers, unless there are others for them.
    fn with_own(self) -> Self {
        if self.handlers.contains_key(EXPIRE_IDEMPOTENCY) {
            return self;
        }
        self.recurring(EXPIRE_IDEMPOTENCY, expire_idempotency)
    }

    fn kinds(&self) -> Vec<&'static str> {
        let mut kinds: Vec<_> = self.handlers.keys().copied().collect();
        kinds.sort_unstable();
        kinds
    }
}

/// Deletes expired idempotency records: a bounded number per run, more runs when that was not all.
pub async fn expire_idempotency(store: Store, _: Job) -> Result<JobOutcome> {
    let limits = Arc::clone(&store.inner.limits);
    let batch = u64::from(limits.idempotency_expire_batch);
    let deleted = store.write_job(move |tx| {
        let limits = Arc::clone(&limits);
        Box::pin(async move { idempotency::expire(tx, &limits).await })
    });
    let left_something = deleted.await? >= batch;
    Ok(sweep_again(&store, left_something))
}

/// Enqueues a job, or replaces the pending one with the same unique key.
pub(crate) fn insert(engine: Engine, id: Uuid, job: &NewJob, now: Timestamp) -> Statement {
    let sql = "INSERT INTO job (tenant_id, id, kind, unique_key, state, run_at, payload, attempts, created_at) \
               VALUES ($1, $2, $3, $4, 'PENDING', $5, $6, 0, $7) \
               ON CONFLICT (tenant_id, kind, unique_key) WHERE state = 'PENDING' \
               DO UPDATE SET run_at = excluded.run_at, payload = excluded.payload, attempts = 0, last_error = NULL";
    let values: [Bound; 7] = [
        job.tenant.into(),
        id.into(),
        job.kind.into(),
        job.unique_key.clone().into(),
        job.run_at.into(),
        job.payload.clone().into(),
        now.into(),
    ];
    Statement::from_sql_and_values(engine.backend(), sql, values)
}

/// The unique keys among these of jobs that are pending or running. Two conditions, so that each walks along an index of its own.
pub(crate) fn with_keys(engine: Engine, tenant: Uuid, kind: &str, keys: &[String]) -> Statement {
    const FIRST_KEY: usize = 3;
    let places = (FIRST_KEY..FIRST_KEY + keys.len()).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ");
    let of = |state: &str| {
        format!(
            "SELECT unique_key FROM job WHERE state = '{state}' AND tenant_id = $1 AND kind = $2 AND unique_key IN ({places})"
        )
    };
    let sql = format!("{} UNION {}", of("PENDING"), of("RUNNING"));
    let mut values: Vec<Bound> = vec![tenant.into(), kind.into()];
    values.extend(keys.iter().map(|key| Bound::from(key.as_str())));
    Statement::from_sql_and_values(engine.backend(), sql, values)
}

/// The pause after the n-th failure (from 1): doubled each time up to a cap, of which a random half is left out, so
/// that jobs that failed together do not come back together.
pub(crate) fn backoff(limits: &Limits, failures: u32) -> Duration {
    let full = limits
        .job_backoff
        .saturating_mul(1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX))
        .min(limits.job_backoff_cap);
    let half = full / 2;
    half + Duration::from_micros(random::below(half.as_micros() as u64 + 1))
}

/// Which jobs may be claimed now ($1), as seen from the job table under the name `candidate`: those whose worker is gone, and
/// those that are due and whose key nobody works on. Two conditions, so that each walks along an index of its own, in its order,
/// and ends at the limit, however many jobs are due at once; PostgreSQL need not know how many that are. So the kind is nothing
/// that an index could be asked for, and the keys in work are one set, made once.
struct Claimable {
    abandoned: String,
    due: String,
}

impl Claimable {
    fn new(first_kind: usize, kinds: usize) -> Self {
        let places = (first_kind..first_kind + kinds).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ");
        let of_kinds = format!("candidate.kind || '' IN ({places})");
        let abandoned = format!("candidate.state = 'RUNNING' AND candidate.lease_until <= $1 AND {of_kinds}");
        let due = format!(
            "candidate.state = 'PENDING' AND candidate.run_at <= $1 AND {of_kinds} AND (candidate.unique_key IS NULL \
             OR (candidate.tenant_id, candidate.kind, candidate.unique_key) NOT IN \
               (SELECT running.tenant_id, running.kind, running.unique_key FROM job AS running \
                WHERE running.state = 'RUNNING' AND running.unique_key IS NOT NULL))"
        );
        Self { abandoned, due }
    }
}

async fn any_due(reader: &Reader, now: Timestamp, kinds: &[&'static str]) -> Result<bool> {
    let Claimable { abandoned, due } = Claimable::new(2, kinds.len());
    let sql = format!(
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM job AS candidate WHERE {abandoned}) \
         OR EXISTS (SELECT 1 FROM job AS candidate WHERE {due})"
    );
    let mut values: Vec<Bound> = vec![now.into()];
    values.extend(kinds.iter().map(|kind| Bound::from(*kind)));
    let statement = Statement::from_sql_and_values(reader.engine().backend(), sql, values);
    Ok(reader.query_one_raw(statement).await.db()?.is_some())
}

async fn claim_in(tx: &Tx, kinds: &[&'static str], limit: usize, lease: Duration) -> Result<Vec<Job>> {
    const FIRST_KIND: usize = 4;
    let skip = match tx.engine() {
        Engine::Sqlite => "",
        Engine::Postgres => " FOR UPDATE OF candidate SKIP LOCKED",
    };
    let Claimable { abandoned, due } = Claimable::new(FIRST_KIND, kinds.len());
    let sql = format!(
        "WITH abandoned AS MATERIALIZED (SELECT tenant_id, id FROM job AS candidate WHERE {abandoned} \
           ORDER BY lease_until LIMIT {limit}{skip}), \
         due AS MATERIALIZED (SELECT tenant_id, id FROM job AS candidate WHERE {due} ORDER BY run_at LIMIT {limit}{skip}), \
         claimed AS (SELECT tenant_id, id FROM abandoned UNION ALL SELECT tenant_id, id FROM due LIMIT {limit}) \
         UPDATE job SET state = 'RUNNING', attempts = attempts + 1, lease_owner = $2, lease_until = $3 FROM claimed \
         WHERE job.tenant_id = claimed.tenant_id AND job.id = claimed.id \
         RETURNING job.tenant_id, job.id, job.kind, job.unique_key, job.run_at, job.payload, job.attempts"
    );
    let owner = tx.new_id();
    let mut values: Vec<Bound> = vec![tx.now().into(), owner.into(), (tx.now() + lease).into()];
    values.extend(kinds.iter().map(|kind| Bound::from(*kind)));
    let rows = tx.query_all_raw(Statement::from_sql_and_values(tx.engine().backend(), sql, values)).await.db()?;
    rows.iter().map(|row| read(row, owner)).collect()
}

fn read(row: &ResultRow, owner: Uuid) -> Result<Job> {
    Ok(Job {
        id: row.try_get("id").db()?,
        tenant: row.try_get("tenant_id").db()?,
        kind: row.try_get("kind").db()?,
        unique_key: row.try_get("unique_key").db()?,
        run_at: row.try_get("run_at").db()?,
        payload: row.try_get("payload").db()?,
        attempt: row.try_get("attempts").db()?,
        owner,
    })
}

impl Job {
    /// Runs a statement about this job as long as it is this worker's; answers whether it still was.
    async fn update_in(&self, tx: &Tx, sql: &str, mut further: Vec<Bound>) -> Result<bool> {
        let mut values: Vec<Bound> = vec![self.tenant.into(), self.id.into(), self.owner.into()];
        values.append(&mut further);
        let sql = format!("{sql} WHERE tenant_id = $1 AND id = $2 AND lease_owner = $3 AND state = 'RUNNING'");
        let statement = Statement::from_sql_and_values(tx.engine().backend(), sql, values);
        match tx.execute_raw(statement).await {
            Ok(result) => Ok(result.rows_affected() == 1),
            // Another job with this key was enqueued just now: look again, and give way to it.
            Err(error) if is_unique_violation(&error) => Err(tx.retry()),
            Err(error) => Err(error).db(),
        }
    }

    async fn renew_in(&self, tx: &Tx, lease: Duration) -> Result<bool> {
        self.update_in(tx, "UPDATE job SET lease_until = $4", vec![(tx.now() + lease).into()]).await
    }

    async fn delete_in(&self, tx: &Tx) -> Result<bool> {
        self.update_in(tx, "DELETE FROM job", Vec::new()).await
    }

    /// Makes it pending again, unless a newer one with the same key is pending already.
    async fn postpone_in(&self, tx: &Tx, run_at: Timestamp, attempts: i32, error: Option<String>) -> Result<bool> {
        if self.is_replaced_in(tx).await? {
            return self.delete_in(tx).await;
        }
        self.update_in(
            tx,
            "UPDATE job SET state = 'PENDING', run_at = $4, attempts = $5, last_error = $6, \
             lease_owner = NULL, lease_until = NULL",
            vec![run_at.into(), attempts.into(), error.into()],
        )
        .await
    }

    async fn is_replaced_in(&self, tx: &Tx) -> Result<bool> {
        let Some(key) = &self.unique_key else { return Ok(false) };
        let sql = "SELECT 1 FROM job WHERE tenant_id = $1 AND kind = $2 AND unique_key = $3 AND state = 'PENDING'";
        let values = [self.tenant.into(), self.kind.as_str().into(), key.as_str().into()];
        let statement = Statement::from_sql_and_values(tx.engine().backend(), sql, values);
        Ok(tx.query_one_raw(statement).await.db()?.is_some())
    }

    async fn fail_in(&self, tx: &Tx, error: String) -> Result<bool> {
        let sql = "UPDATE job SET state = 'FAILED', last_error = $4, lease_owner = NULL, lease_until = NULL";
        self.update_in(tx, sql, vec![error.into()]).await
    }

    /// Writes down how it ended.
    async fn finish_in(&self, tx: &Tx, limits: &Limits, outcome: &Result<JobOutcome>) -> Result<bool> {
        match outcome {
            Ok(JobOutcome::Done) => self.delete_in(tx).await,
            Ok(JobOutcome::Again(at)) => self.postpone_in(tx, *at, 0, None).await,
            Err(error) => {
                let text: String = error.to_string().chars().take(MAX_ERROR).collect();
                let failures = self.attempt.unsigned_abs();
                if failures >= limits.job_attempts {
                    return self.fail_in(tx, text).await;
                }
                let run_at = tx.now() + backoff(limits, failures);
                self.postpone_in(tx, run_at, self.attempt, Some(text)).await
            }
        }
    }
}

/// One worker loop.
pub(crate) struct Worker {
    store: Store,
    handlers: JobHandlers,
    kinds: Vec<&'static str>,
    reader: Reader,
}

impl Worker {
    pub(crate) fn new(store: Store, handlers: JobHandlers) -> Self {
        let handlers = handlers.with_own();
        let kinds = handlers.kinds();
        let reader = store.read(NAME);
        Self { store, handlers, kinds, reader }
    }

    /// Claims and runs jobs until `shutdown`; then waits for those that are running.
    pub(crate) async fn serve(self, shutdown: CancellationToken) {
        if let Err(error) = self.ensure_recurring().await {
            tracing::error!(%error, "recurring jobs could not be enqueued");
        }
        let worker = Arc::new(self);
        let limits = &worker.store.inner.limits;
        let mut running = JoinSet::new();
        // Whether there were as many to claim as were asked for.
        let mut more = false;
        while !shutdown.is_cancelled() {
            // All that have ended meanwhile make room at once: a claim for several costs as much as one for one.
            while running.try_join_next().is_some() {}
            let free = limits.job_concurrency.saturating_sub(running.len());
            let claimed = worker.claim(free, more).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "jobs could not be claimed; the next poll tries again");
                Vec::new()
            });
            let busy = !claimed.is_empty();
            if free > 0 {
                more = claimed.len() == free;
            }
            for job in claimed {
                running.spawn(Arc::clone(&worker).run(job));
            }
            if busy {
                continue;
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = worker.store.inner.jobs.notified() => {}
                () = tokio::time::sleep(limits.job_poll) => {}
                Some(_) = running.join_next() => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    /// Enqueues the recurring jobs that are neither pending nor running.
    async fn ensure_recurring(&self) -> Result<()> {
        for kind in self.handlers.recurring.iter().copied() {
            self.store
                .write_job(move |tx| {
                    Box::pin(async move {
                        let sql = "SELECT 1 FROM job WHERE tenant_id = $1 AND kind = $2 AND state <> 'FAILED'";
                        let values = [Uuid::nil().into(), kind.into()];
                        let statement = Statement::from_sql_and_values(tx.engine().backend(), sql, values);
                        if tx.query_one_raw(statement).await.db()?.is_none() {
                            let (run_at, payload) = (tx.now(), Value::Null);
                            let unique_key = Some(kind.to_owned());
                            tx.enqueue(NewJob { kind, tenant: Uuid::nil(), unique_key, run_at, payload });
                        }
                        Ok(())
                    })
                })
                .await?;
        }
        Ok(())
    }

    /// Claims up to so many jobs; `sure` of finding some, it does not look first.
    async fn claim(&self, free: usize, sure: bool) -> Result<Vec<Job>> {
        if free == 0 || self.kinds.is_empty() {
            return Ok(Vec::new());
        }
        // Looking costs nobody anything; claiming is a write.
        if !sure && !any_due(&self.reader, self.store.clock().now(), &self.kinds).await? {
            return Ok(Vec::new());
        }
        let (kinds, lease) = (self.kinds.clone(), self.store.inner.limits.job_lease);
        self.store
            .write_job(move |tx| {
                let kinds = kinds.clone();
                Box::pin(async move { claim_in(tx, &kinds, free, lease).await })
            })
            .await
    }

    async fn run(self: Arc<Self>, job: Job) {
        let outcome = self.outcome(&job).await;
        if let Err(error) = &outcome {
            tracing::warn!(kind = job.kind, job = %job.id, attempt = job.attempt, %error, "a job failed");
        }
        let limits = Arc::clone(&self.store.inner.limits);
        let (finished, result) = (job.clone(), Arc::new(outcome));
        let finish = self.store.write_job(move |tx| {
            let (job, limits, outcome) = (finished.clone(), Arc::clone(&limits), Arc::clone(&result));
            Box::pin(async move { job.finish_in(tx, &limits, &outcome).await })
        });
        match finish.await {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(kind = job.kind, job = %job.id, "a job outlived its lease; another worker has it")
            }
            Err(error) => {
                tracing::warn!(kind = job.kind, job = %job.id, %error, "a job's end could not be written down; it will run again")
            }
        }
    }

    /// Runs the handler and renews the lease meanwhile.
    async fn outcome(&self, job: &Job) -> Result<JobOutcome> {
        let limits = &self.store.inner.limits;
        if job.attempt.unsigned_abs() > limits.job_attempts {
            // Each earlier worker died over it without saying why.
            return Err(Error::internal("the job's workers ended without an answer"));
        }
        let handler = self
            .handlers
            .handlers
            .get(job.kind.as_str())
            .ok_or_else(|| Error::internal(format!("no handler for {}", job.kind)))?;
        let (handler, store, claimed) = (Arc::clone(handler), self.store.clone(), job.clone());
        // In a task of its own, so that a panic is an error like any other.
        let mut handling = tokio::spawn(async move { handler(store, claimed).await });
        loop {
            tokio::select! {
                ended = &mut handling => {
                    return ended.unwrap_or_else(|error| Err(match error.try_into_panic() {
                        Ok(panic) => Error::internal(format!("the handler panicked: {}", panic_text(&*panic))),
                        Err(error) => Error::internal(error),
                    }));
                }
                () = tokio::time::sleep(limits.job_lease / 3) => {
                    match self.renew(job).await {
                        Ok(true) => {}
                        Ok(false) => {
                            handling.abort();
                            return Err(Error::internal("the lease was lost"));
                        }
                        Err(error) => tracing::warn!(kind = job.kind, %error, "a job's lease could not be renewed"),
                    }
                }
            }
        }
    }

    async fn renew(&self, job: &Job) -> Result<bool> {
        let (job, lease) = (job.clone(), self.store.inner.limits.job_lease);
        self.store
            .write_job(move |tx| {
                let job = job.clone();
                Box::pin(async move { job.renew_in(tx, lease).await })
            })
            .await
    }
}

impl Store {
    /// A write of the job machinery: by the system, without a tenant.
    pub(crate) async fn write_job<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnMut(&'t mut Tx) -> futures_util::future::BoxFuture<'t, Result<T>> + Send + 'static,
    {
        let ctx = self.system_ctx(Uuid::nil(), NAME);
        match self.write(&ctx, NAME, work).await? {
            Written::Fresh { value, .. } => Ok(value),
            Written::Replayed { .. } => Err(Error::internal("a write without a key was replayed")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap() {
        let limits = Limits::default();
        for failures in 1..=40 {
            let full = Duration::from_secs(1)
                .saturating_mul(2u32.saturating_pow(failures - 1))
                .min(Duration::from_secs(3_600));
            let pause = backoff(&limits, failures);
            assert!(pause >= full / 2 && pause <= full, "{failures}: {pause:?}");
        }
    }
}
