//! The tables of this crate and their row functions. The only place here that names the database library.
//!
//! Functions that write take the transaction and end in `_in`; functions that read take any connection. None of them
//! decides who may do what.

mod actor;
mod operation;
mod people;
mod role;
mod session;
mod team;
mod tenant;
mod token;

pub(crate) use actor::{
    Login, NewActor, clear_password_in, hold_manager_in, id_by_email, insert_actor_in, login, password_hash,
    set_password_in, update_actor_in,
};
pub(crate) use operation::{count_items, delete_items_in, last_place};
pub(crate) use people::{People, active_users};
pub(crate) use role::{
    Assignment, NewAssignment, assigned_grant, assignments_of, count_administrators_in, delete_assignments_in,
    grants_of_roles, insert_assignment_in, insert_role_in, rights, roles_by_keys,
};
pub(crate) use session::{
    NewSession, insert_session_in, revoke_session_in, revoke_sessions_of_in, rotate_session_in, session_by_id,
    sweep_sessions_in,
};
pub(crate) use team::{
    NewTeam, add_member_in, count_members, hold_escalation_in, id_by_slug, insert_team_in, is_member, members_of,
    remove_member_in, teams_of, update_team_in,
};
pub(crate) use tenant::{insert_tenant_in, only_tenant, tenant_by_id, tenant_by_slug, tenants};
pub(crate) use token::{
    StoredToken, count_alive_tokens, insert_token_in, revoke_token_in, token_by_hash, token_by_id, tokens_of,
    touch_token_in,
};

use kernel::{Error, Result, UserError};
use predicate::Value;
use sea_orm::DbErr;
use sea_orm::sea_query::{Condition, Expr, ExprTrait, IntoIden};
use store::{Column, DbResult, ResultRow, to_error, unique_violation};

/// A column of a row that was read.
fn get<T: Column>(row: &ResultRow, column: &str) -> Result<T> {
    row.try_get(column).db()
}

/// The error of a statement; `refusal` when it failed because the value of `column` is taken.
fn taken(error: DbErr, column: &str, refusal: impl FnOnce() -> UserError) -> Error {
    match unique_violation(&error) {
        Some(violation) if violation.involves(column) => refusal().into(),
        _ => to_error(error),
    }
}

/// Two tables, joined within the tenant: `left.column = right.id`.
fn within_tenant(left: &'static str, column: &'static str, right: &'static str) -> Condition {
    let of = |table: &'static str, column: &'static str| (table.into_iden(), column.into_iden());
    Condition::all()
        .add(Expr::col(of(left, "tenant_id")).equals(of(right, "tenant_id")))
        .add(Expr::col(of(left, column)).equals(of(right, "id")))
}

/// A field's value as a statement binds it; the fields of this crate that change are texts and truth values.
fn bound(value: &Value) -> Result<Expr> {
    match value {
        Value::Null => Ok(Expr::val(Option::<String>::None)),
        Value::Text(text) => Ok(Expr::val(text.as_str())),
        Value::Bool(value) => Ok(Expr::val(*value)),
        other => Err(Error::internal(format!("no column takes {other:?}"))),
    }
}
