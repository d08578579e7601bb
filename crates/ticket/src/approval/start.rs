//! Asking for approval.

use access::permission::APPROVAL_START;
use kernel::error::Problems;
use kernel::{ActorKind, Ctx, Id, Result, UserError, Uuid, id};
use predicate::{Field, Policy, Predicate, RecordType, Value};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use store::query::Row;
use store::{NewJob, RecordRef, Tx, Written};

use super::fields::{APPROVAL, APPROVAL_STEP};
use super::read::own;
use super::rules::{Decision, Seat, Vote, decide};
use super::step::Progress;
use super::{
    ApprovalOutcome, ApprovalPolicy, ApprovalRecord, ApprovalState, DEFAULT_BOUND_FIELDS, EXPIRE, MAX_APPROVALS,
    MAX_APPROVERS, MAX_BLOCKS, MAX_BOUND_FIELDS, MAX_ENTRIES, MAX_NAME, MAX_STEPS, StartApproval, StepInput,
    StepPolicy, StepState,
};
use crate::commands::check_text;
use crate::custom_field::{self, Audience, Definitions};
use crate::edit::Edit;
use crate::events;
use crate::service::Tickets;
use crate::workflow::Workflow;

impl Tickets {
    /// Asks for approval of a ticket.
    ///
    /// # Errors
    /// `NOT_FOUND`, `CONFLICT`; `FORBIDDEN` without `approval.start` on the ticket; `VALIDATION`, `LIMIT`.
    pub async fn start_approval(&self, ctx: &Ctx, command: StartApproval) -> Result<ApprovalOutcome> {
        check_request(&command.name, &command.steps, &command.blocks, command.bound_fields.as_deref())?;
        let tickets = self.clone();
        let written = self.store().write(ctx, "approvalStart", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move {
                let mut edit = tickets.edit_in(tx, &command.ticket, "id").await?;
                edit.expect_version(command.expected_version)?;
                tickets.require_on(tx.ctx(), &edit, APPROVAL_START)?;
                let mut steps = Vec::with_capacity(command.steps.len());
                for (index, step) in command.steps.iter().enumerate() {
                    let at = |error: kernel::Error| error.within(&index.to_string()).within("steps");
                    steps.push(tickets.step_policy(&*tx, tx.ctx(), step).await.map_err(at)?);
                }
                let policy = ApprovalPolicy {
                    name: command.name.trim().to_owned(),
                    steps,
                    self_approval: command.self_approval,
                    bound_fields: command.bound_fields.clone().unwrap_or_default(),
                    blocks: command.blocks.clone(),
                    expires_at: command.expires_at,
                };
                let record = tickets.start_approval_in(tx, &mut edit, &policy).await?;
                tx.answers_with(reference(&record.row));
                Ok(record)
            })
        });
        self.approval_outcome(ctx, written.await?).await
    }

    /// Asks for approval inside a write, for whoever acts there: no permission is asked for. The ticket's version rises, so
    /// that whoever changes it at the same time meets the approval.
    ///
    /// # Errors
    /// `VALIDATION`, `LIMIT`.
    pub async fn start_approval_in(
        &self,
        tx: &mut Tx,
        edit: &mut Edit,
        policy: &ApprovalPolicy,
    ) -> Result<ApprovalRecord> {
        self.check_approval_in(tx, edit, policy, 0).await?;
        self.begin_approval_in(tx, edit, policy, None).await
    }

    /// All that an approval can be refused for, while `more` others are about to be asked for on the same ticket.
    ///
    /// # Errors
    /// As [`Tickets::start_approval_in`].
    pub(crate) async fn check_approval_in(
        &self,
        tx: &mut Tx,
        edit: &Edit,
        policy: &ApprovalPolicy,
        more: usize,
    ) -> Result<()> {
        let definitions = self.custom_fields(&*tx, &tx.ctx().clone()).await?;
        bound_fields(edit.rules.record(), &definitions, &policy.bound_fields)?;
        check_blocks(&edit.workflow, &policy.blocks)?;
        if policy.expires_at.is_some_and(|expires| expires <= tx.now()) {
            let message = "`expiresAt` is in the past";
            return Err(UserError::constraint(["expiresAt"], message, "future", None).into());
        }
        let of_ticket = Predicate::eq("ticket", edit.after.id());
        let limit = MAX_APPROVALS as u64;
        if own(self.access(), tx, &APPROVAL, &of_ticket, limit).await?.len() + more >= MAX_APPROVALS {
            let message = format!("the ticket has {MAX_APPROVALS} approvals; that is the limit");
            return Err(UserError::limit(["id"], message, limit).into());
        }
        let barred = barred(tx.ctx(), &edit.after, policy.self_approval);
        self.check_first_step_in(tx, &edit.after, policy, &barred).await
    }

    /// Asks for an approval that was checked; `by` is the transition whose effect it is.
    pub(crate) async fn begin_approval_in(
        &self,
        tx: &mut Tx,
        edit: &mut Edit,
        policy: &ApprovalPolicy,
        by: Option<&str>,
    ) -> Result<ApprovalRecord> {
        let definitions = self.custom_fields(&*tx, &tx.ctx().clone()).await?;
        let bound = bound_fields(edit.rules.record(), &definitions, &policy.bound_fields)?;
        let barred = barred(tx.ctx(), &edit.after, policy.self_approval);
        let mut progress = Progress::new(new_record(tx, edit, policy, &bound, &barred)?);
        let mut payload = json!({ "approval": progress.id() });
        if let Some(transition) = by {
            payload["transition"] = transition.into();
        }
        progress.tell(events::APPROVAL_STARTED, payload);
        progress.advance_in(self, tx, &edit.after).await?;
        let mut blocked = edit.after.texts("blockedTransitions");
        if progress.is_pending() {
            blocked.extend(policy.blocks.iter().cloned());
        }
        blocked.sort_unstable();
        blocked.dedup();
        edit.set("blockedTransitions", Value::TextList(blocked));
        edit.touch_in(tx).await?;
        progress.save_in(tx, self.access(), edit).await?;
        if let (Some(expires), true) = (policy.expires_at, progress.is_pending()) {
            tx.enqueue(expiry(tx.ctx(), &progress.record.row, expires));
        }
        Ok(progress.record)
    }

    /// Refuses a first step that asks too many, or whose rule those whom it asks cannot fulfil. Later steps are looked at
    /// when they open.
    async fn check_first_step_in(
        &self,
        tx: &mut Tx,
        ticket: &Row,
        policy: &ApprovalPolicy,
        barred: &[Uuid],
    ) -> Result<()> {
        let Some(first) = policy.steps.first() else {
            let message = "an approval has at least one step";
            return Err(UserError::constraint(["steps"], message, "minItems", Some(1)).into());
        };
        let resolved = self.persons_in(tx, ticket, first, barred).await?;
        let path = |field: &str| ["steps".to_owned(), "0".to_owned(), field.to_owned()];
        if resolved.asked.len() > MAX_APPROVERS {
            let message = format!("the step asks more than {MAX_APPROVERS} persons");
            return Err(UserError::limit(path("approvers"), message, MAX_APPROVERS as u64).into());
        }
        let seats =
            resolved.asked.iter().map(|asked| Seat { counts: asked.counts, veto: asked.veto, vote: Vote::Pending });
        let seats: Vec<_> = seats.collect();
        if !resolved.to_administrators && decide(resolved.rule, &seats) == Decision::Refused {
            let voters = seats.iter().filter(|seat| seat.counts).count();
            let message = format!("the step asks {voters} persons whose votes count; its rule needs more");
            return Err(UserError::constraint(path("rule"), message, "reachable", Some(voters as u64)).into());
        }
        Ok(())
    }

    /// What a mutation of an approval answers; a replay reads the approval anew.
    pub(super) async fn approval_outcome(
        &self,
        ctx: &Ctx,
        written: Written<ApprovalRecord>,
    ) -> Result<ApprovalOutcome> {
        let mut events = self.events_of(ctx, &written).await?;
        let approval = match written {
            Written::Fresh { value, .. } => Some(value),
            Written::Replayed { record, .. } => match self.approval(ctx, record.id.uuid).await? {
                Some(row) => {
                    let steps = self.approval_steps_of(ctx, &[row.id()]).await?;
                    let votes = self.approval_votes_of(ctx, &[row.id()]).await?;
                    Some(ApprovalRecord { row, steps, votes })
                }
                None => {
                    // Whoever may no longer see what they did is told nothing of it.
                    events.clear();
                    None
                }
            },
        };
        Ok(ApprovalOutcome { approval, events })
    }
}

/// What a replay of a mutation answers with.
pub(super) fn reference(row: &Row) -> RecordRef {
    let version = i32::try_from(row.int("version")).unwrap_or(i32::MAX);
    RecordRef { id: Id::new(id::prefix::APPROVAL, row.id()), version }
}

/// Those who asked for what is approved: the requester, and whoever starts the approval.
fn barred(ctx: &Ctx, ticket: &Row, self_approval: bool) -> Vec<Uuid> {
    if self_approval {
        return Vec::new();
    }
    let starter = (ctx.actor.kind == ActorKind::User).then_some(ctx.actor.id);
    let mut barred: Vec<_> = ticket.get("requester").as_id().into_iter().chain(starter).collect();
    barred.sort_unstable();
    barred.dedup();
    barred
}

fn new_record(
    tx: &Tx,
    edit: &Edit,
    policy: &ApprovalPolicy,
    bound: &[String],
    barred: &[Uuid],
) -> Result<ApprovalRecord> {
    let (id, ticket) = (tx.new_id(), &edit.after);
    let texts = |texts: &[String]| Value::TextList(texts.to_vec());
    let steps_json = serde_json::to_value(&policy.steps).map_err(kernel::Error::internal)?;
    let row = Row::new(
        &APPROVAL,
        vec![
            ("id", id.into()),
            ("ticket", ticket.id().into()),
            ("name", policy.name.as_str().into()),
            ("state", ApprovalState::Pending.as_str().into()),
            ("reason", Value::Null),
            ("policy", Value::Json(steps_json)),
            ("selfApproval", policy.self_approval.into()),
            ("barred", Value::TextList(barred.iter().map(Uuid::to_string).collect())),
            ("boundFields", texts(bound)),
            ("contentHash", content_hash(ticket, bound).into()),
            ("blocks", texts(&policy.blocks)),
            ("ticketNumber", ticket.text("number").into()),
            ("ticketTitle", ticket.text("title").into()),
            ("ticketDescription", ticket.get("description").clone()),
            ("asked", texts(&[])),
            ("awaited", texts(&[])),
            ("requestedBy", tx.ctx().actor.id.into()),
            ("expiresAt", policy.expires_at.into()),
            ("decidedAt", Value::Null),
            ("version", 1.into()),
            ("createdAt", tx.now().into()),
            ("updatedAt", tx.now().into()),
        ],
    );
    let steps = policy.steps.iter().enumerate().map(|(position, step)| new_step(tx, id, position, step));
    Ok(ApprovalRecord { steps: steps.collect(), row, votes: Vec::new() })
}

fn new_step(tx: &Tx, approval: Uuid, position: usize, step: &StepPolicy) -> Row {
    let value = step.rule.value().and_then(|value| i32::try_from(value).ok());
    Row::new(
        &APPROVAL_STEP,
        vec![
            ("id", tx.new_id().into()),
            ("approval", approval.into()),
            ("position", i32::try_from(position).unwrap_or(i32::MAX).into()),
            ("name", step.name.clone().into()),
            ("rule", step.rule.name().into()),
            ("ruleValue", value.map_or(Value::Null, Value::from)),
            ("state", StepState::Waiting.as_str().into()),
            ("toAdministrators", false.into()),
            ("openedAt", Value::Null),
            ("decidedAt", Value::Null),
        ],
    )
}

fn expiry(ctx: &Ctx, row: &Row, run_at: kernel::Timestamp) -> NewJob {
    let approval = row.id().to_string();
    let payload = json!({ "approval": approval });
    NewJob { kind: EXPIRE, tenant: ctx.tenant, unique_key: Some(approval), run_at, payload }
}

/// SHA-256 over the names and values of these fields, in the order of the names.
pub(super) fn content_hash(ticket: &Row, fields: &[String]) -> String {
    let mut names: Vec<&String> = fields.iter().collect();
    names.sort_unstable();
    let content: Vec<(&String, Json)> = names.into_iter().map(|name| (name, content_of(ticket, name))).collect();
    let mut hash = Sha256::new();
    // Names and JSON values can always be written.
    hash.update(serde_json::to_vec(&content).unwrap_or_default());
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a ticket says in a field, or in a custom field (`customFields.key`).
fn content_of(ticket: &Row, name: &str) -> Json {
    match (name.split_once('.'), ticket.get(custom_field::DOCUMENT)) {
        (Some((custom_field::DOCUMENT, key)), Value::Json(values)) => values.get(key).cloned().unwrap_or_default(),
        (Some(_), _) => Json::Null,
        (None, _) => ticket.get(name).to_json(),
    }
}

/// The fields that an approval is bound to: what people write on the ticket, and everybody who sees it may read. A custom field
/// among them is `customFields.key`.
pub(crate) fn bound_fields(
    record: &'static RecordType,
    definitions: &Definitions,
    wanted: &[String],
) -> Result<Vec<String>> {
    let can_be_bound = |field: &&Field| field.write != Policy::Never && field.read == Policy::Always;
    if wanted.is_empty() {
        return Ok(DEFAULT_BOUND_FIELDS.iter().map(|name| (*name).to_owned()).collect());
    }
    let mut problems = Problems::default();
    if wanted.len() > MAX_BOUND_FIELDS {
        let message = format!("{} fields are given; at most {MAX_BOUND_FIELDS} are allowed", wanted.len());
        problems.add(UserError::limit(["boundFields"], message, MAX_BOUND_FIELDS as u64));
    }
    let mut bound = Vec::new();
    for (index, name) in wanted.iter().enumerate() {
        let custom = name.strip_prefix("customFields.").and_then(|key| definitions.get(key));
        let is_custom = custom.is_some_and(|field| field.readable_by == Audience::Everyone);
        match record.all_fields().find(|field| field.name == name).filter(can_be_bound) {
            Some(_) => bound.push(name.clone()),
            None if is_custom => bound.push(name.clone()),
            None => {
                let readable = definitions.iter().filter(|field| field.readable_by == Audience::Everyone);
                let custom = readable.map(|field| format!("customFields.{}", field.key));
                let own = record.all_fields().filter(can_be_bound).map(|field| field.name.to_owned());
                let known: Vec<_> = own.chain(custom).collect();
                let message = format!("an approval cannot be bound to `{name}`, but to: {}", known.join(", "));
                let path = ["boundFields".to_owned(), index.to_string()];
                problems.add(UserError::constraint(path, message, "field", None));
            }
        }
    }
    problems.check()?;
    bound.sort_unstable();
    bound.dedup();
    Ok(bound)
}

/// Refuses keys that are no transitions of the workflow.
pub(crate) fn check_blocks(workflow: &Workflow, blocks: &[String]) -> Result<()> {
    let mut problems = Problems::default();
    for (index, key) in blocks.iter().enumerate().filter(|(_, key)| workflow.transition(key).is_none()) {
        let message = format!("the workflow `{}` has no transition `{key}`", workflow.key);
        problems.add(UserError::constraint(["blocks".to_owned(), index.to_string()], message, "transition", None));
    }
    problems.check()
}

/// What a request for approval can be refused for whatever the ticket.
pub(crate) fn check_request(
    name: &str,
    steps: &[StepInput],
    blocks: &[String],
    bound_fields: Option<&[String]>,
) -> Result<()> {
    let mut problems = Problems::default();
    check_text(&mut problems, "name", name, MAX_NAME);
    if steps.is_empty() {
        problems.add(UserError::constraint(["steps"], "an approval has at least one step", "minItems", Some(1)));
    }
    if steps.len() > MAX_STEPS {
        let message = format!("{} steps are given; at most {MAX_STEPS} are allowed", steps.len());
        problems.add(UserError::limit(["steps"], message, MAX_STEPS as u64));
    }
    if blocks.len() > MAX_BLOCKS {
        let message = format!("{} transitions are given; at most {MAX_BLOCKS} are allowed", blocks.len());
        problems.add(UserError::limit(["blocks"], message, MAX_BLOCKS as u64));
    }
    if bound_fields.is_some_and(<[String]>::is_empty) {
        let message = "an approval is bound to at least one field; leave `boundFields` out for title and description";
        problems.add(UserError::constraint(["boundFields"], message, "minItems", Some(1)));
    }
    for (index, step) in steps.iter().enumerate() {
        let checked = check_step(step).map_err(|error| error.within(&index.to_string()).within("steps"));
        problems.take(checked)?;
    }
    problems.check()
}

fn check_step(step: &StepInput) -> Result<()> {
    let mut problems = Problems::default();
    if let Some(name) = &step.name {
        check_text(&mut problems, "name", name, MAX_NAME);
    }
    if step.approvers.is_empty() {
        problems.add(UserError::constraint(["approvers"], "a step asks somebody", "minItems", Some(1)));
    }
    for (path, list) in [("approvers", &step.approvers), ("vetoHolders", &step.veto)] {
        if list.len() > MAX_ENTRIES {
            let message = format!("{} entries are given; at most {MAX_ENTRIES} are allowed", list.len());
            problems.add(UserError::limit([path], message, MAX_ENTRIES as u64));
        }
    }
    problems.check()
}
