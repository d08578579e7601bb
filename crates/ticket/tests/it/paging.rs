//! Paging: every row once, in the order of a model, both ways, also while rows come in between; and cursors fit one list.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use incident::INCIDENT;
use kernel::{Ctx, ErrorCode, Page, PageArguments, PageDirection, Uuid};
use predicate::{Policy, Predicate, RecordType, Value, evaluate, masked_value};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseResult;
use store::query::{OrderTerm, Row, Slice};
use ticket::fields::TICKET;
use ticket::queries::ListRequest;

use crate::company::{Company, broken, check, insert, sample};
use crate::probe::PROBE;
use crate::setup::{World, in_each_world, in_each_world_with, new, tenant};

const TICKETS: usize = 40;
const CASES: u32 = 150;

fn orders(record: &'static RecordType) -> impl Strategy<Value = Vec<OrderTerm>> {
    let fields = record.all_fields().filter(|field| field.order != Policy::Never);
    let fields: Vec<_> = fields.map(|field| field.name).collect();
    let term = (select(fields), any::<bool>(), any::<bool>());
    let term =
        term.prop_map(|(field, descending, nulls_first)| OrderTerm { field: field.into(), descending, nulls_first });
    vec(term, 1..4)
}

/// The order of the model: the values as the viewer may read them, then the id.
fn compare(order: &[OrderTerm], one: &Row, other: &Row) -> Ordering {
    for term in order {
        let (a, b) = (one.get(&term.field), other.get(&term.field));
        let ordering = match (a.is_null(), b.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) if term.nulls_first => Ordering::Less,
            (true, false) => Ordering::Greater,
            (false, true) if term.nulls_first => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => {
                let ascending = a.compare(b).expect("values of one field compare");
                if term.descending { ascending.reverse() } else { ascending }
            }
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
    one.id().cmp(&other.id())
}

/// The visible rows as the viewer may read them, in the order of the list.
fn model(world: &World, ctx: &Ctx, record: &'static RecordType, order: &[OrderTerm], rows: &[Row]) -> Vec<Uuid> {
    let visible = world.access.visible(ctx);
    let visibility = &visible[record.name];
    let mut seen: Vec<Row> = rows
        .iter()
        .filter(|row| evaluate(&visibility.row, *row))
        .map(|row| {
            let fields = record.all_fields().map(|field| (field.name, masked_value(visibility, row, field.name)));
            Row::new(record, fields.collect())
        })
        .collect();
    seen.sort_by(|one, other| compare(order, one, other));
    seen.iter().map(Row::id).collect()
}

fn request(record: &'static RecordType, order: &[OrderTerm], page: Page) -> ListRequest {
    ListRequest { record, filter: Predicate::always(), order: order.to_vec(), page, relations: vec![] }
}

fn page(direction: PageDirection, limit: u32, bound: Option<String>) -> Page {
    match direction {
        PageDirection::Forward => Page { limit, direction, after: bound, before: None },
        PageDirection::Backward => Page { limit, direction, after: None, before: bound },
    }
}

/// The cursor to go on from.
fn further(slice: &Slice, direction: PageDirection) -> Option<String> {
    match direction {
        PageDirection::Forward => slice.cursors.last(),
        PageDirection::Backward => slice.cursors.first(),
    }
}

/// Walks the whole list from one end; answers the ids in the list's order.
async fn walk(
    world: &World,
    ctx: &Ctx,
    record: &'static RecordType,
    order: &[OrderTerm],
    limit: u32,
    direction: PageDirection,
    mut between: impl AsyncFnMut(),
) -> Result<Vec<Uuid>, TestCaseError> {
    let mut walked: Vec<Uuid> = Vec::new();
    let mut bound = None;
    loop {
        let slice = world.tickets.list(ctx, request(record, order, page(direction, limit, bound.clone()))).await;
        let slice = slice.map_err(broken)?;
        let mut ids: Vec<_> = slice.rows.iter().map(Row::id).collect();
        let (more, behind) = match direction {
            PageDirection::Forward => (slice.has_next, slice.has_previous),
            PageDirection::Backward => (slice.has_previous, slice.has_next),
        };
        prop_assert_eq!(behind, bound.is_some());
        prop_assert!(ids.len() == limit as usize || !more, "a short page is the last");
        match direction {
            PageDirection::Forward => walked.extend(ids),
            PageDirection::Backward => {
                ids.extend(walked);
                walked = ids;
            }
        }
        if !more {
            return Ok(walked);
        }
        bound = further(&slice, direction);
        between().await;
    }
}

async fn furnish(world: &World) -> Company {
    let company = Company::of(world).await;
    insert(world, 1, &sample(&vec(company.draft(), TICKETS))).await;
    company
}

const RELATIONS: &[&str] = &["category", "requester", "openedBy", "team", "assignee"];

async fn rows_of(world: &World, record: &'static RecordType) -> Vec<Row> {
    let visible = crate::setup::everything(world.access.catalogue());
    let scoped = world.access.scoped(&world.root, &visible);
    let all = Predicate::always();
    store::query::all(&world.store.read("test"), &scoped, record, &all, RELATIONS, 10_000).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_the_list_cut_into_pieces_both_ways() {
    in_each_world_with(&[&PROBE], |world| async move {
        let company = furnish(&world).await;
        for record in [&TICKET, &INCIDENT, &PROBE] {
            let rows = rows_of(&world, record).await;
            let strategy = (company.viewer(&world.root), orders(record), 1..9u32);
            check(CASES, &strategy, async |(ctx, order, limit)| -> TestCaseResult {
                let allowed = order.iter().all(|term| {
                    access::visibility::check_order(&world.access.visible(&ctx), record, &term.field).is_ok()
                });
                if !allowed {
                    let refused = world.tickets.list(&ctx, request(record, &order, Page::first(limit))).await;
                    prop_assert_eq!(refused.map(|_| ()).map_err(|error| error.code()), Err(ErrorCode::Validation));
                    return Ok(());
                }
                let expected = model(&world, &ctx, record, &order, &rows);
                for direction in [PageDirection::Forward, PageDirection::Backward] {
                    let walked = walk(&world, &ctx, record, &order, limit, direction, async || {}).await?;
                    prop_assert_eq!(&walked, &expected, "{:?}", direction);
                }
                between_two_cursors(&world, &ctx, record, &order, &expected).await
            });
        }
    })
    .await;
}

/// Both bounds at once, from either end.
async fn between_two_cursors(
    world: &World,
    ctx: &Ctx,
    record: &'static RecordType,
    order: &[OrderTerm],
    expected: &[Uuid],
) -> TestCaseResult {
    if expected.len() < 6 {
        return Ok(());
    }
    let all = world.tickets.list(ctx, request(record, order, Page::first(100))).await.map_err(broken)?;
    let (from, to) = (1, expected.len() - 2);
    for direction in [PageDirection::Forward, PageDirection::Backward] {
        let bounds = |limit| Page { limit, direction, after: all.cursors.get(from), before: all.cursors.get(to) };
        let part = world.tickets.list(ctx, request(record, order, bounds(100))).await.map_err(broken)?;
        prop_assert_eq!(part.rows.iter().map(Row::id).collect::<Vec<_>>(), expected[from + 1..to].to_vec());
        let none = world.tickets.list(ctx, request(record, order, bounds(0))).await.map_err(broken)?;
        prop_assert!(none.rows.is_empty());
        let more = if direction == PageDirection::Forward { none.has_next } else { none.has_previous };
        prop_assert!(more);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_come_in_between_push_none_out_and_double_none() {
    in_each_world(|world| async move {
        let company = furnish(&world).await;
        let strategy = (
            company.viewer(&world.root),
            orders(&TICKET),
            4..12u32,
            any::<bool>().prop_map(|forward| if forward { PageDirection::Forward } else { PageDirection::Backward }),
            vec(vec(company.draft(), 0..3), 5),
        );
        check(CASES / 3, &strategy, async |(ctx, order, limit, direction, newcomers)| -> TestCaseResult {
            let visible = world.access.visible(&ctx);
            if order.iter().any(|term| access::visibility::check_order(&visible, &TICKET, &term.field).is_err()) {
                return Ok(());
            }
            let before = model(&world, &ctx, &TICKET, &order, &rows_of(&world, &TICKET).await);
            let mut number = 1 + world.all(&TICKET).await.len();
            let mut newcomers = newcomers.into_iter();
            let walked = walk(&world, &ctx, &TICKET, &order, limit, direction, async || {
                let drafts = newcomers.next().unwrap_or_default();
                insert(&world, number, &drafts).await;
                number += drafts.len();
            });
            let walked = walked.await?;
            let mut seen: BTreeMap<Uuid, usize> = BTreeMap::new();
            for id in &walked {
                *seen.entry(*id).or_default() += 1;
            }
            prop_assert!(seen.values().all(|times| *times == 1), "a row came twice");
            let kept: Vec<_> = walked.iter().filter(|id| before.contains(id)).copied().collect();
            prop_assert_eq!(kept, before, "a row that was there all the time was missed or moved");
            let after = model(&world, &ctx, &TICKET, &order, &rows_of(&world, &TICKET).await);
            let whole: Vec<_> = after.into_iter().filter(|id| walked.contains(id)).collect();
            prop_assert_eq!(walked, whole, "the walk goes in the list's order");
            Ok(())
        });
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_fits_the_list_it_was_made_for_and_no_other() {
    in_each_world(|world| async move {
        for title in ["a", "b", "c"] {
            world.create(&world.ctx("rita"), new(title)).await;
        }
        let order =
            |field: &str, descending, nulls_first| vec![OrderTerm { field: field.into(), descending, nulls_first }];
        let list = |ctx: &Ctx, record, filter, order: &[OrderTerm], after: Option<String>| {
            let page = Page::new(PageArguments { first: Some(1), after, ..Default::default() }).unwrap();
            let request = ListRequest { filter, ..request(record, order, page) };
            let (ctx, tickets) = (ctx.clone(), world.tickets.clone());
            async move { tickets.list(&ctx, request).await }
        };
        let (amy, ivy) = (world.ctx("amy"), world.ctx("ivy"));
        let by_title = order("title", false, false);
        let all = Predicate::always;
        let slice = list(&amy, &TICKET, all(), &by_title, None).await.unwrap();
        let cursor = slice.cursors.first();
        let next = list(&amy, &TICKET, all(), &by_title, cursor.clone()).await.unwrap();
        assert_eq!(next.rows[0].get("title"), &Value::from("b"));
        let (other, _) = tenant(&world.access, "other").await;
        let same_person_elsewhere = Ctx { tenant: other.tenant, ..amy.clone() };
        let elsewhere = [
            list(&ivy, &TICKET, all(), &by_title, cursor.clone()).await,
            list(&amy, &INCIDENT, all(), &by_title, cursor.clone()).await,
            list(&amy, &TICKET, Predicate::eq("title", "a"), &by_title, cursor.clone()).await,
            list(&amy, &TICKET, all(), &order("title", true, false), cursor.clone()).await,
            list(&amy, &TICKET, all(), &order("title", false, true), cursor.clone()).await,
            list(&amy, &TICKET, all(), &order("number", false, false), cursor.clone()).await,
            list(&amy, &TICKET, all(), &[by_title.clone(), by_title.clone()].concat(), cursor.clone()).await,
            list(&same_person_elsewhere, &TICKET, all(), &by_title, cursor.clone()).await,
            list(&amy, &TICKET, all(), &by_title, cursor.as_ref().map(|text| format!("{text}A"))).await,
            list(&amy, &TICKET, all(), &by_title, Some(String::new())).await,
        ];
        for (place, result) in elsewhere.into_iter().enumerate() {
            assert_eq!(result.unwrap_err().code(), ErrorCode::BadCursor, "case {place}");
        }
        let log = world.tickets.log_cursor(&amy).await.unwrap();
        let error = list(&amy, &TICKET, all(), &by_title, Some(log)).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::BadCursor);
        assert!(error.to_string().contains("log cursor"), "{error}");
    })
    .await;
}
