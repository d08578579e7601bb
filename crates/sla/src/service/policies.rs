//! Adding and changing policies: each change of what one says is a new version, which holds for new tickets.

use access::commands::{checked_description, checked_name, checked_slug};
use access::{Changed, Managed};
use kernel::error::Problems;
use kernel::id::prefix;
use kernel::{Ctx, Error, Patch, Result, UserError};
use predicate::{Predicate, Value};
use serde_json::json;
use store::Tx;
use store::query::{self, Row};

use super::ServiceLevels;
use super::calendars::saying;
use crate::commands::{CreatePolicy, MAX_POLICIES, MAX_VERSIONS, UpdatePolicy};
use crate::events::{POLICY_CREATED, POLICY_UPDATED, SUBJECT_POLICY};
use crate::fields::{SLA_POLICY, SLA_POLICY_VERSION};
use crate::model::PolicyKind;
use crate::policy::PolicyDocument;
use crate::tables;

const KIND: Managed = Managed { record: &SLA_POLICY, subject: SUBJECT_POLICY, prefix: prefix::SLA_POLICY };

impl ServiceLevels {
    /// Adds a policy. It holds for tickets that are recorded from now on; [`ServiceLevels::apply_policy`] has it hold for open
    /// ones.
    ///
    /// # Errors
    /// `FORBIDDEN` without `settings.manage`; `VALIDATION` and `LIMIT` with paths; `NOT_FOUND` for what it points at; `CONFLICT` at
    /// `key` when it is taken.
    pub async fn create_policy(&self, ctx: &Ctx, command: CreatePolicy) -> Result<Changed<Row>> {
        self.authorise(ctx)?;
        let mut problems = Problems::default();
        let key = problems.take(checked_slug("key", &command.key))?;
        let name = problems.take(checked_name("name", &command.name))?;
        let description = command.description.as_deref().map(|text| checked_description("description", text));
        let description = problems.take(description.transpose())?;
        problems.check()?;
        let (Some(key), Some(name), Some(description)) = (key, name, description) else {
            return Err(Error::internal("the values were checked"));
        };
        let command = CreatePolicy { key, name, description, ..command };
        let levels = self.clone();
        let written = self.store().write(ctx, "slaPolicyCreate", move |tx| {
            let (levels, command) = (levels.clone(), command.clone());
            Box::pin(async move { levels.create_policy_in(tx, &command).await })
        });
        self.answer(ctx, written.await?, &SLA_POLICY, "the policy").await
    }

    async fn create_policy_in(&self, tx: &mut Tx, command: &CreatePolicy) -> Result<Row> {
        let mut problems = Problems::default();
        let taken = Predicate::eq("key", command.key.as_str());
        if query::exists(tx, tx.ctx().tenant, &SLA_POLICY, &taken, self.access().catalogue()).await? {
            let message = format!("there is a policy `{}` already", command.key);
            problems.add(UserError::taken(["key"], message));
        }
        if tables::count_in(tx, &SLA_POLICY).await? >= MAX_POLICIES as i64 {
            let message = format!("there are {MAX_POLICIES} policies; no more are allowed");
            problems.add(UserError::limit([] as [&str; 0], message, MAX_POLICIES as u64));
        }
        let document = problems.take(self.document_in(tx, command.kind, &command.draft).await)?;
        problems.check()?;
        let Some(document) = document else { return Err(Error::internal("the policy was checked")) };
        let values = vec![
            ("key", command.key.as_str().into()),
            ("name", command.name.as_str().into()),
            ("description", command.description.clone().into()),
            ("kind", command.kind.as_str().into()),
            ("number", 1.into()),
        ];
        let row = KIND.insert_in(tx, POLICY_CREATED, values).await?;
        self.insert_policy_version_in(tx, &row, &document).await?;
        Ok(saying(row, &document))
    }

    /// Changes a policy. A change of what it says, and its retiring, is a new version: for new tickets, and for those that it is
    /// applied to.
    ///
    /// # Errors
    /// As [`ServiceLevels::create_policy`]; `NOT_FOUND` at `policy`; `CONFLICT` with the current version.
    pub async fn update_policy(&self, ctx: &Ctx, command: UpdatePolicy) -> Result<Changed<Row>> {
        self.authorise(ctx)?;
        let mut problems = Problems::default();
        let name = problems.take(command.name.as_deref().map(|name| checked_name("name", name)).transpose())?;
        if let Patch::Set(text) = &command.description {
            problems.take(checked_description("description", text))?;
        }
        problems.check()?;
        let command = UpdatePolicy { name: name.flatten(), ..command };
        let levels = self.clone();
        let written = self.store().write(ctx, "slaPolicyUpdate", move |tx| {
            let (levels, command) = (levels.clone(), command.clone());
            Box::pin(async move { levels.update_policy_in(tx, &command).await })
        });
        self.answer(ctx, written.await?, &SLA_POLICY, "the policy").await
    }

    async fn update_policy_in(&self, tx: &mut Tx, command: &UpdatePolicy) -> Result<Row> {
        let ctx = tx.ctx().clone();
        let before = self.policy_in(&*tx, &ctx, &command.policy).await.map_err(|error| error.within("policy"))?;
        Managed::expect_version(&before, command.expected_version)?;
        let mut row = before.clone();
        if let Some(name) = &command.name {
            row.set("name", name.as_str().into());
        }
        if !command.description.is_keep() {
            row.set("description", command.description.clone().apply(None).into());
        }
        if let Some(retired) = command.retired {
            row.set("retired", retired.into());
        }
        let kind = PolicyKind::parse(&before.text("kind")).unwrap_or(PolicyKind::Sla);
        let known = self.policy_document_in(&*tx, &ctx, &before).await?;
        let document = match &command.draft {
            Some(draft) => self.document_in(tx, kind, draft).await?,
            None => known.clone(),
        };
        if document != known || row.bool("retired") != before.bool("retired") {
            let number = before.int("number") + 1;
            if number > MAX_VERSIONS as i64 {
                let message = format!("there are {MAX_VERSIONS} versions; no more are allowed");
                return Err(UserError::limit([] as [&str; 0], message, MAX_VERSIONS as u64).into());
            }
            row.set("number", Value::Int(number));
            self.insert_policy_version_in(tx, &row, &document).await?;
        }
        let row = KIND.update_in(tx, POLICY_UPDATED, &before, row).await?;
        Ok(saying(row, &document))
    }

    async fn insert_policy_version_in(&self, tx: &mut Tx, row: &Row, document: &PolicyDocument) -> Result<()> {
        let revision = tables::next_revision_in(tx).await?;
        let version = Row::new(
            &SLA_POLICY_VERSION,
            vec![
                ("id", tx.new_id().into()),
                ("policy", row.id().into()),
                ("number", row.get("number").clone()),
                ("revision", Value::Int(revision)),
                ("active", (!row.bool("retired")).into()),
                ("document", Value::Json(json!(document))),
                ("createdAt", tx.now().into()),
            ],
        );
        query::insert_unique_in(tx, tx.ctx().tenant, &SLA_POLICY_VERSION, &version).await
    }
}
