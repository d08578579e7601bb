//! What events of service levels show.

use std::sync::Arc;

use async_graphql::{Context, Object, Result};

use super::EventView;
use crate::loaders;
use crate::scalars::DateTime;
use crate::service_levels::SlaPolicy;
use crate::service_levels::types::SlaMetric;

/// What all events of service levels show.
pub(super) struct PolicyFields(pub(super) Arc<EventView>);

#[Object]
impl PolicyFields {
    /// The policy; null when the viewer may not read it.
    pub async fn policy(&self, ctx: &Context<'_>) -> Result<Option<SlaPolicy>> {
        let Some(id) = self.0.payload_id("policy") else { return Ok(None) };
        Ok(loaders::sla_policy(ctx, id).await?.map(SlaPolicy::from_row))
    }
}

/// What events of a clock show alike.
struct ClockFields(Arc<EventView>);

#[Object]
impl ClockFields {
    #[graphql(flatten)]
    fn policy(&self) -> PolicyFields {
        PolicyFields(self.0.clone())
    }

    /// What is measured.
    pub async fn metric(&self) -> Option<SlaMetric> {
        SlaMetric::parse(self.0.payload_text("metric")?)
    }
}

/// What the event of a clock that is over time shows.
pub(super) struct BreachFields(pub(super) Arc<EventView>);

#[Object]
impl BreachFields {
    #[graphql(flatten)]
    fn clock(&self) -> ClockFields {
        ClockFields(self.0.clone())
    }

    /// When it was due.
    pub async fn due_at(&self) -> Option<DateTime> {
        self.0.payload_time("dueAt")
    }

    /// Whether it is told more than a minute late, such as after a downtime.
    pub async fn late(&self) -> bool {
        self.0.payload_says("late")
    }
}

/// What the event of a clock's escalation shows.
pub(super) struct SlaEscalationFields(pub(super) Arc<EventView>);

#[Object]
impl SlaEscalationFields {
    #[graphql(flatten)]
    fn clock(&self) -> ClockFields {
        ClockFields(self.0.clone())
    }

    /// Which escalation: `75%`, `-PT30M`, `+PT2H`.
    pub async fn at(&self) -> Option<&str> {
        self.0.payload_text("at")
    }

    /// When it was due.
    pub async fn due_at(&self) -> Option<DateTime> {
        self.0.payload_time("dueAt")
    }

    /// Whether it comes more than a minute late, such as after a downtime.
    pub async fn late(&self) -> bool {
        self.0.payload_says("late")
    }
}
