//! Active users by what they belong to.

use kernel::{ActorKind, Result, Uuid};
use sea_orm::sea_query::{Expr, ExprTrait, Order, Query as Sql, SelectStatement};
use store::{ConnectionTrait, DbResult};

use super::{get, within_tenant};

/// Which users.
#[derive(Clone, Copy, Debug)]
pub(crate) enum People<'a> {
    /// These.
    Among(&'a [Uuid]),
    /// The members of this team.
    MembersOf(Uuid),
    /// Whoever has the role with this key.
    HoldersOf(&'a str),
    /// The manager of this user.
    ManagerOf(Uuid),
}

/// The first `limit` active users among them, oldest accounts first.
pub(crate) async fn active_users(
    connection: &impl ConnectionTrait,
    tenant: Uuid,
    people: People<'_>,
    limit: u64,
) -> Result<Vec<Uuid>> {
    let mut select = Sql::select();
    select
        .column("id")
        .from("actor")
        .and_where(Expr::col("tenant_id").eq(tenant))
        .and_where(Expr::col("active").eq(true))
        .and_where(Expr::col("kind").eq(ActorKind::User.as_str()))
        .order_by("id", Order::Asc)
        .limit(limit);
    match people {
        People::Among([]) => return Ok(Vec::new()),
        People::Among(ids) => select.and_where(Expr::col("id").is_in(ids.iter().copied())),
        People::MembersOf(team) => select.and_where(Expr::col("id").in_subquery(members(tenant, team))),
        People::HoldersOf(role) => select.and_where(Expr::col("id").in_subquery(holders(tenant, role))),
        People::ManagerOf(user) => select.and_where(Expr::col("id").in_subquery(manager(tenant, user))),
    };
    connection.query_all(&select).await.db()?.iter().map(|row| get(row, "id")).collect()
}

fn members(tenant: Uuid, team: Uuid) -> SelectStatement {
    let mut select = Sql::select();
    select
        .column("actor_id")
        .from("team_member")
        .and_where(Expr::col("tenant_id").eq(tenant))
        .and_where(Expr::col("team_id").eq(team));
    select
}

fn manager(tenant: Uuid, user: Uuid) -> SelectStatement {
    let mut select = Sql::select();
    select
        .column("manager_id")
        .from("actor")
        .and_where(Expr::col("tenant_id").eq(tenant))
        .and_where(Expr::col("id").eq(user))
        .and_where(Expr::col("manager_id").is_not_null());
    select
}

fn holders(tenant: Uuid, role: &str) -> SelectStatement {
    let mut select = Sql::select();
    select
        .column(("role_assignment", "actor_id"))
        .from("role_assignment")
        .inner_join("role", within_tenant("role_assignment", "role_id", "role"))
        .and_where(Expr::col(("role_assignment", "tenant_id")).eq(tenant))
        .and_where(Expr::col(("role", "key")).eq(role));
    select
}
