//! The rules that alerts follow.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result, SimpleObject};
use incident::alert::{Matcher, MatcherTest, RuleDocument};
use kernel::id::prefix;
use store::query::Row;

use crate::configuration::Service;
use crate::connection::connection;
use crate::loaders;
use crate::people::{Actor, Team, User};
use crate::scalars::{DateTime, Duration, Markdown, id_of};
use crate::tickets::words::{Impact, Urgency};

/// What a label must be: one of these comparisons.
pub struct AlertMatcher(Matcher);

/// What a label of an alert must be. A label that is not there is an empty text. One of the comparisons is given.
#[Object]
impl AlertMatcher {
    /// A label, or `severity`, `source`, `title`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// It is one of these.
    pub fn r#in(&self) -> Option<Vec<String>> {
        match &self.0.test {
            MatcherTest::In(list) => Some(list.clone()),
            _ => None,
        }
    }

    /// It is none of these.
    pub fn not_in(&self) -> Option<Vec<String>> {
        match &self.0.test {
            MatcherTest::NotIn(list) => Some(list.clone()),
            _ => None,
        }
    }

    /// It begins with this.
    pub fn starts_with(&self) -> Option<String> {
        match &self.0.test {
            MatcherTest::StartsWith(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// It holds this somewhere.
    pub fn contains(&self) -> Option<String> {
        match &self.0.test {
            MatcherTest::Contains(text) => Some(text.clone()),
            _ => None,
        }
    }
}

/// What a severity means for an incident.
#[derive(Clone, Debug, SimpleObject)]
pub struct AlertSeverity {
    /// What monitoring calls it, without regard to case; any other, when null.
    pub severity: Option<String>,
    /// How many are affected.
    pub impact: Impact,
    /// How long it can wait.
    pub urgency: Urgency,
}

/// A rule of alerts.
#[derive(Clone)]
pub struct AlertRule(Arc<Row>);

impl AlertRule {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }

    fn says(&self) -> Result<RuleDocument> {
        Ok(incident::Incidents::rule_says(&self.0)?)
    }
}

/// A rule of alerts: which alerts it is for, which incident they join, and who works on that. For those with `configuration.read`.
#[Object]
impl AlertRule {
    /// The rule's id, such as `alr_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::ALERT_RULE, self.0.id())
    }

    /// The rule's key, unique in the tenant, such as `disks`.
    pub fn key(&self) -> String {
        self.0.text("key")
    }

    /// The rule's name for people.
    pub fn name(&self) -> String {
        self.0.text("name")
    }

    /// What it is for.
    pub fn description(&self) -> Option<Markdown> {
        self.0.optional_text("description").map(Markdown)
    }

    /// Rules are tried from the lowest on; the first that fits holds.
    pub fn position(&self) -> i32 {
        i32::try_from(self.0.int("position")).unwrap_or(i32::MAX)
    }

    /// For which alerts: all of these must hold; at most 20.
    pub fn matchers(&self) -> Result<Vec<AlertMatcher>> {
        Ok(self.says()?.matchers.into_iter().map(AlertMatcher).collect())
    }

    /// The key of the incident that alerts join, with labels in braces; each alert has an incident of its own when null.
    pub fn group_by(&self) -> Result<Option<String>> {
        Ok(self.says()?.group_by)
    }

    /// How long after its first alert an incident is joined; as long as it is open, when null.
    pub fn window(&self) -> Result<Option<Duration>> {
        Ok(self.says()?.window.map(Duration::of_seconds))
    }

    /// How long after it was resolved an incident is reopened.
    pub fn flap_window(&self) -> Result<Duration> {
        Ok(Duration::of_seconds(self.says()?.flap_window))
    }

    /// The resolution code with which an incident is resolved when its last alert is over; it waits for a person, when null.
    pub fn resolution_code(&self) -> Result<Option<String>> {
        Ok(self.says()?.resolution_code)
    }

    /// What severities mean, at most 20; the first that fits counts, and `MEDIUM` where none does.
    pub fn severities(&self) -> Result<Vec<AlertSeverity>> {
        let shown = self.says()?.severities.into_iter().filter_map(|mapping| {
            Some(AlertSeverity {
                severity: mapping.severity,
                impact: Impact::parse(mapping.impact.as_str())?,
                urgency: Urgency::parse(mapping.urgency.as_str())?,
            })
        });
        Ok(shown.collect())
    }

    /// Who has the incidents, as their requester.
    pub async fn requester(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        Ok(loaders::actor(ctx, self.says()?.requester).await?.map(Actor::from_row).and_then(Actor::user))
    }

    /// The team that works on them.
    pub async fn team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        match self.says()?.team {
            Some(id) => Ok(loaders::team(ctx, id).await?.map(Team::from_row)),
            None => Ok(None),
        }
    }

    /// The service that is interrupted.
    pub async fn service(&self, ctx: &Context<'_>) -> Result<Option<Service>> {
        match self.says()?.service {
            Some(id) => Ok(loaders::service(ctx, id).await?.map(Service::from_row)),
            None => Ok(None),
        }
    }

    /// The key of the incidents' category.
    pub fn category(&self) -> Result<Option<String>> {
        Ok(self.says()?.category)
    }

    /// A retired rule is for no alerts that come in.
    pub fn retired(&self) -> bool {
        self.0.bool("retired")
    }

    /// Rises by one with each change. For `expectedVersion`.
    pub fn version(&self) -> i32 {
        i32::try_from(self.0.int("version")).unwrap_or(i32::MAX)
    }

    /// When it was added.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.time("createdAt"))
    }

    /// When it was changed last.
    pub fn updated_at(&self) -> DateTime {
        DateTime(self.0.time("updatedAt"))
    }
}

connection! {
    /// A page of rules of alerts.
    AlertRuleConnection, AlertRuleEdge, AlertRule
}
