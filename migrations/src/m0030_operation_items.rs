//! The items of operations: one for each record that an operation works on, with what became of it.

use crate::sql::SqlMigration;

/// See the module. `subject` is the record's id as clients see it.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0030_operation_items",
    up: r"
CREATE TABLE operation_item (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    operation_id {id} NOT NULL,
    place {long} NOT NULL,
    subject {text},
    expected_version {int},
    outcome {text} NOT NULL,
    errors {json},
    version {int} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, operation_id) REFERENCES operation (tenant_id, id)
){end};
CREATE UNIQUE INDEX operation_item_place ON operation_item (tenant_id, operation_id, place);
-- What waits is found by this, however much is done already.
CREATE INDEX operation_item_outcome ON operation_item (tenant_id, operation_id, outcome, id);
CREATE INDEX operation_unfinished ON operation (tenant_id, started_by_id) WHERE ended_at IS NULL;
",
};
