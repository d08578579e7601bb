//! What fixes a problem: the tickets that it is `RESOLVED_BY`, of whatever kind.

use access::visibility::unmasked;
use kernel::id::prefix;
use kernel::{Ctx, Error, ErrorCode, Id, Result, Timestamp, Uuid};
use predicate::Predicate;
use serde_json::{Map, Value as Json};
use store::query::{self, Row};
use store::{ConnectionTrait, Tx};
use ticket::fields::LINK;
use ticket::{LinkType, MAX_LINKS, StateCategory, TicketKind, TicketRef, Workflow};

use super::Problems;
use super::workaround::reference;
use crate::model::FIXED;

/// The transition that resolves a problem.
const RESOLVE: &str = "resolve";

impl Problems {
    /// The problems that are resolved by one of these tickets, each with that ticket; for the system.
    ///
    /// # Errors
    /// Database errors.
    pub async fn fixed_by(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        tickets: &[Uuid],
    ) -> Result<Vec<(Uuid, Uuid)>> {
        let of_problems = Predicate::eq("kind", TicketKind::Problem.as_str()).through("source");
        let fixes = Predicate::one_of("target", tickets).and(of_problems);
        let most = tickets.len().saturating_mul(MAX_LINKS) as u64;
        let links = self.fixing_links(connection, ctx, fixes, &[], most).await?;
        let ends = |link: &Row| link.get("source").as_id().zip(link.get("target").as_id());
        Ok(links.iter().filter_map(ends).collect())
    }

    /// Resolves a problem whose fix is under way, once everything that fixes it is done; answers whether that was so. In any other
    /// state nothing happens, nor when nothing of it was done since an instant, where that is given.
    ///
    /// # Errors
    /// Those of the transition: what holds it back (an approval, a guard of the tenant's workflow) may pass.
    pub async fn resolve_fixed_in(&self, tx: &mut Tx, problem: Uuid, since: Option<Timestamp>) -> Result<bool> {
        let mut edit = match self.edit_in(tx, &TicketRef::Id(Id::new(prefix::PROBLEM, problem)), "problem").await {
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(false),
            other => other?,
        };
        let state = edit.before.text("state");
        let resolves = edit.workflow.leaving(&state).find(|found| found.key == RESOLVE);
        let is_under_way = resolves.is_some_and(|found| edit.workflow.category(&found.to) == StateCategory::Resolved);
        if !is_under_way {
            return Ok(false);
        }
        let ctx = tx.ctx().clone();
        let fixes = Predicate::eq("source", problem);
        let links = self.fixing_links(&*tx, &ctx, fixes, &["target"], MAX_LINKS as u64).await?;
        let mut numbers = Vec::with_capacity(links.len());
        let mut is_news = since.is_none();
        for fix in links.iter().filter_map(|link| link.relation("target")) {
            let fix = reference(fix).ok_or_else(|| Error::internal("a ticket is of an unknown kind"))?;
            let fix = self.tickets.edit_in(tx, &fix, "fix").await?;
            if !is_done(&fix.workflow, &fix.before) {
                return Ok(false);
            }
            is_news |= since.is_some_and(|since| ended_at(&fix.before).is_some_and(|at| at >= since));
            numbers.push(fix.before.text("number"));
        }
        if numbers.is_empty() || !is_news {
            return Ok(false);
        }
        // Only the number: whoever reads the problem need not see what fixed it.
        let inputs: Map<String, Json> = [
            ("resolutionCode".to_owned(), FIXED.into()),
            ("resolutionNotes".to_owned(), format!("Fixed by {}.", numbers.join(", ")).into()),
        ]
        .into_iter()
        .collect();
        self.tickets.transition_in(tx, &mut edit, RESOLVE, inputs).await?;
        Ok(true)
    }

    async fn fixing_links(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        condition: Predicate,
        relations: &[&'static str],
        limit: u64,
    ) -> Result<Vec<Row>> {
        let access = self.tickets.access();
        let visible = unmasked(&access.visible(ctx));
        let fixing = Predicate::eq("type", LinkType::ResolvedBy.as_str()).and(condition);
        query::all(connection, &access.scoped(ctx, &visible), &LINK, &fixing, relations, limit).await
    }
}

/// When a ticket came to its end: was resolved, or closed without.
pub(super) fn ended_at(ticket: &Row) -> Option<Timestamp> {
    ticket.get("resolvedAt").as_time().or_else(|| ticket.get("closedAt").as_time())
}

/// Whether a ticket came to its end by having been done: not by having been canceled, skipped, or closed without having been
/// resolved where its workflow knows that.
fn is_done(workflow: &Workflow, ticket: &Row) -> bool {
    let knows_resolved = || workflow.states.iter().any(|state| state.category == StateCategory::Resolved);
    match StateCategory::parse(&ticket.text("stateCategory")) {
        Some(StateCategory::Resolved) => true,
        Some(StateCategory::Closed) if knows_resolved() => !ticket.get("resolvedAt").is_null(),
        Some(StateCategory::Closed) => ticket.text("state") != ticket::task::SKIPPED,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use predicate::Value;
    use ticket::KindRules;

    fn ticket(category: &str, state: &str, resolved: bool) -> Row {
        let at = ticket::commands::parse_time("2026-01-01T00:00:00Z");
        let values = vec![
            ("stateCategory", category.into()),
            ("state", state.into()),
            ("resolvedAt", at.filter(|_| resolved).map_or(Value::Null, Value::from)),
        ];
        Row::new(&crate::fields::PROBLEM, values)
    }

    #[test]
    fn what_ended_without_having_been_done_fixes_nothing() {
        let problem = crate::ProblemRules::new().unwrap();
        let task = ticket::TaskRules::new().unwrap();
        for (workflow, category, state, resolved, fixes) in [
            (problem.default_workflow(), "RESOLVED", "resolved", true, true),
            (problem.default_workflow(), "CLOSED", "closed", true, true),
            (problem.default_workflow(), "CLOSED", "closed", false, false),
            (problem.default_workflow(), "ACTIVE", "fix_in_progress", false, false),
            (task.default_workflow(), "CLOSED", "done", false, true),
            (task.default_workflow(), "CLOSED", "skipped", false, false),
            (task.default_workflow(), "CANCELED", "canceled", false, false),
        ] {
            assert_eq!(is_done(workflow, &ticket(category, state, resolved)), fixes, "{category} {state} {resolved}");
        }
    }
}
