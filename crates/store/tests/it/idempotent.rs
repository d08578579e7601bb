//! The same call again does nothing twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration as Pause;

use chrono::{DateTime, Duration, Utc};
use futures_util::future::join_all;
use kernel::{Actor, ActorKind, ErrorCode, Id, UserError, Uuid, id::prefix};
use migrations::testing::{each_engine, each_engine_with};
use store::{EXPIRE_IDEMPOTENCY, JobHandlers, RecordRef, Store, Written};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::support::{add_counter, count, counters, dry, keyed, look, make_counters, unique, wait_until, whole};

async fn call(store: &Store, key: &str, input: u8) -> kernel::Result<Written<()>> {
    store.write(&keyed(store, key, input), "counter.add", whole(unique("c"))).await
}

#[tokio::test]
async fn the_second_call_answers_what_the_first_did() {
    each_engine(|test| async move {
        make_counters(&test).await;
        let Written::Fresh { events: first, .. } = call(&test, "k", 1).await.unwrap() else {
            panic!("the first is fresh")
        };
        let Written::Replayed { record, events } = call(&test, "k", 1).await.unwrap() else { panic!("a replay") };
        assert_eq!(events, first.iter().map(|event| event.id).collect::<Vec<_>>());
        assert_eq!(record, RecordRef { id: Id::new(prefix::INCIDENT, first[0].subject), version: 2 });
        assert_eq!(counters(&test).await, 1);
        assert_eq!(count(&test, "event").await, 2);
        assert_eq!(count(&test, "job").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_key_belongs_to_tenant_actor_and_mutation() {
    each_engine(|test| async move {
        make_counters(&test).await;
        call(&test, "k", 1).await.unwrap();
        let mut other_actor = keyed(&test, "k", 1);
        other_actor.actor = Actor { id: Uuid::from_u128(0xb), kind: ActorKind::User };
        let mut other_tenant = keyed(&test, "k", 1);
        other_tenant.tenant = crate::support::OTHER_TENANT;
        for ctx in [other_actor, other_tenant] {
            let written = test.write(&ctx, "counter.add", whole(unique("c"))).await.unwrap();
            assert!(matches!(written, Written::Fresh { .. }));
        }
        let written = test.write(&keyed(&test, "k", 1), "counter.other", whole(unique("c"))).await.unwrap();
        assert!(matches!(written, Written::Fresh { .. }));
        assert_eq!(counters(&test).await, 4);
    })
    .await;
}

#[tokio::test]
async fn another_input_is_a_mismatch() {
    each_engine(|test| async move {
        make_counters(&test).await;
        call(&test, "k", 1).await.unwrap();
        let error = call(&test, "k", 2).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::IdempotencyMismatch);
        let kernel::Error::Refused(errors) = error else { panic!("the user can mend it") };
        assert_eq!(errors[0].path, ["idempotencyKey"]);
        assert_eq!(counters(&test).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_refused_call_stores_nothing() {
    each_engine(|test| async move {
        make_counters(&test).await;
        let context = keyed(&test, "k", 1);
        let refused = test.write(&context, "counter.add", |tx| {
            Box::pin(async move {
                add_counter(tx, "refused").await?;
                Err::<(), _>(UserError::validation(["name"], "no").into())
            })
        });
        assert_eq!(refused.await.unwrap_err().code(), ErrorCode::Validation);
        assert_eq!(count(&test, "idempotency").await, 0);
        // So the key is free, for another input too.
        assert!(matches!(call(&test, "k", 2).await.unwrap(), Written::Fresh { .. }));
    })
    .await;
}

#[tokio::test]
async fn a_dry_run_neither_reads_nor_stores_the_key() {
    each_engine(|test| async move {
        make_counters(&test).await;
        test.write(&dry(&test, Some("k")), "counter.add", whole(unique("c"))).await.unwrap();
        assert_eq!(count(&test, "idempotency").await, 0);
        call(&test, "k", 1).await.unwrap();
        let written = test.write(&dry(&test, Some("k")), "counter.add", whole(unique("c"))).await.unwrap();
        assert!(matches!(written, Written::Fresh { .. }), "not a replay, not a mismatch");
        assert_eq!(counters(&test).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_write_with_a_key_must_name_its_record() {
    each_engine(|test| async move {
        make_counters(&test).await;
        let context = keyed(&test, "k", 1);
        let written = test.write(&context, "counter.add", |tx| Box::pin(async move { add_counter(tx, "a").await }));
        assert_eq!(written.await.unwrap_err().code(), ErrorCode::Internal);
        assert_eq!(counters(&test).await, 0);
    })
    .await;
}

#[tokio::test]
async fn keys_have_1_to_255_characters() {
    each_engine(|test| async move {
        make_counters(&test).await;
        for key in [String::new(), "ü".repeat(256), "a\0b".into()] {
            let error = call(&test, &key, 1).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::Validation);
            let kernel::Error::Refused(errors) = error else { panic!("the user can mend it") };
            assert_eq!(errors[0].path, ["idempotencyKey"]);
        }
        call(&test, &"ü".repeat(255), 1).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_concurrent_calls_one_does_the_work() {
    each_engine(|test| async move {
        make_counters(&test).await;
        let beside = test.beside().await;
        let runs = Arc::new(AtomicU32::new(0));
        let calls = (0..20).map(|n| {
            // As if half of them came to another replica.
            let store = if n % 2 == 0 { test.store.clone() } else { beside.clone() };
            let runs = Arc::clone(&runs);
            tokio::spawn(async move {
                let mut work = whole(unique("c"));
                let ctx = keyed(&store, "k", 1);
                store
                    .write(&ctx, "counter.add", move |tx| {
                        runs.fetch_add(1, Ordering::SeqCst);
                        work(tx)
                    })
                    .await
                    .unwrap()
            })
        });
        let answers: Vec<_> = join_all(calls).await.into_iter().map(|joined| joined.unwrap()).collect();
        let mut ids = answers.iter().map(|answer| match answer {
            Written::Fresh { events, .. } => events.iter().map(|event| event.id).collect::<Vec<_>>(),
            Written::Replayed { events, .. } => events.clone(),
        });
        let first = ids.next().unwrap();
        assert!(ids.all(|others| others == first));
        assert_eq!(answers.iter().filter(|answer| matches!(answer, Written::Fresh { .. })).count(), 1);
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        assert_eq!(counters(&test).await, 1);
        beside.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_still_running_is_told_of() {
    each_engine_with(
        |config| config.limits.lock_wait = Pause::from_millis(200),
        |test| async move {
            make_counters(&test).await;
            let (started, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let first = {
                let (store, started, gate) = (test.store.clone(), Arc::clone(&started), Arc::clone(&gate));
                tokio::spawn(async move {
                    let ctx = keyed(&store, "k", 1);
                    store
                        .write(&ctx, "counter.add", move |tx| {
                            let (started, gate) = (Arc::clone(&started), Arc::clone(&gate));
                            Box::pin(async move {
                                started.notify_one();
                                gate.notified().await;
                                whole("held".into())(tx).await
                            })
                        })
                        .await
                })
            };
            started.notified().await;
            let error = call(&test, "k", 1).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::IdempotencyInProgress);
            assert!(error.code().retryable());
            gate.notify_one();
            first.await.unwrap().unwrap();
            assert!(matches!(call(&test, "k", 1).await.unwrap(), Written::Replayed { .. }));
        },
    )
    .await;
}

#[tokio::test]
async fn records_are_kept_a_day_and_then_expired_in_batches() {
    each_engine_with(
        |config| config.limits.idempotency_expire_batch = 2,
        |test| async move {
            make_counters(&test).await;
            for n in 0..5 {
                call(&test, &format!("k{n}"), 1).await.unwrap();
            }
            let stop = CancellationToken::new();
            let worker = {
                let (store, stop) = (test.store.clone(), stop.clone());
                tokio::spawn(async move { store.run_jobs(JobHandlers::new(), stop).await })
            };
            let run_at = format!("SELECT run_at FROM job WHERE kind = '{EXPIRE_IDEMPOTENCY}'");
            // Each run is awaited to its end before the clock is moved: it is due again an hour after.
            let has_run = || async {
                wait_until(|| async {
                    count(&test, "job WHERE state = 'PENDING' AND kind = 'idempotency.expire'").await == 1
                        && look::<DateTime<Utc>>(&test, &run_at).await == test.clock.now() + Duration::hours(1)
                })
                .await;
            };
            has_run().await;
            test.clock.advance(Duration::hours(24) - Duration::seconds(1));
            has_run().await;
            assert_eq!(count(&test, "idempotency").await, 5);
            assert!(matches!(call(&test, "k0", 1).await.unwrap(), Written::Replayed { .. }), "within a day");
            test.clock.advance(Duration::hours(2));
            has_run().await;
            assert_eq!(count(&test, "idempotency").await, 0, "two at a time");
            assert!(matches!(call(&test, "k0", 2).await.unwrap(), Written::Fresh { .. }), "the key is free again");
            stop.cancel();
            worker.await.unwrap();
        },
    )
    .await;
}
