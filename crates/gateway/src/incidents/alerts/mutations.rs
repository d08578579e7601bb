//! Mutations of alerts and their rules.

use async_graphql::{Context, Object, Result};

use super::AlertRule;
use super::inputs::{AlertIngestInput, AlertInput, AlertRuleCreateInput, AlertRuleUpdateInput};
use super::types::{AlertIngestPayload, AlertIngestResult};
use crate::context::{mutation, platform};
use crate::payload::{outcome, payload};
use crate::tickets::event_log::from_store;
use crate::user_error::part;

payload! {
    /// The rule that was added.
    AlertRuleCreatePayload {
        /// The rule; null when it was not done.
        alert_rule: AlertRule
    }
}
payload! {
    /// The rule after it was changed.
    AlertRuleUpdatePayload {
        /// The rule; null when it was not done.
        alert_rule: AlertRule
    }
}

/// Mutations of alerts.
#[derive(Default)]
pub struct AlertMutations;

#[Object]
impl AlertMutations {
    /// Tells of alerts, each with a result of its own: they open incidents, are counted on them and resolve them, as the rules of alerts
    /// say. An alert that is wrong is refused alone. Needs `alert.ingest`.
    async fn alert_ingest(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The alerts.")] input: AlertIngestInput,
    ) -> Result<AlertIngestPayload> {
        let (viewer, platform) = (mutation(ctx)?, platform(ctx));
        let reports = input.alerts.into_iter().map(AlertInput::report).collect();
        let (done, user_errors) = part(platform.incidents.ingest(&viewer, reports).await)?;
        let (results, events) = done.map_or((None, Vec::new()), |done| (Some(done.results), done.events));
        Ok(AlertIngestPayload {
            results: results.map(|results| results.into_iter().map(AlertIngestResult).collect()),
            events: from_store(&viewer, platform, events),
            user_errors,
        })
    }

    /// Adds a rule of alerts. Needs `settings.manage`.
    async fn alert_rule_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The rule.")] input: AlertRuleCreateInput,
    ) -> Result<AlertRuleCreatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.says.draft().map_err(|error| error.within("says")) {
            Ok(draft) => {
                let description = input.description.map(|text| text.0);
                let (key, name, position) = (input.key, input.name, input.position);
                let command = incident::CreateAlertRule { key, name, description, position, draft };
                platform(ctx).incidents.create_alert_rule(&viewer, command).await
            }
            Err(error) => Err(error),
        };
        AlertRuleCreatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Changes a rule of alerts. Needs `settings.manage`.
    async fn alert_rule_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which rule, and what changes.")] input: AlertRuleUpdateInput,
    ) -> Result<AlertRuleUpdatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).incidents.update_alert_rule(&viewer, command).await,
            Err(error) => Err(error),
        };
        AlertRuleUpdatePayload::of(ctx, &viewer, outcome(result))
    }
}
