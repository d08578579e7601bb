//! Times, ids, JSON and texts as both engines store and compare them.

use chrono::{DateTime, Duration, Utc};
use migrations::testing::each_engine;
use sea_orm::Statement;
use store::{ConnectionTrait, Engine};

use crate::support::{ctx, day, execute};

#[tokio::test]
async fn times_compare_and_sort_alike() {
    each_engine(|test| async move {
        let sql = match test.engine() {
            Engine::Sqlite => "CREATE TABLE moment (at TEXT NOT NULL) STRICT",
            Engine::Postgres => "CREATE TABLE moment (at timestamptz NOT NULL)",
        };
        let offsets = [0, 1, 10, 1_000, 999_999, 1_000_000, 1_000_001, 60_000_000];
        test.write(&ctx(&test), "test.times", move |tx| {
            Box::pin(async move {
                execute(tx, sql, vec![]).await?;
                for offset in offsets.into_iter().rev() {
                    let at = day(0) + Duration::microseconds(offset);
                    execute(tx, "INSERT INTO moment (at) VALUES ($1)", vec![at.into()]).await?;
                }
                Ok(())
            })
        })
        .await
        .unwrap();
        let reader = test.read("test");
        let read = async |sql: &str, bound: Vec<sea_orm::Value>| {
            let statement = Statement::from_sql_and_values(reader.get_database_backend(), sql, bound);
            let rows = reader.query_all_raw(statement).await.unwrap();
            rows.iter().map(|row| row.try_get::<DateTime<Utc>>("at").unwrap()).collect::<Vec<_>>()
        };
        let all = offsets.map(|offset| day(0) + Duration::microseconds(offset));
        assert_eq!(read("SELECT at FROM moment ORDER BY at", vec![]).await, all);
        for (place, at) in all.into_iter().enumerate() {
            assert_eq!(read("SELECT at FROM moment WHERE at = $1", vec![at.into()]).await, [at]);
            assert_eq!(read("SELECT at FROM moment WHERE at < $1 ORDER BY at", vec![at.into()]).await, all[..place]);
            // With an offset it is the same instant.
            let zoned = at.with_timezone(&chrono::FixedOffset::east_opt(3_600).unwrap());
            assert_eq!(
                read("SELECT at FROM moment WHERE at > $1 ORDER BY at", vec![zoned.into()]).await,
                all[place + 1..]
            );
        }
    })
    .await;
}
