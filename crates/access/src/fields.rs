//! The record types of this crate: what fields they have, and who may use each of them for what.

use kernel::ActorKind;
use predicate::{Field, FieldType, Policy, RecordType, Relation, RelationKind, Rule};

use crate::permission;

/// The kinds of actors, as stored and shown.
pub const ACTOR_KINDS: &[&str] =
    &[ActorKind::User.as_str(), ActorKind::ServiceAccount.as_str(), ActorKind::System.as_str()];

/// Oneself, and whoever may see users' details.
const SELF_OR_READER: Rule = Rule::Any(&[Rule::IsViewer("id"), Rule::Permission(permission::USER_READ)]);
/// Oneself, and whoever manages users.
const SELF_OR_MANAGER: Rule = Rule::Any(&[Rule::IsViewer("id"), Rule::Permission(permission::USER_MANAGE)]);
const USER_MANAGER: Rule = Rule::Permission(permission::USER_MANAGE);
const TEAM_MANAGER: Rule = Rule::Permission(permission::TEAM_MANAGE);

/// Users, service accounts and the system. Id, kind, name and avatar are readable within the tenant.
pub static ACTOR: RecordType = RecordType {
    name: "actor",
    table: "actor",
    base: None,
    fields: &[
        field("id", FieldType::Id, "id"),
        field("kind", FieldType::Enum(ACTOR_KINDS), "kind"),
        Field { write: Policy::When(SELF_OR_MANAGER), ..field("name", FieldType::Text, "name") },
        Field {
            write: Policy::When(SELF_OR_MANAGER),
            nullable: true,
            filter: Policy::Never,
            order: Policy::Never,
            event: Policy::Never,
            ..field("avatarUrl", FieldType::Text, "avatar_url")
        },
        Field { write: Policy::When(USER_MANAGER), ..personal("email", FieldType::Text, "email") },
        Field { write: Policy::When(SELF_OR_MANAGER), ..personal("timeZone", FieldType::Text, "time_zone") },
        Field { write: Policy::When(USER_MANAGER), ..field("active", FieldType::Bool, "active") },
        silent(Field {
            write: Policy::When(USER_MANAGER),
            order: Policy::Never,
            ..personal("manager", FieldType::Id, "manager_id")
        }),
        silent(field("version", FieldType::Int, "version")),
        silent(field("createdAt", FieldType::Time, "created_at")),
        silent(field("updatedAt", FieldType::Time, "updated_at")),
    ],
    relations: &[Relation { name: "manager", target: "actor", kind: RelationKind::Reference("manager") }],
    row: Rule::Always,
    own: &["id"],
    team: &[],
};

/// Teams. Readable within the tenant.
pub static TEAM: RecordType = RecordType {
    name: "team",
    table: "team",
    base: None,
    fields: &[
        field("id", FieldType::Id, "id"),
        Field { write: Policy::When(TEAM_MANAGER), ..field("slug", FieldType::Text, "slug") },
        Field { write: Policy::When(TEAM_MANAGER), ..field("name", FieldType::Text, "name") },
        Field {
            write: Policy::When(TEAM_MANAGER),
            nullable: true,
            order: Policy::Never,
            event: Policy::Never,
            ..field("description", FieldType::Text, "description")
        },
        // To whom the team escalates. Told by its own events alone, by the ids that clients know.
        escalation("escalationTeam", "escalation_team_id"),
        escalation("manager", "manager_id"),
        silent(field("version", FieldType::Int, "version")),
        silent(field("createdAt", FieldType::Time, "created_at")),
        silent(field("updatedAt", FieldType::Time, "updated_at")),
    ],
    relations: &[],
    row: Rule::Always,
    own: &[],
    team: &["id"],
};

/// Roles. Their keys and names are readable within the tenant; changing them comes with custom roles.
pub static ROLE: RecordType = RecordType {
    name: "role",
    table: "role",
    base: None,
    fields: &[
        field("id", FieldType::Id, "id"),
        field("key", FieldType::Text, "key"),
        field("name", FieldType::Text, "name"),
        field("builtIn", FieldType::Bool, "built_in"),
    ],
    relations: &[],
    row: Rule::Always,
    own: &[],
    team: &[],
};

/// All record types of this crate.
pub static RECORDS: [&RecordType; 5] =
    [&ACTOR, &TEAM, &ROLE, &crate::operation::OPERATION, &crate::operation::OPERATION_ITEM];

/// Not carried by the events of records that refer to this one: those carry what people and teams are called by.
const fn silent(field: Field) -> Field {
    Field { event: Policy::Never, ..field }
}

/// A team or a person to whom a team escalates.
const fn escalation(name: &'static str, column: &'static str) -> Field {
    Field {
        write: Policy::When(TEAM_MANAGER),
        nullable: true,
        filter: Policy::Never,
        order: Policy::Never,
        event: Policy::Never,
        ..field(name, FieldType::Id, column)
    }
}

/// Readable wherever the row is, in every use; changed by nobody.
const fn field(name: &'static str, kind: FieldType, column: &'static str) -> Field {
    Field {
        name,
        kind,
        column,
        nullable: false,
        read: Policy::Always,
        write: Policy::Never,
        filter: Policy::Always,
        order: Policy::Always,
        event: Policy::Always,
    }
}

/// Readable by oneself and by those who may see users' details, in every use; changed by nobody.
const fn personal(name: &'static str, kind: FieldType, column: &'static str) -> Field {
    Field {
        nullable: true,
        read: Policy::When(SELF_OR_READER),
        filter: Policy::When(SELF_OR_READER),
        order: Policy::When(SELF_OR_READER),
        event: Policy::When(SELF_OR_READER),
        ..field(name, kind, column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use predicate::Catalogue;

    #[test]
    fn the_declarations_fit_together() {
        assert!(Catalogue::new(RECORDS).is_ok());
    }

    #[test]
    fn nobody_writes_identity_times_or_version() {
        for record in RECORDS {
            for name in ["id", "kind", "version", "createdAt", "updatedAt"] {
                assert!(record.field(name).is_none_or(|field| field.write == Policy::Never), "{}.{name}", record.name);
            }
        }
    }

    #[test]
    fn every_rule_names_a_permission_that_exists() {
        fn check(rule: &Rule) {
            match rule {
                Rule::Permission(name) => assert!(permission::find(name).is_some(), "{name}"),
                Rule::All(rules) | Rule::Any(rules) => rules.iter().for_each(check),
                Rule::Through(_, rule) => check(rule),
                Rule::Always | Rule::IsViewer(_) | Rule::ListsViewer(_) | Rule::OfViewerTeams(_) | Rule::Equals(..) => {
                }
            }
        }
        for record in RECORDS {
            check(&record.row);
            for field in record.all_fields() {
                for policy in [field.read, field.write, field.filter, field.order, field.event] {
                    if let Policy::When(rule) = policy {
                        check(&rule);
                    }
                }
            }
        }
    }
}
