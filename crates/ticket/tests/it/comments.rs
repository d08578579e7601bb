//! Comments: who says and who reads what.

use std::sync::Arc;

use futures_util::future::join_all;
use kernel::{ErrorCode, Page, PageDirection, Uuid};
use predicate::Predicate;
use serde_json::json;
use store::Audience;
use store::query::Row;
use ticket::CommentVisibility::{Internal, Public};
use ticket::fields::{COMMENT, EVENT};
use ticket::queries::ListRequest;
use ticket::{MAX_TEXT, events};

use crate::setup::*;

async fn bodies(world: &World, who: &str, ticket: &Row) -> Vec<String> {
    let rows = world.tickets.comments_of(&world.ctx(who), &[ticket.id()], PageDirection::Forward, 100).await.unwrap();
    rows.iter().map(|row| row.text("body")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_has_its_author_and_an_event() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        world.advance(chrono::Duration::minutes(1));
        let outcome =
            world.tickets.add_comment(&world.ctx("rita"), comment(&row, "any *news*?", Public)).await.unwrap();
        let said = outcome.comment.unwrap();
        assert_eq!((said.text("body").as_str(), said.get("author").as_id()), ("any *news*?", Some(world.id("rita"))));
        assert_eq!(
            (said.time("createdAt"), said.relation("author").unwrap().text("name").as_str()),
            (world.now(), "rita")
        );
        assert_eq!(outcome.ticket.unwrap().int("version"), 1);
        assert_eq!(kinds(&outcome.events), [events::COMMENT_ADDED]);
        let event = &outcome.events[0];
        assert_eq!((event.audience, event.version), (Audience::Public, 1));
        assert_eq!(
            event.payload,
            json!({ "comment": said.id().to_string(), "visibility": "PUBLIC", "role": "REQUESTER" })
        );
        assert!(event.changes.is_empty(), "a comment is no field");
        assert_eq!(event.facts["number"], json!("INC-1001"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requester_never_learns_of_an_internal_comment() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        world.comment("ada", &row, "on it").await;
        world.advance(chrono::Duration::milliseconds(1));
        let rita = world.ctx("rita");
        let list = |ctx| {
            let request = ListRequest {
                record: &COMMENT,
                filter: Predicate::always(),
                order: vec![],
                page: Page::first(10),
                relations: vec!["author"],
            };
            let tickets = world.tickets.clone();
            async move { tickets.list(&ctx, request).await.unwrap().rows }
        };
        let (seen, count) =
            (list(rita.clone()).await, world.tickets.count(&rita, &COMMENT, Predicate::always()).await.unwrap());
        let (events_before, row_before) = (world.history(&rita, &row).await, world.see(&row).await);
        let outcome =
            world.tickets.add_comment(&world.ctx("ada"), comment(&row, "the CEO again", Internal)).await.unwrap();
        assert_eq!(outcome.events[0].audience, Audience::Internal);
        let hidden = outcome.comment.unwrap().id();
        assert_eq!(list(rita.clone()).await, seen);
        assert_eq!(world.tickets.count(&rita, &COMMENT, Predicate::always()).await.unwrap(), count);
        assert_eq!(world.history(&rita, &row).await, events_before);
        let of_events = |filter| world.tickets.count(&rita, &EVENT, filter);
        assert_eq!(of_events(Predicate::eq("kind", events::COMMENT_ADDED)).await.unwrap().total, 1);
        assert_eq!(of_events(Predicate::eq("audience", "INTERNAL")).await.unwrap().total, 0);
        assert_eq!(
            world.tickets.comment(&rita, hidden).await.unwrap(),
            world.tickets.comment(&rita, Uuid::from_u128(7)).await.unwrap()
        );
        assert_eq!(bodies(&world, "rita", &row).await, ["on it"]);
        assert_eq!(world.see(&row).await, row_before, "the ticket shows no trace");
        for who in ["ada", "lee", "ivy", "amy"] {
            assert_eq!(bodies(&world, who, &row).await, ["on it", "the CEO again"], "{who}");
            assert_eq!(world.history(&world.ctx(who), &row).await.len(), 3, "{who}");
            assert!(world.tickets.comment(&world.ctx(who), hidden).await.unwrap().is_some(), "{who}");
        }
        for who in ["dana", "rob"] {
            assert!(bodies(&world, who, &row).await.is_empty(), "{who}");
            assert!(world.history(&world.ctx(who), &row).await.is_empty(), "{who}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_own_ticket_hides_what_the_team_says_of_it() {
    in_each_world(|world| async move {
        let command = incident::CreateIncident { team: Some(team("desktop")), ..new("my screen") };
        let row = world.create(&world.ctx("ada"), command).await;
        world.tickets.add_comment(&world.ctx("dana"), comment(&row, "again", Internal)).await.unwrap();
        assert!(bodies(&world, "ada", &row).await.is_empty(), "ada asks here, and is no member of the team");
        assert_eq!(bodies(&world, "dana", &row).await, ["again"]);
        let refused = world.tickets.add_comment(&world.ctx("ada"), comment(&row, "x", Internal)).await;
        assert_eq!(lacks(refused), "ticket.internal");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_are_asked_and_named() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        let add = |who: &str, visibility| {
            let (ctx, tickets, command) = (world.ctx(who), world.tickets.clone(), comment(&row, "x", visibility));
            async move { tickets.add_comment(&ctx, command).await }
        };
        assert_eq!(lacks(add("rita", Internal).await), "ticket.internal");
        assert_eq!(lacks(add("ivy", Public).await), "ticket.comment");
        assert_eq!(lacks(add("ivy", Internal).await), "ticket.comment");
        for who in ["rob", "dana"] {
            assert_eq!(refused_at(add(who, Public).await), (kernel::ErrorCode::NotFound, "id".into()));
        }
        let desktops = world.open("y").await;
        world.assign("amy", &desktops, (kernel::Patch::Set(team("desktop")), kernel::Patch::Keep)).await.unwrap();
        let refused = world.tickets.add_comment(&world.ctx("lee"), comment(&desktops, "x", Public)).await;
        assert_eq!(lacks(refused), "ticket.comment", "a lead reads all and speaks in their own team");
        assert!(add("rita", Public).await.is_ok() && add("ada", Internal).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_have_limits() {
    in_each_world(|world| async move {
        let row = world.open("x").await;
        let add = |body: String| world.tickets.add_comment(&world.root, comment(&row, &body, Public));
        for wrong in [String::new(), " \n".into(), "x".repeat(MAX_TEXT + 1), "ü".repeat(MAX_TEXT / 2 + 1), "a\0".into()]
        {
            assert_eq!(refused_at(add(wrong).await), (kernel::ErrorCode::Validation, "body".into()));
        }
        assert!(add("ü".repeat(MAX_TEXT / 2)).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_leaves_no_comment() {
    in_each_world(|world| async move {
        let row = world.open("x").await;
        let before = world.dump().await;
        let outcome =
            world.tickets.add_comment(&dry(&world.ctx("rita")), comment(&row, "hello", Public)).await.unwrap();
        assert_eq!(outcome.comment.unwrap().text("body"), "hello");
        assert_eq!(world.dump().await, before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_or_last_of_each_ticket_come_by_one_statement() {
    in_each_world(|world| async move {
        let mut tickets = Vec::new();
        for n in 0..3 {
            tickets.push(world.open_for_network(&format!("ticket {n}")).await);
        }
        let mut expected = Vec::new();
        for n in 0..5 {
            for ticket in &tickets[..2] {
                let visibility = if n == 3 { Internal } else { Public };
                world.advance(chrono::Duration::milliseconds(1));
                let body = format!("{} {n}", ticket.text("title"));
                world.tickets.add_comment(&world.ctx("ada"), comment(ticket, &body, visibility)).await.unwrap();
                expected.push((ticket.id(), n, body));
            }
        }
        let ids: Vec<_> = tickets.iter().map(Row::id).collect();
        for who in ["rita", "ada"] {
            for direction in [PageDirection::Forward, PageDirection::Backward] {
                for limit in [0, 1, 2, 4, 5, 9] {
                    let before = world.store.statement_count();
                    let rows = world.tickets.comments_of(&world.ctx(who), &ids, direction, limit).await.unwrap();
                    assert_eq!(world.store.statement_count() - before, 1);
                    let bodies: Vec<_> = rows.iter().map(|row| row.text("body")).collect();
                    let mut model: Vec<_> = tickets[..2]
                        .iter()
                        .flat_map(|ticket| {
                            let of_ticket =
                                expected.iter().filter(|(id, n, _)| *id == ticket.id() && (who == "ada" || *n != 3));
                            let of_ticket: Vec<_> = of_ticket.collect();
                            let limit = (limit as usize).min(of_ticket.len());
                            match direction {
                                PageDirection::Forward => of_ticket[..limit].to_vec(),
                                PageDirection::Backward => of_ticket[of_ticket.len() - limit..].to_vec(),
                            }
                        })
                        .collect();
                    model.sort_by_key(|(_, n, body)| (*n, body.clone()));
                    assert_eq!(
                        bodies,
                        model.iter().map(|(_, _, body)| body.clone()).collect::<Vec<_>>(),
                        "{who} {direction:?} {limit}"
                    );
                }
            }
        }
        assert!(world.tickets.comments_of(&world.ctx("ada"), &[], PageDirection::Forward, 5).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comment_tells_of_the_ticket_as_it_is_whoever_changes_it_meanwhile() {
    const TIMES: usize = 12;
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        let world = Arc::new(world);
        let people = (0..6).map(|number| {
            let (world, row) = (Arc::clone(&world), row.clone());
            tokio::spawn(async move {
                let ctx = world.ctx("ada");
                for time in 0..TIMES {
                    let title = format!("{number}-{time}");
                    loop {
                        let done = match number % 3 {
                            0 => world.incidents.update(&ctx, retitle(&row, &title)).await.map(|_| ()),
                            1 => world.tickets.add_comment(&ctx, comment(&row, &title, Public)).await.map(|_| ()),
                            _ if time % 2 == 0 => world.tickets.watch(&ctx, watch(&row, None)).await.map(|_| ()),
                            _ => world.tickets.unwatch(&ctx, watch(&row, None)).await.map(|_| ()),
                        };
                        match done {
                            Ok(()) => break,
                            Err(error) => assert_eq!(error.code(), ErrorCode::Unavailable, "{error}"),
                        }
                    }
                }
            })
        });
        join_all(people).await.into_iter().for_each(|joined| joined.unwrap());
        world.store.number_events().await.unwrap();
        let page = world.store.log().read_after(world.root.tenant, 0, 1_000).await.unwrap();
        let told: Vec<_> = page.events.iter().filter(|event| event.subject == row.id()).collect();
        assert!(told.is_sorted_by_key(|event| event.version), "an older version comes after a newer one");
        let mut title = json!("x");
        for event in told {
            if let Some(change) = event.changes.iter().find(|change| change.field == "title") {
                title = change.after.clone();
            }
            assert_eq!(event.facts["title"], title, "{} tells of what was before", event.kind);
        }
    })
    .await;
}
