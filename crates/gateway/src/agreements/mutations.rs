//! Mutations of agreements, requirements, reviews and improvements.

use async_graphql::{Context, Object, Result};

use super::inputs::{
    ServiceAgreementCreateInput, ServiceAgreementUpdateInput, ServiceImprovementCreateInput,
    ServiceImprovementUpdateInput, ServiceLevelRequirementCreateInput, ServiceLevelRequirementUpdateInput,
    ServiceReviewActionAddInput, ServiceReviewCreateInput, ServiceReviewUpdateInput,
};
use super::{ServiceAgreement, ServiceImprovement, ServiceLevelRequirement, ServiceReview};
use crate::context::{mutation, platform};
use crate::payload::{outcome, payload};
use crate::tasks::Task;

payload! {
    /// The agreement that was added.
    ServiceAgreementCreatePayload {
        /// The agreement; null when it was not done.
        service_agreement: ServiceAgreement
    }
}

payload! {
    /// The agreement after it was changed.
    ServiceAgreementUpdatePayload {
        /// The agreement; null when it was not done.
        service_agreement: ServiceAgreement
    }
}

payload! {
    /// The requirement that was added.
    ServiceLevelRequirementCreatePayload {
        /// The requirement; null when it was not done.
        service_level_requirement: ServiceLevelRequirement
    }
}

payload! {
    /// The requirement after it was changed.
    ServiceLevelRequirementUpdatePayload {
        /// The requirement; null when it was not done.
        service_level_requirement: ServiceLevelRequirement
    }
}

payload! {
    /// The review that was made.
    ServiceReviewCreatePayload {
        /// The review; null when it was not done.
        service_review: ServiceReview
    }
}

payload! {
    /// The review after it was changed.
    ServiceReviewUpdatePayload {
        /// The review; null when it was not done.
        service_review: ServiceReview
    }
}

payload! {
    /// The improvement that was added.
    ServiceImprovementCreatePayload {
        /// The improvement; null when it was not done.
        service_improvement: ServiceImprovement
    }
}

payload! {
    /// The improvement after it was changed.
    ServiceImprovementUpdatePayload {
        /// The improvement; null when it was not done.
        service_improvement: ServiceImprovement
    }
}

payload! {
    /// The task that came out of a review.
    ServiceReviewActionAddPayload {
        /// The task; null when it was not done.
        task: Task
    }
}

/// Mutations of service level management.
#[derive(Default)]
pub struct AgreementMutations;

#[Object]
impl AgreementMutations {
    /// Adds an agreement on service levels, as a draft. Needs `agreement.manage`.
    async fn service_agreement_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The agreement.")] input: ServiceAgreementCreateInput,
    ) -> Result<ServiceAgreementCreatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).agreements.create_agreement(&viewer, command).await,
            Err(error) => Err(error),
        };
        ServiceAgreementCreatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Changes an agreement on service levels: also agrees and terminates it. Needs `agreement.manage`.
    async fn service_agreement_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which agreement, and what changes.")] input: ServiceAgreementUpdateInput,
    ) -> Result<ServiceAgreementUpdatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).agreements.update_agreement(&viewer, command).await,
            Err(error) => Err(error),
        };
        ServiceAgreementUpdatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Adds a service level requirement. Needs `agreement.manage`.
    async fn service_level_requirement_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The requirement.")] input: ServiceLevelRequirementCreateInput,
    ) -> Result<ServiceLevelRequirementCreatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.draft() {
            Ok(draft) => platform(ctx).agreements.create_requirement(&viewer, draft).await,
            Err(error) => Err(error),
        };
        ServiceLevelRequirementCreatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Changes a service level requirement. Needs `agreement.manage`.
    async fn service_level_requirement_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which requirement, and what changes.")] input: ServiceLevelRequirementUpdateInput,
    ) -> Result<ServiceLevelRequirementUpdatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).agreements.update_requirement(&viewer, command).await,
            Err(error) => Err(error),
        };
        ServiceLevelRequirementUpdatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Makes a service review: its figures are counted now, of all tickets of the agreement, and stay. Needs `agreement.manage`.
    async fn service_review_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of which agreement and time, and what is to be written.")] input: ServiceReviewCreateInput,
    ) -> Result<ServiceReviewCreatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).agreements.create_review(&viewer, command).await,
            Err(error) => Err(error),
        };
        ServiceReviewCreatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Changes an open service review, or closes it. Needs `agreement.manage`.
    async fn service_review_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which review, and what changes.")] input: ServiceReviewUpdateInput,
    ) -> Result<ServiceReviewUpdatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).agreements.update_review(&viewer, command).await,
            Err(error) => Err(error),
        };
        ServiceReviewUpdatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Adds an entry to the service improvement register. Needs `agreement.manage`.
    async fn service_improvement_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The improvement.")] input: ServiceImprovementCreateInput,
    ) -> Result<ServiceImprovementCreatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.draft() {
            Ok(draft) => platform(ctx).agreements.create_improvement(&viewer, draft).await,
            Err(error) => Err(error),
        };
        ServiceImprovementCreatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Changes an entry of the service improvement register. Needs `agreement.manage`.
    async fn service_improvement_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which improvement, and what changes.")] input: ServiceImprovementUpdateInput,
    ) -> Result<ServiceImprovementUpdatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).agreements.update_improvement(&viewer, command).await,
            Err(error) => Err(error),
        };
        ServiceImprovementUpdatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Adds an action to an open service review: a task that belongs to no ticket. Whoever adds it is its requester. Needs
    /// `agreement.manage` and `ticket.create`.
    async fn service_review_action_add(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which review, and what to do.")] input: ServiceReviewActionAddInput,
    ) -> Result<ServiceReviewActionAddPayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).agreements.add_review_action(&viewer, command).await,
            Err(error) => Err(error),
        };
        ServiceReviewActionAddPayload::of(ctx, &viewer, result)
    }
}
