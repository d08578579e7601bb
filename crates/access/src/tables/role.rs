//! `role`, `role_permission` and `role_assignment`.

use kernel::{Error, Grant, Grants, Result, Scope, Uuid};
use sea_orm::sea_query::{Expr, ExprTrait, Func, Order, Query as Sql, UnionType};
use store::{ConnectionTrait, DbResult, ResultRow, Tx};

use super::{get, within_tenant};
use crate::permission::{ADMINISTRATOR, BuiltInRole, RoleGrant, normalised};

/// A role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    pub id: Uuid,
    pub key: String,
    pub name: String,
}

/// Inserts a built-in role with its permissions.
pub(crate) async fn insert_role_in(tx: &Tx, id: Uuid, role: &BuiltInRole, grants: &[RoleGrant]) -> Result<()> {
    let tenant = tx.ctx().tenant;
    let mut insert = Sql::insert();
    insert.into_table("role").columns(["tenant_id", "id", "key", "name", "built_in"]).values_panic([
        Expr::val(tenant),
        Expr::val(id),
        Expr::val(role.key),
        Expr::val(role.name),
        Expr::val(true),
    ]);
    tx.execute(&insert).await.db()?;
    let mut insert = Sql::insert();
    insert.into_table("role_permission").columns(["tenant_id", "role_id", "permission", "scope"]);
    for (permission, scope) in grants {
        insert.values_panic([Expr::val(tenant), Expr::val(id), Expr::val(*permission), Expr::val(scope.as_str())]);
    }
    tx.execute(&insert).await.db()?;
    Ok(())
}

/// The roles with these keys, in no particular order.
pub(crate) async fn roles_by_keys(connection: &impl ConnectionTrait, tenant: Uuid, keys: &[&str]) -> Result<Vec<Role>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut select = Sql::select();
    select
        .columns(["id", "key", "name"])
        .from("role")
        .and_where(Expr::col("tenant_id").eq(tenant))
        .and_where(Expr::col("key").is_in(keys.iter().copied()));
    let rows = connection.query_all(&select).await.db()?;
    rows.iter().map(|row| Ok(Role { id: get(row, "id")?, key: get(row, "key")?, name: get(row, "name")? })).collect()
}

/// What each of these roles grants: role, permission, scope.
pub(crate) async fn grants_of_roles(
    connection: &impl ConnectionTrait,
    tenant: Uuid,
    roles: &[Uuid],
) -> Result<Vec<(Uuid, String, Scope)>> {
    if roles.is_empty() {
        return Ok(Vec::new());
    }
    let mut select = Sql::select();
    select
        .columns(["role_id", "permission", "scope"])
        .from("role_permission")
        .and_where(Expr::col("tenant_id").eq(tenant))
        .and_where(Expr::col("role_id").is_in(roles.iter().copied()));
    let rows = connection.query_all(&select).await.db()?;
    rows.iter().map(|row| Ok((get(row, "role_id")?, get(row, "permission")?, scope(row)?))).collect()
}

fn scope(row: &ResultRow) -> Result<Scope> {
    let text: String = get(row, "scope")?;
    Scope::parse(&text).ok_or_else(|| Error::internal(format!("unknown scope `{text}`")))
}

/// A role that an actor has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub actor: Uuid,
    pub role: Role,
    pub team: Option<Uuid>,
}

/// The roles of these actors, by actor and key.
pub(crate) async fn assignments_of(
    connection: &impl ConnectionTrait,
    tenant: Uuid,
    actors: &[Uuid],
) -> Result<Vec<Assignment>> {
    let mut select = Sql::select();
    select
        .column(("role_assignment", "actor_id"))
        .column(("role_assignment", "role_id"))
        .column(("role_assignment", "team_id"))
        .column(("role", "key"))
        .column(("role", "name"))
        .from("role_assignment")
        .inner_join("role", within_tenant("role_assignment", "role_id", "role"))
        .and_where(Expr::col(("role_assignment", "tenant_id")).eq(tenant))
        .and_where(Expr::col(("role_assignment", "actor_id")).is_in(actors.iter().copied()))
        .order_by(("role_assignment", "actor_id"), Order::Asc)
        .order_by(("role", "key"), Order::Asc)
        .order_by(("role_assignment", "id"), Order::Asc);
    let rows = connection.query_all(&select).await.db()?;
    rows.iter()
        .map(|row| {
            Ok(Assignment {
                actor: get(row, "actor_id")?,
                role: Role { id: get(row, "role_id")?, key: get(row, "key")?, name: get(row, "name")? },
                team: get(row, "team_id")?,
            })
        })
        .collect()
}

/// A role to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewAssignment {
    pub role: Role,
    pub team: Option<Uuid>,
}

/// Gives the actor a role.
pub(crate) async fn insert_assignment_in(tx: &Tx, actor: Uuid, assignment: &NewAssignment) -> Result<()> {
    let mut insert = Sql::insert();
    insert.into_table("role_assignment").columns(["tenant_id", "id", "actor_id", "role_id", "team_id"]).values_panic([
        Expr::val(tx.ctx().tenant),
        Expr::val(tx.new_id()),
        Expr::val(actor),
        Expr::val(assignment.role.id),
        Expr::val(assignment.team),
    ]);
    tx.execute(&insert).await.db()?;
    Ok(())
}

/// Takes all roles from the actor.
pub(crate) async fn delete_assignments_in(tx: &Tx, actor: Uuid) -> Result<()> {
    let mut delete = Sql::delete();
    delete
        .from_table("role_assignment")
        .and_where(Expr::col("tenant_id").eq(tx.ctx().tenant))
        .and_where(Expr::col("actor_id").eq(actor));
    tx.execute(&delete).await.db()?;
    Ok(())
}

/// How many active users have the administrator's role. Locks the role, so that of two transactions that each take
/// the role from someone the second sees what the first left.
pub(crate) async fn count_administrators_in(tx: &Tx) -> Result<i64> {
    let tenant = tx.ctx().tenant;
    let mut lock = Sql::select();
    lock.column("id")
        .from("role")
        .and_where(Expr::col("tenant_id").eq(tenant))
        .and_where(Expr::col("key").eq(ADMINISTRATOR))
        .lock_exclusive();
    let Some(role) = tx.query_one(&lock).await.db()?.map(|row| get::<Uuid>(&row, "id")).transpose()? else {
        return Ok(0);
    };
    let mut count = Sql::select();
    count
        .expr_as(Func::count_distinct(Expr::col(("actor", "id"))), "total")
        .from("role_assignment")
        .inner_join("actor", within_tenant("role_assignment", "actor_id", "actor"))
        .and_where(Expr::col(("role_assignment", "tenant_id")).eq(tenant))
        .and_where(Expr::col(("role_assignment", "role_id")).eq(role))
        .and_where(Expr::col(("actor", "active")).eq(true))
        .and_where(Expr::col(("actor", "kind")).eq(kernel::ActorKind::User.as_str()));
    tx.query_one(&count).await.db()?.map_or(Ok(0), |row| get(&row, "total"))
}

/// All that the actor's roles grant, and the actor's teams: one statement.
pub(crate) async fn rights(connection: &impl ConnectionTrait, tenant: Uuid, actor: Uuid) -> Result<Grants> {
    let mut memberships = Sql::select();
    memberships
        .expr_as(Expr::val(""), "permission")
        .expr_as(Expr::val(""), "scope")
        .column("team_id")
        .from("team_member")
        .and_where(Expr::col("tenant_id").eq(tenant))
        .and_where(Expr::col("actor_id").eq(actor));
    let mut select = Sql::select();
    select
        .column(("role_permission", "permission"))
        .column(("role_permission", "scope"))
        .column(("role_assignment", "team_id"))
        .from("role_assignment")
        .inner_join(
            "role_permission",
            Expr::col(("role_assignment", "tenant_id"))
                .equals(("role_permission", "tenant_id"))
                .and(Expr::col(("role_assignment", "role_id")).equals(("role_permission", "role_id"))),
        )
        .and_where(Expr::col(("role_assignment", "tenant_id")).eq(tenant))
        .and_where(Expr::col(("role_assignment", "actor_id")).eq(actor))
        .union(UnionType::All, memberships);
    let (mut grants, mut teams) = (Vec::new(), Vec::new());
    for row in connection.query_all(&select).await.db()? {
        let permission: String = get(&row, "permission")?;
        let team: Option<Uuid> = get(&row, "team_id")?;
        if permission.is_empty() {
            teams.extend(team);
        } else {
            grants.push(assigned_grant(permission, scope(&row)?, team));
        }
    }
    Ok(normalised(grants, teams))
}

/// A role's grant as it reaches an actor: the one team that a role was given for bounds `TEAM`, and nothing else.
pub(crate) fn assigned_grant(permission: String, scope: Scope, team: Option<Uuid>) -> Grant {
    Grant { permission, scope, team: if scope == Scope::Team { team } else { None } }
}
