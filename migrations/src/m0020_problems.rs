//! Problems, and on which incidents their workarounds were said.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0020_problems",
    up: r"
CREATE TABLE problem (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    origin {text} NOT NULL,
    symptom {text},
    root_cause {text},
    workaround {text},
    known_error {bool} NOT NULL,
    published_workaround {text},
    -- How often a workaround was published.
    publication {int} NOT NULL,
    workaround_published_at {time},
    resolution_code {text},
    resolution_notes {text},
    risk_review_at {time},
    risk_review_told {time},
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, id) REFERENCES ticket (tenant_id, id)
){end};
CREATE INDEX problem_known_error ON problem (tenant_id, id) WHERE known_error;

CREATE TABLE workaround_post (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    problem_id {id} NOT NULL,
    incident_id {id} NOT NULL,
    publication {int} NOT NULL,
    created_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, problem_id) REFERENCES ticket (tenant_id, id),
    FOREIGN KEY (tenant_id, incident_id) REFERENCES ticket (tenant_id, id)
){end};
CREATE UNIQUE INDEX workaround_post_once ON workaround_post (tenant_id, problem_id, publication, incident_id);

-- The roles that every tenant was made with may now what they may in a tenant that is made today.
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
    SELECT tenant_id, id, 'problem.manage', 'TENANT' FROM role
    WHERE built_in AND key IN ('agent', 'team_lead', 'administrator');
",
};
