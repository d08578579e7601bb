//! Histories from elsewhere: tickets with all that happened to them, taken over as it was.
//!
//! A ticket is known again by its key in the other system, a step of its history by its place there: to import the same
//! twice changes nothing. What today's workflow, matrix or memberships would refuse is recorded all the same; nothing is
//! made up that the other system did not say, but for what follows from it (categories of states, times of outcomes,
//! counters that are not given).

use std::collections::{HashMap, HashSet};

use access::permission::SETTINGS_MANAGE;
use kernel::{Actor, Ctx, Error, Result, Timestamp, UserError, Uuid};
use predicate::{Predicate, Value};
use serde_json::json;
use store::query::{self, Row};
use store::{NewEvent, Tx};

use crate::edit::Edit;
use crate::events::IMPORTED;
use crate::fields::{EVENT, EXTERNAL_REF, TICKET};
use crate::model::{Impact, Priority, StateCategory, TicketKind, Urgency};
use crate::priority::PriorityRule;
use crate::queries::RELATIONS;
use crate::search;
use crate::service::Tickets;
use crate::{assignment, tables, timer, transition};

/// The shared fields of tickets that a history may give; a kind's own come to them.
pub const FIELDS: &[&str] = &[
    "title",
    "description",
    "state",
    "waitingReason",
    "waitingUntil",
    "impact",
    "urgency",
    "priority",
    "category",
    "requester",
    "openedBy",
    "team",
    "assignee",
    "tags",
    "reassignmentCount",
    "reopenCount",
];
/// Counters that follow from the history where it does not give them.
const COUNTERS: &[&str] = &["reassignmentCount", "reopenCount"];
/// Why an imported priority differs from the matrix.
const OVERRIDE_REASON: &str = "as imported";
/// How many steps one write may take over: each is an event.
pub const MAX_STEPS: usize = 500;

/// A ticket of another system.
#[derive(Clone, Debug)]
pub struct ImportedTicket {
    /// What it becomes here.
    pub kind: TicketKind,
    /// The other system.
    pub source: String,
    /// Its key there.
    pub key: String,
    /// Its number here, if it is new.
    pub number: String,
    /// What happened to it, in order.
    pub steps: Vec<ImportedStep>,
}

/// What a ticket was after one update.
#[derive(Clone, Debug)]
pub struct ImportedStep {
    /// Tells this step from the others of its ticket, in every import.
    pub place: String,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// Who did it; `None`: the other system does not say.
    pub actor: Option<Actor>,
    /// When the ticket was opened, if the first step is later.
    pub created_at: Option<Timestamp>,
    /// Values of [`FIELDS`] and of the kind's own. The state is one of the workflow's, and a waiting one has a reason.
    pub values: Vec<(&'static str, Value)>,
    /// The records that references lead to.
    pub references: Vec<(&'static str, Option<Row>)>,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// It is in the log now.
    Added,
    /// It was there already.
    Present,
    /// It cannot be taken over.
    Refused(&'static str),
}

/// A ticket that was imported before.
struct Known {
    row: Row,
    places: HashSet<String>,
    /// The ticket's version after the last step that was imported.
    version: i64,
}

impl Tickets {
    /// Which of these keys of another system name tickets already.
    ///
    /// # Errors
    /// Database errors.
    pub async fn known_keys(&self, ctx: &Ctx, source: &str, keys: &[String]) -> Result<HashSet<String>> {
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let reader = self.store().read("ticket.knownKeys");
        let refs = query::all(&reader, &scoped, &EXTERNAL_REF, &named(source, keys), &[], keys.len() as u64).await?;
        Ok(refs.iter().map(|row| row.text("key")).collect())
    }

    /// Takes histories over, at most [`MAX_STEPS`] steps at once. Answers what became of each step of each ticket.
    ///
    /// # Errors
    /// `FORBIDDEN` without `settings.manage` for the tenant: whoever imports writes history in others' names.
    pub async fn import_in(&self, tx: &mut Tx, tickets: &[ImportedTicket]) -> Result<Vec<Vec<StepOutcome>>> {
        let ctx = tx.ctx().clone();
        if !ctx.grants.holds_tenant(SETTINGS_MANAGE) {
            return Err(UserError::forbidden(SETTINGS_MANAGE).into());
        }
        let steps: usize = tickets.iter().map(|ticket| ticket.steps.len()).sum();
        if steps > MAX_STEPS {
            return Err(Error::internal(format!("{steps} steps are to be imported at once; at most {MAX_STEPS}")));
        }
        let matrix = self.priority_matrix_in(&*tx, &ctx).await?;
        let mut known = self.known_in(tx, &ctx, tickets).await?;
        let taken = self.taken_numbers_in(tx, &ctx, tickets).await?;
        let mut fresh = Fresh::default();
        let mut outcomes = Vec::with_capacity(tickets.len());
        for ticket in tickets {
            outcomes.push(match known.remove(&(ticket.source.as_str(), ticket.key.as_str())) {
                Some(known) => self.continue_in(tx, ticket, known, &matrix).await?,
                None if taken.contains(&ticket.number) => {
                    vec![StepOutcome::Refused("another ticket has its number"); ticket.steps.len()]
                }
                None => self.begin(tx, ticket, &matrix, &mut fresh)?,
            });
        }
        self.insert_in(tx, &ctx, fresh).await?;
        Ok(outcomes)
    }

    /// The tickets that were imported before, by source and key.
    async fn known_in<'t>(
        &self,
        tx: &Tx,
        ctx: &Ctx,
        tickets: &'t [ImportedTicket],
    ) -> Result<HashMap<(&'t str, &'t str), Known>> {
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let mut known = HashMap::new();
        let Some(first) = tickets.first() else { return Ok(known) };
        let keys: Vec<String> = tickets.iter().map(|ticket| ticket.key.clone()).collect();
        let condition = named(&first.source, &keys);
        let refs = query::all(tx, &scoped, &EXTERNAL_REF, &condition, &[], keys.len() as u64).await?;
        if refs.is_empty() {
            return Ok(known);
        }
        let ids: Vec<Uuid> = refs.iter().filter_map(|row| row.get("ticket").as_id()).collect();
        let record = self.kinds().get(first.kind)?.record();
        let rows = query::by_ids(tx, &scoped, record, &ids, RELATIONS).await?;
        let imported = Predicate::one_of("subject", &ids).and(Predicate::eq("kind", IMPORTED));
        let events = query::all(tx, &scoped, &EVENT, &imported, &[], u64::from(u32::MAX)).await?;
        for row in rows {
            let Some(reference) = refs.iter().find(|found| found.get("ticket").as_id() == Some(row.id())) else {
                continue;
            };
            let Some(ticket) = tickets.iter().find(|ticket| ticket.key == reference.text("key")) else { continue };
            let own = || events.iter().filter(|event| event.get("subject").as_id() == Some(row.id()));
            let places = own().filter_map(place_of).collect();
            let version = own().map(|event| event.int("version")).max().unwrap_or_default();
            known.insert((ticket.source.as_str(), ticket.key.as_str()), Known { row, places, version });
        }
        Ok(known)
    }

    async fn taken_numbers_in(&self, tx: &Tx, ctx: &Ctx, tickets: &[ImportedTicket]) -> Result<HashSet<String>> {
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let numbers: Vec<String> = tickets.iter().map(|ticket| ticket.number.clone()).collect();
        let condition = Predicate::one_of("number", &numbers);
        let rows = query::all(tx, &scoped, &TICKET, &condition, &[], tickets.len() as u64).await?;
        Ok(rows.iter().map(|row| row.text("number")).collect())
    }

    /// A ticket that is new here.
    fn begin(
        &self,
        tx: &mut Tx,
        ticket: &ImportedTicket,
        matrix: &[PriorityRule],
        fresh: &mut Fresh,
    ) -> Result<Vec<StepOutcome>> {
        let Some(first) = ticket.steps.first() else { return Ok(Vec::new()) };
        let rules = self.kinds().get(ticket.kind)?.clone();
        let mut edit = Edit::new(rules.clone(), rules.default_workflow().clone(), Row::new(rules.record(), Vec::new()));
        for (field, value) in [
            ("id", Value::from(tx.new_id())),
            ("kind", ticket.kind.as_str().into()),
            ("number", ticket.number.as_str().into()),
            ("tags", Value::TextList(Vec::new())),
            ("reassignmentCount", 0.into()),
            ("reopenCount", 0.into()),
            ("functionalEscalationLevel", 0.into()),
            ("hierarchicalEscalationLevel", 0.into()),
            ("timeSpent", 0.into()),
            ("entriesWithoutRate", 0.into()),
            ("version", 0.into()),
            ("createdAt", first.created_at.unwrap_or(first.occurred_at).into()),
        ] {
            edit.set(field, value);
        }
        for relation in RELATIONS {
            edit.after.set_relation(relation, None);
        }
        let named = |field| first.references.iter().find(|(name, row)| *name == field && row.is_some());
        if let Some((_, opener)) = named("openedBy").or_else(|| named("requester")) {
            edit.set_reference("openedBy", opener.clone());
        }
        for step in &ticket.steps {
            self.step(tx, &mut edit, ticket, step, matrix);
        }
        timer::schedule_in(tx, &edit)?;
        fresh.refs.push(Row::new(
            &EXTERNAL_REF,
            vec![
                ("id", tx.new_id().into()),
                ("ticket", edit.after.id().into()),
                ("source", ticket.source.as_str().into()),
                ("key", ticket.key.as_str().into()),
            ],
        ));
        fresh.tickets.push((ticket.kind, edit.after));
        Ok(vec![StepOutcome::Added; ticket.steps.len()])
    }

    /// A ticket whose history goes on where the last import ended.
    async fn continue_in(
        &self,
        tx: &mut Tx,
        ticket: &ImportedTicket,
        known: Known,
        matrix: &[PriorityRule],
    ) -> Result<Vec<StepOutcome>> {
        let last_present = ticket.steps.iter().rposition(|step| known.places.contains(&step.place));
        let changed_here = known.row.int("version") != known.version;
        let rules = self.kinds().get(ticket.kind)?.clone();
        let mut edit = Edit::new(rules.clone(), rules.default_workflow().clone(), known.row.clone());
        let mut outcomes = Vec::with_capacity(ticket.steps.len());
        for (index, step) in ticket.steps.iter().enumerate() {
            outcomes.push(if known.places.contains(&step.place) {
                StepOutcome::Present
            } else if last_present.is_some_and(|last| index < last) {
                StepOutcome::Refused("a later row of the ticket was imported before")
            } else if changed_here {
                StepOutcome::Refused("the ticket was changed here since its last import")
            } else {
                self.step(tx, &mut edit, ticket, step, matrix);
                StepOutcome::Added
            });
        }
        // Each step made the one before it its state before: compare with what is stored.
        edit.before = known.row;
        let values = edit.changed();
        if !values.is_empty() {
            let (tenant, version) = (tx.ctx().tenant, edit.version());
            if !query::update_in(tx, tenant, rules.record(), edit.after.id(), Some(version), &values).await? {
                return Err(tx.retry());
            }
            edit.index_changes_in(tx).await?;
            timer::schedule_in(tx, &edit)?;
        }
        Ok(outcomes)
    }

    /// One step: the ticket afterwards, and its event.
    fn step(
        &self,
        tx: &mut Tx,
        edit: &mut Edit,
        ticket: &ImportedTicket,
        step: &ImportedStep,
        matrix: &[PriorityRule],
    ) {
        let by = step.actor.map_or(tx.ctx().tenant, |actor| actor.id);
        take_over(edit, step, by, matrix);
        let payload = json!({ "source": ticket.source, "key": ticket.key, "place": step.place });
        let event = edit.event(self.access(), IMPORTED, payload);
        tx.emit(NewEvent { occurred_at: Some(step.occurred_at), actor: step.actor, ..event });
        edit.proceed();
    }

    async fn insert_in(&self, tx: &mut Tx, ctx: &Ctx, fresh: Fresh) -> Result<()> {
        for kind in TicketKind::ALL {
            let own = || fresh.tickets.iter().filter(|(of, _)| of == kind).map(|(_, row)| row);
            let rows: Vec<Row> = own().cloned().collect();
            if rows.is_empty() {
                continue;
            }
            let rules = self.kinds().get(*kind)?;
            query::insert_all_in(tx, ctx.tenant, rules.record(), &rows).await?;
            search::index_all_in(tx, rules.as_ref(), &rows).await?;
            // A number that looks like ours must not be given out again.
            let ours = own().filter_map(|row| own_number(*kind, &row.text("number"))).max();
            if let Some(used) = ours {
                tables::advance_numbers_in(tx, ctx.tenant, *kind, used).await?;
            }
        }
        query::insert_all_in(tx, ctx.tenant, &EXTERNAL_REF, &fresh.refs).await
    }
}

/// What a write will insert.
#[derive(Default)]
struct Fresh {
    tickets: Vec<(TicketKind, Row)>,
    refs: Vec<Row>,
}

fn named(source: &str, keys: &[String]) -> Predicate {
    Predicate::eq("source", source).and(Predicate::one_of("key", keys))
}

fn place_of(event: &Row) -> Option<String> {
    match event.get("payload") {
        Value::Json(payload) => payload.get("place")?.as_str().map(str::to_owned),
        _ => None,
    }
}

fn own_number(kind: TicketKind, number: &str) -> Option<i64> {
    number.strip_prefix(kind.number_prefix())?.strip_prefix('-')?.parse().ok()
}

/// Brings a ticket to where a step says it was. `by` is whom an overridden priority is put down to.
fn take_over(edit: &mut Edit, step: &ImportedStep, by: Uuid, matrix: &[PriorityRule]) {
    let first = edit.before.get("id").is_null();
    for (field, value) in &step.values {
        edit.set(field, value.clone());
    }
    for (field, row) in step.references.iter().filter(|(field, _)| *field != "openedBy") {
        edit.set_reference(field, row.clone());
    }
    settle_state(edit, first, step.occurred_at);
    if !first {
        assignment::count_reassignment(edit);
    }
    for (field, value) in step.values.iter().filter(|(field, _)| COUNTERS.contains(field)) {
        edit.set(field, value.clone());
    }
    let given = step.values.iter().find(|(field, _)| *field == "priority").and_then(|(_, value)| value.as_text());
    settle_priority(edit, given.and_then(Priority::parse), by, step.occurred_at, matrix);
    if !edit.changed().is_empty() {
        let version = edit.after.int("version") + 1;
        edit.set("version", i32::try_from(version).unwrap_or(i32::MAX));
        edit.set("updatedAt", step.occurred_at);
    }
}

/// What follows from the state.
fn settle_state(edit: &mut Edit, first: bool, at: Timestamp) {
    let category = |row: &Row| edit.workflow.category(&row.text("state"));
    let to = category(&edit.after);
    let from = if first { StateCategory::New } else { category(&edit.before) };
    edit.set("stateCategory", to.as_str());
    if to != StateCategory::Waiting {
        edit.set("waitingReason", Value::Null);
        edit.set("waitingUntil", Value::Null);
    }
    transition::record_outcome(&mut edit.after, from, to, at);
}

/// A priority that differs from the matrix is an override; one that is not given follows from the matrix.
fn settle_priority(edit: &mut Edit, given: Option<Priority>, by: Uuid, at: Timestamp, matrix: &[PriorityRule]) {
    let impact = Impact::parse(&edit.after.text("impact")).unwrap_or(Impact::Medium);
    let urgency = Urgency::parse(&edit.after.text("urgency")).unwrap_or(Urgency::Medium);
    let of_matrix = matrix
        .iter()
        .find(|rule| rule.impact == impact && rule.urgency == urgency)
        .map_or_else(|| crate::priority::default_priority(impact, urgency), |rule| rule.priority);
    let priority = given.unwrap_or(of_matrix);
    edit.set("priority", priority.as_str());
    if priority == of_matrix {
        for field in ["priorityOverrideReason", "priorityOverrideBy", "priorityOverrideAt"] {
            edit.set(field, Value::Null);
        }
    } else if edit.before.get("priorityOverrideBy").is_null() || edit.before.text("priority") != priority.as_str() {
        edit.set("priorityOverrideReason", OVERRIDE_REASON);
        edit.set("priorityOverrideBy", by);
        edit.set("priorityOverrideAt", at);
    }
}
