//! What others lean on: services, configuration items and their relations, managers; and what of it a ticket is about.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0004_configuration",
    up: r"
-- SQLite adds no constraint over two columns to a table that is there; the writers look up what they refer to, and nothing
-- that can be referred to is ever deleted.
ALTER TABLE actor ADD COLUMN manager_id {id};
{postgres}
ALTER TABLE actor ADD CONSTRAINT actor_manager FOREIGN KEY (tenant_id, manager_id) REFERENCES actor (tenant_id, id);
{both}
CREATE INDEX actor_manager_id ON actor (tenant_id, manager_id) WHERE manager_id IS NOT NULL;

CREATE TABLE service (
    tenant_id {id} NOT NULL REFERENCES tenant (id),
    id {id} NOT NULL,
    key {text} NOT NULL,
    name {text} NOT NULL,
    description {text},
    owner_id {id},
    team_id {id},
    retired {bool} NOT NULL,
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, owner_id) REFERENCES actor (tenant_id, id),
    FOREIGN KEY (tenant_id, team_id) REFERENCES team (tenant_id, id)
){end};
CREATE UNIQUE INDEX service_key ON service (tenant_id, key);
CREATE INDEX service_name ON service (tenant_id, name, id);

CREATE TABLE configuration_item (
    tenant_id {id} NOT NULL REFERENCES tenant (id),
    id {id} NOT NULL,
    name {text} NOT NULL,
    class {text} NOT NULL,
    service_id {id},
    retired {bool} NOT NULL,
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, service_id) REFERENCES service (tenant_id, id)
){end};
CREATE INDEX configuration_item_name ON configuration_item (tenant_id, name, id);
CREATE INDEX configuration_item_service ON configuration_item (tenant_id, service_id, name) WHERE service_id IS NOT NULL;

CREATE TABLE configuration_item_relation (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    source_id {id} NOT NULL,
    target_id {id} NOT NULL,
    type {text} NOT NULL,
    created_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, source_id) REFERENCES configuration_item (tenant_id, id),
    FOREIGN KEY (tenant_id, target_id) REFERENCES configuration_item (tenant_id, id),
    CHECK (source_id <> target_id)
){end};
CREATE UNIQUE INDEX configuration_item_relation_once ON configuration_item_relation (tenant_id, source_id, target_id, type);
CREATE INDEX configuration_item_relation_source ON configuration_item_relation (tenant_id, source_id, id);
CREATE INDEX configuration_item_relation_target ON configuration_item_relation (tenant_id, target_id, id);

ALTER TABLE ticket ADD COLUMN service_id {id};
{postgres}
ALTER TABLE ticket ADD CONSTRAINT ticket_service FOREIGN KEY (tenant_id, service_id) REFERENCES service (tenant_id, id);
{both}
CREATE INDEX ticket_service_id ON ticket (tenant_id, service_id, state_category, created_at) WHERE service_id IS NOT NULL;

CREATE TABLE ticket_configuration_item (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    ticket_id {id} NOT NULL,
    configuration_item_id {id} NOT NULL,
    link {text} NOT NULL,
    created_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, ticket_id) REFERENCES ticket (tenant_id, id),
    FOREIGN KEY (tenant_id, configuration_item_id) REFERENCES configuration_item (tenant_id, id)
){end};
CREATE UNIQUE INDEX ticket_configuration_item_once ON ticket_configuration_item (tenant_id, ticket_id, configuration_item_id);
CREATE INDEX ticket_configuration_item_ticket ON ticket_configuration_item (tenant_id, ticket_id, id);
CREATE INDEX ticket_configuration_item_item ON ticket_configuration_item (tenant_id, configuration_item_id, id);

-- The built-in roles of the tenants that are there; new tenants get them from `access`.
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
    SELECT tenant_id, id, 'configuration.manage', 'TENANT' FROM role WHERE built_in AND key = 'administrator';
INSERT INTO role_permission (tenant_id, role_id, permission, scope)
    SELECT tenant_id, id, 'configuration.read', 'TENANT' FROM role
    WHERE built_in AND key IN ('agent', 'team_lead', 'administrator', 'auditor');
",
};
