//! The same call again does nothing twice: records of calls by their key, in the write's own transaction.
//!
//! The record is inserted before the work, so that a concurrent call with the same key waits: on PostgreSQL
//! on the unique index, on SQLite (one writer) in this process, see [`InFlight`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kernel::{Ctx, Error, ErrorCode, Id, Result, UserError};
use sea_orm::Statement;
use tokio::sync::watch;
use uuid::Uuid;

use crate::config::{Limits, MAX_IDEMPOTENCY_KEY};
use crate::connection::ConnectionTrait;
use crate::error::{DbResult, Failure, classify, to_error};
use crate::event::Event;
use crate::tx::{RecordRef, Tx};

/// Where the key stands in every mutation's input.
const PATH: &str = "idempotencyKey";

/// What identifies a call: the key alone is the client's word, scoped to tenant, actor and mutation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CallKey {
    tenant: Uuid,
    actor: Uuid,
    mutation: &'static str,
    key: String,
}

impl CallKey {
    /// The key of this call; `None` without one and in a dry run.
    pub(crate) fn of(ctx: &Ctx, mutation: &'static str) -> Result<Option<Self>> {
        let Some(key) = &ctx.mutation.idempotency_key else { return Ok(None) };
        if ctx.mutation.dry_run {
            return Ok(None);
        }
        if key.is_empty() {
            return Err(UserError::constraint(
                [PATH],
                format!("`{PATH}` is empty; leave it out, or give 1 to {MAX_IDEMPOTENCY_KEY} characters"),
                "minLength",
                Some(1),
            )
            .into());
        }
        let length = key.chars().count();
        if length > MAX_IDEMPOTENCY_KEY {
            return Err(UserError::constraint(
                [PATH],
                format!("`{PATH}` has {length} characters; at most {MAX_IDEMPOTENCY_KEY} are allowed"),
                "maxLength",
                Some(MAX_IDEMPOTENCY_KEY as u64),
            )
            .into());
        }
        if key.contains('\0') {
            return Err(
                UserError::constraint([PATH], format!("`{PATH}` contains a NUL character"), "pattern", None).into()
            );
        }
        Ok(Some(Self { tenant: ctx.tenant, actor: ctx.actor.id, mutation, key: key.clone() }))
    }

    fn bindings(&self) -> [sea_orm::Value; 4] {
        [self.tenant.into(), self.actor.into(), self.mutation.into(), self.key.as_str().into()]
    }
}

/// What an earlier call with the same key did.
pub(crate) struct Earlier {
    pub(crate) record: RecordRef,
    pub(crate) events: Vec<Uuid>,
}

fn in_progress() -> Error {
    UserError::new(
        ErrorCode::IdempotencyInProgress,
        [PATH],
        "a call with this idempotency key is still running; ask again in a moment",
    )
    .into()
}

/// Claims the key for this call, or finds what an earlier call did.
///
/// # Errors
/// `IDEMPOTENCY_MISMATCH` when the earlier call had another input, `IDEMPOTENCY_IN_PROGRESS` when it is still running.
pub(crate) async fn claim(tx: &Tx, call: &CallKey, limits: &Limits) -> Result<Option<Earlier>> {
    // Twice: the record that was in the way can expire between the two statements.
    for _ in 0..2 {
        if insert(tx, call, limits).await? {
            return Ok(None);
        }
        if let Some(earlier) = find(tx, call).await? {
            return Ok(Some(earlier));
        }
    }
    Err(in_progress())
}

async fn insert(tx: &Tx, call: &CallKey, limits: &Limits) -> Result<bool> {
    let sql = "INSERT INTO idempotency (tenant_id, actor_id, mutation, idempotency_key, input_hash, expires_at) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    let mut values = call.bindings().to_vec();
    values.push(tx.ctx().mutation.input_hash.to_vec().into());
    values.push((tx.now() + limits.idempotency_keep).into());
    match tx.execute_raw(Statement::from_sql_and_values(tx.engine().backend(), sql, values)).await {
        Ok(result) => Ok(result.rows_affected() == 1),
        Err(error) if classify(&error) == Failure::LockTimeout => Err(in_progress()),
        Err(error) => Err(to_error(error)),
    }
}

async fn find(tx: &Tx, call: &CallKey) -> Result<Option<Earlier>> {
    let sql = "SELECT input_hash, record, version, events FROM idempotency \
               WHERE tenant_id = $1 AND actor_id = $2 AND mutation = $3 AND idempotency_key = $4";
    let statement = Statement::from_sql_and_values(tx.engine().backend(), sql, call.bindings());
    let Some(row) = tx.query_one_raw(statement).await.db()? else { return Ok(None) };
    let hash: Vec<u8> = row.try_get("input_hash").db()?;
    if hash != tx.ctx().mutation.input_hash {
        return Err(UserError::new(
            ErrorCode::IdempotencyMismatch,
            [PATH],
            "this idempotency key was used before with another input; use a new key for a new call",
        )
        .into());
    }
    let record: Option<String> = row.try_get("record").db()?;
    let version: Option<i32> = row.try_get("version").db()?;
    let events: Option<serde_json::Value> = row.try_get("events").db()?;
    let (Some(record), Some(version), Some(events)) = (record, version, events) else {
        return Err(Error::internal("an idempotency record was committed without its answer"));
    };
    Ok(Some(Earlier {
        record: RecordRef { id: Id::parse(&record).map_err(Error::internal)?, version },
        events: serde_json::from_value(events).map_err(Error::internal)?,
    }))
}

/// The events of earlier calls of an actor with these keys: call by call in the order of the keys.
pub(crate) async fn events_of(
    connection: &impl ConnectionTrait,
    ctx: &Ctx,
    mutation: &str,
    keys: &[String],
) -> Result<Vec<Uuid>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    const FIRST_KEY: usize = 4;
    let places: Vec<String> = (FIRST_KEY..FIRST_KEY + keys.len()).map(|place| format!("${place}")).collect();
    let sql = format!(
        "SELECT idempotency_key, events FROM idempotency WHERE tenant_id = $1 AND actor_id = $2 AND mutation = $3 \
         AND idempotency_key IN ({})",
        places.join(", ")
    );
    let mut values: Vec<sea_orm::Value> = vec![ctx.tenant.into(), ctx.actor.id.into(), mutation.into()];
    values.extend(keys.iter().map(|key| key.as_str().into()));
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, values);
    let mut found: HashMap<String, Vec<Uuid>> = HashMap::new();
    for row in connection.query_all_raw(statement).await.db()? {
        let events: Option<serde_json::Value> = row.try_get("events").db()?;
        let events = events.map(serde_json::from_value).transpose().map_err(Error::internal)?;
        found.insert(row.try_get("idempotency_key").db()?, events.unwrap_or_default());
    }
    Ok(keys.iter().filter_map(|key| found.remove(key)).flatten().collect())
}

/// Writes what this call did into its record.
pub(crate) async fn complete(tx: &Tx, call: &CallKey, events: &[Event]) -> Result<()> {
    let Some(record) = tx.answer() else {
        return Err(Error::internal(format!(
            "{} takes idempotency keys but names no record to answer with",
            tx.name()
        )));
    };
    let sql = "UPDATE idempotency SET record = $5, version = $6, events = $7 \
               WHERE tenant_id = $1 AND actor_id = $2 AND mutation = $3 AND idempotency_key = $4";
    let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
    let mut values = call.bindings().to_vec();
    values.push(record.id.to_string().into());
    values.push(record.version.into());
    values.push(serde_json::to_value(ids).map_err(Error::internal)?.into());
    tx.execute_raw(Statement::from_sql_and_values(tx.engine().backend(), sql, values)).await.db()?;
    Ok(())
}

/// Deletes expired records, a bounded number; answers how many.
pub(crate) async fn expire(tx: &Tx, limits: &Limits) -> Result<u64> {
    let sql = "DELETE FROM idempotency WHERE (tenant_id, actor_id, mutation, idempotency_key) IN \
               (SELECT tenant_id, actor_id, mutation, idempotency_key FROM idempotency WHERE expires_at <= $1 LIMIT $2)";
    let values = [tx.now().into(), i64::from(limits.idempotency_expire_batch).into()];
    let result = tx.execute_raw(Statement::from_sql_and_values(tx.engine().backend(), sql, values)).await.db()?;
    Ok(result.rows_affected())
}

/// The calls with a key that this process is at. SQLite's one writer would make a second call wait in its queue
/// for as long as the first needs; here it waits as long as it would on PostgreSQL's index, and no longer.
#[derive(Clone, Default)]
pub(crate) struct InFlight {
    calls: Arc<Mutex<HashMap<CallKey, watch::Receiver<()>>>>,
}

/// Held by the call that is running; whoever waits goes on when it is dropped.
pub(crate) struct Running {
    in_flight: InFlight,
    call: CallKey,
    _finished: watch::Sender<()>,
}

impl InFlight {
    /// Waits until no other call with this key is running.
    ///
    /// # Errors
    /// `IDEMPOTENCY_IN_PROGRESS` when that takes longer than `wait`.
    pub(crate) async fn enter(&self, call: CallKey, wait: Duration) -> Result<Running> {
        let entered = async {
            loop {
                let mut other = match self.try_enter(&call) {
                    Ok(running) => return running,
                    Err(other) => other,
                };
                // An error is what is waited for: the other call has dropped its end.
                let _ = other.changed().await;
            }
        };
        tokio::time::timeout(wait, entered).await.map_err(|_| in_progress())
    }

    fn try_enter(&self, call: &CallKey) -> std::result::Result<Running, watch::Receiver<()>> {
        let mut calls = self.calls.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(other) = calls.get(call) {
            return Err(other.clone());
        }
        let (finished, receiver) = watch::channel(());
        calls.insert(call.clone(), receiver);
        Ok(Running { in_flight: self.clone(), call: call.clone(), _finished: finished })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.in_flight.calls.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(&self.call);
    }
}
