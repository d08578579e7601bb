//! `api_token`.

use kernel::{ActorKind, Error, Result, Timestamp, Uuid};
use sea_orm::sea_query::{Expr, ExprTrait, Func, Order, Query as Sql, SelectStatement};
use store::{ConnectionTrait, DbResult, ResultRow, Tx};

use super::{get, within_tenant};
use crate::model::ApiToken;

/// A token and what matters of its owner.
#[derive(Clone, Debug)]
pub(crate) struct StoredToken {
    pub tenant: Uuid,
    pub owner_kind: ActorKind,
    pub owner_active: bool,
    pub token: ApiToken,
}

impl StoredToken {
    /// Whether it may still be used.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.owner_active
            && self.token.revoked_at.is_none()
            && self.token.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

const COLUMNS: [&str; 9] =
    ["id", "actor_id", "name", "prefix", "scopes", "expires_at", "last_used_at", "revoked_at", "created_at"];

fn select() -> SelectStatement {
    let mut select = Sql::select();
    for column in COLUMNS {
        select.column(("api_token", column));
    }
    select.from("api_token");
    select
}

fn read(row: &ResultRow) -> Result<ApiToken> {
    let scopes: serde_json::Value = get(row, "scopes")?;
    Ok(ApiToken {
        id: get(row, "id")?,
        owner: get(row, "actor_id")?,
        name: get(row, "name")?,
        prefix: get(row, "prefix")?,
        scopes: serde_json::from_value(scopes).map_err(Error::internal)?,
        expires_at: get(row, "expires_at")?,
        last_used_at: get(row, "last_used_at")?,
        revoked_at: get(row, "revoked_at")?,
        created_at: get(row, "created_at")?,
    })
}

/// Inserts the token with the hash of its text.
pub(crate) async fn insert_token_in(tx: &Tx, token: &ApiToken, hash: &[u8; 32]) -> Result<()> {
    let columns = ["tenant_id", "id", "actor_id", "name", "prefix", "hash", "scopes", "expires_at", "created_at"];
    let scopes = serde_json::to_value(&token.scopes).map_err(Error::internal)?;
    let mut insert = Sql::insert();
    insert.into_table("api_token").columns(columns).values_panic([
        Expr::val(tx.ctx().tenant),
        Expr::val(token.id),
        Expr::val(token.owner),
        Expr::val(token.name.as_str()),
        Expr::val(token.prefix.as_str()),
        Expr::val(hash.to_vec()),
        Expr::val(scopes),
        Expr::val(token.expires_at),
        Expr::val(token.created_at),
    ]);
    tx.execute(&insert).await.db()?;
    Ok(())
}

/// The token whose text has this hash, of any tenant: the text is the proof.
pub(crate) async fn token_by_hash(connection: &impl ConnectionTrait, hash: &[u8; 32]) -> Result<Option<StoredToken>> {
    let mut statement = select();
    statement
        .column(("api_token", "tenant_id"))
        .column(("actor", "kind"))
        .column(("actor", "active"))
        .inner_join("actor", within_tenant("api_token", "actor_id", "actor"))
        .and_where(Expr::col(("api_token", "hash")).eq(hash.to_vec()));
    let Some(row) = connection.query_one(&statement).await.db()? else { return Ok(None) };
    let kind: String = get(&row, "kind")?;
    Ok(Some(StoredToken {
        tenant: get(&row, "tenant_id")?,
        owner_kind: ActorKind::parse(&kind).ok_or_else(|| Error::internal(format!("unknown kind `{kind}`")))?,
        owner_active: get(&row, "active")?,
        token: read(&row)?,
    }))
}

/// The token with this id.
pub(crate) async fn token_by_id(connection: &impl ConnectionTrait, tenant: Uuid, id: Uuid) -> Result<Option<ApiToken>> {
    let mut statement = select();
    statement
        .and_where(Expr::col(("api_token", "tenant_id")).eq(tenant))
        .and_where(Expr::col(("api_token", "id")).eq(id));
    connection.query_one(&statement).await.db()?.map(|row| read(&row)).transpose()
}

/// The tokens of an actor that were not revoked, newest first.
pub(crate) async fn tokens_of(
    connection: &impl ConnectionTrait,
    tenant: Uuid,
    owner: Uuid,
    limit: u64,
) -> Result<Vec<ApiToken>> {
    let mut statement = select();
    statement
        .and_where(Expr::col(("api_token", "tenant_id")).eq(tenant))
        .and_where(Expr::col(("api_token", "actor_id")).eq(owner))
        .and_where(Expr::col(("api_token", "revoked_at")).is_null())
        .order_by(("api_token", "id"), Order::Desc)
        .limit(limit);
    connection.query_all(&statement).await.db()?.iter().map(read).collect()
}

/// How many tokens of the actor are neither revoked nor expired.
pub(crate) async fn count_alive_tokens(
    connection: &impl ConnectionTrait,
    tenant: Uuid,
    owner: Uuid,
    now: Timestamp,
) -> Result<u64> {
    let mut select = Sql::select();
    select
        .expr_as(Func::count(Expr::col("id")), "total")
        .from("api_token")
        .and_where(Expr::col("tenant_id").eq(tenant))
        .and_where(Expr::col("actor_id").eq(owner))
        .and_where(Expr::col("revoked_at").is_null())
        .and_where(Expr::col("expires_at").is_null().or(Expr::col("expires_at").gt(now)));
    let total = connection.query_one(&select).await.db()?.map(|row| get::<i64>(&row, "total")).transpose()?;
    Ok(total.map_or(0, i64::unsigned_abs))
}

/// Revokes the token; answers whether it was alive.
pub(crate) async fn revoke_token_in(tx: &Tx, id: Uuid) -> Result<bool> {
    let mut update = Sql::update();
    update
        .table("api_token")
        .value("revoked_at", tx.now())
        .and_where(Expr::col("tenant_id").eq(tx.ctx().tenant))
        .and_where(Expr::col("id").eq(id))
        .and_where(Expr::col("revoked_at").is_null());
    Ok(tx.execute(&update).await.db()?.rows_affected() == 1)
}

/// Notes that the token was used, unless another use after `unless_after` was noted already.
pub(crate) async fn touch_token_in(tx: &Tx, id: Uuid, unless_after: Timestamp) -> Result<()> {
    let mut update = Sql::update();
    update
        .table("api_token")
        .value("last_used_at", tx.now())
        .and_where(Expr::col("tenant_id").eq(tx.ctx().tenant))
        .and_where(Expr::col("id").eq(id))
        .and_where(Expr::col("last_used_at").is_null().or(Expr::col("last_used_at").lte(unless_after)));
    tx.execute(&update).await.db()?;
    Ok(())
}
