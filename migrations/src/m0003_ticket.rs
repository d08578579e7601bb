//! What every ticket has, and incidents.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0003_ticket",
    up: r"
CREATE TABLE category (
    tenant_id {id} NOT NULL REFERENCES tenant (id),
    id {id} NOT NULL,
    key {text} NOT NULL,
    name {text} NOT NULL,
    parent_id {id},
    retired {bool} NOT NULL,
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, parent_id) REFERENCES category (tenant_id, id)
){end};
CREATE UNIQUE INDEX category_key ON category (tenant_id, key);

-- The cells of the priority matrix that a tenant has set; the others are the default's.
CREATE TABLE priority_rule (
    tenant_id {id} NOT NULL REFERENCES tenant (id),
    id {id} NOT NULL,
    impact {text} NOT NULL,
    urgency {text} NOT NULL,
    priority {text} NOT NULL,
    PRIMARY KEY (tenant_id, id)
){end};
CREATE UNIQUE INDEX priority_rule_cell ON priority_rule (tenant_id, impact, urgency);

-- Where the next block of numbers begins.
CREATE TABLE number_counter (
    tenant_id {id} NOT NULL REFERENCES tenant (id),
    kind {text} NOT NULL,
    next {long} NOT NULL,
    PRIMARY KEY (tenant_id, kind)
){end};

CREATE TABLE ticket (
    tenant_id {id} NOT NULL REFERENCES tenant (id),
    id {id} NOT NULL,
    kind {text} NOT NULL,
    number {text} NOT NULL,
    title {text} NOT NULL,
    description {text},
    state {text} NOT NULL,
    state_category {text} NOT NULL,
    waiting_reason {text},
    waiting_until {time},
    impact {text} NOT NULL,
    urgency {text} NOT NULL,
    priority {text} NOT NULL,
    priority_override_reason {text},
    priority_override_by {id},
    priority_override_at {time},
    category_id {id},
    requester_id {id} NOT NULL,
    opened_by_id {id} NOT NULL,
    team_id {id},
    assignee_id {id},
    tags {json} NOT NULL,
    reassignment_count {int} NOT NULL,
    reopen_count {int} NOT NULL,
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    resolved_at {time},
    closed_at {time},
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, category_id) REFERENCES category (tenant_id, id),
    FOREIGN KEY (tenant_id, requester_id) REFERENCES actor (tenant_id, id),
    FOREIGN KEY (tenant_id, opened_by_id) REFERENCES actor (tenant_id, id),
    FOREIGN KEY (tenant_id, team_id) REFERENCES team (tenant_id, id),
    FOREIGN KEY (tenant_id, assignee_id) REFERENCES actor (tenant_id, id),
    CHECK ((state_category = 'WAITING') = (waiting_reason IS NOT NULL))
){end};
CREATE UNIQUE INDEX ticket_number ON ticket (tenant_id, number);
CREATE INDEX ticket_created ON ticket (tenant_id, created_at, id);
CREATE INDEX ticket_updated ON ticket (tenant_id, updated_at, id);
CREATE INDEX ticket_team ON ticket (tenant_id, team_id, state_category, created_at);
CREATE INDEX ticket_assignee ON ticket (tenant_id, assignee_id, state_category, created_at);
CREATE INDEX ticket_requester ON ticket (tenant_id, requester_id, created_at);
CREATE INDEX ticket_opened_by ON ticket (tenant_id, opened_by_id, created_at);
CREATE INDEX ticket_state ON ticket (tenant_id, state_category, priority, created_at);

CREATE TABLE incident (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    origin {text} NOT NULL,
    resolution_code {text},
    resolution_notes {text},
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, id) REFERENCES ticket (tenant_id, id)
){end};

CREATE TABLE external_ref (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    ticket_id {id} NOT NULL,
    source {text} NOT NULL,
    key {text} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, ticket_id) REFERENCES ticket (tenant_id, id)
){end};
CREATE UNIQUE INDEX external_ref_key ON external_ref (tenant_id, source, key);
CREATE INDEX external_ref_ticket ON external_ref (tenant_id, ticket_id, id);

CREATE TABLE ticket_watcher (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    ticket_id {id} NOT NULL,
    actor_id {id} NOT NULL,
    created_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, ticket_id) REFERENCES ticket (tenant_id, id),
    FOREIGN KEY (tenant_id, actor_id) REFERENCES actor (tenant_id, id)
){end};
CREATE UNIQUE INDEX ticket_watcher_once ON ticket_watcher (tenant_id, ticket_id, actor_id);
CREATE INDEX ticket_watcher_ticket ON ticket_watcher (tenant_id, ticket_id, id);

CREATE TABLE comment (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    ticket_id {id} NOT NULL,
    author_id {id} NOT NULL,
    visibility {text} NOT NULL,
    body {text} NOT NULL,
    created_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, ticket_id) REFERENCES ticket (tenant_id, id),
    FOREIGN KEY (tenant_id, author_id) REFERENCES actor (tenant_id, id)
){end};
CREATE INDEX comment_ticket ON comment (tenant_id, ticket_id, id);
",
};
