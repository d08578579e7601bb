//! Custom fields of tickets: their definitions, and their values in typed rows as well as on the ticket.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0010_custom_fields",
    up: r"
CREATE TABLE custom_field (
    tenant_id {id} NOT NULL REFERENCES tenant (id),
    id {id} NOT NULL,
    key {text} NOT NULL,
    name {text} NOT NULL,
    description {text},
    type {text} NOT NULL,
    kinds {json} NOT NULL,
    options {json} NOT NULL,
    constraints {json} NOT NULL,
    default_value {json},
    required_in {json} NOT NULL,
    readable_by {text} NOT NULL,
    writable_by {text} NOT NULL,
    position {int},
    retired {bool} NOT NULL,
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id)
){end};
CREATE UNIQUE INDEX custom_field_key ON custom_field (tenant_id, key);

-- One row for each value; it is in the column of its type.
CREATE TABLE custom_field_value (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    ticket_id {id} NOT NULL,
    key {text} NOT NULL,
    text_value {text},
    number_value {number},
    boolean_value {bool},
    time_value {time},
    reference_value {id},
    PRIMARY KEY (tenant_id, ticket_id, key),
    FOREIGN KEY (tenant_id, ticket_id) REFERENCES ticket (tenant_id, id),
    FOREIGN KEY (tenant_id, key) REFERENCES custom_field (tenant_id, key)
){end};
CREATE INDEX custom_field_value_text ON custom_field_value (tenant_id, key, text_value, ticket_id) WHERE text_value IS NOT NULL;
CREATE INDEX custom_field_value_number ON custom_field_value (tenant_id, key, number_value, ticket_id) WHERE number_value IS NOT NULL;
CREATE INDEX custom_field_value_boolean ON custom_field_value (tenant_id, key, boolean_value, ticket_id) WHERE boolean_value IS NOT NULL;
CREATE INDEX custom_field_value_time ON custom_field_value (tenant_id, key, time_value, ticket_id) WHERE time_value IS NOT NULL;
CREATE INDEX custom_field_value_reference ON custom_field_value (tenant_id, key, reference_value, ticket_id) WHERE reference_value IS NOT NULL;

-- The same values, as documents by key: for everybody who sees the ticket, and for those who work on it.
ALTER TABLE ticket ADD COLUMN custom_fields {json};
ALTER TABLE ticket ADD COLUMN internal_custom_fields {json};
",
};
