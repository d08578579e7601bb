//! The parts of files that tickets are exported to, and how far an operation that reads a file is.

use crate::sql::SqlMigration;

/// See the module. A part has a place once its object is there; `tickets`, `bytes` and `digest` are of all parts up to it. The checkpoint
/// of an operation is its job's own.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0031_transfer",
    up: r"
CREATE TABLE ticket_export_part (
    tenant_id {id} NOT NULL REFERENCES tenant (id),
    id {id} NOT NULL,
    operation_id {id} NOT NULL,
    place {long},
    tickets {long},
    bytes {long},
    last_id {id},
    digest {text},
    expires_at {time} NOT NULL,
    created_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id)
){end};
CREATE UNIQUE INDEX ticket_export_part_place ON ticket_export_part (tenant_id, operation_id, place);
CREATE INDEX ticket_export_part_expires ON ticket_export_part (tenant_id, expires_at);
ALTER TABLE operation ADD COLUMN checkpoint {json};
",
};
