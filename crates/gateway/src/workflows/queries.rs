//! Queries of workflows.

use async_graphql::{Context, Object, Result};
use kernel::UserError;

use super::types::{Workflow, WorkflowDifference};
use crate::context::{platform, viewer};
use crate::tickets::words::TicketKind;

/// Queries of workflows.
#[derive(Default)]
pub struct WorkflowQueries;

#[Object]
impl WorkflowQueries {
    /// A workflow by its key, such as `incident`. Null when there is none.
    async fn workflow(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The workflow's key.")] key: String,
    ) -> Option<Result<Workflow>> {
        let found = async {
            let found = platform(ctx).tickets.workflow(&viewer(ctx)?, &key).await?;
            Ok(found.filter(|found| !found.versions.is_empty()).map(Workflow))
        };
        // Turned inside out, an error leaves the other fields of the document alone.
        found.await.transpose()
    }

    /// All workflows, at most 100 of the tenant's own and the defaults that ship.
    async fn workflows(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of this kind of tickets only.")] kind: Option<TicketKind>,
    ) -> Result<Vec<Workflow>> {
        let found = platform(ctx).tickets.workflows(&viewer(ctx)?, kind.map(Into::into)).await?;
        Ok(found.into_iter().filter(|found| !found.versions.is_empty()).map(Workflow).collect())
    }

    /// What differs between two versions of a workflow. Drafts are for those with `settings.manage`.
    async fn workflow_diff(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The workflow's key.")] key: String,
        #[graphql(desc = "The number of the version before.")] from: i32,
        #[graphql(desc = "The number of the version after.")] to: i32,
    ) -> Result<Vec<WorkflowDifference>> {
        let found = platform(ctx).tickets.workflow(&viewer(ctx)?, &key).await?;
        let found = found.ok_or_else(|| kernel::Error::from(UserError::not_found(["key"], "the workflow")))?;
        let version = |number: i32, path: &str| {
            let of_number =
                found.versions.iter().find(|version| i64::from(version.workflow.version) == i64::from(number));
            of_number.ok_or_else(|| kernel::Error::from(UserError::not_found([path], "the version")))
        };
        let differences = ticket::workflow::difference(&version(from, "from")?.workflow, &version(to, "to")?.workflow);
        Ok(differences.into_iter().map(WorkflowDifference::from).collect())
    }
}
