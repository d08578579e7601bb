//! Which subscriptions several people can share, and what they must see alike for that.
//!
//! A coordinate belongs here when all that its value depends on is the record, the tenant's settings, and what the viewer may
//! see of [`SEEN`]: then two viewers for whom the rules and masks of [`SEEN`] come out as the same conditions are told the
//! same. Whatever names the viewer (`isViewer`, `hasViewer`, `viewerCan`, saved filters), whatever is readable by the person
//! themself (`email`, `timeZone`, `manager`), and what is paged (cursors are one viewer's) stays out.

use access::fields::{ACTOR, TEAM};
use configuration::fields::SERVICE;
use incident::INCIDENT;
use kernel::Ctx;
use predicate::{Predicate, RecordType};
use sha2::{Digest, Sha256};
use ticket::fields::{CATEGORY, READ_INTERNAL, TASK, TICKET};

use crate::door::{Alike, Sight};
use crate::platform::Platform;

/// What tickets of all kinds show.
const OF_TICKETS: &[&str] = &[
    "id",
    "number",
    "kind",
    "version",
    "title",
    "description",
    "state",
    "priority",
    "impact",
    "urgency",
    "category",
    "requester",
    "openedBy",
    "team",
    "assignee",
    "tags",
    "reopenCount",
    "createdAt",
    "updatedAt",
    "resolvedAt",
    "closedAt",
    "acknowledgedAt",
    "firstRespondedAt",
    "slaDueAt",
    "slaState",
];

/// Fields of objects and of inputs, by type.
const FIELDS: &[(&str, &[&str])] = &[
    ("Subscription", &["queueChanges", "queueChanges(filter)", "queueChanges(after)"]),
    ("QueueChange", &["cursor", "kind", "id", "ticket"]),
    ("Ticket", OF_TICKETS),
    ("Incident", OF_TICKETS),
    ("Incident", &["origin", "resolutionCode", "resolutionNotes"]),
    ("Task", OF_TICKETS),
    ("Problem", OF_TICKETS),
    ("Task", &["openDependencies"]),
    ("TicketState", &["key", "name", "category", "waitingReason", "waitingUntil"]),
    ("Category", &["id", "key", "name", "retired", "version"]),
    ("Actor", &["id", "name", "avatarUrl"]),
    ("User", &["id", "name", "avatarUrl", "active", "version", "createdAt", "updatedAt"]),
    ("Team", &["id", "slug", "name", "description", "version", "createdAt", "updatedAt"]),
    (
        "TicketFilter",
        &[
            "id",
            "number",
            "kind",
            "title",
            "state",
            "impact",
            "urgency",
            "priority",
            "category",
            "requester",
            "openedBy",
            "team",
            "assignee",
            "tags",
            "reopenCount",
            "createdAt",
            "resolvedAt",
            "closedAt",
            "acknowledgedAt",
            "firstRespondedAt",
            "slaDueAt",
            "slaState",
            "and",
            "or",
            "not",
        ],
    ),
    ("TicketStateFilter", &["key", "category", "waitingReason", "waitingUntil"]),
    ("CategoryFilter", &["id", "key", "isNull"]),
    ("TeamFilter", &["id", "slug", "name", "createdAt", "isNull", "and", "or", "not"]),
    ("UserFilter", &["id", "name", "active", "createdAt", "isNull", "and", "or", "not"]),
];

/// Comparisons with a value of one's own.
const COMPARISONS: &[&str] = &[
    "IdFilter",
    "StringFilter",
    "StringListFilter",
    "BooleanFilter",
    "IntFilter",
    "DateTimeFilter",
    "TicketKindFilter",
    "StateCategoryFilter",
    "WaitingReasonFilter",
    "ImpactFilter",
    "UrgencyFilter",
    "PriorityFilter",
    "SlaStateFilter",
];

/// The records behind [`FIELDS`], and of each the fields that they read, compare or go through: their row rules and masks are
/// all that stands between a viewer and what is told. Of a service, which is loaded along, nothing is shown.
static SEEN: &[(&RecordType, &[&str])] = &[
    (
        &TICKET,
        &[
            "id",
            "kind",
            "number",
            "title",
            "description",
            "state",
            "stateCategory",
            "waitingReason",
            "waitingUntil",
            "impact",
            "urgency",
            "priority",
            "category",
            "requester",
            "openedBy",
            "service",
            "team",
            "assignee",
            "tags",
            "reopenCount",
            "version",
            "createdAt",
            "updatedAt",
            "resolvedAt",
            "closedAt",
            "acknowledgedAt",
            "firstRespondedAt",
            "slaDueAt",
            "slaState",
            "workflow",
            "workflowVersion",
        ],
    ),
    (&INCIDENT, &["origin", "resolutionCode", "resolutionNotes"]),
    (&TASK, &["openDependencies"]),
    (&CATEGORY, &["id", "key", "name", "retired", "version"]),
    (&SERVICE, &[]),
    (&ACTOR, &["id", "kind", "name", "avatarUrl", "active", "version", "createdAt", "updatedAt"]),
    (&TEAM, &["id", "slug", "name", "description", "version", "createdAt", "updatedAt"]),
];

/// The coordinates.
pub fn alike() -> Alike {
    let coordinates = FIELDS.iter().flat_map(|(ty, fields)| fields.iter().map(move |field| format!("{ty}.{field}")));
    Alike::new(coordinates, COMPARISONS.iter().map(|input| (*input).to_owned()))
}

/// The conditions under which this viewer sees [`SEEN`], and hears of what is said among those who work on a ticket. A rule that
/// looks at the viewer has their id or teams in its condition: then nobody else's is equal, or only that of the same teams.
pub fn sight(platform: &Platform, ctx: &Ctx) -> Option<Sight> {
    let visible = platform.access.visible(ctx);
    let internal = platform.access.rule(ctx, &TICKET, &READ_INTERNAL);
    let mut conditions: Vec<&Predicate> = vec![&internal];
    let always = Predicate::always();
    for (record, _) in SEEN {
        let visibility = visible.get(record.name)?;
        conditions.push(&visibility.row);
        let shown = record.all_fields().filter(|field| is_seen(record, field.name));
        conditions.extend(shown.map(|field| visibility.mask(field.name).unwrap_or(&always)));
    }
    // Conditions are data: what is written can be read back, so different ones are written differently.
    Some(Sha256::digest(serde_json::to_vec(&conditions).ok()?).into())
}

/// Whether [`SEEN`] has the field, of the record itself or of the one that it extends.
fn is_seen(record: &RecordType, field: &str) -> bool {
    let of =
        |wanted: &RecordType| SEEN.iter().any(|(known, fields)| known.name == wanted.name && fields.contains(&field));
    of(record) || record.base.is_some_and(of)
}

#[cfg(test)]
mod tests {
    use apollo_compiler::Schema;
    use apollo_compiler::schema::ExtendedType;

    use super::*;

    #[test]
    fn everything_that_is_named_exists() {
        let schema = Schema::parse_and_validate(crate::schema::sdl(), "schema.graphql").unwrap();
        for (ty, fields) in FIELDS {
            for field in *fields {
                let (name, argument) = field.trim_end_matches(')').split_once('(').unwrap_or((field, ""));
                let found = match &schema.types[*ty] {
                    ExtendedType::Object(object) => object.fields.get(name).map(|field| &field.arguments),
                    ExtendedType::Interface(interface) => interface.fields.get(name).map(|field| &field.arguments),
                    ExtendedType::InputObject(input) => {
                        assert!(input.fields.contains_key(name), "{ty}.{name}");
                        continue;
                    }
                    _ => None,
                };
                let arguments = found.unwrap_or_else(|| panic!("there is no {ty}.{name}"));
                assert!(argument.is_empty() || arguments.iter().any(|known| known.name == argument), "{ty}.{field}");
            }
        }
        for input in COMPARISONS {
            assert!(matches!(schema.types[*input], ExtendedType::InputObject(_)), "{input}");
        }
        for (record, fields) in SEEN {
            for field in *fields {
                assert!(record.field(field).is_some(), "{}.{field}", record.name);
            }
        }
    }

    #[test]
    fn nothing_that_names_the_viewer_is_among_it() {
        for (ty, fields) in FIELDS {
            for field in *fields {
                let of_one =
                    ["viewer", "savedFilter", "email", "timeZone", "manager", "availableTransitions", "Override"];
                let lower = field.to_lowercase();
                assert!(!of_one.iter().any(|word| lower.contains(&word.to_lowercase())), "{ty}.{field}");
            }
        }
    }
}
