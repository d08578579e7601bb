//! Agreements, requirements and improvements as the API shows them, and what their arithmetic says.

use std::sync::Arc;

use agreement::rules::in_force;
use async_graphql::{Context, Enum, ID, Object, Result};
use futures_util::future::try_join_all;
use kernel::Uuid;
use kernel::clock::format_duration;
use kernel::id::prefix;
use store::query::Row;

use crate::configuration::Service;
use crate::connection::connection;
use crate::context::{platform, viewer};
use crate::loaders;
use crate::people::{Actor, Team, User};
use crate::scalars::{DateTime, Duration, Markdown, id_of};
use crate::service_levels::types::{Calendar, SlaMetric, SlaPolicy, SlaPolicyKind, calendar_of};
use crate::tickets::types::word as word_of;
use crate::tickets::words::{Priority, word};

use super::ServiceReview;

word! {
    /// Where an agreement stands.
    ServiceAgreementState = agreement::AgreementState {
        /// It is being written; everything of it can change.
        Draft = "DRAFT",
        /// It has been agreed, and holds from its first to its last day.
        Agreed = "AGREED",
        /// It was ended, or never came about.
        Terminated = "TERMINATED",
    }
}

word! {
    /// What has become of a requirement.
    ServiceLevelRequirementState = agreement::RequirementState {
        /// Somebody asks for it.
        Proposed = "PROPOSED",
        /// An agreement answers it.
        Agreed = "AGREED",
        /// It will not be met.
        Declined = "DECLINED",
    }
}

word! {
    /// How far an improvement has come.
    ServiceImprovementState = agreement::ImprovementState {
        /// Somebody suggests it.
        Proposed = "PROPOSED",
        /// It will be done.
        Accepted = "ACCEPTED",
        /// It is being done.
        InProgress = "IN_PROGRESS",
        /// It is there.
        Done = "DONE",
        /// It will not be done.
        Rejected = "REJECTED",
    }
}

pub(super) fn version(row: &Row) -> i32 {
    i32::try_from(row.int("version")).unwrap_or(i32::MAX)
}

pub(super) fn markdown(row: &Row, field: &str) -> Option<Markdown> {
    row.optional_text(field).map(Markdown)
}

pub(super) fn optional_time(row: &Row, field: &str) -> Option<DateTime> {
    row.get(field).as_time().map(DateTime)
}

pub(super) async fn user_of(ctx: &Context<'_>, row: &Row, field: &str) -> Result<Option<User>> {
    match row.get(field).as_id() {
        Some(id) => Ok(loaders::actor(ctx, id).await?.map(Actor::from_row).and_then(Actor::user)),
        None => Ok(None),
    }
}

async fn service_of(ctx: &Context<'_>, row: &Row) -> Result<Option<Service>> {
    match row.get("service").as_id() {
        Some(id) => Ok(loaders::service(ctx, id).await?.map(Service::from_row)),
        None => Ok(None),
    }
}

pub(super) async fn agreement_of(ctx: &Context<'_>, id: Option<Uuid>) -> Result<Option<ServiceAgreement>> {
    match id {
        Some(id) => Ok(loaders::agreement(ctx, id).await?.map(ServiceAgreement::from_row)),
        None => Ok(None),
    }
}

pub(super) async fn policy_of(ctx: &Context<'_>, id: Option<Uuid>) -> Result<Option<SlaPolicy>> {
    match id {
        Some(id) => Ok(loaders::sla_policy(ctx, id).await?.map(SlaPolicy::from_row)),
        None => Ok(None),
    }
}

fn length(length: chrono::Duration) -> Duration {
    Duration(format_duration(length))
}

/// What has been agreed on service levels with a customer, a team or a supplier, for a time.
#[derive(Clone)]
pub struct ServiceAgreement(Arc<Row>);

impl ServiceAgreement {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }
}

/// What has been agreed on service levels, for a time: a service level agreement with a customer, an operational level agreement with
/// a team, or an underpinning contract with a supplier. For those with `agreement.read`.
#[Object]
impl ServiceAgreement {
    /// The agreement's id, such as `agr_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::SERVICE_AGREEMENT, self.0.id())
    }

    /// The agreement's key, unique in the tenant, such as `e-mail-2026`.
    pub fn key(&self) -> String {
        self.0.text("key")
    }

    /// The agreement's name for people.
    pub fn name(&self) -> String {
        self.0.text("name")
    }

    /// What else there is to say.
    pub fn description(&self) -> Option<Markdown> {
        markdown(&self.0, "description")
    }

    /// Between whom it stands.
    pub fn kind(&self) -> SlaPolicyKind {
        word_of(&self.0, "kind", SlaPolicyKind::parse, SlaPolicyKind::Sla)
    }

    /// Where it stands.
    pub fn state(&self) -> ServiceAgreementState {
        word_of(&self.0, "state", ServiceAgreementState::parse, ServiceAgreementState::Draft)
    }

    /// Whether it holds at an instant: it has been agreed, and the instant is not before `validFrom` and before `validUntil`.
    pub fn in_force(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "When; now, when it is left out.")] at: Option<DateTime>,
    ) -> Result<bool> {
        let at = at.map_or(viewer(ctx)?.now(), |at| at.0);
        Ok(in_force(&self.0, at))
    }

    /// What it is about, at most 100 services.
    pub async fn services(&self, ctx: &Context<'_>) -> Result<Vec<Service>> {
        let ids = agreement::queries::uuids(&self.0, "services", prefix::SERVICE);
        let rows = try_join_all(ids.into_iter().map(|id| loaders::service(ctx, id))).await?;
        Ok(rows.into_iter().flatten().map(Service::from_row).collect())
    }

    /// What it promises, as far as the viewer may see it: at most 10 policies.
    pub async fn policies(&self, ctx: &Context<'_>) -> Result<Vec<SlaPolicy>> {
        let ids = agreement::queries::uuids(&self.0, "policies", prefix::SLA_POLICY);
        let rows = try_join_all(ids.into_iter().map(|id| loaders::sla_policy(ctx, id))).await?;
        Ok(rows.into_iter().flatten().map(SlaPolicy::from_row).collect())
    }

    /// With which customer, for the kind `SLA`.
    pub fn customer(&self) -> Option<String> {
        self.0.optional_text("customer")
    }

    /// With which team, for the kind `OLA`.
    pub async fn team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        match self.0.get("team").as_id() {
            Some(id) => Ok(loaders::team(ctx, id).await?.map(Team::from_row)),
            None => Ok(None),
        }
    }

    /// With which supplier, for the kind `UNDERPINNING_CONTRACT`.
    pub fn supplier(&self) -> Option<String> {
        self.0.optional_text("supplier")
    }

    /// Who looks after it.
    pub async fn owner(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        user_of(ctx, &self.0, "owner").await
    }

    /// From when on it holds.
    pub fn valid_from(&self) -> Option<DateTime> {
        optional_time(&self.0, "validFrom")
    }

    /// Until when it holds, that instant no more; null until it is terminated.
    pub fn valid_until(&self) -> Option<DateTime> {
        optional_time(&self.0, "validUntil")
    }

    /// The agreements with teams and suppliers that stand under one with a customer, at most 50: those that it names or, when it names
    /// none, all that are in force for one of its services.
    pub async fn underpinned_by(&self, ctx: &Context<'_>) -> Result<Vec<ServiceAgreement>> {
        let rows = platform(ctx).agreements.underpinning(&viewer(ctx)?, &self.0).await?;
        Ok(rows.into_iter().map(ServiceAgreement::from_row).collect())
    }

    /// Whether what is promised to a customer leaves time for what stands under it: a line for each policy, metric (`RESOLUTION`,
    /// `FULFILMENT`) and priority, at most 100. Where calendars differ, every half hour of the coming year is tried as the beginning of
    /// a ticket, and the worst counts. Empty for other kinds.
    pub async fn checks(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only the promises that cannot be kept when each part takes as long as it may.")]
        gaps_only: Option<bool>,
    ) -> Result<Vec<ServiceLevelCheck>> {
        let checks = platform(ctx).agreements.checks(&viewer(ctx)?, &self.0).await?;
        Ok(shown(checks, gaps_only))
    }

    /// Rises by one with each change. For `expectedVersion`.
    pub fn version(&self) -> i32 {
        version(&self.0)
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
    /// A page of agreements.
    ServiceAgreementConnection, ServiceAgreementEdge, ServiceAgreement
}

fn shown(checks: Vec<agreement::Check>, gaps_only: Option<bool>) -> Vec<ServiceLevelCheck> {
    let wanted = |check: &agreement::Check| gaps_only != Some(true) || check.holds() == Some(false);
    checks.into_iter().filter(wanted).map(|check| ServiceLevelCheck(Arc::new(check))).collect()
}

/// A promise beside what stands under it.
pub struct ServiceLevelCheck(Arc<agreement::Check>);

/// A promise beside what stands under it.
#[Object]
impl ServiceLevelCheck {
    /// The policy that promises; null for a requirement.
    pub async fn policy(&self, ctx: &Context<'_>) -> Result<Option<SlaPolicy>> {
        policy_of(ctx, self.0.promise.policy).await
    }

    /// What is measured.
    pub fn metric(&self) -> SlaMetric {
        SlaMetric::parse(self.0.promise.metric.as_str()).unwrap_or(SlaMetric::Resolution)
    }

    /// For tickets of this priority.
    pub fn priority(&self) -> Priority {
        Priority::parse(self.0.promise.priority.as_str()).unwrap_or(Priority::P3)
    }

    /// How long it may take, at the shortest of the targets that such a ticket can get.
    pub fn promised(&self) -> Duration {
        length(self.0.promise.length)
    }

    /// The time that counts.
    pub async fn calendar(&self, ctx: &Context<'_>) -> Result<Calendar> {
        calendar_of(ctx, self.0.promise.time.id).await
    }

    /// How much of that time all parts take, one after the other, when each takes as long as it may. Null when nothing stands under the
    /// promise, or it is never done.
    pub fn needed(&self) -> Option<Duration> {
        match self.0.needed {
            agreement::arithmetic::Needed::Time(needed) => Some(length(needed)),
            _ => None,
        }
    }

    /// By how much what stands under the promise is too long; null when it is not.
    pub fn gap(&self) -> Option<Duration> {
        self.0.gap().map(length)
    }

    /// Whether the promise can be kept when each part takes as long as it may. Null when a part promises nothing for such tickets, or
    /// nothing stands under the promise.
    pub fn holds(&self) -> Option<bool> {
        self.0.holds()
    }

    /// What stands under the promise, in the order in which it takes place; at most 50.
    pub fn parts(&self) -> Vec<ServiceLevelCheckPart> {
        (0..self.0.parts.len()).map(|place| ServiceLevelCheckPart(Arc::clone(&self.0), place)).collect()
    }

    /// The same in words.
    pub fn explanation(&self) -> String {
        self.0.explain()
    }
}

/// What stands under a promise.
pub struct ServiceLevelCheckPart(Arc<agreement::Check>, usize);

impl ServiceLevelCheckPart {
    fn part(&self) -> &agreement::Part {
        &self.0.parts[self.1]
    }
}

/// What stands under a promise.
#[Object]
impl ServiceLevelCheckPart {
    /// The agreement.
    pub async fn agreement(&self, ctx: &Context<'_>) -> Result<Option<ServiceAgreement>> {
        agreement_of(ctx, self.part().agreement).await
    }

    /// The policy that promises it; null when nothing is promised for such tickets.
    pub async fn policy(&self, ctx: &Context<'_>) -> Result<Option<SlaPolicy>> {
        policy_of(ctx, self.part().promised.as_ref().map(|promised| promised.policy)).await
    }

    /// How long it may take, at the longest of the targets that such a ticket can get; null when nothing is promised.
    pub fn promised(&self) -> Option<Duration> {
        self.part().promised.as_ref().map(|promised| length(promised.length))
    }

    /// The time that counts.
    pub async fn calendar(&self, ctx: &Context<'_>) -> Result<Option<Calendar>> {
        match &self.part().promised {
            Some(promised) => Ok(Some(calendar_of(ctx, promised.time.id).await?)),
            None => Ok(None),
        }
    }

    /// Whether it uses up time of the promise: one that pauses while the vendor is awaited has nothing to lose to a contract.
    pub fn counts(&self) -> bool {
        self.part().counts
    }
}

/// What somebody needs of a service.
#[derive(Clone)]
pub struct ServiceLevelRequirement(Arc<Row>);

impl ServiceLevelRequirement {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }
}

/// A service level requirement (SLR): what somebody needs of a service, and what has become of it. For those with `agreement.read`.
#[Object]
impl ServiceLevelRequirement {
    /// The requirement's id, such as `slr_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::SERVICE_LEVEL_REQUIREMENT, self.0.id())
    }

    /// What is needed, in a line.
    pub fn title(&self) -> String {
        self.0.text("title")
    }

    /// Why it is needed.
    pub fn description(&self) -> Option<Markdown> {
        markdown(&self.0, "description")
    }

    /// Which customer needs it.
    pub fn customer(&self) -> Option<String> {
        self.0.optional_text("customer")
    }

    /// Of which service.
    pub async fn service(&self, ctx: &Context<'_>) -> Result<Option<Service>> {
        service_of(ctx, &self.0).await
    }

    /// What is measured.
    pub fn metric(&self) -> SlaMetric {
        word_of(&self.0, "metric", SlaMetric::parse, SlaMetric::Resolution)
    }

    /// For tickets of these priorities; of all, when there are none.
    pub fn priorities(&self) -> Vec<Priority> {
        self.0.texts("priorities").iter().filter_map(|priority| Priority::parse(priority)).collect()
    }

    /// How long it may take.
    pub fn target(&self) -> Duration {
        length(chrono::Duration::seconds(self.0.int("target")))
    }

    /// The time that counts; that of whatever promises it, when null.
    pub async fn calendar(&self, ctx: &Context<'_>) -> Result<Option<Calendar>> {
        match self.0.get("calendar").as_id() {
            Some(id) => Ok(Some(calendar_of(ctx, id).await?)),
            None => Ok(None),
        }
    }

    /// What has become of it.
    pub fn state(&self) -> ServiceLevelRequirementState {
        word_of(&self.0, "state", ServiceLevelRequirementState::parse, ServiceLevelRequirementState::Proposed)
    }

    /// The agreement that answers it.
    pub async fn agreement(&self, ctx: &Context<'_>) -> Result<Option<ServiceAgreement>> {
        agreement_of(ctx, self.0.get("agreement").as_id()).await
    }

    /// Who asks for it.
    pub async fn requested_by(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        user_of(ctx, &self.0, "requestedBy").await
    }

    /// Whether what the agreement promises is as short as what is needed: a line for each priority. Empty without an agreement, and
    /// for what it does not promise and nothing says which time counts.
    pub async fn checks(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only what is promised later than needed.")] gaps_only: Option<bool>,
    ) -> Result<Vec<ServiceLevelCheck>> {
        let checks = platform(ctx).agreements.requirement_checks(&viewer(ctx)?, &self.0).await?;
        Ok(shown(checks, gaps_only))
    }

    /// Rises by one with each change. For `expectedVersion`.
    pub fn version(&self) -> i32 {
        version(&self.0)
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
    /// A page of requirements.
    ServiceLevelRequirementConnection, ServiceLevelRequirementEdge, ServiceLevelRequirement
}

/// Something that is to become better.
#[derive(Clone)]
pub struct ServiceImprovement(Arc<Row>);

impl ServiceImprovement {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }
}

/// An entry of the service improvement register. For those with `agreement.read`.
#[Object]
impl ServiceImprovement {
    /// The improvement's id, such as `imp_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::SERVICE_IMPROVEMENT, self.0.id())
    }

    /// What is to become better, in a line.
    pub fn title(&self) -> String {
        self.0.text("title")
    }

    /// What it is about.
    pub fn description(&self) -> Option<Markdown> {
        markdown(&self.0, "description")
    }

    /// Of which service.
    pub async fn service(&self, ctx: &Context<'_>) -> Result<Option<Service>> {
        service_of(ctx, &self.0).await
    }

    /// For which agreement.
    pub async fn agreement(&self, ctx: &Context<'_>) -> Result<Option<ServiceAgreement>> {
        agreement_of(ctx, self.0.get("agreement").as_id()).await
    }

    /// The review that it came out of.
    pub async fn review(&self, ctx: &Context<'_>) -> Result<Option<ServiceReview>> {
        match self.0.get("review").as_id() {
            Some(id) => Ok(loaders::review(ctx, id).await?.map(ServiceReview::from_row)),
            None => Ok(None),
        }
    }

    /// Who sees to it.
    pub async fn owner(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        user_of(ctx, &self.0, "owner").await
    }

    /// How far it has come.
    pub fn state(&self) -> ServiceImprovementState {
        word_of(&self.0, "state", ServiceImprovementState::parse, ServiceImprovementState::Proposed)
    }

    /// Until when.
    pub fn due_at(&self) -> Option<DateTime> {
        optional_time(&self.0, "dueAt")
    }

    /// What it is good for.
    pub fn benefit(&self) -> Option<Markdown> {
        markdown(&self.0, "benefit")
    }

    /// What it has brought.
    pub fn outcome(&self) -> Option<Markdown> {
        markdown(&self.0, "outcome")
    }

    /// Rises by one with each change. For `expectedVersion`.
    pub fn version(&self) -> i32 {
        version(&self.0)
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
    /// A page of the service improvement register.
    ServiceImprovementConnection, ServiceImprovementEdge, ServiceImprovement
}
