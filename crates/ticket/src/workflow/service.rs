//! Making, changing and publishing workflows of a tenant's own.

use access::permission::SETTINGS_MANAGE;
use kernel::error::Problems;
use kernel::{Ctx, Error, Id, Patch, Result, UserError, id};
use predicate::{Predicate, Value};
use serde_json::{Value as Json, json};
use store::query::{self, Row};
use store::{NewJob, RecordRef, Tx, Written};

use super::library::MAX_WORKFLOWS;
use super::migrate::{MIGRATE, StateMapping};
use super::validate::check_categories;
use super::{Workflow, WorkflowOverview};
use crate::commands::{check_key, check_text};
use crate::events::setting_event;
use crate::fields::{WORKFLOW, WORKFLOW_VERSION};
use crate::model::{MAX_TITLE, TicketKind};
use crate::service::Tickets;

/// The event that a new workflow leaves behind.
pub const CREATED: &str = "WorkflowCreated";
/// The event that a changed workflow leaves behind.
pub const UPDATED: &str = "WorkflowUpdated";
/// The event that a published version leaves behind.
pub const PUBLISHED: &str = "WorkflowPublished";
/// How many versions one workflow may have.
pub const MAX_VERSIONS: usize = 500;

/// Make a workflow: its first version is a draft.
#[derive(Clone, Debug)]
pub struct CreateWorkflow {
    /// Which of the new tickets of its kind follow it, as a `TicketFilter`; all when absent.
    pub filter: Option<Json>,
    /// Which of several workflows is looked at first: the least.
    pub rank: i32,
    /// The document, with key, name and kind.
    pub document: Workflow,
}

/// Change a workflow. A new document makes or replaces the draft.
#[derive(Clone, Debug)]
pub struct UpdateWorkflow {
    /// Its key.
    pub key: String,
    /// A new name.
    pub name: Option<String>,
    /// Which of the new tickets follow it.
    pub filter: Patch<Json>,
    /// Which of several workflows is looked at first.
    pub rank: Option<i32>,
    /// The document; key, kind and version in it are ignored.
    pub document: Option<Workflow>,
    /// Refuse when the workflow has another version.
    pub expected_version: Option<i32>,
}

/// Publish a workflow's draft.
#[derive(Clone, Debug)]
pub struct PublishWorkflow {
    /// Its key.
    pub key: String,
    /// Whether open tickets that follow an earlier version are moved to this one, and their states to which; absent: they stay.
    pub migrate: Option<Vec<StateMapping>>,
    /// Refuse when the workflow has another version.
    pub expected_version: Option<i32>,
}

/// What a mutation of a workflow answers.
#[derive(Clone, Debug)]
pub struct WorkflowOutcome {
    /// The workflow with its versions.
    pub overview: Option<WorkflowOverview>,
    /// What was recorded.
    pub events: Vec<store::Event>,
}

impl Tickets {
    /// Makes a workflow with its first draft. One with the key of a kind's default workflow becomes its next version.
    ///
    /// # Errors
    /// `FORBIDDEN` without `settings.manage`; `VALIDATION` with paths into the input; `CONFLICT` when the key is taken; `LIMIT`.
    pub async fn create_workflow(&self, ctx: &Ctx, mut command: CreateWorkflow) -> Result<WorkflowOutcome> {
        self.access().require_tenant(ctx, SETTINGS_MANAGE)?;
        let mut problems = Problems::default();
        check_key(&mut problems, &command.document.key);
        check_name(&command.document.name, &mut problems);
        let binding = (command.document.kind, command.filter.as_ref());
        self.check_binding(&self.store().read("customField.list"), ctx, binding, &mut problems).await?;
        problems.check()?;
        let first = match self.default_with_key(&command.document.key) {
            Some(default) if default.kind == command.document.kind => 2,
            Some(_) => {
                let message = format!("`{}` is the default workflow of another kind", command.document.key);
                return Err(UserError::taken(["key"], message).into());
            }
            None => 1,
        };
        command.document.version = first;
        let tickets = self.clone();
        let written = self
            .store()
            .write(ctx, "workflowCreate", move |tx| {
                let (tickets, command) = (tickets.clone(), command.clone());
                Box::pin(async move {
                    tickets
                        .check_document_in(tx, &tx.ctx().clone(), &command.document)
                        .await
                        .map_err(|error| error.within("document"))?;
                    let row = tickets.create_workflow_in(tx, &command).await?;
                    tickets.answer_in(tx, &row).await
                })
            })
            .await?;
        self.workflow_outcome(ctx, written).await
    }

    async fn create_workflow_in(&self, tx: &mut Tx, command: &CreateWorkflow) -> Result<Row> {
        let ctx = tx.ctx().clone();
        let document = &command.document;
        let all = self.workflow_rows(tx, &ctx, &Predicate::always()).await?;
        if all.iter().any(|row| row.text("key") == document.key) {
            let message = format!("there is a workflow `{}` already", document.key);
            return Err(UserError::taken(["key"], message).into());
        }
        if all.len() >= MAX_WORKFLOWS {
            let message = format!("there are {MAX_WORKFLOWS} workflows; that is the limit");
            return Err(UserError::limit([] as [&str; 0], message, MAX_WORKFLOWS as u64).into());
        }
        let row = Row::new(
            &WORKFLOW,
            vec![
                ("id", ctx.new_id().into()),
                ("key", document.key.as_str().into()),
                ("name", document.name.trim().into()),
                ("kind", document.kind.as_str().into()),
                ("filter", command.filter.clone().map_or(Value::Null, Value::Json)),
                ("rank", command.rank.into()),
                ("published", Value::Null),
                ("version", 1.into()),
                ("createdAt", tx.now().into()),
                ("updatedAt", tx.now().into()),
            ],
        );
        query::insert_unique_in(tx, ctx.tenant, &WORKFLOW, &row).await?;
        self.insert_draft_in(tx, &row, document).await?;
        let told = ["key", "name", "kind", "filter", "rank"].map(|field| (field, Value::Null));
        tx.emit(setting_event(
            CREATED,
            "workflow",
            &row,
            &told,
            json!({ "key": document.key, "draft": document.version }),
        ));
        Ok(row)
    }

    async fn insert_draft_in(&self, tx: &mut Tx, workflow: &Row, document: &Workflow) -> Result<()> {
        let ctx = tx.ctx().clone();
        let draft = Row::new(
            &WORKFLOW_VERSION,
            vec![
                ("id", ctx.new_id().into()),
                ("workflow", workflow.id().into()),
                ("number", i32::try_from(document.version).unwrap_or(i32::MAX).into()),
                ("document", Value::Json(serde_json::to_value(document).map_err(Error::internal)?)),
                ("status", "DRAFT".into()),
                ("publishedAt", Value::Null),
                ("createdAt", tx.now().into()),
            ],
        );
        query::insert_unique_in(tx, ctx.tenant, &WORKFLOW_VERSION, &draft).await
    }

    /// Changes a workflow; a document makes or replaces its draft.
    ///
    /// # Errors
    /// As [`Tickets::create_workflow`]; `NOT_FOUND`; `CONFLICT` with the current version.
    pub async fn update_workflow(&self, ctx: &Ctx, command: UpdateWorkflow) -> Result<WorkflowOutcome> {
        self.access().require_tenant(ctx, SETTINGS_MANAGE)?;
        if let Some(name) = &command.name {
            let mut problems = Problems::default();
            check_name(name, &mut problems);
            problems.check()?;
        }
        let tickets = self.clone();
        let written = self
            .store()
            .write(ctx, "workflowUpdate", move |tx| {
                let (tickets, command) = (tickets.clone(), command.clone());
                Box::pin(async move {
                    let row = tickets.update_workflow_in(tx, &command).await?;
                    tickets.answer_in(tx, &row).await
                })
            })
            .await?;
        self.library().published(ctx.tenant);
        self.workflow_outcome(ctx, written).await
    }

    async fn update_workflow_in(&self, tx: &mut Tx, command: &UpdateWorkflow) -> Result<Row> {
        let before = self.workflow_in(tx, &command.key, command.expected_version).await?;
        let kind = kind_of(&before)?;
        let mut row = before.clone();
        if let Some(name) = &command.name {
            row.set("name", name.trim().into());
        }
        if let Some(rank) = command.rank {
            row.set("rank", rank.into());
        }
        match &command.filter {
            Patch::Keep => {}
            Patch::Clear => row.set("filter", Value::Null),
            Patch::Set(filter) => {
                let mut problems = Problems::default();
                let ctx = tx.ctx().clone();
                self.check_binding(&*tx, &ctx, (kind, Some(filter)), &mut problems).await?;
                problems.check()?;
                row.set("filter", Value::Json(filter.clone()));
            }
        }
        let mut payload = json!({ "key": command.key });
        if let Some(document) = &command.document {
            let mut document = document.clone();
            (document.key, document.kind, document.name) = (command.key.clone(), kind, row.text("name"));
            document.version = self.write_draft_in(tx, &row, &document).await?;
            payload["draft"] = json!(document.version);
        }
        let changed: Vec<_> = before.fields().iter().filter(|(name, value)| row.get(name) != value).cloned().collect();
        if changed.is_empty() && command.document.is_none() {
            return Ok(row);
        }
        self.save_workflow_in(tx, &before, &mut row).await?;
        tx.emit(setting_event(UPDATED, "workflow", &row, &changed, payload));
        Ok(row)
    }

    /// Replaces the draft, or begins one behind the last version. Answers its number.
    async fn write_draft_in(&self, tx: &mut Tx, workflow: &Row, document: &Workflow) -> Result<u32> {
        let versions = self.version_rows(tx, &tx.ctx().clone(), workflow.id()).await?;
        let mut document = document.clone();
        let last = versions.last().map_or(0, |row| row.int("number"));
        let draft = versions.iter().find(|row| row.text("status") == "DRAFT");
        let number = draft.map_or(last + 1, |row| row.int("number"));
        document.version = u32::try_from(number).unwrap_or(u32::MAX);
        self.check_document_in(tx, &tx.ctx().clone(), &document).await.map_err(|error| error.within("document"))?;
        match draft {
            Some(draft) => {
                let tenant = tx.ctx().tenant;
                let stored = Value::Json(serde_json::to_value(&document).map_err(Error::internal)?);
                query::update_in(tx, tenant, &WORKFLOW_VERSION, draft.id(), None, &[("document", stored)]).await?;
            }
            None if versions.len() >= MAX_VERSIONS => {
                let message = format!("the workflow has {MAX_VERSIONS} versions; that is the limit");
                return Err(UserError::limit(["document"], message, MAX_VERSIONS as u64).into());
            }
            None => self.insert_draft_in(tx, workflow, &document).await?,
        }
        Ok(document.version)
    }

    /// Publishes a workflow's draft: from now on new tickets get it. Open tickets stay on their version, or are moved in the
    /// background.
    ///
    /// # Errors
    /// `FORBIDDEN`, `NOT_FOUND`, `CONFLICT`; `VALIDATION` when there is no draft, when the draft is no longer valid, or
    /// when a state that open tickets are in is gone and `migrate` does not map it.
    pub async fn publish_workflow(&self, ctx: &Ctx, command: PublishWorkflow) -> Result<WorkflowOutcome> {
        self.access().require_tenant(ctx, SETTINGS_MANAGE)?;
        let tickets = self.clone();
        let written = self
            .store()
            .write(ctx, "workflowPublish", move |tx| {
                let (tickets, command) = (tickets.clone(), command.clone());
                Box::pin(async move {
                    let row = tickets.publish_workflow_in(tx, &command).await?;
                    tickets.answer_in(tx, &row).await
                })
            })
            .await?;
        self.library().published(ctx.tenant);
        self.workflow_outcome(ctx, written).await
    }

    async fn publish_workflow_in(&self, tx: &mut Tx, command: &PublishWorkflow) -> Result<Row> {
        let ctx = tx.ctx().clone();
        let before = self.workflow_in(tx, &command.key, command.expected_version).await?;
        let versions = self.version_rows(tx, &ctx, before.id()).await?;
        let Some(draft) = versions.iter().find(|row| row.text("status") == "DRAFT") else {
            let message = format!("`{}` has no draft: give it a new `document` by `workflowUpdate` first", command.key);
            return Err(UserError::constraint(["key"], message, "draft", None).into());
        };
        let document = self.stored_workflow(draft)?;
        self.check_document_in(tx, &ctx, &document).await?;
        let mut earlier: Vec<Workflow> =
            self.default_with_key(&command.key).into_iter().map(|found| (**found).clone()).collect();
        for row in versions.iter().filter(|row| row.text("status") == "PUBLISHED") {
            earlier.push(self.stored_workflow(row)?);
        }
        check_categories(&earlier, &document)?;
        if let Some(mapping) = &command.migrate {
            self.check_mapping_in(tx, &earlier, &document, mapping).await?;
        }
        let number = draft.int("number");
        let published = [("status", Value::from("PUBLISHED")), ("publishedAt", tx.now().into())];
        query::update_in(tx, ctx.tenant, &WORKFLOW_VERSION, draft.id(), None, &published).await?;
        let mut row = before.clone();
        row.set("published", i32::try_from(number).unwrap_or(i32::MAX).into());
        self.save_workflow_in(tx, &before, &mut row).await?;
        if let Some(mapping) = &command.migrate {
            tx.enqueue(NewJob {
                kind: MIGRATE,
                tenant: ctx.tenant,
                unique_key: Some(command.key.clone()),
                run_at: tx.now(),
                payload: json!({ "workflow": command.key, "version": number, "mapping": mapping }),
            });
        }
        let told = [("published", before.get("published").clone())];
        tx.emit(setting_event(PUBLISHED, "workflow", &row, &told, json!({ "key": command.key, "version": number })));
        Ok(row)
    }

    async fn save_workflow_in(&self, tx: &mut Tx, before: &Row, row: &mut Row) -> Result<()> {
        let version = i32::try_from(before.int("version")).unwrap_or(i32::MAX);
        row.set("version", (version + 1).into());
        row.set("updatedAt", tx.now().into());
        let differs = |(name, value): &&(&'static str, Value)| before.get(name) != value;
        let values: Vec<_> = row.fields().iter().filter(differs).cloned().collect();
        let tenant = tx.ctx().tenant;
        match query::update_in(tx, tenant, &WORKFLOW, row.id(), Some(version), &values).await? {
            true => Ok(()),
            false => Err(tx.retry()),
        }
    }

    async fn workflow_in(&self, tx: &mut Tx, key: &str, expected: Option<i32>) -> Result<Row> {
        let ctx = tx.ctx().clone();
        let found = self.workflow_rows(tx, &ctx, &Predicate::eq("key", key)).await?.pop();
        let row = found.ok_or_else(|| match self.default_with_key(key) {
            Some(_) => {
                let message = format!(
                    "`{key}` is the default that ships: make it your own by `workflowCreate` with the same key"
                );
                UserError::constraint(["key"], message, "default", None)
            }
            None => UserError::not_found(["key"], "the workflow"),
        })?;
        let version = i32::try_from(row.int("version")).unwrap_or(i32::MAX);
        match expected {
            Some(expected) if expected != version => Err(UserError::stale(version).into()),
            _ => Ok(row),
        }
    }

    /// What a write answers: read inside it, so that a dry run answers the same.
    async fn answer_in(&self, tx: &mut Tx, row: &Row) -> Result<WorkflowOverview> {
        let version = i32::try_from(row.int("version")).unwrap_or(i32::MAX);
        tx.answers_with(RecordRef { id: Id::new(id::prefix::WORKFLOW, row.id()), version });
        let ctx = tx.ctx().clone();
        let versions = self.version_rows(tx, &ctx, row.id()).await?;
        self.overview(&ctx, row, versions.iter())
    }

    async fn workflow_outcome(&self, ctx: &Ctx, written: Written<WorkflowOverview>) -> Result<WorkflowOutcome> {
        let events = self.events_of(ctx, &written).await?;
        let overview = match written {
            Written::Fresh { value, .. } => Some(value),
            Written::Replayed { record, .. } => self.workflow_by_id(ctx, record.id.uuid).await?,
        };
        Ok(WorkflowOutcome { overview, events })
    }
}

fn kind_of(row: &Row) -> Result<TicketKind> {
    TicketKind::parse(&row.text("kind")).ok_or_else(|| Error::internal("a workflow of no kind"))
}

fn check_name(name: &str, problems: &mut Problems) {
    check_text(problems, "name", name, MAX_TITLE);
}
