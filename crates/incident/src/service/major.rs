//! Deciding on major incidents, and who leads them.

use access::permission::{INCIDENT_MANAGE_MAJOR, TICKET_INTERNAL};
use kernel::error::Problems;
use kernel::{ActorKind, Ctx, Patch, Result, UserError, Uuid};
use predicate::{Predicate, RecordType, Value};
use serde_json::Value as Json;
use store::Tx;
use store::query::{self, Row};
use ticket::{Edit, Outcome, TicketKind, TicketRef, timer};

use super::Incidents;
use super::status_updates::STATUS_UPDATE_DUE;
use crate::commands::{ChangeMajor, MajorDraft};
use crate::events;
use crate::major::{self, MajorState, Step};

impl Incidents {
    /// Decides on a major incident, or changes who leads it, what it means, and how often it is told of.
    ///
    /// # Errors
    /// `NOT_FOUND` at `incident`; `FORBIDDEN` without `incident.manageMajor`, to propose without `ticket.internal`; `VALIDATION` for
    /// what does not go from where the incident stands, and without business impact; `CONFLICT` with the current version.
    pub async fn change_major(&self, ctx: &Ctx, name: &'static str, command: ChangeMajor) -> Result<Outcome> {
        let incidents = self.clone();
        self.tickets()
            .write(ctx, name, move |tx| {
                let (incidents, command) = (incidents.clone(), command.clone());
                Box::pin(async move { incidents.change_major_in(tx, &command).await })
            })
            .await
    }

    async fn change_major_in(&self, tx: &mut Tx, command: &ChangeMajor) -> Result<Row> {
        let mut edit = self.incident_edit_in(tx, &command.incident).await?;
        edit.expect_version(command.expected_version)?;
        let permission = if command.step.needs_manager() { INCIDENT_MANAGE_MAJOR } else { TICKET_INTERNAL };
        self.require_on(tx.ctx(), &edit, permission, &[])?;
        let state = major::after(&command.step, &edit.before)?;
        let mut problems = Problems::default();
        self.set_major_draft_in(tx, &mut edit, &command.draft, &mut problems).await?;
        let before = major::state_of(&edit.before);
        if Some(state) != before {
            self.set_major_state_in(tx, &mut edit, state, &command.step, &command.draft, &mut problems).await?;
        }
        let cadence = edit.before.get("updateCadence") != edit.after.get("updateCadence");
        if cadence || before != Some(state) {
            edit.set("nextUpdateDueAt", major::next_update(&edit.after, tx.now()));
        }
        major::check(&mut problems, &edit.after);
        problems.check()?;
        edit.save_in(tx, self.tickets().access(), event_of(before, state), Json::Null).await?;
        if let Some(due) = edit.after.get("nextUpdateDueAt").as_time() {
            tx.enqueue(timer::job(tx.ctx(), STATUS_UPDATE_DUE, &edit.after, due));
        }
        tx.answers_with(edit.reference());
        Ok(edit.after)
    }

    async fn set_major_draft_in(
        &self,
        tx: &mut Tx,
        edit: &mut Edit,
        draft: &MajorDraft,
        problems: &mut Problems,
    ) -> Result<()> {
        if let Some(impact) = &draft.business_impact {
            edit.set("businessImpact", impact.as_str());
        }
        let people = [
            ("commander", &draft.commander),
            ("communicationsLead", &draft.communications_lead),
            ("scribe", &draft.scribe),
        ];
        for (field, person) in people {
            match person {
                Patch::Keep => {}
                Patch::Clear => edit.set(field, Value::Null),
                Patch::Set(reference) => {
                    if let Some(user) = problems.take(self.tickets().user_in(tx, reference, field).await)? {
                        edit.set(field, user.id());
                    }
                }
            }
        }
        match draft.update_cadence {
            Patch::Keep => {}
            Patch::Clear => edit.set("updateCadence", Value::Null),
            Patch::Set(cadence) => edit.set("updateCadence", Value::Int(cadence)),
        }
        Ok(())
    }

    async fn set_major_state_in(
        &self,
        tx: &mut Tx,
        edit: &mut Edit,
        state: MajorState,
        step: &Step,
        draft: &MajorDraft,
        problems: &mut Problems,
    ) -> Result<()> {
        edit.set("majorIncidentState", state.as_str());
        edit.set("majorReason", Value::Null);
        edit.set("majorDecidedAt", tx.now());
        match state {
            MajorState::Proposed => edit.set("majorDecidedAt", Value::Null),
            MajorState::Rejected => {
                let Step::Reject(reason) = step else { return Ok(()) };
                ticket::commands::check_body(problems, "reason", reason);
                edit.set("majorReason", reason.as_str());
            }
            MajorState::Accepted => {
                let settings = self.major_settings_in(tx).await?;
                edit.set("reviewRequired", settings.get("reviewRequired").clone());
                // What is urgent for everybody waits for nobody.
                edit.set(ticket::fields::PAUSABLE, false);
                if draft.update_cadence.is_keep() && edit.after.get("updateCadence").is_null() {
                    edit.set("updateCadence", settings.get("updateCadence").clone());
                }
                let actor = tx.ctx().actor;
                if edit.after.get("commander").is_null() && actor.kind == ActorKind::User {
                    edit.set("commander", actor.id);
                }
            }
        }
        Ok(())
    }

    /// The incident that a write is about.
    pub(super) async fn incident_edit_in(&self, tx: &mut Tx, reference: &TicketRef) -> Result<Edit> {
        let edit = self.tickets().edit_in(tx, reference, "incident").await?;
        match edit.rules.kind() {
            TicketKind::Incident => Ok(edit),
            _ => Err(UserError::not_found(["incident"], "the incident").into()),
        }
    }

    /// The major incident that a write is about.
    pub(super) async fn accepted_edit_in(&self, tx: &mut Tx, reference: &TicketRef) -> Result<Edit> {
        let edit = self.incident_edit_in(tx, reference).await?;
        if major::is_accepted(&edit.before) {
            return Ok(edit);
        }
        let message = "it is no major incident: `majorIncidentAccept` and `majorIncidentDeclare` make it one";
        Err(UserError::constraint(["incident"], message, "majorIncidentState", None).into())
    }

    /// Refuses those who neither hold the permission on the incident nor have one of these parts in it.
    pub(super) fn require_on(&self, ctx: &Ctx, edit: &Edit, permission: &'static str, parts: &[&str]) -> Result<()> {
        match parts.iter().any(|part| edit.before.get(part).as_id() == Some(ctx.actor.id)) {
            true => Ok(()),
            false => self.tickets().require_on(ctx, edit, permission),
        }
    }

    /// Refuses one more record of an incident that is held than it may have.
    pub(super) async fn check_room_in(
        &self,
        tx: &Tx,
        record: &'static RecordType,
        incident: Uuid,
        most: usize,
    ) -> Result<()> {
        let access = self.tickets().access();
        let system = access.system_ctx(tx.ctx().tenant, &tx.ctx().request_id);
        let everything = access::visibility::unmasked(&access.visible(&system));
        let of_incident = Predicate::eq("incident", incident);
        let there = query::count(tx, &access.scoped(&system, &everything), record, &of_incident).await?.total;
        if there >= most as u64 {
            let message = format!("the incident has {there} already; at most {most} are allowed");
            return Err(UserError::limit(["incident"], message, most as u64).into());
        }
        Ok(())
    }
}

fn event_of(before: Option<MajorState>, state: MajorState) -> &'static str {
    match state {
        _ if before == Some(state) => events::MAJOR_UPDATED,
        MajorState::Proposed => events::MAJOR_PROPOSED,
        MajorState::Accepted => events::MAJOR_ACCEPTED,
        MajorState::Rejected => events::MAJOR_REJECTED,
    }
}
