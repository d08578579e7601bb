//! Teams and their members.

use access::commands::MAX_ESCALATION_TEAMS;
use access::{Membership, TeamCreate, TeamRef, TeamUpdate, UserRef};
use kernel::{ErrorCode, Patch};
use serde_json::json;

use crate::setup::{in_each_world, refused_at, role_for};

#[tokio::test(flavor = "multi_thread")]
async fn a_team_is_made_and_changed_with_events() {
    in_each_world(|world| async move {
        let command = TeamCreate {
            slug: "network".into(),
            name: "Network".into(),
            description: Some("Cables".into()),
            ..TeamCreate::default()
        };
        let made = world.access.team_create(&world.root, command.clone()).await.unwrap();
        assert_eq!(made.events[0].kind, "TeamCreated");
        let refused = refused_at(world.access.team_create(&world.root, command).await);
        assert_eq!(refused, (ErrorCode::Conflict, "slug".into()));
        let mut update = TeamUpdate::of(TeamRef::Slug("network".into()));
        update.name = Patch::Set("Networks".into());
        update.description = Patch::Clear;
        update.expected_version = Some(1);
        let changed = world.access.team_update(&world.root, update.clone()).await.unwrap();
        assert_eq!((changed.record.name.as_str(), changed.record.version), ("Networks", 2));
        assert_eq!(changed.record.description, None);
        assert_eq!(changed.events[0].changes.len(), 1, "the description is no part of events");
        let stale = refused_at(world.access.team_update(&world.root, update).await);
        assert_eq!(stale, (ErrorCode::Conflict, "expectedVersion".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn teams_escalate_upwards_and_not_for_ever() {
    in_each_world(|world| async move {
        let by_slug = |slug: &str| TeamRef::Slug(slug.into());
        let next = |of: &str, team: &str| TeamUpdate {
            escalation_team: Patch::Set(by_slug(team)),
            ..TeamUpdate::of(by_slug(of))
        };
        world.team("level-0").await;
        for level in 1..=MAX_ESCALATION_TEAMS {
            let (slug, below) = (format!("level-{level}"), format!("level-{}", level - 1));
            world.team(&slug).await;
            if level > 1 {
                world.access.team_update(&world.root, next(&below, &slug)).await.unwrap();
            }
        }
        let top = format!("level-{MAX_ESCALATION_TEAMS}");
        let refused = world.access.team_update(&world.root, next(&top, "level-9")).await.unwrap_err();
        assert!(refused.to_string().contains("`level-10` → `level-9` → `level-10`"), "{refused}");
        let changed = world.access.team_update(&world.root, next("level-0", "level-1")).await.unwrap();
        assert!(changed.record.escalation_team.is_some(), "as many as may stand above a team");
        let command = TeamCreate {
            slug: "below".into(),
            name: "Below".into(),
            escalation_team: Some(by_slug("level-0")),
            ..TeamCreate::default()
        };
        let refused = refused_at(world.access.team_create(&world.root, command).await);
        assert_eq!(refused, (ErrorCode::Limit, "escalationTeam".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_manages_their_own_team_only() {
    in_each_world(|world| async move {
        let network = world.team("network").await;
        world.team("desktop").await;
        world.user_with("lead", vec![role_for("team_lead", &network)]).await;
        let ada = world.user("ada", &[]).await;
        let lead = world.ctx("lead").await;
        let membership = |team: &str| Membership { team: TeamRef::Slug(team.into()), user: UserRef::from(&ada) };
        assert!(world.access.team_member_add(&lead, membership("network")).await.is_ok());
        let refused = refused_at(world.access.team_member_add(&lead, membership("desktop")).await);
        assert_eq!(refused, (ErrorCode::Forbidden, "team".into()));
        let mut rename = TeamUpdate::of(TeamRef::Slug("desktop".into()));
        rename.name = Patch::Set("Mine".into());
        assert_eq!(refused_at(world.access.team_update(&lead, rename).await), (ErrorCode::Forbidden, "name".into()));
        let new = TeamCreate { slug: "mine".into(), name: "Mine".into(), ..TeamCreate::default() };
        assert_eq!(refused_at(world.access.team_create(&lead, new).await).0, ErrorCode::Forbidden);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_membership_is_told_once() {
    in_each_world(|world| async move {
        let network = world.team("network").await;
        let ada = world.user("ada", &[]).await;
        let member = Membership { team: TeamRef::Id(network.public_id()), user: UserRef::from(&ada) };
        let added = world.access.team_member_add(&world.root, member.clone()).await.unwrap();
        assert_eq!(added.events[0].kind, "TeamMemberAdded");
        assert_eq!(added.events[0].payload, json!({ "user": ada.id }));
        assert_eq!(added.record.version, 1, "members are no field of the team");
        assert!(world.access.team_member_add(&world.root, member.clone()).await.unwrap().events.is_empty());
        let members = world.access.members(&world.root, &[network.id], 10).await.unwrap();
        assert_eq!(members[&network.id].iter().map(|member| member.id).collect::<Vec<_>>(), [ada.id]);
        let teams = world.access.teams_of(&world.root, &[ada.id]).await.unwrap();
        assert_eq!(teams[&ada.id][0].slug, "network");
        let removed = world.access.team_member_remove(&world.root, member.clone()).await.unwrap();
        assert_eq!(removed.events[0].kind, "TeamMemberRemoved");
        assert!(world.access.team_member_remove(&world.root, member).await.unwrap().events.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn references_that_lead_nowhere_are_told_together() {
    in_each_world(|world| async move {
        let member =
            Membership { team: TeamRef::Slug("nowhere".into()), user: UserRef::Email("nobody@acme.example".into()) };
        let kernel::Error::Refused(errors) = world.access.team_member_add(&world.root, member).await.unwrap_err()
        else {
            panic!()
        };
        let paths = errors.iter().map(|error| error.path.join(".")).collect::<Vec<_>>();
        assert_eq!(paths, ["team.slug", "user.email"]);
        assert!(errors.iter().all(|error| error.code == ErrorCode::NotFound));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_members_of_many_teams_come_together_and_bounded() {
    in_each_world(|world| async move {
        let teams = [world.team("a").await, world.team("b").await, world.team("empty").await];
        for name in ["ada", "bob", "eve"] {
            let user = world.user(name, &[]).await;
            world.store.clock.advance(chrono::Duration::milliseconds(1));
            for team in &teams[..2] {
                let member = Membership { team: TeamRef::Id(team.public_id()), user: UserRef::from(&user) };
                world.access.team_member_add(&world.root, member).await.unwrap();
            }
        }
        let ids = teams.iter().map(|team| team.id).collect::<Vec<_>>();
        let before = world.store.statement_count();
        let members = world.access.members(&world.root, &ids, 2).await.unwrap();
        assert_eq!(world.store.statement_count() - before, 3);
        for team in &teams[..2] {
            let names = members[&team.id].iter().map(|member| member.name.as_str()).collect::<Vec<_>>();
            assert_eq!(names, ["ada", "bob"]);
        }
        assert!(!members.contains_key(&teams[2].id));
    })
    .await;
}
