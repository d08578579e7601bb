//! How far each reaction that follows the log has come.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0021_reactions",
    up: r"
-- Server-wide, in no tenant: reactions read the log of all.
CREATE TABLE reaction_cursor (
    tenant_id {id} NOT NULL,
    name {text} NOT NULL,
    position {long} NOT NULL,
    PRIMARY KEY (tenant_id, name)
){end};
",
};
