//! Writes: together or not at all, alone in failure, whatever the caller does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use kernel::{Error, ErrorCode, Result, UserError};
use migrations::testing::{each_engine, each_engine_with};
use sea_orm::Statement;
use store::{ConnectionTrait, DbResult, Written, is_unique_violation, unique_violation};
use tokio::sync::Notify;

use crate::support::{add, add_counter, count, counters, ctx, dry, event, execute, look, make_counters, whole};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_a_group_fail_alone() {
    each_engine(|test| async move {
        make_counters(&test).await;
        let writes = (0..300).map(|n| {
            let store = test.store.clone();
            tokio::spawn(async move {
                let ctx = ctx(&store);
                store
                    .write(&ctx, "counter.add", move |tx| {
                        Box::pin(async move {
                            add_counter(tx, &format!("c{n}")).await?;
                            match n % 4 {
                                // Refused after it has written.
                                1 => Err(UserError::validation(["name"], "no").into()),
                                // Fails in the database.
                                2 => execute(
                                    tx,
                                    "INSERT INTO counter (name, value, version) VALUES ($1, 0, 1)",
                                    vec![format!("c{n}").into()],
                                )
                                .await
                                .map(|_| ()),
                                3 if n % 8 == 3 => panic!("the closure gives up"),
                                _ => Ok(()),
                            }
                        })
                    })
                    .await
                    .map(|_| n)
            })
        });
        let results: Vec<Result<i32>> = join_all(writes).await.into_iter().map(|joined| joined.unwrap()).collect();
        let succeeded = results.iter().filter(|result| result.is_ok()).count() as i64;
        assert_eq!(succeeded, (0..300).filter(|n| n % 4 == 0 || (n % 4 == 3 && n % 8 != 3)).count() as i64);
        assert_eq!(counters(&test).await, succeeded);
        for (n, result) in results.iter().enumerate() {
            match n % 4 {
                1 => assert_eq!(result.as_ref().unwrap_err().code(), ErrorCode::Validation),
                2 => assert_eq!(result.as_ref().unwrap_err().code(), ErrorCode::Internal),
                _ => {}
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_statement_that_goes_with_the_events_is_done_whatever_comes_behind_it() {
    each_engine(|test| async move {
        make_counters(&test).await;
        add(&test.store, &ctx(&test.store), "kept").await.unwrap();
        for (number, (emits, reads, breaks)) in
            [(true, false, false), (false, false, false), (true, true, false), (true, false, true)]
                .into_iter()
                .enumerate()
        {
            let number = number as i64 + 1;
            let ctx = ctx(&test.store);
            let result = test.store.write(&ctx, "counter.raise", move |tx| {
                Box::pin(async move {
                    let sql = match tx.engine() {
                        store::Engine::Sqlite => "UPDATE counter SET value = ? WHERE name = ?",
                        store::Engine::Postgres => "UPDATE counter SET value = $1 WHERE name = $2",
                    };
                    let values: [sea_orm::Value; 2] =
                        [if breaks { None::<i64> } else { Some(number) }.into(), "kept".into()];
                    let statement = Statement::from_sql_and_values(tx.engine().backend(), sql, values);
                    tx.execute_with_events(statement).await.db()?;
                    if emits {
                        tx.emit(event("counter.raised", tx.new_id(), 1));
                    }
                    if reads {
                        let sql = Statement::from_string(tx.engine().backend(), "SELECT value FROM counter");
                        let row = tx.query_one_raw(sql).await.db()?.expect("a counter");
                        assert_eq!(row.try_get_by_index::<i64>(0).db()?, number, "it is seen in the same write");
                    }
                    Ok(())
                })
            });
            assert_eq!(result.await.is_err(), breaks, "no value is refused by the table");
            let value = look::<i64>(&test, "SELECT value FROM counter").await;
            assert_eq!(value, if breaks { number - 1 } else { number });
        }
        assert_eq!(count(&test, "event").await, 2);
    })
    .await;
}

#[tokio::test]
async fn writes_that_wait_share_a_commit() {
    each_engine(|test| async move {
        if test.engine() == store::Engine::Postgres {
            return;
        }
        make_counters(&test).await;
        let syncs = || async { look::<i64>(&test, "SELECT count(*) FROM counter").await };
        assert_eq!(syncs().await, 0);
        // The first is held up until all others wait behind it; its group then takes them all in.
        let gate = Arc::new(Notify::new());
        let first = {
            let (store, gate) = (test.store.clone(), Arc::clone(&gate));
            tokio::spawn(async move {
                let ctx = ctx(&store);
                store
                    .write(&ctx, "counter.add", move |tx| {
                        let gate = Arc::clone(&gate);
                        Box::pin(async move {
                            gate.notified().await;
                            add_counter(tx, "first").await
                        })
                    })
                    .await
                    .unwrap();
            })
        };
        tokio::task::yield_now().await;
        let mut others = Vec::new();
        for n in 0..50 {
            let store = test.store.clone();
            others.push(tokio::spawn(async move { add(&store, &ctx(&store), &format!("c{n}")).await.unwrap() }));
        }
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        // Whoever reads sees none or all: there is one commit.
        let seen = Arc::new(AtomicU64::new(0));
        let watcher = {
            let (store, seen) = (test.store.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                loop {
                    let now = counters(&store).await as u64;
                    if now > 0 {
                        seen.store(now, Ordering::SeqCst);
                        return;
                    }
                }
            })
        };
        gate.notify_one();
        first.await.unwrap();
        join_all(others).await;
        watcher.await.unwrap();
        assert_eq!(seen.load(Ordering::SeqCst), 51);
    })
    .await;
}

#[tokio::test]
async fn a_caller_that_goes_away_changes_nothing() {
    each_engine(|test| async move {
        make_counters(&test).await;
        let (started, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let call = {
            let (store, started, gate) = (test.store.clone(), Arc::clone(&started), Arc::clone(&gate));
            tokio::spawn(async move {
                let ctx = ctx(&store);
                store
                    .write(&ctx, "counter.add", move |tx| {
                        let (started, gate) = (Arc::clone(&started), Arc::clone(&gate));
                        Box::pin(async move {
                            add_counter(tx, "a").await?;
                            started.notify_one();
                            gate.notified().await;
                            add_counter(tx, "b").await
                        })
                    })
                    .await
            })
        };
        started.notified().await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        gate.notify_one();
        // The write goes on and the next one finds the way free.
        add(&test, &ctx(&test), "c").await.unwrap();
        tokio::time::timeout(Duration::from_secs(5), async {
            while counters(&test).await < 3 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the abandoned write was not finished");
    })
    .await;
}

#[tokio::test]
async fn a_slow_closure_is_stopped_at_its_deadline() {
    each_engine_with(
        |config| config.limits.closure_deadline = Duration::from_millis(100),
        |test| async move {
            make_counters(&test).await;
            let context = ctx(&test);
            let slow = test.write(&context, "counter.add", |tx| {
                Box::pin(async move {
                    add_counter(tx, "slow").await?;
                    std::future::pending::<()>().await;
                    Ok(())
                })
            });
            assert_eq!(slow.await.unwrap_err().code(), ErrorCode::DeadlineExceeded);
            add(&test, &ctx(&test), "next").await.unwrap();
            assert_eq!(counters(&test).await, 1);
        },
    )
    .await;
}

#[tokio::test]
async fn a_lost_compare_and_set_is_run_again_a_bounded_number_of_times() {
    each_engine(|test| async move {
        make_counters(&test).await;
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        let context = ctx(&test);
        let written = test.write(&context, "counter.add", move |tx| {
            let run = counted.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                add_counter(tx, "again").await?;
                if run < 2 { Err(tx.retry()) } else { Ok(run) }
            })
        });
        assert_eq!(written.await.unwrap().fresh(), Some(2));
        assert_eq!(test.retry_count(), 2);
        assert_eq!(counters(&test).await, 1, "what the first runs did was taken back");

        let counted = Arc::clone(&runs);
        runs.store(0, Ordering::SeqCst);
        let context = ctx(&test);
        let hopeless = test.write(&context, "counter.add", move |tx| {
            counted.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move { Err::<(), Error>(tx.retry()) })
        });
        let error = hopeless.await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::Unavailable);
        assert!(error.code().retryable());
        assert_eq!(runs.load(Ordering::SeqCst), test.limits().write_attempts);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_increments_lose_nothing() {
    each_engine_with(
        |config| config.limits.write_attempts = 100,
        |test| async move {
            make_counters(&test).await;
            add(&test, &ctx(&test), "n").await.unwrap();
            let writers = (0..8).map(|_| {
                let store = test.store.clone();
                tokio::spawn(async move {
                    for _ in 0..10 {
                        let ctx = ctx(&store);
                        store
                            .write(&ctx, "counter.raise", |tx| {
                                Box::pin(async move {
                                    let statement = Statement::from_string(
                                        tx.get_database_backend(),
                                        "SELECT value, version FROM counter WHERE name = 'n'",
                                    );
                                    let row = tx.query_one_raw(statement).await.db()?.unwrap();
                                    let (value, version): (i64, i64) =
                                        (row.try_get("value").db()?, row.try_get("version").db()?);
                                    let changed = execute(
                                        tx,
                                        "UPDATE counter SET value = $1, version = version + 1 WHERE name = 'n' AND version = $2",
                                        vec![(value + 1).into(), version.into()],
                                    )
                                    .await?;
                                    if changed == 1 { Ok(()) } else { Err(tx.retry()) }
                                })
                            })
                            .await
                            .unwrap();
                    }
                })
            });
            join_all(writers).await.into_iter().for_each(|joined| joined.unwrap());
            assert_eq!(look::<i64>(&test, "SELECT value FROM counter").await, 80);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_is_run_again() {
    each_engine(|test| async move {
        make_counters(&test).await;
        for name in ["a", "b"] {
            add(&test, &ctx(&test), name).await.unwrap();
        }
        let raise = |first: &'static str, second: &'static str| {
            let store = test.store.clone();
            tokio::spawn(async move {
                let ctx = ctx(&store);
                store
                    .write(&ctx, "counter.raise", move |tx| {
                        Box::pin(async move {
                            for name in [first, second] {
                                execute(tx, "UPDATE counter SET value = value + 1 WHERE name = $1", vec![name.into()])
                                    .await?;
                                // Time for the other to take the other row.
                                tokio::time::sleep(Duration::from_millis(50)).await;
                            }
                            Ok(())
                        })
                    })
                    .await
            })
        };
        let (one, other) = (raise("a", "b"), raise("b", "a"));
        // PostgreSQL notices a deadlock after a second, below the lock timeout.
        one.await.unwrap().unwrap();
        other.await.unwrap().unwrap();
        assert_eq!(look::<i64>(&test, "SELECT CAST(sum(value) AS bigint) FROM counter").await, 4);
        if test.engine() == store::Engine::Postgres {
            assert!(test.retry_count() >= 1);
        }
    })
    .await;
}

#[tokio::test]
async fn a_dry_run_leaves_nothing() {
    each_engine(|test| async move {
        make_counters(&test).await;
        let before = test.log().head().await.unwrap();
        let written = test.write(&dry(&test, Some("key")), "counter.add", whole("dry".into())).await.unwrap();
        let Written::Fresh { events, .. } = written else { panic!("a dry run is never a replay") };
        assert_eq!(
            events.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(),
            ["counter.added", "counter.raised"]
        );
        assert!(events.iter().all(|event| event.position.is_none()));
        for table in ["counter", "event", "job", "idempotency"] {
            assert_eq!(count(&test, table).await, 0, "{table}");
        }
        assert_eq!(test.number_events().await.unwrap(), 0);
        assert_eq!(test.log().head().await.unwrap(), before);
    })
    .await;
}

#[tokio::test]
async fn a_closure_cannot_go_on_after_a_failed_statement() {
    each_engine(|test| async move {
        make_counters(&test).await;
        let context = ctx(&test);
        let written = test.write(&context, "counter.add", |tx| {
            Box::pin(async move {
                add_counter(tx, "a").await?;
                let _ = add_counter(tx, "a").await;
                Ok(())
            })
        });
        assert_eq!(written.await.unwrap_err().code(), ErrorCode::Internal);
        assert_eq!(counters(&test).await, 0);
    })
    .await;
}

#[tokio::test]
async fn taken_values_are_recognised() {
    each_engine(|test| async move {
        make_counters(&test).await;
        add(&test, &ctx(&test), "a").await.unwrap();
        let context = ctx(&test);
        let written = test.write(&context, "counter.add", |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO counter (name, value, version) VALUES ('a', 0, 1)";
                let statement = Statement::from_string(tx.get_database_backend(), sql);
                match tx.execute_raw(statement).await {
                    Err(error) if is_unique_violation(&error) => {
                        assert!(unique_violation(&error).unwrap().involves("name"));
                        Err::<(), _>(UserError::taken(["name"], "taken").into())
                    }
                    other => panic!("{other:?}"),
                }
            })
        });
        assert_eq!(written.await.unwrap_err().code(), ErrorCode::Conflict);
    })
    .await;
}

#[tokio::test]
async fn statements_are_counted_by_name() {
    each_engine(|test| async move {
        make_counters(&test).await;
        let before = test.statement_count();
        counters(&test).await;
        add(&test, &ctx(&test), "a").await.unwrap();
        let statement = Statement::from_string(test.engine().backend(), "SELECT 1");
        test.read("authentication").query_one_raw(statement).await.unwrap();
        test.log().head().await.unwrap();
        assert_eq!(test.statement_count() - before, 2);
    })
    .await;
}

#[tokio::test]
async fn sqlite_readers_cannot_write() {
    each_engine(|test| async move {
        if test.engine() == store::Engine::Sqlite {
            let refused = test.read("test").execute_unprepared("DELETE FROM event").await;
            assert!(refused.unwrap_err().to_string().contains("readonly"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_slow_statement_is_stopped() {
    each_engine_with(
        |config| config.limits.statement_timeout = Duration::from_millis(100),
        |test| async move {
            make_counters(&test).await;
            let slow = match test.engine() {
                store::Engine::Sqlite => {
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) SELECT max(i) FROM n"
                }
                store::Engine::Postgres => "SELECT pg_sleep(1)",
            };
            let statement = || Statement::from_string(test.engine().backend(), slow);
            let error = test.read("test").query_one_raw(statement()).await.db().map(|_| ()).unwrap_err();
            assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
            assert_eq!(counters(&test).await, 0, "others can read");
        },
    )
    .await;
}

#[tokio::test]
async fn a_statement_that_outlives_its_closure_delays_nobody() {
    each_engine_with(
        |config| config.limits.closure_deadline = Duration::from_millis(100),
        |test| async move {
            make_counters(&test).await;
            let slow = match test.engine() {
                store::Engine::Sqlite => {
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000) SELECT max(i) FROM n"
                }
                store::Engine::Postgres => "SELECT pg_sleep(1)",
            };
            let context = ctx(&test);
            let written = test.write(&context, "counter.add", move |tx| {
                Box::pin(async move {
                    add_counter(tx, "slow").await?;
                    execute(tx, slow, vec![]).await
                })
            });
            assert_eq!(written.await.unwrap_err().code(), ErrorCode::DeadlineExceeded);
            add(&test, &ctx(&test), "next").await.unwrap();
            assert_eq!(counters(&test).await, 1);
        },
    )
    .await;
}

#[tokio::test]
async fn a_closure_without_end_meets_its_deadline() {
    each_engine_with(
        |config| config.limits.closure_deadline = Duration::from_millis(100),
        |test| async move {
            make_counters(&test).await;
            let context = ctx(&test);
            let written = test.write::<(), _>(&context, "counter.add", |tx| {
                Box::pin(async move {
                    add_counter(tx, "endless").await?;
                    // Each is over at once: none of them makes the closure wait for anything long.
                    loop {
                        execute(tx, "UPDATE counter SET value = value + 1", vec![]).await?;
                    }
                })
            });
            assert_eq!(written.await.unwrap_err().code(), ErrorCode::DeadlineExceeded);
            add(&test, &ctx(&test), "next").await.unwrap();
            assert_eq!(counters(&test).await, 1);
        },
    )
    .await;
}

#[tokio::test]
async fn a_full_disk_is_told_and_heals() {
    each_engine_with(
        // As full as the schema leaves it, and some pages.
        |config| config.pragmas = vec![("max_page_count".into(), "400".into())],
        |test| async move {
            if test.engine() == store::Engine::Postgres {
                return;
            }
            make_counters(&test).await;
            let mut stored = 0;
            let error = loop {
                match add(&test, &ctx(&test), &format!("{stored:04}{}", "x".repeat(2_000))).await {
                    Ok(_) => stored += 1,
                    Err(error) => break error,
                }
            };
            assert_eq!(error.code(), ErrorCode::Unavailable);
            assert!(stored > 10, "{stored}");
            assert_eq!(counters(&test).await, stored, "reads go on, and what was acknowledged is there");
            let context = ctx(&test);
            test.write(&context, "counter.clear", |tx| {
                Box::pin(async move { execute(tx, "DELETE FROM counter", vec![]).await })
            })
            .await
            .unwrap();
            add(&test, &ctx(&test), &"x".repeat(2_000)).await.unwrap();
            assert_eq!(counters(&test).await, 1);
        },
    )
    .await;
}

#[tokio::test]
async fn the_writers_queue_is_bounded() {
    each_engine_with(
        |config| config.limits.write_queue = 1,
        |test| async move {
            if test.engine() == store::Engine::Postgres {
                return;
            }
            make_counters(&test).await;
            let (started, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let blocked = {
                let (store, started, gate) = (test.store.clone(), Arc::clone(&started), Arc::clone(&gate));
                tokio::spawn(async move {
                    let ctx = ctx(&store);
                    store
                        .write(&ctx, "counter.add", move |_| {
                            let (started, gate) = (Arc::clone(&started), Arc::clone(&gate));
                            Box::pin(async move {
                                started.notify_one();
                                gate.notified().await;
                                Ok(())
                            })
                        })
                        .await
                })
            };
            started.notified().await;
            let context = ctx(&test);
            let mut waiting = Box::pin(add(&test, &context, "waits"));
            assert!(futures_util::poll!(&mut waiting).is_pending());
            let refused = add(&test, &context, "refused").await.unwrap_err();
            assert_eq!(refused.code(), ErrorCode::Unavailable);
            gate.notify_one();
            blocked.await.unwrap().unwrap();
            waiting.await.unwrap();
        },
    )
    .await;
}
