//! Changing incidents: fields and who may write them, priority, versions, races, history.

use futures_util::future::join_all;
use incident::{INCIDENT, UpdateIncident};
use kernel::{ErrorCode, Patch};
use serde_json::json;
use store::Engine;
use ticket::priority::{PriorityRule, default_priority};
use ticket::{Impact, Priority, PriorityOverride, TicketRef, Urgency, events};

use crate::setup::*;

fn urgent(priority: Priority) -> Patch<PriorityOverride> {
    Patch::Set(PriorityOverride { priority, reason: "the CEO called".into() })
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_fields_are_one_event_with_before_and_after() {
    in_each_world(|world| async move {
        let row = world.open_for_network("VPN down").await;
        world.advance(chrono::Duration::minutes(1));
        let command = UpdateIncident {
            title: Some("VPN slow".into()),
            description: Patch::Set("since noon".into()),
            requester: Some(user("rob")),
            tags: Some(vec!["vpn".into()]),
            ..update(&row)
        };
        let outcome = world.incidents.update(&world.ctx("ada"), command).await.unwrap();
        let after = outcome.row.unwrap();
        assert_eq!((after.int("version"), after.time("updatedAt")), (2, world.now()));
        assert_eq!(kinds(&outcome.events), [events::UPDATED]);
        let event = &outcome.events[0];
        let mut told: Vec<_> = changes(event).into_iter().map(|(field, ..)| field).collect();
        told.sort_unstable();
        assert_eq!(told, ["description", "requester", "tags", "title"]);
        assert_eq!(change(event, "title"), (json!("VPN down"), json!("VPN slow")));
        assert_eq!(change(event, "description"), (json!(null), json!("since noon")));
        assert_eq!(change(event, "requester.name"), (json!("rita"), json!("rob")));
        assert_eq!(change(event, "tags"), (json!([]), json!(["vpn"])));
        assert_eq!((event.version, event.facts["title"].clone()), (2, json!("VPN slow")));
        let history = world.history(&world.ctx("ada"), &row).await;
        let told: Vec<_> = history.iter().map(|event| (event.text("kind"), event.get("actor").as_id())).collect();
        let ada = Some(world.id("ada"));
        assert_eq!(told, [("IncidentCreated".into(), ada), ("TicketUpdated".into(), ada)]);
        let cleared = UpdateIncident { description: Patch::Clear, ..update(&row) };
        let outcome = world.incidents.update(&world.ctx("ada"), cleared).await.unwrap();
        assert!(outcome.row.unwrap().get("description").is_null());
        assert_eq!(change(&outcome.events[0], "description"), (json!("since noon"), json!(null)));
        assert!(world.tickets.find(&world.ctx("rita"), &INCIDENT, &by_id(&row), &[]).await.unwrap().is_none());
        assert!(world.tickets.find(&world.ctx("rob"), &INCIDENT, &by_id(&row), &[]).await.unwrap().is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_nothing_writes_nothing() {
    in_each_world(|world| async move {
        let row = world.open_for_network("VPN down").await;
        let before = world.dump().await;
        let command = UpdateIncident { tags: Some(vec![]), impact: Some(Impact::Medium), ..retitle(&row, " VPN down") };
        let outcome = world.incidents.update(&world.ctx("ada"), command).await.unwrap();
        assert!(outcome.events.is_empty());
        assert_eq!(outcome.row.unwrap().int("version"), 1);
        assert_eq!(world.dump().await, before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_are_written_by_those_who_may() {
    in_each_world(|world| async move {
        let row = world.open_for_network("VPN down").await;
        let change = |who: &str, command| {
            let ctx = world.ctx(who);
            let incidents = world.incidents.clone();
            async move { incidents.update(&ctx, command).await }
        };
        for who in ["rita", "ivy"] {
            for command in [
                retitle(&row, "mine"),
                UpdateIncident { description: Patch::Set("x".into()), ..update(&row) },
                UpdateIncident { requester: Some(user(who)), tags: Some(vec!["x".into()]), ..update(&row) },
                UpdateIncident { impact: Some(Impact::High), ..update(&row) },
                UpdateIncident { urgency: Some(Urgency::High), ..update(&row) },
            ] {
                assert_eq!(lacks(change(who, command).await), "ticket.update", "{who}");
            }
            let command = UpdateIncident { priority_override: urgent(Priority::P1), ..update(&row) };
            assert_eq!(lacks(change(who, command).await), "ticket.overridePriority");
        }
        let back = UpdateIncident { priority_override: Patch::Clear, ..update(&row) };
        assert_eq!(lacks(change("ada", back).await), "ticket.overridePriority");
        assert_eq!(refused_at(change("rob", retitle(&row, "x")).await), (ErrorCode::NotFound, "id".into()));
        assert_eq!(refused_at(change("dana", retitle(&row, "x")).await), (ErrorCode::NotFound, "id".into()));
        let desktops = world.open("screen dark").await;
        world.assign("amy", &desktops, (Patch::Set(team("desktop")), Patch::Keep)).await.unwrap();
        assert_eq!(
            lacks(change("lee", retitle(&desktops, "x")).await),
            "ticket.update",
            "a lead sees all, and changes their own"
        );
        assert_eq!(world.see(&row).await.int("version"), 1);
        assert!(change("lee", retitle(&row, "x")).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_priority_follows_the_matrix_until_it_is_overridden() {
    in_each_world(|world| async move {
        let row = world.open_for_network("VPN down").await;
        let (lee, ada) = (world.ctx("lee"), world.ctx("ada"));
        for impact in Impact::ALL {
            for urgency in Urgency::ALL {
                let command = UpdateIncident { impact: Some(*impact), urgency: Some(*urgency), ..update(&row) };
                let after = world.incidents.update(&ada, command).await.unwrap().row.unwrap();
                assert_eq!(after.text("priority"), default_priority(*impact, *urgency).as_str());
            }
        }
        world.advance(chrono::Duration::hours(1));
        let command = UpdateIncident { priority_override: urgent(Priority::P1), ..update(&row) };
        let outcome = world.incidents.update(&lee, command).await.unwrap();
        let after = outcome.row.unwrap();
        assert_eq!(after.text("priority"), "P1");
        assert_eq!(after.get("priorityOverrideBy").as_id(), Some(lee.actor.id));
        assert_eq!(after.text("priorityOverrideReason"), "the CEO called");
        assert_eq!(after.time("priorityOverrideAt"), world.now());
        assert_eq!(change(&outcome.events[0], "priority"), (json!("P5"), json!("P1")));
        let lower = UpdateIncident { impact: Some(Impact::Medium), ..update(&row) };
        let after = world.incidents.update(&ada, lower).await.unwrap().row.unwrap();
        assert_eq!(after.text("priority"), "P1", "an override stands");
        let rita = world.tickets.find(&world.ctx("rita"), &INCIDENT, &by_id(&row), &[]).await.unwrap().unwrap();
        assert_eq!(rita.text("priority"), "P1");
        for hidden in ["priorityOverrideBy", "priorityOverrideReason", "priorityOverrideAt", "reassignmentCount"] {
            assert!(rita.get(hidden).is_null(), "{hidden}");
        }
        let back = UpdateIncident { priority_override: Patch::Clear, ..update(&row) };
        let after = world.incidents.update(&lee, back).await.unwrap().row.unwrap();
        assert_eq!(after.text("priority"), "P4");
        for cleared in ["priorityOverrideBy", "priorityOverrideReason", "priorityOverrideAt"] {
            assert!(after.get(cleared).is_null(), "{cleared}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_own_matrix_counts_from_the_next_change_on() {
    in_each_world(|world| async move {
        let row = world.open_for_network("VPN down").await;
        let rule = |priority| PriorityRule { impact: Impact::Medium, urgency: Urgency::Medium, priority };
        let set = |ctx, rules| world.tickets.set_priority_matrix(ctx, rules);
        let (lee, amy) = (world.ctx("lee"), world.ctx("amy"));
        let trial = dry(&amy);
        assert_eq!(lacks(set(&lee, vec![rule(Priority::P1)]).await), "settings.manage");
        let (provisional, events) = set(&trial, vec![rule(Priority::P1)]).await.unwrap();
        assert!(provisional.contains(&rule(Priority::P1)));
        assert_eq!(kinds(&events), ["PriorityMatrixSet"]);
        assert!(
            world.tickets.priority_matrix(&amy).await.unwrap().contains(&rule(Priority::P3)),
            "a dry run leaves it"
        );
        let (matrix, events) = set(&amy, vec![rule(Priority::P1)]).await.unwrap();
        assert_eq!(matrix.len(), 9);
        assert_eq!(
            matrix.iter().filter(|cell| cell.priority != default_priority(cell.impact, cell.urgency)).count(),
            1
        );
        assert_eq!(changes(&events[0]), [("MEDIUM/MEDIUM".into(), json!("P3"), json!("P1"))]);
        assert_eq!(world.see(&row).await.text("priority"), "P3");
        assert_eq!(world.open("another").await.text("priority"), "P1");
        let moved = |impact| UpdateIncident { impact: Some(impact), ..update(&row) };
        world.incidents.update(&world.ctx("ada"), moved(Impact::High)).await.unwrap();
        world.incidents.update(&world.ctx("ada"), moved(Impact::Medium)).await.unwrap();
        assert_eq!(world.see(&row).await.text("priority"), "P1");
        assert!(set(&amy, vec![rule(Priority::P1)]).await.unwrap().1.is_empty(), "no change, no event");
        assert_eq!(refused_at(set(&amy, vec![rule(Priority::P1), rule(Priority::P2)]).await).0, ErrorCode::Validation);
        let (other, _) = tenant(&world.access, "other").await;
        assert!(world.tickets.priority_matrix(&other).await.unwrap().contains(&rule(Priority::P3)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cells_that_are_set_at_once_by_several_are_all_set() {
    in_each_world(|world| async move {
        let beside = Services::over(world.store.beside().await);
        let amy = world.ctx("amy");
        let rule = |priority| vec![PriorityRule { impact: Impact::Low, urgency: Urgency::Low, priority }];
        let calls = [Priority::P1, Priority::P2, Priority::P3].into_iter().flat_map(|priority| {
            [&world.tickets, &beside.tickets].map(|tickets| tickets.set_priority_matrix(&amy, rule(priority)))
        });
        for result in join_all(calls).await {
            result.unwrap();
        }
        assert_eq!(world.all(&ticket::fields::PRIORITY_RULE).await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_own_fields_raise_the_version() {
    in_each_world(|world| async move {
        let row = world.open_for_network("VPN down").await;
        let ada = world.ctx("ada");
        world.comment("rita", &row, "any news?").await;
        let internal = comment(&row, "no", ticket::CommentVisibility::Internal);
        world.tickets.add_comment(&ada, internal).await.unwrap();
        world.tickets.watch(&ada, watch(&row, None)).await.unwrap();
        let seen = world.see(&row).await;
        assert_eq!((seen.int("version"), seen.time("updatedAt")), (1, row.time("updatedAt")));
        world.transition("ada", &row, "start", json!({})).await.unwrap();
        assert_eq!(world.see(&row).await.int("version"), 2);
        world.assign("ada", &row, (Patch::Keep, Patch::Set(user("abe")))).await.unwrap();
        assert_eq!(world.see(&row).await.int("version"), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_expects_another_version_is_told_the_current_one() {
    in_each_world(|world| async move {
        let row = world.open_for_network("VPN down").await;
        let ada = world.ctx("ada");
        world.incidents.update(&ada, UpdateIncident { expected_version: Some(1), ..retitle(&row, "a") }).await.unwrap();
        let before = world.dump().await;
        let stale = UpdateIncident { expected_version: Some(1), ..retitle(&row, "b") };
        assert_eq!(current_version(world.incidents.update(&ada, stale).await), Some(2));
        let mut command = transition(&row, "start", json!({}));
        command.expected_version = Some(1);
        assert_eq!(current_version(world.tickets.transition(&ada, command).await), Some(2));
        let assign = ticket::AssignTicket {
            ticket: by_id(&row),
            team: Patch::Keep,
            assignee: Patch::Set(user("ada")),
            expected_version: Some(7),
        };
        assert_eq!(current_version(world.tickets.assign(&ada, assign).await), Some(2));
        let resolve = world.incidents.resolve(&ada, by_id(&row), "SOLVED".into(), "x".into(), Some(1)).await;
        assert_eq!(current_version(resolve), Some(2));
        assert_eq!(world.dump().await, before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_a_race_tries_again_unless_they_named_a_version() {
    in_each_world(|world| async move {
        let row = world.open_for_network("VPN down").await;
        let beside = Services::over(world.store.beside().await);
        let ada = world.ctx("ada");
        let services = [&world.incidents, &beside.incidents];
        let title = |n: usize| retitle(&row, &format!("title {n}"));
        for result in join_all((0..4).map(|n| services[n % 2].update(&ada, title(n)))).await {
            result.unwrap();
        }
        assert_eq!(world.see(&row).await.int("version"), 5);
        let expecting = |n: usize| UpdateIncident { expected_version: Some(5), ..retitle(&row, &format!("new {n}")) };
        let calls = (0..4).map(|n| services[n % 2].update(&ada, expecting(n)));
        let (done, refused): (Vec<_>, Vec<_>) = join_all(calls).await.into_iter().partition(Result::is_ok);
        assert_eq!(done.len(), 1);
        for result in refused {
            assert_eq!(current_version(result), Some(6));
        }
        let versions: Vec<_> = world.events_of(&row).await.iter().map(|event| event.int("version")).collect();
        assert_eq!(versions, [1, 2, 3, 4, 5, 6]);
    })
    .await;
}

/// The race made to happen: another commit falls between the load and the save. Only where there is more than one writer.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_between_load_and_save_is_not_overwritten() {
    in_each_world(|world| async move {
        if world.store.engine() != Engine::Postgres {
            return;
        }
        let row = world.open_for_network("VPN down").await;
        for expected in [None, Some(4)] {
            let (tickets, incidents) = (world.tickets.clone(), world.incidents.clone());
            let (ada, row_in, mut runs) = (world.ctx("ada"), row.clone(), 0);
            let ctx = ada.clone();
            let result = world.tickets.write(&ada, "test.race", move |tx| {
                runs += 1;
                let (tickets, incidents, ctx, row) = (tickets.clone(), incidents.clone(), ctx.clone(), row_in.clone());
                Box::pin(async move {
                    let mut edit = tickets.edit_in(tx, &by_id(&row), "id").await?;
                    edit.expect_version(expected)?;
                    if runs == 1 {
                        incidents.update(&ctx, retitle(&row, "theirs")).await?;
                        incidents.update(&ctx, retitle(&row, "theirs again")).await?;
                    }
                    edit.set("description", format!("mine, expecting {expected:?}"));
                    edit.save_in(tx, tickets.access(), events::UPDATED, serde_json::Value::Null).await?;
                    Ok(edit.after)
                })
            });
            let result = result.await;
            match expected {
                None => {
                    let row = result.unwrap().row.unwrap();
                    assert_eq!((row.text("title").as_str(), row.int("version")), ("theirs again", 4));
                    assert_eq!(row.text("description"), "mine, expecting None");
                }
                Some(_) => assert_eq!(current_version(result), Some(6)),
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_of_a_change_leaves_nothing() {
    in_each_world(|world| async move {
        let row = world.open_for_network("VPN down").await;
        let before = world.dump().await;
        let outcome = world.incidents.update(&dry(&world.ctx("ada")), retitle(&row, "VPN slow")).await.unwrap();
        let provisional = outcome.row.unwrap();
        assert_eq!((provisional.text("title").as_str(), provisional.int("version")), ("VPN slow", 2));
        assert_eq!(kinds(&outcome.events), [events::UPDATED]);
        assert_eq!(world.dump().await, before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_does_where_an_id_does() {
    in_each_world(|world| async move {
        let row = world.open_for_network("VPN down").await;
        let incident = TicketRef::parse(&row.text("number"), "id").unwrap();
        let command = UpdateIncident { incident, ..retitle(&row, "VPN slow") };
        assert!(world.incidents.update(&world.ctx("ada"), command).await.is_ok());
        let unknown = UpdateIncident { incident: TicketRef::Number("INC-1".into()), ..retitle(&row, "x") };
        assert_eq!(
            refused_at(world.incidents.update(&world.ctx("ada"), unknown).await),
            (ErrorCode::NotFound, "id".into())
        );
        let other_kind = UpdateIncident { incident: TicketRef::Number("CHG-1001".into()), ..retitle(&row, "x") };
        assert_eq!(refused_at(world.incidents.update(&world.ctx("ada"), other_kind).await).0, ErrorCode::NotFound);
    })
    .await;
}
