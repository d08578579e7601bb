//! Tickets that were merged into others, and what was moved with them.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0033_merges",
    up: r"
-- While a ticket is merged: the ticket that goes on for both.
ALTER TABLE ticket ADD COLUMN merged_into_id {id};
-- The ticket on which it was said, attached or told of first, where it stands on another since.
ALTER TABLE comment ADD COLUMN moved_from_id {id};
ALTER TABLE attachment ADD COLUMN moved_from_id {id};
ALTER TABLE alert ADD COLUMN moved_from_id {id};

CREATE TABLE ticket_merge (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    ticket_id {id} NOT NULL,
    duplicate_id {id} NOT NULL,
    merged_by_id {id} NOT NULL,
    merged_at {time} NOT NULL,
    undoable_until {time} NOT NULL,
    undone_at {time},
    undone_by_id {id},
    comments {int} NOT NULL,
    attachments {int} NOT NULL,
    watchers {int} NOT NULL,
    -- Whether something moved that is for those alone who work on the ticket.
    internal {bool} NOT NULL,
    -- The fields of the duplicate as they were before.
    before {json} NOT NULL,
    -- The link that it made; null where there was one already.
    link_id {id},
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, ticket_id) REFERENCES ticket (tenant_id, id),
    FOREIGN KEY (tenant_id, duplicate_id) REFERENCES ticket (tenant_id, id),
    FOREIGN KEY (tenant_id, merged_by_id) REFERENCES actor (tenant_id, id)
){end};
CREATE INDEX ticket_merge_ticket ON ticket_merge (tenant_id, ticket_id, id);
CREATE INDEX ticket_merge_duplicate ON ticket_merge (tenant_id, duplicate_id, id);
-- A ticket is merged into one other at a time.
CREATE UNIQUE INDEX ticket_merge_standing ON ticket_merge (tenant_id, duplicate_id) WHERE undone_at IS NULL;

-- What a merge moved, so that undoing it moves this and nothing else.
CREATE TABLE ticket_merge_item (
    tenant_id {id} NOT NULL,
    merge_id {id} NOT NULL,
    record {text} NOT NULL,
    record_id {id} NOT NULL,
    -- What it was said to be moved from before.
    moved_from_id {id},
    PRIMARY KEY (tenant_id, merge_id, record, record_id)
){end};
",
};
