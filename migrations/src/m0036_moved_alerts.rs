//! Which alerts a merge moved along, noted as its comments and attachments are; and what nobody asks of a merge any more.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0036_moved_alerts",
    up: r"
-- Of merges that can still be undone.
INSERT INTO ticket_merge_item (tenant_id, merge_id, record, record_id)
SELECT made.tenant_id, made.id, 'ALERT', moved.id FROM ticket_merge AS made JOIN alert AS moved
    ON moved.tenant_id = made.tenant_id AND moved.incident_id = made.ticket_id AND moved.moved_from_id = made.duplicate_id
WHERE made.undone_at IS NULL AND moved.status = 'FIRING';

-- What is internal is asked of whoever merges, whether there is anything or not.
ALTER TABLE ticket_merge DROP COLUMN internal;
",
};
