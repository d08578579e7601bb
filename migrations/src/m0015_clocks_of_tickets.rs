//! The clocks of a ticket in the order of their ids: without it SQLite walks through all clocks of the tenant for those of one ticket.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0015_clocks_of_tickets",
    up: r"
CREATE INDEX sla_clock_ticket ON sla_clock (tenant_id, ticket_id, id);
",
};
