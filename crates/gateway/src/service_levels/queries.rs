//! Reading calendars and policies.

use async_graphql::{Context, Object, Result};
use sla::fields::{CALENDAR, SLA_POLICY};

use super::filters::{CalendarFilter, CalendarOrder, SlaPolicyFilter, SlaPolicyOrder};
use super::inputs::{CalendarRef, SlaPolicyRef};
use super::types::{Calendar, CalendarConnection, SlaPolicy, SlaPolicyConnection};
use crate::connection::page;
use crate::context::{platform, viewer};
use crate::people::filters::argument;
use crate::people::queries::list;
use crate::scalars::Cursor;

/// Queries of service levels.
#[derive(Default)]
pub struct ServiceLevelQueries;

#[Object]
impl ServiceLevelQueries {
    /// A calendar. Null when there is none.
    async fn calendar(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which, as in `{ key: \"office-vienna\" }` or `{ id: \"cal_01jcz8…\" }`.")] by: CalendarRef,
    ) -> Option<Result<Calendar>> {
        find_calendar(ctx, by).await.transpose()
    }

    /// The tenant's calendars, by name unless `orderBy` says otherwise.
    #[allow(clippy::too_many_arguments)]
    async fn calendars(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which calendars; all when left out.")] filter: Option<CalendarFilter>,
        #[graphql(desc = "In which order, at most 5 terms; by name when left out.")] order_by: Option<
            Vec<CalendarOrder>,
        >,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<CalendarConnection> {
        viewer(ctx)?;
        let filter = argument(filter, CalendarFilter::predicate)?;
        let (order, page) = (CalendarOrder::terms(order_by)?, page(first, after, last, before)?);
        let (slice, log_cursor) = list(ctx, &CALENDAR, filter.clone(), order, page).await?;
        Ok(CalendarConnection::new(slice, Some((&CALENDAR, filter)), log_cursor))
    }

    /// A policy of service levels. Null when there is none that the viewer may see.
    async fn sla_policy(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which, as in `{ key: \"standard\" }` or `{ id: \"slp_01jcz8…\" }`.")] by: SlaPolicyRef,
    ) -> Option<Result<SlaPolicy>> {
        find_policy(ctx, by).await.transpose()
    }

    /// The policies of service levels that the viewer may see, by name unless `orderBy` says otherwise.
    #[allow(clippy::too_many_arguments)]
    async fn sla_policies(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which policies; all when left out.")] filter: Option<SlaPolicyFilter>,
        #[graphql(desc = "In which order, at most 5 terms; by name when left out.")] order_by: Option<
            Vec<SlaPolicyOrder>,
        >,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<SlaPolicyConnection> {
        viewer(ctx)?;
        let filter = argument(filter, SlaPolicyFilter::predicate)?;
        let (order, page) = (SlaPolicyOrder::terms(order_by)?, page(first, after, last, before)?);
        let (slice, log_cursor) = list(ctx, &SLA_POLICY, filter.clone(), order, page).await?;
        Ok(SlaPolicyConnection::new(slice, Some((&SLA_POLICY, filter)), log_cursor))
    }
}

// Root fields turn these inside out, so that an error leaves the other fields of the document alone.

async fn find_calendar(ctx: &Context<'_>, by: CalendarRef) -> Result<Option<Calendar>> {
    let viewer = viewer(ctx)?;
    let reference = by.into_ref().map_err(|error| error.within("by"))?;
    Ok(platform(ctx).levels.calendar(&viewer, &reference).await?.map(Calendar::from_row))
}

async fn find_policy(ctx: &Context<'_>, by: SlaPolicyRef) -> Result<Option<SlaPolicy>> {
    let viewer = viewer(ctx)?;
    let reference = by.into_ref().map_err(|error| error.within("by"))?;
    Ok(platform(ctx).levels.policy(&viewer, &reference).await?.map(SlaPolicy::from_row))
}
