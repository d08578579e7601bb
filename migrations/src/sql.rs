//! Migrations as SQL: one text for both engines, whose types are words in braces.
//!
//! | word | PostgreSQL | SQLite | what it holds |
//! |---|---|---|---|
//! | `{id}` | `uuid` | `BLOB` | a `Uuid` |
//! | `{time}` | `timestamptz` | `TEXT` | a `Timestamp`, as `store::time` writes it |
//! | `{json}` | `jsonb` | `TEXT` | a `serde_json::Value` |
//! | `{text}` | `text COLLATE "C"` | `TEXT` | a `String`; compared by bytes on both |
//! | `{int}` | `integer` | `INTEGER` | an `i32` |
//! | `{long}` | `bigint` | `INTEGER` | an `i64` |
//! | `{number}` | `double precision` | `REAL` | an `f64` |
//! | `{bool}` | `boolean` | `INTEGER` | a `bool`; `TRUE` and `FALSE` are known to both |
//! | `{bytes}` | `bytea` | `BLOB` | a `Vec<u8>` |
//! | `{order}` | `bigint GENERATED ALWAYS AS IDENTITY` | `INTEGER` | order of insertion; on SQLite the writer gives it |
//! | `{end}` | nothing | ` STRICT` | behind each table's closing parenthesis: SQLite checks types too |
//!
//! A statement for one engine alone stands between `{postgres}` or `{sqlite}` and `{both}`.
//!
//! Rules: every table has `tenant_id {id} NOT NULL` and its key begins with it (`PRIMARY KEY (tenant_id, id)`),
//! references carry it (`FOREIGN KEY (tenant_id, team_id) REFERENCES team (tenant_id, id)`); what is
//! server-wide says so. Only what both engines understand: partial indexes, indexes on expressions and checks are fine.
//!
//! ```ignore
//! CREATE TABLE team (
//!     tenant_id {id} NOT NULL REFERENCES tenant (id),
//!     id {id} NOT NULL,
//!     name {text} NOT NULL,
//!     created_at {time} NOT NULL,
//!     PRIMARY KEY (tenant_id, id)
//! ){end};
//! CREATE UNIQUE INDEX team_name ON team (tenant_id, lower(name));
//! ```

use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};
use store::Engine;

/// A migration that is SQL.
#[derive(Clone, Copy, Debug)]
pub struct SqlMigration {
    /// The name that is recorded, such as `m0001_platform`; the order of names is the order of migrations.
    pub name: &'static str,
    /// Statements, separated by semicolons, with types in braces.
    pub up: &'static str,
}

impl MigrationName for SqlMigration {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for SqlMigration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let engine = match manager.get_database_backend() {
            DbBackend::Postgres => Engine::Postgres,
            _ => Engine::Sqlite,
        };
        let sql = render(engine, self.up).map_err(|word| DbErr::Migration(format!("{}: {word}", self.name)))?;
        manager.get_connection().execute_unprepared(&sql).await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// The words, and what they are on PostgreSQL and on SQLite.
const WORDS: &[(&str, &str, &str)] = &[
    ("{id}", "uuid", "BLOB"),
    ("{time}", "timestamptz", "TEXT"),
    ("{json}", "jsonb", "TEXT"),
    ("{text}", "text COLLATE \"C\"", "TEXT"),
    ("{int}", "integer", "INTEGER"),
    ("{long}", "bigint", "INTEGER"),
    ("{number}", "double precision", "REAL"),
    ("{bool}", "boolean", "INTEGER"),
    ("{bytes}", "bytea", "BLOB"),
    ("{order}", "bigint GENERATED ALWAYS AS IDENTITY", "INTEGER"),
    ("{end}", "", " STRICT"),
];

/// The text for one engine.
///
/// # Errors
/// What is wrong, when the text has a brace that belongs to no word.
pub fn render(engine: Engine, text: &str) -> Result<String, String> {
    let mut sql = sections_of(engine, text);
    for (word, postgres, sqlite) in WORDS {
        sql = sql.replace(word, if engine == Engine::Postgres { postgres } else { sqlite });
    }
    match sql.find('{') {
        None => Ok(sql),
        Some(at) => Err(format!("unknown word near `{}`", sql[at..].chars().take(20).collect::<String>())),
    }
}

/// Leaves out what is for the other engine.
fn sections_of(engine: Engine, text: &str) -> String {
    let (own, other) = match engine {
        Engine::Postgres => ("{postgres}", "{sqlite}"),
        Engine::Sqlite => ("{sqlite}", "{postgres}"),
    };
    let mut kept = String::with_capacity(text.len());
    for (number, section) in text.split(other).enumerate() {
        match section.split_once("{both}") {
            // Behind the other engine's mark everything is left out until the mark for both.
            _ if number == 0 => kept.push_str(section),
            Some((_, rest)) => kept.push_str(rest),
            None => {}
        }
    }
    kept.replace(own, "").replace("{both}", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "CREATE TABLE a (id {id}, at {time}){end};{postgres}ONE;{both}{sqlite}TWO;{both}THREE;";

    #[test]
    fn each_engine_reads_its_own_types() {
        assert_eq!(render(Engine::Postgres, TEXT).unwrap(), "CREATE TABLE a (id uuid, at timestamptz);ONE;THREE;");
        assert_eq!(render(Engine::Sqlite, TEXT).unwrap(), "CREATE TABLE a (id BLOB, at TEXT) STRICT;TWO;THREE;");
    }

    #[test]
    fn unknown_words_are_refused() {
        assert!(render(Engine::Sqlite, "CREATE TABLE a (id {uuid})").unwrap_err().contains("{uuid}"));
    }
}
