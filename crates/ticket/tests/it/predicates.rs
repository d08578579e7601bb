//! The two readings of predicates and of access rules agree: in SQL, and in memory on rows and on the facts of events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use access::visibility;
use incident::INCIDENT;
use kernel::{Ctx, Page, Uuid};
use predicate::{
    Catalogue, Facts, Path, Predicate, RecordType, RelationKind, Use, Value, ViewerValues, Visibilities, Visibility,
    check as type_check, evaluate, keyed, masked_value, resolve,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use store::query::{self, Row};
use store::{Audience, Event};
use ticket::events::{EventFacts, facts};
use ticket::fields::{COMMENT, EXTERNAL_REF, TICKET};
use ticket::queries::ListRequest;

use crate::company::{CUSTOM_HOPS, Company, broken, cases, check, insert, sample};
use crate::probe::{NOTE, PROBE};
use crate::setup::{World, everything, in_each_world_with};

const TICKETS: usize = 60;
const CASES: u32 = 300;
const RELATIONS: &[&str] = &["category", "requester", "openedBy", "team", "assignee"];

/// All rows of a record type as they are, with their relations: what memory reads.
async fn truth(world: &World, record: &'static RecordType, relations: &[&'static str]) -> BTreeMap<Uuid, Row> {
    let visible = everything(world.access.catalogue());
    let scoped = world.access.scoped(&world.root, &visible);
    let reader = world.store.read("test");
    let rows = query::all(&reader, &scoped, record, &Predicate::always(), relations, 1_000).await.unwrap();
    rows.into_iter().map(|row| (row.id(), row)).collect()
}

/// What a list answers: all of it, a page at a time.
async fn listed(world: &World, ctx: &Ctx, request: ListRequest) -> kernel::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut request = request;
    loop {
        let slice = world.tickets.list(ctx, request.clone()).await?;
        rows.extend(slice.rows);
        if !slice.has_next {
            return Ok(rows);
        }
        request.page.after = slice.cursors.last();
    }
}

fn visibility_of<'a>(visible: &'a Visibilities, record: &RecordType) -> &'a Visibility {
    &visible[record.name]
}

/// The relation's record as the viewer may read it: there only when the reference, the record and its id are.
fn masked_relation(
    visible: &Visibilities,
    record: &'static RecordType,
    row: &Row,
    name: &str,
    target: &'static RecordType,
) -> Option<Vec<(&'static str, Value)>> {
    if masked_value(visibility_of(visible, record), row, name).is_null() {
        return None;
    }
    let related = row.relation(name)?;
    let visibility = visibility_of(visible, target);
    if !evaluate(&visibility.row, related) {
        return None;
    }
    Some(target.all_fields().map(|field| (field.name, masked_value(visibility, related, field.name))).collect())
}

/// A row as a viewer sees it, worked out without any predicate being rewritten: what may not be read is absent.
struct Seen<'a> {
    visible: &'a Visibilities,
    catalogue: &'a Catalogue,
    record: &'static RecordType,
    row: &'a Row,
}

impl Facts for Seen<'_> {
    fn value(&self, path: &Path) -> Value {
        let visibility = visibility_of(self.visible, self.record);
        let Some((name, rest)) = path.relations.split_first() else {
            return masked_value(visibility, self.row, &path.field);
        };
        if let Some((document, key)) = keyed::split(name) {
            let document = masked_value(visibility, self.row, document);
            return keyed::value(&document.to_json(), key, &path.field);
        }
        let relation = self.catalogue.relation(self.record, name).expect("the relation exists");
        let target = self.catalogue.get(relation.target).expect("the target exists");
        let Some(mut related) = self.row.relation(name).cloned() else { return Value::Null };
        match relation.kind {
            RelationKind::Extension => {
                for (field, value) in self.row.fields() {
                    related.set(field, value.clone());
                }
            }
            RelationKind::Keyed { .. } => unreachable!("values under keys are read above"),
            RelationKind::Reference(field) => {
                let row_rule = &visibility_of(self.visible, target).row;
                if masked_value(visibility, self.row, field).is_null() || !evaluate(row_rule, &related) {
                    return Value::Null;
                }
            }
        }
        let beyond = Path { relations: rest.to_vec(), field: path.field.clone() };
        Seen { record: target, row: &related, ..*self }.value(&beyond)
    }
}

fn event_of(world: &World, row: &Row) -> Event {
    Event {
        id: row.id(),
        position: None,
        tenant: world.root.tenant,
        actor: world.root.actor,
        channel: world.root.channel.clone(),
        kind: "Test".into(),
        subject_kind: "ticket".into(),
        subject: row.id(),
        version: 1,
        audience: Audience::Public,
        changes: Vec::new(),
        facts: facts(&INCIDENT, world.access.catalogue(), row),
        payload: serde_json::Value::Null,
        occurred_at: world.now(),
        recorded_at: world.now(),
        request_id: "test".into(),
    }
}

/// The list's rows are those that memory lets through, with the values that memory lets be read.
async fn agrees(
    world: &World,
    truth: &BTreeMap<Uuid, Row>,
    record: &'static RecordType,
    relations: &[&'static str],
    ctx: &Ctx,
    asked: &Predicate,
    telling: &AtomicU32,
) -> TestCaseResult {
    let catalogue = world.access.catalogue();
    let visible = world.access.visible(ctx);
    let request = ListRequest {
        record,
        filter: asked.clone(),
        order: by_id_alone(record),
        page: Page::first(100),
        relations: relations.to_vec(),
    };
    let answer = listed(world, ctx, request).await;
    let filter = match visibility::filter(ctx, catalogue, &visible, record, asked.clone(), Use::Query) {
        Ok(filter) => filter,
        Err(_) => {
            prop_assert!(answer.is_err(), "the list takes a filter that is refused");
            return Ok(());
        }
    };
    let rows = answer.map_err(broken)?;
    let visibility = visibility_of(&visible, record);
    let plain =
        resolve(asked.clone(), &ViewerValues { viewer: ctx.actor.id, teams: &ctx.grants.teams, now: ctx.now() });
    for row in truth.values() {
        let seen = Seen { visible: &visible, catalogue, record, row };
        prop_assert_eq!(evaluate(&filter, row), evaluate(&plain, &seen), "a filter compares what the viewer may read");
    }
    let expected: BTreeSet<Uuid> =
        truth.values().filter(|row| evaluate(&visibility.row, *row) && evaluate(&filter, *row)).map(Row::id).collect();
    let found: BTreeSet<Uuid> = rows.iter().map(Row::id).collect();
    prop_assert_eq!(&found, &expected, "rows of {}", record.name);
    if !expected.is_empty() && expected.len() < truth.len() {
        telling.fetch_add(1, Relaxed);
    }
    prop_assert_eq!(rows.len(), found.len(), "no row twice");
    let count = world.tickets.count(ctx, record, asked.clone()).await.map_err(broken)?;
    prop_assert_eq!(count.total as usize, expected.len());
    for row in &rows {
        let whole = &truth[&row.id()];
        for field in record.all_fields() {
            let expected = masked_value(visibility, whole, field.name);
            prop_assert_eq!(row.get(field.name), &expected, "{} of {}", field.name, record.name);
        }
        for name in relations {
            let target = catalogue.follow(record, &[(*name).to_owned()]).expect("the relation exists");
            let related = row.relation(name).map(|row| row.fields().to_vec());
            prop_assert_eq!(related, masked_relation(&visible, record, whole, name, target), "{}", name);
        }
    }
    Ok(())
}

/// An order that every viewer may name.
fn by_id_alone(record: &RecordType) -> Vec<query::OrderTerm> {
    let field = if record.name == "externalRef" {
        "source"
    } else if ["comment", "note"].contains(&record.name) {
        "visibility"
    } else {
        "number"
    };
    vec![query::OrderTerm { field: field.into(), descending: false, nulls_first: false }]
}

/// Where events carry all that the predicate names, facts and row say the same.
fn facts_agree(world: &World, truth: &BTreeMap<Uuid, Row>, ctx: &Ctx, asked: &Predicate) -> TestCaseResult {
    let catalogue = world.access.catalogue();
    let visible = world.access.visible(ctx);
    for record in [&TICKET, &INCIDENT] {
        if type_check(asked, record, catalogue, Use::Event, &|_, _| false).is_err() {
            continue;
        }
        let Ok(filter) = visibility::filter(ctx, catalogue, &visible, record, asked.clone(), Use::Event) else {
            continue;
        };
        for row in truth.values() {
            let event = event_of(world, row);
            let facts = EventFacts::after(&INCIDENT, catalogue, &event);
            prop_assert_eq!(evaluate(&filter, &facts), evaluate(&filter, row), "the filter on {}", row.text("number"));
            let rule = &visibility_of(&visible, record).row;
            prop_assert_eq!(evaluate(rule, &facts), evaluate(rule, row), "the row rule");
            for field in INCIDENT.all_fields().filter(|field| field.event != predicate::Policy::Never) {
                let visibility = visibility_of(&visible, &INCIDENT);
                let (one, other) =
                    (masked_value(visibility, &facts, field.name), masked_value(visibility, row, field.name));
                prop_assert_eq!(one, other, "{}", field.name);
            }
        }
    }
    Ok(())
}

async fn furnish(world: &World) -> Company {
    let company = Company::of(world).await;
    let drafts = sample(&proptest::collection::vec(company.draft(), TICKETS));
    let ids = insert(world, 1, &drafts).await;
    let truth = truth(world, &INCIDENT, &[]).await;
    for (id, draft) in ids.iter().zip(&drafts) {
        for (field, value) in &draft.fields {
            assert_eq!(truth[id].get(field), value, "{field} comes back as it was written");
        }
    }
    company
}

#[tokio::test(flavor = "multi_thread")]
async fn predicates_and_access_rules_mean_the_same_in_sql_and_in_memory() {
    in_each_world_with(&[&PROBE], |world| async move {
        let company = furnish(&world).await;
        let catalogue = world.access.catalogue();
        let plain = [RELATIONS, CUSTOM_HOPS].concat();
        let hops = [RELATIONS, &["incident"], CUSTOM_HOPS].concat();
        for (record, hops) in [(&TICKET, &hops), (&INCIDENT, &plain), (&PROBE, &plain)] {
            let rows = truth(&world, record, hops_of(record)).await;
            let strategy = (company.viewer(&world.root), company.predicate(record, catalogue, hops));
            let telling = AtomicU32::new(0);
            check(CASES, &strategy, async |(ctx, asked)| {
                let stored = serde_json::to_value(&asked).map_err(broken)?;
                prop_assert_eq!(&serde_json::from_value::<Predicate>(stored).map_err(broken)?, &asked);
                agrees(&world, &rows, record, RELATIONS, &ctx, &asked, &telling).await
            });
            assert!(telling.into_inner() > cases(CASES) / 8, "too few cases told some rows from others");
        }
    })
    .await;
}

/// The relations that rules and predicates over a record type read.
fn hops_of(record: &RecordType) -> &'static [&'static str] {
    if record.name == TICKET.name {
        return &["category", "requester", "openedBy", "team", "assignee", "incident"];
    }
    RELATIONS
}

#[tokio::test(flavor = "multi_thread")]
async fn predicates_and_access_rules_mean_the_same_on_rows_and_on_the_facts_of_events() {
    in_each_world_with(&[], |world| async move {
        let company = furnish(&world).await;
        let mut rows = truth(&world, &INCIDENT, RELATIONS).await;
        let tickets = truth(&world, &TICKET, &["incident"]).await;
        for (id, row) in &mut rows {
            // A predicate on tickets reaches what is an incident's own through the extension.
            row.set_relation("incident", tickets[id].relation("incident").cloned());
        }
        let catalogue = world.access.catalogue();
        let hops = [RELATIONS, &["incident"], CUSTOM_HOPS].concat();
        let on_tickets = company.predicate(&TICKET, catalogue, &hops);
        let on_incidents = company.predicate(&INCIDENT, catalogue, &[RELATIONS, CUSTOM_HOPS].concat());
        let strategy = (company.viewer(&world.root), prop_oneof![on_tickets, on_incidents]);
        check(CASES, &strategy, async |(ctx, asked)| facts_agree(&world, &rows, &ctx, &asked));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_a_ticket_is_seen_alike_in_sql_and_in_memory() {
    in_each_world_with(&[], |world| async move {
        let company = furnish(&world).await;
        let catalogue = world.access.catalogue();
        for (record, relations) in [(&COMMENT, &["ticket", "author"][..]), (&EXTERNAL_REF, &["ticket"][..])] {
            let rows = truth(&world, record, relations).await;
            assert!(rows.len() > TICKETS / 4);
            let strategy = (company.viewer(&world.root), company.predicate(record, catalogue, relations));
            let telling = AtomicU32::new(0);
            check(CASES / 2, &strategy, async |(ctx, asked)| {
                agrees(&world, &rows, record, relations, &ctx, &asked, &telling).await
            });
            let telling = telling.into_inner();
            // Most viewers see little of this, and most predicates tell nothing of it: about one case in ten does.
            assert!(telling > cases(CASES / 2) / 15, "too few cases told some rows from others: {telling}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_seen_through_a_relation_is_what_is_seen_of_its_record() {
    in_each_world_with(&[&PROBE, &NOTE], |world| async move {
        let company = furnish(&world).await;
        let tickets = truth(&world, &PROBE, RELATIONS).await;
        let mut rows = truth(&world, &NOTE, &["author"]).await;
        for row in rows.values_mut() {
            let ticket = row.get("ticket").as_id().and_then(|id| tickets.get(&id)).cloned();
            row.set_relation("ticket", ticket);
        }
        let relations = &["ticket", "author"];
        let strategy = (company.viewer(&world.root), company.predicate(&NOTE, world.access.catalogue(), relations));
        let telling = AtomicU32::new(0);
        check(CASES, &strategy, async |(ctx, asked)| {
            agrees(&world, &rows, &NOTE, relations, &ctx, &asked, &telling).await
        });
        assert!(telling.into_inner() > cases(CASES) / 8, "too few cases told some rows from others");
    })
    .await;
}
