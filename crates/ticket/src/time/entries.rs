//! Writing down time, correcting it, taking it away, and reading it.

use access::Managed;
use access::permission::{TICKET_INTERNAL, TIME_MANAGE, TIME_RECORD};
use kernel::error::Problems;
use kernel::id::prefix;
use kernel::{ActorKind, Ctx, Id, PageDirection, Patch, Result, UserError, Uuid};
use predicate::{Policy, Predicate, Rule, Value};
use serde_json::{Value as Json, json};
use store::query::{self, Row};
use store::{RecordRef, Tx, Written};

use super::fields::TIME_ENTRY;
use super::rules::{self, RateTerms, Sums};
use super::{AddTime, RemoveTime, TimeOutcome, UpdateTime};
use crate::edit::Edit;
use crate::events;
use crate::fields::TICKET;
use crate::service::{Outcome, Tickets, told_along};
use crate::tables;

impl Tickets {
    /// Writes down time on a ticket. The entry keeps the rate that holds now for its day.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`; `VALIDATION` with paths; `LIMIT` for how long an entry may be, how many a ticket may have, and how
    /// much of a user's day there is.
    pub async fn add_time(&self, ctx: &Ctx, command: AddTime) -> Result<TimeOutcome> {
        let mut problems = Problems::default();
        rules::check_duration(&mut problems, command.duration);
        if let Some(note) = &command.note {
            rules::check_note(&mut problems, note);
        }
        problems.check()?;
        let tickets = self.clone();
        let written = self.store().write(ctx, "timeEntryAdd", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move { tickets.add_time_in(tx, &command).await })
        });
        self.time_outcome(ctx, written.await?).await
    }

    async fn add_time_in(&self, tx: &mut Tx, command: &AddTime) -> Result<(Row, Row)> {
        let ctx = tx.ctx().clone();
        let mut edit = self.edit_in(tx, &command.ticket, "ticket").await?;
        let user = match &command.user {
            Some(user) => self.access().user_in(tx, &ctx, user).await.map_err(|error| error.within("user"))?.id(),
            None if ctx.actor.kind == ActorKind::User => ctx.actor.id,
            None => {
                let message = "a program does not work: say whose time it is";
                return Err(UserError::constraint(["user"], message, "required", None).into());
            }
        };
        self.authorise_time(&ctx, &edit, user)?;
        let started_at = command.started_at.unwrap_or_else(|| tx.now() - chrono::Duration::seconds(command.duration));
        let mut problems = Problems::default();
        rules::check_over(&mut problems, started_at, command.duration, tx.now());
        problems.check()?;
        let mut entry = Row::new(
            &TIME_ENTRY,
            vec![
                ("id", ctx.new_id().into()),
                ("ticket", edit.before.id().into()),
                ("user", user.into()),
                ("recordedBy", ctx.actor.id.into()),
                ("team", edit.before.get("team").clone()),
                ("startedAt", started_at.into()),
                ("workedOn", rules::day_of(started_at).into()),
                ("duration", Value::Int(command.duration)),
                ("billable", command.billable.into()),
                ("note", command.note.as_deref().map(str::trim).into()),
                ("version", 1.into()),
                ("createdAt", tx.now().into()),
                ("updatedAt", tx.now().into()),
            ],
        );
        self.hold_for_time_in(tx, &edit, user).await?;
        self.cost_in(tx, &mut entry).await?;
        query::insert_in(tx, ctx.tenant, &TIME_ENTRY, &entry).await?;
        self.check_day_in(tx, &entry).await?;
        self.sum_in(tx, &mut edit).await?;
        self.tell(tx, &edit, events::TIME_ENTRY_ADDED, told(&entry, None, Some(&entry)));
        answers(tx, &entry);
        Ok((with_ticket(entry, &edit), edit.after))
    }

    /// Corrects an entry. It keeps its rate; one that has none, or is put on another day, takes the one that holds now for its day.
    ///
    /// # Errors
    /// As [`Tickets::add_time`]; `NOT_FOUND` at `id`; `CONFLICT` with the current version.
    pub async fn update_time(&self, ctx: &Ctx, command: UpdateTime) -> Result<TimeOutcome> {
        let mut problems = Problems::default();
        if let Some(duration) = command.duration {
            rules::check_duration(&mut problems, duration);
        }
        if let Patch::Set(note) = &command.note {
            rules::check_note(&mut problems, note);
        }
        problems.check()?;
        let tickets = self.clone();
        let written = self.store().write(ctx, "timeEntryUpdate", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move { tickets.update_time_in(tx, &command).await })
        });
        self.time_outcome(ctx, written.await?).await
    }

    async fn update_time_in(&self, tx: &mut Tx, command: &UpdateTime) -> Result<(Row, Row)> {
        let (before, mut edit) = self.entry_in(tx, &command.entry, command.expected_version).await?;
        let mut entry = before.clone();
        if let Some(duration) = command.duration {
            entry.set("duration", Value::Int(duration));
        }
        if let Some(started_at) = command.started_at {
            entry.set("startedAt", started_at.into());
            entry.set("workedOn", rules::day_of(started_at).into());
        }
        if let Some(billable) = command.billable {
            entry.set("billable", billable.into());
        }
        match &command.note {
            Patch::Keep => {}
            Patch::Clear => entry.set("note", Value::Null),
            Patch::Set(note) => entry.set("note", note.trim().into()),
        }
        let differs = |entry: &Row, field: &str| before.get(field) != entry.get(field);
        if ["startedAt", "duration"].iter().any(|field| differs(&entry, field)) {
            let mut problems = Problems::default();
            rules::check_over(&mut problems, entry.time("startedAt"), entry.int("duration"), tx.now());
            problems.check()?;
        }
        self.hold_for_time_in(tx, &edit, user_of(&before)).await?;
        if !before.bool("costed") || differs(&entry, "workedOn") {
            self.cost_in(tx, &mut entry).await?;
        } else {
            let amount = rules::amount_of(entry.int("hourly"), entry.int("duration"));
            entry.set("amount", Value::Int(amount));
        }
        let changes = entry.fields().iter().filter(|(name, value)| before.get(name) != value);
        let mut changes: Vec<_> = changes.cloned().collect();
        if changes.is_empty() {
            answers(tx, &entry);
            return Ok((with_ticket(entry, &edit), edit.after));
        }
        let version = Managed::version(&before);
        changes.extend([("version", Value::from(version + 1)), ("updatedAt", tx.now().into())]);
        for (name, value) in &changes {
            entry.set(name, value.clone());
        }
        let tenant = tx.ctx().tenant;
        if !query::update_in(tx, tenant, &TIME_ENTRY, entry.id(), Some(version), &changes).await? {
            return Err(tx.retry());
        }
        self.check_day_in(tx, &entry).await?;
        self.sum_in(tx, &mut edit).await?;
        self.tell(tx, &edit, events::TIME_ENTRY_UPDATED, told(&entry, Some(&before), Some(&entry)));
        answers(tx, &entry);
        Ok((with_ticket(entry, &edit), edit.after))
    }

    /// Takes an entry away. What it said stays in the ticket's history, but for its note.
    ///
    /// # Errors
    /// `NOT_FOUND` at `id`; `FORBIDDEN`; `CONFLICT` with the current version.
    pub async fn remove_time(&self, ctx: &Ctx, command: RemoveTime) -> Result<Outcome> {
        let tickets = self.clone();
        self.write(ctx, "timeEntryRemove", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move { tickets.remove_time_in(tx, &command).await })
        })
        .await
    }

    async fn remove_time_in(&self, tx: &mut Tx, command: &RemoveTime) -> Result<Row> {
        let (entry, mut edit) = self.entry_in(tx, &command.entry, command.expected_version).await?;
        self.hold_for_time_in(tx, &edit, user_of(&entry)).await?;
        if query::delete_in(tx, tx.ctx().tenant, &TIME_ENTRY, &[("id", entry.id())]).await? == 0 {
            return Err(tx.retry());
        }
        self.sum_in(tx, &mut edit).await?;
        self.tell(tx, &edit, events::TIME_ENTRY_REMOVED, told(&entry, Some(&entry), None));
        tx.answers_with(edit.reference());
        Ok(edit.after)
    }

    /// The entry that a write is about, with its ticket; the viewer may write it.
    async fn entry_in(&self, tx: &mut Tx, id: &Id, expected_version: Option<i32>) -> Result<(Row, Edit)> {
        let ctx = tx.ctx().clone();
        let missing = || UserError::not_found(["id"], "the time entry");
        let condition = access::of_type(id, prefix::TIME_ENTRY).ok_or_else(missing)?;
        let visible = access::visibility::unmasked(&self.access().visible(&ctx));
        let scoped = self.access().scoped(&ctx, &visible);
        let entry = query::find(&*tx, &scoped, &TIME_ENTRY, &condition, &["ticket"]).await?.ok_or_else(missing)?;
        let edit = self.edit_of_in(tx, &entry, "the time entry").await?;
        self.authorise_time(&ctx, &edit, user_of(&entry))?;
        Managed::expect_version(&entry, expected_version)?;
        Ok((entry, edit))
    }

    /// Refuses whoever may not write down the time of this user on the ticket.
    fn authorise_time(&self, ctx: &Ctx, edit: &Edit, user: Uuid) -> Result<()> {
        let allowed = |permission| {
            let policy = Policy::When(Rule::Permission(permission));
            self.access().allows(ctx, edit.rules.record(), &policy, &edit.before)
        };
        let own = user == ctx.actor.id;
        if !allowed(TICKET_INTERNAL) {
            return Err(UserError::forbidden(TICKET_INTERNAL).into());
        }
        if allowed(TIME_MANAGE) || own && allowed(TIME_RECORD) {
            return Ok(());
        }
        Err(UserError::forbidden(if own { TIME_RECORD } else { TIME_MANAGE }).into())
    }

    /// Keeps others from writing entries of this ticket and of this user until the write is over.
    async fn hold_for_time_in(&self, tx: &Tx, edit: &Edit, user: Uuid) -> Result<()> {
        edit.hold_in(tx).await?;
        tables::hold_user_in(tx, user).await
    }

    /// Gives an entry the rate that holds for it now, and what it costs by that.
    async fn cost_in(&self, tx: &mut Tx, entry: &mut Row) -> Result<()> {
        let team = entry.get("team").as_id();
        let rate = self.rate_for_in(tx, user_of(entry), team, &entry.text("workedOn")).await?;
        for (field, value) in costs(rate.as_ref(), entry.int("duration")) {
            entry.set(field, value);
        }
        Ok(())
    }

    /// Refuses an entry, which was written, when its user's day has not so many hours.
    async fn check_day_in(&self, tx: &Tx, entry: &Row) -> Result<()> {
        let day = entry.text("workedOn");
        let seconds = tables::seconds_of_day_in(tx, user_of(entry), &day).await?;
        Ok(rules::check_day_total(&day, seconds)?)
    }

    /// Writes on the ticket what its entries add up to. Its version stays, as with comments.
    async fn sum_in(&self, tx: &mut Tx, edit: &mut Edit) -> Result<()> {
        let sums = tables::time_sums_in(tx, edit.before.id()).await?;
        rules::check_room(sums.entries)?;
        let values = on_ticket(&sums);
        for (field, value) in &values {
            edit.after.set(field, value.clone());
        }
        query::update_in(tx, tx.ctx().tenant, &TICKET, edit.after.id(), None, &values).await?;
        Ok(())
    }

    async fn time_outcome(&self, ctx: &Ctx, written: Written<(Row, Row)>) -> Result<TimeOutcome> {
        let events = self.events_of(ctx, &written).await?;
        match written {
            Written::Fresh { value: (entry, ticket), along, .. } => {
                let ticket = self.masked(ctx, told_along(ticket, along));
                Ok(TimeOutcome { entry: self.masked(ctx, entry), ticket, events })
            }
            Written::Replayed { record, .. } => {
                let entry = self.by_ids(ctx, &TIME_ENTRY, &[record.id.uuid], &["user"]).await?.pop();
                // Whoever may no longer see what they did is told nothing of it.
                let events = if entry.is_some() { events } else { Vec::new() };
                let ticket = self.ticket_of(ctx, entry.as_ref()).await?;
                Ok(TimeOutcome { entry, ticket, events })
            }
        }
    }

    /// The first or last entries of each of these tickets, by one statement, in the order in which they were written down.
    ///
    /// # Errors
    /// Database errors.
    pub async fn time_entries_of(
        &self,
        ctx: &Ctx,
        tickets: &[Uuid],
        direction: PageDirection,
        limit: u32,
    ) -> Result<Vec<Row>> {
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let reader = self.store().read("ticket.timeEntries");
        let all = Predicate::always();
        query::by_parents(&reader, &scoped, &TIME_ENTRY, "ticket", tickets, &all, direction, limit, &["user"]).await
    }
}

fn user_of(entry: &Row) -> Uuid {
    entry.get("user").as_id().unwrap_or_default()
}

fn answers(tx: &mut Tx, entry: &Row) {
    let version = Managed::version(entry);
    tx.answers_with(RecordRef { id: Id::new(prefix::TIME_ENTRY, entry.id()), version });
}

/// An entry with what its rules look at.
fn with_ticket(mut entry: Row, edit: &Edit) -> Row {
    entry.set_relation("ticket", Some(edit.after.clone()));
    entry
}

/// The fields of an entry that follow from its rate.
fn costs(rate: Option<&RateTerms>, seconds: i64) -> [(&'static str, Value); 5] {
    let hourly = rate.map(|rate| &rate.hourly);
    [
        ("costed", rate.is_some().into()),
        ("rate", rate.map(|rate| rate.id).into()),
        ("hourly", hourly.map_or(Value::Null, |hourly| Value::Int(hourly.amount))),
        ("amount", hourly.map_or(Value::Null, |hourly| Value::Int(rules::amount_of(hourly.amount, seconds)))),
        ("currency", hourly.map(|hourly| hourly.currency.clone()).into()),
    ]
}

/// The fields of a ticket that follow from its entries.
fn on_ticket(sums: &Sums) -> [(&'static str, Value); 4] {
    let amount = |amount: Option<i64>| amount.map_or(Value::Null, Value::Int);
    [
        ("timeSpent", Value::Int(sums.seconds)),
        ("cost", amount(sums.cost)),
        ("billableCost", amount(sums.billable)),
        ("entriesWithoutRate", Value::Int(sums.without_rate)),
    ]
}

/// What an event tells of an entry, before and after.
fn told(entry: &Row, before: Option<&Row>, after: Option<&Row>) -> Json {
    let state = |row: Option<&Row>| {
        row.map(|row| {
            let fields = ["startedAt", "duration", "billable", "amount", "currency"];
            let values = fields.into_iter().map(|field| (field.to_owned(), row.get(field).to_json()));
            Json::Object(values.collect())
        })
    };
    json!({
        "entry": entry.id().to_string(), "user": user_of(entry).to_string(), "before": state(before), "after": state(after),
    })
}
