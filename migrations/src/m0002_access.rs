//! Who acts and what they may do: tenants, actors, teams, roles, tokens and sessions.

use crate::sql::SqlMigration;

/// See the module.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0002_access",
    up: r"
-- Server-wide: the tenants of this database.
CREATE TABLE tenant (
    id {id} NOT NULL PRIMARY KEY,
    slug {text} NOT NULL UNIQUE,
    name {text} NOT NULL,
    created_at {time} NOT NULL
){end};

-- Users, service accounts and the system itself, whose id is the tenant's.
CREATE TABLE actor (
    tenant_id {id} NOT NULL REFERENCES tenant (id),
    id {id} NOT NULL,
    kind {text} NOT NULL CHECK (kind IN ('USER', 'SERVICE_ACCOUNT', 'SYSTEM')),
    name {text} NOT NULL,
    email {text},
    email_lower {text},
    avatar_url {text},
    time_zone {text},
    active {bool} NOT NULL,
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CHECK ((email IS NULL) = (email_lower IS NULL)),
    CHECK (kind <> 'USER' OR email IS NOT NULL)
){end};
CREATE UNIQUE INDEX actor_email_lower ON actor (tenant_id, email_lower);
CREATE INDEX actor_name ON actor (tenant_id, name, id);

-- The password of a user, as a PHC string of argon2id.
CREATE TABLE credential (
    tenant_id {id} NOT NULL,
    actor_id {id} NOT NULL,
    password_hash {text} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, actor_id),
    FOREIGN KEY (tenant_id, actor_id) REFERENCES actor (tenant_id, id)
){end};

CREATE TABLE team (
    tenant_id {id} NOT NULL REFERENCES tenant (id),
    id {id} NOT NULL,
    slug {text} NOT NULL,
    name {text} NOT NULL,
    description {text},
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id)
){end};
CREATE UNIQUE INDEX team_slug ON team (tenant_id, slug);

CREATE TABLE team_member (
    tenant_id {id} NOT NULL,
    team_id {id} NOT NULL,
    actor_id {id} NOT NULL,
    created_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, team_id, actor_id),
    FOREIGN KEY (tenant_id, team_id) REFERENCES team (tenant_id, id),
    FOREIGN KEY (tenant_id, actor_id) REFERENCES actor (tenant_id, id)
){end};
CREATE INDEX team_member_actor ON team_member (tenant_id, actor_id);

CREATE TABLE role (
    tenant_id {id} NOT NULL REFERENCES tenant (id),
    id {id} NOT NULL,
    key {text} NOT NULL,
    name {text} NOT NULL,
    built_in {bool} NOT NULL,
    PRIMARY KEY (tenant_id, id)
){end};
CREATE UNIQUE INDEX role_key ON role (tenant_id, key);

CREATE TABLE role_permission (
    tenant_id {id} NOT NULL,
    role_id {id} NOT NULL,
    permission {text} NOT NULL,
    scope {text} NOT NULL CHECK (scope IN ('OWN', 'TEAM', 'TENANT')),
    PRIMARY KEY (tenant_id, role_id, permission, scope),
    FOREIGN KEY (tenant_id, role_id) REFERENCES role (tenant_id, id)
){end};

-- A role given to an actor: for all teams of theirs, or for one.
CREATE TABLE role_assignment (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    actor_id {id} NOT NULL,
    role_id {id} NOT NULL,
    team_id {id},
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, actor_id) REFERENCES actor (tenant_id, id),
    FOREIGN KEY (tenant_id, role_id) REFERENCES role (tenant_id, id),
    FOREIGN KEY (tenant_id, team_id) REFERENCES team (tenant_id, id)
){end};
CREATE UNIQUE INDEX role_assignment_everywhere ON role_assignment (tenant_id, actor_id, role_id) WHERE team_id IS NULL;
CREATE UNIQUE INDEX role_assignment_team ON role_assignment (tenant_id, actor_id, role_id, team_id) WHERE team_id IS NOT NULL;
CREATE INDEX role_assignment_role ON role_assignment (tenant_id, role_id);

-- The token itself is nowhere: its SHA-256 is, and its first characters, to tell tokens apart.
CREATE TABLE api_token (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    actor_id {id} NOT NULL,
    name {text} NOT NULL,
    prefix {text} NOT NULL,
    hash {bytes} NOT NULL,
    scopes {json} NOT NULL,
    expires_at {time},
    last_used_at {time},
    revoked_at {time},
    created_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, actor_id) REFERENCES actor (tenant_id, id)
){end};
CREATE UNIQUE INDEX api_token_hash ON api_token (hash);
CREATE INDEX api_token_actor ON api_token (tenant_id, actor_id);

-- The SHA-256 of the one refresh token that may be used next; an earlier one that comes back ends the session.
CREATE TABLE session (
    tenant_id {id} NOT NULL,
    id {id} NOT NULL,
    actor_id {id} NOT NULL,
    refresh_hash {bytes} NOT NULL,
    expires_at {time} NOT NULL,
    revoked_at {time},
    created_at {time} NOT NULL,
    last_used_at {time} NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, actor_id) REFERENCES actor (tenant_id, id)
){end};
CREATE UNIQUE INDEX session_id ON session (id);
CREATE INDEX session_actor ON session (tenant_id, actor_id);
CREATE INDEX session_expires_at ON session (expires_at);
",
};
