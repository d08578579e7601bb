//! Jobs: once each, after their time, again after failures, and never lost.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use chrono::Duration as Span;
use kernel::{Error, Uuid};
use migrations::testing::{TestStore, each_engine, each_engine_with};
use store::{JobHandlers, JobOutcome, NewJob, Store};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::support::{OTHER_TENANT, TENANT, count, ctx, ctx_of, look, wait_until};

const KIND: &str = "test.work";

async fn enqueue(store: &Store, key: Option<&str>, after: Span, payload: i64) {
    let key = key.map(str::to_owned);
    store
        .write(&ctx(store), "test.enqueue", move |tx| {
            let unique_key = key.clone();
            Box::pin(async move {
                let run_at = tx.now() + after;
                tx.enqueue(NewJob { kind: KIND, tenant: TENANT, unique_key, run_at, payload: payload.into() });
                Ok(())
            })
        })
        .await
        .unwrap();
}

/// A worker loop that runs until it is stopped.
struct Loop {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Loop {
    fn start(store: &Store, handlers: JobHandlers) -> Self {
        let stop = CancellationToken::new();
        let (store, token) = (store.clone(), stop.clone());
        Self { stop, task: tokio::spawn(async move { store.run_jobs(handlers, token).await }) }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// What handlers have seen: (payload, attempt).
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(i64, i32)>>>);

impl Seen {
    fn handlers(
        &self,
        outcome: impl Fn(i64, i32) -> kernel::Result<JobOutcome> + Send + Sync + 'static,
    ) -> JobHandlers {
        let seen = self.clone();
        JobHandlers::new().on(KIND, move |_, job| {
            let payload = job.payload.as_i64().unwrap();
            seen.0.lock().unwrap().push((payload, job.attempt));
            let outcome = outcome(payload, job.attempt);
            async move { outcome }
        })
    }

    fn all(&self) -> Vec<(i64, i32)> {
        self.0.lock().unwrap().clone()
    }

    async fn wait_for(&self, number: usize) {
        wait_until(|| async { self.0.lock().unwrap().len() >= number }).await;
    }
}

async fn jobs(test: &TestStore, state: &str) -> i64 {
    count(test, &format!("job WHERE kind = '{KIND}' AND state = '{state}'")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_job_is_done_once_by_one_of_many_workers() {
    each_engine(|test| async move {
        let beside = test.beside().await;
        let seen = Seen::default();
        let loops: Vec<_> = [&test.store, &beside, &test.store]
            .into_iter()
            .map(|store| Loop::start(store, seen.handlers(|_, _| Ok(JobOutcome::Done))))
            .collect();
        for payload in 0..60 {
            enqueue(&test, None, Span::zero(), payload).await;
        }
        seen.wait_for(60).await;
        wait_until(|| async { count(&test, &format!("job WHERE kind = '{KIND}'")).await == 0 }).await;
        for worker in loops {
            worker.stop().await;
        }
        let mut all = seen.all();
        all.sort_unstable();
        assert_eq!(all, (0..60).map(|payload| (payload, 1)).collect::<Vec<_>>());
        beside.close().await;
    })
    .await;
}

#[tokio::test]
async fn nothing_runs_before_its_time_or_without_a_handler() {
    each_engine(|test| async move {
        enqueue(&test, None, Span::minutes(5), 1).await;
        let seen = Seen::default();
        let worker = Loop::start(&test, seen.handlers(|_, _| Ok(JobOutcome::Done)));
        test.clock.advance(Span::minutes(4));
        enqueue(&test, None, Span::zero(), 2).await;
        seen.wait_for(1).await;
        assert_eq!(seen.all(), [(2, 1)]);
        // Before its end is written down, a minute more would end its lease.
        wait_until(|| async { count(&test, &format!("job WHERE kind = '{KIND}'")).await == 1 }).await;
        test.clock.advance(Span::minutes(1));
        seen.wait_for(2).await;
        assert_eq!(seen.all(), [(2, 1), (1, 1)]);
        worker.stop().await;

        enqueue(&test, None, Span::zero(), 3).await;
        let ran = Arc::new(Notify::new());
        let other = {
            let ran = Arc::clone(&ran);
            JobHandlers::new().recurring("test.other", move |store, _| {
                ran.notify_one();
                async move { Ok(JobOutcome::Again(store.clock().now() + Span::hours(1))) }
            })
        };
        let worker = Loop::start(&test, other);
        ran.notified().await;
        worker.stop().await;
        assert_eq!(jobs(&test, "PENDING").await, 1, "left to those who know it");
    })
    .await;
}

#[tokio::test]
async fn a_pending_job_with_the_same_key_is_replaced() {
    each_engine(|test| async move {
        enqueue(&test, Some("a"), Span::minutes(1), 1).await;
        enqueue(&test, Some("b"), Span::minutes(1), 2).await;
        enqueue(&test, Some("a"), Span::zero(), 3).await;
        assert_eq!(jobs(&test, "PENDING").await, 2);
        let seen = Seen::default();
        let worker = Loop::start(&test, seen.handlers(|_, _| Ok(JobOutcome::Done)));
        seen.wait_for(1).await;
        assert_eq!(seen.all(), [(3, 1)]);
        worker.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_running_waits_its_turn() {
    each_engine(|test| async move {
        let (started, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let seen = Seen::default();
        let handlers = {
            let (started, gate, seen) = (Arc::clone(&started), Arc::clone(&gate), seen.clone());
            JobHandlers::new().on(KIND, move |_, job| {
                let (started, gate, seen) = (Arc::clone(&started), Arc::clone(&gate), seen.clone());
                async move {
                    let payload = job.payload.as_i64().unwrap();
                    if payload == 1 {
                        started.notify_one();
                        gate.notified().await;
                    }
                    seen.0.lock().unwrap().push((payload, job.attempt));
                    // The first would like to recur; the newer one with its key has taken its place.
                    Ok(if payload == 1 { JobOutcome::Again(job.run_at) } else { JobOutcome::Done })
                }
            })
        };
        let worker = Loop::start(&test, handlers);
        enqueue(&test, Some("a"), Span::zero(), 1).await;
        started.notified().await;
        enqueue(&test, Some("a"), Span::zero(), 2).await;
        enqueue(&test, None, Span::zero(), 3).await;
        seen.wait_for(1).await;
        assert_eq!(seen.all(), [(3, 1)], "the second with the key waits, others do not");
        gate.notify_one();
        seen.wait_for(3).await;
        wait_until(|| async { count(&test, &format!("job WHERE kind = '{KIND}'")).await == 0 }).await;
        assert_eq!(seen.all(), [(3, 1), (1, 1), (2, 1)]);
        worker.stop().await;
    })
    .await;
}

#[tokio::test]
async fn failures_are_tried_again_later_and_then_put_aside() {
    each_engine_with(
        |config| config.limits.job_attempts = 3,
        |test| async move {
            enqueue(&test, None, Span::zero(), 1).await;
            let seen = Seen::default();
            let worker = Loop::start(
                &test,
                seen.handlers(|_, attempt| {
                    if attempt == 2 {
                        panic!("attempt {attempt}")
                    } else {
                        Err(Error::internal(format!("attempt {attempt}")))
                    }
                }),
            );
            for attempt in 1..3 {
                seen.wait_for(attempt).await;
                wait_until(|| async { jobs(&test, "PENDING").await == 1 }).await;
                let error: String = look(&test, &format!("SELECT last_error FROM job WHERE kind = '{KIND}'")).await;
                assert!(error.contains(&format!("attempt {attempt}")), "{error}");
                let run_at: chrono::DateTime<chrono::Utc> =
                    look(&test, &format!("SELECT run_at FROM job WHERE kind = '{KIND}'")).await;
                let pause = run_at - test.clock.now();
                let full = Span::seconds(1 << (attempt - 1));
                assert!(pause >= full / 2 && pause <= full, "after attempt {attempt}: {pause}");
                test.clock.advance(pause);
            }
            seen.wait_for(3).await;
            wait_until(|| async { jobs(&test, "FAILED").await == 1 }).await;
            let error: String = look(&test, &format!("SELECT last_error FROM job WHERE kind = '{KIND}'")).await;
            assert!(error.contains("attempt 3"), "{error}");
            test.clock.advance(Span::days(1));
            enqueue(&test, None, Span::zero(), 2).await;
            seen.wait_for(4).await;
            assert_eq!(seen.all()[..4], [(1, 1), (1, 2), (1, 3), (2, 1)]);
            worker.stop().await;
        },
    )
    .await;
}

/// As a worker that died leaves it.
async fn abandon(test: &TestStore, attempts: i32) {
    let lease_until = test.clock.now() + Span::seconds(60);
    test.write(&ctx(test), "test.abandon", move |tx| {
        Box::pin(async move {
            let sql = format!(
                "UPDATE job SET state = 'RUNNING', attempts = {attempts}, lease_owner = $1, lease_until = $2 WHERE kind = '{KIND}'"
            );
            crate::support::execute(tx, &sql, vec![Uuid::from_u128(1).into(), lease_until.into()]).await
        })
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn which_keys_have_jobs_is_known() {
    each_engine(|test| async move {
        let keys = |kind: &'static str, tenant| {
            let context = ctx_of(&test, tenant);
            let store = test.store.clone();
            async move {
                let read = store.write(&context, "test.keys", move |tx| {
                    let keys = ["one", "two", "three"].map(str::to_owned);
                    Box::pin(async move { tx.keys_with_jobs(kind, &keys).await })
                });
                let mut found = read.await.unwrap().fresh().unwrap();
                found.sort();
                found
            }
        };
        enqueue(&test, Some("one"), Span::zero(), 1).await;
        abandon(&test, 1).await;
        enqueue(&test, Some("one"), Span::hours(1), 1).await;
        enqueue(&test, Some("two"), Span::hours(1), 2).await;
        enqueue(&test, Some("four"), Span::zero(), 4).await;
        assert_eq!(keys(KIND, TENANT).await, ["one", "two"], "waiting or running, each once");
        assert!(keys("test.other", TENANT).await.is_empty() && keys(KIND, OTHER_TENANT).await.is_empty());
        test.write(&ctx(&test), "test.putAside", |tx| {
            let sql = format!("UPDATE job SET state = 'FAILED' WHERE kind = '{KIND}' AND unique_key = 'two'");
            Box::pin(async move { crate::support::execute(tx, &sql, Vec::new()).await })
        })
        .await
        .unwrap();
        assert_eq!(keys(KIND, TENANT).await, ["one"], "what was put aside is over");
    })
    .await;
}

#[tokio::test]
async fn a_dead_workers_job_is_taken_over_when_its_lease_ends() {
    each_engine(|test| async move {
        enqueue(&test, None, Span::zero(), 1).await;
        abandon(&test, 1).await;
        let seen = Seen::default();
        let worker = Loop::start(&test, seen.handlers(|_, _| Ok(JobOutcome::Done)));
        test.clock.advance(Span::seconds(59));
        enqueue(&test, None, Span::zero(), 2).await;
        seen.wait_for(1).await;
        assert_eq!(seen.all(), [(2, 1)], "not before the lease ends");
        test.clock.advance(Span::seconds(1));
        seen.wait_for(2).await;
        assert_eq!(seen.all(), [(2, 1), (1, 2)]);
        worker.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_job_that_kills_its_workers_is_put_aside() {
    each_engine(|test| async move {
        enqueue(&test, None, Span::zero(), 1).await;
        abandon(&test, test.limits().job_attempts as i32).await;
        test.clock.advance(Span::seconds(60));
        let seen = Seen::default();
        let worker = Loop::start(&test, seen.handlers(|_, _| Ok(JobOutcome::Done)));
        wait_until(|| async { jobs(&test, "FAILED").await == 1 }).await;
        assert!(seen.all().is_empty());
        worker.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_renewed_while_the_handler_works() {
    each_engine_with(
        |config| config.limits.job_lease = Duration::from_millis(300),
        |test| async move {
            let gate = Arc::new(Notify::new());
            let seen = Seen::default();
            let handlers = |seen: Seen, gate: Arc<Notify>| {
                JobHandlers::new().on(KIND, move |_, job| {
                    let (gate, seen) = (Arc::clone(&gate), seen.clone());
                    async move {
                        seen.0.lock().unwrap().push((job.payload.as_i64().unwrap(), job.attempt));
                        gate.notified().await;
                        Ok(JobOutcome::Done)
                    }
                })
            };
            let workers: Vec<_> =
                (0..2).map(|_| Loop::start(&test, handlers(seen.clone(), Arc::clone(&gate)))).collect();
            enqueue(&test, None, Span::zero(), 1).await;
            seen.wait_for(1).await;
            let lease = format!("SELECT lease_until FROM job WHERE kind = '{KIND}'");
            for _ in 0..3 {
                // Time passes in steps shorter than the lease; each time the worker shows that it lives.
                test.clock.advance(Span::milliseconds(200));
                let expected = test.clock.now() + Span::milliseconds(300);
                wait_until(|| async { look::<chrono::DateTime<chrono::Utc>>(&test, &lease).await == expected }).await;
            }
            assert_eq!(seen.all(), [(1, 1)], "nobody else took it");
            gate.notify_one();
            wait_until(|| async { count(&test, &format!("job WHERE kind = '{KIND}'")).await == 0 }).await;
            for worker in workers {
                worker.stop().await;
            }
        },
    )
    .await;
}

#[tokio::test]
async fn recurring_jobs_come_back_and_are_there_once() {
    each_engine(|test| async move {
        let seen = Seen::default();
        let handlers = || {
            let seen = seen.clone();
            JobHandlers::new().recurring("test.tick", move |store, job| {
                seen.0.lock().unwrap().push((0, job.attempt));
                async move { Ok(JobOutcome::Again(store.clock().now() + Span::hours(1))) }
            })
        };
        let workers: Vec<_> = (0..2).map(|_| Loop::start(&test, handlers())).collect();
        let ticks = "job WHERE kind = 'test.tick' AND state = 'PENDING'";
        for round in 1..=3 {
            seen.wait_for(round).await;
            wait_until(|| async { count(&test, ticks).await == 1 }).await;
            test.clock.advance(Span::hours(1));
        }
        seen.wait_for(4).await;
        for worker in workers {
            worker.stop().await;
        }
        assert_eq!(seen.all(), [(0, 1); 4]);
        assert_eq!(count(&test, "job WHERE kind = 'test.tick'").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_rolled_back_write_enqueues_nothing() {
    each_engine(|test| async move {
        let context = ctx(&test);
        let refused = test.write(&context, "test.enqueue", |tx| {
            Box::pin(async move {
                let run_at = tx.now();
                tx.enqueue(NewJob { kind: KIND, tenant: TENANT, unique_key: None, run_at, payload: 1.into() });
                Err::<(), _>(kernel::UserError::validation(["name"], "no").into())
            })
        });
        refused.await.unwrap_err();
        assert_eq!(count(&test, "job").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_write_has_at_most_a_thousand_jobs() {
    each_engine(|test| async move {
        for (number, allowed) in [(1_000, true), (1_001, false)] {
            let context = ctx(&test);
            let written = test.write(&context, "test.enqueue", move |tx| {
                Box::pin(async move {
                    let run_at = tx.now();
                    for n in 0..number {
                        tx.enqueue(NewJob { kind: KIND, tenant: TENANT, unique_key: None, run_at, payload: n.into() });
                    }
                    Ok(())
                })
            });
            assert_eq!(written.await.is_ok(), allowed, "{number}");
        }
        assert_eq!(count(&test, "job").await, 1_000);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_lost_its_lease_does_not_end_the_others_attempt() {
    each_engine(|test| async move {
        let gates = [Arc::new(Notify::new()), Arc::new(Notify::new())];
        let seen = Seen::default();
        let start = |gate: &Arc<Notify>| {
            let (gate, seen) = (Arc::clone(gate), seen.clone());
            let handlers = JobHandlers::new().on(KIND, move |_, job| {
                let (gate, seen) = (Arc::clone(&gate), seen.clone());
                async move {
                    seen.0.lock().unwrap().push((job.payload.as_i64().unwrap(), job.attempt));
                    gate.notified().await;
                    Ok(JobOutcome::Done)
                }
            });
            Loop::start(&test, handlers)
        };
        let first = start(&gates[0]);
        enqueue(&test, None, Span::zero(), 1).await;
        seen.wait_for(1).await;
        // To the others the first is dead from now on.
        test.clock.advance(Span::seconds(60));
        first.stop.cancel();
        let second = start(&gates[1]);
        seen.wait_for(2).await;
        gates[0].notify_one();
        first.stop().await;
        assert_eq!(jobs(&test, "RUNNING").await, 1, "the second is still at it");
        gates[1].notify_one();
        wait_until(|| async { count(&test, &format!("job WHERE kind = '{KIND}'")).await == 0 }).await;
        second.stop().await;
        assert_eq!(seen.all(), [(1, 1), (1, 2)]);
    })
    .await;
}
