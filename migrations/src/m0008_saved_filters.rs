//! Saved filters and queues.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0008_saved_filters",
    up: r"
CREATE TABLE saved_filter (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    owner_id {id} NOT NULL,
    sharing {text} NOT NULL CHECK (sharing IN ('PERSONAL', 'TEAM', 'TENANT')),
    team_id {id},
    name {text} NOT NULL,
    description {text},
    -- The documents as the client wrote them.
    filter {json} NOT NULL,
    order_by {json} NOT NULL,
    columns {json} NOT NULL,
    -- Its place among the queues; null for a filter that is none.
    position {int},
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, owner_id) REFERENCES actor (tenant_id, id),
    FOREIGN KEY (tenant_id, team_id) REFERENCES team (tenant_id, id),
    CHECK ((sharing = 'TEAM') = (team_id IS NOT NULL))
){end};
CREATE INDEX saved_filter_owner ON saved_filter (tenant_id, owner_id);
CREATE INDEX saved_filter_shared ON saved_filter (tenant_id, sharing, team_id);

INSERT INTO role_permission (tenant_id, role_id, permission, scope)
SELECT tenant_id, id, 'filter.share', 'TEAM' FROM role WHERE built_in AND key = 'team_lead';
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
SELECT tenant_id, id, 'filter.share', 'TENANT' FROM role WHERE built_in AND key = 'administrator';
",
};
