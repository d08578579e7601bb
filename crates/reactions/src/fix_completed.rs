//! What fixes a problem was done: the problem is resolved, once everything that fixes it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use kernel::{Result, Uuid};
use problem::Problems;
use store::{Event, Tx};
use ticket::StateCategory;

use crate::BATCH;
use crate::follow::{AfterCommit, Progress};

/// See the module.
pub struct FixCompleted {
    problems: Problems,
}

impl FixCompleted {
    /// On these problems.
    pub fn new(problems: Problems) -> Self {
        Self { problems }
    }

    /// Those on tickets that a problem is resolved by.
    async fn sifted(&self, events: Vec<Arc<Event>>) -> Result<Vec<Arc<Event>>> {
        let mut of_tenants: BTreeMap<Uuid, BTreeSet<Uuid>> = BTreeMap::new();
        for event in &events {
            of_tenants.entry(event.tenant).or_default().insert(event.subject);
        }
        let tickets = self.problems.tickets();
        let reader = tickets.store().read("reaction.fixes");
        let mut fixing = BTreeSet::new();
        for (tenant, ended) in of_tenants {
            let ctx = tickets.access().system_ctx(tenant, self.name());
            let ended: Vec<Uuid> = ended.into_iter().collect();
            let found = self.problems.fixed_by(&reader, &ctx, &ended).await?;
            fixing.extend(found.into_iter().map(|(_, fix)| (tenant, fix)));
        }
        Ok(events.into_iter().filter(|event| fixing.contains(&(event.tenant, event.subject))).collect())
    }

    async fn react_in(&self, tx: &mut Tx, event: &Event) -> Result<Progress> {
        let ctx = tx.ctx().clone();
        let fixed = self.problems.fixed_by(&*tx, &ctx, &[event.subject]).await?;
        let mut resolved = 0;
        for (problem, _) in fixed {
            if resolved == BATCH {
                return Ok(Progress::More);
            }
            resolved += usize::from(self.problems.resolve_fixed_in(tx, problem, None).await?);
        }
        Ok(Progress::Done)
    }
}

impl AfterCommit for FixCompleted {
    fn name(&self) -> &'static str {
        "fixCompleted"
    }

    fn kinds(&self) -> &'static [&'static str] {
        // A fix may be a ticket of any practice, also of one that is yet to come: what it says of its state decides.
        &[]
    }

    fn concerns(&self, event: &Event) -> bool {
        let ended = [StateCategory::Resolved, StateCategory::Closed].map(StateCategory::as_str);
        let comes_to_its_end = |change: &store::Change| {
            change.field == "stateCategory" && change.after.as_str().is_some_and(|after| ended.contains(&after))
        };
        event.subject_kind == ticket::events::SUBJECT && event.changes.iter().any(comes_to_its_end)
    }

    fn sift<'a>(&'a self, events: Vec<Arc<Event>>) -> BoxFuture<'a, Result<Vec<Arc<Event>>>> {
        Box::pin(self.sifted(events))
    }

    fn react<'t>(&'t self, tx: &'t mut Tx, event: &'t Event) -> BoxFuture<'t, Result<Progress>> {
        Box::pin(self.react_in(tx, event))
    }
}
