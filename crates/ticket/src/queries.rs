//! Reading tickets and what belongs to them. Everything here is scoped to what the viewer may see.

use access::{Access, visibility};
use kernel::{Ctx, Id, Page, PageDirection, Result, UserError, Uuid};
use predicate::{Operand, Path, Predicate, RecordType, Test, Use, Value, Visibilities};
use store::ConnectionTrait;
use store::query::{self, Count, OrderTerm, Query, Row, Slice, fingerprint};

use crate::fields::{CATEGORY, COMMENT, DEPENDENCY, EVENT, EXTERNAL_REF, LINK, TASK, TICKET, TICKET_ITEM, WATCHER};
use crate::model::{MAX_KEY, TicketKind};
use crate::service::Tickets;

/// How people and programs point at a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TicketRef {
    /// By its id.
    Id(Id),
    /// By its number, such as `INC-1042`.
    Number(String),
    /// By its key in another system.
    External {
        /// The other system.
        source: String,
        /// Its key there.
        key: String,
    },
}

impl TicketRef {
    /// Reads an id or a number: wherever a ticket's id is taken, its number is too.
    ///
    /// # Errors
    /// A `VALIDATION` error at `path` when it is neither.
    pub fn parse(text: &str, path: &str) -> Result<Self> {
        if is_number(text) {
            return Ok(TicketRef::Number(text.to_ascii_uppercase()));
        }
        let prefixes: Vec<_> = TicketKind::ALL.iter().map(|kind| kind.id_prefix()).collect();
        match Id::parse_as(text, &prefixes) {
            Ok(id) => Ok(TicketRef::Id(id)),
            Err(error) => {
                let message = format!("{error}; a number such as `INC-1042` does as well");
                Err(UserError::constraint([path], message, "id", None).into())
            }
        }
    }

    fn condition(&self) -> Predicate {
        match self {
            TicketRef::Id(id) => Predicate::eq("id", id.uuid),
            TicketRef::Number(number) => Predicate::eq("number", number.as_str()),
            TicketRef::External { .. } => Predicate::never(),
        }
    }
}

fn is_number(text: &str) -> bool {
    text.split_once('-').is_some_and(|(prefix, digits)| {
        (2..=5).contains(&prefix.len())
            && prefix.bytes().all(|byte| byte.is_ascii_alphabetic())
            && (1..=18).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// A list as a client asked for it: the filter as given, before it is checked.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// Which records.
    pub record: &'static RecordType,
    /// The client's filter.
    pub filter: Predicate,
    /// The client's order; [`default_order`] when empty.
    pub order: Vec<OrderTerm>,
    /// Which part.
    pub page: Page,
    /// To-one relations to load along.
    pub relations: Vec<&'static str>,
}

/// Behind an id, in the order of ids.
pub fn above(behind: Option<Uuid>) -> Predicate {
    behind.map_or_else(Predicate::always, |last| {
        Predicate::Is(Path::field("id"), Test::Gt(Operand::Value(Value::Id(last))))
    })
}

/// Newest first.
pub fn default_order() -> Vec<OrderTerm> {
    vec![OrderTerm { field: "createdAt".into(), descending: true, nulls_first: false }]
}

/// Reads a list of any record type that the catalogue knows, as far as the viewer may see it.
///
/// # Errors
/// User errors with paths into `filter` and `orderBy`; `BAD_CURSOR`.
pub async fn list(
    access: &Access,
    connection: &impl ConnectionTrait,
    ctx: &Ctx,
    request: ListRequest,
) -> Result<Slice> {
    let visible = access.visible(ctx);
    for term in &request.order {
        visibility::check_order(&visible, request.record, &term.field)?;
    }
    let order = if request.order.is_empty() { default_order() } else { request.order };
    let mark = fingerprint(ctx.actor.id, request.record, &request.filter, &order);
    let filter = checked(access, ctx, &visible, request.record, request.filter)?;
    let query = Query { record: request.record, filter, order, page: request.page, relations: request.relations };
    query::list(connection, &access.scoped(ctx, &visible), &query, access.store().cursors(), &mark).await
}

/// Counts what [`list`] would list.
///
/// # Errors
/// User errors with paths into `filter`.
pub async fn count(
    access: &Access,
    connection: &impl ConnectionTrait,
    ctx: &Ctx,
    record: &'static RecordType,
    filter: Predicate,
) -> Result<Count> {
    let visible = access.visible(ctx);
    let filter = checked(access, ctx, &visible, record, filter)?;
    query::count(connection, &access.scoped(ctx, &visible), record, &filter).await
}

pub(crate) fn checked(
    access: &Access,
    ctx: &Ctx,
    visible: &Visibilities,
    record: &'static RecordType,
    filter: Predicate,
) -> Result<Predicate> {
    visibility::filter(ctx, access.catalogue(), visible, record, filter, Use::Query)
        .map_err(|error| error.within("filter"))
}

impl Tickets {
    /// The visible ticket that the reference points at.
    ///
    /// # Errors
    /// Database errors.
    pub async fn find(
        &self,
        ctx: &Ctx,
        record: &'static RecordType,
        reference: &TicketRef,
        relations: &[&'static str],
    ) -> Result<Option<Row>> {
        let visible = self.access().visible(ctx);
        let reader = self.store().read("ticket.find");
        self.find_with(&reader, ctx, &visible, record, reference, relations).await
    }

    pub(crate) async fn find_with(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        visible: &Visibilities,
        record: &'static RecordType,
        reference: &TicketRef,
        relations: &[&'static str],
    ) -> Result<Option<Row>> {
        let scoped = self.access().scoped(ctx, visible);
        let condition = match reference {
            TicketRef::External { source, key } => {
                let external = Predicate::eq("source", source.as_str()).and(Predicate::eq("key", key.as_str()));
                match query::find(connection, &scoped, &EXTERNAL_REF, &external, &[]).await? {
                    Some(row) => Predicate::Is(Path::field("id"), Test::Eq(Operand::Value(row.get("ticket").clone()))),
                    None => return Ok(None),
                }
            }
            other => other.condition(),
        };
        query::find(connection, &scoped, record, &condition, relations).await
    }

    /// The visible tickets among these ids.
    ///
    /// # Errors
    /// Database errors.
    pub async fn by_ids(
        &self,
        ctx: &Ctx,
        record: &'static RecordType,
        ids: &[Uuid],
        relations: &[&'static str],
    ) -> Result<Vec<Row>> {
        let visible = self.access().visible(ctx);
        let reader = self.store().read("ticket.byIds");
        query::by_ids(&reader, &self.access().scoped(ctx, &visible), record, ids, relations).await
    }

    /// A page of any list.
    ///
    /// # Errors
    /// As [`list`].
    pub async fn list(&self, ctx: &Ctx, mut request: ListRequest) -> Result<Slice> {
        let reader = self.store().read("customField.list");
        request.filter = self.bound_filter(&reader, ctx, request.filter).await?;
        for term in &mut request.order {
            term.field = self.bound_term(&reader, ctx, &term.field, "orderBy", true).await?;
        }
        list(self.access(), &self.store().read("ticket.list"), ctx, request).await
    }

    /// The ticket that a record belongs to, with the fields of its kind: for whoever answers an earlier call again.
    ///
    /// # Errors
    /// Database errors.
    pub(crate) async fn ticket_of(&self, ctx: &Ctx, record: Option<&Row>) -> Result<Option<Row>> {
        let Some(ticket) = record.and_then(|record| record.get("ticket").as_id()) else { return Ok(None) };
        self.ticket_with_id(ctx, ticket).await
    }

    /// A visible ticket of any kind, with what its kind adds.
    pub(crate) async fn ticket_with_id(&self, ctx: &Ctx, ticket: Uuid) -> Result<Option<Row>> {
        let kinds: Vec<_> = self.kinds().iter().map(|rules| rules.record().name).collect();
        Ok(self.by_ids(ctx, &TICKET, &[ticket], &kinds).await?.pop())
    }

    /// How long any list is.
    ///
    /// # Errors
    /// As [`count`].
    pub async fn count(&self, ctx: &Ctx, record: &'static RecordType, filter: Predicate) -> Result<Count> {
        let filter = self.bound_filter(&self.store().read("customField.list"), ctx, filter).await?;
        count(self.access(), &self.store().read("ticket.count"), ctx, record, filter).await
    }

    /// The first or last comments of each of these tickets, by one statement, oldest first.
    ///
    /// # Errors
    /// Database errors.
    pub async fn comments_of(
        &self,
        ctx: &Ctx,
        tickets: &[Uuid],
        direction: PageDirection,
        limit: u32,
    ) -> Result<Vec<Row>> {
        self.belonging(ctx, &COMMENT, tickets, direction, limit, &["author"]).await
    }

    /// The watchers of each of these tickets, by one statement.
    ///
    /// # Errors
    /// Database errors.
    pub async fn watchers_of(&self, ctx: &Ctx, tickets: &[Uuid]) -> Result<Vec<Row>> {
        let limit = crate::model::MAX_WATCHERS as u32;
        self.belonging(ctx, &WATCHER, tickets, PageDirection::Forward, limit, &["actor"]).await
    }

    /// The configuration items that each of these tickets is about, by one statement.
    ///
    /// # Errors
    /// Database errors.
    pub async fn items_of(&self, ctx: &Ctx, tickets: &[Uuid]) -> Result<Vec<Row>> {
        let limit = crate::model::MAX_ITEMS as u32;
        self.belonging(ctx, &TICKET_ITEM, tickets, PageDirection::Forward, limit, &["configurationItem"]).await
    }

    /// The links that leave from each of these tickets, and those that lead to them, each with the ticket at the other end: as
    /// far as the viewer may see both.
    ///
    /// # Errors
    /// Database errors.
    pub async fn links_of(&self, ctx: &Ctx, tickets: &[Uuid]) -> Result<(Vec<Row>, Vec<Row>)> {
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let reader = self.store().read("ticket.links");
        let (all, limit) = (Predicate::always(), crate::model::MAX_LINKS as u32);
        let forward = PageDirection::Forward;
        let leaving =
            query::by_parents(&reader, &scoped, &LINK, "source", tickets, &all, forward, limit, &["target"]).await?;
        let arriving =
            query::by_parents(&reader, &scoped, &LINK, "target", tickets, &all, forward, limit, &["source"]).await?;
        Ok((leaving, arriving))
    }

    /// The first or last tasks of each of these tickets, by one statement, oldest first.
    ///
    /// # Errors
    /// Database errors.
    pub async fn tasks_of(
        &self,
        ctx: &Ctx,
        tickets: &[Uuid],
        direction: PageDirection,
        limit: u32,
    ) -> Result<Vec<Row>> {
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let reader = self.store().read("ticket.tasks");
        let all = Predicate::always();
        query::by_parents(&reader, &scoped, &TASK, "parent", tickets, &all, direction, limit, &[]).await
    }

    /// What each of these tasks depends on, by one statement.
    ///
    /// # Errors
    /// Database errors.
    pub async fn dependencies_of(&self, ctx: &Ctx, tasks: &[Uuid]) -> Result<Vec<Row>> {
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let reader = self.store().read("ticket.dependencies");
        let (all, limit) = (Predicate::always(), crate::model::MAX_TASKS as u32);
        query::by_parents(&reader, &scoped, &DEPENDENCY, "task", tasks, &all, PageDirection::Forward, limit, &[]).await
    }

    /// What these tickets are called in other systems, by one statement.
    ///
    /// # Errors
    /// Database errors.
    pub async fn external_refs_of(&self, ctx: &Ctx, tickets: &[Uuid]) -> Result<Vec<Row>> {
        let limit = crate::model::MAX_EXTERNAL_REFS as u32;
        self.belonging(ctx, &EXTERNAL_REF, tickets, PageDirection::Forward, limit, &[]).await
    }

    async fn belonging(
        &self,
        ctx: &Ctx,
        record: &'static RecordType,
        tickets: &[Uuid],
        direction: PageDirection,
        limit: u32,
        relations: &[&'static str],
    ) -> Result<Vec<Row>> {
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let reader = self.store().read("ticket.belonging");
        let all = Predicate::always();
        query::by_parents(&reader, &scoped, record, "ticket", tickets, &all, direction, limit, relations).await
    }

    /// The categories with these ids or all of them, by key.
    ///
    /// # Errors
    /// Database errors.
    pub async fn category(&self, ctx: &Ctx, key: &str) -> Result<Option<Row>> {
        let visible = self.access().visible(ctx);
        let reader = self.store().read("ticket.category");
        let condition = Predicate::eq("key", key);
        query::find(&reader, &self.access().scoped(ctx, &visible), &CATEGORY, &condition, &["parent"]).await
    }

    /// A page of the event log, oldest first, as far as the viewer may see it. Its cursors are log cursors.
    ///
    /// # Errors
    /// User errors with paths into `filter`; `BAD_CURSOR`, `CURSOR_EXPIRED`, `LOG_RESET`.
    pub async fn events(&self, ctx: &Ctx, filter: Predicate, page: &Page) -> Result<Slice> {
        let visible = self.access().visible(ctx);
        let cursors = self.store().cursors();
        let bound = |text: &Option<String>| text.as_deref().map(|text| cursors.open_log(ctx.tenant, text)).transpose();
        let (after, before) = (bound(&page.after)?, bound(&page.before)?);
        let position = |test| Predicate::Is(Path::field("position"), test);
        let at = |position: i64| Operand::Value(Value::Int(position));
        let filter = self.bound_filter(&self.store().read("customField.list"), ctx, filter).await?;
        let filter = checked(self.access(), ctx, &visible, &EVENT, filter)?
            .and(position(Test::IsNull(false)))
            .and(after.map_or_else(Predicate::always, |after| position(Test::Gt(at(after)))))
            .and(before.map_or_else(Predicate::always, |before| position(Test::Lt(at(before)))));
        let query = Query {
            record: &EVENT,
            filter,
            order: vec![OrderTerm { field: "position".into(), descending: false, nulls_first: false }],
            page: Page { after: None, before: None, ..page.clone() },
            relations: vec!["actor", "ticket"],
        };
        let reader = self.store().read("event.list");
        let mut slice = query::list(&reader, &self.access().scoped(ctx, &visible), &query, cursors, &[]).await?;
        let places = slice.rows.iter().map(|row| cursors.seal_log(ctx.tenant, row.int("position")));
        slice.cursors = places.collect::<Vec<_>>().into();
        slice.has_previous |= after.is_some();
        slice.has_next |= before.is_some();
        Ok(slice)
    }

    pub(crate) async fn bound_filter(
        &self,
        reader: &impl ConnectionTrait,
        ctx: &Ctx,
        filter: Predicate,
    ) -> Result<Predicate> {
        self.bound(reader, ctx, filter).await.map_err(|error| error.within("filter"))
    }

    /// The log's position now, as a cursor: read before the rows of a list, so that nothing falls between them.
    ///
    /// # Errors
    /// Database errors.
    pub async fn log_cursor(&self, ctx: &Ctx) -> Result<String> {
        let head = self.store().log().head().await?;
        Ok(self.store().cursors().seal_log(ctx.tenant, head))
    }

    /// The ticket that a write is about, unmasked, with all that facts need.
    pub(crate) async fn load_in(&self, tx: &mut store::Tx, reference: &TicketRef, path: &str) -> Result<Row> {
        let ctx = tx.ctx().clone();
        let visible = visibility::unmasked(&self.access().visible(&ctx));
        let record = self.record_of(&*tx, &ctx, &visible, reference).await?;
        let found = match record {
            Some(record) => self.find_with(tx, &ctx, &visible, record, reference, RELATIONS).await?,
            None => None,
        };
        found.ok_or_else(|| UserError::not_found([path], "the ticket").into())
    }

    /// The record type of the kind that the reference points at.
    pub(crate) async fn record_of(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        visible: &Visibilities,
        reference: &TicketRef,
    ) -> Result<Option<&'static RecordType>> {
        let kind = match reference {
            TicketRef::Id(id) => TicketKind::ALL.iter().copied().find(|kind| kind.id_prefix() == id.prefix),
            TicketRef::Number(number) => {
                let prefix = number.split('-').next().unwrap_or_default();
                TicketKind::ALL.iter().copied().find(|kind| kind.number_prefix() == prefix)
            }
            TicketRef::External { .. } => {
                let row = self.find_with(connection, ctx, visible, &TICKET, reference, &[]).await?;
                row.and_then(|row| TicketKind::parse(&row.text("kind")))
            }
        };
        kind.map(|kind| Ok(self.kinds().get(kind)?.record())).transpose()
    }
}

/// The relations that facts and rules read.
pub const RELATIONS: &[&str] = &["category", "requester", "openedBy", "service", "team", "assignee"];

/// Checks an external reference's parts.
///
/// # Errors
/// `VALIDATION` at `source` or `key`.
pub fn check_external(source: &str, key: &str) -> Result<()> {
    let mut problems = kernel::error::Problems::default();
    crate::commands::check_text(&mut problems, "source", source, MAX_KEY);
    crate::commands::check_text(&mut problems, "key", key, MAX_KEY);
    problems.check()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_does_wherever_an_id_does() {
        assert_eq!(TicketRef::parse("inc-1042", "id").unwrap(), TicketRef::Number("INC-1042".into()));
        let id = Id::new("inc", Uuid::from_u128(7));
        assert_eq!(TicketRef::parse(&id.to_string(), "id").unwrap(), TicketRef::Id(id));
    }

    #[test]
    fn a_wrong_prefix_is_a_clear_error() {
        let team = Id::new("team", Uuid::from_u128(7)).to_string();
        let error = TicketRef::parse(&team, "id").unwrap_err().to_string();
        assert!(error.contains("expected an id that starts with `inc_`"), "{error}");
        assert!(TicketRef::parse("nonsense", "id").is_err());
    }
}
