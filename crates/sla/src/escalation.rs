//! What happens on the way of a clock: escalations, and the breach itself. Each once for a clock, never early; late, and marked so,
//! after a downtime.
//!
//! A ticket has one durable job, due when the next of its escalations is. Whatever changes a clock replaces it. The job looks the
//! clocks up under the ticket's lock and notes what has fired on them in the same transaction, so that it does not matter how often,
//! or in how many processes, it runs.

use chrono::Duration;
use kernel::{Ctx, Patch, Result, Timestamp};
use predicate::Value;
use serde_json::{Value as Json, json};
use store::Tx;
use ticket::commands::AssignTicket;
use ticket::events::UPDATED;
use ticket::model::{CommentVisibility, Priority};
use ticket::{Edit, TicketRef, Tickets};

use crate::clock::Clock;
use crate::events::ESCALATED;
use crate::model::Phase;
use crate::policy::{Action, Escalation, MetricRule, Policy};
use crate::reaction::{breach_event, clock_event, sort, timer};
use crate::regime::basis_of;
use crate::service::ServiceLevels;
use crate::stored::{BREACH, Fired, StoredClock};
use crate::tables::{self, Continued};

/// The job that looks after a ticket's clocks.
pub const TIMER: &str = "sla.timer";
/// From when on something that was due counts as late.
pub const LATE_AFTER: Duration = Duration::seconds(60);
/// Why the priority was raised.
const RAISED: &str = "raised by an escalation of the service level";

/// Whether what was due then comes late now.
pub(crate) fn is_late(due: Timestamp, now: Timestamp) -> bool {
    now - due > LATE_AFTER
}

/// Something of a clock that is due at an instant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Due<'p> {
    /// When.
    pub(crate) at: Timestamp,
    /// What, if it is not the breach.
    pub(crate) escalation: Option<&'p Escalation>,
}

impl Due<'_> {
    /// What it is called among what has fired: [`crate::policy::EscalationTime::key`], or [`BREACH`].
    pub(crate) fn key(&self) -> String {
        self.escalation.map_or_else(|| BREACH.to_owned(), |escalation| escalation.at.key())
    }
}

/// What of a clock has not fired yet, if nothing happens to it, in no particular order.
fn outstanding<'p>(policies: &'p [impl AsRef<Policy>], stored: &StoredClock) -> impl Iterator<Item = Due<'p>> {
    let clock = &stored.clock;
    let rule = rule_of(policies, clock).filter(|_| clock.phase == Phase::Running);
    let time = rule.and_then(|rule| {
        let mut times = rule.targets.iter().map(|target| &target.time);
        times.find(|time| (time.id, time.version) == clock.calendar)
    });
    let escalations = rule.zip(time).into_iter().flat_map(move |(rule, time)| {
        rule.escalations.iter().filter_map(move |escalation| {
            let at = clock.instant_of(escalation.at.elapsed(clock.target), &time.calendar)?;
            Some(Due { at, escalation: Some(escalation) })
        })
    });
    // The due instant itself is in time.
    let breach = clock.due_at.filter(|_| time.is_some());
    let breach = breach.map(|due| Due { at: due + Duration::microseconds(1), escalation: None });
    escalations.chain(breach).filter(|due| stored.fired.is_empty() || !stored.has_fired(&due.key()))
}

fn rule_of<'p>(policies: &'p [impl AsRef<Policy>], clock: &Clock) -> Option<&'p MetricRule> {
    let policy = policies.iter().map(AsRef::as_ref).find(|policy| policy.id == clock.policy)?;
    policy.metrics.iter().find(|rule| rule.metric == clock.metric)
}

/// What of a clock is due at `now` and has not fired, the earliest first.
pub(crate) fn due<'p>(policies: &'p [impl AsRef<Policy>], stored: &StoredClock, now: Timestamp) -> Vec<Due<'p>> {
    let mut all: Vec<Due<'p>> = outstanding(policies, stored).filter(|due| due.at <= now).collect();
    all.sort_by_key(|due| due.at);
    all
}

/// When the next of these clocks has something due.
pub(crate) fn next(policies: &[impl AsRef<Policy>], clocks: &[StoredClock]) -> Option<Timestamp> {
    clocks.iter().flat_map(|stored| outstanding(policies, stored)).map(|due| due.at).min()
}

impl ServiceLevels {
    /// Does what is due on the clocks of the ticket of a [`TIMER`] job, and has the job run again for what comes next.
    ///
    /// # Errors
    /// Database errors; the job is tried again.
    pub async fn run_timer(&self, ctx: &Ctx, ticket: TicketRef) -> Result<()> {
        let levels = self.clone();
        let written = self.store().write(ctx, TIMER, move |tx| {
            let (levels, ticket) = (levels.clone(), ticket.clone());
            Box::pin(async move { levels.escalate_in(tx, &ticket).await })
        });
        match written.await {
            // A ticket that is no longer there needs nothing done.
            Err(error) if error.code() == kernel::ErrorCode::NotFound => Ok(()),
            other => other.map(|_| ()),
        }
    }

    async fn escalate_in(&self, tx: &mut Tx, ticket: &TicketRef) -> Result<()> {
        let ctx = tx.ctx().clone();
        let now = tx.now();
        let mut edit = self.tickets().edit_in(tx, ticket, "id").await?;
        let Some(basis) = basis_of(&edit.before) else { return Ok(()) };
        edit.hold_in(tx).await?;
        let policies = self.policies(&*tx, &ctx, &basis).await?;
        let mut clocks = tables::clocks_of(&*tx, ctx.tenant, edit.before.id()).await?;
        sort(&mut clocks);
        let before = clocks.clone();
        let mut fired: Vec<(usize, Due<'_>)> = Vec::new();
        for (place, stored) in clocks.iter_mut().enumerate() {
            for due in due(&policies, stored, now) {
                stored.fired.push(Fired { key: due.key(), due_at: due.at, fired_at: Some(now) });
                fired.push((place, due));
            }
            stored.clock.tick(now);
            stored.state = stored.clock.state(now);
        }
        // The breach first: with its event the ticket tells that it is over time.
        fired.sort_by_key(|(_, due)| (due.escalation.is_some(), due.at));
        if fired.is_empty() {
            self.schedule(tx, &edit, next(&policies, &clocks));
            return Ok(());
        }
        let continued: Vec<_> =
            clocks.iter().zip(&before).filter_map(|(now, before)| Continued::after(now, before)).collect();
        tables::update_clocks_in(tx, &continued).await?;
        let beside = edit.event(self.access(), ESCALATED, Json::Null);
        for (place, due) in &fired {
            let stored = &clocks[*place];
            tx.emit(match due.escalation {
                None => breach_event(stored, stored.clock.breached_at.unwrap_or(due.at), now, &beside),
                Some(escalation) => {
                    let actions = serde_json::to_value(&escalation.actions).unwrap_or_default();
                    let late = is_late(due.at, now);
                    let told = json!({ "at": due.key(), "dueAt": due.at, "late": late, "actions": actions });
                    clock_event(ESCALATED, stored, &beside, told)
                }
            });
        }
        for (_, due) in &fired {
            for action in due.escalation.into_iter().flat_map(|escalation| &escalation.actions) {
                self.act_in(tx, &mut edit, action).await?;
            }
        }
        self.schedule(tx, &edit, next(&policies, &clocks));
        Ok(())
    }

    fn schedule(&self, tx: &mut Tx, edit: &Edit, next: Option<Timestamp>) {
        if let Some(at) = next {
            tx.enqueue(timer(tx.ctx(), edit.before.id(), &edit.before.text("kind"), at));
        }
    }

    /// What one escalation does. What cannot be done (a team that is gone, a ticket that is over) is left; the event tells what was
    /// meant.
    async fn act_in(&self, tx: &mut Tx, edit: &mut Edit, action: &Action) -> Result<()> {
        let tickets = self.tickets();
        let done = match action {
            Action::Comment(body) => tickets.comment_in(tx, edit, body, CommentVisibility::Internal).await.map(|_| ()),
            Action::Assign { team, assignee } => {
                let user = |id| access::UserRef::Id(kernel::Id::new(kernel::id::prefix::USER, id));
                let command = AssignTicket {
                    ticket: TicketRef::Id(edit.reference().id),
                    team: Patch::Set(access::TeamRef::Id(kernel::Id::new(kernel::id::prefix::TEAM, *team))),
                    assignee: assignee.map_or(Patch::Keep, |assignee| Patch::Set(user(assignee))),
                    expected_version: None,
                };
                tickets.assign_in(tx, edit, &command).await
            }
            Action::RaisePriority => self.raise_in(tx, edit, tickets).await,
        };
        match done {
            Err(error @ kernel::Error::Refused(_)) => {
                tracing::warn!(%error, ticket = %edit.before.id(), "an escalation could not do what it should");
                edit.after = edit.before.clone();
                Ok(())
            }
            other => {
                other?;
                edit.proceed();
                Ok(())
            }
        }
    }

    async fn raise_in(&self, tx: &mut Tx, edit: &mut Edit, tickets: &Tickets) -> Result<()> {
        let now = Priority::parse(&edit.before.text("priority")).unwrap_or(Priority::P3);
        let place = Priority::ALL.iter().position(|priority| *priority == now).unwrap_or_default();
        let Some(higher) = place.checked_sub(1).and_then(|place| Priority::ALL.get(place)) else { return Ok(()) };
        edit.set("priority", higher.as_str());
        edit.set("priorityOverrideReason", RAISED);
        edit.set("priorityOverrideBy", Value::from(tx.ctx().actor.id));
        edit.set("priorityOverrideAt", tx.now());
        edit.save_in(tx, tickets.access(), UPDATED, Json::Null).await?;
        Ok(())
    }
}
