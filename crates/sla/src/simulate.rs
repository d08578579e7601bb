//! What a policy would have done to tickets of the past: their events folded under it, as if it had held all along.

use std::collections::{BTreeMap, HashMap};

use access::{Changed, visibility};
use kernel::error::Problems;
use kernel::{Ctx, Result, Timestamp, UserError, Uuid};
use predicate::{Operand, Path, Predicate, Test, Use};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use store::query::Row;
use ticket::fields::TICKET;
use ticket::model::Priority;

use crate::clock::Clock;
use crate::commands::{PolicyDraft, PolicyRef};
use crate::model::{ClockState, Metric, PolicyKind};
use crate::moment::fold_all;
use crate::policy::{Policy, PolicyDocument};
use crate::regime::Frame;
use crate::replay::History;
use crate::service::ServiceLevels;

/// The job that simulates a policy.
pub const SIMULATE: &str = "sla.simulate";
/// How many of the tickets that were over time the longest are named.
pub const MAX_WORST: usize = 20;
/// How many tickets' gains and losses of a breach are named, of each.
pub const MAX_NAMED: usize = 100;
/// After how many batches of tickets progress is told.
const TELL_EVERY: usize = 5;

/// What is to be tried on the past.
#[derive(Clone, Debug)]
pub struct Simulate {
    /// The kind of policy.
    pub kind: PolicyKind,
    /// What it says; what `baseline` says now, when absent.
    pub draft: Option<PolicyDraft>,
    /// The policy to compare with, as it is now.
    pub baseline: Option<PolicyRef>,
    /// Tickets that were opened from this instant on.
    pub from: Timestamp,
    /// Tickets that were opened before this instant.
    pub to: Timestamp,
    /// Which of them, as a filter document.
    pub filter: Option<Json>,
}

/// What the job is asked.
#[derive(Serialize, Deserialize)]
struct Input {
    kind: PolicyKind,
    document: PolicyDocument,
    baseline: Option<Uuid>,
    from: Timestamp,
    to: Timestamp,
    filter: Option<Json>,
}

/// What a policy would have done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Simulation {
    /// How many tickets were looked at.
    pub tickets: i64,
    /// What became of the clocks, by metric and by the priority at their end.
    pub figures: Vec<Figure>,
    /// Breaches that the compared policy does not have; how many.
    pub gained: i64,
    /// Breaches that only the compared policy has; how many.
    pub lost: i64,
    /// The first tickets with a breach gained, by id.
    pub gained_tickets: Vec<Uuid>,
    /// The first tickets with a breach lost, by id.
    pub lost_tickets: Vec<Uuid>,
    /// Those that were over time the longest, the longest first.
    pub worst: Vec<Worst>,
}

/// What became of some clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// What was measured.
    pub metric: Metric,
    /// The ticket's priority at the end.
    pub priority: Priority,
    /// Ended in time.
    pub met: i64,
    /// Over time.
    pub breached: i64,
    /// Not ended, and not over time yet.
    pub open: i64,
    /// Canceled.
    pub canceled: i64,
}

/// A ticket that was over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Worst {
    /// The ticket.
    pub ticket: Uuid,
    /// What was measured.
    pub metric: Metric,
    /// How long over time, in seconds of working time.
    pub over: i64,
}

impl ServiceLevels {
    /// Starts a simulation in the background; answers its operation.
    ///
    /// # Errors
    /// `FORBIDDEN` without `settings.manage`; those of a policy that is created, below `policy`; `NOT_FOUND` at `baseline`;
    /// `VALIDATION` at `to` and below `filter`.
    pub async fn simulate(&self, ctx: &Ctx, command: Simulate) -> Result<Changed<Row>> {
        self.authorise(ctx)?;
        let mut problems = Problems::default();
        if command.to <= command.from {
            problems
                .add(UserError::validation(["to"], "the range ends behind its beginning: `to` is later than `from`"));
        }
        if command.draft.is_none() && command.baseline.is_none() {
            problems.add(UserError::validation(
                ["policy"],
                "say what to try: a draft, or `baseline` for one that there is",
            ));
        }
        problems.check()?;
        if let Some(filter) = &command.filter {
            self.filter_of(ctx, filter).await.map_err(|error| error.within("filter"))?;
        }
        let levels = self.clone();
        let written = self.store().write(ctx, "slaSimulate", move |tx| {
            let (levels, command) = (levels.clone(), command.clone());
            Box::pin(async move {
                let ctx = tx.ctx().clone();
                let baseline = match &command.baseline {
                    Some(policy) => {
                        let found = levels.policy_in(&*tx, &ctx, policy).await;
                        Some(found.map_err(|error| error.within("baseline"))?)
                    }
                    None => None,
                };
                let document = match (&command.draft, &baseline) {
                    (Some(draft), _) => {
                        levels.document_in(tx, command.kind, draft).await.map_err(|error| error.within("policy"))?
                    }
                    (None, Some(policy)) => levels.policy_document_in(&*tx, &ctx, policy).await?,
                    (None, None) => return Err(kernel::Error::internal("there is nothing to simulate")),
                };
                let kind = baseline.as_ref().and_then(|row| PolicyKind::parse(&row.text("kind")));
                let input = Input {
                    kind: if command.draft.is_some() { command.kind } else { kind.unwrap_or(command.kind) },
                    document,
                    baseline: baseline.as_ref().map(Row::id),
                    from: command.from,
                    to: command.to,
                    filter: command.filter.clone(),
                };
                levels.access().start_operation_in(tx, SIMULATE, json!(input)).await
            })
        });
        self.access().started(ctx, written.await?).await
    }

    /// A filter document as whoever keeps policies uses it: on all tickets.
    pub(crate) async fn filter_of(&self, ctx: &Ctx, document: &Json) -> Result<Predicate> {
        ticket::document::check_length(document)?;
        let system = self.system(ctx);
        let read = self.tickets().documents()?.of_tickets(document)?;
        let reader = self.store().read("sla.filter");
        let bound = self.tickets().bound(&reader, &system, read).await?;
        let visible = self.access().visible(&system);
        visibility::filter(ctx, self.access().catalogue(), &visible, &TICKET, bound, Use::Query)
    }

    /// Does the work of a [`SIMULATE`] job.
    ///
    /// # Errors
    /// Database errors; the job is tried again, from the beginning.
    pub async fn run_simulation(&self, ctx: &Ctx, payload: &Json) -> Result<()> {
        let work = |operation, input| async move { self.simulated(ctx, operation, &input).await };
        self.access().carry_out(ctx, payload, work).await
    }

    async fn simulated(&self, ctx: &Ctx, operation: Uuid, input: &Input) -> Result<Simulation> {
        let reader = self.store().read("sla.books");
        let books = self.books(&reader, ctx, i64::MAX).await?;
        let revision = books.revision();
        let frame = Frame { id: Uuid::nil(), key: "draft", kind: input.kind, version: 0 };
        let draft = self.ready(&reader, ctx, frame, &input.document, &books, revision).await?;
        let baseline = match input.baseline.and_then(|id| books.newest(id)) {
            Some((frame, document)) => Some(self.ready(&reader, ctx, frame, document, &books, revision).await?),
            None => None,
        };
        let sides =
            Sides { draft: [std::sync::Arc::new(draft)], baseline: baseline.map(|one| [std::sync::Arc::new(one)]) };
        let opened = |test| Predicate::Is(Path::field("createdAt"), test);
        let mut condition =
            opened(Test::Gte(Operand::Value(input.from.into()))).and(opened(Test::Lt(Operand::Value(input.to.into()))));
        if let Some(filter) = &input.filter {
            condition = condition.and(self.filter_of(ctx, filter).await?);
        }
        let total = self.count_tickets(ctx, &condition).await?;
        let mut tally = Tally::default();
        let (mut behind, mut batches) = (None, 0_usize);
        self.access().progress(ctx, operation, 0, Some(total)).await?;
        loop {
            let batch = self.histories(ctx, &condition, behind).await?;
            let Some(last) = batch.last() else { break };
            behind = Some(last.ticket.id());
            for history in &batch {
                self.try_on(ctx, history, &sides, &mut tally)?;
            }
            batches += 1;
            if batches.is_multiple_of(TELL_EVERY)
                && !self.access().progress(ctx, operation, tally.simulation.tickets, Some(total)).await?
            {
                // It was canceled, and nobody waits for what comes of it.
                break;
            }
        }
        self.access().progress(ctx, operation, tally.simulation.tickets, Some(total)).await?;
        Ok(tally.finish())
    }

    fn try_on(&self, ctx: &Ctx, history: &History, sides: &Sides, tally: &mut Tally) -> Result<()> {
        let now = ctx.now();
        let ticket = history.ticket.id();
        tally.simulation.tickets += 1;
        let drafted = fold_all(self.tickets(), &sides.draft, &history.events)?;
        for clock in &drafted {
            tally.count(ticket, clock, now);
        }
        if let Some(baseline) = &sides.baseline {
            let compared = fold_all(self.tickets(), baseline, &history.events)?;
            tally.compare(ticket, &drafted, &compared, now);
        }
        // Working time over the target, for those that were over time.
        for clock in drafted.iter().filter(|clock| clock.state(now) == ClockState::Breached) {
            let rule = sides.draft[0].metrics.iter().find(|rule| rule.metric == clock.metric);
            let time = rule.and_then(|rule| {
                rule.targets.iter().find(|target| (target.time.id, target.time.version) == clock.calendar)
            });
            let Some(target) = time else { continue };
            let over = (clock.elapsed_at(now, &target.time.calendar) - clock.target).num_seconds();
            tally.note(Worst { ticket, metric: clock.metric, over });
        }
        Ok(())
    }
}

struct Sides {
    draft: [std::sync::Arc<Policy>; 1],
    baseline: Option<[std::sync::Arc<Policy>; 1]>,
}

#[derive(Default)]
struct Tally {
    simulation: Simulation,
    figures: BTreeMap<(Metric, Priority), Figure>,
}

impl Tally {
    fn count(&mut self, _ticket: Uuid, clock: &Clock, now: Timestamp) {
        let priority = clock.segments.list().last().map_or(Priority::P5, |segment| segment.terms.priority);
        let empty = Figure { metric: clock.metric, priority, met: 0, breached: 0, open: 0, canceled: 0 };
        let figure = self.figures.entry((clock.metric, priority)).or_insert(empty);
        match clock.state(now) {
            ClockState::Met => figure.met += 1,
            ClockState::Breached => figure.breached += 1,
            ClockState::Running | ClockState::Paused => figure.open += 1,
            ClockState::Canceled => figure.canceled += 1,
        }
    }

    fn compare(&mut self, ticket: Uuid, drafted: &[Clock], compared: &[Clock], now: Timestamp) {
        let breached = |clocks: &[Clock]| -> HashMap<(Metric, i32), bool> {
            clocks
                .iter()
                .map(|clock| ((clock.metric, clock.ordinal), clock.state(now) == ClockState::Breached))
                .collect()
        };
        let (new, old) = (breached(drafted), breached(compared));
        let gained = new.iter().filter(|(key, is)| **is && !old.get(*key).copied().unwrap_or(false)).count() as i64;
        let lost = old.iter().filter(|(key, was)| **was && !new.get(*key).copied().unwrap_or(false)).count() as i64;
        let simulation = &mut self.simulation;
        simulation.gained += gained;
        simulation.lost += lost;
        if gained > 0 && simulation.gained_tickets.len() < MAX_NAMED {
            simulation.gained_tickets.push(ticket);
        }
        if lost > 0 && simulation.lost_tickets.len() < MAX_NAMED {
            simulation.lost_tickets.push(ticket);
        }
    }

    fn note(&mut self, worst: Worst) {
        let list = &mut self.simulation.worst;
        let place = list.partition_point(|other| other.over >= worst.over);
        if place < MAX_WORST {
            list.insert(place, worst);
            list.truncate(MAX_WORST);
        }
    }

    fn finish(mut self) -> Simulation {
        self.simulation.figures = self.figures.into_values().collect();
        self.simulation
    }
}
