//! What the tests share: contexts, a write that touches everything, and ways to look at what is stored.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use kernel::{Actor, ActorKind, Channel, Ctx, Grants, Id, Mutation, Result, Uuid, id::prefix, random};
use sea_orm::{Statement, Value};
use store::{Audience, Change, ConnectionTrait, DbResult, NewEvent, NewJob, RecordRef, Store, Tx, Written};

pub const TENANT: Uuid = Uuid::from_u128(0x01);
pub const OTHER_TENANT: Uuid = Uuid::from_u128(0x02);

/// The context of some user.
pub fn ctx(store: &Store) -> Ctx {
    ctx_of(store, TENANT)
}

pub fn ctx_of(store: &Store, tenant: Uuid) -> Ctx {
    Ctx {
        tenant,
        actor: Actor { id: Uuid::from_u128(0xa), kind: ActorKind::User },
        grants: Arc::new(Grants::default()),
        channel: Channel::Session(Uuid::from_u128(0x5)),
        request_id: "test".into(),
        clock: store.clock().clone(),
        mutation: Mutation::default(),
    }
}

pub fn keyed(store: &Store, key: &str, input: u8) -> Ctx {
    ctx(store).for_mutation(Mutation { idempotency_key: Some(key.into()), input_hash: [input; 32], dry_run: false })
}

pub fn dry(store: &Store, key: Option<&str>) -> Ctx {
    ctx(store).for_mutation(Mutation { idempotency_key: key.map(Into::into), input_hash: [0; 32], dry_run: true })
}

/// A table of the test's own: counters by name.
pub async fn make_counters(store: &Store) {
    let sql = match store.engine() {
        store::Engine::Sqlite => {
            "CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL, version INTEGER NOT NULL) STRICT"
        }
        store::Engine::Postgres => {
            "CREATE TABLE counter (name text PRIMARY KEY, value bigint NOT NULL, version bigint NOT NULL)"
        }
    };
    store
        .write(&ctx(store), "test.setup", move |tx| {
            Box::pin(async move {
                tx.execute_unprepared(sql).await.db()?;
                Ok(())
            })
        })
        .await
        .unwrap();
}

pub async fn execute(tx: &Tx, sql: &str, values: Vec<Value>) -> Result<u64> {
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
    Ok(tx.execute_raw(statement).await.db()?.rows_affected())
}

pub async fn add_counter(tx: &Tx, name: &str) -> Result<()> {
    execute(tx, "INSERT INTO counter (name, value, version) VALUES ($1, 0, 1)", vec![name.into()]).await?;
    Ok(())
}

/// Runs a write whose closure is called with the transaction.
pub async fn add(store: &Store, ctx: &Ctx, name: &str) -> Result<Written<()>> {
    let name = name.to_owned();
    store
        .write(ctx, "counter.add", move |tx| {
            let name = name.clone();
            Box::pin(async move { add_counter(tx, &name).await })
        })
        .await
}

/// A write with everything: a row, two events, a job, an answer.
pub fn whole(name: String) -> impl for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<()>> + Send + 'static {
    move |tx| {
        let name = name.clone();
        Box::pin(async move {
            add_counter(tx, &name).await?;
            execute(tx, "UPDATE counter SET value = value + 1 WHERE name = $1", vec![name.as_str().into()]).await?;
            let subject = tx.new_id();
            tx.emit(event("counter.added", subject, 1));
            tx.emit(event("counter.raised", subject, 2));
            let (tenant, run_at) = (tx.ctx().tenant, tx.now());
            tx.enqueue(NewJob { kind: "counter.check", tenant, unique_key: Some(name), run_at, payload: 1.into() });
            tx.answers_with(RecordRef { id: Id::new(prefix::INCIDENT, subject), version: 2 });
            Ok(())
        })
    }
}

pub fn event(kind: &'static str, subject: Uuid, version: i32) -> NewEvent {
    NewEvent {
        kind,
        subject_kind: "counter",
        subject,
        version,
        audience: Audience::Public,
        changes: vec![Change { field: "value".into(), before: (version - 1).into(), after: version.into() }],
        facts: [("team".to_owned(), serde_json::json!("a"))].into_iter().collect(),
        payload: serde_json::Value::Null,
        occurred_at: None,
        actor: None,
    }
}

pub async fn emit(store: &Store, tenant: Uuid, count: usize) -> Vec<store::Event> {
    let written = store
        .write(&ctx_of(store, tenant), "test.emit", move |tx| {
            Box::pin(async move {
                for version in 1..=count as i32 {
                    let subject = tx.new_id();
                    tx.emit(event("counter.raised", subject, version));
                }
                Ok(())
            })
        })
        .await
        .unwrap();
    match written {
        Written::Fresh { events, .. } => events,
        Written::Replayed { .. } => unreachable!("a write without a key"),
    }
}

/// Waits until something has come to pass.
pub async fn wait_until<F: Future<Output = bool>>(condition: impl Fn() -> F) {
    tokio::time::timeout(Duration::from_secs(10), async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("it did not come to pass");
}

pub async fn count(store: &Store, from: &str) -> i64 {
    let reader = store.read("test.look");
    let sql = format!("SELECT count(*) AS n FROM {from}");
    let statement = Statement::from_string(reader.get_database_backend(), sql);
    reader.query_one_raw(statement).await.unwrap().unwrap().try_get("n").unwrap()
}

/// One value of one row.
pub async fn look<T: store::Column>(store: &Store, sql: &str) -> T {
    let reader = store.read("test.look");
    let statement = Statement::from_string(reader.get_database_backend(), sql);
    reader.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

pub async fn counters(store: &Store) -> i64 {
    count(store, "counter").await
}

/// Waits until the log has come to this position.
pub async fn wait_for_head(store: &Store, position: i64) {
    let mut head = store.log().watch();
    tokio::time::timeout(Duration::from_secs(10), head.wait_for(|head| *head >= position))
        .await
        .expect("the log's head does not move")
        .unwrap();
}

/// A name that no other test uses.
pub fn unique(text: &str) -> String {
    format!("{text}-{}", Uuid::from_bytes(random::bytes()).simple())
}

pub fn day(n: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + chrono::Duration::days(20_000 + n)
}
