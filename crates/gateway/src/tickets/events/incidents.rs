//! What events of incidents show: of their escalation, of alerts, and of major incidents.

use std::sync::Arc;

use async_graphql::{Context, Object, Result, SimpleObject};
use serde_json::Value as JsonValue;

use super::EventView;
use crate::incidents::alerts::AlertOutcome;
use crate::incidents::escalation::IncidentEscalationType;
use crate::incidents::major::{MajorIncidentAction, StatusUpdate, TimelineNote};
use crate::loaders;
use crate::people::{Team, User};
use crate::scalars::Markdown;

/// What the event of an escalation shows.
pub(super) struct EscalationFields(pub(super) Arc<EventView>);

impl EscalationFields {
    fn is(&self, kind: IncidentEscalationType) -> bool {
        self.0.payload_text("type").and_then(IncidentEscalationType::parse) == Some(kind)
    }

    async fn team(&self, ctx: &Context<'_>, name: &str) -> Result<Option<Team>> {
        let functional = self.is(IncidentEscalationType::Functional);
        match self.0.payload_id(name).filter(|_| functional) {
            Some(id) => Ok(loaders::team(ctx, id).await?.map(Team::from_row)),
            None => Ok(None),
        }
    }

    async fn manager(&self, ctx: &Context<'_>, name: &str) -> Result<Option<User>> {
        match self.is(IncidentEscalationType::Hierarchical) {
            true => self.0.payload_user(ctx, name).await,
            false => Ok(None),
        }
    }
}

#[Object]
impl EscalationFields {
    /// Which way.
    #[graphql(name = "type")]
    pub async fn kind(&self) -> Option<IncidentEscalationType> {
        IncidentEscalationType::parse(self.0.payload_text("type")?)
    }

    /// The incident's level of that type since.
    pub async fn level(&self) -> i32 {
        self.0.payload_count("level")
    }

    /// Why.
    pub async fn reason(&self) -> Option<Markdown> {
        self.0.payload_text("reason").map(|reason| Markdown(reason.to_owned()))
    }

    /// Of a functional escalation: the team that had it.
    #[graphql(name = "fromTeam")]
    pub async fn team_before(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        self.team(ctx, "from").await
    }

    /// Of a functional escalation: the team that has it since.
    pub async fn to_team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        self.team(ctx, "to").await
    }

    /// Of a hierarchical escalation: the manager whom it had reached before; null at first.
    #[graphql(name = "fromManager")]
    pub async fn manager_before(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        self.manager(ctx, "from").await
    }

    /// Of a hierarchical escalation: the manager who watches it since.
    pub async fn to_manager(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        self.manager(ctx, "to").await
    }
}

/// What the event of alerts shows.
pub(super) struct AlertsFields(pub(super) Arc<EventView>);

#[Object]
impl AlertsFields {
    /// How often alerts of the incident have been told by then.
    pub async fn occurrences(&self) -> i32 {
        self.0.payload_count("occurrences")
    }

    /// What became of each alert; at most 20.
    pub async fn alerts(&self) -> Vec<AlertReceived> {
        self.0.payload_list("alerts").iter().filter_map(AlertReceived::of).collect()
    }
}

/// What became of an alert that came in.
#[derive(SimpleObject)]
pub struct AlertReceived {
    /// By which monitoring means the same alert again.
    pub key: String,
    /// What was done.
    pub outcome: AlertOutcome,
}

impl AlertReceived {
    fn of(entry: &JsonValue) -> Option<Self> {
        let text = |name: &str| entry.get(name)?.as_str();
        Some(Self { key: text("key")?.to_owned(), outcome: AlertOutcome::parse(text("outcome")?)? })
    }
}

/// What the event of a status update shows.
pub(super) struct StatusUpdateFields(pub(super) Arc<EventView>);

#[Object]
impl StatusUpdateFields {
    /// The status update; null when it is not meant for the viewer.
    pub async fn status_update(&self, ctx: &Context<'_>) -> Result<Option<StatusUpdate>> {
        let Some(id) = self.0.payload_id("statusUpdate") else { return Ok(None) };
        Ok(loaders::status_update(ctx, id).await?.map(StatusUpdate::from_row))
    }
}

/// What the event of a note on a timeline shows.
pub(super) struct TimelineNoteFields(pub(super) Arc<EventView>);

#[Object]
impl TimelineNoteFields {
    /// The note; null when the viewer may not read it.
    pub async fn note(&self, ctx: &Context<'_>) -> Result<Option<TimelineNote>> {
        let Some(id) = self.0.payload_id("note") else { return Ok(None) };
        Ok(loaders::timeline_note(ctx, id).await?.map(TimelineNote::from_row))
    }
}

/// What the event of an action after a major incident shows.
pub(super) struct MajorIncidentActionFields(pub(super) Arc<EventView>);

#[Object]
impl MajorIncidentActionFields {
    /// The action; null when the viewer may not read it.
    pub async fn action(&self, ctx: &Context<'_>) -> Result<Option<MajorIncidentAction>> {
        let Some(id) = self.0.payload_id("action") else { return Ok(None) };
        Ok(loaders::major_action(ctx, id).await?.map(MajorIncidentAction::from_row))
    }
}
