//! Approvals: who is asked, what votes come to, what an edit does to them, and who sees what.

use access::{UserRef, UserUpdate};
use chrono::Duration;
use kernel::{Ctx, Detail, ErrorCode, Id, Uuid, id::prefix};
use serde_json::json;
use store::query::Row;
use ticket::approval::delegation::{CreateDelegation, EndDelegation};
use ticket::approval::fields::{APPROVAL, APPROVAL_VOTE};
use ticket::approval::rules::StepRule;
use ticket::approval::{
    ApprovalOutcome, ApprovalRecord, ApproverRef, CancelApproval, DecideApproval, MAX_APPROVALS, StartApproval,
    StepInput,
};

use crate::setup::*;

pub(crate) fn person(name: &str) -> ApproverRef {
    ApproverRef::User(user(name))
}

pub(crate) fn step(rule: StepRule, approvers: Vec<ApproverRef>) -> StepInput {
    StepInput { name: None, rule, approvers, veto: Vec::new() }
}

pub(crate) fn start(ticket: &Row, steps: Vec<StepInput>) -> StartApproval {
    StartApproval {
        ticket: by_id(ticket),
        name: "Purchase".into(),
        steps,
        self_approval: false,
        bound_fields: None,
        blocks: Vec::new(),
        expires_at: None,
        expected_version: None,
    }
}

pub(crate) fn of(record: &ApprovalRecord) -> Id {
    Id::new(prefix::APPROVAL, record.row.id())
}

pub(crate) fn decision(approval: Id, approve: bool) -> DecideApproval {
    let comment = (!approve).then(|| "too dear".to_owned());
    DecideApproval { approval, approve, comment, on_behalf_of: None, expected_version: None }
}

/// Ada, who is neither requester nor asked, starts it.
pub(crate) async fn started(world: &World, command: StartApproval) -> ApprovalRecord {
    world.tickets.start_approval(&world.ctx("ada"), command).await.unwrap().approval.unwrap()
}

pub(crate) async fn decide(world: &World, who: &str, approval: Id, approve: bool) -> kernel::Result<ApprovalOutcome> {
    world.tickets.decide_approval(&world.ctx(who), decision(approval, approve)).await
}

pub(crate) async fn approve(world: &World, who: &str, approval: Id) -> ApprovalRecord {
    decide(world, who, approval, true).await.unwrap().approval.unwrap()
}

pub(crate) async fn read(world: &World, approval: Id) -> ApprovalRecord {
    let tickets = &world.tickets;
    let row = tickets.approval(&world.root, approval.uuid).await.unwrap().unwrap();
    let steps = tickets.approval_steps_of(&world.root, &[approval.uuid]).await.unwrap();
    let votes = tickets.approval_votes_of(&world.root, &[approval.uuid]).await.unwrap();
    ApprovalRecord { row, steps, votes }
}

pub(crate) fn states(record: &ApprovalRecord) -> Vec<String> {
    let own = record.row.text("state");
    std::iter::once(own).chain(record.steps.iter().map(|step| step.text("state"))).collect()
}

pub(crate) fn vote_of(record: &ApprovalRecord, person: Uuid) -> String {
    let vote = record.votes.iter().find(|vote| vote.get("approver").as_id() == Some(person));
    vote.map(|vote| vote.text("vote")).unwrap_or_default()
}

async fn awaits(world: &World, ctx: &Ctx) -> u64 {
    world.tickets.count(ctx, &APPROVAL, world.tickets.awaiting_viewer(ctx)).await.unwrap().total
}

pub(crate) fn constraint(error: kernel::UserError) -> String {
    match error.detail {
        Detail::Validation { constraint, .. } => constraint.into_owned(),
        other => panic!("no constraint: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_run_in_order_and_later_votes_are_not_required() {
    in_each_world(|world| async move {
        let ticket = world.open_for_network("New laptop").await;
        let two = vec![
            step(StepRule::Majority, vec![person("abe"), person("dana"), person("lee"), person("dana")]),
            step(StepRule::Any, vec![person("amy"), person("ivy")]),
        ];
        let outcome = world.tickets.start_approval(&world.ctx("ada"), start(&ticket, two)).await.unwrap();
        assert_eq!(kinds(&outcome.events), ["ApprovalStarted", "ApprovalStepOpened"]);
        let record = outcome.approval.unwrap();
        let approval = of(&record);
        assert_eq!(states(&record), ["PENDING", "OPEN", "WAITING"]);
        assert_eq!(record.votes.len(), 3, "dana is asked once");
        assert_eq!(world.see(&ticket).await.int("version"), 2, "who edits at the same time meets the approval");

        assert_eq!(states(&approve(&world, "abe", approval).await), ["PENDING", "OPEN", "WAITING"]);
        assert_eq!(refused_at(decide(&world, "abe", approval, false).await).1, "decision", "votes are final");
        assert_eq!(constraint(refusal(decide(&world, "amy", approval, true).await)), "notAsked");
        let outcome = decide(&world, "lee", approval, true).await.unwrap();
        assert_eq!(kinds(&outcome.events), ["ApprovalDecided", "ApprovalStepOpened"]);
        let record = outcome.approval.unwrap();
        assert_eq!(states(&record), ["PENDING", "APPROVED", "OPEN"]);
        assert_eq!(vote_of(&record, world.id("dana")), "NOT_REQUIRED");
        let outcome = decide(&world, "ivy", approval, true).await.unwrap();
        assert_eq!(kinds(&outcome.events), ["ApprovalDecided", "ApprovalCompleted"]);
        let record = outcome.approval.unwrap();
        assert_eq!(states(&record), ["APPROVED", "APPROVED", "APPROVED"]);
        assert_eq!(outcome.events[1].payload["outcome"], json!("APPROVED"));
        let stored = read(&world, approval).await;
        assert_eq!(states(&stored), states(&record));
        assert_eq!(vote_of(&stored, world.id("amy")), "NOT_REQUIRED");
        assert_eq!(constraint(refusal(decide(&world, "amy", approval, true).await)), "decided");
        assert_eq!(stored.row.int("version"), 4);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_why_and_ends_it_as_soon_as_it_is_certain() {
    in_each_world(|world| async move {
        let ticket = world.open_for_network("x").await;
        let two =
            vec![step(StepRule::All, vec![person("abe"), person("dana")]), step(StepRule::Any, vec![person("amy")])];
        let approval = of(&started(&world, start(&ticket, two)).await);
        let silent = DecideApproval { comment: None, ..decision(approval, false) };
        let refused = world.tickets.decide_approval(&world.ctx("abe"), silent).await;
        assert_eq!(refused_at(refused), (ErrorCode::Validation, "comment".into()));
        let record = decide(&world, "abe", approval, false).await.unwrap().approval.unwrap();
        assert_eq!(states(&record), ["REFUSED", "REFUSED", "NOT_REQUIRED"]);
        assert_eq!(vote_of(&record, world.id("dana")), "NOT_REQUIRED");
        assert_eq!(awaits(&world, &world.ctx("dana")).await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_veto_refuses_alone_and_is_waited_for() {
    in_each_world(|world| async move {
        let ticket = world.open_for_network("x").await;
        let with_veto = || StepInput { veto: vec![person("lee")], ..step(StepRule::Any, vec![person("abe")]) };
        let approval = of(&started(&world, start(&ticket, vec![with_veto()])).await);
        assert_eq!(states(&approve(&world, "abe", approval).await), ["PENDING", "OPEN"]);
        let record = decide(&world, "lee", approval, false).await.unwrap().approval.unwrap();
        assert_eq!(states(&record), ["REFUSED", "REFUSED"]);
        let approval = of(&started(&world, start(&ticket, vec![with_veto()])).await);
        approve(&world, "lee", approval).await;
        assert_eq!(states(&approve(&world, "abe", approval).await), ["APPROVED", "APPROVED"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn teams_and_roles_mean_their_active_users_without_those_who_ask() {
    in_each_world(|world| async move {
        let ticket = world.open_for_network("x").await;
        let gone = UserUpdate { active: kernel::Patch::Set(false), ..UserUpdate::of(user("abe")) };
        world.access.user_update(&world.root, gone).await.unwrap();
        let all = vec![step(
            StepRule::All,
            vec![ApproverRef::Team(team("network")), ApproverRef::Role("auditor".into()), person("rita")],
        )];
        let record = started(&world, start(&ticket, all.clone())).await;
        let mut asked: Vec<_> = record.votes.iter().filter_map(|vote| vote.get("approver").as_id()).collect();
        asked.sort_unstable();
        let mut expected = vec![world.id("lee"), world.id("ivy")];
        expected.sort_unstable();
        assert_eq!(asked, expected, "without abe (gone), ada (who starts it) and rita (who asks)");
        let refused = decide(&world, "rita", of(&record), true).await;
        assert_eq!(constraint(refusal(refused)), "selfApproval");

        let allowed = StartApproval { self_approval: true, ..start(&ticket, all) };
        let record = started(&world, allowed).await;
        assert_eq!(record.votes.len(), 4);
        approve(&world, "rita", of(&record)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_left_means_the_administrators() {
    in_each_world(|world| async move {
        let ticket = world.open_for_network("x").await;
        let own = vec![step(StepRule::All, vec![person("rita"), person("ada")])];
        let outcome = world.tickets.start_approval(&world.ctx("ada"), start(&ticket, own)).await.unwrap();
        assert_eq!(outcome.events[1].payload["toAdministrators"], json!(true));
        let record = outcome.approval.unwrap();
        assert!(record.steps[0].bool("toAdministrators"));
        assert_eq!(vote_of(&record, world.id("amy")), "PENDING");
        assert_eq!(states(&approve(&world, "amy", of(&record)).await), ["APPROVED", "APPROVED"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_what_was_approved_voids_it() {
    in_each_world(|world| async move {
        let ticket = world.open_for_network("Two monitors").await;
        let one = || vec![step(StepRule::Any, vec![person("abe")])];
        let granted = of(&started(&world, start(&ticket, one())).await);
        approve(&world, "abe", granted).await;
        let pending = of(&started(&world, start(&ticket, one())).await);
        let by_tags = StartApproval { bound_fields: Some(vec!["tags".into()]), ..start(&ticket, one()) };
        let by_tags = of(&started(&world, by_tags).await);

        // Something else changes: nothing falls.
        world.transition("ada", &ticket, "start", json!({})).await.unwrap();
        let other = world.see(&ticket).await;
        assert_eq!(states(&read(&world, granted).await)[0], "APPROVED");

        let outcome = world.incidents.update(&world.ctx("ada"), retitle(&other, "Two large monitors")).await.unwrap();
        assert_eq!(kinds(&outcome.events), ["TicketUpdated", "ApprovalVoided", "ApprovalVoided"]);
        assert!(outcome.events[1].changes.is_empty(), "what changed is told once");
        for approval in [granted, pending] {
            let record = read(&world, approval).await;
            assert_eq!(record.row.text("state"), "VOIDED");
            assert_eq!(record.row.text("reason"), "changed: title");
        }
        assert_eq!(states(&read(&world, by_tags).await)[0], "PENDING");
        assert_eq!(constraint(refusal(decide(&world, "abe", pending, true).await)), "decided");
        assert_eq!(world.see(&ticket).await.int("version"), 6, "three starts, a transition, an edit");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_without_approvals_costs_no_statement_more() {
    in_each_world(|world| async move {
        let (plain, with) = (world.open_for_network("x").await, world.open_for_network("y").await);
        started(&world, start(&with, vec![step(StepRule::Any, vec![person("abe")])])).await;
        let mut cost = Vec::new();
        for ticket in [&plain, &with] {
            let before = world.store.statement_count();
            let tagged = incident::UpdateIncident { tags: Some(vec!["a".into()]), ..update(ticket) };
            world.incidents.update(&world.ctx("ada"), tagged).await.unwrap();
            cost.push(world.store.statement_count() - before);
        }
        assert_eq!(cost[1] - cost[0], 1, "{cost:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_approval_holds_back_the_transitions_it_names() {
    in_each_world(|world| async move {
        let ticket = world.open_for_network("x").await;
        let blocking = StartApproval {
            blocks: vec!["resolve".into()],
            ..start(&ticket, vec![step(StepRule::Any, vec![person("abe")])])
        };
        let approval = of(&started(&world, blocking.clone()).await);
        let seen = world.see(&ticket).await;
        let available = world.tickets.available_transitions(&world.ctx("ada"), &seen).await.unwrap();
        let resolve = available.iter().find(|found| found.key == "resolve").unwrap();
        assert!(!resolve.allowed && resolve.reasons[0].contains("approval"), "{resolve:?}");
        let error = refusal(world.transition("ada", &ticket, "resolve", inputs_of("resolve")).await);
        assert_eq!(error.code, ErrorCode::ApprovalPending);
        assert_eq!(error.detail, Detail::Approval { approval: approval.uuid });
        world.transition("ada", &ticket, "start", json!({})).await.unwrap();
        approve(&world, "abe", approval).await;
        world.transition("ada", &ticket, "resolve", inputs_of("resolve")).await.unwrap();

        let odd = StartApproval { blocks: vec!["fly".into()], ..blocking };
        let refused = world.tickets.start_approval(&world.ctx("ada"), odd).await;
        assert_eq!(refused_at(refused), (ErrorCode::Validation, "blocks.0".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_assigning_takes_along_is_held_back_like_any_other() {
    in_each_world(|world| async move {
        let ticket = world.open("x").await;
        let blocking = StartApproval {
            blocks: vec!["assign".into()],
            ..start(&ticket, vec![step(StepRule::Any, vec![person("abe")])])
        };
        let amy = world.ctx("amy");
        let approval = world.tickets.start_approval(&amy, blocking).await.unwrap().approval.unwrap();
        let to_network = || (kernel::Patch::Set(team("network")), kernel::Patch::Keep);
        let error = refusal(world.assign("amy", &ticket, to_network()).await);
        assert_eq!(
            (error.code, error.detail),
            (ErrorCode::ApprovalPending, Detail::Approval { approval: approval.row.id() })
        );
        let seen = world.see(&ticket).await;
        assert_eq!((seen.text("state"), seen.get("team").is_null()), ("new".into(), true));
        approve(&world, "abe", of(&approval)).await;
        world.assign("amy", &ticket, to_network()).await.unwrap();
        assert_eq!(world.see(&ticket).await.text("state"), "assigned");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expiry_is_a_refusal_by_a_durable_job() {
    in_each_world(|world| async move {
        let ticket = world.open_for_network("x").await;
        let expires = world.now() + Duration::days(2);
        let command = |expires| StartApproval {
            expires_at: Some(expires),
            blocks: vec!["resolve".into()],
            ..start(&ticket, vec![step(StepRule::Any, vec![person("abe")])])
        };
        let refused = world.tickets.start_approval(&world.ctx("ada"), command(world.now())).await;
        assert_eq!(refused_at(refused).1, "expiresAt");
        let approval = of(&started(&world, command(expires)).await);
        let decided = of(&started(&world, command(expires)).await);
        approve(&world, "abe", decided).await;
        world.advance(Duration::days(2));
        assert_eq!(constraint(refusal(decide(&world, "abe", approval, true).await)), "expired");
        world.run_due_jobs().await;
        assert_eq!(states(&read(&world, approval).await), ["EXPIRED", "NOT_REQUIRED"]);
        assert_eq!(states(&read(&world, decided).await), ["APPROVED", "APPROVED"]);
        let events = world.events_of(&ticket).await;
        assert_eq!(events.last().unwrap().text("kind"), "ApprovalCompleted");
        world.transition("ada", &ticket, "resolve", inputs_of("resolve")).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegate_votes_for_the_delegator_while_it_holds() {
    in_each_world(|world| async move {
        let ticket = world.open_for_network("x").await;
        let one = || vec![step(StepRule::Any, vec![person("abe")])];
        let early = of(&started(&world, start(&ticket, one())).await);
        let delegate = CreateDelegation {
            delegator: None,
            delegate: user("rob"),
            starts_at: Some(world.now() + Duration::hours(1)),
            ends_at: world.now() + Duration::days(3),
            reason: Some("Holidays".into()),
        };
        let abe = world.ctx("abe");
        let outcome = world.tickets.create_delegation(&abe, delegate.clone()).await.unwrap();
        assert_eq!(kinds(&outcome.events), ["DelegationCreated"]);
        let twice = world.tickets.create_delegation(&abe, delegate.clone()).await;
        assert_eq!(refused_at(twice), (ErrorCode::Conflict, "startsAt".into()));
        let foreign = CreateDelegation { delegator: Some(user("lee")), ..delegate.clone() };
        assert_eq!(lacks(world.tickets.create_delegation(&abe, foreign).await), "user.manage");
        let own = CreateDelegation { delegate: user("abe"), ..delegate.clone() };
        assert_eq!(refused_at(world.tickets.create_delegation(&abe, own).await).1, "delegate");

        // Rob sees neither the ticket nor the approval before it begins.
        let rob = world.ctx("rob");
        assert!(world.tickets.approval(&rob, early.uuid).await.unwrap().is_none());
        assert_eq!(refused_at(decide(&world, "rob", early, true).await).0, ErrorCode::NotFound);
        world.advance(Duration::hours(1));
        world.run_due_jobs().await;
        assert_eq!(awaits(&world, &rob).await, 1);
        assert_eq!(world.events_of(&ticket).await.last().unwrap().text("kind"), "ApprovalDelegated");
        let late = of(&started(&world, start(&ticket, one())).await);
        let ended = of(&started(&world, start(&ticket, one())).await);
        assert_eq!(awaits(&world, &rob).await, 3);
        let record = approve(&world, "rob", early).await;
        let vote = &record.votes[0];
        assert_eq!(vote.get("approver").as_id(), Some(world.id("abe")));
        assert_eq!(vote.get("decidedBy").as_id(), Some(world.id("rob")));
        approve(&world, "abe", late).await;

        let delegation = Id::new(prefix::DELEGATION, outcome.row.unwrap().id());
        let end = EndDelegation { delegation, expected_version: None };
        let refused = world.tickets.end_delegation(&rob, end.clone()).await;
        assert_eq!(lacks(refused), "user.manage");
        world.tickets.end_delegation(&abe, end).await.unwrap();
        assert_eq!(constraint(refusal(decide(&world, "rob", ended, true).await)), "delegation");
        world.run_due_jobs().await;
        assert_eq!(awaits(&world, &rob).await, 0);
        assert!(world.tickets.approval(&rob, ended.uuid).await.unwrap().is_none());
        assert!(world.tickets.approval(&rob, early.uuid).await.unwrap().is_some(), "who decided sees what");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_approves_their_own_request_through_a_delegation() {
    in_each_world(|world| async move {
        let ticket = world.open_for_network("x").await;
        let to_rita = CreateDelegation {
            delegator: None,
            delegate: user("rita"),
            starts_at: None,
            ends_at: world.now() + Duration::days(3),
            reason: None,
        };
        world.tickets.create_delegation(&world.ctx("abe"), to_rita).await.unwrap();
        let record = started(&world, start(&ticket, vec![step(StepRule::Any, vec![person("abe")])])).await;
        assert!(record.votes[0].get("delegate").is_null());
        world.run_due_jobs().await;
        assert!(read(&world, of(&record)).await.votes[0].get("delegate").is_null());
        assert_eq!(constraint(refusal(decide(&world, "rita", of(&record), true).await)), "selfApproval");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_asked_sees_the_approval_and_not_the_ticket() {
    in_each_world(|world| async move {
        let ticket = world.open_for_network("Secret plans").await;
        let record = started(&world, start(&ticket, vec![step(StepRule::Any, vec![person("rob")])])).await;
        let (rob, dana) = (world.ctx("rob"), world.ctx("dana"));
        assert!(world.tickets.find(&rob, &incident::INCIDENT, &by_id(&ticket), &[]).await.unwrap().is_none());
        let seen = world.tickets.approval(&rob, record.row.id()).await.unwrap().unwrap();
        assert_eq!(
            (seen.text("ticketNumber"), seen.text("ticketTitle")),
            (ticket.text("number"), "Secret plans".into())
        );
        assert!(world.history(&rob, &ticket).await.is_empty());
        assert_eq!(awaits(&world, &rob).await, 1);
        for (who, rows) in [(&dana, 0), (&rob, 1), (&world.ctx("rita"), 1)] {
            let votes = world.tickets.approval_votes_of(who, &[record.row.id()]).await.unwrap();
            assert_eq!(votes.len(), rows);
            let request = ticket::queries::ListRequest {
                record: &APPROVAL_VOTE,
                filter: predicate::Predicate::always(),
                order: vec![store::query::OrderTerm { field: "vote".into(), descending: false, nulls_first: false }],
                page: kernel::Page::first(10),
                relations: vec![],
            };
            assert_eq!(world.tickets.list(who, request).await.unwrap().rows.len(), rows);
        }
        assert_eq!(refused_at(decide(&world, "dana", of(&record), true).await).0, ErrorCode::NotFound);
        approve(&world, "rob", of(&record)).await;
        assert_eq!(awaits(&world, &rob).await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_withdrawn_and_falls_with_the_ticket() {
    in_each_world(|world| async move {
        let ticket = world.open_for_network("x").await;
        let one = || vec![step(StepRule::Any, vec![person("rob")])];
        let approval = of(&started(&world, start(&ticket, one())).await);
        let cancel = CancelApproval { approval, reason: Some("Not needed".into()), expected_version: None };
        assert_eq!(lacks(world.tickets.cancel_approval(&world.ctx("rob"), cancel.clone()).await), "approval.start");
        let stale = CancelApproval { expected_version: Some(7), ..cancel.clone() };
        assert_eq!(current_version(world.tickets.cancel_approval(&world.ctx("ada"), stale).await), Some(1));
        let outcome = world.tickets.cancel_approval(&world.ctx("abe"), cancel.clone()).await.unwrap();
        assert_eq!(kinds(&outcome.events), ["ApprovalCompleted"]);
        let again = world.tickets.cancel_approval(&world.ctx("ada"), cancel).await;
        assert_eq!(constraint(refusal(again)), "decided");

        let approval = of(&started(&world, start(&ticket, one())).await);
        world.transition("ada", &ticket, "cancel", json!({})).await.unwrap();
        let record = read(&world, approval).await;
        assert_eq!(states(&record), ["CANCELED", "NOT_REQUIRED"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_refused_with_its_place() {
    in_each_world(|world| async move {
        let ticket = world.open_for_network("x").await;
        let ada = world.ctx("ada");
        let any = |approvers| vec![step(StepRule::Any, approvers)];
        let good = || start(&ticket, any(vec![person("abe")]));
        for (command, code, path) in [
            (start(&ticket, Vec::new()), ErrorCode::Validation, "steps"),
            (StartApproval { name: " ".into(), ..good() }, ErrorCode::Validation, "name"),
            (start(&ticket, any(vec![])), ErrorCode::Validation, "steps.0.approvers"),
            (start(&ticket, vec![step(StepRule::Any, vec![person("abe"); 21])]), ErrorCode::Limit, "steps.0.approvers"),
            (start(&ticket, vec![step(StepRule::Any, vec![person("abe")]); 11]), ErrorCode::Limit, "steps"),
            (start(&ticket, any(vec![person("nobody")])), ErrorCode::NotFound, "steps.0.approvers.0.user.email"),
            (
                start(&ticket, any(vec![ApproverRef::Role("king".into())])),
                ErrorCode::NotFound,
                "steps.0.approvers.0.role",
            ),
            (
                start(&ticket, vec![step(StepRule::Quorum(3), vec![person("abe"), person("lee")])]),
                ErrorCode::Validation,
                "steps.0.rule",
            ),
            (
                StartApproval { bound_fields: Some(vec!["state".into()]), ..good() },
                ErrorCode::Validation,
                "boundFields.0",
            ),
            (StartApproval { bound_fields: Some(vec![]), ..good() }, ErrorCode::Validation, "boundFields"),
            (StartApproval { expected_version: Some(9), ..good() }, ErrorCode::Conflict, "expectedVersion"),
        ] {
            let refused = world.tickets.start_approval(&ada, command).await;
            assert_eq!(refused_at(refused), (code, path.to_owned()));
        }
        assert_eq!(lacks(world.tickets.start_approval(&world.ctx("rita"), good()).await), "approval.start");
        let hidden = world.tickets.start_approval(&world.ctx("rob"), good()).await;
        assert_eq!(refused_at(hidden).0, ErrorCode::NotFound);
        for _ in 0..MAX_APPROVALS {
            world.tickets.start_approval(&ada, good()).await.unwrap();
        }
        let refused = world.tickets.start_approval(&ada, good()).await;
        assert_eq!(refused_at(refused).0, ErrorCode::Limit);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_dry_runs_hold_for_approvals_too() {
    in_each_world(|world| async move {
        let ticket = world.open_for_network("x").await;
        let command = start(&ticket, vec![step(StepRule::Any, vec![person("abe")])]);
        let ada = world.ctx("ada");
        let dried = world.tickets.start_approval(&dry(&ada), command.clone()).await.unwrap().approval.unwrap();
        assert_eq!((dried.steps.len(), dried.votes.len()), (1, 1));
        assert!(world.tickets.approvals_of(&world.root, &[ticket.id()]).await.unwrap().is_empty());
        let first = world.tickets.start_approval(&keyed(&ada, "k", 1), command.clone()).await.unwrap();
        let again = world.tickets.start_approval(&keyed(&ada, "k", 1), command).await.unwrap();
        let approval = of(&first.approval.unwrap());
        assert_eq!(of(&again.approval.unwrap()), approval);
        assert_eq!(world.tickets.approvals_of(&world.root, &[ticket.id()]).await.unwrap().len(), 1);
        let abe = world.ctx("abe");
        for _ in 0..2 {
            let decided = world.tickets.decide_approval(&keyed(&abe, "d", 2), decision(approval, true)).await.unwrap();
            assert_eq!(kinds(&decided.events), ["ApprovalDecided", "ApprovalCompleted"]);
            assert_eq!(decided.approval.unwrap().row.text("state"), "APPROVED");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_passes_on_what_a_person_decided() {
    in_each_world(|world| async move {
        let ticket = world.open_for_network("x").await;
        let record =
            started(&world, start(&ticket, vec![step(StepRule::All, vec![person("abe"), person("rob")])])).await;
        let bot = |permissions: bool| Ctx {
            actor: kernel::Actor { id: world.id("ivy"), kind: kernel::ActorKind::ServiceAccount },
            grants: if permissions { world.root.grants.clone() } else { world.ctx("lee").grants.clone() },
            ..world.root.clone()
        };
        let for_whom = |who: Option<UserRef>| DecideApproval { on_behalf_of: who, ..decision(of(&record), true) };
        let refused = world.tickets.decide_approval(&bot(false), for_whom(Some(user("rob")))).await;
        assert_eq!(lacks(refused), "approval.decideOnBehalf");
        let refused = world.tickets.decide_approval(&bot(true), for_whom(None)).await;
        assert_eq!(refused_at(refused).1, "onBehalfOf");
        let refused = world.tickets.decide_approval(&bot(true), for_whom(Some(user("dana")))).await;
        assert_eq!(constraint(refusal(refused)), "notAsked");
        let outcome = world.tickets.decide_approval(&bot(true), for_whom(Some(user("rob")))).await.unwrap();
        let event = &outcome.events[0];
        assert_eq!(event.payload["onBehalfOf"], json!(world.id("rob").to_string()));
        assert_eq!(event.actor.id, world.id("ivy"));
        assert_eq!(vote_of(&outcome.approval.unwrap(), world.id("rob")), "APPROVED");
    })
    .await;
}
