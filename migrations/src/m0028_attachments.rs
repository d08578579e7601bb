//! Files that arrive, and files on tickets.

use crate::sql::SqlMigration;

/// See the module. The bytes are in the store of objects, under the id.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0028_attachments",
    up: r"
-- Objects that nothing holds: announced, arrived and not yet attached, or taken away. Deleted, with the object, once expired.
CREATE TABLE upload (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    created_by_id {id} NOT NULL,
    file_name {text} NOT NULL,
    media_type {text} NOT NULL,
    bytes {long} NOT NULL,
    sha256 {text} NOT NULL,
    state {text} NOT NULL,
    expires_at {time} NOT NULL,
    created_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, created_by_id) REFERENCES actor (tenant_id, id)
){end};
CREATE INDEX upload_expiry ON upload (tenant_id, expires_at);
CREATE INDEX upload_creator ON upload (tenant_id, created_by_id);

CREATE TABLE attachment (
    tenant_id {id} NOT NULL,
    -- The id of the upload that it was, and of its object.
    id {id} NOT NULL,
    ticket_id {id} NOT NULL,
    comment_id {id},
    attached_by_id {id} NOT NULL,
    visibility {text} NOT NULL,
    file_name {text} NOT NULL,
    media_type {text} NOT NULL,
    bytes {long} NOT NULL,
    sha256 {text} NOT NULL,
    scan {text} NOT NULL,
    scanned_at {time},
    finding {text},
    created_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, ticket_id) REFERENCES ticket (tenant_id, id),
    FOREIGN KEY (tenant_id, comment_id) REFERENCES comment (tenant_id, id),
    FOREIGN KEY (tenant_id, attached_by_id) REFERENCES actor (tenant_id, id)
){end};
CREATE INDEX attachment_ticket ON attachment (tenant_id, ticket_id, id);
CREATE INDEX attachment_comment ON attachment (tenant_id, comment_id, id) WHERE comment_id IS NOT NULL;
CREATE INDEX attachment_unscanned ON attachment (tenant_id, id) WHERE scan = 'PENDING';

INSERT INTO role (tenant_id, id, key, name, built_in)
    SELECT id, {postgres}gen_random_uuid(){both}{sqlite}randomblob(16){both}, 'scanner', 'Scanner', TRUE FROM tenant;
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
    SELECT tenant_id, id, 'attachment.scan', 'TENANT' FROM role WHERE built_in AND key IN ('scanner', 'administrator');
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
    SELECT tenant_id, id, 'attachment.remove', 'TEAM' FROM role WHERE built_in AND key = 'team_lead';
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
    SELECT tenant_id, id, 'attachment.remove', 'TENANT' FROM role WHERE built_in AND key = 'administrator';
",
};
