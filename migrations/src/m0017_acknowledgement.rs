//! When somebody took a ticket up: what the time to acknowledge is counted to.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0017_acknowledgement",
    up: r"
ALTER TABLE ticket ADD COLUMN acknowledged_at {time};
",
};
