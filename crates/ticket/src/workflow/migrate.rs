//! Moving open tickets to a new version of their workflow, in the background, a batch at a time.

use std::sync::Arc;

use kernel::{Ctx, Error, Result, Uuid};
use predicate::{Operand, Path, Predicate, Test, Value};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use store::Tx;
use store::query::{self, Row};

use super::Workflow;
use crate::edit::Edit;
use crate::events;
use crate::kind::KindRules;
use crate::model::StateCategory;
use crate::queries::RELATIONS;
use crate::service::Tickets;

/// The job that moves tickets to a new version of their workflow.
pub const MIGRATE: &str = "workflow.migrate";
/// How many tickets one transaction moves.
const BATCH: u64 = 50;

/// Where the tickets of a state go that the new version does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateMapping {
    /// The key of the state in earlier versions.
    pub from: String,
    /// The key of the state in the new one.
    pub to: String,
}

#[derive(Deserialize)]
struct Payload {
    workflow: String,
    version: i32,
    mapping: Vec<StateMapping>,
}

impl Tickets {
    /// Moves all that a [`MIGRATE`] job names. What somebody else is changing at the moment is run again with its batch.
    ///
    /// # Errors
    /// Database errors; the job is tried again, and goes on where it stood.
    pub async fn migrate_workflow(&self, ctx: &Ctx, payload: &Json) -> Result<()> {
        let payload: Payload = serde_json::from_value(payload.clone()).map_err(Error::internal)?;
        let reader = self.store().read("workflow.find");
        let workflow = self.workflow_version(&reader, ctx, &payload.workflow, payload.version).await?;
        let mapping = Arc::new(payload.mapping);
        let mut behind = None;
        loop {
            let (tickets, workflow, mapping) = (self.clone(), Arc::clone(&workflow), Arc::clone(&mapping));
            let written = self.store().write(ctx, MIGRATE, move |tx| {
                let (tickets, workflow, mapping) = (tickets.clone(), Arc::clone(&workflow), Arc::clone(&mapping));
                Box::pin(async move { tickets.migrate_batch_in(tx, &workflow, &mapping, behind).await })
            });
            match written.await?.fresh().flatten() {
                Some(last) => behind = Some(last),
                None => return Ok(()),
            }
        }
    }

    /// Moves a batch behind this id; answers the last id of it.
    async fn migrate_batch_in(
        &self,
        tx: &mut Tx,
        workflow: &Arc<Workflow>,
        mapping: &[StateMapping],
        behind: Option<Uuid>,
    ) -> Result<Option<Uuid>> {
        let ctx = tx.ctx().clone();
        let rules = self.kinds().get(workflow.kind)?.clone();
        let behind = behind.map_or_else(Predicate::always, |last| {
            Predicate::Is(Path::field("id"), Test::Gt(Operand::Value(Value::Id(last))))
        });
        let wanted = self.following(rules.as_ref(), workflow).and(behind);
        let visible = self.access().visible(&ctx);
        let scoped = self.access().scoped(&ctx, &visible);
        let rows = query::all(tx, &scoped, rules.record(), &wanted, RELATIONS, BATCH).await?;
        let last = rows.last().map(Row::id);
        for row in rows {
            let from = row.get("workflowVersion").to_json();
            let mut edit = Edit::new(rules.clone(), Arc::clone(workflow), row);
            if move_to(&mut edit, mapping) {
                let payload = json!({ "workflow": workflow.key, "from": from, "to": workflow.version });
                edit.save_in(tx, self.access(), events::WORKFLOW_CHANGED, payload).await?;
                self.recount_dependents_in(tx, &edit).await?;
            }
        }
        Ok(last)
    }

    /// Open tickets that follow an earlier version of this workflow.
    pub(super) fn following(&self, rules: &dyn KindRules, workflow: &Workflow) -> Predicate {
        let earlier = Test::Lt(Operand::Value(Value::Int(i64::from(workflow.version))));
        let stored = Predicate::eq("workflow", workflow.key.as_str())
            .and(Predicate::Is(Path::field("workflowVersion"), earlier));
        let of_default = match rules.default_workflow().key == workflow.key {
            true => Predicate::Is(Path::field("workflow"), Test::IsNull(true)),
            false => Predicate::never(),
        };
        let over = [StateCategory::Closed.as_str(), StateCategory::Canceled.as_str()];
        stored.or(of_default).and(!Predicate::one_of("stateCategory", &over))
    }
}

/// Whether the ticket has a state in the new version. One that came meanwhile into a state without any stays where it is.
fn move_to(edit: &mut Edit, mapping: &[StateMapping]) -> bool {
    let workflow = Arc::clone(&edit.workflow);
    let now = edit.before.text("state");
    let mapped = mapping.iter().find(|one| one.from == now).map_or(now.as_str(), |one| one.to.as_str());
    let Some(state) = workflow.state(mapped) else { return false };
    edit.follow(&workflow);
    edit.set("state", state.key.as_str());
    edit.set("stateCategory", state.category.as_str());
    if state.category != StateCategory::Waiting {
        edit.set("waitingReason", Value::Null);
        edit.set("waitingUntil", Value::Null);
    }
    true
}
