//! What each role sees of tickets: rows, counts, fields, events, and what a filter or an order may name.

use std::collections::BTreeMap;

use incident::INCIDENT;
use kernel::{ErrorCode, Page, PageArguments, Patch};
use predicate::{Facts, Operand, Path, Predicate, Test, Value};
use store::query::OrderTerm;
use ticket::CommentVisibility::Public;
use ticket::events::EventFacts;
use ticket::fields::{EVENT, TICKET};
use ticket::queries::ListRequest;

use crate::setup::*;

async fn titles(world: &World, who: &str, filter: Predicate) -> Vec<String> {
    let request = ListRequest { record: &TICKET, filter, order: vec![], page: Page::first(100), relations: vec![] };
    let rows = world.tickets.list(&world.ctx(who), request).await.unwrap().rows;
    let mut titles: Vec<_> = rows.iter().map(|row| row.text("title")).collect();
    titles.sort_unstable();
    titles
}

/// One ticket of rita without a team, one of hers with each team, one of rob's with network, one of ada's with desktop.
async fn tickets(world: &World) {
    world.open("rita none").await;
    world.open_for_network("rita network").await;
    let row = world.open("rita desktop").await;
    world.assign("amy", &row, (Patch::Set(team("desktop")), Patch::Keep)).await.unwrap();
    let row = world.create(&world.ctx("rob"), new("rob network")).await;
    world.assign("amy", &row, (Patch::Set(team("network")), Patch::Set(user("abe")))).await.unwrap();
    let row = world.create(&world.ctx("ada"), new("ada desktop")).await;
    world.assign("amy", &row, (Patch::Set(team("desktop")), Patch::Keep)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_sees_its_part() {
    in_each_world(|world| async move {
        tickets(&world).await;
        let all = vec!["ada desktop", "rita desktop", "rita network", "rita none", "rob network"];
        let sights = BTreeMap::from([
            ("rita", vec!["rita desktop", "rita network", "rita none"]),
            ("rob", vec!["rob network"]),
            // What she opened for others is hers to see, and what the team has.
            ("ada", vec!["ada desktop", "rita network", "rob network"]),
            ("abe", vec!["rita network", "rob network"]),
            ("dana", vec!["ada desktop", "rita desktop"]),
            ("lee", all.clone()),
            ("amy", all.clone()),
            ("ivy", all),
        ]);
        for (who, expected) in sights {
            assert_eq!(titles(&world, who, Predicate::always()).await, expected, "{who}");
            let ctx = world.ctx(who);
            let count = world.tickets.count(&ctx, &INCIDENT, Predicate::always()).await.unwrap();
            assert_eq!((count.total as usize, count.exact), (expected.len(), true), "{who}");
            let ids: Vec<_> = world.all(&INCIDENT).await.iter().map(store::query::Row::id).collect();
            assert_eq!(world.tickets.by_ids(&ctx, &TICKET, &ids, &[]).await.unwrap().len(), expected.len(), "{who}");
            let opened = Predicate::eq("kind", "IncidentCreated");
            world.store.number_events().await.unwrap();
            let events = world.tickets.events(&ctx, opened.clone(), &Page::first(100)).await.unwrap();
            assert_eq!(events.rows.len(), expected.len(), "{who}: events go as the tickets do");
            assert_eq!(world.tickets.count(&ctx, &EVENT, opened).await.unwrap().total as usize, expected.len());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_relative_filters_mean_the_viewer() {
    in_each_world(|world| async move {
        tickets(&world).await;
        let mine = |field: &str| Predicate::Is(Path::field(field), Test::Eq(Operand::Viewer));
        let of_my_teams = Predicate::Is(Path::field("team"), Test::InViewerTeams);
        assert_eq!(titles(&world, "abe", mine("assignee")).await, ["rob network"]);
        assert_eq!(titles(&world, "amy", mine("assignee")).await, [""; 0]);
        assert_eq!(titles(&world, "lee", of_my_teams.clone()).await, ["rita network", "rob network"]);
        assert_eq!(titles(&world, "ivy", of_my_teams.clone()).await, [""; 0], "no team, no row");
        assert_eq!(titles(&world, "ivy", !of_my_teams).await.len(), 5);
        let older = |offset| Predicate::Is(Path::field("createdAt"), Test::Lt(Operand::Now { offset }));
        world.advance(chrono::Duration::hours(1));
        world.open("rita new").await;
        assert_eq!(titles(&world, "amy", older(-60)).await.len(), 5);
        assert_eq!(titles(&world, "amy", !older(-60)).await, ["rita new"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_role_never_reads_it_may_not_name() {
    in_each_world(|world| async move {
        tickets(&world).await;
        let count = |who: &str, filter| {
            let (ctx, tickets) = (world.ctx(who), world.tickets.clone());
            async move { tickets.count(&ctx, &TICKET, filter).await }
        };
        let often = || Predicate::Is(Path::field("reassignmentCount"), Test::Gte(Operand::Value(Value::Int(0))));
        assert_eq!(
            refused_at(count("rita", often()).await),
            (ErrorCode::Validation, "filter.reassignmentCount".into())
        );
        assert_eq!(refused_at(count("rita", Predicate::All(vec![!often()])).await).0, ErrorCode::Validation);
        assert_eq!(count("lee", often()).await.unwrap().total, 5);
        assert_eq!(count("ada", often()).await.unwrap().total, 2, "where she may not read it, it is absent");
        assert_eq!(count("ada", !often()).await.unwrap().total, 1);
        let order = |who: &str, field: &str| {
            let order = vec![OrderTerm { field: field.into(), descending: false, nulls_first: true }];
            let request = ListRequest {
                record: &TICKET,
                filter: Predicate::always(),
                order,
                page: Page::first(9),
                relations: vec![],
            };
            let (ctx, tickets) = (world.ctx(who), world.tickets.clone());
            async move { tickets.list(&ctx, request).await }
        };
        assert_eq!(refused_at(order("rita", "reassignmentCount").await), (ErrorCode::Validation, "orderBy".into()));
        assert!(order("ada", "reassignmentCount").await.unwrap().rows[0].get("reassignmentCount").is_null());
        for field in ["description", "id", "nonsense"] {
            assert_eq!(refused_at(order("amy", field).await).0, ErrorCode::Validation, "{field}");
        }
        let address = Predicate::eq("email", "rita@acme.example").through("requester");
        assert_eq!(count("rita", address.clone()).await.unwrap().total, 3, "one's own");
        assert_eq!(
            count("rob", Predicate::eq("email", "rob@acme.example").through("requester")).await.unwrap().total,
            1
        );
        assert_eq!(count("amy", address).await.unwrap().total, 3);
        let unknown = refused_at(count("amy", Predicate::eq("shoeSize", 7).through("requester")).await);
        assert_eq!(unknown, (ErrorCode::Validation, "filter.requester.shoeSize".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loaded_relations_are_masked_as_their_records_are() {
    in_each_world(|world| async move {
        tickets(&world).await;
        for (who, expected) in [("abe", vec!["rita", "rob"]), ("rita", vec!["rita"])] {
            let request = ListRequest {
                record: &INCIDENT,
                filter: Predicate::eq(
                    "team",
                    world
                        .all(&INCIDENT)
                        .await
                        .iter()
                        .find_map(|row| (row.text("title") == "rita network").then(|| row.get("team").as_id().unwrap()))
                        .unwrap(),
                ),
                order: vec![],
                page: Page::first(9),
                relations: vec!["requester", "team", "assignee"],
            };
            let rows = world.tickets.list(&world.ctx(who), request).await.unwrap().rows;
            let mut names: Vec<_> = rows.iter().map(|row| row.relation("requester").unwrap().text("name")).collect();
            names.sort_unstable();
            assert_eq!(names, expected);
            assert!(rows.iter().all(|row| row.relation("team").unwrap().text("slug") == "network"));
            let opener = rows.iter().filter_map(|row| row.relation("assignee")).all(|row| row.get("email").is_null());
            assert_eq!(opener, who == "rita", "{who}: addresses are for those who may read them");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_pages_by_log_cursors_alone() {
    in_each_world(|world| async move {
        tickets(&world).await;
        world.store.number_events().await.unwrap();
        let amy = world.ctx("amy");
        let events = |ctx: &kernel::Ctx, arguments: PageArguments| {
            let (ctx, tickets) = (ctx.clone(), world.tickets.clone());
            async move { tickets.events(&ctx, Predicate::eq("subjectKind", "ticket"), &Page::new(arguments)?).await }
        };
        let first = |first, after| PageArguments { first: Some(first), after, ..Default::default() };
        let all = events(&amy, first(100, None)).await.unwrap();
        let mut walked = Vec::new();
        let mut after = None;
        loop {
            let page = events(&amy, first(2, after.clone())).await.unwrap();
            assert_eq!(page.has_previous, after.is_some());
            walked.extend(page.rows.clone());
            after = page.cursors.last();
            if !page.has_next {
                break;
            }
        }
        assert_eq!(walked, all.rows);
        let last = PageArguments { last: Some(3), before: all.cursors.last(), ..Default::default() };
        let page = events(&amy, last).await.unwrap();
        let end = all.rows.len() - 1;
        assert_eq!((page.rows, page.has_previous, page.has_next), (all.rows[end - 3..end].to_vec(), true, true));
        let bad =
            |result: kernel::Result<store::query::Slice>| assert_eq!(result.unwrap_err().code(), ErrorCode::BadCursor);
        let request = ListRequest {
            record: &TICKET,
            filter: Predicate::always(),
            order: vec![],
            page: Page::first(9),
            relations: vec![],
        };
        let slice = world.tickets.list(&amy, request).await.unwrap();
        bad(events(&amy, first(2, slice.cursors.first())).await);
        bad(events(&amy, first(2, Some("nonsense".into()))).await);
        let (other, _) = tenant(&world.access, "other").await;
        bad(events(&other, first(2, all.cursors.first())).await);
        let log = world.tickets.log_cursor(&amy).await.unwrap();
        assert!(events(&amy, first(2, Some(log))).await.unwrap().rows.is_empty(), "nothing since");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_facts_of_an_event_tell_the_ticket_before_and_after_it() {
    in_each_world(|world| async move {
        let catalogue = world.access.catalogue();
        let read = |facts: &EventFacts<'_>, path: Path| facts.value(&path);
        let outcome = world.incidents.create(&world.ctx("rita"), new("x")).await.unwrap();
        let row = outcome.row.unwrap();
        let opened = &outcome.events[0];
        let (before, after) =
            (EventFacts::before(&INCIDENT, catalogue, opened), EventFacts::after(&INCIDENT, catalogue, opened));
        for name in ["id", "title", "requester", "state"] {
            assert!(read(&before, Path::field(name)).is_null(), "{name} was not there before");
            assert_eq!(&read(&after, Path::field(name)), row.get(name));
        }
        let outcome = world.assign("lee", &row, (Patch::Set(team("network")), Patch::Set(user("ada")))).await.unwrap();
        let row = outcome.row.unwrap();
        let assigned = &outcome.events[0];
        let (before, after) =
            (EventFacts::before(&INCIDENT, catalogue, assigned), EventFacts::after(&INCIDENT, catalogue, assigned));
        for (path, was, is) in [
            (Path::field("state"), Value::from("new"), Value::from("assigned")),
            (Path::field("title"), "x".into(), "x".into()),
            (Path::field("team"), Value::Null, row.get("team").clone()),
            (Path::through("team", "id"), Value::Null, row.get("team").clone()),
            (Path::through("team", "slug"), Value::Null, "network".into()),
            (Path::through("assignee", "name"), Value::Null, "ada".into()),
            (Path::through("requester", "name"), "rita".into(), "rita".into()),
            (Path::through("incident", "origin"), "API".into(), "API".into()),
        ] {
            assert_eq!((read(&before, path.clone()), read(&after, path.clone())), (was, is), "{}", path.dotted());
        }
        let said = world.tickets.add_comment(&world.ctx("rita"), comment(&row, "hi", Public)).await.unwrap();
        let facts = EventFacts::before(&INCIDENT, catalogue, &said.events[0]);
        assert_eq!(read(&facts, Path::field("state")), Value::from("assigned"), "a comment changes no field");
    })
    .await;
}
