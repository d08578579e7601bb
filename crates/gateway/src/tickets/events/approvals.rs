//! What events of approvals show.

use std::sync::Arc;

use async_graphql::{Context, Object, Result};

use super::EventView;
use crate::approvals::types::{self, Approval, ApprovalState, ApprovalVoteState};
use crate::people::User;

/// What all events of an approval show.
pub(super) struct ApprovalFields(pub(super) Arc<EventView>);

#[Object]
impl ApprovalFields {
    /// The approval; null when the viewer may not see it.
    pub async fn approval(&self, ctx: &Context<'_>) -> Result<Option<Approval>> {
        match self.0.payload_id("approval") {
            Some(id) => types::find(ctx, id).await,
            None => Ok(None),
        }
    }
}

/// What the event of an approval that was asked for shows.
pub(super) struct ApprovalStartedFields(pub(super) Arc<EventView>);

#[Object]
impl ApprovalStartedFields {
    #[graphql(flatten)]
    fn approval(&self) -> ApprovalFields {
        ApprovalFields(self.0.clone())
    }

    /// The key of the transition whose effect it is; null when somebody asked for it.
    pub async fn transition(&self) -> Option<&str> {
        self.0.payload_text("transition")
    }
}

/// What the event of a step that began to ask shows.
pub(super) struct ApprovalStepFields(pub(super) Arc<EventView>);

#[Object]
impl ApprovalStepFields {
    #[graphql(flatten)]
    fn approval(&self) -> ApprovalFields {
        ApprovalFields(self.0.clone())
    }

    /// Whether it asks the administrators because nobody else was left.
    pub async fn to_administrators(&self) -> bool {
        self.0.payload_says("toAdministrators")
    }
}

/// What the event of a vote shows.
pub(super) struct ApprovalDecidedFields(pub(super) Arc<EventView>);

#[Object]
impl ApprovalDecidedFields {
    #[graphql(flatten)]
    fn approval(&self) -> ApprovalFields {
        ApprovalFields(self.0.clone())
    }

    /// Whose vote it is.
    pub async fn approver(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        self.0.payload_user(ctx, "approver").await
    }

    /// The person who decided: the approver, or their delegate. `actor` is the service account that passed it on,
    /// where one did.
    pub async fn decided_by(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        self.0.payload_user(ctx, "decidedBy").await
    }

    /// What was said.
    pub async fn vote(&self) -> Option<ApprovalVoteState> {
        ApprovalVoteState::parse(self.0.payload_text("vote")?)
    }
}

/// What the event of an approval that is over shows.
pub(super) struct ApprovalCompletedFields(pub(super) Arc<EventView>);

#[Object]
impl ApprovalCompletedFields {
    #[graphql(flatten)]
    fn approval(&self) -> ApprovalFields {
        ApprovalFields(self.0.clone())
    }

    /// What it has come to.
    pub async fn outcome(&self) -> Option<ApprovalState> {
        ApprovalState::parse(self.0.payload_text("outcome")?)
    }
}

/// What the event of a delegate shows.
pub(super) struct ApprovalDelegatedFields(pub(super) Arc<EventView>);

#[Object]
impl ApprovalDelegatedFields {
    #[graphql(flatten)]
    fn approval(&self) -> ApprovalFields {
        ApprovalFields(self.0.clone())
    }

    /// Who is asked.
    pub async fn approver(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        self.0.payload_user(ctx, "approver").await
    }

    /// Who may vote for them; null when nobody may any more.
    pub async fn delegate(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        self.0.payload_user(ctx, "delegate").await
    }
}
