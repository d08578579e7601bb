//! Reads by catalogue: a record type, a filter, an order and a page become one statement.
//!
//! What the viewer may see is part of every statement: the row rule is in its `WHERE`, and a masked field is
//! `CASE WHEN mask THEN field END` wherever it is selected or ordered by. To-one relations are joined in the same statement.

mod compile;
mod cursor;
mod recurrence;
mod row;
mod scope;
mod search;
mod statistics;
mod write;

use kernel::{Page, PageDirection, Result, Uuid};
use predicate::{Catalogue, Path, Predicate, RecordType, Visibilities, Visibility};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func, Query as Sql, SelectStatement, UnionType};

use crate::CursorSealer;
use crate::connection::ConnectionTrait;
use crate::error::to_error as database_error;

use compile::Compiler;
pub use cursor::{Cursors, fingerprint};
pub use recurrence::{Recurrence, RecurrenceFigures, RecurrenceGroup, recurrence, recurrence_subjects};
pub use row::Row;
pub use scope::{ScopeFields, scope_word};
pub use search::{Found, FoundPage, SEARCH_WINDOW, Search, Term, TextIndex, count_found, search};
pub use statistics::{Durations, Group, GroupBy, Statistics, statistics};
pub use write::{delete_in, hold_in, insert_all_in, insert_in, insert_unique_in, update_all_in, update_in};

/// Whose data a statement reads, and what of it.
#[derive(Clone, Copy, Debug)]
pub struct Scoped<'a> {
    /// The tenant.
    pub tenant: Uuid,
    /// All record types.
    pub catalogue: &'a Catalogue,
    /// What the viewer may see of each.
    pub visible: &'a Visibilities,
}

/// One term of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderTerm {
    /// The field's name, or `relation:key.slot` for a value under a key.
    pub field: String,
    /// Largest first.
    pub descending: bool,
    /// Absent values first instead of last.
    pub nulls_first: bool,
}

impl OrderTerm {
    /// The way to the field.
    pub fn path(&self) -> Path {
        predicate::keyed::path(&self.field)
    }
}

/// A list to read.
#[derive(Clone, Debug)]
pub struct Query {
    /// Which records.
    pub record: &'static RecordType,
    /// Resolved and masked condition.
    pub filter: Predicate,
    /// Order; the id is always the last term.
    pub order: Vec<OrderTerm>,
    /// Which part of the list.
    pub page: Page,
    /// To-one relations to load along.
    pub relations: Vec<&'static str>,
}

/// A page of a list.
#[derive(Clone, Debug, Default)]
pub struct Slice {
    /// The records in the list's order.
    pub rows: Vec<Row>,
    /// The page cursor of each.
    pub cursors: Cursors,
    /// Whether the list goes on behind.
    pub has_next: bool,
    /// Whether the list begins before.
    pub has_previous: bool,
}

/// How many records there are, as far as counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// At most [`kernel::page::MAX_TOTAL_COUNT`], unless it was counted to another limit.
    pub total: u64,
    /// Whether there are no more than that.
    pub exact: bool,
}

/// Reads one page. `fingerprint` names the list (filter, order, viewer): a page cursor of another list is refused.
///
/// # Errors
/// `BAD_CURSOR` for a cursor that was not made for this list; database errors.
pub async fn list(
    connection: &impl ConnectionTrait,
    scoped: &Scoped<'_>,
    query: &Query,
    sealer: &CursorSealer,
    fingerprint: &[u8],
) -> Result<Slice> {
    let open = |text: &Option<String>| {
        text.as_deref()
            .map(|text| cursor::open(sealer, scoped.tenant, fingerprint, text, query.order.len()))
            .transpose()
    };
    let (after, before) = (open(&query.page.after)?, open(&query.page.before)?);
    let backward = query.page.direction == PageDirection::Backward;
    let mut compiler = Compiler::new(connection.get_database_backend(), scoped, query.record);
    let mut statement = compiler.select(&query.relations, &query.filter);
    if let Some(position) = &after {
        let bound = compiler.beyond(&query.order, position, false);
        statement.and_where(bound);
    }
    if let Some(position) = &before {
        let bound = compiler.beyond(&query.order, position, true);
        statement.and_where(bound);
    }
    compiler.order(&mut statement, &query.order, backward);
    let limit = u64::from(query.page.limit) + 1;
    let results = connection.query_all_raw(compiler.finish(statement, Some(limit))).await.map_err(database_error)?;
    let more = results.len() > query.page.limit as usize;
    let mut rows = results
        .iter()
        .take(query.page.limit as usize)
        .map(|result| row::decode(result, compiler.shape()))
        .collect::<Result<Vec<_>>>()?;
    if backward {
        rows.reverse();
    }
    let cursors = Cursors::of_page(sealer, scoped.tenant, fingerprint, &rows, &query.order);
    let (has_next, has_previous) = if backward { (before.is_some(), more) } else { (more, after.is_some()) };
    Ok(Slice { rows, cursors, has_next, has_previous })
}

/// Counts the visible records that match, up to [`kernel::page::MAX_TOTAL_COUNT`].
///
/// # Errors
/// Database errors.
pub async fn count(
    connection: &impl ConnectionTrait,
    scoped: &Scoped<'_>,
    record: &'static RecordType,
    filter: &Predicate,
) -> Result<Count> {
    count_to(connection, scoped, record, filter, kernel::page::MAX_TOTAL_COUNT).await
}

/// The same up to another limit: for work in the background, which may take its time.
///
/// # Errors
/// Database errors.
pub async fn count_to(
    connection: &impl ConnectionTrait,
    scoped: &Scoped<'_>,
    record: &'static RecordType,
    filter: &Predicate,
    limit: u64,
) -> Result<Count> {
    let mut compiler = Compiler::new(connection.get_database_backend(), scoped, record);
    let mut inner = compiler.select_one(filter);
    inner.limit(limit + 1);
    compiler.join(&mut inner);
    let mut outer = Sql::select();
    outer.expr_as(Func::count(Expr::val(1)), Alias::new("total")).from_subquery(inner, Alias::new("matching"));
    let result = connection.query_one(&outer).await.map_err(database_error)?;
    let total = match result {
        Some(result) => u64::try_from(result.try_get_by_index::<i64>(0).map_err(database_error)?).unwrap_or(0),
        None => 0,
    };
    Ok(Count { total: std::cmp::min(total, limit), exact: total <= limit })
}

/// Counts what each of these filters finds, as [`count`] does, by one statement for all of them.
///
/// # Errors
/// Database errors.
pub async fn count_many(
    connection: &impl ConnectionTrait,
    scoped: &Scoped<'_>,
    record: &'static RecordType,
    filters: &[Predicate],
) -> Result<Vec<Count>> {
    let limit = kernel::page::MAX_TOTAL_COUNT;
    let mut all: Option<SelectStatement> = None;
    for (place, filter) in filters.iter().enumerate() {
        let mut compiler = Compiler::new(connection.get_database_backend(), scoped, record);
        let mut inner = compiler.select_one(filter);
        inner.limit(limit + 1);
        compiler.join(&mut inner);
        let mut outer = Sql::select();
        let place = i64::try_from(place).map_err(kernel::Error::internal)?;
        outer
            .expr_as(Expr::val(place), Alias::new("place"))
            .expr_as(Func::count(Expr::val(1)), Alias::new("total"))
            .from_subquery(inner, Alias::new("matching"));
        match &mut all {
            Some(all) => {
                all.union(UnionType::All, outer);
            }
            None => all = Some(outer),
        }
    }
    let Some(all) = all else { return Ok(Vec::new()) };
    let mut counts = vec![Count { total: 0, exact: true }; filters.len()];
    for row in connection.query_all(&all).await.map_err(database_error)? {
        let place: i64 = row.try_get_by_index(0).map_err(database_error)?;
        let total: i64 = row.try_get_by_index(1).map_err(database_error)?;
        let total = u64::try_from(total).unwrap_or(0);
        if let Some(count) = usize::try_from(place).ok().and_then(|place| counts.get_mut(place)) {
            *count = Count { total: std::cmp::min(total, limit), exact: total <= limit };
        }
    }
    Ok(counts)
}

/// Reads the visible records among these ids, in no particular order.
///
/// # Errors
/// Database errors.
pub async fn by_ids(
    connection: &impl ConnectionTrait,
    scoped: &Scoped<'_>,
    record: &'static RecordType,
    ids: &[Uuid],
    relations: &[&'static str],
) -> Result<Vec<Row>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    all(connection, scoped, record, &Predicate::one_of("id", ids), relations, ids.len() as u64).await
}

/// Reads one visible record that matches.
///
/// # Errors
/// Database errors.
pub async fn find(
    connection: &impl ConnectionTrait,
    scoped: &Scoped<'_>,
    record: &'static RecordType,
    filter: &Predicate,
    relations: &[&'static str],
) -> Result<Option<Row>> {
    Ok(all(connection, scoped, record, filter, relations, 1).await?.pop())
}

/// Reads up to `limit` visible records that match, in the order of their ids.
///
/// # Errors
/// Database errors.
pub async fn all(
    connection: &impl ConnectionTrait,
    scoped: &Scoped<'_>,
    record: &'static RecordType,
    filter: &Predicate,
    relations: &[&'static str],
    limit: u64,
) -> Result<Vec<Row>> {
    let mut compiler = Compiler::new(connection.get_database_backend(), scoped, record);
    let mut statement = compiler.select(relations, filter);
    compiler.order(&mut statement, &[], false);
    let results = connection.query_all_raw(compiler.finish(statement, Some(limit))).await.map_err(database_error)?;
    results.iter().map(|result| row::decode(result, compiler.shape())).collect()
}

/// Whether any row of the tenant matches, whoever may see it: for checking that a value is not taken.
///
/// # Errors
/// Database errors.
pub async fn exists(
    connection: &impl ConnectionTrait,
    tenant: Uuid,
    record: &'static RecordType,
    filter: &Predicate,
    catalogue: &Catalogue,
) -> Result<bool> {
    let visible = catalogue.iter().map(|record| (record.name, Visibility::default())).collect();
    let scoped = Scoped { tenant, catalogue, visible: &visible };
    Ok(find(connection, &scoped, record, filter, &[]).await?.is_some())
}

/// For each of these parents, the first or last `limit` visible records that refer to it by `parent`, in the order of
/// their ids: one windowed statement for all parents.
///
/// # Errors
/// Database errors.
#[allow(clippy::too_many_arguments)]
pub async fn by_parents(
    connection: &impl ConnectionTrait,
    scoped: &Scoped<'_>,
    record: &'static RecordType,
    parent: &'static str,
    parents: &[Uuid],
    filter: &Predicate,
    direction: PageDirection,
    limit: u32,
    relations: &[&'static str],
) -> Result<Vec<Row>> {
    if parents.is_empty() {
        return Ok(Vec::new());
    }
    let mut compiler = Compiler::new(connection.get_database_backend(), scoped, record);
    let backward = direction == PageDirection::Backward;
    let wanted = Predicate::one_of(parent, parents).and(filter.clone());
    let mut inner = compiler.ranked_ids(parent, &wanted, backward);
    compiler.join(&mut inner);
    let mut compiler = Compiler::new(connection.get_database_backend(), scoped, record);
    let mut statement = compiler.select(relations, &Predicate::always());
    let mut top = Sql::select();
    top.column(Alias::new("id"))
        .from_subquery(inner, Alias::new("ranked"))
        .and_where(Expr::col(Alias::new("rank")).lte(limit));
    statement.and_where(compiler.id_column().in_subquery(top));
    compiler.order(&mut statement, &[], false);
    let results = connection.query_all_raw(compiler.finish(statement, None)).await.map_err(database_error)?;
    results.iter().map(|result| row::decode(result, compiler.shape())).collect()
}
