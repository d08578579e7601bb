//! Queries of incidents.

use async_graphql::{Context, Object, Result};
use incident::INCIDENT;
use ticket::queries::ListRequest;

use crate::connection::{connection, page};
use crate::context::{platform, viewer};
use crate::incidents::Incident;
use crate::scalars::Cursor;
use crate::tickets::filters::{IncidentFilter, IncidentOrder};
use crate::tickets::queries::{TicketRef, find, log_cursor, node_selections, relations};

connection! {
    /// A page of incidents.
    IncidentConnection, IncidentEdge, Incident
}

/// Queries of incidents.
#[derive(Default)]
pub struct IncidentQueries;

#[Object]
impl IncidentQueries {
    /// An incident. Null when there is none that the viewer may see.
    async fn incident(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which incident, such as `{ number: \"INC-1042\" }`.")] by: TicketRef,
    ) -> Option<Result<Incident>> {
        let relations = relations(&[ctx.look_ahead()], &INCIDENT);
        find(ctx, by, &INCIDENT, &relations).await.map(|row| row.map(Incident::from_row)).transpose()
    }

    /// Incidents that the viewer may see. Newest first, unless ordered.
    #[allow(clippy::too_many_arguments)]
    async fn incidents(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which incidents.")] filter: Option<IncidentFilter>,
        #[graphql(desc = "In which order, at most 5 terms; the id always decides last.")] order_by: Option<
            Vec<IncidentOrder>,
        >,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<IncidentConnection> {
        let viewer = viewer(ctx)?;
        let filter = filter.unwrap_or_default().predicate().map_err(|error| error.within("filter"))?;
        let order = IncidentOrder::terms(order_by)?;
        let page = page(first, after, last, before)?;
        let log_cursor = log_cursor(ctx, &viewer).await?;
        let relations = relations(&node_selections(ctx), &INCIDENT);
        let request = ListRequest { record: &INCIDENT, filter: filter.clone(), order, page, relations };
        let slice = platform(ctx).tickets.list(&viewer, request).await?;
        Ok(IncidentConnection::new(slice, Some((&INCIDENT, filter)), log_cursor))
    }
}
