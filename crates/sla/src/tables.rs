//! What is no plain statement of a record type: the counter of revisions, and many tickets at once.

use kernel::{Error, Result, Timestamp, Uuid};
use predicate::RecordType;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func, OnConflict, Query, Returning};
use sea_orm::{Statement, Value};
use store::{ConnectionTrait, DbResult, Engine, Tx};

use crate::clock::Summary;
use crate::fields::SLA_CLOCK;

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
