//! Tickets as of an instant, where the log itself is the matter: how many events are read, and what is missing in it.

use chrono::Duration;
use incident::INCIDENT;
use kernel::{Detail, ErrorCode};
use serde_json::{Map, Value as Json};
use store::query::Row;
use store::{Audience, NewEvent};
use ticket::as_of::MAX_EVENTS;
use ticket::events::{self, is_told};

use crate::setup::*;

/// Tells of a ticket so many times, without changing it.
async fn tell(world: &World, ticket: &Row, times: usize) {
    let event = NewEvent {
        kind: events::WATCHED,
        subject_kind: events::SUBJECT,
        subject: ticket.id(),
        version: 1,
        audience: Audience::Public,
        changes: Vec::new(),
        facts: Map::new(),
        payload: Json::Null,
        occurred_at: None,
        actor: None,
    };
    for start in (0..times).step_by(1_000) {
        let event = event.clone();
        let written = world.store.write(&world.root, "test.tell", move |tx| {
            (start..times.min(start + 1_000)).for_each(|_| tx.emit(event.clone()));
            Box::pin(async move { Ok(()) })
        });
        written.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_events_are_read_than_the_limit() {
    in_each_world(|world| async move {
        let ticket = world.open("x").await;
        let opened = world.now();
        world.advance(Duration::hours(1));
        tell(&world, &ticket, MAX_EVENTS - 1).await;
        let amy = world.ctx("amy");
        // With the creation, as many as may be read.
        let before = world.store.statement_count();
        let row = world.tickets.as_of(&amy, &by_id(&ticket), opened).await.unwrap().unwrap();
        assert_eq!(row.text("title"), "x");
        let statements = world.store.statement_count() - before;
        assert!(statements <= 1 + MAX_EVENTS as u64 / 250 + 1, "{statements}");
        assert_eq!(
            world.tickets.compare(&amy, &by_id(&ticket), opened, world.now()).await.unwrap().unwrap().events,
            9_999
        );

        tell(&world, &ticket, 1).await;
        let refused = refusal(world.tickets.as_of(&amy, &by_id(&ticket), opened).await);
        assert_eq!((refused.code, refused.path.join(".").as_str()), (ErrorCode::Limit, "asOf"));
        assert_eq!(refused.detail, Detail::Limit { limit: MAX_EVENTS as u64 });
        let refused = refused_at(world.tickets.compare(&amy, &by_id(&ticket), opened, world.now()).await.map(|_| ()));
        assert_eq!(refused, (ErrorCode::Limit, "from".to_owned()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_the_log_is_as_it_was() {
    in_each_world(|world| async move {
        let ticket = world.open_for_network("x").await;
        let mut seen = vec![(world.now(), world.see(&ticket).await)];
        for step in 0..8 {
            world.advance(Duration::minutes(step % 3));
            match step {
                0 => drop(
                    world.assign("lee", &ticket, (kernel::Patch::Keep, kernel::Patch::Set(user("abe")))).await.unwrap(),
                ),
                1 => world.comment("abe", &ticket, "We look into it.").await,
                2 => drop(world.transition("abe", &ticket, "hold", inputs_of("hold")).await.unwrap()),
                3 => drop(world.incidents.update(&world.ctx("amy"), retitle(&ticket, "y")).await.unwrap()),
                4 => drop(world.transition("abe", &ticket, "resolve", inputs_of("resolve")).await.unwrap()),
                5 => drop(world.transition("amy", &ticket, "reopen", inputs_of("reopen")).await.unwrap()),
                6 => drop(
                    world
                        .assign("amy", &ticket, (kernel::Patch::Set(team("desktop")), kernel::Patch::Clear))
                        .await
                        .unwrap(),
                ),
                _ => drop(world.transition("amy", &ticket, "cancel", inputs_of("cancel")).await.unwrap()),
            }
            seen.retain(|(at, _)| *at != world.now());
            seen.push((world.now(), world.see(&ticket).await));
        }
        for (at, row) in &seen {
            let then = world.tickets.as_of(&world.root, &by_id(&ticket), *at).await.unwrap().unwrap();
            for field in INCIDENT.all_fields() {
                let told = is_told(field) || ["version", "updatedAt"].contains(&field.name);
                let hidden = field.read == predicate::Policy::Never;
                let expected = if told && !hidden { row.get(field.name) } else { &predicate::Value::Null };
                assert_eq!(then.get(field.name), expected, "{} at {at}", field.name);
            }
        }
        let earlier = seen[0].0 - Duration::microseconds(1);
        assert_eq!(world.tickets.as_of(&world.root, &by_id(&ticket), earlier).await.unwrap(), None);
    })
    .await;
}
