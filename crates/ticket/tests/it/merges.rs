//! Merges: how much one takes, and what happens at the same time.

use futures_util::future::{join, join_all};
use kernel::{Ctx, ErrorCode, Id, id};
use predicate::Predicate;
use store::query::{self, Row};
use ticket::comment::revision::UpdateComment;
use ticket::fields::{COMMENT, TICKET_MERGE, WATCHER};
use ticket::merge::{MAX_MERGES, MERGE_MAX_COMMENTS, MergeTickets, SplitTicket};
use ticket::{AddComment, CommentVisibility, MAX_WATCHERS};

use crate::setup::*;

fn merge(duplicate: &Row, into: &Row) -> MergeTickets {
    MergeTickets { duplicate: by_id(duplicate), into: by_id(into), comment: None, expected_version: None }
}

/// Writes rows behind the platform's back: so many at once as nobody would by the API.
async fn insert(world: &World, rows: Vec<Row>, record: &'static predicate::RecordType) {
    let write = world.store.store.write(&world.root, "test", move |tx| {
        let rows = rows.clone();
        Box::pin(async move {
            query::insert_all_in(tx, tx.ctx().tenant, record, &rows).await?;
            let nothing = kernel::Id::new(kernel::id::prefix::TENANT, tx.ctx().tenant);
            tx.answers_with(store::RecordRef { id: nothing, version: 0 });
            Ok(())
        })
    });
    write.await.unwrap();
}

fn comments(ctx: &Ctx, ticket: &Row, author: &str, world: &World, count: usize) -> Vec<Row> {
    let comment = |number: usize| {
        let visibility = CommentVisibility::ALL[number % 2].as_str();
        let fields = vec![
            ("id", ctx.new_id().into()),
            ("ticket", ticket.id().into()),
            ("author", world.id(author).into()),
            ("visibility", visibility.into()),
            ("body", format!("word{number}").into()),
            ("version", 1.into()),
            ("createdAt", world.now().into()),
        ];
        Row::new(&COMMENT, fields)
    };
    (0..count).map(comment).collect()
}

async fn count(world: &World, ticket: &Row) -> u64 {
    let of_ticket = Predicate::eq("ticket", ticket.id());
    world.tickets.count(&world.root, &COMMENT, of_ticket).await.unwrap().total
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_moves_so_many_comments_and_no_more() {
    in_each_world(|world| async move {
        let (copy, original) = (world.open_for_network("copy").await, world.open_for_network("original").await);
        let ada = world.ctx("ada");
        insert(&world, comments(&ada, &copy, "rita", &world, MERGE_MAX_COMMENTS + 1), &COMMENT).await;
        let refused = refusal(world.tickets.merge(&ada, merge(&copy, &original)).await);
        assert_eq!((refused.code, refused.path.join(".")), (ErrorCode::Limit, "id".into()));
        // Of another one, as many as there may be.
        let full = world.open_for_network("full").await;
        insert(&world, comments(&ada, &full, "rita", &world, MERGE_MAX_COMMENTS), &COMMENT).await;
        let before = world.store.store.statement_count();
        let outcome = world.tickets.merge(&ada, merge(&full, &original)).await.unwrap();
        let statements = world.store.store.statement_count() - before;
        assert!(statements <= 32, "{statements} statements");
        assert_eq!(outcome.merge.unwrap().int("comments"), MERGE_MAX_COMMENTS as i64);
        assert_eq!((count(&world, &full).await, count(&world, &original).await), (0, MERGE_MAX_COMMENTS as u64));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_takes_so_many_merges_and_watchers() {
    in_each_world(|world| async move {
        let (copy, original) = (world.open_for_network("copy").await, world.open_for_network("original").await);
        let (ada, now) = (world.ctx("ada"), world.now());
        let watchers = |count: usize| -> Vec<Row> {
            let row = |actor: kernel::Uuid| {
                let fields = vec![
                    ("id", ada.new_id().into()),
                    ("ticket", original.id().into()),
                    ("actor", actor.into()),
                    ("createdAt", now.into()),
                ];
                Row::new(&WATCHER, fields)
            };
            ["rob", "abe", "lee", "amy", "ivy", "dana"].iter().take(count).map(|name| row(world.id(name))).collect()
        };
        insert(&world, watchers(2), &WATCHER).await;
        let outcome = world.tickets.merge(&ada, merge(&copy, &original)).await.unwrap();
        assert_eq!(outcome.merge.unwrap().int("watchers"), 1, "rita, who asked");
        assert!(world.tickets.watchers_of(&world.root, &[original.id()]).await.unwrap().len() < MAX_WATCHERS);
        let past = |_| {
            let fields = vec![
                ("id", ada.new_id().into()),
                ("ticket", original.id().into()),
                ("duplicate", copy.id().into()),
                ("mergedBy", ada.actor.id.into()),
                ("mergedAt", now.into()),
                ("undoableUntil", now.into()),
                ("undoneAt", now.into()),
                ("undoneBy", ada.actor.id.into()),
                ("comments", 0.into()),
                ("attachments", 0.into()),
                ("watchers", 0.into()),
                ("before", predicate::Value::Json(serde_json::json!({}))),
            ];
            Row::new(&TICKET_MERGE, fields)
        };
        insert(&world, (1..MAX_MERGES).map(past).collect(), &TICKET_MERGE).await;
        let next = world.open_for_network("next").await;
        let refused = refusal(world.tickets.merge(&ada, merge(&next, &original)).await);
        assert_eq!((refused.code, refused.path.join(".")), (ErrorCode::Limit, "into".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_go_into_each_other_one_stays() {
    in_each_world(|world| async move {
        for round in 0..5 {
            let one = world.open_for_network(&format!("one {round}")).await;
            let other = world.open_for_network(&format!("other {round}")).await;
            let (ada, abe) = (world.ctx("ada"), world.ctx("abe"));
            let tickets = &world.tickets;
            let (there, back) =
                join(tickets.merge(&ada, merge(&one, &other)), tickets.merge(&abe, merge(&other, &one))).await;
            assert!(there.is_ok() != back.is_ok(), "{there:?} {back:?}");
            let merged = [world.see(&one).await, world.see(&other).await];
            assert_eq!(merged.iter().filter(|row| row.get("mergedInto").is_null()).count(), 1);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_meanwhile_is_on_the_one_that_goes_on_or_refused() {
    in_each_world(|world| async move {
        for round in 0..5 {
            let copy = world.open_for_network(&format!("copy {round}")).await;
            let original = world.open_for_network(&format!("original {round}")).await;
            let (ada, rita) = (world.ctx("ada"), world.ctx("rita"));
            let say = |number: usize| {
                let command = AddComment {
                    ticket: by_id(&copy),
                    body: format!("{number}"),
                    visibility: CommentVisibility::Public,
                    files: None,
                };
                let (tickets, rita) = (world.tickets.clone(), rita.clone());
                async move { tickets.add_comment(&rita, command).await }
            };
            let (merged, said) =
                join(world.tickets.merge(&ada, merge(&copy, &original)), join_all((0..6).map(say))).await;
            merged.unwrap();
            let taken = said.iter().filter(|result| result.is_ok()).count() as u64;
            for refused in said.into_iter().filter(Result::is_err) {
                assert_eq!(refused_at(refused), (ErrorCode::Validation, "id".into()));
            }
            assert_eq!((count(&world, &copy).await, count(&world, &original).await), (0, taken));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_edited_while_it_moves_is_told_where_it_stands() {
    in_each_world(|world| async move {
        for round in 0..5 {
            let original = world.open_for_network(&format!("original {round}")).await;
            let (ada, rita) = (world.ctx("ada"), world.ctx("rita"));
            let mut said = Vec::new();
            for number in 0..6 {
                let body = comment(&original, &number.to_string(), CommentVisibility::Public);
                let outcome = world.tickets.add_comment(&rita, body).await.unwrap();
                said.push(Id::new(id::prefix::COMMENT, outcome.comment.unwrap().id()));
            }
            let split = SplitTicket {
                ticket: by_id(&original),
                comments: said.clone(),
                title: "new".into(),
                description: None,
                requester: None,
                impact: None,
                urgency: None,
                category: None,
                service: None,
                team: None,
                assignee: None,
                tags: Vec::new(),
                custom_fields: Vec::new(),
                expected_version: None,
            };
            let edit = |id: Id| {
                let command = UpdateComment { id, body: "edited".into(), expected_version: None };
                let (tickets, rita) = (world.tickets.clone(), rita.clone());
                async move { tickets.update_comment(&rita, command).await }
            };
            let (new, edited) = join(world.tickets.split(&ada, split), join_all(said.iter().copied().map(edit))).await;
            assert!(new.is_ok(), "{new:?}");
            for outcome in edited {
                let outcome = outcome.unwrap();
                let stands = outcome.comment.unwrap().get("ticket").as_id();
                assert_eq!((Some(outcome.events[0].subject), outcome.ticket.map(|row| row.id())), (stands, stands));
            }
        }
    })
    .await;
}
