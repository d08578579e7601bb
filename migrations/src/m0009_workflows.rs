//! Workflows of the tenants' own.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0009_workflows",
    up: r"
CREATE TABLE workflow (
    tenant_id {id} NOT NULL REFERENCES tenant (id),
    id {id} NOT NULL,
    key {text} NOT NULL,
    name {text} NOT NULL,
    kind {text} NOT NULL,
    filter {json},
    rank {int} NOT NULL,
    published {int},
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id)
){end};
CREATE UNIQUE INDEX workflow_key ON workflow (tenant_id, key);

CREATE TABLE workflow_version (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    workflow_id {id} NOT NULL,
    number {int} NOT NULL,
    document {json} NOT NULL,
    status {text} NOT NULL,
    published_at {time},
    created_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, workflow_id) REFERENCES workflow (tenant_id, id)
){end};
CREATE UNIQUE INDEX workflow_version_number ON workflow_version (tenant_id, workflow_id, number);

-- Absent on tickets that follow the default of their kind.
ALTER TABLE ticket ADD COLUMN workflow {text};
ALTER TABLE ticket ADD COLUMN workflow_version {int};
CREATE INDEX ticket_workflow ON ticket (tenant_id, workflow, workflow_version, id);
",
};
