//! To whom teams escalate, and how far tickets were escalated.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0023_escalation",
    up: r"
-- The team of the next level of support.
ALTER TABLE team ADD COLUMN escalation_team_id {id};
ALTER TABLE team ADD COLUMN manager_id {id};

ALTER TABLE ticket ADD COLUMN functional_escalation_level {int} NOT NULL DEFAULT 0;
ALTER TABLE ticket ADD COLUMN hierarchical_escalation_level {int} NOT NULL DEFAULT 0;
-- The manager whom it was escalated to last.
ALTER TABLE ticket ADD COLUMN escalated_to_id {id};
",
};
