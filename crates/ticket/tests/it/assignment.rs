//! Who works on a ticket: membership, reassignment, routing, and where one may route to.

use std::sync::Arc;

use access::UserUpdate;
use incident::CreateIncident;
use kernel::{Ctx, Detail, ErrorCode, Grant, Grants, Patch, Scope};
use serde_json::json;
use ticket::events;

use crate::setup::*;

#[tokio::test(flavor = "multi_thread")]
async fn assigning_a_new_ticket_takes_its_transition() {
    in_each_world(|world| async move {
        let row = world.open("x").await;
        let outcome = world.assign("lee", &row, (Patch::Set(team("network")), Patch::Set(user("ada")))).await.unwrap();
        assert_eq!(kinds(&outcome.events), [events::ASSIGNED]);
        let event = &outcome.events[0];
        assert_eq!(change(event, "state"), (json!("new"), json!("assigned")));
        assert_eq!(change(event, "stateCategory"), (json!("NEW"), json!("ACTIVE")));
        assert_eq!(change(event, "team.slug"), (json!(null), json!("network")));
        assert_eq!(change(event, "assignee"), (json!(null), json!(world.id("ada").to_string())));
        let row = outcome.row.unwrap();
        assert_eq!((row.int("version"), row.int("reassignmentCount")), (2, 0), "nobody gave way to another");
        world.transition("ada", &row, "start", json!({})).await.unwrap();
        world.assign("lee", &row, (Patch::Keep, Patch::Set(user("abe")))).await.unwrap();
        assert_eq!(world.see(&row).await.text("state"), "in_progress", "only a new ticket takes it");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assignee_is_an_active_member_of_the_team() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        let refused = |result| {
            let error = refusal::<ticket::Outcome>(result);
            assert_eq!(error.path, ["assignee"]);
            assert_eq!(error.detail, Detail::Validation { constraint: "teamMember".into(), limit: None });
        };
        refused(world.assign("ada", &row, (Patch::Keep, Patch::Set(user("dana")))).await);
        refused(world.assign("ada", &row, (Patch::Set(team("desktop")), Patch::Set(user("ada")))).await);
        refused(world.assign("ada", &row, (Patch::Clear, Patch::Set(user("ada")))).await);
        let mut retire = UserUpdate::of(user("abe"));
        retire.active = Patch::Set(false);
        world.access.user_update(&world.root, retire).await.unwrap();
        refused(world.assign("ada", &row, (Patch::Keep, Patch::Set(user("abe")))).await);
        let nobody = world.assign("ada", &row, (Patch::Keep, Patch::Set(user("zoe")))).await;
        assert_eq!(refused_at(nobody), (ErrorCode::NotFound, "assignee.email".into()));
        let nowhere = world.assign("ada", &row, (Patch::Set(team("nowhere")), Patch::Keep)).await;
        assert_eq!(refused_at(nowhere), (ErrorCode::NotFound, "team.slug".into()));
        assert_eq!(world.see(&row).await.int("version"), 1);
        assert!(world.assign("ada", &row, (Patch::Keep, Patch::Set(user("ada")))).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gives_way_is_counted_once() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        for (to, count, assignee) in [
            ((Patch::Keep, Patch::Set(user("ada"))), 0, Some("ada")),
            ((Patch::Keep, Patch::Set(user("abe"))), 1, Some("abe")),
            ((Patch::Keep, Patch::Set(user("abe"))), 1, Some("abe")),
            ((Patch::Keep, Patch::Clear), 1, None),
            ((Patch::Keep, Patch::Set(user("ada"))), 1, Some("ada")),
            ((Patch::Set(team("desktop")), Patch::Set(user("dana"))), 2, Some("dana")),
            ((Patch::Clear, Patch::Keep), 2, None),
            ((Patch::Set(team("network")), Patch::Keep), 2, None),
        ] {
            world.assign("amy", &row, to.clone()).await.unwrap();
            let seen = world.see(&row).await;
            assert_eq!(seen.int("reassignmentCount"), count, "{to:?}");
            assert_eq!(seen.get("assignee").as_id(), assignee.map(|name| world.id(name)), "{to:?}");
        }
        let outcome = world.assign("amy", &row, (Patch::Keep, Patch::Clear)).await.unwrap();
        assert!(outcome.events.is_empty(), "nothing changed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_team_leaves_who_is_no_member_behind() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        world.assign("ada", &row, (Patch::Keep, Patch::Set(user("ada")))).await.unwrap();
        let outcome = world.assign("lee", &row, (Patch::Set(team("desktop")), Patch::Keep)).await.unwrap();
        assert_eq!(change(&outcome.events[0], "assignee"), (json!(world.id("ada").to_string()), json!(null)));
        let row = outcome.row.unwrap();
        assert!(row.get("assignee").is_null());
        assert_eq!(row.int("reassignmentCount"), 1);
        let command = access::Membership { team: team("network"), user: user("dana") };
        world.access.team_member_add(&world.root, command).await.unwrap();
        world.assign("amy", &row, (Patch::Keep, Patch::Set(user("dana")))).await.unwrap();
        world.assign("amy", &row, (Patch::Set(team("network")), Patch::Keep)).await.unwrap();
        assert_eq!(world.see(&row).await.get("assignee").as_id(), Some(world.id("dana")), "a member of both stays");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_hands_on_their_teams_tickets_and_loses_sight() {
    in_each_world(|world| async move {
        let row = world.create(&world.ctx("rita"), new("x")).await;
        world.assign("lee", &row, (Patch::Set(team("network")), Patch::Keep)).await.unwrap();
        let outcome = world.assign("ada", &row, (Patch::Set(team("desktop")), Patch::Keep)).await.unwrap();
        assert!(outcome.row.is_none(), "what is handed on is out of sight");
        assert_eq!(kinds(&outcome.events), [events::ASSIGNED]);
        let again = world.assign("ada", &row, (Patch::Set(team("network")), Patch::Keep)).await;
        assert_eq!(refused_at(again), (ErrorCode::NotFound, "id".into()));
        assert!(world.assign("dana", &row, (Patch::Keep, Patch::Set(user("dana")))).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_are_asked_on_the_ticket() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        let mine =
            world.create(&world.ctx("dana"), CreateIncident { team: Some(team("network")), ..new("mine") }).await;
        for (who, ticket) in [("rita", &row), ("ivy", &row), ("dana", &mine)] {
            let refused = world.assign(who, ticket, (Patch::Set(team("desktop")), Patch::Keep)).await;
            assert_eq!(lacks(refused), "ticket.assign", "{who}");
        }
        let hidden = world.assign("dana", &row, (Patch::Set(team("desktop")), Patch::Keep)).await;
        assert_eq!(refused_at(hidden), (ErrorCode::NotFound, "id".into()));
        let stranger = world.assign("rob", &row, (Patch::Keep, Patch::Clear)).await;
        assert_eq!(refused_at(stranger), (ErrorCode::NotFound, "id".into()));
    })
    .await;
}

/// Whoever may open tickets for one team alone cannot route one to another, by whichever way.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_brings_a_ticket_where_they_could_not_have_opened_it() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        let network = row.get("team").as_id();
        let grant = |permission: &str, scope, team| Grant { permission: permission.into(), scope, team };
        let tenant = ["ticket.read", "ticket.internal", "ticket.assign", "ticket.update", "ticket.createOnBehalf"];
        let mut grants: Vec<_> = tenant.iter().map(|name| grant(name, Scope::Tenant, None)).collect();
        grants.push(grant("ticket.create", Scope::Team, network));
        let router = Ctx { grants: Arc::new(Grants { grants, teams: vec![] }), ..world.ctx("ada") };
        let assign =
            |to| ticket::AssignTicket { ticket: by_id(&row), team: to, assignee: Patch::Keep, expected_version: None };
        for to in [Patch::Set(team("desktop")), Patch::Clear] {
            assert_eq!(lacks(world.tickets.assign(&router, assign(to)).await), "ticket.create");
        }
        let new_there = CreateIncident { team: Some(team("desktop")), ..new("x") };
        assert_eq!(lacks(world.incidents.create(&router, new_there).await), "ticket.create");
        let desktops = world.open("y").await;
        world.assign("amy", &desktops, (Patch::Set(team("desktop")), Patch::Keep)).await.unwrap();
        assert_eq!(lacks(world.incidents.update(&router, retitle(&desktops, "z")).await), "ticket.create");
        let to = ticket::AssignTicket { ticket: by_id(&desktops), ..assign(Patch::Set(team("network"))) };
        assert!(world.tickets.assign(&router, to).await.is_ok());
        assert!(world.incidents.update(&router, retitle(&row, "z")).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_of_an_assignment_leaves_nothing() {
    in_each_world(|world| async move {
        let row = world.open("x").await;
        let before = world.dump().await;
        let command = ticket::AssignTicket {
            ticket: by_id(&row),
            team: Patch::Set(team("network")),
            assignee: Patch::Set(user("ada")),
            expected_version: Some(1),
        };
        let outcome = world.tickets.assign(&dry(&world.ctx("lee")), command).await.unwrap();
        assert_eq!(outcome.row.unwrap().relation("assignee").unwrap().text("name"), "ada");
        assert_eq!(world.dump().await, before);
    })
    .await;
}
