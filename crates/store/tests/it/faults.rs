//! A fault at each statement of a write leaves nothing half done.

use std::sync::Arc;

use kernel::Uuid;
use migrations::testing::each_engine;
use store::Written;

use crate::support::{TENANT, add, count, counters, ctx, emit, keyed, make_counters, wait_for_head, whole};

#[tokio::test]
async fn nothing_is_half_done() {
    each_engine(|test| async move {
        make_counters(&test).await;
        let mut failed = 0;
        for n in 1.. {
            test.fail_statement(n);
            let written = test.write(&keyed(&test, "k", 1), "counter.add", whole("c".into())).await;
            if test.fault_pending() {
                // There are fewer statements than that: it went through.
                test.fail_statement(0);
                assert!(matches!(written.unwrap(), Written::Fresh { .. }), "statement {n}");
                break;
            }
            written.unwrap_err();
            failed += 1;
            for table in ["counter", "event", "job", "idempotency"] {
                assert_eq!(count(&test, table).await, 0, "{table} after a fault at statement {n}");
            }
            assert_eq!(test.number_events().await.unwrap(), 0);
            assert_eq!(test.log().head().await.unwrap(), 0, "after a fault at statement {n}");
        }
        // Key, row, update, events, job, answer, commit; on SQLite the log's numbers too.
        assert!(failed >= 7, "only {failed} statements");
        wait_for_head(&test, 2).await;
        assert_eq!(counters(&test).await, 1);
        for (table, rows) in [("event", 2), ("job", 1), ("idempotency", 1)] {
            assert_eq!(count(&test, table).await, rows, "{table}");
        }
        let again = test.write(&keyed(&test, "k", 1), "counter.add", whole("c".into())).await.unwrap();
        assert!(matches!(again, Written::Replayed { .. }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_fails_acknowledges_nobody_and_the_next_goes_through() {
    each_engine(|test| async move {
        make_counters(&test).await;
        // The closure's one statement, then the commit.
        test.fail_statement(2);
        add(&test, &ctx(&test), "a").await.unwrap_err();
        assert!(!test.fault_pending());
        assert_eq!(counters(&test).await, 0);
        add(&test, &ctx(&test), "a").await.unwrap();
        assert_eq!(counters(&test).await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_faults_among_others() {
    each_engine(|test| async move {
        make_counters(&test).await;
        let store = Arc::new(test.store.clone());
        let writers = (0..8).map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for number in 0..15 {
                    if number % 4 == 0 {
                        store.fail_statement(1 + kernel::random::below(9));
                    }
                    let name = format!("c{writer}-{number}");
                    if store.write(&ctx(&store), "counter.add", whole(name.clone())).await.is_ok() {
                        acknowledged.push(name);
                    }
                }
                acknowledged
            })
        });
        let acknowledged: Vec<String> =
            futures_util::future::join_all(writers).await.into_iter().flat_map(|joined| joined.unwrap()).collect();
        test.fail_statement(0);
        let stored = counters(&test).await;
        assert_eq!(stored, acknowledged.len() as i64, "exactly the acknowledged ones");
        assert_eq!(count(&test, "event").await, stored * 2);
        assert_eq!(count(&test, "job").await, stored);
        emit(&test, Uuid::from_u128(9), 1).await;
        wait_for_head(&test, stored * 2 + 1).await;
        let page = test.log().read_after(TENANT, 0, 1_000).await.unwrap();
        assert_eq!(page.events.len() as i64, stored * 2);
        assert_eq!(test.log().head().await.unwrap(), stored * 2 + 1, "without gaps");
    })
    .await;
}
