//! Mutations of major incidents.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, Result};
use incident::commands::{
    AddMajorAction, AddTimelineNote, ChangeMajor, MajorDraft, PostStatusUpdate, SetMajorSettings, WriteReview,
};
use incident::major::Step;
use kernel::Patch;
use ticket::TicketRef;

use super::Incident;
use super::major::{
    MajorIncidentAction, MajorIncidentActionKind, MajorIncidentReview, MajorIncidentSettings, StatusUpdate,
    StatusUpdateAudience, TimelineNote,
};
use super::mutations::incident_at;
use crate::context::{mutation, platform};
use crate::custom_fields::{CustomFieldInput, set};
use crate::payload::{outcome, payload};
use crate::people::{TeamRefInput, UserRefInput};
use crate::scalars::{DateTime, Duration, Markdown, patch, reference, within};
use crate::service_levels::inputs::seconds;
use crate::tickets::words::{Impact, Urgency};

fn major_ref(id: &ID) -> kernel::Result<TicketRef> {
    incident_at("incident", id)
}

fn length(field: MaybeUndefined<Duration>) -> Patch<i64> {
    patch(field).map(|length| seconds(&length))
}

fn text(field: MaybeUndefined<Markdown>) -> Patch<String> {
    patch(field).map(|text| text.0)
}

/// Says that an incident is a major one.
#[derive(Clone, Debug, InputObject)]
pub struct MajorIncidentProposeInput {
    /// The incident's id or number.
    pub incident: ID,
    /// What it means for the business; at most 64 KiB.
    pub business_impact: Markdown,
    /// Refuse when the incident has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

impl MajorIncidentProposeInput {
    fn draft(self) -> kernel::Result<MajorDraft> {
        Ok(MajorDraft { business_impact: Some(self.business_impact.0), ..MajorDraft::default() })
    }
}

/// Makes an incident that was proposed a major one.
#[derive(Clone, Debug, InputObject)]
pub struct MajorIncidentAcceptInput {
    /// The incident's id or number.
    pub incident: ID,
    /// What it means for the business; at most 64 KiB. What was said before stays when it is absent.
    pub business_impact: Option<Markdown>,
    /// Who commands; the viewer when absent.
    pub commander: MaybeUndefined<UserRefInput>,
    /// Who tells of it.
    pub communications_lead: MaybeUndefined<UserRefInput>,
    /// Who writes down what happens.
    pub scribe: MaybeUndefined<UserRefInput>,
    /// How long after a status update the next is due, from a minute to seven days; null: nobody is reminded. That which the settings say when it is absent.
    pub update_cadence: MaybeUndefined<Duration>,
    /// Refuse when the incident has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

impl MajorIncidentAcceptInput {
    fn draft(self) -> kernel::Result<MajorDraft> {
        Ok(MajorDraft {
            business_impact: self.business_impact.map(|text| text.0),
            commander: reference("commander", self.commander, UserRefInput::into_ref)?,
            communications_lead: reference("communicationsLead", self.communications_lead, UserRefInput::into_ref)?,
            scribe: reference("scribe", self.scribe, UserRefInput::into_ref)?,
            update_cadence: length(self.update_cadence),
        })
    }
}

/// Makes an incident a major one at once.
#[derive(Clone, Debug, InputObject)]
pub struct MajorIncidentDeclareInput {
    /// The incident's id or number.
    pub incident: ID,
    /// What it means for the business; at most 64 KiB.
    pub business_impact: Markdown,
    /// Who commands; the viewer when absent.
    pub commander: MaybeUndefined<UserRefInput>,
    /// Who tells of it.
    pub communications_lead: MaybeUndefined<UserRefInput>,
    /// Who writes down what happens.
    pub scribe: MaybeUndefined<UserRefInput>,
    /// How long after a status update the next is due, from a minute to seven days; null: nobody is reminded. That which the settings say when it is absent.
    pub update_cadence: MaybeUndefined<Duration>,
    /// Refuse when the incident has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

impl MajorIncidentDeclareInput {
    fn draft(self) -> kernel::Result<MajorDraft> {
        Ok(MajorDraft {
            business_impact: Some(self.business_impact.0),
            commander: reference("commander", self.commander, UserRefInput::into_ref)?,
            communications_lead: reference("communicationsLead", self.communications_lead, UserRefInput::into_ref)?,
            scribe: reference("scribe", self.scribe, UserRefInput::into_ref)?,
            update_cadence: length(self.update_cadence),
        })
    }
}

/// Says that an incident that was proposed is no major one.
#[derive(Clone, Debug, InputObject)]
pub struct MajorIncidentRejectInput {
    /// The incident's id or number.
    pub incident: ID,
    /// Why; at most 64 KiB.
    pub reason: Markdown,
    /// Refuse when the incident has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes who leads a major incident, what it means, and how often it is told of. Absent fields stay.
#[derive(Clone, Debug, InputObject)]
pub struct MajorIncidentUpdateInput {
    /// The incident's id or number.
    pub incident: ID,
    /// What it means for the business; at most 64 KiB. What was said before stays when it is absent.
    pub business_impact: Option<Markdown>,
    /// Who commands; it cannot be cleared while it is a major incident.
    pub commander: MaybeUndefined<UserRefInput>,
    /// Who tells of it.
    pub communications_lead: MaybeUndefined<UserRefInput>,
    /// Who writes down what happens.
    pub scribe: MaybeUndefined<UserRefInput>,
    /// How long after a status update the next is due, from a minute to seven days; null: nobody is reminded.
    pub update_cadence: MaybeUndefined<Duration>,
    /// Refuse when the incident has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

impl MajorIncidentUpdateInput {
    fn draft(self) -> kernel::Result<MajorDraft> {
        Ok(MajorDraft {
            business_impact: self.business_impact.map(|text| text.0),
            commander: reference("commander", self.commander, UserRefInput::into_ref)?,
            communications_lead: reference("communicationsLead", self.communications_lead, UserRefInput::into_ref)?,
            scribe: reference("scribe", self.scribe, UserRefInput::into_ref)?,
            update_cadence: length(self.update_cadence),
        })
    }
}

/// Tells of a major incident.
#[derive(Clone, Debug, InputObject)]
pub struct StatusUpdatePostInput {
    /// The incident's id or number.
    pub incident: ID,
    /// What is told; at most 64 KiB.
    pub body: Markdown,
    /// To whom.
    pub audience: StatusUpdateAudience,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Notes something on the timeline of a major incident.
#[derive(Clone, Debug, InputObject)]
pub struct TimelineNoteAddInput {
    /// The incident's id or number.
    pub incident: ID,
    /// What happened; at most 64 KiB.
    pub body: Markdown,
    /// When it was; now when absent.
    pub at: Option<DateTime>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Writes the review of a major incident; the first call begins it. Absent fields stay, null clears.
#[derive(Clone, Debug, InputObject)]
pub struct MajorIncidentReviewWriteInput {
    /// The incident's id or number.
    pub incident: ID,
    /// What happened; at most 64 KiB.
    pub what_happened: MaybeUndefined<Markdown>,
    /// Why it happened, why that, and so on: all of them, at most 10 of 1,000 characters.
    pub five_whys: Option<Vec<String>>,
    /// What is learnt from it; at most 64 KiB.
    pub lessons: MaybeUndefined<Markdown>,
    /// Refuse when the review has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Completes the review of a major incident.
#[derive(Clone, Debug, InputObject)]
pub struct MajorIncidentReviewCompleteInput {
    /// The incident's id or number.
    pub incident: ID,
    /// Refuse when the incident has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Has something done after a major incident.
#[derive(Clone, Debug, InputObject)]
pub struct MajorIncidentActionAddInput {
    /// The incident's id or number.
    pub incident: ID,
    /// What becomes of it; a task when absent.
    pub kind: Option<MajorIncidentActionKind>,
    /// What to do, in a line; at most 255 characters.
    pub title: String,
    /// What to do, in full; at most 64 KiB.
    pub description: Option<Markdown>,
    /// The team that does it; that of the incident, when absent. Needs `ticket.assign`.
    pub team: Option<TeamRefInput>,
    /// The member of the team who does. Needs `ticket.assign`.
    pub assignee: Option<UserRefInput>,
    /// How many are affected; `MEDIUM` when absent.
    pub impact: Option<Impact>,
    /// How long it can wait; `MEDIUM` when absent.
    pub urgency: Option<Urgency>,
    /// Free words, at most 50.
    pub tags: Option<Vec<String>>,
    /// Custom fields of the task, at most 50; those that are not named get their defaults.
    pub custom_fields: Option<Vec<CustomFieldInput>>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

impl MajorIncidentActionAddInput {
    fn command(self) -> kernel::Result<AddMajorAction> {
        Ok(AddMajorAction {
            incident: major_ref(&self.incident)?,
            kind: self.kind.unwrap_or(MajorIncidentActionKind::Task).into(),
            draft: ticket::TaskDraft {
                title: self.title,
                description: self.description.map(|text| text.0),
                team: within("team", self.team.map(TeamRefInput::into_ref))?,
                assignee: within("assignee", self.assignee.map(UserRefInput::into_ref))?,
                impact: self.impact.map(Into::into),
                urgency: self.urgency.map(Into::into),
                tags: self.tags.unwrap_or_default(),
                custom_fields: set(self.custom_fields)?,
            },
        })
    }
}

/// Sets what holds for the tenant's major incidents. Absent fields stay.
#[derive(Clone, Debug, InputObject)]
pub struct MajorIncidentSettingsSetInput {
    /// Whether a major incident is closed after its review only.
    pub review_required: Option<bool>,
    /// How long after a status update the next is due, from a minute to seven days; null: no reminders.
    pub update_cadence: MaybeUndefined<Duration>,
    /// Refuse when the settings have another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

payload! {
    /// The incident after it was proposed.
    MajorIncidentProposePayload {
        /// The incident; null when it was not done.
        incident: Incident
    }
}

payload! {
    /// The incident after it became a major one.
    MajorIncidentAcceptPayload {
        /// The incident; null when it was not done.
        incident: Incident
    }
}

payload! {
    /// The incident after it became a major one.
    MajorIncidentDeclarePayload {
        /// The incident; null when it was not done.
        incident: Incident
    }
}

payload! {
    /// The incident after it was rejected as a major one.
    MajorIncidentRejectPayload {
        /// The incident; null when it was not done.
        incident: Incident
    }
}

payload! {
    /// The major incident after it was changed.
    MajorIncidentUpdatePayload {
        /// The incident; null when it was not done.
        incident: Incident
    }
}

payload! {
    /// The major incident after its review was completed.
    MajorIncidentReviewCompletePayload {
        /// The incident; null when it was not done.
        incident: Incident
    }
}

payload! {
    /// What was told.
    StatusUpdatePostPayload {
        /// The status update; null when it was not done.
        status_update: StatusUpdate
    }
}

payload! {
    /// What was noted.
    TimelineNoteAddPayload {
        /// The note; null when it was not done.
        timeline_note: TimelineNote
    }
}

payload! {
    /// The review after it was written.
    MajorIncidentReviewWritePayload {
        /// The review; null when it was not done.
        review: MajorIncidentReview
    }
}

payload! {
    /// What is to be done.
    MajorIncidentActionAddPayload {
        /// The action; null when it was not done.
        action: MajorIncidentAction
    }
}

payload! {
    /// What holds from then on.
    MajorIncidentSettingsSetPayload {
        /// The settings; null when it was not done.
        major_incident_settings: MajorIncidentSettings
    }
}

/// Mutations of major incidents.
#[derive(Default)]
pub struct MajorIncidentMutations;

#[Object]
impl MajorIncidentMutations {
    /// Says that an incident is a major one, for somebody to accept or reject. Needs `ticket.internal`.
    async fn major_incident_propose(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which incident, and what it means.")] input: MajorIncidentProposeInput,
    ) -> Result<MajorIncidentProposePayload> {
        let viewer = mutation(ctx)?;
        let (incident, expected_version) = (major_ref(&input.incident), input.expected_version);
        let command = incident.and_then(|incident| {
            Ok(ChangeMajor { incident, step: Step::Propose, draft: input.draft()?, expected_version })
        });
        let result = match command {
            Ok(command) => platform(ctx).incidents.change_major(&viewer, "majorIncidentPropose", command).await,
            Err(error) => Err(error),
        };
        MajorIncidentProposePayload::of(ctx, &viewer, result)
    }

    /// Makes an incident that was proposed a major one: its clocks never pause from then on, and it is told of. Needs
    /// `incident.manageMajor`.
    async fn major_incident_accept(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which incident, and who leads it.")] input: MajorIncidentAcceptInput,
    ) -> Result<MajorIncidentAcceptPayload> {
        let viewer = mutation(ctx)?;
        let (incident, expected_version) = (major_ref(&input.incident), input.expected_version);
        let command = incident.and_then(|incident| {
            Ok(ChangeMajor { incident, step: Step::Accept, draft: input.draft()?, expected_version })
        });
        let result = match command {
            Ok(command) => platform(ctx).incidents.change_major(&viewer, "majorIncidentAccept", command).await,
            Err(error) => Err(error),
        };
        MajorIncidentAcceptPayload::of(ctx, &viewer, result)
    }

    /// Proposes and accepts an incident as a major one at once. Needs `incident.manageMajor`.
    async fn major_incident_declare(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which incident, what it means, and who leads it.")] input: MajorIncidentDeclareInput,
    ) -> Result<MajorIncidentDeclarePayload> {
        let viewer = mutation(ctx)?;
        let (incident, expected_version) = (major_ref(&input.incident), input.expected_version);
        let command = incident.and_then(|incident| {
            Ok(ChangeMajor { incident, step: Step::Declare, draft: input.draft()?, expected_version })
        });
        let result = match command {
            Ok(command) => platform(ctx).incidents.change_major(&viewer, "majorIncidentDeclare", command).await,
            Err(error) => Err(error),
        };
        MajorIncidentDeclarePayload::of(ctx, &viewer, result)
    }

    /// Says that an incident that was proposed is no major one. It can be proposed again. Needs `incident.manageMajor`.
    async fn major_incident_reject(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which incident, and why.")] input: MajorIncidentRejectInput,
    ) -> Result<MajorIncidentRejectPayload> {
        let viewer = mutation(ctx)?;
        let result = match major_ref(&input.incident) {
            Ok(incident) => {
                let (step, draft) = (Step::Reject(input.reason.0), MajorDraft::default());
                let command = ChangeMajor { incident, step, draft, expected_version: input.expected_version };
                platform(ctx).incidents.change_major(&viewer, "majorIncidentReject", command).await
            }
            Err(error) => Err(error),
        };
        MajorIncidentRejectPayload::of(ctx, &viewer, result)
    }

    /// Changes who leads a major incident, what it means, and how often it is told of. Needs `incident.manageMajor`.
    async fn major_incident_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which incident, and what changes.")] input: MajorIncidentUpdateInput,
    ) -> Result<MajorIncidentUpdatePayload> {
        let viewer = mutation(ctx)?;
        let (incident, expected_version) = (major_ref(&input.incident), input.expected_version);
        let command = incident.and_then(|incident| {
            Ok(ChangeMajor { incident, step: Step::Change, draft: input.draft()?, expected_version })
        });
        let result = match command {
            Ok(command) => platform(ctx).incidents.change_major(&viewer, "majorIncidentUpdate", command).await,
            Err(error) => Err(error),
        };
        MajorIncidentUpdatePayload::of(ctx, &viewer, result)
    }

    /// Tells of a major incident. The open children of the incident get it as a comment. Needs `incident.manageMajor`, or to command it or
    /// to tell of it.
    async fn status_update_post(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of which incident, what, and to whom.")] input: StatusUpdatePostInput,
    ) -> Result<StatusUpdatePostPayload> {
        let viewer = mutation(ctx)?;
        let result = match major_ref(&input.incident).map(|incident| PostStatusUpdate {
            incident,
            body: input.body.0,
            audience: input.audience.into(),
        }) {
            Ok(command) => platform(ctx).incidents.post_status_update(&viewer, command).await,
            Err(error) => Err(error),
        };
        StatusUpdatePostPayload::of(ctx, &viewer, outcome(result))
    }

    /// Notes something on the timeline of a major incident. Needs `ticket.internal`, or to command it or to write down for it.
    async fn timeline_note_add(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of which incident, what, and when it was.")] input: TimelineNoteAddInput,
    ) -> Result<TimelineNoteAddPayload> {
        let viewer = mutation(ctx)?;
        let result = match major_ref(&input.incident).map(|incident| AddTimelineNote {
            incident,
            body: input.body.0,
            at: input.at.map(|at| at.0),
        }) {
            Ok(command) => platform(ctx).incidents.add_timeline_note(&viewer, command).await,
            Err(error) => Err(error),
        };
        TimelineNoteAddPayload::of(ctx, &viewer, outcome(result))
    }

    /// Writes the review of a major incident. Needs `incident.manageMajor`, or to command it or to write down for it.
    async fn major_incident_review_write(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of which incident, and what it says.")] input: MajorIncidentReviewWriteInput,
    ) -> Result<MajorIncidentReviewWritePayload> {
        let viewer = mutation(ctx)?;
        let result = match major_ref(&input.incident).map(|incident| WriteReview {
            incident,
            what_happened: text(input.what_happened),
            five_whys: input.five_whys,
            lessons: text(input.lessons),
            expected_version: input.expected_version,
        }) {
            Ok(command) => platform(ctx).incidents.write_major_review(&viewer, command).await,
            Err(error) => Err(error),
        };
        MajorIncidentReviewWritePayload::of(ctx, &viewer, outcome(result))
    }

    /// Completes the review of a major incident: it says what happened and why, and changes no more. Needs what writing it needs.
    async fn major_incident_review_complete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of which incident.")] input: MajorIncidentReviewCompleteInput,
    ) -> Result<MajorIncidentReviewCompletePayload> {
        let viewer = mutation(ctx)?;
        let result = match major_ref(&input.incident) {
            Ok(incident) => {
                platform(ctx).incidents.complete_major_review(&viewer, incident, input.expected_version).await
            }
            Err(error) => Err(error),
        };
        MajorIncidentReviewCompletePayload::of(ctx, &viewer, result)
    }

    /// Has something done after a major incident: a task that belongs to no ticket, or a problem that is opened a moment later. Needs what writing the review needs, and
    /// `ticket.create`.
    async fn major_incident_action_add(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "After which incident, and what to do.")] input: MajorIncidentActionAddInput,
    ) -> Result<MajorIncidentActionAddPayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).incidents.add_major_action(&viewer, command).await,
            Err(error) => Err(error),
        };
        MajorIncidentActionAddPayload::of(ctx, &viewer, outcome(result))
    }

    /// Sets what holds for the tenant's major incidents, for those that become ones from then on. Needs `settings.manage`.
    async fn major_incident_settings_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What holds.")] input: MajorIncidentSettingsSetInput,
    ) -> Result<MajorIncidentSettingsSetPayload> {
        let viewer = mutation(ctx)?;
        let command = SetMajorSettings {
            review_required: input.review_required,
            update_cadence: length(input.update_cadence),
            expected_version: input.expected_version,
        };
        let result = platform(ctx).incidents.set_major_settings(&viewer, command).await;
        MajorIncidentSettingsSetPayload::of(ctx, &viewer, outcome(result))
    }
}
