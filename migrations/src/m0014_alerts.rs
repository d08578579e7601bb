//! Alerts: the rules that they follow, what fires on which incident, and the key that names one open incident.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0014_alerts",
    up: r"
CREATE TABLE alert_rule (
    tenant_id {id} NOT NULL REFERENCES tenant (id),
    id {id} NOT NULL,
    key {text} NOT NULL,
    name {text} NOT NULL,
    description {text},
    position {int} NOT NULL,
    document {json} NOT NULL,
    retired {bool} NOT NULL,
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id)
){end};
CREATE UNIQUE INDEX alert_rule_key ON alert_rule (tenant_id, key);

ALTER TABLE incident ADD COLUMN deduplication_key {text};
-- The same while the incident is open and takes further alerts: at most one does for each key.
ALTER TABLE incident ADD COLUMN open_key {text};
ALTER TABLE incident ADD COLUMN occurrences {int};
ALTER TABLE incident ADD COLUMN firing_alerts {int};
ALTER TABLE incident ADD COLUMN first_seen_at {time};
ALTER TABLE incident ADD COLUMN last_seen_at {time};
CREATE UNIQUE INDEX incident_open_key ON incident (tenant_id, open_key) WHERE open_key IS NOT NULL;
CREATE INDEX incident_deduplication_key ON incident (tenant_id, deduplication_key, id) WHERE deduplication_key IS NOT NULL;

CREATE TABLE alert (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    incident_id {id} NOT NULL,
    rule_id {id} NOT NULL,
    key {text} NOT NULL,
    status {text} NOT NULL,
    title {text} NOT NULL,
    severity {text},
    source {text},
    labels {json} NOT NULL,
    url {text},
    occurrences {int} NOT NULL,
    starts_at {time},
    first_seen_at {time} NOT NULL,
    last_seen_at {time} NOT NULL,
    ended_at {time},
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, incident_id) REFERENCES ticket (tenant_id, id),
    FOREIGN KEY (tenant_id, rule_id) REFERENCES alert_rule (tenant_id, id)
){end};
CREATE UNIQUE INDEX alert_firing ON alert (tenant_id, key) WHERE status = 'FIRING';
CREATE INDEX alert_incident ON alert (tenant_id, incident_id, id);

-- A role for programs that tell of alerts and may do nothing else, in the tenants that are there as well.
INSERT INTO role (tenant_id, id, key, name, built_in)
    SELECT id, {postgres}gen_random_uuid(){both}{sqlite}randomblob(16){both}, 'monitoring', 'Monitoring', TRUE FROM tenant;
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
    SELECT tenant_id, id, 'alert.ingest', 'TENANT' FROM role WHERE built_in AND key = 'monitoring';
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
    SELECT tenant_id, id, 'alert.ingest', 'TENANT' FROM role WHERE built_in AND key = 'administrator';
",
};
