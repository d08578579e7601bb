//! Major incidents: who leads them, what is told of them, how they are looked back at, and what a tenant sets for them.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0016_major_incidents",
    up: r"
-- Whether clocks of the ticket may pause; absent: they may.
ALTER TABLE ticket ADD COLUMN pausable {bool};

ALTER TABLE incident ADD COLUMN major_state {text};
ALTER TABLE incident ADD COLUMN business_impact {text};
ALTER TABLE incident ADD COLUMN major_reason {text};
ALTER TABLE incident ADD COLUMN major_decided_at {time};
ALTER TABLE incident ADD COLUMN commander_id {id};
ALTER TABLE incident ADD COLUMN communications_lead_id {id};
ALTER TABLE incident ADD COLUMN scribe_id {id};
ALTER TABLE incident ADD COLUMN update_cadence {int};
ALTER TABLE incident ADD COLUMN next_update_due_at {time};
ALTER TABLE incident ADD COLUMN review_required {bool};
ALTER TABLE incident ADD COLUMN reviewed_at {time};
CREATE INDEX incident_major_state ON incident (tenant_id, major_state, id) WHERE major_state IS NOT NULL;

CREATE TABLE status_update (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    incident_id {id} NOT NULL,
    audience {text} NOT NULL,
    body {text} NOT NULL,
    author_id {id} NOT NULL,
    created_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, incident_id) REFERENCES ticket (tenant_id, id)
){end};
CREATE INDEX status_update_incident ON status_update (tenant_id, incident_id, id);
CREATE INDEX status_update_audience ON status_update (tenant_id, audience, id);

CREATE TABLE timeline_note (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    incident_id {id} NOT NULL,
    at {time} NOT NULL,
    body {text} NOT NULL,
    author_id {id} NOT NULL,
    created_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, incident_id) REFERENCES ticket (tenant_id, id)
){end};
CREATE INDEX timeline_note_incident ON timeline_note (tenant_id, incident_id, id);

CREATE TABLE incident_review (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    incident_id {id} NOT NULL,
    what_happened {text},
    five_whys {json} NOT NULL,
    lessons {text},
    completed_at {time},
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, incident_id) REFERENCES ticket (tenant_id, id)
){end};
CREATE UNIQUE INDEX incident_review_incident ON incident_review (tenant_id, incident_id);

CREATE TABLE incident_action (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    incident_id {id} NOT NULL,
    kind {text} NOT NULL,
    title {text} NOT NULL,
    description {text},
    ticket_id {id},
    created_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, incident_id) REFERENCES ticket (tenant_id, id),
    FOREIGN KEY (tenant_id, ticket_id) REFERENCES ticket (tenant_id, id)
){end};
CREATE INDEX incident_action_incident ON incident_action (tenant_id, incident_id, id);

CREATE TABLE incident_settings (
    tenant_id {id} NOT NULL REFERENCES tenant (id),
    id {id} NOT NULL,
    review_required {bool} NOT NULL,
    update_cadence {int},
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id)
){end};
CREATE UNIQUE INDEX incident_settings_tenant ON incident_settings (tenant_id);

INSERT INTO role_permission (tenant_id, role_id, permission, scope)
    SELECT tenant_id, id, 'incident.manageMajor', 'TENANT' FROM role WHERE built_in AND key IN ('administrator', 'team_lead');
",
};
