//! What recurs in the demo company.

use access::TeamRef;
use anyhow::Result;
use calendar::Given;
use gateway::platform::Platform;
use kernel::Ctx;
use ticket::recurring::CreateRecurring;
use ticket::template::{CreateTemplate, TaskLine, TemplateRef, ValuesDraft};
use ticket::{Impact, TicketKind, Urgency};

const BACKUP_CHECK: &str = "backup-check";

/// The network team looks at the backup each Monday.
pub(super) async fn load(platform: &Platform, ctx: &Ctx) -> Result<()> {
    let task = |title: &str| TaskLine { title: title.to_owned(), description: None, team: None };
    let template = CreateTemplate {
        key: BACKUP_CHECK.to_owned(),
        name: "Check the backup".to_owned(),
        description: Some("Whether last week's backups are there, and can be read.".to_owned()),
        kind: TicketKind::Incident,
        values: ValuesDraft {
            title: Some("Check the backup of the mail server".to_owned()),
            description: Some("Restore a mailbox into the test system.".to_owned()),
            impact: Some(Impact::Low),
            urgency: Some(Urgency::Low),
            category: Some("software".to_owned()),
            team: Some(TeamRef::Slug("network".to_owned())),
            tags: vec!["backup".to_owned()],
            ..ValuesDraft::default()
        },
        tasks: vec![task("Restore a mailbox"), task("Write down how long it took")],
    };
    platform.tickets.create_ticket_template(ctx, template).await?;
    let lead = access::UserRef::Email("lead@demo.example".to_owned());
    let recurring = CreateRecurring {
        name: "Backup, weekly".to_owned(),
        template: TemplateRef::Key(BACKUP_CHECK.to_owned()),
        when: Given {
            rule: "FREQ=WEEKLY;BYDAY=MO".to_owned(),
            starts_at: "2025-01-06T08:00".to_owned(),
            time_zone: "Europe/Vienna".to_owned(),
        },
        requester: Some(lead),
        is_paused: false,
    };
    platform.tickets.create_recurring_ticket(ctx, recurring).await?;
    Ok(())
}
