//! Tasks, and which of them need others to be done first.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0006_tasks",
    up: r"
CREATE TABLE task (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    parent_id {id} NOT NULL,
    -- How many of the tasks that it depends on are not done: kept by each write that changes it.
    open_dependencies {int} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, id) REFERENCES ticket (tenant_id, id),
    FOREIGN KEY (tenant_id, parent_id) REFERENCES ticket (tenant_id, id)
){end};
CREATE INDEX task_parent ON task (tenant_id, parent_id, id);

CREATE TABLE task_dependency (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    task_id {id} NOT NULL,
    needs_id {id} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, task_id) REFERENCES task (tenant_id, id),
    FOREIGN KEY (tenant_id, needs_id) REFERENCES task (tenant_id, id),
    CHECK (task_id <> needs_id)
){end};
CREATE UNIQUE INDEX task_dependency_once ON task_dependency (tenant_id, task_id, needs_id);
CREATE INDEX task_dependency_task ON task_dependency (tenant_id, task_id, id);
CREATE INDEX task_dependency_needs ON task_dependency (tenant_id, needs_id, id);
",
};
