//! The events of this crate: their names, and how a record's fields become changes and facts. None carries a secret.

use kernel::Uuid;
use predicate::{Policy, RecordType, Value};
use serde_json::{Map, Value as Json};
use store::query::Row;
use store::{Audience, Change, NewEvent};

/// A user was created.
pub const USER_CREATED: &str = "UserCreated";
/// A user's or a service account's fields, roles or password changed. A changed password shows as `password` without values.
pub const USER_UPDATED: &str = "UserUpdated";
/// A service account was created.
pub const SERVICE_ACCOUNT_CREATED: &str = "ServiceAccountCreated";
/// A team was created.
pub const TEAM_CREATED: &str = "TeamCreated";
/// A team's fields changed.
pub const TEAM_UPDATED: &str = "TeamUpdated";
/// A user became a member of a team; the user is in the payload.
pub const TEAM_MEMBER_ADDED: &str = "TeamMemberAdded";
/// A user is no longer a member of a team; the user is in the payload.
pub const TEAM_MEMBER_REMOVED: &str = "TeamMemberRemoved";
/// An API token was created; its owner is in the payload.
pub const API_TOKEN_CREATED: &str = "ApiTokenCreated";
/// An API token was revoked; its owner is in the payload.
pub const API_TOKEN_REVOKED: &str = "ApiTokenRevoked";
/// Somebody signed in.
pub const SESSION_CREATED: &str = "SessionCreated";
/// A session ended before its time; whether a used refresh token came back is in the payload.
pub const SESSION_REVOKED: &str = "SessionRevoked";

/// Every kind of event of this crate.
pub const ALL: &[&str] = &[
    USER_CREATED,
    USER_UPDATED,
    SERVICE_ACCOUNT_CREATED,
    TEAM_CREATED,
    TEAM_UPDATED,
    TEAM_MEMBER_ADDED,
    TEAM_MEMBER_REMOVED,
    API_TOKEN_CREATED,
    API_TOKEN_REVOKED,
    SESSION_CREATED,
    SESSION_REVOKED,
];

/// What the log calls users, service accounts and the system.
pub const SUBJECT_ACTOR: &str = "actor";
/// What the log calls teams.
pub const SUBJECT_TEAM: &str = "team";
/// What the log calls API tokens.
pub const SUBJECT_API_TOKEN: &str = "apiToken";
/// What the log calls sessions.
pub const SUBJECT_SESSION: &str = "session";

/// Whose events go when the log's retention is over: they are many, and what they tell ages. All others of this crate
/// are the audit trail of administration.
pub const TRANSIENT_SUBJECTS: &[&str] = &[SUBJECT_SESSION, crate::operation::SUBJECT];

/// An event on a record of the catalogue, with its facts.
pub(crate) fn on_record(
    kind: &'static str,
    subject_kind: &'static str,
    record: &'static RecordType,
    row: &Row,
    changes: Vec<Change>,
) -> NewEvent {
    NewEvent {
        kind,
        subject_kind,
        subject: row.id(),
        version: i32::try_from(row.int("version")).unwrap_or(i32::MAX),
        audience: Audience::Public,
        changes,
        facts: facts(record, row),
        payload: Json::Null,
        occurred_at: None,
        actor: None,
    }
}

/// An event on a token or a session, which are no records of the catalogue: for administrators and auditors.
pub(crate) fn internal(kind: &'static str, subject_kind: &'static str, subject: Uuid, payload: Json) -> NewEvent {
    NewEvent {
        kind,
        subject_kind,
        subject,
        version: 1,
        audience: Audience::Internal,
        changes: Vec::new(),
        facts: Map::new(),
        payload,
        occurred_at: None,
        actor: None,
    }
}

/// The fields of a row that events carry.
fn facts(record: &'static RecordType, row: &Row) -> Map<String, Json> {
    carried(record).map(|name| (name.to_owned(), row.get(name).to_json())).collect()
}

/// All that a new record has.
pub(crate) fn created(record: &'static RecordType, row: &Row) -> Vec<Change> {
    let present = carried(record).filter(|name| !row.get(name).is_null() && !is_bookkeeping(name));
    present.map(|name| change(name, &Value::Null, row.get(name))).collect()
}

/// One field before and after.
pub(crate) fn change(field: &str, before: &Value, after: &Value) -> Change {
    Change { field: field.to_owned(), before: before.to_json(), after: after.to_json() }
}

fn carried(record: &'static RecordType) -> impl Iterator<Item = &'static str> {
    record.all_fields().filter(|field| field.event != Policy::Never).map(|field| field.name)
}

fn is_bookkeeping(name: &str) -> bool {
    matches!(name, "id" | "version" | "createdAt" | "updatedAt")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::ACTOR;

    #[test]
    fn names_are_unique() {
        let mut names = ALL.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn a_new_record_tells_its_values_and_not_its_bookkeeping() {
        let row =
            Row::new(&ACTOR, vec![("id", Uuid::nil().into()), ("name", "Ada".into()), ("version", Value::Int(1))]);
        let changes = created(&ACTOR, &row);
        assert_eq!(changes, [change("name", &Value::Null, &"Ada".into())]);
        assert_eq!(on_record(USER_CREATED, SUBJECT_ACTOR, &ACTOR, &row, changes).facts["name"], "Ada");
    }
}
