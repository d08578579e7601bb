//! Operations: canceled by whom, ended once, worked on for whom, and forgotten with their items.

use access::operation::{ItemOutcome, KEPT, NewItem, SWEEP_ITEMS, Starter};
use access::{Membership, TeamRef, UserRef, UserUpdate};
use chrono::Duration;
use kernel::id::prefix;
use kernel::{Ctx, ErrorCode, Id, Patch, UserError, Uuid};
use serde_json::json;
use store::query::Row;

use crate::setup::{World, in_each_world, refusal};

/// An operation with items, of which the last cannot be done.
async fn started(world: &World, ctx: &Ctx, items: usize) -> Row {
    let access = world.access.clone();
    let written = world.store.store.write(ctx, "test.start", move |tx| {
        let access = access.clone();
        Box::pin(async move {
            let row = access.begin_operation_in(tx, "test", Some(items as i64)).await?;
            let item = |place: usize| NewItem {
                subject: Some(Id::new(prefix::INCIDENT, Uuid::from_u128(place as u128 + 1))),
                expected_version: None,
                errors: if place + 1 == items { vec![UserError::not_found(["ids"], "it")] } else { Vec::new() },
            };
            let items: Vec<NewItem> = (0..items).map(item).collect();
            access.add_items_in(tx, row.id(), 0, &items, false).await?;
            Ok(row)
        })
    });
    written.await.unwrap().fresh().unwrap()
}

async fn status(world: &World, operation: &Row) -> String {
    world.access.operation(&world.root, operation.id()).await.unwrap().unwrap().text("status")
}

#[tokio::test(flavor = "multi_thread")]
async fn items_are_done_once_and_counted() {
    in_each_world(|world| async move {
        let (access, root) = (&world.access, &world.root);
        let operation = started(&world, root, 5).await.id();
        let waiting = access.first_items(root, operation, Some(ItemOutcome::Pending), 3).await.unwrap();
        assert_eq!(waiting.iter().map(|item| item.place).collect::<Vec<_>>(), [0, 1, 2], "the first, in order");
        let errors = vec![UserError::stale(7)];
        let failed = (waiting[0].id, ItemOutcome::Failed, errors.clone());
        access.settle_items(root, vec![failed, (waiting[1].id, ItemOutcome::Done, Vec::new())]).await.unwrap();
        // Whoever comes later changes nothing of it.
        access.settle_items(root, vec![(waiting[0].id, ItemOutcome::Done, Vec::new())]).await.unwrap();
        let all = access.first_items(root, operation, None, 10).await.unwrap();
        assert_eq!((all[0].outcome, &all[0].errors), (ItemOutcome::Failed, &errors));
        let counts = access.count_items(root, operation).await.unwrap();
        let expected = [(ItemOutcome::Pending, 2), (ItemOutcome::Done, 1), (ItemOutcome::Failed, 2)];
        assert_eq!(counts, expected.into());
        assert_eq!(access.last_item(root, operation).await.unwrap().map(|item| item.place), Some(4));
        let none = started(&world, root, 0).await.id();
        assert_eq!(access.last_item(root, none).await.unwrap(), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_ends_once() {
    in_each_world(|world| async move {
        let (access, root) = (&world.access, &world.root);
        let done = started(&world, root, 1).await;
        assert!(access.progress(root, done.id(), 1, Some(1)).await.unwrap());
        access.end_operation(root, done.id(), Ok(json!(1))).await.unwrap();
        assert!(!access.progress(root, done.id(), 0, None).await.unwrap(), "it is over");
        access.end_operation(root, done.id(), Err("no".into())).await.unwrap();
        assert_eq!(status(&world, &done).await, "SUCCEEDED");
        let error = refusal(access.cancel_operation(root, done.id(), None).await);
        assert_eq!((error.code, error.path), (ErrorCode::Validation, vec!["id".to_owned()]));

        let canceled = started(&world, root, 2).await;
        access.cancel_operation(root, canceled.id(), Some(1)).await.unwrap();
        assert!(!access.is_awaited(root, canceled.id()).await.unwrap());
        assert!(!access.progress(root, canceled.id(), 1, None).await.unwrap());
        access.settle_operation(root, canceled.id(), 1, Some(2), json!({ "done": 1 })).await.unwrap();
        let row = access.operation(root, canceled.id()).await.unwrap().unwrap();
        assert_eq!((row.text("status").as_str(), row.int("done")), ("CANCELED", 1), "told, and still canceled");
        assert!(!row.get("result").is_null());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_canceled_by_who_started_it_and_by_administrators() {
    in_each_world(|world| async move {
        for (name, role) in [("ada", "agent"), ("amy", "agent"), ("otto", "auditor"), ("root", "administrator")] {
            world.user(name, &[role]).await;
        }
        let ada = world.ctx("ada").await;
        let operation = started(&world, &ada, 1).await;
        for (name, code) in [("amy", ErrorCode::NotFound), ("otto", ErrorCode::Forbidden)] {
            let ctx = world.ctx(name).await;
            let refused = world.access.cancel_operation(&ctx, operation.id(), None).await;
            assert_eq!(refusal(refused).code, code, "{name}");
        }
        let stale = world.access.cancel_operation(&ada, operation.id(), Some(7)).await;
        assert_eq!(refusal(stale).code, ErrorCode::Conflict);
        assert_eq!(status(&world, &operation).await, "PENDING");
        world.access.cancel_operation(&ada, operation.id(), None).await.unwrap();
        let again = world.access.cancel_operation(&ada, operation.id(), None).await.unwrap();
        assert_eq!((again.record.text("status").as_str(), again.events.len()), ("CANCELED", 0));
        let other = started(&world, &ada, 1).await;
        let root = world.ctx("root").await;
        world.access.cancel_operation(&root, other.id(), None).await.unwrap();
        assert_eq!(status(&world, &other).await, "CANCELED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_may_do_what_its_starter_may_by_then() {
    in_each_world(|world| async move {
        let ada = world.user("ada", &["agent"]).await;
        let team = world.team("network").await;
        let session = world.ctx("ada").await;
        let issued = world.token(&session, &["ticket.read", "ticket.update"]).await;
        let by_token = world.access.authenticate(issued.secret.reveal(), "test").await.unwrap().ctx;
        let (whole, narrow) = (Starter::of(&session), Starter::of(&by_token));
        let acting = async |starter: &Starter| world.access.acting(&world.root, starter).await.unwrap();
        let now = acting(&whole).await.unwrap();
        assert_eq!((now.actor, &now.grants, &now.channel), (session.actor, &session.grants, &session.channel));
        let now = acting(&narrow).await.unwrap();
        assert!(now.grants.holds("ticket.update") && !now.grants.holds("ticket.assign"), "as the token's scopes say");

        let member = Membership { team: TeamRef::Id(team.public_id()), user: UserRef::from(&ada) };
        world.access.team_member_add(&world.root, member).await.unwrap();
        assert_eq!(acting(&whole).await.unwrap().grants.teams, [team.id], "as it is by then");
        world.access.api_token_revoke(&session, issued.token.public_id()).await.unwrap();
        assert!(acting(&narrow).await.is_none(), "the token holds no longer");
        assert!(acting(&whole).await.is_some());
        let gone = UserUpdate { active: Patch::Set(false), ..UserUpdate::of(UserRef::from(&ada)) };
        world.access.user_update(&world.root, gone).await.unwrap();
        assert!(acting(&whole).await.is_none());
        let system = acting(&Starter::of(&world.root)).await.unwrap();
        assert_eq!((system.actor, &system.grants), (world.root.actor, &world.root.grants));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn items_go_before_their_operation_a_bounded_number_at_a_time() {
    in_each_world(|world| async move {
        let (access, root) = (&world.access, &world.root);
        let many = started(&world, root, SWEEP_ITEMS as usize + 1).await;
        let open = started(&world, root, 3).await;
        access.end_operation(root, many.id(), Ok(json!(1))).await.unwrap();
        assert!(!access.sweep_operations().await.unwrap(), "it is kept for a while");
        world.store.clock.advance(KEPT + Duration::seconds(1));
        assert!(access.sweep_operations().await.unwrap(), "there is more");
        let left = access.count_items(root, many.id()).await.unwrap();
        assert_eq!(left.values().sum::<i64>(), 1);
        assert!(access.operation(root, many.id()).await.unwrap().is_some());
        assert!(!access.sweep_operations().await.unwrap());
        assert!(access.operation(root, many.id()).await.unwrap().is_none());
        assert!(access.operation(root, open.id()).await.unwrap().is_some(), "what is not over stays");
        assert_eq!(access.count_items(root, open.id()).await.unwrap().values().sum::<i64>(), 3);
    })
    .await;
}
