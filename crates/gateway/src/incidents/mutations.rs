//! Mutations of incidents.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, Result};
use kernel::{Patch, UserError as Problem};
use ticket::PriorityOverride;

use crate::configuration::inputs::items;
use crate::configuration::{CiRef, ServiceRef};
use crate::connection::ExternalRefInput;
use crate::context::{mutation, platform};
use crate::custom_fields::inputs::of_transition;
use crate::custom_fields::{CustomFieldInput, set};
use crate::incidents::Incident;
use crate::incidents::escalation::IncidentEscalateInput;
use crate::payload::payload;
use crate::people::{TeamRefInput, UserRefInput};
use crate::scalars::{Markdown, patch, reference};
use crate::tickets::words::{Impact, IncidentOrigin, Priority, Urgency};

/// A priority to set against the matrix.
#[derive(Clone, Debug, InputObject)]
pub struct PriorityOverrideInput {
    /// The priority.
    pub priority: Priority,
    /// Why; kept with who and when.
    pub reason: String,
}

impl From<PriorityOverrideInput> for PriorityOverride {
    fn from(input: PriorityOverrideInput) -> Self {
        Self { priority: input.priority.into(), reason: input.reason }
    }
}

/// Opens an incident.
#[derive(Clone, Debug, InputObject)]
pub struct IncidentCreateInput {
    /// What is wrong, in a line; at most 255 characters.
    pub title: String,
    /// What is wrong, in full; at most 64 KiB.
    pub description: Option<Markdown>,
    /// Who is affected; the viewer when absent. Others need `ticket.createOnBehalf`. A service account must name a user.
    pub requester: Option<UserRefInput>,
    /// How many are affected; `MEDIUM` when absent.
    pub impact: Option<Impact>,
    /// How long it can wait; `MEDIUM` when absent.
    pub urgency: Option<Urgency>,
    /// A priority against the matrix. Needs `ticket.overridePriority`.
    pub priority_override: Option<PriorityOverrideInput>,
    /// The key of a category, such as `network`.
    pub category: Option<String>,
    /// The service that is interrupted.
    pub service: Option<ServiceRef>,
    /// The configuration items that are affected, at most 50. Needs `configuration.read`.
    pub configuration_items: Option<Vec<CiRef>>,
    /// The configuration items that are known not to be affected, at most 50. Needs `configuration.read`.
    pub not_impacted_items: Option<Vec<CiRef>>,
    /// The team that works on it. Needs `ticket.assign`.
    pub team: Option<TeamRefInput>,
    /// The member of the team who works on it. Needs `ticket.assign`.
    pub assignee: Option<UserRefInput>,
    /// Free words, at most 50.
    pub tags: Option<Vec<String>>,
    /// Custom fields, at most 50; those that are not named get their defaults.
    pub custom_fields: Option<Vec<CustomFieldInput>>,
    /// What it is called in other systems, at most 20; each unique in the tenant.
    pub external_refs: Option<Vec<ExternalRefInput>>,
    /// How it came in; `API` when absent.
    pub origin: Option<IncidentOrigin>,
    /// By which alerts mean the same incident: at most 512 bytes. Where an open incident has it already, none is opened. Needs
    /// `ticket.internal`.
    pub deduplication_key: Option<String>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes an incident. Absent fields stay, null clears.
#[derive(Clone, Debug, InputObject)]
pub struct IncidentUpdateInput {
    /// The incident's id or number.
    pub id: ID,
    /// A new title; at most 255 characters.
    pub title: Option<String>,
    /// A new description; at most 64 KiB.
    pub description: MaybeUndefined<Markdown>,
    /// Who is affected.
    pub requester: Option<UserRefInput>,
    /// How many are affected.
    pub impact: Option<Impact>,
    /// How long it can wait.
    pub urgency: Option<Urgency>,
    /// A priority against the matrix; null goes back to the matrix. Needs `ticket.overridePriority`.
    pub priority_override: MaybeUndefined<PriorityOverrideInput>,
    /// The key of a category.
    pub category: MaybeUndefined<String>,
    /// The service that is interrupted.
    pub service: MaybeUndefined<ServiceRef>,
    /// All configuration items that are affected, replacing those there are; at most 50. They leave the version alone.
    pub configuration_items: Option<Vec<CiRef>>,
    /// All configuration items that are known not to be affected, replacing those there are; at most 50.
    pub not_impacted_items: Option<Vec<CiRef>>,
    /// All tags, replacing those there are; at most 50.
    pub tags: Option<Vec<String>>,
    /// Custom fields to change, at most 50; those that are not named stay.
    pub custom_fields: Option<Vec<CustomFieldInput>>,
    /// Refuse when the incident has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Resolves an incident.
#[derive(Clone, Debug, InputObject)]
pub struct IncidentResolveInput {
    /// The incident's id or number.
    pub id: ID,
    /// How: a key of the resolution codes, such as `SOLVED`; see the input schema in `availableTransitions`.
    pub resolution_code: String,
    /// How, in words; at most 64 KiB.
    pub resolution_notes: Markdown,
    /// Custom fields to change along, at most 50: those that are required in the state among them.
    pub custom_fields: Option<Vec<CustomFieldInput>>,
    /// Resolve its open children along with it, those that the viewer may resolve, with the same code and notes. What became of
    /// each is told by the event `TicketChildrenResolved`.
    pub resolve_children: Option<bool>,
    /// Refuse when the incident has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Reopens a resolved incident.
#[derive(Clone, Debug, InputObject)]
pub struct IncidentReopenInput {
    /// The incident's id or number.
    pub id: ID,
    /// A public comment to add along: why.
    pub comment: Option<Markdown>,
    /// Refuse when the incident has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

payload! {
    /// The incident that was opened.
    IncidentCreatePayload {
        /// The incident; null when it was not done.
        incident: Incident
    }
}
payload! {
    /// The incident after it was changed.
    IncidentUpdatePayload {
        /// The incident; null when it was not done.
        incident: Incident
    }
}
payload! {
    /// The incident after it was resolved.
    IncidentResolvePayload {
        /// The incident; null when it was not done.
        incident: Incident
    }
}
payload! {
    /// The incident after it was escalated.
    IncidentEscalatePayload {
        /// The incident; null when it was not done, or when the viewer does not see those of the team that has it now.
        incident: Incident
    }
}
payload! {
    /// The incident after it was reopened.
    IncidentReopenPayload {
        /// The incident; null when it was not done.
        incident: Incident
    }
}

fn affected(affected: Option<Vec<CiRef>>, not_impacted: Option<Vec<CiRef>>) -> kernel::Result<ticket::AffectedItems> {
    Ok(ticket::AffectedItems {
        affected: items("configurationItems", affected)?,
        not_impacted: items("notImpactedItems", not_impacted)?,
    })
}

fn create_command(input: IncidentCreateInput) -> kernel::Result<incident::CreateIncident> {
    let user = |user: Option<UserRefInput>, path: &str| {
        user.map(|user| user.into_ref().map_err(|error| error.within(path))).transpose()
    };
    Ok(incident::CreateIncident {
        title: input.title,
        description: input.description.map(|text| text.0),
        requester: user(input.requester, "requester")?,
        impact: input.impact.unwrap_or(Impact::Medium).into(),
        urgency: input.urgency.unwrap_or(Urgency::Medium).into(),
        priority_override: input.priority_override.map(Into::into),
        category: input.category,
        service: input
            .service
            .map(|service| service.into_ref().map_err(|error| error.within("service")))
            .transpose()?,
        items: affected(input.configuration_items, input.not_impacted_items)?,
        team: input.team.map(|team| team.into_ref().map_err(|error| error.within("team"))).transpose()?,
        assignee: user(input.assignee, "assignee")?,
        tags: input.tags.unwrap_or_default(),
        custom_fields: set(input.custom_fields)?,
        external_refs: input
            .external_refs
            .unwrap_or_default()
            .into_iter()
            .map(|external| (external.source, external.key))
            .collect(),
        origin: input.origin.unwrap_or(IncidentOrigin::Api).into(),
        deduplication_key: input.deduplication_key,
    })
}

fn update_command(input: IncidentUpdateInput) -> kernel::Result<incident::UpdateIncident> {
    let requester = input.requester.map(UserRefInput::into_ref).transpose();
    Ok(incident::UpdateIncident {
        incident: incident_ref(&input.id)?,
        title: input.title,
        description: patch(input.description).map(|text| text.0),
        requester: requester.map_err(|error| error.within("requester"))?,
        impact: input.impact.map(Into::into),
        urgency: input.urgency.map(Into::into),
        priority_override: match input.priority_override {
            MaybeUndefined::Undefined => Patch::Keep,
            MaybeUndefined::Null => Patch::Clear,
            MaybeUndefined::Value(wanted) => Patch::Set(wanted.into()),
        },
        category: patch(input.category),
        service: reference("service", input.service, ServiceRef::into_ref)?,
        items: affected(input.configuration_items, input.not_impacted_items)?,
        tags: input.tags,
        custom_fields: set(input.custom_fields)?,
        expected_version: input.expected_version,
    })
}

/// The incident that an `id` names.
fn incident_ref(id: &ID) -> kernel::Result<ticket::TicketRef> {
    incident_at("id", id)
}

/// The incident that an input names at this path.
pub(super) fn incident_at(path: &'static str, id: &ID) -> kernel::Result<ticket::TicketRef> {
    let reference = ticket::TicketRef::parse(id, path)?;
    let number = ticket::TicketKind::Incident.number_prefix();
    match &reference {
        ticket::TicketRef::Number(text) if !text.starts_with(&format!("{number}-")) => {
            let message = format!("`{text}` is no incident's number; those begin with `{number}-`");
            Err(Problem::constraint([path], message, "id", None).into())
        }
        ticket::TicketRef::Id(id) if id.prefix != ticket::TicketKind::Incident.id_prefix() => {
            let message = format!("expected an id that starts with `inc_`, got one that starts with `{}_`", id.prefix);
            Err(Problem::constraint([path], message, "id", None).into())
        }
        _ => Ok(reference),
    }
}

/// Mutations of incidents.
#[derive(Default)]
pub struct IncidentMutations;

#[Object]
impl IncidentMutations {
    /// Opens an incident. Needs `ticket.create`.
    async fn incident_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The incident.")] input: IncidentCreateInput,
    ) -> Result<IncidentCreatePayload> {
        let viewer = mutation(ctx)?;
        let result = match create_command(input) {
            Ok(command) => platform(ctx).incidents.create(&viewer, command).await,
            Err(error) => Err(error),
        };
        IncidentCreatePayload::of(ctx, &viewer, result)
    }

    /// Changes an incident. Needs `ticket.update`.
    async fn incident_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which incident, and what changes.")] input: IncidentUpdateInput,
    ) -> Result<IncidentUpdatePayload> {
        let viewer = mutation(ctx)?;
        let result = match update_command(input) {
            Ok(command) => platform(ctx).incidents.update(&viewer, command).await,
            Err(error) => Err(error),
        };
        IncidentUpdatePayload::of(ctx, &viewer, result)
    }

    /// Resolves an incident: the transition `resolve`. Needs `ticket.transition`.
    async fn incident_resolve(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which incident, and how.")] input: IncidentResolveInput,
    ) -> Result<IncidentResolvePayload> {
        let viewer = mutation(ctx)?;
        let read = incident_ref(&input.id).and_then(|reference| Ok((reference, of_transition(input.custom_fields)?)));
        let result = match read {
            Ok((reference, custom_fields)) => {
                let (code, notes) = (input.resolution_code, input.resolution_notes.0);
                let children = input.resolve_children.unwrap_or(false);
                let incidents = &platform(ctx).incidents;
                incidents
                    .resolve_with(&viewer, reference, (code, notes), custom_fields, children, input.expected_version)
                    .await
            }
            Err(error) => Err(error),
        };
        IncidentResolvePayload::of(ctx, &viewer, result)
    }

    /// Escalates an incident: `FUNCTIONAL` hands it to the team of the next level of support, as `ticketAssign` does (needs
    /// `ticket.assign`); `HIERARCHICAL` makes the next manager up the line a watcher (needs `ticket.update`). Told by the event
    /// `IncidentEscalated`.
    async fn incident_escalate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which incident, which way, and why.")] input: IncidentEscalateInput,
    ) -> Result<IncidentEscalatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).incidents.escalate(&viewer, command).await,
            Err(error) => Err(error),
        };
        IncidentEscalatePayload::of(ctx, &viewer, result)
    }

    /// Reopens a resolved incident: the transition `reopen`. Closed ones cannot be reopened. Needs `ticket.reopen`.
    async fn incident_reopen(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which incident, and why.")] input: IncidentReopenInput,
    ) -> Result<IncidentReopenPayload> {
        let viewer = mutation(ctx)?;
        let result = match incident_ref(&input.id) {
            Ok(reference) => {
                let comment = input.comment.map(|comment| comment.0);
                platform(ctx).incidents.reopen(&viewer, reference, comment, input.expected_version).await
            }
            Err(error) => Err(error),
        };
        IncidentReopenPayload::of(ctx, &viewer, result)
    }
}
