//! Calendars and policies as the API shows them.

use std::sync::Arc;

use access::permission::CONFIGURATION_READ;
use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use kernel::clock::format_duration;
use kernel::id::prefix;
use sla::policy as domain;
use store::query::Row;

use crate::connection::connection;
use crate::context::{platform, viewer};
use crate::loaders;
use crate::people::scalars::TimeZone;
use crate::people::{Actor, Team, User};
use crate::scalars::{Date, DateTime, Duration, Json, Markdown, id_of};
use crate::tickets::types::word as word_of;
use crate::tickets::words::{Priority, StateCategory, WaitingReason, word};

word! {
    /// Between whom a promise stands.
    SlaPolicyKind = sla::PolicyKind {
        /// A service level agreement: with those who use the service. Its clocks are seen by everybody who sees the ticket.
        Sla = "SLA",
        /// An operational level agreement: of a team with the rest of the house. Each assignment of a team starts a clock.
        Ola = "OLA",
        /// An underpinning contract: of a supplier. It runs while the ticket waits for the vendor.
        UnderpinningContract = "UNDERPINNING_CONTRACT",
    }
}

word! {
    /// What a clock measures.
    SlaMetric = sla::Metric {
        /// From creation to the first public comment of an agent.
        FirstResponse = "FIRST_RESPONSE",
        /// From the first unanswered public comment of the requester to the next public comment of an agent.
        NextResponse = "NEXT_RESPONSE",
        /// From creation until the ticket is resolved.
        Resolution = "RESOLUTION",
        /// From creation until what was ordered is there.
        Fulfilment = "FULFILMENT",
        /// From the opening of an approval's step until it is decided.
        Approval = "APPROVAL",
    }
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "calendar::Weekday")]
pub enum Weekday {
    /// The first day of ISO 8601's week.
    Monday,
    /// The second day.
    Tuesday,
    /// The third day.
    Wednesday,
    /// The fourth day.
    Thursday,
    /// The fifth day.
    Friday,
    /// The sixth day.
    Saturday,
    /// The seventh day.
    Sunday,
}

/// A part of a weekday in which time counts: from `from` up to, but without, `to`.
#[derive(Clone, Debug, SimpleObject)]
pub struct WorkingInterval {
    /// The weekday.
    pub day: Weekday,
    /// When it begins, as in `08:00`.
    pub from: String,
    /// When it is over, as in `17:30`; `24:00` is the end of the day.
    pub to: String,
}

/// A part of a day in which time counts.
#[derive(Clone, Debug, SimpleObject)]
pub struct DayHours {
    /// When it begins, as in `08:00`.
    pub from: String,
    /// When it is over, as in `12:00`.
    pub to: String,
}

/// A day, or days that come again by a rule, on which other hours count than the weekday has; usually none.
#[derive(Clone, Debug, SimpleObject)]
pub struct Holiday {
    /// What people call it.
    pub name: String,
    /// The day; with a rule, the day from which the rule holds.
    pub date: Date,
    /// How many days in a row it takes.
    pub days: i32,
    /// On which days it comes again: an RRULE of RFC 5545, such as `FREQ=YEARLY`.
    pub rule: Option<String>,
    /// The days that the rule gives and that are none nevertheless.
    pub except: Vec<Date>,
    /// What counts on such a day, whatever its weekday; nothing when it is empty.
    pub hours: Vec<DayHours>,
}

/// When time counts: the hours of a week, the holidays, and the time zone whose clocks they mean.
#[derive(Clone)]
pub struct Calendar(Arc<Row>);

impl Calendar {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }

    async fn says(&self, ctx: &Context<'_>) -> Result<Arc<calendar::CalendarDocument>> {
        Ok(platform(ctx).levels.calendar_says(&viewer(ctx)?, &self.0).await?)
    }

    async fn compiled(&self, ctx: &Context<'_>) -> Result<calendar::Calendar> {
        let compiled = calendar::Calendar::compile(&*self.says(ctx).await?);
        Ok(compiled.map_err(|_| kernel::Error::internal("a calendar no longer holds"))?)
    }
}

/// When time counts: the hours of a week, the holidays, and the time zone whose clocks they mean. Readable by everybody in the
/// tenant.
#[Object]
impl Calendar {
    /// The calendar's id, such as `cal_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::CALENDAR, self.0.id())
    }

    /// The calendar's key, unique in the tenant, such as `office-vienna`.
    pub fn key(&self) -> String {
        self.0.text("key")
    }

    /// The calendar's name for people.
    pub fn name(&self) -> String {
        self.0.text("name")
    }

    /// What it is for.
    pub fn description(&self) -> Option<Markdown> {
        self.0.optional_text("description").map(Markdown)
    }

    /// The time zone whose clocks the hours mean.
    pub async fn time_zone(&self, ctx: &Context<'_>) -> Result<TimeZone> {
        Ok(TimeZone(self.says(ctx).await?.time_zone.clone()))
    }

    /// The hours of an ordinary week, at most 168 intervals.
    pub async fn week(&self, ctx: &Context<'_>) -> Result<Vec<WorkingInterval>> {
        let says = self.says(ctx).await?;
        let shown = says.week.iter().map(|interval| WorkingInterval {
            day: interval.day.into(),
            from: interval.from.clone(),
            to: interval.to.clone(),
        });
        Ok(shown.collect())
    }

    /// The days that differ from their weekday, at most 1,000.
    pub async fn holidays(&self, ctx: &Context<'_>) -> Result<Vec<Holiday>> {
        let says = self.says(ctx).await?;
        let hours = |hours: &calendar::DayHours| DayHours { from: hours.from.clone(), to: hours.to.clone() };
        let shown = says.holidays.iter().map(|holiday| Holiday {
            name: holiday.name.clone(),
            date: Date(holiday.date.clone()),
            days: i32::from(holiday.days.unwrap_or(1)),
            rule: holiday.rule.clone(),
            except: holiday.except.iter().cloned().map(Date).collect(),
            hours: holiday.hours.iter().map(hours).collect(),
        });
        Ok(shown.collect())
    }

    /// Whether time counts at an instant; now, when it is left out.
    pub async fn is_open(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "When; now, when it is left out.")] at: Option<DateTime>,
    ) -> Result<bool> {
        let at = at.map_or(viewer(ctx)?.now(), |at| at.0);
        Ok(self.compiled(ctx).await?.is_open(at))
    }

    /// The first instant, not before this one, at which time counts; null when there is none any more.
    pub async fn next_opening(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "From when on; now, when it is left out.")] after: Option<DateTime>,
    ) -> Result<Option<DateTime>> {
        let after = after.map_or(viewer(ctx)?.now(), |after| after.0);
        Ok(self.compiled(ctx).await?.next_opening(after).map(DateTime))
    }

    /// How much time counts between two instants.
    pub async fn working_time(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "From when on.")] from: DateTime,
        #[graphql(desc = "Until when.")] to: DateTime,
    ) -> Result<Duration> {
        Ok(Duration(format_duration(self.compiled(ctx).await?.working_between(from.0, to.0))))
    }

    /// When so much time has counted; null beyond the year 2129.
    pub async fn deadline(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "From when on.")] from: DateTime,
        #[graphql(desc = "How much, such as `PT8H`.")] length: Duration,
    ) -> Result<Option<DateTime>> {
        let length = kernel::parse_duration(&length.0).unwrap_or_default();
        Ok(self.compiled(ctx).await?.add_working(from.0, length).ok().map(DateTime))
    }

    /// Which version of hours and holidays this is: each change makes a new one, for new tickets.
    pub fn number(&self) -> i32 {
        i32::try_from(self.0.int("number")).unwrap_or(i32::MAX)
    }

    /// Whether it can no longer be chosen.
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
    /// A page of calendars.
    CalendarConnection, CalendarEdge, Calendar
}

/// What is promised for tickets: metrics with targets, when time pauses, and what happens on the way.
#[derive(Clone)]
pub struct SlaPolicy(Arc<Row>);

impl SlaPolicy {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }

    async fn says(&self, ctx: &Context<'_>) -> Result<Arc<domain::PolicyDocument>> {
        Ok(platform(ctx).levels.policy_says(&viewer(ctx)?, &self.0).await?)
    }
}

/// What is promised for tickets: metrics with targets, when time pauses, and what happens on the way. Agreements with those who use
/// a service (`SLA`) are readable by everybody in the tenant, others with `configuration.read`.
#[Object]
impl SlaPolicy {
    /// The policy's id, such as `slp_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::SLA_POLICY, self.0.id())
    }

    /// The policy's key, unique in the tenant, such as `standard`.
    pub fn key(&self) -> String {
        self.0.text("key")
    }

    /// The policy's name for people.
    pub fn name(&self) -> String {
        self.0.text("name")
    }

    /// What it is for.
    pub fn description(&self) -> Option<Markdown> {
        self.0.optional_text("description").map(Markdown)
    }

    /// Between whom it stands.
    pub fn kind(&self) -> SlaPolicyKind {
        word_of(&self.0, "kind", SlaPolicyKind::parse, SlaPolicyKind::Sla)
    }

    /// For which tickets, as the `TicketFilter` that was written; all, when null.
    pub async fn condition(&self, ctx: &Context<'_>) -> Result<Option<Json>> {
        Ok(self.says(ctx).await?.condition.clone().map(Json))
    }

    /// The calendar whose time counts.
    pub async fn calendar(&self, ctx: &Context<'_>) -> Result<Calendar> {
        calendar_of(ctx, self.says(ctx).await?.calendar).await
    }

    /// What is promised, at most five metrics.
    pub async fn metrics(&self, ctx: &Context<'_>) -> Result<Vec<SlaPolicyMetric>> {
        let says = self.says(ctx).await?;
        Ok((0..says.metrics.len()).map(|place| SlaPolicyMetric(Arc::clone(&says), place)).collect())
    }

    /// Which version of what it says this is: each change makes a new one, for new tickets.
    pub fn number(&self) -> i32 {
        i32::try_from(self.0.int("number")).unwrap_or(i32::MAX)
    }

    /// Whether it holds for no new tickets any more.
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
    /// A page of policies.
    SlaPolicyConnection, SlaPolicyEdge, SlaPolicy
}

/// How the house drives itself is for those who look after what it offers.
pub(super) fn sees_escalations(ctx: &Context<'_>) -> Result<bool> {
    Ok(viewer(ctx)?.grants.holds_tenant(CONFIGURATION_READ))
}

/// The calendar with this id; policies and clocks name none that is not there.
pub(crate) async fn calendar_of(ctx: &Context<'_>, id: kernel::Uuid) -> Result<Calendar> {
    let row = loaders::calendar(ctx, id).await?;
    Ok(Calendar::from_row(row.ok_or_else(|| kernel::Error::internal("a calendar is missing"))?))
}

/// One promise of a policy.
pub struct SlaPolicyMetric(Arc<domain::PolicyDocument>, usize);

impl SlaPolicyMetric {
    fn document(&self) -> &domain::MetricDocument {
        &self.0.metrics[self.1]
    }
}

/// One promise of a policy.
#[Object]
impl SlaPolicyMetric {
    /// What is measured.
    pub fn metric(&self) -> SlaMetric {
        SlaMetric::parse(self.document().metric.as_str()).unwrap_or(SlaMetric::Resolution)
    }

    /// How long it may take, at most 20 rows: the first that fits a ticket holds.
    pub fn targets(&self) -> Vec<SlaTarget> {
        self.document().targets.iter().cloned().map(SlaTarget).collect()
    }

    /// When time does not count.
    pub fn pauses(&self) -> SlaPauses {
        let pauses = &self.document().pauses;
        let reasons = pauses.waiting_reasons.iter().filter_map(|reason| WaitingReason::parse(reason.as_str()));
        let categories = pauses.state_categories.iter().filter_map(|state| StateCategory::parse(state.as_str()));
        SlaPauses { waiting_reasons: reasons.collect(), state_categories: categories.collect() }
    }

    /// What happens on the way to the due time and behind it, at most 10. Empty without `configuration.read`.
    pub fn escalations(&self, ctx: &Context<'_>) -> Result<Vec<SlaEscalation>> {
        Ok(match sees_escalations(ctx)? {
            true => self.document().escalations.iter().cloned().map(SlaEscalation).collect(),
            false => Vec::new(),
        })
    }
}

/// How long it may take, for which tickets.
pub struct SlaTarget(domain::TargetDocument);

/// How long it may take, for which tickets.
#[Object]
impl SlaTarget {
    /// For these priorities; for all, when there are none.
    pub fn priorities(&self) -> Vec<Priority> {
        self.0.priorities.iter().filter_map(|priority| Priority::parse(priority.as_str())).collect()
    }

    /// For these tickets, as the `TicketFilter` that was written; for all, when null.
    pub fn condition(&self) -> Option<Json> {
        self.0.condition.clone().map(Json)
    }

    /// How long, in working time.
    pub fn target(&self) -> Duration {
        Duration::of_seconds(self.0.target)
    }

    /// Another calendar than the policy's.
    pub async fn calendar(&self, ctx: &Context<'_>) -> Result<Option<Calendar>> {
        match self.0.calendar {
            Some(id) => Ok(Some(calendar_of(ctx, id).await?)),
            None => Ok(None),
        }
    }
}

/// The states in which time does not count.
#[derive(SimpleObject)]
pub struct SlaPauses {
    /// While the ticket waits for one of these.
    pub waiting_reasons: Vec<WaitingReason>,
    /// While the ticket is in a state of one of these categories.
    pub state_categories: Vec<StateCategory>,
}

/// Something that happens once on the way of a clock.
pub struct SlaEscalation(domain::Escalation);

/// Something that happens once on the way of a clock, in its own time: never while it is paused.
#[Object]
impl SlaEscalation {
    /// When so much of the target has gone by, from 1 to 100; 100 is the due time.
    pub fn percent(&self) -> Option<i32> {
        match self.0.at {
            domain::EscalationTime::Percent(percent) => Some(i32::from(percent)),
            _ => None,
        }
    }

    /// So long before the due time.
    pub fn before(&self) -> Option<Duration> {
        match self.0.at {
            domain::EscalationTime::Before(seconds) => Some(length(seconds)),
            _ => None,
        }
    }

    /// So long behind the due time.
    pub fn after(&self) -> Option<Duration> {
        match self.0.at {
            domain::EscalationTime::After(seconds) => Some(length(seconds)),
            _ => None,
        }
    }

    /// How it is called in events: `75%`, `-PT30M`, `+PT2H`.
    pub fn key(&self) -> String {
        self.0.at.key()
    }

    /// What it does beside its event, at most five.
    pub fn actions(&self) -> Vec<SlaAction> {
        self.0.actions.iter().cloned().map(SlaAction).collect()
    }
}

fn length(seconds: i64) -> Duration {
    Duration::of_seconds(seconds)
}

/// What an escalation does.
pub struct SlaAction(domain::Action);

/// What an escalation does: one of these.
#[Object]
impl SlaAction {
    /// Adds an internal comment.
    pub fn comment(&self) -> Option<Markdown> {
        match &self.0 {
            domain::Action::Comment(body) => Some(Markdown(body.clone())),
            _ => None,
        }
    }

    /// Hands the ticket to this team.
    pub async fn assign_team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        match &self.0 {
            domain::Action::Assign { team, .. } => Ok(loaders::team(ctx, *team).await?.map(Team::from_row)),
            _ => Ok(None),
        }
    }

    /// Hands the ticket to this member of the team.
    pub async fn assignee(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        match &self.0 {
            domain::Action::Assign { assignee: Some(id), .. } => {
                Ok(loaders::actor(ctx, *id).await?.map(Actor::from_row).and_then(Actor::user))
            }
            _ => Ok(None),
        }
    }

    /// Raises the priority by one step.
    pub fn raise_priority(&self) -> bool {
        self.0 == domain::Action::RaisePriority
    }
}
