//! A record type over the tickets' table with every kind of policy, so that masks are tried harder than the product's own
//! fields try them.

use predicate::{Field, Policy, RecordType, Relation, RelationKind, Rule};
use ticket::fields::TICKET;

const INTERNAL: Rule = Rule::Permission("ticket.internal");
const REQUESTER: Rule = Rule::IsViewer("requester");

/// A field of tickets, with another rule for reading it.
const fn read(name: &str, read: Policy) -> Field {
    Field { read, ..of_tickets(name) }
}

const fn of_tickets(name: &str) -> Field {
    let mut index = 0;
    while index < TICKET.fields.len() {
        if same(TICKET.fields[index].name, name) {
            return TICKET.fields[index];
        }
        index += 1;
    }
    panic!("tickets have no such field")
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
    ],
    relations: &[
        reference("category", "category"),
        reference("requester", "actor"),
        reference("openedBy", "actor"),
        reference("team", "team"),
        reference("assignee", "actor"),
    ],
    row: Rule::Any(&[
        Rule::Permission("ticket.read"),
        Rule::IsViewer("assignee"),
        Rule::All(&[Rule::Equals("stateCategory", "NEW"), Rule::Through("team", &Rule::Permission("team.manage"))]),
    ]),
    own: &["requester", "openedBy"],
    team: &["team"],
};

const fn reference(name: &'static str, target: &'static str) -> Relation {
    Relation { name, target, kind: RelationKind::Reference(name) }
}
