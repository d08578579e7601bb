//! Opening incidents: who may say what, what is told, numbers, external references, dry run.

use access::{TeamRef, UserRef};
use futures_util::future::join_all;
use incident::{CreateIncident, INCIDENT};
use kernel::{Detail, ErrorCode, Id, Uuid, id::prefix};
use serde_json::json;
use ticket::{
    Impact, MAX_EXTERNAL_REFS, MAX_TAGS, MAX_TEXT, MAX_TITLE, Priority, PriorityOverride, TicketRef, Urgency,
};

use crate::setup::*;

fn p1(reason: &str) -> Option<PriorityOverride> {
    Some(PriorityOverride { priority: Priority::P1, reason: reason.into() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requester_opens_one_and_one_event_tells_all_of_it() {
    in_each_world(|world| async move {
        let command = CreateIncident {
            description: Some("since **noon**".into()),
            tags: vec![" vpn ".into(), "vpn".into(), "home".into()],
            ..new("  VPN down ")
        };
        let outcome = world.incidents.create(&world.ctx("rita"), command).await.unwrap();
        let row = outcome.row.unwrap();
        let rita = world.id("rita");
        assert_eq!((row.text("title").as_str(), row.text("description").as_str()), ("VPN down", "since **noon**"));
        assert_eq!((row.text("state").as_str(), row.text("stateCategory").as_str()), ("new", "NEW"));
        assert_eq!((row.get("requester").as_id(), row.get("openedBy").as_id()), (Some(rita), Some(rita)));
        assert_eq!((row.int("version"), row.time("createdAt")), (1, world.now()));
        assert_eq!((row.texts("tags"), row.text("origin")), (vec!["vpn".into(), "home".into()], "API".to_owned()));
        assert_eq!((row.text("priority").as_str(), row.text("number").as_str()), ("P3", "INC-1001"));
        assert_eq!(kinds(&outcome.events), ["IncidentCreated"]);
        let event = &outcome.events[0];
        assert_eq!((event.version, event.actor.id, event.subject), (1, rita, row.id()));
        assert_eq!(change(event, "title"), (json!(null), json!("VPN down")));
        assert_eq!(change(event, "description"), (json!(null), json!("since **noon**")));
        assert!(event.changes.iter().all(|change| change.before.is_null() && !change.after.is_null()));
        assert_eq!(event.facts["requester.name"], json!("rita"));
        assert_eq!(event.facts["origin"], json!("API"));
        assert!(!event.facts.contains_key("description"), "long texts are not repeated in facts");
        assert_eq!(world.events_of(&row).await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requester_says_nothing_of_team_priority_or_others() {
    in_each_world(|world| async move {
        let rita = world.ctx("rita");
        let create = |command| world.incidents.create(&rita, command);
        assert_eq!(lacks(create(CreateIncident { team: Some(team("network")), ..new("x") }).await), "ticket.assign");
        let own = CreateIncident { assignee: Some(UserRef::Id(Id::new(prefix::USER, rita.actor.id))), ..new("x") };
        assert_eq!(lacks(create(own).await), "ticket.assign");
        let urgent = CreateIncident { priority_override: p1("now"), ..new("x") };
        assert_eq!(lacks(create(urgent).await), "ticket.overridePriority");
        let rob = UserRef::Id(Id::new(prefix::USER, world.id("rob")));
        let refused = create(CreateIncident { requester: Some(rob), ..new("x") }).await;
        assert_eq!(lacks(refused), "ticket.createOnBehalf");
        assert_eq!(lacks(world.incidents.create(&world.ctx("ivy"), new("x")).await), "ticket.create");
        assert!(world.all(&INCIDENT).await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_opens_one_for_somebody_and_the_two_are_kept_apart() {
    in_each_world(|world| async move {
        let row = world.open_for_network("no dial tone").await;
        assert_eq!(
            (row.get("requester").as_id(), row.get("openedBy").as_id()),
            (Some(world.id("rita")), Some(world.id("ada")))
        );
        assert_eq!(row.text("state"), "assigned", "a ticket with a team has taken `assign`");
        assert_eq!(row.int("reassignmentCount"), 0);
        assert_eq!(row.relation("requester").unwrap().text("name"), "rita");
        let with_assignee =
            CreateIncident { team: Some(team("network")), assignee: Some(user("abe")), ..new("no dial tone") };
        let row = world.create(&world.ctx("ada"), with_assignee).await;
        assert_eq!(row.get("assignee").as_id(), Some(world.id("abe")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_points_nowhere_is_refused_with_its_path() {
    in_each_world(|world| async move {
        let ada = world.ctx("ada");
        let create = |command| world.incidents.create(&ada, command);
        let stranger = CreateIncident { team: Some(team("network")), assignee: Some(user("dana")), ..new("x") };
        let error = refusal(create(stranger).await);
        assert_eq!(error.path, ["assignee"]);
        assert_eq!(error.detail, Detail::Validation { constraint: "teamMember".into(), limit: None });
        let nobody_to_join = CreateIncident { assignee: Some(user("ada")), ..new("x") };
        assert_eq!(refused_at(create(nobody_to_join).await), (ErrorCode::Validation, "assignee".into()));
        let nowhere = CreateIncident { team: Some(TeamRef::Slug("nowhere".into())), ..new("x") };
        assert_eq!(refused_at(create(nowhere).await), (ErrorCode::NotFound, "team.slug".into()));
        let errors = refusals(
            create(CreateIncident { requester: Some(user("zoe")), category: Some("none".into()), ..new("x") }).await,
        );
        let paths: Vec<_> = errors.iter().map(|error| error.path.join(".")).collect();
        assert_eq!(paths, ["requester.email", "category"], "what is wrong is told together");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_and_lists_have_limits() {
    in_each_world(|world| async move {
        let rita = world.ctx("rita");
        let create = |command| world.incidents.create(&rita, command);
        assert!(create(new(&"ü".repeat(MAX_TITLE))).await.is_ok());
        for (command, path) in [
            (new(&"x".repeat(MAX_TITLE + 1)), "title"),
            (new(" "), "title"),
            (CreateIncident { description: Some("x".repeat(MAX_TEXT + 1)), ..new("x") }, "description"),
            (CreateIncident { description: Some("a\0b".into()), ..new("x") }, "description"),
            (CreateIncident { tags: (0..=MAX_TAGS).map(|tag| tag.to_string()).collect(), ..new("x") }, "tags"),
            (CreateIncident { external_refs: vec![("a".into(), " ".into())], ..new("x") }, "externalRefs.0.key"),
        ] {
            assert_eq!(refusal(create(command).await).path.join("."), path);
        }
        let refs = (0..=MAX_EXTERNAL_REFS).map(|key| ("jira".to_owned(), key.to_string())).collect();
        let too_many = refusal(create(CreateIncident { external_refs: refs, ..new("x") }).await);
        assert_eq!((too_many.code, too_many.detail), (ErrorCode::Limit, Detail::Limit { limit: 20 }));
        let both = CreateIncident { description: Some("\0".into()), ..new("") };
        assert_eq!(refusals(create(both).await).len(), 2, "what is wrong is told together");
        let reason = CreateIncident { priority_override: p1(" "), ..new("x") };
        let refused = refused_at(world.incidents.create(&world.ctx("amy"), reason).await);
        assert_eq!(refused, (ErrorCode::Validation, "priorityOverride.reason".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_overrides_the_priority_of_their_own_team_only() {
    in_each_world(|world| async move {
        let lee = world.ctx("lee");
        let urgent = |slug| CreateIncident { team: Some(team(slug)), priority_override: p1("the CEO"), ..new("x") };
        let row = world.create(&lee, urgent("network")).await;
        assert_eq!((row.text("priority").as_str(), row.text("priorityOverrideReason").as_str()), ("P1", "the CEO"));
        assert_eq!(row.get("priorityOverrideBy").as_id(), Some(lee.actor.id));
        assert_eq!(row.time("priorityOverrideAt"), world.now());
        assert_eq!(lacks(world.incidents.create(&lee, urgent("desktop")).await), "ticket.overridePriority");
        assert_eq!(
            lacks(world.incidents.create(&world.ctx("ada"), urgent("network")).await),
            "ticket.overridePriority"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_names_the_requester() {
    in_each_world(|world| async move {
        let roles = vec![access::RoleInput { role: "agent".into(), team: None }];
        let command = access::ServiceAccountCreate { name: "monitor".into(), roles };
        let bot = world.access.service_account_create(&world.root, command).await.unwrap().record;
        let token = access::ApiTokenCreate { name: "t".into(), owner: Some(bot.public_id()), ..Default::default() };
        let token = world.access.api_token_create(&world.root, token).await.unwrap().record;
        let ctx = world.access.authenticate(token.secret.reveal(), "test").await.unwrap().ctx;
        let refused = refused_at(world.incidents.create(&ctx, new("disk full")).await);
        assert_eq!(refused, (ErrorCode::Validation, "requester".into()));
        let as_bot = CreateIncident { requester: Some(UserRef::Id(bot.public_id())), ..new("disk full") };
        assert_eq!(refused_at(world.incidents.create(&ctx, as_bot).await).0, ErrorCode::NotFound);
        let row = world.create(&ctx, CreateIncident { requester: Some(user("rita")), ..new("disk full") }).await;
        assert_eq!((row.get("openedBy").as_id(), row.get("requester").as_id()), (Some(bot.id), Some(world.id("rita"))));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_reference_belongs_to_one_ticket() {
    in_each_world(|world| async move {
        let (rita, ada) = (world.ctx("rita"), world.ctx("ada"));
        let with = |key: &str| CreateIncident {
            requester: Some(user("rita")),
            team: Some(team("network")),
            external_refs: vec![("jira".into(), "OPS-1".into()), ("jira".into(), key.into())],
            ..new("x")
        };
        let first = world.create(&ada, with("OPS-2")).await;
        let taken = refused_at(world.incidents.create(&ada, with("OPS-3")).await);
        assert_eq!(taken, (ErrorCode::Conflict, "externalRefs.0.key".into()));
        let twice = CreateIncident {
            external_refs: vec![("jira".into(), "OPS-4".into()), ("jira".into(), "OPS-4".into())],
            ..new("x")
        };
        let taken = refused_at(world.incidents.create(&rita, twice).await);
        assert_eq!(taken, (ErrorCode::Conflict, "externalRefs.1.key".into()));
        assert_eq!(world.all(&INCIDENT).await.len(), 1, "a refused call leaves nothing");
        let reference = TicketRef::External { source: "jira".into(), key: "OPS-2".into() };
        let found = world.tickets.find(&ada, &INCIDENT, &reference, &[]).await.unwrap();
        assert_eq!(found.map(|row| row.id()), Some(first.id()));
        assert!(world.tickets.find(&rita, &INCIDENT, &reference, &[]).await.unwrap().is_none(), "working data");
        let refs = world.tickets.external_refs_of(&ada, &[first.id()]).await.unwrap();
        let mut keys: Vec<_> = refs.iter().map(|row| row.text("key")).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["OPS-1", "OPS-2"]);
        assert!(world.tickets.external_refs_of(&rita, &[first.id()]).await.unwrap().is_empty());
        let (other, _) = tenant(&world.access, "other").await;
        let theirs = CreateIncident { requester: Some(user("rita")), ..with("OPS-2") };
        assert!(world.incidents.create(&other, theirs).await.is_ok(), "references are unique in a tenant");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_want_one_reference_at_once_one_gets_it() {
    in_each_world(|world| async move {
        let beside = Services::over(world.store.beside().await);
        let ada = world.ctx("ada");
        let command = || CreateIncident { external_refs: vec![("jira".into(), "OPS-1".into())], ..new("x") };
        let calls =
            (0..4).flat_map(|_| [&world.incidents, &beside.incidents].map(|service| service.create(&ada, command())));
        let (done, refused): (Vec<_>, Vec<_>) = join_all(calls).await.into_iter().partition(Result::is_ok);
        assert_eq!(done.len(), 1);
        for result in refused {
            assert_eq!(refused_at(result), (ErrorCode::Conflict, "externalRefs.0.key".into()));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_unique_in_a_tenant_whoever_hands_them_out() {
    in_each_world(|world| async move {
        let beside = Services::over(world.store.beside().await);
        let rita = world.ctx("rita");
        let calls = (0..25).flat_map(|n| {
            [&world.incidents, &beside.incidents].map(|service| service.create(&rita, new(&n.to_string())))
        });
        let rows: Vec<_> = join_all(calls).await.into_iter().map(|result| result.unwrap().row.unwrap()).collect();
        let mut numbers: Vec<_> = rows.iter().map(|row| row.text("number")).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 50);
        for row in &rows[..3] {
            let reference = TicketRef::parse(&row.text("number").to_lowercase(), "id").unwrap();
            let found = world.tickets.find(&rita, &INCIDENT, &reference, &[]).await.unwrap().unwrap();
            assert_eq!(found.id(), row.id());
        }
        let (other, _) = tenant(&world.access, "other").await;
        let theirs = world.incidents.create(&other, CreateIncident { requester: Some(user("rita")), ..new("x") }).await;
        assert_eq!(theirs.unwrap().row.unwrap().text("number"), "INC-1001", "each tenant counts for itself");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_answers_and_leaves_nothing() {
    in_each_world(|world| async move {
        let before = world.dump().await;
        let command = CreateIncident {
            team: Some(team("network")),
            external_refs: vec![("jira".into(), "OPS-1".into())],
            impact: Impact::High,
            urgency: Urgency::High,
            ..new("VPN down")
        };
        let outcome = world.incidents.create(&dry(&world.ctx("ada")), command.clone()).await.unwrap();
        let row = outcome.row.unwrap();
        assert_eq!((row.text("priority").as_str(), row.text("state").as_str()), ("P1", "assigned"));
        assert_eq!(kinds(&outcome.events), ["IncidentCreated"]);
        assert_eq!(outcome.events[0].position, None);
        assert_eq!(world.dump().await, before);
        assert!(world.incidents.create(&world.ctx("ada"), command).await.is_ok(), "nothing is taken");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_ids_are_answered_like_random_ones() {
    in_each_world(|world| async move {
        let row = world.open_for_network("ours").await;
        let (other, people) = tenant(&world.access, "other").await;
        let random = some_ticket(Uuid::from_u128(7));
        for ctx in [&other, &people["amy"], &people["ada"]] {
            let mut answers = Vec::new();
            for ticket in [by_id(&row), random.clone()] {
                let found = world.tickets.find(ctx, &INCIDENT, &ticket, &[]).await.unwrap();
                let update = incident::UpdateIncident { incident: ticket.clone(), ..retitle(&row, "mine") };
                let update = world.incidents.update(ctx, update).await;
                let resolve = world.incidents.resolve(ctx, ticket.clone(), "SOLVED".into(), "x".into(), None).await;
                let comment = ticket::AddComment { ticket, ..comment(&row, "x", ticket::CommentVisibility::Public) };
                let comment = world.tickets.add_comment(ctx, comment).await;
                answers.push((found, refusal(update), refusal(resolve), refusal(comment)));
            }
            assert_eq!(answers[0], answers[1]);
            assert_eq!((answers[0].1.code, answers[0].1.path.join(".")), (ErrorCode::NotFound, "id".into()));
        }
        let their_user = UserRef::Id(Id::new(prefix::USER, people["rita"].actor.id));
        let random_user = UserRef::Id(Id::new(prefix::USER, Uuid::from_u128(7)));
        let mut answers = Vec::new();
        for requester in [their_user, random_user] {
            let command = CreateIncident { requester: Some(requester), ..new("x") };
            answers.push(refusal(world.incidents.create(&world.ctx("ada"), command).await));
        }
        assert_eq!(answers[0], answers[1]);
        assert_eq!(world.see(&row).await.int("version"), 1);
    })
    .await;
}
