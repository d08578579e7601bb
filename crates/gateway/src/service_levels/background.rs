//! What is worked out in the background: simulations, and the application of policies to open tickets.

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use sla::apply::{Application, ClockChange};
use sla::simulate::{Figure, Simulation, Worst};

use super::inputs::{CalendarRef, PolicyParts, SlaPolicyMetricInput, SlaPolicyRef};
use super::types::{SlaMetric, SlaPolicyKind};
use crate::context::{mutation, platform, written};
use crate::loaders;
use crate::operations::Operation;
use crate::payload::{outcome, payload};
use crate::scalars::{DateTime, Duration};
use crate::tickets::filters::{TicketFilter, written_filter};
use crate::tickets::types::Ticket;
use crate::tickets::words::{Priority, SlaState};

/// What a policy would have done to tickets of the past.
pub struct SlaSimulation(pub Simulation);

/// What a policy would have done to tickets of the past: their events computed under it, as if it had held all along.
#[Object]
impl SlaSimulation {
    /// How many tickets were looked at.
    fn tickets(&self) -> i32 {
        count(self.0.tickets)
    }

    /// What became of the clocks, by metric and by the ticket's priority at their end; at most 25.
    fn figures(&self) -> Vec<SlaFigure> {
        self.0.figures.iter().map(SlaFigure::of).collect()
    }

    /// How many of the clocks that ended were in time, from 0 to 1; null without any.
    fn attainment(&self) -> Option<f64> {
        attainment(self.0.figures.iter())
    }

    /// How many breaches it has that the compared policy has not.
    fn breaches_gained(&self) -> i32 {
        count(self.0.gained)
    }

    /// How many breaches only the compared policy has.
    fn breaches_lost(&self) -> i32 {
        count(self.0.lost)
    }

    /// The first tickets with a breach gained, as far as the viewer may see them; at most 100.
    async fn gained_tickets(&self, ctx: &Context<'_>) -> Result<Vec<Ticket>> {
        tickets(ctx, &self.0.gained_tickets).await
    }

    /// The first tickets with a breach lost, as far as the viewer may see them; at most 100.
    async fn lost_tickets(&self, ctx: &Context<'_>) -> Result<Vec<Ticket>> {
        tickets(ctx, &self.0.lost_tickets).await
    }

    /// The clocks that were over time the longest, the longest first; at most 20.
    fn worst(&self) -> Vec<SlaOverrun> {
        self.0.worst.iter().cloned().map(SlaOverrun).collect()
    }
}

fn count(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// How many of what ended were in time; what is over time and not ended counts as well.
fn attainment<'f>(figures: impl Iterator<Item = &'f Figure>) -> Option<f64> {
    let (met, all) = figures.fold((0, 0), |(met, all), one| (met + one.met, all + one.met + one.breached));
    #[expect(clippy::cast_precision_loss, reason = "a share of what was counted")]
    let share = met as f64 / all as f64;
    (all > 0).then_some(share)
}

async fn tickets(ctx: &Context<'_>, ids: &[kernel::Uuid]) -> Result<Vec<Ticket>> {
    let found = futures_util::future::try_join_all(ids.iter().map(|id| loaders::ticket(ctx, *id))).await?;
    Ok(found.into_iter().flatten().map(Ticket::from_row).collect())
}

/// What became of some clocks.
#[derive(SimpleObject)]
pub struct SlaFigure {
    /// What was measured.
    pub metric: SlaMetric,
    /// The ticket's priority at the end.
    pub priority: Priority,
    /// How many ended in time.
    pub met: i32,
    /// How many were, or are, over time.
    pub breached: i32,
    /// How many have not ended and are in time yet.
    pub open: i32,
    /// How many were canceled.
    pub canceled: i32,
    /// How many of those that ended were in time, from 0 to 1; null without any.
    pub attainment: Option<f64>,
}

impl SlaFigure {
    fn of(figure: &Figure) -> Self {
        Self {
            metric: SlaMetric::parse(figure.metric.as_str()).unwrap_or(SlaMetric::Resolution),
            priority: Priority::parse(figure.priority.as_str()).unwrap_or(Priority::P5),
            met: count(figure.met),
            breached: count(figure.breached),
            open: count(figure.open),
            canceled: count(figure.canceled),
            attainment: attainment(std::iter::once(figure)),
        }
    }
}

/// A clock that was over time.
pub struct SlaOverrun(Worst);

/// A clock that was over time.
#[Object]
impl SlaOverrun {
    /// The ticket; null when the viewer may not see it.
    async fn ticket(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
        Ok(loaders::ticket(ctx, self.0.ticket).await?.map(Ticket::from_row))
    }

    /// What was measured.
    fn metric(&self) -> SlaMetric {
        SlaMetric::parse(self.0.metric.as_str()).unwrap_or(SlaMetric::Resolution)
    }

    /// How long over time, in working time.
    fn over(&self) -> Duration {
        Duration::of_seconds(self.0.over)
    }
}

/// What the application of a policy to open tickets changes.
pub struct SlaPolicyApplication(pub Application);

/// What the application of a policy to open tickets changes, or changed.
#[Object]
impl SlaPolicyApplication {
    /// Whether it was only looked at.
    fn dry_run(&self) -> bool {
        self.0.dry
    }

    /// How many open tickets were looked at.
    fn tickets(&self) -> i32 {
        count(self.0.tickets)
    }

    /// On how many of them the due time or the state of a clock changes.
    fn changed_tickets(&self) -> i32 {
        count(self.0.changed)
    }

    /// The first clocks that change, at most 1,000.
    fn changes(&self) -> Vec<SlaClockChange> {
        self.0.changes.iter().cloned().map(SlaClockChange).collect()
    }
}

/// What becomes of one clock.
pub struct SlaClockChange(ClockChange);

/// What becomes of one clock.
#[Object]
impl SlaClockChange {
    /// The ticket; null when the viewer may not see it.
    async fn ticket(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
        Ok(loaders::ticket(ctx, self.0.ticket).await?.map(Ticket::from_row))
    }

    /// What is measured.
    fn metric(&self) -> SlaMetric {
        SlaMetric::parse(self.0.metric.as_str()).unwrap_or(SlaMetric::Resolution)
    }

    /// Where the clock stood; null without one.
    fn state_before(&self) -> Option<SlaState> {
        SlaState::parse(self.0.state_before?.as_str())
    }

    /// Where it stands after; null without one.
    fn state_after(&self) -> Option<SlaState> {
        SlaState::parse(self.0.state_after?.as_str())
    }

    /// When it was due.
    fn due_before(&self) -> Option<DateTime> {
        self.0.due_before.map(DateTime)
    }

    /// When it is due after.
    fn due_after(&self) -> Option<DateTime> {
        self.0.due_after.map(DateTime)
    }
}

/// What a policy that is to be tried says.
#[derive(Clone, Debug, InputObject)]
pub struct SlaPolicyDraftInput {
    /// Between whom it would stand; `SLA` when absent.
    pub kind: Option<SlaPolicyKind>,
    /// For which tickets; for all, when absent.
    pub condition: Option<TicketFilter>,
    /// The calendar whose time would count.
    pub calendar: CalendarRef,
    /// What would be promised.
    pub metrics: Vec<SlaPolicyMetricInput>,
}

/// Tries a policy on tickets of the past.
#[derive(Clone, Debug, InputObject)]
pub struct SlaSimulateInput {
    /// What it says; what `baseline` says now, when absent.
    pub policy: Option<SlaPolicyDraftInput>,
    /// The policy to compare with, as it is now: which breaches are gained, and which are lost?
    pub baseline: Option<SlaPolicyRef>,
    /// Tickets that were opened from this instant on.
    pub from: DateTime,
    /// Tickets that were opened before this instant.
    pub to: DateTime,
    /// Which of them; all, when absent.
    pub filter: Option<TicketFilter>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Check everything, answer, and start nothing.
    pub dry_run: Option<bool>,
}

/// Has the present version of a policy hold for open tickets too.
#[derive(Clone, Debug, InputObject)]
pub struct SlaPolicyApplyInput {
    /// The policy.
    pub policy: SlaPolicyRef,
    /// To which of the open tickets; to all, when absent.
    pub filter: Option<TicketFilter>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Start an operation that lists what would change, and changes nothing.
    pub dry_run: Option<bool>,
}

payload! {
    /// The simulation that was started.
    SlaSimulatePayload {
        /// Its operation, whose result is a `SlaSimulation`; null when it was not started.
        operation: Operation
    }
}
payload! {
    /// The application that was started.
    SlaPolicyApplyPayload {
        /// Its operation, whose result is a `SlaPolicyApplication`; null when it was not started.
        operation: Operation
    }
}

impl SlaSimulateInput {
    fn command(self, written: &serde_json::Value) -> kernel::Result<sla::simulate::Simulate> {
        let kind = self.policy.as_ref().and_then(|policy| policy.kind);
        let policy = written.get("policy").cloned().unwrap_or_default();
        let draft = self.policy.map(|draft| {
            let parts = PolicyParts { condition: draft.condition, calendar: draft.calendar, metrics: draft.metrics };
            parts.draft(&policy).map_err(|error| error.within("policy"))
        });
        Ok(sla::simulate::Simulate {
            kind: kind.map_or(sla::PolicyKind::Sla, Into::into),
            draft: draft.transpose()?,
            baseline: self
                .baseline
                .map(|policy| policy.into_ref().map_err(|error| error.within("baseline")))
                .transpose()?,
            from: self.from.0,
            to: self.to.0,
            filter: written_filter(self.filter, written)?,
        })
    }
}

impl SlaPolicyApplyInput {
    fn command(self, written: &serde_json::Value) -> kernel::Result<sla::apply::ApplyPolicy> {
        Ok(sla::apply::ApplyPolicy {
            policy: self.policy.into_ref().map_err(|error| error.within("policy"))?,
            filter: written_filter(self.filter, written)?,
        })
    }
}

/// Mutations that start work on service levels.
#[derive(Default)]
pub struct ServiceLevelOperations;

#[Object]
impl ServiceLevelOperations {
    /// Tries a policy on tickets of the past, in the background: what would have been in time, which breaches are gained and lost.
    /// Changes nothing. Needs `settings.manage`.
    async fn sla_simulate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to try, and on which tickets.")] input: SlaSimulateInput,
    ) -> Result<SlaSimulatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command(&written(ctx)?) {
            Ok(command) => platform(ctx).levels.simulate(&viewer, command).await,
            Err(error) => Err(error),
        };
        SlaSimulatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Has the present version of a policy, and of its calendars, hold for open tickets too, back to their beginning, in the
    /// background. With `dryRun` the operation lists each ticket whose due time or state changes, and changes nothing. Needs
    /// `settings.manage`.
    async fn sla_policy_apply(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which policy, to which tickets.")] input: SlaPolicyApplyInput,
    ) -> Result<SlaPolicyApplyPayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command(&written(ctx)?) {
            Ok(command) => platform(ctx).levels.apply_policy(&viewer, command).await,
            Err(error) => Err(error),
        };
        SlaPolicyApplyPayload::of(ctx, &viewer, outcome(result))
    }
}
