//! A second report of one of the demo's incidents, which was merged into it.

use access::UserRef;
use anyhow::{Result, anyhow};
use gateway::platform::Platform;
use incident::{CreateIncident, IncidentOrigin};
use kernel::{Ctx, Page};
use predicate::{Path, Predicate};
use ticket::fields::TICKET;
use ticket::merge::MergeTickets;
use ticket::queries::ListRequest;
use ticket::{AddComment, AffectedItems, CommentVisibility, Impact, StateCategory, TicketRef, Urgency};

pub(super) async fn load(platform: &Platform, ctx: &Ctx) -> Result<()> {
    let vpn = Predicate::Is(
        Path::through("category", "key"),
        predicate::Test::Eq(predicate::Operand::Value("vpn".into())),
    );
    let request = ListRequest {
        record: &TICKET,
        filter: vpn
            .and(Predicate::eq("kind", "INCIDENT"))
            .and(Predicate::eq("stateCategory", StateCategory::Active.as_str())),
        order: Vec::new(),
        page: Page::first(1),
        relations: Vec::new(),
    };
    let Some(into) = platform.tickets.list(ctx, request).await?.rows.pop() else { return Ok(()) };
    let command = CreateIncident {
        title: "VPN is gone here as well".to_owned(),
        description: Some("The same as Mia's, I think.".to_owned()),
        requester: Some(UserRef::Email("sam@demo.example".to_owned())),
        impact: Impact::Low,
        urgency: Urgency::Medium,
        priority_override: None,
        category: Some("vpn".to_owned()),
        service: None,
        items: AffectedItems::default(),
        team: Some(access::TeamRef::Slug("network".to_owned())),
        assignee: None,
        tags: Vec::new(),
        custom_fields: Vec::new(),
        external_refs: Vec::new(),
        origin: IncidentOrigin::Phone,
        deduplication_key: None,
    };
    let opened = platform.incidents.create(ctx, command).await?.row;
    let number = opened.map(|row| row.text("number")).ok_or_else(|| anyhow!("the demo's duplicate is hidden"))?;
    let duplicate = || TicketRef::Number(number.clone());
    let body = "It drops when the laptop wakes up, on cable too.".to_owned();
    let said = AddComment { ticket: duplicate(), body, visibility: CommentVisibility::Internal, files: None };
    platform.tickets.add_comment(ctx, said).await?;
    let command = MergeTickets {
        duplicate: duplicate(),
        into: TicketRef::Number(into.text("number")),
        comment: Some("Others have the same trouble: we go on in one ticket for all of you.".to_owned()),
        expected_version: None,
    };
    platform.tickets.merge(ctx, command).await?;
    Ok(())
}
