//! The event log: exactly once, in order, without gaps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use kernel::{ActorKind, Channel, ErrorCode, Uuid};
use migrations::testing::{each_engine, each_engine_with};
use sea_orm::Statement;
use store::{Audience, ConnectionTrait, DbResult, Engine, Event, JobHandlers, Store, Written};
use tokio_util::sync::CancellationToken;

use crate::support::{
    OTHER_TENANT, TENANT, add_counter, count, ctx, ctx_of, day, emit, event, execute, make_counters, wait_for_head,
    wait_until,
};

#[tokio::test]
async fn an_event_says_who_did_what_to_which_record() {
    each_engine(|test| async move {
        let subject = Uuid::from_u128(7);
        let written = test
            .write(&ctx(&test), "test.emit", move |tx| {
                Box::pin(async move {
                    let mut late = event("counter.raised", subject, 3);
                    late.occurred_at = Some(day(-1));
                    late.audience = Audience::Internal;
                    late.payload = serde_json::json!({ "text": "ü" });
                    tx.emit(late);
                    Ok(())
                })
            })
            .await
            .unwrap();
        let Written::Fresh { events, .. } = written else { unreachable!("no key") };
        wait_for_head(&test, 1).await;
        let stored = test.log().by_ids(TENANT, &[events[0].id]).await.unwrap();
        assert_eq!(stored, [Event { position: Some(1), ..events[0].clone() }]);
        let stored = &stored[0];
        assert_eq!((stored.subject, stored.version, stored.audience), (subject, 3, Audience::Internal));
        assert_eq!(stored.actor.kind, ActorKind::User);
        assert_eq!(stored.channel, Channel::Session(Uuid::from_u128(5)));
        assert_eq!(stored.changes[0].before, 2);
        assert_eq!(stored.changes[0].after, 3);
        assert_eq!(stored.facts["team"], "a");
        assert_eq!(stored.payload["text"], "ü");
        assert_eq!((stored.occurred_at, stored.recorded_at), (day(-1), test.clock.now()));
        assert_eq!(stored.request_id, "test");
        assert!(test.log().by_ids(OTHER_TENANT, &[stored.id]).await.unwrap().is_empty(), "another tenant's id");
    })
    .await;
}

#[tokio::test]
async fn readers_advance_over_other_tenants_events() {
    each_engine(|test| async move {
        emit(&test, TENANT, 2).await;
        emit(&test, OTHER_TENANT, 3).await;
        emit(&test, TENANT, 1).await;
        emit(&test, OTHER_TENANT, 1).await;
        test.number_events().await.unwrap();
        wait_for_head(&test, 7).await;
        assert_eq!(test.log().head().await.unwrap(), 7);
        let log = test.log();
        let positions = |events: &[Event]| events.iter().filter_map(|event| event.position).collect::<Vec<_>>();

        let page = log.read_after(TENANT, 0, 2).await.unwrap();
        assert_eq!((positions(&page.events), page.scanned_to), (vec![1, 2], 2));
        let page = log.read_after(TENANT, 2, 2).await.unwrap();
        assert_eq!((positions(&page.events), page.scanned_to), (vec![6], 7));
        let page = log.read_after(TENANT, 7, 2).await.unwrap();
        assert_eq!((positions(&page.events), page.scanned_to), (vec![], 7));
        let page = log.read_after(OTHER_TENANT, 0, 100).await.unwrap();
        assert_eq!((positions(&page.events), page.scanned_to), (vec![3, 4, 5, 7], 7));
        let page = log.read_all_after(1, 4).await.unwrap();
        assert_eq!((positions(&page.events), page.scanned_to), (vec![2, 3, 4, 5], 5));
    })
    .await;
}

#[tokio::test]
async fn a_log_forgets_what_ages_and_says_how_far_back_it_reaches() {
    each_engine_with(
        |config| {
            config.limits.log_retention = Some(Duration::from_secs(30 * 24 * 60 * 60));
            config.limits.forget_batch = 2;
        },
        |test| async move {
            let kinds = ["session", "counter", "session", "session", "counter"];
            let emit_of = |kind: &'static str| {
                let (test, ctx) = (test.store.clone(), ctx(&test));
                async move {
                    let written = test.write(&ctx, "test.emit", move |tx| {
                        Box::pin(async move {
                            let mut event = event("counter.raised", Uuid::from_u128(7), 1);
                            event.subject_kind = kind;
                            tx.emit(event);
                            Ok(())
                        })
                    });
                    written.await.unwrap();
                    test.number_events().await.unwrap();
                }
            };
            for kind in kinds {
                emit_of(kind).await;
                test.clock.advance(chrono::Duration::days(1));
            }
            wait_for_head(&test, 5).await;
            let cursors: Vec<_> = (0..=5).map(|position| test.cursors().seal_log(TENANT, position)).collect();
            // 30 days after the fourth event, to the moment: it is not older than that, the first three are.
            test.clock.advance(chrono::Duration::days(28));
            let handlers = JobHandlers::new().forgetting(&["session"]);
            let stop = CancellationToken::new();
            let (worker, stopping) = (test.store.clone(), stop.clone());
            let worker = tokio::spawn(async move { worker.run_jobs(handlers, stopping).await });
            wait_until(|| async { test.log().read_after(TENANT, 2, 1).await.is_err() }).await;
            let left = test.log().read_after(TENANT, 3, 10).await.unwrap();
            assert_eq!(left.events.iter().map(|event| event.position).collect::<Vec<_>>(), [Some(4), Some(5)]);
            assert_eq!(count(&test, "event WHERE subject_kind = 'counter'").await, 2, "they live as long as theirs");
            assert_eq!(count(&test, "event WHERE subject_kind = 'session'").await, 1);
            for (position, cursor) in cursors.iter().enumerate() {
                let opened = test.cursors().open_log(TENANT, cursor);
                match position {
                    0..3 => assert_eq!(opened.unwrap_err().code(), ErrorCode::CursorExpired, "{position}"),
                    _ => assert_eq!(opened.unwrap(), position as i64),
                }
            }
            emit_of("session").await;
            assert_eq!(test.log().head().await.unwrap(), 6, "positions go on");
            stop.cancel();
            worker.await.unwrap();
        },
    )
    .await;
}

/// Reads the log to the end of what is expected, as a subscriber would; checks that nothing is missing, doubled or
/// out of place.
async fn read_all(store: &Store, tenant: Uuid, expected: usize) -> Vec<Event> {
    let mut head = store.log().watch();
    let (mut after, mut events) = (0, Vec::new());
    while events.len() < expected {
        let page = store.log().read_after(tenant, after, 37).await.unwrap();
        assert!(page.events.iter().all(|event| event.tenant == tenant));
        assert!(page.events.iter().is_sorted_by_key(|event| event.position));
        assert!(page.events.iter().all(|event| event.position > Some(after)));
        if page.scanned_to == after {
            let moved = head.wait_for(|head| *head > after);
            tokio::time::timeout(std::time::Duration::from_secs(20), moved)
                .await
                .expect("the log stands still")
                .unwrap();
        }
        after = page.scanned_to;
        events.extend(page.events);
    }
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_come_exactly_once_in_order_without_gaps() {
    const WRITERS: usize = 12;
    const WRITES: usize = 25;
    each_engine_with(
        |config| config.limits.sequencer_batch = 7,
        |test| async move {
            make_counters(&test).await;
            test.write(&ctx(&test), "counter.add", |tx| Box::pin(async move { add_counter(tx, "n").await }))
                .await
                .unwrap();
            // As if half of the writers were on another replica: its sequencer competes with this one's.
            let beside = test.beside().await;
            let reader = {
                let store = test.store.clone();
                tokio::spawn(async move { read_all(&store, TENANT, WRITERS * WRITES * 2).await })
            };
            let writers = (0..WRITERS).map(|writer| {
                let store = if writer % 2 == 0 { test.store.clone() } else { beside.clone() };
                tokio::spawn(async move {
                    let mut emitted = Vec::new();
                    for number in 0..WRITES {
                        emitted.extend(write_two(&store, writer, number).await);
                    }
                    emitted
                })
            });
            let emitted: Vec<Event> = join_all(writers).await.into_iter().flat_map(|joined| joined.unwrap()).collect();
            let read = reader.await.unwrap();

            let mut expected: Vec<_> = emitted.iter().map(|event| event.id).collect();
            let mut found: Vec<_> = read.iter().map(|event| event.id).collect();
            expected.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, expected, "exactly those, each once");

            let of_tenant: Vec<_> = read.iter().map(|event| event.position.unwrap()).collect();
            let all = test.log().read_all_after(0, 1_000).await.unwrap();
            let positions: Vec<_> = all.events.iter().map(|event| event.position.unwrap()).collect();
            assert_eq!(positions, (1..=positions.len() as i64).collect::<Vec<_>>(), "no gap over all tenants");
            assert_eq!(of_tenant.len(), WRITERS * WRITES * 2);

            // The row that all fight for gives the true order: its versions as the log tells them.
            let versions: Vec<_> =
                read.iter().filter(|event| event.kind == "counter.raised").map(|event| event.version).collect();
            assert!(versions.is_sorted(), "in the order of the subject's changes: {versions:?}");
            // Within a write, as emitted.
            for pair in read.chunk_by(|a, b| a.payload == b.payload) {
                assert_eq!(
                    pair.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(),
                    ["counter.raised", "counter.told"]
                );
            }
            beside.close().await;
        },
    )
    .await;
}

/// Raises the one row and tells of it with two events; now and then one that is refused, or of another tenant, between.
async fn write_two(store: &Store, writer: usize, number: usize) -> Vec<Event> {
    if number.is_multiple_of(5) {
        emit(store, OTHER_TENANT, 1).await;
        let context = ctx(store);
        let refused = store.write(&context, "test.refused", |tx| {
            Box::pin(async move {
                tx.emit(event("counter.never", Uuid::from_u128(1), 1));
                Err::<(), _>(kernel::UserError::validation(["name"], "no").into())
            })
        });
        refused.await.unwrap_err();
    }
    let written = store
        .write(&ctx_of(store, TENANT), "counter.raise", move |tx| {
            Box::pin(async move {
                let sql = "UPDATE counter SET version = version + 1 WHERE name = 'n' RETURNING version";
                let row = tx.query_one_raw(Statement::from_string(tx.get_database_backend(), sql)).await.db()?.unwrap();
                let version: i64 = row.try_get("version").db()?;
                let subject = Uuid::from_u128(0xc);
                let mut raised = event("counter.raised", subject, version as i32);
                raised.payload = format!("{writer}/{number}").into();
                let mut told = event("counter.told", subject, version as i32);
                told.payload = raised.payload.clone();
                tx.emit(raised);
                tx.emit(told);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn competing_sequencers_are_harmless() {
    each_engine_with(
        |config| {
            config.limits.sequencer_batch = 10;
            // Only those of the test.
            config.limits.log_poll = std::time::Duration::from_secs(3_600);
        },
        |test| async move {
            if test.engine() == Engine::Sqlite {
                return;
            }
            let beside = test.beside().await;
            let done = Arc::new(AtomicBool::new(false));
            let sequencers = (0..6).map(|n| {
                let store = if n % 2 == 0 { test.store.clone() } else { beside.clone() };
                let done = Arc::clone(&done);
                tokio::spawn(async move {
                    let mut numbered = 0;
                    while !done.load(Ordering::SeqCst) {
                        numbered += store.number_events().await.unwrap();
                    }
                    numbered + store.number_events().await.unwrap()
                })
            });
            let sequencers: Vec<_> = sequencers.collect();
            let writers = (0..8).map(|_| {
                let store = test.store.clone();
                tokio::spawn(async move {
                    for _ in 0..10 {
                        emit(&store, TENANT, 5).await;
                    }
                })
            });
            join_all(writers).await.into_iter().for_each(|joined| joined.unwrap());
            done.store(true, Ordering::SeqCst);
            join_all(sequencers).await.into_iter().for_each(|joined| assert!(joined.unwrap() <= 400));
            let page = test.log().read_all_after(0, 1_000).await.unwrap();
            let positions: Vec<_> = page.events.iter().map(|event| event.position.unwrap()).collect();
            assert_eq!(positions, (1..=400).collect::<Vec<_>>());
            assert_eq!(test.log().head().await.unwrap(), 400);
            beside.close().await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_uncommitted_event_is_numbered_later_not_missed() {
    each_engine(|test| async move {
        let (started, gate) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
        if test.engine() == Engine::Sqlite {
            // One writer: nobody can be between.
            return;
        }
        make_counters(&test).await;
        let slow = {
            let (store, started, gate) = (test.store.clone(), Arc::clone(&started), Arc::clone(&gate));
            tokio::spawn(async move {
                let ctx = ctx(&store);
                store
                    .write(&ctx, "test.slow", move |tx| {
                        let (started, gate) = (Arc::clone(&started), Arc::clone(&gate));
                        Box::pin(async move {
                            // What the store itself does at the end of a closure, here in its middle: the event has
                            // its place in the order of insertion long before the commit.
                            let sql = "INSERT INTO event (tenant_id, id, actor_id, actor_kind, channel, kind, subject_kind, subject_id, version, \
                                       audience, changes, facts, payload, occurred_at, recorded_at, request_id) \
                                       VALUES ($1, $2, $2, 'USER', '{\"kind\":\"COMMAND_LINE\"}', 'slow', 'counter', $2, 1, 'PUBLIC', '[]', '{}', 'null', $3, $3, 'r')";
                            execute(tx, sql, vec![TENANT.into(), tx.new_id().into(), tx.now().into()]).await?;
                            started.notify_one();
                            gate.notified().await;
                            Ok(())
                        })
                    })
                    .await
                    .unwrap();
            })
        };
        started.notified().await;
        emit(&test, TENANT, 1).await;
        wait_for_head(&test, 1).await;
        let page = test.log().read_after(TENANT, 0, 10).await.unwrap();
        assert_eq!(page.events[0].kind, "counter.raised");
        gate.notify_one();
        slow.await.unwrap();
        wait_for_head(&test, 2).await;
        let page = test.log().read_after(TENANT, page.scanned_to, 10).await.unwrap();
        assert_eq!(page.events[0].kind, "slow");
    })
    .await;
}

#[tokio::test]
async fn another_processs_events_are_noticed() {
    each_engine(|test| async move {
        let beside = test.beside().await;
        let mut head = test.log().watch();
        emit(&beside, TENANT, 4).await;
        tokio::time::timeout(std::time::Duration::from_secs(10), head.wait_for(|head| *head == 4))
            .await
            .expect("nobody noticed")
            .unwrap();
        beside.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_write_has_at_most_a_thousand_events() {
    each_engine(|test| async move {
        emit(&test, TENANT, 1_000).await;
        test.number_events().await.unwrap();
        assert_eq!(test.log().head().await.unwrap(), 1_000);
        let context = ctx(&test);
        let refused = test.write(&context, "test.emit", |tx| {
            Box::pin(async move {
                (0..1_001).for_each(|n| tx.emit(event("counter.raised", Uuid::from_u128(1), n)));
                Ok(())
            })
        });
        assert_eq!(refused.await.unwrap_err().code(), ErrorCode::Internal);
        // Nor does one read of the log answer more.
        emit(&test, TENANT, 1).await;
        test.number_events().await.unwrap();
        let page = test.log().read_after(TENANT, 0, u32::MAX).await.unwrap();
        assert_eq!((page.events.len(), page.scanned_to), (1_000, 1_000));
        let ids = vec![Uuid::from_u128(1); 1_001];
        assert_eq!(test.log().by_ids(TENANT, &ids).await.unwrap_err().code(), ErrorCode::Internal);
    })
    .await;
}
