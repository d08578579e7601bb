//! Use cases of incidents: authorise, load, decide, write, tell.

mod alert_rules;
mod alerts;
mod escalation;
mod major;
mod major_review;
mod major_settings;
mod merge;
mod similar;
mod status_updates;

pub use alerts::{AlertResult, Ingested};
pub use status_updates::{STATUS_UPDATE_DUE, TELL_CHILDREN};

use access::permission::TICKET_INTERNAL;
use kernel::error::Problems;
use kernel::{Ctx, Error, Id, Result, UserError, id};
use predicate::{Predicate, Value};
use serde_json::{Map, Value as Json};
use store::Tx;
use store::query::{self, Row};
use ticket::{Outcome, TicketKind, TicketRef, Tickets, TransitionTicket};

use crate::commands::{CreateIncident, UpdateIncident};
use crate::events;
use crate::fields::INCIDENT;

/// Everything that can be done with incidents. Cheap to clone.
#[derive(Clone)]
pub struct Incidents {
    tickets: Tickets,
}

impl Incidents {
    /// On top of tickets, among whose kinds are the [`crate::IncidentRules`].
    pub fn new(tickets: Tickets) -> Self {
        Self { tickets }
    }

    /// Opens an incident.
    ///
    /// # Errors
    /// `FORBIDDEN`, `VALIDATION`, `NOT_FOUND` for what the input points at, `CONFLICT` for an external reference that is taken.
    pub async fn create(&self, ctx: &Ctx, mut command: CreateIncident) -> Result<Outcome> {
        check_create(ctx, &mut command)?;
        let number = self.tickets.numbers().next(ctx, TicketKind::Incident).await?;
        let incidents = self.clone();
        self.tickets
            .write(ctx, "incidentCreate", move |tx| {
                let (incidents, command, number) = (incidents.clone(), command.clone(), number.clone());
                Box::pin(async move {
                    incidents.check_key_in(tx, command.deduplication_key.as_deref()).await?;
                    let row = incidents.create_in(tx, command, number).await?;
                    incidents.authorise_key(tx.ctx(), &row)?;
                    Ok(row)
                })
            })
            .await
    }

    /// Refuses a key that an open incident has.
    async fn check_key_in(&self, tx: &Tx, key: Option<&str>) -> Result<()> {
        let Some(key) = key else { return Ok(()) };
        let everything = access::visibility::everything(self.tickets.access().catalogue());
        let scoped = self.tickets.access().scoped(tx.ctx(), &everything);
        let open = Predicate::eq("openKey", key);
        if let Some(holder) = query::find(tx, &scoped, &INCIDENT, &open, &[]).await? {
            if !holder.get("mergedInto").is_null() && !self.goes_on_in(tx, &scoped, &holder).await? {
                // What it was merged into is over: the key is free.
                let free = [("openKey", Value::Null)];
                query::update_in(tx, tx.ctx().tenant, &INCIDENT, holder.id(), None, &free).await?;
                return Ok(());
            }
            let message = "an open incident has this key already; `alertIngest` counts on it";
            return Err(UserError::taken(["deduplicationKey"], message).into());
        }
        Ok(())
    }

    /// Whether the incident is open that goes on for a merged one.
    async fn goes_on_in(&self, tx: &Tx, scoped: &query::Scoped<'_>, merged: &Row) -> Result<bool> {
        let survivor = Predicate::eq("id", self.tickets.survivor_in(tx, merged).await?);
        let survivor = query::find(tx, scoped, &INCIDENT, &survivor, &[]).await?;
        Ok(survivor.is_some_and(|row| alerts::is_open(&row)))
    }

    /// Refuses a key from those who could not read it.
    fn authorise_key(&self, ctx: &Ctx, incident: &Row) -> Result<()> {
        let policy = predicate::Policy::When(predicate::Rule::Permission(TICKET_INTERNAL));
        if incident.get("deduplicationKey").is_null() || self.tickets.access().allows(ctx, &INCIDENT, &policy, incident)
        {
            return Ok(());
        }
        Err(UserError::forbidden(TICKET_INTERNAL).into())
    }

    pub(crate) async fn create_in(&self, tx: &mut Tx, command: CreateIncident, number: String) -> Result<Row> {
        let rules = self.tickets.kinds().get(TicketKind::Incident)?.clone();
        let own = vec![
            ("origin", command.origin.as_str().into()),
            ("deduplicationKey", command.deduplication_key.clone().into()),
            ("openKey", command.deduplication_key.clone().into()),
        ];
        Ok(self.tickets.open_in(tx, &rules, &command.draft(), number, own, events::CREATED).await?.after)
    }

    /// Changes an incident.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`, `VALIDATION`, `CONFLICT`.
    pub async fn update(&self, ctx: &Ctx, mut command: UpdateIncident) -> Result<Outcome> {
        check_update(&mut command)?;
        let incidents = self.clone();
        self.tickets
            .write(ctx, "incidentUpdate", move |tx| {
                let (incidents, command) = (incidents.clone(), command.clone());
                Box::pin(async move { incidents.update_in(tx, command).await })
            })
            .await
    }

    async fn update_in(&self, tx: &mut Tx, command: UpdateIncident) -> Result<Row> {
        let mut edit = self.tickets.edit_in(tx, &command.incident, "id").await?;
        edit.expect_version(command.expected_version)?;
        let patch = command.patch();
        self.tickets.patch_in(tx, &mut edit, &patch).await?;
        self.tickets.save_patch_in(tx, &mut edit, &patch).await?;
        Ok(edit.after)
    }

    /// Resolves an incident: the transition `resolve`.
    ///
    /// # Errors
    /// As [`Tickets::transition`].
    pub async fn resolve(
        &self,
        ctx: &Ctx,
        incident: TicketRef,
        code: String,
        notes: String,
        expected_version: Option<i32>,
    ) -> Result<Outcome> {
        self.resolve_with(ctx, incident, (code, notes), Map::new(), false, expected_version).await
    }

    /// The same, with custom fields by their keys, and with its open children if `children` says so: as far as the viewer may
    /// resolve them.
    ///
    /// # Errors
    /// As [`Tickets::transition`].
    pub async fn resolve_with(
        &self,
        ctx: &Ctx,
        incident: TicketRef,
        (code, notes): (String, String),
        custom_fields: Map<String, Json>,
        children: bool,
        expected_version: Option<i32>,
    ) -> Result<Outcome> {
        let mut inputs = Map::new();
        inputs.insert("resolutionCode".into(), code.into());
        inputs.insert("resolutionNotes".into(), notes.into());
        if !custom_fields.is_empty() {
            inputs.insert("customFields".into(), custom_fields.into());
        }
        let command = TransitionTicket {
            ticket: incident,
            transition: "resolve".into(),
            inputs,
            comment: None,
            resolve_children: children,
            expected_version,
        };
        self.tickets.transition_as(ctx, "incidentResolve", command).await.map_err(without_fields)
    }

    /// Reopens a resolved incident: the transition `reopen`.
    ///
    /// # Errors
    /// As [`Tickets::transition`].
    pub async fn reopen(
        &self,
        ctx: &Ctx,
        incident: TicketRef,
        comment: Option<String>,
        expected_version: Option<i32>,
    ) -> Result<Outcome> {
        let command = TransitionTicket {
            ticket: incident,
            transition: "reopen".into(),
            inputs: Map::new(),
            comment,
            resolve_children: false,
            expected_version,
        };
        self.tickets.transition_as(ctx, "incidentReopen", command).await
    }

    /// The tickets underneath.
    pub fn tickets(&self) -> &Tickets {
        &self.tickets
    }

    /// The id of an incident as clients see it.
    pub fn public_id(row: &Row) -> Id {
        Id::new(id::prefix::INCIDENT, row.id())
    }
}

/// `incidentResolve` takes the transition's inputs at the top of its own: the path has no `fields`.
fn without_fields(error: Error) -> Error {
    match error {
        Error::Refused(errors) => Error::Refused(
            errors
                .into_iter()
                .map(|mut error| {
                    if error.path.first().is_some_and(|segment| segment == "fields") {
                        error.path.remove(0);
                    }
                    error
                })
                .collect(),
        ),
        other => other,
    }
}

fn check_create(ctx: &Ctx, command: &mut CreateIncident) -> Result<()> {
    if command.deduplication_key.is_some() && !ctx.grants.holds(TICKET_INTERNAL) {
        return Err(UserError::forbidden(TICKET_INTERNAL).into());
    }
    let mut draft = command.draft();
    let mut problems = Problems::default();
    problems.take(draft.check(ctx))?;
    command.tags = draft.tags;
    if let Some(key) = &command.deduplication_key {
        crate::alert::check_key(&mut problems, "deduplicationKey", key);
    }
    problems.check()
}

fn check_update(command: &mut UpdateIncident) -> Result<()> {
    let mut patch = command.patch();
    patch.check()?;
    command.tags = patch.tags;
    Ok(())
}
