//! A workaround was published: it is said on the open incidents that the problem causes, some at a time. When another problem is merged
//! into one whose workaround is published, on those that the other caused.

use futures_util::future::BoxFuture;
use kernel::id::prefix;
use kernel::{ErrorCode, Id, Result};
use problem::Problems;
use problem::events::WORKAROUND_PUBLISHED;
use store::{Event, Tx};
use ticket::events::MERGE_RECEIVED;
use ticket::{TicketKind, TicketRef};

use crate::BATCH;
use crate::follow::{AfterCommit, Progress};

/// See the module.
pub struct WorkaroundPublished {
    problems: Problems,
}

impl WorkaroundPublished {
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
        // A later publication has an event of its own.
        if event.kind == WORKAROUND_PUBLISHED
            && event.payload["publication"].as_i64() != problem.get("publication").as_int()
        {
            return Ok(Progress::Done);
        }
        let untold = self.problems.untold_in(tx, &problem, BATCH + 1).await?;
        let mut said = 0;
        for incident in untold.iter().take(BATCH) {
            said += usize::from(self.problems.post_workaround_in(tx, &problem, incident).await?);
        }
        Ok(if untold.len() > BATCH && said > 0 { Progress::More } else { Progress::Done })
    }
}

impl AfterCommit for WorkaroundPublished {
    fn name(&self) -> &'static str {
        "workaroundPublished"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &[WORKAROUND_PUBLISHED, MERGE_RECEIVED]
    }

    fn concerns(&self, event: &Event) -> bool {
        event.facts.get("kind").and_then(|kind| kind.as_str()) == Some(TicketKind::Problem.as_str())
    }

    fn react<'t>(&'t self, tx: &'t mut Tx, event: &'t Event) -> BoxFuture<'t, Result<Progress>> {
        Box::pin(self.react_in(tx, event))
    }
}
