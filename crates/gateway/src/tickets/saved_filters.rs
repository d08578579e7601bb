//! Saved filters and queues, with counts of many in one statement.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, OneofObject, Result};
use kernel::id::prefix;
use kernel::{Id, UserError as Problem};
use predicate::{Predicate, Value as Datum};
use serde_json::Value as JsonValue;
use store::query::{OrderTerm, Row};
use ticket::fields::SAVED_FILTER;
use ticket::queries::ListRequest;
use ticket::saved_filter as domain;

use crate::connection::{connection, page};
use crate::context::{mutation, platform, viewer};
use crate::loaders;
use crate::payload::payload;
use crate::people::{Team, TeamRefInput, User};
use crate::scalars::{Cursor, DateTime, Json, Markdown, id_of, patch};
use crate::tickets::filters::{TicketFilter, TicketOrder};
use crate::tickets::queries::log_cursor;
use crate::tickets::types::word as word_of;
use crate::tickets::words::word;

word! {
    /// Who sees a saved filter.
    SavedFilterSharing = ticket::saved_filter::Sharing {
        /// Its owner.
        Personal = "PERSONAL",
        /// The members of its team.
        Team = "TEAM",
        /// Everybody in the tenant.
        Tenant = "TENANT",
    }
}

/// A filter of tickets that somebody wrote, with hints of how to show what it finds.
#[derive(Clone)]
pub struct SavedFilter(Arc<Row>);

impl SavedFilter {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }

    fn json(&self, field: &str) -> JsonValue {
        match self.0.get(field) {
            Datum::Json(json) => json.clone(),
            _ => JsonValue::Null,
        }
    }
}

/// A filter of tickets that somebody wrote, kept for themselves, for a team or for everybody. Relative values in it
/// (`isViewer`, `hasViewer`, `-P14D`) mean whoever reads. One with a position is a queue.
#[Object]
impl SavedFilter {
    /// The saved filter's id, such as `flt_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::SAVED_FILTER, self.0.id())
    }

    /// What it is called.
    pub fn name(&self) -> String {
        self.0.text("name")
    }

    /// What it is for.
    pub fn description(&self) -> Option<Markdown> {
        self.0.optional_text("description").map(Markdown)
    }

    /// The filter as it was written: for `filter` of `tickets` and `queueChanges`.
    pub fn filter(&self) -> Json {
        Json(self.json("filter"))
    }

    /// The order as it was written: for `orderBy` of `tickets`.
    pub fn order_by(&self) -> Json {
        Json(self.json("orderBy"))
    }

    /// Hints for the columns of a list, at most 50; what they mean is the client's.
    pub fn columns(&self) -> Vec<String> {
        self.0.texts("columns")
    }

    /// Who sees it.
    pub fn sharing(&self) -> SavedFilterSharing {
        word_of(&self.0, "sharing", SavedFilterSharing::parse, SavedFilterSharing::Personal)
    }

    /// The team that it is shared with.
    pub async fn team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        match self.0.get("team").as_id() {
            Some(id) => Ok(loaders::team(ctx, id).await?.map(Team::from_row)),
            None => Ok(None),
        }
    }

    /// Who wrote it.
    pub async fn owner(&self, ctx: &Context<'_>) -> Result<User> {
        let owner = loaders::actor(ctx, self.0.get("owner").as_id().unwrap_or_default()).await?;
        Ok(User::from_row(owner.ok_or_else(|| kernel::Error::internal("a saved filter's owner is missing"))?))
    }

    /// Its place among the queues; null for one that is no queue.
    pub fn position(&self) -> Option<i32> {
        self.0.get("position").as_int().and_then(|position| i32::try_from(position).ok())
    }

    /// How many tickets it finds for the viewer, no further than 10,000. Those of all saved filters of an answer are counted
    /// by one statement for each 50. Null when the viewer cannot use it: it names what their role never reads.
    pub async fn count(&self, ctx: &Context<'_>) -> Result<Option<i32>> {
        let found = loaders::filter_count(ctx, &self.json("filter")).await?;
        Ok(found.map(|count| i32::try_from(count.total).unwrap_or(i32::MAX)))
    }

    /// Whether `count` is the whole truth; false when there are more than 10,000, null when there is none.
    pub async fn count_is_exact(&self, ctx: &Context<'_>) -> Result<Option<bool>> {
        Ok(loaders::filter_count(ctx, &self.json("filter")).await?.map(|count| count.exact))
    }

    /// Rises by one with each change. For `expectedVersion`.
    pub fn version(&self) -> i32 {
        i32::try_from(self.0.int("version")).unwrap_or(i32::MAX)
    }

    /// When it was saved.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.time("createdAt"))
    }

    /// When it changed last.
    pub fn updated_at(&self) -> DateTime {
        DateTime(self.0.time("updatedAt"))
    }
}

connection! {
    /// A page of saved filters.
    SavedFilterConnection, SavedFilterEdge, SavedFilter
}

/// Points at a saved filter.
#[derive(Clone, Debug, OneofObject)]
pub enum SavedFilterRef {
    /// By its id.
    Id(ID),
}

/// Saves a filter.
#[derive(Clone, Debug, InputObject)]
pub struct SavedFilterCreateInput {
    /// What it is called.
    pub name: String,
    /// What it is for.
    pub description: Option<Markdown>,
    /// Which tickets, at most 16 KiB.
    pub filter: TicketFilter,
    /// In which order, at most 5 terms.
    pub order_by: Option<Vec<TicketOrder>>,
    /// Hints for the columns of a list, at most 50.
    pub columns: Option<Vec<String>>,
    /// Who sees it; `PERSONAL` when absent. Others need `filter.share`.
    pub sharing: Option<SavedFilterSharing>,
    /// The team, with `sharing: TEAM`.
    pub team: Option<TeamRefInput>,
    /// Its place among the queues; none when absent.
    pub position: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes a saved filter. Absent fields stay, null clears.
#[derive(Clone, Debug, InputObject)]
pub struct SavedFilterUpdateInput {
    /// The saved filter's id.
    pub id: ID,
    /// What it is called.
    pub name: Option<String>,
    /// What it is for.
    pub description: MaybeUndefined<Markdown>,
    /// Which tickets, at most 16 KiB.
    pub filter: Option<TicketFilter>,
    /// In which order, at most 5 terms.
    pub order_by: Option<Vec<TicketOrder>>,
    /// Hints for the columns of a list, at most 50.
    pub columns: Option<Vec<String>>,
    /// Its place among the queues; null for none.
    pub position: MaybeUndefined<i32>,
    /// Refuse when it has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Deletes a saved filter.
#[derive(Clone, Debug, InputObject)]
pub struct SavedFilterDeleteInput {
    /// The saved filter's id.
    pub id: ID,
    /// Refuse when it has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

payload! {
    /// The filter that was saved.
    SavedFilterCreatePayload {
        /// The saved filter; null when it was not done.
        saved_filter: SavedFilter
    }
}
payload! {
    /// The saved filter that was changed.
    SavedFilterUpdatePayload {
        /// The saved filter; null when it was not done.
        saved_filter: SavedFilter
    }
}
payload! {
    /// The saved filter that was deleted.
    SavedFilterDeletePayload {
        /// What it was; null when it was not done.
        saved_filter: SavedFilter
    }
}

/// A document of the input as the client wrote it; absent when it was not given.
fn written(ctx: &Context<'_>, field: &str) -> Result<Option<JsonValue>> {
    let arguments = ctx.field().arguments()?;
    let input = arguments.into_iter().find(|(name, _)| name == "input").map(|(_, value)| value);
    let Some(async_graphql::Value::Object(fields)) = input else { return Ok(None) };
    let Some(value) = fields.get(field) else { return Ok(None) };
    let json = value.clone().into_json().map_err(kernel::Error::internal)?;
    Ok((!json.is_null()).then_some(json))
}

/// The condition of a saved filter that the viewer may see, and the document that it was read from.
///
/// # Errors
/// `NOT_FOUND` at `savedFilter`; a user error when the document no longer fits.
pub async fn condition(ctx: &Context<'_>, id: &ID) -> Result<(Predicate, JsonValue)> {
    let (viewer, tickets) = (viewer(ctx)?, &platform(ctx).tickets);
    let within = |error: kernel::Error| error.within("savedFilter");
    let id = filter_id(id).map_err(within)?;
    let found = tickets.saved_filter(&viewer, id.uuid).await?;
    let missing = || kernel::Error::from(Problem::not_found(["savedFilter"], "the saved filter"));
    let filter = SavedFilter::from_row(found.ok_or_else(missing)?);
    let document = filter.json("filter");
    Ok((tickets.documents()?.of_tickets(&document).map_err(within)?, document))
}

/// Checks what only typed inputs know.
fn check(filter: Option<TicketFilter>, order: Option<Vec<TicketOrder>>) -> kernel::Result<()> {
    if let Some(filter) = filter {
        filter.predicate().map_err(|error| error.within("filter"))?;
    }
    TicketOrder::terms(order).map(|_| ())
}

fn filter_id(id: &ID) -> kernel::Result<Id> {
    let parsed = Id::parse_as(id, &[prefix::SAVED_FILTER]);
    parsed.map_err(|error| Problem::constraint(["id"], error.to_string(), "id", None).into())
}

fn create_command(
    input: SavedFilterCreateInput,
    filter: Option<JsonValue>,
    order: Option<JsonValue>,
) -> kernel::Result<domain::CreateSavedFilter> {
    check(Some(input.filter), input.order_by)?;
    let team = input.team.map(TeamRefInput::into_ref).transpose().map_err(|error| error.within("team"))?;
    Ok(domain::CreateSavedFilter {
        name: input.name,
        description: input.description.map(|text| text.0),
        filter: filter.unwrap_or_else(|| JsonValue::Object(Default::default())),
        order: order.unwrap_or_else(|| JsonValue::Array(Vec::new())),
        columns: input.columns.unwrap_or_default(),
        sharing: input.sharing.unwrap_or(SavedFilterSharing::Personal).into(),
        team,
        position: input.position,
    })
}

fn update_command(
    input: SavedFilterUpdateInput,
    filter: Option<JsonValue>,
    order: Option<JsonValue>,
) -> kernel::Result<domain::UpdateSavedFilter> {
    check(input.filter, input.order_by)?;
    Ok(domain::UpdateSavedFilter {
        id: filter_id(&input.id)?,
        name: input.name,
        description: match patch(input.description) {
            kernel::Patch::Keep => kernel::Patch::Keep,
            kernel::Patch::Clear => kernel::Patch::Clear,
            kernel::Patch::Set(text) => kernel::Patch::Set(text.0),
        },
        filter,
        order,
        columns: input.columns,
        position: patch(input.position),
        expected_version: input.expected_version,
    })
}

/// Mutations of saved filters.
#[derive(Default)]
pub struct SavedFilterMutations;

#[Object]
impl SavedFilterMutations {
    /// Saves a filter of tickets, for oneself, or with `filter.share` for a team or everybody.
    async fn saved_filter_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The filter, and how it is called.")] input: SavedFilterCreateInput,
    ) -> Result<SavedFilterCreatePayload> {
        let viewer = mutation(ctx)?;
        let (filter, order) = (written(ctx, "filter")?, written(ctx, "orderBy")?);
        let result = match create_command(input, filter, order) {
            Ok(command) => platform(ctx).tickets.create_saved_filter(&viewer, command).await,
            Err(error) => Err(error),
        };
        SavedFilterCreatePayload::of(ctx, &viewer, result)
    }

    /// Changes a saved filter. Its owner may, and for a shared one whoever has `filter.share` there.
    async fn saved_filter_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which saved filter, and what changes.")] input: SavedFilterUpdateInput,
    ) -> Result<SavedFilterUpdatePayload> {
        let viewer = mutation(ctx)?;
        let (filter, order) = (written(ctx, "filter")?, written(ctx, "orderBy")?);
        let result = match update_command(input, filter, order) {
            Ok(command) => platform(ctx).tickets.update_saved_filter(&viewer, command).await,
            Err(error) => Err(error),
        };
        SavedFilterUpdatePayload::of(ctx, &viewer, result)
    }

    /// Deletes a saved filter. Whoever may change it may.
    async fn saved_filter_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which saved filter.")] input: SavedFilterDeleteInput,
    ) -> Result<SavedFilterDeletePayload> {
        let viewer = mutation(ctx)?;
        let expected_version = input.expected_version;
        let result = match filter_id(&input.id) {
            Ok(id) => {
                let command = domain::DeleteSavedFilter { id, expected_version };
                platform(ctx).tickets.delete_saved_filter(&viewer, command).await
            }
            Err(error) => Err(error),
        };
        SavedFilterDeletePayload::of(ctx, &viewer, result)
    }
}

/// Queries of saved filters.
#[derive(Default)]
pub struct SavedFilterQueries;

#[Object]
impl SavedFilterQueries {
    /// A saved filter. Null when there is none that the viewer may see.
    async fn saved_filter(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which, as in `{ id: \"flt_01jcz8…\" }`.")] by: SavedFilterRef,
    ) -> Option<Result<SavedFilter>> {
        let found = async {
            let viewer = viewer(ctx)?;
            let SavedFilterRef::Id(id) = by;
            let id = filter_id(&id).map_err(|error| error.within("by"))?;
            Ok(platform(ctx).tickets.saved_filter(&viewer, id.uuid).await?.map(SavedFilter::from_row))
        };
        found.await.transpose()
    }

    /// The saved filters that the viewer may see, by name.
    async fn saved_filters(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<SavedFilterConnection> {
        let viewer = viewer(ctx)?;
        let order = vec![OrderTerm { field: "name".into(), descending: false, nulls_first: false }];
        let page = page(first, after, last, before)?;
        let log_cursor = log_cursor(ctx, &viewer).await?;
        let filter = Predicate::always();
        let request = ListRequest { record: &SAVED_FILTER, filter: filter.clone(), order, page, relations: vec![] };
        let slice = platform(ctx).tickets.list(&viewer, request).await?;
        Ok(SavedFilterConnection::new(slice, Some((&SAVED_FILTER, filter)), log_cursor))
    }

    /// The saved filters that are queues, by position and name, at most 100. With `count` of each, a sidebar is one query.
    async fn queues(&self, ctx: &Context<'_>) -> Result<Vec<SavedFilter>> {
        let rows = platform(ctx).tickets.queues(&viewer(ctx)?).await?;
        Ok(rows.into_iter().map(SavedFilter::from_row).collect())
    }
}
