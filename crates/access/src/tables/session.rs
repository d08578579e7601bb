//! `session`.

use kernel::{Result, Timestamp, Uuid};
use sea_orm::sea_query::{Expr, ExprTrait, Query as Sql};
use store::{ConnectionTrait, DbResult, Tx};

use super::{get, within_tenant};

/// A session to insert.
#[derive(Clone, Debug)]
pub(crate) struct NewSession {
    pub id: Uuid,
    pub actor: Uuid,
    pub refresh_hash: [u8; 32],
    pub expires_at: Timestamp,
}

/// A session and what matters of its owner.
#[derive(Clone, Debug)]
pub(crate) struct StoredSession {
    pub tenant: Uuid,
    pub actor: Uuid,
    pub actor_active: bool,
    pub refresh_hash: Vec<u8>,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

impl StoredSession {
    /// Whether it may still be used.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.actor_active && self.revoked_at.is_none() && now < self.expires_at
    }
}

/// Inserts the session.
pub(crate) async fn insert_session_in(tx: &Tx, session: &NewSession) -> Result<()> {
    let columns = ["tenant_id", "id", "actor_id", "refresh_hash", "expires_at", "created_at", "last_used_at"];
    let mut insert = Sql::insert();
    insert.into_table("session").columns(columns).values_panic([
        Expr::val(tx.ctx().tenant),
        Expr::val(session.id),
        Expr::val(session.actor),
        Expr::val(session.refresh_hash.to_vec()),
        Expr::val(session.expires_at),
        Expr::val(tx.now()),
        Expr::val(tx.now()),
    ]);
    tx.execute(&insert).await.db()?;
    Ok(())
}

/// The session with this id, of any tenant: its id comes from a token that we signed.
pub(crate) async fn session_by_id(connection: &impl ConnectionTrait, id: Uuid) -> Result<Option<StoredSession>> {
    let mut select = Sql::select();
    select
        .column(("session", "tenant_id"))
        .column(("session", "actor_id"))
        .column(("session", "refresh_hash"))
        .column(("session", "expires_at"))
        .column(("session", "revoked_at"))
        .column(("actor", "active"))
        .from("session")
        .inner_join("actor", within_tenant("session", "actor_id", "actor"))
        .and_where(Expr::col(("session", "id")).eq(id));
    let Some(row) = connection.query_one(&select).await.db()? else { return Ok(None) };
    Ok(Some(StoredSession {
        tenant: get(&row, "tenant_id")?,
        actor: get(&row, "actor_id")?,
        actor_active: get(&row, "active")?,
        refresh_hash: get(&row, "refresh_hash")?,
        expires_at: get(&row, "expires_at")?,
        revoked_at: get(&row, "revoked_at")?,
    }))
}

/// Replaces the refresh token, provided that `old` is still the one that may be used. Answers whether it was.
pub(crate) async fn rotate_session_in(
    tx: &Tx,
    id: Uuid,
    old: &[u8],
    new: &[u8],
    expires_at: Timestamp,
) -> Result<bool> {
    let mut update = Sql::update();
    update
        .table("session")
        .value("refresh_hash", new.to_vec())
        .value("expires_at", expires_at)
        .value("last_used_at", tx.now())
        .and_where(Expr::col("tenant_id").eq(tx.ctx().tenant))
        .and_where(Expr::col("id").eq(id))
        .and_where(Expr::col("refresh_hash").eq(old.to_vec()))
        .and_where(Expr::col("revoked_at").is_null());
    Ok(tx.execute(&update).await.db()?.rows_affected() == 1)
}

/// Ends the session; answers whether it was alive.
pub(crate) async fn revoke_session_in(tx: &Tx, id: Uuid) -> Result<bool> {
    let mut update = Sql::update();
    update
        .table("session")
        .value("revoked_at", tx.now())
        .and_where(Expr::col("tenant_id").eq(tx.ctx().tenant))
        .and_where(Expr::col("id").eq(id))
        .and_where(Expr::col("revoked_at").is_null());
    Ok(tx.execute(&update).await.db()?.rows_affected() == 1)
}

/// Ends all sessions of the actor but one; answers how many there were.
pub(crate) async fn revoke_sessions_of_in(tx: &Tx, actor: Uuid, but: Option<Uuid>) -> Result<u64> {
    let mut update = Sql::update();
    update
        .table("session")
        .value("revoked_at", tx.now())
        .and_where(Expr::col("tenant_id").eq(tx.ctx().tenant))
        .and_where(Expr::col("actor_id").eq(actor))
        .and_where(Expr::col("revoked_at").is_null());
    if let Some(kept) = but {
        update.and_where(Expr::col("id").ne(kept));
    }
    Ok(tx.execute(&update).await.db()?.rows_affected())
}

/// Deletes up to `limit` sessions of the tenant that expired before `before`; answers how many.
pub(crate) async fn sweep_sessions_in(tx: &Tx, before: Timestamp, limit: u64) -> Result<u64> {
    let mut old = Sql::select();
    old.column("id")
        .from("session")
        .and_where(Expr::col("tenant_id").eq(tx.ctx().tenant))
        .and_where(Expr::col("expires_at").lt(before))
        .limit(limit);
    let mut delete = Sql::delete();
    delete
        .from_table("session")
        .and_where(Expr::col("tenant_id").eq(tx.ctx().tenant))
        .and_where(Expr::col("id").in_subquery(old));
    Ok(tx.execute(&delete).await.db()?.rows_affected())
}
