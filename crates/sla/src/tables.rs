//! What is no plain statement of a record type: the counter of revisions, many tickets at once, and the clocks of a ticket as a
//! write on it reads and writes them. Every write on a ticket that policies hold for does both, so the texts of those statements
//! are not made by the general way, and only what can have changed is written.

use std::fmt::Write as _;
use std::sync::LazyLock;

use chrono::Duration;
use kernel::{Error, Result, Timestamp, Uuid};
use predicate::RecordType;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func, OnConflict, Query, Returning};
use sea_orm::{Statement, Value};
use serde::Serialize;
use store::{ConnectionTrait, DbResult, Document, Engine, ResultRow, Tx};

use crate::clock::{Clock, Summary};
use crate::fields::SLA_CLOCK;
use crate::model::{Cause, ClockState, Metric, Phase, PolicyKind};
use crate::stored::StoredClock;

/// How many tickets one statement updates: six parameters each.
const TICKETS_AT_ONCE: usize = 500;

/// Raises the tenant's number of versions and answers it. Whoever publishes at the same time waits until this write is over.
pub(crate) async fn next_revision_in(tx: &Tx) -> Result<i64> {
    let column = Alias::new;
    let next = Expr::col((column("sla_revision"), column("revision")));
    let mut insert = Query::insert();
    insert
        .into_table(column("sla_revision"))
        .columns([column("tenant_id"), column("revision")])
        .values([Expr::val(tx.ctx().tenant), Expr::val(1_i64)])
        .map_err(Error::internal)?
        .on_conflict(OnConflict::column(column("tenant_id")).value(column("revision"), next.add(1_i64)).to_owned())
        .returning(Returning::new().column(column("revision")));
    let row = tx.query_one(&insert).await.db()?;
    let row = row.ok_or_else(|| Error::internal("the counter of revisions answered nothing"))?;
    row.try_get_by_index(0).db()
}

/// The number of versions that the tenant has; 0 for one without any.
pub(crate) async fn revision(connection: &impl ConnectionTrait, tenant: Uuid) -> Result<i64> {
    let mut select = Query::select();
    select
        .column(Alias::new("revision"))
        .from(Alias::new("sla_revision"))
        .and_where(Expr::col(Alias::new("tenant_id")).eq(tenant));
    match connection.query_one(&select).await.db()? {
        Some(row) => row.try_get_by_index(0).db(),
        None => Ok(0),
    }
}

/// How many records of a type the tenant has.
pub(crate) async fn count_in(tx: &Tx, record: &'static RecordType) -> Result<i64> {
    let mut select = Query::select();
    select
        .expr(Func::count(Expr::val(1)))
        .from(Alias::new(record.table))
        .and_where(Expr::col(Alias::new("tenant_id")).eq(tx.ctx().tenant));
    let row = tx.query_one(&select).await.db()?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0).db())
}

/// Deletes these clocks.
pub(crate) async fn delete_clocks_in(tx: &Tx, clocks: &[Uuid]) -> Result<()> {
    if clocks.is_empty() {
        return Ok(());
    }
    let mut delete = Query::delete();
    delete
        .from_table(Alias::new(SLA_CLOCK.table))
        .and_where(Expr::col(Alias::new("tenant_id")).eq(tx.ctx().tenant))
        .and_where(Expr::col(Alias::new("id")).is_in(clocks.iter().copied()));
    tx.execute(&delete).await.db()?;
    Ok(())
}

/// What a ticket tells of its clocks.
#[derive(Clone, Debug)]
pub(crate) struct TicketLine {
    pub(crate) ticket: Uuid,
    pub(crate) summary: Summary,
    pub(crate) basis: serde_json::Value,
}

/// Writes what tickets tell of their clocks. Their versions stay: nobody has changed anything of their own.
pub(crate) async fn write_lines_in(tx: &Tx, lines: &[TicketLine]) -> Result<()> {
    for lines in lines.chunks(TICKETS_AT_ONCE) {
        let mut values: Vec<Value> = Vec::with_capacity(lines.len() * 4 + 1);
        let mut rows = Vec::with_capacity(lines.len());
        for line in lines {
            let first = values.len() + 1;
            let due: Option<Timestamp> = line.summary.due_at;
            values.extend([
                line.ticket.into(),
                due.into(),
                line.summary.state.map(|state| state.as_str().to_owned()).into(),
                line.basis.clone().into(),
            ]);
            let places: Vec<String> = (first..=values.len())
                .map(|place| match tx.engine() {
                    Engine::Sqlite => "?".to_owned(),
                    Engine::Postgres => format!("${place}"),
                })
                .collect();
            rows.push(format!("({})", places.join(", ")));
        }
        values.push(tx.ctx().tenant.into());
        let tenant = match tx.engine() {
            Engine::Sqlite => "?".to_owned(),
            Engine::Postgres => format!("${}", values.len()),
        };
        let sql = format!(
            "WITH line (id, due_at, state, basis) AS (VALUES {}) \
             UPDATE ticket SET sla_due_at = line.due_at, sla_state = line.state, sla_basis = line.basis \
             FROM line WHERE ticket.tenant_id = {tenant} AND ticket.id = line.id",
            rows.join(", ")
        );
        tx.execute_raw(Statement::from_sql_and_values(tx.engine().backend(), sql, values)).await.db()?;
    }
    Ok(())
}

/// The clocks of one ticket, in the order of [`read`].
const OF_TICKET: &str = "SELECT id, ticket_id, policy_id, policy_version, kind, metric, ordinal, about_id, phase, state, late, \
     started_at, due_at, stopped_at, breached_at, target, calendar_id, calendar_version, elapsed, ended, segments, fired \
     FROM sla_clock WHERE tenant_id = $1 AND ticket_id = $2";

/// What can change on a clock while it stays the same one, in the order of [`changing`], with PostgreSQL's types.
const CHANGING: [(&str, &str); 13] = [
    ("phase", "text"),
    ("state", "text"),
    ("late", "boolean"),
    ("due_at", "timestamptz"),
    ("stopped_at", "timestamptz"),
    ("breached_at", "timestamptz"),
    ("target", "bigint"),
    ("calendar_id", "uuid"),
    ("calendar_version", "integer"),
    ("elapsed", "bigint"),
    ("ended", "text"),
    ("segments", "jsonb"),
    ("fired", "jsonb"),
];

/// How many clocks one statement updates on PostgreSQL: 14 parameters each, of 65,535.
const CLOCKS_AT_ONCE: usize = 1_000;

/// All clocks of a ticket, in no particular order. There are [`MAX_CLOCKS`](crate::clock::MAX_CLOCKS) at most.
pub(crate) async fn clocks_of(
    connection: &impl ConnectionTrait,
    tenant: Uuid,
    ticket: Uuid,
) -> Result<Vec<StoredClock>> {
    let backend = connection.get_database_backend();
    let statement = Statement::from_sql_and_values(backend, OF_TICKET, [tenant.into(), ticket.into()]);
    connection.query_all_raw(statement).await.db()?.iter().map(read).collect()
}

fn read(row: &ResultRow) -> Result<StoredClock> {
    fn named<T>(row: &ResultRow, place: usize, parse: impl Fn(&str) -> Option<T>) -> Result<T> {
        let name: String = row.try_get_by_index(place).db()?;
        parse(&name).ok_or_else(|| Error::internal(format!("a clock has the unknown word {name}")))
    }
    let ended: Option<String> = row.try_get_by_index(19).db()?;
    Ok(StoredClock {
        id: row.try_get_by_index(0).db()?,
        ticket: row.try_get_by_index(1).db()?,
        clock: Clock {
            policy: row.try_get_by_index(2).db()?,
            policy_version: row.try_get_by_index(3).db()?,
            kind: named(row, 4, PolicyKind::parse)?,
            metric: named(row, 5, Metric::parse)?,
            ordinal: row.try_get_by_index(6).db()?,
            about: row.try_get_by_index(7).db()?,
            phase: named(row, 8, Phase::parse)?,
            late: row.try_get_by_index(10).db()?,
            started_at: row.try_get_by_index(11).db()?,
            due_at: row.try_get_by_index(12).db()?,
            stopped_at: row.try_get_by_index(13).db()?,
            breached_at: row.try_get_by_index(14).db()?,
            target: Duration::seconds(row.try_get_by_index(15).db()?),
            calendar: (row.try_get_by_index(16).db()?, row.try_get_by_index(17).db()?),
            elapsed: Duration::microseconds(row.try_get_by_index(18).db()?),
            segments: row.try_get_by_index::<Document<_>>(20).db()?.0,
            ended: ended.as_deref().and_then(Cause::parse),
        },
        state: named(row, 9, ClockState::parse)?,
        fired: row.try_get_by_index::<Document<_>>(21).db()?.0,
    })
}

/// The parts of the statements that update clocks.
struct Texts {
    /// SQLite's statement for one clock.
    one: String,
    /// PostgreSQL's statement for some, up to the first of them.
    head: String,
    /// What stands behind the last.
    tail: String,
}

static TEXTS: LazyLock<Texts> = LazyLock::new(|| {
    let list = |written: &dyn Fn(&str) -> String| {
        CHANGING.iter().map(|(column, _)| written(column)).collect::<Vec<_>>().join(", ")
    };
    Texts {
        one: format!("UPDATE sla_clock SET {} WHERE tenant_id = ? AND id = ?", list(&|column| format!("{column} = ?"))),
        head: format!("UPDATE sla_clock SET {} FROM (VALUES ", list(&|column| format!("{column} = line.{column}"))),
        tail: format!(
            ") AS line (id, {}) WHERE sla_clock.tenant_id = $1 AND sla_clock.id = line.id",
            list(&|column| column.to_owned())
        ),
    }
});

/// Writes what has changed on clocks that were there before and are still [the same](StoredClock::continues).
pub(crate) async fn update_clocks_in(tx: &Tx, clocks: &[&StoredClock]) -> Result<()> {
    match tx.engine() {
        Engine::Sqlite => update_one_by_one_in(tx, clocks).await,
        Engine::Postgres => update_together_in(tx, clocks).await,
    }
}

/// SQLite is best at one row by its key, and nothing is sent to a server and back for each.
async fn update_one_by_one_in(tx: &Tx, clocks: &[&StoredClock]) -> Result<()> {
    if clocks.is_empty() {
        return Ok(());
    }
    let mut statements = Vec::with_capacity(clocks.len());
    for stored in clocks {
        let values = changing(stored)?.into_iter().chain([tx.ctx().tenant.into(), stored.id.into()]);
        statements.push(Statement::from_sql_and_values(tx.engine().backend(), TEXTS.one.as_str(), values));
    }
    tx.execute_each_raw(&statements).await.db()
}

async fn update_together_in(tx: &Tx, clocks: &[&StoredClock]) -> Result<()> {
    for clocks in clocks.chunks(CLOCKS_AT_ONCE) {
        let mut values = Vec::with_capacity(1 + clocks.len() * (CHANGING.len() + 1));
        values.push(Value::from(tx.ctx().tenant));
        let mut sql = TEXTS.head.clone();
        for (number, stored) in clocks.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            let first = values.len() + 1;
            // Writing to a string cannot fail.
            let _ = write!(sql, "{comma}(${first}::uuid");
            for (place, (_, kind)) in (first + 1..).zip(CHANGING) {
                let _ = write!(sql, ", ${place}::{kind}");
            }
            sql.push(')');
            values.push(stored.id.into());
            values.extend(changing(stored)?);
        }
        sql.push_str(&TEXTS.tail);
        tx.execute_raw(Statement::from_sql_and_values(tx.engine().backend(), sql, values)).await.db()?;
    }
    Ok(())
}

fn changing(stored: &StoredClock) -> Result<[Value; CHANGING.len()]> {
    fn document(value: &impl Serialize) -> Result<Value> {
        serde_json::to_string(value).map(Value::from).map_err(Error::internal)
    }
    let clock = &stored.clock;
    Ok([
        clock.phase.as_str().into(),
        stored.state.as_str().into(),
        clock.late.into(),
        clock.due_at.into(),
        clock.stopped_at.into(),
        clock.breached_at.into(),
        clock.target.num_seconds().into(),
        clock.calendar.0.into(),
        clock.calendar.1.into(),
        clock.elapsed.num_microseconds().unwrap_or(i64::MAX).into(),
        clock.ended.map(Cause::as_str).map(str::to_owned).into(),
        document(&clock.segments)?,
        document(&stored.fired)?,
    ])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_column_is_read_and_either_written_or_never_changes() {
        // What `StoredClock::continues` compares.
        const FIXED: [&str; 9] =
            ["id", "ticket_id", "policy_id", "policy_version", "kind", "metric", "ordinal", "about_id", "started_at"];
        let all: BTreeSet<&str> = SLA_CLOCK.fields.iter().map(|field| field.column).collect();
        let columns = OF_TICKET.trim_start_matches("SELECT ").split_once(" FROM").unwrap().0;
        assert_eq!(columns.split(", ").collect::<BTreeSet<_>>(), all);
        let written: Vec<&str> = FIXED.into_iter().chain(CHANGING.map(|(column, _)| column)).collect();
        assert_eq!(written.len(), all.len());
        assert_eq!(written.into_iter().collect::<BTreeSet<_>>(), all);
    }
}
