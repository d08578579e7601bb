//! Queries of alerts and their rules.

use async_graphql::{Context, Object, Result};
use incident::{ALERT, ALERT_RULE};

use super::AlertRule;
use super::filters::{AlertFilter, AlertOrder, AlertRuleFilter, AlertRuleOrder};
use super::inputs::AlertRuleRef;
use super::rules::AlertRuleConnection;
use super::types::AlertConnection;
use crate::connection::page;
use crate::context::{platform, viewer};
use crate::people::filters::argument;
use crate::people::queries::list;
use crate::scalars::Cursor;

/// Queries of alerts.
#[derive(Default)]
pub struct AlertQueries;

#[Object]
impl AlertQueries {
    /// The alerts that the viewer may see, by when they were told first unless `orderBy` says otherwise.
    #[allow(clippy::too_many_arguments)]
    async fn alerts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which alerts; all when left out.")] filter: Option<AlertFilter>,
        #[graphql(desc = "In which order, at most 5 terms; by when they were told first when left out.")]
        order_by: Option<Vec<AlertOrder>>,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<AlertConnection> {
        viewer(ctx)?;
        let filter = argument(filter, AlertFilter::predicate)?;
        let (order, page) = (AlertOrder::terms(order_by)?, page(first, after, last, before)?);
        let (slice, log_cursor) = list(ctx, &ALERT, filter.clone(), order, page).await?;
        Ok(AlertConnection::new(slice, Some((&ALERT, filter)), log_cursor))
    }

    /// A rule of alerts. Null when there is none that the viewer may see.
    async fn alert_rule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which, as in `{ key: \"disks\" }` or `{ id: \"alr_01jcz8…\" }`.")] by: AlertRuleRef,
    ) -> Option<Result<AlertRule>> {
        find_rule(ctx, by).await.transpose()
    }

    /// The rules of alerts that the viewer may see, in the order in which they are tried unless `orderBy` says otherwise.
    #[allow(clippy::too_many_arguments)]
    async fn alert_rules(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which rules; all when left out.")] filter: Option<AlertRuleFilter>,
        #[graphql(desc = "In which order, at most 5 terms; in the order in which they are tried when left out.")]
        order_by: Option<Vec<AlertRuleOrder>>,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<AlertRuleConnection> {
        viewer(ctx)?;
        let filter = argument(filter, AlertRuleFilter::predicate)?;
        let (order, page) = (AlertRuleOrder::terms(order_by)?, page(first, after, last, before)?);
        let (slice, log_cursor) = list(ctx, &ALERT_RULE, filter.clone(), order, page).await?;
        Ok(AlertRuleConnection::new(slice, Some((&ALERT_RULE, filter)), log_cursor))
    }
}

// Root fields turn these inside out, so that an error leaves the other fields of the document alone.

async fn find_rule(ctx: &Context<'_>, by: AlertRuleRef) -> Result<Option<AlertRule>> {
    let viewer = viewer(ctx)?;
    let reference = by.into_ref().map_err(|error| error.within("by"))?;
    Ok(platform(ctx).incidents.alert_rule(&viewer, &reference).await?.map(AlertRule::from_row))
}
