//! Rules that find problems, and what a draft of one would have done.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, OneofObject, Result, SimpleObject};
use kernel::Id;
use kernel::clock::format_duration;
use kernel::id::prefix;
use predicate::Predicate;
use problem::detection::{self as domain, Common};
use problem::{DETECTION_RULE, Problems};
use serde_json::Value as JsonValue;
use store::query::{OrderTerm, Row};

use crate::configuration::{ConfigurationItem, Service};
use crate::connection::{NullsOrder, OrderDirection, check_order, connection, orders, page, term};
use crate::context::{mutation, platform, viewer, written};
use crate::filters::{BooleanFilter, IdFilter, StringFilter, combine};
use crate::loaders;
use crate::payload::{outcome, payload};
use crate::people::filters::argument;
use crate::people::queries::list;
use crate::people::{Actor, Team, TeamRefInput, User, UserRefInput};
use crate::scalars::{Cursor, DateTime, Duration, Json, Markdown, id_of, patch, within};
use crate::service_levels::inputs::seconds;
use crate::tickets::filters::IncidentFilter;
use crate::tickets::types::Category;
use crate::tickets::words::{Impact, Urgency, word};
use crate::user_error::{UserError, part};

word! {
    /// What incidents have in common.
    ProblemDetectionKey = domain::DetectionKey {
        /// They are about the same configuration item.
        ConfigurationItem = "CONFIGURATION_ITEM",
        /// They are about the same service, and of the same category.
        ServiceAndCategory = "SERVICE_AND_CATEGORY",
    }
}

/// A rule that finds problems.
#[derive(Clone)]
pub struct ProblemDetectionRule(Arc<Row>);

impl ProblemDetectionRule {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }

    fn says(&self) -> Result<domain::DetectionDocument> {
        Ok(Problems::rule_says(&self.0)?)
    }
}

/// A rule that finds problems: so many incidents with something in common, within so long. For those with `configuration.read`.
#[Object]
impl ProblemDetectionRule {
    /// The rule's id, such as `pdr_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::PROBLEM_DETECTION_RULE, self.0.id())
    }

    /// The rule's key, unique in the tenant, such as `same-device`.
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

    /// What the incidents have in common.
    pub fn same(&self) -> Result<ProblemDetectionKey> {
        let same = self.says()?.same();
        Ok(ProblemDetectionKey::parse(same.as_str()).unwrap_or(ProblemDetectionKey::ServiceAndCategory))
    }

    /// How many of them make a problem.
    pub fn threshold(&self) -> Result<i32> {
        Ok(self.says()?.threshold)
    }

    /// Within how long.
    pub fn window(&self) -> Result<Duration> {
        Ok(Duration(format_duration(self.says()?.window())))
    }

    /// Among which incidents, as the `IncidentFilter` that was written; among all, when null.
    pub fn condition(&self) -> Result<Option<Json>> {
        Ok(self.says()?.condition.map(Json))
    }

    /// How many the candidate is said to affect.
    pub fn impact(&self) -> Result<Impact> {
        Ok(Impact::parse(self.says()?.impact.as_str()).unwrap_or(Impact::Medium))
    }

    /// How long the candidate can wait.
    pub fn urgency(&self) -> Result<Urgency> {
        Ok(Urgency::parse(self.says()?.urgency.as_str()).unwrap_or(Urgency::Medium))
    }

    /// Who has the candidates, as their requester.
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

    /// A retired rule finds nothing any more.
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
    /// A page of rules that find problems.
    ProblemDetectionRuleConnection, ProblemDetectionRuleEdge, ProblemDetectionRule
}

/// Points at a rule that finds problems.
#[derive(Clone, Debug, OneofObject)]
pub enum ProblemDetectionRuleRef {
    /// By id, such as `pdr_01jcz8…`.
    Id(ID),
    /// By key, such as `same-device`.
    Key(String),
}

impl ProblemDetectionRuleRef {
    fn into_ref(self) -> kernel::Result<problem::DetectionRuleRef> {
        Ok(match self {
            ProblemDetectionRuleRef::Id(id) => {
                let parsed = Id::parse_as(&id, &[prefix::PROBLEM_DETECTION_RULE]);
                problem::DetectionRuleRef::Id(parsed.map_err(|error| {
                    kernel::Error::from(kernel::UserError::constraint(["id"], error.to_string(), "id", None))
                })?)
            }
            ProblemDetectionRuleRef::Key(key) => problem::DetectionRuleRef::Key(key),
        })
    }
}

/// What a rule that finds problems says.
#[derive(Clone, Debug, InputObject)]
pub struct ProblemDetectionSaysInput {
    /// What the incidents have in common.
    pub same: ProblemDetectionKey,
    /// How many of them make a problem: 2 to 100.
    pub threshold: i32,
    /// Within how long: from a minute to 90 days.
    pub window: Duration,
    /// Among which incidents; among all, when absent. It names no viewer. Canceled incidents never count.
    pub condition: Option<IncidentFilter>,
    /// How many the candidate is said to affect; `MEDIUM` when absent.
    pub impact: Option<Impact>,
    /// How long the candidate can wait; `MEDIUM` when absent.
    pub urgency: Option<Urgency>,
    /// Who has the candidates, as their requester.
    pub requester: UserRefInput,
    /// The team that works on them.
    pub team: Option<TeamRefInput>,
}

impl ProblemDetectionSaysInput {
    /// As the platform takes it. `written` is the input as the client wrote it, where the condition is.
    fn draft(self, written: Option<&JsonValue>) -> kernel::Result<problem::DetectionDraft> {
        let condition = match self.condition {
            Some(typed) => {
                typed.predicate().map_err(|error| error.within("condition"))?;
                written.and_then(|written| written.get("condition")).filter(|written| !written.is_null()).cloned()
            }
            None => None,
        };
        Ok(problem::DetectionDraft {
            same: self.same.into(),
            threshold: self.threshold,
            window: seconds(&self.window),
            condition,
            impact: self.impact.unwrap_or(Impact::Medium).into(),
            urgency: self.urgency.unwrap_or(Urgency::Medium).into(),
            requester: self.requester.into_ref().map_err(|error| error.within("requester"))?,
            team: within("team", self.team.map(TeamRefInput::into_ref))?,
        })
    }
}

/// Adds a rule that finds problems.
#[derive(Clone, Debug, InputObject)]
pub struct ProblemDetectionRuleCreateInput {
    /// Unique in the tenant: 1 to 63 lower-case letters, digits and hyphens, such as `same-device`.
    pub key: String,
    /// For people: 1 to 200 characters.
    pub name: String,
    /// What it is for; at most 10,000 characters.
    pub description: Option<Markdown>,
    /// What it says.
    pub says: ProblemDetectionSaysInput,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes a rule that finds problems. Absent fields stay, null clears. Candidates that are open stay as they are.
#[derive(Clone, Debug, InputObject)]
pub struct ProblemDetectionRuleUpdateInput {
    /// Which.
    pub rule: ProblemDetectionRuleRef,
    /// A new name: 1 to 200 characters.
    pub name: Option<String>,
    /// What it is for; at most 10,000 characters.
    pub description: MaybeUndefined<Markdown>,
    /// What it says, as a whole.
    pub says: Option<ProblemDetectionSaysInput>,
    /// A retired rule finds nothing any more.
    pub retired: Option<bool>,
    /// Refuse when the rule has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

impl ProblemDetectionRuleUpdateInput {
    fn command(self, written: &JsonValue) -> kernel::Result<problem::UpdateDetectionRule> {
        let draft = self.says.map(|says| says.draft(written.get("says"))).transpose();
        Ok(problem::UpdateDetectionRule {
            rule: self.rule.into_ref().map_err(|error| error.within("rule"))?,
            name: self.name,
            description: patch(self.description).map(|text| text.0),
            draft: draft.map_err(|error| error.within("says"))?,
            retired: self.retired,
            expected_version: self.expected_version,
        })
    }
}

payload! {
    /// The rule that was added.
    ProblemDetectionRuleCreatePayload {
        /// The rule; null when it was not done.
        rule: ProblemDetectionRule
    }
}
payload! {
    /// The rule after it was changed.
    ProblemDetectionRuleUpdatePayload {
        /// The rule; null when it was not done.
        rule: ProblemDetectionRule
    }
}

/// Asks what a rule would have done.
#[derive(Clone, Debug, InputObject)]
pub struct ProblemDetectionSimulateInput {
    /// What the rule says.
    pub says: ProblemDetectionSaysInput,
    /// From when on incidents are looked at; at most 366 days before `until`.
    pub since: DateTime,
    /// Until when; now when absent.
    pub until: Option<DateTime>,
}

/// A candidate that a rule would have opened.
pub struct ProblemDetectionCandidate(domain::Candidate);

/// A candidate that a rule would have opened.
#[Object]
impl ProblemDetectionCandidate {
    /// The configuration item that its incidents have in common.
    pub async fn configuration_item(&self, ctx: &Context<'_>) -> Result<Option<ConfigurationItem>> {
        match self.0.common {
            Common::Item(item) => Ok(loaders::configuration_item(ctx, item).await?.map(ConfigurationItem::from_row)),
            Common::ServiceAndCategory(..) => Ok(None),
        }
    }

    /// The service that they have in common.
    pub async fn service(&self, ctx: &Context<'_>) -> Result<Option<Service>> {
        match self.0.common {
            Common::ServiceAndCategory(service, _) => Ok(loaders::service(ctx, service).await?.map(Service::from_row)),
            Common::Item(_) => Ok(None),
        }
    }

    /// The category that they have in common.
    pub async fn category(&self, ctx: &Context<'_>) -> Result<Option<Category>> {
        match self.0.common {
            Common::ServiceAndCategory(_, category) => {
                Ok(loaders::category(ctx, category).await?.map(Category::from_row))
            }
            Common::Item(_) => Ok(None),
        }
    }

    /// When the rule would have been met.
    pub fn opened_at(&self) -> DateTime {
        DateTime(self.0.opened_at)
    }

    /// When the first of its incidents was opened.
    pub fn first_incident_at(&self) -> DateTime {
        DateTime(self.0.first)
    }

    /// When the last of them was.
    pub fn last_incident_at(&self) -> DateTime {
        DateTime(self.0.last)
    }

    /// How many there are.
    pub fn incident_count(&self) -> i32 {
        i32::try_from(self.0.incidents).unwrap_or(i32::MAX)
    }
}

/// What a rule would have done.
#[derive(SimpleObject)]
pub struct ProblemDetectionSimulation {
    /// How many incidents were looked at.
    pub incident_count: i32,
    /// How many candidates it would have opened.
    pub candidate_count: i32,
    /// Those with the most incidents, at most 100. A candidate takes in what comes until a whole window has gone by without any.
    pub candidates: Vec<ProblemDetectionCandidate>,
}

/// What a rule would have done.
#[derive(SimpleObject)]
pub struct ProblemDetectionSimulatePayload {
    /// What it would have done; null when it was not computed.
    pub simulation: Option<ProblemDetectionSimulation>,
    /// What the user can mend.
    pub user_errors: Vec<UserError>,
}

/// Which rules that find problems. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct ProblemDetectionRuleFilter {
    /// By id.
    pub id: Option<IdFilter>,
    /// By key.
    pub key: Option<StringFilter>,
    /// By name.
    pub name: Option<StringFilter>,
    /// By whether it is retired.
    pub retired: Option<BooleanFilter>,
    /// All of these must hold.
    pub and: Option<Vec<ProblemDetectionRuleFilter>>,
    /// At least one of these must hold; an empty list is no condition.
    pub or: Option<Vec<ProblemDetectionRuleFilter>>,
    /// This must not hold.
    pub not: Option<Box<ProblemDetectionRuleFilter>>,
}

impl ProblemDetectionRuleFilter {
    fn predicate(self) -> kernel::Result<Predicate> {
        let own = Predicate::all([
            self.id.map(|id| id.on("id", &[prefix::PROBLEM_DETECTION_RULE])).transpose()?.unwrap_or_default(),
            self.key.map_or_else(Predicate::always, |key| key.on("key")),
            self.name.map_or_else(Predicate::always, |name| name.on("name")),
            self.retired.map_or_else(Predicate::always, |retired| retired.on("retired")),
        ]);
        combine(own, self.and, self.or, self.not, Self::predicate)
    }
}

orders! {
    /// By what rules that find problems are ordered.
    ProblemDetectionRuleOrderField {
        /// The key.
        Key = "key",
        /// The name.
        Name = "name",
    }
    /// One term of an order of rules that find problems.
    ProblemDetectionRuleOrder
}

/// Queries of rules that find problems.
#[derive(Default)]
pub struct ProblemDetectionQueries;

#[Object]
impl ProblemDetectionQueries {
    /// A rule that finds problems. Null when there is none that the viewer may see.
    async fn problem_detection_rule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which, as in `{ key: \"same-device\" }` or `{ id: \"pdr_01jcz8…\" }`.")]
        by: ProblemDetectionRuleRef,
    ) -> Option<Result<ProblemDetectionRule>> {
        find_rule(ctx, by).await.transpose()
    }

    /// The rules that find problems that the viewer may see, by key unless `orderBy` says otherwise.
    #[allow(clippy::too_many_arguments)]
    async fn problem_detection_rules(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which rules; all when left out.")] filter: Option<ProblemDetectionRuleFilter>,
        #[graphql(desc = "In which order, at most 5 terms; by key when left out.")] order_by: Option<
            Vec<ProblemDetectionRuleOrder>,
        >,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<ProblemDetectionRuleConnection> {
        viewer(ctx)?;
        let filter = argument(filter, ProblemDetectionRuleFilter::predicate)?;
        let (order, page) = (ProblemDetectionRuleOrder::terms(order_by)?, page(first, after, last, before)?);
        let (slice, log_cursor) = list(ctx, &DETECTION_RULE, filter.clone(), order, page).await?;
        Ok(ProblemDetectionRuleConnection::new(slice, Some((&DETECTION_RULE, filter)), log_cursor))
    }
}

// Root fields turn these inside out, so that an error leaves the other fields of the document alone.

async fn find_rule(ctx: &Context<'_>, by: ProblemDetectionRuleRef) -> Result<Option<ProblemDetectionRule>> {
    let viewer = viewer(ctx)?;
    let reference = by.into_ref().map_err(|error| error.within("by"))?;
    let found = platform(ctx).problems.detection_rule(&viewer, &reference).await?;
    Ok(found.map(ProblemDetectionRule::from_row))
}

/// Mutations of rules that find problems.
#[derive(Default)]
pub struct ProblemDetectionMutations;

#[Object]
impl ProblemDetectionMutations {
    /// Adds a rule that finds problems: when so many incidents with something in common come within so long, a problem is opened with
    /// them, once while one is open for it; what comes later is linked with that. Needs `settings.manage`.
    async fn problem_detection_rule_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The rule.")] input: ProblemDetectionRuleCreateInput,
    ) -> Result<ProblemDetectionRuleCreatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.says.draft(written(ctx)?.get("says")).map_err(|error| error.within("says")) {
            Ok(draft) => {
                let description = input.description.map(|text| text.0);
                let command = problem::CreateDetectionRule { key: input.key, name: input.name, description, draft };
                platform(ctx).problems.create_detection_rule(&viewer, command).await
            }
            Err(error) => Err(error),
        };
        ProblemDetectionRuleCreatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Changes a rule that finds problems. Needs `settings.manage`.
    async fn problem_detection_rule_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which rule, and what changes.")] input: ProblemDetectionRuleUpdateInput,
    ) -> Result<ProblemDetectionRuleUpdatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command(&written(ctx)?) {
            Ok(command) => platform(ctx).problems.update_detection_rule(&viewer, command).await,
            Err(error) => Err(error),
        };
        ProblemDetectionRuleUpdatePayload::of(ctx, &viewer, outcome(result))
    }

    /// What a rule would have done to the incidents of a range, without keeping anything. Needs `settings.manage`.
    async fn problem_detection_simulate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The rule, and the range.")] input: ProblemDetectionSimulateInput,
    ) -> Result<ProblemDetectionSimulatePayload> {
        let viewer = mutation(ctx)?;
        let until = input.until.map_or_else(|| viewer.now(), |until| until.0);
        let result = match input.says.draft(written(ctx)?.get("says")).map_err(|error| error.within("says")) {
            Ok(draft) => platform(ctx).problems.simulate_detection(&viewer, &draft, (input.since.0, until)).await,
            Err(error) => Err(error),
        };
        let (done, user_errors) = part(result)?;
        let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        let simulation = done.map(|done| ProblemDetectionSimulation {
            incident_count: number(done.incidents),
            candidate_count: number(done.total),
            candidates: done.candidates.into_iter().map(ProblemDetectionCandidate).collect(),
        });
        Ok(ProblemDetectionSimulatePayload { simulation, user_errors })
    }
}
