//! Work in the background that somebody started and can watch.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0012_operations",
    up: r"
CREATE TABLE operation (
    tenant_id {id} NOT NULL REFERENCES tenant (id),
    id {id} NOT NULL,
    kind {text} NOT NULL,
    status {text} NOT NULL,
    done {long} NOT NULL,
    total {long},
    started_by_id {id} NOT NULL,
    result {json},
    error {text},
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    ended_at {time},
    PRIMARY KEY (tenant_id, id)
){end};
CREATE INDEX operation_ended ON operation (tenant_id, ended_at) WHERE ended_at IS NOT NULL;
",
};
