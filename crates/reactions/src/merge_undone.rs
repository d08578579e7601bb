//! A merge was undone, and the duplicate stands where it stood: what it waited for may have come to its end while it was merged and could
//! be told of nothing. An incident then goes back to work, and a problem that was fixed is resolved.

use futures_util::future::BoxFuture;
use kernel::{Result, Timestamp, Uuid};
use predicate::Predicate;
use problem::Problems;
use store::{Audience, Event, Tx};
use ticket::events::MERGE_UNDONE;
use ticket::fields::{TICKET, TICKET_MERGE};
use ticket::{StateCategory, TicketKind};

use crate::follow::{AfterCommit, Progress};
use crate::problem_ended::{waits, wake_in};

/// See the module.
pub struct MergeUndone {
    problems: Problems,
}

impl MergeUndone {
    /// On these problems.
    pub fn new(problems: Problems) -> Self {
        Self { problems }
    }

    async fn react_in(&self, tx: &mut Tx, event: &Event) -> Result<Progress> {
        let Some(since) = self.merged_at_in(tx, event).await? else { return Ok(Progress::Done) };
        match kind_of(event) {
            Some(TicketKind::Problem) => {
                self.problems.resolve_fixed_in(tx, event.subject, Some(since)).await?;
            }
            Some(TicketKind::Incident) => self.look_again_in(tx, event.subject, since).await?,
            _ => {}
        }
        Ok(Progress::Done)
    }

    async fn look_again_in(&self, tx: &mut Tx, incident: Uuid, since: Timestamp) -> Result<()> {
        let (tickets, ctx) = (self.problems.tickets(), tx.ctx().clone());
        let waiting = Predicate::eq("id", incident).and(waits());
        let found = tickets.access().find_unmasked(&*tx, &ctx, &TICKET, Some(waiting)).await?;
        if found.is_some() && self.problems.cause_ended_since_in(tx, incident, since).await? {
            wake_in(tickets, tx, incident).await?;
        }
        Ok(())
    }

    /// When the merge was made that an event says was undone.
    async fn merged_at_in(&self, tx: &Tx, event: &Event) -> Result<Option<Timestamp>> {
        let Some(merge) = event.payload["merge"].as_str().and_then(|id| id.parse::<Uuid>().ok()) else {
            return Ok(None);
        };
        let by_id = Predicate::eq("id", merge);
        let merge = self.problems.tickets().access().find_unmasked(tx, tx.ctx(), &TICKET_MERGE, Some(by_id)).await?;
        Ok(merge.and_then(|merge| merge.get("mergedAt").as_time()))
    }
}

fn kind_of(event: &Event) -> Option<TicketKind> {
    TicketKind::parse(event.facts.get("kind")?.as_str()?)
}

impl AfterCommit for MergeUndone {
    fn name(&self) -> &'static str {
        "mergeUndone"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &[MERGE_UNDONE]
    }

    fn concerns(&self, event: &Event) -> bool {
        let is_waiting =
            || event.facts.get("stateCategory").is_some_and(|category| category == StateCategory::Waiting.as_str());
        // The event on the ticket that went on is for those who work on it, and changes nothing there.
        event.audience == Audience::Public
            && match kind_of(event) {
                Some(TicketKind::Incident) => is_waiting(),
                kind => kind == Some(TicketKind::Problem),
            }
    }

    fn react<'t>(&'t self, tx: &'t mut Tx, event: &'t Event) -> BoxFuture<'t, Result<Progress>> {
        Box::pin(self.react_in(tx, event))
    }
}
