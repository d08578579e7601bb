//! Publishing a workaround, and saying it on an incident.

use std::collections::BTreeSet;

use access::permission::{PROBLEM_MANAGE, TICKET_UPDATE};
use kernel::{Ctx, Id, Result, Timestamp, UserError, Uuid};
use predicate::Predicate;
use store::Tx;
use store::query::{self, Row};
use ticket::{CommentVisibility, Edit, LinkType, Outcome, StateCategory, TicketKind, TicketRef};

use super::fix::ended_at;
use super::{Problems, publication};
use crate::events::WORKAROUND_PUBLISHED;
use crate::fields::{PROBLEM, WORKAROUND_POST};
use crate::model::{CANCELED, DUPLICATE, FIXED};

/// The longest workaround that can be published, in bytes: with what stands above it, it fits a comment.
pub const MAX_PUBLISHED: usize = 60 * 1024;

impl Problems {
    /// Publishes the workaround as it is now; one that was published already is not published again.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`, `CONFLICT`; `VALIDATION` for a problem without a workaround, and for one that needs none any more.
    pub async fn publish_workaround(
        &self,
        ctx: &Ctx,
        problem: TicketRef,
        expected_version: Option<i32>,
    ) -> Result<Outcome> {
        let problems = self.clone();
        self.tickets
            .write(ctx, "problemPublishWorkaround", move |tx| {
                let (problems, problem) = (problems.clone(), problem.clone());
                Box::pin(async move { problems.publish_in(tx, &problem, expected_version).await })
            })
            .await
    }

    async fn publish_in(&self, tx: &mut Tx, problem: &TicketRef, expected_version: Option<i32>) -> Result<Row> {
        let mut edit = self.edit_in(tx, problem, "id").await?;
        self.tickets.require_on(tx.ctx(), &edit, TICKET_UPDATE)?;
        self.tickets.require_on(tx.ctx(), &edit, PROBLEM_MANAGE)?;
        edit.expect_version(expected_version)?;
        let text = edit.before.text("workaround");
        let complaint = if text.trim().is_empty() {
            Some(("the problem has no workaround", "required"))
        } else if text.len() > MAX_PUBLISHED {
            Some(("a workaround of more than 60 KiB fits no comment", "maxBytes"))
        } else if !helps(&edit.before) {
            Some(("the problem needs no workaround any more", "state"))
        } else {
            None
        };
        if let Some((message, constraint)) = complaint {
            return Err(UserError::constraint(["id"], message, constraint, None).into());
        }
        if edit.before.text("publishedWorkaround") != text {
            let number = i32::try_from(edit.before.int("publication")).unwrap_or(i32::MAX).saturating_add(1);
            edit.set("publishedWorkaround", text);
            edit.set("publication", number);
            edit.set("workaroundPublishedAt", tx.now());
            edit.save_in(tx, self.tickets.access(), WORKAROUND_PUBLISHED, publication(number)).await?;
        }
        tx.answers_with(edit.reference());
        Ok(edit.after)
    }

    /// Says the published workaround of a problem on a ticket that it causes, as a public comment: once for each publication, and not on a
    /// ticket that is done. Answers whether it was said now.
    ///
    /// # Errors
    /// Database errors; a lost race is run again.
    pub async fn post_workaround_in(&self, tx: &mut Tx, problem: &Row, incident: &TicketRef) -> Result<bool> {
        let text = problem.text("publishedWorkaround");
        if text.is_empty() || !helps(problem) {
            return Ok(false);
        }
        let mut edit = self.tickets.edit_in(tx, incident, "incident").await?;
        if is_done(&edit.before) || self.was_posted_in(tx, problem, &edit).await? {
            return Ok(false);
        }
        edit.hold_in(tx).await?;
        let row = Row::new(
            &WORKAROUND_POST,
            vec![
                ("id", tx.new_id().into()),
                ("problem", problem.id().into()),
                ("incident", edit.before.id().into()),
                ("publication", problem.get("publication").clone()),
                ("createdAt", tx.now().into()),
            ],
        );
        query::insert_unique_in(tx, tx.ctx().tenant, &WORKAROUND_POST, &row).await?;
        let body = format!("**Workaround**\n\n{text}");
        self.tickets.comment_in(tx, &mut edit, &body, CommentVisibility::Public).await?;
        Ok(true)
    }

    async fn was_posted_in(&self, tx: &Tx, problem: &Row, incident: &Edit) -> Result<bool> {
        let there = Predicate::eq("problem", problem.id())
            .and(Predicate::eq("incident", incident.before.id()))
            .and(Predicate::eq("publication", problem.get("publication").clone()));
        query::exists(tx, tx.ctx().tenant, &WORKAROUND_POST, &there, self.tickets.access().catalogue()).await
    }

    /// The open tickets that a problem causes and that nobody has told of its published workaround, at most `limit`.
    ///
    /// # Errors
    /// Database errors.
    pub async fn untold_in(&self, tx: &mut Tx, problem: &Row, limit: usize) -> Result<Vec<TicketRef>> {
        let access = self.tickets.access();
        let ctx = tx.ctx().clone();
        let visible = access::visibility::unmasked(&access.visible(&ctx));
        let scoped = access.scoped(&ctx, &visible);
        let posted = Predicate::eq("problem", problem.id())
            .and(Predicate::eq("publication", problem.get("publication").clone()));
        let effects = self.open_effects_in(tx, problem.id(), Predicate::always()).await?;
        let ids: Vec<Uuid> = effects.iter().map(Row::id).collect();
        let posted = posted.and(Predicate::one_of("incident", &ids));
        let posted = query::all(tx, &scoped, &WORKAROUND_POST, &posted, &[], ids.len() as u64).await?;
        let told: Vec<Option<Uuid>> = posted.iter().map(|post| post.get("incident").as_id()).collect();
        let untold = effects.iter().filter(|effect| !told.contains(&Some(effect.id())));
        Ok(untold.take(limit).filter_map(reference).collect())
    }

    /// Whether a link says that the problem is the cause of this ticket.
    ///
    /// # Errors
    /// Database errors.
    pub async fn causes_in(&self, tx: &Tx, problem: Uuid, ticket: Uuid) -> Result<bool> {
        let link = Predicate::eq("source", ticket)
            .and(Predicate::eq("target", problem))
            .and(Predicate::eq("type", LinkType::CausedBy.as_str()));
        let catalogue = self.tickets.access().catalogue();
        query::exists(tx, tx.ctx().tenant, &ticket::fields::LINK, &link, catalogue).await
    }

    /// Whether a problem that causes this ticket came to its end, fixed or not, at an instant or later, and has not been reopened. Of one
    /// that was merged into another, that counts which goes on.
    ///
    /// # Errors
    /// Database errors.
    pub async fn cause_ended_since_in(&self, tx: &mut Tx, ticket: Uuid, since: Timestamp) -> Result<bool> {
        let access = self.tickets.access();
        let ctx = tx.ctx().clone();
        let visible = access::visibility::unmasked(&access.visible(&ctx));
        let causes = Predicate::eq("source", ticket)
            .and(Predicate::eq("type", LinkType::CausedBy.as_str()))
            .and(Predicate::eq("kind", TicketKind::Problem.as_str()).through("target"));
        let scoped = access.scoped(&ctx, &visible);
        let links =
            query::all(&*tx, &scoped, &ticket::fields::LINK, &causes, &["target"], ticket::MAX_LINKS as u64).await?;
        for cause in links.iter().filter_map(|link| link.relation("target")) {
            let survivor = Predicate::eq("id", self.tickets.survivor_in(&*tx, cause).await?);
            let survivor = access.find_unmasked(&*tx, &ctx, &PROBLEM, Some(survivor)).await?;
            let is_over = |row: &Row| is_done(row) && ended_at(cause).max(ended_at(row)).is_some_and(|at| at >= since);
            if survivor.is_some_and(|row| is_over(&row)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The tickets that a problem causes, or one that was merged into it, that are not done, and that a condition finds; each once.
    ///
    /// # Errors
    /// Database errors.
    pub async fn open_effects_in(&self, tx: &mut Tx, problem: Uuid, condition: Predicate) -> Result<Vec<Row>> {
        let access = self.tickets.access();
        let ctx = tx.ctx().clone();
        let visible = access::visibility::unmasked(&access.visible(&ctx));
        let done = [StateCategory::Resolved, StateCategory::Closed, StateCategory::Canceled];
        let done = Predicate::one_of("stateCategory", &done.map(StateCategory::as_str));
        let mut causes = self.tickets.merged_into_in(&*tx, problem).await?;
        causes.push(problem);
        let caused = Predicate::one_of("target", &causes)
            .and(Predicate::eq("type", LinkType::CausedBy.as_str()))
            .and((!done).and(condition).through("source"));
        let scoped = access.scoped(&ctx, &visible);
        let most = causes.len().saturating_mul(ticket::MAX_CAUSED) as u64;
        let links = query::all(tx, &scoped, &ticket::fields::LINK, &caused, &["source"], most).await?;
        let mut seen = BTreeSet::new();
        let effects = links.into_iter().filter_map(|link| link.relation("source").cloned());
        Ok(effects.filter(|effect| seen.insert(effect.id())).collect())
    }
}

/// How writes point at a ticket that was read.
pub(crate) fn reference(ticket: &Row) -> Option<TicketRef> {
    let kind = ticket::TicketKind::parse(&ticket.text("kind"))?;
    Some(TicketRef::Id(Id::new(kind.id_prefix(), ticket.id())))
}

/// Whether a workaround of this problem is of use to anybody: until the cause is gone, and where it is the problem's own.
fn helps(problem: &Row) -> bool {
    ![FIXED, DUPLICATE, CANCELED].contains(&problem.text("resolutionCode").as_str())
}

fn is_done(ticket: &Row) -> bool {
    StateCategory::parse(&ticket.text("stateCategory")).is_some_and(StateCategory::is_done)
}

#[cfg(test)]
mod tests {
    use predicate::Value;

    use super::*;

    #[test]
    fn a_workaround_helps_until_the_cause_is_gone() {
        for (code, expected) in [("", true), ("RISK_ACCEPTED", true), ("FIXED", false), ("DUPLICATE", false)] {
            let code = if code.is_empty() { Value::Null } else { code.into() };
            assert_eq!(helps(&Row::new(&PROBLEM, vec![("resolutionCode", code.clone())])), expected, "{code:?}");
        }
    }
}
