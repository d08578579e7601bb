//! `actor` and `credential`.

use kernel::{ActorKind, Error, Result, Uuid};
use predicate::{FieldType, Value};
use sea_orm::sea_query::{Expr, ExprTrait, LockType, OnConflict, Query as Sql};
use store::{ConnectionTrait, DbResult, Engine, Tx};

use super::{bound, get, taken, within_tenant};
use crate::commands::folded;
use crate::error::email_taken;
use crate::fields::ACTOR;

/// An actor to insert: active, at version 1.
#[derive(Clone, Debug)]
pub(crate) struct NewActor {
    pub id: Uuid,
    pub kind: ActorKind,
    pub name: String,
    pub email: Option<String>,
    pub avatar_url: Option<String>,
    pub time_zone: Option<String>,
    pub manager: Option<Uuid>,
}

/// Inserts the actor; an address that is taken is refused.
pub(crate) async fn insert_actor_in(tx: &Tx, actor: &NewActor) -> Result<()> {
    let columns = [
        "tenant_id",
        "id",
        "kind",
        "name",
        "email",
        "email_lower",
        "avatar_url",
        "time_zone",
        "active",
        "manager_id",
        "version",
        "created_at",
        "updated_at",
    ];
    let mut insert = Sql::insert();
    insert.into_table("actor").columns(columns).values_panic([
        Expr::val(tx.ctx().tenant),
        Expr::val(actor.id),
        Expr::val(actor.kind.as_str()),
        Expr::val(actor.name.as_str()),
        Expr::val(actor.email.clone()),
        Expr::val(actor.email.as_deref().map(folded)),
        Expr::val(actor.avatar_url.clone()),
        Expr::val(actor.time_zone.clone()),
        Expr::val(true),
        Expr::val(actor.manager),
        Expr::val(1),
        Expr::val(tx.now()),
        Expr::val(tx.now()),
    ]);
    tx.execute(&insert).await.map_err(|error| taken(error, "email_lower", email_taken))?;
    Ok(())
}

/// Changes the named fields and raises the version, provided that it is still `version`. Answers whether it was.
pub(crate) async fn update_actor_in(
    tx: &Tx,
    id: Uuid,
    version: i32,
    changes: &[(&'static str, Value)],
) -> Result<bool> {
    let mut update = Sql::update();
    update.table("actor").value("version", version + 1).value("updated_at", tx.now());
    for (name, value) in changes {
        let field = ACTOR.field(name).ok_or_else(|| Error::internal(format!("an actor has no field `{name}`")))?;
        match field.kind {
            FieldType::Id => update.value(field.column, value.as_id()),
            _ => update.value(field.column, bound(value)?),
        };
        if field.column == "email" {
            update.value("email_lower", value.as_text().map(folded));
        }
    }
    update
        .and_where(Expr::col("tenant_id").eq(tx.ctx().tenant))
        .and_where(Expr::col("id").eq(id))
        .and_where(Expr::col("version").eq(version));
    let done = tx.execute(&update).await.map_err(|error| taken(error, "email_lower", email_taken))?;
    Ok(done.rows_affected() == 1)
}

/// Who manages the actor, as committed now; on PostgreSQL nobody else can change that until this write is over.
pub(crate) async fn hold_manager_in(tx: &Tx, actor: Uuid) -> Result<Option<Uuid>> {
    let mut select = Sql::select();
    select
        .column("manager_id")
        .from("actor")
        .and_where(Expr::col("tenant_id").eq(tx.ctx().tenant))
        .and_where(Expr::col("id").eq(actor));
    if tx.engine() == Engine::Postgres {
        select.lock(LockType::Share);
    }
    match tx.query_one(&select).await.db()? {
        Some(row) => get(&row, "manager_id"),
        None => Ok(None),
    }
}

/// The user with this address.
pub(crate) async fn id_by_email(connection: &impl ConnectionTrait, tenant: Uuid, email: &str) -> Result<Option<Uuid>> {
    let mut select = Sql::select();
    select
        .column("id")
        .from("actor")
        .and_where(Expr::col("tenant_id").eq(tenant))
        .and_where(Expr::col("email_lower").eq(folded(email)));
    connection.query_one(&select).await.db()?.map(|row| get(&row, "id")).transpose()
}

/// What signing in needs to know of a user.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub actor: Uuid,
    pub active: bool,
    pub password_hash: Option<String>,
}

/// The user who signs in with this address.
pub(crate) async fn login(connection: &impl ConnectionTrait, tenant: Uuid, email: &str) -> Result<Option<Login>> {
    let mut select = Sql::select();
    select
        .column(("actor", "id"))
        .column(("actor", "active"))
        .column(("credential", "password_hash"))
        .from("actor")
        .left_join("credential", within_tenant("credential", "actor_id", "actor"))
        .and_where(Expr::col(("actor", "tenant_id")).eq(tenant))
        .and_where(Expr::col(("actor", "kind")).eq(ActorKind::User.as_str()))
        .and_where(Expr::col(("actor", "email_lower")).eq(folded(email)));
    let Some(row) = connection.query_one(&select).await.db()? else { return Ok(None) };
    Ok(Some(Login {
        actor: get(&row, "id")?,
        active: get(&row, "active")?,
        password_hash: get(&row, "password_hash")?,
    }))
}

/// The hash of the actor's password, if it has one.
pub(crate) async fn password_hash(
    connection: &impl ConnectionTrait,
    tenant: Uuid,
    actor: Uuid,
) -> Result<Option<String>> {
    let mut select = Sql::select();
    select
        .column("password_hash")
        .from("credential")
        .and_where(Expr::col("tenant_id").eq(tenant))
        .and_where(Expr::col("actor_id").eq(actor));
    connection.query_one(&select).await.db()?.map(|row| get(&row, "password_hash")).transpose()
}

/// Sets the hash of the actor's password.
pub(crate) async fn set_password_in(tx: &Tx, actor: Uuid, hash: &str) -> Result<()> {
    let mut insert = Sql::insert();
    insert
        .into_table("credential")
        .columns(["tenant_id", "actor_id", "password_hash", "updated_at"])
        .values_panic([Expr::val(tx.ctx().tenant), Expr::val(actor), Expr::val(hash), Expr::val(tx.now())])
        .on_conflict(
            OnConflict::columns(["tenant_id", "actor_id"]).update_columns(["password_hash", "updated_at"]).to_owned(),
        );
    tx.execute(&insert).await.db()?;
    Ok(())
}

/// Leaves the actor without a password.
pub(crate) async fn clear_password_in(tx: &Tx, actor: Uuid) -> Result<()> {
    let mut delete = Sql::delete();
    delete
        .from_table("credential")
        .and_where(Expr::col("tenant_id").eq(tx.ctx().tenant))
        .and_where(Expr::col("actor_id").eq(actor));
    tx.execute(&delete).await.db()?;
    Ok(())
}
