//! Record types over the tables of tickets and comments with every kind of policy, so that masks are tried harder than the
//! product's own fields try them.

use predicate::{Field, Policy, RecordType, Relation, RelationKind, Rule};
use ticket::fields::{COMMENT, TICKET};

const INTERNAL: Rule = Rule::Permission("ticket.internal");
const REQUESTER: Rule = Rule::IsViewer("requester");

/// A field of tickets, with another rule for reading it.
const fn read(name: &str, read: Policy) -> Field {
    Field { read, ..of_tickets(name) }
}

const fn of_tickets(name: &str) -> Field {
    field_of(&TICKET, name)
}

const fn field_of(record: &RecordType, name: &str) -> Field {
    let mut index = 0;
    while index < record.fields.len() {
        if same(record.fields[index].name, name) {
            return record.fields[index];
        }
        index += 1;
    }
    panic!("there is no such field")
}

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut index = 0;
    while index < one.len() && index < other.len() && one[index] == other[index] {
        index += 1;
    }
    index == one.len() && index == other.len()
}

/// Tickets with odd rules.
pub static PROBE: RecordType = RecordType {
    name: "probe",
    table: "ticket",
    base: None,
    fields: &[
        of_tickets("id"),
        of_tickets("number"),
        read("title", Policy::When(INTERNAL)),
        read("description", Policy::When(Rule::Equals("stateCategory", "NEW"))),
        of_tickets("state"),
        of_tickets("stateCategory"),
        read("waitingReason", Policy::When(Rule::Any(&[REQUESTER, INTERNAL]))),
        read("waitingUntil", Policy::Never),
        read("impact", Policy::When(Rule::Through("requester", &Rule::IsViewer("id")))),
        read("urgency", Policy::When(Rule::All(&[Rule::Equals("impact", "HIGH"), Rule::Permission("ticket.read")]))),
        read("priority", Policy::When(Rule::Any(&[]))),
        read("category", Policy::When(Rule::Through("category", &Rule::Equals("key", "vpn")))),
        of_tickets("requester"),
        of_tickets("openedBy"),
        of_tickets("team"),
        read("assignee", Policy::When(Rule::Any(&[INTERNAL, Rule::IsViewer("assignee")]))),
        read("tags", Policy::When(Rule::All(&[]))),
        read("reassignmentCount", Policy::When(Rule::Through("team", &Rule::Permission("ticket.internal")))),
        of_tickets("reopenCount"),
        of_tickets("version"),
        read("createdAt", Policy::When(Rule::Through("assignee", &Rule::Permission("user.read")))),
        of_tickets("updatedAt"),
        read("resolvedAt", Policy::When(Rule::Equals("priority", "P1"))),
        of_tickets("closedAt"),
        read("customFields", Policy::When(Rule::Equals("stateCategory", "NEW"))),
        read("internalCustomFields", Policy::When(Rule::Any(&[REQUESTER, Rule::Through("team", &INTERNAL)]))),
    ],
    relations: &[
        reference("category", "category"),
        reference("requester", "actor"),
        reference("openedBy", "actor"),
        reference("team", "team"),
        reference("assignee", "actor"),
        custom_fields("customFields"),
        custom_fields("internalCustomFields"),
    ],
    row: Rule::Any(&[
        Rule::Permission("ticket.read"),
        Rule::IsViewer("assignee"),
        Rule::All(&[Rule::Equals("stateCategory", "NEW"), Rule::Through("team", &Rule::Permission("team.manage"))]),
    ]),
    own: &["requester", "openedBy"],
    team: &["team"],
};

const fn custom_fields(name: &'static str) -> Relation {
    Relation { name, target: "customFieldValue", kind: RelationKind::Keyed { parent: "ticket", key: "key" } }
}

const fn reference(name: &'static str, target: &'static str) -> Relation {
    Relation { name, target, kind: RelationKind::Reference(name) }
}

/// Comments that everybody sees, of tickets that not everybody sees.
pub static NOTE: RecordType = RecordType {
    name: "note",
    table: "comment",
    base: None,
    fields: &[
        of_comments("id"),
        Field { read: Policy::When(Rule::Equals("visibility", "PUBLIC")), ..of_comments("ticket") },
        of_comments("author"),
        of_comments("visibility"),
    ],
    relations: &[
        Relation { name: "ticket", target: "probe", kind: RelationKind::Reference("ticket") },
        reference("author", "actor"),
    ],
    row: Rule::Always,
    own: &["author"],
    team: &[],
};

const fn of_comments(name: &str) -> Field {
    field_of(&COMMENT, name)
}
