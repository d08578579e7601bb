//! Reading agreements, requirements, reviews and improvements.

use agreement::{AGREEMENT, IMPROVEMENT, REQUIREMENT, REVIEW};
use async_graphql::{Context, ID, Object, Result};
use kernel::id::prefix;
use predicate::RecordType;
use store::query::Row;

use super::filters::{
    ServiceAgreementFilter, ServiceAgreementOrder, ServiceImprovementFilter, ServiceImprovementOrder,
    ServiceLevelRequirementFilter, ServiceLevelRequirementOrder, ServiceReviewFilter, ServiceReviewOrder,
};
use super::inputs::{ServiceAgreementRef, parse};
use super::reviews::{ServiceReview, ServiceReviewConnection};
use super::types::{
    ServiceAgreement, ServiceAgreementConnection, ServiceImprovement, ServiceImprovementConnection,
    ServiceLevelRequirement, ServiceLevelRequirementConnection,
};
use crate::connection::page;
use crate::context::{platform, viewer};
use crate::people::filters::argument;
use crate::people::queries::list;
use crate::scalars::Cursor;

/// Queries of service level management.
#[derive(Default)]
pub struct AgreementQueries;

#[Object]
impl AgreementQueries {
    /// An agreement on service levels. Null when there is none that the viewer may see.
    async fn service_agreement(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which, as in `{ key: \"e-mail-2026\" }` or `{ id: \"agr_01jcz8…\" }`.")]
        by: ServiceAgreementRef,
    ) -> Option<Result<ServiceAgreement>> {
        find_agreement(ctx, by).await.transpose()
    }

    /// The agreements on service levels that the viewer may see, by name unless `orderBy` says otherwise.
    #[allow(clippy::too_many_arguments)]
    async fn service_agreements(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which; all when left out.")] filter: Option<ServiceAgreementFilter>,
        #[graphql(desc = "In which order, at most 5 terms; by name when left out.")] order_by: Option<
            Vec<ServiceAgreementOrder>,
        >,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<ServiceAgreementConnection> {
        viewer(ctx)?;
        let filter = argument(filter, ServiceAgreementFilter::predicate)?;
        let (order, page) = (ServiceAgreementOrder::terms(order_by)?, page(first, after, last, before)?);
        let (slice, log_cursor) = list(ctx, &AGREEMENT, filter.clone(), order, page).await?;
        Ok(ServiceAgreementConnection::new(slice, Some((&AGREEMENT, filter)), log_cursor))
    }

    /// A service level requirement. Null when there is none that the viewer may see.
    async fn service_level_requirement(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The requirement's id, such as `slr_01jcz8…`.")] id: ID,
    ) -> Option<Result<ServiceLevelRequirement>> {
        let found = find(ctx, &REQUIREMENT, &id, prefix::SERVICE_LEVEL_REQUIREMENT).await;
        found.map(|row| row.map(ServiceLevelRequirement::from_row)).transpose()
    }

    /// The service level requirements that the viewer may see, by title unless `orderBy` says otherwise.
    #[allow(clippy::too_many_arguments)]
    async fn service_level_requirements(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which; all when left out.")] filter: Option<ServiceLevelRequirementFilter>,
        #[graphql(desc = "In which order, at most 5 terms; by title when left out.")] order_by: Option<
            Vec<ServiceLevelRequirementOrder>,
        >,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<ServiceLevelRequirementConnection> {
        viewer(ctx)?;
        let filter = argument(filter, ServiceLevelRequirementFilter::predicate)?;
        let (order, page) = (ServiceLevelRequirementOrder::terms(order_by)?, page(first, after, last, before)?);
        let (slice, log_cursor) = list(ctx, &REQUIREMENT, filter.clone(), order, page).await?;
        Ok(ServiceLevelRequirementConnection::new(slice, Some((&REQUIREMENT, filter)), log_cursor))
    }

    /// A service review. Null when there is none that the viewer may see.
    async fn service_review(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The review's id, such as `rev_01jcz8…`.")] id: ID,
    ) -> Option<Result<ServiceReview>> {
        let found = find(ctx, &REVIEW, &id, prefix::SERVICE_REVIEW).await;
        found.map(|row| row.map(ServiceReview::from_row)).transpose()
    }

    /// The service reviews that the viewer may see, by where their time begins unless `orderBy` says otherwise.
    #[allow(clippy::too_many_arguments)]
    async fn service_reviews(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which; all when left out.")] filter: Option<ServiceReviewFilter>,
        #[graphql(desc = "In which order, at most 5 terms; by where their time begins when left out.")]
        order_by: Option<Vec<ServiceReviewOrder>>,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<ServiceReviewConnection> {
        viewer(ctx)?;
        let filter = argument(filter, ServiceReviewFilter::predicate)?;
        let (order, page) = (ServiceReviewOrder::terms(order_by)?, page(first, after, last, before)?);
        let (slice, log_cursor) = list(ctx, &REVIEW, filter.clone(), order, page).await?;
        Ok(ServiceReviewConnection::new(slice, Some((&REVIEW, filter)), log_cursor))
    }

    /// An entry of the service improvement register. Null when there is none that the viewer may see.
    async fn service_improvement(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The improvement's id, such as `imp_01jcz8…`.")] id: ID,
    ) -> Option<Result<ServiceImprovement>> {
        let found = find(ctx, &IMPROVEMENT, &id, prefix::SERVICE_IMPROVEMENT).await;
        found.map(|row| row.map(ServiceImprovement::from_row)).transpose()
    }

    /// The entries of the service improvement register that the viewer may see, by title unless `orderBy` says otherwise.
    #[allow(clippy::too_many_arguments)]
    async fn service_improvements(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which; all when left out.")] filter: Option<ServiceImprovementFilter>,
        #[graphql(desc = "In which order, at most 5 terms; by title when left out.")] order_by: Option<
            Vec<ServiceImprovementOrder>,
        >,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<ServiceImprovementConnection> {
        viewer(ctx)?;
        let filter = argument(filter, ServiceImprovementFilter::predicate)?;
        let (order, page) = (ServiceImprovementOrder::terms(order_by)?, page(first, after, last, before)?);
        let (slice, log_cursor) = list(ctx, &IMPROVEMENT, filter.clone(), order, page).await?;
        Ok(ServiceImprovementConnection::new(slice, Some((&IMPROVEMENT, filter)), log_cursor))
    }
}

// Root fields turn these inside out, so that an error leaves the other fields of the document alone.

async fn find_agreement(ctx: &Context<'_>, by: ServiceAgreementRef) -> Result<Option<ServiceAgreement>> {
    let viewer = viewer(ctx)?;
    let reference = by.into_ref().map_err(|error| error.within("by"))?;
    Ok(platform(ctx).agreements.agreement(&viewer, &reference).await?.map(ServiceAgreement::from_row))
}

async fn find(ctx: &Context<'_>, record: &'static RecordType, id: &ID, prefix: &'static str) -> Result<Option<Row>> {
    let viewer = viewer(ctx)?;
    let id = parse(id, prefix).map_err(|error| error.within("id"))?;
    Ok(platform(ctx).tickets.by_ids(&viewer, record, &[id.uuid], &[]).await?.pop())
}
