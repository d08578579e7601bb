//! A problem came to its end, fixed or not: the incidents that wait for it, or for one that was merged into it, go back to work, some at a
//! time.

use futures_util::future::BoxFuture;
use kernel::id::prefix;
use kernel::{ErrorCode, Id, Result, Uuid};
use predicate::Predicate;
use problem::Problems;
use problem::events::{CLOSED, RESOLVED};
use store::{Event, Tx};
use ticket::{StateCategory, TicketRef, Tickets, WaitingReason};

use crate::BATCH;
use crate::follow::{AfterCommit, Progress};

/// See the module.
pub struct ProblemEnded {
    problems: Problems,
}

impl ProblemEnded {
    /// On these problems.
    pub fn new(problems: Problems) -> Self {
        Self { problems }
    }

    async fn react_in(&self, tx: &mut Tx, event: &Event) -> Result<Progress> {
        let reference = TicketRef::Id(Id::new(prefix::PROBLEM, event.subject));
        let problem = match self.problems.edit_in(tx, &reference, "problem").await {
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(Progress::Done),
            other => other?.before,
        };
        // It was reopened meanwhile: waiting for it makes sense again.
        if !StateCategory::parse(&problem.text("stateCategory")).is_some_and(StateCategory::is_done) {
            return Ok(Progress::Done);
        }
        let tickets = self.problems.tickets();
        let mut woken = 0;
        for waiting in self.problems.open_effects_in(tx, problem.id(), waits()).await? {
            if woken == BATCH {
                return Ok(Progress::More);
            }
            woken += usize::from(wake_in(tickets, tx, waiting.id()).await?);
        }
        Ok(Progress::Done)
    }
}

/// Puts an incident back to work; answers whether that was possible.
pub(crate) async fn wake_in(tickets: &Tickets, tx: &mut Tx, incident: Uuid) -> Result<bool> {
    let incident = TicketRef::Id(Id::new(prefix::INCIDENT, incident));
    let mut edit = match tickets.edit_in(tx, &incident, "incident").await {
        // A ticket of another kind waits for what it waits for.
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(false),
        other => other?,
    };
    // A tenant's workflow may have no way back: such an incident waits for a person.
    if edit.way_back().is_none() {
        return Ok(false);
    }
    tickets.resume_in(tx, &mut edit).await?;
    Ok(true)
}

/// Which tickets wait for their problem.
pub(crate) fn waits() -> Predicate {
    Predicate::eq("stateCategory", StateCategory::Waiting.as_str())
        .and(Predicate::eq("waitingReason", WaitingReason::Problem.as_str()))
}

impl AfterCommit for ProblemEnded {
    fn name(&self) -> &'static str {
        "problemEnded"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &[RESOLVED, CLOSED]
    }

    fn react<'t>(&'t self, tx: &'t mut Tx, event: &'t Event) -> BoxFuture<'t, Result<Progress>> {
        Box::pin(self.react_in(tx, event))
    }
}
