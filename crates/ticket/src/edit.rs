//! An update in the making: the ticket as it was, as it will be, and how that is written down.

use std::sync::Arc;

use access::Access;
use kernel::{Ctx, Result, UserError};
use predicate::{Policy, Value, evaluate};
use serde_json::Value as Json;
use store::query::{Row, hold_in, update_in};
use store::{Audience, NewEvent, RecordRef, Tx};

use crate::approval;
use crate::custom_field::ChangedValues;
use crate::events;
use crate::fields::STATE_AFTER;
use crate::kind::KindRules;
use crate::workflow::Workflow;

/// A ticket that was loaded for a write.
pub struct Edit {
    /// The rules of its kind.
    pub rules: Arc<dyn KindRules>,
    /// The workflow that it follows.
    pub workflow: Arc<Workflow>,
    /// As it was loaded, unmasked.
    pub before: Row,
    /// As it will be.
    pub after: Row,
    /// The custom fields among what changed.
    pub(crate) values: ChangedValues,
}

impl Edit {
    /// Nothing changed yet.
    pub fn new(rules: Arc<dyn KindRules>, workflow: Arc<Workflow>, row: Row) -> Self {
        Self { rules, workflow, before: row.clone(), after: row, values: ChangedValues::default() }
    }

    /// Has the ticket follow this workflow.
    pub fn follow(&mut self, workflow: &Arc<Workflow>) {
        // The default that ships needs no mention: what follows it is told by its absence.
        let shipped = Arc::ptr_eq(workflow, self.rules.default_workflow());
        let version = i32::try_from(workflow.version).unwrap_or(i32::MAX);
        self.set("workflow", if shipped { Value::Null } else { workflow.key.as_str().into() });
        self.set("workflowVersion", if shipped { Value::Null } else { version.into() });
        self.workflow = Arc::clone(workflow);
    }

    /// Has a new ticket begin in the first state of its workflow.
    pub fn begin(&mut self, workflow: &Arc<Workflow>) {
        self.follow(workflow);
        self.set("state", workflow.initial.as_str());
        self.set("stateCategory", workflow.category(&workflow.initial).as_str());
    }

    /// Changes a field.
    pub fn set(&mut self, field: &'static str, value: impl Into<Value>) {
        self.after.set(field, value.into());
    }

    /// Changes a reference, together with the record that it leads to.
    pub fn set_reference(&mut self, field: &'static str, target: Option<Row>) {
        self.after.set(field, target.as_ref().map(Row::id).into());
        self.after.set_relation(field, target);
    }

    /// The names and new values of the fields that differ.
    pub fn changed(&self) -> Vec<(&'static str, Value)> {
        let fields = self.after.fields().iter();
        fields.filter(|(name, value)| self.before.get(name) != value).cloned().collect()
    }

    /// The version that the ticket had when it was loaded.
    pub fn version(&self) -> i32 {
        i32::try_from(self.before.int("version")).unwrap_or(i32::MAX)
    }

    /// Refuses when the client expected another version.
    ///
    /// # Errors
    /// `CONFLICT` with the current version.
    pub fn expect_version(&self, expected: Option<i32>) -> Result<()> {
        match expected {
            Some(expected) if expected != self.version() => Err(UserError::stale(self.version()).into()),
            _ => Ok(()),
        }
    }

    /// Checks the write policy of each changed field on the ticket as it was.
    ///
    /// # Errors
    /// `FORBIDDEN` with the permission that is missing.
    pub fn authorise_fields(&self, ctx: &Ctx, access: &Access) -> Result<()> {
        let record = self.rules.record();
        for (name, _) in self.changed() {
            let Some(field) = record.field(name) else { continue };
            if !access.allows(ctx, record, &field.write, &self.before) {
                return Err(UserError::forbidden(permission_of(&field.write)).into());
            }
        }
        Ok(())
    }

    /// Checks that the viewer may bring a ticket to where this one will be.
    ///
    /// # Errors
    /// `FORBIDDEN` with the permission that is missing.
    pub fn authorise_state_after(&self, ctx: &Ctx, access: &Access) -> Result<()> {
        let rule = access.rule(ctx, self.rules.record(), &STATE_AFTER);
        if evaluate(&rule, &self.after) {
            return Ok(());
        }
        Err(UserError::forbidden(access::permission::TICKET_CREATE).into())
    }

    /// Writes the changes as one event, provided that nobody was faster. Without any change, nothing is written.
    ///
    /// # Errors
    /// A lost race is run again: a version that the client named is then refused with the current one.
    pub async fn save_in(&mut self, tx: &mut Tx, access: &Access, kind: &'static str, payload: Json) -> Result<bool> {
        self.save_for_in(tx, access, kind, payload, Audience::Public).await
    }

    /// The same, for changes that are told to those who work on the ticket alone.
    ///
    /// # Errors
    /// As [`Edit::save_in`].
    pub async fn save_internally_in(
        &mut self,
        tx: &mut Tx,
        access: &Access,
        kind: &'static str,
        payload: Json,
    ) -> Result<bool> {
        self.save_for_in(tx, access, kind, payload, Audience::Internal).await
    }

    async fn save_for_in(
        &mut self,
        tx: &mut Tx,
        access: &Access,
        kind: &'static str,
        payload: Json,
        audience: Audience,
    ) -> Result<bool> {
        if self.changed().is_empty() {
            return Ok(false);
        }
        self.touch_in(tx).await?;
        let event = self.event(access, kind, payload);
        tx.emit(NewEvent { audience, ..event });
        // Only a ticket that ever had an approval has this list.
        if !self.before.get("blockedTransitions").is_null() {
            approval::follow_edit_in(tx, access, self).await?;
        }
        Ok(true)
    }

    /// Writes the changes and raises the version, without an event: whoever calls this tells what happened.
    ///
    /// # Errors
    /// As [`Edit::save_in`].
    pub(crate) async fn touch_in(&mut self, tx: &Tx) -> Result<()> {
        let mut values = self.changed();
        let version = self.version();
        self.set("version", version + 1);
        self.set("updatedAt", tx.now());
        values.extend([("version", Value::from(version + 1)), ("updatedAt", tx.now().into())]);
        let tenant = tx.ctx().tenant;
        let record = self.rules.record();
        if !update_in(tx, tenant, record, self.after.id(), Some(version), &values).await? {
            return Err(tx.retry());
        }
        self.index_changes_in(tx).await?;
        self.values.write_in(tx, self.after.id()).await
    }

    /// Makes sure that an event without a change tells of the ticket as it is: on PostgreSQL somebody else could change
    /// it between its being read and the event, which would then come later in the log with what was before.
    ///
    /// # Errors
    /// A lost race is run again.
    pub async fn hold_in(&self, tx: &Tx) -> Result<()> {
        match hold_in(tx, tx.ctx().tenant, self.rules.record(), self.before.id(), self.version()).await? {
            true => Ok(()),
            false => Err(tx.retry()),
        }
    }

    /// Holds two tickets in the order of their ids, so that two writes do not wait for each other.
    ///
    /// # Errors
    /// As [`Edit::hold_in`].
    pub(crate) async fn hold_both_in(tx: &Tx, one: &Edit, other: &Edit) -> Result<()> {
        let ordered = if one.before.id() < other.before.id() { [one, other] } else { [other, one] };
        for end in ordered {
            end.hold_in(tx).await?;
        }
        Ok(())
    }

    /// Makes sure that a record, read again now that its ticket is held, still stands on it: until then another write could move it
    /// to another ticket, which raises no version of this one.
    ///
    /// # Errors
    /// What has moved is looked for again.
    pub(crate) fn expect_to_hold(&self, tx: &Tx, record: &Row) -> Result<()> {
        match record.get("ticket").as_id() == Some(self.before.id()) {
            true => Ok(()),
            false => Err(tx.retry()),
        }
    }

    /// The event that tells what changed.
    pub fn event(&self, access: &Access, kind: &'static str, payload: Json) -> NewEvent {
        let (record, catalogue) = (self.rules.record(), access.catalogue());
        NewEvent {
            kind,
            subject_kind: events::SUBJECT,
            subject: self.after.id(),
            version: i32::try_from(self.after.int("version")).unwrap_or(i32::MAX),
            audience: Audience::Public,
            changes: events::changes(record, catalogue, &self.before, &self.after),
            facts: events::facts(record, catalogue, &self.after),
            payload,
            occurred_at: None,
            actor: None,
        }
    }

    /// Carries on from the state that was written, for a second step in the same transaction.
    pub fn proceed(&mut self) {
        self.before = self.after.clone();
    }

    /// What a replay of this mutation answers with.
    pub fn reference(&self) -> RecordRef {
        RecordRef {
            id: kernel::Id::new(self.rules.kind().id_prefix(), self.after.id()),
            version: i32::try_from(self.after.int("version")).unwrap_or(i32::MAX),
        }
    }
}

/// The permission that a policy asks for, to tell it to those who lack it.
fn permission_of(policy: &Policy) -> &'static str {
    match policy {
        Policy::When(predicate::Rule::Permission(permission)) => permission,
        _ => "none: this field is set by the system",
    }
}
