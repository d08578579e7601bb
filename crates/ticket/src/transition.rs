//! Moving a ticket through its workflow: what is possible, what it needs, and what follows.

use std::collections::BTreeSet;

use access::permission;
use kernel::error::{Problems, RefusedTransition};
use kernel::{ActorKind, Ctx, Error, Result, Timestamp, UserError};
use predicate::{Policy, Rule, Value, ViewerValues, evaluate, resolve};
use serde_json::{Map, Value as Json, json};
use store::query::Row;
use store::{ConnectionTrait, Tx};

use crate::commands::{TransitionTicket, parse_time};
use crate::custom_field::{self, Definitions, SetCustomField};
use crate::edit::Edit;
use crate::error::transition_refused;
use crate::kind::KindRules;
use crate::merge::merged;
use crate::model::{CommentVisibility, MAX_TAGS, StateCategory, TicketKind, WaitingReason};
use crate::service::{Outcome, Tickets};
use crate::timer;
use crate::workflow::{Effect, EffectField, Transition, Workflow};

/// A transition that leaves from the ticket's state, for one viewer.
#[derive(Clone, Debug, PartialEq)]
pub struct AvailableTransition {
    /// Its key.
    pub key: String,
    /// Its name for people.
    pub name: String,
    /// The key of the state that it leads to.
    pub to: String,
    /// Whether this viewer may take it.
    pub allowed: bool,
    /// Why not.
    pub reasons: Vec<String>,
    /// JSON Schema of its inputs.
    pub input_schema: Json,
}

impl Tickets {
    /// The transitions that leave from the ticket's state, with what each needs and, if it is refused, why.
    ///
    /// # Errors
    /// `INTERNAL` for a ticket of an unknown kind.
    pub async fn available_transitions(&self, ctx: &Ctx, row: &Row) -> Result<Vec<AvailableTransition>> {
        let rules = self.kinds().of(row)?;
        let reader = self.store().read("workflow.find");
        let workflow = self.workflow_of(&reader, ctx, rules.as_ref(), row).await?;
        let mut found = self.transitions_of(ctx, rules.as_ref(), &workflow, row);
        let definitions = self.custom_fields(&reader, ctx).await?;
        let works_on_it = Policy::When(Rule::Permission(permission::TICKET_INTERNAL));
        let is_agent = self.access().allows(ctx, rules.record(), &works_on_it, row);
        for transition in &mut found {
            ask_for_custom_fields(transition, &definitions, (rules.kind(), row), is_agent);
        }
        Ok(found)
    }

    fn transitions_of(
        &self,
        ctx: &Ctx,
        rules: &dyn KindRules,
        workflow: &Workflow,
        row: &Row,
    ) -> Vec<AvailableTransition> {
        let state = row.text("state");
        let blocked = row.texts("blockedTransitions");
        workflow
            .leaving(&state)
            .map(|transition| {
                let mut reasons = self.refusals(ctx, rules, workflow, transition, row);
                if blocked.contains(&transition.key) {
                    reasons.push(format!("`{}` waits for an approval", transition.key));
                }
                AvailableTransition {
                    key: transition.key.clone(),
                    name: transition.name.clone(),
                    to: transition.to.clone(),
                    allowed: reasons.is_empty(),
                    reasons,
                    input_schema: input_schema(rules, workflow, transition),
                }
            })
            .collect()
    }

    /// Why the viewer may not take the transition, inputs apart; empty when they may.
    fn refusals(
        &self,
        ctx: &Ctx,
        rules: &dyn KindRules,
        workflow: &Workflow,
        transition: &Transition,
        row: &Row,
    ) -> Vec<String> {
        if !row.get("mergedInto").is_null() {
            return vec![merged(None)];
        }
        let mut reasons = Vec::new();
        let state = row.text("state");
        if !transition.from.contains(&state) {
            reasons.push(format!("`{}` does not leave from the state `{state}`", transition.key));
        }
        let held = permission::find(&transition.permission).is_some_and(|permission| {
            let policy = Policy::When(Rule::Permission(permission.name));
            self.access().allows(ctx, rules.record(), &policy, row)
        });
        if !held {
            reasons.push(format!("this needs the permission `{}` on the ticket", transition.permission));
        }
        let values = ViewerValues { viewer: ctx.actor.id, teams: &ctx.grants.teams, now: ctx.now() };
        let unmet = transition.guards.iter().filter(|guard| !evaluate(&resolve(guard.predicate.clone(), &values), row));
        reasons.extend(unmet.map(|guard| guard.reason.clone()));
        reasons.extend(too_late(workflow, transition, row, ctx.now()));
        reasons.extend(rules.refusals(transition, workflow.category(&transition.to), row));
        reasons
    }

    /// Takes a transition.
    ///
    /// # Errors
    /// `NOT_FOUND`, `CONFLICT`, `TRANSITION_REFUSED`; `VALIDATION` for inputs that are missing, wrong or unknown.
    pub async fn transition(&self, ctx: &Ctx, command: TransitionTicket) -> Result<Outcome> {
        self.transition_as(ctx, "ticketTransition", command).await
    }

    /// Takes a transition under the name of another mutation, such as `incidentResolve`.
    ///
    /// # Errors
    /// As [`Tickets::transition`].
    pub async fn transition_as(&self, ctx: &Ctx, name: &'static str, command: TransitionTicket) -> Result<Outcome> {
        command.check()?;
        let tickets = self.clone();
        self.write(ctx, name, move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move { Ok(tickets.take_transition_in(tx, command).await?.after) })
        })
        .await
    }

    /// Takes a transition, with all that the command says, inside a write that answers with the ticket.
    ///
    /// # Errors
    /// As [`Tickets::transition`].
    pub(crate) async fn take_transition_in(&self, tx: &mut Tx, command: TransitionTicket) -> Result<Edit> {
        let mut edit = self.edit_in(tx, &command.ticket, "id").await?;
        edit.expect_version(command.expected_version)?;
        let (key, inputs) = (command.transition.as_str(), command.inputs);
        let of_children = command.resolve_children.then(|| inputs.clone());
        self.transition_in(tx, &mut edit, key, inputs).await?;
        if let Some(inputs) = of_children {
            self.resolve_children_in(tx, &edit, key, &inputs).await?;
        }
        if let Some(body) = &command.comment {
            edit.proceed();
            self.comment_in(tx, &mut edit, body, CommentVisibility::Public).await?;
        }
        tx.answers_with(edit.reference());
        Ok(edit)
    }

    /// Takes a transition inside a write.
    ///
    /// # Errors
    /// As [`Tickets::transition`].
    pub async fn transition_in(
        &self,
        tx: &mut Tx,
        edit: &mut Edit,
        key: &str,
        mut inputs: Map<String, Json>,
    ) -> Result<()> {
        let (rules, workflow) = (edit.rules.clone(), edit.workflow.clone());
        let transition = self.check_allowed(tx.ctx(), rules.as_ref(), &workflow, &edit.before, key)?;
        self.check_not_blocked_in(tx, &edit.before, key).await?;
        let mut problems = Problems::default();
        let custom_fields = take_custom_fields(&mut inputs, &mut problems);
        check_names(transition, &inputs, &mut problems);
        problems.take(self.set_custom_fields_in(tx, edit, &custom_fields, false).await)?;
        self.take_effects_in(tx, edit, transition, &mut inputs).await?;
        if transition.required.iter().chain(&transition.optional).any(|name| name == "team" || name == "assignee") {
            let assigned = self.assign_by_inputs_in(tx, edit, &mut inputs).await;
            problems.take(assigned)?;
        }
        let now = tx.now();
        let from = workflow.category(&edit.before.text("state"));
        apply(transition, &workflow, &mut inputs, &mut edit.after, now, &mut problems);
        rules.apply(&workflow, transition, from, &mut inputs, &mut edit.after, &mut problems);
        // Nobody is there to be asked when the system acts.
        if tx.ctx().actor.kind != ActorKind::System {
            problems.take(self.require_custom_fields_in(tx, edit).await)?;
        }
        problems.check().map_err(|error| error.within("fields"))?;
        let prepared = self.prepare_in(tx, edit, transition).await?;
        let event = rules.transition_event(transition, from, workflow.category(&transition.to));
        let payload = json!({ "transition": transition.key });
        edit.save_in(tx, self.access(), event, payload).await?;
        self.recount_dependents_in(tx, edit).await?;
        self.make_in(tx, edit, key, prepared).await?;
        timer::schedule_in(tx, edit)
    }

    fn check_allowed<'w>(
        &self,
        ctx: &Ctx,
        rules: &dyn KindRules,
        workflow: &'w Workflow,
        row: &Row,
        key: &str,
    ) -> Result<&'w Transition> {
        let state = row.text("state");
        let found = workflow.transition(key);
        let reasons = match found {
            Some(transition) => self.refusals(ctx, rules, workflow, transition, row),
            None => vec![format!("the workflow `{}` has no transition `{key}`", workflow.key)],
        };
        match found {
            Some(transition) if reasons.is_empty() => Ok(transition),
            _ => {
                let open = self.transitions_of(ctx, rules, workflow, row);
                let available = open.into_iter().filter(|found| found.allowed).map(|found| found.key).collect();
                let to = found.map(|transition| transition.to.clone());
                Err(transition_refused(RefusedTransition { from: state, to, available, reasons }).into())
            }
        }
    }

    async fn assign_by_inputs_in(&self, tx: &mut Tx, edit: &mut Edit, inputs: &mut Map<String, Json>) -> Result<()> {
        let ctx = tx.ctx().clone();
        if let Some(team) = inputs.remove("team").filter(|json| !json.is_null()) {
            let reference = access::TeamRef::from_json(&team, "team")?;
            let team = self.team_in(tx, &reference, "team").await?;
            edit.set_reference("team", Some(team));
        }
        let assignee = inputs.remove("assignee").filter(|json| !json.is_null());
        if assignee.is_none() {
            self.drop_assignee_of_other_team_in(tx, edit).await?;
        }
        if let Some(assignee) = assignee {
            let reference = access::UserRef::from_json(&assignee, "assignee")?;
            let user = self.user_in(tx, &reference, "assignee").await?;
            self.check_member_in(tx, &edit.after, &user).await?;
            edit.set_reference("assignee", Some(user));
        }
        edit.authorise_fields(&ctx, self.access())?;
        edit.authorise_state_after(&ctx, self.access())?;
        crate::assignment::count_reassignment(edit);
        Ok(())
    }

    /// What a transition does besides: fields that its effects set, and the inputs that any ticket takes.
    pub(crate) async fn take_effects_in(
        &self,
        tx: &mut Tx,
        edit: &mut Edit,
        transition: &Transition,
        inputs: &mut Map<String, Json>,
    ) -> Result<()> {
        if let Some(key) = inputs.remove("category").filter(|json| !json.is_null()) {
            let key = key.as_str().unwrap_or_default().to_owned();
            let category = self.usable_category_in(tx, &key).await.map_err(|error| error.within("fields"))?;
            edit.set_reference("category", Some(category));
        }
        let ctx = tx.ctx().clone();
        for effect in &transition.effects {
            let target = self.effect_target_in(tx, &ctx, effect).await?;
            match effect {
                Effect::SetWaitingReason { reason } => {
                    inputs.entry("waitingReason").or_insert_with(|| reason.as_str().into());
                }
                Effect::SetField { field, value } => {
                    self.set_by_effect_in(tx, edit, *field, value.as_deref(), target).await?
                }
                // These make records of their own, once the transition is written.
                Effect::StartApproval(_) | Effect::CreateTasks(_) => {}
            }
        }
        Ok(())
    }

    /// The record that an effect puts on the ticket.
    ///
    /// # Errors
    /// `NOT_FOUND` or `VALIDATION` when it is not there (any more).
    pub(crate) async fn effect_target_in(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        effect: &Effect,
    ) -> Result<Option<Row>> {
        let Effect::SetField { field, value: Some(value) } = effect else { return Ok(None) };
        match field {
            EffectField::Team => {
                let reference = access::TeamRef::Slug(value.clone());
                self.access()
                    .team_with(connection, ctx, &reference)
                    .await
                    .map(Some)
                    .map_err(|error| error.within("value"))
            }
            EffectField::Category => self.usable_category(connection, ctx, value).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn set_by_effect_in(
        &self,
        tx: &mut Tx,
        edit: &mut Edit,
        field: EffectField,
        value: Option<&str>,
        target: Option<Row>,
    ) -> Result<()> {
        match field {
            EffectField::Team => {
                edit.set_reference("team", target);
                self.drop_assignee_of_other_team_in(tx, edit).await?;
                crate::assignment::count_reassignment(edit);
            }
            EffectField::Assignee => edit.set_reference("assignee", None),
            EffectField::Category => edit.set_reference("category", target),
            EffectField::Impact | EffectField::Urgency => {
                let name = if field == EffectField::Impact { "impact" } else { "urgency" };
                edit.set(name, value);
                self.follow_matrix_in(tx, edit).await?;
            }
            EffectField::Tag => {
                let mut tags = edit.after.texts("tags");
                let tag = value.unwrap_or_default().trim().to_owned();
                if !tags.contains(&tag) && tags.len() < MAX_TAGS {
                    tags.push(tag);
                }
                edit.set("tags", Value::TextList(tags));
            }
        }
        Ok(())
    }

    /// Puts a waiting ticket back to work, as the system does it: whoever caused it needs no right to the transition.
    ///
    /// # Errors
    /// `INTERNAL` for a workflow that has no way back to work; a lost race is run again.
    pub async fn resume_in(&self, tx: &mut Tx, edit: &mut Edit) -> Result<()> {
        let (rules, workflow) = (edit.rules.clone(), edit.workflow.clone());
        let state = edit.after.text("state");
        let Some(transition) = edit.way_back().and_then(|key| workflow.transition(&key)) else {
            return Err(Error::internal(format!("no transition leads from `{state}` back to work")));
        };
        edit.proceed();
        let mut problems = Problems::default();
        apply(transition, &workflow, &mut Map::new(), &mut edit.after, tx.now(), &mut problems);
        problems.check()?;
        let payload = json!({ "transition": transition.key });
        let event = rules.transition_event(transition, workflow.category(&state), StateCategory::Active);
        edit.save_in(tx, self.access(), event, payload).await?;
        Ok(())
    }
}

impl Edit {
    /// The key of the transition by which the system puts the ticket back to work; `None` where its workflow has none.
    pub fn way_back(&self) -> Option<String> {
        let to_work = |found: &&Transition| {
            self.workflow.category(&found.to) == StateCategory::Active && found.required.is_empty()
        };
        let state = self.after.text("state");
        let found = self.workflow.leaving(&state).find(to_work);
        found.map(|transition| transition.key.clone())
    }
}

/// The input that every transition takes: values of custom fields by their keys.
const CUSTOM_FIELDS: &str = custom_field::DOCUMENT;

/// Takes the values of custom fields out of the inputs.
fn take_custom_fields(inputs: &mut Map<String, Json>, problems: &mut Problems) -> Vec<SetCustomField> {
    match inputs.remove(CUSTOM_FIELDS) {
        None | Some(Json::Null) => Vec::new(),
        Some(Json::Object(values)) => custom_field::from_json(values),
        Some(_) => {
            let message = "`customFields` is an object of values by keys, such as `{ \"costCenter\": \"4711\" }`";
            problems.add(UserError::constraint([CUSTOM_FIELDS], message, "type", None));
            Vec::new()
        }
    }
}

/// Adds the custom fields to the schema of a transition's inputs.
fn ask_for_custom_fields(
    found: &mut AvailableTransition,
    definitions: &Definitions,
    (kind, row): (TicketKind, &Row),
    is_agent: bool,
) {
    let Some(schema) = custom_field::input_schema(definitions, kind, &found.to, row, is_agent) else { return };
    let needed = schema["required"].as_array().is_some_and(|required| !required.is_empty());
    found.input_schema["properties"][CUSTOM_FIELDS] = schema;
    if needed && let Some(required) = found.input_schema["required"].as_array_mut() {
        required.push(CUSTOM_FIELDS.into());
    }
}

/// Refuses inputs that the transition does not take, and names those that are missing.
fn check_names(transition: &Transition, inputs: &Map<String, Json>, problems: &mut Problems) {
    let known: BTreeSet<&str> = transition.required.iter().chain(&transition.optional).map(String::as_str).collect();
    for name in inputs.keys().filter(|name| !known.contains(name.as_str())) {
        let list = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let message = format!("`{}` takes no `{name}`; it takes: {list}", transition.key);
        problems.add(UserError::constraint([name], message, "unknownField", None));
    }
    for name in transition.required.iter().filter(|name| inputs.get(*name).is_none_or(Json::is_null)) {
        let message = format!("`{}` needs `{name}`", transition.key);
        problems.add(UserError::constraint([name], message, "required", None));
    }
}

/// Why a resolved ticket cannot be reopened any more.
fn too_late(workflow: &Workflow, transition: &Transition, row: &Row, now: Timestamp) -> Option<String> {
    let window = workflow.reopened_within().ok().flatten()?;
    let resolved = row.get("resolvedAt").as_time()?;
    let reopens = !workflow.category(&transition.to).is_done() && workflow.category(&row.text("state")).is_done();
    let text = workflow.reopen_window.as_deref().unwrap_or_default();
    (reopens && now > resolved + window)
        .then(|| format!("it was resolved more than `{text}` ago: open another one, and link the two"))
}

/// What a transition changes on a ticket of any kind.
fn apply(
    transition: &Transition,
    workflow: &Workflow,
    inputs: &mut Map<String, Json>,
    row: &mut Row,
    now: Timestamp,
    problems: &mut Problems,
) {
    let from = workflow.category(&row.text("state"));
    let to = workflow.category(&transition.to);
    row.set("state", transition.to.as_str().into());
    row.set("stateCategory", to.as_str().into());
    let (reason, until) = match to {
        StateCategory::Waiting => waiting(inputs, now, problems),
        _ => (Value::Null, Value::Null),
    };
    row.set("waitingReason", reason);
    row.set("waitingUntil", until);
    record_outcome(row, from, to, now);
}

/// Notes when a ticket was taken up, resolved and closed, and that it was reopened.
pub(crate) fn record_outcome(row: &mut Row, from: StateCategory, to: StateCategory, at: Timestamp) {
    // Whoever gives it up has not taken it up.
    if !matches!(to, StateCategory::New | StateCategory::Canceled) && row.get("acknowledgedAt").is_null() {
        row.set("acknowledgedAt", at.into());
    }
    match to {
        _ if from == to => {}
        StateCategory::Resolved => {
            row.set("resolvedAt", at.into());
            row.set("closedAt", Value::Null);
        }
        StateCategory::Closed | StateCategory::Canceled => row.set("closedAt", at.into()),
        _ if from.is_done() => {
            row.set("resolvedAt", Value::Null);
            row.set("closedAt", Value::Null);
            let count = i32::try_from(row.int("reopenCount")).unwrap_or(i32::MAX).saturating_add(1);
            row.set("reopenCount", count.into());
        }
        _ => {}
    }
}

/// Reads the inputs of a transition into a waiting state.
fn waiting(inputs: &mut Map<String, Json>, now: Timestamp, problems: &mut Problems) -> (Value, Value) {
    let reason = inputs.remove("waitingReason").filter(|json| !json.is_null());
    let until = inputs.remove("waitingUntil").filter(|json| !json.is_null());
    let parsed = reason.as_ref().and_then(Json::as_str).and_then(WaitingReason::parse);
    if reason.is_some() && parsed.is_none() {
        let message = format!("`waitingReason` is one of {}", WaitingReason::NAMES.join(", "));
        problems.add(UserError::constraint(["waitingReason"], message, "enum", None));
    }
    let time = until.as_ref().and_then(Json::as_str).and_then(parse_time);
    let scheduled = parsed == Some(WaitingReason::Schedule);
    let complaint = match (&until, time) {
        (Some(_), None) => Some("`waitingUntil` is no instant in RFC 3339, such as `2026-03-01T09:00:00Z`"),
        (Some(_), Some(time)) if time <= now => Some("`waitingUntil` is in the past"),
        (None, _) if scheduled => Some("`SCHEDULE` needs `waitingUntil`"),
        (Some(_), _) if !scheduled => Some("`waitingUntil` goes with `SCHEDULE` only"),
        _ => None,
    };
    if let Some(message) = complaint {
        problems.add(UserError::constraint(["waitingUntil"], message, "waitingUntil", None));
    }
    (parsed.map(WaitingReason::as_str).into(), time.into())
}

/// JSON Schema (2020-12) of a transition's inputs.
fn input_schema(rules: &dyn KindRules, workflow: &Workflow, transition: &Transition) -> Json {
    let names = transition.required.iter().chain(&transition.optional);
    let properties: Map<String, Json> = names
        .filter_map(|name| Some((name.clone(), shared_schema(name).or_else(|| rules.input_schema(workflow, name))?)))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": transition.required,
        "additionalProperties": false,
    })
}

/// JSON Schema of an input that transitions of any kind take; `None` for another.
pub(crate) fn shared_schema(name: &str) -> Option<Json> {
    Some(match name {
        "waitingReason" => json!({ "enum": WaitingReason::NAMES, "title": "Waiting for" }),
        "waitingUntil" => json!({ "type": "string", "format": "date-time", "title": "Wake up at" }),
        "category" => json!({ "type": "string", "title": "Category" }),
        "team" => json!({
            "type": "object", "title": "Team", "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
            "properties": { "slug": { "type": "string" }, "id": { "type": "string" } },
        }),
        "assignee" => json!({
            "type": "object", "title": "Assignee", "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
            "properties": { "email": { "type": "string" }, "id": { "type": "string" } },
        }),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(json: Json) -> (Value, Value, bool) {
        let mut inputs = json.as_object().cloned().unwrap();
        let mut problems = Problems::default();
        let now = parse_time("2026-03-01T09:00:00Z").unwrap();
        let (reason, until) = waiting(&mut inputs, now, &mut problems);
        (reason, until, problems.is_empty())
    }

    #[test]
    fn a_schedule_needs_an_instant_ahead() {
        assert!(wait(json!({"waitingReason": "SCHEDULE", "waitingUntil": "2026-03-02T09:00:00+01:00"})).2);
        for wrong in [
            json!({"waitingReason": "SCHEDULE"}),
            json!({"waitingReason": "SCHEDULE", "waitingUntil": "2026-02-28T09:00:00Z"}),
            json!({"waitingReason": "SCHEDULE", "waitingUntil": "tomorrow"}),
            json!({"waitingReason": "VENDOR", "waitingUntil": "2026-03-02T09:00:00Z"}),
            json!({"waitingReason": "WEATHER"}),
        ] {
            assert!(!wait(wrong.clone()).2, "{wrong}");
        }
    }
}
