//! Links between tickets.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0005_links",
    up: r"
CREATE TABLE ticket_link (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    source_id {id} NOT NULL,
    target_id {id} NOT NULL,
    type {text} NOT NULL,
    created_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, source_id) REFERENCES ticket (tenant_id, id),
    FOREIGN KEY (tenant_id, target_id) REFERENCES ticket (tenant_id, id),
    CHECK (source_id <> target_id)
){end};
CREATE UNIQUE INDEX ticket_link_once ON ticket_link (tenant_id, source_id, target_id, type);
CREATE UNIQUE INDEX ticket_link_parent ON ticket_link (tenant_id, target_id) WHERE type = 'PARENT_OF';
CREATE INDEX ticket_link_source ON ticket_link (tenant_id, source_id, id);
CREATE INDEX ticket_link_target ON ticket_link (tenant_id, target_id, id);
",
};
