//! Open tickets in the order in which they are worked on, of a team and of all: the page of a queue is read from the index as it stands,
//! however many tickets there are.

use crate::sql::SqlMigration;

/// See the module. Statements name the categories as they stand here, and in this order, so that SQLite knows the index to be meant.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0035_queues",
    up: r"
CREATE INDEX ticket_queue ON ticket (tenant_id, team_id, priority, created_at, id)
    WHERE state_category IN ('NEW', 'ACTIVE', 'WAITING');
CREATE INDEX ticket_open ON ticket (tenant_id, priority, created_at, id)
    WHERE state_category IN ('NEW', 'ACTIVE', 'WAITING');
",
};
