//! The text index of tickets holds whose they are as well, so that a search for words that many tickets hold looks at those alone that the
//! viewer may see.

use crate::sql::SqlMigration;

/// See the module. A word for the requester, for who opened it and for the team: a letter, and the id. On PostgreSQL these words have the
/// label B.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0034_search_scope",
    up: r"
ALTER TABLE ticket_search ADD COLUMN scope {text} NOT NULL DEFAULT '';
{postgres}
DROP INDEX ticket_search_words;
ALTER TABLE ticket_search DROP COLUMN words;
UPDATE ticket_search SET scope = (
    SELECT ' r' || replace(ticket.requester_id::text, '-', '') || ' o' || replace(ticket.opened_by_id::text, '-', '')
        || coalesce(' t' || replace(ticket.team_id::text, '-', ''), '') || ' '
    FROM ticket WHERE ticket.tenant_id = ticket_search.tenant_id AND ticket.id = ticket_search.id
);
ALTER TABLE ticket_search ADD COLUMN words tsvector GENERATED ALWAYS AS (
    setweight(to_tsvector('simple', number || title || details || comments), 'A')
    || setweight(to_tsvector('simple', scope), 'B')
    || setweight(to_tsvector('simple', internal_details || internal_comments), 'D')
) STORED;
CREATE INDEX ticket_search_words ON ticket_search USING gin (words);
{both}
{sqlite}
DROP TRIGGER ticket_search_added;
DROP TRIGGER ticket_search_removed;
DROP TRIGGER ticket_search_changed;
DROP TABLE ticket_search_index;
UPDATE ticket_search SET scope = (
    SELECT ' r' || lower(hex(ticket.requester_id)) || ' o' || lower(hex(ticket.opened_by_id))
        || coalesce(' t' || lower(hex(ticket.team_id)), '') || ' '
    FROM ticket WHERE ticket.tenant_id = ticket_search.tenant_id AND ticket.id = ticket_search.id
);
CREATE VIRTUAL TABLE ticket_search_index USING fts5 (
    number, title, details, comments, internal_details, internal_comments, scope,
    content='ticket_search', content_rowid='place', tokenize='unicode61 remove_diacritics 0'
);
INSERT INTO ticket_search_index (ticket_search_index) VALUES ('rebuild');
CREATE TRIGGER ticket_search_added AFTER INSERT ON ticket_search BEGIN
    INSERT INTO ticket_search_index (rowid, number, title, details, comments, internal_details, internal_comments, scope)
    VALUES (new.place, new.number, new.title, new.details, new.comments, new.internal_details, new.internal_comments, new.scope);
END;
CREATE TRIGGER ticket_search_removed AFTER DELETE ON ticket_search BEGIN
    INSERT INTO ticket_search_index
        (ticket_search_index, rowid, number, title, details, comments, internal_details, internal_comments, scope)
    VALUES ('delete', old.place, old.number, old.title, old.details, old.comments, old.internal_details, old.internal_comments, old.scope);
END;
CREATE TRIGGER ticket_search_changed AFTER UPDATE ON ticket_search BEGIN
    INSERT INTO ticket_search_index
        (ticket_search_index, rowid, number, title, details, comments, internal_details, internal_comments, scope)
    VALUES ('delete', old.place, old.number, old.title, old.details, old.comments, old.internal_details, old.internal_comments, old.scope);
    INSERT INTO ticket_search_index (rowid, number, title, details, comments, internal_details, internal_comments, scope)
    VALUES (new.place, new.number, new.title, new.details, new.comments, new.internal_details, new.internal_comments, new.scope);
END;
{both}
",
};
