//! The tenant's category tree.

use futures_util::future::join_all;
use incident::{CreateIncident, UpdateIncident};
use kernel::{Detail, ErrorCode, Patch};
use serde_json::json;
use ticket::category::MAX_DEPTH;
use ticket::{CreateCategory, UpdateCategory};

use crate::setup::*;

fn category(key: &str, parent: Option<&str>) -> CreateCategory {
    CreateCategory { key: key.into(), name: key.to_uppercase(), parent: parent.map(Into::into) }
}

fn change_of(key: &str) -> UpdateCategory {
    UpdateCategory { key: key.into(), name: None, parent: Patch::Keep, retired: None, expected_version: None }
}

fn below(key: &str, parent: &str) -> UpdateCategory {
    UpdateCategory { parent: Patch::Set(parent.into()), ..change_of(key) }
}

async fn grow(world: &World, keys: &[String]) {
    let mut parent: Option<&str> = None;
    for key in keys {
        world.tickets.create_category(&world.root, category(key, parent)).await.unwrap();
        parent = Some(key);
    }
}

fn keys(prefix: &str, count: usize) -> Vec<String> {
    (1..=count).map(|level| format!("{prefix}-{level}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_category_is_made_and_changed_with_events() {
    in_each_world(|world| async move {
        let amy = world.ctx("amy");
        let made = world.tickets.create_category(&amy, category("network", None)).await.unwrap();
        assert_eq!(kinds(&made.events), ["CategoryCreated"]);
        world.tickets.create_category(&amy, category("vpn", Some("network"))).await.unwrap();
        let command = UpdateCategory {
            name: Some("Tunnels".into()),
            parent: Patch::Clear,
            expected_version: Some(1),
            ..change_of("vpn")
        };
        let changed = world.tickets.update_category(&amy, command.clone()).await.unwrap();
        assert_eq!(kinds(&changed.events), ["CategoryUpdated"]);
        assert_eq!(change(&changed.events[0], "name"), (json!("VPN"), json!("Tunnels")));
        let row = changed.row.unwrap();
        assert_eq!((row.text("name").as_str(), row.int("version")), ("Tunnels", 2));
        assert!(row.get("parent").is_null() && row.relation("parent").is_none());
        assert_eq!(current_version(world.tickets.update_category(&amy, command).await), Some(2));
        let same = UpdateCategory { name: Some("Tunnels".into()), ..change_of("vpn") };
        assert!(world.tickets.update_category(&amy, same).await.unwrap().events.is_empty());
        let taken = world.tickets.create_category(&amy, category("vpn", None)).await;
        assert_eq!(refused_at(taken), (ErrorCode::Conflict, "key".into()));
        let nowhere = world.tickets.create_category(&amy, category("wifi", Some("none"))).await;
        assert_eq!(refused_at(nowhere), (ErrorCode::NotFound, "parent".into()));
        assert_eq!(
            refused_at(world.tickets.update_category(&amy, change_of("none")).await),
            (ErrorCode::NotFound, "key".into())
        );
        for key in ["", "Wi-Fi", "wi fi", &"x".repeat(101)] {
            assert_eq!(
                refused_at(
                    world
                        .tickets
                        .create_category(&amy, CreateCategory { name: "x".into(), ..category(key, None) })
                        .await
                ),
                (ErrorCode::Validation, "key".into())
            );
        }
        for who in ["lee", "ada", "rita", "ivy"] {
            let ctx = world.ctx(who);
            assert_eq!(lacks(world.tickets.create_category(&ctx, category("x", None)).await), "settings.manage");
            assert_eq!(lacks(world.tickets.update_category(&ctx, change_of("vpn")).await), "settings.manage");
        }
        let (other, _) = tenant(&world.access, "other").await;
        assert!(world.tickets.category(&other, "vpn").await.unwrap().is_none());
        assert!(world.tickets.create_category(&other, category("vpn", None)).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_has_no_circle() {
    in_each_world(|world| async move {
        grow(&world, &keys("a", 4)).await;
        for (child, parent) in [("a-1", "a-1"), ("a-1", "a-2"), ("a-1", "a-4"), ("a-2", "a-4")] {
            let error = refusal(world.tickets.update_category(&world.root, below(child, parent)).await);
            assert_eq!(error.path, ["parent"]);
            assert_eq!(error.detail, Detail::Validation { constraint: "circle".into(), limit: None });
        }
        assert!(world.tickets.update_category(&world.root, below("a-4", "a-1")).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_is_bounded_in_depth_also_when_branches_move() {
    in_each_world(|world| async move {
        grow(&world, &keys("a", MAX_DEPTH)).await;
        grow(&world, &keys("b", 4)).await;
        let limit = |error: kernel::UserError| {
            assert_eq!((error.code, error.detail), (ErrorCode::Limit, Detail::Limit { limit: MAX_DEPTH as u64 }));
        };
        let deepest = format!("a-{MAX_DEPTH}");
        limit(refusal(world.tickets.create_category(&world.root, category("x", Some(&deepest))).await));
        limit(refusal(world.tickets.update_category(&world.root, below("b-4", &deepest)).await));
        for parent in MAX_DEPTH - 3..MAX_DEPTH {
            let moved = world.tickets.update_category(&world.root, below("b-1", &format!("a-{parent}"))).await;
            limit(refusal(moved));
        }
        let fits = below("b-1", &format!("a-{}", MAX_DEPTH - 4));
        assert!(world.tickets.update_category(&world.root, fits).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_category_stays_and_cannot_be_chosen() {
    in_each_world(|world| async move {
        grow(&world, &keys("a", 1)).await;
        let with = |key: &str| CreateIncident { category: Some(key.into()), team: Some(team("network")), ..new("x") };
        let ada = world.ctx("ada");
        let row = world.create(&ada, with("a-1")).await;
        assert_eq!(row.relation("category").unwrap().text("key"), "a-1");
        let retire = UpdateCategory { retired: Some(true), ..change_of("a-1") };
        world.tickets.update_category(&world.root, retire).await.unwrap();
        let refused = refusal(world.incidents.create(&ada, with("a-1")).await);
        assert_eq!(refused.path, ["category"]);
        assert_eq!(refused.detail, Detail::Validation { constraint: "retired".into(), limit: None });
        assert_eq!(
            refused_at(world.incidents.create(&ada, with("none")).await),
            (ErrorCode::NotFound, "category".into())
        );
        let other = world.open_for_network("y").await;
        let choose = UpdateIncident { category: Patch::Set("a-1".into()), ..update(&other) };
        assert_eq!(refused_at(world.incidents.update(&ada, choose).await), (ErrorCode::Validation, "category".into()));
        world.incidents.update(&ada, retitle(&row, "still there")).await.unwrap();
        assert_eq!(world.see(&row).await.relation("category").unwrap().text("key"), "a-1");
        let outcome =
            world.incidents.update(&ada, UpdateIncident { category: Patch::Clear, ..update(&row) }).await.unwrap();
        assert_eq!(change(&outcome.events[0], "category.key"), (json!("a-1"), json!(null)));
        let again = UpdateCategory { retired: Some(false), ..change_of("a-1") };
        world.tickets.update_category(&world.root, again).await.unwrap();
        assert!(world.incidents.create(&ada, with("a-1")).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_want_one_key_at_once_one_gets_it() {
    in_each_world(|world| async move {
        let beside = Services::over(world.store.beside().await);
        let calls = (0..4).flat_map(|_| {
            [&world.tickets, &beside.tickets].map(|tickets| tickets.create_category(&world.root, category("vpn", None)))
        });
        let (done, refused): (Vec<_>, Vec<_>) = join_all(calls).await.into_iter().partition(Result::is_ok);
        assert_eq!(done.len(), 1);
        for result in refused {
            assert_eq!(refused_at(result), (ErrorCode::Conflict, "key".into()));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_leaves_no_category() {
    in_each_world(|world| async move {
        grow(&world, &keys("a", 2)).await;
        let before = world.dump().await;
        let trial = dry(&world.root);
        let made = world.tickets.create_category(&trial, category("x", Some("a-2"))).await.unwrap();
        assert_eq!(made.row.unwrap().text("key"), "x");
        let changed = world
            .tickets
            .update_category(&trial, UpdateCategory { retired: Some(true), ..change_of("a-1") })
            .await
            .unwrap();
        assert!(changed.row.unwrap().bool("retired"));
        assert_eq!(world.dump().await, before);
    })
    .await;
}
