//! Priority: impact and urgency through the tenant's matrix, unless somebody overrode it.

use std::sync::Arc;

use access::permission::SETTINGS_MANAGE;
use kernel::{Ctx, Result, UserError, Uuid};
use predicate::{Predicate, Value};
use store::query::{self, Row};
use store::{Audience, Change, NewEvent, RecordRef, Written};
use store::{ConnectionTrait, Tx};

use crate::edit::Edit;
use crate::fields::PRIORITY_RULE;
use crate::model::{Impact, Priority, Urgency};
use crate::service::Tickets;

/// The event that a changed matrix leaves behind.
pub const MATRIX_SET: &str = "PriorityMatrixSet";

/// One cell of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriorityRule {
    /// The row.
    pub impact: Impact,
    /// The column.
    pub urgency: Urgency,
    /// What they give.
    pub priority: Priority,
}

/// The matrix of a tenant that has not set its own.
pub fn default_priority(impact: Impact, urgency: Urgency) -> Priority {
    match (impact, urgency) {
        (Impact::High, Urgency::High) => Priority::P1,
        (Impact::High, Urgency::Medium) | (Impact::Medium, Urgency::High) => Priority::P2,
        (Impact::High, Urgency::Low) | (Impact::Medium, Urgency::Medium) | (Impact::Low, Urgency::High) => Priority::P3,
        (Impact::Medium, Urgency::Low) | (Impact::Low, Urgency::Medium) => Priority::P4,
        (Impact::Low, Urgency::Low) => Priority::P5,
    }
}

fn rule_of(row: &Row) -> Option<PriorityRule> {
    Some(PriorityRule {
        impact: Impact::parse(&row.text("impact"))?,
        urgency: Urgency::parse(&row.text("urgency"))?,
        priority: Priority::parse(&row.text("priority"))?,
    })
}

impl Tickets {
    /// The whole matrix, all nine cells, by impact and urgency.
    ///
    /// # Errors
    /// Database errors.
    pub async fn priority_matrix(&self, ctx: &Ctx) -> Result<Vec<PriorityRule>> {
        self.priority_matrix_in(&self.store().read("ticket.priorityMatrix"), ctx).await
    }

    pub(crate) async fn priority_matrix_in(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
    ) -> Result<Vec<PriorityRule>> {
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let rows = query::all(connection, &scoped, &PRIORITY_RULE, &Predicate::always(), &[], 9).await?;
        let set: Vec<_> = rows.iter().filter_map(rule_of).collect();
        let cell = |impact, urgency| {
            let own = set.iter().find(|rule| rule.impact == impact && rule.urgency == urgency);
            let priority = own.map_or_else(|| default_priority(impact, urgency), |rule| rule.priority);
            PriorityRule { impact, urgency, priority }
        };
        Ok(Impact::ALL
            .iter()
            .flat_map(|impact| Urgency::ALL.iter().map(move |urgency| (*impact, *urgency)))
            .map(|(impact, urgency)| cell(impact, urgency))
            .collect())
    }

    /// The priority that the matrix gives.
    ///
    /// # Errors
    /// Database errors.
    pub async fn priority_in(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        impact: Impact,
        urgency: Urgency,
    ) -> Result<Priority> {
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let cell = Predicate::eq("impact", impact.as_str()).and(Predicate::eq("urgency", urgency.as_str()));
        let row = query::find(connection, &scoped, &PRIORITY_RULE, &cell, &[]).await?;
        Ok(row.and_then(|row| rule_of(&row)).map_or_else(|| default_priority(impact, urgency), |rule| rule.priority))
    }

    /// Sets the priority that the matrix gives for the ticket's impact and urgency, unless somebody overrode it.
    ///
    /// # Errors
    /// Database errors.
    pub async fn follow_matrix_in(&self, tx: &mut Tx, edit: &mut Edit) -> Result<()> {
        if !edit.after.get("priorityOverrideBy").is_null() {
            return Ok(());
        }
        let impact = Impact::parse(&edit.after.text("impact")).unwrap_or(Impact::Medium);
        let urgency = Urgency::parse(&edit.after.text("urgency")).unwrap_or(Urgency::Medium);
        let ctx = tx.ctx().clone();
        let matrix = match self.matrices().get(&ctx.tenant) {
            Some(known) => known,
            None => {
                let read = Arc::new(self.priority_matrix_in(tx, &ctx).await?);
                self.matrices().insert(ctx.tenant, Arc::clone(&read));
                read
            }
        };
        let cell = matrix.iter().find(|rule| rule.impact == impact && rule.urgency == urgency);
        let priority = cell.map_or_else(|| default_priority(impact, urgency), |rule| rule.priority);
        edit.set("priority", priority.as_str());
        Ok(())
    }

    /// Sets cells of the matrix and answers all of it; those that are not named stay. Tickets keep the priority that they have until their
    /// impact or urgency changes.
    ///
    /// # Errors
    /// `FORBIDDEN` without `settings.manage`; `VALIDATION` for a cell that is named twice or none at all.
    pub async fn set_priority_matrix(
        &self,
        ctx: &Ctx,
        rules: Vec<PriorityRule>,
    ) -> Result<(Vec<PriorityRule>, Vec<store::Event>)> {
        if !ctx.grants.holds_tenant(SETTINGS_MANAGE) {
            return Err(UserError::forbidden(SETTINGS_MANAGE).into());
        }
        check_rules(&rules)?;
        let (tickets, ctx_in) = (self.clone(), ctx.clone());
        let written = self
            .store()
            .write(ctx, "priorityMatrixSet", move |tx| {
                let (tickets, ctx, rules) = (tickets.clone(), ctx_in.clone(), rules.clone());
                Box::pin(async move {
                    let mut changes = Vec::new();
                    for rule in &rules {
                        changes.extend(tickets.set_cell_in(tx, &ctx, rule).await?);
                    }
                    if !changes.is_empty() {
                        tx.emit(NewEvent {
                            kind: MATRIX_SET,
                            subject_kind: "tenant",
                            subject: ctx.tenant,
                            version: 0,
                            audience: Audience::Internal,
                            changes,
                            facts: Default::default(),
                            payload: serde_json::Value::Null,
                            occurred_at: None,
                            actor: None,
                        });
                    }
                    let id = kernel::Id::new(kernel::id::prefix::TENANT, ctx.tenant);
                    tx.answers_with(RecordRef { id, version: 0 });
                    tickets.priority_matrix_in(tx, &ctx).await
                })
            })
            .await?;
        self.matrices().invalidate(&ctx.tenant);
        let events = self.events_of(ctx, &written).await?;
        let matrix = match written {
            Written::Fresh { value, .. } => value,
            Written::Replayed { .. } => self.priority_matrix(ctx).await?,
        };
        Ok((matrix, events))
    }

    async fn set_cell_in(&self, tx: &mut store::Tx, ctx: &Ctx, rule: &PriorityRule) -> Result<Option<Change>> {
        let before = self.priority_in(tx, ctx, rule.impact, rule.urgency).await?;
        if before == rule.priority {
            return Ok(None);
        }
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let cell = Predicate::eq("impact", rule.impact.as_str()).and(Predicate::eq("urgency", rule.urgency.as_str()));
        let priority = Value::from(rule.priority.as_str());
        match query::find(tx, &scoped, &PRIORITY_RULE, &cell, &[]).await? {
            Some(row) => {
                query::update_in(tx, ctx.tenant, &PRIORITY_RULE, row.id(), None, &[("priority", priority)]).await?;
            }
            None => {
                let id: Uuid = ctx.new_id();
                let row = Row::new(
                    &PRIORITY_RULE,
                    vec![
                        ("id", id.into()),
                        ("impact", rule.impact.as_str().into()),
                        ("urgency", rule.urgency.as_str().into()),
                        ("priority", priority),
                    ],
                );
                query::insert_unique_in(tx, ctx.tenant, &PRIORITY_RULE, &row).await?;
            }
        }
        Ok(Some(Change {
            field: format!("{}/{}", rule.impact.as_str(), rule.urgency.as_str()),
            before: before.as_str().into(),
            after: rule.priority.as_str().into(),
        }))
    }
}

fn check_rules(rules: &[PriorityRule]) -> Result<()> {
    if rules.is_empty() {
        return Err(UserError::validation(["rules"], "name at least one cell of the matrix").into());
    }
    for (index, rule) in rules.iter().enumerate() {
        if rules[..index].iter().any(|other| other.impact == rule.impact && other.urgency == rule.urgency) {
            let message = format!("impact {} and urgency {} stand twice", rule.impact.as_str(), rule.urgency.as_str());
            return Err(UserError::validation(["rules".to_owned(), index.to_string()], message).into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_matrix_is_the_documented_one() {
        let row =
            |impact| Urgency::ALL.iter().map(|urgency| default_priority(impact, *urgency).as_str()).collect::<Vec<_>>();
        assert_eq!(row(Impact::High), ["P1", "P2", "P3"]);
        assert_eq!(row(Impact::Medium), ["P2", "P3", "P4"]);
        assert_eq!(row(Impact::Low), ["P3", "P4", "P5"]);
    }

    #[test]
    fn a_cell_stands_once() {
        let rule = PriorityRule { impact: Impact::Low, urgency: Urgency::Low, priority: Priority::P4 };
        assert!(check_rules(&[rule]).is_ok());
        assert!(check_rules(&[rule, rule]).is_err());
        assert!(check_rules(&[]).is_err());
    }
}
