//! Service levels: calendars, policies, clocks, and what a ticket tells of its clocks.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0011_service_levels",
    up: r"
-- One number for each tenant, raised with each new version of a calendar or a policy.
CREATE TABLE sla_revision (
    tenant_id {id} NOT NULL PRIMARY KEY REFERENCES tenant (id),
    revision {long} NOT NULL
){end};

CREATE TABLE calendar (
    tenant_id {id} NOT NULL REFERENCES tenant (id),
    id {id} NOT NULL,
    key {text} NOT NULL,
    name {text} NOT NULL,
    description {text},
    number {int} NOT NULL,
    retired {bool} NOT NULL,
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id)
){end};
CREATE UNIQUE INDEX calendar_key ON calendar (tenant_id, key);

CREATE TABLE calendar_version (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    calendar_id {id} NOT NULL,
    number {int} NOT NULL,
    revision {long} NOT NULL,
    document {json} NOT NULL,
    created_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, calendar_id) REFERENCES calendar (tenant_id, id)
){end};
CREATE UNIQUE INDEX calendar_version_number ON calendar_version (tenant_id, calendar_id, number);

CREATE TABLE sla_policy (
    tenant_id {id} NOT NULL REFERENCES tenant (id),
    id {id} NOT NULL,
    key {text} NOT NULL,
    name {text} NOT NULL,
    description {text},
    kind {text} NOT NULL,
    number {int} NOT NULL,
    retired {bool} NOT NULL,
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id)
){end};
CREATE UNIQUE INDEX sla_policy_key ON sla_policy (tenant_id, key);

-- A version that is not active holds for no ticket: the policy was retired by it.
CREATE TABLE sla_policy_version (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    policy_id {id} NOT NULL,
    number {int} NOT NULL,
    revision {long} NOT NULL,
    active {bool} NOT NULL,
    document {json} NOT NULL,
    created_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, policy_id) REFERENCES sla_policy (tenant_id, id)
){end};
CREATE UNIQUE INDEX sla_policy_version_number ON sla_policy_version (tenant_id, policy_id, number);

-- Where the fold of a ticket's events stands. Everything but `id`, `state` and `fired` can be computed anew from the log.
CREATE TABLE sla_clock (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    ticket_id {id} NOT NULL,
    policy_id {id} NOT NULL,
    policy_version {int} NOT NULL,
    kind {text} NOT NULL,
    metric {text} NOT NULL,
    ordinal {int} NOT NULL,
    about_id {id},
    phase {text} NOT NULL,
    state {text} NOT NULL,
    late {bool} NOT NULL,
    started_at {time} NOT NULL,
    due_at {time},
    stopped_at {time},
    breached_at {time},
    target {long} NOT NULL,
    calendar_id {id} NOT NULL,
    calendar_version {int} NOT NULL,
    elapsed {long} NOT NULL,
    ended {text},
    segments {json} NOT NULL,
    fired {json} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, ticket_id) REFERENCES ticket (tenant_id, id),
    FOREIGN KEY (tenant_id, policy_id) REFERENCES sla_policy (tenant_id, id)
){end};
CREATE UNIQUE INDEX sla_clock_place ON sla_clock (tenant_id, ticket_id, policy_id, metric, ordinal);
CREATE INDEX sla_clock_stopped ON sla_clock (tenant_id, policy_id, stopped_at);

ALTER TABLE ticket ADD COLUMN first_responded_at {time};
ALTER TABLE ticket ADD COLUMN sla_due_at {time};
ALTER TABLE ticket ADD COLUMN sla_state {text};
ALTER TABLE ticket ADD COLUMN sla_basis {json};
CREATE INDEX ticket_sla_due ON ticket (tenant_id, sla_due_at, id) WHERE sla_due_at IS NOT NULL;
CREATE INDEX ticket_sla_state ON ticket (tenant_id, sla_state, sla_due_at) WHERE sla_state IS NOT NULL;
",
};
