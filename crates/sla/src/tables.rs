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
use crate::segments::Segments;
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

/// What never changes on a clock while it stays the same one, in the order of [`fixed`].
const FIXED: [Column; 9] = [
    ("id", "uuid"),
    ("ticket_id", "uuid"),
    ("policy_id", "uuid"),
    ("policy_version", "integer"),
    ("kind", "text"),
    ("metric", "text"),
    ("ordinal", "integer"),
    ("about_id", "uuid"),
    ("started_at", "timestamptz"),
];

/// What a pause, its end and the passing of time change on a clock, in the order of [`moving`], with PostgreSQL's types.
const MOVING: [Column; 5] =
    [("phase", "text"), ("state", "text"), ("due_at", "timestamptz"), ("elapsed", "bigint"), ("segments", "text")];

/// What else can change on a clock while it stays the same one, in the order of [`settling`]. It is written only when it has:
/// SQLite writes an index anew for every column that a statement names.
const SETTLING: [Column; 8] = [
    ("late", "boolean"),
    ("stopped_at", "timestamptz"),
    ("breached_at", "timestamptz"),
    ("target", "bigint"),
    ("calendar_id", "uuid"),
    ("calendar_version", "integer"),
    ("ended", "text"),
    ("fired", "jsonb"),
];

/// A column and its type.
type Column = (&'static str, &'static str);

/// How many clocks one statement writes: 23 parameters each, of 32,766 on SQLite and 65,535 on PostgreSQL.
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
            segments: Segments::stored(&row.try_get_by_index::<String>(20).db()?)?,
            ended: ended.as_deref().and_then(Cause::parse),
        },
        state: named(row, 9, ClockState::parse)?,
        fired: row.try_get_by_index::<Document<_>>(21).db()?.0,
    })
}

/// A clock that was there before: of what is stored of it only that has changed which can be written of such a one.
#[derive(Clone, Copy)]
pub(crate) struct Continued<'c> {
    clock: &'c StoredClock,
    /// Whether nothing of it has changed but what moves with time.
    only_moved: bool,
}

impl<'c> Continued<'c> {
    /// `None` when nothing has changed, and when it is not the same clock at a later time.
    pub(crate) fn after(clock: &'c StoredClock, earlier: &StoredClock) -> Option<Self> {
        if clock == earlier || fixed(clock) != fixed(earlier) {
            return None;
        }
        let settled = |stored: &StoredClock| {
            let clock = &stored.clock;
            (clock.late, clock.stopped_at, clock.breached_at, clock.target, clock.calendar, clock.ended)
        };
        Some(Self { clock, only_moved: settled(clock) == settled(earlier) && clock.fired == earlier.fired })
    }
}

/// The statements that update clocks, as far as they are the same for all.
struct Texts {
    columns: Vec<Column>,
    /// SQLite's statement for one clock.
    one: String,
    /// PostgreSQL's statement for some, up to the first of them.
    head: String,
    /// What stands behind the last.
    tail: String,
}

impl Texts {
    fn of(columns: Vec<Column>) -> Self {
        let list = |written: &dyn Fn(&str) -> String| {
            columns.iter().map(|(column, _)| written(column)).collect::<Vec<_>>().join(", ")
        };
        Self {
            one: format!(
                "UPDATE sla_clock SET {} WHERE tenant_id = ? AND id = ?",
                list(&|column| format!("{column} = ?"))
            ),
            head: format!("UPDATE sla_clock SET {} FROM (VALUES ", list(&|column| format!("{column} = line.{column}"))),
            tail: format!(
                ") AS line (id, {}) WHERE sla_clock.tenant_id = $1 AND sla_clock.id = line.id",
                list(&|column| column.to_owned())
            ),
            columns,
        }
    }

    fn for_clocks(only_moved: bool) -> &'static Self {
        static MOVED: LazyLock<Texts> = LazyLock::new(|| Texts::of(MOVING.to_vec()));
        static ALL: LazyLock<Texts> = LazyLock::new(|| Texts::of(MOVING.into_iter().chain(SETTLING).collect()));
        if only_moved { &MOVED } else { &ALL }
    }

    fn values(&self, stored: &StoredClock) -> Result<Vec<Value>> {
        let mut values = Vec::with_capacity(self.columns.len());
        values.extend(moving(stored)?);
        if self.columns.len() > MOVING.len() {
            values.extend(settling(stored)?);
        }
        Ok(values)
    }
}

/// Writes what has changed on clocks.
pub(crate) async fn update_clocks_in(tx: &Tx, clocks: &[Continued<'_>]) -> Result<()> {
    match tx.engine() {
        Engine::Sqlite => update_one_by_one_in(tx, clocks).await,
        Engine::Postgres => update_together_in(tx, clocks).await,
    }
}

/// SQLite is best at one row by its key, and nothing is sent to a server and back for each.
async fn update_one_by_one_in(tx: &Tx, clocks: &[Continued<'_>]) -> Result<()> {
    if clocks.is_empty() {
        return Ok(());
    }
    let mut statements = Vec::with_capacity(clocks.len());
    for continued in clocks {
        let (texts, stored) = (Texts::for_clocks(continued.only_moved), continued.clock);
        let values = texts.values(stored)?.into_iter().chain([tx.ctx().tenant.into(), stored.id.into()]);
        statements.push(Statement::from_sql_and_values(tx.engine().backend(), texts.one.as_str(), values));
    }
    tx.execute_each_raw(&statements).await.db()
}

async fn update_together_in(tx: &Tx, clocks: &[Continued<'_>]) -> Result<()> {
    for clocks in clocks.chunks(CLOCKS_AT_ONCE) {
        let texts = Texts::for_clocks(clocks.iter().all(|continued| continued.only_moved));
        let mut values = Vec::with_capacity(1 + clocks.len() * (texts.columns.len() + 1));
        values.push(Value::from(tx.ctx().tenant));
        let mut sql = texts.head.clone();
        for (number, Continued { clock: stored, .. }) in clocks.iter().enumerate() {
            let first = values.len() + 1;
            let comma = if number == 0 { "" } else { ", " };
            // Writing to a string cannot fail.
            let _ = write!(sql, "{comma}(${first}::uuid, ");
            write_places(&mut sql, Engine::Postgres, first + 1, &texts.columns);
            sql.push(')');
            values.push(stored.id.into());
            values.extend(texts.values(stored)?);
        }
        sql.push_str(&texts.tail);
        // Nobody in this write reads them any more, unless a further reaction does.
        tx.execute_with_events(Statement::from_sql_and_values(tx.engine().backend(), sql, values)).await.db()?;
    }
    Ok(())
}

/// Writes clocks that were not there before.
pub(crate) async fn insert_clocks_in(tx: &Tx, clocks: &[&StoredClock]) -> Result<()> {
    static COLUMNS: LazyLock<Vec<Column>> =
        LazyLock::new(|| [("tenant_id", "uuid")].into_iter().chain(FIXED).chain(MOVING).chain(SETTLING).collect());
    static HEAD: LazyLock<String> = LazyLock::new(|| {
        let names: Vec<&str> = COLUMNS.iter().map(|(column, _)| *column).collect();
        format!("INSERT INTO sla_clock ({}) VALUES ", names.join(", "))
    });
    for clocks in clocks.chunks(CLOCKS_AT_ONCE) {
        let mut values: Vec<Value> = Vec::with_capacity(clocks.len() * COLUMNS.len());
        let mut sql = HEAD.clone();
        for (number, stored) in clocks.iter().enumerate() {
            let first = values.len() + 1;
            sql.push_str(if number == 0 { "(" } else { ", (" });
            write_places(&mut sql, tx.engine(), first, &COLUMNS);
            sql.push(')');
            values.push(tx.ctx().tenant.into());
            values.extend(fixed(stored));
            values.extend(moving(stored)?);
            values.extend(settling(stored)?);
        }
        tx.execute_raw(Statement::from_sql_and_values(tx.engine().backend(), sql, values)).await.db()?;
    }
    Ok(())
}

/// The places of the values of these columns, from this number on.
fn write_places(sql: &mut String, engine: Engine, first: usize, columns: &[Column]) {
    for (place, (_, kind)) in (first..).zip(columns) {
        let comma = if place == first { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = match engine {
            Engine::Sqlite => write!(sql, "{comma}?"),
            Engine::Postgres => write!(sql, "{comma}${place}::{kind}"),
        };
    }
}

fn fixed(stored: &StoredClock) -> [Value; FIXED.len()] {
    let clock = &stored.clock;
    [
        stored.id.into(),
        stored.ticket.into(),
        clock.policy.into(),
        clock.policy_version.into(),
        clock.kind.as_str().into(),
        clock.metric.as_str().into(),
        clock.ordinal.into(),
        clock.about.into(),
        clock.started_at.into(),
    ]
}

fn moving(stored: &StoredClock) -> Result<[Value; MOVING.len()]> {
    let clock = &stored.clock;
    Ok([
        clock.phase.as_str().into(),
        stored.state.as_str().into(),
        clock.due_at.into(),
        clock.elapsed.num_microseconds().unwrap_or(i64::MAX).into(),
        clock.segments.to_text()?.into(),
    ])
}

fn settling(stored: &StoredClock) -> Result<[Value; SETTLING.len()]> {
    let clock = &stored.clock;
    Ok([
        clock.late.into(),
        clock.stopped_at.into(),
        clock.breached_at.into(),
        clock.target.num_seconds().into(),
        clock.calendar.0.into(),
        clock.calendar.1.into(),
        clock.ended.map(Cause::as_str).map(str::to_owned).into(),
        document(&stored.fired)?,
    ])
}

fn document(value: &impl Serialize) -> Result<Value> {
    serde_json::to_string(value).map(Value::from).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_column_is_read_and_either_written_or_never_changes() {
        let all: BTreeSet<&str> = SLA_CLOCK.fields.iter().map(|field| field.column).collect();
        let columns = OF_TICKET.trim_start_matches("SELECT ").split_once(" FROM").unwrap().0;
        assert_eq!(columns.split(", ").collect::<BTreeSet<_>>(), all);
        let written: Vec<&str> = FIXED.iter().chain(&MOVING).chain(&SETTLING).map(|(column, _)| *column).collect();
        assert_eq!(written.len(), all.len());
        assert_eq!(written.into_iter().collect::<BTreeSet<_>>(), all);
    }
}
