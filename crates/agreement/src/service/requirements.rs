//! Adding and changing requirements.

use access::{Changed, Managed};
use chrono::Duration;
use kernel::clock::format_duration;
use kernel::id::prefix;
use kernel::{Ctx, Id, Patch, Result, UserError};
use predicate::Value;
use sla::PolicyKind;
use sla::commands::MAX_TARGET_SECONDS;
use store::Tx;
use store::query::Row;

use super::Agreements;
use super::writing::Writing;
use crate::commands::{AgreementRef, RequirementDraft, UpdateRequirement};
use crate::events::{REQUIREMENT_CREATED, REQUIREMENT_UPDATED, SUBJECT_REQUIREMENT};
use crate::fields::REQUIREMENT;
use crate::model::RequirementState;
use crate::rules::kind_of;

const KIND: Managed =
    Managed { record: &REQUIREMENT, subject: SUBJECT_REQUIREMENT, prefix: prefix::SERVICE_LEVEL_REQUIREMENT };

impl Agreements {
    /// Adds a requirement. `title`, `service`, `metric` and `target` are needed.
    ///
    /// # Errors
    /// `FORBIDDEN` without `agreement.manage`; `VALIDATION` and `LIMIT` with paths; `NOT_FOUND` for what it points at.
    pub async fn create_requirement(&self, ctx: &Ctx, draft: RequirementDraft) -> Result<Changed<Row>> {
        let agreements = self.clone();
        self.write(ctx, "serviceLevelRequirementCreate", &REQUIREMENT, "the requirement", move |tx| {
            let (agreements, draft) = (agreements.clone(), draft.clone());
            Box::pin(async move {
                let empty = Row::new(
                    &REQUIREMENT,
                    vec![
                        ("priorities", Value::TextList(Vec::new())),
                        ("state", RequirementState::Proposed.as_str().into()),
                    ],
                );
                let row = agreements.requirement_written_in(tx, empty, &draft).await?;
                KIND.insert_in(tx, REQUIREMENT_CREATED, row.fields().to_vec()).await
            })
        })
        .await
    }

    /// Changes a requirement.
    ///
    /// # Errors
    /// As [`Agreements::create_requirement`]; `NOT_FOUND` at `id`; `CONFLICT` with the current version.
    pub async fn update_requirement(&self, ctx: &Ctx, command: UpdateRequirement) -> Result<Changed<Row>> {
        let agreements = self.clone();
        self.write(ctx, "serviceLevelRequirementUpdate", &REQUIREMENT, "the requirement", move |tx| {
            let (agreements, command) = (agreements.clone(), command.clone());
            Box::pin(async move {
                let before = agreements.requirement_in(tx, &command.requirement).await;
                let before = before.map_err(|error| error.within("id"))?;
                Managed::expect_version(&before, command.expected_version)?;
                let row = agreements.requirement_written_in(tx, before.clone(), &command.draft).await?;
                KIND.update_in(tx, REQUIREMENT_UPDATED, &before, row).await
            })
        })
        .await
    }

    async fn requirement_written_in(&self, tx: &mut Tx, row: Row, draft: &RequirementDraft) -> Result<Row> {
        let mut writing = Writing::new(self, tx, row);
        writing.line("title", draft.title.as_deref())?;
        writing.text("description", &draft.description)?;
        writing.optional_line("customer", &draft.customer)?;
        let service = draft.service.clone().map_or(Patch::Keep, Patch::Set);
        writing.service("service", &service).await?;
        writing.word("metric", draft.metric.map(sla::Metric::as_str));
        if let Some(priorities) = &draft.priorities {
            let mut named: Vec<String> = priorities.iter().map(|priority| priority.as_str().to_owned()).collect();
            named.sort_unstable();
            named.dedup();
            writing.row.set("priorities", Value::TextList(named));
        }
        if let Some(target) = draft.target {
            write_target(&mut writing, target);
        }
        writing.calendar("calendar", &draft.calendar).await?;
        writing.user("requestedBy", &draft.requested_by).await?;
        writing.agreement("agreement", &draft.agreement).await?;
        writing.word("state", draft.state.map(RequirementState::as_str));
        self.check_answer(&mut writing).await?;
        writing.done()
    }

    /// What has been agreed names the agreement, which is with a customer and about the service.
    async fn check_answer(&self, writing: &mut Writing<'_>) -> Result<()> {
        let refuse = |path: &str, message: &str, rule| UserError::constraint([path], message, rule, None);
        let Some(agreement) = writing.row.get("agreement").as_id() else {
            if writing.row.text("state") == RequirementState::Agreed.as_str() {
                let message = "name the agreement that answers the requirement";
                writing.problems.add(refuse("agreement", message, "required"));
            }
            return Ok(());
        };
        let reference = AgreementRef::Id(Id::new(prefix::SERVICE_AGREEMENT, agreement));
        let agreement = self.agreement_in(&*writing.tx, &writing.ctx, &reference).await?;
        if kind_of(&agreement) != PolicyKind::Sla {
            let message = "a requirement is answered by an agreement with a customer, of the kind SLA";
            writing.problems.add(refuse("agreement", message, "kind"));
        }
        let service = writing.row.get("service").as_id().map(|id| Id::new(prefix::SERVICE, id).to_string());
        if service.is_some_and(|service| !agreement.texts("services").contains(&service)) {
            let message = "the agreement is about other services than the requirement";
            writing.problems.add(refuse("agreement", message, "service"));
        }
        Ok(())
    }
}

fn write_target(writing: &mut Writing<'_>, target: i64) {
    if target <= 0 {
        let message = "a target is longer than nothing, such as `PT4H`";
        writing.problems.add(UserError::validation(["target"], message));
    } else if target > MAX_TARGET_SECONDS {
        let message = format!("a target is at most {}", format_duration(Duration::seconds(MAX_TARGET_SECONDS)));
        writing.problems.add(UserError::limit(["target"], message, MAX_TARGET_SECONDS as u64));
    } else {
        writing.row.set("target", Value::Int(target));
    }
}
