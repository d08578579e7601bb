//! Who works on a ticket: a team, and one of its members.

use access::TeamRef;
use kernel::{Ctx, Patch, Result, Timestamp, UserError};
use serde_json::Map;
use store::Tx;
use store::query::Row;

use crate::commands::AssignTicket;
use crate::edit::Edit;
use crate::events;
use crate::model::StateCategory;
use crate::service::{Outcome, Tickets};
use crate::workflow::{Effect, EffectField, Prepared, Transition};

/// The transition that an unassigned new ticket takes when somebody is put on it.
const ASSIGN: &str = "assign";

impl Tickets {
    /// Sets team and assignee. An unassigned new ticket takes the transition `assign`; a change of an assignment that was
    /// there is counted.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`, `CONFLICT`; `VALIDATION` when the assignee is no member of the team or the ticket is closed.
    pub async fn assign(&self, ctx: &Ctx, command: AssignTicket) -> Result<Outcome> {
        let tickets = self.clone();
        self.write(ctx, "ticketAssign", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move {
                let mut edit = tickets.edit_in(tx, &command.ticket, "id").await?;
                tickets.assign_in(tx, &mut edit, &command).await?;
                tx.answers_with(edit.reference());
                Ok(edit.after)
            })
        })
        .await
    }

    /// The same inside a write.
    ///
    /// # Errors
    /// As [`Tickets::assign`].
    pub async fn assign_in(&self, tx: &mut Tx, edit: &mut Edit, command: &AssignTicket) -> Result<()> {
        edit.expect_version(command.expected_version)?;
        if StateCategory::parse(&edit.before.text("stateCategory")).is_none_or(StateCategory::is_ended) {
            let message = "a closed or canceled ticket cannot be assigned";
            return Err(UserError::constraint(["id"], message, "state", None).into());
        }
        self.set_assignment_in(tx, edit, command).await?;
        edit.authorise_fields(tx.ctx(), self.access())?;
        edit.authorise_state_after(tx.ctx(), self.access())?;
        count_reassignment(edit);
        let prepared = self.take_along_in(tx, edit).await?;
        edit.save_in(tx, self.access(), events::ASSIGNED, serde_json::Value::Null).await?;
        self.make_in(tx, edit, ASSIGN, prepared).await
    }

    /// The transition that an assignment takes along, unless an approval holds it back: with what it does besides, but for
    /// team and assignee, which whoever assigns has just said.
    async fn take_along_in(&self, tx: &mut Tx, edit: &mut Edit) -> Result<Prepared> {
        let Some(mut transition) = taken_along(edit).cloned() else { return Ok(Prepared::default()) };
        self.check_not_blocked_in(tx, &edit.before, ASSIGN).await?;
        transition.effects.retain(|effect| {
            let said = [EffectField::Team, EffectField::Assignee];
            !matches!(effect, Effect::SetField { field, .. } if said.contains(field))
        });
        self.take_effects_in(tx, edit, &transition, &mut Map::new()).await?;
        start_if_new(edit, tx.now());
        self.prepare_in(tx, edit, &transition).await
    }

    async fn set_assignment_in(&self, tx: &mut Tx, edit: &mut Edit, command: &AssignTicket) -> Result<()> {
        match &command.team {
            Patch::Keep => {}
            Patch::Clear => edit.set_reference("team", None),
            Patch::Set(team) => {
                let team = self.team_in(tx, team, "team").await?;
                edit.set_reference("team", Some(team));
            }
        }
        match &command.assignee {
            Patch::Keep => self.drop_assignee_of_other_team_in(tx, edit).await,
            Patch::Clear => {
                edit.set_reference("assignee", None);
                Ok(())
            }
            Patch::Set(user) => {
                let user = self.user_in(tx, user, "assignee").await?;
                self.check_member_in(tx, &edit.after, &user).await?;
                edit.set_reference("assignee", Some(user));
                Ok(())
            }
        }
    }

    /// A ticket that goes to another team leaves its assignee behind, unless they are a member there too.
    pub(crate) async fn drop_assignee_of_other_team_in(&self, tx: &mut Tx, edit: &mut Edit) -> Result<()> {
        if edit.before.get("team") == edit.after.get("team") {
            return Ok(());
        }
        let Some(assignee) = edit.after.get("assignee").as_id() else { return Ok(()) };
        let stays = match edit.after.get("team").as_id() {
            Some(team) => self.access().is_member_in(tx, team, assignee).await?,
            None => false,
        };
        if !stays {
            edit.set_reference("assignee", None);
        }
        Ok(())
    }

    /// Checks that a user may be put on a ticket of the row's team.
    ///
    /// # Errors
    /// `VALIDATION` at `assignee`.
    pub async fn check_member_in(&self, tx: &mut Tx, row: &Row, user: &Row) -> Result<()> {
        let Some(team) = row.get("team").as_id() else {
            let message = "the ticket has no team: give a `team` of which the assignee is a member";
            return Err(UserError::constraint(["assignee"], message, "teamMember", None).into());
        };
        if !user.bool("active") || !self.access().is_member_in(tx, team, user.id()).await? {
            let name = row.relation("team").map(|team| team.text("slug")).unwrap_or_default();
            let message = format!("{} is no active member of the team `{name}`", user.text("name"));
            return Err(UserError::constraint(["assignee"], message, "teamMember", None).into());
        }
        Ok(())
    }

    /// The team that a reference points at.
    ///
    /// # Errors
    /// `NOT_FOUND` at `path`.
    pub async fn team_in(&self, tx: &mut Tx, reference: &TeamRef, path: &str) -> Result<Row> {
        let ctx = tx.ctx().clone();
        self.access().team_in(tx, &ctx, reference).await.map_err(|error| error.within(path))
    }
}

/// Counts when a team or an assignee that was there gives way to another.
pub(crate) fn count_reassignment(edit: &mut Edit) {
    let replaced = ["team", "assignee"].iter().any(|field| {
        let (before, after) = (edit.before.get(field), edit.after.get(field));
        !before.is_null() && !after.is_null() && before != after
    });
    if replaced {
        let count = i32::try_from(edit.before.int("reassignmentCount")).unwrap_or(i32::MAX).saturating_add(1);
        edit.set("reassignmentCount", count);
    }
}

/// A new ticket that comes with a team or an assignee begins where the transition leads to.
pub fn start_if_new(edit: &mut Edit, at: Timestamp) {
    let workflow = edit.workflow.clone();
    if let Some(to) = taken_along(edit).map(|transition| transition.to.clone()) {
        let category = workflow.category(&to);
        edit.set("stateCategory", category.as_str());
        edit.set("state", to);
        crate::transition::record_outcome(&mut edit.after, StateCategory::New, category, at);
    }
}

/// The transition that an assignment takes along, if the ticket is assigned and in its first state.
fn taken_along(edit: &Edit) -> Option<&Transition> {
    let assigned = !edit.after.get("team").is_null() || !edit.after.get("assignee").is_null();
    let state = edit.after.text("state");
    edit.workflow.transition(ASSIGN).filter(|found| assigned && found.from.contains(&state))
}
