//! Cursors over processes and restores.

use kernel::{Clock, ErrorCode};
use migrations::testing::each_engine;
use store::Store;

use crate::support::{TENANT, ctx, execute};

#[tokio::test]
async fn cursors_and_keys_hold_over_restarts_and_replicas() {
    each_engine(|test| async move {
        let beside = test.beside().await;
        let cursor = test.cursors().seal_log(TENANT, 5);
        assert_eq!(beside.cursors().open_log(TENANT, &cursor).unwrap(), 5);
        assert_eq!(beside.cursors().seal_log(TENANT, 5), cursor);
        assert_eq!(beside.secret("jwt"), test.secret("jwt"));
        assert_ne!(test.secret("jwt"), test.secret("other"));
        beside.close().await;
    })
    .await;
}

#[tokio::test]
async fn another_epoch_is_a_reset_log() {
    each_engine(|test| async move {
        let cursor = test.cursors().seal_log(TENANT, 5);
        test.write(&ctx(&test), "test.restore", |tx| {
            Box::pin(async move {
                let epoch = tx.new_id();
                execute(tx, "UPDATE log_head SET epoch = $1", vec![epoch.into()]).await
            })
        })
        .await
        .unwrap();
        let config = test.config.clone();
        test.store.close().await;
        let store = Store::open(config, Clock::Manual(test.clock)).await.unwrap();
        assert_eq!(store.cursors().open_log(TENANT, &cursor).unwrap_err().code(), ErrorCode::LogReset);
    })
    .await;
}

#[tokio::test]
async fn another_installation_cannot_make_cursors_for_this_one() {
    each_engine(|test| async move {
        let other = migrations::testing::TestDatabase::create(test.engine()).await;
        let store = Store::open(other.config(), test.clock().clone()).await.unwrap();
        let cursor = store.cursors().seal_log(TENANT, 5);
        assert_eq!(test.cursors().open_log(TENANT, &cursor).unwrap_err().code(), ErrorCode::BadCursor);
        store.close().await;
        other.delete().await;
    })
    .await;
}
