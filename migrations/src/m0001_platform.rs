//! The platform's own tables: the event log with its head, idempotency records, jobs, and the server's secret.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0001_platform",
    up: r"
-- Server-wide: which log this is (a restored one gets another epoch), the last position given out, and the
-- position below which events may be gone.
CREATE TABLE log_head (
    id {int} NOT NULL PRIMARY KEY CHECK (id = 1),
    epoch {id} NOT NULL,
    position {long} NOT NULL,
    oldest {long} NOT NULL
){end};

-- Server-wide: the secret from which the keys for cursors and tokens are derived.
CREATE TABLE server_secret (
    id {int} NOT NULL PRIMARY KEY CHECK (id = 1),
    secret {bytes} NOT NULL,
    created_at {time} NOT NULL
){end};

-- What happened. Append-only; `position` alone is written later, once, by the sequencer.
CREATE TABLE event (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    position {long},
    log_order {order} NOT NULL,
    actor_id {id} NOT NULL,
    actor_kind {text} NOT NULL,
    channel {json} NOT NULL,
    kind {text} NOT NULL,
    subject_kind {text} NOT NULL,
    subject_id {id} NOT NULL,
    version {int} NOT NULL,
    audience {text} NOT NULL CHECK (audience IN ('PUBLIC', 'INTERNAL')),
    changes {json} NOT NULL,
    facts {json} NOT NULL,
    payload {json} NOT NULL,
    occurred_at {time} NOT NULL,
    recorded_at {time} NOT NULL,
    request_id {text} NOT NULL,
    PRIMARY KEY (tenant_id, id)
){end};
CREATE UNIQUE INDEX event_position ON event (position);
CREATE INDEX event_tenant_position ON event (tenant_id, position);
CREATE INDEX event_subject ON event (tenant_id, subject_id, log_order);
{postgres}
CREATE INDEX event_unnumbered ON event (log_order) WHERE position IS NULL;
{both}

-- Which call with which key did what: enough to answer it again, and nothing of what it said.
CREATE TABLE idempotency (
    tenant_id {id} NOT NULL,
    actor_id {id} NOT NULL,
    mutation {text} NOT NULL,
    idempotency_key {text} NOT NULL,
    input_hash {bytes} NOT NULL,
    record {text},
    version {int},
    events {json},
    expires_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, actor_id, mutation, idempotency_key)
){end};
CREATE INDEX idempotency_expires_at ON idempotency (expires_at);

-- Work to be done later. A job of the server itself has the tenant 0.
CREATE TABLE job (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    kind {text} NOT NULL,
    unique_key {text},
    state {text} NOT NULL CHECK (state IN ('PENDING', 'RUNNING', 'FAILED')),
    run_at {time} NOT NULL,
    payload {json} NOT NULL,
    attempts {int} NOT NULL,
    lease_owner {id},
    lease_until {time},
    last_error {text},
    created_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id)
){end};
CREATE UNIQUE INDEX job_unique_key ON job (tenant_id, kind, unique_key) WHERE state = 'PENDING';
CREATE INDEX job_due ON job (run_at) WHERE state = 'PENDING';
CREATE INDEX job_leased ON job (lease_until) WHERE state = 'RUNNING';
",
};
