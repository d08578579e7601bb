//! Watchers: who follows a ticket, and who may say so for others.

use access::UserCreate;
use futures_util::future::join_all;
use kernel::{Detail, ErrorCode};
use serde_json::json;
use ticket::{MAX_WATCHERS, events};

use crate::setup::*;

#[tokio::test(flavor = "multi_thread")]
async fn to_follow_twice_is_to_follow_once() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        let rita = world.ctx("rita");
        let outcome = world.tickets.watch(&rita, watch(&row, None)).await.unwrap();
        assert_eq!(kinds(&outcome.events), [events::WATCHED]);
        assert_eq!(outcome.events[0].payload, json!({ "user": rita.actor.id.to_string() }));
        assert!(outcome.events[0].changes.is_empty());
        assert!(world.tickets.watch(&rita, watch(&row, None)).await.unwrap().events.is_empty());
        let watchers = world.tickets.watchers_of(&rita, &[row.id()]).await.unwrap();
        assert_eq!(
            watchers.iter().map(|row| row.relation("actor").unwrap().text("name")).collect::<Vec<_>>(),
            ["rita"]
        );
        let outcome = world.tickets.unwatch(&rita, watch(&row, None)).await.unwrap();
        assert_eq!(kinds(&outcome.events), [events::UNWATCHED]);
        assert!(world.tickets.unwatch(&rita, watch(&row, None)).await.unwrap().events.is_empty());
        assert!(world.tickets.watchers_of(&rita, &[row.id()]).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn others_are_made_to_follow_by_those_who_may_change_the_ticket() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        let other = |who: &str| {
            let (ctx, tickets) = (world.ctx(who), world.tickets.clone());
            let command = watch(&row, Some(access::UserRef::Id(kernel::Id::new("usr", world.id("rob")))));
            async move { tickets.watch(&ctx, command).await }
        };
        assert_eq!(lacks(other("rita").await), "ticket.update");
        assert_eq!(lacks(other("ivy").await), "ticket.update");
        assert_eq!(refused_at(other("dana").await), (ErrorCode::NotFound, "id".into()));
        other("ada").await.unwrap();
        assert!(
            world.tickets.find(&world.ctx("rob"), &incident::INCIDENT, &by_id(&row), &[]).await.unwrap().is_none(),
            "to follow is not to see"
        );
        let nobody = watch(&row, Some(user("zoe")));
        let refused = world.tickets.watch(&world.ctx("ada"), nobody).await;
        assert_eq!(refused_at(refused), (ErrorCode::NotFound, "user.email".into()));
        let system = world.tickets.watch(&world.root, watch(&row, None)).await;
        assert_eq!(refused_at(system), (ErrorCode::Validation, "user".into()));
        let hidden = world.tickets.watch(&world.ctx("rob"), watch(&row, None)).await;
        assert_eq!(refused_at(hidden), (ErrorCode::NotFound, "id".into()));
        assert!(world.tickets.watchers_of(&world.ctx("rob"), &[row.id()]).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_a_limit() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        let users = join_all((0..=MAX_WATCHERS).map(|n| {
            let email = format!("w{n}@acme.example");
            let command = UserCreate { email, name: format!("w{n}"), ..UserCreate::default() };
            world.access.user_create(&world.root, command)
        }))
        .await;
        let mut users = users.into_iter().map(|user| access::UserRef::Id(user.unwrap().record.public_id()));
        for user in users.by_ref().take(MAX_WATCHERS) {
            world.tickets.watch(&world.ctx("ada"), watch(&row, Some(user))).await.unwrap();
        }
        let error = refusal(world.tickets.watch(&world.ctx("ada"), watch(&row, users.next())).await);
        assert_eq!((error.code, error.detail), (ErrorCode::Limit, Detail::Limit { limit: MAX_WATCHERS as u64 }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn to_follow_at_once_from_two_windows_is_to_follow_once() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        let beside = Services::over(world.store.beside().await);
        let rita = world.ctx("rita");
        let calls = (0..4)
            .flat_map(|_| [&world.tickets, &beside.tickets].map(|tickets| tickets.watch(&rita, watch(&row, None))));
        let told: usize = join_all(calls).await.into_iter().map(|result| result.unwrap().events.len()).sum();
        assert_eq!(told, 1);
        assert_eq!(world.all(&ticket::fields::WATCHER).await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_leaves_no_watcher() {
    in_each_world(|world| async move {
        let row = world.open("x").await;
        let before = world.dump().await;
        let outcome = world.tickets.watch(&dry(&world.ctx("rita")), watch(&row, None)).await.unwrap();
        assert_eq!(kinds(&outcome.events), [events::WATCHED]);
        assert_eq!(world.dump().await, before);
    })
    .await;
}
