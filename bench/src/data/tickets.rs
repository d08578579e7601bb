//! What one ticket and one comment of the data set say, decided by seed and index.

use chrono::{DateTime, Duration, Utc};
use incident::{INCIDENT, IncidentOrigin};
use kernel::Timestamp;
use predicate::Value;
use store::query::Row;
use ticket::fields::COMMENT;
use ticket::priority::default_priority;
use ticket::{Impact, TicketKind, Urgency};

use super::company::Company;
use super::{AGENTS, SEED, Scale, TEAMS, Teams, USERS, number, uuid_v7};
use crate::random::{Random, Zipf};

/// Of a hundred tickets so many belong to the recent past, where most are open.
const RECENT_PERCENT: u64 = 8;
/// Marks the ids of comments; above every ticket's index.
const COMMENT_IDS: u64 = 1 << 40;

const TITLES: [&str; 10] = [
    "VPN drops every few minutes",
    "Printer on the third floor jams",
    "Laptop does not wake up after the update",
    "Wi-Fi is slow in the meeting rooms",
    "Cannot open the expense report",
    "E-mail arrives hours late",
    "Second screen stays black",
    "Shared drive asks for a password again",
    "Phone system announces the wrong opening hours",
    "Access to the reporting database is refused",
];
const SENTENCES: [&str; 8] = [
    "It began this morning and keeps coming back.",
    "Restarting helps for some minutes, then it is there again.",
    "A colleague next door has the same.",
    "We need it for the closing of the month.",
    "The message says: connection refused by the other side.",
    "I have attached nothing, since nothing can be uploaded.",
    "Please call before you come, the door is locked.",
    "It worked last week, before the change of the network.",
];
const TAGS: [&str; 8] = ["vpn", "printer", "laptop", "wifi", "mail", "vip", "branch-office", "recurring"];

/// Draws tickets.
pub struct Drawer<'a> {
    scale: Scale,
    company: &'a Company,
    teams: Teams,
    requesters: Zipf,
}

impl<'a> Drawer<'a> {
    /// For the tickets of this company.
    pub fn new(scale: Scale, company: &'a Company) -> Self {
        Self { scale, company, teams: Teams::new(), requesters: Zipf::new(USERS) }
    }

    /// The team of a ticket.
    pub fn team(&self, index: u64) -> usize {
        self.teams.of(index)
    }

    /// When a ticket was opened.
    pub fn opened(&self, index: u64) -> Timestamp {
        time(self.scale.opened_ms(index))
    }

    /// A ticket with the records that it points at, as the product would have loaded it.
    pub fn ticket(&self, index: u64) -> Row {
        let mut random = Random::new(SEED ^ (index << 20));
        let company = self.company;
        let opened = self.opened(index);
        let team = self.team(index);
        let state = self.state(index, &mut random);
        let impact = *random.pick(Impact::ALL);
        let urgency = *random.pick(Urgency::ALL);
        let requester = &company.people[self.requesters.draw(&mut random)];
        // Each team has the agents whose number it shares.
        let agent = &company.people[team + TEAMS * random.below((AGENTS / TEAMS) as u64) as usize];
        let opener = if random.percent(30) { agent } else { requester };
        let category = random.pick(&company.categories);
        let resolved =
            matches!(state, "resolved" | "closed").then(|| opened + Duration::minutes(random.below(4_000) as i64));
        let closed = match state {
            "closed" => resolved.map(|at| at + Duration::days(5)),
            "canceled" => Some(opened + Duration::hours(3)),
            _ => None,
        };
        let assigned = state != "new" && state != "canceled";
        let reassignments = if assigned { random.below(3) } else { 0 };
        let version = 1 + reassignments as i64 + i64::from(assigned) + i64::from(closed.is_some());
        let title = format!("{} ({})", random.pick(&TITLES), random.below(10_000));
        let text = text(&mut random, 6);
        let tags = (0..random.below(4)).map(|_| (*random.pick(&TAGS)).to_owned()).collect();
        let mut row = Row::new(&INCIDENT, Vec::new());
        for (field, value) in [
            ("id", Value::from(self.scale.ticket_uuid(index))),
            ("kind", TicketKind::Incident.as_str().into()),
            ("number", number(index).into()),
            ("title", title.into()),
            ("description", text.into()),
            ("state", state.into()),
            ("stateCategory", category_of(state).into()),
            ("waitingReason", if state == "on_hold" { "REQUESTER".into() } else { Value::Null }),
            ("impact", impact.as_str().into()),
            ("urgency", urgency.as_str().into()),
            ("priority", default_priority(impact, urgency).as_str().into()),
            ("tags", Value::TextList(tags)),
            ("reassignmentCount", Value::Int(reassignments as i64)),
            ("functionalEscalationLevel", Value::Int(0)),
            ("hierarchicalEscalationLevel", Value::Int(0)),
            ("timeSpent", Value::Int(0)),
            ("entriesWithoutRate", Value::Int(0)),
            ("reopenCount", Value::Int(i64::from(random.percent(5)))),
            ("version", Value::Int(version)),
            ("createdAt", opened.into()),
            ("updatedAt", closed.or(resolved).unwrap_or(opened).into()),
            ("resolvedAt", resolved.into()),
            ("closedAt", closed.into()),
            ("origin", random.pick(IncidentOrigin::NAMES).to_owned().into()),
            ("resolutionCode", if resolved.is_some() { "SOLVED".into() } else { Value::Null }),
            ("resolutionNotes", if resolved.is_some() { "Updated and restarted.".into() } else { Value::Null }),
        ] {
            row.set(field, value);
        }
        for (field, target) in [
            ("requester", Some(requester)),
            ("openedBy", Some(opener)),
            ("category", Some(category)),
            ("team", Some(&company.teams[team])),
            ("assignee", assigned.then_some(agent)),
        ] {
            row.set(field, target.map(Row::id).into());
            row.set_relation(field, target.cloned());
        }
        row
    }

    fn state(&self, index: u64, random: &mut Random) -> &'static str {
        let recent = index * 100 >= self.scale.tickets * (100 - RECENT_PERCENT);
        let weights: [(u64, &str); 6] = if recent {
            [(15, "new"), (15, "assigned"), (20, "in_progress"), (10, "on_hold"), (25, "resolved"), (15, "closed")]
        } else {
            [(0, "new"), (0, "assigned"), (1, "in_progress"), (0, "on_hold"), (92, "closed"), (7, "canceled")]
        };
        let mut point = random.below(100);
        for (weight, state) in weights {
            match point.checked_sub(weight) {
                Some(rest) => point = rest,
                None => return state,
            }
        }
        "closed"
    }

    /// A comment.
    pub fn comment(&self, serial: u64, ticket: u64, at: u64) -> Row {
        let mut random = Random::new(!SEED ^ (serial << 20));
        let agent = self.team(ticket) + TEAMS * random.below((AGENTS / TEAMS) as u64) as usize;
        let author = if random.percent(60) { agent } else { self.requesters.draw(&mut random) };
        let internal = author < AGENTS && random.percent(40);
        let fields = vec![
            ("id", uuid_v7(at, COMMENT_IDS + serial).into()),
            ("ticket", self.scale.ticket_uuid(ticket).into()),
            ("author", self.company.people[author].id().into()),
            ("visibility", if internal { "INTERNAL".into() } else { "PUBLIC".into() }),
            ("body", text(&mut random, 4).into()),
            ("version", 1.into()),
            ("createdAt", time(at).into()),
        ];
        Row::new(&COMMENT, fields)
    }

    /// When each comment of a ticket was made, in milliseconds: within ten days, most in the beginning.
    pub fn comment_times(&self, ticket: u64, count: u32) -> impl Iterator<Item = u64> {
        const SPAN: u64 = 10 * 24 * 60 * 60 * 1_000;
        let mut random = Random::new(SEED ^ (ticket << 24) ^ 1);
        let opened = self.scale.opened_ms(ticket);
        (0..count).map(move |_| {
            let part = random.below(1_000) * random.below(1_000);
            opened + 1 + SPAN / 1_000_000 * part
        })
    }
}

/// Whether a ticket in this state is open.
pub fn is_open(row: &Row) -> bool {
    ["NEW", "ACTIVE", "WAITING"].contains(&row.text("stateCategory").as_str())
}

fn category_of(state: &str) -> &'static str {
    match state {
        "new" => "NEW",
        "assigned" | "in_progress" => "ACTIVE",
        "on_hold" => "WAITING",
        "resolved" => "RESOLVED",
        "closed" => "CLOSED",
        _ => "CANCELED",
    }
}

fn text(random: &mut Random, sentences: u64) -> String {
    let count = 1 + random.below(sentences);
    (0..count).map(|_| *random.pick(&SENTENCES)).collect::<Vec<_>>().join(" ")
}

fn time(milliseconds: u64) -> Timestamp {
    DateTime::<Utc>::UNIX_EPOCH + Duration::milliseconds(milliseconds as i64)
}
