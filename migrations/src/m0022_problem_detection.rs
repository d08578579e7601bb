//! Rules that find problems, and which problem stands for what a rule found.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0022_problem_detection",
    up: r"
CREATE TABLE problem_detection_rule (
    tenant_id {id} NOT NULL REFERENCES tenant (id),
    id {id} NOT NULL,
    key {text} NOT NULL,
    name {text} NOT NULL,
    description {text},
    document {json} NOT NULL,
    retired {bool} NOT NULL,
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id)
){end};
CREATE UNIQUE INDEX problem_detection_rule_key ON problem_detection_rule (tenant_id, key);

ALTER TABLE problem ADD COLUMN detection_rule_id {id};
ALTER TABLE problem ADD COLUMN detection_key {text};
-- The same while the problem is open: at most one is for each rule and what it found.
ALTER TABLE problem ADD COLUMN open_detection_key {text};
CREATE UNIQUE INDEX problem_open_detection_key ON problem (tenant_id, open_detection_key)
    WHERE open_detection_key IS NOT NULL;
",
};
