//! The records of this crate: plain, as one viewer may read them.

use kernel::{ActorKind, Id, Timestamp, Uuid, id::prefix};
use store::query::Row;

use crate::token::Secret;

/// A tenant of this installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: Uuid,
    /// Names it at sign-in and on the command line; unique in the installation.
    pub slug: String,
    /// Its name, for people.
    pub name: String,
    /// When it was created.
    pub created_at: Timestamp,
}

impl Tenant {
    /// The id as clients see it.
    pub fn public_id(&self) -> Id {
        Id::new(prefix::TENANT, self.id)
    }
}

/// A user, a service account or the system, as the viewer may read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: Uuid,
    /// What kind of actor.
    pub kind: ActorKind,
    /// Its name, for people.
    pub name: String,
    /// Where its picture is.
    pub avatar_url: Option<String>,
    /// A user's address; `None` also when the viewer may not read it.
    pub email: Option<String>,
    /// IANA name; `None` also when the viewer may not read it.
    pub time_zone: Option<String>,
    /// Whether it may sign in.
    pub active: bool,
    /// Who manages the user; `None` also when the viewer may not read it.
    pub manager: Option<Uuid>,
    /// Raised by every change.
    pub version: i32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl Account {
    /// The account of a row of record type `actor`, read on its own or as a relation of another row.
    pub fn from_row(row: &Row) -> Self {
        Self {
            id: row.id(),
            kind: row.get("kind").as_text().and_then(ActorKind::parse).unwrap_or(ActorKind::User),
            name: row.text("name"),
            avatar_url: row.optional_text("avatarUrl"),
            email: row.optional_text("email"),
            time_zone: row.optional_text("timeZone"),
            active: row.bool("active"),
            manager: row.get("manager").as_id(),
            version: version(row),
            created_at: row.time("createdAt"),
            updated_at: row.time("updatedAt"),
        }
    }

    /// The id as clients see it.
    pub fn public_id(&self) -> Id {
        Id::new(self.kind.prefix(), self.id)
    }
}

/// A team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Team {
    /// Its id.
    pub id: Uuid,
    /// Names it in inputs; unique in the tenant.
    pub slug: String,
    /// Its name, for people.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// The team of the next level of support.
    pub escalation_team: Option<Uuid>,
    /// Who manages it.
    pub manager: Option<Uuid>,
    /// Raised by every change of its own fields, not by its members'.
    pub version: i32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl Team {
    /// The team of a row of record type `team`, read on its own or as a relation of another row.
    pub fn from_row(row: &Row) -> Self {
        Self {
            id: row.id(),
            slug: row.text("slug"),
            name: row.text("name"),
            description: row.optional_text("description"),
            escalation_team: row.get("escalationTeam").as_id(),
            manager: row.get("manager").as_id(),
            version: version(row),
            created_at: row.time("createdAt"),
            updated_at: row.time("updatedAt"),
        }
    }

    /// The id as clients see it.
    pub fn public_id(&self) -> Id {
        Id::new(prefix::TEAM, self.id)
    }
}

fn version(row: &Row) -> i32 {
    i32::try_from(row.int("version")).unwrap_or(i32::MAX)
}

/// A role that an actor was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRole {
    /// The role's key, such as `agent`.
    pub role: String,
    /// The role's name, for people.
    pub name: String,
    /// The one team it was given for; `None`: for all teams of the actor.
    pub team: Option<Uuid>,
}

/// An API token: everything but the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// Its id.
    pub id: Uuid,
    /// Whose rights it carries.
    pub owner: Uuid,
    /// Its name, for people.
    pub name: String,
    /// The first characters of its text.
    pub prefix: String,
    /// What it is narrowed to: permissions such as `ticket.read` or `ticket.read:OWN`; empty: not narrowed.
    pub scopes: Vec<String>,
    /// When it stops working; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
}

impl ApiToken {
    /// The id as clients see it.
    pub fn public_id(&self) -> Id {
        Id::new(prefix::API_TOKEN, self.id)
    }
}

/// A token with the secret that is shown once.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token.
    pub token: ApiToken,
    /// Its text. Nobody can read it again.
    pub secret: Secret,
}

/// What signing in and refreshing give.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The session.
    pub session: Uuid,
    /// Who signed in.
    pub account: Account,
    /// The tenant.
    pub tenant: Uuid,
    /// Goes into `Authorization: Bearer`.
    pub access_token: Secret,
    /// When the access token stops working.
    pub access_expires_at: Timestamp,
    /// Can be exchanged, once, for the next pair.
    pub refresh_token: Secret,
    /// When the refresh token stops working.
    pub refresh_expires_at: Timestamp,
}

impl SignedIn {
    /// The session's id as clients see it.
    pub fn public_id(&self) -> Id {
        Id::new(prefix::SESSION, self.session)
    }
}

/// The record that a mutation changed, as the viewer may read it now, and what was recorded.
#[derive(Clone, Debug)]
pub struct Changed<T> {
    /// The record after the change.
    pub record: T,
    /// The events, in order. Those of a dry run were rolled back.
    pub events: Vec<store::Event>,
}
