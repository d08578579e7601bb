//! Many rows in one statement, as text that both engines take.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use kernel::Uuid;
use predicate::{RecordType, Value};
use store::query::Row;
use store::{DriverConnection, Engine};

/// How many rows one statement carries.
const ROWS: usize = 500;
/// How many statements share a transaction.
const STATEMENTS: usize = 40;

/// Collects the rows of one table and writes them in bulk.
pub struct Bulk<'a, C> {
    connection: &'a C,
    engine: Engine,
    head: String,
    text: String,
    rows: usize,
    statements: usize,
}

impl<'a, C: DriverConnection> Bulk<'a, C> {
    /// Into these columns of a table.
    pub fn new(connection: &'a C, engine: Engine, table: &str, columns: &[&str]) -> Self {
        let head = format!("INSERT INTO {table} ({}) VALUES ", columns.join(", "));
        Self { connection, engine, head, text: String::new(), rows: 0, statements: 0 }
    }

    /// Into the table of a record type, its fields as its declaration names their columns.
    pub fn of_record(connection: &'a C, engine: Engine, record: &'static RecordType) -> Self {
        Self::new(connection, engine, record.table, &columns(record))
    }

    /// Adds a record of the type that this was made for.
    pub async fn add_record(&mut self, tenant: Uuid, record: &'static RecordType, row: &Row) -> Result<()> {
        let mut values = vec![Value::Id(tenant)];
        if record.fields.iter().all(|field| field.name != "id") {
            values.push(Value::Id(row.id()));
        }
        values.extend(record.fields.iter().map(|field| row.get(field.name).clone()));
        self.add(&values).await
    }

    /// Adds one row.
    pub async fn add(&mut self, values: &[Value]) -> Result<()> {
        self.text.push_str(if self.rows == 0 { "(" } else { ",(" });
        for (place, value) in values.iter().enumerate() {
            if place > 0 {
                self.text.push(',');
            }
            literal(&mut self.text, self.engine, value);
        }
        self.text.push(')');
        self.rows += 1;
        if self.rows == ROWS { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        if self.statements == 0 {
            self.run("BEGIN").await?;
        }
        let statement = format!("{}{}", self.head, self.text);
        self.run(&statement).await?;
        self.text.clear();
        self.rows = 0;
        self.statements += 1;
        if self.statements == STATEMENTS {
            self.statements = 0;
            self.run("COMMIT").await?;
        }
        Ok(())
    }

    /// Writes what is left.
    pub async fn finish(mut self) -> Result<()> {
        self.flush().await?;
        if self.statements > 0 {
            self.run("COMMIT").await?;
        }
        Ok(())
    }

    async fn run(&self, statement: &str) -> Result<()> {
        let shown = || statement.chars().take(200).collect::<String>();
        self.connection.execute_unprepared(statement).await.with_context(shown)?;
        Ok(())
    }
}

fn columns(record: &'static RecordType) -> Vec<&'static str> {
    let id = record.fields.iter().all(|field| field.name != "id").then_some("id");
    ["tenant_id"].into_iter().chain(id).chain(record.fields.iter().map(|field| field.column)).collect()
}

fn literal(text: &mut String, engine: Engine, value: &Value) {
    let _ = match value {
        Value::Null => write!(text, "NULL"),
        Value::Bool(value) => write!(text, "{}", if *value { "TRUE" } else { "FALSE" }),
        Value::Int(value) => write!(text, "{value}"),
        Value::Number(value) => write!(text, "{value}"),
        Value::Text(value) => quoted(text, value),
        Value::Id(value) => match engine {
            Engine::Postgres => write!(text, "'{value}'"),
            Engine::Sqlite => write!(text, "X'{}'", value.simple()),
        },
        Value::Time(value) => write!(text, "'{}'", store::time::text(*value)),
        Value::TextList(items) => quoted(text, &serde_json::Value::from(items.clone()).to_string()),
        Value::Json(value) => quoted(text, &value.to_string()),
    };
}

fn quoted(text: &mut String, value: &str) -> std::fmt::Result {
    write!(text, "'{}'", value.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(engine: Engine, value: impl Into<Value>) -> String {
        let mut text = String::new();
        literal(&mut text, engine, &value.into());
        text
    }

    #[test]
    fn values_are_written_as_each_engine_reads_them() {
        let id = Uuid::from_u128(7);
        assert_eq!(written(Engine::Postgres, id), "'00000000-0000-0000-0000-000000000007'");
        assert_eq!(written(Engine::Sqlite, id), "X'00000000000000000000000000000007'");
        assert_eq!(written(Engine::Sqlite, "it's"), "'it''s'");
        assert_eq!(written(Engine::Postgres, Value::TextList(vec!["a".into()])), "'[\"a\"]'");
        assert_eq!(written(Engine::Postgres, Value::Null), "NULL");
    }

    #[test]
    fn an_extension_has_the_id_of_its_base() {
        assert_eq!(columns(&incident::INCIDENT)[..3], ["tenant_id", "id", "origin"]);
        assert_eq!(columns(&ticket::fields::TICKET)[..3], ["tenant_id", "id", "kind"]);
    }
}
