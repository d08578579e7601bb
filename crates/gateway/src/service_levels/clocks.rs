//! The clocks of tickets as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use kernel::clock::format_duration;
use kernel::id::prefix;
use sla::explain::{ClockView, SegmentView};
use store::query::Row;
use tokio::sync::OnceCell;

use super::types::{Calendar, SlaMetric, SlaPolicy, SlaPolicyKind, calendar_of, sees_escalations};
use crate::connection::connection;
use crate::context::{platform, viewer};
use crate::loaders;
use crate::scalars::{DateTime, Duration, id_of};
use crate::tickets::types::Ticket;
use crate::tickets::words::{Priority, SlaState, WaitingReason, word};

word! {
    /// Why a stretch of a clock began, or why the clock ended.
    SlaCause = sla::Cause {
        /// The ticket was opened.
        Opened = "OPENED",
        /// The policy's condition came to hold.
        ConditionHeld = "CONDITION_HELD",
        /// The requester asked, and nobody had answered yet.
        Asked = "ASKED",
        /// The team was put on the ticket.
        Assigned = "ASSIGNED",
        /// The ticket began to wait for the vendor.
        VendorAwaited = "VENDOR_AWAITED",
        /// A step of an approval was opened.
        StepOpened = "STEP_OPENED",
        /// The ticket came into a state in which time does not count.
        Paused = "PAUSED",
        /// The ticket left such a state.
        Resumed = "RESUMED",
        /// Another target holds, such as after a change of priority.
        Retargeted = "RETARGETED",
        /// The ticket was reopened. The time in between does not count.
        Reopened = "REOPENED",
        /// An agent answered.
        Answered = "ANSWERED",
        /// The ticket was resolved or closed.
        Resolved = "RESOLVED",
        /// The team handed the ticket on.
        HandedOver = "HANDED_OVER",
        /// The step was decided.
        Decided = "DECIDED",
        /// The approval fell or was called off.
        Withdrawn = "WITHDRAWN",
        /// The policy's condition ceased to hold, or there is no target any more.
        ConditionLost = "CONDITION_LOST",
        /// The ticket was canceled.
        TicketCanceled = "TICKET_CANCELED",
        /// The ticket was merged into another.
        Merged = "MERGED",
        /// The merge was undone. The time in between does not count.
        MergeUndone = "MERGE_UNDONE",
        /// What came before, put together: a clock remembers 100 stretches.
        Earlier = "EARLIER",
    }
}

/// One metric of one policy on one ticket.
pub struct SlaClock {
    row: Row,
    view: OnceCell<Arc<ClockView>>,
}

impl SlaClock {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self { row, view: OnceCell::new() }
    }

    /// As it stands when it is first asked for: one answer shows one instant.
    async fn view(&self, ctx: &Context<'_>) -> Result<&ClockView> {
        let read = || async {
            Ok::<_, async_graphql::Error>(Arc::new(platform(ctx).levels.view(&viewer(ctx)?, &self.row).await?))
        };
        Ok(self.view.get_or_try_init(read).await?)
    }

    fn time(&self, field: &str) -> Option<DateTime> {
        self.row.get(field).as_time().map(DateTime)
    }
}

/// One metric of one policy on one ticket, computed from what happened to the ticket. Clocks of agreements with those who use a
/// service are seen by everybody who sees the ticket, those of teams and suppliers by those who work on it.
#[Object]
impl SlaClock {
    /// The clock's id, such as `clk_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::SLA_CLOCK, self.row.id())
    }

    /// What is measured.
    pub fn metric(&self) -> SlaMetric {
        crate::tickets::types::word(&self.row, "metric", SlaMetric::parse, SlaMetric::Resolution)
    }

    /// Between whom its policy stands.
    pub fn kind(&self) -> SlaPolicyKind {
        crate::tickets::types::word(&self.row, "kind", SlaPolicyKind::parse, SlaPolicyKind::Sla)
    }

    /// The policy; null when the viewer may not read it.
    pub async fn policy(&self, ctx: &Context<'_>) -> Result<Option<SlaPolicy>> {
        if self.row.has_loaded("policy") {
            return Ok(self.row.relation("policy").cloned().map(SlaPolicy::from_row));
        }
        let id = kernel::Id::new(prefix::SLA_POLICY, self.row.get("policy").as_id().unwrap_or_default());
        let found = platform(ctx).levels.policy(&viewer(ctx)?, &sla::PolicyRef::Id(id)).await?;
        Ok(found.map(SlaPolicy::from_row))
    }

    /// Which version of the policy holds for the ticket.
    pub fn policy_version(&self) -> i32 {
        i32::try_from(self.row.int("policyVersion")).unwrap_or(i32::MAX)
    }

    /// Where it stands now.
    pub async fn state(&self, ctx: &Context<'_>) -> Result<SlaState> {
        Ok(SlaState::parse(self.view(ctx).await?.state.as_str()).unwrap_or(SlaState::Canceled))
    }

    /// When it started.
    pub fn started_at(&self) -> Option<DateTime> {
        self.time("startedAt")
    }

    /// When it will be over time, or would have been when it stopped. Null while it is paused: `remaining` says how much is left.
    pub fn due_at(&self) -> Option<DateTime> {
        self.time("dueAt")
    }

    /// When it stopped or was canceled.
    pub fn stopped_at(&self) -> Option<DateTime> {
        self.time("stoppedAt")
    }

    /// When it was over time for the first time. Stays, whatever the target does later.
    pub async fn breached_at(&self, ctx: &Context<'_>) -> Result<Option<DateTime>> {
        Ok(self.view(ctx).await?.breached_at.map(DateTime))
    }

    /// The target in force, in working time.
    pub fn target(&self) -> Duration {
        Duration::of_seconds(self.row.int("target"))
    }

    /// The calendar whose time counts.
    pub async fn calendar(&self, ctx: &Context<'_>) -> Result<Calendar> {
        calendar_of(ctx, self.row.get("calendar").as_id().unwrap_or_default()).await
    }

    /// How much working time has gone by.
    pub async fn elapsed(&self, ctx: &Context<'_>) -> Result<Duration> {
        Ok(Duration(format_duration(self.view(ctx).await?.elapsed)))
    }

    /// How much working time remains; negative when it is over time.
    pub async fn remaining(&self, ctx: &Context<'_>) -> Result<Duration> {
        Ok(Duration(format_duration(self.view(ctx).await?.remaining)))
    }

    /// What has gone by, of the target, in percent; over 100 when it is over time.
    pub async fn percent(&self, ctx: &Context<'_>) -> Result<f64> {
        Ok((self.view(ctx).await?.percent * 100.0).round() / 100.0)
    }

    /// Its history: stretches in which time counted or stood still, at most 100, oldest first.
    pub async fn segments(&self, ctx: &Context<'_>) -> Result<Vec<SlaSegment>> {
        Ok(self.view(ctx).await?.segments.iter().map(SlaSegment::of).collect())
    }

    /// The same in sentences, with the rule behind each step.
    pub async fn explain(&self, ctx: &Context<'_>) -> Result<Vec<String>> {
        Ok(self.view(ctx).await?.explain())
    }

    /// The ticket that it stands on.
    pub async fn ticket(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
        let id = self.row.get("ticket").as_id().unwrap_or_default();
        Ok(loaders::ticket(ctx, id).await?.map(Ticket::from_row))
    }

    /// Why it ended; null while it is open.
    pub fn ended_by(&self) -> Option<SlaCause> {
        SlaCause::parse(&self.row.optional_text("ended")?)
    }

    /// What has fired on the way, in the order in which it did. Empty without `configuration.read`.
    pub async fn fired(&self, ctx: &Context<'_>) -> Result<Vec<SlaFired>> {
        if !sees_escalations(ctx)? {
            return Ok(Vec::new());
        }
        let fired = &self.view(ctx).await?.stored.fired;
        let shown = fired.iter().map(|fired| SlaFired {
            key: fired.key.clone(),
            due_at: DateTime(fired.due_at),
            fired_at: fired.fired_at.map(DateTime),
        });
        Ok(shown.collect())
    }
}

connection! {
    /// A page of clocks.
    SlaClockConnection, SlaClockEdge, SlaClock
}

/// A stretch of a clock.
#[derive(SimpleObject)]
pub struct SlaSegment {
    /// When it began.
    pub from: DateTime,
    /// When it ended; null while it lasts.
    pub to: Option<DateTime>,
    /// Whether time counts in it.
    pub running: bool,
    /// Why it began.
    pub cause: SlaCause,
    /// What the ticket waits for in it.
    pub waiting_reason: Option<WaitingReason>,
    /// The ticket's priority when it began.
    pub priority: Priority,
    /// The target in force.
    pub target: Duration,
    /// How much time counted in it.
    pub counted: Duration,
}

impl SlaSegment {
    fn of(view: &SegmentView) -> Self {
        Self {
            from: DateTime(view.from),
            to: view.to.map(DateTime),
            running: view.running,
            cause: SlaCause::parse(view.cause.as_str()).unwrap_or(SlaCause::Earlier),
            waiting_reason: view.reason.and_then(|reason| WaitingReason::parse(reason.as_str())),
            priority: Priority::parse(view.priority.as_str()).unwrap_or(Priority::P5),
            target: Duration(format_duration(view.target)),
            counted: Duration(format_duration(view.counted)),
        }
    }
}

/// Something that fired on the way of a clock.
#[derive(SimpleObject)]
pub struct SlaFired {
    /// Which escalation: `75%`, `-PT30M`, `+PT2H`; `breach` for the breach itself.
    pub key: String,
    /// When it was due.
    pub due_at: DateTime,
    /// When it fired; null for what was over when the ticket was imported, and never did.
    pub fired_at: Option<DateTime>,
}

/// The clocks of a ticket that the viewer may see, in the order in which they started.
pub async fn of_ticket(ctx: &Context<'_>, ticket: &Row) -> Result<Vec<SlaClock>> {
    let rows = match sla::provisional_clocks(&platform(ctx).access, &viewer(ctx)?, ticket) {
        Some(provisional) => provisional,
        None => loaders::sla_clocks(ctx, ticket.id()).await?,
    };
    Ok(rows.into_iter().map(SlaClock::from_row).collect())
}
