//! Escalation: to the team of the next level of support, or up the line of managers.

use access::NextManager;
use access::TeamRef;
use access::permission::{TICKET_ASSIGN, TICKET_UPDATE};
use kernel::error::Problems;
use kernel::id::prefix;
use kernel::{Ctx, Id, Patch, Result, UserError};
use serde_json::{Value as Json, json};
use store::query::Row;
use store::{Audience, NewEvent, Tx};
use ticket::commands::check_body;
use ticket::{AssignTicket, Edit, Outcome, StateCategory, TicketKind};

use super::Incidents;
use crate::commands::EscalateIncident;
use crate::events;
use crate::model::EscalationType;

/// How often an incident was escalated each way.
const FUNCTIONAL_LEVEL: &str = "functionalEscalationLevel";
const HIERARCHICAL_LEVEL: &str = "hierarchicalEscalationLevel";
/// Whom it has reached on its way up.
const ESCALATED_TO: &str = "escalatedTo";

impl Incidents {
    /// Hands an incident to the next level of support, or tells the next manager of it and makes them a watcher.
    ///
    /// # Errors
    /// `NOT_FOUND`; `FORBIDDEN` without `ticket.assign` (functional) or `ticket.update` (hierarchical); `VALIDATION` at `reason`, at
    /// `id` for an incident that is done or has no team, and at `team` or `type` where there is no next level; `CONFLICT`; `LIMIT` for
    /// the watchers.
    pub async fn escalate(&self, ctx: &Ctx, command: EscalateIncident) -> Result<Outcome> {
        let mut problems = Problems::default();
        check_body(&mut problems, "reason", &command.reason);
        if command.kind == EscalationType::Hierarchical && command.team.is_some() {
            let message =
                "only a functional escalation goes to a team: a hierarchical one goes up the line of managers";
            problems.add(UserError::constraint(["team"], message, "type", None));
        }
        problems.check()?;
        let incidents = self.clone();
        self.tickets()
            .write(ctx, "incidentEscalate", move |tx| {
                let (incidents, command) = (incidents.clone(), command.clone());
                Box::pin(async move { incidents.escalate_in(tx, &command).await })
            })
            .await
    }

    async fn escalate_in(&self, tx: &mut Tx, command: &EscalateIncident) -> Result<Row> {
        let mut edit = self.tickets().edit_in(tx, &command.incident, "id").await?;
        if edit.rules.kind() != TicketKind::Incident {
            return Err(UserError::not_found(["id"], "the incident").into());
        }
        edit.expect_version(command.expected_version)?;
        let permission = match command.kind {
            EscalationType::Functional => TICKET_ASSIGN,
            EscalationType::Hierarchical => TICKET_UPDATE,
        };
        self.require_on(tx.ctx(), &edit, permission, &[])?;
        let team = escalating_team(&edit.before)?;
        match command.kind {
            EscalationType::Functional => self.hand_on_in(tx, &mut edit, &team, command).await?,
            EscalationType::Hierarchical => self.bring_up_in(tx, &mut edit, &team, command).await?,
        }
        tx.answers_with(edit.reference());
        Ok(edit.after)
    }

    /// To the next level of support: an assignment like any other, told as such, and besides as what it is.
    async fn hand_on_in(&self, tx: &mut Tx, edit: &mut Edit, from: &Row, command: &EscalateIncident) -> Result<()> {
        let next = match &command.team {
            Some(team) => team.clone(),
            None => next_level(from)?,
        };
        let to = self.tickets().team_in(tx, &next, "team").await?;
        if to.id() == from.id() {
            let message = format!("the team `{}` has the incident already: name another `team`", from.text("slug"));
            return Err(UserError::constraint(["team"], message, "sameTeam", None).into());
        }
        let level = raise(edit, FUNCTIONAL_LEVEL);
        let assignment = AssignTicket {
            ticket: command.incident.clone(),
            team: Patch::Set(next),
            assignee: Patch::Keep,
            expected_version: None,
        };
        self.tickets().assign_in(tx, edit, &assignment).await?;
        let payload = told(command, level, Some(from.id()), to.id());
        let mut event = edit.event(self.tickets().access(), events::ESCALATED, payload);
        event.changes.clear();
        tx.emit(NewEvent { audience: Audience::Internal, ..event });
        Ok(())
    }

    /// To the next manager above whom it has reached.
    async fn bring_up_in(&self, tx: &mut Tx, edit: &mut Edit, team: &Row, command: &EscalateIncident) -> Result<()> {
        let reached = edit.before.get(ESCALATED_TO).as_id();
        let slug = team.text("slug");
        let refused = |message: String, constraint| UserError::constraint(["type"], message, constraint, None);
        let to = match self.tickets().access().next_manager_in(tx, team.id(), reached).await? {
            NextManager::User(user) => user,
            NextManager::None => {
                let message = format!("the team `{slug}` has no manager: `teamUpdate` names its `manager`");
                return Err(refused(message, "manager").into());
            }
            NextManager::End => {
                let message = format!(
                    "the line of managers of the team `{slug}` is at its end: nobody active stands above whom the incident has \
                     reached; `userUpdate` names the `manager` of a user"
                );
                return Err(refused(message, "lineOfManagers").into());
            }
        };
        let level = raise(edit, HIERARCHICAL_LEVEL);
        edit.set(ESCALATED_TO, to);
        edit.authorise_fields(tx.ctx(), self.tickets().access())?;
        let payload = told(command, level, reached, to);
        edit.save_internally_in(tx, self.tickets().access(), events::ESCALATED, payload).await?;
        self.tickets().add_watcher_in(tx, edit, to, "id").await
    }
}

/// The team that has the incident, if it can be escalated.
fn escalating_team(incident: &Row) -> Result<Row> {
    let refused = |message: &str, constraint| UserError::constraint(["id"], message, constraint, None).into();
    if StateCategory::parse(&incident.text("stateCategory")).is_none_or(StateCategory::is_done) {
        let message = "only an open incident is escalated; one that was resolved can be reopened";
        return Err(refused(message, "state"));
    }
    let none = "no team has the incident, so there is no next level: `ticketAssign` gives it to one";
    incident.relation("team").cloned().ok_or_else(|| refused(none, "team"))
}

/// The team that a team escalates to.
fn next_level(team: &Row) -> Result<TeamRef> {
    match team.get("escalationTeam").as_id() {
        Some(next) => Ok(TeamRef::Id(Id::new(prefix::TEAM, next))),
        None => {
            let message = format!(
                "the team `{}` has no team of the next level: name a `team`, or have `teamUpdate` name its `escalationTeam`",
                team.text("slug")
            );
            Err(UserError::constraint(["team"], message, "escalationTeam", None).into())
        }
    }
}

/// Raises a level by one; answers it.
fn raise(edit: &mut Edit, field: &'static str) -> i32 {
    let level = i32::try_from(edit.before.int(field)).unwrap_or(i32::MAX).saturating_add(1);
    edit.set(field, level);
    level
}

fn told(command: &EscalateIncident, level: i32, from: Option<kernel::Uuid>, to: kernel::Uuid) -> Json {
    json!({
        "type": command.kind.as_str(),
        "level": level,
        "from": from.map(|from| from.to_string()),
        "to": to.to_string(),
        "reason": command.reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::INCIDENT;
    use predicate::Value;

    fn incident(category: &str, team: Option<Row>) -> Row {
        let mut row = Row::new(&INCIDENT, vec![("stateCategory", category.into())]);
        row.set_relation("team", team);
        row
    }

    fn team(next: Value) -> Row {
        Row::new(&access::TEAM, vec![("slug", "network".into()), ("escalationTeam", next)])
    }

    #[test]
    fn only_an_open_incident_that_a_team_has_is_escalated() {
        for (category, has_team, constraint) in [
            ("ACTIVE", true, None),
            ("WAITING", true, None),
            ("ACTIVE", false, Some("ticketAssign")),
            ("RESOLVED", true, Some("reopened")),
            ("CLOSED", true, Some("reopened")),
            ("CANCELED", true, Some("reopened")),
        ] {
            let found = escalating_team(&incident(category, has_team.then(|| team(Value::Null))));
            match constraint {
                None => assert!(found.is_ok(), "{category}"),
                Some(hint) => assert!(found.unwrap_err().to_string().contains(hint), "{category}"),
            }
        }
    }

    #[test]
    fn a_team_without_a_next_level_is_named_with_what_to_do() {
        let message = next_level(&team(Value::Null)).unwrap_err().to_string();
        assert!(message.contains("`network`") && message.contains("`teamUpdate`"), "{message}");
        let next = kernel::Uuid::from_u128(7);
        assert_eq!(next_level(&team(next.into())).unwrap(), TeamRef::Id(Id::new(prefix::TEAM, next)));
    }
}
