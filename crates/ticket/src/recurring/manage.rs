//! Setting up, changing, deleting and finding recurring tickets.

use access::commands::checked_name;
use access::operation::Starter;
use access::permission::TEMPLATE_MANAGE;
use access::{Changed, Managed, UserRef, of_type, reference};
use calendar::{Given, Recurrence};
use kernel::error::Problems;
use kernel::id::prefix;
use kernel::{Ctx, Error, Id, Mutation, PageDirection, Patch, Result, Timestamp, UserError, Uuid};
use predicate::{Predicate, Value};
use serde_json::json;
use store::query::{self, Row};
use store::{NewJob, Tx};

use super::fields::{RECURRING_TICKET, RECURRING_TICKET_RUN};
use super::{CreateRecurring, DeleteRecurring, MAX_RECURRING, RUN, UpdateRecurring, compiled, given};
use crate::events::{RECURRING_CREATED, RECURRING_DELETED, RECURRING_UPDATED, SUBJECT_RECURRING};
use crate::model::TicketKind;
use crate::service::Tickets;
use crate::template::TemplateRef;
use crate::template::create::CreateFromTemplate;
use crate::template::fields::TICKET_TEMPLATE;

pub(super) const KIND: Managed =
    Managed { record: &RECURRING_TICKET, subject: SUBJECT_RECURRING, prefix: prefix::RECURRING_TICKET };

/// The job that waits for the next time of a recurring ticket.
pub(super) fn job(ctx: &Ctx, recurring: Uuid, run_at: Timestamp) -> NewJob {
    NewJob {
        kind: RUN,
        tenant: ctx.tenant,
        unique_key: Some(recurring.to_string()),
        run_at,
        payload: json!({ "recurringTicket": recurring.to_string() }),
    }
}

impl Tickets {
    /// The recurring ticket with this id, if the viewer may see it.
    ///
    /// # Errors
    /// Database errors.
    pub async fn recurring_ticket(&self, ctx: &Ctx, id: &Id) -> Result<Option<Row>> {
        let reader = self.store().read("recurringTicket.find");
        let condition = of_type(id, prefix::RECURRING_TICKET);
        self.access().find_unmasked(&reader, ctx, &RECURRING_TICKET, condition).await
    }

    /// The first or last `limit` runs of each of these recurring tickets, as far as the viewer may see them, in the order of the
    /// times at which they were due.
    ///
    /// # Errors
    /// Database errors.
    pub async fn recurring_runs_of(
        &self,
        ctx: &Ctx,
        recurring: &[Uuid],
        direction: PageDirection,
        limit: u32,
    ) -> Result<Vec<Row>> {
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let (reader, all) = (self.store().read("recurringTicket.runs"), Predicate::always());
        let (record, parent) = (&RECURRING_TICKET_RUN, "recurringTicket");
        query::by_parents(&reader, &scoped, record, parent, recurring, &all, direction, limit, &[]).await
    }

    /// Sets up a recurring ticket. That a ticket could be created now is tried, and taken back.
    ///
    /// # Errors
    /// `FORBIDDEN` without `template.manage`, and without what creating the ticket needs; `VALIDATION` at `rule`, `startsAt`,
    /// `timeZone` and `template`; `NOT_FOUND`; `LIMIT` beyond [`MAX_RECURRING`].
    pub async fn create_recurring_ticket(&self, ctx: &Ctx, command: CreateRecurring) -> Result<Changed<Row>> {
        self.access().require_tenant(ctx, TEMPLATE_MANAGE)?;
        // A replay is answered whatever could be created now.
        let tried = self.try_run(ctx, command.template.clone(), command.requester.clone()).await;
        let tickets = self.clone();
        let written = self.store().write(ctx, "recurringTicketCreate", move |tx| {
            let (tickets, command, tried) = (tickets.clone(), command.clone(), tried.clone());
            Box::pin(async move { tickets.create_recurring_in(tx, &command, tried).await })
        });
        self.access().answer_row(ctx, written.await?, &RECURRING_TICKET, "the recurring ticket").await
    }

    async fn create_recurring_in(&self, tx: &mut Tx, command: &CreateRecurring, tried: Result<()>) -> Result<Row> {
        let ctx = tx.ctx().clone();
        let mut problems = Problems::default();
        let name = problems.take(checked_name("name", &command.name))?;
        let recurrence = problems.take(compiled(&command.when))?;
        let next = match &recurrence {
            Some(recurrence) if !command.is_paused => problems.take(next_time(recurrence, tx.now()))?,
            _ => None,
        };
        problems.take(tried)?;
        problems.check()?;
        let (Some(name), Some(recurrence)) = (name, recurrence) else {
            return Err(Error::internal("the values were checked"));
        };
        let there = self.count_all_in(tx, &RECURRING_TICKET, &[Predicate::always()]).await?;
        if there.first().is_some_and(|count| *count >= MAX_RECURRING as u64) {
            let message = format!("there are {MAX_RECURRING} recurring tickets; that is the limit: delete some");
            return Err(UserError::limit([] as [&str; 0], message, MAX_RECURRING as u64).into());
        }
        let template = self.held_template_in(tx, &command.template).await?;
        let requester = match &command.requester {
            Some(requester) => Some(self.user_in(tx, requester, "requester").await?),
            None => None,
        };
        let values = vec![
            ("name", name.into()),
            ("template", template.id().into()),
            ("rule", command.when.rule.trim().into()),
            ("startsAt", recurrence.starts_at().to_string().into()),
            ("timeZone", recurrence.time_zone().into()),
            ("requester", reference(requester.as_ref())),
            ("isPaused", command.is_paused.into()),
            ("nextRunAt", next.into()),
            ("setUpBy", ctx.actor.id.into()),
            ("starter", Value::Json(json!(Starter::of(&ctx)))),
        ];
        let row = KIND.insert_in(tx, RECURRING_CREATED, values).await?;
        if let Some(next) = next {
            tx.enqueue(job(&ctx, row.id(), next));
        }
        Ok(row)
    }

    /// Changes a recurring ticket: from then on it runs as whoever changed it. What was due while it was paused is not made up for.
    ///
    /// # Errors
    /// As [`Tickets::create_recurring_ticket`]; `NOT_FOUND` at `id`; `CONFLICT` with the current version.
    pub async fn update_recurring_ticket(&self, ctx: &Ctx, command: UpdateRecurring) -> Result<Changed<Row>> {
        self.access().require_tenant(ctx, TEMPLATE_MANAGE)?;
        let tried = self.try_changed(ctx, &command).await;
        let tickets = self.clone();
        let written = self.store().write(ctx, "recurringTicketUpdate", move |tx| {
            let (tickets, command, tried) = (tickets.clone(), command.clone(), tried.clone());
            Box::pin(async move { tickets.update_recurring_in(tx, &command, tried).await })
        });
        self.access().answer_row(ctx, written.await?, &RECURRING_TICKET, "the recurring ticket").await
    }

    async fn update_recurring_in(&self, tx: &mut Tx, command: &UpdateRecurring, tried: Result<()>) -> Result<Row> {
        let ctx = tx.ctx().clone();
        let before = self.known_recurring_in(tx, &command.id).await?;
        Managed::expect_version(&before, command.expected_version)?;
        let mut problems = Problems::default();
        let mut row = before.clone();
        if let Some(name) = &command.name
            && let Some(name) = problems.take(checked_name("name", name))?
        {
            row.set("name", name.into());
        }
        if let Some(paused) = command.is_paused {
            row.set("isPaused", paused.into());
        }
        self.plan_anew(&mut problems, &mut row, &before, command, tx.now())?;
        problems.take(tried)?;
        problems.check()?;
        if let Some(template) = &command.template {
            row.set("template", self.held_template_in(tx, template).await?.id().into());
        }
        match &command.requester {
            Patch::Keep => {}
            Patch::Clear => row.set("requester", Value::Null),
            Patch::Set(user) => row.set("requester", self.user_in(tx, user, "requester").await?.id().into()),
        }
        if row != before {
            row.set("setUpBy", ctx.actor.id.into());
            row.set("starter", Value::Json(json!(Starter::of(&ctx))));
        }
        let row = KIND.update_in(tx, RECURRING_UPDATED, &before, row).await?;
        if row.get("nextRunAt") != before.get("nextRunAt")
            && let Some(next) = row.get("nextRunAt").as_time()
        {
            tx.enqueue(job(&ctx, row.id(), next));
        }
        Ok(row)
    }

    /// Sets when a recurring ticket recurs, and when it is due next: anew when that was changed, or when it is no longer paused.
    fn plan_anew(
        &self,
        problems: &mut Problems,
        row: &mut Row,
        before: &Row,
        command: &UpdateRecurring,
        now: Timestamp,
    ) -> Result<()> {
        let was = given(before);
        let wanted = Given {
            rule: command.rule.clone().unwrap_or_else(|| was.rule.clone()),
            starts_at: command.starts_at.clone().unwrap_or_else(|| was.starts_at.clone()),
            time_zone: command.time_zone.clone().unwrap_or_else(|| was.time_zone.clone()),
        };
        let moved = wanted != was;
        let paused = row.bool("isPaused");
        if !moved && paused == before.bool("isPaused") {
            return Ok(());
        }
        let Some(recurrence) = problems.take(compiled(&wanted))? else { return Ok(()) };
        row.set("rule", wanted.rule.trim().into());
        row.set("startsAt", recurrence.starts_at().to_string().into());
        row.set("timeZone", recurrence.time_zone().into());
        let next = if paused { None } else { problems.take(next_time(&recurrence, now))? };
        row.set("nextRunAt", next.into());
        Ok(())
    }

    /// Deletes a recurring ticket with its runs; answers what it was. The tickets that it created stay.
    ///
    /// # Errors
    /// `FORBIDDEN` without `template.manage`; `NOT_FOUND` at `id`; `CONFLICT` with the current version.
    pub async fn delete_recurring_ticket(&self, ctx: &Ctx, command: DeleteRecurring) -> Result<Changed<Row>> {
        self.access().require_tenant(ctx, TEMPLATE_MANAGE)?;
        let tickets = self.clone();
        let written = self.store().write(ctx, "recurringTicketDelete", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move {
                let row = tickets.known_recurring_in(tx, &command.id).await?;
                Managed::expect_version(&row, command.expected_version)?;
                let tenant = tx.ctx().tenant;
                // A run moves the recurring ticket in its transaction: none comes behind this.
                if !query::hold_in(tx, tenant, &RECURRING_TICKET, row.id(), Managed::version(&row)).await? {
                    return Err(tx.retry());
                }
                query::delete_in(&*tx, tenant, &RECURRING_TICKET_RUN, &[("recurringTicket", row.id())]).await?;
                KIND.delete_in(tx, RECURRING_DELETED, &row).await?;
                Ok(row)
            })
        });
        self.answer_deleted(ctx, written.await?, KIND, RECURRING_DELETED).await
    }

    /// The recurring ticket that a write is about, whole.
    async fn known_recurring_in(&self, tx: &mut Tx, id: &Id) -> Result<Row> {
        let found = match id.prefix == prefix::RECURRING_TICKET {
            true => self.unscoped_in(tx, &RECURRING_TICKET, Predicate::eq("id", id.uuid), &[], 1).await?.pop(),
            false => None,
        };
        Ok(found.ok_or_else(|| UserError::not_found(["id"], "the recurring ticket"))?)
    }

    /// The template that a recurring ticket gets, held so that nobody deletes it meanwhile.
    async fn held_template_in(&self, tx: &mut Tx, template: &TemplateRef) -> Result<Row> {
        let row = self.known_template_in(tx, template).await?;
        match query::hold_in(tx, tx.ctx().tenant, &TICKET_TEMPLATE, row.id(), Managed::version(&row)).await? {
            true => Ok(row),
            false => Err(tx.retry()),
        }
    }

    /// Tries what a change has to do with: another template, another requester, and whoever changes it.
    async fn try_changed(&self, ctx: &Ctx, command: &UpdateRecurring) -> Result<()> {
        let runs = command.is_paused != Some(true);
        let Some(there) = self.recurring_ticket(ctx, &command.id).await?.filter(|_| runs) else { return Ok(()) };
        let of = |id: Uuid| TemplateRef::Id(Id::new(prefix::TICKET_TEMPLATE, id));
        let template = command.template.clone().or_else(|| there.get("template").as_id().map(of));
        let known = there.get("requester").as_id().map(|id| UserRef::Id(Id::new(prefix::USER, id)));
        let requester = command.requester.clone().apply(known);
        match template {
            Some(template) => self.try_run(ctx, template, requester).await,
            None => Ok(()),
        }
    }

    /// Creates a ticket as a run does, and takes it back.
    async fn try_run(&self, ctx: &Ctx, template: TemplateRef, requester: Option<UserRef>) -> Result<()> {
        let trying = ctx.for_mutation(Mutation { dry_run: true, ..Mutation::default() });
        let command = CreateFromTemplate { requester, ..CreateFromTemplate::of(template) };
        let prepared = self.prepare_from_template(&trying, &command, true).await.map_err(at_set_up)?;
        let tickets = self.clone();
        let written = self.write_stocked(&trying, "recurringTicket.try", TicketKind::Task, move |tx| {
            let (tickets, prepared) = (tickets.clone(), prepared.clone());
            Box::pin(async move { tickets.open_prepared_in(tx, &prepared).await.map(drop) })
        });
        written.await.map(drop).map_err(at_set_up)
    }
}

/// The next time after now.
///
/// # Errors
/// `VALIDATION` at `rule` when there is none.
fn next_time(recurrence: &Recurrence, now: Timestamp) -> Result<Timestamp> {
    let next = recurrence.after(now).next().map(|time| time.at);
    let ended =
        || UserError::constraint(["rule"], "the rule has ended: it gives no time from now on", "recurrence", None);
    Ok(next.ok_or_else(ended)?)
}

/// What keeps a ticket from being created lies with the template, where it does not lie with the requester.
fn at_set_up(error: Error) -> Error {
    let Error::Refused(errors) = error else { return error };
    let placed = |error: UserError| match error.path.first().map(String::as_str) {
        None | Some("requester" | "template") => error,
        Some(_) => UserError { path: vec!["template".to_owned()], ..error },
    };
    Error::Refused(errors.into_iter().map(placed).collect())
}
