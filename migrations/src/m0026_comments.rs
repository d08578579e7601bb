//! What becomes of comments: edits, redactions, mentions; and canned responses.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0026_comments",
    up: r"
ALTER TABLE comment ADD COLUMN version {int} NOT NULL DEFAULT 1;
ALTER TABLE comment ADD COLUMN edited_at {time};
ALTER TABLE comment ADD COLUMN redacted_at {time};
ALTER TABLE comment ADD COLUMN redacted_by_id {id};
ALTER TABLE comment ADD COLUMN redaction_reason {text};

-- What a comment said before it was edited. Deleted when it is redacted.
CREATE TABLE comment_revision (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    comment_id {id} NOT NULL,
    ticket_id {id} NOT NULL,
    visibility {text} NOT NULL,
    body {text} NOT NULL,
    created_at {time} NOT NULL,
    replaced_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, comment_id) REFERENCES comment (tenant_id, id),
    FOREIGN KEY (tenant_id, ticket_id) REFERENCES ticket (tenant_id, id)
){end};
CREATE INDEX comment_revision_comment ON comment_revision (tenant_id, comment_id, id);

CREATE TABLE comment_mention (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    comment_id {id} NOT NULL,
    ticket_id {id} NOT NULL,
    visibility {text} NOT NULL,
    user_id {id} NOT NULL,
    created_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, comment_id) REFERENCES comment (tenant_id, id),
    FOREIGN KEY (tenant_id, ticket_id) REFERENCES ticket (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES actor (tenant_id, id)
){end};
CREATE UNIQUE INDEX comment_mention_once ON comment_mention (tenant_id, comment_id, user_id);
CREATE INDEX comment_mention_user ON comment_mention (tenant_id, user_id, created_at, id);

CREATE TABLE canned_response (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    key {text} NOT NULL,
    title {text} NOT NULL,
    body {text} NOT NULL,
    team_id {id},
    retired {bool} NOT NULL,
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, team_id) REFERENCES team (tenant_id, id)
){end};
CREATE UNIQUE INDEX canned_response_key ON canned_response (tenant_id, key);

INSERT INTO role_permission (tenant_id, role_id, permission, scope)
SELECT tenant_id, id, 'comment.redact', 'TEAM' FROM role WHERE built_in AND key = 'team_lead';
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
SELECT tenant_id, id, 'comment.redact', 'TENANT' FROM role WHERE built_in AND key = 'administrator';
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
SELECT tenant_id, id, 'cannedResponse.read', 'TENANT' FROM role
WHERE built_in AND key IN ('agent', 'team_lead', 'administrator', 'auditor');
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
SELECT tenant_id, id, 'cannedResponse.manage', 'TENANT' FROM role
WHERE built_in AND key IN ('team_lead', 'administrator');
",
};
