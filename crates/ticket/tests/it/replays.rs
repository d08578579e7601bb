//! The same call again: by another, after rights went, in a hurry.

use futures_util::future::join_all;
use kernel::{ErrorCode, Patch};
use serde_json::json;
use ticket::CommentVisibility::Public;
use ticket::{CreateCategory, Priority};

use crate::setup::*;

#[tokio::test(flavor = "multi_thread")]
async fn every_mutation_answers_a_second_call_with_what_the_first_did() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        let (ada, amy) = (world.ctx("ada"), world.ctx("amy"));
        let (tickets, incidents) = (&world.tickets, &world.incidents);
        let key = |ctx: &kernel::Ctx| keyed(ctx, "once", 1);
        let mut told = Vec::new();
        for _ in 0..2 {
            let assign = ticket::AssignTicket {
                ticket: by_id(&row),
                team: Patch::Keep,
                assignee: Patch::Set(user("abe")),
                expected_version: None,
            };
            let matrix = vec![ticket::priority::PriorityRule {
                impact: ticket::Impact::Low,
                urgency: ticket::Urgency::Low,
                priority: Priority::P1,
            }];
            let category = CreateCategory { key: "vpn".into(), name: "VPN".into(), parent: None };
            let mut retire = ticket::UpdateCategory {
                key: "vpn".into(),
                name: None,
                parent: Patch::Keep,
                retired: Some(true),
                expected_version: None,
            };
            retire.expected_version = Some(1);
            let answers = [
                incidents.create(&key(&ada), new("y")).await,
                incidents.update(&key(&ada), retitle(&row, "z")).await,
                tickets.assign(&key(&ada), assign).await,
                tickets.transition(&key(&ada), transition(&row, "start", json!({}))).await,
                tickets.watch(&key(&ada), watch(&row, None)).await,
                incidents.resolve(&key(&ada), by_id(&row), "SOLVED".into(), "x".into(), None).await,
                incidents.reopen(&key(&ada), by_id(&row), None, None).await,
                tickets.unwatch(&key(&ada), watch(&row, None)).await,
                tickets.create_category(&key(&amy), category).await,
                tickets.update_category(&key(&amy), retire).await,
            ];
            let mut round: Vec<_> = answers
                .into_iter()
                .map(|outcome| {
                    let outcome = outcome.unwrap();
                    (outcome.row.unwrap().id(), ids(&outcome.events))
                })
                .collect();
            let said = tickets.add_comment(&key(&ada), comment(&row, "hello", Public)).await.unwrap();
            assert_eq!(said.ticket.unwrap().id(), row.id());
            round.push((said.comment.unwrap().id(), ids(&said.events)));
            let (_, events) = tickets.set_priority_matrix(&key(&amy), matrix).await.unwrap();
            round.push((amy.tenant, ids(&events)));
            world.store.number_events().await.unwrap();
            told.push((round, world.dump().await));
        }
        assert!(told[0].0.iter().all(|(_, events)| !events.is_empty()));
        assert_eq!(told[0], told[1]);
    })
    .await;
}

fn ids(events: &[store::Event]) -> Vec<kernel::Uuid> {
    events.iter().map(|event| event.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_each_actors_own_and_fit_one_input() {
    in_each_world(|world| async move {
        let (ada, abe) = (world.ctx("ada"), world.ctx("abe"));
        let first = world.incidents.create(&keyed(&ada, "k", 1), new("a")).await.unwrap().row.unwrap();
        let others = world.incidents.create(&keyed(&abe, "k", 2), new("b")).await.unwrap().row.unwrap();
        assert_ne!(first.id(), others.id());
        let mismatch = refused_at(world.incidents.create(&keyed(&ada, "k", 2), new("b")).await);
        assert_eq!(mismatch, (ErrorCode::IdempotencyMismatch, "idempotencyKey".into()));
        let (other, people) = tenant(&world.access, "other").await;
        let theirs = world.incidents.create(&keyed(&people["ada"], "k", 3), new("c")).await.unwrap().row.unwrap();
        assert!(world.tickets.find(&other, &incident::INCIDENT, &by_id(&theirs), &[]).await.unwrap().is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_sight_is_told_nothing_by_a_second_call() {
    in_each_world(|world| async move {
        let row = world.open("secret plan").await;
        world.assign("amy", &row, (Patch::Set(team("network")), Patch::Keep)).await.unwrap();
        let ada = world.ctx("ada");
        let update = keyed(&ada, "u", 1);
        let said = keyed(&ada, "c", 1);
        world.incidents.update(&update, retitle(&row, "plan")).await.unwrap();
        world.tickets.add_comment(&said, comment(&row, "on it", Public)).await.unwrap();
        world.assign("amy", &row, (Patch::Set(team("desktop")), Patch::Keep)).await.unwrap();
        let again = world.incidents.update(&update, retitle(&row, "plan")).await.unwrap();
        assert!(again.row.is_none() && again.events.is_empty());
        let again = world.tickets.add_comment(&said, comment(&row, "on it", Public)).await.unwrap();
        assert!(again.comment.is_none() && again.ticket.is_none() && again.events.is_empty());
        let now = world.incidents.update(&ada, retitle(&row, "plan")).await;
        assert_eq!(refused_at(now), (ErrorCode::NotFound, "id".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_at_once_with_one_key_do_it_once() {
    in_each_world(|world| async move {
        let beside = Services::over(world.store.beside().await);
        let rita = keyed(&world.ctx("rita"), "k", 1);
        let calls =
            (0..4).flat_map(|_| [&world.incidents, &beside.incidents].map(|service| service.create(&rita, new("x"))));
        let mut made: Vec<_> =
            join_all(calls).await.into_iter().map(|result| result.unwrap().row.unwrap().id()).collect();
        made.dedup();
        assert_eq!(made.len(), 1);
        assert_eq!(world.all(&incident::INCIDENT).await.len(), 1);
    })
    .await;
}
