//! Clocks follow every write on a ticket in the same transaction.
//!
//! The events that a write declared are folded into the ticket's clocks; what comes of it is written beside them, and the events
//! themselves tell the ticket's new due time and state: they are changes of the same moment.

use std::collections::HashMap;
use std::ops::Range;

use futures_util::future::BoxFuture;
use kernel::{Ctx, Result, Timestamp, Uuid};
use predicate::Value;
use serde_json::{Value as Json, json};
use store::query::Row;
use store::{Along, Audience, Change, NewEvent, NewJob, Reaction, Tx};
use ticket::events as told;
use ticket::fields::SLA_BASIS;

use crate::clock::{Clock, Summary, summary};
use crate::escalation::{self, TIMER};
use crate::events::{BREACHED, POLICY_APPLIED};
use crate::fields::SLA_CLOCK;
use crate::model::PolicyKind;
use crate::moment::{Happened, fold, fold_all};
use crate::policy::Policy;
use crate::regime::Basis;
use crate::service::ServiceLevels;
use crate::stored::{BREACH, Fired, StoredClock};
use crate::tables::{self, Continued, TicketLine};

/// One ticket in a write.
pub(crate) struct Course {
    pub(crate) ticket: Uuid,
    /// The kind of the ticket, for its job.
    kind: String,
    basis: Basis,
    /// Whether nothing of it was there before this write.
    fresh: bool,
    /// Whether other policies hold from the beginning on.
    applied: bool,
    pub(crate) policies: std::sync::Arc<Vec<std::sync::Arc<Policy>>>,
    /// Its clocks as they were stored.
    before: Vec<StoredClock>,
    /// Its clocks as they are now, in the order in which they started.
    pub(crate) clocks: Vec<StoredClock>,
    /// What the ticket told of its clocks before.
    line_before: Option<(Summary, Json)>,
    /// What the last event told of them: state, due time and basis.
    told: Option<[Json; 3]>,
    line: Summary,
}

impl Reaction for ServiceLevels {
    fn react<'t>(&'t self, tx: &'t mut Tx, events: Range<usize>) -> BoxFuture<'t, Result<()>> {
        Box::pin(self.follow_in(tx, events))
    }
}

impl ServiceLevels {
    async fn follow_in(&self, tx: &mut Tx, range: Range<usize>) -> Result<()> {
        let ctx = tx.ctx().clone();
        let mut courses = self.courses_in(tx, &ctx, range.clone()).await?;
        if courses.is_empty() {
            return Ok(());
        }
        self.load_in(tx, &ctx, &mut courses).await?;
        let now = tx.now();
        let mut last: HashMap<Uuid, usize> = HashMap::new();
        for place in range.clone() {
            if let Some(event) = tx.emitted().get(place).filter(|event| event.subject_kind == told::SUBJECT) {
                last.insert(event.subject, place);
            }
        }
        let mut breaches = Vec::new();
        for place in range {
            let Some(event) = tx.emitted().get(place).filter(|event| event.subject_kind == told::SUBJECT) else {
                continue;
            };
            let Some(course) = courses.iter_mut().find(|course| course.ticket == event.subject) else { continue };
            let happened = Happened::new(event, &ctx, now);
            let (at, is_imported) = (happened.at, happened.is_imported());
            let is_last = last.get(&course.ticket) == Some(&place);
            let mut clocks: Vec<Clock> = course.clocks.iter().map(|stored| stored.clock.clone()).collect();
            fold(self.tickets(), &course.policies, &mut clocks, happened)?;
            // The last event of a ticket tells what stands on the ticket; others what stood there at their time.
            course.line = summary(&clocks, if is_last { now } else { at });
            course.take(clocks, tx);
            let Some(event) = tx.emitted_mut().get_mut(place) else { continue };
            course.tell(event);
            breaches.extend(course.note_breaches(event, is_imported, now));
            if is_imported && is_last {
                course.leave_the_past(now);
            }
        }
        for course in &mut courses {
            course.settle(now);
        }
        let lines: Vec<TicketLine> = courses.iter().filter_map(Course::changed_line).collect();
        tables::write_lines_in(tx, &lines).await?;
        write_clocks_in(tx, &courses).await?;
        for course in &courses {
            course.schedule(tx);
            course.answer(tx)?;
        }
        for breach in breaches {
            tx.emit(breach);
        }
        Ok(())
    }

    /// The tickets among these events that policies hold for.
    async fn courses_in(&self, tx: &mut Tx, ctx: &Ctx, range: Range<usize>) -> Result<Vec<Course>> {
        let mut found: Vec<(Uuid, String, Option<Basis>, bool, bool)> = Vec::new();
        for event in tx.emitted().get(range.clone()).unwrap_or_default() {
            if event.subject_kind != told::SUBJECT {
                continue;
            }
            let happened = Happened::new(event, ctx, tx.now());
            let applied = event.kind == POLICY_APPLIED;
            if let Some(known) = found.iter_mut().find(|(ticket, ..)| *ticket == event.subject) {
                known.4 |= applied;
                if applied {
                    known.2 = event.facts.get(SLA_BASIS).and_then(Basis::of);
                }
                continue;
            }
            // An earlier event of this write may know more: the row that this one was made from was read before.
            let told_before = tx.emitted().iter().take(range.start).rfind(|earlier| earlier.subject == event.subject);
            let facts = if applied { event } else { told_before.unwrap_or(event) };
            let basis = facts.facts.get(SLA_BASIS).and_then(Basis::of);
            let kind = happened.text("kind").unwrap_or_default().to_owned();
            found.push((event.subject, kind, basis, happened.is_creation(), applied));
        }
        let mut courses = Vec::with_capacity(found.len());
        for (ticket, kind, basis, fresh, applied) in found {
            let basis = match basis {
                Some(basis) => Some(basis),
                None if fresh => self.new_basis(&*tx, ctx).await?,
                None => None,
            };
            let Some(basis) = basis else { continue };
            let policies = self.policies(&*tx, ctx, &basis).await?;
            courses.push(Course {
                ticket,
                kind,
                basis,
                fresh,
                applied,
                policies,
                before: Vec::new(),
                clocks: Vec::new(),
                line_before: None,
                told: None,
                line: Summary::default(),
            });
        }
        Ok(courses)
    }

    async fn load_in(&self, tx: &Tx, ctx: &Ctx, courses: &mut [Course]) -> Result<()> {
        let there: Vec<Uuid> = courses.iter().filter(|course| !course.fresh).map(|course| course.ticket).collect();
        if there.is_empty() {
            return Ok(());
        }
        for stored in self.stored_clocks_in(tx, ctx, &there).await? {
            if let Some(course) = courses.iter_mut().find(|course| course.ticket == stored.ticket) {
                course.before.push(stored);
            }
        }
        for course in courses.iter_mut() {
            sort(&mut course.before);
            course.clocks = course.before.clone();
            if course.applied {
                let events = self.store().log().of_subjects(tx, ctx.tenant, &[course.ticket]).await?;
                let clocks = fold_all(self.tickets(), &course.policies, &events)?;
                course.take(clocks, tx);
            }
        }
        Ok(())
    }
}

async fn write_clocks_in(tx: &Tx, courses: &[Course]) -> Result<()> {
    let gone = courses.iter().flat_map(Course::gone_clocks);
    let (mut gone, mut continued, mut new) = (gone.collect::<Vec<_>>(), Vec::new(), Vec::new());
    for (stored, earlier) in courses.iter().flat_map(Course::changed_clocks) {
        match earlier.map(|earlier| Continued::after(stored, earlier)) {
            Some(Some(same)) => continued.push(same),
            None => new.push(stored),
            // Another version of its policy holds.
            Some(None) => {
                gone.push(stored.id);
                new.push(stored);
            }
        }
    }
    tables::delete_clocks_in(tx, &gone).await?;
    tables::update_clocks_in(tx, &continued).await?;
    tables::insert_clocks_in(tx, &new).await
}

/// The order in which clocks started: that of their policies where they started together.
pub(crate) fn sort(clocks: &mut [StoredClock]) {
    clocks.sort_by_key(|stored| {
        let clock = &stored.clock;
        (clock.started_at, clock.policy, clock.metric, clock.ordinal)
    });
}

impl Course {
    /// Takes over how the clocks stand now; those that were known keep their ids and what has fired.
    fn take(&mut self, clocks: Vec<Clock>, tx: &Tx) {
        let known = std::mem::take(&mut self.clocks);
        let mut taken: Vec<StoredClock> = Vec::with_capacity(clocks.len());
        for clock in clocks {
            let place = |stored: &&StoredClock| {
                let other = &stored.clock;
                (other.policy, other.metric, other.ordinal) == (clock.policy, clock.metric, clock.ordinal)
            };
            let same = known.iter().find(place);
            taken.push(StoredClock {
                id: same.map_or_else(|| tx.new_id(), |stored| stored.id),
                ticket: self.ticket,
                fired: same.map(|stored| stored.fired.clone()).unwrap_or_default(),
                state: same.map_or_else(|| clock.state(clock.started_at), |stored| stored.state),
                clock,
            });
        }
        self.clocks = taken;
    }

    /// The breaches that came to light with this event, each told once. What was over before the ticket came here is not told.
    fn note_breaches(&mut self, event: &NewEvent, imported: bool, now: Timestamp) -> Vec<NewEvent> {
        let mut breaches = Vec::new();
        for stored in &mut self.clocks {
            let Some(due) = stored.clock.breached_at.filter(|_| !stored.has_fired(BREACH)) else { continue };
            let fired_at = (!imported).then_some(now);
            stored.fired.push(Fired { key: BREACH.to_owned(), due_at: due, fired_at });
            if !imported {
                breaches.push(breach_event(stored, due, now, event));
            }
        }
        breaches
    }

    /// Has a ticket's event tell what its clocks came to. What was told before is what the event before it told: the row that this one
    /// was made from may be older.
    fn tell(&mut self, event: &mut NewEvent) {
        let fact = |field: &str| match event.changes.iter().find(|change| change.field == field) {
            Some(change) => change.before.clone(),
            None => event.facts.get(field).cloned().unwrap_or(Json::Null),
        };
        let before = self.told.take().unwrap_or_else(|| [fact("slaState"), fact("slaDueAt"), fact(SLA_BASIS)]);
        let (state, due) = facts_of(&self.line);
        let after = [state, due, self.basis.to_json()];
        if self.line_before.is_none() {
            self.line_before = Some((summary_of(&before[0], &before[1]), before[2].clone()));
        }
        for ((field, before), after) in ["slaState", "slaDueAt", SLA_BASIS].into_iter().zip(before).zip(&after) {
            event.changes.retain(|change| change.field != field);
            if before != *after {
                event.changes.push(Change { field: field.to_owned(), before, after: after.clone() });
            }
            event.facts.insert(field.to_owned(), after.clone());
        }
        self.told = Some(after);
    }

    /// What was due before a ticket came here is not made up for.
    fn leave_the_past(&mut self, now: Timestamp) {
        for stored in &mut self.clocks {
            let due = escalation::due(&self.policies, stored, now);
            stored.fired.extend(due.into_iter().map(|due| Fired { key: due.key(), due_at: due.at, fired_at: None }));
        }
    }

    /// Notes how the clocks stand now, for filters.
    fn settle(&mut self, now: Timestamp) {
        for stored in &mut self.clocks {
            stored.state = stored.clock.state(now);
        }
    }

    /// The clocks that were stored and are no longer.
    fn gone_clocks(&self) -> impl Iterator<Item = Uuid> {
        let gone = |old: &&StoredClock| self.clocks.iter().all(|new| new.id != old.id);
        self.before.iter().filter(gone).map(|old| old.id)
    }

    /// The clocks that are not as they were stored, each with what was stored of it.
    fn changed_clocks(&self) -> impl Iterator<Item = (&StoredClock, Option<&StoredClock>)> {
        let pairs = self.clocks.iter().map(|new| (new, self.before.iter().find(|old| old.id == new.id)));
        pairs.filter(|(new, earlier)| *earlier != Some(*new))
    }

    fn changed_line(&self) -> Option<TicketLine> {
        let basis = self.basis.to_json();
        let same = self.line_before.as_ref().is_some_and(|before| *before == (self.line, basis.clone()));
        (!same).then_some(TicketLine { ticket: self.ticket, summary: self.line, basis })
    }

    /// Has the write's answer show the ticket's new line and, after a dry run, which leaves nothing to read, its clocks.
    fn answer(&self, tx: &mut Tx) -> Result<()> {
        let state = self.line.state.map(|state| state.as_str().to_owned());
        let mut told = vec![
            ("slaState", state.into()),
            ("slaDueAt", self.line.due_at.into()),
            (SLA_BASIS, Value::Json(self.basis.to_json())),
        ];
        if tx.ctx().mutation.dry_run {
            told.push((PROVISIONAL, provisional(&self.clocks)?));
        }
        for (field, value) in told {
            tx.tell_along(Along { subject: self.ticket, field, value });
        }
        Ok(())
    }

    /// Has the timer of the ticket run when the next of its escalations is due.
    fn schedule(&self, tx: &mut Tx) {
        let next = |clocks: &[StoredClock]| escalation::next(&self.policies, clocks);
        let (before, after) = (next(&self.before), next(&self.clocks));
        if let Some(at) = after.filter(|_| before != after || self.applied) {
            tx.enqueue(timer(tx.ctx(), self.ticket, &self.kind, at));
        }
    }
}

/// What a ticket that a dry run answers carries: its clocks as they would be.
const PROVISIONAL: &str = "provisionalClocks";

fn provisional(clocks: &[StoredClock]) -> Result<Value> {
    let fields = |row: Row| row.fields().iter().map(|(name, value)| ((*name).to_owned(), value.to_json())).collect();
    let rows = clocks.iter().map(|stored| Ok(Json::Object(fields(stored.to_row()?))));
    Ok(Value::Json(Json::Array(rows.collect::<Result<_>>()?)))
}

/// The clocks that a ticket carries after a dry run, as far as the viewer may see them; `None` for any other ticket.
pub fn provisional_clocks(access: &access::Access, ctx: &Ctx, ticket: &Row) -> Option<Vec<Row>> {
    let Value::Json(Json::Array(clocks)) = ticket.get(PROVISIONAL) else { return None };
    let works_on_it = predicate::Policy::When(ticket::fields::READ_INTERNAL);
    let sees_all = access.allows(ctx, &ticket::fields::TICKET, &works_on_it, ticket);
    let read = |clock: &Json| {
        let value = |field: &predicate::Field| {
            let json = clock.get(field.name).unwrap_or(&Json::Null);
            (field.name, Value::from_json(&field.kind, json).unwrap_or(Value::Null))
        };
        Row::new(&SLA_CLOCK, SLA_CLOCK.fields.iter().map(value).collect())
    };
    let rows = clocks.iter().map(read);
    Some(rows.filter(|row| sees_all || row.text("kind") == PolicyKind::Sla.as_str()).collect())
}

/// The job that looks after a ticket's clocks at an instant.
pub(crate) fn timer(ctx: &Ctx, ticket: Uuid, kind: &str, at: Timestamp) -> NewJob {
    NewJob {
        kind: TIMER,
        tenant: ctx.tenant,
        unique_key: Some(ticket.to_string()),
        run_at: at,
        payload: json!({ "ticket": ticket.to_string(), "kind": kind }),
    }
}

/// The event that a clock is over time. `beside` is an event of the same ticket, whose facts hold.
pub(crate) fn breach_event(stored: &StoredClock, due: Timestamp, now: Timestamp, beside: &NewEvent) -> NewEvent {
    clock_event(BREACHED, stored, beside, json!({ "dueAt": due, "late": escalation::is_late(due, now) }))
}

/// An event of a clock.
pub(crate) fn clock_event(kind: &'static str, stored: &StoredClock, beside: &NewEvent, told: Json) -> NewEvent {
    let clock = &stored.clock;
    let mut payload = json!({
        "clock": stored.id.to_string(), "policy": clock.policy.to_string(), "metric": clock.metric.as_str(),
    });
    if let (Json::Object(payload), Json::Object(told)) = (&mut payload, told) {
        payload.extend(told);
    }
    NewEvent {
        kind,
        // That a promise was broken is told to whom it was given; how the house drives itself is its own business.
        audience: match clock.kind {
            PolicyKind::Sla if kind == BREACHED => Audience::Public,
            _ => Audience::Internal,
        },
        changes: Vec::new(),
        payload,
        occurred_at: None,
        actor: None,
        ..beside.clone()
    }
}

fn facts_of(line: &Summary) -> (Json, Json) {
    let due = line.due_at.map_or(Json::Null, |due| Value::Time(due).to_json());
    (line.state.map_or(Json::Null, |state| state.as_str().into()), due)
}

fn summary_of(state: &Json, due: &Json) -> Summary {
    let time = Value::from_json(&predicate::FieldType::Time, due).and_then(|value| value.as_time());
    Summary { state: state.as_str().and_then(crate::model::ClockState::parse), due_at: time }
}
