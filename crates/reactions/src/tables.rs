//! How far each reaction has come in the log; the only file that names the ORM.

use kernel::{Result, Uuid};
use sea_orm::Statement;
use store::{ConnectionTrait, DbResult, Tx};

/// How far a reaction has come; `None` for one that was never here.
pub(crate) async fn position(connection: &impl ConnectionTrait, name: &str) -> Result<Option<i64>> {
    let sql = "SELECT position FROM reaction_cursor WHERE tenant_id = $1 AND name = $2";
    let values = [Uuid::nil().into(), name.into()];
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, values);
    connection.query_one_raw(statement).await.db()?.map(|row| row.try_get("position").db()).transpose()
}

/// Has a reaction that was never here begin behind what there is by now.
pub(crate) async fn begin_in(tx: &Tx, name: &str) -> Result<()> {
    let sql = "INSERT INTO reaction_cursor (tenant_id, name, position) SELECT $1, $2, position FROM log_head WHERE true \
               ON CONFLICT (tenant_id, name) DO NOTHING";
    let values = [Uuid::nil().into(), name.into()];
    tx.execute_raw(Statement::from_sql_and_values(tx.engine().backend(), sql, values)).await.db()?;
    Ok(())
}

/// Moves a cursor, provided that nobody else did; answers whether it moved. From then on nobody else can until the write is over.
pub(crate) async fn move_in(tx: &Tx, name: &str, from: i64, to: i64) -> Result<bool> {
    let sql = "UPDATE reaction_cursor SET position = $4 WHERE tenant_id = $1 AND name = $2 AND position = $3";
    let values = [Uuid::nil().into(), name.into(), from.into(), to.into()];
    let done = tx.execute_raw(Statement::from_sql_and_values(tx.engine().backend(), sql, values)).await.db()?;
    Ok(done.rows_affected() == 1)
}
