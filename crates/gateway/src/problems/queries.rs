//! Queries of problems.

use async_graphql::{Context, Object, Result};
use futures_util::future::try_join_all;
use kernel::{Page, Uuid};
use predicate::Predicate;
use problem::PROBLEM;
use store::query::{Row, Slice};
use ticket::fields::LINK;
use ticket::queries::ListRequest;

use super::Problem;
use crate::connection::{connection, page};
use crate::context::{platform, viewer};
use crate::incidents::queries::IncidentConnection;
use crate::loaders;
use crate::scalars::Cursor;
use crate::tickets::filters::{ProblemFilter, ProblemOrder};
use crate::tickets::queries::{TicketRef, find, log_cursor, node_selections, relations};

connection! {
    /// A page of problems.
    ProblemConnection, ProblemEdge, Problem
}

/// Queries of problems.
#[derive(Default)]
pub struct ProblemQueries;

#[Object]
impl ProblemQueries {
    /// A problem. Null when there is none that the viewer may see.
    async fn problem(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which problem, such as `{ number: \"PRB-1001\" }`.")] by: TicketRef,
    ) -> Option<Result<Problem>> {
        let relations = relations(&[ctx.look_ahead()], &PROBLEM);
        find(ctx, by, &PROBLEM, &relations).await.map(|row| row.map(Problem::from_row)).transpose()
    }

    /// Problems that the viewer may see. Newest first, unless ordered.
    #[allow(clippy::too_many_arguments)]
    async fn problems(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which problems.")] filter: Option<ProblemFilter>,
        #[graphql(desc = "In which order, at most 5 terms; the id always decides last.")] order_by: Option<
            Vec<ProblemOrder>,
        >,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<ProblemConnection> {
        list(ctx, Predicate::always(), filter, order_by, page(first, after, last, before)?).await
    }

    /// Known errors that the viewer may see: problems that are understood well enough to be recognised, such as those with
    /// `{ symptom: { contains: "drops" }, service: { key: { eq: "remote-access" } } }`. Newest first, unless ordered.
    #[allow(clippy::too_many_arguments)]
    async fn known_errors(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which of them.")] filter: Option<ProblemFilter>,
        #[graphql(desc = "In which order, at most 5 terms; the id always decides last.")] order_by: Option<
            Vec<ProblemOrder>,
        >,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<ProblemConnection> {
        let known = Predicate::eq("knownError", true);
        list(ctx, known, filter, order_by, page(first, after, last, before)?).await
    }
}

async fn list(
    ctx: &Context<'_>,
    among: Predicate,
    filter: Option<ProblemFilter>,
    order_by: Option<Vec<ProblemOrder>>,
    page: Page,
) -> Result<ProblemConnection> {
    let viewer = viewer(ctx)?;
    let filter = filter.unwrap_or_default().predicate().map_err(|error| error.within("filter"))?.and(among);
    let order = ProblemOrder::terms(order_by)?;
    let log_cursor = log_cursor(ctx, &viewer).await?;
    let relations = relations(&node_selections(ctx), &PROBLEM);
    let request = ListRequest { record: &PROBLEM, filter: filter.clone(), order, page, relations };
    let slice = platform(ctx).tickets.list(&viewer, request).await?;
    Ok(ProblemConnection::new(slice, Some((&PROBLEM, filter)), log_cursor))
}

/// The incidents that a problem causes: batched over all problems of the answer, unless the page has a place in the list.
pub async fn incidents_of(ctx: &Context<'_>, problem: Uuid, page: Page) -> Result<IncidentConnection> {
    let filter = problem::queries::caused_by_problem().and(Predicate::eq("target", problem));
    let counted = Some((&LINK, filter));
    let asks_for_place = {
        let selection = ctx.look_ahead();
        ["pageInfo", "edges", "logCursor"].iter().any(|field| selection.field(field).exists())
    };
    if page.after.is_none() && page.before.is_none() && !asks_for_place {
        let links = loaders::incidents_of(ctx, problem, page.direction, page.limit).await?;
        let rows = sources(ctx, &links).await?;
        return Ok(IncidentConnection::new(Slice { rows, ..Slice::default() }, counted, None));
    }
    let viewer = viewer(ctx)?;
    let log_cursor = log_cursor(ctx, &viewer).await?;
    let mut slice = platform(ctx).problems.incidents_page(&viewer, problem, page).await?;
    slice.rows = sources(ctx, &slice.rows).await?;
    Ok(IncidentConnection::new(slice, counted, log_cursor))
}

/// The problems that an incident is caused by.
pub async fn problems_of(ctx: &Context<'_>, incident: Uuid) -> Result<Vec<Problem>> {
    let links = loaders::problems_of(ctx, incident).await?;
    let ids = links.iter().filter_map(|link| link.get("target").as_id());
    let rows = try_join_all(ids.map(|id| loaders::ticket(ctx, id))).await?;
    Ok(rows.into_iter().flatten().map(Problem::from_row).collect())
}

/// The tickets that links leave from. Whoever sees a link sees both of its ends.
async fn sources(ctx: &Context<'_>, links: &[Row]) -> Result<Vec<Row>> {
    let ids = links.iter().filter_map(|link| link.get("source").as_id());
    let rows = try_join_all(ids.map(|id| loaders::ticket(ctx, id))).await?;
    Ok(rows.into_iter().flatten().collect())
}
