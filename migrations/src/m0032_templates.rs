//! Ticket templates, recurring tickets and their runs.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0032_templates",
    up: r"
CREATE TABLE ticket_template (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    key {text} NOT NULL,
    name {text} NOT NULL,
    description {text},
    kind {text} NOT NULL,
    -- What its tickets say, and which tasks they have.
    document {json} NOT NULL,
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id)
){end};
CREATE UNIQUE INDEX ticket_template_key ON ticket_template (tenant_id, key);

CREATE TABLE recurring_ticket (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    name {text} NOT NULL,
    template_id {id} NOT NULL,
    rule {text} NOT NULL,
    -- A reading of the clock in the zone.
    starts_at {text} NOT NULL,
    time_zone {text} NOT NULL,
    requester_id {id},
    is_paused {bool} NOT NULL,
    -- None while it is paused, and once the rule has ended.
    next_run_at {time},
    last_run_at {time},
    set_up_by_id {id} NOT NULL,
    -- With whose rights it runs, and through what they were given.
    starter {json} NOT NULL,
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, template_id) REFERENCES ticket_template (tenant_id, id),
    FOREIGN KEY (tenant_id, requester_id) REFERENCES actor (tenant_id, id),
    FOREIGN KEY (tenant_id, set_up_by_id) REFERENCES actor (tenant_id, id)
){end};
CREATE INDEX recurring_ticket_template ON recurring_ticket (tenant_id, template_id);

CREATE TABLE recurring_ticket_run (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    recurring_ticket_id {id} NOT NULL,
    due_at {time} NOT NULL,
    shifted {bool} NOT NULL,
    status {text} NOT NULL,
    ticket_id {id},
    errors {json},
    created_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, recurring_ticket_id) REFERENCES recurring_ticket (tenant_id, id),
    FOREIGN KEY (tenant_id, ticket_id) REFERENCES ticket (tenant_id, id)
){end};
CREATE UNIQUE INDEX recurring_ticket_run_once ON recurring_ticket_run (tenant_id, recurring_ticket_id, due_at);

INSERT INTO role_permission (tenant_id, role_id, permission, scope)
SELECT tenant_id, id, 'template.read', 'TENANT' FROM role
WHERE built_in AND key IN ('agent', 'team_lead', 'administrator', 'auditor');
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
SELECT tenant_id, id, 'template.manage', 'TENANT' FROM role
WHERE built_in AND key IN ('team_lead', 'administrator');
",
};
