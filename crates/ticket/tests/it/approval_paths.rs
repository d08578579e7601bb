//! Approvers who stand at a place seen from the ticket: the requester's manager, the owner of the service.

use access::{UserRef, UserUpdate};
use configuration::{CreateService, ServiceRef, UpdateService};
use incident::{CreateIncident, UpdateIncident};
use kernel::{ErrorCode, Patch, Uuid};
use store::query::Row;
use ticket::approval::rules::StepRule;
use ticket::approval::{ApprovalRecord, ApproverPath, ApproverRef, StartApproval, StepInput};

use crate::approvals::{approve, constraint, decide, of, person, read, start, started, states, step, vote_of};
use crate::setup::*;

const MANAGER: ApproverRef = ApproverRef::Path(ApproverPath::RequesterManager);
const OWNER: ApproverRef = ApproverRef::Path(ApproverPath::ServiceOwner);

async fn manage(world: &World, who: &str, manager: Patch<UserRef>) {
    world.access.user_update(&world.root, UserUpdate { manager, ..UserUpdate::of(user(who)) }).await.unwrap();
}

async fn deactivate(world: &World, who: &str) {
    let gone = UserUpdate { active: Patch::Set(false), ..UserUpdate::of(user(who)) };
    world.access.user_update(&world.root, gone).await.unwrap();
}

async fn service(world: &World, key: &str, owner: Option<&str>) {
    let owner = owner.map(user);
    let command = CreateService { key: key.into(), name: key.into(), description: None, owner, team: None };
    world.tickets.configuration().create_service(&world.root, command).await.unwrap();
}

async fn own(world: &World, key: &str, owner: Patch<UserRef>) {
    let command = UpdateService {
        service: ServiceRef::Key(key.into()),
        name: None,
        description: Patch::Keep,
        owner,
        team: Patch::Keep,
        retired: None,
        expected_version: None,
    };
    world.tickets.configuration().update_service(&world.root, command).await.unwrap();
}

/// An incident of rita about the service, with the network team.
async fn about(world: &World, service: &str) -> Row {
    let service = Some(ServiceRef::Key(service.into()));
    let command = CreateIncident { team: Some(team("network")), requester: Some(user("rita")), service, ..new("x") };
    world.create(&world.ctx("ada"), command).await
}

fn asked(record: &ApprovalRecord) -> Vec<Uuid> {
    record.votes.iter().filter_map(|vote| vote.get("approver").as_id()).collect()
}

fn any(who: ApproverRef) -> StepInput {
    step(StepRule::Any, vec![who])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_requesters_manager_is_asked() {
    in_each_world(|world| async move {
        manage(&world, "rita", Patch::Set(user("rob"))).await;
        let ticket = world.open_for_network("New laptop").await;
        let record = started(&world, start(&ticket, vec![any(MANAGER)])).await;
        assert_eq!(asked(&record), [world.id("rob")]);
        assert!(!record.steps[0].bool("toAdministrators"));
        assert_eq!(refused_at(decide(&world, "dana", of(&record), true).await).0, ErrorCode::NotFound);
        assert_eq!(states(&approve(&world, "rob", of(&record)).await), ["APPROVED", "APPROVED"]);

        // One person twice, by name and by path, has one vote.
        let both = start(&ticket, vec![step(StepRule::All, vec![MANAGER, person("rob"), person("abe")])]);
        assert_eq!(started(&world, both).await.votes.len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_at_the_place_is_like_a_team_without_members() {
    in_each_world(|world| async move {
        let to_administrators = async |ticket: &Row, path: ApproverRef| {
            let record = started(&world, start(ticket, vec![any(path)])).await;
            assert!(record.steps[0].bool("toAdministrators"));
            assert_eq!(vote_of(&record, world.id("amy")), "PENDING");
        };
        let ticket = world.open_for_network("x").await;
        to_administrators(&ticket, MANAGER).await;
        to_administrators(&ticket, OWNER).await;
        service(&world, "mail", None).await;
        to_administrators(&about(&world, "mail").await, OWNER).await;
        // Those who have left are nobody.
        manage(&world, "rita", Patch::Set(user("rob"))).await;
        own(&world, "mail", Patch::Set(user("rob"))).await;
        deactivate(&world, "rob").await;
        to_administrators(&ticket, MANAGER).await;
        to_administrators(&about(&world, "mail").await, OWNER).await;

        // Others who are named beside it are asked alone.
        let record = started(&world, start(&ticket, vec![step(StepRule::All, vec![MANAGER, person("abe")])])).await;
        assert_eq!(asked(&record), [world.id("abe")]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_does_not_let_anybody_approve_their_own_request() {
    in_each_world(|world| async move {
        // Ada, who asks for the approval, is the manager; rita, who asked for the laptop, owns the service.
        manage(&world, "rita", Patch::Set(user("ada"))).await;
        service(&world, "laptops", Some("rita")).await;
        let ticket = about(&world, "laptops").await;
        for path in [MANAGER, OWNER] {
            let record = started(&world, start(&ticket, vec![any(path.clone())])).await;
            assert!(record.steps[0].bool("toAdministrators"));
            for who in ["ada", "rita"] {
                assert_eq!(constraint(refusal(decide(&world, who, of(&record), true).await)), "selfApproval");
            }
            let allowed = StartApproval { self_approval: true, ..start(&ticket, vec![any(path)]) };
            assert!(!started(&world, allowed).await.steps[0].bool("toAdministrators"));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_looked_at_when_the_step_opens() {
    in_each_world(|world| async move {
        manage(&world, "rita", Patch::Set(user("rob"))).await;
        service(&world, "mail", Some("dana")).await;
        service(&world, "phones", Some("lee")).await;
        let ticket = about(&world, "mail").await;
        let steps = || vec![any(person("abe")), any(MANAGER), any(OWNER), any(OWNER)];
        let approval = of(&started(&world, start(&ticket, steps())).await);
        // All of it changes while the first step runs; the second asks by what holds now.
        manage(&world, "rita", Patch::Set(user("dana"))).await;
        let record = approve(&world, "abe", approval).await;
        assert_eq!(asked(&record)[1..], [world.id("dana")]);
        // A step that has opened stays as it is.
        manage(&world, "rita", Patch::Clear).await;
        assert_eq!(asked(&read(&world, approval).await)[1..], [world.id("dana")]);
        // Another owner; then another service; the ticket is that of the moment, not that of the start.
        own(&world, "mail", Patch::Set(user("rob"))).await;
        let record = approve(&world, "dana", approval).await;
        assert_eq!(asked(&record)[2..], [world.id("rob")]);
        let moved = UpdateIncident { service: Patch::Set(ServiceRef::Key("phones".into())), ..update(&ticket) };
        world.incidents.update(&world.ctx("ada"), moved).await.unwrap();
        let record = approve(&world, "rob", approval).await;
        assert_eq!(asked(&record)[3..], [world.id("lee")]);
        assert_eq!(states(&approve(&world, "lee", approval).await)[0], "APPROVED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_become_the_requester_does_not_decide_in_a_later_step() {
    in_each_world(|world| async move {
        let ticket = world.open_for_network("x").await;
        let steps = vec![any(person("abe")), step(StepRule::Any, vec![person("lee"), person("dana")])];
        let approval = of(&started(&world, start(&ticket, steps)).await);
        let corrected = UpdateIncident { requester: Some(user("lee")), ..update(&ticket) };
        world.incidents.update(&world.ctx("ada"), corrected).await.unwrap();
        let record = approve(&world, "abe", approval).await;
        assert_eq!(asked(&record)[1..], [world.id("dana")]);
        assert_eq!(constraint(refusal(decide(&world, "lee", approval, true).await)), "selfApproval");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn veto_holders_can_stand_at_a_place() {
    in_each_world(|world| async move {
        service(&world, "mail", Some("dana")).await;
        let ticket = about(&world, "mail").await;
        let with_veto = || StepInput { veto: vec![OWNER], ..any(person("abe")) };
        let approval = of(&started(&world, start(&ticket, vec![with_veto()])).await);
        assert_eq!(
            states(&approve(&world, "abe", approval).await),
            ["PENDING", "OPEN"],
            "it waits for the veto holder"
        );
        let record = decide(&world, "dana", approval, false).await.unwrap().approval.unwrap();
        assert_eq!(states(&record), ["REFUSED", "REFUSED"]);

        // Nobody there: nobody to wait for.
        let ticket = world.open_for_network("x").await;
        let approval = of(&started(&world, start(&ticket, vec![with_veto()])).await);
        assert_eq!(states(&approve(&world, "abe", approval).await), ["APPROVED", "APPROVED"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_costs_a_statement_or_two() {
    in_each_world(|world| async move {
        manage(&world, "rita", Patch::Set(user("rob"))).await;
        service(&world, "mail", Some("dana")).await;
        let ticket = about(&world, "mail").await;
        let mut cost = Vec::new();
        for approver in [ApproverRef::Team(team("desktop")), MANAGER, OWNER] {
            let before = world.store.statement_count();
            started(&world, start(&ticket, vec![any(approver)])).await;
            cost.push(world.store.statement_count() - before);
        }
        // A team is looked up once more; persons are looked for before it begins and when it does.
        assert_eq!([cost[1] + 2, cost[2]], [cost[0], cost[0]], "{cost:?}");
    })
    .await;
}
