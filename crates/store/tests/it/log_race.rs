//! The race that the sequencer is there for: who reads the log by the order of insertion misses what commits late.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use kernel::Uuid;
use migrations::testing::each_engine_with;
use sea_orm::Statement;
use store::{ConnectionTrait, Engine, Store};

use crate::support::{TENANT, emit};

const WRITERS: usize = 16;
/// Events of one write: the more, the longer it stands between insertion and commit.
const EVENTS: usize = 5;
/// No reader waits longer for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a reader has read.
type Read = Vec<Uuid>;

/// Reads behind the largest number it has seen of a column, over and over, until a round after `over` brings nothing.
async fn by_largest(store: Store, column: &'static str, over: Arc<AtomicBool>) -> Read {
    let (mut read, mut largest) = (Read::new(), 0_i64);
    loop {
        let last = over.load(Ordering::SeqCst);
        let reader = store.read("test.naive");
        let sql = format!("SELECT id, {column} AS place FROM event WHERE {column} > $1 ORDER BY {column}");
        let statement = Statement::from_sql_and_values(reader.get_database_backend(), sql, [largest.into()]);
        let rows = reader.query_all_raw(statement).await.unwrap();
        for row in &rows {
            read.push(row.try_get("id").unwrap());
            largest = row.try_get("place").unwrap();
        }
        if last && rows.is_empty() {
            return read;
        }
    }
}

/// Reads as the product does, until it has so many.
async fn by_the_log(store: Store, expected: usize) -> Read {
    let (mut read, mut after) = (Read::new(), 0);
    let begun = Instant::now();
    while read.len() < expected {
        assert!(begun.elapsed() < PATIENCE, "{} of {expected}", read.len());
        let page = store.log().read_after(TENANT, after, 100).await.unwrap();
        after = page.scanned_to;
        read.extend(page.events.iter().map(|event| event.id));
        tokio::task::yield_now().await;
    }
    read
}

fn sorted(mut ids: Read) -> Read {
    ids.sort_unstable();
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_naive_reader_misses_events_and_the_logs_reader_none() {
    each_engine_with(
        |config| config.pool = 20,
        |test| async move {
            if test.engine() == Engine::Sqlite {
                // One writer: insertion is commit.
                return;
            }
            let (mut missed, begun) = (0, Instant::now());
            let mut written = Read::new();
            // The race is a matter of chance; it is run until it has happened, which the first round nearly always does.
            while missed == 0 {
                assert!(begun.elapsed() < PATIENCE, "{} events, and nobody missed any: no race", written.len());
                let over = Arc::new(AtomicBool::new(false));
                let naive = tokio::spawn(by_largest(test.store.clone(), "log_order", Arc::clone(&over)));
                let known = written.len();
                let log = tokio::spawn(by_the_log(test.store.clone(), known + WRITERS * 20 * EVENTS));
                let writers = (0..WRITERS).map(|_| {
                    let store = test.store.clone();
                    tokio::spawn(async move {
                        let mut emitted = Read::new();
                        for _ in 0..20 {
                            emitted.extend(emit(&store, TENANT, EVENTS).await.iter().map(|event| event.id));
                        }
                        emitted
                    })
                });
                written.extend(join_all(writers).await.into_iter().flat_map(|joined| joined.unwrap()));
                over.store(true, Ordering::SeqCst);
                let naive = naive.await.unwrap();
                assert_eq!(sorted(log.await.unwrap()), sorted(written.clone()), "the log's reader misses nothing");
                assert!(naive.len() <= written.len());
                missed = written.len() - naive.len();
            }
            eprintln!("of {} events the naive reader missed {missed}, the log's reader none", written.len());
        },
    )
    .await;
}
