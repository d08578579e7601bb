//! Mutations of workflows.

use async_graphql::{Context, Object, Result, SimpleObject};
use kernel::Ctx;
use ticket::workflow::{CreateWorkflow, PublishWorkflow, StateMapping, UpdateWorkflow, WorkflowOutcome};

use super::inputs::{
    WorkflowCreateInput, WorkflowPublishInput, WorkflowUpdateInput, WorkflowValidateInput, filter_patch,
};
use super::types::Workflow;
use crate::context::{mutation, platform};
use crate::tickets::event_log::from_store;
use crate::tickets::events::Event;
use crate::user_error::{UserError, part};

/// Where new workflows stand among others.
const RANK: i32 = 100;

macro_rules! workflow_payload {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(SimpleObject)]
        pub struct $name {
            /// The workflow; null when it was not done.
            pub workflow: Option<Workflow>,
            /// What was recorded.
            pub events: Vec<Event>,
            /// What the user can mend. Paths lead into the document.
            pub user_errors: Vec<UserError>,
        }

        impl $name {
            fn of(ctx: &Context<'_>, viewer: &Ctx, result: kernel::Result<WorkflowOutcome>) -> Result<Self> {
                let (done, user_errors) = part(result)?;
                let (workflow, events) = done.map_or((None, Vec::new()), |done| (done.overview, done.events));
                let events = from_store(viewer, platform(ctx), events);
                Ok(Self { workflow: workflow.map(Workflow), events, user_errors })
            }
        }
    };
}

workflow_payload! {
    /// The workflow that was made.
    WorkflowCreatePayload
}
workflow_payload! {
    /// The workflow that was changed.
    WorkflowUpdatePayload
}
workflow_payload! {
    /// The workflow whose draft was published.
    WorkflowPublishPayload
}

/// Whether a document is a workflow.
#[derive(SimpleObject)]
pub struct WorkflowValidatePayload {
    /// Whether it could be drafted and published.
    pub valid: bool,
    /// What is wrong with it. Paths lead into the document.
    pub user_errors: Vec<UserError>,
}

/// Mutations of workflows.
#[derive(Default)]
pub struct WorkflowMutations;

#[Object]
impl WorkflowMutations {
    /// Makes a workflow with its first draft, which nobody follows until it is published. Needs `settings.manage`.
    async fn workflow_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The workflow.")] input: WorkflowCreateInput,
    ) -> Result<WorkflowCreatePayload> {
        let viewer = mutation(ctx)?;
        let command = CreateWorkflow {
            filter: input.filter.map(|filter| filter.0).filter(|filter| !filter.is_null()),
            rank: input.rank.unwrap_or(RANK),
            document: input.document.into_document(input.key, input.name, input.kind),
        };
        WorkflowCreatePayload::of(ctx, &viewer, platform(ctx).tickets.create_workflow(&viewer, command).await)
    }

    /// Changes a workflow; a new document replaces its draft or begins one. Needs `settings.manage`.
    async fn workflow_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which workflow, and what changes.")] input: WorkflowUpdateInput,
    ) -> Result<WorkflowUpdatePayload> {
        let viewer = mutation(ctx)?;
        let document = input.document.map(|document| {
            // Key, name and kind are the workflow's own.
            document.into_document(input.key.clone(), String::new(), crate::tickets::words::TicketKind::Incident)
        });
        let command = UpdateWorkflow {
            key: input.key,
            name: input.name,
            filter: filter_patch(input.filter),
            rank: input.rank,
            document,
            expected_version: input.expected_version,
        };
        WorkflowUpdatePayload::of(ctx, &viewer, platform(ctx).tickets.update_workflow(&viewer, command).await)
    }

    /// Checks a document without keeping anything. Needs `settings.manage`.
    async fn workflow_validate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The document, and the kind of tickets that it is for.")] input: WorkflowValidateInput,
    ) -> Result<WorkflowValidatePayload> {
        let viewer = mutation(ctx)?;
        let document = input.document.into_document("draft".into(), "Draft".into(), input.kind);
        let (valid, user_errors) = part(platform(ctx).tickets.validate_workflow(&viewer, document).await)?;
        Ok(WorkflowValidatePayload { valid: valid.is_some(), user_errors })
    }

    /// Publishes a workflow's draft: new tickets get it from now on. Open ones stay on their version, or are moved by `migrate`
    /// in the background, each with an event. Needs `settings.manage`.
    async fn workflow_publish(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which workflow, and what becomes of open tickets.")] input: WorkflowPublishInput,
    ) -> Result<WorkflowPublishPayload> {
        let viewer = mutation(ctx)?;
        let migrate = input.migrate.map(|mapping| mapping.into_iter().map(StateMapping::from).collect());
        let command = PublishWorkflow { key: input.key, migrate, expected_version: input.expected_version };
        WorkflowPublishPayload::of(ctx, &viewer, platform(ctx).tickets.publish_workflow(&viewer, command).await)
    }
}
