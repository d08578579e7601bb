//! Reading what is told of major incidents, and what a tenant sets for them.

use async_graphql::{Context, Enum, InputObject, Object, Result};
use incident::fields::STATUS_UPDATE;
use kernel::id::prefix;
use predicate::Predicate;
use store::query::OrderTerm;

use super::major::{MajorIncidentSettings, StatusUpdateAudience, StatusUpdateConnection};
use crate::connection::{NullsOrder, OrderDirection, check_order, orders, page, term};
use crate::context::{platform, viewer};
use crate::filters::{DateTimeFilter, IdFilter, combine, enum_filter};
use crate::people::filters::argument;
use crate::people::queries::list;
use crate::scalars::Cursor;

enum_filter!(StatusUpdateAudienceFilter, StatusUpdateAudience);

/// Which status updates. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct StatusUpdateFilter {
    /// By id.
    pub id: Option<IdFilter>,
    /// By the id of the incident.
    pub incident: Option<IdFilter>,
    /// By who reads it.
    pub audience: Option<StatusUpdateAudienceFilter>,
    /// By when it was told.
    pub created_at: Option<DateTimeFilter>,
    /// All of these must hold.
    pub and: Option<Vec<StatusUpdateFilter>>,
    /// At least one of these must hold; an empty list is no condition.
    pub or: Option<Vec<StatusUpdateFilter>>,
    /// This must not hold.
    pub not: Option<Box<StatusUpdateFilter>>,
}

impl StatusUpdateFilter {
    /// As a condition on status updates.
    ///
    /// # Errors
    /// User errors with paths inside this filter.
    pub fn predicate(self) -> kernel::Result<Predicate> {
        let own = Predicate::all([
            self.id.map(|id| id.on("id", &[prefix::STATUS_UPDATE])).transpose()?.unwrap_or_default(),
            self.incident.map(|id| id.on("incident", &[prefix::INCIDENT])).transpose()?.unwrap_or_default(),
            self.audience.map_or_else(Predicate::always, |audience| audience.on("audience")),
            self.created_at.map_or_else(Predicate::always, |time| time.on("createdAt")),
        ]);
        combine(own, self.and, self.or, self.not, Self::predicate)
    }
}

orders! {
    /// By what status updates are ordered.
    StatusUpdateOrderField {
        /// When they were told.
        CreatedAt = "createdAt",
    }
    /// One term of an order of status updates.
    StatusUpdateOrder
}

/// Queries of major incidents.
#[derive(Default)]
pub struct MajorIncidentQueries;

#[Object]
impl MajorIncidentQueries {
    /// What is told of major incidents, as far as it is meant for the viewer: public ones of incidents that they do not see among them. The
    /// oldest first, unless `orderBy` says otherwise.
    #[allow(clippy::too_many_arguments)]
    async fn status_updates(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which; all when left out.")] filter: Option<StatusUpdateFilter>,
        #[graphql(desc = "In which order, at most 5 terms; the oldest first when left out.")] order_by: Option<
            Vec<StatusUpdateOrder>,
        >,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<StatusUpdateConnection> {
        viewer(ctx)?;
        let filter = argument(filter, StatusUpdateFilter::predicate)?;
        let (order, page) = (StatusUpdateOrder::terms(order_by)?, page(first, after, last, before)?);
        let (slice, log_cursor) = list(ctx, &STATUS_UPDATE, filter.clone(), order, page).await?;
        Ok(StatusUpdateConnection::new(slice, Some((&STATUS_UPDATE, filter)), log_cursor))
    }

    /// What the tenant sets for its major incidents.
    async fn major_incident_settings(&self, ctx: &Context<'_>) -> Result<MajorIncidentSettings> {
        let row = platform(ctx).incidents.major_settings(&viewer(ctx)?).await?;
        Ok(MajorIncidentSettings::from_row(row))
    }
}
