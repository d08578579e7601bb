//! Adding and changing agreements.

use access::commands::checked_slug;
use access::{Changed, Managed};
use kernel::id::prefix;
use kernel::{Ctx, Result, UserError};
use predicate::{Predicate, Value};
use sla::PolicyKind;
use store::Tx;
use store::query::{self, Row};

use super::Agreements;
use super::writing::Writing;
use crate::commands::{
    AgreementDraft, CreateAgreement, MAX_AGREED_POLICIES, MAX_SERVICES, MAX_UNDERPINNING, UpdateAgreement,
};
use crate::events::{AGREEMENT_CREATED, AGREEMENT_UPDATED, SUBJECT_AGREEMENT};
use crate::fields::AGREEMENT;
use crate::model::AgreementState;
use crate::rules::{check_agreement, kind_of};

const KIND: Managed = Managed { record: &AGREEMENT, subject: SUBJECT_AGREEMENT, prefix: prefix::SERVICE_AGREEMENT };

impl Agreements {
    /// Adds an agreement, as a draft.
    ///
    /// # Errors
    /// `FORBIDDEN` without `agreement.manage`; `VALIDATION` and `LIMIT` with paths; `NOT_FOUND` for what it points at; `CONFLICT` at
    /// `key` when it is taken.
    pub async fn create_agreement(&self, ctx: &Ctx, command: CreateAgreement) -> Result<Changed<Row>> {
        let agreements = self.clone();
        self.write(ctx, "serviceAgreementCreate", &AGREEMENT, "the agreement", move |tx| {
            let (agreements, command) = (agreements.clone(), command.clone());
            Box::pin(async move { agreements.create_agreement_in(tx, &command).await })
        })
        .await
    }

    async fn create_agreement_in(&self, tx: &mut Tx, command: &CreateAgreement) -> Result<Row> {
        let none = || Value::TextList(Vec::new());
        let empty = Row::new(
            &AGREEMENT,
            vec![
                ("kind", command.kind.as_str().into()),
                ("state", AgreementState::Draft.as_str().into()),
                ("services", none()),
                ("policies", none()),
                ("underpinnedBy", none()),
            ],
        );
        let mut writing = Writing::new(self, tx, empty);
        if let Some(key) = writing.problems.take(checked_slug("key", &command.key))? {
            let taken = Predicate::eq("key", key.as_str());
            if query::exists(&*writing.tx, writing.ctx.tenant, &AGREEMENT, &taken, self.access().catalogue()).await? {
                let message = format!("there is an agreement `{key}` already");
                writing.problems.add(UserError::taken(["key"], message));
            }
            writing.row.set("key", key.into());
        }
        write_draft(&mut writing, &command.draft).await?;
        let row = writing.row.clone();
        check_agreement(&mut writing.problems, None, &row);
        let row = writing.done()?;
        KIND.insert_in(tx, AGREEMENT_CREATED, row.fields().to_vec()).await
    }

    /// Changes an agreement. Once agreed, its end, its owner, its name and what it rests on can change; terminated, nothing.
    ///
    /// # Errors
    /// As [`Agreements::create_agreement`]; `NOT_FOUND` at `agreement`; `CONFLICT` with the current version.
    pub async fn update_agreement(&self, ctx: &Ctx, command: UpdateAgreement) -> Result<Changed<Row>> {
        let agreements = self.clone();
        self.write(ctx, "serviceAgreementUpdate", &AGREEMENT, "the agreement", move |tx| {
            let (agreements, command) = (agreements.clone(), command.clone());
            Box::pin(async move { agreements.update_agreement_in(tx, &command).await })
        })
        .await
    }

    async fn update_agreement_in(&self, tx: &mut Tx, command: &UpdateAgreement) -> Result<Row> {
        let ctx = tx.ctx().clone();
        let before = self.agreement_in(&*tx, &ctx, &command.agreement).await;
        let before = before.map_err(|error| error.within("agreement"))?;
        Managed::expect_version(&before, command.expected_version)?;
        let now = tx.now();
        let mut writing = Writing::new(self, tx, before.clone());
        write_draft(&mut writing, &command.draft).await?;
        writing.word("state", command.state.map(AgreementState::as_str));
        let mut row = writing.row.clone();
        let turned = |state: AgreementState| command.state == Some(state) && before.text("state") != state.as_str();
        if turned(AgreementState::Agreed) && row.get("validFrom").is_null() {
            row.set("validFrom", now.into());
        }
        if turned(AgreementState::Terminated) && row.get("validUntil").as_time().is_none_or(|until| until > now) {
            row.set("validUntil", now.into());
        }
        check_agreement(&mut writing.problems, Some(&before), &row);
        writing.done()?;
        KIND.update_in(tx, AGREEMENT_UPDATED, &before, row).await
    }
}

async fn write_draft(writing: &mut Writing<'_>, draft: &AgreementDraft) -> Result<()> {
    writing.line("name", draft.name.as_deref())?;
    writing.text("description", &draft.description)?;
    writing.optional_line("customer", &draft.customer)?;
    writing.optional_line("supplier", &draft.supplier)?;
    writing.team("team", &draft.team).await?;
    writing.user("owner", &draft.owner).await?;
    writing.time("validFrom", &draft.valid_from);
    writing.time("validUntil", &draft.valid_until);
    write_services(writing, draft).await?;
    write_policies(writing, draft).await?;
    write_underpinning(writing, draft).await
}

async fn write_services(writing: &mut Writing<'_>, draft: &AgreementDraft) -> Result<()> {
    let Some(services) = &draft.services else { return Ok(()) };
    let mut found = Vec::new();
    for service in services.iter().take(MAX_SERVICES + 1) {
        found.push(writing.agreements.configuration().usable_service_in(writing.tx, service).await);
    }
    writing.list("services", prefix::SERVICE, MAX_SERVICES, found)
}

async fn write_policies(writing: &mut Writing<'_>, draft: &AgreementDraft) -> Result<()> {
    let Some(policies) = &draft.policies else { return Ok(()) };
    let kind = kind_of(&writing.row);
    let mut found = Vec::new();
    for policy in policies.iter().take(MAX_AGREED_POLICIES + 1) {
        let row = writing.agreements.levels().policy_in(&*writing.tx, &writing.ctx, policy).await;
        found.push(row.and_then(|row| usable(row, kind)));
    }
    writing.list("policies", prefix::SLA_POLICY, MAX_AGREED_POLICIES, found)
}

/// Refuses a policy that stands between others, or holds for no new tickets any more.
fn usable(policy: Row, kind: PolicyKind) -> Result<Row> {
    let key = policy.text("key");
    let refuse = |message: String, rule| Err(UserError::constraint([] as [&str; 0], message, rule, None).into());
    if policy.text("kind") != kind.as_str() {
        let (own, asked) = (policy.text("kind"), kind.as_str());
        return refuse(format!("the policy `{key}` is of the kind {own}, the agreement {asked}"), "kind");
    }
    if policy.bool("retired") {
        return refuse(format!("the policy `{key}` is retired"), "retired");
    }
    Ok(policy)
}

async fn write_underpinning(writing: &mut Writing<'_>, draft: &AgreementDraft) -> Result<()> {
    let Some(agreements) = &draft.underpinned_by else { return Ok(()) };
    let mut found = Vec::new();
    for agreement in agreements.iter().take(MAX_UNDERPINNING + 1) {
        let row = writing.agreements.agreement_in(&*writing.tx, &writing.ctx, agreement).await;
        found.push(row.and_then(|row| match kind_of(&row) {
            PolicyKind::Sla => {
                let message = format!(
                    "`{}` is with a customer: only one with a team or a supplier can stand under another",
                    row.text("key")
                );
                Err(UserError::constraint([] as [&str; 0], message, "kind", None).into())
            }
            _ => Ok(row),
        }));
    }
    writing.list("underpinnedBy", prefix::SERVICE_AGREEMENT, MAX_UNDERPINNING, found)
}
