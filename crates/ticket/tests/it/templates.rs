//! Templates and recurring tickets: how many there may be.

use calendar::Given;
use kernel::ErrorCode;
use ticket::TicketKind;
use ticket::recurring::{CreateRecurring, DeleteRecurring, MAX_RECURRING};
use ticket::template::{CreateTemplate, DeleteTemplate, MAX_TEMPLATES, TemplateRef, ValuesDraft};

use crate::setup::*;

fn template(number: usize) -> CreateTemplate {
    CreateTemplate {
        key: format!("t{number}"),
        name: "T".into(),
        description: None,
        kind: TicketKind::Incident,
        values: ValuesDraft { title: Some("T".into()), ..ValuesDraft::default() },
        tasks: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_a_limited_number_of_templates() {
    in_each_world(|world| async move {
        let amy = world.ctx("amy");
        for number in 0..MAX_TEMPLATES {
            world.tickets.create_ticket_template(&amy, template(number)).await.unwrap();
        }
        let one_more = world.tickets.create_ticket_template(&amy, template(MAX_TEMPLATES)).await;
        assert_eq!(one_more.unwrap_err().code(), ErrorCode::Limit);
        let delete = DeleteTemplate { template: TemplateRef::Key("t0".into()), expected_version: None };
        world.tickets.delete_ticket_template(&amy, delete).await.unwrap();
        world.tickets.create_ticket_template(&amy, template(MAX_TEMPLATES)).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_a_limited_number_of_recurring_tickets() {
    in_each_world(|world| async move {
        let amy = world.ctx("amy");
        world.tickets.create_ticket_template(&amy, template(0)).await.unwrap();
        let recurring = || CreateRecurring {
            name: "R".into(),
            template: TemplateRef::Key("t0".into()),
            when: Given { rule: "FREQ=DAILY".into(), starts_at: "2030-01-01T08:00".into(), time_zone: "UTC".into() },
            requester: None,
            is_paused: false,
        };
        let mut made = Vec::new();
        for _ in 0..MAX_RECURRING {
            made.push(world.tickets.create_recurring_ticket(&amy, recurring()).await.unwrap().record);
        }
        let one_more = world.tickets.create_recurring_ticket(&amy, recurring()).await;
        assert_eq!(one_more.unwrap_err().code(), ErrorCode::Limit);
        let id = kernel::Id::new(kernel::id::prefix::RECURRING_TICKET, made[0].id());
        let delete = DeleteRecurring { id, expected_version: None };
        world.tickets.delete_recurring_ticket(&amy, delete).await.unwrap();
        world.tickets.create_recurring_ticket(&amy, recurring()).await.unwrap();
    })
    .await;
}
