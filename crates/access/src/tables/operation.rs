//! `operation_item`: what no query by the catalogue tells.

use kernel::{Result, Uuid};
use sea_orm::sea_query::{Expr, ExprTrait, Func, Query as Sql};
use store::{ConnectionTrait, DbResult, Tx};

use super::get;

/// The place of the last item of an operation.
pub(crate) async fn last_place(
    connection: &impl ConnectionTrait,
    tenant: Uuid,
    operation: Uuid,
) -> Result<Option<i64>> {
    let mut select = Sql::select();
    select
        .expr_as(Func::max(Expr::col("place")), "place")
        .from("operation_item")
        .and_where(Expr::col("tenant_id").eq(tenant))
        .and_where(Expr::col("operation_id").eq(operation));
    let row = connection.query_one(&select).await.db()?;
    Ok(row.map(|row| get::<Option<i64>>(&row, "place")).transpose()?.flatten())
}

/// How many items of an operation have which outcome.
pub(crate) async fn count_items(
    connection: &impl ConnectionTrait,
    tenant: Uuid,
    operation: Uuid,
) -> Result<Vec<(String, i64)>> {
    let mut select = Sql::select();
    select
        .column("outcome")
        .expr_as(Func::count(Expr::col("id")), "total")
        .from("operation_item")
        .and_where(Expr::col("tenant_id").eq(tenant))
        .and_where(Expr::col("operation_id").eq(operation))
        .group_by_col("outcome");
    let rows = connection.query_all(&select).await.db()?;
    rows.iter().map(|row| Ok((get(row, "outcome")?, get(row, "total")?))).collect()
}

/// Deletes items of an operation, so many at most; answers how many.
pub(crate) async fn delete_items_in(tx: &Tx, operation: Uuid, limit: u64) -> Result<u64> {
    let mut some = Sql::select();
    some.column("id")
        .from("operation_item")
        .and_where(Expr::col("tenant_id").eq(tx.ctx().tenant))
        .and_where(Expr::col("operation_id").eq(operation))
        .limit(limit);
    let mut delete = Sql::delete();
    delete
        .from_table("operation_item")
        .and_where(Expr::col("tenant_id").eq(tx.ctx().tenant))
        .and_where(Expr::col("id").in_subquery(some));
    Ok(tx.execute(&delete).await.db()?.rows_affected())
}
