//! The review of an accepted risk: whoever writes its date has a durable job tell when it comes.

use std::ops::Range;

use futures_util::future::BoxFuture;
use kernel::{Ctx, Id, Result, Timestamp, Uuid, id};
use serde_json::{Value as Json, json};
use store::query::update_in;
use store::{Audience, NewJob, Reaction, Tx};
use ticket::{TicketKind, TicketRef, Tickets};

use crate::events::RISK_REVIEW_DUE;
use crate::fields::PROBLEM;
use crate::model::RISK_ACCEPTED;
use crate::service::Problems;

/// The job that tells of a review.
pub const REVIEW_RISK: &str = "problem.reviewRisk";
/// The field with the date.
const DATE: &str = "riskReviewAt";

impl Reaction for Problems {
    /// However the date was written (a transition, an edit), its job is written with it.
    fn react<'t>(&'t self, tx: &'t mut Tx, events: Range<usize>) -> BoxFuture<'t, Result<()>> {
        Box::pin(async move {
            let mut due = Vec::new();
            for event in tx.emitted().get(events).unwrap_or_default() {
                let written = event.changes.iter().find(|change| change.field == DATE);
                let at = written.and_then(|change| serde_json::from_value::<Timestamp>(change.after.clone()).ok());
                if let Some(at) = at.filter(|_| event.facts.get("kind") == Some(&Json::from(PROBLEM_KIND))) {
                    due.push((event.subject, at));
                }
            }
            for (problem, run_at) in due {
                tx.enqueue(NewJob {
                    kind: REVIEW_RISK,
                    tenant: tx.ctx().tenant,
                    unique_key: Some(problem.to_string()),
                    run_at,
                    payload: json!({ "ticket": problem.to_string(), "kind": PROBLEM_KIND }),
                });
            }
            Ok(())
        })
    }
}

const PROBLEM_KIND: &str = TicketKind::Problem.as_str();

impl Problems {
    /// Tells that the date of a review has come, once, unless another one holds by now.
    ///
    /// # Errors
    /// Database errors; the job is tried again.
    pub async fn tell_of_review(&self, ctx: &Ctx, payload: &Json) -> Result<()> {
        let TicketRef::Id(problem) = Tickets::job_ticket(payload)? else { return Ok(()) };
        let problems = self.clone();
        let written = self.tickets().store().write(ctx, REVIEW_RISK, move |tx| {
            let problems = problems.clone();
            Box::pin(async move { problems.tell_of_review_in(tx, problem.uuid).await })
        });
        written.await.map(drop)
    }

    async fn tell_of_review_in(&self, tx: &mut Tx, problem: Uuid) -> Result<()> {
        self.tickets().hold_in(tx, &[problem]).await?;
        let reference = TicketRef::Id(Id::new(id::prefix::PROBLEM, problem));
        let edit = self.edit_in(tx, &reference, "id").await?;
        let row = &edit.before;
        let due = row.get(DATE).as_time().filter(|at| *at <= tx.now());
        if due.is_none() || row.text("resolutionCode") != RISK_ACCEPTED || row.get("riskReviewTold") == row.get(DATE) {
            return Ok(());
        }
        // Its version stays: nothing of it has changed for anybody.
        let told = [("riskReviewTold", row.get(DATE).clone())];
        update_in(&*tx, tx.ctx().tenant, &PROBLEM, problem, None, &told).await?;
        let mut event = edit.event(self.tickets().access(), RISK_REVIEW_DUE, Json::Null);
        event.audience = Audience::Internal;
        tx.emit(event);
        Ok(())
    }
}
