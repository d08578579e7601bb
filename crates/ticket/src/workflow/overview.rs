//! Reading workflows: the tenant's own, and the defaults that ship.

use std::sync::Arc;

use kernel::{Ctx, Result, Uuid};
use predicate::Predicate;
use store::ConnectionTrait;
use store::query::{self, Row};

use super::library::MAX_WORKFLOWS;
use super::{MAX_VERSIONS, Workflow};
use crate::fields::{WORKFLOW, WORKFLOW_VERSION};
use crate::model::TicketKind;
use crate::service::Tickets;

/// A workflow as the viewer may see it.
#[derive(Clone, Debug)]
pub struct WorkflowOverview {
    /// The stored workflow; `None` for a default one that the tenant has not made its own.
    pub row: Option<Row>,
    /// Its versions, oldest first; a default one's first version is the one that ships.
    pub versions: Vec<VersionOverview>,
}

/// One version of a workflow.
#[derive(Clone, Debug)]
pub struct VersionOverview {
    /// The document.
    pub workflow: Arc<Workflow>,
    /// Whether it is still a draft.
    pub draft: bool,
    /// When it was published; absent for drafts and for the one that ships.
    pub published_at: Option<kernel::Timestamp>,
}

impl Tickets {
    /// All workflows: the tenant's own, by rank and key, and the default ones that are not among them.
    ///
    /// # Errors
    /// Database errors.
    pub async fn workflows(&self, ctx: &Ctx, kind: Option<TicketKind>) -> Result<Vec<WorkflowOverview>> {
        let reader = self.store().read("workflow.list");
        let wanted = kind.map_or_else(Predicate::always, |kind| Predicate::eq("kind", kind.as_str()));
        let rows = self.workflow_rows(&reader, ctx, &wanted).await?;
        let versions = self.all_version_rows(&reader, ctx, &rows).await?;
        let defaults = self.kinds().iter().map(|rules| rules.default_workflow().clone());
        let unowned = defaults
            .filter(|default| kind.is_none_or(|kind| kind == default.kind))
            .filter(|default| rows.iter().all(|row| row.text("key") != default.key))
            .map(|default| WorkflowOverview { row: None, versions: vec![shipped(default)] });
        let mut all: Vec<WorkflowOverview> = unowned.collect();
        for row in rows {
            let own = versions.iter().filter(|version| version.get("workflow").as_id() == Some(row.id()));
            all.push(self.overview(ctx, &row, own)?);
        }
        Ok(all)
    }

    pub(super) fn overview<'a>(
        &self,
        ctx: &Ctx,
        row: &Row,
        versions: impl Iterator<Item = &'a Row>,
    ) -> Result<WorkflowOverview> {
        let mut found: Vec<VersionOverview> =
            self.default_with_key(&row.text("key")).into_iter().map(|default| shipped(default.clone())).collect();
        for version in versions {
            found.push(VersionOverview {
                workflow: self.shown_workflow(ctx, &Arc::new(self.stored_workflow(version)?)),
                draft: version.text("status") == "DRAFT",
                published_at: version.get("publishedAt").as_time(),
            });
        }
        Ok(WorkflowOverview { row: Some(row.clone()), versions: found })
    }

    /// The workflow with this key.
    ///
    /// # Errors
    /// Database errors.
    pub async fn workflow(&self, ctx: &Ctx, key: &str) -> Result<Option<WorkflowOverview>> {
        let reader = self.store().read("workflow.find");
        match self.workflow_rows(&reader, ctx, &Predicate::eq("key", key)).await?.pop() {
            Some(row) => {
                let versions = self.version_rows(&reader, ctx, row.id()).await?;
                Ok(Some(self.overview(ctx, &row, versions.iter())?))
            }
            None => {
                let default = self.default_with_key(key).cloned();
                Ok(default.map(|default| WorkflowOverview { row: None, versions: vec![shipped(default)] }))
            }
        }
    }

    /// The default workflow with this key.
    pub(super) fn default_with_key(&self, key: &str) -> Option<&Arc<Workflow>> {
        self.kinds().iter().map(|rules| rules.default_workflow()).find(|workflow| workflow.key == key)
    }

    pub(super) async fn workflow_rows(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        wanted: &Predicate,
    ) -> Result<Vec<Row>> {
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let mut rows = query::all(connection, &scoped, &WORKFLOW, wanted, &[], MAX_WORKFLOWS as u64).await?;
        rows.sort_by_key(|row| (row.int("rank"), row.text("key")));
        Ok(rows)
    }

    pub(super) async fn version_rows(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        workflow: Uuid,
    ) -> Result<Vec<Row>> {
        self.versions_where(connection, ctx, &Predicate::eq("workflow", workflow), MAX_VERSIONS).await
    }

    async fn all_version_rows(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        workflows: &[Row],
    ) -> Result<Vec<Row>> {
        let ids: Vec<Uuid> = workflows.iter().map(Row::id).collect();
        self.versions_where(connection, ctx, &Predicate::one_of("workflow", &ids), MAX_VERSIONS * 10).await
    }

    async fn versions_where(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        wanted: &Predicate,
        most: usize,
    ) -> Result<Vec<Row>> {
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let mut rows = query::all(connection, &scoped, &WORKFLOW_VERSION, wanted, &[], most as u64).await?;
        rows.sort_by_key(|row| row.int("number"));
        Ok(rows)
    }

    /// The workflow with this id.
    ///
    /// # Errors
    /// Database errors.
    pub async fn workflow_by_id(&self, ctx: &Ctx, id: Uuid) -> Result<Option<WorkflowOverview>> {
        let reader = self.store().read("workflow.find");
        let Some(row) = self.workflow_rows(&reader, ctx, &Predicate::eq("id", id)).await?.pop() else {
            return Ok(None);
        };
        let versions = self.version_rows(&reader, ctx, row.id()).await?;
        self.overview(ctx, &row, versions.iter()).map(Some)
    }
}

fn shipped(workflow: Arc<Workflow>) -> VersionOverview {
    VersionOverview { workflow, draft: false, published_at: None }
}
