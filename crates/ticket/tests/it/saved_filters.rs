//! Saved filters: whose they are, what a key and a dry run mean for them, and how many there may be.

use std::sync::Arc;

use kernel::{Ctx, ErrorCode, Id, Patch, Result, id::prefix};
use predicate::Predicate;
use serde_json::{Value as Json, json};
use store::query::{self, Row};
use ticket::document::FilterDocuments;
use ticket::fields::SAVED_FILTER;
use ticket::saved_filter::{
    CreateSavedFilter, DeleteSavedFilter, MAX_COLUMNS, MAX_FILTERS, Sharing, UpdateSavedFilter,
};
use ticket::{Outcome, TicketKind};

use crate::setup::*;

/// Reads `{ "title": "x" }`; what filters really look like is the API's business.
struct Titles;

impl FilterDocuments for Titles {
    fn of_tickets(&self, document: &Json) -> Result<Predicate> {
        Ok(document
            .get("title")
            .and_then(Json::as_str)
            .map_or_else(Predicate::always, |title| Predicate::eq("title", title)))
    }

    fn of_kind(&self, _: TicketKind, document: &Json) -> Result<Predicate> {
        self.of_tickets(document)
    }
}

fn filter(name: &str, sharing: Sharing) -> CreateSavedFilter {
    CreateSavedFilter {
        name: name.into(),
        description: Some("What is mine".into()),
        filter: json!({ "title": "x" }),
        order: Json::Null,
        columns: vec!["number".into()],
        sharing,
        team: (sharing == Sharing::Team).then(|| team("network")),
        position: Some(3),
    }
}

async fn create(world: &World, ctx: &Ctx, command: CreateSavedFilter) -> Result<Outcome> {
    world.tickets.register_documents(Arc::new(Titles));
    world.tickets.create_saved_filter(ctx, command).await
}

fn id(row: &Row) -> Id {
    Id::new(prefix::SAVED_FILTER, row.id())
}

fn ids(events: &[store::Event]) -> Vec<kernel::Uuid> {
    events.iter().map(|event| event.id).collect()
}

fn rename(row: &Row, name: &str) -> UpdateSavedFilter {
    UpdateSavedFilter {
        id: id(row),
        name: Some(name.into()),
        description: Patch::Keep,
        filter: None,
        order: None,
        columns: None,
        position: Patch::Keep,
        expected_version: None,
    }
}

fn delete(row: &Row) -> DeleteSavedFilter {
    DeleteSavedFilter { id: id(row), expected_version: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_answers_what_was_answered_first() {
    in_each_world(|world| async move {
        let ada = world.ctx("ada");
        let mut made = Vec::new();
        for _ in 0..2 {
            let outcome = create(&world, &keyed(&ada, "c", 1), filter("Mine", Sharing::Personal)).await.unwrap();
            made.push((outcome.row.unwrap(), ids(&outcome.events)));
        }
        assert_eq!(made[0], made[1]);
        let row = made.remove(0).0;
        for _ in 0..2 {
            let outcome = world.tickets.update_saved_filter(&keyed(&ada, "u", 2), rename(&row, "Ours")).await.unwrap();
            let changed = outcome.row.unwrap();
            assert_eq!((changed.text("name"), changed.int("version")), ("Ours".into(), 2));
            assert_eq!(kinds(&outcome.events), ["SavedFilterUpdated"]);
        }
        let mut gone = Vec::new();
        for _ in 0..2 {
            let outcome = world.tickets.delete_saved_filter(&keyed(&ada, "d", 3), delete(&row)).await.unwrap();
            gone.push((outcome.row.unwrap(), ids(&outcome.events)));
        }
        assert_eq!(gone[0], gone[1], "what was deleted is told again as it was");
        assert_eq!(gone[1].0.text("name"), "Ours");
        assert_eq!(gone[1].0.texts("columns"), ["number"]);
        assert!(world.all(&SAVED_FILTER).await.is_empty());
        let other = world.tickets.delete_saved_filter(&keyed(&ada, "e", 3), delete(&row)).await;
        assert_eq!(refused_at(other).0, ErrorCode::NotFound);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_deletion_tells_those_who_may_still_know() {
    in_each_world(|world| async move {
        let lee = world.ctx("lee");
        let row = create(&world, &lee, filter("Of network", Sharing::Team)).await.unwrap().row.unwrap();
        let amy = world.ctx("amy");
        world.tickets.delete_saved_filter(&keyed(&amy, "d", 1), delete(&row)).await.unwrap();
        let again = world.tickets.delete_saved_filter(&keyed(&amy, "d", 1), delete(&row)).await.unwrap();
        assert_eq!(again.row.unwrap().text("name"), "Of network");
        // The same key by somebody who would not have seen it names another call.
        let rob = world.tickets.delete_saved_filter(&keyed(&world.ctx("rob"), "d", 1), delete(&row)).await;
        assert_eq!(refused_at(rob).0, ErrorCode::NotFound);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_leaves_nothing() {
    in_each_world(|world| async move {
        let ada = world.ctx("ada");
        let row = create(&world, &ada, filter("Mine", Sharing::Personal)).await.unwrap().row.unwrap();
        let before = world.dump().await;
        create(&world, &dry(&ada), filter("Another", Sharing::Personal)).await.unwrap();
        let renamed = world.tickets.update_saved_filter(&dry(&ada), rename(&row, "Ours")).await.unwrap();
        assert_eq!(renamed.row.unwrap().text("name"), "Ours");
        let deleted = world.tickets.delete_saved_filter(&dry(&ada), delete(&row)).await.unwrap();
        assert_eq!(deleted.row.unwrap().text("name"), "Mine");
        assert_eq!(world.dump().await, before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sees_one_and_who_changes_it() {
    in_each_world(|world| async move {
        let own = create(&world, &world.ctx("ada"), filter("Mine", Sharing::Personal)).await.unwrap().row.unwrap();
        let shared = create(&world, &world.ctx("lee"), filter("Of network", Sharing::Team)).await.unwrap().row.unwrap();
        let refused = create(&world, &world.ctx("ada"), filter("Of network", Sharing::Team)).await;
        assert_eq!(lacks(refused), "filter.share");
        let refused = create(&world, &world.ctx("lee"), filter("Of all", Sharing::Tenant)).await;
        assert_eq!(lacks(refused), "filter.share");
        for (who, sees) in
            [("ada", [true, true]), ("abe", [false, true]), ("dana", [false, false]), ("rita", [false, false])]
        {
            for (row, sees) in [&own, &shared].into_iter().zip(sees) {
                let found = world.tickets.saved_filter(&world.ctx(who), row.id()).await.unwrap();
                assert_eq!(found.is_some(), sees, "{who} and {}", row.text("name"));
                let changed = world.tickets.update_saved_filter(&world.ctx(who), rename(row, "Other")).await;
                match (sees, who == "ada" && row.id() == own.id()) {
                    (_, true) => assert!(changed.is_ok()),
                    (true, false) => assert_eq!(lacks(changed), "filter.share"),
                    (false, false) => assert_eq!(refused_at(changed).0, ErrorCode::NotFound),
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_may_be_so_many() {
    in_each_world(|world| async move {
        let ada = world.ctx("ada");
        let columns = |count: usize| vec!["number".to_owned(); count];
        let wide = CreateSavedFilter { columns: columns(MAX_COLUMNS + 1), ..filter("Wide", Sharing::Personal) };
        assert_eq!(refused_at(create(&world, &ada, wide).await), (ErrorCode::Limit, "columns".into()));
        let wide = CreateSavedFilter { columns: columns(MAX_COLUMNS), ..filter("Wide", Sharing::Personal) };
        let row = create(&world, &ada, wide).await.unwrap().row.unwrap();
        let (tenant, more) = (world.root.tenant, MAX_FILTERS - 2);
        let copies: Vec<Row> = (0..more)
            .map(|_| {
                let mut copy = row.clone();
                copy.set("id", ada.new_id().into());
                copy
            })
            .collect();
        let written = world.store.write(&world.root, "test.insert", move |tx| {
            let copies = copies.clone();
            Box::pin(async move { query::insert_all_in(tx, tenant, &SAVED_FILTER, &copies).await })
        });
        written.await.unwrap();
        create(&world, &ada, filter("Last", Sharing::Personal)).await.unwrap();
        assert_eq!(refused_at(create(&world, &ada, filter("One more", Sharing::Personal)).await).0, ErrorCode::Limit);
        create(&world, &world.ctx("abe"), filter("Another's", Sharing::Personal)).await.unwrap();
    })
    .await;
}
