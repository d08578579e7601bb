//! What is no record type or no plain statement: the counters that numbers come from, chains of links, and many rows at once.

pub(crate) mod moving;

use kernel::{Result, Uuid};
use sea_orm::Statement;
use sea_orm::sea_query::{
    Alias, BinOper, Expr, ExprTrait, Func, JoinType, LockType, OnConflict, Order, Query, Returning,
};
use store::{ConnectionTrait, DbResult, Engine, Tx};

use crate::model::TicketKind;
use crate::search::Texts;
use crate::time::rules::Sums;

/// Where the numbers of a new tenant begin.
const FIRST: i64 = 1001;

/// Reserves `count` numbers and answers the first of them.
pub(crate) async fn reserve_numbers_in(
    connection: &impl ConnectionTrait,
    tenant: Uuid,
    kind: TicketKind,
    count: i64,
) -> Result<i64> {
    let column = Alias::new;
    let next = Expr::col((column("number_counter"), column("next")));
    let mut insert = Query::insert();
    insert
        .into_table(column("number_counter"))
        .columns([column("tenant_id"), column("kind"), column("next")])
        .values([Expr::val(tenant), Expr::val(kind.as_str()), Expr::val(FIRST + count)])
        .map_err(kernel::Error::internal)?
        .on_conflict(
            OnConflict::columns([column("tenant_id"), column("kind")])
                .value(column("next"), next.add(count))
                .to_owned(),
        )
        .returning(Returning::new().column(column("next")));
    let row = connection.query_one(&insert).await.db()?;
    let row = row.ok_or_else(|| kernel::Error::internal("a counter answered nothing"))?;
    let end: i64 = row.try_get_by_index(0).db()?;
    Ok(end - count)
}

/// Deletes the values that a ticket has under these keys.
pub(crate) async fn delete_custom_values_in(tx: &Tx, ticket: Uuid, keys: &[String]) -> Result<()> {
    let column = |name: &'static str| Expr::col(Alias::new(name));
    let mut delete = Query::delete();
    delete
        .from_table(Alias::new("custom_field_value"))
        .and_where(column("tenant_id").eq(tx.ctx().tenant))
        .and_where(column("ticket_id").eq(ticket))
        .and_where(column("key").is_in(keys));
    tx.execute(&delete).await.db()?;
    Ok(())
}

/// Has the counter go on behind a number that came from elsewhere, unless it is there already.
pub(crate) async fn advance_numbers_in(
    connection: &impl ConnectionTrait,
    tenant: Uuid,
    kind: TicketKind,
    used: i64,
) -> Result<()> {
    let column = Alias::new;
    let behind = Ord::max(used.saturating_add(1), FIRST);
    let next = || Expr::col((column("number_counter"), column("next")));
    let mut insert = Query::insert();
    insert
        .into_table(column("number_counter"))
        .columns([column("tenant_id"), column("kind"), column("next")])
        .values([Expr::val(tenant), Expr::val(kind.as_str()), Expr::val(behind)])
        .map_err(kernel::Error::internal)?
        .on_conflict(
            OnConflict::columns([column("tenant_id"), column("kind")])
                .value(column("next"), Expr::case(next().lt(behind), behind).finally(next()))
                .to_owned(),
        );
    connection.execute(&insert).await.db()?;
    Ok(())
}

/// The tickets from which a chain of links of one type leads to this one, at most so many, in no particular order.
pub(crate) async fn chain_to_in(tx: &Tx, kind: &str, ticket: Uuid, limit: usize) -> Result<Vec<Uuid>> {
    let sql = "WITH RECURSIVE above (id) AS ( \
               SELECT source_id FROM ticket_link WHERE tenant_id = $1 AND type = $2 AND target_id = $3 \
               UNION \
               SELECT link.source_id FROM ticket_link AS link JOIN above ON link.target_id = above.id \
               WHERE link.tenant_id = $1 AND link.type = $2 \
               ) SELECT id FROM above LIMIT $4";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = [tx.ctx().tenant.into(), kind.into(), ticket.into(), limit.into()];
    let statement = Statement::from_sql_and_values(tx.engine().backend(), sql, values);
    let rows = tx.query_all_raw(statement).await.db()?;
    rows.iter().map(|row| row.try_get_by_index(0).db()).collect()
}

/// Keeps others from changing these tickets until this write is over, as `store::query::hold_in` does for one. Answers whether
/// there was need to: on SQLite nobody else writes meanwhile.
pub(crate) async fn hold_tickets_in(tx: &Tx, tickets: &[Uuid]) -> Result<bool> {
    if tx.engine() == Engine::Sqlite || tickets.is_empty() {
        return Ok(false);
    }
    let column = Alias::new;
    let mut select = Query::select();
    select
        .column(column("id"))
        .from(column("ticket"))
        .and_where(Expr::col(column("tenant_id")).eq(tx.ctx().tenant))
        .and_where(Expr::col(column("id")).is_in(tickets.iter().copied()))
        .order_by(column("id"), Order::Asc)
        .lock(LockType::NoKeyUpdate);
    tx.query_all(&select).await.db()?;
    Ok(true)
}

/// Forgets the runs of a recurring ticket that were due before an instant.
pub(crate) async fn delete_runs_before_in(tx: &Tx, recurring: Uuid, before: kernel::Timestamp) -> Result<()> {
    let column = |name: &'static str| Expr::col(Alias::new(name));
    let mut delete = Query::delete();
    delete
        .from_table(Alias::new("recurring_ticket_run"))
        .and_where(column("tenant_id").eq(tx.ctx().tenant))
        .and_where(column("recurring_ticket_id").eq(recurring))
        .and_where(column("due_at").lt(before));
    tx.execute(&delete).await.db()?;
    Ok(())
}

/// Notes that these votes on approvals are not required any more: one statement, however many there are.
pub(crate) async fn release_votes_in(connection: &impl ConnectionTrait, tenant: Uuid, votes: &[Uuid]) -> Result<()> {
    if votes.is_empty() {
        return Ok(());
    }
    let mut update = Query::update();
    update
        .table(Alias::new("approval_vote"))
        .value(Alias::new("vote"), crate::approval::VoteState::NotRequired.as_str())
        .and_where(Expr::col(Alias::new("tenant_id")).eq(tenant))
        .and_where(Expr::col(Alias::new("id")).is_in(votes.iter().copied()));
    connection.execute(&update).await.db()?;
    Ok(())
}

/// Writes the texts of tickets that have none in the index; leaves those that have.
pub(crate) async fn insert_texts_in(tx: &Tx, texts: &[Texts]) -> Result<()> {
    // Each row binds ten values; SQLite takes 32,766 at once.
    for texts in texts.chunks(1_000) {
        let mut insert = Query::insert();
        insert.into_table(Alias::new("ticket_search")).columns(
            [
                "tenant_id",
                "id",
                "created_at",
                "number",
                "title",
                "details",
                "comments",
                "internal_details",
                "internal_comments",
                "scope",
            ]
            .map(Alias::new),
        );
        for text in texts {
            let values = [
                Expr::val(tx.ctx().tenant),
                Expr::val(text.ticket),
                Expr::val(text.created_at),
                Expr::val(text.number.as_str()),
                Expr::val(text.title.as_str()),
                Expr::val(text.details.as_str()),
                Expr::val(text.comments.as_str()),
                Expr::val(text.internal_details.as_str()),
                Expr::val(text.internal_comments.as_str()),
                Expr::val(text.scope.as_str()),
            ];
            insert.values(values).map_err(kernel::Error::internal)?;
        }
        let place = ["tenant_id", "id"].map(Alias::new);
        insert.on_conflict(OnConflict::columns(place).do_nothing().to_owned());
        tx.execute(&insert).await.db()?;
    }
    Ok(())
}

/// Writes what a ticket says now, without its comments. One that is not indexed yet is indexed with everything later.
pub(crate) async fn update_texts_in(tx: &Tx, texts: &Texts) -> Result<()> {
    let column = Alias::new;
    let mut update = Query::update();
    update
        .table(column("ticket_search"))
        .value(column("number"), texts.number.as_str())
        .value(column("title"), texts.title.as_str())
        .value(column("details"), texts.details.as_str())
        .value(column("internal_details"), texts.internal_details.as_str())
        .value(column("scope"), texts.scope.as_str())
        .and_where(Expr::col(column("tenant_id")).eq(tx.ctx().tenant))
        .and_where(Expr::col(column("id")).eq(texts.ticket));
    tx.execute(&update).await.db()?;
    Ok(())
}

/// Adds folded words to a column of a ticket's texts, unless it holds `most` characters already.
pub(crate) async fn append_text_in(tx: &Tx, ticket: Uuid, name: &'static str, words: &str, most: usize) -> Result<()> {
    let column = Alias::new;
    let most = i32::try_from(most).unwrap_or(i32::MAX);
    let appended = Expr::col(column(name)).binary(BinOper::Custom("||"), Expr::val(words));
    let mut update = Query::update();
    update
        .table(column("ticket_search"))
        .value(column(name), appended)
        .and_where(Expr::col(column("tenant_id")).eq(tx.ctx().tenant))
        .and_where(Expr::col(column("id")).eq(ticket))
        .and_where(Expr::expr(Func::char_length(Expr::col(column(name)))).lt(most));
    tx.execute(&update).await.db()?;
    Ok(())
}

/// Puts these folded words in place of what a column of a ticket's texts holds.
pub(crate) async fn update_text_in(tx: &Tx, ticket: Uuid, name: &'static str, words: &str) -> Result<()> {
    let column = Alias::new;
    let mut update = Query::update();
    update
        .table(column("ticket_search"))
        .value(column(name), words)
        .and_where(Expr::col(column("tenant_id")).eq(tx.ctx().tenant))
        .and_where(Expr::col(column("id")).eq(ticket));
    tx.execute(&update).await.db()?;
    Ok(())
}

/// The tickets before this one in the order of their making that are not in the index, the last first.
pub(crate) async fn without_texts(
    connection: &impl ConnectionTrait,
    tenant: Uuid,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Uuid>> {
    let column = |table: &'static str, name: &'static str| Expr::col((Alias::new(table), Alias::new(name)));
    let same =
        ["tenant_id", "id"].into_iter().map(|name| column("s", name).equals((Alias::new("t"), Alias::new(name))));
    let same = same.reduce(ExprTrait::and).unwrap_or_else(|| Expr::val(true));
    let mut select = Query::select();
    select
        .column((Alias::new("t"), Alias::new("id")))
        .from_as(Alias::new("ticket"), Alias::new("t"))
        .join_as(JoinType::LeftJoin, Alias::new("ticket_search"), Alias::new("s"), same)
        .and_where(column("t", "tenant_id").eq(tenant))
        .and_where(column("s", "id").is_null())
        .order_by((Alias::new("t"), Alias::new("id")), Order::Desc)
        .limit(limit);
    if let Some(before) = before {
        select.and_where(column("t", "id").lt(before));
    }
    let rows = connection.query_all(&select).await.db()?;
    rows.iter().map(|row| row.try_get_by_index(0).db()).collect()
}

/// Keeps others from holding the tenant until this write is over: for what must be looked at among all of its records of a kind.
pub(crate) async fn hold_tenant_in(tx: &Tx) -> Result<()> {
    hold_row_in(tx, "tenant", &[("id", tx.ctx().tenant)]).await
}

/// Keeps others from holding a user until this write is over.
pub(crate) async fn hold_user_in(tx: &Tx, user: Uuid) -> Result<()> {
    hold_row_in(tx, "actor", &[("tenant_id", tx.ctx().tenant), ("id", user)]).await
}

/// On SQLite nobody else writes meanwhile.
async fn hold_row_in(tx: &Tx, table: &'static str, keys: &[(&'static str, Uuid)]) -> Result<()> {
    if tx.engine() == Engine::Sqlite {
        return Ok(());
    }
    let column = Alias::new;
    let mut select = Query::select();
    select.column(column("id")).from(column(table)).lock(LockType::NoKeyUpdate);
    for (name, id) in keys {
        select.and_where(Expr::col(column(name)).eq(*id));
    }
    tx.query_one(&select).await.db()?;
    Ok(())
}

/// Keeps others from changing a rate until this write is over, provided that it still has `version`; others may use it meanwhile.
/// Answers whether it had.
pub(crate) async fn share_rate_in(tx: &Tx, rate: Uuid, version: i32) -> Result<bool> {
    if tx.engine() == Engine::Sqlite {
        return Ok(true);
    }
    let column = Alias::new;
    let mut select = Query::select();
    select
        .column(column("version"))
        .from(column("labour_rate"))
        .and_where(Expr::col(column("tenant_id")).eq(tx.ctx().tenant))
        .and_where(Expr::col(column("id")).eq(rate))
        .lock(LockType::Share);
    match tx.query_one(&select).await.db()? {
        Some(row) => Ok(row.try_get::<i32>("version").db()? == version),
        None => Ok(false),
    }
}

/// What the entries of a ticket add up to.
pub(crate) async fn time_sums_in(tx: &Tx, ticket: Uuid) -> Result<Sums> {
    let sql = "SELECT COUNT(*) AS entries, CAST(SUM(duration) AS bigint) AS seconds, CAST(SUM(amount) AS bigint) AS cost, \
               CAST(SUM(CASE WHEN billable THEN amount ELSE 0 END) AS bigint) AS billable, \
               CAST(SUM(CASE WHEN costed THEN 0 ELSE 1 END) AS bigint) AS without_rate \
               FROM time_entry WHERE tenant_id = $1 AND ticket_id = $2";
    let statement = Statement::from_sql_and_values(tx.engine().backend(), sql, [tx.ctx().tenant.into(), ticket.into()]);
    let Some(row) = tx.query_one_raw(statement).await.db()? else { return Ok(Sums::default()) };
    let number = |name: &str| row.try_get::<Option<i64>>(name).db();
    let cost = number("cost")?;
    Ok(Sums {
        entries: number("entries")?.unwrap_or_default(),
        seconds: number("seconds")?.unwrap_or_default(),
        cost,
        billable: cost.and(number("billable")?),
        without_rate: number("without_rate")?.unwrap_or_default(),
    })
}

/// The currency of the tenant's rates, those that are retired only if entries have them; `None` when there is no such rate.
pub(crate) async fn currency_of(connection: &impl ConnectionTrait, tenant: Uuid) -> Result<Option<String>> {
    let sql = "SELECT currency FROM labour_rate AS r WHERE tenant_id = $1 AND (NOT retired OR EXISTS ( \
               SELECT 1 FROM time_entry AS e WHERE e.tenant_id = r.tenant_id AND e.rate_id = r.id)) LIMIT 1";
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, [tenant.into()]);
    let row = connection.query_one_raw(statement).await.db()?;
    row.map(|row| row.try_get_by_index(0).db()).transpose()
}

/// How long a user's entries of a day are together, in seconds.
pub(crate) async fn seconds_of_day_in(tx: &Tx, user: Uuid, day: &str) -> Result<i64> {
    let sql = "SELECT CAST(SUM(duration) AS bigint) AS seconds FROM time_entry \
               WHERE tenant_id = $1 AND user_id = $2 AND worked_on = $3";
    let values = [tx.ctx().tenant.into(), user.into(), day.into()];
    let row = tx.query_one_raw(Statement::from_sql_and_values(tx.engine().backend(), sql, values)).await.db()?;
    let seconds = row.map(|row| row.try_get::<Option<i64>>("seconds").db()).transpose()?;
    Ok(seconds.flatten().unwrap_or_default())
}
