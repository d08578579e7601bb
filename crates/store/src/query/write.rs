//! Writes by catalogue: a row's values go to the tables that its record type names.

use kernel::{Error, Result, UserError, Uuid};
use predicate::{Field, FieldType, RecordType, Value};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, InsertStatement, LockType, Query as Sql};

use super::Row;
use crate::connection::ConnectionTrait;
use crate::error::{is_unique_violation, to_error as database_error};
use crate::{Engine, Tx};

/// Inserts a row into its table and, where its type extends another, into the base's table first.
///
/// # Errors
/// Database errors; a value that must be unique and is taken is one of them, see [`insert_unique_in`].
pub async fn insert_in(
    connection: &impl ConnectionTrait,
    tenant: Uuid,
    record: &'static RecordType,
    row: &Row,
) -> Result<()> {
    for insert in inserts(tenant, record, row)? {
        connection.execute(&insert).await.map_err(database_error)?;
    }
    Ok(())
}

/// The same for a row with values that must be unique, whose writer has looked that they are free: when somebody
/// took one meanwhile, the write is run again, and looks again.
///
/// # Errors
/// Database errors.
pub async fn insert_unique_in(tx: &Tx, tenant: Uuid, record: &'static RecordType, row: &Row) -> Result<()> {
    match tx.execute_each(&inserts(tenant, record, row)?).await {
        Err(error) if is_unique_violation(&error) => Err(tx.retry()),
        other => other.map_err(database_error),
    }
}

/// How many parameters one statement binds at most: SQLite takes 32,766, PostgreSQL 65,535.
const MAX_PARAMETERS: usize = 30_000;

/// Inserts many rows of one type, a statement per table (or as many as their values need). The writer has looked that
/// what must be unique is free: when somebody took it meanwhile, the write is run again.
///
/// # Errors
/// Database errors.
pub async fn insert_all_in(tx: &Tx, tenant: Uuid, record: &'static RecordType, rows: &[Row]) -> Result<()> {
    for part in record.base.into_iter().chain([record]) {
        let at_once = MAX_PARAMETERS / (part.fields.len() + 2);
        for rows in rows.chunks(at_once) {
            let Some((first, others)) = rows.split_first() else { continue };
            let mut statement = insert(tenant, first, part.table, part.fields)?;
            for row in others {
                statement.values(values(tenant, row, part.fields)?).map_err(Error::internal)?;
            }
            match tx.execute(&statement).await {
                Err(error) if is_unique_violation(&error) => return Err(tx.retry()),
                other => other.map_err(database_error)?,
            };
        }
    }
    Ok(())
}

/// The statements that insert a row: the base's table first.
fn inserts(tenant: Uuid, record: &'static RecordType, row: &Row) -> Result<Vec<InsertStatement>> {
    let base = record.base.map(|base| insert(tenant, row, base.table, base.fields));
    base.into_iter().chain([insert(tenant, row, record.table, record.fields)]).collect()
}

fn insert(tenant: Uuid, row: &Row, table: &'static str, fields: &'static [Field]) -> Result<InsertStatement> {
    let id = (!holds_id(fields)).then_some("id");
    let columns = ["tenant_id"].into_iter().chain(id).chain(fields.iter().map(|field| field.column));
    let mut insert = Sql::insert();
    insert
        .into_table(Alias::new(table))
        .columns(columns.map(Alias::new))
        .values(values(tenant, row, fields)?)
        .map_err(Error::internal)?;
    Ok(insert)
}

/// The values of one row, in the order of [`insert`]'s columns.
fn values(tenant: Uuid, row: &Row, fields: &'static [Field]) -> Result<Vec<Expr>> {
    let id = (!holds_id(fields)).then(|| Ok(Expr::val(row.id())));
    let own = fields.iter().map(|field| bound(row.get(field.name), &field.kind));
    [Ok(Expr::val(tenant))].into_iter().chain(id).chain(own).collect()
}

/// Whether the id is among these fields; an extension has it from its base.
fn holds_id(fields: &'static [Field]) -> bool {
    fields.iter().any(|field| field.name == "id")
}

/// Keeps others from changing a row until this write is over, provided that it still has `version`. Answers whether it
/// had: else what was read of it is old. For a write that tells of a record and does not change it; an update of the
/// row does as much by itself. On SQLite nobody else writes meanwhile.
///
/// # Errors
/// Database errors.
pub async fn hold_in(tx: &Tx, tenant: Uuid, record: &'static RecordType, id: Uuid, version: i32) -> Result<bool> {
    if tx.engine() == Engine::Sqlite {
        return Ok(true);
    }
    let mut select = Sql::select();
    select
        .column(Alias::new("version"))
        .from(Alias::new(record.base.map_or(record.table, |base| base.table)))
        .and_where(Expr::col(Alias::new("tenant_id")).eq(tenant))
        .and_where(Expr::col(Alias::new("id")).eq(id))
        .lock(LockType::NoKeyUpdate);
    match tx.query_one(&select).await.map_err(database_error)? {
        Some(row) => Ok(row.try_get::<i32>("version").map_err(database_error)? == version),
        None => Ok(false),
    }
}

/// Updates the named fields of a row, provided that it still has `version` (where the type has one). Answers whether it had.
///
/// # Errors
/// `CONFLICT` for a value that must be unique and is taken; database errors.
pub async fn update_in(
    connection: &impl ConnectionTrait,
    tenant: Uuid,
    record: &'static RecordType,
    id: Uuid,
    version: Option<i32>,
    changes: &[(&'static str, Value)],
) -> Result<bool> {
    if let Some(base) = record.base
        && !update_table(connection, tenant, base.table, base.fields, id, version, changes).await?
    {
        return Ok(false);
    }
    // The version is a field of the base where there is one: it guards the extension too.
    let version = if record.base.is_some() { None } else { version };
    update_table(connection, tenant, record.table, record.fields, id, version, changes).await
}

async fn update_table(
    connection: &impl ConnectionTrait,
    tenant: Uuid,
    table: &'static str,
    fields: &'static [Field],
    id: Uuid,
    version: Option<i32>,
    changes: &[(&'static str, Value)],
) -> Result<bool> {
    let mut update = Sql::update();
    update.table(Alias::new(table));
    let mut any = false;
    for field in fields {
        if let Some((_, value)) = changes.iter().find(|(name, _)| *name == field.name) {
            update.value(Alias::new(field.column), bound(value, &field.kind)?);
            any = true;
        }
    }
    if !any {
        return Ok(true);
    }
    update.and_where(Expr::col(Alias::new("tenant_id")).eq(tenant)).and_where(Expr::col(Alias::new("id")).eq(id));
    if let Some(version) = version {
        update.and_where(Expr::col(Alias::new("version")).eq(version));
    }
    match connection.execute(&update).await {
        Ok(result) => Ok(result.rows_affected() == 1),
        Err(error) if is_unique_violation(&error) => {
            let message = "another record has a value already that only one may have at a time";
            Err(UserError::taken([] as [&str; 0], message).into())
        }
        Err(error) => Err(database_error(error)),
    }
}

/// Updates the named fields of all rows in which every key has the given value, by one statement, whatever their versions. Answers how
/// many there were. For a type that extends no other.
///
/// # Errors
/// Database errors; `INTERNAL` for a field that the type does not have.
pub async fn update_all_in(
    connection: &impl ConnectionTrait,
    tenant: Uuid,
    record: &'static RecordType,
    keys: &[(&'static str, Value)],
    changes: &[(&'static str, Value)],
) -> Result<u64> {
    let field = |name: &str| record.field(name).ok_or_else(|| Error::internal(format!("no field `{name}`")));
    let mut update = Sql::update();
    update.table(Alias::new(record.table)).and_where(Expr::col(Alias::new("tenant_id")).eq(tenant));
    for (name, value) in changes {
        let field = field(name)?;
        update.value(Alias::new(field.column), bound(value, &field.kind)?);
    }
    for (name, value) in keys {
        let field = field(name)?;
        update.and_where(Expr::col(Alias::new(field.column)).eq(bound(value, &field.kind)?));
    }
    Ok(connection.execute(&update).await.map_err(database_error)?.rows_affected())
}

/// Deletes the rows of a table in which every named field has the given id. Answers how many there were.
///
/// # Errors
/// Database errors.
pub async fn delete_in(
    connection: &impl ConnectionTrait,
    tenant: Uuid,
    record: &'static RecordType,
    keys: &[(&'static str, Uuid)],
) -> Result<u64> {
    let mut delete = Sql::delete();
    delete.from_table(Alias::new(record.table)).and_where(Expr::col(Alias::new("tenant_id")).eq(tenant));
    for (name, id) in keys {
        let field = record.field(name).ok_or_else(|| Error::internal(format!("no field `{name}`")))?;
        delete.and_where(Expr::col(Alias::new(field.column)).eq(*id));
    }
    Ok(connection.execute(&delete).await.map_err(database_error)?.rows_affected())
}

fn bound(value: &Value, kind: &FieldType) -> Result<Expr> {
    Ok(match (value, kind) {
        (Value::Bool(value), _) => Expr::val(*value),
        (Value::Int(value), _) => Expr::val(*value),
        (Value::Number(value), _) => Expr::val(*value),
        (Value::Text(value), _) => Expr::val(value.as_str()),
        (Value::Id(value), _) => Expr::val(*value),
        (Value::Time(value), _) => Expr::val(*value),
        (Value::TextList(items), _) => Expr::val(serde_json::to_value(items).map_err(Error::internal)?),
        (Value::Json(value), _) => Expr::val(value.clone()),
        (Value::Null, FieldType::Id) => Expr::val(Option::<Uuid>::None),
        (Value::Null, FieldType::Text | FieldType::Enum(_)) => Expr::val(Option::<String>::None),
        (Value::Null, FieldType::Int) => Expr::val(Option::<i64>::None),
        (Value::Null, FieldType::Number) => Expr::val(Option::<f64>::None),
        (Value::Null, FieldType::Bool) => Expr::val(Option::<bool>::None),
        (Value::Null, FieldType::Time) => Expr::val(Option::<kernel::Timestamp>::None),
        (Value::Null, FieldType::TextList | FieldType::Json) => Expr::val(Option::<serde_json::Value>::None),
    })
}
