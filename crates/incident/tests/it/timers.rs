//! What happens by itself, through durable jobs: waking up, closing.

use chrono::Duration;
use kernel::ActorKind;
use serde_json::json;
use ticket::CommentVisibility;
use ticket::timer::{AUTO_CLOSE, WAKE};

use crate::setup::*;

const FIVE_DAYS: Duration = Duration::days(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_ticket_wakes_up_at_its_time() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        let until = json!({ "waitingReason": "SCHEDULE", "waitingUntil": "2026-01-06T09:00:00Z" });
        world.transition("ada", &row, "hold", until).await.unwrap();
        world.advance(Duration::hours(23));
        assert!(world.run_due_jobs().await.is_empty());
        assert_eq!(world.see(&row).await.text("state"), "on_hold");
        world.advance(Duration::hours(1));
        assert_eq!(world.run_due_jobs().await, [WAKE]);
        let woken = world.see(&row).await;
        assert_eq!((woken.text("state").as_str(), woken.int("version")), ("in_progress", 3));
        assert!(woken.get("waitingUntil").is_null());
        let event = world.events_of(&row).await.pop().unwrap();
        assert_eq!(
            (event.text("kind").as_str(), event.text("actorKind").as_str()),
            ("TicketTransitioned", ActorKind::System.as_str())
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_was_put_off_again_sleeps_on() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        let until =
            |day: u8| json!({ "waitingReason": "SCHEDULE", "waitingUntil": format!("2026-01-{day:02}T09:00:00Z") });
        world.transition("ada", &row, "hold", until(6)).await.unwrap();
        world.transition("ada", &row, "resume", json!({})).await.unwrap();
        world.transition("ada", &row, "hold", until(8)).await.unwrap();
        world.advance(Duration::days(1));
        assert!(world.run_due_jobs().await.is_empty(), "the later job replaced the earlier one");
        // A job of the past that survived, as after a restore.
        let reference = by_id(&row);
        let system = world.access.system_ctx(world.root.tenant, "test");
        world.tickets.wake(&system, reference.clone()).await.unwrap();
        assert_eq!(world.see(&row).await.text("state"), "on_hold");
        world.transition("ada", &row, "resume", json!({})).await.unwrap();
        world.transition("ada", &row, "hold", json!({ "waitingReason": "VENDOR" })).await.unwrap();
        world.advance(Duration::days(2));
        assert_eq!(world.run_due_jobs().await, [WAKE]);
        assert_eq!(world.see(&row).await.text("state"), "on_hold", "it no longer waits for a time");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolved_incident_closes_after_five_days() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        world.bring_to(&row, "resolved").await;
        world.comment("ada", &row, "tell us if not").await;
        world.advance(FIVE_DAYS - Duration::minutes(1));
        assert!(world.run_due_jobs().await.is_empty());
        let system = world.access.system_ctx(world.root.tenant, "test");
        world.tickets.auto_close(&system, by_id(&row)).await.unwrap();
        assert_eq!(world.see(&row).await.text("state"), "resolved", "not before its time, whoever asks");
        world.advance(Duration::minutes(1));
        assert_eq!(world.run_due_jobs().await, [AUTO_CLOSE]);
        let closed = world.see(&row).await;
        assert_eq!((closed.text("state").as_str(), closed.text("resolutionCode").as_str()), ("closed", "SOLVED"));
        assert_eq!(closed.time("closedAt"), world.now());
        let version = closed.int("version");
        world.tickets.auto_close(&system, by_id(&row)).await.unwrap();
        assert_eq!(world.see(&row).await.int("version"), version, "a job that runs twice does nothing twice");
        let gone = some_ticket(kernel::Uuid::from_u128(7));
        world.tickets.auto_close(&system, gone).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_requesters_comment_keeps_it_open() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        world.comment("rita", &row, "before").await;
        world.advance(Duration::seconds(1));
        world.bring_to(&row, "resolved").await;
        world.advance(Duration::days(1));
        world.comment("rita", &row, "it is not").await;
        world.advance(FIVE_DAYS);
        assert_eq!(world.run_due_jobs().await, [AUTO_CLOSE]);
        assert_eq!(world.see(&row).await.text("state"), "resolved");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_elses_and_no_earlier_comment_does() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        world.comment("rita", &row, "before").await;
        world.advance(Duration::seconds(1));
        world.bring_to(&row, "resolved").await;
        world.advance(Duration::days(1));
        world.comment("abe", &row, "looks good").await;
        let own = world
            .create(&world.ctx("ada"), incident::CreateIncident { team: Some(team("network")), ..new("mine") })
            .await;
        let mut command = transition(&own, "resolve", inputs_of("resolve"));
        command.comment = Some("my own, solved".into());
        world.tickets.transition(&world.ctx("ada"), command).await.unwrap();
        world.advance(Duration::days(1));
        let internal = comment(&own, "a note", CommentVisibility::Internal);
        world.tickets.add_comment(&world.ctx("ada"), internal).await.unwrap();
        world.advance(FIVE_DAYS);
        assert_eq!(world.run_due_jobs().await, [AUTO_CLOSE, AUTO_CLOSE]);
        assert_eq!(world.see(&row).await.text("state"), "closed");
        assert_eq!(world.see(&own).await.text("state"), "closed", "the comment that came with the resolution");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reopened_incident_stays_open_and_counts_anew() {
    in_each_world(|world| async move {
        let (open, again) = (world.open_for_network("x").await, world.open_for_network("y").await);
        for row in [&open, &again] {
            world.bring_to(row, "resolved").await;
        }
        world.advance(Duration::days(4));
        for row in [&open, &again] {
            world.incidents.reopen(&world.ctx("rita"), by_id(row), None, None).await.unwrap();
        }
        world.transition("ada", &again, "resolve", inputs_of("resolve")).await.unwrap();
        world.advance(Duration::days(2));
        assert_eq!(world.run_due_jobs().await, [AUTO_CLOSE], "that of the first; the other was replaced");
        assert_eq!(world.see(&open).await.text("state"), "in_progress");
        assert_eq!(world.see(&again).await.text("state"), "resolved");
        world.advance(Duration::days(3));
        assert_eq!(world.run_due_jobs().await, [AUTO_CLOSE]);
        assert_eq!(world.see(&again).await.text("state"), "closed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_leaves_no_job() {
    in_each_world(|world| async move {
        let row = world.open_for_network("x").await;
        let before = world.dump().await;
        let resolved =
            world.tickets.transition(&dry(&world.ctx("ada")), transition(&row, "resolve", inputs_of("resolve"))).await;
        assert_eq!(resolved.unwrap().row.unwrap().text("state"), "resolved");
        assert_eq!(world.dump().await, before);
        world.advance(FIVE_DAYS + Duration::days(1));
        assert!(world.run_due_jobs().await.is_empty());
    })
    .await;
}
