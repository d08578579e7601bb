//! Use cases of incidents: authorise, load, decide, write, tell.

mod alert_rules;
mod alerts;
mod major;
mod major_review;
mod major_settings;
mod status_updates;

pub use alerts::{AlertResult, Ingested};
pub use status_updates::{STATUS_UPDATE_DUE, TELL_CHILDREN};

use access::permission::{
    TICKET_ASSIGN, TICKET_CREATE, TICKET_CREATE_ON_BEHALF, TICKET_INTERNAL, TICKET_OVERRIDE_PRIORITY,
};
use kernel::error::Problems;
use kernel::{ActorKind, Ctx, Error, Id, Patch, Result, UserError, id};
use predicate::{Predicate, Value};
use serde_json::{Map, Value as Json};
use store::Tx;
use store::query::{self, Row};
use ticket::commands::{check_long_text, check_title, normalise_tags};
use ticket::fields::EXTERNAL_REF;
use ticket::queries::check_external;
use ticket::{
    Edit, MAX_EXTERNAL_REFS, Outcome, PriorityOverride, TicketKind, TicketRef, Tickets, TransitionTicket, commands,
};

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
        let (open, catalogue) = (Predicate::eq("openKey", key), self.tickets.access().catalogue());
        if query::exists(tx, tx.ctx().tenant, &INCIDENT, &open, catalogue).await? {
            let message = "an open incident has this key already; `alertIngest` counts on it";
            return Err(UserError::taken(["deduplicationKey"], message).into());
        }
        Ok(())
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
        let tickets = &self.tickets;
        let ctx = tx.ctx().clone();
        let rules = tickets.kinds().get(TicketKind::Incident)?.clone();
        let empty = Row::new(&INCIDENT, Vec::new());
        let mut edit = Edit::new(rules.clone(), rules.default_workflow().clone(), empty);
        for (field, value) in [
            ("id", Value::from(ctx.new_id())),
            ("kind", TicketKind::Incident.as_str().into()),
            ("number", number.into()),
            ("title", command.title.trim().into()),
            ("description", command.description.clone().into()),
            ("impact", command.impact.as_str().into()),
            ("urgency", command.urgency.as_str().into()),
            ("tags", Value::TextList(command.tags.clone())),
            ("reassignmentCount", 0.into()),
            ("reopenCount", 0.into()),
            ("version", 1.into()),
            ("createdAt", tx.now().into()),
            ("updatedAt", tx.now().into()),
            ("origin", command.origin.as_str().into()),
            ("deduplicationKey", command.deduplication_key.clone().into()),
            ("openKey", command.deduplication_key.clone().into()),
        ] {
            edit.after.set(field, value);
        }
        let mut problems = Problems::default();
        let people = self.set_people_in(tx, &ctx, &mut edit, &command).await;
        problems.take(people)?;
        if let Some(key) = &command.category {
            let category = tickets.usable_category_in(tx, key).await;
            if let Some(category) = problems.take(category)? {
                edit.set_reference("category", Some(category));
            }
        }
        if let Some(service) = &command.service {
            let service = tickets.usable_service_in(tx, service).await;
            if let Some(service) = problems.take(service)? {
                edit.set_reference("service", Some(service));
            }
        }
        problems.check()?;
        edit.authorise_state_after(&ctx, tickets.access())?;
        if command.priority_override.is_some() {
            self.authorise_override(&ctx, &edit.after)?;
        }
        self.set_priority_in(tx, &mut edit, command.priority_override.as_ref()).await?;
        tickets.set_custom_fields_in(tx, &mut edit, &command.custom_fields, true).await?;
        let workflow = tickets.workflow_for(tx, &ctx, rules.as_ref(), &edit.after).await?;
        edit.begin(&workflow);
        ticket::assignment::start_if_new(&mut edit, tx.now());
        tickets.require_custom_fields_in(tx, &edit).await?;
        query::insert_unique_in(tx, ctx.tenant, &INCIDENT, &edit.after).await?;
        edit.insert_custom_fields_in(tx).await?;
        self.insert_external_refs_in(tx, &edit.after, &command.external_refs).await?;
        tx.emit(edit.event(tickets.access(), events::CREATED, Json::Null));
        tickets.set_items_in(tx, &edit, &command.items).await?;
        tx.answers_with(edit.reference());
        Ok(edit.after)
    }

    async fn set_people_in(&self, tx: &mut Tx, ctx: &Ctx, edit: &mut Edit, command: &CreateIncident) -> Result<()> {
        let tickets = &self.tickets;
        let opener = tickets.access().actors_in(tx, ctx, &[ctx.actor.id]).await?.pop();
        let requester = match &command.requester {
            Some(requester) => Some(tickets.user_in(tx, requester, "requester").await?),
            None if ctx.actor.kind == ActorKind::User => opener.clone(),
            None => {
                let message = "whoever is no person must name a `requester`";
                return Err(UserError::constraint(["requester"], message, "required", None).into());
            }
        };
        let on_behalf = requester.as_ref().is_some_and(|requester| requester.id() != ctx.actor.id);
        if on_behalf && !ctx.grants.holds_tenant(TICKET_CREATE_ON_BEHALF) {
            return Err(UserError::forbidden(TICKET_CREATE_ON_BEHALF).into());
        }
        edit.set_reference("openedBy", opener);
        edit.set_reference("requester", requester);
        if let Some(team) = &command.team {
            let team = tickets.team_in(tx, team, "team").await?;
            edit.set_reference("team", Some(team));
        }
        if let Some(assignee) = &command.assignee {
            let user = tickets.user_in(tx, assignee, "assignee").await?;
            tickets.check_member_in(tx, &edit.after, &user).await?;
            edit.set_reference("assignee", Some(user));
        }
        Ok(())
    }

    /// Sets the priority from the override or from the matrix.
    async fn set_priority_in(&self, tx: &mut Tx, edit: &mut Edit, wanted: Option<&PriorityOverride>) -> Result<()> {
        let (reason, by, at) = match wanted {
            Some(wanted) => (wanted.reason.trim().into(), tx.ctx().actor.id.into(), tx.now().into()),
            None => (Value::Null, Value::Null, Value::Null),
        };
        edit.set("priorityOverrideReason", reason);
        edit.set("priorityOverrideBy", by);
        edit.set("priorityOverrideAt", at);
        match wanted {
            Some(wanted) => {
                edit.set("priority", wanted.priority.as_str());
                Ok(())
            }
            None => self.tickets.follow_matrix_in(tx, edit).await,
        }
    }

    async fn insert_external_refs_in(&self, tx: &mut Tx, incident: &Row, refs: &[(String, String)]) -> Result<()> {
        let ctx = tx.ctx().clone();
        for (index, (source, key)) in refs.iter().enumerate() {
            let taken = Predicate::eq("source", source.as_str()).and(Predicate::eq("key", key.as_str()));
            if query::exists(tx, ctx.tenant, &EXTERNAL_REF, &taken, self.tickets.access().catalogue()).await? {
                let message = format!("another ticket is `{key}` in `{source}` already");
                let path = ["externalRefs".to_owned(), index.to_string(), "key".to_owned()];
                return Err(UserError::taken(path, message).into());
            }
            let row = Row::new(
                &EXTERNAL_REF,
                vec![
                    ("id", ctx.new_id().into()),
                    ("ticket", incident.id().into()),
                    ("source", source.as_str().into()),
                    ("key", key.as_str().into()),
                ],
            );
            query::insert_unique_in(tx, ctx.tenant, &EXTERNAL_REF, &row).await?;
        }
        Ok(())
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
        let tickets = &self.tickets;
        let mut edit = tickets.edit_in(tx, &command.incident, "id").await?;
        edit.expect_version(command.expected_version)?;
        if let Some(title) = &command.title {
            edit.set("title", title.trim());
        }
        match &command.description {
            Patch::Keep => {}
            Patch::Clear => edit.set("description", Value::Null),
            Patch::Set(text) => edit.set("description", text.as_str()),
        }
        if let Some(requester) = &command.requester {
            let user = tickets.user_in(tx, requester, "requester").await?;
            edit.set_reference("requester", Some(user));
        }
        match &command.category {
            Patch::Keep => {}
            Patch::Clear => edit.set_reference("category", None),
            Patch::Set(key) => {
                let category = tickets.usable_category_in(tx, key).await?;
                edit.set_reference("category", Some(category));
            }
        }
        match &command.service {
            Patch::Keep => {}
            Patch::Clear => edit.set_reference("service", None),
            Patch::Set(service) => {
                let service = tickets.usable_service_in(tx, service).await?;
                edit.set_reference("service", Some(service));
            }
        }
        if let Some(tags) = &command.tags {
            edit.set("tags", Value::TextList(tags.clone()));
        }
        if let Some(impact) = command.impact {
            edit.set("impact", impact.as_str());
        }
        if let Some(urgency) = command.urgency {
            edit.set("urgency", urgency.as_str());
        }
        tickets.set_custom_fields_in(tx, &mut edit, &command.custom_fields, false).await?;
        tickets.require_custom_fields_in(tx, &edit).await?;
        edit.authorise_fields(tx.ctx(), tickets.access())?;
        if !command.items.is_keep() {
            tickets.authorise_items(tx.ctx(), &edit)?;
            edit.hold_in(tx).await?;
        }
        self.update_priority_in(tx, &mut edit, &command).await?;
        edit.authorise_state_after(tx.ctx(), tickets.access())?;
        edit.save_in(tx, tickets.access(), ticket::events::UPDATED, Json::Null).await?;
        tickets.set_items_in(tx, &edit, &command.items).await?;
        tx.answers_with(edit.reference());
        Ok(edit.after)
    }

    /// An override stands until it is taken back; without one, the priority follows impact and urgency.
    async fn update_priority_in(&self, tx: &mut Tx, edit: &mut Edit, command: &UpdateIncident) -> Result<()> {
        let overridden = !edit.before.get("priorityOverrideBy").is_null();
        let moved = edit.before.get("impact") != edit.after.get("impact")
            || edit.before.get("urgency") != edit.after.get("urgency");
        if !command.priority_override.is_keep() {
            self.authorise_override(tx.ctx(), &edit.before)?;
        }
        match &command.priority_override {
            Patch::Set(wanted) => self.set_priority_in(tx, edit, Some(wanted)).await,
            Patch::Clear => self.set_priority_in(tx, edit, None).await,
            Patch::Keep if moved && !overridden => self.set_priority_in(tx, edit, None).await,
            Patch::Keep => Ok(()),
        }
    }

    /// Refuses unless the viewer may override the priority of this incident.
    fn authorise_override(&self, ctx: &Ctx, incident: &Row) -> Result<()> {
        let policy = predicate::Policy::When(predicate::Rule::Permission(TICKET_OVERRIDE_PRIORITY));
        if self.tickets.access().allows(ctx, &INCIDENT, &policy, incident) {
            return Ok(());
        }
        Err(UserError::forbidden(TICKET_OVERRIDE_PRIORITY).into())
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
    for (given, permission) in [
        (true, TICKET_CREATE),
        (command.team.is_some() || command.assignee.is_some(), TICKET_ASSIGN),
        (command.deduplication_key.is_some(), TICKET_INTERNAL),
        (command.priority_override.is_some(), TICKET_OVERRIDE_PRIORITY),
    ] {
        if given && !ctx.grants.holds(permission) {
            return Err(UserError::forbidden(permission).into());
        }
    }
    let mut problems = Problems::default();
    check_title(&mut problems, &command.title);
    if let Some(description) = &command.description {
        check_long_text(&mut problems, "description", description);
    }
    check_override(&mut problems, command.priority_override.as_ref());
    command.tags = normalise_tags(&mut problems, std::mem::take(&mut command.tags));
    command.items.check(&mut problems);
    if let Some(key) = &command.deduplication_key {
        crate::alert::check_key(&mut problems, "deduplicationKey", key);
    }
    if command.external_refs.len() > MAX_EXTERNAL_REFS {
        let message =
            format!("{} references are given; at most {MAX_EXTERNAL_REFS} are allowed", command.external_refs.len());
        problems.add(UserError::limit(["externalRefs"], message, MAX_EXTERNAL_REFS as u64));
    }
    for (index, (source, key)) in command.external_refs.iter().enumerate() {
        let checked = check_external(source, key);
        problems.take(checked.map_err(|error| error.within(&index.to_string()).within("externalRefs")))?;
    }
    problems.check()
}

fn check_update(command: &mut UpdateIncident) -> Result<()> {
    let mut problems = Problems::default();
    if let Some(title) = &command.title {
        check_title(&mut problems, title);
    }
    if let Patch::Set(description) = &command.description {
        check_long_text(&mut problems, "description", description);
    }
    if let Patch::Set(wanted) = &command.priority_override {
        check_override(&mut problems, Some(wanted));
    }
    command.items.check(&mut problems);
    if let Some(tags) = command.tags.take() {
        command.tags = Some(normalise_tags(&mut problems, tags));
    }
    problems.check()
}

fn check_override(problems: &mut Problems, wanted: Option<&PriorityOverride>) {
    if let Some(wanted) = wanted {
        let mut inner = Problems::default();
        commands::check_text(&mut inner, "reason", &wanted.reason, ticket::MAX_TITLE);
        if let Err(Error::Refused(errors)) = inner.check() {
            errors.into_iter().for_each(|error| problems.add(error.within("priorityOverride")));
        }
    }
}
