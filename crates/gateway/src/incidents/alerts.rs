//! Alerts and the rules that they follow.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, OneofObject, Result, SimpleObject};
use incident::alert::{self as domain, Matcher, MatcherTest, SeverityMapping};
use incident::{ALERT, ALERT_RULE};
use kernel::Id;
use kernel::id::prefix;
use predicate::Predicate;
use store::query::{OrderTerm, Row};

use super::Incident;
use crate::configuration::{Service, ServiceRef};
use crate::connection::{NullsOrder, OrderDirection, check_order, connection, orders, page, term};
use crate::context::{mutation, platform, viewer};
use crate::filters::{BooleanFilter, DateTimeFilter, IdFilter, StringFilter, combine, enum_filter};
use crate::loaders;
use crate::payload::{outcome, payload};
use crate::people::filters::argument;
use crate::people::queries::list;
use crate::people::scalars::Url;
use crate::people::{Actor, Team, TeamRefInput, User, UserRefInput};
use crate::scalars::{Cursor, DateTime, Duration, Markdown, id_of, patch, within};
use crate::service_levels::inputs::seconds;
use crate::tickets::event_log::from_store;
use crate::tickets::events::Event;
use crate::tickets::types::word as word_of;
use crate::tickets::words::{Impact, Urgency, word};
use crate::user_error::{UserError, part};

word! {
    /// Whether an alert is going on.
    AlertStatus = domain::AlertStatus {
        /// It is.
        Firing = "FIRING",
        /// It is over.
        Resolved = "RESOLVED",
    }
}

word! {
    /// What became of an alert.
    AlertOutcome = domain::AlertOutcome {
        /// It opened an incident.
        Created = "CREATED",
        /// It joined an open incident.
        Joined = "JOINED",
        /// It was firing already, and was counted once more.
        Repeated = "REPEATED",
        /// It reopened an incident that had been resolved a moment ago.
        Reopened = "REOPENED",
        /// It is over; other alerts still fire on its incident, or the incident waits for a person.
        Ended = "ENDED",
        /// It is over, and with it its incident was resolved.
        Resolved = "RESOLVED",
        /// It is over, and was not firing: nothing was done.
        NotFiring = "NOT_FIRING",
        /// It was refused; `userErrors` says why.
        Refused = "REFUSED",
    }
}

enum_filter!(AlertStatusFilter, AlertStatus);

/// A label of an alert.
#[derive(Clone, Debug, SimpleObject)]
pub struct AlertLabel {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// An alert, on the incident that it belongs to.
#[derive(Clone)]
pub struct Alert(Arc<Row>);

impl Alert {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }
}

/// An alert, on the incident that it belongs to. For those with `ticket.internal` on the incident.
#[Object]
impl Alert {
    /// The alert's id, such as `alt_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::ALERT, self.0.id())
    }

    /// By which monitoring means the same alert again.
    pub fn key(&self) -> String {
        self.0.text("key")
    }

    /// Whether it is going on.
    pub fn status(&self) -> AlertStatus {
        word_of(&self.0, "status", AlertStatus::parse, AlertStatus::Resolved)
    }

    /// What is wrong, in a line.
    pub fn title(&self) -> String {
        self.0.text("title")
    }

    /// How bad monitoring took it to be, in its own words.
    pub fn severity(&self) -> Option<String> {
        self.0.optional_text("severity")
    }

    /// Where it came from.
    pub fn source(&self) -> Option<String> {
        self.0.optional_text("source")
    }

    /// What else described it, at most 64 labels, by name.
    pub fn labels(&self) -> Vec<AlertLabel> {
        let labels: BTreeMap<String, String> =
            serde_json::from_value(self.0.get("labels").to_json()).unwrap_or_default();
        labels.into_iter().map(|(name, value)| AlertLabel { name, value }).collect()
    }

    /// Where to look further.
    pub fn url(&self) -> Option<Url> {
        self.0.optional_text("url").map(Url)
    }

    /// How often it was told.
    pub fn occurrences(&self) -> i32 {
        i32::try_from(self.0.int("occurrences")).unwrap_or(i32::MAX)
    }

    /// When it began, by the clock of monitoring.
    pub fn starts_at(&self) -> Option<DateTime> {
        self.0.get("startsAt").as_time().map(DateTime)
    }

    /// When it was told first.
    pub fn first_seen_at(&self) -> DateTime {
        DateTime(self.0.time("firstSeenAt"))
    }

    /// When it was told last.
    pub fn last_seen_at(&self) -> DateTime {
        DateTime(self.0.time("lastSeenAt"))
    }

    /// When it was over.
    pub fn ended_at(&self) -> Option<DateTime> {
        self.0.get("endedAt").as_time().map(DateTime)
    }

    /// The incident that it belongs to.
    pub async fn incident(&self, ctx: &Context<'_>) -> Result<Option<Incident>> {
        match self.0.get("incident").as_id() {
            Some(id) => Ok(loaders::ticket(ctx, id).await?.map(Incident::from_row)),
            None => Ok(None),
        }
    }

    /// The rule that led it there; null without `configuration.read`.
    pub async fn rule(&self, ctx: &Context<'_>) -> Result<Option<AlertRule>> {
        match self.0.get("rule").as_id() {
            Some(id) => Ok(loaders::alert_rule(ctx, id).await?.map(AlertRule::from_row)),
            None => Ok(None),
        }
    }
}

connection! {
    /// A page of alerts.
    AlertConnection, AlertEdge, Alert
}

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

    fn says(&self) -> Result<domain::RuleDocument> {
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

/// Points at a rule of alerts.
#[derive(Clone, Debug, OneofObject)]
pub enum AlertRuleRef {
    /// By id, such as `alr_01jcz8…`.
    Id(ID),
    /// By key, such as `disks`.
    Key(String),
}

impl AlertRuleRef {
    fn into_ref(self) -> kernel::Result<incident::AlertRuleRef> {
        Ok(match self {
            AlertRuleRef::Id(id) => {
                incident::AlertRuleRef::Id(Id::parse_as(&id, &[prefix::ALERT_RULE]).map_err(|error| {
                    kernel::Error::from(kernel::UserError::constraint(["id"], error.to_string(), "id", None))
                })?)
            }
            AlertRuleRef::Key(key) => incident::AlertRuleRef::Key(key),
        })
    }
}

/// A comparison with a label; one that is not there is an empty text.
#[derive(Clone, Debug, OneofObject)]
pub enum AlertMatcherTestInput {
    /// It is one of these, 1 to 100.
    In(Vec<String>),
    /// It is none of these, 1 to 100.
    NotIn(Vec<String>),
    /// It begins with this.
    StartsWith(String),
    /// It holds this somewhere.
    Contains(String),
}

/// What a label must be.
#[derive(Clone, Debug, InputObject)]
pub struct AlertMatcherInput {
    /// A label, or `severity`, `source`, `title`.
    pub name: String,
    /// What it is compared with.
    pub test: AlertMatcherTestInput,
}

/// What a severity means for an incident.
#[derive(Clone, Debug, InputObject)]
pub struct AlertSeverityInput {
    /// What monitoring calls it, without regard to case; any other, when absent.
    pub severity: Option<String>,
    /// How many are affected.
    pub impact: Impact,
    /// How long it can wait.
    pub urgency: Urgency,
}

/// What a rule of alerts says.
#[derive(Clone, Debug, InputObject)]
pub struct AlertRuleSaysInput {
    /// For which alerts: all of these must hold, at most 20; for all, when absent.
    pub matchers: Option<Vec<AlertMatcherInput>>,
    /// The key of the incident that alerts join, with labels in braces, as in `{alertname}/{cluster}`; at most 500 bytes. Each alert has an
    /// incident of its own when absent.
    pub group_by: Option<String>,
    /// How long after its first alert an incident is joined, at most 30 days; as long as it is open, when absent.
    pub window: Option<Duration>,
    /// How long after it was resolved an incident is reopened, at most 30 days; never, when absent.
    pub flap_window: Option<Duration>,
    /// The resolution code with which an incident is resolved when its last alert is over, such as `SOLVED`; it waits for a person, when
    /// absent.
    pub resolution_code: Option<String>,
    /// What severities mean, at most 20; the first that fits counts, and `MEDIUM` where none does.
    pub severities: Option<Vec<AlertSeverityInput>>,
    /// Who has the incidents, as their requester.
    pub requester: UserRefInput,
    /// The team that works on them.
    pub team: Option<TeamRefInput>,
    /// The service that is interrupted.
    pub service: Option<ServiceRef>,
    /// The key of the incidents' category.
    pub category: Option<String>,
}

impl AlertRuleSaysInput {
    fn draft(self) -> kernel::Result<incident::AlertRuleDraft> {
        let matcher = |matcher: AlertMatcherInput| Matcher {
            name: matcher.name,
            test: match matcher.test {
                AlertMatcherTestInput::In(list) => MatcherTest::In(list),
                AlertMatcherTestInput::NotIn(list) => MatcherTest::NotIn(list),
                AlertMatcherTestInput::StartsWith(text) => MatcherTest::StartsWith(text),
                AlertMatcherTestInput::Contains(text) => MatcherTest::Contains(text),
            },
        };
        let severity = |mapping: AlertSeverityInput| SeverityMapping {
            severity: mapping.severity,
            impact: mapping.impact.into(),
            urgency: mapping.urgency.into(),
        };
        Ok(incident::AlertRuleDraft {
            matchers: self.matchers.unwrap_or_default().into_iter().map(matcher).collect(),
            group_by: self.group_by,
            window: self.window.as_ref().map(seconds),
            flap_window: self.flap_window.as_ref().map(seconds),
            resolution_code: self.resolution_code,
            severities: self.severities.unwrap_or_default().into_iter().map(severity).collect(),
            requester: self.requester.into_ref().map_err(|error| error.within("requester"))?,
            team: within("team", self.team.map(TeamRefInput::into_ref))?,
            service: within("service", self.service.map(ServiceRef::into_ref))?,
            category: self.category,
        })
    }
}

/// Adds a rule of alerts.
#[derive(Clone, Debug, InputObject)]
pub struct AlertRuleCreateInput {
    /// Unique in the tenant: 1 to 63 lower-case letters, digits and hyphens, such as `disks`.
    pub key: String,
    /// For people: 1 to 200 characters.
    pub name: String,
    /// What it is for; at most 10,000 characters.
    pub description: Option<Markdown>,
    /// Rules are tried from the lowest on, and the first that fits holds; 0 when absent.
    pub position: Option<i32>,
    /// What it says.
    pub says: AlertRuleSaysInput,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes a rule of alerts. Absent fields stay, null clears. It holds for alerts that come in from now on.
#[derive(Clone, Debug, InputObject)]
pub struct AlertRuleUpdateInput {
    /// Which.
    pub rule: AlertRuleRef,
    /// A new name: 1 to 200 characters.
    pub name: Option<String>,
    /// What it is for; at most 10,000 characters.
    pub description: MaybeUndefined<Markdown>,
    /// Rules are tried from the lowest on.
    pub position: Option<i32>,
    /// What it says, as a whole.
    pub says: Option<AlertRuleSaysInput>,
    /// A retired rule is for no alerts that come in.
    pub retired: Option<bool>,
    /// Refuse when the rule has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// A label of an alert.
#[derive(Clone, Debug, InputObject)]
pub struct AlertLabelInput {
    /// Its name, at most 128 bytes.
    pub name: String,
    /// Its value, at most 1,024 bytes.
    pub value: String,
}

/// What monitoring tells of one alert.
#[derive(Clone, Debug, InputObject)]
pub struct AlertInput {
    /// By which monitoring means the same alert again: 1 to 512 bytes.
    pub key: String,
    /// Whether it is going on; `FIRING` when absent.
    pub status: Option<AlertStatus>,
    /// What is wrong, in a line; at most 255 characters.
    pub title: String,
    /// What is wrong, in full; at most 64 KiB.
    pub description: Option<Markdown>,
    /// How bad it is, in the words of monitoring; at most 1,024 bytes.
    pub severity: Option<String>,
    /// Where it comes from; at most 1,024 bytes.
    pub source: Option<String>,
    /// What else describes it, at most 64 labels.
    pub labels: Option<Vec<AlertLabelInput>>,
    /// When it began, by the clock of monitoring: shown, and never computed with.
    pub starts_at: Option<DateTime>,
    /// Where to look further.
    pub url: Option<Url>,
}

impl AlertInput {
    fn report(self) -> domain::AlertReport {
        let labels = self.labels.unwrap_or_default().into_iter();
        domain::AlertReport {
            key: self.key,
            status: self.status.map_or(domain::AlertStatus::Firing, Into::into),
            title: self.title,
            description: self.description.map(|text| text.0),
            severity: self.severity,
            source: self.source,
            labels: labels.map(|label| (label.name, label.value)).collect(),
            starts_at: self.starts_at.map(|at| at.0),
            url: self.url.map(|url| url.0),
        }
    }
}

/// Tells of alerts.
#[derive(Clone, Debug, InputObject)]
pub struct AlertIngestInput {
    /// The alerts, 1 to 100; in a dry run 1 to 20.
    pub alerts: Vec<AlertInput>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// What became of one alert.
pub struct AlertIngestResult(incident::AlertResult);

/// What became of one alert of a call.
#[Object]
impl AlertIngestResult {
    /// What was done.
    pub fn outcome(&self) -> AlertOutcome {
        AlertOutcome::parse(self.0.outcome.as_str()).unwrap_or(AlertOutcome::Refused)
    }

    /// The incident that it belongs to, as it is now; null when there is none, and when the viewer may not see it.
    pub async fn incident(&self, ctx: &Context<'_>) -> Result<Option<Incident>> {
        match self.0.incident {
            Some(id) => Ok(loaders::ticket(ctx, id).await?.map(Incident::from_row)),
            None => Ok(None),
        }
    }

    /// The alert as it is now; null when there is none, and when the viewer may not see it.
    pub async fn alert(&self, ctx: &Context<'_>) -> Result<Option<Alert>> {
        match self.0.alert {
            Some(id) => Ok(loaders::alert(ctx, id).await?.map(Alert::from_row)),
            None => Ok(None),
        }
    }

    /// Why it was refused; paths begin at the alert.
    pub fn user_errors(&self) -> Vec<UserError> {
        self.0.errors.iter().cloned().map(UserError::from).collect()
    }
}

/// What became of the alerts of a call.
#[derive(SimpleObject)]
pub struct AlertIngestPayload {
    /// What became of each alert, in their order; null when it was not done.
    pub results: Option<Vec<AlertIngestResult>>,
    /// What was recorded.
    pub events: Vec<Event>,
    /// What the user can mend about the call as a whole.
    pub user_errors: Vec<UserError>,
}

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

/// Which alerts. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct AlertFilter {
    /// By id.
    pub id: Option<IdFilter>,
    /// By key.
    pub key: Option<StringFilter>,
    /// By the incident's id.
    pub incident: Option<IdFilter>,
    /// By whether it is going on.
    pub status: Option<AlertStatusFilter>,
    /// By title.
    pub title: Option<StringFilter>,
    /// By severity.
    pub severity: Option<StringFilter>,
    /// By where it came from.
    pub source: Option<StringFilter>,
    /// By when it was told first.
    pub first_seen_at: Option<DateTimeFilter>,
    /// By when it was told last.
    pub last_seen_at: Option<DateTimeFilter>,
    /// All of these must hold.
    pub and: Option<Vec<AlertFilter>>,
    /// At least one of these must hold; an empty list is no condition.
    pub or: Option<Vec<AlertFilter>>,
    /// This must not hold.
    pub not: Option<Box<AlertFilter>>,
}

impl AlertFilter {
    fn predicate(self) -> kernel::Result<Predicate> {
        let own = Predicate::all([
            self.id.map(|id| id.on("id", &[prefix::ALERT])).transpose()?.unwrap_or_default(),
            self.key.map_or_else(Predicate::always, |key| key.on("key")),
            self.incident.map(|id| id.on("incident", &[prefix::INCIDENT])).transpose()?.unwrap_or_default(),
            self.status.map_or_else(Predicate::always, |status| status.on("status")),
            self.title.map_or_else(Predicate::always, |title| title.on("title")),
            self.severity.map_or_else(Predicate::always, |severity| severity.on("severity")),
            self.source.map_or_else(Predicate::always, |source| source.on("source")),
            self.first_seen_at.map_or_else(Predicate::always, |time| time.on("firstSeenAt")),
            self.last_seen_at.map_or_else(Predicate::always, |time| time.on("lastSeenAt")),
        ]);
        combine(own, self.and, self.or, self.not, Self::predicate)
    }
}

/// Which rules of alerts. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct AlertRuleFilter {
    /// By id.
    pub id: Option<IdFilter>,
    /// By key.
    pub key: Option<StringFilter>,
    /// By name.
    pub name: Option<StringFilter>,
    /// By whether it is retired.
    pub retired: Option<BooleanFilter>,
    /// All of these must hold.
    pub and: Option<Vec<AlertRuleFilter>>,
    /// At least one of these must hold; an empty list is no condition.
    pub or: Option<Vec<AlertRuleFilter>>,
    /// This must not hold.
    pub not: Option<Box<AlertRuleFilter>>,
}

impl AlertRuleFilter {
    fn predicate(self) -> kernel::Result<Predicate> {
        let own = Predicate::all([
            self.id.map(|id| id.on("id", &[prefix::ALERT_RULE])).transpose()?.unwrap_or_default(),
            self.key.map_or_else(Predicate::always, |key| key.on("key")),
            self.name.map_or_else(Predicate::always, |name| name.on("name")),
            self.retired.map_or_else(Predicate::always, |retired| retired.on("retired")),
        ]);
        combine(own, self.and, self.or, self.not, Self::predicate)
    }
}

orders! {
    /// By what alerts are ordered.
    AlertOrderField {
        /// When they were told first.
        FirstSeenAt = "firstSeenAt",
        /// When they were told last.
        LastSeenAt = "lastSeenAt",
        /// The key.
        Key = "key",
        /// The title.
        Title = "title",
        /// How often they were told.
        Occurrences = "occurrences",
    }
    /// One term of an order of alerts.
    AlertOrder
}

orders! {
    /// By what rules of alerts are ordered.
    AlertRuleOrderField {
        /// Where they stand: in the order in which they are tried.
        Position = "position",
        /// The key.
        Key = "key",
        /// The name.
        Name = "name",
    }
    /// One term of an order of rules of alerts.
    AlertRuleOrder
}

/// Queries of alerts.
#[derive(Default)]
pub struct AlertQueries;

#[Object]
impl AlertQueries {
    /// The alerts that the viewer may see, by when they were told first unless `orderBy` says otherwise.
    #[allow(clippy::too_many_arguments)]
    async fn alerts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which alerts; all when left out.")] filter: Option<AlertFilter>,
        #[graphql(desc = "In which order, at most 5 terms; by when they were told first when left out.")]
        order_by: Option<Vec<AlertOrder>>,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<AlertConnection> {
        viewer(ctx)?;
        let filter = argument(filter, AlertFilter::predicate)?;
        let (order, page) = (AlertOrder::terms(order_by)?, page(first, after, last, before)?);
        let (slice, log_cursor) = list(ctx, &ALERT, filter.clone(), order, page).await?;
        Ok(AlertConnection::new(slice, Some((&ALERT, filter)), log_cursor))
    }

    /// A rule of alerts. Null when there is none that the viewer may see.
    async fn alert_rule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which, as in `{ key: \"disks\" }` or `{ id: \"alr_01jcz8…\" }`.")] by: AlertRuleRef,
    ) -> Option<Result<AlertRule>> {
        find_rule(ctx, by).await.transpose()
    }

    /// The rules of alerts that the viewer may see, in the order in which they are tried unless `orderBy` says otherwise.
    #[allow(clippy::too_many_arguments)]
    async fn alert_rules(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which rules; all when left out.")] filter: Option<AlertRuleFilter>,
        #[graphql(desc = "In which order, at most 5 terms; in the order in which they are tried when left out.")]
        order_by: Option<Vec<AlertRuleOrder>>,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<AlertRuleConnection> {
        viewer(ctx)?;
        let filter = argument(filter, AlertRuleFilter::predicate)?;
        let (order, page) = (AlertRuleOrder::terms(order_by)?, page(first, after, last, before)?);
        let (slice, log_cursor) = list(ctx, &ALERT_RULE, filter.clone(), order, page).await?;
        Ok(AlertRuleConnection::new(slice, Some((&ALERT_RULE, filter)), log_cursor))
    }
}

// Root fields turn these inside out, so that an error leaves the other fields of the document alone.

async fn find_rule(ctx: &Context<'_>, by: AlertRuleRef) -> Result<Option<AlertRule>> {
    let viewer = viewer(ctx)?;
    let reference = by.into_ref().map_err(|error| error.within("by"))?;
    Ok(platform(ctx).incidents.alert_rule(&viewer, &reference).await?.map(AlertRule::from_row))
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

impl AlertRuleUpdateInput {
    fn command(self) -> kernel::Result<incident::UpdateAlertRule> {
        let draft = self.says.map(AlertRuleSaysInput::draft).transpose().map_err(|error| error.within("says"))?;
        Ok(incident::UpdateAlertRule {
            rule: self.rule.into_ref().map_err(|error| error.within("rule"))?,
            name: self.name,
            description: patch(self.description).map(|text| text.0),
            position: self.position,
            draft,
            retired: self.retired,
            expected_version: self.expected_version,
        })
    }
}
