//! Mutations of problems.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, Result};
use kernel::Patch;
use ticket::{TicketDraft, TicketPatch};

use super::Problem;
use super::linking::{ProblemLinkIncidentsInput, ProblemLinkIncidentsPayload, link};
use crate::configuration::inputs::items;
use crate::configuration::{CiRef, ServiceRef};
use crate::connection::ExternalRefInput;
use crate::context::{mutation, platform};
use crate::custom_fields::inputs::of_transition;
use crate::custom_fields::{CustomFieldInput, set};
use crate::incidents::mutations::PriorityOverrideInput;
use crate::payload::payload;
use crate::people::{TeamRefInput, UserRefInput};
use crate::scalars::{DateTime, Markdown, patch, reference};
use crate::tickets::queries::ticket_ref_of;
use crate::tickets::words::{Impact, ProblemOrigin, Urgency};

/// Opens a problem.
#[derive(Clone, Debug, InputObject)]
pub struct ProblemCreateInput {
    /// What is suspected, in a line; at most 255 characters.
    pub title: String,
    /// What is suspected, in full; at most 64 KiB.
    pub description: Option<Markdown>,
    /// Who has it looked into; the viewer when absent. Others need `ticket.createOnBehalf`. A service account must name a user.
    pub requester: Option<UserRefInput>,
    /// How many are affected; `MEDIUM` when absent.
    pub impact: Option<Impact>,
    /// How long it can wait; `MEDIUM` when absent.
    pub urgency: Option<Urgency>,
    /// A priority against the matrix. Needs `ticket.overridePriority`.
    pub priority_override: Option<PriorityOverrideInput>,
    /// The key of a category, such as `network`.
    pub category: Option<String>,
    /// The service that it is about.
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
    /// How it was found; `REACTIVE` when absent.
    pub origin: Option<ProblemOrigin>,
    /// By what it is recognised; at most 64 KiB.
    pub symptom: Option<Markdown>,
    /// Why it happens; at most 64 KiB.
    pub root_cause: Option<Markdown>,
    /// What helps meanwhile; at most 64 KiB.
    pub workaround: Option<Markdown>,
    /// Whether it is a known error, which needs `symptom`, and `rootCause` or `workaround`.
    pub known_error: Option<bool>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes a problem. Absent fields stay, null clears.
#[derive(Clone, Debug, InputObject)]
pub struct ProblemUpdateInput {
    /// The problem's id or number.
    pub id: ID,
    /// A new title; at most 255 characters.
    pub title: Option<String>,
    /// A new description; at most 64 KiB.
    pub description: MaybeUndefined<Markdown>,
    /// Who has it looked into.
    pub requester: Option<UserRefInput>,
    /// How many are affected.
    pub impact: Option<Impact>,
    /// How long it can wait.
    pub urgency: Option<Urgency>,
    /// A priority against the matrix; null goes back to the matrix. Needs `ticket.overridePriority`.
    pub priority_override: MaybeUndefined<PriorityOverrideInput>,
    /// The key of a category.
    pub category: MaybeUndefined<String>,
    /// The service that it is about.
    pub service: MaybeUndefined<ServiceRef>,
    /// All configuration items that are affected, replacing those there are; at most 50. They leave the version alone.
    pub configuration_items: Option<Vec<CiRef>>,
    /// All configuration items that are known not to be affected, replacing those there are; at most 50.
    pub not_impacted_items: Option<Vec<CiRef>>,
    /// All tags, replacing those there are; at most 50.
    pub tags: Option<Vec<String>>,
    /// Custom fields to change, at most 50; those that are not named stay.
    pub custom_fields: Option<Vec<CustomFieldInput>>,
    /// By what it is recognised; at most 64 KiB.
    pub symptom: MaybeUndefined<Markdown>,
    /// Why it happens; at most 64 KiB.
    pub root_cause: MaybeUndefined<Markdown>,
    /// What helps meanwhile; at most 64 KiB. What was published stays as it was until it is published again.
    pub workaround: MaybeUndefined<Markdown>,
    /// Whether it is a known error, which needs `symptom`, and `rootCause` or `workaround`.
    pub known_error: Option<bool>,
    /// Another date for the review of an accepted risk.
    pub risk_review_at: Option<DateTime>,
    /// Refuse when the problem has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Brings a problem to its end.
#[derive(Clone, Debug, InputObject)]
pub struct ProblemResolveInput {
    /// The problem's id or number.
    pub id: ID,
    /// How: `FIXED` resolves it; `RISK_ACCEPTED`, `DUPLICATE` and `CANCELED` close it unfixed.
    pub resolution_code: String,
    /// How, in words; at most 64 KiB.
    pub resolution_notes: Markdown,
    /// When an accepted risk is looked at again: with `RISK_ACCEPTED`, which needs it.
    pub risk_review_at: Option<DateTime>,
    /// Custom fields to change along, at most 50: those that are required in the state among them.
    pub custom_fields: Option<Vec<CustomFieldInput>>,
    /// Refuse when the problem has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Reopens a resolved problem, which was not fixed.
#[derive(Clone, Debug, InputObject)]
pub struct ProblemReopenInput {
    /// The problem's id or number.
    pub id: ID,
    /// A public comment to add along: why.
    pub comment: Option<Markdown>,
    /// Refuse when the problem has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Publishes the workaround of a problem.
#[derive(Clone, Debug, InputObject)]
pub struct ProblemPublishWorkaroundInput {
    /// The problem's id or number.
    pub id: ID,
    /// Refuse when the problem has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

payload! {
    /// The problem that was opened.
    ProblemCreatePayload {
        /// The problem; null when it was not done.
        problem: Problem
    }
}
payload! {
    /// The problem after it was changed.
    ProblemUpdatePayload {
        /// The problem; null when it was not done.
        problem: Problem
    }
}
payload! {
    /// The problem at its end.
    ProblemResolvePayload {
        /// The problem; null when it was not done.
        problem: Problem
    }
}
payload! {
    /// The problem after it was reopened.
    ProblemReopenPayload {
        /// The problem; null when it was not done.
        problem: Problem
    }
}
payload! {
    /// The problem after its workaround was published.
    ProblemPublishWorkaroundPayload {
        /// The problem; null when it was not done.
        problem: Problem
    }
}

/// The problem that an `id` names.
pub(super) fn problem_ref(id: &ID, path: &str) -> kernel::Result<ticket::TicketRef> {
    ticket_ref_of(id, path, ticket::TicketKind::Problem)
}

fn affected(affected: Option<Vec<CiRef>>, not_impacted: Option<Vec<CiRef>>) -> kernel::Result<ticket::AffectedItems> {
    Ok(ticket::AffectedItems {
        affected: items("configurationItems", affected)?,
        not_impacted: items("notImpactedItems", not_impacted)?,
    })
}

fn create_command(input: ProblemCreateInput) -> kernel::Result<problem::CreateProblem> {
    let user = |user: Option<UserRefInput>, path: &str| {
        user.map(|user| user.into_ref().map_err(|error| error.within(path))).transpose()
    };
    let service = input.service.map(|service| service.into_ref().map_err(|error| error.within("service")));
    let external = input.external_refs.unwrap_or_default().into_iter();
    Ok(problem::CreateProblem {
        draft: TicketDraft {
            title: input.title,
            description: input.description.map(|text| text.0),
            requester: user(input.requester, "requester")?,
            impact: input.impact.unwrap_or(Impact::Medium).into(),
            urgency: input.urgency.unwrap_or(Urgency::Medium).into(),
            priority_override: input.priority_override.map(Into::into),
            category: input.category,
            service: service.transpose()?,
            items: affected(input.configuration_items, input.not_impacted_items)?,
            team: input.team.map(|team| team.into_ref().map_err(|error| error.within("team"))).transpose()?,
            assignee: user(input.assignee, "assignee")?,
            tags: input.tags.unwrap_or_default(),
            custom_fields: set(input.custom_fields)?,
            external_refs: external.map(|external| (external.source, external.key)).collect(),
        },
        origin: input.origin.unwrap_or(ProblemOrigin::Reactive).into(),
        symptom: input.symptom.map(|text| text.0),
        root_cause: input.root_cause.map(|text| text.0),
        workaround: input.workaround.map(|text| text.0),
        known_error: input.known_error.unwrap_or(false),
    })
}

fn update_command(input: ProblemUpdateInput) -> kernel::Result<problem::UpdateProblem> {
    let requester = input.requester.map(UserRefInput::into_ref).transpose();
    Ok(problem::UpdateProblem {
        problem: problem_ref(&input.id, "id")?,
        patch: TicketPatch {
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
        },
        symptom: patch(input.symptom).map(|text| text.0),
        root_cause: patch(input.root_cause).map(|text| text.0),
        workaround: patch(input.workaround).map(|text| text.0),
        known_error: input.known_error,
        risk_review_at: input.risk_review_at.map(|at| at.0),
        expected_version: input.expected_version,
    })
}

/// Mutations of problems.
#[derive(Default)]
pub struct ProblemMutations;

#[Object]
impl ProblemMutations {
    /// Opens a problem. Needs `problem.manage` and `ticket.create`.
    async fn problem_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The problem.")] input: ProblemCreateInput,
    ) -> Result<ProblemCreatePayload> {
        let viewer = mutation(ctx)?;
        let result = match create_command(input) {
            Ok(command) => platform(ctx).problems.create(&viewer, command).await,
            Err(error) => Err(error),
        };
        ProblemCreatePayload::of(ctx, &viewer, result)
    }

    /// Changes a problem. Needs `ticket.update`.
    async fn problem_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which problem, and what changes.")] input: ProblemUpdateInput,
    ) -> Result<ProblemUpdatePayload> {
        let viewer = mutation(ctx)?;
        let result = match update_command(input) {
            Ok(command) => platform(ctx).problems.update(&viewer, command).await,
            Err(error) => Err(error),
        };
        ProblemUpdatePayload::of(ctx, &viewer, result)
    }

    /// Brings a problem to its end: `FIXED` takes the transition `resolve`, `RISK_ACCEPTED` takes `accept_risk`, and other codes take
    /// `dismiss`. Incidents that wait for it go back to work. Needs `ticket.transition`.
    async fn problem_resolve(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which problem, and how it ends.")] input: ProblemResolveInput,
    ) -> Result<ProblemResolvePayload> {
        let viewer = mutation(ctx)?;
        let read =
            problem_ref(&input.id, "id").and_then(|reference| Ok((reference, of_transition(input.custom_fields)?)));
        let result = match read {
            Ok((reference, custom_fields)) => {
                let (end, review) =
                    ((input.resolution_code, input.resolution_notes.0), input.risk_review_at.map(|at| at.0));
                let problems = &platform(ctx).problems;
                problems.resolve(&viewer, reference, end, review, custom_fields, input.expected_version).await
            }
            Err(error) => Err(error),
        };
        ProblemResolvePayload::of(ctx, &viewer, result)
    }

    /// Reopens a resolved problem, which was not fixed: the transition `reopen`. Closed ones cannot be reopened. Needs `ticket.reopen`.
    async fn problem_reopen(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which problem, and why.")] input: ProblemReopenInput,
    ) -> Result<ProblemReopenPayload> {
        let viewer = mutation(ctx)?;
        let result = match problem_ref(&input.id, "id") {
            Ok(reference) => {
                let comment = input.comment.map(|comment| comment.0);
                platform(ctx).problems.reopen(&viewer, reference, comment, input.expected_version).await
            }
            Err(error) => Err(error),
        };
        ProblemReopenPayload::of(ctx, &viewer, result)
    }

    /// Publishes the workaround of a problem as it is now: it is said, as a public comment, on the open incidents that the problem
    /// causes, and on those that are linked later. What was published already is not published again. Needs `problem.manage` and
    /// `ticket.update`.
    async fn problem_publish_workaround(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which problem.")] input: ProblemPublishWorkaroundInput,
    ) -> Result<ProblemPublishWorkaroundPayload> {
        let viewer = mutation(ctx)?;
        let result = match problem_ref(&input.id, "id") {
            Ok(reference) => {
                platform(ctx).problems.publish_workaround(&viewer, reference, input.expected_version).await
            }
            Err(error) => Err(error),
        };
        ProblemPublishWorkaroundPayload::of(ctx, &viewer, result)
    }

    /// Says of incidents that a problem is their cause (links of the type `CAUSED_BY`), each with a result of its own: of those that are
    /// named, or of the first 100 that a filter finds and that are not linked yet. Closed incidents are linked like others. Needs
    /// `problem.manage` and `ticket.update` on the problem, and sight of the incidents.
    async fn problem_link_incidents(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which problem, and which incidents.")] input: ProblemLinkIncidentsInput,
    ) -> Result<ProblemLinkIncidentsPayload> {
        link(ctx, input).await
    }
}
