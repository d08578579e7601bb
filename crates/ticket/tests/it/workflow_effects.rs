//! What a transition makes besides: approvals and tasks, by the workflow and not by whoever takes it.

use access::{TeamUpdate, UserUpdate};
use chrono::Duration;
use configuration::{CreateService, ServiceRef};
use incident::CreateIncident;
use kernel::{Ctx, Detail, Error, ErrorCode, Id, Patch, id::prefix};
use serde_json::{Value as Json, json};
use store::query::Row;
use ticket::approval::ApprovalRecord;
use ticket::approval::fields::APPROVAL;
use ticket::fields::{DEPENDENCY, TASK};
use ticket::workflow::{CreateWorkflow, PublishWorkflow, Workflow};
use ticket::{MAX_PLAN, MAX_TASKS, Outcome, TicketKind};

use crate::approvals::{approve, constraint, decide, of, read, vote_of};
use crate::setup::*;

/// How effects are broken, and what is told where.
type Broken = (&'static dyn Fn(&mut Json), ErrorCode, &'static str);

/// The default workflow of incidents with these effects on transitions, and `start` for whoever may comment.
fn document(world: &World, effects: &[(&str, Json)]) -> Workflow {
    let default = world.tickets.kinds().get(TicketKind::Incident).unwrap().default_workflow().clone();
    let mut document = serde_json::to_value(default.as_ref()).unwrap();
    document["name"] = json!("Incidents of ours");
    for transition in document["transitions"].as_array_mut().unwrap() {
        if transition["key"] == "start" {
            transition["permission"] = json!("ticket.comment");
        }
        if let Some((_, effects)) = effects.iter().find(|(key, _)| transition["key"] == *key) {
            transition["effects"] = effects.clone();
        }
    }
    serde_json::from_value(document).unwrap()
}

async fn draft(world: &World, effects: &[(&str, Json)]) -> kernel::Result<()> {
    let command = CreateWorkflow { filter: None, rank: 1, document: document(world, effects) };
    world.tickets.create_workflow(&world.root, command).await.map(|_| ())
}

async fn publish(world: &World, effects: &[(&str, Json)]) {
    draft(world, effects).await.unwrap();
    let command = PublishWorkflow { key: "incident".into(), migrate: None, expected_version: None };
    world.tickets.publish_workflow(&world.root, command).await.unwrap();
}

fn approval(steps: Json) -> Json {
    json!({ "startApproval": { "name": "Purchase", "steps": steps, "blocks": ["resolve"], "expiresIn": "P2D" } })
}

fn any(approver: Json) -> Json {
    json!([{ "rule": "ANY", "approvers": [approver] }])
}

fn two_tasks() -> Json {
    json!({ "createTasks": { "tasks": [
        { "key": "install", "title": "Install it", "dependsOn": ["order"], "tags": ["laptop"] },
        { "key": "order", "title": "Order it", "description": "By **mail**.", "team": "desktop", "assignee": "dana@acme.example",
          "impact": "LOW", "urgency": "LOW" },
    ] } })
}

fn many_tasks(count: usize) -> Json {
    let tasks = (0..count).map(|key| json!({ "key": key.to_string(), "title": format!("Task {key}") }));
    json!([{ "createTasks": { "tasks": tasks.collect::<Vec<_>>() } }])
}

async fn approvals(world: &World, ticket: &Row) -> Vec<ApprovalRecord> {
    let mut found = Vec::new();
    for row in world.tickets.approvals_of(&world.root, &[ticket.id()]).await.unwrap() {
        found.push(read(world, Id::new(prefix::APPROVAL, row.id())).await);
    }
    found
}

async fn tasks(world: &World, ticket: &Row) -> Vec<Row> {
    let all = world.all(&TASK).await;
    all.into_iter().filter(|task| task.get("parent").as_id() == Some(ticket.id())).collect()
}

fn titled<'a>(tasks: &'a [Row], title: &str) -> &'a Row {
    tasks.iter().find(|task| task.text("title") == title).unwrap()
}

async fn start_as(world: &World, ctx: &Ctx, ticket: &Row) -> kernel::Result<Outcome> {
    world.tickets.transition(ctx, transition(ticket, "start", json!({}))).await
}

fn path(error: &kernel::UserError) -> String {
    error.path.join(".")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transition_asks_for_approval_and_creates_tasks() {
    in_each_world(|world| async move {
        let to_lee = any(json!({ "user": "lee@acme.example" }));
        publish(&world, &[("start", json!([approval(to_lee), two_tasks()]))]).await;
        let ticket = world.open_for_network("New laptop").await;
        world.assign("ada", &ticket, (Patch::Keep, Patch::Set(user("ada")))).await.unwrap();
        // Rita may neither ask for approval nor read lee's address nor assign anybody.
        let rita = world.ctx("rita");
        let outcome = start_as(&world, &rita, &ticket).await.unwrap();
        let told = ["TicketTransitioned", "ApprovalStarted", "ApprovalStepOpened", "TaskCreated", "TaskCreated"];
        assert_eq!(kinds(&outcome.events), told);
        assert_eq!(outcome.events[1].payload["transition"], json!("start"));
        assert!(outcome.events[3..].iter().all(|event| event.payload == json!({ "transition": "start" })));
        assert!(outcome.events.iter().all(|event| event.actor.id == rita.actor.id), "told as the one through whom");
        assert_eq!(outcome.row.unwrap().int("version"), 4, "the assignment, the transition, and the approval");

        let record = approvals(&world, &ticket).await.pop().unwrap();
        assert_eq!(record.row.get("requestedBy").as_id(), Some(world.id("rita")));
        assert_eq!(vote_of(&record, world.id("lee")), "PENDING");
        assert_eq!(record.row.time("expiresAt"), world.now() + Duration::days(2));

        let made = tasks(&world, &ticket).await;
        assert_eq!(made.len(), 2);
        let (order, install) = (titled(&made, "Order it"), titled(&made, "Install it"));
        assert_ne!(order.text("number"), install.text("number"));
        assert_eq!((order.int("openDependencies"), install.int("openDependencies")), (0, 1));
        assert_eq!(order.get("assignee").as_id(), Some(world.id("dana")));
        assert_eq!((order.text("impact"), order.text("priority")), ("LOW".into(), "P5".into()));
        assert_eq!(install.get("team"), world.see(&ticket).await.get("team"), "the ticket's, when none is named");
        assert_eq!(install.get("openedBy").as_id(), Some(world.root.actor.id), "the workflow's");
        assert_eq!(install.get("requester").as_id(), Some(world.id("ada")));
        let own = world.tickets.count(&rita, &TASK, predicate::Predicate::always()).await.unwrap();
        assert_eq!(own.total, 0, "the work on what rita asked for is not hers");
        let needs = world.all(&DEPENDENCY).await;
        let pair = (needs[0].get("task").as_id(), needs[0].get("needs").as_id());
        assert_eq!((needs.len(), pair), (1, (Some(install.id()), Some(order.id()))));

        // What waits for it waits until it is decided.
        let error = refusal(world.transition("ada", &ticket, "resolve", inputs_of("resolve")).await);
        assert_eq!(error.code, ErrorCode::ApprovalPending);
        assert_eq!(error.detail, Detail::Approval { approval: record.row.id() });
        assert_eq!(constraint(refusal(decide(&world, "rita", of(&record), true).await)), "selfApproval");
        approve(&world, "lee", of(&record)).await;
        world.transition("ada", &ticket, "resolve", inputs_of("resolve")).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_leaves_nothing_and_a_replay_makes_no_second() {
    in_each_world(|world| async move {
        let to_lee = any(json!({ "team": "network" }));
        publish(&world, &[("start", json!([approval(to_lee), two_tasks()]))]).await;
        let ticket = world.open_for_network("x").await;
        let ada = world.ctx("ada");
        world.open_for_network("one whose numbers are at hand").await;
        let before = world.dump().await;
        let dried = start_as(&world, &dry(&ada), &ticket).await.unwrap();
        assert_eq!(dried.events.len(), 5);
        assert_eq!(world.dump().await, before);
        let mut seen = Vec::new();
        for _ in 0..2 {
            let outcome = start_as(&world, &keyed(&ada, "k", 1), &ticket).await.unwrap();
            seen.push((kinds(&outcome.events).join(" "), outcome.row.unwrap().int("version")));
        }
        assert_eq!(seen[0], seen[1]);
        assert_eq!((approvals(&world, &ticket).await.len(), tasks(&world, &ticket).await.len()), (1, 2));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_left_is_asked_no_more_and_does_no_task() {
    in_each_world(|world| async move {
        let to_lee = any(json!({ "user": "lee@acme.example" }));
        publish(&world, &[("start", json!([approval(to_lee), two_tasks()]))]).await;
        for gone in ["lee", "dana"] {
            let left = UserUpdate { active: Patch::Set(false), ..UserUpdate::of(user(gone)) };
            world.access.user_update(&world.root, left).await.unwrap();
        }
        let ticket = world.open_for_network("x").await;
        let outcome = world.transition("ada", &ticket, "start", json!({})).await.unwrap();
        assert_eq!(outcome.events[2].payload["toAdministrators"], json!(true));
        let record = approvals(&world, &ticket).await.pop().unwrap();
        assert_eq!(vote_of(&record, world.id("amy")), "PENDING");
        let made = tasks(&world, &ticket).await;
        assert!(titled(&made, "Order it").get("assignee").is_null());
        assert!(!titled(&made, "Order it").get("team").is_null());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_means_nothing_any_more_refuses_the_transition_with_its_place() {
    in_each_world(|world| async move {
        let to_desktop = any(json!({ "team": "desktop" }));
        publish(&world, &[("start", json!([approval(to_desktop), two_tasks()]))]).await;
        let ticket = world.open_for_network("x").await;
        let renamed = TeamUpdate { slug: Patch::Set("workplace".into()), ..TeamUpdate::of(team("desktop")) };
        world.access.team_update(&world.root, renamed).await.unwrap();
        let before = world.dump().await;
        let error = refusal(world.transition("ada", &ticket, "start", json!({})).await);
        assert_eq!(error.code, ErrorCode::NotFound);
        assert_eq!(path(&error), "transition.effects.0.startApproval.steps.0.approvers.0.team");
        assert!(error.message.contains("version 2 of the workflow `incident`"), "{}", error.message);
        assert_eq!(world.dump().await, before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_cannot_be_fulfilled_now_refuses_the_transition() {
    in_each_world(|world| async move {
        let steps = json!([{ "rule": "QUORUM", "ruleValue": 3, "approvers": [{ "team": "network" }] }]);
        publish(&world, &[("start", json!([approval(steps)]))]).await;
        let ticket = world.open_for_network("x").await;
        // The team has three members, of whom one takes the transition and has no vote.
        let error = refusal(world.transition("ada", &ticket, "start", json!({})).await);
        assert_eq!(path(&error), "transition.effects.0.startApproval.steps.0.rule");
        assert_eq!(world.see(&ticket).await.text("state"), "assigned");
        start_as(&world, &world.ctx("rita"), &ticket).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_is_refused_stays_as_it_was() {
    in_each_world(|world| async move {
        let parent = world.open_for_network("Parent").await;
        let steps = json!([{ "rule": "QUORUM", "ruleValue": 9, "approvers": [{ "team": "network" }] }]);
        publish(&world, &[("resolve", json!([{ "startApproval": { "name": "Close", "steps": steps } }]))]).await;
        let child = world.open_for_network("Child").await;
        let link =
            ticket::LinkTickets { source: by_id(&parent), kind: ticket::LinkType::ParentOf, target: by_id(&child) };
        world.tickets.link(&world.ctx("ada"), link).await.unwrap();
        let before = (world.see(&child).await, world.events_of(&child).await.len());
        let command =
            ticket::TransitionTicket { resolve_children: true, ..transition(&parent, "resolve", inputs_of("resolve")) };
        let outcome = world.tickets.transition(&world.ctx("ada"), command).await.unwrap();
        let told = &outcome.events.last().unwrap().payload["children"][0]["reasons"][0];
        assert!(told.as_str().unwrap().contains("its rule needs more"), "{told}");
        assert_eq!((world.see(&child).await, world.events_of(&child).await.len()), before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_for_what_a_workflow_makes() {
    in_each_world(|world| async move {
        publish(&world, &[("hold", many_tasks(MAX_PLAN))]).await;
        let ticket = world.open_for_network("x").await;
        for _ in 0..MAX_TASKS / MAX_PLAN {
            // More than one block of numbers at once.
            world.transition("ada", &ticket, "hold", inputs_of("hold")).await.unwrap();
            world.transition("ada", &ticket, "resume", json!({})).await.unwrap();
        }
        let mut numbers: Vec<_> = tasks(&world, &ticket).await.iter().map(|task| task.text("number")).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), MAX_TASKS);
        let error = refusal(world.transition("ada", &ticket, "hold", inputs_of("hold")).await);
        assert_eq!((error.code, path(&error)), (ErrorCode::Limit, "transition.effects.0.createTasks.tasks".into()));
        assert_eq!(world.see(&ticket).await.text("state"), "in_progress");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_approvals_of_one_transition_count_together() {
    in_each_world(|world| async move {
        let to_lee =
            || json!({ "startApproval": { "name": "A", "steps": any(json!({ "user": "lee@acme.example" })) } });
        publish(&world, &[("hold", json!(vec![to_lee(); 10]))]).await;
        let ticket = world.open_for_network("x").await;
        for _ in 0..5 {
            world.transition("ada", &ticket, "hold", inputs_of("hold")).await.unwrap();
            world.transition("ada", &ticket, "resume", json!({})).await.unwrap();
        }
        assert_eq!(world.all(&APPROVAL).await.len(), ticket::approval::MAX_APPROVALS);
        let error = refusal(world.transition("ada", &ticket, "hold", inputs_of("hold")).await);
        assert_eq!((error.code, path(&error)), (ErrorCode::Limit, "transition.effects.0.startApproval.id".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_workflow_asked_for_expires_and_is_voided_like_any_other() {
    in_each_world(|world| async move {
        let to_lee = any(json!({ "user": "lee@acme.example" }));
        publish(&world, &[("start", json!([approval(to_lee)]))]).await;
        let (one, other) = (world.open_for_network("x").await, world.open_for_network("y").await);
        for ticket in [&one, &other] {
            world.transition("ada", ticket, "start", json!({})).await.unwrap();
        }
        let now = world.see(&other).await;
        world.incidents.update(&world.ctx("ada"), retitle(&now, "Something else")).await.unwrap();
        world.advance(Duration::days(2));
        world.run_due_jobs().await;
        let state = async |ticket: &Row| approvals(&world, ticket).await[0].row.text("state");
        assert_eq!((state(&one).await, state(&other).await), ("EXPIRED".into(), "VOIDED".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_is_seen_from_the_ticket_as_the_transition_leaves_it() {
    in_each_world(|world| async move {
        let owner = Some(user("dana"));
        let service =
            CreateService { key: "mail".into(), name: "Mail".into(), description: None, owner, team: None };
        world.tickets.configuration().create_service(&world.root, service).await.unwrap();
        let effects = json!([
            { "setField": { "field": "IMPACT", "value": "HIGH" } },
            { "startApproval": { "name": "A", "steps": any(json!({ "path": "SERVICE_OWNER" })), "boundFields": ["impact"] } },
        ]);
        publish(&world, &[("start", effects)]).await;
        let service = Some(ServiceRef::Key("mail".into()));
        let command = CreateIncident { team: Some(team("network")), requester: Some(user("rita")), service, ..new("x") };
        let ticket = world.create(&world.ctx("ada"), command).await;
        world.transition("ada", &ticket, "start", json!({})).await.unwrap();
        let record = approvals(&world, &ticket).await.pop().unwrap();
        assert_eq!(vote_of(&record, world.id("dana")), "PENDING", "bound to the impact that the transition sets");
        assert_eq!(record.row.text("state"), "PENDING");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_looked_up_when_the_document_is_written() {
    in_each_world(|world| async move {
        let with = |change: &dyn Fn(&mut Json)| {
            let mut effects = json!([approval(any(json!({ "user": "lee@acme.example" }))), two_tasks()]);
            change(&mut effects);
            effects
        };
        let cases: &[Broken] = &[
            (
                &|effects| {
                    effects[0]["startApproval"]["steps"][0]["approvers"][0] = json!({ "user": "nobody@acme.example" })
                },
                ErrorCode::NotFound,
                "0.startApproval.steps.0.approvers.0.user",
            ),
            (
                &|effects| effects[0]["startApproval"]["steps"][0]["vetoHolders"] = json!([{ "team": "nobody" }]),
                ErrorCode::NotFound,
                "0.startApproval.steps.0.vetoHolders.0.team",
            ),
            (
                &|effects| effects[0]["startApproval"]["steps"][0]["approvers"][0] = json!({ "role": "king" }),
                ErrorCode::NotFound,
                "0.startApproval.steps.0.approvers.0.role",
            ),
            (
                &|effects| effects[0]["startApproval"]["boundFields"] = json!(["state"]),
                ErrorCode::Validation,
                "0.startApproval.boundFields.0",
            ),
            (
                &|effects| effects[0]["startApproval"]["blocks"] = json!(["fly"]),
                ErrorCode::Validation,
                "0.startApproval.blocks.0",
            ),
            (
                &|effects| effects[1]["createTasks"]["tasks"][0]["team"] = json!("nobody"),
                ErrorCode::NotFound,
                "1.createTasks.tasks.0.team",
            ),
            (
                &|effects| effects[1]["createTasks"]["tasks"][1]["assignee"] = json!("nobody@acme.example"),
                ErrorCode::NotFound,
                "1.createTasks.tasks.1.assignee",
            ),
            (
                &|effects| effects[1]["createTasks"]["tasks"][1]["assignee"] = json!("ada@acme.example"),
                ErrorCode::Validation,
                "1.createTasks.tasks.1.assignee",
            ),
            (
                &|effects| effects[1]["createTasks"]["tasks"][1]["dependsOn"] = json!(["install"]),
                ErrorCode::Validation,
                "1.createTasks.tasks.0.dependsOn",
            ),
        ];
        for (change, code, place) in cases {
            let Err(Error::Refused(errors)) = draft(&world, &[("start", with(*change))]).await else {
                panic!("{place} is accepted")
            };
            let told: Vec<_> = errors.iter().map(|error| (error.code, path(error))).collect();
            assert_eq!(told, [(*code, format!("document.transitions.1.effects.{place}"))]);
        }
        draft(&world, &[("start", with(&|_| {}))]).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_in_a_document_are_for_those_who_may_read_addresses() {
    in_each_world(|world| async move {
        publish(&world, &[("start", json!([approval(any(json!({ "user": "lee@acme.example" }))), two_tasks()]))]).await;
        let shown = async |ctx: &Ctx| {
            let overview = world.tickets.workflow(ctx, "incident").await.unwrap().unwrap();
            let all = world.tickets.workflows(ctx, None).await.unwrap();
            let versions = all.iter().flat_map(|one| &one.versions).chain(&overview.versions);
            versions.map(|version| serde_json::to_string(version.workflow.as_ref()).unwrap()).collect::<String>()
        };
        let (rita, ada) = (shown(&world.ctx("rita")).await, shown(&world.ctx("ada")).await);
        assert!(!rita.contains('@') && rita.contains("\"desktop\""), "{rita}");
        assert!(ada.contains("lee@acme.example") && ada.contains("dana@acme.example"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_transition_makes_costs_so_many_statements() {
    in_each_world(|world| async move {
        let to_team = any(json!({ "team": "desktop" }));
        publish(&world, &[("start", json!([approval(to_team), many_tasks(1)[0], many_tasks(2)[0]]))]).await;
        let mut counts = Vec::new();
        for key in ["start", "hold"] {
            for round in 0..3 {
                let ticket = world.open_for_network("x").await;
                if (key, round) == ("start", 0) {
                    // The first reserves numbers.
                    world.transition("ada", &ticket, key, inputs_of(key)).await.unwrap();
                    continue;
                }
                let before = world.store.statement_count();
                world.transition("ada", &ticket, key, inputs_of(key)).await.unwrap();
                counts.push(world.store.statement_count() - before);
            }
        }
        let (with, plain) = (counts[1], *counts.last().unwrap());
        assert_eq!(counts[0], with, "the same every time: {counts:?}");
        println!("{:?}: {with} statements with an approval and three tasks, {plain} without", world.store.engine());
        // Three of them write the words by which each task is found.
        assert!(with - plain <= 27, "{counts:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_assigning_takes_along_does_what_it_does_besides() {
    in_each_world(|world| async move {
        let effects = json!([
            { "setField": { "field": "TAG", "value": "assigned" } },
            { "setField": { "field": "TEAM", "value": "desktop" } },
            approval(any(json!({ "user": "lee@acme.example" }))), two_tasks(),
        ]);
        publish(&world, &[("assign", effects)]).await;
        let ticket = world.open("x").await;
        let outcome = world.assign("lee", &ticket, (Patch::Set(team("network")), Patch::Keep)).await.unwrap();
        let told = ["TicketAssigned", "ApprovalStarted", "ApprovalStepOpened", "TaskCreated", "TaskCreated"];
        assert_eq!(kinds(&outcome.events), told);
        let seen = world.see(&ticket).await;
        assert_eq!((seen.text("state"), seen.texts("tags")), ("assigned".into(), vec!["assigned".to_owned()]));
        assert_eq!(seen.relation("team").unwrap().text("slug"), "network", "whoever assigns says to whom");
        assert_eq!(tasks(&world, &ticket).await.len(), 2);
        // What is assigned again was assigned before.
        let again = world.assign("lee", &ticket, (Patch::Keep, Patch::Set(user("ada")))).await.unwrap();
        assert_eq!(kinds(&again.events), ["TicketAssigned"]);
    })
    .await;
}
