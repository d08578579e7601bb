//! Major incidents in the API: who leads them, what is told of them, how they are looked back at.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use incident::major;
use kernel::id::prefix;
use store::query::Row;

use crate::connection::connection;
use crate::context::{platform, viewer};
use crate::incidents::Incident;
use crate::loaders;
use crate::people::{Actor, User};
use crate::scalars::{DateTime, Duration, Markdown, id_of};
use crate::tickets::event_log::listed;
use crate::tickets::events::Event;
use crate::tickets::types::{Ticket, word as word_of};
use crate::tickets::words::word;

word! {
    /// How far it is decided that an incident is a major one.
    MajorIncidentState = major::MajorState {
        /// Somebody says so.
        Proposed = "PROPOSED",
        /// It is one.
        Accepted = "ACCEPTED",
        /// It is none.
        Rejected = "REJECTED",
    }
}

word! {
    /// Who reads a status update.
    StatusUpdateAudience = major::UpdateAudience {
        /// Those who work on the incident.
        Internal = "INTERNAL",
        /// Whoever sees the incident; its open children get it as a public comment.
        Requesters = "REQUESTERS",
        /// Everybody in the tenant; the open children of the incident get it as a public comment.
        Public = "PUBLIC",
    }
}

word! {
    /// What becomes of an action after a major incident.
    MajorIncidentActionKind = major::ActionKind {
        /// A task.
        Task = "TASK",
        /// A problem, whose cause is to be found.
        Problem = "PROBLEM",
    }
}

pub(super) async fn user_of(ctx: &Context<'_>, row: &Row, field: &str) -> Result<Option<User>> {
    match row.get(field).as_id() {
        Some(id) => Ok(loaders::actor(ctx, id).await?.map(Actor::from_row).and_then(Actor::user)),
        None => Ok(None),
    }
}

async fn author_of(ctx: &Context<'_>, row: &Row) -> Result<Option<Actor>> {
    Ok(loaders::actor(ctx, row.get("author").as_id().unwrap_or_default()).await?.map(Actor::from_row))
}

async fn incident_of(ctx: &Context<'_>, row: &Row) -> Result<Option<Incident>> {
    Ok(loaders::ticket(ctx, row.get("incident").as_id().unwrap_or_default()).await?.map(Incident::from_row))
}

/// What makes an incident a major one.
pub struct MajorIncident(Row);

impl MajorIncident {
    /// Of an incident's row; `None` for one that nobody ever proposed.
    pub fn of(row: &Row) -> Option<Self> {
        major::state_of(row).map(|_| Self(row.clone()))
    }
}

/// What makes an incident a major one: an interruption that is so severe that it is led, told of and looked back at in a way of its own.
/// Its clocks never pause, and it does not close by itself.
#[Object]
impl MajorIncident {
    /// How far it is decided.
    pub fn state(&self) -> MajorIncidentState {
        word_of(&self.0, "majorIncidentState", MajorIncidentState::parse, MajorIncidentState::Proposed)
    }

    /// What it means for the business.
    pub fn business_impact(&self) -> Option<Markdown> {
        self.0.optional_text("businessImpact").map(Markdown)
    }

    /// Why it was rejected. Readable by those who work on the incident.
    pub fn reason(&self) -> Option<Markdown> {
        self.0.optional_text("majorReason").map(Markdown)
    }

    /// When it was accepted or rejected.
    pub fn decided_at(&self) -> Option<DateTime> {
        self.0.get("majorDecidedAt").as_time().map(DateTime)
    }

    /// Who commands.
    pub async fn commander(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        user_of(ctx, &self.0, "commander").await
    }

    /// Who tells of it.
    pub async fn communications_lead(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        user_of(ctx, &self.0, "communicationsLead").await
    }

    /// Who writes down what happens.
    pub async fn scribe(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        user_of(ctx, &self.0, "scribe").await
    }

    /// How long after a status update the next is due; null: nobody is reminded.
    pub fn update_cadence(&self) -> Option<Duration> {
        self.0.get("updateCadence").as_int().map(Duration::of_seconds)
    }

    /// When the next status update is due. The event `StatusUpdateDue` reminds of it.
    pub fn next_update_due_at(&self) -> Option<DateTime> {
        self.0.get("nextUpdateDueAt").as_time().map(DateTime)
    }

    /// What was told of it, as far as it is meant for the viewer: the last 100, the oldest first. `statusUpdates` lists all.
    pub async fn status_updates(&self, ctx: &Context<'_>) -> Result<Vec<StatusUpdate>> {
        let rows = loaders::status_updates(ctx, self.0.id()).await?;
        Ok(rows.into_iter().map(StatusUpdate::from_row).collect())
    }

    /// What happened, by the log and by those who noted it, in the order of time; at most the first 500 events and 500 notes. Notes are
    /// readable by those who work on the incident.
    pub async fn timeline(&self, ctx: &Context<'_>) -> Result<Vec<TimelineEntry>> {
        let (mut events, notes) = futures_util::future::try_join(
            loaders::timeline_events(ctx, self.0.id()),
            loaders::timeline_notes(ctx, self.0.id()),
        )
        .await?;
        let viewer = viewer(ctx)?;
        events.sort_by_key(|row| (row.time("occurredAt"), row.int("position")));
        let told = events.iter().filter_map(|row| listed(&viewer, platform(ctx), row));
        let told = told.map(|(at, event)| TimelineEntry { at: DateTime(at), event: Some(event), note: None });
        let noted = notes.into_iter().map(|row| TimelineEntry {
            at: DateTime(row.time("at")),
            event: None,
            note: Some(TimelineNote::from_row(row)),
        });
        let mut all: Vec<_> = told.chain(noted).collect();
        all.sort_by_key(|entry| entry.at.0);
        Ok(all)
    }

    /// Whether it is closed after its review only; as the settings said when it was accepted.
    pub fn review_required(&self) -> bool {
        self.0.bool("reviewRequired")
    }

    /// How it is looked back at; null until somebody writes it. Readable by those who work on the incident.
    pub async fn review(&self, ctx: &Context<'_>) -> Result<Option<MajorIncidentReview>> {
        Ok(loaders::major_review(ctx, self.0.id()).await?.map(MajorIncidentReview::from_row))
    }

    /// What is to be done after it, the oldest first, at most 100. Readable by those who work on the incident.
    pub async fn actions(&self, ctx: &Context<'_>) -> Result<Vec<MajorIncidentAction>> {
        let rows = loaders::major_actions(ctx, self.0.id()).await?;
        Ok(rows.into_iter().map(MajorIncidentAction::from_row).collect())
    }
}

/// Something that happened in the course of a major incident: told by the log, or noted by somebody.
#[derive(SimpleObject)]
pub struct TimelineEntry {
    /// When it was.
    at: DateTime,
    /// What the log tells; null for a note.
    event: Option<Event>,
    /// What somebody noted; null for an event.
    note: Option<TimelineNote>,
}

/// What is told of a major incident.
#[derive(Clone)]
pub struct StatusUpdate(Arc<Row>);

impl StatusUpdate {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }
}

/// What is told of a major incident.
#[Object]
impl StatusUpdate {
    /// The status update's id, such as `sup_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::STATUS_UPDATE, self.0.id())
    }

    /// The incident; null when the viewer may not see it.
    pub async fn incident(&self, ctx: &Context<'_>) -> Result<Option<Incident>> {
        incident_of(ctx, &self.0).await
    }

    /// Who reads it.
    pub fn audience(&self) -> StatusUpdateAudience {
        word_of(&self.0, "audience", StatusUpdateAudience::parse, StatusUpdateAudience::Internal)
    }

    /// What is told.
    pub fn body(&self) -> Markdown {
        Markdown(self.0.text("body"))
    }

    /// Who told it.
    pub async fn author(&self, ctx: &Context<'_>) -> Result<Option<Actor>> {
        author_of(ctx, &self.0).await
    }

    /// When it was told.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.time("createdAt"))
    }
}

connection! {
    /// A page of status updates.
    StatusUpdateConnection, StatusUpdateEdge, StatusUpdate
}

/// What somebody noted on the timeline of a major incident.
#[derive(Clone)]
pub struct TimelineNote(Arc<Row>);

impl TimelineNote {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }
}

/// What somebody noted on the timeline of a major incident. For those who work on the incident.
#[Object]
impl TimelineNote {
    /// The note's id, such as `tln_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::TIMELINE_NOTE, self.0.id())
    }

    /// When it was, as its author says.
    pub fn at(&self) -> DateTime {
        DateTime(self.0.time("at"))
    }

    /// What it says.
    pub fn body(&self) -> Markdown {
        Markdown(self.0.text("body"))
    }

    /// Who noted it.
    pub async fn author(&self, ctx: &Context<'_>) -> Result<Option<Actor>> {
        author_of(ctx, &self.0).await
    }

    /// When it was noted.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.time("createdAt"))
    }
}

/// How a major incident is looked back at.
#[derive(Clone)]
pub struct MajorIncidentReview(Arc<Row>);

impl MajorIncidentReview {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }
}

/// How a major incident is looked back at. For those who work on the incident.
#[Object]
impl MajorIncidentReview {
    /// The review's id, such as `mir_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::MAJOR_INCIDENT_REVIEW, self.0.id())
    }

    /// The incident.
    pub async fn incident(&self, ctx: &Context<'_>) -> Result<Option<Incident>> {
        incident_of(ctx, &self.0).await
    }

    /// What happened.
    pub fn what_happened(&self) -> Option<Markdown> {
        self.0.optional_text("whatHappened").map(Markdown)
    }

    /// Why it happened, why that, and so on; at most 10.
    pub fn five_whys(&self) -> Vec<String> {
        self.0.texts("fiveWhys")
    }

    /// What is learnt from it.
    pub fn lessons(&self) -> Option<Markdown> {
        self.0.optional_text("lessons").map(Markdown)
    }

    /// When it was completed; it changes no more since.
    pub fn completed_at(&self) -> Option<DateTime> {
        self.0.get("completedAt").as_time().map(DateTime)
    }

    /// Rises by one with each change. For `expectedVersion`.
    pub fn version(&self) -> i32 {
        access::Managed::version(&self.0)
    }

    /// When it was begun.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.time("createdAt"))
    }

    /// When it was changed last.
    pub fn updated_at(&self) -> DateTime {
        DateTime(self.0.time("updatedAt"))
    }
}

/// What is to be done after a major incident.
#[derive(Clone)]
pub struct MajorIncidentAction(Arc<Row>);

impl MajorIncidentAction {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }
}

/// What is to be done after a major incident. For those who work on the incident.
#[Object]
impl MajorIncidentAction {
    /// The action's id, such as `mia_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::MAJOR_INCIDENT_ACTION, self.0.id())
    }

    /// What becomes of it.
    pub fn kind(&self) -> MajorIncidentActionKind {
        word_of(&self.0, "kind", MajorIncidentActionKind::parse, MajorIncidentActionKind::Task)
    }

    /// What is to be done, in a line.
    pub fn title(&self) -> String {
        self.0.text("title")
    }

    /// What is to be done, in full.
    pub fn description(&self) -> Option<Markdown> {
        self.0.optional_text("description").map(Markdown)
    }

    /// The task or the problem that it became; null when the viewer may not see it, and for a moment while the problem is being opened.
    pub async fn ticket(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
        match self.0.get("ticket").as_id() {
            Some(id) => Ok(loaders::ticket(ctx, id).await?.map(Ticket::from_row)),
            None => Ok(None),
        }
    }

    /// When it was added.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.time("createdAt"))
    }
}

/// What a tenant sets for its major incidents.
pub struct MajorIncidentSettings(Row);

impl MajorIncidentSettings {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(row)
    }
}

/// What a tenant sets for its major incidents. It holds for those that become ones from then on.
#[Object]
impl MajorIncidentSettings {
    /// Whether a major incident is closed after its review only; true until it is set.
    pub fn review_required(&self) -> bool {
        self.0.bool("reviewRequired")
    }

    /// How long after a status update the next is due where nobody says otherwise; half an hour until it is set; null: no reminders.
    pub fn update_cadence(&self) -> Option<Duration> {
        self.0.get("updateCadence").as_int().map(Duration::of_seconds)
    }

    /// Rises by one with each change; 0 until it is set. For `expectedVersion`.
    pub fn version(&self) -> i32 {
        access::Managed::version(&self.0)
    }
}
