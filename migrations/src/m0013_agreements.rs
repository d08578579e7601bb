//! Agreements on service levels, what is required, reviews and improvements; and tasks that belong to no ticket.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0013_agreements",
    up: r"
CREATE TABLE service_agreement (
    tenant_id {id} NOT NULL REFERENCES tenant (id),
    id {id} NOT NULL,
    key {text} NOT NULL,
    name {text} NOT NULL,
    description {text},
    kind {text} NOT NULL,
    state {text} NOT NULL,
    -- Ids as clients know them: of services, of policies, of the agreements that stand under this one.
    services {json} NOT NULL,
    policies {json} NOT NULL,
    underpinned_by {json} NOT NULL,
    customer {text},
    team_id {id},
    supplier {text},
    owner_id {id},
    valid_from {time},
    valid_until {time},
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, team_id) REFERENCES team (tenant_id, id),
    FOREIGN KEY (tenant_id, owner_id) REFERENCES actor (tenant_id, id)
){end};
CREATE UNIQUE INDEX service_agreement_key ON service_agreement (tenant_id, key);

CREATE TABLE service_level_requirement (
    tenant_id {id} NOT NULL REFERENCES tenant (id),
    id {id} NOT NULL,
    title {text} NOT NULL,
    description {text},
    customer {text},
    service_id {id} NOT NULL,
    metric {text} NOT NULL,
    priorities {json} NOT NULL,
    target {long} NOT NULL,
    calendar_id {id},
    state {text} NOT NULL,
    agreement_id {id},
    requested_by_id {id},
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, service_id) REFERENCES service (tenant_id, id),
    FOREIGN KEY (tenant_id, calendar_id) REFERENCES calendar (tenant_id, id),
    FOREIGN KEY (tenant_id, agreement_id) REFERENCES service_agreement (tenant_id, id),
    FOREIGN KEY (tenant_id, requested_by_id) REFERENCES actor (tenant_id, id)
){end};
CREATE INDEX service_level_requirement_service ON service_level_requirement (tenant_id, service_id, id);

CREATE TABLE service_review (
    tenant_id {id} NOT NULL REFERENCES tenant (id),
    id {id} NOT NULL,
    agreement_id {id} NOT NULL,
    since {time} NOT NULL,
    until {time} NOT NULL,
    held_at {time},
    attendees {json} NOT NULL,
    minutes {text},
    figures {json} NOT NULL,
    state {text} NOT NULL,
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, agreement_id) REFERENCES service_agreement (tenant_id, id)
){end};
CREATE INDEX service_review_agreement ON service_review (tenant_id, agreement_id, id);

CREATE TABLE service_improvement (
    tenant_id {id} NOT NULL REFERENCES tenant (id),
    id {id} NOT NULL,
    title {text} NOT NULL,
    description {text},
    service_id {id},
    agreement_id {id},
    review_id {id},
    owner_id {id},
    state {text} NOT NULL,
    due_at {time},
    benefit {text},
    outcome {text},
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, service_id) REFERENCES service (tenant_id, id),
    FOREIGN KEY (tenant_id, agreement_id) REFERENCES service_agreement (tenant_id, id),
    FOREIGN KEY (tenant_id, review_id) REFERENCES service_review (tenant_id, id),
    FOREIGN KEY (tenant_id, owner_id) REFERENCES actor (tenant_id, id)
){end};

-- A task may belong to no ticket: what was agreed in a review. SQLite cannot take a NOT NULL away, so the tables are made anew.
CREATE TABLE task_anew (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    parent_id {id},
    -- How many of the tasks that it depends on are not done: kept by each write that changes it.
    open_dependencies {int} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, id) REFERENCES ticket (tenant_id, id),
    FOREIGN KEY (tenant_id, parent_id) REFERENCES ticket (tenant_id, id)
){end};
INSERT INTO task_anew (tenant_id, id, parent_id, open_dependencies)
    SELECT tenant_id, id, parent_id, open_dependencies FROM task;
CREATE TABLE task_dependency_anew (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    task_id {id} NOT NULL,
    needs_id {id} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, task_id) REFERENCES task_anew (tenant_id, id),
    FOREIGN KEY (tenant_id, needs_id) REFERENCES task_anew (tenant_id, id),
    CHECK (task_id <> needs_id)
){end};
INSERT INTO task_dependency_anew (tenant_id, id, task_id, needs_id)
    SELECT tenant_id, id, task_id, needs_id FROM task_dependency;
DROP TABLE task_dependency;
DROP TABLE task;
ALTER TABLE task_anew RENAME TO task;
ALTER TABLE task_dependency_anew RENAME TO task_dependency;
CREATE INDEX task_parent ON task (tenant_id, parent_id, id);
CREATE UNIQUE INDEX task_dependency_once ON task_dependency (tenant_id, task_id, needs_id);
CREATE INDEX task_dependency_task ON task_dependency (tenant_id, task_id, id);
CREATE INDEX task_dependency_needs ON task_dependency (tenant_id, needs_id, id);

CREATE TABLE service_review_action (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    review_id {id} NOT NULL,
    task_id {id} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, review_id) REFERENCES service_review (tenant_id, id),
    FOREIGN KEY (tenant_id, task_id) REFERENCES task (tenant_id, id)
){end};
CREATE UNIQUE INDEX service_review_action_once ON service_review_action (tenant_id, review_id, task_id);

-- The roles that every tenant was made with may now what they may in a tenant that is made today.
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
    SELECT tenant_id, id, 'agreement.read', 'TENANT' FROM role
    WHERE built_in AND key IN ('agent', 'team_lead', 'administrator', 'auditor');
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
    SELECT tenant_id, id, 'agreement.manage', 'TENANT' FROM role WHERE built_in AND key = 'administrator';
",
};
