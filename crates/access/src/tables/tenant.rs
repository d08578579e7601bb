//! `tenant`.

use kernel::{Result, Uuid};
use sea_orm::sea_query::{Expr, ExprTrait, Query as Sql, SelectStatement};
use store::{ConnectionTrait, DbResult, ResultRow, Tx};

use super::{get, taken};
use crate::model::Tenant;

fn select() -> SelectStatement {
    let mut select = Sql::select();
    select.columns(["id", "slug", "name", "created_at"]).from("tenant");
    select
}

fn read(row: &ResultRow) -> Result<Tenant> {
    Ok(Tenant {
        id: get(row, "id")?,
        slug: get(row, "slug")?,
        name: get(row, "name")?,
        created_at: get(row, "created_at")?,
    })
}

/// Inserts the tenant; a slug that is taken is refused.
pub(crate) async fn insert_tenant_in(tx: &Tx, tenant: &Tenant) -> Result<()> {
    let mut insert = Sql::insert();
    insert.into_table("tenant").columns(["id", "slug", "name", "created_at"]).values_panic([
        Expr::val(tenant.id),
        Expr::val(tenant.slug.as_str()),
        Expr::val(tenant.name.as_str()),
        Expr::val(tenant.created_at),
    ]);
    let refusal = || crate::error::slug_taken(&tenant.slug, "tenant");
    tx.execute(&insert).await.map_err(|error| taken(error, "slug", refusal))?;
    Ok(())
}

/// The tenant with this slug.
pub(crate) async fn tenant_by_slug(connection: &impl ConnectionTrait, slug: &str) -> Result<Option<Tenant>> {
    let mut statement = select();
    statement.and_where(Expr::col("slug").eq(slug));
    connection.query_one(&statement).await.db()?.map(|row| read(&row)).transpose()
}

/// The tenant with this id.
pub(crate) async fn tenant_by_id(connection: &impl ConnectionTrait, id: Uuid) -> Result<Option<Tenant>> {
    let mut statement = select();
    statement.and_where(Expr::col("id").eq(id));
    connection.query_one(&statement).await.db()?.map(|row| read(&row)).transpose()
}

/// The tenant, while there is exactly one.
pub(crate) async fn only_tenant(connection: &impl ConnectionTrait) -> Result<Option<Tenant>> {
    let mut statement = select();
    statement.limit(2);
    match connection.query_all(&statement).await.db()?.as_slice() {
        [row] => read(row).map(Some),
        _ => Ok(None),
    }
}

/// All tenants, by slug.
pub(crate) async fn tenants(connection: &impl ConnectionTrait) -> Result<Vec<Tenant>> {
    let mut statement = select();
    statement.order_by("slug", sea_orm::Order::Asc);
    connection.query_all(&statement).await.db()?.iter().map(read).collect()
}
