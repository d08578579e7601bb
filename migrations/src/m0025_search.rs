//! The text index of tickets: one row for each, with its words as the platform folds them, and the engine's index over them.
//!
//! What only those may read who work on the ticket stands in columns of its own. On SQLite triggers keep an FTS5 table in step; on
//! PostgreSQL a generated column holds the words, public ones with the label A. The rows are derived from the tickets: those
//! that are there already are indexed by a job of each tenant, newest first, while the server works.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0025_search",
    up: r"
CREATE TABLE ticket_search (
    {sqlite}place INTEGER PRIMARY KEY,{both}
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    created_at {time} NOT NULL,
    number {text} NOT NULL,
    title {text} NOT NULL,
    details {text} NOT NULL,
    comments {text} NOT NULL,
    internal_details {text} NOT NULL,
    internal_comments {text} NOT NULL,
    {postgres}
    words tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector('simple', number || title || details || comments), 'A')
        || setweight(to_tsvector('simple', internal_details || internal_comments), 'D')
    ) STORED,
    PRIMARY KEY (tenant_id, id),
    {both}
    {sqlite}UNIQUE (tenant_id, id),{both}
    FOREIGN KEY (tenant_id, id) REFERENCES ticket (tenant_id, id) ON DELETE CASCADE
){end};
{postgres}
CREATE INDEX ticket_search_words ON ticket_search USING gin (words);
CREATE INDEX ticket_search_created ON ticket_search (tenant_id, created_at, id);
{both}
{sqlite}
CREATE VIRTUAL TABLE ticket_search_index USING fts5 (
    number, title, details, comments, internal_details, internal_comments,
    content='ticket_search', content_rowid='place', tokenize='unicode61 remove_diacritics 0'
);
CREATE TRIGGER ticket_search_added AFTER INSERT ON ticket_search BEGIN
    INSERT INTO ticket_search_index (rowid, number, title, details, comments, internal_details, internal_comments)
    VALUES (new.place, new.number, new.title, new.details, new.comments, new.internal_details, new.internal_comments);
END;
CREATE TRIGGER ticket_search_removed AFTER DELETE ON ticket_search BEGIN
    INSERT INTO ticket_search_index
        (ticket_search_index, rowid, number, title, details, comments, internal_details, internal_comments)
    VALUES ('delete', old.place, old.number, old.title, old.details, old.comments, old.internal_details, old.internal_comments);
END;
CREATE TRIGGER ticket_search_changed AFTER UPDATE ON ticket_search BEGIN
    INSERT INTO ticket_search_index
        (ticket_search_index, rowid, number, title, details, comments, internal_details, internal_comments)
    VALUES ('delete', old.place, old.number, old.title, old.details, old.comments, old.internal_details, old.internal_comments);
    INSERT INTO ticket_search_index (rowid, number, title, details, comments, internal_details, internal_comments)
    VALUES (new.place, new.number, new.title, new.details, new.comments, new.internal_details, new.internal_comments);
END;
INSERT INTO job (tenant_id, id, kind, unique_key, state, run_at, payload, attempts, created_at)
SELECT id, randomblob(16), 'ticket.index', 'all', 'PENDING', '2000-01-01T00:00:00.000000Z', json_object(), 0,
    '2000-01-01T00:00:00.000000Z' FROM tenant;
{both}
{postgres}
INSERT INTO job (tenant_id, id, kind, unique_key, state, run_at, payload, attempts, created_at)
SELECT id, gen_random_uuid(), 'ticket.index', 'all', 'PENDING', '2000-01-01T00:00:00Z', jsonb_build_object(), 0,
    '2000-01-01T00:00:00Z' FROM tenant;
{both}
",
};
