//! What an hour of the demo's people costs, and what they wrote down of their work.

use access::{TeamRef, UserRef};
use anyhow::Result;
use chrono::Duration;
use gateway::platform::Platform;
use kernel::id::prefix;
use kernel::money::{Money, PARTS};
use kernel::{Ctx, Id, Page};
use predicate::{Path, Predicate, Test};
use ticket::TicketRef;
use ticket::fields::TICKET;
use ticket::queries::ListRequest;
use ticket::time::{AddTime, CreateRate};

/// What was done, and for how many minutes; not every ticket has an entry.
const WORK: &[Option<(&str, i64)>] = &[
    Some(("Called back and reproduced it.", 25)),
    None,
    Some(("Replaced the cable.", 45)),
    Some(("Read the logs with the vendor.", 90)),
];
/// How many of the newest tickets are looked at.
const TICKETS: u32 = 24;

pub(super) async fn load(platform: &Platform, ctx: &Ctx) -> Result<()> {
    let euro = |amount: i64| Money { amount, currency: "EUR".to_owned() };
    let lead = UserRef::Email("lead@demo.example".to_owned());
    for (key, name, amount, team, user) in [
        ("everybody", "Everybody", 60 * PARTS, None, None),
        ("network", "Network team", 85 * PARTS + PARTS / 2, Some("network"), None),
        ("network-lead", "Lead of the network team", 110 * PARTS, None, Some(lead)),
    ] {
        let command = CreateRate {
            key: key.to_owned(),
            name: name.to_owned(),
            description: None,
            hourly: euro(amount),
            valid_from: Some("2025-01-01".to_owned()),
            team: team.map(|slug| TeamRef::Slug(slug.to_owned())),
            user,
        };
        platform.tickets.create_labour_rate(ctx, command).await?;
    }
    let request = ListRequest {
        record: &TICKET,
        filter: Predicate::Is(Path::field("assignee"), Test::IsNull(false)),
        order: Vec::new(),
        page: Page::first(TICKETS),
        relations: Vec::new(),
    };
    let tickets = platform.tickets.list(ctx, request).await?;
    for (place, ticket) in tickets.rows.iter().enumerate() {
        let (Some((note, minutes)), Some(assignee)) = (WORK[place % WORK.len()], ticket.get("assignee").as_id()) else {
            continue;
        };
        let (began, length) = (ticket.time("createdAt") + Duration::minutes(10), Duration::minutes(minutes));
        if began + length > ctx.now() {
            continue;
        }
        let command = AddTime {
            ticket: TicketRef::Number(ticket.text("number")),
            user: Some(UserRef::Id(Id::new(prefix::USER, assignee))),
            duration: length.num_seconds(),
            started_at: Some(began),
            billable: place % 3 != 0,
            note: Some(note.to_owned()),
        };
        platform.tickets.add_time(ctx, command).await?;
    }
    Ok(())
}
