//! The one table that is not a record type: the counters that numbers come from.

use kernel::{Result, Uuid};
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, OnConflict, Query, Returning};
use store::DbResult;

use crate::model::TicketKind;

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
