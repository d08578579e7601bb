//! Each way through the workflow, and each way that is closed.

use incident::INCIDENT;
use kernel::{ErrorCode, Patch};
use predicate::Value;
use serde_json::{Value as Json, json};
use ticket::{CommentVisibility, events};

use crate::setup::*;

/// From each state, where each transition leads; what is not named is refused.
const WAYS: &[(&str, &[(&str, &str)])] = &[
    ("assigned", &[("start", "in_progress"), ("hold", "on_hold"), ("resolve", "resolved"), ("cancel", "canceled")]),
    ("in_progress", &[("hold", "on_hold"), ("resolve", "resolved"), ("cancel", "canceled")]),
    ("on_hold", &[("resume", "in_progress"), ("resolve", "resolved"), ("cancel", "canceled")]),
    ("resolved", &[("reopen", "in_progress"), ("close", "closed")]),
    ("closed", &[]),
    ("canceled", &[]),
];
const NEW: &[(&str, &str)] = &[
    ("assign", "assigned"),
    ("start", "in_progress"),
    ("hold", "on_hold"),
    ("resolve", "resolved"),
    ("cancel", "canceled"),
];
const TRANSITIONS: &[&str] = &["assign", "start", "hold", "resume", "resolve", "reopen", "close", "cancel"];

fn category(state: &str) -> &'static str {
    match state {
        "new" => "NEW",
        "on_hold" => "WAITING",
        "resolved" => "RESOLVED",
        "closed" => "CLOSED",
        "canceled" => "CANCELED",
        _ => "ACTIVE",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_transition_leads_where_it_says_and_no_other_way() {
    in_each_world(|world| async move {
        let (ada, amy) = (world.ctx("ada"), world.ctx("amy"));
        let mut cases = vec![("new", NEW, amy)];
        cases.extend(WAYS.iter().map(|(state, ways)| (*state, *ways, ada.clone())));
        for (state, ways, ctx) in cases {
            let row = match state {
                "new" => world.open("x").await,
                _ => {
                    let row = world.open_for_network("x").await;
                    world.bring_to(&row, state).await;
                    row
                }
            };
            let seen = world.see(&row).await;
            let available = world.tickets.available_transitions(&ctx, &seen).await.unwrap();
            let keys: Vec<_> = available.iter().map(|found| (found.key.as_str(), found.to.as_str())).collect();
            assert_eq!(keys, ways, "from {state}");
            assert!(available.iter().all(|found| found.allowed && found.reasons.is_empty()));
            for key in TRANSITIONS {
                let command = transition(&row, key, inputs_of(key));
                let result = world.tickets.transition(&dry(&ctx), command).await;
                match ways.iter().find(|(open, _)| open == key) {
                    Some((_, to)) => {
                        let outcome = result.unwrap();
                        let row = outcome.row.unwrap();
                        assert_eq!(
                            (row.text("state").as_str(), row.text("stateCategory").as_str()),
                            (*to, category(to))
                        );
                        assert_eq!(change(outcome.events.last().unwrap(), "state"), (json!(state), json!(to)));
                    }
                    None => {
                        let refused = transition_refusal(result);
                        assert_eq!(refused.from, state);
                        assert!(refused.to.is_some());
                        let open: Vec<_> = ways.iter().map(|(key, _)| *key).collect();
                        assert_eq!(refused.available, open);
                        assert_eq!(refused.reasons, [format!("`{key}` does not leave from the state `{state}`")]);
                    }
                }
            }
            assert_eq!(world.see(&row).await, seen, "dry runs leave nothing");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_transition_is_refused() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        let refused = transition_refusal(world.transition("ada", &row, "explode", json!({})).await);
        assert_eq!((refused.from.as_str(), refused.to), ("assigned", None));
        assert_eq!(refused.available, ["start", "hold", "resolve", "cancel"]);
        assert!(refused.reasons[0].contains("no transition `explode`"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_decide_and_the_reason_is_told() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        for (who, open, missing) in [
            ("rita", vec!["cancel"], "ticket.transition"),
            ("ivy", vec![], "ticket.transition"),
            ("ada", vec!["start", "hold", "resolve", "cancel"], ""),
        ] {
            let seen = world.tickets.find(&world.ctx(who), &INCIDENT, &by_id(&row), &[]).await.unwrap().unwrap();
            let available = world.tickets.available_transitions(&world.ctx(who), &seen).await.unwrap();
            let allowed: Vec<_> =
                available.iter().filter(|found| found.allowed).map(|found| found.key.clone()).collect();
            assert_eq!(allowed, open, "{who}");
            if missing.is_empty() {
                continue;
            }
            let reason = format!("this needs the permission `{missing}` on the ticket");
            assert!(available.iter().any(|found| found.key == "start" && found.reasons == [reason.clone()]));
            let refused = transition_refusal(world.transition(who, &row, "start", json!({})).await);
            assert_eq!(
                (refused.reasons, refused.available),
                (vec![reason], open.iter().map(|key| key.to_string()).collect())
            );
        }
        assert_eq!(
            refused_at(world.transition("rob", &row, "cancel", json!({})).await),
            (ErrorCode::NotFound, "id".into())
        );
        world.bring_to(&row, "resolved").await;
        let refused = transition_refusal(world.transition("ivy", &row, "reopen", json!({})).await);
        assert_eq!(refused.reasons, ["this needs the permission `ticket.reopen` on the ticket"]);
        let refused = transition_refusal(world.transition("rita", &row, "close", json!({})).await);
        assert_eq!(refused.available, ["reopen"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_are_checked_by_name_and_value() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        let later = "2026-01-06T09:00:00Z";
        for (key, inputs, path) in [
            ("hold", json!({}), "fields.waitingReason"),
            ("hold", json!({ "waitingReason": null }), "fields.waitingReason"),
            ("hold", json!({ "waitingReason": "WEATHER" }), "fields.waitingReason"),
            ("hold", json!({ "waitingReason": "SCHEDULE" }), "fields.waitingUntil"),
            ("hold", json!({ "waitingReason": "VENDOR", "waitingUntil": later }), "fields.waitingUntil"),
            (
                "hold",
                json!({ "waitingReason": "SCHEDULE", "waitingUntil": "2026-01-05T09:00:00Z" }),
                "fields.waitingUntil",
            ),
            ("hold", json!({ "waitingReason": "SCHEDULE", "waitingUntil": 7 }), "fields.waitingUntil"),
            ("start", json!({ "speed": "fast" }), "fields.speed"),
            ("start", json!({ "waitingReason": "VENDOR" }), "fields.waitingReason"),
            ("resolve", json!({ "resolutionNotes": "x" }), "fields.resolutionCode"),
            ("resolve", json!({ "resolutionCode": "SOLVED" }), "fields.resolutionNotes"),
            ("resolve", json!({ "resolutionCode": "MAGIC", "resolutionNotes": "x" }), "fields.resolutionCode"),
            ("resolve", json!({ "resolutionCode": "SOLVED", "resolutionNotes": " " }), "fields.resolutionNotes"),
            ("resolve", json!({ "resolutionCode": "SOLVED", "resolutionNotes": "x", "team": {} }), "fields.team"),
        ] {
            let refused = refused_at(world.transition("ada", &row, key, inputs.clone()).await);
            assert_eq!(refused, (ErrorCode::Validation, path.into()), "{key} {inputs}");
        }
        let none = refusals(world.transition("ada", &row, "resolve", json!({ "odd": 1 })).await);
        assert_eq!(none.len(), 3, "what is wrong is told together");
        assert_eq!(world.see(&row).await.int("version"), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_has_a_reason_and_nothing_else_has() {
    in_each_world(|world| async move {
        for reason in ticket::WaitingReason::NAMES {
            let row = world.open_for_network("x").await;
            let mut inputs = json!({ "waitingReason": reason });
            if *reason == "SCHEDULE" {
                inputs["waitingUntil"] = json!("2026-01-06T10:00:00+01:00");
            }
            let outcome = world.transition("ada", &row, "hold", inputs).await.unwrap();
            assert_eq!(change(&outcome.events[0], "waitingReason"), (json!(null), json!(reason)));
            let held = outcome.row.unwrap();
            assert_eq!(
                (held.text("stateCategory").as_str(), held.text("waitingReason").as_str()),
                ("WAITING", *reason)
            );
            let until = held.get("waitingUntil").as_time().map(|time| time.to_rfc3339());
            assert_eq!(until.as_deref(), (*reason == "SCHEDULE").then_some("2026-01-06T09:00:00+00:00"));
            let outcome = world.transition("ada", &row, "resume", json!({})).await.unwrap();
            assert_eq!(kinds(&outcome.events), [events::TRANSITIONED]);
            assert_eq!(outcome.events[0].payload, json!({ "transition": "resume" }));
            let resumed = outcome.row.unwrap();
            assert!(resumed.get("waitingReason").is_null() && resumed.get("waitingUntil").is_null());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resolving_keeps_how_and_when_and_reopening_forgets_it() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        world.advance(chrono::Duration::hours(2));
        let ada = world.ctx("ada");
        let resolve =
            |code: &str, notes: &str| world.incidents.resolve(&ada, by_id(&row), code.into(), notes.into(), None);
        assert_eq!(refused_at(resolve("MAGIC", "x").await), (ErrorCode::Validation, "resolutionCode".into()));
        assert_eq!(refused_at(resolve("SOLVED", "").await), (ErrorCode::Validation, "resolutionNotes".into()));
        let outcome = resolve("WORKAROUND", "Use the other one.").await.unwrap();
        assert_eq!(kinds(&outcome.events), [incident::events::RESOLVED]);
        assert_eq!(change(&outcome.events[0], "resolutionNotes"), (json!(null), json!("Use the other one.")));
        let resolved = outcome.row.unwrap();
        assert_eq!(
            (resolved.text("resolutionCode").as_str(), resolved.time("resolvedAt")),
            ("WORKAROUND", world.now())
        );
        assert!(resolved.get("closedAt").is_null());
        let rita = world.ctx("rita");
        let outcome = world.incidents.reopen(&rita, by_id(&row), Some("still broken".into()), None).await.unwrap();
        assert_eq!(kinds(&outcome.events), [incident::events::REOPENED, events::COMMENT_ADDED]);
        assert_eq!(change(&outcome.events[0], "resolutionCode"), (json!("WORKAROUND"), json!(null)));
        let reopened = world.see(&row).await;
        assert_eq!(
            (reopened.text("state").as_str(), reopened.int("reopenCount"), reopened.int("version")),
            ("in_progress", 1, 3)
        );
        for cleared in ["resolvedAt", "resolutionCode", "resolutionNotes"] {
            assert_eq!(reopened.get(cleared), &Value::Null, "{cleared}");
        }
        resolve("SOLVED", "Now.").await.unwrap();
        world.incidents.reopen(&rita, by_id(&row), None, None).await.unwrap();
        assert_eq!(world.see(&row).await.int("reopenCount"), 2);
        resolve("SOLVED", "Really.").await.unwrap();
        let closed = world.transition("ada", &row, "close", json!({})).await.unwrap().row.unwrap();
        assert_eq!((closed.time("closedAt"), closed.text("resolutionCode").as_str()), (world.now(), "SOLVED"));
        let refused = transition_refusal(world.incidents.reopen(&rita, by_id(&row), None, None).await);
        assert_eq!((refused.from.as_str(), refused.available.len()), ("closed", 0));
        assert_eq!(world.see(&row).await.int("reopenCount"), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_comes_along_with_a_transition_or_not_at_all() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        let before = world.dump().await;
        for body in
            [" ".to_owned(), "x".repeat(ticket::MAX_TEXT + 1), "ü".repeat(ticket::MAX_TEXT / 2 + 1), "\0".into()]
        {
            let mut command = transition(&row, "start", json!({}));
            command.comment = Some(body);
            let refused = refused_at(world.tickets.transition(&world.ctx("ada"), command).await);
            assert_eq!(refused, (ErrorCode::Validation, "comment".into()));
        }
        assert_eq!(world.dump().await, before, "the transition was not taken either");
        let mut command = transition(&row, "start", json!({}));
        command.comment = Some("on it".into());
        let outcome = world.tickets.transition(&world.ctx("ada"), command).await.unwrap();
        assert_eq!(kinds(&outcome.events), [events::TRANSITIONED, events::COMMENT_ADDED]);
        let seen = world
            .tickets
            .comments_of(&world.ctx("rita"), &[row.id()], kernel::PageDirection::Forward, 10)
            .await
            .unwrap();
        assert_eq!(seen.iter().map(|row| row.text("body")).collect::<Vec<_>>(), ["on it"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_incident_is_over() {
    in_each_world(|world| async move {
        let row = world.open("x").await;
        let outcome = world.transition("rita", &row, "cancel", json!({})).await.unwrap();
        let canceled = outcome.row.unwrap();
        assert_eq!((canceled.text("stateCategory").as_str(), canceled.time("closedAt")), ("CANCELED", world.now()));
        assert!(canceled.get("resolvedAt").is_null());
        let refused = world.assign("amy", &row, (Patch::Set(team("network")), Patch::Keep)).await;
        assert_eq!(refused_at(refused), (ErrorCode::Validation, "id".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_transition_assign_takes_a_team_and_a_member() {
    in_each_world(|world| async move {
        let take = |row: &store::query::Row, inputs: Json| {
            world.tickets.transition(&world.root, transition(row, "assign", inputs))
        };
        let row = world.open("x").await;
        for (inputs, path) in [
            (json!({}), "fields.team"),
            (json!({ "team": null }), "fields.team"),
            (json!({ "team": { "slug": "nowhere" } }), "fields.team.slug"),
            (json!({ "team": "network" }), "fields.team"),
            (json!({ "team": { "slug": "network" }, "assignee": { "email": "dana@acme.example" } }), "fields.assignee"),
        ] {
            assert_eq!(refusal(take(&row, inputs).await).path.join("."), path);
        }
        let outcome = take(&row, json!({ "team": { "slug": "network" }, "assignee": null })).await.unwrap();
        assert_eq!(kinds(&outcome.events), [events::ASSIGNED]);
        assert_eq!(outcome.row.unwrap().text("state"), "assigned");
        let row = world.open("x").await;
        let both = json!({ "team": { "slug": "network" }, "assignee": { "email": "ada@acme.example" } });
        let outcome = take(&row, both).await.unwrap();
        assert_eq!(outcome.row.unwrap().get("assignee").as_id(), Some(world.id("ada")));
        assert_eq!(change(&outcome.events[0], "assignee.name"), (json!(null), json!("ada")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_input_schema_tells_what_a_portal_must_ask() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        let available = world.tickets.available_transitions(&world.ctx("ada"), &row).await.unwrap();
        let schema = |key: &str| available.iter().find(|found| found.key == key).unwrap().input_schema.clone();
        assert_eq!(schema("start")["properties"], json!({}));
        assert_eq!(schema("hold")["required"], json!(["waitingReason"]));
        assert_eq!(schema("hold")["properties"]["waitingReason"]["enum"], json!(ticket::WaitingReason::NAMES));
        assert_eq!(schema("resolve")["required"], json!(["resolutionCode", "resolutionNotes"]));
        assert!(
            schema("resolve")["properties"]["resolutionCode"]["enum"].as_array().unwrap().contains(&json!("SOLVED"))
        );
        assert_eq!(schema("resolve")["additionalProperties"], json!(false));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_for_the_requester_ends_with_their_public_comment_alone() {
    in_each_world(|world| async move {
        let hold = json!({ "waitingReason": "REQUESTER" });
        let row = world.open_for_network("x").await;
        world.transition("ada", &row, "hold", hold.clone()).await.unwrap();
        world.comment("abe", &row, "ping").await;
        assert_eq!(world.see(&row).await.text("state"), "on_hold", "somebody else's comment");
        let before = world.see(&row).await;
        let outcome = world
            .tickets
            .add_comment(&dry(&world.ctx("rita")), comment(&row, "here", CommentVisibility::Public))
            .await
            .unwrap();
        assert_eq!(outcome.ticket.unwrap().text("state"), "in_progress");
        assert_eq!(world.see(&row).await, before, "a dry run");
        let outcome = world
            .tickets
            .add_comment(&world.ctx("rita"), comment(&row, "here", CommentVisibility::Public))
            .await
            .unwrap();
        assert_eq!(kinds(&outcome.events), [events::COMMENT_ADDED, events::TRANSITIONED]);
        assert_eq!(change(&outcome.events[1], "waitingReason"), (json!("REQUESTER"), json!(null)));
        assert_eq!(outcome.events[1].actor.id, world.id("rita"));
        let resumed = world.see(&row).await;
        assert_eq!((resumed.text("state").as_str(), resumed.int("version")), ("in_progress", 3));
        world.transition("ada", &row, "hold", json!({ "waitingReason": "VENDOR" })).await.unwrap();
        world.comment("rita", &row, "hello?").await;
        assert_eq!(world.see(&row).await.text("state"), "on_hold", "another reason");

        let own = world
            .create(&world.ctx("ada"), incident::CreateIncident { team: Some(team("network")), ..new("mine") })
            .await;
        world.transition("abe", &own, "hold", hold).await.unwrap();
        let internal = comment(&own, "note to self", CommentVisibility::Internal);
        world.tickets.add_comment(&world.ctx("ada"), internal).await.unwrap();
        assert_eq!(world.see(&own).await.text("state"), "on_hold", "an internal comment of the requester");
        world.comment("ada", &own, "there").await;
        assert_eq!(world.see(&own).await.text("state"), "in_progress");
    })
    .await;
}
