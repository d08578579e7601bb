//! The record types of this crate: each field once, with its column and a policy for every use.

use access::permission::{CONFIGURATION_MANAGE, CONFIGURATION_READ};
use predicate::{Field, FieldType, Policy, RecordType, Relation, RelationKind, Rule};

use crate::model::{ItemClass, RelationType};

/// Those who keep services and configuration items.
const MANAGE: Policy = Policy::When(Rule::Permission(CONFIGURATION_MANAGE));

/// Who may see configuration items.
pub const READ: Rule = Rule::Permission(CONFIGURATION_READ);

/// Readable wherever the row is, filtered and ordered by, set by the system alone, and not carried by the events of records
/// that refer to this one.
const fn field(name: &'static str, column: &'static str, kind: FieldType) -> Field {
    Field {
        name,
        kind,
        column,
        nullable: false,
        read: Policy::Always,
        write: Policy::Never,
        filter: Policy::Always,
        order: Policy::Always,
        event: Policy::Never,
    }
}

const fn nullable(field: Field) -> Field {
    Field { nullable: true, ..field }
}

const fn managed(field: Field) -> Field {
    Field { write: MANAGE, ..field }
}

const fn unordered(field: Field) -> Field {
    Field { order: Policy::Never, ..field }
}

/// Carried by the events of records that refer to this one: what a subscription may filter them by.
const fn carried(field: Field) -> Field {
    Field { event: Policy::Always, ..field }
}

const fn reference(name: &'static str, target: &'static str) -> Relation {
    Relation { name, target, kind: RelationKind::Reference(name) }
}

/// A service. Readable within the tenant: people say which one they miss.
pub static SERVICE: RecordType = RecordType {
    name: "service",
    table: "service",
    base: None,
    fields: &[
        carried(unordered(field("id", "id", FieldType::Id))),
        carried(field("key", "key", FieldType::Text)),
        carried(managed(field("name", "name", FieldType::Text))),
        managed(nullable(unordered(field("description", "description", FieldType::Text)))),
        managed(nullable(unordered(field("owner", "owner_id", FieldType::Id)))),
        managed(nullable(unordered(field("team", "team_id", FieldType::Id)))),
        managed(field("retired", "retired", FieldType::Bool)),
        field("version", "version", FieldType::Int),
        field("createdAt", "created_at", FieldType::Time),
        field("updatedAt", "updated_at", FieldType::Time),
    ],
    relations: &[reference("owner", "actor"), reference("team", "team")],
    row: Rule::Always,
    own: &["owner"],
    team: &["team"],
};

/// A configuration item.
pub static ITEM: RecordType = RecordType {
    name: "configurationItem",
    table: "configuration_item",
    base: None,
    fields: &[
        unordered(field("id", "id", FieldType::Id)),
        managed(field("name", "name", FieldType::Text)),
        managed(field("class", "class", FieldType::Enum(ItemClass::NAMES))),
        managed(nullable(unordered(field("service", "service_id", FieldType::Id)))),
        managed(field("retired", "retired", FieldType::Bool)),
        field("version", "version", FieldType::Int),
        field("createdAt", "created_at", FieldType::Time),
        field("updatedAt", "updated_at", FieldType::Time),
    ],
    relations: &[reference("service", "service")],
    row: READ,
    own: &[],
    team: &[],
};

/// A relation between two configuration items.
pub static RELATION: RecordType = RecordType {
    name: "configurationItemRelation",
    table: "configuration_item_relation",
    base: None,
    fields: &[
        unordered(field("id", "id", FieldType::Id)),
        unordered(field("source", "source_id", FieldType::Id)),
        unordered(field("target", "target_id", FieldType::Id)),
        field("type", "type", FieldType::Enum(RelationType::NAMES)),
        field("createdAt", "created_at", FieldType::Time),
    ],
    relations: &[reference("source", "configurationItem"), reference("target", "configurationItem")],
    row: Rule::All(&[Rule::Through("source", &READ), Rule::Through("target", &READ)]),
    own: &[],
    team: &[],
};

/// All record types of this crate.
pub static RECORDS: [&RecordType; 3] = [&SERVICE, &ITEM, &RELATION];

#[cfg(test)]
mod tests {
    use predicate::Catalogue;

    use super::*;

    #[test]
    fn the_declarations_fit_together() {
        assert!(Catalogue::new(access::RECORDS.into_iter().chain(RECORDS)).is_ok());
    }

    #[test]
    fn nobody_writes_identity_times_or_version() {
        for record in RECORDS {
            for name in ["id", "version", "createdAt", "updatedAt"] {
                assert!(record.field(name).is_none_or(|field| field.write == Policy::Never), "{}.{name}", record.name);
            }
        }
    }
}
