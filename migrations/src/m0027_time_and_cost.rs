//! Labour rates, the time that was worked on tickets, and what a ticket's time adds up to.

use crate::sql::SqlMigration;

/// See the module. Amounts are whole numbers of a ten-thousandth of the currency's unit; times are in seconds.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0027_time_and_cost",
    up: r"
CREATE TABLE labour_rate (
    tenant_id {id} NOT NULL REFERENCES tenant (id),
    id {id} NOT NULL,
    key {text} NOT NULL,
    name {text} NOT NULL,
    description {text},
    hourly {long} NOT NULL,
    currency {text} NOT NULL,
    -- A day, as `2026-03-01`: the first on which it holds.
    valid_from {text} NOT NULL,
    -- Whom it holds for: one user, one team, or everybody when neither is there.
    team_id {id},
    user_id {id},
    retired {bool} NOT NULL,
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, team_id) REFERENCES team (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES actor (tenant_id, id),
    CHECK (team_id IS NULL OR user_id IS NULL)
){end};
CREATE UNIQUE INDEX labour_rate_key ON labour_rate (tenant_id, key);
-- Which rate holds on a day is never ambiguous.
CREATE UNIQUE INDEX labour_rate_everybody ON labour_rate (tenant_id, valid_from)
    WHERE NOT retired AND team_id IS NULL AND user_id IS NULL;
CREATE UNIQUE INDEX labour_rate_team ON labour_rate (tenant_id, team_id, valid_from)
    WHERE NOT retired AND team_id IS NOT NULL;
CREATE UNIQUE INDEX labour_rate_user ON labour_rate (tenant_id, user_id, valid_from)
    WHERE NOT retired AND user_id IS NOT NULL;

CREATE TABLE time_entry (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    ticket_id {id} NOT NULL,
    user_id {id} NOT NULL,
    recorded_by_id {id} NOT NULL,
    -- The ticket's team when it was written down.
    team_id {id},
    started_at {time} NOT NULL,
    -- The day in UTC on which it began, as `2026-03-01`.
    worked_on {text} NOT NULL,
    duration {int} NOT NULL,
    billable {bool} NOT NULL,
    note {text},
    -- The rate as it was when the entry was written down: none, and no amount, when none held.
    costed {bool} NOT NULL,
    rate_id {id},
    hourly {long},
    amount {long},
    currency {text},
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, ticket_id) REFERENCES ticket (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES actor (tenant_id, id),
    FOREIGN KEY (tenant_id, recorded_by_id) REFERENCES actor (tenant_id, id),
    FOREIGN KEY (tenant_id, team_id) REFERENCES team (tenant_id, id),
    FOREIGN KEY (tenant_id, rate_id) REFERENCES labour_rate (tenant_id, id)
){end};
CREATE INDEX time_entry_ticket ON time_entry (tenant_id, ticket_id, id);
CREATE INDEX time_entry_day ON time_entry (tenant_id, user_id, worked_on);
CREATE INDEX time_entry_rate ON time_entry (tenant_id, rate_id) WHERE rate_id IS NOT NULL;

-- The sums of its entries, kept by whoever writes these.
ALTER TABLE ticket ADD COLUMN time_spent {int} NOT NULL DEFAULT 0;
ALTER TABLE ticket ADD COLUMN cost {long};
ALTER TABLE ticket ADD COLUMN billable_cost {long};
ALTER TABLE ticket ADD COLUMN entries_without_rate {int} NOT NULL DEFAULT 0;

-- The roles that every tenant was made with may now what they may in a tenant that is made today.
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
    SELECT tenant_id, id, 'time.record', 'TEAM' FROM role WHERE built_in AND key IN ('agent', 'team_lead');
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
    SELECT tenant_id, id, 'time.manage', 'TEAM' FROM role WHERE built_in AND key = 'team_lead';
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
    SELECT tenant_id, id, 'cost.read', 'TEAM' FROM role WHERE built_in AND key = 'team_lead';
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
    SELECT tenant_id, id, 'cost.read', 'TENANT' FROM role WHERE built_in AND key IN ('administrator', 'auditor');
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
    SELECT tenant_id, id, 'rate.read', 'TENANT' FROM role WHERE built_in AND key IN ('administrator', 'auditor');
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
    SELECT tenant_id, id, 'time.record', 'TENANT' FROM role WHERE built_in AND key = 'administrator';
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
    SELECT tenant_id, id, 'time.manage', 'TENANT' FROM role WHERE built_in AND key = 'administrator';
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
    SELECT tenant_id, id, 'rate.manage', 'TENANT' FROM role WHERE built_in AND key = 'administrator';
",
};
