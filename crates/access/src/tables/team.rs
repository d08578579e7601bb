//! `team` and `team_member`.

use kernel::{Error, Result, Uuid};
use predicate::{FieldType, Value};
use sea_orm::sea_query::{Expr, ExprTrait, Func, LockType, OnConflict, Order, Query as Sql, WindowStatement};
use store::{ConnectionTrait, DbResult, Engine, ResultRow, Tx};

use super::{bound, get, taken};
use crate::error::slug_taken;
use crate::fields::TEAM;

/// A team to insert, at version 1.
#[derive(Clone, Debug)]
pub(crate) struct NewTeam {
    pub id: Uuid,
    pub slug: String,
    pub name: String,
    pub description: Option<String>,
    pub escalation_team: Option<Uuid>,
    pub manager: Option<Uuid>,
}

/// Inserts the team; a slug that is taken is refused.
pub(crate) async fn insert_team_in(tx: &Tx, team: &NewTeam) -> Result<()> {
    let columns = [
        "tenant_id",
        "id",
        "slug",
        "name",
        "description",
        "escalation_team_id",
        "manager_id",
        "version",
        "created_at",
        "updated_at",
    ];
    let mut insert = Sql::insert();
    insert.into_table("team").columns(columns).values_panic([
        Expr::val(tx.ctx().tenant),
        Expr::val(team.id),
        Expr::val(team.slug.as_str()),
        Expr::val(team.name.as_str()),
        Expr::val(team.description.clone()),
        Expr::val(team.escalation_team),
        Expr::val(team.manager),
        Expr::val(1),
        Expr::val(tx.now()),
        Expr::val(tx.now()),
    ]);
    tx.execute(&insert).await.map_err(|error| taken(error, "slug", || slug_taken(&team.slug, "team")))?;
    Ok(())
}

/// Changes the named fields and raises the version, provided that it is still `version`. Answers whether it was.
pub(crate) async fn update_team_in(tx: &Tx, id: Uuid, version: i32, changes: &[(&'static str, Value)]) -> Result<bool> {
    let mut update = Sql::update();
    update.table("team").value("version", version + 1).value("updated_at", tx.now());
    let mut slug = "";
    for (name, value) in changes {
        let field = TEAM.field(name).ok_or_else(|| Error::internal(format!("a team has no field `{name}`")))?;
        match field.kind {
            FieldType::Id => update.value(field.column, value.as_id()),
            _ => update.value(field.column, bound(value)?),
        };
        if field.column == "slug" {
            slug = value.as_text().unwrap_or_default();
        }
    }
    update
        .and_where(Expr::col("tenant_id").eq(tx.ctx().tenant))
        .and_where(Expr::col("id").eq(id))
        .and_where(Expr::col("version").eq(version));
    let done = tx.execute(&update).await.map_err(|error| taken(error, "slug", || slug_taken(slug, "team")))?;
    Ok(done.rows_affected() == 1)
}

/// The team with this slug.
pub(crate) async fn id_by_slug(connection: &impl ConnectionTrait, tenant: Uuid, slug: &str) -> Result<Option<Uuid>> {
    let mut select = Sql::select();
    select.column("id").from("team").and_where(Expr::col("tenant_id").eq(tenant)).and_where(Expr::col("slug").eq(slug));
    connection.query_one(&select).await.db()?.map(|row| get(&row, "id")).transpose()
}

/// The slug of the team and the team of the next level, as committed now; on PostgreSQL nobody else can change them until this write
/// is over.
pub(crate) async fn hold_escalation_in(tx: &Tx, team: Uuid) -> Result<Option<(String, Option<Uuid>)>> {
    let mut select = Sql::select();
    select
        .columns(["slug", "escalation_team_id"])
        .from("team")
        .and_where(Expr::col("tenant_id").eq(tx.ctx().tenant))
        .and_where(Expr::col("id").eq(team));
    if tx.engine() == Engine::Postgres {
        select.lock(LockType::Share);
    }
    let row = tx.query_one(&select).await.db()?;
    row.map(|row| Ok((get(&row, "slug")?, get(&row, "escalation_team_id")?))).transpose()
}

/// Adds the member; answers whether it was none before.
pub(crate) async fn add_member_in(tx: &Tx, team: Uuid, actor: Uuid) -> Result<bool> {
    let mut insert = Sql::insert();
    insert
        .into_table("team_member")
        .columns(["tenant_id", "team_id", "actor_id", "created_at"])
        .values_panic([Expr::val(tx.ctx().tenant), Expr::val(team), Expr::val(actor), Expr::val(tx.now())])
        .on_conflict(OnConflict::columns(["tenant_id", "team_id", "actor_id"]).do_nothing().to_owned());
    Ok(tx.execute(&insert).await.db()?.rows_affected() == 1)
}

/// Removes the member; answers whether it was one.
pub(crate) async fn remove_member_in(tx: &Tx, team: Uuid, actor: Uuid) -> Result<bool> {
    let mut delete = Sql::delete();
    delete
        .from_table("team_member")
        .and_where(Expr::col("tenant_id").eq(tx.ctx().tenant))
        .and_where(Expr::col("team_id").eq(team))
        .and_where(Expr::col("actor_id").eq(actor));
    Ok(tx.execute(&delete).await.db()?.rows_affected() == 1)
}

/// Whether the actor is a member of the team.
pub(crate) async fn is_member(
    connection: &impl ConnectionTrait,
    tenant: Uuid,
    team: Uuid,
    actor: Uuid,
) -> Result<bool> {
    let mut select = Sql::select();
    select
        .column("actor_id")
        .from("team_member")
        .and_where(Expr::col("tenant_id").eq(tenant))
        .and_where(Expr::col("team_id").eq(team))
        .and_where(Expr::col("actor_id").eq(actor));
    Ok(connection.query_one(&select).await.db()?.is_some())
}

/// How many members the team has.
pub(crate) async fn count_members(connection: &impl ConnectionTrait, tenant: Uuid, team: Uuid) -> Result<u64> {
    let mut select = Sql::select();
    select
        .expr_as(Func::count(Expr::col("actor_id")), "total")
        .from("team_member")
        .and_where(Expr::col("tenant_id").eq(tenant))
        .and_where(Expr::col("team_id").eq(team));
    let total = connection.query_one(&select).await.db()?.map(|row| get::<i64>(&row, "total")).transpose()?;
    Ok(total.map_or(0, i64::unsigned_abs))
}

/// Team and member for the first `limit` members of each team, oldest accounts first.
pub(crate) async fn members_of(
    connection: &impl ConnectionTrait,
    tenant: Uuid,
    teams: &[Uuid],
    limit: u32,
) -> Result<Vec<(Uuid, Uuid)>> {
    let mut window = WindowStatement::partition_by("team_id");
    window.order_by("actor_id", Order::Asc);
    let mut ranked = Sql::select();
    ranked
        .columns(["team_id", "actor_id"])
        .expr_window_as(Func::cust("row_number"), window, "place")
        .from("team_member")
        .and_where(Expr::col("tenant_id").eq(tenant))
        .and_where(Expr::col("team_id").is_in(teams.iter().copied()));
    let mut select = Sql::select();
    select
        .columns(["team_id", "actor_id"])
        .from_subquery(ranked, "ranked")
        .and_where(Expr::col("place").lte(limit))
        .order_by("team_id", Order::Asc)
        .order_by("actor_id", Order::Asc);
    pairs(connection.query_all(&select).await.db()?.iter(), "team_id", "actor_id")
}

/// Actor and team for each membership of these actors.
pub(crate) async fn teams_of(
    connection: &impl ConnectionTrait,
    tenant: Uuid,
    actors: &[Uuid],
) -> Result<Vec<(Uuid, Uuid)>> {
    let mut select = Sql::select();
    select
        .columns(["actor_id", "team_id"])
        .from("team_member")
        .and_where(Expr::col("tenant_id").eq(tenant))
        .and_where(Expr::col("actor_id").is_in(actors.iter().copied()))
        .order_by("team_id", Order::Asc);
    pairs(connection.query_all(&select).await.db()?.iter(), "actor_id", "team_id")
}

fn pairs<'a>(rows: impl Iterator<Item = &'a ResultRow>, first: &str, second: &str) -> Result<Vec<(Uuid, Uuid)>> {
    rows.map(|row| Ok((get(row, first)?, get(row, second)?))).collect()
}
