//! Reading services and configuration items.

use async_graphql::{Context, Object, Result};
use configuration::{ITEM, SERVICE};

use super::filters::{ConfigurationItemFilter, ConfigurationItemOrder, ServiceFilter, ServiceOrder};
use super::inputs::{CiRef, ServiceRef};
use super::types::{ConfigurationItem, ConfigurationItemConnection, Service, ServiceConnection};
use crate::connection::page;
use crate::context::{platform, viewer};
use crate::people::filters::argument;
use crate::people::queries::list;
use crate::scalars::Cursor;

/// Queries of services and configuration items.
#[derive(Default)]
pub struct ConfigurationQueries;

#[Object]
impl ConfigurationQueries {
    /// A service. Null when there is none.
    async fn service(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which, as in `{ key: \"e-mail\" }` or `{ id: \"service_01jcz8…\" }`.")] by: ServiceRef,
    ) -> Option<Result<Service>> {
        find_service(ctx, by).await.transpose()
    }

    /// The tenant's services, by name unless `orderBy` says otherwise.
    #[allow(clippy::too_many_arguments)]
    async fn services(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which services; all when left out.")] filter: Option<ServiceFilter>,
        #[graphql(desc = "In which order, at most 5 terms; by name when left out.")] order_by: Option<
            Vec<ServiceOrder>,
        >,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<ServiceConnection> {
        viewer(ctx)?;
        let filter = argument(filter, ServiceFilter::predicate)?;
        let (order, page) = (ServiceOrder::terms(order_by)?, page(first, after, last, before)?);
        let (slice, log_cursor) = list(ctx, &SERVICE, filter.clone(), order, page).await?;
        Ok(ServiceConnection::new(slice, Some((&SERVICE, filter)), log_cursor))
    }

    /// A configuration item. Null when there is none that the viewer may see. Needs `configuration.read`.
    async fn configuration_item(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which, as in `{ id: \"ci_01jcz8…\" }`.")] by: CiRef,
    ) -> Option<Result<ConfigurationItem>> {
        find_item(ctx, by).await.transpose()
    }

    /// The configuration items that the viewer may see, by name unless `orderBy` says otherwise. Needs `configuration.read`.
    #[allow(clippy::too_many_arguments)]
    async fn configuration_items(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which configuration items; all when left out.")] filter: Option<ConfigurationItemFilter>,
        #[graphql(desc = "In which order, at most 5 terms; by name when left out.")] order_by: Option<
            Vec<ConfigurationItemOrder>,
        >,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<ConfigurationItemConnection> {
        viewer(ctx)?;
        let filter = argument(filter, ConfigurationItemFilter::predicate)?;
        let (order, page) = (ConfigurationItemOrder::terms(order_by)?, page(first, after, last, before)?);
        let (slice, log_cursor) = list(ctx, &ITEM, filter.clone(), order, page).await?;
        Ok(ConfigurationItemConnection::new(slice, Some((&ITEM, filter)), log_cursor))
    }
}

// Root fields turn these inside out, so that an error leaves the other fields of the document alone.

async fn find_service(ctx: &Context<'_>, by: ServiceRef) -> Result<Option<Service>> {
    let viewer = viewer(ctx)?;
    let reference = by.into_ref().map_err(|error| error.within("by"))?;
    let found = platform(ctx).tickets.configuration().service(&viewer, &reference).await?;
    Ok(found.map(Service::from_row))
}

async fn find_item(ctx: &Context<'_>, by: CiRef) -> Result<Option<ConfigurationItem>> {
    let viewer = viewer(ctx)?;
    let reference = by.into_ref().map_err(|error| error.within("by"))?;
    let found = platform(ctx).tickets.configuration().item(&viewer, &reference).await?;
    Ok(found.map(ConfigurationItem::from_row))
}
