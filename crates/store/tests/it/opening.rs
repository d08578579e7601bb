//! What is refused when a store is opened, and how.

use kernel::{Clock, ErrorCode};
use migrations::testing::{TestDatabase, each_engine};
use store::{Engine, Store, StoreConfig, lock_path};

use crate::support::{add, ctx, execute, make_counters};

#[tokio::test]
async fn a_second_server_on_one_file_is_told_who_has_it() {
    each_engine(|test| async move {
        let again = Store::open(test.config.clone(), Clock::System).await;
        match test.engine() {
            // Replicas are welcome.
            Engine::Postgres => again.unwrap().close().await,
            Engine::Sqlite => {
                let error = again.err().expect("a second server was let in");
                assert_eq!(error.code(), ErrorCode::Conflict);
                assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
                let error = migrations::migrate(&test.config, &Clock::System).await.unwrap_err();
                assert_eq!(error.code(), ErrorCode::Conflict);
                // Administrative commands work beside it.
                let beside = test.beside().await;
                make_counters(&beside).await;
                add(&beside, &ctx(&beside), "a").await.unwrap();
                beside.close().await;
                // And the lock ends with the server, not with its file.
                let (config, clock) = (test.config.clone(), test.clock().clone());
                test.store.close().await;
                assert!(lock_path(&sqlite_file(&config)).exists());
                Store::open(config, clock).await.unwrap().close().await;
            }
        }
    })
    .await;
}

fn sqlite_file(config: &StoreConfig) -> std::path::PathBuf {
    match &config.location {
        store::Location::Sqlite { file } => file.clone(),
        store::Location::Postgres { .. } => panic!("not SQLite"),
    }
}

#[tokio::test]
async fn unsafe_settings_are_refused() {
    let database = TestDatabase::create(Engine::Sqlite).await;
    for (key, value, named) in [
        ("synchronous", "OFF", "synchronous"),
        ("synchronous", "NORMAL", "synchronous"),
        ("foreign_keys", "OFF", "foreign_keys"),
        ("journal_mode", "DELETE", "journal_mode"),
    ] {
        let mut config = database.config();
        config.pragmas = vec![(key.into(), value.into())];
        let error =
            Store::open(config, Clock::System).await.err().unwrap_or_else(|| panic!("{key} = {value} was let in"));
        assert_eq!(error.code(), ErrorCode::Conflict);
        assert!(error.to_string().contains(named), "{error}");
    }
    let mut config = database.config();
    config.pragmas = vec![("cache_size".into(), "-4000".into()), ("synchronous".into(), "EXTRA".into())];
    Store::open(config, Clock::System).await.unwrap().close().await;
    database.delete().await;
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    each_engine(|test| async move {
        let status = migrations::status(&test.config).await.unwrap();
        assert!(status.pending.is_empty() && status.unknown.is_empty());
        assert_eq!(status.applied.len(), migrations::ALL.len());
        test.write(&ctx(&test), "test.newer", |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_from_the_future', 0)";
                execute(tx, sql, vec![]).await
            })
        })
        .await
        .unwrap();
        let (config, clock) = (test.config.clone(), test.clock().clone());
        test.store.close().await;
        let refusals = [
            migrations::open(config.clone(), clock.clone()).await.err(),
            migrations::open_beside(config.clone(), clock.clone()).await.err(),
            migrations::migrate(&config, &clock).await.err(),
        ];
        for refusal in refusals {
            let refusal = refusal.expect("a newer schema was let in");
            assert_eq!(refusal.code(), ErrorCode::Conflict);
            assert!(refusal.to_string().contains("m9999_from_the_future"), "{refusal}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_empty_embedded_database_is_migrated_by_the_server_itself() {
    let folder = tempfile::tempdir().unwrap();
    let config = StoreConfig::sqlite(folder.path().join("new.db"));
    let refused = Store::open(config.clone(), Clock::System).await.err().unwrap();
    assert!(refused.to_string().contains("deskwire migrate"), "{refused}");
    let refused = migrations::open_beside(config.clone(), Clock::System).await.err().unwrap();
    assert!(refused.to_string().contains("deskwire migrate"), "{refused}");
    let store = migrations::open(config.clone(), Clock::System).await.unwrap();
    make_counters(&store).await;
    store.close().await;
    assert!(migrations::migrate(&config, &Clock::System).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = [
        StoreConfig::sqlite(folder.path().join("no/such/folder.db")),
        StoreConfig::postgres("postgres://nobody@127.0.0.1:1/nothing"),
    ];
    for config in nowhere {
        let error = migrations::open(config, Clock::System).await.err().unwrap();
        assert_eq!(error.code(), ErrorCode::Unavailable, "{error:?}");
        // Whoever starts a server wants to know why.
        let cause = ["No such file", "Connection refused"];
        assert!(cause.iter().any(|cause| error.to_string().contains(cause)), "{error}");
    }
    let error = migrations::open(StoreConfig::postgres("mysql://secret@host"), Clock::System).await.err().unwrap();
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn a_closed_store_refuses_kindly() {
    each_engine(|test| async move {
        make_counters(&test).await;
        let clone = test.store.clone();
        test.store.close().await;
        let error = add(&clone, &ctx(&clone), "a").await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::Unavailable);
        assert_eq!(clone.log().head().await.unwrap_err().code(), ErrorCode::Unavailable);
    })
    .await;
}
