//! Approvals of tickets, and delegations of the right to decide.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0007_approvals",
    up: r"
-- The transitions that pending approvals hold back: null for a ticket that never had an approval, so that nothing is
-- looked up for it when it changes.
ALTER TABLE ticket ADD COLUMN blocked_transitions {json};

CREATE TABLE approval (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    ticket_id {id} NOT NULL,
    name {text} NOT NULL,
    state {text} NOT NULL CHECK (state IN ('PENDING', 'APPROVED', 'REFUSED', 'EXPIRED', 'VOIDED', 'CANCELED')),
    reason {text},
    policy {json} NOT NULL,
    self_approval {bool} NOT NULL,
    -- Who asked for what is approved, and therefore may not decide.
    barred {json} NOT NULL,
    -- What was approved: the fields, and the hash of their values.
    bound_fields {json} NOT NULL,
    content_hash {text} NOT NULL,
    blocks {json} NOT NULL,
    -- What those who decide read, whether or not they may see the ticket.
    ticket_number {text} NOT NULL,
    ticket_title {text} NOT NULL,
    ticket_description {text},
    -- Everybody who was asked, and those whose vote is awaited now (with their delegates).
    asked {json} NOT NULL,
    awaited {json} NOT NULL,
    requested_by_id {id} NOT NULL,
    expires_at {time},
    decided_at {time},
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, ticket_id) REFERENCES ticket (tenant_id, id),
    FOREIGN KEY (tenant_id, requested_by_id) REFERENCES actor (tenant_id, id)
){end};
CREATE INDEX approval_ticket ON approval (tenant_id, ticket_id, id);
CREATE INDEX approval_pending ON approval (tenant_id, created_at, id) WHERE state = 'PENDING';

CREATE TABLE approval_step (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    approval_id {id} NOT NULL,
    position {int} NOT NULL,
    name {text},
    rule {text} NOT NULL,
    rule_value {int},
    state {text} NOT NULL CHECK (state IN ('WAITING', 'OPEN', 'APPROVED', 'REFUSED', 'NOT_REQUIRED')),
    to_administrators {bool} NOT NULL,
    opened_at {time},
    decided_at {time},
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, approval_id) REFERENCES approval (tenant_id, id)
){end};
CREATE UNIQUE INDEX approval_step_position ON approval_step (tenant_id, approval_id, position);

CREATE TABLE approval_vote (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    approval_id {id} NOT NULL,
    step_id {id} NOT NULL,
    approver_id {id} NOT NULL,
    delegate_id {id},
    counts {bool} NOT NULL,
    veto {bool} NOT NULL,
    vote {text} NOT NULL CHECK (vote IN ('PENDING', 'APPROVED', 'REFUSED', 'NOT_REQUIRED')),
    comment {text},
    decided_by_id {id},
    decided_at {time},
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, approval_id) REFERENCES approval (tenant_id, id),
    FOREIGN KEY (tenant_id, step_id) REFERENCES approval_step (tenant_id, id),
    FOREIGN KEY (tenant_id, approver_id) REFERENCES actor (tenant_id, id),
    FOREIGN KEY (tenant_id, delegate_id) REFERENCES actor (tenant_id, id),
    FOREIGN KEY (tenant_id, decided_by_id) REFERENCES actor (tenant_id, id)
){end};
CREATE UNIQUE INDEX approval_vote_once ON approval_vote (tenant_id, step_id, approver_id);
CREATE INDEX approval_vote_approval ON approval_vote (tenant_id, approval_id, id);
CREATE INDEX approval_vote_pending ON approval_vote (tenant_id, approver_id) WHERE vote = 'PENDING';

CREATE TABLE delegation (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    delegator_id {id} NOT NULL,
    delegate_id {id} NOT NULL,
    starts_at {time} NOT NULL,
    ends_at {time} NOT NULL,
    reason {text},
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, delegator_id) REFERENCES actor (tenant_id, id),
    FOREIGN KEY (tenant_id, delegate_id) REFERENCES actor (tenant_id, id)
){end};
CREATE INDEX delegation_delegator ON delegation (tenant_id, delegator_id, ends_at);
CREATE INDEX delegation_delegate ON delegation (tenant_id, delegate_id, ends_at);

INSERT INTO role_permission (tenant_id, role_id, permission, scope)
SELECT tenant_id, id, 'approval.start', 'TEAM' FROM role WHERE built_in AND key IN ('agent', 'team_lead');
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
SELECT tenant_id, id, 'approval.start', 'TENANT' FROM role WHERE built_in AND key = 'administrator';
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
SELECT tenant_id, id, 'approval.decideOnBehalf', 'TENANT' FROM role WHERE built_in AND key = 'administrator';
",
};
